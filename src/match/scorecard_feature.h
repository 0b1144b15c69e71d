/*
 * scorecard_feature.h: an attribute as the fit of a scorecard sees it.
 */
#ifndef CRM_SCORECARD_FEATURE_H
#define CRM_SCORECARD_FEATURE_H

#include "base/statistics.h"

#define MISSING_LEVEL 0
#define SCORECARD_PAIRS 5 /* the most interactions */

/* Bins that somebody gave. */
typedef struct OwnLevels
{
	int nalone;   /* values with bins of their own, which come last */
	uint8 *alone; /* of each level: the number of that value, from 1 on; 0 for none */
	int nfixed;   /* ranges or groups given; 0 if they are to be found */
	uint8 *fixed; /* of each level: its range or group, from 0 on */

	/* of ordered levels */
	float *value; /* with a bin of its own */
	float *low;   /* of each range */
} OwnLevels;

/* One attribute, or one member of a set, as the fit sees it. */
typedef struct ScorecardFeature
{
	const uint16 *level;  /* of each row */
	int nlevels;          /* the missing one included */
	bool ordered;         /* levels 1, 2, … are in order */
	const OwnLevels *own; /* NULL: all bins are to be found */

	/* found by the fit; bin 0 holds the missing values */
	int nbins;         /* including bin 0; 0 if the feature is not informative and left out */
	uint8 *bin;        /* of each level */
	int rare;          /* bin of words too rare for a bin of their own, and of unknown ones */
	double p_value;    /* probability of such bins by chance, corrected over the features */
	ClassCount *count; /* of each bin; of values all rows are others */
	double *mean;      /* of each bin: of values; NULL of targets */
	double *points;    /* of each bin: its contribution to the log-odds, or to the value */

	/* an interaction: levels and bins are the cells of the classes of two features */
	int first;
	int second;
} ScorecardFeature;

#endif /* CRM_SCORECARD_FEATURE_H */
