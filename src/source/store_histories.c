/*
 * store_histories.c: the first refresh of a source: histories go from the bulk functions straight
 * into the pages of their table, and so do the rows of other queries, which parallel workers make.
 *
 * Histories are stored in the order of the customers, like most customer tables, so that a join of
 * the two finds its data in the processor's caches.  The index built next has nothing left to sort,
 * so the order costs little.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_oper.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "base/caller_query.h"
#include "orders/collect_histories.h"
#include "orders/order_amount.h"
#include "source/history_table.h"

#define BATCH 1000

/* A table without indexes that is written in one go. */
typedef struct NewTable
{
	Relation table;
	TupleTableSlot *slots[BATCH];
	int nslots;
	BulkInsertState bulk;
	CommandId command;
	int options; /* of inserts */
	int64 stored;
} NewTable;

static Oid
HistoryType(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("purchase_history"),
						   ObjectIdGetDatum(get_namespace_oid("crm_profile", false)));
}

void
CheckHistoryTable(Relation table, Oid key_type)
{
	TupleDesc columns = RelationGetDescr(table);

	if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relispartition ||
		table->rd_rel->relhasrules || table->trigdesc != NULL ||
		(columns->constr != NULL && columns->constr->num_check > 0) ||
		check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED ||
		columns->natts != 2 || TupleDescAttr(columns, 0)->attisdropped ||
		TupleDescAttr(columns, 1)->attisdropped || TupleDescAttr(columns, 0)->attgenerated ||
		TupleDescAttr(columns, 0)->atttypid != key_type ||
		TupleDescAttr(columns, 1)->atttypid != HistoryType())
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no table of histories", RelationGetRelationName(table)),
				 errdetail("It must have the columns customer and history and no trigger, rule or "
						   "constraint.")));
}

/* Whether rows can go into the table without the executor. */
static bool
IsPlainTable(Relation table)
{
	TupleConstr *constraints = RelationGetDescr(table)->constr;

	return table->rd_rel->relkind == RELKIND_RELATION && !table->rd_rel->relispartition &&
		   !table->rd_rel->relhasrules && table->trigdesc == NULL &&
		   (constraints == NULL || (constraints->num_check == 0 && !constraints->has_not_null &&
									!constraints->has_generated_stored)) &&
		   check_enable_rls(RelationGetRelid(table), InvalidOid, true) != RLS_ENABLED;
}

/* Opens a table without indexes; whether it is plain is the caller's question. */
static void
BeginNewTable(NewTable *store, Oid target, const char *function)
{
	AclResult right;

	if (XactReadOnly)
		PreventCommandIfReadOnly(psprintf("%s()", function));
	/* before it is locked */
	right = pg_class_aclcheck(target, GetUserId(), ACL_INSERT);
	if (right != ACLCHECK_OK)
		aclcheck_error(right, get_relkind_objtype(get_rel_relkind(target)), get_rel_name(target));
	store->table = table_open(target, RowExclusiveLock);
	if (RelationGetIndexList(store->table) != NIL)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is no new table", RelationGetRelationName(store->table)),
						errdetail("It has an index.")));
	for (int i = 0; i < BATCH; i++)
		store->slots[i] =
			MakeSingleTupleTableSlot(RelationGetDescr(store->table), &TTSOpsHeapTuple);
	store->bulk = GetBulkInsertState();
	/* both are fixed before parallel workers start */
	(void) GetCurrentTransactionId();
	store->command = GetCurrentCommandId(true);
}

static void
EndNewTable(NewTable *store)
{
	FreeBulkInsertState(store->bulk);
	table_finish_bulk_insert(store->table, 0);
	for (int i = 0; i < BATCH; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	table_close(store->table, NoLock);
}

static void
FlushBatch(NewTable *store)
{
	if (store->nslots == 0)
		return;
	table_multi_insert(store->table, store->slots, store->nslots, store->command, store->options,
					   store->bulk);
	for (int i = 0; i < store->nslots; i++)
		ExecClearTuple(store->slots[i]);
	store->stored += store->nslots;
	store->nslots = 0;
	CHECK_FOR_INTERRUPTS();
}

static void
PutRowInto(NewTable *store, TupleTableSlot *row)
{
	ExecCopySlot(store->slots[store->nslots], row);
	if (++store->nslots == BATCH)
		FlushBatch(store);
}

/* Runs the query and stores a history for each customer, in order. */
static void
StoreHistories(NewTable *store, const char *function, const char *query, const char *progress)
{
	TupleDesc columns = RelationGetDescr(store->table);
	Form_pg_attribute key = TupleDescAttr(columns, 0);
	TupleTableSlot *row = MakeSingleTupleTableSlot(columns, &TTSOpsVirtual);
	HistoryCollection *collection;
	PurchaseHistory *history;
	Oid before;

	get_sort_group_operators(key->atttypid, true, false, false, &before, NULL, NULL, NULL);
	collection = CollectHistories(function, key->atttypid, query, progress, AS_THEY_ARE, false,
								  before, key->attcollation);
	while (ExecClearTuple(row), NextHistory(collection, &row->tts_values[0], &history))
	{
		row->tts_values[1] = PointerGetDatum(history);
		row->tts_isnull[0] = row->tts_isnull[1] = false;
		PutRowInto(store, ExecStoreVirtualTuple(row));
	}
	FlushBatch(store);
	EndHistories(collection);
	ExecDropSingleTupleTableSlot(row);
}

/* (key anyelement, query text, target regclass, progress text): the number of histories stored. */
PG_FUNCTION_INFO_V1(store_purchase_histories);
Datum
store_purchase_histories(PG_FUNCTION_ARGS)
{
	static const char *const function = "store_purchase_histories";
	/* in the order of the customers, also where a row would fit an earlier page */
	NewTable store = {.options = TABLE_INSERT_SKIP_FSM};
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	char *query = QueryArgument(fcinfo, 1, function);

	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the target of %s must not be NULL", function)));
	BeginNewTable(&store, PG_GETARG_OID(2), function);
	CheckHistoryTable(store.table, key_type);
	StoreHistories(&store, function, query, ProgressArgument(fcinfo, 3));
	EndNewTable(&store);
	PG_RETURN_INT64(store.stored);
}

/* ---------- rows of any query ---------- */

typedef struct RowsInto
{
	DestReceiver pub; /* must be first */
	NewTable *store;
} RowsInto;

/* The rows must be those of the table. */
static void
StartRows(DestReceiver *self, int operation, TupleDesc columns)
{
	Relation table = ((RowsInto *) self)->store->table;
	TupleDesc wanted = RelationGetDescr(table);
	bool same = IsPlainTable(table) && columns->natts == wanted->natts;

	for (int i = 0; same && i < wanted->natts; i++)
		same = !TupleDescAttr(wanted, i)->attisdropped &&
			   TupleDescAttr(columns, i)->atttypid == TupleDescAttr(wanted, i)->atttypid;
	if (!same)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is no table for these rows", RelationGetRelationName(table)),
						errdetail("It must have the columns of the query, and no trigger, rule or "
								  "constraint.")));
}

static bool
StoreRow(TupleTableSlot *row, DestReceiver *self)
{
	PutRowInto(((RowsInto *) self)->store, row);
	return true;
}

/* (query, target): the number of rows stored */
PG_FUNCTION_INFO_V1(store_rows);
Datum
store_rows(PG_FUNCTION_ARGS)
{
	static const char *const function = "store_rows";
	NewTable store = {0};
	RowsInto rows = {.store = &store};
	char *query = QueryArgument(fcinfo, 0, function);

	InitReceiver(&rows.pub, StoreRow, StartRows);
	BeginNewTable(&store, PG_GETARG_OID(1), function);
	RunQuery(function, query, &rows.pub);
	FlushBatch(&store);
	EndNewTable(&store);
	PG_RETURN_INT64(store.stored);
}
