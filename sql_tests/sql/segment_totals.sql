-- Aggregates behind the views of segments, against PostgreSQL's own, with files past 64 kB
SET work_mem = '64kB';
SET search_path = public, crm_profile_internal;
SELECT setseed(0.25) \g /dev/null
CREATE TEMP TABLE number AS SELECT i % 9 AS g, CASE i % 9
		WHEN 0 THEN random() * 1000
		WHEN 1 THEN (random() - 0.5) * 10 ^ (random() * 60 - 30)
		WHEN 2 THEN round((random() * 100000)::numeric, 2)::float8
		WHEN 3 THEN (i % 500)::float8 - 250
		-- ties in the 16th digit, which printf() rounds to even
		WHEN 4 THEN ((2::float8 ^ 47) + i) / 2
		WHEN 5 THEN (1000000000000000::float8 - i) / 8
		WHEN 6 THEN 10 ^ (i % 30 - 15)
		WHEN 7 THEN CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 0 ELSE -random() END END AS v
	FROM generate_series(1, 90000) i;
INSERT INTO number VALUES (10, 'NaN'), (10, 1), (11, 'infinity'), (11, 2), (11, 3), (12, 0), (13, 999999999999999.5), (13, 9.9999999999999995), (14, -0.1);
SELECT count(*) AS groups, count(*) FILTER (WHERE m = p AND s::text = t::text OR g = 8 AND m IS NULL AND s IS NULL) AS same
FROM (SELECT g, median(v) AS m, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS p, decimal_sum(v) AS s, sum(v::numeric) AS t FROM number GROUP BY g) x;
SELECT median(v::numeric) = percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS of_numeric FROM number WHERE g IN (2, 3);
SELECT median(v) AS nothing, decimal_sum(v) AS at_all FROM number WHERE false;
SELECT decimal_sum(v) / count(v) = avg(v::numeric) AS mean FROM number WHERE g = 0;
-- groups that end before their files are read
SELECT count(*) FROM (SELECT median(v) FROM number GROUP BY g LIMIT 1) x;
SELECT median(v) OVER () FROM number;

-- words, numbers, days and sets of customers in four segments
CREATE TEMP TABLE person AS SELECT i AS id, 'segment ' || i % 4 AS segment, (random() * random() * 90)::int AS age, CASE WHEN i % 10 > 0 THEN round((random() * 50000)::numeric, 2) END AS income,
		CASE i % 13 WHEN 0 THEN 'NaN' ELSE random() END AS score, CASE i % 17 WHEN 0 THEN 'infinity' ELSE date '2020-01-01' + (i % 1000) END AS since, CASE i % 7 WHEN 0 THEN ' ' WHEN 1 THEN NULL ELSE 'city ' || i % 40 END AS city,
		i % 3 = 0 AS loan, CASE WHEN i % 5 > 0 THEN ARRAY['tag ' || i % 6, NULL, 'tag ' || i % 8, 'tag ' || i % 6] END AS tags
	FROM generate_series(1, 20000) i;
CREATE TEMP TABLE counted AS SELECT c.* FROM (SELECT persona_counts(segment, '{age,income,score,since,city,loan,tags}',
	(SELECT persona_fifths(id, age, income, score, since, city, loan, tags) FROM person), true, age, income, score, since, city, loan, tags) AS counts FROM person) x, unnest(x.counts) c;
CREATE TEMP TABLE ranged AS SELECT n.attribute, p.segment, n.value
	FROM person p, LATERAL (VALUES ('age', p.age::float8), ('income', p.income::float8), ('score', NULLIF(p.score, 'NaN')), ('since', CASE WHEN isfinite(p.since) THEN (p.since - date '2000-01-01')::float8 END)) n(attribute, value) WHERE n.value IS NOT NULL;
CREATE TEMP TABLE plain AS
	SELECT attribute, segment, CASE WHEN grouping(bucket) = 0 THEN bucket::text END AS value, count(*) AS customers
	FROM (SELECT r.attribute, r.segment, width_bucket(r.value, k.breaks) AS bucket FROM ranged r JOIN (SELECT attribute, percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY value) AS breaks FROM ranged GROUP BY attribute) k USING (attribute)) x
	GROUP BY GROUPING SETS ((attribute, segment, bucket), (attribute, segment))
	UNION ALL SELECT 'city', segment, btrim(city), count(*) FROM person WHERE btrim(city) <> '' GROUP BY GROUPING SETS ((segment, btrim(city)), (segment))
	UNION ALL SELECT 'loan', segment, loan::text, count(*) FROM person GROUP BY GROUPING SETS ((segment, loan), (segment))
	UNION ALL SELECT 'tags', segment, tag, count(*) FROM person, LATERAL (SELECT DISTINCT t FROM unnest(tags) t WHERE t IS NOT NULL UNION ALL SELECT NULL WHERE tags IS NOT NULL) m(tag) GROUP BY segment, tag;
-- values, and the number of customers in each fifth
SELECT count(*) AS rows, count(*) FILTER (WHERE c.customers IS DISTINCT FROM p.customers) AS differences
FROM (SELECT * FROM plain WHERE attribute IN ('city', 'loan', 'tags') OR value IS NULL) p
	FULL JOIN (SELECT * FROM counted WHERE attribute IN ('city', 'loan', 'tags') OR value IS NULL) c ON (c.attribute, c.segment) = (p.attribute, p.segment) AND c.value IS NOT DISTINCT FROM p.value;
SELECT p.attribute, p.found = c.found AS same FROM (SELECT attribute, array_agg((segment, customers) ORDER BY segment, customers) AS found FROM plain WHERE value IS NOT NULL GROUP BY attribute) p
	JOIN (SELECT attribute, array_agg((segment, customers) ORDER BY segment, customers) AS found FROM counted WHERE value IS NOT NULL GROUP BY attribute) c USING (attribute) ORDER BY 1;
SELECT attribute, value, sum(customers) FROM counted WHERE attribute IN ('age', 'since') GROUP BY attribute, value ORDER BY attribute, value COLLATE "C";
-- of numbers their sum, to the last decimal of their texts, and the smallest of all segments
SELECT attribute, count(*) AS segments, bool_and(c.total = p.total AND c.lowest = p.lowest) AS same FROM counted c
	JOIN (SELECT attribute, segment, sum(value::numeric) AS total, min(min(value)) OVER (PARTITION BY attribute)::numeric AS lowest FROM ranged WHERE attribute <> 'since' GROUP BY attribute, segment) p USING (attribute, segment) WHERE c.value IS NULL GROUP BY attribute ORDER BY attribute;
SELECT count(*) AS others FROM counted WHERE (total IS NOT NULL OR lowest IS NOT NULL) AND (value IS NOT NULL OR attribute IN ('since', 'city', 'loan', 'tags'));
SELECT persona_counts('one', '{a,b}', NULL, false, 1);
-- a record of all attributes is the same as one by one; NULL is nobody
SELECT persona_counts(segment, '{age,loan,tags}', (SELECT persona_fifths(id, ROW(age, loan, tags)) FROM person), true, ROW(age, loan, tags))
	= persona_counts(segment, '{age,loan,tags}', (SELECT persona_fifths(id, age, loan, tags) FROM person), true, age, loan, tags) AS same FROM person;
SELECT persona_counts('one', '{age}', NULL, false, NULL::person) IS NULL AS nobody, persona_counts('one', '{a}', NULL, false, VARIADIC ARRAY['x', 'y'])::text AS a_set FROM generate_series(1, 5);
-- of more than 20 000 the fifths of those with the smallest hashes, in any order and in any number of processes
CREATE TEMP TABLE many AS SELECT i AS id, (i * 7919 % 50021)::int AS a, CASE WHEN i % 3 > 0 THEN i % 1000 / 8.0 END AS b FROM generate_series(1, 50000) i;
CREATE FUNCTION pg_temp.share_of_sample(wanted int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	low float8 := 0;
	high float8 := 1;
	n int;
BEGIN
	LOOP
		SELECT count(*) INTO n FROM many WHERE in_sample(id::text, (low + high) / 2);
		EXIT WHEN n = wanted;
		IF n < wanted THEN low := (low + high) / 2; ELSE high := (low + high) / 2; END IF;
	END LOOP;
	RETURN (low + high) / 2;
END $$;
CREATE TEMP TABLE few AS SELECT m.* FROM many m WHERE in_sample(m.id::text, (SELECT pg_temp.share_of_sample(20000)));
SELECT count(*), persona_fifths(id, a, b) = (SELECT persona_fifths(id, a, b) FROM many) AS same, persona_fifths(id, a, b) = (SELECT persona_fifths(id::text, a, b) FROM (SELECT * FROM many ORDER BY a) m) AS in_any_order,
	persona_fifths(id, a, b) = (SELECT percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY a::float8) || percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY b::float8) FROM few) AS quantiles FROM few;

-- customers by lifecycle, tenth and scores; amounts beyond 64 bits
CREATE TEMP TABLE profile AS SELECT (ARRAY['new', 'active', 'lapsing', NULL])[1 + i % 4] AS lifecycle, NULLIF(i % 11, 0) AS decile, NULLIF(i % 6, 0) AS r, NULLIF(i % 5, 0) AS f, NULLIF(i % 3, 0) AS m, CASE WHEN i % 7 > 0 THEN date '2024-01-01' END AS first_purchase,
	(i % 4)::bigint AS frequency, CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN 123456789012345678901.234567 WHEN 2 THEN -99999999999999999999.5 ELSE i / 7.0::numeric(9,2) END::numeric(30,6) AS monetary FROM generate_series(1, 5000) i;
WITH plain AS (SELECT lifecycle, decile, r, f, count(*) AS customers, count(first_purchase) AS buyers, count(*) FILTER (WHERE frequency > 1) AS repeaters, count(*) FILTER (WHERE frequency > 0) AS counted, coalesce(sum(monetary), 0)::numeric(40,6) AS monetary, coalesce(sum(m), 0) AS m_scores FROM profile GROUP BY 1, 2, 3, 4),
	cell AS (SELECT c.lifecycle, c.value_decile, c.r_score, c.f_score, c.customers, c.buyers, c.repeaters, c.counted, c.monetary::numeric(40,6), c.m_scores FROM unnest((SELECT profile_cells(lifecycle, decile, r, f, m, first_purchase, frequency, monetary) FROM profile)) c)
SELECT (SELECT count(*) FROM cell) AS cells, (SELECT count(*) FROM (TABLE plain EXCEPT ALL TABLE cell) d) AS missing, (SELECT count(*) FROM (TABLE cell EXCEPT ALL TABLE plain) d) AS wrong;
SELECT profile_cells(lifecycle, decile, r, f, m, first_purchase, frequency, monetary) IS NULL AS none FROM profile WHERE false;
-- a sample of keys is the same in any order, and a larger one has all of a smaller one
SELECT cardinality(key_sample(i::text, 100)) AS size, key_sample(i::text, 100) = (SELECT key_sample(r.i::text, 100) FROM (SELECT i FROM generate_series(1, 5000) i ORDER BY md5(i::text)) r) AS same, key_sample(i::text, 100) <@ key_sample(i::text, 200) AS grows,
	abs(avg(i) FILTER (WHERE i::text = ANY ((SELECT key_sample(j::text, 1000) FROM generate_series(1, 5000) j)::text[])) - 2500) < 200 AS in_the_middle FROM generate_series(1, 5000) i;
SELECT key_sample(i::text, 100) AS all_of_few FROM generate_series(1, 3) i;
SELECT key_sample(i::text, 0) FROM generate_series(1, 3) i;
