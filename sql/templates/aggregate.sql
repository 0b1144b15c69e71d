-- @default support={name} variant= state=internal space=65536 volatility=IMMUTABLE cost=1 options= more=
CREATE FUNCTION crm_profile_internal.{support}_transfn(state {state}, {arguments}) RETURNS {state}
	AS 'MODULE_PATHNAME', '{support}_transfn{variant}' LANGUAGE C {volatility} PARALLEL SAFE COST {cost}{options};
COMMENT ON FUNCTION crm_profile_internal.{support}_transfn({state}, {arguments}) IS 'aggregate transition function';
CREATE AGGREGATE crm_profile.{name}({arguments}) (
	SFUNC = crm_profile_internal.{support}_transfn, STYPE = {state}, SSPACE = {space},
	FINALFUNC = crm_profile_internal.{support}_finalfn, {more}
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.{name}({arguments}) IS '{comment}';
