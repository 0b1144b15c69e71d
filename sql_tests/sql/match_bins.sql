-- Special codes with bins of their own, own breaks and groups of words: match_fit, attribute_relevance, match_prospects
SET client_min_messages = warning;
SET jit = off;
SET datestyle = ISO;
CREATE SCHEMA bins;
SET search_path = bins, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
-- income: -999 "refused" (good customers) and 666666 "self-employed" (bad ones) are no amounts
CREATE TABLE person AS SELECT i AS id, CASE WHEN coin(i, 1) < 0.1 THEN -999 WHEN coin(i, 1) < 0.2 THEN 666666 WHEN coin(i, 1) < 0.25 THEN NULL ELSE 1000 + floor(coin(i, 2) * 4000) END AS income,
	18 + floor(coin(i, 3) * 60)::int AS age, (ARRAY['student', 'retired', 'services', 'admin', 'technician', 'refused'])[1 + floor(coin(i, 4) * 6)] AS job, date '2020-01-01' + floor(coin(i, 5) * 1000)::int AS since,
	(ARRAY['basic', 'college', 'master'])[1 + floor(coin(i, 6) * 3)] AS education, ARRAY[chr(97 + (coin(i, 7) * 3)::int)] AS likes, coin(i, 8) AS noise FROM generate_series(1, 4000) i;
ALTER TABLE person ADD target boolean;
UPDATE person SET target = coin(id, 9) < 0.2 + CASE income WHEN -999 THEN 0.35 WHEN 666666 THEN -0.15 ELSE coalesce(income, 1000) / 40000 END + CASE WHEN age < 30 THEN 0.1 WHEN age >= 60 THEN -0.05 ELSE 0 END + CASE WHEN job IN ('student', 'retired') THEN 0.1 ELSE 0 END + CASE WHEN education = 'master' THEN 0.08 ELSE 0 END;
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id", "target"], "order": {"education": ["basic", "college", "master"]}}') AS m FROM person p;
\set own '{"special": {"income": [-999, 666666, 123], "job": ["refused"]}, "breaks": {"age": [30, 45, 60], "job": [["student", "retired"], "services"], "since": ["2021-01-01", "2022-01-01"], "education": ["master"], "noise": [0.25, 0.5, 0.75]}}'
CREATE TABLE card AS SELECT match_fit(profile(p, m), target, m, :'own') AS mm, match_fit(profile(p, m), target, m) AS without FROM person p, model;
-- bins as given, with the counts of plain SQL; 123 is nobody's; noise stays out, breaks or not
SELECT attribute, bin, rows, targets FROM card, match_card(mm) WHERE attribute !~ '×' AND attribute <> 'income';
SELECT count(*) AS noise FROM card, match_card(mm) WHERE attribute IN ('noise', 'since');
CREATE VIEW truth AS
	SELECT 'income' AS attribute, income::text AS bin, count(*) AS rows, count(*) FILTER (WHERE target) AS targets FROM person WHERE income IN (-999, 666666) GROUP BY 2
	UNION ALL SELECT 'age', CASE WHEN age < 30 THEN 'up to 29' WHEN age < 45 THEN '30 to 44' WHEN age < 60 THEN '45 to 59' ELSE '60 and more' END, count(*), count(*) FILTER (WHERE target) FROM person GROUP BY 2
	UNION ALL SELECT 'job', CASE WHEN job IN ('student', 'retired') THEN 'group' WHEN job IN ('services', 'refused') THEN job ELSE 'others' END, count(*), count(*) FILTER (WHERE target) FROM person GROUP BY 2
	UNION ALL SELECT 'education', CASE WHEN education = 'master' THEN 'master and more' ELSE 'below master' END, count(*), count(*) FILTER (WHERE target) FROM person GROUP BY 2;
SELECT count(*) AS bins_of_truth, count(c.rows) AS found, bool_and(c.rows = t.rows AND c.targets = t.targets) AS counts FROM card, truth t
	LEFT JOIN match_card((SELECT mm FROM card)) c ON c.attribute = t.attribute AND c.rows = t.rows AND c.bin IN (t.bin, CASE t.bin WHEN 'group' THEN c.bin WHEN 'others' THEN c.bin END);
-- the other amounts have ranges, of which the special values are no part
SELECT bool_and(bin ~ '^(any other|below [0-9.]+|[0-9.]+ (to below [0-9.]+|and more))$') AS ranges, sum(rows) = (SELECT count(*) FROM person WHERE income NOT IN (-999, 666666)) AS rows
FROM card, match_card(mm) WHERE attribute = 'income' AND bin NOT IN ('-999', '666666', '(missing)');
-- each bin's points are the person's; 123 tells nothing, and the score without options is another
SELECT e.bin, round(e.points::numeric, 1) AS points, e.rows FROM card, model, (SELECT * FROM person WHERE id = 1) p, unnest(ARRAY[-999, 666666, 123]) i,
	LATERAL (SELECT profile(r, m) AS x FROM (SELECT i AS income, p.age, p.job, p.since, p.education, p.likes, p.noise) r) y, explain_match(x, mm) e WHERE e.attribute = 'income' ORDER BY i;
SELECT count(*) FILTER (WHERE bin ~ '-999|666666') AS without_options FROM card, match_card(without) WHERE attribute = 'income' AND bin IN ('-999', '666666');
SELECT mm::text::match_model = mm AS lossless, mm <> without AS other FROM card;
SELECT match_fit(profile(p, m), target, m, :'own') = (SELECT mm FROM card) AS any_order FROM (SELECT * FROM person ORDER BY md5(id::text)) p, model;
-- it pays: income is three things in one column
SELECT (match_quality(mm)).auc - (match_quality(without)).auc > -0.01 AS no_worse, (match_quality(mm)).attributes AS attributes FROM card;
-- options of NULL or nothing change nothing
SELECT match_fit(profile(p, m), target, m, NULL) = (SELECT without FROM card) AS null_options, match_fit(profile(p, m), target, m, '{}') = (SELECT without FROM card) AS no_options FROM person p, model;
-- many distinct numbers: borders hold to the number
CREATE TABLE fine AS SELECT i AS id, i / 1000.0 AS x, coin(i, 1) < CASE WHEN i < 33333 THEN 0.2 WHEN i = 50000 THEN 1 ELSE 0.4 END AS target FROM generate_series(1, 70000) i;
SELECT bin, rows FROM (SELECT match_fit(profile(f, m), target, m, '{"breaks": {"x": [33.333]}, "special": {"x": [50]}}') AS mm FROM fine f, (SELECT profile_fit(f, '{"ignore": ["id", "target"]}') AS m FROM fine f) x) y, match_card(mm);
-- everybody special
SELECT bin, rows, targets FROM (SELECT match_fit(profile(f, m), target, m, '{"special": {"x": [1, 2]}}') AS mm FROM (SELECT 1 + i % 2 AS x, coin(i, 1) < 0.2 + (i % 2) * 0.3 AS target FROM generate_series(1, 1000) i) f,
	(SELECT profile_fit(f, '{"ignore": ["target"]}') AS m FROM (SELECT 1 + i % 2 AS x, true AS target FROM generate_series(1, 1000) i) f) x) y, match_card(mm);

-- attributes that only have missing values, or one value, are part of no interaction: they would but be finer ranges of the other
CREATE TABLE gap AS SELECT i AS id, 20 + i % 60 AS age, NULL::int AS n, NULL::date AS d, 7 AS seven, (i % 60 < 20) <> (i % 13 = 0) AS target FROM generate_series(1, 4000) i;
SELECT c.attribute, c.bin, c.rows FROM (SELECT match_fit(profile(g, m), target, m, '{"breaks": {"age": [30, 45], "n": [1], "d": ["2020-01-01"]}}') AS mm FROM gap g, (SELECT profile_fit(g, '{"ignore": ["id", "target"]}') AS m FROM gap g) x) y, match_card(mm) c;
SELECT DISTINCT c.attribute FROM (SELECT match_fit(profile(g, m), target::int, m, '{"breaks": {"age": [30, 45]}}') AS mm FROM gap g, (SELECT profile_fit(g, '{"ignore": ["id", "target"]}') AS m FROM gap g) x) y, match_card(mm) c;
-- whole numbers: borders between them, none in between, numbers that a profile does not hold exactly
CREATE TABLE whole AS SELECT (i % 7)::smallint AS n, i % 7 * 100000000::bigint AS large, i % 7 / 1.0 AS fraction, (i % 7 < 3) <> (i % 11 = 0) AS target FROM generate_series(1, 2000) i;
SELECT c.attribute, c.bin, c.rows FROM (SELECT match_fit(profile(g, m), target, m, '{"breaks": {"n": [1, 1.2, 1.8, 3.5], "large": [200000000], "fraction": [1, 4]}}') AS mm FROM whole g, (SELECT profile_fit(g, '{"ignore": ["target"]}') AS m FROM whole g) x) y, match_card(mm) c;
SELECT r.attribute, array_agg(b.bin ORDER BY b.ordinality) AS bins FROM unnest((SELECT attribute_relevance(w, target, '{target}', '{"breaks": {"n": [1, 1.2, 1.8, 3.5], "large": [200000000], "fraction": [1, 4]}}') FROM whole w)) r, unnest(r.bins) WITH ORDINALITY b GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT score) AS scores FROM match_prospects(NULL::int, 'SELECT id, target AS is_target, age, n, d FROM bins.gap', 'SELECT id + 10000, age, n, d FROM bins.gap WHERE id <= 60', options => '{"breaks": {"age": [30, 45]}}');
-- numbers beyond those of profiles count as the largest, and so do borders
SELECT c.bin, c.rows FROM (SELECT match_fit(profile(r, m), target, m, '{"breaks": {"x": [1e300]}}') AS mm FROM gap, LATERAL (SELECT CASE WHEN target THEN 1e301 ELSE id END::float8 AS x) r, (SELECT profile_fit(r) AS m FROM (SELECT id::float8 AS x FROM gap) r) x) y, match_card(mm) c;

-- ---------------------------------------------------------------- attribute_relevance
CREATE TABLE found AS SELECT r.* FROM unnest((SELECT attribute_relevance(p, target, '{id}', '{"special": {"income": [-999, 666666], "job": ["refused"]}, "breaks": {"age": [30, 45, 60], "job": [["student", "retired"], "services"], "since": ["2021-01-01", "2022-01-01"], "noise": [0.25, 0.5, 0.75]}}') FROM person p)) r;
SELECT attribute, b.bin, b.rows, b.targets FROM found, unnest(bins) b WHERE attribute IN ('age', 'job', 'since');
SELECT bool_and(b.rows = t.rows AND b.targets = t.targets) AS counts, count(*) FROM truth t JOIN found f USING (attribute), unnest(f.bins) b WHERE t.attribute IN ('income', 'age') AND b.bin = t.bin;
-- chi-square of given bins, by hand; they cost no search, so that only the number of attributes adjusts p
SELECT f.df = 3 AS df, abs(f.chi_square - x.chi_square) < 1e-9 AS chi_square, f.adjusted_p_value BETWEEN f.p_value AND f.p_value * 8 AS p_value
FROM (SELECT chi_square, degrees_of_freedom AS df, p_value, adjusted_p_value FROM found WHERE attribute = 'age') f,
	(SELECT sum((targets - rows * r.rate) ^ 2 / (rows * r.rate * (1 - r.rate))) AS chi_square FROM truth, (SELECT avg(target::int)::float8 AS rate FROM person) r WHERE attribute = 'age') x;
SELECT attribute, verdict FROM found WHERE attribute IN ('noise', 'income', 'age') ORDER BY 1;

-- ---------------------------------------------------------------- match_prospects
WITH encoding AS MATERIALIZED (SELECT profile_fit(c, '{"ignore": ["target"]}') AS pm FROM (SELECT income, age, job, target FROM person) c),
	both_models AS MATERIALIZED (SELECT pm, (SELECT match_fit(profile(c, pm), target, pm, '{"special": {"income": [-999, 666666]}, "breaks": {"age": [30, 45, 60]}}') FROM (SELECT income, age, job, target FROM person) c) AS mm FROM encoding)
SELECT count(*), bool_and(abs(m.score - match_score(profile(r, pm), mm)) < 1e-12) AS by_such_a_card
FROM both_models,
	match_prospects(NULL::int, 'SELECT id, target AS is_target, income, age, job FROM bins.person', 'SELECT id + 10000, income, age, job FROM bins.person WHERE id <= 100', options => '{"special": {"income": [-999, 666666]}, "breaks": {"age": [30, 45, 60]}}') m
	JOIN person p ON p.id + 10000 = m.prospect, LATERAL (SELECT p.income, p.age, p.job) r;

-- ---------------------------------------------------------------- what is refused
CREATE FUNCTION refused(options jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM crm_profile.match_fit(crm_profile.profile(p, m), target, m, options) FROM (SELECT * FROM bins.person LIMIT 100) p, bins.model;
	RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT o, refused(o::jsonb) FROM unnest(ARRAY['[]', '{"specials": {}}', '{"special": []}', '{"special": {"incom": [1]}}', '{"special": {"likes": ["a"]}}', '{"special": {"income": 1}}', '{"special": {"income": ["x"]}}',
	'{"special": {"income": [1, 1]}}', '{"breaks": {"age": [30, 30]}}', '{"breaks": {"age": [45, 30]}}', '{"breaks": {"since": [1]}}', '{"breaks": {"since": ["no day"]}}', '{"breaks": {"job": [["student"], ["admin", "student"]]}}',
	'{"breaks": {"education": ["master", "college"]}}', '{"breaks": {"income": [1e-30, 1.00000001e-30]}}', '{"special": {"income": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}', '{"special": null, "breaks": {"age": [30]}}',
	'{"breaks": {"education": ["master", "nope"]}}', '{"special": {"education": ["nope"]}}', '{"breaks": {"job": ["nope"]}}']) WITH ORDINALITY u(o, n) ORDER BY n;
SELECT match_fit(profile(p, m), target, NULL, '{"breaks": {"age": [30]}}') FROM person p, model;
SELECT match_fit(profile(p, m), target, m, '{"breaks": {"education": ["nope"]}}') FROM person p, model;
SELECT attribute_relevance(p, target, '{id}', '{"breaks": {"ages": [30]}}') FROM person p;
SELECT attribute_relevance(p, target, NULL, '{"special": {"likes": ["a"]}}') FROM person p;
DROP SCHEMA bins CASCADE;
