-- Three lines an order, joined to the orders; plain SQL sums them by order first
CREATE SCHEMA lines;
CREATE TABLE lines.header AS SELECT order_id, customer_id, ordered_at, status FROM public.orders;
ALTER TABLE lines.header ADD PRIMARY KEY (order_id);
CREATE TABLE lines.line AS SELECT order_id, n AS line_no, 'P' || (order_id * n * 31 % 4999) AS product,
	CASE n WHEN 1 THEN amount - 2 * trunc(amount / 3, 2) ELSE trunc(amount / 3, 2) END::numeric(12, 2) AS amount FROM public.orders, generate_series(1, 3) n;
ALTER TABLE lines.line ADD PRIMARY KEY (order_id, line_no);
CREATE VIEW lines.orders AS SELECT customer_id, ordered_at, sum(l.amount) AS amount FROM lines.line l JOIN lines.header USING (order_id)
	GROUP BY order_id, customer_id, ordered_at;
