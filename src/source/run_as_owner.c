/*
 * run_as_owner.c: what sources need from C: running their stored SQL as their owner,
 * what a query reads, near names for misspelt ones, and samples of customers.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "base/common.h"

#define NEAR_NAMES 3

/* ---------- running as the owner ---------- */

/* The owner of a source that the caller has the rights of; an error if there is none. */
static Oid
SourceOwner(const char *name)
{
	Oid type = TEXTOID;
	Datum value = CStringGetTextDatum(name);
	Oid owner;
	bool isnull;

	if (SPI_execute_with_args("SELECT owner::pg_catalog.oid FROM crm_profile.source WHERE name "
							  "OPERATOR(pg_catalog.=) $1",
							  1, &type, &value, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the sources");
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("source \"%s\" does not exist, or you are not its owner", name),
						errhint("SELECT name, owner FROM crm_profile.sources shows yours.")));
	owner =
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of source \"%s\"", name)));
	if (GetUserNameFromId(owner, true) == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the owner of source \"%s\" does not exist any more", name),
						errhint("Drop the source and create it again.")));
	return owner;
}

/* A setting for the rest of the current nest level. */
static void
Pin(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* The call of NAME_as_owner with the arguments of NAME; a polymorphic one goes as text. */
static void
RunImplementation(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	StringInfoData query;
	Oid *types;
	int nargs;
	Datum *values;
	char *nulls;
	char *function = get_func_name(fcinfo->flinfo->fn_oid);

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &nargs);
	values = palloc((nargs + 1) * sizeof(Datum));
	nulls = palloc(nargs + 1);
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT * FROM crm_profile_internal.%s(",
					 quote_identifier(psprintf("%s_as_owner", function)));
	for (int i = 0; i < nargs; i++)
	{
		appendStringInfo(&query, "%s$%d", i > 0 ? ", " : "", i + 1);
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
		if (types[i] == ANYCOMPATIBLEOID)
		{
			Oid output;
			bool varlena;

			types[i] = TEXTOID;
			if (fcinfo->args[i].isnull)
				continue;
			getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, i), &output, &varlena);
			values[i] = CStringGetTextDatum(OidOutputFunctionCall(output, values[i]));
		}
	}
	appendStringInfoChar(&query, ')');

	if (SPI_execute_with_args(query.data, nargs, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run %s", function);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
}

/*
 * The C side of refresh(name, …), check_source(name), forget_customer(name, …)
 * and profile_now(name, …): whoever calls, the SQL that the source stores runs as
 * its owner, in a security-restricted operation and with names looked up in
 * pg_catalog alone, as REFRESH MATERIALIZED VIEW does.  An error leaves the
 * transaction, which puts user and settings back.
 */
PG_FUNCTION_INFO_V1(run_as_owner);
Datum
run_as_owner(PG_FUNCTION_ARGS)
{
	Oid owner;
	Oid user;
	int sec_context;
	int nest_level;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the name of the source must not be NULL")));
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	owner = SourceOwner(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(owner, sec_context | SECURITY_RESTRICTED_OPERATION);
	nest_level = NewGUCNestLevel();
	Pin("search_path", "pg_catalog, pg_temp");
	RunImplementation(fcinfo);
	AtEOXact_GUC(false, nest_level);
	SetUserIdAndSecContext(user, sec_context);

	SPI_finish();
	return (Datum) 0;
}

/* ---------- what a query reads ---------- */

static Datum
OidArray(const Oid *oids, int n)
{
	Datum *values = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* (query): the relations that it reads, and the types of its columns; it is not run. */
PG_FUNCTION_INFO_V1(describe_query);
Datum
describe_query(PG_FUNCTION_ARGS)
{
	char *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc result;
	SPIPlanPtr plan;
	List *sources;
	List *relations;
	CachedPlanSource *source;
	Datum values[2];
	bool nulls[2] = {false, false};
	Oid *oids;
	int n = 0;
	ListCell *cell;

	if (get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
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
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result), values, nulls)));
}

/* ---------- near names ---------- */

/* (name, candidates): the candidates that look like it, nearest first; NULL if none does. */
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
		/* the distance function takes no more than this */
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
	/* a near one leaves those out that are much farther away */
	for (int i = 0; i < found && (distance[i] == distance[0] || distance[i] < 2 * distance[0]); i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", near[i]);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(list.data, list.len));
}

/* ---------- samples ---------- */

/*
 * (key, share): whether that share of all keys has this one among them; the same
 * everywhere and for ever.
 */
PG_FUNCTION_INFO_V1(in_sample);
Datum
in_sample(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(0);
	uint64 hash = FastStableHash64(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));

	PG_RETURN_BOOL(ldexp((double) hash, -64) < PG_GETARG_FLOAT8(1));
}
