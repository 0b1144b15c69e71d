/*
 * scorecard.h: the chance that a row is a target, or the value to expect of it, as a sum of points
 * for the bins that its attributes fall into.
 *
 * Pure numerics: no SQL, no types.  Rows come as level codes by feature, a
 * level being one distinct value; level 0 means missing.
 */
#ifndef CRM_SCORECARD_H
#define CRM_SCORECARD_H

#include "match/binning.h"
#include "match/scorecard_feature.h"

#define SCORECARD_FOLDS 5
#define SCORECARD_DECILES 10

/* A tenth of the rows, by cross-validated score, highest first. */
typedef struct ScoreDecile
{
	int64 rows;
	int64 targets;
	double value;    /* the sum of their values */
	double expected; /* targets, or values, expected: the sum of the scores */
} ScoreDecile;

/* Quality of scores on rows that the fit had not seen. */
typedef struct ScoreQuality
{
	double auc;
	double log_loss;  /* of values: half the logarithm of the mean squared error */
	double r_squared; /* of values: share of their variance that the scores explain */
	double rmse;      /* of values: root of the mean squared error */
	ScoreDecile decile[SCORECARD_DECILES];
} ScoreQuality;

typedef struct Scorecard
{
	int64 nrows;
	int64 ntargets;
	Outcome outcome;
	int nfeatures;
	ScorecardFeature *features;  /* with room for SCORECARD_PAIRS interactions behind them */
	int npairs;                  /* found by the fit: interactions */
	struct PairClasses *classes; /* and the classes of each feature that they are made of */
	double intercept;
	double prior_variance; /* prior variance of a bin's own points: the strength chosen */
	double shrinkage;      /* factor of all points, found on held-out rows; 0 for an empty card */
	ScoreQuality quality;  /* cross-validated, bins and all */
} Scorecard;

/* What each row is: a target or not, or its value, with mean 0 and standard deviation 1. */
typedef struct Outcomes
{
	const uint8 *target;
	const double *value; /* NULL of targets */
} Outcomes;

/*
 * Fits the card: bins, strength of the regularisation by cross-validation, and
 * points.  Folds (0 … SCORECARD_FOLDS - 1) must not depend on the order of the
 * rows.  Needs rows of both classes, or values that differ.
 */
extern void FitScorecard(Scorecard *card, const Outcomes *outcomes, const uint8 *fold);

#endif /* CRM_SCORECARD_H */
