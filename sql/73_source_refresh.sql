-- refresh

CREATE FUNCTION crm_profile.store_purchase_histories(key anyelement, query text, target regclass) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION crm_profile.store_purchase_histories(anyelement, text, regclass) IS
	'collect_purchase_histories() straight into a new table (customer, history) without index, trigger or constraint; returns the number of histories';

CREATE FUNCTION crm_profile.refresh_histories(src crm_profile.source, verbose boolean, OUT written bigint, OUT removed bigint, OUT seconds double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	PERFORM set_config('timezone', src.time_zone, true);
	-- the index comes with the first refresh, at its end: that is faster, and readers are not in the way
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = format('%I.customer_history', src.schema)::regclass) THEN
		EXECUTE crm_profile.source_expand('SELECT crm_profile.store_purchase_histories(NULL::{key_type}, $1, $2)', src) INTO written
			USING src.orders_query, format('%I.customer_history', src.schema)::regclass;
		removed := 0;
		EXECUTE format('CREATE UNIQUE INDEX customer_history_key ON %I.customer_history (customer)', src.schema);
		EXECUTE format('ANALYZE %I.customer_history', src.schema);
	ELSE
		EXECUTE crm_profile.source_expand('WITH difference AS MATERIALIZED (
				SELECT coalesce(n.customer, o.customer) AS customer, n.history
				FROM crm_profile.collect_purchase_histories(NULL::{key_type}, $1) n FULL JOIN {schema}.customer_history o ON o.customer = n.customer
				WHERE n.history IS NULL OR o.history IS NULL OR n.history OPERATOR(crm_profile.<>) o.history),
			gone AS (DELETE FROM {schema}.customer_history o USING difference d WHERE o.customer = d.customer AND d.history IS NULL RETURNING 1),
			changed AS (INSERT INTO {schema}.customer_history SELECT customer, history FROM difference WHERE history IS NOT NULL
				ON CONFLICT (customer) DO UPDATE SET history = excluded.history RETURNING 1)
			SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)', src)
			INTO written, removed USING src.orders_query;
	END IF;
	seconds := extract(epoch FROM clock_timestamp() - started);
	IF "verbose" THEN
		RAISE INFO 'source "%": histories collected and compared in % s, % written, % removed', src.name, round(seconds::numeric, 1), written, removed;
	END IF;
END $$;
COMMENT ON FUNCTION crm_profile.refresh_histories(crm_profile.source, boolean) IS 'first part of a refresh: collects the histories and writes those that differ';

CREATE FUNCTION crm_profile.refresh_models(src crm_profile.source, today date, started timestamptz, verbose boolean, OUT norms crm_profile.customer_norms, OUT seconds double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	began timestamptz := clock_timestamp();
	fitted record;
BEGIN
	EXECUTE crm_profile.source_expand('SELECT crm_profile.rfm_fit(history, $1, {bins}, {period}) AS rfm, crm_profile.customer_norms_fit(history, $1, {period}, $2) AS norms
		FROM {schema}.customer_history', src) INTO fitted USING today, src.tier_by = 'profit';
	norms := fitted.norms;
	-- what is as it was is not written again
	EXECUTE crm_profile.source_expand('INSERT INTO {schema}.model (fitted_at, as_of, rfm, scheme, segments, active_days, a_from, b_from)
		SELECT n.* FROM (SELECT $1, $2, $3, {scheme}::text, crm_profile.compile_scheme({scheme}), coalesce($4, ($5).active_days, 90), ($5).a_from, ($5).b_from)
			n (fitted_at, as_of, rfm, scheme, segments, active_days, a_from, b_from)
		WHERE NOT EXISTS (SELECT FROM (SELECT * FROM {schema}.model ORDER BY id DESC LIMIT 1) o
			WHERE ROW(o.as_of, o.rfm, o.scheme, o.segments, o.active_days, o.a_from, o.b_from)::text
				= ROW(n.as_of, n.rfm, n.scheme, n.segments, n.active_days, n.a_from, n.b_from)::text)', src)
		USING started, today, fitted.rfm, src.active_days, norms;
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": models fitted to % customers in % s', src.name, coalesce((norms).customers, 0), round(seconds::numeric, 1);
	END IF;
END $$;
COMMENT ON FUNCTION crm_profile.refresh_models(crm_profile.source, date, timestamptz, boolean) IS 'second part of a refresh: fits the models and keeps them';

CREATE FUNCTION crm_profile.refresh_profiles(src crm_profile.source, today date, verbose boolean) RETURNS double precision
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	began timestamptz := clock_timestamp();
	columns text;
	seconds double precision;
BEGIN
	SELECT string_agg(quote_ident(attname) || ' = excluded.' || quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
		WHERE attrelid = format('%I.stored_profile', src.schema)::regclass AND attnum > 0 AND NOT attisdropped;
	EXECUTE crm_profile.source_expand('WITH fresh AS MATERIALIZED (SELECT p.* FROM {schema}.profile_as_of($1) p),
		gone AS (DELETE FROM {schema}.stored_profile o WHERE NOT EXISTS (SELECT FROM fresh n WHERE n.customer = o.customer))
		INSERT INTO {schema}.stored_profile SELECT n.* FROM fresh n LEFT JOIN {schema}.stored_profile was ON was.customer = n.customer
			WHERE was.customer IS NULL OR ROW(n.*) IS DISTINCT FROM ROW(was.*)
		ON CONFLICT (customer) DO UPDATE SET ' || columns, src) USING today;
	EXECUTE format('ANALYZE %I.stored_profile', src.schema);
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": profiles written in % s', src.name, round(seconds::numeric, 1);
	END IF;
	RETURN seconds;
END $$;
COMMENT ON FUNCTION crm_profile.refresh_profiles(crm_profile.source, date, boolean) IS 'third part of a refresh, where profiles are materialized: writes those that differ; returns seconds';

CREATE FUNCTION crm_profile.refresh_as_owner(name text, "nowait" boolean, verbose boolean,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint,
	OUT collect_seconds double precision, OUT fit_seconds double precision, OUT profile_seconds double precision,
	OUT match_seconds double precision)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src crm_profile.source := crm_profile.source_own_locked(refresh_as_owner.name, "nowait");
	found_norms crm_profile.customer_norms;
	matched record;
	started timestamptz;
	today date;
BEGIN
	started := clock_timestamp();
	today := coalesce(src.as_of, (started AT TIME ZONE src.time_zone)::date);

	SELECT h.written, h.removed, h.seconds INTO customers_written, customers_removed, collect_seconds FROM crm_profile.refresh_histories(src, "verbose") h;
	SELECT (m.norms).* INTO found_norms FROM crm_profile.refresh_models(src, today, started, "verbose") m;
	fit_seconds := extract(epoch FROM clock_timestamp() - started) - collect_seconds;
	IF src.materialize THEN
		profile_seconds := crm_profile.refresh_profiles(src, today, "verbose");
	END IF;
	SELECT m.* INTO matched FROM crm_profile.refresh_matches(src, started, "verbose") m;
	match_seconds := matched.seconds;
	orders := coalesce(found_norms.orders, 0);
	customers := coalesce(found_norms.customers, 0);
	UPDATE crm_profile.source s SET last_refresh = started, refresh_seconds = extract(epoch FROM clock_timestamp() - started), norms = found_norms,
			best_customers = matched.best, other_customers = matched.others
		WHERE s.name = src.name;
	RETURN NEXT;
END $$;
COMMENT ON FUNCTION crm_profile.refresh_as_owner(text, boolean, boolean) IS 'what refresh() does once it is the owner';

CREATE FUNCTION crm_profile.refresh(name text, "nowait" boolean DEFAULT false, verbose boolean DEFAULT false,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint,
	OUT collect_seconds double precision, OUT fit_seconds double precision, OUT profile_seconds double precision,
	OUT match_seconds double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1;
COMMENT ON FUNCTION crm_profile.refresh(text, boolean, boolean) IS
	'reads the orders of a source and writes the histories that differ, fits the models, all as the owner of the source and in one transaction; nowait: an error if a refresh is under way';
