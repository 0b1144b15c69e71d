
---------------------------------------------------------------- match_model: who is likely to be a target

-- @value_type type=match_model layout="STORAGE = extended" wire=STABLE

COMMENT ON TYPE crm_profile.match_model IS
	'a fitted scorecard: the chance of being a target as a sum of points for the bins of a profile''s attributes, with its cross-validated quality';

---------------------------------------------------------------- match_fit

CREATE FUNCTION crm_profile_internal.match_fit_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.match_fit_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.match_fit_deserialize(state bytea, unused internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.match_fit_finalfn(state internal) RETURNS crm_profile.match_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=match_fit space=1048576 more="COMBINEFUNC = crm_profile_internal.match_fit_combine, SERIALFUNC = crm_profile_internal.match_fit_serialize, DESERIALFUNC = crm_profile_internal.match_fit_deserialize," arguments="profile crm_profile.profile, is_target boolean"
--	comment="a regularised logistic scorecard, cross-validated, without the names of attributes; rows with a NULL are counted as skipped, no rows give NULL, a single class is an error"
-- @again arguments="profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model"
--	comment="a regularised logistic scorecard, cross-validated, that carries the profile_model for names and words; rows with a NULL are counted as skipped, no rows give NULL, a single class is an error"
-- @again arguments="profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model, options jsonb"
--	comment="the same with bins that are given (options of the first row): special values with bins of their own, breaks of ranges or groups of words"
-- @again variant=_value arguments="profile crm_profile.profile, value double precision"
--	comment="a card whose points are values: regularised least squares, cross-validated, without the names of attributes; rows with a NULL are counted as skipped, no rows give NULL, values that are all equal are an error"
-- @again variant=_value arguments="profile crm_profile.profile, value double precision, profile_model crm_profile.profile_model"
--	comment="a card whose points are values: regularised least squares, cross-validated, that carries the profile_model for names and words"
-- @again variant=_value arguments="profile crm_profile.profile, value double precision, profile_model crm_profile.profile_model, options jsonb"
--	comment="a card whose points are values, with bins that are given (options of the first row)"

CREATE FUNCTION crm_profile_internal.match_fit_quiet_finalfn(state internal) RETURNS crm_profile.match_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.match_fit_quiet(profile crm_profile.profile, is_target boolean, profile_model crm_profile.profile_model, options jsonb) (
	SFUNC = crm_profile_internal.match_fit_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.match_fit_quiet_finalfn,
	PARALLEL = SAFE); -- match_fit() without warnings

---------------------------------------------------------------- profiles under a model

CREATE FUNCTION crm_profile.match_score(profile crm_profile.profile, model crm_profile.match_model) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the chance of being a target, 0 to 1, or, by a card of values, the value expected; NULL for a NULL profile, an error for a profile of another profile_model
CREATE FUNCTION crm_profile.match_lift(profile crm_profile.profile, model crm_profile.match_model) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- how many times likelier to be a target than the average customer of the fit: match_score / share of targets, or mean value
CREATE FUNCTION crm_profile.match_reasons(profile crm_profile.profile, model crm_profile.match_model, max_reasons integer DEFAULT 5) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- the strongest reasons for the score in words, first those that increase it, then those that decrease it, each with the share of targets, or the mean, among customers with the same value
CREATE FUNCTION crm_profile.match_reasons_json(profile crm_profile.profile, model crm_profile.match_model, max_reasons integer DEFAULT 5) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- the strongest reasons for the score as an array of objects: attribute, value, bin, points, rows, rate (of a card of values mean)
CREATE FUNCTION crm_profile.explain_match(profile crm_profile.profile, model crm_profile.match_model,
	OUT attribute text, OUT value text, OUT bin text, OUT points double precision, OUT rows bigint, OUT rate double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- each attribute of the card with the value in the profile, its bin and points (log-odds, or values), and the rows and share of targets, or mean, of that bin

CREATE FUNCTION crm_profile.match_points(profile crm_profile.profile, model crm_profile.match_model,
	points_at_even_odds double precision DEFAULT 600, points_to_double_odds double precision DEFAULT 20) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the score on the scale of scorecards: 600 points at odds of 1:1, 20 points more double the odds; an error for a card of values
CREATE FUNCTION crm_profile.woe(profile crm_profile.profile, model crm_profile.match_model, OUT attribute text, OUT bin text, OUT woe double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- each attribute of the card with the bin that the profile falls into and its weight of evidence; 0 for a bin without rows in the fit; an error for a card of values
CREATE FUNCTION crm_profile.match_changes(profile crm_profile.profile, model crm_profile.match_model, score double precision, changeable text[],
	OUT attribute text, OUT value text, OUT change_to text, OUT score_then double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 3; -- the fewest changes of the attributes given that would lift the profile to a score, the largest first, each with the score after it; all that help where none suffice; no rows if it has the score

---------------------------------------------------------------- the model itself

CREATE FUNCTION crm_profile.match_card(model crm_profile.match_model,
	OUT attribute text, OUT bin text, OUT rows bigint, OUT targets bigint, OUT rate double precision,
	OUT woe double precision, OUT points double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 50; -- the scorecard: each bin of each attribute with rows, targets, share of targets, weight of evidence, and points (log-odds against the average customer); of a card of values the mean as rate, points as values, no targets and weights of evidence
CREATE FUNCTION crm_profile.match_deciles(model crm_profile.match_model,
	OUT decile integer, OUT rows bigint, OUT targets bigint, OUT rate double precision, OUT expected_rate double precision,
	OUT lift double precision, OUT cumulative_targets double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- lift and calibration by tenth of the cross-validated scores, the highest first: share of targets (or mean value) found and expected, lift, share of all targets (or of the sum of values) so far
CREATE FUNCTION crm_profile.match_quality(model crm_profile.match_model,
	OUT rows bigint, OUT targets bigint, OUT base_rate double precision, OUT attributes integer, OUT auc double precision,
	OUT log_loss double precision, OUT base_log_loss double precision, OUT intercept double precision,
	OUT prior_variance double precision, OUT skipped bigint, OUT shrinkage double precision,
	OUT r_squared double precision, OUT rmse double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- quality of the model on customers that it has not seen (5-fold cross-validation, bins and prior variance included): AUC, log loss, log loss of the base rate alone; of a card of values R² and root mean squared error

---------------------------------------------------------------- prospects

CREATE FUNCTION crm_profile.match_places(profile crm_profile.profile, model crm_profile.match_model, OUT attribute text, OUT place text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- the values of a profile: for each attribute of the card its value, its range if it is a number, or each member of a set; missing values are left out

CREATE FUNCTION crm_profile_internal.likeness(profile crm_profile.profile, model crm_profile.match_model) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the points of a profile as a profile: the distance of two of them is the sum of the differences in points

CREATE FUNCTION crm_profile.match_prospects(key anyelement, customers text, prospects text,
	method text DEFAULT 'scorecard', max_rows integer DEFAULT NULL, options jsonb DEFAULT NULL,
	OUT prospect anyelement, OUT score double precision, OUT lift double precision, OUT rank integer, OUT decile integer,
	OUT nearest_customer anyelement, OUT similarity double precision, OUT reasons text, OUT reasons_json jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 1000; -- prospects ranked by their similarity to the customers whose is_target is true, with reasons; both queries return the key first, of the type of the first argument, and attributes by name; prospects who are already customers are left out and counted in a notice

CREATE FUNCTION crm_profile.where_to_find(key anyelement, customers text, prospects text,
	share double precision DEFAULT 0.1, options jsonb DEFAULT NULL,
	OUT attribute text, OUT value text, OUT prospects_there bigint, OUT look_alikes bigint,
	OUT share_of_prospects double precision, OUT share_of_look_alikes double precision, OUT concentration double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100000 ROWS 20; -- attribute values with more look-alikes (prospects with the best scores) than their share of all prospects, most informative first

CREATE FUNCTION crm_profile.match_trial(key anyelement, customers text, method text DEFAULT 'scorecard', options jsonb DEFAULT NULL, resamples integer DEFAULT 1,
	OUT share double precision, OUT people bigint, OUT found bigint, OUT "precision" double precision, OUT recall double precision,
	OUT lift double precision, OUT lift_of_half double precision, OUT lift_of_quarter double precision, OUT stability double precision, OUT advice text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 5
	-- what all the runs would say of the same customers; and seconds of compiling, in which no cancel is heard
	SET client_min_messages = error SET jit = off; -- how well match_prospects finds customers that it has not seen (five folds): precision, recall and lift of the best 1, 5, 10, 20 and 50 %, what a half and a quarter of the targets would give, and how many of the same people two halves choose; targets are dealt out anew by each resample

---------------------------------------------------------------- models for readers

CREATE TYPE crm_profile_internal.sealed_models;
CREATE FUNCTION crm_profile_internal.sealed_models_in(text cstring) RETURNS crm_profile_internal.sealed_models
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- I/O
CREATE FUNCTION crm_profile_internal.sealed_models_out(value crm_profile_internal.sealed_models) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- I/O
CREATE FUNCTION crm_profile_internal.sealed_models_recv(message internal) RETURNS crm_profile_internal.sealed_models
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- I/O
CREATE FUNCTION crm_profile_internal.sealed_models_send(value crm_profile_internal.sealed_models) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- I/O
CREATE TYPE crm_profile_internal.sealed_models (
	INPUT = crm_profile_internal.sealed_models_in,
	OUTPUT = crm_profile_internal.sealed_models_out,
	RECEIVE = crm_profile_internal.sealed_models_recv,
	SEND = crm_profile_internal.sealed_models_send,
	ALIGNMENT = int4,
	STORAGE = main
);
COMMENT ON TYPE crm_profile_internal.sealed_models IS 'models that know attributes, those that prospect_match scores by: readers can use them and cannot read them';
CREATE FUNCTION crm_profile_internal.seal_models(profile crm_profile.profile_model, match crm_profile.match_model) RETURNS crm_profile_internal.sealed_models
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 10; -- both models in a form that can be used and not read
CREATE FUNCTION crm_profile_internal.profile(customer record, models crm_profile_internal.sealed_models) RETURNS crm_profile.profile
	AS 'MODULE_PATHNAME', 'profile_from_sealed' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20; -- profile() by sealed models
CREATE FUNCTION crm_profile_internal.match_score(profile crm_profile.profile, models crm_profile_internal.sealed_models) RETURNS double precision
	AS 'MODULE_PATHNAME', 'match_score_sealed' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- match_score() by sealed models
CREATE FUNCTION crm_profile_internal.match_lift(profile crm_profile.profile, models crm_profile_internal.sealed_models) RETURNS double precision
	AS 'MODULE_PATHNAME', 'match_lift_sealed' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- match_lift() by sealed models
CREATE FUNCTION crm_profile_internal.match_reasons(profile crm_profile.profile, models crm_profile_internal.sealed_models, max_reasons integer) RETURNS text
	AS 'MODULE_PATHNAME', 'match_reasons_sealed' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- match_reasons() by sealed models
