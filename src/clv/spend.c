/*
 * spend.c: what a purchase day is worth.
 */
#include "postgres.h"

#include <math.h>

#include "storage/shmem.h"
#include "utils/memutils.h"

#include "clv/spend.h"

#define COARSE_FROM 4096    /* points; a smaller sample is its own coarse one */
#define COARSE_SPEND 0.03   /* amounts this close are merged */
#define MAX_RATIO 1e3       /* between the mean values of first and later purchases */
#define MAX_LOSING 0.02     /* share of the customers without a positive value in Gamma-Gamma */
#define FALLBACK_WEIGHT 1.0 /* purchases that the mean value counts for */
#define MIN_FREEDOM 0.5     /* replaces a variance that would be infinite */

/* Merges amounts of the same x that hardly differ, as their mean. */
static SpendSample *
CoarseSpendSample(SpendSample *sample)
{
	SpendSample *coarse;
	SpendPoint *last = NULL;
	double limit = 0;

	if (sample->npoints < COARSE_FROM)
		return sample;
	coarse = palloc(sizeof(SpendSample));
	coarse->points =
		palloc_extended(mul_size(sample->npoints, sizeof(SpendPoint)), MCXT_ALLOC_HUGE);
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

typedef struct SpendSums
{
	double customers;
	double purchases;
	double squared_purchases;
	double amount;
	double means; /* of the customers */
} SpendSums;

/* The spend entries of a sorted state; with_losses includes customers without a positive value. */
static void
SpendSampleFromState(const SummaryState *state, bool with_losses, SpendSample *sample,
					 SpendSums *sums)
{
	memset(sums, 0, sizeof(*sums));
	sample->npoints = 0;
	sample->points =
		palloc_extended(mul_size(Max(state->nentries, 1), sizeof(SpendPoint)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		SpendPoint *point = &sample->points[sample->npoints];

		if (FIT_KIND(entry->key) != FIT_SPEND || (FitAmount(entry) <= 0 && !with_losses))
			continue;
		point->x = (int64) (entry->key & PG_UINT32_MAX);
		point->z = FitAmount(entry);
		point->weight = (double) entry->weight;
		sums->customers += point->weight;
		sums->purchases += point->weight * (double) point->x;
		sums->squared_purchases += point->weight * (double) point->x * (double) point->x;
		sums->amount += point->weight * point->z;
		sums->means += point->weight * point->z / (double) point->x;
		sample->npoints++;
	}
}

/* Gamma-Gamma by maximum likelihood; without a maximum the mean value is used. */
static void
FitGammaGamma(ClvModel *model, SpendSample *sample)
{
	/* ln(p, q, v) by ln(p, q, pv/q): edges where a customer's purchases, or customers, are alike */
	static const double basis[] = {1, 0, 0, 0, 1, 0, -1, 1, 1};
	static const double starts[][SPEND_PARAMETERS] = {
		{4, 4, 0.75}, {1.5, 3, 0.75}, {1, 12, 0.92}, {15, 3, 0.75}};
	FitProblem problem = {
		.nparameters = SPEND_PARAMETERS, .npositive = SPEND_PARAMETERS, .sample = sample};
	FitResult result;

	for (int64 i = 0; i < sample->npoints; i++)
		sample->points[i].z /= model->mean_value;
	problem.basis = basis;
	problem.likelihood = GammaGammaLogLikelihood;
	problem.coarse = CoarseSpendSample(sample);
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

/* The overall mean; each customer's mean is weighted by its precision. */
static double
CredibleMean(const SpendSample *sample, double between, double within, double *precision)
{
	double sum = 0;
	double least = Max(between, within) *
				   1e-9; /* if customers do not differ, or purchases of one customer do not */

	*precision = 0;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const SpendPoint *point = &sample->points[i];
		double x = (double) point->x;
		double variance = Max(between + within / x, least);
		double weight = variance > 0 ? point->weight / variance : point->weight;

		*precision += weight;
		sum += weight * point->z / x;
	}
	return sum / *precision;
}

/*
 * Normal values around normal means.  The variances are the unbiased estimators of an analysis of
 * variance with unequal groups; these need no normality, so the shrinkage is the best linear one
 * for any distribution.
 */
static void
FitNormalNormal(ClvModel *model, const SummaryState *state, const SpendSample *sample,
				const SpendSums *sums)
{
	double repeats = sums->purchases - sums->customers;
	double groups = sums->customers - 1;
	double mean = sums->amount / sums->purchases;
	double size = (sums->purchases - sums->squared_purchases / sums->purchases) / groups;
	double squares = 0;
	double within;
	double between;
	double precision;
	double *covariance = model->spend_covariance;

	for (int64 i = 0; i < sample->npoints; i++)
	{
		const SpendPoint *point = &sample->points[i];
		double off = point->z / (double) point->x - mean;

		squares += point->weight * (double) point->x * off * off;
	}
	squares /= groups;
	/* nobody has two repeat purchases: the two variances cannot be separated */
	within = repeats > 0
				 ? (SquaresWithin(&state->spend[0]) + SquaresWithin(&state->spend[1])) / repeats
				 : squares / 2;
	between = Max(0, (squares - within) / size);
	mean = CredibleMean(sample, between, within, &precision);
	if (!(between + within > 0))
		precision = 0;
	model->spend_parameters[SPEND_TAU] = sqrt(between);
	model->spend_parameters[SPEND_SIGMA] = sqrt(within);
	model->spend_parameters[SPEND_MU] = mean;
	model->spend_status = between > 0 && within > 0 ? FIT_CONVERGED : FIT_EDGE;
	/* of ln tau, ln sigma and mu, as of normal values in groups of the mean size */
	if (between > 0)
		covariance[0] = pow((between + within / size) / between, 2) / (2 * groups);
	if (within > 0 && repeats > 0)
		covariance[2] = 1 / (2 * repeats);
	covariance[5] = precision > 0 ? 1 / precision : 0;
}

void
FitSpendPart(ClvModel *model, const SummaryState *state)
{
	double losing = (double) state->spend[1].customers;
	double all = losing + (double) state->spend[0].customers;
	double first = FirstValueSum(&state->spend[0]);
	SpendSample sample;
	SpendSums sums;

	if (losing > MAX_LOSING * all)
		model->spend_model = SPEND_NORMAL_NORMAL;
	SpendSampleFromState(state, model->spend_model == SPEND_NORMAL_NORMAL, &sample, &sums);
	model->spend_customers = (int64) sums.customers;
	if (sums.customers == 0)
		return;
	model->mean_value = sums.amount / sums.purchases;
	if (model->spend_model == SPEND_NORMAL_NORMAL)
		model->first_difference =
			(sums.means - first - FirstValueSum(&state->spend[1])) / sums.customers;
	else
	{
		model->spend_excluded = (int64) losing;
		/* if first and later purchases are unrelated, the first carries no information */
		if (first > 0 && sums.means > first / MAX_RATIO && sums.means < first * MAX_RATIO)
			model->first_ratio = sums.means / first;
	}
	if (model->spend_customers < FEW_REPEATERS)
		model->spend_status = FIT_FEW_REPEATERS;
	else if (model->spend_model == SPEND_NORMAL_NORMAL)
		FitNormalNormal(model, state, &sample, &sums);
	else
		FitGammaGamma(model, &sample);
}

/* The information in a customer's purchases: their number and their sum. */
static void
Observed(const ClvModel *model, const PurchaseSummary *facts, bool with_first, double *purchases,
		 double *amount)
{
	bool normal = model->spend_model == SPEND_NORMAL_NORMAL;

	*purchases = (double) facts->valued_days;
	*amount = facts->valued_days > 0 ? facts->repeat_value : 0;
	/* refunded purchases are worth nothing, not the mean of the others */
	if (!normal)
		*amount = Max(0, *amount);
	if (!with_first || !facts->first_valued || (!normal && model->first_ratio == 0))
		return;
	*purchases += 1;
	*amount += normal ? facts->first_value + model->first_difference
					  : Max(0, facts->first_value) * model->first_ratio;
}

SpendForecast
ForecastSpend(const ClvModel *model, const double *spend, const PurchaseSummary *facts,
			  bool with_first)
{
	SpendForecast forecast;
	double purchases;
	double amount;

	Observed(model, facts, with_first, &purchases, &amount);
	if (!SpendIsFitted(model))
	{
		double weight = FALLBACK_WEIGHT + purchases;

		forecast.value = (FALLBACK_WEIGHT * model->mean_value + amount) / weight;
		forecast.variance = forecast.value * forecast.value;
		forecast.uncertain = forecast.variance / weight;
	}
	else if (model->spend_model == SPEND_NORMAL_NORMAL)
	{
		double between = spend[SPEND_TAU] * spend[SPEND_TAU];
		double within = spend[SPEND_SIGMA] * spend[SPEND_SIGMA];
		double weight = within + purchases * between;

		forecast.value =
			weight > 0 ? (within * spend[SPEND_MU] + between * amount) / weight : spend[SPEND_MU];
		forecast.uncertain = weight > 0 ? between * within / weight : 0;
		forecast.variance = within;
	}
	else
	{
		double shape = spend[SPEND_P] * purchases + spend[SPEND_Q];

		forecast.value = spend[SPEND_P] * (spend[SPEND_V] + amount) / (shape - 1);
		forecast.uncertain = forecast.value * forecast.value / Max(shape - 2, MIN_FREEDOM);
		forecast.variance = (forecast.value * forecast.value + forecast.uncertain) / spend[SPEND_P];
	}
	return forecast;
}
