/*
 * match_prospects.c: match_prospects and where_to_find, from a query of customers and a query of
 * prospects to ranked prospects.
 *
 * Both build one SELECT around the caller's queries, with every name of the extension qualified,
 * and run it with the caller's rights.  The models are fitted first and appear in it as literals.
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
#include "utils/plancache.h"
#include "utils/tuplestore.h"

#include "base/caller_query.h"

#define NEAREST_COUNT "10" /* customers that a prospect is compared with by method nearest */

/* Both queries and what their columns have in common. */
typedef struct MatchQuery
{
	const char *function;
	char *customers; /* query text, without a semicolon at the end */
	char *prospects;
	char *key_type;
	char *same_key;     /* the operator that compares keys of that type */
	char *customer_key; /* quoted names of the first columns */
	char *prospect_key;
	bool by_email;       /* both have a column email */
	char *attributes;    /* u."a", u."b", … */
	char *options;       /* of profile_fit, a literal */
	char *profile_model; /* literals, once fitted */
	char *match_model;
} MatchQuery;

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

/*
 * Finds the columns that customers and prospects share; a notice names the
 * others.
 */
static void
FindAttributes(MatchQuery *q, TupleDesc customers, TupleDesc prospects)
{
	int target = ColumnNamed(customers, "is_target");
	StringInfoData common;
	StringInfoData left;

	if (target == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the customers query has no column \"is_target\""),
				 errhint("Say who the targets are: SELECT key, monetary > 1000 AS is_target, … "
						 "FROM customers.")));
	if (TupleDescAttr(customers, target - 1)->atttypid != BOOLOID)
		ColumnTypeRefused(customers, target, "target", "boolean", NULL);
	q->by_email = ColumnNamed(customers, "email") > 0 && ColumnNamed(prospects, "email") > 0;

	initStringInfo(&common);
	initStringInfo(&left);
	for (int i = 2; i <= customers->natts; i++)
	{
		const char *name = ColumnName(customers, i);

		if (i == target || strcmp(name, "email") == 0)
			continue;
		if (ColumnNamed(prospects, name) > 1)
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

		if (strcmp(name, "email") != 0 && strcmp(name, "is_target") != 0 &&
			ColumnNamed(customers, name) < 2)
			appendStringInfo(&left, "%s%s", left.len > 0 ? ", " : "", name);
	}
	if (left.len > 0)
		ereport(NOTICE,
				(errmsg("columns that only one of the queries has are ignored: %s", left.data)));
	q->attributes = common.data;
}

/* (key, customers, prospects, …): reads and checks the queries. */
static void
InitMatchQuery(MatchQuery *q, FunctionCallInfo fcinfo, const char *function, Jsonb *options)
{
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	TupleDesc customers;
	TupleDesc prospects;

	memset(q, 0, sizeof(*q));
	q->function = function;
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s needs a query of customers and a query of prospects", function)));
	q->customers = TrimmedQuery(PG_GETARG_TEXT_PP(1));
	q->prospects = TrimmedQuery(PG_GETARG_TEXT_PP(2));
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
	q->options = quote_literal_cstr(
		options == NULL ? "{}" : JsonbToCString(NULL, &options->root, VARSIZE(options)));
}

/* ---------- parts of the SELECT ---------- */

/* "(query) AS u, LATERAL (SELECT u.a, …) AS r": the rows, and their attributes as one record. */
static char *
RowsOf(const MatchQuery *q, const char *query)
{
	return psprintf("(%s\n) AS u, LATERAL (SELECT %s) AS r", query, q->attributes);
}

/* The models within the SELECT, and the profile of a row of RowsOf. */
#define PROFILE_MODEL "(SELECT profile_model FROM models)"
#define MATCH_MODEL "(SELECT match_model FROM models)"
#define PROFILE "crm_profile.profile(r, " PROFILE_MODEL ")"

static char *
EmailOf(const MatchQuery *q)
{
	return q->by_email ? "nullif(pg_catalog.lower(pg_catalog.btrim(u.email::text)), '')"
					   : "NULL::text";
}

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

/* Two text columns of a query's first row; NULL if they are. */
static void
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

/* Fits the profile model on the customers, and the match model if it is wanted. */
static void
FitModels(MatchQuery *q, bool match)
{
	const char *second = match ? "crm_profile.match_fit(crm_profile.profile(c.r, (SELECT m FROM "
								 "m)), c.t, (SELECT m FROM m))::text"
							   : "nullif(pg_catalog.count(*) FILTER (WHERE c.t), 0)::text";
	char *profile_model;
	char *match_model;

	FetchTexts(
		q,
		psprintf("WITH c AS MATERIALIZED (SELECT u.is_target AS t, r FROM %s), "
				 "m AS MATERIALIZED (SELECT crm_profile.profile_fit(c.r, %s::jsonb) AS m FROM c) "
				 "SELECT (SELECT m FROM m)::text, %s FROM c",
				 RowsOf(q, q->customers), q->options, second),
		&profile_model, &match_model);
	if (profile_model == NULL || match_model == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("%s has no customers to learn from", q->function),
						errhint("The customers query must return rows with is_target true, and "
								"with is_target false.")));
	q->profile_model = quote_literal_cstr(profile_model);
	q->match_model = match ? quote_literal_cstr(match_model) : NULL;
}

/*
 * Common table expressions: models, known (the customers), found (the prospects) and fresh (the
 * prospects who are not customers).
 */
static void
AppendPeople(StringInfo out, const MatchQuery *q)
{
	bool by_card = q->match_model != NULL;

	appendStringInfo(
		out,
		"WITH models AS MATERIALIZED (SELECT %s::crm_profile.profile_model AS profile_model, "
		"%s::crm_profile.match_model AS match_model), ",
		q->profile_model, by_card ? q->match_model : "NULL");
	appendStringInfo(out,
					 "known AS MATERIALIZED (SELECT u.%s::%s AS k, %s AS e, %s AS p FROM %s), ",
					 q->customer_key, q->key_type, EmailOf(q), by_card ? "NULL" : PROFILE,
					 RowsOf(q, q->customers));
	appendStringInfo(
		out, "found AS MATERIALIZED (SELECT u.%s::%s AS k, %s AS e, " PROFILE " AS p FROM %s), ",
		q->prospect_key, q->key_type, EmailOf(q), RowsOf(q, q->prospects));
	appendStringInfo(out,
					 "fresh AS MATERIALIZED (SELECT f.k, f.p FROM found AS f "
					 "WHERE NOT EXISTS (SELECT FROM known AS c WHERE c.k %s f.k)%s), ",
					 q->same_key,
					 q->by_email ? " AND NOT EXISTS (SELECT FROM known AS c WHERE c.e = f.e)" : "");
}

/* nearest_profiles from prospects to some of the customers, which runs queries of its own. */
static char *
NearestCall(const MatchQuery *q, const char *which, const char *count)
{
	char *prospects =
		psprintf("SELECT u.%s, crm_profile.profile(r, %s::crm_profile.profile_model) FROM %s",
				 q->prospect_key, q->profile_model, RowsOf(q, q->prospects));
	char *customers = psprintf(
		"SELECT u.%s, crm_profile.profile(r, %s::crm_profile.profile_model) FROM %s WHERE %s",
		q->customer_key, q->profile_model, RowsOf(q, q->customers), which);

	return psprintf("crm_profile.nearest_profiles(NULL::%s, %s, %s, %s)", q->key_type,
					quote_literal_cstr(prospects), quote_literal_cstr(customers), count);
}

/* near (k, n, s, mean): the nearest target, and the mean similarity to some of them. */
static void
AppendNear(StringInfo out, const MatchQuery *q, const char *count)
{
	appendStringInfo(out,
					 "near AS MATERIALIZED (SELECT candidate AS k, (pg_catalog.array_agg(target "
					 "ORDER BY rank))[1] AS n, "
					 "pg_catalog.max(similarity) AS s, pg_catalog.avg(similarity) AS mean FROM %s "
					 "GROUP BY candidate), ",
					 NearestCall(q, "u.is_target", count));
}

/* scored (k, p, score, lift): the chance of being a target. */
static void
AppendScorecard(StringInfo out)
{
	appendStringInfoString(out, "scored AS (SELECT k, p, crm_profile.match_score(p, " MATCH_MODEL
								") AS score, "
								"crm_profile.match_lift(p, " MATCH_MODEL ") AS lift FROM fresh), ");
}

/*
 * scored by likeness: the mean distance to the nearest others, as a share of that and the mean
 * distance to the nearest targets.  One half means equally near to both, however sparse the
 * neighbourhood is.
 */
static void
AppendLikeness(StringInfo out, const MatchQuery *q)
{
	appendStringInfo(out,
					 "far AS MATERIALIZED (SELECT candidate AS k, pg_catalog.avg(similarity) AS "
					 "mean FROM %s GROUP BY candidate), ",
					 NearestCall(q, "NOT u.is_target", NEAREST_COUNT));
	appendStringInfo(
		out,
		"scored AS (SELECT f.k, f.p, CASE WHEN near.mean + far.mean < 2 THEN (1 - far.mean) / "
		"(2 - near.mean - far.mean) "
		"WHEN near.mean + far.mean >= 2 THEN 0.5 END AS score, NULL::double precision AS lift "
		"FROM fresh AS f LEFT JOIN near ON near.k %s f.k LEFT JOIN far ON far.k %s f.k), ",
		q->same_key, q->same_key);
}

/* ranked: equal scores share their rank and their tenth. */
static void
AppendRanks(StringInfo out)
{
	appendStringInfoString(out, "ranked AS MATERIALIZED (SELECT s.*, (pg_catalog.rank() OVER "
								"(ORDER BY score DESC NULLS LAST))::int AS rank, "
								"pg_catalog.count(*) OVER () AS people FROM scored AS s), "
								"counted AS (SELECT (SELECT pg_catalog.count(*) FROM found) - "
								"(SELECT pg_catalog.count(*) FROM fresh) AS left_out) ");
}

/* ---------- the functions ---------- */

/*
 * Passes the rows on to the caller without the last column, which is the number of prospects left
 * out.  A row without a rank only carries that number.
 */
static void
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

/* The reasons of a ranked row r: by the card, or what it shares with its nearest target b. */
static void
AppendReasonColumns(StringInfo out, bool by_card)
{
#define SHARED                                                                                     \
	"FROM (SELECT * FROM crm_profile.explain_similarity(r.p, b.p, " PROFILE_MODEL ") "             \
	"WHERE similarity >= 0.9 ORDER BY contribution DESC, attribute LIMIT 5) AS x"

	if (by_card)
		appendStringInfoString(out, "crm_profile.match_reasons(r.p, " MATCH_MODEL "), "
									"crm_profile.match_reasons_json(r.p, " MATCH_MODEL ")");
	else
		appendStringInfoString(out,
							   "(SELECT pg_catalog.string_agg(x.attribute || ' = ' || x.value_a, "
							   "', ' ORDER BY x.contribution DESC, x.attribute) " SHARED "), "
							   "(SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY "
							   "x.contribution DESC, x.attribute) " SHARED ")");
}

/*
 * (key, customers, prospects, method, max_rows, options) → (prospect, score, lift, rank, decile,
 * nearest_customer, similarity, reasons, reasons_json)
 */
PG_FUNCTION_INFO_V1(match_prospects);
Datum
match_prospects(PG_FUNCTION_ARGS)
{
	char *method = PG_ARGISNULL(3) ? "scorecard" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	bool by_card = strcmp(method, "scorecard") == 0;
	MatchQuery q;
	StringInfoData query;

	if (!by_card && strcmp(method, "nearest") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no method \"%s\" to match prospects", method),
						errhint("The methods are \"scorecard\" and \"nearest\".")));
	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of prospects must be positive, not %d", PG_GETARG_INT32(4))));
	InitMaterializedSRF(fcinfo, 0);
	InitMatchQuery(&q, fcinfo, "match_prospects", PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5));
	FitModels(&q, by_card);

	initStringInfo(&query);
	AppendPeople(&query, &q);
	AppendNear(&query, &q, by_card ? "1" : NEAREST_COUNT);
	if (by_card)
		AppendScorecard(&query);
	else
		AppendLikeness(&query, &q);
	AppendRanks(&query);
	appendStringInfoString(&query, "SELECT r.k, r.score, r.lift, r.rank, (1 + (r.rank - 1)::bigint "
								   "* 10 / r.people)::int, near.n, near.s, ");
	AppendReasonColumns(&query, by_card);
	appendStringInfo(&query,
					 ", counted.left_out FROM counted LEFT JOIN ranked AS r ON %s LEFT JOIN near "
					 "ON near.k %s r.k ",
					 PG_ARGISNULL(4) ? "true" : psprintf("r.rank <= %d", PG_GETARG_INT32(4)),
					 q.same_key);
	if (!by_card)
		appendStringInfo(
			&query, "LEFT JOIN (SELECT DISTINCT ON (k) k, p FROM known) AS b ON b.k %s near.n ",
			q.same_key);
	appendStringInfo(&query,
					 "ORDER BY r.rank, near.s DESC NULLS LAST, r.k::text COLLATE \"C\" LIMIT %s",
					 PG_ARGISNULL(4) ? "ALL" : psprintf("%d", PG_GETARG_INT32(4)));
	ReturnMatches(fcinfo, &q, query.data, 4);
	return (Datum) 0;
}

/*
 * (key, customers, prospects, share, options) → (attribute, value, prospects, look_alikes,
 * share_of_prospects, share_of_look_alikes, concentration)
 */
PG_FUNCTION_INFO_V1(where_to_find);
Datum
where_to_find(PG_FUNCTION_ARGS)
{
	double share = PG_ARGISNULL(3) ? 0.1 : PG_GETARG_FLOAT8(3);
	MatchQuery q;
	StringInfoData query;

	if (!(share > 0 && share < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the share of prospects that count as look-alikes must lie between "
							   "0 and 1, not %g",
							   share)));
	InitMaterializedSRF(fcinfo, 0);
	InitMatchQuery(&q, fcinfo, "where_to_find", PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	FitModels(&q, true);

	initStringInfo(&query);
	AppendPeople(&query, &q);
	AppendScorecard(&query);
	AppendRanks(&query);
	/* leaves out what chance can explain, at a false discovery rate of 5 % (Benjamini, Hochberg) */
	appendStringInfo(
		&query,
		", totals AS (SELECT pg_catalog.count(*) AS people, pg_catalog.count(*) FILTER "
		"(WHERE rank <= %.17g * people) AS alike FROM ranked), "
		"places AS (SELECT x.attribute, x.place, pg_catalog.count(*) AS people, "
		"pg_catalog.count(*) FILTER (WHERE r.rank <= %.17g * r.people) AS alike "
		"FROM ranked AS r, crm_profile.match_places(r.p, " MATCH_MODEL ") "
		"AS x GROUP BY x.attribute, x.place), "
		"tested AS (SELECT p.*, p.people::float8 * t.alike / t.people AS expected, "
		"crm_profile_internal.excess_p_value(p.alike, t.alike, p.people, t.people) AS chance "
		"FROM places AS p, totals AS t), "
		"judged AS (SELECT v.*, v.chance <= 0.05 * pg_catalog.count(*) OVER (ORDER BY v.chance) / "
		"pg_catalog.count(*) OVER () AS stands FROM tested AS v) ",
		share, share);
	appendStringInfoString(
		&query, "SELECT v.attribute, v.place, v.people, v.alike, v.people::float8 / t.people, "
				"v.alike::float8 / t.alike, "
				"v.alike::float8 * t.people / (t.alike::float8 * v.people), counted.left_out "
				"FROM counted CROSS JOIN totals AS t LEFT JOIN judged AS v ON v.alike > v.expected "
				"AND v.chance <= (SELECT pg_catalog.max(chance) FROM judged WHERE stands) "
				"ORDER BY (v.alike - v.expected) / pg_catalog.sqrt(v.expected) DESC NULLS LAST, "
				"v.attribute COLLATE \"C\", v.place COLLATE \"C\"");
	ReturnMatches(fcinfo, &q, query.data, 1);
	return (Datum) 0;
}
