-- Due actions: what to do for whom on a day, and why

CREATE FUNCTION crm_profile_internal.second_purchase(history crm_profile.purchase_history, as_of date) RETURNS date
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile_internal.second_purchase IS 'the second purchase day of a customer; NULL: fewer than two by as_of';

CREATE FUNCTION crm_profile_internal.due_kinds(history crm_profile.purchase_history, rfm crm_profile.rfm_model, segments crm_profile.segment_scheme, clv crm_profile.clv_model, active_days integer,
	a_from numeric, b_from numeric, by_profit boolean, period interval, second_purchase_days integer, birthday date, pause integer, day date) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 50;
COMMENT ON FUNCTION crm_profile_internal.due_kinds IS
	'the actions that become due for a customer on a day, as a sum: 1 thanks, 2 second purchase, 4 anniversary, 8 lapse alarm, 16 entered the top segment, 32 left it, 64 status reached, 128 birthday';

CREATE TYPE crm_profile_internal.due_action_row AS ( -- a row of the view due_actions and of the function due_actions() of a source
	customer text, -- key of the customer, as in the customer table
	action varchar, -- thanks, second_purchase, anniversary, lapse_alarm, entered_top, left_top, status_reached, birthday, or complement
	reason varchar, -- why, in words
	since date, -- the day on which it became due
	value double precision, -- predicted value at stake: clv_365d on that day; for a lapse alarm clv_365d after the last purchase; NULL: no prediction
	as_of date -- the as-of date
);

CREATE FUNCTION crm_profile_internal.due_segment(history crm_profile.purchase_history, model crm_profile.source_model, day date) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(crm_profile.segment(crm_profile.rfm_score(history, model.rfm, day), model.segments, crm_profile.lifecycle(history, day, model.active_days, model.clv)), 'no segment');
COMMENT ON FUNCTION crm_profile_internal.due_segment IS 'the segment of a customer on a day, in words';

CREATE FUNCTION crm_profile_internal.due_tier(history crm_profile.purchase_history, model crm_profile.source_model, day date, period interval, tier_by text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile.value_tier(CASE
		WHEN tier_by = 'profit' AND period IS NULL THEN crm_profile.profit(history, day)
		WHEN tier_by = 'profit' THEN crm_profile.profit(history, day, period)
		WHEN period IS NULL THEN crm_profile.monetary(history, day)
		ELSE crm_profile.monetary(history, day, period) END, model.a_from, model.b_from);
COMMENT ON FUNCTION crm_profile_internal.due_tier IS 'the value tier of a customer on a day';

CREATE FUNCTION crm_profile_internal.due_rows(customer text, due integer, history crm_profile.purchase_history, model crm_profile.source_model, day date, as_of date, period interval, tier_by text)
	RETURNS SETOF crm_profile_internal.due_action_row
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
	BEGIN ATOMIC
		SELECT customer, v.action, CASE v.kind
				WHEN 1 THEN format('bought for %s, purchase %s since %s', crm_profile.monetary(history, day, '1 day'), crm_profile.frequency(history, day), to_char(crm_profile.first_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 2 THEN format('bought once, %s days ago: by now half of those who buy again have done so', day - crm_profile.first_purchase(history, day))
				WHEN 4 THEN format('first purchase %s ago, on %s', CASE extract(year FROM day) - extract(year FROM crm_profile.first_purchase(history, day)) WHEN 1 THEN 'a year' ELSE extract(year FROM day) - extract(year FROM crm_profile.first_purchase(history, day)) || ' years' END, to_char(crm_profile.first_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 8 THEN format('silent for %s days, since %s: that is longer than fits this customer', crm_profile.recency(history, day), to_char(crm_profile.last_purchase(history, day), 'YYYY-MM-DD'))
				WHEN 64 THEN format('reached value tier %s, from %s', crm_profile_internal.due_tier(history, model, day, period, tier_by), coalesce(crm_profile_internal.due_tier(history, model, day - 1, period, tier_by), 'none'))
				WHEN 128 THEN 'birthday'
				ELSE format('%s now, %s the day before', crm_profile_internal.due_segment(history, model, day), crm_profile_internal.due_segment(history, model, day - 1)) END,
			day, crm_profile_internal.source_clv_365d(history, model.clv, CASE v.kind WHEN 8 THEN crm_profile.last_purchase(history, day) ELSE day END), as_of
		FROM (VALUES (1, 'thanks'), (2, 'second_purchase'), (4, 'anniversary'), (8, 'lapse_alarm'), (16, 'entered_top'), (32, 'left_top'), (64, 'status_reached'), (128, 'birthday')) v(kind, action)
		WHERE due & v.kind <> 0;
	END;
COMMENT ON FUNCTION crm_profile_internal.due_rows IS 'rows of due_actions for a customer and a day, from what due_kinds() found';

CREATE FUNCTION crm_profile_internal.source_due_query(src crm_profile.source_definition, days text, as_of text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('SELECT c.%2$I AS customer, f.action, f.reason, f.since, f.value, f.as_of
		FROM %1$s c %3$s %4$I.customer_history h ON %5$s CROSS JOIN %6$s%7$s CROSS JOIN%8$s (SELECT %9$s AS model) m
			CROSS JOIN LATERAL (SELECT crm_profile_internal.due_kinds(h.history, (m.model).rfm, (m.model).segments, (m.model).clv, (m.model).active_days, (m.model).a_from, (m.model).b_from, %10$L, %11$s, %12$s, %13$s, %14$s, d.day) AS due OFFSET 0) e
			CROSS JOIN LATERAL crm_profile_internal.due_rows(c.%2$I::text, e.due, h.history, m.model, d.day, %15$s, %11$s, %16$L) f
		WHERE e.due <> 0',
		src.customers, src.customer_key, CASE WHEN src.birthday IS NULL THEN 'JOIN' ELSE 'LEFT JOIN' END, src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', format('c.%I', src.customer_key)), days,
		crm_profile_internal.source_own_model(src, format('c.%I', src.customer_key)), CASE WHEN src.by_attributes THEN ' LATERAL' ELSE '' END, crm_profile_internal.source_model_in_use(src, true),
		src.tier_by = 'profit', crm_profile_internal.source_period(src), crm_profile_internal.source_model_in_use(src, 'second_purchase_days'), CASE WHEN src.birthday IS NULL THEN 'NULL' ELSE format('c.%I::date', src.birthday) END, src.action_pause, as_of, src.tier_by);
COMMENT ON FUNCTION crm_profile_internal.source_due_query IS 'the query of due_actions; days: SQL of a table d with the column day; as_of: SQL of the as-of date';

CREATE FUNCTION crm_profile_internal.source_build_due(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM crm_profile_internal.source_view(src, 'due_actions', 'what becomes due on the as-of date: for whom, why, and what is at stake', 'crm_profile_internal.due_action_row',
		crm_profile_internal.source_due_query(src, crm_profile_internal.source_day(crm_profile_internal.source_today(src)), 'd.day'));
	EXECUTE format('CREATE OR REPLACE FUNCTION %1$I.due_actions(as_of date, days integer DEFAULT 1) RETURNS SETOF %1$I.due_actions LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC %2$s; END', src.name,
		crm_profile_internal.source_due_query(src, '(SELECT due_actions.as_of - n.n AS day FROM generate_series(0, due_actions.days - 1) n(n) OFFSET 0) d', 'due_actions.as_of'));
	EXECUTE format('COMMENT ON FUNCTION %I.due_actions(date, integer) IS ''what became due on that day, or on so many days up to it, by the models in use now''', src.name);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_due IS 'creates or replaces the view and the function due_actions of a source';
