\ir common.sql
CREATE EXTENSION crm_profile;
CREATE TABLE scores AS
	SELECT customer_id AS customer, crm_profile.rfm_score(1 + customer_id::int % 5, 1 + customer_id::int / 5 % 5, 1 + customer_id::int / 25 % 5) AS score
	FROM orders GROUP BY customer_id;
CREATE TABLE history AS
	SELECT * FROM crm_profile.collect_purchase_histories(NULL::bigint, 'SELECT customer_id, ordered_at, amount FROM orders');
