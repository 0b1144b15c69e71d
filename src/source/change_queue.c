/*
 * change_queue.c: change tracking: the row trigger that notes which orders change, or of which
 * customers.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "source/noted_changes.h"
#include "source/tracking_triggers.h"

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
