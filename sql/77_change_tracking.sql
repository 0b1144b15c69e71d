-- Change tracking: refreshes that read only the orders of changed customers

---------------------------------------------------------------- noting changes

CREATE FUNCTION crm_profile_internal.note_changed_customer() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE; -- trigger on the orders of a source with track_changes => 'keys': notes the old and the new row, or their customers, and writes them into the queue when the transaction commits

CREATE FUNCTION crm_profile_internal.write_noted_changes() RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE; -- writes the changes into the queues that this transaction has noted so far, since a refresh in it will see them

CREATE FUNCTION crm_profile_internal.track_table(queue regclass, relation regclass, column_name name, watched name[]) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE; -- makes, or mends, the trigger by which changes of a relation go into a queue, and drops the others of that queue; watched: columns without a change of which an update is none, empty: each counts; relation NULL: there is none any more

CREATE FUNCTION crm_profile_internal.trace_column(query text, column_name text, OUT relation oid, OUT column_traced text, OUT problem text, OUT columns name[])
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000; -- the table column behind a column of a query, if each row of the query is a row of that table and depends on nothing else; problem: why it is not; columns: those of the table that the query reads, NULL: a view is between, or more than columns is read

CREATE FUNCTION crm_profile_internal.queue_columns(relation regclass, column_name name, recorded name[]) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT format('customers %s, queued_at timestamp with time zone, marker text%s', min(c.type) FILTER (WHERE c.place = 0),
			', added boolean[], ' || string_agg(format('order_%s %s', c.place, c.type), ', ' ORDER BY c.place) FILTER (WHERE c.place > 0))
		FROM (SELECT u.place, format_type(t.typarray, -1) || CASE WHEN a.attcollation NOT IN (0, 100) THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END AS type
			FROM (SELECT column_name AS name, 0 AS place UNION ALL SELECT r.name, r.place FROM unnest(recorded) WITH ORDINALITY r(name, place)) u
			JOIN pg_attribute a ON a.attrelid = relation AND a.attname = u.name JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid)) c);
COMMENT ON FUNCTION crm_profile_internal.queue_columns IS 'the columns of a queue of the changes of a relation: keys and, if columns of it are recorded, an array of each';

CREATE FUNCTION crm_profile_internal.is_queue(queue regclass, columns text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN EXISTS (SELECT FROM pg_class q WHERE q.oid = queue AND q.relkind = 'r' AND NOT q.relhasindex) AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = queue)
		AND columns = (SELECT string_agg(concat(a.attname, ' ', format_type(a.atttypid, -1), CASE WHEN a.attcollation NOT IN (0, 100) THEN ' COLLATE ' || a.attcollation::regcollation END), ', ' ORDER BY a.attnum)
			FROM pg_attribute a WHERE a.attrelid = queue AND a.attnum > 0);
COMMENT ON FUNCTION crm_profile_internal.is_queue IS 'whether a table is a queue with such columns, into which the trigger writes without checks';

CREATE FUNCTION crm_profile_internal.tracked_leaves(queue regclass, relation regclass, column_name name, recorded name[], OUT leaf oid, OUT state text, OUT problem text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		WITH RECURSIVE member AS (
				SELECT relation::oid AS oid
				UNION SELECT i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.oid),
			linked AS (
				SELECT d.objid AS oid FROM pg_depend d
					WHERE d.classid = 'pg_trigger'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = queue AND d.deptype = 'a'
				UNION SELECT t.oid FROM linked l JOIN pg_trigger t ON t.tgparentid = l.oid),
			firing AS (
				SELECT t.oid, t.tgrelid, t.tgenabled, concat(t.xmin, t.ctid) AS written FROM pg_trigger t WHERE t.oid IN (SELECT l.oid FROM linked l)),
			made AS (
				SELECT crm_profile_internal.is_queue(queue, crm_profile_internal.queue_columns(relation, column_name, recorded)) AS as_it_should)
		SELECT c.oid,
			-- things that do not stay the same: the file of a table that was truncated or rewritten, the columns that
			-- are read, the row of a trigger that was disabled and enabled again, that of a queue that had
			-- another form for a time
			concat_ws(' ', c.relfilenode, (SELECT string_agg(concat(a.attnum, ' ', a.atttypid, ' ', a.xmin, a.ctid), ' ' ORDER BY a.attname = column_name DESC, a.attname) FROM pg_attribute a
				WHERE a.attrelid = c.oid AND (a.attname = column_name OR a.attname = ANY (recorded))), f.oid, f.tgenabled, f.written, (SELECT q.xmin::text FROM pg_class q WHERE q.oid = queue),
				-- what this transaction has made or truncated, it can truncate again without a trace
				CASE WHEN c.xmin::text::numeric = pg_current_xact_id_if_assigned()::text::numeric % 4294967296 THEN 'new' END),
			CASE
				WHEN c.relkind <> 'r' THEN format('changes of %s fire no triggers', c.oid::regclass)
				WHEN f.oid IS NULL THEN format('%s has lost its trigger', c.oid::regclass)
				WHEN f.tgenabled <> 'A' THEN format('the trigger on %s is switched off, or not always on', c.oid::regclass)
				WHEN m.as_it_should IS NOT TRUE THEN format('the table %s is another than create_source() made', queue) END
		FROM made m, member r JOIN pg_class c ON c.oid = r.oid AND c.relkind <> 'p' LEFT JOIN firing f ON f.tgrelid = c.oid;
	END; -- the tables that hold the rows of a relation, each with a stamp that shows whether all its changes went into the queue; problem: why they do not

CREATE FUNCTION crm_profile_internal.tracked_state(src crm_profile.source_definition, queue regclass) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT coalesce(jsonb_object_agg(l.leaf, l.state), '{}')
		FROM crm_profile_internal.tracked_leaves(queue, to_regclass(src.tracked_table), src.tracked_column::name, coalesce(src.recorded_columns, '{}')) l);
COMMENT ON FUNCTION crm_profile_internal.tracked_state IS 'the state of all tables that hold the orders of a source: as long as it stays, their changes went into the queue';

---------------------------------------------------------------- what can be tracked

CREATE FUNCTION crm_profile_internal.source_resolve_tracking(src crm_profile.source_definition, changed_query text, path text) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	works CONSTANT text := 'It works where orders is a table, partitioned or not, order_customer a column of it, and the other arguments read nothing else. Elsewhere a column that moves forward with each change can tell most of them.';
	integers CONSTANT regtype[] := '{smallint,integer,bigint}';
	traced record;
	whole record;
	type regtype;
	problem text;
BEGIN
	src.changed_query := NULL;
	src.tracked_table := NULL;
	src.tracked_column := NULL;
	IF src.track_changes = 'none' THEN
		RETURN src;
	ELSIF src.track_changes NOT LIKE 'column %' AND src.track_changes NOT IN ('keys', 'slot') THEN
		PERFORM crm_profile_internal.source_argument_error('track_changes', format('it is "%s"', src.track_changes), 'It is none, keys, slot, or column and the name of one.', NULL);
	END IF;
	src.changed_query := crm_profile_internal.source_canonical(changed_query, src.name, path);
	IF src.track_changes LIKE 'column %' THEN
		RETURN src;
	END IF;
	SELECT t.* INTO traced FROM crm_profile_internal.trace_column(src.changed_query, 'order_customer') t;
	IF src.elsewhere ? 'orders' THEN
		traced.problem := 'Citus distributes the orders, and refuses triggers on them';
	END IF;
	SELECT coalesce(traced.problem, CASE
			WHEN c.relkind = 'f' OR EXISTS (SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE l.relkind = 'f') THEN 'changes of a foreign table fire no triggers'
			WHEN c.relkind NOT IN ('r', 'p') THEN format('%s is no table', c.oid::regclass)
			WHEN c.relnamespace = 'pg_catalog'::regnamespace THEN format('%s is a system table', c.oid::regclass)
			WHEN EXISTS (SELECT FROM pg_inherits i JOIN pg_class l ON l.oid = i.inhrelid WHERE i.inhparent = c.oid AND NOT l.relispartition) THEN format('other tables inherit from %s', c.oid::regclass)
			WHEN (SELECT b.typarray FROM pg_type b WHERE b.oid = crm_profile_internal.base_type(a.atttypid)) = 0 THEN format('there are no arrays of %s', format_type(a.atttypid, -1))
			WHEN a.attgenerated = 'v' THEN format('column %s of %s is not stored', traced.column_traced, c.oid::regclass)
			WHEN src.track_changes = 'slot' THEN (SELECT min(l.problem) FROM crm_profile_internal.slot_leaves(c.oid, traced.column_traced::name) l)
			WHEN NOT has_table_privilege(c.oid, 'TRIGGER') THEN format('you may not create a trigger on %s', c.oid::regclass) END), a.atttypid
		INTO problem, type FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = traced.column_traced WHERE c.oid = traced.relation;
	problem := coalesce(problem, traced.problem);
	IF problem IS NULL AND src.track_changes = 'slot' THEN
		PERFORM crm_profile_internal.source_check_slot(src);
	END IF;
	IF problem LIKE 'you may not%' THEN
		RAISE insufficient_privilege USING MESSAGE = format('argument "track_changes" of the source: %s', problem), HINT = format('GRANT TRIGGER ON %s TO %I', traced.relation::regclass, current_user);
	ELSIF problem IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error('track_changes', format('%s cannot be had here: %s', src.track_changes, problem), works, CASE WHEN problem LIKE '%the log does not tell%'
			THEN format('ALTER TABLE %s REPLICA IDENTITY FULL, or USING INDEX one that has %I; or write track_changes => ''keys''.', substring(problem FROM 'for rows of (.*) that go,'), traced.column_traced)
			ELSE 'Write track_changes => ''column changed_at'', or whatever it is called, or leave it out: then every refresh reads all orders.' END);
	END IF;
	src.tracked_table := traced.relation::regclass::text;
	src.tracked_column := traced.column_traced;
	SELECT t.* INTO whole FROM crm_profile_internal.trace_column(src.orders_query, 'customer') t;
	type := crm_profile_internal.base_type(type);
	-- the bare column lets an index on it be used, which is correct if unequal keys are unequal as keys of customers,
	-- too
	IF whole.problem IS NULL OR NOT (type = ANY (integers) AND src.key_type::regtype = ANY (integers)) THEN
		src.changed_query := NULL;
	END IF;
	RETURN src;
END $$; -- part of source_resolve(): whether changes can be tracked as asked for; changed_query: the orders with an additional column order_customer, the customer's key as it is in their table

CREATE FUNCTION crm_profile_internal.recorded_orders(src crm_profile.source_definition, taken text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	src.orders_query := crm_profile_internal.source_orders_with(src, ', crm_profile_added AS added');
	RETURN crm_profile_internal.source_orders_from(src, format('(SELECT unnest(t.added) AS crm_profile_added, %s FROM %s t WHERE t.added IS NOT NULL)',
		(SELECT string_agg(format('unnest(t.order_%s) AS %I', r.place, r.name), ', ' ORDER BY r.place) FROM unnest(src.recorded_columns) WITH ORDINALITY r(name, place)), taken));
END $$; -- the query of orders, over those in rows taken from the queue, with a column added: whether they came or went

CREATE FUNCTION crm_profile_internal.source_recorded_columns(src crm_profile.source_definition) RETURNS name[]
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	most CONSTANT integer := 16;
	traced record;
	recorded name[];
BEGIN
	-- each order by itself
	IF src.track_changes <> 'keys' OR src.order_key IS NOT NULL
		-- rows of a partition that came and went between two refreshes would stay
		OR EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass(src.tracked_table) AND c.relkind = 'p') OR EXISTS (SELECT FROM crm_profile_internal.source_layers(src)) OR to_regclass(src.orders) IS DISTINCT FROM to_regclass(src.tracked_table) THEN
		RETURN NULL;
	END IF;
	SELECT t.* INTO traced FROM crm_profile_internal.trace_column(src.orders_query, 'customer') t;
	recorded := src.tracked_column::name || array_remove(traced.columns, src.tracked_column::name);
	IF traced.relation IS DISTINCT FROM src.tracked_table::regclass::oid OR traced.columns IS NULL OR cardinality(recorded) > most OR crm_profile_internal.source_orders_from(src, 'x') IS NULL
		-- a history is found by its key; one that has other spellings may be there under any of them
		OR crm_profile_internal.key_collation(src.customers::regclass, src.customer_key) <> ''
		OR EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid) WHERE a.attrelid = traced.relation AND a.attname = ANY (recorded)
			AND (a.attgenerated = 'v' OR t.typarray = 0 OR t.typtype NOT IN ('b', 'e'))) THEN
		RETURN NULL;
	END IF;
	RETURN recorded;
END $$; -- part of source_resolve(): the columns that changes are noted with, where a history follows from the rows that came and went; NULL: it does not

CREATE FUNCTION crm_profile_internal.tracked_customers(src crm_profile.source_definition, OUT relation regclass, OUT key name, OUT watched name[])
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- the columns that attributes or best name, or that tell who is who; without them there are but customers who come
	-- and go
	RETURN (SELECT ROW(c.oid::regclass, src.customer_key::name, src.customer_key::name || ARRAY(SELECT w.attname FROM pg_attribute w WHERE w.attrelid = c.oid AND w.attnum > 0 AND NOT w.attisdropped
			AND w.attname <> src.customer_key AND (strpos(lower(concat_ws(' ', array_to_string(src.attributes, ' '), src.best)), lower(w.attname)) > 0
				OR crm_profile_internal.source_correction(src, 'merge_customers') IS NOT NULL AND EXISTS (SELECT FROM crm_profile_internal.identity_rules(c.oid, src.customer_key) r WHERE strpos(r.value, quote_ident(w.attname)) > 0)) ORDER BY w.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = src.customer_key JOIN pg_type t ON t.oid = crm_profile_internal.base_type(a.atttypid)
		WHERE src.track_changes = 'keys' AND c.oid = to_regclass(src.customers) AND c.relkind IN ('r', 'p') AND c.relnamespace <> 'pg_catalog'::regnamespace AND t.typarray <> 0 AND a.attgenerated <> 'v'
			AND has_table_privilege(c.oid, 'TRIGGER') AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class l ON l.oid = i.inhrelid WHERE i.inhparent = c.oid AND NOT l.relispartition)
			AND NOT EXISTS (SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE l.relkind = 'f'));
COMMENT ON FUNCTION crm_profile_internal.tracked_customers IS 'the customer table, where triggers can tell its changes; NULLs: they cannot, and each refresh looks for them itself';

CREATE FUNCTION crm_profile_internal.build_queue(src crm_profile.source_definition, queue_name name, relation regclass, column_name name, watched name[], recorded name[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	queue regclass := to_regclass(format('%I.%I', src.name, queue_name));
	columns CONSTANT text := CASE WHEN relation IS NOT NULL THEN crm_profile_internal.queue_columns(relation, column_name, recorded) END;
	arguments CONSTANT bytea := (SELECT string_agg(convert_to(u.name, getdatabaseencoding()) || '\x00'::bytea, ''::bytea ORDER BY u.place) FROM unnest(column_name || watched) WITH ORDINALITY u(name, place));
BEGIN
	-- made anew where the columns have other types now, or somebody changed it
	IF queue IS NOT NULL AND crm_profile_internal.is_queue(queue, columns) IS NOT TRUE THEN
		PERFORM crm_profile_internal.track_table(queue, NULL, NULL, NULL);
		EXECUTE format('DROP TABLE %s', queue);
		queue := NULL;
	END IF;
	IF relation IS NULL THEN
		RETURN;
	ELSIF queue IS NULL THEN
		-- unlogged: it costs writers no WAL, and after a crash it is empty, which the next refresh sees by the marker
		EXECUTE format('CREATE UNLOGGED TABLE %I.%I (%s)', src.name, queue_name, columns);
		queue := format('%I.%I', src.name, queue_name)::regclass;
		-- without a policy: whatever was granted, the rows are the owner's
		EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', queue);
		EXECUTE format('COMMENT ON TABLE %s IS %L', queue, format('customers whose rows in %s changed since the last refresh', relation));
		EXECUTE format('COMMENT ON COLUMN %s.customers IS ''their keys, as they are there; NULL: their rows are here, or it was a row without one''', queue);
		EXECUTE format('COMMENT ON COLUMN %s.queued_at IS ''when the change was committed''', queue);
		EXECUTE format('COMMENT ON COLUMN %s.marker IS ''in the row of the last refresh that read everything: as long as it is there, so are all changes since''', queue);
		IF recorded <> '{}' THEN
			EXECUTE format('COMMENT ON COLUMN %s.added IS ''rows that came (true) or went''', queue);
			EXECUTE (SELECT string_agg(format('COMMENT ON COLUMN %s.order_%s IS %L', queue, r.place, format('their %s', r.name)), '; ') FROM unnest(recorded) WITH ORDINALITY r(name, place));
		END IF;
	END IF;
	-- only where there is something to do: it locks out who writes there
	IF NOT EXISTS (SELECT FROM crm_profile_internal.tracked_leaves(queue, relation, column_name, recorded))
		OR EXISTS (SELECT FROM crm_profile_internal.tracked_leaves(queue, relation, column_name, recorded) l WHERE l.problem IS NOT NULL)
		OR EXISTS (SELECT FROM pg_depend d JOIN pg_trigger t ON t.oid = d.objid WHERE d.classid = 'pg_trigger'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = queue
			AND d.deptype = 'a' AND (t.tgrelid <> relation OR t.tgargs <> arguments)) THEN
		PERFORM crm_profile_internal.track_table(queue, relation, column_name, watched);
	END IF;
END $$; -- a queue of changes of a source, and the trigger that fills it; relation NULL: there is to be none

CREATE FUNCTION crm_profile_internal.source_build_tracking(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	customers record;
BEGIN
	IF src.track_changes <> 'slot' THEN
		PERFORM crm_profile_internal.drop_slot(src.name);
	END IF;
	PERFORM crm_profile_internal.build_queue(src, 'change_queue', CASE src.track_changes WHEN 'keys' THEN src.tracked_table::regclass END, src.tracked_column::name, coalesce(src.recorded_columns, '{}'), coalesce(src.recorded_columns, '{}'));
	SELECT t.* INTO customers FROM crm_profile_internal.tracked_customers(src) t;
	PERFORM crm_profile_internal.build_queue(src, 'customer_queue', customers.relation, customers.key, customers.watched, '{}');
END $$; -- the queues of changes of a source, and the triggers that fill them, as its definition asks for

CREATE FUNCTION crm_profile_internal.source_build_population(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- what was learnt under another definition is worth nothing; a table that is needed stays, since a subscriber of
	-- logical replication would take another one of its name for the same, with the old rows
	IF src.track_changes = 'none' THEN
		PERFORM crm_profile_internal.source_drop_table(src, 'population');
		RETURN;
	ELSIF to_regclass(format('%I.population', src.name)) IS NOT NULL THEN
		EXECUTE format('DELETE FROM %I.population', src.name);
		RETURN;
	END IF;
	-- room for the histories that a refresh changes, beside the others of their page
	EXECUTE format('ALTER TABLE %I.customer_history SET (fillfactor = 85)', src.name);
	EXECUTE format('CREATE TABLE %I.population (part integer PRIMARY KEY, content bytea NOT NULL)', src.name);
	-- changed each time, and packed already
	EXECUTE format('ALTER TABLE %I.population ALTER COLUMN content SET STORAGE EXTERNAL', src.name);
	-- without a policy: whatever was granted, the rows are the owner's
	EXECUTE format('ALTER TABLE %I.population ENABLE ROW LEVEL SECURITY', src.name);
	EXECUTE format('COMMENT ON TABLE %I.population IS ''counts, and the sorted values around thresholds, by which a refresh lets them follow changes without reading all histories''', src.name);
	EXECUTE format('COMMENT ON COLUMN %I.population.part IS ''1: settings and counts; the others: values around thresholds''', src.name);
	EXECUTE format('COMMENT ON COLUMN %I.population.content IS ''as population_models() reads it''', src.name);
END $$; -- the table that thresholds and counts are maintained in, empty, where changes are tracked

CREATE FUNCTION crm_profile_internal.population_followed(src crm_profile.source_definition, today date, changes text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres'
	RETURN format('(SELECT crm_profile_internal.population_change(p.population, d.was, d.history, %L, %L, %L, %s)
		FROM (SELECT array_agg(s.content ORDER BY s.part) AS population FROM %I.population s) p LEFT JOIN %s d ON true)', today, src.period, src.tier_by = 'profit', src.bins, src.name, changes);
COMMENT ON FUNCTION crm_profile_internal.population_followed IS 'SQL of the stored population after changes, a relation of histories as they were (was) and are; NULL: it has to be made anew';

---------------------------------------------------------------- who counts

CREATE FUNCTION crm_profile_internal.source_build_unknown(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF to_regclass(format('%I.unknown_customer', src.name)) IS NOT NULL THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TABLE %I.unknown_customer (customer %s%s PRIMARY KEY)', src.name, src.key_type, crm_profile_internal.key_collation(src.customers::regclass, src.customer_key));
	-- without a policy: whatever was granted, the rows are the owner's
	EXECUTE format('ALTER TABLE %I.unknown_customer ENABLE ROW LEVEL SECURITY', src.name);
	EXECUTE format('COMMENT ON TABLE %I.unknown_customer IS ''customers with orders whom the customer table did not have at the last refresh: thresholds, tiers and models do not count them''', src.name);
	EXECUTE format('COMMENT ON COLUMN %I.unknown_customer.customer IS ''their key''', src.name);
	-- one that is made anew is filled by looking for all of them
	IF to_regclass(format('%I.customer_queue', src.name)) IS NOT NULL THEN
		EXECUTE format('DELETE FROM %I.customer_queue WHERE marker IS NOT NULL', src.name);
	END IF;
END $$; -- the table of customers who do not count

CREATE FUNCTION crm_profile_internal.is_known(src crm_profile.source_definition, key text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN format('EXISTS (SELECT FROM %s c WHERE %s)', src.customers, crm_profile_internal.same_key(src.key_type, format('c.%I', src.customer_key), key)); -- SQL condition that the customer table has a key, given as SQL

CREATE FUNCTION crm_profile_internal.counted(src crm_profile.source_definition, histories text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- NULL is equal to nothing: over an empty table alone the planner would join row by row
	RETURN format('(SELECT h.* FROM %s h WHERE NOT EXISTS (SELECT FROM (SELECT u.customer FROM %I.unknown_customer u UNION ALL SELECT NULL AS customer) u WHERE %s))', histories, src.name, crm_profile_internal.same_key(src.key_type, 'u.customer', 'h.customer')); -- SQL of those histories of a relation that thresholds, tiers and models count
CREATE FUNCTION crm_profile_internal.counted(src crm_profile.source_definition) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN crm_profile_internal.counted(src, format('%I.customer_history', src.name)); -- SQL of the stored histories that thresholds, tiers and models count

CREATE FUNCTION crm_profile_internal.source_outside(src crm_profile.source_definition, "unknown" boolean) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	-- a table of profiles is as of the last refresh, and so is who is unknown; somebody without an order has no segment
	-- in it, and is found by its index
	RETURN CASE
		WHEN src.materialize AND "unknown" THEN format('%I.unknown_customer u JOIN %1$I.customer_history h ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'u.customer'))
		WHEN src.materialize THEN format('(SELECT p.customer FROM %I.customer_profile p WHERE p.segment IS NULL OFFSET 0) p JOIN %1$I.customer_history h ON %s', src.name, crm_profile_internal.same_key(src.key_type, 'h.customer', 'p.customer'))
		ELSE format('(SELECT h.* FROM %I.customer_history h WHERE %s) h', src.name, CASE WHEN "unknown" THEN 'NOT ' ELSE '' END || crm_profile_internal.is_known(src, 'h.customer')) END;
COMMENT ON FUNCTION crm_profile_internal.source_outside IS 'SQL of the histories h of customers whom the customer table does not have, or of those that it has, among them all without an order';

CREATE FUNCTION crm_profile_internal.keep_population(src crm_profile.source_definition, population bytea[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('DELETE FROM %I.population WHERE part > cardinality($1)', src.name) USING coalesce(population, '{}');
	EXECUTE format('INSERT INTO %1$I.population SELECT u.part, u.content FROM unnest($1) WITH ORDINALITY u(content, part) LEFT JOIN %1$I.population p ON p.part = u.part
		WHERE p.content IS DISTINCT FROM u.content ON CONFLICT (part) DO UPDATE SET content = excluded.content', src.name) USING population;
END $$; -- stores a population; NULL: there is none any more

CREATE FUNCTION crm_profile_internal.refresh_known(src crm_profile.source_definition, today date, keys text, customer_keys text, touched text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
	all_of_them CONSTANT boolean := keys IS NULL OR customer_keys IS NULL;
	same_history CONSTANT text := crm_profile_internal.same_key(src.key_type, 'h.customer', 'k.customer');
	candidates CONSTANT text := CASE WHEN all_of_them THEN format('SELECT h.customer FROM %I.customer_history h', src.name)
		ELSE format('SELECT unnest(%1$L::%3$s[]) AS customer UNION SELECT unnest(%2$L::%3$s[])', customer_keys, keys, src.key_type) END;
	-- a key that changed need not have orders of its own: it can be a guest's or a second one, or they are gone
	with_orders CONSTANT text := format('EXISTS (SELECT FROM %I.customer_history h WHERE %s)', src.name, same_history);
	known CONSTANT text := CASE WHEN src.count_unknown THEN 'true' ELSE crm_profile_internal.is_known(src, 'k.customer') END;
	tracked CONSTANT boolean := src.track_changes <> 'none';
	-- customers whom a policy hides from the owner are in none of the owner's views
	come text;
	gone text;
	flips bigint;
	followed bytea[];
BEGIN
	-- first who they are, which parallel workers can tell
	EXECUTE format('WITH candidate AS (%1$s)
		SELECT (SELECT coalesce(array_agg(k.customer), ''{}'')::text FROM candidate k WHERE NOT %2$s AND NOT EXISTS (SELECT FROM %3$I.unknown_customer u WHERE %4$s)%6$s),
			(SELECT coalesce(array_agg(k.customer), ''{}'')::text FROM %3$I.unknown_customer k WHERE %2$s%5$s)', candidates, known, src.name, crm_profile_internal.same_key(src.key_type, 'u.customer', 'k.customer'),
			CASE WHEN NOT all_of_them THEN format(' AND EXISTS (SELECT FROM candidate h WHERE %s)', same_history) END, CASE WHEN NOT all_of_them THEN ' AND ' || with_orders END) INTO come, gone;
	IF come <> '{}' OR gone <> '{}' THEN
		EXECUTE format('WITH flip AS MATERIALIZED (SELECT unnest($1::%1$s[]) AS customer, false AS known UNION ALL SELECT unnest($2::%1$s[]), true),
			come AS (INSERT INTO %2$I.unknown_customer SELECT f.customer FROM flip f WHERE NOT f.known),
			gone AS (DELETE FROM %2$I.unknown_customer u USING flip k WHERE k.known AND %3$s)
			SELECT (SELECT count(*) FROM flip), %4$s', src.key_type, src.name, crm_profile_internal.same_key(src.key_type, 'u.customer', 'k.customer'),
				CASE WHEN tracked THEN crm_profile_internal.population_followed(src, today, format('(SELECT CASE WHEN NOT k.known THEN h.history END AS was, CASE WHEN k.known THEN h.history END AS history
					FROM flip k JOIN %I.customer_history h ON %s)', src.name, same_history)) ELSE 'NULL::bytea[]' END) INTO flips, followed USING come, gone;
		IF tracked THEN
			PERFORM crm_profile_internal.keep_population(src, followed);
		END IF;
	END IF;
	IF keys IS NULL OR touched <> '{}' THEN
		EXECUTE format('DELETE FROM %I.unknown_customer k WHERE NOT %s', src.name, with_orders) || CASE WHEN keys IS NOT NULL THEN format(' AND k.customer %s ANY (%L::%s[])', crm_profile_internal.key_equality(src.key_type::regtype), touched, src.key_type) ELSE '' END;
	END IF;
	RETURN coalesce(flips, 0);
END $$; -- part of a refresh: finds who does not count any more, or does again, among those keys of orders and of customers, either NULL: among all, and lets the population follow; of those touched, who has no orders any more is not listed; returns the number of the former

---------------------------------------------------------------- taking changes

CREATE FUNCTION crm_profile_internal.take_stamped_changes(INOUT src crm_profile.source_definition, OUT keys text, OUT changed bigint, OUT without_customer boolean, OUT reason text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	-- a transaction that commits late may bring an older time
	overlap CONSTANT interval := '1 hour';
	exact_every CONSTANT interval := '7 days';
	max_changed CONSTANT double precision := 0.2 * coalesce((src.customer_base).customers, 0);
	known CONSTANT jsonb := src.tracking;
	query CONSTANT text := md5(concat_ws(E'\n', crm_profile_internal.source_orders_query(src), src.changed_query, src.time_zone, src.key_type, src.settings::text));
	types CONSTANT oid[] := (crm_profile_internal.describe_query(src.changed_query)).column_types;
	type CONSTANT text := format_type(types[cardinality(types)], -1);
	seen text;
BEGIN
	reason := CASE
		WHEN known IS NULL OR known ->> 'until' IS NULL OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = format('%I.customer_history', src.name)::regclass)
			THEN 'there is nothing yet that changes could be added to'
		WHEN known ->> 'query' <> query THEN 'the source was altered'
		WHEN clock_timestamp() NOT BETWEEN (known ->> 'read_all_at')::timestamptz AND (known ->> 'read_all_at')::timestamptz + exact_every
			THEN 'a week has passed, and orders that are gone or moved to another customer are only found so' END;
	-- a time in the future must not hide later changes with an earlier time
	IF reason IS NULL THEN
		EXECUTE format('WITH touched AS (SELECT c.customer, c.changed_at FROM (%1$s) c WHERE c.changed_at >= $2::%2$s - $3),
				customer AS (SELECT DISTINCT t.customer FROM touched t WHERE t.customer IS NOT NULL)
			SELECT greatest($2::%2$s, least((SELECT max(t.changed_at) FROM touched t), clock_timestamp()::%2$s))::text, n.customers,
				CASE WHEN n.customers <= $1 THEN (SELECT array_agg(c.customer)::text FROM customer c) END, EXISTS (SELECT FROM touched t WHERE t.customer IS NULL)
			FROM (SELECT count(*) AS customers FROM customer) n', src.changed_query, type)
			INTO seen, changed, keys, without_customer USING max_changed, known ->> 'until', overlap;
		IF changed > max_changed THEN
			reason := format('%s customers changed, of %s', changed, coalesce((src.customer_base).customers, 0));
		END IF;
	ELSE
		EXECUTE format('SELECT least(max(c.changed_at), clock_timestamp()::%s)::text FROM (%s) c', type, src.changed_query) INTO seen;
	END IF;
	src.tracking := coalesce(known, '{}') || jsonb_build_object('query', query, 'until', seen);
	IF reason IS NULL THEN
		keys := coalesce(keys, '{}');
		RETURN;
	END IF;
	keys := NULL;
	src.tracking := src.tracking || jsonb_build_object('read_all_at', clock_timestamp(), 'read_all', reason);
END $$; -- take_changes() by a column: changes from an hour before the newest time seen

CREATE FUNCTION crm_profile_internal.take_queue(src crm_profile.source_definition, queue regclass, relation regclass, column_name name, recorded name[], why_all text, INOUT seen jsonb,
	OUT keys text, OUT changed bigint, OUT without_customer boolean, OUT reason text, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	max_changed CONSTANT double precision := 0.2 * coalesce((src.customer_base).customers, 0);
	known CONSTANT jsonb := seen;
	tables jsonb;
	marked boolean;
	moved oid;
BEGIN
	-- before the tables are read: what happens to them later, the next refresh sees
	SELECT coalesce(jsonb_object_agg(l.leaf, l.state), '{}'), min(l.problem) INTO tables, problem FROM crm_profile_internal.tracked_leaves(queue, relation, column_name, recorded) l;
	IF recorded <> '{}' THEN
		without_customer := false;
		-- the statement that reads the orders takes them; a queue of another form is made anew
		IF problem IS NULL THEN
			EXECUTE format('SELECT coalesce(sum(coalesce(cardinality(customers), cardinality(added), 1)), 0) FROM %s WHERE marker IS NULL', queue) INTO changed;
		END IF;
		IF changed > max_changed THEN
			EXECUTE format('SELECT count(DISTINCT c.k) FROM (SELECT unnest(coalesce(q.customers, q.order_1)) AS k FROM %s q WHERE q.marker IS NULL) c', queue) INTO changed;
		END IF;
	ELSE
		-- in a statement of its own, whose snapshot is no newer than the one that reads the tables: whatever commits in
		-- between stays in the queue
		EXECUTE format('WITH taken AS (DELETE FROM %s WHERE marker IS NULL RETURNING customers),
				customer AS (SELECT DISTINCT k::%s AS customer FROM taken t, unnest(t.customers) k)
			SELECT n.customers, CASE WHEN n.customers <= $1 THEN (SELECT array_agg(c.customer)::text FROM customer c) END, EXISTS (SELECT FROM taken t WHERE t.customers IS NULL)
				FROM (SELECT count(*) AS customers FROM customer) n', queue, src.key_type)
			INTO changed, keys, without_customer USING max_changed;
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE marker = $1)', queue) INTO marked USING known ->> 'marker';
	SELECT coalesce(n.key, o.key)::oid INTO moved FROM jsonb_each_text(tables) n FULL JOIN jsonb_each_text(known -> 'tables') o ON o.key = n.key WHERE n.value IS DISTINCT FROM o.value LIMIT 1;
	reason := CASE
		WHEN known ->> 'tables' IS NULL THEN 'there is nothing yet that changes could be added to'
		WHEN problem IS NOT NULL THEN problem
		WHEN why_all IS NOT NULL THEN why_all
		WHEN NOT marked THEN coalesce(known ->> 'reason', 'the queue of changes was emptied, as it is by a crash')
		WHEN moved IS NOT NULL THEN format('%s was attached, detached, truncated or rewritten, or its trigger was switched off for a time', coalesce((SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = moved), 'a table of the orders'))
		WHEN changed > max_changed THEN format('%s customers changed, of %s', changed, coalesce((src.customer_base).customers, 0)) END;
	IF reason IS NULL THEN
		keys := CASE WHEN recorded <> '{}' AND changed > 0 THEN 'recorded' ELSE coalesce(keys, '{}') END;
		RETURN;
	END IF;
	keys := NULL;
	seen := jsonb_build_object('tables', tables, 'marker', gen_random_uuid(), 'reason', NULL);
	IF problem IS NOT NULL THEN
		seen := seen || jsonb_build_object('marker', NULL, 'reason', 'changes were not tracked: ' || problem);
	END IF;
	-- a transaction prepared before a crash has lost its keys, but can still be committed
	IF EXISTS (SELECT FROM pg_locks l WHERE l.pid IS NULL AND l.locktype = 'relation' AND l.mode LIKE '%Exclusive%' AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			AND (l.relation = take_queue.relation OR l.relation IN (SELECT k::oid FROM jsonb_object_keys(tables) k))) THEN
		seen := seen || jsonb_build_object('marker', NULL, 'reason', 'prepared transactions were open that changed orders');
	END IF;
	EXECUTE format('DELETE FROM %s WHERE marker IS NOT NULL', queue);
	IF seen ->> 'marker' IS NOT NULL THEN
		EXECUTE format('INSERT INTO %s (queued_at, marker) VALUES (clock_timestamp(), $1)', queue) USING seen ->> 'marker';
	END IF;
END $$; -- takes the keys out of a queue; keys: an array of them as text, "recorded": it has rows, and refresh_histories() takes them, NULL: everything has to be read, for that reason, among them why_all; seen: what was seen of the tables, and now is; problem: what keeps changes from being tracked

CREATE FUNCTION crm_profile_internal.take_changes(INOUT src crm_profile.source_definition, OUT keys text, OUT changed bigint, OUT without_customer boolean, OUT reason text, OUT problem text, OUT customer_keys text, OUT customers_changed bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target CONSTANT regclass := format('%I.customer_history', src.name)::regclass;
	known CONSTANT jsonb := src.tracking;
	query CONSTANT text := md5(concat_ws(E'\n', crm_profile_internal.source_orders_query(src), src.changed_query, src.time_zone, src.key_type, src.settings::text));
	customers record;
	taken record;
BEGIN
	IF src.track_changes = 'none' THEN
		src.tracking := NULL;
		RETURN;
	ELSIF src.track_changes = 'slot' THEN
		SELECT t.* INTO taken FROM crm_profile_internal.take_slot_changes(src) t;
		src := taken.src;
	ELSIF src.track_changes = 'keys' THEN
		SELECT t.* INTO taken FROM crm_profile_internal.take_queue(src, format('%I.change_queue', src.name)::regclass, src.tracked_table::regclass, src.tracked_column::name, coalesce(src.recorded_columns, '{}'),
			CASE WHEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = target) THEN 'there is nothing yet that changes could be added to' WHEN known ->> 'query' <> query THEN 'the source was altered' END, known) t;
		IF taken.reason IS NOT NULL THEN
			src.tracking := coalesce(known, '{}') || taken.seen || jsonb_build_object('query', query, 'read_all', taken.reason);
			IF known IS NOT NULL THEN
				RAISE NOTICE 'source "%": all orders are read: %', src.name, taken.reason;
			END IF;
		END IF;
	ELSE
		SELECT t.*, NULL::text AS problem INTO taken FROM crm_profile_internal.take_stamped_changes(src) t;
		src := taken.src;
	END IF;
	keys := taken.keys;
	changed := taken.changed;
	without_customer := taken.without_customer;
	reason := taken.reason;
	problem := taken.problem;
	IF keys IS NOT NULL AND NOT without_customer AND crm_profile_internal.source_correction(src, 'guests') IS NOT NULL THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM unnest($1::%s[]) k WHERE lower(btrim(k::text)) = ANY (%s))', src.key_type, crm_profile_internal.word_list(crm_profile_internal.source_correction(src, 'guests')))
			INTO without_customer USING keys;
	END IF;
	-- who the customers are
	SELECT t.* INTO customers FROM crm_profile_internal.tracked_customers(src) t;
	IF customers.relation IS NOT NULL AND to_regclass(format('%I.customer_queue', src.name)) IS NOT NULL THEN
		SELECT t.* INTO taken FROM crm_profile_internal.take_queue(src, format('%I.customer_queue', src.name)::regclass, customers.relation, customers.key, '{}', NULL, known -> 'customers') t;
		customer_keys := taken.keys;
		customers_changed := CASE WHEN taken.reason IS NULL THEN taken.changed ELSE (src.customer_base).customers END;
		problem := coalesce(problem, taken.problem);
		src.tracking := coalesce(src.tracking, '{}') || jsonb_build_object('customers', taken.seen);
	END IF;
END $$; -- takes the customers out of the queue whose orders changed; keys: an array of them as text, NULL: all orders have to be read, for that reason; problem: what keeps changes from being tracked; customer_keys: those whose rows in the customer table changed, NULL: it is not known; customers_changed: how many may have

CREATE FUNCTION crm_profile_internal.keys_of_persons(src crm_profile.source_definition, persons text) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	keys text;
BEGIN
	EXECUTE format('SELECT coalesce(array_agg(k.k), ''{}'')::text FROM (SELECT k FROM unnest($1::%1$s[]) k WHERE NOT EXISTS (SELECT FROM %2$I.identity_in_use u WHERE %3$s)
		UNION ALL SELECT u.customer FROM (SELECT DISTINCT k FROM unnest($1::%1$s[]) k) k JOIN %2$I.identity_in_use u ON %4$s) k', src.key_type, src.name,
		crm_profile_internal.same_key(src.key_type, 'u.customer', 'k'), crm_profile_internal.same_key(src.key_type, 'u.person', 'k.k')) INTO keys USING persons;
	RETURN keys;
END $$; -- the keys whose orders count for these persons

CREATE FUNCTION crm_profile_internal.changed_orders_query(src crm_profile.source_definition, keys text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- integers of any width have the same text
	corrected CONSTANT boolean := EXISTS (SELECT FROM crm_profile_internal.source_layers(src));
	as_stored CONSTANT boolean := src.track_changes IN ('keys', 'slot') AND src.changed_query IS NOT NULL AND NOT corrected;
	type CONSTANT text := CASE WHEN NOT as_stored THEN src.key_type
		ELSE (SELECT format_type(crm_profile_internal.base_type(a.atttypid), -1) FROM pg_attribute a WHERE a.attrelid = src.tracked_table::regclass AND a.attname = src.tracked_column) END;
	customer CONSTANT text := CASE WHEN as_stored THEN 'o.order_customer' ELSE 'o.customer' END;
	-- all keys of a person
	own CONSTANT text := CASE WHEN crm_profile_internal.source_correction(src, 'merge_customers') IS NULL THEN keys ELSE crm_profile_internal.keys_of_persons(src, keys) END;
	plan json;
BEGIN
	IF as_stored THEN
		src.orders_query := src.changed_query;
	END IF;
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS off) ' || crm_profile_internal.source_orders_query(src, false, format('%s %s ANY (ARRAY(SELECT NULL::%s))', customer, crm_profile_internal.key_equality(type::regtype), type)) INTO plan;
	IF plan::text ~ 'Seq Scan"' THEN
		RAISE NOTICE 'source "%": without an index all orders are read to find those of the customers that changed', src.name
			USING HINT = coalesce('CREATE INDEX ON ' || src.tracked_table || format(' (%I)', src.tracked_column), 'It would have to be on ' || src.order_customer || '.');
		-- through a hash table
		RETURN crm_profile_internal.source_orders_query(src, false, format('EXISTS (SELECT FROM (SELECT DISTINCT k FROM unnest(%L::%s[]) k) k WHERE %s)', own, type, crm_profile_internal.same_key(type, 'k.k', customer)));
	END IF;
	-- as a constant, which is looked up by its hash where a bitmap has pages instead of rows
	RETURN crm_profile_internal.source_orders_query(src, false, format('%s %s ANY (%L::%s[])', customer, crm_profile_internal.key_equality(type::regtype), own, type));
END $$; -- the orders of the given customers, by an index if there is one; called with enable_seqscan off

CREATE FUNCTION crm_profile_internal.fits_due(INOUT src crm_profile.source_definition, written bigint, today date, OUT fit boolean, OUT test boolean)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	since_fit bigint := coalesce((src.tracking ->> 'since_fit')::bigint, 0) + written;
	since_test bigint := coalesce((src.tracking ->> 'since_test')::bigint, 0) + written;
	enough CONSTANT double precision := src.refit_share * coalesce((src.customer_base).customers, 0);
	last CONSTANT crm_profile.source_model := crm_profile_internal.source_last_model(src);
BEGIN
	IF src.track_changes = 'none' THEN
		fit := true;
		test := true;
		RETURN;
	END IF;
	test := last.id IS NULL OR src.tracking ->> 'tested' IS NULL OR since_test > 5 * enough OR today NOT BETWEEN (src.tracking ->> 'tested')::date AND (src.tracking ->> 'tested')::date + 28;
	fit := test OR since_fit > enough OR today NOT BETWEEN (src.tracking ->> 'fitted')::date AND (src.tracking ->> 'fitted')::date + 7;
	src.tracking := src.tracking || jsonb_build_object('since_fit', CASE WHEN fit THEN 0 ELSE since_fit END, 'since_test', CASE WHEN test THEN 0 ELSE since_test END)
		|| CASE WHEN fit THEN jsonb_build_object('fitted', today) ELSE '{}' END || CASE WHEN test THEN jsonb_build_object('tested', today) ELSE '{}' END;
END $$; -- whether enough has changed to fit the models of repeat purchase again (refit_share of the customers, or a week), and to test forecasts again (five times that, or four weeks)

CREATE FUNCTION crm_profile_internal.mend_tracking(src crm_profile.source_definition, problem text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
	IF problem IS NOT NULL THEN
		-- at the end of a refresh, so that writers do not wait for it; the next refresh reads all orders once more
		PERFORM crm_profile_internal.source_build_tracking(src);
	END IF;
EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
	RAISE WARNING 'source "%": changes are not tracked: %', src.name, problem USING DETAIL = SQLERRM, HINT = format('SELECT crm_profile.alter_source(%L, track_changes => ''keys'')', src.name);
END $$; -- repairs triggers that were disabled or not restored from a dump

---------------------------------------------------------------- all sources

CREATE FUNCTION crm_profile_internal.hold_source_as_owner(src crm_profile.source_definition) RETURNS void
	LANGUAGE sql AS 'SELECT'; -- runs as the owner of the source: hold_source()
CREATE FUNCTION crm_profile_internal.hold_source(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'change_as_owner' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000; -- locks a source as a refresh does

CREATE FUNCTION crm_profile.refresh_all(OUT name text, OUT seconds numeric, OUT problem text) RETURNS SETOF record
	LANGUAGE plpgsql COST 1000000 ROWS 5 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- the view sources would lock tables of theirs
	names CONSTANT text[] := ARRAY(SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.reloftype = 'crm_profile.source_definition'::regtype AND c.relname = 'source_definition' AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') ORDER BY n.nspname);
BEGIN
	-- all of them first, in the same order for everybody: who changes a source holds its lock while waiting for orders
	FOREACH name IN ARRAY names LOOP
		BEGIN
			PERFORM crm_profile_internal.hold_source(refresh_all.name);
		EXCEPTION WHEN OTHERS THEN
			-- told below
		END;
	END LOOP;
	FOREACH name IN ARRAY names LOOP
		problem := NULL;
		seconds := extract(epoch FROM clock_timestamp());
		BEGIN
			PERFORM crm_profile.refresh(refresh_all.name);
		EXCEPTION WHEN OTHERS THEN
			-- a source that fails must not keep the others from being refreshed
			problem := SQLERRM;
			RAISE WARNING 'source "%" was not refreshed: %', refresh_all.name, SQLERRM;
		END;
		seconds := round(extract(epoch FROM clock_timestamp()) - seconds, 3);
		RETURN NEXT;
	END LOOP;
END $$; -- refreshes all your sources, one after another, in one transaction; the error of one is a WARNING and in the column problem
