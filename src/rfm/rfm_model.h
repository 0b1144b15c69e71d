/*
 * rfm_model.h: the thresholds that turn recency, frequency and monetary values
 * into scores, and how they are learnt from a population.
 */
#ifndef CRM_RFM_MODEL_H
#define CRM_RFM_MODEL_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/date.h"

#include "base/decimal.h"
#include "history/purchase_history.h"
#include "rfm/rfm_score.h"

typedef enum RfmDimension
{
	RECENCY,
	FREQUENCY,
	MONETARY,
	RFM_DIMENSIONS
} RfmDimension;

/*
 * A model taken apart.  A threshold is an integer in units of 10^-scale, cut
 * (not rounded) where the exact one has more decimals: for values of no more
 * decimals than that, "above the threshold" means the same.
 */
typedef struct RfmModel
{
	uint64 serial; /* of its bytes; 0: not from DecodeRfmModel */
	int bins;
	int scale[RFM_DIMENSIONS];
	int64 threshold[RFM_DIMENSIONS][MAX_BINS - 1];
	bool has_period;
	Interval period;
	bool fitted; /* the rest only then */
	DateADT as_of;
	int64 customers;        /* with a score */
	int64 median_frequency; /* at MAX_SCALE decimals */
	double median_order_value;
} RfmModel;

/* What scoring needs to know of a customer. */
typedef struct RfmFacts
{
	int64 monetary; /* in units of 10^-scale, the scale kept elsewhere */
	int32 recency;
	int32 frequency; /* 0: none in the period, no score */
} RfmFacts;

#define RFM_BATCH 256

/* A population that can be read again and again. */
typedef struct RfmPopulation
{
	void (*rewind)(struct RfmPopulation *population);
	/* the next customers with a score, up to RFM_BATCH of them; how many, 0 at the end */
	int (*next)(struct RfmPopulation *population, RfmFacts *facts);
	int scale; /* of the monetary values */
} RfmPopulation;

/* False: the population is empty, and there is nothing to fit. */
extern bool FitRfm(RfmModel *model, RfmPopulation *population, int bins, bool medians);

/* 1 + the number of thresholds below the value; for recency the other way round. */
extern RfmScore ScoreRfm(const RfmModel *model, int32 recency, int64 frequency, int128 monetary,
						 int monetary_scale);

extern double OrderValue(int128 monetary, int scale, int64 frequency);

extern struct varlena *EncodeRfmModel(const RfmModel *model);
extern void *DecodeRfmModel(const struct varlena *value);

#endif /* CRM_RFM_MODEL_H */
