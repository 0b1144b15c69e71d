/*
 * changed_keys.c: change tracking without triggers: an output plugin for logical
 * decoding that gives the keys of the customers whose orders changed, and
 * nothing else.
 *
 * It is read through a slot by pg_logical_slot_peek_changes() with the options
 * table (an OID) and column.  A row is
 *   k and the key as text: an order of that customer was inserted, changed or deleted
 *   n: an order without a customer was
 *   u: an order was changed or deleted, and the log does not say whose it had been
 *   t: the table, or a partition of it, was truncated
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/varlena.h"

#include "base/compat.h"

extern void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

/* The column of the customer in a table, if that is one of those that hold the orders. */
typedef struct KeyColumn
{
	Oid table;
	bool tracked;
	AttrNumber number; /* 0: there is none */
	bool identifies;   /* it is in the log with rows that go */
	bool varlena;
	Oid output;
} KeyColumn;

/* What was asked for, and the last key that was told. */
typedef struct KeyReader
{
	Oid table;
	char *column;
	MemoryContext row; /* of one change */
	StringInfoData last;
} KeyReader;

/* That of the last change, until some table is altered. */
static KeyColumn last_column;

static void
ForgetColumn(Datum arg, Oid relation)
{
	last_column.table = InvalidOid;
}

static void
Startup(LogicalDecodingContext *context, OutputPluginOptions *options, bool is_init)
{
	static bool registered = false;
	KeyReader *reader = palloc0(sizeof(KeyReader));
	ListCell *cell;

	if (!registered)
		CacheRegisterRelcacheCallback(ForgetColumn, (Datum) 0);
	registered = true;
	last_column.table = InvalidOid;

	options->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	options->receive_rewrites = false;
	foreach (cell, context->output_plugin_options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, "table") == 0)
			reader->table =
				DatumGetObjectId(DirectFunctionCall1(oidin, CStringGetDatum(defGetString(option))));
		else if (strcmp(option->defname, "column") == 0)
			reader->column = pstrdup(defGetString(option));
		else
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there is no option \"%s\"", option->defname),
							errhint("It is table or column.")));
	}
	if (!is_init && (!OidIsValid(reader->table) || reader->column == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("table and column are missing"),
				 errdetail("The slot is read by crm_profile.refresh().")));
	reader->row = AllocSetContextCreate(context->context, "changed row", ALLOCSET_SMALL_SIZES);
	initStringInfo(&reader->last);
	context->output_plugin_private = reader;
}

static void
Begin(LogicalDecodingContext *context, ReorderBufferTXN *txn)
{
	/* a key is told once for changes in a row, but anew in each transaction: its end is waited for
	 */
	resetStringInfo(&((KeyReader *) context->output_plugin_private)->last);
}

static void
Commit(LogicalDecodingContext *context, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
}

static bool
IsTracked(const KeyReader *reader, Relation relation)
{
	return RelationGetRelid(relation) == reader->table ||
		   (relation->rd_rel->relispartition &&
			list_member_oid(get_partition_ancestors(RelationGetRelid(relation)), reader->table));
}

static void
Tell(LogicalDecodingContext *context, char what, const char *key)
{
	KeyReader *reader = context->output_plugin_private;

	if (reader->last.len > 0 && reader->last.data[0] == what &&
		strcmp(reader->last.data + 1, key) == 0)
		return;
	resetStringInfo(&reader->last);
	appendStringInfoChar(&reader->last, what);
	appendStringInfoString(&reader->last, key);
	OutputPluginPrepareWrite(context, true);
	appendBinaryStringInfo(context->out, reader->last.data, reader->last.len);
	OutputPluginWrite(context, true);
}

static KeyColumn
FindKeyColumn(const KeyReader *reader, Relation relation)
{
	Oid table = RelationGetRelid(relation);
	KeyColumn column = {.table = table};

	if (last_column.table == table)
		return last_column;
	column.tracked = IsTracked(reader, relation);
	if (column.tracked)
		column.number = Max(0, get_attnum(table, reader->column));
	if (column.number > 0)
	{
		getTypeOutputInfo(TupleDescAttr(RelationGetDescr(relation), column.number - 1)->atttypid,
						  &column.output, &column.varlena);
		column.identifies =
			relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL ||
			bms_is_member(column.number - FirstLowInvalidHeapAttributeNumber,
						  RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_IDENTITY_KEY));
	}
	last_column = column;
	return column;
}

/* False: the row has a key that is not in the log, since it is stored elsewhere and did not change.
 */
static bool
TellKey(LogicalDecodingContext *context, const KeyColumn *column, Relation relation, HeapTuple row)
{
	bool isnull;
	Datum key = heap_getattr(row, column->number, RelationGetDescr(relation), &isnull);

	if (isnull)
		Tell(context, 'n', "");
	else if (column->varlena && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(key)))
		return false;
	else
	{
		if (column->varlena)
			key = PointerGetDatum(PG_DETOAST_DATUM(key));
		Tell(context, 'k', OidOutputFunctionCall(column->output, key));
	}
	return true;
}

static void
Change(LogicalDecodingContext *context, ReorderBufferTXN *txn, Relation relation,
	   ReorderBufferChange *change)
{
	KeyReader *reader = context->output_plugin_private;
	MemoryContext caller = MemoryContextSwitchTo(reader->row);
	KeyColumn column = FindKeyColumn(reader, relation);

	if (column.tracked)
	{
		HeapTuple old = ChangedTuple(change->data.tp.oldtuple);
		HeapTuple new = ChangedTuple(change->data.tp.newtuple);
		/* an identity that is in part of the row is logged with updates that change it */
		bool known = column.number > 0;

		if (known && change->action != REORDER_BUFFER_CHANGE_INSERT)
		{
			known = column.identifies && (old != NULL || new != NULL);
			if (known && old != NULL)
				known = TellKey(context, &column, relation, old);
		}
		/* an update that left the key where it is stored: that of the old row is the same */
		if (known && new != NULL)
			known = TellKey(context, &column, relation, new) || old != NULL;
		if (!known)
			Tell(context, 'u', "");
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(reader->row);
}

static void
Truncate(LogicalDecodingContext *context, ReorderBufferTXN *txn, int nrelations,
		 Relation relations[], ReorderBufferChange *change)
{
	KeyReader *reader = context->output_plugin_private;

	for (int i = 0; i < nrelations; i++)
		if (IsTracked(reader, relations[i]))
			Tell(context, 't', "");
}

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = Startup;
	callbacks->begin_cb = Begin;
	callbacks->change_cb = Change;
	callbacks->truncate_cb = Truncate;
	callbacks->commit_cb = Commit;
}

/*
 * (xid): waits until a transaction whose commit is in the log can be seen; the log
 * has it a moment before, with synchronous replication longer.
 */
PG_FUNCTION_INFO_V1(wait_for_commit);
Datum
wait_for_commit(PG_FUNCTION_ARGS)
{
	XactLockTableWait(PG_GETARG_TRANSACTIONID(0), NULL, NULL, XLTW_None);
	PG_RETURN_VOID();
}

/*
 * Whether the server lets this library be an output plugin: since 2026 it has to be
 * listed.  The list is no secret to who is told yes or no, though it is a
 * superuser's to see.
 */
PG_FUNCTION_INFO_V1(may_read_slots);
Datum
may_read_slots(PG_FUNCTION_ARGS)
{
	const char *setting = GetConfigOption("output_plugin_libraries", true, false);
	List *libraries = NIL;
	ListCell *cell;

	if (setting == NULL)
		PG_RETURN_BOOL(true);
	if (SplitIdentifierString(pstrdup(setting), ',', &libraries))
		foreach (cell, libraries)
			if (strcmp(lfirst(cell), "crm_profile") == 0)
				PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(false);
}

/* The commit of this transaction is on disk before it is told, whatever synchronous_commit says. */
PG_FUNCTION_INFO_V1(commit_durably);
Datum
commit_durably(PG_FUNCTION_ARGS)
{
	ForceSyncCommit();
	PG_RETURN_VOID();
}
