-- RFM: models (thresholds), scores, and what a history scores under a model

---------------------------------------------------------------- rfm_model

CREATE TYPE crm_profile.rfm_model;

CREATE FUNCTION crm_profile.rfm_model_in(text cstring) RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_out(model crm_profile.rfm_model) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_recv(message internal) RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_send(model crm_profile.rfm_model) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE crm_profile.rfm_model (
	INPUT = crm_profile.rfm_model_in,
	OUTPUT = crm_profile.rfm_model_out,
	RECEIVE = crm_profile.rfm_model_recv,
	SEND = crm_profile.rfm_model_send,
	ALIGNMENT = int4,
	STORAGE = plain
);
COMMENT ON TYPE crm_profile.rfm_model IS
	'thresholds that turn recency, frequency and monetary values into scores; from rfm_fit(), or made by rfm_model()';
COMMENT ON FUNCTION crm_profile.rfm_model_in(cstring) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_model_out(crm_profile.rfm_model) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_model_recv(internal) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_model_send(crm_profile.rfm_model) IS 'I/O';

---------------------------------------------------------------- comparison: equal contents have equal bytes

CREATE FUNCTION crm_profile.rfm_model_eq(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_ne(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_lt(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_le(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_gt(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_ge(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_cmp(a crm_profile.rfm_model, b crm_profile.rfm_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_hash(value crm_profile.rfm_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_model_hash_extended(value crm_profile.rfm_model, seed bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'value_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.rfm_model, RIGHTARG = crm_profile.rfm_model, FUNCTION = crm_profile.rfm_model_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS crm_profile.rfm_model_ops DEFAULT FOR TYPE crm_profile.rfm_model USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile.rfm_model_cmp(crm_profile.rfm_model, crm_profile.rfm_model);
CREATE OPERATOR CLASS crm_profile.rfm_model_ops DEFAULT FOR TYPE crm_profile.rfm_model USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile.rfm_model_hash(crm_profile.rfm_model),
	FUNCTION 2 crm_profile.rfm_model_hash_extended(crm_profile.rfm_model, bigint);

COMMENT ON OPERATOR crm_profile.= (crm_profile.rfm_model, crm_profile.rfm_model) IS 'equal';
COMMENT ON FUNCTION crm_profile.rfm_model_eq(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of = operator';
COMMENT ON OPERATOR crm_profile.<> (crm_profile.rfm_model, crm_profile.rfm_model) IS 'not equal';
COMMENT ON FUNCTION crm_profile.rfm_model_ne(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of <> operator';
COMMENT ON OPERATOR crm_profile.< (crm_profile.rfm_model, crm_profile.rfm_model) IS 'less than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.rfm_model_lt(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of < operator';
COMMENT ON OPERATOR crm_profile.<= (crm_profile.rfm_model, crm_profile.rfm_model) IS 'less than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.rfm_model_le(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of <= operator';
COMMENT ON OPERATOR crm_profile.> (crm_profile.rfm_model, crm_profile.rfm_model) IS 'greater than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.rfm_model_gt(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of > operator';
COMMENT ON OPERATOR crm_profile.>= (crm_profile.rfm_model, crm_profile.rfm_model) IS 'greater than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.rfm_model_ge(crm_profile.rfm_model, crm_profile.rfm_model) IS 'implementation of >= operator';
COMMENT ON FUNCTION crm_profile.rfm_model_cmp(crm_profile.rfm_model, crm_profile.rfm_model) IS 'less-equal-greater';
COMMENT ON FUNCTION crm_profile.rfm_model_hash(crm_profile.rfm_model) IS 'hash';
COMMENT ON FUNCTION crm_profile.rfm_model_hash_extended(crm_profile.rfm_model, bigint) IS 'hash';
COMMENT ON OPERATOR CLASS crm_profile.rfm_model_ops USING btree IS 'default btree operator class of rfm_model';
COMMENT ON OPERATOR FAMILY crm_profile.rfm_model_ops USING btree IS 'default btree operator family of rfm_model';
COMMENT ON OPERATOR CLASS crm_profile.rfm_model_ops USING hash IS 'default hash operator class of rfm_model';
COMMENT ON OPERATOR FAMILY crm_profile.rfm_model_ops USING hash IS 'default hash operator family of rfm_model';


---------------------------------------------------------------- models: by hand, and taken apart

CREATE FUNCTION crm_profile.rfm_model(recency numeric[], frequency numeric[], monetary numeric[])
	RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME', 'rfm_model_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.rfm_model(numeric[], numeric[], numeric[]) IS
	'a model of fixed thresholds: each array has one value less than there are bins; a value above a threshold scores higher, for recency lower';
CREATE FUNCTION crm_profile.rfm_model(recency numeric[], frequency numeric[], monetary numeric[], period interval)
	RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME', 'rfm_model_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.rfm_model(numeric[], numeric[], numeric[], interval) IS
	'a model of fixed thresholds, over a period: each array has one value less than there are bins; a value above a threshold scores higher, for recency lower';

CREATE FUNCTION crm_profile.thresholds(model crm_profile.rfm_model,
	OUT recency numeric[], OUT frequency numeric[], OUT monetary numeric[])
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.thresholds(crm_profile.rfm_model) IS
	'the thresholds of a model: days, orders, amount; where a quantile has more than six decimals it is cut there';

---------------------------------------------------------------- rfm_score

CREATE TYPE crm_profile.rfm_score;

CREATE FUNCTION crm_profile.rfm_score_in(text cstring) RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_out(score crm_profile.rfm_score) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_recv(message internal) RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_send(score crm_profile.rfm_score) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE crm_profile.rfm_score (
	INPUT = crm_profile.rfm_score_in,
	OUTPUT = crm_profile.rfm_score_out,
	RECEIVE = crm_profile.rfm_score_recv,
	SEND = crm_profile.rfm_score_send,
	INTERNALLENGTH = 4, PASSEDBYVALUE, ALIGNMENT = int4, STORAGE = plain
);
COMMENT ON TYPE crm_profile.rfm_score IS
	'recency, frequency and monetary score of a customer, the best first digit highest: 545; it knows its number of bins';
COMMENT ON FUNCTION crm_profile.rfm_score_in(cstring) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_score_out(crm_profile.rfm_score) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_score_recv(internal) IS 'I/O';
COMMENT ON FUNCTION crm_profile.rfm_score_send(crm_profile.rfm_score) IS 'I/O';

---------------------------------------------------------------- comparison

CREATE FUNCTION crm_profile.rfm_score_eq(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_ne(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_lt(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_le(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_gt(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_ge(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_cmp(a crm_profile.rfm_score, b crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_hash(value crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_score_hash_extended(value crm_profile.rfm_score, seed bigint) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.rfm_score, RIGHTARG = crm_profile.rfm_score, FUNCTION = crm_profile.rfm_score_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS crm_profile.rfm_score_ops DEFAULT FOR TYPE crm_profile.rfm_score USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile.rfm_score_cmp(crm_profile.rfm_score, crm_profile.rfm_score);
CREATE OPERATOR CLASS crm_profile.rfm_score_ops DEFAULT FOR TYPE crm_profile.rfm_score USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile.rfm_score_hash(crm_profile.rfm_score),
	FUNCTION 2 crm_profile.rfm_score_hash_extended(crm_profile.rfm_score, bigint);

COMMENT ON OPERATOR crm_profile.= (crm_profile.rfm_score, crm_profile.rfm_score) IS 'equal';
COMMENT ON FUNCTION crm_profile.rfm_score_eq(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of = operator';
COMMENT ON OPERATOR crm_profile.<> (crm_profile.rfm_score, crm_profile.rfm_score) IS 'not equal';
COMMENT ON FUNCTION crm_profile.rfm_score_ne(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of <> operator';
COMMENT ON OPERATOR crm_profile.< (crm_profile.rfm_score, crm_profile.rfm_score) IS 'less than: by recency, then frequency, then monetary score';
COMMENT ON FUNCTION crm_profile.rfm_score_lt(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of < operator';
COMMENT ON OPERATOR crm_profile.<= (crm_profile.rfm_score, crm_profile.rfm_score) IS 'less than or equal: by recency, then frequency, then monetary score';
COMMENT ON FUNCTION crm_profile.rfm_score_le(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of <= operator';
COMMENT ON OPERATOR crm_profile.> (crm_profile.rfm_score, crm_profile.rfm_score) IS 'greater than: by recency, then frequency, then monetary score';
COMMENT ON FUNCTION crm_profile.rfm_score_gt(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of > operator';
COMMENT ON OPERATOR crm_profile.>= (crm_profile.rfm_score, crm_profile.rfm_score) IS 'greater than or equal: by recency, then frequency, then monetary score';
COMMENT ON FUNCTION crm_profile.rfm_score_ge(crm_profile.rfm_score, crm_profile.rfm_score) IS 'implementation of >= operator';
COMMENT ON FUNCTION crm_profile.rfm_score_cmp(crm_profile.rfm_score, crm_profile.rfm_score) IS 'less-equal-greater';
COMMENT ON FUNCTION crm_profile.rfm_score_hash(crm_profile.rfm_score) IS 'hash';
COMMENT ON FUNCTION crm_profile.rfm_score_hash_extended(crm_profile.rfm_score, bigint) IS 'hash';
COMMENT ON OPERATOR CLASS crm_profile.rfm_score_ops USING btree IS 'default btree operator class of rfm_score';
COMMENT ON OPERATOR FAMILY crm_profile.rfm_score_ops USING btree IS 'default btree operator family of rfm_score';
COMMENT ON OPERATOR CLASS crm_profile.rfm_score_ops USING hash IS 'default hash operator class of rfm_score';
COMMENT ON OPERATOR FAMILY crm_profile.rfm_score_ops USING hash IS 'default hash operator family of rfm_score';


---------------------------------------------------------------- scores: parts and casts

CREATE FUNCTION crm_profile.r_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.r_score(crm_profile.rfm_score) IS 'the recency score, from 1 (worst) to the number of bins (best)';
CREATE FUNCTION crm_profile.f_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.f_score(crm_profile.rfm_score) IS 'the frequency score, from 1 (worst) to the number of bins (best)';
CREATE FUNCTION crm_profile.m_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.m_score(crm_profile.rfm_score) IS 'the monetary score, from 1 (worst) to the number of bins (best)';
CREATE FUNCTION crm_profile.bins(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME', 'rfm_score_bins' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.bins(crm_profile.rfm_score) IS 'the number of bins that the score was made with';

CREATE FUNCTION crm_profile.rfm_score(r integer, f integer, m integer, bins integer DEFAULT 5) RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME', 'rfm_score_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.rfm_score(integer, integer, integer, integer) IS 'a score from its three parts, each from 1 to bins';

CREATE FUNCTION crm_profile.rfm_score_to_integer(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.rfm_score_to_integer(crm_profile.rfm_score) IS 'the three scores as the digits of a number, such as 545';
CREATE CAST (crm_profile.rfm_score AS integer) WITH FUNCTION crm_profile.rfm_score_to_integer(crm_profile.rfm_score);
COMMENT ON CAST (crm_profile.rfm_score AS integer) IS 'the three scores as the digits of a number, such as 545';

---------------------------------------------------------------- scoring

CREATE FUNCTION crm_profile.rfm_score(history crm_profile.purchase_history, model crm_profile.rfm_model, as_of date)
	RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.rfm_score(crm_profile.purchase_history, crm_profile.rfm_model, date) IS
	'the score of a customer on that day; NULL without a purchase by then, or in the period of the model';

CREATE FUNCTION crm_profile.purchase_pattern(history crm_profile.purchase_history, model crm_profile.rfm_model, as_of date)
	RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.purchase_pattern(crm_profile.purchase_history, crm_profile.rfm_model, date) IS
	'few large, many small, many large or few small: number and average value of orders above the medians of the model, or not';

---------------------------------------------------------------- fitting

CREATE FUNCTION crm_profile.rfm_fit_transfn(state internal, history crm_profile.purchase_history, as_of date) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.rfm_fit_transfn(internal, crm_profile.purchase_history, date) IS 'aggregate transition function';
CREATE FUNCTION crm_profile.rfm_fit_transfn(state internal, history crm_profile.purchase_history, as_of date, bins integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.rfm_fit_transfn(internal, crm_profile.purchase_history, date, integer) IS 'aggregate transition function';
CREATE FUNCTION crm_profile.rfm_fit_transfn(state internal, history crm_profile.purchase_history, as_of date, bins integer, period interval) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.rfm_fit_transfn(internal, crm_profile.purchase_history, date, integer, interval) IS 'aggregate transition function';
CREATE FUNCTION crm_profile.rfm_fit_combine(a internal, b internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_fit_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_fit_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.rfm_fit_finalfn(state internal) RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.rfm_fit_combine(internal, internal) IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile.rfm_fit_serialize(internal) IS 'aggregate serialization function';
COMMENT ON FUNCTION crm_profile.rfm_fit_deserialize(bytea, internal) IS 'aggregate deserialization function';
COMMENT ON FUNCTION crm_profile.rfm_fit_finalfn(internal) IS 'aggregate final function';

CREATE AGGREGATE crm_profile.rfm_fit(history crm_profile.purchase_history, as_of date) (
	SFUNC = crm_profile.rfm_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile.rfm_fit_finalfn, COMBINEFUNC = crm_profile.rfm_fit_combine,
	SERIALFUNC = crm_profile.rfm_fit_serialize, DESERIALFUNC = crm_profile.rfm_fit_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.rfm_fit(crm_profile.purchase_history, date) IS
	'a model of five bins: thresholds at the quintiles (type 7, percentile_cont) of all customers with a purchase by as_of; NULL if there is none';
CREATE AGGREGATE crm_profile.rfm_fit(history crm_profile.purchase_history, as_of date, bins integer) (
	SFUNC = crm_profile.rfm_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile.rfm_fit_finalfn, COMBINEFUNC = crm_profile.rfm_fit_combine,
	SERIALFUNC = crm_profile.rfm_fit_serialize, DESERIALFUNC = crm_profile.rfm_fit_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.rfm_fit(crm_profile.purchase_history, date, integer) IS
	'the same with 2 to 9 bins; NULL if there is none';
CREATE AGGREGATE crm_profile.rfm_fit(history crm_profile.purchase_history, as_of date, bins integer, period interval) (
	SFUNC = crm_profile.rfm_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile.rfm_fit_finalfn, COMBINEFUNC = crm_profile.rfm_fit_combine,
	SERIALFUNC = crm_profile.rfm_fit_serialize, DESERIALFUNC = crm_profile.rfm_fit_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.rfm_fit(crm_profile.purchase_history, date, integer, interval) IS
	'the same over the period that ends with as_of; customers without an order in it are left out; NULL if there is none';
