-- Change tracking by a slot: the keys of changed customers from the write-ahead log, at no cost for those who write
-- orders

CREATE FUNCTION crm_profile_internal.wait_for_commit(transaction xid) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE; -- waits until a transaction committed according to the log is visible
CREATE FUNCTION crm_profile_internal.commit_durably() RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE; -- makes the commit of this transaction wait for the disk, whatever synchronous_commit says

CREATE FUNCTION crm_profile_internal.may_read_slots() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE; -- whether the server lets this library be the output plugin of a slot

CREATE FUNCTION crm_profile_internal.source_slot(source text) RETURNS name
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	-- by OIDs: a copy of the database, or of the source, has a slot of its own
	RETURN (SELECT format('crm_profile_%s_%s', d.oid, to_regclass(format('%I.source_definition', source))::oid) FROM pg_database d WHERE d.datname = current_database()); -- the name of the replication slot of a source

CREATE FUNCTION crm_profile_internal.slot_leaves(relation regclass, column_name name, OUT leaf oid, OUT state text, OUT problem text) RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
	BEGIN ATOMIC
		SELECT c.oid, concat_ws(' ', c.relfilenode, a.attnum, a.atttypid),
			CASE
				WHEN c.relkind <> 'r' THEN format('changes of %s are not logged', c.oid::regclass)
				WHEN c.relpersistence <> 'p' THEN format('%s is unlogged', c.oid::regclass)
				WHEN c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary END
					AND a.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])) THEN NULL
				ELSE format('for rows of %s that go, the log does not tell the customer', c.oid::regclass) END
		FROM pg_partition_tree(relation) p JOIN pg_class c ON c.oid = p.relid AND c.relkind <> 'p' LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = column_name;
	END; -- the tables that hold the rows of a relation, each with a stamp that shows whether all its changes are in the log; problem: why they, or their customers, are not

CREATE FUNCTION crm_profile_internal.source_check_slot(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_setting('wal_level') <> 'logical' THEN
		PERFORM crm_profile_internal.source_argument_error('track_changes', format('a slot cannot be had here: wal_level is %s', current_setting('wal_level')), 'A slot needs a server with wal_level = logical.',
			'ALTER SYSTEM SET wal_level = logical, and restart the server; or write track_changes => ''keys'', which works with any.');
	ELSIF NOT crm_profile_internal.may_read_slots() THEN
		PERFORM crm_profile_internal.source_argument_error('track_changes', 'a slot cannot be had here: output_plugin_libraries does not list crm_profile', 'The slot would be read by the library of this extension.',
			format('As a superuser: ALTER DATABASE %I SET output_plugin_libraries = pgoutput, test_decoding, crm_profile; and connect again. Or write track_changes => ''keys'', which works with any server.', current_database()));
	ELSIF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolreplication)) THEN
		RAISE insufficient_privilege USING MESSAGE = format('argument "track_changes" of the source: %s may not use replication slots', quote_ident(current_user)),
			DETAIL = 'Who reads a slot could read the changes of every table.',
			HINT = format('ALTER ROLE %I REPLICATION; or write track_changes => ''keys'', which needs the TRIGGER privilege on the orders alone.', current_user);
	END IF;
END $$; -- an error if the server, or the owner, cannot have a slot

CREATE FUNCTION crm_profile_internal.drop_slot(source text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	slot CONSTANT name := crm_profile_internal.source_slot(source);
BEGIN
	PERFORM pg_drop_replication_slot(s.slot_name) FROM pg_replication_slots s WHERE s.slot_name = slot;
EXCEPTION WHEN insufficient_privilege OR object_in_use THEN
	RAISE WARNING 'replication slot "%" of source "%" is left: %', slot, source, SQLERRM
		USING DETAIL = 'It holds back the write-ahead log.', HINT = format('SELECT pg_drop_replication_slot(%L)', slot);
END $$; -- drops the slot of a source, if there is one

CREATE FUNCTION crm_profile_internal.make_slot(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	slot CONSTANT name := crm_profile_internal.source_slot(src.name);
	here record;
	problem text;
BEGIN
	IF src.track_changes <> 'slot' THEN
		RETURN;
	END IF;
	-- the position that is kept at the end must not be lost once the slot has moved there
	PERFORM crm_profile_internal.commit_durably();
	SELECT s.wal_status INTO here FROM pg_replication_slots s WHERE s.slot_name = slot;
	IF here.wal_status = 'lost' THEN
		PERFORM crm_profile_internal.drop_slot(src.name);
	ELSIF here.wal_status IS NOT NULL THEN
		RETURN;
	END IF;
	-- making one waits for all who write, so this transaction must not have written yet, and one that was prepared may
	-- stay for days
	problem := CASE WHEN pg_current_xact_id_if_assigned() IS NOT NULL THEN 'this transaction has written already'
		WHEN EXISTS (SELECT FROM pg_prepared_xacts) THEN 'there are prepared transactions' END;
	IF problem IS NULL THEN
		PERFORM pg_create_logical_replication_slot(slot, 'crm_profile');
	ELSE
		RAISE WARNING 'source "%": there is no replication slot yet, and every refresh reads all orders: %', src.name, problem
			USING HINT = format('SELECT * FROM crm_profile.refresh(%L)  -- by itself', src.name);
	END IF;
EXCEPTION WHEN insufficient_privilege OR configuration_limit_exceeded OR object_not_in_prerequisite_state THEN
	RAISE WARNING 'source "%": there is no replication slot, and every refresh reads all orders: %', src.name, SQLERRM
		USING HINT = 'See max_replication_slots, wal_level and output_plugin_libraries, or write track_changes => ''keys''.';
END $$; -- first step of a refresh: creates the slot of the source if there is none, or if it is invalid

CREATE FUNCTION crm_profile_internal.peek_slot(src crm_profile.source_definition, slot name, until pg_lsn, max_changed double precision,
	OUT keys text, OUT changed bigint, OUT without_customer boolean, OUT blind text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	type CONSTANT text := (SELECT format_type(crm_profile_internal.base_type(a.atttypid), -1) FROM pg_attribute a WHERE a.attrelid = src.tracked_table::regclass AND a.attname = src.tracked_column);
	writers xid[];
BEGIN
	EXECUTE format('WITH told AS MATERIALIZED (SELECT DISTINCT p.xid, p.data FROM pg_logical_slot_peek_changes($1, $2, NULL, ''table'', $3, ''column'', $4) p),
			customer AS (SELECT DISTINCT substr(t.data, 2)::%s::%s AS customer FROM told t WHERE t.data LIKE ''k%%'')
		SELECT n.customers, CASE WHEN n.customers <= $5 THEN (SELECT array_agg(c.customer)::text FROM customer c) END, EXISTS (SELECT FROM told t WHERE t.data = ''n''),
			CASE WHEN EXISTS (SELECT FROM told t WHERE t.data = ''t'') THEN ''orders were truncated'' WHEN EXISTS (SELECT FROM told t WHERE t.data = ''u'') THEN ''the log does not tell whose orders changed'' END,
			(SELECT array_agg(w.xid) FROM (SELECT DISTINCT t.xid FROM told t) w)
		FROM (SELECT count(*) AS customers FROM customer) n', type, src.key_type)
		INTO changed, keys, without_customer, blind, writers USING slot, until, src.tracked_table::regclass::oid::text, src.tracked_column, max_changed;
	-- so that the statement that reads the orders sees what they wrote
	PERFORM crm_profile_internal.wait_for_commit(w) FROM unnest(writers) w;
END $$; -- the customers whose orders changed according to the log; changes stay in the slot; blind: why it does not have all of them

CREATE FUNCTION crm_profile_internal.take_slot_changes(INOUT src crm_profile.source_definition, OUT keys text, OUT changed bigint, OUT without_customer boolean, OUT reason text, OUT problem text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
DECLARE
	max_changed CONSTANT double precision := 0.2 * coalesce((src.customer_base).customers, 0);
	known CONSTANT jsonb := coalesce(src.tracking, '{}');
	query CONSTANT text := md5(concat_ws(E'\n', crm_profile_internal.source_orders_query(src), src.changed_query, src.time_zone, src.key_type, src.settings::text));
	slot CONSTANT name := crm_profile_internal.source_slot(src.name);
	-- an older state of the orders may differ from what the log says
	follows CONSTANT boolean := current_setting('transaction_isolation') = 'read committed';
	read_until CONSTANT pg_lsn := known ->> 'lsn';
	began CONSTANT timestamptz := clock_timestamp();
	tables jsonb;
	confirmed pg_lsn;
	until pg_lsn;
	blind text;
BEGIN
	SELECT coalesce(jsonb_object_agg(l.leaf, l.state), '{}'), min(l.problem) INTO tables, problem FROM crm_profile_internal.slot_leaves(src.tracked_table::regclass, src.tracked_column::name) l;
	SELECT s.confirmed_flush_lsn INTO confirmed FROM pg_replication_slots s WHERE s.slot_name = slot AND s.plugin = 'crm_profile';
	-- what the last refresh read, and committed, need not be kept any longer
	IF confirmed < read_until AND (known ->> 'transaction')::xid8 IS DISTINCT FROM pg_current_xact_id_if_assigned() THEN
		PERFORM pg_replication_slot_advance(slot, read_until);
		src.tracking := known || jsonb_build_object('held_since', known ->> 'lsn_at');
	END IF;
	IF confirmed IS NOT NULL THEN
		until := pg_current_wal_flush_lsn();
		SELECT p.* INTO keys, changed, without_customer, blind FROM crm_profile_internal.peek_slot(src, slot, until, max_changed) p;
	END IF;
	reason := CASE
		WHEN confirmed IS NULL THEN 'there is no replication slot yet'
		WHEN read_until IS NULL OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = format('%I.customer_history', src.name)::regclass) THEN 'there is nothing yet that changes could be added to'
		WHEN problem IS NOT NULL THEN problem
		WHEN known ->> 'query' <> query THEN 'the source was altered'
		WHEN confirmed > read_until THEN 'the replication slot is new, or somebody else has read it'
		WHEN known ->> 'reason' IS NOT NULL THEN known ->> 'reason'
		WHEN known -> 'tables' <> tables THEN 'a table of the orders was attached, detached, truncated or rewritten'
		WHEN blind IS NOT NULL THEN blind
		WHEN changed > max_changed THEN format('%s customers changed, of %s', changed, coalesce((src.customer_base).customers, 0)) END;
	IF follows AND until IS NOT NULL THEN
		src.tracking := coalesce(src.tracking, '{}') || jsonb_build_object('lsn', until, 'lsn_at', began, 'transaction', pg_current_xact_id());
		IF confirmed <= read_until IS NOT TRUE THEN
			src.tracking := src.tracking || jsonb_build_object('held_since', began);
		END IF;
	END IF;
	IF reason IS NULL THEN
		keys := coalesce(keys, '{}');
		RETURN;
	END IF;
	keys := NULL;
	src.tracking := coalesce(src.tracking, '{}') || jsonb_build_object('query', query, 'tables', tables, 'marker', gen_random_uuid(), 'read_all', reason,
		'reason', CASE WHEN problem IS NOT NULL THEN 'changes were not tracked: ' || problem WHEN NOT follows AND confirmed <= read_until IS NOT TRUE THEN 'all orders were read as they had been before the replication slot was made' END);
	IF src.last_refresh IS NOT NULL THEN
		RAISE NOTICE 'source "%": all orders are read: %', src.name, reason;
	END IF;
END $$; -- as take_changes(), from the slot of the source; what is read stays there until the next refresh, which knows that this one was committed
