-- Amounts of type money, which plain SQL has to round
CREATE SCHEMA "money";
CREATE TABLE "money".stored AS SELECT order_id, customer_id, ordered_at, amount::money AS raw_amount, status FROM public.orders;
CREATE VIEW "money".orders AS SELECT customer_id, ordered_at, round(raw_amount::numeric, 2) AS amount FROM "money".stored;
