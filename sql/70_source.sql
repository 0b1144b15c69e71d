-- Sources: existing customer and order tables, registered once, refreshed, and read through views

---------------------------------------------------------------- lifecycle

CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer) IS
	'new, active, lapsing, inactive or won back on that day, inactive after twice active_days; NULL without a purchase by then';
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer, integer) IS
	'new, active, lapsing, inactive or won back on that day: last purchase within active_days, within inactive_days, or longer ago; NULL without a purchase by then';

CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, model crm_profile.clv_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_clv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer, crm_profile.clv_model) IS
	'lifecycle by the customer''s own character: lapsing is who bought more than once and whose probability of a purchase within 90 days is below half of what it was right after the last one';
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer, model crm_profile.clv_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_clv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 40;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer, integer, crm_profile.clv_model) IS
	'lifecycle by the customer''s own character, with a window of its own for inactive';
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, rhythm crm_profile.rhythm_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_rhythm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer, crm_profile.rhythm_model) IS
	'lifecycle with the window of repeat buyers their own: lapsing once lapse_probability reaches 3/4, inactive after twice that silence and twice active_days';
CREATE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer, inactive_days integer, rhythm crm_profile.rhythm_model) RETURNS text
	AS 'MODULE_PATHNAME', 'lifecycle_rhythm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION crm_profile.lifecycle(crm_profile.purchase_history, date, integer, integer, crm_profile.rhythm_model) IS
	'the same, with inactive_days in place of twice active_days; a model that did not converge, or saw too few repeaters, leaves it to the days alone';

---------------------------------------------------------------- value tiers

CREATE TYPE crm_profile.value_tiers AS (
	a_from double precision,
	b_from double precision
);
COMMENT ON TYPE crm_profile.value_tiers IS 'where the tiers of an estimated value begin; from value_tiers_fit()';
COMMENT ON COLUMN crm_profile.value_tiers.a_from IS 'least value of tier A: those worth more have less than 80 % of the total together';
COMMENT ON COLUMN crm_profile.value_tiers.b_from IS 'least value of tier B: the same with 95 %';

CREATE FUNCTION crm_profile_internal.value_tiers_fit_transfn(state internal, value double precision) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.value_tiers_fit_transfn(internal, double precision) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.value_tiers_fit_finalfn(state internal) RETURNS crm_profile.value_tiers
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.value_tiers_fit_finalfn(internal) IS 'aggregate final function';
CREATE AGGREGATE crm_profile.value_tiers_fit(value double precision) (
	SFUNC = crm_profile_internal.value_tiers_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.value_tiers_fit_finalfn,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.value_tiers_fit(double precision) IS
	'thresholds of the tiers A (80 %) and B (95 %) of a value, by its cumulative share; NULLs are skipped; NULL if nobody is worth anything';

CREATE FUNCTION crm_profile.value_tier(value double precision, a_from double precision, b_from double precision) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.value_tier(double precision, double precision, double precision) IS
	'A from a_from on, B from b_from on, else C; NULL for a NULL value';
CREATE FUNCTION crm_profile.value_tier(value numeric, a_from numeric, b_from numeric) RETURNS text
	AS 'MODULE_PATHNAME', 'value_tier_numeric' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile.value_tier(numeric, numeric, numeric) IS
	'A from a_from on, B from b_from on, else C; NULL for a NULL value';

---------------------------------------------------------------- norms

CREATE TYPE crm_profile.customer_norms AS (
	customers bigint,
	orders bigint,
	oldest_order date,
	newest_order date,
	active_days integer,
	a_from numeric,
	b_from numeric
);
COMMENT ON TYPE crm_profile.customer_norms IS 'what the customers of a source are like as a whole; from customer_norms_fit()';
COMMENT ON COLUMN crm_profile.customer_norms.customers IS 'histories seen';
COMMENT ON COLUMN crm_profile.customer_norms.orders IS 'orders in them, after as_of too';
COMMENT ON COLUMN crm_profile.customer_norms.oldest_order IS 'the oldest day of an order';
COMMENT ON COLUMN crm_profile.customer_norms.newest_order IS 'the newest day of an order, after as_of too';
COMMENT ON COLUMN crm_profile.customer_norms.active_days IS 'days within which nine of ten repeat buyers come back, going by the mean gap of each; NULL below 20 repeat buyers';
COMMENT ON COLUMN crm_profile.customer_norms.a_from IS 'least value of tier A: those worth more have less than 80 % of the total together; NULL if nobody is worth anything';
COMMENT ON COLUMN crm_profile.customer_norms.b_from IS 'least value of tier B: the same with 95 %';

CREATE FUNCTION crm_profile_internal.customer_norms_fit_transfn(state internal, history crm_profile.purchase_history, as_of date, period interval, by_profit boolean)
	RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 5;
COMMENT ON FUNCTION crm_profile_internal.customer_norms_fit_transfn(internal, crm_profile.purchase_history, date, interval, boolean) IS 'aggregate transition function';
CREATE FUNCTION crm_profile_internal.customer_norms_fit_finalfn(state internal) RETURNS crm_profile.customer_norms
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.customer_norms_fit_finalfn(internal) IS 'aggregate final function';
CREATE AGGREGATE crm_profile.customer_norms_fit(history crm_profile.purchase_history, as_of date, period interval, by_profit boolean) (
	SFUNC = crm_profile_internal.customer_norms_fit_transfn, STYPE = internal, SSPACE = 65536,
	FINALFUNC = crm_profile_internal.customer_norms_fit_finalfn,
	FINALFUNC_MODIFY = READ_WRITE,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE crm_profile.customer_norms_fit(crm_profile.purchase_history, date, interval, boolean) IS
	'numbers of customers and orders, the active window, and the tiers of value (monetary or profit, over the period or all time) of all histories; NULL if there is none';

---------------------------------------------------------------- the registry

CREATE TABLE crm_profile.source (
	name text CONSTRAINT source_pkey PRIMARY KEY
		CONSTRAINT source_name_not_blank CHECK (name <> '' AND name = btrim(name)),
	owner regrole NOT NULL,
	schema text NOT NULL,
	schema_created boolean NOT NULL DEFAULT false,
	customers text NOT NULL,
	customer_key text NOT NULL,
	key_type text NOT NULL,
	orders text NOT NULL,
	order_customer text NOT NULL,
	ordered_at text NOT NULL,
	amount text NOT NULL,
	cost text,
	order_key text,
	order_filter text,
	amount_scale integer,
	time_zone text NOT NULL,
	attributes text[],
	interactions text,
	interaction_customer text,
	interacted_at text,
	prospects text,
	prospect_key text,
	prospect_key_type text,
	prospect_customer text,
	best text NOT NULL,
	scheme text NOT NULL,
	bins integer NOT NULL,
	period interval,
	as_of date,
	active_days integer,
	tier_by text NOT NULL,
	clv_model text NOT NULL,
	materialize boolean NOT NULL,
	search_path name[] NOT NULL,
	orders_query text NOT NULL,
	customer_query text,
	prospect_query text,
	best_query text,
	last_refresh timestamptz,
	refresh_seconds double precision,
	norms crm_profile.customer_norms,
	best_customers bigint,
	other_customers bigint
);
COMMENT ON TABLE crm_profile.source IS
	'registered sources, as create_source() and alter_source() write them; a row is seen by its owner only';
COMMENT ON COLUMN crm_profile.source.name IS 'what refresh() and the other functions call it';
COMMENT ON COLUMN crm_profile.source.owner IS 'the role with whose rights the source is refreshed';
COMMENT ON COLUMN crm_profile.source.schema IS 'the schema of its tables and views';
COMMENT ON COLUMN crm_profile.source.schema_created IS 'the schema came with the source and goes with it';
COMMENT ON COLUMN crm_profile.source.customers IS 'the customer table, schema-qualified';
COMMENT ON COLUMN crm_profile.source.customer_key IS 'its key column';
COMMENT ON COLUMN crm_profile.source.key_type IS 'the type of the key';
COMMENT ON COLUMN crm_profile.source.orders IS 'the order table, schema-qualified, or a SELECT';
COMMENT ON COLUMN crm_profile.source.order_customer IS 'expression over the orders: the customer''s key';
COMMENT ON COLUMN crm_profile.source.ordered_at IS 'expression over the orders: day or time';
COMMENT ON COLUMN crm_profile.source.amount IS 'expression over the orders: amount';
COMMENT ON COLUMN crm_profile.source.cost IS 'expression over the orders: cost; NULL: none';
COMMENT ON COLUMN crm_profile.source.order_key IS 'expression over the order lines that those of one order share; NULL: each row is an order';
COMMENT ON COLUMN crm_profile.source.order_filter IS 'condition on the orders; NULL: all of them';
COMMENT ON COLUMN crm_profile.source.amount_scale IS 'decimals that amounts are rounded to; NULL: 2 for floats, else as they are';
COMMENT ON COLUMN crm_profile.source.time_zone IS 'where a time stamp with time zone becomes a day';
COMMENT ON COLUMN crm_profile.source.attributes IS 'columns of the customer table, or name = expression, that describe a customer';
COMMENT ON COLUMN crm_profile.source.interactions IS 'table of enquiries, visits and the like, schema-qualified';
COMMENT ON COLUMN crm_profile.source.interaction_customer IS 'its column with the customer''s key';
COMMENT ON COLUMN crm_profile.source.interacted_at IS 'its column with day or time; NULL: any';
COMMENT ON COLUMN crm_profile.source.prospects IS 'the prospect table, schema-qualified; NULL: none';
COMMENT ON COLUMN crm_profile.source.prospect_key IS 'its key column';
COMMENT ON COLUMN crm_profile.source.prospect_key_type IS 'the type of that key';
COMMENT ON COLUMN crm_profile.source.prospect_customer IS 'its column with the key of the customer that a prospect is or becomes; NULL: none';
COMMENT ON COLUMN crm_profile.source.best IS 'the best customers, whom prospects are compared with: segments, or a condition over customer_profile';
COMMENT ON COLUMN crm_profile.source.scheme IS 'the segment scheme';
COMMENT ON COLUMN crm_profile.source.bins IS 'number of scores in each dimension';
COMMENT ON COLUMN crm_profile.source.period IS 'look-back window; NULL: all time';
COMMENT ON COLUMN crm_profile.source.as_of IS 'the day of the views; NULL: today in time_zone';
COMMENT ON COLUMN crm_profile.source.active_days IS 'the active window; NULL: learnt from the customers';
COMMENT ON COLUMN crm_profile.source.tier_by IS 'monetary or profit: what value tiers go by';
COMMENT ON COLUMN crm_profile.source.clv_model IS 'bg/nbd, mbg/nbd or pareto/nbd: the model of repeat purchase that a refresh fits';
COMMENT ON COLUMN crm_profile.source.materialize IS 'customer_profile is kept as a table';
COMMENT ON COLUMN crm_profile.source.search_path IS 'where names in the definition were looked up';
COMMENT ON COLUMN crm_profile.source.orders_query IS 'the query that a refresh runs, all names qualified';
COMMENT ON COLUMN crm_profile.source.customer_query IS 'customers and their attributes, all names qualified; NULL: no attributes';
COMMENT ON COLUMN crm_profile.source.prospect_query IS 'prospects and their attributes, all names qualified; NULL: no prospects';
COMMENT ON COLUMN crm_profile.source.best_query IS 'the keys of the best customers, all names qualified';
COMMENT ON COLUMN crm_profile.source.last_refresh IS 'when the last refresh began';
COMMENT ON COLUMN crm_profile.source.refresh_seconds IS 'how long it took';
COMMENT ON COLUMN crm_profile.source.norms IS 'what it found';
COMMENT ON COLUMN crm_profile.source.best_customers IS 'the best customers among those it compared prospects with; NULL: no prospects';
COMMENT ON COLUMN crm_profile.source.other_customers IS 'the other ones among them';

ALTER TABLE crm_profile.source ENABLE ROW LEVEL SECURITY;
CREATE POLICY source_owner ON crm_profile.source USING (pg_catalog.pg_has_role(owner, 'USAGE'));
COMMENT ON POLICY source_owner ON crm_profile.source IS 'who has the rights of the owner';
GRANT SELECT, INSERT, UPDATE, DELETE ON crm_profile.source TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('crm_profile.source', '');

CREATE VIEW crm_profile.sources WITH (security_invoker = true) AS
	SELECT s.name, s.owner::text AS owner, s.schema, s.customers, s.customer_key, s.orders, s.order_customer, s.ordered_at, s.amount, s.cost,
		s.order_key, s.order_filter, s.amount_scale, s.time_zone, s.attributes, s.interactions, s.interaction_customer, s.interacted_at,
		s.prospects, s.prospect_key, s.prospect_customer, s.best,
		s.scheme, s.bins, s.period, s.as_of, s.materialize, s.tier_by, s.clv_model,
		coalesce(s.active_days, (s.norms).active_days, 90) AS active_days,
		s.active_days IS NULL AND (s.norms).active_days IS NOT NULL AS active_days_learnt,
		s.last_refresh, s.refresh_seconds,
		(s.norms).orders AS orders_read, (s.norms).customers AS customers_with_history, (s.norms).newest_order AS newest_order,
		s.best_customers,
		NULLIF(concat_ws('; ', CASE
			WHEN s.last_refresh IS NULL THEN 'never refreshed'
			WHEN (s.norms).newest_order IS NULL THEN 'the last refresh found no orders'
			WHEN d.today - (s.norms).newest_order > coalesce(s.active_days, (s.norms).active_days, 90)
				THEN format('the as-of date is %s days past the newest order: everybody looks inactive; refresh the source, or set as_of', d.today - (s.norms).newest_order)
			WHEN d.today < (s.norms).newest_order
				THEN format('the as-of date is %s days before the newest order: later orders are left out', (s.norms).newest_order - d.today)
		END, CASE
			WHEN s.prospects IS NULL OR s.last_refresh IS NULL THEN NULL
			WHEN s.best_customers IS NULL THEN 'prospects or attributes were changed after the last refresh: prospects have no scores before the next'
			WHEN s.best_customers = 0 THEN 'no customer is among the best: prospects have no scores; look at the argument best'
			WHEN s.other_customers = 0 THEN 'all customers are among the best: prospects have no scores; look at the argument best'
			WHEN least(s.best_customers, s.other_customers) < 50
				THEN format('of the customers %s are among the best and %s are not: too few for reliable scores of prospects', s.best_customers, s.other_customers)
		END), '') AS warning
	FROM crm_profile.source s, LATERAL (SELECT coalesce(s.as_of, (CURRENT_TIMESTAMP AT TIME ZONE s.time_zone)::date) AS today) d;
COMMENT ON VIEW crm_profile.sources IS 'your sources: definition, last refresh and what it found';
COMMENT ON COLUMN crm_profile.sources.name IS 'what refresh() and the other functions call it';
COMMENT ON COLUMN crm_profile.sources.owner IS 'the role with whose rights the source is refreshed';
COMMENT ON COLUMN crm_profile.sources.schema IS 'the schema of its tables and views';
COMMENT ON COLUMN crm_profile.sources.customers IS 'the customer table, schema-qualified';
COMMENT ON COLUMN crm_profile.sources.customer_key IS 'its key column';
COMMENT ON COLUMN crm_profile.sources.orders IS 'the order table, schema-qualified, or a SELECT';
COMMENT ON COLUMN crm_profile.sources.order_customer IS 'expression over the orders: the customer''s key';
COMMENT ON COLUMN crm_profile.sources.ordered_at IS 'expression over the orders: day or time';
COMMENT ON COLUMN crm_profile.sources.amount IS 'expression over the orders: amount';
COMMENT ON COLUMN crm_profile.sources.cost IS 'expression over the orders: cost; NULL: none';
COMMENT ON COLUMN crm_profile.sources.order_key IS 'expression over the order lines that those of one order share; NULL: each row is an order';
COMMENT ON COLUMN crm_profile.sources.order_filter IS 'condition on the orders; NULL: all of them';
COMMENT ON COLUMN crm_profile.sources.amount_scale IS 'decimals that amounts are rounded to; NULL: 2 for floats, else as they are';
COMMENT ON COLUMN crm_profile.sources.time_zone IS 'where a time stamp with time zone becomes a day';
COMMENT ON COLUMN crm_profile.sources.attributes IS 'columns of the customer table, or name = expression, that describe a customer';
COMMENT ON COLUMN crm_profile.sources.interactions IS 'table of enquiries, visits and the like, schema-qualified';
COMMENT ON COLUMN crm_profile.sources.interaction_customer IS 'its column with the customer''s key';
COMMENT ON COLUMN crm_profile.sources.interacted_at IS 'its column with day or time; NULL: any';
COMMENT ON COLUMN crm_profile.sources.prospects IS 'the prospect table, schema-qualified; NULL: none';
COMMENT ON COLUMN crm_profile.sources.prospect_key IS 'its key column';
COMMENT ON COLUMN crm_profile.sources.prospect_customer IS 'its column with the key of the customer that a prospect is or becomes; NULL: none';
COMMENT ON COLUMN crm_profile.sources.best IS 'the best customers, whom prospects are compared with: segments, or a condition over customer_profile';
COMMENT ON COLUMN crm_profile.sources.scheme IS 'the segment scheme';
COMMENT ON COLUMN crm_profile.sources.bins IS 'number of scores in each dimension';
COMMENT ON COLUMN crm_profile.sources.period IS 'look-back window; NULL: all time';
COMMENT ON COLUMN crm_profile.sources.as_of IS 'the day of the views; NULL: today in time_zone';
COMMENT ON COLUMN crm_profile.sources.materialize IS 'customer_profile is kept as a table';
COMMENT ON COLUMN crm_profile.sources.tier_by IS 'monetary or profit: what value tiers go by';
COMMENT ON COLUMN crm_profile.sources.clv_model IS 'the model of repeat purchase that a refresh fits';
COMMENT ON COLUMN crm_profile.sources.active_days IS 'the active window in days, as set, or learnt at the last refresh, or 90';
COMMENT ON COLUMN crm_profile.sources.active_days_learnt IS 'whether the active window was learnt from the customers';
COMMENT ON COLUMN crm_profile.sources.last_refresh IS 'when the last refresh began';
COMMENT ON COLUMN crm_profile.sources.refresh_seconds IS 'how long it took';
COMMENT ON COLUMN crm_profile.sources.orders_read IS 'orders in the stored histories';
COMMENT ON COLUMN crm_profile.sources.customers_with_history IS 'customers with a stored history';
COMMENT ON COLUMN crm_profile.sources.newest_order IS 'newest day of an order seen';
COMMENT ON COLUMN crm_profile.sources.best_customers IS 'the best customers that prospects were compared with at the last refresh; NULL: no prospects then';
COMMENT ON COLUMN crm_profile.sources.warning IS 'what to look at; NULL: nothing';
GRANT SELECT ON crm_profile.sources TO PUBLIC;

---------------------------------------------------------------- checking a definition

CREATE FUNCTION crm_profile_internal.near_names(name text, candidates text[]) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION crm_profile_internal.near_names(text, text[]) IS
	'up to three candidates that are spelt nearly like the name, in double quotes, nearest first; NULL if none is';

CREATE FUNCTION crm_profile_internal.source_argument_error(argument text, problem text, detail text, hint text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	detail := coalesce(detail, 'Nothing was changed.');
	IF hint IS NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = format('argument "%s" of the source: %s', argument, problem), DETAIL = detail;
	END IF;
	RAISE invalid_parameter_value USING MESSAGE = format('argument "%s" of the source: %s', argument, problem), DETAIL = detail, HINT = hint;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_argument_error(text, text, text, text) IS 'raises the error of create_source() and alter_source() about one argument';

CREATE FUNCTION crm_profile_internal.source_path(search_path name[]) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT coalesce(string_agg(quote_ident(p), ', ' ORDER BY n) || ', ', '') || 'pg_temp' FROM unnest(search_path) WITH ORDINALITY AS t(p, n));
COMMENT ON FUNCTION crm_profile_internal.source_path(name[]) IS 'a search_path setting of these schemas, temporary objects last';

CREATE FUNCTION crm_profile_internal.source_relation(argument text, relation text, path text) RETURNS oid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found oid;
	kind text;
BEGIN
	IF relation IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, 'it is missing', 'It names a table, a view or a foreign table.', format('Write %s => ''schema.table''.', argument));
	END IF;
	PERFORM set_config('search_path', path, true);
	BEGIN
		found := to_regclass(relation);
	EXCEPTION WHEN syntax_error OR invalid_name OR feature_not_supported THEN
		found := NULL;
	END;
	IF found IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('there is no relation "%s"', relation),
			format('Names are looked up along: %s.', path),
			'Did you mean ' || crm_profile_internal.near_names(lower(regexp_replace(relation, '^.*\.', '')),
				(SELECT array_agg(relname::text ORDER BY relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
					WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
						AND has_schema_privilege(n.oid, 'USAGE'))) || '?');
	END IF;
	SELECT CASE WHEN relpersistence = 't' THEN 'temporary' WHEN relkind NOT IN ('r', 'p', 'v', 'm', 'f') THEN 'no table' END
		INTO kind FROM pg_class WHERE oid = found;
	IF kind IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('relation "%s" is %s', relation, kind),
			'A source reads tables, partitioned and foreign tables, views and materialized views that stay.', NULL);
	END IF;
	IF NOT has_any_column_privilege(found, 'SELECT') THEN
		RAISE insufficient_privilege USING MESSAGE = format('argument "%s" of the source: permission denied for relation "%s"', argument, relation),
			HINT = format('The owner of a source needs SELECT: GRANT SELECT ON %s TO %I.', relation, current_user);
	END IF;
	RETURN found;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_relation(text, text, text) IS 'the relation that an argument names, checked';

CREATE FUNCTION crm_profile_internal.source_columns(relation oid) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped);
COMMENT ON FUNCTION crm_profile_internal.source_columns(oid) IS 'the columns of a relation in order';

CREATE FUNCTION crm_profile_internal.source_column(argument text, wanted text, relation oid) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns text[] := crm_profile_internal.source_columns(relation);
BEGIN
	IF wanted = ANY (columns) THEN
		RETURN wanted;
	ELSIF lower(wanted) = ANY (columns) THEN
		RETURN lower(wanted);
	END IF;
	PERFORM crm_profile_internal.source_argument_error(argument, format('%s has no column "%s"', relation::regclass, wanted),
		format('Its columns are: %s.', array_to_string(columns, ', ')), 'Did you mean ' || crm_profile_internal.near_names(wanted, columns) || '?');
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_column(text, text, oid) IS 'the column that an argument names, checked';

CREATE FUNCTION crm_profile_internal.source_type_of(expression text, relation text, path text) RETURNS regtype
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found regtype;
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format('SELECT pg_catalog.pg_typeof(e.x) FROM (SELECT) AS one LEFT JOIN (SELECT (%s) AS x FROM %s LIMIT 0) AS e ON true', expression, relation)
		INTO found;
	RETURN found;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_type_of(text, text, text) IS 'the type of an expression over a relation; runs it over no row';

CREATE FUNCTION crm_profile_internal.source_expression(argument text, expression text, relation oid, relation_sql text, path text, types oid[], wanted text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	columns text[] := crm_profile_internal.source_columns(relation);
	found regtype;
	problem text;
	advice text;
BEGIN
	IF expression = ANY (columns) THEN
		expression := quote_ident(expression);
	END IF;
	BEGIN
		found := crm_profile_internal.source_type_of(expression, relation_sql, path);
	EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception OR feature_not_supported THEN
		GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, advice = PG_EXCEPTION_HINT;
		PERFORM crm_profile_internal.source_argument_error(argument, problem,
			format('It is %s; the columns there are: %s.', expression, array_to_string(columns, ', ')),
			coalesce('Did you mean ' || crm_profile_internal.near_names(btrim(expression, '" '), columns) || '?', NULLIF(advice, '')));
	END;
	SELECT CASE WHEN typtype = 'd' THEN typbasetype ELSE oid END INTO found FROM pg_type WHERE oid = found;
	IF types IS NOT NULL AND found <> ALL (types) THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('%s has type %s', expression, found),
			format('Expected %s.', wanted), 'Name another column, or cast it in an expression.');
	END IF;
	RETURN expression;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_expression(text, text, oid, text, text, oid[], text) IS 'the column or expression of an argument, checked, its type among those wanted';

CREATE FUNCTION crm_profile_internal.source_one_of(argument text, candidates text[], what text, relation text, columns text[]) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF cardinality(candidates) = 1 THEN
		RETURN candidates[1];
	ELSIF cardinality(candidates) > 1 THEN
		PERFORM crm_profile_internal.source_argument_error(argument, 'it was left out, and there is more than one ' || what,
			format('The candidates are: %s.', array_to_string(candidates, ', ')), format('Write %s => ''%s'', or whichever it is.', argument, candidates[1]));
	END IF;
	PERFORM crm_profile_internal.source_argument_error(argument, format('it was left out, and %s has no %s', relation, what),
		format('The columns there are: %s.', array_to_string(columns, ', ')), format('Write %s => with a column or an expression.', argument));
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_one_of(text, text[], text, text, text[]) IS 'the only candidate for an argument that was left out; else an error that lists them';

CREATE FUNCTION crm_profile_internal.source_canonical(query text, schema text, path text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	canonical text;
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE format('CREATE VIEW %I.source_probe AS %s', schema, query);
	PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
	canonical := pg_get_viewdef(format('%I.source_probe', schema)::regclass);
	EXECUTE format('DROP VIEW %I.source_probe', schema);
	RETURN btrim(canonical, E' ;\n');
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_canonical(text, text, text) IS 'a query with every name in it qualified';

CREATE FUNCTION crm_profile_internal.source_resolve(src crm_profile.source) RETURNS crm_profile.source
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' AS $$
DECLARE
	path text := crm_profile_internal.source_path(src.search_path);
	customers oid;
	orders oid;
	orders_sql text;
	customer_type oid;
	key_number smallint;
	columns text[];
	candidates text[];
	kind regtype;
	scheme_bins integer;
	key_sql text;
	amount_sql text;
	cost_sql text;
	days CONSTANT oid[] := ARRAY['date', 'timestamp', 'timestamptz']::regtype[]::oid[];
	amounts CONSTANT oid[] := ARRAY['numeric', 'int2', 'int4', 'int8', 'float4', 'float8', 'money']::regtype[]::oid[];
BEGIN
	-- customers
	customers := crm_profile_internal.source_relation('customers', src.customers, path);
	src.customers := customers::regclass::text;
	columns := crm_profile_internal.source_columns(customers);
	IF src.customer_key IS NULL THEN
		SELECT array_agg(attname::text) INTO candidates FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
			WHERE indrelid = customers AND indisprimary AND indnkeyatts = 1;
		src.customer_key := crm_profile_internal.source_one_of('customer_key', candidates, 'primary key of one column', src.customers, columns);
	ELSE
		src.customer_key := crm_profile_internal.source_column('customer_key', src.customer_key, customers);
	END IF;
	SELECT CASE WHEN typtype = 'd' THEN typbasetype ELSE atttypid END, attnum INTO customer_type, key_number
		FROM pg_attribute JOIN pg_type t ON t.oid = atttypid WHERE attrelid = customers AND attname = src.customer_key;
	src.key_type := format_type(customer_type, -1);

	-- orders
	IF src.orders ~* '^\s*(select|with|values|table)\s' OR src.orders ~ '^\s*\(' THEN
		src.orders := btrim(src.orders, E' ;\n\t');
		PERFORM set_config('search_path', path, true);
		BEGIN
			-- in brackets nothing but a single query gets through
			EXECUTE format('CREATE VIEW %I.source_orders AS SELECT * FROM (%s) AS orders', src.schema, src.orders);
		EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported THEN
			PERFORM crm_profile_internal.source_argument_error('orders', SQLERRM, 'It is run as a query: ' || src.orders, 'Give a table, or a SELECT that works by itself.');
		END;
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
		orders := format('%I.source_orders', src.schema)::regclass;
		orders_sql := format('(%s) AS orders', src.orders);
	ELSE
		orders := crm_profile_internal.source_relation('orders', src.orders, path);
		orders_sql := orders::regclass::text;
		src.orders := orders_sql;
	END IF;
	columns := crm_profile_internal.source_columns(orders);

	IF src.order_customer IS NULL THEN
		SELECT array_agg(DISTINCT attname::text) INTO candidates FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
			WHERE contype = 'f' AND conrelid = orders AND confrelid = customers AND confkey = ARRAY[key_number];
		IF candidates IS NULL THEN
			SELECT array_agg(attname::text ORDER BY attnum) INTO candidates FROM pg_attribute JOIN pg_type t ON t.oid = atttypid, pg_class c
				WHERE attrelid = orders AND attnum > 0 AND NOT attisdropped AND c.oid = customers
					AND (attname = NULLIF(src.customer_key, 'id') OR attname IN ('customer_id', 'customer', 'client_id')
						OR attname IN (c.relname || '_' || src.customer_key, rtrim(c.relname, 's') || '_' || src.customer_key))
					AND typcategory = (SELECT typcategory FROM pg_type WHERE oid = customer_type);
		END IF;
		src.order_customer := quote_ident(crm_profile_internal.source_one_of('order_customer', candidates, 'foreign key to, or column named like the key of, ' || src.customers, orders_sql, columns));
	END IF;
	src.order_customer := crm_profile_internal.source_expression('order_customer', src.order_customer, orders, orders_sql, path, NULL, NULL);

	IF src.ordered_at IS NULL THEN
		SELECT array_agg(attname::text ORDER BY attnum) INTO candidates FROM pg_attribute
			WHERE attrelid = orders AND attnum > 0 AND NOT attisdropped AND atttypid = ANY (days);
		src.ordered_at := quote_ident(crm_profile_internal.source_one_of('ordered_at', candidates, 'column of type date or timestamp', orders_sql, columns));
	END IF;
	src.ordered_at := crm_profile_internal.source_expression('ordered_at', src.ordered_at, orders, orders_sql, path, days, 'date, timestamp or timestamptz');

	IF src.amount IS NULL THEN
		SELECT array_agg(attname::text ORDER BY attnum) INTO candidates FROM pg_attribute
			WHERE attrelid = orders AND attnum > 0 AND NOT attisdropped AND atttypid = ANY (ARRAY['numeric', 'float4', 'float8', 'money']::regtype[]::oid[])
				AND quote_ident(attname) <> ALL (ARRAY[src.order_customer, coalesce(src.cost, ''), coalesce(src.order_key, '')])
				AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = orders AND contype IN ('p', 'f') AND attnum = ANY (conkey));
		src.amount := quote_ident(crm_profile_internal.source_one_of('amount', candidates, 'column of an amount (numeric, float or money)', orders_sql, columns));
	END IF;
	src.amount := crm_profile_internal.source_expression('amount', src.amount, orders, orders_sql, path, amounts, 'numeric, an integer, a float or money');
	IF src.amount_scale NOT BETWEEN 0 AND 6 THEN
		PERFORM crm_profile_internal.source_argument_error('amount_scale', format('it is %s', src.amount_scale), 'Amounts have 0 to 6 decimals.', NULL);
	END IF;
	kind := crm_profile_internal.source_type_of(src.amount, orders_sql, path);
	amount_sql := CASE WHEN src.amount_scale IS NOT NULL OR kind = ANY (ARRAY['float4', 'float8', 'money']::regtype[])
		THEN format('round((%s)::numeric, %s)', src.amount, coalesce(src.amount_scale, 2)) ELSE format('(%s)', src.amount) END;
	IF src.cost IS NOT NULL THEN
		src.cost := crm_profile_internal.source_expression('cost', src.cost, orders, orders_sql, path, amounts, 'numeric, an integer, a float or money');
		kind := crm_profile_internal.source_type_of(src.cost, orders_sql, path);
		cost_sql := CASE WHEN src.amount_scale IS NOT NULL OR kind = ANY (ARRAY['float4', 'float8', 'money']::regtype[])
			THEN format('round((%s)::numeric, %s)', src.cost, coalesce(src.amount_scale, 2)) ELSE format('(%s)', src.cost) END;
	END IF;
	IF src.order_key IS NOT NULL THEN
		src.order_key := crm_profile_internal.source_expression('order_key', src.order_key, orders, orders_sql, path, NULL, NULL);
	END IF;
	IF src.order_filter IS NOT NULL THEN
		src.order_filter := crm_profile_internal.source_expression('order_filter', src.order_filter, orders, orders_sql, path, ARRAY['boolean'::regtype::oid], 'a condition');
	END IF;

	kind := crm_profile_internal.source_type_of(src.order_customer, orders_sql, path);
	key_sql := CASE WHEN kind = customer_type THEN format('(%s)', src.order_customer) ELSE format('(%s)::%s', src.order_customer, src.key_type) END;
	BEGIN
		PERFORM crm_profile_internal.source_type_of(key_sql, orders_sql, path);
	EXCEPTION WHEN cannot_coerce THEN
		PERFORM crm_profile_internal.source_argument_error('order_customer', format('%s has type %s', src.order_customer, kind),
			format('The key of %s, %s, has type %s.', src.customers, src.customer_key, src.key_type), 'Name the column that holds the key of the customer.');
	END;
	src.orders_query := crm_profile_internal.source_canonical(format('SELECT %s AS customer, %s AS ordered_at, %s AS amount%s%s FROM %s%s', key_sql, src.ordered_at, amount_sql,
		', ' || cost_sql || ' AS cost', ', ' || src.order_key || ' AS order_key', orders_sql, ' WHERE ' || src.order_filter), src.schema, path);
	IF orders_sql LIKE '(%' THEN
		EXECUTE format('DROP VIEW %I.source_orders', src.schema);
	END IF;

	-- interactions
	IF src.interactions IS NOT NULL THEN
		orders := crm_profile_internal.source_relation('interactions', src.interactions, path);
		src.interactions := orders::regclass::text;
		IF src.interaction_customer IS NULL THEN
			SELECT array_agg(DISTINCT attname::text) INTO candidates FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
				WHERE contype = 'f' AND conrelid = orders AND confrelid = customers AND confkey = ARRAY[key_number];
			src.interaction_customer := crm_profile_internal.source_one_of('interaction_customer', candidates, 'foreign key to ' || src.customers, src.interactions, crm_profile_internal.source_columns(orders));
		END IF;
		src.interaction_customer := crm_profile_internal.source_column('interaction_customer', src.interaction_customer, orders);
		IF src.interacted_at IS NOT NULL THEN
			src.interacted_at := crm_profile_internal.source_column('interacted_at', src.interacted_at, orders);
			PERFORM crm_profile_internal.source_expression('interacted_at', src.interacted_at, orders, src.interactions, path, days, 'date, timestamp or timestamptz');
		END IF;
	ELSIF num_nonnulls(src.interaction_customer, src.interacted_at) > 0 THEN
		PERFORM crm_profile_internal.source_argument_error('interactions', 'it is missing', 'interaction_customer and interacted_at are columns of it.', NULL);
	END IF;

	src := crm_profile_internal.source_resolve_prospects(src, customers, path);

	-- settings
	BEGIN
		PERFORM CURRENT_TIMESTAMP AT TIME ZONE src.time_zone;
	EXCEPTION WHEN invalid_parameter_value THEN
		PERFORM crm_profile_internal.source_argument_error('time_zone', format('there is no time zone "%s"', src.time_zone), NULL,
			'Did you mean ' || crm_profile_internal.near_names(src.time_zone, (SELECT array_agg(name ORDER BY name) FROM pg_timezone_names)) || '?');
	END;
	SELECT bins INTO scheme_bins FROM crm_profile.scheme WHERE name = src.scheme;
	IF scheme_bins IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('scheme', format('there is no scheme "%s"', src.scheme),
			format('There are: %s.', (SELECT string_agg(name, ', ' ORDER BY name) FROM crm_profile.scheme)), NULL);
	END IF;
	src.bins := coalesce(src.bins, scheme_bins);
	IF src.bins <> scheme_bins THEN
		PERFORM crm_profile_internal.source_argument_error('bins', format('it is %s, but scheme "%s" is for %s', src.bins, src.scheme, scheme_bins), NULL,
			'Leave it out, or name a scheme of as many bins.');
	END IF;
	PERFORM crm_profile.compile_scheme(src.scheme);
	IF src.period <= interval '0' THEN
		PERFORM crm_profile_internal.source_argument_error('period', format('it is %s', src.period), 'It is the length of a look-back window.', 'Write a positive interval, such as 1 year.');
	END IF;
	IF NOT isfinite(src.as_of) THEN
		PERFORM crm_profile_internal.source_argument_error('as_of', format('it is %s', src.as_of), NULL, 'Leave it out for today.');
	END IF;
	IF src.active_days NOT BETWEEN 1 AND 36500 THEN
		PERFORM crm_profile_internal.source_argument_error('active_days', format('it is %s', src.active_days), 'It is a number of days, from 1 to 36500.', 'Leave it out to have it learnt from the customers.');
	END IF;
	IF src.tier_by NOT IN ('monetary', 'profit') THEN
		PERFORM crm_profile_internal.source_argument_error('tier_by', format('it is "%s"', src.tier_by), 'It is monetary or profit.', NULL);
	END IF;
	IF src.tier_by = 'profit' AND src.cost IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error('tier_by', 'it is "profit", but the source has no cost', NULL, 'Give cost =>, too.');
	END IF;
	IF src.clv_model NOT IN ('bg/nbd', 'mbg/nbd', 'pareto/nbd') THEN
		PERFORM crm_profile_internal.source_argument_error('clv_model', format('there is no model "%s"', src.clv_model), 'There are: bg/nbd, mbg/nbd, pareto/nbd.', NULL);
	END IF;
	RETURN src;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_resolve(crm_profile.source) IS 'a definition checked and completed under the caller''s rights; errors say which argument is wrong';
