-- Amounts of all types: rounded as round(x::numeric, n) rounds them, and read without rounding where they are exact
CREATE SCHEMA amounts;
SET search_path = amounts, crm_profile, public;
SET datestyle = ISO;

-- numbers that are hard to round: halves of a unit and their neighbours, sums, powers of two, very small and large ones
CREATE TABLE hard AS
SELECT row_number() OVER () AS n, v FROM (
	SELECT (i::bigint * 7919 % 1000003) / 1000.0::float8 AS v FROM generate_series(1, 1500) i
	UNION ALL SELECT ((i::bigint * 104729 % (10 ^ (1 + i % 13))::bigint)::float8 * 10 + 5) / 10::float8 ^ (i % 8) FROM generate_series(1, 2500) i
	UNION ALL SELECT (0.5 + i % 1000) / 10::float8 ^ (i % 7) + sign(i % 3 - 1) * 2::float8 ^ (-53 + i % 25) * (0.5 + i % 1000) / 10::float8 ^ (i % 7) FROM generate_series(1, 2500) i
	UNION ALL SELECT 0.1::float8 * i + 0.2 FROM generate_series(1, 1000) i
	UNION ALL SELECT i::float8 * 2::float8 ^ (i % 90 - 60) FROM generate_series(1, 1000) i
	UNION ALL SELECT (1 + i % 99 + 0.000000000000005 * i)::float8 FROM generate_series(1, 500) i
	UNION ALL SELECT 1.1::float8 ^ i FROM generate_series(-900, 300) i
	UNION ALL SELECT unnest('{0, -0, 1.005, 2.675, 1.0049999999999999, 0.5, 1.5, 2.5, 0.4999999999999999, 0.49999999999999994, 99999999999999.5, 123456789012.345,
		999999.995, 9999999999999.995, 0.000001, 0.0000005, 0.0000004999999, 1e14, 123456789012345.6, 1e17, 5e-324, 2.2250738585072014e-308}'::float8[])) x (v);
CREATE TABLE large AS SELECT n, v, v::real AS f FROM hard WHERE abs(v) >= 9e11;
DELETE FROM hard WHERE abs(v) >= 9e11;
INSERT INTO hard SELECT n + 100000, -v FROM hard;
ALTER TABLE hard ADD f real;
UPDATE hard SET f = v WHERE v = 0 OR abs(v) > 1e-37;


-- how many numbers there are, and how many become another amount than by PostgreSQL's own rounding
CREATE FUNCTION compare(amount text, scale int, query text, more text DEFAULT '', relation text DEFAULT 'hard', OUT numbers bigint, OUT different bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE c.history IS DISTINCT FROM h.history)
		FROM (SELECT n, purchase_history_agg(date ''2025-01-01'', round(%1$s::numeric, %2$s)) AS history FROM %5$s WHERE %1$s IS NOT NULL GROUP BY n) h
		FULL JOIN collect_purchase_histories(NULL::bigint, %3$L%4$s) c ON c.customer = h.n', amount, scale, query, more, relation) INTO numbers, different;
END $$;
SELECT amount, sum(numbers) AS numbers, sum(different) AS different FROM unnest('{v,f,v::numeric}'::text[]) amount, generate_series(0, 6) scale,
	compare(amount, scale, format('SELECT n, date ''2025-01-01'', %s FROM hard', amount), format(', amount_scale => %s', scale)) GROUP BY 1 ORDER BY 1;
SELECT amount, c.* FROM unnest('{v,f}'::text[]) amount, compare(amount, 0, format('SELECT n, date ''2025-01-01'', %s FROM large', amount), ', amount_scale => 0', 'large') c ORDER BY 1;
-- a query that rounds is read the same way, in any plan
SELECT amount, sum(numbers) AS numbers, sum(different) AS different FROM unnest('{v,f,v::numeric}'::text[]) amount, unnest('{0,2,5}'::int[]) scale,
	compare(amount, scale, format('SELECT n, date ''2025-01-01'', round(%s::numeric, %s) FROM hard', amount, scale)) GROUP BY 1 ORDER BY 1;
CREATE VIEW rounded AS SELECT n, date '2025-01-01' AS day, round(v::numeric, 2) AS amount FROM hard;
SELECT way, c.* FROM (VALUES
	(1, 'over partitions', 'SELECT n, date ''2025-01-01'', round(a::numeric, 2) FROM (SELECT n, v AS a FROM hard WHERE n < 5000 UNION ALL SELECT n, v FROM hard WHERE n >= 5000) u'),
	(2, 'of two types', 'SELECT n, date ''2025-01-01'', round(v::numeric, 2) FROM hard WHERE n < 5000 UNION ALL SELECT n, date ''2025-01-01'', round(v::numeric + 0, 2) FROM hard WHERE n >= 5000'),
	(3, 'sorted by it', 'SELECT n, date ''2025-01-01'', round(v::numeric, 2) AS a FROM hard ORDER BY a'),
	(4, 'without duplicates', 'SELECT DISTINCT n, date ''2025-01-01'', round(v::numeric, 2) FROM hard'),
	(5, 'a sum', 'SELECT n, date ''2025-01-01'', round(sum(v)::numeric, 2) FROM hard GROUP BY n'),
	(6, 'a join', 'SELECT h.n, date ''2025-01-01'', round(h.v::numeric, 2) FROM hard h JOIN hard k USING (n)'),
	(7, 'limited', 'SELECT n, date ''2025-01-01'', round(v::numeric, 2) FROM hard LIMIT 1000000'),
	(8, 'in a view', 'SELECT * FROM rounded')) w (place, way, query), compare('v', 2, query) c ORDER BY place;
-- rounding twice is not rounding once
SELECT history FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', round(0.4449::float8::numeric, 3)', amount_scale => 2);
SELECT history FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', round(x, 3) FROM (VALUES (0.4449::numeric)) v (x)', amount_scale => 2);

-- numbers, integers and money; costs are rounded as well
SELECT customer, history FROM collect_purchase_histories(NULL::int, 'SELECT i, date ''2025-01-01'', 10.0 ^ -i * 444445 + 1e-9::numeric, -0.005 * i AS cost FROM generate_series(1, 6) i', amount_scale => 2) ORDER BY 1;
SELECT customer, history FROM collect_purchase_histories(NULL::int, 'SELECT i, date ''2025-01-01'', 7 * i, 1.25::real AS cost FROM generate_series(1, 2) i', amount_scale => 1) ORDER BY 1;
SELECT customer, frequency, monetary FROM rfm_scores(NULL::int, 'SELECT 1 + i % 2, date ''2025-01-01'', i / 8.0::float8 FROM generate_series(1, 8) i', '2025-12-31', scheme => NULL, amount_scale => 2) ORDER BY 1;
SET lc_monetary = 'C';
SELECT customer, history FROM collect_purchase_histories(NULL::int, 'SELECT i, date ''2025-01-01'', (1.005 * i)::numeric::money FROM generate_series(-2, 2) i') ORDER BY 1;
SELECT customer, history FROM collect_purchase_histories(NULL::int, 'SELECT i, date ''2025-01-01'', (0.15 * i)::numeric::money FROM generate_series(-3, 3) i', amount_scale => 1) ORDER BY 1;
SELECT customer, history FROM collect_purchase_histories(NULL::int, 'SELECT i, date ''2025-01-01'', round((0.15 * i)::numeric::money::numeric, 1) FROM generate_series(-3, 3) i') ORDER BY 1;

-- errors
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', 1.5::float8');
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', 1.5::real', amount_scale => 7);
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', ''NaN''::float8', amount_scale => 2);
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', round(''-Infinity''::real::numeric, 2)');
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', 1e19::float8', amount_scale => 2);
SELECT * FROM collect_purchase_histories(NULL::int, 'SELECT 1, date ''2025-01-01'', true', amount_scale => 2);

SET client_min_messages = warning;
DROP SCHEMA amounts CASCADE;
