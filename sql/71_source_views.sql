-- The tables and views of a source

CREATE FUNCTION crm_profile.source_contact(src crm_profile.source, customer text, day text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('EXISTS (SELECT FROM %s i WHERE i.%I = %s%s)', src.interactions, src.interaction_customer, customer, CASE
		WHEN src.interacted_at IS NULL THEN ''
		WHEN 'timestamptz'::regtype = (SELECT atttypid FROM pg_attribute WHERE attrelid = to_regclass(src.interactions) AND attname = src.interacted_at)
			THEN format(' AND i.%I < (%s + 1)::timestamp AT TIME ZONE %L', src.interacted_at, day, src.time_zone)
		ELSE format(' AND i.%I < %s + 1', src.interacted_at, day) END);
COMMENT ON FUNCTION crm_profile.source_contact(crm_profile.source, text, text) IS 'the condition that a customer had an interaction by that day, both given as SQL';

CREATE FUNCTION crm_profile.source_expand(template text, src crm_profile.source, as_of text DEFAULT '{today}') RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	latest CONSTANT text := '(SELECT m.%s FROM {schema}.model m ORDER BY m.id DESC LIMIT 1)';
	contacted text := '';
BEGIN
	IF src.interactions IS NOT NULL THEN
		contacted := format(' WHEN %s THEN ''potential''', crm_profile.source_contact(src, 'c.{key}', '{as_of}'));
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
	template := replace(template, '{schema}', quote_ident(src.schema));
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
COMMENT ON FUNCTION crm_profile.source_expand(text, crm_profile.source, text) IS 'a template of SQL with the names and settings of a source in it';

CREATE FUNCTION crm_profile.source_profile_query() RETURNS text
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
	coalesce(crm_profile.lifecycle(h.history, {as_of}, {active_days}), {contacted}) AS lifecycle,
	CASE
		WHEN crm_profile.{value}(h.history, {as_of}{in_period}) >= {a_from} THEN 'A'
		WHEN crm_profile.{value}(h.history, {as_of}{in_period}) >= {b_from} THEN 'B'
		WHEN crm_profile.{value}(h.history, {as_of}{in_period}) IS NOT NULL THEN 'C'
	END AS value_tier
FROM {customers} c LEFT JOIN {schema}.customer_history h ON h.customer = c.{key}$$;
COMMENT ON FUNCTION crm_profile.source_profile_query() IS 'the template behind customer_profile and profile_as_of';

CREATE FUNCTION crm_profile.source_comment(schema text, relation text, comment text, columns text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('COMMENT ON %s %I.%I IS %L', CASE WHEN (SELECT relkind FROM pg_class WHERE oid = format('%I.%I', schema, relation)::regclass) = 'v' THEN 'VIEW' ELSE 'TABLE' END,
		schema, relation, comment);
	FOR i IN 1 .. array_length(columns, 1) LOOP
		EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', schema, relation, columns[i][1], columns[i][2]);
	END LOOP;
END $$;
COMMENT ON FUNCTION crm_profile.source_comment(text, text, text, text[]) IS 'comments on a relation of a source and its columns';

CREATE FUNCTION crm_profile.source_admit(src crm_profile.source, relation text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', src.schema, relation);
	IF EXISTS (SELECT FROM pg_policy WHERE polname = 'customer_visible' AND polrelid = format('%I.%I', src.schema, relation)::regclass) THEN
		EXECUTE format('DROP POLICY customer_visible ON %I.%I', src.schema, relation);
	END IF;
	-- EXISTS, not IN: where a hash of the keys does not fit into work_mem the planner can still look each one up
	EXECUTE format('CREATE POLICY customer_visible ON %I.%I FOR SELECT USING (EXISTS (SELECT FROM %s c WHERE c.%I = customer))', src.schema, relation, src.customers, src.customer_key);
	EXECUTE format('COMMENT ON POLICY customer_visible ON %I.%I IS ''customers that the reader sees in the customer table''', src.schema, relation);
END $$;
COMMENT ON FUNCTION crm_profile.source_admit(crm_profile.source, text) IS 'row-level security for a table of a source: who sees the customer sees the row';

CREATE FUNCTION crm_profile.source_build_tables(src crm_profile.source) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE crm_profile.source_expand('CREATE TABLE {schema}.customer_history (customer {key_type} NOT NULL, history crm_profile.purchase_history NOT NULL)', src);
	PERFORM crm_profile.source_comment(src.schema, 'customer_history', 'the purchase history of every customer with orders, as of the last refresh', ARRAY[
		['customer', 'the key of the customer table'],
		['history', 'all purchase days, amounts and costs']]);
	PERFORM crm_profile.source_admit(src, 'customer_history');
	EXECUTE crm_profile.source_expand('CREATE TABLE {schema}.model (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fitted_at timestamptz NOT NULL, as_of date NOT NULL,
		rfm crm_profile.rfm_model, scheme text NOT NULL, segments crm_profile.segment_scheme NOT NULL, active_days integer NOT NULL, a_from numeric, b_from numeric,
		profile crm_profile.profile_model, match crm_profile.match_model, best text)', src);
	PERFORM crm_profile.source_comment(src.schema, 'model', 'what refreshes learnt from the customers; the views use the newest, the others are the log', ARRAY[
		['id', 'number of the model; the highest is in use'],
		['fitted_at', 'when it was fitted'],
		['as_of', 'the day it was fitted for'],
		['rfm', 'thresholds of the scores; NULL: nobody had bought'],
		['scheme', 'name of the segment scheme'],
		['segments', 'the scheme as it was then'],
		['active_days', 'the active window of the lifecycle'],
		['a_from', 'least value of tier A'],
		['b_from', 'least value of tier B'],
		['profile', 'how attributes are encoded; NULL: the source has none'],
		['match', 'the scorecard of the best customers, see match_card() and match_quality(); NULL: no prospects, or none or all of the customers are among the best'],
		['best', 'who counted as the best then']]);
END $$;
COMMENT ON FUNCTION crm_profile.source_build_tables(crm_profile.source) IS 'the tables of a new source';

CREATE FUNCTION crm_profile.source_profile_columns() RETURNS text[]
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
		['lifecycle', 'new, active, lapsing, inactive, won back; potential: contacted, no order yet; probable: neither, but in the prospect table; NULL: none of these'],
		['value_tier', 'A: the best customers, who have 80 % of the value together; B: the next, up to 95 %; C: the rest']];
COMMENT ON FUNCTION crm_profile.source_profile_columns() IS 'the columns of customer_profile and their comments';

CREATE FUNCTION crm_profile.source_build_views(src crm_profile.source) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns CONSTANT text[] := crm_profile.source_profile_columns();
	profile CONSTANT text := crm_profile.source_profile_query();
BEGIN
	IF src.materialize THEN
		IF to_regclass(format('%I.stored_profile', src.schema)) IS NULL THEN
			EXECUTE crm_profile.source_expand('CREATE TABLE {schema}.stored_profile AS ' || profile || ' WITH NO DATA', src);
			PERFORM crm_profile.source_comment(src.schema, 'stored_profile', 'customer_profile as of the last refresh', columns);
			PERFORM crm_profile.source_admit(src, 'stored_profile');
			EXECUTE format('CREATE UNIQUE INDEX stored_profile_key ON %I.stored_profile (customer)', src.schema);
			EXECUTE format('CREATE INDEX stored_profile_segment ON %I.stored_profile (segment)', src.schema);
		END IF;
		EXECUTE format('CREATE OR REPLACE VIEW %I.customer_profile WITH (security_invoker = true) AS SELECT %s FROM %1$I.stored_profile', src.schema,
			(SELECT string_agg(columns[i][1], ', ' ORDER BY i) FROM generate_subscripts(columns, 1) i));
	ELSE
		EXECUTE crm_profile.source_expand('CREATE OR REPLACE VIEW {schema}.customer_profile WITH (security_invoker = true) AS ' || profile, src);
		IF to_regclass(format('%I.stored_profile', src.schema)) IS NOT NULL THEN
			EXECUTE format('DROP TABLE %I.stored_profile', src.schema);
		END IF;
	END IF;
	PERFORM crm_profile.source_comment(src.schema, 'customer_profile', 'every customer: purchases, scores, segment, lifecycle and value tier', columns);

	EXECUTE crm_profile.source_expand('CREATE OR REPLACE FUNCTION {schema}.profile_as_of(as_of date) RETURNS SETOF {schema}.customer_profile LANGUAGE sql STABLE PARALLEL SAFE BEGIN ATOMIC '
		|| crm_profile.source_profile_query() || '; END', src, 'profile_as_of.as_of');
	EXECUTE format('COMMENT ON FUNCTION %I.profile_as_of(date) IS ''customer_profile as it would have been at the end of that day, by the thresholds in use now''', src.schema);

	EXECUTE crm_profile.source_expand($sql$CREATE OR REPLACE VIEW {schema}.segment_summary WITH (security_invoker = true) AS
		WITH label(place, segment, strategy) AS (
			SELECT s.position AS place, s.segment AS segment, (SELECT r.strategy FROM crm_profile.scheme_rule r WHERE r.scheme = {scheme} AND r.segment = s.segment ORDER BY r.position LIMIT 1) AS strategy
				FROM crm_profile.segments({segments}) s
			UNION ALL SELECT NULL AS place, '(unscored)' AS segment, NULL AS strategy),
		measured AS (
			SELECT coalesce(p.segment, '(unscored)') AS segment, count(*) AS customers, sum(p.monetary) AS monetary, sum(p.profit) AS profit,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.recency) AS median_recency,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.frequency) AS median_frequency,
				percentile_cont(0.5) WITHIN GROUP (ORDER BY p.monetary::double precision)::numeric::double precision AS median_monetary
			FROM {schema}.customer_profile p GROUP BY 1)
		SELECT l.segment, coalesce(m.customers, 0) AS customers,
			coalesce(m.customers, 0) / NULLIF(sum(m.customers) OVER (), 0)::double precision AS customer_share,
			coalesce(m.monetary, 0) AS monetary,
			(coalesce(m.monetary, 0) / NULLIF(sum(m.monetary) OVER (), 0))::double precision AS monetary_share,
			m.profit,
			(m.profit / NULLIF(sum(m.profit) OVER (), 0))::double precision AS profit_share,
			m.median_recency, m.median_frequency, m.median_monetary, l.strategy
		FROM label l LEFT JOIN measured m ON m.segment = l.segment ORDER BY l.place$sql$, src);
	PERFORM crm_profile.source_comment(src.schema, 'segment_summary', 'the segments in the order of the scheme, and a row for customers without a score', ARRAY[
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
		['strategy', 'what to do with them, as the scheme has it']]);

	EXECUTE crm_profile.source_expand($sql$CREATE OR REPLACE VIEW {schema}.rfm_grid WITH (security_invoker = true) AS
		SELECT r AS r_score, f AS f_score, coalesce(p.customers, 0) AS customers, coalesce(p.monetary, 0) AS monetary, p.mean_m_score
		FROM generate_series(1, {bins}) r CROSS JOIN generate_series(1, {bins}) f
			LEFT JOIN (SELECT r_score, f_score, count(*) AS customers, sum(monetary) AS monetary, avg(m_score)::double precision AS mean_m_score
				FROM {schema}.customer_profile WHERE r_score IS NOT NULL GROUP BY 1, 2) p ON p.r_score = r AND p.f_score = f
		ORDER BY r DESC, f DESC$sql$, src);
	PERFORM crm_profile.source_comment(src.schema, 'rfm_grid', 'a heat map: every pair of recency and frequency score', ARRAY[
		['r_score', 'recency score'],
		['f_score', 'frequency score'],
		['customers', 'number of customers'],
		['monetary', 'amount in the period'],
		['mean_m_score', 'mean monetary score; NULL: no customers']]);

	EXECUTE crm_profile.source_expand($sql$CREATE OR REPLACE VIEW {schema}.purchase_calendar WITH (security_invoker = true) AS
		SELECT date_trunc('month', d.day::timestamp)::date AS month, extract(isodow FROM d.day)::integer AS weekday, sum(d.orders) AS orders, sum(d.amount) AS amount
		FROM crm_profile.purchases((SELECT crm_profile.purchase_history_merge_agg(h.history) FROM {schema}.customer_history h)) d
		WHERE d.day <= {today}
		GROUP BY 1, 2 ORDER BY 1, 2$sql$, src);
	PERFORM crm_profile.source_comment(src.schema, 'purchase_calendar', 'when people buy: month by weekday', ARRAY[
		['month', 'first day of the month'],
		['weekday', '1: Monday, to 7: Sunday'],
		['orders', 'number of orders'],
		['amount', 'amount, net of refunds']]);

	EXECUTE crm_profile.source_expand($sql$CREATE OR REPLACE FUNCTION {schema}.segment_migration(from_date date, to_date date, refit boolean DEFAULT false)
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
	EXECUTE format('COMMENT ON FUNCTION %I.segment_migration(date, date, boolean) IS ''how many customers went from which segment to which between two days, by the thresholds in use now or, with refit, by those of each day; share: of the customers of from_segment''', src.schema);

	EXECUTE crm_profile.source_expand('CREATE OR REPLACE VIEW {schema}.segment_migration WITH (security_invoker = true) AS
		SELECT from_segment, to_segment, customers, share, monetary FROM {schema}.segment_migration({today} - 90, {today})', src);
	PERFORM crm_profile.source_comment(src.schema, 'segment_migration', 'how customers moved between segments over the last 90 days', ARRAY[
		['from_segment', 'segment 90 days ago; (unscored): no order in the period by then'],
		['to_segment', 'segment now'],
		['customers', 'number of customers'],
		['share', 'share of the customers of from_segment'],
		['monetary', 'their amount in the period']]);

	PERFORM crm_profile.source_build_persona(src);
	PERFORM crm_profile.source_build_match(src);
END $$;
COMMENT ON FUNCTION crm_profile.source_build_views(crm_profile.source) IS 'the views and functions of a source, made anew where they are already there';
