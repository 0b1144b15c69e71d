/*
 * change_queue.c: change tracking: the row trigger that notes the customers whose orders change,
 * and the link from a trigger to the queue of its source.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
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
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "source/noted_changes.h"

/* What a trigger found out about itself; kept for the session until something changes. */
typedef struct TrackedTable
{
	Oid trigger; /* the key of the hash table */
	Oid table;
	Oid queue; /* invalid if it is linked to none, and notes nothing */
	AttrNumber column;
	NotedForm form;
	bool always;         /* an update is noted whatever it changes */
	int nwatched;        /* else if it changes one of these columns, which rows are noted with */
	AttrNumber *watched; /* in TopMemoryContext; NULL: none, or all */
	bool valid;
} TrackedTable;

static HTAB *tracked_tables = NULL;

/* The last trigger of this transaction, and where its changes go. */
static TrackedTable *last_table = NULL;
static NotedChanges *last_noted = NULL;
static uint64 last_transaction = 0;

/* ---------- from a trigger to its queue ---------- */

static void
ForgetTrackedTable(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS status;
	TrackedTable *table;

	hash_seq_init(&status, tracked_tables);
	while ((table = hash_seq_search(&status)) != NULL)
		if (!OidIsValid(relation) || table->table == relation || table->queue == relation)
			table->valid = false;
}

static void
PrepareSession(void)
{
	HASHCTL control = {0};

	if (tracked_tables != NULL)
		return;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(TrackedTable);
	tracked_tables =
		hash_create("tables with change tracking", 16, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(ForgetTrackedTable, (Datum) 0);
}

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

/* The trigger that a partition's trigger was cloned from, which has the link. */
static Oid
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

static AttrNumber
ColumnNumber(TupleDesc columns, const char *name)
{
	for (int i = 0; i < columns->natts; i++)
		if (!TupleDescAttr(columns, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) == 0)
			return i + 1;
	return InvalidAttrNumber;
}

/* The arguments after the key: none, so each update counts; else columns, of which * is no one in
 * particular. */
static void
WatchColumns(TrackedTable *found, const Trigger *trigger, TupleDesc columns)
{
	found->always = trigger->tgnargs == 1;
	if (found->always)
		return;
	found->watched = MemoryContextAlloc(TopMemoryContext, trigger->tgnargs * sizeof(AttrNumber));
	for (int i = 1; i < trigger->tgnargs; i++)
	{
		AttrNumber column = ColumnNumber(columns, trigger->tgargs[i]);

		if (column != InvalidAttrNumber)
			found->watched[found->nwatched++] = column;
	}
}

static KeyKind
KindOfColumn(TupleDesc columns, AttrNumber number)
{
	Form_pg_attribute column = TupleDescAttr(columns, number - 1);

	return (KeyKind){.type = getBaseType(column->atttypid),
					 .len = column->attlen,
					 .byval = column->attbyval,
					 .align = column->attalign};
}

/* Rows are noted with the watched columns, if the queue has room for these. */
static void
RecordColumns(TrackedTable *found, int nwatched, TupleDesc columns)
{
	NotedForm form = found->form;
	Relation queue;

	if (nwatched == 0 || nwatched > MOST_RECORDED || found->nwatched < nwatched ||
		found->watched[0] != found->column)
		return;
	form.nrecorded = nwatched;
	for (int i = 0; i < nwatched; i++)
		form.recorded[i] = KindOfColumn(columns, found->watched[i]);
	queue = try_table_open(found->queue, RowExclusiveLock);
	if (queue == NULL)
		return;
	if (IsQueue(queue, &form))
		found->form = form;
	table_close(queue, NoLock);
}

static TrackedTable *
FindTrackedTable(TriggerData *data)
{
	Oid trigger = data->tg_trigger->tgoid;
	TrackedTable *table = hash_search(tracked_tables, &trigger, HASH_FIND, NULL);
	TrackedTable found;
	TupleDesc columns = RelationGetDescr(data->tg_relation);

	if (table != NULL && table->valid)
		return table;
	memset(&found, 0, sizeof(found));
	found.trigger = trigger;
	found.table = RelationGetRelid(data->tg_relation);
	if (data->tg_trigger->tgnargs > 0)
		found.column = ColumnNumber(columns, data->tg_trigger->tgargs[0]);
	if (found.column > 0)
		found.queue = QueueOfTrigger(trigger);
	if (OidIsValid(found.queue))
	{
		found.form.key = KindOfColumn(columns, found.column);
		WatchColumns(&found, data->tg_trigger, columns);
		RecordColumns(&found, data->tg_trigger->tgnargs - 1, columns);
	}
	if (table != NULL && table->watched != NULL)
		pfree(table->watched);
	table = hash_search(tracked_tables, &trigger, HASH_ENTER, NULL);
	*table = found;
	table->valid = true;
	return table;
}

/* ---------- the trigger ---------- */

static void
NoteChange(HeapTuple row, TupleDesc columns, bool added)
{
	bool isnull;
	Datum key = heap_getattr(row, last_table->column, columns, &isnull);

	if (isnull)
		NoteWithoutCustomer(last_noted);
	else if (!NoteRow(last_noted, row, columns, last_table->watched, added))
		NoteKey(last_noted, key);
}

/* Whether an update changed what is watched. */
static bool
ChangesWatched(const TrackedTable *table, HeapTuple old, HeapTuple new, TupleDesc columns)
{
	for (int i = 0; i < table->nwatched; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, table->watched[i] - 1);
		bool was_null;
		bool is_null;
		Datum was = heap_getattr(old, table->watched[i], columns, &was_null);
		Datum is = heap_getattr(new, table->watched[i], columns, &is_null);

		if (was_null != is_null ||
			(!was_null && !datumIsEqual(was, is, column->attbyval, column->attlen)))
			return true;
	}
	return table->always;
}

/*
 * AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW, with the name of the customer
 * column, and of those whose updates count: notes the old and the new row, or their customers.
 */
PG_FUNCTION_INFO_V1(note_changed_customer);
Datum
note_changed_customer(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("note_changed_customer() must be fired after a row was changed")));
	PrepareSession();
	if (last_table == NULL || !last_table->valid ||
		last_table->trigger != data->tg_trigger->tgoid || last_transaction != NotedTransaction())
	{
		last_table = FindTrackedTable(data);
		last_noted = OidIsValid(last_table->queue)
						 ? FindNotedChanges(last_table->queue, &last_table->form)
						 : NULL;
		last_transaction = NotedTransaction();
	}
	if (last_noted == NULL)
		PG_RETURN_POINTER(NULL);

	columns = RelationGetDescr(data->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) &&
		!ChangesWatched(last_table, data->tg_trigtuple, data->tg_newtuple, columns))
		PG_RETURN_POINTER(NULL);
	NoteChange(data->tg_trigtuple, columns, TRIGGER_FIRED_BY_INSERT(data->tg_event));
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		NoteChange(data->tg_newtuple, columns, true);
	LimitNotedChanges(last_noted);
	PG_RETURN_POINTER(NULL);
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
