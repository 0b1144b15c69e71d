-- Change tracking where the traces of a change are faint: what came and went between two refreshes, or within the transaction of one
SET client_min_messages = error;
SET datestyle = ISO;
\set SHOW_CONTEXT never
CREATE SCHEMA traces;
SET search_path = traces, crm_profile;
CREATE TABLE c (id int PRIMARY KEY);
INSERT INTO c SELECT generate_series(1, 100);
-- customers whose stored history is not that of the orders
CREATE FUNCTION differing(source text, orders text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::int, %L) n FULL JOIN %I.customer_history h USING (customer) WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE',
		format('SELECT customer_id, ordered_at, amount FROM %s', orders), source) INTO n;
	RETURN n;
END $$;

-- ---------------------------------------------------------------- a partition that came and went
CREATE TABLE o1 (id int, customer_id int, ordered_at date, amount numeric) PARTITION BY RANGE (ordered_at);
CREATE TABLE o1a PARTITION OF o1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO o1 SELECT i, 1 + i % 90, date '2024-01-01' + i % 300, i % 50 FROM generate_series(1, 1000) i;
SELECT count(*) > 0 AS created FROM create_source('s1', 'c', 'o1', order_customer => 'customer_id', ordered_at => 'ordered_at', amount => 'amount', as_of => '2025-06-01', track_changes => 'keys');
SELECT refresh('s1') IS NOT NULL, refresh('s1') IS NOT NULL;
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SET jit = off;
CREATE TABLE o1b PARTITION OF o1 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO o1 VALUES (5000, 3, '2025-02-02', 777);
DROP TABLE o1b;
SELECT refresh('s1') IS NOT NULL;
SELECT differing('s1', 'o1');

-- ---------------------------------------------------------------- columns that had another name for a time
CREATE TABLE o2 (id int, customer_id int, ordered_at date, amount numeric, other numeric);
INSERT INTO o2 SELECT i, 1 + i % 90, date '2024-01-01' + i % 300, i % 50, 1 FROM generate_series(1, 1000) i;
CREATE INDEX ON o2 (customer_id);
SELECT count(*) > 0 AS created FROM create_source('s2', 'c', 'o2', order_customer => 'customer_id', ordered_at => 'ordered_at', amount => 'amount', as_of => '2025-06-01', track_changes => 'keys');
SELECT refresh('s2') IS NOT NULL, refresh('s2') IS NOT NULL;
BEGIN;
ALTER TABLE o2 RENAME amount TO tmp;
ALTER TABLE o2 RENAME other TO amount;
INSERT INTO o2 VALUES (2001, 4, '2024-02-02', 500, 1);
ALTER TABLE o2 RENAME amount TO other;
ALTER TABLE o2 RENAME tmp TO amount;
COMMIT;
SELECT refresh('s2') IS NOT NULL;
SELECT differing('s2', 'o2');

-- ---------------------------------------------------------------- in the transaction of a refresh
BEGIN;
TRUNCATE o2;
INSERT INTO o2 SELECT i, 1 + i % 90, date '2024-01-01' + i % 300, i % 50, 1 FROM generate_series(1, 1000) i;
SELECT refresh('s2') IS NOT NULL;
TRUNCATE o2;
INSERT INTO o2 VALUES (1, 1, '2024-05-05', 10, 1);
COMMIT;
SELECT refresh('s2') IS NOT NULL;
SELECT differing('s2', 'o2');
BEGIN;
ALTER TABLE o2 DISABLE TRIGGER USER;
INSERT INTO o2 VALUES (2, 3, '2024-02-02', 777, 1);
ALTER TABLE o2 ENABLE TRIGGER USER;
COMMIT;
SELECT refresh('s2') IS NOT NULL;
SELECT differing('s2', 'o2');

-- ---------------------------------------------------------------- the oldest order deleted, with an older refund: no retention
CREATE TABLE o3 (id int, customer_id int, ordered_at date, amount numeric);
INSERT INTO o3 SELECT i, 1 + i % 90, date '2024-01-10' + i % 500, 1 + i % 50 FROM generate_series(1, 3000) i;
INSERT INTO o3 VALUES (7999, 2, '2024-01-01', -4), (8000, 20, '2024-01-06', 100);
SELECT count(*) > 0 AS created FROM create_source('s3', 'c', 'o3', order_customer => 'customer_id', ordered_at => 'ordered_at', amount => 'amount', as_of => '2025-06-01');
SELECT refresh('s3') IS NOT NULL;
DELETE FROM o3 WHERE id = 8000;
SELECT refresh('s3') IS NOT NULL;
SELECT differing('s3', 'o3');

SELECT drop_source(name) FROM sources ORDER BY name;
DROP SCHEMA traces CASCADE;
