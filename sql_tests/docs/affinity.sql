-- A small shop: orders of 60 customers, and what was in them
CREATE EXTENSION crm_profile;
CREATE TABLE customers (id integer PRIMARY KEY);
INSERT INTO customers SELECT generate_series(1, 60);
CREATE TABLE orders (order_id integer PRIMARY KEY, customer_id integer REFERENCES customers, ordered_at date, amount numeric(10,2));
INSERT INTO orders SELECT i, 1 + i % 60, date '2025-01-01' + i, 10 + i % 7 * i % 60 FROM generate_series(1, 300) i;
CREATE TABLE order_lines (order_id integer REFERENCES orders, product text, category text);
INSERT INTO order_lines SELECT order_id, p.product, p.category FROM orders, (VALUES ('tea', 'drinks', 2), ('milk', 'dairy', 3), ('scones', 'bakery', 4), ('jam', 'spreads', 5)) p(product, category, n)
	WHERE order_id % p.n = 0 OR customer_id % 10 = p.n;
SELECT count(*) FROM crm_profile.create_source('shop', customers => 'customers', orders => 'orders', as_of => '2025-12-31');
SELECT count(*) FROM crm_profile.refresh('shop');
