/*
 * two_samples.c: comparing the customers of two groups, by shares and by means.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "base/special_functions.h"
#include "base/two_samples.h"

double
NormalTwoSided(double z)
{
	return erfc(fabs(z) * M_SQRT1_2);
}

double
TwoProportionZ(Share a, Share b)
{
	double pooled = (a.successes + b.successes) / (a.members + b.members);
	double variance = pooled * (1 - pooled) * (1 / a.members + 1 / b.members);

	return variance > 0 ? (a.successes / a.members - b.successes / b.members) / sqrt(variance)
						: NAN;
}

double
SmallestExpected(Share a, Share b)
{
	double successes = a.successes + b.successes;
	double members = a.members + b.members;

	return Min(a.members, b.members) * (Min(successes, members - successes) / members);
}

/* ---------- Fisher's exact test ---------- */

/* The tables with the margins of one, by their successes of the first group. */
typedef struct Margins
{
	double first;     /* members of the first group */
	double second;    /* and of the second */
	double successes; /* of both */
} Margins;

/* How much likelier k + 1 successes are than k. */
static inline double
NextRatio(const Margins *m, double k)
{
	return (m->first - k) * (m->successes - k) / ((k + 1) * (m->second - m->successes + k + 1));
}

/*
 * Sums the chances, in units of the likeliest table's, from `mode` on in one direction, until they
 * vanish: all of them, and those up to `limit`.  Returns the chance at `stop`, 0 if it vanished
 * before.
 */
static double
SumChances(const Margins *m, double mode, int direction, double limit, double stop, double *all,
		   double *unlikely)
{
	double at_stop = stop == mode ? 1 : 0;
	double chance = 1;

	for (double k = mode;; k += direction)
	{
		double next = k + direction;

		if (next < Max(0.0, m->successes - m->second) || next > Min(m->first, m->successes))
			break;
		chance = direction > 0 ? chance * NextRatio(m, k) : chance / NextRatio(m, next);
		if (chance < DBL_MIN)
			break;
		*all += chance;
		if (chance <= limit)
			*unlikely += chance;
		if (next == stop)
			at_stop = chance;
	}
	return at_stop;
}

/* Fisher's two-sided test, less a share of the chance of this table itself. */
static double
FisherTwoSided(Share a, Share b, double less)
{
	Margins m = {a.members, b.members, a.successes + b.successes};
	double mode = floor((m.first + 1) * (m.successes + 1) / (m.first + m.second + 2));
	int direction = a.successes >= mode ? 1 : -1;
	double all = 0;
	double unlikely = 0;
	double here = SumChances(&m, mode, direction, 0, a.successes, &all, &unlikely);
	double limit = here * (1 + 1e-7);

	all = 1;
	unlikely = limit >= 1 ? 1 : 0;
	(void) SumChances(&m, mode, 1, limit, -1, &all, &unlikely);
	(void) SumChances(&m, mode, -1, limit, -1, &all, &unlikely);
	return Min(1.0, (unlikely - less * here) / all);
}

double
FisherExact(Share a, Share b)
{
	return FisherTwoSided(a, b, 0);
}

double
FisherMidP(Share a, Share b)
{
	return FisherTwoSided(a, b, 0.5);
}

/* ---------- Newcombe's interval ---------- */

/* Wilson's score interval of a share. */
static Bounds
WilsonInterval(Share s, double z)
{
	double whole = s.members + z * z;
	double centre = (s.successes + z * z / 2) / whole;
	double half = z * sqrt(s.successes * (s.members - s.successes) / s.members + z * z / 4) / whole;

	return (Bounds){Max(0.0, centre - half), Min(1.0, centre + half)};
}

Bounds
NewcombeInterval(Share a, Share b, double level)
{
	double z = NormalQuantileOfLevel(level);
	double rate_a = a.successes / a.members;
	double rate_b = b.successes / b.members;
	Bounds of_a = WilsonInterval(a, z);
	Bounds of_b = WilsonInterval(b, z);

	return (Bounds){rate_a - rate_b - hypot(rate_a - of_a.lower, of_b.upper - rate_b),
					rate_a - rate_b + hypot(of_a.upper - rate_a, rate_b - of_b.lower)};
}

/* ---------- Student's t ---------- */

/*
 * The continued fraction of the incomplete beta function, by Lentz, for
 * x < (a + 1) / (a + b + 2).
 */
static double
BetaFraction(double a, double b, double x)
{
	double c = 1;
	double d = 1 / (1 - (a + b) * x / (a + 1));
	double h = d;

	for (int m = 1; m < 100000; m++)
	{
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 / (1 + even * d);
		c = 1 + even / c;
		h *= d * c;
		d = 1 / (1 + odd * d);
		c = 1 + odd / c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < DBL_EPSILON)
			break;
	}
	return h;
}

double
StudentTwoSided(double t, double df)
{
	double square = t * t;
	double a = df / 2;
	double x = df / (df + square);
	/* x^a (1 - x)^(1/2) / B(a, 1/2) */
	double scale =
		exp(LogGammaRatio(a, 0.5) - a * log1p(square / df)) * sqrt(square / (df + square) / M_PI);

	if (isinf(square))
		return 0;
	if (x < (a + 1) / (a + 2.5))
		return scale * BetaFraction(a, 0.5, x) / a;
	return 1 - scale * BetaFraction(0.5, a, 1 - x) / 0.5;
}

double
StudentQuantileOfLevel(double level, double df)
{
	double t = NormalQuantileOfLevel(level);

	/* Newton's method from below: the tail is convex, so no step goes too far */
	for (int i = 0; i < 200; i++)
	{
		double density =
			exp(LogGammaRatio(df / 2, 0.5) - (df + 1) / 2 * log1p(t * t / df)) / sqrt(M_PI * df);
		double step = (StudentTwoSided(t, df) - (1 - level)) / (2 * density);

		t += step;
		if (fabs(step) <= 1e-14 * t)
			break;
	}
	return t;
}

/* ---------- power ---------- */

double
TwoProportionPower(double rate_a, double members_a, double rate_b, double members_b, double level)
{
	double pooled = (rate_a * members_a + rate_b * members_b) / (members_a + members_b);
	double under_none = sqrt(pooled * (1 - pooled) * (1 / members_a + 1 / members_b));
	double under_this = sqrt(rate_a * (1 - rate_a) / members_a + rate_b * (1 - rate_b) / members_b);
	double reach = fabs(rate_a - rate_b) - NormalQuantileOfLevel(level) * under_none;

	if (under_this == 0)
		return reach > 0 ? 1 : 0;
	return erfc(-reach / under_this * M_SQRT1_2) / 2;
}
