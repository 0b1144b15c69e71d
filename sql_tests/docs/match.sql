\ir common.sql
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
ALTER TABLE customers ADD revenue numeric;
UPDATE customers SET revenue = coalesce((SELECT sum(amount) FROM orders WHERE customer_id = customers.id), 0);
ALTER TABLE leads RENAME TO prospects;
