-- Shares of simulated draws: of noise of every kind, a verdict other than useless; of planted effects, an adjusted p-value up to 5 % and chi-square's.
SET search_path = public, crm_profile;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.16) \g /dev/null

CREATE FUNCTION normal() RETURNS float8 LANGUAGE sql VOLATILE RETURN sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random());

-- one draw of people, none of whose attributes has to do with the target
CREATE FUNCTION noise(people int, rate float8, OUT target boolean, OUT number float8, OUT spiky float8, OUT small int, OUT day date, OUT words2 text, OUT words10 text, OUT words100 text,
	OUT words2000 text, OUT names text, OUT interests text[], OUT rare boolean, OUT number30 float8, OUT number90 float8, OUT number99 float8, OUT words30 text, OUT words90 text, OUT words99 text) RETURNS SETOF record
	LANGUAGE sql VOLATILE ROWS 3000 AS $$
	SELECT random() < rate, normal(), CASE WHEN random() < 0.6 THEN 0 ELSE round((100 * random())::numeric) END, floor(random() * 7)::int, date '2020-01-01' + floor(random() * 1500)::int,
		'w' || floor(2 * random()), 'w' || floor(10 * random()), 'w' || floor(100 * random()), 'w' || floor(2000 * random()), 'w' || floor(1 / (0.0005 + random())),
		ARRAY(SELECT 'm' || m FROM generate_series(1, 20) m WHERE i > 0 AND random() < 0.03 * m / 2), random() < 0.01,
		CASE WHEN random() > 0.3 THEN normal() END, CASE WHEN random() > 0.9 THEN normal() END, CASE WHEN random() > 0.99 THEN normal() END,
		CASE WHEN random() > 0.3 THEN 'w' || floor(10 * random()) END, CASE WHEN random() > 0.9 THEN 'w' || floor(10 * random()) END, CASE WHEN random() > 0.99 THEN 'w' || floor(10 * random()) END
	FROM generate_series(1, people) i $$;

CREATE TABLE verdict (setting text, kind text, verdict text);
CREATE PROCEDURE draw_noise(people int, rate float8, draws int) LANGUAGE plpgsql AS $$
BEGIN
	FOR draw IN 1 .. draws LOOP
		INSERT INTO verdict
		SELECT format('%s people, %s %% targets', people, 100 * rate), key, value FROM (
			SELECT to_jsonb(r) AS all_kinds FROM (
				SELECT (attribute_relevance(number, target)).verdict AS "number", (attribute_relevance(spiky, target)).verdict AS "number, 60 % zeros", (attribute_relevance(small, target)).verdict AS "number, 0 to 6", (attribute_relevance(day, target)).verdict AS "day",
					(attribute_relevance(words2, target)).verdict AS "2 words", (attribute_relevance(words10, target)).verdict AS "10 words", (attribute_relevance(words100, target)).verdict AS "100 words", (attribute_relevance(words2000, target)).verdict AS "2000 words",
					(attribute_relevance(names, target)).verdict AS "names, few of them frequent", (attribute_relevance(interests, target)).verdict AS "set of 20", (attribute_relevance(rare, target)).verdict AS "boolean, 1 % true",
					(attribute_relevance(number30, target)).verdict AS "number, 30 % missing", (attribute_relevance(number90, target)).verdict AS "number, 90 % missing", (attribute_relevance(number99, target)).verdict AS "number, 99 % missing",
					(attribute_relevance(words30, target)).verdict AS "10 words, 30 % missing", (attribute_relevance(words90, target)).verdict AS "10 words, 90 % missing", (attribute_relevance(words99, target)).verdict AS "10 words, 99 % missing"
				FROM noise(people, rate)) r) x, jsonb_each_text(x.all_kinds);
	END LOOP;
END $$;
CALL draw_noise(500, 0.2, :draws);
CALL draw_noise(500, 0.03, :draws);
CALL draw_noise(2000, 0.03, :draws);
CALL draw_noise(2000, 0.5, :draws);

\pset format unaligned
\pset tuples_only on
\echo '### Noise: share of draws with a verdict other than useless (limit: 5 %)'
\echo
SELECT format('%s draws of each; the standard error of a share of 5 %% is %s', :draws, round(100 * sqrt(0.05 * 0.95 / :draws), 2));
\echo
SELECT '| attribute | ' || string_agg(DISTINCT setting, ' | ' ORDER BY setting) || ' |' FROM verdict;
SELECT '|---' || repeat('|---', count(DISTINCT setting)::int) || '|' FROM verdict;
SELECT '| ' || kind || ' | ' || string_agg(round(100 * share, 1)::text, ' | ' ORDER BY setting) || ' |'
FROM (SELECT kind, setting, avg((verdict !~ '^useless')::int) AS share FROM verdict GROUP BY 1, 2) x GROUP BY kind ORDER BY kind COLLATE "C";
SELECT '| all | ' || string_agg(round(100 * share, 2)::text, ' | ' ORDER BY setting) || ' |' FROM (SELECT setting, avg((verdict !~ '^useless')::int) AS share FROM verdict GROUP BY 1) x;

-- the same of values, which have nothing to do with the attributes either
CREATE TABLE value_verdict (setting text, kind text, verdict text);
CREATE PROCEDURE draw_value_noise(people int, setting text, draws int) LANGUAGE plpgsql AS $$
BEGIN
	FOR draw IN 1 .. draws LOOP
		INSERT INTO value_verdict
		SELECT format('%s people, %s', people, setting), key, value FROM (
			SELECT to_jsonb(r) AS all_kinds FROM (
				SELECT (attribute_relevance(number, v)).verdict AS "number", (attribute_relevance(spiky, v)).verdict AS "number, 60 % zeros", (attribute_relevance(small, v)).verdict AS "number, 0 to 6", (attribute_relevance(day, v)).verdict AS "day",
					(attribute_relevance(words2, v)).verdict AS "2 words", (attribute_relevance(words10, v)).verdict AS "10 words", (attribute_relevance(words100, v)).verdict AS "100 words", (attribute_relevance(words2000, v)).verdict AS "2000 words",
					(attribute_relevance(names, v)).verdict AS "names, few of them frequent", (attribute_relevance(interests, v)).verdict AS "set of 20", (attribute_relevance(rare, v)).verdict AS "boolean, 1 % true",
					(attribute_relevance(number30, v)).verdict AS "number, 30 % missing", (attribute_relevance(number90, v)).verdict AS "number, 90 % missing", (attribute_relevance(number99, v)).verdict AS "number, 99 % missing",
					(attribute_relevance(words30, v)).verdict AS "10 words, 30 % missing", (attribute_relevance(words90, v)).verdict AS "10 words, 90 % missing", (attribute_relevance(words99, v)).verdict AS "10 words, 99 % missing"
				FROM (SELECT n.*, CASE setting WHEN 'normal values' THEN normal() WHEN 'skew values' THEN exp(2 * normal()) ELSE CASE WHEN random() < 0.05 THEN exp(normal()) ELSE 0 END END AS v FROM noise(people, 0.2) n OFFSET 0) x) r) x, jsonb_each_text(x.all_kinds);
	END LOOP;
END $$;
CALL draw_value_noise(500, 'normal values', :draws);
CALL draw_value_noise(500, 'skew values', :draws);
CALL draw_value_noise(500, '95 % zeros', :draws);
CALL draw_value_noise(2000, '95 % zeros', :draws);
\echo
\echo '### Noise: share of draws of values with a verdict other than useless (limit: 5 %)'
\echo
SELECT '| attribute | ' || string_agg(DISTINCT setting, ' | ' ORDER BY setting) || ' |' FROM value_verdict;
SELECT '|---' || repeat('|---', count(DISTINCT setting)::int) || '|' FROM value_verdict;
SELECT '| ' || kind || ' | ' || string_agg(round(100 * share, 1)::text, ' | ' ORDER BY setting) || ' |'
FROM (SELECT kind, setting, avg((verdict !~ '^useless')::int) AS share FROM value_verdict GROUP BY 1, 2) x GROUP BY kind ORDER BY kind COLLATE "C";
SELECT '| all | ' || string_agg(round(100 * share, 2)::text, ' | ' ORDER BY setting) || ' |' FROM (SELECT setting, avg((verdict !~ '^useless')::int) AS share FROM value_verdict GROUP BY 1) x;

-- planted effects on skew values: those of which the test of Spearman, or of Kruskal and Wallis, is significant
CREATE TABLE value_found (effect text, found boolean, plain boolean);
CREATE PROCEDURE draw_value_effects(people int, draws int) LANGUAGE plpgsql AS $$
BEGIN
	FOR draw IN 1 .. draws LOOP
		INSERT INTO value_found
		WITH person AS MATERIALIZED (SELECT x, w, has, exp(2 * (e + 0.13 * x)) AS rises, exp(2 * (e + 0.16 * (w % 3 - 1) * 1.2)) AS of_words, exp(2 * (e + 0.35 * has::int)) AS of_flag
				FROM (SELECT normal() AS x, normal() AS e, floor(random() * 12)::int AS w, random() < 0.3 AS has FROM generate_series(1, people) OFFSET 0) d),
			ranked AS MATERIALIZED (SELECT p.*, rank() OVER (ORDER BY rises) AS r1, rank() OVER (ORDER BY x) AS rx, rank() OVER (ORDER BY of_words) AS r2, rank() OVER (ORDER BY of_flag) AS r3 FROM person p),
			proof AS (SELECT (attribute_relevance(x, rises)).adjusted_p_value AS p1, (attribute_relevance(w::text, of_words)).adjusted_p_value AS p2, (attribute_relevance(has, of_flag)).adjusted_p_value AS p3 FROM person)
		SELECT 'rise (Spearman)', p1 <= 0.05, (SELECT corr(r1, rx) ^ 2 * (people - 1) > 3.841 FROM ranked) FROM proof
		UNION ALL SELECT '12 words (Kruskal and Wallis)', p2 <= 0.05, (SELECT 12.0 / people / (people + 1) * sum(s * s / n) - 3 * (people + 1) > 19.675 FROM (SELECT w, sum(r2) AS s, count(*) AS n FROM ranked GROUP BY w) g) FROM proof
		UNION ALL SELECT 'boolean (Kruskal and Wallis)', p3 <= 0.05, (SELECT 12.0 / people / (people + 1) * sum(s * s / n) - 3 * (people + 1) > 3.841 FROM (SELECT has, sum(r3) AS s, count(*) AS n FROM ranked GROUP BY has) g) FROM proof;
	END LOOP;
END $$;
CALL draw_value_effects(500, :draws);
\echo
\echo '### Planted effects on skew values, 500 people: share of draws in which they are proven, and in which the plain test is significant at 5 %'
\echo
\echo '| effect | found | plain test |'
\echo '|---|---|---|'
SELECT format('| %s | %s | %s |', effect, round(100 * avg(found::int)), round(100 * avg(plain::int))) FROM value_found GROUP BY effect ORDER BY effect COLLATE "C";

-- planted effects: the log odds of the target rise by an effect of an attribute
CREATE TABLE found (effect text, people int, rate float8, found boolean, chi_square boolean);
CREATE PROCEDURE draw_effects(people int, rate float8, size float8, draws int) LANGUAGE plpgsql AS $$
DECLARE
	odds CONSTANT float8 := ln(rate / (1 - rate));
BEGIN
	FOR draw IN 1 .. draws LOOP
		INSERT INTO found
		WITH person AS MATERIALIZED (SELECT x, w, ARRAY(SELECT 'm' || m FROM generate_series(1, 10) m WHERE substr(s, m, 1) = '1') AS members, substr(s, 1, 1) = '1' AS has, random() < 1 / (1 + exp(-odds - size * x)) AS rises, random() < 1 / (1 + exp(-odds - size * (x * x - 1) / 1.4)) AS bends,
				random() < 1 / (1 + exp(-odds - size * (w % 3 - 1) * 1.2)) AS of_words, random() < 1 / (1 + exp(-odds - size * 2 * (substr(s, 1, 1) = '1')::int)) AS of_member, random() < 1 / (1 + exp(-odds - size * 2 * (u < 0.3)::int)) AS of_missing, u < 0.3 AS missing
			FROM (SELECT normal() AS x, floor(random() * 12)::int AS w, random() AS u, (SELECT string_agg((random() < 0.3)::int::text, '') FROM generate_series(1, 10) WHERE i > 0) AS s FROM generate_series(1, people) i OFFSET 0) d),
			fifth AS MATERIALIZED (SELECT p.*, ntile(5) OVER (ORDER BY x) AS fifth FROM person p),
			cell AS (SELECT e.effect, e.value, e.target, e.critical, count(*)::float8 AS n FROM fifth f, LATERAL (VALUES ('rise', f.fifth::text, f.rises, 9.488), ('bend', f.fifth::text, f.bends, 9.488), ('words', f.w::text, f.of_words, 19.675), ('member', f.has::text, f.of_member, 7.879),
				('missing', CASE WHEN f.missing THEN '?' ELSE f.fifth::text END, f.of_missing, 11.070)) e(effect, value, target, critical) GROUP BY 1, 2, 3, 4),
			expected AS (SELECT effect, critical, n, sum(n) OVER (PARTITION BY effect, value) * sum(n) OVER (PARTITION BY effect, target) / people AS e FROM cell),
			-- cells without rows add what is expected of them
			test AS (SELECT effect, sum(n * n / e) - people > min(critical) AS significant FROM expected GROUP BY effect),
			proof AS (SELECT (attribute_relevance(x, rises)).adjusted_p_value AS rise, (attribute_relevance(x, bends)).adjusted_p_value AS bend, (attribute_relevance(w::text, of_words)).adjusted_p_value AS words, (attribute_relevance(members, of_member)).adjusted_p_value AS member,
				(attribute_relevance(CASE WHEN NOT missing THEN x END, of_missing)).adjusted_p_value AS missing FROM fifth)
		SELECT t.effect, people, rate, v.value <= 0.05, t.significant FROM test t, LATERAL (SELECT (to_jsonb(proof) ->> t.effect)::float8 AS value FROM proof) v;
	END LOOP;
END $$;
CALL draw_effects(500, 0.2, 0.3, :draws);
CALL draw_effects(2000, 0.03, 0.4, :draws);
CALL draw_effects(2000, 0.3, 0.15, :draws);
\echo
\echo '### Planted effects: share of draws in which they are proven (adjusted p-value up to 0.05), and in which chi-square (of fifths, words, the member as one of ten, fifths and missing) is significant at 5 %'
\echo
SELECT '| effect | people | targets | found | chi-square |';
\echo '|---|---|---|---|---|'
SELECT format('| %s | %s | %s %% | %s | %s |', effect, people, 100 * rate, round(100 * avg(found::int)), round(100 * avg(chi_square::int))) FROM found GROUP BY effect, people, rate ORDER BY effect COLLATE "C", rate;
