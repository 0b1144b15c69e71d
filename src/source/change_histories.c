/*
 * change_histories.c: a refresh after few changes: what came and went of some customers is added to
 * their stored histories, and taken away.
 *
 * The rows of a query go straight into the table of histories: each history is looked up by its
 * key, combined and written while its page is at hand.  As joins and ModifyTable nodes the same
 * takes half as long again.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/caller_query.h"
#include "base/common.h"
#include "base/local_day.h"
#include "history/purchase_history.h"
#include "source/history_table.h"

/* The columns of the query. */
enum Columns
{
	CUSTOMER,
	PLUS,    /* what came */
	MINUS,   /* what went */
	REPLACE, /* plus is the whole history */
	COLUMNS
};

typedef struct HistoryChanger
{
	DestReceiver pub;
	FunctionCallInfo fcinfo;
	Relation table;
	Relation index;
	IndexInfo *index_info;
	IndexScanDesc scan;
	ScanKeyData key;
	TupleTableSlot *stored;
	TupleTableSlot *fresh;
	bool keep; /* days before kept stay as they are stored */
	DateADT kept;
	MemoryContext row;
} HistoryChanger;

/* ---------- the table ---------- */

/* Its only index, by which a customer is found; an error if there is none, or more. */
static Relation
OpenKeyIndex(Relation table)
{
	List *indexes = RelationGetIndexList(table);
	Relation index = NULL;

	if (list_length(indexes) == 1)
		index = index_open(linitial_oid(indexes), RowExclusiveLock);
	if (index == NULL || index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisunique ||
		!index->rd_index->indimmediate || !index->rd_index->indisvalid ||
		!index->rd_index->indisready || index->rd_index->indnatts != 1 ||
		index->rd_index->indkey.values[0] != 1 || RelationGetIndexPredicate(index) != NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" has other indexes than one on the customer",
							   RelationGetRelationName(table))));
	return index;
}

static void
OpenTable(HistoryChanger *c, Oid table, Oid key_type)
{
	const AclMode rights = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE;
	Oid equality;

	/* before it is locked */
	if (pg_class_aclmask(table, GetUserId(), rights, ACLMASK_ALL) != rights)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(table)),
					   get_rel_name(table));
	c->table = table_open(table, RowExclusiveLock);
	CheckHistoryTable(c->table, key_type);
	CheckCmdReplicaIdentity(c->table, CMD_UPDATE);
	CheckCmdReplicaIdentity(c->table, CMD_DELETE);
	c->index = OpenKeyIndex(c->table);
	c->index_info = BuildIndexInfo(c->index);
	equality = get_opfamily_member(c->index->rd_opfamily[0], c->index->rd_opcintype[0],
								   c->index->rd_opcintype[0], BTEqualStrategyNumber);
	if (!OidIsValid(equality))
		elog(ERROR, "no equality in operator family %u", c->index->rd_opfamily[0]);
	ScanKeyEntryInitialize(&c->key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   c->index->rd_indcollation[0], get_opcode(equality), (Datum) 0);
	c->stored = table_slot_create(c->table, NULL);
	c->fresh = MakeSingleTupleTableSlot(RelationGetDescr(c->table), &TTSOpsVirtual);
}

/* Fills the slot of what is to be written. */
static TupleTableSlot *
FreshRow(HistoryChanger *c, Datum customer, PurchaseHistory *history)
{
	ExecClearTuple(c->fresh);
	c->fresh->tts_values[0] = customer;
	c->fresh->tts_values[1] = PointerGetDatum(history);
	c->fresh->tts_isnull[0] = c->fresh->tts_isnull[1] = false;
	return ExecStoreVirtualTuple(c->fresh);
}

static void
AddToIndex(HistoryChanger *c)
{
	(void) index_insert(c->index, c->fresh->tts_values, c->fresh->tts_isnull, &c->fresh->tts_tid,
						c->table, UNIQUE_CHECK_YES, false, c->index_info);
}

/* Writes the history of a customer, NULL for none, in place of the stored one, if there is one. */
static void
WriteHistory(HistoryChanger *c, Datum customer, bool is_stored, PurchaseHistory *history)
{
	UpdatedIndexes indexes;
	bool isnull;

	if (history == NULL)
		simple_table_tuple_delete(c->table, &c->stored->tts_tid, GetActiveSnapshot());
	else if (is_stored)
	{
		/* a key in another spelling stays as it is */
		simple_table_tuple_update(c->table, &c->stored->tts_tid,
								  FreshRow(c, slot_getattr(c->stored, 1, &isnull), history),
								  GetActiveSnapshot(), &indexes);
		if (NeedsIndexEntry(indexes))
			AddToIndex(c);
	}
	else
	{
		simple_table_tuple_insert(c->table, FreshRow(c, customer, history));
		AddToIndex(c);
	}
}

/* ---------- histories ---------- */

/* The days from c->kept on. */
static PurchaseHistory *
SinceKept(const HistoryChanger *c, PurchaseHistory *history)
{
	return CombineHistories(history, HistoryAsOf(history, c->kept - 1), true);
}

/* The history of a customer after a change; NULL for none. */
static PurchaseHistory *
ChangedHistory(const HistoryChanger *c, PurchaseHistory *was, PurchaseHistory *plus,
			   PurchaseHistory *minus, bool replace)
{
	PurchaseHistory *history = was;

	if (c->keep && was != NULL)
	{
		plus = plus == NULL ? NULL : SinceKept(c, plus);
		minus = minus == NULL ? NULL : SinceKept(c, minus);
	}
	if (replace)
		history = c->keep && was != NULL ? HistoryAsOf(was, c->kept - 1) : NULL;
	if (plus != NULL)
		history = history == NULL ? plus : CombineHistories(history, plus, false);
	if (minus != NULL)
		history = CombineHistories(history == NULL ? EncodeSortedHistory(NULL, 0, 0) : history,
								   minus, true);
	/* without a day */
	if (history != NULL && VARSIZE_ANY_EXHDR(history) == HISTORY_HEADER)
		return NULL;
	return history;
}

static bool
SameHistory(const PurchaseHistory *a, const PurchaseHistory *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* ---------- the rows of the query ---------- */

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	HistoryChanger *c = (HistoryChanger *) self;
	Oid history = TupleDescAttr(RelationGetDescr(c->table), 1)->atttypid;

	if (columns->natts != COLUMNS ||
		TupleDescAttr(columns, CUSTOMER)->atttypid !=
			TupleDescAttr(RelationGetDescr(c->table), 0)->atttypid ||
		TupleDescAttr(columns, PLUS)->atttypid != history ||
		TupleDescAttr(columns, MINUS)->atttypid != history ||
		TupleDescAttr(columns, REPLACE)->atttypid != BOOLOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the query of change_histories must return a customer, what came, "
							   "what went, and whether that is all")));
	/* in the snapshot of the query */
	c->scan = BeginIndexScan(c->table, c->index, GetActiveSnapshot(), 1);
}

static void
Shutdown(DestReceiver *self)
{
	HistoryChanger *c = (HistoryChanger *) self;

	ExecClearTuple(c->stored);
	if (c->scan != NULL)
		index_endscan(c->scan);
	c->scan = NULL;
}

static PurchaseHistory *
HistoryOfRow(TupleTableSlot *row, int column)
{
	return row->tts_isnull[column] ? NULL : HistoryFromDatum(row->tts_values[column]);
}

/* Hands on what was done; NULLs: nothing. */
static void
HandOn(HistoryChanger *c, TupleTableSlot *row, PurchaseHistory *was, PurchaseHistory *history)
{
	Datum values[4] = {row->tts_values[CUSTOMER], PointerGetDatum(was), PointerGetDatum(history),
					   row->tts_values[REPLACE]};
	bool nulls[4] = {row->tts_isnull[CUSTOMER], was == NULL, history == NULL, false};

	PutRow(c->fcinfo, values, nulls);
}

/* Finds a stored history.  The scan keeps memory of its own: it must not run in that of a row. */
static bool
FindHistory(HistoryChanger *c, Datum customer)
{
	c->key.sk_argument = customer;
	index_rescan(c->scan, &c->key, 1, NULL, 0);
	return index_getnext_slot(c->scan, ForwardScanDirection, c->stored);
}

/* Changes the history of a customer, and hands on what was done. */
static void
ChangeHistory(HistoryChanger *c, TupleTableSlot *row, bool is_stored)
{
	PurchaseHistory *was = NULL;
	PurchaseHistory *history;
	bool isnull;

	if (is_stored)
		was = HistoryFromDatum(slot_getattr(c->stored, 2, &isnull));
	history = ChangedHistory(c, was, HistoryOfRow(row, PLUS), HistoryOfRow(row, MINUS),
							 DatumGetBool(row->tts_values[REPLACE]));
	if (SameHistory(was, history))
		was = history = NULL;
	else
		WriteHistory(c, row->tts_values[CUSTOMER], is_stored, history);
	HandOn(c, row, was, history);
}

static bool
ReceiveRow(TupleTableSlot *row, DestReceiver *self)
{
	HistoryChanger *c = (HistoryChanger *) self;
	bool is_stored = false;
	MemoryContext caller;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(row);
	if (!row->tts_isnull[CUSTOMER])
		is_stored = FindHistory(c, row->tts_values[CUSTOMER]);
	caller = MemoryContextSwitchTo(c->row);
	if (row->tts_isnull[CUSTOMER])
		HandOn(c, row, NULL, NULL);
	else
		ChangeHistory(c, row, is_stored);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(c->row);
	return true;
}

static void
RunWritingQuery(const char *query, DestReceiver *receiver)
{
	SPIExecuteOptions options = {.dest = receiver};
	int result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_extended(query, &options);
	if (result < 0)
		elog(ERROR, "SPI_execute_extended failed: %s", SPI_result_code_string(result));
	SPI_finish();
}

/*
 * (key anyelement, target regclass, query text, kept date): the query may take what it returns from
 * a queue.  A row for each of its rows: customer, was, history, replaced.
 */
PG_FUNCTION_INFO_V1(change_histories);
Datum
change_histories(PG_FUNCTION_ARGS)
{
	static const char *const function = "change_histories";
	HistoryChanger *c = palloc0(sizeof(HistoryChanger));
	char *query = QueryArgument(fcinfo, 2, function);

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the target of %s must not be NULL", function)));
	PreventCommandIfReadOnly("change_histories()");
	InitMaterializedSRF(fcinfo, 0);
	InitReceiver(&c->pub, ReceiveRow, Startup);
	c->pub.rShutdown = Shutdown;
	c->fcinfo = fcinfo;
	c->keep = !PG_ARGISNULL(3);
	if (c->keep)
		c->kept = CheckedDay(PG_GETARG_DATEADT(3), "kept");
	c->row = AllocSetContextCreate(CurrentMemoryContext, "changed history", ALLOCSET_SMALL_SIZES);
	OpenTable(c, PG_GETARG_OID(1), KeyArgumentType(fcinfo, 0, function));
	RunWritingQuery(query, &c->pub);
	ExecDropSingleTupleTableSlot(c->stored);
	ExecDropSingleTupleTableSlot(c->fresh);
	index_close(c->index, NoLock);
	table_close(c->table, NoLock);
	return (Datum) 0;
}
