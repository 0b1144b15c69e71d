-- As many customers as orders
CREATE SCHEMA one_time;
CREATE TABLE one_time.orders AS SELECT order_id, order_id * 7919 % (10 * :orders) AS customer_id, ordered_at, amount, status FROM public.orders;
