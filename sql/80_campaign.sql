-- Campaigns: whom to address, and what it changed

---------------------------------------------------------------- campaign_lift

CREATE TYPE crm_profile.campaign_lift AS ( -- what is known of a campaign with a control group: counts and exact sums, from campaign_lift()
	treated bigint, -- number of treated customers
	treated_responses bigint, -- how many of them responded
	treated_value numeric, -- sum of their values; NULL: no values given
	treated_value_squares numeric, -- sum of the squares
	treated_past_value numeric, -- sum of their past values; NULL: none given
	treated_past_value_squares numeric, -- sum of the squares
	treated_value_products numeric, -- sum of value × past value
	control bigint, -- number of control customers
	control_responses bigint, -- the same for these
	control_value numeric, -- the same for these
	control_value_squares numeric, -- the same for these
	control_past_value numeric, -- the same for these
	control_past_value_squares numeric, -- the same for these
	control_value_products numeric -- the same for these
);

CREATE FUNCTION crm_profile_internal.campaign_lift_combine(a internal, b internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.campaign_lift_combine IS 'aggregate combine function';
CREATE FUNCTION crm_profile_internal.campaign_lift_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.campaign_lift_serialize IS 'aggregate serial function';
CREATE FUNCTION crm_profile_internal.campaign_lift_deserialize(bytes bytea, state internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.campaign_lift_deserialize IS 'aggregate deserial function';
CREATE FUNCTION crm_profile_internal.campaign_lift_finalfn(state internal) RETURNS crm_profile.campaign_lift
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.campaign_lift_finalfn IS 'aggregate final function';

-- @aggregate name=campaign_lift space=512 more="COMBINEFUNC = crm_profile_internal.campaign_lift_combine, SERIALFUNC = crm_profile_internal.campaign_lift_serialize, DESERIALFUNC = crm_profile_internal.campaign_lift_deserialize," arguments="treated boolean, responded boolean"
--	comment="a campaign, from its customers: treated or control group, and who responded; rows that are neither are skipped, a NULL response is none"
-- @again arguments="treated boolean, responded boolean, value numeric"
--	comment="a campaign, with what each customer spent after contact; NULL: nothing"
-- @again arguments="treated boolean, responded boolean, value numeric, past_value numeric"
--	comment="a campaign, also with what each customer spent before contact, which takes chance off the comparison; NULL: nothing"

---------------------------------------------------------------- responses

CREATE FUNCTION crm_profile_internal.share_test(responses bigint, customers bigint, other_responses bigint, other_customers bigint,
	OUT test text, OUT statistic double precision, OUT p_value double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile_internal.share_test IS 'whether two shares differ: two-proportion z, or Fisher where an expected count is below 5; NULLs for an empty group, or if nobody or everybody responded';
CREATE FUNCTION crm_profile_internal.newcombe_interval(responses bigint, customers bigint, other_responses bigint, other_customers bigint, level double precision,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile_internal.newcombe_interval IS 'hybrid score interval of the difference of two shares (Newcombe 1998, method 10); NULLs for an empty group';

CREATE FUNCTION crm_profile.response_rate(lift crm_profile.campaign_lift, treated boolean DEFAULT true) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN treated THEN (lift).treated_responses::double precision / NULLIF((lift).treated, 0) ELSE (lift).control_responses::double precision / NULLIF((lift).control, 0) END;
COMMENT ON FUNCTION crm_profile.response_rate IS 'share of the treated customers who responded, or of the control group; NULL for an empty group';
CREATE FUNCTION crm_profile.absolute_lift(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated_responses::double precision / NULLIF((lift).treated, 0) - (lift).control_responses::double precision / NULLIF((lift).control, 0);
COMMENT ON FUNCTION crm_profile.absolute_lift IS 'response rate of the treated less that of the control group; NULL if either is empty';
CREATE FUNCTION crm_profile.relative_lift(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN crm_profile.absolute_lift(lift) / NULLIF((lift).control_responses, 0) * (lift).control;
COMMENT ON FUNCTION crm_profile.relative_lift IS 'absolute_lift / response rate of the control group; NULL if nobody there responded';
CREATE FUNCTION crm_profile.lift_interval(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT lower double precision, OUT upper double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT i.lower, i.upper FROM crm_profile_internal.newcombe_interval((lift).treated_responses, (lift).treated, (lift).control_responses, (lift).control, level) i;
	END;
COMMENT ON FUNCTION crm_profile.lift_interval IS 'confidence interval of absolute_lift: Newcombe''s hybrid score interval; NULLs if a group is empty';
CREATE FUNCTION crm_profile.lift_test(lift crm_profile.campaign_lift, OUT test text, OUT statistic double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT t.test, t.statistic, t.p_value FROM crm_profile_internal.share_test((lift).treated_responses, (lift).treated, (lift).control_responses, (lift).control) t;
	END;
COMMENT ON FUNCTION crm_profile.lift_test IS 'whether the response rates differ: two-proportion z test, or Fisher''s exact test where an expected count is below 5, with its two-sided p-value; NULLs if a group is empty, or nobody or everybody responded';
CREATE FUNCTION crm_profile.incremental_responses(lift crm_profile.campaign_lift) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated * crm_profile.absolute_lift(lift);
COMMENT ON FUNCTION crm_profile.incremental_responses IS 'responses of the treated customers that there would not have been without the campaign: treated × absolute_lift';

---------------------------------------------------------------- value

CREATE FUNCTION crm_profile.incremental_value(lift crm_profile.campaign_lift) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (lift).treated_value - (lift).control_value * (lift).treated / NULLIF((lift).control, 0);
COMMENT ON FUNCTION crm_profile.incremental_value IS 'value of the treated customers beyond what they would have spent without the campaign, by the mean of the control group; NULL without values or if that is empty';
CREATE FUNCTION crm_profile.campaign_roi(lift crm_profile.campaign_lift, cost numeric, margin numeric DEFAULT 1) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN (lift).treated > 0 THEN ((crm_profile.incremental_value(lift) * margin - cost) / NULLIF(cost, 0))::double precision END;
COMMENT ON FUNCTION crm_profile.campaign_roi IS '(incremental_value × margin - cost) / cost, with the cost of the whole campaign; NULL for no cost, no values or an empty group';

CREATE FUNCTION crm_profile_internal.student_test(difference double precision, error double precision, df double precision, level double precision,
	OUT lower double precision, OUT upper double precision, OUT t double precision, OUT p_value double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile_internal.student_test IS 'Student''s t of a difference with its standard error, two-sided; NULLs if that is not positive';

CREATE FUNCTION crm_profile_internal.sample_variance(n bigint, total numeric, squares numeric) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN n > 1 THEN (n * squares - total * total) / (n::numeric * (n - 1)) END;
COMMENT ON FUNCTION crm_profile_internal.sample_variance IS 'sample variance from exact sums; of two variables their covariance, with the products for the squares and both totals multiplied';

CREATE FUNCTION crm_profile_internal.welch_test(difference numeric, variance numeric, n bigint, other_variance numeric, other_n bigint, level double precision,
	OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT s.lower, s.upper, s.t, CASE WHEN s.t IS NOT NULL THEN w.df END, s.p_value
		FROM (SELECT (variance / n)::double precision AS a, (other_variance / other_n)::double precision AS b) v,
			LATERAL (SELECT (v.a + v.b) ^ 2 / NULLIF(v.a ^ 2 / (n - 1) + v.b ^ 2 / (other_n - 1), 0) AS df) w,
			LATERAL crm_profile_internal.student_test(difference::double precision, sqrt(v.a + v.b), w.df, level) s
		WHERE n > 1 AND other_n > 1;
	END;
COMMENT ON FUNCTION crm_profile_internal.welch_test IS 'Welch''s t test of a difference of means; NULLs for fewer than two customers in a group, or without any spread';

CREATE FUNCTION crm_profile.value_test(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT treated_mean double precision, OUT control_mean double precision,
	OUT difference double precision, OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT m.treated::double precision, m.control::double precision, (m.treated - m.control)::double precision, w.lower, w.upper, w.t, w.df, w.p_value
		FROM (SELECT (lift).treated_value / NULLIF((lift).treated, 0) AS treated, (lift).control_value / NULLIF((lift).control, 0) AS control) m
			LEFT JOIN LATERAL crm_profile_internal.welch_test(m.treated - m.control,
				crm_profile_internal.sample_variance((lift).treated, (lift).treated_value, (lift).treated_value_squares), (lift).treated,
				crm_profile_internal.sample_variance((lift).control, (lift).control_value, (lift).control_value_squares), (lift).control, level) w ON true;
	END;
COMMENT ON FUNCTION crm_profile.value_test IS 'whether the mean value differs: means of treated and control group, their difference with its interval, and Welch''s t test; NULLs where a group is too small or has no spread';

CREATE FUNCTION crm_profile.adjusted_value_test(lift crm_profile.campaign_lift, level double precision DEFAULT 0.95, OUT slope double precision,
	OUT difference double precision, OUT lower double precision, OUT upper double precision, OUT t double precision, OUT df double precision, OUT p_value double precision, OUT variance_left double precision)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	BEGIN ATOMIC
		WITH v AS (
			SELECT crm_profile_internal.sample_variance((lift).treated, (lift).treated_value, (lift).treated_value_squares) AS tv,
				crm_profile_internal.sample_variance((lift).treated, (lift).treated_past_value, (lift).treated_past_value_squares) AS tp,
				((lift).treated * (lift).treated_value_products - (lift).treated_value * (lift).treated_past_value) / NULLIF((lift).treated::numeric * ((lift).treated - 1), 0) AS tc,
				crm_profile_internal.sample_variance((lift).control, (lift).control_value, (lift).control_value_squares) AS cv,
				crm_profile_internal.sample_variance((lift).control, (lift).control_past_value, (lift).control_past_value_squares) AS cp,
				((lift).control * (lift).control_value_products - (lift).control_value * (lift).control_past_value) / NULLIF((lift).control::numeric * ((lift).control - 1), 0) AS cc),
		s AS (
			SELECT v.*, (((lift).treated - 1) * v.tc + ((lift).control - 1) * v.cc) / NULLIF(((lift).treated - 1) * v.tp + ((lift).control - 1) * v.cp, 0) AS slope FROM v),
		a AS (
			SELECT s.slope, s.tv - 2 * s.slope * s.tc + s.slope ^ 2 * s.tp AS treated_left, s.cv - 2 * s.slope * s.cc + s.slope ^ 2 * s.cp AS control_left,
				(lift).treated_value / NULLIF((lift).treated, 0) - (lift).control_value / NULLIF((lift).control, 0)
					- s.slope * ((lift).treated_past_value / NULLIF((lift).treated, 0) - (lift).control_past_value / NULLIF((lift).control, 0)) AS difference,
				s.tv / NULLIF((lift).treated, 0) + s.cv / NULLIF((lift).control, 0) AS before FROM s)
		SELECT a.slope::double precision, a.difference::double precision, w.lower, w.upper, w.t, w.df, w.p_value, ((a.treated_left / (lift).treated + a.control_left / (lift).control) / NULLIF(a.before, 0))::double precision
		FROM a LEFT JOIN LATERAL crm_profile_internal.welch_test(a.difference, a.treated_left, (lift).treated, a.control_left, (lift).control, level) w ON true;
	END;
COMMENT ON FUNCTION crm_profile.adjusted_value_test IS
	'value_test of value - slope × past_value, which takes off what was known before contact (CUPED): slope of value by past value within the groups, difference, interval, test, and the share of variance left; NULLs without past values or if they do not vary';

---------------------------------------------------------------- checks and words

CREATE FUNCTION crm_profile_internal.normal_p_value(z double precision) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.normal_p_value IS 'the two-sided p-value of a standard normal';

CREATE FUNCTION crm_profile.sample_ratio_p_value(lift crm_profile.campaign_lift, control_share double precision) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN control_share > 0 AND control_share < 1 THEN crm_profile_internal.normal_p_value(((lift).control - ((lift).treated + (lift).control) * control_share)
		/ sqrt(NULLIF((lift).treated + (lift).control, 0) * control_share * (1 - control_share))) END;
COMMENT ON FUNCTION crm_profile.sample_ratio_p_value IS
	'whether the control group has the share that it was to have (chi-square test): a value below .001 says that something went wrong with the groups, and no result can be relied on; NULL for a share of 0 or 1';

CREATE FUNCTION crm_profile.lift_verdict(lift crm_profile.campaign_lift, p_value double precision DEFAULT NULL) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE
		WHEN coalesce((lift).control, 0) = 0 THEN 'response, not effect: no control group'
		WHEN (lift).treated = 0 THEN 'cannot tell: nobody was treated'
		WHEN (lift).treated_responses + (lift).control_responses = 0 THEN 'cannot tell: nobody responded'
		WHEN (lift).treated_responses + (lift).control_responses = (lift).treated + (lift).control THEN 'cannot tell: everybody responded'
		WHEN coalesce(lift_verdict.p_value, (SELECT t.p_value FROM crm_profile.lift_test(lift) t)) < 0.05 THEN CASE WHEN crm_profile.absolute_lift(lift) > 0 THEN 'worked' ELSE 'did harm' END
		WHEN (SELECT i.upper FROM crm_profile.lift_interval(lift) i) < 0.1 * crm_profile.response_rate(lift, false) THEN 'did not work'
		ELSE 'cannot tell' END;
COMMENT ON FUNCTION crm_profile.lift_verdict IS
	'the result in words: worked, did harm (p-value below .05), did not work (at most a tenth more responses than without, by the 95 % interval), cannot tell; p_value: in place of that of lift_test, such as one adjusted for several segments';

---------------------------------------------------------------- power: what an audience can show

CREATE FUNCTION crm_profile.lift_power(base_rate double precision, lift double precision, treated bigint, control bigint, level double precision DEFAULT 0.95) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.lift_power IS 'the chance that a campaign with this true lift of the response rate, over base_rate without it, is found to differ at the level; NULL for an empty group';
CREATE FUNCTION crm_profile.detectable_lift(base_rate double precision, treated bigint, control bigint, power double precision DEFAULT 0.8, level double precision DEFAULT 0.95) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION crm_profile.detectable_lift IS 'the smallest lift of the response rate that groups of this size show with this power; NULL if they cannot show any';
CREATE FUNCTION crm_profile.customers_needed(base_rate double precision, lift double precision, control_share double precision DEFAULT 0.5, power double precision DEFAULT 0.8, level double precision DEFAULT 0.95) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.customers_needed IS 'customers, both groups together, with whom a campaign of this lift is found with this power; NULL without a control group or a lift';
