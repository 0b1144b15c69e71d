-- The value of purchases, and the outcome of forecasts: values of either sign, holdout tests of value, bounds of totals, months
CREATE SCHEMA test_spend;
SET search_path TO test_spend, crm_profile;
SET extra_float_digits TO 1;
SET jit TO off;
SET datestyle TO iso;
SET client_min_messages TO warning;

-- ---------------------------------------------------------------- customers who lose money

-- 50 lose 10 an order and 150 earn 40, the same every time: everybody is worth what they were worth before
CREATE TABLE trade AS
SELECT i AS customer, purchase_history_agg(date '2024-01-01' + i * 7 % 60 + j * (30 + i % 25), 100, CASE WHEN i <= 50 THEN 110 ELSE 60 END) AS history
FROM generate_series(1, 200) i, LATERAL generate_series(0, i % 5 + i % 3) j GROUP BY i;
SET client_min_messages TO error;
CREATE TABLE fit AS SELECT clv_fit(history, '2024-12-31', 'mbg/nbd', NULL, 'profit') AS m FROM trade;
SELECT spend_model, spend_status, spend_customers, spend_excluded FROM fit, clv_model_card(m);
SELECT customer <= 50 AS loses, count(*), round(min(expected_value(history, m, '2024-12-31', true))::numeric, 6) AS min, round(max(expected_value(history, m, '2024-12-31', true))::numeric, 6) AS max,
	bool_and(sign(clv(history, m, '2024-12-31', '1 year', 0.01)) = CASE WHEN customer <= 50 THEN -1 ELSE 1 END) AS clv
FROM trade, fit GROUP BY 1 ORDER BY 1;
-- The same in a source: everybody who loses money is in predicted tier C
CREATE TABLE client AS SELECT DISTINCT i AS id FROM generate_series(1, 200) i;
CREATE TABLE sale AS SELECT customer AS client, p.day AS ordered_on, p.amount, p.cost FROM trade, purchases(history) p;
SELECT create_source('spend_shop', customers => 'test_spend.client', customer_key => 'id', orders => 'test_spend.sale', order_customer => 'client', ordered_at => 'ordered_on', amount => 'amount', cost => 'cost', tier_by => 'profit', as_of => '2024-12-31') IS NOT NULL AS created LIMIT 1;
SELECT customers FROM refresh('spend_shop');
SELECT customer <= 50 AS loses, count(*), bool_and(clv_365d < 0) AS below_nothing, bool_and(clv_365d > 0) AS above, string_agg(DISTINCT predicted_tier, ' ') = 'C' AS only_c FROM spend_shop.customer_profile GROUP BY 1 ORDER BY 1;

-- Values that vary: means N(20, 30^2), values around them with sigma 25; the estimates come back, and the value of each is the mean of all and
-- their own, weighted by what is known of either, by hand
CREATE FUNCTION noise(i int, j int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT sqrt(-2 * ln((abs(hashint8(i * 1000 + j)::bigint) + 1) / 2147483650.0)) * cos(2 * pi() * abs(hashint8(j * 100000 + i + 77777777)::bigint) / 2147483648.0) $$;
CREATE TABLE varied AS
SELECT i AS customer, purchase_history_agg(date '2024-01-01' + i * 7 % 60 + j * 14, 1000, round((1000 - 20 - 30 * noise(i, 0) - 25 * noise(i, j + 1))::numeric, 2)) AS history
FROM generate_series(1, 2000) i, LATERAL generate_series(0, i % 9) j GROUP BY i;
CREATE TABLE varied_fit AS SELECT clv_fit(history, '2024-12-31', 'mbg/nbd', NULL, 'profit') AS m FROM varied;
SELECT parameter, abs(estimate - truth) < 2.5 * standard_error AS back, standard_error < 1.5 AS known
FROM varied_fit, clv_parameters(m) JOIN (VALUES ('tau', 30), ('sigma', 25), ('mu', 20)) t(parameter, truth) USING (parameter) ORDER BY parameter;
WITH p AS (SELECT max(estimate) FILTER (WHERE parameter = 'tau') ^ 2 AS b, max(estimate) FILTER (WHERE parameter = 'sigma') ^ 2 AS w, max(estimate) FILTER (WHERE parameter = 'mu') AS mu FROM varied_fit, clv_parameters(m)),
	f AS (SELECT customer, history, purchase_days(history) - 1 AS x, coalesce((SELECT sum(d.amount - d.cost) FROM purchases(history) d WHERE d.day > first_purchase(history)), 0)::float8 AS s FROM varied)
SELECT max(abs(expected_value(history, m, '2024-12-31') - (w * mu + b * s) / (w + x * b))) < 1e-6 AS by_hand FROM f, p, varied_fit;
-- Unbiased: the mean squares of an analysis of variance in SQL
WITH d AS (SELECT customer, count(*) AS n, avg(v) AS mean, sum(v) AS s, sum(v * v) AS q FROM (SELECT customer, (d.amount - d.cost)::float8 AS v FROM varied, purchases(history) d WHERE d.day > first_purchase(history)) x GROUP BY customer)
SELECT abs(estimate - sqrt((SELECT sum(q - n * mean * mean) / sum(n - 1) FROM d))) < 1e-4 AS sigma FROM varied_fit, clv_parameters(m) WHERE parameter = 'sigma';
SELECT lower < value AND value < upper AS inside, upper - lower < 100 AS finite FROM (SELECT (expected_value_interval(history, m, '2024-12-31')).*, expected_value(history, m, '2024-12-31') AS value FROM varied, varied_fit WHERE customer = 3) q;
-- Nobody has two repeat purchases: half of the variance each; everybody alike
SELECT round(max(estimate) FILTER (WHERE parameter = 'tau')::numeric, 6) = round(max(estimate) FILTER (WHERE parameter = 'sigma')::numeric, 6) AS halves
FROM (SELECT clv_fit(h, '2024-12-31', 'mbg/nbd', NULL, 'profit') AS m FROM (SELECT purchase_history_agg(date '2024-03-01' + j * 30, 10, 10 + i % 7 - 3) AS h FROM generate_series(1, 60) i, generate_series(0, 1) j GROUP BY i) h) q, clv_parameters(m);
SELECT round(estimate::numeric, 6) AS estimate, standard_error, parameter FROM (SELECT clv_fit(h, '2024-12-31', 'mbg/nbd', NULL, 'profit') AS m FROM (SELECT purchase_history_agg(date '2024-03-01' + j * 30, 10, 12) AS h FROM generate_series(1, 60) i, generate_series(0, 2) j GROUP BY i) h) q, clv_parameters(m)
WHERE part = 'spend' ORDER BY parameter;
-- Round trips, and what is rejected
SELECT m::text::clv_model = m AS back FROM varied_fit;
SELECT '{"model": "bg/nbd", "parameters": [1, 2, 3, 4], "spend_status": "converged", "spend_model": "normal-normal", "spend_parameters": [-1, 2, 3]}'::clv_model;
SELECT expected_value('{2024-01-01: 5}', '{"model": "bg/nbd", "parameters": [1, 2, 3, 4], "spend_status": "converged", "spend_model": "normal-normal", "spend_parameters": [1, 2, -3]}', '2024-02-01');
-- Gamma-Gamma where hardly anybody's value is negative: a customer whose purchases were all refunded is worth less than any other, and than the mean
CREATE TABLE refunded AS
SELECT i AS customer, purchase_history_agg(date '2024-01-01' + i % 50 + j * 20, CASE WHEN i = 7 AND j = 4 THEN -500 ELSE 10 + (i * 7 + j * 3) % 40 END) AS history
FROM generate_series(1, 200) i, LATERAL generate_series(0, 4) j GROUP BY i;
SELECT spend_model, spend_excluded, rank = 1 AS least, value < mean_value AS below_mean
FROM (SELECT customer, clv_model_card(m) AS c, expected_value(history, m, '2024-12-31') AS value, rank() OVER (ORDER BY expected_value(history, m, '2024-12-31')) FROM refunded, (SELECT clv_fit(history, '2024-12-31') AS m FROM refunded) f) q,
	LATERAL (SELECT (c).spend_model, (c).spend_excluded, (c).mean_value) x WHERE customer = 7;

-- ---------------------------------------------------------------- the first purchase

-- In a model made by hand it counts like the others; in a fit it is multiplied by the mean of customers' means over that of their first purchases
SELECT round((b / a)::numeric, 3) AS ratio, round(((15 + 1000) / (15 + 1.0)), 3) AS "(v + 1000) / (v + 1)"
FROM (SELECT clv('{2024-05-01: 1}', m, '2024-12-31', '1 year', 0.01) AS a, clv('{2024-05-01: 1000}', m, '2024-12-31', '1 year', 0.01) AS b FROM clv_model('mbg/nbd', '{.5, 6, .9, 1.6}', '{6, 4, 15}') m) q;
CREATE TABLE uneven AS -- frequent buyers spend ten times as much, and none of their first purchases differ
SELECT i AS customer, purchase_history_agg(date '2023-01-01' + i % 90 + j * 10, CASE WHEN i <= 20 THEN 100 ELSE 10 END + (i * 3 + j) % 5 - 2) AS history
FROM generate_series(1, 200) i, LATERAL generate_series(0, CASE WHEN i <= 20 THEN 40 ELSE 2 END) j GROUP BY i;
SELECT abs((m::text::jsonb ->> 'first_ratio')::float8 - r) < 1e-9 AS own_ratio, round(r::numeric, 2) AS ratio, round((mean_value / first)::numeric, 1) AS by_purchase
FROM (SELECT clv_fit(history, '2024-12-31') AS m FROM uneven) f, clv_model_card(m), (SELECT avg(later) / avg(first) AS r, avg(first) AS first FROM (SELECT (monetary(history) - f)::float8 / (purchase_days(history) - 1) AS later, f::float8 AS first
	FROM uneven, LATERAL (SELECT monetary(history, first_purchase(history)) AS f) x) y) z;

-- ---------------------------------------------------------------- holdout tests of value

CREATE TABLE purchase (customer int, day date, amount numeric);
\getenv abs_srcdir PG_ABS_SRCDIR
\set cmd '\\copy purchase from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:cmd
CREATE TABLE cdnow AS SELECT customer, purchase_history_agg(day, amount) AS history FROM purchase GROUP BY customer;
CREATE TABLE test AS SELECT l.* FROM unnest((SELECT clv_holdout(history, '1997-09-30', '1998-06-30') FROM cdnow)) WITH ORDINALITY l;
CREATE TABLE outcome AS SELECT customer, p, p * expected_value(history, m, '1997-09-30', true) AS v, purchase_days(history) - purchase_days(history, '1997-09-30') AS a, monetary(history) - monetary(history, '1997-09-30') AS w
FROM (SELECT clv_fit(history, '1997-09-30') AS m FROM cdnow) f, cdnow, LATERAL (SELECT expected_purchases(history, m, '1997-09-30', '273 days') AS p) x;
-- In plain SQL
SELECT abs(t.predicted_value - s.v) < 1e-4 AS predicted, abs(t.actual_value - s.w) < 1e-4 AS actual, abs(t.value_calibration - s.w / s.v) < 1e-9 AS calibration, abs(t.value_mean_absolute_error - s.e) < 1e-9 AS error,
	abs(t.value_correlation - s.c) < 1e-9 AS correlation FROM test t, (SELECT sum(v) AS v, sum(w)::float8 AS w, avg(abs(v - w)) AS e, corr(v, w) AS c FROM outcome) s WHERE part = 'total';
WITH n AS (SELECT ntile, sum(v) AS v, sum(w)::float8 AS w FROM (SELECT *, ntile(10) OVER (ORDER BY v) FROM outcome) q GROUP BY ntile)
SELECT max(abs(t.predicted_value / n.v - 1)) < 0.02 AS deciles, abs(avg(e.value_decile_error) - sum(abs(n.v - n.w)) / sum(n.w)) < 0.02 AS decile_error FROM test t JOIN n ON t.class = n.ntile::text, (SELECT value_decile_error FROM test WHERE part = 'total') e WHERE part = 'value decile';
-- Gini: twice the covariance of value and rank, equal forecasts at their mean rank
WITH r AS (SELECT w::float8 AS w, a, rank() OVER (ORDER BY v) + (count(*) OVER (PARTITION BY v) - 1) / 2.0 AS by_v, rank() OVER (ORDER BY p) + (count(*) OVER (PARTITION BY p) - 1) / 2.0 AS by_p,
	row_number() OVER (ORDER BY w) AS by_w, row_number() OVER (ORDER BY a) AS by_a FROM outcome)
SELECT abs(value_gini - covar_pop(w, by_v) / covar_pop(w, by_w)) < 1e-3 AS value_gini, abs(gini - covar_pop(a, by_p) / covar_pop(a, by_a)) < 1e-3 AS gini FROM test, r WHERE part = 'total' GROUP BY value_gini, gini;
SELECT round(gini::numeric, 3) AS gini, round(decile_error::numeric, 3) AS decile_error, round(value_gini::numeric, 3) AS value_gini, round(value_decile_error::numeric, 3) AS value_decile_error,
	actual BETWEEN lower AND upper AS within, actual_value BETWEEN value_lower AND value_upper AS value_within FROM test WHERE part = 'total';
-- The bounds: as if four forecasts had been off by three tenths, plus the errors of the earlier ones, beyond chance
SELECT n, ln(upper / predicted) BETWEEN reach AND 1.2 * reach AS purchases, abs(upper * lower / predicted ^ 2 - 1) < 1e-9 AS as_a_ratio
FROM test t, LATERAL (SELECT count(*) AS n, (ARRAY[2.776, 2.571])[count(*) + 1] * sqrt((4 * 0.3 ^ 2 + coalesce(sum(greatest(0, ln(actual / predicted) ^ 2 - 2 / predicted)), 0)) / (4 + count(*))) AS reach FROM test WHERE part = 'earlier total') e WHERE part = 'total';
-- Months: they add up to the totals, and what is expected of those who first bought when they did is close to what came
SELECT part, min(class), max(class), abs(sum(t.predicted) - max(p)) < 1e-6 AS predicted, abs(sum(t.predicted_value) - max(v)) < 1e-4 AS value, sum(t.actual) = max(a) AS actual, abs(sum(t.actual_value) - max(w)) < 1e-4 AS actual_value
FROM test t, (SELECT sum(p) AS p, sum(v) AS v, sum(a) AS a, sum(w)::float8 AS w FROM outcome) s WHERE part = 'forecast month' GROUP BY part;
SELECT sum(actual) = (SELECT sum(purchase_days(history, '1997-09-30') - 1) FROM cdnow) AS actual, abs(sum(predicted) / (SELECT sum(expected_purchases(m, first_purchase(history), (date '1997-09-30' - first_purchase(history)) * interval '1 day')) FROM cdnow, (SELECT clv_fit(history, '1997-09-30') AS m FROM cdnow) f) - 1) < 1e-4 AS predicted,
	round((sum(actual) / sum(predicted))::numeric, 2) AS fits FROM test WHERE part = 'fitted month';
-- Rows in any order, in parts; a forecast that is the same for everybody ranks nobody
CREATE AGGREGATE holdout_state(h purchase_history, fit_until date, as_of date) (SFUNC = crm_profile_internal.clv_holdout_transfn, STYPE = bytea);
CREATE AGGREGATE merged_holdout(bytea) (SFUNC = crm_profile_internal.clv_record_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.clv_holdout_finalfn);
SELECT clv_holdout(history, '1997-09-30', '1998-06-30' ORDER BY history::text) = clv_holdout(history, '1997-09-30', '1998-06-30' ORDER BY customer DESC) AS any_order,
	(SELECT merged_holdout(s) FROM (SELECT holdout_state(history, '1997-09-30', '1998-06-30') AS s FROM cdnow GROUP BY customer % 7) q) = clv_holdout(history, '1997-09-30', '1998-06-30') AS in_parts FROM cdnow;
SELECT correlation, value_correlation, gini FROM unnest((SELECT clv_holdout(CASE WHEN i % 2 = 0 THEN '{2024-01-01: 10}'::purchase_history ELSE '{2024-01-01: 10, 2024-08-01: 20}' END, '2024-06-30', '2024-12-31') FROM generate_series(1, 100) i)) WHERE part = 'total';
-- Of profit
SELECT abs(actual_value - (SELECT sum(profit(history) - profit(history, '2024-06-30')) FROM varied)::float8) < 1e-4 AS profit FROM unnest((SELECT clv_holdout(history, '2024-06-30', '2024-12-31', NULL, NULL, 'profit') FROM varied)) WHERE part = 'total';

-- ---------------------------------------------------------------- the view

SELECT count(*) FILTER (WHERE forecast) AS forecast, count(*) FILTER (WHERE NOT forecast) > 5 AS fitted, sum(expected_value) FILTER (WHERE forecast) = (SELECT predicted_value FROM spend_shop.model_holdout WHERE part = 'total') IS NOT NULL AS of_profit
FROM spend_shop.forecast_tracking;
SELECT abs(sum(t.expected_purchase_days) - max(h.predicted)) < 1e-9 AS expected, sum(t.actual_value) = max(h.actual_value) AS actual FROM spend_shop.forecast_tracking t, spend_shop.model_holdout h WHERE forecast AND part = 'total';
SELECT drop_source('spend_shop');
DROP SCHEMA test_spend CASCADE;
