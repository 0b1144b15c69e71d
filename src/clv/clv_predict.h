/*
 * clv_predict.h: predictions about one customer.
 */
#ifndef CRM_CLV_PREDICT_H
#define CRM_CLV_PREDICT_H

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

/*
 * The probability of a purchase in the horizon, the customer perhaps lost; at other parameters than
 * the model's own, those of purchases at random differ by the same factors.
 */
extern double AnyPurchase(const ClvModel *model, const double *parameters,
						  const ClvCustomer *customer, double horizon);

/* The process and the parameters of purchases at random; false if the model has none. */
extern bool RandomPurchases(const ClvModel *model, const double *parameters, ClvProcess *process,
							double *random);

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

/* The same from P(alive) and the purchases of a customer who is alive. */
extern PurchaseForecast ForecastIfAlive(const ClvModel *model, const ClvCustomer *customer,
										double horizon, double alive, double mean);

extern PurchaseForecast
ForecastPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon);

#endif /* CRM_CLV_PREDICT_H */
