
---------------------------------------------------------------- the type

CREATE FUNCTION crm_profile_internal.purchase_history_typanalyze(internal) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE; -- what ANALYZE keeps of histories: how wide they are, and none of them

-- @value_type type=purchase_history layout="STORAGE = extended, ANALYZE = crm_profile_internal.purchase_history_typanalyze"

COMMENT ON TYPE crm_profile.purchase_history IS
	'every purchase day of one customer: number of orders, amount and, where known, cost; exact, a few bytes a day';

---------------------------------------------------------------- histories form a group

CREATE FUNCTION crm_profile_internal.purchase_history_merge(a crm_profile.purchase_history, b crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE FUNCTION crm_profile_internal.purchase_history_subtract(a crm_profile.purchase_history, b crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
CREATE OPERATOR crm_profile.|| (LEFTARG = crm_profile.purchase_history, RIGHTARG = crm_profile.purchase_history,
	FUNCTION = crm_profile_internal.purchase_history_merge, COMMUTATOR = OPERATOR(crm_profile.||));
CREATE OPERATOR crm_profile.- (LEFTARG = crm_profile.purchase_history, RIGHTARG = crm_profile.purchase_history,
	FUNCTION = crm_profile_internal.purchase_history_subtract);

COMMENT ON OPERATOR crm_profile.|| (crm_profile.purchase_history, crm_profile.purchase_history) IS 'merges two histories: the sums of each day';
COMMENT ON OPERATOR crm_profile.- (crm_profile.purchase_history, crm_profile.purchase_history) IS 'subtracts what was merged: (a || b) - b = a';
COMMENT ON FUNCTION crm_profile_internal.purchase_history_merge IS 'implementation of || operator';
COMMENT ON FUNCTION crm_profile_internal.purchase_history_subtract IS 'implementation of - operator';

CREATE FUNCTION crm_profile.purchase_history_add(history crm_profile.purchase_history, day date, amount numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
CREATE FUNCTION crm_profile.purchase_history_add(history crm_profile.purchase_history, day date, amount numeric, cost numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.purchase_history_add(crm_profile.purchase_history, date, numeric) IS
	'the history with one more order, or refund if the amount is negative; a NULL history counts as an empty one, a NULL day or amount adds nothing';
COMMENT ON FUNCTION crm_profile.purchase_history_add(crm_profile.purchase_history, date, numeric, numeric) IS
	'the history with one more order and its cost; a NULL history counts as an empty one, a NULL day or amount adds nothing, a NULL cost means unknown';

CREATE FUNCTION crm_profile.as_of(history crm_profile.purchase_history, as_of date)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_as_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10; -- the history as it was at the end of that day; empty if nothing had happened yet

CREATE FUNCTION crm_profile.purchases(history crm_profile.purchase_history,
	OUT day date, OUT orders integer, OUT amount numeric, OUT cost numeric, OUT covered_amount numeric)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 10; -- the days of a history in order: orders, amount net of refunds, cost, and the part of the amount that the cost covers (NULL: no cost known)

---------------------------------------------------------------- aggregates

CREATE FUNCTION crm_profile_internal.row_stream_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE; -- planner support function: lets a query read the rows of a function one at a time, and has the library loaded while a query is planned

CREATE FUNCTION crm_profile_internal.purchase_history_agg_combine(a crm_profile.purchase_history, b crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.purchase_history_agg_finalfn(history crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_combine IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_finalfn IS 'aggregate final function';

-- @aggregate name=purchase_history_agg variant=_date state=crm_profile.purchase_history space=128 options=" SUPPORT crm_profile_internal.row_stream_support" more="COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine," arguments="ordered_on date, amount numeric"
--	comment="the purchase history of the rows, one order each; a negative amount is a refund; rows without day or amount are skipped"
-- @again arguments="ordered_on date, amount numeric, cost numeric"
--	comment="the purchase history of the rows, one order each, with its cost if that is not NULL; a negative amount is a refund; rows without day or amount are skipped"
-- @again variant=_timestamp arguments="ordered_at timestamp, amount numeric"
--	comment="the purchase history of the rows, one order each on the day of the time stamp; a negative amount is a refund; rows without day or amount are skipped"
-- @again arguments="ordered_at timestamp, amount numeric, cost numeric"
--	comment="the purchase history of the rows, one order each on the day of the time stamp, with its cost if that is not NULL; a negative amount is a refund; rows without day or amount are skipped"
-- @again variant=_timestamptz volatility=STABLE arguments="ordered_at timestamptz, amount numeric"
--	comment="the purchase history of the rows, one order each on the day of the time stamp in the session''s TimeZone; a negative amount is a refund; rows without day or amount are skipped"
-- @again arguments="ordered_at timestamptz, amount numeric, cost numeric"
--	comment="the purchase history of the rows, one order each on the day of the time stamp in the session''s TimeZone, with its cost if that is not NULL; a negative amount is a refund; rows without day or amount are skipped"
CREATE AGGREGATE crm_profile.purchase_history_merge_agg(history crm_profile.purchase_history) (
	SFUNC = crm_profile_internal.purchase_history_agg_combine, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE); -- all histories merged into one: the sums of each day; NULLs are skipped

---------------------------------------------------------------- accessors: (history [, as_of [, period]])

-- Costs are above 10: a query with ORDER BY and LIMIT then computes such a column for the rows that it returns, not for
-- those that it sorts. The support function has the library loaded when the first query of a session is planned: it
-- knows how histories are joined.

-- @accessor name=first_purchase result=date comment="first purchase day"
-- @accessor name=last_purchase result=date comment="last purchase day"
-- @accessor name=frequency result=bigint comment="number of orders"
-- @accessor name=purchase_days result=integer comment="number of distinct days with an order"
-- @accessor name=monetary result=numeric comment="amount of the orders, net of refunds"
-- @accessor name=profit result=numeric comment="amount of the orders whose cost is known, less that cost" without="; NULL if no cost is known"
-- @accessor name=cost_coverage result="double precision" comment="share of the amount whose cost is known" without="; NULL if the amount is 0"
-- @accessor name=average_order_value result=numeric comment="amount net of refunds, per order" without="; NULL without orders"
-- @accessor name=mean_gap result="double precision" comment="mean number of days between purchase days" without="; NULL for fewer than two purchase days"
-- @accessor name=gap_stddev result="double precision" comment="sample standard deviation of the days between purchase days" without="; NULL for fewer than three purchase days"
-- @accessor name=monthly_purchases result=bigint[] comment="orders by calendar month, January first: 12 entries"
CREATE FUNCTION crm_profile.recency(history crm_profile.purchase_history, as_of date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12 SUPPORT crm_profile_internal.row_stream_support; -- days from the last purchase to as_of; NULL if there is none by then
CREATE FUNCTION crm_profile.tenure(history crm_profile.purchase_history, as_of date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 12 SUPPORT crm_profile_internal.row_stream_support; -- days from the first purchase to as_of; NULL if there is none by then
CREATE FUNCTION crm_profile.trend(history crm_profile.purchase_history, as_of date, period interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20 SUPPORT crm_profile_internal.row_stream_support; -- (M1 - M0) / (M1 + M0), M1 the amount of the period that ends with as_of, M0 that of the period before; NULL if M1 + M0 is not positive
