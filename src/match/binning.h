/*
 * binning.h: bins of one attribute that tell targets from others.
 *
 * Works on counts by level, a level being one distinct value.  The caller
 * counts the rows; subtracting the counts of some rows gives the bins that the
 * other rows would have.
 */
#ifndef CRM_BINNING_H
#define CRM_BINNING_H

#include "base/statistics.h"

#define MAX_ATTRIBUTE_BINS 65 /* the most bins that either function makes */

/* The fewest rows of a bin: enough to expect five of each class, as for chi-square. */
extern double MinBinSize(ClassCount total);

/* Bins as found. */
typedef struct Bins
{
	int nbins;
	int rare;       /* of words too rare for a bin of their own, and of unknown ones */
	double p_value; /* that chance alone gives such bins, corrected for the search */
	double ratio;   /* likelihood ratio of what the bins were made of: 0 where there is one bin */
	double luck;    /* how much of it chance alone is expected to give */
} Bins;

/* Of a likelihood ratio, the share that chance does not give by itself. */
extern double SignalShare(double ratio, double luck);

/*
 * Both write the bin of each level, counted from 0.  Levels without rows join their neighbours, or
 * the rare words.
 *
 * Levels in order (numbers, days): bins are ranges, plus at most one level that stands out on its
 * own.  Rates are monotonic from bin to bin unless the data strongly say otherwise.
 */
extern Bins BinOrderedLevels(const ClassCount *levels, int nlevels, uint16 *bin);

/*
 * Levels in no order (words): bins are groups of levels with similar rates, the
 * lowest rate first.
 */
extern Bins BinNominalLevels(const ClassCount *levels, int nlevels, uint16 *bin);

#endif /* CRM_BINNING_H */
