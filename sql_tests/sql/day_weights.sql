-- Days that differ: a calendar of closed days and promotions, in fits, forecasts, tests of forecasts and sources
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA test_days;
SET search_path TO test_days, crm_profile;
SET datestyle TO iso;
SET intervalstyle TO postgres;
SET extra_float_digits TO 1;
SET jit TO off;
SET client_min_messages TO warning;
\set SHOW_CONTEXT never
CREATE TABLE purchase (customer int, day date, amount numeric);
\set cmd '\\copy purchase from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:cmd

-- ---------------------------------------------------------------- stretched time, and the same time back

-- CDNOW, and the same shop with a closed day after each of its days, which is in truth the same
CREATE FUNCTION stretched(day date) RETURNS date LANGUAGE sql IMMUTABLE AS $$ SELECT date '1997-01-01' + 2 * (day - date '1997-01-01') $$;
CREATE TABLE shop AS SELECT customer, purchase_history_agg(day, amount) AS plain, purchase_history_agg(stretched(day), amount) AS wide FROM purchase GROUP BY customer;
-- closed days have weight 0; or open ones weight 2, as in a promotion
CREATE TABLE calendar AS SELECT name, jsonb_object_agg(date '1997-01-01' + i, CASE i % 2 WHEN 1 THEN 0 ELSE open END) AS days, open
	FROM (VALUES ('closed', 1), ('promotion', 2)) c (name, open), generate_series(0, 1499) i GROUP BY name, open;
CREATE TABLE fits AS SELECT k.kind, c.name, c.open, f.* FROM calendar c, unnest('{mbg/nbd,bg/nbd,pareto/nbd,mbg/cnbd-2,mbg/cnbd-k}'::text[]) k (kind),
	LATERAL (SELECT clv_fit(plain, '1997-09-30', k.kind) AS plain, clv_fit(wide, stretched('1997-09-30'), k.kind, NULL, NULL, c.days) AS wide FROM shop) f;
-- a unit of time is one of weighted days: of a promotion, there are twice as many, and the log-likelihood is the same in both
SELECT name, count(*) AS models, count(*) FILTER (WHERE open = 1 AND wide::text::jsonb - '{day_weights,as_of}'::text[] = plain::text::jsonb - 'as_of') > 3 AS same_to_the_digit,
	bool_and(abs(scale / open / other - 1) < 1e-4) AS time, bool_and(abs((clv_model_card(wide)).log_likelihood - (clv_model_card(plain)).log_likelihood) < 0.001) AS likelihood, (array_agg((clv_model_card(wide)).weighted_days))[1] AS days
FROM fits, LATERAL (SELECT (wide::text::jsonb -> 'parameters' ->> 1)::float8, (plain::text::jsonb -> 'parameters' ->> 1)::float8) p (scale, other) GROUP BY name ORDER BY name;
-- every prediction uses the weights
SELECT name, count(*) AS customers, bool_and(abs(p_alive(h.wide, m.wide, stretched('1997-09-30')) - p_alive(h.plain, m.plain, '1997-09-30')) < 1e-4) AS alive,
	bool_and(abs(expected_purchases(h.wide, m.wide, stretched('1997-09-30'), '180 days') - expected_purchases(h.plain, m.plain, '1997-09-30', '90 days')) < 1e-3) AS purchases,
	bool_and(abs(probability_of_purchase(h.wide, m.wide, stretched('1997-09-30'), '180 days') - probability_of_purchase(h.plain, m.plain, '1997-09-30', '90 days')) < 1e-3) AS probability,
	bool_and(abs(lapse_probability(h.wide, m.wide, stretched('1997-09-30')) - lapse_probability(h.plain, m.plain, '1997-09-30')) < 1e-3) AS lapse,
	bool_and(abs(next_purchase(h.wide, m.wide, stretched('1997-09-30')) - stretched(next_purchase(h.plain, m.plain, '1997-09-30'))) <= 2) AS next,
	bool_and((next_purchase(h.wide, m.wide, stretched('1997-09-30')) - date '1997-01-01') % 2 = 0) AS on_open_days
FROM fits m, shop h WHERE kind = 'mbg/cnbd-2' AND next_purchase(h.plain, m.plain, '1997-09-30') < '1998-06-30' GROUP BY name ORDER BY name;
-- and so does every test of forecasts
SELECT count(*) AS lines, bool_and(abs(w.predicted - p.predicted) < 1e-6 * p.predicted AND w.actual = p.actual) AS same
FROM (SELECT unnest(clv_holdout(wide, stretched('1997-09-30'), stretched('1998-06-30'), 'mbg/cnbd-2', NULL, NULL, days)) AS l FROM shop, calendar WHERE name = 'closed') a, LATERAL (SELECT (a.l).*) w
JOIN (SELECT unnest(clv_holdout(plain, '1997-09-30', '1998-06-30', 'mbg/cnbd-2')) AS l FROM shop) b ON (b.l).part = w.part AND (b.l).class = w.class, LATERAL (SELECT (b.l).*) p WHERE w.part IN ('total', 'frequency', 'decile');
SELECT count(*) AS lines, bool_and(abs(w.predicted - p.predicted) < 1e-4 * p.predicted AND w.actual = p.actual) AS same
FROM (SELECT unnest(clv_record(wide, stretched('1998-06-30'), 180, days)) AS l FROM shop, calendar WHERE name = 'closed') a, LATERAL (SELECT (a.l).*) w
JOIN (SELECT unnest(clv_record(plain, '1998-06-30', 90)) AS l FROM shop) b ON (b.l).candidate = w.candidate AND stretched((b.l).fit_until) = w.fit_until, LATERAL (SELECT (b.l).*) p WHERE w.candidate = 'mbg/nbd';

-- ---------------------------------------------------------------- the same bytes as none

SELECT count(*) AS fits, bool_and(given = plain) AS same FROM (VALUES ('mbg/nbd'), ('mbg/cnbd-k, season, months, inflow')) k (k), (VALUES (NULL::jsonb), ('{}'), ('{"1997-02-01": 1, "1998-12-24": 1.0}')) v (d),
	LATERAL (SELECT clv_fit(s.plain, '1998-03-31', k, NULL, NULL, d) AS given, clv_fit(s.plain, '1998-03-31', k) AS plain FROM shop s) f;
SELECT with_day_weights(with_day_weights(m, '{"2024-12-24": 0}'), '{}') = m AS taken_back, with_day_weights(m, '{"2024-12-26": 0, "2024-12-24": 0, "2024-12-25": 0, "2024-12-27": 1.5, "2024-12-29": 1}') FROM clv_model('mbg/nbd', '{1, 2, 3, 4}') m;
-- a calendar given to a model by hand: 14 days of which two are closed and four count twice are 16
SELECT abs(expected_purchases(h, with_day_weights(m, '{"2024-12-24": 0, "2024-12-25": 0, "2024-12-27": 2, "2024-12-28": 2, "2024-12-29": 2, "2024-12-31": 2}'), '2024-12-20', '14 days') - expected_purchases(h, m, '2024-12-20', '16 days')) < 1e-12 AS purchases
FROM clv_model('mbg/cnbd-2', '{1, 10, 1, 3}', unit => '1 day') m, CAST('{2024-11-30: 5}' AS purchase_history) h;
-- on top of a season: eleven days of December, one of them closed, of 1.5 each, and three of January of 0.5 each, one of them of three times as much
SELECT round((expected_purchases(h, with_day_weights(m, '{"2024-12-24": 0, "2025-01-02": 3}'), '2024-12-20', '14 days') / (5 * 1.5 + 5 * 1.5 + 2.5))::numeric, 9) AS "0.010000000"
FROM CAST('{"model": "bg/nbd", "parameters": [1000000, 100000000, 1e-6, 1000000], "unit_days": 1, "season_status": "given", "season": [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.5]}' AS clv_model) m, CAST('{2024-11-30: 5}' AS purchase_history) h;

-- ---------------------------------------------------------------- a promotion in each of two years is not a season

-- customers come twice a month, and six times as often in the first week of October, when there is a sale
CREATE TABLE sale AS SELECT c AS customer, purchase_history_agg(day, 10) AS history FROM generate_series(1, 600) c, generate_series(timestamp '2021-01-01', '2023-12-31', '1 day') g (at), LATERAL (SELECT at::date) d (day)
	WHERE (hashint4(c * 5000 + (day - date '2021-01-01')) & 1023) < CASE WHEN extract(month FROM day) = 10 AND extract(day FROM day) <= 7 THEN 360 ELSE 60 END GROUP BY c;
CREATE TABLE sales AS SELECT jsonb_object_agg(day::date, 6) AS days FROM generate_series(2021, 2024) y, generate_series(make_date(y, 10, 1)::timestamp, make_date(y, 10, 7), '1 day') day;
CREATE TABLE sale_fit AS SELECT clv_fit(history, '2023-08-31', 'mbg/cnbd-k, season, months', NULL, NULL, days) AS by_day, clv_fit(history, '2023-08-31', 'mbg/cnbd-k, season, months') AS by_month FROM sale, sales GROUP BY days;
SELECT (clv_model_card(by_day)).season, (SELECT max(factor) FROM clv_season(by_day)) < 1.05 AS level, (clv_model_card(by_month)).season, (SELECT round(factor::numeric, 1) FROM clv_season(by_month) WHERE month = 10) AS october FROM sale_fit;
-- what came in the week of the sale and in the rest of October, over what was forecast
SELECT round((sum(purchase_days(history, '2023-10-07') - purchase_days(history, '2023-09-30')) / sum(expected_purchases(history, by_day, '2023-09-30', '7 days')))::numeric, 1) AS sale_by_day,
	round((sum(purchase_days(history, '2023-10-07') - purchase_days(history, '2023-09-30')) / sum(expected_purchases(history, by_month, '2023-09-30', '7 days')))::numeric, 1) AS sale_by_month,
	round((sum(purchase_days(history, '2023-10-31') - purchase_days(history, '2023-10-07')) / sum(expected_purchases(history, by_day, '2023-10-07', '24 days')))::numeric, 1) AS rest_by_day,
	round((sum(purchase_days(history, '2023-10-31') - purchase_days(history, '2023-10-07')) / sum(expected_purchases(history, by_month, '2023-10-07', '24 days')))::numeric, 1) AS rest_by_month FROM sale, sale_fit;
-- with attributes as well
SELECT (clv_model_card(m)).weighted_days, abs(estimate - truth) < 1e-3 AS same FROM (SELECT clv_fit(history, '2023-08-31', 'mbg/nbd', NULL, NULL, r, NULL, days) AS m, clv_fit(history, '2023-08-31', 'mbg/nbd', NULL, NULL, days) AS plain
	FROM sale, sales, LATERAL (SELECT 'all alike' AS word) r GROUP BY days) f, LATERAL (SELECT estimate FROM clv_parameters(m) WHERE parameter = 'alpha') e, LATERAL (SELECT estimate AS truth FROM clv_parameters(plain) WHERE parameter = 'alpha') t;

-- ---------------------------------------------------------------- somebody bought on a closed day; all days are closed

SELECT (clv_model_card(m)).status = 'converged' AS fitted, (clv_model_card(m)).log_likelihood > -1e6 AS finite FROM (SELECT clv_fit(plain, '1997-09-30', 'mbg/cnbd-k', NULL, NULL, (SELECT jsonb_object_agg('1997-01-01'::date + 7 * i, 0) FROM generate_series(0, 60) i)) AS m FROM shop) f;
SELECT count(m) AS said FROM (SELECT clv_fit(plain, '1997-09-30', 'mbg/nbd', NULL, NULL, (SELECT jsonb_object_agg('1997-01-01'::date + i, 0) FROM generate_series(0, 500) i)) AS m FROM shop) f;

-- ---------------------------------------------------------------- errors

CREATE FUNCTION said(days jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN with_day_weights(clv_model('mbg/nbd', '{1, 2, 3, 4}'), days)::text;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT d, said(d) FROM unnest('{"[1]","{\"24.12.2024\": 0}","{\"2024-02-30\": 0}","{\"2024-12-24\": -1}","{\"2024-12-24\": 101}","{\"2024-12-24\": \"0\"}","{\"2024-12-24\": null}","{\"infinity\": 0}"}'::jsonb[]) d;
SELECT said(jsonb_object_agg('2000-01-01'::date + 2 * i, 0)) FROM generate_series(1, 10001) i;
SELECT clv_fit(plain, '1997-09-30', 'mbg/nbd', NULL, NULL, jsonb_build_object('1997-03-01', customer % 2)) FROM shop;
SELECT clv_record(plain, '1998-06-30', 90, jsonb_build_object('1997-03-01', customer % 2)) FROM shop;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "day_weights": [{"from": "2024-12-24", "days": 3}, {"from": "2024-12-26"}]}'::clv_model;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "day_weights": [{"from": "2024-12-24", "weight": 1}]}'::clv_model;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "day_weights": [{"from": "2024-12-24", "days": 0}]}'::clv_model;
SELECT '{"model": "mbg/nbd", "parameters": [1, 1, 1, 1], "day_weights": [{"from": "2024-12-24", "days": 2000000}]}'::clv_model;

-- ---------------------------------------------------------------- in a source

CREATE TABLE customer AS SELECT customer AS id FROM shop;
ALTER TABLE customer ADD PRIMARY KEY (id);
CREATE TABLE orders AS SELECT customer, stretched(day) AS day, amount FROM purchase;
CREATE TABLE opening (day date, weight numeric, remark text);
INSERT INTO opening SELECT date '1997-01-01' + i, (i + 1) % 2 FROM generate_series(0, 1499) i;
SELECT value FROM create_source('wide', 'customer', 'orders', order_customer => 'customer', as_of => '1998-06-29', clv_model => 'mbg/cnbd-k', day_weights => 'opening') WHERE argument = 'day_weights';
SELECT orders > 0 AS refreshed FROM refresh('wide');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT item, number FROM wide.model_card_details WHERE item = 'days with a weight';
CREATE FUNCTION days() RETURNS jsonb LANGUAGE sql STABLE AS $$ SELECT days FROM calendar WHERE name = 'closed' $$;
SELECT (SELECT clv FROM wide.model) = (SELECT clv_fit(h.wide, '1998-06-29', 'mbg/cnbd-k', NULL, NULL, (SELECT days())) FROM shop h) AS by_hand;
SELECT count(*) AS customers, count(*) FILTER (WHERE p.p_purchase_90d IS DISTINCT FROM probability_of_purchase(h.wide, m.clv, '1998-06-29', '90 days')) AS differences FROM wide.customer_profile p JOIN shop h USING (customer), wide.model m;
SELECT abs(h.predicted - t.predicted) < 1e-6 AS holdout FROM wide.model_holdout h, wide.model m, LATERAL (SELECT unnest(clv_holdout(wide, m.holdout_fit_until, m.holdout_until, 'mbg/cnbd-k', NULL, NULL, (SELECT days()))) AS l FROM shop) u, LATERAL (SELECT (u.l).*) t WHERE t.part = 'total' AND h.part = 'total';
-- the automatic choice uses it as well
SELECT alter_source('wide', clv_model => 'auto');
SELECT orders > 0 AS refreshed FROM refresh('wide');
SELECT number FROM wide.model_card_details WHERE item = 'days with a weight';
SELECT m.clv_record = (SELECT clv_record(h.wide, m.holdout_until, 90, (SELECT days())) FROM shop h) AS record FROM (SELECT * FROM wide.model ORDER BY id DESC LIMIT 1) m;
-- the next refresh takes other days; without a calendar all days are alike
UPDATE opening SET weight = 1 WHERE weight = 0;
SELECT orders > 0 AS refreshed FROM refresh('wide');
SELECT count(*) AS items FROM wide.model_card_details WHERE item = 'days with a weight';
INSERT INTO opening VALUES ('1998-01-02', 3);
SELECT * FROM refresh('wide');
SELECT alter_source('wide', reset => '{day_weights}');
SELECT orders > 0 AS refreshed FROM refresh('wide');
CREATE VIEW no_days AS SELECT day::timestamp AS day, weight FROM opening;
CREATE VIEW no_weights AS SELECT day, weight::text FROM opening;
SELECT alter_source('wide', day_weights => 'no_days');
SELECT alter_source('wide', day_weights => 'no_weights');
SELECT alter_source('wide', day_weights => 'customer');
SELECT alter_source('wide', day_weights => 'nothing');
DELETE FROM opening WHERE day = '1998-01-02';
SELECT alter_source('wide', day_weights => 'opening');
DROP TABLE opening CASCADE;
SELECT regexp_replace(warning, '\s+', ' ', 'g') LIKE '%relation test_days.opening does not exist%day_weights => …%' AS warned FROM sources WHERE name = 'wide';
SELECT * FROM refresh('wide');
SET client_min_messages TO error;
SELECT drop_source('wide');
DROP SCHEMA test_days CASCADE;
