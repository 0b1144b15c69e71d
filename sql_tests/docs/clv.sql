\ir common.sql
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
CREATE TABLE customer_history AS SELECT customer_id AS customer, purchase_history_agg(ordered_at, amount) AS history FROM orders GROUP BY customer_id;
