-- Orders for the benchmarks, as an order table grows: :orders rows in order of time over three years, for a tenth as many customers,
-- each with at least one order, a few with very many.
CREATE TABLE orders (
	order_id bigint NOT NULL,
	customer_id bigint NOT NULL,
	ordered_at timestamp NOT NULL,
	amount numeric(12, 2) NOT NULL,
	status text NOT NULL
);
SELECT setseed(0.42) \g /dev/null
INSERT INTO orders
SELECT i,
	CASE WHEN i % 10 = 0 THEN i / 10 ELSE 1 + floor(:orders / 10 * random() ^ 2.5) END::bigint,
	timestamp '2023-01-01' + i * (interval '1095 days' / :orders),
	round(exp(3.7 + 0.9 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))::numeric, 2),
	CASE WHEN random() < 0.9 THEN 'paid' ELSE 'open' END
FROM generate_series(1, :orders) AS i;
VACUUM (FREEZE, ANALYZE) orders;
