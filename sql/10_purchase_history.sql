
---------------------------------------------------------------- the type

-- @value_type type=purchase_history layout="STORAGE = extended"

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
COMMENT ON OPERATOR crm_profile.- (crm_profile.purchase_history, crm_profile.purchase_history) IS 'removes again what was merged: (a || b) - b = a';
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
	AS 'MODULE_PATHNAME', 'purchase_history_as_of' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.as_of IS 'the history as it was at the end of that day; empty if nothing had happened yet';

CREATE FUNCTION crm_profile.purchases(history crm_profile.purchase_history,
	OUT day date, OUT orders integer, OUT amount numeric, OUT cost numeric, OUT covered_amount numeric)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10 ROWS 10;
COMMENT ON FUNCTION crm_profile.purchases IS 'the days of a history in order: orders, amount net of refunds, cost, and the part of the amount that the cost covers (NULL: no cost known)';

---------------------------------------------------------------- aggregates

CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_on date, amount numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_date' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, date, numeric) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_on date, amount numeric, cost numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_date' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, date, numeric, numeric) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_at timestamp, amount numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, timestamp, numeric) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_at timestamp, amount numeric, cost numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, timestamp, numeric, numeric) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_at timestamptz, amount numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_timestamptz' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, timestamptz, numeric) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.purchase_history_agg_transfn(history crm_profile.purchase_history, ordered_at timestamptz, amount numeric, cost numeric)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME', 'purchase_history_agg_transfn_timestamptz' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_transfn(crm_profile.purchase_history, timestamptz, numeric, numeric) IS 'aggregate transition function';

CREATE FUNCTION crm_profile_internal.purchase_history_agg_combine(a crm_profile.purchase_history, b crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION crm_profile_internal.purchase_history_agg_finalfn(history crm_profile.purchase_history)
	RETURNS crm_profile.purchase_history
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_combine IS 'aggregate combine function';
COMMENT ON FUNCTION crm_profile_internal.purchase_history_agg_finalfn IS 'aggregate final function';

CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_on date, amount numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(date, numeric) IS
	'the purchase history of the rows, one order each; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_on date, amount numeric, cost numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(date, numeric, numeric) IS
	'the purchase history of the rows, one order each, with its cost where that is not NULL; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_at timestamp, amount numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(timestamp, numeric) IS
	'the purchase history of the rows, one order each on the day of the time stamp; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_at timestamp, amount numeric, cost numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(timestamp, numeric, numeric) IS
	'the purchase history of the rows, one order each on the day of the time stamp, with its cost where that is not NULL; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_at timestamptz, amount numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(timestamptz, numeric) IS
	'the purchase history of the rows, one order each on the day of the time stamp in the session''s TimeZone; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_agg(ordered_at timestamptz, amount numeric, cost numeric) (
	SFUNC = crm_profile_internal.purchase_history_agg_transfn, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_agg(timestamptz, numeric, numeric) IS
	'the purchase history of the rows, one order each on the day of the time stamp in the session''s TimeZone, with its cost where that is not NULL; a negative amount is a refund; rows without day or amount are skipped';
CREATE AGGREGATE crm_profile.purchase_history_merge_agg(history crm_profile.purchase_history) (
	SFUNC = crm_profile_internal.purchase_history_agg_combine, STYPE = crm_profile.purchase_history, SSPACE = 128,
	FINALFUNC = crm_profile_internal.purchase_history_agg_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_history_agg_combine,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.purchase_history_merge_agg(crm_profile.purchase_history) IS
	'all histories merged into one: the sums of each day; NULLs are skipped';

---------------------------------------------------------------- accessors: (history [, as_of [, period]])

CREATE FUNCTION crm_profile.first_purchase(history crm_profile.purchase_history) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.first_purchase(crm_profile.purchase_history) IS
	'first purchase day';
CREATE FUNCTION crm_profile.first_purchase(history crm_profile.purchase_history, as_of date) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.first_purchase(crm_profile.purchase_history, date) IS
	'first purchase day, up to and including as_of';
CREATE FUNCTION crm_profile.first_purchase(history crm_profile.purchase_history, as_of date, period interval) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.first_purchase(crm_profile.purchase_history, date, interval) IS
	'first purchase day, in the period that ends with as_of';
CREATE FUNCTION crm_profile.last_purchase(history crm_profile.purchase_history) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.last_purchase(crm_profile.purchase_history) IS
	'last purchase day';
CREATE FUNCTION crm_profile.last_purchase(history crm_profile.purchase_history, as_of date) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.last_purchase(crm_profile.purchase_history, date) IS
	'last purchase day, up to and including as_of';
CREATE FUNCTION crm_profile.last_purchase(history crm_profile.purchase_history, as_of date, period interval) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.last_purchase(crm_profile.purchase_history, date, interval) IS
	'last purchase day, in the period that ends with as_of';
CREATE FUNCTION crm_profile.frequency(history crm_profile.purchase_history) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.frequency(crm_profile.purchase_history) IS
	'number of orders';
CREATE FUNCTION crm_profile.frequency(history crm_profile.purchase_history, as_of date) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.frequency(crm_profile.purchase_history, date) IS
	'number of orders, up to and including as_of';
CREATE FUNCTION crm_profile.frequency(history crm_profile.purchase_history, as_of date, period interval) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.frequency(crm_profile.purchase_history, date, interval) IS
	'number of orders, in the period that ends with as_of';
CREATE FUNCTION crm_profile.purchase_days(history crm_profile.purchase_history) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.purchase_days(crm_profile.purchase_history) IS
	'number of distinct days with an order';
CREATE FUNCTION crm_profile.purchase_days(history crm_profile.purchase_history, as_of date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.purchase_days(crm_profile.purchase_history, date) IS
	'number of distinct days with an order, up to and including as_of';
CREATE FUNCTION crm_profile.purchase_days(history crm_profile.purchase_history, as_of date, period interval) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.purchase_days(crm_profile.purchase_history, date, interval) IS
	'number of distinct days with an order, in the period that ends with as_of';
CREATE FUNCTION crm_profile.monetary(history crm_profile.purchase_history) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monetary(crm_profile.purchase_history) IS
	'amount of the orders, net of refunds';
CREATE FUNCTION crm_profile.monetary(history crm_profile.purchase_history, as_of date) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monetary(crm_profile.purchase_history, date) IS
	'amount of the orders, net of refunds, up to and including as_of';
CREATE FUNCTION crm_profile.monetary(history crm_profile.purchase_history, as_of date, period interval) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monetary(crm_profile.purchase_history, date, interval) IS
	'amount of the orders, net of refunds, in the period that ends with as_of';
CREATE FUNCTION crm_profile.profit(history crm_profile.purchase_history) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.profit(crm_profile.purchase_history) IS
	'amount of the orders whose cost is known, less that cost; NULL if no cost is known';
CREATE FUNCTION crm_profile.profit(history crm_profile.purchase_history, as_of date) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.profit(crm_profile.purchase_history, date) IS
	'amount of the orders whose cost is known, less that cost, up to and including as_of; NULL if no cost is known';
CREATE FUNCTION crm_profile.profit(history crm_profile.purchase_history, as_of date, period interval) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.profit(crm_profile.purchase_history, date, interval) IS
	'amount of the orders whose cost is known, less that cost, in the period that ends with as_of; NULL if no cost is known';
CREATE FUNCTION crm_profile.cost_coverage(history crm_profile.purchase_history) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.cost_coverage(crm_profile.purchase_history) IS
	'share of the amount whose cost is known; NULL if the amount is 0';
CREATE FUNCTION crm_profile.cost_coverage(history crm_profile.purchase_history, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.cost_coverage(crm_profile.purchase_history, date) IS
	'share of the amount whose cost is known, up to and including as_of; NULL if the amount is 0';
CREATE FUNCTION crm_profile.cost_coverage(history crm_profile.purchase_history, as_of date, period interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.cost_coverage(crm_profile.purchase_history, date, interval) IS
	'share of the amount whose cost is known, in the period that ends with as_of; NULL if the amount is 0';
CREATE FUNCTION crm_profile.average_order_value(history crm_profile.purchase_history) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.average_order_value(crm_profile.purchase_history) IS
	'amount net of refunds, per order; NULL without orders';
CREATE FUNCTION crm_profile.average_order_value(history crm_profile.purchase_history, as_of date) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.average_order_value(crm_profile.purchase_history, date) IS
	'amount net of refunds, per order, up to and including as_of; NULL without orders';
CREATE FUNCTION crm_profile.average_order_value(history crm_profile.purchase_history, as_of date, period interval) RETURNS numeric
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.average_order_value(crm_profile.purchase_history, date, interval) IS
	'amount net of refunds, per order, in the period that ends with as_of; NULL without orders';
CREATE FUNCTION crm_profile.mean_gap(history crm_profile.purchase_history) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.mean_gap(crm_profile.purchase_history) IS
	'mean number of days between purchase days; NULL for fewer than two purchase days';
CREATE FUNCTION crm_profile.mean_gap(history crm_profile.purchase_history, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.mean_gap(crm_profile.purchase_history, date) IS
	'mean number of days between purchase days, up to and including as_of; NULL for fewer than two purchase days';
CREATE FUNCTION crm_profile.mean_gap(history crm_profile.purchase_history, as_of date, period interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.mean_gap(crm_profile.purchase_history, date, interval) IS
	'mean number of days between purchase days, in the period that ends with as_of; NULL for fewer than two purchase days';
CREATE FUNCTION crm_profile.gap_stddev(history crm_profile.purchase_history) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.gap_stddev(crm_profile.purchase_history) IS
	'sample standard deviation of the days between purchase days; NULL for fewer than three purchase days';
CREATE FUNCTION crm_profile.gap_stddev(history crm_profile.purchase_history, as_of date) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.gap_stddev(crm_profile.purchase_history, date) IS
	'sample standard deviation of the days between purchase days, up to and including as_of; NULL for fewer than three purchase days';
CREATE FUNCTION crm_profile.gap_stddev(history crm_profile.purchase_history, as_of date, period interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.gap_stddev(crm_profile.purchase_history, date, interval) IS
	'sample standard deviation of the days between purchase days, in the period that ends with as_of; NULL for fewer than three purchase days';
CREATE FUNCTION crm_profile.monthly_purchases(history crm_profile.purchase_history) RETURNS bigint[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monthly_purchases(crm_profile.purchase_history) IS
	'orders by calendar month, January first: 12 entries';
CREATE FUNCTION crm_profile.monthly_purchases(history crm_profile.purchase_history, as_of date) RETURNS bigint[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monthly_purchases(crm_profile.purchase_history, date) IS
	'orders by calendar month, January first: 12 entries, up to and including as_of';
CREATE FUNCTION crm_profile.monthly_purchases(history crm_profile.purchase_history, as_of date, period interval) RETURNS bigint[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.monthly_purchases(crm_profile.purchase_history, date, interval) IS
	'orders by calendar month, January first: 12 entries, in the period that ends with as_of';
CREATE FUNCTION crm_profile.recency(history crm_profile.purchase_history, as_of date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.recency IS 'days from the last purchase to as_of; NULL if there is none by then';
CREATE FUNCTION crm_profile.tenure(history crm_profile.purchase_history, as_of date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.tenure IS 'days from the first purchase to as_of; NULL if there is none by then';
CREATE FUNCTION crm_profile.trend(history crm_profile.purchase_history, as_of date, period interval) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.trend IS '(M1 - M0) / (M1 + M0), M1 the amount of the period that ends with as_of, M0 that of the period before; NULL if M1 + M0 is not positive';
