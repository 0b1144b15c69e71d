/*
 * store_histories.c: the first refresh of a source: histories go from the bulk functions straight
 * into the pages of their table.
 *
 * They are stored in the order of the customers, like most customer tables, so that a join of the
 * two finds its data in the processor's caches.  The index built next has nothing left to sort, so
 * the order costs little.
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
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"

#include "base/caller_query.h"
#include "orders/collect_histories.h"

#define BATCH 1000

typedef struct HistoryStore
{
	Relation table;
	TupleTableSlot *slots[BATCH];
	int nslots;
	BulkInsertState bulk;
	CommandId command;
	int64 stored;
} HistoryStore;

static Oid
HistoryType(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("purchase_history"),
						   ObjectIdGetDatum(get_namespace_oid("crm_profile", false)));
}

/*
 * Rows are written without the executor, so the table must have nothing that the executor would
 * have to handle.
 */
static void
CheckTarget(Relation table, Oid key_type)
{
	TupleDesc columns = RelationGetDescr(table);
	AclResult right = pg_class_aclcheck(RelationGetRelid(table), GetUserId(), ACL_INSERT);

	if (right != ACLCHECK_OK)
		aclcheck_error(right, get_relkind_objtype(table->rd_rel->relkind),
					   RelationGetRelationName(table));
	if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relispartition ||
		RelationGetIndexList(table) != NIL || table->rd_rel->relhasrules ||
		table->trigdesc != NULL || (columns->constr != NULL && columns->constr->num_check > 0) ||
		check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED ||
		columns->natts != 2 || TupleDescAttr(columns, 0)->attisdropped ||
		TupleDescAttr(columns, 1)->attisdropped || TupleDescAttr(columns, 0)->attgenerated ||
		TupleDescAttr(columns, 0)->atttypid != key_type ||
		TupleDescAttr(columns, 1)->atttypid != HistoryType())
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no new table of histories", RelationGetRelationName(table)),
				 errdetail("It must have the columns customer and history and no index, trigger, "
						   "rule or constraint.")));
}

static void
FlushBatch(HistoryStore *store)
{
	if (store->nslots == 0)
		return;
	table_multi_insert(store->table, store->slots, store->nslots, store->command, 0, store->bulk);
	for (int i = 0; i < store->nslots; i++)
		ExecClearTuple(store->slots[i]);
	store->stored += store->nslots;
	store->nslots = 0;
	CHECK_FOR_INTERRUPTS();
}

/* Collects the histories of the query, sorted by customer. */
static Tuplesortstate *
SortHistories(Relation table, const char *function, const char *query, const char *progress)
{
	TupleDesc columns = RelationGetDescr(table);
	Form_pg_attribute key = TupleDescAttr(columns, 0);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(columns, &TTSOpsVirtual);
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "history to store", ALLOCSET_DEFAULT_SIZES);
	AttrNumber column = 1;
	bool nulls_first = false;
	Oid before;
	Tuplesortstate *sorted;
	HistoryCollection *collection;

	get_sort_group_operators(key->atttypid, true, false, false, &before, NULL, NULL, NULL);
	sorted = tuplesort_begin_heap(columns, 1, &column, &before, &key->attcollation, &nulls_first,
								  work_mem, NULL, TUPLESORT_NONE);
	collection = CollectHistories(function, key->atttypid, query, progress, false);
	for (;;)
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		PurchaseHistory *history;
		bool more;

		MemoryContextReset(row);
		ExecClearTuple(slot);
		more = NextHistory(collection, &slot->tts_values[0], &history);
		MemoryContextSwitchTo(caller);
		if (!more)
			break;
		slot->tts_values[1] = PointerGetDatum(history);
		slot->tts_isnull[0] = slot->tts_isnull[1] = false;
		tuplesort_puttupleslot(sorted, ExecStoreVirtualTuple(slot));
		CHECK_FOR_INTERRUPTS();
	}
	EndHistories(collection);
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_performsort(sorted);
	return sorted;
}

/* (key anyelement, query text, target regclass, progress text): the number of histories stored. */
PG_FUNCTION_INFO_V1(store_purchase_histories);
Datum
store_purchase_histories(PG_FUNCTION_ARGS)
{
	static const char *const function = "store_purchase_histories";
	HistoryStore store = {0};
	Tuplesortstate *sorted;
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	char *query = QueryArgument(fcinfo, 1, function);

	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the target of %s must not be NULL", function)));
	if (XactReadOnly)
		PreventCommandIfReadOnly("store_purchase_histories()");
	store.table = table_open(PG_GETARG_OID(2), RowExclusiveLock);
	CheckTarget(store.table, key_type);
	sorted = SortHistories(store.table, function, query, ProgressArgument(fcinfo, 3));
	for (int i = 0; i < BATCH; i++)
		store.slots[i] =
			MakeSingleTupleTableSlot(RelationGetDescr(store.table), &TTSOpsMinimalTuple);
	store.bulk = GetBulkInsertState();
	store.command = GetCurrentCommandId(true);
	while (tuplesort_gettupleslot(sorted, true, true, store.slots[store.nslots], NULL))
		if (++store.nslots == BATCH)
			FlushBatch(&store);
	FlushBatch(&store);

	tuplesort_end(sorted);
	FreeBulkInsertState(store.bulk);
	table_finish_bulk_insert(store.table, 0);
	for (int i = 0; i < BATCH; i++)
		ExecDropSingleTupleTableSlot(store.slots[i]);
	table_close(store.table, NoLock);
	PG_RETURN_INT64(store.stored);
}
