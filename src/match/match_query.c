/*
 * match_query.c: a query of customers and a query of prospects: reading them, and running SELECTs
 * around them.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/tuplestore.h"

#include "base/caller_query.h"
#include "base/common.h"

#include "match/match_query.h"
#include "profile/profile_fit_state.h"

/* ---------- the queries and their columns ---------- */

/* The query without a trailing semicolon, which would end the SELECT around it. */
static char *
TrimmedQuery(text *query)
{
	char *copy = text_to_cstring(query);
	int length = strlen(copy);

	while (length > 0 && (isspace((unsigned char) copy[length - 1]) || copy[length - 1] == ';'))
		copy[--length] = '\0';
	return copy;
}

/* The columns that a query will return. */
static TupleDesc
QueryColumns(const char *function, const char *query)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc columns = NULL;
	SPIPlanPtr plan;
	List *sources;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
	if (list_length(sources) == 1)
	{
		CachedPlanSource *source = (CachedPlanSource *) linitial(sources);

		if (source->resultDesc != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(caller);

			columns = CreateTupleDescCopy(source->resultDesc);
			MemoryContextSwitchTo(old);
		}
	}
	SPI_finish();
	if (columns == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the queries of %s must be SELECTs", function)));
	return columns;
}

static const char *
ColumnName(TupleDesc columns, int attno)
{
	return NameStr(TupleDescAttr(columns, attno - 1)->attname);
}

/* The column that says who is to be found: is_target, or a value. */
static int
FindTarget(MatchQuery *q, TupleDesc customers)
{
	int target = ColumnNamed(customers, "is_target");

	q->of_values = target == 0;
	if (q->of_values)
		target = ColumnNamed(customers, "value");
	if (target < 2)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the customers query has no column \"is_target\", nor \"value\""),
				 errhint("Say who the targets are: SELECT key, monetary > 1000 AS is_target, … "
						 "FROM customers; or what they are worth: SELECT key, monetary AS value, "
						 "….")));
	if (!q->of_values && TupleDescAttr(customers, target - 1)->atttypid != BOOLOID)
		ColumnTypeRefused(customers, target, "target", "boolean", NULL);
	q->target = q->of_values ? "u.value::double precision" : "u.is_target";
	q->best = q->of_values ? psprintf("u.value > (SELECT pg_catalog.avg(v.value) FROM (%s\n) AS v)",
									  q->customers)
						   : "u.is_target";
	return target;
}

/*
 * Finds the columns that customers and prospects share; a notice names the
 * others.
 */
static void
FindAttributes(MatchQuery *q, TupleDesc customers, TupleDesc prospects)
{
	int target = FindTarget(q, customers);
	StringInfoData common;
	StringInfoData left;

	q->by_email = ColumnNamed(customers, "email") > 0 && ColumnNamed(prospects, "email") > 0;

	initStringInfo(&common);
	initStringInfo(&left);
	for (int i = 2; i <= customers->natts; i++)
	{
		const char *name = ColumnName(customers, i);
		int there = ColumnNamed(prospects, name);

		if (i == target || strcmp(name, "email") == 0)
			continue;
		if (there > 1 && strcmp(name, "(row)") == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"%s\" cannot be the name of an attribute", name),
							errhint("Give the column another name in both queries: AS ….")));
		if (there > 1)
			appendStringInfo(&common, "%su.%s", common.len > 0 ? ", " : "", quote_identifier(name));
		else
			appendStringInfo(&left, "%s%s", left.len > 0 ? ", " : "", name);
	}
	if (common.len == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("customers and prospects have no attribute in common"),
						errdetail("Attributes are columns of the same name in both queries, after "
								  "the key and besides is_target and email.")));
	for (int i = 2; i <= prospects->natts; i++)
	{
		const char *name = ColumnName(prospects, i);

		if (strcmp(name, "email") != 0 && strcmp(name, q->of_values ? "value" : "is_target") != 0 &&
			ColumnNamed(customers, name) < 2)
			appendStringInfo(&left, "%s%s", left.len > 0 ? ", " : "", name);
	}
	if (left.len > 0)
		ereport(NOTICE,
				(errmsg("columns that only one of the queries has are ignored: %s", left.data)));
	q->attributes = common.data;
}

/*
 * Options are profile_fit's, but for words in place of weights, "learnt" (the default) or "equal",
 * and for those that are match_fit's.
 */
static void
ReadOptions(MatchQuery *q, Jsonb *options)
{
	char *all = quote_literal_cstr(
		options == NULL ? "{}" : JsonbToCString(NULL, &options->root, VARSIZE(options)));
	const char *not_of_profile = "special,breaks";
	JsonbValue buffer;
	JsonbValue *weights = NULL;

	if (options != NULL)
		CheckFitOptions(&options->root, q->function, "special, breaks");
	if (options != NULL && JB_ROOT_IS_OBJECT(options))
		weights =
			getKeyJsonValueFromContainer(&options->root, "weights", strlen("weights"), &buffer);
	q->learnt = weights == NULL || weights->type == jbvNull;
	if (weights != NULL && weights->type == jbvString)
	{
		char *word = pnstrdup(weights->val.string.val, weights->val.string.len);

		q->learnt = strcmp(word, "learnt") == 0;
		if (!q->learnt && strcmp(word, "equal") != 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("there are no weights \"%s\"", ShortString(word)),
							errhint("Weights are \"learnt\", \"equal\" or an object with a number "
									"for each attribute.")));
		not_of_profile = "special,breaks,weights";
	}
	q->options = options != NULL && JB_ROOT_IS_OBJECT(options)
					 ? psprintf("pg_catalog.jsonb_delete(%s::jsonb, VARIADIC '{%s}'::text[])", all,
								not_of_profile)
					 : psprintf("%s::jsonb", all);
	q->bin_options = psprintf("(SELECT pg_catalog.jsonb_object_agg(o.key, o.value) FROM "
							  "pg_catalog.jsonb_each(%s::jsonb) AS o WHERE o.key IN ('special', "
							  "'breaks'))",
							  options != NULL && JB_ROOT_IS_OBJECT(options) ? all : "'{}'");
}

void
InitMatchQuery(MatchQuery *q, FunctionCallInfo fcinfo, const char *function, int prospects_argument,
			   Jsonb *options)
{
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	TupleDesc customers;
	TupleDesc prospects;

	memset(q, 0, sizeof(*q));
	q->function = function;
	if (PG_ARGISNULL(1) || PG_ARGISNULL(prospects_argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s needs a query of customers and a query of prospects", function)));
	q->customers = TrimmedQuery(PG_GETARG_TEXT_PP(1));
	q->prospects = TrimmedQuery(PG_GETARG_TEXT_PP(prospects_argument));
	customers = QueryColumns(function, q->customers);
	prospects = QueryColumns(function, q->prospects);
	CheckColumnCount(customers, 3, "the customer key, is_target and attributes");
	CheckColumnCount(prospects, 2, "the prospect key and attributes");
	(void) CheckKeyColumn(customers, 1, key_type, function);
	(void) CheckKeyColumn(prospects, 1, key_type, function);
	q->key_type = format_type_be_qualified(key_type);
	q->same_key = EqualityOperator(key_type);
	q->customer_key = pstrdup(quote_identifier(ColumnName(customers, 1)));
	q->prospect_key = pstrdup(quote_identifier(ColumnName(prospects, 1)));
	FindAttributes(q, customers, prospects);
	ReadOptions(q, options);
}

void
ValuesRefused(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s needs targets, not values", what),
			 errhint("Say who the targets are: a column is_target.")));
}

/* ---------- running a SELECT ---------- */

/* Passes rows on to a tuplestore after checking that their columns have the expected types. */
typedef struct CheckedReceiver
{
	DestReceiver pub;
	DestReceiver *store;
	TupleDesc expected;
} CheckedReceiver;

/*
 * The caller's search_path decides which operators and types the names in a SELECT stand for, and
 * so the types of its columns.
 */
static void
CheckedStartup(DestReceiver *self, int operation, TupleDesc columns)
{
	CheckedReceiver *receiver = (CheckedReceiver *) self;

	if (columns->natts != receiver->expected->natts)
		elog(ERROR, "the query returns %d columns, %d are expected", columns->natts,
			 receiver->expected->natts);
	for (int i = 0; i < columns->natts; i++)
	{
		Oid type = TupleDescAttr(columns, i)->atttypid;
		Oid expected = TupleDescAttr(receiver->expected, i)->atttypid;

		if (type != expected)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d is of type %s, not %s", i + 1, format_type_be(type),
							format_type_be(expected)),
					 errhint("An operator or a type in the search_path stands before that of "
							 "pg_catalog.")));
	}
	receiver->store->rStartup(receiver->store, operation, columns);
}

static bool
ReceiveChecked(TupleTableSlot *slot, DestReceiver *self)
{
	CheckedReceiver *receiver = (CheckedReceiver *) self;

	return receiver->store->receiveSlot(slot, receiver->store);
}

static void
CheckedShutdown(DestReceiver *self)
{
	CheckedReceiver *receiver = (CheckedReceiver *) self;

	receiver->store->rShutdown(receiver->store);
}

static void
NothingToDestroy(DestReceiver *self)
{
}

/*
 * For PG_CATCH: rethrows an error about an argument without our SQL in its context; any other error
 * keeps it.
 */
static void
RethrowArgumentError(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error->sqlerrcode != ERRCODE_INVALID_PARAMETER_VALUE &&
		error->sqlerrcode != ERRCODE_UNDEFINED_COLUMN)
		PG_RE_THROW();
	FlushErrorState();
	error->context = NULL;
	error->internalquery = NULL;
	error->internalpos = 0;
	ThrowErrorData(error);
}

/* Runs a SELECT of the given columns into a new tuplestore. */
static Tuplestorestate *
RunIntoStore(const MatchQuery *q, const char *query, TupleDesc columns)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	CheckedReceiver receiver = {.expected = columns};
	MemoryContext caller = CurrentMemoryContext;

	receiver.store = CreateTuplestoreDestReceiver();
	SetTuplestoreDestReceiverParams(receiver.store, store, CurrentMemoryContext, true, NULL, NULL);
	receiver.pub.receiveSlot = ReceiveChecked;
	receiver.pub.rStartup = CheckedStartup;
	receiver.pub.rShutdown = CheckedShutdown;
	receiver.pub.rDestroy = NothingToDestroy;
	receiver.pub.mydest = DestNone;
	PG_TRY();
	{
		RunQuery(q->function, query, &receiver.pub);
	}
	PG_CATCH();
	{
		RethrowArgumentError(caller);
	}
	PG_END_TRY();
	receiver.store->rDestroy(receiver.store);
	return store;
}

void
FetchTexts(const MatchQuery *q, const char *query, char **first, char **second)
{
	TupleDesc columns = CreateTemplateTupleDesc(2);
	Tuplestorestate *store;
	TupleTableSlot *slot;

	TupleDescInitEntry(columns, 1, "first", TEXTOID, -1, 0);
	TupleDescInitEntry(columns, 2, "second", TEXTOID, -1, 0);
	store = RunIntoStore(q, query, columns);
	slot = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);
	if (!tuplestore_gettupleslot(store, true, true, slot))
		elog(ERROR, "the fit returned no row");
	slot_getallattrs(slot);
	*first = slot->tts_isnull[0] ? NULL : TextDatumGetCString(slot->tts_values[0]);
	*second = slot->tts_isnull[1] ? NULL : TextDatumGetCString(slot->tts_values[1]);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(store);
}

void
ReturnMatches(FunctionCallInfo fcinfo, const MatchQuery *q, const char *query, int rank_column)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int ncolumns = rsinfo->setDesc->natts;
	TupleDesc columns = CreateTemplateTupleDesc(ncolumns + 1);
	Tuplestorestate *store;
	TupleTableSlot *slot;
	int64 left_out = 0;

	for (int i = 1; i <= ncolumns; i++)
		TupleDescCopyEntry(columns, i, rsinfo->setDesc, i);
	TupleDescInitEntry(columns, ncolumns + 1, "left_out", INT8OID, -1, 0);
	store = RunIntoStore(q, query, columns);
	slot = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		left_out = DatumGetInt64(slot->tts_values[ncolumns]);
		if (!slot->tts_isnull[rank_column - 1])
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, slot->tts_values,
								 slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(store);
	if (left_out > 0)
		ereport(NOTICE,
				(errmsg_plural(INT64_FORMAT " prospect is a customer already and was left out",
							   INT64_FORMAT " prospects are customers already and were left out",
							   left_out, left_out),
				 errdetail(q->by_email ? "They have the key or the e-mail address of a customer."
									   : "They have the key of a customer.")));
}
