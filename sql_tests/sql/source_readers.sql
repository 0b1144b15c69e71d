-- A reader under row-level security finds nothing of a hidden customer: in no table, no view, no function of a source that has everything, not even with rights on all of it
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never
CREATE ROLE regress_readers_reader;
CREATE SCHEMA readers;
SET search_path = readers;
CREATE FUNCTION chance(what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0 $$;
-- a third of the customers are hidden, and have a region that no one else has, and buy what no one else buys
CREATE TABLE customer (id text PRIMARY KEY, region text, age int, member boolean, email text);
INSERT INTO customer SELECT CASE WHEN i % 3 = 0 THEN 'HIDDEN' ELSE 'c' END || i, CASE WHEN i % 3 = 0 THEN 'HIDDENplace' ELSE (ARRAY['north', 'south'])[1 + i % 2] END, 20 + i % 50, i % 3 = 0 OR i % 5 = 0, CASE WHEN i % 3 = 0 THEN 'HIDDEN' || i % 7 || '@example.org' ELSE 'p' || i || '@example.org' END
	FROM generate_series(1, 300) i;
CREATE TABLE purchase (id serial PRIMARY KEY, customer_id text, day date, amount numeric);
INSERT INTO purchase (customer_id, day, amount) SELECT c.id, date '2024-01-01' + floor(510 * chance(c.id || n))::int, 5 + floor(50 * chance(c.id || n || 'a'))::int * CASE WHEN c.id LIKE 'H%' THEN 5 ELSE 1 END
	FROM customer c, generate_series(1, 8) n WHERE chance(c.id || n || 'n') < 0.6;
INSERT INTO purchase (customer_id, day, amount) SELECT 'HIDDENunknown' || i, '2025-01-01', 10 FROM generate_series(1, 20) i;
CREATE TABLE line (purchase_id int, product text, category text);
INSERT INTO line SELECT p.id, CASE WHEN p.customer_id LIKE 'H%' THEN 'HIDDENthing' ELSE 'thing' END || n, CASE WHEN p.customer_id LIKE 'H%' THEN 'HIDDENkind' ELSE 'kind' END FROM purchase p, generate_series(1, 3) n;
-- a single one buys these two all the time
INSERT INTO purchase (customer_id, day, amount) SELECT 'HIDDEN3', date '2024-02-01' + n, 1 FROM generate_series(1, 20) n;
INSERT INTO line SELECT p.id, 'HIDDEN3only' || n, 'kind' FROM purchase p, generate_series(1, 2) n WHERE p.customer_id = 'HIDDEN3' AND p.amount = 1;
CREATE TABLE payment (customer_id text, due_on date, paid_on date, amount numeric);
INSERT INTO payment SELECT customer_id, day + 14, CASE WHEN id % 10 > 0 THEN day + 10 + id % 20 END, amount FROM purchase;
CREATE TABLE mail (customer_id text, campaign text, sent date, treated boolean);
INSERT INTO mail SELECT c.id, 'spring', '2025-03-01', chance(c.id || 't') < 0.7 FROM customer c;
CREATE TABLE lead (id int PRIMARY KEY, region text, age int, member boolean);
INSERT INTO lead SELECT i, 'north', 20 + i % 50, i % 2 = 0 FROM generate_series(1, 30) i;
INSERT INTO crm_profile.scheme (name) VALUES ('readers');
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, condition) VALUES ('readers', 'Members', NULL, 'member'), ('readers', 'Recent', 3, NULL), ('readers', 'Rest', NULL, NULL);
SELECT count(*) > 20 AS created FROM crm_profile.create_source('shop', 'customer', 'purchase', as_of => '2025-06-01', attributes => '{region,age,member}', order_key => 'id', corrections => '{"merge_customers": true}',
	lines => 'line', line_order => 'purchase_id', line_product => 'product', line_category => 'category', payments => 'payment', payment_due => 'due_on', payment_paid => 'paid_on', payment_amount => 'amount',
	campaigns => 'mail', campaign_name => 'campaign', contacted_at => 'sent', treated => 'treated', prospects => 'lead', best => 'monetary > 150', scheme => 'readers', materialize => true, track_changes => 'keys');
SELECT count(*) FROM crm_profile.refresh('shop');
SELECT count(*) > 0 AS found FROM crm_profile.check_source('shop');

GRANT USAGE ON SCHEMA readers, shop TO regress_readers_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_readers_reader;
GRANT SELECT ON customer, lead TO regress_readers_reader;
-- rows of other tables are hidden, too, as whoever hides customers has to see to
GRANT SELECT ON line, payment, mail, purchase TO regress_readers_reader;
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN VALUES ('customer', 'id'), ('payment', 'customer_id'), ('mail', 'customer_id'), ('purchase', 'customer_id') LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', r.column1);
		EXECUTE format('CREATE POLICY visible ON %I FOR SELECT USING (%I NOT LIKE ''HIDDEN%%'')', r.column1, r.column2);
	END LOOP;
END $$;
ALTER TABLE line ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON line FOR SELECT USING (EXISTS (SELECT FROM purchase p WHERE p.id = purchase_id));

-- every relation, and every public function that takes a source
CREATE TABLE question AS
	SELECT format('SELECT q::text FROM %s q', c.oid::regclass) AS sql, c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind IN ('r', 'v')
	UNION ALL SELECT format('SELECT q::text FROM %s(%s) q', p.oid::regproc, (SELECT string_agg(format('%L', CASE t WHEN 'date'::regtype THEN '2025-0' || 3 + n || '-01' WHEN 'boolean'::regtype THEN 'false' WHEN 'integer'::regtype THEN '30' END), ', ' ORDER BY n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(t, n))), p.proname || '()'
		FROM pg_proc p WHERE p.pronamespace = 'shop'::regnamespace
	UNION ALL SELECT format('SELECT q::text FROM %s(''shop''%s) q', p.oid::regproc, r.given), p.proname || '(source)'
		FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang, LATERAL (SELECT p.pronargs - p.pronargdefaults AS needed) n,
			LATERAL (SELECT CASE WHEN n.needed = 1 THEN '' WHEN p.proname = 'segment_value_migration' THEN ', ''2025-01-01'', ''2025-05-01''' WHEN p.proname = 'evaluate_scheme' THEN ', ''readers'', ''2025-01-01''' WHEN p.proname = 'nearest_customers' THEN ', ''c1''::text'
				WHEN p.proname IN ('plan_contacts', 'campaign_plan') THEN ', 100, 1' WHEN p.proname = 'explain_segment' THEN ', ''Recent''' WHEN p.proname = 'complements' THEN ', ''thing1''' WHEN p.proname = 'next_product' THEN ', ''c1''' WHEN p.proname = 'segment_drift' THEN ', ''2025-01-01'', ''2025-05-01''' END AS given) r
		WHERE p.pronamespace = 'crm_profile'::regnamespace AND p.prokind = 'f' AND p.proargnames[1] = 'source' AND p.proargtypes[0] = 'text'::regtype;
GRANT SELECT ON question TO regress_readers_reader;
SELECT name FROM question WHERE sql IS NULL ORDER BY name COLLATE "C";
CREATE FUNCTION told(sql text, OUT error text, OUT rows bigint, OUT hidden text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*), min(t) FILTER (WHERE t LIKE ''%%HIDDEN%%'') FROM (%s) q(t)', sql) INTO rows, hidden;
EXCEPTION WHEN OTHERS THEN
	error := SQLSTATE || ' ' || SQLERRM;
END $$;
-- the owner finds them nearly everywhere
SELECT count(*) > 30 AS tried, count(t.hidden) > 15 AS found, count(t.error) AS errors FROM question q, told(q.sql) t;
SET ROLE regress_readers_reader;
-- (names of products that five customers or more have bought are no secret, in the table of what goes with what)
SELECT q.name, t.error, t.hidden FROM question q, told(q.sql) t WHERE t.error IS NOT NULL OR t.hidden IS NOT NULL ORDER BY q.name COLLATE "C";
SELECT count(*) > 30 AS tried, count(*) FILTER (WHERE t.rows > 0) > 25 AS told FROM question q, told(q.sql) t;
RESET ROLE;
SELECT count(*) FROM shop.product_complement c WHERE c::text LIKE '%only%';
SELECT crm_profile.drop_source('shop');
DELETE FROM crm_profile.scheme WHERE name = 'readers';
DROP SCHEMA readers CASCADE;
DROP ROLE regress_readers_reader;
