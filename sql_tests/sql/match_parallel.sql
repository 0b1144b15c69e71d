-- match_fit and attribute_relevance in parallel plans: the same to the bit
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA parallel_fits;
SET search_path = parallel_fits, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE TYPE size AS ENUM ('S', 'M', 'L');
CREATE TABLE person AS SELECT i AS id, CASE WHEN coin(i, 1) < 0.9 THEN round((coin(i, 1) * 60)::numeric, 1) END AS age, chr(97 + (coin(i, 2) * 5)::int) AS town, coin(i, 3) < 0.3 AS flag,
	date '2020-01-01' + (coin(i, 4) * 900)::int AS since, ARRAY[chr(97 + (coin(i, 5) * 4)::int), chr(97 + (coin(i, 6) * 4)::int)] AS likes, (ARRAY['S', 'M', 'L'])[1 + i % 3]::size AS size,
	CASE WHEN coin(i, 7) < 0.95 THEN coin(i, 8) < 0.2 + coin(i, 1) / 3 + CASE WHEN coin(i, 2) < 0.3 THEN 0.2 ELSE 0 END END AS target, CASE WHEN i % 40 > 0 THEN 10 * coin(i, 9) + 20 * coin(i, 1) END AS value FROM generate_series(1, 3000) i;
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id", "target", "value"]}') AS m FROM person p;
CREATE TABLE coded AS SELECT profile(p, m) AS p, target, value FROM person p, model;
ALTER TABLE person SET (parallel_workers = 3);
ALTER TABLE coded SET (parallel_workers = 3);
CREATE TABLE question (n int, query text);
INSERT INTO question VALUES
	(1, 'SELECT match_fit(p, target)::text FROM coded'),
	(2, 'SELECT match_fit(p, target, (SELECT m FROM model))::text FROM coded'),
	(3, 'SELECT match_fit(p, target, (SELECT m FROM model), ''{"breaks": {"age": [20, 40]}, "special": {"town": ["a"]}}'')::text FROM coded'),
	(4, 'SELECT match_fit(p, value)::text FROM coded'),
	(5, 'SELECT match_fit(p, value, (SELECT m FROM model))::text FROM coded'),
	(6, 'SELECT attribute_relevance(p, target, ''{id}'')::text FROM person p'),
	(7, 'SELECT attribute_relevance(p, target, ''{id,value}'', ''{"breaks": {"age": [20, 40], "since": ["2021-01-01"]}, "special": {"age": [9.9]}}'')::text FROM person p'),
	(8, 'SELECT attribute_relevance(age, target)::text || attribute_relevance(town, target)::text || attribute_relevance(flag, target)::text || attribute_relevance(since, target)::text || attribute_relevance(likes, target)::text || attribute_relevance(size, target)::text FROM person'),
	(12, 'SELECT attribute_relevance(p, value, ''{id}'', ''{"breaks": {"age": [20, 40]}, "special": {"age": [9.9]}, "known_by": "since"}'')::text FROM person p'),
	(13, 'SELECT attribute_relevance(age, value)::text || attribute_relevance(town, value)::text || attribute_relevance(flag, value)::text || attribute_relevance(since, value)::text || attribute_relevance(likes, value)::text || attribute_relevance(size, value)::text FROM person'),
	(9, 'SELECT match_fit(p, target)::text FROM coded WHERE target IS NULL'),
	(10, 'SELECT match_fit(p, target)::text FROM coded WHERE false'),
	(11, 'SELECT string_agg(f, '' '' ORDER BY b) FROM (SELECT value > 15 AS b, match_fit(p, target)::text AS f FROM coded GROUP BY 1) x');
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/answer.sql'
\i :fixture
SET max_parallel_workers_per_gather = 0;
CREATE TABLE alone AS SELECT n, a.* FROM question, answer(query) a;
SET max_parallel_workers_per_gather = 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE together AS SELECT n, a.* FROM question, answer(query) a;
-- the leader takes no part, so that all states travel
SET parallel_leader_participation = off;
CREATE TABLE workers AS SELECT n, a.* FROM question, answer(query) a;
SELECT n, a.parallel AS alone, t.parallel AS together, length(a.result) > 100 AS result, a.result IS NOT DISTINCT FROM t.result AS same, a.result IS NOT DISTINCT FROM w.result AS same_of_workers FROM alone a JOIN together t USING (n) JOIN workers w USING (n) ORDER BY n;
DROP SCHEMA parallel_fits CASCADE;
