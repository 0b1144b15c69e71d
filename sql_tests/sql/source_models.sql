-- Repeat-purchase and rhythm models of sources: columns, tiers, model_card and lifecycle against models fitted by hand and plain SQL
\getenv abs_srcdir PG_ABS_SRCDIR
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never

-- ---------------------------------------------------------------- CDNOW, against the published fit
CREATE SCHEMA cdnow;
SET search_path = cdnow;
CREATE TABLE purchase (customer int, day date, amount numeric);
\set cmd '\\copy purchase from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:cmd
CREATE TABLE customer AS SELECT DISTINCT customer FROM purchase UNION ALL SELECT 9999;
ALTER TABLE customer ADD PRIMARY KEY (customer);
SELECT count(*) FROM crm_profile.create_source('cd', 'customer', 'purchase', order_customer => 'customer', as_of => '1997-09-30', clv_model => 'nbd');
SELECT count(*) FROM crm_profile.create_source('cd', 'customer', 'purchase', order_customer => 'customer', as_of => '1997-09-30', clv_model => 'mbg/nbd');
SELECT clv_model FROM crm_profile.sources_details WHERE name = 'cd';
-- before the first refresh there is nothing to show
SELECT count(*), count(p_purchase_90d), count(clv_365d), count(predicted_tier) FROM cd.customer_profile;
SELECT count(*) FROM cd.model_card_details;
SELECT count(*) FROM cd.model_holdout;
-- a refresh, and the status of its fits
CREATE FUNCTION public.refreshed(source text, OUT customers bigint, OUT clv_status text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT r.customers INTO customers FROM crm_profile.refresh(source) r;
	EXECUTE format('SELECT max(value) FILTER (WHERE section = ''purchases'') FROM %I.model_card_details WHERE item = ''status''', source) INTO clv_status;
END $$;
SELECT customers, clv_status FROM public.refreshed('cd');
SELECT (p->>'clv')::numeric + (p->>'holdout')::numeric <= (p->>'fit')::numeric + 0.01 AS parts, (p->>'collect')::numeric + (p->>'fit')::numeric <= refresh_seconds + 0.01 AS together, p ? 'match' AS matched
FROM crm_profile.sources_details, LATERAL (SELECT refresh_phases AS p) x WHERE name = 'cd';

-- model_card has the published parameters and log-likelihoods, and the counts of plain SQL
SELECT string_agg(round(number::numeric, 3)::text, ' ' ORDER BY line) AS "0.525 6.183 0.891 1.614" FROM cd.model_card_details WHERE section = 'purchases' AND item IN ('r', 'alpha', 'a', 'b');
SELECT string_agg(round(number::numeric, 2)::text, ' ' ORDER BY line) AS "-4055.92 6.25 3.74 15.44" FROM cd.model_card_details WHERE section = 'spend' AND item IN ('p', 'q', 'v', 'log-likelihood');
SELECT string_agg(value, ' ' ORDER BY line) FILTER (WHERE item <> 'log-likelihood') AS "2357 946 2457", bool_or(item = 'log-likelihood' AND abs(number - -9582.13) < 0.01) AS "-9582.13" FROM cd.model_card_details
WHERE section = 'purchases' AND item IN ('customers', 'repeaters', 'repeat purchases', 'log-likelihood');
CREATE VIEW raw AS
	SELECT customer, count(DISTINCT day) - 1 AS x, (max(day) - min(day)) / 7.0::float8 AS t_x, (date '1997-09-30' - min(day)) / 7.0::float8 AS t,
		date '1997-09-30' - max(day) AS recency
	FROM purchase WHERE day <= '1997-09-30' GROUP BY customer;
SELECT count(*), count(*) FILTER (WHERE x > 0), sum(x) FROM raw;
-- … and those of models fitted by hand to histories of the raw orders
CREATE TABLE hand AS SELECT customer, crm_profile.purchase_history_agg(day, amount) AS h FROM purchase GROUP BY customer;
CREATE TABLE fitted AS SELECT crm_profile.clv_fit(h, '1997-09-30', 'mbg/nbd') AS m FROM hand;
SELECT count(*) AS parameters, count(*) FILTER (WHERE (c.number, c.standard_error) IS DISTINCT FROM (p.estimate, p.standard_error)) AS differences
FROM fitted, LATERAL (SELECT part, parameter, estimate, standard_error FROM crm_profile.clv_parameters(m)) p
	LEFT JOIN cd.model_card_details c ON c.section = p.part AND c.item = p.parameter;
SELECT section, count(*) FROM cd.model_card_details GROUP BY section ORDER BY min(line);
SELECT value FROM cd.model_card_details WHERE (section, item) IN (('purchases', 'model'), ('purchases', 'status'), ('purchases', 'unit in days'), ('refresh', 'as of'), ('refresh', 'customers'), ('refresh', 'share fitted'),
	('spend', 'value'), ('holdout', 'fitted until'), ('holdout', 'forecast until')) ORDER BY line;
SELECT count(*) AS differences FROM cd.model_card_details c, (SELECT (crm_profile.thresholds(rfm)).* FROM cd.model) t
WHERE section = 'scores' AND item IN ('recency', 'frequency', 'monetary')
	AND value <> array_to_string(CASE item WHEN 'recency' THEN recency WHEN 'frequency' THEN frequency ELSE monetary END, ', ');
SELECT count(*) FROM cd.model_card_details WHERE note IS NULL OR (value IS NULL AND number IS NOT NULL);

-- P(alive) by the paper's formula from the card's parameters over the raw orders
SELECT count(*), max(abs(crm_profile.p_alive(h, m, '1997-09-30') - 1 / (1 + a / (b + x) * ((alpha + t) / (alpha + t_x)) ^ (r + x)))) < 1e-9 AS formula
FROM fitted, hand JOIN raw USING (customer),
	(SELECT max(number) FILTER (WHERE item = 'r') AS r, max(number) FILTER (WHERE item = 'alpha') AS alpha, max(number) FILTER (WHERE item = 'a') AS a, max(number) FILTER (WHERE item = 'b') AS b
		FROM cd.model_card_details WHERE section = 'purchases') p;
-- the other columns by calls over the models fitted by hand
SELECT count(*) AS customers, count(*) FILTER (WHERE (p.p_purchase_90d, p.p_purchase, p.expected_purchases_90d, p.clv_365d) IS DISTINCT FROM
	(crm_profile.probability_of_purchase(h, m, '1997-09-30', '90 days'), p.p_purchase_90d, crm_profile.expected_purchases(h, m, '1997-09-30', '90 days'), crm_profile.clv(h, m, '1997-09-30', '365 days', 0.01))) AS differences
FROM fitted, cd.customer_profile p JOIN hand USING (customer);
-- the lifecycle by its rule, from the functions that it goes by
SELECT count(*) FILTER (WHERE l.rule IS DISTINCT FROM CASE WHEN f.lifecycle IN ('lapsing', 'inactive') THEN f.lifecycle END) AS differences,
	count(*) FILTER (WHERE l.rule = 'lapsing') > 100 AS lapsing, count(*) FILTER (WHERE l.rule = 'inactive') > 100 AS inactive, count(*) FILTER (WHERE l.rule IS NULL) > 100 AS others
FROM fitted, (SELECT crm_profile.purchase_history_agg('1997-09-30', 1) AS newcomer) n, hand,
	LATERAL (SELECT crm_profile.recency(h, '1997-09-30') AS silence, crm_profile.probability_of_purchase(h, m, '1997-09-30', '90 days') / crm_profile.probability_of_purchase(newcomer, m, '1997-09-30', '90 days') AS share,
		CASE WHEN crm_profile.purchase_days(h, '1997-09-30') > 1 THEN crm_profile.lapse_probability(h, m, '1997-09-30') END AS gap) v,
	LATERAL (SELECT CASE WHEN silence >= 60 AND (gap >= 0.99 OR share < 0.25 AND coalesce(gap, 1) >= 0.25) THEN 'inactive'
		WHEN silence >= 14 AND (gap >= 0.99 OR share < 0.75 AND coalesce(gap, 1) >= 0.25) THEN 'lapsing' END AS rule) l,
	LATERAL (SELECT crm_profile.lifecycle(h, '1997-09-30', 30, m) AS lifecycle) f
WHERE crm_profile.first_purchase(h) <= '1997-09-30';
SELECT p_purchase_90d, p_purchase, expected_purchases_90d, clv_365d, predicted_tier, value_tier FROM cd.customer_profile WHERE customer = 9999;
-- predicted tiers: the running total of those worth more is below 80 % and 95 %
CREATE FUNCTION pg_temp.wrong_tiers(source text) RETURNS TABLE (customers bigint, wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT count(*), count(*) FILTER (WHERE predicted_tier <> CASE WHEN richer < .8 THEN ''A'' WHEN richer < .95 THEN ''B'' ELSE ''C'' END)
		FROM (SELECT predicted_tier, (sum(clv_365d) OVER (ORDER BY clv_365d DESC) - sum(clv_365d) OVER (PARTITION BY clv_365d)) / sum(clv_365d) OVER () AS richer
			FROM %I.customer_profile WHERE clv_365d IS NOT NULL) q', source);
END $$;
SELECT * FROM pg_temp.wrong_tiers('cd');
SELECT count(DISTINCT predicted_tier) FROM cd.customer_profile;
-- sums reconcile
SELECT count(*) AS segments, count(*) FILTER (WHERE abs(s.predicted_value - v) > 1e-6 OR abs(s.predicted_value_share - v / total) > 1e-9 OR abs(s.mean_p_purchase_90d - alive) > 1e-9
	OR (s.predicted_value IS NULL) <> (v IS NULL)) AS differences, round(sum(s.predicted_value_share)::numeric, 9) AS shares
FROM cd.segment_summary_details s LEFT JOIN (SELECT coalesce(segment, '(unscored)') AS segment, sum(clv_365d) AS v, avg(p_purchase_90d) AS alive FROM cd.customer_profile GROUP BY 1) p USING (segment),
	(SELECT sum(clv_365d) AS total FROM cd.customer_profile) t;

-- the holdout test: the model as fitted by hand to what was known, and plain SQL about what happened
SELECT count(*) AS lines, sum(customers) FILTER (WHERE part = 'frequency') AS by_frequency, sum(customers) FILTER (WHERE part = 'decile') AS by_decile, min(fit_until), min(as_of) FROM cd.model_holdout;
CREATE TABLE outcome AS
	SELECT customer, crm_profile.expected_purchases(h, m, '1997-07-02', '90 days') AS predicted, coalesce(days, 0) AS actual
	FROM (SELECT crm_profile.clv_fit(h, '1997-07-02') AS m FROM hand) f, hand
		LEFT JOIN (SELECT customer, count(DISTINCT day) AS days FROM purchase WHERE day > '1997-07-02' AND day <= '1997-09-30' GROUP BY customer) p USING (customer)
	WHERE crm_profile.first_purchase(h) <= '1997-07-02';
SELECT customers = n AS customers, actual = a AS actual, abs(predicted - p) < 1e-6 AS predicted, abs(calibration - a / p) < 1e-9 AS calibration,
	abs(mean_absolute_error - e) < 1e-9 AS error, abs(correlation - c) < 1e-9 AS correlation
FROM cd.model_holdout, (SELECT count(*) AS n, sum(actual) AS a, sum(predicted) AS p, avg(abs(actual - predicted)) AS e, corr(actual, predicted) AS c FROM outcome) o WHERE part = 'total';
SELECT count(*) AS differences FROM cd.model_card_details c, cd.model_holdout h WHERE section = 'holdout' AND part = 'total' AND number IS NOT NULL AND
	number <> CASE item WHEN 'customers' THEN customers WHEN 'predicted' THEN predicted WHEN 'actual' THEN actual WHEN 'calibration' THEN calibration
		WHEN 'mean absolute error' THEN mean_absolute_error WHEN 'correlation' THEN correlation WHEN 'share tested' THEN 1 END;

-- other ways to the same columns
CREATE TABLE live AS SELECT * FROM cd.customer_profile;
SELECT count(*) AS differences FROM live l FULL JOIN cd.profile_as_of('1997-09-30') p USING (customer) WHERE l.* IS DISTINCT FROM p.*;
SELECT count(*) AS differences FROM unnest('{1,2,3,9999}'::int[]) k, crm_profile.profile_now_details('cd', k) n JOIN live l ON l.customer = n.customer::int
WHERE (n.lifecycle, n.p_purchase, n.expected_purchases_90d, n.clv_365d, n.predicted_tier) IS DISTINCT FROM (l.lifecycle, l.p_purchase, l.expected_purchases_90d, l.clv_365d, l.predicted_tier);
SELECT crm_profile.alter_source('cd', materialize => true);
SELECT count(*) AS differences FROM live l FULL JOIN cd.customer_profile p USING (customer) WHERE l.* IS DISTINCT FROM p.*;
SELECT crm_profile.alter_source('cd', materialize => false);
SELECT count(*) AS differences FROM hand JOIN cd.profile_as_of('1997-06-30') p USING (customer), fitted
WHERE p.p_purchase_90d IS DISTINCT FROM crm_profile.probability_of_purchase(h, m, '1997-06-30', '90 days');
-- nothing new: no new row in the log; another model: one row
SELECT customers_written FROM crm_profile.refresh('cd');
SELECT count(*) FROM cd.model;
SELECT crm_profile.alter_source('cd', clv_model => 'gg');
SELECT crm_profile.alter_source('cd', clv_model => 'bg/nbd');
SELECT clv_status FROM public.refreshed('cd');
SELECT array_agg((crm_profile.clv_model_card(clv)).model ORDER BY id) FROM cd.model;
SELECT string_agg(round(number::numeric, 3)::text, ' ' ORDER BY line) AS "0.243 4.414 0.793 2.426" FROM cd.model_card_details WHERE section = 'purchases' AND item IN ('r', 'alpha', 'a', 'b');
SELECT count(*) FILTER (WHERE crm_profile.p_alive(h, clv, '1997-09-30') = 1) AS certain, count(*) FILTER (WHERE x = 0) AS one_time_buyers FROM cd.model_in_use, hand JOIN raw USING (customer);
-- a fit without parameters: no predictions, and nothing fails; the lifecycle depends on days alone
UPDATE cd.model_in_use SET clv = '{"model": "bg/nbd", "status": "not converged"}', predicted_a_from = NULL, predicted_b_from = NULL, holdout = NULL;
SELECT count(*), count(p_purchase_90d), count(p_purchase), count(expected_purchases_90d), count(clv_365d), count(predicted_tier), count(value_tier) FROM cd.customer_profile;
SELECT count(*), count(predicted_value), count(predicted_value_share), count(mean_p_purchase_90d) FROM cd.segment_summary_details;
SELECT value FROM cd.model_card_details WHERE item = 'status' ORDER BY line;
SELECT count(number) FROM cd.model_card_details WHERE item IN ('r', 'alpha', 'a', 'b', 'p', 'q', 'v');
SELECT count(*) FROM cd.model_holdout;
SELECT count(*) AS differences FROM cd.customer_profile p JOIN hand USING (customer), (SELECT active_days FROM crm_profile.sources_details WHERE name = 'cd') s
WHERE p.lifecycle <> crm_profile.lifecycle(h, '1997-09-30', active_days);
-- another horizon: columns, means and the holdout test use it
SELECT crm_profile.alter_source('cd', horizon_days => 6);
SELECT crm_profile.alter_source('cd', horizon_days => 30, clv_model => 'mbg/nbd');
SELECT clv_status FROM public.refreshed('cd');
SELECT count(*) FILTER (WHERE (p.p_purchase, p.expected_purchases, p.p_purchase_90d, p.horizon_days) IS DISTINCT FROM (crm_profile.probability_of_purchase(h, m, '1997-09-30', '30 days'),
	crm_profile.expected_purchases(h, m, '1997-09-30', '30 days'), crm_profile.probability_of_purchase(h, m, '1997-09-30', '90 days'), 30)) AS differences FROM fitted, cd.customer_profile p JOIN hand USING (customer);
SELECT count(*) FILTER (WHERE abs(s.mean_p_purchase - p) > 1e-9 OR s.horizon_days <> 30) AS differences, (SELECT min(fit_until) FROM cd.model_holdout) AS fit_until
FROM cd.segment_summary_details s JOIN (SELECT segment, avg(p_purchase) AS p FROM cd.customer_profile GROUP BY 1) q USING (segment);
SELECT crm_profile.drop_source('cd');

-- ---------------------------------------------------------------- lifecycle by rhythm, against the rules in SQL
RESET search_path;
DROP SCHEMA cdnow CASCADE;
CREATE SCHEMA rhythm;
SET search_path = rhythm;
CREATE FUNCTION regular(purchases int, gap int) RETURNS crm_profile.purchase_history LANGUAGE sql IMMUTABLE AS $$
	SELECT crm_profile.purchase_history_agg(date '2024-01-01' + gap * i, 10) FROM generate_series(0, purchases - 1) i $$;
-- 1 - p^(a+kn) Σ Γ(a+kn+j) / (Γ(a+kn) j!) (1-p)^j over j < k
CREATE FUNCTION lapse(k int, a float8, b float8, n int, total float8, silence float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE p float8 := (b + total) / (b + total + silence); s float8 := 0; term float8 := 1;
BEGIN
	FOR j IN 0..k - 1 LOOP
		s := s + term;
		term := term * (a + k * n + j) / (j + 1) * (1 - p);
	END LOOP;
	RETURN 1 - p ^ (a + k * n) * s;
END $$;
CREATE FUNCTION is_inactive(k int, a float8, b float8, active int, inactive int, n int, total int, silence int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT silence >= inactive AND (n = 0 OR lapse(k, a, b, n, total, silence * active::float8 / inactive) >= 0.75) $$;
CREATE FUNCTION rules(k int, a float8, b float8, active int, inactive int, days date[], as_of date) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	WITH d AS (SELECT day, (lead(day) OVER (ORDER BY day))::date AS next, (row_number() OVER (ORDER BY day) - 1)::int AS n, day - min(day) OVER () AS total FROM unnest(days) day WHERE day <= as_of)
	SELECT CASE WHEN is_inactive(k, a, b, active, inactive, n, total, as_of - day) THEN 'inactive'
		WHEN CASE WHEN n = 0 THEN as_of - day >= active ELSE lapse(k, a, b, n, total, as_of - day) >= 0.75 END THEN 'lapsing'
		WHEN day - total > as_of - least(active, 90) THEN 'new'
		WHEN EXISTS (SELECT FROM d e WHERE e.next > as_of - active AND is_inactive(k, a, b, active, inactive, e.n, e.total, e.next - 1 - e.day)) THEN 'won back'
		ELSE 'active' END
	FROM d WHERE next IS NULL $$;
WITH customer (days) AS (VALUES ('{2024-01-01}'::date[]), ('{2024-01-01,2024-01-08,2024-01-15,2024-01-22,2024-01-29,2024-02-05}'), ('{2021-01-03,2022-01-05,2023-01-02,2024-01-01}'),
		('{2023-01-01,2024-01-01}'), ('{2023-06-01,2023-06-08,2023-06-15,2023-06-22,2024-01-01,2024-01-09}'), ('{2023-12-01,2024-01-15,2024-02-20}')),
	asked AS (SELECT days, as_of::date, active, inactive, k, a, b FROM customer, generate_series(timestamp '2024-01-01', '2025-06-30', '3 days') as_of, (VALUES (30, 60), (45, 50), (200, 600)) w (active, inactive),
		(VALUES (1, 0.4::float8, 80::float8), (4, 2, 20)) m (k, a, b)),
	answer AS (SELECT rules(k, a, b, active, inactive, days, as_of) AS word, crm_profile.lifecycle(h, as_of, active, inactive, crm_profile.rhythm_model(k, a, b)) AS got,
			inactive = 2 * active AS twice, crm_profile.lifecycle(h, as_of, active, crm_profile.rhythm_model(k, a, b)) AS short
		FROM asked, LATERAL (SELECT crm_profile.purchase_history_agg(day, 1) AS h FROM unnest(days) day) l)
SELECT word, count(*) > 50 AS many, count(*) FILTER (WHERE got IS DISTINCT FROM word) AS wrong, count(*) FILTER (WHERE twice AND short IS DISTINCT FROM word) AS wrong_without_inactive
FROM answer GROUP BY word ORDER BY word COLLATE "C";
-- silence leads from active through lapsing to inactive, and never back
SELECT bool_and(place >= before) AS onward FROM (
	SELECT place, lag(place) OVER (PARTITION BY n, gap ORDER BY s) AS before FROM (
		SELECT n, gap, s, array_position('{new,active,lapsing,inactive}', crm_profile.lifecycle(regular(n, gap), date '2024-01-01' + gap * (n - 1) + s, 60, crm_profile.rhythm_model(2, 1, 30))) AS place
		FROM unnest('{1,2,3,10}'::int[]) n, unnest('{1,7,90,365}'::int[]) gap, generate_series(0, 2000, 20) s) q) q;
-- "came every week for three months, silent for two weeks", and once a year, against a window of 60 days; a model that knows nothing leaves it to the window
SELECT m.what, crm_profile.lifecycle(regular(14, 7), date '2024-01-01' + 91 + 14, 60, m.m) AS weekly, crm_profile.lifecycle(regular(14, 7), date '2024-01-01' + 91 + 7, 60, m.m) AS on_time,
	crm_profile.lifecycle(regular(14, 7), date '2024-01-01' + 91 + 119, 60, m.m) AS weekly_119, crm_profile.lifecycle(regular(14, 7), date '2024-01-01' + 91 + 120, 60, m.m) AS weekly_120,
	crm_profile.lifecycle(regular(5, 365), date '2024-01-01' + 4 * 365 + 200, 60, m.m) AS yearly, crm_profile.lifecycle(regular(5, 365), date '2024-01-01' + 4 * 365 + 700, 60, m.m) AS yearly_700,
	crm_profile.lifecycle(regular(5, 365), date '2024-01-01' + 4 * 365 + 20, 60, m.m) AS yearly_20
FROM (VALUES (1, 'rhythm', crm_profile.rhythm_model(4, 2, 20)), (2, 'few repeaters', '{"regularity": 4, "parameters": [2, 20], "status": "few repeaters"}'), (3, 'not converged', '{"status": "not converged"}')) m (n, what, m)
ORDER BY m.n;
SELECT crm_profile.lifecycle(regular(2, 7), '2023-12-31', 60, crm_profile.rhythm_model(4, 2, 20)) IS NULL AS before_first, crm_profile.lifecycle(regular(2, 7), '2024-12-31', 60, NULL::crm_profile.rhythm_model) IS NULL AS no_model;
SELECT crm_profile.lifecycle(regular(2, 7), '2024-12-31', 0, crm_profile.rhythm_model(4, 2, 20));
SELECT crm_profile.lifecycle(regular(2, 7), '2024-12-31', 60, 59, crm_profile.rhythm_model(4, 2, 20));
-- the learnt window covers nine of ten mean gaps, at least four weeks, at most a year
SELECT gap, (crm_profile.customer_base_fit(regular(3, gap), '2040-01-01', NULL, false)).active_days
FROM unnest('{1,27,28,29,364,365,366,2000}'::int[]) gap, generate_series(1, 20) GROUP BY gap ORDER BY gap;
-- nobody is new after a quarter of a year, however wide the window
SELECT max(d) AS new_until FROM generate_series(0, 1000) d WHERE crm_profile.lifecycle(regular(1, 1), date '2024-01-01' + d, 615) = 'new';

-- the same in a source: 300 customers who come every 5 to 100 days, one week in the middle left out, and the two
CREATE TABLE customer AS SELECT generate_series(1, 302) AS id;
ALTER TABLE customer ADD PRIMARY KEY (id);
CREATE TABLE visit (customer_id int, day date, amount numeric);
INSERT INTO visit SELECT c, date '2025-12-31' - c * 37 % 60 - (5 + c * 7 % 96) * i - (c * i * i) % 5, 20 + c % 30 FROM generate_series(1, 300) c, generate_series(0, 3 + c % 9) i;
INSERT INTO visit SELECT 301, date '2025-12-31' - 14 - 7 * i, 30 FROM generate_series(0, 13) i;
INSERT INTO visit SELECT 302, date '2025-12-31' - 200 - 365 * i, 30 FROM generate_series(0, 4) i;
SELECT count(*) FROM crm_profile.create_source('visits', 'customer', 'visit', order_customer => 'customer_id', as_of => '2025-12-31');
SELECT clv_status FROM public.refreshed('visits');
SELECT customer, recency, recency < s.active_days AS in_window, lifecycle, crm_profile.lifecycle(history, '2025-12-31', s.active_days) AS by_window
FROM visits.customer_profile JOIN visits.customer_history USING (customer), crm_profile.sources_details s WHERE s.name = 'visits' AND customer > 300 ORDER BY customer;
SELECT count(*) AS differences FROM visits.customer_profile p JOIN visits.customer_history USING (customer), crm_profile.sources_details s, (SELECT clv AS r FROM visits.model ORDER BY id DESC LIMIT 1) f
WHERE s.name = 'visits' AND p.lifecycle IS DISTINCT FROM crm_profile.lifecycle(history, '2025-12-31', s.active_days, r);
SELECT crm_profile.drop_source('visits');

-- ---------------------------------------------------------------- very few customers, none, refunds only, profit
CREATE TABLE sale (customer_id int, day date, amount numeric, cost numeric);
SELECT count(*) FROM crm_profile.create_source('few', 'customer', 'sale', order_customer => 'customer_id', amount => 'amount', cost => 'cost', as_of => '2025-12-31', tier_by => 'profit');
SELECT customers, clv_status FROM public.refreshed('few');
SELECT section, item, value FROM few.model_card_details WHERE item IN ('status', 'model', 'customers', 'active window') ORDER BY line;
SELECT count(*), count(p_purchase_90d), count(predicted_tier), count(lifecycle) FROM few.customer_profile;
INSERT INTO sale VALUES (1, '2025-12-30', -5, NULL);
SELECT customers, clv_status FROM public.refreshed('few');
INSERT INTO sale VALUES (2, '2025-12-30', 5, NULL);
SELECT customers, clv_status FROM public.refreshed('few');
INSERT INTO sale VALUES (3, '2025-01-30', 50, 30), (3, '2025-12-30', 70, 40), (4, '2025-12-31', 10, 20), (5, '2026-01-01', 10, 2);
SELECT customers, clv_status FROM public.refreshed('few');
SELECT value FROM few.model_card_details WHERE item IN ('status', 'value', 'fitted until', 'forecast until') ORDER BY line;
SELECT customer, lifecycle, p_purchase_90d BETWEEN 0 AND 1 AS p, clv_365d > 0 AS worth, predicted_tier FROM few.customer_profile WHERE customer <= 6 ORDER BY customer;
-- a model of profit, not of revenue
SET client_min_messages = error;
SELECT bool_and(p.clv_365d IS NOT DISTINCT FROM crm_profile.clv(history, m, '2025-12-31', '365 days', 0.01)) AS profit
FROM few.customer_profile p JOIN few.customer_history USING (customer), (SELECT crm_profile.clv_fit(history, '2025-12-31', 'mbg/nbd', NULL, 'profit') AS m FROM few.customer_history) f;
SET client_min_messages = warning;
-- customers who do not differ at all: no plain maximum; the models say so and are used
TRUNCATE sale;
INSERT INTO sale SELECT c, date '2025-01-01' + 30 * i + c % 10, 10, 5 FROM generate_series(1, 300) c, generate_series(0, 11) i;
SELECT clv_status <> 'converged' AS clv FROM public.refreshed('few');
SELECT count(*) FILTER (WHERE p_purchase_90d BETWEEN 0 AND 1) AS p, count(*) FILTER (WHERE clv_365d BETWEEN 0 AND 1000) AS worth FROM few.customer_profile;
SELECT * FROM pg_temp.wrong_tiers('few');
SELECT crm_profile.drop_source('few');

-- ---------------------------------------------------------------- value tiers alone
SELECT (crm_profile.value_tiers_fit(v)).* FROM unnest('{80, 15, 5}'::float8[]) v;
SELECT (crm_profile.value_tiers_fit(v)).* FROM unnest('{1, 1, 1, NULL, -5, 0}'::float8[]) v;
SELECT crm_profile.value_tiers_fit(v) IS NULL AS nobody FROM unnest('{0, -1, NULL}'::float8[]) v;
SELECT (t).a_from = 1e308 AS a_from, (t).b_from = 1e308 AS b_from FROM (SELECT crm_profile.value_tiers_fit(v) AS t FROM unnest('{5e-324, 1e308}'::float8[]) v) q;
SELECT (t).a_from = 5e-324 AS a_from, (t).b_from = 5e-324 AS b_from FROM (SELECT crm_profile.value_tiers_fit(v) AS t FROM unnest('{5e-324}'::float8[]) v) q;
SELECT crm_profile.value_tiers_fit(v) FROM unnest('{1, NaN}'::float8[]) v;
SELECT crm_profile.value_tiers_fit(v) FROM unnest('{1, Infinity}'::float8[]) v;
SELECT v, crm_profile.value_tier(v, 5, 3) AS tier, crm_profile.value_tier(v::float8, 5, 3) AS of_estimate, crm_profile.value_tier(v, NULL, NULL) AS nobody FROM unnest('{6, 5, 4.99, 3, 2, NULL}'::numeric[]) v;

-- ---------------------------------------------------------------- many customers: the holdout test takes a sample
SELECT count(*) FILTER (WHERE crm_profile_internal.in_sample(k::text, 0)) AS none, count(*) FILTER (WHERE crm_profile_internal.in_sample(k::text, 1)) AS all,
	abs(count(*) FILTER (WHERE crm_profile_internal.in_sample(k::text, 0.1)) - 2000) < 200 AS tenth,
	count(*) FILTER (WHERE crm_profile_internal.in_sample(k::text, 0.1) AND NOT crm_profile_internal.in_sample(k::text, 0.2)) AS not_in_larger
FROM generate_series(1, 20000) k;
CREATE TABLE many AS SELECT c AS customer_id, date '2025-01-01' + (c * 7 + i * 60) % 365 AS day, 10 AS amount FROM generate_series(1, 105000) c, generate_series(0, c % 2) i;
CREATE TABLE people AS SELECT generate_series(1, 105000) AS id;
ALTER TABLE people ADD PRIMARY KEY (id);
SELECT count(*) FROM crm_profile.create_source('many', 'people', 'many', order_customer => 'customer_id', amount => 'amount', as_of => '2025-12-31');
SELECT customers FROM crm_profile.refresh('many');
SELECT h.customers = (SELECT count(DISTINCT customer_id) FROM many WHERE day <= h.fit_until AND crm_profile_internal.in_sample(customer_id::text, 100000 / 105000.0::float8)) AS sample, h.customers < 100000 AS fewer,
	round(c.number::numeric, 4) AS share FROM many.model_holdout h, many.model_card_details c WHERE h.part = 'total' AND c.item = 'share tested';
SELECT crm_profile.drop_source('many');
DROP SCHEMA rhythm CASCADE;
DROP FUNCTION public.refreshed(text);
