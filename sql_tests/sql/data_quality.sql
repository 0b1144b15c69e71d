-- Data quality: no findings in clean data; each planted fault is found, with figures counted here by plain SQL; corrections
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = ISO;
SET timezone = 'UTC';
CREATE TABLE person (id int PRIMARY KEY, email text, phone text, first_name text, last_name text, birth_date date, city text, income int, constant text DEFAULT 'yes');
INSERT INTO person SELECT i, format('p%s@example.org', i), '+49 30 ' || (1000000 + i), 'First' || i, 'Last' || i, date '1950-01-01' + i * 37 % 18000, (ARRAY['Berlin', 'Hamburg', 'Bonn'])[1 + i % 3], 20000 + i * 7919 % 60000
	FROM generate_series(1, 600) i;
CREATE TABLE sale (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person_id int, sold_at timestamp, total numeric(12, 2), state text DEFAULT 'paid', currency text DEFAULT 'EUR', shop text DEFAULT 'a');
-- some customers have more orders than others
INSERT INTO sale (person_id, sold_at, total) SELECT CASE WHEN i <= 600 THEN i ELSE 1 + least(i * 7919 % 600, i * 31 % 600) END, timestamp '2024-01-01 08:00' + interval '1 day' * (i * 37 % 720) + interval '1 second' * (i * 7727 % 40000), round(10 + i * 6007 % 9000 / 37.0, 2)
	FROM generate_series(1, 9000) i;
SELECT argument, value FROM crm_profile.create_source('shop', 'person', 'sale', order_customer => 'person_id', ordered_at => 'sold_at', amount => 'total', as_of => '2025-12-31', attributes => '{city,income}') WHERE argument = 'bins';
-- clean data: no findings, before and after a refresh
SELECT finding FROM crm_profile.check_source_details('shop');
SELECT orders FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SET jit = off;
SELECT finding FROM crm_profile.check_source_details('shop');
SELECT finding, severity, found_by FROM shop.data_quality;

-- ---------------------------------------------------------------- planted in the orders
CREATE TABLE clean_sale AS SELECT * FROM sale;
INSERT INTO sale (person_id, sold_at, total) SELECT person_id, sold_at, total FROM sale WHERE id % 300 = 1;
INSERT INTO sale (person_id, sold_at, total) VALUES (5, '2025-12-01 12:00', 1000000), (6, '2025-12-01 12:00', 0), (7, '1970-01-01', 5), (8, '2030-01-01', 7), (0, '2025-10-01 10:00', 50), (0, '2025-10-02 10:00', 50),
	(5000, '2025-10-01 10:00', 500), (NULL, '2025-10-01 10:01', 50), (9, NULL, 50), (10, '2025-10-01 10:00', NULL), (11, '2025-10-01 10:00', 'NaN'), (12, 'infinity', 7), (13, '2023-01-01 10:00', -20.5);
INSERT INTO sale (person_id, sold_at, total, state) VALUES (14, '2025-10-01 10:00', 777, 'cancelled'), (14, '2025-10-03 10:00', 333, 'Test');
INSERT INTO sale (person_id, sold_at, total) VALUES (15, '2025-10-01 11:00', 88.88), (15, '2025-10-01 12:00', -88.88), (15, '2025-10-04 12:00', -88.88), (16, '2025-10-01 11:00', 44), (16, '2025-10-05 11:00', 44), (16, '2025-10-06 12:00', -44);
UPDATE sale SET currency = 'USD' WHERE id % 1000 = 17;
SELECT finding, severity, rows, customers, revenue, sample_keys FROM crm_profile.check_source_details('shop');
SELECT advice, argument FROM crm_profile.check_source_details('shop') WHERE finding LIKE '% by %' OR finding LIKE '%guest%';
SELECT count(*) FROM shop.data_quality WHERE found_by = 'check_source';
-- how many labels would change: by new thresholds and tiers of the corrected histories
CREATE FUNCTION labels(query text, everybody boolean) RETURNS TABLE (customer int, segment text, tier text) LANGUAGE sql AS $$
	WITH h AS MATERIALIZED (SELECT c.* FROM crm_profile.collect_purchase_histories(NULL::int, query) c WHERE everybody OR c.customer IN (SELECT id FROM person)),
		m AS MATERIALIZED (SELECT crm_profile.rfm_fit(h.history, '2025-12-31', 5) AS rfm, crm_profile.customer_base_fit(h.history, '2025-12-31', NULL, false) AS base FROM h),
		u AS MATERIALIZED (SELECT u.segments, u.active_days, u.clv FROM shop.model_in_use u)
	SELECT h.customer, crm_profile.segment(crm_profile.rfm_score(h.history, m.rfm, '2025-12-31'), u.segments, crm_profile.lifecycle(h.history, '2025-12-31', u.active_days, u.clv)),
		crm_profile.value_tier(crm_profile.monetary(h.history, '2025-12-31'), (m.base).a_from, (m.base).b_from) FROM h, m, u $$;
CREATE FUNCTION changed(correction text, everybody boolean DEFAULT false, base text DEFAULT 'SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at)') RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM labels(base, false) a FULL JOIN labels(correction, everybody) b USING (customer)
	WHERE (a.segment, a.tier) IS DISTINCT FROM (b.segment, b.tier) $$;
SELECT c.finding, c.customers_changed = t.n AS right_count, t.n > 0 AS some FROM crm_profile.check_source_details('shop') c JOIN (VALUES
	('orders that are copies of others', changed('SELECT person_id, sold_at, total FROM (SELECT DISTINCT ON (person_id, sold_at, total, state, currency, shop) * FROM sale) s WHERE total <> ''NaN'' AND isfinite(sold_at)')),
	('amounts out of proportion', changed(format('SELECT person_id, sold_at, least(total, %s) FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at)', (SELECT substring(argument FROM '[0-9]+') FROM shop.data_quality WHERE finding = 'amounts out of proportion')))),
	('orders of amount 0', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND total <> 0')),
	('orders of 1970 or before', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND sold_at > ''1970-01-01''')),
	('orders of unknown customers', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND person_id <> 0', true)),
	('a guest key that stands for many', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND person_id <> 0')),
	('refunds without a purchase', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND NOT (person_id = 13 AND total < 0)')),
	('orders refunded in full, and their refunds', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND NOT (person_id = 15 AND sold_at < ''2025-10-02'' AND abs(total) = 88.88) AND NOT (person_id = 16 AND (total = -44 OR total = 44 AND sold_at = ''2025-10-05 11:00''))')),
	('orders that may not count, by state', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND state NOT IN (''cancelled'', ''Test'')')),
	('several currencies, by currency', changed('SELECT person_id, sold_at, total FROM sale WHERE total <> ''NaN'' AND isfinite(sold_at) AND currency = ''EUR'''))) t(finding, n) USING (finding) ORDER BY c.finding COLLATE "C";
-- a column that the filter mentions is not reported; only refunds are left
SELECT crm_profile.alter_source('shop', order_filter => 'state = ''paid'' AND currency = ''EUR'' AND NOT (person_id = 15 AND total >= 0)');
SELECT finding, rows, customers, revenue, sample_keys FROM crm_profile.check_source_details('shop') WHERE finding LIKE '% by %' OR finding LIKE '%filter%';

-- ---------------------------------------------------------------- corrections
SELECT crm_profile.alter_source('shop', corrections => '{"duplicate": "drop"}');
SELECT crm_profile.alter_source('shop', corrections => '{"refunds": "drop"}');
SELECT crm_profile.alter_source('shop', corrections => 'drop duplicates');
SELECT crm_profile.alter_source('shop', corrections => '{"clip_above": 1, "leave_out_above": 2}');
UPDATE person SET email = ' P1@EXAMPLE.org' WHERE id = 590;
UPDATE person SET phone = '0049 (30) 1000002' WHERE id = 591;
UPDATE person SET phone = '+49 30 1000591', email = 'p1@example.org' WHERE id = 591;
UPDATE person SET (first_name, last_name, birth_date) = ('FIRST4', 'last4', (SELECT birth_date FROM person WHERE id = 4)) WHERE id = 592;
SELECT finding, rows, customers, customers_changed, sample_keys, argument FROM crm_profile.check_source_details('shop') WHERE finding LIKE 'customers with%same%';
CREATE VIEW read_sale AS SELECT * FROM sale WHERE state = 'paid' AND currency = 'EUR' AND NOT (person_id = 15 AND total >= 0) AND total <> 'NaN' AND isfinite(sold_at);
SELECT changed('SELECT CASE person_id WHEN 590 THEN 1 WHEN 591 THEN 1 WHEN 592 THEN 4 ELSE person_id END, sold_at, total FROM read_sale', base => 'SELECT person_id, sold_at, total FROM read_sale');
DROP VIEW read_sale;
SELECT crm_profile.alter_source('shop', order_filter => 'total <> ''NaN'' AND isfinite(sold_at)', corrections => '{"duplicates": "drop", "guests": ["0"], "refunds": "cancel", "clip_above": 11000, "merge_customers": true}');
SELECT orders, customers FROM crm_profile.refresh('shop');
SELECT finding, severity, rows, customers, revenue, sample_keys FROM shop.data_quality WHERE severity = 'corrected';
SELECT * FROM shop.customer_identity ORDER BY customer;
-- the ledger, corrected by hand
CREATE VIEW by_hand AS
	SELECT CASE person_id WHEN 0 THEN NULL WHEN 590 THEN 1 WHEN 591 THEN 1 WHEN 592 THEN 4 ELSE person_id END AS person, sold_at, least(total, 11000) AS total
	FROM (SELECT DISTINCT ON (person_id, sold_at, total, state, currency, shop) * FROM sale WHERE total <> 'NaN' AND isfinite(sold_at)) s
	WHERE NOT (person_id = 15 AND sold_at < '2025-10-02' AND abs(total) = 88.88) AND NOT (person_id = 16 AND (total = -44 OR total = 44 AND sold_at = '2025-10-05 11:00'));
SELECT count(*) AS differences FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT person, sold_at, total FROM by_hand') b FULL JOIN shop.customer_history h USING (customer) WHERE b.history::text IS DISTINCT FROM h.history::text;
SELECT (SELECT sum(monetary) FROM shop.segment_summary) = (SELECT sum(total) FROM by_hand WHERE sold_at < '2026-01-01') AS reconciles;
SELECT regexp_replace(line, '[0-9]{4,}', '…') AS corrected FROM regexp_split_to_table(crm_profile.explain_source('shop'), '\n') line WHERE line LIKE '-- corrected%';
-- decisions of the owner
INSERT INTO shop.identity_override VALUES (590, NULL, 'brothers'), (592, 3, NULL);
SELECT * FROM shop.customer_identity ORDER BY customer;
-- a refund on the day of its order; orders above the limit are clipped, with their refunds
SELECT crm_profile.alter_source('shop', corrections => '{"refunds": "pair", "leave_out_above": 11000}');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT p.* FROM shop.customer_history h, crm_profile.purchases(h.history) p WHERE h.customer IN (15, 16) AND p.day BETWEEN '2025-10-01' AND '2025-10-06' ORDER BY h.customer, p.day;
SELECT finding, rows, revenue FROM shop.data_quality WHERE severity = 'corrected';
SELECT to_regclass('shop.customer_identity') IS NULL AS gone;
SELECT crm_profile.drop_source('shop');

-- ---------------------------------------------------------------- order lines
CREATE TABLE line (invoice int, person_id int, sold_at timestamp, article text, price numeric(10, 2));
INSERT INTO line SELECT id, person_id, sold_at, 'article ' || a, total FROM clean_sale, generate_series(1, 2) a WHERE id % 3 > 0 AND id <= 300;
INSERT INTO line SELECT * FROM line WHERE invoice IN (10, 13);
INSERT INTO line VALUES (1, 1, '2024-05-01', 'refund of a part', -5), (9001, 2, '2024-05-01', 'a', 20), (9001, 2, '2024-05-01', 'b', -20), (9002, 3, '2024-05-01', 'voucher', 100000), (9002, 3, '2024-05-01', 'c', 10);
SELECT argument, value FROM crm_profile.create_source('lines', 'person', 'line', order_customer => 'person_id', amount => 'price', order_key => 'invoice', as_of => '2025-12-31') WHERE argument = 'bins';
-- each line has the total of its order: orders count, not lines
SELECT finding, rows, customers, revenue FROM crm_profile.check_source_details('lines') WHERE finding !~ 'customers without';
SELECT crm_profile.alter_source('lines', corrections => '{"duplicates": "drop", "clip_above": 5000}');
SELECT orders FROM crm_profile.refresh('lines');
SELECT count(*) AS differences FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT person_id, min(sold_at), least(sum(price), 5000) FROM (SELECT DISTINCT * FROM line) l GROUP BY invoice, person_id') b
	FULL JOIN lines.customer_history h USING (customer) WHERE b.history::text IS DISTINCT FROM h.history::text;
SELECT finding, rows, customers, revenue FROM lines.data_quality WHERE severity = 'corrected';
SELECT crm_profile.drop_source('lines');

-- ---------------------------------------------------------------- profit, keys of text, a time zone, and nothing kept in a read-only transaction
CREATE TABLE member (code text PRIMARY KEY);
INSERT INTO member SELECT 'K' || i FROM generate_series(1, 50) i;
INSERT INTO member VALUES ('k7 '), ('guest');
CREATE TABLE bill (code text, at timestamptz, total float8, cost numeric);
INSERT INTO bill SELECT 'K' || 1 + i * 7 % 50, timestamptz '2024-01-01 10:00+01' + i * interval '3 hours', 10 + i % 90 + 0.25, CASE WHEN i % 4 > 0 THEN 5 END FROM generate_series(1, 500) i;
INSERT INTO bill VALUES ('k7 ', '2024-05-01 00:30+02', 50, 20), ('guest', '2024-05-01', 5, 1), ('K9', '2024-05-02', 'Infinity', 20), ('K9', '2024-05-02', 5, 'NaN'), ('K9', '2024-05-02', 90000, 1);
SELECT argument, value FROM crm_profile.create_source('bills', 'member', 'bill', order_customer => 'code', amount => 'total', cost => 'cost', tier_by => 'profit', period => '2 years', as_of => '2024-12-31', time_zone => 'Europe/Berlin') WHERE argument = 'bins';
BEGIN READ ONLY;
SELECT finding, rows, customers, revenue, sample_keys FROM crm_profile.check_source_details('bills');
COMMIT;
SELECT count(*) FROM bills.data_quality;
SELECT crm_profile.alter_source('bills', order_filter => 'total <> ''Infinity''', cost => 'NULLIF(cost, ''NaN'')', corrections => '{"merge_customers": true, "guests": ["guest"], "leave_out_above": 5000}');
SELECT orders, customers FROM crm_profile.refresh('bills');
SELECT p.day FROM bills.customer_history h, crm_profile.purchases(h.history) p WHERE h.customer = 'K7' AND p.amount = 50;
SELECT finding, rows, customers, revenue, sample_keys FROM bills.data_quality WHERE severity = 'corrected';
SELECT crm_profile.drop_source('bills');

-- ---------------------------------------------------------------- unreadable values are reported, and everything else too
CREATE TABLE raw (number text, day text, total text);
INSERT INTO raw SELECT person_id, to_char(sold_at, 'YYYY-MM-DD'), total FROM clean_sale WHERE id <= 2500;
INSERT INTO raw VALUES ('none', '2025-01-01', '5'), ('7', '2025-02-31', '5'), ('8', '2025-01-01', 'five'), ('9', '2025-01-01', '0');
SELECT argument, value FROM crm_profile.create_source('raw_shop', 'person', 'raw', order_customer => 'number', ordered_at => 'to_date(day, ''YYYY-MM-DD'')', amount => 'total::numeric', as_of => '2025-12-31') WHERE argument = 'bins';
SELECT orders FROM crm_profile.refresh('raw_shop');
SELECT finding, severity, rows, sample_keys FROM crm_profile.check_source_details('raw_shop') WHERE finding !~ 'customers without' AND finding !~ 'copies';
SELECT crm_profile.drop_source('raw_shop');

-- ---------------------------------------------------------------- customers and attributes
INSERT INTO person (id, birth_date, city, income) VALUES (1001, '1893-05-01', 'n/a', 666666), (1002, '2031-01-01', 'Berlin', 30000);
SELECT argument, value FROM crm_profile.create_source('attributes', 'person', 'clean_sale', order_customer => 'person_id', amount => 'total', as_of => '2025-12-31', attributes => '{city,income,constant,rare = CASE WHEN id < 50 THEN id % 7 END}') WHERE argument = 'bins';
SELECT finding, severity, rows, sample_keys, argument FROM crm_profile.check_source_details('attributes') WHERE finding !~ 'customers with';
SELECT crm_profile.alter_source('attributes', corrections => '{"missing_values": {"city": ["n/a"], "income": ["666666"]}}');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('attributes');
SELECT customer, city, income FROM attributes.customer_attributes WHERE customer > 1000 ORDER BY customer;
SELECT finding, severity FROM attributes.data_quality WHERE severity = 'corrected';
SELECT finding FROM crm_profile.check_source_details('attributes') WHERE finding ~ 'stand for none';
SELECT crm_profile.drop_source('attributes');

-- ---------------------------------------------------------------- times, cents, tenants, lost days
CREATE TABLE odd AS SELECT person_id, sold_at::date + time '22:00' AS sold_at, (total * 100)::int - (total * 100)::int % 100 + 99 AS total, 'mandant ' || person_id % 2 AS mandant FROM clean_sale;
DELETE FROM odd WHERE sold_at BETWEEN '2025-03-03' AND '2025-03-06';
INSERT INTO odd SELECT (i * 7919) % 600, timestamp '2025-01-01 22:00' + interval '1 day' * (i % 120), 1999, NULL FROM generate_series(1, 4000) i WHERE i % 120 NOT BETWEEN 60 AND 64;
UPDATE odd SET mandant = 'mandant ' || person_id % 2;
SELECT argument, value FROM crm_profile.create_source('odd_shop', 'person', 'odd', order_customer => 'person_id', amount => 'total', as_of => '2025-12-31') WHERE argument = 'bins';
SELECT finding, rows, advice FROM crm_profile.check_source_details('odd_shop') WHERE finding ~ 'cents|time zone|days without|tenant';
SELECT crm_profile.drop_source('odd_shop');

-- ---------------------------------------------------------------- readers, and prospects with the address of a customer
CREATE TABLE lead (no text PRIMARY KEY, e_mail text, city text, income int);
INSERT INTO lead SELECT 'L' || i, CASE WHEN i = 1 THEN 'P2@Example.ORG ' ELSE format('l%s@example.org', i) END, 'Bonn', 30000 FROM generate_series(1, 5) i;
SELECT argument, value FROM crm_profile.create_source('told', 'person', 'sale', order_customer => 'person_id', ordered_at => 'sold_at', amount => 'total', order_filter => 'total <> ''NaN'' AND isfinite(sold_at)', as_of => '2025-12-31',
	prospects => 'lead', prospect_customer => NULL, attributes => '{city,income}') WHERE argument = 'bins';
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('told');
SELECT finding, rows FROM crm_profile.check_source_details('told') WHERE finding ~ 'e-mail address';
SELECT count(*) FROM told.prospect_match;
SELECT crm_profile.alter_source('told', corrections => '{"merge_customers": true}');
SELECT string_agg(prospect, ', ' ORDER BY prospect COLLATE "C") FROM told.prospect_match;
-- what reads customer_identity no longer does when it is taken back
CREATE TABLE contact (person_id int, campaign text, sent date);
CREATE TABLE invoice (person_id int, due_date date, paid_on date, total numeric);
INSERT INTO contact SELECT id, 'spring', '2025-05-01' FROM person;
INSERT INTO invoice SELECT id, '2025-05-01', '2025-05-03', 10 FROM person;
SELECT crm_profile.alter_source('told', campaigns => 'contact', contacted_at => 'sent', payments => 'invoice', payment_amount => 'total');
SELECT crm_profile.alter_source('told', reset => '{corrections}');
SELECT to_regclass('told.customer_identity') IS NULL AS dropped, (SELECT count(*) FROM told.campaign_response) = count(*) AS contacts FROM person;
SELECT crm_profile.alter_source('told', corrections => '{"merge_customers": true}');
SELECT count(*) - (SELECT count(*) FROM told.campaign_response) = (SELECT count(*) FROM told.customer_identity) AS merged FROM person;
SELECT crm_profile.alter_source('told', reset => '{campaigns,payments}', corrections => '{"duplicates": "drop"}');
SELECT crm_profile.alter_source('told', corrections => '{"merge_customers": true}');
CREATE ROLE regress_crm_reader;
GRANT USAGE ON SCHEMA told TO regress_crm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA told TO regress_crm_reader;
GRANT SELECT ON person TO regress_crm_reader;
ALTER TABLE person ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON person FOR SELECT TO regress_crm_reader USING (id > 6);
SELECT finding, customers, revenue, sample_keys FROM told.data_quality WHERE finding IN ('amounts out of proportion', 'orders of amount 0', 'refunds without a purchase', 'orders of unknown customers') ORDER BY finding COLLATE "C";
SET ROLE regress_crm_reader;
-- the same, for customers whom the reader sees
SELECT finding, customers, revenue, sample_keys FROM told.data_quality WHERE finding IN ('amounts out of proportion', 'orders of amount 0', 'refunds without a purchase', 'orders of unknown customers') ORDER BY finding COLLATE "C";
SELECT count(*) FROM told.finding WHERE customers < 5 AND revenue IS NOT NULL;
SELECT min(customer) > 6 AS seen FROM told.finding_key;
SELECT finding FROM crm_profile.check_source_details('told');
RESET ROLE;
-- forgotten, also as an example
SELECT histories_deleted FROM crm_profile.forget_customer('told', 13);
SELECT count(*) FROM told.finding_key WHERE key = '13';
SELECT crm_profile.drop_source('told');
DROP OWNED BY regress_crm_reader;
DROP ROLE regress_crm_reader;
DROP VIEW by_hand;
DROP FUNCTION changed(text, boolean, text);
DROP FUNCTION labels(text, boolean);
DROP TABLE member, bill, person, sale, clean_sale, line, raw, odd, lead, contact, invoice;
