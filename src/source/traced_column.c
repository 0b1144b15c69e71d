/*
 * traced_column.c: finds the table column behind a column of a query whose rows are rows of that
 * single table.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/syscache.h"

#include "base/compat.h"

typedef struct Trace
{
	Oid relation;
	AttrNumber column;
	Bitmapset *columns;  /* those that the query reads, if it reads the table itself */
	const char *problem; /* why there is no such column */
} Trace;

/* Functions whose result changes although no row does. */
static bool
TellsTime(Oid function, void *context)
{
	char volatility = func_volatile(function);
	char *name;

	if (volatility == PROVOLATILE_IMMUTABLE)
		return false;
	if (volatility == PROVOLATILE_VOLATILE || get_func_namespace(function) != PG_CATALOG_NAMESPACE)
		return true;
	name = get_func_name(function);
	/* settings are pinned; time is not */
	return name == NULL || strcmp(name, "now") == 0 || strcmp(name, "transaction_timestamp") == 0 ||
		   strcmp(name, "statement_timestamp") == 0 || strcmp(name, "age") == 0;
}

static bool
DependsOnTime(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) || IsA(node, NextValueExpr) ||
		check_functions_in_node(node, TellsTime, context))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, DependsOnTime, context, 0);
	return expression_tree_walker(node, DependsOnTime, context);
}

/* The single table or subquery that a query takes rows from, one by one; else NULL. */
static RangeTblEntry *
OnlyInput(Query *query)
{
	if (query->commandType != CMD_SELECT || query->setOperations != NULL || query->hasAggs ||
		query->hasWindowFuncs || query->hasTargetSRFs || query->hasSubLinks ||
		query->groupClause != NIL || query->groupingSets != NIL || query->havingQual != NULL ||
		query->distinctClause != NIL || query->limitCount != NULL || query->limitOffset != NULL ||
		query->cteList != NIL || list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef))
		return NULL;
	return rt_fetch(linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex, query->rtable);
}

/* Follows a target of a query down to a column. */
static void
Follow(Query *query, TargetEntry *target, Trace *trace)
{
	RangeTblEntry *input = OnlyInput(query);
	Node *expression = (Node *) target->expr;
	Var *column;

	if (input == NULL || (input->rtekind != RTE_RELATION && input->rtekind != RTE_SUBQUERY) ||
		input->tablesample != NULL)
	{
		trace->problem = "the rows are not those of one table, each by itself";
		return;
	}
	while (IsA(expression, RelabelType))
		expression = (Node *) ((RelabelType *) expression)->arg;
	column = (Var *) expression;
	if (input->rtekind == RTE_RELATION)
		trace->relation = input->relid;
	if (input->rtekind == RTE_RELATION && trace->columns == NULL)
	{
		pull_varattnos((Node *) query->targetList, 1, &trace->columns);
		pull_varattnos(query->jointree->quals, 1, &trace->columns);
	}
	if (!IsA(expression, Var) || column->varattno <= 0)
	{
		trace->problem = "it is no column of the table, but an expression";
		return;
	}
	if (input->rtekind == RTE_SUBQUERY)
		Follow(input->subquery, get_tle_by_resno(input->subquery->targetList, column->varattno),
			   trace);
	else
		trace->column = column->varattno;
}

/* Traces the column of the given name. */
static void
TraceColumn(Query *query, const char *name, Trace *trace)
{
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk && target->resname != NULL && strcmp(target->resname, name) == 0)
		{
			Follow(query, target, trace);
			if (trace->problem == NULL && DependsOnTime((Node *) query, NULL))
				trace->problem = "it depends on the time, or on functions that may read tables";
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("the query has no column \"%s\"", name)));
}

/* Their names; NULL if the query reads rows as a whole, or what is no column of the user's. */
static Datum
NamesOfColumns(const Trace *trace, bool *isnull)
{
	ArrayBuildState *names = NULL;
	int i = -1;

	*isnull = trace->columns == NULL;
	while ((i = bms_next_member(trace->columns, i)) >= 0)
	{
		AttrNumber column = i + FirstLowInvalidHeapAttributeNumber;
		NameData name = {0};

		if (column <= 0)
			*isnull = true;
		else
		{
			namestrcpy(&name, get_attname(trace->relation, column, false));
			names =
				accumArrayResult(names, NameGetDatum(&name), false, NAMEOID, CurrentMemoryContext);
		}
	}
	return *isnull ? (Datum) 0 : makeArrayResult(names, CurrentMemoryContext);
}

/* (query, column): the table, and its column, that the query shows under that name. */
PG_FUNCTION_INFO_V1(trace_column);
Datum
trace_column(PG_FUNCTION_ARGS)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MemoryContext caller = CurrentMemoryContext;
	Trace trace = {0};
	TupleDesc result;
	SPIPlanPtr plan;
	List *sources;
	CachedPlanSource *source;
	Datum values[4];
	bool nulls[4];

	if (get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
	source = list_length(sources) == 1 ? (CachedPlanSource *) linitial(sources) : NULL;
	if (source == NULL || list_length(source->query_list) != 1 ||
		linitial_node(Query, source->query_list)->commandType != CMD_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("only a single query that returns rows can be traced")));
	TraceColumn(linitial_node(Query, source->query_list), name, &trace);
	MemoryContextSwitchTo(caller);
	values[0] = ObjectIdGetDatum(trace.relation);
	nulls[0] = !OidIsValid(trace.relation);
	nulls[1] = trace.column <= 0;
	if (!nulls[1])
		values[1] = CStringGetTextDatum(get_attname(trace.relation, trace.column, false));
	nulls[2] = trace.problem == NULL;
	if (!nulls[2])
		values[2] = CStringGetTextDatum(trace.problem);
	values[3] = NamesOfColumns(&trace, &nulls[3]);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result), values, nulls)));
}
