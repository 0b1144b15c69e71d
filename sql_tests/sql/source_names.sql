-- Names and values of users are never taken for anything else: braces, percent signs, quotes, blanks, 63 bytes, non-ASCII letters
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA "{period} %I";
SET search_path = "{period} %I";
CREATE TABLE "customers {key}" ("kéy {bins}%s" text PRIMARY KEY, "größe {schema}" int, "%L" text, "{customers}" date);
CREATE TABLE "orders ""{today}""" ("order_customer {rfm}" text REFERENCES "customers {key}", "{as_of}" date, "$1" numeric(8,2), "%1$s" numeric(8,2), "'paid'" boolean);
CREATE TABLE "{prospects}" ("{match}" text PRIMARY KEY, "größe {schema}" int, "%L" text, "{customers}" date);
CREATE TABLE "visits %" ("{contacted}" text REFERENCES "customers {key}", "at %s" timestamptz);
CREATE TEMP TABLE k (i int, key text);
INSERT INTO k VALUES (1, '{bins}'), (2, '{schema}'), (3, '%1$s'), (4, '$1'), (5, 'a''b"c\'), (6, 'Ünï {key} 😀'), (7, '%'), (8, ' {orders_query} ');
INSERT INTO k SELECT i, 'k' || i FROM generate_series(9, 60) i;
INSERT INTO "customers {key}" SELECT key, i % 7, '{' || i % 3 || '} %', date '1980-01-01' + i FROM k;
INSERT INTO "orders ""{today}""" SELECT key, date '2025-01-01' + (i * j * 7) % 200, i + j / 4.0, j, i % 11 <> 0 FROM k, generate_series(1, 1 + i % 6) j WHERE i < 58;
INSERT INTO "{prospects}" SELECT '{' || i || '}', i % 7, '{' || i % 3 || '} %', date '1990-01-01' FROM generate_series(1, 9) i;
INSERT INTO "visits %" VALUES ('k59', '2025-03-01');
INSERT INTO crm_profile.scheme (name, bins, description) VALUES ('x{bins}', 5, 'another than x5'), ('x5', 5, 'this is not meant');
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, r_to, strategy) VALUES ('x{bins}', '{best} %s', 3, NULL, 'Say ''{strategy}'' $1 \ %'), ('x{bins}', 'the ''others''', NULL, 2, '{}'), ('x5', 'wrong', NULL, NULL, 'wrong');

-- every name of a source at once; its own name, and so its schema's, has 63 bytes
SELECT format('%s', rpad('{schema}.model "%I" ''{tödäy}'' ', 61, 'x')) AS source \gset
SELECT octet_length(:'source');
SELECT * FROM crm_profile.create_source(:'source', '"customers {key}"', '"orders ""{today}"""', order_customer => '"order_customer {rfm}"', ordered_at => '"{as_of}"', amount => '"$1"', cost => '"%1$s"',
	order_filter => '"''paid''"', attributes => ARRAY['größe {schema}', '%L', '{customers}', 'half = "größe {schema}" % 2'], interactions => '"visits %"', interacted_at => 'at %s',
	prospects => '"{prospects}"', scheme => 'x{bins}', best => 'segment = ''{best} %s''', as_of => '2025-08-01', time_zone => 'UTC', period => '1 year') ORDER BY argument COLLATE "C";
SELECT orders, customers FROM crm_profile.refresh(:'source');
SELECT count(*) AS orders, count(DISTINCT "order_customer {rfm}") AS customers, count(DISTINCT "order_customer {rfm}") FILTER (WHERE "{as_of}" <= '2025-03-01') AS in_march FROM "orders ""{today}""" WHERE "'paid'";
SELECT set_config('search_path', format('%I, "{period} %%I"', :'source'), false) IS NOT NULL AS set;
SELECT count(*) AS customers, count(*) FILTER (WHERE (p.frequency, p.monetary, p.profit, p.last_purchase) IS DISTINCT FROM (t.frequency, t.monetary, t.profit, t.last_purchase)) AS differences
FROM customer_profile p LEFT JOIN (SELECT "order_customer {rfm}" AS customer, count(*) AS frequency, sum("$1") AS monetary, sum("$1" - "%1$s") AS profit, max("{as_of}") AS last_purchase
	FROM "orders ""{today}""" WHERE "'paid'" GROUP BY 1) t USING (customer);
SELECT segment, customers = (SELECT count(*) FROM customer_profile p WHERE coalesce(p.segment, '(unscored)') = s.segment) AS right, strategy FROM segment_summary_details s;
SELECT customer, lifecycle, segment_position FROM customer_profile WHERE frequency IS NULL ORDER BY customer COLLATE "C";
SELECT (SELECT sum(customers) FROM rfm_grid) AS grid, (SELECT sum(orders) FROM purchase_calendar) AS calendar, (SELECT sum(customers) FROM segment_migration) AS migration,
	(SELECT sum(customers) FROM segment_migration('2025-03-01', '2025-07-01', true)) AS refitted, (SELECT value FROM model_card_details WHERE item = 'scheme') AS scheme,
	(SELECT count(*) FROM profile_as_of('2025-03-01') WHERE frequency > 0) AS in_march, (SELECT count(*) FROM segment_persona WHERE attribute NOT IN ('größe {schema}', '%L', '{customers}', 'half')) AS strange,
	(SELECT count(score) FROM prospect_match) AS prospects;
-- one customer, with a key that looks like something else
SELECT k.key, n.customer = k.key AS same, n.frequency = p.frequency AS frequency FROM k JOIN customer_profile p ON p.customer = k.key, LATERAL crm_profile.profile_now_details(:'source', k.key) n WHERE k.i <= 8 ORDER BY k.i;
SELECT count(*) FROM crm_profile.profile_now_details(:'source', '5');
SELECT severity, finding, rows FROM crm_profile.check_source_details(:'source');
SELECT prospect FROM crm_profile.match_prospects(:'source', 2) ORDER BY 1;
SELECT crm_profile.alter_source(:'source', materialize => true);
SELECT count(*), count(segment) FROM customer_profile;
SELECT histories_deleted, orders_left > 0 AS left FROM crm_profile.forget_customer(:'source', '{bins}');
SELECT count(*) FROM customer_profile WHERE customer = '{bins}';
SELECT crm_profile.explain_source(:'source') LIKE '%customer_figures(%' AS explained;
SELECT crm_profile.drop_source(:'source');
DROP SCHEMA "{period} %I" CASCADE;
DELETE FROM crm_profile.scheme WHERE name IN ('x{bins}', 'x5');
