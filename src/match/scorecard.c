/*
 * scorecard.c: the chance that a row is a target, as a sum of points.
 *
 * Logistic regression on one indicator per bin.  The points of a feature have a normal prior around
 * zero with the covariance
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
 *for in what a card without them leaves unexplained, anew in the training part of each fold, and
 *kept if held-out rows are clearly the better for them.
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
#define PAIR_PRIOR 2 /* the prior variance by whose card interactions are looked for */
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
	ClassCount **count;    /* of each feature's bins */
	uint16 *row_parameter; /* rows * nused: which parameter each feature of a row takes */
	double *evidence;      /* of each parameter: its weight of evidence */
} Binning;

/* A regression on a binning: rows of all folds but one. */
typedef struct Regression
{
	const Binning *binning;
	const uint8 *target;
	const uint8 *fold;
	int left_out; /* fold; -1 for none */
	int64 nrows;
	double *theta;
	double *gradient;
	double *prior; /* inverse prior covariance: lower triangle, row by row, square layout */
} Regression;

/* ---------- bins ---------- */

/* Counts of a feature's levels by fold. */
static ClassCount *
CountLevels(const ScorecardFeature *feature, const uint8 *target, const uint8 *fold, int64 nrows)
{
	ClassCount *counts = palloc0(sizeof(ClassCount) * feature->nlevels * SCORECARD_FOLDS);

	for (int64 row = 0; row < nrows; row++)
	{
		ClassCount *count = &counts[fold[row] * feature->nlevels + feature->level[row]];

		if (target[row])
			count->targets++;
		else
			count->others++;
	}
	return counts;
}

/* Counts over all folds but one. */
static void
SumFolds(const ClassCount *by_fold, int nlevels, int left_out, ClassCount *sum)
{
	memset(sum, 0, nlevels * sizeof(ClassCount));
	for (int fold = 0; fold < SCORECARD_FOLDS; fold++)
		if (fold != left_out)
			for (int level = 0; level < nlevels; level++)
			{
				sum[level].others += by_fold[fold * nlevels + level].others;
				sum[level].targets += by_fold[fold * nlevels + level].targets;
			}
}

/* How much missing values alone tell, as a likelihood ratio. */
static double
MissingRatio(const ClassCount *counts, int nbins)
{
	ClassCount split[2] = {counts[0], SumClassCounts(counts + 1, nbins - 1)};

	return LikelihoodRatio(split, 2);
}

/* Bins one feature; leaves nbins 0 where no bin differs from the others. */
static void
BinFeature(const ScorecardFeature *feature, const ClassCount *levels, Binning *binning, int f)
{
	int nlevels = feature->nlevels;
	uint16 *bin = palloc(nlevels * sizeof(uint16));
	ClassCount *counts;
	Bins bins;
	double missing;

	if (feature->ordered)
		bins = BinOrderedLevels(levels + 1, nlevels - 1, bin);
	else
		bins = BinNominalLevels(levels + 1, nlevels - 1, bin);

	binning->bin[f] = palloc0(nlevels);
	binning->count[f] = counts = palloc0((bins.nbins + 1) * sizeof(ClassCount));
	counts[0] = levels[MISSING_LEVEL];
	for (int level = 1; level < nlevels; level++)
	{
		binning->bin[f][level] = bin[level - 1] + 1;
		counts[bin[level - 1] + 1].others += levels[level].others;
		counts[bin[level - 1] + 1].targets += levels[level].targets;
	}
	binning->rare[f] = bins.rare + 1;
	binning->nbins[f] = bins.nbins + 1;
	missing = counts[0].targets + counts[0].others > 0 ? MissingRatio(counts, bins.nbins + 1) : 0;
	binning->p_value[f] = bins.p_value;
	if (missing > 0)
		binning->p_value[f] = Min(1, 2 * Min(bins.p_value, ChiSquareTail(missing, 1)));
	binning->signal[f] = SignalShare(bins.ratio + missing, bins.luck + (missing > 0));
	/* all in one bin: only missing values can make the feature informative */
	if (binning->signal[f] == 0 || (bins.nbins == 1 && missing < TELLING_RATIO))
		binning->nbins[f] = 0;
	pfree(bin);
}

/* The cells of an interaction are bins as they are. */
static void
BinPair(const ScorecardFeature *pair, const Regression *r, double signal, Binning *binning, int f)
{
	binning->nbins[f] = pair->nlevels;
	binning->bin[f] = palloc(pair->nlevels);
	binning->count[f] = palloc0(pair->nlevels * sizeof(ClassCount));
	binning->rare[f] = 0;
	binning->signal[f] = signal;
	for (int cell = 0; cell < pair->nlevels; cell++)
		binning->bin[f][cell] = (uint8) cell;
	for (int64 row = 0; row < r->nrows; row++)
		if (r->fold[row] != r->left_out)
		{
			binning->count[f][pair->level[row]].targets += r->target[row];
			binning->count[f][pair->level[row]].others += !r->target[row];
		}
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
 * Bins every feature by the rows of all folds but one, and assigns every row to
 * its bins.
 */
static Binning *
BinAll(Scorecard *card, ClassCount *const *by_fold, const uint8 *target, const uint8 *fold,
	   int left_out, const PairSearch *pairs)
{
	Binning *binning = palloc0(sizeof(Binning));
	Regression rows = {.target = target, .fold = fold, .left_out = left_out, .nrows = card->nrows};
	int nfeatures = card->nfeatures + SCORECARD_PAIRS;
	int at;

	binning->nparameters = 1;
	SetPairs(card, pairs);

	binning->used = palloc(nfeatures * sizeof(int));
	binning->offset = palloc(nfeatures * sizeof(int));
	binning->nbins = palloc(nfeatures * sizeof(int));
	binning->rare = palloc(nfeatures * sizeof(int));
	binning->signal = palloc(nfeatures * sizeof(double));
	binning->p_value = palloc(nfeatures * sizeof(double));
	binning->bin = palloc(nfeatures * sizeof(uint8 *));
	binning->count = palloc(nfeatures * sizeof(ClassCount *));
	for (int f = 0; f < card->nfeatures; f++)
	{
		const ScorecardFeature *feature = &card->features[f];
		ClassCount *levels = palloc(feature->nlevels * sizeof(ClassCount));

		CHECK_FOR_INTERRUPTS();
		SumFolds(by_fold[f], feature->nlevels, left_out, levels);
		BinFeature(feature, levels, binning, f);
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
	at = binning->nparameters;
	binning->evidence = palloc0(at * sizeof(double));
	binning->row_parameter = palloc_extended(
		mul_size(mul_size(card->nrows, Max(1, binning->nused)), sizeof(uint16)), MCXT_ALLOC_HUGE);
	for (int u = 0; u < binning->nused; u++)
	{
		int f = binning->used[u];
		const uint16 *level = card->features[f].level;
		const uint8 *bin = binning->bin[f];
		int nbins = binning->nbins[f];
		ClassCount total = SumClassCounts(binning->count[f], nbins);
		int filled = 0;

		CHECK_FOR_INTERRUPTS();
		for (int b = 0; b < nbins; b++)
			filled += binning->count[f][b].targets + binning->count[f][b].others > 0;
		for (int b = 0; b < nbins; b++)
			if (binning->count[f][b].targets + binning->count[f][b].others > 0)
				binning->evidence[binning->offset[u] + b] =
					binning->signal[f] * WeightOfEvidence(binning->count[f][b], total, filled);
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
		double score;
		double chance;
		double weight;
		double residual;

		CHECK_FOR_INTERRUPTS();
		if (r->fold[row] == r->left_out)
			continue;
		score = LinearScore(binning, theta, row);
		loss += SoftPlus(score) - (r->target[row] ? score : 0);
		if (!hessian)
			continue;
		chance = Logistic(score);
		residual = chance - r->target[row];
		weight = chance * (1 - chance);
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

/* Sets up a regression on the rows of all folds but one, starting at their log-odds. */
static void
RegressionInit(Regression *r, const Scorecard *card, const Binning *binning, const uint8 *target,
			   const uint8 *fold, int left_out)
{
	int n = binning->nparameters;
	ClassCount total = {0, 0};

	r->binning = binning;
	r->target = target;
	r->fold = fold;
	r->left_out = left_out;
	r->nrows = card->nrows;
	r->theta = palloc0(n * sizeof(double));
	r->gradient = palloc(n * sizeof(double));
	r->prior = palloc(sizeof(double) * n * n);
	for (int64 row = 0; row < card->nrows; row++)
		if (fold[row] != left_out)
		{
			if (target[row])
				total.targets++;
			else
				total.others++;
		}
	r->theta[0] = log((total.targets + 0.5) / (total.others + 0.5));
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
		const ClassCount *count = binning->count[binning->used[u]];
		int nbins = binning->nbins[binning->used[u]];
		double *points = &theta[binning->offset[u]];
		double sum = 0;
		double rows = 0;

		for (int b = 0; b < nbins; b++)
		{
			double size = (double) count[b].targets + count[b].others;

			sum += points[b] * size;
			rows += size;
		}
		for (int b = 0; b < nbins; b++)
			if (count[b].targets + count[b].others == 0)
				points[b] = sum / rows;
	}
}

/* ---------- quality ---------- */

typedef struct ScoredRow
{
	double score;
	uint8 target;
} ScoredRow;

#define ST_SORT SortScoredRows
#define ST_ELEMENT_TYPE ScoredRow
#define ST_COMPARE(a, b)                                                                           \
	((a)->score != (b)->score ? ((a)->score < (b)->score ? -1 : 1)                                 \
							  : (int) (a)->target - (int) (b)->target)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * AUC by the rank sum, ties at their middle rank.  A tie across the border of two deciles is shared
 * in proportion, so that its order does not matter; the numbers of a decile are rounded to whole
 * rows.
 */
ScoreQuality
MeasureScores(const double *score, const uint8 *target, int64 nrows)
{
	ScoreQuality quality = {0};
	ScoredRow *rows = palloc_extended(mul_size(nrows, sizeof(ScoredRow)), MCXT_ALLOC_HUGE);
	double upto[SCORECARD_DECILES + 1] = {0};
	double expected = 0;
	double rank_sum = 0;
	double targets = 0;
	int next = 1;

	for (int64 i = 0; i < nrows; i++)
	{
		rows[i].score = score[i];
		rows[i].target = target[i];
		targets += target[i];
		quality.log_loss -= log(target[i] ? score[i] : 1 - score[i]);
	}
	quality.log_loss /= nrows;
	SortScoredRows(rows, nrows);

	/* from the highest score down, tie by tie */
	for (int64 end = nrows, seen = 0; end > 0;)
	{
		int64 start = end;
		int64 in_tie = 0;
		double before = upto[0];

		while (start > 0 && rows[start - 1].score == rows[end - 1].score)
			in_tie += rows[--start].target;
		rank_sum += in_tie * (start + end + 1) / 2.0;
		for (;
			 next <= SCORECARD_DECILES && next * nrows <= (seen + end - start) * SCORECARD_DECILES;
			 next++)
		{
			int64 border = next * nrows / SCORECARD_DECILES;
			double share = (double) (border - seen) / (end - start);
			ScoreDecile *decile = &quality.decile[next - 1];

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
		quality.decile[d].targets = (int64) rint(upto[d + 1]) - (d > 0 ? (int64) rint(upto[d]) : 0);
		if (d > 0)
			quality.decile[d].expected -= quality.decile[d - 1].expected;
	}
	if (targets > 0 && targets < nrows)
		quality.auc = (rank_sum - targets * (targets + 1) / 2) / (targets * (nrows - targets));
	pfree(rows);
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

	for (int64 row = 0; row < card->nrows; row++)
	{
		double chance = Logistic(LinearScore(r->binning, r->theta, row));

		residual[row] = r->target[row] - chance;
		weight[row] = chance * (1 - chance);
	}
	found = FindPairs(card->features, card->nfeatures, card->classes, &rows);
	pfree(residual);
	pfree(weight);
	return found;
}

/* What a fit needs besides the card. */
typedef struct FitData
{
	ClassCount **by_fold;
	const uint8 *target;
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
		Binning *binning = BinAll(card, data->by_fold, data->target, data->fold, left_out,
								  with_pairs ? &data->pairs[left_out] : &none);
		Regression r;

		RegressionInit(&r, card, binning, data->target, data->fold, left_out);
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
		feature->count = binning->count[f];
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

/* Log-odds of the held-out rows, and how far they are to be trusted: those of all folds but one. */
typedef struct Shrinkage
{
	const double *log_odds;
	const uint8 *target;
	const uint8 *fold;
	int left_out;
	int64 nrows;
} Shrinkage;

/* Negative log-likelihood of the log-odds at[0] + at[1] * log_odds. */
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
		double score = at[0] + at[1] * x;
		double chance;
		double weight;

		CHECK_FOR_INTERRUPTS();
		if (s->fold[row] == s->left_out)
			continue;
		loss += SoftPlus(score) - (s->target[row] ? score : 0);
		if (!hessian)
			continue;
		chance = Logistic(score);
		weight = chance * (1 - chance);
		gradient[0] += chance - s->target[row];
		gradient[1] += (chance - s->target[row]) * x;
		hessian[0] += weight;
		hessian[2] += weight * x;
		hessian[3] += weight * x * x;
	}
	return loss;
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
	ClassCount total = {0, 0};
	double gradient[2];
	double loss;

	for (int64 row = 0; row < s->nrows; row++)
		if (s->fold[row] != s->left_out)
		{
			total.targets += s->target[row];
			total.others += !s->target[row];
		}
	at[0] = 0;
	at[1] = 1;
	(void) Minimize(&problem, at, NULL, &loss, gradient);
	loss = ShrinkageLoss((void *) s, at, NULL, NULL);
	if (2 * (-GroupLogLikelihood(total) - loss) < CARD_RATIO)
	{
		at[0] = log(Max(total.targets, 0.5) / Max(total.others, 0.5));
		at[1] = 0;
	}
}

/*
 * Turns held-out log-odds into probabilities, those of each fold shrunk by the factor of the other
 * folds; returns the factor of all folds.
 */
static double
ShrinkScores(const Scorecard *card, const uint8 *target, const uint8 *fold, double *score)
{
	Shrinkage s = {
		.log_odds = score, .target = target, .fold = fold, .left_out = -1, .nrows = card->nrows};
	double advice[SCORECARD_FOLDS][2];
	double all[2];

	FitShrinkage(&s, all);
	for (s.left_out = 0; s.left_out < SCORECARD_FOLDS; s.left_out++)
		FitShrinkage(&s, advice[s.left_out]);
	for (int64 row = 0; row < card->nrows; row++)
	{
		const double *at = all[1] > 0 ? advice[fold[row]] : all;

		score[row] = Logistic(at[0] + at[1] * score[row]);
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
				   .target = r->target,
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
		double shrinkage = ShrinkScores(card, data->target, data->fold, data->score[i]);
		ScoreQuality quality = MeasureScores(data->score[i], data->target, card->nrows);

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
	Binning *binning = BinAll(card, data->by_fold, data->target, data->fold, -1, pairs);
	Regression r;

	RegressionInit(&r, card, binning, data->target, data->fold, -1);
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
	binning = BinAll(card, data->by_fold, data->target, data->fold, -1, &pairs);
	RegressionInit(&r, card, binning, data->target, data->fold, -1);
	SetPrior(&r, PriorVariances[PAIR_PRIOR]);
	MinimizeLoss(&r);
	FillEmptyBins(binning, r.theta);
	pairs = SearchPairs(card, &r);
	RegressionFree(&r);
	FreeBinning(binning, card);
	return pairs;
}

void
FitScorecard(Scorecard *card, const uint8 *target, const uint8 *fold)
{
	FitData data = {.target = target, .fold = fold, .last = PRIOR_VARIANCES - 1};
	PairSearch pairs;

	card->classes = MakePairClasses(card->features, card->nfeatures, card->nrows);
	data.by_fold = palloc(card->nfeatures * sizeof(ClassCount *));
	for (int f = 0; f < card->nfeatures; f++)
	{
		CHECK_FOR_INTERRUPTS();
		data.by_fold[f] = CountLevels(&card->features[f], target, fold, card->nrows);
	}
	for (int i = 0; i < PRIOR_VARIANCES; i++)
		data.score[i] = palloc_extended(mul_size(card->nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	CrossValidate(card, &data, false);
	card->quality.log_loss = HUGE_VAL;
	(void) TakeBest(card, &data, 0);
	pairs = ChoosePairs(card, &data);
	for (int i = 0; i < PRIOR_VARIANCES; i++)
		pfree(data.score[i]);
	card->npairs = 0;
	if (card->shrinkage > 0)
		FitAllRows(card, &data, &pairs);
	else
		/* nothing beats the base rate */
		card->intercept = log((double) card->ntargets / (card->nrows - card->ntargets));
}
