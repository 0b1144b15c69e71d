-- Contracts (sbg) and gifts (bg/bb): published fits, the formulas in SQL, what must not matter, what must be rejected
CREATE SCHEMA test_contract;
SET search_path TO test_contract, crm_profile;
SET jit TO off; -- the helpers run thousands of small queries
SET datestyle TO iso;
SET intervalstyle TO postgres;

-- ---------------------------------------------------------------- contracts: Fader and Hardie (2007), percent of customers left

CREATE TABLE survivors (year int, regular numeric, high_end numeric);
INSERT INTO survivors VALUES (0, 100, 100), (1, 63.1, 86.9), (2, 46.8, 74.3), (3, 38.2, 65.3), (4, 32.6, 59.3), (5, 28.9, 55.1), (6, 26.2, 51.7), (7, 24.1, 49.1),
	(8, 22.3, 46.8), (9, 20.7, 44.5), (10, 19.4, 42.7), (11, 18.3, 40.9), (12, 17.3, 39.4);
-- 1000 contracts each, seen for seven years: those that ended, and those that are running
CREATE TABLE contract AS
WITH share (kind, year, share) AS (SELECT 'regular', year, regular FROM survivors UNION ALL SELECT 'high end', year, high_end FROM survivors)
SELECT s.kind, s.year - 1 AS renewals, true AS ended, (10 * (b.share - s.share))::bigint AS contracts
	FROM share s JOIN share b ON b.kind = s.kind AND b.year = s.year - 1 WHERE s.year <= 7
UNION ALL SELECT kind, 7, false, (10 * share)::bigint FROM share WHERE year = 7;

CREATE TABLE fitted AS SELECT kind, contract_fit(renewals, ended, contracts) AS m FROM contract GROUP BY kind;
-- .668 and 3.806, .704 and 1.182; in year 12 37.8 and 17.0 percent
SELECT kind, string_agg(round(estimate::numeric, 3)::text, ' ' ORDER BY parameter) AS parameters, min(status) AS status,
	bool_and(standard_error > 0 AND standard_error < estimate) AS errors, round(100 * survival(m, 12)::numeric, 1) AS year_12
FROM fitted, contract_parameters(m) GROUP BY kind, m ORDER BY kind;
SELECT kind, status, contracts, renewals, round(log_likelihood::numeric, 1) AS log_likelihood FROM fitted, contract_model_card(m) ORDER BY kind;

-- The likelihood and the predictions by the formulas of the paper: P(T = t) step by step, S(t) the remainder
CREATE FUNCTION ends(a float8, b float8, t int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	WITH RECURSIVE p (t, p) AS (SELECT 1, a / (a + b) UNION ALL SELECT t + 1, p * (b + t - 1) / (a + b + t) FROM p WHERE t < $3)
	SELECT p FROM p WHERE p.t = $3 $$;
CREATE FUNCTION stays(a float8, b float8, n int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT 1 - coalesce(sum(ends(a, b, t)), 0) FROM generate_series(1, n) t $$;
CREATE TABLE parameter AS SELECT kind, m, max(estimate) FILTER (WHERE parameter = 'alpha') AS a, max(estimate) FILTER (WHERE parameter = 'beta') AS b
	FROM fitted, contract_parameters(m) GROUP BY kind, m;
SELECT kind, abs(sum(n.contracts * ln(CASE WHEN n.ended THEN ends(a, b, n.renewals + 1) ELSE stays(a, b, n.renewals) END)) - min(c.log_likelihood)) < 1e-6 AS likelihood,
	-- it is a maximum
	bool_and(c.log_likelihood > (SELECT max(l) FROM (SELECT sum(x.contracts * ln(CASE WHEN x.ended THEN ends(a * f, b * g, x.renewals + 1) ELSE stays(a * f, b * g, x.renewals) END)) AS l
		FROM contract x, (VALUES (1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)) v (f, g) WHERE x.kind = p.kind GROUP BY f, g) q)) AS highest
FROM parameter p JOIN contract n USING (kind), contract_model_card(m) c GROUP BY kind ORDER BY kind;
SELECT max(abs(survival(m, n) - stays(a, b, n))) < 1e-12 AS survival,
	max(abs(survival(m, 3, n) - stays(a, b, n + 3) / stays(a, b, n))) < 1e-12 AS of_old_ones,
	max(abs(retention(m, n + 1) - stays(a, b, n + 1) / stays(a, b, n))) < 1e-12 AS retention,
	max(abs(expected_renewals(m, 5, n, 0.1) - (SELECT sum(stays(a, b, n + i) / stays(a, b, n) / 1.1 ^ i) FROM generate_series(1, 5) i))) < 1e-12 AS renewals,
	bool_and(survival(m, 0, n) = 1 AND expected_renewals(m, 0, n) = 0) AS none,
	bool_and(expected_renewals(m, 10, n) > expected_renewals(m, 10, n, 0.05)) AS discounted
FROM parameter, generate_series(0, 12) n;
-- Customers who stayed longer are more likely to stay: retention rises, although nobody changes
SELECT bool_and(retention(m, n + 1) > retention(m, n)) AS rises FROM fitted, generate_series(1, 30) n;

-- By days: the first day without a contract ends it. A completed term was renewed, also one completed today
SET client_min_messages TO warning;
SELECT started, ended, renewals FROM (VALUES (date '2020-01-01', date '2021-01-01'), ('2020-01-01', '2020-12-31'), ('2020-01-01', '2021-01-02'), ('2020-01-01', NULL), ('2020-01-01', '2024-01-02'), ('2020-02-29', '2022-02-28'), ('2023-12-31', NULL)) v (started, ended),
	LATERAL (SELECT contract_fit(s, e, '2024-01-01', '1 year') AS m FROM (VALUES (started, ended)) c (s, e)) f, contract_model_card(m) ORDER BY started, ended;
SELECT contract_fit(started, ended, '2024-01-01', '1 month') = contract_fit(renewals, ended IS NOT NULL) AS same
FROM (SELECT i % 36 AS renewals, date '2024-01-01' - (i % 36) * interval '1 month' - CASE WHEN i % 3 = 0 THEN interval '3 months' ELSE interval '0' END AS start, i % 3 = 0 AS gone FROM generate_series(1, 500) i) c,
	LATERAL (SELECT start::date AS started, CASE WHEN gone THEN (start + (renewals + 1) * interval '1 month')::date END AS ended) d;
-- Not yet begun: not counted; ends later: running
SELECT contract_fit(date '2025-01-01', NULL, '2024-01-01', '1 year') IS NULL AS not_yet,
	contract_fit(date '2020-01-01', date '2025-01-01', '2024-01-01', '1 year') = contract_fit(date '2020-01-01', NULL, '2024-01-01', '1 year') AS runs;

RESET client_min_messages;

-- ---------------------------------------------------------------- gifts: Fader, Hardie and Shang (2010), giving in six years

CREATE TABLE donor (x int, t int, n int, donors bigint);
INSERT INTO donor SELECT x, t, 6, donors FROM (VALUES (0, 0, 3464), (1, 1, 1091), (1, 2, 277), (1, 3, 129), (1, 4, 78), (1, 5, 119), (1, 6, 129), (2, 2, 613), (2, 3, 255), (2, 4, 155), (2, 5, 173), (2, 6, 234),
	(3, 3, 322), (3, 4, 181), (3, 5, 225), (3, 6, 357), (4, 4, 240), (4, 5, 284), (4, 6, 512), (5, 5, 335), (5, 6, 728), (6, 6, 1203)) v (x, t, donors);
CREATE TABLE given AS SELECT donation_fit(x, t, n, donors) AS m FROM donor;
-- 1.204 .750 .657 2.783, -33225.6
SELECT string_agg(round(estimate::numeric, 3)::text, ' ' ORDER BY o) AS parameters, min(p.status) AS status, bool_and(standard_error > 0 AND standard_error < estimate / 4) AS errors,
	min(donors) AS donors, min(donations) AS donations, round(min(log_likelihood)::numeric, 1) AS log_likelihood
FROM given, donation_model_card(m), donation_parameters(m) WITH ORDINALITY AS p (parameter, estimate, standard_error, status, o);
-- Ten years on, for those who gave nothing, and for those who gave four times, last in the fifth year: the package BTYD publishes 0.1302169 and 3.627858
SELECT round(expected_donations(donation_model(1.203522, 0.7497163, 0.6567182, 2.783441), 0, 0, 6, 10)::numeric, 3) AS nothing, round(expected_donations(donation_model(1.203522, 0.7497163, 0.6567182, 2.783441), 4, 5, 6, 10)::numeric, 3) AS four;

-- The formulas of the paper, by products of B(a + x, b + y)/B(a, b)
CREATE FUNCTION beta(a float8, b float8, x int, y int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(exp(sum(ln(CASE WHEN i < x THEN a + i ELSE b + i - x END) - ln(a + b + i))), 1) FROM generate_series(0, x + y - 1) i $$;
CREATE TABLE alike AS SELECT m, x, t, n, donors, p[1] AS a, p[2] AS b, p[3] AS g, p[4] AS d
	FROM donor, (SELECT m, array_agg(estimate ORDER BY o) AS p FROM given, donation_parameters(m) WITH ORDINALITY AS p (parameter, estimate, e, s, o) GROUP BY m) q;
CREATE TABLE formula AS SELECT *, beta(a, b, x, n - x) * beta(g, d, 0, n)
	+ (SELECT coalesce(sum(beta(a, b, x, t - x + i) * beta(g, d, 1, t + i)), 0) FROM generate_series(0, n - t - 1) i) AS l FROM alike;
SELECT abs(sum(f.donors * ln(l)) - min(c.log_likelihood)) < 1e-6 AS likelihood,
	max(abs(p_alive(m, x, t, n) - beta(a, b, x, n - x) * beta(g, d, 0, n + 1) / l)) < 1e-12 AS p_alive,
	max(abs(expected_donations(m, x, t, n, 5, 0.1) - beta(a, b, x + 1, n - x) / l * (SELECT sum(beta(g, d, 0, n + i) / 1.1 ^ i) FROM generate_series(1, 5) i))) < 1e-12 AS donations,
	bool_and(x < t OR t < n OR abs(p_alive(m, x, t, n) - (d + n) / (g + d + n)) < 1e-12) AS gave_at_last
FROM formula f, donation_model_card(m) c;
-- A new donor; no chances left; more years, more gifts
SELECT abs(expected_donations(m, 0, 0, 0, 6) - (SELECT sum(beta(a, b, 1, 0) * beta(g, d, 0, i)) FROM (SELECT DISTINCT a, b, g, d FROM alike) q, generate_series(1, 6) i)) < 1e-12 AS new,
	expected_donations(m, 3, 3, 6, 0) AS none, expected_donations(m, 3, 3, 6, 5) < expected_donations(m, 3, 3, 6, 6) AS more FROM given;
-- Lists of years are the same
CREATE TABLE years AS SELECT x, t, n, donors, array(SELECT i = t OR i < x FROM generate_series(1, n) i) AS gave FROM donor;
SELECT bool_and(p_alive(m, gave) = p_alive(m, x, t, n) AND expected_donations(m, gave, 5, 0.1) = expected_donations(m, x, t, n, 5, 0.1)) AS same FROM years, given;
SELECT donation_fit(gave) = (SELECT m FROM given) AS same FROM years, generate_series(1, donors);
-- Many chances, and parameters far out: no overflow
SELECT round(p_alive(donation_model(1, 1, 1, 1), 2500, 5000, 10000)::numeric, 6) AS lost, round(p_alive(donation_model(1, 1, 1, 1), 5000, 10000, 10000)::numeric, 6) AS there,
	count(*) FILTER (WHERE p BETWEEN 0 AND 1 AND e BETWEEN 0 AND 100) AS sound, count(*) AS of
FROM unnest('{1e-20,1e-3,1,1e3,1e20}'::float8[]) a, unnest('{1e-20,1,1e20}'::float8[]) b, unnest('{1e-20,1,1e20}'::float8[]) g, unnest('{1e-20,1,1e20}'::float8[]) d,
	LATERAL (SELECT p_alive(donation_model(a, b, g, d), 3, 10, 40) AS p, expected_donations(donation_model(a, b, g, d), 3, 10, 40, 100, 0.01) AS e) q;

-- ---------------------------------------------------------------- simulated contracts and donors: the fits recover the parameters

CREATE FUNCTION draw(what text, i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (('x' || substr(md5(what || ' ' || i), 1, 13))::bit(52)::bigint + 0.5) / 4503599627370496.0 $$;
-- Beta(1, b): 1 - u^(1/b)
CREATE TABLE simulated AS SELECT i, 1 - draw('end', i) ^ (1 / 3.0) AS theta, 1 - draw('give', i) ^ (1 / 2.0) AS p FROM generate_series(1, 4000) i;
SELECT parameter, abs(estimate - truth) < 2 * standard_error AS back FROM (
	SELECT contract_fit(least(t - 1, 6), t <= 6) AS m FROM (SELECT 1 + floor(ln(draw('t', i)) / ln(1 - theta))::int AS t FROM simulated) q) f,
	contract_parameters(m) JOIN (VALUES ('alpha', 1), ('beta', 3)) v (parameter, truth) USING (parameter) ORDER BY 1;
SELECT parameter, abs(estimate - truth) < 2 * standard_error AS back FROM (
	SELECT donation_fit(gave) AS m FROM (SELECT i, array_agg(n <= l AND draw('gift' || n, i) < p ORDER BY n) AS gave
		FROM (SELECT i, p, floor(ln(draw('t', i)) / ln(1 - theta)) AS l FROM simulated) s, generate_series(1, 8) n GROUP BY i) q) f,
	donation_parameters(m) JOIN (VALUES ('alpha', 1), ('beta', 2), ('gamma', 1), ('delta', 3)) v (parameter, truth) USING (parameter) ORDER BY 1;

-- ---------------------------------------------------------------- what must not matter, what is reported, what is rejected

-- Order of rows, weights, partial states
CREATE AGGREGATE contract_state(renewals int, ended boolean) (SFUNC = crm_profile_internal.contract_fit_transfn, STYPE = bytea);
CREATE AGGREGATE contract_fit_of(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.contract_fit_finalfn);
CREATE AGGREGATE donation_fit_of(bytea) (SFUNC = crm_profile_internal.summary_state_combine, STYPE = bytea, FINALFUNC = crm_profile_internal.donation_fit_finalfn);
CREATE TABLE single AS SELECT renewals, ended FROM contract, generate_series(1, contracts) WHERE kind = 'regular';
SELECT contract_fit(renewals, ended ORDER BY renewals DESC) = m AS one_by_one, (SELECT contract_fit_of(s) FROM (SELECT contract_state(renewals, ended) AS s FROM single GROUP BY renewals % 3) q) = m AS parts
FROM single, fitted WHERE kind = 'regular' GROUP BY m;
-- Of another aggregate: no fit
SELECT donation_fit_of(s) IS NULL AS contracts FROM (SELECT contract_state(renewals, ended) AS s FROM single) q;
-- NULLs are skipped; nobody: NULL
SELECT contract_fit(renewals, ended) = (SELECT m FROM fitted WHERE kind = 'regular') AS same FROM (SELECT * FROM single UNION ALL VALUES (NULL, true), (3, NULL)) q;
SELECT contract_fit(NULL::int, true) IS NULL AS nobody, donation_fit(NULL::boolean[]) IS NULL AS none;
-- All alike, or no contract ends: the maximum lies at an edge
SELECT status, round(retention(m, 5)::numeric, 4) AS retention FROM (SELECT contract_fit(i % 5, i % 3 = 0) AS m FROM generate_series(1, 1000) i) q, contract_model_card(m);
SELECT status, round(survival(m, 20)::numeric, 4) AS survival FROM (SELECT contract_fit(i % 5, false) AS m FROM generate_series(1, 1000) i) q, contract_model_card(m);
-- Nobody gave: the model expects next to no gifts
SELECT status, expected_donations(m, 0, 0, 5, 5) < 0.01 AS hardly FROM (SELECT donation_fit(0, 0, 5, 1000) AS m) q, donation_model_card(m);
-- Text, and round trips
SELECT contract_model(0.668, 3.806) AS contracts, donation_model(1.204, 0.75, 0.657, 2.783) AS gifts;
SELECT m::text::contract_model = m AS same FROM fitted WHERE kind = 'regular';
SELECT survival('{"status": "not converged"}'::contract_model, 3) IS NULL AS survival, p_alive('{"status": "not converged"}'::donation_model, 0, 0, 1) IS NULL AS p_alive;

\set SHOW_CONTEXT never
SELECT contract_fit(-1, true);
SELECT contract_fit(10001, false);
SELECT contract_fit(2147483647, true);
SELECT contract_fit(1, true, 0);
SELECT contract_fit(date '2020-01-01', date '2019-12-31', '2024-01-01', '1 year');
SELECT contract_fit(date '2020-01-01', NULL, '2024-01-01', '1 hour');
SELECT contract_fit(date '1970-01-01', NULL, '2024-01-01', '1 day');
SELECT contract_model(0, 1);
SELECT '{"parameters": [1, 2], "status": "no mean"}'::contract_model;
SELECT survival(contract_model(1, 2), -1);
SELECT retention(contract_model(1, 2), 0);
SELECT expected_renewals(contract_model(1, 2), 5, 0, 1.5);
SELECT donation_fit(1, 0, 3);
SELECT donation_fit(2, 1, 3);
SELECT donation_fit(1, 4, 3);
SELECT donation_fit(-1, 0, 3);
SELECT donation_fit('{true,null}'::boolean[]);
SELECT donation_fit('{{true},{false}}'::boolean[]);
SELECT p_alive(donation_model(1, 1, 1, 1), 3, 2, 5);
SELECT expected_donations(donation_model(1, 1, 1, 1), 1, 1, 5, -1);
SELECT '{"parameters": [1, 2, 3]}'::donation_model;
SET client_min_messages TO warning;
DROP SCHEMA test_contract CASCADE;
