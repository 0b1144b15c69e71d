-- refresh

---------------------------------------------------------------- from orders to histories

CREATE FUNCTION crm_profile_internal.store_purchase_histories(key anyelement, query text, target regclass, progress text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION crm_profile_internal.store_purchase_histories(anyelement, text, regclass, text) IS
	'collect_purchase_histories() straight into a new table (customer, history) without index, trigger or constraint; returns the number of histories';

CREATE FUNCTION crm_profile_internal.describe_query(query text, OUT relations oid[], OUT column_types oid[])
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION crm_profile_internal.describe_query(text) IS
	'the relations that a query reads, views and the tables behind them, and the base types of its columns; the query is not run';

CREATE FUNCTION crm_profile_internal.source_shards(src crm_profile.source, OUT orders text, OUT whole boolean)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
		RETURN;
	END IF;
	-- a catalogue that only Citus has
	EXECUTE 'SELECT string_agg(format(''%s by %I'', p.logicalrelid, a.attname), '', '' ORDER BY p.logicalrelid::text),
			bool_and(quote_ident(a.attname) = $2 AND format_type(a.atttypid, -1) = $3)
		FROM pg_dist_partition p JOIN pg_attribute a ON a.attrelid = p.logicalrelid AND a.attname = column_to_column_name(p.logicalrelid, p.partkey)
		WHERE p.partmethod = ''h'' AND p.logicalrelid = ANY ($1)'
		INTO orders, whole USING (crm_profile_internal.describe_query(src.orders_query)).relations, src.order_customer, src.key_type;
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_shards(crm_profile.source) IS
	'the order tables that Citus distributes, and by what; whole: by the customer, as the source has it; NULL: none is distributed';

CREATE FUNCTION crm_profile_internal.source_aggregate_query(src crm_profile.source) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- all that a worker needs is in the query: the settings of this session do not get there
	day CONSTANT text := CASE (crm_profile_internal.describe_query(src.orders_query)).column_types[2]
		WHEN 'timestamptz'::regtype THEN format('(o.ordered_at AT TIME ZONE %L)::date', src.time_zone) ELSE 'o.ordered_at::date' END;
	template text;
BEGIN
	IF src.order_key IS NULL THEN
		template := 'SELECT o.customer, crm_profile.purchase_history_agg({day}, o.amount::numeric{cost}) AS history
FROM ({orders_query}) o
WHERE o.customer IS NOT NULL AND o.ordered_at IS NOT NULL AND o.amount IS NOT NULL
GROUP BY o.customer';
	ELSE
		-- loose: lines without an order key are orders of their own
		template := 'SELECT l.customer, coalesce(crm_profile.purchase_history_agg(l.day, l.amount), ''{}'')
		OPERATOR(crm_profile.||) coalesce(crm_profile.purchase_history_merge_agg(l.loose), ''{}''){covered} AS history
FROM (SELECT o.customer, min({day}) AS day,
		CASE WHEN o.order_key IS NOT NULL THEN sum(o.amount::numeric) END AS amount,{sums}
		CASE WHEN o.order_key IS NULL THEN crm_profile.purchase_history_agg({day}, o.amount::numeric{cost}) END AS loose
	FROM ({orders_query}) o
	WHERE o.customer IS NOT NULL AND o.ordered_at IS NOT NULL AND o.amount IS NOT NULL
	GROUP BY o.customer, o.order_key) l
GROUP BY l.customer';
		-- costs that only some lines of an order have: merged with the amount they cover, and the amount taken away again
		template := replace(template, '{covered}', CASE WHEN src.cost IS NULL THEN '' ELSE '
		OPERATOR(crm_profile.||) coalesce(crm_profile.purchase_history_agg(l.day, l.covered, l.cost), ''{}'')
		OPERATOR(crm_profile.-) coalesce(crm_profile.purchase_history_agg(l.day, l.covered), ''{}'')' END);
		template := replace(template, '{sums}', CASE WHEN src.cost IS NULL THEN '' ELSE '
		CASE WHEN o.order_key IS NOT NULL THEN sum(o.amount::numeric) FILTER (WHERE o.cost IS NOT NULL) END AS covered,
		CASE WHEN o.order_key IS NOT NULL THEN sum(o.cost::numeric) END AS cost,' END);
	END IF;
	template := replace(replace(template, '{day}', day), '{cost}', CASE WHEN src.cost IS NULL THEN '' ELSE ', o.cost::numeric' END);
	RETURN replace(template, '{orders_query}', src.orders_query);
END $$;
COMMENT ON FUNCTION crm_profile_internal.source_aggregate_query(crm_profile.source) IS
	'one query (customer, history) by aggregates that split, with the same result as collect_purchase_histories() over the orders of the source';

CREATE FUNCTION crm_profile_internal.source_history_query(src crm_profile.source) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN (crm_profile_internal.source_shards(src)).orders IS NOT NULL THEN crm_profile_internal.source_aggregate_query(src) END;
COMMENT ON FUNCTION crm_profile_internal.source_history_query(crm_profile.source) IS
	'where the orders lie on other machines, the query that makes the histories there; NULL: the orders are collected here';

CREATE FUNCTION crm_profile_internal.run_history_query(key anyelement, query text, OUT customer anyelement, OUT history crm_profile.purchase_history)
	RETURNS SETOF record
	LANGUAGE plpgsql ROWS 100000 COST 1000000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- on its own: what else is in the refresh shall not keep Citus from handing it on
	RETURN QUERY EXECUTE query;
END $$;
COMMENT ON FUNCTION crm_profile_internal.run_history_query(anyelement, text) IS 'the rows (customer, history) of a query; the first argument is a NULL of the customers'' type';

---------------------------------------------------------------- the parts of a refresh

CREATE FUNCTION crm_profile_internal.refresh_progress(source text, done bigint, what text, seconds double precision) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE INFO 'source "%": % % in % s, % customers/s', source, done, what, round(seconds::numeric, 1), round(done / greatest(seconds, 0.000001));
END $$;
COMMENT ON FUNCTION crm_profile_internal.refresh_progress(text, bigint, text, double precision) IS 'one line of refresh(verbose => true), in the form of those from collect_purchase_histories()';

CREATE FUNCTION crm_profile_internal.refresh_histories(src crm_profile.source, verbose boolean, OUT written bigint, OUT removed bigint, OUT seconds double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	started timestamptz := clock_timestamp();
	stored timestamptz;
	histories text := crm_profile_internal.source_history_query(src);
	progress text := CASE WHEN "verbose" THEN format('source "%s"', src.name) END;
	new_histories text := 'crm_profile_internal.run_history_query(NULL::{key_type}, $1)';
BEGIN
	PERFORM set_config('timezone', src.time_zone, true);
	IF histories IS NULL THEN
		new_histories := 'crm_profile.collect_purchase_histories(NULL::{key_type}, $1, $2)';
	END IF;
	-- the index comes with the first refresh, at its end: that is faster, and readers are not in the way
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = format('%I.customer_history', src.schema)::regclass) THEN
		IF histories IS NULL THEN
			EXECUTE crm_profile_internal.source_expand('SELECT crm_profile_internal.store_purchase_histories(NULL::{key_type}, $1, $2, $3)', src) INTO written
				USING src.orders_query, format('%I.customer_history', src.schema)::regclass, progress;
		ELSE
			EXECUTE crm_profile_internal.source_expand('INSERT INTO {schema}.customer_history SELECT n.customer, n.history FROM ' || new_histories || ' n', src) USING histories;
			GET DIAGNOSTICS written = ROW_COUNT;
		END IF;
		removed := 0;
		stored := clock_timestamp();
		EXECUTE format('CREATE UNIQUE INDEX customer_history_key ON %I.customer_history (customer)', src.schema);
		EXECUTE format('ANALYZE %I.customer_history', src.schema);
		IF "verbose" THEN
			PERFORM crm_profile_internal.refresh_progress(src.name, written, 'histories indexed', extract(epoch FROM clock_timestamp() - stored));
		END IF;
	ELSE
		EXECUTE crm_profile_internal.source_expand('WITH difference AS MATERIALIZED (
				SELECT coalesce(n.customer, o.customer) AS customer, n.history
				FROM ' || new_histories || ' n FULL JOIN {schema}.customer_history o ON o.customer = n.customer
				WHERE n.history IS NULL OR o.history IS NULL OR n.history OPERATOR(crm_profile.<>) o.history),
			gone AS (DELETE FROM {schema}.customer_history o USING difference d WHERE o.customer = d.customer AND d.history IS NULL RETURNING 1),
			changed AS (INSERT INTO {schema}.customer_history SELECT customer, history FROM difference WHERE history IS NOT NULL
				ON CONFLICT (customer) DO UPDATE SET history = excluded.history RETURNING 1)
			SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)', src)
			INTO written, removed USING coalesce(histories, src.orders_query), progress;
	END IF;
	seconds := round(extract(epoch FROM clock_timestamp() - started), 3);
	IF "verbose" THEN
		RAISE INFO 'source "%": % histories written, % removed, in % s', src.name, written, removed, round(seconds::numeric, 1);
	END IF;
END $$;
COMMENT ON FUNCTION crm_profile_internal.refresh_histories(crm_profile.source, boolean) IS 'first part of a refresh: collects the histories and writes those that differ';

CREATE FUNCTION crm_profile_internal.in_sample(key text, share double precision) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION crm_profile_internal.in_sample(text, double precision) IS
	'whether the key is in a sample of that share of all keys: the same on every machine, and a larger share has all of a smaller one';

CREATE FUNCTION crm_profile_internal.refresh_models(src crm_profile.source, today date, started timestamptz, verbose boolean, OUT norms crm_profile.customer_norms,
	OUT clv_seconds double precision, OUT rhythm_seconds double precision, OUT holdout_seconds double precision, OUT clv_status text, OUT rhythm_status text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	-- how a fit ended is in the model, and told by refresh() and model_card: it is no WARNING every night
	SET client_min_messages = error AS $$
DECLARE
	most_fitted CONSTANT double precision := 250000;
	most_tested CONSTANT double precision := 100000;
	holdout_days CONSTANT integer := 90;
	basis CONSTANT text := CASE src.tier_by WHEN 'profit' THEN 'profit' ELSE 'revenue' END;
	began timestamptz := clock_timestamp();
	seconds double precision;
	new record;
	rfm crm_profile.rfm_model;
	clv crm_profile.clv_model;
	predicted crm_profile.value_tiers;
	rhythm crm_profile.rhythm_model;
	fit_share double precision;
	holdout crm_profile.clv_holdout_line[];
	holdout_fit_until date;
	holdout_until date;
	holdout_share double precision;
	sample CONSTANT text := ' WHERE $2 = 1 OR crm_profile_internal.in_sample(customer::text, $2)';
BEGIN
	EXECUTE crm_profile_internal.source_expand('SELECT crm_profile.rfm_fit(history, $1, {bins}, {period}) AS rfm, crm_profile.customer_norms_fit(history, $1, {period}, $2) AS norms
		FROM {schema}.customer_history', src) INTO new USING today, src.tier_by = 'profit';
	rfm := new.rfm;
	norms := new.norms;
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": thresholds of % customers found in % s', src.name, coalesce((norms).customers, 0), round(seconds::numeric, 1);
	END IF;

	began := clock_timestamp();
	fit_share := least(1, most_fitted / greatest((norms).customers, 1));
	EXECUTE crm_profile_internal.source_expand('SELECT crm_profile.clv_fit(history, $1, $3, NULL, $4) FROM {schema}.customer_history' || sample, src)
		INTO clv USING today, fit_share, src.clv_model, basis;
	EXECUTE crm_profile_internal.source_expand('SELECT (t.t).* FROM (SELECT crm_profile.value_tiers_fit(crm_profile_internal.source_clv_365d(history, $2, $1)) AS t FROM {schema}.customer_history) t', src)
		INTO predicted USING today, clv;
	clv_status := (crm_profile.clv_model_card(clv)).status;
	clv_seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": % fitted in % s: %', src.name, src.clv_model, round(clv_seconds::numeric, 1), coalesce(clv_status, 'no purchase');
	END IF;

	began := clock_timestamp();
	EXECUTE crm_profile_internal.source_expand('SELECT crm_profile.rhythm_fit(history, $1) FROM {schema}.customer_history' || sample, src) INTO rhythm USING today, fit_share;
	rhythm := coalesce(rhythm, '{"status": "not converged"}');
	rhythm_status := (crm_profile.rhythm_model_card(rhythm)).status;
	rhythm_seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": rhythm fitted in % s: %', src.name, round(rhythm_seconds::numeric, 1), rhythm_status;
	END IF;

	began := clock_timestamp();
	holdout_until := least(today, (norms).newest_order);
	holdout_fit_until := holdout_until - least(holdout_days, (holdout_until - (norms).oldest_order) / 3);
	holdout_share := least(1, most_tested / greatest((norms).customers, 1));
	IF holdout_fit_until < holdout_until THEN
		EXECUTE crm_profile_internal.source_expand('SELECT crm_profile.clv_holdout(history, $1, $3, $4) FROM {schema}.customer_history' || sample, src)
			INTO holdout USING holdout_fit_until, holdout_share, holdout_until, src.clv_model;
	END IF;
	holdout_seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": forecasts of % to % tested in % s', src.name, holdout_fit_until, holdout_until, round(holdout_seconds::numeric, 1);
	END IF;

	-- what is as it was is not written again
	EXECUTE crm_profile_internal.source_expand('INSERT INTO {schema}.model (fitted_at, as_of, rfm, scheme, segments, active_days, a_from, b_from, customers,
			clv, predicted_a_from, predicted_b_from, rhythm, fit_share, holdout, holdout_fit_until, holdout_until, holdout_share)
		SELECT $1, n.* FROM (SELECT $2, $3, {scheme}::text, crm_profile.compile_scheme({scheme}), coalesce($4, ($5).active_days, 90), ($5).a_from, ($5).b_from, coalesce(($5).customers, 0),
				$6, ($7).a_from, ($7).b_from, $8, $9, $10, CASE WHEN $10 IS NOT NULL THEN $11 END, CASE WHEN $10 IS NOT NULL THEN $12 END, CASE WHEN $10 IS NOT NULL THEN $13 END)
			n (as_of, rfm, scheme, segments, active_days, a_from, b_from, customers,
				clv, predicted_a_from, predicted_b_from, rhythm, fit_share, holdout, holdout_fit_until, holdout_until, holdout_share)
		WHERE NOT EXISTS (SELECT FROM (SELECT * FROM {schema}.model ORDER BY id DESC LIMIT 1) o
			WHERE ROW(o.as_of, o.rfm, o.scheme, o.segments, o.active_days, o.a_from, o.b_from, o.customers,
					o.clv, o.predicted_a_from, o.predicted_b_from, o.rhythm, o.fit_share, o.holdout, o.holdout_fit_until, o.holdout_until, o.holdout_share)::text
				= n::text)', src)
		USING started, today, rfm, src.active_days, norms, clv, predicted, rhythm, fit_share, holdout, holdout_fit_until, holdout_until, holdout_share;
END $$;
COMMENT ON FUNCTION crm_profile_internal.refresh_models(crm_profile.source, date, timestamptz, boolean) IS 'second part of a refresh: fits the models and keeps them';

CREATE FUNCTION crm_profile_internal.refresh_profiles(src crm_profile.source, today date, verbose boolean) RETURNS double precision
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	began timestamptz := clock_timestamp();
	columns text;
	profiles bigint;
	written bigint;
	seconds double precision;
BEGIN
	-- as with histories, the indexes come at the end of the first time
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = format('%I.stored_profile', src.schema)::regclass) THEN
		EXECUTE crm_profile_internal.source_expand('INSERT INTO {schema}.stored_profile SELECT p.* FROM {schema}.profile_as_of($1) p', src) USING today;
		GET DIAGNOSTICS written = ROW_COUNT;
		profiles := written;
		EXECUTE format('CREATE UNIQUE INDEX stored_profile_key ON %I.stored_profile (customer)', src.schema);
		EXECUTE format('CREATE INDEX stored_profile_segment ON %I.stored_profile (segment)', src.schema);
	ELSE
		SELECT string_agg(quote_ident(attname) || ' = excluded.' || quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
			WHERE attrelid = format('%I.stored_profile', src.schema)::regclass AND attnum > 0 AND NOT attisdropped;
		EXECUTE crm_profile_internal.source_expand('DELETE FROM {schema}.stored_profile o WHERE NOT EXISTS (SELECT FROM {customers} c WHERE c.{key} = o.customer)', src);
		EXECUTE crm_profile_internal.source_expand('INSERT INTO {schema}.stored_profile SELECT n.* FROM {schema}.profile_as_of($1) n LEFT JOIN {schema}.stored_profile was ON was.customer = n.customer
			WHERE was.customer IS NULL OR ROW(n.*) IS DISTINCT FROM ROW(was.*)
			ON CONFLICT (customer) DO UPDATE SET ' || columns, src) USING today;
		GET DIAGNOSTICS written = ROW_COUNT;
		EXECUTE crm_profile_internal.source_expand('SELECT count(*) FROM {schema}.stored_profile', src) INTO profiles;
	END IF;
	EXECUTE format('ANALYZE %I.stored_profile', src.schema);
	seconds := round(extract(epoch FROM clock_timestamp() - began), 3);
	IF "verbose" THEN
		PERFORM crm_profile_internal.refresh_progress(src.name, profiles, 'profiles compared', seconds);
		RAISE INFO 'source "%": % profiles written', src.name, written;
	END IF;
	RETURN seconds;
END $$;
COMMENT ON FUNCTION crm_profile_internal.refresh_profiles(crm_profile.source, date, boolean) IS 'third part of a refresh, where profiles are materialized: writes those that differ; returns seconds';

CREATE FUNCTION crm_profile_internal.refresh_as_owner(name text, "nowait" boolean, verbose boolean,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint,
	OUT collect_seconds double precision, OUT fit_seconds double precision, OUT profile_seconds double precision,
	OUT clv_seconds double precision, OUT rhythm_seconds double precision, OUT holdout_seconds double precision, OUT clv_status text, OUT rhythm_status text,
	OUT match_seconds double precision)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	src crm_profile.source := crm_profile_internal.source_own_locked(refresh_as_owner.name, "nowait");
	models record;
	found_norms crm_profile.customer_norms;
	matched record;
	started timestamptz;
	today date;
BEGIN
	started := clock_timestamp();
	today := coalesce(src.as_of, (started AT TIME ZONE src.time_zone)::date);

	SELECT h.written, h.removed, h.seconds INTO customers_written, customers_removed, collect_seconds FROM crm_profile_internal.refresh_histories(src, "verbose") h;
	SELECT m.* INTO models FROM crm_profile_internal.refresh_models(src, today, started, "verbose") m;
	found_norms := models.norms;
	clv_seconds := round(models.clv_seconds::numeric, 3);
	rhythm_seconds := round(models.rhythm_seconds::numeric, 3);
	holdout_seconds := round(models.holdout_seconds::numeric, 3);
	clv_status := models.clv_status;
	rhythm_status := models.rhythm_status;
	fit_seconds := extract(epoch FROM clock_timestamp() - started) - collect_seconds;
	IF src.materialize THEN
		profile_seconds := crm_profile_internal.refresh_profiles(src, today, "verbose");
	END IF;
	SELECT m.* INTO matched FROM crm_profile_internal.refresh_matches(src, started, "verbose") m;
	match_seconds := matched.seconds;
	orders := coalesce(found_norms.orders, 0);
	customers := coalesce(found_norms.customers, 0);
	UPDATE crm_profile.source s SET last_refresh = started, refresh_seconds = extract(epoch FROM clock_timestamp() - started), norms = found_norms,
			best_customers = matched.best, other_customers = matched.others
		WHERE s.name = src.name;
	RETURN NEXT;
END $$;
COMMENT ON FUNCTION crm_profile_internal.refresh_as_owner(text, boolean, boolean) IS 'what refresh() does once it is the owner';

CREATE FUNCTION crm_profile.refresh(name text, "nowait" boolean DEFAULT false, verbose boolean DEFAULT false,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint,
	OUT collect_seconds double precision, OUT fit_seconds double precision, OUT profile_seconds double precision,
	OUT clv_seconds double precision, OUT rhythm_seconds double precision, OUT holdout_seconds double precision, OUT clv_status text, OUT rhythm_status text,
	OUT match_seconds double precision)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1;
COMMENT ON FUNCTION crm_profile.refresh(text, boolean, boolean) IS
	'reads the orders of a source and writes the histories that differ, fits the models, all as the owner of the source and in one transaction; nowait: an error if a refresh is under way';
