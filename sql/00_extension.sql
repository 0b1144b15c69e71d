-- crm_profile: customer profiles inside PostgreSQL
\echo Use "CREATE EXTENSION crm_profile" to load this file. \quit

-- Objects in these schemas run with the rights of whoever uses the extension: nobody else may have created any there,
-- or be able to. An owner of a database who is no superuser may install it (trusted): the script then runs as a
-- superuser, and the schema, which CREATE EXTENSION has just made for that owner, goes to the superuser, too.
DO $$
DECLARE
	owner pg_catalog.regrole;
	is_new boolean;
	grantee oid;
	planted text := (SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(d.classid, d.objid, 0), ', ')
		FROM (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
			WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = 'crm_profile'::pg_catalog.regnamespace
				AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass ORDER BY d.classid, d.objid LIMIT 5) d);
BEGIN
	SELECT n.nspowner, n.xmin::text::numeric = pg_catalog.pg_current_xact_id()::text::numeric % 4294967296 INTO owner, is_new FROM pg_catalog.pg_namespace n WHERE n.nspname = 'crm_profile';
	IF pg_catalog.current_setting('standard_conforming_strings') = 'off' THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = 'the extension is installed under standard SQL only',
			HINT = 'SET standard_conforming_strings = on first. Later sessions may have it as they like.';
	ELSIF NOT (is_new OR owner::pg_catalog.text = pg_catalog.quote_ident(CURRENT_USER) OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = owner)) THEN
		RAISE duplicate_schema USING MESSAGE = 'schema "crm_profile" already exists and belongs to ' || owner,
			DETAIL = 'Its owner could put functions there that other users would call.',
			HINT = 'Find out what it is for, and rename or drop it.';
	ELSIF planted IS NOT NULL THEN
		RAISE duplicate_schema USING MESSAGE = 'schema "crm_profile" already exists and is not empty',
			DETAIL = 'There are: ' || planted || '.', HINT = 'Find out what they are for, and rename or drop the schema.';
	END IF;
	ALTER SCHEMA crm_profile OWNER TO CURRENT_USER;
	-- what its maker granted, also by default privileges, and what an earlier installation left behind
	FOR grantee IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a WHERE n.nspname = 'crm_profile' AND a.grantee <> n.nspowner LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA crm_profile FROM %s CASCADE', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::pg_catalog.regrole::text END);
	END LOOP;
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a WHERE n.nspname = 'crm_profile' AND a.grantee <> n.nspowner) THEN
		RAISE insufficient_privilege USING MESSAGE = 'others may create objects in schema "crm_profile"', HINT = 'Drop the schema first.';
	END IF;
END $$;

COMMENT ON SCHEMA crm_profile IS 'customer profiles: purchase histories, RFM scores, segments, forecasts, likeness, sources';
CREATE SCHEMA crm_profile_internal;
COMMENT ON SCHEMA crm_profile_internal IS 'internals of crm_profile: support functions of types, operators and aggregates, helpers; not for users, may change with every release';

-- functions and types are for everybody; tables have privileges of their own
GRANT USAGE ON SCHEMA crm_profile, crm_profile_internal TO PUBLIC;
