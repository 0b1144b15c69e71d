-- Every object of a source, with everything that a source can have: nothing runs while one is somebody else's, or has a trigger of somebody else; and drop_source leaves it alone
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never
CREATE ROLE regress_planted_owner;
CREATE ROLE regress_planted_thief;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_planted_owner', current_database()); END $$;
CREATE SCHEMA planted;
CREATE SCHEMA thief AUTHORIZATION regress_planted_thief;
GRANT USAGE ON SCHEMA planted, thief TO PUBLIC;
SET search_path = planted;
CREATE TABLE customer (id int PRIMARY KEY, region text, email text);
INSERT INTO customer SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, 'p' || i % 19 || '@example.org' FROM generate_series(1, 20) i;
CREATE TABLE purchase (id int PRIMARY KEY, customer_id int, day date, amount numeric);
INSERT INTO purchase SELECT i, 1 + i % 18, date '2025-01-01' + i, i FROM generate_series(1, 120) i;
CREATE TABLE line (purchase_id int, product text);
INSERT INTO line SELECT 1 + i % 120, 'p' || i % 5 FROM generate_series(1, 240) i;
CREATE TABLE payment (customer_id int, due_on date, paid_on date, amount numeric);
INSERT INTO payment SELECT 1 + i % 18, date '2025-01-01' + i, date '2025-01-03' + i, 1 FROM generate_series(1, 60) i;
CREATE TABLE mail (customer_id int, campaign text, sent date, treated boolean);
INSERT INTO mail SELECT i, 'spring', '2025-03-01', i % 3 > 0 FROM generate_series(1, 20) i;
CREATE TABLE lead (id int PRIMARY KEY, region text);
INSERT INTO lead SELECT i, 'north' FROM generate_series(1, 20) i;
GRANT SELECT ON ALL TABLES IN SCHEMA planted TO regress_planted_owner;
SET ROLE regress_planted_thief;
CREATE FUNCTION thief.take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'taken, as %', current_user USING ERRCODE = 'P0999'; END $$;
SET ROLE regress_planted_owner;
SELECT count(*) > 20 AS created FROM crm_profile.create_source('shop', 'planted.customer', 'planted.purchase', as_of => '2025-06-01', attributes => '{region}', order_key => 'id', corrections => '{"merge_customers": true}',
	lines => 'planted.line', line_order => 'purchase_id', line_product => 'product', payments => 'planted.payment', payment_due => 'due_on', payment_paid => 'paid_on', campaigns => 'planted.mail', campaign_name => 'campaign', contacted_at => 'sent', treated => 'treated',
	prospects => 'planted.lead', best => 'monetary > 60', materialize => true);
SELECT orders FROM crm_profile.refresh('shop');
RESET ROLE;

CREATE VIEW part AS SELECT p.kind, p.name, p.object, CASE p.kind WHEN 'function' THEN p.object::regprocedure::text ELSE p.object::regclass::text END AS called
	FROM crm_profile_internal.source_present(crm_profile_internal.source_of('shop')) p WHERE p.object IS NOT NULL;
CREATE TABLE call (sql text);
INSERT INTO call VALUES ('SELECT * FROM crm_profile.refresh(''shop'')'), ('SELECT crm_profile.alter_source(''shop'', materialize => false)'), ('SELECT * FROM crm_profile.check_source_details(''shop'')'),
	('SELECT * FROM crm_profile.forget_customer(''shop'', 1)'), ('SELECT * FROM crm_profile.profile_now_details(''shop'', 1)'), ('SELECT crm_profile.explain_source(''shop'')'), ('SELECT * FROM crm_profile.select_audience(''shop'')'),
	('SELECT * FROM crm_profile.plan_contacts(''shop'', 10, 1)'), ('SELECT * FROM crm_profile.campaign_plan(''shop'', 10, 1)');
-- how a call ends; nothing of it stays
CREATE FUNCTION ends(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	RAISE EXCEPTION USING ERRCODE = '00001', MESSAGE = 'it ran';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN '00001' THEN 'ran' ELSE SQLSTATE END;
END $$;
SELECT c.sql, ends(c.sql) FROM call c WHERE ends(c.sql) <> 'ran';
CREATE FUNCTION attack(OUT what text, OUT tried bigint, OUT passed text[]) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	part record;
	call record;
	ended text;
BEGIN
	FOR what IN VALUES ('owner'), ('trigger') LOOP
		tried := 0;
		passed := '{}';
		FOR part IN SELECT p.* FROM planted.part p WHERE p.name <> 'source_definition' AND (what = 'owner' OR p.kind = 'table') LOOP
			IF what = 'owner' THEN
				EXECUTE format('ALTER %s %s OWNER TO regress_planted_thief', part.kind, part.called);
			ELSE
				EXECUTE format('CREATE TRIGGER take BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION thief.take()', part.called);
			END IF;
			FOR call IN SELECT c.sql FROM planted.call c LOOP
				ended := planted.ends(call.sql);
				tried := tried + 1;
				IF ended <> '42501' THEN
					passed := passed || concat_ws(' ', part.name, ended, call.sql);
				END IF;
			END LOOP;
			IF what = 'owner' THEN
				EXECUTE format('ALTER %s %s OWNER TO regress_planted_owner', part.kind, part.called);
			ELSE
				EXECUTE format('DROP TRIGGER take ON %s', part.called);
			END IF;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT count(*) > 40 AS many, count(*) FILTER (WHERE kind = 'table') AS tables FROM part;
SELECT what, tried > 100 AS many, passed FROM attack();
SELECT orders FROM crm_profile.refresh('shop');

-- what belongs to somebody else is not dropped, whatever it is
CREATE FUNCTION dropped() RETURNS TABLE (part text) LANGUAGE plpgsql AS $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT * FROM planted.part WHERE name <> 'source_definition' LOOP
		BEGIN
			EXECUTE format('ALTER %s %s OWNER TO regress_planted_thief', p.kind, p.called);
			BEGIN
				PERFORM crm_profile.drop_source('shop', cascade => false);
			EXCEPTION WHEN OTHERS THEN
				NULL;
			END;
			IF p.kind = 'function' AND NOT EXISTS (SELECT FROM pg_proc WHERE oid = p.object) OR p.kind <> 'function' AND NOT EXISTS (SELECT FROM pg_class WHERE oid = p.object) THEN
				part := p.name;
				RETURN NEXT;
			END IF;
			RAISE EXCEPTION USING ERRCODE = '00001', MESSAGE = 'back';
		EXCEPTION WHEN SQLSTATE '00001' THEN
			NULL;
		END;
	END LOOP;
END $$;
SELECT * FROM dropped();
SELECT crm_profile.drop_source('shop');
DROP SCHEMA planted, thief CASCADE;
DROP OWNED BY regress_planted_owner, regress_planted_thief CASCADE;
DROP ROLE regress_planted_owner, regress_planted_thief;
