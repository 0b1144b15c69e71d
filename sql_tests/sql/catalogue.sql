-- Faults in the definitions of the extension's objects, after PostgreSQL's own opr_sanity and type_sanity. Every query must come back empty;
-- a row names an object with the fault described above the query. Exceptions are listed here, and nowhere else.

-- Functions that may be volatile or parallel unsafe: they run a query of the caller's, or write
CREATE TEMP TABLE acts (name) AS VALUES
	('collect_purchase_histories'), ('store_purchase_histories'), ('rfm_scores'), ('match_prospects'), ('where_to_find'), ('match_trial'), ('nearest_profiles'),
	('rows_elsewhere'), ('keys_elsewhere'), ('is_pushed'), ('source_bring'), ('source_build_elsewhere'), ('source_check_elsewhere'), ('source_create_here'), ('source_history_query'), ('source_orders_elsewhere'), ('source_shards'), ('explain_source_as_owner'),
	('create_source'), ('alter_source'), ('drop_source'), ('explain_source'), ('refresh'), ('check_source'), ('check_key'), ('check_row_of_attributes'), ('nearest_customers'), ('check_source_details'), ('forget_customer'), ('profile_now'), ('profile_now_details'),
	('create_source_from'), ('alter_source_as_owner'), ('drop_source_as_owner'), ('refresh_as_owner'), ('check_source_as_owner'), ('check_source_details_as_owner'), ('forget_customer_as_owner'), ('forget_customers'), ('forget_customers_as_owner'), ('forget_keys'), ('figures_now'), ('find_and_keep'), ('lock_relations'), ('source_lock'), ('hold_source'), ('hold_source_as_owner'), ('rewrite_tables'), ('profile_now_as_owner'), ('profile_now_details_as_owner'), ('refresh_histories'), ('refresh_models'), ('refresh_profiles'),
	('reads_alike'), ('source_relation'), ('source_type_of'), ('reading_of'), ('readable_column'), ('source_amount'), ('source_expression'), ('source_canonical'), ('source_resolve'), ('source_comment'), ('source_admit'),
	('source_drop_table'), ('basket_rules'), ('next_products'), ('complements'), ('next_product'), ('source_day_of'), ('source_key_of'), ('source_resolve_lines'), ('source_order_customers'), ('source_resolve_payments'), ('source_build_payments'), ('find_in_payments'), ('payment_behaviour'), ('payment_rows'), ('source_find_part'), ('source_resolve_conditions'), ('source_build_lines'), ('find_in_lines'), ('source_build_due'), ('refresh_complements'), ('source_build_complements'),
	('source_build_tables'), ('source_build_views'), ('source_build_evaluation'), ('source_build_model_card'), ('source_build'), ('source_comment_definition'), ('source_repair'), ('source_of'), ('source_read'), ('source_write'), ('source_list'), ('pin_settings'), ('no_notices'), ('run_history_query'),
	('source_resolve_interactions'), ('source_resolve_day_weights'), ('source_resolve_prospects'), ('source_resolve_best'), ('source_build_match'), ('source_profile_options'), ('source_keep_match'), ('refresh_matches'), ('match_prospects_as_owner'), ('source_persona_query'), ('source_where_query'), ('source_build_persona'),
	('rebuild_source'), ('rebuild_source_as_owner'), ('rebuild_sources'), ('source_build_profile'), ('source_build_kept'), ('refresh_kept'), ('source_build_effects'), ('refresh_effects'), ('identify_histories'), ('source_resolve_settings'), ('source_check_attribute_options'), ('source_check_corrections'), ('attribute_options'), ('attributes_gain'), ('source_drop_view'), ('source_keep_model'), ('source_share_rights'), ('source_view'), ('orders_without_customer'), ('refresh_findings'), ('source_build_attributes'), ('source_build_prospect_model'), ('source_comment_models'),
	('collect_valid_histories'), ('order_faults'), ('find_in_orders'), ('find_in_columns'), ('find_in_customers'), ('find_in_attributes'), ('find_in_prospects'), ('find_persons'), ('find_unreadable'), ('fails_on'), ('source_find'), ('labels_without'), ('order_columns_seen'),
	('key_or_null'), ('readable_part'), ('readable_rows'), ('refresh_identity'), ('refresh_quality'), ('source_build_findings'), ('source_keep_findings'),
	('note_changed_customer'), ('track_table'), ('source_resolve_tracking'), ('source_build_tracking'), ('take_changes'), ('take_queue'), ('build_queue'), ('take_stamped_changes'), ('write_histories'), ('write_changed_histories'), ('change_histories'), ('find_identity'), ('write_noted_changes'), ('oldest_stored'), ('old_orders_dropped'), ('changed_orders_query'), ('mend_tracking'), ('wait_for_commit'), ('commit_durably'), ('drop_slot'), ('make_slot'), ('peek_slot'), ('take_slot_changes'), ('refresh_all'),
	('source_build_population'), ('source_build_unknown'), ('source_build_labels'), ('refresh_labels'), ('keep_population'), ('refresh_known'), ('refresh_population'),
	('store_rows'), ('source_local_day'), ('source_resolve_codes'), ('source_contact_amount'), ('source_resolve_campaigns'), ('source_build_campaigns'), ('find_in_campaigns'), ('response_measures'), ('campaign_totals'), ('source_condition'), ('tell_audience'), ('select_audience'), ('select_audience_as_owner'), ('draw_audience'), ('plan_effects'), ('plan_contacts'), ('plan_contacts_as_owner'), ('planned_contacts'), ('campaign_plan'), ('campaign_plan_as_owner'),
	('look_at'), ('seal_models'), ('infer_orders'), ('infer_lines'), ('infer_days'), ('infer_amounts'), ('infer_filter'), ('glance_at'), ('suggest_pairs'), ('suggest_orders'), ('suggest_sources'), ('suggest_sources_details'), ('identifying'), ('source_warn_identifying'), ('source_common_columns');
-- Aggregates without a combine function: their input does not fit one (record), or they need all rows at once
CREATE TEMP TABLE whole (name) AS VALUES
	('profile_groups_fit'), ('group_weights'),
	('profile_fit'), ('attribute_relevance'), ('match_fit'), ('match_fit_quiet'), ('uplift_fit'), ('niche_sums'), ('payment_habit'), ('payment_alarm'), ('segment_rule'), ('customer_base_fit'), ('population_fit'), ('population_change'), ('value_tiers_fit'), ('label_changes'), ('sample_keys'), ('persona_counts'), ('product_affinity_rows'), ('category_buyers_rows'), ('any_of');
-- Functions that may be leakproof: they say nothing about any value, not even in an error
CREATE TEMP TABLE silent (name) AS VALUES
	('bins'), ('r_score'), ('f_score'), ('m_score'), ('rfm_score_to_integer');

CREATE TEMP VIEW member AS
	SELECT d.classid, d.objid, i.type, i.schema, i.name, pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS object
	FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'crm_profile',
		pg_identify_object(d.classid, d.objid, 0) i
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
CREATE TEMP VIEW function AS
	SELECT p.*, m.object, l.lanname FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
		JOIN pg_language l ON l.oid = p.prolang;
CREATE TEMP VIEW operator AS
	SELECT o.*, m.object FROM member m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid;
CREATE TEMP VIEW base_type AS
	SELECT t.*, m.object FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
	WHERE t.typtype = 'b' AND t.typcategory <> 'A';
CREATE TEMP VIEW aggregate AS
	SELECT a.*, f.object, f.proname, f.proparallel, f.proargtypes FROM function f JOIN pg_aggregate a ON a.aggfnoid = f.oid;
CREATE TEMP VIEW relation AS
	SELECT c.*, m.object FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid;

-- This test sees the extension
SELECT count(*) = 0 AS blind FROM member HAVING count(*) = 0;

-- No comment. Objects that PostgreSQL makes by itself need none: array and row types, the operator family of an
-- operator class, sequences of columns
SELECT object FROM member m
WHERE pg_catalog.obj_description(objid, classid::regclass::name) IS NULL
	AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
		WHERE t.oid = m.objid AND (t.typcategory = 'A' OR c.relkind <> 'c')))
	AND NOT (classid = 'pg_opfamily'::regclass AND EXISTS (SELECT FROM pg_opclass c JOIN pg_opfamily f ON f.oid = c.opcfamily
		WHERE f.oid = m.objid AND f.opfname = c.opcname))
	AND NOT (classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_depend d
		WHERE d.classid = m.classid AND d.objid = m.objid AND d.refclassid = m.classid AND d.deptype IN ('a', 'i')))
ORDER BY object;

-- Calls a function that only the extension's C code may call, so that it fails for everybody but a superuser
SELECT f.object, d.proname FROM function f, function d
WHERE f.lanname IN ('sql', 'plpgsql') AND d.proname LIKE '%\_as\_owner' AND coalesce(f.prosrc, '') || coalesce(pg_get_function_sqlbody(f.oid), '') ~ ('crm_profile_internal\.' || d.proname || '\(');

-- Not everybody may call it, though a cast of a constant does
SELECT f.object FROM function f JOIN pg_type t ON f.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend) WHERE NOT has_function_privilege('pg_monitor', f.oid, 'EXECUTE');

-- Outside the extension's schemas
SELECT object FROM member WHERE schema NOT IN ('crm_profile', 'crm_profile_internal') ORDER BY object;

-- ---------------------------------------------------------------- functions

-- Volatile or not parallel safe without being listed above: mostly a forgotten mark
SELECT object, provolatile, proparallel FROM function
WHERE (provolatile = 'v' OR proparallel <> 's') AND prokind = 'f' AND prorettype <> 'trigger'::regtype AND proname NOT IN (SELECT name FROM acts)
ORDER BY object;

-- Runs with the rights of another user than the caller
SELECT object FROM function WHERE prosecdef ORDER BY object;

-- Leakproof without being listed above. What compares or hashes for operators and indexes may be
SELECT object FROM function f WHERE proleakproof AND proname NOT IN (SELECT name FROM silent)
	AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = f.oid) AND NOT EXISTS (SELECT FROM pg_amproc a WHERE a.amproc = f.oid)
ORDER BY object;

-- A C function of another library than the extension's
SELECT object, probin FROM function WHERE lanname = 'c' AND probin <> '$libdir/crm_profile' ORDER BY object;

-- Overloads on one C symbol that differ in strictness or parallel safety
SELECT prosrc FROM function WHERE lanname = 'c' GROUP BY prosrc
HAVING count(DISTINCT proisstrict) > 1 OR count(DISTINCT proparallel) > 1 ORDER BY prosrc;

-- Looks up names at run time without a fixed search_path, or with the temporary schema not last in it
SELECT object, proconfig FROM function
WHERE lanname IN ('sql', 'plpgsql') AND prosqlbody IS NULL
	AND NOT EXISTS (SELECT FROM unnest(proconfig) s WHERE s ~ '^search_path=(""|.*, ?"?pg_temp"?)$')
ORDER BY object;

-- An argument of a function for users has no name. Support functions of types, operators, casts, aggregates and indexes are exempt
SELECT object FROM function f
WHERE pronargs > 0 AND prokind IN ('f', 'a', 'p') AND (proargnames IS NULL OR '' = ANY (proargnames[1:pronargs]))
	AND NOT proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[]
	AND NOT EXISTS (SELECT FROM pg_type t WHERE f.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout))
	AND NOT EXISTS (SELECT FROM pg_operator o WHERE o.oprcode = f.oid)
	AND NOT EXISTS (SELECT FROM pg_cast c WHERE c.castfunc = f.oid)
	AND NOT EXISTS (SELECT FROM pg_amproc a WHERE a.amproc = f.oid)
	AND NOT EXISTS (SELECT FROM pg_aggregate a WHERE f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
		a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn))
ORDER BY object;

-- ---------------------------------------------------------------- operators

-- No function behind it (a shell that a commutator or negator clause left), or one that is not strict, immutable and parallel safe
SELECT o.object FROM operator o LEFT JOIN pg_proc p ON p.oid = o.oprcode
WHERE p.oid IS NULL OR NOT p.proisstrict OR p.provolatile <> 'i' OR p.proparallel <> 's' ORDER BY o.object;

-- A commutator or negator whose operands do not fit, or that does not name the operator back
SELECT o.object, 'commutator' AS fault FROM operator o JOIN pg_operator c ON c.oid = o.oprcom
WHERE (c.oprcom, c.oprleft, c.oprright, c.oprresult) IS DISTINCT FROM (o.oid, o.oprright, o.oprleft, o.oprresult)
UNION ALL
SELECT o.object, 'negator' FROM operator o JOIN pg_operator n ON n.oid = o.oprnegate
WHERE (n.oprnegate, n.oprleft, n.oprright, n.oprresult) IS DISTINCT FROM (o.oid, o.oprleft, o.oprright, o.oprresult) OR n.oid = o.oid
ORDER BY object, fault;

-- A comparison without the commutator, negator or estimators that go with its name
SELECT object, c.oprname AS commutator, n.oprname AS negator, o.oprrest, o.oprjoin
FROM operator o LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_operator n ON n.oid = o.oprnegate
	JOIN (VALUES ('=', '=', '<>', 'eqsel', 'eqjoinsel'), ('<>', '<>', '=', 'neqsel', 'neqjoinsel'),
		('<', '>', '>=', 'scalarltsel', 'scalarltjoinsel'), ('<=', '>=', '>', 'scalarlesel', 'scalarlejoinsel'),
		('>', '<', '<=', 'scalargtsel', 'scalargtjoinsel'), ('>=', '<=', '<', 'scalargesel', 'scalargejoinsel'))
		AS should (name, com, neg, rest, joins) ON o.oprname = should.name
WHERE (c.oprname, n.oprname, o.oprrest::oid, o.oprjoin::oid)
	IS DISTINCT FROM (com::name, neg::name, ('pg_catalog.' || rest)::regproc::oid, ('pg_catalog.' || joins)::regproc::oid)
ORDER BY object;

-- Equality that cannot be hashed and merged, or has no hash and btree operator class to do it with
SELECT object, oprcanhash, oprcanmerge FROM operator o
WHERE oprname = '=' AND (NOT oprcanhash OR NOT oprcanmerge
	OR 2 > (SELECT count(*) FROM pg_amop s JOIN pg_am a ON a.oid = s.amopmethod WHERE s.amopopr = o.oid
		AND (a.amname, s.amopstrategy) IN (('btree', 3), ('hash', 1))))
ORDER BY object;

-- A yes-or-no operator of two operands without an estimator
SELECT object FROM operator WHERE oprresult = 'bool'::regtype AND oprleft <> 0 AND oprrest = 0 ORDER BY object;

-- Operator classes that their access method rejects (it says why as INFO)
SELECT m.object FROM member m JOIN pg_opclass c ON m.classid = 'pg_opclass'::regclass AND c.oid = m.objid
WHERE NOT amvalidate(c.oid) ORDER BY m.object;

-- ---------------------------------------------------------------- types and casts

-- A base type without text or binary input and output, all four strict, not volatile and parallel safe
SELECT t.object, fault FROM base_type t,
	LATERAL (VALUES ('input', typinput), ('output', typoutput), ('receive', typreceive), ('send', typsend)) AS io (fault, fn)
	LEFT JOIN pg_proc p ON p.oid = io.fn::oid
WHERE p.oid IS NULL OR NOT p.proisstrict OR p.provolatile = 'v' OR p.proparallel <> 's'
ORDER BY t.object, fault;

-- An implicit cast
SELECT m.object FROM member m JOIN pg_cast c ON m.classid = 'pg_cast'::regclass AND c.oid = m.objid
WHERE c.castcontext = 'i' ORDER BY m.object;

-- ---------------------------------------------------------------- aggregates

-- Parallel safety differs from that of its functions
SELECT a.object FROM aggregate a
WHERE (a.proparallel = 's') <> (SELECT bool_and(p.proparallel = 's') FROM pg_proc p
	WHERE p.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn))
ORDER BY a.object;

-- Cannot be split between workers, partitions or nodes, and is not listed above
SELECT object FROM aggregate WHERE aggcombinefn = 0 AND proname NOT IN (SELECT name FROM whole) ORDER BY object;

-- Combinable, but the state does not travel: internal without serial functions, or with a strict combine function
SELECT a.object FROM aggregate a JOIN pg_proc p ON p.oid = a.aggcombinefn
WHERE a.aggtranstype = 'internal'::regtype AND (a.aggserialfn = 0 OR a.aggdeserialfn = 0 OR p.proisstrict)
ORDER BY a.object;

-- Combinable with a polymorphic argument: distributed plans cannot split it
SELECT object FROM aggregate
WHERE aggcombinefn <> 0 AND aggtranstype <> 'internal'::regtype AND EXISTS (SELECT FROM unnest(proargtypes::oid[]) a JOIN pg_type t ON t.oid = a WHERE t.typname LIKE 'any%')
ORDER BY object;

-- ---------------------------------------------------------------- tables, views, rights

-- Anybody may write, and no row-level security restricts the rows
SELECT object, privilege_type FROM relation, aclexplode(relacl) a
WHERE a.grantee = 0 AND a.privilege_type <> 'SELECT' AND relkind IN ('r', 'p', 'v') AND NOT relrowsecurity
ORDER BY object, privilege_type;

-- Anybody may create objects in the extension's schema
SELECT nspname FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'crm_profile' AND a.grantee = 0 AND a.privilege_type = 'CREATE';

-- A table whose rows pg_dump would not dump
SELECT r.object FROM relation r WHERE relkind IN ('r', 'p')
	AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'crm_profile' AND r.oid = ANY (e.extconfig))
ORDER BY r.object;

-- A table without a primary key
SELECT object FROM relation r WHERE relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisprimary)
ORDER BY object;

-- A view that reads with its owner's rights
SELECT object FROM relation WHERE relkind = 'v' AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)
ORDER BY object;
