-- customer_profile as a table (materialize => true): refreshes write the rows that change

CREATE FUNCTION crm_profile_internal.moved_thresholds(was crm_profile.source_model, now crm_profile.source_model, tier_by text, OUT figure text, OUT low numeric, OUT high numeric) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		-- a threshold that is missing in one model: all values. Averages are rounded, so their range is wider: a row
		-- too many is compared, and not written
		SELECT t.figure, CASE WHEN t.was IS NULL OR t.now IS NULL THEN '-Infinity' ELSE least(t.was, t.now) - t.margin END, CASE WHEN t.was IS NULL OR t.now IS NULL THEN 'Infinity' ELSE greatest(t.was, t.now) + t.margin END
		FROM (SELECT 'recency' AS figure, u.was, u.now, 0 AS margin FROM unnest((crm_profile.thresholds(was.rfm)).recency, (crm_profile.thresholds(now.rfm)).recency) u(was, now)
			UNION ALL SELECT 'frequency', u.was, u.now, 0 FROM unnest((crm_profile.thresholds(was.rfm)).frequency || (was.rfm::text::jsonb ->> 'median_frequency')::numeric,
				(crm_profile.thresholds(now.rfm)).frequency || (now.rfm::text::jsonb ->> 'median_frequency')::numeric) u(was, now)
			UNION ALL SELECT 'monetary', u.was, u.now, 0 FROM unnest((crm_profile.thresholds(was.rfm)).monetary, (crm_profile.thresholds(now.rfm)).monetary) u(was, now)
			UNION ALL SELECT 'average_order_value', u.was, u.now, (1 + abs(u.was)) / 1000000000 FROM unnest(ARRAY[(was.rfm::text::jsonb ->> 'median_order_value')::numeric],
				ARRAY[(now.rfm::text::jsonb ->> 'median_order_value')::numeric]) u(was, now)
			UNION ALL SELECT tier_by, u.was, u.now, 0 FROM unnest(ARRAY[was.a_from, was.b_from] || was.deciles, ARRAY[now.a_from, now.b_from] || now.deciles) u(was, now)) t
		WHERE t.was IS DISTINCT FROM t.now;
	END; -- the ranges of figures in customer_profile in which a score, pattern, tier or decile may be another by the new model than by the old one

CREATE FUNCTION crm_profile_internal.profiles_to_look_at(src crm_profile.source_definition, was crm_profile.source_model, now crm_profile.source_model, keys text, customer_keys text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	stored CONSTANT text := format('%I.stored_profile', src.name);
	ranges text;
BEGIN
	-- on another day recency and forecasts are others for all; conditions of the scheme may read what nobody watches
	IF keys IS NULL OR src.conditions IS NOT NULL OR was.as_of IS DISTINCT FROM now.as_of
		OR ROW(was.clv, was.scheme, was.segments, was.active_days, was.predicted_a_from, was.predicted_b_from)::text <> ROW(now.clv, now.scheme, now.segments, now.active_days, now.predicted_a_from, now.predicted_b_from)::text THEN
		RETURN NULL;
	END IF;
	SELECT string_agg(format('SELECT o.customer FROM %s o WHERE o.%I BETWEEN %L::numeric AND %L::numeric', stored, m.figure, m.low, m.high), ' UNION ALL ') INTO ranges
		FROM crm_profile_internal.moved_thresholds(was, now, src.tier_by) m;
	RETURN concat_ws(' UNION ALL ', format('SELECT unnest(%L::%s[]) AS customer', keys, src.key_type), format('SELECT unnest(%L::%s[])', customer_keys, src.key_type), ranges,
		-- a contact of somebody who has not bought
		CASE WHEN src.interactions IS NOT NULL OR src.prospect_customer = src.prospect_key THEN format('SELECT o.customer FROM %s o WHERE o.last_purchase IS NULL', stored) END,
		CASE WHEN customer_keys IS NULL THEN format('SELECT o.customer FROM %1$s o WHERE NOT EXISTS (SELECT FROM %2$s c WHERE %3$s AND c.%4$I::text = o.customer::text)
			UNION ALL SELECT c.%4$I FROM %2$s c WHERE NOT EXISTS (SELECT FROM %1$s o WHERE %3$s AND c.%4$I::text = o.customer::text)',
			stored, src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'o.customer'), src.customer_key) END);
END $$; -- SQL of the keys of all customers whose row in customer_profile may have changed with a refresh: those whose orders or own rows changed, and those between an old and a new threshold; NULL: it may be any

CREATE FUNCTION crm_profile_internal.refresh_kept(src crm_profile.source_definition, today date, changed boolean, partly boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET extra_float_digits = 1 AS $$
DECLARE
	present boolean;
	all_known boolean;
	part record;
	kept jsonb;
BEGIN
	EXECUTE format('SELECT EXISTS (SELECT FROM %I.kept_figures k WHERE k.as_of = $1)', src.name) INTO present USING today;
	IF present AND NOT changed THEN
		RETURN;
	END IF;
	EXECUTE format('DELETE FROM %I.kept_figures', src.name);
	-- to count all anew would take longer than the refresh of a few: until the next of all, the views do it
	IF partly THEN
		RETURN;
	END IF;
	-- of other customers only the owner learns
	EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I.unknown_customer)', src.name) INTO all_known;
	FOR part IN VALUES ('profiles', true, format('SELECT to_jsonb(p) FROM crm_profile_internal.count_profiles(%L) p', src.name)),
			('calendar', all_known, 'SELECT to_jsonb(' || crm_profile_internal.calendar_figures(src, quote_literal(crm_profile_internal.iso_day(today)) || '::date') || ')'),
			('revenue', all_known, 'SELECT to_jsonb(' || crm_profile_internal.revenue_figures(src, quote_literal(crm_profile_internal.iso_day(today)) || '::date') || ')'),
			('cohorts', all_known OR NOT src.count_unknown, format('SELECT jsonb_agg(c) FROM crm_profile_internal.cohort_cells(%L, %L) c', src.name, crm_profile_internal.iso_day(today))),
			-- conditions of the scheme may read what nobody watches
			('moves', all_known OR NOT src.count_unknown, CASE WHEN src.condition_sql IS NULL THEN format('SELECT jsonb_agg(m) FROM %I.segment_migration(%L::date - 90, %2$L) m', src.name, crm_profile_internal.iso_day(today)) END) LOOP
		IF part.column3 IS NOT NULL THEN
			EXECUTE part.column3 INTO kept;
			EXECUTE format('INSERT INTO %I.kept_figures SELECT $1, $2, $3, $4 WHERE $4 IS NOT NULL', src.name) USING part.column1, today, part.column2, kept;
		END IF;
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	-- views then fail as they would without it, and the refresh does not
	RAISE DEBUG 'source "%": figures are not kept: %', src.name, SQLERRM;
	EXECUTE format('DELETE FROM %I.kept_figures', src.name);
END $$; -- part of a refresh, where profiles are materialized: keeps what views count over all customers; changed: whether it is another than at the last refresh; partly: only some customers were looked at

CREATE FUNCTION crm_profile_internal.refresh_profiles(src crm_profile.source_definition, today date, verbose boolean, keys text, OUT seconds double precision, OUT changed bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off SET jit = off AS $$
DECLARE
	began timestamptz := clock_timestamp();
	target CONSTANT regclass := format('%I.stored_profile', src.name)::regclass;
	seqscan CONSTANT text := current_setting('enable_seqscan');
	-- ANY, not a join: the rows are found by their indexes
	among CONSTANT text := CASE WHEN keys IS NULL THEN 'true' ELSE format('p.customer %s ANY (ARRAY(%s))', crm_profile_internal.key_equality(src.key_type::regtype), keys) END;
	columns text;
	assigned text;
	compared text;
	written bigint;
	wanted record;
BEGIN
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg(quote_ident(attname) || ' = n.' || quote_ident(attname), ', ' ORDER BY attnum),
			-- a key in another spelling is another row, though it is the same customer
			string_agg('?.' || quote_ident(attname) || CASE attname WHEN 'customer' THEN '::text' ELSE '' END, ', ' ORDER BY attnum) INTO columns, assigned, compared
		FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped;
	-- as with histories, the indexes come at the end of the first time
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = target) THEN
		written := crm_profile_internal.store_rows(format('SELECT p.* FROM %I.profile_as_of(%L) p', src.name, crm_profile_internal.iso_day(today)), target);
		changed := written;
		EXECUTE format('CREATE UNIQUE INDEX stored_profile_key ON %s (customer)', target);
		-- counts and amounts by segment need no table: it is large, with its room for new versions of rows; readers'
		-- policies ask for the customer
		EXECUTE format('CREATE INDEX stored_profile_segment ON %s (segment) INCLUDE (customer, monetary)', target);
		-- half of the customers can be in one tier: without other columns equal tiers share their entries, which are
		-- counted in half the time
		EXECUTE format('CREATE INDEX stored_profile_value_tier ON %s (value_tier)', target);
		-- the highest, or the lowest, are a question of every day, though it is another figure each day; people want
		-- NULLS LAST, tools write DESC alone, and no index has both orders
		EXECUTE format('CREATE INDEX stored_profile_clv_365d ON %s (clv_365d)', target);
		EXECUTE format('CREATE INDEX stored_profile_highest ON %s (clv_365d DESC NULLS LAST)', target);
	ELSE
		IF keys IS NOT NULL THEN
			PERFORM set_config('enable_seqscan', 'off', true);
		END IF;
		EXECUTE format('DELETE FROM %s p WHERE %s AND NOT EXISTS (SELECT FROM %s c WHERE %s)', target, among, src.customers,
			crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), 'p.customer'));
		GET DIAGNOSTICS changed = ROW_COUNT;
		-- OFFSET: figures are computed once, not for each use
		EXECUTE format('MERGE INTO %1$s was USING (SELECT p.* FROM %2$I.profile_as_of($1) p WHERE %3$s OFFSET 0) n ON %4$s
			WHEN MATCHED AND ROW(%5$s) IS DISTINCT FROM ROW(%6$s) THEN UPDATE SET %7$s
			WHEN NOT MATCHED THEN INSERT (%8$s) VALUES (n.%9$s)', target, src.name, among, crm_profile_internal.same_key(src.key_type, 'was.customer', 'n.customer'),
			replace(compared, '?', 'n'), replace(compared, '?', 'was'), assigned, columns, replace(columns, ', ', ', n.')) USING today;
		GET DIAGNOSTICS written = ROW_COUNT;
		changed := changed + written;
		PERFORM set_config('enable_seqscan', seqscan, true);
	END IF;
	-- what thresholds are looked for in
	IF src.track_changes <> 'none' THEN
		FOR wanted IN SELECT DISTINCT v.index_name, v.indexed FROM (VALUES (src.tier_by, src.tier_by), ('monetary', 'monetary'), ('order_value', 'average_order_value')) v(index_name, indexed)
				WHERE to_regclass(format('%I.stored_profile_%s', src.name, v.index_name)) IS NULL LOOP
			EXECUTE format('CREATE INDEX stored_profile_%s ON %s (%I)', wanted.index_name, target, wanted.indexed);
		END LOOP;
	END IF;
	-- a few rows more or less are nothing to the planner
	IF keys IS NULL OR written > 1000 THEN
		EXECUTE format('ANALYZE %s', target);
	END IF;
	seconds := round(extract(epoch FROM clock_timestamp() - began), 3);
	IF "verbose" THEN
		EXECUTE format('SELECT count(*) FROM %s p WHERE %s', target, among) INTO compared;
		PERFORM crm_profile_internal.refresh_progress(src.name, compared::bigint, 'profiles compared', seconds);
		RAISE INFO 'source "%": % profiles written', src.name, written;
	END IF;
END $$; -- third part of a refresh, where profiles are materialized: writes those that differ; keys: SQL of the customers it may be, NULL: all; changed: profiles written or deleted
