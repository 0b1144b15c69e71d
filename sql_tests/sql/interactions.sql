-- Interactions on a scorecard: planted ones are found, noise and sums have none
SET client_min_messages = error;
SET jit = off;
SET extra_float_digits = 0;
CREATE SCHEMA pairs;
SET search_path = pairs, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE TABLE person AS SELECT i AS id, coin(i, 1) AS a, coin(i, 2) AS b, CASE WHEN coin(i, 3) < 0.9 THEN coin(i, 3) END AS c, chr(97 + (coin(i, 4) * 4)::int) AS word, coin(i, 5) < 0.5 AS yes, ARRAY[chr(97 + (coin(i, 6) * 4)::int)] AS letters FROM generate_series(1, 4000) i;
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id"]}') AS m FROM person p WHERE id <= 2000;
CREATE FUNCTION fit(target text) RETURNS match_model LANGUAGE plpgsql AS $$
DECLARE mm match_model;
BEGIN
	EXECUTE format('SELECT match_fit(profile(p, m), %s, m) FROM person p, model WHERE id <= 2000', target) INTO mm;
	RETURN mm;
END $$;
-- rank sum in plain SQL, of people whom the fit has not seen
CREATE FUNCTION auc(mm match_model, target text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE result float8;
BEGIN
	EXECUTE format('SELECT (sum(r) FILTER (WHERE t) - count(*) FILTER (WHERE t) * (count(*) FILTER (WHERE t) + 1) / 2.0) / (count(*) FILTER (WHERE t) * count(*) FILTER (WHERE NOT t))
		FROM (SELECT t, rank() OVER (ORDER BY s) + (count(*) OVER (PARTITION BY s) - 1) / 2.0 AS r FROM (SELECT match_score(profile(p, m), $1) AS s, (%s) AS t FROM person p, model WHERE id > 2000) x) y', target) INTO result USING mm;
	RETURN result;
END $$;
-- each or: nine of ten answers are right, so that .9 is the best there is
CREATE TABLE card (name text, target text, mm match_model);
INSERT INTO card (name, target) VALUES
	('numbers', '((a > 0.5) <> (b > 0.5)) <> (coin(id, 9) < 0.1)'),
	('words', '((word IN (''b'', ''d'')) <> yes) <> (coin(id, 9) < 0.1)'),
	('set', '((a > 0.5) <> (''b'' = ANY (letters))) <> (coin(id, 9) < 0.1)'),
	('missing', '((c IS NULL) <> (b > 0.5)) <> (coin(id, 9) < 0.1)'),
	('sum', 'coin(id, 9) < 1 / (1 + exp(-3 * a - 3 * b + 3))'),
	('noise', 'coin(id, 9) < 0.3'), ('rare noise', 'coin(id, 9) < 0.03');
UPDATE card SET mm = fit(target);
SELECT name, (SELECT string_agg(DISTINCT attribute, ', ') FROM match_card(mm) WHERE attribute ~ '×') AS pairs, auc(mm, target) > 0.86 AS found,
	abs(auc(mm, target) - (match_quality(mm)).auc) < 0.04 AS as_reported FROM card ORDER BY name;
-- forty tables of noise: two in a hundred have a card, next to none an interaction
SELECT count(*) FILTER (WHERE (match_quality(mm)).shrinkage > 0) <= 4 AS empty, count(*) FILTER (WHERE EXISTS (SELECT FROM match_card(mm) WHERE attribute ~ '×')) <= 1 AS none
FROM generate_series(1, 40) k, LATERAL (SELECT match_fit(profile(p, m), coin(id, 100 + k) < 0.3, m) AS mm FROM person p, model WHERE id <= 500) f;
-- an interaction in the functions that tell about a card
SELECT mm AS card FROM card WHERE name = 'words' \gset
SELECT bin, rows = (SELECT count(*) FROM person WHERE id <= 2000 AND word || ' × ' || yes = bin) AS rows, targets = (SELECT count(*) FROM person WHERE id <= 2000 AND word || ' × ' || yes = bin AND (((word IN ('b', 'd')) <> yes) <> (coin(id, 9) < 0.1))) AS targets, sign(points)
FROM match_card(:'card') WHERE attribute ~ '×' AND bin ~ '^[a-e] × ' ORDER BY bin;
SELECT abs(match_score(p, :'card') - 1 / (1 + exp(-(match_quality(:'card')).intercept - (SELECT sum(points) FROM explain_match(p, :'card'))))) < 1e-9 AS sum_of_points, e.attribute, e.value, e.bin, e.rows > 100 AS rows
FROM (SELECT profile(p, m) AS p FROM person p, model WHERE id = 4) x, explain_match(p, :'card') e WHERE attribute ~ '×';
SELECT match_reasons(profile(p, m), :'card', 1) ~ '^(up|down): word × yes = [a-e] × (true|false) \([0-9.]+ %\)$' AS reason, (SELECT count(*) FROM match_places(profile(p, m), :'card') WHERE attribute ~ '×') AS places, (SELECT count(*) FROM woe(profile(p, m), :'card') WHERE attribute ~ '×') AS woe FROM person p, model WHERE id = 4;
SELECT count(*) FILTER (WHERE mm::text::match_model <> mm) AS lossy, count(*) FILTER (WHERE name = 'set' AND mm::text ~ '"parts"') AS with_parts FROM card;
-- the same from rows in any order
SELECT match_fit(profile(p, m), ((a > 0.5) <> (b > 0.5)) <> (coin(id, 9) < 0.1), m) = (SELECT mm FROM card WHERE name = 'numbers') AS same FROM (SELECT * FROM person WHERE id <= 2000 ORDER BY md5(id::text)) p, model;
-- damaged ones are refused
SELECT regexp_replace(:'card', '"parts": \[\{', '"parts": [{"slot": 0, "bins": 2}, {')::match_model;
SELECT regexp_replace(:'card', '"parts": \[\{[^{]*\}, ', '"parts": [')::match_model;
SELECT regexp_replace(:'card', '("parts": \[\{[^}]*)"bins": \d+', '\1"bins": 3')::match_model;
SET client_min_messages = warning;
DROP SCHEMA pairs CASCADE;
