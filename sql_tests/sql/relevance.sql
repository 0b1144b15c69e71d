-- attribute_relevance: bins, statistics and verdicts
SET search_path = public, crm_profile;
SET datestyle = ISO;
SET extra_float_digits = 0;
\getenv abs_srcdir PG_ABS_SRCDIR

\set load :abs_srcdir '/data/bank_marketing.psql'
\i :load

-- P(X > x) for chi-square, from its definition: the finite sums for even and odd degrees of freedom, erfc by its series
CREATE FUNCTION chi_square_tail(x float8, df int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE z float8 := sqrt(x / 2); term float8; total float8 := 0;
BEGIN
	IF x > 150 THEN RETURN 0; END IF;	-- below 1e-20 for what is tested here
	IF df % 2 = 0 THEN
		term := 1;
		FOR i IN 0 .. df / 2 - 1 LOOP total := total + term; term := term * (x / 2) / (i + 1); END LOOP;
		RETURN exp(-x / 2) * total;
	END IF;
	term := z / (sqrt(pi()) / 2);
	FOR i IN 1 .. (df - 1) / 2 LOOP total := total + term; term := term * (x / 2) / (i + 0.5); END LOOP;
	total := exp(-x / 2) * total;
	term := z;
	FOR i IN 1 .. 600 LOOP EXIT WHEN term < 1e-9 AND i > 2 * z * z; total := total - 2 / sqrt(pi()) * exp(-z * z) * term; term := term * 2 * z * z / (2 * i + 1); END LOOP;
	RETURN total + 1;
END $$;
SELECT round(chi_square_tail(3.841459, 1)::numeric, 6) AS df1, round(chi_square_tail(5.991465, 2)::numeric, 6) AS df2,
	round(chi_square_tail(7.814728, 3)::numeric, 6) AS df3, round(chi_square_tail(18.307038, 10)::numeric, 6) AS df10;

-- The formulas of the statistics in SQL, over the counts of each bin
CREATE VIEW truth AS
	WITH r AS (SELECT * FROM unnest((SELECT attribute_relevance(bank, y = 'yes', '{y}') FROM bank))),
	b AS (SELECT r.attribute, b.bin, b.rows::float8 AS n, b.targets::float8 AS e, b.woe, b.information_value AS iv
		FROM r, unnest(r.bins) b),
	t AS (SELECT *, n - e AS o, sum(e) OVER w AS te, sum(n - e) OVER w AS tn, sum(n) OVER w AS total, count(*) OVER w AS k
		FROM b WINDOW w AS (PARTITION BY attribute)),
	f AS (SELECT *, (e + 0.5) / (te + 0.5 * k) AS eh, (o + 0.5) / (tn + 0.5 * k) AS nh, n * te / total AS xe, n * tn / total AS xn FROM t),
	s AS (SELECT attribute, k, total, sum((eh - nh) * ln(eh / nh)) AS iv, sum((e - xe) ^ 2 / xe + (o - xn) ^ 2 / xn) AS chi,
			sum(CASE WHEN e > 0 THEN e / total * ln(e / xe) ELSE 0 END + CASE WHEN o > 0 THEN o / total * ln(o / xn) ELSE 0 END) AS mi,
			least(min(xe), min(xn)) AS min_expected,
			max(abs(woe - ln(eh / nh))) AS woe_off, max(abs(f.iv - (eh - nh) * ln(eh / nh))) AS iv_off
		FROM f GROUP BY attribute, k, total)
	SELECT s.*, greatest(0, chi / total - (k - 1) / (total - 1)) AS phi2, k - (k - 1) ^ 2 / (total - 1) AS kc, 2 - 1 / (total - 1) AS cc FROM s;
SELECT attribute, r.information_value BETWEEN 0.8 * s.iv AND s.iv AND r.information_value < s.iv OR r.information_value = 0 AS iv, s.iv_off < 1e-9 AS bin_iv, s.woe_off < 1e-9 AS woe,
	abs(r.chi_square - s.chi) < 1e-6 AS chi_square, r.degrees_of_freedom = s.k - 1 AS df,
	abs(r.p_value - chi_square_tail(s.chi, s.k::int - 1)) < 1e-9 AS p_value,
	abs(r.cramers_v - sqrt(s.phi2 / (least(s.kc, s.cc) - 1))) < 1e-9 AS cramers_v,
	abs(r.mutual_information - s.mi) < 1e-9 AS mutual_information, abs(r.min_expected - s.min_expected) < 1e-6 AS min_expected
FROM unnest((SELECT attribute_relevance(bank, y = 'yes', '{y}') FROM bank)) r JOIN truth s USING (attribute)
ORDER BY attribute COLLATE "C";

-- The counts of the bins are those of the table
SELECT bin, rows, targets FROM unnest((SELECT (attribute_relevance(balance, y = 'yes')).bins FROM bank)) ORDER BY rate;
SELECT count(*) FILTER (WHERE balance < 0) AS below, count(*) FILTER (WHERE balance < 0 AND y = 'yes') AS targets FROM bank;
SELECT b.bin, b.rows = count(*) AS rows, b.targets = count(*) FILTER (WHERE y = 'yes') AS targets
FROM unnest((SELECT (attribute_relevance(job, y = 'yes')).bins FROM bank)) b JOIN bank ON bank.job = ANY (string_to_array(b.bin, ', '))
GROUP BY b.bin, b.rows, b.targets ORDER BY b.bin COLLATE "C";

-- Useful attributes on real data; the length of the call leaks the answer
SELECT attribute, verdict, round(information_value::numeric, 3) AS iv, round(cramers_v::numeric, 3) AS v, missing_rate
FROM unnest((SELECT attribute_relevance(bank, y = 'yes', '{y}') FROM bank));
-- the target itself leaks most of all
SELECT attribute, verdict FROM unnest((SELECT attribute_relevance(bank, y = 'yes') FROM bank)) LIMIT 1;

-- The order of the rows does not matter
SELECT (SELECT attribute_relevance(b, y = 'yes') FROM (SELECT * FROM bank ORDER BY md5(bank::text)) b)
	= (SELECT attribute_relevance(b, y = 'yes') FROM (SELECT * FROM bank ORDER BY age, duration DESC) b) AS same;

-- Adjusted p-values: Benjamini and Hochberg over those of the single attributes
CREATE TABLE noise AS
	SELECT i, h[1] % 10 = 0 AS target, h[2] AS n1, h[3] % 7 AS n2, (h[4] % 30)::text AS w1, h[5] % 2 = 0 AS b1, date '2020-01-01' + h[6] % 1000 AS d1,
		(h[7] % 5)::text AS w2, h[8] AS n3, h[9] AS n4, (ARRAY['x', 'y', 'z'])[1 : h[10] % 4] AS a1,
		CASE WHEN h[11] % 4 > 0 THEN h[12] END AS sometimes
	FROM (SELECT i, ARRAY(SELECT ('x' || substr(md5(i || ' ' || k), 1, 7))::bit(28)::int FROM generate_series(1, 12) k) AS h
		FROM generate_series(1, 3000) i) x;
WITH few AS MATERIALIZED (SELECT age, job, marital, loan, "default", y FROM bank WHERE day = 5),
	single AS (
		SELECT 'age' AS attribute, (attribute_relevance(age, y = 'yes')).adjusted_p_value AS p FROM few UNION ALL
		SELECT 'job', (attribute_relevance(job, y = 'yes')).adjusted_p_value FROM few UNION ALL
		SELECT 'marital', (attribute_relevance(marital, y = 'yes')).adjusted_p_value FROM few UNION ALL
		SELECT 'loan', (attribute_relevance(loan, y = 'yes')).adjusted_p_value FROM few UNION ALL
		SELECT 'default', (attribute_relevance("default", y = 'yes')).adjusted_p_value FROM few),
	ranked AS (SELECT *, p * count(*) OVER () / row_number() OVER (ORDER BY p) AS raw, row_number() OVER (ORDER BY p) AS i FROM single)
SELECT r.attribute, round(r.adjusted_p_value::numeric, 6) AS adjusted,
	abs(r.adjusted_p_value - least(1, (SELECT min(raw) FROM ranked o WHERE o.i >= ranked.i))) < 1e-12 AS right
FROM unnest((SELECT attribute_relevance(few, y = 'yes', '{y}') FROM few)) r JOIN ranked USING (attribute) ORDER BY r.attribute COLLATE "C";

-- Noise of every kind is useless, and so is a value that half of both targets and others have
SELECT attribute, verdict FROM unnest((SELECT attribute_relevance(noise, target, '{i,target}') FROM noise)) ORDER BY attribute COLLATE "C";
SELECT verdict, round(adjusted_p_value::numeric, 3) AS adjusted FROM (SELECT (attribute_relevance(i % 2 = 0, i % 20 < 4)).* FROM generate_series(1, 2000) i) x;
-- even the row number, all of whose values are distinct
SELECT verdict, cardinality(bins) FROM (SELECT (attribute_relevance(i, target)).* FROM noise) x;
SELECT verdict, bins[1].bin = '3000 rare values' AS all_rare FROM (SELECT (attribute_relevance(i::text, target)).* FROM noise) x;

-- The information value on unseen rows: it is corrected for luck. 30 words and a number, in forty draws; the bins of
-- one half, measured on the other half of the rows, against the value given (and against the sum over the bins, which promises too much)
CREATE FUNCTION uniform(text) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN (('x' || substr(md5($1), 1, 7))::bit(28)::int + 0.5) / 2 ^ 28;
CREATE FUNCTION normal(text) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN sqrt(-2 * ln(uniform('r' || $1))) * cos(2 * pi() * uniform('a' || $1));
CREATE TABLE drawn AS SELECT s, i, i % 2 = 0 AS fitted, word, number, uniform('t' || s || ' ' || i) < 1 / (1 + exp(1.4 - 0.4 * sin(word * 7.0 + s) - 0.3 * number)) AS target
	FROM generate_series(1, 40) s, generate_series(1, 3000) i, LATERAL (SELECT floor(30 * uniform('w' || s || ' ' || i))::int AS word, normal(s || ' ' || i) AS number OFFSET 0) x;
CREATE TABLE found AS SELECT s, attribute_relevance(word::text, target) AS word, attribute_relevance(number, target) AS number FROM drawn WHERE fitted GROUP BY s;
-- bins are neighbours in the order of rates: the number of rows tells which word is in which
CREATE TABLE other_half AS
	WITH words AS (SELECT s, word, count(*) FILTER (WHERE target AND NOT fitted)::float8 AS e, count(*) FILTER (WHERE NOT target AND NOT fitted)::float8 AS o,
			sum(count(*) FILTER (WHERE fitted)) OVER (PARTITION BY s ORDER BY avg(target::int) FILTER (WHERE fitted) DESC, word) AS upto FROM drawn GROUP BY s, word),
		bins AS (SELECT s, b.o AS bin, sum(b.rows) OVER (PARTITION BY s ORDER BY b.o) AS upto FROM found, unnest((word).bins) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)),
		counts AS (SELECT w.s, b.bin, sum(e) AS e, sum(o) AS o FROM words w, LATERAL (SELECT bin FROM bins b WHERE b.s = w.s AND b.upto >= w.upto ORDER BY bin LIMIT 1) b GROUP BY 1, 2),
		shares AS (SELECT s, e / sum(e) OVER (PARTITION BY s) AS e, o / sum(o) OVER (PARTITION BY s) AS o FROM counts)
	SELECT s, sum((e - o) * ln(e / o)) AS value FROM shares GROUP BY s;
SELECT abs(avg(o.value) / avg((word).information_value) - 1) < 0.15 AS as_promised, avg(o.value) < 0.75 * avg((SELECT sum(information_value) FROM unnest((word).bins))) AS the_sum_is_not
FROM other_half o JOIN found USING (s);
SELECT abs(avg(unseen) / avg((number).information_value) - 1) < 0.15 AS as_promised
FROM found f, LATERAL (SELECT sum((e / te - o / tn) * woe) AS unseen FROM (SELECT b.woe, count(*) FILTER (WHERE target)::float8 AS e, count(*) FILTER (WHERE NOT target) AS o,
		sum(count(*) FILTER (WHERE target)) OVER () AS te, sum(count(*) FILTER (WHERE NOT target)) OVER ()::float8 AS tn
	FROM drawn d JOIN unnest((f.number).bins) b ON number >= coalesce(substring(b.bin FROM '^(-?[0-9.e-]+)( to| and more)')::float8, '-Infinity') AND number <= coalesce(substring(b.bin FROM '(?:up to|to) (-?[0-9.e-]+)$')::float8, 'Infinity')
	WHERE NOT fitted AND s = f.s GROUP BY b.woe) x) u;
-- A shift of .3 standard deviations among 1000 rows, a fifth of them targets: found nearly always (96 % by the rank-sum test), and among 500 in two of three draws (75 %)
CREATE TABLE shifted AS SELECT s, i, uniform('T' || s || ' ' || i) < 0.2 AS target, normal('x' || s || ' ' || i) AS x FROM generate_series(1, 100) s, generate_series(1, 1000) i;
SELECT count(*) FILTER (WHERE (all_rows).verdict ~ 'weak|medium|strong') >= 92 AS of_1000, count(*) FILTER (WHERE (half).verdict ~ 'weak|medium|strong') >= 64 AS of_500, count(*) FILTER (WHERE (none).verdict ~ 'weak|medium|strong') <= 9 AS of_noise
FROM (SELECT attribute_relevance(x + 0.3 * target::int, target) AS all_rows, attribute_relevance(x + 0.3 * target::int, target) FILTER (WHERE i <= 500) AS half, attribute_relevance(x, target) AS none FROM shifted GROUP BY s) y;
DROP TABLE drawn, found, other_half, shifted;
-- Not proven: it seems much, and chance would seldom give it, but it is the best of six
CREATE TABLE six AS SELECT uniform('t29 ' || i) < 0.3 AS target, uniform('x8 ' || i) AS best, uniform('x9 ' || i) AS a, uniform('x10 ' || i) AS b, uniform('x11 ' || i) AS c, uniform('x12 ' || i) AS d, uniform('x13 ' || i) AS e FROM generate_series(1, 300) i;
SELECT verdict FROM (SELECT (attribute_relevance(best, target)).* FROM six) x;
SELECT attribute, verdict, information_value > 0.1 AS seems_much, adjusted_p_value > 0.05 AS chance FROM unnest((SELECT attribute_relevance(six, target, '{target}') FROM six)) ORDER BY attribute COLLATE "C";
DROP TABLE six;
-- Two groups by Fisher's exact test with mid-p, several by chi-square with its own mean and variance, both from all ways to deal out the targets
CREATE TABLE logs AS SELECT array_agg(v ORDER BY i) AS f FROM (SELECT i, sum(CASE WHEN i > 0 THEN ln(i::float8) ELSE 0 END) OVER (ORDER BY i) AS v FROM generate_series(0, 200) i) x;
CREATE FUNCTION ways(f float8[], n int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN exp(f[n + 1] - f[k + 1] - f[n - k + 1]);
WITH deal AS MATERIALIZED (SELECT k, ways(f, 60, k) * ways(f, 140, 40 - k) / ways(f, 200, 40) AS p FROM logs, generate_series(0, 40) k)
SELECT seen, abs((SELECT (attribute_relevance(i <= 60, CASE WHEN i <= 60 THEN i <= seen ELSE i - 60 <= 40 - seen END)).adjusted_p_value FROM generate_series(1, 200) i)
	- (SELECT sum(d.p) - min(o.p) / 2 FROM deal d, deal o WHERE o.k = seen AND d.p <= o.p * (1 + 1e-7))) < 1e-9 AS mid_p FROM unnest('{5,8,12,18,25}'::int[]) seen;
-- the tail of a gamma distribution by adding up slices
CREATE FUNCTION gamma_tail(a float8, x float8) RETURNS float8 LANGUAGE sql AS $$
	SELECT sum(exp(-(x + s) + (a - 1) * ln(x + s))) / sum(exp(-s + (a - 1) * ln(s))) FROM (SELECT (i - 0.5) / 500 AS s FROM generate_series(1, 30000) i) slice $$;
WITH deal AS (SELECT (a ^ 2 / 20.0 + b ^ 2 / 40.0 + c ^ 2 / 60.0 + (40 - a - b - c) ^ 2 / 80.0 - 8) / 0.16 AS x, ways(f, 20, a) * ways(f, 40, b) * ways(f, 60, c) * ways(f, 80, 40 - a - b - c) / ways(f, 200, 40) AS p
		FROM logs, generate_series(0, 20) a, generate_series(0, 40) b, generate_series(0, 40) c WHERE a + b + c <= 40),
	moment AS MATERIALIZED (SELECT sum(p) AS all_ways, sum(p * x) AS mean, sum(p * x * x) - sum(p * x) ^ 2 AS variance FROM deal)
SELECT seen, abs(all_ways - 1) < 1e-9 AS all_ways, abs((SELECT (attribute_relevance(chr(96 + w::int), i <= seen[w])).adjusted_p_value FROM unnest('{20,40,60,80}'::int[]) WITH ORDINALITY s(n, w), generate_series(1, n) i)
	- gamma_tail(mean * mean / variance, (seen[1] ^ 2 / 20.0 + seen[2] ^ 2 / 40.0 + seen[3] ^ 2 / 60.0 + seen[4] ^ 2 / 80.0 - 8) / 0.16 * mean / variance)) < 1e-4 AS by_its_own_moments
FROM moment, (VALUES ('{2,5,13,20}'::int[]), ('{4,8,12,16}'), ('{10,8,10,12}'), ('{9,14,10,7}')) v(seen);
DROP FUNCTION ways, gamma_tail;
DROP TABLE logs;
-- A leak is told from a strong signal: almost certain, known for one class only, or far above all others
CREATE TABLE cases AS SELECT target, CASE WHEN target AND i % 3 > 0 THEN 'closed' WHEN i % 2 = 0 THEN 'open' ELSE 'new' END AS state, CASE WHEN target AND i % 4 > 0 THEN i % 7 END AS complaint,
	normal('s' || i) + target::int AS strong, normal('a' || i) + target::int AS also, normal('m' || i) + 0.4 * target::int AS medium, i % 13 AS noise FROM (SELECT i, uniform(i::text) < 0.3 AS target FROM generate_series(1, 2000) i) d;
SELECT attribute, verdict FROM unnest((SELECT attribute_relevance(cases, target, '{target}') FROM cases));
SELECT attribute, verdict FROM unnest((SELECT attribute_relevance(cases, target, '{target,state,complaint,also}') FROM cases));
-- days after the one by which all should be known: of that day, or of each row's own; a handful are errors
CREATE TABLE days AS SELECT target, date '2024-01-01' + (300 * uniform('d' || i))::int AS left_on, date '2024-01-01' + (300 * uniform('d' || i))::int - 90 - (60 * uniform('e' || i))::int * (1 + target::int) AS asked_on,
	date '2024-01-01' + (300 * uniform('d' || i))::int + CASE WHEN target THEN 10 ELSE -20 END AS called_on, date '2023-01-01' + (200 * uniform('f' || i))::int + 60 * target::int + CASE WHEN i < 4 THEN 2000 ELSE 0 END AS joined_on FROM (SELECT i, uniform(i::text) < 0.3 AS target FROM generate_series(1, 2000) i) d;
SELECT attribute, verdict ~ 'known_by' AS late FROM unnest((SELECT attribute_relevance(days, target, '{target}', '{"known_by": "left_on"}') FROM days)) ORDER BY attribute;
SELECT attribute, verdict ~ 'known_by' AS late FROM unnest((SELECT attribute_relevance(days, target, '{target}', '{"known_by": "2024-06-30"}') FROM days)) ORDER BY attribute;
SELECT attribute, verdict ~ 'known_by' AS late FROM unnest((SELECT attribute_relevance(days, target::int::float8, '{target}', '{"known_by": "left_on"}') FROM days)) ORDER BY attribute;
SELECT attribute_relevance(days, target, '{target}', '{"known_by": "tomorrow or so"}') FROM days;
SELECT attribute_relevance(days, target, '{target}', '{"known_by": 5}') FROM days;
SELECT attribute_relevance(days, target, '{target}', '{"knows": "left_on"}') FROM days;
DROP TABLE cases, days;
DROP FUNCTION normal, uniform;

-- Every overload, on informative attributes: the first half of a range, members of sets
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE kinds AS
	SELECT i, ('x' || substr(md5(i::text), 1, 7))::bit(28)::int % 100 < CASE WHEN i <= 1000 THEN 30 ELSE 5 END AS target,
		CASE WHEN i % 50 > 0 THEN i::numeric END AS number, i::float8 AS float, i <= 1000 AS flag, date '2020-01-01' + i AS day, timestamp '2020-01-01 12:00' + i * interval '1 day' AS moment,
		CASE WHEN i <= 1000 THEN 'first' WHEN i % 7 = 0 THEN NULL WHEN i % 11 = 0 THEN ' ' ELSE 'second' END AS word,
		(CASE WHEN i <= 1000 THEN 'happy' ELSE 'sad' END)::mood AS mood,
		CASE WHEN i <= 1000 THEN ARRAY['a', 'b', 'a', NULL] WHEN i % 2 = 0 THEN ARRAY['b'] WHEN i % 3 = 0 THEN NULL ELSE '{}' END AS members
	FROM generate_series(1, 2000) i;
SELECT kind, bin, rows, targets FROM (SELECT 'numeric' AS kind, o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(number, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'float', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(float, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'flag', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(flag, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'day', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(day, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'moment', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(moment, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'word', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(word, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'mood', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(mood, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)
UNION ALL SELECT 'members', o, b.bin, b.rows, b.targets FROM unnest((SELECT (attribute_relevance(members, target)).bins FROM kinds)) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)) x ORDER BY kind COLLATE "C", o;

-- Shapes: monotone where the data are, a spike by itself, a valley kept
SELECT s.shape, (SELECT string_agg(b.bin || ': ' || round(b.rate::numeric, 2), '; ' ORDER BY o) FROM unnest(s.bins) WITH ORDINALITY b(bin, rows, targets, rate, woe, information_value, o)) AS bins
FROM (SELECT 'rising' AS shape, (attribute_relevance(i % 20, i / 20 % 100 < 5 + 2 * (i % 20))).bins FROM generate_series(0, 19999) i
	UNION ALL SELECT 'spike', (attribute_relevance(CASE WHEN i % 3 = 0 THEN 0 ELSE i % 20 - 10 END, i / 60 % 100 < CASE WHEN i % 3 = 0 THEN 40 ELSE 10 END)).bins FROM generate_series(0, 19999) i
	UNION ALL SELECT 'valley', (attribute_relevance(i % 20, i / 20 % 100 < CASE WHEN i % 20 BETWEEN 5 AND 14 THEN 10 ELSE 40 END)).bins FROM generate_series(0, 19999) i) s ORDER BY s.shape COLLATE "C";

-- Missing values, rows without a target, odd numbers
SELECT verdict, rows, targets, rows_without_target, missing_rate, bins[1].bin, bins[2].bin AS then
FROM (SELECT (attribute_relevance(x, t)).* FROM (VALUES (1.5, true), ('NaN', false), (NULL, true), (2, NULL), ('Infinity', false), ('-Infinity', false)) v(x, t)) x;
SELECT attribute_relevance(age, y = 'yes') IS NULL AS nothing FROM bank WHERE false;
SELECT attribute_relevance(bank, y = 'yes') IS NULL AS nothing FROM bank WHERE false;
SELECT verdict, information_value, p_value, cardinality(bins) FROM (SELECT (attribute_relevance(NULL::text, i < 100)).* FROM generate_series(1, 500) i) x;
SELECT verdict, information_value, p_value FROM (SELECT (attribute_relevance('same'::text, i < 100)).* FROM generate_series(1, 500) i) x;
-- one class only, few of a class
SELECT verdict FROM (SELECT (attribute_relevance(age, true)).* FROM bank) x;
SELECT verdict FROM (SELECT (attribute_relevance(age, false)).* FROM bank) x;
SELECT verdict FROM (SELECT (attribute_relevance(i, i <= 20)).* FROM generate_series(1, 500) i) x;
-- the chance of at least so many among so many: exact fractions, rounded; and of counts with which it took minutes that no cancel ended
SELECT found, drawn, marked, total, abs(crm_profile_internal.excess_p_value(found, drawn, marked, total) / p - 1) < 1e-9 AS exact
FROM (VALUES (3, 10, 12, 40, 0.6447388665005763), (2, 10, 12, 40, 0.8867401432192205), (4, 10, 12, 40, 0.3374356579689647), (990, 2000, 2000, 4000, 0.7466774207168382), (1010, 2000, 2000, 4000, 0.2739783642749197),
	(1100, 2000, 2000, 4000, 1.5074436257524568e-10), (100, 2000, 2000, 4000, 1)) v (found, drawn, marked, total, p);
SET statement_timeout = '5s';
SELECT crm_profile_internal.excess_p_value(100, 100000, 100000, 200000) AS far_below, crm_profile_internal.excess_p_value(99900, 100000, 100000, 200000) AS far_above, crm_profile_internal.excess_p_value(1, 1000000000000, 1000000000000, 4000000000000) AS many;
RESET statement_timeout;
-- a record of other columns, or none
SELECT attribute_relevance(r, true) FROM (SELECT ROW(1) AS r UNION ALL SELECT ROW('a'::text, 2)) x;
SELECT attribute_relevance(NULL::bank, true);

DROP VIEW truth;
DROP TABLE bank, noise, kinds;
DROP TYPE mood;
DROP FUNCTION chi_square_tail;
-- words of fewer than five rows are counted, not named; neither are the ends of a range that is not cut
CREATE TEMP TABLE rare AS SELECT i, i % 4 = 2 AS target, CASE WHEN i > 390 THEN 'Rare' || i ELSE (ARRAY['Rome', 'Paris', 'Oslo', 'Bonn'])[i % 4 + 1] END AS town, CASE WHEN i = 400 THEN 12345678 ELSE i END AS income FROM generate_series(1, 400) i;
SELECT bin, rows, targets FROM (SELECT unnest((crm_profile.attribute_relevance(town, target)).bins) b FROM rare) x, LATERAL (SELECT (b).*) y;
SELECT bin, rows, targets FROM (SELECT unnest((crm_profile.attribute_relevance(income, target)).bins) b FROM rare) x, LATERAL (SELECT (b).*) y;
