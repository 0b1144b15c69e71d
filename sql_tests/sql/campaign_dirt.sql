-- Campaign views over contacts with faults: what does not count sets no day, no value and no cost, and nobody sees whom the customer table hides
SET jit = off; -- campaign_source has these views compiled
SET client_min_messages = warning;
SET datestyle = ISO;
\set SHOW_CONTEXT never
CREATE SCHEMA dirt;
SET search_path = dirt, crm_profile;
CREATE TABLE g (id int PRIMARY KEY, city text);
CREATE TABLE go (gid int, d date, amt numeric);
CREATE TABLE gc (gid int, campaign text, sent date NOT NULL, t boolean, resp date, val numeric, cost numeric);
INSERT INTO g SELECT i, CASE WHEN i % 4 = 0 THEN 'Paris' ELSE 'Lyon' END FROM generate_series(1, 40) i;
INSERT INTO go SELECT 1 + i % 40, date '2025-01-01' + (i * 13) % 300, 10 FROM generate_series(1, 400) i;
INSERT INTO gc SELECT i, 'x', '2025-06-01', i % 2 = 0, NULL, 0, 1 FROM generate_series(1, 40) i;
UPDATE gc SET resp = '2025-05-20', val = 500 WHERE gid = 2; -- before the contact
UPDATE gc SET resp = '2025-12-20', val = 700 WHERE gid = 4; -- after the as-of date
UPDATE gc SET resp = '2025-06-05', val = 30 WHERE gid = 14;
INSERT INTO gc VALUES (6, 'x', '2025-06-01', NULL, NULL, NULL, 1000), (8, 'x', '2025-01-05', NULL, NULL, NULL, 0), -- in no group
	(10, 'x', '2026-12-01', true, '2026-12-02', 900, 5000), (12, 'x', '2026-12-01', false, NULL, 0, 0); -- after the as-of date
SELECT count(*) > 0 AS created FROM create_source('gs', 'g', 'go', order_customer => 'gid', as_of => '2025-06-10', campaigns => 'gc', campaign_customer => 'gid', contacted_at => 'sent', treated => 't', responded_at => 'resp', response_value => 'val', contact_cost => 'cost');
SELECT refresh('gs') IS NOT NULL AS refreshed;
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT customer, contacted_on, treated, responded, value, cost FROM gs.campaign_response WHERE customer IN (2, 4, 6, 8, 10, 12, 14) ORDER BY customer;
-- the value of orders, without one of the response: not beyond the as-of date
SELECT alter_source('gs', reset => '{response_value}');
SELECT bool_and(r.value = coalesce((SELECT sum(o.amt) FROM go o WHERE o.gid = r.customer AND o.d BETWEEN r.contacted_on AND '2025-06-10'), 0)) AS until_then FROM gs.campaign_response r;

-- a policy on the customers holds with a foreign key, and without one that was there when the view was made
DELETE FROM gc;
INSERT INTO gc SELECT i, 'x', '2025-06-01', i % 8 < 4, NULL, 0, 1 FROM generate_series(1, 40) i;
ALTER TABLE gc ALTER gid SET NOT NULL, ALTER campaign SET NOT NULL, ADD CONSTRAINT single UNIQUE (gid, campaign), ADD CONSTRAINT known FOREIGN KEY (gid) REFERENCES g;
SELECT alter_source('gs', response_days => 5);
SELECT refresh('gs') IS NOT NULL AS refreshed;
CREATE ROLE regress_dirt_reader;
GRANT USAGE ON SCHEMA gs, dirt TO regress_dirt_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA gs, dirt TO regress_dirt_reader;
ALTER TABLE g ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON g FOR SELECT TO regress_dirt_reader USING (city = 'Paris');
SET ROLE regress_dirt_reader;
SELECT count(*) AS seen, (SELECT count(*) FROM g) AS may_see FROM gs.campaign_response;
SELECT treated, control FROM gs.campaign_result;
RESET ROLE;
ALTER TABLE gc DROP CONSTRAINT single, DROP CONSTRAINT known;
INSERT INTO gc SELECT * FROM gc;
INSERT INTO gc VALUES (999, 'x', '2025-06-01', true, NULL, 0, 1);
SELECT treated, control FROM gs.campaign_result;

-- Benjamini and Hochberg's adjustment of equal p-values leaves them as they are
SELECT bool_and(abs(adjusted_p_value / p_value - 1) < 1e-12) AS as_they_are FROM crm_profile_internal.campaign_segment_result(ARRAY(SELECT ROW('c', s, NULL, date '2025-01-01', date '2025-01-01', 0, NULL, NULL, NULL, NULL, NULL, campaign_lift(i % 2 = 0, i % 2 = 0 AND i < 140))::crm_profile_internal.campaign_measures
	FROM generate_series(1, 1000) i, (VALUES ('a'), ('b'), ('c')) v(s) GROUP BY s), compile_scheme('standard'));

-- where all scores are alike, there is nothing to rank by
SELECT decile, customers, result FROM crm_profile_internal.campaign_gains(ARRAY(SELECT ROW('alike', NULL, 7, date '2025-01-01', date '2025-01-01', 0, NULL, NULL, NULL, NULL, 50, campaign_lift(i % 2 = 0, i % 2 = 0 AND i < 140))::crm_profile_internal.campaign_measures FROM generate_series(1, 1000) i));
SELECT count(*) AS tenths, count(*) FILTER (WHERE result ~ 'alike') AS told FROM crm_profile_internal.campaign_gains(ARRAY(SELECT ROW('two', NULL, s, date '2025-01-01', date '2025-01-01', 0, NULL, NULL, NULL, NULL, 50, campaign_lift(i % 2 = 0, i % 2 = 0 AND i < 140))::crm_profile_internal.campaign_measures
	FROM generate_series(1, 1000) i, (VALUES (7), (8)) v(s) GROUP BY s));

-- ---------------------------------------------------------------- every kind of bad contact, told and counted
CREATE TABLE mail (who text, campaign text, sent timestamp, t boolean, resp timestamp, val float8, cost numeric);
INSERT INTO mail SELECT i, 'good', '2025-03-01', i % 2 = 0, CASE WHEN i % 3 = 0 THEN timestamp '2025-03-04' END, i, 1 FROM generate_series(1, 40) i;
SELECT count(*) > 0 AS created FROM create_source('post', 'g', 'go', order_customer => 'gid', as_of => '2025-12-10', campaigns => 'mail', campaign_customer => 'who', contacted_at => 'sent', treated => 't', responded_at => 'resp', response_value => 'val', contact_cost => 'cost', control_share => 0.5);
SELECT refresh('post') IS NOT NULL AS refreshed;
CREATE TABLE result AS SELECT * FROM post.campaign_result;
SELECT campaign, treated, control, treated_rate, control_rate, result FROM result;
SELECT finding, rows FROM check_source_details('post') WHERE finding ~ 'contact|campaign|response' ORDER BY 1;
INSERT INTO mail VALUES ('x1', 'good', '2025-03-01', true, NULL, 1, 1), ('77777777777', 'good', '2025-03-01', true, NULL, 1, 1), -- keys that cannot be
	('1', NULL, '2025-03-01', true, NULL, 1, 1), ('999', 'good', '2025-03-01', true, NULL, 1, 1), -- no campaign, nobody
	('1', 'lost', 'infinity', true, NULL, 1, 1), ('2', 'lost', '-infinity', true, NULL, 1, 1),
	('3', 'odd', '2025-03-01', true, 'infinity', 'NaN', 1), ('4', 'odd', '2025-03-01', false, NULL, 'Infinity', 'NaN'), ('5', 'odd', '2025-03-01', true, '2025-02-01', 1e300, 1), -- a response before contact
	('6', 'both', '2025-03-01', true, NULL, 1, 1), ('6', 'both', '2025-03-01', false, NULL, 1, 1);
INSERT INTO mail SELECT i, 'all treated', '2025-04-01', true, '2025-04-02', i, 1 FROM generate_series(1, 20) i;
INSERT INTO mail SELECT i, 'none treated', '2025-04-01', false, '2025-04-02', i, 1 FROM generate_series(1, 20) i;
INSERT INTO mail SELECT i, 'silence', '2025-04-01', i % 2 = 0, NULL, 0, 1 FROM generate_series(1, 40) i;
SELECT finding, severity, rows, customers, sample_keys FROM check_source_details('post') WHERE finding ~ 'contact|campaign|response|treated|segments' ORDER BY finding COLLATE "C";
SELECT count(*) FROM (TABLE result EXCEPT TABLE post.campaign_result) x;
SELECT campaign, treated, control, lift IS NULL AS no_lift, p_value IS NULL AS no_p, value_p_value IS NULL AS no_value_p, roi IS NULL AS no_roi, result FROM post.campaign_result ORDER BY campaign COLLATE "C";
SELECT count(*) FILTER (WHERE p_value IS NOT NULL AND (treated = 0 OR control = 0)) AS from_nothing, count(*) > 0 AS rows, count(*) FILTER (WHERE (treated = 0 OR control = 0) AND campaign !~ 'treated') AS one_group_only FROM post.campaign_segment_result;
SELECT count(*) > 0 AS gains FROM post.campaign_gains;
-- a response by orders, of which there are none, and nobody treated apart
SELECT alter_source('post', response_days => 5, reset => '{responded_at,response_value,treated}');
DELETE FROM mail WHERE campaign <> 'silence';
UPDATE mail SET sent = '2024-06-01';
SELECT finding, severity, rows FROM check_source_details('post') WHERE finding ~ 'contact|campaign|response' ORDER BY finding COLLATE "C";
-- an expression that fails does not hide the rest
SELECT alter_source('post', campaign_name => 'substr(campaign, 1, length(campaign) - 4)', response_days => 14);
INSERT INTO mail VALUES ('x2', 'silence', '2025-03-01'), ('3', 'a', '2025-03-01');
SELECT finding, severity, rows, sample_keys, argument FROM check_source_details('post') WHERE finding ~ 'contact|campaign|response' ORDER BY finding COLLATE "C";
-- and the results are of the rest
SELECT campaign, treated, result FROM post.campaign_result;
SELECT count(*) FROM post.campaign_gains;
SELECT min(basis) AS basis, sum(customers) AS customers FROM campaign_plan('post', NULL, 1);
SELECT count(*) FROM post.campaign_response;

-- order lines: keys, days, products and categories
CREATE TABLE line (who text, d timestamp, product text, kind text);
INSERT INTO line SELECT 1 + i % 40, date '2025-01-01' + i % 50, 'p' || i % 7, 'k' || i % 3 FROM generate_series(1, 400) i;
INSERT INTO line VALUES ('x1', '2025-01-01', 'p1', 'k1'), ('1', 'infinity', 'p1', 'k1'), ('1', '-infinity', 'p1', 'k1'), ('1', '2025-01-01', '', 'k1'), ('1', '2025-01-01', 'p1', NULL), ('1', '2025-01-01', 'p2', ''), (NULL, '2025-01-01', 'p1', 'k1'), ('999', '2025-01-01', 'p1', 'k1');
SELECT alter_source('post', lines => 'line', line_customer => 'who', line_day => 'd', line_product => 'product', line_category => 'kind', reset => '{campaigns}');
SELECT refresh('post') IS NOT NULL AS refreshed;
SELECT finding, severity, rows FROM check_source_details('post') WHERE finding ~ 'lines|baskets' ORDER BY finding COLLATE "C";
SELECT bool_and(customers <= 40) AS counted, bool_or(category = '(no category)') AS without, bool_and(p_value IS NOT NULL) AS tested FROM post.product_affinity;
SELECT count(*) >= 0 AS found FROM complements('post', 'p1');
SELECT count(*) >= 0 AS found FROM next_product('post', '1');
SELECT next_product('post', 'abc');
SELECT alter_source('post', line_product => 'substr(product, 1, length(product) - 1)');
SELECT finding, severity, rows, sample_keys, argument FROM check_source_details('post') WHERE finding ~ 'lines|baskets' ORDER BY finding COLLATE "C";
-- each argument that fails, of all rows; what reads the lines stops
SELECT alter_source('post', line_day => $$CASE WHEN who = '999' THEN to_date('day ' || who, 'YYYY-MM-DD') ELSE d::date END$$);
SELECT finding, rows, argument, advice FROM check_source_details('post') WHERE finding ~ 'lines .* read';
SELECT count(*) FROM post.order_line;
-- but a refresh: complements are those of the others
INSERT INTO line SELECT 1 + i % 40, date '2025-02-01' + i / 40, 'tea' || CASE WHEN i % 40 > 0 THEN '1' END, 'k' FROM generate_series(1, 400) i WHERE i / 40 % 2 = 0;
INSERT INTO line SELECT 1 + i % 40, date '2025-02-01' + i / 40, 'cup' || CASE WHEN i % 40 > 0 THEN '1' END, 'k' FROM generate_series(1, 400) i WHERE i / 40 % 2 = 0;
SELECT refresh('post') IS NOT NULL AS refreshed;
SELECT product, complement FROM post.product_complement WHERE 'tea' IN (product, complement) ORDER BY 1;
SELECT drop_source('post');
-- the day of an order that cannot be read is no fault of its lines, contacts and payments, however many there are
CREATE TABLE sold (no int PRIMARY KEY, gid int, d text, amt numeric, code text);
INSERT INTO sold SELECT i, 1 + i % 40, (date '2025-01-01' + i % 50)::text, 10, CASE WHEN i % 9 = 0 THEN 'S' END FROM generate_series(1, 400) i;
CREATE TABLE item (sold int, product text);
INSERT INTO item SELECT i, 'p' || i % 5 FROM generate_series(1, 400) i;
CREATE TABLE bill (sold int, due date, paid date, total numeric);
INSERT INTO bill SELECT i, '2025-03-01', '2025-03-02', CASE WHEN i = 7 THEN 0 ELSE 1 END FROM generate_series(1, 400) i;
SELECT count(*) > 0 AS created FROM create_source('post', 'g', 'sold', order_customer => 'gid', ordered_at => $$to_date(d, 'YYYY-MM-DD')$$, order_key => NULL, amount => 'amt', as_of => '2025-12-10', lines => 'item', line_order => 'sold', line_product => 'product',
	payments => 'bill', payment_order => 'sold', payment_due => 'due', payment_paid => 'paid', payment_amount => 'total', campaigns => 'mail', campaign_customer => 'who', contacted_at => 'sent', order_code => 'code', campaign_code => $$'S'$$);
SELECT refresh('post') IS NOT NULL AS refreshed;
UPDATE sold SET d = '2025-02-30' WHERE no = 400;
SELECT finding, rows FROM check_source_details('post') WHERE finding ~ 'read|checked|lines|baskets|payments' ORDER BY finding COLLATE "C";
-- nor where the orders are a query, of which no rows can be left out
SELECT alter_source('post', orders => 'SELECT * FROM dirt.sold', order_key => 'no');
SELECT finding, rows FROM check_source_details('post') WHERE finding ~ 'read|checked|lines|baskets|payments' ORDER BY finding COLLATE "C";
UPDATE sold SET d = '2025-02-28' WHERE no = 400;
SELECT alter_source('post', payment_amount => '1 / total');
SELECT finding, rows, argument FROM check_source_details('post') WHERE finding ~ 'read|checked' ORDER BY finding COLLATE "C";
SELECT drop_source('post');

-- ---------------------------------------------------------------- attributes of any name
CREATE TABLE letters (id int PRIMARY KEY, r int, n int, m int, f int, x int, p int);
INSERT INTO letters SELECT i, i % 3, i % 2, i % 5, i % 7, i % 4, i % 6 FROM generate_series(1, 60) i;
CREATE TABLE numbers (id int PRIMARY KEY, segment int, recency int);
INSERT INTO numbers SELECT i, i % 3, i % 2 FROM generate_series(1, 60) i;
CREATE TABLE bought (kid int, d date, amt numeric);
INSERT INTO bought SELECT 1 + i % 60, date '2025-01-01' + i, 5 + i % 3 FROM generate_series(1, 200) i;
SELECT count(*) > 0 AS created FROM create_source('named', 'letters', 'bought', order_customer => 'kid', attributes => '{r,n,m,f,x,p}', as_of => '2025-08-01', clv_model => 'bg/nbd');
SELECT count(*) > 0 AS created FROM create_source('figures', 'numbers', 'bought', order_customer => 'kid', attributes => '{recency}');
SELECT count(*) > 0 AS created FROM create_source('figures', 'numbers', 'bought', order_customer => 'kid', attributes => '{own_segment = segment,own_recency = recency}', as_of => '2025-08-01', clv_model => 'bg/nbd');
SELECT value FROM create_source('inferred', 'numbers', 'bought', order_customer => 'kid', prospects => 'numbers') WHERE argument = 'attributes';
SELECT refresh(name) IS NOT NULL AS refreshed FROM unnest('{named,figures}'::text[]) name;
SELECT (SELECT count(*) FROM segment_card(name)) > 0 AS card, (SELECT count(*) FROM explain_segment(name, (SELECT segment FROM named.customer_profile WHERE segment IS NOT NULL LIMIT 1))) > 0 AS rule FROM unnest('{named,figures}'::text[]) name;
SELECT (SELECT count(*) FROM customer_groups('named', 2)) > 0 AS groups, (SELECT count(*) FROM nearest_customers('named', 1, 3)) AS near;
-- a key that cannot be one
SELECT nearest_customers('named', 'abc'::text, 2);
SELECT nearest_customers('named', 3000000000, 2);
SELECT profile_now('named', 'abc'::text);

SELECT drop_source(name) FROM sources ORDER BY name;
DROP OWNED BY regress_dirt_reader;
DROP ROLE regress_dirt_reader;
DROP SCHEMA dirt CASCADE;
