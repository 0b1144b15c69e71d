\ir common.sql
CREATE EXTENSION crm_profile;
SELECT count(*) FROM crm_profile.create_source('shop', 'customers', 'orders', as_of => '2026-01-01') \g /dev/null
CREATE TABLE contact AS
	SELECT id AS customer_id, 'spring' AS campaign, date '2025-03-01' AS sent, CASE WHEN id % 5 = 0 THEN 'control' ELSE 'mail' END AS grp FROM customers;
SELECT count(*) FROM crm_profile.refresh('shop') \g /dev/null
SET search_path = public, crm_profile;
