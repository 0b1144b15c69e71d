/*
 * spend.h: what a purchase day is worth.
 *
 * Values that are positive are Gamma-Gamma (Fader and Hardie 2013).  Where customers lose
 * money, or get back as much as they paid, values are normal: those of a customer around a
 * mean of their own, these means around that of all (Buehlmann and Straub 1970).
 */
#ifndef CRM_SPEND_H
#define CRM_SPEND_H

#include "clv/clv_model.h"

/* The spend part of a fit, from a sorted state. */
extern void FitSpendPart(ClvModel *model, const SummaryState *state);

/* What is expected of the purchases of a customer. */
typedef struct SpendForecast
{
	double value;     /* of a purchase day */
	double uncertain; /* variance of the customer's mean, as far as it is not known */
	double variance;  /* of the values of single purchases around it */
} SpendForecast;

/*
 * The forecast at these parameters, which need not be the model's own; with_first: the first
 * purchase is an observation, too.
 */
extern SpendForecast ForecastSpend(const ClvModel *model, const double *spend,
								   const PurchaseSummary *facts, bool with_first);

/* Of the value of all purchases, of whose number mean and variance are known. */
static inline double
VarianceOfTotal(double mean, double variance, const SpendForecast *spend)
{
	return mean * spend->variance + spend->value * spend->value * variance +
		   spend->uncertain * (variance + mean * mean);
}

#endif /* CRM_SPEND_H */
