-- The customers of the orders, and a table for measurements
SET work_mem = '1GB';
CREATE TABLE customers AS SELECT DISTINCT customer_id FROM orders;
ALTER TABLE customers ADD PRIMARY KEY (customer_id);
VACUUM (FREEZE, ANALYZE) customers;
CREATE TABLE measured (what text, round integer, seconds float8);
