-- Questions to the views of a source: the same answers from workers, plans that know how frequent labels are
SET client_min_messages = warning;
SET jit = off;
CREATE TABLE shopper (id integer PRIMARY KEY);
CREATE TABLE bought (shopper integer, day date, total numeric(9,2), cost numeric(9,2));
INSERT INTO shopper SELECT generate_series(1, 3000);
SELECT setseed(0.25);
INSERT INTO bought SELECT 1 + floor(2700 * random() ^ 2.5), date '2023-01-01' + floor(1000 * random())::integer, a, CASE WHEN random() < 0.8 THEN round(a * 0.6, 2) END
	FROM (SELECT round((exp(3 + random()))::numeric, 2) AS a FROM generate_series(1, 20000)) a;
-- refunds alone, nobody's orders, customers whom the table does not have
INSERT INTO bought VALUES (2950, '2024-05-05', -7.5, NULL), (NULL, '2024-05-06', 33.3, 20), (4000, '2024-05-07', 44.4, 30), (2951, '2025-08-01', -1, NULL);
SELECT count(*) FROM crm_profile.create_source('q', 'shopper', 'bought', order_customer => 'shopper', amount => 'total', cost => 'cost', as_of => '2025-09-27');
SELECT crm_profile.refresh('q') IS NOT NULL AS refreshed;

CREATE FUNCTION answer(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(a::text, E''\n'' ORDER BY a::text COLLATE "C")) FROM (%s) a', question) INTO answer;
	RETURN answer;
END $$;
CREATE FUNCTION workers(question text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	line text;
	planned bigint := 0;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
		planned := planned + (line ~ 'Workers Planned')::integer;
	END LOOP;
	RETURN planned;
END $$;
CREATE TABLE question (place serial, what text, query text);
INSERT INTO question (what, query) VALUES ('profile', 'SELECT * FROM q.customer_profile'), ('today', 'SELECT segment, lifecycle, value_tier, predicted_tier, count(*), sum(monetary) FROM q.customer_profile GROUP BY 1, 2, 3, 4'),
	('past', 'SELECT segment, count(*) FROM q.profile_as_of(''2024-12-31'') GROUP BY 1'), ('summary', 'SELECT * FROM q.segment_summary_details'), ('grid', 'SELECT * FROM q.rfm_grid'), ('calendar', 'SELECT * FROM q.purchase_calendar'),
	('forecast', 'SELECT * FROM q.revenue_forecast'), ('migration', 'SELECT * FROM q.segment_migration'), ('cohorts', 'SELECT * FROM q.cohort_value'), ('again', 'SELECT * FROM q.second_purchase'), ('concentration', 'SELECT * FROM q.value_concentration'),
	('due', 'SELECT * FROM q.due_actions(''2025-06-01'', 30)'), ('cards', 'SELECT * FROM crm_profile.segment_card(''q'')'), ('report', 'SELECT crm_profile.report(''q'')');
SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS SELECT what, answer(query) FROM question;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT what, answer(query) = answer AS same FROM question JOIN serial USING (what) ORDER BY place;
-- functions in PL/pgSQL plan by themselves
SELECT what, workers(query) > 0 AS by_workers FROM question WHERE what IN ('profile', 'today', 'past', 'summary', 'grid', 'calendar', 'forecast', 'due') ORDER BY place;
RESET ALL;
SET client_min_messages = warning;
SET jit = off;

-- the sums of the forecast are those of the customers, one by one
SELECT round(f.expected, 2) = round(s.expected, 2) AS expected, f.last_year = s.last_year AS last_year
FROM q.revenue_forecast f, (SELECT sum(round((crm_profile.expected_purchases(h.history, m.clv, '2025-09-27', '90 days') * crm_profile.expected_value(h.history, m.clv, '2025-09-27', true))::numeric, 6)) AS expected,
		sum(crm_profile.monetary(h.history, '2024-12-26', '90 days')) FILTER (WHERE crm_profile.first_purchase(h.history, '2025-09-27') <= '2024-09-27') AS last_year
	FROM q.customer_history h, q.model_in_use m) s WHERE f.part = 'customers so far';
SELECT count(*) AS differences FROM q.purchase_calendar c FULL JOIN (
	SELECT date_trunc('month', day)::date AS month, extract(isodow FROM day)::integer AS weekday, count(*) FILTER (WHERE total >= 0) AS orders, sum(total) AS amount FROM bought WHERE day <= '2025-09-27' GROUP BY 1, 2) b USING (month, weekday)
WHERE (c.orders, c.amount) IS DISTINCT FROM (b.orders, b.amount);

-- rows that the planner expects, over those there are
CREATE FUNCTION expected(question text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
	found bigint;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || question INTO plan;
	EXECUTE format('SELECT count(*) FROM (%s) q', question) INTO found;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8 / NULLIF(found, 0);
END $$;
ANALYZE shopper;
CREATE TABLE condition AS SELECT DISTINCT format('%I = %L', l.kind, l.label) AS condition FROM q.customer_profile p, LATERAL (VALUES ('segment', p.segment), ('lifecycle', p.lifecycle), ('value_tier', p.value_tier), ('predicted_tier', p.predicted_tier)) l(kind, label)
	WHERE l.label IS NOT NULL GROUP BY l.kind, l.label HAVING count(*) >= 30
UNION ALL VALUES ('segment IN (''Champions'', ''Loyal'')'), ('lifecycle <> ''inactive'''), ('segment IS NULL'), ('value_tier IS NOT NULL');
SELECT count(*) > 15 AS several, count(*) FILTER (WHERE e.ratio BETWEEN 0.5 AND 2) = count(*) AS within_twice, string_agg(c.condition || ' ' || e.ratio, ', ') FILTER (WHERE e.ratio NOT BETWEEN 0.5 AND 2 OR e.ratio IS NULL) AS others
FROM condition c, LATERAL (SELECT round(expected('SELECT * FROM q.customer_profile WHERE ' || c.condition)::numeric, 2) AS ratio) e;
-- a condition that wants some segments asks for these alone, and finds the same customers
CREATE FUNCTION found(profiles text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format('SELECT concat(count(*), '' '', sum(monetary)) FROM %s p WHERE %s', profiles, condition) INTO found;
	RETURN found;
END $$;
CREATE FUNCTION asks(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN SELECT segment, monetary FROM q.customer_profile p WHERE ' || condition LOOP
		found := found OR line ~ 'segment_among';
	END LOOP;
	RETURN found;
END $$;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE wanted (place serial, condition text);
INSERT INTO wanted (condition) VALUES ('segment = ''no such'''), ('''Champions'' = segment'), ('segment IN (''Champions'', ''Loyal'')'), ('segment = ANY (''{Champions,NULL,no such}'')'), ('segment IN (''At Risk'', ''Lost'') AND lifecycle <> ''inactive'''), ('segment = ''Champions'' AND recency > 5'),
	('segment <> ''Champions'''), ('segment NOT IN (''Champions'', ''Loyal'')'), ('segment = ''Champions'' OR recency > 300'), ('segment LIKE ''Champ%'''), ('segment COLLATE any_case = ''champions'''), ('segment = NULL'), ('segment = initcap(''champions'') || left(cell, 0)');
SELECT count(*) > 5 AS segments, bool_and(found('q.customer_profile', c.condition) = found('(SELECT * FROM q.customer_profile OFFSET 0)', c.condition)) AS same, bool_and(asks(c.condition)) AS asks FROM (SELECT DISTINCT format('segment = %L', segment) FROM q.customer_profile WHERE segment IS NOT NULL) c(condition);
SELECT condition, asks(condition), found('q.customer_profile', condition) = found('(SELECT * FROM q.customer_profile OFFSET 0)', condition) AS same, found('q.customer_profile', condition) <> '0 ' AS some FROM wanted ORDER BY place;
SELECT count(*) AS differences FROM (SELECT crm_profile_internal.segment_among(h.history, m.rfm, '2025-09-27', m.segments, m.active_days, m.clv, ARRAY[p.segment, 'Champions']::text[]) AS among, p.segment FROM q.customer_profile p JOIN q.customer_history h USING (customer), q.model_in_use m) a WHERE among IS DISTINCT FROM segment;
-- figures that do not decide the order are computed for the rows that a LIMIT leaves, not for those that are sorted
CREATE FUNCTION sorted(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	within boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS off) ' || question LOOP
		IF within AND line ~ 'Output: ' THEN
			RETURN (SELECT string_agg(DISTINCT m[1], ', ' ORDER BY m[1]) FROM regexp_matches(line, 'crm_profile(?:_internal)?\.(\w+)\(', 'g') m);
		END IF;
		within := within OR line ~ '->  (Incremental )?Sort';
	END LOOP;
END $$;
SELECT sorted('SELECT * FROM q.customer_profile ORDER BY clv_365d DESC NULLS LAST LIMIT 10') AS best, sorted('SELECT * FROM q.customer_profile ORDER BY monetary DESC NULLS LAST LIMIT 10') AS richest,
	sorted('SELECT * FROM q.profile_as_of(''2024-12-31'') ORDER BY recency LIMIT 10') AS latest;
-- where histories and customers are many (here the planner is told so), both are read in the order of their keys; a
-- table of somebody else's is joined as the planner likes
CREATE FUNCTION joins(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	kinds text[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
		kinds := kinds || coalesce((regexp_match(line, '(Merge|Hash)(?: \w+)* Join'))[1], (regexp_match(line, '\((KeyJoin)\)'))[1]);
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT k, ', ' ORDER BY k) FROM unnest(kinds) k);
END $$;
CREATE TABLE visited AS SELECT id AS shopper FROM shopper;
ANALYZE visited;
CREATE TABLE joined (place serial, query text);
INSERT INTO joined (query) VALUES ('SELECT * FROM q.customer_profile'), ('SELECT count(*) FROM q.customer_profile WHERE value_tier = ''A'''), ('SELECT * FROM q.segment_summary_details'),
	('SELECT p.* FROM q.customer_profile p JOIN visited v ON v.shopper = p.customer');
CREATE TABLE few AS SELECT place, joins(query), answer(query) FROM joined;
UPDATE pg_class SET relpages = 1, reltuples = 100000 WHERE oid IN ('shopper'::regclass, 'q.customer_history'::regclass, 'visited'::regclass);
SELECT f.place, f.joins AS few, CASE WHEN j.query LIKE '%visited%' THEN (regexp_match(joins(j.query), 'Hash'))[1] ELSE joins(j.query) END AS many, answer(j.query) = f.answer AS same FROM joined j JOIN few f USING (place) ORDER BY place;
SHOW enable_hashjoin;
-- so does the first query of a session
\c -
SET client_min_messages = warning;
SET jit = off;
SELECT joins('SELECT sum(monetary) FROM q.customer_profile') AS first;
ANALYZE shopper;
-- also in a new session, and where profiles are stored
SELECT crm_profile.alter_source('q', materialize => true);
SELECT count(*) FILTER (WHERE e.ratio BETWEEN 0.5 AND 2) = count(*) AS within_twice FROM condition c, LATERAL (SELECT expected('SELECT * FROM q.customer_profile WHERE ' || c.condition) AS ratio) e;
CREATE TABLE stored AS SELECT what, answer(query) FROM question;
SELECT what, s.answer = c.answer AS same FROM stored s JOIN serial c USING (what) JOIN question USING (what) WHERE what <> 'report' ORDER BY place;
-- the highest and a tier come from an index, wherever NULLs are wanted
SET enable_seqscan = off;
CREATE FUNCTION by_index(question text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
		found := found OR line ~ 'Index.* stored_profile_';
	END LOOP;
	RETURN found;
END $$;
SELECT by_index('SELECT * FROM q.customer_profile ORDER BY clv_365d DESC LIMIT 10') AS highest, by_index('SELECT * FROM q.customer_profile ORDER BY clv_365d DESC NULLS LAST LIMIT 10') AS nulls_last, by_index('SELECT count(*) FROM q.customer_profile WHERE value_tier = ''A''') AS tier;
RESET ALL;
-- readers see none of the sample
SELECT relrowsecurity FROM pg_class WHERE oid = 'q.label_sample'::regclass;
SELECT crm_profile.drop_source('q');
DROP TABLE shopper, bought, question, serial, stored, condition, visited, joined, few, wanted;
