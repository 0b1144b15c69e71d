---------------------------------------------------------------- profile_model: how attributes are encoded

-- @value_type type=profile_model layout="STORAGE = main" wire=STABLE

-- storage main, not plain: dictionaries of many attributes can outgrow a page

COMMENT ON TYPE crm_profile.profile_model IS
	'how attributes are encoded: kinds, ranges, dictionaries, weights; made by profile_fit';

CREATE FUNCTION crm_profile.profile_attributes(model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT weight double precision, OUT low text, OUT high text,
	OUT "values" text[], OUT counts bigint[], OUT other bigint, OUT missing bigint, OUT missing_rate double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20; -- the attributes of a model: kind, weight, range (numeric, date) or dictionary with its counts, rows with other values, rows without a value

CREATE FUNCTION crm_profile.fingerprint(model crm_profile.profile_model) RETURNS text
	AS 'MODULE_PATHNAME', 'profile_model_fingerprint' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- fingerprint of a profile model: 16 hexadecimal digits, stored in each of its profiles

---------------------------------------------------------------- profile_fit

CREATE FUNCTION crm_profile_internal.profile_fit_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_fit_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_fit_deserialize(state bytea, unused internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_fit_finalfn(state internal) RETURNS crm_profile.profile_model
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.profile_fit_combine IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile_internal.profile_fit_serialize IS 'aggregate serial function';
COMMENT ON FUNCTION crm_profile_internal.profile_fit_deserialize IS 'aggregate deserial function';
COMMENT ON FUNCTION crm_profile_internal.profile_fit_finalfn IS 'aggregate final function';

-- @aggregate name=profile_fit space=500000 volatility=STABLE cost=20 more="COMBINEFUNC = crm_profile_internal.profile_fit_combine, SERIALFUNC = crm_profile_internal.profile_fit_serialize, DESERIALFUNC = crm_profile_internal.profile_fit_deserialize," arguments="customer record"
--	comment="the profile_model of records: a kind, range or dictionary for each column; NULL for no rows"
-- @again arguments="customer record, options jsonb"
--	comment="the profile_model of records with options (taken from the first row): kinds, ignore, order, ranges, weights, missing, max_values, min_count, robust, asymmetric; NULL for no rows"

---------------------------------------------------------------- profile: one person's attributes, encoded

-- @value_type type=profile send="'byteasend' LANGUAGE internal" layout="STORAGE = main"

COMMENT ON TYPE crm_profile.profile IS
	'the attributes of one customer or prospect, encoded by a profile_model whose fingerprint it carries';

-- stable, not immutable: the texts of some types depend on settings (extra_float_digits for floats)
CREATE FUNCTION crm_profile.profile(customer record, model crm_profile.profile_model) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME', 'profile_from_record' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20; -- a record encoded by a model; its columns are found by name and must be those of the model; NULL if either argument is NULL

CREATE FUNCTION crm_profile.profile_values(profile crm_profile.profile, model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT value text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20; -- a profile in words: the value of each attribute, NULL if it is missing, (other) if it is not in the dictionary

---------------------------------------------------------------- similarity

CREATE FUNCTION crm_profile.similarity(a crm_profile.profile, b crm_profile.profile) RETURNS double precision
	AS 'MODULE_PATHNAME', 'profile_similarity' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
-- as a support function it has the library loaded when a query is planned that looks for the nearest
CREATE FUNCTION crm_profile_internal.profile_distance_support(request internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'row_stream_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.profile_distance_support IS 'planner support: loads the library, which knows what an index of profiles costs';
CREATE FUNCTION crm_profile.distance(a crm_profile.profile, b crm_profile.profile) RETURNS double precision
	AS 'MODULE_PATHNAME', 'profile_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2 SUPPORT crm_profile_internal.profile_distance_support;
CREATE OPERATOR crm_profile.<-> (LEFTARG = crm_profile.profile, RIGHTARG = crm_profile.profile,
	FUNCTION = crm_profile.distance, COMMUTATOR = OPERATOR(crm_profile.<->));
COMMENT ON FUNCTION crm_profile.similarity IS 'Gower similarity, 0 to 1, over the attributes that both profiles have; NULL if there are none';
COMMENT ON FUNCTION crm_profile.distance IS '1 - similarity; NULL if the profiles have no attribute in common';
COMMENT ON OPERATOR crm_profile.<-> (crm_profile.profile, crm_profile.profile) IS
	'distance: 1 - similarity';

CREATE FUNCTION crm_profile.explain_similarity(a crm_profile.profile, b crm_profile.profile, model crm_profile.profile_model,
	OUT attribute text, OUT kind text, OUT value_a text, OUT value_b text,
	OUT weight double precision, OUT similarity double precision, OUT contribution double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 20; -- attribute by attribute: both values, weight, similarity (NULL if not compared) and contribution; the contributions add up to the similarity

---------------------------------------------------------------- nearest first by index (one index per model)

CREATE FUNCTION crm_profile_internal.profile_gist_consistent(key internal, query crm_profile.profile, strategy smallint, subtype oid, recheck internal)
	RETURNS boolean AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_union(entries internal, size internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_compress(entry internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_penalty(original internal, added internal, penalty internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_picksplit(entries internal, split internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_same(a bytea, b bytea, same internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.profile_gist_distance(key internal, query crm_profile.profile, strategy smallint, subtype oid, recheck internal)
	RETURNS double precision AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR CLASS crm_profile.profile_gist_ops DEFAULT FOR TYPE crm_profile.profile USING gist AS
	OPERATOR 1 crm_profile.<-> FOR ORDER BY pg_catalog.float_ops,
	FUNCTION 1 crm_profile_internal.profile_gist_consistent(internal, crm_profile.profile, smallint, oid, internal),
	FUNCTION 2 crm_profile_internal.profile_gist_union(internal, internal),
	FUNCTION 3 crm_profile_internal.profile_gist_compress(internal),
	FUNCTION 5 crm_profile_internal.profile_gist_penalty(internal, internal, internal),
	FUNCTION 6 crm_profile_internal.profile_gist_picksplit(internal, internal),
	FUNCTION 7 crm_profile_internal.profile_gist_same(bytea, bytea, internal),
	FUNCTION 8 crm_profile_internal.profile_gist_distance(internal, crm_profile.profile, smallint, oid, internal),
	STORAGE bytea;

COMMENT ON FUNCTION crm_profile_internal.profile_gist_consistent IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_union IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_compress IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_penalty IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_picksplit IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_same IS 'GiST support';
COMMENT ON FUNCTION crm_profile_internal.profile_gist_distance IS 'GiST support';
COMMENT ON OPERATOR CLASS crm_profile.profile_gist_ops USING gist IS 'nearest profiles first: ORDER BY column <-> profile';
COMMENT ON OPERATOR FAMILY crm_profile.profile_gist_ops USING gist IS 'nearest profiles first: ORDER BY column <-> profile';

---------------------------------------------------------------- all against all

CREATE FUNCTION crm_profile.nearest_profiles(key anyelement, candidates text, targets text, k integer DEFAULT 10, kernel text DEFAULT NULL,
	OUT candidate anyelement, OUT target anyelement, OUT rank integer, OUT similarity double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 10000; -- for each candidate the k nearest targets by <->; both queries return (key, profile), with keys of the type of the first argument, a typed NULL; ties go to the smaller target key; kernel: avx512, avx2, sse2 or portable, all with the same result (NULL for the fastest one available)
