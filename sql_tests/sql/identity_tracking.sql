-- merge_customers together with track_changes: a refresh that reads the orders of some customers ends with the histories of one that reads all, whatever
-- changed: orders, e-mail addresses, customers, decisions in identity_override
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET jit = off;
CREATE TABLE customer (id integer PRIMARY KEY, email text, note text);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id integer, at timestamp, amount numeric);
CREATE INDEX ON orders (customer_id);
SELECT setseed(0.4) \g /dev/null
INSERT INTO customer SELECT i, CASE WHEN i % 3 > 0 THEN format('p%s@example.org', i % 40) END FROM generate_series(1, 120) i;
INSERT INTO orders (customer_id, at, amount) SELECT NULLIF(floor(random() * 130)::integer, 129), timestamp '2024-01-01' + floor(random() * 300) * interval '7 hours', 1 + floor(random() * 40) FROM generate_series(1, 1500);

-- whose orders count for whom, by plain SQL: the least key of an address; the owner's word first, and his persons are merged like others
CREATE VIEW found AS SELECT c.id, g.person FROM customer c
	JOIN (SELECT lower(btrim(email)) AS email, min(id) AS person FROM customer WHERE email <> '' GROUP BY 1 HAVING count(*) BETWEEN 2 AND 10) g ON g.email = lower(btrim(c.email)) WHERE c.id <> g.person;
-- how many histories and persons of a source are others than of orders corrected by plain SQL
CREATE FUNCTION differs(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format($q$WITH said AS (SELECT * FROM %1$I.identity_override),
		whose AS MATERIALIZED (SELECT w.* FROM (SELECT coalesce(s.customer, f.id) AS id, coalesce(n.person, CASE WHEN s.customer IS NULL THEN f.person ELSE s.person END) AS person
			FROM said s FULL JOIN found f ON f.id = s.customer LEFT JOIN found n ON n.id = s.person AND NOT EXISTS (SELECT FROM said x WHERE x.customer = n.id)) w WHERE w.person IS NOT NULL),
		-- customer 7 is a guest
		kept AS (SELECT o.customer_id, o.at, o.amount FROM orders o GROUP BY o.customer_id, o.at, o.amount),
		counted AS (SELECT CASE WHEN k.customer_id <> 7 THEN coalesce(w.person, k.customer_id) END AS customer, k.at::date AS day, k.amount FROM kept k LEFT JOIN whose w ON w.id = k.customer_id),
		fresh AS (SELECT c.customer, crm_profile.purchase_history_agg(c.day, c.amount) AS history FROM counted c GROUP BY 1)
		SELECT format('%%s histories, %%s persons%%s%%s', (SELECT count(*) FROM (SELECT * FROM fresh WHERE customer IS NOT NULL) n FULL JOIN %1$I.customer_history h USING (customer) WHERE (n.history::text = h.history::text) IS NOT TRUE),
			(SELECT count(*) FROM whose w FULL JOIN %1$I.identity_in_use u ON u.customer = w.id WHERE w.person IS DISTINCT FROM u.person),
			CASE WHEN (SELECT history::text FROM fresh WHERE customer IS NULL) IS DISTINCT FROM (SELECT m.unassigned::text FROM %1$I.model m ORDER BY m.id DESC LIMIT 1) THEN ', unassigned' END,
			(SELECT ', unknown: ' || string_agg(coalesce(n.customer, u.customer)::text, ',') FROM (SELECT f.customer FROM fresh f WHERE f.customer IS NOT NULL AND f.customer NOT IN (SELECT c.id FROM customer c)) n FULL JOIN %1$I.unknown_customer u USING (customer)
				WHERE n.customer IS NULL OR u.customer IS NULL))$q$, source) INTO result;
	RETURN result;
END $$;
-- what a refresh read, and what of it is wrong
CREATE FUNCTION refreshed(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	was text;
	now text;
BEGIN
	EXECUTE format('SELECT coalesce(tracking ->> ''marker'', tracking ->> ''read_all_at'') FROM %I.source_definition', source) INTO was;
	PERFORM crm_profile.refresh(source);
	EXECUTE format('SELECT coalesce(tracking ->> ''marker'', tracking ->> ''read_all_at'') FROM %I.source_definition', source) INTO now;
	RETURN CASE WHEN now = was THEN 'changes: ' ELSE 'all: ' END || differs(source);
END $$;
SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', as_of => '2025-10-01', track_changes => 'keys', clv_model => 'bg/nbd', keep_history_before => '-infinity',
	corrections => '{"duplicates": "drop", "guests": ["7"], "merge_customers": true}');
SELECT refreshed('shop');
SELECT count(*) > 20 AS merged FROM shop.identity_in_use;
SELECT refreshed('shop');
-- an order of a second key, one that moves from one to another, and those of a guest and of nobody
SELECT customer, person FROM shop.identity_in_use WHERE customer IN (41, 82) ORDER BY 1;
INSERT INTO orders (customer_id, at, amount) VALUES (82, '2025-01-01', 10), (82, '2025-01-01', 10);
SELECT refreshed('shop');
UPDATE orders SET customer_id = 41 WHERE customer_id = 82;
SELECT refreshed('shop');
INSERT INTO orders (customer_id, at, amount) VALUES (7, '2025-01-02', 11);
SELECT refreshed('shop');
INSERT INTO orders (customer_id, at, amount) VALUES (NULL, '2025-01-02', 12);
SELECT refreshed('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- a guest whom the customer table does not have, either; nor somebody with orders, as long as there are any
DELETE FROM customer WHERE id = 7;
INSERT INTO orders (customer_id, at, amount) VALUES (7, '2025-01-03', 11), (200, '2025-01-03', 11);
SELECT refreshed('shop');
SELECT customer FROM shop.unknown_customer WHERE customer IN (7, 200);
DELETE FROM orders WHERE customer_id = 200;
SELECT refreshed('shop');
-- an address that comes, goes, and joins others; a note that says nothing of it
UPDATE customer SET email = 'P1@example.org ' WHERE id = 3;
SELECT refreshed('shop');
SELECT customers_written FROM crm_profile.refresh('shop');
UPDATE customer SET note = 'x' WHERE id = 3;
SELECT count(*) FROM shop.customer_queue WHERE marker IS NULL;
UPDATE customer SET email = NULL WHERE id IN (1, 2);
SELECT refreshed('shop');
DELETE FROM customer WHERE id = 41;
SELECT refreshed('shop');
-- what the owner decides, for a key, against it, and for somebody who is himself somebody else
INSERT INTO shop.identity_override VALUES (82, NULL, 'brothers'), (5, 80, NULL), (6, 100, NULL), (100, 90, NULL);
SELECT refreshed('shop');
UPDATE shop.identity_override SET person = 4 WHERE customer = 82;
DELETE FROM shop.identity_override WHERE customer = 6;
SELECT refreshed('shop');
-- as soon as it is said, but orders are counted by what the last refresh knew
SELECT person FROM shop.customer_identity WHERE customer = 100;
DELETE FROM shop.identity_override WHERE customer = 100;
SELECT count(*) FROM shop.customer_identity WHERE customer = 100;
SELECT person FROM shop.identity_in_use WHERE customer = 100;
SELECT refreshed('shop');
-- somebody who is forgotten was counted for somebody else
SELECT person FROM shop.identity_in_use WHERE customer = 44;
DELETE FROM orders WHERE customer_id = 44;
DELETE FROM customer WHERE id = 44;
SELECT orders_left FROM crm_profile.forget_customer('shop', 44);
SELECT count(*) FROM shop.identity_in_use WHERE 44 IN (customer, person);
SELECT refreshed('shop');
SELECT refreshed('shop');
-- the index of the orders is used
CREATE FUNCTION plan_of_changes(source text, keys text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	src crm_profile.source_definition;
	plan json;
BEGIN
	EXECUTE format('SELECT * FROM %I.source_definition', source) INTO src;
	src.name := source;
	SET LOCAL enable_seqscan = off;
	EXECUTE 'EXPLAIN (FORMAT json) ' || crm_profile_internal.changed_orders_query(src, keys) INTO plan;
	SET LOCAL enable_seqscan = on;
	RETURN concat(plan::text ~ 'Seq Scan"', ' ', plan::text ~ 'orders_customer_id_idx');
END $$;
SELECT plan_of_changes('shop', '{3,4}');
-- many random steps
DO $$
DECLARE
	step integer;
	part integer;
	said text;
	changes integer := 0;
	refreshes integer := 0;
	one integer;
BEGIN
	PERFORM setseed(0.3);
	FOR step IN 1 .. 250 LOOP
		FOR part IN 1 .. 1 + floor(random() * 3)::integer LOOP
			one := 1 + floor(random() * 125);
			CASE floor(random() * 11)::integer
				WHEN 0 THEN INSERT INTO orders (customer_id, at, amount) SELECT NULLIF(one, 125), timestamp '2024-03-01' + floor(random() * 200) * interval '7 hours', 5 FROM generate_series(1, 2);
				WHEN 1 THEN DELETE FROM orders WHERE customer_id = one AND random() < 0.3;
				WHEN 2 THEN UPDATE orders SET customer_id = 1 + floor(random() * 120) WHERE customer_id = one AND random() < 0.3;
				WHEN 3 THEN UPDATE orders SET amount = amount + 1 WHERE customer_id = one;
				WHEN 4 THEN INSERT INTO orders (customer_id, at, amount) SELECT customer_id, at, amount FROM orders WHERE customer_id = one LIMIT 2;
				WHEN 5 THEN UPDATE customer SET email = format('p%s@example.org', floor(random() * 40)) WHERE id = one;
				WHEN 6 THEN UPDATE customer SET email = NULL WHERE id = one;
				WHEN 7 THEN DELETE FROM customer WHERE id = one;
				WHEN 8 THEN INSERT INTO customer VALUES (one, format('P%s@Example.org', floor(random() * 40))) ON CONFLICT (id) DO NOTHING;
				WHEN 9 THEN INSERT INTO shop.identity_override VALUES (one, NULLIF(1 + floor(random() * 100)::integer, one)) ON CONFLICT (customer) DO UPDATE SET person = excluded.person;
				ELSE DELETE FROM shop.identity_override WHERE random() < 0.2;
			END CASE;
		END LOOP;
		IF random() < 0.6 THEN
			said := refreshed('shop');
			refreshes := refreshes + 1;
			changes := changes + (said ~ '^changes')::integer;
			IF said !~ ': 0 histories, 0 persons$' THEN
				RAISE EXCEPTION 'step %: %', step, said;
			END IF;
		END IF;
	END LOOP;
	IF changes < 0.9 * refreshes OR refreshes < 100 THEN
		RAISE EXCEPTION 'only % of % refreshes read changes', changes, refreshes;
	END IF;
END $$;
SELECT refreshed('shop');
-- without it, and again
SELECT crm_profile.alter_source('shop', corrections => '{"duplicates": "drop", "guests": ["7"]}');
SELECT customers_written > 0 FROM crm_profile.refresh('shop');
INSERT INTO shop.identity_override VALUES (11, 12) ON CONFLICT (customer) DO UPDATE SET person = 12;
SELECT crm_profile.alter_source('shop', corrections => '{"duplicates": "drop", "guests": ["7"], "merge_customers": true}');
SELECT refreshed('shop');
-- a column that moves forward tells the orders; who is who is looked for each time
CREATE TABLE moved AS SELECT *, now() - interval '2 days' AS changed_at FROM orders;
CREATE INDEX ON moved (customer_id);
SELECT count(*) FROM crm_profile.create_source('moved', 'customer', 'moved', ordered_at => 'at', as_of => '2025-10-01', time_zone => 'UTC', track_changes => 'column changed_at', clv_model => 'bg/nbd', keep_history_before => '-infinity',
	corrections => '{"duplicates": "drop", "guests": ["7"], "merge_customers": true}');
INSERT INTO moved.identity_override SELECT * FROM shop.identity_override;
SELECT refreshed('moved');
UPDATE customer SET email = 'p2@example.org' WHERE id IN (9, 12);
DELETE FROM moved.identity_override WHERE customer IN (9, 11, 12);
UPDATE moved SET amount = amount + 1, changed_at = clock_timestamp() WHERE customer_id = 30;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 30;
SELECT refreshed('moved');
SELECT crm_profile.drop_source(name) FROM crm_profile.sources ORDER BY name COLLATE "C";
DROP VIEW found;
DROP TABLE customer, orders, moved;
DROP FUNCTION differs(text), refreshed(text), plan_of_changes(text, text);
