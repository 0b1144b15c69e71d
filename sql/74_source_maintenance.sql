-- forget_customer, profile_now

---------------------------------------------------------------- single customers

CREATE FUNCTION crm_profile_internal.rewrite_tables(tables regclass[]) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000000; -- writes your tables and their indexes into new files, which have no byte of rows that were deleted

CREATE FUNCTION crm_profile_internal.forget_keys(src crm_profile.source_definition, keys text[], rewrite boolean, OUT histories_deleted bigint, OUT orders_left bigint)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	given CONSTANT text[] := ARRAY(SELECT k FROM unnest(keys) k WHERE k IS NOT NULL);
	-- the key of one of them, in a column
	one_of CONSTANT text := format('(?)::%1$s %2$s ANY (SELECT u::%1$s FROM unnest($1) u)', src.key_type, crm_profile_internal.key_equality(src.key_type::regtype));
	tables CONSTANT regclass[] := ARRAY(SELECT p.object::regclass FROM crm_profile_internal.source_present(src) p WHERE p.kind = 'table' AND p.object IS NOT NULL AND p.name <> 'source_definition');
	queue CONSTANT regclass := CASE WHEN src.track_changes = 'keys' THEN to_regclass(format('%I.change_queue', src.name)) END;
	seen CONSTANT boolean := queue IS NOT NULL AND crm_profile_internal.tracked_state(src, queue) = src.tracking -> 'tables';
	held record;
BEGIN
	BEGIN
		EXECUTE format('SELECT count(k::%s) FROM unnest($1) k', src.key_type) USING given;
	EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
		-- PostgreSQL's message names the value
		RAISE invalid_text_representation USING MESSAGE = format('a key to be forgotten is none of type %s', src.key_type), DETAIL = 'It is not named here, since messages go to the server log.';
	END;
	IF rewrite THEN
		PERFORM crm_profile_internal.lock_relations(tables);
	END IF;
	PERFORM crm_profile_internal.write_noted_changes();
	EXECUTE format('DELETE FROM %I.customer_history h WHERE %s', src.name, replace(one_of, '?', 'h.customer')) USING given;
	GET DIAGNOSTICS histories_deleted = ROW_COUNT;
	FOR held IN SELECT p.object::regclass AS relation, v.name FROM crm_profile_internal.source_present(src) p
			JOIN (VALUES ('stored_profile', 'customer'), ('finding_key', 'customer'), ('unknown_customer', 'customer'), ('customer_effect', 'customer'), ('identity_found', 'customer'), ('identity_found', 'person'), ('identity_override', 'customer'), ('identity_override', 'person'), ('identity_in_use', 'customer'), ('identity_in_use', 'person'))
				v(relation, name) ON v.relation = p.name WHERE p.object IS NOT NULL LOOP
		EXECUTE format('DELETE FROM %s h WHERE %s', held.relation, replace(one_of, '?', 'h.' || held.name)) USING given;
	END LOOP;
	EXECUTE format('DELETE FROM %I.finding_key WHERE key = ANY ($1)', src.name) USING given;
	-- totals that counted the customers
	IF to_regclass(format('%I.kept_figures', src.name)) IS NOT NULL THEN
		EXECUTE format('DELETE FROM %I.kept_figures', src.name);
	END IF;
	-- it holds values of single customers
	IF src.track_changes <> 'none' THEN
		EXECUTE format('DELETE FROM %I.population', src.name);
	END IF;
	-- older models may hold values that the customer shared with few others then; models in use hold nothing of fewer
	-- than five
	EXECUTE format('DELETE FROM %1$I.model m WHERE m.id < (SELECT max(n.id) FROM %1$I.model n)', src.name);
	EXECUTE format('SELECT %s FROM (%s) o WHERE %s', CASE WHEN src.order_key IS NULL THEN 'count(*)' ELSE 'count(DISTINCT o.order_key) + count(*) FILTER (WHERE o.order_key IS NULL)' END,
		src.orders_query, replace(one_of, '?', 'o.customer')) INTO orders_left USING given;
	IF src.track_changes = 'keys' THEN
		-- without its marker, the next refresh reads all orders; those of the key may be in the history of somebody
		-- else
		EXECUTE format('DELETE FROM %I.change_queue q WHERE q.marker IS NOT NULL AND $1', src.name) USING orders_left > 0 OR crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL;
	END IF;
	IF queue IS NOT NULL AND src.recorded_columns IS NOT NULL THEN
		-- of the others beside them, the keys stay
		EXECUTE format('UPDATE %s q SET customers = q.order_1, added = NULL%s WHERE EXISTS (SELECT FROM unnest(q.order_1) k WHERE %s)', queue,
			(SELECT string_agg(format(', order_%s = NULL', n), '') FROM generate_subscripts(src.recorded_columns, 1) n), replace(one_of, '?', 'k::' || src.key_type)) USING given;
	END IF;
	FOR held IN SELECT p.object::regclass AS relation FROM crm_profile_internal.source_present(src) p WHERE p.name IN ('change_queue', 'customer_queue') AND p.object IS NOT NULL LOOP
		EXECUTE format('UPDATE %s q SET customers = ARRAY(SELECT k FROM unnest(q.customers) k WHERE NOT %s) WHERE EXISTS (SELECT FROM unnest(q.customers) k WHERE %2$s)', held.relation,
			replace(one_of, '?', 'k::' || src.key_type)) USING given;
	END LOOP;
	IF src.track_changes LIKE 'column %' OR src.track_changes = 'slot' THEN
		src.tracking := NULL;
		PERFORM crm_profile_internal.source_write(src);
	ELSIF src.track_changes = 'keys' THEN
		-- makes the next refresh count anew, without naming the customer
		EXECUTE format('INSERT INTO %I.change_queue (queued_at) VALUES (clock_timestamp())', src.name);
	END IF;
	IF rewrite THEN
		PERFORM crm_profile_internal.rewrite_tables(tables);
		-- that the queue is another now means nothing
		IF seen THEN
			src.tracking := src.tracking || jsonb_build_object('tables', crm_profile_internal.tracked_state(src, queue));
			PERFORM crm_profile_internal.source_write(src);
		END IF;
	END IF;
	EXECUTE format('ANALYZE %I.customer_history', src.name);
	IF src.materialize THEN
		EXECUTE format('ANALYZE %I.stored_profile', src.name);
	END IF;
	IF orders_left > 0 THEN
		-- the key is not named, since messages go to the server log
		RAISE WARNING 'the customer still has % orders that source "%" reads', orders_left, src.name
			USING HINT = 'The next refresh will read them again: delete them, or remove the customer from them.';
	END IF;
	RETURN NEXT;
END $$; -- erases what a source stores of these customers

CREATE FUNCTION crm_profile_internal.forget_customers_as_owner(src crm_profile.source_definition, keys text, rewrite boolean, OUT histories_deleted bigint, OUT orders_left bigint)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT f.* FROM crm_profile_internal.forget_keys(src, keys::text[], rewrite) f;
END $$; -- runs as the owner of the source: forget_customers()
CREATE FUNCTION crm_profile_internal.forget_customer_as_owner(src crm_profile.source_definition, key text, rewrite boolean, OUT histories_deleted bigint, OUT orders_left bigint)
	RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF key IS NULL THEN
		RAISE null_value_not_allowed USING MESSAGE = 'the key of the customer must not be NULL';
	END IF;
	RETURN QUERY SELECT f.* FROM crm_profile_internal.forget_keys(src, ARRAY[key], rewrite) f;
END $$; -- runs as the owner of the source: forget_customer()

CREATE FUNCTION crm_profile.forget_customer(name text, key anycompatible, rewrite boolean DEFAULT true, OUT histories_deleted bigint, OUT orders_left bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'change_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1; -- erases all stored data of a customer, and returns how many orders the next refresh would read again; rewrite: the tables of the source are written anew, so that no byte of the customer stays in their files
CREATE FUNCTION crm_profile.forget_customers(name text, keys anycompatiblearray, rewrite boolean DEFAULT true, OUT histories_deleted bigint, OUT orders_left bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'change_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1; -- forget_customer() for several keys at once

CREATE FUNCTION crm_profile_internal.figures_now(src crm_profile.source_definition, key text) RETURNS SETOF crm_profile.customer_profile_row
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on SET datestyle = 'ISO' AS $$
#variable_conflict use_column
DECLARE
	found crm_profile.purchase_history;
BEGIN
	PERFORM crm_profile_internal.check_key(src.name, key, src.key_type);
	-- a policy on the orders is an error; one on the customers decides whether the customer is there
	PERFORM set_config('row_security', 'off', true);
	EXECUTE format('SELECT history FROM crm_profile.collect_purchase_histories(NULL::%s, $1)', src.key_type) INTO found
		USING format('SELECT * FROM (%s) o WHERE %s', crm_profile_internal.source_orders_query(src), crm_profile_internal.same_key(src.key_type, 'o.customer', format('%L::%s', key, src.key_type)));
	EXECUTE format('SELECT crm_profile_internal.kept_history((SELECT h.history FROM %I.customer_history h WHERE %s), $2, $3)', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', '$1::' || src.key_type)) INTO found
		USING key, found, CASE WHEN src.keep_history_before IS NULL THEN src.kept_before ELSE NULLIF(src.keep_history_before, '-infinity') END;
	PERFORM set_config('row_security', 'on', true);
	RETURN QUERY EXECUTE format('%s WHERE %s', crm_profile_internal.source_profile_query(src, crm_profile_internal.source_today(src),
			(SELECT string_agg(crm_profile_internal.source_figure(src, a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attnum > 0 AND NOT a.attisdropped), '(SELECT $2 AS history) h ON true'),
			crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), '$1::' || src.key_type))
		USING key, found;
END $$; -- one customer of a source, computed from the present orders

CREATE FUNCTION crm_profile_internal.profile_now_details_as_owner(src crm_profile.source_definition, key text) RETURNS SETOF crm_profile.customer_profile_row
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT f.* FROM crm_profile_internal.figures_now(src, key) f;
END $$; -- runs as the owner of the source: profile_now_details()

CREATE FUNCTION crm_profile_internal.profile_now_as_owner(src crm_profile.source_definition, key text, OUT figure text, OUT value text) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT v.key, CASE a.atttypid WHEN 'double precision'::regtype THEN round(v.value::numeric, 4)::text WHEN 'numeric'::regtype THEN trim_scale(round(v.value::numeric, 6))::text ELSE v.value END
		FROM crm_profile_internal.figures_now(src, key) f CROSS JOIN LATERAL json_each_text(row_to_json(f)) v
			JOIN pg_attribute a ON a.attrelid = 'crm_profile.customer_profile_row'::regclass AND a.attname = v.key ORDER BY a.attnum;
END $$; -- runs as the owner of the source: profile_now()

CREATE FUNCTION crm_profile.profile_now(name text, key anycompatible, OUT figure text, OUT value text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000 ROWS 28; -- one customer, a figure a line, computed from the present orders, your uncommitted ones included, with the models of the last refresh; no rows for an unknown customer
CREATE FUNCTION crm_profile.profile_now_details(name text, key anycompatible) RETURNS SETOF crm_profile.customer_profile_row
	AS 'MODULE_PATHNAME', 'run_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000 ROWS 1; -- the same as one row with the columns of customer_profile
