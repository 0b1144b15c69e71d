-- Tables whose rows are on other machines
--
-- Once a query reads a table that Citus distributes, Citus plans all of it, and refuses much: correlated subqueries,
-- parameters in SQL functions, policies on local tables. So everything of a source reads such a table through a view in
-- its schema, whose rows come from a function that runs a query of its own, over that table alone.

CREATE FUNCTION crm_profile_internal.rows_elsewhere(example anyelement, query text DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- the rows of a table, read by a query of its own with the rights of the current user; example: a NULL of the table's row type; query: a query of some of its columns, NULL: all

-- A policy compares each row with what its subquery returns: with all of it one by one if the planner expects more than
-- a hash table may hold. So this one is expected to return few rows.
CREATE FUNCTION crm_profile_internal.keys_elsewhere(example anyelement, query text DEFAULT NULL) RETURNS SETOF anyelement
	AS 'MODULE_PATHNAME', 'rows_elsewhere' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 1000 SUPPORT crm_profile_internal.row_stream_support; -- rows_elsewhere() for policies

CREATE FUNCTION crm_profile_internal.is_elsewhere(relations oid[]) RETURNS boolean
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found boolean := false;
BEGIN
	IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
		EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition p WHERE p.logicalrelid = ANY ($1))' INTO found USING relations;
	END IF;
	RETURN found;
END $$;
COMMENT ON FUNCTION crm_profile_internal.is_elsewhere(oid[]) IS 'whether one of these tables is managed by Citus: distributed, a reference table, or local in its metadata';

CREATE FUNCTION crm_profile_internal.is_elsewhere(relation oid) RETURNS boolean
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')
		AND crm_profile_internal.is_elsewhere((crm_profile_internal.describe_query(format('SELECT * FROM %s', relation::regclass))).relations);
END $$;
COMMENT ON FUNCTION crm_profile_internal.is_elsewhere(oid) IS 'the same for a table, or the tables behind a view';

CREATE FUNCTION crm_profile_internal.source_localized(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.elsewhere IS NULL THEN src
		ELSE jsonb_populate_record(src, (SELECT jsonb_object_agg(e.key, e.value ->> 'here') FROM jsonb_each(src.elsewhere) e)) END;
COMMENT ON FUNCTION crm_profile_internal.source_localized IS 'a definition as it is stored, with the views of tables elsewhere in place of these tables';

CREATE FUNCTION crm_profile_internal.source_as_given(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN src.elsewhere IS NULL THEN src
		ELSE jsonb_populate_record(src, (SELECT coalesce(jsonb_object_agg(e.key, e.value ->> 'given'), '{}') FROM jsonb_each(src.elsewhere) e WHERE e.value ->> 'here' = to_jsonb(src) ->> e.key)) END;
COMMENT ON FUNCTION crm_profile_internal.source_as_given IS 'the reverse of source_localized()';

CREATE FUNCTION crm_profile_internal.source_create_here(src crm_profile.source_definition, view text, relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	described record;
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_invoker = true) AS SELECT r.* FROM crm_profile_internal.rows_elsewhere(NULL::%s) r', src.name, view, relation);
	-- it shows what the reader may read of the table
	EXECUTE format('GRANT SELECT ON %I.%I TO PUBLIC', src.name, view);
	EXECUTE format('COMMENT ON VIEW %I.%I IS %L', src.name, view, format('the rows of %s, which are on other machines: what the views of the source read', relation));
	FOR described IN SELECT a.attname, col_description(relation, t.attnum) AS comment FROM pg_attribute a JOIN pg_attribute t ON t.attrelid = relation AND t.attname = a.attname
			WHERE a.attrelid = format('%I.%I', src.name, view)::regclass AND a.attnum > 0 AND NOT a.attisdropped LOOP
		EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', src.name, view, described.attname, coalesce(described.comment, 'as there'));
	END LOOP;
END $$; -- creates the view that a source reads in place of a table elsewhere

CREATE FUNCTION crm_profile_internal.source_bring(src crm_profile.source_definition, argument text, relation oid) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	given CONSTANT text := to_jsonb(src) ->> argument;
	query CONSTANT text := CASE WHEN relation = to_regclass(format('%I.orders_elsewhere', src.name)) THEN given END;
	view text;
BEGIN
	IF NOT crm_profile_internal.is_elsewhere(relation) THEN
		RETURN src;
	ELSIF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = current_user) THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('%s is on other machines, and %s may not log in', CASE WHEN query IS NULL THEN given ELSE 'the query' END, quote_ident(current_user)),
			'Citus connects to them as the owner of the source.', format('ALTER ROLE %I LOGIN, and let the workers admit it (pg_hba.conf); it needs no password there if they trust the coordinator. Or SET ROLE to somebody who may.', current_user));
	END IF;
	-- a table that two arguments name has one view, and so has one that is described anew
	SELECT n.name INTO view FROM (SELECT CASE WHEN query IS NULL THEN c.relname::text ELSE 'orders' END AS name, c.reltype FROM pg_class c WHERE c.oid = relation) t,
			LATERAL (VALUES (1, t.name), (2, t.name || '_here'), (3, t.name || '_from_elsewhere')) n(place, name)
		WHERE NOT EXISTS (SELECT FROM crm_profile_internal.source_objects(jsonb_populate_record(src, '{"elsewhere": null}')) o WHERE o.name = n.name)
			AND (to_regclass(format('%I.%I', src.name, n.name)) IS NULL
				OR EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
					WHERE w.ev_class = to_regclass(format('%I.%I', src.name, n.name)) AND d.refclassid = 'pg_type'::regclass AND d.refobjid = t.reltype)) ORDER BY n.place LIMIT 1;
	IF view IS NULL THEN
		PERFORM crm_profile_internal.source_argument_error(argument, format('the schema has no name left for a view of %s', given), NULL, 'Take another name for the source.');
	END IF;
	PERFORM crm_profile_internal.source_create_here(src, view, relation);
	src.elsewhere := coalesce(src.elsewhere, '{}') || jsonb_build_object(argument, jsonb_strip_nulls(jsonb_build_object('given', given, 'here', format('%I.%I', src.name, view), 'view', view, 'query', query)));
	RETURN crm_profile_internal.source_localized(src);
END $$; -- part of source_resolve(): if the relation of an argument is elsewhere, a view takes its place

CREATE FUNCTION crm_profile_internal.source_build_elsewhere(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing record;
BEGIN
	FOR missing IN SELECT e.key AS argument, e.value ->> 'given' AS given, e.value ->> 'view' AS view, e.value ->> 'query' AS query FROM jsonb_each(src.elsewhere) e WHERE to_regclass(e.value ->> 'here') IS NULL LOOP
		IF missing.query IS NOT NULL AND to_regclass(format('%I.orders_elsewhere', src.name)) IS NULL THEN
			PERFORM crm_profile_internal.source_orders_elsewhere(src.name, missing.query, crm_profile_internal.source_path(src.search_path));
		END IF;
		PERFORM crm_profile_internal.source_create_here(src, missing.view, (CASE WHEN missing.query IS NULL THEN missing.given ELSE format('%I.orders_elsewhere', src.name) END)::regclass);
	END LOOP;
END $$; -- creates those views of tables elsewhere that were dropped with their tables

CREATE FUNCTION crm_profile_internal.source_orders_elsewhere(schema text, query text, path text) RETURNS oid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM set_config('search_path', path, true);
	EXECUTE pg_catalog.format('CREATE OR REPLACE VIEW %I.orders_elsewhere WITH (security_invoker = true) AS SELECT * FROM (%s) AS orders', schema, query);
	EXECUTE pg_catalog.format('GRANT SELECT ON %I.orders_elsewhere TO PUBLIC', schema);
	EXECUTE pg_catalog.format('COMMENT ON VIEW %I.orders_elsewhere IS ''the query of orders, over tables that are on other machines''', schema);
	RETURN pg_catalog.format('%I.orders_elsewhere', schema)::pg_catalog.regclass;
END $$; -- the view of a query of orders that are elsewhere; path: where its names are looked up

CREATE FUNCTION crm_profile_internal.source_check_elsewhere(src crm_profile.source_definition, orders_sql text, path text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	part record;
	found text;
BEGIN
	FOR part IN SELECT p.argument, p.expression FROM (VALUES (1, 'orders', '1'), (2, 'order_customer', src.order_customer), (3, 'ordered_at', src.ordered_at), (4, 'amount', src.amount), (5, 'cost', src.cost),
				(6, 'order_key', src.order_key), (7, 'order_filter', src.order_filter)) p(place, argument, expression) WHERE p.expression IS NOT NULL ORDER BY p.place LOOP
		PERFORM set_config('search_path', path, true);
		found := (crm_profile_internal.describe_query(pg_catalog.format('SELECT %s FROM %s', part.expression, orders_sql))).mutable;
		PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
		IF found IS NOT NULL THEN
			PERFORM crm_profile_internal.source_argument_error(part.argument, format('over a table that Citus distributes it must not depend on %s', found),
				format('The workers have settings of their own, such as TimeZone and DateStyle, so that %s would not be the same there.', CASE WHEN part.argument = 'ordered_at' THEN 'days' ELSE 'values' END),
				CASE WHEN part.argument = 'ordered_at' THEN format('Name the column, and leave the time zone to the source (ordered_at => ''sold_at''), or write (sold_at AT TIME ZONE %L)::date.', src.time_zone)
					ELSE 'Write it with immutable functions alone: what depends on a setting has to say which.' END);
		END IF;
	END LOOP;
END $$; -- an error unless the expressions over orders that are elsewhere have the same values on every machine
