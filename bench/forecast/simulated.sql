-- Customers of known parameters: estimates, in brackets the error in standard errors; then forecast and actual purchase days of half a year by repeat purchases
CREATE TABLE simulated_fit AS SELECT c.shop, clv_fit(history, '2023-06-30', c.model) AS m
	FROM simulated h JOIN (SELECT DISTINCT shop, CASE shop WHEN 'season' THEN 'mbg/cnbd-k, season' WHEN 'truncated' THEN 'mbg/cnbd-k, inflow' ELSE 'mbg/cnbd-k' END AS model FROM simulated) c USING (shop) GROUP BY c.shop, c.model;
SELECT shop, (clv_model_card(m)).model, (clv_model_card(m)).observed_from, string_agg(format('%s %s (%s)', parameter, round(estimate::numeric, 3), round(((estimate - truth) / standard_error)::numeric, 1)), ', ' ORDER BY o) AS estimates
FROM simulated_fit, clv_parameters(m) WITH ORDINALITY p (part, parameter, estimate, standard_error, status, o), LATERAL (SELECT ('{0.8,9,0.7,3}'::float8[])[o::int] AS truth) t WHERE part = 'purchases' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT shop, least(purchase_days(history, '2023-06-30') - 1, 3) AS repeat_purchases, round(sum(expected_purchases(history, m, '2023-06-30', '184 days'))) AS forecast,
	sum(purchase_days(history, '2023-12-31') - purchase_days(history, '2023-06-30')) AS actual
FROM simulated_fit JOIN simulated USING (shop) WHERE first_purchase(history) <= '2023-06-30' GROUP BY 1, 2 ORDER BY 1, 2;
-- lapse_probability is a chance given that the customer has not left. Of gaps that the data still see the end of, a share of it over that at the end of the data is over
CREATE FUNCTION gaps_over(history purchase_history, model clv_model, begins date, until date) RETURNS float8 LANGUAGE sql AS $$
	SELECT lapse_probability(as_of(history, begins), model, min(p.day)) / lapse_probability(as_of(history, begins), model, until) FROM purchases(history) p WHERE p.day > begins AND p.day <= until AND p.orders > 0 $$;
\echo 'lapse_probability: of the gaps that begin at the first purchase from 2022 on and end, the shares that are over when it says 1/4, 1/2 and 3/4'
SELECT shop, count(over) AS gaps, round(avg((over <= .25)::int), 3) AS quarter, round(avg((over <= .5)::int), 3) AS half, round(avg((over <= .75)::int), 3) AS three_quarters
FROM simulated JOIN simulated_fit USING (shop), LATERAL (SELECT min(p.day) AS begins FROM purchases(history) p WHERE p.day >= '2022-01-01' AND p.orders > 0) b, LATERAL (SELECT gaps_over(history, m, begins, '2023-12-31') AS over) o
WHERE over IS NOT NULL GROUP BY shop ORDER BY shop;
