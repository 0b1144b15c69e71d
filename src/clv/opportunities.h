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

/* Customers who took equally many of equally many opportunities, and the same one last. */
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
	const char *name;
	const char *customers; /* what a customer and an opportunity taken are called */
	const char *taken;
	int nparameters;
	const double *basis;
	LogLikelihood likelihood;
	int nstarts;
	double start[MAX_FIT_STARTS][OPPORTUNITY_PARAMETERS];
	int scratch; /* doubles for each number of opportunities from 0 to one more than the most
					offered */
} OpportunityFit;

/* Raises an error for impossible counts; `taken` is the word for opportunities taken. */
extern void CheckOpportunities(const char *taken, const OpportunityPoint *point);

/* Adds that many customers to the state of the aggregate; an error for impossible counts. */
extern SummaryState *AddOpportunities(FunctionCallInfo fcinfo, const OpportunityFit *fit,
									  const OpportunityPoint *point, int64 customers);

/* The final function of the aggregate. */
extern Datum FitOpportunities(const OpportunityFit *fit, FunctionCallInfo fcinfo);

/* An argument that counts periods; an error if it is out of range. */
extern int32 PeriodsArgument(FunctionCallInfo fcinfo, int argument, const char *name);

/* The discount per period; an error if it is out of range. */
extern double DiscountArgument(FunctionCallInfo fcinfo, int argument);

/* What is wrong with the parameters or their covariance, or NULL. */
extern const char *ParametersFault(const OpportunityModel *model, int nparameters);

/*
 * SQL functions: a model from its parameters; rows (parameter, estimate, standard_error, status);
 * the row (status, customers, taken, log_likelihood).
 */
extern Datum OpportunityModelMake(const ModelFormat *format, FunctionCallInfo fcinfo);
extern Datum OpportunityParameters(const ModelFormat *format, FunctionCallInfo fcinfo);
extern Datum OpportunityCard(const ModelFormat *format, FunctionCallInfo fcinfo);

/*
 * Defines the format of a model with `n` parameters (static, named Format), and the SQL functions
 * that do not depend on its formulas.
 */
#define OPPORTUNITY_MODEL(kind, n, customers_name, taken_name, parameters_example)                 \
	static const OpportunityModel Defaults = {.status = FIT_GIVEN};                                \
	static const ModelField Fields[] = {                                                           \
		MODEL_FIELD(OpportunityModel, "parameters", parameters, FIELD_NUMBER, .count = (n)),       \
		MODEL_FIELD(OpportunityModel, "status", status, FIELD_WORD, .words = FitStatusNames),      \
		MODEL_FIELD(OpportunityModel, customers_name, customers, FIELD_COUNT),                     \
		MODEL_FIELD(OpportunityModel, taken_name, taken, FIELD_COUNT),                             \
		MODEL_FIELD(OpportunityModel, "log_likelihood", log_likelihood, FIELD_NUMBER),             \
		MODEL_FIELD(OpportunityModel, "covariance", covariance, FIELD_NUMBER,                      \
					.count = COVARIANCES(n)),                                                      \
	};                                                                                             \
	static const char *OpportunityFault(const void *data)                                          \
	{                                                                                              \
		return ParametersFault((const OpportunityModel *) data, (n));                              \
	}                                                                                              \
	static const ModelFormat Format = {                                                            \
		.type = #kind "_model",                                                                    \
		.version = 1,                                                                              \
		.max_bytes = 2000,                                                                         \
		.group = {.size = sizeof(OpportunityModel),                                                \
				  .defaults = &Defaults,                                                           \
				  .nfields = lengthof(Fields),                                                     \
				  .fields = Fields},                                                               \
		.fault = OpportunityFault,                                                                 \
		.example = "{\"parameters\": " parameters_example "}",                                     \
	};                                                                                             \
	MODEL_IO(kind##_model, Format)                                                                 \
	MODEL_IO_FUNCTION(kind##_model, OpportunityModelMake, Format)                                  \
	MODEL_IO_FUNCTION(kind##_parameters, OpportunityParameters, Format)                            \
	MODEL_IO_FUNCTION(kind##_model_card, OpportunityCard, Format)

#endif /* CRM_OPPORTUNITIES_H */
