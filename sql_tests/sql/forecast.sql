-- Regular buyers, seasons, customers from before the data, and a model chosen by its record
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA test_forecast;
SET search_path TO test_forecast, crm_profile;
SET extra_float_digits TO 1;
SET jit TO off; -- the helpers run thousands of small queries
SET datestyle TO iso;
SET intervalstyle TO postgres;

-- ---------------------------------------------------------------- the formulas of the papers, in SQL

-- x repeat purchases, one every `gap` days from 2024-01-01 on
CREATE FUNCTION regular(x int, gap int) RETURNS purchase_history LANGUAGE sql IMMUTABLE AS $$
	SELECT purchase_history_agg(date '2024-01-01' + gap * i, 10) FROM generate_series(0, x) i $$;
-- ln Γ(a + n) / Γ(a)
CREATE FUNCTION ln_rising(a float8, n int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE l float8 := 0;
BEGIN
	FOR i IN 0..n - 1 LOOP l := l + ln(a + i); END LOOP;
	RETURN l;
END $$;
-- ln of Σ over j < k of (A)_j / j! q^j
CREATE FUNCTION ln_phases(k int, a float8, q float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE l float8 := 0;
BEGIN
	FOR j IN 0..k - 1 LOOP l := l + exp(ln_rising(a, j) - ln_rising(1, j)) * CASE WHEN j = 0 THEN 1 ELSE q ^ j END; END LOOP;
	RETURN ln(l);
END $$;
-- The likelihood of the paper without the factor of the single gaps; m: chances to leave at the first purchase
CREATE FUNCTION ln_likelihood(k int, m int, r float8, alpha float8, a float8, b float8, x int, t_x float8, t float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT ln_rising(r, k * x) + r * ln(alpha) + ln_rising(b, x + m) - ln_rising(a + b, x + m) +
		ln(exp(ln_phases(k, r + k * x, (t - t_x) / (alpha + t)) - (r + k * x) * ln(alpha + t))
			+ CASE WHEN m + x > 0 THEN a / (b + x + m - 1) * exp(-(r + k * x) * ln(alpha + t_x)) ELSE 0 END) $$;
-- P(alive): the share of the first term
CREATE FUNCTION alive(k int, m int, r float8, alpha float8, a float8, b float8, x int, t_x float8, t float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT exp(ln_rising(r, k * x) + r * ln(alpha) + ln_rising(b, x + m) - ln_rising(a + b, x + m)
		+ ln_phases(k, r + k * x, (t - t_x) / (alpha + t)) - (r + k * x) * ln(alpha + t) - ln_likelihood(k, m, r, alpha, a, b, x, t_x, t)) $$;
-- Purchases while alive: Σ over i of P(the i-th purchase falls into the horizon) E[(1-p)^(i-1)], averaged over the phases
CREATE FUNCTION purchases(k int, m int, r float8, alpha float8, a float8, b float8, x int, t_x float8, t float8, h float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE weight float8; weights float8 := 0; total float8 := 0; ratio float8 := h / (alpha + t); shape float8; n int; count float8; at_most float8; survival float8; e float8;
BEGIN
	FOR j IN 0..k - 1 LOOP
		shape := r + k * x + j; weight := exp(ln_rising(r + k * x, j) - ln_rising(1, j)) * CASE WHEN j = 0 THEN 1 ELSE ((t - t_x) / (alpha + t)) ^ j END;
		n := 0; count := (1 + ratio) ^ -shape; at_most := 0; survival := 1; e := 0;
		FOR i IN 1..60 LOOP
			WHILE n < k * i - j LOOP
				at_most := at_most + count; count := CASE WHEN count < 1e-200 THEN 0 ELSE count END * (shape + n) / (n + 1) * ratio / (1 + ratio); n := n + 1;
			END LOOP;
			e := e + (1 - at_most) * survival;
			survival := survival * (b + x + m + i - 1) / (a + b + x + m + i - 1);
		END LOOP;
		total := total + weight * e; weights := weights + weight;
	END LOOP;
	RETURN total / weights;
END $$;
CREATE TABLE grid AS
SELECT k, m, v.*, c.*, clv_model(CASE m WHEN 0 THEN 'bg/cnbd-' ELSE 'mbg/cnbd-' END || k, ARRAY[r, alpha, a, b], unit => '1 day') AS model,
	regular(x, gap) AS h, date '2024-01-01' + gap * x + silence AS as_of
FROM unnest('{1, 2, 3, 7, 12}'::int[]) k, unnest('{0, 1}'::int[]) m, (VALUES (0.5::float8, 30::float8, 0.8::float8, 2.5::float8), (2.3, 80, 0.2, 0.6)) v (r, alpha, a, b),
	(VALUES (0, 1, 0), (0, 1, 90), (1, 14, 5), (4, 30, 70), (9, 7, 200)) c (x, gap, silence);
SELECT count(*), max(abs(clv_log_likelihood(h, model, as_of) - ln_likelihood(k, m, r, alpha, a, b, x, x * gap, x * gap + silence))) < 1e-9 AS likelihood,
	max(abs(p_alive(h, model, as_of) - alive(k, m, r, alpha, a, b, x, x * gap, x * gap + silence))) < 1e-10 AS alive,
	max(abs(probability_of_purchase(h, model, as_of, '60 days') / alive(k, m, r, alpha, a, b, x, x * gap, x * gap + silence)
		- 1 + exp(ln_phases(k, r + k * x, (silence + 60) / (alpha + x * gap + silence + 60)) - ln_phases(k, r + k * x, silence / (alpha + x * gap + silence)))
		* ((alpha + x * gap + silence) / (alpha + x * gap + silence + 60)) ^ (r + k * x))) < 1e-9 AS purchase,
	max(abs(expected_purchases(h, model, as_of, '60 days') - alive(k, m, r, alpha, a, b, x, x * gap, x * gap + silence)
		* purchases(k, m, r, alpha, a, b, x, x * gap, x * gap + silence, 60))) < 1e-8 AS purchases,
	max(abs(lapse_probability(h, model, as_of) - lapse_probability(h, rhythm_model(k, r, alpha), as_of))) < 1e-10 AS lapse
FROM grid;
-- Regularity 1 is the plain model, to the bit
SELECT bool_and(clv_model('mbg/cnbd-1', '{1, 2, 3, 4}') = clv_model('mbg/nbd', '{1, 2, 3, 4}')) AS same;
-- The day of the next purchase: the first by which one is as likely as not; none if that is never
SELECT count(n) AS known, bool_and(probability_of_purchase(h, model, as_of, n - as_of::timestamp) >= 0.5 AND
	probability_of_purchase(h, model, as_of, n - as_of::timestamp - interval '1 day') < 0.5) FILTER (WHERE n IS NOT NULL) AS a_half,
	bool_and(probability_of_purchase(h, model, as_of, '99 years') < 0.5) FILTER (WHERE n IS NULL) AS never
FROM (SELECT *, next_purchase(h, model, as_of) AS n FROM grid) q;
-- The outlook is 1 on the day of a purchase and falls
SELECT bool_and(purchase_outlook(h, model, date '2024-01-01' + gap * x, '90 days') = 1) AS at_once,
	bool_and(purchase_outlook(h, model, as_of + 400, '90 days') < purchase_outlook(h, model, as_of + 200, '90 days')) AS falls FROM grid WHERE x > 0;
-- Numbers of purchases: they add up to 1, to one minus none, and to what is expected
SELECT max(abs((SELECT sum(p) FROM unnest(n) p) - 1)) < 1e-12 AS one, max(abs(1 - n[1] - probability_of_purchase(h, model, as_of, '60 days'))) < 1e-10 AS any_purchase,
	max(abs((SELECT sum(p * (i - 1)) FROM unnest(n) WITH ORDINALITY u (p, i)) - expected_purchases(h, model, as_of, '60 days'))) < 1e-8 AS purchases
FROM grid, LATERAL (SELECT purchase_probabilities(h, model, as_of, '60 days', 80) AS n) q;
-- The same of pareto/nbd, whose numbers are integrals: rates and lifetimes that hardly differ or very much, short and long histories, near and far
SELECT count(*), max(abs((SELECT sum(p) FROM unnest(n) p) - 1)) < 1e-12 AS one, max(abs(1 - n[1] - probability_of_purchase(h, m, '2024-12-31', horizon))) < 1e-9 AS any_purchase,
	max(abs((SELECT sum(p * (i - 1)) FROM unnest(n) WITH ORDINALITY u (p, i)) / expected_purchases(h, m, '2024-12-31', horizon) - 1)) FILTER (WHERE n[501] < 1e-15 * expected_purchases(h, m, '2024-12-31', horizon)) < 1e-10 AS purchases
FROM (VALUES (1, 0), (4, 30), (300, 1)) c (x, gap), LATERAL (SELECT purchase_history_agg(date '2024-01-01' + i * gap, 10) AS h FROM (VALUES (gap)) g (gap), generate_series(0, x - 1) i) h,
	(VALUES (0.5, 10.0), (1e4, 1e5)) r (r, alpha), (VALUES (0.5, 12.0), (3, 0.5), (1e4, 1e6)) s (s, beta), (VALUES (interval '1 day'), ('90 days'), ('2 years')) z (horizon),
	LATERAL (SELECT clv_model('pareto/nbd', ARRAY[r, alpha, s, beta]) AS m) m, LATERAL (SELECT purchase_probabilities(h, m, '2024-12-31', horizon, 500) AS n) n;
-- A brand-new customer is one whose first purchase is today
SELECT bool_and(expected_purchases(model, as_of, '60 days') = expected_purchases(new, model, as_of, '60 days')) AS new_customer
FROM grid, LATERAL (SELECT purchase_history_agg(d, 10) AS new FROM unnest(ARRAY[as_of]) d) q;
-- Far horizons: bounded by the purchases of a customer who never leaves, and of one who leaves at the first purchase
SELECT count(*), bool_and(e BETWEEN p - 1e-9 AND r / alpha * 400000 + x + 1) AS bounded
FROM grid, LATERAL (SELECT expected_purchases(h, model, as_of, '100 years') AS e, probability_of_purchase(h, model, as_of, '100 years') AS p) q;

-- ---------------------------------------------------------------- simulated customers: the fit recovers the parameters

\set fixture :abs_srcdir '/fixtures/gamma_variate.sql'
\i :fixture
-- Customers who first buy within the first `births` days and are watched for `days`; rates are by the week, and follow the month's factor
CREATE FUNCTION simulate(customers int, k int, m int, r float8, alpha float8, a float8, b float8, births int, days int, season float8[] DEFAULT NULL)
	RETURNS TABLE (history purchase_history, left_on date) LANGUAGE plpgsql AS $$
DECLARE rate float8; p float8; time float8; gap float8; bought date[]; previous int; day int; c float8[];
BEGIN
	-- weighted days up to each day, and back
	IF season IS NOT NULL THEN
		SELECT array_agg(w ORDER BY d) INTO c FROM (SELECT d, sum(season[extract(month FROM date '2020-01-01' + d)::int]) OVER (ORDER BY d) AS w FROM generate_series(1, days) d) q;
	END IF;
	FOR i IN 1..customers LOOP
		rate := greatest(gamma_variate(r) / alpha / 7, 1e-9);
		p := gamma_variate(a); p := p / (p + gamma_variate(b));
		previous := floor(random() * births); bought := ARRAY[date '2020-01-01' + previous]; left_on := NULL;
		time := CASE WHEN season IS NULL THEN previous ELSE coalesce(c[previous], 0) END;
		IF m = 1 AND random() < p THEN
			left_on := bought[1];
		ELSE
			LOOP
				gap := 0;
				FOR j IN 1..k LOOP gap := gap - ln(1 - random()) / rate; END LOOP;
				time := time + gap;
				day := CASE WHEN season IS NULL THEN least(round(time), 1000000)::int ELSE width_bucket(time, c) END;
				day := greatest(day, previous + 1);
				EXIT WHEN day > days;
				bought := bought || (date '2020-01-01' + day);
				previous := day;
				IF random() < p THEN left_on := date '2020-01-01' + day; EXIT; END IF;
			END LOOP;
		END IF;
		history := (SELECT purchase_history_agg(d, 10) FROM unnest(bought) d);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT setseed(0.5);
CREATE TABLE world AS SELECT k, m, (CASE m WHEN 0 THEN 'bg/cnbd-' ELSE 'mbg/cnbd-' END) AS family FROM generate_series(1, 6) k, generate_series(0, 1) m;
CREATE TABLE customer AS SELECT w.*, s.* FROM world w, simulate(1500, k, m, 1.2, 9.0 / k, 0.7, 2.2, 150, 900) s;
SET client_min_messages TO error;
-- k found, parameters within two standard errors in about 95 of 100 cases
CREATE TABLE fitted AS SELECT k, m, clv_fit(history, '2021-07-01', family || 'k') AS f FROM customer GROUP BY k, m, family;
SELECT k, m, c.model, c.status FROM fitted, clv_model_card(f) c ORDER BY m, k;
SELECT count(*), count(*) FILTER (WHERE abs(estimate - truth) <= 2 * standard_error) >= 43 AS within_two_errors, max(abs(estimate - truth) / standard_error) < 4 AS never_far
FROM fitted, clv_parameters(f) p, LATERAL (SELECT CASE parameter WHEN 'r' THEN 1.2 WHEN 'alpha' THEN 9.0 / k WHEN 'a' THEN 0.7 ELSE 2.2 END AS truth) t WHERE part = 'purchases';
-- Predictions of the true model for the next year, by repeat purchases, against the outcome: P(alive), whether and how often they bought (standard deviations)
CREATE TABLE known AS SELECT k, m, least(purchase_days(history, '2021-07-01') - 1, 5) AS x, as_of(history, '2021-07-01') AS history, left_on IS NULL OR left_on > '2021-07-01' AS alive,
	(purchase_days(history, '2022-01-01') - purchase_days(history, '2021-07-01'))::float8 AS n, clv_model(family || k, ARRAY[1.2, 9.0 / k, 0.7, 2.2]) AS model
FROM customer WHERE first_purchase(history) <= '2021-07-01';
SELECT count(*) AS classes, count(*) FILTER (WHERE abs(alive) < 2) >= 0.9 * count(*) AS alive, count(*) FILTER (WHERE abs(any_purchase) < 2) >= 0.9 * count(*) AS any_purchase,
	count(*) FILTER (WHERE abs(purchases) < 2) >= 0.9 * count(*) AS purchases, greatest(max(abs(alive)), max(abs(any_purchase)), max(abs(purchases))) < 4.5 AS never_far
FROM (SELECT k, m, x, (sum(alive::int) - sum(a)) / sqrt(sum(a * (1 - a)) + 1e-9) AS alive, (sum((n > 0)::int) - sum(p)) / sqrt(sum(p * (1 - p)) + 1e-9) AS any_purchase,
		(sum(n) - sum(e)) / sqrt(sum((n - e) ^ 2) + 1e-9) AS purchases
	FROM known, LATERAL (SELECT p_alive(history, model, '2021-07-01') AS a, probability_of_purchase(history, model, '2021-07-01', '6 months') AS p, expected_purchases(history, model, '2021-07-01', '6 months') AS e) q
	GROUP BY k, m, x HAVING count(*) >= 30 AND sum(a) < count(*)) q;
-- Three quarters means three quarters: of those who bought again, how many had by the day on which lapse_probability reached it
SELECT k, abs(avg((lapse_probability(as_of(h, first), model, next) <= 0.75)::int) - 0.75) < 0.05 AS three_quarters
FROM (SELECT k, s.history AS h, clv_model('mbg/cnbd-' || k, ARRAY[3, 30.0 / k, 0.7, 2.2]) AS model, first_purchase(s.history) AS first,
		(SELECT min(day) FROM purchases(s.history) WHERE day > first_purchase(s.history)) AS next
	FROM unnest('{1, 3, 6}'::int[]) k, simulate(800, k, 1, 3, 30.0 / k, 0.7, 2.2, 1, 20000) s) q
WHERE next IS NOT NULL GROUP BY k ORDER BY k;
-- rhythm_fit, which assumes that nobody leaves, does not find the regularity that clv_fit finds
SELECT p.estimate AS rhythm, c.model FROM (SELECT rhythm_fit(history, '2021-07-01') AS r FROM customer WHERE k = 6 AND m = 1) q, rhythm_parameters(r) p, fitted, clv_model_card(f) c
WHERE p.parameter = 'regularity' AND k = 6 AND m = 1;
-- Customers called lapsing return less often than others of the same recency and frequency
CREATE TABLE asked AS SELECT k, x, date '2021-07-01' - last_purchase(history) AS silence, n > 0 AS came, lifecycle(history, '2021-07-01', 90, f) IN ('lapsing', 'inactive') AS lapsing
FROM known JOIN fitted USING (k, m) WHERE m = 1 AND k >= 2 AND x >= 1;
SELECT sum(weight * (lapsed - others)) / sum(weight) < -0.05 AS return_less FROM (
	SELECT avg(came::int) FILTER (WHERE lapsing) AS lapsed, avg(came::int) FILTER (WHERE NOT lapsing) AS others,
		count(*) FILTER (WHERE lapsing) * count(*) FILTER (WHERE NOT lapsing) / count(*)::float8 AS weight
	FROM asked GROUP BY x, silence / 20) q WHERE weight > 0;

-- ---------------------------------------------------------------- seasons

SELECT setseed(0.5);
CREATE FUNCTION factors() RETURNS float8[] LANGUAGE sql IMMUTABLE AS $$ SELECT '{0.7, 0.7, 0.8, 0.9, 1, 1, 0.9, 0.8, 1, 1.2, 1.6, 1.4}'::float8[] $$;
-- New customers at a steady rate: a growing number would look like a trend
CREATE TABLE seasonal AS SELECT * FROM simulate(2500, 2, 1, 1.5, 4, 0.3, 2, 900, 1460, factors());
CREATE TABLE level AS SELECT * FROM simulate(2500, 2, 1, 1.5, 4, 0.3, 2, 900, 1460);
CREATE FUNCTION season_of(model clv_model) RETURNS TABLE (month int, factor float8) LANGUAGE sql IMMUTABLE AS $$
	SELECT month, factor FROM clv_season(model) $$;
CREATE TABLE season_fit AS SELECT clv_fit(history, '2022-09-30', 'mbg/cnbd-k, season') AS f, clv_fit(history, '2022-09-30', 'mbg/cnbd-k') AS plain FROM seasonal;
SELECT c.model, c.season, max(abs(s.factor / ((factors())[s.month] / 1.0008) - 1)) < 0.12 AS factors FROM season_fit, clv_model_card(f) c, season_of(f) s GROUP BY 1, 2;
SELECT abs(avg(factor * days) / avg(days) - 1) < 1e-12 AS mean_one FROM season_fit, season_of(f) JOIN unnest('{31,28.2425,31,30,31,30,31,31,30,31,30,31}'::float8[]) WITH ORDINALITY d (days, month) USING (month);
-- Parameters within three standard errors; far more likely than without; the last quarter, and the first one of the next year
SELECT count(*) FILTER (WHERE abs(estimate - truth) <= 3 * standard_error) AS of_four
FROM season_fit, clv_parameters(f) p, LATERAL (SELECT CASE parameter WHEN 'r' THEN 1.5 WHEN 'alpha' THEN 4 WHEN 'a' THEN 0.3 ELSE 2 END AS truth) t WHERE part = 'purchases';
SELECT a.log_likelihood > b.log_likelihood + 100 AS likelier FROM season_fit, clv_model_card(f) a, clv_model_card(plain) b;
SELECT h.part, abs(h.calibration - 1) < 0.06 AS with_season, abs(p.calibration - 1) > 0.15 AS not_without
FROM (SELECT (clv_holdout(history, '2022-09-30', '2022-12-31', 'mbg/cnbd-k, season'))[1] AS a, (clv_holdout(history, '2022-09-30', '2022-12-31', 'mbg/cnbd-k'))[1] AS b FROM seasonal) q,
	LATERAL (SELECT (a).*) h, LATERAL (SELECT (b).*) p;
-- Forecasts of two parts of a year add up to that of the whole, and a month's share is that of its factor
SELECT sum(expected_purchases(history, f, '2022-09-30', '3 months')) / sum(expected_purchases(history, plain, '2022-09-30', '3 months')) BETWEEN 1.2 AND 1.6 AS more_before_christmas,
	sum(expected_purchases(history, f, '2022-12-31', '2 months')) / sum(expected_purchases(history, plain, '2022-12-31', '2 months')) BETWEEN 0.6 AND 0.9 AS less_after
FROM seasonal, season_fit WHERE first_purchase(history) <= '2022-09-30';
-- A growing shop without a season, a single year of data, a model that was not asked for one
SELECT c.season FROM (SELECT clv_fit(history, '2022-09-30', 'mbg/cnbd-k, season') AS f FROM level) q, clv_model_card(f) c;
SELECT c.season FROM (SELECT clv_fit(history, '2020-12-31', 'mbg/cnbd-k, season') AS f FROM seasonal) q, clv_model_card(f) c;
SELECT c.season FROM season_fit, clv_model_card(plain) c;
-- Rows in any order, in any parts
CREATE AGGREGATE merged(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.clv_fit_finalfn);
CREATE AGGREGATE partial_state(h purchase_history, as_of date, model text) (SFUNC = crm_profile_internal.clv_fit_transfn, STYPE = bytea);
SELECT merged(s) = (SELECT f FROM season_fit) AS in_parts FROM (SELECT partial_state(history, '2022-09-30', 'mbg/cnbd-k, season') AS s FROM seasonal GROUP BY tenure(history, '2022-09-30') % 7) q;
SELECT clv_fit(history, '2022-09-30', 'mbg/cnbd-k, season' ORDER BY history::text) = f AS in_order FROM seasonal, season_fit GROUP BY f;
-- Text and binary forms
CREATE TABLE copied (f clv_model);
SELECT f::text::clv_model = f AS text_form FROM season_fit;

-- ---------------------------------------------------------------- customers from before the data

SELECT setseed(0.5);
CREATE TABLE shop AS SELECT history FROM simulate(6000, 2, 1, 1.2, 4, 0.5, 2, 1400, 1400);
-- The data begin on 2021-07-01: of earlier customers only later purchases are seen
CREATE TABLE cut AS SELECT h AS history FROM (SELECT (SELECT purchase_history_agg(p.day, 10) FROM purchases(history) p WHERE p.day >= '2021-07-01') AS h FROM shop) q WHERE h IS NOT NULL;
CREATE TABLE edge AS SELECT clv_fit(history, '2023-06-30', 'mbg/cnbd-k, inflow') AS f, clv_fit(history, '2023-06-30', 'mbg/cnbd-k') AS all_of_them,
	clv_fit(history, '2023-06-30', 'mbg/cnbd-k, from 2021-11-01') AS given FROM cut;
SELECT c.observed_from BETWEEN '2021-09-01' AND '2022-01-01' AS found, c.early_customers > 500 AS left_out, g.observed_from AS given, a.observed_from AS none FROM edge, clv_model_card(f) c, clv_model_card(given) g, clv_model_card(all_of_them) a;
SELECT count(*) FILTER (WHERE abs(p.estimate - truth) <= 2.5 * p.standard_error) >= 3 AS back, bool_or(abs(o.estimate - truth) > 4 * o.standard_error) AS off_without
FROM edge, clv_parameters(f) p JOIN LATERAL clv_parameters(all_of_them) o USING (part, parameter), LATERAL (SELECT CASE parameter WHEN 'r' THEN 1.2 WHEN 'alpha' THEN 4 WHEN 'a' THEN 0.5 ELSE 2 END AS truth) t WHERE part = 'purchases';
-- They are still predicted
SELECT count(*) = count(p_alive(history, f, '2023-06-30')) AS predicted FROM cut, edge WHERE first_purchase(history) <= '2023-06-30';
-- One cohort of new customers has no such edge
SELECT c.observed_from FROM (SELECT clv_fit(history, '2021-07-01', 'mbg/cnbd-k, inflow') AS f FROM customer WHERE k = 1) q, clv_model_card(f) c;

-- ---------------------------------------------------------------- the record

CREATE TABLE record AS SELECT clv_record(history, '2022-09-30', 90) AS r FROM seasonal;
SELECT candidate, count(*), min(fit_until) AS first, max(until) AS last, bool_and(customers > 1500) AS customers FROM record, unnest(r) GROUP BY candidate ORDER BY candidate;
-- A line equals clv_holdout, apart from the coarser sample of its fit
SELECT bool_and(abs(h.predicted / r.predicted - 1) < 0.005 AND h.actual = r.actual AND abs(h.mean_absolute_error / r.mean_absolute_error - 1) < 0.005 AND h.customers = r.customers) AS same, count(*)
FROM (SELECT l.* FROM record, unnest(r) l) r, LATERAL (SELECT (clv_holdout(history, r.fit_until, r.until, r.candidate))[1] AS t FROM seasonal) q, LATERAL (SELECT (t).*) h;
SELECT clv_record(history, '2022-09-30', 90 ORDER BY history::text) = r AS in_order FROM seasonal, record GROUP BY r;
CREATE AGGREGATE record_state(h purchase_history, as_of date, days int) (SFUNC = crm_profile_internal.clv_record_transfn, STYPE = bytea);
CREATE AGGREGATE merged_record(bytea) (SFUNC = crm_profile_internal.clv_record_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.clv_record_finalfn);
SELECT merged_record(s) = (SELECT r FROM record) AS in_parts FROM (SELECT record_state(history, '2022-09-30', 90) AS s FROM seasonal GROUP BY tenure(history, '2022-09-30') % 7) q;
SELECT model, cut_offs, pace BETWEEN 0.9 AND 1.1 AS pace, error < default_error AS better FROM record, clv_choice(r);
-- The rule: the first model, unless another was better by more than two standard errors, the latest stretch excluded
CREATE FUNCTION line(candidate text, at date, predicted float8, actual float8, error float8) RETURNS clv_record_line LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(candidate, candidate, at, at + 90, 100, predicted, actual, error / 100)::clv_record_line $$;
SELECT name, c.model, round(c.pace::numeric, 4) AS pace, c.cut_offs, round(c.error::numeric, 3) AS error, round(c.default_error::numeric, 3) AS default_error
FROM (VALUES
	('steadily better', ARRAY[line('a', '2020-01-01', 100, 120, 60), line('b', '2020-01-01', 115, 120, 50), line('a', '2020-04-01', 100, 110, 60), line('b', '2020-04-01', 108, 110, 50),
		line('a', '2020-07-01', 100, 90, 60), line('mbg/nbd', '2020-07-01', 95, 90, 55), line('b', '2020-07-01', 80, 90, 70)]),
	('now and then', ARRAY[line('a', '2020-01-01', 100, 120, 60), line('b', '2020-01-01', 115, 120, 50), line('a', '2020-04-01', 108, 110, 50), line('b', '2020-04-01', 100, 110, 58),
		line('a', '2020-07-01', 100, 90, 60), line('b', '2020-07-01', 90, 90, 50)]),
	('alone', ARRAY[line('a', '2020-01-01', 100, 120, 60), line('b', '2020-01-01', 120, 120, 50)]),
	('steady bias', ARRAY[line('a', '2020-01-01', 100, 80, 60), line('a', '2020-04-01', 100, 81, 60), line('a', '2020-07-01', 100, 79, 60)])) v (name, r), clv_choice(r) c;
-- Of forecasts that were too high, half a standard error is put down to chance; beyond a tenth nothing is corrected, nor what was too low
SELECT abs(pace - exp(m + sqrt(v) / 2)) < 1e-12 AS pace FROM (SELECT avg(ln(x)) AS m, var_samp(ln(x)) / 3 AS v FROM unnest('{0.97, 0.98, 0.95}'::float8[]) x) q,
	clv_choice(ARRAY[line('a', '2020-01-01', 100, 97, 60), line('a', '2020-04-01', 100, 98, 60), line('a', '2020-07-01', 100, 95, 60)]);

-- ---------------------------------------------------------------- months that are busier or quieter for all customers alike
-- Every customer buys a fixed number of times a month, three times as often in one month of one year: that says nothing about any customer
CREATE TABLE busy AS SELECT c AS customer, purchase_history_agg(m::date + (c * 7 + i * 97 / n) % 28, 10) AS history
	FROM generate_series(1, 400) c, generate_series(timestamp '2023-01-01' + c % 4 * interval '1 month', '2023-11-01', interval '1 month') m, LATERAL (SELECT CASE m WHEN '2023-10-01' THEN 6 ELSE 2 END AS n) n, generate_series(0, n - 1) i GROUP BY c;
CREATE TABLE fits AS SELECT name, clv_fit(history, '2023-11-30', name) AS m FROM busy, (VALUES ('mbg/cnbd-k'), ('mbg/cnbd-k, months'), ('mbg/cnbd-k, season, months')) f (name) GROUP BY name;
SELECT name, (clv_model_card(m)).season, round((m::text::jsonb -> 'months' ->> 9)::numeric, 1) AS october, round((m::text::jsonb -> 'months' ->> 10)::numeric, 1) AS november, (SELECT bool_and(factor = 1) FROM clv_season(m)) AS level FROM fits ORDER BY name COLLATE "C";
SELECT m.name, round((sum(expected_purchases(history, m.m, '2023-11-30', '30 days')) / 400)::numeric, 1) AS in_30_days FROM fits m, busy GROUP BY m.name ORDER BY name COLLATE "C";
-- a value like others: text round trip; the day by which a number is expected is the inverse of the number expected by a day
SELECT bool_and(m::text::clv_model::text = m::text) AS text, bool_and(abs(probability_of_purchase(history, m, '2023-09-15', make_interval(days => next_purchase(history, m, '2023-09-15') - date '2023-09-15')) - 0.5) < 0.1) AS inverse
FROM fits, busy WHERE name LIKE '%months' AND customer < 50;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "months": [1, 2]}'::clv_model;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "as_of": "2024-01-31", "months": [1, 0]}'::clv_model;
SELECT clv_fit(history, '2023-11-30', 'mbg/nbd, months, months') FROM busy;
-- Where k is found to be above 1, some customers buy at random all the same: the probability of a purchase is the mean of both, of two fits of their own; expected purchases go by k, and half of what the chance to buy at random is beyond that is added
CREATE TABLE both_ways AS SELECT k.m, (SELECT clv_fit(history, '2023-11-30', (clv_model_card(k.m)).model) FROM busy) AS regular, (SELECT clv_fit(history, '2023-11-30', 'mbg/nbd') FROM busy) AS random FROM fits k WHERE name = 'mbg/cnbd-k';
SELECT (clv_model_card(m)).model <> 'mbg/nbd' AS is_regular, m::text::jsonb ? 'random_parameters' AS has_both, regular::text::jsonb ? 'random_parameters' AS named_has FROM both_ways;
SELECT count(*) AS customers, max(abs(probability_of_purchase(history, m, d, '10 days') - (probability_of_purchase(history, regular, d, '10 days') + probability_of_purchase(history, random, d, '10 days')) / 2)) < 1e-4 AS mean,
	max(abs(probability_of_purchase(history, m, d, '10 days') - probability_of_purchase(history, regular, d, '10 days'))) > 0.02 AS differs, max(abs(expected_purchases(history, m, d, '10 days') - expected_purchases(history, regular, d, '10 days') - greatest(0, probability_of_purchase(history, random, d, '10 days') - expected_purchases(history, regular, d, '10 days')) / 2)) < 1e-4 AS expected,
	bool_and(expected_purchases(history, m, d, '10 days') >= probability_of_purchase(history, m, d, '10 days') - 1e-12) AS no_less, max(abs(expected_purchases(history, m, d, '10 days') - expected_purchases(history, regular, d, '10 days'))) > 0.01 AS added,
	max(abs(clv(history, m, d, '10 days', 0) - expected_purchases(history, m, d, '10 days') * expected_value(history, m, d, true))) < 1e-9 AS clv, bool_and(expected_purchases(history, m, d, '10 days') BETWEEN e.lower AND e.upper) AS expected_interval,
	max(abs((p)[1] + probability_of_purchase(history, m, d, '10 days') - 1)) < 1e-12 AS none, max(abs((SELECT sum(q) FROM unnest(p) q) - 1)) < 1e-12 AS whole,
	bool_and(probability_of_purchase(history, m, d, '10 days') BETWEEN i.lower AND i.upper AND i.upper - i.lower < 0.2) AS interval
FROM busy, both_ways, unnest('{2023-11-30,2024-01-15,2024-06-30}'::date[]) d, LATERAL (SELECT purchase_probabilities(history, m, d, '10 days', 5) AS p) q, LATERAL probability_of_purchase_interval(history, m, d, '10 days') i, LATERAL expected_purchases_interval(history, m, d, '10 days') e WHERE customer < 60;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "random_parameters": [1, 1, 1, 1]}'::clv_model;
SELECT '{"model": "mbg/nbd", "regularity": 2, "parameters": [1, 1, 1, 1], "random_parameters": [1, 0, 1, 1]}'::clv_model;
-- Pace: all future time passes faster
SELECT expected_purchases(h, with_pace(m, 2), '2024-12-31', '30 days') = expected_purchases(h, m, '2024-12-31', '60 days') AS purchases,
	probability_of_purchase(h, with_pace(m, 2), '2024-12-31', '30 days') = probability_of_purchase(h, m, '2024-12-31', '60 days') AS probability,
	p_alive(h, with_pace(m, 2), '2024-12-31') = p_alive(h, m, '2024-12-31') AS the_past_stays
FROM regular(3, 30) h, clv_model('mbg/cnbd-2', '{1, 10, 1, 3}') m;

-- ---------------------------------------------------------------- edges

-- Nobody after the edge; too short a time for a record
RESET client_min_messages;
SELECT c.status, c.customers, c.early_customers FROM (SELECT clv_fit(history, '2022-09-30', 'mbg/nbd, from 2099-01-01') AS f FROM seasonal) q, clv_model_card(f) c;
SELECT clv_record(history, '2020-03-31', 90) IS NULL AS too_short FROM seasonal;
SELECT clv_record(NULL, '2020-03-31', 90) IS NULL AS nobody;
SELECT c.* FROM clv_choice(NULL) c;
-- Few repeaters: regularity is not fitted, and that is reported
SELECT c.model, c.status FROM (SELECT clv_fit(h, '2024-12-31', 'mbg/cnbd-k, season') AS f FROM (SELECT regular(0, 1) AS h FROM generate_series(1, 50) UNION ALL SELECT regular(3, 30)) q) q, clv_model_card(f) c;
SELECT clv_fit(regular(1, 1), '2024-12-31', 'mbg/cnbd-13');
SELECT clv_fit(regular(1, 1), '2024-12-31', 'mbg/cnbd-0');
SELECT clv_fit(regular(1, 1), '2024-12-31', 'mbg/cnbd-k, season, season');
SELECT clv_fit(regular(1, 1), '2024-12-31', 'mbg/cnbd-k, inflow, from 2020-01-01');
SELECT clv_fit(regular(1, 1), '2024-12-31', 'mbg/cnbd-k, from 2020-02-30');
SELECT clv_model('mbg/cnbd-k', '{1, 1, 1, 1}');
SELECT clv_model('mbg/nbd, season', '{1, 1, 1, 1}');
SELECT with_pace(clv_model('mbg/nbd', '{1, 1, 1, 1}'), 0);
SELECT clv_record(regular(1, 1), '2024-12-31', 1);
SELECT clv_record(h, d, 90) FROM (VALUES (regular(1, 1), date '2024-12-31'), (regular(1, 2), '2024-12-30')) v (h, d);
SET client_min_messages TO error;
DROP SCHEMA test_forecast CASCADE;
