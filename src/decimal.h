/*
 * decimal.h: exact amounts of money as scaled integers.
 *
 * An amount is a 64-bit mantissa in units of 10^-scale, with a scale of 0 to 6.
 * Totals are 128-bit, so that adding up amounts never overflows.
 */
#ifndef CRM_DECIMAL_H
#define CRM_DECIMAL_H

#include "utils/numeric.h"

#include "compat.h"

#define MAX_SCALE 6

typedef struct Decimal
{
	int64		mantissa;
	int			scale;			/* minimal: a scale above 0 ends in a digit that is not 0 */
} Decimal;

extern const int64 PowerOfTen[19];

/* Reads a numeric in the form it is stored in; `what` names it in errors. */
extern Decimal DecimalFromNumeric(Datum value, const char *what);

/* Any numeric as the nearest double; NaN and infinity as they are. */
extern double DoubleFromNumeric(Datum value);

/* A mantissa at a larger or equal scale; an error when it leaves the 64-bit range. */
extern int64 Rescale(int64 mantissa, int from, int to);

/* The same when it is known to fit, or the caller handles the overflow. */
extern bool RescaleFits(int64 mantissa, int from, int to, int64 *result);

extern int64 AddAmounts(int64 a, int64 b);
extern Numeric NumericFromInt128(int128 value, int scale);
pg_noreturn extern void AmountOutOfRange(void);

#endif							/* CRM_DECIMAL_H */
