/*
 * noted_changes.c: the changes of orders that a transaction has noted for the queue of a source,
 * and how it writes them when it commits.
 *
 * A change is a key, of a customer whose orders have to be read again, or a row: the columns that
 * the source reads, of an order that came or went, so that a refresh can add and take away without
 * reading the others.  A key noted too often does no harm, so what a savepoint takes back stays
 * noted; a row must be noted exactly if its change is committed.  Where that is not certain, keys
 * are noted.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "source/noted_changes.h"

/* Keys, and bytes of rows, that a transaction keeps in memory before it writes them. */
#define MOST_KEYS 100000
#define MOST_ROW_BYTES (16 * 1024 * 1024)
/* Rows that a transaction notes; from then on only keys. */
#define MOST_ROWS 1000000
/* The longest value that a row is noted with. */
#define MOST_VALUE 256
/*
 * They are written as arrays: a row a key would cost as much as noting it.  An
 * array is too small to be compressed or moved out of line, unless of one key.
 */
#define ARRAY_BYTES 1600
#define ARRAYS 64
#define CHUNK (32 * 1024)

/* ---------- what has been noted for a queue ---------- */

typedef struct NotedKey
{
	Datum key;
	uint32 hash;
	char status;
} NotedKey;

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

/* How much there was before a savepoint noted its first row. */
typedef struct Mark
{
	int level;
	int64 nrows;
	int64 written;
	struct Mark *outer;
} Mark;

struct NotedChanges
{
	Oid queue;
	NotedForm form;
	keyset_hash *keys;
	bool without_customer; /* an order without a customer changed */
	int64 nrows;
	int64 room;
	int64 written; /* so many of the rows are in the queue, and kept for a savepoint's sake */
	int64 total;   /* rows noted by the transaction so far */
	bool keys_only;
	bool *added;
	Datum *values; /* nrecorded for each row */
	bool *nulls;
	Mark *marks;
	char *chunk; /* for values by reference */
	Size left;
	Size bytes;
	MemoryContext context; /* of all this */
	NotedChanges *next;
};

/* Of this transaction; freed with its memory. */
static NotedChanges *noted_changes = NULL;
/* A refresh has read orders in this transaction, maybe before their changes are noted. */
static bool refreshed = false;
static uint64 transaction = 1;

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

/* ---------- writing into the queue ---------- */

/*
 * Rows are written without the executor and its permission checks, so the table must be as
 * create_source() made it; a refresh notices if it is not (tracked_leaves).
 */
bool
IsQueue(Relation table, const NotedForm *form)
{
	TupleDesc columns = RelationGetDescr(table);

	if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relhasindex ||
		table->trigdesc != NULL ||
		columns->natts !=
			(form->nrecorded == 0 ? QUEUE_COLUMNS : QUEUE_ROW_COLUMNS + form->nrecorded) ||
		TupleDescAttr(columns, 0)->atttypid != get_array_type(form->key.type) ||
		TupleDescAttr(columns, 1)->atttypid != TIMESTAMPTZOID ||
		TupleDescAttr(columns, 2)->atttypid != TEXTOID)
		return false;
	if (form->nrecorded == 0)
		return true;
	for (int i = 0; i < form->nrecorded; i++)
		if (TupleDescAttr(columns, QUEUE_ROW_COLUMNS + i)->atttypid !=
			get_array_type(form->recorded[i].type))
			return false;
	return TupleDescAttr(columns, QUEUE_COLUMNS)->atttypid == BOOLARRAYOID;
}

typedef struct QueueWriter
{
	Relation queue;
	const NotedForm *form;
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

/* The next row of the queue, all NULL but for the time. */
static TupleTableSlot *
NextQueueRow(QueueWriter *writer)
{
	TupleTableSlot *slot = writer->slots[writer->filled];

	if (slot == NULL)
		slot = writer->slots[writer->filled] =
			MakeSingleTupleTableSlot(RelationGetDescr(writer->queue), &TTSOpsVirtual);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	slot->tts_values[1] = TimestampTzGetDatum(writer->now);
	slot->tts_isnull[1] = false;
	return slot;
}

static void
EndQueueRow(QueueWriter *writer, TupleTableSlot *slot)
{
	ExecStoreVirtualTuple(slot);
	writer->nkeys = 0;
	writer->bytes = 0;
	if (++writer->filled == ARRAYS)
		WriteBatch(writer);
}

/* A row with the keys collected so far; without any: an order without a customer changed. */
static void
WriteKeys(QueueWriter *writer)
{
	TupleTableSlot *slot = NextQueueRow(writer);
	const KeyKind *kind = &writer->form->key;
	MemoryContext caller = MemoryContextSwitchTo(writer->batch);

	slot->tts_isnull[0] = writer->nkeys == 0;
	if (writer->nkeys > 0)
		slot->tts_values[0] = PointerGetDatum(construct_array(
			writer->keys, writer->nkeys, kind->type, kind->len, kind->byval, kind->align));
	MemoryContextSwitchTo(caller);
	EndQueueRow(writer, slot);
}

static void
WriteKey(QueueWriter *writer, Datum key)
{
	Size bytes = datumGetSize(key, writer->form->key.byval, writer->form->key.len);

	if (writer->nkeys > 0 && writer->bytes + bytes > ARRAY_BYTES)
		WriteKeys(writer);
	writer->keys[writer->nkeys++] = key;
	writer->bytes += bytes;
}

/* A row of the queue with the noted rows from first on, of which there are n. */
static void
WriteRows(QueueWriter *writer, const NotedChanges *noted, int64 first, int n)
{
	TupleTableSlot *slot = NextQueueRow(writer);
	int ncolumns = noted->form.nrecorded;
	MemoryContext caller = MemoryContextSwitchTo(writer->batch);
	Datum *values = palloc(n * sizeof(Datum));
	bool *nulls = palloc(n * sizeof(bool));
	int lower = 1;

	for (int i = 0; i < n; i++)
		values[i] = BoolGetDatum(noted->added[first + i]);
	slot->tts_values[QUEUE_COLUMNS] =
		PointerGetDatum(construct_array(values, n, BOOLOID, 1, true, TYPALIGN_CHAR));
	slot->tts_isnull[QUEUE_COLUMNS] = false;
	for (int column = 0; column < ncolumns; column++)
	{
		const KeyKind *kind = &noted->form.recorded[column];

		for (int i = 0; i < n; i++)
		{
			values[i] = noted->values[(first + i) * ncolumns + column];
			nulls[i] = noted->nulls[(first + i) * ncolumns + column];
		}
		slot->tts_values[QUEUE_ROW_COLUMNS + column] = PointerGetDatum(construct_md_array(
			values, nulls, 1, &n, &lower, kind->type, kind->len, kind->byval, kind->align));
		slot->tts_isnull[QUEUE_ROW_COLUMNS + column] = false;
	}
	MemoryContextSwitchTo(caller);
	EndQueueRow(writer, slot);
}

static Size
BytesOfRow(const NotedChanges *noted, int64 row)
{
	Size bytes = 1;

	for (int i = 0; i < noted->form.nrecorded; i++)
	{
		const KeyKind *kind = &noted->form.recorded[i];

		if (!noted->nulls[row * noted->form.nrecorded + i])
			bytes += kind->len > 0
						 ? kind->len
						 : 8 + datumGetSize(noted->values[row * noted->form.nrecorded + i],
											kind->byval, kind->len);
	}
	return bytes;
}

/* The rows that are not in the queue yet. */
static void
WriteNotedRows(QueueWriter *writer, NotedChanges *noted)
{
	while (noted->written < noted->nrows)
	{
		int64 first = noted->written;
		Size bytes = noted->form.nrecorded * sizeof(ArrayType);

		while (noted->written < noted->nrows &&
			   (bytes += BytesOfRow(noted, noted->written)) < ARRAY_BYTES)
			noted->written++;
		noted->written = Max(noted->written, first + 1);
		WriteRows(writer, noted, first, (int) (noted->written - first));
	}
}

/* Writes what has been noted so far; this very transaction may have dropped the queue. */
static void
WriteNotedChanges(NotedChanges *noted)
{
	QueueWriter writer = {.form = &noted->form};
	keyset_iterator at;
	NotedKey *key;

	if (noted->keys->members == 0 && !noted->without_customer && noted->written == noted->nrows)
		return;
	writer.queue = try_table_open(noted->queue, RowExclusiveLock);
	if (writer.queue == NULL)
		return;
	if (IsQueue(writer.queue, &noted->form))
	{
		writer.now = GetCurrentTimestamp();
		writer.batch =
			AllocSetContextCreate(noted->context, "changed keys to write", ALLOCSET_DEFAULT_SIZES);
		writer.keys = MemoryContextAlloc(noted->context, ARRAY_BYTES * sizeof(Datum));
		/* for the TOAST table of long keys */
		PushActiveSnapshot(GetTransactionSnapshot());
		if (noted->without_customer)
			WriteKeys(&writer);
		keyset_start_iterate(noted->keys, &at);
		while ((key = keyset_iterate(noted->keys, &at)) != NULL)
			WriteKey(&writer, key->key);
		if (writer.nkeys > 0)
			WriteKeys(&writer);
		WriteNotedRows(&writer, noted);
		WriteBatch(&writer);
		PopActiveSnapshot();
		for (int i = 0; i < ARRAYS && writer.slots[i] != NULL; i++)
			ExecDropSingleTupleTableSlot(writer.slots[i]);
		MemoryContextDelete(writer.batch);
	}
	table_close(writer.queue, NoLock);
}

/* Forgets what has been written. */
static void
ResetNotedChanges(NotedChanges *noted)
{
	MemoryContextReset(noted->context);
	noted->keys = keyset_create(noted->context, 64, &noted->form.key);
	noted->without_customer = false;
	noted->nrows = noted->room = noted->written = 0;
	noted->added = noted->nulls = NULL;
	noted->values = NULL;
	noted->marks = NULL;
	noted->chunk = NULL;
	noted->left = noted->bytes = 0;
}

/* ---------- savepoints and the end of a transaction ---------- */

/* To be called before a row is noted or written: a savepoint may take that back. */
static void
MarkSavepoint(NotedChanges *noted)
{
	int level = GetCurrentTransactionNestLevel();
	Mark *mark;

	if (level == 1 || (noted->marks != NULL && noted->marks->level == level))
		return;
	mark = MemoryContextAlloc(noted->context, sizeof(Mark));
	*mark = (Mark){level, noted->nrows, noted->written, noted->marks};
	noted->marks = mark;
}

static void
AtSavepointEnd(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (NotedChanges *noted = noted_changes; noted != NULL; noted = noted->next)
	{
		Mark *mark = noted->marks;

		if (mark == NULL || mark->level < level)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			noted->nrows = Min(noted->nrows, mark->nrows);
			noted->written = Min(noted->nrows, mark->written);
			noted->marks = mark->outer;
		}
		else if (level == 2 || (mark->outer != NULL && mark->outer->level == level - 1))
			noted->marks = mark->outer;
		else
			mark->level = level - 1;
	}
}

/* Writes changes within the transaction, when nothing more can change. */
static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
	{
		for (NotedChanges *noted = noted_changes; noted != NULL; noted = noted->next)
		{
			WriteNotedChanges(noted);
			ResetNotedChanges(noted);
		}
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
	{
		noted_changes = NULL;
		refreshed = false;
		transaction++;
	}
}

static void
FollowTransactions(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(AtTransactionEnd, NULL);
	RegisterSubXactCallback(AtSavepointEnd, NULL);
	registered = true;
}

uint64
NotedTransaction(void)
{
	return transaction;
}

/* ---------- noting ---------- */

NotedChanges *
FindNotedChanges(Oid queue, const NotedForm *form)
{
	NotedChanges *noted;

	for (noted = noted_changes; noted != NULL; noted = noted->next)
		if (noted->queue == queue && memcmp(&noted->form, form, sizeof(NotedForm)) == 0)
			return noted;
	FollowTransactions();
	/* locked after the orders and before any row is written, so that dropping the queue waits */
	LockRelationOid(queue, RowExclusiveLock);
	noted = MemoryContextAllocZero(TopTransactionContext, sizeof(NotedChanges));
	noted->queue = queue;
	noted->form = *form;
	noted->context =
		AllocSetContextCreate(TopTransactionContext, "changed orders", ALLOCSET_DEFAULT_SIZES);
	ResetNotedChanges(noted);
	noted->next = noted_changes;
	noted_changes = noted;
	return noted;
}

void
NoteWithoutCustomer(NotedChanges *noted)
{
	noted->without_customer = true;
}

void
NoteKey(NotedChanges *noted, Datum key)
{
	bool found;

	if (!noted->form.key.byval)
	{
		MemoryContext caller;

		if (noted->form.key.len == -1)
			key = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key));
		if (keyset_lookup(noted->keys, key) != NULL)
			return;
		caller = MemoryContextSwitchTo(noted->context);
		key = datumCopy(key, false, noted->form.key.len);
		MemoryContextSwitchTo(caller);
	}
	(void) keyset_insert(noted->keys, key, &found);
}

/* A copy of a value by reference; returns false if it is long. */
static bool
CopyValue(NotedChanges *noted, const KeyKind *kind, Datum *value)
{
	Size size;
	Size aligned;

	if (kind->len == -1)
	{
		if (toast_raw_datum_size(*value) > MOST_VALUE)
			return false;
		*value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(*value));
	}
	size = datumGetSize(*value, false, kind->len);
	if (size > MOST_VALUE)
		return false;
	aligned = MAXALIGN(size);
	if (noted->left < aligned)
	{
		noted->chunk = MemoryContextAlloc(noted->context, CHUNK);
		noted->left = CHUNK;
	}
	memcpy(noted->chunk, DatumGetPointer(*value), size);
	*value = PointerGetDatum(noted->chunk);
	noted->chunk += aligned;
	noted->left -= aligned;
	noted->bytes += aligned;
	return true;
}

static void
MakeRoom(NotedChanges *noted)
{
	int ncolumns = noted->form.nrecorded;

	if (noted->nrows < noted->room)
		return;
	if (noted->room == 0)
	{
		noted->room = 16;
		noted->added = MemoryContextAlloc(noted->context, noted->room);
		noted->values = MemoryContextAlloc(noted->context, noted->room * ncolumns * sizeof(Datum));
		noted->nulls = MemoryContextAlloc(noted->context, noted->room * ncolumns);
		return;
	}
	noted->room *= 2;
	noted->added = repalloc(noted->added, noted->room);
	noted->values = repalloc_huge(noted->values, noted->room * ncolumns * sizeof(Datum));
	noted->nulls = repalloc(noted->nulls, noted->room * ncolumns);
}

/*
 * Notes a row that came or went, by its recorded columns.  Returns false if only keys are noted:
 * its values are long, the transaction has noted many, or a refresh in it may have seen the row.
 */
bool
NoteRow(NotedChanges *noted, HeapTuple row, TupleDesc columns, const AttrNumber *recorded,
		bool added)
{
	int ncolumns = noted->form.nrecorded;
	Datum *values;
	bool *nulls;

	if (ncolumns == 0 || noted->keys_only || refreshed)
		return false;
	MarkSavepoint(noted);
	MakeRoom(noted);
	values = noted->values + noted->nrows * ncolumns;
	nulls = noted->nulls + noted->nrows * ncolumns;
	for (int i = 0; i < ncolumns; i++)
	{
		values[i] = heap_getattr(row, recorded[i], columns, &nulls[i]);
		if (!nulls[i] && !noted->form.recorded[i].byval &&
			!CopyValue(noted, &noted->form.recorded[i], &values[i]))
			return false;
	}
	noted->added[noted->nrows++] = added;
	noted->bytes += ncolumns * sizeof(Datum);
	noted->total++;
	return true;
}

/* Notes the keys of rows that are not written yet in their place; the key is the first column. */
static void
KeysInPlaceOfRows(NotedChanges *noted)
{
	int ncolumns = noted->form.nrecorded;

	for (int64 i = noted->written; i < noted->nrows; i++)
	{
		if (noted->nulls[i * ncolumns])
			noted->without_customer = true;
		else
			NoteKey(noted, noted->values[i * ncolumns]);
	}
	noted->nrows = noted->written;
	noted->keys_only = true;
}

void
LimitNotedChanges(NotedChanges *noted)
{
	if (noted->keys->members < MOST_KEYS && noted->bytes < MOST_ROW_BYTES)
		return;
	/* outside of savepoints, what is written stays as long as the changes do */
	if (GetCurrentTransactionNestLevel() == 1)
	{
		WriteNotedChanges(noted);
		ResetNotedChanges(noted);
		noted->keys_only = noted->total >= MOST_ROWS;
	}
	else if (noted->bytes >= MOST_ROW_BYTES && !noted->keys_only)
		KeysInPlaceOfRows(noted);
}

/*
 * Writes what this transaction has noted so far, so that a refresh in it takes the changes that it
 * sees.  Rows may be visible whose triggers are still to fire, so from now on only keys are noted.
 */
PG_FUNCTION_INFO_V1(write_noted_changes);
Datum
write_noted_changes(PG_FUNCTION_ARGS)
{
	FollowTransactions();
	refreshed = true;
	for (NotedChanges *noted = noted_changes; noted != NULL; noted = noted->next)
	{
		MarkSavepoint(noted);
		WriteNotedChanges(noted);
		if (GetCurrentTransactionNestLevel() == 1)
			ResetNotedChanges(noted);
	}
	CommandCounterIncrement();
	PG_RETURN_VOID();
}
