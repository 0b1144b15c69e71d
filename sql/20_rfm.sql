-- RFM: models (thresholds), scores, and the scores of histories

---------------------------------------------------------------- rfm_model

-- @value_type type=rfm_model layout="STORAGE = plain"

COMMENT ON TYPE crm_profile.rfm_model IS
	'thresholds that turn recency, frequency and monetary values into scores; from rfm_fit(), or made by rfm_model()';

---------------------------------------------------------------- models: by hand, and taken apart

CREATE FUNCTION crm_profile.rfm_model(recency numeric[], frequency numeric[], monetary numeric[])
	RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME', 'rfm_model_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a model of fixed thresholds: each array has one value fewer than there are bins; a value above a threshold scores higher (for recency, lower)
CREATE FUNCTION crm_profile.rfm_model(recency numeric[], frequency numeric[], monetary numeric[], period interval)
	RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME', 'rfm_model_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a model of fixed thresholds, over a period: each array has one value fewer than there are bins; a value above a threshold scores higher (for recency, lower)

CREATE FUNCTION crm_profile.thresholds(model crm_profile.rfm_model,
	OUT recency numeric[], OUT frequency numeric[], OUT monetary numeric[])
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the thresholds of a model: days, orders, amount; a quantile with more than six decimals is truncated

---------------------------------------------------------------- rfm_score

-- @value_type type=rfm_score layout="INTERNALLENGTH = 4, PASSEDBYVALUE, STORAGE = plain" like=int4 send="'int4send' LANGUAGE internal" order=btint4cmp hash=hashint4 sorted="by recency, frequency, monetary score"

COMMENT ON TYPE crm_profile.rfm_score IS
	'recency, frequency and monetary score of a customer as three digits, the best score highest: 545; it knows its number of bins';

---------------------------------------------------------------- scores: parts and casts

CREATE FUNCTION crm_profile.r_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE; -- the recency score, from 1 (worst) to the number of bins (best)
CREATE FUNCTION crm_profile.f_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE; -- the frequency score, from 1 (worst) to the number of bins (best)
CREATE FUNCTION crm_profile.m_score(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE; -- the monetary score, from 1 (worst) to the number of bins (best)
CREATE FUNCTION crm_profile.bins(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME', 'rfm_score_bins' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE; -- the number of bins that the score was made with

CREATE FUNCTION crm_profile.rfm_score(r integer, f integer, m integer, bins integer DEFAULT 5) RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME', 'rfm_score_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a score from its three parts, each from 1 to bins

CREATE FUNCTION crm_profile_internal.rfm_score_to_integer(score crm_profile.rfm_score) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE; -- the three scores as the digits of a number, such as 545
CREATE CAST (crm_profile.rfm_score AS integer) WITH FUNCTION crm_profile_internal.rfm_score_to_integer(crm_profile.rfm_score);
COMMENT ON CAST (crm_profile.rfm_score AS integer) IS 'the three scores as the digits of a number, such as 545';

---------------------------------------------------------------- scoring

CREATE FUNCTION crm_profile.rfm_score(history crm_profile.purchase_history, model crm_profile.rfm_model, as_of date)
	RETURNS crm_profile.rfm_score
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12; -- the score of a customer on that day; NULL without a purchase by then, or in the period of the model

CREATE FUNCTION crm_profile.purchase_pattern(history crm_profile.purchase_history, model crm_profile.rfm_model, as_of date)
	RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12; -- few large, many small, many large or few small: whether number and average value of the orders are above the medians of the model

---------------------------------------------------------------- fitting

CREATE FUNCTION crm_profile_internal.rfm_fit_combine(a internal, b internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.rfm_fit_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.rfm_fit_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.rfm_fit_finalfn(state internal) RETURNS crm_profile.rfm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.rfm_fit_combine IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile_internal.rfm_fit_serialize IS 'aggregate serialization function';
COMMENT ON FUNCTION crm_profile_internal.rfm_fit_deserialize IS 'aggregate deserialization function';
COMMENT ON FUNCTION crm_profile_internal.rfm_fit_finalfn IS 'aggregate final function';

-- @aggregate name=rfm_fit cost=5 more="COMBINEFUNC = crm_profile_internal.rfm_fit_combine, SERIALFUNC = crm_profile_internal.rfm_fit_serialize, DESERIALFUNC = crm_profile_internal.rfm_fit_deserialize," arguments="history crm_profile.purchase_history, as_of date"
--	comment="a model of five bins: thresholds at the quintiles (type 7, percentile_cont) of all customers with a purchase by as_of; NULL if there is none"
-- @again arguments="history crm_profile.purchase_history, as_of date, bins integer"
--	comment="a model of 2 to 9 bins: thresholds at the quantiles (type 7, percentile_cont) of all customers with a purchase by as_of; NULL if there is none"
-- @again arguments="history crm_profile.purchase_history, as_of date, bins integer, period interval"
--	comment="a model of 2 to 9 bins over the period that ends with as_of: thresholds at the quantiles of all customers with an order in it; NULL if there is none"
