-- Asymmetric booleans and sets: to lack the same thing makes nobody alike
SET client_min_messages = warning;
CREATE SCHEMA lopsided;
SET search_path = lopsided, crm_profile;

-- R's cluster::daisy(x, metric = "gower", type = list(asymm = c("a", "b", "c"))) of the same six people, 12 digits
CREATE TABLE person (id int, age int, a boolean, b boolean, c boolean, sex text);
INSERT INTO person VALUES (1, 20, true, false, false, 'f'), (2, 30, false, false, false, 'm'), (3, 55, false, true, false, 'f'), (4, 70, true, true, true, 'm'), (5, 40, false, false, NULL, 'f'), (6, 20, false, false, false, 'f');
CREATE TABLE daisy (i int, j int, d float8);
INSERT INTO daisy VALUES (1, 2, 0.733333333333), (1, 3, 0.675), (1, 4, 0.8), (1, 5, 0.466666666667), (1, 6, 0.333333333333), (2, 3, 0.833333333333), (2, 4, 0.76), (2, 5, 0.6), (2, 6, 0.6),
	(3, 4, 0.66), (3, 5, 0.433333333333), (3, 6, 0.566666666667), (4, 5, 0.9), (4, 6, 1.0), (5, 6, 0.2);
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id"], "robust": false, "min_count": 1, "asymmetric": ["a", "b", "c"]}') AS m, profile_fit(p, '{"ignore": ["id"], "robust": false, "min_count": 1}') AS plain FROM person p;
SELECT count(*), max(abs(distance(profile(p, m), profile(q, m)) - d)) < 0.002 AS as_daisy, max(abs(distance(profile(p, plain), profile(q, plain)) - d)) > 0.2 AS not_as_before
FROM model, daisy JOIN person p ON p.id = i JOIN person q ON q.id = j;
-- of the booleans alone: nothing to compare where both lack all
CREATE TABLE flags AS SELECT id, a, b, c FROM person;
CREATE TABLE flags_model AS SELECT profile_fit(f, '{"ignore": ["id"], "asymmetric": ["a", "b", "c"]}') AS m FROM flags f;
SELECT f.id, g.id, round(distance(profile(f, m), profile(g, m))::numeric, 3) AS distance FROM flags f, flags g, flags_model WHERE f.id < g.id ORDER BY 1, 2;
-- in words: what is not compared has no similarity
SELECT e.attribute, e.value_a, e.value_b, round(e.similarity::numeric, 2) AS similarity, round(e.contribution::numeric, 3) AS contribution FROM person p, person q, model, explain_similarity(profile(p, m), profile(q, m), m) e WHERE p.id = 1 AND q.id = 3;

-- ---------------------------------------------------------------- sets; index, kernels and plain order agree
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE TABLE basket AS SELECT i AS id, floor(coin(i, 1) * 60)::int AS age, chr(97 + (coin(i, 2) * 3)::int) AS town,
	CASE WHEN coin(i, 3) < 0.9 THEN coin(i, 3) < 0.1 END AS has_car, coin(i, 4) < 0.05 AS has_boat, coin(i, 5) < 0.5 AS is_new,
	CASE WHEN coin(i, 6) < 0.2 THEN NULL WHEN coin(i, 6) < 0.6 THEN '{}' ELSE ARRAY[chr(97 + (coin(i, 7) * 5)::int), chr(97 + (coin(i, 8) * 5)::int)] END AS likes FROM generate_series(1, 1500) i;
CREATE TABLE basket_model AS SELECT profile_fit(b, '{"ignore": ["id"], "robust": false, "asymmetric": ["has_car", "has_boat", "likes"], "weights": {"age": 0.5}}') AS m FROM basket b;
CREATE TABLE coded AS SELECT id, profile(b, m) AS p FROM basket b, basket_model;
-- the definition, by hand: within the steps of the codes
CREATE FUNCTION by_hand(x basket, y basket) RETURNS float8 LANGUAGE sql AS $$
	SELECT sum(w * d) / nullif(sum(w), 0) FROM (VALUES
		(0.5, abs(x.age - y.age) / 59.0), (1, (x.town <> y.town)::int),
		(CASE WHEN x.has_car IS NULL OR y.has_car IS NULL OR NOT (x.has_car OR y.has_car) THEN 0 ELSE 1 END, (x.has_car <> y.has_car)::int),
		(CASE WHEN NOT (x.has_boat OR y.has_boat) THEN 0 ELSE 1 END, (x.has_boat <> y.has_boat)::int), (1, (x.is_new <> y.is_new)::int),
		(CASE WHEN x.likes IS NULL OR y.likes IS NULL OR x.likes || y.likes = '{}' THEN 0 ELSE 1 END,
			1 - (SELECT count(*) FROM (SELECT unnest(x.likes) INTERSECT SELECT unnest(y.likes)) s) / nullif((SELECT count(*) FROM (SELECT unnest(x.likes) UNION SELECT unnest(y.likes)) s), 0)::float8)) v(w, d) $$;
SELECT count(*), max(abs(by_hand(b, c) - distance(p.p, q.p))) < 0.006 AS as_defined, count(*) FILTER (WHERE by_hand(b, c) IS NULL <> (distance(p.p, q.p) IS NULL)) AS other_nulls
FROM basket b JOIN coded p USING (id), basket c JOIN coded q USING (id) WHERE b.id <= 60 AND c.id > 60 AND c.id <= 120;
CREATE FUNCTION nearest(kernel text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT candidate || ' ' || rank || ' ' || similarity FROM nearest_profiles(NULL::int, 'SELECT id, p FROM lopsided.coded WHERE id <= 100', 'SELECT id, p FROM lopsided.coded', 7, kernel) $$;
CREATE TABLE sorted AS SELECT c.id || ' ' || rank || ' ' || s FROM coded c, LATERAL (SELECT row_number() OVER (ORDER BY c.p <-> t.p, t.id) AS rank, similarity(c.p, t.p) AS s FROM coded t ORDER BY rank LIMIT 7) t WHERE c.id <= 100;
SELECT count(*) AS portable FROM (TABLE sorted EXCEPT SELECT nearest('portable')) x;
SELECT count(*) AS fastest FROM (TABLE sorted EXCEPT SELECT nearest(NULL)) x;
CREATE TABLE unsorted AS SELECT c.id, (SELECT array_agg(d ORDER BY d) FROM (SELECT c.p <-> t.p AS d FROM coded t ORDER BY d LIMIT 20) x) AS distances FROM coded c WHERE id <= 60;
CREATE INDEX coded_index ON coded USING gist (p);
SET enable_seqscan = off;
CREATE FUNCTION by_index(q profile, OUT distances float8[]) LANGUAGE plpgsql AS $$
BEGIN
	SELECT array_agg(d) INTO distances FROM (SELECT t.p <-> q AS d FROM coded t ORDER BY t.p <-> q LIMIT 20) x;
END $$;
SELECT count(*), count(*) FILTER (WHERE by_index(c.p) <> u.distances) AS otherwise FROM unsorted u JOIN coded c USING (id);
RESET enable_seqscan;
-- text form, and what is refused
SELECT count(*) FILTER (WHERE p::text::profile <> p) AS lossy, bool_and(p::text ~ '"asymmetric": \[2, 3, 5\]') AS said FROM coded;
SELECT m::text::profile_model = m AS lossless, m::text ~ '"joint_absence": "ignored"' AS said FROM basket_model;
SELECT replace(p::text, '"asymmetric": [2, 3, 5]', '"asymmetric": [0]')::profile FROM coded WHERE id = 1;
SELECT replace(p::text, '"asymmetric": [2, 3, 5]', '"asymmetric": [6]')::profile FROM coded WHERE id = 1;
SELECT replace(p::text, '"asymmetric": [2, 3, 5]', '"asymmetric": []')::profile FROM coded WHERE id = 1;
SELECT profile_fit(b, '{"asymmetric": ["age"]}') FROM basket b;
SELECT profile_fit(b, '{"asymmetric": ["boat"]}') FROM basket b;
SELECT distance(profile(p, m), profile(p, plain)) FROM person p, model LIMIT 1;
-- 0 and 1 as a boolean
SELECT attribute, kind FROM (SELECT profile_fit(b, '{"kinds": {"flag": "boolean"}, "asymmetric": ["flag"]}') AS m FROM (SELECT (id % 2) AS flag FROM basket) b) x, profile_attributes(m);
DROP SCHEMA lopsided CASCADE;
