-- rfm_scores: the same scores as plain SQL and as the single steps, with any memory
SET DateStyle = ISO;
SET IntervalStyle = postgres;
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA rfm_scores;
SET search_path = rfm_scores, crm_profile, public;
\i :load
CREATE VIEW seen AS SELECT customer AS who, ordered_at AS day, amount FROM orders;

---- against plain SQL, at several as-of dates, with a period, over all customers
CREATE FUNCTION wrong_scores(as_of date, bins int, period interval) RETURNS TABLE (customers bigint, scored bigint, wrong bigint) LANGUAGE sql AS $$
	WITH facts AS (
		SELECT customer, as_of - max(ordered_at::date) FILTER (WHERE amount >= 0 AND ordered_at::date <= as_of) AS recency,
			count(*) FILTER (WHERE amount >= 0 AND inside) AS frequency, coalesce(sum(amount) FILTER (WHERE inside), 0) AS monetary
		FROM (SELECT *, ordered_at::date <= as_of AND coalesce(ordered_at::date > (as_of - period)::date, true) AS inside FROM rfm_scores.orders) o
		WHERE customer IS NOT NULL GROUP BY customer),
	breaks AS (
		SELECT i, percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY recency) AS r, percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY frequency) AS f,
			percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY monetary) AS m
		FROM facts, generate_series(1, bins - 1) i WHERE frequency > 0 GROUP BY i),
	truth AS (
		SELECT customer, recency, CASE WHEN recency IS NOT NULL THEN frequency END AS frequency, CASE WHEN recency IS NOT NULL THEN monetary END AS monetary,
			CASE WHEN frequency > 0 THEN bins - (SELECT count(*) FROM breaks WHERE recency > r) END AS r_score,
			CASE WHEN frequency > 0 THEN 1 + (SELECT count(*) FROM breaks WHERE frequency > f) END AS f_score,
			CASE WHEN frequency > 0 THEN 1 + (SELECT count(*) FROM breaks WHERE monetary > m) END AS m_score
		FROM facts)
	SELECT count(*), count(s.r_score), count(*) FILTER (WHERE (s.recency, s.frequency, s.monetary, s.r_score, s.f_score, s.m_score, s.cell)
		IS DISTINCT FROM (t.recency, t.frequency, t.monetary, t.r_score, t.f_score, t.m_score, t.r_score::text || t.f_score || t.m_score))
	FROM truth t FULL JOIN crm_profile.rfm_scores(NULL::int, 'SELECT customer, ordered_at, amount FROM rfm_scores.orders', as_of, bins, period, NULL) s USING (customer)
$$;
SELECT * FROM wrong_scores('2011-12-09', 5, NULL);
SELECT * FROM wrong_scores('2011-06-30', 4, NULL);
SELECT * FROM wrong_scores('2011-12-09', 9, '90 days');
SELECT * FROM wrong_scores('2010-01-01', 5, NULL);
-- segments are those of the single steps
SELECT count(*), count(*) FILTER (WHERE s.segment IS DISTINCT FROM segment(rfm_score(history, (SELECT rfm_fit(history, '2011-12-09') FROM collect_purchase_histories(NULL::int, 'TABLE seen')), '2011-12-09'),
		(SELECT compile_scheme('rf')))) AS wrong
FROM rfm_scores(NULL::int, 'TABLE seen', '2011-12-09', scheme => 'rf') s JOIN collect_purchase_histories(NULL::int, 'TABLE seen') h USING (customer);

---- the least memory gives the same
CREATE TABLE many AS
SELECT CASE WHEN i % 3 = 0 THEN 7 ELSE i % 20011 END::bigint AS customer, date '2000-01-01' + (i::bigint * 7919 % 9001)::int AS day, (i % 997 - 40) / 10.0 AS amount FROM generate_series(1, 300000) i;
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE TABLE little AS SELECT * FROM collect_purchase_histories(NULL::bigint, 'TABLE many');
CREATE TABLE little_text AS SELECT * FROM collect_purchase_histories(NULL::text, 'SELECT customer::text, day, amount FROM many');
CREATE TABLE little_scores AS SELECT * FROM rfm_scores(NULL::bigint, 'TABLE many', '2020-01-01');
SET work_mem = '500MB';
CREATE TABLE much AS SELECT customer, purchase_history_agg(day, amount) AS history FROM many GROUP BY customer;
SELECT count(*), count(*) FILTER (WHERE l.history = m.history) AS same FROM little l FULL JOIN much m USING (customer);
SELECT count(*), count(*) FILTER (WHERE l.history = m.history) AS same FROM little_text l FULL JOIN much m ON l.customer = m.customer::text;
SELECT count(*), count(*) FILTER (WHERE l IS NOT DISTINCT FROM s) AS same FROM little_scores l FULL JOIN rfm_scores(NULL::bigint, 'TABLE many', '2020-01-01') s USING (customer);
RESET work_mem;
RESET hash_mem_multiplier;

---- lines of an order: their costs do not matter here, their amounts do
SELECT customer, recency, frequency, monetary FROM rfm_scores(NULL::int, $$SELECT * FROM (VALUES
	(1, date '2025-01-01', 5, 'a', 3), (1, '2025-01-02', -7, 'a', NULL), (1, '2025-01-02', 3, 'b', 1), (2, '2025-01-01', 1, 'a', 1),
	(1, '2025-01-02', 3, NULL, NULL), (3, '2025-02-02', 3, NULL, NULL), (4, '2025-01-02', -3, NULL, NULL)) v (customer, day, amount, order_key, cost)$$, '2025-01-31') ORDER BY 1;

---- what users do wrong
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', NULL);
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', '-infinity');
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', '2011-12-09', 10);
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', '2011-12-09', period => '-1 month');
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', '2011-12-09', 4);
SELECT * FROM rfm_scores(NULL::int, 'TABLE seen', '2011-12-09', scheme => 'standart');
SET client_min_messages = warning;
DROP SCHEMA rfm_scores CASCADE;
