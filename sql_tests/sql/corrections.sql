-- corrections leave_out_above and refunds, against orders corrected step by step: by a stack for each customer and amount
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE TABLE customer (id integer PRIMARY KEY);
INSERT INTO customer SELECT generate_series(1, 60);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id integer, at timestamp, amount numeric);
SELECT setseed(0.5) \g /dev/null
-- few amounts and days, so that many refunds find an order, some several, some none; also some without a customer, and of nothing
INSERT INTO orders (customer_id, at, amount) SELECT NULLIF(floor(random() * 61)::integer, 0), timestamp '2024-01-01' + floor(random() * 120) * interval '7 hours',
	(ARRAY[10, 20, 20.5, 30, 900, 0])[1 + floor(random() * 6)::integer] * CASE WHEN random() < 0.35 THEN -1 ELSE 1 END FROM generate_series(1, 3000);
CREATE TABLE corrected (id integer PRIMARY KEY, customer_id integer, day date, amount numeric, mate integer);
CREATE FUNCTION correct_orders(leave_out_above numeric) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o orders;
	other integer;
BEGIN
	TRUNCATE corrected;
	FOR o IN SELECT * FROM orders WHERE abs(amount) <= leave_out_above ORDER BY at, amount DESC, id LOOP
		other := NULL;
		IF o.amount < 0 AND o.customer_id IS NOT NULL THEN
			-- the latest order of that amount that no refund has cancelled yet
			SELECT c.id INTO other FROM corrected c JOIN orders r ON r.id = c.id WHERE c.customer_id = o.customer_id AND c.amount = -o.amount AND c.mate IS NULL ORDER BY r.at DESC, c.id DESC LIMIT 1;
			UPDATE corrected SET mate = o.id WHERE id = other;
		END IF;
		INSERT INTO corrected VALUES (o.id, o.customer_id, o.at::date, o.amount, other);
	END LOOP;
	RETURN (SELECT count(*) FROM corrected WHERE mate IS NOT NULL);
END $$;
CREATE FUNCTION differ(expected text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	found bigint;
BEGIN
	PERFORM crm_profile.refresh('shop');
	EXECUTE format('SELECT count(*) FROM (SELECT e.customer_id AS customer, crm_profile.purchase_history_agg(e.day, e.amount) AS history FROM (%s) e WHERE e.customer_id IS NOT NULL GROUP BY 1) n
		FULL JOIN shop.customer_history h USING (customer) WHERE (n.history::text = h.history::text) IS NOT TRUE', expected) INTO found;
	RETURN found;
END $$;
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', as_of => '2025-01-01', clv_model => 'bg/nbd', corrections => '{"leave_out_above": 100}');
SELECT correct_orders(100) > 400 AS many_are_cancelled;
SELECT differ('SELECT * FROM corrected');
-- a limit is no larger amount
SELECT crm_profile.alter_source('shop', corrections => '{"leave_out_above": 30}');
SELECT differ('SELECT * FROM corrected');
SELECT crm_profile.alter_source('shop', corrections => '{"leave_out_above": 20}');
SELECT correct_orders(20) > 100;
SELECT differ('SELECT * FROM corrected');
-- the refund counts on the day of its order
SELECT crm_profile.alter_source('shop', corrections => '{"refunds": "pair"}');
SELECT correct_orders(1000) > 400;
SELECT differ('SELECT c.id, c.customer_id, coalesce(CASE WHEN c.amount < 0 THEN m.day END, c.day) AS day, c.amount FROM corrected c LEFT JOIN corrected m ON m.id = c.mate');
-- both are left out
SELECT crm_profile.alter_source('shop', corrections => '{"refunds": "cancel"}');
SELECT differ('SELECT c.* FROM corrected c WHERE c.mate IS NULL');
-- one after the other: what is left out cancels nothing
SELECT crm_profile.alter_source('shop', corrections => '{"refunds": "pair", "leave_out_above": 25}');
SELECT correct_orders(25) > 300;
SELECT differ('SELECT c.id, c.customer_id, coalesce(CASE WHEN c.amount < 0 THEN m.day END, c.day) AS day, c.amount FROM corrected c LEFT JOIN corrected m ON m.id = c.mate');
-- the same while changes are tracked
SELECT crm_profile.alter_source('shop', track_changes => 'keys', keep_history_before => '-infinity');
SELECT differ('SELECT c.id, c.customer_id, coalesce(CASE WHEN c.amount < 0 THEN m.day END, c.day) AS day, c.amount FROM corrected c LEFT JOIN corrected m ON m.id = c.mate');
UPDATE orders SET amount = -amount WHERE customer_id IN (3, 4) AND id % 2 = 0;
DELETE FROM orders WHERE customer_id = 5 AND amount < 0;
SELECT correct_orders(25) > 300;
SELECT differ('SELECT c.id, c.customer_id, coalesce(CASE WHEN c.amount < 0 THEN m.day END, c.day) AS day, c.amount FROM corrected c LEFT JOIN corrected m ON m.id = c.mate');
SELECT crm_profile.drop_source('shop');
DROP TABLE customer, orders, corrected;
DROP FUNCTION correct_orders(numeric), differ(text);
