-- Due actions: what to do for whom on a day, and why

CREATE TYPE crm_profile_internal.product_complement_row AS ( -- a row of the table product_complement
	product text, -- a product
	complement text, -- what goes with it
	baskets bigint, -- baskets that have both
	confidence double precision, -- share of the baskets with the product that have the complement
	lift double precision -- how many times as often as by chance
);

CREATE FUNCTION crm_profile_internal.second_purchase(history crm_profile.purchase_history, as_of date) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5; -- the second purchase day of a customer; NULL: fewer than two by as_of

CREATE FUNCTION crm_profile_internal.due_kinds(history crm_profile.purchase_history, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, clv crm_profile.clv_model, active_days integer,
	a_from numeric, b_from numeric, by_profit boolean, period interval, second_purchase_days integer, pause integer, day date, met integer, met_before integer) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50; -- the actions that become due for a customer on a day, as a sum: 1 thanks, 2 second purchase, 4 anniversary, 8 lapse alarm, 16 entered the top segment, 32 left it, 64 status reached; met: bits of the conditions of the scheme that hold on that day, met_before: on the day before

CREATE FUNCTION crm_profile_internal.checked_days(days integer) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF days IS NULL OR days < 1 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('days must be at least 1, not %s', coalesce(days::text, 'NULL')), DETAIL = 'It is the number of days up to the day, that day included.';
	ELSIF days > 36525 THEN
		RAISE invalid_parameter_value USING MESSAGE = format('days must be at most 36525, a hundred years, not %s', days), DETAIL = 'It is the number of days up to the day, that day included.';
	END IF;
	RETURN days;
END $$; -- the argument days of due_actions(), checked

CREATE FUNCTION crm_profile_internal.is_anniversary("of" date, day date) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5; -- whether a day is a number of years after another; 28 February stands for the 29th where there is none

CREATE TYPE crm_profile_internal.due_action_row AS ( -- a row of the view due_actions and of the function due_actions() of a source
	customer text, -- key of the customer, as in the customer table
	action varchar, -- thanks, second_purchase, anniversary, lapse_alarm, entered_top, left_top, status_reached, birthday, complement, or payment_overdue
	reason varchar, -- why, in words
	since date, -- the day on which it became due
	value double precision, -- predicted value at stake: clv_365d on that day; for a lapse alarm clv_365d after the last purchase; for an overdue payment its amount; NULL: not known
	as_of date -- the as-of date
);

-- each model is used once, so that a call is inlined where the model is a subquery
CREATE FUNCTION crm_profile_internal.due_segment(history crm_profile.purchase_history, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, active_days integer, clv crm_profile.clv_model, day date, met integer) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(crm_profile_internal.segment_on_day(history, rfm, day, segments, active_days, clv, met), 'no segment'); -- the segment of a customer on a day, in words

CREATE FUNCTION crm_profile_internal.due_tier(history crm_profile.purchase_history, a_from numeric, b_from numeric, day date, period interval, tier_by text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(crm_profile.value_tier(CASE
		WHEN tier_by = 'profit' AND period IS NULL THEN crm_profile.profit(history, day)
		WHEN tier_by = 'profit' THEN crm_profile.profit(history, day, period)
		WHEN period IS NULL THEN crm_profile.monetary(history, day)
		ELSE crm_profile.monetary(history, day, period) END, a_from, b_from), 'none');
COMMENT ON FUNCTION crm_profile_internal.due_tier IS 'the value tier of a customer on a day, in words';

CREATE FUNCTION crm_profile_internal.due_rows(customer text, due integer, history crm_profile.purchase_history, model crm_profile.source_model, day date, as_of date, period interval, tier_by text, met integer, met_before integer)
	RETURNS SETOF crm_profile_internal.due_action_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT customer, v.action, CASE v.kind
				WHEN 1 THEN format('bought for %s, purchase %s since %s', crm_profile.monetary(history, day, '1 day'), crm_profile.frequency(history, day), to_char(crm_profile.first_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 2 THEN format('bought once, %s days ago: by now half of those who buy again have done so', day - crm_profile.first_purchase(history, day))
				WHEN 4 THEN format('first purchase %s ago, on %s', CASE extract(year FROM day) - extract(year FROM crm_profile.first_purchase(history, day)) WHEN 1 THEN 'a year' ELSE extract(year FROM day) - extract(year FROM crm_profile.first_purchase(history, day)) || ' years' END, to_char(crm_profile.first_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 8 THEN format('silent for %s days, since %s: that is longer than fits this customer', crm_profile.recency(history, day), to_char(crm_profile.last_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 64 THEN format('reached value tier %s, from %s', crm_profile_internal.due_tier(history, model.a_from, model.b_from, day, period, tier_by), crm_profile_internal.due_tier(history, model.a_from, model.b_from, day - 1, period, tier_by))
				ELSE format('%s now, %s the day before', crm_profile_internal.due_segment(history, model.rfm, model.segments, model.active_days, model.clv, day, met),
					crm_profile_internal.due_segment(history, model.rfm, model.segments, model.active_days, model.clv, day - 1, met_before)) END,
			day, crm_profile_internal.source_clv_365d(history, model.clv, CASE v.kind WHEN 8 THEN crm_profile.last_purchase(history, day) ELSE day END), as_of
		FROM (VALUES (1, 'thanks'), (2, 'second_purchase'), (4, 'anniversary'), (8, 'lapse_alarm'), (16, 'entered_top'), (32, 'left_top'), (64, 'status_reached')) v(kind, action)
		WHERE due & v.kind <> 0;
	END; -- rows of due_actions for a customer and a day, from what due_kinds() found

---------------------------------------------------------------- complements

CREATE FUNCTION crm_profile_internal.refresh_complements(src crm_profile.source_definition, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	min_support double precision;
	lines text := format('SELECT l.* FROM %I.order_line l', src.name);
	readable text;
BEGIN
	PERFORM crm_profile_internal.no_notices();
	EXECUTE format('DELETE FROM %I.product_complement', src.name);
	LOOP
		BEGIN
			IF min_support IS NULL THEN
				EXECUTE format('SELECT greatest(5 / greatest(count(DISTINCT l.basket), 5)::double precision, 0.0002) FROM (%s) l', lines) INTO min_support;
			END IF;
			-- readers see this table whole, so it names no product that fewer than five customers have bought
			EXECUTE format('INSERT INTO %1$I.product_complement
				WITH shared AS MATERIALIZED (SELECT b.product FROM (SELECT DISTINCT l.product, coalesce(l.customer::text, l.basket::text) AS buyer FROM (%2$s) l) b GROUP BY b.product HAVING count(*) >= 5)
				SELECT r.product, r.right_side, r.baskets, r.confidence, r.lift FROM (
					SELECT r.left_side[1] AS product, r.*, row_number() OVER (PARTITION BY r.left_side ORDER BY r.lift DESC, r.right_side COLLATE "C") AS place
					FROM crm_profile.basket_rules(%3$L, $1) r WHERE r.baskets >= 5 AND r.lift > 1 AND r.p_adjusted < 0.05
						AND r.left_side[1] IN (SELECT s.product FROM shared s) AND r.right_side IN (SELECT s.product FROM shared s)) r WHERE r.place <= 5', src.name, lines, format('SELECT l.basket, l.product FROM (%s) l', lines)) USING min_support;
			RETURN;
		EXCEPTION WHEN program_limit_exceeded THEN
			-- too many pairs for this memory: only more frequent ones
			IF min_support > 0.1 THEN
				RETURN;
			END IF;
			min_support := 5 * min_support;
		WHEN data_exception THEN
			-- lines that an expression cannot read are left out, as check_source() tells
			readable := crm_profile_internal.source_rows_from(src.line_query, src.lines, crm_profile_internal.readable_rows_of(src.lines, src.line_query, true));
			IF lines = coalesce(readable, lines) THEN
				RAISE;
			END IF;
			lines := readable;
			problem := 'some order lines cannot be read: what reads them stops there; check_source names the argument';
		END;
	END LOOP;
END $$; -- part of a refresh that fits models: finds the complements of each product, up to five, in at least five baskets, and surely not by chance; problem: what readers should know of the lines, NULL for nothing

CREATE FUNCTION crm_profile_internal.source_build_complements(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	is_new CONSTANT boolean := to_regclass(format('%I.product_complement', src.name)) IS NULL;
BEGIN
	IF src.line_query IS NULL THEN
		PERFORM crm_profile_internal.source_drop_table(src, 'product_complement');
	ELSIF is_new THEN
		EXECUTE format('CREATE TABLE %I.product_complement OF crm_profile_internal.product_complement_row (PRIMARY KEY (product, complement))', src.name);
		PERFORM crm_profile_internal.source_comment(src.name, 'product_complement', 'what goes with each product in a basket: the five of the highest lift, as of the last refresh that fitted models', 'crm_profile_internal.product_complement_row');
		PERFORM crm_profile_internal.source_share_rights(src, 'due_actions', 'product_complement');
	END IF;
END $$; -- creates the table product_complement of a source, or drops it if the source has no order lines

---------------------------------------------------------------- the view

CREATE FUNCTION crm_profile_internal.source_due_kinds(src crm_profile.source_definition, columns text, rows text, condition text, wanted text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- what is due is a column, and not joined LATERAL: the planner would remember it by history, in vain. It is also a
	-- condition on each history, so that workers keep to themselves for whom nothing is due; customers are joined when
	-- most are out, except where the model goes by what they are
	RETURN (SELECT format('(SELECT h.customer, h.history, d.day, %1$s%2$s%3$s AS due, %13$s AS met, %14$s AS met_before FROM %4$s%5$s CROSS JOIN%6$s (SELECT %7$s AS model) m%15$s WHERE %8$s%9$s OFFSET 0) e
			JOIN %10$s c ON %11$s%12$s CROSS JOIN%6$s (SELECT %7$s AS model) m',
			columns, CASE WHEN src.by_attributes THEN 'own.clv, ' ELSE '' END, k.due, rows, crm_profile_internal.source_own_model(src, 'h.customer'), CASE WHEN src.by_attributes THEN ' LATERAL' ELSE '' END,
			crm_profile_internal.source_model_in_use(src, true), format(wanted, k.due), coalesce(' AND ' || condition, ''), src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'e.customer'),
			CASE WHEN src.by_attributes THEN ' CROSS JOIN LATERAL (SELECT e.clv) own' ELSE '' END, crm_profile_internal.source_met(src, 1), crm_profile_internal.source_met(src, 2),
			crm_profile_internal.source_met(src, 1, 'h.history', 'h.customer', 'd.day') || crm_profile_internal.source_met(src, 2, 'h.history', 'h.customer', '(d.day - 1)'))
		FROM (SELECT format('crm_profile_internal.due_kinds(h.history, (m.model).rfm, (m.model).segments, (m.model).clv, (m.model).active_days, (m.model).a_from, (m.model).b_from, %L, %s, %s, %s, d.day, %s, %s)',
			src.tier_by = 'profit', crm_profile_internal.source_period(src), crm_profile_internal.source_model_in_use(src, 'second_purchase_days'), src.action_pause, crm_profile_internal.source_met(src, 1), crm_profile_internal.source_met(src, 2)) AS due) k);
COMMENT ON FUNCTION crm_profile_internal.source_due_kinds IS 'SQL of a table e of customers, days and what is due, joined to the customers c and the models m, from SQL of histories h and days d; wanted: the condition on what is due, in place of which there is %s';

CREATE FUNCTION crm_profile_internal.source_due_query(src crm_profile.source_definition, days text, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- an equality: the planner expects few
	RETURN format('SELECT c.%1$I AS customer, f.action, f.reason, f.since, f.value, f.as_of
		FROM %2$s CROSS JOIN LATERAL crm_profile_internal.due_rows(c.%1$I::text, e.due, e.history, m.model, e.day, %3$s, %4$s, %5$L, e.met, e.met_before) f',
		src.customer_key, crm_profile_internal.source_due_kinds(src, '', format('%I.customer_history h CROSS JOIN %s', src.name, days), NULL, 'sign(%s::double precision) = 1'), as_of, crm_profile_internal.source_period(src), src.tier_by)
		|| CASE WHEN src.birthday IS NULL THEN '' ELSE format('
		UNION ALL SELECT e.customer, ''birthday'', ''birthday'', e.day, crm_profile_internal.source_clv_365d(h.history, (m.model).clv, e.day), %1$s
		FROM (SELECT c.%2$I AS customer, d.day FROM %3$s c CROSS JOIN %4$s WHERE crm_profile_internal.is_anniversary(c.%5$I::date, d.day)%11$s) e LEFT JOIN %6$I.customer_history h ON %7$s%8$s CROSS JOIN%9$s (SELECT %10$s AS model) m',
		as_of, src.customer_key, src.customers, days, src.birthday, src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'e.customer'), crm_profile_internal.source_own_model(src, 'e.customer'),
		CASE WHEN src.by_attributes THEN ' LATERAL' ELSE '' END, crm_profile_internal.source_model_in_use(src, true), crm_profile_internal.source_own_key(src, format('c.%I', src.customer_key))) END
		-- a complement comes with thanks, and so not more often; no equality: most who buy on a day are thanked
		|| CASE WHEN src.line_query IS NULL THEN '' ELSE format('
		UNION ALL SELECT b.customer, ''complement''::varchar AS action, b.reason, b.since, b.value, b.as_of FROM (
			SELECT DISTINCT ON (e.customer::text, e.day) c.%1$I AS customer, format(''bought %%s: %%s goes with it, %%s times as often as by chance'', e.product, e.complement, round(e.lift::numeric, 1))::varchar AS reason, e.day AS since,
				crm_profile_internal.source_clv_365d(e.history, (m.model).clv, e.day) AS value, %2$s AS as_of
			FROM %3$s ORDER BY e.customer::text, e.day, e.lift DESC, e.complement COLLATE "C", e.product COLLATE "C") b', src.customer_key, as_of,
		crm_profile_internal.source_due_kinds(src, 'p.product, p.complement, p.lift, ', format('%s JOIN %I.order_line l ON l.ordered_on = d.day JOIN %2$I.product_complement p ON p.product = l.product JOIN %2$I.customer_history h ON %3$s',
				days, src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'l.customer')),
			format('NOT EXISTS (SELECT FROM %I.order_line o WHERE %s AND o.product = p.complement AND o.ordered_on <= d.day)', src.name, crm_profile_internal.same_key(src.key_type, 'o.customer', 'l.customer')), '%s & 1 <> 0')) END
		|| CASE WHEN src.payment_query IS NULL THEN '' ELSE crm_profile_internal.source_due_payments(src, days, as_of) END;
COMMENT ON FUNCTION crm_profile_internal.source_due_query IS 'the query of due_actions; days: SQL of a table d with the column day; as_of: SQL of the as-of date, which may be e.day';

CREATE FUNCTION crm_profile_internal.source_build_due(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM crm_profile_internal.source_view(src, 'due_actions', 'what becomes due on the as-of date: for whom, why, and what is at stake', 'crm_profile_internal.due_action_row',
		crm_profile_internal.source_due_query(src, crm_profile_internal.source_day(crm_profile_internal.source_today(src)), 'e.day'));
	EXECUTE format('CREATE OR REPLACE FUNCTION %1$I.due_actions(as_of date, days integer DEFAULT 1) RETURNS SETOF %1$I.due_actions LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC %2$s; END', src.name,
		crm_profile_internal.source_due_query(src, '(SELECT due_actions.as_of - n.n AS day FROM generate_series(0, crm_profile_internal.checked_days(due_actions.days) - 1) n(n) OFFSET 0) d', 'due_actions.as_of'));
	EXECUTE format('COMMENT ON FUNCTION %I.due_actions(date, integer) IS ''what became due on that day, or on so many days up to it, by the models in use now''', src.name);
END $$; -- creates or replaces the view and the function due_actions of a source
