---------------------------------------------------------------- repeat purchase and value: what a customer will do and be worth

---------------------------------------------------------------- the type clv_model

-- @value_type type=clv_model layout="STORAGE = main" wire=STABLE

-- storage main, not plain: attributes can outgrow a page

COMMENT ON TYPE crm_profile.clv_model IS
	'a fitted model of repeat purchase (bg/nbd, mbg/nbd or pareto/nbd) with Gamma-Gamma spend: parameters, unit of time, what it was fitted to and how well';

CREATE FUNCTION crm_profile.clv_model(model text, parameters double precision[],
	spend_parameters double precision[] DEFAULT NULL, unit interval DEFAULT '1 week')
	RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- a model made from known parameters: r, alpha, a, b (bg/nbd, mbg/nbd) or r, alpha, s, beta (pareto/nbd); p, q, v of Gamma-Gamma; NULL without a name or parameters

CREATE FUNCTION crm_profile.clv_parameters(model crm_profile.clv_model,
	OUT part text, OUT parameter text, OUT estimate double precision, OUT standard_error double precision, OUT status text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 7; -- the parameters of a model, time in its unit, with standard errors from the observed information; estimates are NULL if the fit gave none

CREATE FUNCTION crm_profile.clv_model_card(fitted crm_profile.clv_model,
	OUT model text, OUT value text, OUT unit interval, OUT as_of date, OUT status text,
	OUT customers bigint, OUT repeaters bigint, OUT repeat_purchases bigint, OUT log_likelihood double precision,
	OUT spend_status text, OUT spend_customers bigint, OUT spend_excluded bigint, OUT spend_log_likelihood double precision,
	OUT mean_value double precision,
	OUT season text, OUT observed_from date, OUT early_customers bigint, OUT pace double precision, OUT spend_model text, OUT weighted_days bigint, OUT random_share double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- what a model is, what it was fitted to and how the fit ended; spend_excluded counts customers whose repeat purchases have no positive value, early_customers those who first bought before observed_from and are not in the fit; pace multiplies future time; weighted_days: how many days have a weight other than 1; random_share: of customers who buy at random, where they are split by regularity

CREATE FUNCTION crm_profile.clv_season(model crm_profile.clv_model, OUT month integer, OUT factor double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 12; -- the season of a model: purchase rate by month of the year relative to the mean, 1 in all months if the model has no season

CREATE FUNCTION crm_profile_internal.clv_model_is_known(model text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- whether clv_fit can be asked for a model of that name

---------------------------------------------------------------- the fit

CREATE FUNCTION crm_profile_internal.summary_state_combine(a bytea, b bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000;
CREATE FUNCTION crm_profile_internal.clv_fit_finalfn(state bytea) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000;
COMMENT ON FUNCTION crm_profile_internal.summary_state_combine IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile_internal.clv_fit_finalfn IS 'aggregate final function';

-- @aggregate name=clv_fit state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.summary_state_combine," arguments="history crm_profile.purchase_history, as_of date"
--	comment="the mbg/nbd model of the customers'' purchases up to as_of, in weeks; NULL histories and customers without a purchase by then are skipped"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text"
--	comment="the model (bg/nbd, mbg/nbd or pareto/nbd) of the customers'' purchases up to as_of, in weeks"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text, unit interval"
--	comment="the model (bg/nbd, mbg/nbd or pareto/nbd) of the customers'' purchases up to as_of, in the unit given"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text, unit interval, value text"
--	comment="the model of the customers'' purchases up to as_of, in the unit given; value is revenue or profit: what its predictions of value mean"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text, unit interval, value text, day_weights jsonb"
--	comment="the model where single days have weights, as jsonb_object_agg(day, weight) gives them: 0 for a day on which nobody can buy, 1.5 for one of a promotion; a NULL model, unit or value means the default"

---------------------------------------------------------------- the fit with attributes

CREATE FUNCTION crm_profile_internal.clv_fit_attributes_combine(state internal, other internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 1000; -- aggregate combine function
CREATE FUNCTION crm_profile_internal.clv_fit_attributes_serialize(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- aggregate serial function
CREATE FUNCTION crm_profile_internal.clv_fit_attributes_deserialize(state bytea, unused internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- aggregate deserial function
CREATE FUNCTION crm_profile_internal.clv_fit_attributes_finalfn(state internal) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100000; -- aggregate final function

-- @aggregate name=clv_fit support=clv_fit_attributes space=500000 volatility=STABLE cost=20 more="COMBINEFUNC = crm_profile_internal.clv_fit_attributes_combine, SERIALFUNC = crm_profile_internal.clv_fit_attributes_serialize, DESERIALFUNC = crm_profile_internal.clv_fit_attributes_deserialize," arguments="history crm_profile.purchase_history, as_of date, model text, unit interval, value text, attributes record"
--	comment="the model of the customers'' purchases up to as_of, with the effects of their attributes on the rates of buying and leaving; a NULL unit or value means the default; rows without attributes are skipped"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text, unit interval, value text, attributes record, options jsonb"
--	comment="the model of the customers'' purchases up to as_of, with the effects of their attributes and with options: ridge, the penalty on squared effects (default 0), and those of profile_fit"
-- @again arguments="history crm_profile.purchase_history, as_of date, model text, unit interval, value text, attributes record, options jsonb, day_weights jsonb"
--	comment="the model of the customers'' purchases up to as_of, with the effects of their attributes and where single days have weights"

CREATE FUNCTION crm_profile.with_attributes(model crm_profile.clv_model, attributes record) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100; -- the model for customers with these attributes, for every function that takes a model; a model without attributes is returned unchanged

CREATE FUNCTION crm_profile_internal.attribute_effects(model crm_profile.clv_model, attributes record, OUT buying double precision, OUT leaving double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50; -- what these attributes add to the logs of the rates of buying and of leaving
CREATE FUNCTION crm_profile_internal.with_effects(model crm_profile.clv_model, buying double precision, leaving double precision) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50; -- the model for customers with these effects; NULL effects: for the average customer

CREATE FUNCTION crm_profile_internal.without_attributes(model crm_profile.clv_model) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the model of the average customer, which says nothing of attributes

---------------------------------------------------------------- holdout

CREATE TYPE crm_profile.clv_holdout_line AS ( -- one line of a holdout test: forecast and actual purchase days and their value, in total, by frequency class, by decile of the forecast or by month
	part text, -- total, earlier total (an earlier test of the same length), frequency (by repeat purchases before the test), decile and value decile (by forecast of purchase days, of value), fitted month and forecast month (before and after fit_until)
	class text, -- class within the part; decile 1 has the lowest forecasts
	customers bigint, -- number of customers
	predicted double precision, -- forecast purchase days
	actual double precision, -- actual purchase days
	calibration double precision, -- actual / predicted
	mean_absolute_error double precision, -- mean over the customers of |actual - predicted|
	correlation double precision, -- correlation of actual and predicted over the customers; NULL if either is constant
	lower double precision, -- lower one of the bounds within which 95 % of actual totals should lie; totals only
	upper double precision, -- upper one of these bounds
	gini double precision, -- Gini coefficient of the actual purchase days in the order of the forecast, over that in their own order; totals only
	decile_error double precision, -- sum over deciles of |actual - predicted|, over all actual; totals only
	predicted_value double precision, -- forecast value of the purchases, in revenue or profit; NULL, like all columns that follow, if the model knows no values
	actual_value double precision, -- actual value, net of refunds
	value_calibration double precision, -- actual / predicted
	value_mean_absolute_error double precision, -- mean over the customers of |actual - predicted|
	value_correlation double precision, -- correlation of actual and predicted value over the customers
	value_lower double precision, -- as lower, for the value
	value_upper double precision, -- as upper, for the value
	value_gini double precision, -- as gini, for the value
	value_decile_error double precision -- as decile_error, by decile of the forecast value
);

CREATE FUNCTION crm_profile_internal.clv_holdout_finalfn(state bytea) RETURNS crm_profile.clv_holdout_line[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000; -- aggregate final function

CREATE FUNCTION crm_profile_internal.clv_record_combine(a bytea, b bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 1000; -- aggregate combine function
-- @aggregate name=clv_holdout state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.clv_record_combine," arguments="history crm_profile.purchase_history, fit_until date, as_of date"
--	comment="fits mbg/nbd to the purchases up to fit_until, forecasts those from then to as_of and compares with the actual ones; unnest() gives the lines"
-- @again arguments="history crm_profile.purchase_history, fit_until date, as_of date, model text"
--	comment="fits the model to the purchases up to fit_until, forecasts those from then to as_of and compares with the actual ones; unnest() gives the lines"
-- @again arguments="history crm_profile.purchase_history, fit_until date, as_of date, model text, unit interval"
--	comment="fits the model, in the unit given, to the purchases up to fit_until, forecasts those from then to as_of and compares with the actual ones; unnest() gives the lines"
-- @again arguments="history crm_profile.purchase_history, fit_until date, as_of date, model text, unit interval, value text"
--	comment="fits the model, in the unit given and with values of revenue or profit, to the purchases up to fit_until, forecasts those from then to as_of and compares with the actual ones; unnest() gives the lines"
-- @again arguments="history crm_profile.purchase_history, fit_until date, as_of date, model text, unit interval, value text, day_weights jsonb"
--	comment="fits the model where single days have weights (see clv_fit) to the purchases up to fit_until, forecasts those from then to as_of and compares with the actual ones; unnest() gives the lines"

CREATE AGGREGATE crm_profile_internal.clv_fit_state(history crm_profile.purchase_history, as_of date, model text, unit interval, value text, day_weights jsonb) (
	SFUNC = crm_profile_internal.clv_fit_transfn, STYPE = bytea, SSPACE = 65536,
	COMBINEFUNC = crm_profile_internal.summary_state_combine,
	PARALLEL = SAFE); -- what clv_fit() fits to
CREATE AGGREGATE crm_profile_internal.clv_holdout_state(history crm_profile.purchase_history, fit_until date, as_of date, model text, unit interval, value text, day_weights jsonb) (
	SFUNC = crm_profile_internal.clv_holdout_transfn, STYPE = bytea, SSPACE = 65536,
	COMBINEFUNC = crm_profile_internal.clv_record_combine,
	PARALLEL = SAFE); -- what clv_holdout() tests
CREATE FUNCTION crm_profile_internal.clv_fit_and_test(fit bytea, test bytea, OUT model crm_profile.clv_model, OUT holdout crm_profile.clv_holdout_line[], OUT test_seconds double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 100000; -- the results of clv_fit() and clv_holdout() from their states, found at the same time where there are parallel workers; either may be NULL; test_seconds: what the test of the last stretch took

---------------------------------------------------------------- the record of several models

CREATE TYPE crm_profile.clv_record_line AS ( -- one line of a record of forecasts: the forecast of a candidate fitted to the data up to fit_until, and what was bought
	candidate text, -- name of the candidate, as clv_fit() takes it
	model text, -- name of the model that the fit gave
	fit_until date, -- last day that the candidate was fitted to
	until date, -- last day of the forecast
	customers bigint, -- number of customers
	predicted double precision, -- forecast purchase days
	actual double precision, -- actual purchase days
	mean_absolute_error double precision -- mean over the customers of |actual - predicted|
);

CREATE FUNCTION crm_profile_internal.clv_record_finalfn(state bytea) RETURNS crm_profile.clv_record_line[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000; -- aggregate final function
-- @aggregate name=clv_record state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.clv_record_combine," arguments="history crm_profile.purchase_history, as_of date, horizon_days integer"
--	comment="how several models would have forecast up to four past periods of horizon_days each, the last one ending at as_of, fitted to the data before each; NULL if the data are shorter than two periods"
-- @again arguments="history crm_profile.purchase_history, as_of date, horizon_days integer, day_weights jsonb"
--	comment="the same where single days have weights (see clv_fit)"

CREATE FUNCTION crm_profile.clv_choice(record crm_profile.clv_record_line[],
	OUT model text, OUT pace double precision, OUT cut_offs integer, OUT error double precision, OUT default_error double precision)
	RETURNS record LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH line AS (
		SELECT l.candidate, l.fit_until, min(l.o) OVER (PARTITION BY l.candidate) AS place,
			(l.mean_absolute_error * l.customers::double precision + abs(l.actual - l.predicted)) / greatest(l.actual, 1) AS error,
			CASE WHEN l.predicted > 0 AND l.actual > 0 THEN ln(l.actual / l.predicted) END AS bias,
			max(l.fit_until) OVER () AS latest, dense_rank() OVER (ORDER BY l.fit_until) AS nth
		FROM unnest(record) WITH ORDINALITY l(candidate, model, fit_until, until, customers, predicted, actual, mean_absolute_error, o)),
	-- the latest stretch shows how good the choice is; if there are others it does not take part in it
	judged AS (
		SELECT l.candidate, l.place, l.fit_until, l.error, l.error - f.error AS beyond
		FROM line l JOIN (SELECT DISTINCT ON (x.fit_until) x.fit_until, x.error FROM line x ORDER BY x.fit_until, x.place) f USING (fit_until)
		WHERE l.fit_until < l.latest OR l.nth = 1 AND l.fit_until = l.latest),
	ranked AS (
		SELECT j.candidate, min(j.place) AS place, avg(j.beyond) AS beyond, count(*) AS n, coalesce(stddev_samp(j.beyond), 0) / sqrt(count(*)::double precision) AS unsure
		FROM judged j GROUP BY j.candidate),
	-- another than the first must have been better by more than two standard errors
	chosen AS (
		SELECT r.candidate FROM ranked r
		WHERE r.n = (SELECT max(n.n) FROM ranked n) AND (r.n > 1 AND r.beyond + 2 * r.unsure < 0 OR r.place = (SELECT min(p.place) FROM ranked p))
		ORDER BY r.beyond, r.place LIMIT 1),
	bias AS (
		SELECT avg(l.bias) AS mean, var_samp(l.bias) / count(l.bias)::double precision AS variance, count(l.bias) AS n FROM line l JOIN chosen USING (candidate))
	SELECT c.candidate,
		-- forecasts that were too high go on to be, since no model knows a pace that fades; those that were too low
		-- do not, since a shop does not grow for ever. It rests on few days: less half a standard error, at most 10 %
		CASE WHEN b.n > 2 THEN exp(greatest(-0.1, least(0, b.mean + sqrt(b.variance) / 2))) ELSE 1 END,
		b.n::integer,
		(SELECT l.error FROM line l WHERE l.candidate = c.candidate AND l.fit_until = l.latest),
		(SELECT l.error FROM line l WHERE l.candidate = 'mbg/nbd' AND l.fit_until = l.latest)
	FROM chosen c, bias b;
END; -- the candidate with the best record, the correction of its forecasts (pace; 1 for none), and the errors of its latest forecast and of plain mbg/nbd: sum of the absolute errors of customers and of the total, over the total

CREATE FUNCTION crm_profile.with_pace(model crm_profile.clv_model, pace double precision) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the model with future time multiplied by pace, between 0.01 and 100: above 1, more purchases are forecast

CREATE FUNCTION crm_profile.with_day_weights(model crm_profile.clv_model, day_weights jsonb) RETURNS crm_profile.clv_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the model with these weights of single days, as jsonb_object_agg(day, weight) gives them, in place of those it had

---------------------------------------------------------------- predictions

CREATE FUNCTION crm_profile.p_alive(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that the customer is still active at as_of; NULL without a purchase by then or if the model did not converge
CREATE FUNCTION crm_profile.p_alive_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, level double precision DEFAULT 0.95,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of p_alive at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.expected_purchases(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40 SUPPORT crm_profile_internal.row_stream_support; -- expected number of purchase days in the horizon that follows as_of; NULL as for p_alive; the horizon is between 0 and 100 years
CREATE FUNCTION crm_profile.expected_purchases_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, level double precision DEFAULT 0.95,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of expected_purchases at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.probability_of_purchase(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40 SUPPORT crm_profile_internal.row_stream_support; -- probability of at least one purchase in the horizon that follows as_of; NULL as for p_alive
CREATE FUNCTION crm_profile.probability_of_purchase_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, level double precision DEFAULT 0.95,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of probability_of_purchase at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.expected_purchases(model crm_profile.clv_model, as_of date, horizon interval) RETURNS double precision
	AS 'MODULE_PATHNAME', 'expected_purchases_new' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- expected number of further purchase days in the horizon that follows as_of, for somebody whose first purchase is on as_of

CREATE FUNCTION crm_profile.purchase_probabilities(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, max_purchases integer) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100; -- probabilities of 0, 1, … purchase days in the horizon that follows as_of; the last of the max_purchases + 1 numbers is the probability of max_purchases or more; NULL as for p_alive

CREATE FUNCTION crm_profile.purchase_outlook(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 60; -- probability of a purchase in the horizon, relative to what it was right after the last purchase; below one half, the silence is unusually long for this customer

CREATE FUNCTION crm_profile.lapse_probability(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME', 'lapse_probability_clv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that the customer, had they not left, would have bought again by as_of; NULL as for p_alive

CREATE FUNCTION crm_profile.expected_value(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- expected value of a future purchase day (Gamma-Gamma); for one-time buyers the mean of all customers; NULL as for p_alive, or if the model has no spend part
CREATE FUNCTION crm_profile.expected_value(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, first_purchase boolean) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- expected value of a future purchase day; with first_purchase, the first purchase counts for one-time buyers, as in clv()
CREATE FUNCTION crm_profile.expected_value_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, level double precision DEFAULT 0.95,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of expected_value at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.clv(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, monthly_discount double precision) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 60 SUPPORT crm_profile_internal.row_stream_support; -- expected value of all purchases in the horizon that follows as_of, each discounted by monthly_discount a month; NULL as for expected_value
CREATE FUNCTION crm_profile.clv_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, monthly_discount double precision, level double precision DEFAULT 0.95,
	OUT lower double precision, OUT upper double precision) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of clv at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.next_purchase(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- median day of the next purchase of a customer who stays active; NULL as for p_alive or beyond the calendar
CREATE FUNCTION crm_profile.next_purchase_interval(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, level double precision DEFAULT 0.95,
	OUT lower date, OUT upper date) RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200; -- confidence interval of next_purchase at the level given, by the delta method; NULLs if the model has no covariance

CREATE FUNCTION crm_profile.clv_log_likelihood(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- log-likelihood of the customer under the purchase part of the model, time in its unit; NULL as for p_alive

---------------------------------------------------------------- predictions by attributes; stable: the words of some types follow settings

CREATE FUNCTION crm_profile.p_alive(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, attributes record) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40; -- p_alive of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.expected_purchases(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, attributes record) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 60; -- expected_purchases of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.probability_of_purchase(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, attributes record) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 60; -- probability_of_purchase of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.purchase_probabilities(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, most integer, attributes record) RETURNS double precision[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 120; -- purchase_probabilities of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.clv(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, horizon interval, monthly_discount double precision, attributes record) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 80; -- clv of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.next_purchase(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, attributes record) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 40; -- next_purchase of a customer with these attributes (see with_attributes)
CREATE FUNCTION crm_profile.expected_purchases(model crm_profile.clv_model, as_of date, horizon interval, attributes record) RETURNS double precision
	AS 'MODULE_PATHNAME', 'expected_purchases_new' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100; -- expected number of further purchase days for somebody with these attributes whose first purchase is on as_of

---------------------------------------------------------------- the type rhythm_model

-- @value_type type=rhythm_model layout="STORAGE = plain"

COMMENT ON TYPE crm_profile.rhythm_model IS
	'a fitted model of the days between purchases: how regular customers are, and how their rates differ';

CREATE FUNCTION crm_profile.rhythm_model(regularity integer, a double precision, b double precision)
	RETURNS crm_profile.rhythm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- a model made from known parameters: gaps are Gamma(regularity, rate), rates Gamma(a, b), time in days
CREATE FUNCTION crm_profile.rhythm_parameters(model crm_profile.rhythm_model,
	OUT parameter text, OUT estimate double precision, OUT standard_error double precision, OUT status text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 3; -- the parameters of a rhythm model, time in days, with standard errors from the observed information at the regularity chosen
CREATE FUNCTION crm_profile.rhythm_model_card(fitted crm_profile.rhythm_model,
	OUT as_of date, OUT status text, OUT customers bigint, OUT gaps bigint, OUT log_likelihood double precision)
	RETURNS record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- what a rhythm model was fitted to and how the fit ended; gaps: number of gaps between purchase days
CREATE FUNCTION crm_profile_internal.rhythm_fit_finalfn(state bytea) RETURNS crm_profile.rhythm_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000; -- aggregate final function

-- @aggregate name=rhythm_fit state=bytea cost=10 more="COMBINEFUNC = crm_profile_internal.summary_state_combine," arguments="history crm_profile.purchase_history, as_of date"
--	comment="the rhythm model of the days between the customers'' purchases up to as_of, the silence since the last one included; NULL histories are skipped"

CREATE FUNCTION crm_profile.lapse_probability(history crm_profile.purchase_history, model crm_profile.rhythm_model, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- probability that a customer with this rhythm would have bought again by as_of; near 1, the silence is unusually long; NULL without a purchase by as_of
