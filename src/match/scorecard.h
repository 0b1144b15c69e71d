/*
 * scorecard.h: the chance that a row is a target, as a sum of points for the
 * bins that its attributes fall into.
 *
 * Pure numerics: no SQL, no types.  Rows come as level codes by feature, a
 * level being one distinct value; level 0 means missing.
 */
#ifndef CRM_SCORECARD_H
#define CRM_SCORECARD_H

#include "base/statistics.h"

#define SCORECARD_FOLDS 5
#define SCORECARD_DECILES 10
#define MISSING_LEVEL 0

/* One attribute, or one member of a set, as the fit sees it. */
typedef struct ScorecardFeature
{
	const uint16 *level; /* of each row */
	int nlevels;         /* the missing one included */
	bool ordered;        /* levels 1, 2, … are in order */

	/* found by the fit; bin 0 holds the missing values */
	int nbins;         /* including bin 0; 0 if the feature is not informative and left out */
	uint8 *bin;        /* of each level */
	int rare;          /* bin of words too rare for a bin of their own, and of unknown ones */
	double p_value;    /* that chance gives such bins, corrected over the features */
	ClassCount *count; /* of each bin */
	double *points;    /* of each bin: its contribution to the log-odds */
} ScorecardFeature;

/* A tenth of the rows, by cross-validated score, highest first. */
typedef struct ScoreDecile
{
	int64 rows;
	int64 targets;
	double expected; /* targets expected: the sum of the scores */
} ScoreDecile;

/* Quality of scores on rows that the fit had not seen. */
typedef struct ScoreQuality
{
	double auc;
	double log_loss;
	ScoreDecile decile[SCORECARD_DECILES];
} ScoreQuality;

typedef struct Scorecard
{
	int64 nrows;
	int64 ntargets;
	int nfeatures;
	ScorecardFeature *features;
	double intercept;
	double prior_variance; /* prior variance of a bin's own points: the strength chosen */
	double shrinkage;      /* factor of all points, found on held-out rows; 0: the card is empty */
	ScoreQuality quality;  /* cross-validated, bins and all */
} Scorecard;

/*
 * Fits the card: bins, strength of the regularisation by cross-validation, and
 * points.  Folds (0 … SCORECARD_FOLDS - 1) must not depend on the order of the
 * rows.  Needs rows of both classes.
 */
extern void FitScorecard(Scorecard *card, const uint8 *target, const uint8 *fold);

/* Quality of scores (chances) against the actual classes of the rows. */
extern ScoreQuality MeasureScores(const double *score, const uint8 *target, int64 nrows);

#endif /* CRM_SCORECARD_H */
