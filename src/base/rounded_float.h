/*
 * rounded_float.h: amounts that are stored as floats, rounded to decimals.
 *
 * The result is that of round(x::numeric, scale): the cast keeps 15 decimal digits of a float8 and
 * 6 of a float4, and what is then half a unit is rounded away from zero.
 */
#ifndef CRM_ROUNDED_FLOAT_H
#define CRM_ROUNDED_FLOAT_H

#include <math.h>

#include "base/decimal.h"

extern const double DoublePowerOfTen[MAX_SCALE + 1];

extern bool RoundNearHalf(double value, int scale, int64 *mantissa);

/*
 * The magnitude of an amount in units of 10^-scale; false if it is too large or too near to a
 * tie to tell here.
 */
static inline bool
RoundedFloat8(double value, int scale, int64 *mantissa)
{
	double magnitude = fabs(value) * DoublePowerOfTen[scale];
	double beyond_half;

	/* false for NaN, too */
	if (!(magnitude < 1e14))
		return false;
	*mantissa = (int64) magnitude;
	beyond_half = magnitude - (double) *mantissa - 0.5;

	/* the 15 digits are at most 5e-15 of the value away, and the product another 1.2e-16 */
	if (unlikely(fabs(beyond_half) <= magnitude * 6e-15))
		return RoundNearHalf(value, scale, mantissa);
	*mantissa += beyond_half > 0;
	return true;
}

extern bool RoundedFloat4(float value, int scale, int64 *mantissa);

#endif /* CRM_ROUNDED_FLOAT_H */
