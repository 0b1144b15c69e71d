/*
 * donation.c: gifts at discrete chances to give, the BG/BB model.
 *
 * Fader, Hardie and Shang (2010), "Customer-base analysis in a discrete-time noncontractual
 * setting", Marketing Science 29.
 *
 * A donor gives at each chance with a probability p of their own, which is Beta(alpha, beta) among
 * donors, and before each chance leaves for good with a probability theta, which is Beta(gamma,
 * delta).  A donor who gave x times, last at the t-th of n chances, was active for j of them, t <=
 * j <= n; the likelihood is the sum over j of
 *
 *	B(alpha + x, beta + j - x)/B(alpha, beta) times
 *	B(gamma + 1, delta + j)/B(gamma, delta), or B(gamma, delta + n)/B(gamma, delta) for j = n.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/special_functions.h"
#include "clv/clv_fit.h"
#include "clv/opportunities.h"

#define DONATION_PURPOSE 18 /* not a ClvFamily */

enum
{
	DONATION_ALPHA,
	DONATION_BETA,
	DONATION_GAMMA,
	DONATION_DELTA
};

OPPORTUNITY_MODEL(donation, OPPORTUNITY_PARAMETERS, "donors", "donations",
				  "[1.204, 0.75, 0.657, 2.783]")

/* ---------- the fit ---------- */

/* For n from 0 to the largest number of chances: ln Γ(a + n)/Γ(a), and its derivative by a. */
typedef struct Rising
{
	double *log;
	double *slope;
} Rising;

/* One more than the chances: leaving is a trial, too. */
static Rising
RisingTable(double *at, int max_offered, double a)
{
	Rising table = {at, at + max_offered + 2};

	for (int n = 0; n <= max_offered + 1; n++)
	{
		table.log[n] = LogGammaRatio(a, n);
		table.slope[n] = DigammaDifference(a, n);
	}
	return table;
}

/* A sum of terms given by their logs, relative to the largest one. */
typedef struct LogSum
{
	double largest;
	double sum; /* over exp(largest) */
	double weighted[OPPORTUNITY_PARAMETERS];
} LogSum;

static void
AddToLogSum(LogSum *total, double log_term, const double *values)
{
	double term;

	if (log_term > total->largest)
	{
		double scale = exp(total->largest - log_term);

		total->sum *= scale;
		for (int i = 0; i < OPPORTUNITY_PARAMETERS; i++)
			total->weighted[i] *= scale;
		total->largest = log_term;
	}
	term = exp(log_term - total->largest);
	total->sum += term;
	for (int i = 0; i < OPPORTUNITY_PARAMETERS; i++)
		total->weighted[i] += term * values[i];
}

static double
DonationLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const OpportunitySample *sample = (const OpportunitySample *) data;
	int size = 2 * (sample->max_offered + 2);
	Rising alpha = RisingTable(sample->scratch, sample->max_offered, parameters[DONATION_ALPHA]);
	Rising beta =
		RisingTable(sample->scratch + size, sample->max_offered, parameters[DONATION_BETA]);
	Rising tries = RisingTable(sample->scratch + 2 * size, sample->max_offered,
							   parameters[DONATION_ALPHA] + parameters[DONATION_BETA]);
	Rising delta =
		RisingTable(sample->scratch + 3 * size, sample->max_offered, parameters[DONATION_DELTA]);
	Rising leaves = RisingTable(sample->scratch + 4 * size, sample->max_offered,
								parameters[DONATION_GAMMA] + parameters[DONATION_DELTA]);
	double log_gamma = log(parameters[DONATION_GAMMA]);
	double total = 0;

	memset(gradient, 0, OPPORTUNITY_PARAMETERS * sizeof(double));
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const OpportunityPoint *point = &sample->points[i];
		int x = point->taken;
		int n = point->offered;
		LogSum likelihood = {.largest = -INFINITY};

		CHECK_FOR_INTERRUPTS();
		for (int j = point->last; j <= n; j++)
		{
			double value = alpha.log[x] + beta.log[j - x] - tries.log[j] + delta.log[j];
			double slopes[OPPORTUNITY_PARAMETERS] = {alpha.slope[x] - tries.slope[j],
													 beta.slope[j - x] - tries.slope[j], 0,
													 delta.slope[j]};
			int left = j < n; /* at the chance that followed */

			value += left * log_gamma - leaves.log[j + left];
			slopes[DONATION_GAMMA] = left / parameters[DONATION_GAMMA] - leaves.slope[j + left];
			slopes[DONATION_DELTA] -= leaves.slope[j + left];
			AddToLogSum(&likelihood, value, slopes);
		}
		total += point->weight * (likelihood.largest + log(likelihood.sum));
		for (int g = 0; g < OPPORTUNITY_PARAMETERS; g++)
			gradient[g] += point->weight * likelihood.weighted[g] / likelihood.sum;
	}
	return total;
}

/*
 * ln(alpha, beta) by ln(alpha, beta/alpha), ln(gamma, delta) by ln(delta, gamma/delta): edges
 * where all are alike, where they always give, and where nobody leaves.
 */
static const OpportunityFit DonationFit = {
	.format = &Format,
	.purpose = DONATION_PURPOSE,
	.name = "bg/bb",
	.customers = "donors",
	.taken = "donations",
	.nparameters = OPPORTUNITY_PARAMETERS,
	.basis = (const double[]){1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0},
	.likelihood = DonationLogLikelihood,
	.nstarts = 5,
	.start =
		{{1, 1, 2, 0.3}, {0.5, 3, 3, 0.1}, {2, 0.5, 1, 0.5}, {5, 1, 10, 0.2}, {0.3, 1, 0.5, 1}},
	.scratch = 5 * 2, /* five tables of two columns, up to one more than the most chances */
};

/* (state, donations, last_donation, chances [, donors]) */
PG_FUNCTION_INFO_V1(donation_fit_transfn);
Datum
donation_fit_transfn(PG_FUNCTION_ARGS)
{
	OpportunityPoint point = {0};

	(void) AggregateContext(fcinfo, "donation_fit_transfn");
	for (int i = 1; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			return KeepSummaryState(fcinfo);
	point.taken = PG_GETARG_INT32(1);
	point.last = PG_GETARG_INT32(2);
	point.offered = PG_GETARG_INT32(3);
	PG_RETURN_POINTER(
		AddOpportunities(fcinfo, &DonationFit, &point, PG_NARGS() > 4 ? PG_GETARG_INT64(4) : 1));
}

/* Counts a list of chances, in order, with whether each was taken. */
static void
PointFromYears(ArrayType *years, OpportunityPoint *point)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(years, BOOLOID, sizeof(bool), true, TYPALIGN_CHAR, &values, &nulls, &n);
	if (ARR_NDIM(years) > 1 || array_contains_nulls(years))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("what a donor did must be a list of true and false"),
						errhint("Leave out the years in which nobody asked.")));
	memset(point, 0, sizeof(*point));
	point->offered = n;
	for (int i = 0; i < n; i++)
		if (DatumGetBool(values[i]))
		{
			point->taken++;
			point->last = i + 1;
		}
}

/* (state, boolean[]) */
PG_FUNCTION_INFO_V1(donation_fit_transfn_years);
Datum
donation_fit_transfn_years(PG_FUNCTION_ARGS)
{
	OpportunityPoint point;

	(void) AggregateContext(fcinfo, "donation_fit_transfn_years");
	if (PG_ARGISNULL(1))
		return KeepSummaryState(fcinfo);
	PointFromYears(PG_GETARG_ARRAYTYPE_P(1), &point);
	PG_RETURN_POINTER(AddOpportunities(fcinfo, &DonationFit, &point, 1));
}

MODEL_IO_FUNCTION(donation_fit_finalfn, FitOpportunities, DonationFit)

/* ---------- predictions ---------- */

/* The probability that the donor was active at the last chance. */
static double
DonorIsThere(const double *parameters, const OpportunityPoint *point)
{
	double tries = parameters[DONATION_ALPHA] + parameters[DONATION_BETA];
	double leaves = parameters[DONATION_GAMMA] + parameters[DONATION_DELTA];
	int n = point->offered;
	double
		log_left; /* log-odds of having left after j chances against being active at the last one */
	LogSum odds = {.largest = -INFINITY};
	double none[OPPORTUNITY_PARAMETERS] = {0};

	log_left = log(parameters[DONATION_GAMMA] / (leaves + n));
	for (int j = n - 1; j >= point->last; j--)
	{
		CHECK_FOR_INTERRUPTS();
		log_left += log((tries + j) / (parameters[DONATION_BETA] + j - point->taken)) +
					log((leaves + j + 1) / (parameters[DONATION_DELTA] + j));
		AddToLogSum(&odds, log_left, none);
	}
	return odds.sum > 0 ? Logistic(-(odds.largest + log(odds.sum))) : 1;
}

/* The counts of one donor, from (model, donations, last, chances …) or (model, boolean[] …). */
static void
DonorArgument(FunctionCallInfo fcinfo, bool years, OpportunityPoint *point)
{
	if (years)
		PointFromYears(PG_GETARG_ARRAYTYPE_P(1), point);
	else
	{
		point->taken = PG_GETARG_INT32(1);
		point->last = PG_GETARG_INT32(2);
		point->offered = PG_GETARG_INT32(3);
	}
	CheckOpportunities("donations", point);
}

static Datum
AliveOf(FunctionCallInfo fcinfo, bool years)
{
	const OpportunityModel *model = ModelArgument(&Format, fcinfo, 0);
	const double *parameters = model->parameters;
	OpportunityPoint point;

	DonorArgument(fcinfo, years, &point);
	if (model->status == FIT_FAILED)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(DonorIsThere(parameters, &point) *
					 (parameters[DONATION_DELTA] + point.offered) /
					 (parameters[DONATION_GAMMA] + parameters[DONATION_DELTA] + point.offered));
}

PG_FUNCTION_INFO_V1(donor_p_alive);
Datum
donor_p_alive(PG_FUNCTION_ARGS)
{
	return AliveOf(fcinfo, false);
}

PG_FUNCTION_INFO_V1(donor_p_alive_years);
Datum
donor_p_alive_years(PG_FUNCTION_ARGS)
{
	return AliveOf(fcinfo, true);
}

/* The mean p of an active donor times the discounted number of chances that they see. */
static Datum
DonationsOf(FunctionCallInfo fcinfo, bool years, int next)
{
	const OpportunityModel *model = ModelArgument(&Format, fcinfo, 0);
	const double *parameters = model->parameters;
	int32 horizon = PeriodsArgument(fcinfo, next, "horizon");
	double discount = DiscountArgument(fcinfo, next + 1);
	OpportunityPoint point;
	double there;
	double sum = 0;

	DonorArgument(fcinfo, years, &point);
	if (model->status == FIT_FAILED)
		PG_RETURN_NULL();
	there = DonorIsThere(parameters, &point);
	for (int i = 0; i < horizon; i++)
	{
		double chances = (double) point.offered + i;

		there *= (parameters[DONATION_DELTA] + chances) /
				 (parameters[DONATION_GAMMA] + parameters[DONATION_DELTA] + chances) /
				 (1 + discount);
		sum += there;
	}
	PG_RETURN_FLOAT8(sum * (parameters[DONATION_ALPHA] + point.taken) /
					 (parameters[DONATION_ALPHA] + parameters[DONATION_BETA] + point.offered));
}

PG_FUNCTION_INFO_V1(expected_donations);
Datum
expected_donations(PG_FUNCTION_ARGS)
{
	return DonationsOf(fcinfo, false, 4);
}

PG_FUNCTION_INFO_V1(expected_donations_years);
Datum
expected_donations_years(PG_FUNCTION_ARGS)
{
	return DonationsOf(fcinfo, true, 2);
}
