-- Payments: habits against plain SQL, who got later, what is overdue, alarms day by day
SET datestyle TO iso;
SET timezone TO 'UTC';
SET jit TO off;
SET client_min_messages TO warning;
\set SHOW_CONTEXT never
CREATE SCHEMA test_payments;
SET search_path TO test_payments, crm_profile;
CREATE FUNCTION chance(what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0 $$;
CREATE FUNCTION near(got float8, wanted float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT abs(got - wanted) <= 1e-9 * abs(wanted) $$;

-- the test of Mann and Whitney, as scipy.stats.mannwhitneyu (asymptotic, with continuity and ties) has it
CREATE FUNCTION payment_day(days integer, is_recent boolean, is_open boolean, unknown boolean DEFAULT false) RETURNS date LANGUAGE sql IMMUTABLE AS $$ SELECT date '2000-01-01' + 8 * days + is_recent::integer + 2 * is_open::integer + 4 * unknown::integer $$;
CREATE TABLE habits (who text, segment text, history purchase_history);
INSERT INTO habits SELECT 'a', 's', purchase_history_agg(payment_day(d, r, d IN (5, 30)), CASE WHEN d IN (5, 30) THEN d ELSE 0 END) FROM (SELECT unnest('{3,5,8,8,12,30}'::int[]), true UNION ALL SELECT unnest('{0,1,0,2,3,-1,0,5}'::int[]), false) v(d, r);
INSERT INTO habits SELECT 'b', 's', purchase_history_agg(payment_day(d, d > 2, false), 0) FROM generate_series(1, 4) d;
INSERT INTO habits SELECT 'c', NULL, purchase_history_agg(payment_day(3, d > 6, d = 1, true), 0) FROM generate_series(1, 12) d;
INSERT INTO habits VALUES ('d', 's', '{}'), ('e', 's', NULL);
SELECT customer, segment, payments, late, usual_days_late, recent_days_late, segment_days_late, overdue, overdue_amount, overdue_days, beyond_habit, near(p_value, 0.005154144115090436) AS p_value, near(adjusted_p_value, 0.005154144115090436) AS adjusted, change
FROM crm_profile_internal.payment_rows('SELECT * FROM habits', 2, 0.05, NULL::purchase_history);
SELECT * FROM crm_profile_internal.payment_rows('SELECT who, segment, segment FROM habits', 2, 0.05, NULL::purchase_history);
SELECT * FROM crm_profile_internal.payment_rows('SELECT who, segment, history FROM habits', 2, 0.05, NULL::purchase_history) WHERE customer IN (SELECT customer FROM crm_profile_internal.payment_rows('SELECT who, NULL::text, history FROM habits WHERE false', 2, 0.05, NULL));

-- 240 customers with an invoice a month, each as late as ever; the first twelve got later in the last half year
CREATE TABLE customer (id int PRIMARY KEY, name text);
INSERT INTO customer SELECT i, 'name ' || i FROM generate_series(1, 240) i;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, ordered_on date, amount numeric(10, 2));
INSERT INTO orders SELECT 100 * c + n, c, date '2024-01-03' + 30 * n + c % 9, round((20 + 80 * chance(c || 'a' || n))::numeric, 2) FROM generate_series(1, 240) c, generate_series(0, 23) n WHERE chance(c || 'o' || n) < 0.9;
CREATE TABLE invoice (order_id int, customer_id int, due_date date, paid_on timestamptz, total numeric(10, 2));
INSERT INTO invoice SELECT o.id, o.customer_id, o.ordered_on + 14, (CASE WHEN chance(o.id || 'open') > 0.03 THEN o.ordered_on + 14 + (CASE WHEN o.customer_id <= 12 AND o.ordered_on > '2025-06-20' THEN 20 ELSE 0 END + floor(12 * chance(o.id || 'late') - 4) + o.customer_id % 7)::int END + time '12:00') AT TIME ZONE 'UTC', o.amount FROM orders o;
SELECT argument, value, origin FROM create_source('shop', 'customer', 'orders', amount => 'amount', as_of => '2025-12-31', payments => 'invoice', payment_amount => 'total') WHERE argument ~ 'payment' ORDER BY argument COLLATE "C";
SELECT count(*) FROM refresh('shop');

SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- what plain SQL makes of them
CREATE VIEW paid AS SELECT customer_id, due_date, total, paid_on::date AS paid, (paid_on::date <= '2025-12-31') IS NOT TRUE AS open, least(coalesce(paid_on::date, '2025-12-31'), '2025-12-31') - due_date AS days, due_date > date '2025-12-31' - 180 AS recent
	FROM invoice WHERE paid_on::date <= '2025-12-31' OR due_date < '2025-12-31';
CREATE TABLE by_hand AS SELECT customer_id, count(*) AS payments, count(*) FILTER (WHERE days > 0) AS late, percentile_cont(0.5) WITHIN GROUP (ORDER BY days) FILTER (WHERE NOT recent) AS usual, percentile_cont(0.5) WITHIN GROUP (ORDER BY days) FILTER (WHERE recent) AS now,
	count(*) FILTER (WHERE open) AS overdue, sum(total) FILTER (WHERE open) AS overdue_amount, max(days) FILTER (WHERE open) AS overdue_days FROM paid GROUP BY 1;
SELECT count(*) AS customers, count(*) FILTER (WHERE b.payments = p.payments AND b.late = p.late AND b.usual IS NOT DISTINCT FROM p.usual_days_late AND b.now IS NOT DISTINCT FROM p.recent_days_late AND b.overdue = p.overdue
		AND b.overdue_amount IS NOT DISTINCT FROM p.overdue_amount AND b.overdue_days IS NOT DISTINCT FROM p.overdue_days AND p.beyond_habit IS NOT DISTINCT FROM b.overdue_days - greatest(b.usual, 0)) AS same,
	count(*) FILTER (WHERE p.segment IS NOT DISTINCT FROM c.segment) AS labelled, (SELECT count(*) FROM by_hand) AS all_of_them
FROM shop.payment_behaviour p JOIN by_hand b ON b.customer_id::text = p.customer JOIN shop.customer_profile c ON c.customer::text = p.customer;
SELECT bool_and(p.segment_days_late = s.days) AS habit_of_the_segment, count(DISTINCT p.segment) > 3 AS segments FROM shop.payment_behaviour p JOIN (SELECT segment, percentile_cont(0.5) WITHIN GROUP (ORDER BY coalesce(recent_days_late, usual_days_late)) AS days FROM shop.payment_behaviour GROUP BY 1) s ON s.segment IS NOT DISTINCT FROM p.segment;
-- those who got later are found, and hardly anybody else
SELECT change, count(*) FILTER (WHERE customer::int <= 12) AS planted, count(*) FILTER (WHERE customer::int > 12) AS others FROM shop.payment_behaviour WHERE change IN ('later', 'earlier') GROUP BY 1 ORDER BY 1;
SELECT bool_and(abs(p.adjusted_p_value - (SELECT min(least(1, o.p_value * n.n / (SELECT count(*) FROM shop.payment_behaviour k WHERE k.p_value <= o.p_value))) FROM shop.payment_behaviour o WHERE o.p_value >= p.p_value)) < 1e-12) AS adjusted FROM shop.payment_behaviour p, (SELECT count(p_value) AS n FROM shop.payment_behaviour) n WHERE p.p_value IS NOT NULL;
-- before it began nobody had; what was paid later was open then
SELECT count(*) FILTER (WHERE change IN ('later', 'earlier')) AS changed, sum(overdue) = (SELECT count(*) FROM invoice WHERE due_date < '2025-06-01' AND (paid_on::date > '2025-06-01' OR paid_on IS NULL)) AS overdue FROM payment_behaviour('shop', '2025-06-01');
SELECT count(*) FROM payment_behaviour('shop', '2001-01-01');

-- alarms: a day later than usual, day by day over a year, none twice within the pause
CREATE TABLE alarm AS SELECT i.customer_id, i.due_date + 1 + u.usual AS day, sum(i.total) AS total FROM invoice i, LATERAL (SELECT greatest(coalesce((SELECT floor(percentile_cont(0.5) WITHIN GROUP (ORDER BY k.paid_on::date - k.due_date))::integer FROM invoice k WHERE k.customer_id = i.customer_id AND k.paid_on::date <= i.due_date), 0), 0) AS usual) u
	WHERE i.paid_on IS NULL OR i.paid_on::date > i.due_date + 1 + u.usual GROUP BY 1, 2;
CREATE FUNCTION due(pause integer) RETURNS TABLE (customer integer, day date) LANGUAGE sql BEGIN ATOMIC
	WITH RECURSIVE given AS (SELECT a.customer_id, min(a.day) AS day FROM alarm a GROUP BY 1
		UNION ALL SELECT g.customer_id, (SELECT min(a.day) FROM alarm a WHERE a.customer_id = g.customer_id AND a.day >= g.day + greatest(pause, 1)) FROM given g WHERE g.day IS NOT NULL)
	SELECT g.customer_id, g.day FROM given g WHERE g.day IS NOT NULL;
END;
CREATE TABLE found AS SELECT d.* FROM generate_series(timestamp '2025-01-01', '2025-12-31', '1 day') g(day), LATERAL shop.due_actions(g.day::date) d WHERE d.action = 'payment_overdue';
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE f.value <> a.total OR f.since <> f.as_of) AS wrong FROM found f LEFT JOIN alarm a ON a.customer_id = f.customer AND a.day = f.since;
SELECT count(*) FROM found f FULL JOIN (SELECT * FROM due(30) WHERE day BETWEEN '2025-01-01' AND '2025-12-31') d ON d.customer = f.customer AND d.day = f.since WHERE f.customer IS NULL OR d.customer IS NULL;
SELECT count(*) FROM found f FULL JOIN (SELECT * FROM shop.due_actions('2025-12-31', 365) WHERE action = 'payment_overdue') d USING (customer, since, reason) WHERE f.as_of IS NULL OR d.as_of IS NULL;
SELECT min(regexp_replace(reason, '[0-9]+([.][0-9]+)?', '#', 'g') COLLATE "C") AS reason FROM found;
SELECT alter_source('shop', action_pause => 0);
SELECT count(*) FROM (SELECT * FROM shop.due_actions('2025-12-31', 365) WHERE action = 'payment_overdue') f FULL JOIN (SELECT * FROM alarm WHERE day BETWEEN '2025-01-01' AND '2025-12-31') d ON d.customer_id = f.customer AND d.day = f.since WHERE f.customer IS NULL OR d.customer_id IS NULL;
SELECT alter_source('shop', action_pause => 30, reset => '{as_of}');
SELECT count(*) > 0 AS today FROM shop.payment_behaviour;

-- the order tells the customer; the orders themselves have the days
CREATE TABLE before AS SELECT customer, payments, late, usual_days_late, recent_days_late, overdue FROM payment_behaviour('shop', '2025-12-31');
SELECT alter_source('shop', payments => 'invoice', payment_order => 'order_id', payment_amount => 'total');
SELECT count(*) FROM (SELECT customer, payments, late, usual_days_late, recent_days_late, overdue FROM payment_behaviour('shop', '2025-12-31') EXCEPT TABLE before) d;
CREATE VIEW with_days AS SELECT o.*, i.due_date, i.paid_on AS paid_at FROM orders o JOIN invoice i ON i.order_id = o.id;
SELECT count(*) FROM create_source('own', 'customer', 'with_days', amount => 'amount', ordered_at => 'ordered_on', order_customer => 'customer_id', payments => 'with_days');
SELECT count(*) FROM refresh('own');
SELECT count(*), count(overdue_amount) AS amounts FROM (SELECT p.customer, p.payments, p.late, p.usual_days_late, p.recent_days_late, p.overdue, p.overdue_amount FROM payment_behaviour('own', '2025-12-31') p) n WHERE (n.customer, n.payments, n.late, n.overdue) NOT IN (SELECT customer, payments, late, overdue FROM before);

-- faults
INSERT INTO invoice VALUES (NULL, NULL, '2025-01-01', NULL, 5), (1, 1, NULL, '2025-01-01', 5), (1, 1, 'infinity', '2025-01-01', 5), (1, 9999, '2025-01-01', '2025-01-02', 5), (1, 1, '2025-12-01', '2099-01-01', 5), (1, 2, '2024-01-01', NULL, 7), (1, 2, '2025-01-01', '2025-03-01', -7);
SELECT alter_source('shop', payments => 'invoice', payment_customer => 'customer_id', payment_amount => 'total', as_of => '2025-12-31');
SELECT finding, severity, rows, customers, argument FROM check_source_details('shop') WHERE finding LIKE 'payments%' ORDER BY finding COLLATE "C";
SELECT sum(payments) - (SELECT sum(payments) FROM before) AS more FROM shop.payment_behaviour;
-- keys that no customer can have, infinite days and amounts that are no number: told, and nobody else is touched
CREATE TABLE bill (who text, due date, paid timestamp, total float8);
INSERT INTO bill SELECT customer_id, due_date, paid_on AT TIME ZONE 'UTC', total FROM invoice WHERE customer_id BETWEEN 2 AND 40 AND total > 0;
SELECT count(*) FROM create_source('dirty', 'customer', 'orders', amount => 'amount', as_of => '2025-12-31', payments => 'bill', payment_customer => 'who', payment_due => 'due', payment_paid => 'paid', payment_amount => 'total');
SELECT count(*) FROM refresh('dirty');
CREATE TABLE clean AS TABLE dirty.payment_behaviour;
SELECT count(*) > 30 AS many, sum(overdue_amount) = (SELECT sum(round(total::numeric, 2)) FROM bill WHERE due < '2025-12-31' AND (paid < '2026-01-01') IS NOT TRUE) AS owed FROM clean;
INSERT INTO bill VALUES ('abc', '2025-11-01', NULL, 5), ('', '2025-11-01', NULL, 5), ('12.0', '2025-11-01', NULL, 5), ('99999999999', '2025-11-01', NULL, 5), (NULL, '2025-11-01', NULL, 5), -- four keys that cannot be, and none
	(' 1 ', '-infinity', NULL, 5), ('1', 'infinity', NULL, 5), ('1', NULL, NULL, 5), -- never due
	('1', '2025-01-01', 'infinity', 1), ('+1', '2025-12-01', '-infinity', 2), -- never paid
	('1', '2025-11-01', NULL, 'NaN'), ('01', '2025-11-01', NULL, 'Infinity'), ('1', '2025-11-01', '2025-11-05', '-Infinity'), ('1', '2025-11-01', NULL, 1e300);
SELECT finding, severity, rows, customers, sample_keys, argument FROM check_source_details('dirty') WHERE finding ~ 'payments' AND finding !~ 'year|after' ORDER BY finding COLLATE "C";
SELECT count(*) FROM (SELECT customer, payments, late, overdue, overdue_amount, overdue_days, usual_days_late, recent_days_late, p_value FROM clean EXCEPT SELECT customer, payments, late, overdue, overdue_amount, overdue_days, usual_days_late, recent_days_late, p_value FROM dirty.payment_behaviour) x;
SELECT payments, late, overdue, overdue_amount, overdue_days FROM dirty.payment_behaviour WHERE customer = '1';
SELECT count(*) > 0 AS due FROM dirty.due_actions('2025-12-31', 60) WHERE action = 'payment_overdue';
-- where the expression itself fails, the rows are left out and told, beside the other faults
SELECT alter_source('dirty', payment_customer => 'btrim(who)::integer', payment_amount => '100 / total * total / 100 * total');
INSERT INTO bill VALUES ('1', '2025-11-01', NULL, 0);
SELECT count(*) FROM (SELECT customer, payments, late, overdue, usual_days_late FROM clean EXCEPT SELECT customer, payments, late, overdue, usual_days_late FROM dirty.payment_behaviour) x;
SELECT payments, late, overdue FROM dirty.payment_behaviour WHERE customer = '1';
SELECT finding, severity, rows, sample_keys FROM check_source_details('dirty') WHERE finding ~ 'payments' AND finding !~ 'year|after' ORDER BY finding COLLATE "C";
SELECT count(*) FROM dirty.due_actions('2025-12-31', 60);
SELECT drop_source('dirty');
-- amounts have the decimals of their column
CREATE TABLE debt (customer_id int, due_date date, paid_on date, a numeric(10, 3), b numeric, c float8, d int8);
INSERT INTO debt VALUES (1, '2025-11-01', NULL, 5, 7.50, 0.1, 3), (1, '2025-11-02', NULL, 2.5, 1, 0.2, 4);
SELECT count(*) FROM create_source('typed', 'customer', 'orders', amount => 'amount', as_of => '2025-12-31', payments => 'debt', payment_amount => 'a');
SELECT count(*) FROM refresh('typed');
SELECT overdue_amount FROM typed.payment_behaviour;
SELECT alter_source('typed', payment_amount => 'b');
SELECT overdue_amount FROM typed.payment_behaviour;
SELECT alter_source('typed', payment_amount => 'c');
SELECT overdue_amount FROM typed.payment_behaviour;
SELECT alter_source('typed', payment_amount => 'd');
SELECT overdue_amount FROM typed.payment_behaviour;
SELECT drop_source('typed');

-- readers see what the customer table shows them
CREATE ROLE regress_payments_reader;
GRANT USAGE ON SCHEMA test_payments, shop TO regress_payments_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop, test_payments TO regress_payments_reader;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON customer USING (id <= 10);
SET ROLE regress_payments_reader;
SELECT count(*) FROM shop.payment_behaviour;
SELECT count(DISTINCT customer) <= 10 AS few FROM shop.due_actions('2025-12-31', 365) WHERE action = 'payment_overdue';
RESET ROLE;
ALTER TABLE customer DISABLE ROW LEVEL SECURITY;
-- arguments
SELECT * FROM payment_behaviour('shop', NULL, 0);
SELECT * FROM payment_behaviour('shop', NULL, 180, 2);
SELECT alter_source('shop', payment_due => 'name');
SELECT alter_source('shop', payments => 'customer');
SELECT create_source('none', 'customer', 'orders', amount => 'amount', payment_due => 'x');
SELECT alter_source('shop', reset => '{payments}');
SELECT * FROM payment_behaviour('shop');
SELECT to_regclass('shop.payment_behaviour') IS NULL AS gone, count(*) FILTER (WHERE action = 'payment_overdue') FROM shop.due_actions('2025-12-31', 30);

SELECT drop_source('shop'), drop_source('own');
DROP SCHEMA test_payments CASCADE;
DROP ROLE regress_payments_reader;
