/*
 * phases.c: regular buyers, whose gaps between purchases are Erlang-k.
 */
#include "postgres.h"

#include <complex.h>
#include <math.h>

#include "base/special_functions.h"
#include "clv/phases.h"

void
SetPhases(PhaseTable *table, int regularity, double shape)
{
	double slope = 0; /* derivative of ln (A)_j by A */

	table->regularity = regularity;
	table->shape = shape;
	table->term[0] = 1;
	table->slope[0] = 0;
	for (int j = 1; j < regularity; j++)
	{
		slope += 1 / (shape + j - 1);
		table->term[j] = table->term[j - 1] * (shape + j - 1) / j;
		table->slope[j] = table->term[j] * slope;
	}
}

double
LogPhaseSum(int regularity, double shape, double q)
{
	double term = 1;
	double sum = 0;

	for (int j = 0; j < regularity; j++)
	{
		sum += term;
		term *= q * (shape + j) / (j + 1);
	}
	return log(sum);
}

double
PhaseMean(int regularity, double shape, double q, const double *values)
{
	double term = 1;
	double sum = 0;
	double mean = 0;

	for (int j = 0; j < regularity; j++)
	{
		sum += term;
		mean += term * values[j];
		term *= q * (shape + j) / (j + 1);
	}
	return mean / sum;
}

/*
 * Σ over n of P(N = n) D(m), m the purchases among n events, D(m) = Σ over i < m of E[(1-p)^i].  As
 * in DropoutSeries, all terms are positive.
 */
static double
RegularSeries(int k, int phase, double shape, double ratio, double a, double b, int terms)
{
	double z = ratio / (1 + ratio);
	double probability = exp(-shape * log1p(ratio));
	double survival = 1;  /* E[(1-p)^m] */
	double purchases = 0; /* D(m) */
	double sum = 0;
	int next = k - phase; /* event that is a purchase */
	int m = 0;

	for (int n = 1; n <= terms; n++)
	{
		double term;

		if (n == next)
		{
			purchases += survival;
			survival *= (b + m) / (a + b + m);
			m++;
			next += k;
		}
		probability *= z * (shape + (n - 1)) / n;
		term = probability * purchases;
		sum += term;
		if (n > shape * ratio && n >= k && term * (1 + ratio) < 1e-15 * sum)
			break;
	}
	return sum;
}

/* ln((1 - e^-y) / y) */
static inline double
LogMeanDecay(double y)
{
	return y < 1e-3 ? -y / 2 + y * y / 24 : log(-expm1(-y) / y);
}

/* P(from <= N < to), for bounds of a few phases. */
static double
CountProbability(double shape, double ratio, int from, int to)
{
	double z = ratio / (1 + ratio);
	double probability = exp(-shape * log1p(ratio));
	double sum = 0;

	for (int n = 0; n < to; n++)
	{
		if (n >= from)
			sum += probability;
		probability *= z * (shape + n) / (n + 1);
	}
	return sum;
}

typedef struct RegularPurchases
{
	int k;
	int phase;
	double shape;
	double ratio;
	/* ω^l and ω^(l (phase+1)) for l = 1 … k/2; the other half are their conjugates */
	double complex root[MAX_REGULARITY / 2 + 1];
	double complex turn[MAX_REGULARITY / 2 + 1];
} RegularPurchases;

#define ALMOST_SURE 15.0 /* logit of p above which purchases after the second do not count */
#define VANISHING -80.0  /* log of a term that does not count, whatever p */

/*
 * Given p, logit p = s: (1 - G) / p purchases, G = E[(1-p)^m].  m is the whole part of events over
 * k, which the k-th roots of unity pick out of the generating function (1 + ratio (1 - u))^-shape
 * of N: with z = (1-p)^(1/k), u = z ω^l,
 *
 *     G = 1/k Σ over l of u^(phase+1) p / ((1-p) (1-u)) (1 + ratio (1-u))^-shape.
 *
 * The term of l = 0 is close to 1 for small p, so its log is taken.
 */
static double
PurchasesGiven(double s, const void *given)
{
	const RegularPurchases *purchases = given;
	int k = purchases->k;
	int phase = purchases->phase;
	double shape = purchases->shape;
	double ratio = purchases->ratio;
	double p = Logistic(s);
	double y = SoftPlus(s); /* -ln(1 - p) */
	double z = exp(-y / k);
	double back = exp(y * (k - 1 - phase) / k); /* z^(phase+1) / (1-p) */
	double first;
	double others = 0;

	if (s > ALMOST_SURE)
		return (1 - CountProbability(shape, ratio, 0, k - phase) -
				exp(-y) * CountProbability(shape, ratio, k - phase, 2 * k - phase)) /
			   p;
	first = y * (k - 1 - phase) / k + LogMeanDecay(y) - LogMeanDecay(y / k) -
			shape * log1p(ratio * -expm1(-y / k));
	for (int l = 1; 2 * l <= k; l++)
	{
		double complex rest = 1 - z * purchases->root[l];
		double squared = creal(rest) * creal(rest) + cimag(rest) * cimag(rest);
		/* of (1 + ratio rest)^-shape */
		double size = -shape / 2 * log1p(ratio * (2 * creal(rest) + ratio * squared));
		double angle;
		double complex factor;

		if (size < VANISHING)
			continue;
		angle = -shape * atan2(ratio * cimag(rest), 1 + ratio * creal(rest));
		factor = purchases->turn[l] * conj(rest);
		others += (2 * l == k ? 1 : 2) * back / k * exp(size) / squared *
				  (creal(factor) * cos(angle) - cimag(factor) * sin(angle));
	}
	return -expm1(first) / p - others;
}

double
RegularPurchasesUntilDropout(int regularity, int phase, double shape, double ratio, double a,
							 double b)
{
	RegularPurchases purchases = {regularity, phase, shape, ratio};
	double terms = 2 * shape * ratio + 40 * (1 + ratio) + 20 * sqrt(shape * ratio * (1 + ratio));

	if (ratio <= 0)
		return 0;
	if (terms < 4000 && shape * log1p(ratio) < 600)
		return RegularSeries(regularity, phase, shape, ratio, a, b, 4 * (int) terms);
	for (int l = 1; 2 * l <= regularity; l++)
	{
		double angle = 2 * M_PI * l / regularity;

		purchases.root[l] = cos(angle) + _Complex_I * sin(angle);
		purchases.turn[l] = cos(angle * (phase + 1)) + _Complex_I * sin(angle * (phase + 1));
	}
	/* p hardly varies */
	if (Min(a, b) > 1e8)
		return PurchasesGiven(log(a / b), &purchases);
	return MeanOverBeta(a, b, -log1p(shape * ratio) - 25, PurchasesGiven, &purchases);
}
