-- What the views of a source show, and its tables and views themselves
--
-- A view names tables and calls functions: its computations are here, where an upgrade can replace them. Its row is a
-- type here, whose comments become those of its columns. The functions take values and read no table of a source; those
-- called once a row (customer_figures, segment_step, prospect_figures) are inlined into the query that reads the view,
-- so that unused columns cost nothing.

---------------------------------------------------------------- the models of a source

CREATE TYPE crm_profile.source_model AS ( -- the models and figures of a refresh: a row of the table model of a source
	id integer, -- number of the model; the highest one is in use
	fitted_at timestamptz, -- when the model was fitted
	as_of date, -- as-of date of the fit
	rfm crm_profile.rfm_model, -- thresholds of the scores; NULL: nobody had bought
	scheme text, -- name of the segment scheme
	segments crm_profile.segment_scheme, -- the compiled scheme at the time of the fit
	active_days integer, -- active window in days
	a_from numeric, -- values from this one on are in tier A
	b_from numeric, -- values from this one on are in tier B
	customers bigint, -- customers with a history
	clv crm_profile.clv_model, -- the model of repeat purchase and value, in model_in_use without what it knows of attributes; NULL: nobody had bought
	predicted_a_from double precision, -- predicted values from this one on are in tier A; NULL: no customer has a positive prediction
	predicted_b_from double precision, -- predicted values from this one on are in tier B
	fit_share double precision, -- share of the customers that clv was fitted to; 1: all of them
	holdout crm_profile.clv_holdout_line[], -- holdout test: how well past purchases would have been forecast; NULL: too few data
	holdout_fit_until date, -- last day of the data that the holdout test fitted to
	holdout_until date, -- last day of the forecast of the holdout test
	holdout_share double precision, -- share of the customers in the holdout test
	profile crm_profile.profile_model, -- how attributes are encoded; NULL: the source has no attributes
	match crm_profile.match_model, -- the scorecard of the best customers, see match_card() and match_quality(); NULL: no prospects, or none or all of the customers are among the best
	best text, -- argument best at the time of the fit
	clv_choice text, -- name of the model asked for, as clv_fit() takes it
	clv_record crm_profile.clv_record_line[], -- record of past forecasts by which clv_model => 'auto' chose the model; NULL: not auto, or too few data
	oldest_order date, -- day of the oldest order
	newest_order date, -- day of the newest order, even if after as_of
	customer_rows bigint, -- rows of the customer table
	repeated_keys bigint, -- rows in excess of one per key in the customer table
	unassigned crm_profile.purchase_history, -- orders without a customer, as one history; NULL: none
	conflicts jsonb, -- contradictions between segment, lifecycle and P(alive), with the number of customers of each; of a sample if there are more than 100 000 customers
	scheme_problems text[], -- segments that no customer can be in, scores shared by many customers, order lines that cannot be read; NULL: none
	deciles numeric[], -- where the deciles of the buyers from the second up begin
	horizon_days integer, -- the days ahead that the source looks, in customer_profile and in tests of forecasts
	attributes_gain double precision, -- log-likelihood by customer that knowing the attributes gained in forecasts of the past; NULL: not tried
	attributes_error double precision, -- its standard error
	second_purchase_days integer -- days from the first purchase within which half of those who buy again have done so; NULL: fewer than 20 have
);

CREATE FUNCTION crm_profile_internal.model_findings(model crm_profile.source_model, today date) RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT v.finding FROM (
			SELECT 1 AS place, CASE
				WHEN model.id IS NULL THEN 'never refreshed'
				WHEN model.customer_rows = 0 THEN 'the customer table was empty at the last refresh' END AS finding
			UNION ALL SELECT 2, CASE
				WHEN model.id IS NULL THEN NULL
				WHEN model.newest_order IS NULL THEN 'the last refresh found no orders'
				WHEN today < model.oldest_order THEN format('the as-of date is before the oldest order (%s): nobody has bought yet', crm_profile_internal.iso_day(model.oldest_order))
				WHEN today - model.newest_order > model.active_days
					THEN format('the as-of date is far past the newest order (%s): everybody looks inactive; refresh the source, or set as_of', crm_profile_internal.iso_day(model.newest_order))
				WHEN today < model.newest_order THEN format('the as-of date is before the newest order (%s): later orders are left out', crm_profile_internal.iso_day(model.newest_order)) END
			UNION ALL SELECT 3, CASE WHEN model.repeated_keys > 0
				THEN format('keys occur more than once in the customer table: %s rows of customer_profile are too many; name another customer_key', model.repeated_keys) END
			UNION ALL SELECT 4, p.problem FROM unnest(model.scheme_problems) p(problem)) v
		WHERE v.finding IS NOT NULL ORDER BY v.place;
	END; -- problems that readers of the views should know, on the day that they are read; no rows if there are none

---------------------------------------------------------------- customer_profile

CREATE TYPE crm_profile.customer_profile_row AS ( -- one customer: a row of profile_now(), and of the view customer_profile of a source, where the key has the type that it has in the customer table
	customer text, -- key of the customer, as in the customer table
	first_purchase date, -- day of the first order
	last_purchase date, -- day of the last order
	recency integer, -- days since the last order
	frequency bigint, -- number of orders in the period
	monetary numeric, -- amount in the period, net of refunds
	profit numeric, -- amount with a known cost less that cost, in the period; NULL: no cost known
	average_order_value numeric, -- monetary / frequency
	mean_gap double precision, -- mean number of days between purchase days; NULL: fewer than two
	trend double precision, -- change of the amount from the period before to this one (a year if the source has no period), from -1 to 1
	pattern varchar, -- few large, many small, many large or few small: number and value of orders against the medians
	r_score integer, -- recency score; the highest is the best; NULL: no order in the period
	f_score integer, -- frequency score
	m_score integer, -- monetary score
	cell varchar, -- the three scores as three digits, such as 545
	segment varchar, -- segment of the cell in the scheme of the source, or, if that contradicts the lifecycle, of the nearest cell whose segment does not; NULL: not scored
	lifecycle varchar, -- new, active, lapsing (less than three quarters as likely to buy within 90 days as somebody who has just bought for the first time), inactive (less than one quarter, and silent for long), won back; potential: contacted, no order yet; probable: neither, but in the prospect table; NULL: none of these
	value_tier varchar, -- A: the customers worth most, who together have 80 % of the value; B: the next, up to 95 %; C: the rest
	p_purchase_90d double precision, -- probability of an order in the next 90 days: sort customers by it; NULL, as for all predictions: no order yet, or no model
	expected_purchases_90d double precision, -- expected number of purchase days in the next 90 days
	clv_365d double precision, -- expected value of all purchases in the next 365 days (profit if tier_by is profit), discounted by 1 % a month
	predicted_tier varchar, -- A, B or C as in value_tier, by clv_365d instead of past value
	segment_position integer, -- position of the segment in its scheme, from 1, for sorting; NULL: not scored
	as_of date, -- the as-of date of the row
	value_decile integer, -- 1 + floor(10 × share of the buyers of higher value), with the value that value_tier uses: 1 is the best tenth; NULL: no order yet
	p_purchase double precision, -- probability of an order in the next horizon_days
	expected_purchases double precision, -- expected number of purchase days in the next horizon_days
	horizon_days integer -- the days ahead that the source looks
);

CREATE FUNCTION crm_profile_internal.segment_position(score crm_profile.rfm_score, segments crm_profile.segment_scheme, lifecycle text, met integer) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- position in the scheme of the segment that segment_met() gives, from 1; NULL for a cell that the scheme does not cover

CREATE FUNCTION crm_profile_internal.rfm_cell(score crm_profile.rfm_score) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- the three scores as three digits, such as 545

CREATE FUNCTION crm_profile_internal.source_clv_365d(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 60
	RETURN crm_profile.clv(history, model, as_of, '365 days'::interval, 0.01); -- clv_365d: expected value of all purchases in the 365 days after as_of, discounted by 1 % a month

-- straight from the history, without numerics in between; strict, for the same reason as segment_on_day(): a threshold
-- that is not there is infinite
CREATE FUNCTION crm_profile_internal.value_tier(history crm_profile.purchase_history, as_of date, by_profit boolean, a_from numeric, b_from numeric) RETURNS text
	AS 'MODULE_PATHNAME', 'value_tier_of_history' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 13 SUPPORT crm_profile_internal.label_support; -- value_tier() of profit() or monetary()
CREATE FUNCTION crm_profile_internal.value_tier(history crm_profile.purchase_history, as_of date, by_profit boolean, a_from numeric, b_from numeric, period interval) RETURNS text
	AS 'MODULE_PATHNAME', 'value_tier_of_history' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 13 SUPPORT crm_profile_internal.label_support; -- the same in the period

CREATE FUNCTION crm_profile_internal.value_decile(history crm_profile.purchase_history, as_of date, by_profit boolean, deciles numeric[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 13; -- the column value_decile: the decile of profit() or monetary(), from the lowest values of the deciles
CREATE FUNCTION crm_profile_internal.value_decile(history crm_profile.purchase_history, as_of date, by_profit boolean, deciles numeric[], period interval) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 13; -- the same in the period

CREATE FUNCTION crm_profile_internal.segment_position(history crm_profile.purchase_history, rfm crm_profile.rfm_model, day date, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model) RETURNS integer
	AS 'MODULE_PATHNAME', 'segment_position_on_day' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- position in the scheme of the segment that segment_on_day() gives

-- a horizon in days needs no interval in each row
CREATE FUNCTION crm_profile_internal.probability_of_purchase(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, days integer) RETURNS double precision
	AS 'MODULE_PATHNAME', 'probability_of_purchase_days' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- probability_of_purchase() in the days that follow as_of
CREATE FUNCTION crm_profile_internal.expected_purchases(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, days integer) RETURNS double precision
	AS 'MODULE_PATHNAME', 'expected_purchases_days' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40; -- expected_purchases() in the days that follow as_of

-- the models one by one: the planner copies an argument for each use, and a row of models each time whole
CREATE FUNCTION crm_profile_internal.customer_figures(customer text, history crm_profile.purchase_history, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model,
	a_from numeric, b_from numeric, deciles numeric[], predicted_a_from double precision, predicted_b_from double precision, horizon_days integer, as_of date, period interval, tier_by text, contact text) RETURNS SETOF crm_profile.customer_profile_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT customer,
			crm_profile.first_purchase(history, as_of),
			crm_profile.last_purchase(history, as_of),
			crm_profile.recency(history, as_of),
			CASE WHEN period IS NULL THEN crm_profile.frequency(history, as_of) ELSE crm_profile.frequency(history, as_of, period) END,
			CASE WHEN period IS NULL THEN crm_profile.monetary(history, as_of) ELSE crm_profile.monetary(history, as_of, period) END,
			CASE WHEN period IS NULL THEN crm_profile.profit(history, as_of) ELSE crm_profile.profit(history, as_of, period) END,
			CASE WHEN period IS NULL THEN crm_profile.average_order_value(history, as_of) ELSE crm_profile.average_order_value(history, as_of, period) END,
			crm_profile.mean_gap(history, as_of),
			crm_profile.trend(history, as_of, coalesce(period, '1 year'::interval)),
			crm_profile.purchase_pattern(history, rfm, as_of),
			crm_profile.r_score(crm_profile.rfm_score(history, rfm, as_of)),
			crm_profile.f_score(crm_profile.rfm_score(history, rfm, as_of)),
			crm_profile.m_score(crm_profile.rfm_score(history, rfm, as_of)),
			crm_profile_internal.rfm_cell(crm_profile.rfm_score(history, rfm, as_of)),
			crm_profile_internal.segment_on_day(history, rfm, as_of, segments, active_days, clv),
			coalesce(crm_profile.lifecycle(history, as_of, active_days, clv), contact),
			CASE WHEN period IS NULL THEN crm_profile_internal.value_tier(history, as_of, (tier_by = 'profit') IS TRUE, coalesce(a_from, 'Infinity'), coalesce(b_from, 'Infinity'))
				ELSE crm_profile_internal.value_tier(history, as_of, (tier_by = 'profit') IS TRUE, coalesce(a_from, 'Infinity'), coalesce(b_from, 'Infinity'), period) END,
			crm_profile.probability_of_purchase(history, clv, as_of, '90 days'::interval),
			crm_profile.expected_purchases(history, clv, as_of, '90 days'::interval),
			crm_profile_internal.source_clv_365d(history, clv, as_of),
			crm_profile_internal.value_tier(crm_profile_internal.source_clv_365d(history, clv, as_of), coalesce(predicted_a_from, 'Infinity'), coalesce(predicted_b_from, 'Infinity')),
			crm_profile_internal.segment_position(history, rfm, as_of, segments, active_days, clv),
			as_of,
			CASE WHEN period IS NULL THEN crm_profile_internal.value_decile(history, as_of, (tier_by = 'profit') IS TRUE, deciles)
				ELSE crm_profile_internal.value_decile(history, as_of, (tier_by = 'profit') IS TRUE, deciles, period) END,
			crm_profile_internal.probability_of_purchase(history, clv, as_of, horizon_days),
			crm_profile_internal.expected_purchases(history, clv, as_of, horizon_days),
			horizon_days;
	END; -- all figures of customer_profile for one customer at a date; contact: the lifecycle of somebody who has not bought

---------------------------------------------------------------- segment_summary

CREATE TYPE crm_profile_internal.segment_summary_row AS ( -- a row of the view segment_summary
	segment varchar, -- the segment, as in segment_summary_details
	customers bigint, -- number of customers
	monetary numeric, -- amount in the period
	in_words text -- shares, medians and strategy, in short lines; NULL: neither customers nor amounts
);

CREATE TYPE crm_profile_internal.segment_summary_details_row AS ( -- a row of the view segment_summary_details
	segment varchar, -- the segment; (unscored): no order in the period; (refunds only): no order, but refunds; (unknown customer): orders whose customer the customer table does not have; (no customer): orders without a customer
	customers bigint, -- number of customers
	customer_share double precision, -- share of all customers
	mean_p_purchase_90d double precision, -- mean of p_purchase_90d: the expected share of those who will order in the next 90 days; NULL: no prediction
	monetary numeric, -- amount in the period
	monetary_share double precision, -- share of the amount of all customers
	profit numeric, -- profit in the period; NULL: no cost known
	profit_share double precision, -- share of the profit of all customers
	median_recency double precision, -- median of the days since the last order
	median_frequency double precision, -- median number of orders
	median_monetary double precision, -- median amount
	strategy text, -- what to do with these customers, by the scheme
	predicted_value double precision, -- sum of clv_365d, the value expected in the next 365 days; NULL: no prediction
	predicted_value_share double precision, -- share of the predicted value of all customers
	mean_p_purchase double precision, -- mean of p_purchase: the same as mean_p_purchase_90d, for the horizon of the source
	horizon_days integer, -- that horizon
	contact_limit double precision, -- the most that may be spent on a customer of the segment in the next 365 days before it costs more than it brings: predicted value a customer, times profit / monetary unless it is a profit itself; NULL: no prediction, or no cost known
	advice text -- the strategy with the source's own figures: what the segment is expected to bring, and what its margin bears; NULL: no strategy
);

CREATE FUNCTION crm_profile_internal.segment_advice(strategy text, predicted_each numeric, predicted_share numeric, contact_limit numeric) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN strategy || CASE WHEN predicted_each IS NULL THEN '' ELSE concat(
		CASE WHEN strategy ~ '[.!?]$' THEN ' ' ELSE '. ' END, format('Expected in the next 365 days: %s a customer', round(predicted_each, 2)), ', ' || round(100 * predicted_share) || ' % of all', '. ',
		CASE WHEN contact_limit IS NULL THEN 'What they bear cannot be told: no costs are known.' WHEN round(contact_limit, 2) <= 0 THEN 'Nothing may be spent on them: they cost more than they bring.'
			ELSE format('Up to %s a customer may be spent on them.', round(contact_limit, 2)) END) END;
COMMENT ON FUNCTION crm_profile_internal.segment_advice IS 'the column advice of segment_summary_details';

CREATE TYPE crm_profile_internal.segment_measures AS ( -- totals of segment_summary for the customers of one segment
	segment text, -- the segment; NULL: not scored
	customers bigint, -- number of customers
	monetary numeric, -- sum of monetary
	profit numeric, -- sum of profit
	median_recency double precision, -- median of recency
	median_frequency double precision, -- median of frequency
	median_monetary double precision, -- median of monetary
	predicted_value numeric, -- sum of clv_365d
	mean_p_purchase_90d numeric, -- mean of p_purchase_90d
	mean_p_purchase numeric, -- mean of p_purchase
	horizon_days integer -- horizon of p_purchase
);

CREATE TYPE crm_profile_internal.outside_measures AS ( -- totals of segment_summary outside the segments: refunds only, unknown customers, no customer
	segment text, -- name of the line, in place of a segment
	customers bigint, -- number of customers
	monetary numeric, -- amount of these customers in the period
	profit numeric, -- profit of these customers in the period
	counted numeric -- part of monetary that customer_profile counts as well
);

CREATE FUNCTION crm_profile_internal.median_transfn(internal, double precision) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.median_transfn(internal, numeric) RETURNS internal
	AS 'MODULE_PATHNAME', 'median_transfn_numeric' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.median_finalfn(internal) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name=median
CREATE AGGREGATE crm_profile_internal.median(number double precision) (
	SFUNC = crm_profile_internal.median_transfn, STYPE = internal, SSPACE = 1024,
	FINALFUNC = crm_profile_internal.median_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.median_combine, SERIALFUNC = crm_profile_internal.median_serialize, DESERIALFUNC = crm_profile_internal.median_deserialize,
	PARALLEL = SAFE);
CREATE AGGREGATE crm_profile_internal.median(number numeric) (
	SFUNC = crm_profile_internal.median_transfn, STYPE = internal, SSPACE = 1024,
	FINALFUNC = crm_profile_internal.median_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.median_combine, SERIALFUNC = crm_profile_internal.median_serialize, DESERIALFUNC = crm_profile_internal.median_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile_internal.median(double precision) IS 'percentile_cont(0.5), without a sort, and so without a sort by the groups either';
COMMENT ON AGGREGATE crm_profile_internal.median(numeric) IS 'the same of number::double precision';

CREATE FUNCTION crm_profile_internal.decimal_sum_transfn(internal, double precision) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.decimal_sum_finalfn(internal) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="decimal_sum"
CREATE AGGREGATE crm_profile_internal.decimal_sum(number double precision) (
	SFUNC = crm_profile_internal.decimal_sum_transfn, STYPE = internal, SSPACE = 512,
	FINALFUNC = crm_profile_internal.decimal_sum_finalfn,
	COMBINEFUNC = crm_profile_internal.decimal_sum_combine, SERIALFUNC = crm_profile_internal.decimal_sum_serialize, DESERIALFUNC = crm_profile_internal.decimal_sum_deserialize,
	PARALLEL = SAFE); -- sum(number::numeric), which is the same in any order of the rows, at a tenth of its time

CREATE FUNCTION crm_profile_internal.segment_measures_transfn(state internal, history crm_profile.purchase_history, clv crm_profile.clv_model, as_of date, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, active_days integer, horizon_days integer, period interval) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 100; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.segment_measures_finalfn(state internal) RETURNS crm_profile_internal.segment_measures[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="segment_measures"
CREATE AGGREGATE crm_profile_internal.segment_measures(history crm_profile.purchase_history, clv crm_profile.clv_model, as_of date, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, active_days integer, horizon_days integer, period interval) (
	SFUNC = crm_profile_internal.segment_measures_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.segment_measures_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.segment_measures_combine, SERIALFUNC = crm_profile_internal.segment_measures_serialize, DESERIALFUNC = crm_profile_internal.segment_measures_deserialize,
	PARALLEL = SAFE); -- the totals of the segments, as SQL would sum up the columns of customer_profile; a NULL history: a customer without one

CREATE FUNCTION crm_profile_internal.refunds_alone(history crm_profile.purchase_history, as_of date, period interval) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 50
	RETURN (SELECT sum(p.amount) FROM crm_profile.purchases(history) p WHERE p.day <= as_of AND (period IS NULL OR p.day > (as_of - period)::date)); -- the amount of a history without an order, for which monetary() is NULL; separate so that net_amount() can be inlined

CREATE FUNCTION crm_profile_internal.net_amount(history crm_profile.purchase_history, as_of date, period interval) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE WHEN period IS NULL THEN crm_profile.monetary(history, as_of) ELSE crm_profile.monetary(history, as_of, period) END,
		crm_profile_internal.refunds_alone(history, as_of, period));
COMMENT ON FUNCTION crm_profile_internal.net_amount IS 'monetary(), but for a history of refunds only the sum of these; NULL: no purchase or refund by that day';

CREATE FUNCTION crm_profile_internal.without_order(history crm_profile.purchase_history, as_of date, period interval) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(CASE WHEN period IS NULL THEN crm_profile.frequency(history, as_of) ELSE crm_profile.frequency(history, as_of, period) END, 0) = 0; -- whether the history has no order in the period

CREATE FUNCTION crm_profile_internal.outside_figures(history crm_profile.purchase_history, outside text, as_of date, period interval,
	OUT segment text, OUT monetary numeric, OUT profit numeric, OUT counted numeric) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT coalesce(outside, '(refunds only)'), n.amount,
			CASE WHEN outside IS NOT NULL THEN CASE WHEN period IS NULL THEN crm_profile.profit(history, as_of) ELSE crm_profile.profit(history, as_of, period) END END,
			CASE WHEN period IS NOT NULL THEN crm_profile.monetary(history, as_of, period) END
		FROM (SELECT crm_profile_internal.net_amount(history, as_of, period) AS amount OFFSET 0) n
		WHERE n.amount IS NOT NULL AND (outside IS NOT NULL OR n.amount <> 0 AND crm_profile_internal.without_order(history, as_of, period));
	END; -- the amount of a history that is in no segment; outside: the reason, NULL for refunds without an order; no row: the history has a segment, or is empty

CREATE FUNCTION crm_profile_internal.as_double(value numeric) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN abs(value) < 1e-300 THEN 0 WHEN abs(value) > 1e300 THEN sign(value) * 1e300 ELSE value END::double precision; -- the number in double precision, clipped to what that can hold

CREATE FUNCTION crm_profile_internal.segment_summary_details(scheme text, segments crm_profile.segment_scheme, measures crm_profile_internal.segment_measures[],
	outside crm_profile_internal.outside_measures[], tier_by text)
	RETURNS SETOF crm_profile_internal.segment_summary_details_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 12
	BEGIN ATOMIC
		SELECT l.segment, coalesce(m.customers, 0),
			coalesce(m.customers, 0) / NULLIF(sum(m.customers) OVER (), 0)::double precision,
			crm_profile_internal.as_double(m.mean_p_purchase_90d),
			coalesce(m.monetary, 0),
			crm_profile_internal.as_double(coalesce(m.monetary, 0) / NULLIF(sum(m.monetary) OVER (), 0)),
			m.profit,
			crm_profile_internal.as_double(m.profit / NULLIF(sum(m.profit) OVER (), 0)),
			m.median_recency, m.median_frequency, m.median_monetary::numeric::double precision,
			y.strategy,
			crm_profile_internal.as_double(m.predicted_value),
			crm_profile_internal.as_double(m.predicted_value / NULLIF(sum(m.predicted_value) OVER (), 0)),
			crm_profile_internal.as_double(m.mean_p_purchase),
			max(m.horizon_days) OVER (),
			crm_profile_internal.as_double(f.contact_limit),
			crm_profile_internal.segment_advice(y.strategy, f.predicted_each, m.predicted_value / NULLIF(sum(m.predicted_value) OVER (), 0), f.contact_limit)
		FROM (SELECT s.position AS place, s.segment FROM crm_profile.segments(segments) s UNION ALL SELECT 1000, '(unscored)'
				UNION ALL SELECT 1000 + o.place, o.segment FROM unnest(outside) WITH ORDINALITY o(segment, customers, monetary, profit, counted, place)) l
			LEFT JOIN (
				-- who has nothing but refunds has a line of his own
				SELECT coalesce(i.segment, '(unscored)') AS segment, i.customers - coalesce(r.customers, 0) AS customers, i.monetary - coalesce(r.counted, 0) AS monetary, i.profit, i.median_recency,
					i.median_frequency, i.median_monetary, i.predicted_value, i.mean_p_purchase_90d, i.mean_p_purchase, i.horizon_days
					FROM unnest(measures) i LEFT JOIN unnest(outside) r ON r.segment = '(refunds only)' AND i.segment IS NULL
				UNION ALL SELECT o.segment, o.customers, o.monetary, o.profit, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(outside) o) m ON m.segment = l.segment
			LEFT JOIN LATERAL (SELECT r.strategy FROM crm_profile.scheme_rule r WHERE r.scheme = segment_summary_details.scheme AND r.segment = l.segment ORDER BY r.position LIMIT 1) y ON true
			CROSS JOIN LATERAL (SELECT m.predicted_value / NULLIF(m.customers, 0) AS predicted_each,
				m.predicted_value / NULLIF(m.customers, 0) * CASE WHEN m.profit IS NOT NULL THEN CASE WHEN tier_by = 'profit' THEN 1 ELSE m.profit / NULLIF(m.monetary, 0) END END AS contact_limit) f
		ORDER BY l.place;
	END; -- rows of the view segment_summary_details: all segments of a scheme with totals, shares and strategy; outside: totals of what belongs to no segment

CREATE FUNCTION crm_profile_internal.segment_in_words(customers bigint, monetary numeric, customer_share double precision, monetary_share double precision, median_recency double precision, median_frequency double precision, strategy text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN customers <> 0 OR monetary <> 0 THEN crm_profile_internal.wrapped(concat_ws(E'\n',
		concat_ws(', ', 'customers ' || round(100 * customer_share::numeric) || ' %', 'amount ' || round(100 * monetary_share::numeric) || ' %'),
		concat_ws(', ', 'last ' || round(median_recency::numeric) || ' days ago', round(median_frequency::numeric, 1)::double precision || ' orders'),
		CASE WHEN customers > 0 THEN strategy END), 30) END;
COMMENT ON FUNCTION crm_profile_internal.segment_in_words IS 'the column in_words of segment_summary';

---------------------------------------------------------------- rfm_grid

CREATE TYPE crm_profile_internal.rfm_grid_row AS ( -- a row of the view rfm_grid
	r_score integer, -- recency score
	f_score integer, -- frequency score
	customers bigint, -- number of customers
	monetary numeric, -- amount in the period
	mean_m_score double precision -- mean monetary score; NULL: no customers
);

CREATE FUNCTION crm_profile_internal.rfm_grid(bins integer, measures crm_profile_internal.rfm_grid_row[]) RETURNS SETOF crm_profile_internal.rfm_grid_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 25
	BEGIN ATOMIC
		SELECT r, f, coalesce(m.customers, 0), coalesce(m.monetary, 0), m.mean_m_score
		FROM generate_series(1, least(bins, 9)) r CROSS JOIN generate_series(1, least(bins, 9)) f LEFT JOIN unnest(measures) m ON m.r_score = r AND m.f_score = f
		ORDER BY r DESC, f DESC;
	END; -- rows of the view rfm_grid: every pair of scores, even those that no customer has

---------------------------------------------------------------- purchase_calendar

CREATE TYPE crm_profile_internal.purchase_calendar_row AS ( -- a row of the view purchase_calendar
	month date, -- first day of the month
	weekday integer, -- 1: Monday, to 7: Sunday
	orders numeric, -- number of orders
	amount numeric -- amount, net of refunds
);

CREATE FUNCTION crm_profile_internal.calendar_cells_transfn(state internal, history crm_profile.purchase_history, as_of date) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.calendar_cells_finalfn(state internal) RETURNS crm_profile_internal.purchase_calendar_row[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="purchase_cells"
CREATE AGGREGATE crm_profile_internal.calendar_cells(history crm_profile.purchase_history, as_of date) (
	SFUNC = crm_profile_internal.calendar_cells_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.calendar_cells_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_cells_combine, SERIALFUNC = crm_profile_internal.purchase_cells_serialize, DESERIALFUNC = crm_profile_internal.purchase_cells_deserialize,
	PARALLEL = SAFE); -- purchases by month and weekday

CREATE FUNCTION crm_profile_internal.purchase_calendar(everybody crm_profile_internal.purchase_calendar_row[], nobody crm_profile.purchase_history, as_of date) RETURNS SETOF crm_profile_internal.purchase_calendar_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
	BEGIN ATOMIC
		SELECT c.month, c.weekday, sum(c.orders), sum(c.amount)
		FROM (SELECT e.* FROM unnest(everybody) e
			UNION ALL SELECT c.* FROM unnest((SELECT crm_profile_internal.calendar_cells(nobody, as_of))) c) c
		GROUP BY c.month, c.weekday ORDER BY c.month, c.weekday;
	END; -- rows of the view purchase_calendar, from the cells of all customers, and the history of orders without a customer

---------------------------------------------------------------- segment_migration

CREATE TYPE crm_profile_internal.segment_migration_row AS ( -- a row of the view segment_migration
	from_segment varchar, -- segment on the first day; (unscored): no order in the period by then
	to_segment varchar, -- segment on the last day
	customers bigint, -- number of customers
	share double precision, -- share of the customers of from_segment
	monetary numeric -- amount of these customers in the period
);

CREATE TYPE crm_profile_internal.segment_move AS ( -- number of customers who moved from one segment to another
	from_segment text, -- segment on the first day
	to_segment text, -- segment on the last day
	customers bigint, -- number of customers
	monetary numeric -- amount of these customers
);

CREATE FUNCTION crm_profile_internal.segment_step(history crm_profile.purchase_history, earlier crm_profile.rfm_model, from_date date, later crm_profile.rfm_model, to_date date,
	segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, period interval, from_met integer, to_met integer, OUT from_segment text, OUT to_segment text, OUT monetary numeric) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT coalesce(crm_profile_internal.segment_on_day(history, earlier, from_date, segments, active_days, clv, from_met), '(unscored)'),
			coalesce(crm_profile_internal.segment_on_day(history, later, to_date, segments, active_days, clv, to_met), '(unscored)'),
			CASE WHEN period IS NULL THEN crm_profile.monetary(history, to_date) ELSE crm_profile.monetary(history, to_date, period) END;
	END; -- the segments of a customer on two days, and the amount in the period up to the later one

CREATE FUNCTION crm_profile_internal.segment_moves_transfn(state internal, history crm_profile.purchase_history, earlier crm_profile.rfm_model, from_date date, later crm_profile.rfm_model, to_date date,
	segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, period interval, from_met integer, to_met integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.segment_moves_finalfn(state internal) RETURNS crm_profile_internal.segment_move[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="segment_moves"
CREATE AGGREGATE crm_profile_internal.segment_moves(history crm_profile.purchase_history, earlier crm_profile.rfm_model, from_date date, later crm_profile.rfm_model, to_date date,
		segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, period interval, from_met integer, to_met integer) (
	SFUNC = crm_profile_internal.segment_moves_transfn, STYPE = internal, SSPACE = 16384,
	FINALFUNC = crm_profile_internal.segment_moves_finalfn,
	COMBINEFUNC = crm_profile_internal.segment_moves_combine, SERIALFUNC = crm_profile_internal.segment_moves_serialize, DESERIALFUNC = crm_profile_internal.segment_moves_deserialize,
	PARALLEL = SAFE); -- segment_step() of all customers, counted by segments

CREATE FUNCTION crm_profile_internal.segment_migration(moves crm_profile_internal.segment_move[]) RETURNS SETOF crm_profile_internal.segment_migration_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		SELECT m.from_segment, m.to_segment, m.customers, (m.customers / sum(m.customers) OVER (PARTITION BY m.from_segment))::double precision, m.monetary
		FROM unnest(moves) m ORDER BY m.from_segment, m.customers DESC, m.to_segment;
	END; -- rows of the view segment_migration: the moves in order, with shares

---------------------------------------------------------------- model_holdout, model_card

CREATE TYPE crm_profile_internal.model_holdout_row AS ( -- a row of the view model_holdout
	fit_until date, -- last day of the data that the forecast was made from
	as_of date, -- last day of the forecast
	part varchar, -- total; earlier total: of an earlier test, class is its fit_until; frequency: by repeat purchases at fit_until; decile, value decile: by forecast of purchase days, of value, 1 the lowest; fitted month, forecast month: see forecast_tracking
	class varchar, -- class within the part
	customers bigint, -- number of customers; a sample if there are more than 100 000
	predicted double precision, -- forecast purchase days
	actual double precision, -- actual purchase days
	calibration double precision, -- actual / predicted
	mean_absolute_error double precision, -- mean over the customers of |actual - predicted|
	correlation double precision, -- correlation of actual and predicted over the customers; NULL: either is constant
	lower double precision, -- lower one of the bounds within which 95 % of actual totals should lie, from chance, parameters and the errors of earlier forecasts; totals only
	upper double precision, -- upper one of these bounds
	gini double precision, -- how well customers are ordered by purchase days: Gini coefficient in the order of the forecast, over that in the best order; totals only
	decile_error double precision, -- sum over deciles of |actual - predicted|, over all actual; totals only
	predicted_value double precision, -- forecast value (profit if tier_by is profit)
	actual_value double precision, -- actual value, net of refunds
	value_calibration double precision, -- actual / predicted, for the value
	value_mean_absolute_error double precision, -- mean over the customers of |actual - predicted|, for the value
	value_correlation double precision, -- correlation, for the value
	value_lower double precision, -- as lower, for the value
	value_upper double precision, -- as upper, for the value
	value_gini double precision, -- as gini, for the value
	value_decile_error double precision -- as decile_error, for the value
);

CREATE FUNCTION crm_profile_internal.model_holdout(model crm_profile.source_model) RETURNS SETOF crm_profile_internal.model_holdout_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
	BEGIN ATOMIC
		SELECT model.holdout_fit_until, model.holdout_until, l.part, l.class, l.customers, l.predicted, l.actual, l.calibration, l.mean_absolute_error, l.correlation, l.lower, l.upper, l.gini, l.decile_error, l.predicted_value, l.actual_value, l.value_calibration, l.value_mean_absolute_error, l.value_correlation, l.value_lower, l.value_upper, l.value_gini, l.value_decile_error
		FROM unnest(model.holdout) WITH ORDINALITY AS l(part, class, customers, predicted, actual, calibration, mean_absolute_error, correlation, lower, upper, gini, decile_error, predicted_value, actual_value, value_calibration, value_mean_absolute_error, value_correlation, value_lower, value_upper, value_gini, value_decile_error, line)
		ORDER BY l.line;
	END; -- rows of the view model_holdout

---------------------------------------------------------------- forecast_tracking

CREATE TYPE crm_profile_internal.forecast_tracking_row AS ( -- a row of the view forecast_tracking
	month date, -- first day of the month; the month of the cut-off has two rows
	forecast boolean, -- false: up to the cut-off, fitted; true: after it, forecast
	customers bigint, -- customers by then, up to the cut-off those that the model was fitted to; a sample if there are more than 100 000
	expected_purchase_days double precision, -- expected repeat purchase days: up to the cut-off from the day of the first purchase alone, then from the history of each customer
	actual_purchase_days double precision, -- actual repeat purchase days
	expected_value double precision, -- expected value of these days (profit if tier_by is profit)
	actual_value double precision -- actual value, net of refunds
);

CREATE FUNCTION crm_profile_internal.forecast_tracking(holdout crm_profile.clv_holdout_line[]) RETURNS SETOF crm_profile_internal.forecast_tracking_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 30
	BEGIN ATOMIC
		SELECT make_date(left(l.class, -3)::integer, right(l.class, 2)::integer, 1) AS month, l.part = 'forecast month' AS forecast, l.customers, l.predicted, l.actual, l.predicted_value, l.actual_value
		FROM unnest(holdout) l WHERE l.part IN ('fitted month', 'forecast month') ORDER BY 1, 2;
	END; -- rows of the view forecast_tracking: the months of a holdout test

CREATE TYPE crm_profile_internal.model_card_row AS ( -- a row of the view model_card
	item varchar, -- section and name of the figure
	value text, -- the value, with its standard error where there is one
	note text -- explanation of the figure
);

CREATE TYPE crm_profile_internal.model_card_details_row AS ( -- a row of the view model_card_details
	line integer, -- line number, for sorting
	section varchar, -- refresh, purchases, spend, lifecycle and tiers, scores, labels, holdout
	item varchar, -- name of the figure
	value text, -- the value as text
	number double precision, -- the value as a number; NULL: not a number, or unknown
	standard_error double precision, -- standard error of a parameter; NULL: not estimated
	note text -- explanation of the figure
);

CREATE FUNCTION crm_profile_internal.short_number(number double precision) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET extra_float_digits = 0
	RETURN CASE
		WHEN number IN ('NaN', 'Infinity', '-Infinity') THEN number::text
		WHEN abs(number) < 1e15 AND number = trunc(number) THEN number::numeric::text
		WHEN abs(number) BETWEEN 1e-30 AND 1e30 THEN number::real::text
		-- what real cannot hold
		ELSE btrim(to_char(number, '9.99999EEEE')) END;
COMMENT ON FUNCTION crm_profile_internal.short_number IS 'a number as text for people: whole, or with about six digits';

CREATE FUNCTION crm_profile_internal.attributes_earn_it(gain double precision, error double precision) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN coalesce(gain > 2 * error, false); -- whether what attributes gained in forecasts of the past is more than chance gives

CREATE FUNCTION crm_profile_internal.model_card_details(model crm_profile.source_model, today date) RETURNS SETOF crm_profile_internal.model_card_details_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
	BEGIN ATOMIC
		SELECT row_number() OVER (ORDER BY l.part, l.line)::integer, l.section, l.item, coalesce(l.value, crm_profile_internal.short_number(l.number)), l.number,
			l.standard_error, l.note
		FROM (
			SELECT 1 AS part, v.line AS line, 'refresh' AS section, v.item AS item, v.value AS value, v.number AS number, NULL::double precision AS standard_error, v.note AS note
			FROM (VALUES
				(1, 'fitted at', to_char(model.fitted_at, 'YYYY-MM-DD HH24:MI TZ'), NULL::double precision, 'when the refresh began that found these models'),
				(2, 'as of', crm_profile_internal.iso_day(model.as_of), NULL, 'the day that they look back from'),
				(3, 'customers', NULL, model.customers, 'customers with a history'),
				(4, 'share fitted', NULL, model.fit_share, 'share of the customers that purchases and spend are fitted to; 1: all'),
				(5, 'newest order', crm_profile_internal.iso_day(model.newest_order), NULL, 'the newest day of an order that the refresh read')) v(line, item, value, number, note)
			UNION ALL
			SELECT 1 AS part, 10 + f.n AS line, 'refresh' AS section, 'warning' AS item, f.finding AS value, NULL AS number, NULL AS standard_error, 'look at this before you use the figures' AS note
			FROM crm_profile_internal.model_findings(model, today) WITH ORDINALITY f(finding, n)
			UNION ALL
			SELECT 2 AS part, v.line AS line, 'purchases' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM crm_profile.clv_model_card(model.clv) c, LATERAL (VALUES
				(1, 'model', coalesce(c.model, 'none'), NULL::double precision, 'model of repeat purchase; none: nobody had bought'),
				(2, 'status', c.status, NULL, 'how the fit ended; few repeaters, no maximum: a cautious guess; not converged: no predictions'),
				(3, 'unit in days', NULL, extract(epoch FROM c.unit) / 86400, 'the unit of time of the parameters'),
				(4, 'customers', NULL, c.customers, 'customers that it was fitted to'),
				(5, 'repeaters', NULL, c.repeaters, 'those who bought on more than one day'),
				(6, 'repeat purchases', NULL, c.repeat_purchases, 'their purchase days after the first'),
				(7, 'log-likelihood', NULL, c.log_likelihood, 'higher: fits better; compare models of the same customers only')) v(line, item, value, number, note)
			WHERE v.line <= 1 OR c.model IS NOT NULL
			UNION ALL
			-- what was found besides the parameters
			SELECT 2 AS part, 20 + v.line AS line, 'purchases' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM crm_profile.clv_model_card(model.clv) c, crm_profile.clv_choice(model.clv_record) r, LATERAL (VALUES
				(1, 'season', nullif(c.season, 'none'), NULL::double precision, 'fitted: months of the year differ, see clv_season(); too short: below a year and a half of data; level: no more than by chance'),
				(2, 'observed from', crm_profile_internal.iso_day(c.observed_from), NULL, 'who first bought before may have been there before the data, and is not in the fit'),
				(3, 'early customers', NULL, CASE WHEN c.observed_from IS NOT NULL THEN c.early_customers END, 'these'),
				(4, 'pace', NULL, nullif(c.pace, 1), 'what forecasts are multiplied by, for a steady bias of the past'),
				(5, 'chosen by record', r.model, NULL, 'the candidate with the best forecasts of the past'),
				(6, 'stretches of the past', NULL, r.cut_offs, format('so many, of %s days each, were forecast', model.horizon_days)),
				(7, 'error of the latest', NULL, r.error, 'absolute errors of customers and of the total, over the total'),
				(8, 'the same of mbg/nbd', NULL, r.default_error, 'what the plain model would have given'),
				(9, 'attributes', CASE WHEN crm_profile_internal.attributes_earn_it(model.attributes_gain, model.attributes_error) THEN 'used' WHEN model.attributes_gain IS NOT NULL THEN 'not used' END,
					model.attributes_gain, format('gain of log-likelihood by customer in forecasts of the past, standard error %s; used from 2 of them on', crm_profile_internal.short_number(model.attributes_error))),
				(10, 'days with a weight', NULL, nullif(c.weighted_days, 0), 'days that count for more or less than others, as day_weights says'),
				(11, 'buy at random', NULL, c.random_share, 'share of customers who buy at random, the others regularly')) v(line, item, value, number, note)
			WHERE v.value IS NOT NULL OR v.number IS NOT NULL
			UNION ALL
			SELECT CASE WHEN p.part LIKE 'purchases%' THEN 2 ELSE 3 END AS part, 10 + p.n AS line, p.part AS section, p.parameter AS item, NULL AS value, p.estimate AS number, p.standard_error AS standard_error,
				CASE p.parameter
					WHEN 'r' THEN 'shape of the purchase rates of the customers' WHEN 'alpha' THEN 'scale of these rates: their mean is r by alpha'
					WHEN 'a' THEN 'of the chance to leave after a purchase: its mean is a by a + b' WHEN 'b' THEN 'of the same'
					WHEN 'share' THEN 'share of customers who buy so'
					WHEN 's' THEN 'shape of the rates of leaving' WHEN 'beta' THEN 'scale of these rates: their mean is s by beta'
					WHEN 'p' THEN 'shape of the values of a customer''s purchases' WHEN 'tau' THEN 'standard deviation of the customers'' mean values'
					WHEN 'sigma' THEN 'standard deviation of a customer''s values around their mean' WHEN 'mu' THEN 'mean of the customers'' mean values' ELSE 'of the spread of the customers'' mean values' END AS note
			FROM crm_profile.clv_parameters(model.clv) WITH ORDINALITY AS p(part, parameter, estimate, standard_error, status, n)
			UNION ALL
			SELECT 3 AS part, v.line AS line, 'spend' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM crm_profile.clv_model_card(model.clv) c, LATERAL (VALUES
				(1, 'model', coalesce(c.spend_model, 'none'), NULL::double precision, 'model of the value of a purchase day'),
				(2, 'status', c.spend_status, NULL, 'how its fit ended; few repeaters, no maximum, no mean: the mean value stands in; no data: clv_365d is NULL'),
				(3, 'value', c.value, NULL, 'revenue, or profit where the tiers go by profit'),
				(4, 'customers', NULL, c.spend_customers, 'customers whose repeat purchases it was fitted to'),
				(5, 'left out', NULL, c.spend_excluded, 'those whose repeat purchases have no positive value, where it is a model of positive values: they count as worth nothing'),
				(6, 'mean value', NULL, c.mean_value, 'mean value of a repeat purchase day'),
				(7, 'log-likelihood', NULL, c.spend_log_likelihood, 'higher: fits better')) v(line, item, value, number, note)
			WHERE c.model IS NOT NULL
			UNION ALL
			SELECT 5 AS part, v.line AS line, 'lifecycle and tiers' AS section, v.item AS item, NULL AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM (VALUES
				(1, 'active window', model.active_days::double precision, 'days; what one-time buyers are measured by, and everybody where the model is not converged or saw few repeaters'),
				(2, 'tier A from', model.a_from, 'monetary, or profit, from which on the tier is'),
				(3, 'tier B from', model.b_from, 'monetary, or profit, from which on the tier is'),
				(4, 'predicted tier A from', model.predicted_a_from, 'clv_365d from which on the tier is'),
				(5, 'predicted tier B from', model.predicted_b_from, 'clv_365d from which on the tier is')) v(line, item, number, note)
			UNION ALL
			SELECT 6 AS part, v.line AS line, 'scores' AS section, v.item AS item, v.value AS value, NULL AS number, NULL AS standard_error, v.note AS note
			FROM crm_profile.thresholds(model.rfm) t, LATERAL (VALUES
				(1, 'scheme', model.scheme, 'the segment scheme'),
				(2, 'recency', array_to_string(t.recency, ', '), 'days: each one exceeded takes a score away'),
				(3, 'frequency', array_to_string(t.frequency, ', '), 'orders: each one exceeded adds a score'),
				(4, 'monetary', array_to_string(t.monetary, ', '), 'amount: each one exceeded adds a score'),
				(5, 'few customers', CASE WHEN model.customers < 5 * (1 + cardinality(t.monetary)) THEN model.customers::text END, 'fewer than five a score: a threshold can be the figure of one of them')) v(line, item, value, note)
			WHERE v.value IS NOT NULL
			UNION ALL
			SELECT 6 AS part, 10 + row_number() OVER (ORDER BY c.value::bigint DESC, c.key) AS line, 'labels' AS section, 'contradictions' AS item, NULL AS value, c.value::double precision AS number,
				NULL AS standard_error, c.key AS note
			FROM jsonb_each_text(CASE WHEN model.conflicts = '{}' THEN '{"segment, lifecycle and p_alive agree": 0}' ELSE model.conflicts END) c
			UNION ALL
			SELECT 7 AS part, v.line AS line, 'holdout' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM (SELECT) one LEFT JOIN unnest(model.holdout) h ON h.part = 'total', LATERAL (VALUES
				(1, 'status', CASE WHEN model.holdout IS NULL THEN 'none' ELSE 'done' END, NULL::double precision, 'none: too short a time, no fit, or fewer than five customers; by class: model_holdout'),
				(2, 'fitted until', crm_profile_internal.iso_day(model.holdout_fit_until), NULL, 'last day that the forecast knew'),
				(3, 'forecast until', crm_profile_internal.iso_day(model.holdout_until), NULL, 'last day that it was for'),
				(4, 'share tested', NULL, model.holdout_share, 'share of the customers in the test; 1: all'),
				(5, 'customers', NULL, h.customers, 'those of them who had bought when the forecast was made'),
				(6, 'predicted', NULL, h.predicted, 'purchase days forecast'),
				(7, 'actual', NULL, h.actual, 'purchase days that came'),
				(8, 'calibration', NULL, h.calibration, 'actual by predicted; 1: right on the whole'),
				(9, 'mean absolute error', NULL, h.mean_absolute_error, 'purchase days by customer'),
				(10, 'correlation', NULL, h.correlation, 'of forecast and truth over customers'),
				(11, 'lower', NULL, h.lower, '95 % of actual totals should lie above'),
				(12, 'upper', NULL, h.upper, 'and below'),
				(13, 'gini', NULL, h.gini, 'how well customers are ordered; 1: as well as possible'),
				(14, 'decile error', NULL, h.decile_error, 'what deciles are off, over the actual total'),
				(15, 'predicted value', NULL, h.predicted_value, 'forecast revenue, or profit'),
				(16, 'actual value', NULL, h.actual_value, 'actual revenue, or profit'),
				(17, 'value calibration', NULL, h.value_calibration, 'actual / predicted'),
				(18, 'value lower', NULL, h.value_lower, '95 % of actual totals should lie above'),
				(19, 'value upper', NULL, h.value_upper, 'and below'),
				(20, 'value gini', NULL, h.value_gini, 'how well customers are ordered by value'),
				(21, 'value decile error', NULL, h.value_decile_error, 'what deciles are off, over the actual total')) v(line, item, value, number, note)
			WHERE v.line = 1 OR model.holdout IS NOT NULL) l
		WHERE model.id IS NOT NULL OR l.item = 'warning'
		ORDER BY l.part, l.line;
	END; -- rows of the view model_card_details; today: as-of date of the views

CREATE FUNCTION crm_profile_internal.model_card(section text, item text, value text, standard_error double precision, note text) RETURNS SETOF crm_profile_internal.model_card_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT crm_profile_internal.wrapped(concat(section, ': ', item), 20)::varchar, crm_profile_internal.wrapped(concat_ws(' ± ', value, crm_profile_internal.short_number(standard_error)), 20),
			crm_profile_internal.wrapped(note, 32);
	END; -- a row of the view model_card, from one of model_card_details

---------------------------------------------------------------- revenue_forecast

CREATE TYPE crm_profile_internal.revenue_forecast_row AS ( -- a row of the view revenue_forecast
	part varchar, -- customers so far; new customers, if as many arrive as in the last year; no customer: orders without one; total
	customers double precision, -- number of customers, for new ones the number expected
	expected numeric, -- expected amount in the 90 days (profit if tier_by is profit); NULL: too few data
	lower numeric, -- lower end of the 95 % interval; NULL: too few data
	upper numeric, -- upper end of the 95 % interval; NULL: too few data
	last_year numeric, -- actual amount of the same 90 days a year before; NULL: the data do not reach back
	from_date date, -- the first of the 90 days
	to_date date -- the last of the 90 days
);

CREATE TYPE crm_profile_internal.revenue_measures AS ( -- totals of revenue_forecast for customers who first bought in the same 90 days
	age integer, -- age in full periods of 90 days since the first purchase, 4: or more; NULL: no order
	customers bigint, -- number of customers
	expected numeric, -- sum of the expected amounts
	variance numeric, -- sum of the variances of these amounts
	arrived numeric, -- amount in the 90 days in which they first bought
	last_year_so_far numeric, -- amount in the 90 days a year ago of those who were customers before them
	last_year_new numeric -- amount in the 90 days a year ago of those who first bought in them
);

CREATE FUNCTION crm_profile_internal.amount_between(history crm_profile.purchase_history, before date, until date, by_profit boolean) RETURNS numeric
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 20
	RETURN CASE WHEN by_profit THEN crm_profile.profit(history, until, make_interval(days => until - before))
		ELSE crm_profile_internal.net_amount(history, until, make_interval(days => until - before)) END;
COMMENT ON FUNCTION crm_profile_internal.amount_between IS 'amount, or profit, of the days after the first date up to the second';

CREATE FUNCTION crm_profile_internal.revenue_measures_transfn(state internal, history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, by_profit boolean) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.revenue_measures_finalfn(state internal) RETURNS crm_profile_internal.revenue_measures[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="revenue_measures"
CREATE AGGREGATE crm_profile_internal.revenue_measures(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date, by_profit boolean) (
	SFUNC = crm_profile_internal.revenue_measures_transfn, STYPE = internal, SSPACE = 1024,
	FINALFUNC = crm_profile_internal.revenue_measures_finalfn,
	COMBINEFUNC = crm_profile_internal.revenue_measures_combine, SERIALFUNC = crm_profile_internal.revenue_measures_serialize, DESERIALFUNC = crm_profile_internal.revenue_measures_deserialize,
	PARALLEL = SAFE); -- what revenue_forecast sums over all customers

CREATE FUNCTION crm_profile_internal.revenue_forecast(as_of date, oldest date, holdout crm_profile.clv_holdout_line[], measures crm_profile_internal.revenue_measures[],
	nobody crm_profile.purchase_history, by_profit boolean) RETURNS SETOF crm_profile_internal.revenue_forecast_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 3
	BEGIN ATOMIC
		WITH seen AS (
			-- stretches of 90 days back from as_of in which a first order is that of a new customer: not the first 90
			-- days of the data, in which everybody is new
			SELECT least(4, (as_of - oldest) / 90 - 1) AS stretches, as_of - oldest >= 364 AS year),
		-- errors of earlier forecasts, as in clv_holdout, including the stretch that it tested
		record AS (
			SELECT ((4 * CASE WHEN as_of - oldest < 548 THEN 0.3 ELSE 0.15 END ^ 2 + coalesce(sum(ln(h.value_calibration) ^ 2), 0)) / (4 + count(*)))::numeric AS off,
				(ARRAY[2.776, 2.571, 2.447, 2.365, 2.306])[count(*) + 1] AS student
			FROM unnest(holdout) h WHERE h.part IN ('total', 'earlier total') AND h.value_calibration > 0),
		arrival AS (
			SELECT s.age, coalesce(m.customers, 0) AS customers, coalesce(m.arrived, 0) AS arrived
			FROM seen n, generate_series(0, n.stretches - 1) s(age) LEFT JOIN unnest(measures) m ON m.age = s.age),
		loose AS (
			SELECT s.age, coalesce(crm_profile_internal.amount_between(nobody, as_of - 90 * (s.age + 1), as_of - 90 * s.age, by_profit), 0) AS amount
			FROM generate_series(0, least(3, (as_of - oldest) / 90 - 1)) s(age) WHERE nobody IS NOT NULL),
		came AS (
			SELECT 2 AS place, 'new customers' AS part, avg(a.customers) AS customers, avg(a.arrived) AS expected, var_samp(a.arrived) AS variance, count(*) AS n FROM arrival a
			UNION ALL SELECT 3, 'no customer', NULL, avg(l.amount), var_samp(l.amount), count(*) FROM loose l HAVING count(*) > 0),
		-- few stretches say little about their spread: add a prior of four more that were off by 30 %
		spread AS (
			SELECT c.place, c.part, c.customers, c.expected,
				sqrt((1 + 1.0 / NULLIF(c.n, 0)) * (4 * (0.3 * c.expected) ^ 2 + (c.n - 1) * coalesce(c.variance, 0)) / (c.n + 3)) * (ARRAY[2.776, 2.571, 2.447, 2.365])[c.n] AS half FROM came c),
		known AS (
			SELECT sum(m.customers) FILTER (WHERE m.age IS NOT NULL) AS customers, sum(m.expected) AS expected, sum(m.variance) AS variance, coalesce(sum(m.last_year_so_far), 0) AS last_year,
				coalesce(sum(m.last_year_new), 0) AS last_year_new FROM unnest(measures) m),
		part AS (
			-- as a ratio, so further up than down; a loss has no ratio
			SELECT 1 AS place, 'customers so far' AS part, k.customers, k.expected, CASE WHEN k.expected > 0 THEN k.expected * (1 - exp(-b.reach)) ELSE abs(k.expected) * b.reach END AS below,
				CASE WHEN k.expected > 0 THEN k.expected * (exp(b.reach) - 1) ELSE abs(k.expected) * b.reach END AS above, k.last_year
			FROM known k, LATERAL (SELECT least(r.student * sqrt(k.variance / NULLIF(k.expected, 0) ^ 2 + r.off), 50) AS reach FROM record r) b
			UNION ALL SELECT s.place, s.part, s.customers, s.expected, s.half, s.half, CASE s.place WHEN 2 THEN (SELECT k.last_year_new FROM known k)
				ELSE coalesce(crm_profile_internal.amount_between(nobody, as_of - 365, as_of - 275, by_profit), 0) END FROM spread s),
		line AS (
			SELECT p.* FROM part p
			UNION ALL SELECT 4, 'total', sum(p.customers), CASE WHEN bool_and(p.expected IS NOT NULL) THEN sum(p.expected) END, CASE WHEN bool_and(p.below IS NOT NULL) THEN sqrt(sum(p.below ^ 2)) END,
				CASE WHEN bool_and(p.above IS NOT NULL) THEN sqrt(sum(p.above ^ 2)) END, sum(p.last_year) FROM part p)
		SELECT l.part, round(l.customers, 1)::double precision, round(l.expected, 2),
			round(CASE WHEN l.expected >= 0 AND NOT by_profit THEN greatest(0, l.expected - l.below) ELSE l.expected - l.below END, 2), round(l.expected + l.above, 2), CASE WHEN n.year THEN l.last_year END, as_of + 1, as_of + 90
		FROM line l, seen n WHERE oldest <= as_of ORDER BY l.place;
	END; -- rows of the view revenue_forecast: expected amount of the next 90 days with an interval, beside the same days a year before

---------------------------------------------------------------- customer_profile, counted once for several views

CREATE TYPE crm_profile_internal.report_cell AS ( -- customers who are alike in what views and sections of a report count
	lifecycle text, -- their lifecycle
	value_decile integer, -- their tenth by value
	r_score integer, -- their recency score
	f_score integer, -- their frequency score
	customers bigint, -- number of customers
	buyers bigint, -- how many of them have bought
	repeaters bigint, -- how many have more than one order in the period
	counted bigint, -- how many have an order in the period
	monetary numeric, -- their amount in the period
	m_scores bigint -- sum of their monetary scores
);

CREATE FUNCTION crm_profile_internal.profile_cells_transfn(state internal, lifecycle text, value_decile integer, r_score integer, f_score integer, m_score integer, first_purchase date, frequency bigint, monetary numeric) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.profile_cells_finalfn(state internal) RETURNS crm_profile_internal.report_cell[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="profile_cells"
CREATE AGGREGATE crm_profile_internal.profile_cells(lifecycle text, value_decile integer, r_score integer, f_score integer, m_score integer, first_purchase date, frequency bigint, monetary numeric) (
	SFUNC = crm_profile_internal.profile_cells_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.profile_cells_finalfn,
	COMBINEFUNC = crm_profile_internal.profile_cells_combine, SERIALFUNC = crm_profile_internal.profile_cells_serialize, DESERIALFUNC = crm_profile_internal.profile_cells_deserialize,
	PARALLEL = SAFE); -- customers by lifecycle, tenth and scores

CREATE FUNCTION crm_profile_internal.grid_of_cells(cells crm_profile_internal.report_cell[]) RETURNS crm_profile_internal.rfm_grid_row[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ARRAY(SELECT ROW(c.r_score, c.f_score, sum(c.customers), sum(c.monetary), sum(c.m_scores) / sum(c.customers))::crm_profile_internal.rfm_grid_row
		FROM unnest(cells) c WHERE c.r_score IS NOT NULL GROUP BY c.r_score, c.f_score);
COMMENT ON FUNCTION crm_profile_internal.grid_of_cells IS 'customers by recency and frequency score, from finer cells';

CREATE TYPE crm_profile_internal.profile_counts AS ( -- customer_profile, counted
	cells crm_profile_internal.report_cell[], -- customers by lifecycle, tenth and scores
	measures crm_profile_internal.segment_measures[], -- totals of the segments
	parts jsonb -- totals of the segments, for their cards
);

CREATE FUNCTION crm_profile_internal.count_profiles(source text) RETURNS crm_profile_internal.profile_counts
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	counts crm_profile_internal.profile_counts;
BEGIN
	EXECUTE format('WITH part AS MATERIALIZED (SELECT p.segment, min(p.segment_position) AS "position", count(*) AS customers, sum(p.frequency) AS orders, sum(p.monetary) AS monetary, sum(p.profit) AS profit,
			crm_profile_internal.median(p.recency) AS median_recency, crm_profile_internal.median(p.frequency) AS median_frequency, crm_profile_internal.median(p.monetary) AS median_monetary, crm_profile_internal.decimal_sum(p.clv_365d) AS predicted_value,
			crm_profile_internal.decimal_sum(p.p_purchase_90d) / count(p.p_purchase_90d) AS p_90d, crm_profile_internal.decimal_sum(p.p_purchase) / count(p.p_purchase) AS p, max(p.horizon_days) AS horizon_days,
			crm_profile_internal.profile_cells(p.lifecycle, p.value_decile, p.r_score, p.f_score, p.m_score, p.first_purchase, p.frequency, p.monetary) AS cells FROM %I.customer_profile p GROUP BY p.segment)
		SELECT (SELECT array_agg(c) FROM part a, unnest(a.cells) c),
			array_agg(ROW(a.segment, a.customers, a.monetary, a.profit, a.median_recency, a.median_frequency, a.median_monetary, a.predicted_value, a.p_90d, a.p, a.horizon_days)::crm_profile_internal.segment_measures),
			jsonb_agg(jsonb_build_object(''segment'', coalesce(a.segment, ''(unscored)''), ''position'', a."position", ''n'', a.customers, ''orders'', a.orders, ''amount'', a.monetary, ''silence'', round(a.median_recency::numeric)))
		FROM part a', source) INTO counts;
	RETURN counts;
END $$; -- customer_profile counted, with the rights of the reader

---------------------------------------------------------------- the SQL of a source, each piece made in one pass

CREATE FUNCTION crm_profile_internal.source_today(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
	RETURN CASE WHEN src.as_of IS NULL THEN format('(SELECT (CURRENT_TIMESTAMP AT TIME ZONE %L)::date)', src.time_zone) ELSE format('%L::date', src.as_of) END; -- SQL of the as-of date of the views

CREATE FUNCTION crm_profile_internal.source_day(as_of text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	-- a column of a row of its own: today's date as an argument is a subquery, which keeps a function from being
	-- inlined, and as an expression it would be computed for each use. From a function: PostgreSQL 15 has no
	-- parallel plan over a subquery without a table
	RETURN format('unnest(ARRAY[%s]) d(day)', as_of); -- SQL of a table d with one row and the column day, for functions that take the as-of date

CREATE FUNCTION crm_profile_internal.source_period(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET intervalstyle = 'postgres'
	RETURN format('%L::interval', src.period); -- SQL of the look-back window, NULL for all time

CREATE FUNCTION crm_profile_internal.source_model_in_use(src crm_profile.source_definition, attribute name) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- only those who may read the rows of model see orders without a customer
	RETURN format(CASE attribute WHEN 'unassigned' THEN '(SELECT m.%I FROM %I.model m ORDER BY m.id DESC LIMIT 1)' ELSE '(SELECT m.%I FROM %I.model_in_use m)' END, attribute, src.name); -- SQL of one of the newest models

CREATE FUNCTION crm_profile_internal.source_given(src crm_profile.source_definition, key text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN format(' LEFT JOIN (%s) q ON %s CROSS JOIN LATERAL (SELECT %s) given', src.customer_query, crm_profile_internal.same_key(src.key_type, 'q.customer', key),
		crm_profile_internal.source_attribute_names(src));
END $$; -- joins the attributes of the customer with that key, given as SQL, as the record given

CREATE FUNCTION crm_profile_internal.source_own_model(src crm_profile.source_definition, key text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- once a row, whatever number of figures ask for it
	RETURN CASE WHEN src.by_attributes THEN format(' LEFT JOIN %I.customer_effect x ON %s CROSS JOIN LATERAL (SELECT crm_profile_internal.with_effects(%s, x.buying, x.leaving) AS clv OFFSET 0) own',
		src.name, crm_profile_internal.same_key(src.key_type, 'x.customer', key), crm_profile_internal.source_model_in_use(src, 'clv')) ELSE '' END;
COMMENT ON FUNCTION crm_profile_internal.source_own_model IS 'where the model of repeat purchase goes by attributes: joins own.clv, the model of the customer with that key; else empty';

CREATE FUNCTION crm_profile_internal.source_clv(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.by_attributes THEN 'own.clv' ELSE crm_profile_internal.source_model_in_use(src, 'clv') END; -- SQL of the model of repeat purchase of a customer, after source_own_model()

CREATE FUNCTION crm_profile_internal.source_model_in_use(src crm_profile.source_definition, of_customers boolean DEFAULT false) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- attributes that no figure of a customer depends on are left out: the planner copies the whole row for each use of
	-- a part
	RETURN (SELECT format('ROW(%s)::crm_profile.source_model', string_agg(CASE
			WHEN a.attname IN ('profile', 'match', 'unassigned') THEN 'NULL'
			WHEN of_customers AND a.attname IN ('id', 'fitted_at', 'as_of', 'customers', 'scheme', 'fit_share', 'holdout', 'holdout_fit_until', 'holdout_until', 'holdout_share', 'best', 'clv_choice', 'clv_record',
				'oldest_order', 'newest_order', 'customer_rows', 'repeated_keys', 'conflicts', 'scheme_problems', 'attributes_gain', 'attributes_error', 'second_purchase_days') THEN 'NULL'
			WHEN of_customers AND a.attname = 'clv' THEN crm_profile_internal.source_clv(src)
			ELSE crm_profile_internal.source_model_in_use(src, a.attname) END,
			', ' ORDER BY a.attnum))
		FROM pg_attribute a WHERE a.attrelid = 'crm_profile.source_model'::regclass AND a.attnum > 0 AND NOT a.attisdropped);
COMMENT ON FUNCTION crm_profile_internal.source_model_in_use(crm_profile.source_definition, boolean) IS
	'SQL of all models in model_in_use: each is a subquery that is run once, and only if the query needs it; models joined to the customers would go through every sort and hash table';

CREATE FUNCTION crm_profile_internal.source_figure_models(src crm_profile.source_definition, alias text, OUT models text, OUT arguments text)
	LANGUAGE sql STABLE PARALLEL SAFE
	BEGIN ATOMIC
		SELECT format('(SELECT %s) %I', string_agg(format('%s AS %I', CASE a.name WHEN 'clv' THEN crm_profile_internal.source_clv(src) ELSE crm_profile_internal.source_model_in_use(src, a.name) END, a.name), ', ' ORDER BY a.place), alias),
			string_agg(format('%I.%I', alias, a.name), ', ' ORDER BY a.place)
		FROM unnest('{rfm,segments,active_days,clv,a_from,b_from,deciles,predicted_a_from,predicted_b_from,horizon_days}'::name[]) WITH ORDINALITY a(name, place);
	END;
COMMENT ON FUNCTION crm_profile_internal.source_figure_models IS 'SQL of a table of one row with the models that customer_figures() takes, and of these as its arguments';

CREATE FUNCTION crm_profile_internal.source_contact(src crm_profile.source_definition, customer text, day text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('EXISTS (SELECT FROM %s i WHERE %s%s)', src.interactions, crm_profile_internal.same_key(src.key_type, format('i.%I', src.interaction_customer), customer), CASE
		WHEN src.interacted_at IS NULL THEN ''
		WHEN 'timestamptz'::regtype = (SELECT atttypid FROM pg_attribute WHERE attrelid = to_regclass(src.interactions) AND attname = src.interacted_at)
			THEN format(' AND i.%I < (%s + 1)::timestamp AT TIME ZONE %L', src.interacted_at, day, src.time_zone)
		ELSE format(' AND i.%I < %s + 1', src.interacted_at, day) END);
COMMENT ON FUNCTION crm_profile_internal.source_contact IS 'the condition that a customer had an interaction by that day, both given as SQL';

CREATE FUNCTION crm_profile_internal.source_contacted(src crm_profile.source_definition, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce('CASE' || NULLIF(concat(
		CASE WHEN src.interactions IS NOT NULL THEN format(' WHEN %s THEN ''potential''', crm_profile_internal.source_contact(src, format('c.%I', src.customer_key), as_of)) END,
		-- a customer whom a prospect refers to is not in the prospect table themselves
		CASE WHEN src.prospect_customer = src.prospect_key
			THEN format(' WHEN EXISTS (SELECT FROM %s p WHERE %s) THEN ''probable''', src.prospects,
				crm_profile_internal.same_key(src.key_type, format('p.%I::%s', src.prospect_customer, src.key_type), format('c.%I', src.customer_key))) END), '') || ' END',
		'NULL');
COMMENT ON FUNCTION crm_profile_internal.source_contacted IS 'SQL of the lifecycle of customer c without a purchase by that day';

CREATE FUNCTION crm_profile_internal.source_conditions(src crm_profile.source_definition, n integer DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN src.condition_sql IS NULL THEN '' ELSE (SELECT concat(
			CASE WHEN bool_or(p.kind = 'attribute') THEN format(' LEFT JOIN (%s) q%s ON %s', src.customer_query, concat('_', n), crm_profile_internal.same_key(src.key_type, format('q%s.customer', concat('_', n)), format('c%s.%I', n, src.customer_key))) END,
			format(' CROSS JOIN LATERAL (SELECT %s AS met FROM (SELECT %s) figures) met%s',
				(SELECT string_agg(format('CASE WHEN %s THEN %s ELSE 0 END', s.condition, 1 << (s.place - 1)::integer), ' + ' ORDER BY s.place) FROM unnest(src.condition_sql) WITH ORDINALITY s(condition, place)),
				coalesce(string_agg(CASE WHEN p.name = 'customer' THEN format('c%s.%I AS customer', n, src.customer_key) ELSE format('%s%s.%I', CASE p.kind WHEN 'figure' THEN 'f' WHEN 'own' THEN 'c' ELSE 'q_' END, n, p.name) END, ', '), ''), n))
		FROM crm_profile_internal.source_probe_columns(src) p WHERE p.name = ANY (src.condition_columns)) END;
COMMENT ON FUNCTION crm_profile_internal.source_conditions IS 'where the scheme has conditions: joins met.met, a bit for each that holds for customer c with the figures f; n: number of all these aliases';

CREATE FUNCTION crm_profile_internal.source_met(src crm_profile.source_definition, n integer, history text, key text, day text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN src.condition_sql IS NULL THEN '' ELSE format(' LEFT JOIN %2$s c%1$s ON %3$s CROSS JOIN LATERAL %4$s CROSS JOIN LATERAL crm_profile_internal.customer_figures(%5$s::text, %6$s, %11$s, %7$s, %8$s, %9$L, NULL) f%1$s%10$s',
		n, src.customers, crm_profile_internal.same_key(src.key_type, format('c%s.%I', n, src.customer_key), key), (crm_profile_internal.source_figure_models(src, concat('m', n))).models, key, history, day, crm_profile_internal.source_period(src), src.tier_by,
		crm_profile_internal.source_conditions(src, n), (crm_profile_internal.source_figure_models(src, concat('m', n))).arguments) END;
COMMENT ON FUNCTION crm_profile_internal.source_met(crm_profile.source_definition, integer, text, text, text) IS 'the same for a history of the customer with that key on a day, given as SQL';

CREATE FUNCTION crm_profile_internal.source_met(src crm_profile.source_definition, n integer) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.condition_sql IS NULL THEN 'NULL::integer' ELSE format('met%s.met', n) END;
COMMENT ON FUNCTION crm_profile_internal.source_met(crm_profile.source_definition, integer) IS 'SQL of what source_met() of that number joins';

CREATE FUNCTION crm_profile_internal.source_figure(src crm_profile.source_definition, figure text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN src.condition_sql IS NOT NULL AND figure IN ('segment', 'segment_position')
		THEN format('crm_profile_internal.%s(crm_profile.rfm_score(h.history, m.rfm, d.day), m.segments, f.lifecycle, met.met)%s AS %I', CASE figure WHEN 'segment' THEN 'segment_met' ELSE figure END, CASE figure WHEN 'segment' THEN '::varchar' END, figure)
		ELSE format('f.%I', figure) END;
COMMENT ON FUNCTION crm_profile_internal.source_figure IS 'SQL of a figure in source_profile_query()';

CREATE FUNCTION crm_profile_internal.source_profile_query(src crm_profile.source_definition, as_of text, columns text, histories text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('SELECT %s
FROM %s c LEFT JOIN %s CROSS JOIN %s%s CROSS JOIN%s %s CROSS JOIN LATERAL (SELECT %s AS contact) l
	CROSS JOIN LATERAL crm_profile_internal.customer_figures(c.%I::text, h.history, %s, d.day, %s, %L, l.contact) f%s',
		columns, src.customers, histories, crm_profile_internal.source_day(as_of), crm_profile_internal.source_own_model(src, format('c.%I', src.customer_key)), CASE WHEN src.by_attributes THEN ' LATERAL' ELSE '' END, (crm_profile_internal.source_figure_models(src, 'm')).models, crm_profile_internal.source_contacted(src, as_of),
		src.customer_key, (crm_profile_internal.source_figure_models(src, 'm')).arguments, crm_profile_internal.source_period(src), src.tier_by, crm_profile_internal.source_conditions(src));
COMMENT ON FUNCTION crm_profile_internal.source_profile_query(crm_profile.source_definition, text, text, text) IS
	'a query of the figures f of all customers c on a day; histories: the table h with its join condition';

CREATE FUNCTION crm_profile_internal.source_profile_query(src crm_profile.source_definition, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.source_profile_query(src, as_of,
		(SELECT string_agg(CASE WHEN a.attname = 'customer' THEN format('c.%I AS customer', src.customer_key) ELSE crm_profile_internal.source_figure(src, a.attname) END, ', ' ORDER BY a.attnum)
			FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped),
		format('%I.customer_history h ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', format('c.%I', src.customer_key))));
COMMENT ON FUNCTION crm_profile_internal.source_profile_query(crm_profile.source_definition, text) IS 'the query of customer_profile and profile_as_of(), the key with its own type';

---------------------------------------------------------------- figures kept beside stored profiles

CREATE FUNCTION crm_profile_internal.sees_all(customers regclass, customer_key name, source text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
	-- what a view or a foreign table shows may be another thing for each reader; so may tables with a DBA's policies
	RETURN EXISTS (SELECT FROM pg_class c WHERE c.oid = sees_all.customers AND c.relkind IN ('r', 'p')) AND NOT row_security_active(customers)
		AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = customers AND a.attname = customer_key AND has_column_privilege(customers, a.attnum, 'SELECT'))
		AND NOT EXISTS (SELECT FROM unnest('{customer_history,stored_profile,unknown_customer}'::text[]) t(name), LATERAL (SELECT to_regclass(format('%I.%I', sees_all.source, t.name)) AS id) r
			WHERE has_table_privilege(r.id, 'SELECT') IS NOT TRUE OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = r.id AND p.polname <> 'customer_visible'));
COMMENT ON FUNCTION crm_profile_internal.sees_all IS 'whether the current user may read the profiles and histories of all customers, so that totals over them tell nothing new';

CREATE FUNCTION crm_profile_internal.source_kept(src crm_profile.source_definition, part text, what text, day text, live text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN CASE WHEN src.materialize THEN format('coalesce((SELECT %s FROM %I.kept_figures k WHERE k.part = %L%s), %s)', what, src.name, part, ' AND k.as_of = ' || day, live) ELSE live END;
COMMENT ON FUNCTION crm_profile_internal.source_kept IS 'SQL of figures that the last refresh kept, or, where there are none of that day (NULL: any day) or the reader may not read them, of the same computed now';

CREATE FUNCTION crm_profile_internal.source_kept_rows(src crm_profile.source_definition, part text, type regtype, day text, live text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.source_kept(src, part, format('(SELECT array_agg(r) FROM jsonb_populate_recordset(NULL::%s, k.figures) r)', type), day, live); -- the same of an array of rows

CREATE FUNCTION crm_profile_internal.kept_figures(source text, part text, day date) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	kept CONSTANT regclass := to_regclass(format('%I.kept_figures', source));
	figures jsonb;
BEGIN
	IF has_table_privilege(kept, 'SELECT') THEN
		EXECUTE format('SELECT k.figures FROM %s k WHERE k.part = $1 AND ($2 IS NULL OR k.as_of = $2)', kept) INTO figures USING part, day;
	END IF;
	RETURN figures;
END $$; -- figures that the last refresh kept; NULL: none of that day (NULL: any day), or the reader may not read them

CREATE FUNCTION crm_profile_internal.source_build_kept(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT src.materialize THEN
		PERFORM crm_profile_internal.source_drop_table(src, 'kept_figures');
		RETURN;
	ELSIF to_regclass(format('%I.kept_figures', src.name)) IS NULL THEN
		EXECUTE format('CREATE TABLE %I.kept_figures (part text PRIMARY KEY, as_of date NOT NULL, for_readers boolean NOT NULL, figures jsonb NOT NULL)', src.name);
		EXECUTE format('COMMENT ON TABLE %I.kept_figures IS ''totals over all customers as of the last refresh, which views of them read''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.kept_figures.part IS ''what the figures are of''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.kept_figures.as_of IS ''day of the figures''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.kept_figures.for_readers IS ''whether they count nobody but customers whom the customer table had''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.kept_figures.figures IS ''the figures''', src.name);
		EXECUTE format('ALTER TABLE %I.kept_figures ENABLE ROW LEVEL SECURITY', src.name);
		PERFORM crm_profile_internal.source_share_rights(src, 'model_in_use', 'kept_figures');
	ELSE
		-- another definition has other figures
		EXECUTE format('DELETE FROM %I.kept_figures', src.name);
		EXECUTE format('DROP POLICY IF EXISTS all_visible ON %I.kept_figures', src.name);
	END IF;
	-- it would admit nobody: customers elsewhere are a view
	IF src.elsewhere ? 'customers' THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE POLICY all_visible ON %1$I.kept_figures FOR SELECT USING (for_readers AND crm_profile_internal.sees_all(%2$L::regclass, %3$L, %1$L))', src.name, src.customers, src.customer_key);
	EXECUTE format('COMMENT ON POLICY all_visible ON %I.kept_figures IS ''readers who may read all customers''', src.name);
END $$; -- the table of figures kept beside stored profiles, empty; dropped where none are stored

---------------------------------------------------------------- writing models

CREATE FUNCTION crm_profile_internal.source_last_model(src crm_profile.source_definition) RETURNS crm_profile.source_model
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	last crm_profile.source_model;
BEGIN
	EXECUTE format('SELECT m.* FROM %I.model m ORDER BY m.id DESC LIMIT 1', src.name) INTO last;
	RETURN last;
END $$; -- the newest model of a source; NULLs if there is none yet

CREATE FUNCTION crm_profile_internal.match_problem(src crm_profile.source_definition, model crm_profile.source_model) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE
		WHEN model.match IS NULL THEN NULL
		WHEN (crm_profile.match_quality(model.match)).attributes = 0 THEN 'nothing tells the best customers from others: all prospects have the same score'
		WHEN least(src.best_customers, src.other_customers) < 50
			THEN format('of the customers %s are among the best and %s are not: too few for reliable scores of prospects', src.best_customers, src.other_customers) END;
COMMENT ON FUNCTION crm_profile_internal.match_problem IS 'why scores of prospects by this model of the source say little; NULL: no such problem, or no scores';

CREATE FUNCTION crm_profile_internal.source_keep_model(src crm_profile.source_definition, model crm_profile.source_model) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	last crm_profile.source_model := crm_profile_internal.source_last_model(src);
	fitted timestamptz := model.fitted_at;
BEGIN
	model.id := last.id;
	model.fitted_at := last.fitted_at;
	-- unchanged models are not written again
	IF model::text = last::text THEN
		RETURN;
	END IF;
	-- one row per refresh; nobody else writes, since the source is locked
	IF last.fitted_at = fitted THEN
		EXECUTE format('DELETE FROM %I.model WHERE id = $1', src.name) USING last.id;
	ELSE
		model.id := coalesce(last.id, 0) + 1;
	END IF;
	model.fitted_at := fitted;
	EXECUTE format('INSERT INTO %I.model SELECT ($1).*', src.name) USING model;
	-- the part that readers may see
	model.profile := NULL;
	model.match := NULL;
	model.unassigned := NULL;
	model.clv := crm_profile_internal.without_attributes(model.clv);
	-- nothing of fewer than five customers
	model.holdout := ARRAY(SELECT h.h FROM (SELECT h, row_number() OVER () AS place FROM unnest(model.holdout) h) h WHERE (h.h).customers >= 5 ORDER BY h.place);
	model.holdout := NULLIF(model.holdout, '{}');
	EXECUTE format('DELETE FROM %I.model_in_use', src.name);
	EXECUTE format('INSERT INTO %I.model_in_use SELECT ($1).*', src.name) USING model;
END $$; -- stores the models of the refresh that began at fitted_at if they differ from the last ones; the caller holds the lock on the source

---------------------------------------------------------------- tables and views of a source

CREATE FUNCTION crm_profile_internal.source_comment(schema text, relation text, comment text, columns regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	described record;
BEGIN
	EXECUTE format('COMMENT ON %s %I.%I IS %L', CASE WHEN (SELECT relkind FROM pg_class WHERE oid = format('%I.%I', schema, relation)::regclass) = 'v' THEN 'VIEW' ELSE 'TABLE' END,
		schema, relation, comment);
	FOR described IN SELECT a.attname, col_description(columns, t.attnum) AS comment FROM pg_attribute a JOIN pg_attribute t ON t.attrelid = columns AND t.attname = a.attname
			WHERE a.attrelid = format('%I.%I', schema, relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped LOOP
		EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', schema, relation, described.attname, described.comment);
	END LOOP;
END $$; -- comments on a relation of a source, and on its columns with the comments of a composite type

CREATE FUNCTION crm_profile_internal.source_view(src crm_profile.source_definition, view text, comment text, columns regclass, query text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_invoker = true) AS ', src.name, view) || query;
	PERFORM crm_profile_internal.source_comment(src.name, view, comment, columns);
END $$; -- creates a view of a source, or replaces it, keeping rights and dependent objects; a composite type comments the columns

CREATE FUNCTION crm_profile_internal.source_drop_view(src crm_profile.source_definition, view text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF to_regclass(format('%I.%I', src.name, view)) IS NOT NULL THEN
		EXECUTE format('DROP VIEW %I.%I', src.name, view);
	END IF;
END $$; -- drops a view of a source that is no longer needed

CREATE FUNCTION crm_profile_internal.source_drop_table(src crm_profile.source_definition, "table" text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
BEGIN
	IF to_regclass(format('%I.%I', src.name, "table")) IS NULL THEN
		RETURN;
	END IF;
	-- a subscriber of logical replication hears of rows, not of tables: one that kept these rows would refuse those of
	-- another table of this name
	IF current_setting('wal_level') = 'logical' THEN
		EXECUTE format('DELETE FROM %I.%I', src.name, "table");
	END IF;
	EXECUTE format('DROP TABLE %I.%I', src.name, "table");
END $$; -- drops a table of a source that is no longer needed, if it is there

CREATE FUNCTION crm_profile_internal.source_sees(src crm_profile.source_definition, customer text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- EXISTS, not IN: if a hash of the keys does not fit into work_mem, the planner can still look up each key. Not
	-- where the keys come from other machines: each look-up would be a query there, and Citus 13 cannot plan two
	-- alternatives
	RETURN CASE WHEN src.elsewhere ? 'customers' THEN format('%1$s::%2$s %3$s ANY (SELECT c.%4$I::%2$s FROM crm_profile_internal.keys_elsewhere(NULL::%5$s) c)', customer, src.key_type,
			crm_profile_internal.key_equality(src.key_type::regtype), src.customer_key, src.elsewhere -> 'customers' ->> 'given')
		ELSE format('EXISTS (SELECT FROM %s c WHERE %s)', src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), customer)) END;
COMMENT ON FUNCTION crm_profile_internal.source_sees IS 'SQL condition that whoever asks sees the customer with this key, given as SQL, in the customer table';

CREATE FUNCTION crm_profile_internal.source_admit(src crm_profile.source_definition, relation text, other text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', src.name, relation);
	IF EXISTS (SELECT FROM pg_policy WHERE polname = 'customer_visible' AND polrelid = format('%I.%I', src.name, relation)::regclass) THEN
		EXECUTE format('DROP POLICY customer_visible ON %I.%I', src.name, relation);
	END IF;
	-- qualified: the customer table may have a column customer
	EXECUTE format('CREATE POLICY customer_visible ON %I.%I FOR SELECT USING (%s%s)', src.name, relation, crm_profile_internal.source_sees(src, format('%I.customer', relation)),
		CASE WHEN other IS NOT NULL THEN format(' AND (%1$I.%2$I IS NULL OR %3$s)', relation, other, crm_profile_internal.source_sees(src, format('%I.%I', relation, other))) END);
	EXECUTE format('COMMENT ON POLICY customer_visible ON %I.%I IS ''customers that the reader sees in the customer table''', src.name, relation);
END $$; -- creates the row-level policy of a table of a source: whoever may read the customer, and the other one that it names, may read the row

CREATE FUNCTION crm_profile_internal.source_comment_models(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM crm_profile_internal.source_comment(src.name, 'model', 'models and figures of the refreshes; the views use the newest, the others are the log', 'crm_profile.source_model');
	PERFORM crm_profile_internal.source_comment(src.name, 'model_in_use', 'what the views read: the newest row of model, without models of attributes and without orders that have no customer', 'crm_profile.source_model');
END $$; -- comments on the tables with the models of a source

CREATE FUNCTION crm_profile_internal.source_build_tables(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I.customer_history (customer %s%s NOT NULL, history crm_profile.purchase_history NOT NULL)', src.name, src.key_type,
		crm_profile_internal.key_collation(src.customers::regclass, src.customer_key));
	-- what a view makes of a history (a segment, a score, a number of orders) has few values: so GROUP BY is planned
	-- for few groups. The default would be as many as customers
	EXECUTE format('ALTER TABLE %I.customer_history ALTER COLUMN history SET (n_distinct = 100)', src.name);
	EXECUTE format('COMMENT ON TABLE %I.customer_history IS ''the purchase history of every customer with orders, as of the last refresh''', src.name);
	EXECUTE format('COMMENT ON COLUMN %I.customer_history.customer IS ''key of the customer, as in the customer table''', src.name);
	EXECUTE format('COMMENT ON COLUMN %I.customer_history.history IS ''all purchase days, amounts and costs''', src.name);
	PERFORM crm_profile_internal.source_admit(src, 'customer_history');
	-- a typed table: an attribute that a later version adds to the type reaches all sources
	EXECUTE format('CREATE TABLE %I.model OF crm_profile.source_model (PRIMARY KEY (id), fitted_at NOT NULL, as_of NOT NULL, scheme NOT NULL, segments NOT NULL,
		active_days NOT NULL, customers NOT NULL, fit_share NOT NULL)', src.name);
	-- without a policy, so that only the owner sees rows, whatever was granted
	EXECUTE format('ALTER TABLE %I.model ENABLE ROW LEVEL SECURITY', src.name);
	EXECUTE format('CREATE TABLE %I.model_in_use OF crm_profile.source_model (PRIMARY KEY (id))', src.name);
	PERFORM crm_profile_internal.source_comment_models(src);
END $$; -- creates the tables of a new source

CREATE FUNCTION crm_profile_internal.source_build_labels(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF to_regclass(format('%I.label_sample', src.name)) IS NOT NULL THEN
		RETURN;
	END IF;
	-- columns are called like the functions that make the labels
	EXECUTE format('CREATE TABLE %I.label_sample (segment varchar, lifecycle varchar, value_tier varchar, predicted_tier varchar)', src.name);
	-- without a policy: whatever was granted, the rows are the owner's
	EXECUTE format('ALTER TABLE %I.label_sample ENABLE ROW LEVEL SECURITY', src.name);
	PERFORM crm_profile_internal.source_comment(src.name, 'label_sample', 'labels of a sample of the customers, as of the last refresh that fitted models: by their frequencies the planner expects as many customers as there are', 'crm_profile.customer_profile_row');
END $$; -- the table of labels whose statistics serve the planner

CREATE FUNCTION crm_profile_internal.refresh_labels(src crm_profile.source_definition, today date) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	sample_size CONSTANT double precision := 10000;
BEGIN
	EXECUTE format('DELETE FROM %I.label_sample', src.name);
	PERFORM crm_profile_internal.store_rows(format('SELECT p.segment, p.lifecycle, p.value_tier, p.predicted_tier FROM %I.profile_as_of(%L) p WHERE crm_profile_internal.in_sample(p.customer::text, %L)', src.name, crm_profile_internal.iso_day(today),
		least(1, sample_size / greatest((SELECT c.reltuples FROM pg_class c WHERE c.oid = src.customers::regclass), (crm_profile_internal.source_last_model(src)).customers, 1))), format('%I.label_sample', src.name)::regclass);
	EXECUTE format('ANALYZE %I.label_sample', src.name);
END $$; -- part of a refresh that fits models: the labels of a sample of the customers

CREATE FUNCTION crm_profile_internal.source_share_rights(src crm_profile.source_definition, view text, "table" text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT x.grantee, x.is_grantable
			FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = to_regclass(format('%I.%I', src.name, view)) AND x.privilege_type = 'SELECT' AND x.grantee <> c.relowner
		UNION
		-- a view requires the right to all columns that it reads; whoever may read some of them, and all of their
		-- sources, sees no more than before
		SELECT x.grantee, false
			FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = to_regclass(format('%I.%I', src.name, view)) AND a.attnum > 0 AND x.privilege_type = 'SELECT' AND x.grantee <> 0
				AND has_table_privilege(x.grantee, format('%I.customer_history', src.name), 'SELECT') AND has_table_privilege(x.grantee, format('%I.model_in_use', src.name), 'SELECT')
	LOOP
		EXECUTE format('GRANT SELECT ON %I.%I TO %s%s', src.name, "table",
			CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE granted.grantee::regrole::text END, CASE WHEN granted.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
	END LOOP;
END $$; -- grants readers of a view of a source the right to read the table under it

CREATE FUNCTION crm_profile_internal.source_build_profile(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	query text := crm_profile_internal.source_profile_query(src, crm_profile_internal.source_today(src));
	stored regclass := to_regclass(format('%I.stored_profile', src.name));
	added text;
BEGIN
	IF src.materialize THEN
		IF stored IS NULL THEN
			-- room for another version of each row on its page: each day all of them change, but no indexed figure does
			EXECUTE format('CREATE TABLE %I.stored_profile WITH (fillfactor = 45) AS %s WITH NO DATA', src.name, query);
			PERFORM crm_profile_internal.source_share_rights(src, 'customer_profile', 'stored_profile');
		ELSE
			-- columns added by a later version; the next refresh fills them in
			SELECT string_agg(format('ADD COLUMN %I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) INTO added
				FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped
					AND NOT EXISTS (SELECT FROM pg_attribute s WHERE s.attrelid = stored AND s.attname = a.attname);
			IF added IS NOT NULL THEN
				EXECUTE format('ALTER TABLE %I.stored_profile %s', src.name, added);
			END IF;
		END IF;
		PERFORM crm_profile_internal.source_comment(src.name, 'stored_profile', 'customer_profile as of the last refresh', 'crm_profile.customer_profile_row');
		PERFORM crm_profile_internal.source_admit(src, 'stored_profile');
		query := format('SELECT %s FROM %I.stored_profile', (SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
			WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped), src.name);
	END IF;
	PERFORM crm_profile_internal.source_view(src, 'customer_profile', 'every customer: purchases, scores, segment, lifecycle, value tier and predictions', 'crm_profile.customer_profile_row', query);
	IF NOT src.materialize THEN
		PERFORM crm_profile_internal.source_drop_table(src, 'stored_profile');
	END IF;
	EXECUTE format('CREATE OR REPLACE FUNCTION %I.profile_as_of(as_of date) RETURNS SETOF %1$I.customer_profile LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC %s; END',
		src.name, crm_profile_internal.source_profile_query(src, 'profile_as_of.as_of'));
	EXECUTE format('COMMENT ON FUNCTION %I.profile_as_of(date) IS ''customer_profile as it would have been at the end of that day, by the thresholds in use now''', src.name);
END $$; -- creates or replaces customer_profile (over a table if materialized) and profile_as_of() of a source

CREATE FUNCTION crm_profile_internal.source_build_prospect_model(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.prospects IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'prospect_match');
		PERFORM crm_profile_internal.source_drop_view(src, 'prospect_model');
	ELSE
		-- not security_invoker: it shows readers of prospect_match what they need of a table that only the owner may
		-- read
		EXECUTE format('CREATE OR REPLACE VIEW %1$I.prospect_model AS SELECT crm_profile_internal.seal_models(m.profile, m.match) AS models FROM %1$I.model m WHERE m.id = (SELECT max(n.id) FROM %1$I.model n)', src.name);
		EXECUTE format('COMMENT ON VIEW %I.prospect_model IS ''the models of attributes that prospect_match uses, with the owner''''s rights''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.prospect_model.models IS ''both models in a form that can be used but not read''', src.name);
	END IF;
END $$; -- creates or replaces the view prospect_model of a source, or drops it if there are no prospects

CREATE FUNCTION crm_profile_internal.source_build_effects(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- every source has the table from the beginning: a refresh that made or dropped it would stop subscribers of
	-- logical replication
	IF to_regclass(format('%I.customer_effect', src.name)) IS NULL THEN
		EXECUTE format('CREATE TABLE %I.customer_effect (customer %s%s PRIMARY KEY, buying double precision NOT NULL, leaving double precision NOT NULL)', src.name, src.key_type,
			crm_profile_internal.key_collation(src.customers::regclass, src.customer_key));
		EXECUTE format('COMMENT ON TABLE %I.customer_effect IS ''what the attributes of every customer with orders did to the model of repeat purchase at the last refresh''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.customer_effect.customer IS ''key of the customer, as in the customer table''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.customer_effect.buying IS ''added to the log of the rate of buying''', src.name);
		EXECUTE format('COMMENT ON COLUMN %I.customer_effect.leaving IS ''added to the log of the rate of leaving''', src.name);
	END IF;
	PERFORM crm_profile_internal.source_admit(src, 'customer_effect');
	IF src.by_attributes THEN
		PERFORM crm_profile_internal.source_share_rights(src, 'model_in_use', 'customer_effect');
	ELSE
		EXECUTE format('DELETE FROM %I.customer_effect', src.name);
	END IF;
END $$; -- the table customer_effect of a source, empty unless the model goes by attributes; then who may read model_in_use may read it

CREATE FUNCTION crm_profile_internal.source_build_attributes(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	described record;
BEGIN
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'customer_attributes');
		RETURN;
	END IF;
	BEGIN
		EXECUTE format('CREATE OR REPLACE VIEW %I.customer_attributes WITH (security_invoker = true) AS ', src.name) || src.customer_query;
	EXCEPTION WHEN invalid_table_definition THEN
		-- other attributes mean other columns
		PERFORM crm_profile_internal.source_drop_view(src, 'customer_attributes');
		EXECUTE format('CREATE VIEW %I.customer_attributes WITH (security_invoker = true) AS ', src.name) || src.customer_query;
	END;
	EXECUTE format('COMMENT ON VIEW %I.customer_attributes IS ''every customer: the attributes that the source names, to be joined to customer_profile''', src.name);
	FOR described IN SELECT a.attname, a.attnum FROM pg_attribute a WHERE a.attrelid = format('%I.customer_attributes', src.name)::regclass AND a.attnum > 0 AND NOT a.attisdropped LOOP
		EXECUTE format('COMMENT ON COLUMN %I.customer_attributes.%I IS %L', src.name, described.attname, CASE described.attnum WHEN 1 THEN 'key of the customer, as in the customer table' ELSE 'an attribute of the customer' END);
	END LOOP;
END $$; -- creates the view customer_attributes of a source, or replaces it; other columns are an error if objects depend on it

CREATE FUNCTION crm_profile_internal.source_measures(src crm_profile.source_definition, today text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- one pass where a segment follows from the history; profiles that are stored, and schemes with conditions, are
	-- summed up column by column
	RETURN CASE WHEN src.materialize OR src.condition_sql IS NOT NULL THEN format('ARRAY(SELECT ROW(p.segment, count(*), sum(p.monetary), sum(p.profit),
	crm_profile_internal.median(p.recency), crm_profile_internal.median(p.frequency), crm_profile_internal.median(p.monetary), crm_profile_internal.decimal_sum(p.clv_365d),
	crm_profile_internal.decimal_sum(p.p_purchase_90d) / count(p.p_purchase_90d), crm_profile_internal.decimal_sum(p.p_purchase) / count(p.p_purchase), max(p.horizon_days))::crm_profile_internal.segment_measures FROM %I.customer_profile p GROUP BY p.segment)', src.name)
		ELSE format('(SELECT crm_profile_internal.segment_measures(h.history, m.clv, d.day, m.rfm, m.segments, m.active_days, m.horizon_days, %s)
	FROM %s c LEFT JOIN %I.customer_history h ON %s CROSS JOIN %s%s CROSS JOIN%s %s)', crm_profile_internal.source_period(src), src.customers, src.name,
			crm_profile_internal.same_key(src.key_type, 'h.customer', format('c.%I', src.customer_key)), crm_profile_internal.source_day(today), crm_profile_internal.source_own_model(src, format('c.%I', src.customer_key)),
			CASE WHEN src.by_attributes THEN ' LATERAL' ELSE '' END, (crm_profile_internal.source_figure_models(src, 'm')).models) END;
COMMENT ON FUNCTION crm_profile_internal.source_measures IS 'SQL of the totals of the segments, an array of segment_measures';

CREATE FUNCTION crm_profile_internal.source_summary_query(src crm_profile.source_definition, measures text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN format('SELECT s.* FROM crm_profile_internal.segment_summary_details(%2$L, %3$s, %8$s,
	ARRAY(SELECT ROW(o.segment, count(o.customer), sum(o.monetary), sum(o.profit), sum(o.counted))::crm_profile_internal.outside_measures
		FROM (SELECT h.customer::text AS customer, f.* FROM %4$s CROSS JOIN (SELECT %6$s AS today) d
				CROSS JOIN LATERAL crm_profile_internal.outside_figures(h.history, ''(unknown customer)'', d.today, %7$s) f
			UNION ALL SELECT h.customer::text AS customer, f.* FROM %5$s CROSS JOIN (SELECT %6$s AS today) d
				CROSS JOIN LATERAL crm_profile_internal.outside_figures(h.history, NULL, d.today, %7$s) f
				WHERE crm_profile_internal.without_order(h.history, d.today, %7$s)
			UNION ALL SELECT NULL::text AS customer, f.* FROM crm_profile_internal.outside_figures(%1$s, ''(no customer)'', %6$s, %7$s) f) o
		GROUP BY o.segment ORDER BY array_position(ARRAY[''(refunds only)'', ''(unknown customer)'', ''(no customer)''], o.segment)), %9$L) s',
			crm_profile_internal.source_model_in_use(src, 'unassigned'), src.scheme, crm_profile_internal.source_model_in_use(src, 'segments'), crm_profile_internal.source_outside(src, true), crm_profile_internal.source_outside(src, false),
			crm_profile_internal.source_today(src), crm_profile_internal.source_period(src), measures, src.tier_by);
END $$; -- the query of segment_summary_details; measures: SQL of the totals of the segments

CREATE FUNCTION crm_profile_internal.calendar_figures(src crm_profile.source_definition, today text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('(SELECT crm_profile_internal.calendar_cells(h.history, %s) FROM %I.customer_history h)', today, src.name); -- SQL of what purchase_calendar shows of all customers

CREATE FUNCTION crm_profile_internal.revenue_figures(src crm_profile.source_definition, today text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('(SELECT crm_profile_internal.revenue_measures(h.history, %s, %s, %L) FROM %I.customer_history h%s)', crm_profile_internal.source_clv(src), today, src.tier_by = 'profit', src.name, crm_profile_internal.source_own_model(src, 'h.customer'));
COMMENT ON FUNCTION crm_profile_internal.revenue_figures IS 'SQL of what revenue_forecast sums over all customers';

CREATE FUNCTION crm_profile_internal.source_build_views(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	today CONSTANT text := crm_profile_internal.source_today(src);
	period CONSTANT text := crm_profile_internal.source_period(src);
	segments CONSTANT text := crm_profile_internal.source_model_in_use(src, 'segments');
	rfm CONSTANT text := crm_profile_internal.source_model_in_use(src, 'rfm');
BEGIN
	PERFORM crm_profile_internal.source_build_prospect_model(src);
	PERFORM crm_profile_internal.source_build_effects(src);
	PERFORM crm_profile_internal.source_build_profile(src);
	IF src.materialize THEN
		PERFORM crm_profile_internal.source_build_kept(src);
	END IF;
	PERFORM crm_profile_internal.source_view(src, 'segment_summary_details', 'the segments in the order of the scheme, and a row for customers without a score, with all figures', 'crm_profile_internal.segment_summary_details_row',
		crm_profile_internal.source_summary_query(src, crm_profile_internal.source_kept(src, 'profiles', '(jsonb_populate_record(NULL::crm_profile_internal.profile_counts, k.figures)).measures', NULL, crm_profile_internal.source_measures(src, today))));
	PERFORM crm_profile_internal.source_view(src, 'segment_summary', 'the segments in the order of the scheme, for a terminal of 80 columns; segment_summary_details says more', 'crm_profile_internal.segment_summary_row',
		format('SELECT s.segment, s.customers, s.monetary, crm_profile_internal.segment_in_words(s.customers, s.monetary, s.customer_share, s.monetary_share, s.median_recency, s.median_frequency, s.strategy) AS in_words FROM %I.segment_summary_details s', src.name));
	PERFORM crm_profile_internal.source_view(src, 'rfm_grid', 'a heat map: every pair of recency and frequency score', 'crm_profile_internal.rfm_grid_row',
		format('SELECT g.* FROM crm_profile_internal.rfm_grid(%s, %s) g', src.bins,
			crm_profile_internal.source_kept(src, 'profiles', 'crm_profile_internal.grid_of_cells((jsonb_populate_record(NULL::crm_profile_internal.profile_counts, k.figures)).cells)', NULL,
				format('ARRAY(SELECT ROW(p.r_score, p.f_score, count(*), sum(p.monetary), avg(p.m_score))::crm_profile_internal.rfm_grid_row
	FROM %I.customer_profile p WHERE p.r_score IS NOT NULL GROUP BY p.r_score, p.f_score)', src.name))));
	PERFORM crm_profile_internal.source_view(src, 'purchase_calendar', 'when people buy: month by weekday', 'crm_profile_internal.purchase_calendar_row',
		format('SELECT c.* FROM crm_profile_internal.purchase_calendar(%s, %s, %s) c',
			crm_profile_internal.source_kept_rows(src, 'calendar', 'crm_profile_internal.purchase_calendar_row', today, crm_profile_internal.calendar_figures(src, today)), crm_profile_internal.source_model_in_use(src, 'unassigned'), today));
	PERFORM crm_profile_internal.source_view(src, 'revenue_forecast', 'what the next 90 days should bring, from the customers there are and from new ones, beside the same days a year before',
		'crm_profile_internal.revenue_forecast_row', format('SELECT f.* FROM crm_profile_internal.revenue_forecast(%1$s, %2$s, %3$s,
	%4$s, %5$s, %6$L) f',
			today, crm_profile_internal.source_model_in_use(src, 'oldest_order'), crm_profile_internal.source_model_in_use(src, 'holdout'),
			crm_profile_internal.source_kept_rows(src, 'revenue', 'crm_profile_internal.revenue_measures', today, crm_profile_internal.revenue_figures(src, today)), crm_profile_internal.source_model_in_use(src, 'unassigned'), src.tier_by = 'profit'));
	PERFORM crm_profile_internal.source_build_attributes(src);
	PERFORM crm_profile_internal.source_build_findings(src);
	-- known at the last refresh, not by a join with the customer table: that takes as long as all the rest
	EXECUTE format('CREATE OR REPLACE FUNCTION %1$I.segment_migration(from_date date, to_date date, refit boolean DEFAULT false)
		RETURNS SETOF crm_profile_internal.segment_migration_row LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
		SELECT m.* FROM crm_profile_internal.segment_migration((SELECT crm_profile_internal.segment_moves(h.history, m.earlier, from_date, m.later, to_date, m.segments, m.active_days, m.clv, %3$s, %13$s, %14$s)
			FROM %10$s h%8$s CROSS JOIN%9$s (SELECT CASE WHEN refit THEN (SELECT crm_profile.rfm_fit(h.history, from_date, %2$s, %3$s) FROM %10$s h) ELSE %4$s END AS earlier,
					CASE WHEN refit THEN (SELECT crm_profile.rfm_fit(h.history, to_date, %2$s, %3$s) FROM %10$s h) ELSE %4$s END AS later, %5$s AS segments,
					%6$s AS active_days, %7$s AS clv) m%11$s%12$s)) m;
		END', src.name, src.bins, period, rfm, segments, crm_profile_internal.source_model_in_use(src, 'active_days'), crm_profile_internal.source_clv(src), crm_profile_internal.source_own_model(src, 'h.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' END,
		crm_profile_internal.evaluated_histories(src),
		crm_profile_internal.source_met(src, 1, 'h.history', 'h.customer', 'from_date'), crm_profile_internal.source_met(src, 2, 'h.history', 'h.customer', 'to_date'), crm_profile_internal.source_met(src, 1), crm_profile_internal.source_met(src, 2));
	EXECUTE format('COMMENT ON FUNCTION %I.segment_migration(date, date, boolean) IS ''how many customers went from which segment to which between two days, by the thresholds in use now or, with refit, by those of each day; share: of the customers of from_segment''', src.name);
	PERFORM crm_profile_internal.source_view(src, 'segment_migration', 'how customers moved between segments over the last 90 days', 'crm_profile_internal.segment_migration_row',
		CASE WHEN src.materialize THEN format('SELECT m.* FROM %1$I.kept_figures k CROSS JOIN LATERAL jsonb_populate_recordset(NULL::crm_profile_internal.segment_migration_row, k.figures) m WHERE k.part = ''moves'' AND k.as_of = %2$s
	UNION ALL SELECT m.* FROM %1$I.segment_migration(%2$s - 90, %2$s) m WHERE NOT EXISTS (SELECT FROM %1$I.kept_figures k WHERE k.part = ''moves'' AND k.as_of = %2$s)', src.name, today)
		ELSE format('SELECT m.* FROM %I.segment_migration(%s - 90, %2$s) m', src.name, today) END);
	PERFORM crm_profile_internal.source_view(src, 'model_holdout', 'the last refresh''s holdout test: forecast purchase days from what was known on an earlier day, and those that came',
		'crm_profile_internal.model_holdout_row', format('SELECT h.* FROM (SELECT %s AS m) l CROSS JOIN LATERAL crm_profile_internal.model_holdout(l.m) h', crm_profile_internal.source_model_in_use(src)));
	PERFORM crm_profile_internal.source_view(src, 'forecast_tracking', 'purchase days and their value by month, expected by the model and actual, before and after the cut-off of the holdout test',
		'crm_profile_internal.forecast_tracking_row', format('SELECT t.* FROM crm_profile_internal.forecast_tracking(%s) t', crm_profile_internal.source_model_in_use(src, 'holdout')));
	PERFORM crm_profile_internal.source_view(src, 'model_card_details', 'the models in use: parameters, what they were fitted to, how the fits ended, and how good forecasts would have been',
		'crm_profile_internal.model_card_details_row', format('SELECT c.* FROM (SELECT %s AS m) l CROSS JOIN LATERAL crm_profile_internal.model_card_details(l.m, %s) c', crm_profile_internal.source_model_in_use(src), today));
	PERFORM crm_profile_internal.source_view(src, 'model_card', 'the models in use, for a terminal of 80 columns; model_card_details says more', 'crm_profile_internal.model_card_row',
		format('SELECT c.* FROM %I.model_card_details d CROSS JOIN LATERAL crm_profile_internal.model_card(d.section, d.item, d.value, d.standard_error, d.note) c', src.name));
	IF NOT src.materialize THEN
		PERFORM crm_profile_internal.source_build_kept(src);
	END IF;
	PERFORM crm_profile_internal.source_build_evaluation(src);
	PERFORM crm_profile_internal.source_build_persona(src);
	PERFORM crm_profile_internal.source_build_match(src);
	PERFORM crm_profile_internal.source_build_campaigns(src);
	PERFORM crm_profile_internal.source_build_payments(src);
	IF src.line_query IS NULL THEN
		-- what read the lines no longer does
		PERFORM crm_profile_internal.source_build_due(src);
		PERFORM crm_profile_internal.source_build_lines(src);
	ELSE
		PERFORM crm_profile_internal.source_build_lines(src);
		PERFORM crm_profile_internal.source_build_due(src);
	END IF;
	-- nothing reads these any more
	IF crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'customer_identity');
	END IF;
END $$; -- creates the views and functions of a source, or replaces them; rights and dependent objects are kept

---------------------------------------------------------------- after an upgrade

CREATE FUNCTION crm_profile_internal.source_outdated(src crm_profile.source_definition) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped
		AND NOT EXISTS (SELECT FROM pg_attribute v WHERE v.attrelid = to_regclass(format('%I.customer_profile', src.name)) AND v.attname = a.attname));
COMMENT ON FUNCTION crm_profile_internal.source_outdated IS 'whether the views are those of an older version, restored from a dump: customer_profile is missing or lacks columns';

CREATE FUNCTION crm_profile_internal.rebuild_source_as_owner(src crm_profile.source_definition, OUT schema text, OUT as_owner text) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM crm_profile_internal.source_write(crm_profile_internal.source_build(src));
	PERFORM crm_profile_internal.source_comment_models(src);
	PERFORM crm_profile_internal.source_comment_definition(src);
	schema := src.name;
	as_owner := current_user;
	RETURN NEXT;
END $$; -- runs as the owner of the source: rebuild_source()

CREATE FUNCTION crm_profile_internal.rebuild_source(name text, OUT schema text, OUT as_owner text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'change_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1; -- rebuilds the views of a source as its owner; rights and dependent objects are kept

CREATE FUNCTION crm_profile_internal.rebuild_sources() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT s.name FROM crm_profile.sources s ORDER BY s.name LOOP
		BEGIN
			PERFORM crm_profile_internal.rebuild_source(name);
		EXCEPTION WHEN OTHERS THEN
			-- a source whose tables are gone must not hold up the others, nor the upgrade
			RAISE WARNING 'the views of source "%" could not be rebuilt: %', name, SQLERRM USING HINT = format('Correct it with alter_source(), then: SELECT crm_profile_internal.rebuild_source(%L)', name);
		END;
	END LOOP;
END $$; -- rebuild_source() for all sources: for upgrade scripts that change columns or text of views, not for those that only change functions
