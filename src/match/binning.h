/*
 * binning.h: bins of one attribute that tell targets from others.
 *
 * Works on counts by level, a level being one distinct value: whoever has the
 * rows counts them, and the same counts less those of a part of the rows give
 * the bins that the rest would have had.
 */
#ifndef CRM_BINNING_H
#define CRM_BINNING_H

#include "base/statistics.h"

#define MAX_ATTRIBUTE_BINS 65 /* the most that either function makes */

/* The fewest rows of a bin: both classes are expected five times, as for chi-square. */
extern double LeastBinSize(ClassCount total);

/* Bins as found. */
typedef struct Bins
{
	int nbins;
	int rare;       /* of words too rare to have their own say, and of unknown ones */
	double p_value; /* that chance alone gives such bins, the search for them included */
} Bins;

/*
 * Both write the bin of each level, counted from 0.  Levels without rows go
 * where their neighbours go, or with the rare words.
 *
 * Levels in order (numbers, days): bins are ranges, plus at most one level
 * that stands out on its own.  Rates run one way from bin to bin unless the
 * data insist.
 */
extern Bins BinOrderedLevels(const ClassCount *levels, int nlevels, uint16 *bin);

/*
 * Levels in no order (words): bins are groups of levels of like rates, the
 * lowest rate first.
 */
extern Bins BinNominalLevels(const ClassCount *levels, int nlevels, uint16 *bin);

#endif /* CRM_BINNING_H */
