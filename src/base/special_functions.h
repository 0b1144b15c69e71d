/*
 * special_functions.h: the special functions of the purchase models that libm
 * lacks.  Pure numerics: no memory, no errors, finite results for finite
 * arguments in the ranges named.
 */
#ifndef CRM_SPECIAL_FUNCTIONS_H
#define CRM_SPECIAL_FUNCTIONS_H

#include <math.h>

/* ln Γ(a + n) - ln Γ(a), a > 0, n >= 0, without the cancellation of the difference. */
extern double LogGammaRatio(double a, double n);

/* ψ(a + n) - ψ(a), the derivative of LogGammaRatio by a. */
extern double DigammaDifference(double a, double n);

/* The z with P(|N(0, 1)| <= z) = level, 0 < level < 1. */
extern double NormalQuantileOfLevel(double level);

/*
 * ∫ over 0 <= d <= length of (1 + d/a)^-e1 (1 + d/b)^-e2, with a, b, length > 0 and
 * e1, e2 >= 0, and with the same integrand the moments that its derivatives need.
 */
typedef struct PowerIntegral
{
	double value;
	double log_a;     /* weighted with ln(1 + d/a) */
	double log_b;     /* weighted with ln(1 + d/b) */
	double inverse_a; /* weighted with 1/(a + d) */
	double inverse_b; /* weighted with 1/(b + d) */
} PowerIntegral;

extern void
IntegratePowers(double e1, double a, double e2, double b, double length, PowerIntegral *integral);

/* The value alone. */
extern double PowerIntegralValue(double e1, double a, double e2, double b, double length);

/*
 * The mean over p ~ Beta(a, b) of a function of logit(p) that is practically constant below `low`
 * and above 30.
 */
extern double MeanOverBeta(double a, double b, double low, double (*value)(double, const void *),
						   const void *given);

/*
 * The expected number of events up to the one at which the process dies: events
 * come as a negative binomial count, mean `shape` * `ratio`, and each is the last
 * one with a probability p ~ Beta(a, b).  See docs/clv.md: for BG/NBD and MBG/NBD
 * this is E[Y(t)] of a customer who is alive.
 */
extern double ExpectedUntilDropout(double shape, double ratio, double a, double b);

/* ln(1 + e^x), without overflow. */
static inline double
SoftPlus(double x)
{
	return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

/* 1 / (1 + e^-x), without overflow. */
static inline double
Logistic(double x)
{
	double u = exp(-fabs(x));

	return x >= 0 ? 1 / (1 + u) : u / (1 + u);
}

/* (1 - e^-yL) / y, with its limit L at y = 0. */
static inline double
DecayIntegral(double y, double L)
{
	return fabs(y * L) < 1e-12 ? L : -expm1(-y * L) / y;
}

#endif /* CRM_SPECIAL_FUNCTIONS_H */
