-- Nearest first: nearest_profiles and the GiST index against the operator, all kernels alike
CREATE SCHEMA profile_nearest;
SET search_path = profile_nearest, crm_profile, public;

-- Mixed attributes, missing values, sets, weights; few distinct values, so that there are many ties
-- (plain arithmetic, so that PostgreSQL puts the function's body into the query)
CREATE FUNCTION r(i int, n int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT ((((i::bigint * 73856093) # (n::bigint * 19349663)) * 16807 % 2147483647) * 48271 % 2147483647)::int $$;
CREATE TABLE person AS SELECT i AS id, nullif(r(i, 1) % 60, 7) AS age, nullif(r(i, 2) % 1000, 5)::float8 AS spend, CASE WHEN r(i, 3) % 4 > 0 THEN r(i, 4) % 5 END AS kids,
	'c' || nullif(r(i, 5) % 9, 0) AS city, r(i, 6) % 2 = 0 AS member, CASE WHEN r(i, 7) % 5 > 0 THEN ARRAY(SELECT 'tag' || t FROM generate_series(1, 12) t WHERE r(i, 10 + t) % 3 = 0) END AS tags
FROM generate_series(1, 3000) i;
CREATE TABLE model AS
	SELECT 'equal' AS name, profile_fit(r, '{"ignore": ["id"]}') AS m FROM person r
	UNION ALL SELECT 'weighted', profile_fit(r, '{"ignore": ["id"], "weights": {"age": 0.3, "city": 5, "tags": 2}}') FROM person r
	UNION ALL SELECT 'no sets', profile_fit(r, '{"ignore": ["id", "tags", "member"]}') FROM person r
	UNION ALL SELECT 'one coded', profile_fit(r, '{"ignore": ["id", "tags", "member", "age", "spend", "kids"]}') FROM person r
	UNION ALL SELECT 'one scaled', profile_fit(r, '{"ignore": ["id", "tags", "member", "age", "kids", "city"]}') FROM person r;
CREATE TABLE candidate AS SELECT name, id, profile(p, m) AS p FROM person p, model WHERE id <= 30;
CREATE TABLE target AS SELECT name, id, profile(p, m) AS p FROM person p, model WHERE id > 20 AND id <= 621;

-- The truth: every pair by the operator
CREATE TABLE truth AS
	SELECT name, c.id AS candidate, t.* FROM candidate c, LATERAL (SELECT id AS target, row_number() OVER (ORDER BY c.p <-> t.p, id)::int AS rank, similarity(c.p, t.p) AS similarity
		FROM target t WHERE t.name = c.name AND c.p <-> t.p IS NOT NULL ORDER BY c.p <-> t.p, id LIMIT 10) t;
CREATE FUNCTION kernels() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE kernel text;
BEGIN
	FOREACH kernel IN ARRAY '{avx512,avx2,sse2,portable}'::text[] LOOP
		BEGIN
			PERFORM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate LIMIT 0', 'SELECT id, p FROM target LIMIT 0', 1, kernel);
			RETURN NEXT kernel;
		EXCEPTION WHEN feature_not_supported THEN
			NULL;			-- not on this machine
		END;
	END LOOP;
END $$;
SELECT count(*) > 0 AS some FROM kernels() k WHERE k = 'portable';
CREATE TABLE found AS
	SELECT name, kernel, k, n.* FROM model, kernels() kernel, unnest('{1,10}'::int[]) k, nearest_profiles(NULL::int,
		format('SELECT id, p FROM candidate WHERE name = %L', name), format('SELECT id, p FROM target WHERE name = %L', name), k, kernel) n;
SELECT name, k, count(*) / (SELECT count(*) FROM kernels()) AS rows,
	(SELECT count(*) FROM truth t WHERE t.name = f.name AND t.rank <= f.k) AS truth, count(*) FILTER (WHERE t.rank IS NULL) AS wrong
FROM found f LEFT JOIN truth t USING (name, candidate, target, rank, similarity) GROUP BY name, k ORDER BY name, k;

-- In workers: the same rows, and all rows left out are counted
CREATE TABLE crowd AS SELECT nullif(i * 1000 + id, 2077) AS id, p FROM target, generate_series(1, 3) i WHERE name = 'equal';
ALTER TABLE crowd SET (parallel_workers = 2);
ANALYZE crowd;
SET parallel_setup_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE FUNCTION nearest_to_crowd(key text, workers int) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
	RETURN QUERY EXECUTE format('SELECT n::text FROM nearest_profiles(NULL::%1$s, %2$L, %3$L, 7) n', key, format('SELECT id::%s, p FROM crowd', key), format('SELECT id::%s, p FROM target WHERE name = %L', key, 'equal'));
END $$;
SELECT key, (SELECT count(*) FROM nearest_to_crowd(key, 2)) AS rows,
	(SELECT count(*) FROM (SELECT nearest_to_crowd(key, 0) EXCEPT ALL SELECT nearest_to_crowd(key, 2)) d) AS different FROM unnest('{int,text,numeric}'::text[]) key;
RESET parallel_setup_cost;
RESET min_parallel_table_scan_size;

-- More targets than memory: the same, chunk by chunk, with keys of any type; the order of the rows does not matter
CREATE TABLE many AS SELECT i AS id, profile(p, m) AS p FROM generate_series(1, 20000) i, LATERAL (SELECT i AS id, r(i, 1) % 60 AS age, (r(i, 2) % 1000)::float8 AS spend, r(i, 3) % 5 AS kids,
	'c' || r(i, 5) % 9 AS city, r(i, 6) % 2 = 0 AS member, ARRAY['tag' || r(i, 8) % 12] AS tags) p, model WHERE name = 'equal';
CREATE TABLE roomy AS SELECT * FROM nearest_profiles(NULL::text, 'SELECT ''c'' || id, p FROM candidate WHERE name = ''equal''', 'SELECT ''t'' || id, p FROM many', 7);
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE TABLE tight AS SELECT * FROM nearest_profiles(NULL::text, 'SELECT ''c'' || id, p FROM candidate WHERE name = ''equal''', 'SELECT ''t'' || id, p FROM many ORDER BY id DESC', 7);
RESET work_mem;
RESET hash_mem_multiplier;
SELECT count(*), count(*) FILTER (WHERE r = t) AS same FROM roomy r FULL JOIN tight t USING (candidate, rank);
SELECT count(*) FILTER (WHERE t.n IS DISTINCT FROM r.target) AS wrong FROM roomy r JOIN candidate c ON r.candidate = 'c' || c.id AND name = 'equal',
	LATERAL (SELECT 't' || id AS n FROM many m WHERE c.id IN (1, 2, 3) ORDER BY m.p <-> c.p, ('t' || id) COLLATE "C" OFFSET rank - 1 LIMIT 1) t;

-- Rows left out are counted; a candidate with nothing to compare has no rows
SELECT n.* FROM model, nearest_profiles(NULL::int, 'VALUES (1, NULL::profile), (NULL, NULL)', 'SELECT id, p FROM target WHERE name = ''equal''') n WHERE name = 'equal';
SELECT count(*) FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate WHERE name = ''equal''', 'SELECT id, NULL::profile FROM target LIMIT 3');
SELECT count(*) FROM nearest_profiles(NULL::int,
	$$SELECT 1, profile(r, m) FROM (SELECT NULL::int AS age, NULL::float8 AS spend, NULL::int AS kids, NULL AS city, NULL::boolean AS member, NULL::text[] AS tags) r, model WHERE name = 'equal'$$,
	'SELECT id, p FROM target WHERE name = ''equal''');
-- Errors
SELECT * FROM nearest_profiles(NULL, 'SELECT 1', 'SELECT 2');
SELECT * FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate', 'SELECT id FROM target');
SELECT * FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate', 'SELECT id, id FROM target');
SELECT * FROM nearest_profiles(NULL::bigint, 'SELECT id, p FROM candidate', 'SELECT id::bigint, p FROM target WHERE name = ''equal''');
SELECT * FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate', 'SELECT id, p FROM target');
SELECT * FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate', 'SELECT id, p FROM target', 0);
SELECT * FROM nearest_profiles(NULL::int, 'SELECT id, p FROM candidate', 'SELECT id, p FROM target', 1, 'abacus');
SELECT * FROM nearest_profiles(NULL::int, 'DELETE FROM candidate', 'SELECT id, p FROM target LIMIT 0');

-- The index returns the operator's order
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/plan_of.sql'
\i :fixture
CREATE TABLE indexed AS SELECT id, profile(p, m) AS p FROM person p, model WHERE name = 'weighted';
INSERT INTO indexed SELECT 3001, profile(r, m) FROM (SELECT NULL::int AS age, NULL::float8 AS spend, NULL::int AS kids, NULL AS city, NULL::boolean AS member, NULL::text[] AS tags) r, model WHERE name = 'weighted';
INSERT INTO indexed VALUES (3002, NULL);
CREATE INDEX nearest ON indexed USING gist (p);
INSERT INTO indexed SELECT id + 10000, p FROM indexed WHERE id % 2 = 0;
ANALYZE indexed;
SET enable_sort = off;
SELECT count(*) AS uses_index FROM plan_of('SELECT id FROM indexed ORDER BY p <-> (SELECT p FROM indexed WHERE id = 1)') p WHERE p ~ 'Index Scan using nearest';
CREATE TABLE by_index AS SELECT q.id AS query, d.* FROM indexed q, LATERAL (SELECT array_agg(d) AS d FROM (SELECT i.p <-> q.p AS d FROM indexed i ORDER BY i.p <-> q.p) t) d
	WHERE q.id IN (1, 2, 3, 17, 333, 3001);
RESET enable_sort;
SET enable_indexscan = off;
SELECT count(*) AS queries, count(*) FILTER (WHERE d = (SELECT array_agg(i.p <-> q.p ORDER BY i.p <-> q.p) FROM indexed i)) AS same, min(cardinality(d)) AS rows
FROM by_index b JOIN indexed q ON q.id = b.query;
RESET enable_indexscan;
-- One index for one model
INSERT INTO indexed SELECT id, p FROM candidate WHERE name = 'equal' LIMIT 1;
SET client_min_messages = warning;
DROP SCHEMA profile_nearest CASCADE;
