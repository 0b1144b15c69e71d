-- Faults that stop a refresh, tables without keys, prospects: each check finds the fault planted here, and nothing in the same tables without it
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET datestyle = ISO;
CREATE TABLE buyer (id integer, phone text, city text);
INSERT INTO buyer SELECT i, '+49 30 ' || (1000000 + i), (ARRAY['Berlin', 'Hamburg', 'Bonn'])[1 + i % 3] FROM generate_series(1, 60) i;
CREATE TABLE bill (buyer_id integer, billed date, total numeric);
INSERT INTO bill SELECT 1 + i % 60, date '2024-01-01' + i * 7 % 600, 10 + i * 13 % 83 + 0.37 FROM generate_series(1, 600) i;
CREATE TABLE lead (id integer, buyer_id integer, city text);
INSERT INTO lead SELECT 1000 + i, NULL, 'Bonn' FROM generate_series(1, 5) i;
SELECT count(*) FROM crm_profile.create_source('shop', 'buyer', 'bill', customer_key => 'id', order_customer => 'buyer_id', ordered_at => 'billed', amount => 'total', as_of => '2025-12-31', attributes => '{city}',
	prospects => 'lead', prospect_key => 'id', prospect_customer => 'buyer_id');
CREATE VIEW found AS SELECT finding, severity, rows, customers, revenue, sample_keys FROM crm_profile.check_source_details('shop');
-- clean
SELECT * FROM found;
SELECT orders FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SET jit = off;
SELECT * FROM found;
-- amounts that stop a refresh
INSERT INTO bill VALUES (1, '2025-01-01', 1.12345678), (2, '2025-01-01', 12345678901234567890);
SELECT * FROM found WHERE finding ~ '^amounts (of|out of range)';
SELECT orders FROM crm_profile.refresh('shop');
DELETE FROM bill WHERE total > 1e12 OR scale(total) > 2;
-- amounts that a refresh takes, of more digits than others
INSERT INTO bill VALUES (4, '2025-01-01', 1e15), (5, '2025-01-01', 950000000000000.05), (6, '2025-01-01', 9223372036854775);
SELECT * FROM found;
DELETE FROM bill WHERE total > 1e12;
INSERT INTO bill VALUES (4, '2025-01-01', -1e15), (5, '2025-01-01', 922337203685478), (6, '2025-01-01', -922337203685478.5);
SELECT * FROM found;
SELECT orders FROM crm_profile.refresh('shop');
SELECT * FROM found;
DELETE FROM bill WHERE abs(total) > 1e12;
-- one faulty row is enough: the message names the source and what finds it
INSERT INTO bill VALUES (3, 'infinity', 1);
SELECT orders FROM crm_profile.refresh('shop');
SELECT problem FROM crm_profile.refresh_all();
SELECT * FROM found WHERE finding ~ '^days';
DELETE FROM bill WHERE billed = 'infinity';
INSERT INTO bill VALUES (3, '2025-01-01', 'NaN');
SELECT orders FROM crm_profile.refresh('shop');
DELETE FROM bill WHERE total = 'NaN';
INSERT INTO bill VALUES (3, '2025-01-01', 5);
SELECT crm_profile.alter_source('shop', amount => '1 / (total - 5)', amount_scale => 2);
SELECT orders FROM crm_profile.refresh('shop');
SELECT crm_profile.alter_source('shop', amount => 'total', reset => '{amount_scale}');
DELETE FROM bill WHERE total = 5;
-- days that no timestamp can be are days like others: the far ones count from their day on
INSERT INTO bill VALUES (3, '5874897-12-31', 5), (4, '300000-01-01', 5), (5, '4714-11-24 BC', 5);
SELECT orders FROM crm_profile.refresh('shop');
SELECT * FROM found WHERE finding ~ 'as-of|1970';
SELECT count(last_purchase), max(last_purchase), min(first_purchase), sum(monetary) - (SELECT sum(total) FROM bill WHERE billed < '2026-01-01') AS missing FROM shop.customer_profile;
DO $$
DECLARE
	view name;
BEGIN
	FOR view IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'v' LOOP
		EXECUTE format('SELECT count(v::text) FROM shop.%I v', view);
	END LOOP;
	PERFORM crm_profile.report('shop');
END $$;
SELECT value FROM shop.model_card_details WHERE item = 'newest order';
DELETE FROM bill WHERE billed NOT BETWEEN '2000-01-01' AND '2030-01-01';
-- customers and prospects
INSERT INTO buyer VALUES (7, '+49 30 1000007', 'Bonn'), (NULL, '+49 30 2000000', 'Bonn');
SELECT * FROM found WHERE finding ~ '^customers with';
SELECT orders FROM crm_profile.refresh('shop');
SELECT finding, severity, rows FROM shop.data_quality WHERE found_by = 'refresh';
SELECT p.customers, p.orders, (SELECT sum(s.customers) FROM shop.segment_summary s) = (SELECT count(*) FROM buyer) AS all_customers FROM (SELECT count(*) AS customers, count(last_purchase) AS orders FROM shop.customer_profile WHERE customer IS NULL) p;
DELETE FROM buyer WHERE ctid IN (SELECT max(ctid) FROM buyer WHERE id = 7) OR id IS NULL;
UPDATE buyer SET phone = '0049 30/1000003' WHERE id = 50;
SELECT * FROM found WHERE finding ~ '^customers with the same';
UPDATE buyer SET phone = '+49 30 1000050' WHERE id = 50;
INSERT INTO lead VALUES (NULL, NULL, 'Bonn'), (1001, NULL, 'Bonn'), (2000, 4711, 'Bonn'), (2001, 5, 'Bonn');
SELECT * FROM found WHERE finding ~ '^prospects';
DELETE FROM lead WHERE id IS NULL OR id >= 2000 OR ctid IN (SELECT max(ctid) FROM lead WHERE id = 1001);
SELECT * FROM found;
-- no orders
SELECT crm_profile.alter_source('shop', order_filter => 'total < 0');
SELECT finding, severity FROM found;
SELECT orders FROM crm_profile.refresh('shop');
SELECT finding, severity FROM shop.data_quality WHERE found_by = 'refresh';
-- a failing check is reported, and the others go on
SELECT crm_profile.alter_source('shop', reset => '{order_filter}', attributes => '{city, "part = (1 / (id - 5))::text"}');
SELECT * FROM found WHERE finding ~ 'could not be';
DROP VIEW found;
SELECT crm_profile.drop_source('shop');
DROP TABLE buyer, bill, lead;
