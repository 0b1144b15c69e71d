-- Rights: functions that no user calls, no user may call

-- PostgreSQL checks no privileges on support functions of aggregates, only that the owner of the aggregate has them.
-- Those of aggregates that can be split stay open: a distributed plan may call them one by one. So do input and output
-- functions: the planner calls them for constants that are cast, and checks privileges then.
DO $$
DECLARE
	function pg_catalog.regprocedure;
BEGIN
	FOR function IN
		SELECT p.oid FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = 'crm_profile_internal'::pg_catalog.regnamespace
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
			AND EXISTS (SELECT FROM pg_catalog.pg_aggregate a WHERE p.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn)
				AND (a.aggtranstype = 'pg_catalog.internal'::pg_catalog.regtype OR a.aggcombinefn = 0))
	LOOP
		EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
	END LOOP;
END $$;

-- Functions that the public functions of sources call as the owner, without checking privileges
DO $$
DECLARE
	function pg_catalog.regprocedure;
BEGIN
	FOR function IN
		SELECT p.oid FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = 'crm_profile_internal'::pg_catalog.regnamespace AND (p.proname LIKE '%\_as\_owner' OR p.proname IN ('create_source_from', 'source_read'))
	LOOP
		EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
	END LOOP;
END $$;
