/*
 * segment_on_day.c: the segment of a customer on a day, from the history and the models alone.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "base/local_day.h"
#include "rfm/rfm_model.h"
#include "rfm/segment_scheme.h"
#include "source/lifecycle.h"

/* Models that stay the same from row to row. */
typedef struct SegmentModels
{
	ModelCache rfm;
	ModelCache segments;
	ModelCache clv;
} SegmentModels;

/*
 * The segment of such a score; NULL for none.  The lifecycle takes longer than all the rest, and
 * most scores have the same segment in several, so it is found only where it decides.
 */
static const text *
SegmentOfScore(const SegmentScheme *scheme, RfmScore score, const PurchaseHistory *history,
			   DateADT day, const LapseRule *rule, int32 met)
{
	int r = RFM_R(score);
	int f = RFM_F(score);
	int m = RFM_M(score);
	const text *segment = SegmentOfCustomer(scheme, r, f, m, LIFECYCLE_NEW, met);

	for (int lifecycle = LIFECYCLE_NEW + 1; lifecycle < LIFECYCLES; lifecycle++)
		if (SegmentOfCustomer(scheme, r, f, m, (Lifecycle) lifecycle, met) != segment)
			return SegmentOfCustomer(scheme, r, f, m, LifecycleOf(history, day, rule), met);
	return segment;
}

/*
 * (history, rfm_model, day, scheme, active_days, clv_model, met): as segment(rfm_score(),
 * lifecycle())
 */
PG_FUNCTION_INFO_V1(segment_on_day);
Datum
segment_on_day(PG_FUNCTION_ARGS)
{
	SegmentModels *models = fcinfo->flinfo->fn_extra;
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	const PurchaseHistory *history;
	const RfmModel *rfm;
	const SegmentScheme *scheme;
	const HistorySummary *summary;
	const text *segment;
	LapseRule rule = {0};
	RfmScore score;
	DateADT day;
	int32 met = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT32(6);

	for (int i = 0; i <= 3; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	if (models == NULL)
		models = fcinfo->flinfo->fn_extra = MemoryContextAllocZero(context, sizeof(SegmentModels));
	history = PG_GETARG_HISTORY(0);
	rfm = CachedModel(&RfmModelFormat, &models->rfm, PG_GETARG_DATUM(1), context);
	day = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	scheme = CachedModel(&SegmentSchemeFormat, &models->segments, PG_GETARG_DATUM(3), context);
	CheckBins(rfm->bins, scheme);
	summary = SummaryForRfm(history, day, rfm);
	if (summary == NULL)
		PG_RETURN_NULL();
	score =
		ScoreRfm(rfm, day - summary->last_ever, summary->orders, summary->amount, summary->scale);
	if (PG_ARGISNULL(4) || PG_ARGISNULL(5))
		segment = SegmentOfAnyCustomer(scheme, RFM_R(score), RFM_F(score), RFM_M(score), met);
	else
	{
		rule = LapseRuleFor(PG_GETARG_INT32(4), CachedModel(&ClvModelFormat, &models->clv,
															PG_GETARG_DATUM(5), context));
		segment = SegmentOfScore(scheme, score, history, day, &rule, met);
	}
	if (segment == NULL)
		PG_RETURN_NULL();
	/* a copy: the cached one is freed as soon as another scheme comes */
	PG_RETURN_DATUM(PointerGetDatum(memcpy(palloc(VARSIZE(segment)), segment, VARSIZE(segment))));
}
