/*
 * reading_context.c: the expressions that a source was given are part of its views.  If one of them
 * fails in a row, the message is PostgreSQL's, such as "division by zero", and knows of no source:
 * its CONTEXT then tells which one was read, and how to find the rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "source/reading_context.h"

static ExecutorRun_hook_type next_run = NULL;

/* Whether a relation is the table with the definition of a source. */
static bool
IsDefinition(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid type;

	if (!HeapTupleIsValid(tuple))
		return false;
	type = ((Form_pg_class) GETSTRUCT(tuple))->reloftype;
	ReleaseSysCache(tuple);
	return OidIsValid(type) &&
		   type == GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								   CStringGetDatum("source_definition"),
								   ObjectIdGetDatum(get_namespace_oid("crm_profile", true)));
}

/* Views come first, and thousands of partitions should not be looked up for each row of a cursor.
 */
#define MOST_ENTRIES 100

/* The source whose views or tables a plan reads, or NULL; of several, the first. */
static char *
SourceRead(const PlannedStmt *plan)
{
	int entries = Min(list_length(plan->rtable), MOST_ENTRIES);

	for (int i = 0; i < entries; i++)
	{
		/* a view is a relation, or the subquery that it has become */
		Oid relation = list_nth_node(RangeTblEntry, plan->rtable, i)->relid;
		Oid schema;

		if (relation < FirstNormalObjectId)
			continue;
		schema = get_rel_namespace(relation);
		if (OidIsValid(schema) && IsDefinition(get_relname_relid("source_definition", schema)))
			return get_namespace_name(schema);
	}
	return NULL;
}

static void
TellSource(void *source)
{
	int code = geterrcode();

	if (ERRCODE_TO_CATEGORY(code) == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
		errcontext("source \"%s\": if one of its arguments fails in some rows, "
				   "SELECT * FROM crm_profile.check_source(%s) names it",
				   (char *) source, quote_literal_cstr(source));
}

/* Whether a query around this one tells of the source already. */
static bool
IsTold(const char *source)
{
	for (ErrorContextCallback *c = error_context_stack; c != NULL; c = c->previous)
		if (c->callback == TellSource && strcmp(c->arg, source) == 0)
			return true;
	return false;
}

static void
RunReading(EXECUTOR_RUN_PARAMETERS)
{
	/* what a worker says is said again by the leader */
	char *source = IsParallelWorker() ? NULL : SourceRead(query->plannedstmt);
	ErrorContextCallback context = {error_context_stack, TellSource, source};

	if (source != NULL && !IsTold(source))
		error_context_stack = &context;
	if (next_run != NULL)
		next_run(EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGUMENTS);
	error_context_stack = context.previous;
}

void
InitReadingContext(void)
{
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = RunReading;
}
