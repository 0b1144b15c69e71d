CREATE SCHEMA uuid;
CREATE TABLE uuid.orders AS SELECT order_id, md5(customer_id::text)::uuid AS customer_id, ordered_at, amount, status FROM public.orders;
