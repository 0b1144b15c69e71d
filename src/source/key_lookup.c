/*
 * key_lookup.c: the row of a table that has a key, in an index that is read in the order of the
 * keys that are looked for.
 *
 * The index itself is read: where the next key wanted lies ahead it is looked up, and a row is
 * fetched only if its key is wanted.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pg_list.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "source/key_lookup.h"

/* Entries of the index that are read before the key is looked up. */
#define STEPS_BEFORE_LOOKUP 16

/* ---------- planning ---------- */

/* Places in the list of a plan: objects, columns. */
enum
{
	LOOKUP_TABLE,
	LOOKUP_INDEX,
	LOOKUP_OUTER_TYPE,
	LOOKUP_INNER_TYPE,
	LOOKUP_COMPARISON,
	LOOKUP_AT_LEAST, /* the operator's function */
	LOOKUP_COLLATION
};

int
PlaceOfColumn(List *targets, const Var *column)
{
	int place = 0;
	ListCell *cell;

	foreach (cell, targets)
	{
		const Var *var = (const Var *) lfirst_node(TargetEntry, cell)->expr;

		if (IsA(var, Var) && var->varno == column->varno && var->varattno == column->varattno)
			return place;
		place++;
	}
	return -1;
}

List *
ColumnsOfTable(List *wanted, Index table)
{
	List *columns = NIL;
	ListCell *cell;

	foreach (cell,
			 pull_var_clause((Node *) wanted, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
												  PVC_RECURSE_PLACEHOLDERS))
	{
		Var *var = lfirst_node(Var, cell);

		if (var->varno == table)
			columns = list_append_unique(columns, var);
	}
	return columns;
}

/* Whether only columns of the table are taken of a relation. */
static bool
TakesColumnsOnly(const RelOptInfo *rel)
{
	for (int i = rel->min_attr; i <= 0; i++)
		if (!bms_is_empty(rel->attr_needed[i - rel->min_attr]))
			return false;
	return true;
}

/* Whether all rows of a relation are wanted, and are those of one table. */
static bool
IsPlainTable(PlannerInfo *root, const RelOptInfo *rel)
{
	const RangeTblEntry *table;

	if (rel->reloptkind != RELOPT_BASEREL || rel->baserestrictinfo != NIL ||
		!bms_is_empty(rel->lateral_relids) || !TakesColumnsOnly(rel))
		return false;
	table = root->simple_rte_array[rel->relid];
	return table->rtekind == RTE_RELATION && table->relkind == RELKIND_RELATION && !table->inh &&
		   table->tablesample == NULL;
}

/*
 * The index by which a key of that type is found in a table, with its operators for that type; NULL
 * if there is none.  The index of a name has another type than the column.
 */
static const IndexOptInfo *
IndexOfKey(const RelOptInfo *table, const Var *key, Oid outer_type, List *families, Oid collation)
{
	ListCell *cell;

	foreach (cell, table->indexlist)
	{
		const IndexOptInfo *index = lfirst(cell);

		if (index->relam == BTREE_AM_OID && index->unique && index->immediate &&
			!index->hypothetical && index->nkeycolumns == 1 && index->indpred == NIL &&
			index->indexkeys[0] == key->varattno && !index->reverse_sort[0] &&
			index->indexcollations[0] == collation && index->canreturn[0] &&
			key->vartype != NAMEOID && list_member_oid(families, index->sortopfamily[0]) &&
			OidIsValid(get_opfamily_proc(index->sortopfamily[0], index->opcintype[0], outer_type,
										 BTORDER_PROC)) &&
			OidIsValid(get_opfamily_member(index->sortopfamily[0], index->opcintype[0], outer_type,
										   BTGreaterEqualStrategyNumber)))
			return index;
	}
	return NULL;
}

/* A key without changes of its type that leave its bytes as they are. */
static Node *
KeyColumn(Node *key)
{
	while (IsA(key, RelabelType))
		key = (Node *) ((RelabelType *) key)->arg;
	return key;
}

bool
FindKeyTarget(PlannerInfo *root, const RestrictInfo *clause, const RelOptInfo *other,
			  RelOptInfo *found, KeyTarget *target)
{
	const OpExpr *equality = (const OpExpr *) clause->clause;
	bool other_is_left;
	Node *key;
	Node *found_key;
	Oid types[2];

	if (!IsPlainTable(root, found) || clause->mergeopfamilies == NIL || clause->pseudoconstant ||
		!IsA(equality, OpExpr))
		return false;
	other_is_left = bms_is_subset(clause->left_relids, other->relids);
	if (!bms_is_subset(other_is_left ? clause->right_relids : clause->left_relids, found->relids))
		return false;
	key = KeyColumn(other_is_left ? get_leftop((Expr *) equality) : get_rightop((Expr *) equality));
	found_key =
		KeyColumn(other_is_left ? get_rightop((Expr *) equality) : get_leftop((Expr *) equality));
	op_input_types(equality->opno, &types[0], &types[1]);
	if (!IsA(key, Var) || !IsA(found_key, Var) || ((Var *) found_key)->varattno <= 0)
		return false;
	target->key = (const Var *) key;
	target->key_type = types[other_is_left ? 0 : 1];
	target->found = found;
	target->table = root->simple_rte_array[found->relid]->relid;
	target->index = IndexOfKey(found, (const Var *) found_key, target->key_type,
							   clause->mergeopfamilies, equality->inputcollid);
	return target->index != NULL;
}

Cost
CostInOrder(const KeyTarget *target)
{
	ListCell *cell;

	foreach (cell, target->found->pathlist)
	{
		const IndexPath *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexinfo == target->index &&
			path->path.param_info == NULL && path->path.pathkeys != NIL)
			return path->path.total_cost;
	}
	return -1;
}

bool
IsInOrder(const Path *path, const EquivalenceClass *key, const IndexOptInfo *index)
{
	const PathKey *first;

	if (path->pathkeys == NIL || path->param_info != NULL)
		return false;
	first = linitial(path->pathkeys);
	return first->pk_eclass == key && IsAscending(first) &&
		   first->pk_opfamily == index->sortopfamily[0];
}

List *
PlanKeyLookup(const KeyTarget *target, List *columns)
{
	const IndexOptInfo *index = target->index;
	Oid family = index->sortopfamily[0];
	Oid inner_type = index->opcintype[0];
	Oid comparison = get_opfamily_proc(family, inner_type, target->key_type, BTORDER_PROC);
	Oid at_least = get_opcode(
		get_opfamily_member(family, inner_type, target->key_type, BTGreaterEqualStrategyNumber));
	List *objects =
		list_make5_oid(target->table, index->indexoid, target->key_type, inner_type, comparison);
	List *attributes = NIL;
	ListCell *cell;

	objects = lappend_oid(lappend_oid(objects, at_least), index->indexcollations[0]);
	foreach (cell, columns)
		attributes = lappend_int(attributes, lfirst_node(Var, cell)->varattno);
	return list_make3(objects, list_make1_int(index->indexkeys[0]), attributes);
}

/* ---------- execution ---------- */

static bool
IsInteger(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static inline int64
IntegerKey(Datum key, Oid type)
{
	return type == INT8OID   ? DatumGetInt64(key)
		   : type == INT4OID ? DatumGetInt32(key)
							 : DatumGetInt16(key);
}

/* The entry's key against the one wanted. */
static inline int
CompareKeys(KeyLookup *lookup, Datum wanted)
{
	if (lookup->integers)
	{
		int64 a = IntegerKey(lookup->key, lookup->inner_type);
		int64 b = IntegerKey(wanted, lookup->outer_type);

		return a < b ? -1 : a > b;
	}
	return DatumGetInt32(
		FunctionCall2Coll(&lookup->comparison, lookup->collation, lookup->key, wanted));
}

/* Goes on to the next entry of the index. */
static void
NextEntry(KeyLookup *lookup)
{
	IndexScanDesc scan = lookup->scan;
	bool null;

	lookup->fetched = false;
	lookup->ended = index_getnext_tid(scan, ForwardScanDirection) == NULL;
	if (!lookup->ended)
		lookup->key = index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &null);
}

/* Goes to the first entry whose key is at least the one given. */
static void
LookUpKey(KeyLookup *lookup, Datum wanted)
{
	Datum last = lookup->at_least.sk_argument;
	MemoryContext caller = MemoryContextSwitchTo(lookup->context);

	/* it is compared with for as long as the scan goes on */
	lookup->at_least.sk_argument =
		lookup->by_value ? wanted : datumCopy(wanted, false, lookup->length);
	MemoryContextSwitchTo(caller);
	index_rescan(lookup->scan, &lookup->at_least, 1, NULL, 0);
	if (!lookup->by_value && lookup->begun)
		pfree(DatumGetPointer(last));
	lookup->begun = true;
	NextEntry(lookup);
}

/* Whether the row of the entry is visible; fetches it if its columns are needed. */
static bool
FetchRow(KeyLookup *lookup)
{
	IndexScanDesc scan = lookup->scan;
	BlockNumber block = ItemPointerGetBlockNumber(&scan->xs_heaptid);

	if (lookup->fetched)
		return true;
	if (lookup->index_suffices && VM_ALL_VISIBLE(scan->heapRelation, block, &lookup->visibility))
	{
		PredicateLockPage(scan->heapRelation, block, scan->xs_snapshot);
		return lookup->fetched = true;
	}
	return lookup->fetched = index_fetch_heap(scan, lookup->row);
}

/* Whether a key is, or may be, less than the one looked for before. */
static inline bool
GoesBack(KeyLookup *lookup, Datum wanted)
{
	int64 key;
	bool back;

	if (lookup->in_order || !lookup->integers)
		return !lookup->in_order;
	key = IntegerKey(wanted, lookup->outer_type);
	back = key < lookup->last;
	lookup->last = key;
	return back;
}

bool
FindKey(KeyLookup *lookup, Datum wanted)
{
	bool back = GoesBack(lookup, wanted);
	int steps = 0;

	if (!lookup->begun || (back && (lookup->ended || CompareKeys(lookup, wanted) > 0)))
		LookUpKey(lookup, wanted);
	while (!lookup->ended)
	{
		int order = CompareKeys(lookup, wanted);

		if (order > 0 || (order == 0 && FetchRow(lookup)))
			return order == 0;
		/* an older version of the row, or another key */
		if (order < 0 && ++steps == STEPS_BEFORE_LOOKUP)
			LookUpKey(lookup, wanted);
		else
			NextEntry(lookup);
	}
	return false;
}

void
PutColumns(KeyLookup *lookup, bool found, Datum *values, bool *nulls)
{
	if (!found)
	{
		memset(nulls, true, lookup->ncolumns * sizeof(bool));
		return;
	}
	if (lookup->index_suffices)
	{
		for (int i = 0; i < lookup->ncolumns; i++)
		{
			values[i] = lookup->key;
			nulls[i] = false;
		}
		return;
	}
	slot_getsomeattrs(lookup->row, lookup->last_column);
	for (int i = 0; i < lookup->ncolumns; i++)
	{
		values[i] = lookup->row->tts_values[lookup->columns[i] - 1];
		nulls[i] = lookup->row->tts_isnull[lookup->columns[i] - 1];
	}
}

void
BeginKeyLookup(KeyLookup *lookup, const List *plan, bool in_order, EState *estate, int eflags)
{
	const List *objects = linitial(plan);
	AttrNumber key = (AttrNumber) linitial_int((List *) lsecond(plan));
	const List *columns = lthird(plan);
	ListCell *cell;

	lookup->in_order = in_order;
	lookup->columns = palloc(list_length(columns) * sizeof(AttrNumber));
	lookup->index_suffices = true;
	foreach (cell, columns)
	{
		AttrNumber column = (AttrNumber) lfirst_int(cell);

		lookup->columns[lookup->ncolumns++] = column;
		lookup->last_column = Max(lookup->last_column, column);
		lookup->index_suffices &= column == key;
	}
	lookup->outer_type = list_nth_oid(objects, LOOKUP_OUTER_TYPE);
	lookup->inner_type = list_nth_oid(objects, LOOKUP_INNER_TYPE);
	lookup->integers = IsInteger(lookup->outer_type) && IsInteger(lookup->inner_type);
	get_typlenbyval(lookup->outer_type, &lookup->length, &lookup->by_value);
	fmgr_info(list_nth_oid(objects, LOOKUP_COMPARISON), &lookup->comparison);
	lookup->collation = list_nth_oid(objects, LOOKUP_COLLATION);
	lookup->table = table_open(list_nth_oid(objects, LOOKUP_TABLE), AccessShareLock);
	lookup->index = index_open(list_nth_oid(objects, LOOKUP_INDEX), AccessShareLock);
	lookup->row = ExecInitExtraTupleSlot(estate, RelationGetDescr(lookup->table),
										 table_slot_callbacks(lookup->table));
	lookup->visibility = InvalidBuffer;
	lookup->context = estate->es_query_cxt;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	ScanKeyEntryInitialize(&lookup->at_least, 0, 1, BTGreaterEqualStrategyNumber,
						   lookup->outer_type, lookup->collation,
						   list_nth_oid(objects, LOOKUP_AT_LEAST), (Datum) 0);
	lookup->scan = BeginIndexScan(lookup->table, lookup->index, estate->es_snapshot, 1);
	lookup->scan->xs_want_itup = true;
}

void
RestartKeyLookup(KeyLookup *lookup)
{
	/* the first key looks itself up again */
	if (lookup->begun && !lookup->by_value)
		pfree(DatumGetPointer(lookup->at_least.sk_argument));
	lookup->begun = lookup->ended = lookup->fetched = false;
}

void
EndKeyLookup(KeyLookup *lookup)
{
	if (BufferIsValid(lookup->visibility))
		ReleaseBuffer(lookup->visibility);
	if (lookup->scan != NULL)
		index_endscan(lookup->scan);
	index_close(lookup->index, NoLock);
	table_close(lookup->table, NoLock);
}
