-- Finding one's way: help() for people at a prompt, describe_source() for catalogues and programs

CREATE FUNCTION crm_profile_internal.help_topics(OUT topic text, OUT example text, OUT page text) RETURNS SETOF record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 14
	BEGIN ATOMIC
		VALUES
			('scores and segments, straight from orders', E'SELECT * FROM crm_profile.rfm_scores(NULL::bigint,\n  ''SELECT customer_id, ordered_at, amount FROM orders'',\n  as_of => ''2025-06-30'')', 'bulk.md'),
			('which tables could be a source', 'SELECT * FROM crm_profile.suggest_sources()', 'sources.md'),
			('a source: your tables, mapped once', 'SELECT * FROM crm_profile.create_source(''shop'', ''customers'', ''orders'')', 'sources.md'),
			('read its orders and fit its models', 'SELECT * FROM crm_profile.refresh(''shop'')', 'sources.md'),
			('what is wrong in the data', 'SELECT finding, severity, rows FROM crm_profile.check_source(''shop'')', 'data_quality.md'),
			('segments: who brings what, what to do', 'SELECT * FROM shop.segment_summary', 'segments.md'),
			('customers, the likeliest to buy first', E'SELECT customer, segment, p_purchase_90d FROM shop.customer_profile\n  ORDER BY p_purchase_90d DESC NULLS LAST LIMIT 10', 'clv.md'),
			('what the next 90 days should bring', 'SELECT part, expected, lower, upper FROM shop.revenue_forecast', 'sources.md'),
			('how good forecasts were, in words', 'SELECT * FROM shop.model_card', 'clv.md'),
			('what kind of people they are', 'SELECT segment, card FROM crm_profile.segment_card(''shop'')', 'sources.md'),
			('whom to write to today, and why', 'SELECT customer, action, reason FROM shop.due_actions', 'due_actions.md'),
			('all of that on a page for people', 'SELECT crm_profile.report(''shop'')', 'report.md'),
			('what a segment scheme says', 'SELECT * FROM crm_profile.scheme_rule WHERE scheme = ''standard''', 'segments.md'),
			('your sources, and what they warn of', 'SELECT name, warning FROM crm_profile.sources', 'sources.md');
	END; -- what help() shows: what there is, an example of each, and its page in the documentation

CREATE FUNCTION crm_profile.help(word text DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 ROWS 40 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
	wanted CONSTANT text := '%' || replace(replace(replace(word, '\', '\\'), '%', '\%'), '_', '\_') || '%';
	line record;
	found_any boolean := false;
BEGIN
	FOR line IN SELECT * FROM crm_profile_internal.help_topics() h WHERE word IS NULL OR h.topic ILIKE wanted OR h.example ILIKE wanted LOOP
		RETURN NEXT format('%s: docs/%s', line.topic, line.page);
		RETURN QUERY SELECT '    ' || l FROM regexp_split_to_table(line.example || ';', E'\n') l;
		found_any := true;
	END LOOP;
	IF word IS NULL THEN
		RETURN NEXT 'more about a word or a function: SELECT crm_profile.help(''segment'');';
		RETURN;
	END IF;
	-- functions by name, before those that only speak of it
	FOR line IN SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS told
			FROM pg_proc p WHERE p.pronamespace = 'crm_profile'::regnamespace AND p.prokind IN ('f', 'a') AND (p.proname ILIKE wanted OR obj_description(p.oid, 'pg_proc') ILIKE wanted)
			ORDER BY p.proname ILIKE wanted DESC, p.proname, p.pronargs, arguments LIMIT 12 LOOP
		RETURN NEXT line.proname;
		RETURN QUERY SELECT '    ' || l[1] FROM regexp_matches(replace(format('%s(%s) returns %s', line.proname, line.arguments, line.result), 'crm_profile.', ''), '(.{1,74})(?:\s|$)', 'g') l;
		RETURN QUERY SELECT '    -- ' || l[1] FROM regexp_matches(line.told, '(.{1,71})(?:\s|$)', 'g') l;
		found_any := true;
	END LOOP;
	IF NOT found_any THEN
		RETURN NEXT format('nothing is named or explained by "%s": SELECT crm_profile.help(); shows what there is', word);
	END IF;
END $$; -- what there is, with an example of each and its page in the documentation; word: the functions and examples that have it in their name or explanation

---------------------------------------------------------------- describe_source

CREATE FUNCTION crm_profile_internal.source_questions(OUT view text, OUT grain text, OUT question text, OUT query text) RETURNS SETOF record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 30
	BEGIN ATOMIC
		VALUES
			('customer_attributes', 'one row per customer', 'What is known of a customer?', 'SELECT * FROM %I.customer_attributes LIMIT 20'),
			('where_to_find', 'one row per segment or tier, and attribute value', 'Where are more like the best customers?', 'SELECT * FROM %I.where_to_find LIMIT 20'),
			('customer_profile', 'one row per customer', 'Who is slipping away although they are worth much?', E'SELECT customer, recency, p_purchase_90d, clv_365d FROM %I.customer_profile WHERE lifecycle = ''lapsing'' AND predicted_tier = ''A'' ORDER BY clv_365d DESC NULLS LAST LIMIT 20'),
			('customer_profile', NULL, 'Who will most likely order in the next 90 days?', 'SELECT customer, segment, p_purchase_90d FROM %I.customer_profile ORDER BY p_purchase_90d DESC NULLS LAST LIMIT 20'),
			('customer_profile', NULL, 'How many customers are new, active, lapsing, inactive?', 'SELECT lifecycle, count(*) FROM %I.customer_profile GROUP BY lifecycle'),
			('segment_summary_details', 'one row per segment, and per kind of amount that is in none', 'Which segments bring the revenue?', 'SELECT segment, customers, monetary, monetary_share FROM %I.segment_summary_details ORDER BY monetary DESC'),
			('revenue_forecast', 'one row per kind of customer, and the total', 'What will the next quarter bring?', 'SELECT part, expected, lower, upper FROM %I.revenue_forecast'),
			('segment_migration', 'one row per pair of segments, over the last 90 days', 'Which customers moved down?', 'SELECT from_segment, to_segment, customers FROM %I.segment_migration WHERE from_segment <> to_segment ORDER BY customers DESC'),
			('rfm_grid', 'one row per recency and frequency score', 'How many customers bought lately, and often?', 'SELECT r_score, f_score, customers FROM %I.rfm_grid'),
			('purchase_calendar', 'one row per month and weekday', 'On which days do people order?', 'SELECT weekday, sum(orders) FROM %I.purchase_calendar GROUP BY weekday ORDER BY weekday'),
			('cohort_retention', 'one row per month of the first purchase and month since', 'How many come back?', 'SELECT cohort, months, retention FROM %I.cohort_retention WHERE complete'),
			('cohort_value', 'one row per month of the first purchase and month since', 'What does a new customer bring in a year?', 'SELECT cohort, customers, revenue_per_customer FROM %I.cohort_value WHERE months = 11 AND complete'),
			('new_and_returning', 'one row per month', 'Does the revenue come from new customers?', 'SELECT month, new_revenue, returning_revenue FROM %I.new_and_returning'),
			('second_purchase', 'one row per number of days', 'How many buy again, and when?', 'SELECT within_days, rate FROM %I.second_purchase'),
			('value_concentration', 'one row per tenth of the customers', 'How much depends on few customers?', 'SELECT decile, share, cumulative_share FROM %I.value_concentration'),
			('costly_customers', 'one row per customer who costs more than they bring', 'Who costs more than they bring?', 'SELECT customer, contribution FROM %I.costly_customers LIMIT 20'),
			('seasonal_buyers', 'one row per customer with a season', 'Who buys in the same month every year?', 'SELECT customer, month, years FROM %I.seasonal_buyers'),
			('profitable_niches', 'one row per combination of attribute values', 'Which small groups bring surprisingly much?', 'SELECT niche, customers, value_per_customer, others_per_customer FROM %I.profitable_niches'),
			('payment_behaviour', 'one row per customer with payments', 'Who pays later than before?', E'SELECT customer, usual_days_late, recent_days_late, overdue_amount FROM %I.payment_behaviour WHERE change = ''later'''),
			('segment_persona', 'one row per segment and attribute value', 'What kind of people are the champions?', E'SELECT attribute, value, share_of_segment, concentration FROM %I.segment_persona WHERE segment = ''Champions'' ORDER BY concentration DESC'),
			('prospect_match', 'one row per prospect', 'Which leads first?', 'SELECT prospect, score, reasons FROM %I.prospect_match ORDER BY score DESC NULLS LAST LIMIT 20'),
			('forecast_tracking', 'one row per month; the month of the cut-off has two', 'Does the forecast hold, month by month?', 'SELECT month, expected_value, actual_value FROM %I.forecast_tracking WHERE forecast'),
			('model_holdout', 'one row per class of customers', 'How good was a forecast of the past?', E'SELECT predicted, actual, calibration FROM %I.model_holdout WHERE part = ''total'''),
			('model_card_details', 'one row per figure of the models', 'Which model is in use?', 'SELECT item, value, note FROM %I.model_card_details'),
			('due_actions', 'one row per customer and occasion of the as-of date', 'Whom to write to today, and why?', 'SELECT customer, action, reason FROM %I.due_actions ORDER BY value DESC NULLS LAST LIMIT 20'),
			('campaign_result', 'one row per campaign', 'Did the campaign work?', 'SELECT campaign, treated_rate, control_rate, lift_lower, lift_upper, result FROM %I.campaign_result'),
			('campaign_segment_result', 'one row per campaign and segment', 'With whom did it work?', 'SELECT campaign, segment, lift, adjusted_p_value FROM %I.campaign_segment_result'),
			('campaign_gains', 'one row per campaign and tenth by score', 'Whom could we have left out?', 'SELECT campaign, decile, lift, cumulative_incremental FROM %I.campaign_gains'),
			('product_affinity', 'one row per segment or tier, and category', 'What do champions buy more than others?', E'SELECT category, share, lift FROM %I.product_affinity WHERE customer_group = ''Champions'' AND verdict = ''more than others'''),
			('category_buyers', 'one row per category', 'What is bought most, and by whom?', 'SELECT category, customers, segment FROM %I.category_buyers ORDER BY place LIMIT 20'),
			('data_quality', 'one row per finding', 'Can the figures be trusted?', 'SELECT finding, severity, rows, customers_changed, advice FROM %I.data_quality');
	END; -- views of a source, what a row of each is, and questions that it answers, with queries in which %I is the schema

CREATE FUNCTION crm_profile.describe_source(source text) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE COST 10000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	described jsonb;
BEGIN
	PERFORM crm_profile_internal.check_source_exists(source);
	SELECT jsonb_build_object('source', source, 'schema', source,
		'as_of', 'Every view shows one day: as_of of the source, or today. profile_as_of(day) shows customer_profile on another. Orders after that day are left out.',
		'units', 'Amounts are in the currency of the orders, not converted; shares and probabilities are from 0 to 1; recency, gaps and horizons are days.',
		'views', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.relname, 'comment', obj_description(c.oid, 'pg_class'),
				'grain', (SELECT q.grain FROM crm_profile_internal.source_questions() q WHERE q.view = c.relname AND q.grain IS NOT NULL),
				'columns', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'comment', col_description(c.oid, a.attnum))) ORDER BY a.attnum)
					FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
				'questions', (SELECT jsonb_agg(jsonb_build_object('question', q.question, 'sql', format(q.query, source))) FROM crm_profile_internal.source_questions() q WHERE q.view = c.relname))) ORDER BY c.relname), '[]')
			FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(source)) AND c.relkind = 'v' AND c.relname NOT IN ('prospect_model', 'segment_summary', 'model_card', 'orders_elsewhere') AND has_table_privilege(c.oid, 'SELECT')
				-- nor those that stand for tables elsewhere
				AND NOT EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid WHERE w.ev_class = c.oid AND d.refobjid = 'crm_profile_internal.rows_elsewhere(anyelement, text)'::regprocedure))) INTO described;
	RETURN described;
END $$; -- a source for catalogues and language models: the views that you may read, what a row of each is, columns with types and comments, units, questions with their SQL
