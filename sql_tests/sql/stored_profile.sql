-- materialize => true with change tracking: after each refresh the table equals profile_as_of(), and only differing rows were written
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET jit = off;
CREATE TABLE customer (id integer PRIMARY KEY);
CREATE TABLE orders (customer_id integer, day date, amount numeric, cost numeric);
CREATE INDEX ON orders (customer_id);
CREATE TABLE visit (customer_id integer, day date);
INSERT INTO customer SELECT generate_series(1, 400);
SELECT setseed(0.5);
INSERT INTO orders SELECT 1 + floor(random() * 350), date '2024-01-01' + floor(random() * 400)::integer, a, round(a / 2, 2)
	FROM (SELECT round((exp(3 + 2 * random()))::numeric, 2) AS a FROM generate_series(1, 2500)) a;

-- what views count over all customers is the same from what the refresh kept and from the customers themselves; NULL: nothing was kept
CREATE FUNCTION counted() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	SELECT string_agg(v, E'\n' ORDER BY v COLLATE "C") INTO answer FROM (SELECT s::text AS v FROM shop.segment_summary_details s UNION ALL SELECT g::text FROM shop.rfm_grid g UNION ALL SELECT c::text FROM shop.purchase_calendar c
		UNION ALL SELECT f::text FROM shop.revenue_forecast f UNION ALL SELECT m::text FROM shop.segment_migration m UNION ALL SELECT r::text FROM shop.cohort_value r) a;
	RETURN answer;
END $$;
CREATE FUNCTION kept_is_true() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	kept text;
	same boolean;
BEGIN
	IF NOT EXISTS (SELECT FROM shop.kept_figures) THEN
		RETURN NULL;
	END IF;
	kept := counted();
	BEGIN
		DELETE FROM shop.kept_figures;
		same := kept = counted();
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
		RETURN same;
	END;
END $$;

-- rows that a refresh wrote although they did not differ, and rows that it should have written
CREATE FUNCTION refreshed(OUT refit boolean, OUT needless bigint, OUT missed bigint) LANGUAGE plpgsql AS $$
DECLARE
	today date;
BEGIN
	CREATE TEMP TABLE former ON COMMIT DROP AS SELECT p.*, p.xmin::text AS written FROM shop.stored_profile p;
	PERFORM crm_profile.refresh('shop');
	SELECT d.as_of, s.refresh_phases ? 'refit' INTO today, refit FROM shop.source_definition d, crm_profile.sources_details s;
	SELECT count(*) INTO needless FROM shop.stored_profile p JOIN former f USING (customer) WHERE f.written <> p.xmin::text AND to_jsonb(p) = to_jsonb(f) - 'written';
	SELECT count(*) INTO missed FROM shop.profile_as_of(today) n FULL JOIN shop.stored_profile p USING (customer) WHERE to_jsonb(n) IS DISTINCT FROM to_jsonb(p);
END $$;
CREATE PROCEDURE change_some(steps integer, INOUT refits text DEFAULT NULL, INOUT needless bigint DEFAULT 0, INOUT missed bigint DEFAULT 0, INOUT kept boolean DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	action integer;
	found record;
	anew bigint := 0;
BEGIN
	FOR step IN 1 .. steps LOOP
		action := floor(random() * 12);
		IF action < 5 THEN
			INSERT INTO orders SELECT 1 + floor(random() * 420), date '2024-06-01' + floor(random() * 280)::integer, round((exp(3 + 2 * random()))::numeric, 2), CASE WHEN random() < 0.5 THEN 1 END
				FROM generate_series(1, 1 + floor(random() * 3)::integer);
		ELSIF action = 5 THEN
			DELETE FROM orders WHERE customer_id = 1 + floor(random() * 400);
		ELSIF action = 6 THEN
			UPDATE orders SET amount = -amount WHERE customer_id = 1 + floor(random() * 400);
		ELSIF action = 7 THEN
			INSERT INTO customer VALUES (1 + floor(random() * 450)) ON CONFLICT DO NOTHING;
		ELSIF action = 8 THEN
			DELETE FROM customer WHERE id = 1 + floor(random() * 450);
		ELSIF action = 9 THEN
			INSERT INTO visit VALUES (350 + floor(random() * 100), '2025-01-01');
		ELSIF action = 10 THEN
			UPDATE customer SET id = id + 500 WHERE id = 1 + floor(random() * 400);
		ELSIF random() < 0.3 THEN
			-- a day later
			UPDATE shop.source_definition SET as_of = as_of + 1;
		END IF;
		COMMIT;
		IF random() < 0.6 THEN
			SELECT r.* INTO found FROM refreshed() r;
			needless := needless + found.needless;
			missed := missed + found.missed;
			anew := anew + found.refit::integer;
			kept := coalesce(kept AND kept_is_true(), kept_is_true(), kept);
			COMMIT;
		END IF;
	END LOOP;
	refits := CASE WHEN anew * 3 < steps * 0.6 THEN 'few' ELSE anew::text END;
END $$;

SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', ordered_at => 'day', amount => 'amount', order_customer => 'customer_id', interactions => 'visit', interaction_customer => 'customer_id', interacted_at => 'day',
	as_of => '2025-03-01', materialize => true, track_changes => 'keys', refit_share => 1, clv_model => 'bg/nbd');
SELECT customers_written > 300 FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
CALL change_some(70);
SELECT crm_profile.alter_source('shop', period => '6 months', cost => 'cost', tier_by => 'profit');
SELECT * FROM refreshed();
CALL change_some(30);

-- kept by a refresh of all, and only for readers who may read all
SELECT crm_profile.alter_source('shop', period => NULL);
SELECT customers_written >= 0 FROM crm_profile.refresh('shop');
SELECT part, as_of = (SELECT d.as_of FROM shop.source_definition d) AS of_the_day FROM shop.kept_figures ORDER BY part COLLATE "C";
SELECT kept_is_true();
CREATE ROLE regress_kept_reader;
GRANT USAGE ON SCHEMA shop TO regress_kept_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_kept_reader;
SET ROLE regress_kept_reader;
SELECT count(*) FROM shop.kept_figures;
RESET ROLE;
-- orders of people whom the customer table does not have: the owner's
GRANT SELECT ON customer TO regress_kept_reader;
SET ROLE regress_kept_reader;
SELECT part FROM shop.kept_figures ORDER BY part COLLATE "C";
SELECT md5(counted()) AS kept \gset
RESET ROLE;
BEGIN;
DELETE FROM shop.kept_figures;
SET LOCAL ROLE regress_kept_reader;
SELECT md5(counted()) = :'kept' AS same;
ROLLBACK;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY a_tenth ON customer USING (id % 10 = 0);
SET ROLE regress_kept_reader;
SELECT (SELECT count(*) FROM shop.kept_figures) AS kept, (SELECT sum(customers) < 60 FROM shop.segment_summary_details) AS summary, (SELECT sum(customers) < 60 FROM shop.rfm_grid) AS grid, (SELECT sum(customers) < 60 FROM shop.segment_migration) AS moves,
	(SELECT sum(customers) < 60 FROM shop.cohort_retention WHERE months = 0) AS cohorts, (SELECT customers < 60 FROM shop.revenue_forecast WHERE part = 'customers so far') AS forecast;
RESET ROLE;
DROP POLICY a_tenth ON customer;
ALTER TABLE customer DISABLE ROW LEVEL SECURITY;
-- a policy of the DBA's on a table of the source
CREATE POLICY fewer ON shop.customer_history AS RESTRICTIVE USING (customer % 10 = 0);
SET ROLE regress_kept_reader;
SELECT count(*) FROM shop.kept_figures;
RESET ROLE;
DROP POLICY fewer ON shop.customer_history;
-- no right to what they count
REVOKE SELECT ON shop.stored_profile FROM regress_kept_reader;
SET ROLE regress_kept_reader;
SELECT count(*) FROM shop.kept_figures;
RESET ROLE;
DROP OWNED BY regress_kept_reader;
DROP ROLE regress_kept_reader;
-- nothing happened: it stays; some customers: it goes
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT count(*) FROM shop.kept_figures;
INSERT INTO orders VALUES (7, '2025-01-01', 5, NULL);
SELECT * FROM refreshed();
SELECT count(*), kept_is_true() FROM shop.kept_figures;
INSERT INTO orders VALUES (9, '2025-01-01', 5, NULL);
SELECT * FROM refreshed();
SELECT count(*) FROM shop.kept_figures;
SELECT crm_profile.alter_source('shop', period => '6 months');
SELECT kept_is_true();

-- forgotten
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 3);
SELECT count(*) FROM shop.kept_figures;
SELECT * FROM refreshed();
SELECT count(*) FROM pg_index WHERE indrelid = 'shop.stored_profile'::regclass;
SELECT crm_profile.drop_source('shop');
-- one value is positive no more, and with it the lowest decile begins nowhere: the decile of those below is another, though nothing of theirs changed
TRUNCATE orders, customer, visit;
INSERT INTO customer SELECT generate_series(1, 20);
INSERT INTO orders SELECT i, date '2025-01-01' + i, 10, CASE WHEN i <= 2 THEN 12 ELSE 10 - i * 0.1 END FROM generate_series(1, 20) i;
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', ordered_at => 'day', amount => 'amount', cost => 'cost', order_customer => 'customer_id',
	as_of => '2025-03-01', tier_by => 'profit', materialize => true, track_changes => 'keys', refit_share => 1, clv_model => 'bg/nbd');
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT customer, value_decile FROM shop.customer_profile WHERE customer IN (1, 3) ORDER BY customer;
UPDATE orders SET cost = 11 WHERE customer_id = 3;
SELECT * FROM refreshed();
SELECT customer, value_decile FROM shop.customer_profile WHERE customer IN (1, 3) ORDER BY customer;
SELECT crm_profile.drop_source('shop');
DROP PROCEDURE change_some;
DROP FUNCTION refreshed, counted, kept_is_true;
DROP TABLE customer, orders, visit;
