-- Campaigns of a source: responses against plain SQL over the orders, results, faults in the contacts, what cannot be told
SET datestyle TO iso;
SET intervalstyle TO postgres;
SET timezone TO 'UTC';
SET jit TO off;
\set SHOW_CONTEXT never
CREATE SCHEMA test_campaign_source;
SET search_path TO test_campaign_source, crm_profile;
SET client_min_messages TO warning;
CREATE FUNCTION chance(what text, i bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what || i), 1, 7))::bit(28)::int / 268435456.0 $$;

-- 1 200 customers, orders of a year, the last of them after a campaign that doubles the orders of those who are treated
CREATE TABLE customer (id int PRIMARY KEY, region text);
INSERT INTO customer SELECT i, CASE WHEN i % 3 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 1200) i;
CREATE TABLE contact (customer_id int, campaign text, sent date, grp text, replied timestamptz, worth numeric, price numeric, code text);
INSERT INTO contact SELECT i, 'spring', '2025-05-01', CASE WHEN chance('group', i) < 0.4 THEN 'control' ELSE 'mail' END, NULL, NULL, 0.5, 'S25' FROM generate_series(1, 1200) i;
CREATE TABLE orders (id serial, customer_id int, ordered_on timestamptz, amount numeric(10, 2), cost numeric(10, 2), code text);
INSERT INTO orders (customer_id, ordered_on, amount, cost) SELECT i, timestamptz '2024-05-01 12:00' + floor(365 * chance('day' || n, i))::int * interval '1 day', round((10 + 90 * chance('amount' || n, i))::numeric, 2), 5
	FROM generate_series(1, 1200) i, generate_series(1, 6) n WHERE chance('n' || n, i) < chance('rate', i);
INSERT INTO orders (customer_id, ordered_on, amount, cost, code) SELECT c.customer_id, timestamptz '2025-05-01 12:00' + floor(60 * chance('late', c.customer_id))::int * interval '1 day', round((10 + 90 * chance('late amount', c.customer_id))::numeric, 2), 5, CASE WHEN chance('coded', c.customer_id) < 0.4 AND c.grp = 'mail' THEN 'S25' END
	FROM contact c WHERE chance('buys', c.customer_id) < CASE c.grp WHEN 'mail' THEN 0.7 ELSE 0.2 END;
INSERT INTO orders (customer_id, ordered_on, amount, cost) VALUES (1, '2025-05-03', -7, -1), (2, '2025-05-31 12:00', 3, 1), (3, '2025-06-01 00:00', 3, 1), (4, '2025-04-30 23:59', 3, 1);

SELECT argument, value, origin FROM create_source('shop', 'customer', 'orders', amount => 'amount', cost => 'cost', ordered_at => 'ordered_on', as_of => '2025-07-01', campaigns => 'contact', contacted_at => 'sent', treated => $$grp <> 'control'$$,
	contact_cost => 'price') WHERE argument ~ 'campaign|contact|treated|respon';
SELECT customers_with_profile IS NOT NULL FROM (SELECT refresh('shop')) r (customers_with_profile);

SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- each customer: what plain SQL finds in the orders
CREATE VIEW by_hand AS
SELECT c.customer_id, c.campaign, c.sent, c.grp <> 'control' AS treated,
	count(o.id) FILTER (WHERE o.amount >= 0 AND o.ordered_on::date BETWEEN c.sent AND c.sent + 30) > 0 AS responded,
	coalesce(sum(o.amount) FILTER (WHERE o.ordered_on::date BETWEEN c.sent AND c.sent + 30), 0) AS value,
	coalesce(sum(o.amount) FILTER (WHERE o.ordered_on::date BETWEEN c.sent - 365 AND c.sent - 1), 0) AS past_value
FROM contact c LEFT JOIN orders o USING (customer_id) GROUP BY c.customer_id, c.campaign, c.sent, c.grp;
SELECT count(*) AS customers, count(*) FILTER (WHERE r.treated = h.treated AND r.responded = h.responded AND r.value = h.value AND r.past_value = h.past_value AND r.contacted_on = h.sent) AS same, bool_and(r.cost = 0.5) AS cost
FROM shop.campaign_response r JOIN by_hand h ON h.customer_id = r.customer AND h.campaign = r.campaign;
-- what was known the day before is what profile_as_of() tells of that day
SELECT count(*) AS customers, count(*) FILTER (WHERE r.segment = coalesce(p.segment, '(unscored)') AND r.score IS NOT DISTINCT FROM p.p_purchase) AS same FROM shop.campaign_response r JOIN shop.profile_as_of('2025-04-30') p USING (customer);
-- the result is that of campaign_lift over these rows
SELECT r.treated, r.control, r.still_open, r.treated_rate = response_rate(l) AND r.control_rate = response_rate(l, false) AND r.lift = absolute_lift(l) AND r.p_value = t.p_value AND r.lift_lower = i.lower AND r.value_lift = a.difference AND r.value_p_value = a.p_value AS as_campaign_lift,
	round(r.treated_rate::numeric, 4) AS treated_rate, round(r.control_rate::numeric, 4) AS control_rate, round(r.incremental_value - (a.difference * r.treated)::numeric, 2) AS value_gained, r.cost, round(r.roi::numeric - (r.incremental_value - r.cost) / r.cost, 9) AS roi, r.value_test, round(r.assignment_p_value::numeric, 3) AS assignment, r.result, r.note
FROM shop.campaign_result r, (SELECT campaign_lift(treated, responded, value, past_value) AS l FROM by_hand) h, lift_test(l) t, lift_interval(l) i, adjusted_value_test(l) a;
-- by segment: the same sums, p-values adjusted as Benjamini and Hochberg say
SELECT sum(s.treated) = min(r.treated) AND sum(s.control) = min(r.control) AS whole, round(sum(s.treated * s.treated_rate)::numeric, 6) = round(min(r.treated * r.treated_rate)::numeric, 6) AS responses, count(*) AS segments FROM shop.campaign_segment_result s, shop.campaign_result r;
SELECT bool_and(abs(s.adjusted_p_value - (SELECT min(least(1, o.p_value * n.n / (SELECT count(*) FROM shop.campaign_segment_result k WHERE k.p_value <= o.p_value))) FROM shop.campaign_segment_result o WHERE o.p_value >= s.p_value)) < 1e-12) AS adjusted,
	count(*) FILTER (WHERE s.result = 'worked') > 0 AS some_worked, bool_and((s.result = 'worked') = (s.adjusted_p_value < 0.05 AND s.lift > 0)) AS as_adjusted
FROM shop.campaign_segment_result s, (SELECT count(p_value) AS n FROM shop.campaign_segment_result) n WHERE s.p_value IS NOT NULL;
-- whatever the source is called
ALTER SCHEMA shop RENAME TO "My ""shop""";
SELECT treated > 0 AS told FROM "My ""shop""".campaign_result;
SET quote_all_identifiers TO on;
SELECT count(*) > 0 AS told FROM "My ""shop""".campaign_gains;
RESET quote_all_identifiers;
ALTER SCHEMA "My ""shop""" RENAME TO shop;
-- by tenth of the score
SELECT count(*) AS deciles, sum(customers) = (SELECT count(score) FROM shop.campaign_response) AS whole, bool_and(mean_score < before) AS falling, max(cumulative_customers) = 1 AND max(cumulative_responses) = 1 AS ends_at_1, min(customers) > 0 AS none_empty
FROM (SELECT *, lag(mean_score) OVER (ORDER BY decile) AS before FROM shop.campaign_gains) g;

-- earlier: not all have had their days yet; earlier still: no campaign
SELECT alter_source('shop', as_of => '2025-05-20');
SELECT treated, control, still_open, treated_rate, p_value, result, note FROM shop.campaign_result;
SELECT count(*), count(responded), count(value) FROM shop.campaign_response;
SELECT alter_source('shop', as_of => '2025-04-30');
SELECT count(*) FROM shop.campaign_result;
-- by today the views are read with the same plan
SELECT alter_source('shop', reset => '{as_of}');
SELECT treated, control, still_open FROM shop.campaign_result;
SELECT alter_source('shop', as_of => '2025-07-01', tier_by => 'profit');
SELECT count(*) = 1200 AS all, bool_and(r.value = coalesce((SELECT sum(o.amount - o.cost) FROM orders o WHERE o.customer_id = r.customer AND o.ordered_on::date BETWEEN '2025-05-01' AND '2025-05-31'), 0)) AS profit FROM shop.campaign_response r;
SELECT alter_source('shop', tier_by => 'monetary', response_days => 7);
SELECT count(*) FILTER (WHERE responded) = (SELECT count(DISTINCT customer_id) FROM orders WHERE amount >= 0 AND ordered_on::date BETWEEN '2025-05-01' AND '2025-05-08') AS a_week FROM shop.campaign_response;

-- ---------------------------------------------------------------- codes, responses as given

SELECT alter_source('shop', reset => '{treated}', campaign_code => 'code', order_code => 'code', response_days => 30);
SELECT treated, control, round(treated_rate * treated) AS responses, lift, p_value, roi, coded_customers, coded_orders, coded_value, result FROM shop.campaign_result;
SELECT count(DISTINCT customer_id) AS customers, count(*) AS orders, sum(amount) AS value FROM orders WHERE code = 'S25' AND ordered_on::date BETWEEN '2025-05-01' AND '2025-05-31';
-- with a control group, which has no codes, orders tell the response
SELECT alter_source('shop', treated => $$grp <> 'control'$$);
SELECT round(treated_rate * treated) AS treated, round(control_rate * control) AS control, coded_customers FROM shop.campaign_result;
UPDATE contact SET replied = sent + interval '3 days', worth = 20 WHERE customer_id % 10 = 0;
UPDATE contact SET replied = sent - interval '1 day', worth = 5 WHERE customer_id % 100 = 1;
SELECT alter_source('shop', responded_at => 'replied', response_value => 'worth');
SELECT count(*) FILTER (WHERE responded) AS responded, sum(value) AS value, count(past_value) AS with_past FROM shop.campaign_response;
SELECT alter_source('shop', responded_at => 'replied IS NOT NULL');
SELECT count(*) FILTER (WHERE responded) AS responded FROM shop.campaign_response;
SELECT alter_source('shop', responded_at => 'replied', contact_cost => '0.25');
SELECT cost = treated * 0.25 AS cost FROM shop.campaign_result;

-- ---------------------------------------------------------------- faults

INSERT INTO contact (customer_id, campaign, sent, grp) VALUES (1, 'spring', '2025-05-01', 'control'), (1, 'spring', '2025-05-02', 'mail'), (2, 'spring', '2025-05-09', (SELECT grp FROM contact WHERE customer_id = 2)),
	(9999, 'spring', '2025-05-01', 'mail'), (NULL, 'spring', '2025-05-01', 'mail'), (5, NULL, '2025-05-01', 'mail'), (6, 'summer', 'infinity', 'mail'), (7, 'autumn', '2025-09-01', 'mail'), (8, 'silent', '2025-03-01', 'mail'), (9, 'silent', '2025-03-01', NULL),
	(10, 'only control', NULL, 'control'), (11, 'only control', '2025-03-01', 'control');
INSERT INTO contact (customer_id, campaign, sent, grp, worth, code) VALUES (12, 'shared code', '2025-03-01', 'mail', 'NaN', 'S25');
INSERT INTO orders (customer_id, ordered_on, amount, code) VALUES (20, '2025-03-01', 5, 'OLD'), (21, '2025-03-01', 6, 'OLD');
SELECT alter_source('shop', control_share => 0.1);
SELECT refresh('shop') IS NOT NULL AS refreshed;
SELECT finding, severity, rows, customers, sample_keys, argument FROM check_source_details('shop') WHERE finding ~ 'contact|campaign|treated|code|responses' ORDER BY finding COLLATE "C";
SELECT count(*) AS kept FROM shop.data_quality WHERE finding ~ 'contact|campaign|treated|code|responses';
SELECT campaign, first_contact, treated, control, still_open, round(lift::numeric, 4) AS lift, round(p_value::numeric, 4) AS p_value, round(value_p_value::numeric, 4) AS value_p_value, round(roi::numeric, 3) AS roi, result, note FROM shop.campaign_result ORDER BY campaign COLLATE "C";
-- who was in both groups is in none; of a day without end nothing is known
SELECT count(*) FILTER (WHERE customer = 1) AS both, count(*) FILTER (WHERE customer = 9999) AS unknown, min(contacted_on) FILTER (WHERE customer = 2) AS first, count(*) FILTER (WHERE campaign = 'summer') AS without_day FROM shop.campaign_response;
SELECT customer, contacted_on FROM shop.campaign_response WHERE campaign = 'only control' ORDER BY customer;

-- ---------------------------------------------------------------- arguments

SELECT alter_source('shop', response_days => 0);
SELECT alter_source('shop', control_share => 1);
SELECT alter_source('shop', treated => 'grp');
SELECT alter_source('shop', responded_at => 'worth');
SELECT alter_source('shop', contact_cost => 'code');
SELECT alter_source('shop', campaign_name => 'campaing');
SELECT alter_source('shop', reset => '{order_code}');
SELECT alter_source('shop', campaigns => 'contacts', campaign_code => 'code');
SELECT create_source('other', 'customer', 'orders', amount => 'amount', treated => 'true');
SELECT create_source('other', 'customer', 'orders', amount => 'amount', campaigns => 'orders');
-- a unique index and a foreign key change nothing
SELECT md5(string_agg(r::text, ',' ORDER BY r.campaign, r.customer)) AS before FROM shop.campaign_response r WHERE customer NOT IN (1, 2, 9999) \gset
DELETE FROM contact c WHERE c.customer_id IS NULL OR c.campaign IS NULL OR c.customer_id IN (1, 2, 9999) OR EXISTS (SELECT FROM contact k WHERE k.customer_id = c.customer_id AND k.campaign = c.campaign AND k.ctid < c.ctid);
ALTER TABLE contact ADD PRIMARY KEY (customer_id, campaign), ADD FOREIGN KEY (customer_id) REFERENCES customer;
SELECT alter_source('shop', response_days => 30);
SELECT md5(string_agg(r::text, ',' ORDER BY r.campaign, r.customer)) = :'before' AS same_rows FROM shop.campaign_response r WHERE customer NOT IN (1, 2, 9999);

-- ---------------------------------------------------------------- readers, and without campaigns

CREATE ROLE regress_campaign_reader;
GRANT USAGE ON SCHEMA test_campaign_source, shop TO regress_campaign_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_campaign_reader;
GRANT SELECT ON customer TO regress_campaign_reader;
SET ROLE regress_campaign_reader;
SELECT count(*) FROM shop.campaign_result;
RESET ROLE;
GRANT SELECT ON contact, orders TO regress_campaign_reader;
SET ROLE regress_campaign_reader;
SELECT count(*) FROM shop.campaign_result;
RESET ROLE;
SELECT alter_source('shop', reset => '{campaigns,order_code}');
SELECT to_regclass('shop.campaign_result') IS NULL AND to_regclass('shop.campaign_response') IS NULL AS gone, count(*) AS settings FROM sources_details WHERE name = 'shop' AND num_nonnulls(campaigns, campaign_customer, campaign_name, contacted_at, treated, responded_at, response_value, contact_cost, campaign_code) = 0;
SELECT drop_source('shop');
DROP SCHEMA test_campaign_source CASCADE;
DROP ROLE regress_campaign_reader;
