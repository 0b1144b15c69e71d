-- What a campaign changed: published intervals, R's tests to nine digits, any order of rows, cases without a p-value
CREATE SCHEMA test_campaign;
SET search_path TO test_campaign, crm_profile;
SET jit TO off;
SET client_min_messages TO warning;
\set SHOW_CONTEXT never

-- A campaign of that many customers, who respond and who do not
CREATE FUNCTION of_counts(responses bigint, treated bigint, control_responses bigint, control bigint) RETURNS campaign_lift LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(treated, responses, NULL, NULL, NULL, NULL, NULL, control, control_responses, NULL, NULL, NULL, NULL, NULL)::campaign_lift $$;
CREATE FUNCTION near(got float8, wanted float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT abs(got - wanted) <= 1e-9 * greatest(abs(wanted), 1e-30) $$;

-- ---------------------------------------------------------------- the aggregate

CREATE TABLE contact (id int, treated boolean, responded boolean, value numeric, past numeric);
INSERT INTO contact SELECT place, true, v > 0, v, p FROM unnest('{12.5,0,30,0,0,7.25,99.99,0,14,3}'::numeric[], '{10,0,25,1,0,9,80,0,20,5}'::numeric[]) WITH ORDINALITY u (v, p, place);
INSERT INTO contact SELECT 100 + place, false, v > 0, v, p FROM unnest('{0,0,5.5,0,20,0,1.01,0,0,0,0,8}'::numeric[], '{0,2,6,0,30,0,0,0,3,0,1,12}'::numeric[]) WITH ORDINALITY u (v, p, place);
SELECT (campaign_lift(treated, responded, value, past)).* FROM contact \gx
SELECT (l).treated = count(*) FILTER (WHERE treated) AND (l).control_responses = count(*) FILTER (WHERE NOT treated AND responded) AND (l).treated_value = sum(value) FILTER (WHERE treated)
	AND (l).control_past_value_squares = sum(past * past) FILTER (WHERE NOT treated) AND (l).treated_value_products = sum(value * past) FILTER (WHERE treated) AND (l).control_value_squares = sum(value * value) FILTER (WHERE NOT treated) AS sums
FROM contact, (SELECT campaign_lift(treated, responded, value, past) AS l FROM contact) a GROUP BY l;
-- neither treated nor control: skipped; an unknown response is none; amounts as large, as fine and as negative as they may be
SELECT campaign_lift(t, r) FROM (VALUES (true, true), (true, NULL), (NULL, true), (false, false)) v (t, r);
CREATE TABLE hard AS SELECT i % 3 <> 0 AS t, (ARRAY[9000000000000.123456, -9000000000000.123456, 0.000001, -0.5, 123456.7891234 - 0.0000004, NULL])[1 + i % 6] AS v,
	(ARRAY[8999999999999.999999, 7, -0.000001, NULL])[1 + i % 4] AS p FROM generate_series(1, 5000) i;
CREATE FUNCTION summed() RETURNS campaign_lift LANGUAGE sql AS $$
	SELECT ROW(count(*) FILTER (WHERE t), count(*) FILTER (WHERE t), sum(v) FILTER (WHERE t), sum(v * v) FILTER (WHERE t), sum(p) FILTER (WHERE t), sum(p * p) FILTER (WHERE t), sum(v * p) FILTER (WHERE t),
		count(*) FILTER (WHERE NOT t), count(*) FILTER (WHERE NOT t), sum(v) FILTER (WHERE NOT t), sum(v * v) FILTER (WHERE NOT t), sum(p) FILTER (WHERE NOT t), sum(p * p) FILTER (WHERE NOT t), sum(v * p) FILTER (WHERE NOT t))::campaign_lift
	FROM (SELECT t, coalesce(round(v, 6), 0) AS v, coalesce(p, 0) AS p FROM hard) h $$;
SELECT campaign_lift(t, true, round(v, 6), p) = summed() AS exact FROM hard;
SELECT campaign_lift(t, true, round(v, 6), p ORDER BY md5(i::text)) = summed() AS any_order FROM (SELECT *, row_number() OVER () AS i FROM hard) h;
-- parallel workers combine
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE hard SET (parallel_workers = 2);
SELECT campaign_lift(t, true, round(v, 6), p) = summed() AS parallel FROM hard;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- no rows, or none that count: NULL, and so is whatever is computed from it
SELECT campaign_lift(treated, responded) IS NULL AS none, absolute_lift(campaign_lift(treated, responded)) IS NULL AS no_lift FROM contact WHERE false;
SELECT campaign_lift(NULL, true, 1) IS NULL AS none;
SELECT campaign_lift(true, true, 'NaN');
SELECT campaign_lift(true, true, 1e13);
SELECT campaign_lift(true, true, 0.0000001);

-- ---------------------------------------------------------------- response

-- Newcombe (1998), table II, method 10: the published 95 % limits
SELECT responses, treated, control_responses, control, round(lower::numeric, 4) AS lower, round(upper::numeric, 4) AS upper, round(lower::numeric, 4) = published_lower AND round(upper::numeric, 4) = published_upper AS as_published
FROM (VALUES (56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (6, 7, 2, 7, 0.0582, 0.8062), (5, 56, 0, 29, -0.0381, 0.1926), (0, 10, 0, 20, -0.1611, 0.2775),
	(0, 10, 0, 10, -0.2775, 0.2775), (10, 10, 0, 20, 0.6791, 1.0000), (10, 10, 0, 10, 0.6075, 1.0000)) v (responses, treated, control_responses, control, published_lower, published_upper),
	lift_interval(of_counts(responses, treated, control_responses, control)) ORDER BY treated, control, responses;
-- to nine digits: from the score intervals of each share by prop.test(x, n, correct = FALSE) of R
SELECT responses, treated, control_responses, control, level, abs(lower - l) < 1e-9 * abs(l) AND abs(upper - u) < 1e-9 * abs(u) AS as_r
FROM (VALUES (56, 70, 48, 80, 0.95, 0.052431472402364926, 0.33387265403690586), (56, 70, 48, 80, 0.99, 0.0053708692500785693, 0.37180843177577361), (9, 10, 3, 10, 0.95, 0.17052272393450307, 0.80901797353548799),
	(6, 7, 2, 7, 0.95, 0.058227927482312314, 0.80624963752422774), (5, 56, 0, 29, 0.95, -0.038137147903536853, 0.19256001385511157), (0, 10, 0, 20, 0.95, -0.1611251580528193, 0.27753279986288915), (0, 10, 0, 10, 0.95, -0.27753279986288915, 0.27753279986288915),
	(10, 10, 0, 20, 0.95, 0.67908603714191484, 1), (10, 10, 0, 10, 0.99, 0.43593513184017518, 1), (3238, 21387, 2262, 21306, 0.99, 0.036901884208583924, 0.053568164181509496), (300000, 2000000, 298000, 2000000, 0.95, 0.00030111481112397691, 0.001698885097025669)) v (responses, treated, control_responses, control, level, l, u),
	lift_interval(of_counts(responses, treated, control_responses, control), level) ORDER BY treated, control, responses, level;
-- prop.test(correct = FALSE) and fisher.test of R 4.2.2, the first z being the root of their X-squared
SELECT responses, treated, control_responses, control, test, statistic IS NULL OR near(statistic, z) AS statistic, near(t.p_value, v.p_value) AS p_value
FROM (VALUES (56, 70, 48, 80, 'z', 2.65017195125853, 0.00804508136819656), (25, 100, 15, 100, 'z', 1.76776695296637, 0.077099871743542), (1500, 10000, 1400, 10000, 'z', 2.00825077709593, 0.0446166496580391),
	(300000, 2000000, 298000, 2000000, 'z', 2.80441476323654, 0.00504080138709088), (9, 40, 3, 40, 'z', 1.87867287325545, 0.0602891739906022),
	(9, 10, 3, 10, 'Fisher', NULL, 0.0197666110978804), (6, 7, 2, 7, 'Fisher', NULL, 0.102564102564103), (5, 56, 0, 29, 'Fisher', NULL, 0.160621443209471), (3, 1000, 0, 1000, 'Fisher', NULL, 0.249624812406203),
	(4, 100000, 9, 50000, 'Fisher', NULL, 0.0139574929432619), (1, 500000, 6, 400000, 'Fisher', NULL, 0.0497316693609087), (10, 10, 0, 20, 'Fisher', NULL, 3.32833916042312e-08),
	(30, 1000000, 1, 100, 'Fisher', NULL, 0.00309509180375226), (2, 5, 2, 5, 'Fisher', NULL, 1)) v (responses, treated, control_responses, control, wanted, z, p_value),
	lift_test(of_counts(responses, treated, control_responses, control)) t ORDER BY test, treated, responses;
-- Hillstrom's women's mail: visits of 21 387 treated and 21 306 others
SELECT near(p_value, 3.18240315933474e-44) AS p_value, round(absolute_lift(l)::numeric, 4) AS lift, round(relative_lift(l)::numeric, 3) AS relative, round(incremental_responses(l)::numeric, 1) AS incremental, lift_verdict(l)
FROM (SELECT of_counts(3238, 21387, 2262, 21306) AS l) h, lift_test(l);
-- the groups swapped: the same with the other sign
SELECT bool_and(abs(a.p_value - b.p_value) < 1e-14 AND a.test = b.test) AS p_value, bool_and(abs(i.lower + j.upper) < 1e-15 AND abs(i.upper + j.lower) < 1e-15) AS interval
FROM generate_series(0, 12) x, generate_series(0, 9) y, lift_test(of_counts(x, 12, y, 9)) a, lift_test(of_counts(y, 9, x, 12)) b, lift_interval(of_counts(x, 12, y, 9)) i, lift_interval(of_counts(y, 9, x, 12)) j;
-- Fisher by its definition: the chances of all tables with these margins
CREATE FUNCTION choose(n int, k int) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT factorial(n) / factorial(k) / factorial(n - k) $$;
SELECT count(*) AS tables, bool_and(abs(t.p_value - (SELECT sum(c.chance) FILTER (WHERE c.chance <= o.chance * 1.0000001) / sum(c.chance)
	FROM (SELECT choose(11, k) * choose(8, x + y - k) AS chance FROM generate_series(greatest(0, x + y - 8), least(11, x + y)) k) c, (SELECT choose(11, x) * choose(8, y) AS chance) o)) < 1e-12) AS fisher
FROM generate_series(0, 11) x, generate_series(0, 8) y, lift_test(of_counts(x, 11, y, 8)) t WHERE t.test = 'Fisher';

-- ---------------------------------------------------------------- value

-- t.test of R; the adjusted one of value - slope * past_value, where slope is that of lm(value ~ past + treated)
CREATE TABLE lift AS SELECT campaign_lift(treated, responded, value, past) AS l FROM contact;
SELECT near(t, 1.395280921616611) AS t, near(df, 9.570854980078208) AS df, near(p_value, 0.194459132718117) AS p_value, near(lower, -8.370930095808310) AS lower, near(upper, 35.967263429141646) AS upper,
	near(treated_mean, 16.674) AS treated, near(control_mean, 2.875833333333333) AS control, near(difference, treated_mean - control_mean) AS difference FROM lift, value_test(l);
SELECT near(lower, -4.20746351587295) AS lower_90, near(upper, 31.80379684920628) AS upper_90 FROM lift, value_test(l, 0.9);
SELECT near(slope, 1.1723175036098186) AS slope, near(difference, 1.4888328787635716) AS difference, near(lower, -2.2649852872024749) AS lower, near(upper, 5.2426510447296177) AS upper, near(t, 0.8275787961671083) AS t, near(df, 19.9071018421714570) AS df,
	near(p_value, 0.4177199404211653) AS p_value, near(variance_left, 0.0330943405287359) AS variance_left FROM lift, adjusted_value_test(l);
-- two customers against three
SELECT near(t, -1.003001431973576) AS t, near(df, 2.000036289133666) AS df, near(p_value, 0.421494573672556) AS p_value, near(lower, -880.735494161153383) AS lower, near(upper, 547.735494161153269) AS upper
FROM (SELECT campaign_lift(t, true, v) AS l FROM (VALUES (true, 1), (true, 2), (false, 1), (false, 3), (false, 500)) v (t, v)) c, value_test(l);
-- pt and qt of R
SELECT near(a.p_value, 0.293010020728395) AS tail, near(a.upper + 1.7, 7.50052932556203) AS quantile, near(b.p_value, 0.999240786772198) AS middle, near(c.upper - 40, 1.95996635681411) AS normal
FROM crm_profile_internal.student_test(-1.7, 1, 1.3, 0.95) a, crm_profile_internal.student_test(-0.001, 1, 5, 0.95) b, crm_profile_internal.student_test(40, 1, 1e6, 0.95) c;
SELECT round(incremental_value(l), 6) AS incremental_value, round(campaign_roi(l, 40)::numeric, 6) AS roi, round(campaign_roi(l, 40, 0.4)::numeric, 6) AS at_a_margin, campaign_roi(l, 0) AS free FROM lift;

-- ---------------------------------------------------------------- checks, power

-- chisq.test and power.prop.test (strict = TRUE: both tails) of R
SELECT near(sample_ratio_p_value(of_counts(0, 9000, 0, 1100), 0.1), 0.00283474908025939) AS a, near(sample_ratio_p_value(of_counts(0, 52000, 0, 47000), 0.5), 7.31008950288234e-57) AS b, sample_ratio_p_value(of_counts(0, 10, 0, 0), 0) AS all_treated, sample_ratio_p_value(of_counts(0, 0, 0, 2), 0.1) AS too_few;
SELECT near(lift_power(0.10, 0.03, 1000, 1000), 0.5568529159714671) AS power, near(lift_power(0.05, 0.01, 500, 500, 0.9), 0.18033382869552578) AS power_90, customers_needed(0.10, 0.03) AS needed, 2 * ceil(1773.97557353833) AS needed_of_r;
SELECT bool_and(abs(lift_power(0.05, detectable_lift(0.05, 20000, c), 20000, c) - 0.8) < 1e-9) AS detectable, bool_and(lift_power(0.05, 0.004, customers_needed(0.05, 0.004, s) - round(customers_needed(0.05, 0.004, s) * s)::bigint, round(customers_needed(0.05, 0.004, s) * s)::bigint) BETWEEN 0.7999 AND 0.8005) AS needed
FROM unnest('{200,2000,20000}'::bigint[]) c, unnest('{0.1,0.3,0.5}'::float8[]) s;
SELECT detectable_lift(0.05, 3, 1) AS too_few, lift_power(0.1, 0.1, 0, 10) AS nobody, customers_needed(0.1, 0) AS no_lift, customers_needed(0.1, 0.01, 0) AS no_control;
-- without any effect it is the level, whatever the size
SELECT near(lift_power(0.1, 0, 500, 500), 0.05) AS no_lift, near(lift_power(0.1, 0, 20, 9000, 0.9), 0.1) AS no_lift_90;
SELECT sample_ratio_p_value(of_counts(0, 9000, 0, 1100), 1.1);
SELECT sample_ratio_p_value(of_counts(0, 9000, 0, 1100), 'NaN');
SELECT lift_verdict(of_counts(10, 9000, 1, 1100), -0.01);
SELECT lift_power(1.5, 0, 10, 10);
SELECT lift_power(0.5, 0.6, 10, 10);
SELECT lift_interval(of_counts(1, 2, 3, 4), 1);
SELECT lift_test(of_counts(3, 2, 3, 4));

-- ---------------------------------------------------------------- no p-value from nothing

SELECT what, round(absolute_lift(l)::numeric, 4) AS lift, round(relative_lift(l)::numeric, 4) AS relative, round(lower::numeric, 4) AS lower, t.test, round(t.p_value::numeric, 6) AS p_value, round(incremental_responses(l)::numeric, 2) AS incremental, lift_verdict(l)
FROM (VALUES ('no control', of_counts(5, 10, 0, 0)), ('nobody treated', of_counts(0, 0, 5, 10)), ('no response', of_counts(0, 100, 0, 50)), ('all respond', of_counts(100, 100, 50, 50)), ('none without', of_counts(8, 100, 0, 100)),
	('harm', of_counts(10, 1000, 60, 1000)), ('no effect', of_counts(20000, 200000, 20000, 200000)), ('small', of_counts(3, 10, 2, 10)), ('worked', of_counts(60, 1000, 20, 1000))) v (what, l), lift_interval(l), lift_test(l) t ORDER BY what COLLATE "C";
SELECT what, v.difference, round(v.p_value::numeric, 6) AS p_value, a.difference AS adjusted, a.p_value AS adjusted_p_value, round(incremental_value(l), 2) AS incremental, campaign_roi(l, 10) AS roi FROM (
	SELECT 'all alike' AS what, campaign_lift(i % 2 = 0, true, 5, 3) AS l FROM generate_series(1, 10) i
	UNION ALL SELECT 'no control', campaign_lift(true, true, i, i) FROM generate_series(1, 10) i
	UNION ALL SELECT 'one each', campaign_lift(i = 1, true, i, i) FROM generate_series(1, 2) i
	UNION ALL SELECT 'no values', campaign_lift(i % 2 = 0, true) FROM generate_series(1, 10) i
	UNION ALL SELECT 'past tells all', campaign_lift(i % 2 = 0, true, 7 * i, 3 * i) FROM generate_series(1, 40) i
	UNION ALL SELECT 'past alike', campaign_lift(i % 2 = 0, true, i, 1) FROM generate_series(1, 4) i) c, value_test(l) v, adjusted_value_test(l) a ORDER BY what COLLATE "C";
-- whatever the ratio of value to past value: no test of what rounding leaves
SELECT count(slope) AS slopes, count(p_value) AS p_values, bool_and(variance_left = 0) AS none_left FROM generate_series(1, 60) k, LATERAL (SELECT campaign_lift(i % 2 = 0, true, 7 * i, k * i) AS l FROM generate_series(1, 40) i) c, adjusted_value_test(l);
SELECT count(*) AS campaigns, bool_and(variance_left BETWEEN 0 AND 1) AS within FROM generate_series(1, 60) k, LATERAL (SELECT campaign_lift(i % 2 = 0, true, 0.01 * i + (i % 7 = k % 7)::int * 0.000001, k * i + 0.000003) AS l FROM generate_series(1, 40) i) c, adjusted_value_test(l);

DROP SCHEMA test_campaign CASCADE;
