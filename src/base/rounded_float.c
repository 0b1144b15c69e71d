/*
 * rounded_float.c: amounts that are stored as floats, rounded to decimals.
 */
#include "postgres.h"

#include <float.h>

#include "base/rounded_float.h"

const double DoublePowerOfTen[MAX_SCALE + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

/* A computed limit may be this share of itself off; a value so near to it is not decided here. */
#define LIMIT_ERROR 1e-6

/* Half a unit of the last of so many digits of a number with that integer part. */
static inline double
HalfUnit(int64 integer, int digits)
{
	double half = 0.5;

	for (int i = 0; i < digits; i++)
		half /= 10;
	for (; integer > 0; integer /= 10)
		half *= 10;
	return half;
}

/*
 * Whether what is so far beyond a half (negative: below it) is rounded up.  A half has at most 15
 * digits here, so the cast yields it, or more, for all numbers down to half a unit of its last
 * digit below it.  False if that is too near to tell.
 */
static inline bool
AddHalf(double beyond_half, int digits, int64 *mantissa)
{
	double half_unit = HalfUnit(*mantissa, digits);

	if (fabs(beyond_half + half_unit) <= half_unit * LIMIT_ERROR)
		return false;
	*mantissa += beyond_half > -half_unit;
	return true;
}

/* `mantissa` is the integer part. */
bool
RoundNearHalf(double value, int scale, int64 *mantissa)
{
	/* a single rounding, of the difference: the half itself is exact */
	return AddHalf(fma(fabs(value), DoublePowerOfTen[scale], -((double) *mantissa + 0.5)), DBL_DIG,
				   mantissa);
}

bool
RoundedFloat4(float value, int scale, int64 *mantissa)
{
	/* these products are exact: 24 bits of the float, and 14 of the power */
	double magnitude = fabs((double) value) * DoublePowerOfTen[scale];
	double beyond_half;
	int dropped = 0;

	if (!(fabsf(value) < 1e6f))
		return false;
	if (magnitude < 1e5)
	{
		*mantissa = (int64) magnitude;
		return AddHalf(magnitude - (double) *mantissa - 0.5, FLT_DIG, mantissa);
	}

	/* all digits of the result that the cast keeps come before the last decimal */
	while (magnitude >= 1e6 * (double) PowerOfTen[dropped])
		dropped++;
	magnitude = fabs((double) value) * DoublePowerOfTen[scale - dropped];
	*mantissa = (int64) magnitude;
	beyond_half = magnitude - (double) *mantissa - 0.5;
	if (beyond_half == 0)
		return false;
	*mantissa = (*mantissa + (beyond_half > 0)) * PowerOfTen[dropped];
	return true;
}
