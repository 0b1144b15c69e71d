/*
 * binning.c: bins of one attribute that tell targets from others, or high values from low ones.
 *
 * Levels are first gathered into a few dozen blocks of about equal size.  The best cut of the
 * blocks into bins maximises the log-likelihood of the outcome minus a penalty per bin (dynamic
 * programming, exact).  To be accepted at all, bins must outweigh the penalty of the Bayesian
 * information criterion, which grows with the number of rows; an accepted trend may be refined with
 * Akaike's penalty.  No number here was tuned to a data set.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/float.h"

#include "match/binning.h"

#define MAX_BLOCKS 64
#define MAX_RANKED_GROUPS 256
#define SPIKE_SHARE 0.05 /* a level with this share of the rows may stand alone */
/* Shares of the error probability: of the trend, the bend, and the bins. */
#define TREND_SHARE 0.75
#define BEND_SHARE 0.2
#define CUT_SHARE 0.05
#define MIN_EXPECTED 5.0  /* expected targets, and others, in a bin, as for chi-square */
#define MOST_OF_ROWS 0.05 /* of skew values a bin needs no larger share */

/* What it takes to separate rows. */
typedef struct Fineness
{
	double fine_penalty;    /* of one more bin on an accepted trend */
	double nominal_penalty; /* by half the chi-square that two groups of words must differ */
	double chance;     /* below it a trend by ranks, or differences between words, is accepted */
	double trend_luck; /* share of the ways to cut that luck has along a trend */
} Fineness;

static const Fineness FinenessOf[BIN_FINENESS] = {
	{1.0, 2.0, 0.05, 0.5}, {0.25, 0.25, 0.05, 0.5}, {0.25, 0.25, 0.5, 0.2}};

/* Neighbouring levels that are not separated any more. */
typedef struct Block
{
	Tally count;
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

/* By what the worth of a group is measured. */
typedef struct Measure
{
	bool is_value;
	double mean; /* of all rows */
	double variance;
	const Fineness *fine;
} Measure;

Tally
SumTallies(const Tally *tallies, int n)
{
	Tally total = {0};

	for (int i = 0; i < n; i++)
		total = AddTallies(total, tallies[i]);
	return total;
}

static Measure
MeasureOf(Tally total, const Outcome *outcome)
{
	Measure m = {.is_value = outcome->is_value, .fine = &FinenessOf[outcome->fineness]};

	if (total.rows > 0)
	{
		m.mean = total.sum / total.rows;
		m.variance = Max(0, total.squares / total.rows - m.mean * m.mean);
	}
	return m;
}

/*
 * The log-likelihood of a group at its own rate, or at its own mean: normal, with the variance of
 * all rows, and as its difference from the mean of all.
 */
static double
GroupWorth(const Measure *m, Tally group)
{
	double away;

	if (!m->is_value)
		return GroupLogLikelihood(
			(ClassCount){(int64) (group.rows - group.sum), (int64) group.sum});
	if (group.rows == 0 || m->variance == 0)
		return 0;
	away = group.sum - group.rows * m->mean;
	return away * away / (2 * group.rows * m->variance);
}

/* Twice the gain in log-likelihood from distinguishing the groups. */
static double
RatioOf(const Measure *m, const Tally *groups, int n)
{
	double apart = -GroupWorth(m, SumTallies(groups, n));

	for (int i = 0; i < n; i++)
		apart += GroupWorth(m, groups[i]);
	return Max(0, 2 * apart);
}

/* The probability by chance of groups of targets and others. */
static double
TargetsChance(const Tally *groups, int n)
{
	ClassCount *counts =
		palloc_extended(mul_size((Size) n + 1, sizeof(ClassCount)), MCXT_ALLOC_HUGE);
	double chance;

	for (int i = 0; i < n; i++)
		counts[i] = (ClassCount){(int64) (groups[i].rows - groups[i].sum), (int64) groups[i].sum};
	chance = GroupsChance(counts, n);
	pfree(counts);
	return chance;
}

GroupTest
TestGroups(const Tally *groups, int n, const Outcome *outcome)
{
	Measure m = MeasureOf(SumTallies(groups, n), outcome);
	GroupTest e = {.df = -1, .p_value = 1};
	double chi_square = 0;

	for (int i = 0; i < n; i++)
		if (groups[i].rows > 0)
		{
			double away = groups[i].sum - groups[i].rows * m.mean;

			e.df++;
			chi_square += away * away / groups[i].rows;
		}
	e.df = Max(e.df, 0);
	if (e.df > 0 && m.variance > 0)
	{
		e.p_value = outcome->is_value ? ChiSquareTail(chi_square / m.variance, e.df)
									  : TargetsChance(groups, n);
		e.ratio = RatioOf(&m, groups, n);
	}
	return e;
}

/*
 * What one more bin must gain: at least half the logarithm of the number of
 * rows.
 */
static double
BinPenalty(Tally total)
{
	return Max(2.0, 0.5 * log((double) total.rows));
}

double
MinBinSize(Tally total, const Outcome *outcome)
{
	double rarer = Min(total.sum, total.rows - total.sum);

	/* the kurtosis of a rare target is the number of rows for each */
	if (outcome->is_value)
		return Min(MIN_EXPECTED * outcome->kurtosis, total.rows * MOST_OF_ROWS);
	return rarer > 0 ? MIN_EXPECTED * total.rows / rarer : HUGE_VAL;
}

/* Gathers levels, in order, into blocks; a frequent level becomes a block of its own. */
static int
GatherBlocks(const Tally *levels, int nlevels, int skip, Block *blocks)
{
	Tally total = SumTallies(levels, nlevels);
	double share;
	double left;
	int nblocks = 0;
	bool open = false;

	if (skip >= 0)
		total.rows -= levels[skip].rows;
	/* the remaining rows are shared by the remaining blocks, so that there are never too many */
	left = total.rows;
	share = left / MAX_BLOCKS;
	for (int i = 0; i < nlevels; i++)
	{
		double size = levels[i].rows;

		if (i == skip || size == 0)
			continue;
		if (open && nblocks < MAX_BLOCKS &&
			(size >= share || blocks[nblocks - 1].count.rows + size > share))
			open = false;
		if (!open)
		{
			share = left / (MAX_BLOCKS - nblocks);
			blocks[nblocks].count = (Tally){0};
			blocks[nblocks++].first = i;
			open = true;
		}
		blocks[nblocks - 1].count = AddTallies(blocks[nblocks - 1].count, levels[i]);
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
			Tally a = pooled[n - 2].count;
			Tally b = pooled[n - 1].count;
			double turn = a.sum * b.rows - b.sum * a.rows;

			if (rising ? turn <= 0 : turn >= 0)
				break;
			pooled[n - 2].count = AddTallies(a, b);
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
PoolBent(const Measure *m, const Block *blocks, int nblocks, bool peak, Block *pooled)
{
	double best = -HUGE_VAL;
	int npooled = 0;

	for (int turn = 0; turn < nblocks; turn++)
	{
		Block tried[MAX_BLOCKS];
		int n = PoolMonotone(blocks, turn, peak, tried);
		double worth = 0;

		n += PoolMonotone(blocks + turn, nblocks - turn, !peak, tried + n);
		for (int i = 0; i < n; i++)
			worth += GroupWorth(m, tried[i].count);
		if (worth > best)
		{
			best = worth;
			npooled = n;
			memcpy(pooled, tried, n * sizeof(Block));
		}
	}
	return npooled;
}

/* The best cut of the blocks into bins of at least `least` rows. */
static void
CutBlocks(const Measure *m, const Block *blocks, int nblocks, double penalty, double min_size,
		  Cut *cut)
{
	double best[MAX_BLOCKS + 1];
	int from[MAX_BLOCKS + 1];
	int bins[MAX_BLOCKS + 1];

	best[0] = 0;
	bins[0] = 0;
	for (int end = 1; end <= nblocks; end++)
	{
		Tally bin = {0};

		best[end] = -HUGE_VAL;
		from[end] = 0;
		bins[end] = 1;
		for (int start = end - 1; start >= 0; start--)
		{
			double worth;

			bin = AddTallies(bin, blocks[start].count);
			if (bin.rows < min_size && start > 0)
				continue;
			worth = best[start] + GroupWorth(m, bin) - penalty;
			/* of equally good cuts the one with fewer bins */
			if (worth > best[end])
			{
				best[end] = worth;
				from[end] = start;
				bins[end] = bins[start] + 1;
			}
		}
		/* too few rows to stand alone: only the beginning of a longer bin */
		if (end < nblocks && from[end] == 0 && bin.rows < min_size)
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

/* A bend has to be clearer than a trend, since it is rarer. */
static inline bool
IsTrend(const Fineness *fine, RankShape shape)
{
	return ChiSquareTail(shape.trend * shape.trend, 1) < fine->chance;
}

static inline bool
IsBend(const Fineness *fine, RankShape shape)
{
	return ChiSquareTail(shape.bend * shape.bend, 1) < fine->chance * BEND_SHARE;
}

/*
 * The better monotonic cut, refined, or the free one, which pays one more penalty for its freedom.
 * A trend or a bend known from ranks may always be refined.
 */
static void
CutOrdered(const Measure *m, const Tally *levels, int nlevels, int skip, RankShape shape,
		   double penalty, double min_size, Cut *cut)
{
	Block blocks[MAX_BLOCKS];
	Block pooled[MAX_BLOCKS];
	int nblocks = GatherBlocks(levels, nlevels, skip, blocks);
	bool rising;
	Cut falling;
	Cut other;

	CHECK_FOR_INTERRUPTS();
	CutBlocks(m, pooled, PoolMonotone(blocks, nblocks, true, pooled), penalty, min_size, cut);
	CutBlocks(m, pooled, PoolMonotone(blocks, nblocks, false, pooled), penalty, min_size, &falling);
	rising = cut->worth >= falling.worth;
	if (!rising)
		*cut = falling;
	CutBlocks(m, blocks, nblocks, penalty, min_size, &other);
	other.worth -= penalty;
	if (other.worth > cut->worth)
		*cut = other;
	else if (cut->nbins > 1 || IsTrend(m->fine, shape) || IsBend(m->fine, shape))
	{
		int npooled;

		if (cut->nbins == 1)
			rising = shape.trend > 0;
		npooled = cut->nbins > 1 || IsTrend(m->fine, shape)
					  ? PoolMonotone(blocks, nblocks, rising, pooled)
					  : PoolBent(m, blocks, nblocks, shape.bend < 0, pooled);
		CutBlocks(m, pooled, npooled, m->fine->fine_penalty, min_size, &other);
		other.worth = cut->worth;
		*cut = other;
	}
	cut->ways = LogChoose(nblocks - 1, cut->nbins - 1);
}

/* The most frequent level, if it holds enough rows among enough others to be a spike. */
static int
FindSpike(const Tally *levels, int nlevels, double min_size)
{
	double total = SumTallies(levels, nlevels).rows;
	int spike = -1;
	double largest = 0;
	int used = 0;

	for (int i = 0; i < nlevels; i++)
	{
		double size = levels[i].rows;

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
 * z of the sum of ranks of targets (Wilcoxon, Mann and Whitney), or of their squared distances from
 * the middle rank (Mood 1954); of values, their correlation with ranks.  Both with midranks and the
 * variance that these ties leave.
 */
static double
RankZ(const Measure *m, const Tally *levels, int nlevels, bool squared)
{
	double n = SumTallies(levels, nlevels).rows;
	double below = 0;
	double found = 0;
	double sum = 0;
	double squares = 0;
	double variance;

	for (int i = 0; i < nlevels; i++)
	{
		double size = levels[i].rows;
		double score = (below + size / 2) / n - 0.5;

		if (squared)
			score *= score;
		found += levels[i].sum * score;
		sum += size * score;
		squares += size * score * score;
		below += size;
	}
	variance = n * m->variance / (n - 1) * (squares - sum * sum / n);
	return variance > 0 ? (found - m->mean * sum) / sqrt(variance) : 0;
}

double
RankCorrelation(const Tally *levels, int nlevels, const Outcome *outcome)
{
	Tally total = SumTallies(levels, nlevels);
	Measure m = MeasureOf(total, outcome);
	int used = 0;

	for (int i = 0; i < nlevels; i++)
		used += levels[i].rows > 0;
	if (used < 2 || m.variance == 0)
		return get_float8_nan();
	return RankZ(&m, levels, nlevels, false) / sqrt(total.rows - 1);
}

/*
 * The probability by chance of such bins, of such a trend, which gets most of the error probability
 * since most attributes rise or fall, or of such a bend.  That of the bins is multiplied by the
 * number of ways to cut as many, and by two for each one more, so that all numbers of bins
 * together have no more than one has.
 */
static void
JudgeRanges(const Tally *levels, int nlevels, const uint16 *bin, double ways, RankShape shape,
			const Outcome *outcome, Bins *bins)
{
	Tally *counts = palloc0(bins->nbins * sizeof(Tally));
	double of_trend = ChiSquareTail(shape.trend * shape.trend, 1);
	double of_bend = ChiSquareTail(shape.bend * shape.bend, 1);
	const Fineness *fine = &FinenessOf[outcome->fineness];
	double of_cut;
	GroupTest test;

	for (int i = 0; i < nlevels; i++)
		counts[bin[i]] = AddTallies(counts[bin[i]], levels[i]);
	test = TestGroups(counts, bins->nbins, outcome);
	of_cut = test.p_value;
	of_cut = of_cut > 0 ? exp(log(of_cut) + ways + (bins->nbins - 1) * M_LN2) : 0;
	bins->p_value =
		Min(Min(1, of_trend / TREND_SHARE), Min(of_bend / BEND_SHARE, of_cut / CUT_SHARE));
	bins->ratio = test.ratio;
	/*
	 * the best of that many cuts gains about the logarithm of their number by chance, a part of it
	 * along a known shape
	 */
	bins->luck = bins->nbins - 1 +
				 (IsTrend(fine, shape) || IsBend(fine, shape) ? ways * fine->trend_luck : ways);
	pfree(counts);
}

Bins
BinOrderedLevels(const Tally *levels, int nlevels, const Outcome *outcome, uint16 *bin)
{
	Tally total = SumTallies(levels, nlevels);
	Measure m = MeasureOf(total, outcome);
	double penalty = BinPenalty(total);
	double min_size = MinBinSize(total, outcome);
	int spike = FindSpike(levels, nlevels, min_size);
	Bins bins = {.nbins = 1, .rare = 0, .p_value = 1.0};
	Cut cut;
	int current = 0;
	RankShape shape;

	memset(bin, 0, nlevels * sizeof(uint16));
	if (m.variance == 0)
		return bins;
	shape.trend = RankZ(&m, levels, nlevels, false);
	shape.bend = RankZ(&m, levels, nlevels, true);
	CutOrdered(&m, levels, nlevels, -1, shape, penalty, min_size, &cut);
	if (spike >= 0)
	{
		Cut around;

		CutOrdered(&m, levels, nlevels, spike, shape, penalty, min_size, &around);
		/* one more bin, and one more shape to choose from */
		around.worth += GroupWorth(&m, levels[spike]) - 2 * penalty;
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
	JudgeRanges(levels, nlevels, bin, cut.ways, shape, outcome, &bins);
	return bins;
}

/* Orders levels by rate. */
typedef struct RankedLevel
{
	Tally count;
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
 * differ by less than the penalty of a bin, or one has fewer rows than min_size.  Very many levels
 * are first gathered into groups of about equal size.
 */
static int
MergeRanked(const Measure *m, const RankedLevel *ranked, int nranked, double min_size,
			int *bin_of_rank)
{
	Tally groups[MAX_RANKED_GROUPS];
	int ends[MAX_RANKED_GROUPS];
	int64 left = 0;
	int64 share = 0;
	int n = 0;

	for (int i = 0; i < nranked; i++)
		left += ranked[i].count.rows;
	for (int i = 0; i < nranked; i++)
	{
		if (n == 0 || (n < MAX_RANKED_GROUPS &&
					   (nranked <= MAX_RANKED_GROUPS || groups[n - 1].rows >= share)))
		{
			share = left / (MAX_RANKED_GROUPS - n);
			groups[n++] = ranked[i].count;
		}
		else
			groups[n - 1] = AddTallies(groups[n - 1], ranked[i].count);
		left -= ranked[i].count.rows;
		ends[n - 1] = i;
	}
	while (n > 1)
	{
		double cheapest = HUGE_VAL;
		int at = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i + 1 < n; i++)
		{
			double loss = GroupWorth(m, groups[i]) + GroupWorth(m, groups[i + 1]) -
						  GroupWorth(m, AddTallies(groups[i], groups[i + 1]));

			if (Min(groups[i].rows, groups[i + 1].rows) < min_size)
				loss = 0;

			if (loss < cheapest)
			{
				cheapest = loss;
				at = i;
			}
		}
		if (cheapest >= m->fine->nominal_penalty && n <= MAX_BLOCKS)
			break;
		groups[at] = AddTallies(groups[at], groups[at + 1]);
		ends[at] = ends[at + 1];
		n--;
		memmove(&groups[at + 1], &groups[at + 2], (n - at - 1) * sizeof(Tally));
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
	Tally *counts = palloc0(nbins * sizeof(Tally));
	Tally total = {0};
	double nearest = HUGE_VAL;
	int best = 0;

	for (int i = 0; i < nranked; i++)
	{
		counts[bin_of_rank[i]] = AddTallies(counts[bin_of_rank[i]], ranked[i].count);
		total = AddTallies(total, ranked[i].count);
	}
	for (int b = 0; b < nbins; b++)
	{
		double away = fabs(counts[b].sum / counts[b].rows - total.sum / total.rows);

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
WordsChance(const Tally *levels, int nlevels, double min_size, const Outcome *outcome)
{
	Tally *counts = palloc_extended(mul_size((Size) nlevels + 1, sizeof(Tally)), MCXT_ALLOC_HUGE);
	Tally rest = {0};
	int n = 0;
	double chance;

	for (int i = 0; i < nlevels; i++)
		if (levels[i].rows < min_size / MIN_EXPECTED)
			rest = AddTallies(rest, levels[i]);
		else
			counts[n++] = levels[i];
	counts[n++] = rest;
	chance = TestGroups(counts, n, outcome).p_value;
	pfree(counts);
	return chance;
}

/*
 * Puts words with similar rates into one bin of at least `least` rows, and words of fewer than
 * min_size rows into that of the rest.
 */
static void
GroupWords(const Measure *m, RankedLevel *ranked, int nranked, const Tally *levels, int nlevels,
		   double least, double min_size, uint16 *bin, Bins *bins)
{
	int *bin_of_rank = palloc_extended(mul_size(nranked, sizeof(int)), MCXT_ALLOC_HUGE);

	SortByRate(ranked, nranked);
	bins->nbins = MergeRanked(m, ranked, nranked, least, bin_of_rank);
	bins->rare = AverageBin(ranked, nranked, bin_of_rank, bins->nbins);
	for (int i = 0; i < nranked; i++)
	{
		if (ranked[i].level < nlevels)
			bin[ranked[i].level] = bin_of_rank[i];
		else
			bins->rare = bin_of_rank[i];
	}
	for (int i = 0; i < nlevels; i++)
		if (levels[i].rows < min_size)
			bin[i] = bins->rare;
	pfree(bin_of_rank);
}

Bins
BinNominalLevels(const Tally *levels, int nlevels, const Outcome *outcome, uint16 *bin)
{
	Tally total = SumTallies(levels, nlevels);
	Measure m = MeasureOf(total, outcome);
	double min_size = MinBinSize(total, outcome);
	GroupTest test = {.p_value = 1};
	RankedLevel *ranked =
		palloc_extended(mul_size((Size) nlevels + 1, sizeof(RankedLevel)), MCXT_ALLOC_HUGE);
	Tally *counts = palloc_extended(mul_size((Size) nlevels + 1, sizeof(Tally)), MCXT_ALLOC_HUGE);
	RankedLevel rest = {.level = nlevels};
	Bins bins = {.nbins = 1, .rare = 0, .p_value = 1.0};
	int nranked = 0;

	memset(bin, 0, nlevels * sizeof(uint16));
	for (int i = 0; i < nlevels; i++)
	{
		if (levels[i].rows < min_size)
			rest.count = AddTallies(rest.count, levels[i]);
		else
			ranked[nranked++] = (RankedLevel){.count = levels[i], .level = i};
	}
	if (rest.count.rows > 0)
		ranked[nranked++] = rest;
	for (int i = 0; i < nranked; i++)
	{
		counts[i] = ranked[i].count;
		ranked[i].rate = counts[i].sum / counts[i].rows;
	}
	if (nranked > 1)
	{
		test = TestGroups(counts, nranked, outcome);
		bins.p_value =
			outcome->is_value ? test.p_value : WordsChance(levels, nlevels, min_size, outcome);
	}

	/* sorting by rate turns chance into differences, so first test whether there are any */
	if (bins.p_value < m.fine->chance)
	{
		double share = SignalShare(test.ratio, nranked - 1);

		/*
		 * Chance exaggerates the differences between words, and by the same share it puts words
		 * into the wrong bins, so it counts twice.
		 */
		bins.ratio = test.ratio;
		bins.luck = bins.ratio * (1 - share * share);
		GroupWords(&m, ranked, nranked, levels, nlevels, outcome->fineness > 0 ? min_size : 0,
				   min_size, bin, &bins);
	}
	pfree(ranked);
	pfree(counts);
	return bins;
}

double
BinChance(const Outcome *outcome)
{
	return FinenessOf[outcome->fineness].chance;
}

Bins
TakeGivenBins(const Tally *levels, int nlevels, const Outcome *outcome, const uint8 *given,
			  int ngiven, uint16 *bin)
{
	Tally *groups = palloc0(ngiven * sizeof(Tally));
	GroupTest test;

	for (int i = 0; i < nlevels; i++)
	{
		bin[i] = given[i];
		groups[given[i]] = AddTallies(groups[given[i]], levels[i]);
	}
	test = TestGroups(groups, ngiven, outcome);
	pfree(groups);
	/* the last of words holds those that are not in any group */
	return (Bins){.nbins = ngiven,
				  .rare = ngiven - 1,
				  .p_value = test.p_value,
				  .ratio = test.ratio,
				  .luck = test.df};
}
