-- Rules that describe a group of people

CREATE FUNCTION crm_profile_internal.segment_rule_transfn(state internal, profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) RETURNS internal
	AS 'MODULE_PATHNAME', 'match_fit_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.segment_rule_transfn IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.segment_rule_finalfn(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.segment_rule_finalfn IS 'aggregate final function';
CREATE AGGREGATE crm_profile_internal.segment_rule(profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) (
	SFUNC = crm_profile_internal.segment_rule_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.segment_rule_finalfn,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile_internal.segment_rule(crm_profile.profile, boolean, crm_profile.profile_model) IS
	'up to three conditions that together tell targets from others best, as jsonb; NULL if none is worth saying';

CREATE FUNCTION crm_profile_internal.condition_sql(condition jsonb, attribute text, type regtype) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT CASE
			WHEN condition ? 'member' THEN format('%s%L = ANY (%s)', CASE WHEN condition ? 'not' THEN 'NOT ' END, condition ->> 'member', attribute)
			WHEN type = 'boolean'::regtype THEN CASE WHEN (condition ->> 'values' = '["true"]') = (condition ? 'not') THEN 'NOT ' ELSE '' END || attribute
			WHEN condition ? 'values' THEN format(CASE WHEN l.n = 1 THEN '%s %s %s' ELSE '%s %sIN (%s)' END, a.word, CASE WHEN l.n = 1 THEN CASE WHEN condition ? 'not' THEN '<>' ELSE '=' END WHEN condition ? 'not' THEN 'NOT ' END, l.list)
			WHEN condition ? 'equals' THEN format('%s = %s', a.number, q.equal)
			ELSE concat_ws(' AND ', a.number || ' >= ' || q.low, a.number || ' < ' || q.high) END
		FROM (SELECT CASE WHEN EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree' WHERE o.opcintype = type AND o.opcdefault) OR (SELECT t.typcategory FROM pg_type t WHERE t.oid = type) IN ('S', 'E') THEN attribute ELSE format('(%s)::text', attribute) END AS word,
				CASE WHEN type = 'timestamptz'::regtype THEN format('(%s AT TIME ZONE ''UTC'')', attribute) ELSE attribute END AS number) a,
			(SELECT count(*) AS n, string_agg(quote_literal(v), ', ' ORDER BY v COLLATE "C") AS list FROM jsonb_array_elements_text(CASE WHEN condition ? 'values' THEN condition -> 'values' ELSE '[]' END) v) l,
			(SELECT CASE WHEN n.plain THEN condition ->> 'equals' ELSE quote_literal(condition ->> 'equals') END AS equal, CASE WHEN n.plain THEN condition ->> 'from' ELSE quote_literal(condition ->> 'from') END AS low,
				CASE WHEN n.plain THEN condition ->> 'below' ELSE quote_literal(condition ->> 'below') END AS high
				FROM (SELECT type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'float4'::regtype, 'float8'::regtype, 'numeric'::regtype) AS plain) n) q);
COMMENT ON FUNCTION crm_profile_internal.condition_sql IS 'a condition of segment_rule() as SQL over an attribute, given as SQL';
