-- Who may do what with a source, and whose rights it runs with
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE ROLE regress_crm_owner;
CREATE ROLE regress_crm_analyst;
CREATE ROLE regress_crm_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_crm_owner, regress_crm_other', current_database()); END $$;
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE TABLE shop.customer (id smallint PRIMARY KEY, region text);
CREATE TABLE shop.orders (customer_id int, day date, amount numeric);
INSERT INTO shop.customer SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 10) i;
INSERT INTO shop.orders SELECT 1 + i % 8, date '2025-01-01' + i, i FROM generate_series(1, 100) i;

-- without rights on the tables
SET ROLE regress_crm_owner;
SELECT * FROM crm_profile.create_source('s', 'shop.customer', 'shop.orders', order_customer => 'customer_id');
RESET ROLE;
GRANT SELECT ON shop.customer, shop.orders TO regress_crm_owner;
SET ROLE regress_crm_owner;
SELECT argument, value FROM crm_profile.create_source('s', 'shop.customer', 'shop.orders', order_customer => 'customer_id', as_of => '2025-06-01') WHERE origin = 'inferred';
SELECT orders, customers FROM crm_profile.refresh('s');
SELECT pg_typeof(customer), count(*) FROM s.customer_profile GROUP BY 1;
-- values are anybody's: constants of all types are cast to text and back
SET ROLE regress_crm_analyst;
SELECT '{2025-01-01: 5}'::crm_profile.purchase_history::text, '545'::crm_profile.rfm_score::text, crm_profile.rfm_model('{1}', '{1}', '{1}')::text;
SELECT '{2025-01-01: 5}'::text::crm_profile.purchase_history;
-- without the right to create a schema
SELECT * FROM crm_profile.create_source('t', 'shop.customer', 'shop.orders');
-- others neither see it nor touch it
SET ROLE regress_crm_other;
SELECT name FROM crm_profile.sources;
SELECT * FROM crm_profile.refresh('s');
SELECT crm_profile.alter_source('s', bins => 5);
SELECT crm_profile.drop_source('s');
SELECT crm_profile.explain_source('s');
SELECT * FROM crm_profile.forget_customer('s', 1);
SELECT * FROM crm_profile.create_source('s', 'shop.customer', 'shop.orders');
SELECT * FROM crm_profile_internal.refresh_as_owner(NULL, false, false);
-- nor the definition: it belongs to the owner
UPDATE s.source_definition SET orders_query = 'SELECT 1';
RESET ROLE;
SELECT name, owner FROM crm_profile.sources;

-- the views need rights on themselves, their tables and the customer table, not on the orders
GRANT USAGE ON SCHEMA s TO regress_crm_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA s TO regress_crm_analyst;
SET ROLE regress_crm_analyst;
SELECT count(*) FROM s.customer_profile;
RESET ROLE;
GRANT SELECT (id) ON shop.customer TO regress_crm_analyst;
SET ROLE regress_crm_analyst;
SELECT count(*), sum(frequency) FROM s.customer_profile;
SELECT sum(customers) FROM s.segment_summary;
SELECT count(*) FROM shop.orders;
-- row-level security on the customers: it holds in every view, and in the storage
RESET ROLE;
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY north ON shop.customer FOR SELECT TO regress_crm_analyst USING (id % 2 = 0);
CREATE POLICY everybody ON shop.customer FOR SELECT TO regress_crm_owner USING (true);
SET ROLE regress_crm_analyst;
SELECT array_agg(customer ORDER BY customer) FROM s.customer_profile;
SELECT array_agg(customer ORDER BY customer) FROM s.customer_history;
SELECT sum(customers) FROM s.segment_summary;
SELECT sum(customers) FROM s.segment_migration;
SELECT sum(orders) FROM s.purchase_calendar;
SELECT count(*) FROM s.profile_as_of('2025-03-01');
-- the data that models were fitted to are the same for all readers
SELECT value FROM s.model_card_details WHERE item = 'customers' AND section = 'refresh';
SELECT customers FROM s.model_holdout WHERE part = 'total';
SET ROLE regress_crm_owner;
SELECT count(*) FROM s.customer_profile;
-- stored profiles that lack customers must not be kept
SELECT crm_profile.alter_source('s', materialize => true);
RESET ROLE;
ALTER ROLE regress_crm_owner BYPASSRLS;
SET ROLE regress_crm_owner;
SELECT crm_profile.alter_source('s', materialize => true);
GRANT SELECT ON ALL TABLES IN SCHEMA s TO regress_crm_analyst;
SET ROLE regress_crm_analyst;
SELECT array_agg(customer ORDER BY customer) FROM s.customer_profile;
SET ROLE regress_crm_owner;
SELECT crm_profile.alter_source('s', materialize => false);

-- an owner who is no superuser can do all that a superuser can
CREATE SCHEMA own_shop;
SET search_path = own_shop;
CREATE TABLE s_customer (id int PRIMARY KEY, region text);
INSERT INTO s_customer SELECT i, 'r' || i % 2 FROM generate_series(1, 30) i;
CREATE TABLE s_order (s_customer_id int, day date, amount numeric);
INSERT INTO s_order SELECT 1 + i % 30, date '2025-01-01' + i, i FROM generate_series(1, 60) i;
SELECT count(*) > 5 AS created FROM crm_profile.create_source('own', 's_customer', 's_order', as_of => '2025-04-01', attributes => '{region}', track_changes => 'keys', prospects => 's_customer', best => 'monetary > 60');
SET client_min_messages = error;
SELECT orders FROM crm_profile.refresh('own');
SELECT finding FROM crm_profile.check_source('own');
SELECT count(*) FROM crm_profile.check_source_details('own');
SELECT value FROM crm_profile.profile_now('own', 4) WHERE figure = 'frequency';
SELECT frequency FROM crm_profile.profile_now_details('own', 4);
SELECT length(crm_profile.explain_source('own')) > 100 AS explained;
SELECT count(*) FROM crm_profile.match_prospects('own');
SELECT * FROM crm_profile.forget_customer('own', 4);
-- no message tells a key, and keys are what an array has of them, whatever its form
SELECT * FROM crm_profile.forget_customers('own', ARRAY['5', 'ann@example.org']);
SELECT * FROM crm_profile.forget_customers('own', ARRAY[[5, 6], [7, NULL]]);
SELECT crm_profile.alter_source('own', period => '1 year');
SELECT problem FROM crm_profile.refresh_all() WHERE name = 'own';
SELECT crm_profile.drop_source('own');
DROP SCHEMA own_shop CASCADE;
RESET search_path;
SET client_min_messages = warning;

-- row-level security on the orders: an error, not partial results
RESET ROLE;
ALTER ROLE regress_crm_owner NOBYPASSRLS;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON shop.orders FOR SELECT TO regress_crm_owner USING (amount < 10);
SET ROLE regress_crm_owner;
SELECT * FROM crm_profile.refresh('s');
SELECT * FROM crm_profile.profile_now_details('s', 1);
SELECT * FROM crm_profile.check_source_details('s');
-- also for a superuser, who acts as the owner
RESET ROLE;
SELECT * FROM crm_profile.refresh('s');
ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY;
SELECT orders, customers FROM crm_profile.refresh('s');
SELECT tableowner FROM pg_tables WHERE schemaname = 's' ORDER BY 1;
-- rights that the owner has lost are lost for refresh, whoever calls it
REVOKE SELECT ON shop.orders FROM regress_crm_owner;
SELECT * FROM crm_profile.refresh('s');
GRANT SELECT ON shop.orders TO regress_crm_owner;

-- the owner's code runs as the owner: it cannot take the refresher's rights
SET ROLE regress_crm_owner;
CREATE FUNCTION s.planted(amount numeric) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
	IF amount = 1 THEN
		RAISE WARNING 'runs as %, path %', current_user, current_setting('search_path');
		BEGIN
			EXECUTE 'RESET ROLE';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'reset role: %', SQLERRM;
		END;
		BEGIN
			EXECUTE 'SET SESSION AUTHORIZATION DEFAULT';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'session authorization: %', SQLERRM;
		END;
		BEGIN
			EXECUTE 'ALTER ROLE regress_crm_owner SUPERUSER';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'alter role: %', SQLSTATE;
		END;
		BEGIN
			EXECUTE 'CREATE TEMP TABLE trap (x int)';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'temp table: %', SQLERRM;
		END;
	END IF;
	RETURN amount;
END $$;
SELECT crm_profile.alter_source('s', amount => 's.planted(amount)');
RESET ROLE;
SELECT orders FROM crm_profile.refresh('s');
SELECT current_user = session_user AS same, current_setting('search_path') AS path;
SELECT customer FROM crm_profile.profile_now_details('s', 2);
-- a deferred trigger on the storage would run at commit, as somebody else
SET ROLE regress_crm_owner;
CREATE FUNCTION s.later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'later, as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE ON s.customer_history DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION s.later();
RESET ROLE;
INSERT INTO shop.orders VALUES (9, '2025-02-01', 5);
SELECT orders FROM crm_profile.refresh('s');
SET ROLE regress_crm_owner;
DROP TRIGGER later ON s.customer_history;
DROP FUNCTION s.later();
RESET ROLE;
-- a superuser alters and drops as the owner: new objects are the owner's. Objects that the source did not create stay, and so does its schema
SELECT crm_profile.alter_source('s', bins => 5);
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 's'::regnamespace;
SELECT crm_profile.drop_source('s', cascade => true);
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_crm_owner, regress_crm_analyst, regress_crm_other;
DROP ROLE regress_crm_owner, regress_crm_analyst, regress_crm_other;
