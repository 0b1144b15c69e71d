/*
 * caller_query.c: running the caller's query once and taking its rows straight
 * out of the executor.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/cost.h"
#include "optimizer/planner.h"
#include "parser/parse_coerce.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include EXPLAIN_FORMAT_HEADER
#include EXPLAIN_STATE_HEADER

#include "base/caller_query.h"
#include "base/managed_tables.h"
#include "base/plan_choice.h"

QueryExplanation *query_explanation = NULL;

pg_noreturn static void
QueryRefused(const char *function, const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the query of %s must be a single SELECT", function),
					errdetail("%s", why), errhint("The query runs once, and may only read.")));
}

bool
LocksRows(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, LocksRows, context);
	return ((Query *) node)->rowMarks != NIL ||
		   query_tree_walker((Query *) node, LocksRows, context, 0);
}

static void
CheckStatements(const char *function, const List *statements)
{
	if (list_length(statements) != 1)
		QueryRefused(function,
					 statements == NIL ? "It is empty." : "It holds more than one statement.");
}

/* Refuses everything but one SELECT that only reads. */
static Query *
CheckQuery(const char *function, const List *rewritten)
{
	Query *query;

	if (list_length(rewritten) != 1)
		QueryRefused(function, "A rule rewrites it to something else.");
	query = linitial_node(Query, rewritten);
	if (query->commandType != CMD_SELECT)
		QueryRefused(function, "It is another kind of statement.");
	if (query->hasModifyingCTE)
		QueryRefused(function, "A common table expression in it writes.");
	if (LocksRows((Node *) query, NULL))
		QueryRefused(function, "It locks rows.");
	return query;
}

static void
SetWhilePlanning(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* The planner's plan of a query; `packing`: see PlanQuery. */
static PlannedStmt *
PlanOnce(const CachedPlanSource *source, const RowPacking *packing, bool hash_joins)
{
	int guc_level = NewGUCNestLevel();
	PlannedStmt *plan;

	if (packing != NULL)
		SetWhilePlanning("parallel_tuple_cost", "0");
	if (packing != NULL && packing->dear_rows)
	{
		SetWhilePlanning("parallel_setup_cost", "0");
		SetWhilePlanning("min_parallel_table_scan_size", "0");
	}
	if (!hash_joins)
		SetWhilePlanning("enable_hashjoin", "off");
	plan = pg_plan_query(copyObject(linitial_node(Query, source->query_list)), source->query_string,
						 CURSOR_OPT_PARALLEL_OK, NULL);
	AtEOXact_GUC(true, guc_level);
	return plan;
}

/*
 * The plan of a query, if `packing` when rows that travel to the leader cost nothing there.  A plan
 * without hash joins is taken if it is the better one once these cost what they do.
 */
static PlannedStmt *
PlanQuery(const CachedPlanSource *source, const RowPacking *packing)
{
	PlannedStmt *plan = PlanOnce(source, packing, true);
	double misses = HashJoinMisses(plan->planTree);
	PlannedStmt *other;

	if (misses <= 0)
		return plan;
	other = PlanOnce(source, packing, false);
	if (HashJoinMisses(other->planTree) == NO_HASH_JOIN &&
		other->planTree->total_cost < plan->planTree->total_cost + misses)
		return other;
	return plan;
}

/* Where an error occurred, in SPI's words. */
static void
QueryContext(void *query)
{
	errcontext("SQL statement \"%s\"", (char *) query);
}

/* ---------- EXPLAIN ---------- */

/* The plan of a query that has been started, as EXPLAIN writes it. */
static char *
WritePlan(QueryDesc *query, MemoryContext context, bool costs)
{
	ExplainState *es = NewExplainState();
	char *text;

	es->analyze = query->instrument_options != 0;
	es->timing = (query->instrument_options & INSTRUMENT_TIMER) != 0;
	es->buffers = (query->instrument_options & INSTRUMENT_BUFFERS) != 0;
	es->wal = (query->instrument_options & INSTRUMENT_WAL) != 0;
	es->costs = costs;
	ExplainPrintPlan(es, query);
	text = MemoryContextStrdup(context, es->str->data);
	pfree(es->str->data);
	return text;
}

static void
Explain(QueryExplanation *explanation, QueryDesc *query)
{
	explanation->plan = WritePlan(query, explanation->context, false);
	explanation->plan_costs = WritePlan(query, explanation->context, true);
}

/* A query of the groups of another one, by its first column; NULL if that has no equality. */
static Query *
GroupedByFirstColumn(Query *query)
{
	TargetEntry *first = linitial_node(TargetEntry, query->targetList);
	Node *expr = (Node *) first->expr;
	TypeCacheEntry *type = lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
																 TYPECACHE_HASH_PROC);
	RangeTblRef *reference = makeNode(RangeTblRef);
	SortGroupClause *group = makeNode(SortGroupClause);
	RangeTblEntry *rows = makeNode(RangeTblEntry);
	Query *groups = makeNode(Query);
	Var *key = makeVar(1, first->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
	TargetEntry *target = makeTargetEntry((Expr *) key, 1, "customer", false);

	if (!OidIsValid(type->eq_opr) || first->resjunk)
		return NULL;
	rows->rtekind = RTE_SUBQUERY;
	rows->subquery = query;
	rows->eref = makeAlias("orders", NIL);
	for (int i = 0; i < list_length(query->targetList); i++)
		rows->eref->colnames = lappend(rows->eref->colnames, makeString(pstrdup("column")));
	rows->inFromCl = true;
	reference->rtindex = 1;
	target->ressortgroupref = group->tleSortGroupRef = 1;
	group->eqop = type->eq_opr;
	group->sortop = type->lt_opr;
	group->hashable = OidIsValid(type->hash_proc);
	groups->commandType = CMD_SELECT;
	groups->rtable = list_make1(rows);
	groups->jointree = makeFromExpr(list_make1(reference), NULL);
	groups->targetList = list_make1(target);
	groups->groupClause = list_make1(group);
	return groups;
}

bool
EstimateGroups(const char *text, double *groups, Cost *cost)
{
	List *parsed = pg_parse_query(text);
	List *queries;
	Query *query;
	PlannedStmt *plan;

	/* faults of the query are told when it is run */
	if (list_length(parsed) != 1 || !IsA(linitial_node(RawStmt, parsed)->stmt, SelectStmt))
		return false;
	queries =
		pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, parsed), text, NULL, 0, NULL);
	query = list_length(queries) == 1 ? linitial_node(Query, queries) : NULL;
	if (query == NULL || query->commandType != CMD_SELECT || query->hasModifyingCTE ||
		query->rowMarks != NIL || query->targetList == NIL)
		return false;
	query = GroupedByFirstColumn(query);
	if (query == NULL)
		return false;
	/* what is here of a table elsewhere is empty; Citus itself expects 100 000 rows of any query */
	if (ReadsManaged((Node *) query))
		return false;
	/* not by way of other extensions: nothing is run */
	plan = standard_planner(query, text, CURSOR_OPT_PARALLEL_OK, NULL);
	*groups = plan->planTree->plan_rows;
	*cost = plan->planTree->total_cost;
	return true;
}

/* ---------- running ---------- */

/*
 * Runs a plan under the caller's snapshot, as SPI would; `packing`: unless it is NULL.
 * `explanation` (or NULL) tells what it did; if no more than that is wanted, it yields no rows.
 */
static void
RunPlan(PlannedStmt *plan, const char *text, DestReceiver *receiver, RowPacking *packing,
		QueryExplanation *explanation)
{
	bool explain_only = explanation != NULL && explanation->only;
	QueryDesc *query = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
									   packing != NULL ? packing->receiver : receiver, NULL, NULL,
									   explanation != NULL ? explanation->instrument : 0);

	ExecutorStart(query, explain_only ? EXEC_FLAG_EXPLAIN_ONLY : 0);
	if (explain_only)
		query->dest->rStartup(query->dest, CMD_SELECT, query->tupDesc);
	else
	{
		if (packing != NULL)
			packing->start(packing, outerPlanState(query->planstate));
		RunExecutor(query);
		ExecutorFinish(query);
	}
	if (explanation != NULL)
		Explain(explanation, query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

static void
Adjust(RowPacking *packing, PlannedStmt *plan)
{
	if (packing->adjust != NULL)
		packing->adjust(packing, plan);
}

/*
 * Runs a query whose rows are packed by the processes that find them, where the
 * plan is parallel, or by this one.  False: it writes, and nothing has run.
 */
static bool
RunForPacking(const CachedPlanSource *source, DestReceiver *receiver, RowPacking *packing,
			  QueryExplanation *explanation, bool *packed)
{
	ErrorContextCallback context = {error_context_stack, QueryContext,
									unconstify(char *, source->query_string)};
	bool parallel = max_parallel_workers_per_gather > 0 && !IsInParallelMode();
	PlannedStmt *plan;

	error_context_stack = &context;
	plan = PlanQuery(source, parallel ? packing : NULL);
	if (!CommandIsReadOnly(plan))
	{
		error_context_stack = context.previous;
		return false;
	}
	Adjust(packing, plan);
	*packed = parallel && IsA(plan->planTree, Gather) &&
			  packing->plan(packing, (Gather *) plan->planTree);
	if (parallel && !*packed && plan->parallelModeNeeded)
	{
		plan = PlanQuery(source, NULL);
		Adjust(packing, plan);
	}
	RunPlan(plan, source->query_string, receiver, *packed ? packing : NULL, explanation);
	error_context_stack = context.previous;
	return true;
}

void
RunQuery(const char *function, const char *query, DestReceiver *receiver)
{
	(void) RunQueryPacked(function, query, receiver, NULL);
}

bool
RunQueryPacked(const char *function, const char *query, DestReceiver *receiver, RowPacking *packing)
{
	QueryExplanation *explanation = query_explanation;
	SPIPlanPtr plan;
	SPIExecuteOptions options;
	CachedPlanSource *source;
	bool packed;
	int result;

	/* functions in the query have queries of their own */
	query_explanation = NULL;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	CheckStatements(function, SPI_plan_get_plan_sources(plan));
	source = (CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan));
	(void) CheckQuery(function, source->query_list);
	if (packing != NULL && RunForPacking(source, receiver, packing, explanation, &packed))
	{
		SPI_finish();
		return packed;
	}

	memset(&options, 0, sizeof(options));
	options.read_only = true;
	options.dest = receiver;
	result = SPI_execute_plan_extended(plan, &options);
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	SPI_finish();
	return false;
}

/* ---------- rows by and by ---------- */

/* Where errors are told to have occurred, from here on. */
static void
EnterQuery(ErrorContextCallback *context, const char *query)
{
	*context = (ErrorContextCallback){error_context_stack, QueryContext, unconstify(char *, query)};
	error_context_stack = context;
}

QueryDesc *
BeginQuery(const char *function, const char *text, DestReceiver *receiver)
{
	ErrorContextCallback context;
	List *parsed;
	Query *query;
	QueryDesc *begun;

	EnterQuery(&context, text);
	parsed = pg_parse_query(text);
	CheckStatements(function, parsed);
	query = CheckQuery(function, pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, parsed),
																	text, NULL, 0, NULL));
	begun = CreateQueryDesc(pg_plan_query(query, text, 0, NULL), text, GetActiveSnapshot(),
							InvalidSnapshot, receiver, NULL, NULL, 0);
	ExecutorStart(begun, 0);
	error_context_stack = context.previous;
	return begun;
}

uint64
NextQueryRows(QueryDesc *query, uint64 most)
{
	ErrorContextCallback context;

	EnterQuery(&context, query->sourceText);
	PushActiveSnapshot(query->snapshot);
	RunExecutorFor(query, most);
	PopActiveSnapshot();
	error_context_stack = context.previous;
	return query->estate->es_processed;
}

void
EndQuery(QueryDesc *query)
{
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

/* ---------- receivers and scans of the caller's rows ---------- */

static void
NoStart(DestReceiver *self, int operation, TupleDesc columns)
{
}

static void
NothingToDo(DestReceiver *self)
{
}

void
InitReceiver(DestReceiver *receiver, bool (*receive)(TupleTableSlot *row, DestReceiver *self),
			 void (*startup)(DestReceiver *self, int operation, TupleDesc columns))
{
	*receiver = (DestReceiver){.receiveSlot = receive,
							   .rStartup = startup != NULL ? startup : NoStart,
							   .rShutdown = NothingToDo,
							   .rDestroy = NothingToDo,
							   .mydest = DestNone};
}

/* The node id of a scan that is put into a plan: no plan has so many nodes. */
#define ADDED_NODE_ID (PG_INT32_MAX / 2)

void
PutBelowGather(Gather *gather, const CustomScanMethods *methods, const void *task, Size task_size,
			   List *columns, List *of_scan, List *of_gather)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan *plan = &scan->scan.plan;
	Plan *rows = outerPlan(gather);
	bytea *bytes = (bytea *) cstring_to_text_with_len(task, (int) task_size);

	plan->startup_cost = plan->total_cost = rows->total_cost;
	plan->plan_rows = rows->plan_rows;
	plan->plan_width = rows->plan_width;
	plan->parallel_aware = plan->parallel_safe = true;
	plan->plan_node_id = ADDED_NODE_ID;
	plan->extParam = bms_copy(rows->extParam);
	plan->allParam = bms_copy(rows->allParam);
	plan->targetlist = of_scan;
	scan->custom_scan_tlist = columns;
	scan->custom_plans = list_make1(rows);
	/* a node, since the workers get the plan as text */
	scan->custom_private =
		list_make1(makeConst(BYTEAOID, -1, InvalidOid, -1, PointerGetDatum(bytes), false, false));
	scan->methods = methods;
	outerPlan(gather) = plan;
	gather->plan.targetlist = of_gather;
}

void
BeginPackingScan(CustomScanState *node, EState *estate, int eflags)
{
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;

	node->custom_ps = list_make1(ExecInitNode(linitial(scan->custom_plans), estate, eflags));
}

void
ReadPackingTask(const CustomScanState *node, void *task, Size task_size)
{
	const CustomScan *scan = (const CustomScan *) node->ss.ps.plan;
	const Const *bytes = linitial_node(Const, scan->custom_private);

	memcpy(task, VARDATA_ANY(DatumGetPointer(bytes->constvalue)), task_size);
}

/* ---------- arguments and columns ---------- */

Oid
KeyArgumentType(FunctionCallInfo fcinfo, int argument, const char *function)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, argument);

	if (!OidIsValid(type) || type == UNKNOWNOID)
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of the customer key"),
				 errhint("Cast the first argument to the type of the key: %s(NULL::bigint, …).",
						 function)));
	return type;
}

char *
QueryArgument(FunctionCallInfo fcinfo, int argument, const char *function)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the query of %s must not be NULL", function)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

char *
ProgressArgument(FunctionCallInfo fcinfo, int argument)
{
	if (PG_NARGS() <= argument || PG_ARGISNULL(argument))
		return NULL;
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

void
ColumnTypeRefused(TupleDesc columns, int attno, const char *what, const char *expected,
				  const char *hint)
{
	Form_pg_attribute column = TupleDescAttr(columns, attno - 1);

	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("column %d (\"%s\") of the query, the %s, has type %s", attno,
						   NameStr(column->attname), what, format_type_be(column->atttypid)),
					errdetail("Expected %s.", expected), hint ? errhint("%s", hint) : 0));
}

bool
CheckKeyColumn(TupleDesc columns, int attno, Oid key_type, const char *function)
{
	Oid type = TupleDescAttr(columns, attno - 1)->atttypid;

	if (type == key_type || getBaseType(type) == getBaseType(key_type) ||
		(get_typlen(type) == -1 && IsBinaryCoercible(type, key_type)))
		return type != key_type && get_typtype(key_type) == TYPTYPE_DOMAIN;
	ColumnTypeRefused(
		columns, attno, "customer",
		psprintf("%s, the type of the first argument", format_type_be(key_type)),
		psprintf("Write %s(NULL::%s, …), or cast the column.", function, format_type_be(type)));
}

void
CheckKeyDomain(Datum key, Oid key_type, void **extra, MemoryContext context)
{
	domain_check(key, false, key_type, extra, context);
}

char *
EqualityOperator(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	HeapTuple tuple;
	Form_pg_operator form;
	char *name;

	if (!OidIsValid(entry->eq_opr))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("customers cannot be told apart by values of type %s",
							   format_type_be(type)),
						errhint("Cast the customer to text.")));
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", entry->eq_opr);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

void
CheckColumnCount(TupleDesc columns, int min, const char *expected)
{
	if (columns->natts >= min)
		return;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("the query returns %d column%s, %d are needed", columns->natts,
						   columns->natts == 1 ? "" : "s", min),
					errdetail("Expected %s.", expected)));
}

int
ColumnNamed(TupleDesc columns, const char *name)
{
	int found = 0;

	for (int i = 0; i < columns->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) != 0)
			continue;
		if (found)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
							errmsg("the query returns two columns named \"%s\"", name)));
		found = i + 1;
	}
	return found;
}
