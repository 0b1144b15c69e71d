-- Windows: forecast at fit_until of the purchase days up to until, by the automatic choice and by plain mbg/nbd
CREATE TABLE windows (shop text, fit_until date, until date);
INSERT INTO windows VALUES ('grocer', '2006-12-31', '2007-12-30'), ('cdnow', '1997-09-30', '1998-06-30'), ('cdnow sample', '1997-09-30', '1998-06-30'),
	('online retail ii', '2010-12-09', '2011-06-09'), ('online retail ii', '2010-12-09', '2011-12-09'), ('online retail ii', '2011-06-09', '2011-12-09'), ('online retail ii', '2011-09-09', '2011-12-09'),
	('apparel 600', '2006-12-31', '2007-12-31'), ('apparel 600', '2007-12-31', '2008-12-31'), ('apparel 600', '2008-06-30', '2008-12-31'), ('apparel 600', '2008-12-31', '2009-12-31'), ('apparel 600', '2009-06-30', '2010-06-30');
DELETE FROM windows WHERE shop NOT IN (SELECT shop FROM history);
CREATE TABLE choice AS SELECT w.shop, w.fit_until, c.model, coalesce(c.pace, 1) AS pace
	FROM (SELECT DISTINCT shop, fit_until FROM windows) w, LATERAL (SELECT (clv_choice(clv_record(history, w.fit_until, 90))).* FROM history h WHERE h.shop = w.shop) c;
CREATE FUNCTION outcome(of_shop text, fit_until date, until date, model clv_model, OUT ratio numeric, OUT error numeric) LANGUAGE sql AS $$
	SELECT round((sum(actual) / sum(forecast))::numeric, 2), round((sum(abs(actual - forecast)) / sum(actual))::numeric, 3)
	FROM (SELECT expected_purchases(history, model, fit_until, make_interval(days => until - fit_until)) AS forecast, purchase_days(history, until) - purchase_days(history, fit_until) AS actual
		FROM history WHERE shop = of_shop AND first_purchase(history) <= fit_until) c $$;
\echo 'Actual over forecast purchase days, and the sum of the absolute errors of customers over the actual total'
SELECT w.shop, w.fit_until, w.until, c.model AS chosen, round(c.pace::numeric, 3) AS pace, a.ratio AS auto, p.ratio AS plain, a.error AS auto_error, p.error AS plain_error
FROM windows w JOIN choice c USING (shop, fit_until),
	LATERAL (SELECT with_pace(clv_fit(history, w.fit_until, c.model), c.pace) AS auto, clv_fit(history, w.fit_until, 'mbg/nbd') AS plain FROM history h WHERE h.shop = w.shop) m,
	LATERAL outcome(w.shop, w.fit_until, w.until, m.auto) a, LATERAL outcome(w.shop, w.fit_until, w.until, m.plain) p ORDER BY w.shop, w.fit_until, w.until;
\echo 'The apparel shop with its high season as day_weights: the weight is the ratio of repeat purchases per day up to the cut-off'
CREATE TABLE season_purchase AS SELECT s.day, s.high, count(o.day) AS n FROM season_day s LEFT JOIN (SELECT day, min(day) OVER (PARTITION BY customer) AS first FROM orders WHERE shop = 'apparel 600') o ON o.day = s.day AND o.day > o.first GROUP BY s.day, s.high;
SELECT w.fit_until, w.until, round(d.weight, 2) AS weight, o.ratio, o.error, round((o.ratio - 1) * sqrt(x.forecast), 1) AS standard_deviations_of_chance
FROM windows w, LATERAL (SELECT avg(n) FILTER (WHERE high) / avg(n) FILTER (WHERE NOT high) AS weight FROM season_purchase WHERE day <= w.fit_until) d,
	LATERAL (SELECT clv_fit(history, w.fit_until, 'mbg/cnbd-k, season, months, inflow', NULL, NULL, (SELECT jsonb_object_agg(day, d.weight) FROM season_day WHERE high)) AS m FROM history h WHERE h.shop = w.shop) f,
	LATERAL outcome(w.shop, w.fit_until, w.until, f.m) o, LATERAL (SELECT sum(expected_purchases(history, f.m, w.fit_until, make_interval(days => w.until - w.fit_until)))::numeric AS forecast FROM history h WHERE h.shop = w.shop) x
WHERE w.shop = 'apparel 600' AND d.weight IS NOT NULL ORDER BY 1, 2;
\echo 'The same of customers split by regularity'
SELECT w.shop, w.fit_until, w.until, (clv_model_card(f.m)).model, o.ratio, o.error
FROM windows w, LATERAL (SELECT clv_fit(history, w.fit_until, CASE w.shop WHEN 'grocer' THEN 'mbg/cnbd-k, mixed' ELSE 'mbg/cnbd-k, mixed, season, months, inflow' END) AS m FROM history h WHERE h.shop = w.shop) f, LATERAL outcome(w.shop, w.fit_until, w.until, f.m) o
WHERE w.shop IN ('grocer', 'online retail ii') ORDER BY w.shop, w.fit_until, w.until;
\echo 'The grocer by BTYDplus: its MBG/CNBD-k forecasts 3 970 purchases of 2007, what is expected of the cohort in its second year; here that is'
WITH f AS (SELECT clv_fit(history, '2006-12-31', 'mbg/cnbd-k') AS m FROM history WHERE shop = 'grocer')
SELECT (clv_model_card(m)).model, round(sum(expected_purchases(m, '2006-12-31', make_interval(days => tenure(history, '2006-12-31') + 364)) - expected_purchases(m, '2006-12-31', make_interval(days => tenure(history, '2006-12-31'))))::numeric) AS expected
FROM f, history WHERE shop = 'grocer' AND first_purchase(history) <= '2006-12-31' GROUP BY m;
