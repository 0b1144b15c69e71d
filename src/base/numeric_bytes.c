/*
 * numeric_bytes.c: numerics from the bytes in which they are stored.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/numeric_bytes.h"

/* A numeric for an error message, which may have thousands of digits. */
static char *
NumericExcerpt(Datum value)
{
	char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	if (strlen(text) > 40)
		strcpy(text + 37, "...");
	return text;
}

/* Raises an error for NaN and the infinities. */
pg_noreturn static void
RefuseSpecial(Datum value, const char *what)
{
	char *text = NumericExcerpt(value);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s cannot be %s", what, text),
			 errhint("Leave such rows out, or make it NULL: nullif(%s, '%s').", what, text)));
}

pg_noreturn static void
RefuseScale(Datum value, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s has more than %d decimals", what, NumericExcerpt(value), MAX_SCALE),
			 errhint("Round it: round(%s, 2).", what)));
}

pg_noreturn static void
RefuseMagnitude(Datum value, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("%s %s is out of range", what, NumericExcerpt(value)),
					errdetail("It has more than 18 digits."),
					errhint("Round it to fewer decimals, or leave such rows out.")));
}

/* The amount that the digits of a number stand for. */
static AmountFault
ReadDigits(const NumericBytes *bytes, Decimal *result)
{
	const char *p = bytes->digits;
	int ndigits = bytes->ndigits;
	int64 mantissa = 0;

	result->mantissa = 0;
	result->scale = 0;
	if (ndigits == 0)
		return AMOUNT_FINE;

	/* before an overflow can hide it: the last of three fractional groups is below 10^-8 */
	if (ndigits - 1 - bytes->weight > 2)
		return AMOUNT_TOO_FINE;

	/* all digits but the last: four of them never overflow */
	for (int i = 0; i < ndigits - 1; i++, p += sizeof(uint16))
	{
		if (i < 4)
			mantissa = mantissa * PowerOfTen[BASE_DIGITS] + LoadWord(p);
		else if (pg_mul_s64_overflow(mantissa, PowerOfTen[BASE_DIGITS], &mantissa) ||
				 pg_add_s64_overflow(mantissa, LoadWord(p), &mantissa))
			return AMOUNT_TOO_LARGE;
	}

	/* the last one, without its trailing zeros if it belongs to the fraction */
	{
		int digit = LoadWord(p);
		int places = BASE_DIGITS;
		int groups = ndigits - 1 - bytes->weight; /* of the fraction */

		if (groups > 0)
		{
			while (digit % 10 == 0 && places > 1)
			{
				digit /= 10;
				places--;
			}
			result->scale = groups * BASE_DIGITS - (BASE_DIGITS - places);
			if (result->scale > MAX_SCALE)
				return AMOUNT_TOO_FINE;
		}
		if (pg_mul_s64_overflow(mantissa, PowerOfTen[places], &mantissa) ||
			pg_add_s64_overflow(mantissa, digit, &mantissa))
			return AMOUNT_TOO_LARGE;
		for (; groups < 0; groups++)
			if (pg_mul_s64_overflow(mantissa, PowerOfTen[BASE_DIGITS], &mantissa))
				return AMOUNT_TOO_LARGE;
	}
	result->mantissa = bytes->negative ? -mantissa : mantissa;
	return AMOUNT_FINE;
}

AmountFault
ReadDecimal(Datum value, Decimal *result)
{
	struct varlena *datum = PG_DETOAST_DATUM_PACKED(value);
	NumericBytes bytes = ReadNumericBytes(VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum));
	AmountFault fault = bytes.special ? AMOUNT_SPECIAL : ReadDigits(&bytes, result);

	if ((Pointer) datum != DatumGetPointer(value))
		pfree(datum);
	return fault;
}

Decimal
DecimalFromNumeric(Datum value, const char *what)
{
	Decimal result;

	switch (ReadDecimal(value, &result))
	{
		case AMOUNT_FINE:
			break;
		case AMOUNT_SPECIAL:
			RefuseSpecial(value, what);
		case AMOUNT_TOO_FINE:
			RefuseScale(value, what);
		case AMOUNT_TOO_LARGE:
			RefuseMagnitude(value, what);
	}
	return result;
}

/*
 * Up to three stored digits (12 decimal ones) become an exact integer, and one division by an exact
 * power of ten rounds it correctly.  All others take PostgreSQL's own way, through text, which is
 * ten times as slow.
 */
double
DoubleFromNumeric(Datum value)
{
	struct varlena *datum = PG_DETOAST_DATUM_PACKED(value);
	NumericBytes bytes = ReadNumericBytes(VARDATA_ANY(datum), VARSIZE_ANY_EXHDR(datum));
	int decimals = (bytes.ndigits - 1 - bytes.weight) * BASE_DIGITS;

	if (!bytes.special && bytes.ndigits <= 3 && decimals >= -BASE_DIGITS && decimals <= 18)
	{
		int64 mantissa = 0;
		double magnitude;

		for (int i = 0; i < bytes.ndigits; i++)
			mantissa =
				mantissa * PowerOfTen[BASE_DIGITS] + LoadWord(bytes.digits + i * sizeof(uint16));
		magnitude = decimals > 0 ? (double) mantissa / (double) PowerOfTen[decimals]
								 : (double) (mantissa * PowerOfTen[-decimals]);
		return bytes.negative ? -magnitude : magnitude;
	}
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
}
