CREATE SCHEMA text;
CREATE TABLE text.orders AS SELECT order_id, 'K-' || lpad(customer_id::text, 9, '0') AS customer_id, ordered_at, amount, status FROM public.orders;
