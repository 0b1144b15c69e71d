-- Small and surprisingly profitable: a planted niche is found, noise gives none, sums against plain SQL
SET datestyle TO iso;
SET timezone TO 'UTC';
SET jit TO off;
SET client_min_messages TO error;
\set SHOW_CONTEXT never
CREATE SCHEMA test_niches;
SET search_path TO test_niches, crm_profile;
CREATE FUNCTION chance(what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0 $$;
CREATE TABLE customer (id int PRIMARY KEY, city text, age int, vip boolean, likes text[], since date, noise text);
INSERT INTO customer SELECT i, (ARRAY['Ulm', 'Köln', 'Bonn', 'O''Brien'])[1 + floor(4 * chance(i || 'city'))::int], 20 + floor(50 * chance(i || 'age'))::int, chance(i || 'vip') < 0.05,
	ARRAY(SELECT t FROM unnest('{golf,chess,tea}'::text[]) t WHERE chance(i || t) < 0.15), date '2015-01-01' + floor(3000 * chance(i || 'since'))::int, chr(97 + floor(20 * chance(i || 'noise'))::int) FROM generate_series(1, 6000) i;
-- two amounts each; golfers in Ulm spend twice as much as others, and nobody else does
CREATE TABLE orders (customer_id int, ordered_on date, amount numeric(10, 2), cost numeric(10, 2));
INSERT INTO orders SELECT id, date '2025-01-01' + floor(300 * chance(id || 'd' || n))::int, round(((30 - 15 * ln(1 - chance(id || 'a' || n))) * CASE WHEN city = 'Ulm' AND 'golf' = ANY (likes) THEN 2 ELSE 1 END)::numeric, 2), 10 FROM customer, generate_series(1, 2) n WHERE id <= 5900;
SELECT count(*) FROM create_source('shop', 'customer', 'orders', amount => 'amount', attributes => '{city,age,vip,likes,since,noise}', as_of => '2025-12-31');
SELECT count(*) FROM refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
CREATE TABLE found AS TABLE shop.profitable_niches;
SELECT niche, condition, adjusted_p_value < 0.001 AS sure, held_out_customers > 50 AS tested, ratio BETWEEN 1.7 AND 2.3 AS twice FROM found;
-- the figures are those of plain SQL, and the condition chooses these customers
SELECT f.customers = p.n AS customers, f.value_per_customer = round(p.value, 2) AS value, f.others_per_customer = round(p.others, 2) AS others, abs(f.share - p.share) < 1e-12 AS share, f.customers = a.n AS as_audience
FROM found f, (SELECT count(*) FILTER (WHERE niche) AS n, avg(monetary) FILTER (WHERE niche) AS value, avg(monetary) FILTER (WHERE NOT niche) AS others, avg(niche::int)::float8 AS share FROM (SELECT p.monetary, c.city = 'Ulm' AND 'golf' = ANY (c.likes) AS niche FROM shop.customer_profile p JOIN customer c ON c.id = p.customer WHERE p.last_purchase IS NOT NULL) x) p,
	LATERAL (SELECT count(*) AS n FROM select_audience('shop', f.condition || ' AND last_purchase IS NOT NULL', 0)) a;
-- Welch's test of those whom it was not found on, written down; the larger of three
CREATE FUNCTION welch(n float8, m float8, v float8, k float8, o float8, w float8) RETURNS float8 LANGUAGE sql AS $$ SELECT t.p_value / 2 FROM crm_profile_internal.student_test(m - o, sqrt(v / n + w / k), (v / n + w / k) ^ 2 / ((v / n) ^ 2 / (n - 1) + (w / k) ^ 2 / (k - 1)), 0.95) t $$;
WITH tested AS (SELECT m, a, b FROM (SELECT p.monetary AS m, c.city = 'Ulm' AS a, 'golf' = ANY (c.likes) AS b FROM shop.customer_profile p JOIN customer c ON c.id = p.customer WHERE p.last_purchase IS NOT NULL AND crm_profile_internal.in_sample('niche ' || p.customer, 0.5)) x),
	s AS (SELECT count(*) FILTER (WHERE a AND b) AS n, avg(m) FILTER (WHERE a AND b) AS m, var_samp(m) FILTER (WHERE a AND b) AS v, count(*) FILTER (WHERE NOT (a AND b)) AS k, avg(m) FILTER (WHERE NOT (a AND b)) AS o, var_samp(m) FILTER (WHERE NOT (a AND b)) AS w,
		count(*) FILTER (WHERE a AND NOT b) AS ka, avg(m) FILTER (WHERE a AND NOT b) AS oa, var_samp(m) FILTER (WHERE a AND NOT b) AS wa, count(*) FILTER (WHERE b AND NOT a) AS kb, avg(m) FILTER (WHERE b AND NOT a) AS ob, var_samp(m) FILTER (WHERE b AND NOT a) AS wb FROM tested)
SELECT f.held_out_customers = s.n AS customers, f.held_out_value = round(s.m, 2) AS value, abs(f.p_value / greatest(welch(n, m, v, k, o, w), welch(n, m, v, ka, oa, wa), welch(n, m, v, kb, ob, wb)) - 1) < 1e-6 AS welch FROM found f, s;
-- noise: amounts that have nothing to do with who the customers are, eight times
CREATE TABLE noise (customer_id int, ordered_on date, amount numeric(10, 2));
INSERT INTO noise SELECT id, date '2025-01-01' + floor(300 * chance(id || 'd'))::int, round((10 - 40 * ln(1 - chance(id || 'x')))::numeric, 2) FROM customer;
SELECT count(*) FROM create_source('noisy', 'customer', 'noise', amount => 'amount', attributes => '{city,age,vip,likes,since,noise}', as_of => '2025-12-31', clv_model => 'mbg/nbd');
CREATE TABLE by_chance (n bigint);
DO $$ BEGIN
	FOR seed IN 1 .. 8 LOOP
		UPDATE test_niches.noise SET amount = round((10 - 40 * ln(1 - test_niches.chance(customer_id || ' ' || seed)))::numeric, 2);
		PERFORM crm_profile.refresh('noisy');
		INSERT INTO test_niches.by_chance SELECT count(*) FROM noisy.profitable_niches;
	END LOOP;
END $$;
SELECT count(*) FILTER (WHERE n > 0) AS named FROM by_chance;
-- profit where costs are known; a past day; a value of one attribute alone
SELECT alter_source('shop', cost => 'cost');
SELECT count(*) FROM refresh('shop');
SELECT niche, value_per_customer < (SELECT value_per_customer FROM found) AS less FROM shop.profitable_niches;
SELECT count(*) FROM profitable_niches('shop', '2025-01-01');
UPDATE orders o SET amount = amount * 3 FROM customer c WHERE c.id = o.customer_id AND c.vip;
SELECT count(*) FROM refresh('shop');
SELECT niche, condition FROM shop.profitable_niches WHERE niche = 'vip';
SELECT count(*) FILTER (WHERE niche LIKE '%vip%') AS with_vip_once FROM profitable_niches('shop', NULL, 0.5);
-- what cannot be told
SELECT * FROM profitable_niches('shop', NULL, 0);
SELECT * FROM profitable_niches('shop', NULL, 0.05, 5);
SELECT * FROM profitable_niches('shop', NULL, 0.05, 20, NULL);
SELECT * FROM profitable_niches('nowhere');
SELECT crm_profile_internal.niche_sums('{1,2}', 1e14, true, 3);
SELECT crm_profile_internal.niche_sums('{1,2}', 1, true, 300);
SELECT s.first, s.second, s.held_out, s.customers, s.total, s.squares FROM unnest((SELECT crm_profile_internal.niche_sums(c, v, h, 3) FROM (VALUES ('{1,2,NULL,9}'::int[], 1.5, false), ('{2,1}', 2.25, false), ('{2}', -1, false), ('{}', 1, true), (NULL, 1, true), ('{1}', NULL, true)) t(c, v, h), generate_series(1, 5))) s ORDER BY 3, 1, 2;
SELECT alter_source('shop', reset => '{attributes}');
SELECT to_regclass('shop.profitable_niches') IS NULL AS gone, (SELECT count(*) FROM profitable_niches('shop'));

SELECT drop_source('shop'), drop_source('noisy');
DROP SCHEMA test_niches CASCADE;
