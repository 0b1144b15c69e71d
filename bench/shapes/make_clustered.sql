-- The rows of a customer one after the other, with an index on the customer
CREATE SCHEMA clustered;
CREATE TABLE clustered.orders AS SELECT * FROM public.orders ORDER BY customer_id, ordered_at;
CREATE INDEX ON clustered.orders (customer_id);
