-- Fits of the models of repeat purchase: published results, what must not matter, what must be reported, simulated customers
CREATE SCHEMA test_clv_fit;
SET search_path TO test_clv_fit, crm_profile;
SET extra_float_digits TO 1;
SET jit TO off; -- the helpers run thousands of small queries
SET datestyle TO iso;
SET intervalstyle TO postgres;

CREATE TABLE purchase (customer int, day date, amount numeric);
\getenv abs_srcdir PG_ABS_SRCDIR
\set cmd '\\copy purchase from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:cmd
CREATE TABLE cdnow AS SELECT customer, purchase_history_agg(day, amount) AS history FROM purchase GROUP BY customer;

-- ---------------------------------------------------------------- CDNOW, weeks 1 to 39: published fits

CREATE TABLE fitted AS
SELECT 'bg' AS name, clv_fit(history, '1997-09-30', 'bg/nbd') AS m FROM cdnow
UNION ALL SELECT 'mbg', clv_fit(history, '1997-09-30') FROM cdnow
UNION ALL SELECT 'pareto', clv_fit(history, '1997-09-30', 'pareto/nbd') FROM cdnow;
-- 0.243 4.414 0.793 2.426, 0.525 6.183 0.891 1.614, 0.553 10.578 0.606 11.669; 6.25 3.74 15.44
SELECT name, string_agg(round(estimate::numeric, 3)::text, ' ' ORDER BY o) FILTER (WHERE part = 'purchases') AS purchases,
	string_agg(round(estimate::numeric, 2)::text, ' ' ORDER BY o) FILTER (WHERE part = 'spend') AS spend,
	min(status) AS status, bool_and(standard_error > 0 AND standard_error < estimate) AS errors
FROM fitted, clv_parameters(m) WITH ORDINALITY AS p (part, parameter, estimate, standard_error, status, o) GROUP BY name ORDER BY name;
-- -9582.43 -9582.13 -9594.97; -4055.92
SELECT name, model, value, unit, as_of, status, customers, repeaters, repeat_purchases, round(log_likelihood::numeric, 2) AS log_likelihood,
	spend_status, spend_customers, spend_excluded, round(spend_log_likelihood::numeric, 2) AS spend, round(mean_value::numeric, 2) AS mean_value
FROM fitted, clv_model_card(m) ORDER BY name;
-- The log-likelihood of the card is that of the customers
SELECT name, max(abs(c.log_likelihood - l)) < 1e-6 AS same FROM (SELECT name, m, sum(clv_log_likelihood(history, m, '1997-09-30')) AS l
	FROM fitted, cdnow GROUP BY name, m) q, clv_model_card(m) c GROUP BY name ORDER BY name;
-- x = 26, t_x = 30.857, T = 31: 0.9689 and 25.757; 0.9979 and 25.456
CREATE FUNCTION customer(x int, t_x int) RETURNS purchase_history LANGUAGE sql IMMUTABLE AS $$
	SELECT purchase_history_agg(day, 10) FROM (
		SELECT date '2020-01-01' UNION ALL
		SELECT date '2020-01-01' + t_x - x + i FROM generate_series(1, x) i) d (day) $$;
SELECT name, round(p_alive(customer(26, 216), m, '2020-08-05')::numeric, 4) AS p_alive,
	round(expected_purchases(customer(26, 216), m, '2020-08-05', '52 weeks')::numeric, 3) AS purchases FROM fitted WHERE name <> 'mbg' ORDER BY name;
SELECT string_agg(round(expected_value(history, m, '1997-09-30')::numeric, 2)::text, ' ' ORDER BY customer)
	AS "24.65 18.91 35.17 35.17 35.17 71.46 18.91 35.17 27.28 35.17"
FROM fitted, cdnow WHERE name = 'bg' AND customer <= 10;
-- One-time buyers: with first_purchase their value moves towards what they spent, up for big spenders, down for small ones
SELECT customer, round(monetary(history, '1997-09-30')) AS first, round(expected_value(history, m, '1997-09-30')) AS population,
	round(expected_value(history, m, '1997-09-30', true)) AS leaning,
	abs(clv(history, m, '1997-09-30', '90 days', 0) / expected_purchases(history, m, '1997-09-30', '90 days')
		/ expected_value(history, m, '1997-09-30', true) - 1) < 1e-9 AS as_clv
FROM fitted, cdnow WHERE name = 'mbg' AND purchase_days(history, '1997-09-30') = 1 AND customer < 30 ORDER BY customer LIMIT 6;

-- Holdout, weeks 40 to 78: 1882 purchases; 1653 and 1666 predicted
SELECT part, class, customers, round(predicted) AS predicted, actual, round(calibration::numeric, 2) AS calibration,
	round(mean_absolute_error::numeric, 2) AS error, round(correlation::numeric, 2) AS correlation
FROM unnest((SELECT clv_holdout(history, '1997-09-30', '1998-06-30', 'bg/nbd') FROM cdnow));
SELECT round(predicted) AS predicted, actual FROM unnest((SELECT clv_holdout(history, '1997-09-30', '1998-06-30', 'pareto/nbd') FROM cdnow)) WHERE part = 'total';
-- The same by hand
SELECT abs(l.predicted - h.predicted) < 1e-6 AS predicted, l.actual = h.actual AS actual, abs(l.mean_absolute_error - h.error) < 1e-9 AS error,
	abs(l.correlation - h.correlation) < 1e-9 AS correlation
FROM unnest((SELECT clv_holdout(history, '1997-09-30', '1998-06-30') FROM cdnow)) l,
	(SELECT sum(p) AS predicted, sum(a) AS actual, avg(abs(p - a)) AS error, corr(p, a) AS correlation FROM (
		SELECT expected_purchases(history, m, '1997-09-30', '273 days') AS p, purchase_days(history) - purchase_days(history, '1997-09-30') AS a
		FROM fitted, cdnow WHERE name = 'mbg') q) h
WHERE l.part = 'total';
SELECT clv_holdout(history, '1998-06-30', '1998-06-30') FROM cdnow;

-- ---------------------------------------------------------------- what must not matter

-- The order of the rows, parallel plans, partial aggregates
SELECT (SELECT clv_fit(history, '1997-09-30' ORDER BY customer) FROM cdnow) = m AS up,
	(SELECT clv_fit(history, '1997-09-30' ORDER BY customer DESC) FROM cdnow) = m AS down FROM fitted WHERE name = 'mbg';
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
SELECT clv_fit(history, '1997-09-30') = (SELECT m FROM fitted WHERE name = 'mbg') AS parallel FROM cdnow;
COMMIT;
-- first a few customers, then more and more: states grow while they are combined, also without a parallel plan
BEGIN;
CREATE TABLE parted (customer int, history purchase_history) PARTITION BY RANGE (customer);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (15);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (15) TO (800);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (800) TO (1600);
CREATE TABLE parted_4 PARTITION OF parted FOR VALUES FROM (1600) TO (MAXVALUE);
INSERT INTO parted SELECT * FROM cdnow;
SET LOCAL enable_partitionwise_aggregate = on;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT clv_fit(history, '1997-09-30') = (SELECT m FROM fitted WHERE name = 'mbg') AS by_partition FROM parted;
ROLLBACK;
-- The unit: rates by day are those by week over 7
SELECT abs(w.estimate / d.estimate - CASE parameter WHEN 'alpha' THEN 1 / 7.0 ELSE 1 END) < 1e-5 AS same, parameter
FROM (SELECT clv_fit(history, '1997-09-30', 'mbg/nbd', '1 day') AS m FROM cdnow) q, clv_parameters(q.m) d
	JOIN LATERAL (SELECT p.* FROM fitted f, clv_parameters(f.m) p WHERE f.name = 'mbg') w USING (part, parameter) ORDER BY part, parameter;
-- GROUP BY and FILTER
SELECT half, m = CASE half WHEN 0 THEN even ELSE odd END AS same
FROM (SELECT customer % 2 AS half, clv_fit(history, '1997-09-30') AS m FROM cdnow GROUP BY 1) g,
	(SELECT clv_fit(history, '1997-09-30') FILTER (WHERE customer % 2 = 0) AS even,
		clv_fit(history, '1997-09-30') FILTER (WHERE customer % 2 = 1) AS odd FROM cdnow) f ORDER BY half;
-- NULLs and customers of later days do not count
SELECT clv_fit(h, '1997-09-30') = (SELECT m FROM fitted WHERE name = 'mbg') AS same
FROM (SELECT history FROM cdnow UNION ALL VALUES (NULL), ('{}'::purchase_history), ('{1998-01-01: 5}'), ('{1997-02-01: -5 (0 orders)}')) v (h);
SELECT clv_fit(history, '1990-01-01') IS NULL AS nobody_yet, clv_fit(NULL, '1997-09-30') IS NULL AS no_history, clv_fit(history, NULL) IS NULL AS no_day FROM cdnow;

-- ---------------------------------------------------------------- profit

-- Cost at 60 % of each amount: profit is two fifths of revenue, and so are its predictions
CREATE TABLE costed AS SELECT customer, purchase_history_agg(day, amount, round(amount * 0.6, 4)) AS history FROM purchase GROUP BY customer;
SELECT abs(expected_value(c.history, p, '1997-09-30') / expected_value(c.history, m, '1997-09-30') - 0.4) < 1e-4 AS value,
	abs(clv(c.history, p, '1997-09-30', '1 year', 0.01) / clv(c.history, m, '1997-09-30', '1 year', 0.01) - 0.4) < 1e-4 AS clv,
	(clv_model_card(p)).value
FROM (SELECT clv_fit(history, '1997-09-30', 'mbg/nbd', '1 week', 'profit') AS p FROM costed) q, fitted, costed c WHERE name = 'mbg' AND customer IN (1, 3) ORDER BY customer;
-- No cost is known: profit is NULL
SELECT spend_status, spend_customers, expected_value('{1997-01-01: 5}', m, '1997-09-30') IS NULL AS unknown
FROM (SELECT clv_fit(history, '1997-09-30', NULL, NULL, 'profit') AS m FROM cdnow) q, clv_model_card(m);

-- ---------------------------------------------------------------- fallbacks, and what is reported about them

-- All one-time buyers
SELECT status, customers, repeaters, spend_status, expected_purchases('{2020-02-01: 5}', m, '2020-06-01', '90 days') BETWEEN 0 AND 0.2 AS usable,
	expected_value('{2020-02-01: 5}', m, '2020-06-01') IS NULL AS no_value
FROM (SELECT clv_fit(h, '2020-06-01', model) AS m, model FROM (SELECT customer(0, 0) || customer(0, 0) AS h FROM generate_series(1, 50)) v,
	unnest('{bg/nbd, mbg/nbd, pareto/nbd}'::text[]) model GROUP BY model) q, clv_model_card(m) ORDER BY q.model;
-- A single customer, new today
SELECT status, p_alive('{2020-01-01: 5}', m, '2020-02-01') BETWEEN 0 AND 1 AS usable FROM (SELECT clv_fit('{2020-01-01: 5}', '2020-01-01') AS m) q, clv_model_card(m);
-- Everybody alike: the likelihood increases towards no differences at all
SELECT status, spend_status, p_alive(customer(10, 100), m, '2020-04-20') BETWEEN 0 AND 1 AS usable
FROM (SELECT clv_fit(customer(10, 100), '2020-04-12', 'pareto/nbd') AS m FROM generate_series(1, 100)) q, clv_model_card(m);
-- Refunds that cancel the repeat purchases of a third: values of either sign, and the mean is that of all
SELECT spend_status, spend_customers, spend_excluded, mean_value, round(expected_value('{2020-01-01: 9, 2020-02-01: 7, 2020-02-02: -8 (0 orders)}', m, '2020-06-01')::numeric, 6) AS value
FROM (SELECT clv_fit(h, '2020-06-01', 'mbg/nbd') AS m FROM (VALUES ('{2020-01-01: 9, 2020-02-01: 7, 2020-02-02: -8 (0 orders)}'::purchase_history),
	('{2020-01-01: 9, 2020-02-01: 20}'), ('{2020-01-01: 9, 2020-03-01: 30, 2020-04-01: 10}')) v (h)) q, clv_model_card(m);
-- A tail of amounts without a mean (q = 1/2): the mean value replaces it, and counts as one purchase
SELECT spend_status, spend_customers, abs(expected_value('{2020-01-01: 1, 2020-02-01: 100}', m, '2020-06-01') / ((mean_value + 100) / 2) - 1) < 1e-9 AS shrunk
FROM (SELECT clv_fit((SELECT purchase_history_agg(date '2020-01-01' + 20 * j, round((401.0 / i) ^ 2, 2)) FROM generate_series(0, 1 + i % 3) j), '2020-06-01') AS m
	FROM generate_series(1, 400) i) q, clv_model_card(m);

-- ---------------------------------------------------------------- Online Retail: nobody seems to leave within the year

\i :abs_srcdir/data/online_retail.psql
CREATE TABLE retail AS SELECT customer, purchase_history_agg(ordered_at, amount) AS history FROM orders WHERE customer IS NOT NULL GROUP BY customer;
CREATE TABLE retail_fit AS SELECT model, clv_fit(history, '2011-12-09', model) AS m FROM retail, unnest('{bg/nbd, mbg/nbd, pareto/nbd}'::text[]) model GROUP BY model;
-- SciPy, from likelihoods of its own, with the inverse of the numerical Hessian: bg/nbd 0.82654 9.8436 0.0034374 6.7450 (0.02678 0.3731 0.01034 22.415),
-- -37645.5376; mbg/nbd 0.82742 9.8621 0.0018562 11.8936 (0.02676 0.3723 0.01242 66.56), -37645.6397; spend 2.0011 3.6055 521.10, -18859.8265.
-- pareto/nbd from six starts: no dropout at all, hence r and alpha of the NBD, 0.82756 9.8704, -37645.6573. There the likelihood's derivative towards any
-- dropout rate from 1e-6 to 1e4 a week is negative (-10263 by the rate, at its least): no mixture of rates is more likely.
SELECT q.model, status, round(log_likelihood::numeric, 3) AS log_likelihood, string_agg(parameter || ' ' || CASE WHEN standard_error IS NULL THEN '-' ELSE estimate::numeric(12, 5)::text END, ', ' ORDER BY o) AS estimates,
	string_agg(coalesce(standard_error::numeric(12, 4)::text, '-'), ' ' ORDER BY o) AS errors
FROM (SELECT f.model, c.status, c.log_likelihood, p.parameter, p.estimate, p.standard_error, p.o FROM retail_fit f, clv_model_card(m) c,
	clv_parameters(m) WITH ORDINALITY AS p (part, parameter, estimate, standard_error, status, o) WHERE part = 'purchases') q GROUP BY q.model, status, log_likelihood ORDER BY model;
SELECT max(estimate) FILTER (WHERE parameter = 's') / max(estimate) FILTER (WHERE parameter = 'beta') < 1e-8 AS nobody_leaves
FROM retail_fit, clv_parameters(m) WHERE model = 'pareto/nbd';
SELECT DISTINCT spend_status, round(spend_log_likelihood::numeric, 4) AS log_likelihood, spend_customers, spend_excluded,
	(SELECT string_agg(round(estimate::numeric, 4)::text, ' ' ORDER BY o) FROM clv_parameters(m) WITH ORDINALITY AS p (part, parameter, estimate, se, status, o) WHERE part = 'spend') AS p_q_v
FROM retail_fit, clv_model_card(m);
-- No dropout of any kind is more likely than none
SELECT count(*) AS tried, count(*) FILTER (WHERE l > told) AS more_likely FROM (SELECT rate, s, min(told) AS told, sum(clv_log_likelihood(history, other, '2011-12-09')) AS l
	FROM retail, unnest('{0.05, 1, 20, 1e6}'::float8[]) s, unnest('{1e-6, 1e-4, 0.01, 1}'::float8[]) rate, clv_model('pareto/nbd', ARRAY[0.827559, 9.870365, s, s / rate]) other,
		(SELECT (clv_model_card(m)).log_likelihood AS told FROM retail_fit WHERE model = 'pareto/nbd') f GROUP BY rate, s) q;
-- Predictions and intervals at the edge: nobody is lost; the NBD's (r + x)/(alpha + T) purchases a week
SELECT bool_and(p_alive(history, m, '2011-12-09') > 0.999) AS alive,
	bool_and(abs(expected_purchases(history, m, '2011-12-09', '7 days') - (0.827559 + purchase_days(history) - 1) / (9.870365 + ('2011-12-09' - first_purchase(history)) / 7.0)) < 1e-5) AS purchases,
	bool_and(e.lower < expected_purchases(history, m, '2011-12-09', '7 days') AND expected_purchases(history, m, '2011-12-09', '7 days') < e.upper) AS intervals
FROM retail, retail_fit, expected_purchases_interval(history, m, '2011-12-09', '7 days') e WHERE model = 'pareto/nbd' AND purchase_days(history) > 0;
-- spend_excluded in plain SQL: repeaters whose net amount after the first purchase day is not positive. Were refunds on days without a purchase left out, there would be 9.
SELECT count(*) AS repeaters, count(*) FILTER (WHERE net <= 0) AS net, count(*) FILTER (WHERE on_purchase_days <= 0) AS on_purchase_days FROM (
	SELECT sum(amount) FILTER (WHERE day > first) AS net, sum(amount) FILTER (WHERE day > first AND bought) AS on_purchase_days
	FROM (SELECT customer, day, amount, bought, min(day) FILTER (WHERE bought) OVER (PARTITION BY customer) AS first
		FROM (SELECT customer, ordered_at::date AS day, sum(amount) AS amount, bool_or(amount >= 0) AS bought FROM orders WHERE customer IS NOT NULL GROUP BY 1, 2) d) f
	GROUP BY customer HAVING count(*) FILTER (WHERE bought) > 1) q;

-- ---------------------------------------------------------------- at the edges

SET client_min_messages TO warning; -- what is told comes in the order of the groups
-- Everybody buys every ten weeks and stays: r and alpha grow without limit, their ratio is 4 purchases in 349 days
SELECT c.status, max(p_alive(customer(1, 60), m, '2020-12-26')) > 0.999 AS nobody_leaves,
	abs(max(estimate) FILTER (WHERE parameter = 'r') / max(estimate) FILTER (WHERE parameter = 'alpha') - 4 / (349 / 7.0)) < 1e-5 AS rate
FROM (SELECT clv_fit(h, '2020-12-15', model) AS m FROM (SELECT purchase_history_agg(date '2020-01-01' + 70 * j, 10 + i % 3) AS h
	FROM generate_series(1, 60) i, generate_series(0, 4) j GROUP BY i) q, unnest('{bg/nbd, mbg/nbd, pareto/nbd}'::text[]) model GROUP BY model) f,
	clv_model_card(m) c, clv_parameters(m) p WHERE p.part = 'purchases' GROUP BY m, c.status, c.model ORDER BY c.model;
-- Half of them leave at once, half stay: a and b vanish, their ratio is 1
SELECT c.status, abs(max(estimate) FILTER (WHERE parameter = 'a') / max(estimate) FILTER (WHERE parameter = 'b') - 1) < 0.01 AS ratio, max(estimate) FILTER (WHERE parameter = 'a') < 1e-6 AS vanish
FROM (SELECT clv_fit(CASE WHEN i % 2 = 0 THEN '{2020-01-01: 10}' ELSE h END, '2020-12-15', 'mbg/nbd') AS m FROM (SELECT i, purchase_history_agg(date '2020-01-01' + 10 * j + i % 7, 10 + i % 3) AS h
	FROM generate_series(1, 100) i, generate_series(0, 34) j GROUP BY i) q) f, clv_model_card(m) c, clv_parameters(m) p WHERE p.part = 'purchases' GROUP BY c.status;
RESET client_min_messages;

-- Options that differ from row to row; unknown ones
SELECT clv_fit(history, '1997-09-30'::date + customer % 2) FROM cdnow;
SELECT clv_fit(history, '1997-09-30', CASE WHEN customer > 5 THEN 'bg/nbd' ELSE 'mbg/nbd' END) FROM cdnow;
SELECT clv_fit(history, '1997-09-30', 'nbd') FROM cdnow;
SELECT clv_fit(history, '1997-09-30', 'bg/nbd', '0 days') FROM cdnow;
SELECT clv_fit(history, '1997-09-30', 'bg/nbd', '1 week', 'turnover') FROM cdnow;
SELECT clv_fit(history, 'infinity') FROM cdnow;

-- Support functions called directly, and states that no fit has written
SELECT crm_profile_internal.clv_fit_transfn(NULL, '{}', '1997-09-30');
SELECT crm_profile_internal.summary_state_combine(NULL, '\x00');
SELECT crm_profile_internal.clv_fit_finalfn('\x00');
CREATE AGGREGATE hostile(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.clv_fit_finalfn);
CREATE FUNCTION refused(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT CASE WHEN hostile(state) IS NULL THEN 'nothing' ELSE 'a model' END);
EXCEPTION WHEN data_corrupted THEN RETURN 'refused';
END $$;
CREATE AGGREGATE bare(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea);
CREATE AGGREGATE bare_state(h purchase_history, as_of date) (SFUNC = crm_profile_internal.clv_fit_transfn, STYPE = bytea);
CREATE AGGREGATE rhythm_state(h purchase_history, as_of date) (SFUNC = crm_profile_internal.rhythm_fit_transfn, STYPE = bytea);
CREATE TABLE state AS SELECT bare_state(history, '1997-09-30') AS s FROM cdnow WHERE customer < 20;
SET client_min_messages TO error;
-- Partial states of any number: a parallel plan's, which the executor keeps and frees
CREATE AGGREGATE merged(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.clv_fit_finalfn);
SELECT merged(s) = (SELECT m FROM fitted WHERE name = 'mbg') AS merged FROM (SELECT bare_state(history, '1997-09-30') AS s FROM cdnow GROUP BY customer % 50) q;
SELECT refused(s) AS sound, refused('') AS empty, refused('\x01') AS short, refused(substring(s FROM 1 FOR 60)) AS cut FROM state;
-- Every byte of the header and the first entries inverted: rejected or fitted, never anything else
SELECT count(*) AS tries FROM state, generate_series(0, 200) i, LATERAL refused(set_byte(s, i, get_byte(s, i) # 255)) r WHERE r IN ('refused', 'a model', 'nothing');
-- Valid states without room, or with room for one entry: they grow like any other
CREATE FUNCTION roomy(state bytea, facts int) RETURNS bytea LANGUAGE sql AS $$
	SELECT substring(state FROM 1 FOR 28) || decode(repeat('00', 112 + 24 * facts), 'hex') $$;
CREATE FUNCTION start_from(name text, kind text, state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE AGGREGATE %I(h purchase_history, as_of date) (SFUNC = crm_profile_internal.%I, STYPE = bytea, FINALFUNC = crm_profile_internal.%I, INITCOND = %L)',
		name, kind || '_transfn', kind || '_finalfn', state);
	RETURN name;
END $$;
SELECT start_from('fit_from_none', 'clv_fit', roomy(s, 0)), start_from('fit_from_one', 'clv_fit', roomy(s, 1)) FROM state;
SELECT start_from('rhythm_from_none', 'rhythm_fit', roomy(rhythm_state(history, '1997-09-30'), 0)) FROM cdnow WHERE customer = 1;
SELECT length(roomy(s, 0)) AS bytes FROM state;
SELECT fit_from_none(history, '1997-09-30') = m AS no_room, fit_from_one(history, '1997-09-30') = m AS room_for_one, rhythm_from_none(history, '1997-09-30') = rhythm_fit(history, '1997-09-30') AS rhythm
FROM cdnow, fitted WHERE name = 'mbg' GROUP BY m;
RESET client_min_messages;

-- ---------------------------------------------------------------- 200 simulated data sets over a wide grid

\set fixture :abs_srcdir '/fixtures/gamma_variate.sql'
\i :fixture
-- Customers who behave as the model says, first seen over 20 weeks, watched until week 60
CREATE FUNCTION simulate(customers int, model text, r float8, alpha float8, a float8, b float8) RETURNS SETOF purchase_history LANGUAGE plpgsql AS $$
DECLARE birth float8; rate float8; drop_out float8; died float8; time float8; days date[]; previous int; day int;
BEGIN
	FOR i IN 1..customers LOOP
		birth := floor(random() * 140);
		rate := greatest(gamma_variate(r) / alpha / 7, 1e-12);
		drop_out := 0; died := 420;
		IF model = 'pareto/nbd' THEN
			died := least(died, birth - ln(1 - random()) / greatest(gamma_variate(a) / b / 7, 1e-12));
		ELSE
			drop_out := gamma_variate(a);
			drop_out := drop_out / (drop_out + gamma_variate(b));
		END IF;
		time := birth; previous := birth; days := ARRAY[date '2022-01-01' + previous];
		IF model <> 'mbg/nbd' OR random() >= drop_out THEN
			LOOP
				time := time - ln(1 - random()) / rate;
				EXIT WHEN time >= died;
				day := greatest(floor(time)::int, previous + 1);
				EXIT WHEN day > 420;
				days := days || (date '2022-01-01' + day);
				previous := day;
				EXIT WHEN random() < drop_out;
			END LOOP;
		END IF;
		RETURN NEXT (SELECT purchase_history_agg(d, 10) FROM unnest(days) d);
	END LOOP;
END $$;
SELECT setseed(0.25);
CREATE TABLE world AS
SELECT row_number() OVER () AS id, * FROM unnest('{bg/nbd, mbg/nbd, pareto/nbd}'::text[]) model,
	unnest('{0.2, 0.6, 1.5, 5}'::float8[]) r, unnest('{3, 12, 40}'::float8[]) alpha,
	(VALUES (0.3, 2), (0.8, 2.5), (1.5, 1.5), (3, 10), (0.5, 20), (2, 0.6)) v (a, b)
LIMIT 200;
CREATE TABLE simulated AS SELECT id, h FROM world, simulate(250, model, r, alpha, a, b) h;
SET client_min_messages TO error;
CREATE TABLE fit AS SELECT id, w.model, clv_model(w.model, ARRAY[r, alpha, a, b]) AS truth, clv_fit(h, '2023-02-25', w.model) AS m
	FROM world w JOIN simulated USING (id) GROUP BY id, w.model, r, alpha, a, b;
RESET client_min_messages;
-- Every fit has found its maximum, inside or at an edge, except those with hardly a repeat purchase
SELECT count(*) AS fits, count(*) FILTER (WHERE status = 'converged') >= 140 AS inside, count(*) FILTER (WHERE status IN ('converged', 'edge')) AS converged,
	count(*) FILTER (WHERE status = 'few repeaters' AND repeaters < 10) AS few_repeaters
FROM fit, clv_model_card(m);
-- No silent failures: no reported maximum is less likely than the truth, or than a point beside it in any direction of the parameters
CREATE TABLE beside AS
SELECT id, f.model, e.l, clv_model(f.model, ARRAY[e.p[1] * exp(s[1]), e.p[2] * exp(s[2]), e.p[3] * exp(s[3]), e.p[4] * exp(s[4])]) AS m
FROM fit f, LATERAL (SELECT array_agg(p.estimate ORDER BY o) AS p, min(c.log_likelihood) AS l
		FROM clv_model_card(f.m) c, clv_parameters(f.m) WITH ORDINALITY AS p (part, parameter, estimate, se, status, o)
		WHERE p.part = 'purchases' AND c.status IN ('converged', 'edge')) e,
	unnest('{0.02, -0.02}'::float8[]) d, LATERAL (VALUES (ARRAY[d, 0, 0, 0]), (ARRAY[0, d, 0, 0]), (ARRAY[0, 0, d, 0]), (ARRAY[0, 0, 0, d]),
		(ARRAY[d, d, 0, 0]), (ARRAY[0, 0, d, d])) v (s)
WHERE e.l IS NOT NULL;
SELECT count(*) AS silent_failures FROM (
	SELECT b.id FROM beside b JOIN simulated USING (id) GROUP BY b.id, b.m, b.l HAVING sum(clv_log_likelihood(h, b.m, '2023-02-25')) > b.l + 1e-5
	UNION SELECT f.id FROM fit f JOIN simulated USING (id), clv_model_card(f.m) c WHERE c.status IN ('converged', 'edge') GROUP BY f.id, f.truth, c.log_likelihood
		HAVING sum(clv_log_likelihood(h, f.truth, '2023-02-25')) > c.log_likelihood) q;
-- Parameters within two standard errors of the truth in about 95 of 100 cases (whole days blur them a little)
SELECT avg((abs(ln(p.estimate / t.estimate)) <= 2 * p.standard_error / p.estimate)::int) > 0.88 AS covered
FROM fit f, clv_parameters(f.m) p JOIN LATERAL clv_parameters(f.truth) t USING (part, parameter) WHERE p.status = 'converged' AND p.part = 'purchases';
-- The record's fits, which start from one another, forecast what fits from scratch do
SET client_min_messages TO error;
CREATE TABLE line AS SELECT id, l.* FROM (SELECT id, clv_record(h, '2023-02-25', 90) AS record FROM simulated WHERE id % 40 = 6 GROUP BY id) r, unnest(record) l;
CREATE TABLE line_fit AS SELECT id, candidate, fit_until, clv_fit(h, fit_until, candidate) AS m FROM line JOIN simulated USING (id) GROUP BY id, candidate, fit_until;
SELECT count(*) > 60 AS lines, count(*) FILTER (WHERE abs(predicted / expected - 1) > 0.005) AS differ
FROM line JOIN (SELECT id, candidate, fit_until, sum(expected_purchases(h, m, fit_until, '90 days')) AS expected FROM line_fit JOIN simulated USING (id) GROUP BY id, candidate, fit_until) f USING (id, candidate, fit_until);
RESET client_min_messages;
-- Fallbacks are usable
SELECT bool_and(p_alive(h, m, '2023-02-25') BETWEEN 0 AND 1 AND expected_purchases(h, m, '2023-02-25', '1 year') BETWEEN 0 AND 366) AS usable
FROM fit JOIN simulated USING (id), clv_model_card(m) WHERE status <> 'converged';
SET client_min_messages TO error;
DROP SCHEMA test_clv_fit CASCADE;
