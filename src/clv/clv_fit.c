/*
 * clv_fit.c: the aggregate that fits repeat-purchase models.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "clv/clv_fit.h"

#define COARSE_FROM 4096  /* points; below, a sample is its own coarse one */
#define COARSE_TIMES 48   /* stretches that the time is cut into */
#define LEAST_RATE 1e-4   /* purchases by customer to start from */
#define MOST_RATIO 1e3    /* between the mean values of first and later purchases */
#define COARSE_SPEND 0.03 /* amounts within so much are taken as one */

static void *
AllocArray(int64 count, Size size)
{
	return palloc_extended(mul_size(Max(count, 1), size), MCXT_ALLOC_HUGE);
}

#define ST_SORT SortTimes
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Where a time stands among the distinct ones. */
static int32
TimeAt(const ClvSample *sample, double time)
{
	int64 low = 0;
	int64 high = sample->ntimes - 1;

	while (low < high)
	{
		int64 middle = (low + high) / 2;

		if (sample->times[middle] < time)
			low = middle + 1;
		else
			high = middle;
	}
	return (int32) low;
}

/* Fills in the distinct times of a sample whose points are there, and the scratch. */
static void
IndexTimes(ClvSample *sample)
{
	double *times = AllocArray(2 * sample->npoints, sizeof(double));
	int64 n = 0;

	for (int64 i = 0; i < sample->npoints; i++)
	{
		times[n++] = sample->points[i].T;
		/* the points are sorted: the same t_x comes again and again */
		if (i == 0 || sample->points[i].t_x != sample->points[i - 1].t_x)
			times[n++] = sample->points[i].t_x;
	}
	SortTimes(times, n);
	sample->times = times;
	sample->ntimes = 0;
	for (int64 i = 0; i < n; i++)
		if (i == 0 || times[i] != times[i - 1])
			times[sample->ntimes++] = times[i];
	for (int64 i = 0; i < sample->npoints; i++)
	{
		CHECK_FOR_INTERRUPTS();
		sample->points[i].t_x_at = TimeAt(sample, sample->points[i].t_x);
		sample->points[i].T_at = TimeAt(sample, sample->points[i].T);
	}
	sample->scratch = AllocArray(mul_size(sample->ntimes, CLV_SCRATCH), sizeof(double));
}

void
ClvSampleFromState(const SummaryState *state, double unit_days, ClvSample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->points = AllocArray(state->nentries, sizeof(ClvPoint));
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		ClvPoint *point = &sample->points[sample->npoints];

		if (FIT_KIND(entry->key) != FIT_CUSTOMER)
			break;
		sample->weight += (double) entry->weight;
		/* those who differ in what they bought later are alike here */
		if (sample->npoints > 0 && i > 0 && state->entries[i - 1].key == entry->key &&
			FitAge(&state->entries[i - 1]) == FitAge(entry))
		{
			point[-1].weight += (double) entry->weight;
			continue;
		}
		point->x = FitPurchases(entry);
		point->t_x = (double) FitLastDay(entry) / unit_days;
		point->T = (double) FitAge(entry) / unit_days;
		point->weight = (double) entry->weight;
		sample->npoints++;
	}
	IndexTimes(sample);
}

/* The stretch that a time falls into; the first one is for time 0 alone. */
static inline int
StretchOf(double time, double length)
{
	return time <= 0 ? 0 : 1 + Min(COARSE_TIMES - 1, (int) (time / length));
}

/* Adds a time to the mean of its stretch. */
static void
AddToMean(double *mean, double *weight, double time, double more)
{
	*weight += more;
	*mean += (time - *mean) * more / *weight;
}

/*
 * Customers of the same x whose t_x and T fall into the same stretches of time
 * become one, with the means of those stretches for t_x and T, so that there
 * are few points and few times.  The points are in order of x and t_x: one row
 * of stretches of T is open at a time.
 */
ClvSample *
CoarseClvSample(ClvSample *sample)
{
	ClvSample *coarse;
	ClvPoint *row[COARSE_TIMES + 1];
	double mean_t[COARSE_TIMES + 1] = {0};
	double mean_T[COARSE_TIMES + 1] = {0};
	double weight_t[COARSE_TIMES + 1] = {0};
	double weight_T[COARSE_TIMES + 1] = {0};
	double length = sample->times[sample->ntimes - 1] / COARSE_TIMES;
	int64 row_x = -1;
	int row_t = -1;

	if (sample->npoints < COARSE_FROM)
		return sample;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const ClvPoint *point = &sample->points[i];
		int t = StretchOf(point->t_x, length);
		int T = StretchOf(point->T, length);

		AddToMean(&mean_t[t], &weight_t[t], point->t_x, point->weight);
		AddToMean(&mean_T[T], &weight_T[T], point->T, point->weight);
	}
	coarse = palloc0(sizeof(ClvSample));
	coarse->weight = sample->weight;
	coarse->points = AllocArray(sample->npoints, sizeof(ClvPoint));
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const ClvPoint *point = &sample->points[i];
		int t = StretchOf(point->t_x, length);
		int T = StretchOf(point->T, length);

		if (point->x != row_x || t != row_t)
		{
			memset(row, 0, sizeof(row));
			row_x = point->x;
			row_t = t;
		}
		if (row[T] == NULL)
		{
			row[T] = &coarse->points[coarse->npoints++];
			row[T]->x = point->x;
			row[T]->t_x = mean_t[t];
			row[T]->T = Max(mean_T[T], mean_t[t]);
			row[T]->weight = 0;
		}
		row[T]->weight += point->weight;
	}
	IndexTimes(coarse);
	return coarse;
}

/* ln(r, α, a, b) by ln(r, r/α, b, a/b): edges where all buy, or leave, alike, and where nobody
 * leaves. */
static const double BgBasis[] = {1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0};
/* ln(r, α, s, β) by ln(r, r/α, s, s/β): the same */
static const double ParetoBasis[] = {1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0, 0, 0, 1, -1};
/* ln(p, q, v) by ln(p, q, pv/q): edges where a customer's purchases, or customers, are alike */
static const double SpendBasis[] = {1, 0, 0, 0, 1, 0, -1, 1, 1};

/* Starts at the mean T as the unit of time; `rate` is purchases in that unit. */
static void
SetStarts(FitProblem *problem, ClvFamily family, double rate)
{
	/* the second number: purchases while alive over purchases in all; the last two of each: lost at
	 * once or hardly ever */
	static const double bg[][CLV_PARAMETERS] = {{0.7, 2, 2, 0.45}, {0.25, 2, 2.5, 0.32},
												{2, 1.4, 3, 0.17}, {1, 2, 10, 0.3},
												{1, 1.5, 0.05, 1}, {20, 5, 0.5, 5}};
	static const double pareto[][CLV_PARAMETERS] = {{0.7, 1.7, 0.7, 1},  {0.3, 2.5, 1.5, 0.5},
													{2, 1.25, 0.4, 0.8}, {1, 1.4, 4, 0.4},
													{1, 1.5, 0.05, 20},  {20, 3, 0.05, 20}};
	const double(*starts)[CLV_PARAMETERS] = family == CLV_PARETO_NBD ? pareto : bg;

	problem->basis = family == CLV_PARETO_NBD ? ParetoBasis : BgBasis;
	problem->nstarts = lengthof(bg);
	for (int s = 0; s < problem->nstarts; s++)
	{
		memcpy(problem->start[s], starts[s], sizeof(starts[s]));
		problem->start[s][1] *= rate;
	}
}

/* The purchase part, of a sample whose unit of time is its mean T, `scale` in units of the model.
 */
static void
FitPurchasePart(ClvModel *model, ClvSample *sample, double scale)
{
	static const LogLikelihood likelihood[] = {BgNbdLogLikelihood, MbgNbdLogLikelihood,
											   ParetoNbdLogLikelihood};
	FitProblem problem = {
		.nparameters = CLV_PARAMETERS, .npositive = CLV_PARAMETERS, .sample = sample};
	FitResult result;

	problem.likelihood = likelihood[model->family];
	problem.coarse = CoarseClvSample(sample);
	problem.weight = sample->weight;
	/* half a purchase more than none: a rate to start from */
	SetStarts(&problem, model->family,
			  Max(((double) model->purchases + 0.5) / sample->weight, LEAST_RATE));

	model->status = FIT_FEW_REPEATERS;
	if (model->repeaters >= FEW_REPEATERS)
	{
		MaximizeLikelihood(&problem, &result);
		model->status = result.status;
	}
	if (!FitIsMaximum(model->status))
	{
		problem.penalized = true;
		MaximizeLikelihood(&problem, &result);
		if (!FitIsMaximum(result.status))
		{
			model->status = FIT_FAILED;
			return;
		}
	}
	memcpy(model->parameters, result.parameters, sizeof(model->parameters));
	model->parameters[CLV_ALPHA] *= scale;
	if (model->family == CLV_PARETO_NBD)
		model->parameters[CLV_BETA] *= scale;
	memcpy(model->covariance, result.covariance, sizeof(model->covariance));
	model->log_likelihood = result.log_likelihood - (double) model->purchases * log(scale);
}

/* Amounts of the same x that hardly differ become one with their mean. */
static SpendSample *
CoarseSpendSample(SpendSample *sample)
{
	SpendSample *coarse;
	SpendPoint *last = NULL;
	double limit = 0;

	if (sample->npoints < COARSE_FROM)
		return sample;
	coarse = palloc(sizeof(SpendSample));
	coarse->points = AllocArray(sample->npoints, sizeof(SpendPoint));
	coarse->npoints = 0;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const SpendPoint *point = &sample->points[i];

		if (last && last->x == point->x && point->z <= limit)
		{
			last->z += (point->z - last->z) * point->weight / (last->weight + point->weight);
			last->weight += point->weight;
			continue;
		}
		last = &coarse->points[coarse->npoints++];
		*last = *point;
		limit = point->z * (1 + COARSE_SPEND);
	}
	return coarse;
}

/* The spend entries of a sorted state; counts go to the model. */
static void
SpendSampleFromState(const SummaryState *state, ClvModel *model, SpendSample *sample)
{
	double amount = 0;
	double purchases = 0;

	sample->npoints = 0;
	sample->points = AllocArray(state->nentries, sizeof(SpendPoint));
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		SpendPoint *point = &sample->points[sample->npoints];

		if (FIT_KIND(entry->key) != FIT_SPEND)
			continue;
		if (FitAmount(entry) <= 0)
		{
			model->spend_excluded += entry->weight;
			continue;
		}
		point->x = (int64) (entry->key & PG_UINT32_MAX);
		point->z = FitAmount(entry);
		point->weight = (double) entry->weight;
		model->spend_customers += entry->weight;
		amount += point->weight * point->z;
		purchases += point->weight * (double) point->x;
		sample->npoints++;
	}
	if (purchases > 0)
		model->mean_value = amount / purchases;
}

/* Gamma-Gamma; where it cannot be fitted the mean value stands in. */
static void
FitSpendPart(ClvModel *model, const SummaryState *state)
{
	static const double starts[][SPEND_PARAMETERS] = {
		{4, 4, 0.75}, {1.5, 3, 0.75}, {1, 12, 0.92}, {15, 3, 0.75}};
	SpendSample sample;
	FitProblem problem = {
		.nparameters = SPEND_PARAMETERS, .npositive = SPEND_PARAMETERS, .sample = &sample};
	FitResult result;
	double first = MeanFirstValue(state);

	SpendSampleFromState(state, model, &sample);
	/* where first and later purchases have nothing in common, the first tells nothing */
	if (first > 0 && model->mean_value > first / MOST_RATIO &&
		model->mean_value < first * MOST_RATIO)
		model->first_ratio = model->mean_value / first;
	if (model->spend_customers < FEW_REPEATERS)
	{
		model->spend_status = model->spend_customers > 0 ? FIT_FEW_REPEATERS : FIT_NO_DATA;
		return;
	}
	for (int64 i = 0; i < sample.npoints; i++)
		sample.points[i].z /= model->mean_value;
	problem.basis = SpendBasis;
	problem.likelihood = GammaGammaLogLikelihood;
	problem.coarse = CoarseSpendSample(&sample);
	problem.weight = (double) model->spend_customers;
	problem.nstarts = lengthof(starts);
	for (int s = 0; s < problem.nstarts; s++)
		memcpy(problem.start[s], starts[s], sizeof(starts[s]));
	MaximizeLikelihood(&problem, &result);
	model->spend_status = result.status;
	if (result.status == FIT_NO_MAXIMUM)
		return;
	memcpy(model->spend_parameters, result.parameters, sizeof(model->spend_parameters));
	model->spend_parameters[SPEND_V] *= model->mean_value;
	memcpy(model->spend_covariance, result.covariance, sizeof(model->spend_covariance));
	model->spend_log_likelihood =
		result.log_likelihood - (double) model->spend_customers * log(model->mean_value);
	if (result.parameters[SPEND_Q] <= 1.001)
		model->spend_status = FIT_NO_MEAN;
}

void
FitClvModel(SummaryState *state, ClvModel *model)
{
	ClvSample sample;
	double scale = 0;

	InitModel(&ClvModelFormat, model);
	model->family = state->purpose;
	model->basis = state->basis;
	model->as_of = state->as_of;
	model->unit = state->unit;

	SortSummaryState(state);
	ClvSampleFromState(state, state->unit, &sample);
	model->customers = (int64) sample.weight;
	for (int64 i = 0; i < sample.npoints; i++)
	{
		model->purchases += (int64) sample.points[i].weight * sample.points[i].x;
		if (sample.points[i].x > 0)
			model->repeaters += (int64) sample.points[i].weight;
		scale += sample.points[i].weight * sample.points[i].T / sample.weight;
	}
	/* everybody's first purchase was today */
	if (scale <= 0)
		scale = 1;
	for (int64 i = 0; i < sample.npoints; i++)
	{
		sample.points[i].t_x /= scale;
		sample.points[i].T /= scale;
	}
	for (int64 i = 0; i < sample.ntimes; i++)
		sample.times[i] /= scale;
	FitPurchasePart(model, &sample, scale);
	FitSpendPart(model, state);
}

void
WarnOfFit(const char *model, FitStatus status, const char *detail)
{
	switch (status)
	{
		case FIT_FAILED:
			ereport(WARNING,
					(errmsg("the %s model did not converge", model),
					 errdetail_internal("%s", detail),
					 errhint("Its predictions are NULL. Fit more customers, a longer history "
							 "or another model.")));
			break;
		case FIT_FEW_REPEATERS:
		case FIT_NO_MAXIMUM:
			ereport(
				WARNING,
				(errmsg("the %s model falls back on a penalised likelihood: %s", model,
						status == FIT_FEW_REPEATERS ? "too few customers bought again"
													: "the likelihood has no maximum"),
				 errdetail_internal("%s", detail),
				 errhint(
					 "Its predictions lean on assumptions; see the documentation of the fit.")));
			break;
		case FIT_EDGE:
			ereport(
				NOTICE,
				(errmsg("the %s model has its maximum at an edge", model),
				 errdetail_internal("%s", detail),
				 errhint("Parameters without a standard error have gone to their limit; see the "
						 "documentation of the fit.")));
			break;
		default:
			break;
	}
}

void
WarnOfClvFit(const ClvModel *model)
{
	WarnOfFit(ClvFamilyNames[model->family], model->status,
			  psprintf("It has %lld customers, %lld of them with a repeat purchase.",
					   (long long) model->customers, (long long) model->repeaters));
	if (model->spend_customers < FEW_REPEATERS)
		return;
	if (model->spend_status == FIT_EDGE)
		ereport(NOTICE, (errmsg("the spend part of the model has its maximum at an edge")));
	else if (model->spend_status != FIT_CONVERGED)
		ereport(WARNING,
				(errmsg("the spend part of the model falls back on the mean value: %s",
						model->spend_status == FIT_NO_MEAN ? "q is not above 1"
														   : "the likelihood has no maximum")));
}

/* ---------- the aggregate ---------- */

void
ClvFitOptions(FunctionCallInfo fcinfo, int argument, FitOptions *options)
{
	int last = PG_NARGS();

	options->as_of = options->until = CheckedDay(PG_GETARG_DATEADT(argument), "as_of");
	options->purpose = CLV_MBG_NBD;
	options->unit = WEEK_DAYS;
	options->basis = VALUE_REVENUE;
	if (argument + 1 < last && !PG_ARGISNULL(argument + 1))
		options->purpose = ClvFamilyFromText(PG_GETARG_TEXT_PP(argument + 1));
	if (argument + 2 < last && !PG_ARGISNULL(argument + 2))
		options->unit = UnitFromInterval(PG_GETARG_INTERVAL_P(argument + 2));
	if (argument + 3 < last && !PG_ARGISNULL(argument + 3))
	{
		text *name = PG_GETARG_TEXT_PP(argument + 3);
		int basis = WordNumber(ValueBasisNames, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

		if (basis < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown value \"%s\"", text_to_cstring(name)),
							errhint("A model's value is revenue or profit.")));
		options->basis = (uint8) basis;
	}
}

/* (state, history, as_of [, model [, unit [, value]]]) */
PG_FUNCTION_INFO_V1(clv_fit_transfn);
Datum
clv_fit_transfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	FitOptions options;
	PurchaseSummary facts;

	(void) AggregateContext(fcinfo, "clv_fit_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return KeepSummaryState(fcinfo);
	ClvFitOptions(fcinfo, 2, &options);
	state = SummaryStateFor(SummaryStateArgument(fcinfo, 0), &options);
	if (SummarizePurchases(PG_GETARG_HISTORY(1), options.as_of, options.until,
						   (ValueBasis) options.basis, &facts))
		state = AddSpend(AddCustomer(state, &facts), &facts);
	PG_RETURN_POINTER(state);
}

/* Shared by every aggregate with this state. */
PG_FUNCTION_INFO_V1(summary_state_combine);
Datum
summary_state_combine(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "summary_state_combine");
	if (PG_ARGISNULL(1))
		return KeepSummaryState(fcinfo);
	PG_RETURN_POINTER(
		CombineSummaryStates(SummaryStateArgument(fcinfo, 0), SummaryStateArgument(fcinfo, 1)));
}

PG_FUNCTION_INFO_V1(clv_fit_finalfn);
Datum
clv_fit_finalfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	ClvModel model;

	(void) AggregateContext(fcinfo, "clv_fit_finalfn");
	state = SummaryStateArgument(fcinfo, 0);
	if (state->purpose > CLV_PARETO_NBD || state->nentries == 0)
		PG_RETURN_NULL();
	FitClvModel(state, &model);
	WarnOfClvFit(&model);
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &model));
}
