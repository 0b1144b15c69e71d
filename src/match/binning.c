/*
 * binning.c: bins of one attribute that tell targets from others.
 *
 * Levels are first gathered into a few dozen blocks of about equal size.  The best cut of the
 * blocks into bins maximises the log-likelihood of the target minus a penalty per bin (dynamic
 * programming, exact).  To be accepted at all, bins must outweigh the penalty of the Bayesian
 * information criterion, which grows with the number of rows; an accepted trend may be refined with
 * Akaike's penalty.  No number here was tuned to a data set.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "match/binning.h"

#define MAX_BLOCKS 64
#define MAX_RANKED_GROUPS 256
#define SPIKE_SHARE 0.05    /* a level with this share of the rows may stand alone */
#define FINE_PENALTY 1.0    /* of one more bin on an accepted trend */
#define NOMINAL_PENALTY 2.0 /* two groups of words must differ by chi-square 4 */
#define NOMINAL_CHANCE 0.05 /* above it differences between words count as chance */
#define TREND_CHANCE 0.05   /* below it a trend or a bend by ranks is accepted */
/* Shares of the error probability: of the trend, the bend, and the bins. */
#define TREND_SHARE 0.75
#define BEND_SHARE 0.2
#define CUT_SHARE 0.05
#define MIN_EXPECTED 5.0 /* expected targets, and others, in a bin, as for chi-square */

/* Neighbouring levels that are not separated any more. */
typedef struct Block
{
	ClassCount count;
	int first; /* level */
} Block;

/* What the ranks say about the rates: z of a rise and of a bend (higher at both ends). */
typedef struct RankShape
{
	double trend;
	double bend;
} RankShape;

/* A cut of blocks into bins. */
typedef struct Cut
{
	double worth; /* log-likelihood minus the penalties of the bins */
	int nbins;
	int first[MAX_BLOCKS]; /* the first level of each bin */
	double ways;           /* logarithm of the number of cuts into that many bins */
} Cut;

static inline int64
Size64(ClassCount c)
{
	return c.targets + c.others;
}

static inline ClassCount
AddCounts(ClassCount a, ClassCount b)
{
	a.others += b.others;
	a.targets += b.targets;
	return a;
}

/*
 * What one more bin must gain: at least half the logarithm of the number of
 * rows.
 */
static double
BinPenalty(ClassCount total)
{
	return Max(2.0, 0.5 * log((double) Size64(total)));
}

double
MinBinSize(ClassCount total)
{
	int64 rarer = Min(total.targets, total.others);

	return rarer > 0 ? MIN_EXPECTED * Size64(total) / rarer : HUGE_VAL;
}

/* Gathers levels, in order, into blocks; a frequent level becomes a block of its own. */
static int
GatherBlocks(const ClassCount *levels, int nlevels, int skip, Block *blocks)
{
	ClassCount total = SumClassCounts(levels, nlevels);
	double share;
	double left;
	int nblocks = 0;
	bool open = false;

	if (skip >= 0)
	{
		total.others -= levels[skip].others;
		total.targets -= levels[skip].targets;
	}
	/* the remaining rows are shared by the remaining blocks, so that there are never too many */
	left = Size64(total);
	share = left / MAX_BLOCKS;
	for (int i = 0; i < nlevels; i++)
	{
		int64 size = Size64(levels[i]);

		if (i == skip || size == 0)
			continue;
		if (open && nblocks < MAX_BLOCKS &&
			(size >= share || Size64(blocks[nblocks - 1].count) + size > share))
			open = false;
		if (!open)
		{
			share = left / (MAX_BLOCKS - nblocks);
			blocks[nblocks].count = (ClassCount){0, 0};
			blocks[nblocks++].first = i;
			open = true;
		}
		blocks[nblocks - 1].count = AddCounts(blocks[nblocks - 1].count, levels[i]);
		left -= size;
	}
	return nblocks;
}

/* Pools neighbours until their rates are monotonic: isotonic regression. */
static int
PoolMonotone(const Block *blocks, int nblocks, bool rising, Block *pooled)
{
	int n = 0;

	for (int i = 0; i < nblocks; i++)
	{
		pooled[n++] = blocks[i];
		while (n > 1)
		{
			ClassCount a = pooled[n - 2].count;
			ClassCount b = pooled[n - 1].count;
			double turn = (double) a.targets * Size64(b) - (double) b.targets * Size64(a);

			if (rising ? turn <= 0 : turn >= 0)
				break;
			pooled[n - 2].count = AddCounts(a, b);
			n--;
		}
	}
	return n;
}

/*
 * Pools neighbours until rates rise and then fall, or fall and then rise; of all places to turn the
 * likeliest.
 */
static int
PoolBent(const Block *blocks, int nblocks, bool peak, Block *pooled)
{
	double best = -HUGE_VAL;
	int npooled = 0;

	for (int turn = 0; turn < nblocks; turn++)
	{
		Block tried[MAX_BLOCKS];
		int n = PoolMonotone(blocks, turn, peak, tried);
		double likelihood = 0;

		n += PoolMonotone(blocks + turn, nblocks - turn, !peak, tried + n);
		for (int i = 0; i < n; i++)
			likelihood += GroupLogLikelihood(tried[i].count);
		if (likelihood > best)
		{
			best = likelihood;
			npooled = n;
			memcpy(pooled, tried, n * sizeof(Block));
		}
	}
	return npooled;
}

/* The best cut of the blocks into bins of at least `least` rows. */
static void
CutBlocks(const Block *blocks, int nblocks, double penalty, double min_size, Cut *cut)
{
	double best[MAX_BLOCKS + 1];
	int from[MAX_BLOCKS + 1];
	int bins[MAX_BLOCKS + 1];

	best[0] = 0;
	bins[0] = 0;
	for (int end = 1; end <= nblocks; end++)
	{
		ClassCount bin = {0, 0};

		best[end] = -HUGE_VAL;
		from[end] = 0;
		bins[end] = 1;
		for (int start = end - 1; start >= 0; start--)
		{
			double worth;

			bin = AddCounts(bin, blocks[start].count);
			if (Size64(bin) < min_size && start > 0)
				continue;
			worth = best[start] + GroupLogLikelihood(bin) - penalty;
			/* of equally good cuts the one with fewer bins */
			if (worth > best[end])
			{
				best[end] = worth;
				from[end] = start;
				bins[end] = bins[start] + 1;
			}
		}
		/* too few rows to stand alone: only the beginning of a longer bin */
		if (end < nblocks && from[end] == 0 && Size64(bin) < min_size)
			best[end] = -HUGE_VAL;
	}
	cut->worth = best[nblocks];
	cut->nbins = bins[nblocks];
	for (int end = nblocks, i = cut->nbins - 1; end > 0; end = from[end], i--)
		cut->first[i] = blocks[from[end]].first;
}

/* The logarithm of the number of ways to choose k of n. */
static double
LogChoose(int n, int k)
{
	return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
}

static inline bool
IsProven(double z)
{
	return ChiSquareTail(z * z, 1) < TREND_CHANCE;
}

/*
 * The better monotonic cut, refined, or the free one, which pays one more penalty for its freedom.
 * A trend or a bend known from ranks may always be refined.
 */
static void
CutOrdered(const ClassCount *levels, int nlevels, int skip, RankShape shape, double penalty,
		   double min_size, Cut *cut)
{
	Block blocks[MAX_BLOCKS];
	Block pooled[MAX_BLOCKS];
	int nblocks = GatherBlocks(levels, nlevels, skip, blocks);
	bool rising;
	Cut falling;
	Cut other;

	CHECK_FOR_INTERRUPTS();
	CutBlocks(pooled, PoolMonotone(blocks, nblocks, true, pooled), penalty, min_size, cut);
	CutBlocks(pooled, PoolMonotone(blocks, nblocks, false, pooled), penalty, min_size, &falling);
	rising = cut->worth >= falling.worth;
	if (!rising)
		*cut = falling;
	CutBlocks(blocks, nblocks, penalty, min_size, &other);
	other.worth -= penalty;
	if (other.worth > cut->worth)
		*cut = other;
	else if (cut->nbins > 1 || IsProven(shape.trend) || IsProven(shape.bend))
	{
		int npooled;

		if (cut->nbins == 1)
			rising = shape.trend > 0;
		npooled = cut->nbins > 1 || IsProven(shape.trend)
					  ? PoolMonotone(blocks, nblocks, rising, pooled)
					  : PoolBent(blocks, nblocks, shape.bend < 0, pooled);
		CutBlocks(pooled, npooled, FINE_PENALTY, min_size, &other);
		other.worth = cut->worth;
		*cut = other;
	}
	cut->ways = LogChoose(nblocks - 1, cut->nbins - 1);
}

/* The most frequent level, if it holds enough rows among enough others to be a spike. */
static int
FindSpike(const ClassCount *levels, int nlevels, double min_size)
{
	int64 total = Size64(SumClassCounts(levels, nlevels));
	int spike = -1;
	int64 largest = 0;
	int used = 0;

	for (int i = 0; i < nlevels; i++)
	{
		int64 size = Size64(levels[i]);

		used += size > 0;
		if (size > largest)
		{
			largest = size;
			spike = i;
		}
	}
	if (used < 3 || largest < SPIKE_SHARE * total || largest < min_size)
		return -1;
	return spike;
}

double
SignalShare(double ratio, double luck)
{
	return ratio > luck ? 1 - luck / ratio : 0;
}

/*
 * z of the targets' sum of ranks (Wilcoxon, Mann and Whitney), or of squared distances from the
 * middle rank (Mood 1954); both with midranks and the variance that these ties leave.
 */
static double
RankZ(const ClassCount *levels, int nlevels, bool squared)
{
	ClassCount total = SumClassCounts(levels, nlevels);
	double n = Size64(total);
	double below = 0;
	double of_targets = 0;
	double sum = 0;
	double squares = 0;
	double variance;

	for (int i = 0; i < nlevels; i++)
	{
		double size = Size64(levels[i]);
		double score = (below + size / 2) / n - 0.5;

		if (squared)
			score *= score;
		of_targets += levels[i].targets * score;
		sum += size * score;
		squares += size * score * score;
		below += size;
	}
	variance = (double) total.targets * total.others / (n * (n - 1)) * (squares - sum * sum / n);
	return variance > 0 ? (of_targets - total.targets * sum / n) / sqrt(variance) : 0;
}

/*
 * The probability by chance of such bins, of such a trend, which gets most of the error probability
 * since most attributes rise or fall, or of such a bend.  That of the bins is multiplied by the
 * number of ways to cut as many, and by two for each one more, so that all numbers of bins
 * together have no more than one has.
 */
static void
JudgeRanges(const ClassCount *levels, int nlevels, const uint16 *bin, double ways, RankShape shape,
			Bins *bins)
{
	ClassCount *counts = palloc0(bins->nbins * sizeof(ClassCount));
	double of_trend = ChiSquareTail(shape.trend * shape.trend, 1);
	double of_bend = ChiSquareTail(shape.bend * shape.bend, 1);
	double of_cut;

	for (int i = 0; i < nlevels; i++)
		counts[bin[i]] = AddCounts(counts[bin[i]], levels[i]);
	of_cut = GroupsChance(counts, bins->nbins);
	of_cut = of_cut > 0 ? exp(log(of_cut) + ways + (bins->nbins - 1) * M_LN2) : 0;
	bins->p_value =
		Min(Min(1, of_trend / TREND_SHARE), Min(of_bend / BEND_SHARE, of_cut / CUT_SHARE));
	bins->ratio = LikelihoodRatio(counts, bins->nbins);
	/*
	 * the best of that many cuts gains about the logarithm of their number by chance, half of it
	 * along a known shape
	 */
	bins->luck = bins->nbins - 1 + (Min(of_trend, of_bend) < TREND_CHANCE ? ways / 2 : ways);
	pfree(counts);
}

Bins
BinOrderedLevels(const ClassCount *levels, int nlevels, uint16 *bin)
{
	ClassCount total = SumClassCounts(levels, nlevels);
	double penalty = BinPenalty(total);
	double min_size = MinBinSize(total);
	int spike = FindSpike(levels, nlevels, min_size);
	Bins bins = {.nbins = 1, .rare = 0, .p_value = 1.0};
	Cut cut;
	int current = 0;
	RankShape shape;

	memset(bin, 0, nlevels * sizeof(uint16));
	if (total.targets == 0 || total.others == 0)
		return bins;
	shape.trend = RankZ(levels, nlevels, false);
	shape.bend = RankZ(levels, nlevels, true);
	CutOrdered(levels, nlevels, -1, shape, penalty, min_size, &cut);
	if (spike >= 0)
	{
		Cut around;

		CutOrdered(levels, nlevels, spike, shape, penalty, min_size, &around);
		/* one more bin, and one more shape to choose from */
		around.worth += GroupLogLikelihood(levels[spike]) - 2 * penalty;
		if (around.worth > cut.worth)
			cut = around;
		else
			spike = -1;
	}
	for (int i = 0; i < nlevels; i++)
	{
		while (current + 1 < cut.nbins && i >= cut.first[current + 1])
			current++;
		bin[i] = i == spike ? cut.nbins : current;
	}
	bins.nbins = cut.nbins + (spike >= 0);
	JudgeRanges(levels, nlevels, bin, cut.ways, shape, &bins);
	return bins;
}

/* Orders levels by rate. */
typedef struct RankedLevel
{
	ClassCount count;
	double rate;
	int level;
} RankedLevel;

static int
CompareRates(const RankedLevel *x, const RankedLevel *y)
{
	if (x->rate != y->rate)
		return x->rate < y->rate ? -1 : 1;
	return x->level - y->level;
}

#define ST_SORT SortByRate
#define ST_ELEMENT_TYPE RankedLevel
#define ST_COMPARE(a, b) CompareRates(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Merges neighbours in the order of rates, cheapest first, as long as the two
 * differ by less than the penalty of a bin.  Very many levels are first
 * gathered into groups of about equal size.
 */
static int
MergeRanked(const RankedLevel *ranked, int nranked, double penalty, int *bin_of_rank)
{
	ClassCount groups[MAX_RANKED_GROUPS];
	int ends[MAX_RANKED_GROUPS];
	int64 left = 0;
	int64 share = 0;
	int n = 0;

	for (int i = 0; i < nranked; i++)
		left += Size64(ranked[i].count);
	for (int i = 0; i < nranked; i++)
	{
		if (n == 0 || (n < MAX_RANKED_GROUPS &&
					   (nranked <= MAX_RANKED_GROUPS || Size64(groups[n - 1]) >= share)))
		{
			share = left / (MAX_RANKED_GROUPS - n);
			groups[n++] = ranked[i].count;
		}
		else
			groups[n - 1] = AddCounts(groups[n - 1], ranked[i].count);
		left -= Size64(ranked[i].count);
		ends[n - 1] = i;
	}
	while (n > 1)
	{
		double cheapest = HUGE_VAL;
		int at = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i + 1 < n; i++)
		{
			double loss = GroupLogLikelihood(groups[i]) + GroupLogLikelihood(groups[i + 1]) -
						  GroupLogLikelihood(AddCounts(groups[i], groups[i + 1]));

			if (loss < cheapest)
			{
				cheapest = loss;
				at = i;
			}
		}
		if (cheapest >= penalty && n <= MAX_BLOCKS)
			break;
		groups[at] = AddCounts(groups[at], groups[at + 1]);
		ends[at] = ends[at + 1];
		n--;
		memmove(&groups[at + 1], &groups[at + 2], (n - at - 1) * sizeof(ClassCount));
		memmove(&ends[at + 1], &ends[at + 2], (n - at - 1) * sizeof(int));
	}
	for (int i = 0, g = 0; i < nranked; i++)
	{
		bin_of_rank[i] = g;
		if (i == ends[g])
			g++;
	}
	return n;
}

/*
 * The bin whose rate is nearest to the overall rate: unknown values go there.
 */
static int
AverageBin(const RankedLevel *ranked, int nranked, const int *bin_of_rank, int nbins)
{
	ClassCount *counts = palloc0(nbins * sizeof(ClassCount));
	ClassCount total = {0, 0};
	double nearest = HUGE_VAL;
	int best = 0;

	for (int i = 0; i < nranked; i++)
	{
		counts[bin_of_rank[i]] = AddCounts(counts[bin_of_rank[i]], ranked[i].count);
		total = AddCounts(total, ranked[i].count);
	}
	for (int b = 0; b < nbins; b++)
	{
		double away = fabs((double) counts[b].targets / Size64(counts[b]) -
						   (double) total.targets / Size64(total));

		if (away < nearest)
		{
			nearest = away;
			best = b;
		}
	}
	pfree(counts);
	return best;
}

/*
 * The probability by chance of such differences between words.  A word is tested by itself where
 * one row of each class is expected, though it takes five for a bin of its own.
 */
static double
WordsChance(const ClassCount *levels, int nlevels)
{
	double min_size = MinBinSize(SumClassCounts(levels, nlevels)) / MIN_EXPECTED;
	ClassCount *counts =
		palloc_extended(mul_size((Size) nlevels + 1, sizeof(ClassCount)), MCXT_ALLOC_HUGE);
	ClassCount rest = {0, 0};
	int n = 0;
	double chance;

	for (int i = 0; i < nlevels; i++)
		if (Size64(levels[i]) < min_size)
			rest = AddCounts(rest, levels[i]);
		else
			counts[n++] = levels[i];
	counts[n++] = rest;
	chance = GroupsChance(counts, n);
	pfree(counts);
	return chance;
}

Bins
BinNominalLevels(const ClassCount *levels, int nlevels, uint16 *bin)
{
	double min_size = MinBinSize(SumClassCounts(levels, nlevels));
	RankedLevel *ranked =
		palloc_extended(mul_size((Size) nlevels + 1, sizeof(RankedLevel)), MCXT_ALLOC_HUGE);
	ClassCount *counts =
		palloc_extended(mul_size((Size) nlevels + 1, sizeof(ClassCount)), MCXT_ALLOC_HUGE);
	RankedLevel rest = {.level = nlevels};
	Bins bins = {.nbins = 1, .rare = 0, .p_value = 1.0};
	int nranked = 0;

	memset(bin, 0, nlevels * sizeof(uint16));
	for (int i = 0; i < nlevels; i++)
	{
		if (Size64(levels[i]) < min_size)
			rest.count = AddCounts(rest.count, levels[i]);
		else
			ranked[nranked++] = (RankedLevel){.count = levels[i], .level = i};
	}
	if (Size64(rest.count) > 0)
		ranked[nranked++] = rest;
	for (int i = 0; i < nranked; i++)
	{
		counts[i] = ranked[i].count;
		ranked[i].rate = (double) counts[i].targets / Size64(counts[i]);
	}
	if (nranked > 1)
		bins.p_value = WordsChance(levels, nlevels);

	/* sorting by rate turns chance into differences, so first test whether there are any */
	if (bins.p_value < NOMINAL_CHANCE)
	{
		int *bin_of_rank;
		double share;

		/*
		 * Chance exaggerates the differences between words, and by the same share it puts words
		 * into the wrong bins, so it counts twice.
		 */
		bins.ratio = LikelihoodRatio(counts, nranked);
		share = SignalShare(bins.ratio, nranked - 1);
		bins.luck = bins.ratio * (1 - share * share);
		bin_of_rank = palloc_extended(mul_size(nranked, sizeof(int)), MCXT_ALLOC_HUGE);

		SortByRate(ranked, nranked);
		bins.nbins = MergeRanked(ranked, nranked, NOMINAL_PENALTY, bin_of_rank);
		bins.rare = AverageBin(ranked, nranked, bin_of_rank, bins.nbins);
		for (int i = 0; i < nranked; i++)
		{
			if (ranked[i].level < nlevels)
				bin[ranked[i].level] = bin_of_rank[i];
			else
				bins.rare = bin_of_rank[i];
		}
		for (int i = 0; i < nlevels; i++)
			if (Size64(levels[i]) < min_size)
				bin[i] = bins.rare;
		pfree(bin_of_rank);
	}
	pfree(ranked);
	pfree(counts);
	return bins;
}
