/*
 * definition_checks.c: what checking the definition of a source needs from C: the relations of a
 * query, the equality of keys, names similar to a misspelt one, and samples of customers.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "base/caller_query.h"
#include "base/common.h"

#define NEAR_NAMES 3

/* ---------- what a query reads ---------- */

static Datum
OidArray(const Oid *oids, int n)
{
	Datum *values = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* Remembers a function whose result can depend on the session. */
static bool
FindMutableFunction(Oid function, void *context)
{
	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	*(char **) context = format_procedure(function);
	return true;
}

/* Finds what in a query can have another result in another session: a function; else NULL. */
static bool
FindMutable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) || IsA(node, NextValueExpr))
	{
		*(char **) context = "the current time or user";
		return true;
	}
	if (check_functions_in_node(node, FindMutableFunction, context))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, FindMutable, context, 0);
	return expression_tree_walker(node, FindMutable, context);
}

/* Connects SPI and prepares a text, whose statements are returned; none of them is run. */
static List *
PrepareStatements(const char *text)
{
	SPIPlanPtr plan;

	SPI_connect();
	plan = SPI_prepare(text, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return SPI_plan_get_plan_sources(plan);
}

/*
 * (query): the relations that it reads, the types of its columns, and what in it can have another
 * result in another session, without running it.
 */
PG_FUNCTION_INFO_V1(describe_query);
Datum
describe_query(PG_FUNCTION_ARGS)
{
	char *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller = CurrentMemoryContext;
	List *sources;
	List *relations;
	CachedPlanSource *source;
	Datum values[3];
	bool nulls[3] = {false, false};
	char *mutable = NULL;
	Oid *oids;
	int n = 0;
	ListCell *cell;

	sources = PrepareStatements(query);
	source = list_length(sources) == 1 ? (CachedPlanSource *) linitial(sources) : NULL;
	if (source == NULL || source->resultDesc == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("only a single query that returns rows can be described")));

	MemoryContextSwitchTo(caller);
	relations = list_copy(source->relationOids);
	list_sort(relations, list_oid_cmp);
	list_deduplicate_oid(relations);
	oids = palloc((list_length(relations) + source->resultDesc->natts) * sizeof(Oid));
	foreach (cell, relations)
		oids[n++] = lfirst_oid(cell);
	values[0] = OidArray(oids, n);
	n = source->resultDesc->natts;
	for (int i = 0; i < n; i++)
		oids[i] = getBaseType(TupleDescAttr(source->resultDesc, i)->atttypid);
	values[1] = OidArray(oids, n);
	nulls[2] = !FindMutable(linitial(source->query_list), &mutable);
	if (!nulls[2])
		values[2] = CStringGetTextDatum(mutable);
	SPI_finish();
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* ---------- what a query may be ---------- */

pg_noreturn static void
RefuseQuery(const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("%s", why)));
}

/*
 * (query): itself, without what is before and behind it, if it is one SELECT that could stand in
 * parentheses; else an error.  Nothing is looked up and nothing is run.
 */
PG_FUNCTION_INFO_V1(checked_select);
Datum
checked_select(PG_FUNCTION_ARGS)
{
	char *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	List *statements = raw_parser(given, RAW_PARSE_DEFAULT);
	RawStmt *statement;
	SelectStmt *select;
	StringInfoData query;
	char *last_line;

	if (statements == NIL)
		RefuseQuery("it is empty");
	if (list_length(statements) > 1)
		RefuseQuery(psprintf("it holds %d statements", list_length(statements)));
	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt))
		RefuseQuery("it is no SELECT");
	select = (SelectStmt *) statement->stmt;
	/* the INTO of a UNION is that of its first part */
	while (select->op != SETOP_NONE)
		select = select->larg;
	if (select->intoClause != NULL)
		RefuseQuery("it has INTO, and may only read");
	if (((SelectStmt *) statement->stmt)->withClause != NULL)
	{
		ListCell *cell;

		foreach (cell, ((SelectStmt *) statement->stmt)->withClause->ctes)
			if (!IsA(lfirst_node(CommonTableExpr, cell)->ctequery, SelectStmt))
				RefuseQuery("a common table expression in it writes");
	}

	initStringInfo(&query);
	if (statement->stmt_len > 0)
		appendBinaryStringInfo(&query, given + statement->stmt_location, statement->stmt_len);
	else
		appendStringInfoString(&query, given + statement->stmt_location);
	/* a comment must not take in what comes behind the query */
	last_line = strrchr(query.data, '\n');
	if (strstr(last_line == NULL ? query.data : last_line, "--") != NULL)
		appendStringInfoChar(&query, '\n');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(query.data, query.len));
}

typedef struct QueryTraits
{
	bool in_from;    /* not in an expression, where one row is wanted */
	char *arbitrary; /* why the query may give other rows each time; NULL: it does not */
} QueryTraits;

/* Remembers a function of PostgreSQL itself that is random: those of users rarely say what they
 * are. */
static bool
FindRandomFunction(Oid function, void *context)
{
	if (function >= FirstNormalObjectId || func_volatile(function) != PROVOLATILE_VOLATILE ||
		strncmp(get_func_name(function), "random", 6) != 0)
		return false;
	((QueryTraits *) context)->arbitrary = format_procedure(function);
	return true;
}

/* Finds what lets a query give other rows each time, though the tables are the same. */
static bool
FindArbitrary(Node *node, void *context)
{
	QueryTraits *traits = context;

	if (node == NULL)
		return false;
	if (check_functions_in_node(node, FindRandomFunction, context))
		return true;
	if (IsA(node, SubLink))
	{
		bool in_from = traits->in_from;
		bool found;

		traits->in_from = false;
		found = expression_tree_walker(node, FindArbitrary, context);
		traits->in_from = in_from;
		return found;
	}
	if (IsA(node, RangeTblEntry))
	{
		TableSampleClause *sample = ((RangeTblEntry *) node)->tablesample;

		if (sample != NULL && sample->repeatable == NULL)
			traits->arbitrary = "TABLESAMPLE without REPEATABLE";
		/* what is in it is walked through by the query */
		return traits->arbitrary != NULL;
	}
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		bool limited = query->limitOffset != NULL ||
					   (query->limitCount != NULL && !(IsA(query->limitCount, Const) &&
													   ((Const *) query->limitCount)->constisnull));

		if (traits->in_from && query->sortClause == NIL && (limited || query->hasDistinctOn))
		{
			traits->arbitrary = limited ? "LIMIT without ORDER BY" : "DISTINCT ON without ORDER BY";
			return true;
		}
		return query_tree_walker(query, FindArbitrary, context, QTW_EXAMINE_RTES_BEFORE);
	}
	return expression_tree_walker(node, FindArbitrary, context);
}

/*
 * (query): whether it locks rows, and what lets it give other rows each time (NULL: nothing),
 * without running it.
 */
PG_FUNCTION_INFO_V1(query_traits);
Datum
query_traits(PG_FUNCTION_ARGS)
{
	char *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller = CurrentMemoryContext;
	QueryTraits traits = {.in_from = true};
	Datum values[2];
	bool nulls[2] = {false, false};
	List *sources;
	Node *query;

	sources = PrepareStatements(given);
	if (list_length(sources) != 1)
		RefuseQuery("it is not one statement");
	query = (Node *) ((CachedPlanSource *) linitial(sources))->query_list;
	MemoryContextSwitchTo(caller);
	values[0] = BoolGetDatum(LocksRows(query, NULL));
	nulls[1] = !FindArbitrary(query, &traits);
	if (!nulls[1])
		values[1] = CStringGetTextDatum(traits.arbitrary);
	SPI_finish();
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* ---------- what is read as the session has it ---------- */

/* Types whose text follows DateStyle, IntervalStyle or lc_monetary. */
static bool
HasStyle(Oid type)
{
	return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID ||
		   type == INTERVALOID || type == CASHOID;
}

static bool
IsText(Oid type)
{
	return TypeCategory(type) == TYPCATEGORY_STRING;
}

/*
 * The time with time zone that a function goes from by the zone of the session; NULL: it does not.
 */
static Node *
ZonedArgument(FuncExpr *call)
{
	switch (call->funcid)
	{
		case F_DATE_TIMESTAMPTZ:
		case F_TIMESTAMP_TIMESTAMPTZ:
		case F_TIME_TIMESTAMPTZ:
		case F_TO_CHAR_TIMESTAMPTZ_TEXT:
			return linitial(call->args);
		case F_DATE_PART_TEXT_TIMESTAMPTZ:
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			return lsecond(call->args);
		default:
			return NULL;
	}
}

/*
 * The day or local time that became one with time zone, as PostgreSQL makes it for functions such
 * as to_char(): what goes back from there is the same in every zone.  NULL for anything else.
 */
static Node *
LocalArgument(Node *node)
{
	FuncExpr *call = (FuncExpr *) node;

	if (!IsA(node, FuncExpr))
		return NULL;
	if (call->funcid == F_TIMESTAMPTZ_DATE || call->funcid == F_TIMESTAMPTZ_TIMESTAMP)
		return linitial(call->args);
	if (call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ)
		return LocalArgument(lsecond(call->args));
	return NULL;
}

/* Finds what in a query is read or written as settings of the session say; else NULL. */
static bool
FindSessionReading(Node *node, void *context)
{
	const char **found = context;

	if (node == NULL)
		return false;
	if (IsA(node, CoerceViaIO))
	{
		Oid from = getBaseType(exprType((Node *) ((CoerceViaIO *) node)->arg));
		Oid to = getBaseType(((CoerceViaIO *) node)->resulttype);

		if ((IsText(from) && HasStyle(to)) || (HasStyle(from) && IsText(to)))
		{
			*found = psprintf("%s as %s", format_type_be(from), format_type_be(to));
			return true;
		}
	}
	if (IsA(node, FuncExpr))
	{
		Oid function = ((FuncExpr *) node)->funcid;
		Node *zoned = ZonedArgument((FuncExpr *) node);
		Node *local = zoned != NULL ? LocalArgument(zoned) : NULL;

		if (local != NULL)
			return FindSessionReading(local, context);
		if (zoned != NULL || function == F_TIMESTAMPTZ_DATE || function == F_TIMESTAMPTZ_TIMESTAMP)
		{
			*found = format_procedure(function);
			return true;
		}
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, FindSessionReading, context, 0);
	return expression_tree_walker(node, FindSessionReading, context);
}

/*
 * (query): what in it has another result under another DateStyle, IntervalStyle, lc_monetary or
 * TimeZone; NULL: nothing that is known.
 */
PG_FUNCTION_INFO_V1(session_reading);
Datum
session_reading(PG_FUNCTION_ARGS)
{
	char *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller = CurrentMemoryContext;
	List *sources;
	ListCell *source;
	char *found = NULL;

	sources = PrepareStatements(query);
	MemoryContextSwitchTo(caller);
	foreach (source, sources)
		if (FindSessionReading((Node *) ((CachedPlanSource *) lfirst(source))->query_list, &found))
			break;
	SPI_finish();
	if (found == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(found));
}

/* ---------- keys ---------- */

/*
 * (type): the equality operator of the type, as GROUP BY and unique indexes use it, for SQL under a
 * pinned search_path: a plain = would miss that of a type in another schema, or take that of a type
 * to which it can be cast.  NULL if the type has none, or there is no such type.
 */
PG_FUNCTION_INFO_V1(key_equality);
Datum
key_equality(PG_FUNCTION_ARGS)
{
	Oid oid;
	HeapTuple tuple;
	Form_pg_operator equals;
	char *sql;

	if (!SearchSysCacheExists1(TYPEOID, PG_GETARG_DATUM(0)))
		PG_RETURN_NULL();
	oid = lookup_type_cache(getBaseType(PG_GETARG_OID(0)), TYPECACHE_EQ_OPR)->eq_opr;
	if (!OidIsValid(oid))
		PG_RETURN_NULL();
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oid);
	equals = (Form_pg_operator) GETSTRUCT(tuple);
	if (equals->oprnamespace == PG_CATALOG_NAMESPACE)
		sql = pstrdup(NameStr(equals->oprname));
	else
		sql =
			psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(equals->oprnamespace)),
					 NameStr(equals->oprname));
	ReleaseSysCache(tuple);
	PG_RETURN_TEXT_P(cstring_to_text(sql));
}

/* (type): the base type of a domain; any other type itself; NULL if there is no such type. */
PG_FUNCTION_INFO_V1(base_type);
Datum
base_type(PG_FUNCTION_ARGS)
{
	if (!SearchSysCacheExists1(TYPEOID, PG_GETARG_DATUM(0)))
		PG_RETURN_NULL();
	PG_RETURN_OID(getBaseType(PG_GETARG_OID(0)));
}

/* ---------- near names ---------- */

/* (name, candidates): the candidates that resemble it, nearest first; NULL if none does. */
PG_FUNCTION_INFO_V1(near_names);
Datum
near_names(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int length = strlen(name);
	int limit = Max(2, length / 3);
	Datum *candidates;
	bool *nulls;
	int ncandidates;
	int distance[NEAR_NAMES];
	char *near[NEAR_NAMES];
	int found = 0;
	StringInfoData list;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &candidates,
					  &nulls, &ncandidates);
	for (int i = 0; i < ncandidates; i++)
	{
		char *candidate;
		int d;
		int at;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		candidate = TextDatumGetCString(candidates[i]);
		/* the distance function accepts no more than this */
		if (length > NAMEDATALEN || strlen(candidate) > NAMEDATALEN)
			continue;
		d = varstr_levenshtein(name, length, candidate, strlen(candidate), 1, 1, 1, true);
		if (d > limit)
			continue;
		for (at = Min(found, NEAR_NAMES); at > 0 && distance[at - 1] > d; at--)
			if (at < NEAR_NAMES)
			{
				distance[at] = distance[at - 1];
				near[at] = near[at - 1];
			}
		if (at < NEAR_NAMES)
		{
			distance[at] = d;
			near[at] = candidate;
			found = Min(found + 1, NEAR_NAMES);
		}
	}
	if (found == 0)
		PG_RETURN_NULL();
	initStringInfo(&list);
	/* a near one rules out those that are much farther away */
	for (int i = 0; i < found && (distance[i] == distance[0] || distance[i] < 2 * distance[0]); i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", near[i]);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(list.data, list.len));
}

/* ---------- samples ---------- */

/*
 * (key, share): whether the key is in a sample of that share of all keys; the same everywhere and
 * always.
 */
PG_FUNCTION_INFO_V1(in_sample);
Datum
in_sample(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(0);
	uint64 hash = FastStableHash64(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));

	PG_RETURN_BOOL(ldexp((double) hash, -64) < PG_GETARG_FLOAT8(1));
}
