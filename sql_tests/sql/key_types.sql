-- Keys are compared by the equality of their type, in whichever schema it is; domains work like their base types and admit nothing that they forbid
SET datestyle = ISO;
CREATE SCHEMA key_types;
CREATE SCHEMA key_types_other;
SET client_min_messages = warning;
SET jit = off;

-- a case-insensitive text type, like citext, in a schema outside the search_path
CREATE TYPE key_types_other.ci;
CREATE FUNCTION key_types_other.ci_in(cstring) RETURNS key_types_other.ci LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION key_types_other.ci_out(key_types_other.ci) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE key_types_other.ci (INPUT = key_types_other.ci_in, OUTPUT = key_types_other.ci_out, LIKE = text, COLLATABLE = true);
CREATE CAST (key_types_other.ci AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS key_types_other.ci) WITHOUT FUNCTION AS ASSIGNMENT;
SET search_path = key_types_other;
CREATE FUNCTION ci_cmp(ci, ci) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT bttextcmp(lower($1::text), lower($2::text))';
CREATE FUNCTION ci_lt(ci, ci) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) < lower($2::text)';
CREATE FUNCTION ci_le(ci, ci) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) <= lower($2::text)';
CREATE FUNCTION ci_eq(ci, ci) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) = lower($2::text)';
CREATE FUNCTION ci_ge(ci, ci) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) >= lower($2::text)';
CREATE FUNCTION ci_gt(ci, ci) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) > lower($2::text)';
CREATE FUNCTION ci_hash(ci) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashtext(lower($1::text))';
CREATE FUNCTION ci_hash_extended(ci, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT hashtextextended(lower($1::text), $2)';
CREATE OPERATOR < (LEFTARG = ci, RIGHTARG = ci, FUNCTION = ci_lt);
CREATE OPERATOR <= (LEFTARG = ci, RIGHTARG = ci, FUNCTION = ci_le);
CREATE OPERATOR = (LEFTARG = ci, RIGHTARG = ci, FUNCTION = ci_eq, COMMUTATOR = =, HASHES, MERGES);
CREATE OPERATOR >= (LEFTARG = ci, RIGHTARG = ci, FUNCTION = ci_ge);
CREATE OPERATOR > (LEFTARG = ci, RIGHTARG = ci, FUNCTION = ci_gt);
CREATE OPERATOR CLASS ci_ops DEFAULT FOR TYPE ci USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 ci_cmp(ci, ci);
CREATE OPERATOR CLASS ci_hash_ops DEFAULT FOR TYPE ci USING hash AS OPERATOR 1 =, FUNCTION 1 ci_hash(ci), FUNCTION 2 ci_hash_extended(ci, bigint);

SET search_path = key_types, crm_profile, public;
CREATE DOMAIN address AS key_types_other.ci;
CREATE TABLE purchase (mail key_types_other.ci, address address, day date, amount numeric, order_no key_types_other.ci);
INSERT INTO purchase SELECT m, m, d, a, o FROM (VALUES ('Zoe@Club.io', date '2024-01-01', 10.5, 'A1'), ('zoe@club.io', '2024-02-01', 20, 'a1'), ('ZOE@CLUB.IO', '2024-02-02', 5, 'B1'),
	('bob@club.io', '2024-02-01', 20.5, 'B1'), ('BOB@club.io', '2024-01-01', -1, NULL)) v (m, d, a, o);
-- in partitions of their own, too
INSERT INTO purchase SELECT CASE WHEN i % 2 = 0 THEN 'Customer' ELSE 'CUSTOMER' END || i / 2, CASE WHEN i % 2 = 0 THEN 'Customer' ELSE 'CUSTOMER' END || i / 2, date '2024-01-01' + i % 2, 1, i::text FROM generate_series(0, 399) i;
SELECT count(*), sum(frequency(history)) FROM collect_purchase_histories(NULL::key_types_other.ci, 'SELECT mail, day, amount FROM purchase');
SELECT customer::text, history FROM collect_purchase_histories(NULL::key_types_other.ci, 'SELECT mail, day, amount FROM purchase') WHERE customer::text ~ '@' ORDER BY lower(customer::text) COLLATE "C";
SELECT lower(customer::text) AS customer, history FROM collect_purchase_histories(NULL::address, 'SELECT address, day, amount FROM purchase') WHERE customer::text ~ '@' ORDER BY lower(customer::text) COLLATE "C";
SELECT lower(customer::text) AS customer, history FROM collect_purchase_histories(NULL::key_types_other.ci, 'SELECT mail, day, amount, order_no AS order_key FROM purchase') WHERE customer::text ~ '@' ORDER BY lower(customer::text) COLLATE "C";
SELECT lower(customer::text) AS customer, frequency, monetary FROM rfm_scores(NULL::key_types_other.ci, 'SELECT mail, day, amount FROM purchase', '2024-12-31', 5) WHERE customer::text ~ '@' ORDER BY lower(customer::text) COLLATE "C";
-- GROUP BY has always done so
SELECT count(*) FROM (SELECT purchase_history_agg(day, amount) FROM purchase GROUP BY mail) x;

-- prospects who are customers in another spelling are left out, by either method
CREATE TABLE customer AS SELECT ('Name' || i)::key_types_other.ci AS key, i % 7 < 3 AS is_target, i % 7 AS a, i % 5 AS b FROM generate_series(1, 140) i;
CREATE TABLE prospect AS SELECT ('NAME' || i)::key_types_other.ci AS key, i % 7 AS a, i % 5 AS b FROM generate_series(131, 150) i;
SET client_min_messages = notice;
SELECT count(*), min(lower(prospect::text)), count(nearest_customer) FROM match_prospects(NULL::key_types_other.ci, 'SELECT * FROM customer', 'SELECT * FROM prospect');
SELECT count(*), min(lower(prospect::text)), count(nearest_customer), count(reasons) FROM match_prospects(NULL::key_types_other.ci, 'SELECT * FROM customer', 'SELECT * FROM prospect', 'nearest');
SELECT coalesce(max(prospects_there), 0) <= 10 AS of_those_left FROM where_to_find(NULL::key_types_other.ci, 'SELECT * FROM customer', 'SELECT * FROM prospect', 0.4);
-- a key requested as text is compared as text
SELECT count(*) FROM match_prospects(NULL::text, 'SELECT * FROM customer', 'SELECT * FROM prospect');
SET client_min_messages = warning;

-- domains over days, amounts, and keys
CREATE DOMAIN shop_day AS date;
CREATE DOMAIN price AS numeric(12, 2);
CREATE DOMAIN customer_no AS integer CHECK (VALUE > 0);
CREATE DOMAIN top_customer_no AS customer_no CHECK (VALUE < 100);
CREATE TABLE orders (customer customer_no, day shop_day, amount price, cost price, stamp timestamp, order_no customer_no);
INSERT INTO orders SELECT 1 + i % 3, date '2024-01-01' + i, 10 + i, i, timestamp '2024-01-01 12:00' + i * interval '1 day', 1 + i / 2 FROM generate_series(0, 9) i;
SELECT customer, history FROM collect_purchase_histories(NULL::customer_no, 'SELECT customer, day, amount, cost FROM orders') ORDER BY 1;
SELECT count(*) FILTER (WHERE a.history = b.history) AS same FROM collect_purchase_histories(NULL::integer, 'SELECT customer::integer, day::date, amount::numeric, cost::numeric FROM orders') a
	JOIN collect_purchase_histories(NULL::integer, 'SELECT customer, day, amount, cost FROM orders') b USING (customer);
SELECT count(*), sum(frequency(history)) FROM collect_purchase_histories(NULL::customer_no, 'SELECT customer, day, amount, order_no AS order_key FROM orders');
SELECT customer, frequency, monetary FROM rfm_scores(NULL::customer_no, 'SELECT customer, day, amount FROM orders', '2024-12-31') ORDER BY 1;
SELECT customer::int, purchase_history_agg(day, amount, cost) FROM orders GROUP BY customer ORDER BY 1;
SELECT rfm_fit(h, '2024-12-31'::shop_day, 2) FROM (SELECT purchase_history_agg(day, amount) AS h FROM orders GROUP BY customer) x;
SELECT attribute, kind, low, high FROM profile_attributes((SELECT profile_fit(o) FROM orders o)) WHERE attribute <> 'stamp';
SELECT r.attribute, cardinality(r.bins) FROM unnest((SELECT attribute_relevance(o, o.customer::int = 1, '{stamp}') FROM orders o)) r ORDER BY 1;

-- a value that a domain forbids cannot come back as its base type
SELECT * FROM collect_purchase_histories(NULL::customer_no, 'SELECT -customer::integer, day, amount FROM orders');
SELECT * FROM collect_purchase_histories(NULL::customer_no, 'SELECT -customer::integer, day, amount, 1 AS order_key FROM orders');
SELECT * FROM rfm_scores(NULL::customer_no, 'SELECT 0, day, amount FROM orders', '2024-12-31');
SELECT * FROM collect_purchase_histories(NULL::top_customer_no, 'SELECT (customer::integer + 99)::customer_no, day, amount FROM orders');
SELECT count(*) FROM collect_purchase_histories(NULL::customer_no, 'SELECT customer::integer::top_customer_no, day, amount FROM orders');
CREATE TABLE profiles AS SELECT key, profile(r, m) AS profile FROM (SELECT profile_fit(r) AS m FROM generate_series(1, 20) i, LATERAL (SELECT i AS x) r) f, generate_series(1, 20) key, LATERAL (SELECT key AS x) r;
SELECT candidate, target, rank FROM nearest_profiles(NULL::customer_no, 'SELECT key, profile FROM profiles WHERE key = 3', 'SELECT key, profile FROM profiles', 2);
SELECT * FROM nearest_profiles(NULL::customer_no, 'SELECT key, profile FROM profiles WHERE key = 3', 'SELECT key - 3, profile FROM profiles', 2);
SELECT * FROM nearest_profiles(NULL::customer_no, 'SELECT key - 3, profile FROM profiles WHERE key = 3', 'SELECT key, profile FROM profiles', 2);
\set SHOW_CONTEXT never
SELECT * FROM match_prospects(NULL::customer_no, 'SELECT i, i % 7 < 3 AS is_target, i % 7 AS a FROM generate_series(1, 140) i', 'SELECT 1 - i, i % 7 AS a FROM generate_series(1, 10) i');
\set SHOW_CONTEXT errors

DROP SCHEMA key_types CASCADE;
DROP SCHEMA key_types_other CASCADE;
