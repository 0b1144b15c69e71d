/*
 * clv_math.h: the repeat-purchase models of the papers: likelihoods with gradients, and
 * predictions.  Pure numerics, no SQL.
 *
 * Time is in units of the model.  A customer is (x, t_x, T): repeat purchase days, time from the
 * first purchase to the last, and to the as-of date.
 */
#ifndef CRM_CLV_MATH_H
#define CRM_CLV_MATH_H

#include "base/maximum_likelihood.h"
#include "clv/phases.h"

/* The families; the numbers are stored. */
typedef enum ClvFamily
{
	CLV_BG_NBD = 0,
	CLV_MBG_NBD = 1,
	CLV_PARETO_NBD = 2,
} ClvFamily;

/*
 * How customers buy and leave: a family, and how regularly they buy while they stay. The gaps
 * between purchases are Erlang-k, k the regularity; 1 means purchases at random, as in the NBD
 * models.  Pareto/NBD allows only 1.
 */
typedef struct ClvProcess
{
	ClvFamily family;
	int regularity;
} ClvProcess;

#define CLV_PARAMETERS 4
#define SPEND_PARAMETERS 3
/* of two classes: those of the regular one and of the random one, and the log-odds of the latter */
#define MIXED_PARAMETERS (2 * CLV_PARAMETERS + 1)
#define MIXED_ODDS (2 * CLV_PARAMETERS)

/* The parameters in the order of the papers. */
enum
{
	CLV_R,
	CLV_ALPHA,
	CLV_A,
	CLV_B, /* BG/NBD, MBG/NBD */
	CLV_S = CLV_A,
	CLV_BETA = CLV_B /* Pareto/NBD */
};
enum
{
	SPEND_P,
	SPEND_Q,
	SPEND_V,
	SPEND_TAU = SPEND_P,   /* Normal-Normal: standard deviation of the means of customers, */
	SPEND_SIGMA = SPEND_Q, /* of a customer's values around it, */
	SPEND_MU = SPEND_V     /* and the mean of the means */
};

typedef struct ClvCustomer
{
	double x;
	double t_x;
	double T;
	double regularity; /* see RegularityOf(); 0 if the process does not need it */
} ClvCustomer;

/* Customers who are alike, for a fit. */
typedef struct ClvPoint
{
	double weight; /* how many customers */
	double t_x;
	double T;
	int64 x;
	int32 t_x_at; /* both among ClvSample.times */
	int32 T_at;
	int32 t_x_days; /* both weighted by the calendar */
	int32 T_days;
} ClvPoint;

/* Points in order of x: what depends on x alone is computed once per group. */
typedef struct ClvSample
{
	ClvPoint *points;
	int64 npoints;
	double *times; /* every t_x and T, ascending */
	int64 ntimes;
	double *scratch;     /* CLV_SCRATCH doubles per time */
	double weight;       /* of all points */
	float *regularities; /* of the customers of each point; NULL if they are not needed */
	int regularity; /* k of the gaps; the part of the likelihood that depends on k alone is left out
					 */
} ClvSample;

#define CLV_SCRATCH 7

/* Spend for a fit: customers who are alike, `z` the amount of x repeat purchases. */
typedef struct SpendPoint
{
	double weight;
	double z;
	int64 x;
} SpendPoint;

typedef struct SpendSample
{
	SpendPoint *points; /* in order of x */
	int64 npoints;
} SpendSample;

/*
 * Log-likelihoods and, in `gradient`, their derivatives with respect to the parameters.  The sample
 * is a void * to fit maximum_likelihood.h.
 */
extern double BgNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double MbgNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double ParetoNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double GammaGammaLogLikelihood(void *sample, const double *parameters, double *gradient);

/*
 * The likelihood of a family, and its basis of coordinates (see maximum_likelihood.h) at given
 * parameters.
 */
extern LogLikelihood ClvLikelihood(ClvFamily family);
extern const double *ClvBasis(ClvFamily family);
extern void ClvCoordinates(ClvFamily family, const double *parameters, double *start);

/*
 * The log-likelihood of one customer; for regular ones without the factor Π gap^(k-1) / Γ(k), which
 * does not depend on the parameters.
 */
extern double
ClvLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer);

/*
 * The same in parts: what depends on the number of purchases alone, and the rest; of the rest, what
 * is said of customers who are still active, and the log-odds that they are lost; and the factor
 * that was left out.
 */
extern double CountLogLikelihood(ClvProcess process, const double *parameters, double x);
extern double
TimesLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer);
extern double ActiveLogLikelihood(ClvProcess process, const double *parameters,
								  const ClvCustomer *customer, double *log_odds);
extern double GapsLogLikelihood(ClvProcess process, const ClvCustomer *customer);

/* The log-odds that the customer is lost; -infinity if P(alive) is 1. */
extern double
LogDropoutOdds(ClvProcess process, const double *parameters, const ClvCustomer *customer);

/* Expected purchases within the horizon of a customer who is alive at T. */
extern double PurchasesIfAlive(ClvProcess process, const double *parameters,
							   const ClvCustomer *customer, double horizon);
extern double AnyPurchaseIfAlive(ClvProcess process, const double *parameters,
								 const ClvCustomer *customer, double horizon);

/*
 * The same in two steps: purchases by the phase of the open gap (`regularity` numbers that depend
 * on x and T only), and their mean, weighted by what the silence says about the phase.
 */
extern void PurchasesByPhase(ClvProcess process, const double *parameters,
							 const ClvCustomer *customer, double horizon, double *purchases);
extern double MeanOverPhases(ClvProcess process, const double *parameters,
							 const ClvCustomer *customer, const double *purchases);

/* P(at least n purchases within the horizon), n = 1 … max_purchases, of a customer who is alive. */
extern void
ManyPurchasesIfAlive(ClvProcess process, const double *parameters, const ClvCustomer *customer,
					 double horizon, int max_purchases, double *at_least);

/*
 * The time by which the customer, alive with probability `alive`, will have bought again with the
 * given probability; infinity if never.
 */
extern double WaitForPurchase(ClvProcess process, const double *parameters,
							  const ClvCustomer *customer, double alive, double probability);

#endif /* CRM_CLV_MATH_H */
