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
	bool ignored;
	OwnBins *own; /* bins that somebody gave; NULL for none */
} CountedAttribute;

/* One bin of the answer. */
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
	const char *leak; /* why it may leak the answer, or NULL */
} Relevance;

/* Bins one attribute and computes its statistics. */
extern void MeasureRelevance(const CountedAttribute *attribute, Relevance *relevance);

#endif /* CRM_RELEVANCE_BINS_H */
