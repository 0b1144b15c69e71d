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

/* A class that the customer may be of, and how likely that is. */
typedef struct CustomerClass
{
	ClvProcess process;
	double parameters[CLV_PARAMETERS];
	double probability;
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

/* The probability that a customer of a class is active. */
static inline double
ClassAlive(const CustomerClass *class, const ClvCustomer *customer)
{
	return Logistic(-LogDropoutOdds(class->process, class->parameters, customer));
}

/*
 * The probability of a purchase in the horizon, the customer perhaps lost.
 */
extern double AnyPurchase(const ClvModel *model, const double *parameters,
						  const ClvCustomer *customer, double horizon);

/* The same at the parameters of the model. */
extern double
ProbabilityOfPurchase(const ClvModel *model, const ClvCustomer *customer, double horizon);

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

/* The same from P(alive) and the purchases if alive, where all customers are of one class. */
extern PurchaseForecast ForecastIfAlive(const ClvModel *model, const ClvCustomer *customer,
										double horizon, double alive, double mean);

extern PurchaseForecast
ForecastPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon);

#endif /* CRM_CLV_PREDICT_H */
