-- The customers most like somebody, with reasons
SET datestyle = ISO;
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA near;
SET search_path = near;
CREATE TABLE client (id text PRIMARY KEY, age int, town text, member boolean, income numeric, hobbies text[]);
INSERT INTO client SELECT 'c' || i, 20 + i * 7 % 50, (ARRAY['Bonn', 'Ulm', 'Trier'])[1 + i % 3], i % 2 = 0, CASE WHEN i % 11 > 0 THEN i * 37 % 1000 END, ARRAY[chr(97 + i % 4), chr(97 + i % 6)] FROM generate_series(1, 400) i;
CREATE TABLE sale AS SELECT id AS client_id, date '2024-12-01' AS day, 10::numeric AS amount FROM client;
SELECT count(*) > 0 AS made FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client_id', as_of => '2024-12-31', clv_model => 'bg/nbd', attributes => ARRAY['years = age', 'town', 'member', 'income', 'hobbies']);
-- Gower's similarity in plain SQL: ranges without outliers are minimum to maximum here, ends the fifth lowest and highest value
CREATE TABLE person AS SELECT id, age AS years, town, member, income, hobbies FROM client;
CREATE TABLE bounds AS SELECT (SELECT age FROM client ORDER BY age OFFSET 4 LIMIT 1) AS y0, (SELECT age FROM client ORDER BY age DESC OFFSET 4 LIMIT 1) AS y1,
	(SELECT income FROM client WHERE income IS NOT NULL ORDER BY income OFFSET 4 LIMIT 1) AS i0, (SELECT income FROM client WHERE income IS NOT NULL ORDER BY income DESC OFFSET 4 LIMIT 1) AS i1;
CREATE FUNCTION clamp(v numeric, a numeric, b numeric) RETURNS numeric LANGUAGE sql RETURN CASE WHEN v IS NOT NULL THEN least(greatest(v, a), b) END;
CREATE FUNCTION gower(a person, b person) RETURNS float8 LANGUAGE sql STABLE RETURN (SELECT sum(s) / count(s) FROM bounds, LATERAL (VALUES
	(1 - abs(clamp((a).years, y0, y1) - clamp((b).years, y0, y1)) / (y1 - y0)), (((a).town = (b).town)::int), (((a).member = (b).member)::int), (1 - abs(clamp((a).income, i0, i1) - clamp((b).income, i0, i1)) / (i1 - i0)),
	((SELECT count(*) FILTER (WHERE x = ANY ((a).hobbies) AND x = ANY ((b).hobbies)) / count(*)::numeric FROM (SELECT unnest((a).hobbies) UNION SELECT unnest((b).hobbies)) u(x)))) v(s));
CREATE TABLE found AS SELECT * FROM crm_profile.nearest_customers('shop', 'c7', 20);
SELECT count(*), min(rank), max(rank), bool_and(abs(similarity - gower(a, b)) < 0.004) AS gower, bool_or(customer = 'c7') AS himself FROM found f JOIN person b ON b.id = f.customer, person a WHERE a.id = 'c7';
-- nobody nearer was left out, apart from rounding to steps
SELECT count(*) AS nearer FROM person a, person b WHERE a.id = 'c7' AND b.id <> 'c7' AND gower(a, b) > (SELECT min(similarity) FROM found) + 0.004 AND b.id NOT IN (SELECT customer FROM found);
-- reasons name what is equal and what differs
SELECT customer, reasons FROM found WHERE rank <= 3 ORDER BY rank;
SELECT count(*) AS wrong FROM found f JOIN person b ON b.id = f.customer, person a WHERE a.id = 'c7' AND ((a.town = b.town) <> (reasons ~ ('^(.* )?town ' || b.town || '(,|;|$)')) OR (a.member = b.member) <> (reasons ~ ('member ' || b.member || '(,|;|$)') AND reasons !~ ('member ' || b.member || ', not')));
-- by a row of the same table, of another one with some of the columns, of none
SELECT customer, round(similarity::numeric, 3) AS similarity FROM crm_profile.nearest_customers('shop', (SELECT a FROM shop.customer_attributes a WHERE customer = 'c7'), 1);
CREATE TABLE lead AS SELECT 34::bigint AS years, 'Ulm'::varchar AS town, 4711 AS lead_no;
SELECT n.customer, n.similarity = 1 AS same, n.reasons FROM lead, crm_profile.nearest_customers('shop', lead, 2) n;
SELECT count(*) AS nobody FROM crm_profile.nearest_customers('shop', ROW(1, 2));
-- a rare word is no value of profiles, but reasons tell it
BEGIN;
UPDATE client SET town = CASE id WHEN 'c7' THEN 'Rom' ELSE 'Oslo' END WHERE id IN ('c7', 'c9');
SELECT count(*) FILTER (WHERE reasons ~ 'town Oslo, not Rom') AS named, count(*) FILTER (WHERE reasons ~ 'other') AS unnamed FROM crm_profile.nearest_customers('shop', 'c7', 400) WHERE customer = 'c9' OR reasons ~ 'other';
ROLLBACK;
-- weights
SELECT bool_and(b.town = 'Ulm') AS town FROM lead, crm_profile.nearest_customers('shop', lead, 50, '{"town": 10, "years": 0.1}') n JOIN person b ON b.id = n.customer;
-- errors
SELECT crm_profile.nearest_customers('shop', 'c4711');
SELECT crm_profile.nearest_customers('shop', NULL::text);
SELECT crm_profile.nearest_customers(NULL, 'c7');
SELECT crm_profile.nearest_customers('shop', r) FROM (SELECT 1 AS color, 'x' AS customer) r;
SELECT crm_profile.nearest_customers('shop', r) FROM (SELECT 'Ulm' AS town, 'forty' AS years) r;
SELECT crm_profile.nearest_customers('shop', r) FROM (SELECT 40 AS years, 'chess' AS hobbies) r;
SELECT crm_profile.nearest_customers('shop', 'c7', 0);
SELECT crm_profile.nearest_customers('shopp', 'c7');
SELECT crm_profile.nearest_customers('shop', 'c7', weights => '{"towns": 1}');
-- with the rights of whoever asks
CREATE ROLE near_reader;
GRANT USAGE ON SCHEMA shop, near TO near_reader;
GRANT SELECT ON shop.customer_attributes TO near_reader;
GRANT SELECT (id, age, town, member, income, hobbies) ON client TO near_reader;
ALTER TABLE client ENABLE ROW LEVEL SECURITY;
CREATE POLICY ulm ON client TO near_reader USING (town = 'Ulm');
SET ROLE near_reader;
SELECT count(*), bool_and(town = 'Ulm') AS ulm FROM crm_profile.nearest_customers('shop', 'c7', 200) n JOIN near.client ON id = customer;
SELECT count(*) FROM crm_profile.nearest_customers('shop', 'c8', 200);
RESET ROLE;
DROP OWNED BY near_reader;
DROP ROLE near_reader;
SELECT crm_profile.drop_source('shop');
SET client_min_messages = warning;
DROP SCHEMA near CASCADE;
