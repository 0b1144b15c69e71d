/*
 * statistics.h: how strongly an attribute and a binary target are associated.
 *
 * Pure numerics on tables of counts: no SQL, no rows.
 */
#ifndef CRM_STATISTICS_H
#define CRM_STATISTICS_H

/* How many members of a group are not targets, and how many are. */
typedef struct ClassCount
{
	int64 others;
	int64 targets;
} ClassCount;

/* Statistics of a table of groups by target. */
typedef struct Association
{
	double information_value;
	double chi_square;
	int df;
	double p_value;            /* of chi_square; 1 where df is 0 */
	double cramers_v;          /* bias-corrected */
	double mutual_information; /* in nats */
	double min_expected;       /* smallest expected count: below 5 chi_square is doubtful */
} Association;

/* Values as differences from their mean in standard deviations. */
typedef struct ValueScale
{
	double mean;
	double deviation;
	double kurtosis;
	bool equal; /* all values: they are 0 then */
} ValueScale;

/*
 * Standardises values, which are in rising order, in place.  Sums are of values divided by a power
 * of two, so that squares of very large or small ones neither overflow nor vanish.
 */
extern ValueScale ScaleValues(double *value, int64 n);

extern ClassCount SumClassCounts(const ClassCount *counts, int ncounts);

/*
 * Weight of evidence of one of `groups` groups: the log of its share of the targets over its share
 * of the others, with half a row added to each cell.
 */
extern double WeightOfEvidence(ClassCount group, ClassCount total, int groups);

/* The group's contribution to the information value. */
extern double GroupInformationValue(ClassCount group, ClassCount total, int groups);

/* Association of the groups (those without rows are left out). */
extern Association MeasureAssociation(const ClassCount *counts, int ncounts);

/*
 * The probability by chance of groups that differ so, for any sizes: Fisher's exact test for two
 * (mid-p), else chi-square with the mean and the variance that it has given the margins.
 */
extern double GroupsChance(const ClassCount *counts, int ncounts);

/* P(X > chi_square) for df degrees of freedom. */
extern double ChiSquareTail(double chi_square, double df);

/* The G statistic: twice the gain in log-likelihood from distinguishing the groups. */
extern double LikelihoodRatio(const ClassCount *counts, int ncounts);

/* Log-likelihood of a group at its own rate. */
extern double GroupLogLikelihood(ClassCount group);

/*
 * Fisher's exact test, one-sided: the chance of at least `found` marked ones among
 * `drawn` of `total`, of which `marked` are.
 */
extern double HypergeometricTail(int64 found, int64 drawn, int64 marked, int64 total);

/* Benjamini-Hochberg: adjusts p-values in place for multiple testing. */
extern void AdjustPValues(double *p, int n);

#endif /* CRM_STATISTICS_H */
