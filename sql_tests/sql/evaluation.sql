-- Does the segmentation hold? Each function against plain SQL over the same orders
SET search_path = public, crm_profile;
SET datestyle = ISO;
SET jit = off;
SET extra_float_digits = 1;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA test_evaluation;
SET search_path = test_evaluation, crm_profile;

CREATE FUNCTION chance(what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0 $$;
CREATE TABLE customers (id int PRIMARY KEY, city text, age int);
INSERT INTO customers SELECT i, (ARRAY['Ulm', 'Köln', 'Bonn'])[1 + i % 3], 18 + i * 7 % 60 FROM generate_series(1, 700) i;
CREATE TABLE orders (customer_id int, ordered_on date, amount numeric(10,2), cost numeric(10,2));
-- customers 1 to 640 buy at rates of their own until they are lost, 641 to 680 each December; some orders come back, some have no known cost
INSERT INTO orders SELECT c, day, round((20 + 60 * chance(c || ' a ' || n))::numeric, 2), CASE WHEN c % 5 > 0 THEN round((15 + 45 * chance(c || ' c ' || n))::numeric, 2) END
FROM generate_series(1, 640) c, generate_series(0, 30) n, LATERAL (SELECT date '2020-01-10' + floor(900 * chance(c || ' f'))::int + floor(n * (10 + 120 * chance(c || ' g')) + 20 * chance(c || ' d ' || n))::int AS day) d
WHERE n < 1 + 30 * chance(c || ' lost') ^ 2 AND day < '2024-01-01';
INSERT INTO orders SELECT c, make_date(2016 + y, 12, 1 + (c * y) % 28), 30, 20 FROM generate_series(641, 680) c, generate_series(0, 7) y;
INSERT INTO orders SELECT customer_id, ordered_on + 5, -10, NULL FROM orders WHERE customer_id % 11 = 0 AND chance(customer_id || 'r' || ordered_on) < 0.3;
INSERT INTO orders VALUES (9999, '2021-01-01', 50, 10), (690, '2021-05-05', -7, NULL);
SELECT count(*) FROM create_source('shop', 'customers', 'orders', amount => 'amount', cost => 'cost', attributes => '{city,age}', as_of => '2023-06-15');
SELECT count(*) FROM refresh('shop');
-- what plain SQL reads: the orders of known customers up to the day, refunds before the first order left aside where there is none
CREATE VIEW bought AS SELECT o.*, amount >= 0 AS is_order FROM orders o JOIN customers ON id = customer_id WHERE ordered_on <= '2023-06-15';
CREATE VIEW first_day AS SELECT customer_id, min(ordered_on) AS first FROM bought WHERE is_order GROUP BY 1;

-- ---------------------------------------------------------------- cohorts
CREATE VIEW cell AS SELECT date_trunc('month', first)::date AS cohort, ((extract(year FROM m) - extract(year FROM first)) * 12 + extract(month FROM m) - extract(month FROM first))::int AS months,
		count(DISTINCT customer_id) FILTER (WHERE is_order) AS buyers, sum(amount) AS revenue, sum(amount - cost) AS profit
	FROM bought JOIN first_day USING (customer_id), LATERAL (SELECT greatest(ordered_on, first) AS m) g GROUP BY 1, 2;
SELECT count(*) FILTER (WHERE r.months = 0) AS cohorts, count(*) > 300 AS rows, bool_and(r.buyers = coalesce(c.buyers, 0) AND r.customers = z.buyers AND r.retention = r.buyers::float8 / r.customers) AS as_counted,
	bool_and(r.complete = (r.cohort + make_interval(months => r.months + 1) <= '2023-06-16')) AS complete, bool_and(c.cohort IS NOT NULL OR r.buyers = 0) AS dense
FROM shop.cohort_retention r LEFT JOIN cell c USING (cohort, months) JOIN cell z ON z.cohort = r.cohort AND z.months = 0;
SELECT (SELECT count(*) FROM cell) = count(*) AS all_there FROM shop.cohort_retention JOIN cell USING (cohort, months);
SELECT bool_and(v.revenue = coalesce(c.revenue, 0) AND v.profit IS NOT DISTINCT FROM c.profit) AS as_summed, bool_and(revenue_per_customer = round(sum_r / customers, 6) AND profit_per_customer IS NOT DISTINCT FROM round(sum_p / customers, 6)) AS cumulative
FROM (SELECT v.*, sum(revenue) OVER w AS sum_r, sum(profit) OVER w AS sum_p FROM shop.cohort_value v WINDOW w AS (PARTITION BY cohort ORDER BY months)) v LEFT JOIN cell c USING (cohort, months);
SELECT count(*), bool_and(new_customers = coalesce(n, 0) AND returning_customers = coalesce(o, 0) AND new_revenue = coalesce(rn, 0) AND returning_revenue = coalesce(ro, 0)) AS as_counted, bool_and(returning_rate IS NOT DISTINCT FROM o / NULLIF(n + o, 0)::float8) AS rate
FROM shop.new_and_returning LEFT JOIN (SELECT (cohort + make_interval(months => months))::date AS month, coalesce(sum(buyers) FILTER (WHERE months = 0), 0) AS n, coalesce(sum(buyers) FILTER (WHERE months > 0), 0) AS o,
	sum(revenue) FILTER (WHERE months = 0) AS rn, sum(revenue) FILTER (WHERE months > 0) AS ro FROM cell GROUP BY 1) x USING (month);
SELECT r.buyers = b AND r.returning_customers = again AS as_counted, rate = again::float8 / b AS rate FROM returning_customer_rate('shop', '6 months') r,
	(SELECT count(*) AS b, count(*) FILTER (WHERE days > 1) AS again FROM (SELECT count(DISTINCT ordered_on) AS days FROM bought WHERE is_order GROUP BY customer_id HAVING max(ordered_on) > date '2023-06-15' - interval '6 months') x) y;
-- another day, and a day before anything
SELECT count(*), sum(buyers) = (SELECT count(*) FROM (SELECT DISTINCT customer_id, date_trunc('month', ordered_on) FROM bought WHERE is_order AND ordered_on <= '2021-03-03') x) AS purchases FROM cohort_retention('shop', '2021-03-03');
SELECT (SELECT count(*) FROM cohort_retention('shop', '1999-01-01')), (SELECT count(*) FROM cohort_value('shop', '1999-01-01')), (SELECT count(*) FROM new_and_returning('shop', '1999-01-01')), (SELECT count(*) FROM value_concentration('shop', '1999-01-01')),
	(SELECT count(*) FROM seasonal_buyers('shop', '1999-01-01')), (SELECT count(*) FROM costly_customers('shop', 0, '1999-01-01')), (SELECT count(rate) FROM second_purchase('shop', '1999-01-01')), (returning_customer_rate('shop', '1 year', '1999-01-01')).*;

-- the second purchase: Kaplan and Meier's product over all days
CREATE VIEW wait AS SELECT customer_id, coalesce(min(ordered_on) FILTER (WHERE ordered_on > first), '2023-06-15') - min(first) AS days, min(ordered_on) FILTER (WHERE ordered_on > first) IS NOT NULL AS again FROM bought JOIN first_day USING (customer_id) WHERE is_order GROUP BY 1;
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');
CREATE TABLE survival AS SELECT days, product(1 - again / at_risk::float8) OVER (ORDER BY days) AS share
FROM (SELECT days, count(*) FILTER (WHERE again) AS again, sum(count(*)) OVER (ORDER BY days DESC) AS at_risk FROM wait GROUP BY days) d;
SELECT count(*), bool_and(customers = (SELECT count(*) FROM wait) AND bought_again = (SELECT count(*) FROM wait WHERE again AND days <= within_days)) AS counts,
	max(abs(1 - rate - coalesce((SELECT min(share) FROM survival WHERE days <= within_days), 1))) < 1e-12 AS kaplan_meier, bool_and(median_days = (SELECT min(days) FROM survival WHERE share <= 0.5)) AS median FROM shop.second_purchase s;

-- ---------------------------------------------------------------- concentration
CREATE VIEW worth AS SELECT customer_id, sum(amount) AS value, row_number() OVER (ORDER BY sum(amount) DESC) AS rank, count(*) OVER () AS n FROM bought WHERE customer_id IN (SELECT customer_id FROM first_day) GROUP BY 1;
SELECT count(*), sum(customers) = max(n) AS customers, bool_and(v.value = w.value) AS sums, max(abs(share - w.value / total)) < 1e-12 AS shares, max(abs(cumulative_share - so_far / total)) < 1e-12 AS cumulative,
	max(abs(best_20_share - (SELECT sum(value) FROM worth WHERE (rank - 1) * 10 / n < 2) / total)) < 1e-12 AS best_20,
	max(abs(gini - (SELECT sum(abs(greatest(a.value, 0) - greatest(b.value, 0))) / (2 * sum(greatest(a.value, 0)) ) FROM worth a, worth b))) < 1e-12 AS gini
FROM shop.value_concentration v JOIN (SELECT (rank - 1) * 10 / n + 1 AS decile, sum(value) AS value, sum(sum(value)) OVER (ORDER BY (rank - 1) * 10 / n + 1) AS so_far, (SELECT sum(value) FROM worth) AS total, max(n) AS n FROM worth GROUP BY 1) w USING (decile);
SELECT count(*) > 10 AS some, bool_and(contribution < 0 AND contribution = coalesce(profit, revenue) AND revenue = r AND profit IS NOT DISTINCT FROM p) AS as_summed,
	count(*) = (SELECT count(*) FROM (SELECT coalesce(sum(amount - cost), sum(amount)) AS c FROM bought GROUP BY customer_id HAVING bool_or(is_order)) x WHERE c < 0) + (SELECT count(*) FROM shop.customer_profile WHERE monetary < 0 AND frequency = 0) AS with_refunds_alone
FROM shop.costly_customers LEFT JOIN (SELECT customer_id::text AS customer, sum(amount) AS r, sum(amount - cost) AS p FROM bought GROUP BY 1) x USING (customer);
SELECT bool_and(cost_to_serve = 4.5 * orders AND contribution = coalesce(profit, revenue) - cost_to_serve) AS to_serve, count(*) > (SELECT count(*) FROM shop.costly_customers) AS more FROM costly_customers('shop', 4.5);
-- those who buy each December are found, and hardly anybody else
SELECT count(*) FILTER (WHERE customer::int > 640 AND month = 12) AS planted, count(*) FILTER (WHERE customer::int <= 640) <= 2 AS others, bool_and(years = 7 AND months_bought = 7) FILTER (WHERE customer::int > 640) AS years, max(adjusted_p_value) <= 0.05 AS significant
FROM shop.seasonal_buyers;

-- ---------------------------------------------------------------- schemes
CREATE TABLE on_day AS SELECT customer_id, purchase_history_agg(ordered_on, amount, cost) FILTER (WHERE ordered_on <= '2022-06-15') AS h, count(*) FILTER (WHERE is_order AND ordered_on BETWEEN '2022-06-16' AND '2022-12-12') AS orders,
	coalesce(sum(amount) FILTER (WHERE ordered_on BETWEEN '2022-06-16' AND '2022-12-12'), 0) AS revenue FROM bought GROUP BY 1 HAVING min(ordered_on) FILTER (WHERE is_order) <= '2022-06-15';
CREATE TABLE labelled AS SELECT x.*, segment(rfm_score(h, m, '2022-06-15'), compile_scheme('standard')) AS segment FROM on_day x, (SELECT rfm_fit(h, '2022-06-15', 5) AS m FROM on_day) m;
SELECT count(*) > 8 AS segments, bool_and(e.customers = l.n AND e.buyers = l.b AND e.revenue = l.r AND abs(purchase_rate - l.b::float8 / l.n) < 1e-12 AND abs(lift - l.b * l.all_n / (l.n * l.all_b)::float8) < 1e-12
	AND abs(revenue_deviation - l.s) < 1e-9 AND abs(share - l.n::float8 / l.all_n) < 1e-12) AS as_counted, bool_and(position = place) AS in_order
FROM evaluate_scheme('shop', 'standard', '2022-06-15', 180) e JOIN (SELECT segment, count(*) AS n, count(*) FILTER (WHERE orders > 0) AS b, sum(revenue) AS r, stddev_samp(revenue) AS s, (SELECT count(*) FROM on_day) AS all_n, (SELECT count(*) FROM on_day WHERE orders > 0) AS all_b FROM labelled GROUP BY 1) l USING (segment)
	JOIN (SELECT s.segment, s.position AS place FROM segments(compile_scheme('standard')) s) p USING (segment);
-- AUC by all pairs, shares of variance by regression on the means
CREATE TABLE placed AS SELECT l.*, s.position AS place, (avg((orders > 0)::int) OVER w)::float8 AS rate, (avg(revenue) OVER w)::float8 AS spent FROM labelled l JOIN segments(compile_scheme('standard')) s USING (segment) WINDOW w AS (PARTITION BY l.segment);
CREATE TABLE compared AS SELECT * FROM compare_schemes('shop', '{standard,rf}', '2022-06-15', 180);
SELECT scheme, customers = (SELECT count(*) FROM on_day) AS customers, coverage, abs(auc - (SELECT avg((a.place < b.place)::int + 0.5 * (a.place = b.place)::int) FROM placed a, placed b WHERE a.orders > 0 AND b.orders = 0)) < 1e-12 AS auc,
	abs(purchase_rate_explained - (SELECT regr_r2((orders > 0)::int, rate) FROM placed)) < 1e-9 AS rate, abs(revenue_explained - (SELECT regr_r2(revenue, spent) FROM placed)) < 1e-9 AS revenue, abs(best_rate - (SELECT max(rate) FROM placed)) < 1e-12 AS best, abs(worst_rate - (SELECT min(rate) FROM placed)) < 1e-12 AS worst
FROM compared WHERE scheme = 'standard';
SELECT scheme, segments > 5 AS several, coverage > 0.99 AS covered, auc > 0.6 AS tells FROM compared ORDER BY scheme COLLATE "C";
SELECT (SELECT auc FROM compared WHERE scheme = '(forecast)') > (SELECT auc FROM compared WHERE scheme = 'standard') AS forecast_tells_more;

-- the forecast is compared as finely as it tells: its AUC is that of all pairs of probabilities, however short the days
CREATE TABLE foretold AS SELECT days, probability_of_purchase(h.history, m.clv, '2022-06-15', make_interval(days => days)) AS p, frequency(h.history, date '2022-06-15' + days, make_interval(days => days)) > 0 AS bought
	FROM shop.customer_history h, (SELECT clv_fit(history, '2022-06-15', 'mbg/nbd') AS clv FROM shop.customer_history WHERE first_purchase(history, '2022-06-15') IS NOT NULL) m, unnest('{180,14}'::int[]) days WHERE first_purchase(h.history, '2022-06-15') IS NOT NULL;
SELECT days, abs(c.auc - (SELECT avg((a.p > b.p)::int + 0.5 * (a.p = b.p)::int) FROM foretold a, foretold b WHERE a.days = d.days AND b.days = d.days AND a.bought AND NOT b.bought)) < 0.004 AS as_all_pairs, best_segment ~ '^0[.0-9]* to [01][.0-9]*$' AS told FROM unnest('{180,14}'::int[]) d(days), compare_schemes('shop', '{}', '2022-06-15', days) c WHERE c.scheme = '(forecast)' ORDER BY days;

-- ---------------------------------------------------------------- drift and moved value
CREATE VIEW drifted AS SELECT measure, sum((q - p) * ln(q / p)) AS psi, max(a) AS a, max(b) AS b FROM (
	SELECT measure, (x + 0.5) / (a + 0.5 * n) AS p, (y + 0.5) / (b + 0.5 * n) AS q, a, b FROM (SELECT measure, x, y, sum(x) OVER w AS a, sum(y) OVER w AS b, count(*) OVER w AS n FROM (
		SELECT measure, value, count(*) FILTER (WHERE NOT later) AS x, count(*) FILTER (WHERE later) AS y FROM (SELECT false AS later, * FROM shop.profile_as_of('2021-12-31') UNION ALL SELECT true, * FROM shop.profile_as_of('2023-01-31')) p,
			LATERAL (VALUES ('r_score', r_score::text), ('f_score', f_score::text), ('m_score', m_score::text), ('segment', segment), ('lifecycle', lifecycle), ('value_tier', value_tier)) v (measure, value) WHERE last_purchase IS NOT NULL GROUP BY 1, 2) c WINDOW w AS (PARTITION BY measure)) d) e GROUP BY 1;
SELECT count(*) AS measures, max(abs(s.psi - d.psi)) < 1e-9 AS psi, bool_and(customers_from = a AND customers_to = b) AS customers, bool_and(alarm = CASE WHEN d.psi < 0.1 THEN 'stable' WHEN d.psi <= 0.25 THEN 'shifting' ELSE 'drifted' END) AS alarms FROM segment_drift('shop', '2021-12-31', '2023-01-31') s JOIN drifted d USING (measure);
SELECT s.measure, alarm, value_count, customers_from = a AS before, customers_to = b AS after, abs(psi - p) < 1e-9 AS psi FROM segment_drift('shop', '2021-12-31', '2023-01-31') s JOIN (
	SELECT 'city' AS measure, sum((q - p) * ln(q / p)) AS p, max(a) AS a, max(b) AS b FROM (SELECT (x + 0.5) / (sum(x) OVER () + 0.5 * count(*) OVER ()) AS p, (y + 0.5) / (sum(y) OVER () + 0.5 * count(*) OVER ()) AS q, sum(x) OVER () AS a, sum(y) OVER () AS b FROM (
		SELECT city, count(*) FILTER (WHERE before) AS x, count(*) FILTER (WHERE after) AS y FROM customers JOIN (SELECT customer_id, bool_or(ordered_on > date '2021-12-31' - 396 AND ordered_on <= '2021-12-31') AS before, bool_or(ordered_on > '2021-12-31' AND ordered_on <= '2023-01-31') AS after FROM bought WHERE is_order GROUP BY 1) o ON customer_id = id GROUP BY 1) c) d) e USING (measure);
SELECT sum(m.customers) = (SELECT count(*) FROM shop.profile_as_of('2022-12-31') WHERE last_purchase IS NOT NULL) AS customers, sum(value_before) = (SELECT sum(amount) FROM bought WHERE ordered_on > date '2022-06-30' - 184 AND ordered_on <= '2022-06-30' AND customer_id <> 690) AS before,
	sum(value_after) = (SELECT sum(amount) FROM bought WHERE ordered_on > '2022-06-30' AND ordered_on <= '2022-12-31' AND customer_id <> 690) AS after, bool_and(change = value_after - value_before) AS change, abs(sum(share_of_change) - 1) < 1e-9 AS shares FROM segment_value_migration('shop', '2022-06-30', '2022-12-31') m;
SELECT count(*) > 20 AS moves, bool_and(m.customers = x.n) AS as_counted FROM segment_value_migration('shop', '2022-06-30', '2022-12-31') m JOIN (SELECT coalesce(a.segment, '(unscored)') AS from_segment, coalesce(b.segment, '(unscored)') AS to_segment, count(*) AS n
	FROM shop.profile_as_of('2022-06-30') a JOIN shop.profile_as_of('2022-12-31') b USING (customer) WHERE b.last_purchase IS NOT NULL GROUP BY 1, 2) x USING (from_segment, to_segment);

-- ---------------------------------------------------------------- what cannot be told
SELECT * FROM cohort_retention('nowhere');
SELECT * FROM value_concentration(NULL);
SELECT * FROM cohort_retention(NULL);
SELECT * FROM cohort_value('shop', 'infinity');
SELECT * FROM evaluate_scheme('shop', 'no such scheme', '2022-06-15');
SELECT * FROM evaluate_scheme('shop', 'standard', NULL);
SELECT * FROM evaluate_scheme('shop', NULL, '2022-06-15');
SELECT * FROM evaluate_scheme('shop', 'standard', '2022-06-15', 0);
SELECT count(*) FROM evaluate_scheme('shop', 'standard', '1999-06-15');
SELECT count(*) > 5 AS told FROM evaluate_scheme('shop', 'standard', '2023-06-01');
SELECT count(*) FROM compare_schemes('shop', NULL, '1999-06-15');
SELECT * FROM segment_drift('shop', '2022-06-15', '2022-06-15');
SELECT * FROM segment_value_migration('shop', NULL, '2022-06-15');
SELECT count(*) AS measures, count(*) FILTER (WHERE alarm = 'too few') AS too_few FROM segment_drift('shop', '1999-06-15', '2022-06-15');
SELECT * FROM costly_customers('shop', -1);
SELECT * FROM seasonal_buyers('shop', NULL, 0);
-- nobody bought at all
CREATE TABLE empty_orders (LIKE orders);
SELECT count(*) FROM create_source('empty', 'customers', 'empty_orders', amount => 'amount', cost => 'cost', as_of => '2023-06-15');
SELECT count(*) FROM refresh('empty');
SELECT (SELECT count(*) FROM empty.cohort_retention), (SELECT count(*) FROM empty.new_and_returning), (SELECT count(rate) FROM empty.second_purchase), (SELECT count(*) FROM empty.value_concentration), (SELECT count(*) FROM empty.seasonal_buyers), (SELECT count(*) FROM empty.costly_customers),
	(SELECT count(*) FROM compare_schemes('empty', NULL, '2022-06-15')), (SELECT count(*) FROM segment_drift('empty', '2021-06-15', '2022-06-15'));
-- readers see what the customer table shows them
CREATE ROLE regress_evaluation_reader;
GRANT USAGE ON SCHEMA test_evaluation, shop TO regress_evaluation_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_evaluation_reader;
GRANT SELECT ON customers TO regress_evaluation_reader;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY city ON customers USING (city = 'Ulm');
SET ROLE regress_evaluation_reader;
SELECT sum(customers) FROM shop.value_concentration;
RESET ROLE;
SELECT count(*) FROM first_day JOIN customers ON id = customer_id WHERE city = 'Ulm';

DROP VIEW drifted;
SELECT drop_source('shop'), drop_source('empty');
DROP SCHEMA test_evaluation CASCADE;
DROP ROLE regress_evaluation_reader;
