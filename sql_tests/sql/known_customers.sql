-- Who counts: thresholds, tiers and models are those of the customers in the customer table, however it and the orders change; every amount is shown once
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET jit = off;
CREATE TABLE customer (id integer, city text, seen_at timestamptz);
CREATE UNIQUE INDEX customer_id ON customer (id);
CREATE TABLE orders (customer_id integer, day date, amount numeric(10,2));
CREATE INDEX ON orders (customer_id);
INSERT INTO customer SELECT i, CASE i % 3 WHEN 0 THEN 'Bonn' ELSE 'Trier' END FROM generate_series(1, 1000) i;
INSERT INTO orders SELECT 1 + i * 7 % 1100, date '2024-01-01' + i * 11 % 500, 1 + i * 13 % 83 FROM generate_series(1, 5000) i;
INSERT INTO orders VALUES (5000, '2024-03-01', -7), (20, '2023-01-01', -5), (NULL, '2024-05-05', 40);
DELETE FROM orders WHERE customer_id = 20 AND amount > 0;

-- what is wrong with a source, by plain SQL: each line of segment_summary against the ledger, and thresholds against a fit to known customers
CREATE FUNCTION wrong(source text, orders_sql text, customers_sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format($sql$WITH o AS (%2$s), c AS (%3$s),
		buyer AS (SELECT o.customer, sum(o.amount) AS amount, max(o.amount) >= 0 AS bought, o.customer IN (SELECT c.customer FROM c) AS known FROM o GROUP BY o.customer),
		line AS (SELECT CASE WHEN s.segment IN ('(refunds only)', '(unknown customer)', '(no customer)') THEN s.segment ELSE 'customers' END AS line, sum(s.customers)::bigint AS customers, sum(s.monetary) AS amount FROM %1$I.segment_summary s GROUP BY 1),
		counted AS (SELECT h.history FROM crm_profile.collect_purchase_histories(NULL::integer, %4$L) h WHERE (SELECT d.count_unknown FROM %1$I.source_definition d) OR h.customer IN (SELECT c.customer FROM c))
		SELECT concat_ws(', ',
			CASE WHEN (SELECT sum(l.amount) FROM line l) IS DISTINCT FROM (SELECT sum(o.amount) FROM o) THEN 'segment_summary' END,
			CASE WHEN (SELECT sum(p.amount) FROM %1$I.purchase_calendar p) IS DISTINCT FROM (SELECT sum(o.amount) FROM o) THEN 'purchase_calendar' END,
			CASE WHEN (SELECT sum(p.orders) FROM %1$I.purchase_calendar p) IS DISTINCT FROM (SELECT count(*) FROM o WHERE o.amount >= 0) THEN 'number of orders' END,
			CASE WHEN (SELECT sum(p.monetary) FROM %1$I.customer_profile p) IS DISTINCT FROM (SELECT sum(b.amount) FROM buyer b WHERE b.known AND b.bought) THEN 'customer_profile' END,
			CASE WHEN (SELECT count(*) FROM %1$I.customer_profile p) <> (SELECT count(*) FROM c) THEN 'customers' END,
			CASE WHEN (SELECT (l.customers, l.amount) FROM line l WHERE l.line = '(refunds only)') IS DISTINCT FROM (SELECT (count(*), sum(b.amount)) FROM buyer b WHERE b.known AND NOT b.bought HAVING count(*) > 0) THEN 'refunds only' END,
			CASE WHEN (SELECT (l.customers, l.amount) FROM line l WHERE l.line = '(unknown customer)') IS DISTINCT FROM (SELECT (count(*), sum(b.amount)) FROM buyer b WHERE b.customer IS NOT NULL AND NOT b.known HAVING count(*) > 0) THEN 'unknown customers' END,
			CASE WHEN (SELECT coalesce(sum(s.customers), 0) FROM %1$I.segment_migration s) IS DISTINCT FROM (SELECT count(*) FROM buyer b, %1$I.source_definition d WHERE b.customer IS NOT NULL AND (b.known OR d.count_unknown)) THEN 'segment_migration' END,
			CASE WHEN (SELECT l.amount FROM line l WHERE l.line = '(no customer)') IS DISTINCT FROM (SELECT sum(o.amount) FROM o WHERE o.customer IS NULL) THEN 'no customer' END,
			CASE WHEN m.rfm::text IS DISTINCT FROM (SELECT crm_profile.rfm_fit(k.history, m.as_of, 5)::text FROM counted k) THEN 'thresholds' END,
			CASE WHEN (SELECT ((m.a_from, m.b_from, m.deciles) IS DISTINCT FROM ((b.base).a_from, (b.base).b_from, (b.base).deciles)) OR m.active_days <> coalesce((b.base).active_days, 90)
				FROM (SELECT crm_profile.customer_base_fit(k.history, m.as_of, NULL, false) AS base FROM counted k) b) THEN 'tiers' END,
			CASE WHEN ((d.customer_base).customers, (d.customer_base).orders, m.oldest_order, m.newest_order) IS DISTINCT FROM
				(SELECT (count(DISTINCT o.customer), count(*) FILTER (WHERE o.amount >= 0), min(o.ordered_at) FILTER (WHERE o.amount >= 0), max(o.ordered_at) FILTER (WHERE o.amount >= 0)) FROM o WHERE o.customer IS NOT NULL) THEN 'counts' END)
		FROM %1$I.source_definition d, %1$I.model m ORDER BY m.id DESC LIMIT 1$sql$, source, orders_sql, customers_sql, orders_sql) INTO found;
	RETURN coalesce(NULLIF(found, ''), 'nothing');
END $$;
CREATE FUNCTION wrong(source text) RETURNS text LANGUAGE sql AS $$
	SELECT wrong(source, 'SELECT customer_id AS customer, day AS ordered_at, amount FROM orders', 'SELECT id AS customer FROM customer') $$;

SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', customer_key => 'id', as_of => '2025-12-31', track_changes => 'keys', refit_share => 1, clv_model => 'bg/nbd', attributes => '{city}');
SELECT orders, customers FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT wrong('shop');
SELECT count(*), min(customer), max(customer) FROM shop.unknown_customer;
-- what is noted of a customer: arrival, departure, another key, another attribute; nothing that no figure depends on
UPDATE customer SET seen_at = '2025-01-01';
SELECT count(*) FROM shop.customer_queue WHERE marker IS NULL;
UPDATE customer SET city = 'Bonn' WHERE id IN (1, 3);
INSERT INTO customer VALUES (1005, 'Trier');
DELETE FROM customer WHERE id = 7;
UPDATE customer SET id = 3000 WHERE id = 8;
SELECT ARRAY(SELECT unnest(customers) ORDER BY 1) FROM (SELECT array_agg(k ORDER BY k) AS customers FROM shop.customer_queue q, unnest(q.customers) k) q;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT refresh_phases ? 'refit' FROM crm_profile.sources_details;
SELECT wrong('shop');
-- a new customer with orders; orders of a deleted one; both at once
INSERT INTO customer VALUES (6000, 'Bonn');
INSERT INTO orders VALUES (6000, '2025-05-05', 500), (7, '2025-05-05', 500), (6001, '2025-05-05', 900);
-- before the refresh
SELECT wrong('shop');
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT refresh_phases ? 'refit', wrong('shop') FROM crm_profile.sources_details;
DELETE FROM customer WHERE id = 6000;
INSERT INTO customer VALUES (6001, 'Bonn');
DELETE FROM orders WHERE customer_id = 6001;
SELECT customers_written, customers_removed FROM crm_profile.refresh('shop');
SELECT refresh_phases ? 'refit', wrong('shop') FROM crm_profile.sources_details;
-- changes that the queue cannot show are found by looking
ALTER TABLE customer DISABLE TRIGGER ALL;
DELETE FROM customer WHERE id BETWEEN 10 AND 14;
ALTER TABLE customer ENABLE TRIGGER ALL;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
TRUNCATE customer;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
INSERT INTO customer SELECT i, 'Bonn' FROM generate_series(1, 900) i;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
DROP TABLE shop.unknown_customer CASCADE;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
-- count_unknown
SELECT crm_profile.alter_source('shop', count_unknown => true);
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop'), (SELECT count(*) FROM shop.unknown_customer);
INSERT INTO orders VALUES (9999, '2025-05-05', 500);
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
SELECT crm_profile.alter_source('shop', count_unknown => false);
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 9999);
SELECT count(*) FROM shop.unknown_customer WHERE customer = 9999;
-- changed attributes are fitted again once enough have changed
SELECT crm_profile.alter_source('shop', refit_share => 0.02);
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT (tracking ->> 'since_fit')::integer FROM shop.source_definition;
UPDATE customer SET city = 'Trier' WHERE id <= 10;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT (tracking ->> 'since_fit')::integer FROM shop.source_definition;
UPDATE customer SET city = 'Trier' WHERE id <= 30;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT (tracking ->> 'since_fit')::integer FROM shop.source_definition;

-- at random: orders and customers come, go and change
SELECT crm_profile.alter_source('shop', refit_share => 1);
SELECT customers_written FROM crm_profile.refresh('shop');
DO $$
DECLARE
	action integer;
	found text;
	followed integer := 0;
BEGIN
	PERFORM setseed(0.75);
	FOR step IN 1 .. 60 LOOP
		FOR change IN 1 .. 3 LOOP
			action := floor(random() * 7);
			IF action < 2 THEN
				INSERT INTO orders SELECT NULLIF(floor(random() * 1000), 0), date '2024-01-01' + floor(random() * 500)::integer, round((random() * 100 - 20)::numeric, 2) FROM generate_series(1, 3);
			ELSIF action = 2 THEN
				DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders ORDER BY random() LIMIT 2);
			ELSIF action = 3 THEN
				DELETE FROM customer WHERE id = 1 + floor(random() * 1000);
			ELSIF action = 4 THEN
				INSERT INTO customer VALUES (1 + floor(random() * 1000)) ON CONFLICT DO NOTHING;
			ELSIF action = 5 THEN
				UPDATE customer SET id = 10000 + id WHERE id = 1 + floor(random() * 1000);
			ELSE
				UPDATE orders SET customer_id = 1 + floor(random() * 1000) WHERE ctid IN (SELECT ctid FROM orders ORDER BY random() LIMIT 2);
			END IF;
		END LOOP;
		COMMIT;
		PERFORM crm_profile.refresh('shop');
		found := wrong('shop');
		IF found <> 'nothing' THEN
			RAISE EXCEPTION 'step %: %', step, found;
		END IF;
		followed := followed + (NOT (SELECT refresh_phases ? 'refit' FROM crm_profile.sources_details WHERE name = 'shop'))::integer;
		COMMIT;
	END LOOP;
	IF followed < 40 THEN
		RAISE EXCEPTION 'thresholds followed % times alone', followed;
	END IF;
END $$;
SELECT crm_profile.drop_source('shop');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'crm_profile_internal.note_changed_customer'::regproc;

-- a customer table without triggers is read each time, as without tracking
CREATE VIEW people AS SELECT id FROM customer;
SELECT count(*) FROM crm_profile.create_source('shop', 'people', 'orders', customer_key => 'id', as_of => '2025-12-31', track_changes => 'keys', refit_share => 1, clv_model => 'bg/nbd');
SELECT count(*) FROM crm_profile.refresh('shop');
DELETE FROM customer WHERE id % 10 = 3;
INSERT INTO orders VALUES (33, '2025-05-05', 100), (34, '2025-05-05', 100);
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
SELECT crm_profile.alter_source('shop', track_changes => 'none');
SELECT customers_written FROM crm_profile.refresh('shop');
INSERT INTO customer SELECT i FROM generate_series(1, 1000, 10) i ON CONFLICT DO NOTHING;
SELECT customers_written FROM crm_profile.refresh('shop');
SELECT wrong('shop');
SELECT crm_profile.drop_source('shop');
DROP VIEW people;
DROP TABLE orders, customer;

-- Online Retail as it is, with every tenth customer missing from the customer table
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
\i :load
CREATE TABLE customer AS SELECT DISTINCT customer AS id FROM orders WHERE customer % 10 <> 0;
SELECT count(*) FROM crm_profile.create_source('retail', 'customer', 'orders', customer_key => 'id', order_customer => 'customer', ordered_at => 'ordered_at', amount => 'amount', as_of => '2011-12-31', clv_model => 'bg/nbd');
SELECT orders, customers FROM crm_profile.refresh('retail');
SELECT segment, customers, monetary FROM retail.segment_summary WHERE segment ~ '^\((ref|unk|no)';
SELECT wrong('retail', 'SELECT customer, ordered_at::date, amount FROM orders WHERE amount IS NOT NULL', 'SELECT id AS customer FROM customer');
SELECT crm_profile.drop_source('retail');
DROP TABLE orders, customer;
DROP FUNCTION wrong(text), wrong(text, text, text);
