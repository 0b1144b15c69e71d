-- Customers of known parameters: estimates, in brackets the error in standard errors; then forecast and actual purchase days of half a year by repeat purchases
CREATE TABLE simulated_fit AS SELECT c.shop, clv_fit(history, '2023-06-30', c.model) AS m
	FROM simulated h JOIN (SELECT DISTINCT shop, CASE shop WHEN 'season' THEN 'mbg/cnbd-k, season' WHEN 'truncated' THEN 'mbg/cnbd-k, inflow' ELSE 'mbg/cnbd-k' END AS model FROM simulated) c USING (shop) GROUP BY c.shop, c.model;
SELECT shop, (clv_model_card(m)).model, (clv_model_card(m)).observed_from, string_agg(format('%s %s (%s)', parameter, round(estimate::numeric, 3), round(((estimate - truth) / standard_error)::numeric, 1)), ', ' ORDER BY o) AS estimates
FROM simulated_fit, clv_parameters(m) WITH ORDINALITY p (part, parameter, estimate, standard_error, status, o), LATERAL (SELECT ('{0.8,9,0.7,3}'::float8[])[o::int] AS truth) t WHERE part = 'purchases' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT shop, least(purchase_days(history, '2023-06-30') - 1, 3) AS repeat_purchases, round(sum(expected_purchases(history, m, '2023-06-30', '184 days'))) AS forecast,
	sum(purchase_days(history, '2023-12-31') - purchase_days(history, '2023-06-30')) AS actual
FROM simulated_fit JOIN simulated USING (shop) WHERE first_purchase(history) <= '2023-06-30' GROUP BY 1, 2 ORDER BY 1, 2;
