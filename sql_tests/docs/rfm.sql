\ir common.sql
CREATE EXTENSION crm_profile;
CREATE TABLE history AS
	SELECT customer_id AS customer, crm_profile.purchase_history_agg(ordered_at, amount) AS history FROM orders GROUP BY customer_id;
