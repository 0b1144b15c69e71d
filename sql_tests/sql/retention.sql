-- If old orders are dropped, the histories keep their days
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
-- without JIT: each of many refreshes would be compiled again
SET jit = off;
CREATE TABLE customer (id bigint PRIMARY KEY);
CREATE TABLE orders (customer_id bigint, day date, amount numeric(10,2)) PARTITION BY RANGE (day);
CREATE TABLE orders_21 PARTITION OF orders FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE orders_22 PARTITION OF orders FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE orders_23 PARTITION OF orders FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE orders_24 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ON orders (customer_id);
INSERT INTO customer SELECT generate_series(1, 130);
INSERT INTO orders SELECT 1 + i * 7 % 120, date '2022-01-01' + i * 2 % 1090, 1 + i % 83 FROM generate_series(1, 3000) i;
-- customers who bought in the first year only; orders without a customer
INSERT INTO orders SELECT 121 + i % 5, date '2022-03-01' + i, 5 FROM generate_series(1, 20) i;
INSERT INTO orders VALUES (NULL, '2022-05-05', 2), (NULL, '2024-05-05', 3);
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', as_of => '2025-01-01', clv_model => 'bg/nbd');
SELECT count(*) FROM crm_profile.create_source('tracked', 'customer', 'orders', as_of => '2025-01-01', clv_model => 'bg/nbd', track_changes => 'keys');
SELECT customers_written FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT customers_written FROM crm_profile.refresh('tracked');
CREATE TABLE was AS SELECT h.* FROM shop.customer_history h;
CREATE FUNCTION kept(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	done record;
	kept text;
BEGIN
	SET LOCAL datestyle = 'ISO';
	SELECT * INTO done FROM crm_profile.refresh(source);
	EXECUTE format('SELECT format(''%%s differ, before %%s; %%s'', count(*), (SELECT concat_ws('' of '', s.kept_before, s.keep_history_before) FROM crm_profile.sources_details s WHERE s.name = $1),
			(SELECT crm_profile.monetary(m.unassigned, ''2025-01-01'') FROM %1$I.model m ORDER BY m.id DESC LIMIT 1))
		FROM was w FULL JOIN %1$I.customer_history h USING (customer) WHERE (w.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE', source) INTO kept USING source;
	RETURN format('%s written, %s removed, %s', done.customers_written, done.customers_removed, kept);
END $$;

SELECT finding, severity, advice, argument FROM shop.data_quality WHERE found_by = 'refresh' AND finding LIKE 'days%';
-- corrections and erasures do not count as that, although the oldest order is among them
INSERT INTO orders VALUES (1, '2021-06-01', 9);
SELECT kept('shop');
SELECT kept('tracked');
DELETE FROM orders WHERE day < '2022-01-01';
SELECT kept('shop');
SELECT kept('tracked');
BEGIN;
INSERT INTO orders VALUES (1, '2021-06-01', 9), (2, '2021-07-01', 9);
SELECT kept('shop');
DELETE FROM orders WHERE customer_id IN (1, 2);
SELECT kept('shop');
ROLLBACK;

-- nor do orders that a filter leaves out
BEGIN;
SELECT crm_profile.alter_source('shop', order_filter => 'day >= ''2023-01-01''');
SELECT kept('shop');
ROLLBACK;

-- a partition is dropped
SET client_min_messages = notice;
DROP TABLE orders_22;
SELECT kept('shop');
SELECT kept('tracked');
SET client_min_messages = error;
SELECT kept('shop');
SELECT kept('tracked');
SELECT finding, severity, advice, argument FROM shop.data_quality WHERE found_by = 'refresh' AND finding LIKE 'days%';
-- later days follow the orders, earlier ones stay, also when changes are tracked
DELETE FROM orders WHERE customer_id = 3;
INSERT INTO orders VALUES (4, '2024-12-01', 7), (121, '2024-12-02', 8);
UPDATE was SET history = crm_profile.as_of(history, '2022-12-31') WHERE customer = 3;
UPDATE was SET history = crm_profile.purchase_history_add(history, CASE customer WHEN 4 THEN date '2024-12-01' ELSE '2024-12-02' END, CASE customer WHEN 4 THEN 7 ELSE 8 END) WHERE customer IN (4, 121);
SELECT kept('shop');
SELECT kept('tracked');
SELECT frequency = crm_profile.frequency((SELECT history FROM was WHERE customer = 121)) FROM crm_profile.profile_now_details('shop', 121);
SELECT monetary FROM shop.segment_summary WHERE segment = '(no customer)';
-- another one
DROP TABLE orders_23;
SELECT kept('shop');
SELECT kept('tracked');
-- a forgotten customer stays forgotten
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 122);
SELECT kept('shop');
SELECT count(*) FROM shop.customer_history WHERE customer = 122;

-- forgotten on purpose
SELECT crm_profile.alter_source('shop', keep_history_before => '-infinity');
SELECT customers_removed, (SELECT count(*) FROM shop.customer_history h WHERE crm_profile.first_purchase(h.history) < '2024-01-01') FROM crm_profile.refresh('shop');
SELECT kept_before, keep_history_before FROM crm_profile.sources_details WHERE name = 'shop';
-- by a given day: earlier days stay, whatever the orders say
SELECT crm_profile.alter_source('shop', keep_history_before => '2024-07-01');
CREATE TABLE before AS SELECT customer, crm_profile.as_of(history, '2024-06-30') AS history FROM shop.customer_history;
UPDATE orders SET amount = amount + 1;
SELECT customers_written > 0 FROM crm_profile.refresh('shop');
SELECT count(*) FROM before b JOIN shop.customer_history h USING (customer) WHERE b.history OPERATOR(crm_profile.<>) crm_profile.as_of(h.history, '2024-06-30');
SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::bigint, 'SELECT customer_id, day, amount FROM orders WHERE day >= ''2024-07-01''') n JOIN shop.customer_history h USING (customer)
	WHERE n.history OPERATOR(crm_profile.<>) (h.history OPERATOR(crm_profile.-) crm_profile.as_of(h.history, '2024-06-30'));
SELECT crm_profile.alter_source('shop', reset => '{keep_history_before}');
SELECT count(*) > 0 FROM crm_profile.refresh('shop');
SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::bigint, 'SELECT customer_id, day, amount FROM orders') n FULL JOIN shop.customer_history h USING (customer)
	WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE;
-- an empty table is not retention
TRUNCATE orders;
SELECT customers_written, customers_removed > 0 FROM crm_profile.refresh('shop');
DO $$ BEGIN PERFORM crm_profile.drop_source(name) FROM crm_profile.sources; END $$;
DROP FUNCTION kept(text);
DROP TABLE orders, customer, was, before;
