/*
 * clv_predict.h: predictions about one customer.
 */
#ifndef CRM_CLV_PREDICT_H
#define CRM_CLV_PREDICT_H

#include "base/special_functions.h"
#include "clv/clv_model.h"

/* The customer in units of the model, weighted by its season. */
extern ClvCustomer
CustomerInUnits(const ClvModel *model, const PurchaseSummary *facts, DateADT as_of);

#define MAX_HORIZON_DAYS 36525 /* a hundred years */

/*
 * Time from as_of to as_of + interval in units of the model, weighted by season and pace; an error
 * if the interval is invalid.
 */
extern double HorizonInUnits(const ClvModel *model, DateADT as_of, const Interval *horizon);

/* The same of any interval. */
extern double UnitsAhead(const ClvModel *model, DateADT as_of, const Interval *interval);

/* A class that the customer may be of. */
typedef struct CustomerClass
{
	ClvProcess process;
	double parameters[CLV_PARAMETERS];
	double probability; /* of being of it */
	double active;      /* of being of it and active */
} CustomerClass;

#define MAX_CLASSES 2

/*
 * The classes that a customer may be of, the regular one first; returns how many.  At other
 * parameters than the model's own, those of purchases at random differ by the same factors.
 */
extern int CustomerClasses(const ClvModel *model, const double *parameters,
						   const ClvCustomer *customer, CustomerClass *classes);

/*
 * The same for the probability of a purchase: where customers are not split, half of what speaks
 * for the regular class is taken to speak for the other.
 */
extern int ClassesOfProbability(const ClvModel *model, const double *parameters,
								const ClvCustomer *customer, CustomerClass *classes);

/* The regular class, which all customers are of if they are not split, without probabilities. */
extern void RegularClass(const ClvModel *model, const double *parameters, CustomerClass *class);

/* The probability that a customer of the class is active. */
static inline double
ActiveOf(const CustomerClass *class, const ClvCustomer *customer)
{
	return Logistic(-LogDropoutOdds(class->process, class->parameters, customer));
}

/*
 * Where customers are not split, somebody whose silence is too long for a regular buyer may buy at
 * random all the same, and be expected to buy less than once.  So half of what the chance of a
 * first purchase at random exceeds the expected number is added to it; then it is no less than the
 * probability of a purchase.  False if there is nobody to think of.
 */
extern bool ClassAtRandom(const ClvModel *model, const double *parameters, CustomerClass *class);

/* What is added, from the chance of one who is active. */
static inline double
ChanceBeyond(const CustomerClass *class, const ClvCustomer *customer, double chance,
			 double expected)
{
	return chance > expected ? Max(0, ActiveOf(class, customer) * chance - expected) / 2 : 0;
}

/*
 * The probability of a purchase in the horizon, the customer perhaps lost.
 */
extern double AnyPurchase(const ClvModel *model, const double *parameters,
						  const ClvCustomer *customer, double horizon);

/* The same at the parameters of the model. */
extern double
ProbabilityOfPurchase(const ClvModel *model, const ClvCustomer *customer, double horizon);

/* The log-likelihood of a customer; of one who may be of two classes, single gaps included. */
extern double CustomerLogLikelihood(const ClvModel *model, const ClvCustomer *customer);

/* The probability that the customer, had they not left, would have bought again by T. */
extern double GapProbability(const ClvModel *model, const ClvCustomer *customer);

/* E[Y(t)]: expected purchase days within the horizon. */
extern double ExpectedPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon);

/* E[Y(t)] and the variance by chance, with the parameters taken as exact. */
typedef struct PurchaseForecast
{
	double mean;
	double variance;
} PurchaseForecast;

/*
 * The same from P(alive), the purchases if alive and what is added to them, where all customers are
 * of one class.
 */
extern PurchaseForecast ForecastIfAlive(const ClvModel *model, const ClvCustomer *customer,
										double horizon, double alive, double mean, double beyond);

extern PurchaseForecast
ForecastPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon);

#endif /* CRM_CLV_PREDICT_H */
