/*
 * match_trial.c: how well match_prospects works on customers that it has not seen.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "match/match_query.h"

#define TRIAL_FOLDS 5
#define MOST_RESAMPLES 20
/* With fewer targets in a part of them, by chance there might be none. */
#define LEAST_IN_PART 25

/* Customers of a fold, or of all others: a part of the text of a query, as an SQL expression. */
static char *
FoldQuery(const MatchQuery *q, bool held_out)
{
	const char *bits =
		"(('x' || pg_catalog.substr(pg_catalog.md5(u.%s::text%s), 1, 7))::bit(28)::int)";
	char *head = quote_literal_cstr(psprintf("SELECT u.* FROM (%s\n) AS u WHERE %s %% %d %s ",
											 q->customers, psprintf(bits, q->customer_key, ""),
											 TRIAL_FOLDS, held_out ? "=" : "<>"));

	if (held_out)
		return psprintf("%s || f.fold", head);
	/* the targets are dealt out anew by each resample; one part of them is kept, of one part all */
	return psprintf(
		"%s || f.fold || pg_catalog.format(%s, d.resample, d.parts, d.part)", head,
		quote_literal_cstr(psprintf(" AND (u.is_target IS NOT TRUE OR %s %%%% %%2$s = %%3$s)",
									psprintf(bits, q->customer_key, " || '/%1$s'"))));
}

/*
 * trial (fold, resample, parts, part, k, t, place): each person of a fold with the place, as a
 * share, that a part of the targets of the other folds gives.
 */
static void
AppendTrial(StringInfo query, const MatchQuery *q, const char *method, Jsonb *options,
			int resamples)
{
	appendStringInfo(
		query,
		"WITH person AS MATERIALIZED (SELECT u.%s::text AS k, u.is_target AS t FROM (%s\n) "
		"AS u WHERE u.is_target IS NOT NULL), "
		"dealt AS (SELECT 0 AS resample, 1 AS parts, 0 AS part UNION ALL SELECT r.*, p.* FROM "
		"pg_catalog.generate_series(1, %d) AS r, (VALUES (2, 0), (2, 1), (4, 0), (4, 1)) AS "
		"p(parts, part)), "
		"trial AS MATERIALIZED (SELECT f.fold, d.*, p.k, p.t, "
		"pg_catalog.row_number() OVER w::float8 / pg_catalog.count(*) OVER (PARTITION BY f.fold, "
		"d.resample, d.parts, d.part) AS place "
		"FROM pg_catalog.generate_series(0, %d) AS f(fold), "
		"(SELECT * FROM dealt WHERE parts = 1 OR (SELECT pg_catalog.count(*) FROM person WHERE t) "
		">= %d * parts OFFSET 0) AS d, "
		"LATERAL crm_profile.match_prospects(NULL::%s, %s, %s, %s, NULL, %s::jsonb) AS m "
		"JOIN person AS p ON p.k = m.prospect::text WINDOW w AS (PARTITION BY f.fold, d.resample, "
		"d.parts, d.part ORDER BY m.score DESC NULLS LAST, pg_catalog.md5(p.k))), ",
		q->customer_key, q->customers, resamples, TRIAL_FOLDS - 1, LEAST_IN_PART, q->key_type,
		FoldQuery(q, false), FoldQuery(q, true), quote_literal_cstr(method),
		options == NULL
			? "NULL"
			: quote_literal_cstr(JsonbToCString(NULL, &options->root, VARSIZE(options))));
}

/* What the best places hold, how many of the same people both halves choose, and advice. */
#define JUDGED                                                                                     \
	"total AS (SELECT pg_catalog.count(*)::float8 AS people, pg_catalog.count(*) FILTER (WHERE "   \
	"t)::float8 AS targets FROM trial WHERE parts = 1), "                                          \
	"chosen AS (SELECT s.share, x.parts, pg_catalog.count(*) AS people, pg_catalog.count(*) "      \
	"FILTER (WHERE x.t) AS found FROM (VALUES (0.01::float8), (0.05), (0.1), (0.2), (0.5)) AS "    \
	"s(share) JOIN trial AS x ON x.place <= s.share GROUP BY s.share, x.parts), "                  \
	"shared AS (SELECT c.share, (SELECT pg_catalog.count(*) FROM trial AS a JOIN trial AS b ON "   \
	"b.k = a.k AND b.resample = a.resample AND b.parts = 2 AND b.part = 1 WHERE a.parts = 2 AND "  \
	"a.part = 0 AND a.place <= c.share AND b.place <= c.share) * 2 / nullif(c.people, 0)::float8 " \
	"AS stability FROM chosen AS c WHERE c.parts = 2), "                                           \
	"lifted AS (SELECT c.*, c.found * t.people / nullif(c.people * t.targets, 0) AS lift, "        \
	"t.targets FROM chosen AS c, total AS t), "                                                    \
	"judged AS (SELECT a.*, h.lift AS lift_of_half, q.lift AS lift_of_quarter, s.stability, "      \
	"2 * a.lift / pg_catalog.sqrt(nullif(a.found, 0)) AS luck FROM lifted AS a LEFT JOIN lifted "  \
	"AS h ON h.share = a.share AND h.parts = 2 LEFT JOIN lifted AS q ON q.share = a.share AND "    \
	"q.parts = 4 LEFT JOIN shared AS s ON s.share = a.share WHERE a.parts = 1) "                   \
	"SELECT share, people, found, found / nullif(people, 0)::float8, found / nullif(targets, 0), " \
	"lift, lift_of_half, lift_of_quarter, stability, "                                             \
	"CASE WHEN targets < 50 THEN 'too few targets to say: ' || targets "                           \
	"WHEN found < 10 THEN 'too few found to say' "                                                 \
	"WHEN lift - lift_of_half > luck OR stability < 0.5 THEN 'more targets would help: ' || "      \
	"targets || ' are few' ELSE 'enough targets: ' || pg_catalog.round(targets / CASE WHEN lift "  \
	"- lift_of_quarter <= luck THEN 4 ELSE 2 END) || ' of ' || targets || ' would do' END, "       \
	"0::bigint FROM judged ORDER BY share"

/*
 * (key, customers, method, options, resamples) → (share, people, found, precision, recall, lift,
 * lift_of_half, lift_of_quarter, stability, advice)
 */
PG_FUNCTION_INFO_V1(match_trial);
Datum
match_trial(PG_FUNCTION_ARGS)
{
	Jsonb *options = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	char *method = PG_ARGISNULL(2) ? "scorecard" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	int resamples = PG_ARGISNULL(4) ? 1 : PG_GETARG_INT32(4);
	MatchQuery q;
	StringInfoData query;

	if (resamples < 1 || resamples > MOST_RESAMPLES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of resamples is %d, not 1 to %d", resamples, MOST_RESAMPLES)));
	InitMaterializedSRF(fcinfo, 0);
	InitMatchQuery(&q, fcinfo, "match_trial", 1, options);
	if (q.of_values)
		ValuesRefused("match_trial");
	initStringInfo(&query);
	AppendTrial(&query, &q, method, options, resamples);
	appendStringInfoString(&query, JUDGED);
	ReturnMatches(fcinfo, &q, query.data, 1);
	return (Datum) 0;
}
