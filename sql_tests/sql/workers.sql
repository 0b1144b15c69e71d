-- Queries of orders in parallel workers: the same rows and errors as from one process, whatever the keys, the plan and the memory
CREATE SCHEMA workers;
SET search_path = workers, crm_profile, public;
SET DateStyle = ISO;
\set SHOW_CONTEXT never

CREATE TABLE purchase AS
SELECT i % 2003 AS customer, date '2020-01-01' + (i::bigint * 7919 % 1501)::int AS day,
	-- a few amounts have six decimals, all of them in the last pages
	CASE WHEN i > 59990 THEN 0.000001 * i ELSE (i::bigint * 104729 % 20011 - 2000) / 100.0 END AS amount,
	CASE WHEN i % 3 > 0 THEN (i % 700) / 10.0 END AS cost
FROM generate_series(1, 60000) i;
INSERT INTO purchase SELECT NULL, date '2021-01-01', i, i FROM generate_series(1, 17) i UNION ALL VALUES (1, NULL::date, 2, 1), (2, '2021-01-01', NULL, 1);
ANALYZE purchase;
ALTER TABLE purchase SET (parallel_workers = 3);
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;

-- the rows of a call from one process and from several: how many, how many differ, and how many rows of the query have no customer
CREATE FUNCTION compare(call text, workers int DEFAULT 3, OUT customers bigint, OUT different bigint, OUT without_customer text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', '0', true);
	EXECUTE 'CREATE TEMP TABLE alone AS SELECT r::text COLLATE "C" AS r FROM ' || call || ' r';
	without_customer := crm_profile_internal.orders_without_customer();
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
	EXECUTE 'CREATE TEMP TABLE together AS SELECT r::text COLLATE "C" AS r FROM ' || call || ' r';
	without_customer := without_customer || ' ' || crm_profile_internal.orders_without_customer();
	SELECT count(*) INTO customers FROM together;
	SELECT count(*) INTO different FROM ((TABLE alone EXCEPT ALL TABLE together) UNION ALL (TABLE together EXCEPT ALL TABLE alone)) d;
	DROP TABLE alone, together;
END $$;
CREATE FUNCTION histories(key text, columns text, relation text DEFAULT 'purchase') RETURNS text LANGUAGE sql AS $$
	SELECT format('collect_purchase_histories(NULL::%s, %L)', substring(key FROM '\w+$'), format('SELECT %s, %s FROM %s', key, columns, relation)) $$;
CREATE FUNCTION scores(key text, more text DEFAULT '', relation text DEFAULT 'purchase') RETURNS text LANGUAGE sql AS $$
	SELECT format('rfm_scores(NULL::%s, %L, ''2023-12-31''%s)', substring(key FROM '\w+$'), format('SELECT %s, day, amount FROM %s', key, relation), more) $$;

CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e');
CREATE DOMAIN customer_number AS int CHECK (VALUE >= 0);
SELECT key, h.*, s.* FROM (VALUES (1, 'customer::int'), (2, 'customer::int2'), (3, '(customer - 1000)::int8'), (4, '(''customer '' || customer)::text'),
	(5, 'repeat(customer::text, customer % 300)::text'), (6, '(md5(customer::text))::uuid'), (7, 'round(customer / 7.0, 2)::numeric'),
	(8, '((ARRAY[''a'', ''b'', ''c'', ''d'', ''e'']::mood[])[customer % 5 + 1])::mood'), (9, '(date ''2000-01-01'' + customer)::date'),
	(10, '(customer / 7.0)::float8'), (11, 'customer::customer_number')) k (n, key),
	compare(histories(key, 'day, amount')) h, compare(scores(key)) s ORDER BY n;

SELECT what, c.* FROM (VALUES (1, 'cost', histories('customer::int', 'day, amount, cost')),
	(2, 'time stamps', histories('customer::int', '(day + time ''23:30'') AT TIME ZONE ''UTC'', amount')),
	(3, 'a column twice', histories('customer::int', 'day, amount, amount AS cost')),
	(4, 'an expression that only the leader can evaluate', histories('customer::int', 'day, amount + coalesce(length(current_setting(''workers.none'', true)), 0)')),
	(5, 'lines of orders', histories('customer::int', 'day, amount, cost::int AS order_key')),
	(6, 'a join', histories('p.customer::int', 'p.day, p.amount', 'purchase p JOIN purchase q ON q.customer = p.customer AND q.day = p.day AND q.amount = p.amount')),
	(7, 'two tables', histories('customer::int', 'day, amount', '(SELECT * FROM purchase UNION ALL SELECT * FROM purchase WHERE day < ''2021-01-01'') u')),
	(8, 'a sub-select', histories('customer::int', 'day, amount', 'purchase WHERE amount > (SELECT avg(amount) FROM purchase)')),
	(9, 'sums', histories('customer::int', 'day, sum(amount)', 'purchase GROUP BY 1, 2')),
	(10, 'no row', histories('customer::int', 'day, amount', 'purchase WHERE day < ''2000-01-01''')),
	(11, 'a period', scores('customer::int', ', period => ''100 days'', bins => 4, scheme => NULL')),
	(12, 'histories with progress', replace(histories('customer::int', 'day, amount'), ''')', ''', NULL)'))) q (n, what, call),
	compare(call) c ORDER BY n;

-- no worker available, or fewer than the plan wants; a leader that takes no part
SET max_parallel_workers = 0;
SELECT * FROM compare(histories('customer::int', 'day, amount'));
SET max_parallel_workers = 1;
SELECT * FROM compare(histories('customer::int', 'day, amount, cost'));
RESET max_parallel_workers;
SET parallel_leader_participation = off;
SELECT * FROM compare(scores('customer::int'));
RESET parallel_leader_participation;

-- orders as they come, in order of time but for a few, of customers in one partition: what the processes have read is taken in turns, by day
CREATE TABLE growing AS
SELECT (k - CASE WHEN k >= 9223372036854775808 THEN 18446744073709551616 ELSE 0 END)::bigint AS customer, date '2020-01-01' + i / 100 + CASE WHEN i % 997 = 0 THEN -50 ELSE 0 END AS day,
	CASE WHEN i % 101 = 0 THEN 1e9 ELSE 0 END + i / 100.0 AS amount FROM generate_series(1, 100000) i, LATERAL (SELECT (i % 5003)::numeric * 17428512612931826493 % 18446744073709551616 AS k) k;
ALTER TABLE growing SET (parallel_workers = 2);
SELECT * FROM compare(histories('customer::int8', 'day, amount', 'growing'), 2);

-- with little memory: everything comes back from the files, also where many customers share a hash
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT * FROM compare(histories('repeat(customer::text, customer % 300)::text', 'day, amount, cost'), 1);
SET client_min_messages = warning;
SELECT * FROM compare(scores('repeat((ctid::text || customer), 20)::text'), 1);
-- keys whose product with the golden ratio begins with the same byte: one partition holds them all, and is split again
CREATE TABLE chosen AS
SELECT ((i % 150000)::numeric * 17428512612931826493 % 18446744073709551616 - CASE WHEN (i % 150000)::numeric * 17428512612931826493 % 18446744073709551616 >= 9223372036854775808
	THEN 18446744073709551616 ELSE 0 END)::bigint AS customer, date '2020-01-01' + i % 1000 AS day, i / 100.0 AS amount FROM generate_series(1, 300000) i;
ALTER TABLE chosen SET (parallel_workers = 1);
SELECT * FROM compare(histories('customer::int8', 'day, amount', 'chosen'), 1);
SELECT * FROM compare(scores('customer::int8', '', 'chosen'), 1);
RESET client_min_messages;

-- stored histories are in the order of their customers, whichever process made them and in however many pieces
CREATE FUNCTION stored(key text, workers int) RETURNS TABLE (customers bigint, ordered boolean, rows text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
	EXECUTE format('CREATE TEMP TABLE history (customer %s, history purchase_history)', substring(key FROM '\w+$'));
	EXECUTE format('SELECT crm_profile_internal.store_purchase_histories(NULL::%s, %L, ''history'', NULL)', substring(key FROM '\w+$'),
		format('SELECT %s, day, amount, cost FROM purchase', key)) INTO customers;
	SELECT bool_and(in_order), md5(string_agg(h, '' ORDER BY page)) INTO ordered, rows
		FROM (SELECT h::text, ctid AS page, coalesce(customer > lag(customer) OVER (ORDER BY ctid), true) AS in_order FROM history h) r;
	DROP TABLE history;
	RETURN NEXT;
END $$;
SELECT key, a.customers, a.ordered, a = t AS same FROM (VALUES (1, '(customer - 1000)::int4'), (2, 'repeat((ctid::text || customer), 20)::text'), (3, 'round(customer / 7.0, 2)::numeric')) k (n, key),
	stored(key, 0) a, stored(key, 1) t ORDER BY n;
RESET work_mem;
RESET hash_mem_multiplier;

-- wherever the function is called
SET max_parallel_workers_per_gather = 3;
CREATE TABLE right_rows AS SELECT * FROM rfm_scores(NULL::int, 'SELECT customer, day, amount FROM purchase', '2023-12-31');
CREATE FUNCTION wrong_rows() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) FROM right_rows r FULL JOIN rfm_scores(NULL::int, 'SELECT customer, day, amount FROM purchase', '2023-12-31') s USING (customer)
		WHERE (r.recency, r.frequency, r.monetary, r.cell, r.segment) IS DISTINCT FROM (s.recency, s.frequency, s.monetary, s.cell, s.segment));
EXCEPTION WHEN division_by_zero THEN
	RETURN -1;
END $$;
SELECT wrong_rows() AS in_a_subtransaction;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT wrong_rows() AS serializable;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM purchase WHERE customer = 5;
SELECT wrong_rows() AS own_changes_seen;
DECLARE c CURSOR FOR SELECT customer FROM rfm_scores(NULL::int, 'SELECT customer, day, amount FROM purchase', '2023-12-31');
MOVE 100 IN c;
SELECT wrong_rows() AS beside_a_cursor;
MOVE FORWARD ALL IN c;
ROLLBACK;
-- the outer query keeps its plan, and no setting stays behind
SET parallel_tuple_cost = 0.07;
SELECT wrong_rows();
SHOW parallel_tuple_cost;
RESET parallel_tuple_cost;

-- the same errors
CREATE FUNCTION error_of(call text, workers int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
	EXECUTE 'SELECT count(*) FROM ' || call;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END $$;
SELECT error_of(call, 0) AS alone, error_of(call, 3) = error_of(call, 0) AS same FROM (VALUES
	(1, histories('customer::int', 'day, CASE WHEN amount < 0.1 THEN ''NaN'' ELSE amount END')),
	(2, histories('customer::int', 'day, CASE WHEN customer = 2001 THEN 0.1234567 ELSE amount END')),
	(3, histories('customer::int', 'CASE WHEN customer = 2001 THEN ''infinity'' ELSE day END, amount')),
	(4, histories('customer::int', 'day, amount + 0 / (customer - 2001)')),
	(5, histories('customer::int', 'day, amount::float8')),
	(6, histories('customer::int', 'day')),
	(7, 'rfm_scores(NULL::int, ''SELECT customer, day, 5e18 FROM purchase'', ''2023-12-31'')'),
	(8, replace(histories('(CASE WHEN customer = 2001 THEN -1 ELSE customer END)::int', 'day, amount'), 'NULL::int', 'NULL::customer_number')),
	(9, histories('customer::int', 'day, amount', 'purchase FOR SHARE'))) c (n, call) ORDER BY n;

SET client_min_messages = warning;
DROP SCHEMA workers CASCADE;
