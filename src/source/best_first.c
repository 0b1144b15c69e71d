/*
 * best_first.c: the join of customers and histories where only the first rows of a sorted result
 * are wanted.
 *
 * What such a query sorts by is mostly computed from the history alone, as in "the ten customers of
 * the highest predicted value".  Then histories are read first, and the values of the best so far
 * are kept: a history goes on to the join with its customer only if it may be among them. Customers
 * without a history come last, so they are read only if too few were found.
 *
 * The rows are not sorted, and there are more than are wanted: a Sort above chooses among them.
 */
#include "postgres.h"

#include <math.h>

#include "executor/executor.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "port/atomics.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/row_stream.h"
#include "source/best_first.h"

/* The most rows that may be wanted: their values are kept in a heap. */
#define MAX_WANTED 10000

/* ---------- planning ---------- */

typedef struct BestFirstPath
{
	CustomPath path; /* must be first */
	int wanted;      /* rows */
	Expr *value;     /* what they are sorted by */
	Oid operator;    /* by which they are */
	Oid collation;
	KeyTarget customers; /* by the key of a history */
	KeyTarget histories; /* by the key of a customer */
} BestFirstPath;

static Node *CreateBestFirstState(CustomScan *scan);
static const CustomScanMethods BestFirstScanMethods = {"BestFirst", CreateBestFirstState};

/* The rows that a query wants, if that is fixed; 0: it is not, or they are too many. */
static int
RowsWanted(PlannerInfo *root)
{
	const Query *parse = root->parse;
	const Const *count = (const Const *) parse->limitCount;
	const Const *offset = (const Const *) parse->limitOffset;

	/* the planner estimates some limits, and sets none where rows are grouped before */
	if (root->limit_tuples < 1 || root->limit_tuples > MAX_WANTED ||
		parse->limitOption != LIMIT_OPTION_COUNT || count == NULL || !IsA(count, Const) ||
		count->constisnull || (offset != NULL && (!IsA(offset, Const) || offset->constisnull)))
		return 0;
	return (int) root->limit_tuples;
}

/* The only value of a relation that has one row whatever else there is; NULL: it is no such. */
static Expr *
OnlyValue(PlannerInfo *root, Index relid)
{
	const RelOptInfo *rel = root->simple_rel_array[relid];
	const RangeTblEntry *rte = root->simple_rte_array[relid];
	const FuncExpr *call;
	Expr *array;
	const Const *constant;
	Oid type;
	int16 length;
	bool by_value;
	char align;
	Datum *values;
	bool *nulls;
	int n;

	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality || list_length(rte->functions) != 1 ||
		rel->baserestrictinfo != NIL || rel->joininfo != NIL || rel->has_eclass_joins ||
		!bms_is_empty(rel->lateral_relids))
		return NULL;
	call = (const FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	/* it is computed here, and again where it is joined */
	if (!IsA(call, FuncExpr) || call->funcid != F_UNNEST_ANYARRAY ||
		contain_volatile_functions((Node *) call))
		return NULL;
	array = linitial(call->args);
	if (IsA(array, ArrayExpr))
	{
		const ArrayExpr *elements = (const ArrayExpr *) array;

		return elements->multidims || list_length(elements->elements) != 1
				   ? NULL
				   : linitial(elements->elements);
	}
	constant = (const Const *) array;
	if (!IsA(constant, Const) || constant->constisnull)
		return NULL;
	type = get_element_type(constant->consttype);
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(DatumGetArrayTypeP(constant->constvalue), type, length, by_value, align,
					  &values, &nulls, &n);
	return n != 1 ? NULL
				  : (Expr *) makeConst(type, -1, get_typcollation(type), length, values[0],
									   nulls[0], by_value);
}

/* Whether nothing else is joined but relations of one row. */
static bool
RestHasOneRow(PlannerInfo *root, const RelOptInfo *joinrel)
{
	int relid = -1;

	if (list_length(root->join_info_list) != 1)
		return false;
	while ((relid = bms_next_member(root->all_baserels, relid)) >= 0)
		if (!bms_is_member(relid, joinrel->relids) && OnlyValue(root, relid) == NULL)
			return false;
	return true;
}

/*
 * Whether an expression is computed from a history, and from what is the same for all, and is NULL
 * without one.
 */
static bool
IsOfHistory(Expr *value, const RelOptInfo *customers, const RelOptInfo *histories)
{
	bool reads = false;
	ListCell *cell;

	if (contain_subplans((Node *) value) || contain_volatile_functions((Node *) value) ||
		contain_nonstrict_functions((Node *) value))
		return false;
	foreach (cell, pull_var_clause((Node *) value, PVC_INCLUDE_PLACEHOLDERS))
	{
		const Var *var = lfirst(cell);

		bool of_history = IsA(var, Var) && bms_is_member(var->varno, histories->relids);

		if (!IsA(var, Var) || var->varattno <= 0 || bms_is_member(var->varno, customers->relids) ||
			(!of_history && !get_typbyval(var->vartype)))
			return false;
		reads |= of_history;
	}
	return reads;
}

/* Sets by what the rows are sorted first; false if it is not computed from histories. */
static bool
SetOrder(PlannerInfo *root, const RelOptInfo *customers, BestFirstPath *best)
{
	const PathKey *first = linitial(root->sort_pathkeys);
	const EquivalenceClass *class = first->pk_eclass;
	ListCell *cell;

	if (first->pk_nulls_first || class->ec_has_volatile)
		return false;
	foreach (cell, class->ec_members)
	{
		const EquivalenceMember *member = lfirst(cell);

		if (member->em_is_child || member->em_is_const ||
			!IsOfHistory(member->em_expr, customers, best->histories.found))
			continue;
		best->value = member->em_expr;
		best->operator= SortOperator(first, member->em_datatype);
		best->collation = class->ec_collation;
		return OidIsValid(best->operator);
	}
	return false;
}

/* The columns of other relations than these two. */
static List *
OtherColumns(Expr *value, const RelOptInfo *joinrel)
{
	List *columns = NIL;
	ListCell *cell;

	foreach (cell, pull_var_clause((Node *) value, 0))
	{
		Var *var = lfirst_node(Var, cell);

		if (!bms_is_member(var->varno, joinrel->relids))
			columns = list_append_unique(columns, var);
	}
	return columns;
}

static List *
AppendColumns(List *targets, List *columns)
{
	ListCell *cell;

	foreach (cell, columns)
		targets = lappend(targets, makeTargetEntry((Expr *) copyObject(lfirst(cell)),
												   list_length(targets) + 1, NULL, false));
	return targets;
}

/* The places of columns among targets. */
static List *
PlacesOfColumns(List *targets, List *columns)
{
	List *places = NIL;
	ListCell *cell;

	foreach (cell, columns)
	{
		int place = PlaceOfColumn(targets, lfirst_node(Var, cell));

		if (place < 0)
			elog(ERROR, "column of a join is not among those of its sides");
		places = lappend_int(places, place);
	}
	return places;
}

/*
 * The columns of its rows are those of the history, of the customer, and of other relations, whose
 * only values are computed here.
 */
static Plan *
PlanBestFirst(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses,
			  List *custom_plans)
{
	const BestFirstPath *best = (const BestFirstPath *) path;
	List *history_targets = ((Plan *) linitial(custom_plans))->targetlist;
	List *customer_targets = ((Plan *) lsecond(custom_plans))->targetlist;
	List *wanted = lappend(list_copy(rel->reltarget->exprs), best->value);
	List *of_history = ColumnsOfTable(wanted, best->histories.found->relid);
	List *of_customer = ColumnsOfTable(wanted, best->customers.found->relid);
	List *others = OtherColumns(best->value, rel);
	CustomScan *scan = makeNode(CustomScan);
	ListCell *cell;

	scan->scan.plan.targetlist = targets;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist =
		AppendColumns(AppendColumns(AppendColumns(NIL, of_history), of_customer), others);
	scan->custom_exprs = list_make1(copyObject(best->value));
	foreach (cell, others)
		scan->custom_exprs =
			lappend(scan->custom_exprs, copyObject(OnlyValue(root, lfirst_node(Var, cell)->varno)));
	scan->custom_private = list_make5(
		list_make3_int(best->wanted,
					   linitial_int(PlacesOfColumns(history_targets,
													list_make1((void *) best->customers.key))),
					   linitial_int(PlacesOfColumns(customer_targets,
													list_make1((void *) best->histories.key)))),
		list_make2(PlacesOfColumns(history_targets, of_history),
				   PlacesOfColumns(customer_targets, of_customer)),
		list_make2_oid(best->operator, best->collation),
		PlanKeyLookup(&best->customers, of_customer), PlanKeyLookup(&best->histories, NIL));
	scan->methods = &BestFirstScanMethods;
	return &scan->scan.plan;
}

static const CustomPathMethods BestFirstPathMethods = {"BestFirst", PlanBestFirst, NULL};

/* Of so many rows in random order, those that are among the best when they come. */
static double
RowsOnTheWay(double wanted, double rows)
{
	return rows <= wanted ? rows : wanted * (1 + log(rows / wanted));
}

static Path *
BestFirstOver(RelOptInfo *joinrel, Path *histories, Path *customers, const BestFirstPath *like)
{
	BestFirstPath *best = (BestFirstPath *) newNode(sizeof(BestFirstPath), T_CustomPath);
	Path *path = &best->path.path;

	*best = *like;
	path->type = T_CustomPath;
	path->pathtype = T_CustomScan;
	path->parent = joinrel;
	path->pathtarget = joinrel->reltarget;
	path->parallel_aware = histories->parallel_workers > 0;
	path->parallel_safe =
		joinrel->consider_parallel && histories->parallel_safe && customers->parallel_safe;
	path->parallel_workers = histories->parallel_workers;
	path->rows = clamp_row_est(RowsOnTheWay(like->wanted, histories->rows));
	TakeDisabledNodes(path, histories);
	/* the cost of the value is left out, as it is in other paths until their targets are put in */
	path->startup_cost = histories->startup_cost;
	path->total_cost = histories->total_cost + joinrel->reltarget->cost.per_tuple * path->rows;
	best->path.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	best->path.custom_paths = list_make2(histories, customers);
	best->path.methods = &BestFirstPathMethods;
	return path;
}

/* Customers in the order of their keys, in which histories lie together, if there is such a path.
 */
static Path *
CustomersPath(List *paths, Path *cheapest, const EquivalenceClass *key, const IndexOptInfo *index)
{
	ListCell *cell;

	foreach (cell, paths)
		if (IsInOrder(lfirst(cell), key, index))
			return lfirst(cell);
	return cheapest;
}

void
AddBestFirst(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *customers,
			 const RestrictInfo *clause, const KeyTarget *histories)
{
	const RelOptInfo *history_rel = histories->found;
	const EquivalenceClass *key =
		bms_is_subset(clause->left_relids, customers->relids) ? clause->left_ec : clause->right_ec;
	BestFirstPath like = {.wanted = RowsWanted(root), .histories = *histories};

	if (like.wanted == 0 || root->sort_pathkeys == NIL || !RestHasOneRow(root, joinrel) ||
		!FindKeyTarget(root, clause, history_rel, customers, &like.customers) ||
		!SetOrder(root, customers, &like))
		return;
	add_path(joinrel,
			 BestFirstOver(joinrel, history_rel->cheapest_total_path,
						   CustomersPath(customers->pathlist, customers->cheapest_total_path, key,
										 histories->index),
						   &like));
	if (joinrel->consider_parallel && history_rel->partial_pathlist != NIL &&
		customers->partial_pathlist != NIL && is_parallel_safe(root, (Node *) like.value))
		add_partial_path(joinrel, BestFirstOver(joinrel, linitial(history_rel->partial_pathlist),
												CustomersPath(customers->partial_pathlist,
															  linitial(customers->partial_pathlist),
															  key, histories->index),
												&like));
}

/* ---------- execution ---------- */

/* How many rows with a value all processes have found, each counting up to those wanted. */
typedef struct SharedCount
{
	pg_atomic_uint64 found;
} SharedCount;

typedef struct BestFirstState
{
	CustomScanState css; /* must be first */
	PlanState *histories;
	PlanState *customers;
	int history_key; /* its column, from 0 */
	int customer_key;
	int nhistory;        /* columns of the history among those of the row */
	int *history_places; /* where they are in a row of the histories */
	int ncustomer;
	int *customer_places;
	ExprState *value;
	List *others; /* values of the columns that follow */
	KeyLookup customer;
	KeyLookup history;
	SortSupportData order;
	bool by_value;
	int16 length;
	MemoryContext context; /* of the values kept */
	int wanted;
	binaryheap *best;    /* their values, the last of them on top */
	bool others_known;   /* the values of other columns are set */
	bool joined;         /* all histories have been read */
	SharedCount *shared; /* NULL: there are no other processes */
} BestFirstState;

static int
CompareValues(Datum a, Datum b, void *order)
{
	return ApplySortComparator(a, false, b, false, order);
}

static inline bool
IsFull(const BestFirstState *state)
{
	return state->best->bh_size == state->wanted;
}

/* Whether rows without a value are too many, here and in other processes. */
static inline bool
EnoughFound(const BestFirstState *state)
{
	return IsFull(state) || (state->shared != NULL &&
							 pg_atomic_read_u64(&state->shared->found) >= (uint64) state->wanted);
}

/* Whether a row of that value may be among those wanted; of equal ones others decide. */
static inline bool
MayBeWanted(BestFirstState *state, Datum value, bool null)
{
	if (!IsFull(state))
		return true;
	return !null && ApplySortComparator(value, false, binaryheap_first(state->best), false,
										&state->order) <= 0;
}

/* Keeps the value of a row. */
static void
KeepValue(BestFirstState *state, Datum value)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	Datum last = (Datum) 0;

	value = datumCopy(value, state->by_value, state->length);
	if (!IsFull(state))
	{
		binaryheap_add(state->best, value);
		if (state->shared != NULL)
			pg_atomic_fetch_add_u64(&state->shared->found, 1);
	}
	else
	{
		last = binaryheap_first(state->best);
		binaryheap_replace_first(state->best, value);
		if (!state->by_value)
			pfree(DatumGetPointer(last));
	}
	MemoryContextSwitchTo(caller);
}

/* Puts columns of a row of one side in their places. */
static inline void
TakeColumns(TupleTableSlot *from, const int *places, int n, Datum *values, bool *nulls)
{
	slot_getallattrs(from);
	for (int i = 0; i < n; i++)
	{
		values[i] = from->tts_values[places[i]];
		nulls[i] = from->tts_isnull[places[i]];
	}
}

/* Puts the only values of other relations behind the columns of both sides. */
static void
SetOthers(BestFirstState *state, TupleTableSlot *slot)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_query_memory);
	int place = state->nhistory + state->ncustomer;
	ListCell *cell;

	foreach (cell, state->others)
	{
		slot->tts_values[place] =
			ExecEvalExpr((ExprState *) lfirst(cell), econtext, &slot->tts_isnull[place]);
		place++;
	}
	MemoryContextSwitchTo(caller);
	state->others_known = true;
}

/* The next history that may be wanted, with its customer; false if there is none. */
static bool
NextHistory(BestFirstState *state, TupleTableSlot *slot)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	Datum *values = slot->tts_values;
	bool *nulls = slot->tts_isnull;

	for (;;)
	{
		TupleTableSlot *history = ExecProcNode(state->histories);
		Datum value;
		bool null;

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(history))
			return false;
		ResetExprContext(econtext);
		TakeColumns(history, state->history_places, state->nhistory, values, nulls);
		econtext->ecxt_scantuple = slot;
		value = ExecEvalExprSwitchContext(state->value, econtext, &null);
		if (!MayBeWanted(state, value, null) || history->tts_isnull[state->history_key] ||
			!FindKey(&state->customer, history->tts_values[state->history_key]))
			continue;
		PutColumns(&state->customer, true, values + state->nhistory, nulls + state->nhistory);
		if (!null)
			KeepValue(state, value);
		return true;
	}
}

/* The next customer without a history; false if there is none, or enough others were found. */
static bool
NextWithoutHistory(BestFirstState *state, TupleTableSlot *slot)
{
	while (!EnoughFound(state))
	{
		TupleTableSlot *customer = ExecProcNode(state->customers);

		CHECK_FOR_INTERRUPTS();
		if (TupIsNull(customer))
			return false;
		slot_getallattrs(customer);
		if (!customer->tts_isnull[state->customer_key] &&
			FindKey(&state->history, customer->tts_values[state->customer_key]))
			continue;
		memset(slot->tts_isnull, true, state->nhistory * sizeof(bool));
		TakeColumns(customer, state->customer_places, state->ncustomer,
					slot->tts_values + state->nhistory, slot->tts_isnull + state->nhistory);
		return true;
	}
	return false;
}

static TupleTableSlot *
NextBestRow(ScanState *node)
{
	BestFirstState *state = (BestFirstState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;

	ExecClearTuple(slot);
	if (!state->others_known)
		SetOthers(state, slot);
	/* a virtual row from here on: the value is computed from it */
	ExecStoreVirtualTuple(slot);
	if (!state->joined)
	{
		if (NextHistory(state, slot))
			return slot;
		state->joined = true;
	}
	return NextWithoutHistory(state, slot) ? slot : ExecClearTuple(slot);
}

/* No rows are locked, so none are checked again. */
static bool
RecheckBestRow(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
ExecBestFirst(CustomScanState *node)
{
	return ExecScan(&node->ss, NextBestRow, RecheckBestRow);
}

static int *
PlacesInArray(const List *places, int *n)
{
	int *array = palloc(list_length(places) * sizeof(int));
	ListCell *cell;

	*n = 0;
	foreach (cell, places)
		array[(*n)++] = lfirst_int(cell);
	return array;
}

static void
BeginBestFirst(CustomScanState *node, EState *estate, int eflags)
{
	BestFirstState *state = (BestFirstState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	const List *numbers = linitial(scan->custom_private);
	const List *places = lsecond(scan->custom_private);
	const List *order = lthird(scan->custom_private);
	Node *value = linitial(scan->custom_exprs);

	state->histories = ExecInitNode(linitial(scan->custom_plans), estate, eflags);
	state->customers = ExecInitNode(lsecond(scan->custom_plans), estate, eflags);
	node->custom_ps = list_make2(state->histories, state->customers);
	state->wanted = linitial_int(numbers);
	state->history_key = lsecond_int(numbers);
	state->customer_key = lthird_int(numbers);
	state->history_places = PlacesInArray(linitial((List *) places), &state->nhistory);
	state->customer_places = PlacesInArray(lsecond((List *) places), &state->ncustomer);
	state->value = ExecInitExpr((Expr *) value, &node->ss.ps);
	state->others = ExecInitExprList(list_copy_tail(scan->custom_exprs, 1), &node->ss.ps);
	state->context = AllocSetContextCreate(estate->es_query_cxt, "BestFirst", ALLOCSET_SMALL_SIZES);
	state->order.ssup_cxt = estate->es_query_cxt;
	state->order.ssup_collation = lsecond_oid(order);
	PrepareSortSupportFromOrderingOp(linitial_oid(order), &state->order);
	get_typlenbyval(exprType(value), &state->length, &state->by_value);
	state->best = binaryheap_allocate(state->wanted, CompareValues, &state->order);
	/* both may come in any order */
	BeginKeyLookup(&state->customer, lfourth(scan->custom_private), false, estate, eflags);
	BeginKeyLookup(&state->history, list_nth(scan->custom_private, 4), false, estate, eflags);
}

static void
ReScanSide(PlanState *side, const Bitmapset *changed)
{
	if (changed != NULL)
		UpdateChangedParamSet(side, (Bitmapset *) changed);
	if (side->chgParam == NULL)
		ExecReScan(side);
}

static void
ReScanBestFirst(CustomScanState *node)
{
	BestFirstState *state = (BestFirstState *) node;

	RestartKeyLookup(&state->customer);
	RestartKeyLookup(&state->history);
	binaryheap_reset(state->best);
	MemoryContextReset(state->context);
	state->others_known = state->joined = false;
	ExecScanReScan(&node->ss);
	ReScanSide(state->histories, node->ss.ps.chgParam);
	ReScanSide(state->customers, node->ss.ps.chgParam);
}

static void
EndBestFirst(CustomScanState *node)
{
	BestFirstState *state = (BestFirstState *) node;

	EndKeyLookup(&state->customer);
	EndKeyLookup(&state->history);
	ExecEndNode(state->histories);
	ExecEndNode(state->customers);
}

static Size
EstimateSharedCount(CustomScanState *node, ParallelContext *context)
{
	return sizeof(SharedCount);
}

static void
ShareCount(CustomScanState *node, ParallelContext *context, void *memory)
{
	((BestFirstState *) node)->shared = memory;
	pg_atomic_init_u64(&((SharedCount *) memory)->found, 0);
}

static void
ResetSharedCount(CustomScanState *node, ParallelContext *context, void *memory)
{
	pg_atomic_write_u64(&((SharedCount *) memory)->found, 0);
}

static void
TakeSharedCount(CustomScanState *node, shm_toc *toc, void *memory)
{
	((BestFirstState *) node)->shared = memory;
}

static void
ExplainBestFirst(CustomScanState *node, List *ancestors, ExplainState *es)
{
	BestFirstState *state = (BestFirstState *) node;

	ExplainPropertyInteger("Rows Wanted", NULL, state->wanted, es);
	ExplainPropertyText("Joined Table", RelationGetRelationName(state->customer.table), es);
	ExplainPropertyText("Joined By", RelationGetRelationName(state->customer.index), es);
}

static const CustomExecMethods BestFirstExecMethods = {
	.CustomName = "BestFirst",
	.BeginCustomScan = BeginBestFirst,
	.ExecCustomScan = ExecBestFirst,
	.EndCustomScan = EndBestFirst,
	.ReScanCustomScan = ReScanBestFirst,
	.EstimateDSMCustomScan = EstimateSharedCount,
	.InitializeDSMCustomScan = ShareCount,
	.ReInitializeDSMCustomScan = ResetSharedCount,
	.InitializeWorkerCustomScan = TakeSharedCount,
	.ExplainCustomScan = ExplainBestFirst,
};

static Node *
CreateBestFirstState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(BestFirstState), &BestFirstExecMethods);
}

void
InitBestFirst(void)
{
	RegisterCustomScanMethods(&BestFirstScanMethods);
}
