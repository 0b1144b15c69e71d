-- suggest_sources() on databases shaped like those of shops that many people run: the tables and columns that decide, under their published
-- names. In each, customer 1 bought for 10 on 2024-01-05 and for 20 on 2024-02-05, customer 2 for 30 on 2024-03-05; what was cancelled is 99.
SET datestyle = ISO;
SET timezone = 'UTC';
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never

-- looked_at(SCHEMA): the first suggestion; then all calls are run, and the first source is refreshed
CREATE FUNCTION pg_temp.looked_at(product name, OUT suggestions bigint, OUT customers text, OUT orders text, OUT reason text, OUT read text) LANGUAGE plpgsql AS $$
DECLARE
	calls text[] := ARRAY(SELECT d.call FROM crm_profile.suggest_sources_details() d);
	suggestion text;
	name text;
BEGIN
	suggestions := cardinality(calls);
	SELECT d.customers, d.orders, d.reason INTO customers, orders, reason FROM crm_profile.suggest_sources_details() d LIMIT 1;
	FOREACH suggestion IN ARRAY calls LOOP
		EXECUTE suggestion;
	END LOOP;
	name := substring(calls[1] FROM $x$\n '([^']+)'$x$);
	PERFORM crm_profile.alter_source(name, as_of => '2024-06-01');
	PERFORM crm_profile.refresh(name);
	EXECUTE format($x$SELECT concat_ws(' ', sum(frequency), 'orders,', count(*) FILTER (WHERE frequency > 0), 'customers,', round(sum(monetary), 2), 'from', min(first_purchase), 'to', max(last_purchase)) FROM %I.customer_profile$x$, name) INTO read;
	FOREACH suggestion IN ARRAY calls LOOP
		PERFORM crm_profile.drop_source(substring(suggestion FROM $x$\n '([^']+)'$x$));
	END LOOP;
	EXECUTE format('DROP SCHEMA %I CASCADE', product);
END $$;

-- Magento: a hundred columns of money, totals in two currencies, sessions and quotes with customers, too
CREATE SCHEMA magento;
SET search_path = magento;
CREATE TABLE admin_user (user_id int PRIMARY KEY, username varchar(40), created timestamp);
CREATE TABLE customer_entity (entity_id int PRIMARY KEY, website_id smallint, email varchar(255), group_id smallint, created_at timestamp, updated_at timestamp, dob date, store_id smallint);
CREATE TABLE customer_address_entity (entity_id int PRIMARY KEY, parent_id int REFERENCES customer_entity, created_at timestamp, city varchar(255));
CREATE TABLE quote (entity_id int PRIMARY KEY, created_at timestamp, updated_at timestamp, grand_total numeric(20,4), customer_id int, customer_email varchar(255));
CREATE TABLE sales_order (entity_id int PRIMARY KEY, state varchar(32), status varchar(32), store_id smallint, customer_id int REFERENCES customer_entity, base_discount_amount numeric(20,4), base_grand_total numeric(20,4), base_shipping_amount numeric(20,4),
	base_subtotal numeric(20,4), base_tax_amount numeric(20,4), base_to_global_rate numeric(20,4), base_total_refunded numeric(20,4), grand_total numeric(20,4), store_to_base_rate numeric(12,4), subtotal numeric(20,4), total_paid numeric(20,4),
	total_qty_ordered numeric(12,4), base_total_due numeric(20,4), weight numeric(12,4), increment_id varchar(32), created_at timestamp, updated_at timestamp, total_item_count smallint);
CREATE TABLE sales_order_item (item_id int PRIMARY KEY, order_id int REFERENCES sales_order, product_id int, qty_ordered numeric(12,4), price numeric(12,4), row_total numeric(20,4), created_at timestamp);
CREATE TABLE sales_order_grid (entity_id int PRIMARY KEY, status varchar(32), customer_id int, base_grand_total numeric(20,4), grand_total numeric(20,4), created_at timestamp);
CREATE TABLE sales_invoice (entity_id int PRIMARY KEY, order_id int REFERENCES sales_order, grand_total numeric(20,4), created_at timestamp);
CREATE TABLE wishlist (wishlist_id int PRIMARY KEY, customer_id int REFERENCES customer_entity, updated_at timestamp);
INSERT INTO customer_entity (entity_id) VALUES (1), (2), (3);
INSERT INTO sales_order (entity_id, state, status, customer_id, base_grand_total, grand_total, subtotal, store_to_base_rate, created_at, updated_at)
VALUES (1, 'complete', 'complete', 1, 10, 11, 8, 1.1, '2024-01-05', '2024-04-01'), (2, 'complete', 'complete', 1, 20, 22, 17, 1.1, '2024-02-05', '2024-04-01'), (3, 'processing', 'processing', 2, 30, 33, 25, 1.1, '2024-03-05', '2024-04-01'),
	(4, 'canceled', 'canceled', 2, 99, 99, 99, 1, '2024-04-05', '2024-04-05');
SELECT * FROM pg_temp.looked_at('magento') \gx

SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- WooCommerce: its own list of customers beside the users of WordPress, no foreign keys
CREATE SCHEMA woocommerce;
SET search_path = woocommerce;
CREATE TABLE wp_users ("ID" bigint PRIMARY KEY, user_login varchar(60), user_registered timestamp);
CREATE TABLE wp_posts ("ID" bigint PRIMARY KEY, post_author bigint, post_date timestamp);
CREATE TABLE wp_wc_customer_lookup (customer_id bigint PRIMARY KEY, user_id bigint, username varchar(60), email varchar(100), date_last_active timestamp, date_registered timestamp, country char(2));
CREATE TABLE wp_wc_order_stats (order_id bigint PRIMARY KEY, parent_id bigint, date_created timestamp, date_created_gmt timestamp, date_paid timestamp, num_items_sold int, total_sales double precision, tax_total double precision, shipping_total double precision,
	net_total double precision, returning_customer smallint, status varchar(200), customer_id bigint);
CREATE TABLE wp_wc_order_product_lookup (order_item_id bigint PRIMARY KEY, order_id bigint, product_id bigint, customer_id bigint, date_created timestamp, product_qty int, product_net_revenue double precision, product_gross_revenue double precision, tax_amount double precision);
CREATE TABLE wp_wc_orders (id bigint PRIMARY KEY, status varchar(20), currency varchar(10), type varchar(20), tax_amount numeric(26,8), total_amount numeric(26,8), customer_id bigint, billing_email varchar(320), date_created_gmt timestamp, date_updated_gmt timestamp);
INSERT INTO wp_wc_customer_lookup (customer_id) VALUES (1), (2);
INSERT INTO wp_wc_order_stats (order_id, date_created, total_sales, tax_total, net_total, status, customer_id)
VALUES (1, '2024-01-05', 10, 2, 8, 'wc-completed', 1), (2, '2024-02-05', 20, 3, 17, 'wc-completed', 1), (3, '2024-03-05', 30, 5, 25, 'wc-processing', 2), (4, '2024-04-05', 99, 0, 99, 'wc-cancelled', 2);
SELECT * FROM pg_temp.looked_at('woocommerce') \gx

-- PrestaShop: keys called id_customer, totals with and without tax, days that are not set
CREATE SCHEMA prestashop;
SET search_path = prestashop;
CREATE TABLE ps_employee (id_employee int PRIMARY KEY, lastname varchar(255));
CREATE TABLE ps_customer (id_customer int PRIMARY KEY, id_gender int, firstname varchar(255), email varchar(255), birthday date, date_add timestamp, date_upd timestamp);
CREATE TABLE ps_guest (id_guest int PRIMARY KEY, id_customer int, accept_language varchar(8));
CREATE TABLE ps_cart (id_cart int PRIMARY KEY, id_customer int, id_guest int, date_add timestamp, date_upd timestamp);
CREATE TABLE ps_orders (id_order int PRIMARY KEY, reference varchar(9), id_customer int, id_cart int, current_state int, conversion_rate numeric(13,6), total_discounts numeric(20,6), total_paid numeric(20,6), total_paid_tax_incl numeric(20,6), total_paid_tax_excl numeric(20,6),
	total_paid_real numeric(20,6), total_products numeric(20,6), total_shipping numeric(20,6), invoice_date timestamp, delivery_date timestamp, valid smallint, date_add timestamp, date_upd timestamp);
CREATE TABLE ps_order_detail (id_order_detail int PRIMARY KEY, id_order int, product_id int, product_quantity int, product_price numeric(20,6), total_price_tax_incl numeric(20,6));
INSERT INTO ps_customer (id_customer) VALUES (1), (2);
INSERT INTO ps_orders (id_order, id_customer, conversion_rate, total_paid, total_paid_real, total_products, valid, date_add, date_upd)
VALUES (1, 1, 1, 10, 10, 8, 1, '2024-01-05', '2024-05-01'), (2, 1, 1, 20, 20, 17, 1, '2024-02-05', '2024-05-01'), (3, 2, 1, 30, 0, 25, 1, '2024-03-05', '2024-05-01'), (4, 2, 1, 99, 0, 99, 0, '2024-04-05', '2024-05-01');
SELECT * FROM pg_temp.looked_at('prestashop') \gx

-- Shopware 6: who bought is told by a table between the orders and the customers; keys of two columns
CREATE SCHEMA shopware;
SET search_path = shopware;
CREATE TABLE "user" (id uuid PRIMARY KEY, username text);
CREATE TABLE customer (id uuid PRIMARY KEY, customer_number text, email text, created_at timestamp, order_total_amount double precision, last_order_date timestamp);
CREATE TABLE "order" (id uuid, version_id uuid, order_number text, currency_factor double precision, order_date_time timestamp, order_date date, amount_total double precision, amount_net double precision, position_price double precision, shipping_total double precision,
	created_by_id uuid REFERENCES "user", updated_by_id uuid REFERENCES "user", created_at timestamp, updated_at timestamp, PRIMARY KEY (id, version_id));
CREATE TABLE order_customer (id uuid, version_id uuid, customer_id uuid REFERENCES customer, order_id uuid NOT NULL, order_version_id uuid NOT NULL, email text, created_at timestamp, updated_at timestamp,
	PRIMARY KEY (id, version_id), FOREIGN KEY (order_id, order_version_id) REFERENCES "order");
CREATE TABLE order_line_item (id uuid, version_id uuid, order_id uuid, order_version_id uuid, quantity int, unit_price double precision, total_price double precision, created_at timestamp, FOREIGN KEY (order_id, order_version_id) REFERENCES "order");
CREATE FUNCTION u(n int) RETURNS uuid LANGUAGE sql RETURN lpad(n::text, 32, '0')::uuid;
INSERT INTO customer (id) VALUES (u(1)), (u(2));
INSERT INTO "order" (id, version_id, order_date_time, amount_total, amount_net, currency_factor, created_at) VALUES (u(11), u(9), '2024-01-05', 10, 8, 1, '2024-01-05'), (u(12), u(9), '2024-02-05', 20, 17, 1, '2024-02-05'), (u(13), u(9), '2024-03-05', 30, 25, 1, '2024-03-05');
INSERT INTO order_customer (id, version_id, customer_id, order_id, order_version_id) VALUES (u(21), u(9), u(1), u(11), u(9)), (u(22), u(9), u(1), u(12), u(9)), (u(23), u(9), u(2), u(13), u(9));
SELECT * FROM pg_temp.looked_at('shopware') \gx

-- Odoo: partners who buy, users who sell and enter, purchases from vendors, quotations
CREATE SCHEMA odoo;
SET search_path = odoo;
CREATE TABLE res_users (id int PRIMARY KEY, login varchar, partner_id int);
CREATE TABLE res_partner (id int PRIMARY KEY, name varchar, create_uid int REFERENCES res_users, write_uid int REFERENCES res_users, create_date timestamp, parent_id int REFERENCES res_partner);
ALTER TABLE res_users ADD FOREIGN KEY (partner_id) REFERENCES res_partner;
CREATE TABLE sale_order (id int PRIMARY KEY, create_uid int REFERENCES res_users, write_uid int REFERENCES res_users, user_id int REFERENCES res_users, partner_id int NOT NULL REFERENCES res_partner, partner_invoice_id int REFERENCES res_partner,
	partner_shipping_id int REFERENCES res_partner, state varchar, name varchar, validity_date date, commitment_date timestamp, currency_rate numeric, amount_untaxed numeric, amount_tax numeric, amount_total numeric, date_order timestamp, create_date timestamp, write_date timestamp);
CREATE TABLE sale_order_line (id int PRIMARY KEY, order_id int REFERENCES sale_order, order_partner_id int REFERENCES res_partner, price_unit numeric, product_uom_qty numeric, price_subtotal numeric, price_total numeric, create_date timestamp);
CREATE TABLE purchase_order (id int PRIMARY KEY, partner_id int REFERENCES res_partner, user_id int REFERENCES res_users, state varchar, amount_total numeric, date_order timestamp, date_approve timestamp);
CREATE TABLE crm_lead (id int PRIMARY KEY, partner_id int REFERENCES res_partner, expected_revenue numeric, probability double precision, create_date timestamp);
INSERT INTO res_partner (id) VALUES (1), (2), (3);
INSERT INTO res_users VALUES (7, 'seller', 3);
INSERT INTO sale_order (id, create_uid, user_id, partner_id, partner_invoice_id, state, amount_untaxed, amount_total, date_order, create_date, write_date) VALUES
	(1, 7, 7, 1, 2, 'sale', 8, 10, '2024-01-05', '2023-12-01', '2024-05-01'), (2, 7, 7, 1, 2, 'done', 17, 20, '2024-02-05', '2024-01-01', '2024-05-01'), (3, 7, 7, 2, 1, 'sale', 25, 30, '2024-03-05', '2024-03-05', '2024-05-01'),
	(4, 7, 7, 2, 1, 'sent', 99, 99, '2024-04-05', '2024-04-05', '2024-05-01'), (5, 7, 7, 2, 1, 'cancel', 99, 99, '2024-04-05', '2024-04-05', '2024-05-01'), (6, 7, 7, 2, 1, 'draft', 99, 99, '2024-04-05', '2024-04-05', '2024-05-01');
SELECT * FROM pg_temp.looked_at('odoo') \gx

-- osCommerce: no foreign keys, no total but lines with two prices, and a table of totals by kind that must not be summed
CREATE SCHEMA oscommerce;
SET search_path = oscommerce;
CREATE TABLE administrators (id int PRIMARY KEY, user_name varchar(255));
CREATE TABLE customers (customers_id int PRIMARY KEY, customers_firstname varchar(255), customers_dob timestamp, customers_email_address varchar(255));
CREATE TABLE customers_info (customers_info_id int PRIMARY KEY, customers_info_date_account_created timestamp);
CREATE TABLE orders (orders_id int PRIMARY KEY, customers_id int, customers_name varchar(255), last_modified timestamp, date_purchased timestamp, orders_status int, orders_date_finished timestamp, currency char(3), currency_value numeric(14,6));
CREATE TABLE orders_products (orders_products_id int PRIMARY KEY, orders_id int, products_id int, products_price numeric(15,4), final_price numeric(15,4), products_tax numeric(7,4), products_quantity int);
CREATE TABLE orders_total (orders_total_id int PRIMARY KEY, orders_id int, title varchar(255), value numeric(15,4), class varchar(32), sort_order int);
CREATE TABLE orders_status_history (orders_status_history_id int PRIMARY KEY, orders_id int, date_added timestamp, customer_notified int);
INSERT INTO customers (customers_id) VALUES (1), (2);
INSERT INTO orders (orders_id, customers_id, last_modified, date_purchased, orders_date_finished, currency_value) VALUES (1, 1, '2024-05-01', '2024-01-05', '2024-05-01', 1), (2, 1, '2024-05-01', '2024-02-05', NULL, 1), (3, 2, '2024-05-01', '2024-03-05', NULL, 1);
INSERT INTO orders_products VALUES (1, 1, 1, 9, 5, 0, 2), (2, 2, 1, 9, 5, 0, 2), (3, 2, 2, 11, 10, 0, 1), (4, 3, 1, 9, 5, 0, 6);
INSERT INTO orders_total VALUES (1, 1, 'Sub-Total', 10, 'ot_subtotal', 1), (2, 1, 'Total', 12, 'ot_total', 2);
SELECT * FROM pg_temp.looked_at('oscommerce') \gx

-- Zen Cart: the same with a total in the order
CREATE SCHEMA zencart;
SET search_path = zencart;
CREATE TABLE customers (customers_id int PRIMARY KEY, customers_email_address varchar(255));
CREATE TABLE orders (orders_id int PRIMARY KEY, customers_id int, last_modified timestamp, date_purchased timestamp, orders_status int, currency_value numeric(14,6), order_total numeric(15,4), order_tax numeric(15,4));
CREATE TABLE orders_products (orders_products_id int PRIMARY KEY, orders_id int, products_id int, final_price numeric(15,4), products_quantity double precision);
INSERT INTO customers VALUES (1), (2);
INSERT INTO orders (orders_id, customers_id, last_modified, date_purchased, order_total, order_tax) VALUES (1, 1, '2024-05-01', '2024-01-05', 10, 2), (2, 1, '2024-05-01', '2024-02-05', 20, 3), (3, 2, '2024-05-01', '2024-03-05', 30, 5);
SELECT * FROM pg_temp.looked_at('zencart') \gx

-- Spree and Solidus: no foreign keys; who approved and who created is no buyer; carts are orders that were not completed
CREATE SCHEMA spree;
SET search_path = spree;
CREATE TABLE spree_users (id int PRIMARY KEY, email varchar, created_at timestamp);
CREATE TABLE spree_addresses (id int PRIMARY KEY, user_id bigint, city varchar, created_at timestamp);
CREATE TABLE spree_orders (id int PRIMARY KEY, number varchar, item_total numeric(10,2), total numeric(10,2), state varchar, adjustment_total numeric(10,2), user_id bigint, completed_at timestamp, bill_address_id int, payment_total numeric(10,2), shipment_state varchar, payment_state varchar,
	email varchar, created_at timestamp, updated_at timestamp, created_by_id int, shipment_total numeric(10,2), promo_total numeric(10,2), item_count int, approver_id int, canceled_at timestamp, canceler_id int);
CREATE TABLE spree_line_items (id int PRIMARY KEY, order_id int, variant_id int, quantity int, price numeric(10,2), cost_price numeric(10,2), created_at timestamp);
CREATE TABLE spree_payments (id int PRIMARY KEY, order_id int, amount numeric(10,2), created_at timestamp);
INSERT INTO spree_users VALUES (1), (2), (3);
INSERT INTO spree_orders (id, item_total, total, state, user_id, completed_at, payment_total, payment_state, created_at, updated_at, created_by_id, canceled_at) VALUES
	(1, 8, 10, 'complete', 1, '2024-01-05', 10, 'paid', '2023-12-01', '2024-05-01', 3, NULL), (2, 17, 20, 'complete', 1, '2024-02-05', 20, 'paid', '2023-12-01', '2024-05-01', 3, NULL),
	(3, 25, 30, 'complete', 2, '2024-03-05', 0, 'balance_due', '2023-12-01', '2024-05-01', 3, NULL), (4, 99, 99, 'canceled', 2, '2024-04-05', 0, 'void', '2023-12-01', '2024-05-01', 3, '2024-04-06'),
	(5, 99, 99, 'cart', 2, NULL, 0, NULL, '2024-04-05', '2024-05-01', 3, NULL);
SELECT * FROM pg_temp.looked_at('spree') \gx

-- Medusa: text keys, whole numbers, the amounts in lines that point to an order or to a cart
CREATE SCHEMA medusa;
SET search_path = medusa;
CREATE TABLE "user" (id varchar PRIMARY KEY, email varchar, created_at timestamptz);
CREATE TABLE customer (id varchar PRIMARY KEY, email varchar, has_account boolean, created_at timestamptz, deleted_at timestamptz);
CREATE TABLE cart (id varchar PRIMARY KEY, customer_id varchar REFERENCES customer, completed_at timestamptz, created_at timestamptz);
CREATE TYPE order_status_enum AS ENUM ('pending', 'completed', 'archived', 'canceled', 'requires_action');
CREATE TABLE "order" (id varchar PRIMARY KEY, status order_status_enum, payment_status varchar, display_id int, cart_id varchar REFERENCES cart, customer_id varchar NOT NULL REFERENCES customer, tax_rate real, canceled_at timestamptz, created_at timestamptz, updated_at timestamptz);
CREATE TABLE line_item (id varchar PRIMARY KEY, cart_id varchar REFERENCES cart, order_id varchar REFERENCES "order", title varchar, unit_price int, quantity int, fulfilled_quantity int, returned_quantity int, created_at timestamptz);
CREATE TABLE refund (id varchar PRIMARY KEY, order_id varchar REFERENCES "order", amount int, created_at timestamptz);
INSERT INTO customer (id) VALUES ('cus_1'), ('cus_2');
INSERT INTO "order" (id, status, customer_id, canceled_at, created_at, updated_at) VALUES ('o1', 'completed', 'cus_1', NULL, '2024-01-05 12:00', '2024-05-01'), ('o2', 'completed', 'cus_1', NULL, '2024-02-05 12:00', '2024-05-01'), ('o3', 'completed', 'cus_2', NULL, '2024-03-05 12:00', '2024-05-01'),
	('o4', 'canceled', 'cus_2', '2024-04-06 12:00', '2024-04-05 12:00', '2024-05-01');
INSERT INTO line_item (id, order_id, unit_price, quantity) VALUES ('l1', 'o1', 5, 2), ('l2', 'o2', 20, 1), ('l3', 'o3', 10, 2), ('l4', 'o3', 5, 2), ('l5', 'o4', 99, 1);
SELECT * FROM pg_temp.looked_at('medusa') \gx

-- Saleor: customers and staff in one table of users, totals net, gross and before discounts
CREATE SCHEMA saleor;
SET search_path = saleor;
CREATE TABLE account_user (id int PRIMARY KEY, email varchar, is_staff boolean, date_joined timestamptz);
CREATE TABLE account_customerevent (id int PRIMARY KEY, date timestamptz, type varchar, user_id int REFERENCES account_user);
CREATE TABLE checkout_checkout (token uuid PRIMARY KEY, user_id int REFERENCES account_user, total_gross_amount numeric(20,3), created_at timestamptz);
CREATE TABLE order_order (id uuid PRIMARY KEY, created_at timestamptz, updated_at timestamptz, status varchar, user_id int REFERENCES account_user, currency varchar(3), shipping_price_gross_amount numeric(20,3), total_net_amount numeric(20,3), undiscounted_total_gross_amount numeric(20,3),
	total_gross_amount numeric(20,3), total_charged_amount numeric(20,3), total_authorized_amount numeric(20,3), shipping_tax_rate numeric(5,4), weight double precision);
CREATE TABLE order_orderline (id uuid PRIMARY KEY, order_id uuid REFERENCES order_order, quantity int, unit_price_gross_amount numeric(20,3), total_price_gross_amount numeric(20,3));
INSERT INTO account_user (id) VALUES (1), (2);
INSERT INTO order_order (id, created_at, updated_at, status, user_id, total_net_amount, undiscounted_total_gross_amount, total_gross_amount) SELECT lpad(n::text, 32, '0')::uuid, day + time '12:00', '2024-05-01', status, c, gross * .8, gross * 2, gross
	FROM (VALUES (1, date '2024-01-05', 'fulfilled', 1, 10), (2, '2024-02-05', 'fulfilled', 1, 20), (3, '2024-03-05', 'unfulfilled', 2, 30), (4, '2024-04-05', 'canceled', 2, 99), (5, '2024-04-05', 'draft', 2, 99)) v(n, day, status, c, gross);
SELECT * FROM pg_temp.looked_at('saleor') \gx

-- exports of Stripe: seconds since 1970, hundredths, a column that is called customer
CREATE SCHEMA stripe;
SET search_path = stripe;
CREATE TABLE customers (id text PRIMARY KEY, created bigint, email text, balance bigint, livemode boolean);
CREATE TABLE charges (id text PRIMARY KEY, amount bigint, amount_captured bigint, amount_refunded bigint, application_fee_amount bigint, created bigint, currency text, customer text, invoice text, paid boolean, status text, livemode boolean);
CREATE TABLE refunds (id text PRIMARY KEY, amount bigint, charge text, created bigint, status text);
CREATE TABLE subscriptions (id text PRIMARY KEY, customer text, created bigint, start_date bigint, status text, livemode boolean);
INSERT INTO customers (id) VALUES ('cus_1'), ('cus_2');
INSERT INTO charges (id, amount, amount_refunded, created, customer, status, livemode) VALUES ('ch_1', 1000, 0, 1704456000, 'cus_1', 'succeeded', true), ('ch_2', 2000, 0, 1707134400, 'cus_1', 'succeeded', true), ('ch_3', 3000, 500, 1709640000, 'cus_2', 'succeeded', true),
	('ch_4', 9900, 0, 1712318400, 'cus_2', 'failed', true);
SELECT * FROM pg_temp.looked_at('stripe') \gx

-- Olist: files without any keys; the lines have no quantity, the day of the header counts, freight does not
CREATE SCHEMA olist;
SET search_path = olist;
CREATE TABLE olist_customers_dataset (customer_id text, customer_unique_id text, customer_zip_code_prefix text, customer_city text);
CREATE TABLE olist_sellers_dataset (seller_id text, seller_city text);
CREATE TABLE olist_orders_dataset (order_id text, customer_id text, order_status text, order_purchase_timestamp timestamp, order_approved_at timestamp, order_delivered_carrier_date timestamp, order_delivered_customer_date timestamp, order_estimated_delivery_date timestamp);
CREATE TABLE olist_order_items_dataset (order_id text, order_item_id int, product_id text, seller_id text, shipping_limit_date timestamp, price numeric, freight_value numeric);
CREATE TABLE olist_order_payments_dataset (order_id text, payment_sequential int, payment_type text, payment_installments int, payment_value numeric);
CREATE TABLE olist_order_reviews_dataset (review_id text, order_id text, review_score int, review_creation_date timestamp);
INSERT INTO olist_customers_dataset (customer_id) VALUES ('a'), ('b');
INSERT INTO olist_orders_dataset VALUES ('o1', 'a', 'delivered', '2024-01-05', '2024-05-01'), ('o2', 'a', 'shipped', '2024-02-05', '2024-05-01'), ('o3', 'b', 'delivered', '2024-03-05', '2024-05-01'), ('o4', 'b', 'canceled', '2024-04-05', '2024-05-01');
INSERT INTO olist_order_items_dataset (order_id, order_item_id, shipping_limit_date, price, freight_value) VALUES ('o1', 1, '2024-05-01', 10, 3), ('o2', 1, '2024-05-01', 10, 3), ('o2', 2, '2024-05-01', 10, 3), ('o3', 1, '2024-05-01', 30, 3), ('o4', 1, '2024-05-01', 99, 3);
INSERT INTO olist_order_payments_dataset VALUES ('o1', 1, 'card', 1, 13), ('o2', 1, 'card', 2, 26), ('o3', 1, 'card', 1, 33), ('o4', 1, 'card', 1, 102);
SELECT * FROM pg_temp.looked_at('olist') \gx

-- Northwind: the amount from lines with a discount, sellers beside customers
CREATE SCHEMA northwind;
SET search_path = northwind;
CREATE TABLE customers (customer_id varchar(5) PRIMARY KEY, company_name varchar(40));
CREATE TABLE employees (employee_id smallint PRIMARY KEY, birth_date date);
CREATE TABLE shippers (shipper_id smallint PRIMARY KEY);
CREATE TABLE orders (order_id smallint PRIMARY KEY, customer_id varchar(5) REFERENCES customers, employee_id smallint REFERENCES employees, order_date date, required_date date, shipped_date date, ship_via smallint REFERENCES shippers, freight real);
CREATE TABLE order_details (order_id smallint REFERENCES orders, product_id smallint, unit_price real, quantity smallint, discount real, PRIMARY KEY (order_id, product_id));
INSERT INTO customers VALUES ('ALFKI'), ('BERGS');
INSERT INTO orders (order_id, customer_id, order_date, required_date, freight) VALUES (1, 'ALFKI', '2024-01-05', '2024-05-01', 7), (2, 'ALFKI', '2024-02-05', '2024-05-01', 7), (3, 'BERGS', '2024-03-05', '2024-05-01', 7);
INSERT INTO order_details VALUES (1, 1, 10, 1, 0), (2, 1, 10, 1, 0), (2, 2, 20, 1, .5), (3, 1, 10, 3, 0);
SELECT * FROM pg_temp.looked_at('northwind') \gx

-- AdventureWorks: names without underscores, tables in several schemas, purchases from vendors, three sums and the freight
CREATE SCHEMA person;
CREATE SCHEMA purchasing;
CREATE SCHEMA sales;
SET search_path = sales;
CREATE TABLE person.person (businessentityid int PRIMARY KEY, firstname varchar, modifieddate timestamp);
CREATE TABLE purchasing.vendor (businessentityid int PRIMARY KEY, name varchar);
CREATE TABLE purchasing.purchaseorderheader (purchaseorderid int PRIMARY KEY, employeeid int, vendorid int REFERENCES purchasing.vendor, orderdate timestamp, subtotal numeric, taxamt numeric, freight numeric, modifieddate timestamp);
CREATE TABLE salesperson (businessentityid int PRIMARY KEY REFERENCES person.person, salesquota numeric, bonus numeric, salesytd numeric, modifieddate timestamp);
CREATE TABLE customer (customerid int PRIMARY KEY, personid int REFERENCES person.person, storeid int, modifieddate timestamp);
CREATE TABLE salesorderheader (salesorderid int PRIMARY KEY, orderdate timestamp, duedate timestamp, shipdate timestamp, status smallint, customerid int REFERENCES customer, salespersonid int REFERENCES salesperson, subtotal numeric, taxamt numeric, freight numeric, totaldue numeric, modifieddate timestamp);
CREATE TABLE salesorderdetail (salesorderid int REFERENCES salesorderheader, salesorderdetailid int, orderqty smallint, productid int, unitprice numeric, unitpricediscount numeric, modifieddate timestamp, PRIMARY KEY (salesorderid, salesorderdetailid));
INSERT INTO customer (customerid) VALUES (1), (2);
INSERT INTO salesorderheader (salesorderid, orderdate, duedate, status, customerid, subtotal, taxamt, freight, totaldue, modifieddate) VALUES (1, '2024-01-05', '2024-05-01', 5, 1, 8, 1, 1, 10, '2024-05-01'), (2, '2024-02-05', '2024-05-01', 5, 1, 17, 2, 1, 20, '2024-05-01'), (3, '2024-03-05', '2024-05-01', 5, 2, 25, 4, 1, 30, '2024-05-01');
SELECT * FROM pg_temp.looked_at('sales') \gx
DROP SCHEMA person, purchasing CASCADE;

-- Chinook
CREATE SCHEMA chinook;
SET search_path = chinook;
CREATE TABLE employee (employee_id int PRIMARY KEY, reports_to int REFERENCES employee, birth_date timestamp, hire_date timestamp);
CREATE TABLE customer (customer_id int PRIMARY KEY, email varchar(60), support_rep_id int REFERENCES employee);
CREATE TABLE invoice (invoice_id int PRIMARY KEY, customer_id int REFERENCES customer, invoice_date timestamp, billing_city varchar(40), total numeric(10,2));
CREATE TABLE track (track_id int PRIMARY KEY, unit_price numeric(10,2));
CREATE TABLE invoice_line (invoice_line_id int PRIMARY KEY, invoice_id int REFERENCES invoice, track_id int REFERENCES track, unit_price numeric(10,2), quantity int);
INSERT INTO customer (customer_id) VALUES (1), (2);
INSERT INTO invoice (invoice_id, customer_id, invoice_date, total) VALUES (1, 1, '2024-01-05', 10), (2, 1, '2024-02-05', 20), (3, 2, '2024-03-05', 30);
SELECT * FROM pg_temp.looked_at('chinook') \gx

-- Pagila: payments in partitions, rentals, staff, a view with the list of customers
CREATE SCHEMA pagila;
SET search_path = pagila;
CREATE TABLE staff (staff_id int PRIMARY KEY, last_update timestamptz);
CREATE TABLE customer (customer_id int PRIMARY KEY, store_id int, first_name text, create_date date, last_update timestamptz);
CREATE VIEW customer_list AS SELECT customer_id AS id, first_name AS name FROM customer;
CREATE TABLE rental (rental_id int PRIMARY KEY, rental_date timestamptz, inventory_id int, customer_id int REFERENCES customer, return_date timestamptz, staff_id int REFERENCES staff, last_update timestamptz);
CREATE TABLE payment (payment_id int, customer_id int, staff_id int, rental_id int, amount numeric(5,2), payment_date timestamptz) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2024 PARTITION OF payment FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ALTER TABLE payment_p2024 ADD FOREIGN KEY (customer_id) REFERENCES customer, ADD FOREIGN KEY (rental_id) REFERENCES rental;
INSERT INTO customer (customer_id) VALUES (1), (2);
INSERT INTO rental (rental_id, rental_date, customer_id) VALUES (1, '2023-12-30', 1), (2, '2024-02-01', 1), (3, '2024-03-01', 2);
INSERT INTO payment (payment_id, customer_id, rental_id, amount, payment_date) VALUES (1, 1, 1, 10, '2024-01-05 12:00'), (2, 1, 2, 20, '2024-02-05 12:00'), (3, 2, 3, 30, '2024-03-05 12:00');
SELECT * FROM pg_temp.looked_at('pagila') \gx

-- jaffle shop: user_id of customers, no keys declared, amounts in a table of payments
CREATE SCHEMA jaffle;
SET search_path = jaffle;
CREATE TABLE raw_customers (id int, first_name text, last_name text);
CREATE TABLE raw_orders (id int, user_id int, order_date date, status text);
CREATE TABLE raw_payments (id int, order_id int, payment_method text, amount int);
INSERT INTO raw_customers VALUES (1), (2);
INSERT INTO raw_orders VALUES (1, 1, '2024-01-05', 'completed'), (2, 1, '2024-02-05', 'shipped'), (3, 2, '2024-03-05', 'placed'), (4, 2, '2024-04-05', 'returned');
INSERT INTO raw_payments VALUES (1, 1, 'card', 10), (2, 2, 'card', 15), (3, 2, 'coupon', 5), (4, 3, 'card', 30), (5, 4, 'card', 99);
SELECT * FROM pg_temp.looked_at('jaffle') \gx
-- its later form
CREATE SCHEMA jaffle;
SET search_path = jaffle;
CREATE TABLE raw_customers (id text, name text);
CREATE TABLE raw_orders (id text, customer text, ordered_at timestamp, store_id text, subtotal int, tax_paid int, order_total int);
CREATE TABLE raw_items (id text, order_id text, sku text);
INSERT INTO raw_customers VALUES ('a'), ('b');
INSERT INTO raw_orders VALUES ('o1', 'a', '2024-01-05', 's', 8, 2, 10), ('o2', 'a', '2024-02-05', 's', 17, 3, 20), ('o3', 'b', '2024-03-05', 's', 25, 5, 30);
SELECT * FROM pg_temp.looked_at('jaffle') \gx

-- spelling: "userId" as text for a number; hundredths by name; milliseconds; states and flags; a key of bigint for an int
CREATE SCHEMA spelt;
SET search_path = spelt;
CREATE TABLE "Users" (id int PRIMARY KEY, email text);
CREATE TABLE "Purchases" ("purchaseId" bigint PRIMARY KEY, "userId" varchar(20), "createdBy" int REFERENCES "Users", "purchasedAt" bigint, "totalCents" bigint, "vatRate" numeric, "isTest" boolean, "orderStatus" text);
INSERT INTO "Users" VALUES (1), (2);
INSERT INTO "Purchases" VALUES (1, '1', 2, 1704456000000, 1000, .2, false, 'Paid'), (2, '1', 2, 1707134400000, 2000, .2, NULL, 'Paid'), (3, '2', 1, 1709640000000, 3000, .2, false, NULL), (4, '2', 1, 1712318400000, 9900, .2, true, 'Paid'), (5, '2', 1, 1712318400000, 9900, .2, false, 'Cancelled');
SELECT * FROM pg_temp.looked_at('spelt') \gx

-- customers as a view of a table of all sorts of people, to which the orders refer
CREATE SCHEMA viewed;
SET search_path = viewed;
CREATE TABLE party (id bigint PRIMARY KEY, kind text);
CREATE VIEW customers AS SELECT id AS customer_id, kind FROM party WHERE kind = 'customer';
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES party, order_date date, total numeric);
INSERT INTO party VALUES (1, 'customer'), (2, 'customer'), (3, 'vendor');
INSERT INTO orders VALUES (1, 1, '2024-01-05', 10), (2, 1, '2024-02-05', 20), (3, 2, '2024-03-05', 30);
SELECT * FROM pg_temp.looked_at('viewed') \gx

-- HubSpot: who a deal is of stands in a table between deals and contacts, which is neither; deals that were lost
CREATE SCHEMA hubspot;
SET search_path = hubspot;
CREATE TABLE contact (id bigint PRIMARY KEY, property_email text, property_createdate timestamp);
CREATE TABLE deal (deal_id bigint PRIMARY KEY, property_amount numeric, property_createdate timestamp, close_date timestamp, hs_is_closed_won boolean);
CREATE TABLE deal_contact (deal_id bigint REFERENCES deal, contact_id bigint REFERENCES contact);
INSERT INTO contact (id) VALUES (1), (2);
INSERT INTO deal VALUES (11, 10, '2023-12-01', '2024-01-05', true), (12, 20, '2023-12-01', '2024-02-05', true), (13, 30, '2023-12-01', '2024-03-05', true), (14, 99, '2023-12-01', '2024-04-05', false), (15, 99, '2023-12-01', NULL, NULL);
INSERT INTO deal_contact VALUES (11, 1), (12, 1), (13, 2), (14, 2), (15, 2);
SELECT * FROM pg_temp.looked_at('hubspot') \gx

-- Pipedrive: no foreign keys
CREATE SCHEMA pipedrive;
SET search_path = pipedrive;
CREATE TABLE persons (id bigint PRIMARY KEY, name text, add_time timestamp);
CREATE TABLE deals (id bigint PRIMARY KEY, person_id bigint, title text, value numeric, status text, add_time timestamp, won_time timestamp, lost_time timestamp, expected_close_date date);
INSERT INTO persons (id) VALUES (1), (2);
INSERT INTO deals (id, person_id, value, status, add_time, won_time) VALUES (1, 1, 10, 'won', '2023-12-01', '2024-01-05'), (2, 1, 20, 'won', '2023-12-01', '2024-02-05'), (3, 2, 30, 'won', '2023-12-01', '2024-03-05'), (4, 2, 99, 'lost', '2023-12-01', NULL), (5, 2, 99, 'open', '2023-12-01', NULL);
SELECT * FROM pg_temp.looked_at('pipedrive') \gx

-- Salesforce: opportunities by stage
CREATE SCHEMA salesforce;
SET search_path = salesforce;
CREATE TABLE account (id varchar(18) PRIMARY KEY, name text);
CREATE TABLE opportunity (id varchar(18) PRIMARY KEY, account_id varchar(18) REFERENCES account, amount numeric, stage_name text, close_date date, created_date timestamp);
INSERT INTO account VALUES ('a'), ('b');
INSERT INTO opportunity VALUES ('1', 'a', 10, 'Closed Won', '2024-01-05', '2023-12-01'), ('2', 'a', 20, 'Closed Won', '2024-02-05', '2023-12-01'), ('3', 'b', 30, 'Closed Won', '2024-03-05', '2023-12-01'), ('4', 'b', 99, 'Closed Lost', '2024-04-05', '2023-12-01'), ('5', 'b', 99, 'Prospecting', '2024-04-05', '2023-12-01');
SELECT * FROM pg_temp.looked_at('salesforce') \gx

-- CiviCRM: a day that no row has, a day of cancellation
CREATE SCHEMA civicrm;
SET search_path = civicrm;
CREATE TABLE civicrm_contact (id int PRIMARY KEY, display_name text);
CREATE TABLE civicrm_contribution (id int PRIMARY KEY, contact_id int REFERENCES civicrm_contact, receipt_date timestamp, receive_date timestamp, cancel_date timestamp, total_amount numeric);
INSERT INTO civicrm_contact VALUES (1), (2);
INSERT INTO civicrm_contribution VALUES (1, 1, NULL, '2024-01-05', NULL, 10), (2, 1, NULL, '2024-02-05', NULL, 20), (3, 2, NULL, '2024-03-05', NULL, 30), (4, 2, NULL, '2024-04-05', '2024-04-06', 99);
SELECT * FROM pg_temp.looked_at('civicrm') \gx

-- Odoo's books: bills of vendors beside invoices, refunds without a sign in amount_total
CREATE SCHEMA books;
SET search_path = books;
CREATE TABLE res_partner (id int PRIMARY KEY, name varchar);
CREATE TABLE account_move (id int PRIMARY KEY, partner_id int REFERENCES res_partner, move_type varchar, state varchar, invoice_date date, create_date timestamp, amount_total numeric, amount_total_signed numeric);
INSERT INTO res_partner VALUES (1), (2);
INSERT INTO account_move VALUES (1, 1, 'out_invoice', 'posted', '2024-01-05', '2024-01-01', 10, 10), (2, 1, 'out_invoice', 'posted', '2024-02-05', '2024-01-01', 25, 25), (3, 1, 'out_refund', 'posted', '2024-02-06', '2024-01-01', 5, -5), (4, 2, 'out_invoice', 'posted', '2024-03-05', '2024-01-01', 30, 30),
	(5, 2, 'in_invoice', 'posted', '2024-04-05', '2024-01-01', 99, -99), (6, 2, 'out_invoice', 'cancel', '2024-04-05', '2024-01-01', 99, 99);
SELECT * FROM pg_temp.looked_at('books') \gx

-- Dolibarr: the day of an invoice beside that of its entry; and a flag as JTL has it
CREATE SCHEMA dolibarr;
SET search_path = dolibarr;
CREATE TABLE llx_societe (rowid int PRIMARY KEY, nom varchar);
CREATE TABLE llx_facture (rowid int PRIMARY KEY, fk_soc int REFERENCES llx_societe, datec timestamp, datef date, total_ttc numeric, "nStorno" smallint);
INSERT INTO llx_societe VALUES (1), (2);
INSERT INTO llx_facture VALUES (1, 1, '2023-12-01', '2024-01-05', 10, 0), (2, 1, '2023-12-01', '2024-02-05', 20, 0), (3, 2, '2023-12-01', '2024-03-05', 30, 0), (4, 2, '2023-12-01', '2024-04-05', 99, 1);
SELECT * FROM pg_temp.looked_at('dolibarr') \gx

-- SuiteCRM as MySQL had it: no foreign keys, links with keys and flags of their own, and accounts before contacts
CREATE SCHEMA suitecrm;
SET search_path = suitecrm;
CREATE TABLE users (id char(36) PRIMARY KEY, user_name varchar(60), deleted smallint);
CREATE TABLE accounts (id char(36) PRIMARY KEY, name varchar(150), date_entered timestamp, assigned_user_id char(36), deleted smallint);
CREATE TABLE contacts (id char(36) PRIMARY KEY, last_name varchar(100), date_entered timestamp, deleted smallint);
CREATE TABLE accounts_contacts (id varchar(36) PRIMARY KEY, contact_id varchar(36), account_id varchar(36), date_modified timestamp, deleted smallint);
CREATE TABLE opportunities (id char(36) PRIMARY KEY, name varchar(50), date_entered timestamp, date_modified timestamp, modified_user_id char(36), created_by char(36), deleted smallint, assigned_user_id char(36), campaign_id char(36), lead_source varchar(50), amount double precision,
	amount_usdollar double precision, currency_id char(36), date_closed date, next_step varchar(100), sales_stage varchar(255), probability double precision);
CREATE TABLE accounts_opportunities (id varchar(36) PRIMARY KEY, opportunity_id varchar(36), account_id varchar(36), date_modified timestamp, deleted smallint);
CREATE TABLE opportunities_contacts (id varchar(36) PRIMARY KEY, contact_id varchar(36), opportunity_id varchar(36), contact_role varchar(50), date_modified timestamp, deleted smallint);
INSERT INTO accounts (id) VALUES ('a'), ('b');
INSERT INTO opportunities (id, date_entered, date_modified, deleted, amount, amount_usdollar, date_closed, sales_stage) VALUES ('1', '2023-12-01', '2024-05-01', 0, 10, 11, '2024-01-05', 'Closed Won'), ('2', '2023-12-01', '2024-05-01', 0, 20, 22, '2024-02-05', 'Closed Won'),
	('3', '2023-12-01', '2024-05-01', 0, 30, 33, '2024-03-05', 'Closed Won'), ('4', '2023-12-01', '2024-05-01', 0, 99, 99, '2024-04-05', 'Closed Lost'), ('5', '2023-12-01', '2024-05-01', 1, 99, 99, '2024-04-05', 'Closed Won');
INSERT INTO accounts_opportunities VALUES ('x1', '1', 'a', NULL, 0), ('x2', '2', 'a', NULL, 0), ('x3', '3', 'b', NULL, 0), ('x4', '4', 'b', NULL, 0), ('x5', '5', 'b', NULL, 0), ('x6', '3', 'a', NULL, 1);
SELECT * FROM pg_temp.looked_at('suitecrm') \gx

-- payments that know their subscription only, which knows its customer; a subscription that has ended was paid
CREATE SCHEMA subscribed;
SET search_path = subscribed;
CREATE TABLE customers (id int PRIMARY KEY, email text, created_at timestamp);
CREATE TABLE subscriptions (id int PRIMARY KEY, customer_id int REFERENCES customers, plan text, status text, price numeric, started_at timestamp, cancelled_at timestamp);
CREATE TABLE payments (id int PRIMARY KEY, subscription_id int REFERENCES subscriptions, amount numeric, status text, paid_at timestamp, due_at timestamp);
INSERT INTO customers (id) VALUES (1), (2);
INSERT INTO subscriptions VALUES (7, 1, 'basic', 'cancelled', 10, '2023-12-01', '2024-03-01'), (8, 2, 'pro', 'active', 30, '2023-12-01', NULL);
INSERT INTO payments VALUES (1, 7, 10, 'paid', '2024-01-05', '2024-05-01'), (2, 7, 20, 'paid', '2024-02-05', '2024-05-01'), (3, 8, 30, 'paid', '2024-03-05', '2024-05-01'), (4, 8, 99, 'failed', '2024-04-05', '2024-05-01');
SELECT * FROM pg_temp.looked_at('subscribed') \gx
-- the same by names alone, quoted
CREATE SCHEMA subscribed;
SET search_path = subscribed;
CREATE TABLE "Customer" (id uuid PRIMARY KEY, email text);
CREATE TABLE "Contract" (id uuid PRIMARY KEY, "customerId" uuid, "startsOn" date);
CREATE TABLE "Payment" (id uuid PRIMARY KEY, "contractId" uuid, "amountCents" int, "paidAt" timestamp);
INSERT INTO "Customer" SELECT lpad(n::text, 32, '0')::uuid FROM generate_series(1, 2) n;
INSERT INTO "Contract" SELECT lpad((10 + n)::text, 32, '0')::uuid, lpad(n::text, 32, '0')::uuid, '2023-12-01' FROM generate_series(1, 2) n;
INSERT INTO "Payment" SELECT lpad(n::text, 32, '0')::uuid, lpad((10 + c)::text, 32, '0')::uuid, cents, day FROM (VALUES (1, 1, 1000, date '2024-01-05'), (2, 1, 2000, '2024-02-05'), (3, 2, 3000, '2024-03-05')) v(n, c, cents, day);
SELECT * FROM pg_temp.looked_at('subscribed') \gx

-- Prisma and Sequelize: quoted camel case, without foreign keys; carts and sessions of the same people
CREATE SCHEMA prisma;
SET search_path = prisma;
CREATE TABLE "User" (id text PRIMARY KEY, email text, "createdAt" timestamp);
CREATE TABLE "Session" (id text PRIMARY KEY, "userId" text, expires timestamp);
CREATE TABLE "Cart" (id text PRIMARY KEY, "userId" text, "createdAt" timestamp, total numeric);
CREATE TABLE "Order" (id text PRIMARY KEY, "userId" text, status text, "totalAmount" numeric, "shippingFee" numeric, "createdAt" timestamp, "updatedAt" timestamp);
CREATE TABLE "OrderItem" (id text PRIMARY KEY, "orderId" text, "productId" text, quantity int, "unitPrice" numeric);
INSERT INTO "User" (id) VALUES ('u1'), ('u2');
INSERT INTO "Order" VALUES ('1', 'u1', 'PAID', 10, 3, '2024-01-05', '2024-05-01'), ('2', 'u1', 'SHIPPED', 20, 3, '2024-02-05', '2024-05-01'), ('3', 'u2', 'PAID', 30, 3, '2024-03-05', '2024-05-01'), ('4', 'u2', 'CANCELLED', 99, 3, '2024-04-05', '2024-05-01');
SELECT * FROM pg_temp.looked_at('prisma') \gx

-- Northwind as Access had it: quoted names, a blank in one
CREATE SCHEMA access;
SET search_path = access;
CREATE TABLE "Customers" ("CustomerID" varchar(5) PRIMARY KEY, "CompanyName" varchar(40));
CREATE TABLE "Employees" ("EmployeeID" int PRIMARY KEY, "BirthDate" timestamp);
CREATE TABLE "Orders" ("OrderID" int PRIMARY KEY, "CustomerID" varchar(5), "EmployeeID" int, "OrderDate" timestamp, "RequiredDate" timestamp, "ShippedDate" timestamp, "Freight" numeric(10,4));
CREATE TABLE "Order Details" ("OrderID" int, "ProductID" int, "UnitPrice" numeric(10,4), "Quantity" smallint, "Discount" real, PRIMARY KEY ("OrderID", "ProductID"));
INSERT INTO "Customers" VALUES ('ALFKI'), ('BERGS');
INSERT INTO "Orders" VALUES (1, 'ALFKI', 1, '2024-01-05', '2024-05-01', NULL, 7), (2, 'ALFKI', 1, '2024-02-05', '2024-05-01', NULL, 7), (3, 'BERGS', 1, '2024-03-05', '2024-05-01', NULL, 7);
INSERT INTO "Order Details" VALUES (1, 1, 10, 1, 0), (2, 1, 10, 1, 0), (2, 2, 20, 1, .5), (3, 1, 10, 3, 0);
SELECT * FROM pg_temp.looked_at('access') \gx

-- a MySQL dump with a prefix of the shop's own, loaded by pgloader: Magento again
CREATE SCHEMA dumped;
SET search_path = dumped;
CREATE TABLE m2x_customer_entity (entity_id bigint PRIMARY KEY, email varchar(255), created_at timestamptz);
CREATE TABLE m2x_quote (entity_id bigint PRIMARY KEY, customer_id bigint, grand_total numeric(20,4), created_at timestamptz);
CREATE TABLE m2x_sales_order (entity_id bigint PRIMARY KEY, status varchar(32), customer_id bigint, base_grand_total numeric(20,4), grand_total numeric(20,4), base_shipping_amount numeric(20,4), created_at timestamptz, updated_at timestamptz);
CREATE TABLE m2x_sales_order_grid (entity_id bigint PRIMARY KEY, status varchar(32), customer_id bigint, base_grand_total numeric(20,4), created_at timestamptz);
INSERT INTO m2x_customer_entity VALUES (1), (2);
INSERT INTO m2x_sales_order VALUES (1, 'complete', 1, 10, 11, 3, '2024-01-05 12:00', '2024-05-01'), (2, 'complete', 1, 20, 22, 3, '2024-02-05 12:00', '2024-05-01'), (3, 'processing', 2, 30, 33, 3, '2024-03-05 12:00', '2024-05-01'), (4, 'canceled', 2, 99, 99, 3, '2024-04-05 12:00', '2024-05-01');
SELECT * FROM pg_temp.looked_at('dumped') \gx

-- Rails and Laravel: users who place orders, administrators beside them, hundredths; Django: names of the application before
CREATE SCHEMA django;
SET search_path = django;
CREATE TABLE auth_user (id int PRIMARY KEY, username varchar(150), date_joined timestamptz, last_login timestamptz);
CREATE TABLE django_admin_log (id int PRIMARY KEY, action_time timestamptz, user_id int REFERENCES auth_user);
CREATE TABLE shop_customer (id int PRIMARY KEY, user_id int REFERENCES auth_user, phone varchar(20));
CREATE TABLE shop_order (id int PRIMARY KEY, customer_id int REFERENCES shop_customer, created_by_id int REFERENCES auth_user, total_price numeric(10,2), tax_amount numeric(10,2), is_cancelled boolean, created_at timestamptz, updated_at timestamptz);
CREATE TABLE shop_orderitem (id int PRIMARY KEY, order_id int REFERENCES shop_order, product_id int, price numeric(10,2), quantity int);
INSERT INTO auth_user (id) VALUES (9);
INSERT INTO shop_customer (id) VALUES (1), (2);
INSERT INTO shop_order VALUES (1, 1, 9, 10, 2, false, '2024-01-05 12:00', '2024-05-01'), (2, 1, 9, 20, 2, false, '2024-02-05 12:00', '2024-05-01'), (3, 2, 9, 30, 2, false, '2024-03-05 12:00', '2024-05-01'), (4, 2, 9, 99, 2, true, '2024-04-05 12:00', '2024-05-01');
SELECT * FROM pg_temp.looked_at('django') \gx

-- tenants: a schema for each; names without foreign keys never lead from one to another, and no name comes twice
CREATE SCHEMA tenant_a;
CREATE TABLE tenant_a.customers (id int PRIMARY KEY);
CREATE TABLE tenant_a.orders (id int PRIMARY KEY, customer_id int, ordered_on date, total numeric);
CREATE SCHEMA tenant_b;
CREATE TABLE tenant_b.customers (id int PRIMARY KEY);
CREATE TABLE tenant_b.orders (id int PRIMARY KEY, customer_id int, ordered_on date, total numeric);
CREATE SCHEMA tenant_c;
CREATE TABLE tenant_c.orders (id int PRIMARY KEY, customer_id int, ordered_on date, total numeric);
CREATE SCHEMA tenant_a_customers_orders;
SELECT customers, orders, substring(call FROM $x$\n '([^']+)'$x$) AS name FROM crm_profile.suggest_sources_details();
SELECT call FROM crm_profile.suggest_sources() \gexec
-- once they are sources, nothing of theirs is suggested
SELECT count(*), count(*) FILTER (WHERE customers !~ '^tenant_[ab]\.customers$' OR orders !~ '^tenant_[ab]\.orders$') AS their_own FROM crm_profile.suggest_sources_details();
SELECT crm_profile.drop_source(name) FROM crm_profile.sources ORDER BY name;
DROP SCHEMA tenant_a, tenant_b, tenant_c, tenant_a_customers_orders CASCADE;
