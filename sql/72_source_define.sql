-- create_source, alter_source, drop_source, explain_source

CREATE FUNCTION crm_profile.create_source(
	name text,
	customers text,
	orders text,
	customer_key text DEFAULT NULL,
	order_customer text DEFAULT NULL,
	ordered_at text DEFAULT NULL,
	amount text DEFAULT NULL,
	cost text DEFAULT NULL,
	order_key text DEFAULT NULL,
	order_filter text DEFAULT NULL,
	amount_scale integer DEFAULT NULL,
	time_zone text DEFAULT current_setting('TimeZone'),
	attributes text[] DEFAULT NULL,
	interactions text DEFAULT NULL,
	interaction_customer text DEFAULT NULL,
	interacted_at text DEFAULT NULL,
	prospects text DEFAULT NULL,
	prospect_key text DEFAULT NULL,
	prospect_customer text DEFAULT NULL,
	best text DEFAULT NULL,
	scheme text DEFAULT 'standard',
	bins integer DEFAULT NULL,
	period interval DEFAULT NULL,
	as_of date DEFAULT NULL,
	active_days integer DEFAULT NULL,
	tier_by text DEFAULT 'monetary',
	clv_model text DEFAULT 'mbg/nbd',
	materialize boolean DEFAULT false,
	schema text DEFAULT NULL,
	search_path name[] DEFAULT pg_catalog.current_schemas(false),
	order_lines text DEFAULT NULL,
	line_order text DEFAULT NULL,
	line_product text DEFAULT NULL,
	line_category text DEFAULT NULL,
	payments text DEFAULT NULL,
	campaigns text DEFAULT NULL,
	OUT argument text, OUT value text, OUT origin text)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	src crm_profile.source;
	given jsonb := jsonb_strip_nulls(jsonb_build_object('customer_key', create_source.customer_key, 'order_customer', create_source.order_customer,
		'ordered_at', create_source.ordered_at, 'amount', create_source.amount, 'bins', create_source.bins, 'schema', create_source.schema,
		'interaction_customer', create_source.interaction_customer, 'attributes', create_source.attributes, 'prospect_key', create_source.prospect_key,
		'prospect_customer', create_source.prospect_customer, 'best', create_source.best));
BEGIN
	PERFORM crm_profile_internal.source_reserved('order_lines', create_source.order_lines, 'line_order', create_source.line_order, 'line_product', create_source.line_product,
		'line_category', create_source.line_category, 'payments', create_source.payments, 'campaigns', create_source.campaigns);
	IF create_source.name IS NULL OR create_source.name = '' OR create_source.name <> btrim(create_source.name) THEN
		PERFORM crm_profile_internal.source_argument_error('name', 'it is blank, or begins or ends with a blank', NULL, NULL);
	END IF;
	src.name := create_source.name;
	src.owner := quote_ident(current_user)::regrole;
	src.schema := coalesce(create_source.schema, create_source.name);
	src.customers := create_source.customers;
	src.orders := create_source.orders;
	src.customer_key := create_source.customer_key;
	src.order_customer := create_source.order_customer;
	src.ordered_at := create_source.ordered_at;
	src.amount := create_source.amount;
	src.cost := create_source.cost;
	src.order_key := create_source.order_key;
	src.order_filter := create_source.order_filter;
	src.amount_scale := create_source.amount_scale;
	src.time_zone := coalesce(create_source.time_zone, current_setting('TimeZone'));
	src.attributes := create_source.attributes;
	src.interactions := create_source.interactions;
	src.interaction_customer := create_source.interaction_customer;
	src.interacted_at := create_source.interacted_at;
	src.prospects := create_source.prospects;
	src.prospect_key := create_source.prospect_key;
	src.prospect_customer := create_source.prospect_customer;
	src.best := create_source.best;
	src.scheme := coalesce(create_source.scheme, 'standard');
	src.bins := create_source.bins;
	src.period := create_source.period;
	src.as_of := create_source.as_of;
	src.active_days := create_source.active_days;
	src.tier_by := coalesce(create_source.tier_by, 'monetary');
	src.clv_model := coalesce(create_source.clv_model, 'mbg/nbd');
	src.materialize := coalesce(create_source.materialize, false);
	src.search_path := coalesce(create_source.search_path, '{}');

	IF octet_length(src.schema) > 63 OR src.schema IN ('information_schema', 'crm_profile') OR src.schema LIKE 'pg\_%' THEN
		PERFORM crm_profile_internal.source_argument_error('schema', format('"%s" cannot be the name of a schema of views', src.schema), NULL, 'Write schema => with another name.');
	END IF;
	IF EXISTS (SELECT FROM crm_profile.source s WHERE s.name = src.name) THEN
		RAISE duplicate_object USING MESSAGE = format('source "%s" already exists', src.name), HINT = 'Take another name, or alter_source().';
	END IF;
	src.schema_created := to_regnamespace(quote_ident(src.schema)) IS NULL;
	IF src.schema_created THEN
		EXECUTE format('CREATE SCHEMA %I', src.schema);
		EXECUTE format('COMMENT ON SCHEMA %I IS %L', src.schema, format('tables and views of source %s of crm_profile', src.name));
	END IF;
	src := crm_profile_internal.source_resolve(src);
	BEGIN
		INSERT INTO crm_profile.source SELECT (src).*;
	EXCEPTION WHEN unique_violation THEN
		RAISE duplicate_object USING MESSAGE = format('source "%s" already exists', src.name), HINT = 'It belongs to somebody else: take another name.';
	END;
	PERFORM crm_profile_internal.source_build_tables(src);
	PERFORM crm_profile_internal.source_build_views(src);
	src := crm_profile_internal.source_resolve_best(src);
	UPDATE crm_profile.source s SET best_query = src.best_query WHERE s.name = src.name;
	RETURN QUERY
		SELECT a.argument, a.value, CASE WHEN a.always OR given ? a.argument THEN 'given' ELSE 'inferred' END
		FROM (VALUES (1, 'customers', src.customers, true), (2, 'customer_key', src.customer_key, false), (3, 'orders', src.orders, true),
			(4, 'order_customer', src.order_customer, false), (5, 'ordered_at', src.ordered_at, false), (6, 'amount', src.amount, false),
			(7, 'cost', src.cost, true), (8, 'order_key', src.order_key, true), (9, 'order_filter', src.order_filter, true),
			(10, 'attributes', array_to_string(src.attributes, ', '), false), (11, 'interaction_customer', src.interaction_customer, false),
			(12, 'prospects', src.prospects, true), (13, 'prospect_key', src.prospect_key, false), (14, 'prospect_customer', src.prospect_customer, false),
			(15, 'best', CASE WHEN src.prospects IS NOT NULL THEN src.best END, false), (16, 'bins', src.bins::text, false), (17, 'schema', src.schema, false)) a(n, argument, value, always)
		WHERE a.value IS NOT NULL ORDER BY a.n;
END $$;
COMMENT ON FUNCTION crm_profile.create_source IS
	'registers a customer and an order table and makes the views; what is left out is inferred; returns the mapping in effect and which of it was given or inferred';

CREATE FUNCTION crm_profile_internal.source_of(name text) RETURNS crm_profile.source
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
	src crm_profile.source;
BEGIN
	SELECT s.* INTO src FROM crm_profile.source s WHERE s.name = source_of.name;
	IF src.name IS NULL THEN
		RAISE undefined_object USING MESSAGE = format('source "%s" does not exist, or you are not its owner', source_of.name),
			HINT = 'SELECT name, owner FROM crm_profile.sources shows yours.';
	END IF;
	RETURN src;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_of(text) IS 'the definition of a source; an error if there is none that is yours';

CREATE FUNCTION crm_profile_internal.source_own(name text) RETURNS crm_profile.source
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src crm_profile.source := crm_profile_internal.source_of(name);
BEGIN
	-- who may act for the owner does so as the owner: what is made must be the owner's, and what is run must have no more rights
	IF src.owner <> quote_ident(current_user)::regrole THEN
		RAISE insufficient_privilege USING MESSAGE = format('must be owner of source "%s"', name), HINT = format('SET ROLE %s first.', src.owner);
	END IF;
	RETURN src;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_own(text) IS 'the definition of a source; an error unless the current role is its owner';

CREATE FUNCTION crm_profile_internal.source_own_locked(name text, "nowait" boolean DEFAULT false) RETURNS crm_profile.source
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
	src crm_profile.source := crm_profile_internal.source_own(source_own_locked.name);
BEGIN
	-- who comes second waits here
	IF "nowait" THEN
		SELECT s.* INTO src FROM crm_profile.source s WHERE s.name = source_own_locked.name FOR UPDATE NOWAIT;
	ELSE
		SELECT s.* INTO src FROM crm_profile.source s WHERE s.name = source_own_locked.name FOR UPDATE;
	END IF;
	IF src.name IS NULL THEN
		RAISE undefined_object USING MESSAGE = format('source "%s" does not exist any more', source_own_locked.name);
	END IF;
	RETURN src;
EXCEPTION WHEN lock_not_available THEN
	RAISE lock_not_available USING MESSAGE = format('source "%s" is being refreshed or altered', source_own_locked.name),
		HINT = 'Try again later, or leave out nowait to wait for it.';
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_own_locked(text, boolean) IS 'the same, locked against refresh, alter_source and forget_customer until the end of the transaction';

CREATE FUNCTION crm_profile.alter_source(
	name text,
	customers text DEFAULT NULL,
	orders text DEFAULT NULL,
	customer_key text DEFAULT NULL,
	order_customer text DEFAULT NULL,
	ordered_at text DEFAULT NULL,
	amount text DEFAULT NULL,
	cost text DEFAULT NULL,
	order_key text DEFAULT NULL,
	order_filter text DEFAULT NULL,
	amount_scale integer DEFAULT NULL,
	time_zone text DEFAULT NULL,
	attributes text[] DEFAULT NULL,
	interactions text DEFAULT NULL,
	interaction_customer text DEFAULT NULL,
	interacted_at text DEFAULT NULL,
	prospects text DEFAULT NULL,
	prospect_key text DEFAULT NULL,
	prospect_customer text DEFAULT NULL,
	best text DEFAULT NULL,
	scheme text DEFAULT NULL,
	bins integer DEFAULT NULL,
	period interval DEFAULT NULL,
	as_of date DEFAULT NULL,
	active_days integer DEFAULT NULL,
	tier_by text DEFAULT NULL,
	clv_model text DEFAULT NULL,
	materialize boolean DEFAULT NULL,
	reset text[] DEFAULT '{}',
	search_path name[] DEFAULT pg_catalog.current_schemas(false),
	order_lines text DEFAULT NULL,
	line_order text DEFAULT NULL,
	line_product text DEFAULT NULL,
	line_category text DEFAULT NULL,
	payments text DEFAULT NULL,
	campaigns text DEFAULT NULL)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	old crm_profile.source := crm_profile_internal.source_own_locked(alter_source.name);
	src crm_profile.source := old;
	resettable CONSTANT text[] := '{customer_key,order_customer,ordered_at,amount,cost,order_key,order_filter,amount_scale,attributes,interactions,interaction_customer,interacted_at,prospects,prospect_key,prospect_customer,best,bins,period,as_of,active_days}';
	wrong text;
	learnt boolean;
BEGIN
	SELECT r INTO wrong FROM unnest(alter_source.reset) r WHERE r <> ALL (resettable);
	IF wrong IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error('reset', format('"%s" is nothing that can be left out', wrong), format('These can: %s.', array_to_string(resettable, ', ')), NULL);
	END IF;
	PERFORM crm_profile_internal.source_reserved('order_lines', alter_source.order_lines, 'line_order', alter_source.line_order, 'line_product', alter_source.line_product,
		'line_category', alter_source.line_category, 'payments', alter_source.payments, 'campaigns', alter_source.campaigns);
	-- the columns of another table are others
	IF 'prospects' = ANY (alter_source.reset) OR alter_source.prospects IS NOT NULL THEN
		reset := alter_source.reset || '{prospect_key,prospect_customer}';
	END IF;
	IF cardinality(alter_source.reset) > 0 THEN
		src := jsonb_populate_record(src, (SELECT jsonb_object_agg(r, NULL) FROM unnest(alter_source.reset) r));
	END IF;
	src.customers := coalesce(alter_source.customers, src.customers);
	src.orders := coalesce(alter_source.orders, src.orders);
	src.customer_key := coalesce(alter_source.customer_key, src.customer_key);
	src.order_customer := coalesce(alter_source.order_customer, src.order_customer);
	src.ordered_at := coalesce(alter_source.ordered_at, src.ordered_at);
	src.amount := coalesce(alter_source.amount, src.amount);
	src.cost := coalesce(alter_source.cost, src.cost);
	src.order_key := coalesce(alter_source.order_key, src.order_key);
	src.order_filter := coalesce(alter_source.order_filter, src.order_filter);
	src.amount_scale := coalesce(alter_source.amount_scale, src.amount_scale);
	src.time_zone := coalesce(alter_source.time_zone, src.time_zone);
	src.attributes := coalesce(alter_source.attributes, src.attributes);
	src.interactions := coalesce(alter_source.interactions, src.interactions);
	src.interaction_customer := coalesce(alter_source.interaction_customer, src.interaction_customer);
	src.interacted_at := coalesce(alter_source.interacted_at, src.interacted_at);
	src.prospects := coalesce(alter_source.prospects, src.prospects);
	src.prospect_key := coalesce(alter_source.prospect_key, src.prospect_key);
	src.prospect_customer := coalesce(alter_source.prospect_customer, src.prospect_customer);
	src.best := coalesce(alter_source.best, src.best);
	src.scheme := coalesce(alter_source.scheme, src.scheme);
	src.bins := coalesce(alter_source.bins, CASE WHEN alter_source.scheme IS NULL THEN src.bins END);
	src.period := coalesce(alter_source.period, src.period);
	src.as_of := coalesce(alter_source.as_of, src.as_of);
	src.active_days := coalesce(alter_source.active_days, src.active_days);
	src.tier_by := coalesce(alter_source.tier_by, src.tier_by);
	src.clv_model := coalesce(alter_source.clv_model, src.clv_model);
	src.materialize := coalesce(alter_source.materialize, src.materialize);
	-- new names are the caller's; those that stay are looked up as they were
	SELECT array_agg(p ORDER BY n) INTO src.search_path
		FROM (SELECT p, min(n) AS n FROM unnest(old.search_path || alter_source.search_path) WITH ORDINALITY u(p, n) GROUP BY p) u;

	src := crm_profile_internal.source_resolve(src);
	IF src.key_type <> old.key_type THEN
		PERFORM crm_profile_internal.source_argument_error('customer_key', format('the key would have type %s, so far it has %s', src.key_type, old.key_type),
			'The views of a source keep the types of their columns.', 'Drop the source and create it anew.');
	END IF;
	IF src.prospect_key_type <> old.prospect_key_type THEN
		PERFORM crm_profile_internal.source_argument_error('prospect_key', format('the key would have type %s, so far it has %s', src.prospect_key_type, old.prospect_key_type),
			'The views of a source keep the types of their columns.', 'Take the prospects away first, with reset => ''{prospects}''.');
	END IF;
	-- whether the models of attributes go on being right
	learnt := src.customer_query IS NOT DISTINCT FROM old.customer_query AND (src.prospects IS NULL) = (old.prospects IS NULL);
	UPDATE crm_profile.source s SET customers = src.customers, customer_key = src.customer_key, orders = src.orders, order_customer = src.order_customer,
			ordered_at = src.ordered_at, amount = src.amount, cost = src.cost, order_key = src.order_key,
			order_filter = src.order_filter, amount_scale = src.amount_scale, time_zone = src.time_zone, attributes = src.attributes,
			interactions = src.interactions, interaction_customer = src.interaction_customer, interacted_at = src.interacted_at,
			prospects = src.prospects, prospect_key = src.prospect_key, prospect_key_type = src.prospect_key_type, prospect_customer = src.prospect_customer,
			best = src.best, customer_query = src.customer_query, prospect_query = src.prospect_query,
			best_customers = CASE WHEN learnt THEN s.best_customers END, other_customers = CASE WHEN learnt THEN s.other_customers END,
			scheme = src.scheme, bins = src.bins, period = src.period, as_of = src.as_of, active_days = src.active_days,
			tier_by = src.tier_by, clv_model = src.clv_model, materialize = src.materialize, search_path = src.search_path, orders_query = src.orders_query
		WHERE s.name = src.name;
	PERFORM crm_profile_internal.source_admit(src, 'customer_history');
	PERFORM crm_profile_internal.source_build_views(src);
	src := crm_profile_internal.source_resolve_best(src);
	UPDATE crm_profile.source s SET best_query = src.best_query WHERE s.name = src.name;
	IF NOT learnt THEN
		-- models of other attributes cannot read these
		PERFORM crm_profile_internal.source_keep_match(src, clock_timestamp(), NULL, NULL);
	END IF;
	IF src.materialize THEN
		PERFORM crm_profile_internal.source_admit(src, 'stored_profile');
		PERFORM crm_profile_internal.refresh_profiles(src, coalesce(src.as_of, (CURRENT_TIMESTAMP AT TIME ZONE src.time_zone)::date), false);
	END IF;
	RAISE NOTICE 'the change takes full effect with the next refresh' USING HINT = format('SELECT * FROM crm_profile.refresh(%L)', src.name);
END $$;
COMMENT ON FUNCTION crm_profile.alter_source IS
	'changes the arguments that are given; those listed in reset go back to what create_source() does without them';

CREATE FUNCTION crm_profile.drop_source(name text, "cascade" boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
	src crm_profile.source := crm_profile_internal.source_of(name);
	object text;
BEGIN
	FOREACH object IN ARRAY ARRAY['VIEW IF EXISTS %I.prospect_match', 'VIEW IF EXISTS %I.segment_persona',
			'VIEW IF EXISTS %I.segment_migration', 'FUNCTION IF EXISTS %I.segment_migration(date, date, boolean)',
			'FUNCTION IF EXISTS %I.profile_as_of(date)', 'VIEW IF EXISTS %I.model_card', 'VIEW IF EXISTS %I.model_holdout', 'VIEW IF EXISTS %I.purchase_calendar', 'VIEW IF EXISTS %I.rfm_grid',
			'VIEW IF EXISTS %I.segment_summary', 'VIEW IF EXISTS %I.customer_profile', 'TABLE IF EXISTS %I.stored_profile',
			'TABLE IF EXISTS %I.model', 'TABLE IF EXISTS %I.customer_history'] LOOP
		EXECUTE format('DROP ' || object, src.schema) || CASE WHEN "cascade" THEN ' CASCADE' ELSE '' END;
	END LOOP;
	IF src.schema_created THEN
		EXECUTE format('DROP SCHEMA IF EXISTS %I', src.schema) || CASE WHEN "cascade" THEN ' CASCADE' ELSE '' END;
	END IF;
	DELETE FROM crm_profile.source s WHERE s.name = src.name;
END $$;
COMMENT ON FUNCTION crm_profile.drop_source(text, boolean) IS
	'drops a source with its tables and views, and its schema if create_source() made it; cascade: what others built on them, too';

CREATE FUNCTION crm_profile.explain_source(name text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src crm_profile.source := crm_profile_internal.source_of(name);
	shards record := crm_profile_internal.source_shards(src);
	road text := '';
BEGIN
	IF shards.orders IS NOT NULL THEN
		road := format(E'-- Citus distributes %s: the workers make %s, nothing else leaves them\n', shards.orders,
			CASE WHEN shards.whole THEN 'the histories' ELSE 'parts of the histories, which are merged here' END);
	END IF;
	RETURN format(E'-- refresh runs as %s, with TimeZone %L:\n%s%s;\n\n-- customer_profile:\n%s;', src.owner, src.time_zone, road,
		coalesce(crm_profile_internal.source_history_query(src), src.orders_query), crm_profile_internal.source_profile_query(src, crm_profile_internal.source_today(src)))
		|| CASE WHEN src.prospects IS NULL THEN '' ELSE
			format(E'\n\n-- the best customers:\n%s;\n\n-- prospect_match:\n%s;', src.best_query, crm_profile_internal.source_match_query(src)) END;
END $$;
COMMENT ON FUNCTION crm_profile.explain_source(text) IS 'the SQL of a source: the query of orders that a refresh runs, and those of customer_profile and prospect_match';
