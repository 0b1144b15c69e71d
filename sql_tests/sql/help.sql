-- help() and describe_source(): their output fits a terminal, and everything that they tell people to run runs
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA desk;
SET search_path = desk;
CREATE TABLE customers (id bigint PRIMARY KEY, town text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, ordered_at timestamp, amount numeric(9,2));
CREATE TABLE leads (id bigint PRIMARY KEY, town text);
INSERT INTO customers SELECT i, (ARRAY['Bari', 'Bern'])[1 + i % 2] FROM generate_series(1, 200) i;
INSERT INTO leads SELECT i, (ARRAY['Bari', 'Bern'])[1 + i % 2] FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, 1 + i * 7907 % 199, timestamp '2023-01-01' + i % 900 * interval '1 day', 10 + i % 90 FROM generate_series(1, 2000) i;
CREATE FUNCTION runs(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query;
	RETURN 'runs';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;

SELECT crm_profile.help() LIMIT 4;
SELECT max(length(l)) <= 80 AS fits, count(*) < 45 AS one_screen FROM crm_profile.help() l;
-- every example runs, in the order in which it is shown
SELECT topic, runs(example) FROM crm_profile_internal.help_topics() WHERE example NOT LIKE '%create_source%' AND example NOT LIKE '%shop%';
SELECT count(*) FROM crm_profile.create_source('shop', 'customers', 'orders', prospects => 'leads', attributes => '{town}', as_of => '2025-06-20');
SELECT topic, runs(example) FROM crm_profile_internal.help_topics() WHERE example LIKE '%shop%' AND example NOT LIKE '%create_source%';
SELECT max(length(l)) <= 80 AS fits, bool_or(l LIKE 'segment_label%') AS named, bool_or(l LIKE '%-- %') AS explained FROM crm_profile.help('segment') l;
SELECT crm_profile.help('forget_customer');
SELECT crm_profile.help('100% %s \ _x');
-- every function has help
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'crm_profile'::regnamespace AND p.proname ~ '^[cs]' AND NOT EXISTS (SELECT FROM crm_profile.help(p.proname) l WHERE l ILIKE '%' || p.proname || '%');

SELECT jsonb_object_keys(d) FROM crm_profile.describe_source('shop') d;
SELECT v ->> 'name' AS view, v ->> 'grain' AS grain, jsonb_array_length(v -> 'columns') > 1 AS columns, v -> 'questions' IS NOT NULL AS questions FROM jsonb_array_elements(crm_profile.describe_source('shop') -> 'views') v;
-- every column is described, and every query of a question runs and answers
SELECT v ->> 'name' AS view, c ->> 'name' AS mute FROM jsonb_array_elements(crm_profile.describe_source('shop') -> 'views') v, jsonb_array_elements(v -> 'columns') c WHERE c ->> 'comment' IS NULL AND v ->> 'name' <> 'customer_attributes';
SELECT v ->> 'name' AS view, q ->> 'question' AS question, runs(q ->> 'sql') FROM jsonb_array_elements(crm_profile.describe_source('shop') -> 'views') v, jsonb_array_elements(v -> 'questions') q;
-- each reader sees what that reader may see
CREATE ROLE regress_help_reader;
GRANT USAGE ON SCHEMA shop TO regress_help_reader;
GRANT SELECT ON shop.segment_summary_details TO regress_help_reader;
SET ROLE regress_help_reader;
SELECT v ->> 'name' AS view FROM jsonb_array_elements(crm_profile.describe_source('shop') -> 'views') v;
SELECT crm_profile.describe_source('nowhere');
SELECT crm_profile.describe_source(NULL);
RESET ROLE;
SELECT crm_profile.drop_source('shop');
DROP OWNED BY regress_help_reader;
DROP ROLE regress_help_reader;
DROP SCHEMA desk CASCADE;
