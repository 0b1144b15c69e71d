-- Two ways from orders to histories: rows collected here, or aggregates computed where the rows of a distributed table are.
-- Both must give the same histories, byte for byte, and these must agree with plain SQL.
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA shop;
SET search_path = shop;
-- order lines, with everything missing that can be; orders cross midnight, especially in other time zones
CREATE TABLE customer (id int PRIMARY KEY);
INSERT INTO customer SELECT generate_series(1, 40);
CREATE TABLE line (customer_id int, doc int, sold_at timestamptz, sold_local timestamp, sold_on date, price numeric, weight float8, pieces int, cost numeric);
INSERT INTO line
	SELECT NULLIF(i * i % 41, 0), NULLIF(i / 3 % 500, 17), NULLIF(t, '2025-01-08 07:00Z'), t AT TIME ZONE 'UTC', (t AT TIME ZONE 'UTC')::date,
		CASE WHEN i % 29 > 0 THEN (i * 7919 % 10007 - 1500)::numeric / 10 ^ (i % 5) END, (i * 7919 % 10007 - 1500) / 37.0, i * 31 % 19 - 3, CASE WHEN i % 3 = 0 THEN i % 50 END
	FROM (SELECT i, timestamptz '2025-01-01 00:00Z' + i * interval '25 minutes' AS t FROM generate_series(1, 6000) i) g;

-- differences(source): customers by both ways, how many differ, and how many there should be
CREATE FUNCTION differences(source_name text) RETURNS TABLE (customers bigint, different bigint, expected bigint) LANGUAGE plpgsql AS $$
DECLARE
	src crm_profile.source_definition;
BEGIN
	PERFORM crm_profile.refresh(source_name);
	src := crm_profile_internal.source_of(source_name);
	RETURN QUERY EXECUTE format('SELECT count(*), count(*) FILTER (WHERE (a.history::text = c.history::text) IS NOT TRUE),
			(SELECT count(DISTINCT customer) FROM (%s) o WHERE customer IS NOT NULL AND ordered_at IS NOT NULL AND amount IS NOT NULL)
		FROM %I.customer_history c FULL JOIN (%s) a USING (customer)', src.orders_query, src.name, crm_profile_internal.source_aggregate_query(src));
END $$;

-- rows are orders: exact amounts, integers, rounded floats; dates, local times, and times that a zone turns into days
SELECT count(*) FROM crm_profile.create_source('exact', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_on', amount => 'price', as_of => '2025-12-31');
SELECT * FROM differences('exact');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT count(*) FROM crm_profile.create_source('integers', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_local', amount => 'pieces', cost => 'pieces / 2', as_of => '2025-12-31');
SELECT * FROM differences('integers');
SELECT count(*) FROM crm_profile.create_source('floats', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'weight', cost => 'cost',
	time_zone => 'Pacific/Chatham', order_filter => 'pieces <> 0 AND sold_on < ''2025-04-01''', as_of => '2025-12-31');
SELECT * FROM differences('floats');
-- a customer key of another type, an order table that is a query
SELECT count(*) FROM crm_profile.create_source('texts', 'customer', 'SELECT l.*, l.customer_id::smallint AS short FROM line l JOIN customer c ON c.id = l.customer_id', order_customer => 'short',
	ordered_at => 'sold_at', amount => 'price', amount_scale => 1, time_zone => 'America/Los_Angeles', as_of => '2025-12-31');
SELECT * FROM differences('texts');
-- rows are order lines: summed by order, lines without a number by themselves; costs on some lines of an order only
SELECT count(*) FROM crm_profile.create_source('lines', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'price', order_key => 'doc',
	time_zone => 'Asia/Kathmandu', as_of => '2025-12-31');
SELECT * FROM differences('lines');
SELECT count(*) FROM crm_profile.create_source('costs', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'weight', cost => 'cost', order_key => 'doc',
	time_zone => 'Asia/Kathmandu', as_of => '2025-12-31');
SELECT * FROM differences('costs');
-- the same by plain SQL
SELECT count(*) AS customers, count(*) FILTER (WHERE (p.frequency, p.monetary, p.profit, p.last_purchase) IS DISTINCT FROM (t.frequency, t.monetary, t.profit, t.last_purchase)) AS different
FROM costs.customer_profile p JOIN (
	SELECT customer_id, count(*) FILTER (WHERE amount >= 0) AS frequency, sum(amount) AS monetary, sum(covered) - sum(cost) AS profit, max(day) FILTER (WHERE amount >= 0) AS last_purchase
	FROM (SELECT customer_id, min((sold_at AT TIME ZONE 'Asia/Kathmandu')::date) AS day, sum(round(weight::numeric, 2)) AS amount,
			sum(round(weight::numeric, 2)) FILTER (WHERE cost IS NOT NULL) AS covered, sum(cost) AS cost
		FROM (SELECT *, coalesce(doc::text, 'row ' || ctid) AS order_no FROM line WHERE customer_id IS NOT NULL AND sold_at IS NOT NULL) l GROUP BY customer_id, order_no) o
	GROUP BY customer_id) t ON t.customer_id = p.customer;
-- nothing to aggregate
SELECT count(*) FROM crm_profile.create_source('empty', 'customer', 'line', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'price', order_filter => 'false', order_key => 'doc');
SELECT * FROM differences('empty');
-- nothing is distributed here: the rows are collected
SELECT DISTINCT crm_profile_internal.source_history_query(s.definition) FROM crm_profile_internal.source_list() s;

-- the tables and types that a query reads, also through views; it is not run
CREATE VIEW behind AS SELECT doc, 1 / (doc - doc) AS never FROM line;
SELECT ARRAY(SELECT r::regclass FROM unnest(relations) r ORDER BY 1) AS relations, column_types::regtype[] FROM crm_profile_internal.describe_query('SELECT never, id::text::varchar(3) FROM shop.behind, shop.customer');
SELECT * FROM crm_profile_internal.describe_query('DELETE FROM shop.line');
SELECT * FROM crm_profile_internal.describe_query('SELECT 1; SELECT 2');
SELECT * FROM crm_profile_internal.describe_query('');
SELECT * FROM crm_profile_internal.describe_query('SELECT nothing');

-- without a label there are no lines of progress
SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT customer_id, sold_on, price FROM shop.line', NULL);
DO $$ DECLARE s text; BEGIN FOR s IN SELECT name FROM crm_profile.sources LOOP PERFORM crm_profile.drop_source(s); END LOOP; END $$;
DROP SCHEMA shop CASCADE;
