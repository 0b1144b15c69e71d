/*
 * spend.h: what a purchase day is worth.
 *
 * Positive values are Gamma-Gamma (Fader and Hardie 2013).  If some customers cost money, or got
 * back all that they paid, values are normal: those of a customer around a mean of their own, and
 * these means around the mean of all (Buehlmann and Straub 1970).
 */
#ifndef CRM_SPEND_H
#define CRM_SPEND_H

#include "clv/clv_model.h"

/* The spend part of a fit, from a sorted state. */
extern void FitSpendPart(ClvModel *model, const SummaryState *state);

/* The forecast of the value of a customer's purchases. */
typedef struct SpendForecast
{
	double value;     /* of a purchase day */
	double uncertain; /* variance of the customer's mean given the data */
	double variance;  /* of the values of single purchases around it */
} SpendForecast;

/*
 * The forecast at given parameters, which need not be the model's own; with_first counts the first
 * purchase as an observation, too.
 */
extern SpendForecast ForecastSpend(const ClvModel *model, const double *spend,
								   const PurchaseSummary *facts, bool with_first);

/* The variance of the value of all purchases, given mean and variance of their number. */
static inline double
VarianceOfTotal(double mean, double variance, const SpendForecast *spend)
{
	return mean * spend->variance + spend->value * spend->value * variance +
		   spend->uncertain * (variance + mean * mean);
}

#endif /* CRM_SPEND_H */
