-- The rhythm of purchases and lapse_probability
CREATE SCHEMA test_rhythm;
SET search_path TO test_rhythm, crm_profile;
SET extra_float_digits TO 1;
SET jit TO off; -- the helpers run thousands of small queries
SET datestyle TO iso;
SET intervalstyle TO postgres;

-- A number of purchases, one every `gap` days from 2024-01-01 on
CREATE FUNCTION regular(purchases int, gap int) RETURNS purchase_history LANGUAGE sql IMMUTABLE AS $$
	SELECT purchase_history_agg(date '2024-01-01' + gap * i, 10) FROM generate_series(0, purchases - 1) i $$;

-- ---------------------------------------------------------------- the formula of the reference, in SQL

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
SELECT count(*), max(abs(lapse_probability(regular(purchases, gap), rhythm_model(k, a, b),
	date '2024-01-01' + gap * (purchases - 1) + silence) - lapse(k, a, b, purchases - 1, gap * (purchases - 1), silence))) < 1e-12 AS same
FROM generate_series(1, 12) k, unnest('{0.3, 2, 30}'::float8[]) a, unnest('{1, 50}'::float8[]) b,
	unnest('{1, 2, 14}'::int[]) purchases, unnest('{1, 7}'::int[]) gap, unnest('{0, 3, 14, 200}'::int[]) silence;

-- "Came every week for three months, silent for two weeks": the same recency is nothing unusual for somebody who comes every other month
SELECT lapse_probability(regular(13, 7), m, date '2024-01-01' + 84 + 14) > 0.95 AS weekly,
	lapse_probability(regular(13, 60), m, date '2024-01-01' + 720 + 14) < 0.05 AS every_other_month,
	lapse_probability(regular(13, 7), m, date '2024-01-01' + 84 + 5) < 0.5 AS weekly_on_time
FROM rhythm_model(4, 2, 20) m;

-- ---------------------------------------------------------------- the fit

-- Customers with rates Gamma(a, b) and gaps Gamma(k, rate), rounded up to days: the regularity and the rates come back
CREATE FUNCTION gamma_variate(shape int) RETURNS float8 LANGUAGE sql VOLATILE AS $$
	SELECT -sum(ln(1 - random())) FROM generate_series(1, shape) $$;
CREATE FUNCTION simulate(customers int, k int, a int, b float8) RETURNS TABLE (c int, h purchase_history) LANGUAGE plpgsql AS $$
DECLARE rate float8; time float8; days date[];
BEGIN
	FOR i IN 1..customers LOOP
		rate := gamma_variate(a) / b;
		time := 0; days := '{2020-01-01}';
		LOOP
			time := time + greatest(gamma_variate(k) / rate, 1);
			EXIT WHEN time > 1000;
			days := days || (date '2020-01-01' + round(time)::int);
		END LOOP;
		c := i;
		h := (SELECT purchase_history_agg(d, 1) FROM unnest(days) d);
		RETURN NEXT;
	END LOOP;
END $$;
SELECT setseed(0.5);
CREATE TABLE simulated AS SELECT k, s.* FROM unnest('{1, 3, 8}'::int[]) k, simulate(400, k, 2, 60 * k) s;
CREATE TABLE rhythm AS SELECT k, rhythm_fit(h, '2022-09-27') AS m FROM simulated GROUP BY k;
SELECT k, max(estimate) FILTER (WHERE parameter = 'regularity') AS regularity, bool_and(status = 'converged') AS converged,
	max(abs(estimate - 2) / standard_error) FILTER (WHERE parameter = 'a') < 3 AS a,
	max(abs(estimate - 60 * k) / standard_error) FILTER (WHERE parameter = 'b') < 3 AS b
FROM rhythm, rhythm_parameters(m) GROUP BY k ORDER BY k;

-- It is the maximum: moving a parameter either way lowers the log-likelihood, computed from its definition with numbers of SQL
CREATE FUNCTION log_gamma(z float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE shift float8 := 0;
BEGIN
	WHILE z < 12 LOOP shift := shift - ln(z); z := z + 1; END LOOP;
	RETURN shift + (z - 0.5) * ln(z) - z + ln(2 * pi()) / 2 + 1 / (12 * z) - 1 / (360 * z ^ 3) + 1 / (1260 * z ^ 5);
END $$;
CREATE FUNCTION log_likelihood(k int, a float8, b float8, h purchase_history) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT (k - 1) * log_gaps - n * log_gamma(k) + a * ln(b) - log_gamma(a) + log_gamma(a + k * n) - (a + k * n) * ln(b + g + s)
		+ ln((SELECT sum(exp(log_gamma(a + k * n + j) - log_gamma(a + k * n) - log_gamma(j + 1) + CASE WHEN j = 0 THEN 0 ELSE j * ln((s + 1e-300) / (b + g + s)) END))
			FROM generate_series(0, k - 1) j))
	FROM (SELECT count(gap) AS n, coalesce(sum(gap), 0)::float8 AS g, coalesce(sum(ln(gap)), 0)::float8 AS log_gaps, (date '2022-09-27' - max(day))::float8 AS s
		FROM (SELECT day, (day - lag(day) OVER (ORDER BY day))::float8 AS gap FROM purchases(h)) p) q $$;
WITH fit AS (SELECT r.k, max(estimate) FILTER (WHERE parameter = 'regularity')::int AS kk, max(estimate) FILTER (WHERE parameter = 'a') AS a,
		max(estimate) FILTER (WHERE parameter = 'b') AS b, (min(m::text)::jsonb ->> 'log_likelihood')::float8 AS told
		FROM rhythm r, rhythm_parameters(m) GROUP BY r.k),
	at AS (SELECT f.k, told, move, sum(log_likelihood(kk, a * CASE move WHEN 1 THEN 1.02 WHEN 2 THEN 0.98 ELSE 1 END,
			b * CASE move WHEN 3 THEN 1.02 WHEN 4 THEN 0.98 ELSE 1 END, h)) AS l
		FROM fit f JOIN simulated s USING (k), generate_series(0, 4) move GROUP BY f.k, told, move)
SELECT k, max(abs(l - told)) FILTER (WHERE move = 0) < 1e-6 AS as_told,
	max(l) FILTER (WHERE move > 0) < max(l) FILTER (WHERE move = 0) AS maximum
FROM at GROUP BY k ORDER BY k;

-- The order of rows and parallel plans make no difference
SELECT (SELECT rhythm_fit(h, '2022-09-27' ORDER BY c) FROM simulated) = (SELECT rhythm_fit(h, '2022-09-27' ORDER BY c DESC) FROM simulated) AS same;

-- In [0, 1], rising with silence, also for extreme models
SELECT count(*) FILTER (WHERE p BETWEEN 0 AND 1 AND p >= before - 1e-12) = count(before) AND count(*) FILTER (WHERE p BETWEEN 0 AND 1) = count(*) AS sound FROM (
	SELECT p, lag(p) OVER (PARTITION BY k, a, b, purchases ORDER BY silence) AS before FROM (
		SELECT lapse_probability(regular(purchases, 3), rhythm_model(k, a, b), date '2024-01-01' + 3 * (purchases - 1) + silence) AS p, k, a, b, purchases, silence
		FROM unnest('{1, 12}'::int[]) k, unnest('{1e-9, 1, 1e9}'::float8[]) a, unnest('{1e-9, 1, 1e9}'::float8[]) b,
			unnest('{1, 2, 900}'::int[]) purchases, unnest('{0, 1, 30, 100000}'::int[]) silence) q) q;

-- Too few who bought again: a penalised fit, and it says so
SELECT rhythm_fit(h, '2020-06-01')::text::jsonb - '{log_likelihood,parameters,covariance}'::text[] FROM (VALUES ('{2020-01-01: 5}'::purchase_history), ('{2020-02-01: 5}')) v (h);
SELECT rhythm_fit(h, '2019-01-01') IS NULL AS nothing_yet, rhythm_fit(NULL, '2019-01-01') IS NULL AS nobody FROM (VALUES ('{2020-01-01: 5}'::purchase_history)) v (h);

-- ---------------------------------------------------------------- text, binary and bad input
SELECT rhythm_model(3, 1.5, 20.25), rhythm_model(3, 1.5, 20.25)::text::rhythm_model = rhythm_model(3, 1.5, 20.25) AS lossless;
SELECT bool_and(m::text::rhythm_model = m) AS lossless FROM rhythm;
SELECT lapse_probability('{2020-01-01: 5}', rhythm_model(1, 1, 1), '2019-12-31') IS NULL AS before_first,
	lapse_probability('{2020-01-01: 5}', rhythm_model '{"status": "not converged"}', '2021-12-31') IS NULL AS not_converged;
SELECT rhythm_model(13, 1, 1);
SELECT rhythm_model(1, 0, 1);
SELECT rhythm_model(1, 1, 'infinity');
SELECT '{"regularity": 2}'::rhythm_model;
SELECT lapse_probability('{2020-01-01: 5}', rhythm_model(1, 1, 1), 'infinity');
SET client_min_messages TO error;
DROP SCHEMA test_rhythm CASCADE;
