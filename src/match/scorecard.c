/*
 * scorecard.c: the chance that a row is a target, or the value to expect of it, as a sum of points.
 *
 * Logistic regression on one indicator per bin; of values, least squares.  The points of a feature
 *have a normal prior around zero with the covariance
 *
 *		slope * w w' + prior_variance * I		(w: weights of evidence of its bins)
 *
 * so a small `prior_variance` restricts a feature to one factor on its weights of evidence, as in
 * the classical scorecard, and a large one lets each bin find its own points, which corrects for
 * attributes that carry the same information.  Cross-validation chooses it.  Bins and weights of
 * evidence are found within the training part of each fold, so that held-out rows do not influence
 * their own scores.
 *
 * Interactions are further features, each a cell of the classes of two features.  They are looked
 * for in what a card without them leaves unexplained, anew in the training part of each fold, and
 * kept if held-out rows are clearly the better for them.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "base/newton.h"
#include "base/special_functions.h"
#include "match/binning.h"
#include "match/interactions.h"
#include "match/scorecard.h"

#define SLOPE_VARIANCE 1.0
#define TELLING_RATIO 4.0
#define CARD_RATIO                                                                                 \
	6.6 /* twice the log-likelihood of held-out scores against the base rate: 1 % by chance */
#define FEW_TARGETS 2000 /* with fewer, weak attributes count and cannot be proven one by one */
#define MOST_PARAMETERS 11500 /* a matrix of them is the largest that palloc() gives */
#define PAIR_PRIOR 2          /* the prior variance by whose card interactions are looked for */
#define MAX_NEWTON_STEPS 30
#define NEWTON_TOLERANCE 1e-8 /* gain in log-likelihood below which the fit stops */

static const double PriorVariances[] = {0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0};

#define PRIOR_VARIANCES ((int) lengthof(PriorVariances))

/* Bins of all features, found from a part of the rows. */
typedef struct Binning
{
	int nused; /* informative features */
	int *used;
	int *offset; /* of each used feature's parameters; 0 is the intercept */
	int nparameters;
	int *nbins;  /* of each feature; 0 if not used */
	uint8 **bin; /* of each feature's levels */
	int *rare;
	double *signal;        /* of each feature: share of its evidence that chance does not explain */
	double *p_value;       /* probability of such bins by chance */
	Tally **count;         /* of each feature's bins */
	uint16 *row_parameter; /* rows * nused: which parameter each feature of a row takes */
	double *evidence; /* of each parameter: its weight of evidence, or difference from the mean */
} Binning;

/* A regression on a binning: rows of all folds but one. */
typedef struct Regression
{
	const Binning *binning;
	const Outcomes *outcomes;
	const uint8 *fold;
	int left_out; /* fold; -1 for none */
	int64 nrows;
	double *theta;
	double *gradient;
	double *prior; /* inverse prior covariance: lower triangle, row by row, square layout */
} Regression;

/* ---------- bins ---------- */

static inline double
OutcomeOf(const Outcomes *o, int64 row)
{
	return o->value != NULL ? o->value[row] : o->target[row];
}

static inline void
AddRow(Tally *tally, double outcome)
{
	tally->rows++;
	tally->sum += outcome;
	tally->squares += outcome * outcome;
}

static inline void
AddTally(Tally *to, const Tally *tally)
{
	to->rows += tally->rows;
	to->sum += tally->sum;
	to->squares += tally->squares;
}

static ClassCount
CountOf(const Outcome *outcome, const Tally *tally)
{
	int64 targets = outcome->is_value ? 0 : (int64) tally->sum;

	return (ClassCount){.others = (int64) tally->rows - targets, .targets = targets};
}

/* Tallies of a feature's levels by fold. */
static Tally *
TallyLevels(const ScorecardFeature *feature, const Outcomes *outcomes, const uint8 *fold,
			int64 nrows)
{
	Tally *tallies = palloc0(sizeof(Tally) * feature->nlevels * SCORECARD_FOLDS);

	for (int64 row = 0; row < nrows; row++)
		AddRow(&tallies[fold[row] * feature->nlevels + feature->level[row]],
			   OutcomeOf(outcomes, row));
	return tallies;
}

/* Tallies over all folds but one. */
static void
SumFolds(const Tally *by_fold, int nlevels, int left_out, Tally *sum)
{
	memset(sum, 0, nlevels * sizeof(Tally));
	for (int fold = 0; fold < SCORECARD_FOLDS; fold++)
		if (fold != left_out)
			for (int level = 0; level < nlevels; level++)
				AddTally(&sum[level], &by_fold[fold * nlevels + level]);
}

static inline int
AloneNumber(const OwnLevels *own, int level)
{
	return own != NULL ? own->alone[level] : 0;
}

/* Finds the bins of the levels that have none of their own, unless they are given. */
static Bins
FindBins(const ScorecardFeature *feature, const Tally *levels, const Outcome *outcome, uint16 *bin)
{
	const OwnLevels *own = feature->own;
	int nlevels = feature->nlevels;
	Tally *common = palloc(nlevels * sizeof(Tally));
	Bins bins;

	/* levels without rows go with their neighbours */
	for (int level = 0; level < nlevels; level++)
		common[level] = AloneNumber(own, level) > 0 ? (Tally){0} : levels[level];
	if (own != NULL && own->nfixed > 0)
	{
		bins = TakeGivenBins(common + 1, nlevels - 1, outcome, own->fixed + 1, own->nfixed, bin);
		/* found ones have passed a test */
		if (bins.p_value >= BinChance(outcome))
			bins.ratio = bins.luck = 0;
	}
	else if (feature->ordered)
		bins = BinOrderedLevels(common + 1, nlevels - 1, outcome, bin);
	else
		bins = BinNominalLevels(common + 1, nlevels - 1, outcome, bin);
	pfree(common);
	return bins;
}

/* How much missing values, and those with bins of their own, tell by being what they are. */
static GroupTest
TestApart(const Tally *counts, int nbins, int nalone, const Outcome *outcome)
{
	Tally split[MAX_ALONE + 2];

	split[0] = counts[0];
	for (int i = 0; i < nalone; i++)
		split[1 + i] = counts[nbins - nalone + i];
	split[1 + nalone] = SumTallies(counts + 1, nbins - nalone - 1);
	return TestGroups(split, nalone + 2, outcome);
}

/* Bins one feature; leaves nbins 0 where no bin differs from the others. */
static void
BinFeature(const ScorecardFeature *feature, const Tally *levels, const Outcome *outcome,
		   Binning *binning, int f)
{
	int nlevels = feature->nlevels;
	int nalone = feature->own != NULL ? feature->own->nalone : 0;
	uint16 *bin = palloc(nlevels * sizeof(uint16));
	Bins bins = FindBins(feature, levels, outcome, bin);
	Tally *counts;
	GroupTest apart;

	binning->nbins[f] = 1 + bins.nbins + nalone;
	binning->bin[f] = palloc0(nlevels);
	binning->count[f] = counts = palloc0(binning->nbins[f] * sizeof(Tally));
	counts[0] = levels[MISSING_LEVEL];
	for (int level = 1; level < nlevels; level++)
	{
		int alone = AloneNumber(feature->own, level);

		binning->bin[f][level] = alone > 0 ? bins.nbins + alone : bin[level - 1] + 1;
		AddTally(&counts[binning->bin[f][level]], &levels[level]);
	}
	binning->rare[f] = bins.rare + 1;
	apart = TestApart(counts, binning->nbins[f], nalone, outcome);
	binning->p_value[f] = bins.p_value;
	if (apart.df > 0)
		binning->p_value[f] = Min(1, 2 * Min(bins.p_value, apart.p_value));
	binning->signal[f] = SignalShare(bins.ratio + apart.ratio, bins.luck + apart.df);
	/* all in one bin: only missing values and the like can make the feature informative */
	if (binning->signal[f] == 0 ||
		(bins.nbins == 1 && apart.ratio < TELLING_RATIO * Max(1, apart.df)))
		binning->nbins[f] = 0;
	pfree(bin);
}

/* The cells of an interaction are bins as they are. */
static void
BinPair(const ScorecardFeature *pair, const Regression *r, double signal, Binning *binning, int f)
{
	binning->nbins[f] = pair->nlevels;
	binning->bin[f] = palloc(pair->nlevels);
	binning->count[f] = palloc0(pair->nlevels * sizeof(Tally));
	binning->rare[f] = 0;
	binning->signal[f] = signal;
	for (int cell = 0; cell < pair->nlevels; cell++)
		binning->bin[f][cell] = (uint8) cell;
	for (int64 row = 0; row < r->nrows; row++)
		if (r->fold[row] != r->left_out)
			AddRow(&binning->count[f][pair->level[row]], OutcomeOf(r->outcomes, row));
}

/* Makes a feature of each pair, with the cell of each row as its level. */
static void
SetPairs(Scorecard *card, const PairSearch *pairs)
{
	card->npairs = pairs->n;
	for (int p = 0; p < pairs->n; p++)
	{
		ScorecardFeature *pair = &card->features[card->nfeatures + p];
		const ScorecardFeature *a = &card->features[pairs->first[p]];
		const ScorecardFeature *b = &card->features[pairs->second[p]];
		const PairClasses *of_a = &card->classes[pairs->first[p]];
		const PairClasses *of_b = &card->classes[pairs->second[p]];
		uint16 *level = palloc_extended(mul_size(card->nrows, sizeof(uint16)), MCXT_ALLOC_HUGE);

		memset(pair, 0, sizeof(ScorecardFeature));
		pair->first = pairs->first[p];
		pair->second = pairs->second[p];
		pair->level = level;
		pair->nlevels = of_a->n * of_b->n;
		for (int64 row = 0; row < card->nrows; row++)
			level[row] =
				(uint16) (of_a->class[a->level[row]] * of_b -> n + of_b -> class[b->level[row]]);
	}
}

/* Notes where the parameters of a feature are, if it has any. */
static void
UseFeature(Binning *binning, int f)
{
	if (binning->nbins[f] == 0)
		return;
	binning->used[binning->nused] = f;
	binning->offset[binning->nused++] = binning->nparameters;
	binning->nparameters += binning->nbins[f];
}

/*
 * The weight of evidence of each bin that has rows, or its difference from the mean, with a row of
 * the mean added; times the share of it that chance does not explain.
 */
static void
WeighBins(const Outcome *outcome, const Tally *count, int nbins, double signal, double *evidence)
{
	Tally total = SumTallies(count, nbins);
	int filled = 0;

	for (int b = 0; b < nbins; b++)
		filled += count[b].rows > 0;
	for (int b = 0; b < nbins; b++)
	{
		if (count[b].rows == 0)
			continue;
		if (outcome->is_value)
			evidence[b] =
				(count[b].sum - count[b].rows * total.sum / total.rows) / (count[b].rows + 1);
		else
			evidence[b] =
				WeightOfEvidence(CountOf(outcome, &count[b]), CountOf(outcome, &total), filled);
		evidence[b] *= signal;
	}
}

/*
 * Bins every feature by the rows of all folds but one, and assigns every row to
 * its bins.
 */
static Binning *
BinAll(Scorecard *card, Tally *const *by_fold, const Outcomes *outcomes, const uint8 *fold,
	   int left_out, const PairSearch *pairs)
{
	Binning *binning = palloc0(sizeof(Binning));
	Regression rows = {
		.outcomes = outcomes, .fold = fold, .left_out = left_out, .nrows = card->nrows};
	int nfeatures = card->nfeatures + SCORECARD_PAIRS;

	binning->nparameters = 1;
	SetPairs(card, pairs);

	binning->used = palloc(nfeatures * sizeof(int));
	binning->offset = palloc(nfeatures * sizeof(int));
	binning->nbins = palloc(nfeatures * sizeof(int));
	binning->rare = palloc(nfeatures * sizeof(int));
	binning->signal = palloc(nfeatures * sizeof(double));
	binning->p_value = palloc(nfeatures * sizeof(double));
	binning->bin = palloc(nfeatures * sizeof(uint8 *));
	binning->count = palloc(nfeatures * sizeof(Tally *));
	for (int f = 0; f < card->nfeatures; f++)
	{
		const ScorecardFeature *feature = &card->features[f];
		Tally *levels = palloc(feature->nlevels * sizeof(Tally));

		CHECK_FOR_INTERRUPTS();
		SumFolds(by_fold[f], feature->nlevels, left_out, levels);
		BinFeature(feature, levels, &card->outcome, binning, f);
		pfree(levels);
		UseFeature(binning, f);
	}
	for (int p = 0; p < pairs->n; p++)
	{
		BinPair(&card->features[card->nfeatures + p], &rows, pairs->signal[p], binning,
				card->nfeatures + p);
		binning->p_value[card->nfeatures + p] = pairs->p_value[p];
		UseFeature(binning, card->nfeatures + p);
	}
	if (binning->nparameters > MOST_PARAMETERS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("match_fit has %d bins to learn from, at most %d are possible",
							   binning->nparameters, MOST_PARAMETERS),
						errhint("Leave out attributes: the option \"ignore\" of profile_fit.")));
	binning->evidence = palloc0(binning->nparameters * sizeof(double));
	binning->row_parameter = palloc_extended(
		mul_size(mul_size(card->nrows, Max(1, binning->nused)), sizeof(uint16)), MCXT_ALLOC_HUGE);
	for (int u = 0; u < binning->nused; u++)
	{
		int f = binning->used[u];
		const uint16 *level = card->features[f].level;
		const uint8 *bin = binning->bin[f];

		CHECK_FOR_INTERRUPTS();
		WeighBins(&card->outcome, binning->count[f], binning->nbins[f], binning->signal[f],
				  &binning->evidence[binning->offset[u]]);
		for (int64 row = 0; row < card->nrows; row++)
			binning->row_parameter[row * binning->nused + u] = binning->offset[u] + bin[level[row]];
	}
	return binning;
}

static void
FreeBinning(Binning *binning, const Scorecard *card)
{
	for (int p = 0; p < card->npairs; p++)
		pfree((void *) card->features[card->nfeatures + p].level);
	for (int f = 0; f < card->nfeatures + card->npairs; f++)
	{
		pfree(binning->bin[f]);
		pfree(binning->count[f]);
	}
	pfree(binning->used);
	pfree(binning->offset);
	pfree(binning->nbins);
	pfree(binning->rare);
	pfree(binning->signal);
	pfree(binning->p_value);
	pfree(binning->bin);
	pfree(binning->count);
	pfree(binning->evidence);
	pfree(binning->row_parameter);
	pfree(binning);
}

/* ---------- regression ---------- */

/* Inverse prior covariance of the points, by Sherman and Morrison. */
static void
SetPrior(Regression *r, double prior_variance)
{
	const Binning *binning = r->binning;
	int n = binning->nparameters;

	memset(r->prior, 0, sizeof(double) * n * n);
	for (int u = 0; u < binning->nused; u++)
	{
		int first = binning->offset[u];
		int last = first + binning->nbins[binning->used[u]];
		double norm = 0;

		for (int i = first; i < last; i++)
			norm += binning->evidence[i] * binning->evidence[i];
		for (int i = first; i < last; i++)
		{
			for (int k = first; k <= i; k++)
				r->prior[i * n + k] = -SLOPE_VARIANCE * binning->evidence[i] *
									  binning->evidence[k] /
									  (prior_variance * (prior_variance + SLOPE_VARIANCE * norm));
			r->prior[i * n + i] += 1 / prior_variance;
		}
	}
}

/* Half of theta' prior theta. */
static double
Penalty(const Regression *r, const double *theta)
{
	int n = r->binning->nparameters;
	double sum = 0;

	for (int i = 1; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 1; k < i; k++)
			sum += theta[i] * r->prior[i * n + k] * theta[k];
		sum += 0.5 * theta[i] * r->prior[i * n + i] * theta[i];
	}
	return sum;
}

static inline double
LinearScore(const Binning *binning, const double *theta, int64 row)
{
	const uint16 *parameter = &binning->row_parameter[row * binning->nused];
	double sum = theta[0];

	for (int u = 0; u < binning->nused; u++)
		sum += theta[parameter[u]];
	return sum;
}

/*
 * The negative log-likelihood of a row: of a target by its log-odds, of a value half its squared
 * error.  Unless residual is NULL, what the score is too high, and its variance.
 */
static inline double
RowLoss(const Outcomes *o, int64 row, double score, double *residual, double *weight)
{
	double chance;

	if (o->value != NULL)
	{
		double away = score - o->value[row];

		if (residual != NULL)
		{
			*residual = away;
			*weight = 1;
		}
		return away * away / 2;
	}
	if (residual != NULL)
	{
		chance = Logistic(score);
		*residual = chance - o->target[row];
		*weight = chance * (1 - chance);
	}
	return SoftPlus(score) - (o->target[row] ? score : 0);
}

/*
 * The function to minimise: the negative log-likelihood plus the penalty, with its derivatives on
 * demand.
 */
static double
RegressionLoss(void *data, const double *theta, double *gradient, double *hessian)
{
	const Regression *r = (const Regression *) data;
	const Binning *binning = r->binning;
	int n = binning->nparameters;
	int nused = binning->nused;
	double loss = 0;

	if (hessian)
	{
		memset(gradient, 0, n * sizeof(double));
		memset(hessian, 0, sizeof(double) * n * n);
	}
	for (int64 row = 0; row < r->nrows; row++)
	{
		const uint16 *parameter = &binning->row_parameter[row * nused];
		double weight = 0;
		double residual = 0;

		CHECK_FOR_INTERRUPTS();
		if (r->fold[row] == r->left_out)
			continue;
		loss += RowLoss(r->outcomes, row, LinearScore(binning, theta, row),
						hessian ? &residual : NULL, &weight);
		if (!hessian)
			continue;
		gradient[0] += residual;
		hessian[0] += weight;
		for (int u = 0; u < nused; u++)
		{
			double *line = &hessian[parameter[u] * n];

			gradient[parameter[u]] += residual;
			line[0] += weight;
			for (int v = 0; v <= u; v++)
				line[parameter[v]] += weight;
		}
	}
	if (hessian)
		for (int i = 1; i < n; i++)
			for (int k = 1; k <= i; k++)
			{
				hessian[i * n + k] += r->prior[i * n + k];
				gradient[i] += r->prior[i * n + k] * theta[k];
				if (k < i)
					gradient[k] += r->prior[i * n + k] * theta[i];
			}
	return loss + Penalty(r, theta);
}

/* Starts from theta; the loss is convex. */
static void
MinimizeLoss(Regression *r)
{
	NewtonProblem problem = {.n = r->binning->nparameters,
							 .function = RegressionLoss,
							 .data = r,
							 .has_hessian = true,
							 .tolerance = NEWTON_TOLERANCE,
							 .max_steps = MAX_NEWTON_STEPS};
	double loss;

	(void) Minimize(&problem, r->theta, NULL, &loss, r->gradient);
}

/* The rows of all folds but one. */
static Tally
TallyRows(const Outcomes *outcomes, const uint8 *fold, int left_out, int64 nrows)
{
	Tally total = {0};

	for (int64 row = 0; row < nrows; row++)
		if (fold[row] != left_out)
			AddRow(&total, OutcomeOf(outcomes, row));
	return total;
}

/* Sets up a regression on the rows of all folds but one, starting at their log-odds, or mean. */
static void
RegressionInit(Regression *r, const Scorecard *card, const Binning *binning,
			   const Outcomes *outcomes, const uint8 *fold, int left_out)
{
	int n = binning->nparameters;
	Tally total = TallyRows(outcomes, fold, left_out, card->nrows);

	r->binning = binning;
	r->outcomes = outcomes;
	r->fold = fold;
	r->left_out = left_out;
	r->nrows = card->nrows;
	r->theta = palloc0(n * sizeof(double));
	r->gradient = palloc(n * sizeof(double));
	r->prior = palloc(sizeof(double) * n * n);
	r->theta[0] = outcomes->value != NULL ? total.sum / Max(1, total.rows)
										  : log((total.sum + 0.5) / (total.rows - total.sum + 0.5));
}

static void
RegressionFree(Regression *r)
{
	pfree(r->theta);
	pfree(r->gradient);
	pfree(r->prior);
}

/* Bins that no row of the fit fell into get the mean of the feature's points. */
static void
FillEmptyBins(const Binning *binning, double *theta)
{
	for (int u = 0; u < binning->nused; u++)
	{
		const Tally *count = binning->count[binning->used[u]];
		int nbins = binning->nbins[binning->used[u]];
		double *points = &theta[binning->offset[u]];
		double sum = 0;
		double rows = 0;

		for (int b = 0; b < nbins; b++)
		{
			sum += points[b] * count[b].rows;
			rows += count[b].rows;
		}
		for (int b = 0; b < nbins; b++)
			if (count[b].rows == 0)
				points[b] = sum / rows;
	}
}

/* ---------- quality ---------- */

typedef struct ScoredRow
{
	double score;
	double outcome;
} ScoredRow;

#define ST_SORT SortScoredRows
#define ST_ELEMENT_TYPE ScoredRow
#define ST_COMPARE(a, b)                                                                           \
	((a)->score != (b)->score ? ((a)->score < (b)->score ? -1 : 1)                                 \
							  : ((a)->outcome < (b)->outcome ? -1 : (a)->outcome > (b)->outcome))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Tenths of rows sorted by score, and the sum of ranks of targets, ties at their middle rank.  A
 * tie across the border of two tenths is shared in proportion, so that its order does not matter;
 * targets of a tenth are rounded to whole rows.
 */
static double
FillDeciles(ScoreQuality *quality, const ScoredRow *rows, int64 nrows, bool is_value)
{
	double upto[SCORECARD_DECILES + 1] = {0};
	double expected = 0;
	double rank_sum = 0;
	int next = 1;

	/* from the highest score down, tie by tie */
	for (int64 end = nrows, seen = 0; end > 0;)
	{
		int64 start = end;
		double in_tie = 0;
		double before = upto[0];

		while (start > 0 && rows[start - 1].score == rows[end - 1].score)
			in_tie += rows[--start].outcome;
		rank_sum += in_tie * (start + end + 1) / 2.0;
		for (;
			 next <= SCORECARD_DECILES && next * nrows <= (seen + end - start) * SCORECARD_DECILES;
			 next++)
		{
			int64 border = next * nrows / SCORECARD_DECILES;
			double share = (double) (border - seen) / (end - start);
			ScoreDecile *decile = &quality->decile[next - 1];

			decile->rows = border - (next - 1) * nrows / SCORECARD_DECILES;
			decile->expected = expected + share * (end - start) * rows[start].score;
			upto[next] = before + share * in_tie;
		}
		expected += (end - start) * rows[start].score;
		upto[0] = before + in_tie;
		seen += end - start;
		end = start;
	}
	for (int d = SCORECARD_DECILES - 1; d >= 0; d--)
	{
		double above = d > 0 ? upto[d] : 0;

		if (is_value)
			quality->decile[d].value = upto[d + 1] - above;
		else
			quality->decile[d].targets = (int64) rint(upto[d + 1]) - (int64) rint(above);
		if (d > 0)
			quality->decile[d].expected -= quality->decile[d - 1].expected;
	}
	return rank_sum;
}

/* Quality of scores against what the rows are. */
static ScoreQuality
MeasureScores(const double *score, const Outcomes *outcomes, int64 nrows)
{
	ScoreQuality quality = {0};
	ScoredRow *rows = palloc_extended(mul_size(nrows, sizeof(ScoredRow)), MCXT_ALLOC_HUGE);
	double rank_sum;
	double targets = 0;
	double squares = 0;

	for (int64 i = 0; i < nrows; i++)
	{
		double outcome = OutcomeOf(outcomes, i);

		rows[i].score = score[i];
		rows[i].outcome = outcome;
		targets += outcome;
		if (outcomes->value == NULL)
			quality.log_loss -= log(outcome > 0 ? score[i] : 1 - score[i]);
		else
			squares += (outcome - score[i]) * (outcome - score[i]);
	}
	quality.log_loss /= nrows;
	squares /= nrows;
	SortScoredRows(rows, nrows);
	rank_sum = FillDeciles(&quality, rows, nrows, outcomes->value != NULL);
	pfree(rows);
	if (outcomes->value != NULL)
	{
		/* the variance of all values is 1 */
		quality.log_loss = log(squares) / 2;
		quality.rmse = sqrt(squares);
		quality.r_squared = 1 - squares;
	}
	else if (targets > 0 && targets < nrows)
		quality.auc = (rank_sum - targets * (targets + 1) / 2) / (targets * (nrows - targets));
	return quality;
}

/* ---------- the fit ---------- */

/* The pairs that a card without them leaves unexplained. */
static PairSearch
SearchPairs(const Scorecard *card, const Regression *r)
{
	double *residual = palloc_extended(mul_size(card->nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	double *weight = palloc_extended(mul_size(card->nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	PairRows rows = {.nrows = card->nrows,
					 .fold = r->fold,
					 .left_out = r->left_out,
					 .residual = residual,
					 .weight = weight};
	PairSearch found;
	double squares = 0;
	int64 n = 0;

	for (int64 row = 0; row < card->nrows; row++)
	{
		(void) RowLoss(r->outcomes, row, LinearScore(r->binning, r->theta, row), &residual[row],
					   &weight[row]);
		if (r->fold[row] != r->left_out)
		{
			squares += residual[row] * residual[row];
			n++;
		}
	}
	if (card->outcome.is_value && squares > 0)
	{
		/* such that a cell needs more rows the heavier the tails are, as with rare targets */
		double unit = sqrt(squares / n * card->outcome.kurtosis);

		for (int64 row = 0; row < card->nrows; row++)
		{
			residual[row] /= unit;
			weight[row] = 1 / card->outcome.kurtosis;
		}
	}
	found = FindPairs(card->features, card->nfeatures, card->classes, &rows);
	pfree(residual);
	pfree(weight);
	return found;
}

/* What a fit needs besides the card. */
typedef struct FitData
{
	Tally **by_fold;
	const Outcomes *outcomes;
	const uint8 *fold;
	double *score[PRIOR_VARIANCES]; /* of held-out rows, for each prior variance */
	int first;                      /* of the prior variances tried */
	int last;
	PairSearch pairs[SCORECARD_FOLDS + 1]; /* of the training part of each fold; of all rows */
} FitData;

/*
 * Scores the rows of each fold with fits to the other folds, for each prior variance, with the
 * interactions in `pairs`; if there are to be none, looks for them.
 */
static void
CrossValidate(Scorecard *card, FitData *data, bool with_pairs)
{
	static const PairSearch none = {0};

	for (int left_out = 0; left_out < SCORECARD_FOLDS; left_out++)
	{
		Binning *binning = BinAll(card, data->by_fold, data->outcomes, data->fold, left_out,
								  with_pairs ? &data->pairs[left_out] : &none);
		Regression r;

		RegressionInit(&r, card, binning, data->outcomes, data->fold, left_out);
		for (int i = data->first; i <= data->last; i++)
		{
			SetPrior(&r, PriorVariances[i]);
			MinimizeLoss(&r);
			FillEmptyBins(binning, r.theta);
			CHECK_FOR_INTERRUPTS();
			if (!with_pairs && i == PAIR_PRIOR)
				data->pairs[left_out] = SearchPairs(card, &r);
			for (int64 row = 0; row < card->nrows; row++)
				if (data->fold[row] == left_out)
					data->score[i][row] = LinearScore(binning, r.theta, row);
		}
		RegressionFree(&r);
		FreeBinning(binning, card);
	}
}

/* Rows, targets or means of the bins. */
static void
KeepCounts(const Outcome *outcome, const Tally *count, ScorecardFeature *feature)
{
	feature->count = palloc((feature->nbins + 1) * sizeof(ClassCount));
	feature->mean = outcome->is_value ? palloc0((feature->nbins + 1) * sizeof(double)) : NULL;
	for (int b = 0; b < feature->nbins; b++)
	{
		feature->count[b] = CountOf(outcome, &count[b]);
		if (outcome->is_value && count[b].rows > 0)
			feature->mean[b] = count[b].sum / count[b].rows;
	}
}

/* Puts bins and points into the card; points are centred on the rows of the fit. */
static void
KeepPoints(Scorecard *card, const Binning *binning, const double *theta)
{
	card->intercept = theta[0];
	AdjustPValues(binning->p_value, card->nfeatures);
	for (int f = 0; f < card->nfeatures + card->npairs; f++)
	{
		ScorecardFeature *feature = &card->features[f];

		feature->nbins = binning->nbins[f];
		feature->bin = binning->bin[f];
		feature->rare = binning->rare[f];
		feature->p_value = binning->p_value[f];
		KeepCounts(&card->outcome, binning->count[f], feature);
	}
	for (int u = 0; u < binning->nused; u++)
	{
		ScorecardFeature *feature = &card->features[binning->used[u]];
		const double *points = &theta[binning->offset[u]];
		double mean = 0;

		feature->points = palloc(feature->nbins * sizeof(double));
		for (int b = 0; b < feature->nbins; b++)
			mean +=
				points[b] * (feature->count[b].targets + feature->count[b].others) / card->nrows;
		for (int b = 0; b < feature->nbins; b++)
			if (feature->count[b].targets + feature->count[b].others > 0)
				feature->points[b] = points[b] - mean;
			else
				feature->points[b] = 0;
		card->intercept += mean;
	}
}

/*
 * Log-odds of the held-out rows, or values expected, and how far they are to be trusted: those of
 * all folds but one.
 */
typedef struct Shrinkage
{
	const double *log_odds;
	const Outcomes *outcomes;
	const uint8 *fold;
	int left_out;
	int64 nrows;
} Shrinkage;

/* Negative log-likelihood of at[0] + at[1] * log_odds. */
static double
ShrinkageLoss(void *data, const double *at, double *gradient, double *hessian)
{
	const Shrinkage *s = (const Shrinkage *) data;
	double loss = 0;

	if (hessian)
	{
		memset(gradient, 0, 2 * sizeof(double));
		memset(hessian, 0, 4 * sizeof(double));
	}
	for (int64 row = 0; row < s->nrows; row++)
	{
		double x = s->log_odds[row];
		double residual = 0;
		double weight = 0;

		CHECK_FOR_INTERRUPTS();
		if (s->fold[row] == s->left_out)
			continue;
		loss += RowLoss(s->outcomes, row, at[0] + at[1] * x, hessian ? &residual : NULL, &weight);
		if (!hessian)
			continue;
		gradient[0] += residual;
		gradient[1] += residual * x;
		hessian[0] += weight;
		hessian[2] += weight * x;
		hessian[3] += weight * x * x;
	}
	return loss;
}

/* Twice the log-likelihood of held-out scores against that of the base rate, or the mean. */
static double
BaseRatio(const Outcomes *outcomes, const Tally *total, double loss)
{
	if (outcomes->value != NULL)
		return total->rows *
			   log((total->squares - total->sum * total->sum / total->rows) / (2 * loss));
	return 2 * (-GroupLogLikelihood(
					(ClassCount){(int64) (total->rows - total->sum), (int64) total->sum}) -
				loss);
}

/*
 * The factor, 0 to 1, that fits held-out log-odds best, with its intercept.  It is 0 if chance
 * explains the gain.
 */
static void
FitShrinkage(const Shrinkage *s, double *at)
{
	static const double lower[2] = {-HUGE_VAL, 0};
	static const double upper[2] = {HUGE_VAL, 1};
	NewtonProblem problem = {.n = 2,
							 .function = ShrinkageLoss,
							 .data = (void *) s,
							 .has_hessian = true,
							 .lower = lower,
							 .upper = upper,
							 .tolerance = NEWTON_TOLERANCE,
							 .max_steps = MAX_NEWTON_STEPS};
	Tally total = TallyRows(s->outcomes, s->fold, s->left_out, s->nrows);
	double gradient[2];
	double loss;

	at[0] = 0;
	at[1] = 1;
	(void) Minimize(&problem, at, NULL, &loss, gradient);
	loss = ShrinkageLoss((void *) s, at, NULL, NULL);
	if (BaseRatio(s->outcomes, &total, loss) < CARD_RATIO)
	{
		at[0] = s->outcomes->value != NULL
					? total.sum / Max(1, total.rows)
					: log(Max(total.sum, 0.5) / Max(total.rows - total.sum, 0.5));
		at[1] = 0;
	}
}

/*
 * Turns held-out log-odds into probabilities, or leaves values, those of each fold shrunk by the
 * factor of the other folds; returns the factor of all folds.
 */
static double
ShrinkScores(const Scorecard *card, const Outcomes *outcomes, const uint8 *fold, double *score)
{
	Shrinkage s = {.log_odds = score,
				   .outcomes = outcomes,
				   .fold = fold,
				   .left_out = -1,
				   .nrows = card->nrows};
	double advice[SCORECARD_FOLDS][2];
	double all[2];

	FitShrinkage(&s, all);
	for (s.left_out = 0; s.left_out < SCORECARD_FOLDS; s.left_out++)
		FitShrinkage(&s, advice[s.left_out]);
	for (int64 row = 0; row < card->nrows; row++)
	{
		const double *at = all[1] > 0 ? advice[fold[row]] : all;

		score[row] = at[0] + at[1] * score[row];
		if (outcomes->value == NULL)
			score[row] = Logistic(score[row]);
	}
	/* what is not known yet decreases with the number of rows, and the card is fitted to all */
	return all[1] > 0 ? 1 - (1 - all[1]) * (SCORECARD_FOLDS - 1) / SCORECARD_FOLDS : 0;
}

/* Shrinks the points of the card, keeping the mean of the scores. */
static void
ShrinkPoints(Scorecard *card, const Regression *r)
{
	double *log_odds = palloc_extended(mul_size(card->nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	Shrinkage s = {.log_odds = log_odds,
				   .outcomes = r->outcomes,
				   .fold = r->fold,
				   .left_out = -1,
				   .nrows = card->nrows};
	double lower[2] = {-HUGE_VAL, card->shrinkage};
	double upper[2] = {HUGE_VAL, card->shrinkage};
	NewtonProblem problem = {.n = 2,
							 .function = ShrinkageLoss,
							 .data = &s,
							 .has_hessian = true,
							 .lower = lower,
							 .upper = upper,
							 .tolerance = NEWTON_TOLERANCE,
							 .max_steps = MAX_NEWTON_STEPS};
	double at[2] = {card->intercept, card->shrinkage};
	double gradient[2];
	double loss;

	for (int64 row = 0; row < card->nrows; row++)
		log_odds[row] = LinearScore(r->binning, r->theta, row) - card->intercept;
	(void) Minimize(&problem, at, NULL, &loss, gradient);
	card->intercept = at[0];
	for (int f = 0; f < card->nfeatures + card->npairs; f++)
		for (int b = 0; b < card->features[f].nbins; b++)
			card->features[f].points[b] *= card->shrinkage;
	pfree(log_odds);
}

/* Takes the best prior variance of a cross-validation, if it is better than what the card has. */
static bool
TakeBest(Scorecard *card, const FitData *data, double needed)
{
	double limit = card->quality.log_loss - needed;
	bool taken = false;

	for (int i = data->first; i <= data->last; i++)
	{
		double shrinkage = ShrinkScores(card, data->outcomes, data->fold, data->score[i]);
		ScoreQuality quality = MeasureScores(data->score[i], data->outcomes, card->nrows);

		if (quality.log_loss >= (taken ? card->quality.log_loss : limit))
			continue;
		card->prior_variance = PriorVariances[i];
		card->shrinkage = shrinkage;
		card->quality = quality;
		taken = true;
	}
	return taken;
}

/* The card of all rows with the interactions given. */
static void
FitAllRows(Scorecard *card, FitData *data, const PairSearch *pairs)
{
	Binning *binning = BinAll(card, data->by_fold, data->outcomes, data->fold, -1, pairs);
	Regression r;

	RegressionInit(&r, card, binning, data->outcomes, data->fold, -1);
	SetPrior(&r, card->prior_variance);
	MinimizeLoss(&r);
	FillEmptyBins(binning, r.theta);
	KeepPoints(card, binning, r.theta);
	ShrinkPoints(card, &r);
	RegressionFree(&r);
}

/* Interactions of all rows, if held-out rows are the better for those of the training parts. */
static PairSearch
ChoosePairs(Scorecard *card, FitData *data)
{
	PairSearch pairs = {0};
	int folds = 0;
	Binning *binning;
	Regression r;

	for (int i = 0; i < SCORECARD_FOLDS; i++)
		folds += data->pairs[i].n > 0;
	if (folds * 2 < SCORECARD_FOLDS)
		return pairs;
	/* those beside the best without interactions */
	for (int i = 0; i < PRIOR_VARIANCES; i++)
		if (PriorVariances[i] == card->prior_variance)
		{
			data->first = Max(i - 1, 0);
			data->last = Min(i + 1, PRIOR_VARIANCES - 1);
		}
	CrossValidate(card, data, true);
	if (!TakeBest(card, data, CARD_RATIO / 2 / card->nrows))
		return pairs;
	binning = BinAll(card, data->by_fold, data->outcomes, data->fold, -1, &pairs);
	RegressionInit(&r, card, binning, data->outcomes, data->fold, -1);
	SetPrior(&r, PriorVariances[PAIR_PRIOR]);
	MinimizeLoss(&r);
	FillEmptyBins(binning, r.theta);
	pairs = SearchPairs(card, &r);
	RegressionFree(&r);
	FreeBinning(binning, card);
	return pairs;
}

/*
 * Tries finer bins, of attributes less well proven, and keeps them where held-out rows are clearly
 * the better for them.
 */
static void
RefineBins(Scorecard *card, FitData *data)
{
	for (int fineness = 1; fineness < BIN_FINENESS; fineness++)
	{
		int before = card->outcome.fineness;
		PairSearch pairs[SCORECARD_FOLDS];

		memcpy(pairs, data->pairs, sizeof(pairs));
		card->outcome.fineness = fineness;
		CrossValidate(card, data, false);
		if (TakeBest(card, data, CARD_RATIO / 2 / card->nrows))
			continue;
		card->outcome.fineness = before;
		memcpy(data->pairs, pairs, sizeof(pairs));
	}
}

/* Whether there is little to learn from: few targets or others, or values as uncertain. */
static bool
HasFewTargets(const Scorecard *card)
{
	return (card->outcome.is_value
				? card->nrows / card->outcome.kurtosis
				: Min(card->ntargets, card->nrows - card->ntargets)) <= FEW_TARGETS;
}

void
FitScorecard(Scorecard *card, const Outcomes *outcomes, const uint8 *fold)
{
	FitData data = {.outcomes = outcomes, .fold = fold, .last = PRIOR_VARIANCES - 1};
	PairSearch pairs;

	card->classes = MakePairClasses(card->features, card->nfeatures, card->nrows);
	data.by_fold = palloc(card->nfeatures * sizeof(Tally *));
	for (int f = 0; f < card->nfeatures; f++)
	{
		CHECK_FOR_INTERRUPTS();
		data.by_fold[f] = TallyLevels(&card->features[f], outcomes, fold, card->nrows);
	}
	for (int i = 0; i < PRIOR_VARIANCES; i++)
		data.score[i] = palloc_extended(mul_size(card->nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	CrossValidate(card, &data, false);
	card->quality.log_loss = HUGE_VAL;
	(void) TakeBest(card, &data, 0);
	if (card->shrinkage > 0 && HasFewTargets(card))
		RefineBins(card, &data);
	pairs = ChoosePairs(card, &data);
	for (int i = 0; i < PRIOR_VARIANCES; i++)
		pfree(data.score[i]);
	card->npairs = 0;
	if (card->shrinkage > 0)
		FitAllRows(card, &data, &pairs);
	else if (!card->outcome.is_value)
		/* nothing beats the base rate */
		card->intercept = log((double) card->ntargets / (card->nrows - card->ntargets));
}
