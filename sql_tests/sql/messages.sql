-- Messages: what people gave is repeated short, numbers that are none or too large are told as such, and where notices are unwanted there are none
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET datestyle = ISO;
\set SHOW_CONTEXT never
CREATE SCHEMA told;
SET search_path = told, crm_profile, public;
CREATE TABLE person (id int PRIMARY KEY, age int, region text);
INSERT INTO person SELECT i, 20 + i % 40, chr(97 + i % 3) FROM generate_series(1, 60) i;
CREATE TABLE purchase (person_id int, day date, amount numeric);
INSERT INTO purchase SELECT 1 + i % 50, date '2025-01-01' + i % 100, i % 17 FROM generate_series(1, 300) i;
SELECT count(*) FROM create_source('kept', 'person', 'purchase', order_customer => 'person_id', as_of => '2025-05-01', attributes => '{age,region}');
SELECT customers FROM refresh('kept');

-- every function, with a text of 70 000 characters in one argument after the other: in what is told, not one sentence is longer than a screen
CREATE TABLE sample (type text PRIMARY KEY, value text);
INSERT INTO sample VALUES ('text', 'kept'), ('text[]', '{id}'), ('name', 'customer'), ('name[]', '{}'), ('integer', '5'), ('bigint', '5'), ('numeric', '5'), ('double precision', '0.5'), ('boolean', 'f'), ('date', '2025-05-01'),
	('interval', '1 year'), ('jsonb', '{}'), ('bytea', ''), ('regclass', 'sample'), ('anyelement', '5'), ('crm_profile.purchase_history', '{2025-01-01: 5}'), ('numeric[]', '{1,2}'), ('double precision[]', '{0.25,4.4,0.8,2.4}');
CREATE FUNCTION long_arguments(type text) RETURNS SETOF text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	long CONSTANT text := repeat('xyz ', 17500);
BEGIN
	RETURN QUERY SELECT v FROM unnest(CASE type WHEN 'text' THEN ARRAY[long, 'SELECT ' || quote_literal(long), jsonb_build_object(long, 1)::text, 'kept'] WHEN 'text[]' THEN ARRAY[ARRAY[long]::text, ARRAY['id', 'age = ' || long]::text]
		WHEN 'cstring' THEN ARRAY[long] WHEN 'jsonb' THEN ARRAY[jsonb_build_object(long, 1), to_jsonb(long), jsonb_build_object('kinds', jsonb_build_object(long, long)), jsonb_build_object('kinds', jsonb_build_object('id', long))]::text[] END) v;
END $$;
CREATE FUNCTION long_messages(OUT calls integer, OUT faults text[]) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	call text;
	message text;
	detail text;
	hint text;
BEGIN
	calls := 0;
	FOR f IN SELECT p.oid::regproc AS name, p.pronargdefaults AS defaults, array_agg(s.value ORDER BY a.place) AS given,
			array_agg(CASE WHEN t.type IN ('anyelement', 'anycompatible') THEN 'integer' WHEN t.type IN ('anyarray', 'anycompatiblearray') THEN 'integer[]' WHEN t.type = 'record' THEN 'told.sample' ELSE t.type END ORDER BY a.place) AS types
		FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY a(type, place), LATERAL (SELECT format_type(a.type, NULL) AS type) t LEFT JOIN sample s USING (type)
		WHERE p.pronamespace = 'crm_profile'::regnamespace AND p.prokind = 'f' AND p.proname <> 'refresh_progress'
		GROUP BY p.oid HAVING bool_and(t.type NOT IN ('internal', 'anyenum')) ORDER BY p.oid::regprocedure::text COLLATE "C" LOOP
		-- those behind it that need not be given are left out
		FOR call IN SELECT format('SELECT count(t::text) FROM %s(%s) t', f.name, (SELECT string_agg(format('%L::%s', CASE WHEN a.place = n THEN long ELSE f.given[a.place] END, f.types[a.place]), ', ' ORDER BY a.place)
				FROM generate_series(1, greatest(n, cardinality(f.types) - f.defaults)) a(place)))
			FROM generate_subscripts(f.types, 1) n, long_arguments(f.types[n]) long LOOP
			calls := calls + 1;
			BEGIN
				EXECUTE call;
				RAISE EXCEPTION 'leaves nothing behind';
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
				IF greatest(length(message), length(detail), length(hint)) > 1000 THEN
					faults := faults || regexp_replace(format('%s: %s %s %s', call, message, detail, hint), '(xyz )+', 'xyz … ', 'g');
				END IF;
			END;
		END LOOP;
	END LOOP;
END $$;
SET client_min_messages = error;
SELECT calls > 500 AS all_called, faults FROM long_messages();
SET client_min_messages = warning;
SELECT crm_profile_internal.short('abcdefghi', 9), crm_profile_internal.short('abcdefghijkl', 9);
-- without half of a character
SELECT profile_fit(p, jsonb_build_object(repeat('x', 63) || repeat('ü', 40), 1)) FROM person p;

-- so are numbers of many digits, and limits are named
SELECT costly_customers('kept', 1e300);
SELECT campaign_plan('kept', 10, 1e300);
SELECT campaign_plan('kept', -1e300, 1);
-- numbers in options
SELECT profile_fit(p, '{"max_values": 2.5}') FROM person p;
SELECT profile_fit(p, '{"max_values": 1e400}') FROM person p;
SELECT profile_fit(p, '{"min_count": -1}') FROM person p;
SELECT profile_fit(p, '{"min_count": 1e30}') FROM person p;
SELECT profile_fit(p, '{"weights": {"age": 1e400}}') FROM person p;
SELECT profile_fit(p, '{"ranges": {"age": [0, 1e400]}}') FROM person p;
SELECT profile_fit(p, '{"ranges": {"age": [0, 1e-400]}}') FROM person p;
SELECT crm_profile.alter_source('kept', attribute_options => '{"special": {"age": [1e400]}}');
SELECT crm_profile.alter_source('kept', attribute_options => '{"breaks": {"age": [1e400, 2e400]}}');

-- no notices until the function returns, and no warnings where the session wants none
CREATE FUNCTION hushed() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE NOTICE 'a notice before';
	PERFORM crm_profile_internal.no_notices();
	RAISE NOTICE 'a notice after';
	RAISE WARNING 'a warning after';
	RETURN current_setting('client_min_messages');
END $$;
SET client_min_messages = notice;
SELECT hushed(), current_setting('client_min_messages') AS then;
SET client_min_messages = error;
SELECT hushed(), current_setting('client_min_messages') AS then;
SET client_min_messages = warning;
SELECT hushed(), current_setting('client_min_messages') AS then;
SELECT crm_profile.drop_source('kept');
DROP SCHEMA told CASCADE;
