-- A hundred customers
CREATE SCHEMA few;
CREATE TABLE few.orders AS SELECT order_id, order_id * 7919 % 100 AS customer_id, ordered_at, amount, status FROM public.orders;
