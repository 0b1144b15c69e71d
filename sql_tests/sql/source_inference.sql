-- What create_source and suggest_sources infer from tables: orders or lines, attributes, the meaning of best
SET datestyle = ISO;
SET client_min_messages = notice;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE customers (id integer PRIMARY KEY);
INSERT INTO customers SELECT i FROM generate_series(1, 50) i;
-- lines as in Online Retail II: an invoice has several, and no sum
CREATE TABLE lines (invoice text, stock_code text, description text, quantity integer, invoice_date timestamp, price numeric, "Customer ID" integer, country text);
-- empty tables: by names
SELECT reason FROM crm_profile.suggest_sources_details();
INSERT INTO lines SELECT (1000 + i / 4)::text, 's' || i % 9, 'x', 1 + i % 3, timestamp '2024-01-01 10:00' + i / 4 * interval '7 hours', 1.25, 1 + i / 4 % 50, 'UK' FROM generate_series(0, 1999) i;
SELECT reason, call FROM crm_profile.suggest_sources_details() \gx
SELECT * FROM crm_profile.create_source('s', 'customers', 'lines', as_of => '2025-06-01');
SELECT orders, customers FROM crm_profile.refresh('s');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT count(DISTINCT invoice) AS orders, count(DISTINCT "Customer ID") AS customers FROM lines;
SELECT count(*) AS wrong FROM s.customer_profile p FULL JOIN (SELECT "Customer ID", count(DISTINCT invoice) AS frequency, sum(price * quantity) AS monetary FROM lines GROUP BY 1) t ON t."Customer ID" = p.customer
WHERE (p.frequency, p.monetary) IS DISTINCT FROM (t.frequency, t.monetary);
SELECT crm_profile.drop_source('s');
-- with an amount given, the error says what is missing; with the key, nothing is missing
SELECT argument FROM crm_profile.create_source('s', 'customers', 'lines', amount => 'price * quantity') WHERE argument = 'order_key';
SELECT crm_profile.alter_source('s', as_of => '2025-06-01');
SELECT crm_profile.alter_source('s', amount => 'price');
SELECT crm_profile.alter_source('s', order_key => 'invoice');
SELECT crm_profile.alter_source('s', reset => '{amount,order_key}');
SELECT amount, order_key FROM crm_profile.sources_details;
SELECT crm_profile.drop_source('s');
-- a query of the same, with other usual names
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'SELECT invoice AS "InvoiceNo", price AS "UnitPrice", quantity AS "Quantity", invoice_date AS "InvoiceDate", "Customer ID" AS "CustomerID" FROM lines')
WHERE argument IN ('order_customer', 'ordered_at', 'amount', 'order_key');
SELECT crm_profile.drop_source('s');
-- no order number, but several rows with the same time
CREATE TABLE till AS SELECT "Customer ID" AS customer_id, invoice_date, price, quantity FROM lines;
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'till') WHERE argument IN ('amount', 'order_key');
SELECT crm_profile.drop_source('s');
-- a key of order and line
CREATE TABLE order_line (order_id integer, line_no integer, customer_id integer REFERENCES customers, sold_on date, line_total numeric, unit_price numeric, quantity numeric, discount_rate numeric, PRIMARY KEY (order_id, line_no));
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'order_line') WHERE argument IN ('amount', 'order_key');
SELECT crm_profile.drop_source('s');
-- orders that look a little like lines but are not: their number is unique, or shared by several customers, or counts per customer
CREATE TABLE sale (sale_id integer PRIMARY KEY, order_no integer, customer_id integer, sold_on date, price numeric, quantity integer);
INSERT INTO sale SELECT i, i, 1 + i % 50, date '2024-01-01' + i, 1, 1 FROM generate_series(1, 200) i;
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'sale') WHERE argument IN ('amount', 'order_key');
SELECT crm_profile.drop_source('s');
CREATE TABLE purchase (id integer PRIMARY KEY, order_code text, customer_id integer, at date, total numeric);
INSERT INTO purchase SELECT i, 'kind ' || i % 3, 1 + i % 50, date '2024-01-01' + i, 1 FROM generate_series(1, 200) i;
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'purchase') WHERE argument IN ('amount', 'order_key');
SELECT crm_profile.drop_source('s');
CREATE TABLE booking (customer_id integer, order_no integer, at date, total numeric, PRIMARY KEY (customer_id, order_no));
INSERT INTO booking SELECT 1 + i % 50, i / 50, date '2024-01-01' + i, 1 FROM generate_series(0, 199) i;
SELECT argument, value FROM crm_profile.create_source('s', 'customers', 'booking') WHERE argument IN ('amount', 'order_key');
SELECT crm_profile.drop_source('s');
-- a discount that is not a rate
CREATE TABLE sold (customer_id integer, at date, price numeric, quantity integer, discount numeric);
INSERT INTO sold VALUES (1, '2024-01-01', 100, 2, 15);
SELECT * FROM crm_profile.create_source('s', 'customers', 'sold');
-- orders whose amounts are in another table
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers, placed_at date);
CREATE TABLE item (order_id integer REFERENCES orders, price numeric, pieces integer);
SELECT * FROM crm_profile.create_source('s', 'customers', 'orders');
SELECT call FROM crm_profile.suggest_sources_details() WHERE orders = 'shop.orders';

-- attributes: identifying columns are left out, however they are spelt or named
DROP TABLE item, orders, order_line, lines, till, sale, purchase, sold, booking;
CREATE TABLE orders (customer_id integer, day date, amount numeric);
INSERT INTO orders SELECT 1 + i * i % 200, date '2024-01-01' + i % 300, i % 50 FROM generate_series(1, 3000) i;
CREATE TABLE person (id integer PRIMARY KEY, "EmailAddress" text, "eMail2" text, "firstName" text, "Nachname" text, "TelefonNr" bigint, "Strasse" text, "IBANCode" text, "CreatedAt" date,
	contact text, reachable text, account text, nick text, city text, plan text, born date, income integer, "EmailOptIn" boolean, satisfied boolean, monetary text);
INSERT INTO person SELECT i, 'a' || i % 3, 'a' || i % 3, 'n' || i % 3, 'm' || i % 3, i % 3, 's' || i % 3, 'i' || i % 3, '2024-01-01',
	CASE WHEN i % 5 = 0 THEN 'p' || i % 2 || '@mail.org' ELSE 'none' END, '+49 30 ' || 100000 + i, 'DE' || 10 + i % 89 || '500105175407' || 100000 + i, 'k' || i, 'c' || i % 4, 'p' || i % 3, date '1970-01-01' + i, 1000 + i, i % 2 = 0, i % 3 = 0, 'x'
FROM generate_series(1, 200) i;
CREATE TABLE lead (LIKE person INCLUDING ALL);
INSERT INTO lead SELECT * FROM person;
UPDATE lead SET id = id + 1000;
SELECT argument, value FROM crm_profile.create_source('s', 'person', 'orders', prospects => 'lead', best => 'satisfied', as_of => '2024-12-01') WHERE argument IN ('attributes', 'best');
-- best: also a column of the customer table; where both have that name, it is that of customer_profile
SELECT orders FROM crm_profile.refresh('s');
SELECT best_customers, (SELECT count(*) FROM person WHERE satisfied) AS right FROM crm_profile.sources_details;
SELECT count(*) = count(score) AS all_scored FROM s.prospect_match;
SELECT crm_profile.alter_source('s', best => 'NOT satisfied AND "EmailOptIn" AND monetary > 100');
SELECT orders FROM crm_profile.refresh('s');
SELECT best_customers, (SELECT count(*) FROM person JOIN s.customer_profile p ON p.customer = id WHERE NOT satisfied AND "EmailOptIn" AND p.monetary > 100) AS right FROM crm_profile.sources_details;
ALTER SCHEMA s RENAME TO t;
SELECT best_customers FROM crm_profile.refresh('t'), crm_profile.sources_details;
SELECT crm_profile.alter_source('t', best => 'satsfied');
SELECT crm_profile.alter_source('t', best => 'satisfied) IS TRUE AS is_best FROM t.customer_profile WHERE (true');
-- the column that defines best would predict itself
SELECT crm_profile.alter_source('t', attributes => '{city,satisfied}', best => 'satisfied');
-- given ones raise a warning
SELECT crm_profile.alter_source('t', attributes => '{city,"EmailAddress",contact,reachable,account,nick,"Nachname","initial = left(nick, 1)"}', best => 'Champions');
SELECT crm_profile.drop_source('t');

-- other languages, with accents and without: a price and a quantity, a telephone number, a first name
CREATE TABLE kunde (kundenr int PRIMARY KEY, "Téléphone" bigint, "Prénom" text, "Größe" int);
INSERT INTO kunde SELECT i, 4790000000 + i, 'A' || i % 3, 150 + i % 40 FROM generate_series(1, 90) i;
CREATE TABLE emne (kundenr int PRIMARY KEY, "Téléphone" bigint, "Prénom" text, "Größe" int);
CREATE TABLE linje ("OrderNo" int, "LineNo" int, kundenr int, dato date, antall int, pris numeric, PRIMARY KEY ("OrderNo", "LineNo"));
INSERT INTO linje SELECT o, l, 1 + o % 90, date '2025-01-01' + o % 300, 1 + l, 5 FROM generate_series(1, 300) o, generate_series(1, 2) l;
SELECT argument, value FROM crm_profile.create_source('s', 'kunde', 'linje', prospects => 'emne', as_of => '2025-11-30') WHERE argument IN ('amount', 'order_key', 'attributes');
SELECT crm_profile.drop_source('s');
SELECT n.name, s.snake, crm_profile_internal.pieces_named(s.snake) AS pieces FROM unnest('{Stück,Quantité,Größe,Straße,Množství,Ilość,Antall,OrderQty,ÅrsModell,E-Mail Adresse}'::text[]) WITH ORDINALITY n(name, place), LATERAL (SELECT crm_profile_internal.snake_name(n.name) AS snake) s ORDER BY n.place;
DROP TABLE kunde, emne, linje;

-- misspelt or repeated names are errors
SELECT crm_profile.profile_fit(p, '{"ignore": ["id", "nik"]}') IS NULL FROM person p;
SELECT crm_profile.attribute_relevance(p, satisfied, '{id,nik}') IS NULL FROM person p;
SELECT argument FROM crm_profile.create_source('s', 'person', 'orders', order_customer => 'customer_id') LIMIT 1;
SELECT crm_profile.alter_source('s', reset => '{period}', period => '1 year');
-- no long context in an error about a user's objects
\set SHOW_CONTEXT errors
CREATE VIEW mine AS SELECT * FROM s.customer_profile;
SELECT crm_profile.drop_source('s');
SELECT crm_profile.alter_source('s', order_filter => 'amount > (SELECT id FROM person)');
SELECT * FROM crm_profile.refresh('s');
-- the tables of sources are not suggested as customers and orders
SELECT customers, orders FROM crm_profile.suggest_sources_details();
SELECT crm_profile.drop_source('s', cascade => true);
DROP SCHEMA shop CASCADE;
