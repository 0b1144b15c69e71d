
---------------------------------------------------------------- match_model: who is likely to be a target

CREATE TYPE crm_profile.match_model;

CREATE FUNCTION crm_profile.match_model_in(text cstring) RETURNS crm_profile.match_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_out(model crm_profile.match_model) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_recv(message internal) RETURNS crm_profile.match_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_send(model crm_profile.match_model) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE crm_profile.match_model (
	INPUT = crm_profile.match_model_in,
	OUTPUT = crm_profile.match_model_out,
	RECEIVE = crm_profile.match_model_recv,
	SEND = crm_profile.match_model_send,
	ALIGNMENT = int4,
	STORAGE = extended
);

COMMENT ON TYPE crm_profile.match_model IS
	'a fitted scorecard: the chance of being a target as a sum of points for the bins of a profile''s attributes, with its cross-validated quality';
COMMENT ON FUNCTION crm_profile.match_model_in(cstring) IS 'I/O';
COMMENT ON FUNCTION crm_profile.match_model_out(crm_profile.match_model) IS 'I/O';
COMMENT ON FUNCTION crm_profile.match_model_recv(internal) IS 'I/O';
COMMENT ON FUNCTION crm_profile.match_model_send(crm_profile.match_model) IS 'I/O';

---------------------------------------------------------------- comparison: equal contents have equal bytes

CREATE FUNCTION crm_profile.match_model_eq(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_ne(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_lt(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_le(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_gt(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_ge(a crm_profile.match_model, b crm_profile.match_model) RETURNS boolean
	AS 'MODULE_PATHNAME', 'value_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_cmp(a crm_profile.match_model, b crm_profile.match_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_hash(value crm_profile.match_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'value_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_model_hash_extended(value crm_profile.match_model, seed bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'value_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;

CREATE OPERATOR crm_profile.= (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_eq,
	COMMUTATOR = OPERATOR(crm_profile.=), NEGATOR = OPERATOR(crm_profile.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR crm_profile.<> (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_ne,
	COMMUTATOR = OPERATOR(crm_profile.<>), NEGATOR = OPERATOR(crm_profile.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR crm_profile.< (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_lt,
	COMMUTATOR = OPERATOR(crm_profile.>), NEGATOR = OPERATOR(crm_profile.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR crm_profile.<= (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_le,
	COMMUTATOR = OPERATOR(crm_profile.>=), NEGATOR = OPERATOR(crm_profile.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR crm_profile.> (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_gt,
	COMMUTATOR = OPERATOR(crm_profile.<), NEGATOR = OPERATOR(crm_profile.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR crm_profile.>= (LEFTARG = crm_profile.match_model, RIGHTARG = crm_profile.match_model, FUNCTION = crm_profile.match_model_ge,
	COMMUTATOR = OPERATOR(crm_profile.<=), NEGATOR = OPERATOR(crm_profile.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS crm_profile.match_model_ops DEFAULT FOR TYPE crm_profile.match_model USING btree AS
	OPERATOR 1 crm_profile.<, OPERATOR 2 crm_profile.<=, OPERATOR 3 crm_profile.=,
	OPERATOR 4 crm_profile.>=, OPERATOR 5 crm_profile.>,
	FUNCTION 1 crm_profile.match_model_cmp(crm_profile.match_model, crm_profile.match_model);
CREATE OPERATOR CLASS crm_profile.match_model_ops DEFAULT FOR TYPE crm_profile.match_model USING hash AS
	OPERATOR 1 crm_profile.=,
	FUNCTION 1 crm_profile.match_model_hash(crm_profile.match_model),
	FUNCTION 2 crm_profile.match_model_hash_extended(crm_profile.match_model, bigint);

COMMENT ON OPERATOR crm_profile.= (crm_profile.match_model, crm_profile.match_model) IS 'equal';
COMMENT ON FUNCTION crm_profile.match_model_eq(crm_profile.match_model, crm_profile.match_model) IS 'implementation of = operator';
COMMENT ON OPERATOR crm_profile.<> (crm_profile.match_model, crm_profile.match_model) IS 'not equal';
COMMENT ON FUNCTION crm_profile.match_model_ne(crm_profile.match_model, crm_profile.match_model) IS 'implementation of <> operator';
COMMENT ON OPERATOR crm_profile.< (crm_profile.match_model, crm_profile.match_model) IS 'less than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.match_model_lt(crm_profile.match_model, crm_profile.match_model) IS 'implementation of < operator';
COMMENT ON OPERATOR crm_profile.<= (crm_profile.match_model, crm_profile.match_model) IS 'less than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.match_model_le(crm_profile.match_model, crm_profile.match_model) IS 'implementation of <= operator';
COMMENT ON OPERATOR crm_profile.> (crm_profile.match_model, crm_profile.match_model) IS 'greater than (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.match_model_gt(crm_profile.match_model, crm_profile.match_model) IS 'implementation of > operator';
COMMENT ON OPERATOR crm_profile.>= (crm_profile.match_model, crm_profile.match_model) IS 'greater than or equal (order of the bytes, of no meaning but for sorting)';
COMMENT ON FUNCTION crm_profile.match_model_ge(crm_profile.match_model, crm_profile.match_model) IS 'implementation of >= operator';
COMMENT ON FUNCTION crm_profile.match_model_cmp(crm_profile.match_model, crm_profile.match_model) IS 'less-equal-greater';
COMMENT ON FUNCTION crm_profile.match_model_hash(crm_profile.match_model) IS 'hash';
COMMENT ON FUNCTION crm_profile.match_model_hash_extended(crm_profile.match_model, bigint) IS 'hash';
COMMENT ON OPERATOR CLASS crm_profile.match_model_ops USING btree IS 'default btree operator class of match_model';
COMMENT ON OPERATOR FAMILY crm_profile.match_model_ops USING btree IS 'default btree operator family of match_model';
COMMENT ON OPERATOR CLASS crm_profile.match_model_ops USING hash IS 'default hash operator class of match_model';
COMMENT ON OPERATOR FAMILY crm_profile.match_model_ops USING hash IS 'default hash operator family of match_model';

---------------------------------------------------------------- match_fit

CREATE FUNCTION crm_profile.match_fit_transfn(state internal, profile crm_profile.profile, is_target boolean) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_fit_transfn(state internal, profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile.match_fit_finalfn(state internal) RETURNS crm_profile.match_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.match_fit_transfn(internal, crm_profile.profile, boolean) IS 'aggregate transition function';
COMMENT ON FUNCTION crm_profile.match_fit_transfn(internal, crm_profile.profile, boolean, crm_profile.profile_model) IS 'aggregate transition function';
COMMENT ON FUNCTION crm_profile.match_fit_finalfn(internal) IS 'aggregate final function';

CREATE AGGREGATE crm_profile.match_fit(profile crm_profile.profile, is_target boolean) (
	SFUNC = crm_profile.match_fit_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile.match_fit_finalfn,
	PARALLEL = SAFE);
CREATE AGGREGATE crm_profile.match_fit(profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model) (
	SFUNC = crm_profile.match_fit_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile.match_fit_finalfn,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.match_fit(crm_profile.profile, boolean) IS
	'a regularised logistic scorecard, cross-validated, without the names of attributes; rows with a NULL are counted as skipped, no rows give NULL, one class only is an error';
COMMENT ON AGGREGATE crm_profile.match_fit(crm_profile.profile, boolean, crm_profile.profile_model) IS
	'a regularised logistic scorecard, cross-validated, that carries the profile_model for names and words; rows with a NULL are counted as skipped, no rows give NULL, one class only is an error';

---------------------------------------------------------------- what the model says about a profile

CREATE FUNCTION crm_profile.match_score(profile crm_profile.profile, model crm_profile.match_model) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.match_score(crm_profile.profile, crm_profile.match_model) IS
	'the chance of being a target, 0 to 1; NULL for a NULL profile, an error for a profile of another profile_model';
CREATE FUNCTION crm_profile.match_lift(profile crm_profile.profile, model crm_profile.match_model) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.match_lift(crm_profile.profile, crm_profile.match_model) IS
	'how many times likelier than the average customer of the fit: match_score / share of targets';
CREATE FUNCTION crm_profile.match_reasons(profile crm_profile.profile, model crm_profile.match_model, most integer DEFAULT 5) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION crm_profile.match_reasons(crm_profile.profile, crm_profile.match_model, integer) IS
	'the strongest reasons for the score in words, what pushes up and what pushes down, each with the share of targets among customers with the same';
CREATE FUNCTION crm_profile.match_reasons_json(profile crm_profile.profile, model crm_profile.match_model, most integer DEFAULT 5) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION crm_profile.match_reasons_json(crm_profile.profile, crm_profile.match_model, integer) IS
	'the strongest reasons for the score as an array of objects: attribute, value, bin, points, rows, rate';
CREATE FUNCTION crm_profile.explain_match(profile crm_profile.profile, model crm_profile.match_model,
	OUT attribute text, OUT value text, OUT bin text, OUT points double precision, OUT rows bigint, OUT rate double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10;
COMMENT ON FUNCTION crm_profile.explain_match(crm_profile.profile, crm_profile.match_model) IS
	'every attribute of the card with the profile''s value, its bin, the points it gives (log-odds), and the rows and share of targets of that bin';

---------------------------------------------------------------- what the model says about itself

CREATE FUNCTION crm_profile.match_card(model crm_profile.match_model,
	OUT attribute text, OUT bin text, OUT rows bigint, OUT targets bigint, OUT rate double precision,
	OUT woe double precision, OUT points double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 50;
COMMENT ON FUNCTION crm_profile.match_card(crm_profile.match_model) IS
	'the scorecard: each bin of each attribute with its rows, targets, their share, weight of evidence, and points (log-odds against the average customer)';
CREATE FUNCTION crm_profile.match_deciles(model crm_profile.match_model,
	OUT decile integer, OUT rows bigint, OUT targets bigint, OUT rate double precision, OUT expected_rate double precision,
	OUT lift double precision, OUT cumulative_targets double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10;
COMMENT ON FUNCTION crm_profile.match_deciles(crm_profile.match_model) IS
	'lift and calibration by tenth of the cross-validated scores, the highest first: share of targets found and expected, lift, share of all targets so far';
CREATE FUNCTION crm_profile.match_quality(model crm_profile.match_model,
	OUT rows bigint, OUT targets bigint, OUT base_rate double precision, OUT attributes integer, OUT auc double precision,
	OUT log_loss double precision, OUT base_log_loss double precision, OUT intercept double precision,
	OUT freedom double precision, OUT skipped bigint)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION crm_profile.match_quality(crm_profile.match_model) IS
	'how good the model is on customers it had not seen (5-fold cross-validation, bins and strength included): AUC, log loss, the log loss of knowing the base rate only';

---------------------------------------------------------------- prospects

CREATE FUNCTION crm_profile.match_places(profile crm_profile.profile, model crm_profile.match_model, OUT attribute text, OUT place text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10;
COMMENT ON FUNCTION crm_profile.match_places(crm_profile.profile, crm_profile.match_model) IS
	'where the profile stands: for each attribute of the card its value, or its range if it is a number, and each member of its sets; missing ones are left out';

CREATE FUNCTION crm_profile.match_prospects(key anyelement, customers text, prospects text,
	method text DEFAULT 'scorecard', most integer DEFAULT NULL, options jsonb DEFAULT NULL,
	OUT prospect anyelement, OUT score double precision, OUT lift double precision, OUT rank integer, OUT decile integer,
	OUT nearest_customer anyelement, OUT similarity double precision, OUT reasons text, OUT reasons_json jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 1000;
COMMENT ON FUNCTION crm_profile.match_prospects(anyelement, text, text, text, integer, jsonb) IS
	'prospects ranked by their likeness to the customers whose is_target is true, with reasons; both queries return the key first, of the type of the first argument, and attributes by name; who is a customer already is left out and counted in a notice';

CREATE FUNCTION crm_profile.where_to_find(key anyelement, customers text, prospects text,
	share double precision DEFAULT 0.1, options jsonb DEFAULT NULL,
	OUT attribute text, OUT value text, OUT prospects_there bigint, OUT look_alikes bigint,
	OUT share_of_prospects double precision, OUT share_of_look_alikes double precision, OUT concentration double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 20;
COMMENT ON FUNCTION crm_profile.where_to_find(anyelement, text, text, double precision, jsonb) IS
	'the values of attributes that hold more look-alikes (the best-scored share of the prospects) than their share of prospects, the most telling first';
