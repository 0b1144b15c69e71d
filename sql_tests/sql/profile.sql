-- profile_fit, profile, similarity: every value, on data small enough to work out by hand
CREATE SCHEMA profile_test;
SET search_path = profile_test, crm_profile, public;
SET datestyle = ISO;
SET extra_float_digits = 0;

CREATE TYPE size AS ENUM ('small', 'medium', 'large');
CREATE TABLE people (id int, age int, income numeric, joined date, city text, shoe size, member boolean, likes text[], answer text);
INSERT INTO people VALUES
	(1, 20, 0,      '2020-01-01', 'Ulm',  'small',  true,  '{tea,cake}',  '10'),
	(2, 30, 127,    '2020-01-11', 'Ulm',  'medium', false, '{tea}',       '20'),
	(3, 40, 254,    '2020-01-21', 'Bonn', 'large',  true,  '{}',          '30'),
	(4, NULL, NULL, NULL,         NULL,   NULL,     NULL,  NULL,          NULL),
	(5, 30, 'NaN',  'infinity',   ' ? ',  'small',  true,  '{beer,tea,tea,NULL}', 'Unknown');

-- Kinds follow from types and values; NaN, infinity and the words for missing count as missing
CREATE TABLE models AS SELECT profile_fit(p, '{"ignore": ["id"], "min_count": 1}') AS m FROM people p;
SELECT attribute, kind, weight, low, high, "values", counts, other, missing, missing_rate FROM models, profile_attributes(m);
SELECT m FROM models;
SELECT m::text::profile_model = m AS same_text, fingerprint(m::text::profile_model) = fingerprint(m) AS same_fingerprint FROM models;

CREATE TABLE profiles AS SELECT id, profile(p, m) AS p FROM people p, models;
SELECT id, v.* FROM profiles, models, profile_values(p, m) v WHERE id IN (1, 4, 5) ORDER BY id, attribute;
SELECT id, p FROM profiles ORDER BY id;
SELECT bool_and(p::text::profile = p) AS lossless FROM profiles;

-- By hand: age 10/20, income 127/254, joined 10/20, city equal, shoe 1/2, member differs, likes share 1 of 2, answer 10/20 (text, but numbers)
SELECT attribute, kind, value_a, value_b, weight, similarity, contribution FROM profiles a, profiles b, models, explain_similarity(a.p, b.p, m)
WHERE a.id = 1 AND b.id = 2;
SELECT similarity(a.p, b.p) AS similarity, a.p <-> b.p AS distance, (0.5 + 0.5 + 0.5 + 1 + 0.5 + 0 + 0.5 + 0.5) / 8 AS by_hand
FROM profiles a, profiles b WHERE a.id = 1 AND b.id = 2;
-- Missing on either side: not compared. 1 and 5 share age (10/20), shoe, member, likes (1 of 3)
SELECT similarity(a.p, b.p) AS similarity, (0.5 + 1 + 1 + 1 / 3.0) / 4 AS by_hand FROM profiles a, profiles b WHERE a.id = 1 AND b.id = 5;
-- Everything missing: no similarity, and last in every order
SELECT id, similarity(p, (SELECT p FROM profiles WHERE id = 1)) FROM profiles
ORDER BY p <-> (SELECT p FROM profiles WHERE id = 1);
SELECT a.id, a.p <-> a.p AS self FROM profiles a ORDER BY 1;
-- Two empty sets are equal
SELECT e.similarity FROM profiles a, models, explain_similarity(a.p, a.p, m) e WHERE id = 3 AND attribute = 'likes';

-- Values unknown to the fit: clamped, "(other)"; equal ones are similar, different ones are not
SELECT p.n, v.attribute, v.value FROM models,
	(VALUES (1, ROW(1, 99, -5.0, '2031-01-01', 'Rome', NULL, true, '{wine,tea}', '1e3')::people),
		(2, ROW(1, 99, -5.0, '2031-01-01', 'Oslo', NULL, true, '{wine,tea}', '1e3')::people)) p (n, r), profile_values(profile(r, m), m) v
ORDER BY n, attribute;
SELECT a.c, b.c, e.attribute, e.similarity FROM models, unnest('{Rome,Oslo,Ulm}'::text[]) a (c), unnest('{Rome}'::text[]) b (c),
	explain_similarity(profile(ROW(1, 99, 0, '2020-01-01', a.c, NULL, true, '{}', 1)::people, m),
		profile(ROW(1, 40, 0, '2020-01-01', b.c, NULL, true, '{}', 1)::people, m), m) e
WHERE attribute IN ('age', 'city') ORDER BY 1, 3;

-- Options
SELECT attribute, kind, weight, low, high, "values", other, missing FROM profile_attributes((SELECT profile_fit(p, '{
	"kinds": {"id": "ignore", "age": "nominal", "answer": "nominal"}, "order": {"city": ["Bonn", "Ulm"]}, "ranges": {"income": [0, 1000], "joined": ["2019-01-01", "2021-01-01"]},
	"weights": {"income": 2, "shoe": 0.5}, "missing": ["", 254], "max_values": 1, "min_count": 1}') FROM people p));
-- A weight twice as large counts twice
SELECT similarity(profile(a, m), profile(b, m)) AS similarity, (2 * 0.5 + 1) / 3 AS by_hand
FROM (SELECT profile_fit(r, '{"weights": {"income": 2}, "ranges": {"income": [0, 254]}}') AS m FROM (SELECT income, city FROM people) r) f,
	(SELECT 0::numeric AS income, 'Ulm' AS city) a, (SELECT 127::numeric AS income, 'Ulm' AS city) b;
-- Weights as attribute_relevance gives them: any {attribute: number}
SELECT attribute, weight FROM profile_attributes((SELECT profile_fit(r, jsonb_build_object('weights',
	(SELECT jsonb_object_agg(a, iv) FROM (VALUES ('income', 0.4), ('city', 0.1)) w (a, iv)))) FROM (SELECT income, city FROM people) r));
-- Uninformative attributes have weight 0: constants, identifiers
SELECT attribute, kind, weight FROM profile_attributes((SELECT profile_fit(r)
	FROM (SELECT 7 AS constant, 'x' AS word, 'c' || i AS identifier, i % 3 AS three FROM generate_series(1, 200) i) r));
-- Outliers do not stretch the range unless asked for: the middle 90 % of 1..100 and one million
SELECT robust, low, high FROM (VALUES ('{"robust": true}'), ('{"robust": false}')) o (robust),
	profile_attributes((SELECT profile_fit(r, robust::jsonb) FROM (SELECT i AS x FROM generate_series(1, 100) i UNION ALL SELECT 1000000) r));

-- Records of any kind: whole rows, subqueries in another order of columns, anonymous rows, composite values
SELECT profile(p, m) = (SELECT profile(s, m) FROM (SELECT answer, likes, member, shoe, city, joined, income, age FROM people WHERE id = 1) s) AS same
FROM people p, models WHERE id = 1;
SELECT attribute, kind FROM profile_attributes((SELECT profile_fit(ROW(age, city)) FROM people));
SELECT profile(NULL::people, m) IS NULL AS of_null, (SELECT profile_fit(p) FROM people p WHERE false) IS NULL AS of_none FROM models;
ALTER TABLE people DROP COLUMN id, ADD COLUMN extra int;
SELECT profile(p, m) FROM people p, models;
ALTER TABLE people DROP COLUMN extra;
SELECT count(profile(p, m)) FROM people p, models;

-- The same model in any order of rows, and from several processes
CREATE TABLE many AS SELECT i, i * 0.37 AS x, sqrt(i) AS y, 'w' || (i * 7919 % 20011) AS word, ARRAY['e' || i % 400, 'e' || i % 7] AS tags, (i % 977)::text AS number
FROM generate_series(1, 60000) i;
ANALYZE many;
CREATE TABLE orders_of_rows AS
	SELECT 'forth' AS o, profile_fit(r) AS m FROM (SELECT * FROM many ORDER BY i) r
	UNION ALL SELECT 'back', profile_fit(r) FROM (SELECT * FROM many ORDER BY i DESC) r
	UNION ALL SELECT 'mixed', profile_fit(r) FROM (SELECT * FROM many ORDER BY i * 7919 % 60013) r;
SELECT count(DISTINCT m) AS models FROM orders_of_rows;
BEGIN;
SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2;
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/plan_of.sql'
\i :fixture
SELECT count(*) AS partial FROM plan_of('SELECT profile_fit(r) FROM many r') p WHERE p ~ 'Partial Aggregate';
SELECT profile_fit(r) = (SELECT m FROM orders_of_rows WHERE o = 'forth') AS same FROM many r;
COMMIT;
-- Counts are exact as long as a dictionary is complete; the rest is counted
SELECT attribute, kind, low, high, cardinality("values") AS n, other, missing FROM orders_of_rows, profile_attributes(m) WHERE o = 'forth';

-- Binary round trip
CREATE TABLE arrived (v text, same boolean);
CREATE TABLE models_in (m profile_model);
CREATE TABLE profiles_in (p profile);
SELECT current_setting('data_directory') || '/crm_profile_profile' AS file \gset
COPY models TO :'file' (FORMAT binary);
COPY models_in FROM :'file' (FORMAT binary);
SELECT count(*) AS same FROM models_in JOIN models USING (m);
COPY (SELECT p FROM profiles) TO :'file' (FORMAT binary);
COPY profiles_in FROM :'file' (FORMAT binary);
SELECT count(*) AS same FROM profiles_in JOIN profiles USING (p);
TRUNCATE models_in, profiles_in;

-- Every truncation and every changed byte: rejected, or another value that survives a round trip
\set fixture :abs_srcdir '/fixtures/receive.sql'
\i :fixture
CREATE TABLE bytes AS
	SELECT 'profile' AS kind, crm_profile_internal.profile_send(p) AS b FROM profiles WHERE id IN (1, 5)
	UNION ALL SELECT 'profile', crm_profile_internal.profile_send(profile(r, m)) FROM (SELECT 1 AS a, '{x}'::text[] AS b) r,
		(SELECT profile_fit(r, '{"weights": {"a": 0.3}, "min_count": 1}') AS m FROM (VALUES (1, '{x}'::text[]), (2, '{y}')) r (a, b)) f;
CREATE TABLE outcome AS
	SELECT kind, receive(kind, substr(b, 1, n)) AS said FROM bytes, generate_series(0, length(b) - 1) n
	UNION ALL SELECT kind, receive(kind, b || '\x00') FROM bytes
	UNION ALL SELECT kind, receive(kind, set_byte(b, n, get_byte(b, n) # x)) FROM bytes, generate_series(0, length(b) - 1) n, unnest('{1,2,16,128,255}'::int[]) x;
-- (22021: no text in the database's encoding)
SELECT kind, CASE WHEN said ~ '^(22P03 invalid binary form|22021)' THEN 'refused' WHEN said LIKE '{%' THEN 'a value of its own' ELSE said END AS what, count(*) > 0 AS some FROM outcome GROUP BY 1, 2 ORDER BY 1, 2;
\set fixture :abs_srcdir '/fixtures/received.sql'
\i :fixture

-- Limits: 250 attributes, however many columns are ignored; the codes of a byte
CREATE FUNCTION fit_wide(columns int, attributes int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
	EXECUTE (SELECT format('SELECT (SELECT count(*) FROM profile_attributes(m)) FROM (SELECT profile_fit(r, %L) AS m FROM (SELECT %s FROM generate_series(1, 3) i) r) f',
		jsonb_build_object('ignore', coalesce(jsonb_agg('c' || n) FILTER (WHERE n > attributes), '[]')), string_agg(format('i %% %s AS c%s', n % 3 + 2, n), ', '))
		FROM generate_series(1, columns) n) INTO found;
	RETURN found;
END $$;
SELECT fit_wide(250, 250), fit_wide(1664, 1), fit_wide(1664, 250);
\set SHOW_CONTEXT never
SELECT fit_wide(251, 251);
\set SHOW_CONTEXT errors
CREATE TABLE words AS SELECT 'w' || i % 300 AS word, ARRAY['t' || i % 300] AS tags FROM generate_series(1, 3000) i;
SELECT cardinality("values") AS n, other > 0 AS others FROM (SELECT profile_fit(r, '{"max_values": 191}') AS m FROM (SELECT word FROM words) r) f, profile_attributes(m);
SELECT profile_fit(r, '{"max_values": 192}') FROM (SELECT word FROM words) r;
SELECT cardinality("values") AS n, other > 0 AS others FROM (SELECT profile_fit(r, '{"max_values": 248}') AS m FROM (SELECT tags FROM words) r) f, profile_attributes(m);
SELECT profile_fit(r, '{"max_values": 249}') FROM (SELECT tags FROM words) r;
SELECT profile_fit(r, '{"max_values": 0}') FROM (SELECT word FROM words) r;
-- a set of many members, each twice: each counts once
SELECT sum(c) + other AS members FROM (SELECT profile_fit(r) AS m FROM (SELECT ARRAY(SELECT 'm' || i % 10000 FROM generate_series(1, 20000) i) AS tags) r) f,
	profile_attributes(m), unnest(counts) c GROUP BY other;

-- Values of fewer than five rows are not named: they are "(other)", or have no rank; values named by options and types are
CREATE TABLE rare AS SELECT CASE WHEN i = 1 THEN 'hidden' WHEN i < 6 THEN 'four' WHEN i < 11 THEN 'five' ELSE 'many' END AS word, CASE WHEN i < 5 THEN '7' ELSE (i % 2)::text END AS rank,
	ARRAY[CASE WHEN i < 5 THEN 'rare' ELSE 'common' END] AS tags, i < 4 AS flag, CASE WHEN i < 4 THEN 'no' ELSE 'yes' END AS answer FROM generate_series(1, 100) i;
SELECT attribute, "values", counts, other FROM profile_attributes((SELECT profile_fit(r, '{"kinds": {"rank": "ordinal"}, "order": {"answer": ["no", "yes"]}}') FROM rare r));
SELECT profile_fit(r, '{"kinds": {"rank": "ordinal"}}')::text ~ 'hidden|"rare"|"7"' AS told FROM rare r;
SELECT attribute, "values" FROM profile_attributes((SELECT profile_fit(r, '{"min_count": 4}') FROM (SELECT word, tags FROM rare) r));
SELECT DISTINCT v.attribute, v.value FROM rare r, (SELECT profile_fit(r, '{"kinds": {"rank": "ordinal"}}') AS m FROM rare r) f, profile_values(profile(r, m), m) v WHERE r.word IN ('hidden', 'four') AND v.attribute IN ('word', 'rank', 'tags') ORDER BY 1, 2;
-- (repeated values that are all too rare to be named are no identifier)
SELECT attribute, weight, "values", other FROM profile_attributes((SELECT profile_fit(r) FROM (SELECT 'w' || i / 2 AS pairs, 'w' || i AS identifier FROM generate_series(1, 200) i) r));

-- Errors that name the attribute
SELECT profile(r, m) FROM (SELECT 1 AS age) r, models;
SELECT profile(r, m) FROM (SELECT p.*, 1 AS id2 FROM people p) r, models;
SELECT profile(r, m) FROM (SELECT 'x' AS age, income, joined, city, shoe, member, likes, answer FROM people) r, models;
SELECT profile(r, m) FROM (SELECT current_date AS age, income, joined, city, shoe, member, likes, answer FROM people) r, models;
SELECT profile(r, m) FROM (SELECT age, age, income, joined, city, shoe, member, likes, answer FROM people) r, models;
SELECT similarity(p, profile(r, (SELECT profile_fit(r) FROM (SELECT 1 AS a UNION SELECT 2) r))) IS NULL FROM profiles, (SELECT 1 AS a) r WHERE id = 1;
SELECT profile_values(p, (SELECT profile_fit(r) FROM (SELECT 1 AS a UNION SELECT 2) r)) FROM profiles WHERE id = 1;
SELECT profile_fit(p, '{"kinds": {"ages": "nominal"}}') FROM people p;
SELECT profile_fit(p, '{"kinds": {"age": "odd"}}') FROM people p;
SELECT profile_fit(p, '{"kinds": {"likes": "numeric"}}') FROM people p;
SELECT profile_fit(p, '{"kinds": {"city": "numeric"}}') FROM people p;
SELECT profile_fit(p, '{"kinds": {"city": "ordinal"}}') FROM people p;
SELECT profile_fit(p, '{"weights": {"age": -1}}') FROM people p;
SELECT profile_fit(p, '{"ranges": {"age": [5, 1]}}') FROM people p;
SELECT profile_fit(p, '{"ranges": {"city": [1, 2]}}') FROM people p;
SELECT profile_fit(p, '{"wieghts": {}}') FROM people p;
SELECT profile_fit(p, '[]') FROM people p;
SELECT profile_fit(p, '{"ignore": ["age", "income", "joined", "city", "shoe", "member", "likes", "answer"]}') FROM people p;

-- Bytes and text as input
SELECT 'x'::profile_model;
SELECT '{}'::profile_model;
SELECT '{"rows": 1, "missing": [], "ignored": [], "attributes": []}'::profile_model;
SELECT '{"rows": 1, "missing": [], "ignored": [], "attributes": [{"name": "a", "kind": "numeric", "weight": -1, "low": 0, "high": 1, "missing": 0, "other": 0}]}'::profile_model;
SELECT '{"rows": 1, "missing": [], "ignored": [], "attributes": [{"name": "a", "kind": "numeric", "weight": 1, "low": 2, "high": 1, "missing": 0, "other": 0}]}'::profile_model;
SELECT '{"rows": 1, "missing": [], "ignored": [], "attributes": [{"name": "a", "kind": "nominal", "weight": 1, "missing": 0, "other": 0, "values": ["x", "x"], "counts": [1, 1]}]}'::profile_model;
SELECT '{"attributes": [{"name": "a", "weight": 1}]}'::profile_model;
SELECT '{"attributes": [{"name": "a", "kind": "date", "low": 1, "high": 2}]}'::profile_model;
SELECT '{"attributes": [{"name": "a", "kind": "nominal", "values": ["x"]}]}'::profile_model;
SELECT '{"attributes": [{"name": "a", "kind": "numeric"}, {"name": "a", "kind": "numeric"}]}'::profile_model;
SELECT '{"missing": [" N/A "], "missing_numbers": [-0.0, 1e300], "attributes": [{"name": "a", "kind": "numeric", "low": -1, "weight": 0.5}]}'::profile_model;
SELECT '{"model": "00", "numbers": [], "codes": [1], "sets": []}'::profile;
SELECT '{"model": "0000000000000000", "numbers": [], "codes": [], "sets": []}'::profile;
SELECT '{"model": "0000000000000000", "numbers": [[1, 255]], "codes": [], "sets": []}'::profile;
SELECT '{"model": "0000000000000000", "levels": [9], "numbers": [[1, 10]], "codes": [], "sets": []}'::profile;
SELECT '{"model": "0000000000000000", "numbers": [], "codes": [], "sets": [{"bytes": 1, "bits": [8]}]}'::profile;
SELECT '{"model": "0000000000000000", "numbers": [[1, 2]], "codes": [3], "sets": [{"bytes": 1, "bits": [7]}]}'::profile;
SET client_min_messages = warning;
DROP SCHEMA profile_test CASCADE;
