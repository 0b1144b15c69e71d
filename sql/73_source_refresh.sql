-- refresh

---------------------------------------------------------------- from orders to histories

CREATE FUNCTION crm_profile_internal.store_purchase_histories(key anyelement, query text, target regclass, progress text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000; -- collect_purchase_histories() straight into a new table (customer, history) without index, trigger or constraint, in the order of the customers; returns the number of histories

CREATE FUNCTION crm_profile_internal.store_rows(query text, target regclass) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000000; -- INSERT INTO a new table without index, trigger or constraint, where parallel workers make the rows; returns their number

CREATE FUNCTION crm_profile_internal.describe_query(query text, OUT relations oid[], OUT column_types oid[], OUT mutable text)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- the relations that a query reads, views and the tables behind them, the base types of its columns, and what in it can have another result in another session (NULL: nothing); the query is not run

CREATE FUNCTION crm_profile_internal.session_reading(query text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- what in a query has another result under another DateStyle, IntervalStyle, lc_monetary or TimeZone (NULL: nothing that is known); the query is not run

CREATE FUNCTION crm_profile_internal.is_pushed(query text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	line text;
	top text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		top := coalesce(top, line);
		IF line ~ 'Distributed Subplan' THEN
			RETURN false;
		END IF;
	END LOOP;
	RETURN top ~ 'Custom Scan \(Citus';
EXCEPTION WHEN feature_not_supported THEN
	RETURN false;
END $$; -- whether Citus has the whole query run by the workers, so that nothing is left to do with its rows here

CREATE FUNCTION crm_profile_internal.source_shards(src crm_profile.source_definition, OUT orders text, OUT whole boolean)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF src.shards_query IS NULL THEN
		RETURN;
	END IF;
	-- a catalogue of Citus
	EXECUTE 'SELECT string_agg(format(''%s%s'', p.logicalrelid, '' by '' || quote_ident(a.attname)), '', '' ORDER BY p.logicalrelid::text)
		FROM pg_dist_partition p LEFT JOIN pg_attribute a ON a.attrelid = p.logicalrelid AND a.attname = column_to_column_name(p.logicalrelid, p.partkey)
		WHERE p.logicalrelid = ANY ($1)'
		INTO orders USING (crm_profile_internal.describe_query(src.shards_query)).relations;
	whole := crm_profile_internal.is_pushed(crm_profile_internal.source_aggregate_query(src));
END $$; -- order tables that Citus distributes, and their distribution columns; whole: whether the workers can make whole histories; NULLs if none is distributed

CREATE FUNCTION crm_profile_internal.source_aggregate_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	there CONSTANT text := crm_profile_internal.source_orders_query(jsonb_populate_record(src, jsonb_build_object('orders_query', coalesce(src.shards_query, src.orders_query))));
	types CONSTANT oid[] := (crm_profile_internal.describe_query(there)).column_types;
	-- the query contains everything that a worker needs: settings of this session do not reach it
	day CONSTANT text := CASE types[2]
		WHEN 'timestamptz'::regtype THEN format('(o.ordered_at AT TIME ZONE %L)::date', src.time_zone) ELSE 'o.ordered_at::date' END;
	history CONSTANT text := format('crm_profile.purchase_history_agg(%s, o.amount::numeric%s)', day, CASE WHEN src.cost IS NOT NULL THEN ', o.cost::numeric' END);
	orders CONSTANT text := format('FROM (%s) o
WHERE o.customer IS NOT NULL AND o.ordered_at IS NOT NULL AND o.amount IS NOT NULL', there);
	query text;
BEGIN
	IF src.order_key IS NULL THEN
		query := format('SELECT o.customer, %s AS history
%s
GROUP BY o.customer', history, orders);
	ELSE
		-- loose: lines without an order key, which are orders of their own. If only some lines of an order have costs,
		-- these are merged with the amount they cover, and the amount is subtracted again
		query := format('SELECT l.customer, coalesce(crm_profile.purchase_history_agg(l.day, l.amount), ''{}'')
		OPERATOR(crm_profile.||) coalesce(crm_profile.purchase_history_merge_agg(l.loose), ''{}'')%s AS history
FROM (SELECT o.customer, min(%s) AS day, CASE WHEN o.order_key IS NOT NULL THEN sum(o.amount::numeric) END AS amount,
	CASE WHEN o.order_key IS NULL THEN %s END AS loose%s
%s
GROUP BY o.customer, o.order_key) l
GROUP BY l.customer', CASE WHEN src.cost IS NOT NULL THEN '
		OPERATOR(crm_profile.||) coalesce(crm_profile.purchase_history_agg(l.day, l.covered, l.cost), ''{}'')
		OPERATOR(crm_profile.-) coalesce(crm_profile.purchase_history_agg(l.day, l.covered), ''{}'')' END, day, history, CASE WHEN src.cost IS NOT NULL THEN ',
	CASE WHEN o.order_key IS NOT NULL THEN sum(o.amount::numeric) FILTER (WHERE o.cost IS NOT NULL) END AS covered,
	CASE WHEN o.order_key IS NOT NULL THEN sum(o.cost::numeric) END AS cost' END, orders);
	END IF;
	RETURN CASE WHEN types[1] = src.key_type::regtype THEN query ELSE format('SELECT h.customer::%s AS customer, h.history FROM (%s) h', src.key_type, query) END;
END $$; -- one query (customer, history) by aggregates that split, with the same result as collect_purchase_histories() over the orders of the source

CREATE FUNCTION crm_profile_internal.source_history_query(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql
	RETURN CASE WHEN (crm_profile_internal.source_shards(src)).whole THEN crm_profile_internal.source_aggregate_query(src) END; -- for orders on other machines: the query that makes the histories there; NULL if the orders are collected here

CREATE FUNCTION crm_profile_internal.run_history_query(key anyelement, query text, OUT customer anyelement, OUT history crm_profile.purchase_history)
	RETURNS SETOF record
	LANGUAGE plpgsql ROWS 100000 COST 1000000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- by itself, so that nothing else in the refresh keeps Citus from pushing it down
	RETURN QUERY EXECUTE query;
END $$; -- the rows (customer, history) of a query; the first argument is a NULL of the customers' type

---------------------------------------------------------------- the parts of a refresh

CREATE FUNCTION crm_profile_internal.orders_without_customer() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE; -- number of rows without a customer in the orders last read by this session

CREATE FUNCTION crm_profile_internal.refresh_progress(source text, done bigint, what text, seconds double precision) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE INFO 'source "%": % % in % s, % customers/s', source, done, what, round(seconds::numeric, 1), round(done / greatest(seconds, 0.000001));
END $$; -- one line of refresh(verbose => true), in the form of those from collect_purchase_histories()

CREATE FUNCTION crm_profile_internal.change_histories(key anyelement, target regclass, query text, kept date, OUT customer anyelement, OUT was crm_profile.purchase_history, OUT history crm_profile.purchase_history, OUT replaced boolean) RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10000; -- for each row (customer, plus, minus, replace) of a query, which may write: adds plus to the history in a table, takes minus away, or replaces it by plus; days before kept stay as stored; was and history: NULLs where nothing changed

CREATE FUNCTION crm_profile_internal.write_changed_histories(src crm_profile.source_definition, target regclass, progress text, kept date, oldest date, population text,
	OUT written bigint, OUT removed bigint, OUT followed bytea[], OUT keys text, OUT newcomers text, OUT without_customer boolean, OUT read_again bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	columns CONSTANT text := (SELECT string_agg('q.order_' || n, ', ') FROM generate_subscripts(src.recorded_columns, 1) n);
	day CONSTANT text := CASE (crm_profile_internal.describe_query(src.orders_query)).column_types[2]
		WHEN 'timestamptz'::regtype THEN format('(q.ordered_at AT TIME ZONE %L)::date', src.time_zone) ELSE 'q.ordered_at::date' END;
	history CONSTANT text := format('crm_profile.purchase_history_agg(r.day, r.amount%s)', CASE WHEN src.cost IS NOT NULL THEN ', r.cost' END);
	taken CONSTANT text := format('taken AS MATERIALIZED (DELETE FROM %I.change_queue q WHERE q.marker IS NULL RETURNING q.customers, q.added, %s),
		again AS MATERIALIZED (SELECT DISTINCT k.k::%s AS customer FROM (SELECT unnest(%%s) AS k FROM taken t) k WHERE k.k IS NOT NULL)', src.name, columns, src.key_type);
	-- the orders are read by the snapshot that takes the queue: a change is in what is read, or stays there
	collected CONSTANT text := format('(SELECT c.* FROM (SELECT array_agg(a.customer)::text AS keys FROM again a) k CROSS JOIN LATERAL crm_profile.collect_purchase_histories(NULL::%s, crm_profile_internal.changed_orders_query(%L::crm_profile.source_definition, k.keys), %L) c WHERE k.keys IS NOT NULL)',
		src.key_type, src, progress);
	reread CONSTANT text := crm_profile_internal.both_histories(collected,
		format('(SELECT h.* FROM again a CROSS JOIN LATERAL (SELECT h.ctid AS tid, h.* FROM %s h WHERE %s LIMIT 1) h)', target, crm_profile_internal.same_key(src.key_type, 'h.customer', 'a.customer')), crm_profile_internal.same_key(src.key_type, 'o.customer', 'n.customer'));
	-- rows in the queue as what came and went; or as keys, where they do not fit the histories. In the order in which
	-- histories are stored these are soon found. A row of the queue with neither was noted for an order without a
	-- customer
	changes CONSTANT text := format('WITH %1$s, row AS MATERIALIZED (SELECT q.customer, %2$s AS day, q.amount::numeric AS amount%3$s, q.added FROM (%4$s) q)
		(SELECT r.customer::%5$s, %6$s FILTER (WHERE r.added), %6$s FILTER (WHERE NOT r.added), false FROM row r
			WHERE r.customer IS NOT NULL AND NOT EXISTS (SELECT FROM again a WHERE %7$s) GROUP BY r.customer ORDER BY r.customer)
		UNION ALL SELECT a.customer, n.history, NULL, true FROM again a LEFT JOIN %8$s n ON %9$s
		UNION ALL SELECT NULL, NULL, NULL, false WHERE EXISTS (SELECT FROM taken t WHERE t.customers IS NULL AND t.added IS NULL) OR EXISTS (SELECT FROM row r WHERE r.customer IS NULL)',
		format(taken, 't.customers'), day, CASE WHEN src.cost IS NOT NULL THEN ', q.cost::numeric AS cost' END, crm_profile_internal.recorded_orders(src, 'taken'), src.key_type, history,
		crm_profile_internal.same_key(src.key_type, 'a.customer', 'r.customer'), collected, crm_profile_internal.same_key(src.key_type, 'n.customer', 'a.customer'));
	done record;
	moved boolean := false;
BEGIN
	FOR attempt IN 1 .. 2 LOOP
		BEGIN
			-- who may not read the orders must not learn of them from the queue
			EXECUTE format('SELECT FROM (%s) o LIMIT 0', src.orders_query);
			IF attempt = 1 THEN
				EXECUTE format('WITH difference AS MATERIALIZED (SELECT c.* FROM crm_profile_internal.change_histories(NULL::%s, $1, $2, $3) c)
					SELECT count(d.history) AS written, count(d.was) FILTER (WHERE d.history IS NULL) AS removed,
						coalesce(bool_or(f.first <= $4 AND crm_profile.first_purchase(crm_profile_internal.history_since(d.history, $3)) IS DISTINCT FROM f.first), false) AS oldest_lost, %s AS followed,
						coalesce(array_agg(d.customer) FILTER (WHERE d.customer IS NOT NULL), ''{}'')::text AS keys, coalesce(array_agg(d.customer) FILTER (WHERE d.was IS NULL AND d.history IS NOT NULL), ''{}'')::text AS newcomers,
						coalesce(bool_or(d.customer IS NULL), false) AS without_customer, count(*) FILTER (WHERE d.replaced) AS read_again
					FROM difference d CROSS JOIN LATERAL (SELECT crm_profile.first_purchase(crm_profile_internal.history_since(d.was, $3)) AS first) f', src.key_type, coalesce(population, 'NULL::bytea[]'))
					INTO done USING target, changes, kept, oldest;
			ELSE
				-- histories whose table is another than we made it, too
				SELECT w.* INTO done FROM crm_profile_internal.write_histories(target, format(taken, 'coalesce(t.customers, t.order_1)'), reread, NULL, progress, kept, oldest, population,
					'(SELECT coalesce(array_agg(a.customer), ''{}'')::text FROM again a), (SELECT coalesce(array_agg(d.customer), ''{}'')::text FROM difference d WHERE d.was IS NULL), true, (SELECT count(*) FROM again)') w;
			END IF;
			moved := done.oldest_lost AND crm_profile_internal.oldest_stored(target, kept) > oldest;
			IF moved THEN
				RAISE object_not_in_prerequisite_state USING MESSAGE = 'the oldest order moved forward';
			END IF;
			EXIT;
		EXCEPTION WHEN OTHERS THEN
			IF moved THEN
				RETURN;
			ELSIF attempt = 2 THEN
				RAISE;
			END IF;
			RAISE DEBUG 'source "%": the orders of all changed customers are read: %', src.name, SQLERRM;
		END;
	END LOOP;
	written := done.written;
	removed := done.removed;
	followed := done.followed;
	keys := done.keys;
	newcomers := done.newcomers;
	without_customer := done.without_customer;
	read_again := done.read_again;
END $$; -- takes the queue and, by the same snapshot, adds to the histories what came and takes away what went; of those of whom only keys were noted, or if that fails of all, it reads the orders again; newcomers: those who had no history; NULLs: the oldest order moved forward

CREATE FUNCTION crm_profile_internal.refresh_histories(src crm_profile.source_definition, today date, verbose boolean, keys text, OUT written bigint, OUT removed bigint, OUT seconds double precision,
	OUT without_customer bigint, OUT kept date, OUT since date, OUT population bytea[], OUT touched text, OUT newcomers text, OUT touched_nobody boolean, OUT read_again bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	started timestamptz := clock_timestamp();
	stored timestamptz;
	histories CONSTANT text := crm_profile_internal.source_history_query(src);
	progress CONSTANT text := CASE WHEN "verbose" THEN format('source "%s"', src.name) END;
	target CONSTANT regclass := format('%I.customer_history', src.name)::regclass;
	seqscan CONSTANT text := current_setting('enable_seqscan');
	work_mem CONSTANT text := current_setting('work_mem');
	-- whatever is read again contains what was noted by then
	taken CONSTANT text := CASE WHEN src.recorded_columns IS NOT NULL THEN format('taken AS (DELETE FROM %I.change_queue WHERE marker IS NULL)', src.name) END;
	orders text := coalesce(histories, crm_profile_internal.source_orders_query(src));
	stored_histories text := format('(SELECT h.ctid AS tid, h.* FROM %s h)', target);
	same_fresh CONSTANT text := crm_profile_internal.same_key(src.key_type, 'o.customer', 'n.customer');
	oldest CONSTANT date := CASE WHEN src.keep_history_before IS NULL THEN src.orders_since END;
	done record;
	moved date;
	dropped bigint;
	followed text := CASE WHEN keys IS NOT NULL THEN crm_profile_internal.population_followed(src, today, crm_profile_internal.counted(src, 'difference')) END;
	new_histories text := format(CASE WHEN histories IS NULL OR keys IS NOT NULL THEN 'crm_profile.collect_purchase_histories(NULL::%s, $1, $2)' ELSE 'crm_profile_internal.run_history_query(NULL::%s, $1)' END, src.key_type);
BEGIN
	kept := CASE WHEN src.keep_history_before IS NULL THEN src.kept_before ELSE NULLIF(src.keep_history_before, '-infinity') END;
	since := src.orders_since;
	touched := keys;
	newcomers := keys;
	IF keys = '{}' THEN
		written := 0;
		removed := 0;
		seconds := 0;
		RETURN;
	ELSIF keys IS NOT NULL THEN
		PERFORM set_config('enable_seqscan', 'off', true);
		-- a bitmap of the rows of some customers should not shrink to one of pages
		PERFORM set_config('work_mem', '64MB', true) WHERE pg_size_bytes(work_mem) < pg_size_bytes('64MB');
	END IF;
	SELECT NULL::bigint AS written INTO done;
	IF keys = 'recorded' THEN
		SELECT c.* INTO done FROM crm_profile_internal.write_changed_histories(src, target, progress, kept, oldest, followed) c;
		touched := done.keys;
		newcomers := done.newcomers;
		IF touched IS NULL THEN
			-- old orders may have been dropped
			keys := NULL;
			followed := NULL;
			PERFORM set_config('enable_seqscan', seqscan, true);
		END IF;
	ELSIF keys IS NOT NULL THEN
		orders := crm_profile_internal.changed_orders_query(src, keys);
		stored_histories := format('(SELECT h.ctid AS tid, h.* FROM (SELECT DISTINCT k FROM unnest(%L::%s[]) k) k JOIN %s h ON %s)', keys, src.key_type, target, crm_profile_internal.same_key(src.key_type, 'h.customer', 'k.k'));
	END IF;
	-- the index is created at the end of the first refresh, which is faster; there are no readers yet
	IF keys = 'recorded' THEN
		touched_nobody := done.without_customer;
		read_again := done.read_again;
	ELSIF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = target) THEN
		IF histories IS NULL THEN
			EXECUTE format('%s SELECT crm_profile_internal.store_purchase_histories(NULL::%s, $1, $2, $3)', 'WITH ' || taken, src.key_type) INTO written USING crm_profile_internal.source_orders_query(src), target, progress;
		ELSE
			EXECUTE format('INSERT INTO %s SELECT n.customer, n.history FROM %s n ORDER BY n.customer', target, new_histories) USING histories;
			GET DIAGNOSTICS written = ROW_COUNT;
		END IF;
		removed := 0;
		stored := clock_timestamp();
		EXECUTE format('CREATE UNIQUE INDEX customer_history_key ON %s (customer)', target);
		EXECUTE format('ANALYZE %s', target);
		IF "verbose" THEN
			PERFORM crm_profile_internal.refresh_progress(src.name, written, 'histories indexed', extract(epoch FROM clock_timestamp() - stored));
		END IF;
	ELSE
		BEGIN
			SELECT w.* INTO done FROM crm_profile_internal.write_histories(target, taken, crm_profile_internal.both_histories(new_histories, stored_histories, same_fresh), orders, progress, kept, oldest, followed, NULL) w;
			IF done.oldest_lost THEN
				moved := crm_profile_internal.oldest_stored(target, kept);
			END IF;
			IF moved > oldest THEN
				RAISE object_not_in_prerequisite_state USING MESSAGE = 'the oldest order moved forward';
			END IF;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			IF moved > oldest IS NOT TRUE THEN
				RAISE;
			END IF;
			-- the histories are unchanged: now keep the days that are no longer in the orders, unless these are missing
			-- for another reason
			dropped := crm_profile_internal.old_orders_dropped(new_histories, stored_histories, same_fresh, orders, progress, kept, moved);
			IF dropped IS NOT NULL THEN
				kept := moved;
				RAISE WARNING 'source "%": the orders before % are gone: the histories of % customers keep them', src.name, crm_profile_internal.iso_day(moved), dropped
					USING HINT = format('To have the histories follow the orders all the same: SELECT crm_profile.alter_source(%L, keep_history_before => ''-infinity'')', src.name);
			END IF;
			SELECT w.* INTO done FROM crm_profile_internal.write_histories(target, taken, crm_profile_internal.both_histories(new_histories, stored_histories, same_fresh), orders, progress, kept, NULL, followed, NULL) w;
		END;
	END IF;
	IF done.written IS NOT NULL THEN
		written := done.written;
		population := done.followed;
		removed := done.removed;
		IF kept IS NOT NULL AND src.keep_history_before IS NULL AND (written + removed > 0 OR since IS NULL OR dropped IS NOT NULL) THEN
			since := crm_profile_internal.oldest_stored(target, kept);
		END IF;
	END IF;
	PERFORM set_config('enable_seqscan', seqscan, true);
	PERFORM set_config('work_mem', work_mem, true);
	-- not counted on other machines
	without_customer := CASE WHEN histories IS NULL AND keys IS NULL THEN crm_profile_internal.orders_without_customer() END;
	seconds := round(extract(epoch FROM clock_timestamp() - started), 3);
	IF "verbose" THEN
		RAISE INFO 'source "%": % histories written, % removed, in % s', src.name, written, removed, round(seconds::numeric, 1);
	END IF;
END $$; -- first part of a refresh: collects the histories of the given customers (keys NULL: of all) and writes those that differ; kept: earlier days stay as stored; since: the day of the oldest order from then on; population: as it followed the changes, NULL: it did not; touched: keys whose histories were looked at, NULL: all; newcomers: of these, those who may not have had one before; touched_nobody: among them orders without a customer; read_again: customers whose orders were read though changes are noted as rows

CREATE FUNCTION crm_profile_internal.in_sample(key text, share double precision) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2; -- whether the key is in a sample of that share of all keys: the same on every machine, and a larger share has all of a smaller one

CREATE FUNCTION crm_profile_internal.log_score(probability double precision, came boolean) RETURNS double precision
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ln(greatest(1e-6, CASE WHEN came THEN probability ELSE 1 - probability END)); -- logarithmic score of a forecast probability

CREATE FUNCTION crm_profile_internal.attribute_options(src crm_profile.source_definition) RETURNS jsonb
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- at most 30 columns altogether
	RETURN crm_profile_internal.source_profile_options(src) || jsonb_build_object('ridge', 1, 'max_values', greatest(1, 30 / cardinality(src.attributes)));
END $$; -- options of clv_fit() with the attributes of a source

CREATE FUNCTION crm_profile_internal.attributes_gain(src crm_profile.source_definition, model text, record crm_profile.clv_record_line[], day_weights jsonb, share double precision, OUT gain double precision, OUT error double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	judged record;
	stretch record;
	n double precision := 0;
	total double precision := 0;
	squares double precision := 0;
BEGIN
	IF cardinality(src.attributes) > 30 THEN
		RETURN;
	END IF;
	-- the latest stretch shows how good a choice is; where there are others it has no say in it
	FOR judged IN SELECT l.fit_until, l.until FROM (SELECT DISTINCT r.fit_until, r.until, max(r.fit_until) OVER () AS latest, min(r.fit_until) OVER () AS first FROM unnest(record) r) l
			WHERE l.fit_until < l.latest OR l.latest = l.first LOOP
		EXECUTE format('WITH fit AS MATERIALIZED (SELECT crm_profile.clv_fit(h.history, $1, $3, NULL, NULL, $6) AS plain, crm_profile.clv_fit(h.history, $1, $3, NULL, NULL, given, $4, $6) AS own FROM %1$s h%2$s%3$s)
			SELECT count(s.gain) AS n, crm_profile_internal.decimal_sum(s.gain) AS total, crm_profile_internal.decimal_sum(s.gain * s.gain) AS squares
			FROM (SELECT crm_profile_internal.log_score(crm_profile.probability_of_purchase(h.history, f.own, $1, make_interval(days => $5 - $1), given), c.came)
					- crm_profile_internal.log_score(crm_profile.probability_of_purchase(h.history, f.plain, $1, make_interval(days => $5 - $1)), c.came) AS gain
				FROM fit f, %1$s h%2$s CROSS JOIN LATERAL (SELECT crm_profile.purchase_days(h.history, $5) > crm_profile.purchase_days(h.history, $1) AS came) c%3$s) s',
				crm_profile_internal.counted(src), crm_profile_internal.source_given(src, 'h.customer'), ' WHERE ($2 = 1 OR crm_profile_internal.in_sample(h.customer::text, $2))')
			INTO stretch USING judged.fit_until, share, model, crm_profile_internal.attribute_options(src), judged.until, day_weights;
		n := n + stretch.n;
		total := total + coalesce(stretch.total, 0);
		squares := squares + coalesce(stretch.squares, 0);
	END LOOP;
	IF n > 1 THEN
		gain := total / n;
		error := sqrt(greatest(0, squares / n - gain * gain) / n);
	END IF;
EXCEPTION WHEN program_limit_exceeded THEN
	-- more columns than a fit takes, as sets of many members make them
	RAISE DEBUG 'source "%": attributes are not tried: %', src.name, SQLERRM;
END $$; -- what it would have gained to know the attributes of customers, in the stretches of a record of forecasts: log-likelihood, by customer, of buying or not; NULL: not tried

CREATE FUNCTION crm_profile_internal.refresh_effects(src crm_profile.source_definition, keys text, customer_keys text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	known boolean;
	among text;
BEGIN
	EXECUTE format('SELECT EXISTS (SELECT FROM %I.customer_effect)', src.name) INTO known;
	-- a table that is new is filled
	IF known AND keys IS NOT NULL THEN
		among := format('.customer %s ANY (%L::%s[] || %L::%3$s[])', crm_profile_internal.key_equality(src.key_type::regtype), keys, src.key_type, customer_keys);
	END IF;
	EXECUTE format('DELETE FROM %1$I.customer_effect x WHERE NOT EXISTS (SELECT FROM %1$I.customer_history h WHERE %2$s) AND %3$s', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'x.customer'), coalesce('x' || among, 'true'));
	-- the customer table may have a key twice
	EXECUTE format('INSERT INTO %1$I.customer_effect AS x SELECT DISTINCT ON (h.customer) h.customer, e.* FROM %1$I.customer_history h%2$s CROSS JOIN LATERAL crm_profile_internal.attribute_effects($1, given) e WHERE %3$s ORDER BY 1, 2, 3
		ON CONFLICT (customer) DO UPDATE SET buying = excluded.buying, leaving = excluded.leaving WHERE (x.buying, x.leaving) IS DISTINCT FROM (excluded.buying, excluded.leaving)',
		src.name, crm_profile_internal.source_given(src, 'h.customer'), coalesce('h' || among, 'true')) USING (crm_profile_internal.source_last_model(src)).clv;
END $$; -- part of a refresh: what attributes do to the model of repeat purchase, of the customers whose orders or own rows changed, by their keys; NULL: of all

CREATE FUNCTION crm_profile_internal.refresh_population(src crm_profile.source_definition, today date, changed boolean, population bytea[], fit boolean,
	OUT rfm crm_profile.rfm_model, OUT customer_base crm_profile.customer_base, OUT refit_seconds double precision)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	began CONSTANT timestamptz := clock_timestamp();
	tracked CONSTANT boolean := src.track_changes <> 'none';
	followed bytea[] := population;
	models record;
	unknown record;
BEGIN
	IF followed IS NULL AND tracked AND NOT changed THEN
		EXECUTE 'SELECT ' || crm_profile_internal.population_followed(src, today, '(SELECT NULL::crm_profile.purchase_history AS was, NULL::crm_profile.purchase_history AS history)') INTO followed;
	END IF;
	-- where models are fitted all histories are read anyway: then the values around the thresholds are taken anew, too
	IF followed IS NULL OR fit THEN
		EXECUTE format('SELECT crm_profile_internal.population_fit(history, $1, $2, $3, $4) FROM %s h', crm_profile_internal.counted(src)) INTO followed USING today, src.period, src.tier_by = 'profit', src.bins;
		refit_seconds := extract(epoch FROM clock_timestamp() - began);
	END IF;
	SELECT m.* INTO models FROM crm_profile_internal.population_models(followed) m;
	rfm := models.rfm;
	customer_base := models.customer_base;
	IF tracked THEN
		PERFORM crm_profile_internal.keep_population(src, followed);
	END IF;
	-- orders are told of all, and so is how old and new they are
	EXECUTE format('SELECT (u.base).* FROM (SELECT crm_profile.customer_base_fit(h.history, $1, $2, $3) AS base FROM %1$I.unknown_customer k JOIN %1$I.customer_history h ON %2$s) u', src.name,
		crm_profile_internal.same_key(src.key_type, 'h.customer', 'k.customer')) INTO unknown USING today, src.period, src.tier_by = 'profit';
	IF unknown.customers > 0 THEN
		customer_base.customers := coalesce((customer_base).customers, 0) + unknown.customers;
		customer_base.orders := coalesce((customer_base).orders, 0) + unknown.orders;
		customer_base.oldest_order := least((customer_base).oldest_order, unknown.oldest_order);
		customer_base.newest_order := greatest((customer_base).newest_order, unknown.newest_order);
	END IF;
END $$; -- part of a refresh: thresholds and counts, from the population that followed the changes or, where that is NULL, from all histories; refit_seconds: what the latter took

CREATE FUNCTION crm_profile_internal.refresh_models(src crm_profile.source_definition, today date, started timestamptz, changed boolean, flipped boolean, population bytea[], fit boolean, test boolean, verbose boolean, OUT customer_base crm_profile.customer_base,
	OUT refit_seconds double precision, OUT clv_seconds double precision, OUT holdout_seconds double precision, OUT clv_status text, OUT by_attributes boolean)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	-- how a fit ended is in the model and shown by refresh() and model_card: no WARNING every night
	SET client_min_messages = error AS $$
DECLARE
	max_fitted CONSTANT double precision := 250000;
	max_tested CONSTANT double precision := 100000;
	max_recorded CONSTANT double precision := 50000;
	max_given CONSTANT double precision := 10000;
	basis CONSTANT text := CASE src.tier_by WHEN 'profit' THEN 'profit' ELSE 'revenue' END;
	began timestamptz := clock_timestamp();
	seconds double precision;
	new record;
	model crm_profile.source_model := crm_profile_internal.source_last_model(src);
	rfm crm_profile.rfm_model;
	clv crm_profile.clv_model;
	fitted crm_profile.clv_model;
	predicted crm_profile.value_tiers;
	fit_share double precision;
	choice record;
	clv_record crm_profile.clv_record_line[];
	holdout crm_profile.clv_holdout_line[];
	holdout_fit_until date;
	holdout_until date;
	holdout_share double precision;
	day_weights CONSTANT jsonb := CASE WHEN fit OR test THEN crm_profile_internal.source_day_weights(src) END;
	sample CONSTANT text := ' WHERE $2 = 1 OR crm_profile_internal.in_sample(h.customer::text, $2)';
	given text := '';
BEGIN
	IF changed IS NOT FALSE OR flipped OR fit OR model.as_of <> today THEN
		SELECT p.* INTO new FROM crm_profile_internal.refresh_population(src, today, changed, population, fit) p;
		refit_seconds := new.refit_seconds;
		rfm := new.rfm;
		customer_base := new.customer_base;
	ELSE
		rfm := model.rfm;
		customer_base := src.customer_base;
	END IF;
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF "verbose" THEN
		RAISE INFO 'source "%": thresholds of % customers % in % s', src.name, coalesce((customer_base).customers, 0), CASE WHEN refit_seconds IS NULL THEN 'followed' ELSE 'found' END, round(seconds::numeric, 1);
	END IF;

	-- figures that are not found anew stay as they are
	clv := model.clv;
	clv_record := CASE src.clv_model WHEN 'auto' THEN model.clv_record END;
	predicted.a_from := model.predicted_a_from;
	predicted.b_from := model.predicted_b_from;
	holdout_until := least(today, (customer_base).newest_order);
	began := clock_timestamp();
	IF test AND src.clv_model = 'auto' THEN
		EXECUTE format('SELECT crm_profile.clv_record(history, $1, $3, $4) FROM %s h', crm_profile_internal.counted(src)) || sample
			INTO clv_record USING holdout_until, least(1, max_recorded / greatest((customer_base).customers, 1)), src.horizon_days, day_weights;
	END IF;
	SELECT coalesce(c.model, CASE src.clv_model WHEN 'auto' THEN 'mbg/nbd' ELSE src.clv_model END) AS model, c.pace INTO choice FROM crm_profile.clv_choice(clv_record) c;
	IF test THEN
		model.attributes_gain := NULL;
		model.attributes_error := NULL;
		IF clv_record IS NOT NULL AND src.attributes IS NOT NULL THEN
			SELECT g.gain, g.error INTO model.attributes_gain, model.attributes_error
				FROM crm_profile_internal.attributes_gain(src, choice.model, clv_record, day_weights, least(1, max_given / greatest((customer_base).customers, 1))) g;
		END IF;
	END IF;
	by_attributes := src.attributes IS NOT NULL AND crm_profile_internal.attributes_earn_it(model.attributes_gain, model.attributes_error);
	-- a fit with attributes takes many times as long
	fit_share := least(1, CASE WHEN by_attributes THEN max_given * 4 ELSE max_fitted END / greatest((customer_base).customers, 1));
	IF by_attributes THEN
		given := crm_profile_internal.source_given(src, 'h.customer');
	END IF;
	IF test THEN
		holdout_fit_until := holdout_until - least(src.horizon_days, (holdout_until - (customer_base).oldest_order) / 3);
		holdout_share := least(1, max_tested / greatest((customer_base).customers, 1));
	END IF;
	-- both at once, where there are workers
	EXECUTE format('SELECT m.model, m.holdout, coalesce(m.test_seconds, 0) FROM crm_profile_internal.clv_fit_and_test(%s, %s) m WHERE $9', CASE WHEN fit AND NOT by_attributes
			THEN format('(SELECT crm_profile_internal.clv_fit_state(h.history, $1, $3, NULL, $4, $5) FROM %s h%s)', crm_profile_internal.counted(src), sample) ELSE 'NULL' END,
			CASE WHEN holdout_fit_until < holdout_until THEN format('(SELECT crm_profile_internal.clv_holdout_state(h.history, $6, $8, $3, NULL, $4, $5) FROM %s h%s)', crm_profile_internal.counted(src), replace(sample, '$2', '$7')) ELSE 'NULL' END)
		INTO fitted, holdout, holdout_seconds USING today, fit_share, choice.model, basis, day_weights, holdout_fit_until, holdout_share, holdout_until, fit OR test;
	IF fit THEN
		IF by_attributes THEN
			EXECUTE format('SELECT crm_profile.clv_fit(h.history, $1, $3, NULL, $4, given, $5, $6) FROM %s h', crm_profile_internal.counted(src)) || given || sample
				INTO fitted USING today, fit_share, choice.model, basis, crm_profile_internal.attribute_options(src), day_weights;
		END IF;
		clv := fitted;
		clv := crm_profile.with_pace(clv, coalesce(choice.pace, 1));
		EXECUTE format('SELECT (t.t).* FROM (SELECT crm_profile.value_tiers_fit(crm_profile_internal.source_clv_365d(h.history, %s, $1)) AS t FROM %s h%s) t',
				CASE WHEN by_attributes THEN 'crm_profile.with_attributes($2, given)' ELSE '$2' END, crm_profile_internal.counted(src), given)
			INTO predicted USING today, clv;
		clv_seconds := extract(epoch FROM clock_timestamp() - began) - holdout_seconds;
		IF "verbose" THEN
			RAISE INFO 'source "%": % fitted in % s: %', src.name, choice.model, round(clv_seconds::numeric, 1), coalesce((crm_profile.clv_model_card(clv)).status, 'no purchase');
		END IF;
	END IF;
	clv_status := (crm_profile.clv_model_card(clv)).status;

	IF NOT test THEN
		holdout_seconds := NULL;
	ELSE
		IF "verbose" THEN
			RAISE INFO 'source "%": forecasts of % to % tested in % s', src.name, holdout_fit_until, holdout_until, round(holdout_seconds::numeric, 1);
		END IF;
		model.holdout := holdout;
		model.holdout_fit_until := CASE WHEN holdout IS NOT NULL THEN holdout_fit_until END;
		model.holdout_until := CASE WHEN holdout IS NOT NULL THEN holdout_until END;
		model.holdout_share := CASE WHEN holdout IS NOT NULL THEN holdout_share END;
	END IF;

	model.fitted_at := started;
	model.as_of := today;
	model.rfm := rfm;
	model.deciles := (customer_base).deciles;
	model.horizon_days := src.horizon_days;
	model.scheme := src.scheme;
	model.segments := crm_profile.compile_scheme(src.scheme);
	model.active_days := coalesce(src.active_days, (customer_base).active_days, 90);
	model.a_from := (customer_base).a_from;
	model.b_from := (customer_base).b_from;
	model.customers := coalesce((customer_base).customers, 0);
	model.oldest_order := (customer_base).oldest_order;
	model.newest_order := (customer_base).newest_order;
	model.clv := clv;
	model.clv_choice := CASE WHEN fit THEN choice.model ELSE model.clv_choice END;
	model.clv_record := clv_record;
	model.predicted_a_from := predicted.a_from;
	model.predicted_b_from := predicted.b_from;
	model.fit_share := CASE WHEN fit THEN fit_share ELSE model.fit_share END;
	PERFORM crm_profile_internal.source_keep_model(src, model);
END $$; -- second part of a refresh: finds thresholds, tiers and counts; with fit, fits the models of repeat purchase; with test, tests their forecasts; stores all of it

CREATE FUNCTION crm_profile_internal.refresh_findings(src crm_profile.source_definition, today date, started timestamptz, without_customer bigint, kept date, fit boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = error AS $$
DECLARE
	model crm_profile.source_model := crm_profile_internal.source_last_model(src);
	unassigned CONSTANT crm_profile.purchase_history := model.unassigned;
	columns text;
	key_number smallint;
	lines_problem text := (SELECT p FROM unnest(model.scheme_problems) p WHERE NOT fit AND p LIKE 'some order lines%');
BEGIN
	model.fitted_at := started;
	-- as one customer, so that lines of an order are summed like those of customers
	IF without_customer IS DISTINCT FROM -1 THEN
		model.unassigned := NULL;
	END IF;
	IF without_customer > 0 OR without_customer IS NULL THEN
		SELECT string_agg(', o.' || quote_ident(c), '' ORDER BY c) INTO columns FROM unnest(ARRAY[CASE WHEN src.cost IS NOT NULL THEN 'cost' END, CASE WHEN src.order_key IS NOT NULL THEN 'order_key' END]) c WHERE c IS NOT NULL;
		SELECT c.history INTO model.unassigned
			FROM crm_profile.collect_purchase_histories(NULL::integer, format('SELECT 1 AS customer, o.ordered_at, o.amount%s FROM (%s) o WHERE o.customer IS NULL', columns, crm_profile_internal.source_orders_query(src))) c;
	END IF;
	IF without_customer IS DISTINCT FROM -1 THEN
		model.unassigned := crm_profile_internal.kept_history(unassigned, model.unassigned, kept);
	END IF;

	IF fit THEN
		SELECT a.attnum INTO key_number FROM pg_attribute a WHERE a.attrelid = src.customers::regclass AND a.attname = src.customer_key;
		EXECUTE format('SELECT count(*), %s FROM %s c', CASE
				WHEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = src.customers::regclass AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indkey[0] = key_number AND i.indpred IS NULL)
				THEN '0' ELSE format('count(c.%1$I) - count(DISTINCT c.%1$I)', src.customer_key) END, src.customers)
			INTO model.customer_rows, model.repeated_keys;

		EXECUTE format('SELECT coalesce(jsonb_object_agg(n.conflict, n.customers), ''{}'') FROM (SELECT k.conflict, count(*) AS customers FROM %s h%s CROSS JOIN LATERAL unnest(ARRAY[%s]) own(clv)
				CROSS JOIN LATERAL unnest(ARRAY[crm_profile.lifecycle(h.history, $1, $2, own.clv)]) l(lifecycle)
				CROSS JOIN LATERAL unnest(crm_profile.label_conflicts(crm_profile.segment(crm_profile.rfm_score(h.history, $4, $1), $5, l.lifecycle), $5, l.lifecycle, crm_profile.p_alive(h.history, own.clv, $1), NULL)) k(conflict)
			WHERE $6 = 1 OR crm_profile_internal.in_sample(h.customer::text, $6) GROUP BY k.conflict) n', crm_profile_internal.counted(src),
				CASE WHEN src.by_attributes THEN format(' LEFT JOIN %I.customer_effect x ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'x.customer', 'h.customer')) END,
				CASE WHEN src.by_attributes THEN 'crm_profile_internal.with_effects(crm_profile_internal.without_attributes($3), x.buying, x.leaving)' ELSE '$3' END)
			INTO model.conflicts USING today, model.active_days, model.clv, model.rfm, model.segments, least(1, 100000 / greatest(model.customers, 1)::double precision);
		EXECUTE format('SELECT CASE WHEN count(g.gap) >= 20 THEN ceil(crm_profile_internal.median(g.gap))::integer END
				FROM (SELECT (crm_profile_internal.second_purchase(h.history, $1) - crm_profile.first_purchase(h.history, $1))::double precision AS gap FROM %s h WHERE $2 = 1 OR crm_profile_internal.in_sample(h.customer::text, $2)) g', crm_profile_internal.counted(src))
			INTO model.second_purchase_days USING today, least(1, 100000 / greatest(model.customers, 1)::double precision);
		PERFORM crm_profile_internal.refresh_labels(src, today);
		IF src.line_query IS NOT NULL THEN
			lines_problem := crm_profile_internal.refresh_complements(src);
		END IF;
	END IF;

	WITH problem AS (
		SELECT s.problem, s.segments, substring(s.detail FROM 'have a (.+) of ') AS dimension, substring(s.detail FROM 'At least ([0-9]+) %')::integer AS percent, s.place
		FROM crm_profile.check_scheme(model.segments, model.rfm) WITH ORDINALITY s(problem, cell, segments, detail, place))
	SELECT array_agg(v.problem ORDER BY v.place) INTO model.scheme_problems FROM (
		SELECT 1 AS place, 'at least 60 % have the same ' || string_agg(p.dimension, ', and the same ' ORDER BY p.place) || ': such scores tell little' AS problem
			FROM problem p WHERE p.problem = 'tied scores' AND p.percent >= 60
		UNION ALL SELECT 2, 'no customer can be ' || string_agg(p.segments[1], ', ' ORDER BY p.place) || ': each of their cells needs a score that nobody has' FROM problem p WHERE p.problem = 'empty segment'
		UNION ALL SELECT 3, lines_problem) v
		WHERE v.problem IS NOT NULL;
	PERFORM crm_profile_internal.source_keep_model(src, model);
END $$; -- part of a refresh: stores findings about the data and the labels; without_customer: number of orders without one, NULL if not counted, -1 for no change; fit: includes what takes long

CREATE FUNCTION crm_profile_internal.source_repair(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	change record;
	key_type text;
BEGIN
	SELECT c.* INTO change FROM crm_profile_internal.source_changes(src) c ORDER BY c.argument NULLS LAST LIMIT 1;
	IF change.argument IS NOT NULL THEN
		RAISE undefined_table USING MESSAGE = format('source "%s": %s', src.name, change.problem), HINT = upper(left(change.remedy, 1)) || substr(change.remedy, 2) || '.';
	ELSIF change.problem IS NULL THEN
		src.grants := crm_profile_internal.source_grants(src);
		RETURN src;
	END IF;
	SELECT format_type(crm_profile_internal.base_type(a.atttypid), -1) INTO key_type
		FROM pg_attribute a WHERE a.attrelid = src.customers::regclass AND a.attname = src.customer_key AND NOT a.attisdropped;
	IF key_type <> src.key_type THEN
		RAISE datatype_mismatch USING MESSAGE = format('source "%s": the key %s of %s has type %s now; it had %s', src.name, src.customer_key, src.customers, key_type, src.key_type),
			HINT = 'Drop the source and create it again, or name another customer_key with alter_source().';
	END IF;
	RAISE NOTICE 'source "%": %; they are rebuilt', src.name, change.problem;
	RETURN crm_profile_internal.source_build(src);
END $$; -- rebuilds views that are missing or read a table that was renamed; an error if that would not help

CREATE FUNCTION crm_profile_internal.source_warn(source text, finding text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	reason CONSTANT text := substring(finding FROM ': (.*)$');
BEGIN
	-- a message should fit on a line, so the reason becomes its detail
	IF finding IS NULL THEN
		RETURN;
	ELSIF reason IS NULL THEN
		RAISE WARNING 'source "%": %', source, finding;
	ELSE
		RAISE WARNING 'source "%": %', source, split_part(finding, ': ', 1) USING DETAIL = upper(left(reason, 1)) || substr(reason, 2) || '.';
	END IF;
END $$; -- raises a finding as a WARNING, with the part after its colon as the detail

CREATE FUNCTION crm_profile_internal.identify_histories(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('LOCK TABLE %I.customer_history IN ACCESS EXCLUSIVE MODE NOWAIT', src.name);
	EXECUTE format('ALTER TABLE %I.customer_history REPLICA IDENTITY USING INDEX customer_history_key', src.name);
EXCEPTION WHEN lock_not_available THEN
	-- somebody reads, and is not to be waited for: the next alter_source does it
	NULL;
END $$; -- makes the key the replica identity of customer_history, at the end of the first refresh: it was the whole row, and a change later on would stop subscribers

CREATE FUNCTION crm_profile_internal.refresh_as_owner(src crm_profile.source_definition, "nowait" boolean, verbose boolean,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint, OUT seconds numeric)
	RETURNS SETOF record
	-- the work is in C: compiling the queries around it takes seconds, also for a few customers, and gains nothing
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
	histories record;
	models record;
	matched record;
	without_customer bigint;
	changes record;
	flips bigint;
	due record;
	match_seconds double precision;
	fit_seconds double precision;
	profile_seconds double precision;
	profiles_changed bigint;
	looked_at text;
	began timestamptz;
	kept_seconds double precision;
	was crm_profile.source_model;
	started CONSTANT timestamptz := clock_timestamp();
	today CONSTANT date := coalesce(src.as_of, (started AT TIME ZONE src.time_zone)::date);
	finding text;
	conditions text[];
BEGIN
	PERFORM crm_profile_internal.make_slot(src);
	PERFORM crm_profile_internal.write_noted_changes();
	src := crm_profile_internal.source_repair(src);
	was := crm_profile_internal.source_last_model(src);
	SELECT c.* INTO changes FROM crm_profile_internal.take_changes(src) c;
	src := changes.src;
	SELECT i.keys INTO changes.keys FROM crm_profile_internal.refresh_identity(src, changes.keys, changes.customer_keys) i;
	SELECT h.* INTO histories FROM crm_profile_internal.refresh_histories(src, today, "verbose", changes.keys) h;
	IF histories.population IS NOT NULL THEN
		PERFORM crm_profile_internal.keep_population(src, histories.population);
	END IF;
	-- the population goes by who was known, and then follows who came to be
	flips := crm_profile_internal.refresh_known(src, today, histories.newcomers, CASE WHEN histories.touched IS NOT NULL THEN changes.customer_keys END, histories.touched);
	IF flips > 0 AND histories.population IS NOT NULL THEN
		EXECUTE format('SELECT array_agg(p.content ORDER BY p.part) FROM %I.population p', src.name) INTO histories.population;
	END IF;
	changes.keys := histories.touched;
	src.tracking := src.tracking || jsonb_build_object('read_again', histories.read_again);
	changes.without_customer := coalesce(histories.touched_nobody, changes.without_customer);
	src.kept_before := CASE WHEN src.keep_history_before IS NULL THEN histories.kept END;
	without_customer := CASE WHEN changes.keys IS NOT NULL AND NOT changes.without_customer THEN -1 ELSE histories.without_customer END;
	SELECT d.* INTO due FROM crm_profile_internal.fits_due(src, histories.written + histories.removed + greatest(flips, changes.customers_changed), today) d;
	src := due.src;
	SELECT m.* INTO models FROM crm_profile_internal.refresh_models(src, today, started, changes.without_customer OR histories.written + histories.removed > 0, flips > 0, histories.population, due.fit, due.test, "verbose") m;
	conditions := crm_profile_internal.scheme_conditions((crm_profile_internal.source_last_model(src)).segments);
	IF models.by_attributes IS DISTINCT FROM coalesce(src.by_attributes, false) OR conditions IS DISTINCT FROM src.conditions THEN
		src.by_attributes := models.by_attributes;
		IF conditions IS DISTINCT FROM src.conditions THEN
			src := crm_profile_internal.source_resolve_conditions(src, conditions);
		END IF;
		PERFORM crm_profile_internal.source_build_views(src);
	END IF;
	IF src.by_attributes THEN
		PERFORM crm_profile_internal.refresh_effects(src, CASE WHEN NOT due.fit AND changes.customer_keys IS NOT NULL THEN changes.keys END, changes.customer_keys);
	END IF;
	PERFORM crm_profile_internal.refresh_findings(src, today, started, without_customer, histories.kept, due.fit);
	fit_seconds := extract(epoch FROM clock_timestamp() - started) - histories.seconds;
	IF src.materialize THEN
		looked_at := CASE WHEN models.refit_seconds IS NULL THEN crm_profile_internal.profiles_to_look_at(src, was, crm_profile_internal.source_last_model(src), changes.keys, changes.customer_keys) END;
		SELECT p.seconds, p.changed INTO profile_seconds, profiles_changed FROM crm_profile_internal.refresh_profiles(src, today, "verbose", looked_at) p;
		began := clock_timestamp();
		PERFORM crm_profile_internal.refresh_kept(src, today, due.fit OR histories.written + histories.removed + coalesce(flips, 0) + profiles_changed > 0, looked_at IS NOT NULL);
		kept_seconds := extract(epoch FROM clock_timestamp() - began);
	END IF;
	IF due.fit THEN
		SELECT m.* INTO matched FROM crm_profile_internal.refresh_matches(src, started, "verbose") m;
		match_seconds := matched.seconds;
		finding := crm_profile_internal.match_problem(src, was);
		src.best_customers := matched.best;
		src.other_customers := matched.others;
		-- once, not at each refresh: sources and data_quality keep saying it
		IF split_part(finding, ':', 1) IS DISTINCT FROM split_part(crm_profile_internal.match_problem(src, crm_profile_internal.source_last_model(src)), ':', 1) THEN
			PERFORM crm_profile_internal.source_warn(src.name, crm_profile_internal.match_problem(src, crm_profile_internal.source_last_model(src)));
		END IF;
	END IF;
	PERFORM crm_profile_internal.refresh_quality(src, started, changes.keys IS NULL OR due.fit);
	src.customer_base := models.customer_base;
	src.orders_since := CASE WHEN src.kept_before IS NULL THEN (src.customer_base).oldest_order ELSE histories.since END;
	src.last_refresh := started;
	src.refresh_seconds := round(extract(epoch FROM clock_timestamp() - started), 3);
	SELECT jsonb_object_agg(p.phase, round(p.seconds::numeric, 3)) INTO src.refresh_phases
		FROM (VALUES ('collect', histories.seconds), ('fit', fit_seconds), ('refit', models.refit_seconds), ('clv', models.clv_seconds), ('holdout', models.holdout_seconds),
			('profiles', profile_seconds), ('kept', kept_seconds), ('match', match_seconds)) p(phase, seconds) WHERE p.seconds IS NOT NULL;
	PERFORM crm_profile_internal.source_write(src);
	PERFORM crm_profile_internal.mend_tracking(src, changes.problem);
	FOR finding IN SELECT f FROM crm_profile_internal.model_findings(crm_profile_internal.source_last_model(src), today) f LOOP
		PERFORM crm_profile_internal.source_warn(src.name, finding);
	END LOOP;
	IF was.id IS NULL THEN
		PERFORM crm_profile_internal.identify_histories(src);
	END IF;
	orders := coalesce((src.customer_base).orders, 0);
	customers := coalesce((src.customer_base).customers, 0);
	customers_written := histories.written;
	customers_removed := histories.removed;
	seconds := round(src.refresh_seconds::numeric, 3);
	RETURN NEXT;
END $$; -- runs as the owner of the source: refresh()

CREATE FUNCTION crm_profile.refresh(name text, "nowait" boolean DEFAULT false, verbose boolean DEFAULT false,
	OUT orders bigint, OUT customers bigint, OUT customers_written bigint, OUT customers_removed bigint, OUT seconds numeric)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'change_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 1; -- reads the orders of a source, writes the histories that differ and fits the models, all as the owner of the source and in one transaction; nowait: an error if another refresh is running
