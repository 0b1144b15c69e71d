/*
 * tracking_triggers.c: change tracking: the triggers on the orders of a source, and the link from a
 * trigger to the queue that it fills.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "source/tracking_triggers.h"

/* ---------- from a trigger to its queue ---------- */

/*
 * The queue that a trigger is linked to by a dependency, which only the owner of the queue can have
 * made (track_table): a trigger planted on a table with this function writes nowhere.
 */
static Oid
LinkedQueue(Relation depend, Oid trigger, Oid table)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid queue = InvalidOid;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend link = (Form_pg_depend) GETSTRUCT(tuple);

		if (link->refclassid == RelationRelationId && link->deptype == DEPENDENCY_AUTO &&
			link->refobjid != table)
			queue = link->refobjid;
	}
	systable_endscan(scan);
	return queue;
}

/* A copy of the row of a trigger in pg_trigger; NULL if it is gone. */
static HeapTuple
TriggerRow(Relation triggers, Oid trigger)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

Oid
QueueOfTrigger(Oid trigger)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	Relation depend = table_open(DependRelationId, AccessShareLock);
	Oid queue = InvalidOid;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = TriggerRow(triggers, trigger)))
	{
		Form_pg_trigger row = (Form_pg_trigger) GETSTRUCT(tuple);

		if (!OidIsValid(row->tgparentid))
		{
			queue = LinkedQueue(depend, trigger, row->tgrelid);
			break;
		}
		trigger = row->tgparentid;
	}
	table_close(depend, AccessShareLock);
	table_close(triggers, AccessShareLock);
	return queue;
}

/* ---------- making and dropping triggers ---------- */

static void
DropTrigger(Oid trigger)
{
	ObjectAddress address = {.classId = TriggerRelationId, .objectId = trigger};

	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	CommandCounterIncrement();
}

/* The triggers linked to a queue, without those of partitions. */
static List *
LinkedTriggers(Oid queue)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	List *triggers = NIL;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(queue));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend link = (Form_pg_depend) GETSTRUCT(tuple);

		if (link->classid == TriggerRelationId && link->deptype == DEPENDENCY_AUTO)
			triggers = lappend_oid(triggers, link->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return triggers;
}

/* The arguments of a trigger: the key, and the columns that are watched. */
static List *
TriggerArguments(const char *column, ArrayType *watched)
{
	List *arguments = list_make1(makeString(pstrdup(column)));
	Datum *names;
	int n;

	deconstruct_array(watched, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, NULL, &n);
	for (int i = 0; i < n; i++)
		arguments = lappend(arguments, makeString(pstrdup(NameStr(*DatumGetName(names[i])))));
	return arguments;
}

/* Whether one of a queue's triggers is that of this table and these columns; drops it if not. */
static bool
KeepOrDrop(Oid trigger, Oid table, List *arguments)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	HeapTuple tuple = TriggerRow(triggers, trigger);
	bool keep = false;
	bool there = HeapTupleIsValid(tuple);
	Oid relation = there ? ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid : InvalidOid;

	if (there && relation == table)
	{
		bool isnull;
		bytea *bytes = DatumGetByteaPP(
			heap_getattr(tuple, Anum_pg_trigger_tgargs, RelationGetDescr(triggers), &isnull));
		const char *at = VARDATA_ANY(bytes);
		ListCell *cell;

		keep = ((Form_pg_trigger) GETSTRUCT(tuple))->tgnargs == list_length(arguments);
		foreach (cell, arguments)
		{
			if (!keep)
				break;
			keep = strcmp(at, strVal(lfirst(cell))) == 0;
			at += strlen(at) + 1;
		}
	}
	table_close(triggers, AccessShareLock);
	if (there && !keep)
	{
		/* the orders before the queue, in the order in which writers of orders lock them */
		LockRelationOid(relation, AccessExclusiveLock);
		DropTrigger(trigger);
	}
	return keep;
}

static Oid
TrackingFunction(void)
{
	Oid none = InvalidOid;

	return LookupFuncName(
		list_make2(makeString("crm_profile_internal"), makeString("note_changed_customer")), 0,
		&none, false);
}

static bool
SameArguments(const Trigger *trigger, List *arguments)
{
	for (int i = 0; i < Min(trigger->tgnargs, list_length(arguments)); i++)
		if (strcmp(trigger->tgargs[i], strVal(list_nth(arguments, i))) != 0)
			return false;
	return trigger->tgnargs == list_length(arguments);
}

/* A trigger that a dump brought along, without its link; or InvalidOid. */
static Oid
UnlinkedTrigger(Relation table, List *arguments, Oid function)
{
	Oid found = InvalidOid;

	for (int i = 0; table->trigdesc != NULL && i < table->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &table->trigdesc->triggers[i];

		if (trigger->tgfoid == function && !trigger->tgisinternal && !trigger->tgisclone &&
			SameArguments(trigger, arguments) &&
			trigger->tgtype == (TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
								TRIGGER_TYPE_DELETE) &&
			trigger->tgnattr == 0 && trigger->tgqual == NULL &&
			!OidIsValid(QueueOfTrigger(trigger->tgoid)))
			found = trigger->tgoid;
	}
	return found;
}

static char *
TriggerName(Oid trigger)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	HeapTuple tuple = TriggerRow(triggers, trigger);
	char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "trigger %u is gone", trigger);
	name = pstrdup(NameStr(((Form_pg_trigger) GETSTRUCT(tuple))->tgname));
	table_close(triggers, AccessShareLock);
	return name;
}

/*
 * The trigger fires ALWAYS, since logical replication changes orders, too.  Needs the TRIGGER
 * privilege.
 */
static Oid
CreateTrackingTrigger(Relation table, Oid queue, List *arguments, Oid function)
{
	CreateTrigStmt *statement = makeNode(CreateTrigStmt);
	char *name = psprintf("crm_profile_changes_%u", queue);

	while (OidIsValid(get_trigger_oid(RelationGetRelid(table), name, true)))
		name = psprintf("%s_", name);
	statement->trigname = name;
	statement->funcname =
		list_make2(makeString("crm_profile_internal"), makeString("note_changed_customer"));
	statement->args = arguments;
	statement->row = true;
	statement->timing = TRIGGER_TYPE_AFTER;
	statement->events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
	return CreateTriggerFiringOn(statement, NULL, RelationGetRelid(table), InvalidOid, InvalidOid,
								 InvalidOid, function, InvalidOid, NULL, false, false,
								 TRIGGER_FIRES_ALWAYS)
		.objectId;
}

/* Links a trigger to the queue: it writes there, and is dropped with it. */
static void
LinkTrigger(Oid trigger, Oid queue, Oid table)
{
	ObjectAddress depender = {.classId = TriggerRelationId, .objectId = trigger};
	ObjectAddress referenced = {.classId = RelationRelationId, .objectId = queue};
	ListCell *cell;

	recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO);
	/* invalidates what sessions know about the trigger, and about those of partitions */
	foreach (cell, find_all_inheritors(table, NoLock, NULL))
		CacheInvalidateRelcacheByRelid(lfirst_oid(cell));
}

/*
 * (queue, relation, column, watched): from now on the changes of that relation, and
 * of no other, go into the queue, of which the caller is the owner; relation NULL: of
 * none.  Where there are columns to watch, updates that change neither them nor the
 * key are no changes.
 */
PG_FUNCTION_INFO_V1(track_table);
Datum
track_table(PG_FUNCTION_ARGS)
{
	Oid queue = PG_GETARG_OID(0);
	Oid table = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	List *arguments = NIL;
	Oid trigger = InvalidOid;
	Relation relation;
	ListCell *cell;

	if (!RelationIsOwnedBy(queue, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(queue));
	if (OidIsValid(table))
	{
		AclResult right = pg_class_aclcheck(table, GetUserId(), ACL_TRIGGER);

		/* for an existing trigger, too: whoever gets the keys must be allowed to see them */
		if (right != ACLCHECK_OK)
			aclcheck_error(right, OBJECT_TABLE, get_rel_name(table));
		if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("column_name and watched must not be NULL")));
		LockRelationOid(table, ShareRowExclusiveLock);
		arguments = TriggerArguments(NameStr(*PG_GETARG_NAME(2)), PG_GETARG_ARRAYTYPE_P(3));
	}
	foreach (cell, LinkedTriggers(queue))
		if (KeepOrDrop(lfirst_oid(cell), table, arguments))
			trigger = lfirst_oid(cell);
	if (!OidIsValid(table))
		PG_RETURN_VOID();

	relation = table_open(table, NoLock);
	if (!OidIsValid(trigger))
	{
		Oid function = TrackingFunction();

		trigger = UnlinkedTrigger(relation, arguments, function);
		if (!OidIsValid(trigger))
			trigger = CreateTrackingTrigger(relation, queue, arguments, function);
		LinkTrigger(trigger, queue, table);
		CommandCounterIncrement();
	}
	EnableTriggerAlways(relation, TriggerName(trigger));
	table_close(relation, NoLock);
	PG_RETURN_VOID();
}
