-- Attributes of customers in the models of repeat purchase: simulated effects are recovered; properties of every fit, by plain SQL
CREATE SCHEMA test_covariates;
SET search_path TO test_covariates, crm_profile;
SET jit TO off;
SET datestyle TO iso;
SET intervalstyle TO postgres;
SET client_min_messages TO warning;

-- ---------------------------------------------------------------- simulated customers
-- Members buy e^0.8 times as often and leave e^-1 times as readily, people in Ulm buy e^-0.5 times as often, age has no effect. Rates of purchase are Gamma(1, 20 weeks);
-- pareto/nbd: rates of leaving are Gamma(1, 40 weeks); mbg/cnbd-2: every other event is a purchase, at which they leave with a probability that is Beta(a, 1),
-- a = 0.25 and for members e^-1 times that
CREATE FUNCTION draw(what text, i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (('x' || substr(md5(what || ' ' || i), 1, 13))::bit(52)::bigint + 0.5) / 4503599627370496.0 $$;
CREATE TABLE person AS SELECT id, member, city, 20 + (draw('age', id) * 50)::int AS age, (draw('first', id) * 60)::int AS first,
	-ln(draw('rate', id)) / 20 * exp(CASE WHEN member THEN 0.8 ELSE 0 END - CASE WHEN city = 'Ulm' THEN 0.5 ELSE 0 END) AS rate,
	-ln(draw('lifetime', id)) / (-ln(draw('leaving', id)) / 40 * CASE WHEN member THEN exp(-1) ELSE 1 END) AS lifetime,
	draw('dropout', id) ^ (1 / (0.25 * CASE WHEN member THEN exp(-1) ELSE 1 END)) AS dropout
	FROM (SELECT id, id % 2 = 0 AS member, CASE WHEN draw('city', id) < 0.3 THEN 'Ulm' ELSE 'Bonn' END AS city FROM generate_series(1, 3000) id) p;
CREATE TABLE event AS SELECT id, n, 7 * sum(CASE WHEN n = 0 THEN 0 ELSE -ln(draw('gap' || n, id)) / rate END) OVER w AS day,
	bool_or(n % 2 = 0 AND draw('left' || n, id) < dropout) OVER (PARTITION BY id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gone
	FROM person, generate_series(0, 80) n WINDOW w AS (PARTITION BY id ORDER BY n);
CREATE TABLE customer AS
SELECT model, id, member, city, age, purchase_history_agg(date '2020-01-01' + first + day::int, 10 + n % 7) AS h
	FROM event JOIN person USING (id), unnest('{pareto/nbd,mbg/cnbd-2}'::text[]) model
	WHERE day + first < 600 AND CASE model WHEN 'pareto/nbd' THEN day <= 7 * lifetime ELSE n % 2 = 0 AND gone IS NOT TRUE END GROUP BY model, id, member, city, age;
CREATE TABLE fitted AS SELECT model, clv_fit(h, '2021-08-23', model, NULL, NULL, r) AS m, clv_fit(h, '2021-08-23', model) AS plain
FROM customer, LATERAL (SELECT member, city, age) r GROUP BY model;
SELECT model, substr(part, 11) AS "on", parameter, round(estimate::numeric, 2) AS estimate, truth, abs(estimate - truth) < 2 * standard_error AS back, status
FROM fitted, clv_parameters(m) JOIN (VALUES ('effect on buying', 'member', 0.8), ('effect on buying', 'city: Ulm', -0.5), ('effect on buying', 'age', 0), ('effect on leaving', 'member', -1), ('effect on leaving', 'city: Ulm', 0), ('effect on leaving', 'age', 0)) v (part, parameter, truth) USING (part, parameter)
ORDER BY 1, 2, 3;

-- ---------------------------------------------------------------- properties of every fit

-- The log-likelihood of the card is that of the customers, each by the model with their attributes (less the part of regular gaps that depends on no parameter)
CREATE FUNCTION likelihood(which text, m clv_model) RETURNS float8 LANGUAGE sql STABLE AS $$
	SELECT sum(clv_log_likelihood(h, with_attributes(m, r), '2021-08-23')) FROM customer, LATERAL (SELECT member, city, age) r WHERE model = which $$;
SELECT f.model, abs(likelihood(f.model, m) - c.log_likelihood) < 1e-5 AS of_card, round((c.log_likelihood - p.log_likelihood)::numeric) > 100 AS better_by_far
FROM fitted f, clv_model_card(m) c, clv_model_card(plain) p WHERE f.model = 'pareto/nbd';
-- It is a maximum: slightly larger or smaller effects are less likely
SELECT model, count(*) AS tried, bool_and(likelihood(model, jsonb_set(m::text::jsonb, ARRAY[effects, i::text], to_jsonb((m::text::jsonb -> effects ->> i)::float8 + off))::text::clv_model) < best) AS lower
FROM (SELECT *, likelihood(model, m) AS best FROM fitted) q, unnest('{purchase_effects,leaving_effects}'::text[]) effects, generate_series(0, 2) i, unnest('{-0.02,0.02}'::float8[]) off GROUP BY model ORDER BY model;
-- Groups and parameters: alpha and beta, or a, of a customer are those of the average one times the effects
SELECT model, max(abs(ln(own.estimate / average.estimate) - sign * (
	SELECT sum(e * (z - mean)) FROM unnest(ARRAY(SELECT jsonb_array_elements_text(j -> effects)::float8)) WITH ORDINALITY e (e, o)
		JOIN unnest(ARRAY(SELECT jsonb_array_elements_text(j -> 'means')::float8)) WITH ORDINALITY mean (mean, o) USING (o)
		JOIN unnest(ARRAY[c.member::int, (c.city = 'Ulm')::int, round((greatest(low, least(c.age, high)) - low) / (high - low) * 254) / 254]::float8[]) WITH ORDINALITY z (z, o) USING (o)))) < 1e-9 AS as_told
FROM fitted, LATERAL (SELECT m::text::jsonb) t (j), LATERAL (SELECT (a ->> 'low')::float8 AS low, (a ->> 'high')::float8 AS high FROM jsonb_array_elements(j -> 'attributes' -> 'attributes') a WHERE a ->> 'name' = 'age') a,
	(SELECT DISTINCT member, city, age FROM customer WHERE id < 100) c, LATERAL (SELECT c.member, c.city, c.age) r,
	LATERAL clv_parameters(with_attributes(m, r)) own, clv_parameters(m) average,
	(VALUES ('pareto/nbd', 'alpha', 'purchase_effects', -1), ('pareto/nbd', 'beta', 'leaving_effects', -1), ('mbg/cnbd-2', 'alpha', 'purchase_effects', -1), ('mbg/cnbd-2', 'a', 'leaving_effects', 1)) v (name, parameter, effects, sign)
WHERE v.name = model AND own.part = 'purchases' AND average.part = 'purchases' AND own.parameter = v.parameter AND average.parameter = v.parameter GROUP BY model ORDER BY model;
-- Predictions take the record, or a model of such customers; without either they are those of the average customer
SELECT model, bool_and(p_alive(h, m, '2021-08-23', r) = p_alive(h, own, '2021-08-23') AND expected_purchases(h, m, '2021-08-23', '90 days', r) = expected_purchases(h, own, '2021-08-23', '90 days')
	AND probability_of_purchase(h, m, '2021-08-23', '90 days', r) = probability_of_purchase(h, own, '2021-08-23', '90 days') AND clv(h, m, '2021-08-23', '1 year', 0.01, r) = clv(h, own, '2021-08-23', '1 year', 0.01)
	AND purchase_probabilities(h, m, '2021-08-23', '90 days', 5, r) = purchase_probabilities(h, own, '2021-08-23', '90 days', 5)
	AND next_purchase(h, m, '2021-08-23', r) IS NOT DISTINCT FROM next_purchase(h, own, '2021-08-23')
	AND expected_purchases(m, '2021-08-23', '90 days', r) = expected_purchases(own, '2021-08-23', '90 days')) AS same,
	bool_or(p_alive(h, m, '2021-08-23', r) <> p_alive(h, m, '2021-08-23')) AS differ, bool_and((p_alive_interval(h, own, '2021-08-23')).lower < p_alive(h, own, '2021-08-23')) AS interval
FROM customer JOIN fitted USING (model), LATERAL (SELECT member, city, age) r, LATERAL (SELECT with_attributes(m, r) AS own) o WHERE id <= 150 GROUP BY model ORDER BY model;
SELECT model, bool_and(x.member > x.other) AS buys_more FROM fitted, LATERAL (SELECT expected_purchases(m, '2021-08-23', '90 days', (SELECT r FROM (SELECT true AS member, 'Bonn' AS city, 40 AS age) r)) AS member,
	expected_purchases(m, '2021-08-23', '90 days', (SELECT r FROM (SELECT false AS member, 'Ulm' AS city, 40 AS age) r)) AS other) x GROUP BY model ORDER BY model;
-- Nothing known of a customer: the average one. A city unknown to the fit is not Ulm. A model without attributes takes any record
SELECT model, bool_and(p_alive(h, m, '2021-08-23', nothing) = p_alive(h, m, '2021-08-23')) AS average, bool_and(p_alive(h, m, '2021-08-23', elsewhere) = p_alive(h, m, '2021-08-23', bonn)) AS not_ulm,
	bool_and(with_attributes(plain, nothing) = plain AND p_alive(h, plain, '2021-08-23', nothing) = p_alive(h, plain, '2021-08-23')) AS plain
FROM customer JOIN fitted USING (model), LATERAL (SELECT NULL::boolean AS member, NULL AS city, NULL::int AS age) nothing,
	LATERAL (SELECT true AS member, 'Rome' AS city, 40 AS age) elsewhere, LATERAL (SELECT true AS member, 'Bonn' AS city, 40 AS age) bonn WHERE id <= 50 GROUP BY model ORDER BY model;

-- ---------------------------------------------------------------- ridge, edges, options, order, errors

CREATE TABLE few AS SELECT id, h, member, city, age, CASE WHEN id % 3 > 0 THEN city END AS town, 7 AS seven FROM customer WHERE model = 'pareto/nbd' AND id <= 600;
CREATE FUNCTION effects(m clv_model) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(parameter || ' ' || round(estimate::numeric, 2), ', ' ORDER BY o) FROM clv_parameters(m) WITH ORDINALITY AS p (part, parameter, estimate, e, s, o) WHERE part = 'effect on buying' $$;
-- A ridge shrinks the effects to 0, and the parameters to those of a fit without attributes
SELECT ridge, effects(m), (SELECT max(abs(ln(a.estimate / b.estimate))) FROM clv_parameters(m) a JOIN clv_parameters(plain) b USING (part, parameter)) < 1e-4 AS plain
FROM unnest('{0,10,1e9}'::float8[]) ridge, LATERAL (SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, jsonb_build_object('ridge', ridge)) AS m, clv_fit(h, '2021-08-23', 'mbg/nbd') AS plain FROM (SELECT ridge) x, few, LATERAL (SELECT member, city) r) f ORDER BY ridge;
-- Attributes that say the same have no effects of their own without a ridge: no maximum, or no fit, which names the cause
SELECT ridge, card.status FROM unnest('{0,1}'::float8[]) ridge, LATERAL (SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, jsonb_build_object('ridge', ridge)) AS m FROM (SELECT ridge) x, few, LATERAL (SELECT member, member AS same) r) f, LATERAL clv_model_card(m) card ORDER BY ridge;
CREATE TABLE twin AS SELECT id, id % 2 = 0 AS a, id % 2 = 0 AS b, purchase_history_agg(date '2024-01-01' + (id * 7 + k * k * (13 + id % 29)) % 360, 10) AS h FROM generate_series(1, 400) id, LATERAL generate_series(0, id % 4) k GROUP BY id;
SELECT status FROM clv_model_card((SELECT clv_fit(h, '2024-12-31', 'mbg/nbd', NULL, NULL, r) FROM twin, LATERAL (SELECT a, b) r));
-- Uninformative attributes have no effect; kinds and ignored columns as in profiles; missing values count as the mean
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) = clv_fit(h, '2021-08-23', 'mbg/nbd') AS plain FROM few, LATERAL (SELECT seven) r;
SELECT effects(clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, '{"ignore": ["age"], "kinds": {"member": "nominal"}}')) FROM few, LATERAL (SELECT member, age) r;
SELECT effects(m), round((m::text::jsonb -> 'means' ->> 0)::numeric, 3) = (SELECT round(avg((town = 'Ulm')::int), 3) FROM few) AS mean
FROM (SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) AS m FROM few, LATERAL (SELECT town) r) q;
-- Season, left edge, unit and profit are those of the fit without attributes
SELECT (c.model, c.unit, c.value, c.season, c.observed_from, c.customers, c.spend_status) IS NOT DISTINCT FROM (p.model, p.unit, p.value, p.season, p.observed_from, p.customers, p.spend_status) AS same
FROM (SELECT clv_fit(h, '2021-08-23', 'bg/cnbd-k, season, from 2020-01-10', '1 day', 'profit', r) AS m, clv_fit(h, '2021-08-23', 'bg/cnbd-k, season, from 2020-01-10', '1 day', 'profit') AS plain FROM few, LATERAL (SELECT member) r) q,
	clv_model_card(m) c, clv_model_card(plain) p;
-- Order of rows and processes; rows without history, day or attributes
CREATE TABLE once AS SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) AS m FROM few, LATERAL (SELECT member, city, age) r;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r ORDER BY id DESC) = (SELECT m FROM once) AS reversed FROM few, LATERAL (SELECT member, city, age) r;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) = (SELECT m FROM once) AS skipped FROM few, generate_series(1, 2) n, LATERAL (SELECT member, city, age) r2, LATERAL (SELECT CASE WHEN n = 1 THEN r2 END) c (r);
SET parallel_setup_cost TO 0;
SET parallel_tuple_cost TO 0;
SET min_parallel_table_scan_size TO 0;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) = (SELECT m FROM once) AS parallel FROM few, LATERAL (SELECT member, city, age) r;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, NULL::record) IS NULL AS nobody FROM few;
-- Fewer than ten repeaters: no effects
SELECT status, count(p) FILTER (WHERE p.part LIKE 'effect%') AS effects FROM (SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) AS m FROM few, LATERAL (SELECT member) r WHERE id <= 8) q, clv_model_card(m), LATERAL (SELECT p.part FROM clv_parameters(m) p) p GROUP BY status;
-- Text and back
SELECT bool_and(m::text::clv_model = m) AS same FROM fitted;

\set SHOW_CONTEXT never
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, '{"ridge": -1}') FROM few, LATERAL (SELECT member) r;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, '{"rigde": 1}') FROM few, LATERAL (SELECT member) r;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r, '[1]') FROM few, LATERAL (SELECT member) r;
SELECT clv_fit(h, '2021-08-23', 'mbg/nbd', NULL, NULL, r) FROM few, LATERAL (SELECT 'v' || id % 40 AS v) r;
SELECT p_alive(h, m, '2021-08-23', r) FROM few, once, LATERAL (SELECT member) r LIMIT 1;
SELECT with_attributes(m, r) FROM once, LATERAL (SELECT true AS member, 'Ulm' AS city, 40 AS age, 1 AS more) r;
SELECT jsonb_set(m::text::jsonb, '{means}', '[1]')::text::clv_model FROM once;
SELECT (m::text::jsonb - 'attributes')::text::clv_model FROM once;
DROP SCHEMA test_covariates CASCADE;
