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

/* Customers of a fold, or of all others: a part of the text of a query, as an SQL expression. */
static char *
FoldQuery(const MatchQuery *q, bool held_out)
{
	const char *bits =
		"(('x' || pg_catalog.substr(pg_catalog.md5(u.%s::text), %d, 7))::bit(28)::int)";
	char *fold = psprintf(bits, q->customer_key, 1);
	char *half = psprintf(bits, q->customer_key, 8);
	char *head =
		quote_literal_cstr(psprintf("SELECT u.* FROM (%s\n) AS u WHERE %s %% %d %s ", q->customers,
									fold, TRIAL_FOLDS, held_out ? "=" : "<>"));

	if (held_out)
		return psprintf("%s || f.fold", head);
	/* half -1: all targets */
	return psprintf(
		"%s || f.fold || %s || h.half || ')'", head,
		quote_literal_cstr(psprintf(" AND (u.is_target IS NOT TRUE OR %s %% 2 <> 1 - ", half)));
}

/*
 * (key, customers, method, options) → (share, people, found, precision, recall, lift, lift_of_half,
 * stability, advice)
 */
PG_FUNCTION_INFO_V1(match_trial);
Datum
match_trial(PG_FUNCTION_ARGS)
{
	Jsonb *options = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	char *method = PG_ARGISNULL(2) ? "scorecard" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	MatchQuery q;
	StringInfoData query;

	InitMaterializedSRF(fcinfo, 0);
	InitMatchQuery(&q, fcinfo, "match_trial", 1, options);
	if (q.of_values)
		ValuesRefused("match_trial");
	initStringInfo(&query);
	appendStringInfo(
		&query,
		"WITH person AS MATERIALIZED (SELECT u.%s::text AS k, u.is_target AS t FROM (%s\n) "
		"AS u WHERE u.is_target IS NOT NULL), "
		"trial AS MATERIALIZED (SELECT f.fold, h.half, p.k, p.t, "
		"pg_catalog.row_number() OVER (PARTITION BY f.fold, h.half ORDER BY m.score DESC "
		"NULLS LAST, pg_catalog.md5(p.k))::float8 / pg_catalog.count(*) OVER (PARTITION "
		"BY f.fold, h.half) AS place FROM pg_catalog.generate_series(0, %d) AS f(fold), "
		"(VALUES (-1), (0), (1)) AS h(half), "
		"LATERAL crm_profile.match_prospects(NULL::%s, %s, %s, %s, NULL, %s::jsonb) AS m "
		"JOIN person AS p ON p.k = m.prospect::text), ",
		q.customer_key, q.customers, TRIAL_FOLDS - 1, q.key_type, FoldQuery(&q, false),
		FoldQuery(&q, true), quote_literal_cstr(method),
		options == NULL
			? "NULL"
			: quote_literal_cstr(JsonbToCString(NULL, &options->root, VARSIZE(options))));
	appendStringInfoString(
		&query,
		"total AS (SELECT pg_catalog.count(*)::float8 AS people, pg_catalog.count(*) FILTER (WHERE "
		"t)::float8 AS targets FROM trial WHERE half = -1), "
		"chosen AS (SELECT s.share, pg_catalog.count(*) FILTER (WHERE x.half = -1) AS people, "
		"pg_catalog.count(*) FILTER (WHERE x.half = -1 AND x.t) AS found, "
		"pg_catalog.count(*) FILTER (WHERE x.half >= 0)::float8 AS of_halves, "
		"pg_catalog.count(*) FILTER (WHERE x.half >= 0 AND x.t) AS found_by_halves "
		"FROM (VALUES (0.01::float8), (0.05), (0.1), (0.2), (0.5)) AS s(share) JOIN trial AS x ON "
		"x.place <= s.share GROUP BY s.share), "
		"shared AS (SELECT c.share, (SELECT pg_catalog.count(*) FROM trial AS a JOIN trial AS b ON "
		"b.k = a.k AND b.half = 1 WHERE a.half = 0 AND a.place <= c.share AND b.place <= c.share) "
		"* 2 "
		"/ nullif(c.of_halves, 0) AS stability FROM chosen AS c), "
		"judged AS (SELECT c.*, c.found / nullif(c.people, 0)::float8 AS precision, c.found / "
		"nullif(t.targets, 0) AS recall, c.found * t.people / nullif(c.people * t.targets, 0) AS "
		"lift, "
		"c.found_by_halves * t.people / nullif(c.of_halves * t.targets, 0) AS lift_of_half, "
		"s.stability, t.targets FROM chosen AS c JOIN shared AS s USING (share), total AS t) "
		"SELECT share, people, found, precision, recall, lift, lift_of_half, stability, "
		"CASE WHEN targets < 50 THEN 'too few targets to say: ' || targets "
		"WHEN found < 10 THEN 'too few found to say' "
		"WHEN lift - lift_of_half > 2 * lift / pg_catalog.sqrt(found) OR stability < 0.5 THEN "
		"'more targets would help' ELSE 'enough targets' END, 0::bigint FROM judged ORDER BY "
		"share");
	ReturnMatches(fcinfo, &q, query.data, 1);
	return (Datum) 0;
}
