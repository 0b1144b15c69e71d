-- Parallel and partition-wise plans give the serial plan's bytes
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_parallel;
SET search_path = history_parallel, crm_profile, public;
\i :load

\set fixture :abs_srcdir '/fixtures/plan_of.sql'
\i :fixture
-- whether the executed plan has a matching line
CREATE FUNCTION in_plan(query text, word text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_or(line ~ word) FROM plan_of(query, 'ANALYZE, COSTS OFF, TIMING OFF') line $$;

-- the same rows twice: in partitions by customer, and in partitions that each hold a part of every customer's rows
CREATE TABLE purchase (customer int, team int, ordered_at timestamptz, amount numeric, cost numeric) PARTITION BY HASH (customer);
CREATE TABLE purchase_0 PARTITION OF purchase FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE purchase_1 PARTITION OF purchase FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE purchase_2 PARTITION OF purchase FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE by_month (LIKE purchase) PARTITION BY RANGE (ordered_at);
CREATE TABLE by_month_1 PARTITION OF by_month FOR VALUES FROM (MINVALUE) TO ('2011-04-01');
CREATE TABLE by_month_2 PARTITION OF by_month FOR VALUES FROM ('2011-04-01') TO ('2011-08-01');
CREATE TABLE by_month_3 PARTITION OF by_month FOR VALUES FROM ('2011-08-01') TO (MAXVALUE);
INSERT INTO purchase SELECT customer, customer % 40, ordered_at AT TIME ZONE 'Europe/London', amount,
	CASE WHEN order_id NOT LIKE '%7' THEN round(amount * 0.7, customer % 4) END FROM orders WHERE customer IS NOT NULL;
INSERT INTO by_month SELECT * FROM purchase;
ANALYZE purchase;
ANALYZE by_month;

\set aggregates 'purchase_history_agg(ordered_at, amount, cost) AS costed, purchase_history_agg(ordered_at::date, amount) AS plain, purchase_history_agg(ordered_at::timestamp, amount) AS stamped FROM'
\set of_customers 'SELECT customer AS key, ' :aggregates ' purchase GROUP BY customer'
\set of_teams 'SELECT team AS key, ' :aggregates ' by_month GROUP BY team'
\set of_histories 'SELECT team AS key, purchase_history_merge_agg(costed) AS costed, purchase_history_merge_agg(plain) AS plain, purchase_history_merge_agg(stamped) AS stamped FROM serial GROUP BY team'
CREATE TABLE result (plan text, key int, costed purchase_history, plain purchase_history, stamped purchase_history);
SET TimeZone = 'America/St_Johns';

-- serial: the reference for the others
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = off;
SELECT in_plan(:'of_customers', 'Partial') AS customers_in_parts, in_plan(:'of_teams', 'Partial') AS teams_in_parts;
CREATE TABLE serial AS SELECT key AS customer, key % 40 AS team, costed, plain, stamped FROM (:of_customers) x;
CREATE TABLE serial_team AS :of_teams;
ANALYZE serial;
SELECT count(*), count(*) FILTER (WHERE costed = plain) AS without_costs FROM serial;

-- partition by partition: customers whole (the key is the partitions'), teams in parts (it is not)
SET enable_partitionwise_aggregate = on;
SELECT in_plan(:'of_customers', '^  ->  (Hash|Group)Aggregate') AS customers_by_partition, in_plan(:'of_teams', 'Partial (Hash|Group)Aggregate') AS teams_in_parts;
INSERT INTO result SELECT 'partition-wise, customers', * FROM (:of_customers) x;
INSERT INTO result SELECT 'partition-wise, teams', * FROM (:of_teams) x;

-- parallel: workers without the leader, so that every row goes through a worker's state
SET enable_partitionwise_aggregate = off;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT in_plan(:'of_teams', 'Partial (Hash|Group)Aggregate') AS teams_in_parts, in_plan(:'of_teams', 'Workers Launched: [12]') AS launched,
	in_plan(:'of_histories', 'Partial (Hash|Group)Aggregate') AS histories_in_parts, in_plan(:'of_histories', 'Workers Launched: [12]') AS launched;
CREATE TABLE parallel AS :of_teams;
INSERT INTO result SELECT 'parallel, teams', * FROM parallel;
CREATE TABLE parallel_merge AS :of_histories;
INSERT INTO result SELECT 'parallel, histories', * FROM parallel_merge;

-- both at once, with sorting instead of hashing
SET enable_partitionwise_aggregate = on;
SET enable_hashagg = off;
SELECT in_plan(:'of_teams', 'Partial GroupAggregate') AS teams_in_parts, in_plan(:'of_teams', 'Workers Launched: [12]') AS launched;
CREATE TABLE sorted AS :of_teams;
INSERT INTO result SELECT 'parallel and sorted, teams', * FROM sorted;
RESET enable_hashagg;

SELECT plan, count(*) AS groups,
	count(*) FILTER (WHERE r.costed <> s.costed OR r.plain <> s.plain OR r.stamped <> s.stamped) AS different
FROM result r JOIN (SELECT 'customers' AS of, customer AS key, costed, plain, stamped FROM serial UNION ALL SELECT 'teams', * FROM serial_team) s
	ON r.key = s.key AND (plan LIKE '%customers') = (of = 'customers')
GROUP BY plan ORDER BY plan COLLATE "C";

-- one state for all rows, longer than a page
CREATE TABLE one AS SELECT purchase_history_agg(ordered_at + i * interval '1 year', amount, cost) AS h FROM by_month, generate_series(0, 9) i;
SELECT in_plan('SELECT purchase_history_agg(ordered_at, amount, cost) FROM by_month, generate_series(0, 9) i', 'Partial Aggregate') AS in_parts,
	in_plan('SELECT purchase_history_agg(ordered_at, amount, cost) FROM by_month, generate_series(0, 9) i', 'Workers Launched: [12]') AS launched;
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = off;
SELECT h = (SELECT purchase_history_agg(ordered_at + i * interval '1 year', amount, cost) FROM by_month, generate_series(0, 9) i) AS same,
	purchase_days(h) > 2500 AS long, monetary(h) = (SELECT 10 * sum(amount) FROM purchase) AS sum FROM one;

-- accessors, too, run in workers
SET max_parallel_workers_per_gather = 2;
\set sum 'SELECT sum(monetary(costed, date ''2011-12-09'', ''90 days'')) FROM serial'
SELECT in_plan(:'sum', 'Partial Aggregate') AS in_parts, in_plan(:'sum', 'Workers Launched: [12]') AS launched;
SELECT (:sum) = (SELECT sum(amount) FROM purchase p JOIN serial s USING (customer)
	WHERE ordered_at::date > '2011-09-10' AND ordered_at::date <= '2011-12-09' AND frequency(s.costed, '2011-12-09') > 0) AS same;

SET client_min_messages = warning;
DROP SCHEMA history_parallel CASCADE;
