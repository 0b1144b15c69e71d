-- Limits: decimals, ranges without wraparound, values that are no amount or no day, and the stored size
SET IntervalStyle = postgres;
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_limits;
SET search_path = history_limits, crm_profile, public;
\i :load

-- 0 to 6 decimals; trailing zeros do not count; more are rejected
SELECT scale, purchase_history_add(NULL, '2025-01-01', round(1234567.654321, scale)) AS history,
	purchase_history_add(NULL, '2025-01-01', -round(1000 / 7.0, scale)::numeric(20, 15)) AS refund
FROM generate_series(0, 6) scale;
SELECT a::text, amount = a AND scale(amount) = scale(trim_scale(a)) AS exact, orders
FROM unnest(ARRAY['0', '0.000', '-0.000001', '0.000001', '0.0001', '0.00001', '1', '10', '9999', '10000', '10001', '100000000', '99999999.9999',
	'12345678901234567.8', '1e18', '1e15', '-1e12', '123.450000000000000000', '1000000.000001', '9223372036854775807', '-9223372036854775807',
	'9223372036854.775807', '922337203685477580.7']::numeric[]) a,
	purchases(purchase_history_add(NULL, '2025-01-01', a));
SELECT purchase_history_add(NULL, '2025-01-01', 0.0000001);
SELECT purchase_history_add(NULL, '2025-01-01', 5, 1.2345678);
SELECT purchase_history_agg(date '2025-01-01', 1 / 3.0);
SELECT purchase_history_agg(date '2025-01-01', 1e-200);
SELECT purchase_history_agg(date '2025-01-01', 123456 / 7.000000000000000000000000);

-- random amounts of all sizes and scales against numeric's own arithmetic
SELECT setseed(0.1);
SELECT count(*) > 15000 AS thousands, count(*) FILTER (WHERE p.amount <> a OR h::text::purchase_history <> h OR orders <> (a >= 0)::int) AS wrong
FROM (SELECT round(((random() - 0.5) * power(10, (random() * 17)::int))::numeric, s) AS a, s
		FROM generate_series(1, 20000), LATERAL (SELECT (random() * 6)::int AS s) x OFFSET 0) y,
	purchase_history_add(NULL, '2025-01-01', a) h, purchases(h) p
WHERE abs(a) * power(10::numeric, s) < 9e18;

-- amounts and means of orders are the numerics, digit by digit, that plain SQL gives
SELECT count(*) > 15000 AS thousands, count(*) FILTER (WHERE numeric_send(monetary(h)) <> numeric_send(a)) AS amounts,
	count(*) FILTER (WHERE numeric_send(average_order_value(h)) <> numeric_send(a / n)) AS means
FROM (SELECT trim_scale(round(((random() - 0.5) * power(10, (random() * 18)::int))::numeric, (random() * 6)::int)) AS a, power(10, random() * 9)::integer AS n FROM generate_series(1, 20000)
		UNION ALL SELECT a, n FROM unnest(ARRAY[0, 0.000001, 0.00005, 0.5, 1, 2, 9999, 9999.5, 10000, 10001, 99999999.9999, 12345678901234567.8, 1e18, 9223372036854775807, 9223372036854.775807]) a,
			unnest(ARRAY[1, 2, 3, 7, 9, 16, 9999, 10000, 10001, 99999999, 100000000, 2147483647]) n
		UNION ALL SELECT -a, n FROM generate_series(1, 99) a, generate_series(1, 20) n OFFSET 0) x,
	CAST(format('{2025-01-01: %s (%s orders)}', a, n) AS purchase_history) h
WHERE abs(a) * power(10::numeric, scale(a)) < 9e18;

-- values that are not amounts
SELECT purchase_history_agg(date '2025-01-01', 'NaN');
SELECT purchase_history_agg(date '2025-01-01', 'Infinity');
SELECT purchase_history_agg(date '2025-01-01', 5, '-Infinity');
SELECT purchase_history_add(NULL, '2025-01-01', 5, 'NaN');

-- values that are not days
SELECT purchase_history_agg(date 'infinity', 5);
SELECT purchase_history_agg(date '-infinity', 5);
SELECT purchase_history_agg(timestamp 'infinity', 5);
SELECT purchase_history_agg(timestamptz '-infinity', 5);
SELECT purchase_history_add(NULL, 'infinity', 5);
SELECT frequency('{2025-01-01: 5}', 'infinity');
SELECT as_of('{2025-01-01: 5}', '-infinity');
SELECT recency('{2025-01-01: 5}', 'infinity');
-- skipped rows are not checked
SELECT purchase_history_agg(date 'infinity', NULL) IS NULL AS no_amount, purchase_history_agg(NULL::date, 'NaN') IS NULL AS no_day;

-- values that are not periods, and periods that leave the calendar
SELECT frequency('{2025-01-01: 5}', '2025-01-01', '0');
SELECT monetary('{2025-01-01: 5}', '2025-01-01', '-1 month');
SELECT trend('{2025-01-01: 5}', '2025-01-01', '1 day -24 hours');
SELECT frequency('{2025-01-01: 5}', '2025-01-01', '10000 years');
SELECT trend('{2025-01-01: 5}', '2025-01-01', '4000 years');
SELECT frequency('{2025-01-01: 5}', '5874897-12-31', '1 year');

-- ranges: amounts of a day in 64 bits, sums over days in 128, orders of a day in 32.  Nothing wraps
SELECT monetary(h), average_order_value(h), trend(h, '2025-01-03', '1 day') AS trend, profit(h)
FROM (VALUES (purchase_history '{2025-01-01: 9223372036854775807, 2025-01-02: 9223372036854775807, 2025-01-03: 9223372036854775807}'),
	('{2025-01-01: 9223372036854.775807 (cost -9223372036854.775807), 2025-01-02: 0.000001}')) v (h);
SELECT monetary(h || h2), monetary(h || h3) FROM (VALUES (purchase_history '{2025-01-01: 9223372036854775800}', purchase_history '{2025-01-01: 7}',
	purchase_history '{2025-01-01: -9223372036854775807}')) v (h, h2, h3);
SELECT purchase_history '{2025-01-01: 9223372036854775800}' || '{2025-01-01: 8}';
SELECT purchase_history '{2025-01-01: -9223372036854775807}' || '{2025-01-01: -1}';
SELECT purchase_history '{2025-01-01: 9223372036854775807}' - '{2025-01-01: -1 (0 orders)}';
SELECT purchase_history '{2025-01-01: 5 (cost 9223372036854775807)}' || '{2025-01-01: 5 (cost 1)}';
SELECT purchase_history_agg(date '2025-01-01', 5e18::numeric) FROM generate_series(1, 2);
SELECT purchase_history_agg(day, amount) FROM (VALUES (date '2025-01-01', 1e18), ('2025-01-02', 0.01)) v (day, amount);
SELECT purchase_history_agg(date '2025-01-01', 99999999999999999999);
SELECT purchase_history_agg(date '2025-01-01', 9223372036854775808);
SELECT purchase_history_agg(date '2025-01-01', -9223372036854775808);
SELECT purchase_history_agg(date '2025-01-01', 1e100000);
SELECT frequency(h || '{2025-01-02: 5 (2147483647 orders)}'), monthly_purchases(h || '{2025-01-02: 5 (2147483647 orders)}')
FROM (VALUES (purchase_history '{2025-01-01: 5 (2147483647 orders)}')) v (h);
SELECT purchase_history_add('{2025-01-01: 5 (2147483647 orders)}', '2025-01-01', 5);

-- The size: all orders as a table against the histories, bare and as a table with its key and index
CREATE TABLE history AS SELECT customer, purchase_history_agg(ordered_at, amount) AS history FROM orders WHERE customer IS NOT NULL GROUP BY customer;
ALTER TABLE history ADD PRIMARY KEY (customer);
SELECT sum(pg_column_size(history)) <= 0.15 * min(pg_relation_size('orders')) AS fifteen_percent,
	sum(pg_column_size(history)) <= 0.10 * min(pg_relation_size('orders')) AS ten_percent,
	sum(pg_column_size(history)) <= 8 * sum(purchase_days(history)) AS eight_bytes_a_day,
	pg_total_relation_size('history') <= 0.5 * min(pg_relation_size('orders')) AS half_with_key_and_index
FROM history;

SET client_min_messages = warning;
DROP SCHEMA history_limits CASCADE;
