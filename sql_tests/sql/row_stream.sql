-- The rows of rfm_scores and collect_purchase_histories, taken one at a time by a scan of their own, or from a tuplestore as those of
-- other functions: the same rows in every kind of query
CREATE SCHEMA row_stream;
SET search_path = row_stream, crm_profile, public;
SET DateStyle = ISO;

CREATE TABLE purchase AS
SELECT i % 701 AS customer, date '2024-01-01' + i * 37 % 700 AS day, (i * 7919 % 100000)::numeric / 100 AS amount FROM generate_series(1, 20000) i;

\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/plan_of.sql'
\i :fixture
-- which scan the planner takes for a query
CREATE FUNCTION scans(query text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(scan[1], ', ' ORDER BY n) FROM plan_of(query) WITH ORDINALITY p (line, n), regexp_match(line, '(Custom Scan \((?!OrderPacking)\w+\)|Function Scan on \w+)') scan $$;
\set scores 'rfm_scores(NULL::int, ''SELECT * FROM purchase'', ''2025-12-31'')'
\set histories 'collect_purchase_histories(NULL::int, ''SELECT * FROM purchase'')'

SELECT scans(format('SELECT * FROM %s', :'scores')) AS scores, scans(format('SELECT customer FROM %s h WHERE customer < 9', :'histories')) AS histories;
-- not for whole rows, row numbers or lateral arguments, nor where it is switched off
SELECT scans(format('SELECT s FROM %s s', :'scores')) AS whole_row,
	scans(format('SELECT * FROM %s WITH ORDINALITY', :'scores')) AS ordinality,
	scans(format('SELECT * FROM ROWS FROM (%s, generate_series(1, 3)) r', :'scores')) AS rows_from,
	scans('SELECT * FROM (VALUES (date ''2025-12-31'')) v(day), rfm_scores(NULL::int, ''SELECT * FROM purchase'', v.day + (random() > 2)::int) s') AS constant,
	scans('SELECT * FROM purchase p, rfm_scores(NULL::int, ''SELECT * FROM purchase'', p.day) s') AS lateral;
SET crm_profile.enable_row_stream = off;
SELECT scans(format('SELECT * FROM %s', :'scores')) AS switched_off;
CREATE TABLE by_function AS SELECT * FROM :scores;
CREATE TABLE histories_by_function AS SELECT * FROM :histories;
RESET crm_profile.enable_row_stream;

-- the same rows
CREATE TABLE by_scan AS SELECT * FROM :scores;
SELECT count(*) AS customers, (SELECT count(*) FROM (TABLE by_scan EXCEPT TABLE by_function) d) AS different FROM by_scan;
SELECT count(*) AS customers, count(*) FILTER (WHERE s.history IS DISTINCT FROM f.history) AS different
FROM :histories s FULL JOIN histories_by_function f USING (customer);
SELECT count(*), sum(monetary) = (SELECT sum(amount) FROM purchase) AS reconciles FROM :scores;

-- filters, joins, limits, ordering, aggregates, set operations
SELECT (SELECT count(*) FROM :scores WHERE segment = 'Champions') - (SELECT count(*) FROM by_function WHERE segment = 'Champions') AS filter,
	(SELECT count(*) FROM :scores a JOIN :scores b USING (customer, cell)) AS self_join,
	(SELECT count(*) FROM (SELECT FROM :scores LIMIT 5) x) AS "limit",
	(SELECT count(*) FROM (SELECT customer FROM :scores EXCEPT SELECT customer FROM by_function) x) AS "except";
SELECT count(u) AS union_all, count(DISTINCT u) AS once FROM (SELECT s FROM :scores s UNION ALL SELECT s FROM :scores s) u(u);
SELECT count(*) AS filtered_by_row FROM :scores s WHERE s IS NOT NULL AND s::text LIKE '(5,%';
SELECT customer, monetary, cell FROM :scores ORDER BY monetary DESC, customer LIMIT 3;
SELECT s.customer, s.cell FROM :scores s, purchase p WHERE s.customer = p.customer AND p.amount < 0.2 ORDER BY 1, 2;

-- rescans: with the same arguments the rows are kept, with others they are computed again
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), count(DISTINCT n), sum(monetary) = 3 * (SELECT sum(amount) FROM purchase) AS reconciles
FROM generate_series(1, 3) n LEFT JOIN :scores s ON n + s.customer > 0;
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT n, (SELECT count(*) FROM :scores WHERE customer % 4 = n) AS kept FROM generate_series(0, 4) n;
SELECT n, (SELECT sum(frequency) FROM rfm_scores(NULL::int, 'SELECT * FROM purchase', date '2024-01-01' + n)) AS made_anew,
	(SELECT count(*) FROM purchase WHERE day <= date '2024-01-01' + n) AS orders FROM generate_series(0, 600, 200) n;
SELECT n, (SELECT count(*) FROM rfm_scores(NULL::int, 'SELECT * FROM purchase', (SELECT max(day) - n FROM purchase)) WHERE recency = 0) AS customers,
	(SELECT count(DISTINCT customer) FROM purchase WHERE day = (SELECT max(day) - n FROM purchase)) AS expected FROM generate_series(0, 2) n;

-- cursors, also backward and beyond the transaction; prepared statements
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT customer, cell FROM :scores WHERE customer < 3 ORDER BY customer;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
FETCH FORWARD 2 FROM c;
CLOSE c;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT customer FROM :scores;
MOVE 5 IN c;
SELECT count(*) FROM :scores;
MOVE BACKWARD 3 IN c;
MOVE FORWARD ALL IN c;
COMMIT;
PREPARE scored(date) AS SELECT count(*), sum(frequency) FROM rfm_scores(NULL::int, 'SELECT * FROM purchase', $1);
SET plan_cache_mode = force_generic_plan;
EXECUTE scored('2025-12-31');
EXECUTE scored('2024-06-30');
EXECUTE scored(NULL);
DEALLOCATE scored;
RESET plan_cache_mode;

-- without the right to call the function there is no scan
REVOKE EXECUTE ON FUNCTION rfm_scores FROM PUBLIC;
CREATE ROLE row_stream_user;
GRANT USAGE ON SCHEMA row_stream TO row_stream_user;
GRANT SELECT ON purchase TO row_stream_user;
SET ROLE row_stream_user;
SELECT count(*) FROM :scores;
SELECT count(*) FROM :histories;
RESET ROLE;
GRANT EXECUTE ON FUNCTION rfm_scores TO PUBLIC;
-- errors of the query are passed on unchanged
SELECT count(*) FROM rfm_scores(NULL::int, 'SELECT customer, day FROM purchase', '2025-12-31');
SELECT count(*) FROM rfm_scores(NULL::int, 'SELECT customer, day, round(amount / (customer - 700), 2) FROM purchase', '2025-12-31');

-- Amounts of all sizes and scales together, remote days: what does not fit a narrow record takes a wide one, with the same sums
CREATE TABLE odd AS
SELECT i % 97 AS customer,
	CASE i % 11 WHEN 0 THEN date '4713-01-01 BC' + i WHEN 1 THEN date '5874897-12-31' - i WHEN 2 THEN date '2941760-01-01' + i % 50 ELSE date '2024-01-01' + i % 400 END AS day,
	CASE i % 13 WHEN 0 THEN 2147483647 WHEN 1 THEN -2147483648 WHEN 2 THEN 2147483648 WHEN 3 THEN -2147483649 WHEN 4 THEN 0 WHEN 5 THEN 21474836.47
		WHEN 6 THEN 21474836.48 WHEN 7 THEN 0.05 WHEN 8 THEN 99999999 WHEN 9 THEN 10000000000 WHEN 10 THEN -0.0001 WHEN 11 THEN 12345678.9 ELSE i END::numeric AS amount,
	i
FROM generate_series(1, 30000) i;
UPDATE odd SET amount = amount + 0.000001 WHERE i > 29000 AND abs(amount) < 1000000;
\set compare 'SELECT count(*) AS customers, count(*) FILTER (WHERE c.history IS DISTINCT FROM a.history) AS different FROM (SELECT customer, purchase_history_agg(day, amount) AS history FROM odd GROUP BY 1) a FULL JOIN collect_purchase_histories(NULL::int, ''SELECT customer, day, amount FROM odd ORDER BY i'') c USING (customer)'
:compare;
SELECT count(*) AS customers, count(*) FILTER (WHERE s.monetary IS DISTINCT FROM o.amount OR s.frequency <> o.orders OR s.recency IS DISTINCT FROM date '2025-12-31' - o.last) AS different
FROM rfm_scores(NULL::int, 'SELECT customer, day, amount FROM odd ORDER BY i', '2025-12-31') s
	FULL JOIN (SELECT customer, sum(amount) AS amount, count(*) FILTER (WHERE amount >= 0) AS orders, max(day) FILTER (WHERE amount >= 0) AS last
		FROM odd WHERE day <= '2025-12-31' GROUP BY 1) o USING (customer);
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
:compare;
RESET work_mem;
RESET hash_mem_multiplier;

-- EXPLAIN estimates customers and cost by the query, and shows its plan, which it does not run; with ANALYZE what the rows took
CREATE SEQUENCE seen;
CREATE TABLE asked AS SELECT i % 5000 AS customer, date '2024-01-01' + i % 700 AS day, i % 1000 AS amount FROM generate_series(1, 20000) i;
ANALYZE asked;
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE FUNCTION explained(options text, call text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT json, %s) SELECT * FROM %s', options, call) INTO plan;
	RETURN plan::jsonb -> 0 -> 'Plan';
END $$;
\set asked 'collect_purchase_histories(NULL::int, ''SELECT customer, day, amount FROM asked WHERE nextval(''''row_stream.seen'''') > 0'')'
SELECT (e ->> 'Plan Rows')::float8 BETWEEN 1000 AND 5000 AS customers, (e ->> 'Startup Cost')::float8 BETWEEN 300 AND 1500 AS cost, e ->> 'Query Plan' ~ '^Seq Scan on asked +\(cost=[^)]*\)\n' AS plan, e ? 'Memory Usage' AS memory,
	(SELECT is_called FROM seen) AS run FROM explained('COSTS on', :'asked') e;
SELECT (e ->> 'Memory Usage')::int > 0 AS memory, (e ->> 'Disk Usage')::int > 0 AS disk, e ->> 'Query Plan' ~ '^Seq Scan on asked \(actual rows=20000(\.00)? loops=1\)\n' AS plan FROM explained('ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off', :'asked') e;
SELECT last_value FROM seen;
SELECT e ->> 'Query Plan' AS scores, e ? 'Function' AS function FROM explained('COSTS off', 'rfm_scores(NULL::int, ''SELECT customer, day, amount FROM asked'', current_date)') e;
-- an argument that is known at run time only
SELECT e ? 'Query Plan' AS plan FROM explained('COSTS off', 'collect_purchase_histories(NULL::int, (SELECT ''SELECT customer, day, amount FROM asked''))') e;
SELECT explained('COSTS off', 'collect_purchase_histories(NULL::int, ''SELECT 1; SELECT 2'')');
SELECT explained('COSTS off', 'collect_purchase_histories(NULL::int, ''SELECT customer, day FROM asked'')');
RESET max_parallel_workers_per_gather;
RESET work_mem;
RESET hash_mem_multiplier;


-- rows of a table elsewhere, which gets columns, loses one, or has another type in one since the plan was made
CREATE TABLE elsewhere (a integer, b text, c integer);
INSERT INTO elsewhere VALUES (1, 'one', 10), (2, 'two', 20);
SET plan_cache_mode = force_generic_plan;
PREPARE sums AS SELECT sum(a) FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere, 'SELECT * FROM elsewhere');
PREPARE words AS SELECT b FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere, 'SELECT * FROM elsewhere') ORDER BY b;
EXECUTE sums;
EXECUTE words;
DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE elsewhere ' || string_agg(format('ADD COLUMN more_%s integer DEFAULT 0', i), ', ') FROM generate_series(1, 300) i); END $$;
EXECUTE sums;
EXECUTE words;
ALTER TABLE elsewhere ALTER COLUMN b TYPE integer USING 0;
EXECUTE sums;
EXECUTE words;
RESET plan_cache_mode;
DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE elsewhere DROP COLUMN b, ' || string_agg(format('DROP COLUMN more_%s', i), ', ') FROM generate_series(1, 300) i); END $$;
SELECT * FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) ORDER BY a;
SELECT c FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) e WHERE a = 2;
SELECT e FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) e ORDER BY a;
SET crm_profile.enable_row_stream = off;
SELECT * FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) ORDER BY a;
RESET crm_profile.enable_row_stream;
-- cursors over it end in any order, and outlive a savepoint; a batch of rows may go to a file
ALTER TABLE elsewhere ADD COLUMN d text DEFAULT repeat('d', 100);
INSERT INTO elsewhere SELECT i, i * 10 FROM generate_series(3, 5000) i;
SET work_mem = '64kB';
BEGIN;
DECLARE one CURSOR FOR SELECT a, c FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere);
SAVEPOINT before_the_first;
FETCH one;
ROLLBACK TO before_the_first;
FETCH one;
MOVE 4000 IN one;
FETCH one;
DECLARE two CURSOR WITH HOLD FOR SELECT sum(a) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING) FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere);
DECLARE three CURSOR FOR SELECT a FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) WHERE a > 2;
FETCH two;
FETCH three;
COMMIT;
MOVE 4998 IN two;
FETCH two;
BEGIN;
DECLARE one CURSOR FOR SELECT a FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere);
FETCH one;
CLOSE ALL;
ROLLBACK;
CREATE FUNCTION closing(i integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CLOSE ALL'; RETURN i; END $$;
SELECT count(DISTINCT closing(a)), sum(a), sum(length(d)) FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere);
SET crm_profile.enable_row_stream = off;
SELECT count(*), sum(a), sum(length(d)) FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere);
RESET crm_profile.enable_row_stream;
RESET work_mem;

-- a cursor over them outlives the subtransaction in which it was first fetched from, and the transaction that it was opened in
CREATE VIEW here AS SELECT e.* FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere) e;
BEGIN;
DECLARE c CURSOR FOR SELECT a FROM here;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
DO $$ BEGIN EXECUTE (SELECT string_agg(format('DECLARE held_%s SCROLL CURSOR WITH HOLD FOR SELECT a FROM here', i), ';') FROM generate_series(1, 20) i); END $$;
DO $$ BEGIN EXECUTE (SELECT string_agg(format('MOVE 1 FROM held_%s', i), ';') FROM generate_series(1, 20) i); END $$;
COMMIT;
FETCH 2 FROM held_1;
CLOSE ALL;
-- below an outer join
SELECT x.a, y.word FROM elsewhere x LEFT JOIN (SELECT a, coalesce(c, 0) AS word FROM here) y ON y.a = x.a WHERE y.word = 20;
-- customers are keys, and so are the columns with an index of their own: a join of two streams is no larger than either
CREATE TABLE keyed (customer integer PRIMARY KEY, other integer);
INSERT INTO keyed SELECT i, i FROM generate_series(1, 3) i;
CREATE FUNCTION rows_expected(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT rows_expected('SELECT FROM crm_profile_internal.rows_elsewhere(NULL::keyed) a JOIN crm_profile_internal.rows_elsewhere(NULL::keyed) b USING (customer)') AS by_key,
	rows_expected('SELECT FROM crm_profile_internal.rows_elsewhere(NULL::keyed) a JOIN crm_profile_internal.rows_elsewhere(NULL::keyed) b USING (other)') AS by_another_column,
	rows_expected('SELECT FROM crm_profile_internal.rows_elsewhere(NULL::keyed) a JOIN collect_purchase_histories(NULL::int, (SELECT ''SELECT customer, current_date, 1.0 FROM keyed'')) b USING (customer)') AS by_customer,
	rows_expected('SELECT customer FROM collect_purchase_histories(NULL::int, (SELECT ''SELECT customer, current_date, 1.0 FROM keyed'')) GROUP BY customer') AS groups;
-- only a SELECT, which writes nothing
SELECT * FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere, 'DELETE FROM elsewhere RETURNING *');
SELECT * FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere, 'SELECT * FROM elsewhere FOR UPDATE');
SELECT * FROM crm_profile_internal.rows_elsewhere(NULL::elsewhere, 'SELECT 1; SELECT 2');

SET client_min_messages = warning;
DROP SCHEMA row_stream CASCADE;
DROP ROLE row_stream_user;
