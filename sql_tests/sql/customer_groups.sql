-- Groups found in the data: planted ones are found, noise has none, and the variance within and between groups
SET datestyle = ISO;
SET client_min_messages = error;
SET jit = off;
SET extra_float_digits = 0;
\set SHOW_CONTEXT never
CREATE SCHEMA grouped;
SET search_path = grouped, crm_profile;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
-- four groups of 30, 30, 30 and 10 %, who differ in age, income and town; heads is a coin
CREATE TABLE person AS SELECT i AS id, g AS planted, (20 + g * 15 + coin(i, 1) * 10)::int AS age, 20000 + g * 10000 + coin(i, 2) * 9000 AS income,
	CASE WHEN coin(i, 3) < 0.8 THEN chr(97 + g) ELSE chr(97 + (coin(i, 4) * 3)::int) END AS town, coin(i, 5) < 0.5 AS heads, ARRAY[chr(120 + (coin(i, 6) * 2)::int)] AS likes FROM generate_series(1, 3000) i, LATERAL (SELECT i % 10 / 3 AS g) p;
CREATE TABLE model AS SELECT profile_fit(p, '{"ignore": ["id", "planted"]}') AS m FROM person p;
-- which attributes go together: Cramér's V of fifths and words, corrected for bias, as R's DescTools::CramerV(bias.correct = TRUE) defines it; in plain SQL
CREATE TABLE weight AS SELECT group_weights(id::text, profile(p, m), m) AS w FROM person p, model;
CREATE FUNCTION v(a text, b text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE result float8;
BEGIN
	EXECUTE format('WITH x AS (SELECT %s AS a, %s AS b FROM person), n AS (SELECT a, b, count(*)::float8 AS n FROM x GROUP BY CUBE (a, b)),
		t AS (SELECT (SELECT n FROM n WHERE a IS NULL AND b IS NULL) AS n, (SELECT count(DISTINCT a) FROM x)::float8 AS r, (SELECT count(DISTINCT b) FROM x)::float8 AS c),
		chi AS (SELECT sum((coalesce(o.n, 0) - e.n * f.n / t.n) ^ 2 / (e.n * f.n / t.n)) AS chi FROM t, n e JOIN n f ON f.a IS NULL AND f.b IS NOT NULL LEFT JOIN n o ON o.a = e.a AND o.b = f.b WHERE e.b IS NULL AND e.a IS NOT NULL)
		SELECT sqrt(greatest(0, chi / n - (r - 1) * (c - 1) / (n - 1)) / (least(r - (r - 1) ^ 2 / (n - 1), c - (c - 1) ^ 2 / (n - 1)) - 1)) FROM chi, t', a, b) INTO result;
	RETURN result;
END $$;
SELECT abs((w ->> 'town')::float8 - v('town', 'ntile(5) OVER (ORDER BY income)')) < 0.01 AS town, abs((w ->> 'income')::float8 - greatest(v('town', 'ntile(5) OVER (ORDER BY income)'), v('ntile(5) OVER (ORDER BY age)', 'ntile(5) OVER (ORDER BY income)'))) < 0.03 AS income,
	w -> 'heads' AS heads, w -> 'likes' AS likes FROM weight;
UPDATE model SET m = (SELECT profile_fit(p, jsonb_build_object('ignore', '["id", "planted"]'::jsonb, 'weights', w)) FROM person p, weight GROUP BY w);
-- the groups: as many as planted, by size, and more than five of six people are where they were put
CREATE TABLE found AS SELECT (profile_groups_fit(id::text, profile(p, m))).* FROM person p, model;
SELECT cardinality(medoids) AS groups, silhouette > 0.6 AS clear, stability > 0.9 AS stable, cardinality(gaps) AS tried, gaps[4] = (SELECT max(g) FROM unnest(gaps) g) AS largest_gap FROM found;
CREATE TABLE member AS SELECT id AS customer, planted, nearest_group(profile(p, m), medoids) AS found FROM person p, model, found;
SELECT sum(n) FILTER (WHERE r = 1) > 0.85 * sum(n) AS recovered, count(*) FILTER (WHERE r = 1) AS groups, count(DISTINCT planted) FILTER (WHERE r = 1) AS different
FROM (SELECT found, planted, count(*) AS n, row_number() OVER (PARTITION BY found ORDER BY count(*) DESC) AS r FROM member GROUP BY 1, 2) x;
SELECT bool_and(n >= next) AS by_size FROM (SELECT count(*) AS n, lead(count(*)) OVER (ORDER BY found) AS next FROM member GROUP BY found) x;
-- nearest_group is the first of the nearest medoids
SELECT count(*) AS differences FROM member JOIN person p ON id = customer, model, found WHERE member.found <> (SELECT n FROM unnest(medoids) WITH ORDINALITY d(d, n) ORDER BY profile(p, m) <-> d, n LIMIT 1);
-- the silhouette in plain SQL, of the sample
SELECT abs(silhouette - (SELECT avg(1 - d[1] / NULLIF(d[2], 0)) FROM (SELECT ARRAY(SELECT profile(p, m) <-> x FROM unnest(medoids) x ORDER BY 1) AS d FROM person p, model) t)) < 0.01 AS silhouette FROM found;
-- the same for rows in any order, and in one order in several processes
SELECT (profile_groups_fit(id::text, profile(p, m))).medoids = (SELECT medoids FROM found) AS same FROM (SELECT * FROM person ORDER BY md5(id::text)) p, model;
-- another number of groups; fewer people than groups
SELECT cardinality((profile_groups_fit(id::text, profile(p, m), 7)).medoids) AS seven, (profile_groups_fit(id::text, profile(p, m), 7)).gaps FROM person p, model;
SELECT cardinality((profile_groups_fit(id::text, profile(p, m))).medoids) AS one FROM person p, model WHERE id <= 40;
SELECT profile_groups_fit(id::text, profile(p, m), 0) FROM person p, model;
SELECT profile_groups_fit(id::text, profile(p, m)) FROM person p, model WHERE id < 4;
SELECT profile_groups_fit(id::text, profile(p, m)) IS NULL AS nobody FROM person p, model WHERE false;
SELECT nearest_group(profile(p, m), ARRAY[NULL::profile]) FROM person p, model LIMIT 1;
SELECT nearest_group(profile(p, m), ARRAY[profile(p, n)]) FROM person p, model, (SELECT profile_fit(p, '{"ignore": ["id", "planted", "town"]}') AS n FROM person p) n LIMIT 1;
-- people without anything in common: one group, in each of ten draws
CREATE TABLE noise AS SELECT d, i AS id, coin(i, d * 10) AS a, coin(i, d * 10 + 1) AS b, chr(97 + (coin(i, d * 10 + 2) * 5)::int) AS town, coin(i, d * 10 + 3) < 0.5 AS heads, chr(97 + (coin(i, d * 10 + 4) * 3)::int) AS job FROM generate_series(1, 10) d, generate_series(1, 600) i;
SELECT count(*) AS draws, sum(cardinality(medoids)) AS groups, count(w) AS weights FROM (SELECT d, (profile_groups_fit(id::text, profile(p, m))).medoids, group_weights(id::text, profile(p, m), m) AS w FROM noise p, (SELECT profile_fit(n, '{"ignore": ["id", "d"]}') AS m FROM noise n) m GROUP BY d) x;

-- ---------------------------------------------------------------- over a source
CREATE TABLE client AS SELECT id, age, income, town, heads, likes FROM person;
ALTER TABLE client ADD PRIMARY KEY (id);
CREATE TABLE sale AS SELECT id AS client_id, date '2024-12-30' - planted * 30 AS day, 10 + planted * 20::numeric AS amount FROM person;
SELECT count(*) > 0 AS made FROM create_source('shop', 'client', 'sale', order_customer => 'client_id', as_of => '2024-12-31', clv_model => 'bg/nbd', attributes => '{age,income,town,heads,likes}');
SELECT refresh('shop') IS NOT NULL AS refreshed;
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
CREATE TABLE told AS SELECT * FROM customer_groups('shop');
SELECT count(*) AS groups, sum(customers) AS customers, round(sum(share)::numeric, 9) AS share, min(likeness) > 0.8 AS alike, min(silhouette) > 0.6 AS clear, min(stability) > 0.9 AS stable, count(*) FILTER (WHERE card ~ 'heads|likes') <= 2 AS next_to_no_coins FROM told;
SELECT regexp_replace(card, '; last.*', '') AS card FROM told ORDER BY customers LIMIT 1;
SELECT bool_and(t.customers = n) AS counted, bool_and(nearest_group(profile(p, t.profile_model), (SELECT array_agg(medoid ORDER BY group_number) FROM told)) = t.group_number) AS examples
FROM told t, LATERAL (SELECT count(*) AS n FROM client c, LATERAL (SELECT c.age, c.income, c.town, c.heads, c.likes) r WHERE nearest_group(profile(r, t.profile_model), (SELECT array_agg(medoid ORDER BY group_number) FROM told)) = t.group_number) x,
	LATERAL (SELECT c.age, c.income, c.town, c.heads, c.likes FROM client c WHERE c.id::text = t.example) p;
-- to the last digit the same for customers in any order
CREATE TABLE shuffled AS SELECT * FROM client ORDER BY md5(id::text);
ALTER TABLE shuffled ADD PRIMARY KEY (id);
SELECT alter_source('shop', customers => 'shuffled');
SELECT refresh('shop') IS NOT NULL AS refreshed;
SELECT count(*) AS differences FROM (SELECT * FROM customer_groups('shop') EXCEPT SELECT * FROM told) d;
SELECT alter_source('shop', customers => 'client');
SELECT refresh('shop') IS NOT NULL AS refreshed;
SELECT count(*) AS three FROM customer_groups('shop', 3);
SELECT count(*) AS by_heads, bool_and(card ~ '(^|, )(not )?heads') AS told FROM customer_groups('shop', 2, '{"heads": 1, "age": 0, "income": 0, "town": 0, "likes": 0}');
-- words in the language of the setting, unless one is named
SET crm_profile.language = 'de';
SELECT bool_and(card ~ 'der Kunden') AS german FROM customer_groups('shop');
SELECT count(*) AS english FROM customer_groups('shop', language => 'en') JOIN told USING (card);
RESET crm_profile.language;
SELECT customer_groups('shopp');
SELECT customer_groups(NULL);
SELECT profile_groups_fit(id::text, profile(p, m)) FROM (SELECT * FROM person ORDER BY id LIMIT 1) p, model;
-- variance within and between, against plain SQL
SELECT attribute, customers, groups, round(explained::numeric, 6) = CASE attribute
		WHEN 'age' THEN round((1 - (SELECT sum((age - m) ^ 2) FROM (SELECT age, avg(age) OVER (PARTITION BY found) AS m FROM client JOIN member ON customer = id) x) / (SELECT sum((age - m) ^ 2) FROM (SELECT age, avg(age) OVER () AS m FROM client) x))::numeric, 6)
		WHEN 'income' THEN round((1 - (SELECT sum((income - m) ^ 2) FROM (SELECT income, avg(income) OVER (PARTITION BY found) AS m FROM client JOIN member ON customer = id) x) / (SELECT sum((income - m) ^ 2) FROM (SELECT income, avg(income) OVER () AS m FROM client) x))::numeric, 6)
		WHEN 'heads' THEN round((1 - (SELECT sum(n * 2 * h * (1 - h)) / sum(n) FROM (SELECT count(*) AS n, avg(heads::int) AS h FROM client JOIN member ON customer = id GROUP BY found) x) / (SELECT 2 * avg(heads::int) * (1 - avg(heads::int)) FROM client)), 6)
		END AS by_sql,
	round((within + "between" - total)::numeric, 6) AS rest, coverage
FROM segment_variance('shop', 'found', 'member') WHERE attribute <> 'town';
-- of words: the chance that two customers differ, by all pairs of a few
CREATE VIEW few AS SELECT * FROM member WHERE customer <= 300;
SELECT customers, abs(total - (SELECT avg((a.town <> b.town)::int) FROM client a, client b WHERE a.id <= 300 AND b.id <= 300)) < 1e-9 AS total,
	abs(within - (SELECT sum(n * d) / sum(n) FROM (SELECT m.found, avg((a.town <> b.town)::int) AS d, sqrt(count(*)) AS n FROM client a JOIN few m ON m.customer = a.id, client b JOIN few o ON o.customer = b.id WHERE m.found = o.found GROUP BY 1) x)) < 1e-9 AS within, coverage
FROM segment_variance('shop', 'found', 'few') WHERE attribute = 'town';
SELECT count(*) AS attributes, bool_and(groups > 1) AS segments FROM segment_variance('shop');
-- the same to the last digit, in whatever order the rows are
CREATE TABLE variance AS SELECT * FROM segment_variance('shop', 'found', 'member');
CREATE INDEX by_md5 ON client (md5(id::text));
CLUSTER client USING by_md5;
SELECT count(*) AS differ FROM (SELECT * FROM segment_variance('shop', 'found', 'member') EXCEPT TABLE variance) d;
SELECT segment_variance('shop', 'segmen');
SELECT segment_variance('shop', 'found', 'person');
SELECT segment_variance('shop', NULL);
-- a customer has one label; the key is one
CREATE VIEW twice AS SELECT customer, segment FROM shop.customer_profile UNION ALL (SELECT customer, 'again' FROM shop.customer_profile ORDER BY customer::text COLLATE "C" DESC LIMIT 3);
SELECT segment_variance('shop', labels => 'twice');
SELECT count(*) > 0 AS some, bool_and(explained = 1) AS all_explained FROM segment_variance('shop', 'customer') WHERE total > 0;
DROP VIEW twice;
SELECT segment_variance('shopp');
SELECT drop_source('shop');
-- numbers beyond those of profiles count as the largest, or 0; those beyond double precision are missing
CREATE TABLE far AS SELECT id, id * 1e300::float8 AS large, id * 1e-300::float8 AS small, id * 1e400::numeric AS larger, -id AS number, 1 / 3::float8 AS third FROM client WHERE id <= 300;
ALTER TABLE far ADD PRIMARY KEY (id);
SELECT count(*) > 0 AS made FROM create_source('farshop', 'far', 'SELECT * FROM grouped.sale WHERE client_id <= 300', order_customer => 'client_id', as_of => '2024-12-31', clv_model => 'bg/nbd', attributes => '{large,small,larger,number,third}');
SELECT refresh('farshop') IS NOT NULL AS refreshed;
SELECT attribute, customers, CASE WHEN attribute = 'number' THEN abs(v.total - 89999 / 12.0) < 1e-6 ELSE v.total = 0 END AS total, explained IS NULL AS nothing FROM segment_variance('farshop') v;
SELECT drop_source('farshop');
SET client_min_messages = warning;
DROP SCHEMA grouped CASCADE;
