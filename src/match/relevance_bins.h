/*
 * relevance_bins.h: the bins of an attribute, their labels, and how well they tell targets from
 * others.
 */
#ifndef CRM_RELEVANCE_BINS_H
#define CRM_RELEVANCE_BINS_H

#include "match/binning.h"
#include "match/own_bins.h"
#include "match/target_counts.h"
#include "profile/attribute_value.h"

#define CHANCE_LIMIT 0.05 /* of adjusted p-values: above it an attribute is useless */

#define MOST_RELEVANCE_BINS (1 + MAX_ATTRIBUTE_BINS + MAX_ALONE)

/* One attribute in progress. */
typedef struct CountedAttribute
{
	char *name; /* NULL for a single attribute */
	AttributeColumn column;
	TargetCounts *table;
	ClassCount missing;
	int64 late; /* rows with a day after that by which all is known */
	bool ignored;
	OwnBins *own; /* bins that somebody gave; NULL for none */
} CountedAttribute;

/* Of values, in place of targets: what the rows of each level add up to. */
typedef struct LevelValues
{
	Outcome outcome;
	Tally *of_level; /* by code of the level: standardised ranks of the values */
	Tally missing;
} LevelValues;

/* One bin of the answer; of values all rows are others. */
typedef struct LabeledBin
{
	char *label;
	ClassCount count;
} LabeledBin;

/* The answer for one attribute. */
typedef struct Relevance
{
	int nbins;
	LabeledBin bins[MOST_RELEVANCE_BINS];
	Association association;
	double chance;   /* p-value corrected for the search for bins */
	double adjusted; /* and for the other attributes of the record */
	double ratio;    /* likelihood ratio behind the bins, and the part expected by chance */
	double luck;
	double information; /* by which attributes are compared and judged */
	const char *leak;   /* why it may leak the answer, or NULL */

	/* of values */
	double trend;         /* of ordered levels: correlation of ranks; NaN for none */
	int16 *bin_of_level;  /* by code */
	int16 bin_of_missing; /* -1 for none */
	struct ValueFigures *figures;
} Relevance;

/*
 * Bins one attribute.  Of targets (values NULL) it computes the statistics, too, and looks for
 * leaks.
 */
extern void MeasureRelevance(const CountedAttribute *attribute, const LevelValues *values,
							 Relevance *relevance);

/*
 * Why an attribute may leak the answer, of four reasons: known for targets only, known for others
 * only, some values mean a target almost always, or no target; NULL if it does not seem to.
 */
extern const char *
FindLeak(ClassCount missing, const ClassCount *groups, int ngroups, const char *const *reasons);

#endif /* CRM_RELEVANCE_BINS_H */
