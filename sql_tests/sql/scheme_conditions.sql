-- Conditions of scheme rules: attributes, lifecycle and value beside the scores, in every view, and as safe as they are stated
SET datestyle TO iso;
SET timezone TO 'UTC';
SET jit TO off;
SET client_min_messages TO warning;
\set SHOW_CONTEXT never
CREATE SCHEMA test_conditions;
SET search_path TO test_conditions, crm_profile;
CREATE FUNCTION chance(what text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0 $$;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customer (id int PRIMARY KEY, region text, satisfied int, feels mood, born date);
INSERT INTO customer SELECT i, CASE WHEN chance(i || 'r') < 0.3 THEN 'north' ELSE 'south' END, floor(10 * chance(i || 's'))::int, CASE WHEN chance(i || 'm') < 0.8 THEN 'good' ELSE 'bad' END::mood, date '1960-01-01' + i FROM generate_series(1, 500) i;
CREATE TABLE orders (customer_id int, ordered_on date, amount numeric(10, 2));
INSERT INTO orders SELECT c, date '2024-01-01' + floor(700 * chance(c || 'd' || n))::int, round((5 + 95 * chance(c || 'a' || n) * chance(c || 'w'))::numeric, 2) FROM generate_series(1, 490) c, generate_series(1, 10) n WHERE chance(c || 'n' || n) < chance(c || 'rate');

-- what is not one expression is refused when it is written down
INSERT INTO scheme (name) VALUES ('mine');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true) FROM pg_class WHERE (true');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true); DROP TABLE customer; SELECT (true');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true), (false');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true) UNION SELECT (true');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true) AS y');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true) or (1=1');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'satisfied > 3) AND (true');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'true, false');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', 'a b c');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', ' ');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'x', '-- nothing');

-- a scheme of the four kinds: attributes, lifecycle, value, and scores besides
INSERT INTO scheme_rule (scheme, segment, r_from, condition, description) VALUES ('mine', 'Fans', 3, 'satisfied >= 7 AND feels = ''good'' -- who likes us', 'satisfied, and not long ago'),
	('mine', 'Northern gold', NULL, 'region = ''north'' AND value_tier = ''A''', NULL), ('mine', 'Sleeping value', NULL, 'lifecycle IN (''lapsing'', ''inactive'') AND monetary >= 150', NULL), ('mine', 'Young', 4, 'born_late AND recency < 200', NULL);
INSERT INTO scheme_rule (scheme, segment, r_from) VALUES ('mine', 'Recent', 3);
INSERT INTO scheme_rule (scheme, segment) VALUES ('mine', 'Rest');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('mine', 'Never', 'true');
SELECT problem, segments FROM check_scheme('mine') WHERE problem <> 'overlapping';
SELECT position, segment, cell_count FROM segments(compile_scheme('mine'));
SELECT compile_scheme('mine')::text::jsonb -> 'conditions' -> 0 ->> 'condition' AS first, jsonb_array_length(compile_scheme('mine')::text::jsonb -> 'conditions') AS conditions, compile_scheme('mine')::text::segment_scheme = compile_scheme('mine') AS round_trip;
-- without a source nobody can tell: such rules do not apply
SELECT DISTINCT segment FROM rfm_scores(NULL::int, 'SELECT customer_id, ordered_on, amount FROM test_conditions.orders', '2025-12-31', 5, NULL, 'mine') ORDER BY 1;
SELECT '{"bins": 2, "segments": [{"segment": "a", "cells": [222]}], "conditions": [{"condition": "true", "position": 2}]}'::segment_scheme;
SELECT '{"bins": 2, "segments": [{"segment": "a", "cells": [222]}], "conditions": [{"condition": "", "position": 1}]}'::segment_scheme;
SELECT '{"bins": 2, "segments": [{"segment": "a", "cells": [222]}], "conditions": [{"condition": "true", "position": 1, "cells": [222, 222]}]}'::segment_scheme;

SELECT count(*) FROM create_source('shop', 'customer', 'orders', amount => 'amount', as_of => '2025-12-31', scheme => 'mine', attributes => '{region, born_late = born > ''1961-01-01''}');
SELECT count(*) FROM refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- the first rule that matches, written down
CREATE FUNCTION by_hand(as_of date) RETURNS TABLE (customer int, segment text) LANGUAGE sql AS $$
	SELECT p.customer, CASE WHEN p.r_score >= 3 AND c.satisfied >= 7 AND c.feels = 'good' THEN 'Fans' WHEN c.region = 'north' AND p.value_tier = 'A' AND p.r_score IS NOT NULL THEN 'Northern gold'
		WHEN p.lifecycle IN ('lapsing', 'inactive') AND p.monetary >= 150 THEN 'Sleeping value' WHEN p.r_score >= 4 AND c.born > '1961-01-01' AND p.recency < 200 THEN 'Young' WHEN p.r_score >= 3 THEN 'Recent' WHEN p.r_score IS NOT NULL THEN 'Rest' END
	FROM shop.profile_as_of(by_hand.as_of) p JOIN test_conditions.customer c ON c.id = p.customer $$;
SELECT count(*) AS customers, count(DISTINCT h.segment) AS segments, count(*) FILTER (WHERE p.segment IS DISTINCT FROM h.segment) AS differ, bool_and(p.segment_position IS NOT DISTINCT FROM s.position) AS position
FROM shop.customer_profile p JOIN by_hand('2025-12-31') h USING (customer) LEFT JOIN segments(compile_scheme('mine')) s ON s.segment = p.segment;
SELECT count(DISTINCT h.segment) AS segments, count(*) FILTER (WHERE p.segment IS DISTINCT FROM h.segment) AS differ FROM shop.profile_as_of('2025-03-31') p JOIN by_hand('2025-03-31') h USING (customer);
-- all that speaks of segments says the same
SELECT bool_and(s.customers = h.n) AS summary FROM shop.segment_summary s JOIN (SELECT coalesce(segment, '(unscored)') AS segment, count(*) AS n FROM by_hand('2025-12-31') GROUP BY 1) h USING (segment);
SELECT count(*) AS moves, bool_and(m.customers = h.n) AS migration FROM shop.segment_migration('2025-03-31', '2025-12-31') m JOIN (SELECT coalesce(a.segment, '(unscored)') AS from_segment, coalesce(b.segment, '(unscored)') AS to_segment, count(*) AS n
	FROM by_hand('2025-03-31') a JOIN by_hand('2025-12-31') b USING (customer) JOIN shop.customer_history USING (customer) GROUP BY 1, 2) h USING (from_segment, to_segment);
SELECT count(*) FILTER (WHERE v.customers <> m.customers) AS differ FROM segment_value_migration('shop', '2025-03-31', '2025-12-31') v JOIN shop.segment_migration('2025-03-31', '2025-12-31') m USING (from_segment, to_segment);
SELECT (d.segment = h.segment) AS now FROM profile_now_details('shop', 7) d, by_hand('2025-12-31') h WHERE h.customer = 7;
SELECT count(*) > 0 AS personas, bool_and(x.customers <= h.n) AS within FROM shop.segment_persona x JOIN (SELECT segment, count(*) AS n FROM by_hand('2025-12-31') GROUP BY 1) h USING (segment);
SELECT count(*) = (SELECT count(*) FROM by_hand('2025-12-31') WHERE segment IN ('Fans', 'Young')) AS audience, count(DISTINCT stratum) FROM select_audience('shop', 'Fans, Young');
-- entering and leaving the first segment, day by day
SELECT alter_source('shop', action_pause => 0);
SELECT count(*) AS events, count(*) FILTER (WHERE e.customer IS NULL OR d.customer IS NULL) AS differ
FROM (SELECT customer, action, since FROM generate_series(timestamp '2025-10-01', '2025-12-31', '1 day') g(day), LATERAL shop.due_actions(g.day::date) WHERE action IN ('entered_top', 'left_top')) d
	FULL JOIN (SELECT customer, CASE WHEN top THEN 'entered_top' ELSE 'left_top' END AS action, day AS since FROM (SELECT g.day::date AS day, h.customer, coalesce(h.segment = 'Fans', false) AS top, coalesce(lag(h.segment) OVER (PARTITION BY h.customer ORDER BY g.day) = 'Fans', false) AS was
		FROM generate_series(timestamp '2025-09-30', '2025-12-31', '1 day') g(day), LATERAL by_hand(g.day::date) h) x WHERE top <> was AND day > '2025-09-30') e USING (customer, action, since);
SELECT min(regexp_replace(reason, '^[A-Z][a-z ]+ now, |[A-Z][a-z ]+ the day before$', '…', 'g') COLLATE "C") AS reason FROM shop.due_actions('2025-12-31', 90) WHERE action = 'entered_top';
-- campaigns: the segment on the day before
CREATE TABLE contact AS SELECT id AS customer_id, 'spring'::text AS campaign, date '2025-04-01' AS sent, id % 3 > 0 AS treated FROM customer;
SELECT alter_source('shop', campaigns => 'contact', treated => 'treated');
SELECT count(*) FILTER (WHERE r.segment <> coalesce(h.segment, '(unscored)')) AS differ, count(DISTINCT r.segment) AS segments FROM shop.campaign_response r JOIN by_hand('2025-03-31') h USING (customer);
-- how well it tells: by the conditions that held on that day
SELECT e.segment, e.customers = x.n AS as_counted FROM evaluate_scheme('shop', 'mine', '2025-03-31', 90) e JOIN (SELECT CASE WHEN r_score(s) >= 3 AND c.satisfied >= 7 AND c.feels = 'good' THEN 'Fans' WHEN c.region = 'north' AND p.value_tier = 'A' THEN 'Northern gold' WHEN p.lifecycle IN ('lapsing', 'inactive') AND p.monetary >= 150 THEN 'Sleeping value'
		WHEN r_score(s) >= 4 AND c.born > '1961-01-01' AND p.recency < 200 THEN 'Young' WHEN r_score(s) >= 3 THEN 'Recent' ELSE 'Rest' END AS segment, count(*) AS n
	FROM shop.profile_as_of('2025-03-31') p JOIN customer c ON c.id = p.customer JOIN shop.customer_history h USING (customer), LATERAL (SELECT rfm_score(h.history, (SELECT rfm_fit(x.history, '2025-03-31', 5) FROM shop.customer_history x), '2025-03-31') AS s) s WHERE s IS NOT NULL GROUP BY 1) x USING (segment) ORDER BY e.position;
SELECT scheme, segments FROM compare_schemes('shop', '{mine,standard}', '2025-03-31', 90) WHERE scheme IN ('mine', 'standard') ORDER BY 1;
INSERT INTO scheme (name) VALUES ('other');
INSERT INTO scheme_rule (scheme, segment, condition) VALUES ('other', 'A', 'true'), ('other', 'B', NULL);
SELECT * FROM evaluate_scheme('shop', 'other', '2025-03-31');
SELECT count(*) FROM compare_schemes('shop', '{other}', '2025-03-31', 90);
SELECT string_agg(scheme, ', ' ORDER BY scheme COLLATE "C") FROM compare_schemes('shop', NULL, '2025-03-31', 90);

-- a stored profile follows attributes with the next refresh
SELECT alter_source('shop', materialize => true);
UPDATE customer SET satisfied = 9 - satisfied;
SELECT count(*) FROM refresh('shop');
SELECT count(*) FILTER (WHERE p.segment IS DISTINCT FROM h.segment) AS differ FROM shop.customer_profile p JOIN by_hand('2025-12-31') h USING (customer);
SELECT alter_source('shop', materialize => false);
-- other rules count from the next refresh on, and not before
UPDATE scheme_rule SET condition = 'satisfied < 3' WHERE scheme = 'mine' AND segment = 'Fans';
SELECT count(*) FILTER (WHERE p.segment IS DISTINCT FROM h.segment) AS differ FROM shop.customer_profile p JOIN by_hand('2025-12-31') h USING (customer);
SELECT count(*) FROM refresh('shop');
SELECT count(*) FILTER (WHERE (p.segment = 'Fans') IS DISTINCT FROM (p.r_score >= 3 AND c.satisfied < 3)) AS differ FROM shop.customer_profile p JOIN customer c ON c.id = p.customer WHERE p.r_score IS NOT NULL;
SELECT alter_source('shop', scheme => 'standard');
SELECT count(*) FILTER (WHERE segment = 'Fans') > 0 AS still FROM shop.customer_profile;
SELECT count(*) FROM refresh('shop');
SELECT count(*) FILTER (WHERE segment = 'Fans') AS gone, count(*) FILTER (WHERE segment = 'Champions') > 0 AS champions FROM shop.customer_profile;

-- what a condition may not do: nothing of anybody else's is run, neither for the owner nor for readers
CREATE FUNCTION evil(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'evil ran as %', current_user; END $$;
CREATE DOMAIN trap AS int CHECK (test_conditions.evil(VALUE));
CREATE TABLE secret (s text);
CREATE FUNCTION try(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
BEGIN
	UPDATE crm_profile.scheme_rule r SET condition = try.condition WHERE r.scheme = 'other' AND r.position = 1;
	PERFORM crm_profile.alter_source('shop', scheme => 'other');
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT try(c) FROM unnest(ARRAY['test_conditions.evil(1)', 'id::test_conditions.trap > 1', '1::test_conditions.trap > 1', 'EXISTS (SELECT FROM test_conditions.secret)', '(SELECT true)', 'random() < 0.5', 'set_config(''role'', ''x'', false) IS NULL', 'now() > ''2020-01-01''', 'query_to_xml(''SELECT 1'', true, true, '''') IS NULL', 'count(*) > 1', 'satisfied',
	'nothing_there', 'segment = ''A''', '1 / 0 = 1', 'generate_series(1, 2) > 1', 'row_number() OVER () > 1', 'born + satisfied > as_of - 9000', 'satisfied > 1 /* a remark', 'region LIKE ''n%'' OR region ~ ''^s''', 'tableoid > 0', 'xmin IS NOT NULL', 'born < date ''today''', 'born < '' Tomorrow 00:00''', '''NOW''::timestamp > born', 'born <> ALL (''{yesterday}'')', 'region <> ''today''', 'born < ''1970-01-01'' -- now']) WITH ORDINALITY t(c, n) ORDER BY n;
SELECT to_regclass('shop.source_probe') IS NULL AS nothing_left;
-- an attribute that a condition reads cannot be taken away unseen
UPDATE scheme_rule SET condition = 'born_late' WHERE scheme = 'other' AND position = 1;
SELECT alter_source('shop', scheme => 'other');
SELECT count(*) FROM refresh('shop');
SELECT alter_source('shop', attributes => '{region}');
-- readers: with their own rights
CREATE ROLE regress_conditions_reader;
GRANT USAGE ON SCHEMA test_conditions, shop TO regress_conditions_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_conditions_reader;
GRANT SELECT (id) ON customer TO regress_conditions_reader;
SET ROLE regress_conditions_reader;
SELECT count(segment) FROM shop.customer_profile;
RESET ROLE;
GRANT SELECT ON customer TO regress_conditions_reader;
SET ROLE regress_conditions_reader;
SELECT count(segment) > 0 AS seen FROM shop.customer_profile;
RESET ROLE;

SELECT drop_source('shop');
DELETE FROM scheme WHERE name IN ('mine', 'other');
DROP SCHEMA test_conditions CASCADE;
DROP ROLE regress_conditions_reader;
