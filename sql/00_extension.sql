-- crm_profile: customer profiles inside PostgreSQL
\echo Use "CREATE EXTENSION crm_profile" to load this file. \quit

-- Objects in these schemas run with the rights of whoever uses the extension: nobody else may have created any there,
-- or be able to. An owner of a database who is no superuser may install it (trusted): the script then runs as a
-- superuser, who owns the schemas. They are part of the extension, so that a dump has CREATE EXTENSION and nothing else
-- of it.
DO $$
DECLARE
	made record;
BEGIN
	IF pg_catalog.current_setting('standard_conforming_strings') = 'off' THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = 'the extension is installed under standard SQL only',
			HINT = 'SET standard_conforming_strings = on first. Later sessions may have it as they like.';
	END IF;
	SELECT n.nspname AS schema, n.nspowner::pg_catalog.regrole AS owner INTO made FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('crm_profile', 'crm_profile_internal') ORDER BY n.nspname LIMIT 1;
	IF FOUND THEN
		RAISE duplicate_schema USING MESSAGE = pg_catalog.format('schema "%s" already exists and belongs to %s', made.schema, made.owner),
			DETAIL = 'The extension makes it: what is there before could be called in place of a function of the extension.',
			HINT = 'Find out what it is for, and rename or drop it.';
	END IF;
END $$;

CREATE SCHEMA crm_profile;
COMMENT ON SCHEMA crm_profile IS 'customer profiles: purchase histories, RFM scores, segments, forecasts, likeness, sources';
CREATE SCHEMA crm_profile_internal;
COMMENT ON SCHEMA crm_profile_internal IS 'internals of crm_profile: support functions of types, operators and aggregates, helpers; not for users, may change with every release';

-- what default privileges have granted
DO $$
DECLARE
	granted record;
BEGIN
	FOR granted IN SELECT DISTINCT n.nspname, a.grantee FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a WHERE n.nspname IN ('crm_profile', 'crm_profile_internal') AND a.grantee <> n.nspowner LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM %s', granted.nspname, CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::pg_catalog.regrole::text END);
	END LOOP;
END $$;

-- functions and types are for everybody; tables have privileges of their own
GRANT USAGE ON SCHEMA crm_profile, crm_profile_internal TO PUBLIC;
