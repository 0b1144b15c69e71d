-- Who buys within 90 days: area under the ROC curve of the columns of views, mean over the dates of a shop; ties count half
CREATE TABLE dates (shop text, day date);
INSERT INTO dates VALUES ('grocer', '2006-06-30'), ('grocer', '2006-09-30'), ('grocer', '2006-12-31'), ('grocer', '2007-03-31'), ('grocer', '2007-06-30'), ('grocer', '2007-09-30'),
	('cdnow sample', '1997-06-30'), ('cdnow sample', '1997-09-30'), ('cdnow sample', '1997-12-31'), ('cdnow sample', '1998-03-31'),
	('online retail ii', '2010-06-09'), ('online retail ii', '2010-09-09'), ('online retail ii', '2010-12-09'), ('online retail ii', '2011-03-09'), ('online retail ii', '2011-06-09'), ('online retail ii', '2011-09-09'),
	('apparel 600', '2006-06-30'), ('apparel 600', '2007-06-30'), ('apparel 600', '2008-06-30'), ('apparel 600', '2009-06-30');
DELETE FROM dates WHERE shop NOT IN (SELECT shop FROM history);
CREATE FUNCTION auc(came boolean[], number float8[]) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(((sum(place) FILTER (WHERE c) - yes * (yes + 1) / 2) / (yes * no))::numeric, 3)
	FROM (SELECT c, rank() OVER (ORDER BY n) + (count(*) OVER (PARTITION BY n) - 1) / 2.0 AS place, count(*) FILTER (WHERE c) OVER () AS yes, count(*) FILTER (WHERE NOT c) OVER () AS no
		FROM unnest(came, number) u (c, n)) r GROUP BY yes, no $$;
CREATE TABLE dated AS SELECT d.shop, d.day, b.active_days, f.m
FROM dates d, LATERAL (SELECT (customer_base_fit(history, d.day, NULL, false)).active_days, clv_record(history, d.day, 90) AS record FROM history h WHERE h.shop = d.shop) b,
	LATERAL (SELECT clv_fit(history, d.day, (clv_choice(b.record)).model) AS m FROM history h WHERE h.shop = d.shop) f;
CREATE TABLE shown AS
SELECT d.shop, d.day, h.customer, purchase_days(history, d.day + 90) > purchase_days(history, d.day) AS came, recency(history, d.day) AS recency, purchase_days(history, d.day) AS purchases,
	probability_of_purchase(history, m, d.day, '90 days') AS p_purchase_90d, p_alive(history, m, d.day) AS p_alive, expected_purchases(history, m, d.day, '90 days') AS expected_purchases_90d,
	clv(history, m, d.day, '365 days', 0.01) AS clv_365d, purchase_outlook(history, m, d.day, '90 days') AS outlook, lapse_probability(history, m, d.day) AS lapse, next_purchase(history, m, d.day) AS next_purchase,
	lifecycle(history, d.day, active_days, m) AS lifecycle, (SELECT min(p.day) FROM purchases(history) p WHERE p.day > d.day AND p.orders > 0) AS next_day
FROM dated d JOIN history h USING (shop) WHERE first_purchase(history) <= d.day;
-- a label cannot order those who share it: beside it, recency cut into classes of the same sizes
CREATE FUNCTION ranked(least_purchases int) RETURNS TABLE (shop text, day date, came boolean, recency int, p_purchase_90d float8, expected_purchases_90d float8, clv_365d float8, next_purchase date, p_alive float8, outlook float8,
	lapse float8, label int, recency_label int) LANGUAGE sql AS $$
	SELECT shop, day, came, recency, p_purchase_90d, expected_purchases_90d, clv_365d, next_purchase, p_alive, outlook, lapse, CASE lifecycle WHEN 'inactive' THEN 0 WHEN 'lapsing' THEN 1 ELSE 2 END,
		CASE WHEN place <= inactive THEN 0 WHEN place <= inactive + lapsing THEN 1 ELSE 2 END
	FROM (SELECT *, row_number() OVER (w ORDER BY recency DESC, customer) AS place, count(*) FILTER (WHERE lifecycle = 'inactive') OVER w AS inactive, count(*) FILTER (WHERE lifecycle = 'lapsing') OVER w AS lapsing
		FROM shown WHERE purchases >= least_purchases WINDOW w AS (PARTITION BY shop, day)) s $$;
CREATE FUNCTION ranking(least_purchases int) RETURNS TABLE (shop text, recency numeric, p_purchase_90d numeric, expected_purchases_90d numeric, clv_365d numeric, next_purchase numeric, p_alive numeric, outlook numeric, lapse numeric,
	lifecycle numeric, recency_so_cut numeric) LANGUAGE sql AS $$
	SELECT coalesce(r.shop, 'mean'), round(avg(recency), 3), round(avg(p), 3), round(avg(e), 3), round(avg(v), 3), round(avg(n), 3), round(avg(a), 3), round(avg(o), 3), round(avg(l), 3), round(avg(w), 3), round(avg(c), 3)
	FROM (SELECT r.shop, day, auc(array_agg(came), array_agg(-recency)) AS recency, auc(array_agg(came), array_agg(p_purchase_90d)) AS p, auc(array_agg(came), array_agg(expected_purchases_90d)) AS e,
			auc(array_agg(came), array_agg(clv_365d)) AS v, auc(array_agg(came), array_agg(-coalesce(next_purchase - day, 36525)::float8)) AS n, auc(array_agg(came), array_agg(p_alive)) AS a,
			auc(array_agg(came), array_agg(outlook)) AS o, auc(array_agg(came), array_agg(-lapse)) AS l, auc(array_agg(came), array_agg(label::float8)) AS w, auc(array_agg(came), array_agg(recency_label::float8)) AS c
		FROM ranked(least_purchases) r GROUP BY r.shop, day) r GROUP BY ROLLUP (r.shop) ORDER BY r.shop NULLS LAST $$;
\echo 'All customers'
SELECT * FROM ranking(1);
\echo 'Those with a repeat purchase'
SELECT * FROM ranking(2);
\echo 'Repeaters called lapsing against others of the same shop, date, frequency and recency: difference of the shares that came back, and how many pairs it rests on'
SELECT coalesce(shop, 'all') AS shop, round(sum(pairs * (a - b)) / sum(pairs), 3) AS difference, round(sum(pairs)) AS pairs, round(1 / sqrt(sum(pairs)) / 2, 3) AS standard_error_at_most
FROM (SELECT shop, n * m / (n + m)::numeric AS pairs, a, b FROM (SELECT shop, count(*) FILTER (WHERE lifecycle = 'lapsing') AS n, count(*) FILTER (WHERE lifecycle <> 'lapsing') AS m,
		avg(came::int) FILTER (WHERE lifecycle = 'lapsing') AS a, avg(came::int) FILTER (WHERE lifecycle <> 'lapsing') AS b
	FROM shown WHERE purchases > 1 AND lifecycle <> 'inactive' GROUP BY shop, day, least(purchases, 8), width_bucket(recency, '{15,30,45,60,90,120,150,180,240,300,365,500,730}'::int[])) g WHERE n > 0 AND m > 0) p GROUP BY ROLLUP (shop) ORDER BY p.shop NULLS LAST;
\echo 'next_purchase: share of those so labelled who have bought by then, where the data go on so long'
SELECT coalesce(s.shop, 'all') AS shop, count(*) AS labelled, round(avg((next_day <= next_purchase AND next_day IS NOT NULL)::int), 3) AS bought
FROM shown s JOIN (SELECT shop, max(last_purchase(history)) AS last FROM history GROUP BY shop) l USING (shop) WHERE next_purchase <= l.last GROUP BY ROLLUP (s.shop) ORDER BY s.shop NULLS LAST;
\echo 'lapse_probability: of the gaps that begin at the first purchase within 90 days of those dates and end, the shares that are over when it says 1/4, 1/2 and 3/4'
SELECT coalesce(shop, 'all') AS shop, count(over) AS gaps, round(avg((over <= .25)::int), 3) AS quarter, round(avg((over <= .5)::int), 3) AS half, round(avg((over <= .75)::int), 3) AS three_quarters
FROM dated d JOIN history h USING (shop) JOIN (SELECT shop, max(last_purchase(history)) AS until FROM history GROUP BY shop) l USING (shop),
	LATERAL (SELECT min(p.day) AS begins FROM purchases(h.history) p WHERE p.day > d.day AND p.day <= d.day + 90 AND p.orders > 0) b, LATERAL (SELECT gaps_over(h.history, d.m, begins, until) AS over) o
WHERE over IS NOT NULL GROUP BY ROLLUP (shop) ORDER BY d.shop NULLS LAST;
