/*
 * key_join.c: the join of a source's histories with its customers, in the order of their keys.
 *
 * As in a merge join, both sides come in the order of the key.  But of the inner side only the rows
 * are read whose keys are wanted (key_lookup.c).  So each of several processes reads only its own
 * part of both sides, where a merge join has every process read the whole inner side, and it is
 * fast if few outer rows are left.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/row_stream.h"
#include "source/best_first.h"
#include "source/key_join.h"
#include "source/key_lookup.h"

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
	KeyTarget inner;
} KeyJoinPath;

static Node *CreateKeyJoinState(CustomScan *scan);
static const CustomScanMethods KeyJoinScanMethods = {"KeyJoin", CreateKeyJoinState};

static Plan *
PlanKeyJoin(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses,
			List *custom_plans)
{
	const KeyJoinPath *join = (const KeyJoinPath *) path;
	Plan *outer = linitial(custom_plans);
	CustomScan *scan = makeNode(CustomScan);
	int outer_key = PlaceOfColumn(outer->targetlist, join->inner.key);
	/* all that is wanted of the join: the targets may be put in later */
	List *inner = ColumnsOfTable(rel->reltarget->exprs, join->inner.found->relid);
	List *columns = NIL;
	ListCell *cell;

	if (outer_key < 0)
		elog(ERROR, "key of a join is not among the columns of its outer side");
	foreach (cell, outer->targetlist)
		columns = lappend(columns, makeTargetEntry(copyObject(lfirst_node(TargetEntry, cell)->expr),
												   list_length(columns) + 1, NULL, false));
	foreach (cell, inner)
		columns = lappend(columns, makeTargetEntry((Expr *) copyObject(lfirst(cell)),
												   list_length(columns) + 1, NULL, false));
	scan->scan.plan.targetlist = targets;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist = columns;
	scan->custom_private =
		list_make2(list_make2_int(join->kind, outer_key), PlanKeyLookup(&join->inner, inner));
	scan->methods = &KeyJoinScanMethods;
	return &scan->scan.plan;
}

static const CustomPathMethods KeyJoinPathMethods = {"KeyJoin", PlanKeyJoin, NULL};

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
	join->inner = like->inner;
	return join;
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
	Cost inner_cost;
	bool parallel;
	ListCell *cell;

	if (previous_join_pathlist)
		previous_join_pathlist(root, joinrel, outerrel, innerrel, jointype, extra);
	/* a row that was changed meanwhile would have to be checked again */
	if (!key_joins_offered || !enable_key_join || !KindOfJoin(jointype, &like.kind) ||
		root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL ||
		!bms_is_empty(joinrel->lateral_relids) || list_length(extra->restrictlist) != 1)
		return;
	clause = linitial_node(RestrictInfo, extra->restrictlist);
	if ((IS_OUTER_JOIN(jointype) && RINFO_IS_PUSHED_DOWN(clause, joinrel->relids)) ||
		!FindKeyTarget(root, clause, outerrel, innerrel, &like.inner))
		return;
	update_mergeclause_eclasses(root, clause);
	outer_class =
		bms_is_subset(clause->left_relids, outerrel->relids) ? clause->left_ec : clause->right_ec;
	inner_cost = CostInOrder(&like.inner);
	if (inner_cost < 0)
		return;
	foreach (cell, outerrel->pathlist)
		if (IsInOrder(lfirst(cell), outer_class, like.inner.index))
			add_path(joinrel,
					 (Path *) KeyJoinOver(joinrel, outerrel, lfirst(cell), &like, inner_cost));
	parallel = joinrel->consider_parallel && innerrel->consider_parallel;
	if (parallel)
		foreach (cell, outerrel->partial_pathlist)
			if (IsInOrder(lfirst(cell), outer_class, like.inner.index))
				add_partial_path(joinrel, (Path *) KeyJoinOver(joinrel, outerrel, lfirst(cell),
															   &like, inner_cost));
	if (jointype == JOIN_LEFT)
		AddBestFirst(root, joinrel, outerrel, clause, &like.inner);
}

/* ---------- execution ---------- */

typedef struct KeyJoinState
{
	CustomScanState css; /* must be first */
	PlanState *outer;
	JoinType kind;
	int outer_key; /* its column, from 0 */
	KeyLookup inner;
} KeyJoinState;

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
				FindKey(&state->inner, outer->tts_values[state->outer_key]);
		if (state->kind == JOIN_ANTI ? found : !found && state->kind == JOIN_INNER)
			continue;
		memcpy(slot->tts_values, outer->tts_values, n * sizeof(Datum));
		memcpy(slot->tts_isnull, outer->tts_isnull, n * sizeof(bool));
		PutColumns(&state->inner, found, slot->tts_values + n, slot->tts_isnull + n);
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

	state->outer = ExecInitNode(linitial(scan->custom_plans), estate, eflags);
	node->custom_ps = list_make1(state->outer);
	state->kind = (JoinType) linitial_int(numbers);
	state->outer_key = lsecond_int(numbers);
	BeginKeyLookup(&state->inner, lsecond(scan->custom_private), true, estate, eflags);
}

static void
ReScanKeyJoin(CustomScanState *node)
{
	KeyJoinState *state = (KeyJoinState *) node;

	RestartKeyLookup(&state->inner);
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

	EndKeyLookup(&state->inner);
	ExecEndNode(state->outer);
}

static void
ExplainKeyJoin(CustomScanState *node, List *ancestors, ExplainState *es)
{
	KeyJoinState *state = (KeyJoinState *) node;
	static const char *const kinds[] = {
		[JOIN_INNER] = "Inner", [JOIN_LEFT] = "Left", [JOIN_ANTI] = "Anti"};

	ExplainPropertyText("Join Type", kinds[state->kind], es);
	ExplainPropertyText("Joined Table", RelationGetRelationName(state->inner.table), es);
	ExplainPropertyText("Joined By", RelationGetRelationName(state->inner.index), es);
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
