-- Tables of a source that are renamed, rebuilt or dropped; readers' rights; settings of the source, not of the session; publications
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT errors
CREATE ROLE regress_crm_reader;
CREATE SCHEMA trade;
SET search_path = trade;
CREATE TABLE client (id int PRIMARY KEY, region text);
INSERT INTO client SELECT i, 'r' || i % 3 FROM generate_series(1, 150) i;
CREATE TABLE sale (client_id int, day date, amount numeric);
INSERT INTO sale SELECT 1 + i % 140, date '2025-01-01' + i % 120, i % 17 FROM generate_series(1, 800) i;
CREATE TABLE visit (client int, at date);
INSERT INTO visit VALUES (145, '2025-02-01');
CREATE TABLE lead (lead_no int PRIMARY KEY, region text);
INSERT INTO lead SELECT i, 'r' || i % 4 FROM generate_series(1, 20) i;
SELECT count(*) FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client_id', as_of => '2025-05-01', interactions => 'visit', interaction_customer => 'client', prospects => 'lead', attributes => '{region}', best => 'customer % 2 = 0');
SELECT orders, customers FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
GRANT USAGE ON SCHEMA shop, trade TO regress_crm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_crm_reader;
GRANT SELECT ON client, visit TO regress_crm_reader;
SELECT orders FROM crm_profile.refresh('shop');

-- rebuilt as tools do it: a new table beside the old one, the old one dropped with all that depends on it, the new one renamed
CREATE TABLE client_new (LIKE client INCLUDING ALL);
INSERT INTO client_new SELECT * FROM client UNION ALL SELECT 151, 'new';
SET client_min_messages = error;
DROP TABLE client CASCADE;
SET client_min_messages = warning;
SELECT warning FROM crm_profile.sources_details;
SELECT * FROM crm_profile.check_source_details('shop');
SELECT * FROM crm_profile.refresh('shop');
ALTER TABLE client_new RENAME TO client;
GRANT SELECT ON client TO regress_crm_reader;
SELECT warning FROM crm_profile.sources_details;
SELECT * FROM crm_profile.check_source_details('shop') WHERE finding LIKE 'tables%';
SET client_min_messages = notice;
SELECT orders, customers, customers_written FROM crm_profile.refresh('shop');
SET client_min_messages = warning;
SELECT warning FROM crm_profile.sources_details;
-- readers can read again, and the policies are back
SET ROLE regress_crm_reader;
SELECT count(*), count(*) FILTER (WHERE lifecycle = 'potential') AS potential FROM shop.customer_profile;
SELECT sum(customers) FROM shop.segment_summary;
SELECT count(*) FROM shop.customer_history;
RESET ROLE;
-- who came to be a reader, or ceased to be one, after the last refresh; rights on columns, and to grant
CREATE FUNCTION readers() RETURNS TABLE (grantee text, views bigint, columns text, can_grant bigint) LANGUAGE sql AS $$
	SELECT coalesce(r.rolname, 'PUBLIC'), count(DISTINCT c.oid) FILTER (WHERE a."column" IS NULL), string_agg(DISTINCT c.relname || '.' || a."column", ', '), count(*) FILTER (WHERE a.is_grantable)
	FROM pg_class c CROSS JOIN LATERAL (SELECT x.grantee, NULL AS "column", x.is_grantable FROM aclexplode(c.relacl) x UNION ALL SELECT x.grantee, t.attname, x.is_grantable FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid) a
		LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'v' AND a.grantee <> c.relowner GROUP BY 1 ORDER BY 1 $$;
CREATE ROLE regress_crm_new;
CREATE ROLE regress_crm_some;
CREATE ROLE regress_crm_late;
GRANT SELECT (segment, customers) ON shop.segment_summary TO regress_crm_some;
GRANT SELECT ON shop.rfm_grid TO regress_crm_some WITH GRANT OPTION;
GRANT SELECT ON shop.customer_history, shop.model_in_use TO regress_crm_some;
SELECT orders FROM crm_profile.refresh('shop');
SELECT * FROM readers();
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_crm_new;
REVOKE SELECT ON ALL TABLES IN SCHEMA shop FROM regress_crm_reader;
SET client_min_messages = error;
ALTER TABLE client RENAME TO client_old;
CREATE TABLE client (LIKE client_old INCLUDING ALL);
INSERT INTO client TABLE client_old;
DROP TABLE client_old CASCADE;
SET client_min_messages = warning;
SELECT * FROM readers();
SELECT crm_profile.segment_card('shop');
SELECT orders FROM crm_profile.refresh('shop');
SELECT * FROM readers();
-- the same where alter_source comes first; without a loss, nobody is given anything
GRANT SELECT ON shop.customer_history, shop.model_in_use TO regress_crm_late;
SELECT orders FROM crm_profile.refresh('shop');
SELECT crm_profile.alter_source('shop', reset => '{prospects}');
SELECT crm_profile.alter_source('shop', prospects => 'lead', prospect_key => 'lead_no');
SELECT * FROM readers();
REVOKE SELECT ON ALL TABLES IN SCHEMA shop FROM regress_crm_late, regress_crm_some;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_crm_reader;
SET client_min_messages = error;
CREATE TABLE client_new (LIKE client INCLUDING ALL);
INSERT INTO client_new TABLE client;
DROP TABLE client CASCADE;
SET client_min_messages = warning;
SELECT crm_profile.alter_source('shop', customers => 'client_new');
SELECT * FROM readers();
ALTER TABLE client_new RENAME TO client;
GRANT SELECT ON client TO regress_crm_reader;
SELECT crm_profile.alter_source('shop', customers => 'client');
REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM regress_crm_new;
SET client_min_messages = error;
SELECT orders FROM crm_profile.refresh('shop');
SET client_min_messages = warning;
DROP ROLE regress_crm_new, regress_crm_some, regress_crm_late;
-- swapped without a drop: the views would go on reading the old one
CREATE TABLE client_new AS SELECT * FROM client WHERE id <= 120;
ALTER TABLE client RENAME TO client_old;
ALTER TABLE client_new RENAME TO client;
GRANT SELECT ON client TO regress_crm_reader;
CREATE TABLE lead_new AS SELECT * FROM lead WHERE lead_no <= 5;
ALTER TABLE lead RENAME TO lead_old;
ALTER TABLE lead_new RENAME TO lead;
SELECT warning FROM crm_profile.sources_details;
SELECT orders FROM crm_profile.refresh('shop');
SELECT (SELECT count(*) FROM shop.customer_profile) AS customers, (SELECT count(*) FROM shop.prospect_match) AS prospects;
SELECT warning FROM crm_profile.sources_details;
-- a view dropped by hand
DROP VIEW shop.rfm_grid;
SELECT warning FROM crm_profile.sources_details;
SELECT orders FROM crm_profile.refresh('shop');
SELECT has_table_privilege('regress_crm_reader', 'shop.rfm_grid', 'SELECT') AS readers;
-- rights taken from readers stay away
REVOKE SELECT ON shop.rfm_grid FROM regress_crm_reader;
SELECT orders FROM crm_profile.refresh('shop');
DROP VIEW shop.rfm_grid;
SELECT orders FROM crm_profile.refresh('shop');
SELECT has_table_privilege('regress_crm_reader', 'shop.rfm_grid', 'SELECT') AS readers;
-- renamed columns and tables: errors name the source, and what to call
-- (PostgreSQL 17 writes amount where 15 writes sale.amount)
CREATE FUNCTION said(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE query;
	RETURN 'no error';
EXCEPTION WHEN undefined_column THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', sqlstate || ': ' || regexp_replace(sqlerrm, 'column "?(?:\w+\.)?(\w+)"?', 'column \1'), hint);
END $$;
ALTER TABLE sale RENAME COLUMN amount TO total;
SELECT said($$SELECT * FROM crm_profile.refresh('shop')$$);
SELECT said($$SELECT * FROM crm_profile.profile_now_details('shop', 1)$$);
SELECT crm_profile.alter_source('shop', amount => 'total');
ALTER TABLE sale RENAME TO sales;
SELECT * FROM crm_profile.refresh('shop');
SELECT * FROM crm_profile.forget_customer('shop', 1);
SELECT crm_profile.alter_source('shop', orders => 'sales');
ALTER TABLE client RENAME COLUMN id TO nr;
SELECT said($$SELECT orders FROM crm_profile.refresh('shop')$$);
SELECT crm_profile.alter_source('shop', customer_key => 'nr');
-- another key type
CREATE TABLE client_text AS SELECT nr::text, region FROM client;
ALTER TABLE client RENAME TO client_int;
ALTER TABLE client_text RENAME TO client;
SELECT orders FROM crm_profile.refresh('shop');
DROP TABLE client;
ALTER TABLE client_int RENAME TO client;
-- a table of the source itself: there is nothing to rebuild it from
ALTER TABLE shop.customer_history RENAME TO lost;
SELECT warning FROM crm_profile.sources_details;
SELECT orders FROM crm_profile.refresh('shop');
ALTER TABLE shop.lost RENAME TO customer_history;
SELECT orders FROM crm_profile.refresh('shop');
-- errors about arguments have no lines of context
SELECT crm_profile.alter_source('shop', order_filter => 'totl > 1');
SELECT crm_profile.create_source('other', 'client', 'sales', customer_key => 'nr', order_customer => 'client_id', period => '-1 day');
SELECT crm_profile.create_source('other', 'nothing', 'sales');
-- readers can read what is now a table
SELECT crm_profile.alter_source('shop', materialize => true);
SET ROLE regress_crm_reader;
SELECT count(*) FROM shop.customer_profile;
RESET ROLE;
SELECT crm_profile.alter_source('shop', materialize => false, reset => '{prospects}');
SELECT crm_profile.alter_source('shop', prospects => 'lead', prospect_key => 'lead_no');
SELECT has_table_privilege('regress_crm_reader', 'shop.prospect_match', 'SELECT') AS readers;

-- a renamed schema renames the source, wherever the name was stored
ALTER SCHEMA shop RENAME TO "market %s 100%";
SELECT name, warning FROM crm_profile.sources_details;
SELECT orders, customers, customers_written FROM crm_profile.refresh('market %s 100%');
SELECT crm_profile.explain_source('market %s 100%') ~ 'FROM\s+"market %s 100%"\.customer_profile' AS renamed;
SELECT crm_profile.drop_source('market %s 100%');
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'market%';

-- the value of an expression depends neither on the caller nor on the settings of the session
CREATE TABLE receipt (client_id int, day text, price text, span text);
INSERT INTO receipt SELECT 1 + i % 20, to_char(date '2025-03-01' + i % 60, 'DD/MM/YYYY'), (1000 + i)::text, '-1 02:00:00' FROM generate_series(1, 200) i;
SELECT crm_profile.create_source('paper', 'client', 'receipt', customer_key => 'nr', order_customer => 'client_id', ordered_at => 'day', amount => 'price::numeric');
SET datestyle = 'ISO, DMY';
SELECT count(*) FROM crm_profile.create_source('paper', 'client', 'receipt', customer_key => 'nr', order_customer => 'client_id', ordered_at => 'day::date', amount => 'price::money', as_of => '2025-05-01',
	order_filter => E'day ~ ''^\\d+/'' AND (day::date)::text LIKE ''2025-%'' AND span::interval > ''-1 day''');
SELECT orders, customers FROM crm_profile.refresh('paper');
SELECT settings[1:2] FROM crm_profile.sources_details;
SET datestyle = 'SQL, MDY';
SET intervalstyle = sql_standard;
SET timezone = 'Pacific/Chatham';
SET search_path = pg_catalog;
SET standard_conforming_strings = off;
SET transform_null_equals = on;
SELECT orders, customers, customers_written FROM crm_profile.refresh('paper');
SELECT last_purchase = date '2025-04-10' AS same FROM crm_profile.profile_now_details('paper', 1);
SELECT histories_deleted FROM crm_profile.forget_customer('paper', 1);
SELECT severity, finding FROM crm_profile.check_source_details('paper');
SELECT crm_profile.alter_source('paper', period => '30 days', as_of => '2025-05-02');
SELECT orders, customers, customers_written FROM crm_profile.refresh('paper');
SET intervalstyle = postgres;
SELECT period, to_char(as_of, 'YYYY-MM-DD') AS as_of FROM crm_profile.sources_details;
SELECT count(*) > 0 AS suggested FROM crm_profile.suggest_sources_details();
SELECT count(*) FROM crm_profile.create_source('paper2', 'trade.client', 'trade.receipt', customer_key => 'nr', order_customer => 'client_id', ordered_at => 'to_date(day, ''DD/MM/YYYY'')', amount => 'price::numeric',
	attributes => ARRAY[E'short = substring(region FROM ''^\\w'')'], as_of => '2025-05-01');
SELECT orders, customers FROM crm_profile.refresh('paper2');
SELECT crm_profile.drop_source('paper2');
-- under a style that writes days as it does not read them, with names quoted that need no quotes
SET datestyle = 'Postgres, YMD';
SET quote_all_identifiers = on;
SELECT count(*) FROM crm_profile.create_source('paper2', 'trade.client', 'trade.receipt', customer_key => 'nr', order_customer => 'client_id', ordered_at => 'to_date(day, ''DD/MM/YYYY'')', amount => 'price::numeric',
	attributes => '{region}', as_of => '2025-05-01', materialize => true, track_changes => 'keys');
SELECT orders, customers FROM crm_profile.refresh('paper2');
SELECT orders, customers, customers_written FROM crm_profile.refresh('paper2');
SELECT crm_profile.alter_source('paper2', period => '40 days');
SELECT orders, customers, customers_written FROM crm_profile.refresh('paper2');
SELECT severity, finding FROM crm_profile.check_source_details('paper2');
SELECT crm_profile.drop_source('paper2');
RESET quote_all_identifiers;
RESET transform_null_equals;
RESET standard_conforming_strings;
RESET timezone;
SET datestyle = ISO;
SET search_path = trade;
-- other settings cannot be settings of a source
SELECT crm_profile.alter_source('paper', settings => '{search_path=public}');
SELECT crm_profile.alter_source('paper', settings => '{DateStyle}');
SELECT crm_profile.alter_source('paper', settings => '{"DateStyle=ISO, MDY"}');
SELECT orders FROM crm_profile.refresh('paper');
SELECT crm_profile.drop_source('paper');

-- what views read must mean the same in every session, too
CREATE TABLE person (id int PRIMARY KEY, born text, since timestamptz, seen date, balance text);
INSERT INTO person SELECT i, '03/04/' || 1950 + i, '2025-01-01', '2025-01-01', '7' FROM generate_series(1, 20) i;
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', attributes => ARRAY['age = date ''2025-01-01'' - born::date']);
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', attributes => ARRAY['month = left(seen::text, 7)']);
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', attributes => ARRAY['balance = balance::money::numeric']);
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', attributes => ARRAY['joined = since::date']);
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', attributes => ARRAY['year = extract(year FROM since)']);
SELECT crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', payments => 'receipt', payment_customer => 'client_id', payment_due => 'day::date', payment_paid => 'to_date(day, ''DD/MM/YYYY'')', payment_amount => 'price::numeric');
SELECT count(*) FROM crm_profile.create_source('paper', 'person', 'sales', order_customer => 'client_id', amount => 'total', as_of => '2025-05-01',
	attributes => ARRAY['age = date ''2025-01-01'' - to_date(born, ''DD/MM/YYYY'')', 'month = to_char(seen, ''YYYY-MM'')', 'year = extract(year FROM since AT TIME ZONE ''UTC'')']);
SELECT crm_profile.drop_source('paper');

-- if all tables are published, all can still be written
SET client_min_messages = error;
CREATE PUBLICATION regress_crm_everything FOR ALL TABLES;
SET client_min_messages = warning;
SELECT count(*) FROM crm_profile.create_source('shop', 'client', 'sales', customer_key => 'nr', order_customer => 'client_id', amount => 'total', as_of => '2025-05-01', materialize => true, attributes => '{region}');
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 3);
SELECT customers, customers_written FROM crm_profile.refresh('shop');
ALTER TABLE client REPLICA IDENTITY FULL;
ALTER TABLE sales REPLICA IDENTITY FULL;
INSERT INTO sales VALUES (2, '2025-04-30', 10);
DELETE FROM sales WHERE client_id = 3;
DELETE FROM client WHERE nr = 4;
SELECT customers_written, customers_removed FROM crm_profile.refresh('shop');
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 5);
SELECT crm_profile.alter_source('shop', period => '1 year', attributes => ARRAY['where_from = region']);
INSERT INTO sales VALUES (2, '2025-04-30', 10);
SELECT customers_written, customers_removed FROM crm_profile.refresh('shop');
-- with the key as replica identity, once its index exists
SELECT relname, relreplident FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C";
SELECT crm_profile.drop_source('shop');
DROP PUBLICATION regress_crm_everything;
DROP SCHEMA trade CASCADE;
DROP ROLE regress_crm_reader;
