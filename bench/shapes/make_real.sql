-- Amounts of type real, which plain SQL has to round
CREATE SCHEMA "real";
CREATE TABLE "real".stored AS SELECT order_id, customer_id, ordered_at, amount::real AS raw_amount, status FROM public.orders;
CREATE VIEW "real".orders AS SELECT customer_id, ordered_at, round(raw_amount::numeric, 2) AS amount FROM "real".stored;
