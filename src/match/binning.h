/*
 * binning.h: bins of one attribute that tell targets from others, or high values from low ones.
 *
 * Works on counts by level, a level being one distinct value.  The caller
 * counts the rows; subtracting the counts of some rows gives the bins that the
 * other rows would have.
 */
#ifndef CRM_BINNING_H
#define CRM_BINNING_H

#include "base/statistics.h"

#define MAX_ATTRIBUTE_BINS 65 /* the most bins that either function makes, or takes */
#define MAX_ALONE 16          /* the most values with bins of their own besides */

/* Rows, and what they add up to: 1 for a target and 0 for others, or values. */
typedef struct Tally
{
	double rows;
	double sum;
	double squares;
} Tally;

#define BIN_FINENESS 3

/* What is to be told: targets from others, or values. */
typedef struct Outcome
{
	bool is_value;
	double kurtosis; /* of values */
	int fineness;    /* of bins, below BIN_FINENESS: the finer, the less has to be proven */
} Outcome;

static inline Tally
TallyOf(ClassCount count)
{
	return (Tally){(double) count.targets + count.others, count.targets, count.targets};
}

static inline Tally
AddTallies(Tally a, Tally b)
{
	a.rows += b.rows;
	a.sum += b.sum;
	a.squares += b.squares;
	return a;
}

extern Tally SumTallies(const Tally *tallies, int n);

/*
 * The fewest rows of a bin: enough to expect five of each class, as for chi-square; as many more of
 * values as their tails are heavy.
 */
extern double MinBinSize(Tally total, const Outcome *outcome);

/* How far groups differ. */
typedef struct GroupTest
{
	int df;
	double p_value;
	double ratio; /* likelihood ratio */
} GroupTest;

extern GroupTest TestGroups(const Tally *groups, int ngroups, const Outcome *outcome);

/* Bins as found. */
typedef struct Bins
{
	int nbins;
	int rare;       /* of words too rare for a bin of their own, and of unknown ones */
	double p_value; /* probability of such bins by chance, corrected for the search */
	double ratio;   /* likelihood ratio behind the bins; 0 if there is only one */
	double luck;    /* the part of it expected by chance */
} Bins;

/* The correlation of the ranks of levels, which are in order, with the outcome; NaN for none. */
extern double RankCorrelation(const Tally *levels, int nlevels, const Outcome *outcome);

/* The share of a likelihood ratio that chance does not explain. */
extern double SignalShare(double ratio, double luck);

/*
 * Both write the bin of each level, counted from 0.  Levels without rows join their neighbours, or
 * the rare words.
 *
 * Levels in order (numbers, days): bins are ranges, plus at most one level that stands out on its
 * own.  Rates are monotonic from bin to bin unless the data strongly say otherwise.
 */
extern Bins BinOrderedLevels(const Tally *levels, int nlevels, const Outcome *outcome, uint16 *bin);

/*
 * Levels in no order (words): bins are groups of levels with similar rates, the
 * lowest rate first.
 */
extern Bins BinNominalLevels(const Tally *levels, int nlevels, const Outcome *outcome, uint16 *bin);

/* The probability by chance below which differences between bins are taken for real. */
extern double BinChance(const Outcome *outcome);

/* Bins that somebody gave, from 0 on. */
extern Bins TakeGivenBins(const Tally *levels, int nlevels, const Outcome *outcome,
						  const uint8 *given, int ngiven, uint16 *bin);

#endif /* CRM_BINNING_H */
