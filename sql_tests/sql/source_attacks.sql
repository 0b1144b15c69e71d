-- Nobody gains rights through a source: objects planted beside it, in place of its parts, or in a definition
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE ROLE regress_crm_owner;
CREATE ROLE regress_crm_thief;
CREATE ROLE regress_crm_boss;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_crm_owner, regress_crm_thief', current_database()); END $$;
CREATE SCHEMA data;
GRANT USAGE ON SCHEMA data TO PUBLIC;
CREATE TABLE data.customer (id int PRIMARY KEY, region text);
CREATE TABLE data.orders (customer_id int, day date, amount numeric);
INSERT INTO data.customer SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 10) i;
INSERT INTO data.orders SELECT 1 + i % 8, date '2025-01-01' + i, i FROM generate_series(1, 100) i;
GRANT SELECT ON data.customer, data.orders TO regress_crm_owner, regress_crm_thief;
-- the thief's code reports whose rights it runs with
CREATE SCHEMA thief AUTHORIZATION regress_crm_thief;
GRANT USAGE ON SCHEMA thief TO PUBLIC;
SET ROLE regress_crm_thief;
CREATE FUNCTION thief.take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'taken, as %', current_user; RETURN NEW; END $$;
CREATE FUNCTION thief.taken() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'taken, as %', current_user; RETURN true; END $$;

-- no source in a schema that others may create in, or that belongs to somebody else
RESET ROLE;
CREATE SCHEMA shop AUTHORIZATION regress_crm_owner;
GRANT ALL ON SCHEMA shop TO regress_crm_thief;
SET ROLE regress_crm_owner;
SELECT * FROM crm_profile.create_source('shop', 'data.customer', 'data.orders', order_customer => 'customer_id');
RESET ROLE;
SELECT * FROM crm_profile.create_source('shop', 'data.customer', 'data.orders', order_customer => 'customer_id');
-- nor in one where its names are taken
SET ROLE regress_crm_thief;
CREATE TABLE shop.stored_profile (customer int);
CREATE TRIGGER take BEFORE INSERT ON shop.stored_profile FOR EACH ROW EXECUTE FUNCTION thief.take();
CREATE FUNCTION shop.segment_migration(from_date date, to_date date, refit boolean DEFAULT false)
	RETURNS TABLE (from_segment text, to_segment text, customers bigint, share double precision, monetary numeric) LANGUAGE sql AS $$ SELECT thief.taken()::text, '', 1::bigint, 1.0::float8, 1.0 $$;
CREATE VIEW shop.segment_summary AS SELECT thief.taken();
SET ROLE regress_crm_owner;
REVOKE ALL ON SCHEMA shop FROM regress_crm_thief;
SELECT * FROM crm_profile.create_source('shop', 'data.customer', 'data.orders', order_customer => 'customer_id', materialize => true);
RESET ROLE;
DROP VIEW shop.segment_summary;
DROP FUNCTION shop.segment_migration(date, date, boolean);
DROP TABLE shop.stored_profile;
SET ROLE regress_crm_owner;
SELECT count(*) FROM crm_profile.create_source('shop', 'data.customer', 'data.orders', order_customer => 'customer_id', as_of => '2025-06-01', materialize => true, attributes => '{region}');
SELECT orders, customers FROM crm_profile.refresh('shop');

-- the same afterwards: every function that runs SQL of the source checks first
GRANT CREATE ON SCHEMA shop TO regress_crm_thief, PUBLIC;
SELECT * FROM crm_profile.refresh('shop');
REVOKE CREATE ON SCHEMA shop FROM PUBLIC;
RESET ROLE;
SELECT * FROM crm_profile.check_source_details('shop');
SELECT crm_profile.alter_source('shop', materialize => false);
SELECT * FROM crm_profile.forget_customer('shop', 1);
SELECT * FROM crm_profile.profile_now_details('shop', 1);
SELECT crm_profile.explain_source('shop');
-- a planted overload
SET ROLE regress_crm_thief;
CREATE FUNCTION shop.profile_as_of(as_of text) RETURNS boolean LANGUAGE sql AS $$ SELECT thief.taken() $$;
RESET ROLE;
REVOKE CREATE ON SCHEMA shop FROM regress_crm_thief;
SELECT * FROM crm_profile.refresh('shop');
DROP FUNCTION shop.profile_as_of(text);
-- a swapped part: another table, a view, a table of somebody else, a trigger, a rule
ALTER TABLE shop.customer_history RENAME TO kept;
CREATE TABLE shop.customer_history (customer int NOT NULL, history text);
ALTER TABLE shop.customer_history OWNER TO regress_crm_owner;
SELECT * FROM crm_profile.refresh('shop');
DROP TABLE shop.customer_history;
CREATE VIEW shop.customer_history AS SELECT * FROM shop.kept;
ALTER VIEW shop.customer_history OWNER TO regress_crm_owner;
SELECT * FROM crm_profile.refresh('shop');
DROP VIEW shop.customer_history;
ALTER TABLE shop.kept RENAME TO customer_history;
ALTER TABLE shop.customer_history OWNER TO regress_crm_thief;
SELECT * FROM crm_profile.refresh('shop');
ALTER TABLE shop.customer_history OWNER TO regress_crm_owner;
GRANT TRIGGER ON shop.customer_history TO regress_crm_thief;
GRANT USAGE ON SCHEMA shop TO regress_crm_thief;
SET ROLE regress_crm_thief;
CREATE TRIGGER take BEFORE INSERT OR UPDATE ON shop.customer_history FOR EACH ROW EXECUTE FUNCTION thief.take();
RESET ROLE;
SELECT * FROM crm_profile.refresh('shop');
DROP TRIGGER take ON shop.customer_history;
CREATE RULE take AS ON INSERT TO shop.customer_history DO ALSO SELECT 1;
SELECT * FROM crm_profile.refresh('shop');
DROP RULE take ON shop.customer_history;
ALTER SCHEMA shop OWNER TO regress_crm_thief;
SELECT * FROM crm_profile.refresh('shop');
SELECT name, owner, warning FROM crm_profile.sources_details;
ALTER SCHEMA shop OWNER TO regress_crm_owner;
SELECT orders, customers FROM crm_profile.refresh('shop');

-- definitions that somebody else writes: in a schema of theirs they run with their rights, elsewhere not at all
CREATE SCHEMA finance AUTHORIZATION regress_crm_boss;
CREATE TABLE finance.ledger (amount numeric);
CREATE TABLE finance.model (amount numeric);
GRANT ALL ON SCHEMA finance TO regress_crm_thief;
SET ROLE regress_crm_thief;
CREATE TABLE finance.source_definition OF crm_profile.source_definition;
INSERT INTO finance.source_definition (customers, orders, schema_created, time_zone) VALUES ('finance.ledger', 'finance.ledger', true, 'UTC');
CREATE VIEW finance.rfm_grid AS SELECT 1 AS mine;
RESET ROLE;
SELECT * FROM crm_profile.refresh('finance');
SELECT crm_profile.alter_source('finance', materialize => true);
SELECT name, owner, warning FROM crm_profile.sources_details WHERE name = 'finance';
-- only the thief's own objects are dropped
SELECT crm_profile.drop_source('finance', cascade => true);
SELECT relname, relowner <> 'regress_crm_thief'::regrole AS safe FROM pg_class WHERE relnamespace = 'finance'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
SET ROLE regress_crm_thief;
SELECT count(*) FROM crm_profile.create_source('loot', 'data.customer', 'data.orders', order_customer => 'customer_id', as_of => '2025-01-02');
UPDATE loot.source_definition SET orders_query = 'SELECT 1 AS customer, date ''2025-01-01'' AS ordered_at, 1 AS amount WHERE thief.taken()';
RESET ROLE;
SELECT orders FROM crm_profile.refresh('loot');
-- broken definitions do not break the list for others
SET ROLE regress_crm_thief;
CREATE INDEX ON loot.source_definition ((thief.taken()));
SELECT count(*) FROM crm_profile.create_source('zone', 'data.customer', 'data.orders', order_customer => 'customer_id');
UPDATE zone.source_definition SET time_zone = 'Nowhere';
SELECT count(*) FROM crm_profile.create_source('twice', 'data.customer', 'data.orders', order_customer => 'customer_id');
ALTER TABLE twice.source_definition DROP CONSTRAINT source_definition_pkey;
INSERT INTO twice.source_definition SELECT * FROM twice.source_definition;
SELECT count(*) FROM crm_profile.create_source('hidden', 'data.customer', 'data.orders', order_customer => 'customer_id');
ALTER TABLE hidden.source_definition ENABLE ROW LEVEL SECURITY;
ALTER TABLE hidden.source_definition FORCE ROW LEVEL SECURITY;
CREATE POLICY taken ON hidden.source_definition USING (thief.taken());
SELECT count(*) FROM crm_profile.create_source('infinite', 'data.customer', 'data.orders', order_customer => 'customer_id');
UPDATE infinite.source_definition SET last_refresh = now(), customer_base = ROW(1, 1, NULL, 'infinity', NULL, NULL, NULL, NULL);
SELECT count(*) FROM crm_profile.create_source('untied', 'data.customer', 'data.orders', order_customer => 'customer_id');
ALTER TABLE untied.source_definition NOT OF;
ALTER TABLE untied.source_definition DROP COLUMN scheme;
CREATE SCHEMA parent;
CREATE TABLE parent.source_definition OF crm_profile.source_definition;
CREATE TABLE parent.child () INHERITS (parent.source_definition);
INSERT INTO parent.child (customers, orders) VALUES ('x', 'x');
SET ROLE regress_crm_owner;
SELECT name, owner, warning FROM crm_profile.sources_details;
RESET ROLE;
SELECT name, owner, warning FROM crm_profile.sources_details ORDER BY name COLLATE "C";
SELECT * FROM crm_profile.refresh('twice');
-- functions that any user may call survive any arguments
SET ROLE regress_crm_thief;
SELECT crm_profile_internal.trace_column('', 'x');
SELECT crm_profile_internal.trace_column('SELECT 1 AS x; SELECT 2 AS x', 'x');
SELECT crm_profile_internal.trace_column('DELETE FROM data.orders', 'x');
SELECT crm_profile_internal.trace_column('SELECT 1 AS y', 'x');
SELECT crm_profile_internal.rewrite_tables('{pg_catalog.pg_class}');
SELECT crm_profile_internal.rewrite_tables('{data.orders}');
SELECT crm_profile_internal.lock_relations('{shop.customer_history}');
RESET ROLE;
SELECT crm_profile_internal.rewrite_tables('{pg_catalog.pg_class}');
-- a table called like the sample of labels: what is no label is not taken for one, and operators are not shown the labels
CREATE SCHEMA labels;
GRANT USAGE ON SCHEMA labels TO PUBLIC;
CREATE TABLE labels.value (customer int, value numeric, predicted float8);
CREATE TABLE labels.threshold (a numeric, b numeric);
CREATE TABLE labels.label_sample (value_tier text, predicted_tier int);
INSERT INTO labels.value SELECT i, i, i FROM generate_series(1, 100) i;
INSERT INTO labels.threshold VALUES (50, 20);
INSERT INTO labels.label_sample SELECT chr(65 + i % 3), i % 3 FROM generate_series(1, 100) i;
ANALYZE labels.value, labels.threshold, labels.label_sample;
GRANT SELECT ON labels.value, labels.threshold TO regress_crm_thief;
SET ROLE regress_crm_thief;
CREATE FUNCTION thief.look(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1 AS $$ BEGIN IF $1 = ANY ('{A,B,C}') AND $2 = 'look' THEN RAISE WARNING 'taken: %', $1; END IF; RETURN false; END $$;
CREATE OPERATOR thief.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = thief.look, RESTRICT = eqsel);
CREATE OPERATOR thief.!== (LEFTARG = text, RIGHTARG = text, FUNCTION = thief.look, RESTRICT = neqsel);
CREATE FUNCTION thief.planned(condition text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'EXPLAIN SELECT * FROM labels.value v, labels.threshold t WHERE ' || condition; RETURN true; END $$;
SELECT condition, thief.planned(condition) FROM (VALUES ('crm_profile.value_tier(v.value, t.a, t.b) = ''A'''), ('crm_profile.value_tier(v.predicted, t.a::float8, t.b::float8) = ''A'''), ('crm_profile.value_tier(v.value, t.a, t.b) = ANY (ARRAY[''A'', ''B'']::name[])'),
	('crm_profile.value_tier(v.value, t.a, t.b) = ANY (ARRAY[''A'', NULL])'), ('crm_profile.value_tier(v.value, t.a, t.b) OPERATOR(thief.===) ''look'''), ('crm_profile.value_tier(v.value, t.a, t.b) OPERATOR(thief.!==) ''look'''),
	('crm_profile.value_tier(v.value, t.a, t.b) <> ''A'''), ('crm_profile.value_tier(v.value, t.a, t.b) IS NULL')) v (condition);
DROP OPERATOR thief.=== (text, text), thief.!== (text, text);
DROP FUNCTION thief.look, thief.planned;
RESET ROLE;
DROP SCHEMA labels CASCADE;
-- users without rights on a source neither wait for its locks nor make others wait
SET ROLE regress_crm_thief;
BEGIN;
LOCK TABLE shop.source_definition IN ACCESS SHARE MODE;
ROLLBACK;
BEGIN;
LOCK TABLE crm_profile.scheme IN ROW EXCLUSIVE MODE;
ROLLBACK;
-- everything in the extension: no user can lock it to make others wait
RESET ROLE;
SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace IN ('crm_profile'::regnamespace, 'crm_profile_internal'::regnamespace) AND c.relkind IN ('r', 'p')
	AND has_table_privilege('regress_crm_thief', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE');

SELECT crm_profile.drop_source(name) FROM unnest('{loot,zone,infinite,shop}'::text[]) name;
SELECT nspname FROM pg_namespace WHERE nspname = ANY ('{loot,zone,hidden,infinite,shop,finance,data}') ORDER BY nspname COLLATE "C";
DROP SCHEMA data, finance, shop CASCADE;
DROP OWNED BY regress_crm_owner, regress_crm_thief CASCADE;
DROP ROLE regress_crm_owner, regress_crm_thief, regress_crm_boss;
