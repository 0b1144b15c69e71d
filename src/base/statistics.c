/*
 * statistics.c: how strongly an attribute and a binary target are associated.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#include "base/statistics.h"
#include "base/two_samples.h"

#define MANY_EXPECTED 1000 /* of each class in both groups: chi-square is as good as exact */

ValueScale
ScaleValues(double *value, int64 n)
{
	ValueScale scale = {0};
	double squares = 0;
	int power;

	/* they are sorted: of equal values no rounding must make different ones */
	scale.equal = value[0] == value[n - 1];
	(void) frexp(Max(fabs(value[0]), fabs(value[n - 1])), &power);
	for (int64 i = 0; i < n; i++)
	{
		value[i] = ldexp(value[i], -power);
		scale.mean += value[i] / n;
	}
	if (scale.equal)
		scale.mean = value[0];
	for (int64 i = 0; i < n; i++)
	{
		value[i] -= scale.mean;
		squares += value[i] * value[i] / n;
	}
	scale.deviation = sqrt(squares);
	for (int64 i = 0; !scale.equal && i < n; i++)
	{
		value[i] /= scale.deviation;
		scale.kurtosis += value[i] * value[i] * value[i] * value[i] / n;
	}
	scale.mean = ldexp(scale.mean, power);
	scale.deviation = ldexp(scale.deviation, power);
	return scale;
}

ClassCount
SumClassCounts(const ClassCount *counts, int ncounts)
{
	ClassCount total = {0, 0};

	for (int i = 0; i < ncounts; i++)
	{
		total.others += counts[i].others;
		total.targets += counts[i].targets;
	}
	return total;
}

double
WeightOfEvidence(ClassCount group, ClassCount total, int groups)
{
	double of_targets = (group.targets + 0.5) / (total.targets + 0.5 * groups);
	double of_others = (group.others + 0.5) / (total.others + 0.5 * groups);

	return log(of_targets / of_others);
}

static inline double
XLogX(double x)
{
	return x > 0 ? x * log(x) : 0.0;
}

double
GroupLogLikelihood(ClassCount group)
{
	return XLogX(group.targets) + XLogX(group.others) -
		   XLogX((double) group.targets + group.others);
}

double
LikelihoodRatio(const ClassCount *counts, int ncounts)
{
	double apart = 0;

	for (int i = 0; i < ncounts; i++)
		apart += GroupLogLikelihood(counts[i]);
	return Max(0.0, 2 * (apart - GroupLogLikelihood(SumClassCounts(counts, ncounts))));
}

double
GroupInformationValue(ClassCount group, ClassCount total, int groups)
{
	double of_targets = (group.targets + 0.5) / (total.targets + 0.5 * groups);
	double of_others = (group.others + 0.5) / (total.others + 0.5 * groups);

	return (of_targets - of_others) * log(of_targets / of_others);
}

Association
MeasureAssociation(const ClassCount *counts, int ncounts)
{
	ClassCount total = SumClassCounts(counts, ncounts);
	double n = (double) total.targets + total.others;
	Association a = {.p_value = 1.0};
	int groups = 0;
	double phi2;
	double corrected_groups;
	double corrected_classes;

	for (int i = 0; i < ncounts; i++)
		groups += counts[i].targets + counts[i].others > 0;
	for (int i = 0; i < ncounts; i++)
		if (counts[i].targets + counts[i].others > 0)
			a.information_value += GroupInformationValue(counts[i], total, groups);
	if (groups < 2 || total.targets == 0 || total.others == 0)
		return a;

	a.min_expected = DBL_MAX;
	for (int i = 0; i < ncounts; i++)
	{
		double size = (double) counts[i].targets + counts[i].others;
		double of_targets = size * total.targets / n;
		double of_others = size * total.others / n;

		if (size == 0)
			continue;
		a.chi_square +=
			(counts[i].targets - of_targets) * (counts[i].targets - of_targets) / of_targets +
			(counts[i].others - of_others) * (counts[i].others - of_others) / of_others;
		a.min_expected = Min(a.min_expected, Min(of_targets, of_others));
	}
	a.df = groups - 1;
	a.p_value = ChiSquareTail(a.chi_square, a.df);
	a.mutual_information = LikelihoodRatio(counts, ncounts) / (2 * n);

	/*
	 * Bergsma 2013: the expectation under independence is subtracted, and the
	 * size of the table corrected
	 */
	phi2 = Max(0.0, a.chi_square / n - a.df / (n - 1));
	corrected_groups = groups - (groups - 1.0) * (groups - 1.0) / (n - 1);
	corrected_classes = 2 - 1 / (n - 1);
	if (phi2 > 0 && corrected_groups > 1 && corrected_classes > 1)
		a.cramers_v = Min(1.0, sqrt(phi2 / (Min(corrected_groups, corrected_classes) - 1)));
	return a;
}

/*
 * The variance of chi-square over all tables of these groups by target with the same margins
 * (Haldane 1940, as simplified by Dawson 1954): small groups and a rare target spread it.
 */
static double
ChiSquareVariance(const ClassCount *counts, int ncounts, int groups)
{
	ClassCount total = SumClassCounts(counts, ncounts);
	double n = (double) total.targets + total.others;
	double inverse = 0;
	double by_groups;
	double by_classes;
	double v = (groups - 1) * (n - groups) / (n - 1);
	double w = (n - 2) / (n - 1);

	for (int i = 0; i < ncounts; i++)
		if (counts[i].targets + counts[i].others > 0)
			inverse += n / ((double) counts[i].targets + counts[i].others);
	by_groups = (inverse - (double) groups * groups) / (n - 2);
	by_classes = (n / total.targets + n / total.others - 4) / (n - 2);
	return 2 * n / (n - 3) * (v - by_groups) * (w - by_classes) +
		   n * n / (n - 1) * by_groups * by_classes;
}

double
GroupsChance(const ClassCount *counts, int ncounts)
{
	Association a = MeasureAssociation(counts, ncounts);
	ClassCount total = SumClassCounts(counts, ncounts);
	double n = (double) total.targets + total.others;
	double mean;
	double variance;

	if (a.df == 0)
		return 1;
	if (a.df == 1 && a.min_expected < MANY_EXPECTED)
	{
		int i = 0;
		Share group;

		while (counts[i].targets + counts[i].others == 0)
			i++;
		group = (Share){counts[i].targets, counts[i].targets + counts[i].others};
		return FisherMidP(group, (Share){total.targets - group.successes, n - group.members});
	}
	if (n < 5)
		return 1;
	/* a multiple of a chi-square with the same mean and variance */
	mean = a.df * n / (n - 1);
	variance = ChiSquareVariance(counts, ncounts, a.df + 1);
	if (variance <= 0)
		return a.p_value;
	return ChiSquareTail(a.chi_square * 2 * mean / variance, 2 * mean * mean / variance);
}

/*
 * The upper regularised incomplete gamma function at (df/2, chi_square/2): the
 * series below the hump, Lentz's continued fraction above it.
 */
double
ChiSquareTail(double chi_square, double df)
{
	double a = df / 2;
	double x = chi_square / 2;
	double scale;

	if (x <= 0 || df <= 0)
		return 1.0;
	scale = exp(a * log(x) - x - lgamma(a));
	if (x < a + 1)
	{
		double term = 1 / a;
		double sum = term;

		for (int i = 1; i < 10000 && term > sum * DBL_EPSILON; i++)
		{
			term *= x / (a + i);
			sum += term;
		}
		return Max(0.0, 1 - scale * sum);
	}
	else
	{
		double b = x + 1 - a;
		double c = 1 / DBL_MIN;
		double d = 1 / b;
		double h = d;

		for (int i = 1; i < 10000; i++)
		{
			double an = -i * (i - a);
			double step;

			b += 2;
			d = an * d + b;
			if (fabs(d) < DBL_MIN)
				d = DBL_MIN;
			c = b + an / c;
			if (fabs(c) < DBL_MIN)
				c = DBL_MIN;
			d = 1 / d;
			step = d * c;
			h *= step;
			if (fabs(step - 1) < DBL_EPSILON)
				break;
		}
		return scale * h;
	}
}

/* The chance of exactly so many. */
static double
HypergeometricChance(int64 found, int64 drawn, int64 marked, int64 total)
{
	int64 unmarked = total - marked;

	return exp(lgamma(marked + 1.0) - lgamma(found + 1.0) - lgamma(marked - found + 1.0) +
			   lgamma(unmarked + 1.0) - lgamma(drawn - found + 1.0) -
			   lgamma(unmarked - drawn + found + 1.0) - lgamma(total + 1.0) + lgamma(drawn + 1.0) +
			   lgamma(total - drawn + 1.0));
}

/* How much likelier k + 1 are than k. */
static inline double
NextRatio(int64 k, int64 drawn, int64 marked, int64 total)
{
	return (double) (marked - k) * (drawn - k) /
		   ((double) (k + 1) * (total - marked - drawn + k + 1));
}

/*
 * The chances of so many, and of all on the same side of what is expected, each from the one
 * before, until they vanish.
 */
static double
SumAwayFromMean(int64 k, int direction, int64 drawn, int64 marked, int64 total)
{
	int64 least = Max(0, drawn - (total - marked));
	int64 most = Min(drawn, marked);
	double chance = HypergeometricChance(k, drawn, marked, total);
	double sum = chance;

	while (direction > 0 ? k < most : k > least)
	{
		CHECK_FOR_INTERRUPTS();
		chance = direction > 0 ? chance * NextRatio(k, drawn, marked, total)
							   : chance / NextRatio(k - 1, drawn, marked, total);
		k += direction;
		sum += chance;
		if (chance <= sum * DBL_EPSILON)
			break;
	}
	return sum;
}

double
HypergeometricTail(int64 found, int64 drawn, int64 marked, int64 total)
{
	if (found <= Max(0, drawn - (total - marked)))
		return 1.0;
	if (found > Min(drawn, marked))
		return 0.0;
	/* far from what is expected chances are too small for a double: sums must not begin there */
	if ((double) found * total > (double) drawn * marked)
		return Min(1.0, SumAwayFromMean(found, 1, drawn, marked, total));
	return Max(0.0, 1 - SumAwayFromMean(found - 1, -1, drawn, marked, total));
}

/* (the template takes the name of a type) */
typedef double *PValue;

#define ST_SORT SortIndirect
#define ST_ELEMENT_TYPE PValue
#define ST_COMPARE(a, b) (**(a) < **(b) ? -1 : **(a) > **(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
AdjustPValues(double *p, int n)
{
	PValue *order;
	double smallest = 1.0;

	if (n == 0)
		return;
	order = palloc_extended(n * sizeof(PValue), MCXT_ALLOC_HUGE);
	for (int i = 0; i < n; i++)
		order[i] = &p[i];
	SortIndirect(order, n);
	for (int i = n - 1; i >= 0; i--)
	{
		smallest = Min(smallest, *order[i] * n / (i + 1));
		*order[i] = smallest;
	}
	pfree(order);
}
