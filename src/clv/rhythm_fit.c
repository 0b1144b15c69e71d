/*
 * rhythm_fit.c: the aggregate that fits rhythm models, and their prediction.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/rhythm.h"
#include "clv/summary_state.h"

#define RHYTHM_PURPOSE 16 /* not a ClvFamily */
#define CLOSE_ENOUGH 4.0  /* coarse log-likelihoods this close are compared on the whole sample */

/*
 * The part of the log-likelihood that does not depend on a and b: Σ (k - 1) ln gap - ln Γ(k) over
 * all gaps, in the unit of time.
 */
static double
ConstantOf(int k, double gaps, double log_gaps)
{
	return (k - 1) * log_gaps - gaps * lgamma(k);
}

/* The samples of a fit, and what it has learnt. */
typedef struct RhythmFit
{
	RhythmSample *sample;
	RhythmSample *coarse;
	double gaps;
	double log_gaps;
	double curvature[RHYTHM_PARAMETERS * RHYTHM_PARAMETERS]; /* see FitProblem */
} RhythmFit;

typedef enum Effort
{
	ROUGHLY, /* only climbing, on the coarse sample */
	FULLY,
	PENALIZED
} Effort;

/*
 * Finds the best a and b at one regularity, starting where a fit at another one ended or, if that
 * is NULL, from several starts; false if there is no maximum.
 */
static bool
FitAtRegularity(RhythmFit *fit, int k, Effort effort, const FitResult *known, int known_k,
				FitResult *result)
{
	static const double shapes[] = {1, 0.4, 3, 8};
	/* ln(a, b) by ln(a, a/b): an edge where all customers have the same rate */
	static const double basis[] = {1, 0, 1, -1};
	FitProblem problem = {.nparameters = RHYTHM_PARAMETERS,
						  .npositive = RHYTHM_PARAMETERS,
						  .basis = basis,
						  .likelihood = RhythmLogLikelihood,
						  .sample = fit->sample,
						  .coarse = fit->coarse,
						  .weight = fit->sample->customers->weight,
						  .nstarts = lengthof(shapes),
						  .penalized = effort == PENALIZED,
						  .roughly = effort == ROUGHLY,
						  .curvature = fit->curvature};

	fit->sample->k = fit->coarse->k = k;
	fit->sample->constant = fit->coarse->constant = ConstantOf(k, fit->gaps, fit->log_gaps);
	for (int s = 0; s < problem.nstarts; s++)
	{
		/* the unit of time is the mean gap, so the mean rate a/b is about k */
		problem.start[s][0] = shapes[s];
		problem.start[s][1] = k;
	}
	/* at an edge the likelihood is level, and may rise elsewhere */
	if (known && (effort == FULLY || known->status == FIT_CONVERGED))
	{
		problem.nstarts = 1;
		problem.start[0][0] = known->parameters[0];
		problem.start[0][1] = known->parameters[0] / known->parameters[1] * k / known_k;
	}
	else
		memset(fit->curvature, 0, sizeof(fit->curvature));
	MaximizeLikelihood(&problem, result);
	return FitIsMaximum(result->status);
}

/* Puts a fit at one regularity into the model if it is the best one so far. */
static void
KeepIfBest(RhythmModel *model, int k, const FitResult *result)
{
	if (!FitIsMaximum(result->status) ||
		(model->status != FIT_FAILED && result->log_likelihood <= model->log_likelihood))
		return;
	model->status = result->status;
	model->regularity = k;
	model->log_likelihood = result->log_likelihood;
	memcpy(model->parameters, result->parameters, sizeof(model->parameters));
	memcpy(model->covariance, result->covariance, sizeof(model->covariance));
}

/*
 * Climbs at every regularity on the coarse sample, each time from where the last one ended; then
 * those that come close to the best are fitted.
 */
static void
FitRegularities(RhythmModel *model, RhythmFit *fit)
{
	FitResult rough[MAX_REGULARITY + 1];
	bool left[MAX_REGULARITY + 1] = {false};
	double best;

	for (int k = 1; k <= MAX_REGULARITY; k++)
		left[k] =
			FitAtRegularity(fit, k, ROUGHLY, left[k - 1] ? &rough[k - 1] : NULL, k - 1, &rough[k]);
	/* the next best, should those have no maximum */
	do
	{
		best = -INFINITY;
		for (int k = 1; k <= MAX_REGULARITY; k++)
			if (left[k])
				best = Max(best, rough[k].log_likelihood);
		for (int k = 1; k <= MAX_REGULARITY; k++)
		{
			FitResult result;

			if (!left[k] || rough[k].log_likelihood < best - CLOSE_ENOUGH)
				continue;
			left[k] = false;
			(void) FitAtRegularity(fit, k, FULLY, &rough[k], k, &result);
			KeepIfBest(model, k, &result);
		}
	} while (model->status == FIT_FAILED && best > -INFINITY);
}

/* The same as a fallback, with a penalty. */
static void
FitPenalized(RhythmModel *model, RhythmFit *fit)
{
	for (int k = 1; k <= MAX_REGULARITY; k++)
	{
		FitResult result;

		(void) FitAtRegularity(fit, k, PENALIZED, NULL, 0, &result);
		KeepIfBest(model, k, &result);
	}
}

/* Fits the model to a state; its status says how that went. */
static void
FitRhythm(SummaryState *state, RhythmModel *model)
{
	ClvSample customers;
	RhythmSample sample;
	RhythmSample coarse_sample;
	RhythmFit fit = {.sample = &sample, .coarse = &sample};
	double days = 0;
	double scale;
	int64 repeaters = 0;

	InitModel(&RhythmModelFormat, model);
	model->as_of = state->as_of;
	SortSummaryState(state);
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		int64 gap = FitGap(entry);

		if (FIT_KIND(entry->key) == FIT_CUSTOMER)
		{
			model->customers += entry->weight;
			if (FitPurchases(entry) > 0)
				repeaters += entry->weight;
			days += (double) entry->weight * (double) FitAge(entry);
		}
		if (FIT_KIND(entry->key) != FIT_GAP)
			continue;
		model->gaps += entry->weight;
		fit.log_gaps += (double) entry->weight * log((double) gap);
	}
	/* the unit of time: days seen, silences included, over gaps; 1 if nothing was seen */
	scale = days > 0 ? days / ((double) model->gaps + 1) : 1;
	ClvSampleFromState(state, scale, NULL, DATEVAL_NOBEGIN, false, &customers);
	sample.customers = &customers;
	IndexTimes(&customers);
	coarse_sample.customers = CoarseClvSample(&customers, COARSE_TIMES);
	if (coarse_sample.customers != &customers)
		fit.coarse = &coarse_sample;
	fit.gaps = (double) model->gaps;
	fit.log_gaps -= fit.gaps * log(scale);

	model->status = FIT_FAILED;
	if (repeaters >= FEW_REPEATERS)
		FitRegularities(model, &fit);
	if (model->status == FIT_FAILED)
	{
		FitPenalized(model, &fit);
		if (FitIsMaximum(model->status))
			model->status = repeaters < FEW_REPEATERS ? FIT_FEW_REPEATERS : FIT_NO_MAXIMUM;
	}
	if (model->status == FIT_FAILED)
		return;
	model->parameters[1] *= scale;
	model->log_likelihood -= (double) model->gaps * log(scale);
}

/* (state, history, as_of) */
PG_FUNCTION_INFO_V1(rhythm_fit_transfn);
Datum
rhythm_fit_transfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	FitOptions options = {.purpose = RHYTHM_PURPOSE, .unit = 1, .observed_from = DATEVAL_NOBEGIN};
	PurchaseHistory *history;
	PurchaseSummary facts;

	(void) AggregateContext(fcinfo, "rhythm_fit_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return KeepSummaryState(fcinfo);
	options.as_of = options.until = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	state = SummaryStateFor(SummaryStateArgument(fcinfo, 0), &options);
	history = PG_GETARG_HISTORY(1);
	if (SummarizePurchases(history, options.as_of, options.as_of, VALUE_REVENUE, &facts))
		state = AddGaps(AddCustomer(state, &facts), history);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(rhythm_fit_finalfn);
Datum
rhythm_fit_finalfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	RhythmModel model;

	(void) AggregateContext(fcinfo, "rhythm_fit_finalfn");
	state = SummaryStateArgument(fcinfo, 0);
	if (state->purpose != RHYTHM_PURPOSE || state->nentries == 0)
		PG_RETURN_NULL();
	FitRhythm(state, &model);
	WarnOfFit("rhythm", model.status,
			  psprintf("It has %lld customers with %lld gaps between purchases.",
					   (long long) model.customers, (long long) model.gaps));
	PG_RETURN_POINTER(ModelValue(&RhythmModelFormat, &model));
}

PG_FUNCTION_INFO_V1(lapse_probability);
Datum
lapse_probability(PG_FUNCTION_ARGS)
{
	const RhythmModel *model = ModelArgument(&RhythmModelFormat, fcinfo, 1);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	uint64 serial;
	const PurchaseSummary *facts =
		RecallPurchases(PG_GETARG_HISTORY(0), as_of, VALUE_REVENUE, &serial);

	if (model->status == FIT_FAILED || facts->purchase_days == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(LapseProbability((int) model->regularity, model->parameters[0],
									  model->parameters[1], (double) (facts->purchase_days - 1),
									  (double) ((int64) facts->last - facts->first),
									  (double) ((int64) as_of - facts->last)));
}
