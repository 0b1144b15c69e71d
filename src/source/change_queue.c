/*
 * change_queue.c: change tracking: the row trigger that notes the customers whose orders change,
 * and their way into the queue of the source.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "source/tracking_triggers.h"

/* Keys that a transaction keeps in memory before it writes them. */
#define MOST_KEYS 100000
/*
 * They are written as arrays: a row a key would cost as much as noting it.  An
 * array is too small to be compressed or moved out of line, unless of one key.
 */
#define ARRAY_BYTES 1600
#define ARRAYS 64

/* ---------- the keys that a transaction has noted for a queue ---------- */

typedef struct NotedKey
{
	Datum key;
	uint32 hash;
	char status;
} NotedKey;

typedef struct KeyKind
{
	Oid type;
	int16 len;
	bool byval;
	char align;
} KeyKind;

static uint32 HashKey(const KeyKind *kind, Datum key);
static bool SameKey(const KeyKind *kind, Datum a, Datum b);

#define SH_PREFIX keyset
#define SH_ELEMENT_TYPE NotedKey
#define SH_KEY_TYPE Datum
#define SH_KEY key
#define SH_HASH_KEY(set, key) HashKey((set)->private_data, key)
#define SH_EQUAL(set, a, b) SameKey((set)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(set, noted) (noted)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct NotedKeys
{
	Oid queue;
	KeyKind kind;
	keyset_hash *keys;
	bool without_customer; /* an order without a customer changed */
	MemoryContext context; /* of the set and of keys passed by reference */
	struct NotedKeys *next;
} NotedKeys;

/* Of this transaction; freed with its memory. */
static NotedKeys *noted_keys = NULL;

/* What a trigger found out about itself; kept for the session until something changes. */
typedef struct TrackedTable
{
	Oid trigger; /* the key of the hash table */
	Oid table;
	Oid queue; /* invalid if it is linked to none, and notes nothing */
	AttrNumber column;
	KeyKind kind;
	bool always;         /* an update is noted whatever it changes */
	int nwatched;        /* else if it changes the key, or one of these columns */
	AttrNumber *watched; /* in TopMemoryContext; NULL: none, or all */
	bool valid;
} TrackedTable;

static HTAB *tracked_tables = NULL;

/* The last trigger of this transaction, and where its keys go. */
static TrackedTable *last_table = NULL;
static NotedKeys *last_keys = NULL;

/*
 * Keys are compared by their bytes: two spellings of one key are noted twice, which does no harm.
 */
static uint32
HashKey(const KeyKind *kind, Datum key)
{
	if (kind->byval)
		return murmurhash32((uint32) key ^ (uint32) ((uint64) key >> 32));
	if (kind->len == -1)
		return hash_bytes((const unsigned char *) VARDATA_ANY(DatumGetPointer(key)),
						  VARSIZE_ANY_EXHDR(DatumGetPointer(key)));
	return hash_bytes((const unsigned char *) DatumGetPointer(key),
					  kind->len == -2 ? strlen(DatumGetCString(key)) : kind->len);
}

static bool
SameKey(const KeyKind *kind, Datum a, Datum b)
{
	if (kind->byval)
		return a == b;
	if (kind->len == -1)
	{
		Size length = VARSIZE_ANY_EXHDR(DatumGetPointer(a));

		return length == VARSIZE_ANY_EXHDR(DatumGetPointer(b)) &&
			   memcmp(VARDATA_ANY(DatumGetPointer(a)), VARDATA_ANY(DatumGetPointer(b)), length) ==
				   0;
	}
	return datumIsEqual(a, b, false, kind->len);
}

/* ---------- writing them into the queue ---------- */

/*
 * Rows are written without the executor and its permission checks, so the table must be as
 * create_source() made it; a refresh notices if it is not (tracked_leaves).
 */
static bool
IsQueue(Relation table, const KeyKind *kind)
{
	TupleDesc columns = RelationGetDescr(table);

	return table->rd_rel->relkind == RELKIND_RELATION && !table->rd_rel->relhasindex &&
		   table->trigdesc == NULL && columns->natts == 3 &&
		   TupleDescAttr(columns, 0)->atttypid == get_array_type(kind->type) &&
		   TupleDescAttr(columns, 1)->atttypid == TIMESTAMPTZOID &&
		   TupleDescAttr(columns, 2)->atttypid == TEXTOID;
}

typedef struct QueueWriter
{
	Relation queue;
	KeyKind kind;
	MemoryContext batch; /* of the arrays in slots */
	TupleTableSlot *slots[ARRAYS];
	int filled;
	Datum *keys; /* of the next array */
	int nkeys;
	Size bytes;
	TimestampTz now;
} QueueWriter;

static void
WriteBatch(QueueWriter *writer)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->batch);

	if (writer->filled == 1)
		table_tuple_insert(writer->queue, writer->slots[0], GetCurrentCommandId(true), 0, NULL);
	else if (writer->filled > 1)
		table_multi_insert(writer->queue, writer->slots, writer->filled, GetCurrentCommandId(true),
						   0, NULL);
	MemoryContextSwitchTo(caller);
	for (int i = 0; i < writer->filled; i++)
		ExecClearTuple(writer->slots[i]);
	writer->filled = 0;
	MemoryContextReset(writer->batch);
}

/* A row with the keys collected so far; without any: an order without a customer changed. */
static void
WriteRow(QueueWriter *writer)
{
	TupleTableSlot *slot = writer->slots[writer->filled];
	MemoryContext caller;

	if (slot == NULL)
		slot = writer->slots[writer->filled] =
			MakeSingleTupleTableSlot(RelationGetDescr(writer->queue), &TTSOpsVirtual);
	caller = MemoryContextSwitchTo(writer->batch);
	slot->tts_isnull[0] = writer->nkeys == 0;
	if (writer->nkeys > 0)
		slot->tts_values[0] = PointerGetDatum(
			construct_array(writer->keys, writer->nkeys, writer->kind.type, writer->kind.len,
							writer->kind.byval, writer->kind.align));
	MemoryContextSwitchTo(caller);
	slot->tts_values[1] = TimestampTzGetDatum(writer->now);
	slot->tts_isnull[1] = false;
	slot->tts_isnull[2] = true;
	ExecStoreVirtualTuple(slot);
	writer->nkeys = 0;
	writer->bytes = 0;
	if (++writer->filled == ARRAYS)
		WriteBatch(writer);
}

static void
WriteKey(QueueWriter *writer, Datum key)
{
	Size bytes = datumGetSize(key, writer->kind.byval, writer->kind.len);

	if (writer->nkeys > 0 && writer->bytes + bytes > ARRAY_BYTES)
		WriteRow(writer);
	writer->keys[writer->nkeys++] = key;
	writer->bytes += bytes;
}

/* Writes the keys noted so far; this very transaction may have dropped the queue. */
static void
WriteNotedKeys(NotedKeys *noted)
{
	QueueWriter writer = {.kind = noted->kind};
	keyset_iterator at;
	NotedKey *key;

	if (noted->keys->members == 0 && !noted->without_customer)
		return;
	writer.queue = try_table_open(noted->queue, RowExclusiveLock);
	if (writer.queue == NULL)
		return;
	if (IsQueue(writer.queue, &noted->kind))
	{
		writer.now = GetCurrentTimestamp();
		writer.batch =
			AllocSetContextCreate(noted->context, "changed keys to write", ALLOCSET_DEFAULT_SIZES);
		writer.keys = MemoryContextAlloc(noted->context, ARRAY_BYTES * sizeof(Datum));
		/* for the TOAST table of long keys */
		PushActiveSnapshot(GetTransactionSnapshot());
		if (noted->without_customer)
			WriteRow(&writer);
		keyset_start_iterate(noted->keys, &at);
		while ((key = keyset_iterate(noted->keys, &at)) != NULL)
			WriteKey(&writer, key->key);
		if (writer.nkeys > 0)
			WriteRow(&writer);
		WriteBatch(&writer);
		PopActiveSnapshot();
		for (int i = 0; i < ARRAYS && writer.slots[i] != NULL; i++)
			ExecDropSingleTupleTableSlot(writer.slots[i]);
	}
	table_close(writer.queue, NoLock);
}

/* Forgets what has been written. */
static void
ResetNotedKeys(NotedKeys *noted)
{
	MemoryContextReset(noted->context);
	noted->keys = keyset_create(noted->context, 64, &noted->kind);
	noted->without_customer = false;
}

/* Writes the keys within the transaction, when nothing more can change. */
static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		for (NotedKeys *noted = noted_keys; noted != NULL; noted = noted->next)
		{
			WriteNotedKeys(noted);
			ResetNotedKeys(noted);
		}
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
	{
		noted_keys = last_keys = NULL;
		last_table = NULL;
	}
}

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
	RegisterXactCallback(AtTransactionEnd, NULL);
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
	for (int i = 0; i < trigger->tgnargs; i++)
	{
		AttrNumber column = ColumnNumber(columns, trigger->tgargs[i]);

		if (column != InvalidAttrNumber)
			found->watched[found->nwatched++] = column;
	}
}

static TrackedTable *
FindTrackedTable(TriggerData *data)
{
	Oid trigger = data->tg_trigger->tgoid;
	TrackedTable *table = hash_search(tracked_tables, &trigger, HASH_FIND, NULL);
	TrackedTable found = {.trigger = trigger, .valid = true};
	TupleDesc columns = RelationGetDescr(data->tg_relation);

	if (table != NULL && table->valid)
		return table;
	found.table = RelationGetRelid(data->tg_relation);
	if (data->tg_trigger->tgnargs > 0)
		found.column = ColumnNumber(columns, data->tg_trigger->tgargs[0]);
	if (found.column > 0)
	{
		Form_pg_attribute column = TupleDescAttr(columns, found.column - 1);

		found.kind = (KeyKind){.type = getBaseType(column->atttypid),
							   .len = column->attlen,
							   .byval = column->attbyval,
							   .align = column->attalign};
		WatchColumns(&found, data->tg_trigger, columns);
	}
	if (found.column > 0)
		found.queue = QueueOfTrigger(trigger);
	if (table != NULL && table->watched != NULL)
		pfree(table->watched);
	table = hash_search(tracked_tables, &trigger, HASH_ENTER, NULL);
	*table = found;
	return table;
}

/* The set that keeps the keys of a queue until the end of the transaction. */
static NotedKeys *
FindNotedKeys(const TrackedTable *table)
{
	NotedKeys *noted;

	for (noted = noted_keys; noted != NULL; noted = noted->next)
		if (noted->queue == table->queue && noted->kind.type == table->kind.type)
			return noted;
	/* locked after the orders and before any row is written, so that dropping the queue waits */
	LockRelationOid(table->queue, RowExclusiveLock);
	noted = MemoryContextAllocZero(TopTransactionContext, sizeof(NotedKeys));
	noted->queue = table->queue;
	noted->kind = table->kind;
	noted->context =
		AllocSetContextCreate(TopTransactionContext, "changed keys", ALLOCSET_DEFAULT_SIZES);
	noted->keys = keyset_create(noted->context, 64, &noted->kind);
	noted->next = noted_keys;
	noted_keys = noted;
	return noted;
}

/* ---------- the trigger ---------- */

static void
NoteKey(NotedKeys *noted, HeapTuple row, AttrNumber column, TupleDesc columns)
{
	bool isnull;
	bool found;
	Datum key = heap_getattr(row, column, columns, &isnull);

	if (isnull)
	{
		noted->without_customer = true;
		return;
	}
	if (!noted->kind.byval)
	{
		MemoryContext caller;

		if (noted->kind.len == -1)
			key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key));
		if (keyset_lookup(noted->keys, key) != NULL)
			return;
		caller = MemoryContextSwitchTo(noted->context);
		key = datumCopy(key, false, noted->kind.len);
		MemoryContextSwitchTo(caller);
	}
	(void) keyset_insert(noted->keys, key, &found);
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
 * column, and for a customer table of those whose updates count: notes the customers of the old and
 * the new row.  What a savepoint takes back stays noted: such a customer is read once more and
 * found unchanged.
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
	if (last_table == NULL || !last_table->valid || last_table->trigger != data->tg_trigger->tgoid)
	{
		last_table = FindTrackedTable(data);
		last_keys = OidIsValid(last_table->queue) ? FindNotedKeys(last_table) : NULL;
	}
	if (last_keys == NULL)
		PG_RETURN_POINTER(NULL);

	columns = RelationGetDescr(data->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) &&
		!ChangesWatched(last_table, data->tg_trigtuple, data->tg_newtuple, columns))
		PG_RETURN_POINTER(NULL);
	NoteKey(last_keys, data->tg_trigtuple, last_table->column, columns);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		NoteKey(last_keys, data->tg_newtuple, last_table->column, columns);
	/* outside of savepoints, keys written stay as long as the changes do */
	if (last_keys->keys->members >= MOST_KEYS && GetCurrentTransactionNestLevel() == 1)
	{
		WriteNotedKeys(last_keys);
		ResetNotedKeys(last_keys);
	}
	PG_RETURN_POINTER(NULL);
}
