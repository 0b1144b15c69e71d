---------------------------------------------------------------- profile_model: how attributes are encoded

CREATE TYPE crm_profile.profile_model;

CREATE FUNCTION crm_profile.profile_model_in(text cstring) RETURNS crm_profile.profile_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_out(model crm_profile.profile_model) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_recv(message internal) RETURNS crm_profile.profile_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_send(model crm_profile.profile_model) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- storage main, not plain: dictionaries of many attributes can outgrow a page
CREATE TYPE crm_profile.profile_model (
	INPUT = crm_profile.profile_model_in,
	OUTPUT = crm_profile.profile_model_out,
	RECEIVE = crm_profile.profile_model_recv,
	SEND = crm_profile.profile_model_send,
	ALIGNMENT = int4,
	STORAGE = main
);

COMMENT ON TYPE crm_profile.profile_model IS
	'how attributes are encoded: kinds, ranges, dictionaries, weights; made by profile_fit';
COMMENT ON FUNCTION crm_profile.profile_model_in(cstring) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_model_out(crm_profile.profile_model) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_model_recv(internal) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_model_send(crm_profile.profile_model) IS 'I/O';

---------------------------------------------------------------- comparison: equal contents have equal bytes

CREATE FUNCTION crm_profile.profile_model_eq(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_ne(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_lt(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_le(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_gt(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_ge(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_cmp(a crm_profile.profile_model, b crm_profile.profile_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_hash(value crm_profile.profile_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_model_hash_extended(value crm_profile.profile_model, seed bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'value_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.profile_model, RIGHTARG = crm_profile.profile_model, FUNCTION = crm_profile.profile_model_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS crm_profile.profile_model_ops DEFAULT FOR TYPE crm_profile.profile_model USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile.profile_model_cmp(crm_profile.profile_model, crm_profile.profile_model);
CREATE OPERATOR CLASS crm_profile.profile_model_ops DEFAULT FOR TYPE crm_profile.profile_model USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile.profile_model_hash(crm_profile.profile_model),
	FUNCTION 2 crm_profile.profile_model_hash_extended(crm_profile.profile_model, bigint);

COMMENT ON OPERATOR crm_profile.= (crm_profile.profile_model, crm_profile.profile_model) IS 'equal';
COMMENT ON FUNCTION crm_profile.profile_model_eq(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of = operator';
COMMENT ON OPERATOR crm_profile.<> (crm_profile.profile_model, crm_profile.profile_model) IS 'not equal';
COMMENT ON FUNCTION crm_profile.profile_model_ne(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of <> operator';
COMMENT ON OPERATOR crm_profile.< (crm_profile.profile_model, crm_profile.profile_model) IS 'less than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_model_lt(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of < operator';
COMMENT ON OPERATOR crm_profile.<= (crm_profile.profile_model, crm_profile.profile_model) IS 'less than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_model_le(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of <= operator';
COMMENT ON OPERATOR crm_profile.> (crm_profile.profile_model, crm_profile.profile_model) IS 'greater than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_model_gt(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of > operator';
COMMENT ON OPERATOR crm_profile.>= (crm_profile.profile_model, crm_profile.profile_model) IS 'greater than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_model_ge(crm_profile.profile_model, crm_profile.profile_model) IS 'implementation of >= operator';
COMMENT ON FUNCTION crm_profile.profile_model_cmp(crm_profile.profile_model, crm_profile.profile_model) IS 'less-equal-greater';
COMMENT ON FUNCTION crm_profile.profile_model_hash(crm_profile.profile_model) IS 'hash';
COMMENT ON FUNCTION crm_profile.profile_model_hash_extended(crm_profile.profile_model, bigint) IS 'hash';
COMMENT ON OPERATOR CLASS crm_profile.profile_model_ops USING btree IS 'default btree operator class of profile_model';
COMMENT ON OPERATOR FAMILY crm_profile.profile_model_ops USING btree IS 'default btree operator family of profile_model';
COMMENT ON OPERATOR CLASS crm_profile.profile_model_ops USING hash IS 'default hash operator class of profile_model';
COMMENT ON OPERATOR FAMILY crm_profile.profile_model_ops USING hash IS 'default hash operator family of profile_model';


CREATE FUNCTION crm_profile.profile_attributes(model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT weight double precision, OUT low text, OUT high text,
	OUT "values" text[], OUT counts bigint[], OUT other bigint, OUT missing bigint, OUT missing_rate double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20;
COMMENT ON FUNCTION crm_profile.profile_attributes(crm_profile.profile_model) IS
	'the attributes of a model: kind, weight, range (numeric, date) or dictionary with its counts, rows with other values, rows without one';

CREATE FUNCTION crm_profile.fingerprint(model crm_profile.profile_model) RETURNS text
	AS 'MODULE_PATHNAME', 'profile_model_fingerprint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.fingerprint(crm_profile.profile_model) IS
	'16 hexadecimal digits that the profiles of this model carry';

---------------------------------------------------------------- profile_fit

CREATE FUNCTION crm_profile.profile_fit_transfn(state internal, customer record) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 20;
CREATE FUNCTION crm_profile.profile_fit_transfn(state internal, customer record, options jsonb) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 20;
CREATE FUNCTION crm_profile.profile_fit_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_fit_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_fit_deserialize(state bytea, unused internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_fit_finalfn(state internal) RETURNS crm_profile.profile_model
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.profile_fit_transfn(internal, record) IS 'aggregate transition function';
COMMENT ON FUNCTION crm_profile.profile_fit_transfn(internal, record, jsonb) IS 'aggregate transition function';
COMMENT ON FUNCTION crm_profile.profile_fit_combine(internal, internal) IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile.profile_fit_serialize(internal) IS 'aggregate serial function';
COMMENT ON FUNCTION crm_profile.profile_fit_deserialize(bytea, internal) IS 'aggregate deserial function';
COMMENT ON FUNCTION crm_profile.profile_fit_finalfn(internal) IS 'aggregate final function';

CREATE AGGREGATE crm_profile.profile_fit(customer record) (
	SFUNC = crm_profile.profile_fit_transfn, STYPE = internal, SSPACE = 500000,
	FINALFUNC = crm_profile.profile_fit_finalfn,
	COMBINEFUNC = crm_profile.profile_fit_combine,
	SERIALFUNC = crm_profile.profile_fit_serialize,
	DESERIALFUNC = crm_profile.profile_fit_deserialize,
	PARALLEL = SAFE);
CREATE AGGREGATE crm_profile.profile_fit(customer record, options jsonb) (
	SFUNC = crm_profile.profile_fit_transfn, STYPE = internal, SSPACE = 500000,
	FINALFUNC = crm_profile.profile_fit_finalfn,
	COMBINEFUNC = crm_profile.profile_fit_combine,
	SERIALFUNC = crm_profile.profile_fit_serialize,
	DESERIALFUNC = crm_profile.profile_fit_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.profile_fit(record) IS
	'the profile_model of records: a kind, range or dictionary for each column; NULL for no rows';
COMMENT ON AGGREGATE crm_profile.profile_fit(record, jsonb) IS
	'the profile_model of records with options (taken from the first row): kinds, ignore, order, ranges, weights, missing, max_values, robust; NULL for no rows';

---------------------------------------------------------------- profile: one person's attributes, encoded

CREATE TYPE crm_profile.profile;

CREATE FUNCTION crm_profile.profile_in(text cstring) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_out(profile crm_profile.profile) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_recv(message internal) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_send(profile crm_profile.profile) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE crm_profile.profile (
	INPUT = crm_profile.profile_in,
	OUTPUT = crm_profile.profile_out,
	RECEIVE = crm_profile.profile_recv,
	SEND = crm_profile.profile_send,
	ALIGNMENT = int4,
	STORAGE = main
);

COMMENT ON TYPE crm_profile.profile IS
	'the attributes of one customer or prospect, encoded by a profile_model whose fingerprint it carries';
COMMENT ON FUNCTION crm_profile.profile_in(cstring) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_out(crm_profile.profile) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_recv(internal) IS 'I/O';
COMMENT ON FUNCTION crm_profile.profile_send(crm_profile.profile) IS 'I/O';

---------------------------------------------------------------- comparison: equal contents have equal bytes

CREATE FUNCTION crm_profile.profile_eq(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_ne(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_lt(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_le(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gt(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_ge(a crm_profile.profile, b crm_profile.profile) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_cmp(a crm_profile.profile, b crm_profile.profile) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_hash(value crm_profile.profile) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_hash_extended(value crm_profile.profile, seed bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'value_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile, FUNCTION = crm_profile.profile_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS crm_profile.profile_ops DEFAULT FOR TYPE crm_profile.profile USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile.profile_cmp(crm_profile.profile, crm_profile.profile);
CREATE OPERATOR CLASS crm_profile.profile_ops DEFAULT FOR TYPE crm_profile.profile USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile.profile_hash(crm_profile.profile),
	FUNCTION 2 crm_profile.profile_hash_extended(crm_profile.profile, bigint);

COMMENT ON OPERATOR crm_profile.= (crm_profile.profile, crm_profile.profile) IS 'equal';
COMMENT ON FUNCTION crm_profile.profile_eq(crm_profile.profile, crm_profile.profile) IS 'implementation of = operator';
COMMENT ON OPERATOR crm_profile.<> (crm_profile.profile, crm_profile.profile) IS 'not equal';
COMMENT ON FUNCTION crm_profile.profile_ne(crm_profile.profile, crm_profile.profile) IS 'implementation of <> operator';
COMMENT ON OPERATOR crm_profile.< (crm_profile.profile, crm_profile.profile) IS 'less than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_lt(crm_profile.profile, crm_profile.profile) IS 'implementation of < operator';
COMMENT ON OPERATOR crm_profile.<= (crm_profile.profile, crm_profile.profile) IS 'less than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_le(crm_profile.profile, crm_profile.profile) IS 'implementation of <= operator';
COMMENT ON OPERATOR crm_profile.> (crm_profile.profile, crm_profile.profile) IS 'greater than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_gt(crm_profile.profile, crm_profile.profile) IS 'implementation of > operator';
COMMENT ON OPERATOR crm_profile.>= (crm_profile.profile, crm_profile.profile) IS 'greater than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.profile_ge(crm_profile.profile, crm_profile.profile) IS 'implementation of >= operator';
COMMENT ON FUNCTION crm_profile.profile_cmp(crm_profile.profile, crm_profile.profile) IS 'less-equal-greater';
COMMENT ON FUNCTION crm_profile.profile_hash(crm_profile.profile) IS 'hash';
COMMENT ON FUNCTION crm_profile.profile_hash_extended(crm_profile.profile, bigint) IS 'hash';
COMMENT ON OPERATOR CLASS crm_profile.profile_ops USING btree IS 'default btree operator class of profile';
COMMENT ON OPERATOR FAMILY crm_profile.profile_ops USING btree IS 'default btree operator family of profile';
COMMENT ON OPERATOR CLASS crm_profile.profile_ops USING hash IS 'default hash operator class of profile';
COMMENT ON OPERATOR FAMILY crm_profile.profile_ops USING hash IS 'default hash operator family of profile';


-- stable, not immutable: the words of some types follow settings (a float's extra_float_digits)
CREATE FUNCTION crm_profile.profile(customer record, model crm_profile.profile_model) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME', 'profile_from_record' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION crm_profile.profile(record, crm_profile.profile_model) IS
	'a record encoded by a model; its columns are found by name and must be those of the model; NULL if either is';

CREATE FUNCTION crm_profile.profile_values(profile crm_profile.profile, model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT value text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20;
COMMENT ON FUNCTION crm_profile.profile_values(crm_profile.profile, crm_profile.profile_model) IS
	'a profile in words: the value of each attribute, NULL where it is missing, (other) where it is not in the dictionary';

---------------------------------------------------------------- similarity

CREATE FUNCTION crm_profile.similarity(a crm_profile.profile, b crm_profile.profile) RETURNS double precision
	AS 'MODULE_PATHNAME', 'profile_similarity' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
CREATE FUNCTION crm_profile.distance(a crm_profile.profile, b crm_profile.profile) RETURNS double precision
	AS 'MODULE_PATHNAME', 'profile_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
CREATE OPERATOR crm_profile.<-> (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile,
	FUNCTION = crm_profile.distance, COMMUTATOR = OPERATOR(crm_profile.<->));
COMMENT ON FUNCTION crm_profile.similarity(crm_profile.profile, crm_profile.profile) IS
	'Gower similarity, 0 to 1, over the attributes that neither misses; NULL if there is none';
COMMENT ON FUNCTION crm_profile.distance(crm_profile.profile, crm_profile.profile) IS
	'1 - similarity; NULL if there is no attribute that neither misses';
COMMENT ON OPERATOR crm_profile.<-> (crm_profile.profile, crm_profile.profile) IS
	'distance: 1 - similarity';

CREATE FUNCTION crm_profile.explain_similarity(a crm_profile.profile, b crm_profile.profile, model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT value_a text, OUT value_b text,
	OUT weight double precision, OUT similarity double precision, OUT contribution double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20;
COMMENT ON FUNCTION crm_profile.explain_similarity(crm_profile.profile, crm_profile.profile, crm_profile.profile_model) IS
	'attribute by attribute: both values, weight, similarity (NULL: not compared) and what it contributes; the contributions add up to the similarity';

---------------------------------------------------------------- nearest first by index (one index per model)

CREATE FUNCTION crm_profile.profile_gist_consistent(key internal, query crm_profile.profile, strategy smallint, subtype oid, recheck internal)
	RETURNS boolean AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_union(entries internal, size internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_compress(entry internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_penalty(original internal, added internal, penalty internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_picksplit(entries internal, split internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_same(a bytea, b bytea, same internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.profile_gist_distance(key internal, query crm_profile.profile, strategy smallint, subtype oid, recheck internal)
	RETURNS double precision AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR CLASS crm_profile.profile_gist_ops DEFAULT FOR TYPE crm_profile.profile USING gist AS
	OPERATOR 1 crm_profile.<-> FOR ORDER BY pg_catalog.float_ops,
	FUNCTION 1 crm_profile.profile_gist_consistent(internal, crm_profile.profile, smallint, oid, internal),
	FUNCTION 2 crm_profile.profile_gist_union(internal, internal),
	FUNCTION 3 crm_profile.profile_gist_compress(internal),
	FUNCTION 5 crm_profile.profile_gist_penalty(internal, internal, internal),
	FUNCTION 6 crm_profile.profile_gist_picksplit(internal, internal),
	FUNCTION 7 crm_profile.profile_gist_same(bytea, bytea, internal),
	FUNCTION 8 crm_profile.profile_gist_distance(internal, crm_profile.profile, smallint, oid, internal),
	STORAGE bytea;

COMMENT ON FUNCTION crm_profile.profile_gist_consistent(internal, crm_profile.profile, smallint, oid, internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_union(internal, internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_compress(internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_penalty(internal, internal, internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_picksplit(internal, internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_same(bytea, bytea, internal) IS 'GiST support';
COMMENT ON FUNCTION crm_profile.profile_gist_distance(internal, crm_profile.profile, smallint, oid, internal) IS 'GiST support';
COMMENT ON OPERATOR CLASS crm_profile.profile_gist_ops USING gist IS 'nearest profiles first: ORDER BY column <-> profile';
COMMENT ON OPERATOR FAMILY crm_profile.profile_gist_ops USING gist IS 'nearest profiles first: ORDER BY column <-> profile';

---------------------------------------------------------------- all against all

CREATE FUNCTION crm_profile.nearest_profiles(key anyelement, candidates text, targets text, k integer DEFAULT 10, kernel text DEFAULT NULL,
	OUT candidate anyelement, OUT target anyelement, OUT rank integer, OUT similarity double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 10000;
COMMENT ON FUNCTION crm_profile.nearest_profiles(anyelement, text, text, integer, text) IS
	'for each candidate the k targets that are nearest by <->; both queries return (key, profile), keys of the type of the first argument, a typed NULL; equal distances: the smaller target key first; kernel: avx2, sse2 or portable, all with the same result (NULL: the fastest here)';
