-- Prospects of a source: inferred and checked, scored as by the plain functions over the plain tables, with the reader's rights
SET datestyle = ISO;
SET client_min_messages = warning;
SET extra_float_digits = 1;
SET jit = off;
\set SHOW_CONTEXT never
\getenv abs_srcdir PG_ABS_SRCDIR
CREATE SCHEMA trade;
SET search_path = trade;
-- a refresh, and whether it fitted models of attributes
CREATE FUNCTION matched(source text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM crm_profile.refresh(source);
	RETURN (SELECT refresh_phases ? 'match' FROM crm_profile.sources_details WHERE name = source);
END $$;
\set load :abs_srcdir '/data/customer_personality.psql'
\i :load
CREATE VIEW spender AS
	SELECT "ID" AS id, "MntWines" + "MntFruits" + "MntMeatProducts" + "MntFishProducts" + "MntSweetProducts" + "MntGoldProds" AS spent,
		1 + ("NumDealsPurchases" + "NumWebPurchases" + "NumCatalogPurchases" + "NumStorePurchases") / 4 AS orders, "Recency" AS recency
	FROM person;
-- every tenth is a prospect, of whom only attributes are known; the types differ where they may
CREATE TABLE client (id int PRIMARY KEY, full_name text, email text UNIQUE, born int, education text, marital_status varchar(20), "Income" numeric, kids smallint,
	spent int, created_at timestamptz DEFAULT now());
INSERT INTO client SELECT "ID", 'c' || "ID", 'u' || "ID", "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome" + "Teenhome", spent
	FROM person JOIN spender ON id = "ID" WHERE "ID" % 10 <> 0;
CREATE TABLE lead (lead_no text PRIMARY KEY, full_name text, email text, born bigint, education text, marital_status text, "Income" float8, kids int,
	created_at timestamptz DEFAULT now(), client_id bigint);
INSERT INTO lead SELECT 'L' || "ID", 'l' || "ID", 'u' || "ID", "Year_Birth", "Education", "Marital_Status", "Income", "Kidhome" + "Teenhome"
	FROM person WHERE "ID" % 10 = 0;
CREATE TABLE sale (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, client_id int REFERENCES client, day date, amount numeric(12,4));
INSERT INTO sale (client_id, day, amount)
	SELECT s.id, date '2014-06-30' - s.recency - k * 37, s.spent / s.orders::numeric FROM spender s, generate_series(0, s.orders - 1) k WHERE s.id % 10 <> 0;

-- ---------------------------------------------------------------- inference
SELECT * FROM crm_profile.create_source('shop', 'client', 'sale', as_of => '2014-06-30', prospects => 'lead');
-- before the first refresh there are prospects, but no scores
SELECT count(*), count(score), count(reasons) FROM shop.prospect_match;
SELECT orders, customers FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SELECT attributes, prospects, prospect_key, prospect_customer, best, best_customers, warning FROM crm_profile.sources_details;
SELECT pg_typeof(prospect), pg_typeof(lifecycle), pg_typeof(score), pg_typeof(lift), pg_typeof(reasons) FROM shop.prospect_match LIMIT 1;

-- ---------------------------------------------------------------- the truth: tiers in plain SQL, the plain functions over the plain tables
CREATE TABLE best AS
	SELECT client_id AS id, coalesce(sum(worth) OVER (ORDER BY worth DESC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP), 0) < .8 * sum(worth) OVER () AS is_best
	FROM (SELECT client_id, sum(amount) AS worth FROM sale GROUP BY 1) t;
CREATE FUNCTION truth(OUT prospect text, OUT score float8, OUT lift float8, OUT reasons text) RETURNS SETOF record LANGUAGE sql AS $$
	WITH pm AS MATERIALIZED (
		SELECT crm_profile.profile_fit(r, '{"range_count": 5, "kinds": {"education": "nominal", "marital_status": "nominal"}}') AS pm FROM (SELECT born, education, marital_status, "Income", kids FROM client) r),
	mm AS MATERIALIZED (
		SELECT pm, crm_profile.match_fit(crm_profile.profile(r, pm), is_best, pm) AS mm
		FROM client c JOIN best b USING (id), LATERAL (SELECT c.born, c.education, c.marital_status, c."Income", c.kids) r, pm GROUP BY pm::text, pm)
	SELECT lead_no, crm_profile.match_score(p, mm), crm_profile.match_lift(p, mm), crm_profile.match_reasons(p, mm)
	FROM lead l, mm, LATERAL (SELECT l.born, l.education, l.marital_status, l."Income", l.kids) r, LATERAL (SELECT crm_profile.profile(r, pm) AS p) x
$$;
SELECT best_customers = (SELECT count(*) FROM best WHERE is_best) AS as_many_best FROM crm_profile.sources_details;
CREATE TABLE scored AS SELECT * FROM truth();
SELECT count(*) AS prospects, count(*) FILTER (WHERE (v.score, v.lift, v.reasons) IS DISTINCT FROM (t.score, t.lift, t.reasons)) AS differences
FROM shop.prospect_match v FULL JOIN scored t USING (prospect);
-- the query-based function computes the same, with a new fit
CREATE TABLE ranked AS SELECT * FROM crm_profile.match_prospects('shop');
SELECT count(*) AS prospects, count(*) FILTER (WHERE (m.score, m.lift, m.reasons) IS DISTINCT FROM (t.score, t.lift, t.reasons)) AS differences,
	count(*) FILTER (WHERE m.rank <> (SELECT 1 + count(*) FROM scored o WHERE o.score > t.score)) AS ranks
FROM ranked m FULL JOIN scored t USING (prospect);
SELECT count(*), min(rank), count(nearest_customer) FROM crm_profile.match_prospects('shop', 7);
-- and it was right: what the prospects of the best fifth spent, which the fit did not know
SELECT avg(spent) FILTER (WHERE rank <= 48) > 4 * avg(spent) FILTER (WHERE rank > 120) AS worth_it FROM ranked JOIN spender ON 'L' || id = prospect;
-- a single prospect is found by the key
SELECT prospect, round(score::numeric, 6) = round((SELECT score FROM scored WHERE prospect = 'L5710')::numeric, 6) AS same FROM shop.prospect_match WHERE prospect = 'L5710';

-- ---------------------------------------------------------------- who is a customer, and the lifecycle
CREATE TABLE visit (client_id int REFERENCES client, at timestamptz);
INSERT INTO client (id, born, education, kids) VALUES (-1, 1970, 'PhD', 1), (-2, 1980, 'Master', 0), (-3, 1990, 'PhD', 0), (-4, 1990, 'PhD', 0);
INSERT INTO lead (lead_no, born, education, client_id) VALUES ('bought', 1970, 'PhD', (SELECT min(client_id) FROM sale)), ('came', 1970, 'PhD', -1), ('listed', 1980, 'Master', -2), ('unknown', 1980, 'Master', -99);
INSERT INTO visit VALUES (-1, '2014-05-01'), (-3, '2014-05-01'), (-2, '2014-08-01');
SELECT crm_profile.alter_source('shop', prospect_customer => 'client_id', interactions => 'visit', interacted_at => 'at');
SELECT prospect, lifecycle, score IS NOT NULL AS scored FROM shop.prospect_match WHERE prospect !~ '^L' ORDER BY prospect COLLATE "C";
SELECT lifecycle, count(*) FROM shop.prospect_match GROUP BY 1 ORDER BY 1;
SELECT customer, lifecycle FROM shop.customer_profile WHERE customer < 0 ORDER BY customer DESC;
SELECT count(*) FROM crm_profile.match_prospects('shop') WHERE prospect IN ('bought', 'came', 'listed', 'unknown');
SELECT severity, finding, rows FROM crm_profile.check_source_details('shop') WHERE finding ~ 'prospect' ORDER BY finding;
SELECT crm_profile.alter_source('shop', interactions => 'visit', reset => '{prospect_customer,interacted_at}');
SELECT prospect_customer FROM crm_profile.sources_details;
ALTER TABLE lead ALTER client_id TYPE int, ADD FOREIGN KEY (client_id) REFERENCES client NOT VALID;
SELECT crm_profile.alter_source('shop', bins => 5);
SELECT prospect_customer FROM crm_profile.sources_details;
SELECT customer, lifecycle FROM shop.customer_profile WHERE customer < 0 ORDER BY customer DESC;
SELECT prospect, lifecycle FROM shop.prospect_match WHERE prospect !~ '^L' ORDER BY prospect COLLATE "C";
DELETE FROM visit;
DELETE FROM lead WHERE lead_no !~ '^L';
DELETE FROM client WHERE id < 0;
SELECT crm_profile.alter_source('shop', reset => '{interactions,interaction_customer}');

-- ---------------------------------------------------------------- who is among the best
SELECT crm_profile.alter_source('shop', best => 'champions,  Loyal');
SELECT trade.matched('shop');
SELECT best_customers = (SELECT count(*) FROM shop.customer_profile WHERE segment IN ('Champions', 'Loyal')) AS segments FROM crm_profile.sources_details;
SELECT crm_profile.alter_source('shop', best => E'monetary > 1000 -- the big ones');
SELECT trade.matched('shop');
SELECT best_customers = (SELECT count(*) FROM (SELECT FROM sale GROUP BY client_id HAVING sum(amount) > 1000) x) AS condition FROM crm_profile.sources_details;
-- the log has all models
SELECT id, best, (crm_profile.match_quality(match)).targets = (SELECT count(*) FROM best WHERE is_best) AS tier_a FROM shop.model ORDER BY id;
-- names keep their meaning from when they were given
CREATE SCHEMA before;
CREATE FUNCTION trade.is_big(numeric) RETURNS boolean LANGUAGE sql RETURN $1 > 1000;
SELECT crm_profile.alter_source('shop', best => 'is_big(monetary)', search_path => '{before,trade}');
CREATE FUNCTION before.is_big(numeric) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$;
SELECT trade.matched('shop');
SELECT best_customers = (SELECT count(*) FROM (SELECT FROM sale GROUP BY client_id HAVING sum(amount) > 1000) x) AS condition FROM crm_profile.sources_details;
SELECT substring(crm_profile.explain_source('shop') FROM 'trade\.is_big') AS qualified;
-- none, all, few: the refresh goes on, and reports it
SELECT crm_profile.alter_source('shop', best => 'monetary > 1e9');
SELECT trade.matched('shop');
SELECT best_customers, warning FROM crm_profile.sources_details;
SELECT count(*), count(score) FROM shop.prospect_match;
SELECT crm_profile.alter_source('shop', best => 'true');
SELECT trade.matched('shop');
SELECT best_customers = (SELECT count(*) FROM client) AS all_of_them, warning FROM crm_profile.sources_details;
SELECT crm_profile.alter_source('shop', best => 'customer < 200');
SELECT trade.matched('shop');
SELECT best_customers, warning FROM crm_profile.sources_details;
-- a condition that fails at a refresh: nothing is changed
SELECT crm_profile.alter_source('shop', best => '1 / (frequency - frequency) > 0');
INSERT INTO sale (client_id, day, amount) SELECT min(id), '2014-06-30', 1 FROM client;
SELECT * FROM crm_profile.refresh('shop');
SELECT count(*) FROM shop.model;
SELECT count(*) AS stored FROM shop.customer_history WHERE crm_profile.last_purchase(history) = '2014-06-30' AND customer = (SELECT min(id) FROM client);
DELETE FROM sale WHERE day = '2014-06-30' AND amount = 1;
-- conditions that are rejected at once
SELECT crm_profile.alter_source('shop', best => 'Champion, Loyal');
SELECT crm_profile.alter_source('shop', best => 'value_teir = ''A''');
SELECT crm_profile.alter_source('shop', best => 'recency');
SELECT crm_profile.alter_source('shop', best => 'count(*) > 1');
SELECT crm_profile.alter_source('shop', best => 'monetary >');
SELECT crm_profile.alter_source('shop', best => 'true; DROP TABLE trade.sale');
SELECT crm_profile.alter_source('shop', reset => '{best}');

-- ---------------------------------------------------------------- attributes
SELECT crm_profile.alter_source('shop', attributes => '{born,spent}');
SELECT crm_profile.alter_source('shop', attributes => '{born,eduction}');
SELECT crm_profile.alter_source('shop', attributes => ARRAY['born', 'lower(education)']);
SELECT crm_profile.alter_source('shop', attributes => ARRAY['age = 2014 - born', 'age = born']);
SELECT crm_profile.alter_source('shop', attributes => ARRAY['email']);
SELECT crm_profile.alter_source('shop', attributes => ARRAY['born', NULL]);
SELECT crm_profile.alter_source('shop', attributes => '{}');
CREATE VIEW other_types AS SELECT lead_no, born::text AS born, education FROM lead;
SELECT crm_profile.alter_source('shop', prospects => 'other_types', prospect_key => 'lead_no', attributes => '{born,education}');
SELECT crm_profile.alter_source('shop', prospects => 'leads');
SELECT crm_profile.alter_source('shop', prospect_key => 'lead_number');
SELECT crm_profile.alter_source('shop', prospect_key => 'born');
SELECT crm_profile.alter_source('shop', prospect_customer => 'created_at');
SELECT crm_profile.create_source('x', 'client', 'sale', prospect_key => 'lead_no');
SELECT crm_profile.create_source('x', 'client', 'sale', prospects => 'other_types');
CREATE VIEW nothing_shared AS SELECT lead_no, email, full_name, 2014 - born AS age FROM lead;
SELECT crm_profile.create_source('x', 'client', 'sale', prospects => 'nothing_shared', prospect_key => 'lead_no');
-- other attributes: the old models are removed, and a refresh fits new ones
SELECT crm_profile.alter_source('shop', attributes => ARRAY['age = 2014 - born', 'school = lower(education)', 'Income']);
SELECT count(score) FROM shop.prospect_match;
SELECT warning FROM crm_profile.sources_details;
SELECT trade.matched('shop');
SELECT count(score) = count(*) AS all_scored FROM shop.prospect_match;
SELECT warning FROM crm_profile.sources_details;
SELECT bool_or(reasons ~ 'school = phd') AS words FROM shop.prospect_match;
-- a refresh that finds nothing new adds no model
SELECT count(*) AS models FROM shop.model \gset
SELECT trade.matched('shop');
SELECT count(*) - :models AS more FROM shop.model;
-- text is text, whatever the customers' column looks like; values that no customer has are no error
CREATE TABLE zip_lead AS SELECT row_number() OVER (ORDER BY lead_no)::int AS nr, CASE WHEN kids = 0 THEN 'A-1010' ELSE '20' END AS zip FROM lead;
ALTER TABLE client ADD zip text;
UPDATE client SET zip = 10 + kids;
SELECT argument, value FROM crm_profile.create_source('zip', 'client', 'sale', as_of => '2014-06-30', prospects => 'zip_lead', prospect_key => 'nr', attributes => '{zip}') WHERE argument ~ 'prospect|attr';
SELECT trade.matched('zip');
SELECT count(*), count(score) FROM zip.prospect_match;
SELECT crm_profile.drop_source('zip');

-- ---------------------------------------------------------------- what kind of people are in each segment
SELECT crm_profile.alter_source('shop', attributes => ARRAY['born', 'school = lower(education)', 'Income', 'kids', 'parent = kids > 0', 'since = created_at', 'tags = ARRAY[education, marital_status, education]']);
CREATE TABLE persona AS SELECT * FROM shop.segment_persona;
SELECT attribute, count(*) > 3 AS several, count(DISTINCT segment) > 2 AS segments, min(concentration) > 1 AS more_than_others, max(share_of_segment) <= 1 AS shares FROM persona GROUP BY attribute ORDER BY attribute COLLATE "C";
-- each row recomputed from its own words: who has it in the segment, and among all customers
CREATE FUNCTION has(c client, attribute text, value text) RETURNS boolean LANGUAGE sql RETURN CASE attribute
	WHEN 'school' THEN lower(c.education) = value
	WHEN 'parent' THEN (c.kids > 0)::text = value
	WHEN 'tags' THEN value IN (c.education, c.marital_status)
	-- whole numbers: up to the last one; others: below the next
	ELSE (SELECT CASE WHEN value ~ '^up to' THEN n <= substr(value, 7)::numeric WHEN value ~ '^[0-9]+$' THEN n = value::numeric WHEN value ~ '^[0-9]+ to [0-9]+$' THEN n BETWEEN split_part(value, ' ', 1)::numeric AND split_part(value, ' ', 3)::numeric
			ELSE n >= coalesce(substring(value FROM '^[0-9.]+')::numeric, 0) AND n < coalesce(substring(value FROM 'below ([0-9.]+)')::numeric, 'Infinity') END
		FROM (SELECT CASE attribute WHEN 'born' THEN c.born WHEN 'Income' THEN c."Income" WHEN 'kids' THEN c.kids END AS n) v) END;
-- Fisher's exact test, one-sided: at least n of m, where a of o have it
CREATE TABLE log_factorial AS SELECT k, sum(ln(greatest(k, 1)::float8)) OVER (ORDER BY k) AS f FROM generate_series(0, 3000) k;
ALTER TABLE log_factorial ADD PRIMARY KEY (k);
CREATE FUNCTION fisher(n bigint, m bigint, a bigint, o bigint) RETURNS float8 LANGUAGE sql STABLE BEGIN ATOMIC
	SELECT sum(exp(greatest(-600, am.f - j.f - aj.f + om.f - mj.f - oj.f - o0.f + m0.f + d.f))) FROM log_factorial j
		JOIN log_factorial aj ON aj.k = a - j.k JOIN log_factorial mj ON mj.k = m - j.k JOIN log_factorial oj ON oj.k = o - a - m + j.k
		JOIN log_factorial am ON am.k = a JOIN log_factorial om ON om.k = o - a JOIN log_factorial o0 ON o0.k = o JOIN log_factorial m0 ON m0.k = m JOIN log_factorial d ON d.k = o - m
	WHERE j.k BETWEEN n AND least(m, a);
END;
CREATE TABLE people AS SELECT c AS client, coalesce(segment, '(unscored)') AS segment FROM client c JOIN shop.customer_profile ON customer = c.id;
CREATE TABLE holder AS SELECT attribute, value, segment, count(*) FILTER (WHERE holds) AS n, count(holds) AS m
	FROM (SELECT attribute, value, segment, has(client, attribute, value) AS holds FROM (SELECT DISTINCT attribute, value FROM persona) v, people) x GROUP BY 1, 2, 3;
SELECT count(*) > 30 AS many, bool_and(n = p.customers) AS customers, bool_and(abs(n / m::float8 - share_of_segment) < 1e-9) AS share, bool_and(abs(a / o::float8 - share_of_customers) < 1e-9) AS of_all,
	bool_and(abs(n::float8 * o / m / a - concentration) < 1e-9) AS concentration, bool_and(fisher(n, m, a, o) < 0.05) AS beyond_chance
FROM persona p JOIN holder USING (attribute, value, segment) JOIN (SELECT attribute, value, sum(n)::bigint AS a, sum(m)::bigint AS o FROM holder GROUP BY 1, 2) t USING (attribute, value);
SELECT count(*) AS not_recomputed FROM persona LEFT JOIN holder USING (attribute, value, segment) WHERE m IS NULL;
-- ranges are fifths of all customers
SELECT count(*) AS ranges, bool_and(share_of_customers BETWEEN 0.19 AND 0.21) AS fifths FROM persona WHERE attribute = 'Income';
-- and none is missing: of all cells with five expected, those that Benjamini and Hochberg accept
SELECT crm_profile.alter_source('shop', attributes => ARRAY['school = lower(education)', 'parent = kids > 0']);
CREATE TABLE cell AS SELECT g.*, fisher(n, m, a, o) AS p, n > m * a / o::float8 AS more FROM (SELECT x.segment, v.attribute, v.value, count(*) AS n
		FROM people x, LATERAL (VALUES ('school', lower((client).education)), ('parent', ((client).kids > 0)::text)) v(attribute, value) GROUP BY 1, 2, 3) g,
	LATERAL (SELECT count(*) AS o, count(*) FILTER (WHERE x.segment = g.segment) AS m, count(*) FILTER (WHERE has(client, g.attribute, g.value)) AS a FROM people x) t
WHERE m * a / o::float8 >= 5;
SELECT count(*) AS differences FROM cell c,
	(SELECT max(p) AS worst FROM (SELECT p, row_number() OVER (ORDER BY p) AS r, count(*) OVER () AS tests FROM cell) x WHERE p <= 0.05 * r / tests) b
WHERE (c.more AND c.p <= b.worst) <> EXISTS (SELECT FROM shop.segment_persona p WHERE (p.segment, p.attribute, p.value) = (c.segment, c.attribute, c.value));
SELECT (SELECT count(*) FROM shop.segment_persona) BETWEEN 1 AND (SELECT count(*) FROM cell) - 5 AS some;
SELECT crm_profile_internal.excess_p_value(5, 4, 6, 10);
SELECT crm_profile.alter_source('shop', attributes => ARRAY['born', 'school = lower(education)', 'Income', 'kids', 'parent = kids > 0', 'since = created_at', 'tags = ARRAY[education, marital_status, education]']);
DROP TABLE people, holder, cell;
DROP FUNCTION fisher;
DROP TABLE log_factorial;
DROP FUNCTION has(client, text, text);

-- ---------------------------------------------------------------- prospects removed, and given again
CREATE VIEW mine AS SELECT prospect, score FROM shop.prospect_match;
SELECT crm_profile.alter_source('shop', reset => '{prospects}');
DROP VIEW mine;
SELECT crm_profile.alter_source('shop', reset => '{prospects}');
SELECT to_regclass('shop.prospect_match') IS NULL AS gone;
SELECT crm_profile.explain_source('shop') ~ 'best customers' AS explained;
SELECT * FROM crm_profile.match_prospects('shop');
SELECT trade.matched('shop') AS profiles_fitted;
SELECT attributes, prospects, prospect_key, best_customers, warning FROM crm_profile.sources_details;
SELECT profile IS NOT NULL AS profile, match IS NOT NULL AS match FROM shop.model ORDER BY id DESC LIMIT 1;
SELECT crm_profile.alter_source('shop', prospects => 'lead', materialize => true, reset => '{attributes}');
SELECT trade.matched('shop');
SELECT count(*) AS prospects, count(*) FILTER (WHERE (v.score, v.lift, v.reasons) IS DISTINCT FROM (t.score, t.lift, t.reasons)) AS differences
FROM shop.prospect_match v FULL JOIN scored t USING (prospect);
SELECT crm_profile.alter_source('shop', reset => '{prospects,attributes}');
SELECT to_regclass('shop.segment_persona') IS NULL AS gone;
SELECT trade.matched('shop');
SELECT crm_profile.drop_source('shop');
SELECT count(*) FROM pg_namespace WHERE nspname = 'shop';

-- ---------------------------------------------------------------- eight attributes related to spending, and 21 related to nothing
CREATE VIEW mixed AS SELECT c.*, h.* FROM client c, LATERAL (SELECT ARRAY(SELECT ('x' || substr(md5(c.id || ' ' || k), 1, 7))::bit(28)::int FROM generate_series(1, 29) k) AS h OFFSET 0) h;
SELECT count(*) > 0 AS created FROM crm_profile.create_source('mixed', 'mixed', 'sale', customer_key => 'id', order_customer => 'client_id', as_of => '2014-03-31', attributes => (SELECT array_agg(a) FROM generate_series(1, 29) k,
	LATERAL (SELECT CASE WHEN k > 21 THEN format('real%s = round(ln(1 + spent) + h[%s] %% 100 / 100.0)', k, k)
		ELSE format('noise%s = ', k) || format(CASE k % 3 WHEN 0 THEN 'h[%s]' WHEN 1 THEN '(h[%s] %% %s)::text' ELSE 'h[%s] %% %s = 0' END, k, 2 + k) END) t(a)));
SELECT crm_profile.refresh('mixed') IS NOT NULL AS refreshed;
-- next to no line is about the latter
SELECT count(*) > 100 AS many, count(DISTINCT attribute) FILTER (WHERE attribute ~ 'real') AS found, count(*) FILTER (WHERE attribute ~ 'noise') <= 0.05 * count(*) AS next_to_no_noise FROM mixed.segment_persona;
SELECT crm_profile.drop_source('mixed');
DROP VIEW mixed;

-- ---------------------------------------------------------------- one table of people: those who have not bought are prospects
SELECT argument, value, origin FROM crm_profile.create_source('people', 'client', 'sale', as_of => '2014-03-31', prospects => 'client', attributes => '{born,education,Income}') WHERE argument ~ 'prospect';
SELECT trade.matched('people');
SELECT count(*) = (SELECT count(*) FROM client WHERE NOT EXISTS (SELECT FROM sale WHERE client_id = client.id AND day <= '2014-03-31')) AS not_yet_customers, count(*) > 100 AS many FROM people.prospect_match;
SELECT lifecycle, count(*) FILTER (WHERE frequency IS NOT NULL) AS bought, count(*) > 0 AS any FROM people.customer_profile WHERE lifecycle IN ('probable', 'potential') OR lifecycle IS NULL GROUP BY 1;
-- the same where only some of them are in the prospect table
CREATE VIEW some_people AS SELECT id, born, education FROM client WHERE id % 2 = 0;
SELECT crm_profile.alter_source('people', prospects => 'some_people', prospect_key => 'id', prospect_customer => 'id', attributes => '{born,education}');
SELECT lifecycle, count(*) FILTER (WHERE customer % 2 = 0) > 0 AS in_it, count(*) FILTER (WHERE customer % 2 = 1) > 0 AS others FROM people.customer_profile WHERE frequency IS NULL GROUP BY 1 ORDER BY 1;
SELECT crm_profile.drop_source('people');

-- ---------------------------------------------------------------- many customers: a sample is enough for the fit
CREATE TABLE crowd (id int PRIMARY KEY, kind text, n int);
INSERT INTO crowd SELECT i, 'k' || i % 7, i % 50 FROM generate_series(1, 110000) i;
CREATE TABLE crowd_sale AS SELECT id AS crowd_id, date '2025-01-01' AS day, CASE WHEN id % 7 < 2 OR id % 11 = 0 THEN 100 ELSE 1 END AS amount FROM crowd;
SELECT value FROM crm_profile.create_source('crowd_views', 'crowd', 'crowd_sale', amount => 'amount', as_of => '2025-01-02', prospects => 'crowd', best => 'monetary > 10') WHERE argument = 'attributes';
SELECT trade.matched('crowd_views');
SELECT q.rows BETWEEN 99000 AND 101000 AS a_hundred_thousand, q.rows = (SELECT count(*) FROM crowd WHERE crm_profile_internal.in_sample(id::text, 100000 / 110000.0)) AS by_hash,
	s.best_customers = q.targets AS targets
FROM crm_profile.match_quality((SELECT match FROM crowd_views.model ORDER BY id DESC LIMIT 1)) q, crm_profile.sources_details s;
SELECT crm_profile.drop_source('crowd_views');

-- ---------------------------------------------------------------- rights
RESET search_path;
CREATE ROLE regress_crm_owner;
CREATE ROLE regress_crm_analyst;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_crm_owner', current_database()); END $$;
GRANT USAGE ON SCHEMA trade TO regress_crm_owner, regress_crm_analyst;
GRANT SELECT ON trade.client, trade.sale TO regress_crm_owner;
SET ROLE regress_crm_owner;
SELECT crm_profile.create_source('s', 'trade.client', 'trade.sale', as_of => '2014-06-30', prospects => 'trade.lead');
RESET ROLE;
GRANT SELECT (lead_no, client_id, born, full_name) ON trade.lead TO regress_crm_owner;
SET ROLE regress_crm_owner;
SELECT crm_profile.create_source('s', 'trade.client', 'trade.sale', as_of => '2014-06-30', prospects => 'trade.lead', attributes => '{born,education}');
SELECT value FROM crm_profile.create_source('s', 'trade.client', 'trade.sale', as_of => '2014-06-30', prospects => 'trade.lead') WHERE argument = 'attributes';
SELECT crm_profile.drop_source('s');
RESET ROLE;
GRANT SELECT ON trade.lead TO regress_crm_owner;
SET ROLE regress_crm_owner;
SELECT count(*) FROM crm_profile.create_source('s', 'trade.client', 'trade.sale', as_of => '2014-06-30', prospects => 'trade.lead');
SELECT trade.matched('s');
-- rights on the views are not enough: the prospects are read with the reader's rights
GRANT USAGE ON SCHEMA s TO regress_crm_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA s TO regress_crm_analyst;
RESET ROLE;
GRANT SELECT (id) ON trade.client TO regress_crm_analyst;
SET ROLE regress_crm_analyst;
SELECT count(*) FROM s.prospect_match;
SELECT sum(customers) FROM s.segment_summary;
SELECT count(*) = count(lifecycle) AS any FROM s.customer_profile;
SELECT count(*) FROM crm_profile.match_prospects('s');
SELECT count(*) FROM crm_profile_internal.match_prospects_as_owner(NULL, NULL);
RESET ROLE;
GRANT SELECT (lead_no, client_id, born, education, marital_status, "Income", kids) ON trade.lead TO regress_crm_analyst;
SET ROLE regress_crm_analyst;
SELECT count(*), count(score) FROM s.prospect_match;
-- the models behind it can be used but not read: neither text nor binary form nor a comparison reveals a word of an attribute
SELECT models, models::text, to_jsonb(m) FROM s.prospect_model m;
SELECT encode(record_send(m), 'escape') LIKE '%(sealed)' AS binary FROM s.prospect_model m;
SELECT 'x'::crm_profile_internal.sealed_models;
-- in a table they can be used, and dumped, after which they are empty
RESET ROLE;
CREATE TABLE trade.kept_models AS SELECT models, now() AS at FROM s.prospect_model;
SELECT count(crm_profile_internal.match_score(crm_profile_internal.profile(r, k.models), k.models)) > 0 AS usable FROM trade.kept_models k, trade.lead l, LATERAL (SELECT l.born, l.education, l.marital_status, l."Income", l.kids) r;
CREATE TABLE trade.dumped_models AS SELECT models::text::crm_profile_internal.sealed_models AS models FROM trade.kept_models;
SELECT models FROM trade.dumped_models;
SELECT crm_profile_internal.match_score(crm_profile_internal.profile(r, k.models), d.models) FROM trade.kept_models k, trade.dumped_models d, trade.lead l, LATERAL (SELECT l.born, l.education, l.marital_status, l."Income", l.kids) r;
SELECT crm_profile_internal.profile(r, d.models) FROM trade.dumped_models d, LATERAL (SELECT 1970 AS born, 'PhD'::text AS education) r;
DROP TABLE trade.kept_models, trade.dumped_models;
SET ROLE regress_crm_analyst;
SELECT a *= b AS same_image FROM s.prospect_model a, s.prospect_model b;
SELECT models::crm_profile.profile_model FROM s.prospect_model;
RESET ROLE;
SELECT profile::text LIKE '%Graduation%' AS kept FROM s.model ORDER BY id DESC LIMIT 1;
-- a policy on the prospects holds in the view
ALTER TABLE trade.lead ENABLE ROW LEVEL SECURITY;
CREATE POLICY young ON trade.lead FOR SELECT TO regress_crm_analyst USING (born > 1980);
CREATE POLICY everybody ON trade.lead FOR SELECT TO regress_crm_owner USING (true);
SET ROLE regress_crm_analyst;
SELECT count(*) = (SELECT count(*) FROM trade.lead) AS the_same, count(*) BETWEEN 10 AND 100 AS few FROM s.prospect_match;
-- one on the customers is an error at a refresh, not a fit to some of them
RESET ROLE;
ALTER TABLE trade.client ENABLE ROW LEVEL SECURITY;
CREATE POLICY a_few ON trade.client FOR SELECT TO regress_crm_owner USING (id < 1000);
SELECT * FROM crm_profile.refresh('s');
ALTER TABLE trade.client DISABLE ROW LEVEL SECURITY;
ALTER TABLE trade.lead DISABLE ROW LEVEL SECURITY;

-- code in an attribute or in best runs as the owner, whoever refreshes
SET ROLE regress_crm_owner;
CREATE FUNCTION s.planted(what text, value int) RETURNS int LANGUAGE plpgsql COST 1 AS $$
BEGIN
	IF value = 1893 OR what = 'best' AND value = 0 THEN
		RAISE WARNING '% runs as %, path %', what, current_user, current_setting('search_path');
		BEGIN
			EXECUTE 'RESET ROLE';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'reset role: %', SQLERRM;
		END;
		BEGIN
			EXECUTE 'ALTER ROLE regress_crm_owner SUPERUSER';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'alter role: %', SQLSTATE;
		END;
		BEGIN
			EXECUTE 'CREATE TEMP TABLE trap (x int)';
		EXCEPTION WHEN OTHERS THEN RAISE WARNING 'temp table: %', SQLERRM;
		END;
	END IF;
	RETURN value;
END $$;
SELECT crm_profile.alter_source('s', attributes => ARRAY['born = s.planted(''attribute'', born::int)', 'education']);
RESET ROLE;
SELECT trade.matched('s');
SET ROLE regress_crm_owner;
SELECT crm_profile.alter_source('s', attributes => '{born,education}', best => 's.planted(''best'', (customer <> (SELECT min(client_id) FROM trade.sale))::int) = 0 OR value_tier = ''A''');
RESET ROLE;
SELECT trade.matched('s');
SELECT count(*) FROM crm_profile.match_prospects('s', 3);
SELECT current_user = session_user AS same;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_crm_owner';
-- every object is commented
SELECT c.relname, a.attname FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 's'::regnamespace AND c.relkind IN ('r', 'v')
	AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL) ORDER BY 1, 2;
SELECT crm_profile.drop_source('s', cascade => true);
DROP SCHEMA trade, before CASCADE;
DROP OWNED BY regress_crm_owner, regress_crm_analyst;
DROP ROLE regress_crm_owner, regress_crm_analyst;
