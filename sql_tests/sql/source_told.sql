-- What a source shows: every amount has a line, stale or empty data are reported where people see them, a revenue forecast, and models only for the owner
SET client_min_messages = warning;
SET datestyle = ISO;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA told;
SET search_path = told;
CREATE TABLE client (id int PRIMARY KEY, region text, "Age" int);
CREATE TABLE sale (id int, client int, day date, total numeric, cost numeric);
INSERT INTO client SELECT i, CASE i % 3 WHEN 0 THEN 'north' WHEN 1 THEN 'south' END, 20 + i % 50 FROM generate_series(1, 400) i;
-- first purchases are spread over 700 days, further ones follow every 20 to 120 days
INSERT INTO sale SELECT i, i, date '2024-01-01' + f.first + k * (20 + i % 101), 10 + (i * 37 + k * 11) % 90, (i + k) % 10
FROM generate_series(1, 380) i, LATERAL (SELECT (i * 271) % 700 AS first) f, generate_series(0, i % 9) k WHERE f.first + k * (20 + i % 101) < 700;
SET client_min_messages = notice;
SELECT count(*) FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client', amount => 'total', attributes => '{region,"Age"}', as_of => '2025-11-30', clv_model => 'mbg/nbd');
SELECT item, value FROM shop.model_card_details;
SELECT warning FROM crm_profile.sources_details;

-- ---------------------------------------------------------------- every amount has a line
SELECT orders, customers FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT newest_order FROM crm_profile.sources_details;
CREATE VIEW ledger AS SELECT (SELECT sum(monetary) FROM shop.segment_summary) AS summary, (SELECT sum(amount) FROM shop.purchase_calendar) AS calendar;
SELECT l.summary = s.total AS summary, l.calendar = s.total AS calendar FROM ledger l, (SELECT sum(total) AS total FROM sale) s;
SELECT segment, customers FROM shop.segment_summary WHERE segment LIKE '(%';
-- refunds only, unknown customers (one with a refund only), no customer: some of the latter after the as-of date
INSERT INTO sale VALUES (1001, 390, '2025-05-01', -7.5, NULL), (1002, 391, '2025-05-01', -2, NULL), (1003, 390, '2025-11-01', -1, NULL), (1004, 900, '2025-03-01', 40, 10), (1005, 900, '2025-11-02', 60, NULL),
	(1006, 901, '2025-03-02', -3, NULL), (1007, NULL, '2024-02-02', 500, 100), (1008, NULL, '2025-11-03', 30, NULL), (1009, NULL, '2025-11-03', -5, NULL), (1010, NULL, '2025-12-24', 1000, NULL),
	(1011, 392, '2025-12-24', -9, NULL), (1012, 902, '2025-12-24', 8, NULL);
SELECT orders, customers FROM crm_profile.refresh('shop');
SELECT segment, customers, monetary, median_monetary FROM shop.segment_summary_details WHERE segment LIKE '(%';
SELECT l.summary = s.total AS summary, l.calendar = s.total AS calendar FROM ledger l, (SELECT sum(total) AS total FROM sale WHERE day <= '2025-11-30') s;
SELECT sum(customers) = (SELECT count(*) + 2 FROM client) AS customers, round(sum(customer_share)::numeric, 9) AS customer_share, round(sum(monetary_share)::numeric, 9) AS monetary_share FROM shop.segment_summary_details;
SELECT sum(orders) = (SELECT count(*) FROM sale WHERE total >= 0 AND day <= '2025-11-30') AS orders FROM shop.purchase_calendar;
-- within a period, and by profit
SELECT crm_profile.alter_source('shop', period => '180 days', cost => 'cost');
SELECT orders, customers FROM crm_profile.refresh('shop');
SELECT segment, customers, monetary, profit FROM shop.segment_summary_details WHERE segment LIKE '(%';
SELECT summary = (SELECT sum(total) FROM sale WHERE day <= '2025-11-30' AND day > date '2025-11-30' - 180) AS summary FROM ledger;
-- order lines: the lines of an order without a customer are one order
SELECT crm_profile.alter_source('shop', order_key => 'id % 1001', reset => '{period,cost}');
UPDATE sale SET id = 1008 WHERE id = 1009;
SELECT orders FROM crm_profile.refresh('shop');
SELECT l.summary = s.total AS summary, l.calendar = s.total AS calendar FROM ledger l, (SELECT sum(total) AS total FROM sale WHERE day <= '2025-11-30') s;
SELECT p.day, p.orders, p.amount FROM (SELECT unassigned FROM shop.model ORDER BY id DESC LIMIT 1) m, crm_profile.purchases(m.unassigned) p;
SELECT crm_profile.alter_source('shop', reset => '{order_key}');
SELECT customers FROM crm_profile.refresh('shop');
-- without these refunds and orders again
BEGIN;
DELETE FROM sale WHERE id > 1000;
SELECT customers FROM crm_profile.refresh('shop');
SELECT segment, customers, monetary FROM shop.segment_summary WHERE segment LIKE '(%';
ROLLBACK;

-- ---------------------------------------------------------------- revenue of the next 90 days
DELETE FROM sale WHERE id BETWEEN 1001 AND 1006 OR id > 1009;
UPDATE sale SET day = '2025-01-15' WHERE id = 1007;
SELECT customers FROM crm_profile.refresh('shop');
SELECT part, customers, from_date, to_date FROM shop.revenue_forecast;
CREATE TABLE first AS SELECT client, min(day) AS day FROM sale WHERE day <= '2025-11-30' GROUP BY client;
-- a year before, in plain SQL
SELECT f.part, f.last_year, s.total = f.last_year AS right FROM shop.revenue_forecast f JOIN (
	SELECT CASE WHEN s.client IS NULL THEN 'no customer' WHEN f.day <= '2024-11-30' THEN 'customers so far' ELSE 'new customers' END AS part, sum(total) AS total
	FROM sale s LEFT JOIN first f ON f.client = s.client WHERE s.day BETWEEN '2024-12-01' AND '2025-02-28' GROUP BY ROLLUP (1)) s ON coalesce(s.part, 'total') = f.part ORDER BY f.last_year;
-- new customers: purchases of those who came in each of four stretches of 90 days, and how much the four differ, as if four more differed by 30 %
WITH stretch AS (SELECT date '2025-11-30' - 90 * k AS until FROM generate_series(0, 3) k),
	came AS (SELECT t.until, count(DISTINCT f.client) AS customers, sum(s.total) AS total FROM stretch t JOIN first f ON f.client IS NOT NULL AND f.day > t.until - 90 AND f.day <= t.until
		JOIN sale s ON s.client = f.client AND s.day > t.until - 90 AND s.day <= t.until GROUP BY t.until)
SELECT f.customers = (SELECT round(avg(c.customers), 1) FROM came c) AS customers, f.expected = (SELECT round(avg(c.total), 2) FROM came c) AS expected,
	abs(f.upper - f.expected - 2.365 * (SELECT sqrt((4 * (0.3 * avg(c.total)) ^ 2 + 3 * var_samp(c.total)) / 7) FROM came c) * sqrt(1.25)) < 0.02 AS upper, f.lower >= 0 AS lower
FROM shop.revenue_forecast f WHERE f.part = 'new customers';
-- present customers: rate times value of each; the band from chance, little here, and from the errors of the holdout forecasts
WITH e AS (
	SELECT sum(crm_profile.expected_purchases(h.history, m.clv, '2025-11-30', '90 days') * crm_profile.expected_value(h.history, m.clv, '2025-11-30', true)) AS expected
	FROM shop.customer_history h, shop.model_in_use m),
	r AS (SELECT count(*) AS n, sum(ln(value_calibration) ^ 2) AS squares FROM shop.model_holdout WHERE part IN ('total', 'earlier total')),
	o AS (SELECT sqrt((4 * 0.15 ^ 2 + squares) / (4 + n)) * (ARRAY[2.776, 2.571, 2.447, 2.365, 2.306])[n + 1] AS reach, n FROM r)
SELECT abs(f.expected - e.expected::numeric) < 0.02 AS expected, n AS forecasts, ln(f.upper / f.expected) BETWEEN o.reach AND o.reach * 1.3 AS above, abs(f.upper / f.expected - f.expected / f.lower) < 1e-3 AS below
FROM shop.revenue_forecast f, e, o WHERE f.part = 'customers so far';
SELECT t.expected - p.expected AS expected, t.last_year - p.last_year AS last_year, abs((t.upper - t.expected) - p.half) < 0.02 AS band
FROM shop.revenue_forecast t, (SELECT sum(expected) AS expected, sum(last_year) AS last_year, sqrt(sum((upper - expected) ^ 2)) AS half FROM shop.revenue_forecast WHERE part <> 'total') p WHERE t.part = 'total';
-- by profit; too short a time: unknown figures are NULL
SELECT crm_profile.alter_source('shop', cost => 'cost', tier_by => 'profit');
SELECT customers FROM crm_profile.refresh('shop');
SELECT last_year = (SELECT sum(total - cost) FROM sale WHERE day BETWEEN '2024-12-01' AND '2025-02-28' AND cost IS NOT NULL) AS last_year FROM shop.revenue_forecast WHERE part = 'total';
SELECT crm_profile.alter_source('shop', as_of => '2024-05-01', tier_by => 'monetary', reset => '{cost}');
SELECT customers FROM crm_profile.refresh('shop');
SELECT part, expected IS NULL AS expected, upper IS NULL AS upper, last_year FROM shop.revenue_forecast;

-- ---------------------------------------------------------------- stale, empty, twice
SELECT crm_profile.alter_source('shop', as_of => '2023-06-01');
SELECT orders FROM crm_profile.refresh('shop');
SELECT value FROM shop.model_card_details WHERE item = 'warning';
SELECT count(*) FROM shop.revenue_forecast;
SELECT crm_profile.alter_source('shop', as_of => '2028-06-01');
SELECT orders FROM crm_profile.refresh('shop');
SELECT crm_profile.alter_source('shop', as_of => '2025-11-30');
SELECT orders FROM crm_profile.refresh('shop');
SELECT item, value FROM shop.model_card_details WHERE item IN ('warning', 'newest order');
SELECT warning FROM crm_profile.sources_details;
CREATE TABLE copied AS SELECT * FROM client UNION ALL SELECT * FROM client WHERE id <= 3;
SELECT count(*) FROM crm_profile.create_source('twice', 'copied', 'sale', customer_key => 'id', order_customer => 'client', amount => 'total', as_of => '2025-11-30', clv_model => 'mbg/nbd');
SELECT orders FROM crm_profile.refresh('twice');
SELECT count(*) - count(DISTINCT customer) AS too_many FROM twice.customer_profile;
TRUNCATE copied, sale;
SELECT orders FROM crm_profile.refresh('twice');
SELECT crm_profile.drop_source('twice');
INSERT INTO sale SELECT i, i, date '2025-11-01', 10 FROM generate_series(1, 40) i;
SELECT orders FROM crm_profile.refresh('shop');
DELETE FROM sale;
INSERT INTO sale SELECT i, i % 380 + 1, date '2025-11-30' - (i * i * 7) % 700, 10 + (i * 37) % 90 FROM generate_series(1, 2000) i;
INSERT INTO sale SELECT i, NULL, '2025-11-03', 30 FROM generate_series(3001, 3002) i;
SELECT orders FROM crm_profile.refresh('shop');

-- ---------------------------------------------------------------- contradictions of the labels, as a query over customer_profile counts them
-- under bg/nbd a one-time buyer stays a customer for ever
BEGIN;
DELETE FROM sale s WHERE client % 3 = 0 AND EXISTS (SELECT FROM sale e WHERE e.client = s.client AND (e.day, e.id) < (s.day, s.id));
SELECT crm_profile.alter_source('shop', clv_model => 'bg/nbd');
SELECT orders < 2000 AS fewer FROM crm_profile.refresh('shop');
SELECT count(*) AS differences FROM (SELECT note, number FROM shop.model_card_details WHERE section = 'labels' AND number > 0) c FULL JOIN (
	SELECT k, count(*) AS n FROM shop.customer_profile p LEFT JOIN shop.customer_history h USING (customer), shop.model_in_use m, unnest(crm_profile.label_conflicts(p.segment, m.segments, p.lifecycle, crm_profile.p_alive(h.history, m.clv, '2025-11-30'), NULL)) k GROUP BY k) t ON t.k = c.note
WHERE t.n IS DISTINCT FROM c.number;
SELECT sum(number) > 0 AS told FROM shop.model_card_details WHERE section = 'labels';
ROLLBACK;

-- ---------------------------------------------------------------- attributes in columns
SELECT a.attname, format_type(a.atttypid, -1) AS type, col_description(a.attrelid, a.attnum) AS comment FROM pg_attribute a WHERE a.attrelid = 'shop.customer_attributes'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT count(*) AS differences FROM shop.customer_attributes a FULL JOIN client c ON c.id = a.customer WHERE (a.region, a."Age") IS DISTINCT FROM (c.region, c."Age");
SELECT crm_profile.alter_source('shop', attributes => '{"Age"}');
SELECT array_agg(attname ORDER BY attnum) AS columns FROM pg_attribute WHERE attrelid = 'shop.customer_attributes'::regclass AND attnum > 0;
SELECT crm_profile.alter_source('shop', reset => '{attributes}');
SELECT to_regclass('shop.customer_attributes') AS gone;

-- ---------------------------------------------------------------- model is for the owner: readers of all tables see what the views need, and nothing of customers hidden from them
SELECT crm_profile.alter_source('shop', attributes => '{region}', prospects => 'client', best => 'monetary > 300');
INSERT INTO sale VALUES (4001, 900, '2025-11-01', 40), (4002, 391, '2025-11-01', -2);
SELECT orders FROM crm_profile.refresh('shop');
CREATE ROLE regress_crm_told;
GRANT USAGE ON SCHEMA shop, told TO regress_crm_told;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_crm_told;
GRANT SELECT ON client TO regress_crm_told;
ALTER TABLE client ENABLE ROW LEVEL SECURITY;
CREATE POLICY north ON client FOR SELECT TO regress_crm_told USING (region = 'north');
SELECT count(*) > 1 AS models, bool_or(profile IS NOT NULL) AS profile FROM shop.model;
SELECT segment, customers FROM shop.segment_summary WHERE segment LIKE '(%';
SET ROLE regress_crm_told;
SELECT count(*) AS models FROM shop.model;
SELECT count(*) AS models, count(clv) AS clv, count(profile) AS profile, count(match) AS match, count(unassigned) AS unassigned FROM shop.model_in_use;
SELECT count(*) > 0 AS profiles, count(segment) > 0 AS segments FROM shop.customer_profile;
SELECT count(*) > 20 AS card FROM shop.model_card_details;
SELECT count(*) FILTER (WHERE score IS NULL) AS unscored, count(*) > 0 AS prospects FROM shop.prospect_match;
SELECT segment, customers, monetary FROM shop.segment_summary WHERE segment LIKE '(%';
SELECT (SELECT sum(monetary) FROM shop.segment_summary) = (SELECT sum(amount) FROM shop.purchase_calendar) AS agree;
SELECT string_agg(part, ', ') AS parts FROM shop.revenue_forecast;
RESET ROLE;
SELECT summary = calendar AS agree, summary = (SELECT sum(total) FROM sale) AS ledger FROM ledger;

-- ---------------------------------------------------------------- forgetting: old models are deleted, and no message contains the key
SELECT * FROM crm_profile.forget_customer('shop', 41);
SELECT count(*) FROM shop.model;
DROP VIEW ledger;
SELECT crm_profile.drop_source('shop');
DROP SCHEMA told CASCADE;
DROP OWNED BY regress_crm_told;
DROP ROLE regress_crm_told;
