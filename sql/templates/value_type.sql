-- @default wire=IMMUTABLE send="'MODULE_PATHNAME' LANGUAGE C" like=bytea order=byteacmp hash=hashvarlena sorted="order of the bytes, of no meaning but for sorting"
CREATE TYPE crm_profile.{type};
CREATE FUNCTION crm_profile_internal.{type}_in(text cstring) RETURNS crm_profile.{type}
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_in(cstring) IS 'I/O';
CREATE FUNCTION crm_profile_internal.{type}_out(value crm_profile.{type}) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_out(crm_profile.{type}) IS 'I/O';
CREATE FUNCTION crm_profile_internal.{type}_recv(message internal) RETURNS crm_profile.{type}
	AS 'MODULE_PATHNAME' LANGUAGE C {wire} STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_recv(internal) IS 'I/O';
CREATE FUNCTION crm_profile_internal.{type}_send(value crm_profile.{type}) RETURNS bytea
	AS {send} {wire} STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_send(crm_profile.{type}) IS 'I/O';
CREATE TYPE crm_profile.{type} (
	INPUT = crm_profile_internal.{type}_in,
	OUTPUT = crm_profile_internal.{type}_out,
	RECEIVE = crm_profile_internal.{type}_recv,
	SEND = crm_profile_internal.{type}_send,
	ALIGNMENT = int4,
	{layout}
);

-- equal contents have equal bytes: PostgreSQL's own functions compare and hash them
CREATE FUNCTION crm_profile_internal.{type}_eq(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}eq' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_eq(crm_profile.{type}, crm_profile.{type}) IS 'implementation of = operator';
CREATE FUNCTION crm_profile_internal.{type}_ne(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}ne' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_ne(crm_profile.{type}, crm_profile.{type}) IS 'implementation of <> operator';
CREATE FUNCTION crm_profile_internal.{type}_lt(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}lt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_lt(crm_profile.{type}, crm_profile.{type}) IS 'implementation of < operator';
CREATE FUNCTION crm_profile_internal.{type}_le(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}le' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_le(crm_profile.{type}, crm_profile.{type}) IS 'implementation of <= operator';
CREATE FUNCTION crm_profile_internal.{type}_gt(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}gt' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_gt(crm_profile.{type}, crm_profile.{type}) IS 'implementation of > operator';
CREATE FUNCTION crm_profile_internal.{type}_ge(a crm_profile.{type}, b crm_profile.{type}) RETURNS boolean
	AS '{like}ge' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_ge(crm_profile.{type}, crm_profile.{type}) IS 'implementation of >= operator';
CREATE FUNCTION crm_profile_internal.{type}_cmp(a crm_profile.{type}, b crm_profile.{type}) RETURNS integer
	AS '{order}' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_cmp(crm_profile.{type}, crm_profile.{type}) IS 'less-equal-greater';
CREATE FUNCTION crm_profile_internal.{type}_hash(value crm_profile.{type}) RETURNS integer
	AS '{hash}' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_hash(crm_profile.{type}) IS 'hash';
CREATE FUNCTION crm_profile_internal.{type}_hash_extended(value crm_profile.{type}, seed bigint) RETURNS bigint
	AS '{hash}extended' LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.{type}_hash_extended(crm_profile.{type}, bigint) IS 'hash';

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR crm_profile.= (crm_profile.{type}, crm_profile.{type}) IS 'equal';
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR crm_profile.<> (crm_profile.{type}, crm_profile.{type}) IS 'not equal';
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR crm_profile.< (crm_profile.{type}, crm_profile.{type}) IS 'less than ({sorted})';
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR crm_profile.<= (crm_profile.{type}, crm_profile.{type}) IS 'less than or equal ({sorted})';
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR crm_profile.> (crm_profile.{type}, crm_profile.{type}) IS 'greater than ({sorted})';
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.{type}, RIGHTARG = crm_profile.{type}, FUNCTION = crm_profile_internal.{type}_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR crm_profile.>= (crm_profile.{type}, crm_profile.{type}) IS 'greater than or equal ({sorted})';

CREATE OPERATOR CLASS crm_profile.{type}_ops DEFAULT FOR TYPE crm_profile.{type} USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile_internal.{type}_cmp(crm_profile.{type}, crm_profile.{type});
COMMENT ON OPERATOR CLASS crm_profile.{type}_ops USING btree IS 'default btree operator class of {type}';
COMMENT ON OPERATOR FAMILY crm_profile.{type}_ops USING btree IS 'default btree operator family of {type}';
CREATE OPERATOR CLASS crm_profile.{type}_ops DEFAULT FOR TYPE crm_profile.{type} USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile_internal.{type}_hash(crm_profile.{type}),
	FUNCTION 2 crm_profile_internal.{type}_hash_extended(crm_profile.{type}, bigint);
COMMENT ON OPERATOR CLASS crm_profile.{type}_ops USING hash IS 'default hash operator class of {type}';
COMMENT ON OPERATOR FAMILY crm_profile.{type}_ops USING hash IS 'default hash operator family of {type}';
