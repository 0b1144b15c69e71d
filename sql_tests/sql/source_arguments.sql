-- What create_source infers, and what it says about arguments that are wrong
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE client (client_id uuid PRIMARY KEY, name text);
CREATE TABLE sale (id bigint PRIMARY KEY, client_id uuid REFERENCES client, sold_at timestamptz, shipped_at timestamptz, total numeric(12,2), tax numeric(12,2), note text);
\set SHOW_CONTEXT never
SELECT * FROM crm_profile.create_source('s', 'clients', 'sale');
SELECT * FROM crm_profile.create_source('s', 'client', 'sales');
SELECT * FROM crm_profile.create_source('s', 'client', 'no such; relation');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', customer_key => 'clientid');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'totl');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'note');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'total', amount => 'total');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', order_customer => 'id');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', order_filter => 'total');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', order_filter => 'total >');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', time_zone => 'Europe/Viena');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', scheme => 'none');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', bins => 4);
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', period => '-1 day');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', as_of => 'infinity');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', tier_by => 'profit');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', amount_scale => 7);
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', active_days => 0);
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', interacted_at => 'x');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', attributes => ARRAY['nme']);
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total', attributes => (SELECT array_agg('a' || i || ' = ' || i) FROM generate_series(1, 251) i));
SELECT * FROM crm_profile.create_source(repeat('s', 64), 'client', 'sale');
SELECT * FROM crm_profile.create_source('s', 'client', 'SELECT * FROM sale WHERE', amount => 'total');
SELECT * FROM crm_profile.create_source('s', 'client', 'SELECT * FROM sale; DROP TABLE sale', amount => 'total');
SELECT * FROM crm_profile.create_source(' s', 'client', 'sale');
SELECT * FROM crm_profile.create_source('pg_views', 'client', 'sale');
SELECT * FROM crm_profile.refresh('nothing');
SELECT * FROM crm_profile.refresh(NULL);
-- nothing is left behind
SELECT count(*) FROM pg_namespace WHERE nspname = 's';

SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total - tax', order_filter => 'note IS DISTINCT FROM ''test''', time_zone => 'Asia/Tokyo');
SELECT crm_profile.alter_source('s', amount => 'totl');
SELECT crm_profile.alter_source('s', reset => '{name}');
SELECT * FROM crm_profile.create_source('s', 'client', 'sale', ordered_at => 'sold_at', amount => 'total');
-- names are qualified for good: another search_path, the same tables
-- (newer versions leave out the table's name before its columns)
SELECT regexp_replace(replace(split_part(crm_profile.explain_source('s'), E'\n\n', 1), 'sale.', ''), '\s+', ' ', 'g') AS query;
RESET search_path;
-- no orders yet, then one late in the evening in Tokyo that is still the day before in UTC
SELECT orders, customers FROM crm_profile.refresh('s');
INSERT INTO shop.client VALUES ('00000000-0000-0000-0000-000000000001', 'one'), ('00000000-0000-0000-0000-000000000002', 'two');
INSERT INTO shop.sale VALUES (1, '00000000-0000-0000-0000-000000000001', '2025-03-01 20:00+00', NULL, 10, 2, NULL), (2, '00000000-0000-0000-0000-000000000001', '2025-03-05 20:00+00', NULL, 10, 2, 'test');
SELECT orders, customers FROM crm_profile.refresh('s');
SELECT customer, last_purchase, frequency, monetary FROM s.customer_profile ORDER BY customer;
SELECT name, warning LIKE 'the as-of date is far past the newest order (2025-03-02):%' AS warned FROM crm_profile.sources_details;
-- a refund alone makes no customer, a lifecycle over time
SELECT d, crm_profile.lifecycle('{2024-01-01: 10, 2024-06-01: 10}'::crm_profile.purchase_history, d, 30, 60)
FROM unnest('{2023-12-31,2024-01-01,2024-01-30,2024-01-31,2024-02-29,2024-03-01,2024-06-01,2024-07-01}'::date[]) d;
SELECT crm_profile.lifecycle(h, '2024-02-01', 30), crm_profile.lifecycle(h, '2024-02-01', 30, 40)
FROM (SELECT crm_profile.purchase_history_agg(d, 1) AS h FROM unnest('{2024-01-01,2024-01-20}'::date[]) d) x;
SELECT crm_profile.lifecycle(h, '2024-02-01', 0), 1 FROM (SELECT crm_profile.purchase_history_agg(date '2024-01-01', 1) AS h) x;
SELECT crm_profile.lifecycle(h, '2024-02-01', 30, 20), 1 FROM (SELECT crm_profile.purchase_history_agg(date '2024-01-01', 1) AS h) x;
-- interactions
CREATE TABLE shop.visit (client uuid REFERENCES shop.client, at timestamptz);
INSERT INTO shop.visit VALUES ('00000000-0000-0000-0000-000000000002', '2025-03-02'), ('00000000-0000-0000-0000-000000000001', '2025-03-02');
SELECT crm_profile.alter_source('s', interactions => 'shop.visit', interacted_at => 'at');
SELECT customer, lifecycle FROM s.customer_profile ORDER BY customer;
SELECT crm_profile.alter_source('s', reset => '{interactions,interaction_customer,interacted_at}');
-- a user's view depends on the source
CREATE VIEW shop.mine AS SELECT * FROM s.customer_profile;
SELECT crm_profile.drop_source('s');
SELECT crm_profile.drop_source('s', cascade => true);
-- faulty data
INSERT INTO shop.sale VALUES (3, NULL, '2025-03-01', NULL, 1, 0), (4, '00000000-0000-0000-0000-000000000001', NULL, NULL, 1, 0), (5, '00000000-0000-0000-0000-000000000001', '2025-03-01', NULL, NULL, 0),
	(6, '00000000-0000-0000-0000-000000000001', '2025-03-02', NULL, 'NaN', 0), (7, '00000000-0000-0000-0000-000000000001', 'infinity', NULL, 1, 0), (8, '00000000-0000-0000-0000-000000000001', '2035-03-02', NULL, 1, 0),
	(9, '00000000-0000-0000-0000-000000000001', '1900-01-01', NULL, 0, 0), (10, '00000000-0000-0000-0000-000000000001', '2025-03-02', NULL, -1, 0), (11, '00000000-0000-0000-0000-000000000001', '2025-03-02', NULL, -1, 0);
ALTER TABLE shop.sale DROP CONSTRAINT sale_client_id_fkey;
INSERT INTO shop.sale VALUES (12, '00000000-0000-0000-0000-000000000009', '2025-03-02', NULL, 1, 0);
SELECT origin FROM crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => 'sold_at', amount => 'total', as_of => '2025-12-31') WHERE argument = 'order_customer';
SELECT * FROM crm_profile.check_source_details('s');
SELECT * FROM crm_profile.refresh('s');
SELECT crm_profile.drop_source('s');
-- people with several keys are merged by their e-mail addresses; prospects without such a column are compared by nothing
CREATE TABLE shop.lead (id int PRIMARY KEY, region text);
ALTER TABLE shop.client ADD region text DEFAULT 'north';
INSERT INTO shop.lead VALUES (1, 'north');
SELECT count(*) > 5 AS created FROM crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => 'sold_at', amount => 'total', prospects => 'shop.lead', corrections => '{"merge_customers": true}');
SELECT prospect, lifecycle FROM s.prospect_match;
ALTER TABLE shop.lead ADD email text;
SELECT count(*) FROM s.prospect_match;
SELECT crm_profile.drop_source('s');
DROP TABLE shop.lead;
-- what is no value of a row: aggregates and sets; windows are
SELECT crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => 'sold_at', amount => 'sum(total)');
SELECT crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => 'sold_at', amount => 'generate_series(1, 2)');
SELECT crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => 'sold_at', amount => 'total', attributes => '{most = max(region)}');
-- names in double quotes, as in SQL, and without; those that the queries use themselves cannot be attributes
ALTER TABLE shop.client ADD "Size ""in"" cm" int, ADD "(row)" text;
SELECT argument, value FROM crm_profile.create_source('s', 'shop.client', 'shop.sale', ordered_at => '"sold_at"', amount => 'sum(total) OVER (PARTITION BY id)', customer_key => '"client_id"', attributes => '{"\"region\"","\"Size \"\"in\"\" cm\""}') WHERE argument IN ('customer_key', 'attributes');
SELECT attname FROM pg_attribute WHERE attrelid = 's.customer_attributes'::regclass AND attnum > 0 ORDER BY attnum;
SELECT crm_profile.alter_source('s', attributes => '{(row)}');
SELECT crm_profile.drop_source('s');
-- suggestions
SELECT customers, orders, reason, call FROM crm_profile.suggest_sources_details();
DROP SCHEMA shop CASCADE;
