-- Gower similarity on real data, against an implementation in plain SQL
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA profile_gower;
SET search_path = profile_gower, crm_profile, public;
SET datestyle = ISO;
SET extra_float_digits = 0;

\set load :abs_srcdir '/data/customer_personality.psql'
\i :load
\set load :abs_srcdir '/data/bank_marketing.psql'
\i :load
ALTER TABLE person RENAME TO food;
SELECT format('ALTER TABLE food RENAME %I TO %s', attname, lower(attname)) FROM pg_attribute WHERE attrelid = 'food'::regclass AND attnum > 0 ORDER BY attnum \gexec

CREATE TABLE models AS
	SELECT 'food' AS name, profile_fit(r, '{"ignore": ["id", "response"], "order": {"education": ["Basic", "2n Cycle", "Graduation", "Master", "PhD"]}, "min_count": 1}') AS m FROM food r
	UNION ALL SELECT 'bank', profile_fit(r, '{"ignore": ["duration", "y"], "weights": {"age": 3, "job": 2, "balance": 0.7}, "min_count": 1}') FROM bank r;

-- The results of the fit against PostgreSQL's own aggregates: counts, and the range from the middle 90 %
SELECT name, attribute, kind, weight, low, high, cardinality("values") AS n, other, missing FROM models, profile_attributes(m) ORDER BY name DESC, attribute;
CREATE FUNCTION range_of(name text, attribute text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE format('SELECT CASE WHEN a < b THEN greatest(lo, a - (b - a)) ELSE lo END || '' '' || CASE WHEN a < b THEN least(hi, b + (b - a)) ELSE hi END
		FROM (SELECT min(%1$I)::float8 lo, max(%1$I)::float8 hi, percentile_cont(0.05) WITHIN GROUP (ORDER BY %1$I) a,
			percentile_cont(0.95) WITHIN GROUP (ORDER BY %1$I) b FROM %2$I) q', attribute, name) INTO result;
	RETURN result;
END $$;
-- (more than 2048 distinct numbers are rounded: within 1 % of the range)
SELECT name, attribute, low, high, range_of(name, attribute) AS truth FROM models, profile_attributes(m)
WHERE kind = 'numeric' AND abs(low::float8 - split_part(range_of(name, attribute), ' ', 1)::float8)
	+ abs(high::float8 - split_part(range_of(name, attribute), ' ', 2)::float8) > 0.01 * (high::float8 - low::float8);
SELECT count(*) FILTER (WHERE low || ' ' || high = range_of(name, attribute)) AS exact, count(*) AS numeric FROM models, profile_attributes(m) WHERE kind = 'numeric';
SELECT attribute, v AS value, c AS count, (SELECT count(*) FROM bank WHERE to_jsonb(bank) ->> attribute = v) = c AS right FROM models, profile_attributes(m), unnest("values", counts) u (v, c)
WHERE name = 'bank' AND attribute IN ('job', 'education') ORDER BY 1, 3 DESC;

-- The independent implementation: attributes as text, one row each, compared by the definition
CREATE TABLE sample AS
	SELECT 'food' AS name, row_number() OVER (ORDER BY id) AS n, to_jsonb(f) AS j, profile(f, m) AS p FROM food f, models WHERE name = 'food' AND id % 20 = 0
	UNION ALL SELECT 'bank', i.i / 400, to_jsonb(b), profile(b, m) FROM (SELECT * FROM (SELECT *, row_number() OVER (ORDER BY ctid) AS i FROM bank) i WHERE i % 400 = 0) i, LATERAL
		(SELECT i.age, i.job, i.marital, i.education, i."default", i.balance, i.housing, i.loan, i.contact, i.day, i.month, i.duration, i.campaign, i.pdays, i.previous, i.poutcome, i.y) b, models
		WHERE name = 'bank';
CREATE TABLE cell AS
	SELECT name, n, attribute, kind, weight,
		CASE kind WHEN 'date' THEN (j ->> attribute)::date - date '2000-01-01' WHEN 'numeric' THEN (j ->> attribute)::float8
			WHEN 'ordinal' THEN array_position("values", j ->> attribute) END AS x,
		CASE kind WHEN 'date' THEN low::date - date '2000-01-01' WHEN 'ordinal' THEN 1 WHEN 'numeric' THEN low::float8 END AS low,
		CASE kind WHEN 'date' THEN high::date - date '2000-01-01' WHEN 'ordinal' THEN cardinality("values") WHEN 'numeric' THEN high::float8 END AS high,
		j ->> attribute AS word
	FROM sample JOIN models USING (name), profile_attributes(m) WHERE weight > 0 AND lower(j ->> attribute) NOT IN ('unknown');
CREATE TABLE gower AS
	SELECT name, a.n AS a, b.n AS b, count(*) AS shared, sum(a.weight) AS weight,
		sum(a.weight * CASE WHEN a.x IS NULL THEN (a.word = b.word)::int
			ELSE 1 - abs(greatest(least(a.x, a.high), a.low) - greatest(least(b.x, b.high), b.low)) / (a.high - a.low) END) / sum(a.weight) AS similarity
	FROM cell a JOIN cell b USING (name, attribute) GROUP BY 1, 2, 3;
ANALYZE gower;
-- At most one step, 1/254, per attribute of the largest weight; nearly always much less
SELECT g.name, count(*) AS pairs, min(shared) AS least_shared, max(shared) AS most_shared,
	max(abs(similarity(x.p, y.p) - g.similarity)) <= 1 / 254.0 AS within_tolerance,
	avg(abs(similarity(x.p, y.p) - g.similarity)) < 0.0005 AS mean_is_small,
	corr(similarity(x.p, y.p), g.similarity) > 0.9999 AS same_order
FROM gower g JOIN sample x ON x.name = g.name AND x.n = a JOIN sample y ON y.name = g.name AND y.n = b GROUP BY g.name ORDER BY g.name;
-- The first laws of a metric
SELECT name, count(*) FILTER (WHERE (x.p <-> y.p) <> (y.p <-> x.p)) AS asymmetric, count(*) FILTER (WHERE x.n = y.n AND (x.p <-> y.p) <> 0) AS not_self,
	min(x.p <-> y.p) >= 0 AND max(x.p <-> y.p) <= 1 AS in_range
FROM sample x JOIN sample y USING (name) GROUP BY name ORDER BY name;
-- The explanation adds up
SELECT max(abs(s - similarity(a, b))) < 1e-12 AS adds_up FROM (SELECT x.p AS a, y.p AS b, (SELECT sum(contribution) FROM explain_similarity(x.p, y.p, m)) AS s
	FROM sample x JOIN sample y USING (name) JOIN models USING (name) WHERE x.n % 7 = 0 AND y.n % 11 = 0) t;
SELECT e.* FROM sample x JOIN sample y USING (name) JOIN models USING (name), explain_similarity(x.p, y.p, m) e WHERE name = 'bank' AND x.n = 3 AND y.n = 8;
SET client_min_messages = warning;
DROP SCHEMA profile_gower CASCADE;
