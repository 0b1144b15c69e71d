\ir common.sql
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
ALTER TABLE customers ADD income numeric, ADD is_best boolean;
UPDATE customers SET income = 1500 + 10 * (id * 37 % 100) + CASE job WHEN 'engineer' THEN 900 ELSE 0 END,
	is_best = coalesce((SELECT sum(amount) > 600 FROM orders WHERE customer_id = customers.id), false);
ALTER TABLE customers ADD revenue numeric;
UPDATE customers SET revenue = coalesce((SELECT sum(amount) FROM orders WHERE customer_id = customers.id), 0);
