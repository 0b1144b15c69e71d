-- A source of customers with 15 attributes: seven kinds of people, each earning and buying more than the one before.
SET work_mem = '64MB';
CREATE TABLE customers AS
	SELECT i AS id, 18 + h[1] % 60 AS age, h[2] % 80000 + 5000 * (i % 7) AS income, CASE WHEN i % 7 > 4 AND h[3] % 10 < 3 THEN 'a' ELSE chr(97 + h[3] % 5) END AS job, 'city' || h[4] % 300 AS city, h[5] % 2 = 0 OR i % 7 = 6 AS member,
		(h[6] % 5)::smallint AS kids, chr(120 + h[7] % 3) AS channel, h[8] % 1000 / 10.0::float8 AS score, date '1950-01-01' + h[9] % 20000 AS born, CASE WHEN h[10] % 3 > 0 THEN h[10] % 200 + 20 * (i % 7) END AS visits, 'street' || h[11] % 20 AS district,
		h[12] % 4 = 0 AS owner, CASE WHEN i % 7 > 3 THEN 'urban' ELSE (ARRAY['urban', 'rural', 'suburb'])[1 + h[13] % 3] END AS region, (h[14] % 10000) / 100.0 AS distance, (ARRAY['single', 'married', 'divorced'])[1 + h[15] % 3] AS family
	FROM generate_series(1, :people) i, LATERAL (SELECT array_agg((hashint8extended(i, k) & 1073741823)::int) AS h FROM generate_series(1, 15) k) x;
ALTER TABLE customers ADD PRIMARY KEY (id);
CREATE TABLE orders AS SELECT id AS customer_id, date '2025-01-01' + (id * 7 + k * 31) % 365 AS day, (1 + (hashint8(id * 3 + k) & 65535) * (1 + id % 7) / 65536.0 * 100)::numeric(12,2) AS amount FROM customers, generate_series(1, 1 + (id / 7) % 5) k;
VACUUM (FREEZE, ANALYZE) customers, orders;
SELECT crm_profile.create_source('big', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', attributes => '{age,income,job,city,member,kids,channel,score,born,visits,district,owner,region,distance,family}') \g /dev/null
SELECT crm_profile.refresh('big') \g /dev/null
VACUUM (ANALYZE) big.customer_history;
CREATE TABLE measured (what text, seconds float8);
CREATE PROCEDURE measure(what text, query text, rounds int) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
BEGIN
	FOR round IN 1 .. rounds LOOP
		began := clock_timestamp();
		EXECUTE format('SELECT count(*) FROM (%s) q', query);
		INSERT INTO measured VALUES (what, extract(epoch FROM clock_timestamp() - began));
	END LOOP;
END $$;
CALL measure('customers and labels: count(segment) of customer_profile', 'SELECT count(segment) FROM big.customer_profile', :rounds);
CALL measure('segment_persona (limit 1 s)', 'SELECT * FROM big.segment_persona', :rounds);
CALL measure('segment_card', 'SELECT * FROM crm_profile.segment_card(''big'')', :rounds);
CALL measure('explain_segment', 'SELECT * FROM crm_profile.explain_segment(''big'', ''Champions'')', 1);
CALL measure('nearest_customers', 'SELECT * FROM crm_profile.nearest_customers(''big'', 4711)', :rounds);
CALL measure('customer_groups (limit 60 s)', 'SELECT * FROM crm_profile.customer_groups(''big'')', 1);
SELECT crm_profile.alter_source('big', materialize => true) \g /dev/null
SELECT crm_profile.refresh('big') \g /dev/null
VACUUM (ANALYZE) big.stored_profile;
CALL measure('segment_persona, materialized', 'SELECT * FROM big.segment_persona', :rounds);
\echo :people 'customers, 15 attributes; medians of' :rounds 'rounds, at most' `psql -XAtc 'SHOW max_parallel_workers_per_gather'` 'parallel workers'
SELECT what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 2) AS median, round(min(seconds)::numeric, 2) AS best FROM measured GROUP BY what ORDER BY min(ctid);
SELECT crm_profile.drop_source('big') \g /dev/null
DROP TABLE customers, orders, measured;
DROP PROCEDURE measure;
