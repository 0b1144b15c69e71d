-- The nearest of people with 20 attributes by index, and by a sequential scan and a sort: people in groups, and people whose attributes have nothing to do with each other.
SET work_mem = '64MB';
SET maintenance_work_mem = '256MB';
SET max_parallel_workers_per_gather = 0;
SET search_path = public, crm_profile;
SELECT setseed(0.16) \g /dev/null
CREATE TABLE person AS
	SELECT i AS id, (hashint4(i) & 65535) % 200 AS g, n[1] AS n1, n[2] AS n2, n[3] AS n3, n[4] AS n4, n[5] AS n5, n[6] AS n6, n[7] AS n7, n[8] AS n8, n[9] AS n9, n[10] AS n10,
		'w' || floor(8 * n[11]) AS w1, 'w' || floor(8 * n[12]) AS w2, 'w' || floor(8 * n[13]) AS w3, 'w' || floor(8 * n[14]) AS w4, 'w' || floor(30 * n[15]) AS w5, 'w' || floor(30 * n[16]) AS w6, 'w' || floor(100 * n[17]) AS w7, n[18] < 0.5 AS b1, n[19] < 0.5 AS b2, n[20] < 0.2 AS b3
	FROM generate_series(1, :people) i, LATERAL (SELECT array_agg(random()) AS n FROM generate_series(1, 20) k WHERE i > 0) x;
CREATE FUNCTION f(g int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN (hashint8extended(g, k) & 1048575) / 1048576.0::float8;
-- in groups of five thousand: numbers within a twentieth of the range, nine of ten with the word of the group
CREATE VIEW grouped AS
	SELECT id, n1 / 20 + f(g, 1) AS n1, n2 / 20 + f(g, 2) AS n2, n3 / 20 + f(g, 3) AS n3, n4 / 20 + f(g, 4) AS n4, n5 / 20 + f(g, 5) AS n5, n6 / 20 + f(g, 6) AS n6, n7 / 20 + f(g, 7) AS n7, n8 / 20 + f(g, 8) AS n8, n9 / 20 + f(g, 9) AS n9, n10 / 20 + f(g, 10) AS n10,
		CASE WHEN n1 < 0.1 THEN w1 ELSE 'w' || floor(8 * f(g, 11)) END AS w1, CASE WHEN n2 < 0.1 THEN w2 ELSE 'w' || floor(8 * f(g, 12)) END AS w2, CASE WHEN n3 < 0.1 THEN w3 ELSE 'w' || floor(8 * f(g, 13)) END AS w3, CASE WHEN n4 < 0.1 THEN w4 ELSE 'w' || floor(8 * f(g, 14)) END AS w4,
		CASE WHEN n5 < 0.1 THEN w5 ELSE 'w' || floor(30 * f(g, 15)) END AS w5, CASE WHEN n6 < 0.1 THEN w6 ELSE 'w' || floor(30 * f(g, 16)) END AS w6, CASE WHEN n7 < 0.1 THEN w7 ELSE 'w' || floor(100 * f(g, 17)) END AS w7, f(g, 18) < 0.5 AS b1, f(g, 19) < 0.5 AS b2, f(g, 20) < 0.2 AS b3
	FROM person;

CREATE TABLE measured (data text, what text, figure float8);
CREATE PROCEDURE measure(data text) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
	blocks bigint;
	plan json;
	query CONSTANT text := format('EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT id FROM %I_profile ORDER BY p <-> (SELECT p FROM %1$I_profile WHERE id = %%s) LIMIT 10', data);
BEGIN
	EXECUTE format('CREATE INDEX ON %I_profile USING gist (p)', data);
	INSERT INTO measured VALUES (data, 'build, s (limit 60)', extract(epoch FROM clock_timestamp() - began));
	EXECUTE format('ANALYZE %I_profile', data);
	SELECT pg_relation_size(format('%I_profile_p_idx', data)) / current_setting('block_size')::int INTO blocks;
	INSERT INTO measured VALUES (data, 'pages of the index', blocks);
	FOR person IN 1001 .. 1008 LOOP
		PERFORM set_config('enable_seqscan', 'off', true);
		EXECUTE format(query, person) INTO plan;
		INSERT INTO measured VALUES (data, 'index, ms', (plan -> 0 ->> 'Execution Time')::float8), (data, 'pages read, %', 100 * ((plan #>> '{0,Plan,Shared Hit Blocks}')::float8 + (plan #>> '{0,Plan,Shared Read Blocks}')::float8) / blocks);
		PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
		EXECUTE format(query, person) INTO plan;
		INSERT INTO measured VALUES (data, 'sequential scan and sort, ms', (plan -> 0 ->> 'Execution Time')::float8);
		PERFORM set_config('enable_indexscan', 'on', true);
		EXECUTE format(query, person) INTO plan;
		INSERT INTO measured VALUES (data, 'as planned, ms', (plan -> 0 ->> 'Execution Time')::float8), (data, 'planning, ms', (plan -> 0 ->> 'Planning Time')::float8), (data, 'planned by index, %', 100 * (plan::text ~ '_p_idx')::int);
	END LOOP;
END $$;
CREATE TABLE grouped_profile AS SELECT id, profile(p, (SELECT profile_fit(m, '{"ignore": ["id"]}') FROM grouped m WHERE id <= 20000)) AS p FROM grouped p;
CREATE TABLE random_profile AS SELECT id, profile(p, (SELECT profile_fit(m, '{"ignore": ["id", "g"]}') FROM person m WHERE id <= 20000)) AS p FROM person p;
ALTER TABLE grouped_profile ADD PRIMARY KEY (id);
ALTER TABLE random_profile ADD PRIMARY KEY (id);
CALL measure('grouped');
CALL measure('random');
\echo :people 'people, 20 attributes, the nearest ten of eight of them: medians'
SELECT what, max(round(figure::numeric, 2)) FILTER (WHERE data = 'grouped') AS grouped, max(round(figure::numeric, 2)) FILTER (WHERE data = 'random') AS random
FROM (SELECT data, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY figure) AS figure, min(ctid) AS place FROM measured GROUP BY data, what) m GROUP BY what ORDER BY min(place);
DROP TABLE person, grouped_profile, random_profile, measured CASCADE;
