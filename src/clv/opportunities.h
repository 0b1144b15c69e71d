/*
 * opportunities.h: models of customers who take an opportunity or do not, at discrete
 * times: to renew a contract, to give.
 */
#ifndef CRM_OPPORTUNITIES_H
#define CRM_OPPORTUNITIES_H

#include "base/maximum_likelihood.h"
#include "base/model.h"
#include "clv/summary_state.h"

#define OPPORTUNITY_PARAMETERS 4

/* The fields of contract_model and donation_model, which differ in names and parameters. */
typedef struct OpportunityModel
{
	int32 status; /* FitStatus */
	double parameters[OPPORTUNITY_PARAMETERS];
	int64 customers;
	int64 taken; /* opportunities, by all customers */
	double log_likelihood;
	double covariance[COVARIANCES(OPPORTUNITY_PARAMETERS)]; /* of the logs of the parameters */
} OpportunityModel;

/* Customers who took as many of as many opportunities, the same one last. */
typedef struct OpportunityPoint
{
	double weight;
	int32 taken;
	int32 last; /* 1 is the first; 0: none */
	int32 offered;
} OpportunityPoint;

typedef struct OpportunitySample
{
	OpportunityPoint *points;
	int64 npoints;
	int32 max_offered;
	double *scratch;
} OpportunitySample;

/* How a model is fitted. */
typedef struct OpportunityFit
{
	const ModelFormat *format;
	uint8 purpose; /* of the state */
	int nparameters;
	const double *basis;
	LogLikelihood likelihood;
	int nstarts;
	double start[MAX_FIT_STARTS][OPPORTUNITY_PARAMETERS];
	int scratch; /* doubles for each number of opportunities, to one more than the most offered */
} OpportunityFit;

/* An error for counts that cannot be; `what` names an opportunity that is taken. */
extern void CheckOpportunities(const char *what, const OpportunityPoint *point);

/*
 * The state of the aggregate with some more such customers; an error for what cannot be.
 */
extern SummaryState *AddOpportunities(SummaryState *state, uint8 purpose, const char *what,
									  const OpportunityPoint *point, int64 customers);

/* Fits the model to a state; what did not go well is in its status. */
extern void
FitOpportunityModel(const OpportunityFit *fit, SummaryState *state, OpportunityModel *model);

/* An argument that counts periods; an error where it is none. */
extern int32 PeriodsArgument(FunctionCallInfo fcinfo, int argument, const char *name);

/* The discount of a period; an error where it is none. */
extern double DiscountArgument(FunctionCallInfo fcinfo, int argument);

/* What is wrong with the parameters or their covariance; NULL: nothing. */
extern const char *ParametersFault(const OpportunityModel *model, int nparameters);

/* Rows (parameter, estimate, standard_error, status). */
extern Datum OpportunityParameters(FunctionCallInfo fcinfo, const OpportunityModel *model,
								   const char *const *names, int n);

/* The row (status, customers, taken, log_likelihood). */
extern Datum OpportunityCard(FunctionCallInfo fcinfo, const OpportunityModel *model);

#endif /* CRM_OPPORTUNITIES_H */
