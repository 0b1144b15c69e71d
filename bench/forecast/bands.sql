-- Bounds of totals: the share of actual totals that lie within, at many past days and horizons, of the model that the record chooses on that day. It takes some minutes.
CREATE TABLE band_day AS SELECT s.shop, f::date AS day FROM (VALUES ('grocer', date '2006-06-30', date '2007-09-30', '1 month'), ('cdnow sample', '1997-06-30', '1998-03-31', '1 month'), ('online retail ii', '2010-06-09', '2011-09-09', '1 month'),
	('apparel 600', '2006-06-30', '2010-06-30', '3 months'), ('apparel 250', '2005-09-30', '2006-04-15', '1 month')) s (shop, a, b, step), generate_series(a, b, step::interval) f WHERE shop IN (SELECT shop FROM history);
CREATE TABLE band AS SELECT d.shop, d.day, u.days, h.line
FROM band_day d JOIN (SELECT shop, max(last_purchase(history)) AS last FROM history GROUP BY shop) l USING (shop), unnest('{90,180,365}'::int[]) u (days),
	LATERAL (SELECT (clv_choice(clv_record(history, d.day, 90))).model FROM history h WHERE h.shop = d.shop) c, LATERAL (SELECT (clv_holdout(history, d.day, d.day + u.days, coalesce(c.model, 'mbg/nbd')))[1] AS line FROM history h WHERE h.shop = d.shop) h
WHERE d.day + u.days <= l.last;
\echo 'Totals within their 95 % bounds: pairs of a day and a horizon, shares of purchase days and of value, and the mean upper bound over the forecast'
SELECT coalesce(shop, 'all') AS shop, count(*) AS pairs, round(avg(((line).actual BETWEEN (line).lower AND (line).upper)::int), 3) AS purchases, round(avg(((line).actual_value BETWEEN (line).value_lower AND (line).value_upper)::int), 3) AS value,
	round(avg((line).upper / (line).predicted)::numeric, 2) AS upper_over_forecast FROM band GROUP BY ROLLUP (shop) ORDER BY band.shop NULLS LAST;
