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

/* What values are ranked by: a dimension, or the value of an order (SortableFloat8). */
#define ORDER_VALUE RFM_DIMENSIONS

/* The values of a population in order, for thresholds, which lie between two of them. */
typedef struct RankedValues
{
	int64 (*at)(struct RankedValues *values, int what, int64 rank);
	int64 customers; /* at least one */
	int scale;       /* of the monetary values */
	int bins;
	bool medians;
} RankedValues;

/* The thresholds of a population, and its medians. */
extern void RfmModelOfRanks(RfmModel *model, RankedValues *values);

/* Returns false if the population is empty and there is nothing to fit. */
extern bool FitRfm(RfmModel *model, RfmPopulation *population, int bins, bool medians);

#endif /* CRM_RFM_FIT_H */
