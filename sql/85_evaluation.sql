-- Does the segmentation hold, and where does the money come from?
--
-- Functions of a source and a day, NULL for its own as-of date. They read the source's tables with the caller's rights:
-- readers see what the customer table shows them. The views of the same names are these functions.

---------------------------------------------------------------- reading a source

CREATE FUNCTION crm_profile_internal.evaluated_source(source text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src crm_profile.source_definition;
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	EXECUTE format('SELECT d.* FROM ONLY %I.source_definition d', source) INTO src;
	src.name := source;
	RETURN crm_profile_internal.source_localized(src);
END $$; -- the definition of a source, as its readers may read it

CREATE FUNCTION crm_profile_internal.evaluated_day(src crm_profile.source_definition, as_of date) RETURNS date
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- what is computed from a day has to be a day as well, and the months up to it are rows
	IF as_of NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
		RAISE datetime_field_overflow USING MESSAGE = format('the day is %s', as_of), DETAIL = 'It lies between the years 1 and 9999.';
	ELSIF as_of IS NULL THEN
		EXECUTE format('SELECT %s', crm_profile_internal.source_today(src)) INTO as_of;
	END IF;
	RETURN as_of;
END $$; -- the day given, or that of the views of the source

CREATE FUNCTION crm_profile_internal.evaluated_histories(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- known at the last refresh, not by a join with the customer table: that takes as long as all the rest
	RETURN CASE WHEN src.count_unknown THEN format('%I.customer_history', src.name) ELSE crm_profile_internal.counted(src) END; -- SQL of the histories of the customers that the views show

CREATE FUNCTION crm_profile_internal.evaluated_value(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('crm_profile.%s(h.history, $1%s)', CASE src.tier_by WHEN 'profit' THEN 'profit' ELSE 'monetary' END, CASE WHEN src.period IS NOT NULL THEN ', ' || crm_profile_internal.source_period(src) ELSE '' END); -- SQL of what a customer is worth on day $1: profit or amount, in the period of the source

CREATE FUNCTION crm_profile_internal.check_discovery_rate(false_discovery_rate double precision) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF false_discovery_rate IS NULL OR NOT (false_discovery_rate > 0 AND false_discovery_rate <= 1) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('false_discovery_rate is %s', coalesce(false_discovery_rate::text, 'NULL')), DETAIL = 'It is the share of chance among those named, above 0, at most 1.';
	END IF;
END $$; -- an error unless it is such a share

---------------------------------------------------------------- cohorts

CREATE TYPE crm_profile_internal.cohort_cell AS ( -- the customers of a cohort in one month
	cohort date, -- first day of the month of their first purchase
	months integer, -- months since
	buyers bigint, -- customers who bought in that month
	repeaters bigint, -- in month 0: customers of the cohort who bought on a second day at any time
	orders bigint, -- number of orders
	revenue numeric, -- amount, net of refunds
	profit numeric -- amount with a known cost less that cost; NULL: no cost known
);

CREATE FUNCTION crm_profile_internal.cohort_cells_transfn(state internal, history crm_profile.purchase_history, as_of date) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.cohort_cells_finalfn(state internal) RETURNS crm_profile_internal.cohort_cell[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.cohort_cells(history crm_profile.purchase_history, as_of date) (
	SFUNC = crm_profile_internal.cohort_cells_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.cohort_cells_finalfn,
	COMBINEFUNC = crm_profile_internal.purchase_cells_combine, SERIALFUNC = crm_profile_internal.purchase_cells_serialize, DESERIALFUNC = crm_profile_internal.purchase_cells_deserialize,
	PARALLEL = SAFE); -- purchases by month of the first purchase and months since

CREATE FUNCTION crm_profile_internal.cohort_cells(source text, as_of date) RETURNS SETOF crm_profile_internal.cohort_cell
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	day CONSTANT date := crm_profile_internal.evaluated_day(src, as_of);
	kept CONSTANT jsonb := crm_profile_internal.kept_figures(source, 'cohorts', day);
BEGIN
	IF kept IS NOT NULL THEN
		RETURN QUERY SELECT c.* FROM jsonb_populate_recordset(NULL::crm_profile_internal.cohort_cell, kept) c;
	ELSE
		RETURN QUERY EXECUTE format('SELECT c.* FROM unnest((SELECT crm_profile_internal.cohort_cells(h.history, $1) FROM %s h)) c', crm_profile_internal.evaluated_histories(src)) USING day;
	END IF;
END $$; -- the cells of a source: what all functions about cohorts read

CREATE FUNCTION crm_profile_internal.month_number(day date) RETURNS integer
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN extract(year FROM day)::integer * 12 + extract(month FROM day)::integer; -- a number for the month of a day; the next month has the next number

CREATE FUNCTION crm_profile_internal.dense_cohorts(cells crm_profile_internal.cohort_cell[], as_of date,
	OUT cohort date, OUT months integer, OUT customers bigint, OUT buyers bigint, OUT revenue numeric, OUT profit numeric, OUT complete boolean) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
	BEGIN ATOMIC
		SELECT s.cohort, m.months, s.buyers, coalesce(c.buyers, 0), coalesce(c.revenue, 0), CASE WHEN c.cohort IS NULL THEN NULL ELSE c.profit END,
			as_of >= (s.cohort + make_interval(months => m.months + 1))::date - 1
		FROM (SELECT least(as_of, greatest(CURRENT_DATE, max(c.cohort + make_interval(months => c.months)))) AS last FROM unnest(cells) c) e, unnest(cells) s
			CROSS JOIN LATERAL generate_series(0, crm_profile_internal.month_number(e.last::date) - crm_profile_internal.month_number(s.cohort)) AS m(months)
			LEFT JOIN unnest(cells) c ON c.cohort = s.cohort AND c.months = m.months
		WHERE s.months = 0;
	END; -- the cells with a row for every month up to the day, also those in which nobody bought; not for months that have yet to come

CREATE TYPE crm_profile_internal.cohort_retention_row AS ( -- a row of the view cohort_retention
	cohort date, -- first day of the month of the first purchase
	months integer, -- months since; 0 is that month
	customers bigint, -- customers of the cohort
	buyers bigint, -- how many of them bought in that month
	retention double precision, -- buyers / customers
	complete boolean -- whether the month was over on the as-of date
);

CREATE FUNCTION crm_profile.cohort_retention(source text, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.cohort_retention_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	day CONSTANT date := crm_profile_internal.evaluated_day(crm_profile_internal.evaluated_source(source), as_of);
BEGIN
	RETURN QUERY SELECT d.cohort, d.months, d.customers, d.buyers, d.buyers::double precision / d.customers, d.complete
		FROM crm_profile_internal.dense_cohorts(ARRAY(SELECT c FROM crm_profile_internal.cohort_cells(source, day) c), day) d ORDER BY d.cohort, d.months;
END $$; -- by month of the first purchase and months since: how many customers of the cohort bought in that month

CREATE TYPE crm_profile_internal.cohort_value_row AS ( -- a row of the view cohort_value
	cohort date, -- first day of the month of the first purchase
	months integer, -- months since; 0 is that month
	customers bigint, -- customers of the cohort
	revenue numeric, -- amount of that month, net of refunds
	profit numeric, -- profit of that month; NULL: no cost known
	revenue_per_customer numeric, -- amount from the first purchase to the end of that month, per customer of the cohort
	profit_per_customer numeric, -- profit so far, per customer of the cohort; NULL: no cost known so far
	complete boolean -- whether the month was over on the as-of date
);

CREATE FUNCTION crm_profile.cohort_value(source text, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.cohort_value_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	day CONSTANT date := crm_profile_internal.evaluated_day(crm_profile_internal.evaluated_source(source), as_of);
BEGIN
	RETURN QUERY SELECT d.cohort, d.months, d.customers, d.revenue, d.profit, round(sum(d.revenue) OVER w / d.customers, 6), round(sum(d.profit) OVER w / d.customers, 6), d.complete
		FROM crm_profile_internal.dense_cohorts(ARRAY(SELECT c FROM crm_profile_internal.cohort_cells(source, day) c), day) d WINDOW w AS (PARTITION BY d.cohort ORDER BY d.months) ORDER BY d.cohort, d.months;
END $$; -- by month of the first purchase and months since: revenue and profit, and how much a customer of the cohort has brought by then

CREATE TYPE crm_profile_internal.new_and_returning_row AS ( -- a row of the view new_and_returning
	month date, -- first day of the month
	new_customers bigint, -- customers whose first purchase was in that month
	returning_customers bigint, -- buyers of that month who had bought in an earlier month
	returning_rate double precision, -- returning_customers / all buyers; NULL: nobody bought
	new_revenue numeric, -- amount of the new customers, net of refunds
	returning_revenue numeric, -- amount of all others, net of refunds
	returning_share double precision -- returning_revenue / revenue; NULL unless both are positive or 0 and the revenue is not 0
);

CREATE FUNCTION crm_profile.new_and_returning(source text, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.new_and_returning_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY WITH cell AS (SELECT c.*, (c.cohort + make_interval(months => c.months))::date AS month FROM crm_profile_internal.cohort_cells(source, as_of) c),
			by_month AS (SELECT c.month, coalesce(sum(c.buyers) FILTER (WHERE c.months = 0), 0)::bigint AS new, coalesce(sum(c.buyers) FILTER (WHERE c.months > 0), 0)::bigint AS old,
				coalesce(sum(c.revenue) FILTER (WHERE c.months = 0), 0) AS of_new, coalesce(sum(c.revenue) FILTER (WHERE c.months > 0), 0) AS of_old FROM cell c GROUP BY c.month)
		SELECT m.month::date, coalesce(b.new, 0), coalesce(b.old, 0), b.old::double precision / NULLIF(b.new + b.old, 0), coalesce(b.of_new, 0), coalesce(b.of_old, 0),
			CASE WHEN b.of_new >= 0 AND b.of_old >= 0 THEN (b.of_old / NULLIF(b.of_new + b.of_old, 0))::double precision END
		FROM (SELECT min(c.month) AS first, max(c.month) AS last FROM cell c) e CROSS JOIN LATERAL generate_series(e.first::timestamp, e.last::timestamp, '1 month') m(month) LEFT JOIN by_month b ON b.month = m.month
		ORDER BY 1;
END $$; -- by month: customers and revenue, new ones against those who had bought in an earlier month

CREATE FUNCTION crm_profile.returning_customer_rate(source text, period interval DEFAULT '1 year', as_of date DEFAULT NULL,
	OUT buyers bigint, OUT returning_customers bigint, OUT rate double precision)
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
BEGIN
	-- a first order is one on the first purchase day, whatever else was bought then
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE crm_profile.purchase_days(h.history, $1) > 1) FROM %s h WHERE crm_profile.frequency(h.history, $1, $2) > 0', crm_profile_internal.evaluated_histories(src))
		INTO buyers, returning_customers USING crm_profile_internal.evaluated_day(src, as_of), period;
	rate := returning_customers::double precision / NULLIF(buyers, 0);
END $$; -- of the customers who bought in the period, the share for whom it was not the first day on which they bought; NULL if nobody bought

---------------------------------------------------------------- the second purchase

CREATE TYPE crm_profile_internal.second_purchase_count AS ( -- customers by days to the second purchase
	days integer, -- days since the first purchase; the last row: that many and more
	bought bigint, -- customers who bought again after that many days
	waiting bigint -- customers who had not bought again, so long after their first purchase
);

CREATE FUNCTION crm_profile_internal.second_purchases_transfn(state internal, history crm_profile.purchase_history, as_of date) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.second_purchases_finalfn(state internal) RETURNS crm_profile_internal.second_purchase_count[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="second_purchases"
CREATE AGGREGATE crm_profile_internal.second_purchases(history crm_profile.purchase_history, as_of date) (
	SFUNC = crm_profile_internal.second_purchases_transfn, STYPE = internal, SSPACE = 600000,
	FINALFUNC = crm_profile_internal.second_purchases_finalfn,
	COMBINEFUNC = crm_profile_internal.second_purchases_combine, SERIALFUNC = crm_profile_internal.second_purchases_serialize, DESERIALFUNC = crm_profile_internal.second_purchases_deserialize,
	PARALLEL = SAFE); -- customers by days to the second purchase, or without one

CREATE TYPE crm_profile_internal.second_purchase_row AS ( -- a row of the view second_purchase
	within_days integer, -- days since the first purchase
	customers bigint, -- customers who have bought
	bought_again bigint, -- how many of them are known to have bought again within that time
	rate double precision, -- expected share of all customers who buy again within that time: Kaplan and Meier's estimate, since some were not observed for so long; NULL: nobody was
	median_days integer -- days until half of all customers have bought again; NULL: fewer did, as far as can be seen; the same in all rows
);

CREATE FUNCTION crm_profile.second_purchase(source text, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.second_purchase_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 8 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	counts crm_profile_internal.second_purchase_count[];
BEGIN
	EXECUTE format('SELECT crm_profile_internal.second_purchases(h.history, $1) FROM %s h', crm_profile_internal.evaluated_histories(src)) INTO counts USING crm_profile_internal.evaluated_day(src, as_of);
	RETURN QUERY WITH risk AS (SELECT c.days, c.bought, sum(c.bought + c.waiting) OVER (ORDER BY c.days DESC) AS at_risk FROM unnest(counts) c),
			survival AS (SELECT r.days, CASE WHEN bool_or(r.bought = r.at_risk) OVER w THEN 0 ELSE exp(sum(CASE WHEN r.bought < r.at_risk THEN ln(1 - (r.bought / r.at_risk)::double precision) END) OVER w) END AS share FROM risk r WINDOW w AS (ORDER BY r.days))
		SELECT w.days, (SELECT coalesce(sum(c.bought + c.waiting), 0)::bigint FROM unnest(counts) c), (SELECT coalesce(sum(c.bought) FILTER (WHERE c.days <= w.days), 0)::bigint FROM unnest(counts) c),
			CASE WHEN w.days <= (SELECT max(r.days) FROM risk r) THEN 1 - coalesce((SELECT s.share FROM survival s WHERE s.days <= w.days ORDER BY s.days DESC LIMIT 1), 1) END,
			(SELECT min(s.days) FROM survival s WHERE s.share <= 0.5)
		FROM unnest('{7,14,30,60,90,180,365,730}'::integer[]) w(days) ORDER BY w.days;
END $$; -- how many customers buy a second time within so many days of the first, and after how many days half of them have

---------------------------------------------------------------- where the money comes from

CREATE TYPE crm_profile_internal.value_concentration_row AS ( -- a row of the view value_concentration
	decile integer, -- tenth of the customers by value, 1 the best
	customers bigint, -- customers in it
	value numeric, -- their value: amount in the period, or profit if tier_by is profit
	share double precision, -- share of the value of all; NULL, as all shares: the whole is not above 0
	cumulative_share double precision, -- share of the value of this and all better tenths
	mean_value numeric, -- value / customers
	best_20_share double precision, -- share of the best 20 %; the same in all rows
	gini double precision -- Gini coefficient, 0: all are worth the same, 1: one has it all; values below 0 count as 0; the same in all rows
);

CREATE TYPE crm_profile_internal.value_tenth AS ( -- a tenth of the customers by value, for value_concentration
	decile integer, -- 1 the best
	customers bigint, -- customers in it
	value numeric, -- their value
	above numeric, -- sum of the values above 0
	weighted numeric -- the same, each times the number of customers worth less, minus the number of those worth more
);

CREATE FUNCTION crm_profile_internal.value_tenths_transfn(state internal, history crm_profile.purchase_history, as_of date, period interval, by_profit boolean) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.value_tenths_finalfn(state internal) RETURNS crm_profile_internal.value_tenth[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
-- @parallel_state name="value_tenths"
CREATE AGGREGATE crm_profile_internal.value_tenths(history crm_profile.purchase_history, as_of date, period interval, by_profit boolean) (
	SFUNC = crm_profile_internal.value_tenths_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.value_tenths_finalfn, FINALFUNC_MODIFY = READ_WRITE,
	COMBINEFUNC = crm_profile_internal.value_tenths_combine, SERIALFUNC = crm_profile_internal.value_tenths_serialize, DESERIALFUNC = crm_profile_internal.value_tenths_deserialize,
	PARALLEL = SAFE); -- those who have bought by as_of, in tenths by amount, or profit, in the period

CREATE FUNCTION crm_profile.value_concentration(source text, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.value_concentration_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
BEGIN
	RETURN QUERY EXECUTE format($query$
		WITH tenth AS (SELECT t.* FROM unnest((SELECT crm_profile_internal.value_tenths(h.history, $1, %s, %L) FROM %s h)) t),
			whole AS (SELECT sum(t.value) AS value, sum(t.weighted)::double precision / NULLIF(sum(t.customers)::double precision * sum(t.above)::double precision, 0) AS gini FROM tenth t)
		SELECT t.decile, t.customers, t.value, CASE WHEN w.value > 0 THEN (t.value / w.value)::double precision END, CASE WHEN w.value > 0 THEN (sum(t.value) OVER (ORDER BY t.decile) / w.value)::double precision END,
			round(t.value / t.customers, 6), CASE WHEN w.value > 0 THEN (sum(t.value) FILTER (WHERE t.decile <= 2) OVER () / w.value)::double precision END, w.gini
		FROM tenth t, whole w ORDER BY t.decile$query$, crm_profile_internal.source_period(src), src.tier_by = 'profit', crm_profile_internal.evaluated_histories(src))
		USING crm_profile_internal.evaluated_day(src, as_of);
END $$; -- how much of the value is with how few customers: deciles, the share of the best 20 %, the Gini coefficient

CREATE TYPE crm_profile_internal.costly_customers_row AS ( -- a row of the view costly_customers
	customer text, -- key of the customer
	segment varchar, -- the customer's segment
	orders bigint, -- number of orders in the period
	revenue numeric, -- amount in the period, net of refunds
	profit numeric, -- profit in the period; NULL: no cost known
	cost_to_serve numeric, -- orders × the cost of an order that was given
	contribution numeric -- profit, or the amount if no cost is known, less cost_to_serve: below 0
);

CREATE FUNCTION crm_profile.costly_customers(source text, cost_per_order numeric DEFAULT 0, as_of date DEFAULT NULL) RETURNS SETOF crm_profile_internal.costly_customers_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
BEGIN
	IF cost_per_order IS NULL OR cost_per_order NOT BETWEEN 0 AND 1e15 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('cost_per_order is %s', coalesce(crm_profile_internal.short(cost_per_order::text, 40), 'NULL')), DETAIL = 'It is what an order costs besides its goods, from 0 to 1e15.';
	END IF;
	RETURN QUERY EXECUTE format('SELECT p.customer::text, p.segment, p.frequency, p.monetary, p.profit, p.frequency * $2, coalesce(p.profit, p.monetary) - p.frequency * $2
		FROM %I.%s p WHERE coalesce(p.profit, p.monetary) < p.frequency * $2 ORDER BY 7, p.customer::text COLLATE "C"', source, CASE WHEN as_of IS NULL THEN 'customer_profile' ELSE 'profile_as_of($1)' END)
		USING crm_profile_internal.evaluated_day(src, as_of), cost_per_order;
END $$; -- customers who cost more than they bring, the worst first: cost of goods where known, and what an order costs to handle

CREATE TYPE crm_profile_internal.season AS ( -- the month in which a customer buys year after year
	month integer, -- 1 to 12; NULL: in no month in three years
	years integer, -- in how many years the customer bought in that month
	months_bought integer, -- months in which the customer bought at all
	p_value double precision -- chance of so many years in one month, for a customer who buys when the others do, over all twelve months
);
CREATE FUNCTION crm_profile_internal.season_of(history crm_profile.purchase_history, as_of date, shares double precision[]) RETURNS crm_profile_internal.season
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20; -- the month of the year in which the customer buys beyond chance, given the share of the purchases of all in each month of the year; NULL: they bought in fewer than three months

CREATE TYPE crm_profile_internal.seasonal_buyers_row AS ( -- a row of the view seasonal_buyers
	customer text, -- key of the customer
	month integer, -- month of the year in which the customer buys, 1 to 12
	years integer, -- number of years in which the customer bought in that month
	months_bought integer, -- number of months in which the customer bought at all
	p_value double precision, -- chance of it for a customer who buys when the others do, over all months of the year
	adjusted_p_value double precision -- the same, adjusted over all customers who bought in at least three months (Benjamini and Hochberg)
);

CREATE FUNCTION crm_profile.seasonal_buyers(source text, as_of date DEFAULT NULL, false_discovery_rate double precision DEFAULT 0.05) RETURNS SETOF crm_profile_internal.seasonal_buyers_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	day CONSTANT date := crm_profile_internal.evaluated_day(src, as_of);
	shares double precision[];
BEGIN
	PERFORM crm_profile_internal.check_discovery_rate(false_discovery_rate);
	-- buyers a month, averaged over the years
	SELECT array_agg(coalesce(b.buyers, 0) ORDER BY m.m) INTO shares FROM generate_series(1, 12) m(m)
		LEFT JOIN (SELECT extract(month FROM x.month)::integer AS m, avg(x.buyers)::double precision AS buyers
			FROM (SELECT (c.cohort + make_interval(months => c.months))::date AS month, sum(c.buyers) AS buyers FROM crm_profile_internal.cohort_cells(source, day) c GROUP BY 1) x GROUP BY 1) b ON b.m = m.m;
	RETURN QUERY EXECUTE format($query$
		WITH tested AS MATERIALIZED (SELECT h.customer::text AS customer, (s.season).* FROM %1$s h CROSS JOIN LATERAL (SELECT crm_profile_internal.season_of(h.history, $1, $2) AS season OFFSET 0) s WHERE s.season IS NOT NULL),
			ranked AS (SELECT t.*, t.p_value * (SELECT count(*) FROM tested) / row_number() OVER (ORDER BY t.p_value) AS adjusted FROM tested t WHERE t.month IS NOT NULL),
			adjusted AS (SELECT r.*, least(1, min(r.adjusted) OVER (ORDER BY r.p_value DESC, r.adjusted DESC)) AS adjusted_p FROM ranked r)
		SELECT a.customer, a.month, a.years, a.months_bought, a.p_value, a.adjusted_p FROM adjusted a WHERE a.adjusted_p <= $3 ORDER BY a.p_value, a.customer COLLATE "C"$query$,
		crm_profile_internal.evaluated_histories(src)) USING day, shares, false_discovery_rate;
END $$; -- customers who buy in one month of the year beyond chance, given when all others buy

---------------------------------------------------------------- small and surprisingly profitable

CREATE TYPE crm_profile_internal.niche_sum AS ( -- what customers with a pair of attribute values bring
	first integer, -- code of a value; 0: everybody
	second integer, -- code of another value, or the same
	held_out boolean, -- whether these are the customers whom the pair is tested on
	customers bigint, -- number of customers, five and more
	total numeric, -- sum of their values
	squares numeric -- sum of the squares
);

CREATE FUNCTION crm_profile_internal.niche_sums_transfn(state internal, codes integer[], value numeric, held_out boolean, largest_code integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE; -- aggregate transition function
CREATE FUNCTION crm_profile_internal.niche_sums_finalfn(state internal) RETURNS crm_profile_internal.niche_sum[]
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- aggregate final function
CREATE AGGREGATE crm_profile_internal.niche_sums(codes integer[], value numeric, held_out boolean, largest_code integer) (
	SFUNC = crm_profile_internal.niche_sums_transfn, STYPE = internal, SSPACE = 1048576,
	FINALFUNC = crm_profile_internal.niche_sums_finalfn, PARALLEL = SAFE); -- what customers bring, by pairs of their attribute values; up to 255 values

CREATE TYPE crm_profile_internal.niche_value AS ( -- a value of an attribute that a niche may have
	code integer, -- its number
	attribute text, -- name of the attribute
	class text, -- class of the attribute
	type text, -- its type
	word text, -- the value; NULL: a range
	low text, -- lowest number or day; NULL: no limit
	high text -- the first one above; NULL: no limit
);

CREATE FUNCTION crm_profile_internal.niche_columns(source text, OUT place bigint, OUT name text, OUT class text, OUT type text, OUT value text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT u.o, u.c ->> 'name', u.c ->> 'class', format_type(crm_profile_internal.base_type(a.atttypid), -1),
			CASE u.c ->> 'class' WHEN 'number' THEN format('NULLIF(a.%I::double precision, ''NaN'')', a.attname) WHEN 'date' THEN format('a.%I::date', a.attname) WHEN 'set' THEN format('a.%I::text[]', a.attname) ELSE format('a.%I::text', a.attname) END
		FROM jsonb_array_elements(crm_profile_internal.source_card_columns(source)) WITH ORDINALITY u(c, o) JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.customer_attributes', source)) AND a.attname = u.c ->> 'name';
	END; -- the attributes that niches are made of, with the SQL of their values

CREATE FUNCTION crm_profile_internal.niche_values(source text, min_customers integer) RETURNS SETOF crm_profile_internal.niche_value
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 100 SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET jit = off AS $$
DECLARE
	attributes bigint;
	named text;
	parts text;
BEGIN
	SELECT count(*), string_agg(format('%s AS a%s', c.value, c.place), ', '), string_agg(CASE
			WHEN c.class IN ('number', 'date') THEN format('SELECT %1$s, %2$L, %3$L, %4$L, b.n, NULL::text, lag(b.b) OVER (ORDER BY b.n)::text, CASE WHEN b.b < ''Infinity'' THEN b.b END::text
				FROM (SELECT x.b, min(x.n) AS n FROM (SELECT unnest(percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY s.a%1$s) || ''{Infinity}''::%5$s[]) AS b, generate_series(1, 5) AS n FROM sample s WHERE s.a%1$s > ''-Infinity'' AND s.a%1$s < ''Infinity'') x
					WHERE x.b IS NOT NULL GROUP BY x.b) b', c.place, c.name, c.class, c.type, CASE c.class WHEN 'date' THEN 'date' ELSE 'double precision' END)
			ELSE format('(SELECT %1$s, %2$L, %3$L, %4$L, row_number() OVER (ORDER BY count(*) DESC, w.w COLLATE "C"), w.w, NULL, NULL FROM sample s, LATERAL (%5$s) w(w) WHERE w.w <> '''' GROUP BY w.w
				HAVING count(*) >= greatest(2, $1 * min(s.share)) ORDER BY count(*) DESC, w.w COLLATE "C" LIMIT greatest(1, least(30, 250 / $2)))', c.place, c.name, c.class, c.type,
				CASE c.class WHEN 'set' THEN format('SELECT DISTINCT unnest(s.a%s)', c.place) ELSE format('SELECT s.a%s', c.place) END) END, ' UNION ALL ')
		INTO attributes, named, parts FROM crm_profile_internal.niche_columns(source) c;
	IF attributes > 0 THEN
		-- the most frequent words, and fifths of numbers and days, of a sample that is the same in any order of rows
		RETURN QUERY EXECUTE format('WITH size AS (SELECT least(1, 50000.0 / greatest(count(*), 1))::double precision AS share FROM %1$I.customer_history h),
				sample AS MATERIALIZED (SELECT z.share, %2$s FROM size z, %1$I.customer_attributes a WHERE crm_profile_internal.in_sample(a.customer::text, z.share))
			SELECT (row_number() OVER (ORDER BY v.place, v.n))::integer, v.name, v.class, v.type, v.word, v.low, v.high FROM (%3$s) v(place, name, class, type, n, word, low, high) ORDER BY v.place, v.n LIMIT 255', source, named, parts) USING min_customers, attributes;
	END IF;
END $$; -- the values of attributes that niches may have: frequent words and members of sets, fifths of numbers and days

CREATE FUNCTION crm_profile_internal.niche_text(value crm_profile_internal.niche_value) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN value IS NULL THEN NULL WHEN value.class = 'boolean' THEN CASE WHEN value.word = 'true' THEN '' ELSE 'not ' END || value.attribute WHEN value.class = 'set' THEN concat(value.attribute, ' has ', value.word) WHEN value.word IS NOT NULL THEN concat(value.attribute, ' = ', value.word)
		ELSE (SELECT concat(value.attribute, ' ', CASE WHEN value.type IN ('smallint', 'integer', 'bigint') THEN crm_profile_internal.whole_range(r.words, NULL) ELSE r.words END)
			FROM (SELECT CASE WHEN value.low IS NULL THEN concat('below ', value.high) WHEN value.high IS NULL THEN concat(value.low, ' and more') ELSE concat(value.low, ' to below ', value.high) END AS words) r) END;
COMMENT ON FUNCTION crm_profile_internal.niche_text IS 'a value of an attribute in words';

CREATE FUNCTION crm_profile_internal.niche_condition(value crm_profile_internal.niche_value) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT CASE value.class WHEN 'boolean' THEN CASE WHEN value.word = 'true' THEN '' ELSE 'NOT ' END || quote_ident(value.attribute) WHEN 'set' THEN format('%L = ANY (%I%s)', value.word, value.attribute, CASE WHEN value.type <> 'text[]' THEN '::text[]' END)
		WHEN 'word' THEN format('%I%s = %L', value.attribute, CASE WHEN value.type <> 'text' THEN '::text' END, value.word)
		ELSE concat_ws(' AND ', format('%I >= %s', value.attribute, s.low), format('%I < %s', value.attribute, s.high)) END
		FROM (SELECT CASE value.class WHEN 'number' THEN value.low ELSE quote_literal(value.low) END AS low, CASE value.class WHEN 'number' THEN value.high ELSE quote_literal(value.high) END AS high) s);
COMMENT ON FUNCTION crm_profile_internal.niche_condition IS 'a value of an attribute as an SQL condition';

CREATE FUNCTION crm_profile_internal.niche_codes("values" crm_profile_internal.niche_value[], source text, OUT codes text, OUT joined text)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT format('ARRAY[%s]::integer[]%s', string_agg(CASE WHEN c.class IN ('number', 'date') THEN format('width_bucket(%s, %L::%s[]) + %s', c.value, v.highs, CASE c.class WHEN 'date' THEN 'date' ELSE 'double precision' END, v.codes[1]) WHEN c.class <> 'set' THEN format('w%s.code', c.place) END, ', '),
				string_agg(CASE WHEN c.class = 'set' THEN format(' || ARRAY(SELECT w.code FROM unnest(%L::text[], %L::integer[]) w(word, code) WHERE w.word = ANY (%s))', v.words, v.codes, c.value) END, '')),
			string_agg(CASE WHEN c.class NOT IN ('number', 'date', 'set') THEN format(' LEFT JOIN unnest(%L::text[], %L::integer[]) w%s(word, code) ON w%3$s.word = %4$s', v.words, v.codes, c.place, c.value) END, '')
		FROM crm_profile_internal.niche_columns(niche_codes.source) c JOIN (SELECT u.attribute, array_agg(u.code ORDER BY u.code) AS codes, array_agg(u.word ORDER BY u.code) AS words, coalesce(array_agg(u.high ORDER BY u.code) FILTER (WHERE u.high IS NOT NULL), '{}') AS highs
			FROM unnest("values") u GROUP BY u.attribute) v ON v.attribute = c.name;
	END; -- SQL of the codes of a customer, from the attributes a, and what has to be joined for it

CREATE FUNCTION crm_profile_internal.niche_p_value(n double precision, total double precision, squares double precision, whole_n double precision, whole_total double precision, whole_squares double precision) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN (SELECT CASE WHEN s.t > 0 THEN s.p_value / 2 WHEN s.t <= 0 THEN 1 - s.p_value / 2 END
		FROM (SELECT total / n - (whole_total - total) / (whole_n - n) AS d, greatest(0, squares - total ^ 2 / n) / (n - 1) / n AS a, greatest(0, whole_squares - squares - (whole_total - total) ^ 2 / (whole_n - n)) / (whole_n - n - 1) / (whole_n - n) AS b WHERE n > 1 AND whole_n - n > 1) v,
			crm_profile_internal.student_test(v.d, sqrt(v.a + v.b), (v.a + v.b) ^ 2 / NULLIF(v.a ^ 2 / (n - 1) + v.b ^ 2 / (whole_n - n - 1), 0), 0.95) s);
COMMENT ON FUNCTION crm_profile_internal.niche_p_value IS 'Welch''s test, one-sided, of a part against the rest of a whole: the chance of so high a mean; NULL: fewer than two in either, or no spread';

CREATE TYPE crm_profile_internal.profitable_niches_row AS ( -- a row of the view profitable_niches
	niche text, -- the attribute values that its customers have in common
	condition text, -- the same as SQL, as select_audience() takes it
	customers bigint, -- buyers with these values
	share double precision, -- share of all buyers
	value_per_customer numeric, -- what a customer of the niche brings: profit in the period of the source, or the amount where no costs are known
	others_per_customer numeric, -- the same of all other buyers
	ratio double precision, -- value_per_customer / others_per_customer; NULL: that is not above 0
	held_out_customers bigint, -- customers of the niche whom it was not found on
	held_out_value numeric, -- what one of them brings
	p_value double precision, -- chance of so much with these customers (Welch, one-sided), against all others and, for two values, against those with one of them alone: the largest
	adjusted_p_value double precision -- the same, adjusted over all niches that were tested (Benjamini and Hochberg)
);

CREATE FUNCTION crm_profile.profitable_niches(source text, as_of date DEFAULT NULL, max_share double precision DEFAULT 0.05, min_customers integer DEFAULT 20, false_discovery_rate double precision DEFAULT 0.05) RETURNS SETOF crm_profile_internal.profitable_niches_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	"values" crm_profile_internal.niche_value[];
	sums crm_profile_internal.niche_sum[];
	made record;
BEGIN
	PERFORM crm_profile_internal.check_discovery_rate(false_discovery_rate);
	IF max_share IS NULL OR NOT (max_share > 0 AND max_share <= 0.5) THEN
		RAISE invalid_parameter_value USING MESSAGE = format('max_share is %s', coalesce(max_share::text, 'NULL')), DETAIL = 'It is the largest share of the buyers that is still a niche, above 0, at most 0.5.';
	ELSIF min_customers IS NULL OR min_customers < 20 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('min_customers is %s', coalesce(min_customers::text, 'NULL')), DETAIL = 'It is the smallest number of customers of a niche, 20 or more: half of them are for the test.';
	END IF;
	"values" := ARRAY(SELECT v FROM crm_profile_internal.niche_values(source, min_customers) v);
	IF cardinality("values") = 0 THEN
		RETURN;
	END IF;
	SELECT c.* INTO made FROM crm_profile_internal.niche_codes("values", source) c;
	EXECUTE format('SELECT crm_profile_internal.niche_sums(%s, p.%s, crm_profile_internal.in_sample(concat(''niche '', p.customer), 0.5), $2) FROM %I.%s p JOIN %3$I.customer_attributes a ON %5$s%6$s WHERE p.last_purchase IS NOT NULL',
		made.codes, CASE WHEN src.cost IS NULL THEN 'monetary' ELSE 'profit' END, source, CASE WHEN as_of IS NULL THEN 'customer_profile' ELSE 'profile_as_of($1)' END, crm_profile_internal.same_key(src.key_type, 'a.customer', 'p.customer'), made.joined)
		INTO sums USING crm_profile_internal.evaluated_day(src, as_of), cardinality("values");
	RETURN QUERY WITH pair AS MATERIALIZED (SELECT d.first, d.second, d.customers AS n, d.total AS t, d.squares AS q, h.customers AS hn, h.total AS ht, h.squares AS hq
				FROM unnest(sums) d JOIN unnest(sums) h ON h.first = d.first AND h.second = d.second WHERE h.held_out AND NOT d.held_out),
			small AS MATERIALIZED (SELECT p.*, e.n AS en, e.t AS et, e.q AS eq, e.hn AS ehn, e.ht AS eht, e.hq AS ehq FROM pair p, pair e WHERE e.second = 0 AND p.second > 0 AND p.n + p.hn BETWEEN min_customers AND max_share * (e.n + e.hn) AND least(p.n, p.hn) >= min_customers / 4),
			-- found on one half: better than all others, and than those with one of the two values
			found AS (SELECT s.*, greatest(crm_profile_internal.niche_p_value(s.n, s.t, s.q, s.en, s.et, s.eq), a.p) AS p
				FROM small s LEFT JOIN LATERAL (SELECT max(crm_profile_internal.niche_p_value(s.n, s.t, s.q, o.n, o.t, o.q)) AS p, count(*) FILTER (WHERE o.n - s.n > 1 AND o.hn - s.hn > 1) AS parts FROM pair o WHERE s.first > 0 AND o.first = 0 AND o.second IN (s.first, s.second)) a ON true
				WHERE s.first = 0 OR a.parts = 2),
			chosen AS (SELECT f.* FROM found f WHERE f.p < 0.01 ORDER BY f.p, f.first, f.second LIMIT 50),
			-- and tested on the other
			tested AS (SELECT c.*, greatest(crm_profile_internal.niche_p_value(c.hn, c.ht, c.hq, c.ehn, c.eht, c.ehq), (SELECT max(crm_profile_internal.niche_p_value(c.hn, c.ht, c.hq, o.hn, o.ht, o.hq)) FROM pair o WHERE c.first > 0 AND o.first = 0 AND o.second IN (c.first, c.second))) AS held FROM chosen c),
			ranked AS (SELECT t.*, t.held * count(*) OVER () / row_number() OVER (ORDER BY t.held) AS raised FROM tested t WHERE t.held IS NOT NULL),
			adjusted AS (SELECT r.*, least(1, min(r.raised) OVER (ORDER BY r.held DESC, r.raised DESC)) AS adjusted FROM ranked r)
		SELECT concat_ws(', ', crm_profile_internal.niche_text("values"[NULLIF(a.first, 0)]), crm_profile_internal.niche_text("values"[a.second])), concat_ws(' AND ', CASE WHEN a.first > 0 THEN crm_profile_internal.niche_condition("values"[a.first]) END, crm_profile_internal.niche_condition("values"[a.second])),
			a.n + a.hn, (a.n + a.hn) / (a.en + a.ehn)::double precision, round((a.t + a.ht) / (a.n + a.hn), 2), round(o.value, 2), CASE WHEN o.value > 0 THEN ((a.t + a.ht) / (a.n + a.hn) / o.value)::double precision END, a.hn, round(a.ht / a.hn, 2), a.held, a.adjusted
		FROM adjusted a, LATERAL (SELECT (a.et + a.eht - a.t - a.ht) / (a.en + a.ehn - a.n - a.hn) AS value) o WHERE a.adjusted <= false_discovery_rate ORDER BY a.held, a.first, a.second;
END $$; -- combinations of one or two attribute values with few customers who bring more than others, found on one half of the customers and tested on the other half

---------------------------------------------------------------- does a scheme tell who will buy?

CREATE TYPE crm_profile_internal.evaluate_scheme_row AS ( -- a row of evaluate_scheme()
	segment varchar, -- the segment on the day; (unscored): no order in the period of the source
	"position" integer, -- its position in the scheme; NULL: unscored
	customers bigint, -- customers who had bought by the day
	share double precision, -- share of all of them
	buyers bigint, -- how many of them bought within the horizon
	purchase_rate double precision, -- buyers / customers
	lift double precision, -- purchase_rate / that of all customers; NULL: nobody bought
	revenue numeric, -- what they spent within the horizon, net of refunds
	revenue_share double precision, -- share of the revenue of all; NULL: the whole is not above 0
	revenue_per_customer numeric, -- revenue / customers
	revenue_deviation double precision -- standard deviation of the revenue of a customer; NULL: fewer than two customers
);

CREATE TYPE crm_profile_internal.evaluated_group AS ( -- customers who look alike on a day, and what they did next
	label text, -- what they have in common
	place double precision, -- their place, the best first
	customers bigint, -- how many
	buyers bigint, -- who bought
	revenue numeric, -- what they spent
	squares numeric -- sum of squares of what each spent
);

CREATE FUNCTION crm_profile_internal.evaluated_model(src crm_profile.source_definition, on_day date, bins integer) RETURNS crm_profile.rfm_model
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	model crm_profile.rfm_model;
BEGIN
	EXECUTE format('SELECT crm_profile.rfm_fit(h.history, $1, $2, %s) FROM %s h', crm_profile_internal.source_period(src), crm_profile_internal.evaluated_histories(src)) INTO model USING on_day, bins;
	RETURN model;
END $$; -- thresholds of the scores as they would have been fitted on a day

CREATE FUNCTION crm_profile_internal.check_evaluation(src crm_profile.source_definition, on_day date, horizon integer) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	newest date;
BEGIN
	IF on_day IS NULL OR on_day NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
		RAISE invalid_parameter_value USING MESSAGE = format('the day is %s', coalesce(on_day::text, 'NULL')), DETAIL = 'It lies between the years 1 and 9999.', HINT = 'Give a day in the past, such as a year ago.';
	ELSIF horizon IS NULL OR horizon NOT BETWEEN 1 AND 36525 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('horizon is %s', coalesce(horizon::text, 'NULL')), DETAIL = 'It is the number of days after the day in which customers may buy, from 1 to 36525.';
	END IF;
	EXECUTE format('SELECT %s', crm_profile_internal.source_model_in_use(src, 'newest_order')) INTO newest;
	IF on_day + horizon > newest THEN
		RAISE WARNING USING MESSAGE = format('the %s days after %s were not over on the newest order (%s)', horizon, crm_profile_internal.iso_day(on_day), crm_profile_internal.iso_day(newest)),
			DETAIL = 'What customers did next is counted up to there.', HINT = 'Take an earlier day or a shorter horizon.';
	END IF;
END $$; -- raises an error for a day or horizon that cannot be, a WARNING for one that was not over

CREATE FUNCTION crm_profile_internal.forecast_bands() RETURNS double precision[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	RETURN (SELECT array_agg(1 / (1 + exp(- n / 16.0::double precision)) ORDER BY n) FROM generate_series(-192, 192) n); -- where bands of the forecast begin: from one to the next the odds rise by 6 %, as much for rare purchases as for frequent ones

CREATE FUNCTION crm_profile_internal.evaluated_cells(source text, on_day date, horizon integer, bins integer, conditions boolean, clv crm_profile.clv_model) RETURNS crm_profile_internal.evaluated_group[]
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	cells crm_profile_internal.evaluated_group[];
BEGIN
	EXECUTE format($query$SELECT ARRAY(SELECT ROW(g.score::text, g.part, count(*), count(*) FILTER (WHERE g.orders > 0), sum(g.revenue), sum(g.revenue * g.revenue))::crm_profile_internal.evaluated_group
		FROM (SELECT crm_profile.rfm_score(h.history, $3, $1) AS score, %s * 512::bigint + %s AS part, crm_profile.frequency(h.history, $1 + $2, make_interval(days => $2)) AS orders, crm_profile.monetary(h.history, $1 + $2, make_interval(days => $2)) AS revenue
			FROM %s h%s WHERE crm_profile.first_purchase(h.history, $1) IS NOT NULL) g GROUP BY g.score, g.part)$query$,
		CASE WHEN conditions THEN crm_profile_internal.source_met(src, 1) ELSE '0' END, CASE WHEN clv IS NULL THEN '0' ELSE format('coalesce(width_bucket(crm_profile.probability_of_purchase(h.history, $4, $1, make_interval(days => %s)), $5) + 1, 0)', horizon) END,
		crm_profile_internal.evaluated_histories(src), CASE WHEN conditions THEN crm_profile_internal.source_met(src, 1, 'h.history', 'h.customer', '$1') END) INTO cells USING on_day, horizon, crm_profile_internal.evaluated_model(src, on_day, bins), clv, crm_profile_internal.forecast_bands();
	RETURN cells;
END $$; -- customers on a day by their scores (label) and, as place, which conditions of the source's scheme hold, times 512, plus the band of the forecast (0: none): all of a segment are in some of these cells

CREATE FUNCTION crm_profile_internal.scheme_groups(cells crm_profile_internal.evaluated_group[], segments crm_profile.segment_scheme) RETURNS crm_profile_internal.evaluated_group[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN ARRAY(SELECT ROW(coalesce(g.segment, '(unscored)'), g.place, sum(g.customers), sum(g.buyers), sum(g.revenue), sum(g.squares))::crm_profile_internal.evaluated_group
		FROM (SELECT crm_profile_internal.segment_met(c.score, segments, NULL, c.met) AS segment, crm_profile_internal.segment_position(c.score, segments, NULL, c.met) AS place, c.customers, c.buyers, c.revenue, c.squares
			FROM (SELECT x.label::crm_profile.rfm_score AS score, (x.place::bigint / 512)::integer AS met, x.customers, x.buyers, x.revenue, x.squares FROM unnest(cells) x) c) g GROUP BY g.segment, g.place);
COMMENT ON FUNCTION crm_profile_internal.scheme_groups IS 'the cells by segment of a scheme';

CREATE FUNCTION crm_profile_internal.evaluable(src crm_profile.source_definition, scheme text, segments crm_profile.segment_scheme) RETURNS boolean
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF crm_profile_internal.scheme_conditions(segments) IS NULL THEN
		RETURN false;
	ELSIF scheme = src.scheme AND crm_profile_internal.scheme_conditions(segments) = src.conditions THEN
		RETURN true;
	END IF;
	RAISE object_not_in_prerequisite_state USING MESSAGE = format('scheme "%s" has conditions, which source "%s" does not use', scheme, src.name), DETAIL = 'Conditions are checked for the scheme of a source, at its refresh, before they are used.',
		HINT = format('Make it the scheme of the source: crm_profile.alter_source(%L, scheme => %L), then refresh.', src.name, scheme);
END $$; -- whether a scheme has conditions; an error if it has some that the source does not use

CREATE FUNCTION crm_profile.evaluate_scheme(source text, scheme text, on_day date, horizon integer DEFAULT 365) RETURNS SETOF crm_profile_internal.evaluate_scheme_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 12 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	compiled CONSTANT crm_profile.segment_scheme := crm_profile.compile_scheme(scheme);
BEGIN
	IF scheme IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'the name of the scheme must not be NULL', HINT = 'SELECT name FROM crm_profile.scheme lists them.';
	END IF;
	PERFORM crm_profile_internal.check_evaluation(src, on_day, horizon);
	RETURN QUERY WITH g AS (SELECT x.* FROM unnest(crm_profile_internal.scheme_groups(crm_profile_internal.evaluated_cells(source, on_day, horizon, (SELECT s.bins FROM crm_profile.scheme s WHERE s.name = scheme), crm_profile_internal.evaluable(src, scheme, compiled), NULL), compiled)) x),
			w AS (SELECT sum(g.customers) AS customers, sum(g.buyers) AS buyers, sum(g.revenue) AS revenue FROM g)
		SELECT g.label::varchar, g.place::integer, g.customers, (g.customers / w.customers)::double precision, g.buyers, g.buyers::double precision / g.customers,
			(g.buyers::numeric / g.customers / NULLIF(w.buyers / w.customers, 0))::double precision, g.revenue, CASE WHEN w.revenue > 0 THEN (g.revenue / w.revenue)::double precision END, round(g.revenue / g.customers, 6),
			CASE WHEN g.customers > 1 THEN sqrt(greatest(0, (g.squares - g.revenue * g.revenue / g.customers) / (g.customers - 1)))::double precision END
		FROM g, w ORDER BY g.place NULLS LAST;
END $$; -- what customers did in the days after a day, by the segment that the scheme gave them on that day, with thresholds fitted to what was known then

CREATE TYPE crm_profile_internal.compare_schemes_row AS ( -- a row of compare_schemes()
	scheme varchar, -- name of the scheme; (scores): the sum of the three scores; (forecast): the probability of a purchase within the horizon, by the model of repeat purchase fitted to what was known on the day
	segments integer, -- segments with customers; bands of the forecast
	customers bigint, -- customers who had bought by the day
	coverage double precision, -- share of them who have a segment
	auc double precision, -- chance that a buyer stands before a non-buyer in the order of the segments, ties by half; NULL: all bought or none
	purchase_rate_explained double precision, -- share of the variance of buying or not that lies between segments; NULL: no variance
	revenue_explained double precision, -- the same of the revenue of a customer
	best_segment varchar, -- segment with the highest purchase rate
	best_rate double precision, -- its purchase rate
	worst_segment varchar, -- segment with the lowest purchase rate
	worst_rate double precision -- its purchase rate
);

CREATE FUNCTION crm_profile_internal.compared(scheme text, groups crm_profile_internal.evaluated_group[]) RETURNS crm_profile_internal.compare_schemes_row
	LANGUAGE sql STABLE PARALLEL SAFE
	BEGIN ATOMIC
		WITH g AS (SELECT x.*, x.customers - x.buyers AS others, sum(x.customers - x.buyers) OVER (ORDER BY x.place DESC NULLS FIRST) AS others_from_here FROM unnest(groups) x),
			w AS (SELECT sum(g.customers) AS n, sum(g.buyers) AS b, sum(g.others) AS o, sum(g.revenue) AS r, sum(g.squares) AS q FROM g)
		SELECT scheme::varchar, count(*) FILTER (WHERE g.place IS NOT NULL)::integer, w.n::bigint, (coalesce(sum(g.customers) FILTER (WHERE g.place IS NOT NULL), 0) / w.n)::double precision,
			(sum(g.buyers * (g.others_from_here - g.others / 2.0)) / NULLIF(w.b * w.o, 0))::double precision,
			((sum(g.buyers * g.buyers / g.customers::numeric) - w.b * w.b / w.n) / NULLIF(w.b - w.b * w.b / w.n, 0))::double precision,
			((sum(g.revenue * g.revenue / g.customers) - w.r * w.r / w.n) / NULLIF(w.q - w.r * w.r / w.n, 0))::double precision,
			(array_agg(g.label ORDER BY g.buyers / g.customers::numeric DESC, g.place))[1]::varchar, max(g.buyers / g.customers::double precision),
			(array_agg(g.label ORDER BY g.buyers / g.customers::numeric, g.place DESC))[1]::varchar, min(g.buyers / g.customers::double precision)
		FROM g, w GROUP BY w.n, w.b, w.o, w.r, w.q;
	END; -- how well groups in an order tell who bought and who spent

CREATE FUNCTION crm_profile.compare_schemes(source text, schemes text[] DEFAULT NULL, on_day date DEFAULT NULL, horizon integer DEFAULT 365) RETURNS SETOF crm_profile_internal.compare_schemes_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	bins integer;
	named text[];
	name text;
	cells crm_profile_internal.evaluated_group[];
	clv crm_profile.clv_model;
	conditions boolean;
BEGIN
	-- what the fit would say of its sample
	PERFORM crm_profile_internal.no_notices();
	on_day := coalesce(on_day, crm_profile_internal.evaluated_day(src, NULL) - horizon);
	PERFORM crm_profile_internal.check_evaluation(src, on_day, horizon);
	-- the model of the source's choice, fitted to a sample of the customers of that day
	EXECUTE format('SELECT crm_profile.clv_fit(h.history, $1, $2) FROM %s h WHERE crm_profile.first_purchase(h.history, $1) IS NOT NULL AND crm_profile_internal.in_sample(h.customer::text, least(1, 50000.0 / greatest(%s, 1)))',
		crm_profile_internal.evaluated_histories(src), crm_profile_internal.source_model_in_use(src, 'customers')) INTO clv USING on_day, CASE WHEN src.clv_model IN ('auto', 'none') THEN 'mbg/nbd' ELSE src.clv_model END;
	-- customers are read once for each number of bins, those of the source last
	FOR bins, named IN SELECT s.bins, array_agg(s.name ORDER BY s.place, s.name) FILTER (WHERE s.name IS NOT NULL) FROM (SELECT coalesce(s.bins, 5) AS bins, w.name, w.place FROM unnest(schemes) WITH ORDINALITY w(name, place) LEFT JOIN crm_profile.scheme s ON s.name = w.name
			UNION ALL SELECT s.bins, s.name, 1 FROM crm_profile.scheme s WHERE schemes IS NULL AND (s.name = src.scheme OR NOT EXISTS (SELECT FROM crm_profile.scheme_rule r WHERE r.scheme = s.name AND r.condition IS NOT NULL))
			UNION ALL SELECT src.bins, NULL, 0) s GROUP BY s.bins ORDER BY s.bins = src.bins LOOP
		conditions := coalesce(src.scheme = ANY (named), false) AND crm_profile_internal.evaluable(src, src.scheme, crm_profile.compile_scheme(src.scheme));
		cells := crm_profile_internal.evaluated_cells(source, on_day, horizon, bins, conditions, CASE WHEN bins = src.bins THEN clv END);
		FOREACH name IN ARRAY coalesce(named, '{}') LOOP
			PERFORM crm_profile_internal.evaluable(src, name, crm_profile.compile_scheme(name));
			RETURN QUERY SELECT c.* FROM crm_profile_internal.compared(name, crm_profile_internal.scheme_groups(cells, crm_profile.compile_scheme(name))) c WHERE c.customers > 0;
		END LOOP;
	END LOOP;
	RETURN QUERY SELECT c.* FROM crm_profile_internal.compared('(scores)', ARRAY(SELECT ROW(coalesce((- x.place)::text, '(unscored)'), x.place, sum(x.customers), sum(x.buyers), sum(x.revenue), sum(x.squares))::crm_profile_internal.evaluated_group
		FROM (SELECT g.*, - (crm_profile.r_score(g.score) + crm_profile.f_score(g.score) + crm_profile.m_score(g.score)) AS place FROM (SELECT u.label::crm_profile.rfm_score AS score, u.customers, u.buyers, u.revenue, u.squares FROM unnest(cells) u) g) x GROUP BY x.place)) c WHERE c.customers > 0;
	RETURN QUERY SELECT c.* FROM crm_profile_internal.compared('(forecast)', ARRAY(SELECT ROW(CASE WHEN x.band = 0 THEN '(no forecast)' ELSE concat(coalesce(trim_scale(round(f.bands[x.band - 1]::numeric, 4)), 0), ' to ', coalesce(trim_scale(round(f.bands[x.band]::numeric, 4)), 1)) END,
			NULLIF(- x.band, 0), sum(x.customers), sum(x.buyers), sum(x.revenue), sum(x.squares))::crm_profile_internal.evaluated_group
		FROM (SELECT u.place::bigint % 512 AS band, u.customers, u.buyers, u.revenue, u.squares FROM unnest(cells) u) x, (SELECT crm_profile_internal.forecast_bands() AS bands) f GROUP BY x.band, f.bands)) c WHERE clv IS NOT NULL AND c.customers > 0;
END $$; -- schemes, the sum of the scores and the forecast side by side: how well each would have told, on a day, who buys in the days after and who spends

---------------------------------------------------------------- drift

CREATE TYPE crm_profile_internal.segment_drift_row AS ( -- a row of segment_drift()
	measure varchar, -- r_score, f_score, m_score, segment, lifecycle, value_tier, or an attribute
	psi double precision, -- population stability index: sum over the values of (share then - share before) × ln(share then / share before)
	by_chance double precision, -- what chance alone would give on average
	alarm varchar, -- stable: below .1; shifting: .1 to .25; drifted: above; too few: fewer than 100 customers on one of the days
	value_count integer, -- number of values
	customers_from bigint, -- customers on the first day
	customers_to bigint, -- customers on the last day
	gained varchar, -- the value that gained most
	gained_share double precision, -- its change of share
	lost varchar, -- the value that lost most
	lost_share double precision -- its change of share
);

CREATE TYPE crm_profile_internal.drift_count AS ( -- customers with a value of a measure on both days
	measure text, -- name of the measure
	value text, -- the value
	before bigint, -- customers on the first day
	after bigint -- customers on the last day
);

CREATE FUNCTION crm_profile_internal.drift(counts crm_profile_internal.drift_count[]) RETURNS SETOF crm_profile_internal.segment_drift_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		-- half a customer is added to each value: one that nobody has on a day would make all else vanish
		SELECT m.measure::varchar, m.psi, m.by_chance, (CASE WHEN least(m.customers_from, m.customers_to) < 100 THEN 'too few' WHEN m.psi < 0.1 THEN 'stable' WHEN m.psi <= 0.25 THEN 'shifting' ELSE 'drifted' END)::varchar, m.n,
			m.customers_from, m.customers_to, CASE WHEN m.best > 0 THEN m.gained END, CASE WHEN m.best > 0 THEN m.best END, CASE WHEN m.worst < 0 THEN m.lost END, CASE WHEN m.worst < 0 THEN m.worst END
		FROM (SELECT s.measure, sum((s.q - s.p) * ln(s.q / s.p)) AS psi, (count(*) - 1) * (1.0 / NULLIF(max(s.a), 0) + 1.0 / NULLIF(max(s.b), 0))::double precision AS by_chance, count(*)::integer AS n, max(s.a)::bigint AS customers_from, max(s.b)::bigint AS customers_to,
				(array_agg(s.value ORDER BY s.change DESC, s.value))[1]::varchar AS gained, max(s.change) AS best, (array_agg(s.value ORDER BY s.change, s.value))[1]::varchar AS lost, min(s.change) AS worst, min(s.place) AS place
			FROM (SELECT c.measure, c.value, c.a, c.b, ((c.before + 0.5) / (c.a + 0.5 * c.n))::double precision AS p, ((c.after + 0.5) / (c.b + 0.5 * c.n))::double precision AS q, c.place,
					(c.after / NULLIF(c.b, 0) - c.before / NULLIF(c.a, 0))::double precision AS change
				FROM (SELECT u.*, sum(u.before) OVER m AS a, sum(u.after) OVER m AS b, count(*) OVER m AS n FROM unnest(counts) WITH ORDINALITY u(measure, value, before, after, place) WINDOW m AS (PARTITION BY u.measure)) c) s
			GROUP BY s.measure) m
		ORDER BY m.place;
	END; -- rows of segment_drift(), from the counts

CREATE FUNCTION crm_profile_internal.segment_drift_attributes(src crm_profile.source_definition, from_date date, to_date date) RETURNS crm_profile_internal.drift_count[]
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attributes text;
	named text[];
	buyers text;
	counts crm_profile_internal.drift_count[];
BEGIN
	SELECT g.names, g.attributes INTO named, attributes FROM crm_profile_internal.source_given_attributes(src, 'c') g;
	IF attributes IS NULL THEN
		RETURN NULL;
	END IF;
	buyers := format('(SELECT c.*, CASE WHEN crm_profile_internal.orders_between(h.history, $1 - ($2 - $1), $1) > 0 THEN CASE WHEN crm_profile_internal.orders_between(h.history, $1, $2) > 0 THEN ''before after'' ELSE ''before'' END
			WHEN crm_profile_internal.orders_between(h.history, $1, $2) > 0 THEN ''after'' END AS "label " FROM %I.customer_attributes c JOIN %s h ON %s OFFSET 0) c WHERE c."label " IS NOT NULL',
		src.name, crm_profile_internal.evaluated_histories(src), crm_profile_internal.same_key(src.key_type, 'h.customer', 'c.customer'));
	-- who bought within the days between both, before the first and before the last day
	EXECUTE format($query$
		WITH counted AS (SELECT k.* FROM unnest((%s)) k WHERE k.value IS NOT NULL)
		SELECT array_agg(ROW(x.attribute, x.value, x.before, x.after)::crm_profile_internal.drift_count ORDER BY array_position(%L::text[], x.attribute), x.value COLLATE "C")
		FROM (SELECT k.attribute, k.value, coalesce(sum(k.customers) FILTER (WHERE k.segment ~ 'before'), 0)::bigint AS before, coalesce(sum(k.customers) FILTER (WHERE k.segment ~ 'after'), 0)::bigint AS after FROM counted k GROUP BY 1, 2) x$query$,
		crm_profile_internal.persona_counts_query('c."label "', attributes, named, buyers, format('%I.customer_attributes c WHERE c.customer IS NOT NULL', src.name), 'c.customer'), named) INTO counts USING from_date, to_date;
	RETURN counts;
END $$; -- values of the attributes of those who bought, before both days; NULL: the source has no attributes

CREATE FUNCTION crm_profile_internal.check_days(from_date date, to_date date) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF from_date NOT BETWEEN '0001-01-01' AND '9999-12-31' OR to_date NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
		RAISE datetime_field_overflow USING MESSAGE = format('the days are %s and %s', from_date, to_date), DETAIL = 'They lie between the years 1 and 9999.';
	ELSIF from_date < to_date IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = format('%s is not before %s', coalesce(from_date::text, 'NULL'), coalesce(to_date::text, 'NULL')), HINT = 'Give two days, the earlier one first.';
	END IF;
END $$; -- raises an error unless the first day is before the other

CREATE FUNCTION crm_profile.segment_drift(source text, from_date date, to_date date) RETURNS SETOF crm_profile_internal.segment_drift_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 10 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	counts crm_profile_internal.drift_count[];
BEGIN
	PERFORM crm_profile_internal.check_days(from_date, to_date);
	EXECUTE format($query$
		WITH figure AS MATERIALIZED (
				-- OFFSET 0: each figure is computed once
				SELECT f.later, f.score, f.lifecycle, f.met, f.value_tier, count(*) AS n
				FROM (SELECT d.later, crm_profile.rfm_score(h.history, m.rfm, d.day) AS score, crm_profile.lifecycle(h.history, d.day, m.active_days, m.clv) AS lifecycle, %9$s AS met, crm_profile.value_tier(%10$s, m.a_from, m.b_from) AS value_tier
					FROM (VALUES (false, $1), (true, $2)) d(later, day) CROSS JOIN %1$s h%2$s CROSS JOIN%3$s (SELECT %4$s AS rfm, %6$s AS active_days, %7$s AS clv, %11$s AS a_from, %12$s AS b_from) m%8$s
					WHERE crm_profile.last_purchase(h.history, d.day) IS NOT NULL OFFSET 0) f GROUP BY 1, 2, 3, 4, 5),
			-- the segment follows from figures that many customers share
			counted AS (SELECT v.place, v.measure, coalesce(v.value, '(unscored)') AS value, coalesce(sum(f.n) FILTER (WHERE NOT f.later), 0)::bigint AS before, coalesce(sum(f.n) FILTER (WHERE f.later), 0)::bigint AS after
				FROM figure f CROSS JOIN LATERAL (VALUES (1, 'r_score', crm_profile.r_score(f.score)::text), (2, 'f_score', crm_profile.f_score(f.score)::text), (3, 'm_score', crm_profile.m_score(f.score)::text),
					(4, 'segment', crm_profile_internal.segment_met(f.score, %5$s, f.lifecycle, f.met)::text), (5, 'lifecycle', f.lifecycle), (6, 'value_tier', f.value_tier)) v(place, measure, value) GROUP BY 1, 2, 3)
		SELECT array_agg(ROW(c.measure, c.value, c.before, c.after)::crm_profile_internal.drift_count ORDER BY c.place, c.value COLLATE "C") FROM counted c$query$,
		crm_profile_internal.evaluated_histories(src), crm_profile_internal.source_own_model(src, 'h.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' END, crm_profile_internal.source_model_in_use(src, 'rfm'), crm_profile_internal.source_model_in_use(src, 'segments'),
		crm_profile_internal.source_model_in_use(src, 'active_days'), crm_profile_internal.source_clv(src), crm_profile_internal.source_met(src, 1, 'h.history', 'h.customer', 'd.day'), crm_profile_internal.source_met(src, 1), replace(crm_profile_internal.evaluated_value(src), '$1', 'd.day'),
		crm_profile_internal.source_model_in_use(src, 'a_from'), crm_profile_internal.source_model_in_use(src, 'b_from')) INTO counts USING from_date, to_date;
	-- not in the query: to tell the number of rows, the planner would count them once more
	counts := counts || crm_profile_internal.segment_drift_attributes(src, from_date, to_date);
	RETURN QUERY SELECT d.* FROM crm_profile_internal.drift(counts) d;
END $$; -- how far the customers of a day differ from those of an earlier day, by score, segment, lifecycle, tier and attribute: population stability index with alarm levels, by the thresholds in use

CREATE TYPE crm_profile_internal.segment_value_migration_row AS ( -- a row of segment_value_migration()
	from_segment varchar, -- segment on the first day; (unscored): no order in the period by then
	to_segment varchar, -- segment on the last day
	customers bigint, -- number of customers
	value_before numeric, -- their amount in the days up to the first day, as many as there are between both
	value_after numeric, -- their amount in the days from the first day to the last
	change numeric, -- value_after - value_before
	share_of_change double precision -- share of the change of all; NULL: nothing changed in all
);

CREATE FUNCTION crm_profile.segment_value_migration(source text, from_date date, to_date date) RETURNS SETOF crm_profile_internal.segment_value_migration_row
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000000 ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src CONSTANT crm_profile.source_definition := crm_profile_internal.evaluated_source(source);
	rfm CONSTANT text := crm_profile_internal.source_model_in_use(src, 'rfm');
BEGIN
	PERFORM crm_profile_internal.check_days(from_date, to_date);
	RETURN QUERY EXECUTE format($query$
		SELECT m.from_segment::varchar, m.to_segment::varchar, m.customers, m.before, m.after, m.after - m.before, ((m.after - m.before) / NULLIF(sum(m.after - m.before) OVER (), 0))::double precision
		FROM (SELECT s.from_segment, s.to_segment, count(*) AS customers, coalesce(sum(crm_profile.monetary(h.history, $1, make_interval(days => $2 - $1))), 0) AS before, coalesce(sum(crm_profile.monetary(h.history, $2, make_interval(days => $2 - $1))), 0) AS after
			FROM %1$s h%2$s CROSS JOIN%3$s (SELECT %4$s AS rfm, %5$s AS segments, %6$s AS active_days, %7$s AS clv) m%9$s%10$s
				CROSS JOIN LATERAL crm_profile_internal.segment_step(h.history, m.rfm, $1, m.rfm, $2, m.segments, m.active_days, m.clv, %8$s, %11$s, %12$s) s
			WHERE crm_profile.last_purchase(h.history, $2) IS NOT NULL GROUP BY 1, 2) m
		ORDER BY 6, 1, 2$query$, crm_profile_internal.evaluated_histories(src), crm_profile_internal.source_own_model(src, 'h.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' END, rfm, crm_profile_internal.source_model_in_use(src, 'segments'),
		crm_profile_internal.source_model_in_use(src, 'active_days'), crm_profile_internal.source_clv(src), crm_profile_internal.source_period(src),
		crm_profile_internal.source_met(src, 1, 'h.history', 'h.customer', '$1'), crm_profile_internal.source_met(src, 2, 'h.history', 'h.customer', '$2'), crm_profile_internal.source_met(src, 1), crm_profile_internal.source_met(src, 2)) USING from_date, to_date;
END $$; -- how customers moved between segments between two days, and what they spent in the time before and after the first day; the largest loss first

---------------------------------------------------------------- views

CREATE FUNCTION crm_profile_internal.source_build_evaluation(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v record;
BEGIN
	FOR v IN VALUES ('cohort_retention', 'by month of the first purchase and months since: how many customers of the cohort bought in that month'),
			('cohort_value', 'by month of the first purchase and months since: revenue and profit, and how much a customer of the cohort has brought by then'),
			('new_and_returning', 'by month: customers and revenue, new ones against those who had bought in an earlier month'),
			('second_purchase', 'how many customers buy a second time within so many days of the first, and after how many days half of them have'),
			('value_concentration', 'how much of the value is with how few customers: deciles, the share of the best 20 %, the Gini coefficient'),
			('costly_customers', 'customers who cost more than they bring, the worst first'),
			('seasonal_buyers', 'customers who buy in one month of the year beyond chance, given when all others buy') LOOP
		PERFORM crm_profile_internal.source_view(src, v.column1, v.column2, format('crm_profile_internal.%s_row', v.column1)::regclass, format('SELECT f.* FROM crm_profile.%s(%L) f', v.column1, src.name));
	END LOOP;
	IF src.attributes IS NULL THEN
		PERFORM crm_profile_internal.source_drop_view(src, 'profitable_niches');
	ELSE
		PERFORM crm_profile_internal.source_view(src, 'profitable_niches', 'few customers with one or two attribute values in common who bring more than others', 'crm_profile_internal.profitable_niches_row', format('SELECT f.* FROM crm_profile.profitable_niches(%L) f', src.name));
	END IF;
END $$; -- creates the views of cohorts, concentration and the like of a source, or replaces them
