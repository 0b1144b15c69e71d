-- Due actions: a year of real orders, day by day, against plain SQL that writes down every day of every customer
SET client_min_messages = warning;
SET datestyle = ISO;
\set SHOW_CONTEXT never
CREATE SCHEMA due;
SET search_path = due;
-- many short queries, for which no worker should be started
SET jit = off;
SET max_parallel_workers_per_gather = 0;
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE TABLE sale (customer_id integer, sold_on date, amount numeric);
\set cmd '\\copy sale from ' :abs_srcdir '/data/cdnow_sample.csv csv header'
:cmd
DELETE FROM sale WHERE customer_id % 6 <> 1;
-- refunds are no purchases; of some everything, or more, on the same day or later; a leap day
INSERT INTO sale SELECT customer_id, sold_on + 5, -amount / 2 FROM sale WHERE customer_id % 24 = 1;
INSERT INTO sale SELECT customer_id, sold_on, -2 * amount FROM sale WHERE customer_id % 60 = 31 AND amount > 0;
INSERT INTO sale SELECT customer_id, sold_on + 9, -amount FROM sale WHERE customer_id % 60 = 37 AND amount > 0;
CREATE TABLE customer AS SELECT c AS customer_id, CASE WHEN c % 5 > 0 THEN date '1952-02-27' + c % 800 END AS born FROM (SELECT DISTINCT customer_id AS c FROM sale) c;
INSERT INTO customer VALUES (100001, '1952-02-29'), (100002, '1970-05-05'), (100003, NULL);
ALTER TABLE customer ADD PRIMARY KEY (customer_id);
SELECT count(*) > 0 AS made FROM crm_profile.create_source('shop', 'customer', 'sale', order_customer => 'customer_id', ordered_at => 'sold_on', amount => 'amount', as_of => '1998-03-01', birthday => 'born');
SELECT count(*) > 0 AS refreshed FROM crm_profile.refresh('shop');

-- the learnt gap: the smallest number of days by which half of those who bought again have done so
WITH second AS (SELECT customer_id, array_agg(DISTINCT sold_on ORDER BY sold_on) AS days FROM sale WHERE amount >= 0 AND sold_on <= '1998-03-01' GROUP BY customer_id)
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY days[2] - days[1]) BETWEEN m.second_purchase_days - 1 AND m.second_purchase_days AS learnt, count(*) > 20 AS enough
FROM second, shop.model m WHERE cardinality(days) > 1 GROUP BY m.second_purchase_days;

---------------------------------------------------------------- every day of every customer, from the first order on
CREATE TABLE day AS
SELECT h.customer, g.day::date AS day, coalesce(s.bought, false) AS bought, count(*) FILTER (WHERE s.bought) OVER w AS purchases, min(g.day::date) FILTER (WHERE s.bought) OVER (PARTITION BY h.customer) AS first, sum(s.amount) OVER w AS monetary, s.amount AS on_day
FROM shop.customer_history h CROSS JOIN generate_series(timestamp '1996-12-31', '1998-03-01', '1 day') g(day)
	LEFT JOIN (SELECT customer_id, sold_on, bool_or(amount >= 0) AS bought, sum(amount) AS amount FROM sale GROUP BY 1, 2) s ON s.customer_id = h.customer AND s.sold_on = g.day
WINDOW w AS (PARTITION BY h.customer ORDER BY g.day);
CREATE TABLE standing AS
SELECT d.*, l.lifecycle, crm_profile.segment(crm_profile.rfm_score(h.history, m.rfm, d.day), m.segments, l.lifecycle) AS segment,
	CASE WHEN d.purchases = 0 THEN 0 WHEN d.monetary >= m.a_from THEN 2 WHEN d.monetary >= m.b_from THEN 1 ELSE 0 END AS tier
FROM day d JOIN shop.customer_history h USING (customer), shop.model m, LATERAL (SELECT crm_profile.lifecycle(h.history, d.day, m.active_days, m.clv) AS lifecycle OFFSET 0) l;
ANALYZE standing;
CREATE TABLE happening AS
WITH step AS (
	SELECT s.*, coalesce(s.segment = 'Champions', false) AS top, coalesce(lag(s.segment) OVER w = 'Champions', false) AS was_top, lag(s.lifecycle) OVER w AS was, coalesce(lag(s.tier) OVER w, 0) AS was_tier
	FROM standing s WINDOW w AS (PARTITION BY s.customer ORDER BY s.day))
SELECT s.customer, a.action, s.day FROM step s, shop.model m, LATERAL (VALUES
	('thanks', s.bought AND s.on_day > 0), ('second_purchase', s.purchases = 1 AND s.monetary > 0 AND s.day = s.first + m.second_purchase_days), ('anniversary', s.day > s.first AND s.monetary > 0 AND EXISTS (SELECT FROM generate_series(1, 3) n WHERE s.day = (s.first + make_interval(years => n))::date)),
	('lapse_alarm', s.lifecycle IN ('lapsing', 'inactive') AND s.was NOT IN ('lapsing', 'inactive')), ('entered_top', s.top AND NOT s.was_top), ('left_top', s.was_top AND NOT s.top), ('status_reached', s.tier > s.was_tier)) a(action, happens)
	WHERE a.happens AND s.purchases > 0
UNION ALL SELECT c.customer_id, 'birthday', g.day::date FROM customer c, generate_series(timestamp '1996-12-31', '1998-03-01', '1 day') g(day) WHERE EXISTS (SELECT FROM generate_series(1, 60) n WHERE g.day = c.born + make_interval(years => n));
CREATE INDEX ON happening (customer, action, day);
ANALYZE happening;
SELECT (SELECT segment FROM crm_profile.segments((SELECT segments FROM shop.model)) LIMIT 1) AS top;
-- days on which as much or more came back than was bought, and customers who gave everything back
SELECT count(*) FILTER (WHERE bought AND on_day <= 0) > 20 AS days, count(DISTINCT customer) FILTER (WHERE monetary <= 0 AND day = '1998-03-01' AND purchases > 0) > 10 AS customers FROM day;
SELECT action, count(*) > 5 AS many FROM happening GROUP BY action ORDER BY action COLLATE "C";

-- one after the other: none within the pause of one that was due
CREATE FUNCTION due(pause integer) RETURNS TABLE (customer integer, action text, day date) LANGUAGE sql BEGIN ATOMIC
	WITH RECURSIVE given AS (
		SELECT h.customer, h.action, min(h.day) AS day FROM happening h GROUP BY h.customer, h.action
		UNION ALL SELECT g.customer, g.action, (SELECT min(h.day) FROM happening h WHERE h.customer = g.customer AND h.action = g.action AND h.day >= g.day + greatest(pause, 1)) FROM given g WHERE g.day IS NOT NULL)
	SELECT g.customer, g.action, g.day FROM given g WHERE g.day IS NOT NULL;
END;

---------------------------------------------------------------- the same
-- day by day over a year
CREATE TABLE found AS SELECT d.* FROM generate_series(timestamp '1997-03-02', '1998-03-01', '1 day') g(day), LATERAL shop.due_actions(g.day::date) d;
SELECT count(*) > 500 AS many, count(DISTINCT action) AS actions FROM found;
SELECT count(*) FROM found f FULL JOIN (SELECT * FROM due(30) WHERE day > '1997-03-01') d ON d.customer = f.customer AND d.action = f.action AND d.day = f.since WHERE f.customer IS NULL OR d.customer IS NULL;
SELECT count(*) FROM found WHERE since <> as_of;
-- the year at once
SELECT count(*) FROM found f FULL JOIN shop.due_actions('1998-03-01', 365) d USING (customer, action, since, reason) WHERE f.as_of IS NULL OR d.as_of IS NULL OR f.value IS DISTINCT FROM d.value;
SELECT count(*) FROM (SELECT * FROM found WHERE since = '1998-03-01') f FULL JOIN shop.due_actions d USING (customer, action, reason, since) WHERE f.as_of IS NULL OR d.as_of IS NULL;
-- the pause matters; none twice within it
SELECT count(*) > 20 AS left_out FROM happening h WHERE day > '1997-03-01' AND NOT EXISTS (SELECT FROM found f WHERE f.customer = h.customer AND f.action = h.action AND f.since = h.day);
SELECT count(*) FROM found a JOIN found b ON b.customer = a.customer AND b.action = a.action AND b.since > a.since AND b.since < a.since + 30;
SELECT crm_profile.alter_source('shop', action_pause => 90);
SELECT count(*) FROM shop.due_actions('1998-03-01', 365) f FULL JOIN (SELECT * FROM due(90) WHERE day > '1997-03-01') d ON d.customer = f.customer AND d.action = f.action AND d.day = f.since WHERE f.customer IS NULL OR d.customer IS NULL;
SELECT crm_profile.alter_source('shop', action_pause => 0);
SELECT count(*) FROM shop.due_actions('1998-03-01', 365) f FULL JOIN (SELECT * FROM happening WHERE day > '1997-03-01') d ON d.customer = f.customer AND d.action = f.action AND d.day = f.since WHERE f.customer IS NULL OR d.customer IS NULL;
SELECT crm_profile.alter_source('shop', action_pause => 30);

-- what is at stake
SELECT count(*) FILTER (WHERE abs(f.value - crm_profile.clv(h.history, m.clv, CASE f.action WHEN 'lapse_alarm' THEN crm_profile.last_purchase(h.history, f.since) ELSE f.since END, '365 days', 0.01)) > 1e-9) AS wrong, count(f.value) > 300 AS many,
	count(*) FILTER (WHERE f.value IS NULL AND f.action <> 'birthday') AS without
FROM found f JOIN shop.customer_history h USING (customer), shop.model m;
-- in words
SELECT action, min(r.reason COLLATE "C") AS reason FROM found f, LATERAL regexp_replace(f.reason, '[0-9]+([.][0-9]+)?', '#', 'g') r(reason) WHERE action NOT IN ('entered_top', 'left_top', 'status_reached') GROUP BY action ORDER BY action COLLATE "C";
SELECT count(*) FILTER (WHERE reason NOT LIKE 'Champions now, % the day before') AS wrong FROM found WHERE action = 'entered_top';
SELECT count(*) FILTER (WHERE reason NOT LIKE '% now, Champions the day before') AS wrong FROM found WHERE action = 'left_top';
SELECT DISTINCT reason FROM found WHERE action = 'status_reached' AND reason LIKE '% A, from C';
-- who was born on 29 February has a birthday on the 28th where there is none
SELECT customer, action, since FROM shop.due_actions('1998-03-31', 400) WHERE customer > 100000 ORDER BY since, customer;
SELECT since FROM shop.due_actions('1996-03-01', 3) WHERE customer = 100001;

-- without as_of; without birthdays; the plan calls the extension once a row and joins nothing twice
SELECT crm_profile.alter_source('shop', reset => '{as_of,birthday}');
SELECT coalesce(bool_and(since = as_of AND as_of = (CURRENT_TIMESTAMP AT TIME ZONE current_setting('TimeZone'))::date), true) AS today FROM shop.due_actions;
SELECT count(*) FROM shop.due_actions('1998-03-01', 365) f FULL JOIN found g USING (customer, action, since) WHERE (f.as_of IS NULL OR g.as_of IS NULL) AND action <> 'birthday';

-- a complement to what was just bought
CREATE TABLE line AS SELECT s.customer_id, s.sold_on, p.product FROM (SELECT DISTINCT customer_id, sold_on, ('x' || substr(md5(customer_id || ' ' || sold_on), 1, 4))::bit(16)::integer % 16 AS n FROM sale WHERE amount >= 0 AND sold_on <= '1998-03-01') s,
	LATERAL (VALUES ('tea', s.n < 6), ('scones', s.n < 5), ('milk', s.n IN (1, 3, 5, 7, 9)), ('bread', s.n > 5), ('jam', s.n IN (10, 11, 12)), ('honey', s.n IN (11, 12, 13)), ('rare', s.n = 15 AND s.customer_id < 200)) p(product, has) WHERE p.has;
SELECT crm_profile.alter_source('shop', lines => 'line', line_customer => 'customer_id', line_day => 'sold_on', as_of => '1998-03-01');
SELECT count(*) FROM shop.due_actions WHERE action = 'complement';
SELECT count(*) > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT product, complement, round(lift::numeric, 2) AS lift FROM shop.product_complement ORDER BY product COLLATE "C", lift DESC, complement COLLATE "C";
SELECT count(*) FROM shop.product_complement c FULL JOIN (SELECT * FROM crm_profile.basket_rules('SELECT customer_id || sold_on::text, product FROM due.line', 0.0001) r WHERE r.baskets >= 5 AND r.lift > 1 AND r.p_adjusted < 0.05) r ON r.left_side = ARRAY[c.product] AND r.right_side = c.complement
WHERE (c.baskets, c.confidence, c.lift) IS DISTINCT FROM (r.baskets, r.confidence, r.lift);
CREATE TABLE complement AS SELECT DISTINCT ON (d.customer, d.day) d.customer, d.day, format('bought %s: %s goes with it, %s times as often as by chance', c.product, c.complement, round(c.lift::numeric, 1)) AS reason
	FROM due(30) d JOIN line l ON l.customer_id = d.customer AND l.sold_on = d.day JOIN shop.product_complement c USING (product)
	WHERE d.action = 'thanks' AND d.day > '1997-03-01' AND c.complement NOT IN (SELECT o.product FROM line o WHERE o.customer_id = d.customer AND o.sold_on <= d.day)
	ORDER BY d.customer, d.day, c.lift DESC, c.complement COLLATE "C", c.product COLLATE "C";
SELECT count(*) > 20 AS many, count(*) FILTER (WHERE c.customer IS NULL OR d.customer IS NULL) AS wrong FROM complement c FULL JOIN (SELECT * FROM shop.due_actions('1998-03-01', 365) d WHERE d.action = 'complement') d ON d.customer = c.customer AND d.since = c.day AND d.reason = c.reason;
SELECT count(*) FROM generate_series(timestamp '1998-01-01', '1998-03-01', '1 day') g(day), LATERAL shop.due_actions(g.day::date) d FULL JOIN (SELECT * FROM complement WHERE day >= '1998-01-01') c ON c.customer = d.customer AND c.day = d.since WHERE d.action = 'complement' AND c.customer IS NULL;
-- the other actions are the same
SELECT count(*) FROM shop.due_actions('1998-03-01', 365) f FULL JOIN found g USING (customer, action, since) WHERE (f.as_of IS NULL OR g.as_of IS NULL) AND action NOT IN ('birthday', 'complement');
SELECT crm_profile.alter_source('shop', reset => '{lines}');
SELECT to_regclass('shop.product_complement') IS NULL AS gone, (SELECT count(*) FROM shop.due_actions('1998-03-01', 365) WHERE action = 'complement') AS complements;

-- a period, profit, days without a model
CREATE TABLE few AS SELECT customer_id, sold_on, abs(amount) AS amount, abs(amount) * 0.6 AS cost FROM sale WHERE customer_id % 30 = 1;
SELECT count(*) > 0 AS made FROM crm_profile.create_source('small', 'customer', 'few', order_customer => 'customer_id', ordered_at => 'sold_on', amount => 'amount', cost => 'cost', tier_by => 'profit', period => '6 months', as_of => '1998-03-01');
SELECT count(*) FROM small.due_actions;
SELECT count(*) > 0 AS refreshed FROM crm_profile.refresh('small');
SELECT crm_profile.alter_source('small', action_pause => 0);
SELECT count(*) FILTER (WHERE d.customer IS NOT NULL) > 5 AS many, count(*) FILTER (WHERE s.customer IS NULL OR d.customer IS NULL) AS wrong FROM (
	SELECT h.customer, g.day::date AS day, crm_profile.value_tier(crm_profile.profit(h.history, g.day::date, '6 months'), m.a_from, m.b_from) AS tier, crm_profile.value_tier(crm_profile.profit(h.history, g.day::date - 1, '6 months'), m.a_from, m.b_from) AS was
	FROM small.customer_history h, small.model m, generate_series(timestamp '1997-03-02', '1998-03-01', '1 day') g(day)) s
	FULL JOIN (SELECT d.* FROM small.due_actions('1998-03-01', 365) d WHERE d.action = 'status_reached') d ON d.customer = s.customer AND d.since = s.day
WHERE s.tier < coalesce(s.was, 'C') OR d.customer IS NOT NULL;
SELECT crm_profile.alter_source('small', action_pause => 366);
SELECT crm_profile.alter_source('small', action_pause => -1);
SELECT crm_profile.alter_source('small', birthday => 'no_column');
SELECT crm_profile.alter_source('small', birthday => 'customer_id');
SELECT count(*) FROM small.due_actions(NULL);
SELECT count(*) FROM small.due_actions('1998-03-01', 0);

---------------------------------------------------------------- strategies that speak of the source's own figures
SELECT count(*) > 0 AS made FROM crm_profile.create_source('margin', 'customer', 'few', order_customer => 'customer_id', ordered_at => 'sold_on', amount => 'amount', cost => 'cost', as_of => '1998-03-01');
SELECT count(*) > 0 AS refreshed FROM crm_profile.refresh('margin');
-- costs are 60 % of each amount
SELECT count(*) FILTER (WHERE s.contact_limit IS NOT NULL) > 3 AS many, count(*) FILTER (WHERE abs(s.contact_limit - 0.4 * p.each) > 1e-6) AS wrong, count(*) FILTER (WHERE (s.contact_limit IS NULL) <> (p.each IS NULL)) AS missing,
	count(*) FILTER (WHERE s.advice <> CASE WHEN p.each IS NULL THEN s.strategy ELSE format('%s%s Expected in the next 365 days: %s a customer, %s %% of all. Up to %s a customer may be spent on them.', s.strategy, CASE WHEN right(s.strategy, 1) = '.' THEN '' ELSE '.' END,
		round(p.each::numeric, 2), round((100 * s.predicted_value_share)::numeric), round((0.4 * p.each)::numeric, 2)) END) AS other_words
FROM margin.segment_summary_details s LEFT JOIN (SELECT segment, sum(clv_365d) / count(*) AS each FROM margin.customer_profile GROUP BY segment) p USING (segment) WHERE s.strategy IS NOT NULL;
SELECT count(*) FILTER (WHERE s.contact_limit IS NOT NULL) > 3 AS many, count(*) FILTER (WHERE abs(s.contact_limit - p.each) > 1e-6) AS wrong
FROM small.segment_summary_details s LEFT JOIN (SELECT segment, sum(clv_365d) / count(*) AS each FROM small.customer_profile GROUP BY segment) p USING (segment);
SELECT count(s.contact_limit) AS limits, bool_and(s.advice LIKE '% no costs are known.') AS told FROM shop.segment_summary_details s WHERE s.customers > 0 AND s.strategy IS NOT NULL AND s.predicted_value IS NOT NULL;
SELECT crm_profile_internal.segment_advice('Ask', 10, 0.25, -1), crm_profile_internal.segment_advice('Ask', NULL, NULL, NULL), crm_profile_internal.segment_advice(NULL, 10, 0.25, 2), crm_profile_internal.segment_advice('Ask.', 10, NULL, 4.567);

SELECT crm_profile.drop_source('shop'), crm_profile.drop_source('small'), crm_profile.drop_source('margin');
SELECT count(*) FROM pg_namespace WHERE nspname IN ('shop', 'small', 'margin');
RESET jit;
RESET max_parallel_workers_per_gather;
DROP SCHEMA due CASCADE;
RESET search_path;
