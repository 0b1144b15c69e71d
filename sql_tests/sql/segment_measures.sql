-- The totals of the segments, summed up in one pass over the histories: those of the columns of customer_profile, to the
-- last digit
SET client_min_messages = warning;
SET jit = off;
SET datestyle = ISO;
SET intervalstyle = postgres;
CREATE TABLE shopper (id integer PRIMARY KEY);
CREATE TABLE bought (shopper integer, day date, total numeric(18, 4), cost numeric(18, 4));
INSERT INTO shopper SELECT generate_series(1, 1500);
SELECT setseed(0.75);
INSERT INTO bought SELECT 1 + floor(1400 * random() ^ 2.5), date '2023-01-01' + floor(1000 * random())::integer, a, CASE WHEN random() < 0.3 THEN round(a * 0.6, 3) END
	FROM (SELECT round((exp(3 + random()))::numeric, 2) AS a FROM generate_series(1, 8000)) a;
-- refunds alone, with and without a cost; many digits; nothing in the last year; a loss
INSERT INTO bought VALUES (1450, '2024-05-05', -7.5, NULL), (1451, '2025-08-01', -1, -0.5), (1452, '2024-03-03', 98765432109876.1234, NULL), (1452, '2024-03-04', 90071992547409.93, 90071992547409.9312), (1453, '2023-03-03', 12.3456, 20),
	(1454, '2024-05-05', 20, 30), (1454, '2024-05-06', -20, NULL), (1455, '2023-01-05', 0, 0), (NULL, '2024-05-06', 33.3, 20), (4000, '2024-05-07', 44.4, 30);
SELECT count(*) FROM crm_profile.create_source('q', 'shopper', 'bought', order_customer => 'shopper', amount => 'total', cost => 'cost', as_of => '2025-09-27');
SELECT crm_profile.refresh('q') IS NOT NULL AS refreshed;

CREATE FUNCTION compared(src crm_profile.source_definition, today date, OUT segments bigint, OUT differences text) LANGUAGE plpgsql AS $$
DECLARE
	day CONSTANT text := format('%L::date', today);
	by_column crm_profile.source_definition := src;
BEGIN
	by_column.materialize := true;
	EXECUTE format('WITH a AS (SELECT unnest(%s)::text AS line), b AS (SELECT unnest(%s)::text AS line) SELECT (SELECT count(*) FROM a), string_agg(d.line, E''\n'' ORDER BY d.line COLLATE "C")
			FROM ((SELECT ''one pass '' || line AS line FROM (SELECT * FROM a EXCEPT ALL SELECT * FROM b) a) UNION ALL (SELECT ''columns  '' || line FROM (SELECT * FROM b EXCEPT ALL SELECT * FROM a) b)) d', crm_profile_internal.source_measures(src, day),
		replace(crm_profile_internal.source_measures(by_column, day), format('%I.customer_profile p', src.name), format('(%s) p', crm_profile_internal.source_profile_query(src, day)))) INTO segments, differences;
END $$;
CREATE FUNCTION q(period interval DEFAULT NULL, by_attributes boolean DEFAULT false) RETURNS crm_profile.source_definition LANGUAGE plpgsql AS $$
DECLARE
	src crm_profile.source_definition := crm_profile_internal.source_localized(crm_profile_internal.source_read('q'));
BEGIN
	src.period := q.period;
	src.by_attributes := q.by_attributes;
	RETURN src;
END $$;
SET max_parallel_workers_per_gather = 0;
SELECT day, c.* FROM unnest('{2025-09-27,2024-06-30,2023-01-03,2022-01-01}'::date[]) day, compared(q(), day) c;
SELECT period, c.* FROM unnest('{30 days,1 year}'::interval[]) period, compared(q(period), '2025-09-27') c;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET enable_hashjoin = off;
SELECT day, c.* FROM unnest('{2025-09-27,2024-06-30}'::date[]) day, compared(q(), day) c;
-- lists of medians go to files
SET work_mem = '64kB';
SELECT c.* FROM compared(q(), '2025-09-27') c;
RESET ALL;
SET client_min_messages = warning;
SET jit = off;
SET datestyle = ISO;
SET intervalstyle = postgres;
-- a model for each customer
INSERT INTO q.customer_effect SELECT customer, sin(customer) / 3, cos(customer) / 4 FROM q.customer_history WHERE customer % 9 > 0;
SELECT c.* FROM compared(q(by_attributes => true), '2025-09-27') c;
-- the view is made of it
SELECT pg_get_viewdef('q.segment_summary_details') ~ 'segment_measures\(h\.history' AS one_pass;
SELECT bool_and(d.customers = s.customers AND d.monetary = s.monetary AND d.profit IS NOT DISTINCT FROM s.profit AND d.median_recency = s.median_recency AND d.median_monetary = s.median_monetary AND d.predicted_value = s.predicted_value) AS same, count(*) > 5 AS several
FROM q.segment_summary_details d JOIN (SELECT segment, count(*) AS customers, sum(monetary) AS monetary, sum(profit) AS profit, percentile_cont(0.5) WITHIN GROUP (ORDER BY recency) AS median_recency,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY monetary::float8)::numeric::float8 AS median_monetary, sum(clv_365d::numeric)::float8 AS predicted_value FROM q.customer_profile GROUP BY segment) s USING (segment);
-- nobody, and nobody with an order
SELECT crm_profile.drop_source('q');
TRUNCATE bought;
SELECT count(*) FROM crm_profile.create_source('q', 'shopper', 'bought', order_customer => 'shopper', amount => 'total', cost => 'cost', as_of => '2025-09-27');
SELECT c.* FROM compared(q(), '2025-09-27') c;
SELECT crm_profile.refresh('q') IS NOT NULL AS refreshed;
SELECT c.* FROM compared(q(), '2025-09-27') c;
TRUNCATE shopper;
SELECT c.* FROM compared(q(), '2025-09-27') c;
SELECT crm_profile.drop_source('q');
DROP TABLE shopper, bought;
DROP FUNCTION compared(crm_profile.source_definition, date), q(interval, boolean);
