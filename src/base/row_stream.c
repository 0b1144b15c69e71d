/*
 * row_stream.c: set-returning functions that return their rows one at a time.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/caller_query.h"
#include "base/row_stream.h"

/*
 * A tuplestore this small soon spills to a temporary file, where rows are packed; in memory each
 * would take a chunk of its own, from pages that the kernel has to clear first.
 */
#define TUPLESTORE_KILOBYTES 1024

/* The functions that registered themselves. */
#define MAX_ROW_STREAMS 8

static struct
{
	PGFunction function;
	RowStreamStart start;
	RowStreamNarrow narrow; /* NULL: returns all rows and columns whatever is asked */
	RowStreamUnique unique; /* NULL: only the first column of groups */
	RowStreamQuery query;
} row_streams[MAX_ROW_STREAMS];
static int nrow_streams = 0;

/* The columns that a scan of them reads; without a scan, all. */
static const bool *
WantedColumns(TupleDesc columns, const Scan *scan)
{
	bool *wanted = palloc(columns->natts * sizeof(bool));
	Bitmapset *read = NULL;

	if (scan != NULL)
	{
		pull_varattnos((Node *) scan->plan.targetlist, INDEX_VAR, &read);
		pull_varattnos((Node *) scan->plan.qual, INDEX_VAR, &read);
	}
	for (int i = 0; i < columns->natts; i++)
		wanted[i] = scan == NULL || bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, read);
	bms_free(read);
	return wanted;
}

/* ---------- rows into a tuplestore ---------- */

static Tuplestorestate *
BeginTuplestore(bool random_access)
{
	return tuplestore_begin_heap(random_access, false, Min(work_mem, TUPLESTORE_KILOBYTES));
}

/* Writes all rows to a tuplestore. */
static void
StoreRows(RowStream *rows, Tuplestorestate *store, TupleDesc columns)
{
	MemoryContext row_context =
		AllocSetContextCreate(CurrentMemoryContext, "bulk row", ALLOCSET_DEFAULT_SIZES);
	Datum *values = palloc(columns->natts * sizeof(Datum));
	bool *nulls = palloc(columns->natts * sizeof(bool));
	MemoryContext caller = MemoryContextSwitchTo(row_context);

	while (rows->next(rows->state, values, nulls))
	{
		tuplestore_putvalues(store, columns, values, nulls);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	rows->end(rows->state);
}

Datum
ReturnRowStream(FunctionCallInfo fcinfo, RowStreamStart start)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;
	RowStream rows;

	InitMaterializedSRF(fcinfo, 0);
	tuplestore_end(result->setResult);
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->setResult = BeginTuplestore((result->allowedModes & SFRM_Materialize_Random) != 0);
	MemoryContextSwitchTo(caller);

	rows.columns = result->setDesc;
	rows.wanted = WantedColumns(rows.columns, NULL);
	start(fcinfo, &rows);
	StoreRows(&rows, result->setResult, result->setDesc);
	return (Datum) 0;
}

/* ---------- planning ---------- */

Node *
NewCustomScanState(Size size, const CustomExecMethods *methods)
{
	CustomScanState *state = palloc0(size);

	NodeSetTag(state, T_CustomScanState);
	state->methods = methods;
	return (Node *) state;
}

static bool enable_row_stream = true;
static set_rel_pathlist_hook_type previous_pathlist_hook;
static get_relation_stats_hook_type previous_stats_hook;

/*
 * Marks functions that return their rows one at a time.  As a planner support function it is called
 * before paths are made, so the library is loaded and its hooks are set by then; the transition
 * functions of purchase_history_agg have it for that alone.
 */
PG_FUNCTION_INFO_V1(row_stream_support);
Datum
row_stream_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}

/* The number of the registered function; -1 if it is not one of ours, or was redefined. */
static int
RowStreamNumber(Oid function)
{
	Oid support = get_func_support(function);
	FmgrInfo info;

	if (!OidIsValid(support))
		return -1;
	fmgr_info(support, &info);
	if (info.fn_addr != row_stream_support)
		return -1;
	fmgr_info(function, &info);
	for (int i = 0; i < nrow_streams; i++)
		if (info.fn_addr == row_streams[i].function)
			return i;
	return -1;
}

/* What the query takes of a relation: its columns, offset as pull_varattnos() has them. */
static Bitmapset *
ColumnsTaken(RelOptInfo *rel)
{
	Bitmapset *columns = NULL;
	ListCell *cell;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	foreach (cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &columns);
	return columns;
}

/* Whether a query takes the rows of a relation as composite values. */
static bool
NeedsWholeRow(RelOptInfo *rel)
{
	return bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, ColumnsTaken(rel));
}

/*
 * The call behind a relation of the query; NULL if a row stream cannot replace
 * it.
 */
static FuncExpr *
StreamedCall(RelOptInfo *rel, RangeTblEntry *rte)
{
	RangeTblFunction *function;

	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality || list_length(rte->functions) != 1 ||
		!bms_is_empty(rel->lateral_relids))
		return NULL;
	function = linitial_node(RangeTblFunction, rte->functions);
	if (!IsA(function->funcexpr, FuncExpr) || function->funccolnames != NIL ||
		RowStreamNumber(((FuncExpr *) function->funcexpr)->funcid) < 0 || NeedsWholeRow(rel))
		return NULL;
	return (FuncExpr *) function->funcexpr;
}

static Node *CreateRowStreamScanState(CustomScan *scan);
static const CustomScanMethods RowStreamScanMethods = {"RowStreamScan", CreateRowStreamScanState};

/* The columns of the call as the scan returns them. */
static List *
RowStreamScanColumns(FuncExpr *call, Index relid)
{
	TupleDesc columns = get_expr_result_tupdesc((Node *) call, false);
	List *targets = NIL;

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);
		Expr *value;

		/* as PostgreSQL has it, a dropped column is NULL of some type */
		if (column->attisdropped)
			value = (Expr *) makeNullConst(INT4OID, -1, InvalidOid);
		else
			value = (Expr *) makeVar(relid, i + 1, column->atttypid, column->atttypmod,
									 column->attcollation, 0);
		targets = lappend(targets,
						  makeTargetEntry(value, i + 1, pstrdup(NameStr(column->attname)), false));
	}
	return targets;
}

static Plan *
PlanRowStreamScan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets,
				  List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	FuncExpr *call = copyObject(StreamedCall(rel, planner_rt_fetch(rel->relid, root)));
	RowStreamNarrow narrow = row_streams[RowStreamNumber(call->funcid)].narrow;

	scan->scan.plan.targetlist = targets;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	if (narrow != NULL)
		narrow(call, rel->relid, ColumnsTaken(rel), scan->scan.plan.qual);
	scan->custom_exprs = list_make1(call);
	scan->custom_scan_tlist = RowStreamScanColumns(call, rel->relid);
	scan->methods = &RowStreamScanMethods;
	return &scan->scan.plan;
}

static const CustomPathMethods RowStreamPathMethods = {"RowStreamScan", PlanRowStreamScan, NULL};

/*
 * What the planner expects of the query whose rows the function groups, in place of a number that
 * is the same for all queries.
 */
static void
EstimateRows(RelOptInfo *rel, const FuncExpr *call)
{
	const Const *query = list_length(call->args) > 1 ? lsecond(call->args) : NULL;
	ListCell *cell;
	double groups;
	double factor;
	Cost cost;

	if (row_streams[RowStreamNumber(call->funcid)].query != EXPLAINS_QUERY || query == NULL ||
		!IsA(query, Const) || query->constisnull || rel->tuples <= 0 ||
		!EstimateGroups(TextDatumGetCString(query->constvalue), &groups, &cost))
		return;
	factor = groups / rel->tuples;
	rel->tuples = groups;
	rel->rows = clamp_row_est(rel->rows * factor);
	foreach (cell, rel->pathlist)
	{
		Path *path = lfirst(cell);

		path->total_cost = cost + (path->total_cost - path->startup_cost) * factor;
		path->startup_cost = cost;
		path->rows = rel->rows;
	}
}

/*
 * Tells the planner which columns are keys.  It has no statistics of what functions return, and
 * would expect two hundred values: a join of two streams, by keys, would seem to be enormous.
 */
static bool
TellUniqueColumn(PlannerInfo *root, RangeTblEntry *rte, AttrNumber column,
				 VariableStatData *variable)
{
	const FuncExpr *call;
	int stream;

	if (previous_stats_hook && previous_stats_hook(root, rte, column, variable))
		return true;
	if (rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1)
		return false;
	call = (const FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	stream = IsA(call, FuncExpr) ? RowStreamNumber(call->funcid) : -1;
	if (stream < 0 || (row_streams[stream].unique != NULL
						   ? !row_streams[stream].unique(call, column)
						   : row_streams[stream].query != EXPLAINS_QUERY || column != 1))
		return false;
	variable->isunique = true;
	return true;
}

/* Offers a row stream besides the function scan, cheaper by the cost of the tuplestore. */
static void
AddRowStreamScanPath(PlannerInfo *root, RelOptInfo *rel, Index relid, RangeTblEntry *rte)
{
	Path *function_scan = NULL;
	FuncExpr *call;
	CustomPath *path;
	ListCell *cell;

	if (previous_pathlist_hook)
		previous_pathlist_hook(root, rel, relid, rte);
	call = StreamedCall(rel, rte);
	if (call == NULL)
		return;
	EstimateRows(rel, call);
	if (!enable_row_stream)
		return;
	foreach (cell, rel->pathlist)
		if (((Path *) lfirst(cell))->pathtype == T_FunctionScan)
			function_scan = lfirst(cell);
	if (function_scan == NULL)
		return;
	path = makeNode(CustomPath);
	path->path = *function_scan;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->path.total_cost -= cpu_tuple_cost * rel->tuples / 2;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &RowStreamPathMethods;
	add_path(rel, &path->path);
}

/* ---------- execution ---------- */

typedef struct RowStreamScanState
{
	CustomScanState css; /* must be first */
	FuncExpr *call;
	List *arguments;       /* ExprStates */
	Bitmapset *params;     /* params that the arguments depend on */
	bool depends_on_plans; /* perhaps on others, too: SubPlans */
	MemoryContext context; /* lives for one run of the function */
	bool running;
	RowStream rows;
	QueryExplanation explanation;
	bool rescanned;         /* the same rows are wanted again, so */
	Tuplestorestate *store; /* they are kept here */
	TupleTableSlot *kept;
} RowStreamScanState;

/* Collects the Params of an expression; true if they cannot be determined. */
static bool
CollectParams(Node *node, Bitmapset **params)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		*params = bms_add_member(*params, ((Param *) node)->paramid);
	return expression_tree_walker(node, CollectParams, params);
}

static void
BeginRowStreamScan(CustomScanState *node, EState *estate, int eflags)
{
	RowStreamScanState *state = (RowStreamScanState *) node;
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;
	AclResult right;

	state->call = linitial_node(FuncExpr, scan->custom_exprs);
	right = FunctionAclCheck(state->call->funcid, GetUserId());
	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_FUNCTION, get_func_name(state->call->funcid));
	InvokeFunctionExecuteHook(state->call->funcid);
	state->arguments = ExecInitExprList(state->call->args, &node->ss.ps);
	state->depends_on_plans = CollectParams((Node *) state->call->args, &state->params);
	state->kept = ExecInitExtraTupleSlot(estate, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
										 &TTSOpsMinimalTuple);
	state->context =
		AllocSetContextCreate(estate->es_query_cxt, "RowStreamScan", ALLOCSET_DEFAULT_SIZES);
	state->explanation.only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	state->explanation.instrument = estate->es_instrument;
	state->explanation.context = estate->es_query_cxt;
}

/* Starts the function; tells what its query did where that is wanted. */
static void
StartFunction(RowStreamScanState *state, FunctionCallInfo fcinfo, int stream)
{
	QueryExplanation *explanation = &state->explanation;

	if (row_streams[stream].query == EXPLAINS_NOTHING ||
		(!explanation->only && explanation->instrument == 0))
	{
		row_streams[stream].start(fcinfo, &state->rows);
		return;
	}
	PG_TRY();
	{
		query_explanation = explanation;
		row_streams[stream].start(fcinfo, &state->rows);
	}
	PG_FINALLY();
	{
		query_explanation = NULL;
	}
	PG_END_TRY();
}

/* The rows of a strict function that is given NULL. */
static bool
NoRow(void *state, Datum *values, bool *nulls)
{
	return false;
}

static void
EndNoRows(void *state)
{
}

/* Runs the function up to its first row. */
static void
RunFunction(RowStreamScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	FunctionCallInfo fcinfo = palloc0(SizeForFunctionCallInfo(list_length(state->arguments)));
	FmgrInfo *function = palloc(sizeof(FmgrInfo));
	int stream = RowStreamNumber(state->call->funcid);
	PgStat_FunctionCallUsage usage;
	bool has_null = false;
	ListCell *cell;
	int i = 0;

	if (stream < 0)
		elog(ERROR, "function %u is no bulk function", state->call->funcid);
	fmgr_info(state->call->funcid, function);
	fmgr_info_set_expr((Node *) state->call, function);
	InitFunctionCallInfoData(*fcinfo, function, list_length(state->arguments),
							 state->call->inputcollid, NULL, NULL);
	foreach (cell, state->arguments)
	{
		fcinfo->args[i].value = ExecEvalExpr(lfirst(cell), econtext, &fcinfo->args[i].isnull);
		has_null |= fcinfo->args[i].isnull;
		i++;
	}
	state->rows.columns = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	state->rows.wanted = WantedColumns(state->rows.columns, (const Scan *) state->css.ss.ps.plan);
	if (function->fn_strict && has_null)
	{
		state->rows.next = NoRow;
		state->rows.end = EndNoRows;
	}
	else
	{
		pgstat_init_function_usage(fcinfo, &usage);
		StartFunction(state, fcinfo, stream);
		pgstat_end_function_usage(&usage, true);
	}
	state->running = true;
	MemoryContextSwitchTo(caller);
}

/* Ends a run, and forgets its rows. */
static void
EndRun(RowStreamScanState *state)
{
	if (state->running)
		state->rows.end(state->rows.state);
	state->running = false;
	if (state->store != NULL)
		tuplestore_end(state->store);
	state->store = NULL;
	MemoryContextReset(state->context);
}

/* The same rows are wanted again, and perhaps once more: keeps them. */
static void
KeepRows(RowStreamScanState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	state->store = BeginTuplestore(false);
	StoreRows(&state->rows, state->store, state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor);
	state->running = false;
	MemoryContextSwitchTo(caller);
}

static TupleTableSlot *
NextKeptRow(RowStreamScanState *state, TupleTableSlot *slot)
{
	TupleTableSlot *kept = state->kept;

	if (!tuplestore_gettupleslot(state->store, true, false, kept))
		return slot;
	slot_getallattrs(kept);
	memcpy(slot->tts_values, kept->tts_values, kept->tts_nvalid * sizeof(Datum));
	memcpy(slot->tts_isnull, kept->tts_isnull, kept->tts_nvalid * sizeof(bool));
	return ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
NextStreamedRow(ScanState *node)
{
	RowStreamScanState *state = (RowStreamScanState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	MemoryContext caller;
	bool more;

	if (!state->running && state->store == NULL)
	{
		RunFunction(state);
		if (state->rescanned)
			KeepRows(state);
	}
	ExecClearTuple(slot);
	if (state->store != NULL)
		return NextKeptRow(state, slot);
	caller = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
	more = state->rows.next(state->rows.state, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	return more ? ExecStoreVirtualTuple(slot) : slot;
}

/* Rows are not locked, so they are never rechecked. */
static bool
RecheckStreamedRow(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
ExecRowStreamScan(CustomScanState *node)
{
	return ExecScan(&node->ss, NextStreamedRow, RecheckStreamedRow);
}

static void
EndRowStreamScan(CustomScanState *node)
{
	EndRun((RowStreamScanState *) node);
}

static void
ReScanRowStreamScan(CustomScanState *node)
{
	RowStreamScanState *state = (RowStreamScanState *) node;
	bool changed = state->depends_on_plans || bms_overlap(state->params, node->ss.ps.chgParam);

	ExecScanReScan(&node->ss);
	if (state->store != NULL && !changed)
	{
		tuplestore_rescan(state->store);
		return;
	}
	state->rescanned = state->running && !changed;
	EndRun(state);
}

/* Whether the arguments are known before the plan runs. */
static bool
ArgumentsAreKnown(const FuncExpr *call)
{
	Bitmapset *params = NULL;

	return !CollectParams((Node *) call->args, &params) && params == NULL &&
		   !contain_volatile_functions((Node *) call->args);
}

/* Shows the plan of the query whose rows the function takes. */
static void
ExplainRows(RowStreamScanState *state, ExplainState *es)
{
	QueryExplanation *explanation = &state->explanation;
	char *plan;

	if (explanation->only && ArgumentsAreKnown(state->call) &&
		row_streams[RowStreamNumber(state->call->funcid)].query != EXPLAINS_NOTHING)
	{
		RunFunction(state);
		EndRun(state);
	}
	plan = es->costs ? explanation->plan_costs : explanation->plan;
	if (plan == NULL)
		return;
	if (es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyText("Query Plan", plan, es);
	else
	{
		appendStringInfoSpaces(es->str, es->indent * 2);
		appendStringInfoString(es->str, "Query Plan:\n");
		for (char *line = strtok_r(pstrdup(plan), "\n", &plan); line != NULL;
			 line = strtok_r(NULL, "\n", &plan))
		{
			appendStringInfoSpaces(es->str, es->indent * 2 + 2);
			appendStringInfo(es->str, "%s\n", line);
		}
	}
	if (es->analyze)
		ExplainMemory(explanation->memory, explanation->spilled, es);
}

void
ExplainMemory(Size memory, Size spilled, ExplainState *es)
{
	ExplainPropertyInteger("Memory Usage", "kB", (memory + 1023) / 1024, es);
	if (spilled > 0)
		ExplainPropertyInteger("Disk Usage", "kB", (spilled + 1023) / 1024, es);
}

/* Shows the call in EXPLAIN (VERBOSE), as a function scan does, and where its rows come from. */
static void
ExplainRowStreamScan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	RowStreamScanState *state = (RowStreamScanState *) node;

	if (!es->verbose)
		ExplainPropertyText("Function", get_func_name(state->call->funcid), es);
	else
		ExplainPropertyText("Function Call",
							deparse_expression((Node *) state->call,
											   set_deparse_context_plan(
												   es->deparse_cxt, node->ss.ps.plan, ancestors),
											   true, false),
							es);
	ExplainRows(state, es);
}

static const CustomExecMethods RowStreamExecMethods = {
	.CustomName = "RowStreamScan",
	.BeginCustomScan = BeginRowStreamScan,
	.ExecCustomScan = ExecRowStreamScan,
	.EndCustomScan = EndRowStreamScan,
	.ReScanCustomScan = ReScanRowStreamScan,
	.ExplainCustomScan = ExplainRowStreamScan,
};

static Node *
CreateRowStreamScanState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(RowStreamScanState), &RowStreamExecMethods);
}

/* ---------- the library ---------- */

void
RegisterRowStream(PGFunction function, RowStreamStart start, RowStreamNarrow narrow,
				  RowStreamUnique unique, RowStreamQuery query)
{
	if (nrow_streams == MAX_ROW_STREAMS)
		elog(ERROR, "too many row streams");
	row_streams[nrow_streams].function = function;
	row_streams[nrow_streams].start = start;
	row_streams[nrow_streams].narrow = narrow;
	row_streams[nrow_streams].unique = unique;
	row_streams[nrow_streams++].query = query;
}

void
InitRowStreams(void)
{
	DefineCustomBoolVariable(
		"crm_profile.enable_row_stream",
		"Lets the planner take the rows of rfm_scores and collect_purchase_histories one at a "
		"time.",
		"Off: they are written to a tuplestore first, as those of other functions are.",
		&enable_row_stream, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&RowStreamScanMethods);
	previous_stats_hook = get_relation_stats_hook;
	get_relation_stats_hook = TellUniqueColumn;
	previous_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = AddRowStreamScanPath;
}
