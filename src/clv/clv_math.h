/*
 * clv_math.h: the repeat-purchase models as their papers have them: likelihoods
 * with gradients, and predictions.  Pure numerics, no SQL.
 *
 * Time is in units of the model.  A customer is (x, t_x, T): repeat purchase
 * days, time from the first purchase to the last, and to the as-of date.
 */
#ifndef CRM_CLV_MATH_H
#define CRM_CLV_MATH_H

#include "clv/phases.h"

/* The families; the numbers are stored. */
typedef enum ClvFamily
{
	CLV_BG_NBD = 0,
	CLV_MBG_NBD = 1,
	CLV_PARETO_NBD = 2,
} ClvFamily;

/*
 * How customers buy and leave: a family, and how regularly they buy while they stay.
 * The gaps between purchases are Erlang-k, k the regularity; 1: purchases by chance,
 * as in the NBD models.  Pareto/NBD has no other.
 */
typedef struct ClvProcess
{
	ClvFamily family;
	int regularity;
} ClvProcess;

#define CLV_PARAMETERS 4
#define SPEND_PARAMETERS 3

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
} ClvCustomer;

/* Customers alike, for a fit. */
typedef struct ClvPoint
{
	double weight; /* how many customers */
	double t_x;
	double T;
	int64 x;
	int32 t_x_at; /* both among ClvSample.times */
	int32 T_at;
	int32 t_x_days; /* both as the calendar has them */
	int32 T_days;
} ClvPoint;

/* Points in order of x: what depends on x alone is computed once a group. */
typedef struct ClvSample
{
	ClvPoint *points;
	int64 npoints;
	double *times; /* every t_x and T, ascending */
	int64 ntimes;
	double *scratch; /* CLV_SCRATCH doubles a time */
	double weight;   /* of all points */
	int regularity;  /* k of the gaps; what of the likelihood k alone decides is left out */
} ClvSample;

#define CLV_SCRATCH 7

/* Spend for a fit: customers alike, `z` the amount of x repeat purchases. */
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
 * Log-likelihoods and, in `gradient`, their derivatives by the parameters.  The
 * sample is a void * for the sake of maximum_likelihood.h.
 */
extern double BgNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double MbgNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double ParetoNbdLogLikelihood(void *sample, const double *parameters, double *gradient);
extern double GammaGammaLogLikelihood(void *sample, const double *parameters, double *gradient);

/*
 * The log-likelihood of one customer; of a regular one without the factor of the single
 * gaps, Π gap^(k-1) / Γ(k), which no parameter has a say in.
 */
extern double
ClvLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer);

/* ln of the odds that the customer is lost: -infinity where P(alive) is 1. */
extern double
LogDropoutOdds(ClvProcess process, const double *parameters, const ClvCustomer *customer);

/* What a customer who is alive at T will do within the horizon. */
extern double PurchasesIfAlive(ClvProcess process, const double *parameters,
							   const ClvCustomer *customer, double horizon);
extern double AnyPurchaseIfAlive(ClvProcess process, const double *parameters,
								 const ClvCustomer *customer, double horizon);

/*
 * The same in two steps: purchases by the phase that the open gap is in, which depend on x
 * and T only, `regularity` numbers, and their mean over what the silence says of the phase.
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
 * The time within which the customer, who is alive with a probability of `alive`, will have
 * bought again with this probability; infinity where that is never.
 */
extern double WaitForPurchase(ClvProcess process, const double *parameters,
							  const ClvCustomer *customer, double alive, double probability);

#endif /* CRM_CLV_MATH_H */
