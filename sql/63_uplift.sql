
---------------------------------------------------------------- uplift_model: what a treatment changes, for whom

-- @value_type type=uplift_model layout="STORAGE = extended" wire=STABLE

COMMENT ON TYPE crm_profile.uplift_model IS
	'what a treatment changes, as a sum of points for the bins of a profile''s attributes, with its cross-fitted quality';

CREATE FUNCTION crm_profile_internal.uplift_fit_finalfn(state internal) RETURNS crm_profile.uplift_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function

-- @aggregate name=uplift_fit space=1048576 arguments="profile crm_profile.profile, treated boolean, outcome boolean"
--	comment="what a treatment drawn at random changes for whom, cross-fitted, without the names of attributes; an empty model where nothing is found; rows with a NULL are counted as skipped, no rows give NULL, a single arm is an error"
-- @again arguments="profile crm_profile.profile, treated boolean, outcome boolean, profile_model crm_profile.profile_model"
--	comment="what a treatment drawn at random changes for whom, cross-fitted; an empty model where nothing is found; rows with a NULL are counted as skipped, no rows give NULL, a single arm is an error"
-- @again variant=_value arguments="profile crm_profile.profile, treated boolean, outcome double precision"
--	comment="the same for an outcome that is a value, without the names of attributes"
-- @again variant=_value arguments="profile crm_profile.profile, treated boolean, outcome double precision, profile_model crm_profile.profile_model"
--	comment="the same for an outcome that is a value"

---------------------------------------------------------------- profiles under a model

CREATE FUNCTION crm_profile.uplift_score(profile crm_profile.profile, model crm_profile.uplift_model) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- what the treatment is expected to change: the difference of the outcome with and without it
CREATE FUNCTION crm_profile.uplift_group(profile crm_profile.profile, model crm_profile.uplift_model, pays_from double precision DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10; -- persuadable (uplift of at least pays_from, by default the mean), sure (less, but an outcome above the mean anyway), lost (less, and below), do not disturb (not above 0), cannot tell (the model is empty)
CREATE FUNCTION crm_profile.uplift_reasons(profile crm_profile.profile, model crm_profile.uplift_model, max_reasons integer DEFAULT 5) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- the strongest reasons for the score in words, first those that increase it, then those that decrease it, each with its points in the unit of the outcome
CREATE FUNCTION crm_profile.explain_uplift(profile crm_profile.profile, model crm_profile.uplift_model,
	OUT attribute text, OUT value text, OUT bin text, OUT treated bigint, OUT control bigint,
	OUT treated_mean double precision, OUT control_mean double precision, OUT points double precision, OUT response_points double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- each attribute of the card with the value in the profile and its bin: rows and mean outcomes of both arms, points of the uplift and of the outcome without treatment

---------------------------------------------------------------- the model itself

CREATE FUNCTION crm_profile.uplift_card(model crm_profile.uplift_model,
	OUT attribute text, OUT bin text, OUT treated bigint, OUT control bigint,
	OUT treated_mean double precision, OUT control_mean double precision, OUT points double precision, OUT response_points double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 50; -- each bin of each attribute with the rows and mean outcomes of both arms (NULL below five rows), points of the uplift and of the outcome without treatment, against the average row
CREATE FUNCTION crm_profile.uplift_deciles(model crm_profile.uplift_model,
	OUT decile integer, OUT uplift double precision, OUT uplift_low double precision, OUT uplift_high double precision,
	OUT expected_uplift double precision, OUT gain double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10; -- uplift by tenth of the cross-fitted scores, the highest first, with its 95 % interval, what the scores expected, and the outcomes that treating everybody so far adds
CREATE FUNCTION crm_profile.uplift_quality(model crm_profile.uplift_model,
	OUT rows bigint, OUT treated bigint, OUT control bigint, OUT treated_mean double precision, OUT control_mean double precision,
	OUT effect double precision, OUT effect_low double precision, OUT effect_high double precision, OUT verdict text, OUT attributes integer,
	OUT qini double precision, OUT qini_low double precision, OUT qini_high double precision,
	OUT auuc double precision, OUT auuc_low double precision, OUT auuc_high double precision,
	OUT uplift_10 double precision, OUT uplift_10_low double precision, OUT uplift_10_high double precision,
	OUT uplift_30 double precision, OUT uplift_30_low double precision, OUT uplift_30_high double precision,
	OUT response_30 double precision, OUT prior_deviation double precision, OUT shrinkage double precision, OUT balance double precision, OUT skipped bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- the mean effect, and what choosing by cross-fitted uplift adds: Qini, AUUC, uplift of the best 10 and 30 %, each with its 95 % interval; NULL where nothing can be said
