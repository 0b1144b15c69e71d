-- One rule decides between NULL and 0: all accessors over random histories against plain SQL.
-- No purchase up to the as-of date: everything is NULL. A purchase, but nothing in the period, neither purchase nor refund:
-- counts and amounts over a period are 0. Otherwise its purchases are counted and summed; profit is NULL if no cost is known.
SET DateStyle = ISO;
SET IntervalStyle = postgres;
-- many small queries: none is worth JIT or a worker
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA history_rule;
SET search_path = history_rule, crm_profile, public;

-- Few rows per customer on few days, so that all cases occur often: no purchase yet, refunds only, amounts that add up to
-- nothing, costs unknown, partly unknown, or 0. The numbers come from a linear congruential generator
CREATE TABLE dice AS
WITH RECURSIVE d(n, x) AS (SELECT 1, 20240229::bigint UNION ALL SELECT n + 1, (x * 1103515245 + 12345) % 2147483648 FROM d WHERE n < 2700)
SELECT n, x >> 8 AS x FROM d;
CREATE TABLE purchase AS
SELECT a.x % 200 AS customer, date '2024-01-01' + (b.x % 70)::int AS day, (c.x % 13 - 5)::numeric AS amount,
	CASE WHEN a.x % 200 % 4 > 0 THEN nullif((c.x >> 4) % 5, 0) - 1 END::numeric AS cost
FROM dice a JOIN dice b ON b.n = a.n + 1 JOIN dice c ON c.n = a.n + 2 WHERE a.n % 3 = 1 AND a.n < 2600;
CREATE TABLE history AS SELECT customer, purchase_history_agg(day, amount, cost) AS history FROM purchase GROUP BY customer;

-- NULL: that argument is left out
CREATE TABLE question AS
SELECT row_number() OVER () AS question, q.*
FROM (SELECT NULL::date AS as_of, NULL::interval AS period
	UNION ALL SELECT date '2024-01-01' + d, p FROM generate_series(-3, 75, 13) d, unnest('{NULL,1 day,9 days,1 month,1 year}'::interval[]) p) q;

CREATE TABLE truth AS
WITH seen AS (
	SELECT q.*, p.customer, p.day, p.amount, p.cost, coalesce(p.day > (q.as_of - q.period)::date, true) AS inside,
		coalesce(p.day > ((q.as_of - q.period)::date - q.period)::date, true) AS inside_twice
	FROM question q JOIN purchase p ON p.day <= q.as_of OR q.as_of IS NULL),
-- a day whose costs, and the amounts that they cover, come to nothing holds no cost
costed AS (
	SELECT question, customer, sum(profit) AS profit, sum(covered) AS covered
	FROM (SELECT question, customer, day, sum(amount - cost) AS profit, sum(amount) AS covered
		FROM seen WHERE inside AND cost IS NOT NULL GROUP BY question, customer, day
		HAVING sum(cost) <> 0 OR sum(amount) <> 0) d
	GROUP BY question, customer),
days AS (SELECT question, customer, array_agg(day ORDER BY day) AS days
	FROM (SELECT DISTINCT question, customer, day FROM seen WHERE inside AND amount >= 0) d GROUP BY question, customer),
sums AS (
	SELECT question, as_of, period, customer, count(*) FILTER (WHERE inside) AS in_view, bool_or(amount >= 0) AS bought,
		max(day) FILTER (WHERE amount >= 0) AS last_ever,
		count(*) FILTER (WHERE inside AND amount >= 0) AS orders, coalesce(sum(amount) FILTER (WHERE inside), 0) AS amount,
		coalesce(sum(amount) FILTER (WHERE inside_twice AND NOT inside), 0) AS amount_before,
		array_agg(extract(month FROM day)) FILTER (WHERE inside AND amount >= 0) AS months
	FROM seen GROUP BY question, as_of, period, customer)
SELECT s.question, s.customer, s.in_view, s.bought, d.days[1] AS first_purchase, d.days[cardinality(d.days)] AS last_purchase, s.orders AS frequency,
	coalesce(cardinality(d.days), 0) AS purchase_days, s.amount AS monetary, s.amount / nullif(s.orders, 0) AS average_order_value,
	CASE WHEN s.in_view = 0 THEN 0 ELSE c.profit END AS profit, coalesce(c.covered, 0) / nullif(s.amount, 0) AS cost_coverage,
	(d.days[cardinality(d.days)] - d.days[1])::numeric / nullif(cardinality(d.days) - 1, 0) AS mean_gap,
	(SELECT stddev_samp(d.days[i + 1] - d.days[i]) FROM generate_series(1, cardinality(d.days) - 1) i) AS gap_stddev,
	ARRAY(SELECT (SELECT count(*) FROM unnest(s.months) o WHERE o = m) FROM generate_series(1, 12) m) AS monthly_purchases,
	s.as_of - s.last_ever AS recency,
	CASE WHEN s.amount + s.amount_before > 0 THEN (s.amount - s.amount_before) / (s.amount + s.amount_before) END AS trend
FROM sums s LEFT JOIN days d USING (question, customer) LEFT JOIN costed c USING (question, customer);
ANALYZE truth;

-- The answers of the accessors, by signature
CREATE TABLE answer AS
SELECT q.question, h.customer, v.*
FROM question q, history h, LATERAL (
	SELECT first_purchase(history), last_purchase(history), frequency(history), purchase_days(history), monetary(history), average_order_value(history), profit(history),
		cost_coverage(history), mean_gap(history), gap_stddev(history), monthly_purchases(history), NULL::int, NULL::float8
	WHERE q.as_of IS NULL
	UNION ALL
	SELECT first_purchase(history, q.as_of), last_purchase(history, q.as_of), frequency(history, q.as_of), purchase_days(history, q.as_of), monetary(history, q.as_of),
		average_order_value(history, q.as_of), profit(history, q.as_of), cost_coverage(history, q.as_of), mean_gap(history, q.as_of), gap_stddev(history, q.as_of),
		monthly_purchases(history, q.as_of), recency(history, q.as_of), NULL
	WHERE q.as_of IS NOT NULL AND q.period IS NULL
	UNION ALL
	SELECT first_purchase(history, q.as_of, q.period), last_purchase(history, q.as_of, q.period), frequency(history, q.as_of, q.period), purchase_days(history, q.as_of, q.period),
		monetary(history, q.as_of, q.period), average_order_value(history, q.as_of, q.period), profit(history, q.as_of, q.period), cost_coverage(history, q.as_of, q.period),
		mean_gap(history, q.as_of, q.period), gap_stddev(history, q.as_of, q.period), monthly_purchases(history, q.as_of, q.period), recency(history, q.as_of), trend(history, q.as_of, q.period)
	WHERE q.period IS NOT NULL) v (first_purchase, last_purchase, frequency, purchase_days, monetary, average_order_value, profit, cost_coverage, mean_gap, gap_stddev,
		monthly_purchases, recency, trend);
ANALYZE answer;

-- Where somebody has bought by then, each answer equals the truth; floats up to the last three digits
CREATE FUNCTION agree(a numeric, b double precision) RETURNS boolean LANGUAGE sql
	RETURN CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL ELSE abs(a::float8 - b) <= 1e-12 * greatest(1, abs(b)) END;
SELECT a.question, q.as_of, q.period, h.history, a AS said, t AS truth
FROM answer a JOIN question q USING (question) JOIN history h USING (customer) JOIN truth t USING (question, customer)
WHERE t.bought AND (a.first_purchase IS DISTINCT FROM t.first_purchase OR a.last_purchase IS DISTINCT FROM t.last_purchase OR a.frequency IS DISTINCT FROM t.frequency
	OR a.purchase_days IS DISTINCT FROM t.purchase_days OR a.monetary IS DISTINCT FROM t.monetary OR a.profit IS DISTINCT FROM t.profit OR a.recency IS DISTINCT FROM t.recency
	OR round(a.average_order_value, 10) IS DISTINCT FROM round(t.average_order_value, 10) OR a.monthly_purchases IS DISTINCT FROM t.monthly_purchases
	OR NOT agree(t.cost_coverage, a.cost_coverage) OR NOT agree(t.mean_gap, a.mean_gap) OR NOT agree(t.gap_stddev, a.gap_stddev)
	OR q.period IS NOT NULL AND NOT agree(t.trend, a.trend))
ORDER BY 1 LIMIT 5;
-- and where nobody has, even after refunds, there is no answer
SELECT a AS said FROM answer a LEFT JOIN truth t USING (question, customer)
WHERE t.bought IS NOT TRUE AND num_nonnulls(a.first_purchase, a.last_purchase, a.frequency, a.purchase_days, a.monetary, a.average_order_value, a.profit,
	a.cost_coverage, a.mean_gap, a.gap_stddev, a.monthly_purchases, a.recency, a.trend) > 0;
-- Each case of the rule occurred
SELECT r.rule, count(*) >= 40 AS often, count(*) FILTER (WHERE a.profit IS NULL) > 0 AS profit_unknown, count(*) FILTER (WHERE a.profit = 0) > 0 AS profit_none,
	count(*) FILTER (WHERE a.monetary < 0) > 0 AS negative
FROM answer a LEFT JOIN truth t USING (question, customer), LATERAL (SELECT CASE WHEN t.bought IS NULL THEN 'nothing yet' WHEN NOT t.bought THEN 'refunds only' WHEN t.in_view = 0 THEN 'nothing in view'
		WHEN t.frequency = 0 THEN 'refunds alone in view' ELSE 'purchases in view' END AS rule) r
GROUP BY r.rule ORDER BY r.rule COLLATE "C";

-- Amounts add up: those of consecutive periods to the total
SELECT count(*) FROM history, LATERAL (SELECT sum(monetary(history, date '2024-01-09' + 10 * i, '10 days')) AS monetary
	FROM generate_series(0, 7) i) p
WHERE first_purchase(history) <= '2024-01-09' AND p.monetary IS DISTINCT FROM monetary(history);

-- A period with refunds that cancel out is not empty: its profit is unknown, not 0
SELECT profit('{2024-01-01: 5, 2024-02-01: -4 (0 orders), 2024-02-02: 4 (0 orders)}', '2024-02-10', '20 days') AS unknown,
	profit('{2024-01-01: 5}', '2024-02-10', '20 days') AS nothing, monetary('{2024-01-01: 5, 2024-02-01: -4 (0 orders)}', '2024-02-10', '20 days') AS refund_alone;
SET client_min_messages = warning;
DROP SCHEMA history_rule CASCADE;
