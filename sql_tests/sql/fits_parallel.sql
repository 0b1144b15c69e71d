-- The fits of a refresh with parallel workers: the same to the bit, and so is the table of profiles
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA fits;
SET search_path = fits, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
-- customers who come in the course of three years, buy at rates of their own, more in December, and leave
CREATE TABLE buyer AS SELECT i AS customer, date '2021-01-01' + (coin(i, 0) * 1000)::int AS first, 10 + (200 * coin(i, 1) ^ 2)::int AS gap, 1 + (25 * coin(i, 2) ^ 2)::int AS n FROM generate_series(1, 600) i;
CREATE TABLE purchase AS SELECT b.customer, b.first + (b.gap * (k + coin(b.customer, 100 + k)))::int AS day, round((5 + 90 * coin(b.customer, 200 + k))::numeric, 2) AS amount, round((3 + 40 * coin(b.customer, 300 + k))::numeric, 2) AS cost
	FROM buyer b, generate_series(0, b.n) k WHERE b.first + (b.gap * (k + 1))::int < '2024-01-01';
INSERT INTO purchase SELECT customer, '2023-12-15', 9.5, 3 FROM buyer WHERE coin(customer, 3) < 0.4;
CREATE TABLE history AS SELECT customer, purchase_history_agg(day, amount, cost) AS history FROM purchase GROUP BY customer;
-- amounts of more decimals come late
UPDATE history SET history = purchase_history_add(history, '2023-11-11', 0.000123, 0) WHERE customer > 590;
ALTER TABLE history SET (parallel_workers = 3);
ANALYZE history;

CREATE TABLE question (n int, query text);
INSERT INTO question VALUES
	(1, 'SELECT crm_profile_internal.population_fit(history, ''2024-01-01'', NULL, false, 5)::text FROM history'),
	(2, 'SELECT crm_profile_internal.population_fit(history, ''2023-06-01'', ''1 year'', true, 4)::text FROM history'),
	(3, 'SELECT customer_base_fit(history, ''2024-01-01'', NULL, true)::text FROM history'),
	(4, 'SELECT customer_base_fit(history, ''2024-01-01'', NULL, true)::text FROM history WHERE customer < 0'),
	(5, 'SELECT value_tiers_fit(monetary(history, ''2024-01-01'')::float8)::text FROM history'),
	(6, 'SELECT value_tiers_fit(NULL::float8)::text FROM history'),
	(7, 'SELECT clv_record(history, ''2024-01-01'', 90)::text FROM history'),
	(9, 'SELECT clv_record(history, ''2021-02-01'', 90)::text FROM history'),
	(10, 'SELECT clv_holdout(history, ''2023-10-01'', ''2024-01-01'', ''mbg/cnbd-2, season, inflow'')::text FROM history'),
	(11, 'SELECT clv_holdout(history, ''2023-10-01'', ''2024-01-01'', ''pareto/nbd'')::text FROM history WHERE customer < 150'),
	(12, 'SELECT clv_holdout(history, ''2010-01-01'', ''2024-01-01'')::text FROM history'),
	(13, 'SELECT m.model || '' '' || m.holdout::text FROM crm_profile_internal.clv_fit_and_test((SELECT crm_profile_internal.clv_fit_state(history, ''2024-01-01'', ''mbg/cnbd-2, season, inflow'', NULL, ''profit'', NULL) FROM history),
		(SELECT crm_profile_internal.clv_holdout_state(history, ''2023-10-01'', ''2024-01-01'', ''mbg/cnbd-2, season, inflow'', NULL, ''profit'', NULL) FROM history)) m'),
	(14, 'SELECT string_agg(f, '' '' ORDER BY b) FROM (SELECT customer % 3 = 0 AS b, clv_record(history, ''2024-01-01'', 180)::text AS f FROM history WHERE customer < 300 GROUP BY 1) x');
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/answer.sql'
\i :fixture
SET max_parallel_workers_per_gather = 0;
CREATE TABLE alone AS SELECT n, a.* FROM question, answer(query) a;
SET max_parallel_workers_per_gather = 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
CREATE TABLE together AS SELECT n, a.* FROM question, answer(query) a;
RESET parallel_leader_participation;
-- nobody bought before the data (4, 9, 12), and no value is known (6)
SELECT n, a.result IS NOT DISTINCT FROM t.result AS same, a.result IS NULL AS nothing FROM alone a JOIN together t USING (n) ORDER BY n;
SELECT bool_or(a.parallel) AS alone, count(*) FILTER (WHERE t.parallel) >= 9 AS together FROM alone a JOIN together t USING (n);

-- each alone is what both at once find
SELECT m.model = (SELECT clv_fit(history, '2024-01-01', 'mbg/cnbd-2, season, inflow', NULL, 'profit') FROM history) AS model,
	m.holdout = (SELECT clv_holdout(history, '2023-10-01', '2024-01-01', 'mbg/cnbd-2, season, inflow', NULL, 'profit') FROM history) AS holdout, m.test_seconds > 0 AS seconds
FROM crm_profile_internal.clv_fit_and_test((SELECT crm_profile_internal.clv_fit_state(history, '2024-01-01', 'mbg/cnbd-2, season, inflow', NULL, 'profit', NULL) FROM history),
	(SELECT crm_profile_internal.clv_holdout_state(history, '2023-10-01', '2024-01-01', 'mbg/cnbd-2, season, inflow', NULL, 'profit', NULL) FROM history)) m;
SELECT m.model IS NULL AS model, m.holdout IS NULL AS holdout, m.test_seconds IS NULL AS seconds FROM crm_profile_internal.clv_fit_and_test(NULL, NULL) m;
\set VERBOSITY terse
SELECT crm_profile_internal.clv_fit_and_test('\x00', NULL);
SELECT crm_profile_internal.clv_fit_and_test(NULL, '\x00');
\set VERBOSITY default

-- a source, refreshed by one process and by several
CREATE TABLE person AS SELECT i AS id FROM generate_series(1, 620) i;
ALTER TABLE person SET (parallel_workers = 3);
ALTER TABLE purchase SET (parallel_workers = 3);
CREATE FUNCTION refreshed(workers int, OUT models text, OUT profiles text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
	PERFORM create_source('shop', 'fits.person', 'fits.purchase', ordered_at => 'day', amount => 'amount', cost => 'cost', customer_key => 'id', order_customer => 'customer', as_of => '2024-01-01', clv_model => 'auto', materialize => true);
	PERFORM refresh('shop');
	SELECT (to_jsonb(m) - 'fitted_at')::text INTO models FROM shop.model m;
	SELECT string_agg(p::text, ' ' ORDER BY p.customer) INTO profiles FROM shop.stored_profile p;
	PERFORM drop_source('shop');
END $$;
SELECT a.models = t.models AS models, a.profiles = t.profiles AS profiles, length(a.profiles) > 50000 AS filled FROM refreshed(0) a, refreshed(3) t;

-- what store_rows() refuses
CREATE TABLE target (n int, t text);
SELECT crm_profile_internal.store_rows('SELECT i, ''row '' || i FROM generate_series(1, 1234) i', 'target');
SELECT count(*), min(t), max(n) FROM target;
SELECT crm_profile_internal.store_rows('SELECT 1, 2', 'target');
SELECT crm_profile_internal.store_rows('SELECT 1', 'target');
CREATE TABLE strict_target (n int NOT NULL);
SELECT crm_profile_internal.store_rows('SELECT 1', 'strict_target');
CREATE TABLE indexed_target (n int PRIMARY KEY);
SELECT crm_profile_internal.store_rows('SELECT 1', 'indexed_target');
SELECT crm_profile_internal.store_rows('DELETE FROM target', 'target');
BEGIN READ ONLY;
SELECT crm_profile_internal.store_rows('SELECT 1, ''a''', 'target');
ROLLBACK;
DROP SCHEMA fits CASCADE;
