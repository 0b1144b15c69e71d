-- Keys are compared by the equality of their type, in whichever schema it is, in everything that a source does
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA ext;
CREATE SCHEMA club;
-- citext in a schema outside every search_path, or a similar type where citext is not installed
DO $do$
BEGIN
	IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') THEN
		CREATE EXTENSION citext SCHEMA ext;
		RETURN;
	END IF;
	CREATE TYPE ext.citext;
	CREATE FUNCTION ext.ci_in(cstring) RETURNS ext.citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
	CREATE FUNCTION ext.ci_out(ext.citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
	CREATE TYPE ext.citext (INPUT = ext.ci_in, OUTPUT = ext.ci_out, LIKE = text, COLLATABLE = true, CATEGORY = 'S');
	CREATE CAST (ext.citext AS text) WITHOUT FUNCTION AS IMPLICIT;
	CREATE CAST (text AS ext.citext) WITHOUT FUNCTION AS ASSIGNMENT;
	SET LOCAL search_path = ext;
	CREATE FUNCTION ci_cmp(citext, citext) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT bttextcmp(lower($1::text), lower($2::text))';
	CREATE FUNCTION ci_lt(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) < lower($2::text)';
	CREATE FUNCTION ci_le(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) <= lower($2::text)';
	CREATE FUNCTION ci_eq(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) = lower($2::text)';
	CREATE FUNCTION ci_ge(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) >= lower($2::text)';
	CREATE FUNCTION ci_gt(citext, citext) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) > lower($2::text)';
	CREATE FUNCTION ci_hash(citext) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashtext(lower($1::text))';
	CREATE OPERATOR < (LEFTARG = citext, RIGHTARG = citext, FUNCTION = ci_lt);
	CREATE OPERATOR <= (LEFTARG = citext, RIGHTARG = citext, FUNCTION = ci_le);
	CREATE OPERATOR = (LEFTARG = citext, RIGHTARG = citext, FUNCTION = ci_eq, COMMUTATOR = =, HASHES, MERGES);
	CREATE OPERATOR >= (LEFTARG = citext, RIGHTARG = citext, FUNCTION = ci_ge);
	CREATE OPERATOR > (LEFTARG = citext, RIGHTARG = citext, FUNCTION = ci_gt);
	CREATE OPERATOR CLASS ci_ops DEFAULT FOR TYPE citext USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 ci_cmp(citext, citext);
	CREATE OPERATOR CLASS ci_hash_ops DEFAULT FOR TYPE citext USING hash AS OPERATOR 1 =, FUNCTION 1 ci_hash(citext);
END $do$;

CREATE DOMAIN club.address AS ext.citext;
CREATE DOMAIN club.address_of_domain AS club.address;
CREATE TABLE club.member (mail ext.citext PRIMARY KEY, customer text, age integer);
INSERT INTO club.member VALUES ('Zoe@Club.io', 'someone', 30), ('bob@club.io', 'else', 40), ('eve@club.io', 'again', 50);
CREATE TABLE club.purchase (mail ext.citext, day date, paid numeric);
INSERT INTO club.purchase VALUES ('zoe@club.io', '2024-01-01', 10), ('ZOE@club.io', '2024-02-01', 5), ('Bob@club.io', '2024-02-02', 7), ('nobody@club.io', '2024-02-02', 1);
CREATE TABLE club.visit (who text, at date);
INSERT INTO club.visit VALUES ('EVE@Club.io', '2024-01-01');
CREATE TABLE club.lead (mail club.address_of_domain PRIMARY KEY, age integer);
INSERT INTO club.lead VALUES ('ZOE@CLUB.IO', 30), ('new@club.io', 20), ('EVE@club.io', 50);
SELECT argument, value FROM crm_profile.create_source('c', 'club.member', 'club.purchase', interactions => 'club.visit', interaction_customer => 'who', prospects => 'club.lead', attributes => '{age}',
	best => 'age < 40', as_of => '2024-03-01') WHERE origin = 'inferred';
-- the first refresh, and one with nothing to write
SET client_min_messages = error;
SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('c');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- no order counts as an unknown customer's because of its spelling
SELECT segment, customers FROM c.segment_summary WHERE segment LIKE '(%';
SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('c');
SET client_min_messages = warning;
SELECT best_customers FROM crm_profile.sources_details;
SELECT customer::text, frequency, monetary, lifecycle FROM c.customer_profile ORDER BY lower(customer::text) COLLATE "C";
SELECT customer::text, frequency, monetary FROM c.profile_as_of('2024-01-15') ORDER BY lower(customer::text) COLLATE "C";
SELECT severity, finding, rows FROM crm_profile.check_source_details('c');
-- a prospect who has bought is no longer one
SELECT prospect::text, lifecycle FROM c.prospect_match ORDER BY lower(prospect::text) COLLATE "C";
SELECT customer, frequency, monetary FROM crm_profile.profile_now_details('c', 'ZOE@CLUB.IO'::text);
-- another spelling in the customer table, one customer fewer, another spelling in the orders
SELECT crm_profile.alter_source('c', materialize => true);
UPDATE club.member SET mail = 'ZOE@club.io' WHERE customer = 'someone';
DELETE FROM club.member WHERE customer = 'again';
UPDATE club.purchase SET mail = 'BOB@CLUB.IO', paid = 8 WHERE paid = 7;
SET client_min_messages = error;
SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('c');
SET client_min_messages = warning;
SELECT customer::text, frequency, monetary FROM c.customer_profile ORDER BY lower(customer::text) COLLATE "C";
-- a reader sees the histories of the customers that the customer table shows, although it has a column named customer
CREATE ROLE regress_crm_reader;
GRANT USAGE ON SCHEMA c, club, ext TO regress_crm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA c TO regress_crm_reader;
GRANT SELECT (mail) ON club.member TO regress_crm_reader;
ALTER TABLE club.member ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON club.member TO regress_crm_reader USING (mail::text = 'ZOE@club.io');
SET ROLE regress_crm_reader;
SELECT customer::text FROM c.customer_history;
SELECT customer::text, frequency FROM c.customer_profile;
RESET ROLE;
SELECT * FROM crm_profile.forget_customer('c', 'zoe@CLUB.io'::text);
SELECT customer::text FROM c.customer_history ORDER BY lower(customer::text) COLLATE "C";
SELECT customer::text FROM c.stored_profile;
SELECT crm_profile.drop_source('c');
DROP OWNED BY regress_crm_reader;
DROP ROLE regress_crm_reader;
ALTER TABLE club.member DISABLE ROW LEVEL SECURITY;

-- keys of domains over domains; orders with the key as text
CREATE TABLE club.guest (mail club.address_of_domain PRIMARY KEY);
INSERT INTO club.guest SELECT mail FROM club.member;
CREATE DOMAIN club.day AS date;
CREATE DOMAIN club.business_day AS club.day;
CREATE DOMAIN club.price AS numeric(10, 2);
CREATE TABLE club.receipt (guest text, on_day club.business_day, paid club.price);
INSERT INTO club.receipt VALUES ('zoe@club.io', '2024-01-01', 10), ('ZOE@club.io', '2024-02-01', 5.5);
SELECT argument, value FROM crm_profile.create_source('c', 'club.guest', 'club.receipt', order_customer => 'guest', as_of => '2024-03-01') WHERE origin = 'inferred';
SELECT orders, customers FROM crm_profile.refresh('c');
SELECT customer::text, frequency, monetary FROM c.customer_profile ORDER BY lower(customer::text) COLLATE "C";
SELECT crm_profile.drop_source('c');
CREATE TABLE club.sale (mail club.address REFERENCES club.guest, on_day club.business_day, paid club.price);
SELECT reason FROM crm_profile.suggest_sources_details() WHERE orders = 'club.sale';

-- an expression whose operator can only be named without its schema is not stored: it could mean something else later
SET search_path = club, ext;
-- (PostgreSQL 16 and newer write columns of a single table without its name)
DO $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM crm_profile.create_source('c', 'guest', 'receipt', order_customer => 'guest', order_filter => 'nullif(guest::citext, ''ZOE@CLUB.IO'') IS NULL');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE EXCEPTION USING MESSAGE = SQLERRM, ERRCODE = SQLSTATE, DETAIL = replace(detail, 'receipt.', ''), HINT = hint;
END $$;
SELECT value FROM crm_profile.create_source('c', 'guest', 'receipt', order_customer => 'guest', order_filter => 'guest::citext = ''ZOE@CLUB.IO''', as_of => '2024-03-01') WHERE argument = 'customers';
RESET search_path;
SELECT orders, customers FROM crm_profile.refresh('c');
SELECT crm_profile.drop_source('c');

-- text whose collation does not tell case apart; citext where there is no such collation
DO $do$
BEGIN
	CREATE COLLATION club.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE TABLE club.spelt (key text COLLATE club.ci PRIMARY KEY);
EXCEPTION WHEN OTHERS THEN
	CREATE TABLE club.spelt (key ext.citext PRIMARY KEY);
END $do$;
INSERT INTO club.spelt VALUES ('A'), ('B');
CREATE TABLE club.invoice (spelt_key text, day date, paid numeric);
INSERT INTO club.invoice VALUES ('a', '2024-01-01', 5), ('A', '2024-01-02', 7);
SELECT value FROM crm_profile.create_source('c', 'club.spelt', 'club.invoice', as_of => '2024-03-01', materialize => true) WHERE argument = 'order_customer';
SELECT orders, customers, customers_written FROM crm_profile.refresh('c');
SELECT orders, customers, customers_written FROM crm_profile.refresh('c');
SELECT customer::text, frequency, monetary FROM c.customer_profile ORDER BY 1;
SELECT customer, frequency FROM crm_profile.profile_now_details('c', 'a'::text);
-- what a customer bought, and who is like them, whatever the spelling
CREATE TABLE club.item (spelt_key text, day date, product text);
INSERT INTO club.item SELECT i.spelt_key, '2024-01-01'::date + n, i.product FROM (VALUES ('a', 'tea'), ('A', 'milk'), ('b', 'tea'), ('b', 'milk'), ('B', 'cake')) i(spelt_key, product), generate_series(1, 9) n;
ALTER TABLE club.spelt ADD age int;
INSERT INTO club.spelt SELECT chr(66 + i) FROM generate_series(1, 12) i;
UPDATE club.spelt SET age = 30 + ascii(key::text) % 3;
SELECT crm_profile.alter_source('c', lines => 'club.item', line_customer => 'spelt_key', line_day => 'day', line_product => 'product', attributes => '{age}');
SET client_min_messages = error;
SELECT customers FROM crm_profile.refresh('c');
SET client_min_messages = warning;
SELECT a.product, a.baskets = b.baskets AS same FROM crm_profile.next_product('c', 'a') a FULL JOIN crm_profile.next_product('c', 'A') b USING (product);
SELECT count(*), bool_or(lower(customer) = 'a') AS themselves FROM crm_profile.nearest_customers('c', 'a'::text, 100);
SELECT histories_deleted, orders_left FROM crm_profile.forget_customer('c', 'a'::text);
SELECT crm_profile.drop_source('c');

-- a key that cannot be compared is rejected
CREATE VIEW club.point AS SELECT point(1, 2) AS id;
SELECT * FROM crm_profile.create_source('c', 'club.point', 'club.invoice', customer_key => 'id');
-- as is one that can be sorted and not hashed
CREATE VIEW club.priced AS SELECT 1::money AS id;
SELECT * FROM crm_profile.create_source('c', 'club.priced', 'club.invoice', customer_key => 'id', order_customer => 'paid::money');
-- keys of a fixed width are compared whole
CREATE TABLE club.padded (id char(6) PRIMARY KEY, age int);
INSERT INTO club.padded SELECT 'c' || i, 30 + i % 3 FROM generate_series(1, 30) i;
CREATE TABLE club.bill (padded_id char(6), day date, paid numeric);
INSERT INTO club.bill SELECT id, '2024-01-01', 5 FROM club.padded;
SELECT value FROM crm_profile.create_source('c', 'club.padded', 'club.bill', as_of => '2024-03-01', attributes => '{age}') WHERE argument = 'order_customer';
SET client_min_messages = error;
SELECT customers FROM crm_profile.refresh('c');
SET client_min_messages = warning;
SELECT count(*), bool_or(customer = 'c1') AS themselves FROM crm_profile.nearest_customers('c', 'c1'::text, 100);
SELECT crm_profile.drop_source('c');
DROP SCHEMA club CASCADE;
DROP EXTENSION IF EXISTS citext;
DROP SCHEMA ext CASCADE;
