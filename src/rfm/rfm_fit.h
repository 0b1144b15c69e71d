/*
 * rfm_fit.h: fitting thresholds to a population.
 */
#ifndef CRM_RFM_FIT_H
#define CRM_RFM_FIT_H

#include "rfm/rfm_model.h"

/* Recency, frequency and monetary value of a customer. */
typedef struct RfmValues
{
	int64 monetary; /* in units of 10^-scale, the scale kept elsewhere */
	int32 recency;
	int32 frequency; /* 0: none in the period, no score */
} RfmValues;

#define RFM_BATCH 256

/* A population that can be read again and again. */
typedef struct RfmPopulation
{
	void (*rewind)(struct RfmPopulation *population);
	/* returns the number of further customers with a score, at most RFM_BATCH; 0 at the end */
	int (*next)(struct RfmPopulation *population, RfmValues *rfm);
	int scale; /* of the monetary values */
} RfmPopulation;

/* Returns false if the population is empty and there is nothing to fit. */
extern bool FitRfm(RfmModel *model, RfmPopulation *population, int bins, bool medians);

#endif /* CRM_RFM_FIT_H */
