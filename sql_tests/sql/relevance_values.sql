-- attribute_relevance of values: which attributes tell high values from low ones
SET client_min_messages = warning;
SET jit = off;
SET datestyle = ISO;
\set SHOW_CONTEXT never
CREATE SCHEMA worth_of;
SET search_path = worth_of, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE FUNCTION normal(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN sqrt(-2 * ln(coin(i, k) + 1e-9)) * cos(2 * pi() * coin(i, k + 500));
CREATE TABLE person AS SELECT i AS id, 18 + floor(coin(i, 1) * 60)::int AS age, (ARRAY['Ulm', 'Rome', 'Oslo', 'Bonn', ' '])[1 + floor(coin(i, 2) * 5)] AS town, coin(i, 3) < 0.4 AS member, CASE WHEN coin(i, 4) < 0.8 THEN round(coin(i, 4)::numeric, 3) END AS score,
	ARRAY[chr(97 + (coin(i, 5) * 3)::int)] AS likes, date '2020-01-01' + (coin(i, 6) * 900)::int AS since, round(coin(i, 7)::numeric, 3) AS noise1, chr(97 + (coin(i, 8) * 20)::int) AS noise2, ARRAY[chr(97 + (coin(i, 9) * 9)::int)] AS noise3 FROM generate_series(1, 4000) i;
-- every third has no value yet spends nothing; the others' spending is very skew
ALTER TABLE person ADD value float8;
UPDATE person SET value = CASE WHEN coin(id, 10) > 0.33 THEN round(exp(3 + 0.03 * age + 1.4 * (town = 'Rome')::int - 1.2 * (town = 'Oslo')::int + 1.1 * member::int + 0.5 * (score IS NULL)::int + 1.0 * ('b' = ANY (likes))::int + 0.0016 * (since - date '2020-01-01') + 1.5 * normal(id, 11))::numeric, 2) ELSE 0 END;
CREATE TABLE told AS SELECT r.* FROM unnest((SELECT attribute_relevance(p, value, '{id,value}') FROM person p)) r;
-- what was planted is found, noise is not
SELECT attribute, verdict, rank_correlation IS NULL AS no_order, rows, rows_without_value FROM told ORDER BY attribute COLLATE "C";
SELECT bool_and(rank_variance_explained <= before) AS the_most_informative_first FROM (SELECT rank_variance_explained, lag(rank_variance_explained, 1, 1) OVER (ORDER BY o) AS before FROM unnest((SELECT attribute_relevance(p, value, '{id,value}') FROM person p)) WITH ORDINALITY r(attribute, verdict, variance_explained, rank_variance_explained, rank_correlation, kruskal_wallis, degrees_of_freedom, p_value, adjusted_p_value, missing_rate, rows, mean, rows_without_value, bins, o)) x;
SELECT bool_and(abs(mean - (SELECT avg(value) FROM person)) < 1e-9) AS mean, bool_and(abs(missing_rate - CASE attribute WHEN 'town' THEN (SELECT avg((town = ' ')::int) FROM person) WHEN 'score' THEN (SELECT avg((score IS NULL)::int) FROM person) ELSE 0 END) < 1e-12) AS missing FROM told;
-- ---------------------------------------------------------------- by plain SQL: the bins of each row, its rank, and the statistics of Kruskal and Wallis
CREATE TABLE ranked AS SELECT p.*, rank() OVER (ORDER BY value) + (count(*) OVER (PARTITION BY value) - 1) / 2.0 AS r, value - avg(value) OVER () AS v FROM person p;
CREATE FUNCTION falls_into(bin text, x numeric) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN CASE WHEN x IS NULL THEN bin = '(missing)' WHEN bin ~ '^up to' THEN x <= substr(bin, 7)::numeric WHEN bin ~ 'and more$' THEN x >= split_part(bin, ' ', 1)::numeric
	WHEN bin ~ ' to ' THEN x BETWEEN split_part(bin, ' ', 1)::numeric AND split_part(bin, ' ', 3)::numeric WHEN bin ~ '^[0-9.e-]+$' THEN x = bin::numeric ELSE bin = 'any' END;
CREATE TABLE placed AS
	SELECT t.attribute, b.o, b.rows, b.mean, b.median, k.value, k.r, k.v FROM told t, unnest(t.bins) WITH ORDINALITY b(bin, rows, mean, median, o), ranked k
	WHERE CASE t.attribute WHEN 'age' THEN falls_into(b.bin, k.age) WHEN 'score' THEN falls_into(b.bin, k.score) WHEN 'noise1' THEN falls_into(b.bin, k.noise1) WHEN 'town' THEN CASE WHEN k.town = ' ' THEN b.bin = '(missing)' ELSE k.town = ANY (string_to_array(b.bin, ', ')) END
		WHEN 'member' THEN k.member::text = ANY (string_to_array(b.bin, ', ')) END;
SELECT attribute, bool_and(n = rows AND abs(x.m - mean) < 1e-9 AND abs(x.middle - median) < 1e-9) AS rows_means_medians, sum(n) = 4000 AS everybody
FROM (SELECT attribute, o, min(rows) AS rows, min(mean) AS mean, min(median) AS median, count(*) AS n, avg(value) AS m, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS middle FROM placed GROUP BY 1, 2) x GROUP BY 1 ORDER BY 1;
WITH bin AS (SELECT attribute, o, count(*) AS n, avg(r) AS r, avg(v) AS v FROM placed GROUP BY 1, 2),
	h AS (SELECT attribute, count(*) - 1 AS df, sum(n * (r - 2000.5) ^ 2) / (SELECT sum((r - 2000.5) ^ 2) FROM ranked) AS of_ranks, sum(n * v ^ 2) / (SELECT sum(v ^ 2) FROM ranked) AS of_values FROM bin GROUP BY 1)
SELECT attribute, abs(kruskal_wallis - 3999 * of_ranks) < 1e-6 AS kruskal_wallis, degrees_of_freedom = df AS df, rank_variance_explained BETWEEN 0 AND of_ranks AS ranks, variance_explained BETWEEN 0 AND of_values AS "values" FROM told JOIN h USING (attribute) ORDER BY 1;
-- Spearman's correlation: of ranks with ranks
SELECT attribute, abs(rank_correlation - rho) < 1e-9 AS spearman FROM told JOIN (
	SELECT 'age' AS attribute, corr(r, a) AS rho FROM (SELECT r, rank() OVER (ORDER BY age) + (count(*) OVER (PARTITION BY age) - 1) / 2.0 AS a FROM ranked) x
	UNION ALL SELECT 'noise1', corr(r, a) FROM (SELECT r, rank() OVER (ORDER BY noise1) + (count(*) OVER (PARTITION BY noise1) - 1) / 2.0 AS a FROM ranked) x UNION ALL SELECT 'since', corr(r, a) FROM (SELECT r, rank() OVER (ORDER BY since) + (count(*) OVER (PARTITION BY since) - 1) / 2.0 AS a FROM ranked) x) s USING (attribute) ORDER BY 1;
-- p-values of chi-square from tables: 95 % points of 1, 2 and 5 degrees of freedom
SELECT bool_and(CASE degrees_of_freedom WHEN 1 THEN (p_value < 0.05) = (kruskal_wallis > 3.8415) WHEN 2 THEN (p_value < 0.05) = (kruskal_wallis > 5.9915) WHEN 3 THEN (p_value < 0.05) = (kruskal_wallis > 7.8147) WHEN 4 THEN (p_value < 0.05) = (kruskal_wallis > 9.4877) ELSE true END) AS consistent FROM told;
SELECT round(p_value::numeric, 4) AS exp_of_minus_half_h FROM (SELECT (attribute_relevance(chr(97 + i % 3), CASE WHEN i % 3 = 0 THEN i ELSE i + 12 END::float8)).* FROM generate_series(1, 90) i) x WHERE degrees_of_freedom = 2 AND abs(p_value - exp(-kruskal_wallis / 2)) > 1e-12;
-- ---------------------------------------------------------------- the same in any order, of any unit, and in every overload
SELECT (SELECT attribute_relevance(p, value, '{id}') FROM (SELECT * FROM person ORDER BY md5(id::text)) p) = (SELECT attribute_relevance(p, value, '{id}') FROM (SELECT * FROM person ORDER BY age) p) AS same;
SELECT unit, bool_and(abs(r.rank_variance_explained - t.rank_variance_explained) < 1e-12 AND abs(r.variance_explained - t.variance_explained) < 1e-9 AND abs(r.mean / unit - t.mean) < 1e-6) AS same FROM unnest(ARRAY[1e-290, 1e290]::float8[]) unit,
	unnest((SELECT attribute_relevance(p, value * unit, '{id,value}') FROM person p)) r JOIN told t USING (attribute) GROUP BY 1 ORDER BY 1;
CREATE TYPE size AS ENUM ('S', 'L');
CREATE TABLE n AS SELECT i, (10 * (i % 2) + i % 7)::float8 AS v FROM generate_series(1, 400) i;
SELECT kind, string_agg(format('%s: %s', b.bin, b.rows), '; ' ORDER BY o) AS bins FROM (
	SELECT 'text' AS kind, (attribute_relevance(CASE WHEN i % 2 = 0 THEN 'a' ELSE 'b' END::text, v)).bins AS bins FROM n UNION ALL SELECT 'numeric', (attribute_relevance((i % 2)::numeric, v)).bins FROM n UNION ALL SELECT 'double', (attribute_relevance((i % 2)::float8, v)).bins FROM n
	UNION ALL SELECT 'boolean', (attribute_relevance(i % 2 = 0, v)).bins FROM n UNION ALL SELECT 'date', (attribute_relevance(date '2024-01-01' + i % 2, v)).bins FROM n UNION ALL SELECT 'timestamp', (attribute_relevance(timestamp '2024-01-01 12:00' + i % 2 * interval '1 day', v)).bins FROM n
	UNION ALL SELECT 'enum', (attribute_relevance((ARRAY['S', 'L'])[1 + i % 2]::size, v)).bins FROM n UNION ALL SELECT 'array', (attribute_relevance(CASE WHEN i % 2 = 0 THEN '{x,y}' ELSE '{y}' END::text[], v)).bins FROM n) x, unnest(bins) WITH ORDINALITY b(bin, rows, mean, median, o) GROUP BY 1 ORDER BY 1;
-- bins of one's own
SELECT b.bin, b.rows = count(*) AS rows, abs(b.mean - avg(p.value)) < 1e-9 AS mean FROM unnest((SELECT (attribute_relevance(p, value, '{id,value,town,member,score,likes,since,noise1,noise2,noise3}', '{"breaks": {"age": [30, 60]}, "special": {"age": [40]}}'))[1].bins FROM person p)) b
	JOIN person p ON b.bin = CASE WHEN age = 40 THEN '40' WHEN age < 30 THEN 'up to 29' WHEN age < 60 THEN '30 to 59' ELSE '60 and more' END GROUP BY b.bin, b.rows, b.mean ORDER BY b.bin COLLATE "C";
-- ---------------------------------------------------------------- in parallel plans, the same to the bit
ALTER TABLE person SET (parallel_workers = 2);
CREATE TABLE alone AS SELECT attribute_relevance(p, value, '{id}') AS r FROM person p;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT attribute_relevance(p, value, '{id}') = (SELECT r FROM alone) AS same FROM person p;
SELECT attribute_relevance(town, value)::text = (SELECT attribute_relevance(town, value)::text FROM (SELECT * FROM person OFFSET 0) p) AS same FROM person;
SELECT (attribute_relevance(age, value)).rows FROM person WHERE id < 0 OR value IS NULL;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
-- ---------------------------------------------------------------- noise: sixty draws of ten kinds against three kinds of values
CREATE TABLE drawn AS SELECT s, i, exp(2 * normal(i, s)) AS skew, CASE WHEN coin(i, s + 10000) < 0.1 THEN exp(normal(i, s)) ELSE 0 END AS rare, normal(i, s + 20000) AS plain, coin(i, s + 1000) AS a, CASE WHEN coin(i, s + 2000) < 0.6 THEN 0 ELSE round(100 * coin(i, s + 3000)) END AS spiky, 'w' || floor(10 * coin(i, s + 4000)) AS words10,
	'w' || floor(100 * coin(i, s + 5000)) AS words100, coin(i, s + 6000) < 0.01 AS seldom, CASE WHEN coin(i, s + 7000) > 0.9 THEN coin(i, s + 1000) END AS gaps90, CASE WHEN coin(i, s + 8000) > 0.99 THEN 'w' || floor(3 * coin(i, s + 4000)) END AS gaps99, ARRAY['m' || floor(8 * coin(i, s + 9000)), 'n' || floor(3 * coin(i, s + 9500))] AS tags,
	date '2020-01-01' + (1000 * coin(i, s + 9700))::int AS day, 'name' || floor(1 / (0.002 + coin(i, s + 9800))) AS names FROM generate_series(1, 60) s, generate_series(1, 400) i;
CREATE FUNCTION found(v value_relevance) RETURNS int LANGUAGE sql RETURN (v.verdict !~ '^useless')::int;
SELECT value, sum(found) <= 600 * 0.07 AS seldom, sum(sum(found)) OVER () <= 1800 * 0.05 AS at_most_5_percent FROM (
	SELECT 'skew' AS value, found(attribute_relevance(a, skew)) + found(attribute_relevance(spiky, skew)) + found(attribute_relevance(words10, skew)) + found(attribute_relevance(words100, skew)) + found(attribute_relevance(seldom, skew)) + found(attribute_relevance(gaps90, skew)) + found(attribute_relevance(gaps99, skew)) + found(attribute_relevance(tags, skew)) + found(attribute_relevance(day, skew)) + found(attribute_relevance(names, skew)) AS found FROM drawn GROUP BY s
	UNION ALL SELECT 'rare', found(attribute_relevance(a, rare)) + found(attribute_relevance(spiky, rare)) + found(attribute_relevance(words10, rare)) + found(attribute_relevance(words100, rare)) + found(attribute_relevance(seldom, rare)) + found(attribute_relevance(gaps90, rare)) + found(attribute_relevance(gaps99, rare)) + found(attribute_relevance(tags, rare)) + found(attribute_relevance(day, rare)) + found(attribute_relevance(names, rare)) FROM drawn GROUP BY s
	UNION ALL SELECT 'plain', found(attribute_relevance(a, plain)) + found(attribute_relevance(spiky, plain)) + found(attribute_relevance(words10, plain)) + found(attribute_relevance(words100, plain)) + found(attribute_relevance(seldom, plain)) + found(attribute_relevance(gaps90, plain)) + found(attribute_relevance(gaps99, plain)) + found(attribute_relevance(tags, plain)) + found(attribute_relevance(day, plain)) + found(attribute_relevance(names, plain)) FROM drawn GROUP BY s) x GROUP BY value ORDER BY value;
-- power: a rise of which Spearman's test finds a share is found as often but for one in ten
SELECT sum((r.adjusted_p_value <= 0.05)::int) >= 0.9 * sum((abs(r.rank_correlation) * sqrt(399) > 1.96)::int) AS near_it, sum((abs(r.rank_correlation) * sqrt(399) > 1.96)::int) BETWEEN 30 AND 55 AS not_always FROM (SELECT (attribute_relevance(a, exp(2 * plain + 0.9 * a))).* FROM drawn GROUP BY s) r;
-- ---------------------------------------------------------------- the share explained is that of rows not seen: bins of one half, means of the other
CREATE TABLE halves AS SELECT s, i, floor(12 * coin(i, s + 4000))::int AS word, i % 2 = 0 AS fitted, 0.35 * sin(floor(12 * coin(i, s + 4000)) * 7 + s) + normal(i, s + 20000) AS value FROM generate_series(1, 40) s, generate_series(1, 1200) i;
CREATE TABLE of_half AS SELECT s, attribute_relevance(word::text, value) AS r FROM halves WHERE fitted GROUP BY s;
WITH bin AS (SELECT h.s, h.value, b.mean FROM halves h JOIN of_half o USING (s), unnest((o.r).bins) b WHERE NOT h.fitted AND h.word::text = ANY (string_to_array(b.bin, ', '))),
	unseen AS (SELECT s, 2 * covar_pop(value, mean) / var_pop(value) - var_pop(mean) / var_pop(value) AS share FROM bin GROUP BY s)
SELECT count(*) AS draws, abs(avg(share) - avg((r).variance_explained)) < 0.01 AS as_promised, avg((r).variance_explained) BETWEEN 0.03 AND 0.06 AS of_about_5_percent FROM unseen JOIN of_half USING (s);
-- ---------------------------------------------------------------- leaks: the value itself, and what is known only after the fact
SELECT attribute, verdict FROM unnest((SELECT attribute_relevance(l, value, '{value}') FROM (SELECT value, value + 1 AS with_postage, CASE WHEN value > 0 THEN id % 9 END AS parcel, CASE WHEN value = 0 THEN 'dormant' ELSE chr(97 + id % 3) END AS state, age FROM person) l)) ORDER BY attribute;
-- ---------------------------------------------------------------- odd input
SELECT verdict, rows, rows_without_value, round(missing_rate::numeric, 3) AS missing FROM (SELECT (attribute_relevance(x, v)).* FROM (VALUES (1, 2.5), (NULL, 3), (3, NULL), (4, 4)) t(x, v)) y;
SELECT verdict, mean FROM (SELECT (attribute_relevance(i, 7.5)).* FROM generate_series(1, 100) i) y;
SELECT verdict, rows, rows_without_value, mean, bins, kruskal_wallis FROM (SELECT (attribute_relevance(i, NULL::float8)).* FROM generate_series(1, 100) i) y;
SELECT attribute_relevance(age, value) IS NULL AS nothing FROM person WHERE false;
SELECT verdict FROM (SELECT (attribute_relevance(NULL::text, i::float8)).* FROM generate_series(1, 100) i) y;
SELECT attribute_relevance(age, 'NaN'::float8) FROM person;
SELECT attribute_relevance(age, '-Infinity'::float8) FROM person;
SELECT attribute_relevance(p, value, '{ide}') FROM person p;
SELECT attribute_relevance(NULL::person, 1.5);
SELECT attribute_relevance(r, 1.5) FROM (SELECT ROW(1) AS r UNION ALL SELECT ROW('a'::text, 2)) x;
DROP SCHEMA worth_of CASCADE;
