-- Rules that describe a group of people

CREATE FUNCTION crm_profile_internal.segment_rule_transfn(state internal, profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) RETURNS internal
	AS 'MODULE_PATHNAME', 'match_fit_transfn' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.segment_rule_finalfn(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.segment_rule(profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) (
	SFUNC = crm_profile_internal.segment_rule_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.segment_rule_finalfn,
	PARALLEL = SAFE); -- up to three conditions that together tell targets from others best, as jsonb; NULL if none is worth saying

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

---------------------------------------------------------------- groups found in the data

CREATE TYPE crm_profile.profile_groups AS ( -- groups of people who are alike; from profile_groups_fit()
	medoids crm_profile.profile[], -- the profile in the middle of each group, that of the largest group first; with nearest_group() it says who belongs to it
	silhouette double precision, -- how clearly people belong to their group: mean of 1 - distance to its medoid / distance to the second nearest; NULL for one group
	stability double precision, -- how much groups found in different fifths of the sample agree: mean adjusted Rand index, 1 for the same groups, 0 for chance; NULL for one group
	gaps double precision[], -- where k was chosen: by how much 1, 2, 3, … groups bring down the distances more than among people whose attributes have nothing to do with each other (gap statistic, in logarithms)
	stabilities double precision[] -- and their stabilities
);

CREATE FUNCTION crm_profile_internal.profile_groups_transfn(state internal, key text, profile crm_profile.profile) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.profile_groups_transfn(state internal, key text, profile crm_profile.profile, k integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.profile_groups_finalfn(state internal) RETURNS crm_profile.profile_groups
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile.profile_groups_fit(key text, profile crm_profile.profile) (
	SFUNC = crm_profile_internal.profile_groups_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.profile_groups_finalfn,
	PARALLEL = SAFE); -- groups of people who are alike (k-medoids on a sample chosen by a hash of the keys); the number of groups, 1 to 10, is chosen by the gap statistic; rows with a NULL are left out, no rows give NULL
CREATE AGGREGATE crm_profile.profile_groups_fit(key text, profile crm_profile.profile, k integer) (
	SFUNC = crm_profile_internal.profile_groups_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.profile_groups_finalfn,
	PARALLEL = SAFE); -- k groups of people who are alike; k NULL: chosen

CREATE FUNCTION crm_profile_internal.group_weights_transfn(state internal, key text, profile crm_profile.profile, profile_model crm_profile.profile_model) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.group_weights_finalfn(state internal) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile.group_weights(key text, profile crm_profile.profile, profile_model crm_profile.profile_model) (
	SFUNC = crm_profile_internal.group_weights_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.group_weights_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE); -- a weight for each attribute, as profile_fit() takes them: the closest association with another attribute (Cramér's V), 0 where chance explains it; NULL if no two go together

CREATE FUNCTION crm_profile.nearest_group(profile crm_profile.profile, medoids crm_profile.profile[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- the number, from 1, of the medoid that the profile is nearest to by <->; the first of equals
