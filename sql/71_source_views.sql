-- The tables and views of a source

CREATE FUNCTION crm_profile_internal.source_contact(src crm_profile.source_definition, customer text, day text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('EXISTS (SELECT FROM %s i WHERE i.%I = %s%s)', src.interactions, src.interaction_customer, customer, CASE
		WHEN src.interacted_at IS NULL THEN ''
		WHEN 'timestamptz'::regtype = (SELECT atttypid FROM pg_attribute WHERE attrelid = to_regclass(src.interactions) AND attname = src.interacted_at)
			THEN format(' AND i.%I < (%s + 1)::timestamp AT TIME ZONE %L', src.interacted_at, day, src.time_zone)
		ELSE format(' AND i.%I < %s + 1', src.interacted_at, day) END);
COMMENT ON FUNCTION crm_profile_internal.source_contact(crm_profile.source_definition, text, text) IS 'the condition that a customer had an interaction by that day, both given as SQL';

CREATE FUNCTION crm_profile_internal.source_expand(template text, src crm_profile.source_definition, as_of text DEFAULT '{today}') RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	latest CONSTANT text := '(SELECT m.%s FROM {schema}.model m ORDER BY m.id DESC LIMIT 1)';
	contacted text := '';
BEGIN
	IF src.interactions IS NOT NULL THEN
		contacted := format(' WHEN %s THEN ''potential''', crm_profile_internal.source_contact(src, 'c.{key}', '{as_of}'));
	END IF;
	-- who is referred to by a prospect is not in the prospect table himself
	IF src.prospect_customer = src.prospect_key THEN
		contacted := contacted || format(' WHEN EXISTS (SELECT FROM %s p WHERE p.%I::{key_type} = c.{key}) THEN ''probable''', src.prospects, src.prospect_customer);
	END IF;
	contacted := coalesce('CASE' || NULLIF(contacted, '') || ' END', 'NULL');
	-- what is made of other words comes first
	template := replace(template, '{contacted}', contacted);
	template := replace(template, '{as_of}', as_of);
	template := replace(template, '{in_period}', CASE WHEN src.period IS NULL THEN '' ELSE ', {period}' END);
	template := replace(template, '{rfm}', format(latest, 'rfm'));
	template := replace(template, '{segments}', format(latest, 'segments'));
	template := replace(template, '{active_days}', format(latest, 'active_days'));
	template := replace(template, '{a_from}', format(latest, 'a_from'));
	template := replace(template, '{b_from}', format(latest, 'b_from'));
	template := replace(template, '{clv}', format(latest, 'clv'));
	template := replace(template, '{predicted_a_from}', format(latest, 'predicted_a_from'));
	template := replace(template, '{predicted_b_from}', format(latest, 'predicted_b_from'));
	template := replace(template, '{rhythm}', format(latest, 'rhythm'));
	template := replace(template, '{schema}', quote_ident(src.name));
	template := replace(template, '{customers}', src.customers);
	template := replace(template, '{key}', quote_ident(src.customer_key));
	template := replace(template, '{key_type}', src.key_type);
	template := replace(template, '{period}', coalesce(quote_literal(src.period::text) || '::interval', 'NULL::interval'));
	template := replace(template, '{trend_period}', quote_literal(coalesce(src.period, interval '1 year')::text) || '::interval');
	template := replace(template, '{scheme}', quote_literal(src.scheme));
	template := replace(template, '{bins}', src.bins::text);
	template := replace(template, '{value}', src.tier_by);
	template := replace(template, '{today}', coalesce(quote_literal(src.as_of::text) || '::date',
		format('(SELECT (CURRENT_TIMESTAMP AT TIME ZONE %L)::date)', src.time_zone)));
	-- last, so that nothing in it is taken for a word of the template
	RETURN replace(template, '{orders_query}', src.orders_query);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_expand(text, crm_profile.source_definition, text) IS 'a template of SQL with the names and settings of a source in it';

CREATE FUNCTION crm_profile_internal.source_clv_365d(history crm_profile.purchase_history, model crm_profile.clv_model, as_of date) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 60
	RETURN crm_profile.clv(history, model, as_of, '365 days'::interval, 0.01);
COMMENT ON FUNCTION crm_profile_internal.source_clv_365d(crm_profile.purchase_history, crm_profile.clv_model, date) IS
	'the column clv_365d: expected value of all purchases in the 365 days that follow as_of, discounted by 1 % a month';

CREATE FUNCTION crm_profile_internal.source_profile_query() RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN $$SELECT
	c.{key} AS customer,
	crm_profile.first_purchase(h.history, {as_of}) AS first_purchase,
	crm_profile.last_purchase(h.history, {as_of}) AS last_purchase,
	crm_profile.recency(h.history, {as_of}) AS recency,
	crm_profile.frequency(h.history, {as_of}{in_period}) AS frequency,
	crm_profile.monetary(h.history, {as_of}{in_period}) AS monetary,
	crm_profile.profit(h.history, {as_of}{in_period}) AS profit,
	crm_profile.average_order_value(h.history, {as_of}{in_period}) AS average_order_value,
	crm_profile.mean_gap(h.history, {as_of}) AS mean_gap,
	crm_profile.trend(h.history, {as_of}, {trend_period}) AS trend,
	crm_profile.purchase_pattern(h.history, {rfm}, {as_of}) AS pattern,
	crm_profile.r_score(crm_profile.rfm_score(h.history, {rfm}, {as_of})) AS r_score,
	crm_profile.f_score(crm_profile.rfm_score(h.history, {rfm}, {as_of})) AS f_score,
	crm_profile.m_score(crm_profile.rfm_score(h.history, {rfm}, {as_of})) AS m_score,
	(crm_profile.rfm_score(h.history, {rfm}, {as_of})::integer)::text AS cell,
	crm_profile.segment(crm_profile.rfm_score(h.history, {rfm}, {as_of}), {segments}) AS segment,
	coalesce(crm_profile.lifecycle(h.history, {as_of}, {active_days}, {rhythm}), {contacted}) AS lifecycle,
	crm_profile.value_tier(crm_profile.{value}(h.history, {as_of}{in_period}), {a_from}, {b_from}) AS value_tier,
	crm_profile.p_alive(h.history, {clv}, {as_of}) AS p_alive,
	crm_profile.expected_purchases(h.history, {clv}, {as_of}, '90 days'::interval) AS expected_purchases_90d,
	crm_profile_internal.source_clv_365d(h.history, {clv}, {as_of}) AS clv_365d,
	crm_profile.next_purchase(h.history, {clv}, {as_of}) AS next_purchase,
	crm_profile.value_tier(crm_profile_internal.source_clv_365d(h.history, {clv}, {as_of}), {predicted_a_from}, {predicted_b_from}) AS predicted_tier
FROM {customers} c LEFT JOIN {schema}.customer_history h ON h.customer = c.{key}$$;
COMMENT ON FUNCTION crm_profile_internal.source_profile_query() IS 'the template behind customer_profile and profile_as_of';

CREATE FUNCTION crm_profile_internal.source_comment(schema text, relation text, comment text, columns text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('COMMENT ON %s %I.%I IS %L', CASE WHEN (SELECT relkind FROM pg_class WHERE oid = format('%I.%I', schema, relation)::regclass) = 'v' THEN 'VIEW' ELSE 'TABLE' END,
		schema, relation, comment);
	FOR i IN 1 .. array_length(columns, 1) LOOP
		EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', schema, relation, columns[i][1], columns[i][2]);
	END LOOP;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_comment(text, text, text, text[]) IS 'comments on a relation of a source and its columns';

CREATE FUNCTION crm_profile_internal.source_admit(src crm_profile.source_definition, relation text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', src.name, relation);
	IF EXISTS (SELECT FROM pg_policy WHERE polname = 'customer_visible' AND polrelid = format('%I.%I', src.name, relation)::regclass) THEN
		EXECUTE format('DROP POLICY customer_visible ON %I.%I', src.name, relation);
	END IF;
	-- EXISTS, not IN: where a hash of the keys does not fit into work_mem the planner can still look each one up
	EXECUTE format('CREATE POLICY customer_visible ON %I.%I FOR SELECT USING (EXISTS (SELECT FROM %s c WHERE c.%I = customer))', src.name, relation, src.customers, src.customer_key);
	EXECUTE format('COMMENT ON POLICY customer_visible ON %I.%I IS ''customers that the reader sees in the customer table''', src.name, relation);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_admit(crm_profile.source_definition, text) IS 'row-level security for a table of a source: who sees the customer sees the row';

CREATE FUNCTION crm_profile_internal.source_build_tables(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE crm_profile_internal.source_expand('CREATE TABLE {schema}.customer_history (customer {key_type} NOT NULL, history crm_profile.purchase_history NOT NULL)', src);
	PERFORM crm_profile_internal.source_comment(src.name, 'customer_history', 'the purchase history of every customer with orders, as of the last refresh', ARRAY[
		['customer', 'the key of the customer table'],
		['history', 'all purchase days, amounts and costs']]);
	PERFORM crm_profile_internal.source_admit(src, 'customer_history');
	EXECUTE crm_profile_internal.source_expand('CREATE TABLE {schema}.model (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fitted_at timestamptz NOT NULL, as_of date NOT NULL,
		rfm crm_profile.rfm_model, scheme text NOT NULL, segments crm_profile.segment_scheme NOT NULL, active_days integer NOT NULL, a_from numeric, b_from numeric,
		customers bigint NOT NULL, clv crm_profile.clv_model, predicted_a_from double precision, predicted_b_from double precision, rhythm crm_profile.rhythm_model NOT NULL,
		fit_share double precision NOT NULL, holdout crm_profile.clv_holdout_line[], holdout_fit_until date, holdout_until date, holdout_share double precision,
		profile crm_profile.profile_model, match crm_profile.match_model, best text)', src);
	PERFORM crm_profile_internal.source_comment(src.name, 'model', 'what refreshes learnt from the customers; the views use the newest, the others are the log', ARRAY[
		['id', 'number of the model; the highest is in use'],
		['fitted_at', 'when it was fitted'],
		['as_of', 'the day it was fitted for'],
		['rfm', 'thresholds of the scores; NULL: nobody had bought'],
		['scheme', 'name of the segment scheme'],
		['segments', 'the scheme as it was then'],
		['active_days', 'the active window of the lifecycle'],
		['a_from', 'least value of tier A'],
		['b_from', 'least value of tier B'],
		['customers', 'customers with a history'],
		['clv', 'the model of repeat purchase and value; NULL: nobody had bought'],
		['predicted_a_from', 'least predicted value of tier A; NULL: nobody is predicted to be worth anything'],
		['predicted_b_from', 'least predicted value of tier B'],
		['rhythm', 'the model of the days between purchases'],
		['fit_share', 'share of the customers that clv and rhythm were fitted to; 1: all'],
		['holdout', 'how good forecasts would have been; NULL: too little to tell'],
		['holdout_fit_until', 'last day that the forecasts of the holdout test knew'],
		['holdout_until', 'last day that they were for'],
		['holdout_share', 'share of the customers in the holdout test'],
		['profile', 'how attributes are encoded; NULL: the source has none'],
		['match', 'the scorecard of the best customers, see match_card() and match_quality(); NULL: no prospects, or none or all of the customers are among the best'],
		['best', 'who counted as the best then']]);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_tables(crm_profile.source_definition) IS 'the tables of a new source';

CREATE FUNCTION crm_profile_internal.source_profile_columns() RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ARRAY[
		['customer', 'the key of the customer table'],
		['first_purchase', 'day of the first order'],
		['last_purchase', 'day of the last order'],
		['recency', 'days since the last order'],
		['frequency', 'number of orders in the period'],
		['monetary', 'amount in the period, net of refunds'],
		['profit', 'amount with a known cost less that cost, in the period; NULL: no cost known'],
		['average_order_value', 'monetary by order'],
		['mean_gap', 'mean number of days between purchase days; NULL: fewer than two'],
		['trend', 'amount of the period (a year, where the source has none) against the one before, from -1 to 1'],
		['pattern', 'few or many, small or large orders, against the medians'],
		['r_score', 'recency score; the highest is the best; NULL: no order in the period'],
		['f_score', 'frequency score'],
		['m_score', 'monetary score'],
		['cell', 'the three scores as digits'],
		['segment', 'segment by the scheme of the source; NULL: not scored'],
		['lifecycle', 'new, active, lapsing (out of the customer''s own rhythm), inactive, won back; potential: contacted, no order yet; probable: neither, but in the prospect table; NULL: none of these'],
		['value_tier', 'A: the best customers, who have 80 % of the value together; B: the next, up to 95 %; C: the rest'],
		['p_alive', 'probability that the customer is still one; NULL, as in all predictions: no order yet, or no model'],
		['expected_purchases_90d', 'expected number of purchase days in the next 90 days'],
		['clv_365d', 'expected value of all purchases in the next 365 days (profit where the tiers go by profit), discounted by 1 % a month'],
		['next_purchase', 'median day of the next purchase of a customer who is still one'],
		['predicted_tier', 'the same tiers by clv_365d']];
COMMENT ON FUNCTION crm_profile_internal.source_profile_columns() IS 'the columns of customer_profile and their comments';

CREATE FUNCTION crm_profile_internal.source_build_model_card(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE VIEW {schema}.model_holdout WITH (security_invoker = true) AS
		SELECT m.holdout_fit_until AS fit_until, m.holdout_until AS as_of, l.part, l.class, l.customers, l.predicted, l.actual, l.calibration, l.mean_absolute_error, l.correlation
		FROM (SELECT * FROM {schema}.model ORDER BY id DESC LIMIT 1) m,
			unnest(m.holdout) WITH ORDINALITY AS l(part, class, customers, predicted, actual, calibration, mean_absolute_error, correlation, line)
		ORDER BY l.line$sql$, src);
	PERFORM crm_profile_internal.source_comment(src.name, 'model_holdout', 'the last refresh''s holdout test: purchase days forecast from what was known on an earlier day, and those that came', ARRAY[
		['fit_until', 'last day that the forecast knew'],
		['as_of', 'last day that it was for'],
		['part', 'total; frequency: by repeat purchases at fit_until; decile: by forecast, 1 the lowest'],
		['class', 'the class'],
		['customers', 'number of customers; a sample where there are more than 100 000'],
		['predicted', 'purchase days forecast'],
		['actual', 'purchase days that came'],
		['calibration', 'actual by predicted'],
		['mean_absolute_error', 'mean distance of the two, by customer'],
		['correlation', 'correlation of the two over customers; NULL: one of them is the same for all']]);

	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE VIEW {schema}.model_card WITH (security_invoker = true) AS
		WITH latest AS MATERIALIZED (SELECT * FROM {schema}.model ORDER BY id DESC LIMIT 1)
		SELECT row_number() OVER (ORDER BY l.part, l.line)::integer AS line, l.section, l.item,
			coalesce(l.value, CASE WHEN l.number = trunc(l.number) THEN l.number::numeric::text ELSE l.number::real::text END) AS value, l.number, l.standard_error, l.note
		FROM (
			SELECT 1 AS part, v.line AS line, 'refresh' AS section, v.item AS item, v.value AS value, v.number AS number, NULL::double precision AS standard_error, v.note AS note
			FROM latest m, LATERAL (VALUES
				(1, 'fitted at', to_char(m.fitted_at, 'YYYY-MM-DD HH24:MI TZ'), NULL::double precision, 'when the refresh began that found these models'),
				(2, 'as of', to_char(m.as_of, 'YYYY-MM-DD'), NULL, 'the day that they look back from'),
				(3, 'customers', NULL, m.customers, 'customers with a history'),
				(4, 'share fitted', NULL, m.fit_share, 'share of the customers that purchases, spend and rhythm are fitted to; 1: all')) v(line, item, value, number, note)
			UNION ALL
			SELECT 2 AS part, v.line AS line, 'purchases' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM latest m, crm_profile.clv_model_card(m.clv) c, LATERAL (VALUES
				(1, 'model', coalesce(c.model, 'none'), NULL::double precision, 'model of repeat purchase; none: nobody had bought'),
				(2, 'status', c.status, NULL, 'how the fit ended; few repeaters, no maximum: a cautious guess; not converged: no predictions'),
				(3, 'unit in days', NULL, extract(epoch FROM c.unit) / 86400, 'the unit of time of the parameters'),
				(4, 'customers', NULL, c.customers, 'customers that it was fitted to'),
				(5, 'repeaters', NULL, c.repeaters, 'those who bought on more than one day'),
				(6, 'repeat purchases', NULL, c.repeat_purchases, 'their purchase days after the first'),
				(7, 'log-likelihood', NULL, c.log_likelihood, 'higher: fits better; compare models of the same customers only')) v(line, item, value, number, note)
			WHERE v.line <= 1 OR c.model IS NOT NULL
			UNION ALL
			SELECT CASE WHEN p.part = 'purchases' THEN 2 ELSE 3 END AS part, 10 + p.n AS line, p.part AS section, p.parameter AS item, NULL AS value, p.estimate AS number, p.standard_error AS standard_error,
				CASE p.parameter
					WHEN 'r' THEN 'shape of the purchase rates of the customers' WHEN 'alpha' THEN 'scale of these rates: their mean is r by alpha'
					WHEN 'a' THEN 'of the chance to leave after a purchase: its mean is a by a + b' WHEN 'b' THEN 'of the same'
					WHEN 's' THEN 'shape of the rates of leaving' WHEN 'beta' THEN 'scale of these rates: their mean is s by beta'
					WHEN 'p' THEN 'shape of the values of a customer''s purchases' ELSE 'of the spread of the customers'' mean values' END AS note
			FROM latest m, crm_profile.clv_parameters(m.clv) WITH ORDINALITY AS p(part, parameter, estimate, standard_error, status, n)
			UNION ALL
			SELECT 3 AS part, v.line AS line, 'spend' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM latest m, crm_profile.clv_model_card(m.clv) c, LATERAL (VALUES
				(1, 'model', 'gamma-gamma', NULL::double precision, 'model of the value of a purchase day'),
				(2, 'status', c.spend_status, NULL, 'how its fit ended; few repeaters, no maximum, no mean: the mean value stands in; no data: clv_365d is NULL'),
				(3, 'value', c.value, NULL, 'revenue, or profit where the tiers go by profit'),
				(4, 'customers', NULL, c.spend_customers, 'customers whose repeat purchases have a positive value'),
				(5, 'left out', NULL, c.spend_excluded, 'those whose repeat purchases have none: refunds took it'),
				(6, 'mean value', NULL, c.mean_value, 'mean value of a repeat purchase day'),
				(7, 'log-likelihood', NULL, c.spend_log_likelihood, 'higher: fits better')) v(line, item, value, number, note)
			WHERE c.model IS NOT NULL
			UNION ALL
			SELECT 4 AS part, v.line AS line, 'rhythm' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM latest m, crm_profile.rhythm_model_card(m.rhythm) c, LATERAL (VALUES
				(1, 'status', c.status, NULL::double precision, 'how the fit ended; not converged, few repeaters: the active window decides alone'),
				(2, 'customers', NULL, c.customers, 'customers that it was fitted to'),
				(3, 'gaps', NULL, c.gaps, 'times between two purchase days of a customer'),
				(4, 'log-likelihood', NULL, c.log_likelihood, 'higher: fits better')) v(line, item, value, number, note)
			UNION ALL
			SELECT 4 AS part, 10 + p.n AS line, 'rhythm' AS section, p.parameter AS item, NULL AS value, p.estimate AS number, p.standard_error AS standard_error,
				CASE p.parameter WHEN 'regularity' THEN '1: purchases come at random, to 12: like clockwork' WHEN 'a' THEN 'shape of the rates of the customers' ELSE 'scale of these rates, in days' END AS note
			FROM latest m, crm_profile.rhythm_parameters(m.rhythm) WITH ORDINALITY AS p(parameter, estimate, standard_error, status, n)
			UNION ALL
			SELECT 5 AS part, v.line AS line, 'lifecycle and tiers' AS section, v.item AS item, NULL AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM latest m, LATERAL (VALUES
				(1, 'active window', m.active_days::double precision, 'days; what customers without a rhythm of their own are measured by'),
				(2, 'tier A from', m.a_from, 'least monetary, or profit, of the tier'),
				(3, 'tier B from', m.b_from, 'least monetary, or profit, of the tier'),
				(4, 'predicted tier A from', m.predicted_a_from, 'least clv_365d of the tier'),
				(5, 'predicted tier B from', m.predicted_b_from, 'least clv_365d of the tier')) v(line, item, number, note)
			UNION ALL
			SELECT 6 AS part, v.line AS line, 'scores' AS section, v.item AS item, v.value AS value, NULL AS number, NULL AS standard_error, v.note AS note
			FROM latest m, crm_profile.thresholds(m.rfm) t, LATERAL (VALUES
				(1, 'scheme', m.scheme, 'the segment scheme'),
				(2, 'recency', array_to_string(t.recency, ', '), 'days: each one exceeded takes a score away'),
				(3, 'frequency', array_to_string(t.frequency, ', '), 'orders: each one exceeded adds a score'),
				(4, 'monetary', array_to_string(t.monetary, ', '), 'amount: each one exceeded adds a score')) v(line, item, value, note)
			UNION ALL
			SELECT 7 AS part, v.line AS line, 'holdout' AS section, v.item AS item, v.value AS value, v.number AS number, NULL AS standard_error, v.note AS note
			FROM latest m LEFT JOIN LATERAL unnest(m.holdout) h ON h.part = 'total', LATERAL (VALUES
				(1, 'status', CASE WHEN m.holdout IS NULL THEN 'none' ELSE 'done' END, NULL::double precision, 'none: too short a time, or no fit; by class: model_holdout'),
				(2, 'fitted until', to_char(m.holdout_fit_until, 'YYYY-MM-DD'), NULL, 'last day that the forecast knew'),
				(3, 'forecast until', to_char(m.holdout_until, 'YYYY-MM-DD'), NULL, 'last day that it was for'),
				(4, 'share tested', NULL, m.holdout_share, 'share of the customers in the test; 1: all'),
				(5, 'customers', NULL, h.customers, 'those of them who had bought when the forecast was made'),
				(6, 'predicted', NULL, h.predicted, 'purchase days forecast'),
				(7, 'actual', NULL, h.actual, 'purchase days that came'),
				(8, 'calibration', NULL, h.calibration, 'actual by predicted; 1: right on the whole'),
				(9, 'mean absolute error', NULL, h.mean_absolute_error, 'purchase days by customer'),
				(10, 'correlation', NULL, h.correlation, 'of forecast and truth over customers')) v(line, item, value, number, note)
			WHERE v.line = 1 OR m.holdout IS NOT NULL) l$sql$, src);
	PERFORM crm_profile_internal.source_comment(src.name, 'model_card', 'the models in use: parameters, what they were fitted to, how the fits ended, and how good forecasts would have been', ARRAY[
		['line', 'the order to read it in'],
		['section', 'refresh, purchases, spend, rhythm, lifecycle and tiers, scores, holdout'],
		['item', 'what the line tells'],
		['value', 'the value as text'],
		['number', 'the value as a number; NULL: words, or unknown'],
		['standard_error', 'of a parameter; NULL: not estimated'],
		['note', 'what it means']]);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_model_card(crm_profile.source_definition) IS 'the views of a source about its models';

CREATE FUNCTION crm_profile_internal.source_build_views(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns CONSTANT text[] := crm_profile_internal.source_profile_columns();
	profile CONSTANT text := crm_profile_internal.source_profile_query();
BEGIN
	IF src.materialize THEN
		IF to_regclass(format('%I.stored_profile', src.name)) IS NULL THEN
			EXECUTE crm_profile_internal.source_expand('CREATE TABLE {schema}.stored_profile AS ' || profile || ' WITH NO DATA', src);
			PERFORM crm_profile_internal.source_comment(src.name, 'stored_profile', 'customer_profile as of the last refresh', columns);
			PERFORM crm_profile_internal.source_admit(src, 'stored_profile');
		END IF;
		EXECUTE format('CREATE OR REPLACE VIEW %I.customer_profile WITH (security_invoker = true) AS SELECT %s FROM %1$I.stored_profile', src.name,
			(SELECT string_agg(columns[i][1], ', ' ORDER BY i) FROM generate_subscripts(columns, 1) i));
	ELSE
		EXECUTE crm_profile_internal.source_expand('CREATE OR REPLACE VIEW {schema}.customer_profile WITH (security_invoker = true) AS ' || profile, src);
		IF to_regclass(format('%I.stored_profile', src.name)) IS NOT NULL THEN
			EXECUTE format('DROP TABLE %I.stored_profile', src.name);
		END IF;
	END IF;
	PERFORM crm_profile_internal.source_comment(src.name, 'customer_profile', 'every customer: purchases, scores, segment, lifecycle, value tier and predictions', columns);

	EXECUTE crm_profile_internal.source_expand('CREATE OR REPLACE FUNCTION {schema}.profile_as_of(as_of date) RETURNS SETOF {schema}.customer_profile LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC '
		|| crm_profile_internal.source_profile_query() || '; END', src, 'profile_as_of.as_of');
	EXECUTE format('COMMENT ON FUNCTION %I.profile_as_of(date) IS ''customer_profile as it would have been at the end of that day, by the thresholds in use now''', src.name);

	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE VIEW {schema}.segment_summary WITH (security_invoker = true) AS
		WITH label(place, segment, strategy) AS (
			SELECT s.position AS place, s.segment AS segment, (SELECT r.strategy FROM crm_profile.scheme_rule r WHERE r.scheme = {scheme} AND r.segment = s.segment ORDER BY r.position LIMIT 1) AS strategy
				FROM crm_profile.segments({segments}) s
			UNION ALL SELECT NULL AS place, '(unscored)' AS segment, NULL AS strategy),
		measured AS (
			SELECT coalesce(p.segment, '(unscored)') AS segment, count(*) AS customers, sum(p.monetary) AS monetary, sum(p.profit) AS profit,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.recency) AS median_recency,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.frequency) AS median_frequency,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.monetary::double precision)::numeric::double precision AS median_monetary,
				-- as numeric: sums of floats would depend on the order of the rows
				sum(p.clv_365d::numeric) AS predicted_value, avg(p.p_alive::numeric) AS mean_p_alive
			FROM {schema}.customer_profile p GROUP BY 1)
		SELECT l.segment, coalesce(m.customers, 0) AS customers,
			coalesce(m.customers, 0) / NULLIF(sum(m.customers) OVER (), 0)::double precision AS customer_share,
			coalesce(m.monetary, 0) AS monetary,
			(coalesce(m.monetary, 0) / NULLIF(sum(m.monetary) OVER (), 0))::double precision AS monetary_share,
			m.profit,
			(m.profit / NULLIF(sum(m.profit) OVER (), 0))::double precision AS profit_share,
			m.median_recency, m.median_frequency, m.median_monetary, l.strategy,
			m.predicted_value::double precision AS predicted_value,
			(m.predicted_value / NULLIF(sum(m.predicted_value) OVER (), 0))::double precision AS predicted_value_share, m.mean_p_alive::double precision AS mean_p_alive
		FROM label l LEFT JOIN measured m ON m.segment = l.segment ORDER BY l.place$sql$, src);
	PERFORM crm_profile_internal.source_comment(src.name, 'segment_summary', 'the segments in the order of the scheme, and a row for customers without a score', ARRAY[
		['segment', 'the segment; (unscored): no order in the period'],
		['customers', 'number of customers'],
		['customer_share', 'share of all customers'],
		['monetary', 'amount in the period'],
		['monetary_share', 'share of the amount of all customers'],
		['profit', 'profit in the period; NULL: no cost known'],
		['profit_share', 'share of the profit of all customers'],
		['median_recency', 'median of the days since the last order'],
		['median_frequency', 'median number of orders'],
		['median_monetary', 'median amount'],
		['strategy', 'what to do with them, as the scheme has it'],
		['predicted_value', 'sum of clv_365d: what they are expected to bring in the next 365 days; NULL: no prediction'],
		['predicted_value_share', 'share of the predicted value of all customers'],
		['mean_p_alive', 'mean of p_alive: the share of them that are still customers']]);

	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE VIEW {schema}.rfm_grid WITH (security_invoker = true) AS
		SELECT r AS r_score, f AS f_score, coalesce(p.customers, 0) AS customers, coalesce(p.monetary, 0) AS monetary, p.mean_m_score
		FROM generate_series(1, {bins}) r CROSS JOIN generate_series(1, {bins}) f
			LEFT JOIN (SELECT r_score, f_score, count(*) AS customers, sum(monetary) AS monetary, avg(m_score)::double precision AS mean_m_score
				FROM {schema}.customer_profile WHERE r_score IS NOT NULL GROUP BY 1, 2) p ON p.r_score = r AND p.f_score = f
		ORDER BY r DESC, f DESC$sql$, src);
	PERFORM crm_profile_internal.source_comment(src.name, 'rfm_grid', 'a heat map: every pair of recency and frequency score', ARRAY[
		['r_score', 'recency score'],
		['f_score', 'frequency score'],
		['customers', 'number of customers'],
		['monetary', 'amount in the period'],
		['mean_m_score', 'mean monetary score; NULL: no customers']]);

	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE VIEW {schema}.purchase_calendar WITH (security_invoker = true) AS
		SELECT date_trunc('month', d.day::timestamp)::date AS month, extract(isodow FROM d.day)::integer AS weekday, sum(d.orders) AS orders, sum(d.amount) AS amount
		FROM crm_profile.purchases((SELECT crm_profile.purchase_history_merge_agg(h.history) FROM {schema}.customer_history h)) d
		WHERE d.day <= {today}
		GROUP BY 1, 2 ORDER BY 1, 2$sql$, src);
	PERFORM crm_profile_internal.source_comment(src.name, 'purchase_calendar', 'when people buy: month by weekday', ARRAY[
		['month', 'first day of the month'],
		['weekday', '1: Monday, to 7: Sunday'],
		['orders', 'number of orders'],
		['amount', 'amount, net of refunds']]);

	EXECUTE crm_profile_internal.source_expand($sql$CREATE OR REPLACE FUNCTION {schema}.segment_migration(from_date date, to_date date, refit boolean DEFAULT false)
		RETURNS TABLE (from_segment text, to_segment text, customers bigint, share double precision, monetary numeric) LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC
		WITH model AS MATERIALIZED (
			SELECT CASE WHEN refit THEN (SELECT crm_profile.rfm_fit(h.history, from_date, {bins}, {period}) FROM {schema}.customer_history h) ELSE {rfm} END AS earlier,
				CASE WHEN refit THEN (SELECT crm_profile.rfm_fit(h.history, to_date, {bins}, {period}) FROM {schema}.customer_history h) ELSE {rfm} END AS later),
		step AS (
			SELECT coalesce(crm_profile.segment(crm_profile.rfm_score(h.history, (SELECT m.earlier FROM model m), from_date), {segments}), '(unscored)') AS was,
				coalesce(crm_profile.segment(crm_profile.rfm_score(h.history, (SELECT m.later FROM model m), to_date), {segments}), '(unscored)') AS became,
				crm_profile.monetary(h.history, to_date{in_period}) AS monetary
			FROM {schema}.customer_history h),
		counted AS (SELECT was, became, count(*) AS customers, sum(monetary) AS monetary FROM step GROUP BY was, became)
		SELECT c.was, c.became, c.customers, (c.customers / sum(c.customers) OVER (PARTITION BY c.was))::double precision, c.monetary FROM counted c
		ORDER BY c.was, c.customers DESC, c.became;
		END$sql$, src);
	EXECUTE format('COMMENT ON FUNCTION %I.segment_migration(date, date, boolean) IS ''how many customers went from which segment to which between two days, by the thresholds in use now or, with refit, by those of each day; share: of the customers of from_segment''', src.name);

	EXECUTE crm_profile_internal.source_expand('CREATE OR REPLACE VIEW {schema}.segment_migration WITH (security_invoker = true) AS
		SELECT from_segment, to_segment, customers, share, monetary FROM {schema}.segment_migration({today} - 90, {today})', src);
	PERFORM crm_profile_internal.source_comment(src.name, 'segment_migration', 'how customers moved between segments over the last 90 days', ARRAY[
		['from_segment', 'segment 90 days ago; (unscored): no order in the period by then'],
		['to_segment', 'segment now'],
		['customers', 'number of customers'],
		['share', 'share of the customers of from_segment'],
		['monetary', 'their amount in the period']]);
	PERFORM crm_profile_internal.source_build_model_card(src);
	PERFORM crm_profile_internal.source_build_persona(src);
	PERFORM crm_profile_internal.source_build_match(src);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_build_views(crm_profile.source_definition) IS 'the views and functions of a source, made anew where they are already there';
