-- A segment as a rule: planted rules are found, noise gives none, and the figures are those of plain SQL
SET datestyle = ISO;
SET client_min_messages = error;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA rule;
SET search_path = rule;
CREATE FUNCTION coin(i int, k int) RETURNS int LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int;
-- of those in their thirties in two towns nine of ten buy much and recently, of all others one of ten
CREATE TABLE client AS SELECT i AS id, 1940 + coin(i, 1) % 60 AS born, (ARRAY['Bonn', 'Köln', 'Trier', 'Ulm', 'Aachen', 'L''Aquila'])[1 + coin(i, 2) % 6]::varchar(20) AS town, coin(i, 3) % 2 = 0 AS member,
	CASE WHEN coin(i, 4) % 5 > 0 THEN coin(i, 4) % 10000 / 100.0 END AS noise, ARRAY(SELECT chr(97 + coin(i, k) % 7) FROM generate_series(5, 7) k) AS letters, date '2020-01-01' + coin(i, 8) % 700 AS since, coin(i, 9) AS luck
	FROM generate_series(1, 3000) i;
ALTER TABLE client ADD PRIMARY KEY (id);
ALTER TABLE client ADD best boolean;
UPDATE client SET best = luck % 10 < CASE WHEN 2020 - born BETWEEN 30 AND 39 AND town IN ('Köln', 'L''Aquila') THEN 9 ELSE 1 END;
CREATE TABLE lead AS SELECT -id AS lead_no, born::bigint AS born, town::text AS town, member, noise::float8 AS noise, letters, since FROM client WHERE id % 3 = 0;
ALTER TABLE lead ADD PRIMARY KEY (lead_no);
CREATE TABLE sale AS SELECT id AS client_id, date '2024-12-30' - CASE WHEN best THEN k * 5 ELSE 300 + k * 30 + luck % 90 END AS day, CASE WHEN best THEN 100 + luck % 50 ELSE 5 + luck % 20 END::numeric AS amount
	FROM client, generate_series(1, CASE WHEN best THEN 8 ELSE 1 + luck % 3 END) k;
SELECT count(*) > 0 AS made FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client_id', as_of => '2024-12-31', prospects => 'lead', clv_model => 'bg/nbd', attributes => ARRAY['age = 2020 - born', 'town', 'member', 'noise', 'letters', 'since']);
SELECT crm_profile.refresh('shop') IS NOT NULL AS refreshed;
SELECT segment FROM shop.customer_profile JOIN client ON id = customer WHERE best GROUP BY 1 ORDER BY count(*) DESC LIMIT 1 \gset
-- the planted rule; the other segments can be told by behaviour alone
SELECT over, rule, coverage > 0.3 AS coverage, "precision" > 0.8 AS precise, lift > 4 AS lift, adjusted_p_value < 1e-20 AS proven FROM crm_profile.explain_segment('shop', :'segment') WHERE over = 'attributes';
SELECT rule ~ '^[a-z_]+ (=|>=|<) [0-9.]+' AS behaviour, rule !~ 'age|town|noise' AS alone, coverage > 0.95 AND "precision" > 0.95 AS exact FROM crm_profile.explain_segment('shop', :'segment') WHERE over <> 'attributes';
-- the conditions run on customers, prospects and views, where the figures hold
SELECT rule AS customers_rule, coverage, "precision" AS precise, lift FROM crm_profile.explain_segment('shop', :'segment') WHERE over = 'attributes' \gset
SELECT count(*) > 50 AS prospects FROM lead WHERE :customers_rule;
SELECT rule AS views_rule FROM crm_profile.explain_segment('shop', :'segment') WHERE over <> 'attributes' \gset
SELECT count(*) > 100 AS customers FROM shop.customer_profile JOIN shop.customer_attributes USING (customer) WHERE :views_rule;
-- figures of the two fifths of the customers that were not searched: counted here
SELECT round(:coverage::numeric, 9) = round(count(*) FILTER (WHERE hit AND here) / count(*) FILTER (WHERE here)::numeric, 9) AS coverage, round(:precise::numeric, 9) = round(count(*) FILTER (WHERE hit AND here) / count(*) FILTER (WHERE hit)::numeric, 9) AS precise,
	round(:lift::numeric, 9) = round(count(*) FILTER (WHERE hit AND here)::numeric * count(*) / count(*) FILTER (WHERE hit) / count(*) FILTER (WHERE here), 9) AS lift, count(*) BETWEEN 1100 AND 1300 AS two_fifths
FROM (SELECT (:customers_rule) AS hit, segment = :'segment' AS here FROM client JOIN shop.customer_profile ON customer = id WHERE NOT crm_profile_internal.in_sample(id::text, 0.6)) x;
SELECT crm_profile.explain_segment('shop', NULL);
SELECT crm_profile.explain_segment(NULL, 'Champions');
-- noise alone
SELECT crm_profile.alter_source('shop', attributes => ARRAY['noise', 'letters', 'member', 'since', 'coin = born % 7', 'day = since + (born % 5)::int']);
SELECT count(*) > 3 AS segments, count(*) FILTER (WHERE rule <> 'no rule') AS rules FROM (SELECT DISTINCT segment FROM shop.customer_profile) s, crm_profile.explain_segment('shop', s.segment) e WHERE over = 'attributes';
-- the same rule from rows in any order
CREATE TABLE other AS SELECT * FROM client ORDER BY md5(id::text);
ALTER TABLE other ADD PRIMARY KEY (id);
SELECT crm_profile.alter_source('shop', customers => 'other', attributes => ARRAY['age = 2020 - born', 'town', 'member', 'noise', 'letters', 'since']);
SELECT rule = :'customers_rule' AS same FROM crm_profile.explain_segment('shop', :'segment') WHERE over = 'attributes';

-- ---------------------------------------------------------------- every kind of condition, as SQL
SET timezone = 'UTC';
CREATE TABLE kind AS SELECT i, CASE WHEN i % 9 > 0 THEN i % 50 END AS whole, i % 400 / 8.0 AS broken, date '2024-01-01' + i % 365 AS day, timestamptz '2024-01-01 23:30+00' + i * 7 % 365 * interval '1 day' AS moment,
	(ARRAY['red', 'green', 'blue', 'it''s'])[1 + i % 4] AS word, i % 3 = 0 AS yes, ARRAY[chr(97 + i % 5)] AS letters, (ARRAY['10.0.0.1', '10.0.0.2', '10.0.0.3'])[1 + i % 3]::inet AS address FROM generate_series(1, 4000) i;
CREATE FUNCTION told(condition text) RETURNS TABLE (predicate text, rows bigint, differences bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('WITH k AS (SELECT ROW(kind.*)::kind AS r, (%s) IS TRUE AS t FROM kind), m AS (SELECT crm_profile.profile_fit(r, ''{"ignore": ["i"]}'') AS m FROM k)
		SELECT string_agg(crm_profile_internal.condition_sql(c, c ->> ''attribute'', a.atttypid), '' AND '' ORDER BY c ->> ''attribute'')
		FROM (SELECT crm_profile_internal.segment_rule(crm_profile.profile(r, m), t, m) AS j FROM k, m) x, jsonb_array_elements(j) c, pg_attribute a WHERE a.attrelid = ''kind''::regclass AND a.attname = c ->> ''attribute''', condition) INTO predicate;
	EXECUTE format('SELECT count(*) FILTER (WHERE %s), count(*) FILTER (WHERE (%1$s) IS DISTINCT FROM (%2$s)) FROM kind', predicate, condition) INTO rows, differences;
	RETURN NEXT;
END $$;
SET timezone = 'Pacific/Chatham';
SELECT t.* FROM (VALUES ('whole = 7'), ('whole < 20'), ('broken >= 12.5 AND broken < 40'), ('day >= ''2024-06-05'''), ('moment >= ''2024-06-05 00:00+00'''), ('word IN (''green'', ''it''''s'')'), ('word <> ''blue'''), ('yes'), ('NOT yes'),
	('''c'' = ANY (letters)'), ('NOT ''c'' = ANY (letters)'), ('address = ''10.0.0.2'''), ('whole BETWEEN 10 AND 19 AND word = ''red'' AND yes')) c(condition), told(c.condition) t;
-- nothing to tell apart
SELECT crm_profile_internal.segment_rule(crm_profile.profile(r, m), t, m) FROM (SELECT crm_profile.profile_fit(r) AS m FROM (SELECT whole FROM kind) r) m, (SELECT r, true AS t FROM kind, LATERAL (SELECT whole) r) k;
SELECT crm_profile_internal.segment_rule(crm_profile.profile(r, m), t, m) FROM (SELECT crm_profile.profile_fit(r) AS m FROM (SELECT whole FROM kind) r) m, (SELECT r, coin(i, 1) % 2 = 0 AS t FROM kind, LATERAL (SELECT whole) r) k;
-- errors
SELECT crm_profile.explain_segment('rule', 'Champions');
SELECT crm_profile.explain_segment('shop', 'Champignons');
SELECT count(*) FILTER (WHERE rule = 'no rule') AS nobody_is_there FROM crm_profile.explain_segment('shop', 'New');
SELECT crm_profile.drop_source('shop');
SET client_min_messages = warning;
DROP SCHEMA rule CASCADE;
