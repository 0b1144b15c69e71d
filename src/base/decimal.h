/*
 * decimal.h: exact amounts of money as scaled integers.
 *
 * An amount is a 64-bit mantissa in units of 10^-scale, with a scale of 0 to 6.
 * Totals are 128-bit, so that adding up amounts never overflows.
 */
#ifndef CRM_DECIMAL_H
#define CRM_DECIMAL_H

#include "common/int.h"
#include "utils/numeric.h"

#include "base/compat.h"

#define MAX_SCALE 6

typedef struct Decimal
{
	int64 mantissa;
	int scale; /* minimal: the last decimal is not 0 */
} Decimal;

extern const int64 PowerOfTen[19];

pg_noreturn extern void AmountOutOfRange(void);

/*
 * Rescales a mantissa to an equal or larger scale; false if it leaves the 64-bit range: the result,
 * which may be where the mantissa was, is then as before.
 */
static inline bool
RescaleFits(int64 mantissa, int from, int to, int64 *result)
{
	int64 product;

	Assert(from <= to);
	if (pg_mul_s64_overflow(mantissa, PowerOfTen[to - from], &product))
		return false;
	*result = product;
	return true;
}

/* The same, but out of range is an error. */
static inline int64
Rescale(int64 mantissa, int from, int to)
{
	int64 result;

	if (unlikely(!RescaleFits(mantissa, from, to, &result)))
		AmountOutOfRange();
	return result;
}

/* Never gives INT64_MIN, so that every amount has a negative. */
static inline int64
AddAmounts(int64 a, int64 b)
{
	int64 sum;

	if (unlikely(pg_add_s64_overflow(a, b, &sum) || sum == PG_INT64_MIN))
		AmountOutOfRange();
	return sum;
}

/* The double nearest to a total: the conversion of 128 bits is a slow library call. */
static inline double
TotalAsDouble(int128 total)
{
	return (int64) total == total ? (double) (int64) total : (double) total;
}

/* A total as a numeric, in the display scale given. */
extern Numeric NumericFromInt128(int128 value, int scale);

/* A total divided by a number: the same numeric as division of the two as numerics gives. */
extern Numeric NumericQuotient(int128 value, int scale, int64 divisor);

#endif /* CRM_DECIMAL_H */
