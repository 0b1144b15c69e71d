/*
 * uplift_ridge.h: what a treatment changes, as a sum of points for the bins that a row's attributes
 * fall into, learnt from a test with a control group.
 *
 * Pure numerics: no SQL, no types.  Outcomes come divided by their standard deviation.
 */
#ifndef CRM_UPLIFT_RIDGE_H
#define CRM_UPLIFT_RIDGE_H

#define UPLIFT_FOLDS 5
#define UPLIFT_REPEATS 5 /* of the cross-validation, each with other folds */
#define UPLIFT_DECILES 10

/* The rows.  Parameter 0 is the intercept, each feature has `nbins` from `offset` on. */
typedef struct UpliftRows
{
	int64 nrows;
	int nfeatures;
	int nparameters;
	const int *offset;
	const int *nbins;        /* the first bin holds the missing values */
	const bool *ordered;     /* whether the bins after it are in order */
	const uint16 *parameter; /* nrows * nfeatures */
	const uint8 *treated;    /* 0 or 1 */
	const double *outcome;   /* divided by its standard deviation */
	const uint64 *tie;       /* orders rows with equal scores: a hash of all their contents */
	double share;            /* of the treated, neither 0 nor 1 */
} UpliftRows;

/* A figure with its standard error. */
typedef struct Estimate
{
	double value;
	double error;
} Estimate;

/* A tenth of the rows, by held-out score, highest first. */
typedef struct UpliftDecile
{
	Estimate uplift;
	double expected; /* mean score */
} UpliftDecile;

/* What held-out scores are worth. */
typedef struct UpliftQuality
{
	Estimate qini;
	Estimate auuc;
	Estimate top10; /* uplift of the best tenth */
	Estimate top30;
	Estimate response30; /* uplift of those 30 % with the highest outcome expected */
	UpliftDecile decile[UPLIFT_DECILES];
} UpliftQuality;

typedef struct UpliftFit
{
	double *uplift;         /* of each parameter */
	double *response;       /* of each parameter: the outcome without treatment */
	double prior_deviation; /* of points a priori, in standard deviations of the outcome */
	double shrinkage;       /* factor of the points, found on held-out rows; 0: nothing was found */
	UpliftQuality quality;
} UpliftFit;

extern void FitUplift(const UpliftRows *rows, UpliftFit *fit);

#endif /* CRM_UPLIFT_RIDGE_H */
