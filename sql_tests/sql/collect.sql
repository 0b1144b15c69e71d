-- collect_purchase_histories: the same as the aggregate, from any query, for keys of any type, with any memory
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA collect;
SET search_path = collect, crm_profile, public;
\i :load
SET DateStyle = ISO;
SET TimeZone = 'America/St_Johns';

CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e');
CREATE DOMAIN customer_number AS int CHECK (VALUE > 0);
CREATE TABLE purchase AS
SELECT *, ordered_at AS stamp, ordered_at::date AS day, ordered_at AT TIME ZONE 'Europe/London' AS moment,
	CASE WHEN order_id NOT LIKE '%3' THEN round(amount * 0.6, customer % 7) END AS cost FROM orders;

-- all rows by GROUP BY and by the bulk function: how many keys, and how many differ
CREATE FUNCTION compare(key anyelement, expression text, columns text DEFAULT 'day, amount', relation text DEFAULT 'purchase',
	OUT keys bigint, OUT different bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE c.history IS DISTINCT FROM a.history) FROM
		(SELECT %1$s AS customer, purchase_history_agg(%2$s) AS history FROM %3$s WHERE %1$s IS NOT NULL GROUP BY 1) a
		FULL JOIN (SELECT * FROM collect_purchase_histories(NULL::%5$s, %4$L)) c ON a.customer = c.customer',
		expression, columns, relation, format('SELECT %s AS customer, %s FROM %s', expression, columns, relation), pg_typeof(key)) INTO keys, different;
END $$;

SELECT 'date' AS what, * FROM compare(NULL::int, 'customer')
UNION ALL SELECT 'timestamp', * FROM compare(NULL::int, 'customer', 'stamp, amount')
UNION ALL SELECT 'timestamptz', * FROM compare(NULL::int, 'customer', 'moment, amount')
UNION ALL SELECT 'cost', * FROM compare(NULL::int, 'customer', 'moment, amount, cost');

-- keys of all kinds, also those whose equal values have different bytes
SELECT 'int2' AS key, * FROM compare(NULL::int2, 'customer::int2')
UNION ALL SELECT 'int8', * FROM compare(NULL::int8, 'customer::int8 * 1000000007')
UNION ALL SELECT 'int8, below zero too', * FROM compare(NULL::int8, '(customer - 15000)::int8')
UNION ALL SELECT 'text', * FROM compare(NULL::text, '''customer '' || customer')
UNION ALL SELECT 'long text', * FROM compare(NULL::text, 'repeat(customer::text, customer % 300)')
UNION ALL SELECT 'varchar', * FROM compare(NULL::varchar, 'customer::varchar(9)')
UNION ALL SELECT 'char(9)', * FROM compare(NULL::bpchar, 'customer::char(9)')
UNION ALL SELECT 'name', * FROM compare(NULL::name, 'customer::text::name')
UNION ALL SELECT 'uuid', * FROM compare(NULL::uuid, 'md5(customer::text)::uuid')
UNION ALL SELECT 'bytea', * FROM compare(NULL::bytea, 'convert_to(customer::text, ''UTF8'')')
UNION ALL SELECT 'numeric', * FROM compare(NULL::numeric, 'round(customer / 7.0, 2)')
UNION ALL SELECT 'numeric of different scales', * FROM compare(NULL::numeric, 'round(customer::numeric, length(order_id) + extract(hour FROM stamp)::int)')
UNION ALL SELECT 'float8', * FROM compare(NULL::float8, 'CASE customer % 7 WHEN 0 THEN ''NaN'' WHEN 1 THEN sign(amount)::float8 * 0 ELSE sqrt(customer::float8) END')
UNION ALL SELECT 'date', * FROM compare(NULL::date, 'day')
UNION ALL SELECT 'timestamptz', * FROM compare(NULL::timestamptz, 'moment')
UNION ALL SELECT 'interval', * FROM compare(NULL::interval, 'CASE WHEN amount > 100 THEN interval ''1 month'' ELSE interval ''30 days'' END * (customer % 50)')
UNION ALL SELECT 'boolean', * FROM compare(NULL::boolean, 'customer > 15000')
UNION ALL SELECT 'enum', * FROM compare(NULL::mood, '(ARRAY[''a'', ''b'', ''c'', ''d'', ''e'']::mood[])[customer % 5 + 1]')
UNION ALL SELECT 'array', * FROM compare(NULL::int[], 'ARRAY[customer / 100, NULL, customer % 100]')
UNION ALL SELECT 'jsonb', * FROM compare(NULL::jsonb, 'jsonb_build_object(''id'', customer)')
UNION ALL SELECT 'range', * FROM compare(NULL::int4range, 'int4range(customer / 2, customer)')
UNION ALL SELECT 'domain', * FROM compare(NULL::customer_number, 'customer::customer_number');

-- queries of all kinds
CREATE TABLE parts (LIKE purchase) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2011-06-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2011-06-01') TO (MAXVALUE);
INSERT INTO parts SELECT * FROM purchase;
CREATE VIEW seen AS SELECT * FROM purchase WHERE country <> 'United Kingdom';
SELECT 'partitioned table' AS of, * FROM compare(NULL::int, 'customer', 'day, amount, cost', 'parts')
UNION ALL SELECT 'view', * FROM compare(NULL::int, 'customer', 'day, amount, cost', 'seen')
UNION ALL SELECT 'join', * FROM compare(NULL::int, 'p.customer', 'p.day, p.amount', 'purchase p JOIN (SELECT DISTINCT customer FROM seen) s USING (customer)')
UNION ALL SELECT 'sub-select', * FROM compare(NULL::int, 'customer', 'day, amount, cost', '(SELECT * FROM purchase ORDER BY md5(order_id) LIMIT 9999) x')
UNION ALL SELECT 'no row', * FROM compare(NULL::int, 'customer', 'day, amount', '(SELECT * FROM purchase WHERE false) x');
SELECT count(*) FROM collect_purchase_histories(NULL::int, 'WITH o AS (SELECT * FROM orders) SELECT customer, ordered_at, amount FROM o');
SELECT * FROM collect_purchase_histories(NULL::int, 'VALUES (1, date ''2025-01-01'', 5.5), (NULL, ''2025-01-01'', 7), (1, NULL, 7), (1, ''2025-01-02'', NULL), (2, NULL, NULL)')
ORDER BY customer;

-- Lines of an order are summed first: with the order's key, lines give the same as orders, in any order of rows
CREATE TABLE line AS
SELECT customer, moment, part * amount + CASE WHEN part = 0.5 THEN 20 WHEN part = 0.2 THEN -20 ELSE 0 END AS amount, part * cost AS cost, order_id
FROM purchase, unnest(ARRAY[0.5, 0.2, 0.3]) part WHERE scale(cost) < 6 OR cost IS NULL;
SELECT count(*) AS customers, count(*) FILTER (WHERE l.history IS DISTINCT FROM o.history) AS different
FROM collect_purchase_histories(NULL::int, 'SELECT customer, moment, amount, order_id AS order_key FROM line ORDER BY md5(order_id || amount)') l
	FULL JOIN (SELECT customer, purchase_history_agg(moment, amount) AS history FROM purchase WHERE customer IS NOT NULL
		AND (scale(cost) < 6 OR cost IS NULL) GROUP BY customer) o USING (customer);

-- keys of orders of all kinds, lines with and without one, adjacent or not
CREATE FUNCTION compare_lines(order_key text, sorted text DEFAULT 'md5(order_id || amount)', OUT customers bigint, OUT different bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('WITH summed AS (SELECT customer, min(moment) AS moment, sum(amount) AS amount FROM line WHERE %1$s IS NOT NULL GROUP BY customer, %1$s
			UNION ALL SELECT customer, moment, amount FROM line WHERE %1$s IS NULL)
		SELECT count(*), count(*) FILTER (WHERE l.history IS DISTINCT FROM o.history)
		FROM collect_purchase_histories(NULL::int, %2$L) l
		FULL JOIN (SELECT customer, purchase_history_agg(moment, amount) AS history FROM summed WHERE customer IS NOT NULL GROUP BY customer) o USING (customer)',
		order_key, format('SELECT customer, moment, amount, %s AS order_key FROM line ORDER BY %s', order_key, sorted)) INTO customers, different;
END $$;
CREATE TABLE order_keys AS SELECT * FROM unnest(ARRAY['order_id', 'hashtext(order_id)', 'hashtext(order_id)::bigint', 'md5(order_id)::uuid', 'substr(order_id, 2, 4)::numeric',
	'order_id::bpchar', 'nullif(order_id, left(order_id, 5) || 3)']) WITH ORDINALITY k (key, n);
SELECT key, c.* FROM order_keys, LATERAL compare_lines(key) c ORDER BY n;
SELECT key, c.* FROM order_keys, LATERAL compare_lines(key, 'order_id') c WHERE n <= 2 ORDER BY n;
-- with a period: the day of an order is that of its earliest line
SELECT count(*) AS customers, count(*) FILTER (WHERE (l.recency, l.frequency, l.monetary, l.cell) IS DISTINCT FROM (o.recency, o.frequency, o.monetary, o.cell)) AS different
FROM rfm_scores(NULL::int, 'SELECT customer, moment::date + (amount * 100)::int % 60, amount, order_id AS order_key FROM line ORDER BY md5(order_id || amount)', '2011-11-30', period => '200 days') l
	FULL JOIN rfm_scores(NULL::int, 'SELECT customer, min(moment::date + (amount * 100)::int % 60), sum(amount) FROM line GROUP BY customer, order_id', '2011-11-30', period => '200 days') o USING (customer);

-- rows that come in the order of their customers, up or down, and to some point only
CREATE TABLE sorted_by AS SELECT * FROM unnest(ARRAY['customer', 'customer DESC', 'customer + 1000 * (customer % 2)', 'nullif(customer, 14911)', 'customer::text COLLATE "C"', 'md5(customer::text)::uuid DESC']) WITH ORDINALITY k (sorted, n);
SELECT sorted, c.*, t.*, u.* FROM sorted_by, LATERAL format('(SELECT * FROM purchase ORDER BY %s) p', sorted) r (relation), LATERAL compare(NULL::int, 'customer', 'day, amount, cost', relation) c,
	LATERAL compare(NULL::text, 'customer::text', 'day, amount, cost', relation) t, LATERAL compare(NULL::uuid, 'md5(customer::text)::uuid', 'day, amount', relation) u ORDER BY n;
SELECT sorted, count(*) AS customers, count(*) FILTER (WHERE s IS DISTINCT FROM u) AS different
FROM sorted_by CROSS JOIN LATERAL rfm_scores(NULL::int, format('SELECT customer, day, amount * 10.0 ^ (-customer %% 3) FROM (SELECT * FROM purchase ORDER BY %s) p', sorted), '2011-11-30', amount_scale => 4) s
	FULL JOIN rfm_scores(NULL::int, 'SELECT customer, day, amount * 10.0 ^ (-customer % 3) FROM purchase ORDER BY order_id', '2011-11-30', amount_scale => 4) u USING (customer)
GROUP BY n, sorted ORDER BY n;

-- Little memory: partitions go to temporary files and come back the same
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT 'date' AS what, * FROM compare(NULL::int, 'customer')
UNION ALL SELECT 'cost', * FROM compare(NULL::int, 'customer', 'moment, amount, cost')
UNION ALL SELECT 'text', * FROM compare(NULL::text, 'repeat(customer::text, customer % 300)', 'day, amount, cost')
UNION ALL SELECT 'numeric', * FROM compare(NULL::numeric, 'round(customer::numeric, length(order_id) + extract(hour FROM stamp)::int)');
SELECT count(*) AS customers, count(*) FILTER (WHERE l.history IS DISTINCT FROM o.history) AS different
FROM collect_purchase_histories(NULL::int, 'SELECT customer, moment, amount, order_id AS order_key FROM line ORDER BY md5(order_id || amount)') l
	FULL JOIN (SELECT customer, purchase_history_agg(moment, amount) AS history FROM purchase WHERE customer IS NOT NULL
		AND (scale(cost) < 6 OR cost IS NULL) GROUP BY customer) o USING (customer);
RESET work_mem;
RESET hash_mem_multiplier;

-- Errors, and their wording
SELECT collect_purchase_histories(NULL, 'SELECT 1, date ''2025-01-01'', 5');
SELECT collect_purchase_histories(NULL::int, NULL);
SELECT collect_purchase_histories(NULL::int, '');
SELECT collect_purchase_histories(NULL::int, 'SELECT 1; SELECT 2');
SELECT collect_purchase_histories(NULL::int, 'DELETE FROM orders RETURNING customer, ordered_at, amount');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount INTO copy FROM orders');
SELECT collect_purchase_histories(NULL::int, 'WITH d AS (DELETE FROM orders RETURNING *) SELECT customer, ordered_at, amount FROM d');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount FROM orders FOR UPDATE');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount FROM (SELECT * FROM orders FOR SHARE) o');
SELECT collect_purchase_histories(NULL::int, 'COMMIT');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount FROM no_such_table');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at FROM orders');
SELECT collect_purchase_histories(NULL::bigint, 'SELECT customer, ordered_at, amount FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, order_id, amount FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, country FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount, country AS cost FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount, amount AS cost, amount AS cost FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT customer, ordered_at, amount, point(1, 2) AS order_key FROM orders');
SELECT collect_purchase_histories(NULL::point, 'SELECT point(1, 2), ordered_at, amount FROM orders');
SELECT collect_purchase_histories(NULL::int, 'SELECT 1, date ''infinity'', 5');
SELECT collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', numeric ''NaN''');
SELECT collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', 0.1234567');
SELECT collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', 5e18::numeric FROM generate_series(1, 2)');
SELECT count(*) FROM orders;

SET client_min_messages = warning;
DROP SCHEMA collect CASCADE;
