-- Amounts of type float8, which plain SQL has to round
CREATE SCHEMA "float8";
CREATE TABLE "float8".stored AS SELECT order_id, customer_id, ordered_at, amount::float8 AS raw_amount, status FROM public.orders;
CREATE VIEW "float8".orders AS SELECT customer_id, ordered_at, round(raw_amount::numeric, 2) AS amount FROM "float8".stored;
