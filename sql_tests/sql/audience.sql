-- Choosing: audiences that anybody can recompute, plans of contacts, conditions over attributes
SET jit TO off;
SET timezone TO 'UTC';
\set SHOW_CONTEXT never
CREATE SCHEMA test_audience;
SET search_path TO test_audience, crm_profile;
SET client_min_messages TO warning;
CREATE FUNCTION chance(what text, i bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what || i), 1, 7))::bit(28)::int / 268435456.0 $$;
CREATE TABLE customer (id int PRIMARY KEY, born int, city text);
INSERT INTO customer SELECT i, 1940 + i % 60, CASE WHEN i % 4 = 0 THEN 'Köln' ELSE 'Ulm' END FROM generate_series(1, 800) i;
CREATE TABLE orders (customer_id int, ordered_on date, amount numeric(10, 2));
INSERT INTO orders SELECT i, date '2024-01-01' + floor(600 * chance('day' || n, i))::int, round((10 + 90 * chance('amount', i) + 5 * chance('amount' || n, i))::numeric, 2) FROM generate_series(1, 790) i, generate_series(1, 8) n WHERE chance('n' || n, i) < chance('rate', i);
CREATE TABLE contact AS SELECT i AS customer_id, 'spring'::text AS campaign, date '2025-03-01' AS sent, i % 3 > 0 AS treated FROM generate_series(1, 700) i;
SELECT count(*) > 0 AS created FROM create_source('shop', 'customer', 'orders', as_of => '2025-09-01', attributes => '{young = born > 1980, city}');
SELECT refresh('shop') IS NOT NULL AS refreshed;

SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- ---------------------------------------------------------------- audiences

SET client_min_messages TO notice;
CREATE TABLE audience AS SELECT * FROM select_audience('shop', NULL, 0.2, 'spring 2026');
SET client_min_messages TO warning;
-- the documented recipe, in SQL: of each segment the first floor(customers * share + part) customers by hash
CREATE FUNCTION hash(seed text, key text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || left(encode(sha256(convert_to(seed || ':' || key, 'UTF8')), 'hex'), 16))::bit(64)::bigint $$;
CREATE FUNCTION part(seed text, stratum text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN h < 0 THEN h + 18446744073709551616 ELSE h END / 18446744073709551616 FROM (SELECT hash(seed, ':' || stratum)::numeric AS h) u $$;
CREATE VIEW by_hand AS
SELECT p.customer::text, CASE WHEN row_number() OVER (PARTITION BY p.stratum ORDER BY hash('spring 2026', p.customer::text)) <= floor(count(*) OVER (PARTITION BY p.stratum) * 0.2 + part('spring 2026', p.stratum)) THEN 'control' ELSE 'treated' END AS "group", p.stratum
FROM (SELECT customer, coalesce(segment, '(unscored)') AS stratum FROM shop.customer_profile) p;
SELECT count(*) AS customers, (SELECT count(*) FROM (TABLE audience EXCEPT TABLE by_hand) d) AS differ, count(*) FILTER (WHERE "group" = 'control') AS control, max(abs(share - 0.2)) < 0.1 AS in_each
FROM audience, LATERAL (SELECT avg((s."group" = 'control')::int) AS share FROM audience s WHERE s.stratum = audience.stratum) h;
-- the same seed, the same groups; another one, others; a larger share has all of a smaller one of a segment that is rounded alike
SELECT (SELECT count(*) FROM (SELECT * FROM select_audience('shop', NULL, 0.2, 'spring 2026') EXCEPT TABLE audience) d) AS again, (SELECT count(*) > 100 FROM (SELECT * FROM select_audience('shop', NULL, 0.2, 'other') EXCEPT TABLE audience) d) AS other;
-- who is asked beside them does not matter within a segment
SELECT count(*) AS customers, count(*) FILTER (WHERE a."group" = n."group") = count(*) AS same FROM select_audience('shop', 'Champions', 0.2, 'spring 2026') n JOIN audience a USING (customer);
-- a group has its share on average, however small the segment: 300 seeds of two customers
SELECT round(avg(crm_profile_internal.control_count(s::text, 'x', 2, 0.1)), 2) BETWEEN 0.14 AND 0.26 AS fair, min(crm_profile_internal.control_count(s::text, 'x', 2, 0.1)), max(crm_profile_internal.control_count(s::text, 'x', 2, 0.1))
FROM generate_series(1, 300) s;
-- no key tells the group: the groups are alike in what is known
SELECT bool_and(abs(t.y - t.n) < 0.12) AS alike FROM (SELECT avg((c.born > 1980)::int) FILTER (WHERE a."group" = 'control') AS y, avg((c.born > 1980)::int) FILTER (WHERE a."group" = 'treated') AS n FROM audience a JOIN customer c ON c.id::text = a.customer) t;
-- conditions: segments, figures, columns, attributes
SELECT count(*) = (SELECT count(*) FROM shop.customer_profile WHERE segment IN ('Champions', 'Loyal')) AS segments FROM select_audience('shop', 'champions,  Loyal');
SELECT count(*) = (SELECT count(*) FROM shop.customer_profile p JOIN customer c ON c.id = p.customer WHERE p.recency < 90 AND c.born > 1980 AND c.city = 'Köln') AS mixed FROM select_audience('shop', 'recency < 90 AND young AND city = ''Köln'' -- a remark');
SET client_min_messages TO notice;
SELECT count(*) FROM select_audience('shop', 'born = 1990', 0);
SELECT count(*) FROM select_audience('shop', 'born = 1990', 1);
SELECT count(*) FROM select_audience('shop', 'false');
SELECT count(*) FROM select_audience('shop', 'customer < 5', 0.5);
SELECT count(*) FROM select_audience('shop', 'Champions', 0.5, 'x', 0.2);
SELECT count(*) = (SELECT count(*) FROM shop.customer_profile WHERE segment IS NULL) AS unscored FROM select_audience('shop', '(Unscored)', 0);
SELECT count(*) = (SELECT count(*) FROM shop.customer_profile WHERE segment IS NULL OR segment = 'Lost') AS both FROM select_audience('shop', 'lost, (unscored)', 0);
SELECT select_audience('shop', ' ');
SELECT select_audience('shop', 'yuong');
SELECT select_audience('shop', 'true) UNION SELECT (true');
SELECT select_audience('shop', 'recency');
SELECT select_audience('shop', 'count(*) > 1');
SELECT select_audience('shop', '1 / (frequency - frequency) > 0');
SELECT select_audience('shop', NULL, 1.5);
SELECT select_audience('shop', NULL, 0.1, 'x', -1);
SELECT select_audience('none');
SET client_min_messages TO warning;

-- ---------------------------------------------------------------- what a contact brings

-- by the formulas written down in R: DerSimonian and Laird, then drawn to the mean
CREATE FUNCTION of_counts(responses bigint, treated bigint, control_responses bigint, control bigint) RETURNS campaign_lift LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(treated, responses, NULL, NULL, NULL, NULL, NULL, control, control_responses, NULL, NULL, NULL, NULL, NULL)::campaign_lift $$;
CREATE FUNCTION measure(campaign text, segment text, lift campaign_lift) RETURNS crm_profile_internal.campaign_measures LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(campaign, segment, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, lift)::crm_profile_internal.campaign_measures $$;
CREATE FUNCTION near(got float8, wanted float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT abs(got - wanted) <= 1e-9 * abs(wanted) $$;
SELECT e.segment, e.contacts, near(e.effect, v.effect) AS effect, e.basis FROM crm_profile_internal.segment_effects(ARRAY[measure('c', 'a', of_counts(100, 1000, 25, 500)), measure('c', 'b', of_counts(40, 800, 20, 400)), measure('c', 'few', of_counts(10, 50, 1, 50))]) e
	JOIN (VALUES ('a', 0.04692513863564313), ('b', 0.00150218366186253), ('few', 0.07295100265027310), (NULL, 0.02709495150187256)) v (segment, effect) ON v.segment IS NOT DISTINCT FROM e.segment ORDER BY 1;
SELECT e.segment, near(e.effect, v.effect) AS effect, e.basis FROM crm_profile_internal.segment_effects(ARRAY[measure('c', 'a', of_counts(100, 1000, 0, 0)), measure('c', 'b', of_counts(40, 800, 0, 0)), measure('c', 'few', of_counts(10, 50, 0, 0))]) e
	JOIN (VALUES ('a', 0.0991839758916959), ('b', 0.0519601959825852), ('few', 0.1166608159124755), (NULL, 0.07259834780582677)) v (segment, effect) ON v.segment IS NOT DISTINCT FROM e.segment ORDER BY 1;
-- several campaigns, by their size
SELECT bool_and(near(effect, ((101 / 1002.0 - 26 / 502.0) * (1000 * 500 / 1500.0) + (11 / 52.0 - 2 / 52.0) * (50 * 50 / 100.0)) / (1000 * 500 / 1500.0 + 50 * 50 / 100.0))) AS weighted
FROM crm_profile_internal.segment_effects(ARRAY[measure('c', 'a', of_counts(100, 1000, 25, 500)), measure('d', 'a', of_counts(10, 50, 1, 50))]);
-- no more difference than chance: all have the mean; nothing: no row
SELECT count(DISTINCT effect) FROM crm_profile_internal.segment_effects(ARRAY[measure('c', 'a', of_counts(10, 100, 5, 100)), measure('c', 'b', of_counts(11, 100, 5, 100))]);
SELECT count(*) FROM crm_profile_internal.segment_effects('{}');

-- responses at their value: the values written down in R, by the same formulas; the treated respond with more
CREATE FUNCTION of_values(responses bigint, treated bigint, value numeric, squares numeric, control_responses bigint, control bigint, control_value numeric, control_squares numeric) RETURNS campaign_lift LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(treated, responses, value, squares, NULL, NULL, NULL, control, control_responses, control_value, control_squares, NULL, NULL, NULL)::campaign_lift $$;
CREATE TABLE valued AS SELECT ARRAY[measure('c', 'a', of_values(100, 1000, 5000, 300000, 25, 500, 1400, 90000)), measure('c', 'b', of_values(40, 800, 800, 20000, 20, 400, 500, 14000)), measure('c', 'few', of_values(10, 50, 900, 100000, 1, 50, 80, 6400))] AS m;
SELECT e.segment, e.basis, near(e.effect, k.effect) AS effect, near(e.value, v.value) AS value, near(e.change, v.change) AS change FROM valued, crm_profile_internal.segment_values(m, ARRAY(SELECT e FROM crm_profile_internal.segment_effects(m) e)) e
	JOIN crm_profile_internal.segment_effects(m) k ON k.segment IS NOT DISTINCT FROM e.segment JOIN (VALUES ('a', 51.15820136579848, -0.1401286585585653), ('b', 21.94968392078512, -0.1280443089587942), ('few', 86.19443348518766, -0.3354357432534705), (NULL, 44.28571428571428, -0.1425345959317711)) v (segment, value, change) ON v.segment IS NOT DISTINCT FROM e.segment ORDER BY 1;
-- all responses worth the same; no response; no control group; an effect of one's own
SELECT e.segment, e.value, e.change FROM crm_profile_internal.segment_values(ARRAY[measure('c', 'a', of_values(10, 100, 50, 250, 5, 100, 25, 125)), measure('c', 'b', of_values(0, 100, 0, 0, 0, 100, 0, 0))], ARRAY[ROW('a', 1, 0.1, 'x', NULL, 0)::crm_profile_internal.segment_effect, ROW('b', 1, 0.1, 'x', NULL, 0)::crm_profile_internal.segment_effect]) e ORDER BY 1;
SELECT e.segment, e.value, e.change, e.basis FROM crm_profile_internal.segment_values(ARRAY[measure('c', 'a', of_values(0, 100, 0, 0, 0, 100, 0, 0))], ARRAY[ROW('a', 1, 0.1, 'x', NULL, 0)::crm_profile_internal.segment_effect]) e;
SELECT e.segment, e.value, e.change FROM crm_profile_internal.segment_values(ARRAY[measure('c', 'a', of_values(10, 100, 60, 500, 0, 0, 0, 0))], ARRAY[ROW(NULL, NULL, 0.05, 'as given', NULL, 0)::crm_profile_internal.segment_effect]) e;

-- ---------------------------------------------------------------- plans

SELECT campaign_plan('shop', 100, 0.5);
SELECT count(*) AS differ FROM (SELECT * FROM campaign_plan('shop', 'Infinity', 0.5, lift => 0.02) EXCEPT SELECT * FROM campaign_plan('shop', NULL, 0.5, lift => 0.02)) d;
CREATE TABLE plan AS SELECT row_number() OVER () AS place, c.* FROM plan_contacts('shop', 60, 0.5, 0.25, NULL, 0.04) c;
SELECT count(*) = (SELECT count(*) FROM shop.customer_profile) AS all_customers, bool_and(near(gain, effect * order_value * 0.25 - 0.5) OR abs(gain) < 1e-9) AS gain, bool_and(worth = (gain > 0)) AS worth, bool_and(chosen = (worth AND place <= 120)) AS within_budget,
	count(*) FILTER (WHERE chosen) AS contacts, bool_and(falling) AS falling
FROM (SELECT *, gain <= lag(gain) OVER (ORDER BY place) AS falling FROM plan) p;
SELECT bool_and(near(p.order_value, coalesce(expected_value(h.history, m.clv, '2025-09-01'), k.mean_value))) AS order_value FROM plan p LEFT JOIN shop.customer_history h ON h.customer::text = p.customer, shop.model_in_use m, clv_model_card(m.clv) k;
SELECT bool_and(s.customers = g.customers AND s.worth + s.not_worth = g.customers AND s.contacts = g.contacts AND s.spend = g.contacts * 0.5 AND near(s.expected_responses, g.contacts * 0.04) IS NOT FALSE AND abs(s.expected_gain - g.gain::numeric) < 0.01) AS as_customers, sum(s.spend) AS spend, min(s.basis) AS basis
FROM campaign_plan('shop', 60, 0.5, 0.25, NULL, 0.04) s JOIN (SELECT segment, count(*) AS customers, count(*) FILTER (WHERE chosen) AS contacts, coalesce(sum(gain) FILTER (WHERE chosen), 0) AS gain FROM plan GROUP BY segment) g USING (segment);
-- by past campaigns
SELECT alter_source('shop', campaigns => 'contact', treated => 'treated');
SELECT count(DISTINCT c.segment) AS segments, bool_and(near(c.effect, coalesce(e.effect, o.effect))) AS as_learnt FROM plan_contacts('shop', NULL, 0.5, 0.25) c LEFT JOIN LATERAL (SELECT p.* FROM crm_profile_internal.segment_effects((SELECT array_agg(measure(r.campaign, r.segment,
	of_counts(round(r.treated_rate * r.treated)::bigint, r.treated, round(r.control_rate * r.control)::bigint, r.control))) FROM shop.campaign_segment_result r)) p WHERE p.segment = c.segment) e ON true,
	crm_profile_internal.segment_effects((SELECT array_agg(measure(r.campaign, r.segment, of_counts(round(r.treated_rate * r.treated)::bigint, r.treated, round(r.control_rate * r.control)::bigint, r.control))) FROM shop.campaign_segment_result r)) o WHERE o.segment IS NULL;
-- the same to the last digit, in whatever order the totals are
SELECT count(DISTINCT e) AS effects, count(DISTINCT e.segment) AS segments FROM generate_series(1, 40) seed,
	crm_profile_internal.segment_effects(ARRAY(SELECT measure('c' || i % 7, 's' || i % 5, of_counts(20 + i, 300 + 17 * i, 10 + i % 3, 250 + 13 * i)) FROM generate_series(1, 35) i ORDER BY md5((i * seed)::text))) e;
SELECT count(DISTINCT crm_profile_internal.assignment_p_value(ARRAY(SELECT of_counts(1, 300 + 17 * i, 1, 250 + 13 * i) FROM generate_series(1, 35) i ORDER BY md5((i * seed)::text)))) AS values FROM generate_series(1, 40) seed;
SELECT bool_and(contacts = 0) AS no_money, bool_and(basis LIKE 'campaigns with control group%') AS basis FROM campaign_plan('shop', 0, 0.5);
-- each response at its value, where that is given: not as an order
ALTER TABLE contact ADD answered date, ADD worth numeric;
UPDATE contact SET answered = sent + 3, worth = 2 + customer_id % 5 + CASE WHEN treated THEN 1 ELSE 0 END WHERE chance('answers', customer_id) < CASE WHEN treated THEN 0.5 ELSE 0.2 END;
SELECT alter_source('shop', responded_at => 'answered', response_value => 'worth');
SELECT bool_and(near(gain, (effect * order_value + value_change) * 0.5 - 0.1)) AS gain, bool_and(order_value BETWEEN 4 AND 6 AND value_change > 0 AND effect BETWEEN 0.2 AND 0.4) AS as_measured, count(*) > 700 AS many FROM plan_contacts('shop', NULL, 0.1, 0.5);
-- the whole gain is what the treated brought beyond the control group, per contact, as far as it is one campaign of one segment
SELECT abs(sum((effect * order_value + value_change)) / count(*) - (SELECT r.value_per_treated - r.value_per_control FROM shop.campaign_result r)) < 0.15 AS as_lift FROM plan_contacts('shop', NULL, 0.1, 1);
SELECT min(basis) AS basis, bool_and(near(s.mean_order_value, c.order_value) AND near(s.value_change, c.value_change)) AS same FROM campaign_plan('shop', NULL, 0.1) s JOIN (SELECT segment, min(order_value) AS order_value, min(value_change) AS value_change FROM plan_contacts('shop', NULL, 0.1) GROUP BY segment) c USING (segment);
SELECT min(basis) AS basis, bool_and(effect = 0.04) AS effect, bool_and(mean_order_value BETWEEN 4 AND 6) AS measured FROM campaign_plan('shop', NULL, 0.1, lift => 0.04);
SELECT alter_source('shop', reset => '{responded_at,response_value,treated}');
SELECT bool_and(basis LIKE 'response alone%') AS basis FROM campaign_plan('shop', 10, 0.5, 0.3, 'young');
SELECT campaign_plan('shop', 10, 0);
SELECT campaign_plan('shop', -1, 1);
SELECT campaign_plan('shop', 10, 1, 30);
SELECT campaign_plan('shop', 10, 1, lift => 2);
SELECT plan_contacts('shop', 10, 1, condition => 'nothing', lift => 0.1);

-- ---------------------------------------------------------------- the best by attributes

CREATE TABLE lead (id int PRIMARY KEY, born int, city text);
INSERT INTO lead SELECT i, 1940 + i % 60, 'Ulm' FROM generate_series(1001, 1040) i;
SELECT alter_source('shop', prospects => 'lead', prospect_key => 'id', attributes => '{born, coastal = city = ''Köln''}', best => 'coastal');
SELECT refresh('shop') IS NOT NULL AS refreshed;
SELECT best_customers = (SELECT count(*) FROM customer WHERE city = 'Köln') AS best FROM sources_details WHERE name = 'shop';
SELECT alter_source('shop', best => 'coastal AND lifecycle = ''active'' AND value_tier <> ''C'' AND born > 1950');
SELECT refresh('shop') IS NOT NULL AS refreshed;
SELECT best_customers = (SELECT count(*) FROM shop.customer_profile p JOIN customer c ON c.id = p.customer WHERE c.city = 'Köln' AND p.lifecycle = 'active' AND p.value_tier <> 'C' AND c.born > 1950) AS best, best_customers > 0 AS some FROM sources_details WHERE name = 'shop';
DROP VIEW by_hand;
SELECT drop_source('shop');
-- ---------------------------------------------------------------- one person with two keys

CREATE TABLE person (id int PRIMARY KEY, email text, born date);
INSERT INTO person SELECT i, format('p%s@example.org', (i - 1) % 60 + 1), date '1970-09-01' + (i - 1) % 60 FROM generate_series(1, 80) i;
CREATE TABLE sale AS SELECT i % 80 + 1 AS person_id, date '2025-01-01' + i % 240 AS sold_on, 10 + i % 7 AS amount FROM generate_series(1, 500) i;
CREATE TABLE letter AS SELECT p.id AS person_id, 'autumn'::text AS campaign, date '2025-07-01' AS sent, p.id > 60 OR p.id % 2 = 0 AS treated FROM person p;
SELECT count(*) > 0 AS created FROM create_source('merged', 'person', 'sale', as_of => '2025-09-01', birthday => 'born', corrections => '{"merge_customers": true}', campaigns => 'letter', campaign_customer => 'person_id', treated => 'treated');
SELECT refresh('merged') IS NOT NULL AS refreshed;
SELECT count(*) AS second_keys FROM merged.customer_identity;
-- each once, by the own key: 60 persons; who is in both groups by two keys is in none, which is told
SELECT count(*) AS persons, count(DISTINCT p.email) AS addresses, max(p.id) AS last FROM select_audience('merged', NULL, 0.5) a JOIN person p ON p.id::text = a.customer;
SELECT count(*) AS persons, max(customer::int) AS last FROM plan_contacts('merged', NULL, 1, lift => 0.1);
SELECT treated + control AS counted FROM merged.campaign_result;
SELECT count(*) FILTER (WHERE started) AS counted, count(*) FILTER (WHERE NOT started) AS in_both FROM (SELECT count(DISTINCT l.treated) = 1 AS started FROM letter l JOIN person p ON p.id = l.person_id GROUP BY p.email) s;
SELECT finding, rows, customers FROM check_source_details('merged') WHERE argument = 'treated' OR finding LIKE '%more than once in a campaign%' ORDER BY finding COLLATE "C";
SELECT customer, action, to_char(since, 'YYYY-MM-DD') AS since FROM merged.due_actions WHERE action = 'birthday';
SELECT count(*) AS birthdays, count(DISTINCT customer) AS persons FROM merged.due_actions('2025-10-30', 60) WHERE action = 'birthday';
SELECT count(*) FROM merged.due_actions('2025-12-31', 2147483647);
-- a condition is one expression
SELECT count(*) FROM select_audience('merged', 'false) OR (true');
SELECT count(*) FROM select_audience('merged', '-- nobody');
SELECT alter_source('merged', prospects => 'person', best => 'false) OR (true');
SELECT alter_source('merged', prospects => 'person', best => 'last_purchase > date ''yesterday''');
SELECT drop_source('merged');

DROP SCHEMA test_audience CASCADE;
