-- What strangers' data and actions can do to the server: row types that change during a query, widths, triggers, operators, chosen keys, sizes
\getenv abs_srcdir PG_ABS_SRCDIR
SET datestyle = ISO;
CREATE SCHEMA safety;
SET search_path = safety, crm_profile, public;
SET client_min_messages = warning;

-- a record of as many columns as a query can have, all but one ignored: more than a table can have
CREATE FUNCTION wide_fit() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	model text;
BEGIN
	EXECUTE format('SELECT profile_fit(r, %L)::text FROM (SELECT %s FROM generate_series(1, 3) i) AS r',
		(SELECT jsonb_build_object('ignore', jsonb_agg('c' || i)) FROM generate_series(2, 1664) i), (SELECT string_agg(format('i AS c%s', i), ', ') FROM generate_series(1, 1664) i)) INTO model;
	RETURN model;
END $$;
SELECT m->'rows' AS rows, jsonb_array_length(m->'ignored') AS ignored, m->'attributes'->0->>'name' AS attribute, jsonb_array_length(m->'attributes') AS attributes FROM CAST(wide_fit() AS jsonb) m;

-- a type that a function alters between two rows
CREATE TYPE changing AS (a integer, b text);
CREATE FUNCTION next_row(i integer) RETURNS changing LANGUAGE plpgsql AS $$
DECLARE
	r changing;
BEGIN
	IF i = 3 THEN
		ALTER TYPE changing DROP ATTRIBUTE a;
		ALTER TYPE changing ADD ATTRIBUTE a integer;
	END IF;
	EXECUTE CASE WHEN i < 3 THEN 'SELECT (ROW($1, repeat(''word'', 10))::changing).*' ELSE 'SELECT (ROW(repeat(''word'', 10), $1)::changing).*' END USING i INTO r;
	RETURN r;
END $$;
SELECT profile_fit(next_row(i)) FROM generate_series(1, 5) i;
DROP TYPE changing CASCADE;
CREATE TYPE changing AS (a integer, b text);
CREATE FUNCTION next_row(i integer) RETURNS changing LANGUAGE plpgsql AS $$
DECLARE
	r changing;
BEGIN
	IF i = 3 THEN
		ALTER TYPE changing DROP ATTRIBUTE b;
		ALTER TYPE changing ADD ATTRIBUTE c double precision, ADD ATTRIBUTE b text;
	END IF;
	EXECUTE CASE WHEN i < 3 THEN 'SELECT (ROW($1, repeat(''word'', 10))::changing).*' ELSE 'SELECT (ROW($1, 1.5, repeat(''word'', 10))::changing).*' END USING i INTO r;
	RETURN r;
END $$;
SELECT attribute_relevance(next_row(i), i > 2) FROM generate_series(1, 5) i;
DROP TYPE changing CASCADE;
-- if the attributes are as before, the fit goes on
CREATE TYPE changing AS (a integer, b text);
CREATE FUNCTION next_row(i integer) RETURNS changing LANGUAGE plpgsql AS $$
DECLARE
	r changing;
BEGIN
	IF i = 3 THEN
		ALTER TYPE changing DROP ATTRIBUTE a;
	END IF;
	EXECUTE CASE WHEN i < 3 THEN 'SELECT (ROW($1, repeat(''word'', 10))::changing).*' ELSE 'SELECT (ROW(repeat(''word'', 10))::changing).*' END USING i INTO r;
	RETURN r;
END $$;
SELECT attribute, counts, missing FROM profile_attributes((SELECT profile_fit(next_row(i), '{"ignore": ["a"]}') FROM generate_series(1, 5) i));
DROP TYPE changing CASCADE;

-- one whose table is analyzed meanwhile has the columns that it had
CREATE TABLE analyzed AS SELECT i, i % 7 AS a, 'w' || i % 3 AS b FROM generate_series(1, 50) i;
CREATE FUNCTION analyzing(i integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF i = 20 THEN
		EXECUTE 'ANALYZE analyzed';
	END IF;
	RETURN i % 2 = 0;
END $$;
SELECT cardinality(attribute_relevance(r, analyzing(r.i))) FROM analyzed r;
DROP TABLE analyzed;
DROP FUNCTION analyzing;
-- records that are kept until the end
CREATE TYPE changing AS (a integer, b text);
CREATE FUNCTION next_row(i integer) RETURNS changing LANGUAGE plpgsql AS $$
DECLARE
	r changing;
BEGIN
	IF i = 300 THEN
		ALTER TYPE changing DROP ATTRIBUTE a;
		ALTER TYPE changing ADD ATTRIBUTE a integer;
	END IF;
	EXECUTE CASE WHEN i < 300 THEN 'SELECT (ROW($1, repeat(''word'', 10))::changing).*' ELSE 'SELECT (ROW(repeat(''word'', 10), $1)::changing).*' END USING i % 5, i INTO r;
	RETURN r;
END $$;
SELECT clv_fit(format('{2025-01-01: 5, 2025-%s-01: 5, 2025-%s-05: 7}', 2 + i % 5, 8 + i % 4)::purchase_history, '2025-12-31', NULL, NULL, NULL, next_row(i)) FROM generate_series(1, 400) i;
DROP TYPE changing CASCADE;

-- arguments that are the same in all rows, and are not
SELECT count(*), count(c.total) FROM unnest((SELECT crm_profile_internal.persona_counts(i::text, '{x}', '{1,2,3,4}', i > 16, i::float8) FROM generate_series(1, 40) i)) c;
SELECT count(*), count(c.total) FROM unnest((SELECT crm_profile_internal.persona_counts(i::text, '{x}', '{1,2,3,4}', i <= 16, i::float8) FROM generate_series(1, 40) i)) c;
SELECT crm_profile_internal.segment_moves(x.h, m.rfm, '2025-06-30', m.rfm, '2025-12-31', CASE WHEN x.i > 1 THEN compile_scheme('standard') END, NULL, NULL, NULL, NULL, NULL)
FROM (SELECT i, '{2025-01-01: 5}'::purchase_history AS h FROM generate_series(1, 3) i) x, (SELECT rfm_fit('{2025-01-01: 5}'::purchase_history, '2025-12-31') AS rfm) m;
CREATE TABLE narrow AS SELECT i % 7 AS a FROM generate_series(1, 200) i;
CREATE TABLE wide AS SELECT i % 7 AS a, i % 5 AS b, i % 3 AS c, 'w' || i % 4 AS d, ARRAY['x' || i % 3] AS e FROM generate_series(1, 200) i;
SELECT group_weights(k::text, p, (SELECT profile_fit(w) FROM wide w)) FROM (SELECT row_number() OVER () AS k, profile(n, (SELECT profile_fit(n) FROM narrow n)) AS p FROM narrow n) x;
DROP TABLE narrow, wide;
-- or that differ between the states of one aggregate
CREATE TABLE part (part integer, i integer) PARTITION BY LIST (part);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part SELECT 1 + i % 2, i FROM generate_series(1, 100) i;
CREATE FUNCTION number_or_word(part integer, i integer) RETURNS record LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN part = 1 THEN ROW(i::float8) ELSE ROW('w' || i % 7) END;
END $$;
SET enable_partitionwise_aggregate = on;
SELECT crm_profile_internal.persona_counts('s', '{x}', '{1,2,3,4}', true, number_or_word(part, i)) FROM part;
SELECT crm_profile_internal.persona_counts('s', '{x}', '{1,2,3,4}', true, number_or_word(3 - part, i)) FROM part;
SELECT crm_profile_internal.persona_counts('s', '{x}', '{1,2,3,4}', part = 1, i) FROM part;
SELECT crm_profile_internal.persona_fifths(i, number_or_word(part, i)) FROM part;
SELECT rfm_fit('{2025-01-01: 5}'::purchase_history, date '2025-12-31' - part) FROM part;
SELECT attribute_relevance(number_or_word(part, i), i % 3 = 0) FROM part;
SELECT profile_fit(number_or_word(part, i)) FROM part;
SELECT clv_fit('{2025-01-01: 5, 2025-02-01: 5}', '2025-12-31', NULL, NULL, NULL, number_or_word(part, i)) FROM part;
RESET enable_partitionwise_aggregate;
DROP TABLE part;
DROP FUNCTION number_or_word;
-- a name goes to the leader as it is, whatever the client's encoding
CREATE TABLE part AS SELECT i % 7 AS a FROM generate_series(1, 5000) i;
ALTER TABLE part SET (parallel_workers = 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET client_encoding = LATIN1;
SELECT DISTINCT c.attribute = U&'gr\00f6\00dfe' AS same FROM unnest((SELECT crm_profile_internal.persona_counts('s', ARRAY[U&'gr\00f6\00dfe'], '{1,2,3,4}', true, a) FROM part)) c;
RESET client_encoding;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
DROP TABLE part;
-- models that are sealed, as a constant, which a function gets only once
CREATE TABLE people AS SELECT i % 7 AS a, i % 7 > 3 AS t FROM generate_series(1, 600) i;
DO $$
DECLARE
	known CONSTANT profile_model := (SELECT profile_fit(r) FROM (SELECT a FROM people) r);
	card CONSTANT match_model := (SELECT match_fit(profile(r, known), t) FROM people p, LATERAL (SELECT p.a) r);
	sealed CONSTANT crm_profile_internal.sealed_models := crm_profile_internal.seal_models(known, card);
BEGIN
	RAISE WARNING 'as unsealed: %', (SELECT bool_and(crm_profile_internal.profile(r, sealed) = profile(r, known) AND crm_profile_internal.match_score(profile(r, known), sealed) = match_score(profile(r, known), card)
			AND crm_profile_internal.match_lift(profile(r, known), sealed) = match_lift(profile(r, known), card) AND crm_profile_internal.match_reasons(profile(r, known), sealed, 3) = match_reasons(profile(r, known), card, 3))
		FROM people p, LATERAL (SELECT p.a) r);
END $$;
DROP TABLE people;
-- what is kept from row to row does not stay behind in a row: thresholds that are no amounts; labels that are other ones the next time
SELECT DISTINCT crm_profile_internal.value_decile('{2025-01-01: 5}', '2025-12-31', false, ARRAY['-Infinity', 1 + 0.123456789 * (i / i), repeat('9', 300)::numeric + 0 * i]) AS decile FROM generate_series(1, 100) i;
DO $$
DECLARE
	h CONSTANT purchase_history := '{2025-01-01: 5}';
	rfm CONSTANT rfm_model := (SELECT rfm_fit(h, '2025-12-31'));
	scheme CONSTANT segment_scheme := compile_scheme('standard');
	clv CONSTANT clv_model := '{"model": "bg/nbd", "parameters": [0.243, 4.414, 0.793, 2.426]}';
	here CONSTANT text := crm_profile_internal.segment_on_day(h, rfm, '2025-12-31', scheme, 90, clv);
	labels text[];
	found text[];
	one text;
BEGIN
	FOREACH labels SLICE 1 IN ARRAY ARRAY[[here], ['none'], [here]] LOOP
		one := crm_profile_internal.segment_among(h, rfm, '2025-12-31', scheme, 90, clv, labels);
		found := array_append(found, coalesce((one = here)::text, 'null'));
	END LOOP;
	RAISE WARNING '% among itself, none, itself: %', here, found;
END $$;
-- a card with more bins than fit
CREATE TABLE many AS SELECT i, i % 2 = 0 AS t, (SELECT array_agg('m' || j) FROM generate_series(1, 32) j WHERE (i % 2 = 0) <> (i % (j + 5) = 0)) AS s FROM generate_series(1, 400) i;
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE wider AS SELECT t, %s FROM many', string_agg(format('s AS s%s', i), ', ')) FROM generate_series(1, 130) i);
END $$;
SELECT match_fit(profile(w, m), t) FROM wider w, (SELECT profile_fit(w, '{"ignore": ["t"]}') AS m FROM wider w) f;
DROP TABLE many, wider;
-- corrections whose number is chosen, with histories and lifecycles that do not go together
SELECT crm_profile_internal.label_changes('{2025-01-01: 5}', NULL, '{"{2025-01-01: 5}",NULL}', '{active}', '2025-06-30', 5, NULL, false, compile_scheme('standard'));
-- a second query with other columns than the first
SELECT crm_profile_internal.order_faults(NULL::integer, 'SELECT 1, date ''2025-01-01'', 10.5 FROM generate_series(1, 3)', 'SELECT 1, date ''2025-01-01'', 5', '2025-06-30');
SELECT crm_profile_internal.order_faults(NULL::text, 'SELECT ''one''::text, date ''2025-01-01'', 10.5 FROM generate_series(1, 3)', 'SELECT 7::bigint, date ''2025-01-01'', 10.5', '2025-06-30');
SELECT crm_profile_internal.order_faults(NULL::integer, 'SELECT 1, date ''2025-01-01'', 10.5, 1.5 AS cost FROM generate_series(1, 3)', 'SELECT 1, date ''2025-01-01'', 10.5', '2025-06-30');
SELECT crm_profile_internal.order_faults(NULL::integer, 'SELECT 1, date ''2025-01-01'', 10.5, ''five''::text AS lines', NULL, '2025-06-30');
SELECT facts -> 'split orders' AS split, facts -> 'repeated totals' AS repeated FROM crm_profile_internal.order_faults(NULL::integer, 'SELECT 1, date ''2025-01-01'', 10.5, 5::bigint AS lines', NULL, '2025-06-30');

-- the trigger of the scheme tables on another table, with columns of the same names
CREATE TABLE scheme (name integer, built_in text, scheme integer, position text);
CREATE TRIGGER mine BEFORE INSERT ON scheme FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.guard_schemes('name');
INSERT INTO scheme VALUES (1, 'yes', 2, NULL);
CREATE TRIGGER mine_truncate BEFORE TRUNCATE ON scheme FOR EACH STATEMENT EXECUTE FUNCTION crm_profile_internal.guard_schemes('name');
TRUNCATE scheme;
DROP TABLE scheme;
-- rules without a position are numbered in order
BEGIN;
INSERT INTO crm_profile.scheme (name, bins) VALUES ('mine', 2);
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, r_to) VALUES ('mine', 'Here', 2, 2), ('mine', 'Gone', 1, 1), ('mine', 'Never', 1, 2);
SELECT position, segment FROM crm_profile.scheme_rule WHERE scheme = 'mine' ORDER BY position;
ROLLBACK;

-- operators in the search_path with another result type than those of pg_catalog
CREATE SCHEMA safety_evil;
CREATE FUNCTION safety_evil.minus(bigint, bigint) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.repeat(''x'', 100)';
CREATE OPERATOR safety_evil.- (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = safety_evil.minus);
SET search_path = safety, crm_profile, safety_evil, pg_catalog;
\set SHOW_CONTEXT never
SELECT * FROM match_prospects(NULL::int, 'SELECT i, i % 3 = 0 AS is_target, i % 7 AS a FROM generate_series(1, 500) i', 'SELECT -i, i % 7 AS a FROM generate_series(1, 100) i');
\set SHOW_CONTEXT errors
SET search_path = safety, crm_profile, public;
DROP SCHEMA safety_evil CASCADE;

-- helpers that anybody can call, with what is no type, no table, not one's own, no such query
SELECT crm_profile_internal.base_type(0), crm_profile_internal.base_type(4294967295), crm_profile_internal.key_equality(0::regtype), crm_profile_internal.trusted_type(1259) IS NULL;
SELECT crm_profile_internal.look_at('SELECT 1, 2');
SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT 1 AS customer, current_date AS day, 1 AS amount', 4294967295::regclass);
CREATE TABLE kept (customer int, history purchase_history);
CREATE ROLE regress_crm_nobody;
GRANT USAGE ON SCHEMA safety TO regress_crm_nobody;
BEGIN;
SET LOCAL ROLE regress_crm_nobody;

SELECT crm_profile_internal.store_purchase_histories(NULL::int, 'SELECT 1 AS customer, current_date AS day, 1 AS amount', 'kept');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_crm_nobody;
SELECT crm_profile_internal.rewrite_tables('{kept}');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_crm_nobody;
SELECT crm_profile_internal.lock_relations('{kept}');
ROLLBACK;
REVOKE USAGE ON SCHEMA safety FROM regress_crm_nobody;
DROP ROLE regress_crm_nobody;
DROP TABLE kept;
-- every function with all of its arguments NULL, and with each of them NULL in turn: no crash, and nothing internal
CREATE TABLE sample (type text PRIMARY KEY, value text);
INSERT INTO sample VALUES ('text', ''), ('text[]', '{}'), ('name', 'customer'), ('name[]', '{}'), ('integer', '5'), ('bigint', '5'), ('numeric', '5'), ('double precision', '0.5'), ('boolean', 'f'), ('date', '2025-06-30'),
	('interval', '1 year'), ('jsonb', '{}'), ('bytea', ''), ('regclass', 'sample'), ('anyelement', '5'), ('crm_profile.purchase_history', '{2025-01-01: 5}'), ('numeric[]', '{1,2}'), ('double precision[]', '{0.25,4.4,0.8,2.4}');
CREATE FUNCTION with_nulls(OUT calls integer, OUT faults text[]) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	call text;
BEGIN
	calls := 0;
	FOR f IN SELECT p.oid::regproc AS name, array_agg(s.value ORDER BY a.place) AS given,
			array_agg(CASE WHEN t.type IN ('anyelement', 'anycompatible') THEN 'integer' WHEN t.type IN ('anyarray', 'anycompatiblearray') THEN 'integer[]' WHEN t.type = 'record' THEN 'safety.sample' ELSE t.type END ORDER BY a.place) AS types
		FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY a(type, place), LATERAL (SELECT format_type(a.type, NULL) AS type) t LEFT JOIN sample s USING (type)
		WHERE p.pronamespace::regnamespace IN ('crm_profile', 'crm_profile_internal') AND p.prokind = 'f' AND p.proname <> 'refresh_progress'
		GROUP BY p.oid HAVING bool_and(t.type NOT IN ('internal', 'cstring', 'anyenum')) ORDER BY p.oid::regprocedure::text COLLATE "C" LOOP
		FOR missing IN 0 .. cardinality(f.types) LOOP
			SELECT format('SELECT count(t::text) FROM %s(%s) t', f.name, string_agg(format('%L::%s', CASE WHEN missing NOT IN (0, a.place) THEN a.value END, a.type), ', ' ORDER BY a.place)) INTO call
				FROM unnest(f.given, f.types) WITH ORDINALITY a(value, type, place);
			calls := calls + 1;
			BEGIN
				EXECUTE call;
				RAISE EXCEPTION 'leaves nothing behind';
			EXCEPTION WHEN OTHERS THEN
				IF SQLSTATE = 'XX000' THEN
					faults := faults || format('%s: %s', call, SQLERRM);
				END IF;
			END;
		END LOOP;
	END LOOP;
END $$;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = error;
SELECT calls > 1000 AS all_called, faults FROM with_nulls();
SET client_min_messages = warning;
DROP FUNCTION with_nulls();
DROP TABLE sample;
-- the same of aggregates, over groups, without rows and as window functions
CREATE TABLE sample (type text PRIMARY KEY, value text);
INSERT INTO sample VALUES ('text', ''), ('text[]', '{}'), ('integer', '5'), ('bigint', '5'), ('numeric', '5'), ('double precision', '0.5'), ('boolean', 'f'), ('date', '2025-06-30'), ('interval', '1 year'), ('jsonb', '{}'),
	('"any"', '5'), ('anyelement', '5'), ('crm_profile.purchase_history', '{2025-01-01: 5}'), ('numeric[]', '{1,2}'), ('double precision[]', '{0.25,4.4,0.8,2.4}');
CREATE FUNCTION with_nulls(OUT calls integer, OUT faults text[]) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	form text;
	call text;
BEGIN
	calls := 0;
	FOR f IN SELECT p.oid::regproc AS name, array_agg(s.value ORDER BY a.place) AS given,
			array_agg(CASE WHEN t.type IN ('anyelement', '"any"') THEN 'integer' WHEN t.type = 'record' THEN 'safety.sample' ELSE t.type END ORDER BY a.place) AS types
		FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY a(type, place), LATERAL (SELECT format_type(a.type, NULL) AS type) t LEFT JOIN sample s USING (type)
		WHERE p.pronamespace::regnamespace IN ('crm_profile', 'crm_profile_internal') AND p.prokind = 'a'
		GROUP BY p.oid ORDER BY p.oid::regprocedure::text COLLATE "C" LOOP
		FOREACH form IN ARRAY '{%s(%s),%s(%s) FILTER (WHERE i > 5),%s(%s) OVER (ORDER BY i)}'::text[] LOOP
			FOR missing IN 0 .. cardinality(f.types) LOOP
				SELECT 'SELECT count(t::text) FROM (SELECT ' || format(form, f.name, string_agg(CASE WHEN missing = 0 THEN 'NULL' WHEN missing = a.place THEN format('CASE WHEN i = 2 THEN %L END', a.value) ELSE format('%L', a.value) END
					|| '::' || a.type, ', ' ORDER BY a.place)) || ' AS t FROM generate_series(1, 3) i) x' INTO call FROM unnest(f.given, f.types) WITH ORDINALITY a(value, type, place);
				calls := calls + 1;
				BEGIN
					EXECUTE call;
				EXCEPTION WHEN OTHERS THEN
					IF SQLSTATE = 'XX000' THEN
						faults := faults || format('%s: %s', call, SQLERRM);
					END IF;
				END;
			END LOOP;
		END LOOP;
	END LOOP;
END $$;
SET client_min_messages = error;
SELECT calls > 1000 AS all_called, faults FROM with_nulls();
SET client_min_messages = warning;
DROP FUNCTION with_nulls();
DROP TABLE sample;
-- one that is strict, and given a NULL that the planner does not know
SELECT count(*) FROM crm_profile_internal.draw_audience('SELECT ''one''::text, ''all''::text', 0.5, (SELECT NULL::text), 0.1);
-- keys that are arrays: the text of an array is not that of an element
SELECT crm_profile_internal.persona_fifths(k, i) FROM generate_series(1, 9) i, LATERAL (SELECT ARRAY['[2025-01-01,2025-01-02]'::tstzrange] || NULL AS k) x;
SELECT crm_profile_internal.persona_fifths('{}'::box[], i) FROM generate_series(1, 9) i;
-- a population of damaged bytes: refused, or taken for another, and never read past its end
DO $$
DECLARE
	good CONSTANT bytea[] := (SELECT crm_profile_internal.population_fit(h, '2025-12-31', NULL, false, 5) FROM (SELECT crm_profile.purchase_history_agg(date '2025-01-01' + (i * 7 % 300 + k * 11), (i * 13 % 977)::numeric / 4) AS h
		FROM generate_series(1, 600) i, generate_series(1, 1 + i % 3) k GROUP BY i) x);
	bad bytea[];
	part integer;
	at integer;
	refused integer := 0;
BEGIN
	PERFORM setseed(0.25);
	FOR round IN 1 .. 1000 LOOP
		bad := good;
		part := CASE WHEN random() < 0.5 THEN 1 ELSE 1 + floor(random() * cardinality(bad)) END;
		at := floor(random() * length(bad[part]));
		bad[part] := CASE WHEN random() < 0.2 THEN substr(bad[part], 1, at) WHEN random() < 0.1 THEN bad[part] || '\x8080808080808080808001' ELSE set_byte(bad[part], at, (ARRAY[0, 1, 127, 128, 255])[1 + floor(random() * 5)]) END;
		BEGIN
			PERFORM crm_profile_internal.population_models(bad);
		EXCEPTION WHEN data_corrupted OR invalid_parameter_value THEN
			refused := refused + 1;
		END;
		BEGIN
			PERFORM crm_profile_internal.population_change(bad, NULL, '{2025-05-05: 7.25}', '2025-12-31', NULL, false, 5);
		EXCEPTION WHEN invalid_parameter_value THEN
			refused := refused + 1;
		END;
	END LOOP;
	RAISE WARNING 'some were refused: %', refused > 150;
END $$;
RESET jit;
RESET max_parallel_workers_per_gather;
-- one that loses a customer it never had, of more decimals than its own
SELECT crm_profile_internal.population_change(p, '{2025-05-05: 7.1234}', '{2025-05-05: 7.1234}', '2025-12-31', NULL, false, 5)
FROM (SELECT crm_profile_internal.population_fit('{2025-05-05: 7.25}'::purchase_history, '2025-12-31', NULL, false, 5) AS p) x;
-- more money than 128 bits hold
SELECT crm_profile_internal.profile_cells('active', 1, 1, 1, 1, NULL, 1, 9e30) FROM generate_series(1, 40);

-- chosen keys: they collide in a hash without a seed, where each row compares with all of them; now they take no longer than others
CREATE TABLE chosen (customer bigint);
\set load '\\copy chosen FROM PROGRAM ''gzip -dc "' :abs_srcdir '/data/chosen_keys.csv.gz"'' CSV HEADER'
:load
CREATE TABLE purchase AS SELECT c.*, day FROM (SELECT customer, row_number() OVER (ORDER BY customer) AS other FROM chosen) c, generate_series(date '2024-01-01', '2024-05-29', '1 day') AS day;
CREATE FUNCTION seconds(query text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	EXECUTE query;
	RETURN extract(epoch FROM clock_timestamp() - began);
END $$;
SELECT count(*), min(frequency(history)), max(frequency(history)) FROM collect_purchase_histories(NULL::bigint, 'SELECT customer, day, 10 FROM purchase');
SELECT bulk, least(seconds(format(q, 'customer')), seconds(format(q, 'customer'))) < 0.2 + 5 * greatest(seconds(format(q, 'other')), seconds(format(q, 'other'))) AS as_fast_as_others
FROM (VALUES ('histories', 'SELECT count(*) FROM collect_purchase_histories(NULL::bigint, ''SELECT %s, day, 10 FROM purchase'')'),
	('scores', 'SELECT count(*) FROM rfm_scores(NULL::bigint, ''SELECT %s, day, 10 FROM purchase'', ''2025-01-01'')')) v (bulk, q);

-- one array of 200000 members, each twice: each is counted once, without a minute that cannot be cancelled
SET statement_timeout = '20s';
SELECT counts, cardinality("values") AS kept, other FROM profile_attributes((SELECT profile_fit(r, '{"max_values": 2, "min_count": 1}') FROM (SELECT array_agg('m' || i % 100000) AS s FROM generate_series(1, 200000) i) r));
SELECT r.rows, r.targets FROM (SELECT attribute_relevance(s, i = 1) AS r FROM generate_series(1, 2) i, LATERAL (SELECT array_agg('m' || j % 100000) AS s FROM generate_series(1, 200000) j) x) y, LATERAL (SELECT (r).*) r;
RESET statement_timeout;

DROP TABLE chosen, purchase;
DROP SCHEMA safety CASCADE;
