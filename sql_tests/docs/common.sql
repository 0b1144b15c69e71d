-- The example tables of the documentation: customers with attributes, three years of their orders, leads who have not bought. The same rows every
-- time: what looks like chance comes from md5.
CREATE FUNCTION pg_temp.chance(what text, i int) RETURNS float8 IMMUTABLE LANGUAGE sql
	RETURN ('x' || substr(md5(what || i), 1, 7))::bit(28)::int / 268435456.0;

CREATE TABLE customers (
	id bigint PRIMARY KEY,
	name text NOT NULL,
	email text,
	education text,
	age integer,
	city text,
	job text
);
INSERT INTO customers
SELECT i, 'Customer ' || i, 'c' || i || '@example.com',
	(ARRAY['Basic', 'Graduation', 'Graduation', 'Master', 'PhD'])[1 + floor(5 * pg_temp.chance('education', i))::int],
	18 + floor(60 * pg_temp.chance('age', i))::int,
	(ARRAY['Lyon', 'Lyon', 'Nantes', 'Lille', 'Metz'])[1 + floor(5 * pg_temp.chance('city', i))::int],
	(ARRAY['admin', 'nurse', 'teacher', 'engineer'])[1 + floor(4 * pg_temp.chance('job', i))::int]
FROM generate_series(1, 600) i;

-- Each buys at a rate of their own, from a first day on, and may be lost after any purchase. Engineers and people from Lyon buy more.
CREATE TABLE orders (
	id bigint PRIMARY KEY,
	customer_id bigint NOT NULL REFERENCES customers,
	ordered_at timestamp NOT NULL,
	amount numeric(10,2) NOT NULL
);
INSERT INTO orders
SELECT row_number() OVER (ORDER BY at, id), id, date_trunc('minute', at), round((base * (0.5 + pg_temp.chance('amount' || n, id::int)))::numeric, 2)
FROM (
	SELECT id, n, base, timestamp '2023-01-01 09:00' + first_day * interval '1 day'
			+ sum(CASE WHEN n = 1 THEN 0 ELSE -ln(1 - pg_temp.chance('gap' || n, id::int)) * mean_gap END) OVER (PARTITION BY id ORDER BY n) * interval '1 day' AS at,
		bool_or(pg_temp.chance('leaves' || n, id::int) < 0.06) OVER (PARTITION BY id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gone
	FROM (
		SELECT id, floor(1090 * pg_temp.chance('first', id::int)) AS first_day,
			(25 + 120 * pg_temp.chance('rate', id::int)) * CASE WHEN job = 'engineer' THEN 0.5 ELSE 1 END AS mean_gap,
			(10 + 60 * pg_temp.chance('base', id::int)) * CASE WHEN city = 'Lyon' THEN 2 ELSE 1 END AS base
		FROM customers WHERE id <= 580
	) c, generate_series(1, 60) n
) o
WHERE at < '2026-01-01' AND NOT coalesce(gone, false);

CREATE TABLE leads (LIKE customers);
ALTER TABLE leads ADD PRIMARY KEY (id);
INSERT INTO leads
SELECT i, 'Lead ' || i, 'l' || i || '@example.com',
	(ARRAY['Basic', 'Graduation', 'Graduation', 'Master', 'PhD'])[1 + floor(5 * pg_temp.chance('education', i))::int],
	18 + floor(60 * pg_temp.chance('age', i))::int,
	(ARRAY['Lyon', 'Lyon', 'Nantes', 'Lille', 'Metz'])[1 + floor(5 * pg_temp.chance('city', i))::int],
	(ARRAY['admin', 'nurse', 'teacher', 'engineer'])[1 + floor(4 * pg_temp.chance('job', i))::int]
FROM generate_series(1001, 1150) i;
ANALYZE customers, orders, leads;
DROP FUNCTION pg_temp.chance;
