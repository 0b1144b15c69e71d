/*
 * key_join.c: the join of a source's histories with its customers, in the order of their keys.
 *
 * As in a merge join, both sides come in the order of the key.  But of the inner side it reads the
 * index itself: where the next key wanted lies ahead it is looked up, and a row is fetched only if
 * its key is wanted.  So each of several processes reads only its own part of both sides, where a
 * merge join has every process read the whole inner side, and it is fast if few outer rows are
 * left.
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
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/row_stream.h"
#include "source/key_join.h"

/* Entries of the index that are read before the key is looked up. */
#define STEPS_BEFORE_LOOKUP 16

/* What is taken off the cost of the inner side: its rows are not compared one by one. */
#define INNER_SHARE 0.8

bool key_joins_offered = false;
static bool enable_key_join = true;

static set_join_pathlist_hook_type previous_join_pathlist;

/* ---------- planning ---------- */

typedef struct KeyJoinPath
{
	CustomPath path; /* must be first */
	JoinType kind;   /* JOIN_INNER, JOIN_LEFT or JOIN_ANTI */
	const Var *outer_key;
	Oid outer_type; /* as the comparison takes it */
	const RelOptInfo *inner;
	const IndexOptInfo *index;
	Oid table;
} KeyJoinPath;

/* Positions in the lists that a plan has in custom_private. */
enum
{
	PLAN_KIND,
	PLAN_OUTER_KEY, /* its column, from 0 */
	PLAN_INNER_KEY,
	PLAN_NUMBERS
};

enum
{
	PLAN_TABLE,
	PLAN_INDEX,
	PLAN_OUTER_TYPE,
	PLAN_INNER_TYPE,
	PLAN_COMPARISON,
	PLAN_AT_LEAST, /* the operator's function */
	PLAN_COLLATION,
	PLAN_OIDS
};

static Node *CreateKeyJoinState(CustomScan *scan);
static const CustomScanMethods KeyJoinScanMethods = {"KeyJoin", CreateKeyJoinState};

/* The columns of the inner table among what is wanted of a join. */
static List *
InnerColumns(List *wanted, Index inner)
{
	List *columns = NIL;
	ListCell *cell;

	foreach (cell,
			 pull_var_clause((Node *) wanted, PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
												  PVC_RECURSE_PLACEHOLDERS))
	{
		Var *var = lfirst_node(Var, cell);

		if (var->varno == inner)
			columns = list_append_unique(columns, var);
	}
	return columns;
}

/* The place of a column among targets, from 0; -1: it is not among them. */
static int
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

static Plan *
PlanKeyJoin(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses,
			List *custom_plans)
{
	const KeyJoinPath *join = (const KeyJoinPath *) path;
	Plan *outer = linitial(custom_plans);
	CustomScan *scan = makeNode(CustomScan);
	Oid family = join->index->sortopfamily[0];
	Oid inner_type = join->index->opcintype[0];
	int outer_key = PlaceOfColumn(outer->targetlist, join->outer_key);
	List *columns = NIL;
	List *attributes = NIL;
	ListCell *cell;

	if (outer_key < 0)
		elog(ERROR, "key of a join is not among the columns of its outer side");
	foreach (cell, outer->targetlist)
		columns = lappend(columns, makeTargetEntry(copyObject(lfirst_node(TargetEntry, cell)->expr),
												   list_length(columns) + 1, NULL, false));
	/* all that is wanted of the join: the targets may be put in later */
	foreach (cell, InnerColumns(rel->reltarget->exprs, join->inner->relid))
	{
		Var *var = lfirst_node(Var, cell);

		columns = lappend(columns, makeTargetEntry((Expr *) copyObject(var),
												   list_length(columns) + 1, NULL, false));
		attributes = lappend_int(attributes, var->varattno);
	}
	scan->scan.plan.targetlist = targets;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist = columns;
	scan->custom_private = list_make3(
		list_make3_int(join->kind, outer_key, join->index->indexkeys[0]),
		lappend_oid(
			lappend_oid(list_make5_oid(
							join->table, join->index->indexoid, join->outer_type, inner_type,
							get_opfamily_proc(family, inner_type, join->outer_type, BTORDER_PROC)),
						get_opcode(get_opfamily_member(family, inner_type, join->outer_type,
													   BTGreaterEqualStrategyNumber))),
			join->index->indexcollations[0]),
		attributes);
	scan->methods = &KeyJoinScanMethods;
	return &scan->scan.plan;
}

static const CustomPathMethods KeyJoinPathMethods = {"KeyJoin", PlanKeyJoin, NULL};

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

/* The cost of reading a table in the order of an index; negative if the planner has none. */
static Cost
CostInOrder(const RelOptInfo *table, const IndexOptInfo *index)
{
	ListCell *cell;

	foreach (cell, table->pathlist)
	{
		const IndexPath *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexinfo == index && path->path.param_info == NULL &&
			path->path.pathkeys != NIL)
			return path->path.total_cost;
	}
	return -1;
}

/* Whether a path gives the rows of the outer side in the order of the index. */
static bool
IsInOrder(const Path *path, const EquivalenceClass *key, const IndexOptInfo *index)
{
	const PathKey *first;

	if (path->pathkeys == NIL || path->param_info != NULL)
		return false;
	first = linitial(path->pathkeys);
	return first->pk_eclass == key && IsAscending(first) &&
		   first->pk_opfamily == index->sortopfamily[0];
}

static KeyJoinPath *
KeyJoinOver(RelOptInfo *joinrel, const RelOptInfo *outerrel, Path *outer, const KeyJoinPath *like,
			Cost inner_cost)
{
	KeyJoinPath *join = (KeyJoinPath *) newNode(sizeof(KeyJoinPath), T_CustomPath);
	double share = outerrel->rows > 0 ? Min(1, outer->rows / outerrel->rows) : 1;
	Path *path = &join->path.path;

	path->pathtype = T_CustomScan;
	path->parent = joinrel;
	path->pathtarget = joinrel->reltarget;
	path->parallel_safe = joinrel->consider_parallel && outer->parallel_safe;
	path->parallel_workers = outer->parallel_workers;
	path->rows = clamp_row_est(joinrel->rows * share);
	TakeDisabledNodes(path, outer);
	path->startup_cost = outer->startup_cost;
	path->total_cost = outer->total_cost + INNER_SHARE * share * inner_cost +
					   joinrel->reltarget->cost.per_tuple * path->rows;
	path->pathkeys = outer->pathkeys;
	join->path.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	join->path.custom_paths = list_make1(outer);
	join->path.methods = &KeyJoinPathMethods;
	join->kind = like->kind;
	join->outer_key = like->outer_key;
	join->outer_type = like->outer_type;
	join->inner = like->inner;
	join->index = like->index;
	join->table = like->table;
	return join;
}

/* A key without changes of its type that leave its bytes as they are. */
static Node *
KeyColumn(Node *key)
{
	while (IsA(key, RelabelType))
		key = (Node *) ((RelabelType *) key)->arg;
	return key;
}

/* The kind of join that is made of one that the planner asks for; false: it is not made here. */
static bool
KindOfJoin(JoinType asked, JoinType *kind)
{
	switch (asked)
	{
		case JOIN_INNER:
		case JOIN_SEMI: /* the keys of the inner side are unique */
			*kind = JOIN_INNER;
			return true;
		case JOIN_LEFT:
		case JOIN_ANTI:
			*kind = asked;
			return true;
		default:
			return false;
	}
}

static void
AddKeyJoins(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
			JoinType jointype, JoinPathExtraData *extra)
{
	KeyJoinPath like = {0};
	RestrictInfo *clause;
	const EquivalenceClass *outer_class;
	Node *outer_key;
	Node *inner_key;
	Oid types[2];
	Cost inner_cost;
	bool outer_is_left;
	ListCell *cell;

	if (previous_join_pathlist)
		previous_join_pathlist(root, joinrel, outerrel, innerrel, jointype, extra);
	/* a row that was changed meanwhile would have to be checked again */
	if (!key_joins_offered || !enable_key_join || !KindOfJoin(jointype, &like.kind) ||
		root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL ||
		!IsPlainTable(root, innerrel) || !bms_is_empty(joinrel->lateral_relids) ||
		list_length(extra->restrictlist) != 1)
		return;
	clause = linitial_node(RestrictInfo, extra->restrictlist);
	if (clause->mergeopfamilies == NIL || clause->pseudoconstant || !IsA(clause->clause, OpExpr) ||
		(IS_OUTER_JOIN(jointype) && RINFO_IS_PUSHED_DOWN(clause, joinrel->relids)))
		return;
	outer_is_left = bms_is_subset(clause->left_relids, outerrel->relids);
	if (!bms_is_subset(outer_is_left ? clause->right_relids : clause->left_relids,
					   innerrel->relids))
		return;
	update_mergeclause_eclasses(root, clause);
	outer_class = outer_is_left ? clause->left_ec : clause->right_ec;
	outer_key = outer_is_left ? get_leftop(clause->clause) : get_rightop(clause->clause);
	inner_key = outer_is_left ? get_rightop(clause->clause) : get_leftop(clause->clause);
	op_input_types(((OpExpr *) clause->clause)->opno, &types[0], &types[1]);
	like.outer_type = types[outer_is_left ? 0 : 1];
	like.outer_key = (const Var *) KeyColumn(outer_key);
	inner_key = KeyColumn(inner_key);
	if (!IsA(like.outer_key, Var) || !IsA(inner_key, Var) || ((Var *) inner_key)->varattno <= 0)
		return;
	like.inner = innerrel;
	like.table = root->simple_rte_array[innerrel->relid]->relid;
	like.index = IndexOfKey(innerrel, (const Var *) inner_key, like.outer_type,
							clause->mergeopfamilies, ((OpExpr *) clause->clause)->inputcollid);
	if (like.index == NULL || (inner_cost = CostInOrder(innerrel, like.index)) < 0)
		return;
	foreach (cell, outerrel->pathlist)
		if (IsInOrder(lfirst(cell), outer_class, like.index))
			add_path(joinrel,
					 (Path *) KeyJoinOver(joinrel, outerrel, lfirst(cell), &like, inner_cost));
	if (!joinrel->consider_parallel || !innerrel->consider_parallel)
		return;
	foreach (cell, outerrel->partial_pathlist)
		if (IsInOrder(lfirst(cell), outer_class, like.index))
			add_partial_path(
				joinrel, (Path *) KeyJoinOver(joinrel, outerrel, lfirst(cell), &like, inner_cost));
}

/* ---------- execution ---------- */

typedef struct KeyJoinState
{
	CustomScanState css; /* must be first */
	PlanState *outer;
	JoinType kind;
	int outer_key;       /* columns, from 0 */
	int ncolumns;        /* of the inner side */
	AttrNumber *columns; /* their attributes */
	AttrNumber last_column;
	bool index_suffices; /* for these columns */
	bool integers;       /* the keys are of some types of integers */
	Oid outer_type;
	Oid inner_type;
	bool by_value; /* the keys of the outer side */
	int16 length;
	FmgrInfo comparison;
	Oid collation;
	Relation table;
	Relation index;
	IndexScanDesc scan;
	ScanKeyData at_least;
	Buffer visibility;     /* page of the visibility map, or invalid */
	TupleTableSlot *inner; /* the row of the entry, once it is fetched */
	bool begun;            /* the index is read from some key on */
	bool ended;            /* no entry is left */
	bool fetched;          /* the row of the entry is visible, and fetched if it is needed */
	Datum key;             /* of the entry */
} KeyJoinState;

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

/* The entry's key against one of the outer side. */
static inline int
CompareKeys(KeyJoinState *state, Datum wanted)
{
	if (state->integers)
	{
		int64 a = IntegerKey(state->key, state->inner_type);
		int64 b = IntegerKey(wanted, state->outer_type);

		return a < b ? -1 : a > b;
	}
	return DatumGetInt32(
		FunctionCall2Coll(&state->comparison, state->collation, state->key, wanted));
}

/* Goes on to the next entry of the index. */
static void
NextEntry(KeyJoinState *state)
{
	IndexScanDesc scan = state->scan;
	bool null;

	state->fetched = false;
	state->ended = index_getnext_tid(scan, ForwardScanDirection) == NULL;
	if (!state->ended)
		state->key = index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &null);
}

/* Goes to the first entry whose key is at least the one given. */
static void
LookUpKey(KeyJoinState *state, Datum wanted)
{
	Datum last = state->at_least.sk_argument;
	MemoryContext caller = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);

	/* it is compared with for as long as the scan goes on */
	state->at_least.sk_argument =
		state->by_value ? wanted : datumCopy(wanted, false, state->length);
	MemoryContextSwitchTo(caller);
	index_rescan(state->scan, &state->at_least, 1, NULL, 0);
	if (!state->by_value && state->begun)
		pfree(DatumGetPointer(last));
	state->begun = true;
	NextEntry(state);
}

/* Whether the row of the entry is visible; fetches it if its columns are needed. */
static bool
FetchRow(KeyJoinState *state)
{
	IndexScanDesc scan = state->scan;
	BlockNumber block = ItemPointerGetBlockNumber(&scan->xs_heaptid);

	if (state->fetched)
		return true;
	if (state->index_suffices && VM_ALL_VISIBLE(scan->heapRelation, block, &state->visibility))
	{
		PredicateLockPage(scan->heapRelation, block, scan->xs_snapshot);
		return state->fetched = true;
	}
	return state->fetched = index_fetch_heap(scan, state->inner);
}

/* Whether the inner side has a visible row of that key, no less than those asked for before. */
static bool
FindKey(KeyJoinState *state, Datum wanted)
{
	int steps = 0;

	if (!state->begun)
		LookUpKey(state, wanted);
	while (!state->ended)
	{
		int order = CompareKeys(state, wanted);

		if (order > 0 || (order == 0 && FetchRow(state)))
			return order == 0;
		/* an older version of the row, or another key */
		if (order < 0 && ++steps == STEPS_BEFORE_LOOKUP)
			LookUpKey(state, wanted);
		else
			NextEntry(state);
	}
	return false;
}

/* Puts the columns of the inner side behind those of the outer one. */
static void
PutInnerColumns(KeyJoinState *state, bool found, Datum *values, bool *nulls)
{
	if (!found)
	{
		memset(nulls, true, state->ncolumns * sizeof(bool));
		return;
	}
	if (state->index_suffices)
	{
		for (int i = 0; i < state->ncolumns; i++)
		{
			values[i] = state->key;
			nulls[i] = false;
		}
		return;
	}
	slot_getsomeattrs(state->inner, state->last_column);
	for (int i = 0; i < state->ncolumns; i++)
	{
		values[i] = state->inner->tts_values[state->columns[i] - 1];
		nulls[i] = state->inner->tts_isnull[state->columns[i] - 1];
	}
}

static TupleTableSlot *
NextJoinedRow(ScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;

	ExecClearTuple(slot);
	for (;;)
	{
		TupleTableSlot *outer = ExecProcNode(state->outer);
		int n;
		bool found;

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(outer))
			return slot;
		n = outer->tts_tupleDescriptor->natts;
		slot_getallattrs(outer);
		found = !outer->tts_isnull[state->outer_key] &&
				FindKey(state, outer->tts_values[state->outer_key]);
		if (state->kind == JOIN_ANTI ? found : !found && state->kind == JOIN_INNER)
			continue;
		memcpy(slot->tts_values, outer->tts_values, n * sizeof(Datum));
		memcpy(slot->tts_isnull, outer->tts_isnull, n * sizeof(bool));
		PutInnerColumns(state, found, slot->tts_values + n, slot->tts_isnull + n);
		return ExecStoreVirtualTuple(slot);
	}
}

/* No rows are locked, so none are checked again. */
static bool
RecheckJoinedRow(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
ExecKeyJoin(CustomScanState *node)
{
	return ExecScan(&node->ss, NextJoinedRow, RecheckJoinedRow);
}

static void
BeginKeyJoin(CustomScanState *node, EState *estate, int eflags)
{
	KeyJoinState *state = (KeyJoinState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	const List *numbers = linitial(scan->custom_private);
	const List *oids = lsecond(scan->custom_private);
	const List *columns = lthird(scan->custom_private);
	AttrNumber key = (AttrNumber) list_nth_int(numbers, PLAN_INNER_KEY);
	ListCell *cell;

	state->outer = ExecInitNode(linitial(scan->custom_plans), estate, eflags);
	node->custom_ps = list_make1(state->outer);
	state->kind = (JoinType) list_nth_int(numbers, PLAN_KIND);
	state->outer_key = list_nth_int(numbers, PLAN_OUTER_KEY);
	state->columns = palloc(list_length(columns) * sizeof(AttrNumber));
	state->index_suffices = true;
	foreach (cell, columns)
	{
		AttrNumber column = (AttrNumber) lfirst_int(cell);

		state->columns[state->ncolumns++] = column;
		state->last_column = Max(state->last_column, column);
		state->index_suffices &= column == key;
	}
	state->outer_type = list_nth_oid(oids, PLAN_OUTER_TYPE);
	state->inner_type = list_nth_oid(oids, PLAN_INNER_TYPE);
	state->integers = IsInteger(state->outer_type) && IsInteger(state->inner_type);
	get_typlenbyval(state->outer_type, &state->length, &state->by_value);
	fmgr_info(list_nth_oid(oids, PLAN_COMPARISON), &state->comparison);
	state->collation = list_nth_oid(oids, PLAN_COLLATION);
	state->table = table_open(list_nth_oid(oids, PLAN_TABLE), AccessShareLock);
	state->index = index_open(list_nth_oid(oids, PLAN_INDEX), AccessShareLock);
	state->inner = ExecInitExtraTupleSlot(estate, RelationGetDescr(state->table),
										  table_slot_callbacks(state->table));
	state->visibility = InvalidBuffer;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	ScanKeyEntryInitialize(&state->at_least, 0, 1, BTGreaterEqualStrategyNumber, state->outer_type,
						   state->collation, list_nth_oid(oids, PLAN_AT_LEAST), (Datum) 0);
	state->scan = BeginIndexScan(state->table, state->index, estate->es_snapshot, 1);
	state->scan->xs_want_itup = true;
}

static void
ReScanKeyJoin(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	/* the first key looks itself up again */
	if (state->begun && !state->by_value)
		pfree(DatumGetPointer(state->at_least.sk_argument));
	state->begun = state->ended = state->fetched = false;
	ExecScanReScan(&node->ss);
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(state->outer, node->ss.ps.chgParam);
	if (state->outer->chgParam == NULL)
		ExecReScan(state->outer);
}

static void
EndKeyJoin(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	if (BufferIsValid(state->visibility))
		ReleaseBuffer(state->visibility);
	if (state->scan != NULL)
		index_endscan(state->scan);
	index_close(state->index, NoLock);
	table_close(state->table, NoLock);
	ExecEndNode(state->outer);
}

static void
ExplainKeyJoin(CustomScanState *node, List *ancestors, ExplainState *es)
{
	KeyJoinState *state = (KeyJoinState *) node;
	static const char *const kinds[] = {
		[JOIN_INNER] = "Inner", [JOIN_LEFT] = "Left", [JOIN_ANTI] = "Anti"};

	ExplainPropertyText("Join Type", kinds[state->kind], es);
	ExplainPropertyText("Joined Table", RelationGetRelationName(state->table), es);
	ExplainPropertyText("Joined By", RelationGetRelationName(state->index), es);
}

static const CustomExecMethods KeyJoinExecMethods = {
	.CustomName = "KeyJoin",
	.BeginCustomScan = BeginKeyJoin,
	.ExecCustomScan = ExecKeyJoin,
	.EndCustomScan = EndKeyJoin,
	.ReScanCustomScan = ReScanKeyJoin,
	.ExplainCustomScan = ExplainKeyJoin,
};

static Node *
CreateKeyJoinState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(KeyJoinState), &KeyJoinExecMethods);
}

void
InitKeyJoin(void)
{
	DefineCustomBoolVariable("crm_profile.enable_key_join",
							 "Lets the planner join histories and customers by a scan of both in "
							 "the order of their keys "
							 "that leaves out what it does not need.",
							 "Off: such joins are merge joins.", &enable_key_join, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&KeyJoinScanMethods);
	previous_join_pathlist = set_join_pathlist_hook;
	set_join_pathlist_hook = AddKeyJoins;
}
