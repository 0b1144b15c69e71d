/*
 * rfm_model.h: the thresholds that turn recency, frequency and monetary values
 * into scores, and the scores of a history.
 */
#ifndef CRM_RFM_MODEL_H
#define CRM_RFM_MODEL_H

#include "datatype/timestamp.h"
#include "utils/date.h"

#include "base/decimal.h"
#include "base/model.h"
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
 * A threshold with more than MAX_SCALE decimals is truncated, not rounded: for values with at most
 * that many decimals "above the threshold" means the same.
 */
typedef struct RfmModel
{
	int32 bins;
	int nthresholds[RFM_DIMENSIONS];                 /* bins - 1 */
	Decimal threshold[RFM_DIMENSIONS][MAX_BINS - 1]; /* for scoring: one scale per dimension */
	Interval period;                                 /* zero for the whole history */
	/* of the fit; not set in a model made by hand */
	DateADT as_of;
	int64 customers; /* with a score; 0: not fitted */
	Decimal median_frequency;
	double median_order_value;
	uint64 fingerprint; /* of its value; 0: not from one */
} RfmModel;

extern const ModelFormat RfmModelFormat;

/* The period of a model; NULL for the whole history. */
static inline const Interval *
RfmPeriod(const RfmModel *model)
{
	return model->period.month == 0 && model->period.day == 0 && model->period.time == 0
			   ? NULL
			   : &model->period;
}

/* 1 + the number of thresholds below the value; reversed for recency. */
extern RfmScore ScoreRfm(const RfmModel *model, int32 recency, int64 frequency, int128 monetary,
						 int monetary_scale);

/* The part of a history that the model scores; NULL if it gets no score.  Valid until the next
 * call. */
extern const HistorySummary *
SummaryForRfm(const PurchaseHistory *history, DateADT as_of, const RfmModel *model);

/* The score of a history, kept for the next column of the row that asks for it; 0: none. */
extern RfmScore
RecallRfmScore(const PurchaseHistory *history, DateADT as_of, const RfmModel *model);

extern double OrderValue(int128 monetary, int scale, int64 frequency);

#endif /* CRM_RFM_MODEL_H */
