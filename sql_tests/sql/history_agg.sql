-- The aggregates: the same bytes in any order of rows and from any split
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_agg;
SET search_path = history_agg, crm_profile, public;
\i :load
SET TimeZone = 'UTC';

CREATE TABLE purchase AS
SELECT customer, ordered_at, ordered_at AT TIME ZONE 'UTC' AS ordered_tz, ordered_at::date AS day, amount, n,
	CASE WHEN n % 3 > 0 THEN round(amount * 0.6, n % 7) END AS cost
FROM (SELECT *, substring(order_id FROM '\d+')::int AS n FROM orders WHERE customer IS NOT NULL) o;

CREATE TABLE history AS
SELECT customer, purchase_history_agg(day, amount) AS plain, purchase_history_agg(day, amount, cost) AS costed
FROM purchase GROUP BY customer;

-- Input equals output: the sums of each day, without empty days
SELECT count(*) AS days, sum(orders) AS orders, sum(amount) AS amount,
	count(*) FILTER (WHERE (p.orders, p.amount) IS DISTINCT FROM (d.orders, d.amount)) AS wrong
FROM (SELECT customer, p.* FROM history, purchases(plain) p) p
	FULL JOIN (SELECT customer, day, count(*) FILTER (WHERE amount >= 0)::int AS orders, sum(amount) AS amount
		FROM purchase GROUP BY customer, day HAVING count(*) FILTER (WHERE amount >= 0) > 0 OR sum(amount) <> 0) d
	USING (customer, day, orders, amount);

-- date, timestamp and timestamptz
SELECT count(*) AS customers,
	count(*) FILTER (WHERE a.h <> plain) AS timestamp, count(*) FILTER (WHERE a.hc <> costed) AS with_cost,
	count(*) FILTER (WHERE a.z <> plain) AS timestamptz, count(*) FILTER (WHERE a.zc <> costed) AS with_cost,
	count(*) FILTER (WHERE a.no_cost <> plain) AS no_cost_known
FROM history JOIN (SELECT customer, purchase_history_agg(ordered_at, amount) AS h, purchase_history_agg(ordered_at, amount, cost) AS hc,
		purchase_history_agg(ordered_tz, amount) AS z, purchase_history_agg(ordered_tz, amount, cost) AS zc,
		purchase_history_agg(day, amount, NULL) AS no_cost
	FROM purchase GROUP BY customer) a USING (customer);

-- Any order of the rows: three shuffles, days backwards, all refunds first, rows with costs last
SELECT shuffle, count(*) AS customers, count(*) FILTER (WHERE h.plain <> a.plain OR h.costed <> a.costed) AS different
FROM (SELECT shuffle, customer,
		purchase_history_agg(day, amount ORDER BY CASE shuffle WHEN 'backwards' THEN extract(epoch FROM day) * -1 WHEN 'refunds first' THEN amount
			ELSE hashint8extended(n, length(shuffle)) END) AS plain,
		purchase_history_agg(day, amount, cost ORDER BY CASE shuffle WHEN 'backwards' THEN extract(epoch FROM day) * -1 WHEN 'refunds first' THEN amount
			WHEN 'costs last' THEN (cost IS NOT NULL)::int ELSE hashint8extended(n, length(shuffle)) END) AS costed
	FROM purchase, unnest(ARRAY['x', 'xy', 'xyz', 'backwards', 'refunds first', 'costs last']) shuffle GROUP BY shuffle, customer) a
	JOIN history h USING (customer)
GROUP BY shuffle ORDER BY shuffle COLLATE "C";

-- Any split: parts merged by the aggregate in any order, and by ||
SELECT parts, count(*) AS customers, count(*) FILTER (WHERE merged <> costed) AS different
FROM (SELECT parts, customer, purchase_history_merge_agg(part ORDER BY hashint8extended(which, parts)) AS merged
	FROM (SELECT parts, customer, n % parts AS which, purchase_history_agg(day, amount, cost) AS part
		FROM purchase, unnest(ARRAY[1, 2, 3, 7, 100, 1000003]) parts GROUP BY parts, customer, which) p
	GROUP BY parts, customer) m JOIN history USING (customer)
GROUP BY parts ORDER BY parts;
SELECT count(*) AS customers, count(*) FILTER (WHERE a || b || c <> costed OR c || (b || a) <> costed OR (b || c) || a <> costed) AS different
FROM (SELECT customer, coalesce(purchase_history_agg(day, amount, cost) FILTER (WHERE n % 3 = 0), '{}') AS a,
		coalesce(purchase_history_agg(day, amount, cost) FILTER (WHERE n % 3 = 1), '{}') AS b,
		coalesce(purchase_history_agg(day, amount, cost) FILTER (WHERE n % 3 = 2), '{}') AS c
	FROM purchase GROUP BY customer) p JOIN history USING (customer);

-- One long history: of all orders, from rows and from the histories of the customers, whose order does not matter
SELECT purchase_days(a), frequency(a), monetary(a), a = b AS same, a = c AS shuffled, a = (SELECT purchase_history_merge_agg(costed) FROM history) AS merged
FROM (SELECT purchase_history_agg(day, amount, cost) AS a, purchase_history_agg(day, amount, cost ORDER BY day DESC) AS b,
		purchase_history_agg(day, amount, cost ORDER BY md5(n::text)) AS c FROM purchase) x;
-- many distinct days, in and out of order; the sum is that of the numbers
SELECT purchase_days(a), monetary(a), a = b AS same, first_purchase(a) = '1800-01-01' AS first, last_purchase(a) - first_purchase(a) AS days
FROM (SELECT purchase_history_agg(day, amount) AS a, purchase_history_agg(day, amount ORDER BY amount * 7919 % 100003) AS b
	FROM (SELECT date '1800-01-01' + i AS day, i AS amount FROM generate_series(0, 100002) i) r) x;
SELECT 100002::bigint * 100003 / 2 AS sum;

-- More decimals later, costs later, amounts of up to 18 digits
SELECT purchase_history_agg(day, amount, cost ORDER BY i) = purchase_history_agg(day, amount, cost ORDER BY i DESC) AS same,
	purchase_history_agg(day, amount, cost ORDER BY i)
FROM (VALUES (1, date '2025-01-01', 5000000000000, NULL), (2, '2025-01-02', 0.1, NULL), (3, '2025-01-03', 0.000001, 0.5),
	(4, '2025-01-01', -0.5, NULL), (5, '2025-01-02', 3, 0.000003), (6, '2024-12-31', 7, 7)) v (i, day, amount, cost);

-- Skipped rows; zero is an order, a refund is not; no rows, no history
SELECT purchase_history_agg(day, amount) AS plain, purchase_history_agg(day, amount, cost) AS costed
FROM (VALUES (date '2025-01-01', 1.50, 1.25), (NULL, 2, 2), ('2025-01-02', NULL, 2), ('2025-01-03', 0, NULL), ('2025-01-04', -3, NULL),
	('2025-01-05', 4, 0), ('2025-01-06', 5, NULL), ('2025-01-06', 5, 3), ('2025-01-07', 6, NULL), ('2025-01-07', -6, NULL)) v (day, amount, cost);
SELECT purchase_history_agg(day, 1) IS NULL AS no_rows, purchase_history_agg(NULL::date, 1) IS NULL AS no_day,
	purchase_history_merge_agg(NULL::purchase_history) IS NULL AS no_history FROM generate_series(1, 0) i, date('2025-01-01') day;
SELECT purchase_history_agg(NULL::timestamp, 1) IS NULL AS no_timestamp, purchase_history_agg(now(), NULL, 5) IS NULL AS no_amount,
	purchase_history_merge_agg(h) AS of_nothing_and_nulls FROM (VALUES (NULL::purchase_history), ('{}'), (NULL), ('{}')) v (h);

-- As a window function, with a result for every row
SELECT purchase_history_agg(day, amount) OVER (ORDER BY day) AS running,
	purchase_history_agg(day, amount) OVER (ORDER BY day ROWS 1 PRECEDING) AS last_two,
	purchase_history_merge_agg(purchase_history_add(NULL, day, amount)) OVER (ORDER BY day DESC) AS from_here
FROM (SELECT date '2025-01-01' + i AS day, i + 0.5 AS amount FROM generate_series(1, 5) i) v ORDER BY day;
-- the same over many rows: the last row has everything, and later rows change no earlier result
SELECT count(*) FILTER (WHERE running <> alone) AS wrong, count(*) FROM (
	SELECT purchase_history_agg(day, n, cost) OVER (ORDER BY n) AS running,
		(SELECT purchase_history_agg(day, n, cost) FROM purchase b WHERE b.customer = 14911 AND b.n <= a.n) AS alone
	FROM purchase a WHERE customer = 14911) w;

-- DISTINCT, grouping sets, one state under two names
SELECT purchase_history_agg(DISTINCT day, amount) FROM (VALUES (date '2025-01-01', 1), ('2025-01-01', 1), ('2025-01-01', 2)) v (day, amount);
SELECT a, b, purchase_history_agg(day, 1) AS h, monetary(purchase_history_agg(day, 1)) FROM (VALUES (1, 1, date '2025-01-01'), (1, 2, '2025-01-02'), (2, 1, '2025-01-01')) v (a, b, day)
GROUP BY CUBE (a, b) ORDER BY a, b;

-- The support functions reject other callers; a final function changes nothing
SELECT crm_profile_internal.purchase_history_agg_transfn(NULL::purchase_history, date '2025-01-01', 5);
SELECT crm_profile_internal.purchase_history_agg_transfn(NULL::purchase_history, timestamp '2025-01-01', 5, 4);
SELECT crm_profile_internal.purchase_history_agg_transfn(purchase_history '{}', timestamptz '2025-01-01', 5);
SELECT crm_profile_internal.purchase_history_agg_combine('{}', '{}');
SELECT crm_profile_internal.purchase_history_agg_finalfn('{2025-01-01: 5}'), crm_profile_internal.purchase_history_agg_finalfn(NULL);

-- A user's aggregate that returns the state itself, and starts from a history: the state can be read as the history
CREATE AGGREGATE loose(day date, amount numeric, cost numeric) (SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = purchase_history, INITCOND = '{2001-01-01: 1}');
CREATE TABLE state AS SELECT customer, loose(day, amount, cost) AS state FROM purchase GROUP BY customer;
SELECT count(*) AS customers,
	count(*) FILTER (WHERE crm_profile_internal.purchase_history_send(state) <> crm_profile_internal.purchase_history_send(costed || '{2001-01-01: 1}') OR state::text <> (costed || '{2001-01-01: 1}')::text
		OR (state || '{}') <> (costed || '{2001-01-01: 1}') OR monetary(state) <> monetary(costed) + 1
		OR as_of(state, '2011-06-30') <> as_of(costed || '{2001-01-01: 1}', '2011-06-30')) AS wrong,
	purchase_history_merge_agg(state) = (SELECT purchase_history_merge_agg(costed || '{2001-01-01: 1}') FROM history WHERE frequency(costed) > 0) AS merged
FROM state JOIN history USING (customer) WHERE frequency(costed) > 0;

-- GROUP BY is answered by the road of collect_purchase_histories, with the same result: customers without a purchase, and
-- rows without a customer, are groups, too
CREATE TABLE few AS SELECT NULLIF(i % 50, 7) AS c, CASE WHEN i % 13 > 0 THEN date '2024-01-01' + i % 300 END AS d, timestamptz '2024-01-01 UTC' + i * interval '1 hour' AS t, CASE WHEN i % 50 <> 3 THEN (i % 700 - 100) / 10.0 END AS a,
	CASE WHEN i % 3 = 0 THEN i % 9 END::numeric AS k FROM generate_series(1, 3000) i;
INSERT INTO few VALUES (99, NULL, '2024-01-01 UTC', 5, NULL);
ANALYZE few;
CREATE FUNCTION way(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		IF line ~ 'HistoryAggregate' THEN
			RETURN 'bulk';
		END IF;
	END LOOP;
	RETURN 'plain';
END $$;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE shape (n int PRIMARY KEY, query text);
INSERT INTO shape VALUES (1, 'SELECT c, purchase_history_agg(d, a) AS h FROM few GROUP BY c'), (2, 'SELECT c, purchase_history_agg(d, a, k) AS h FROM few GROUP BY c'),
	(3, 'SELECT c + 1, purchase_history_agg(t AT TIME ZONE ''UTC'', a, k) AS h FROM few WHERE c > 5 GROUP BY c + 1 HAVING frequency(purchase_history_agg(t AT TIME ZONE ''UTC'', a, k)) > 3'),
	(4, 'SELECT c::text, purchase_history_agg(t, a) AS h FROM few GROUP BY c::text'), (5, 'SELECT 1, rfm_fit(h, ''2024-12-31'')::text AS h FROM (SELECT purchase_history_agg(d, a) AS h FROM few WHERE c IS NOT NULL GROUP BY c) q'),
	(6, 'SELECT u, (SELECT purchase_history_merge_agg(h) FROM (SELECT purchase_history_agg(d, a) AS h FROM few WHERE c > u GROUP BY c) q) AS h FROM generate_series(40, 50) u'),
	(7, 'SELECT c, purchase_history_agg(d, a) AS h FROM (SELECT x.* FROM few x JOIN (SELECT DISTINCT c FROM few) y USING (c) ORDER BY md5(x.a::text) LIMIT 1000) f GROUP BY c'),
	(8, 'SELECT c, purchase_history_agg(d, a) AS h, count(*) FROM few GROUP BY c'), (9, 'SELECT c, purchase_history_agg(d, a) FILTER (WHERE a > 0) AS h FROM few GROUP BY c'), (10, 'SELECT c, d, purchase_history_agg(d, a) AS h FROM few GROUP BY c, d');
CREATE FUNCTION rows_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(q::text, E''\n'' ORDER BY q::text COLLATE "C")) FROM (%s) q', query) INTO result;
	RETURN result;
END $$;
-- partitions, by the customer or not, one of them foreign; a foreign server that computes the aggregate, and one that does not
CREATE TABLE parted (LIKE few) PARTITION BY HASH (c);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE daily (LIKE few) PARTITION BY RANGE (t);
CREATE TABLE daily_0 PARTITION OF daily FOR VALUES FROM (MINVALUE) TO ('2024-03-01 UTC');
CREATE TABLE there AS SELECT * FROM few WHERE t >= '2024-03-01 UTC';
CREATE EXTENSION postgres_fdw SCHEMA history_agg;
DO $$ BEGIN
	EXECUTE format('CREATE SERVER plain FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
	EXECUTE format('CREATE SERVER computing FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L, extensions ''crm_profile'')',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER plain;
CREATE USER MAPPING FOR CURRENT_USER SERVER computing;
CREATE FOREIGN TABLE daily_1 PARTITION OF daily FOR VALUES FROM ('2024-03-01 UTC') TO (MAXVALUE) SERVER plain OPTIONS (schema_name 'history_agg', table_name 'there');
CREATE FOREIGN TABLE pulled (c int, d date, a numeric) SERVER plain OPTIONS (schema_name 'history_agg', table_name 'few');
CREATE FOREIGN TABLE computed (c int, d date, a numeric) SERVER computing OPTIONS (schema_name 'history_agg', table_name 'few');
INSERT INTO parted SELECT * FROM few;
INSERT INTO daily SELECT * FROM few WHERE t < '2024-03-01 UTC';
ANALYZE parted, daily, pulled, computed;
INSERT INTO shape SELECT 10 + n, format('SELECT c, purchase_history_agg(d, a) AS h FROM %s GROUP BY c', relation) FROM unnest(ARRAY['parted', 'daily', 'pulled', 'computed']) WITH ORDINALITY r(relation, n);
CREATE TABLE bulk AS SELECT n, way(query), rows_of(query) FROM shape;
SET crm_profile.enable_history_aggregate = off;
SELECT b.n, b.way, b.rows_of = rows_of(s.query) AS same, way(s.query) AS off FROM bulk b JOIN shape s USING (n) ORDER BY n;
RESET crm_profile.enable_history_aggregate;
SET enable_partitionwise_aggregate = on;
SELECT count(DISTINCT rows_of) AS answers FROM (SELECT rows_of FROM bulk WHERE n = 1 OR n > 10 UNION ALL SELECT rows_of(query) FROM shape WHERE n > 10) a;
RESET enable_partitionwise_aggregate;
RESET max_parallel_workers_per_gather;

-- grouping() is left to PostgreSQL's own nodes, and the aggregate needs the right to run it, as in plain SQL
SELECT c, grouping(c) AS "grouping", frequency(purchase_history_agg(d, a)) FROM few WHERE c < 2 GROUP BY c ORDER BY c;
SELECT c FROM few WHERE c < 2 GROUP BY c HAVING grouping(c) = 0 AND frequency(purchase_history_agg(d, a)) > 1 ORDER BY c;
BEGIN;
CREATE ROLE without_aggregate;
GRANT USAGE ON SCHEMA history_agg TO without_aggregate;
GRANT SELECT ON few TO without_aggregate;
REVOKE EXECUTE ON FUNCTION purchase_history_agg(date, numeric) FROM public;
SET LOCAL ROLE without_aggregate;
SELECT c, purchase_history_agg(d, a) FROM few GROUP BY c;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA history_agg CASCADE;
