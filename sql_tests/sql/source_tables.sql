-- Sources over every kind of relation and key
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA shop;
SET search_path = shop;

-- the truth for every variant: plain SQL over the same rows
CREATE TABLE fact (n int, day date, amount numeric(8,2));
INSERT INTO fact SELECT 1 + i * i % 37, date '2025-01-01' + i % 150, (i * 41 % 3000) / 100.0 FROM generate_series(1, 900) i;
CREATE VIEW truth AS SELECT n, count(*) AS frequency, sum(amount) AS monetary, max(day) AS last_purchase FROM fact GROUP BY n;

-- differences(source, SQL that turns the key into n): customers whose figures differ from plain SQL
CREATE FUNCTION differences(source text, key_to_n text) RETURNS TABLE (customers bigint, scored bigint, wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM crm_profile.refresh(source);
	RETURN QUERY EXECUTE format('SELECT count(p.customer), count(p.segment), count(*) FILTER (WHERE (p.frequency, p.monetary, p.last_purchase) IS DISTINCT FROM (t.frequency, t.monetary, t.last_purchase))
		FROM %I.customer_profile p FULL JOIN shop.truth t ON t.n = %s', source, key_to_n);
	PERFORM crm_profile.drop_source(source);
END $$;

-- keys: bigint orders of smallint customers
CREATE TABLE c_small AS SELECT n::smallint AS id FROM generate_series(1, 37) n;
ALTER TABLE c_small ADD PRIMARY KEY (id);
CREATE TABLE o_big AS SELECT n::bigint AS customer_id, day, amount FROM fact;
SELECT value FROM crm_profile.create_source('v1', 'c_small', 'o_big') WHERE argument = 'order_customer';
SELECT * FROM differences('v1', 'p.customer');
-- text with spaces and quotes
CREATE TABLE c_text AS SELECT 'No. ' || n || ' "x''' AS "the key" FROM generate_series(1, 37) n;
ALTER TABLE c_text ADD PRIMARY KEY ("the key");
CREATE TABLE o_text AS SELECT 'No. ' || n || ' "x''' AS "the key", day AS "Day", amount AS "Amount €" FROM fact;
SELECT argument, value FROM crm_profile.create_source('v2', 'c_text', 'o_text') WHERE origin = 'inferred' AND argument <> 'bins';
SELECT * FROM differences('v2', 'substring(p.customer FROM ''[0-9]+'')::int');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- numeric of different scales, char(5), a domain
CREATE TABLE c_numeric AS SELECT n::numeric(10,0) AS id FROM generate_series(1, 37) n;
ALTER TABLE c_numeric ADD PRIMARY KEY (id);
CREATE TABLE o_numeric AS SELECT n::numeric(12,2) AS customer_id, day, amount FROM fact;
SELECT count(*) FROM crm_profile.create_source('v3', 'c_numeric', 'o_numeric');
SELECT * FROM differences('v3', 'p.customer');
CREATE TABLE c_char AS SELECT n::text::char(5) AS id FROM generate_series(1, 37) n;
ALTER TABLE c_char ADD PRIMARY KEY (id);
CREATE TABLE o_char AS SELECT n::text::varchar(5) AS customer_id, day, amount FROM fact;
SELECT count(*) FROM crm_profile.create_source('v4', 'c_char', 'o_char');
SELECT * FROM differences('v4', 'p.customer::int');
CREATE DOMAIN number AS int CHECK (VALUE > 0);
CREATE TABLE c_domain AS SELECT n::number AS id FROM generate_series(1, 37) n;
ALTER TABLE c_domain ADD PRIMARY KEY (id);
CREATE TABLE o_domain AS SELECT n::number AS customer_id, day, amount FROM fact;
SELECT count(*) FROM crm_profile.create_source('v5', 'c_domain', 'o_domain');
SELECT * FROM differences('v5', 'p.customer');

-- a partitioned order table
CREATE TABLE o_part (customer_id int, day date, amount numeric) PARTITION BY RANGE (day);
CREATE TABLE o_part_1 PARTITION OF o_part FOR VALUES FROM (MINVALUE) TO ('2025-03-01');
CREATE TABLE o_part_2 PARTITION OF o_part FOR VALUES FROM ('2025-03-01') TO (MAXVALUE);
INSERT INTO o_part SELECT * FROM fact;
SELECT count(*) FROM crm_profile.create_source('v6', 'c_small', 'o_part');
SELECT * FROM differences('v6', 'p.customer');
-- views and a materialized view
CREATE VIEW c_view AS SELECT id AS nr FROM c_small;
CREATE MATERIALIZED VIEW o_view AS SELECT * FROM o_part;
SELECT * FROM crm_profile.create_source('v7', 'c_view', 'o_view');
SELECT count(*) FROM crm_profile.create_source('v7', 'c_view', 'o_view', customer_key => 'nr', order_customer => 'customer_id');
SELECT * FROM differences('v7', 'p.customer');
-- order lines: halves of each order, the cost with one of them only
CREATE TABLE o_lines AS SELECT row_number() OVER () AS order_no, n AS customer_id, day, amount / 2 AS half FROM fact;
SELECT count(*) FROM crm_profile.create_source('v8', 'c_small', 'SELECT o.*, part FROM o_lines o, (VALUES (1), (2)) p(part)', amount => 'half', order_key => 'order_no');
SELECT * FROM differences('v8', 'p.customer');
-- a foreign table on the same server
CREATE EXTENSION postgres_fdw SCHEMA shop;
DO $$ BEGIN
	EXECUTE format('CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
	EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER here OPTIONS (user %L)', current_user);
END $$;
CREATE FOREIGN TABLE o_foreign (customer_id int, day date, amount numeric) SERVER here OPTIONS (schema_name 'shop', table_name 'o_part');
SELECT count(*) FROM crm_profile.create_source('v9', 'c_small', 'o_foreign');
SELECT * FROM differences('v9', 'p.customer');
-- the bulk functions over it, and over a part of it that the other server selects
SELECT count(*) AS rows, count(*) FILTER (WHERE f.history::text IS DISTINCT FROM h.history::text) AS different
FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT customer_id, day, amount FROM shop.o_foreign') f
	FULL JOIN crm_profile.collect_purchase_histories(NULL::int, 'SELECT customer_id, day, amount FROM shop.o_part') h USING (customer);
SELECT count(*) AS rows, count(*) FILTER (WHERE f IS DISTINCT FROM h) AS different
FROM crm_profile.rfm_scores(NULL::int, 'SELECT customer_id, day, amount FROM shop.o_foreign WHERE day < ''2025-04-01''', '2025-03-31') f
	FULL JOIN crm_profile.rfm_scores(NULL::int, 'SELECT customer_id, day, amount FROM shop.o_part WHERE day < ''2025-04-01''', '2025-03-31') h USING (customer);
SELECT sum(monetary) = (SELECT sum(amount) FROM fact) AS all_money FROM crm_profile.rfm_scores(NULL::int, 'TABLE shop.o_foreign', '2025-12-31');
-- money: amounts of two decimals, under any lc_monetary
CREATE TABLE o_money AS SELECT n AS customer_id, day, amount::money AS paid FROM fact;
SELECT value FROM crm_profile.create_source('v11', 'c_small', 'o_money') WHERE argument = 'amount';
SELECT * FROM differences('v11', 'p.customer');
-- no temporary tables: they will be gone tomorrow
CREATE TEMP TABLE o_temp AS SELECT * FROM o_part;
SELECT * FROM crm_profile.create_source('v10', 'c_small', 'pg_temp.o_temp');
SELECT * FROM crm_profile.create_source('v10', 'c_small', 'SELECT * FROM pg_temp.o_temp');
-- the target of the first refresh cannot be used otherwise
CREATE TABLE target (customer int CHECK (customer > 3), history crm_profile.purchase_history);
SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT * FROM shop.o_part', 'target');
ALTER TABLE target DROP CONSTRAINT target_customer_check;
SELECT crm_profile_internal.store_purchase_histories(NULL::bigint, 'SELECT * FROM shop.o_big', 'target');
SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT * FROM shop.o_part', 'truth');
SELECT crm_profile_internal.store_purchase_histories(NULL::int, NULL, 'target');
SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT * FROM shop.o_part', NULL);
SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT * FROM shop.o_part', 'target');
SELECT count(*) AS differences FROM target s FULL JOIN crm_profile.collect_purchase_histories(NULL::int, 'SELECT * FROM shop.o_part') c USING (customer)
WHERE s.history::text IS DISTINCT FROM c.history::text;
DROP SCHEMA shop CASCADE;
