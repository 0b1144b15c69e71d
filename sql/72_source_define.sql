-- create_source, alter_source, drop_source, explain_source

---------------------------------------------------------------- rights on views that are rebuilt

CREATE TYPE crm_profile_internal.source_grant AS ( -- a right of a role other than the owner on an object of a source
	kind text, -- table, view or function
	name text, -- its name
	"column" name, -- the column that the right is for; NULL: the whole object
	privilege text, -- SELECT and the like
	grantee name, -- the role; NULL: PUBLIC
	grantable boolean -- WITH GRANT OPTION
);

CREATE FUNCTION crm_profile_internal.source_grants(src crm_profile.source_definition) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	BEGIN ATOMIC
		WITH present AS (SELECT p.* FROM crm_profile_internal.source_present(src) p),
			acl AS (
				SELECT p.kind, p.name, NULL::name AS "column", p.owner, p.acl FROM present p WHERE p.object IS NOT NULL
				UNION ALL SELECT p.kind, p.name, c.attname, p.owner, c.attacl FROM present p JOIN pg_attribute c ON p.class = 'pg_class'::regclass AND c.attrelid = p.object AND c.attnum > 0 AND c.attacl IS NOT NULL),
			granted AS (
				SELECT l.kind, l.name, l."column", a.privilege_type AS privilege, CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END AS grantee, bool_or(a.is_grantable) AS grantable
				FROM acl l, aclexplode(l.acl) a WHERE a.grantee <> l.owner GROUP BY 1, 2, 3, 4, 5),
			former AS (SELECT f.* FROM jsonb_populate_recordset(NULL::crm_profile_internal.source_grant, src.grants) f),
			-- nobody reads a view without this table, which is never dropped with others: it tells who has come to be a
			-- reader, or has ceased to be one, since the rights were last looked at
			reader AS (
				SELECT g.grantee, true AS now, false AS before FROM granted g WHERE g.name = 'customer_history' AND g.privilege = 'SELECT' AND g."column" IS NULL
				UNION ALL SELECT f.grantee, false, true FROM former f WHERE f.name = 'customer_history' AND f.privilege = 'SELECT' AND f."column" IS NULL),
			change AS (SELECT r.grantee, bool_or(r.now) AS came FROM reader r GROUP BY r.grantee HAVING bool_or(r.now) <> bool_or(r.before)),
			now AS (
				SELECT g.* FROM granted g
				UNION SELECT f.* FROM former f JOIN present p ON p.kind = f.kind AND p.name = f.name AND p.object IS NULL
					WHERE NOT EXISTS (SELECT FROM change c WHERE NOT c.came AND c.grantee IS NOT DISTINCT FROM f.grantee)
				UNION SELECT p.kind, p.name, NULL, 'SELECT', c.grantee, false FROM present p, change c WHERE p.kind = 'view' AND p.needed AND p.object IS NULL AND c.came)
		SELECT jsonb_agg(to_jsonb(n) ORDER BY n.kind, n.name, n."column", n.grantee, n.privilege) FROM now n;
	END; -- rights of roles other than the owner on the objects of a source: of those that exist as they are; of others as they were when last looked at, with those who may read the source since, without those who no longer may

CREATE FUNCTION crm_profile_internal.lock_relations(relations regclass[]) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE; -- locks tables and views, of your own or with triggers of yours, against everybody, and holds none of them while it waits for another

CREATE FUNCTION crm_profile_internal.source_lock(src crm_profile.source_definition, triggers boolean DEFAULT false) RETURNS void
	LANGUAGE sql
	-- writers of orders lock these before the queue; so does whoever changes the triggers
	RETURN crm_profile_internal.lock_relations(ARRAY(SELECT p.object::regclass FROM crm_profile_internal.source_present(src) p
			WHERE p.kind IN ('table', 'view') AND p.found = p.kind AND p.owner = quote_ident(current_user)::regrole AND p.name NOT IN ('source_definition', 'change_queue', 'customer_queue')
		UNION SELECT t.tgrelid::regclass FROM pg_depend d JOIN pg_trigger t ON t.oid = d.objid
			WHERE triggers AND d.classid = 'pg_trigger'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
				AND d.refobjid IN (to_regclass(format('%I.change_queue', src.name)), to_regclass(format('%I.customer_queue', src.name)))));
COMMENT ON FUNCTION crm_profile_internal.source_lock IS 'locks what readers of a source read, before any of it is changed; triggers: also the tables whose triggers go with the source';

CREATE FUNCTION crm_profile_internal.source_build(src crm_profile.source_definition) RETURNS crm_profile.source_definition
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	object record;
	given record;
BEGIN
	PERFORM crm_profile_internal.no_notices();
	src.grants := crm_profile_internal.source_grants(src);
	PERFORM crm_profile_internal.source_lock(src);
	PERFORM crm_profile_internal.source_build_elsewhere(src);
	PERFORM crm_profile_internal.source_admit(src, 'customer_history');
	PERFORM crm_profile_internal.source_build_tracking(src);
	PERFORM crm_profile_internal.source_build_population(src);
	PERFORM crm_profile_internal.source_build_unknown(src);
	PERFORM crm_profile_internal.source_build_labels(src);
	PERFORM crm_profile_internal.source_build_views(src);
	IF src.materialize THEN
		PERFORM crm_profile_internal.source_admit(src, 'stored_profile');
	END IF;
	FOR given IN SELECT k.*, p.object FROM jsonb_populate_recordset(NULL::crm_profile_internal.source_grant, src.grants) k
			JOIN crm_profile_internal.source_present(src) p ON p.kind = k.kind AND p.name = k.name AND p.object IS NOT NULL
			LEFT JOIN pg_attribute c ON p.class = 'pg_class'::regclass AND c.attrelid = p.object AND c.attname = k."column"
			WHERE (k."column" IS NULL OR c.attnum > 0) AND (k.grantee IS NULL OR to_regrole(quote_ident(k.grantee)) IS NOT NULL)
				AND NOT EXISTS (SELECT FROM aclexplode(CASE WHEN k."column" IS NULL THEN p.acl ELSE c.attacl END) a
					WHERE a.privilege_type = k.privilege AND a.grantee = coalesce(to_regrole(quote_ident(k.grantee))::oid, 0) AND a.is_grantable >= k.grantable) LOOP
		EXECUTE format('GRANT %s%s ON %s TO %s%s', given.privilege, ' (' || quote_ident(given."column") || ')', CASE given.kind WHEN 'function' THEN 'FUNCTION ' || given.object::regprocedure ELSE given.object::regclass::text END,
			coalesce(quote_ident(given.grantee), 'PUBLIC'), CASE WHEN given.grantable THEN ' WITH GRANT OPTION' ELSE '' END);
	END LOOP;
	-- if every table is published, a table without a replica identity could not be updated; the index on the keys comes
	-- with the first refresh
	FOR object IN SELECT p.object::regclass AS relation, i.indexrelid, k.relname
			FROM crm_profile_internal.source_present(src) p LEFT JOIN pg_index i ON i.indrelid = p.object AND i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
				AND (SELECT bool_and(a.attnotnull) FROM pg_attribute a WHERE a.attrelid = p.object AND a.attnum = ANY (i.indkey)) LEFT JOIN pg_class k ON k.oid = i.indexrelid
			WHERE p.kind = 'table' AND p.name NOT IN ('change_queue', 'customer_queue') AND p.object IS NOT NULL AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = p.object AND (x.indisprimary OR x.indisreplident)) LOOP
		EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', object.relation, coalesce('USING INDEX ' || quote_ident(object.relname), 'FULL'));
	END LOOP;
	-- no keys, and no rows of orders, in statistics, which would outlive their customers
	FOR object IN SELECT p.object::regclass AS relation, a.attname FROM crm_profile_internal.source_present(src) p JOIN pg_attribute a ON a.attrelid = p.object
			WHERE p.kind = 'table' AND p.name <> 'source_definition' AND a.attnum > 0 AND (p.name IN ('change_queue', 'customer_queue') OR a.attname IN ('customer', 'customers', 'person', 'key')) AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0 LOOP
		EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', object.relation, object.attname);
	END LOOP;
	RETURN src;
END $$; -- creates the views and functions of a source, or rebuilds them; readers keep their rights

---------------------------------------------------------------- create

CREATE FUNCTION crm_profile_internal.source_comment_definition(src crm_profile.source_definition) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM crm_profile_internal.source_comment(src.name, 'source_definition', 'what the source is; written by create_source(), alter_source() and refresh() alone', 'crm_profile.source_definition');
END $$; -- comments on the table with the definition of a source

CREATE FUNCTION crm_profile_internal.create_source_from(given jsonb, OUT argument text, OUT value text, OUT origin text) RETURNS SETOF record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
#variable_conflict use_column
DECLARE
	me CONSTANT regrole := quote_ident(current_user)::regrole;
	src crm_profile.source_definition := crm_profile_internal.source_complete(jsonb_populate_record(NULL::crm_profile.source_definition, given));
	schema pg_namespace;
	wrong record;
BEGIN
	IF src.name IS NULL OR src.name = '' OR src.name <> btrim(src.name) THEN
		PERFORM crm_profile_internal.source_argument_error('name', 'it is blank, or begins or ends with a blank', NULL, NULL);
	ELSIF octet_length(src.name) > 63 THEN
		PERFORM crm_profile_internal.source_argument_error('name', format('"%s" has %s bytes', src.name, octet_length(src.name)), 'A source is named like its schema, by at most 63 bytes.', 'Take a shorter name.');
	ELSIF src.name LIKE 'pg\_%' OR src.name IN ('information_schema', 'crm_profile', 'crm_profile_internal') THEN
		PERFORM crm_profile_internal.source_argument_error('name', format('"%s" cannot be the name of a schema', src.name), 'The tables and views of a source are in a schema of the same name.', NULL);
	END IF;
	SELECT n.* INTO schema FROM pg_namespace n WHERE n.nspname = src.name;
	IF EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = schema.oid AND c.reloftype = 'crm_profile.source_definition'::regtype) THEN
		RAISE duplicate_object USING MESSAGE = format('source "%s" already exists', src.name),
			HINT = CASE WHEN pg_has_role(schema.nspowner, 'USAGE') THEN 'Take another name, or alter_source().' ELSE 'It belongs to somebody else: take another name.' END;
	ELSIF schema.nspowner <> me THEN
		RAISE insufficient_privilege USING MESSAGE = format('schema "%s" already exists and belongs to %s', src.name, schema.nspowner::regrole),
			DETAIL = 'The tables and views of a source are in a schema of the same name, which must belong to its owner.',
			HINT = 'Take another name' || CASE WHEN pg_has_role(schema.nspowner, 'MEMBER') THEN format(', or SET ROLE %s first.', schema.nspowner::regrole) ELSE '.' END;
	ELSIF crm_profile_internal.schema_creators(schema.oid) IS NOT NULL THEN
		RAISE insufficient_privilege USING MESSAGE = format('others may create objects in schema "%s": %s', src.name, crm_profile_internal.schema_creators(schema.oid)),
			DETAIL = format('What they put there could run with the rights of %s.', me),
			HINT = format('Take another name, or REVOKE CREATE ON SCHEMA %I FROM %s', src.name, crm_profile_internal.schema_creators(schema.oid));
	END IF;
	SELECT string_agg(pg_describe_object(p.class, p.object, 0), ', ') AS objects INTO wrong FROM crm_profile_internal.source_present(src) p WHERE p.object IS NOT NULL;
	IF wrong.objects IS NOT NULL THEN
		RAISE duplicate_object USING MESSAGE = format('schema "%s" already has objects with the names that a source uses', src.name), DETAIL = format('There is: %s.', wrong.objects),
			HINT = 'Take another name, or rename or drop them.';
	END IF;
	PERFORM crm_profile_internal.pin_settings(src.settings);
	src.schema_created := schema.oid IS NULL;
	IF src.schema_created THEN
		EXECUTE format('CREATE SCHEMA %I', src.name);
		EXECUTE format('COMMENT ON SCHEMA %I IS %L', src.name, format('tables and views of source %s of crm_profile', src.name));
	END IF;
	src := crm_profile_internal.source_resolve(src, true);
	EXECUTE format('CREATE TABLE %I.source_definition OF crm_profile.source_definition (PRIMARY KEY (customers))', src.name);
	PERFORM crm_profile_internal.source_comment_definition(src);
	PERFORM crm_profile_internal.source_build_tables(src);
	src := crm_profile_internal.source_build(src);
	src := crm_profile_internal.source_resolve_best(src);
	IF given ? 'attributes' THEN
		PERFORM crm_profile_internal.source_warn_identifying(src);
	END IF;
	PERFORM crm_profile_internal.source_write(src);
	RAISE NOTICE 'now: SELECT * FROM crm_profile.refresh(%)', quote_literal(src.name);
	RETURN QUERY
		SELECT a.name, CASE a.type WHEN 'text[]' THEN array_to_string(ARRAY(SELECT jsonb_array_elements_text(d.value)), ', ') ELSE d.value #>> '{}' END, CASE WHEN given ? a.name THEN 'given' ELSE 'inferred' END
		FROM crm_profile_internal.source_arguments() a JOIN jsonb_each(jsonb_strip_nulls(to_jsonb(crm_profile_internal.source_as_given(src)))) d ON d.key = a.name
			JOIN pg_attribute f ON f.attrelid = 'crm_profile.source_definition'::regclass AND f.attname = a.name
		-- tables and columns, and what was inferred
		WHERE coalesce(a.preset LIKE 'NULL::%', true) AND (a.type IN ('text', 'text[]') OR NOT given ? a.name) AND (a.name <> 'best' OR src.prospects IS NOT NULL)
		ORDER BY f.attnum;
END $$; -- create_source(), arguments as jsonb

---------------------------------------------------------------- alter

CREATE FUNCTION crm_profile_internal.alter_source_as_owner(old crm_profile.source_definition, given jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = on AS $$
DECLARE
	src crm_profile.source_definition := old;
	reset text[] := given ->> 'reset';
	resettable CONSTANT text[] := ARRAY(SELECT a.name FROM crm_profile_internal.source_arguments() a WHERE a.preset LIKE 'NULL::%');
	wrong text;
	learnt boolean;
	today date;
BEGIN
	SELECT r INTO wrong FROM unnest(reset) r WHERE r <> ALL (resettable);
	IF wrong IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error('reset', format('"%s" is not an argument that can be left out', wrong), format('These can: %s.', array_to_string(resettable, ', ')), NULL);
	END IF;
	SELECT r INTO wrong FROM unnest(reset) r WHERE given ? r;
	IF wrong IS NOT NULL THEN
		PERFORM crm_profile_internal.source_argument_error('reset', format('"%s" is given as well', wrong), NULL, 'Either give it or reset it.');
	END IF;
	-- another table has other columns, and another scheme may have other bins
	IF 'prospects' = ANY (reset) OR given ? 'prospects' THEN
		reset := reset || '{prospect_key,prospect_customer}'::text[];
	END IF;
	IF 'campaigns' = ANY (reset) OR given ? 'campaigns' THEN
		reset := reset || '{campaign_customer,campaign_name,contacted_at,treated,responded_at,response_value,contact_cost,campaign_code}'::text[];
	END IF;
	IF 'payments' = ANY (reset) OR given ? 'payments' THEN
		reset := reset || '{payment_customer,payment_order,payment_due,payment_paid,payment_amount}'::text[];
	END IF;
	IF 'lines' = ANY (reset) OR given ? 'lines' THEN
		reset := reset || '{line_order,line_customer,line_day,line_product,line_category}'::text[];
	END IF;
	IF given ? 'scheme' THEN
		reset := reset || '{bins}'::text[];
	END IF;
	src := jsonb_populate_record(src, coalesce((SELECT jsonb_object_agg(r, NULL) FROM unnest(reset) r), '{}') || given - '{name,reset,search_path}'::text[]);
	-- new names are looked up in the caller's search_path, unchanged ones in the stored one
	SELECT array_agg(p ORDER BY n) INTO src.search_path
		FROM (SELECT p, min(n) AS n FROM unnest(old.search_path || (given ->> 'search_path')::name[]) WITH ORDINALITY u(p, n) GROUP BY p) u;
	PERFORM crm_profile_internal.pin_settings(src.settings);

	src := crm_profile_internal.source_resolve(src, given ?| '{orders,order_customer,amount,order_key}' OR reset && '{order_customer,amount,order_key}');
	IF src.key_type <> old.key_type THEN
		PERFORM crm_profile_internal.source_argument_error('customer_key', format('the key would have type %s, so far it has %s', src.key_type, old.key_type),
			'The views of a source keep the types of their columns.', 'Drop the source and create it again.');
	END IF;
	IF src.prospect_key_type <> old.prospect_key_type THEN
		PERFORM crm_profile_internal.source_argument_error('prospect_key', format('the key would have type %s, so far it has %s', src.prospect_key_type, old.prospect_key_type),
			'The views of a source keep the types of their columns.', 'Take the prospects away first, with reset => ''{prospects}''.');
	END IF;
	-- by the definition that the objects were made by
	src.grants := crm_profile_internal.source_grants(old);
	src := crm_profile_internal.source_build(src);
	-- with other arguments, orders may be missing for another reason
	src.tracking := NULL;
	src.orders_since := NULL;
	src := crm_profile_internal.source_resolve_best(src);
	IF given ? 'attributes' THEN
		PERFORM crm_profile_internal.source_warn_identifying(src);
	END IF;
	-- whether the models of attributes stay valid; models of other attributes cannot encode these
	learnt := src.customer_query IS NOT DISTINCT FROM old.customer_query AND src.attribute_options IS NOT DISTINCT FROM old.attribute_options AND (src.prospects IS NULL) = (old.prospects IS NULL);
	IF NOT learnt THEN
		src.best_customers := NULL;
		src.other_customers := NULL;
	END IF;
	PERFORM crm_profile_internal.source_write(src);
	-- views of tables that are read no longer, or have come here
	FOR wrong IN SELECT p.object::regclass::text FROM crm_profile_internal.source_present(old) p
			WHERE p.object IS NOT NULL AND p.found = 'view' AND NOT EXISTS (SELECT FROM crm_profile_internal.source_objects(src) o WHERE o.name = p.name) LOOP
		EXECUTE 'DROP VIEW ' || wrong;
	END LOOP;
	IF NOT learnt THEN
		PERFORM crm_profile_internal.source_keep_match(src, clock_timestamp(), NULL, NULL);
	END IF;
	IF src.materialize THEN
		today := coalesce(src.as_of, (CURRENT_TIMESTAMP AT TIME ZONE src.time_zone)::date);
		PERFORM crm_profile_internal.refresh_profiles(src, today, false, NULL);
		PERFORM crm_profile_internal.refresh_kept(src, today, true, false);
	END IF;
	RAISE NOTICE 'the change takes full effect with the next refresh' USING HINT = format('SELECT * FROM crm_profile.refresh(%L)', src.name);
END $$; -- runs as the owner of the source: alter_source(), arguments as jsonb

---------------------------------------------------------------- drop

CREATE FUNCTION crm_profile_internal.drop_source_as_owner(src crm_profile.source_definition, "cascade" boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me CONSTANT oid := quote_ident(current_user)::regrole::oid;
	object record;
	schema oid;
	others text;
BEGIN
	PERFORM crm_profile_internal.no_notices();
	PERFORM crm_profile_internal.drop_slot(src.name);
	PERFORM crm_profile_internal.source_lock(src, triggers => true);
	-- the triggers first: writers of orders lock these before the queue
	FOR object IN SELECT p.* FROM crm_profile_internal.source_present(src) p WHERE p.name IN ('change_queue', 'customer_queue') AND p.owner = me AND p.found = p.kind LOOP
		PERFORM crm_profile_internal.track_table(object.object, NULL, NULL, NULL);
	END LOOP;
	-- objects of another kind or owner do not belong to the source
	FOR object IN SELECT p.* FROM crm_profile_internal.source_present(src) p WHERE p.owner = me AND p.found = p.kind LOOP
		-- an earlier DROP may have dropped it, too
		IF EXISTS (SELECT FROM pg_proc p WHERE object.kind = 'function' AND p.oid = object.object) OR EXISTS (SELECT FROM pg_class c WHERE object.kind <> 'function' AND c.oid = object.object) THEN
			EXECUTE format('DROP %s %s %s', object.kind, CASE object.kind WHEN 'function' THEN object.object::regprocedure::text ELSE object.object::regclass::text END, CASE WHEN "cascade" THEN 'CASCADE' END);
		END IF;
	END LOOP;
	SELECT n.oid INTO schema FROM pg_namespace n WHERE n.nspname = src.name AND n.nspowner = me;
	IF src.schema_created AND schema IS NOT NULL THEN
		SELECT string_agg(pg_describe_object(d.classid, d.objid, 0), ', ') INTO others
			FROM (SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = schema ORDER BY d.classid, d.objid LIMIT 5) d;
		IF others IS NULL THEN
			EXECUTE format('DROP SCHEMA %I', src.name);
		ELSE
			RAISE WARNING 'schema "%" is kept because it is not empty', src.name USING DETAIL = format('There is: %s.', others);
		END IF;
	END IF;
END $$; -- runs as the owner of the source: drop_source()

CREATE FUNCTION crm_profile.drop_source(name text, "cascade" boolean DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000; -- drops the objects of a source, and its schema if create_source() made it and it is empty then; cascade: objects that depend on them, too

---------------------------------------------------------------- explain

CREATE FUNCTION crm_profile_internal.explain_source_as_owner(src crm_profile.source_definition) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	shards record := crm_profile_internal.source_shards(src);
BEGIN
	RETURN crm_profile_internal.wrapped_sql(concat(format(E'-- refresh runs as %I, with TimeZone %L:\n', current_user, src.time_zone),
		CASE WHEN shards.orders IS NOT NULL THEN format(E'-- Citus distributes %s: %s\n', shards.orders,
			CASE WHEN shards.whole THEN 'the workers make the histories, nothing else leaves them' ELSE 'the orders come here, since EXPLAIN shows that the workers cannot make whole histories' END) END,
		CASE WHEN src.elsewhere ? 'customers' THEN '-- ' || replace(crm_profile_internal.wrapped(format('%s is on other machines: the histories are stored here, and the keys of customers come to them', src.elsewhere -> 'customers' ->> 'given'), 72), E'\n', E'\n--   ') || E'\n' END,
		(SELECT string_agg(format(E'-- corrected: %s\n', replace(crm_profile_internal.wrapped(l.told, 66), E'\n', E'\n--   ')), '' ORDER BY l.place) FROM crm_profile_internal.source_layers(src) l),
		coalesce(crm_profile_internal.source_history_query(src), crm_profile_internal.source_orders_query(src)), E';\n\n-- with the settings of the session in which it was created:\n-- ', array_to_string(src.settings, E'\n-- '),
		format(E'\n\n-- customer_profile:\n%s;', crm_profile_internal.source_profile_query(src, crm_profile_internal.source_today(src))),
		CASE WHEN src.prospects IS NOT NULL THEN format(E'\n\n-- the best customers:\n%s;\n\n-- prospect_match:\n%s;', crm_profile_internal.source_best_query(src), crm_profile_internal.source_match_query(src)) END), 78);
END $$; -- runs as the owner of the source: explain_source()

CREATE FUNCTION crm_profile.explain_source(name text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000; -- the SQL of a source: the query of orders that a refresh runs, and those of customer_profile and prospect_match
