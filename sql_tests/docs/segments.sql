\ir common.sql
CREATE EXTENSION crm_profile;
CREATE TABLE scores AS
	SELECT customer_id AS customer, crm_profile.rfm_score(1 + customer_id::int % 5, 1 + customer_id::int / 5 % 5, 1 + customer_id::int / 25 % 5) AS score
	FROM orders GROUP BY customer_id;
