/*
 * run_as_owner.c: runs the stored SQL of a source as its owner, whoever calls, under settings that
 * the caller cannot choose.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/json.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"
#include "storage/lmgr.h"
#include "parser/parse_func.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/common.h"

/* ---------- settings ---------- */

/*
 * Settings that can change the result of an expression over somebody's tables.  search_path and the
 * time zone are arguments of a source.
 */
static const char *const value_settings[] = {"DateStyle",
											 "IntervalStyle",
											 "lc_monetary",
											 "lc_numeric",
											 "lc_time",
											 "extra_float_digits",
											 "bytea_output",
											 "timezone_abbreviations",
											 "xmlbinary",
											 "default_text_search_config",
											 "transform_null_equals"};

/* Changes a setting for the rest of the current nest level. */
static void
PinSetting(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* Pins name=value, one of value_settings. */
static void
PinValueSetting(char *assignment)
{
	char *equals = strchr(assignment, '=');

	for (int i = 0; equals != NULL && i < lengthof(value_settings); i++)
		if (strlen(value_settings[i]) == equals - assignment &&
			pg_strncasecmp(assignment, value_settings[i], equals - assignment) == 0)
		{
			PinSetting(value_settings[i], equals + 1);
			return;
		}
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("argument \"settings\" of the source: \"%s\" is no setting that it can have",
				ShortString(assignment)),
		 errdetail(
			 "They are written name=value; crm_profile.sources_details shows those of a source."),
		 errhint("Leave it out to take those of the session.")));
}

static void
PinSettings(Datum settings)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &values,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			PinValueSetting(TextDatumGetCString(values[i]));
}

/* The settings that decide how our SQL and that of the source is parsed and written. */
static void
PinReading(void)
{
	PinSetting("search_path", "pg_catalog, pg_temp");
	PinSetting("standard_conforming_strings", "on");
	PinSetting("array_nulls", "on");
	PinSetting("quote_all_identifiers", "off");
	/* an index would find only a part of the rows */
	PinSetting("gin_fuzzy_search_limit", "0");
	/* what belongs to a source is on this server alone: Citus need not carry it to others, nor warn
	 */
	if (GetConfigOption("citus.enable_ddl_propagation", true, false) != NULL)
		PinSetting("citus.enable_ddl_propagation", "off");
}

PG_FUNCTION_INFO_V1(session_settings);
Datum
session_settings(PG_FUNCTION_ARGS)
{
	Datum values[lengthof(value_settings)];

	for (int i = 0; i < lengthof(value_settings); i++)
		values[i] = CStringGetTextDatum(
			psprintf("%s=%s", value_settings[i], GetConfigOption(value_settings[i], false, false)));
	PG_RETURN_ARRAYTYPE_P(
		construct_array(values, lengthof(values), TEXTOID, -1, false, TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(no_notices);
Datum
no_notices(PG_FUNCTION_ARGS)
{
	/* a fixed setting would show warnings to a session that wants none */
	if (client_min_messages < WARNING)
		PinSetting("client_min_messages", "warning");
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(pin_settings);
Datum
pin_settings(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		PinSettings(PG_GETARG_DATUM(0));
	PG_RETURN_VOID();
}

/* ---------- finding and locking a definition ---------- */

/*
 * Finds the table with the definition of a source and its owner, whose rights the caller must have.
 * The name of a source is that of its schema.
 */
static Oid
FindDefinition(const char *name, Oid *owner)
{
	Oid schema = get_namespace_oid(name, true);
	Oid relation = OidIsValid(schema) ? get_relname_relid("source_definition", schema) : InvalidOid;
	Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("source_definition"),
							   ObjectIdGetDatum(get_namespace_oid("crm_profile", false)));
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool found = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		*owner = class->relowner;
		found = class->reloftype == type && class->relkind == RELKIND_RELATION &&
				has_privs_of_role(GetUserId(), *owner);
		ReleaseSysCache(tuple);
	}
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("source \"%s\" does not exist, or you are not its owner",
							   ShortString(name)),
						errhint("SELECT name, owner FROM crm_profile.sources shows yours.")));
	return relation;
}

/*
 * Locks the definition before anything else of the source is locked: whoever comes second waits
 * here.  Nobody waits for a definition, or makes others wait, without the rights of its owner.
 */
static Oid
LockDefinition(const char *name, LOCKMODE mode, bool nowait)
{
	for (;;)
	{
		Oid owner;
		Oid relation = FindDefinition(name, &owner);

		if (!nowait)
			LockRelationOid(relation, mode);
		else if (!ConditionalLockRelationOid(relation, mode))
			ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
							errmsg("source \"%s\" is being refreshed or altered", name),
							errhint("Try again later, or leave out nowait to wait for it.")));
		/* it may have been dropped, recreated, or given to another owner while we waited */
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) &&
			FindDefinition(name, &owner) == relation)
			return owner;
		UnlockRelationOid(relation, mode);
	}
}

/* The owner of the schema could put other tables and views into it. */
static void
CheckSchemaOwner(const char *name, Oid owner)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(name));
	Oid schema_owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "schema \"%s\" is gone", name);
	schema_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (schema_owner != owner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("source \"%s\" belongs to %s, and its schema to %s", name,
						GetUserNameFromId(owner, false), GetUserNameFromId(schema_owner, false)),
				 errdetail("Who owns the schema could put other tables and views into it."),
				 errhint("ALTER SCHEMA %s OWNER TO %s", quote_identifier(name),
						 quote_identifier(GetUserNameFromId(owner, false)))));
}

/* ---------- acting as the owner ---------- */

typedef struct OwnerScope
{
	Oid user;
	int sec_context;
	int nest_level;
} OwnerScope;

/*
 * From here on SQL runs as the owner in a security-restricted operation, with names looked up only
 * in pg_catalog, as in REFRESH MATERIALIZED VIEW.  An error aborts the transaction, which restores
 * user and settings.
 */
static void
BecomeOwner(OwnerScope *scope, Oid owner)
{
	GetUserIdAndSecContext(&scope->user, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context | SECURITY_RESTRICTED_OPERATION);
	scope->nest_level = NewGUCNestLevel();
	PinReading();
	/* keeps the planner from evaluating expressions of indexes and constraints */
	PinSetting("constraint_exclusion", "off");
}

static void
BecomeCaller(const OwnerScope *scope)
{
	AtEOXact_GUC(false, scope->nest_level);
	SetUserIdAndSecContext(scope->user, scope->sec_context);
}

/* Calls a function of crm_profile_internal without checking EXECUTE; it must not be overloaded. */
static Datum
CallInternal(const char *name, const NullableDatum *args, int nargs, Node *resultinfo, bool *isnull)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	FmgrInfo function;
	Datum result;
	Oid any = InvalidOid; /* NULL is only for functions without arguments */
	Oid oid = LookupFuncName(
		list_make2(makeString(pstrdup("crm_profile_internal")), makeString(pstrdup(name))), -1,
		&any, false);

	fmgr_info(oid, &function);
	InitFunctionCallInfoData(*call, &function, nargs, InvalidOid, NULL, resultinfo);
	memcpy(call->args, args, nargs * sizeof(NullableDatum));
	result = FunctionCallInvoke(call);
	*isnull = call->isnull;
	return result;
}

/* Reads the definition of a source as the current user, its owner. */
static NullableDatum
ReadDefinition(const char *name)
{
	NullableDatum argument = {.value = CStringGetTextDatum(name)};
	NullableDatum definition;

	definition.value = CallInternal("source_read", &argument, 1, NULL, &definition.isnull);
	/* flattened: the functions called would take an expanded object for their own */
	definition.value = HeapTupleHeaderGetDatum(DatumGetHeapTupleHeader(definition.value));
	return definition;
}

/* Pins the settings and the time zone of a definition. */
static void
PinDefinition(NullableDatum definition)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(definition.value);
	bool isnull;
	Datum value = GetAttributeByName(row, "settings", &isnull);

	if (!isnull)
		PinSettings(value);
	value = GetAttributeByName(row, "time_zone", &isnull);
	if (!isnull)
		PinSetting("TimeZone", TextDatumGetCString(value));
}

/* ---------- the arguments of the public functions ---------- */

/* The index of the argument of that name, or -1. */
static int
ArgumentNumber(FunctionCallInfo fcinfo, const char *name)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	Oid *types;
	char **names;
	char *modes;
	int found = -1;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	(void) get_func_arg_info(tuple, &types, &names, &modes);
	for (int i = 0; names != NULL && i < PG_NARGS(); i++)
		if (strcmp(names[i], name) == 0)
			found = i;
	ReleaseSysCache(tuple);
	return found;
}

/* An argument as text under the current settings. */
static char *
ArgumentAsText(FunctionCallInfo fcinfo, int i)
{
	Oid output;
	bool varlena;

	getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, i), &output, &varlena);
	return OidOutputFunctionCall(output, PG_GETARG_DATUM(i));
}

/* All arguments that are not NULL as jsonb, by name: {"name": "value as text", …}. */
static Datum
ArgumentsByName(FunctionCallInfo fcinfo)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	StringInfoData json;
	Oid *types;
	char **names;
	char *modes;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	(void) get_func_arg_info(tuple, &types, &names, &modes);
	ReleaseSysCache(tuple);
	initStringInfo(&json);
	for (int i = 0; i < PG_NARGS(); i++)
		if (!PG_ARGISNULL(i))
		{
			Oid output;
			bool varlena;

			getTypeOutputInfo(types[i], &output, &varlena);
			appendStringInfoString(&json, json.len == 0 ? "{" : ", ");
			escape_json(&json, names[i]);
			appendStringInfoString(&json, ": ");
			escape_json(&json, OidOutputFunctionCall(output, PG_GETARG_DATUM(i)));
		}
	appendStringInfoString(&json, json.len == 0 ? "{}" : "}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* Whether an argument names a column, which cannot fail. */
static bool
IsColumn(const char *argument)
{
	if (argument[0] == '"')
		return strchr(argument + 1, '"') == argument + strlen(argument) - 1;
	return strspn(argument, "abcdefghijklmnopqrstuvwxyz_0123456789$") == strlen(argument);
}

/* Whether the query of orders casts the key of the customer, which may fail. */
static bool
CastsKey(HeapTupleHeader definition)
{
	bool isnull;
	Datum query = GetAttributeByName(definition, "orders_query", &isnull);
	char *sql = isnull ? NULL : TextDatumGetCString(query);
	char *end = sql == NULL ? NULL : strstr(sql, " AS customer");
	char *cast = sql == NULL ? NULL : strstr(sql, "::");

	return cast != NULL && (end == NULL || cast < end);
}

/* The arguments about orders that can fail in a row, as they are written, or NULL. */
static char *
ComputedArguments(NullableDatum definition)
{
	static const char *const arguments[] = {"orders", "order_customer", "ordered_at",  "amount",
											"cost",   "order_key",      "order_filter"};
	HeapTupleHeader row = DatumGetHeapTupleHeader(definition.value);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(arguments); i++)
	{
		bool isnull;
		Datum value = GetAttributeByName(row, arguments[i], &isnull);
		char *given = isnull ? NULL : TextDatumGetCString(value);
		bool casts = i == 1 && CastsKey(row);

		/* a table has no blank in its name, as far as one can tell */
		if (given == NULL ||
			(!casts && (i == 0 ? strpbrk(given, " \n\t(") == NULL : IsColumn(given))))
			continue;
		appendStringInfo(&list, "%s%s => %s", list.len > 0 ? ", " : "", arguments[i],
						 quote_literal_cstr(ShortString(given)));
		if (casts)
			appendStringInfo(&list, " as %s",
							 TextDatumGetCString(GetAttributeByName(row, "key_type", &isnull)));
	}
	return list.len > 0 ? list.data : NULL;
}

/*
 * For PG_CATCH: rethrows the error.  If it is about arguments, data, or names that were right when
 * the source was defined, our CONTEXT lines and internal SQL, which mean nothing to users, are left
 * out; the callers' own context lines are added again.  `computed`: the arguments that may have
 * failed in a row of orders, or NULL.
 */
static void
RethrowUserError(MemoryContext context, const char *source, bool reads_orders, const char *computed)
{
	ErrorData *error;
	bool renamed;
	bool faulty_row;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	renamed = error->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
			  error->sqlerrcode == ERRCODE_UNDEFINED_COLUMN ||
			  error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION ||
			  error->sqlerrcode == ERRCODE_UNDEFINED_SCHEMA ||
			  error->sqlerrcode == ERRCODE_DATATYPE_MISMATCH;
	faulty_row = reads_orders && ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
									 ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION);
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_CARDINALITY_VIOLATION) &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) &&
		!renamed)
		PG_RE_THROW();

	FlushErrorState();
	/* messages of ours name the source */
	if ((renamed || faulty_row) && source != NULL &&
		strstr(error->message, psprintf("source \"%s\"", source)) == NULL)
	{
		const char *name = quote_literal_cstr(source);

		error->message = psprintf("source \"%s\": %s", source, error->message);
		if (renamed)
			error->hint =
				psprintf("If tables or columns have other names or types now, name them anew, with "
						 "casts if need be: crm_profile.alter_source(%s, …).",
						 name);
		else
		{
			if (computed != NULL)
				error->detail = psprintf("%s%sIt reads %s.", error->detail ? error->detail : "",
										 error->detail ? " " : "", computed);
			error->hint = psprintf("%s%sSELECT * FROM crm_profile.check_source(%s) counts such "
								   "rows, and shows the argument that leaves them out.",
								   error->hint ? error->hint : "", error->hint ? " " : "", name);
		}
	}
	ereport(DEBUG1,
			(errmsg_internal("%s", error->message),
			 errdetail_internal("%s", error->context ? error->context : ""), errhidecontext(true)));
	error->context = NULL;
	error->internalquery = NULL;
	error->internalpos = 0;
	ThrowErrorData(error);
}

/* ---------- the public functions ---------- */

/*
 * NAME(name of a source, …) calls crm_profile_internal.NAME_as_owner(definition, …) with the other
 * arguments as they are (a polymorphic one as text) or, if by_name, with all of them as jsonb.
 */
static Datum
ActAsOwner(FunctionCallInfo fcinfo, LOCKMODE mode, bool by_name)
{
	char *function = get_func_name(fcinfo->flinfo->fn_oid);
	MemoryContext caller = CurrentMemoryContext;
	NullableDatum *args = palloc((PG_NARGS() + 2) * sizeof(NullableDatum));
	int nowait = ArgumentNumber(fcinfo, "nowait");
	int nargs = 1;
	OwnerScope scope;
	char *source;
	Oid owner;
	bool in_extension_script = creating_extension;
	bool reads_orders =
		strcmp(function, "refresh") == 0 || strncmp(function, "profile_now", 11) == 0;
	char *volatile computed = NULL;
	volatile Datum result = (Datum) 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the name of the source must not be NULL")));
	if (mode > RowExclusiveLock)
		PreventCommandIfReadOnly(psprintf("%s()", function));
	source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	owner = LockDefinition(source, mode,
						   nowait >= 0 && !PG_ARGISNULL(nowait) && PG_GETARG_BOOL(nowait));

	/* even a damaged source can be dropped */
	if (mode != AccessExclusiveLock)
		CheckSchemaOwner(source, owner);

	BecomeOwner(&scope, owner);
	/*
	 * objects made for a source belong to the source, not to the extension, even in upgrade scripts
	 */
	creating_extension = false;
	PG_TRY();
	{
		bool isnull;

		args[0] = ReadDefinition(source);
		if (reads_orders)
			computed = ComputedArguments(args[0]);
		if (mode != AccessExclusiveLock)
			(void) CallInternal("source_verify", args, 1, NULL, &isnull);
		if (by_name)
		{
			PinSetting("DateStyle", "ISO");
			PinSetting("IntervalStyle", "postgres");
			args[nargs++] = (NullableDatum){.value = ArgumentsByName(fcinfo)};
		}
		else
		{
			Oid *types;
			int ntypes;

			if (mode != AccessExclusiveLock)
				PinDefinition(args[0]);
			(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &ntypes);
			for (int i = 1; i < ntypes; i++)
			{
				args[nargs] = fcinfo->args[i];
				if ((types[i] == ANYCOMPATIBLEOID || types[i] == ANYCOMPATIBLEARRAYOID) &&
					!PG_ARGISNULL(i))
					args[nargs].value = CStringGetTextDatum(ArgumentAsText(fcinfo, i));
				nargs++;
			}
		}
		result = CallInternal(psprintf("%s_as_owner", function), args, nargs, fcinfo->resultinfo,
							  &fcinfo->isnull);
	}
	PG_CATCH();
	{
		creating_extension = in_extension_script;
		RethrowUserError(caller, source, reads_orders, computed);
	}
	PG_END_TRY();
	creating_extension = in_extension_script;
	BecomeCaller(&scope);
	return result;
}

/* Functions that read what a source is and has. */
PG_FUNCTION_INFO_V1(run_as_owner);
Datum
run_as_owner(PG_FUNCTION_ARGS)
{
	return ActAsOwner(fcinfo, AccessShareLock, false);
}

PG_FUNCTION_INFO_V1(explain_source);
Datum
explain_source(PG_FUNCTION_ARGS)
{
	return ActAsOwner(fcinfo, AccessShareLock, false);
}

/* Functions that write: one at a time per source, without blocking readers. */
PG_FUNCTION_INFO_V1(change_as_owner);
Datum
change_as_owner(PG_FUNCTION_ARGS)
{
	return ActAsOwner(fcinfo, ShareUpdateExclusiveLock, false);
}

PG_FUNCTION_INFO_V1(alter_source);
Datum
alter_source(PG_FUNCTION_ARGS)
{
	return ActAsOwner(fcinfo, ShareUpdateExclusiveLock, true);
}

PG_FUNCTION_INFO_V1(drop_source);
Datum
drop_source(PG_FUNCTION_ARGS)
{
	return ActAsOwner(fcinfo, AccessExclusiveLock, false);
}

/* Creates a source as the caller, who becomes its owner. */
PG_FUNCTION_INFO_V1(create_source);
Datum
create_source(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	int nest_level = NewGUCNestLevel();
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		NullableDatum given = {0};

		PinReading();
		PinSetting("DateStyle", "ISO");
		PinSetting("IntervalStyle", "postgres");
		given.value = ArgumentsByName(fcinfo);
		result = CallInternal("create_source_from", &given, 1, fcinfo->resultinfo, &fcinfo->isnull);
	}
	PG_CATCH();
	{
		RethrowUserError(caller, NULL, false, NULL);
	}
	PG_END_TRY();
	AtEOXact_GUC(false, nest_level);
	return result;
}

/* (name, nowait): the definition of a source. */
PG_FUNCTION_INFO_V1(source_of);
Datum
source_of(PG_FUNCTION_ARGS)
{
	char *source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid owner = LockDefinition(source, AccessShareLock, PG_GETARG_BOOL(1));
	NullableDatum definition;
	OwnerScope scope;

	BecomeOwner(&scope, owner);
	definition = ReadDefinition(source);
	BecomeCaller(&scope);
	PG_RETURN_DATUM(definition.value);
}

/* ---------- looking at rows ---------- */

/*
 * (query): its single jsonb result.  Like everything that reads other people's tables for a source,
 * it runs in a security-restricted operation.
 */
PG_FUNCTION_INFO_V1(look_at);
Datum
look_at(PG_FUNCTION_ARGS)
{
	char *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	OwnerScope scope;
	Datum result = (Datum) 0;
	bool isnull = true;

	GetUserIdAndSecContext(&scope.user, &scope.sec_context);
	SetUserIdAndSecContext(scope.user, scope.sec_context | SECURITY_RESTRICTED_OPERATION);
	scope.nest_level = NewGUCNestLevel();
	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_tuptable->tupdesc->natts != 1 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("query does not give one jsonb")));
	if (SPI_processed == 1)
		result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		result = SPI_datumTransfer(result, false, -1);
	SPI_finish();
	BecomeCaller(&scope);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
