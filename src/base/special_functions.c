/*
 * special_functions.c: the special functions that libm lacks.
 */
#include "postgres.h"

#include <math.h>

#include "base/special_functions.h"

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

	/* erfc is convex here: Newton's method from the left never overshoots the root */
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
typedef struct GaussRule
{
	int pairs;
	double node[5];
	double weight[5];
} GaussRule;

static const GaussRule LongRule = {
	5,
	{0.1488743389816312, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845,
	 0.9739065285171717},
	{0.2955242247147529, 0.2692667193099964, 0.2190863625159820, 0.1494513491505806,
	 0.0666713443086881},
};
static const GaussRule ShortRule = {
	2,
	{0.3399810435848563, 0.8611363115940526},
	{0.6521451548625461, 0.3478548451374538},
};

/*
 * Panels of v for which the rule is exact to 1e-14: their length, and the decay of the integrand
 * within one.
 */
#define LONG_PANEL 1.5
#define LONG_FALL 5.0
#define SHORT_PANEL 0.2
#define MANY_EVENTS 1000.0 /* exponents from here on feel the rounding of 1 + d/b */

/* The integrand at one node, with its moments if they are wanted. */
static pg_attribute_always_inline void
AddNode(double e1, double a, double e2, double b, double v, double growth, double weight,
		bool moments, PowerIntegral *panel)
{
	double ratio = a / b;
	double log_b = e2 < MANY_EVENTS ? log(1 + ratio * (growth - 1)) : log1p(ratio * expm1(v));
	double f = weight * exp((1 - e1) * v - e2 * log_b);

	panel->value += f;
	if (moments)
	{
		panel->log_a += f * v;
		panel->log_b += f * log_b;
		panel->inverse_a += f / (a * growth);
		panel->inverse_b += f / (b + a * (growth - 1));
	}
}

/*
 * With a the smaller of the two, by Gauss-Legendre in v = ln(1 + d/a).  In v the
 * integrand is exponential, with singularities no nearer than π to the real axis,
 * so that a few panels of fixed length reach any d.
 */
static pg_attribute_always_inline void
Integrate(double e1, double a, double e2, double b, double length, bool moments,
		  PowerIntegral *integral)
{
	double last = log1p(length / a);
	double from = 0;
	double from_d = 0;

	memset(integral, 0, sizeof(*integral));
	for (int i = 0; i < 4096 && from < last; i++)
	{
		double fall = e1 + e2 * (a + from_d) / (b + from_d);
		double step = Min(last - from, Min(LONG_PANEL, LONG_FALL / fall));
		bool is_short = step < SHORT_PANEL && step * fall < SHORT_PANEL;
		const GaussRule *rule = is_short ? &ShortRule : &LongRule;
		double half = step / 2;
		double middle = from + half;
		double growth = exp(middle);
		double to_d;
		PowerIntegral panel = {0};

		for (int pair = 0; pair < rule->pairs; pair++)
		{
			double off = half * rule->node[pair];
			double more = exp(off);

			AddNode(e1, a, e2, b, middle + off, growth * more, rule->weight[pair], moments, &panel);
			AddNode(e1, a, e2, b, middle - off, growth / more, rule->weight[pair], moments, &panel);
		}
		integral->value += half * a * panel.value;
		integral->log_a += half * a * panel.log_a;
		integral->log_b += half * a * panel.log_b;
		integral->inverse_a += half * a * panel.inverse_a;
		integral->inverse_b += half * a * panel.inverse_b;
		from += step;
		to_d = a * expm1(from);
		/* the remainder is at most the mean of this panel times the rest of the length */
		if (half * a * panel.value * (length - to_d) < 1e-17 * integral->value * (to_d - from_d))
			break;
		from_d = to_d;
	}
}

void
IntegratePowers(double e1, double a, double e2, double b, double length, PowerIntegral *integral)
{
	PowerIntegral other;

	if (a <= b)
	{
		Integrate(e1, a, e2, b, length, true, integral);
		return;
	}
	Integrate(e2, b, e1, a, length, true, &other);
	integral->value = other.value;
	integral->log_a = other.log_b;
	integral->log_b = other.log_a;
	integral->inverse_a = other.inverse_b;
	integral->inverse_b = other.inverse_a;
}

double
PowerIntegralValue(double e1, double a, double e2, double b, double length)
{
	PowerIntegral integral;

	if (a <= b)
		Integrate(e1, a, e2, b, length, false, &integral);
	else
		Integrate(e2, b, e1, a, length, false, &integral);
	return integral.value;
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
		/* b may be far below 1: do not lose its digits */
		survival *= (b + (n - 1)) / (a + b + (n - 1));
		probability *= z * (shape + (n - 1)) / n;
		term = probability * events;
		sum += term;
		/* past the mean the terms fall faster than z^n n */
		if (n > shape * ratio && term * (1 + ratio) < 1e-15 * sum)
			break;
	}
	return sum;
}

/*
 * In the logit of p the integrand is analytic, and equal steps over the whole
 * line converge faster than any power of the step.  Left of `low` the integrand
 * is a pure power of p, right of `high` one of 1 - p: there the steps add up to
 * geometric series.
 */
double
MeanOverBeta(double a, double b, double low, double (*value)(double, const void *),
			 const void *given)
{
	double mode = log(a / b);
	double width = sqrt(1 / a + 1 / b);
	double step = Min(0.4, width / 2);
	double start = Max(low, mode - 45 * (width + 1 / a));
	double high = Min(30, mode + 45 * (width + 1 / b));
	double peak = -a * SoftPlus(-mode) - b * SoftPlus(mode);
	int steps = Max(1, (int) ceil((high - start) / step));
	double s = start - step / 2;
	double mass = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak) / -expm1(-a * step);
	double sum = mass * value(s, given);
	double right;

	for (int i = 0; i < steps; i++)
	{
		double density;

		s += step;
		density = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak);
		mass += density;
		sum += density * value(s, given);
	}
	s += step;
	right = exp(-a * SoftPlus(-s) - b * SoftPlus(s) - peak) / -expm1(-b * step);
	mass += right;
	sum += right * value(s, given);
	if (mass > 0)
		return sum / mass;
	/* p is indistinguishable from 0 or 1 */
	return value(Max(start, Min(mode, 30)), given);
}

typedef struct EventsUntilDropout
{
	double shape;
	double ratio;
} EventsUntilDropout;

/* Given p: (1 - (1 + p ratio)^-shape) / p events. */
static double
EventsGiven(double logit, const void *given)
{
	const EventsUntilDropout *events = given;
	double p = Logistic(logit);

	return -expm1(-events->shape * log1p(p * events->ratio)) / p;
}

double
ExpectedUntilDropout(double shape, double ratio, double a, double b)
{
	EventsUntilDropout events = {shape, ratio};
	double terms = 2 * shape * ratio + 40 * (1 + ratio) + 20 * sqrt(shape * ratio * (1 + ratio));

	if (ratio <= 0)
		return 0;
	/* p hardly varies */
	if (Min(a, b) > 1e8)
		return EventsGiven(log(a / b), &events);
	if (terms < 4000 && shape * log1p(ratio) < 600)
		return DropoutSeries(shape, ratio, a, b, 4 * (int) terms);
	return MeanOverBeta(a, b, -log1p(shape * ratio) - 25, EventsGiven, &events);
}
