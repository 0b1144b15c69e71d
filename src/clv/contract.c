/*
 * contract.c: contracts that are renewed or not, the sBG model.
 *
 * Fader and Hardie (2007), "How to project customer retention", Journal of Interactive
 * Marketing 21; Fader and Hardie (2010), "Customer-base valuation in a contractual
 * setting", Marketing Science 29.
 *
 * A customer ends the contract at each renewal with a probability of their own, which is
 * Beta(alpha, beta) among customers.  A contract renewed x times, and then ended
 * (e = 1) or running (e = 0), has the likelihood B(alpha + e, beta + x) / B(alpha, beta).
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_fit.h"
#include "clv/opportunities.h"

#define CONTRACT_PURPOSE 17 /* not a ClvFamily */
#define CONTRACT_PARAMETERS 2

enum
{
	CONTRACT_ALPHA,
	CONTRACT_BETA
};

OPPORTUNITY_MODEL(contract, CONTRACT_PARAMETERS, "contracts", "renewals", "[0.668, 3.806]")

/* ---------- the fit ---------- */

static double
ContractLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const OpportunitySample *sample = (const OpportunitySample *) data;
	double alpha = parameters[CONTRACT_ALPHA];
	double beta = parameters[CONTRACT_BETA];
	double total = 0;

	gradient[CONTRACT_ALPHA] = gradient[CONTRACT_BETA] = 0;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const OpportunityPoint *point = &sample->points[i];
		double ended = point->offered - point->taken;
		double both = DigammaDifference(alpha + beta, point->offered);

		total += point->weight * (LogGammaRatio(alpha, ended) + LogGammaRatio(beta, point->taken) -
								  LogGammaRatio(alpha + beta, point->offered));
		gradient[CONTRACT_ALPHA] += point->weight * (DigammaDifference(alpha, ended) - both);
		gradient[CONTRACT_BETA] += point->weight * (DigammaDifference(beta, point->taken) - both);
	}
	return total;
}

/* ln(alpha, beta) by ln(beta, alpha/beta): edges where all are alike, and where nobody ends. */
static const OpportunityFit ContractFit = {
	.format = &Format,
	.purpose = CONTRACT_PURPOSE,
	.name = "sbg",
	.customers = "contracts",
	.taken = "renewals",
	.nparameters = CONTRACT_PARAMETERS,
	.basis = (const double[]){1, 1, 1, 0},
	.likelihood = ContractLogLikelihood,
	.nstarts = 4,
	.start = {{2, 0.3}, {1, 0.7}, {8, 0.1}, {0.3, 1}},
};

/* Adds contracts that were renewed that often and then ended or are running. */
static SummaryState *
AddContracts(FunctionCallInfo fcinfo, int32 renewals, bool ended, int64 contracts)
{
	OpportunityPoint point = {.taken = renewals, .last = renewals};

	/* if the sum would overflow, the check of `renewals` fails anyway */
	point.offered = renewals + (ended && renewals < MAX_OPPORTUNITIES);
	return AddOpportunities(fcinfo, &ContractFit, &point, contracts);
}

/* (state, renewals, ended [, contracts]) */
PG_FUNCTION_INFO_V1(contract_fit_transfn);
Datum
contract_fit_transfn(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "contract_fit_transfn");
	for (int i = 1; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			return KeepSummaryState(fcinfo);
	PG_RETURN_POINTER(AddContracts(fcinfo, PG_GETARG_INT32(1), PG_GETARG_BOOL(2),
								   PG_NARGS() > 3 ? PG_GETARG_INT64(3) : 1));
}

/* The time at which that many terms of a contract are over. */
static Timestamp
TermsEnd(DateADT started, const Interval *term, int32 terms)
{
	Datum whole =
		DirectFunctionCall2(interval_mul, IntervalPGetDatum(term), Float8GetDatum((double) terms));

	return DatumGetTimestamp(
		DirectFunctionCall2(date_pl_interval, DateADTGetDatum(started), whole));
}

/* The number of whole terms that are over before a time. */
static int32
TermsBefore(DateADT started, const Interval *term, Timestamp before)
{
	int32 terms = 0;

	while (TermsEnd(started, term, terms + 1) < before)
	{
		CHECK_FOR_INTERRUPTS();
		if (++terms > MAX_OPPORTUNITIES)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a contract has more than %d terms", MAX_OPPORTUNITIES),
							errhint("Give the term for which a contract is renewed, such as '1 "
									"year'.")));
	}
	return terms;
}

/*
 * (state, started, ended, as_of, term): a term that is over by as_of was renewed unless the
 * contract ended within it or with it.
 */
PG_FUNCTION_INFO_V1(contract_fit_transfn_dates);
Datum
contract_fit_transfn_dates(PG_FUNCTION_ARGS)
{
	DateADT started;
	DateADT as_of;
	const Interval *term;
	bool ended;

	(void) AggregateContext(fcinfo, "contract_fit_transfn_dates");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		return KeepSummaryState(fcinfo);
	started = CheckedDay(PG_GETARG_DATEADT(1), "started");
	as_of = CheckedDay(PG_GETARG_DATEADT(3), "as_of");
	term = PG_GETARG_INTERVAL_P(4);
	if (started > as_of)
		return KeepSummaryState(fcinfo);
	if (TermsEnd(started, term, 1) < ((Timestamp) started + 1) * USECS_PER_DAY)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("term must be a day or longer, not %s",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(term)))),
			 errhint("Give the term for which a contract is renewed, such as '1 year'.")));
	ended = !PG_ARGISNULL(2) && PG_GETARG_DATEADT(2) <= as_of;
	if (ended && PG_GETARG_DATEADT(2) < started)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a contract ends before it starts"),
						errdetail("It starts on %s.", DatumGetCString(DirectFunctionCall1(
														  date_out, DateADTGetDatum(started))))));
	PG_RETURN_POINTER(AddContracts(
		fcinfo,
		/* a running contract whose term ends today was renewed today */
		TermsBefore(started, term,
					(ended ? (Timestamp) PG_GETARG_DATEADT(2) : (Timestamp) as_of + 1) *
						USECS_PER_DAY),
		ended, 1));
}

MODEL_IO_FUNCTION(contract_fit_finalfn, FitOpportunities, ContractFit)

/* ---------- predictions ---------- */

/* The parameters of the model argument, or NULL if it has none. */
static const double *
ContractParametersArgument(FunctionCallInfo fcinfo)
{
	const OpportunityModel *model = ModelArgument(&Format, fcinfo, 0);

	return model->status == FIT_FAILED ? NULL : model->parameters;
}

/* (model, periods, renewals): the probability of that many more renewals */
PG_FUNCTION_INFO_V1(survival);
Datum
survival(PG_FUNCTION_ARGS)
{
	const double *parameters = ContractParametersArgument(fcinfo);
	int32 periods = PeriodsArgument(fcinfo, 1, "periods");
	int32 renewals = PeriodsArgument(fcinfo, 2, "renewals");

	if (parameters == NULL)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(exp(
		LogGammaRatio(parameters[CONTRACT_BETA] + renewals, periods) -
		LogGammaRatio(parameters[CONTRACT_ALPHA] + parameters[CONTRACT_BETA] + renewals, periods)));
}

/* P(renewed once more) of a contract that was renewed that often */
static double
RenewalProbability(const double *parameters, int32 renewals)
{
	return (parameters[CONTRACT_BETA] + renewals) /
		   (parameters[CONTRACT_ALPHA] + parameters[CONTRACT_BETA] + renewals);
}

/* (model, period): the share renewed of the contracts of the period before */
PG_FUNCTION_INFO_V1(retention);
Datum
retention(PG_FUNCTION_ARGS)
{
	const double *parameters = ContractParametersArgument(fcinfo);
	int32 period = PeriodsArgument(fcinfo, 1, "period");

	if (period == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("period must be 1 or later"),
				 errhint("The first renewal leads into period 1.")));
	if (parameters == NULL)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(RenewalProbability(parameters, period - 1));
}

/* (model, periods, renewals, discount): expected renewals, each discounted by its period */
PG_FUNCTION_INFO_V1(expected_renewals);
Datum
expected_renewals(PG_FUNCTION_ARGS)
{
	const double *parameters = ContractParametersArgument(fcinfo);
	int32 periods = PeriodsArgument(fcinfo, 1, "periods");
	int32 renewals = PeriodsArgument(fcinfo, 2, "renewals");
	double discount = DiscountArgument(fcinfo, 3);
	double left = 1;
	double sum = 0;

	if (parameters == NULL)
		PG_RETURN_NULL();
	for (int32 i = 0; i < periods; i++)
	{
		left *= RenewalProbability(parameters, renewals + i) / (1 + discount);
		sum += left;
	}
	PG_RETURN_FLOAT8(sum);
}
