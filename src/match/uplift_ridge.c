/*
 * uplift_ridge.c: what a treatment changes, as a sum of points.
 *
 * The outcome of a row is response(bins) + (treated - share) * uplift(bins) + noise, both sums of
 * points (Robinson's decomposition; Nie and Wager, Biometrika 108, 2021).  Since the treatment was
 * drawn at random, whatever is wrong with the response only adds noise to the uplift.
 *
 * Points have a normal prior around zero: words are independent, neighbouring ranges differ by the
 * steps of a random walk, such that its level varies as much as a word does and its two ends differ
 * as much as two words do.  The prior's size is chosen on held-out rows, and how far they bear the
 * points out, the shrinkage, as well.  All of it needs only the cross products of the rows by fold,
 * so many fits cost little more than one.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "base/common.h"
#include "base/newton.h"
#include "match/uplift_ridge.h"

#define RESPONSE_PRECISION 100.0 /* points of the response have a standard deviation of a tenth */
#define FOUND_RATIO                                                                                \
	6.6 /* squared z of held-out scores, as CARD_RATIO of scorecard.c: 1 % by chance */

/* 1 / variance of points a priori: from .18 to .006 standard deviations of the outcome */
static const double Precisions[] = {30, 100, 300, 1000, 3000, 10000, 30000};

#define PRECISIONS ((int) lengthof(Precisions))

/* Cross products of rows, by control (0) and treated (1); lower triangles. */
typedef struct CrossProducts
{
	double *gram[2];
	double *moment[2];
} CrossProducts;

/* How held-out scores fit. */
typedef struct HeldOut
{
	double score_effect;  /* sum of score × what it should explain */
	double score_square;  /* sum of score² */
	double effect_square; /* variance of the first sum */
} HeldOut;

/* A fit to all folds but one, and what it says of that fold. */
typedef struct FoldFit
{
	double effect; /* the same for all */
	double *response;
	double *uplift[PRECISIONS];
	HeldOut held_out[PRECISIONS];
	int best;      /* precision */
	double factor; /* of its points; both by what the rows of the other folds say */
} FoldFit;

/* ---------- folds ---------- */

/*
 * The rows of each arm, with and without outcome, in blocks of five, one for each fold, in an order
 * that depends on the repeat only.
 */
static void
DealFolds(const UpliftRows *rows, int repeat, uint8 *fold)
{
	int64 dealt[4] = {0};

	for (int64 i = 0; i < rows->nrows; i++)
	{
		int kind = 2 * rows->treated[i] + (rows->outcome[i] != 0);
		int64 block = dealt[kind] / UPLIFT_FOLDS;
		uint64 hash = MixHash64(((uint64) block * 4 + kind) * UPLIFT_REPEATS + repeat + 1);
		uint8 order[UPLIFT_FOLDS];

		for (int k = 0; k < UPLIFT_FOLDS; k++)
		{
			int other = (int) (hash % (k + 1));

			order[k] = order[other];
			order[other] = (uint8) k;
			hash /= k + 1;
		}
		fold[i] = order[dealt[kind]++ % UPLIFT_FOLDS];
	}
}

/* ---------- cross products ---------- */

static void
MakeCrossProducts(CrossProducts *sums, int n)
{
	for (int arm = 0; arm < 2; arm++)
	{
		sums->gram[arm] = palloc_extended(mul_size(mul_size(n, n), sizeof(double)),
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		sums->moment[arm] = palloc0(n * sizeof(double));
	}
}

static void
FreeCrossProducts(CrossProducts *sums)
{
	for (int arm = 0; arm < 2; arm++)
	{
		pfree(sums->gram[arm]);
		pfree(sums->moment[arm]);
	}
}

static void
AddToCrossProducts(CrossProducts *sums, const UpliftRows *rows, int64 row)
{
	const uint16 *parameter = &rows->parameter[row * rows->nfeatures];
	int arm = rows->treated[row];
	double *gram = sums->gram[arm];
	double *moment = sums->moment[arm];
	double outcome = rows->outcome[row];

	gram[0]++;
	moment[0] += outcome;
	for (int f = 0; f < rows->nfeatures; f++)
	{
		double *line = &gram[(Size) parameter[f] * rows->nparameters];

		line[0]++;
		moment[parameter[f]] += outcome;
		for (int g = 0; g <= f; g++)
			line[parameter[g]]++;
	}
}

/* Adds `factor` times the one to the other. */
static void
CombineCrossProducts(CrossProducts *to, const CrossProducts *from, double factor, int n)
{
	for (int arm = 0; arm < 2; arm++)
		for (int i = 0; i < n; i++)
		{
			Size line = (Size) i * n;

			to->moment[arm][i] += factor * from->moment[arm][i];
			for (int k = 0; k <= i; k++)
				to->gram[arm][line + k] += factor * from->gram[arm][line + k];
		}
}

/* y = matrix x of a symmetric matrix. */
static void
MultiplySymmetric(const double *matrix, const double *x, double *y, int n)
{
	memset(y, 0, n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		const double *line = &matrix[(Size) i * n];

		for (int k = 0; k < i; k++)
		{
			y[i] += line[k] * x[k];
			y[k] += line[k] * x[i];
		}
		y[i] += line[i] * x[i];
	}
}

/* ---------- fits ---------- */

/* Adds the inverse of the prior's covariance. */
static void
AddPrior(const UpliftRows *rows, double precision, double *matrix)
{
	int n = rows->nparameters;

	for (int f = 0; f < rows->nfeatures; f++)
	{
		int first = rows->offset[f];
		int nbins = rows->nbins[f];
		double ranges = nbins - 1;

		for (int i = first; i < first + nbins; i++)
			matrix[(Size) i * n + i] +=
				rows->ordered[f] && i > first ? precision / ranges : precision;
		for (int i = first + 2; rows->ordered[f] && i < first + nbins; i++)
		{
			matrix[(Size) i * n + i] += precision * ranges / 2;
			matrix[(Size) i * n + i - 1] -= precision * ranges / 2;
			matrix[(Size) (i - 1) * n + i - 1] += precision * ranges / 2;
		}
	}
}

/* Solves (gram of both arms, so weighted, + prior) x = b, in place. */
static void
SolveRidge(const UpliftRows *rows, const CrossProducts *sums, double of_control, double of_treated,
		   double precision, double *b)
{
	int n = rows->nparameters;
	double *matrix = palloc_extended(mul_size(mul_size(n, n), sizeof(double)), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		for (int k = 0; k <= i; k++)
		{
			Size at = (Size) i * n + k;

			matrix[at] = of_control * sums->gram[0][at] + of_treated * sums->gram[1][at];
		}
	AddPrior(rows, precision, matrix);
	(void) DampedCholeskyFactor(matrix, matrix, n);
	CholeskySolve(matrix, b, n);
	pfree(matrix);
}

/* Response, and what is left of the outcome for the uplift to explain. */
static double *
FitResponse(const UpliftRows *rows, const CrossProducts *sums, double *response)
{
	int n = rows->nparameters;
	double share = rows->share;
	double *left = palloc(n * sizeof(double));
	double *explained[2];

	for (int i = 0; i < n; i++)
		response[i] = sums->moment[0][i] + sums->moment[1][i];
	SolveRidge(rows, sums, 1, 1, RESPONSE_PRECISION, response);
	for (int arm = 0; arm < 2; arm++)
	{
		explained[arm] = palloc(n * sizeof(double));
		MultiplySymmetric(sums->gram[arm], response, explained[arm], n);
	}
	for (int i = 0; i < n; i++)
		left[i] = (1 - share) * (sums->moment[1][i] - explained[1][i]) -
				  share * (sums->moment[0][i] - explained[0][i]);
	pfree(explained[0]);
	pfree(explained[1]);
	return left;
}

static void
FitUpliftPoints(const UpliftRows *rows, const CrossProducts *sums, double precision,
				const double *left, double *uplift)
{
	double share = rows->share;

	memcpy(uplift, left, rows->nparameters * sizeof(double));
	SolveRidge(rows, sums, share * share, (1 - share) * (1 - share), precision, uplift);
}

/* The effect if it is the same for all. */
static double
CommonEffect(const UpliftRows *rows, const CrossProducts *sums, const double *left)
{
	double share = rows->share;

	return left[0] /
		   (share * share * sums->gram[0][0] + (1 - share) * (1 - share) * sums->gram[1][0]);
}

static void
FitFold(const UpliftRows *rows, const CrossProducts *sums, FoldFit *fit)
{
	double *left;

	fit->response = palloc(rows->nparameters * sizeof(double));
	left = FitResponse(rows, sums, fit->response);
	fit->effect = CommonEffect(rows, sums, left);
	for (int i = 0; i < PRECISIONS; i++)
	{
		fit->uplift[i] = palloc(rows->nparameters * sizeof(double));
		FitUpliftPoints(rows, sums, Precisions[i], left, fit->uplift[i]);
	}
	pfree(left);
}

/* Fits to all folds but each. */
static void
FitFolds(const UpliftRows *rows, const uint8 *fold, FoldFit *fits)
{
	int n = rows->nparameters;
	CrossProducts by_fold[UPLIFT_FOLDS];
	CrossProducts sums;

	MakeCrossProducts(&sums, n);
	for (int k = 0; k < UPLIFT_FOLDS; k++)
		MakeCrossProducts(&by_fold[k], n);
	for (int64 row = 0; row < rows->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		AddToCrossProducts(&by_fold[fold[row]], rows, row);
	}
	for (int k = 0; k < UPLIFT_FOLDS; k++)
		CombineCrossProducts(&sums, &by_fold[k], 1, n);
	for (int k = 0; k < UPLIFT_FOLDS; k++)
	{
		CombineCrossProducts(&sums, &by_fold[k], -1, n);
		FitFold(rows, &sums, &fits[k]);
		CombineCrossProducts(&sums, &by_fold[k], 1, n);
		FreeCrossProducts(&by_fold[k]);
	}
	FreeCrossProducts(&sums);
}

/* ---------- held-out rows ---------- */

static inline double
SumOfPoints(const UpliftRows *rows, const double *points, int64 row)
{
	const uint16 *parameter = &rows->parameter[row * rows->nfeatures];
	double sum = points[0];

	for (int f = 0; f < rows->nfeatures; f++)
		sum += points[parameter[f]];
	return sum;
}

static void
MeasureHeldOut(const UpliftRows *rows, const uint8 *fold, FoldFit *fits)
{
	for (int64 row = 0; row < rows->nrows; row++)
	{
		FoldFit *fit = &fits[fold[row]];
		double treatment = rows->treated[row] - rows->share;
		double residual =
			rows->outcome[row] - SumOfPoints(rows, fit->response, row) - treatment * fit->effect;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < PRECISIONS; i++)
		{
			double score = treatment * (SumOfPoints(rows, fit->uplift[i], row) - fit->effect);

			fit->held_out[i].score_effect += score * residual;
			fit->held_out[i].score_square += score * score;
			fit->held_out[i].effect_square += score * score * residual * residual;
		}
	}
}

/* Adds what all folds but one say; -1 for none. */
static void
SumHeldOut(const FoldFit *fits, int left_out, HeldOut *sum)
{
	for (int k = 0; k < UPLIFT_FOLDS; k++)
		for (int i = 0; i < PRECISIONS && k != left_out; i++)
		{
			sum[i].score_effect += fits[k].held_out[i].score_effect;
			sum[i].score_square += fits[k].held_out[i].score_square;
			sum[i].effect_square += fits[k].held_out[i].effect_square;
		}
}

/* The factor, 0 to 1, that fits held-out scores best. */
static double
HeldOutFactor(const HeldOut *h)
{
	return h->score_effect > 0 ? Min(1, h->score_effect / h->score_square) : 0;
}

/* Whether chance does not explain what the scores gain. */
static bool
IsFound(const HeldOut *h)
{
	return h->score_effect > 0 &&
		   h->score_effect * h->score_effect > UPLIFT_REPEATS * FOUND_RATIO * h->effect_square;
}

/* The precision whose scores, so shrunk, leave the least to be explained. */
static int
BestPrecision(const HeldOut *held_out)
{
	double most = -1;
	int best = 0;

	for (int i = 0; i < PRECISIONS; i++)
	{
		double factor = HeldOutFactor(&held_out[i]);
		double gain = factor * (2 * held_out[i].score_effect - factor * held_out[i].score_square);

		if (gain > most)
		{
			most = gain;
			best = i;
		}
	}
	return best;
}

/* Precision and factor of each fold, which its own rows have no say in. */
static void
ChooseByOtherFolds(FoldFit *fits)
{
	for (int k = 0; k < UPLIFT_FOLDS; k++)
	{
		HeldOut others[PRECISIONS] = {{0}};

		SumHeldOut(fits, k, others);
		fits[k].best = BestPrecision(others);
		fits[k].factor = HeldOutFactor(&others[fits[k].best]);
	}
}

/* ---------- quality ---------- */

/* A held-out row. */
typedef struct ScoredRow
{
	double score;
	uint64 tie;
	int64 row;
	uint8 fold;
} ScoredRow;

/* Fold by fold, the highest score first: scores of different fits are not compared. */
static inline int
CompareScores(const ScoredRow *a, const ScoredRow *b)
{
	if (a->fold != b->fold)
		return (int) a->fold - (int) b->fold;
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	if (a->tie != b->tie)
		return a->tie < b->tie ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

#define ST_SORT SortScores
#define ST_ELEMENT_TYPE ScoredRow
#define ST_COMPARE(a, b) CompareScores(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sums of the outcome in both arms. */
typedef struct ArmSums
{
	double rows[2];
	double sum[2];
	double squares[2];
} ArmSums;

static inline void
AddToArms(ArmSums *arms, int treated, double outcome)
{
	arms->rows[treated]++;
	arms->sum[treated] += outcome;
	arms->squares[treated] += outcome * outcome;
}

/* Difference of the means, with Welch's standard error; 0 and 0 where an arm has too few rows. */
static Estimate
DifferenceOfMeans(const ArmSums *arms)
{
	Estimate d = {0, 0};
	double variance = 0;

	if (arms->rows[0] < 2 || arms->rows[1] < 2)
		return d;
	for (int arm = 0; arm < 2; arm++)
	{
		double mean = arms->sum[arm] / arms->rows[arm];

		d.value += arm ? mean : -mean;
		variance +=
			Max(0, arms->squares[arm] / arms->rows[arm] - mean * mean) / (arms->rows[arm] - 1);
	}
	d.error = sqrt(variance);
	return d;
}

/* Sums over the rows in order of their held-out scores. */
typedef struct RankedSums
{
	ArmSums top10;
	ArmSums top30;
	ArmSums decile[UPLIFT_DECILES];
	double expected[UPLIFT_DECILES];
	double qini;
	double qini_square;
	double auuc;
	double auuc_square;
} RankedSums;

/*
 * `place` is the share of the fold's rows before this one.  A row stands for the effect
 * residual / ± its arm's share (inverse probability weighting), around the common effect.
 */
static void
AddRanked(RankedSums *sums, const UpliftRows *rows, const FoldFit *fit, int64 row, double place,
		  double score)
{
	int treated = rows->treated[row];
	double outcome = rows->outcome[row];
	double residual = outcome - SumOfPoints(rows, fit->response, row);
	double effect = residual / (treated - 1 + rows->share);
	double around = effect - fit->effect;
	int decile = Min(UPLIFT_DECILES - 1, (int) (place * UPLIFT_DECILES));

	if (place < 0.1)
		AddToArms(&sums->top10, treated, outcome);
	if (place < 0.3)
		AddToArms(&sums->top30, treated, outcome);
	AddToArms(&sums->decile[decile], treated, outcome);
	sums->expected[decile] += score;
	sums->qini += effect * (0.5 - place);
	sums->qini_square += around * around * (0.5 - place) * (0.5 - place);
	sums->auuc += effect * (1 - place);
	sums->auuc_square += around * around * (1 - place) * (1 - place);
}

/* The rows of each fold by the points of the fits to the others. */
static void
RankRows(const UpliftRows *rows, const uint8 *fold, const FoldFit *fits, bool by_response,
		 ScoredRow *ranked, RankedSums *sums)
{
	memset(sums, 0, sizeof(RankedSums));
	for (int64 row = 0; row < rows->nrows; row++)
	{
		const FoldFit *fit = &fits[fold[row]];
		double score;

		CHECK_FOR_INTERRUPTS();
		if (by_response)
			score = SumOfPoints(rows, fit->response, row);
		else
			score = fit->effect +
					fit->factor * (SumOfPoints(rows, fit->uplift[fit->best], row) - fit->effect);
		ranked[row] = (ScoredRow){score, rows->tie[row], row, fold[row]};
	}
	SortScores(ranked, rows->nrows);
	for (int64 start = 0, end; start < rows->nrows; start = end)
	{
		for (end = start; end < rows->nrows && ranked[end].fold == ranked[start].fold; end++)
			;
		for (int64 i = start; i < end; i++)
			AddRanked(sums, rows, &fits[ranked[i].fold], ranked[i].row,
					  (i - start + 0.5) / (end - start), ranked[i].score);
	}
}

/* The mean over the repeats, of values and of errors: the rows are the same in each. */
static inline void
AddRepeat(Estimate *mean, double value, double error)
{
	mean->value += value / UPLIFT_REPEATS;
	mean->error += error / UPLIFT_REPEATS;
}

static inline void
AddDifference(Estimate *mean, const ArmSums *arms)
{
	Estimate d = DifferenceOfMeans(arms);

	AddRepeat(mean, d.value, d.error);
}

static void
AddQuality(UpliftQuality *quality, const RankedSums *sums, double nrows)
{
	AddRepeat(&quality->qini, sums->qini / nrows, sqrt(sums->qini_square) / nrows);
	AddRepeat(&quality->auuc, sums->auuc / nrows, sqrt(sums->auuc_square) / nrows);
	AddDifference(&quality->top10, &sums->top10);
	AddDifference(&quality->top30, &sums->top30);
	for (int d = 0; d < UPLIFT_DECILES; d++)
	{
		double in_decile = sums->decile[d].rows[0] + sums->decile[d].rows[1];

		AddDifference(&quality->decile[d].uplift, &sums->decile[d]);
		if (in_decile > 0)
			quality->decile[d].expected += sums->expected[d] / in_decile / UPLIFT_REPEATS;
	}
}

static void
MeasureUplift(const UpliftRows *rows, FoldFit (*fits)[UPLIFT_FOLDS], UpliftQuality *quality)
{
	uint8 *fold = palloc_extended(rows->nrows, MCXT_ALLOC_HUGE);
	ScoredRow *ranked = palloc_extended(mul_size(rows->nrows, sizeof(ScoredRow)), MCXT_ALLOC_HUGE);

	memset(quality, 0, sizeof(UpliftQuality));
	for (int repeat = 0; repeat < UPLIFT_REPEATS; repeat++)
	{
		RankedSums sums;

		DealFolds(rows, repeat, fold);
		RankRows(rows, fold, fits[repeat], false, ranked, &sums);
		AddQuality(quality, &sums, rows->nrows);
		RankRows(rows, fold, fits[repeat], true, ranked, &sums);
		AddDifference(&quality->response30, &sums.top30);
	}
	pfree(ranked);
	pfree(fold);
}

/* ---------- the fit ---------- */

/* Points against the average row, none for bins without rows. */
static void
CentrePoints(const UpliftRows *rows, const CrossProducts *sums, double *points)
{
	for (int f = 0; f < rows->nfeatures; f++)
	{
		double mean = 0;

		for (int pass = 0; pass < 2; pass++)
			for (int i = rows->offset[f]; i < rows->offset[f] + rows->nbins[f]; i++)
			{
				Size diagonal = (Size) i * rows->nparameters + i;
				double count = sums->gram[0][diagonal] + sums->gram[1][diagonal];

				if (pass == 0)
					mean += points[i] * count / rows->nrows;
				else
					points[i] = count > 0 ? points[i] - mean : 0;
			}
		points[0] += mean;
	}
}

/* The points, by all rows. */
static void
FitPoints(const UpliftRows *rows, double precision, UpliftFit *fit)
{
	CrossProducts sums;
	double *left;

	MakeCrossProducts(&sums, rows->nparameters);
	for (int64 row = 0; row < rows->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		AddToCrossProducts(&sums, rows, row);
	}
	fit->response = palloc(rows->nparameters * sizeof(double));
	fit->uplift = palloc(rows->nparameters * sizeof(double));
	left = FitResponse(rows, &sums, fit->response);
	FitUpliftPoints(rows, &sums, precision, left, fit->uplift);
	CentrePoints(rows, &sums, fit->response);
	CentrePoints(rows, &sums, fit->uplift);
	/* the response was that of the average treatment */
	for (int i = 0; i < rows->nparameters; i++)
	{
		if (i > 0)
			fit->uplift[i] *= fit->shrinkage;
		fit->response[i] -= rows->share * fit->uplift[i];
	}
	pfree(left);
	FreeCrossProducts(&sums);
}

void
FitUplift(const UpliftRows *rows, UpliftFit *fit)
{
	FoldFit fits[UPLIFT_REPEATS][UPLIFT_FOLDS] = {0};
	HeldOut held_out[PRECISIONS] = {{0}};
	uint8 *fold = palloc_extended(rows->nrows, MCXT_ALLOC_HUGE);
	int best;
	bool found;
	double factor;

	for (int repeat = 0; repeat < UPLIFT_REPEATS; repeat++)
	{
		DealFolds(rows, repeat, fold);
		FitFolds(rows, fold, fits[repeat]);
		MeasureHeldOut(rows, fold, fits[repeat]);
		ChooseByOtherFolds(fits[repeat]);
		SumHeldOut(fits[repeat], -1, held_out);
	}
	pfree(fold);
	best = BestPrecision(held_out);
	found = IsFound(&held_out[best]);
	factor = HeldOutFactor(&held_out[best]);
	fit->prior_deviation = 1 / sqrt(Precisions[best]);
	/* what is not known yet decreases with the number of rows, and the points are fitted to all */
	fit->shrinkage = found ? 1 - (1 - factor) * (UPLIFT_FOLDS - 1) / UPLIFT_FOLDS : 0;
	MeasureUplift(rows, fits, &fit->quality);
	FitPoints(rows, Precisions[best], fit);
}
