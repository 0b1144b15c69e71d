-- Every accessor on all Online Retail customers against plain SQL over the orders
SET DateStyle = ISO;
SET IntervalStyle = postgres;
SET extra_float_digits = 1;
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_accessors;
SET search_path = history_accessors, crm_profile, public;
\i :load

-- costs by a formula: unknown for every third order, sometimes above the amount
CREATE TABLE purchase AS
SELECT customer, ordered_at::date AS day, amount,
	CASE WHEN n % 3 > 0 THEN round(amount * (0.35 + (n % 80) / 100.0), 2) END AS cost
FROM (SELECT *, substring(order_id FROM '\d+')::int AS n FROM orders WHERE customer IS NOT NULL) o;

CREATE TABLE history AS
SELECT customer, purchase_history_agg(day, amount, cost) AS history FROM purchase GROUP BY customer;

-- NULL: that argument is left out
CREATE TABLE question AS
SELECT row_number() OVER () AS question, as_of::date, period::interval
FROM (VALUES (NULL, NULL),
	('2010-11-30', NULL), ('2010-12-01', NULL), ('2011-03-31', NULL), ('2011-12-09', NULL), ('2012-03-01', NULL),
	('2010-11-30', '1 year'), ('2010-12-01', '1 day'), ('2011-03-31', '1 month'), ('2011-06-30', '90 days'),
	('2011-06-30', '36 hours'), ('2011-12-09', '1 year'), ('2011-12-09', '1 mon -3 days'),
	('2012-02-29', '3 months'), ('2013-06-01', '1 year')) q (as_of, period);

-- The truth.  A day whose costs, and the amounts they cover, come to nothing holds no cost
CREATE TABLE day AS
SELECT customer, day, count(*) FILTER (WHERE amount >= 0) AS orders, sum(amount) AS amount,
	sum(cost) AS cost, sum(amount) FILTER (WHERE cost IS NOT NULL) AS covered,
	coalesce(sum(cost), 0) <> 0 OR coalesce(sum(amount) FILTER (WHERE cost IS NOT NULL), 0) <> 0 AS known
FROM purchase GROUP BY customer, day;

CREATE TABLE viewed AS
SELECT question, as_of, period, d.*, coalesce(day > (as_of - period)::date, true) AS inside
FROM question JOIN day d ON day <= as_of OR as_of IS NULL;

CREATE TABLE truth AS
SELECT question, customer,
	max(day) FILTER (WHERE orders > 0) AS last_ever,
	min(day) FILTER (WHERE inside AND orders > 0) AS first_purchase,
	max(day) FILTER (WHERE inside AND orders > 0) AS last_purchase,
	coalesce(sum(orders) FILTER (WHERE inside), 0) AS frequency,
	count(*) FILTER (WHERE inside AND orders > 0) AS purchase_days,
	coalesce(sum(amount) FILTER (WHERE inside), 0) AS monetary,
	CASE WHEN bool_or(known AND inside) THEN sum(covered - cost) FILTER (WHERE inside)
		WHEN coalesce(bool_or(inside AND (orders > 0)), false) OR sum(amount) FILTER (WHERE inside) <> 0 THEN NULL
		ELSE 0 END AS profit,
	coalesce(sum(covered) FILTER (WHERE inside), 0) / nullif(sum(amount) FILTER (WHERE inside), 0) AS cost_coverage,
	sum(amount) FILTER (WHERE inside) / nullif(sum(orders) FILTER (WHERE inside), 0) AS average_order_value,
	as_of - max(day) FILTER (WHERE orders > 0) AS recency,
	as_of - min(day) FILTER (WHERE orders > 0) AS tenure
FROM viewed GROUP BY question, as_of, period, customer;

CREATE TABLE month AS
SELECT question, customer, array_agg(orders ORDER BY month) AS monthly_purchases
FROM (SELECT question, customer, month, coalesce(sum(orders) FILTER (WHERE inside AND extract(month FROM day) = month), 0) AS orders
	FROM viewed CROSS JOIN generate_series(1, 12) month GROUP BY question, customer, month) m
GROUP BY question, customer;

CREATE TABLE gap AS
SELECT question, customer, avg(gap) AS mean_gap, stddev_samp(gap) AS gap_stddev
FROM (SELECT question, customer, day - lag(day) OVER (PARTITION BY question, customer ORDER BY day) AS gap
	FROM viewed WHERE inside AND orders > 0) g
GROUP BY question, customer;

CREATE TABLE trend AS
SELECT question, customer, CASE WHEN m1 + m0 > 0 THEN (m1 - m0) / (m1 + m0) END AS trend
FROM (SELECT question, customer,
		coalesce(sum(amount) FILTER (WHERE inside), 0) AS m1,
		coalesce(sum(amount) FILTER (WHERE NOT inside AND day > ((as_of - period)::date - period)::date), 0) AS m0
	FROM viewed WHERE period IS NOT NULL GROUP BY question, customer) m;

-- The answers of the accessors: the variant for the given arguments
CREATE TABLE answer AS
SELECT question, customer,
	CASE WHEN as_of IS NULL THEN first_purchase(history) WHEN period IS NULL THEN first_purchase(history, as_of)
		ELSE first_purchase(history, as_of, period) END AS first_purchase,
	CASE WHEN as_of IS NULL THEN last_purchase(history) WHEN period IS NULL THEN last_purchase(history, as_of)
		ELSE last_purchase(history, as_of, period) END AS last_purchase,
	CASE WHEN as_of IS NULL THEN frequency(history) WHEN period IS NULL THEN frequency(history, as_of)
		ELSE frequency(history, as_of, period) END AS frequency,
	CASE WHEN as_of IS NULL THEN purchase_days(history) WHEN period IS NULL THEN purchase_days(history, as_of)
		ELSE purchase_days(history, as_of, period) END AS purchase_days,
	CASE WHEN as_of IS NULL THEN monetary(history) WHEN period IS NULL THEN monetary(history, as_of)
		ELSE monetary(history, as_of, period) END AS monetary,
	CASE WHEN as_of IS NULL THEN profit(history) WHEN period IS NULL THEN profit(history, as_of)
		ELSE profit(history, as_of, period) END AS profit,
	CASE WHEN as_of IS NULL THEN cost_coverage(history) WHEN period IS NULL THEN cost_coverage(history, as_of)
		ELSE cost_coverage(history, as_of, period) END AS cost_coverage,
	CASE WHEN as_of IS NULL THEN average_order_value(history) WHEN period IS NULL THEN average_order_value(history, as_of)
		ELSE average_order_value(history, as_of, period) END AS average_order_value,
	CASE WHEN as_of IS NULL THEN mean_gap(history) WHEN period IS NULL THEN mean_gap(history, as_of)
		ELSE mean_gap(history, as_of, period) END AS mean_gap,
	CASE WHEN as_of IS NULL THEN gap_stddev(history) WHEN period IS NULL THEN gap_stddev(history, as_of)
		ELSE gap_stddev(history, as_of, period) END AS gap_stddev,
	CASE WHEN as_of IS NULL THEN monthly_purchases(history) WHEN period IS NULL THEN monthly_purchases(history, as_of)
		ELSE monthly_purchases(history, as_of, period) END AS monthly_purchases,
	recency(history, as_of), tenure(history, as_of), trend(history, as_of, period)
FROM question CROSS JOIN history;

-- A customer without a purchase by then has no row in truth, or no last_ever: everything is NULL.
-- Floats are compared in 9 decimals, exact numbers exactly
CREATE VIEW compared AS
SELECT question, accessor, expected, said
FROM answer a LEFT JOIN (SELECT * FROM truth WHERE last_ever IS NOT NULL) t USING (question, customer)
	LEFT JOIN month m USING (question, customer)
	LEFT JOIN gap g USING (question, customer) LEFT JOIN trend d USING (question, customer)
	CROSS JOIN LATERAL (VALUES
	('first_purchase', t.first_purchase::text, a.first_purchase::text),
	('last_purchase', t.last_purchase::text, a.last_purchase::text),
	('frequency', t.frequency::text, a.frequency::text),
	('purchase_days', t.purchase_days::text, a.purchase_days::text),
	('monetary', trim_scale(t.monetary)::text, trim_scale(a.monetary)::text),
	('profit', trim_scale(t.profit)::text, trim_scale(a.profit)::text),
	('cost_coverage', round(t.cost_coverage, 9)::text, round(a.cost_coverage::numeric, 9)::text),
	('average_order_value', round(t.average_order_value, 9)::text, round(a.average_order_value, 9)::text),
	('mean_gap', round(g.mean_gap, 9)::text, round(a.mean_gap::numeric, 9)::text),
	('gap_stddev', round(g.gap_stddev, 9)::text, round(a.gap_stddev::numeric, 9)::text),
	('monthly_purchases', CASE WHEN t.last_ever IS NOT NULL THEN m.monthly_purchases::text END, a.monthly_purchases::text),
	('recency', t.recency::text, a.recency::text),
	('tenure', t.tenure::text, a.tenure::text),
	('trend', CASE WHEN t.last_ever IS NOT NULL THEN round(d.trend, 9)::text END, round(a.trend::numeric, 9)::text))
	v (accessor, expected, said);

SELECT accessor, count(*) AS answers, count(expected) AS not_null, count(DISTINCT expected) AS different_values,
	count(*) FILTER (WHERE said IS DISTINCT FROM expected) AS wrong
FROM compared GROUP BY accessor ORDER BY accessor;
SELECT * FROM compared WHERE said IS DISTINCT FROM expected ORDER BY accessor, question LIMIT 20;

-- purchases() returns the days, as_of() cuts: with the date, or for the history cut there, the answer is the same
SELECT count(*) AS days, count(*) FILTER (WHERE (p.day, p.orders, p.amount, coalesce(p.cost, 0), coalesce(p.covered_amount, 0))
	IS DISTINCT FROM (d.day, d.orders, d.amount, coalesce(d.cost, 0), coalesce(d.covered, 0)) OR p.cost IS NULL AND d.known) AS wrong
FROM (SELECT customer, p.* FROM history, purchases(history) p) p
	FULL JOIN (SELECT * FROM day WHERE orders <> 0 OR amount <> 0 OR known) d USING (customer, day);
SELECT count(*) AS answers, count(*) FILTER (WHERE
	(frequency(cut), monetary(cut), profit(cut), last_purchase(cut), gap_stddev(cut), monthly_purchases(cut))
	IS DISTINCT FROM (frequency(history, as_of), monetary(history, as_of), profit(history, as_of),
		last_purchase(history, as_of), gap_stddev(history, as_of), monthly_purchases(history, as_of))) AS wrong
FROM question CROSS JOIN history, as_of(history, as_of) AS cut WHERE period IS NULL;

-- One customer by hand: a refund before anything else, two orders on a day, a full refund, a free order, one in the future
CREATE TABLE hand AS SELECT purchase_history '{2025-01-01: -5 (0 orders), 2025-01-10: 30 (2 orders, cost 12), 2025-01-20: 0,
	2025-01-30: -30 (0 orders, cost -12), 2025-03-01: 40 (cost 50 of 20), 2026-01-01: 7.125}' AS h;
SELECT as_of, first_purchase(h, as_of), last_purchase(h, as_of), recency(h, as_of), tenure(h, as_of),
	frequency(h, as_of), purchase_days(h, as_of) AS days, monetary(h, as_of), profit(h, as_of), cost_coverage(h, as_of) AS coverage
FROM hand, (VALUES (date '2025-01-09'), ('2025-01-10'), ('2025-01-31'), ('2025-03-01'), ('2026-01-01')) d (as_of) ORDER BY as_of;
SELECT period, first_purchase(h, d, period), last_purchase(h, d, period), frequency(h, d, period), purchase_days(h, d, period) AS days,
	monetary(h, d, period), profit(h, d, period), average_order_value(h, d, period), mean_gap(h, d, period),
	trend(h, d, period), monthly_purchases(h, d, period)
FROM hand, (VALUES (interval '1 day'), ('29 days'), ('30 days'), ('31 days'), ('50 days'), ('51 days'), ('1 year')) p (period),
	(VALUES (date '2025-03-02')) a (d) ORDER BY period;

-- The period ends with as_of and begins after as_of - period, cut to the day
SELECT period, frequency(h, '2025-03-31', period)
FROM (SELECT purchase_history_agg(day::date, 1) AS h FROM generate_series('2025-01-01'::timestamp, '2025-12-31', '1 day') day) x,
	unnest(ARRAY['1 day', '12 hours', '24 hours', '25 hours', '1 month', '2 months', '1 year', '100 years']::interval[]) period
ORDER BY period;

-- Nothing known: no answer
SELECT frequency(NULL::purchase_history), frequency(h, NULL), frequency(h, '2025-03-02', NULL), monetary(NULL::purchase_history),
	trend(h, '2025-03-02', NULL), recency(h, NULL), as_of(h, NULL), as_of(h, '2024-12-31') AS as_of_before FROM hand;
SELECT frequency(h), monetary(h), first_purchase(h), mean_gap(h), monthly_purchases(h), profit(h), average_order_value(h)
FROM (VALUES (purchase_history '{}'), ('{2025-01-01: -5 (0 orders)}')) v (h);

-- Averages and deviations far from today are just as exact: no cancellation
SELECT mean_gap(h), gap_stddev(h)
FROM (VALUES (purchase_history '{4714-11-24 BC: 1, 4714-11-25 BC: 1, 4714-11-27 BC: 1}'),
	('{5874897-12-28: 1, 5874897-12-29: 1, 5874897-12-31: 1}'), ('{4714-11-24 BC: 1, 2025-01-01: 1, 5874897-12-31: 1}')) v (h);

SET client_min_messages = warning;
DROP SCHEMA history_accessors CASCADE;
