-- RFM models, scores and fits: the published case of the R package rfm, ties, and plain SQL over the same rows
SET DateStyle = ISO;
SET IntervalStyle = postgres;
SET extra_float_digits = 1;
SET bytea_output = hex;
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA rfm;
SET search_path = rfm, crm_profile, public;
CREATE TABLE orders (customer text, day date, amount numeric);
\set load '\\copy orders FROM PROGRAM ''gzip -dc "' :abs_srcdir '/data/rfm_orders.csv.gz"'' CSV HEADER'
:load
CREATE TABLE history AS SELECT customer, purchase_history_agg(day, amount) AS history FROM orders GROUP BY customer;

---- the golden case: 995 customers, 4 906 orders, as of 2006-12-31
SELECT count(*) AS customers, sum(frequency(history)) AS orders FROM history;
SELECT t.* FROM (SELECT rfm_fit(history, '2006-12-31') AS model FROM history) f, thresholds(model) t;
-- published: Champions (R 4-5, F 4-5, M 4-5) are 158 customers with 1 234 orders and 120 178 revenue
SELECT count(*), sum(frequency(history)) AS orders, sum(monetary(history)) AS revenue
FROM history, rfm_score(history, rfm_model('{114, 180, 297.4, 481}', '{3, 4, 5, 7}', '{255.8, 381, 506.4, 665}'), '2006-12-31') s
WHERE r_score(s) >= 4 AND f_score(s) >= 4 AND m_score(s) >= 4;

---- fits against percentile_cont, scores against the count of breaks below the value; NULL for none
CREATE TABLE question AS
SELECT row_number() OVER () AS question, as_of::date, bins, period::interval
FROM (VALUES ('2006-12-31', 5, NULL), ('2006-12-31', 2, NULL), ('2005-06-30', 9, NULL), ('2005-06-30', 3, '6 months'),
	('2004-09-30', 4, '90 days'), ('2005-12-31', 7, '1 year')) q (as_of, bins, period);
CREATE TABLE facts AS
SELECT question, customer, as_of, bins, as_of - max(day) AS recency,
	count(*) FILTER (WHERE period IS NULL OR day > (as_of - period)::date) AS frequency,
	coalesce(sum(amount) FILTER (WHERE period IS NULL OR day > (as_of - period)::date), 0) AS monetary
FROM orders JOIN question ON day <= as_of GROUP BY question, customer, as_of, bins, period;
CREATE TABLE breaks AS
SELECT question, i, percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY recency) AS r,
	percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY frequency) AS f,
	percentile_cont(i / bins::float8) WITHIN GROUP (ORDER BY monetary) AS m
FROM facts, generate_series(1, bins - 1) i WHERE frequency > 0 GROUP BY question, bins, i;
CREATE TABLE truth AS
SELECT question, customer, CASE WHEN frequency > 0 THEN rfm_score(
	bins - (SELECT count(*) FROM breaks b WHERE b.question = facts.question AND recency > r)::int,
	1 + (SELECT count(*) FROM breaks b WHERE b.question = facts.question AND frequency > f)::int,
	1 + (SELECT count(*) FROM breaks b WHERE b.question = facts.question AND monetary > m)::int, bins) END AS score
FROM facts;
CREATE TABLE model AS
SELECT question, CASE WHEN period IS NULL THEN rfm_fit(history, as_of, bins) ELSE rfm_fit(history, as_of, bins, period) END AS model
FROM question, history GROUP BY question, as_of, bins, period;

-- thresholds are the same up to the sixth decimal
SELECT question, count(*) AS thresholds, bool_and(abs(t.recency[i] - r::numeric) < 0.000001) AS recency,
	bool_and(abs(t.frequency[i] - f::numeric) < 0.000001) AS frequency, bool_and(abs(t.monetary[i] - m::numeric) < 0.000001) AS monetary
FROM model JOIN breaks USING (question), thresholds(model) t GROUP BY question ORDER BY question;
SELECT question, count(*) AS customers, count(truth.score) AS scored,
	count(*) FILTER (WHERE truth.score IS DISTINCT FROM rfm_score(history, model, as_of)) AS wrong
FROM question JOIN model USING (question) JOIN history ON true LEFT JOIN truth USING (question, customer)
GROUP BY question ORDER BY question;

-- few or many, small or large: against the medians of all customers
WITH median AS (
	SELECT question, percentile_cont(0.5) WITHIN GROUP (ORDER BY frequency) AS f,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY monetary::float8 / frequency) AS v
	FROM facts WHERE frequency > 0 GROUP BY question)
SELECT count(*) AS customers, count(*) FILTER (WHERE purchase_pattern(history, model, as_of) IS DISTINCT FROM
	CASE WHEN frequency = 0 THEN NULL ELSE CASE WHEN frequency > f THEN 'many ' ELSE 'few ' END
		|| CASE WHEN monetary::float8 / frequency > v THEN 'large' ELSE 'small' END END) AS wrong
FROM facts JOIN median USING (question) JOIN model USING (question) JOIN history USING (customer);

---- ties are never split: 54 % bought once, 20 % twice
WITH customer AS (
	SELECT purchase_history_agg(date '2025-01-01' + i, 10) AS history, max(i) AS frequency
	FROM (SELECT n, CASE WHEN n <= 54 THEN 1 WHEN n <= 74 THEN 2 WHEN n <= 90 THEN 3 ELSE 10 END AS f FROM generate_series(1, 100) n) c,
		generate_series(1, f) i GROUP BY n),
model AS (SELECT rfm_fit(history, '2025-02-01') AS model FROM customer)
SELECT frequency, f_score(rfm_score(history, model, '2025-02-01')), count(*) FROM customer, model GROUP BY 1, 2 ORDER BY 1;

---- a fit does not depend on the order of rows, nor on how plans split it
SELECT count(DISTINCT model::text) FROM (
	SELECT rfm_fit(history, '2006-12-31' ORDER BY customer) AS model FROM history UNION ALL
	SELECT rfm_fit(history, '2006-12-31' ORDER BY customer DESC) FROM history UNION ALL
	SELECT rfm_fit(history, '2006-12-31') FROM (SELECT history FROM history UNION ALL SELECT NULL UNION ALL SELECT '{}') h) m;
CREATE TABLE serial AS SELECT rfm_fit(history, '2006-12-31', 5, '1 year') AS model FROM history;
\set fixture :abs_srcdir '/fixtures/plan_of.sql'
\i :fixture
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
ALTER TABLE history SET (parallel_workers = 2);
SELECT count(*) > 0 AS parallel FROM plan_of('SELECT rfm_fit(history, ''2006-12-31'', 5, ''1 year'') FROM rfm.history') p WHERE p ~ 'Partial Aggregate';
SELECT f.model = serial.model AS same FROM serial, (SELECT rfm_fit(history, '2006-12-31', 5, '1 year') AS model FROM history) f;
COMMIT;

---- nobody to fit
SELECT rfm_fit(history, '2001-01-01') FROM history;
SELECT rfm_fit(history, '2006-12-31') FROM history WHERE false;

---- scores: text, parts, order, casts
SELECT s, s::integer, r_score(s), f_score(s), m_score(s), bins(s) FROM (VALUES (rfm_score '545'), ('111'), ('434/4'), ('999/9')) v (s) ORDER BY v.s DESC;
SELECT s FROM (VALUES (rfm_score '155'), ('511'), ('151'), ('515')) v (s) ORDER BY s;
SELECT rfm_score '545' = rfm_score(5, 4, 5) AS equal, rfm_score '434' = rfm_score(4, 3, 4, 4) AS other_bins, rfm_score '455' < '511' AS less;
SELECT count(*) AS round_trips FROM truth WHERE score::text::rfm_score = score;
SELECT count(*), count(DISTINCT s) FROM (SELECT rfm_score(r, f, m) AS s FROM generate_series(1, 5) r, generate_series(1, 5) f, generate_series(1, 5) m) c;

---- models: text and equality
SELECT model FROM model ORDER BY question LIMIT 1;
SELECT rfm_model('{30, 90.5}', '{1, 3}', '{-5, 99.999999}', '1 year 2 months');
SELECT count(*) AS round_trips FROM model WHERE model::text::rfm_model = model;
SELECT rfm_model('{30}', '{1.0}', '{100.00}') = rfm_model('{30.000}', '{1}', '{100}') AS equal_bytes;
SELECT pg_column_size(model) < 300 AS small FROM model WHERE question = 1;
SELECT t.* FROM thresholds(rfm_model('{30, 90.5}', '{1, 3}', '{-5, 99.999999}')) t;

---- what users do wrong
SELECT rfm_fit(history, '2006-12-31', 1) FROM history;
SELECT rfm_fit(history, '2006-12-31', 10) FROM history;
SELECT rfm_fit(history, NULL) FROM history;
SELECT rfm_fit(history, 'infinity') FROM history;
SELECT rfm_fit(history, '2006-12-31', 5, '-1 day') FROM history;
SELECT rfm_fit(history, date '2006-12-31' - length(customer)) FROM history;
SELECT rfm_score '546';
SELECT rfm_score '54';
SELECT rfm_score '455/4';
SELECT rfm_score(0, 1, 1);
SELECT rfm_score(1, 1, 1, 12);
SELECT rfm_model('{30, 20}', '{1, 3}', '{1, 2}');
SELECT rfm_model('{10, 20}', '{1, 3}', '{1}');
SELECT rfm_model('{}', '{}', '{}');
SELECT rfm_model('{10, NULL}', '{1, 3}', '{1, 2}');
SELECT rfm_model('{10, NaN}', '{1, 3}', '{1, 2}');
SELECT rfm_model('{10, 20}', '{1, 3}', '{1, 2.1234567}');
SELECT rfm_model('{10, 20}', '{1, 3}', '{1, 2}', '0 days');
SELECT purchase_pattern('{2025-01-01: 1}', rfm_model('{30}', '{1}', '{100}'), '2025-02-01');
SELECT rfm_model '{"bins": 3, "recency": [1, 2], "frequency": [1]}';
SELECT rfm_model '{"bins": 3, "recency": [1, 2], "frequency": [1, 2], "monetary": [1, "2"]}';
SELECT rfm_model '[]';

---- binary form: COPY reads back what it wrote, and nothing else
SELECT current_setting('data_directory') || '/crm_profile_rfm' AS file \gset
CREATE TABLE scored AS SELECT model, score FROM model JOIN truth USING (question);
CREATE TABLE copied (LIKE scored);
COPY scored TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*) AS different FROM (TABLE scored EXCEPT ALL TABLE copied) d;
\set fixture :abs_srcdir '/fixtures/receive.sql'
\i :fixture
SELECT bytes, receive('rfm_score', bytes) FROM (VALUES ('\x05040505'::bytea), ('\x06040505'), ('\x00040505'), ('\x05040501'), ('\x0909090a'), ('\x')) v (bytes);
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f crm_profile_rfm';
\set fixture :abs_srcdir '/fixtures/received.sql'
\i :fixture
SET client_min_messages = warning;
DROP SCHEMA rfm CASCADE;
