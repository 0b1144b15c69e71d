-- The computations of views are in functions, which are inlined into the query that reads the view; a history is read once
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
SET extra_float_digits = 0;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA trade;
SET search_path = trade;
CREATE TABLE client (id int PRIMARY KEY, region text);
CREATE TABLE sale (client int, day date, total numeric(9,2), cost numeric(9,2));
INSERT INTO client SELECT i, 'r' || i % 3 FROM generate_series(1, 300) i;
INSERT INTO sale SELECT 1 + i * 7907 % 1009 % 280, date '2024-01-01' + i * 7 % 700, (i * 37 % 1000) / 10.0 - CASE WHEN i % 23 = 0 THEN 110 ELSE 0 END, CASE WHEN i % 3 > 0 THEN i % 40 END
	FROM generate_series(1, 3000) i;
-- too long to be remembered
INSERT INTO sale SELECT 290, date '2015-01-01' + i, 1000000.01 + i, i FROM generate_series(1, 3900) i;
SELECT count(*) FROM crm_profile.create_source('t', 'client', 'sale', order_customer => 'client', amount => 'total', cost => 'cost', as_of => '2025-12-01', period => '1 year', attributes => '{region}');

-- ---------------------------------------------------------------- before the first refresh
SELECT count(*), count(p.segment), count(p.lifecycle), min(p.as_of) FROM t.customer_profile p;
SELECT (SELECT count(*) FROM t.model_card_details) AS card, (SELECT count(*) FROM t.model_holdout) AS holdout, (SELECT sum(customers) FROM t.segment_summary) AS customers, (SELECT count(*) FROM t.rfm_grid) AS cells;
SELECT orders, customers FROM crm_profile.refresh('t');

-- ---------------------------------------------------------------- a history is read once: the same answers as from one function alone
CREATE VIEW newest AS SELECT * FROM t.model_in_use;
CREATE FUNCTION differ(expression text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	found bigint;
BEGIN
	-- OFFSET 0: this expression alone, for one history after the other
	EXECUTE format('SELECT count(*) FROM (SELECT h.customer, (%s)::text AS alone FROM t.customer_history h, newest m OFFSET 0) a JOIN shown s USING (customer) WHERE a.alone IS DISTINCT FROM (s.shown ->> %L)', expression, expression)
		INTO found;
	RETURN found;
END $$;
CREATE TABLE expression (n int, e text);
INSERT INTO expression SELECT row_number() OVER (), e FROM unnest(ARRAY['crm_profile.first_purchase(h.history)', 'crm_profile.first_purchase(h.history, ''2024-12-01'')',
	'crm_profile.last_purchase(h.history, ''2024-12-01'')', 'crm_profile.recency(h.history, ''2025-12-01'')', 'crm_profile.frequency(h.history, ''2025-12-01'', ''1 year'')',
	'crm_profile.frequency(h.history, ''2025-12-01'')', 'crm_profile.monetary(h.history, ''2025-12-01'', ''1 year'')', 'crm_profile.monetary(h.history)', 'crm_profile.profit(h.history, ''2025-12-01'', ''1 year'')',
	'crm_profile.profit(h.history, ''2024-03-01'')', 'crm_profile.average_order_value(h.history, ''2025-12-01'')', 'crm_profile.mean_gap(h.history, ''2025-12-01'')', 'crm_profile.gap_stddev(h.history, ''2025-12-01'')',
	'crm_profile.trend(h.history, ''2025-12-01'', ''1 year'')', 'crm_profile.trend(h.history, ''2025-12-01'', ''90 days'')', 'crm_profile.monthly_purchases(h.history)', 'crm_profile.cost_coverage(h.history)',
	'crm_profile.purchase_pattern(h.history, m.rfm, ''2025-12-01'')', 'crm_profile.rfm_score(h.history, m.rfm, ''2025-12-01'')', 'crm_profile.rfm_score(h.history, m.rfm, ''2025-06-01'')',
	'crm_profile.rfm_score(h.history, ''{"bins": 3, "recency": [10, 50], "frequency": [2, 5], "monetary": [50, 500]}'', ''2025-12-01'')',
	'crm_profile.lifecycle(h.history, ''2025-12-01'', m.active_days, m.clv)', 'crm_profile.lifecycle(h.history, ''2025-12-01'', 30)', 'crm_profile.lapse_probability(h.history, m.clv, ''2025-12-01'')',
	'crm_profile.p_alive(h.history, m.clv, ''2025-12-01'')', 'crm_profile.p_alive(h.history, m.clv, ''2025-06-01'')', 'crm_profile.p_alive(h.history, ''{"model": "pareto/nbd", "parameters": [0.5, 10, 0.6, 11]}'', ''2025-12-01'')',
	'crm_profile.p_alive(h.history, ''{"model": "bg/nbd", "parameters": [0.5, 10, 0.6, 11]}'', ''2025-12-01'')', 'crm_profile.expected_purchases(h.history, m.clv, ''2025-12-01'', ''90 days'')',
	'crm_profile.expected_purchases(h.history, m.clv, ''2025-12-01'', ''1 year'')', 'crm_profile.clv(h.history, m.clv, ''2025-12-01'', ''365 days'', 0.01)', 'crm_profile.clv(h.history, m.clv, ''2025-12-01'', ''365 days'', 0)',
	'crm_profile.clv(h.history, m.clv, ''2025-12-01'', ''90 days'', 0.01)', 'crm_profile.next_purchase(h.history, m.clv, ''2025-12-01'')', 'crm_profile.expected_value(h.history, m.clv, ''2025-12-01'')',
	'crm_profile.clv_log_likelihood(h.history, m.clv, ''2025-12-01'')', 'crm_profile.first_purchase(h.history) - crm_profile.first_purchase(''{2000-01-01: 1}'')']) e;
-- all of them side by side, and again in reverse order, so that each meets what others left behind
SELECT format('CREATE TABLE shown AS SELECT h.customer, jsonb_object_agg(x.e, x.v ORDER BY x.n) AS shown FROM t.customer_history h, newest m, LATERAL (VALUES %s) x(n, e, v) GROUP BY h.customer',
	string_agg(format('(%s, %L, (%s)::text)', n, e, e), ', ' ORDER BY n)) FROM expression \gexec
SELECT count(*) AS customers, (SELECT count(*) FROM expression) AS expressions FROM shown;
SELECT e, differ(e) FROM expression WHERE differ(e) > 0;
DROP TABLE shown;
SELECT format('CREATE TABLE shown AS SELECT h.customer, jsonb_object_agg(x.e, x.v ORDER BY x.n) AS shown FROM t.customer_history h, newest m, LATERAL (VALUES %s) x(n, e, v) GROUP BY h.customer',
	string_agg(format('(%s, %L, (%s)::text)', n, e, e), ', ' ORDER BY n DESC)) FROM expression \gexec
SELECT e, differ(e) FROM expression WHERE differ(e) > 0;
-- two histories in turn, against plain SQL
SELECT count(*) AS pairs, count(*) FILTER (WHERE (crm_profile.monetary(a.history, '2025-12-01'), crm_profile.monetary(b.history, '2025-12-01'), crm_profile.frequency(a.history, '2025-12-01', '1 year'),
		crm_profile.frequency(b.history, '2025-12-01', '1 year'), crm_profile.mean_gap(a.history, '2025-12-01'))
	IS DISTINCT FROM (x.monetary, y.monetary, x.frequency, y.frequency, x.mean_gap)) AS differences
FROM t.customer_history a JOIN t.customer_history b ON b.customer = a.customer + 1,
	LATERAL (SELECT sum(total) AS monetary, count(*) FILTER (WHERE total >= 0 AND day > date '2024-12-01') AS frequency,
		(max(day) FILTER (WHERE total >= 0) - min(day) FILTER (WHERE total >= 0))::float8 / NULLIF(count(DISTINCT day) FILTER (WHERE total >= 0) - 1, 0) AS mean_gap FROM sale WHERE client = a.customer) x,
	LATERAL (SELECT sum(total) AS monetary, count(*) FILTER (WHERE total >= 0 AND day > date '2024-12-01') AS frequency FROM sale WHERE client = b.customer) y;
-- an error does not affect the next call, and the history before it is not wrongly remembered
SELECT crm_profile.monetary(history, '2025-12-01', interval '-1 day') FROM t.customer_history WHERE customer = 5;
SELECT crm_profile.monetary(history, '2025-12-01', interval '1 year') = (SELECT monetary FROM t.customer_profile WHERE customer = 5) AS right FROM t.customer_history WHERE customer = 5;

-- ---------------------------------------------------------------- the new columns
SELECT count(*) AS differences FROM t.customer_profile p JOIN t.segment_summary_details s USING (segment), newest m, crm_profile.segments(m.segments) l
WHERE l.segment = p.segment AND (p.segment_position IS DISTINCT FROM l.position OR p.as_of <> '2025-12-01');
SELECT DISTINCT as_of FROM t.profile_as_of('2025-03-01');
-- tenths by value, against ranks in plain SQL: equal amounts share one, and so do all customers worth nothing
SELECT count(*) > 100 AS enough, count(DISTINCT value_decile) AS deciles, count(*) FILTER (WHERE value_decile IS DISTINCT FROM 1 + 10 * (rank - 1) / buyers) AS differences
FROM (SELECT value_decile, monetary, rank() OVER (ORDER BY greatest(monetary, 0) DESC) AS rank, count(*) OVER () AS buyers FROM t.customer_profile WHERE last_purchase IS NOT NULL) p;
-- ten buyers, four of whom are worth nothing: they share the seventh tenth
SELECT f.deciles, crm_profile_internal.value_decile('{2025-01-01: 0}', '2025-12-31', false, f.deciles) AS nothing,
	crm_profile_internal.value_decile('{2025-01-01: 0, 2025-01-02: -5}', '2025-12-31', false, f.deciles) AS less, crm_profile_internal.value_decile('{2025-01-01: 60}', '2025-12-31', false, f.deciles) AS best
FROM (SELECT (crm_profile.customer_base_fit(('{2025-01-01: ' || greatest(i * 10, 0) || '}')::crm_profile.purchase_history, '2025-12-31', NULL, false)).deciles FROM generate_series(-3, 6) i) f;

-- what the view asks straight of a history is what the functions give one after the other
SELECT count(*) > 1000 AS thousands, count(*) FILTER (WHERE bought) > 500 AS bought, count(*) FILTER (WHERE tier IS DISTINCT FROM tier_of OR tier_in IS DISTINCT FROM tier_of_in) AS tiers,
	count(*) FILTER (WHERE decile IS DISTINCT FROM decile_of OR decile_in IS DISTINCT FROM decile_of_in) AS deciles
FROM (SELECT h.history OPERATOR(crm_profile.||) x.extra AS h, d.day, p.by_profit, a.a_from, a.b_from, interval '5 months' AS period FROM t.customer_history h,
		(VALUES (crm_profile.purchase_history '{2024-10-01: 50.25 (1 orders, cost 31.123456 of 40.5)}'), ('{2025-03-01: -10 (0 orders)}'), ('{2025-02-01: 92233720368547758, 2025-02-02: 92233720368547758}')) x(extra),
		unnest(ARRAY[date '2024-03-01', '2025-03-15']) d(day), unnest(ARRAY[false, true]) p(by_profit),
		(VALUES (500::numeric, 99.5::numeric), ('Infinity', 0.123456789), ('NaN', '-Infinity'), (150000000000000000, 1e17)) a(a_from, b_from) WHERE h.customer <= 40) q,
	LATERAL (SELECT CASE WHEN by_profit THEN crm_profile.profit(h, day) ELSE crm_profile.monetary(h, day) END AS value, CASE WHEN by_profit THEN crm_profile.profit(h, day, period) ELSE crm_profile.monetary(h, day, period) END AS value_in,
		ARRAY[b_from - 7, b_from, b_from + 0.0000001, a_from] AS bounds, crm_profile.last_purchase(h, day) IS NOT NULL AS bought) v,
	LATERAL (SELECT crm_profile_internal.value_tier(h, day, by_profit, a_from, b_from) AS tier, crm_profile.value_tier(value, a_from, b_from) AS tier_of,
		crm_profile_internal.value_tier(h, day, by_profit, a_from, b_from, period) AS tier_in, crm_profile.value_tier(value_in, a_from, b_from) AS tier_of_in,
		crm_profile_internal.value_decile(h, day, by_profit, bounds) AS decile, 5 - width_bucket(value, bounds) AS decile_of,
		crm_profile_internal.value_decile(h, day, by_profit, bounds, period) AS decile_in, 5 - width_bucket(value_in, bounds) AS decile_of_in) w;
SELECT count(*) > 100 AS enough, count(*) FILTER (WHERE crm_profile_internal.segment_position(h.history, m.rfm, d.day, m.segments, m.active_days, m.clv)
			IS DISTINCT FROM crm_profile_internal.segment_position(crm_profile.rfm_score(h.history, m.rfm, d.day), m.segments, crm_profile.lifecycle(h.history, d.day, m.active_days, m.clv), NULL)) AS positions,
	count(*) FILTER (WHERE crm_profile_internal.expected_purchases(h.history, m.clv, d.day, 45) IS DISTINCT FROM crm_profile.expected_purchases(h.history, m.clv, d.day, interval '45 days')
		OR crm_profile_internal.probability_of_purchase(h.history, m.clv, d.day, 45) IS DISTINCT FROM crm_profile.probability_of_purchase(h.history, m.clv, d.day, interval '45 days')) AS predictions
FROM t.customer_history h, newest m, unnest(ARRAY[date '2024-03-01', '2025-03-15', '2025-12-01']) d(day);

-- ---------------------------------------------------------------- plans
CREATE FUNCTION plan(query text, pattern text) RETURNS TABLE (lines bigint) LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	lines := 0;
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		lines := lines + (line ~ pattern)::int;
	END LOOP;
	RETURN NEXT;
END $$;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
-- a customer is found by index in both tables
SELECT plan('SELECT * FROM t.customer_profile WHERE customer = 5', 'Index (Only )?Scan using (client_pkey|customer_history_key)') AS indexes;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- functions are inlined: no function scan; unused columns are not computed, and no models read for them
SELECT plan('SELECT * FROM t.customer_profile', 'Function Scan on .*figures|Subquery Scan') AS scans, plan('SELECT * FROM t.customer_profile', 'crm_profile\.expected_purchases') > 0 AS asked,
	plan('SELECT customer, recency FROM t.customer_profile', 'InitPlan|monetary|rfm|clv') AS unasked, plan('SELECT segment FROM t.customer_profile', 'InitPlan') > 0 AS models,
	plan('SELECT segment FROM t.customer_profile', 'expected_purchases|monetary') AS others;
SELECT plan('SELECT count(*) FROM t.profile_as_of(''2025-03-01'') WHERE customer = 5', 'Function Scan on .*figures|InitPlan') AS as_of;
-- the same for views of today, without as_of
SELECT crm_profile.alter_source('t', reset => '{as_of}');
SELECT plan('SELECT * FROM t.customer_profile', 'Function Scan on .*figures|Subquery Scan') AS scans, plan('SELECT customer, recency FROM t.customer_profile', 'monetary|rfm|clv') AS unasked,
	plan('SELECT * FROM t.segment_persona', 'Function Scan on .*figures') AS persona;
SELECT crm_profile.alter_source('t', as_of => '2025-12-01');
-- CREATE OR REPLACE of the function is enough
SELECT p.prosrc = '' AS atomic, p.provolatile, p.proisstrict, p.proconfig FROM pg_proc p WHERE p.oid IN ('crm_profile_internal.customer_figures'::regproc, 'crm_profile_internal.segment_step'::regproc, 'crm_profile_internal.prospect_figures'::regproc);

-- ---------------------------------------------------------------- rights
CREATE ROLE regress_crm_reader;
CREATE ROLE regress_crm_some;
CREATE ROLE regress_crm_none;
GRANT USAGE ON SCHEMA t, trade TO regress_crm_reader, regress_crm_some;
GRANT SELECT ON trade.client TO regress_crm_reader, regress_crm_some;
GRANT SELECT ON ALL TABLES IN SCHEMA t TO regress_crm_reader;
GRANT SELECT (customer, segment) ON t.customer_profile TO regress_crm_some, regress_crm_none;
GRANT SELECT ON t.customer_history, t.model_in_use TO regress_crm_some;
CREATE VIEW rights AS SELECT c.relname, x.grantee::regrole::text AS grantee, x.privilege_type, x.is_grantable, NULL AS attname FROM pg_class c, aclexplode(c.relacl) x WHERE c.relnamespace = 't'::regnamespace AND x.grantee <> c.relowner
	UNION ALL SELECT a.attrelid::regclass::text, x.grantee::regrole::text, x.privilege_type, x.is_grantable, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, aclexplode(a.attacl) x WHERE c.relnamespace = 't'::regnamespace;
CREATE TABLE rights_before AS SELECT * FROM rights;
SELECT crm_profile.alter_source('t', materialize => true);
SELECT * FROM rights EXCEPT SELECT * FROM rights_before ORDER BY 2, 1;
-- PostgreSQL checks rights on everything the view reads, whichever columns are selected: nobody sees more than before
SET ROLE regress_crm_reader;
SELECT count(*), count(segment) FROM t.customer_profile;
SET ROLE regress_crm_some;
SELECT count(customer), count(segment) FROM t.customer_profile;
SELECT count(monetary) FROM t.customer_profile;
RESET ROLE;
SELECT crm_profile.alter_source('t', scheme => 'rf', prospects => 'client', prospect_customer => 'id');
SELECT * FROM crm_profile_internal.rebuild_source('t');
SELECT crm_profile.alter_source('t', materialize => false, reset => '{prospects,prospect_key,prospect_customer}');
SELECT 'gone' AS what, * FROM (SELECT * FROM rights_before EXCEPT SELECT * FROM rights) x UNION ALL SELECT 'come', * FROM (SELECT * FROM rights EXCEPT SELECT * FROM rights_before) x;
-- nobody rebuilds another user's views
SET ROLE regress_crm_reader;
SELECT * FROM crm_profile_internal.rebuild_source('t');
RESET ROLE;
-- a refresh rebuilds missing views
BEGIN;
DROP VIEW t.customer_profile CASCADE;
SELECT customers FROM crm_profile.refresh('t');
SELECT count(*), count(as_of) FROM t.customer_profile;
SELECT sum(customers) FROM t.segment_summary;
ROLLBACK;

-- ---------------------------------------------------------------- models at the limits of floating point
CREATE FUNCTION extreme(change jsonb) RETURNS TABLE (lines bigint, unshown bigint, customers numeric, shares boolean) LANGUAGE plpgsql AS $$
DECLARE
	changed crm_profile.source_model;
BEGIN
	SELECT m.* INTO changed FROM t.model_in_use m;
	DELETE FROM t.model_in_use;
	INSERT INTO t.model_in_use SELECT (jsonb_populate_record(changed, change)).*;
	RETURN QUERY SELECT (SELECT count(*) FROM t.model_card_details), (SELECT count(*) FROM t.model_card_details c WHERE c.value IS NULL AND c.number IS NOT NULL), (SELECT sum(s.customers) FROM t.segment_summary s),
		(SELECT bool_and(s.predicted_value_share IS NULL OR s.predicted_value_share BETWEEN 0 AND 1) FROM t.segment_summary_details s);
	PERFORM count(p.*::text) FROM t.customer_profile p;
END $$;
SELECT * FROM extreme('{"predicted_a_from": 1e-300, "predicted_b_from": 5e-324, "a_from": 1e-66, "fit_share": 1e-66}');
SELECT item, value, number FROM t.model_card_details WHERE item IN ('predicted tier A from', 'predicted tier B from', 'tier A from', 'share fitted');
SELECT * FROM extreme('{"predicted_a_from": 1.7e308, "predicted_b_from": "Infinity", "a_from": 1e300, "b_from": 123456789012345678}');
SELECT item, value FROM t.model_card_details WHERE item IN ('predicted tier A from', 'predicted tier B from', 'tier A from', 'tier B from');
SELECT * FROM extreme('{"rfm": null, "clv": null, "holdout": null, "holdout_share": null, "a_from": null, "b_from": null, "predicted_a_from": null, "predicted_b_from": null}');
SELECT * FROM extreme('{"clv": {"model": "mbg/nbd", "parameters": [1e-19, 1e19, 1e-19, 1e19], "spend_status": "given", "spend_parameters": [2, 2, 1e-19]}}');
SELECT * FROM extreme('{"clv": {"model": "bg/nbd", "parameters": [1e19, 1e-19, 1e19, 1e-19], "spend_status": "given", "spend_parameters": [1e9, 1.0000001, 1e19]}}');
SELECT * FROM extreme('{"clv": {"model": "pareto/nbd", "parameters": [30, 0.01, 30, 0.01], "unit_days": 0.05}}');
SELECT * FROM extreme('{"clv": {"model": "mbg/nbd", "parameters": [1e-20, 1e20, 1e-20, 1e20], "regularity": 12}, "active_days": 1}');
SELECT crm_profile_internal.short_number(v) FROM unnest('{0, 1, -3, 0.1, 1e-66, -1e-320, 123456.789, 1e15, 1e31, -1e308, NaN, Infinity, NULL}'::float8[]) v;
SELECT crm_profile_internal.as_double(v) FROM unnest('{0, 1e-66, 1e-310, 1e400, -1e400, NULL}'::numeric[]) v;

DROP VIEW newest, rights CASCADE;
SELECT crm_profile.drop_source('t');
DROP SCHEMA trade CASCADE;
DROP ROLE regress_crm_reader;
DROP ROLE regress_crm_some;
DROP ROLE regress_crm_none;
