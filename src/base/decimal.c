/*
 * decimal.c: exact amounts of money as scaled integers.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/decimal.h"
#include "base/numeric_form.h"

const int64 PowerOfTen[19] = {
	INT64CONST(1),
	INT64CONST(10),
	INT64CONST(100),
	INT64CONST(1000),
	INT64CONST(10000),
	INT64CONST(100000),
	INT64CONST(1000000),
	INT64CONST(10000000),
	INT64CONST(100000000),
	INT64CONST(1000000000),
	INT64CONST(10000000000),
	INT64CONST(100000000000),
	INT64CONST(1000000000000),
	INT64CONST(10000000000000),
	INT64CONST(100000000000000),
	INT64CONST(1000000000000000),
	INT64CONST(10000000000000000),
	INT64CONST(100000000000000000),
	INT64CONST(1000000000000000000),
};

void
AmountOutOfRange(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("amount is out of range"),
					errdetail("The amounts of one day, and the largest amount at the most decimals "
							  "used, must fit 18 digits."),
					errhint("Round the amounts to fewer decimals: round(amount, 2).")));
}

/* ---------- numerics ---------- */

#define BASE 10000
#define INTEGER_DIGITS 5   /* of a 64-bit integer in this base */
#define FRACTION_DIGITS 12 /* of a quotient, at most: see QuotientScale() */

/* The digits of an integer, from the one returned up to the last place. */
static uint16 *
DigitsOf(uint64 integer, uint16 *end)
{
	do
	{
		*--end = (uint16) (integer % BASE);
		integer /= BASE;
	} while (integer != 0);
	return end;
}

/* A numeric in the short form of numeric_form.h; `weight` is the first digit's. */
static Numeric
ShortNumeric(bool negative, int weight, int scale, const uint16 *digits, const uint16 *end)
{
	struct varlena *result;
	uint16 header = HEADER_SHORT | (uint16) (scale << SHORT_SCALE_SHIFT);
	Size size;

	for (; digits < end && *digits == 0; digits++)
		weight--;
	while (digits < end && end[-1] == 0)
		end--;
	if (digits < end)
	{
		header |= (uint16) (weight & (SHORT_WEIGHT_SIGN | SHORT_WEIGHT_MASK));
		if (negative)
			header |= SHORT_NEGATIVE;
	}
	size = (end - digits) * sizeof(uint16);
	result = palloc(VARHDRSZ + sizeof(header) + size);
	SET_VARSIZE(result, VARHDRSZ + sizeof(header) + size);
	memcpy(VARDATA(result), &header, sizeof(header));
	memcpy(VARDATA(result) + sizeof(header), digits, size);
	return (Numeric) result;
}

/* Digits of the fraction of a number of that scale. */
static inline int
FractionDigits(int scale)
{
	return (scale + BASE_DIGITS - 1) / BASE_DIGITS;
}

static inline uint64
Magnitude(int64 value)
{
	return value < 0 ? -(uint64) value : (uint64) value;
}

/* The way of those too large, through text. */
static Numeric
NumericOfText(int128 value, int scale)
{
	char digits[64];
	char *p = digits + sizeof(digits);
	bool negative = value < 0;
	int places = 0;

	*--p = '\0';
	do
	{
		int digit = (int) (value % 10);

		*--p = '0' + (negative ? -digit : digit);
		value /= 10;
		if (++places == scale)
			*--p = '.';
	} while (value != 0 || places < scale);
	if (negative)
		*--p = '-';
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(p),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

Numeric
NumericFromInt128(int128 value, int scale)
{
	int fraction = FractionDigits(scale);
	uint16 digits[INTEGER_DIGITS];
	uint16 *end = digits + lengthof(digits);
	const uint16 *first;
	int64 integer; /* in units of the last digit */

	if ((int64) value != value)
		return NumericOfText(value, scale);
	if (!RescaleFits((int64) value, scale, fraction * BASE_DIGITS, &integer))
		return int64_div_fast_to_numeric((int64) value, scale);
	first = DigitsOf(Magnitude(integer), end);
	return ShortNumeric(value < 0, (int) (end - first) - 1 - fraction, scale, first, end);
}

/* The first digit of a number and its weight, both 0 for 0; the fraction has so many digits. */
static int
FirstDigit(uint64 integer, int fraction, int *weight)
{
	*weight = integer == 0 ? 0 : -fraction;
	for (; integer >= BASE; integer /= BASE)
		++*weight;
	return (int) integer;
}

/* The scale of a quotient: 16 significant digits, and no less than the dividend's. */
static int
QuotientScale(uint64 dividend, int scale, uint64 divisor)
{
	int weight;
	int divisor_weight;
	int first = FirstDigit(dividend, FractionDigits(scale), &weight);
	int divisor_first = FirstDigit(divisor, 0, &divisor_weight);
	int decimals = 16 - BASE_DIGITS * (weight - divisor_weight - (first <= divisor_first));

	return Max(decimals, scale);
}

/* The quotient if 64 bits suffice on the way, as they do for all but the largest; else NULL. */
static Numeric
ShortQuotient(int64 value, int scale, int64 divisor)
{
	uint16 digits[1 + INTEGER_DIGITS + FRACTION_DIGITS];
	uint16 *point = digits + 1 + INTEGER_DIGITS;
	uint16 *first;
	uint16 *end;
	int64 integer; /* in units of the last digit */
	int64 unit;    /* of the quotient, in those of the value */
	uint64 rest;
	int decimals;

	if (divisor <= 0 || !RescaleFits(divisor, 0, scale, &unit) || unit > PG_INT64_MAX / BASE ||
		!RescaleFits(value, scale, FractionDigits(scale) * BASE_DIGITS, &integer))
		return NULL;
	decimals = QuotientScale(Magnitude(integer), scale, (uint64) divisor);
	if (decimals % BASE_DIGITS != 0 || decimals > FRACTION_DIGITS * BASE_DIGITS)
		return NULL;
	first = DigitsOf(Magnitude(value) / (uint64) unit, point);
	rest = Magnitude(value) % (uint64) unit;
	end = point + decimals / BASE_DIGITS;
	for (uint16 *digit = point; digit < end; digit++)
	{
		rest *= BASE;
		*digit = (uint16) (rest / (uint64) unit);
		rest %= (uint64) unit;
	}
	*--first = 0; /* for what rounding carries */
	if (2 * rest >= (uint64) unit)
		for (uint16 *digit = end - 1; ++*digit == BASE; digit--)
			*digit = 0;
	return ShortNumeric(value < 0, (int) (point - first) - 1, decimals, first, end);
}

Numeric
NumericQuotient(int128 value, int scale, int64 divisor)
{
	Numeric quotient = NULL;
	Datum dividend;

	if ((int64) value == value)
		quotient = ShortQuotient((int64) value, scale, divisor);
	if (quotient != NULL)
		return quotient;
	dividend = NumericGetDatum(NumericFromInt128(value, scale));
	return DatumGetNumeric(
		DirectFunctionCall2(numeric_div, dividend, NumericGetDatum(int64_to_numeric(divisor))));
}
