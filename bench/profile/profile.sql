-- Profiles: fitting, encoding and all against all.  Run by bench/profile.sh.
-- Every figure is the best of three runs on one core, in milliseconds unless stated otherwise.
\pset footer off
SET client_min_messages = warning;
SET search_path = public, crm_profile;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET work_mem = '64MB';

CREATE FUNCTION pg_temp.measured(query text, runs int DEFAULT 3) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
	best numeric := 'infinity';
BEGIN
	FOR i IN 1 .. runs LOOP
		started := clock_timestamp();
		EXECUTE query;
		best := least(best, round(extract(epoch FROM clock_timestamp() - started) * 1000, 1));
	END LOOP;
	RETURN best;
END $$;

-- A million customers, 20 mixed attributes, missing values
SELECT setseed(0.5) \g /dev/null
CREATE UNLOGGED TABLE people AS SELECT
	(18 + random() * 70)::int AS age, CASE WHEN random() < .05 THEN NULL ELSE round((exp(random() * 3 + 8))::numeric, 2) END AS income,
	(random() * random() * 10)::int AS kids, (random() * 20)::int AS tenure, CASE WHEN random() < .1 THEN NULL ELSE random() * 100 END AS score,
	random() * random() * 5000 AS balance, CASE WHEN random() < .8 THEN 0 ELSE (random() * 50)::int END AS previous, (random() * 365)::int AS days,
	date '2010-01-01' + (random() * 4000)::int AS since, (random() * 100)::smallint AS pct,
	(ARRAY['single','married','divorced','widowed','unknown'])[1 + (random() * 4)::int] AS marital,
	(ARRAY['admin','technician','services','management','retired','blue-collar','unemployed','entrepreneur','housemaid','student'])[1 + (random() * 9)::int] AS job,
	(ARRAY['primary','secondary','tertiary',NULL])[1 + (random() * 3)::int] AS education, 'city' || (random() * random() * 500)::int AS city,
	random() < .5 AS housing, random() < .2 AS loan, random() < .02 AS in_default, (ARRAY['cellular','telephone','unknown'])[1 + (random() * 2)::int] AS contact,
	(ARRAY['jan','feb','mar','apr','may','jun','jul','aug','sep','oct','nov','dec'])[1 + (random() * 11)::int] AS month,
	(ARRAY['web','shop','phone'])[1 + (random() * 2)::int] AS channel
FROM generate_series(1, 1000000) i;
VACUUM ANALYZE people;

\echo 'profile_fit and profile of 1 M customers with 20 attributes, against a sequential scan that reads all columns'
CREATE TEMP TABLE t AS SELECT
	pg_temp.measured('SELECT ' || (SELECT string_agg(format('count(%I)', attname), ', ') FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0) || ' FROM people') AS scan,
	pg_temp.measured('SELECT count(p) FROM people p') AS whole_rows,
	pg_temp.measured('SELECT profile_fit(p) FROM people p') AS fit;
CREATE TABLE model AS SELECT profile_fit(p) AS m FROM people p;
SELECT *, round((fit + profile) / scan, 1) AS times_scan FROM t, pg_temp.measured('SELECT count(profile(p, (SELECT m FROM model))) FROM people p') profile;
CREATE UNLOGGED TABLE prospect AS SELECT row_number() OVER () AS id, profile(p, (SELECT m FROM model)) AS p FROM (SELECT * FROM people LIMIT 100000) p;
CREATE UNLOGGED TABLE best AS SELECT row_number() OVER () AS id, profile(p, (SELECT m FROM model)) AS p FROM (SELECT * FROM people OFFSET 500000 LIMIT 10000) p;
VACUUM ANALYZE prospect;
VACUUM ANALYZE best;
SELECT pg_relation_size('people') / 1000000 || ' bytes' AS row, pg_column_size(p) || ' bytes' AS profile, (SELECT pg_column_size(m) || ' bytes' FROM model) AS model FROM best LIMIT 1;

\echo 'nearest_profiles: 100 000 prospects x 10 000 customers x 20 attributes, k = 10; one process, then with a worker'
SET max_parallel_workers_per_gather = 0;
SELECT kernel, pg_temp.measured(format('SELECT count(*) FROM nearest_profiles(NULL::bigint, ''SELECT id, p FROM prospect'', ''SELECT id, p FROM best'', 10, %L)', kernel)) AS nearest_profiles
FROM unnest('{avx512,avx2,sse2,portable}'::text[]) kernel;
SET max_parallel_workers_per_gather = 1;
SELECT pg_temp.measured('SELECT count(*) FROM nearest_profiles(NULL::bigint, ''SELECT id, p FROM prospect'', ''SELECT id, p FROM best'', 10)') AS with_a_worker;
SET max_parallel_workers_per_gather = 0;
\echo 'One prospect against 10 000 customers, by GiST and by the operator'
CREATE INDEX ON best USING gist (p);
SELECT round(pg_temp.measured('SELECT (SELECT count(*) FROM (SELECT FROM best b ORDER BY b.p <-> c.p LIMIT 10) x) FROM (SELECT * FROM prospect LIMIT 100) c') / 100, 2) AS gist,
	round(pg_temp.measured('SELECT (SELECT count(*) FROM (SELECT FROM best b ORDER BY (b.p <-> c.p) + 0 LIMIT 10) x) FROM (SELECT * FROM prospect LIMIT 100) c') / 100, 2) AS operator;

\echo 'Plain SQL: 20 prospects against 10 000 customers, and what 100 000 would take in seconds'
SELECT plain_sql, round(plain_sql * 5000 / 1000) AS seconds_for_all FROM pg_temp.measured($$
	SELECT (SELECT array_agg(s) FROM (SELECT
		(coalesce(1 - abs(a.age - c.age) / 70.0::float8, 0) + coalesce(1 - abs(a.income - c.income)::float8 / 57000, 0) + coalesce(1 - abs(a.kids - c.kids) / 10.0::float8, 0)
		+ coalesce(1 - abs(a.tenure - c.tenure) / 20.0::float8, 0) + coalesce(1 - abs(a.score - c.score) / 100, 0) + coalesce(1 - abs(a.balance - c.balance) / 5000, 0)
		+ coalesce(1 - abs(a.previous - c.previous) / 50.0::float8, 0) + coalesce(1 - abs(a.days - c.days) / 365.0::float8, 0) + coalesce(1 - abs(a.since - c.since) / 4000.0::float8, 0)
		+ coalesce(1 - abs(a.pct - c.pct) / 100.0::float8, 0) + coalesce((a.marital = c.marital)::int, 0) + coalesce((a.job = c.job)::int, 0) + coalesce((a.education = c.education)::int, 0)
		+ coalesce((a.city = c.city)::int, 0) + (a.housing = c.housing)::int + (a.loan = c.loan)::int + (a.in_default = c.in_default)::int
		+ coalesce((a.contact = c.contact)::int, 0) + coalesce((a.month = c.month)::int, 0) + coalesce((a.channel = c.channel)::int, 0))
		/ (17 + (a.income + c.income IS NOT NULL)::int + (a.score + c.score IS NOT NULL)::int + (a.education || c.education IS NOT NULL)::int) AS s
		FROM (SELECT * FROM people OFFSET 500000 LIMIT 10000) a ORDER BY s DESC LIMIT 10) s)
	FROM (SELECT * FROM people LIMIT 20) c$$) AS plain_sql;
