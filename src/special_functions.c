/*
 * special_functions.c: the special functions that libm lacks.
 */
#include "postgres.h"

#include <math.h>

#include "special_functions.h"

#define STIRLING_FROM 100.0 /* from here on three terms of Stirling's series are exact */
#define DIGAMMA_FROM 10.0
#define SHORT_PRODUCT 16

/* ln Γ(z) - (z - 1/2) ln z + z - ln(2π)/2 */
static double
StirlingRest(double z)
{
	double i = 1 / z;
	double i2 = i * i;

	return i * (1.0 / 12 - i2 * (1.0 / 360 - i2 / 1260));
}

double
LogGammaRatio(double a, double n)
{
	if (n <= SHORT_PRODUCT && n == floor(n))
	{
		double product = 1;

		/* a is at most 1e15 or so: sixteen factors stay in range */
		for (int i = 0; i < (int) n; i++)
			product *= a + i;
		if (product > 1e-290 && product < 1e290)
			return log(product);
	}
	if (a >= STIRLING_FROM)
		return (a + n - 0.5) * log1p(n / a) + n * (log(a) - 1) + StirlingRest(a + n) -
			   StirlingRest(a);
	return lgamma(a + n) - lgamma(a);
}

/* ψ(z) - ln z for z >= DIGAMMA_FROM */
static double
DigammaRest(double z)
{
	double i2 = 1 / (z * z);

	return -0.5 / z -
		   i2 * (1.0 / 12 - i2 * (1.0 / 120 - i2 * (1.0 / 252 - i2 * (1.0 / 240 - i2 / 132))));
}

double
DigammaDifference(double a, double n)
{
	double below = 0;
	double b = a + n;

	if (n <= SHORT_PRODUCT && n == floor(n))
	{
		for (int i = 0; i < (int) n; i++)
			below += 1 / (a + i);
		return below;
	}
	for (; a < DIGAMMA_FROM; a += 1)
		below += 1 / a;
	for (; b < DIGAMMA_FROM; b += 1)
		below -= 1 / b;
	return below + log1p((b - a) / a) + DigammaRest(b) - DigammaRest(a);
}

double
NormalQuantileOfLevel(double level)
{
	double tail = 1 - level;
	double z = 1;

	/* erfc is convex here: Newton's steps from the left never pass the root */
	for (int i = 0; i < 100; i++)
	{
		double step = (erfc(z * M_SQRT1_2) - tail) / (sqrt(2 / M_PI) * exp(-z * z / 2));

		z += step;
		if (z < 0)
			z = 0;
		if (fabs(step) < 1e-12)
			break;
	}
	return z;
}

/* Gauss-Legendre nodes and weights on [-1, 1]; they are symmetric. */
#define GAUSS_PAIRS 4
static const double GaussNode[GAUSS_PAIRS] = {
	0.1834346424956498,
	0.5255324099163290,
	0.7966664774136267,
	0.9602898564975363,
};
static const double GaussWeight[GAUSS_PAIRS] = {
	0.3626837833783620,
	0.3137066458778873,
	0.2223810344533745,
	0.1012285362903763,
};

/*
 * By Gauss-Legendre panels that grow with the distance from the singularities
 * at -a and -b and stay short where the integrand falls fast.  The lengths at
 * least double or the integrand falls by e^-4, so there are few of them.
 */
void
IntegratePowers(double e1, double a, double e2, double b, double length, PowerIntegral *integral)
{
	double near = Min(a, b);
	double from = 0;

	memset(integral, 0, sizeof(*integral));
	for (int panel = 0; panel < 4096 && from < length; panel++)
	{
		double rate = e1 / (a + from) + e2 / (b + from);
		double step = Min(near + from, 4 / rate);
		double sum = 0;
		double half;
		double middle;

		step = Min(step, length - from);
		half = step / 2;
		middle = from + half;
		for (int i = -GAUSS_PAIRS; i < GAUSS_PAIRS; i++)
		{
			int pair = i < 0 ? -i - 1 : i;
			double d = middle + (i < 0 ? -half : half) * GaussNode[pair];
			double log_a = log1p(d / a);
			double log_b = log1p(d / b);
			double f = half * GaussWeight[pair] * exp(-e1 * log_a - e2 * log_b);

			sum += f;
			integral->log_a += f * log_a;
			integral->log_b += f * log_b;
			integral->inverse_a += f / (a + d);
			integral->inverse_b += f / (b + d);
		}
		integral->value += sum;
		from += step;
		/* what is to come is at most the mean so far over the rest */
		if (sum / step * (length - from) < 1e-17 * integral->value)
			break;
	}
}

/*
 * Σ over n of P(N = n) D(n), where N is the negative binomial count and D(n) =
 * Σ over j < n of E[(1-p)^j], the events that a run of n leaves room for.  All
 * terms are positive, so nothing cancels, and a = 1 is no special case.
 */
static double
DropoutSeries(double shape, double ratio, double a, double b, int terms)
{
	double z = ratio / (1 + ratio);
	double probability = exp(-shape * log1p(ratio));
	double survival = 1; /* E[(1-p)^j] */
	double events = 0;   /* D(n) */
	double sum = 0;

	for (int n = 1; n <= terms; n++)
	{
		double term;

		events += survival;
		survival *= (b + n - 1) / (a + b + n - 1);
		probability *= z * (shape + n - 1) / n;
		term = probability * events;
		sum += term;
		/* past the mean the terms fall faster than z^n n */
		if (n > shape * ratio && term * (1 + ratio) < 1e-15 * sum)
			break;
	}
	return sum;
}

/*
 * The same as an integral over p: given p, (1 - (1 + p ratio)^-shape) / p events.
 * In the logit of p the integrand is analytic, and equal steps over the whole
 * line converge faster than any power of the step.  Left of `low` the integrand
 * is a pure power of p, right of `high` one of 1 - p: there the steps add up to
 * geometric series.
 */
static double
DropoutIntegral(double shape, double ratio, double a, double b)
{
	double mode = log(a / b);
	double width = sqrt(1 / a + 1 / b);
	double step = Min(0.4, width / 2);
	double low = Max(-log1p(shape * ratio) - 25, mode - 45 * (width + 1 / a));
	double high = Min(30, mode + 45 * (width + 1 / b));
	double peak = -a * SoftPlus(-mode) - b * SoftPlus(mode);
	int steps = Max(1, (int) ceil((high - low) / step));
	double s = low - step / 2;
	double left = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak) / -expm1(-a * step);
	double mass = left;
	double sum = left * shape * ratio;
	double right;

	for (int i = 0; i < steps; i++)
	{
		double p;
		double density;

		s += step;
		p = Logistic(s);
		density = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak);
		mass += density;
		sum += density * -expm1(-shape * log1p(p * ratio)) / p;
	}
	s += step;
	right = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak) / -expm1(-b * step);
	mass += right;
	sum += right * -expm1(-shape * log1p(ratio));
	return sum / mass;
}

double
ExpectedUntilDropout(double shape, double ratio, double a, double b)
{
	double terms = 2 * shape * ratio + 40 * (1 + ratio) + 20 * sqrt(shape * ratio * (1 + ratio));

	if (ratio <= 0)
		return 0;
	if (terms < 4000 && shape * log1p(ratio) < 600)
		return DropoutSeries(shape, ratio, a, b, 4 * (int) terms);
	return DropoutIntegral(shape, ratio, a, b);
}
