/*
 * interactions.c: pairs of features whose values together say more than each does by itself.
 *
 * Each feature has at most five classes.  What a card leaves unexplained is summed up in the cells
 * of each pair of features; the sum of squares over variances is a score test, about chi-square
 * where there is nothing.  Only pairs that stay convincing after correction for all pairs are
 * taken, and only a few of them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"

#include "match/interactions.h"

#define CLASSES                                                                                    \
	5 /* of a feature, that of missing values aside: fourths, or four words and others */
#define MAX_CELLS ((CLASSES + 1) * (CLASSES + 1))
#define PAIR_CHANCE 0.001 /* of a pair being taken where there is none, in a search over all */
#define CELL_VARIANCE 2.0 /* cells that expect fewer targets, or others, say nothing for sure */

typedef struct LevelRows
{
	int64 rows;
	int level;
} LevelRows;

static int
CompareLevelRows(const void *a, const void *b)
{
	const LevelRows *x = a;
	const LevelRows *y = b;

	if (x->rows != y->rows)
		return x->rows > y->rows ? -1 : 1;
	return x->level - y->level;
}

static PairClasses
ClassifyLevels(const ScorecardFeature *feature, int64 nrows)
{
	LevelRows *levels = palloc0(feature->nlevels * sizeof(LevelRows));
	PairClasses classes = {.n = 1, .class = palloc0(feature->nlevels)};
	int64 known = 0;
	int64 below = 0;
	int last = -1;

	for (int level = 0; level < feature->nlevels; level++)
		levels[level].level = level;
	for (int64 row = 0; row < nrows; row++)
		levels[feature->level[row]].rows++;
	for (int level = 1; level < feature->nlevels; level++)
		known += levels[level].rows;
	if (!feature->ordered)
		qsort(levels + 1, feature->nlevels - 1, sizeof(LevelRows), CompareLevelRows);
	for (int i = 1; i < feature->nlevels; i++)
	{
		/* few levels are a class each; of others in order a fourth, by the middle of the level */
		int fourth = (int) ((below + levels[i].rows / 2) * (CLASSES - 1) / Max(known, 1));
		bool next = feature->ordered && feature->nlevels > CLASSES ? fourth != last : i <= CLASSES;

		if (next || i == 1)
			classes.n++;
		classes.class[levels[i].level] = (uint8) (classes.n - 1);
		below += levels[i].rows;
		last = fourth;
	}
	pfree(levels);
	return classes;
}

PairClasses *
MakePairClasses(const ScorecardFeature *features, int nfeatures, int64 nrows)
{
	PairClasses *classes = palloc((nfeatures + 1) * sizeof(PairClasses));

	for (int f = 0; f < nfeatures; f++)
	{
		CHECK_FOR_INTERRUPTS();
		classes[f] = ClassifyLevels(&features[f], nrows);
	}
	return classes;
}

/* The class of each row of a feature. */
static uint8 *
ClassifyRows(const ScorecardFeature *feature, const PairClasses *classes, int64 nrows)
{
	uint8 *class = palloc_extended(nrows, MCXT_ALLOC_HUGE);

	for (int64 row = 0; row < nrows; row++)
		class[row] = classes->class[feature->level[row]];
	return class;
}

/* Keeps a pair that is among the most convincing. */
static void
NotePair(PairSearch *found, int first, int second, double p_value, double signal)
{
	int at = found->n;

	while (at > 0 && found->p_value[at - 1] > p_value)
		at--;
	if (at == SCORECARD_PAIRS)
		return;
	found->n = Min(found->n + 1, SCORECARD_PAIRS);
	for (int i = found->n - 1; i > at; i--)
	{
		found->first[i] = found->first[i - 1];
		found->second[i] = found->second[i - 1];
		found->p_value[i] = found->p_value[i - 1];
		found->signal[i] = found->signal[i - 1];
	}
	found->first[at] = first;
	found->second[at] = second;
	found->p_value[at] = p_value;
	found->signal[at] = signal;
}

/* Whether a set of classes, as bits, has at least two. */
static inline bool
AreSeveral(uint32 classes)
{
	return (classes & (classes - 1)) != 0;
}

/*
 * The score test of a pair's cells; returns the number of cells that say something.  It is 0 where
 * they are all of one class of a feature (of one that has only missing values, say): then they are
 * but finer bins of the other.
 */
static int
TestPair(const uint8 *first, const uint8 *second, int nsecond, const PairRows *rows, double *test)
{
	double sum[MAX_CELLS] = {0};
	double variance[MAX_CELLS] = {0};
	uint32 of_first = 0;
	uint32 of_second = 0;
	int cells = 0;

	for (int64 row = 0; row < rows->nrows; row++)
	{
		int cell = first[row] * nsecond + second[row];

		if (rows->fold[row] == rows->left_out)
			continue;
		sum[cell] += rows->residual[row];
		variance[cell] += rows->weight[row];
	}
	*test = 0;
	for (int cell = 0; cell < MAX_CELLS; cell++)
		if (variance[cell] >= CELL_VARIANCE)
		{
			*test += sum[cell] * sum[cell] / variance[cell];
			of_first |= 1U << (cell / nsecond);
			of_second |= 1U << (cell % nsecond);
			cells++;
		}
	return AreSeveral(of_first) && AreSeveral(of_second) ? cells : 0;
}

PairSearch
FindPairs(const ScorecardFeature *features, int nfeatures, const PairClasses *classes,
		  const PairRows *rows)
{
	PairSearch found = {0};
	uint8 **class = palloc((nfeatures + 1) * sizeof(uint8 *));
	double tests = nfeatures * (nfeatures - 1) / 2.0;

	for (int f = 0; f < nfeatures; f++)
		class[f] = ClassifyRows(&features[f], &classes[f], rows->nrows);
	for (int b = 1; b < nfeatures; b++)
		for (int a = 0; a < b; a++)
		{
			double test;
			int cells;
			double p_value;

			CHECK_FOR_INTERRUPTS();
			cells = TestPair(class[a], class[b], classes[b].n, rows, &test);
			if (cells < 4)
				continue;
			p_value = Min(1, tests * ChiSquareTail(test, cells - 1));
			if (p_value <= PAIR_CHANCE)
				NotePair(&found, a, b, p_value, Max(0, 1 - (cells - 1) / test));
		}
	for (int f = 0; f < nfeatures; f++)
		pfree(class[f]);
	pfree(class);
	return found;
}
