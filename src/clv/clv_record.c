/*
 * clv_record.c: how good the forecasts of several models would have been on past days.
 *
 * On several past days every candidate is fitted to what was known then and forecasts the days that
 * followed.  The outcomes are known, so the candidates can be chosen by their record.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/clv_holdout.h"
#include "clv/purchase_record.h"

#define MAX_CUT_OFFS 4
#define MIN_HORIZON 7
#define MAX_HORIZON 3660
#define RECORD_COLUMNS 8

/*
 * The candidates; the first one is chosen unless another is better.  Regularity and season are not
 * tried: the likelihood and the years judge them by far more observations.  Nor is pareto/nbd: its
 * integrals would take longer than all the others together, and it knows no regularity.
 */
typedef struct Candidate
{
	const char *name;
	ClvFamily family;
	uint8 features;
} Candidate;

static const Candidate Candidates[] = {
	{"mbg/cnbd-k, season, months, inflow", CLV_MBG_NBD, FIT_SEASON | FIT_MONTHS | FIT_INFLOW},
	{"bg/cnbd-k, season, months, inflow", CLV_BG_NBD, FIT_SEASON | FIT_MONTHS | FIT_INFLOW},
	{"mbg/cnbd-k, season, months", CLV_MBG_NBD, FIT_SEASON | FIT_MONTHS},
	{"mbg/cnbd-k, season, inflow", CLV_MBG_NBD, FIT_SEASON | FIT_INFLOW},
	{"mbg/nbd", CLV_MBG_NBD, 1},
};
#define CANDIDATES lengthof(Candidates)

/* (state, history, as_of, horizon_days [, day_weights]) */
PG_FUNCTION_INFO_V1(clv_record_transfn);
Datum
clv_record_transfn(PG_FUNCTION_ARGS)
{
	FitOptions options = {.purpose = CLV_MBG_NBD,
						  .features = FIT_SEASON | FIT_MONTHS | FIT_INFLOW,
						  .unit = WEEK_DAYS,
						  .observed_from = DATEVAL_NOBEGIN};
	int32 horizon;

	(void) AggregateContext(fcinfo, "clv_record_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return KeepSummaryState(fcinfo);
	options.until = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	horizon = PG_GETARG_INT32(3);
	if (horizon < MIN_HORIZON || horizon > MAX_HORIZON)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("horizon_days must be between %d and %d, not %d", MIN_HORIZON,
							   MAX_HORIZON, horizon)));
	options.as_of = CheckedDay(options.until - horizon, "as_of");
	options.days = *DayWeightsArgument(fcinfo, 4);
	PG_RETURN_POINTER(
		AddToRecord(PurchaseRecordArgument(fcinfo, 0), &options, false, PG_GETARG_HISTORY(1)));
}

/*
 * The earlier candidate whose fit would be the same, because a feature that only one of the two
 * asks for was sought and not found; the candidate itself if there is none.
 */
static int
TwinOf(int candidate, const ClvModel *models)
{
	const Candidate *this = &Candidates[candidate];

	for (int c = 0; c < candidate; c++)
	{
		const Candidate *other = &Candidates[c];
		uint8 differs = this->features ^ other->features;

		if (this->family != other->family || (differs & FIT_REGULARITY) != 0 ||
			!ClvModelIsUsable(&models[c]))
			continue;
		if (((differs & FIT_INFLOW) == 0 || models[c].observed_from == DATEVAL_NOBEGIN) &&
			((differs & FIT_MONTHS) == 0 || models[c].nown_months == 0))
			return c;
	}
	return candidate;
}

/* A line of the record. */
static Datum
RecordLine(TupleDesc desc, const char *candidate, const ClvModel *model, const SummaryState *state,
		   const HoldoutTotal *total)
{
	Datum values[RECORD_COLUMNS];
	bool nulls[RECORD_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(candidate);
	values[1] = CStringGetTextDatum(ClvModelName(model));
	values[2] = DateADTGetDatum(state->as_of);
	values[3] = DateADTGetDatum(state->until);
	values[4] = Int64GetDatum((int64) total->customers);
	values[5] = Float8GetDatum(total->predicted);
	values[6] = Float8GetDatum(total->actual);
	values[7] = Float8GetDatum(total->error / total->customers);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/*
 * The lines of all candidates on one day; returns how many.  The regularity of customers does not
 * depend on other features, so the first candidate finds it for all.
 */
static int
TryCandidates(TupleDesc desc, SummaryState *state, Datum *lines)
{
	ClvModel *models = palloc(CANDIDATES * sizeof(ClvModel));
	HoldoutTotal totals[CANDIDATES];
	int nlines = 0;

	for (int c = 0; c < CANDIDATES; c++)
	{
		int twin = TwinOf(c, models);

		if (twin == c)
		{
			const ClvModel *like = c > 0 && FitIsMaximum(models[0].status) ? &models[0] : NULL;

			state->purpose = Candidates[c].family;
			state->features = Candidates[c].features;
			FitPurchasesCoarsely(state, like, &models[c]);
			if (ClvModelIsUsable(&models[c]))
				HoldoutTotals(state, &models[c], &totals[c]);
		}
		else
		{
			models[c] = models[twin];
			totals[c] = totals[twin];
		}
		if (ClvModelIsUsable(&models[c]) && totals[c].customers > 0)
			lines[nlines++] = RecordLine(desc, Candidates[c].name, &models[c], state, &totals[c]);
	}
	pfree(models);
	return nlines;
}

PG_FUNCTION_INFO_V1(clv_record_finalfn);
Datum
clv_record_finalfn(PG_FUNCTION_ARGS)
{
	PurchaseRecord *record;
	int32 horizon;
	Datum lines[MAX_CUT_OFFS * CANDIDATES];
	int nlines = 0;
	Oid line_type;
	TupleDesc desc;
	DateADT oldest;

	(void) AggregateContext(fcinfo, "clv_record_finalfn");
	record = PurchaseRecordArgument(fcinfo, 0);
	horizon = record->options.until - record->options.as_of;
	oldest = OldestRecorded(record);
	line_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	desc = lookup_rowtype_tupdesc_copy(line_type, -1);
	for (int i = 1; i <= MAX_CUT_OFFS; i++)
	{
		int64 until = (int64) record->options.until - (int64) (i - 1) * horizon;
		int64 as_of = until - horizon;
		SummaryState *state;

		/* at least as long a time to learn from as is forecast */
		if (as_of - oldest < horizon)
			break;
		state = KnownOn(record, (DateADT) as_of, (DateADT) until, NULL, NULL);
		nlines += TryCandidates(desc, state, lines + nlines);
		pfree(state);
	}
	if (nlines == 0)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(construct_array(lines, nlines, line_type, -1, false, TYPALIGN_DOUBLE));
}
