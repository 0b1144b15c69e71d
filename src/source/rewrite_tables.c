/*
 * rewrite_tables.c: tables in new files, without the bytes of rows that were deleted.
 *
 * VACUUM gives the space of deleted rows back and leaves their bytes in it; index
 * pages keep keys as bounds.  So whoever has to be forgotten is copied around, as
 * in REFRESH MATERIALIZED VIEW.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/cluster.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/common.h"

/*
 * Locks all of them, or waits while it has none: whoever reads some of them in
 * another order waits, too, and gets into no deadlock.
 */
static void
LockAll(const Oid *tables, int n)
{
	int busy = 0;

	while (n > 0)
	{
		int blocked = -1;

		LockRelationOid(tables[busy], AccessExclusiveLock);
		for (int i = 0; i < n && blocked < 0; i++)
			if (i != busy && !ConditionalLockRelationOid(tables[i], AccessExclusiveLock))
				blocked = i;
		if (blocked < 0)
			return;
		for (int i = 0; i < blocked; i++)
			if (i != busy)
				UnlockRelationOid(tables[i], AccessExclusiveLock);
		UnlockRelationOid(tables[busy], AccessExclusiveLock);
		busy = blocked;
	}
}

/*
 * The oids in a regclass[] of the current user's own tables; `to_lock`: also of views,
 * and of tables on which they may have triggers, which are locked when these go.
 */
static Oid *
OwnRelations(ArrayType *array, bool to_lock, int *n)
{
	Datum *elements;
	Oid *tables;

	deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &elements, NULL, n);
	tables = palloc(sizeof(Oid) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		char kind;

		tables[i] = DatumGetObjectId(elements[i]);
		if (!RelationIsOwnedBy(tables[i], GetUserId()) &&
			!(to_lock && pg_class_aclcheck(tables[i], GetUserId(), ACL_TRIGGER) == ACLCHECK_OK))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(tables[i]));
		kind = get_rel_relkind(tables[i]);
		if (!(kind == RELKIND_RELATION ||
			  (to_lock && (kind == RELKIND_VIEW || kind == RELKIND_PARTITIONED_TABLE))) ||
			IsCatalogRelationOid(tables[i]) ||
			get_rel_persistence(tables[i]) == RELPERSISTENCE_TEMP)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a relation of a source", get_rel_name(tables[i]))));
	}
	return tables;
}

/* (regclass[]): locks tables and views that are to be rewritten, altered or dropped. */
PG_FUNCTION_INFO_V1(lock_relations);
Datum
lock_relations(PG_FUNCTION_ARGS)
{
	int n;
	Oid *tables = OwnRelations(PG_GETARG_ARRAYTYPE_P(0), true, &n);

	LockAll(tables, n);
	PG_RETURN_VOID();
}

/* Copies the rows that are visible now; values that were stored out of line are stored anew. */
static void
CopyRows(Relation from, Relation to)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(from, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(from, NULL);
	BulkInsertState bulk = GetBulkInsertState();
	CommandId command = GetCurrentCommandId(true);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		/* a row of its own: what is inserted must not be part of the page that it comes from */
		ExecMaterializeSlot(slot);
		table_tuple_insert(to, slot, command, TABLE_INSERT_SKIP_FSM, bulk);
	}
	FreeBulkInsertState(bulk);
	table_finish_bulk_insert(to, TABLE_INSERT_SKIP_FSM);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
}

static void
RewriteTable(Oid table)
{
	Relation old = table_open(table, NoLock);
	char persistence = old->rd_rel->relpersistence;
	Relation new;
	Oid heap;

	CheckTableNotInUse(old, "forget_customer()");
	heap = make_new_heap(table, old->rd_rel->reltablespace, old->rd_rel->relam, persistence,
						 AccessExclusiveLock);
	new = table_open(heap, AccessExclusiveLock);
	CopyRows(old, new);
	table_close(new, NoLock);
	table_close(old, NoLock);
	finish_heap_swap(table, heap, false, false, false, true, RecentXmin, ReadNextMultiXactId(),
					 persistence);
}

/* (regclass[]): writes tables, which nobody else uses, and their indexes into new files. */
PG_FUNCTION_INFO_V1(rewrite_tables);
Datum
rewrite_tables(PG_FUNCTION_ARGS)
{
	int n;
	Oid *tables = OwnRelations(PG_GETARG_ARRAYTYPE_P(0), false, &n);

	LockAll(tables, n);
	for (int i = 0; i < n; i++)
		RewriteTable(tables[i]);
	PG_RETURN_VOID();
}
