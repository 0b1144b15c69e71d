/*
 * history_aggregate.c: GROUP BY customer with purchase_history_agg, by the bulk road.
 *
 * In plain SQL each row costs the executor a call of the transition function, and each group a
 * state of its own.  Where a query groups by one expression and has no other aggregate, the planner
 * is offered a node that takes the rows into the same partitions as collect_purchase_histories; so
 * that shards, foreign servers and everybody's own SQL have the bulk road, too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/row_stream.h"
#include "history/history_state.h"
#include "orders/history_aggregate.h"
#include "orders/order_query.h"

static bool enable_history_aggregate = true;
static create_upper_paths_hook_type previous_upper_paths_hook;

/* ---------- planning ---------- */

/* Whether it is purchase_history_agg, all rows of a group in any order. */
static bool
IsHistoryAggregate(const Aggref *aggregate)
{
	HeapTuple tuple;
	Form_pg_aggregate form;
	FmgrInfo transition;
	FmgrInfo final = {0};
	bool from_nothing;

	if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggsplit != AGGSPLIT_SIMPLE ||
		aggregate->agglevelsup > 0 || aggregate->aggdistinct != NIL || aggregate->aggorder != NIL ||
		aggregate->aggfilter != NULL)
		return false;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		return false;
	/* a user's own aggregate may begin with a history, or end with the state */
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	(void) SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &from_nothing);
	fmgr_info(form->aggtransfn, &transition);
	if (OidIsValid(form->aggfinalfn))
		fmgr_info(form->aggfinalfn, &final);
	ReleaseSysCache(tuple);
	if (!from_nothing || final.fn_addr != purchase_history_agg_finalfn)
		return false;
	return transition.fn_addr == purchase_history_agg_transfn_date ||
		   transition.fn_addr == purchase_history_agg_transfn_timestamp ||
		   transition.fn_addr == purchase_history_agg_transfn_timestamptz;
}

/* What a query must be made of: the expression that it groups by, and one aggregate. */
typedef struct Shape
{
	Node *key;
	Aggref *history; /* the first one found */
} Shape;

/* Whether an expression takes anything else from the rows. */
static bool
TakesMore(Node *node, Shape *shape)
{
	if (node == NULL || equal(node, shape->key))
		return false;
	if (IsA(node, Aggref))
	{
		if (shape->history == NULL && IsHistoryAggregate((Aggref *) node))
			shape->history = (Aggref *) node;
		return shape->history == NULL || !equal(node, shape->history);
	}
	/* grouping() is known to PostgreSQL's own nodes only */
	if (IsA(node, Var) || IsA(node, PlaceHolderVar) || IsA(node, WindowFunc) ||
		IsA(node, GroupingFunc))
		return true;
	return expression_tree_walker(node, TakesMore, shape);
}

/* Whether the query has that shape, and its keys are compared as the bulk road does. */
static bool
FindShape(PlannerInfo *root, const RelOptInfo *output, Shape *shape)
{
	Query *query = root->parse;
	SortGroupClause *clause;
	TypeCacheEntry *type;

	memset(shape, 0, sizeof(*shape));
	if (list_length(query->groupClause) != 1 || query->groupingSets != NIL || !query->hasAggs)
		return false;
	clause = linitial_node(SortGroupClause, query->groupClause);
	shape->key = get_sortgroupclause_expr(clause, root->processed_tlist);
	type = lookup_type_cache(exprType(shape->key), TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC);
	return clause->eqop == type->eq_opr && OidIsValid(type->hash_proc) &&
		   !TakesMore((Node *) output->reltarget->exprs, shape) &&
		   !TakesMore(query->havingQual, shape) && shape->history != NULL;
}

static Node *CreateHistoryAggregateState(CustomScan *scan);
static const CustomScanMethods HistoryAggregateMethods = {"HistoryAggregate",
														  CreateHistoryAggregateState};

static Plan *
PlanHistoryAggregate(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets,
					 List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);

	scan->scan.plan.targetlist = targets;
	scan->scan.plan.qual = (List *) copyObject(root->parse->havingQual);
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist =
		list_make2(makeTargetEntry(copyObject(linitial(path->custom_private)), 1, NULL, false),
				   makeTargetEntry(copyObject(lsecond(path->custom_private)), 2, NULL, false));
	scan->methods = &HistoryAggregateMethods;
	return &scan->scan.plan;
}

static const CustomPathMethods HistoryAggregatePathMethods = {"HistoryAggregate",
															  PlanHistoryAggregate, NULL};

/* The rows to be grouped: customer, day, amount and perhaps cost, in this order. */
static Path *
RowsToGroup(PlannerInfo *root, RelOptInfo *input, const Shape *shape)
{
	PathTarget *target = create_empty_pathtarget();
	ListCell *cell;

	add_column_to_pathtarget(target, (Expr *) shape->key, 0);
	foreach (cell, shape->history->args)
		add_column_to_pathtarget(target, lfirst_node(TargetEntry, cell)->expr, 0);
	set_pathtarget_cost_width(root, target);
	return (Path *) create_projection_path(root, input, input->cheapest_total_path, target);
}

/* Offers the bulk road beside the plans of PostgreSQL; a row costs it as much as a comparison. */
static void
OfferHistoryAggregate(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input,
					  RelOptInfo *output, void *extra)
{
	CustomPath *path;
	Path *rows;
	Shape shape;

	if (previous_upper_paths_hook)
		previous_upper_paths_hook(root, stage, input, output, extra);
	if (!enable_history_aggregate || stage != UPPERREL_GROUP_AGG || output->pathlist == NIL ||
		input->cheapest_total_path == NULL || !FindShape(root, output, &shape))
		return;
	rows = RowsToGroup(root, input, &shape);
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = output;
	path->path.pathtarget = output->reltarget;
	path->path.rows = ((Path *) linitial(output->pathlist))->rows;
	path->path.startup_cost = rows->total_cost + cpu_operator_cost * rows->rows;
	path->path.total_cost = path->path.startup_cost + output->reltarget->cost.startup +
							(cpu_tuple_cost + output->reltarget->cost.per_tuple) * path->path.rows;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(rows);
	path->custom_private = list_make2(shape.key, shape.history);
	path->methods = &HistoryAggregatePathMethods;
	add_path(output, &path->path);
}

/* ---------- execution ---------- */

/* Purchases of customers of one type of key. */
typedef struct Purchases
{
	OrderQuery *query; /* NULL: none */
	OrderRows rows;
	TupleTableSlot *slot; /* of the rows of nobody: with a key in place of NULL */
} Purchases;

typedef struct HistoryAggregateState
{
	CustomScanState css; /* must be first */
	MemoryContext context;
	Purchases known;
	Purchases nobody; /* whose key is NULL: one group */
	bool started;
	Size memory; /* what the purchases took when all had come */
	Size spilled;
} HistoryAggregateState;

/* Refuses a user without the right to run the aggregate, as PostgreSQL's own nodes do. */
static void
CheckRightToAggregate(const CustomScan *scan)
{
	Oid aggregate =
		castNode(Aggref, lsecond_node(TargetEntry, scan->custom_scan_tlist)->expr)->aggfnoid;
	AclResult right = FunctionAclCheck(aggregate, GetUserId());

	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_AGGREGATE, get_func_name(aggregate));
	InvokeFunctionExecuteHook(aggregate);
}

static void
BeginHistoryAggregate(CustomScanState *node, EState *estate, int eflags)
{
	HistoryAggregateState *state = (HistoryAggregateState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;

	CheckRightToAggregate(scan);
	node->custom_ps = list_make1(ExecInitNode(linitial(scan->custom_plans), estate, eflags));
	state->context =
		AllocSetContextCreate(estate->es_query_cxt, "HistoryAggregate", ALLOCSET_DEFAULT_SIZES);
}

/* Begins to take purchases whose keys are of that type. */
static TupleDesc
StartPurchases(Purchases *purchases, Oid key_type, Oid collation, TupleDesc input)
{
	static const char *const names[] = {"customer", "day", "amount", "cost"};
	TupleDesc columns = CreateTupleDescCopy(input);

	for (int i = 0; i < columns->natts; i++)
		namestrcpy(&TupleDescAttr(columns, i)->attname, names[i]);
	TupleDescInitEntry(columns, 1, names[0], key_type, -1, 0);
	TupleDescInitEntryCollation(columns, 1, collation);
	purchases->query = CreateOrderQuery("purchase_history_agg", key_type, PER_DAY);
	purchases->query->task.every_customer = true;
	InitOrderRows(&purchases->rows, &purchases->query->task, purchases->query->pool, NULL);
	purchases->rows.pub.rStartup(&purchases->rows.pub, CMD_SELECT, columns);
	return columns;
}

static void
FinishPurchases(HistoryAggregateState *state, Purchases *purchases)
{
	if (purchases->query == NULL)
		return;
	FinishOrderRows(&purchases->rows);
	purchases->query->orders = purchases->rows.orders;
	purchases->query->format = purchases->rows.format;
	state->memory += purchases->query->pool->used;
	state->spilled += purchases->query->pool->spilled;
}

/* Adds a row whose customer is NULL. */
static void
AddToNobody(Purchases *nobody, TupleTableSlot *row)
{
	if (nobody->query == NULL)
		nobody->slot = MakeSingleTupleTableSlot(
			StartPurchases(nobody, INT4OID, InvalidOid, row->tts_tupleDescriptor), &TTSOpsVirtual);
	ExecClearTuple(nobody->slot);
	for (int i = 0; i < row->tts_tupleDescriptor->natts; i++)
	{
		nobody->slot->tts_values[i] = i == 0 ? Int32GetDatum(0) : row->tts_values[i];
		nobody->slot->tts_isnull[i] = i > 0 && row->tts_isnull[i];
	}
	ExecStoreVirtualTuple(nobody->slot);
	nobody->rows.pub.receiveSlot(nobody->slot, &nobody->rows.pub);
}

/* Takes all rows. */
static void
TakeRows(HistoryAggregateState *state)
{
	PlanState *input = linitial(state->css.custom_ps);
	TupleDesc columns = ExecGetResultType(input);
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleTableSlot *row;

	if (OrderColumnType(columns, 2) == TIMESTAMPTZOID)
		RefuseForeignSession();
	StartPurchases(&state->known, TupleDescAttr(columns, 0)->atttypid,
				   TupleDescAttr(columns, 0)->attcollation, columns);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		/* what the plan below allocates has to outlive ours */
		MemoryContextSwitchTo(caller);
		row = ExecProcNode(input);
		if (TupIsNull(row))
			break;
		slot_getallattrs(row);
		MemoryContextSwitchTo(state->context);
		if (unlikely(row->tts_isnull[0]))
			AddToNobody(&state->nobody, row);
		else
			state->known.rows.pub.receiveSlot(row, &state->known.rows.pub);
	}
	MemoryContextSwitchTo(state->context);
	state->memory = state->spilled = 0;
	FinishPurchases(state, &state->known);
	FinishPurchases(state, &state->nobody);
	state->started = true;
	MemoryContextSwitchTo(caller);
}

/* The history of the next customer; without a purchase NULL, as that of the aggregate. */
static bool
NextHistoryOf(Purchases *purchases, TupleTableSlot *slot)
{
	PurchaseHistory *history;

	if (purchases->query == NULL ||
		!NextCustomerHistory(purchases->query, &slot->tts_values[0], &history))
		return false;
	slot->tts_isnull[0] = purchases->slot != NULL;
	slot->tts_values[1] = PointerGetDatum(history);
	slot->tts_isnull[1] = history == NULL;
	return true;
}

static TupleTableSlot *
NextGroup(ScanState *node)
{
	HistoryAggregateState *state = (HistoryAggregateState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	MemoryContext caller;
	bool more;

	if (!state->started)
		TakeRows(state);
	ExecClearTuple(slot);
	caller = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
	more = NextHistoryOf(&state->known, slot) || NextHistoryOf(&state->nobody, slot);
	MemoryContextSwitchTo(caller);
	return more ? ExecStoreVirtualTuple(slot) : slot;
}

/* Groups are not locked, so they are never rechecked. */
static bool
RecheckGroup(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
ExecHistoryAggregate(CustomScanState *node)
{
	return ExecScan(&node->ss, NextGroup, RecheckGroup);
}

static void
ForgetPurchases(HistoryAggregateState *state)
{
	if (state->known.query != NULL)
		EndOrderQuery(state->known.query);
	if (state->nobody.query != NULL)
		EndOrderQuery(state->nobody.query);
	if (state->nobody.slot != NULL)
		ExecDropSingleTupleTableSlot(state->nobody.slot);
	memset(&state->known, 0, sizeof(Purchases));
	memset(&state->nobody, 0, sizeof(Purchases));
	state->started = false;
	MemoryContextReset(state->context);
}

static void
EndHistoryAggregate(CustomScanState *node)
{
	ForgetPurchases((HistoryAggregateState *) node);
	ExecEndNode(linitial(node->custom_ps));
}

static void
ReScanHistoryAggregate(CustomScanState *node)
{
	PlanState *input = linitial(node->custom_ps);

	ForgetPurchases((HistoryAggregateState *) node);
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(input, node->ss.ps.chgParam);
	if (input->chgParam == NULL)
		ExecReScan(input);
	ExecScanReScan(&node->ss);
}

static void
ExplainHistoryAggregate(CustomScanState *node, List *ancestors, ExplainState *es)
{
	HistoryAggregateState *state = (HistoryAggregateState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	TargetEntry *key = linitial_node(TargetEntry, scan->custom_scan_tlist);

	ExplainPropertyText(
		"Group Key",
		deparse_expression((Node *) key->expr, context, list_length(es->rtable) > 1, false), es);
	if (!es->analyze || !state->started)
		return;
	ExplainMemory(state->memory, state->spilled, es);
}

static const CustomExecMethods HistoryAggregateExecMethods = {
	.CustomName = "HistoryAggregate",
	.BeginCustomScan = BeginHistoryAggregate,
	.ExecCustomScan = ExecHistoryAggregate,
	.EndCustomScan = EndHistoryAggregate,
	.ReScanCustomScan = ReScanHistoryAggregate,
	.ExplainCustomScan = ExplainHistoryAggregate,
};

static Node *
CreateHistoryAggregateState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(HistoryAggregateState), &HistoryAggregateExecMethods);
}

void
InitHistoryAggregate(void)
{
	DefineCustomBoolVariable("crm_profile.enable_history_aggregate",
							 "Lets the planner answer GROUP BY with purchase_history_agg by the "
							 "road of collect_purchase_histories.",
							 NULL, &enable_history_aggregate, true, PGC_USERSET, GUC_EXPLAIN, NULL,
							 NULL, NULL);
	RegisterCustomScanMethods(&HistoryAggregateMethods);
	previous_upper_paths_hook = create_upper_paths_hook;
	create_upper_paths_hook = OfferHistoryAggregate;
}
