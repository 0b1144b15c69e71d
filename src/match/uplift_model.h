/*
 * uplift_model.h: what a treatment changes for whom, learnt from a test with a control group.
 */
#ifndef CRM_UPLIFT_MODEL_H
#define CRM_UPLIFT_MODEL_H

#include "match/match_model.h"
#include "match/uplift_ridge.h"

#define FEW_SHARING 5 /* a bin with fewer rows of an arm does not show their outcomes */

/* What the bins of the card have besides their points; all bins one after the other. */
typedef struct UpliftBin
{
	double response;     /* points of the outcome without treatment */
	double treated_mean; /* of the outcome; 0 where too few share it */
	double control_mean;
} UpliftBin;

typedef struct UpliftModel
{
	/*
	 * Features, bins and points of the uplift.  Its targets are the treated, its intercept is the
	 * mean uplift.
	 */
	MatchModel *card;
	int32 is_value;  /* the outcome is a value, not whether something happened */
	double response; /* mean of the outcome without treatment */
	double treated_mean;
	double control_mean;
	Estimate effect;  /* difference of the means */
	double deviation; /* standard deviation of the outcome; 0: all outcomes are equal */
	double balance;   /* chance that attributes differ so much between treated and control */
	UpliftQuality quality;
	int nbins;
	UpliftBin *bins;
} UpliftModel;

extern const ModelFormat UpliftModelFormat;

/* Whether no attribute tells how the effect differs. */
static inline bool
UpliftIsEmpty(const UpliftModel *model)
{
	return model->card->card.shrinkage == 0;
}

#endif /* CRM_UPLIFT_MODEL_H */
