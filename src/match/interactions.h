/*
 * interactions.h: pairs of features whose values together say more than each does by itself.
 */
#ifndef CRM_INTERACTIONS_H
#define CRM_INTERACTIONS_H

#include "match/scorecard_feature.h"

/* The few classes of a feature that pairs are made of; they do not depend on the target. */
typedef struct PairClasses
{
	int n;        /* class 0, missing values, included */
	uint8 *class; /* of each level */
} PairClasses;

extern PairClasses *MakePairClasses(const ScorecardFeature *features, int nfeatures, int64 nrows);

/* Pairs found, the most convincing first. */
typedef struct PairSearch
{
	int n;
	int first[SCORECARD_PAIRS];
	int second[SCORECARD_PAIRS];
	double p_value[SCORECARD_PAIRS]; /* corrected for the number of pairs */
	double signal[SCORECARD_PAIRS];  /* share of the evidence that chance does not explain */
} PairSearch;

/* Rows that a card has been fitted to, but for those of one fold. */
typedef struct PairRows
{
	int64 nrows;
	const uint8 *fold;
	int left_out;
	const double *residual; /* what the card leaves unexplained */
	const double *weight;   /* its variance */
} PairRows;

/* The pairs of features that residuals of a card without them still tell apart. */
extern PairSearch FindPairs(const ScorecardFeature *features, int nfeatures,
							const PairClasses *classes, const PairRows *rows);

#endif /* CRM_INTERACTIONS_H */
