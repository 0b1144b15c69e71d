-- @default schema=crm_profile_internal
CREATE FUNCTION {schema}.{name}_combine(a internal, b internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION {schema}.{name}_combine(internal, internal) IS 'aggregate combine function';
CREATE FUNCTION {schema}.{name}_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION {schema}.{name}_serialize(internal) IS 'aggregate serialization function';
CREATE FUNCTION {schema}.{name}_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION {schema}.{name}_deserialize(bytea, internal) IS 'aggregate deserialization function';
