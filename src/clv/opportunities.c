/*
 * opportunities.c: models of customers who take an opportunity or do not, at discrete times.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "clv/clv_fit.h"
#include "clv/opportunities.h"

#define MIN_PARAMETER 1e-20
#define MAX_PARAMETER 1e20

void
CheckOpportunities(const char *taken, const OpportunityPoint *point)
{
	if (point->offered < 0 || point->offered > MAX_OPPORTUNITIES || point->taken < 0 ||
		point->last < point->taken || point->last > point->offered ||
		(point->taken == 0) != (point->last == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("impossible counts: %d %s, the last one at %d, of %d opportunities",
						point->taken, taken, point->last, point->offered),
				 errdetail("No count is negative or above %d; the last one is at 0 where there is "
						   "none, and never before as many or after all opportunities.",
						   MAX_OPPORTUNITIES)));
}

SummaryState *
AddOpportunities(FunctionCallInfo fcinfo, const OpportunityFit *fit, const OpportunityPoint *point,
				 int64 customers)
{
	FitOptions options = {.purpose = fit->purpose, .unit = 1, .observed_from = DATEVAL_NOBEGIN};

	CheckOpportunities(fit->taken, point);
	if (customers < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a row of a fit stands for at least one customer, not for %lld",
							   (long long) customers)));
	return AddFitEntry(
		SummaryStateFor(SummaryStateArgument(fcinfo, 0), &options),
		FIT_KEY(FIT_OPPORTUNITIES, (uint64) point->taken << 31 | (uint64) point->last),
		(uint64) point->offered, customers);
}

/* Makes the points of a sorted state, and the counts of the model. */
static void
SampleFromState(const SummaryState *state, OpportunitySample *sample, OpportunityModel *model)
{
	sample->points = palloc_extended(mul_size(Max(state->nentries, 1), sizeof(OpportunityPoint)),
									 MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		OpportunityPoint *point = &sample->points[sample->npoints];

		if (FIT_KIND(entry->key) != FIT_OPPORTUNITIES)
			continue;
		point->weight = (double) entry->weight;
		point->taken = FitTaken(entry);
		point->last = FitLastTaken(entry);
		point->offered = FitOffered(entry);
		sample->max_offered = Max(sample->max_offered, point->offered);
		model->customers += entry->weight;
		model->taken += entry->weight * point->taken;
		sample->npoints++;
	}
}

/* Fits the model to a state; its status says how that went. */
static void
FitOpportunityModel(const OpportunityFit *fit, SummaryState *state, OpportunityModel *model)
{
	OpportunitySample sample = {0};
	FitProblem problem = {.nparameters = fit->nparameters,
						  .npositive = fit->nparameters,
						  .basis = fit->basis,
						  .likelihood = fit->likelihood,
						  .sample = &sample,
						  .coarse = &sample,
						  .nstarts = fit->nstarts};
	FitResult result;

	InitModel(fit->format, model);
	SortSummaryState(state);
	SampleFromState(state, &sample, model);
	model->status = FIT_FAILED;
	if (model->customers == 0)
		return;
	if (fit->scratch > 0)
		sample.scratch = palloc(mul_size(sample.max_offered + 2, fit->scratch * sizeof(double)));
	problem.weight = (double) model->customers;
	for (int s = 0; s < fit->nstarts; s++)
		memcpy(problem.start[s], fit->start[s], sizeof(fit->start[s]));
	MaximizeLikelihood(&problem, &result);
	model->status = result.status;
	if (!FitIsMaximum(result.status))
	{
		problem.penalized = true;
		MaximizeLikelihood(&problem, &result);
		if (!FitIsMaximum(result.status))
		{
			model->status = FIT_FAILED;
			return;
		}
	}
	memcpy(model->parameters, result.parameters, fit->nparameters * sizeof(double));
	memcpy(model->covariance, result.covariance, COVARIANCES(fit->nparameters) * sizeof(double));
	model->log_likelihood = result.log_likelihood;
}

Datum
FitOpportunities(const OpportunityFit *fit, FunctionCallInfo fcinfo)
{
	SummaryState *state;
	OpportunityModel model;

	(void) AggregateContext(fcinfo, get_func_name(fcinfo->flinfo->fn_oid));
	state = SummaryStateArgument(fcinfo, 0);
	if (state->purpose != fit->purpose || state->nentries == 0)
		PG_RETURN_NULL();
	FitOpportunityModel(fit, state, &model);
	WarnOfFit(fit->name, model.status,
			  psprintf("It has %lld %s with %lld %s.", (long long) model.customers, fit->customers,
					   (long long) model.taken, fit->taken));
	PG_RETURN_POINTER(ModelValue(fit->format, &model));
}

int32
PeriodsArgument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int32 periods = PG_GETARG_INT32(argument);

	if (periods < 0 || periods > MAX_OPPORTUNITIES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 0 and %d, not %d", name, MAX_OPPORTUNITIES, periods)));
	return periods;
}

double
DiscountArgument(FunctionCallInfo fcinfo, int argument)
{
	double discount = PG_GETARG_FLOAT8(argument);

	if (!(discount >= 0 && discount <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("discount must be between 0 and 1, not %g", discount),
						errhint("Ten percent a period is 0.1.")));
	return discount;
}

const char *
ParametersFault(const OpportunityModel *model, int nparameters)
{
	if (model->status == FIT_NO_MEAN || model->status == FIT_NO_DATA)
		return "\"status\" is one that only spend can have.";
	for (int i = 0; i < nparameters; i++)
	{
		if (model->status != FIT_FAILED &&
			!(model->parameters[i] >= MIN_PARAMETER && model->parameters[i] <= MAX_PARAMETER))
			return "The parameters are not all between 1e-20 and 1e20.";
		if (model->covariance[COVARIANCES(i + 1) - 1] < 0)
			return "A variance is negative.";
	}
	return NULL;
}

Datum
OpportunityModelMake(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	OpportunityModel model;

	InitModel(format, &model);
	for (int i = 0; i < PG_NARGS(); i++)
		model.parameters[i] = PG_GETARG_FLOAT8(i);
	PG_RETURN_POINTER(ModelValue(format, &model));
}

Datum
OpportunityParameters(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	static const char *const names[OPPORTUNITY_PARAMETERS] = {"alpha", "beta", "gamma", "delta"};
	const OpportunityModel *model = ModelFromDatum(format, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < format->group.fields[0].count; i++)
	{
		double variance = model->covariance[COVARIANCES(i + 1) - 1];
		Datum values[4];
		bool nulls[4] = {false};

		values[0] = CStringGetTextDatum(names[i]);
		values[1] = Float8GetDatum(model->parameters[i]);
		values[2] = Float8GetDatum(model->parameters[i] * sqrt(variance));
		values[3] = CStringGetTextDatum(FitStatusNames[model->status]);
		nulls[1] = model->status == FIT_FAILED;
		nulls[2] = nulls[1] || variance == 0;
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

Datum
OpportunityCard(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	const OpportunityModel *model = ModelFromDatum(format, PG_GETARG_DATUM(0));
	Datum values[4];
	bool nulls[4] = {false};

	values[0] = CStringGetTextDatum(FitStatusNames[model->status]);
	values[1] = Int64GetDatum(model->customers);
	values[2] = Int64GetDatum(model->taken);
	values[3] = Float8GetDatum(model->log_likelihood);
	nulls[3] = model->status == FIT_GIVEN || model->status == FIT_FAILED;
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
