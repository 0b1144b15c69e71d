-- Sources from end to end on two real databases, against plain SQL
\getenv abs_srcdir PG_ABS_SRCDIR
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SET extra_float_digits = 0;
-- many small statements over the catalogues: JIT would take longer than everything else
SET jit = off;

-- ---------------------------------------------------------------- Northwind: varchar keys, real prices, the amount from a join
CREATE SCHEMA northwind;
SET search_path = northwind;
\set file :abs_srcdir '/data/northwind.psql'
\i :file
CREATE TABLE employees (employee_id smallint PRIMARY KEY);
ALTER TABLE orders ADD employee_id smallint REFERENCES employees, ADD freight real, ADD shipped_date date;
-- suggestions from the catalogue: the amount from the lines, not the freight; sellers are no customers
SELECT customers, orders, reason FROM crm_profile.suggest_sources_details();
SELECT call FROM crm_profile.suggest_sources() \gx
SELECT call AS create_suggested FROM crm_profile.suggest_sources() \gset
:create_suggested;
SELECT crm_profile.alter_source('customers_orders', as_of => '1998-05-06');
SELECT orders, customers FROM crm_profile.refresh('customers_orders');
CREATE TABLE suggested AS SELECT * FROM customers_orders.customer_profile;
SELECT crm_profile.drop_source('customers_orders');

SELECT * FROM crm_profile.create_source('nw', 'customers',
	'SELECT o.customer_id, o.order_date, o.order_id, d.unit_price * d.quantity * (1 - d.discount) AS amount FROM orders o JOIN order_details d USING (order_id)',
	order_key => 'order_id', as_of => '1998-05-06', attributes => ARRAY['country', 'town = city']);
SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('nw');
-- the key has the type of the customer table
SELECT pg_typeof(customer) FROM nw.customer_profile LIMIT 1;
SELECT count(*) AS other_than_suggested FROM nw.customer_profile p FULL JOIN suggested s USING (customer) WHERE (p.frequency, p.monetary, p.cell) IS DISTINCT FROM (s.frequency, s.monetary, s.cell);
-- every customer is there, even without orders
SELECT count(*), count(segment) FROM nw.customer_profile;
-- the truth: lines of an order summed after rounding
CREATE VIEW truth AS
	SELECT customer_id, count(DISTINCT order_id) AS frequency, sum(round((unit_price * quantity * (1 - discount))::numeric, 2)) AS monetary,
		min(order_date) AS first_purchase, max(order_date) AS last_purchase, date '1998-05-06' - max(order_date) AS recency
	FROM orders JOIN order_details USING (order_id) GROUP BY customer_id;
SELECT count(*) AS differences FROM nw.customer_profile p FULL JOIN truth t ON t.customer_id = p.customer
WHERE (p.frequency, p.monetary, p.first_purchase, p.last_purchase, p.recency) IS DISTINCT FROM (t.frequency, t.monetary, t.first_purchase, t.last_purchase, t.recency)
	AND NOT (t.customer_id IS NULL AND p.frequency IS NULL);
-- scores against percentile_cont
SELECT count(*) AS differences FROM nw.customer_profile p JOIN truth t ON t.customer_id = p.customer,
	(SELECT percentile_cont(ARRAY[.2, .4, .6, .8]) WITHIN GROUP (ORDER BY recency) AS r, percentile_cont(ARRAY[.2, .4, .6, .8]) WITHIN GROUP (ORDER BY frequency) AS f,
		percentile_cont(ARRAY[.2, .4, .6, .8]) WITHIN GROUP (ORDER BY monetary::double precision) AS m FROM truth) q
WHERE p.r_score <> 5 - (SELECT count(*) FROM unnest(q.r) b WHERE t.recency > b)
	OR p.f_score <> 1 + (SELECT count(*) FROM unnest(q.f) b WHERE t.frequency > b)
	OR p.m_score <> 1 + (SELECT count(*) FROM unnest(q.m) b WHERE t.monetary > b)
	OR p.cell <> concat(p.r_score, p.f_score, p.m_score);
-- value tiers: the running total of those worth more is below 80 % and 95 %
SELECT count(*) AS differences FROM nw.customer_profile p JOIN (
	SELECT customer_id, (SELECT coalesce(sum(r.monetary), 0) FROM truth r WHERE r.monetary > t.monetary) / (SELECT sum(monetary) FROM truth) AS richer FROM truth t) t
	ON t.customer_id = p.customer
WHERE p.value_tier <> CASE WHEN richer < .8 THEN 'A' WHEN richer < .95 THEN 'B' ELSE 'C' END;
SELECT value_tier, count(*) FROM nw.customer_profile GROUP BY 1 ORDER BY 1;
-- the active window: nine of ten repeat buyers come back within it
SELECT active_days, active_days_learnt, (SELECT min(d) FROM (SELECT d, count(*) FILTER (WHERE gap <= d) * 10 >= count(*) * 9 AS enough
		FROM generate_series(1, 400) d, (SELECT (max(order_date) - min(order_date))::numeric / (count(DISTINCT order_date) - 1) AS gap FROM orders GROUP BY customer_id HAVING count(DISTINCT order_date) > 1) g
		GROUP BY d) x WHERE enough) AS truth
FROM crm_profile.sources_details WHERE name = 'nw';
SELECT lifecycle, count(*), min(recency), max(recency) FROM nw.customer_profile GROUP BY 1 ORDER BY 1;
-- the other views agree with customer_profile
SELECT count(*) AS rows, sum(customers) AS customers, sum(monetary) AS monetary, round(sum(customer_share)::numeric, 6) AS shares FROM nw.segment_summary_details;
SELECT count(*) AS rows, sum(customers) AS customers, sum(monetary) AS monetary FROM nw.rfm_grid;
SELECT count(*) AS differences FROM nw.purchase_calendar c FULL JOIN (
	SELECT date_trunc('month', order_date::timestamp)::date AS month, extract(isodow FROM order_date)::int AS weekday, count(DISTINCT order_id) AS orders,
		sum(round((unit_price * quantity * (1 - discount))::numeric, 2)) AS amount FROM orders JOIN order_details USING (order_id) GROUP BY 1, 2) t USING (month, weekday)
WHERE (c.orders, c.amount) IS DISTINCT FROM (t.orders, t.amount);
SELECT count(*) AS differences FROM (
	SELECT coalesce(a.segment, '(unscored)') AS f, coalesce(b.segment, '(unscored)') AS t, count(*) AS n
	FROM nw.profile_as_of('1998-02-05') a JOIN nw.profile_as_of('1998-05-06') b USING (customer) JOIN nw.customer_history USING (customer) GROUP BY 1, 2) x
	FULL JOIN nw.segment_migration m ON (m.from_segment, m.to_segment) = (x.f, x.t) WHERE x.n IS DISTINCT FROM m.customers;
SELECT sum(customers) AS customers, bool_and(share BETWEEN 0 AND 1) AS shares FROM nw.segment_migration('1998-01-01', '1998-05-06', refit => true);
-- a past day shows what a source with that as-of date would have shown
SELECT count(*), sum(frequency), sum(monetary) FROM nw.profile_as_of('1997-12-31');
SELECT count(DISTINCT order_id), sum(round((unit_price * quantity * (1 - discount))::numeric, 2)) FROM orders JOIN order_details USING (order_id) WHERE order_date <= '1997-12-31';

-- only differing rows are written
SELECT customers_written, customers_removed FROM crm_profile.refresh('nw');
CREATE TEMP TABLE before AS SELECT customer, xmin::text AS written FROM nw.customer_history;
BEGIN;
INSERT INTO orders VALUES (20000, 'PARIS', '1998-05-06');
INSERT INTO order_details VALUES (20000, 1, 12.34, 2, 0);
DELETE FROM order_details USING orders WHERE orders.order_id = order_details.order_id AND customer_id = 'CENTC';
UPDATE order_details SET quantity = quantity + 1 WHERE order_id = 10248;
-- visible in the writer's own transaction
SELECT customer, frequency, monetary, lifecycle FROM crm_profile.profile_now_details('nw', 'PARIS');
SELECT customers_written, customers_removed FROM crm_profile.refresh('nw');
SELECT coalesce(a.customer, b.customer) AS customer, a.customer IS NULL AS is_new, b.customer IS NULL AS is_gone
FROM before a FULL JOIN nw.customer_history b USING (customer) WHERE a.written IS DISTINCT FROM b.xmin::text ORDER BY 1;
ROLLBACK;
SELECT count(*) FROM nw.model;
SELECT customer FROM crm_profile.profile_now_details('nw', 'NOONE');

-- materialized: the same rows
CREATE TABLE live AS SELECT * FROM nw.customer_profile;
SELECT crm_profile.alter_source('nw', materialize => true);
SELECT count(*) AS differences FROM live l FULL JOIN nw.customer_profile p USING (customer) WHERE l.* IS DISTINCT FROM p.*;
SELECT pg_get_viewdef('nw.customer_profile') LIKE '%stored_profile%' AS stored;
CREATE VIEW on_top AS SELECT segment, count(*) AS n FROM nw.customer_profile GROUP BY 1;
SELECT crm_profile.alter_source('nw', period => '1 year');
SELECT customers_written FROM crm_profile.refresh('nw');
SELECT refresh_phases ? 'profiles' AS written FROM crm_profile.sources_details WHERE name = 'nw';
SELECT sum(n) FROM on_top;
SELECT sum(frequency) AS frequency FROM nw.customer_profile;
SELECT count(*) FROM orders WHERE order_date > date '1998-05-06' - interval '1 year';
SELECT crm_profile.alter_source('nw', materialize => false, reset => '{period}');
SELECT count(*) AS differences FROM live l FULL JOIN nw.customer_profile p USING (customer) WHERE (l.frequency, l.monetary) IS DISTINCT FROM (p.frequency, p.monetary);

-- erasure
SELECT * FROM crm_profile.forget_customer('nw', 'ALFKI');
SELECT count(*) FROM nw.customer_history WHERE customer = 'ALFKI';
DROP VIEW on_top;

-- a customer whose key looks like SQL
INSERT INTO customers VALUES ('a''$1', 'Robert'');');
INSERT INTO orders VALUES (20001, 'a''$1', '1998-05-01');
INSERT INTO order_details VALUES (20001, 1, 5, 1, 0);
SELECT customer, frequency FROM crm_profile.profile_now_details('nw', 'a''$1');

-- every object is commented
SELECT c.relname, a.attname FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'nw'::regnamespace AND c.relkind IN ('r', 'v')
	AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL) ORDER BY 1, 2;
SELECT proname FROM pg_proc WHERE pronamespace = 'nw'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL;

SELECT crm_profile.drop_source('nw');
SELECT count(*) FROM pg_namespace WHERE nspname = 'nw';
SELECT count(*) FROM crm_profile.sources;

-- ---------------------------------------------------------------- Online Retail: returns, time stamps
RESET search_path;
CREATE SCHEMA retail;
SET search_path = retail;
\set file :abs_srcdir '/data/online_retail.psql'
\i :file
CREATE TABLE customers AS SELECT DISTINCT customer AS id, min(country) AS country FROM orders WHERE customer IS NOT NULL GROUP BY customer;
ALTER TABLE customers ADD PRIMARY KEY (id);
SELECT customers, orders, reason FROM crm_profile.suggest_sources_details() WHERE orders = 'retail.orders';
SELECT call FROM crm_profile.suggest_sources_details() WHERE orders = 'retail.orders' \gx
-- the invoice lines as in the shop's system: the amount is price times quantity, an invoice is an order
CREATE TABLE invoices (invoice_no int, stock_code text, quantity int, invoice_date timestamp, unit_price numeric(8,2), customer_id int);
SELECT call FROM crm_profile.suggest_sources_details() WHERE orders = 'retail.invoices' \gx
DROP TABLE invoices;
SELECT * FROM crm_profile.create_source('retail_views', 'retail.customers', 'retail.orders', order_customer => 'customer', as_of => '2011-12-10');
SELECT orders, customers FROM crm_profile.refresh('retail_views');
SELECT count(*) FILTER (WHERE amount >= 0) AS orders, count(DISTINCT customer) AS customers FROM orders WHERE customer IS NOT NULL;
SELECT count(*) AS differences FROM retail_views.customer_profile p JOIN (
	SELECT customer, count(*) FILTER (WHERE amount >= 0) AS frequency, sum(amount) AS monetary, max(ordered_at::date) FILTER (WHERE amount >= 0) AS last_purchase
	FROM orders GROUP BY customer) t USING (customer)
WHERE t.frequency > 0 AND (p.frequency, p.monetary, p.last_purchase) IS DISTINCT FROM (t.frequency, t.monetary, t.last_purchase);
-- the same scores as without a source, and segments by the same map, corrected by the lifecycle
SELECT count(*) AS differences FROM retail_views.customer_profile p
	FULL JOIN crm_profile.rfm_scores(NULL::int, 'SELECT customer, ordered_at, amount FROM retail.orders', '2011-12-10') s USING (customer)
WHERE (p.r_score, p.f_score, p.m_score) IS DISTINCT FROM (s.r_score, s.f_score, s.m_score)
	OR p.segment IS DISTINCT FROM crm_profile.segment(crm_profile.rfm_score(s.r_score, s.f_score, s.m_score), (SELECT crm_profile.compile_scheme('standard')), p.lifecycle);
SELECT severity, finding, rows FROM crm_profile.check_source_details('retail_views');
-- every amount has a line, also orders without a customer and customers with refunds only
SELECT segment, customers, monetary FROM retail_views.segment_summary WHERE segment LIKE '(%';
SELECT (SELECT sum(monetary) FROM retail_views.segment_summary) AS summary, (SELECT sum(amount) FROM retail_views.purchase_calendar) AS calendar, (SELECT sum(amount) FROM orders) AS ledger;
SELECT count(*) AS refunds_only, sum(amount) FROM (SELECT sum(amount) AS amount FROM orders WHERE customer IS NOT NULL GROUP BY customer HAVING max(amount) < 0) r;
-- contradictions counted by a refresh, and by a query: under bg/nbd every one-time buyer stays a customer for ever
SELECT crm_profile.alter_source('retail_views', active_days => 10, clv_model => 'bg/nbd');
SELECT orders FROM crm_profile.refresh('retail_views');
SELECT c.note, c.number, t.n FROM (SELECT note, number FROM retail_views.model_card_details WHERE section = 'labels' AND number > 0) c FULL JOIN (
	SELECT k, count(*) AS n FROM retail_views.customer_profile p JOIN retail_views.customer_history h USING (customer), retail_views.model_in_use m, unnest(crm_profile.label_conflicts(p.segment, m.segments, p.lifecycle, crm_profile.p_alive(h.history, m.clv, '2011-12-10'), NULL)) k GROUP BY k) t ON t.k = c.note
ORDER BY c.note COLLATE "C";
SELECT * FROM crm_profile.drop_source('retail_views');
DROP SCHEMA retail CASCADE;
DROP SCHEMA northwind CASCADE;
