/*
 * match_prospects.c: match_prospects and where_to_find, from a query of customers and a query of
 * prospects to ranked prospects.
 *
 * Both build one SELECT around the caller's queries, with every name of the extension qualified,
 * and run it with the caller's rights.  The models are fitted first and appear in it as literals.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/caller_query.h"
#include "base/common.h"
#include "match/match_query.h"

#define NEAREST_TARGETS 10 /* that a prospect is compared with by method nearest */
#define NEAREST_SHARE 100  /* or one in so many: where many are alike, ten are all the same */
#define MOST_NEAREST 50
#define MAX_NEAREST_OTHERS 10000 /* what nearest_profiles returns at most */

/* ---------- parts of the SELECT ---------- */

/*
 * (query) AS u, LATERAL (SELECT u.a, …) AS "(row)": the rows, and their attributes as one record,
 * named as no attribute is.
 */
static char *
RowsOf(const MatchQuery *q, const char *query)
{
	return psprintf("(%s\n) AS u, LATERAL (SELECT %s) AS \"(row)\"", query, q->attributes);
}

/* The models within the SELECT, and the profile of a row of RowsOf. */
#define PROFILE_MODEL "(SELECT profile_model FROM models)"
#define MATCH_MODEL "(SELECT match_model FROM models)"
#define PROFILE "crm_profile.profile(\"(row)\", " PROFILE_MODEL ")"

static char *
EmailOf(const MatchQuery *q)
{
	return q->by_email ? "nullif(pg_catalog.lower(pg_catalog.btrim(u.email::text)), '')"
					   : "NULL::text";
}

#define MATCH_FIT                                                                                  \
	"crm_profile.match_fit(crm_profile.profile(c.r, (SELECT m FROM m)), c.t, (SELECT m FROM m), "  \
	"%s)"

/* Fits the profile model on the customers and, for scores or learnt likeness, the match model. */
static void
FitModels(MatchQuery *q, bool by_card)
{
	const char *fit = by_card || q->learnt ? psprintf(MATCH_FIT, q->bin_options)
										   : "pg_catalog.count(*) FILTER (WHERE c.t)";
	const char *second = "a.fit::text";
	char *profile_model;
	char *match_model;

	/* an empty card can tell nobody apart */
	if (!by_card)
		second = q->learnt ? "CASE WHEN (crm_profile.match_quality(a.fit)).attributes > 0 THEN "
							 "a.fit::text ELSE '' END"
						   : "nullif(a.fit, 0)::text";
	FetchTexts(q,
			   psprintf("WITH c AS MATERIALIZED (SELECT %s AS t, \"(row)\" AS r FROM %s), "
						"m AS MATERIALIZED (SELECT crm_profile.profile_fit(c.r, %s) AS m FROM c) "
						"SELECT (SELECT m FROM m)::text, %s FROM (SELECT %s AS fit FROM c) AS a",
						q->target, RowsOf(q, q->customers), q->options, second, fit),
			   &profile_model, &match_model);
	if (profile_model == NULL || match_model == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("%s has no customers to learn from", q->function),
						errhint("The customers query must return rows with is_target true, and "
								"with is_target false, or with a value.")));
	q->learnt = q->learnt && !by_card && match_model[0] != '\0';
	q->profile_model = quote_literal_cstr(profile_model);
	q->match_model = by_card || q->learnt ? quote_literal_cstr(match_model) : "NULL";
}

/*
 * How many targets and how many others a prospect is compared with: some targets, and the
 * same share of the others.
 */
static void
CountNearest(const MatchQuery *q, char **targets, char **others)
{
	FetchTexts(
		q,
		psprintf(
			"SELECT x.k::text, greatest(1, least(%d, pg_catalog.round(x.k * x.others / "
			"x.targets)))::bigint::text FROM (SELECT least(greatest(%d, least(%d, "
			"pg_catalog.count(*) FILTER (WHERE u.is_target) / %d)), pg_catalog.count(*) FILTER "
			"(WHERE "
			"u.is_target)) AS k, greatest(1, pg_catalog.count(*) FILTER (WHERE "
			"u.is_target))::float8 "
			"AS targets, pg_catalog.count(*) FILTER (WHERE NOT u.is_target) AS others FROM %s) AS "
			"x",
			MAX_NEAREST_OTHERS, NEAREST_TARGETS, MOST_NEAREST, NEAREST_SHARE,
			RowsOf(q, q->customers)),
		targets, others);
}

/*
 * Common table expressions: models, known (the customers), found (the prospects) and fresh (the
 * prospects who are not customers).
 */
static void
AppendPeople(StringInfo out, const MatchQuery *q, bool by_card)
{
	appendStringInfo(
		out,
		"WITH models AS MATERIALIZED (SELECT %s::crm_profile.profile_model AS profile_model, "
		"%s::crm_profile.match_model AS match_model), ",
		q->profile_model, q->match_model);
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
	char *profile =
		psprintf("crm_profile.profile(\"(row)\", %s::crm_profile.profile_model)", q->profile_model);
	char *prospects;
	char *customers;

	if (q->learnt)
		profile = psprintf("crm_profile_internal.likeness(%s, %s::crm_profile.match_model)",
						   profile, q->match_model);
	prospects =
		psprintf("SELECT u.%s, %s FROM %s", q->prospect_key, profile, RowsOf(q, q->prospects));
	customers = psprintf("SELECT u.%s, %s FROM %s WHERE %s", q->customer_key, profile,
						 RowsOf(q, q->customers), which);
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
					 NearestCall(q, q->best, count));
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
AppendLikeness(StringInfo out, const MatchQuery *q, const char *others)
{
	appendStringInfo(out,
					 "far AS MATERIALIZED (SELECT candidate AS k, pg_catalog.avg(similarity) AS "
					 "mean FROM %s GROUP BY candidate), ",
					 NearestCall(q, "NOT u.is_target", others));
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

/* What a ranked row r and its nearest target b share and do not share: (attribute, value, other,
 * alike, strength) */
static const char *
SharedQuery(const MatchQuery *q)
{
	if (q->learnt)
		return "SELECT e.attribute, e.value, e.other, e.bin = e.other_bin AS alike, "
			   "CASE WHEN e.bin = e.other_bin THEN pg_catalog.abs(e.points) "
			   "ELSE pg_catalog.abs(e.points - e.other_points) END AS strength "
			   "FROM ROWS FROM (crm_profile.explain_match(r.p, " MATCH_MODEL
			   "), crm_profile.explain_match(b.p, " MATCH_MODEL
			   ")) AS e(attribute, value, bin, points, rows, rate, same, other, other_bin, "
			   "other_points, other_rows, other_rate)";
	return "SELECT e.attribute, e.value_a AS value, e.value_b AS other, e.similarity >= 0.9 AS "
		   "alike, CASE WHEN e.similarity >= 0.9 THEN e.contribution ELSE e.weight * (1 - "
		   "e.similarity) END AS strength FROM crm_profile.explain_similarity(r.p, "
		   "b.p, " PROFILE_MODEL ") AS e WHERE e.similarity IS NOT NULL";
}

/* The reasons of a ranked row r: by the card, or what it shares with its nearest target b, and what
 * not. */
static void
AppendReasonColumns(StringInfo out, const MatchQuery *q, bool by_card)
{
	char *shared;

	if (by_card)
	{
		appendStringInfoString(out, "crm_profile.match_reasons(r.p, " MATCH_MODEL "), "
									"crm_profile.match_reasons_json(r.p, " MATCH_MODEL ")");
		return;
	}
	shared =
		psprintf("FROM (SELECT e.*, pg_catalog.row_number() OVER (PARTITION BY e.alike ORDER BY "
				 "e.strength DESC, e.attribute) AS n FROM (%s) AS e WHERE e.strength >= 0.005) "
				 "AS x WHERE x.n <= CASE WHEN x.alike THEN 5 ELSE 3 END",
				 SharedQuery(q));
	appendStringInfo(
		out,
		"(SELECT pg_catalog.concat_ws('; ', 'alike: ' || pg_catalog.string_agg(x.attribute || ' = "
		"' "
		"|| x.value, ', ' ORDER BY x.n) FILTER (WHERE x.alike), 'unlike: ' || "
		"pg_catalog.string_agg(x.attribute || ' = ' || x.value || ', not ' || x.other, ', ' ORDER "
		"BY "
		"x.n) FILTER (WHERE NOT x.alike)) %s), "
		"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('attribute', x.attribute, "
		"'value', x.value, 'nearest', x.other, 'alike', x.alike, 'strength', x.strength) ORDER BY "
		"x.alike DESC, x.n) %s)",
		shared, shared);
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
	char *targets = "1";
	char *others = NULL;
	MatchQuery q;
	StringInfoData query;

	if (!by_card && strcmp(method, "nearest") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no method \"%s\" to match prospects", ShortString(method)),
						errhint("The methods are \"scorecard\" and \"nearest\".")));
	if (!PG_ARGISNULL(4) && PG_GETARG_INT32(4) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of prospects must be positive, not %d", PG_GETARG_INT32(4))));
	InitMaterializedSRF(fcinfo, 0);
	InitMatchQuery(&q, fcinfo, "match_prospects", 2, PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5));
	if (q.of_values && !by_card)
		ValuesRefused("match_prospects with method nearest");
	FitModels(&q, by_card);
	if (!by_card)
		CountNearest(&q, &targets, &others);

	initStringInfo(&query);
	AppendPeople(&query, &q, by_card);
	AppendNear(&query, &q, targets);
	if (by_card)
		AppendScorecard(&query);
	else
		AppendLikeness(&query, &q, others);
	AppendRanks(&query);
	appendStringInfoString(&query, "SELECT r.k, r.score, r.lift, r.rank, (1 + (r.rank - 1)::bigint "
								   "* 10 / r.people)::int, near.n, near.s, ");
	AppendReasonColumns(&query, &q, by_card);
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
	InitMatchQuery(&q, fcinfo, "where_to_find", 2, PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	FitModels(&q, true);

	initStringInfo(&query);
	AppendPeople(&query, &q, true);
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
		&query, "SELECT v.attribute, v.place, v.people, v.alike, "
				"v.people::float8 / t.people, v.alike::float8 / t.alike, "
				"v.alike::float8 * t.people / (t.alike::float8 * v.people), counted.left_out "
				"FROM counted CROSS JOIN totals AS t LEFT JOIN judged AS v ON v.alike > v.expected "
				"AND v.chance <= (SELECT pg_catalog.max(chance) FROM judged WHERE stands) "
				"ORDER BY (v.alike - v.expected) / pg_catalog.sqrt(v.expected) DESC NULLS LAST, "
				"v.attribute COLLATE \"C\", v.place COLLATE \"C\"");
	ReturnMatches(fcinfo, &q, query.data, 1);
	return (Datum) 0;
}
