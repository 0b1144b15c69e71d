-- Settings of the choice by shop: mean of |ln(actual/forecast)| at the end of every month, 90 and 180 days ahead. A setting is taken for a shop where it is
-- the best on all others (leave one shop out). It takes some minutes.
CREATE TABLE trial AS SELECT s.shop, f::date AS day, u AS days FROM (VALUES ('grocer', date '2006-07-01', date '2007-07-01'), ('cdnow sample', '1997-08-31', '1998-03-31'), ('online retail ii', '2010-09-09', '2011-10-09'),
	('apparel 600', '2006-06-30', '2010-06-30'), ('apparel 250', '2005-12-31', '2006-04-15')) s (shop, a, b), generate_series(a, b, interval '1 month') f, unnest('{90,180}'::int[]) u;
DELETE FROM trial t USING (SELECT shop, max(last_purchase(history)) AS last FROM history GROUP BY shop) l WHERE l.shop = t.shop AND t.day + t.days > l.last;
DELETE FROM trial WHERE shop NOT IN (SELECT shop FROM history);
CREATE TABLE trial_record AS SELECT t.shop, t.day, (SELECT clv_record(history, t.day, 90) FROM history h WHERE h.shop = t.shop) AS record FROM (SELECT DISTINCT shop, day FROM trial) t;
CREATE TABLE trial_model AS SELECT t.shop, t.day, k.name, with_pace(k.m, coalesce(k.pace, 1)) AS m
FROM trial_record t, LATERAL clv_choice(t.record) c, LATERAL (SELECT clv_fit(history, t.day, 'mbg/nbd') AS plain, clv_fit(history, t.day, 'mbg/cnbd-k, season, inflow') AS season,
		clv_fit(history, t.day, 'mbg/cnbd-k, season, months, inflow') AS months, clv_fit(history, t.day, c.model) AS chosen FROM history h WHERE h.shop = t.shop) f,
	LATERAL (VALUES ('1 mbg/nbd', f.plain, 1::float8), ('2 mbg/cnbd-k, season, inflow', f.season, 1), ('3 mbg/cnbd-k, season, months, inflow', f.months, 1), ('4 chosen', f.chosen, 1), ('5 chosen, with pace', f.chosen, c.pace)) k (name, m, pace);
SELECT t.name, t.shop, round(avg(abs(ln(actual / forecast)))::numeric, 3) AS error
FROM trial_model t JOIN trial d USING (shop, day), LATERAL (SELECT sum(expected_purchases(history, t.m, t.day, make_interval(days => d.days))) AS forecast, sum(purchase_days(history, t.day + d.days) - purchase_days(history, t.day)) AS actual
	FROM history h WHERE h.shop = t.shop AND first_purchase(history) <= t.day) o GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
