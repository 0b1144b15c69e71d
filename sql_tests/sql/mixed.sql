-- Customers of two classes, regular ones and others who buy at random: what the fit finds, and predictions against formulas
SET datestyle = ISO;
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA mixed;
SET search_path = mixed, crm_profile, public;
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/gamma_variate.sql'
\i :fixture
-- four of ten buy regularly (k 4, every 30 days or so) and leave at one purchase in twelve; the others at random, every 100 days, and leave at one in four
CREATE TABLE purchase (customer int, regular boolean, day date);
CREATE PROCEDURE simulate(customers int) LANGUAGE plpgsql AS $$
DECLARE
	regular boolean;
	at float8;
	rate float8;
BEGIN
	FOR i IN 1 .. customers LOOP
		regular := random() < 0.4;
		at := floor(random() * 700);
		rate := CASE WHEN regular THEN 4 * gamma_variate(3) / 90 ELSE gamma_variate(2) / 200 END;
		LOOP
			INSERT INTO purchase VALUES (i, regular, date '2023-01-01' + floor(at)::int);
			EXIT WHEN random() < CASE WHEN regular THEN 1.0 / 12 ELSE 0.25 END;
			at := at + gamma_variate(CASE WHEN regular THEN 4 ELSE 1 END) / rate;
			EXIT WHEN at >= 1096;
		END LOOP;
	END LOOP;
END $$;
SELECT setseed(0.25);
CALL simulate(2500);
CREATE TABLE customer AS SELECT customer, regular, purchase_history_agg(day, 10) AS history FROM purchase GROUP BY customer, regular;
CREATE TABLE fitted AS SELECT clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed') AS m, clv_fit(history, '2024-12-31', 'mbg/cnbd-k') AS together FROM customer;
-- the truth: k 4, two fifths regular, 1/30 and 1/100 purchases a day
CREATE TABLE part AS SELECT part, jsonb_object_agg(parameter, estimate) AS e FROM fitted, clv_parameters(m) WHERE part LIKE 'purchases%' GROUP BY part;
SELECT (clv_model_card(m)).model, (clv_model_card(m)).status, round((clv_model_card(m)).random_share::numeric, 1) AS random_share FROM fitted;
SELECT part, abs(ln((e ->> 'r')::float8 / (e ->> 'alpha')::float8 / 7 / CASE part WHEN 'purchases' THEN 4 * 1 / 30.0 ELSE 0.01 END)) < 0.15 AS rate, abs((e ->> 'a')::float8 / ((e ->> 'a')::float8 + (e ->> 'b')::float8) - CASE part WHEN 'purchases' THEN 1 / 12.0 ELSE 0.25 END) < 0.05 AS leaving FROM part ORDER BY part;
-- all as one are less regular, and much less likely
SELECT (clv_model_card(together)).model, (clv_model_card(m)).log_likelihood - (clv_model_card(together)).log_likelihood > 500 AS gain FROM fitted;
-- the year to come
SELECT abs(sum(f) / sum(a) - 1) < 0.05 AS total, corr(f, a) > 0.6 AS close, sum(f) FILTER (WHERE regular) > sum(f) FILTER (WHERE NOT regular) AS regular
FROM (SELECT regular, expected_purchases(history, m, '2024-12-31', '365 days') AS f, purchase_days(history, '2025-12-31') - purchase_days(history, '2024-12-31') AS a FROM fitted, customer WHERE first_purchase(history) <= '2024-12-31') x;

-- ---------------------------------------------------------------- predictions: by models of the two classes, weighted by how likely they make the customer
CREATE TABLE class AS SELECT ((m::text)::jsonb ->> 'random_share')::float8 AS share, ((m::text)::jsonb ->> 'regularity')::int AS k,
	clv_model('mbg/cnbd-' || ((m::text)::jsonb ->> 'regularity'), ARRAY(SELECT jsonb_array_elements_text((m::text)::jsonb -> 'parameters')::float8)) AS regular,
	clv_model('mbg/nbd', ARRAY(SELECT jsonb_array_elements_text((m::text)::jsonb -> 'random_parameters')::float8)) AS random FROM fitted;
CREATE TABLE likely AS SELECT c.customer, c.history, log_regular, log_random, 1 / (1 + exp(greatest(-700, least(700, log_regular - log_random)))) AS w
FROM customer c, class, LATERAL (SELECT coalesce(sum(ln(gap / 7.0)), 0) AS log_gaps, count(gap) AS x FROM (SELECT day - lag(day) OVER (ORDER BY day) AS gap FROM purchases(history) WHERE day <= '2024-12-31') g) g,
	LATERAL (SELECT ln(1 - share) + clv_log_likelihood(history, class.regular, '2024-12-31') + (k - 1) * log_gaps - x * ln(factorial(k - 1))::float8 AS log_regular, ln(share) + clv_log_likelihood(history, random, '2024-12-31') AS log_random) l
WHERE first_purchase(history) <= '2024-12-31';
CREATE FUNCTION off(a float8, b float8) RETURNS boolean LANGUAGE sql AS 'SELECT (abs(a - b) < 1e-9 * (1 + abs(b))) IS NOT TRUE';
SELECT count(*) > 2000 AS customers, count(*) FILTER (WHERE off(p_alive(history, m, d), w * p_alive(history, random, d) + (1 - w) * p_alive(history, regular, d))) AS p_alive,
	count(*) FILTER (WHERE off(expected_purchases(history, m, d, h), w * expected_purchases(history, random, d, h) + (1 - w) * expected_purchases(history, regular, d, h))) AS expected_purchases,
	count(*) FILTER (WHERE off(probability_of_purchase(history, m, d, h), w * probability_of_purchase(history, random, d, h) + (1 - w) * probability_of_purchase(history, regular, d, h))) AS probability,
	count(*) FILTER (WHERE off(1 - (purchase_probabilities(history, m, d, h, 3))[1], probability_of_purchase(history, m, d, h))) AS none,
	count(*) FILTER (WHERE off((SELECT sum(n) FROM unnest(purchase_probabilities(history, m, d, h, 3)) n), 1)) AS sums
FROM likely, fitted, class, (SELECT date '2024-12-31' AS d, interval '90 days' AS h) a;
-- by next_purchase half have bought, the day before not yet
SELECT count(*) > 500 AS customers, count(*) FILTER (WHERE probability_of_purchase(history, m, d, make_interval(days => n - d)) < 0.5 - 1e-6) AS before, count(*) FILTER (WHERE probability_of_purchase(history, m, d, make_interval(days => n - d - 1)) > 0.5 + 1e-6) AS after
FROM likely, fitted, (SELECT date '2024-12-31' AS d) a, LATERAL (SELECT next_purchase(history, m, d) AS n OFFSET 0) p WHERE n IS NOT NULL;
-- the log-likelihood: steps of a sixteenth in the regularity of a customer are all that it rounds
SELECT abs((clv_model_card(m)).log_likelihood - sum(greatest(log_regular, log_random) + ln(1 + exp(-abs(log_regular - log_random))))) < 5 AS log_likelihood FROM likely, fitted GROUP BY m;
-- somebody new is of a class with the probability of its share
SELECT off(expected_purchases(m, '2024-12-31', '90 days'), share * expected_purchases(random, '2024-12-31', '90 days') + (1 - share) * expected_purchases(regular, '2024-12-31', '90 days')) AS off FROM fitted, class;
-- one customer's log-likelihood is that of either class, single gaps included
SELECT count(*) FILTER (WHERE off(clv_log_likelihood(history, m, '2024-12-31'), greatest(log_regular, log_random) + ln(1 + exp(-abs(log_regular - log_random))))) AS off FROM likely, fitted;

-- ---------------------------------------------------------------- intervals: the delta method by hand, over models that differ in one parameter
SELECT part, parameter, estimate > 0 AS estimate, standard_error / estimate BETWEEN 0.005 AND 0.5 AS standard_error FROM fitted, clv_parameters(m) WHERE part LIKE 'purchases%';
-- the truth lies within three standard errors (r 3 and 90 days by k 4, r 2 and 200 days); where all leave alike, b counts as known
SELECT p.part, p.parameter, abs(ln(p.estimate / t.truth)) < 3 * p.standard_error / p.estimate AS near FROM fitted, clv_parameters(m) p JOIN (VALUES ('purchases', 'r', 3), ('purchases', 'alpha', 90 / 28.0), ('purchases at random', 'r', 2), ('purchases at random', 'alpha', 200 / 7.0), ('purchases at random', 'share', 0.6)) t (part, parameter, truth) USING (part, parameter) ORDER BY 1, 2;
CREATE TABLE varied AS
SELECT i, side, CASE WHEN i = 9 THEN jsonb_set(j, '{random_share}', to_jsonb(1 / (1 + exp(-(ln(s / (1 - s)) + side * 1e-4))))) ELSE jsonb_set(j, place, to_jsonb((j #>> place)::float8 * exp(side * 1e-4))) END::text::clv_model AS m
FROM (SELECT m::text::jsonb AS j, (m::text::jsonb ->> 'random_share')::float8 AS s FROM fitted) f, generate_series(1, 9) i, unnest('{-1,1}'::int[]) side,
	LATERAL (SELECT ARRAY[CASE WHEN i <= 4 THEN 'parameters' ELSE 'random_parameters' END, ((i - 1) % 4)::text] AS place) l;
CREATE FUNCTION logit(p float8) RETURNS float8 LANGUAGE sql AS 'SELECT ln(p / (1 - p))';
CREATE TABLE asked AS SELECT * FROM (SELECT history, ntile(40) OVER (ORDER BY p_alive(history, m, '2024-12-31')) AS n, row_number() OVER (ORDER BY customer) AS r, p_alive(history, m, '2024-12-31') AS p FROM likely, fitted) x WHERE r % 40 = 0 AND p BETWEEN 1e-6 AND 1 - 1e-6;
CREATE TABLE slope AS SELECT history, i, sum(side * logit(p_alive(history, v.m, d))) / 2e-4 AS alive, sum(side * ln(expected_purchases(history, v.m, d, h))) / 2e-4 AS purchases, sum(side * logit(probability_of_purchase(history, v.m, d, h))) / 2e-4 AS probability, sum(side * ln(clv(history, v.m, d, h, 0.01))) / 2e-4 AS clv
FROM asked, varied v, (SELECT date '2024-12-31' AS d, interval '90 days' AS h) a GROUP BY history, i;
CREATE TABLE covariance AS SELECT i, j, (m::text::jsonb -> 'mixed_covariance' ->> (greatest(i, j) * (greatest(i, j) - 1) / 2 + least(i, j) - 1))::float8 AS c FROM fitted, generate_series(1, 9) i, generate_series(1, 9) j;
CREATE FUNCTION differs(a float8, b float8) RETURNS boolean LANGUAGE sql AS 'SELECT (abs(a - b) < 1e-4 * (1 + abs(b))) IS NOT TRUE';
SELECT count(*) > 40 AS customers, count(*) FILTER (WHERE differs(logit(a.upper), logit(p_alive(history, m, d)) + 1.959964 * sqrt(va)) OR differs(logit(a.lower), logit(p_alive(history, m, d)) - 1.959964 * sqrt(va))) AS p_alive,
	count(*) FILTER (WHERE differs(ln(e.upper), ln(expected_purchases(history, m, d, h)) + 1.959964 * sqrt(ve))) AS expected_purchases, count(*) FILTER (WHERE differs(logit(b.lower), logit(probability_of_purchase(history, m, d, h)) - 1.959964 * sqrt(vp))) AS probability,
	count(*) FILTER (WHERE NOT c.upper / clv(history, m, d, h, 0.01) >= exp(1.9599 * sqrt(vc)) * 0.999) AS clv_wider, count(*) FILTER (WHERE (n.lower <= next_purchase(history, m, d) AND n.upper >= next_purchase(history, m, d)) IS FALSE) AS next_purchase
FROM (SELECT history, sum(x.alive * y.alive * c) AS va, sum(x.purchases * y.purchases * c) AS ve, sum(x.probability * y.probability * c) AS vp, sum(x.clv * y.clv * c) AS vc FROM slope x JOIN slope y USING (history) JOIN covariance v ON v.i = x.i AND v.j = y.i GROUP BY history) s,
	fitted, (SELECT date '2024-12-31' AS d, interval '90 days' AS h) k, LATERAL p_alive_interval(history, m, d) a, LATERAL expected_purchases_interval(history, m, d, h) e, LATERAL probability_of_purchase_interval(history, m, d, h) b, LATERAL clv_interval(history, m, d, h, 0.01) c, LATERAL next_purchase_interval(history, m, d) n;
-- a model that was stored without the covariance is read, and has no intervals
SELECT count(*) AS customers, count(expected_purchases(history, old, '2024-12-31', '90 days')) AS predicted, count(i.lower) AS intervals
FROM customer, (SELECT (m::text::jsonb - 'mixed_covariance' - 'covariance')::text::clv_model AS old FROM fitted) f, LATERAL p_alive_interval(history, old, '2024-12-31') i WHERE customer <= 10;
-- bounds of totals
SELECT (h[1]).lower < (h[1]).predicted AND (h[1]).upper > (h[1]).predicted AS bounds FROM (SELECT clv_holdout(history, '2024-12-31', '2025-12-31', 'mbg/cnbd-k, mixed') AS h FROM customer) t;
-- whom attributes tell apart are not split
SELECT (clv_model_card(clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed', NULL, NULL, a))).random_share IS NULL AS not_split FROM (SELECT history, a FROM customer, LATERAL (SELECT regular) a) c;

-- ---------------------------------------------------------------- a value like others
SELECT m = m::text::clv_model AS text, m = (SELECT clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed' ORDER BY customer DESC) FROM customer) AS any_order FROM fitted;
SELECT (clv_model_card(clv_fit(history, '2024-12-31', 'mbg/cnbd-4, mixed, season, months, inflow'))).model FROM customer;
SELECT (clv_model_card(clv_fit(history, '2024-12-31', 'bg/cnbd-k, mixed'))).model FROM customer;
SELECT (h[1]).predicted > 0 AS holdout, abs((h[1]).calibration - 1) < 0.1 AS calibrated FROM (SELECT clv_holdout(history, '2024-12-31', '2025-12-31', 'mbg/cnbd-k, mixed') AS h FROM customer) t;
SELECT (regexp_replace(m::text, '"random_parameters": [^]]*], ', ''))::clv_model FROM fitted;
SELECT (regexp_replace(m::text, '"random_share": [0-9.]*', '"random_share": 1.5'))::clv_model FROM fitted;
-- nobody is split where all buy at random, or alike
CREATE TABLE alike AS SELECT customer, purchase_history_agg(day, 10) AS history FROM purchase WHERE NOT regular GROUP BY customer;
SELECT clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed') = clv_fit(history, '2024-12-31', 'mbg/cnbd-k') AS the_same FROM alike;
SELECT (clv_model_card(clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed'))).random_share IS NULL AS none FROM customer WHERE regular;
-- very regular buyers: fits of too little regularity end at an edge, and the search for k goes on from there; k is that of the greatest likelihood
CREATE TABLE seldom (customer int, day date);
CREATE PROCEDURE simulate_seldom(customers int, k int) LANGUAGE plpgsql AS $$
DECLARE
	at float8;
	rate float8;
	leave float8;
BEGIN
	FOR i IN 1 .. customers LOOP
		at := floor(random() * 1000);
		rate := gamma_variate(0.8) / 63;
		leave := gamma_variate(0.7);
		leave := leave / (leave + gamma_variate(3));
		LOOP
			INSERT INTO seldom VALUES (i, date '2021-01-01' + floor(at)::int);
			EXIT WHEN random() < leave;
			at := at + gamma_variate(k) / rate;
			EXIT WHEN at >= 1000;
		END LOOP;
	END LOOP;
END $$;
SELECT setseed(0.5);
CALL simulate_seldom(4000, 6);
WITH h AS (SELECT purchase_history_agg(day, 10) AS history FROM seldom GROUP BY customer), f AS (SELECT n, clv_model_card(clv_fit(history, '2023-09-30', n)) AS c FROM h, unnest('{mbg/cnbd-k,mbg/cnbd-2,mbg/cnbd-3,mbg/cnbd-4,mbg/cnbd-5,mbg/cnbd-6,mbg/cnbd-7,mbg/cnbd-8}'::text[]) n GROUP BY n)
SELECT abs(k - 6) <= 1 AS near_truth, greatest_likelihood FROM (SELECT right((l.c).model, 1)::int AS k, (l.c).log_likelihood > (SELECT max((c).log_likelihood) FROM f) - 2.01 AS greatest_likelihood FROM f l WHERE n LIKE '%k') x;
SELECT clv_fit(history, '2024-12-31', 'mbg/nbd, mixed') FROM customer;
SELECT clv_fit(history, '2024-12-31', 'mbg/cnbd-1, mixed') FROM customer;
SELECT clv_fit(history, '2024-12-31', 'mbg/cnbd-k, mixed, mixed') FROM customer;
SELECT clv_model('mbg/cnbd-2, mixed', '{1,1,1,1}');
DROP SCHEMA mixed CASCADE;
