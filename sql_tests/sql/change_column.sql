-- track_changes => 'column …': where triggers are impossible, a time in the orders that moves forward shows most changes
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
-- without JIT: each of many refreshes would be compiled again
SET jit = off;
CREATE TABLE customer (id bigint PRIMARY KEY);
CREATE TABLE invoice (id serial PRIMARY KEY, customer_id integer, day date, "changed At" timestamptz DEFAULT clock_timestamp());
CREATE TABLE line (invoice_id integer REFERENCES invoice ON DELETE CASCADE, price numeric(10,2));
CREATE VIEW orders AS SELECT i.customer_id, i.day, l.price, i."changed At", i.id FROM invoice i JOIN line l ON l.invoice_id = i.id;
CREATE INDEX ON invoice (customer_id);
CREATE INDEX ON line (invoice_id);
INSERT INTO customer SELECT generate_series(1, 100);
INSERT INTO invoice (customer_id, day, "changed At") SELECT 1 + i % 90, date '2024-01-01' + i * 7 % 500, timestamptz '2025-06-01' + i * interval '1 hour' FROM generate_series(1, 1500) i;
INSERT INTO line SELECT i, 1 + i % 83 FROM generate_series(1, 1500) i;
CREATE FUNCTION refreshed(OUT text) LANGUAGE plpgsql AS $$
DECLARE
	done record;
	was text := (SELECT tracking ->> 'read_all_at' FROM shop.source_definition);
BEGIN
	SELECT * INTO done FROM crm_profile.refresh('shop');
	SELECT format('%s: %s written, %s removed; %s differ', CASE WHEN tracking ->> 'read_all_at' = was THEN 'changes' ELSE 'all, for ' || (tracking ->> 'read_all') END, done.customers_written, done.customers_removed,
			(SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::bigint, 'SELECT customer_id::bigint, day, price, id AS order_key FROM orders') n
				FULL JOIN shop.customer_history h USING (customer) WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE))
		INTO $1 FROM shop.source_definition;
END $$;
-- a join gives no keys
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', order_customer => 'customer_id', amount => 'price', ordered_at => 'day', order_key => 'id', track_changes => 'keys');
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', order_customer => 'customer_id', amount => 'price', ordered_at => 'day', order_key => 'id', track_changes => 'column changed_at');
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', order_customer => 'customer_id', amount => 'price', ordered_at => 'day', order_key => 'id', track_changes => 'column price');
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', order_customer => 'customer_id', amount => 'price', ordered_at => 'day', order_key => 'id', track_changes => 'column changed At',
	as_of => '2025-10-01', clv_model => 'bg/nbd');
SELECT track_changes, changes_exact, changes_queued FROM crm_profile.sources_details;
SELECT refreshed();
SELECT refreshed();
-- new orders, and orders changed together with their time; also within the overlap
INSERT INTO invoice VALUES (1501, 95, '2025-03-01');
INSERT INTO invoice VALUES (1502, 3, '2025-03-01', timestamptz '2025-06-01' + interval '1499 hours 30 minutes');
INSERT INTO line VALUES (1501, 10), (1501, 20), (1502, 5);
SELECT refreshed();
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
UPDATE invoice SET customer_id = 96, "changed At" = clock_timestamp() WHERE id = 1501;
UPDATE line SET price = price + 1 WHERE invoice_id = 1501;
-- an order's new customer is found; the old one only after a week, like deleted orders
SELECT refreshed();
DELETE FROM invoice WHERE id = 5;
SELECT refreshed();
UPDATE shop.source_definition SET tracking = tracking || jsonb_build_object('read_all_at', clock_timestamp() - interval '8 days');
SELECT refreshed();
-- a time in the future hides nothing
INSERT INTO invoice VALUES (1503, 4, '2025-03-01', '2999-01-01');
INSERT INTO line VALUES (1503, 5);
SELECT refreshed();
INSERT INTO invoice VALUES (1504, 5, '2025-03-01');
INSERT INTO line VALUES (1504, 5);
SELECT refreshed();
-- orders without a customer; a customer who is forgotten
INSERT INTO invoice VALUES (1505, NULL, '2025-03-01');
INSERT INTO line VALUES (1505, 5);
SELECT refreshed();
SELECT crm_profile.monetary(unassigned, '2025-10-01') FROM shop.model ORDER BY id DESC LIMIT 1;
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 7);
SELECT refreshed();
-- too many
UPDATE invoice SET day = day + 1, "changed At" = clock_timestamp();
SELECT refreshed();
SELECT crm_profile.alter_source('shop', track_changes => 'column day');
SELECT refreshed();
INSERT INTO invoice VALUES (1506, 8, current_date);
INSERT INTO line VALUES (1506, 5);
SELECT refreshed();
SELECT crm_profile.drop_source('shop');
DROP FUNCTION refreshed();
DROP VIEW orders;
DROP TABLE line, invoice, customer;
