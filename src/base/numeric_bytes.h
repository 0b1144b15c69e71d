/*
 * numeric_bytes.h: reading the bytes of a numeric, for amounts that come by the million.
 */
#ifndef CRM_NUMERIC_BYTES_H
#define CRM_NUMERIC_BYTES_H

#include "base/decimal.h"
#include "base/numeric_form.h"

#define USUAL_SCALE BASE_DIGITS

static inline uint16
LoadWord(const char *p)
{
	uint16 word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* A numeric taken apart. */
typedef struct NumericBytes
{
	bool special; /* NaN or infinite: the rest is meaningless */
	bool negative;
	int weight; /* of the first digit: its power of 10 000 */
	int ndigits;
	const char *digits; /* unaligned, use LoadWord */
} NumericBytes;

static inline NumericBytes
ReadNumericBytes(const char *p, Size size)
{
	uint16 header = LoadWord(p);
	NumericBytes bytes = {.special = (header & HEADER_SIGN_MASK) == HEADER_SPECIAL};

	p += sizeof(uint16);
	size -= sizeof(uint16);
	if (header & HEADER_SHORT)
	{
		bytes.negative = (header & SHORT_NEGATIVE) != 0;
		bytes.weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			bytes.weight |= ~SHORT_WEIGHT_MASK;
	}
	else
	{
		bytes.negative = (header & HEADER_SIGN_MASK) == HEADER_NEGATIVE;
		bytes.weight = (int16) LoadWord(p);
		p += sizeof(uint16);
		size -= sizeof(uint16);
	}
	bytes.ndigits = size / sizeof(uint16);
	bytes.digits = p;
	return bytes;
}

/* Why a numeric is not an amount. */
typedef enum AmountFault
{
	AMOUNT_FINE,    /* it is one */
	AMOUNT_SPECIAL, /* NaN or infinite */
	AMOUNT_TOO_FINE,
	AMOUNT_TOO_LARGE
} AmountFault;

/* A numeric as an exact amount, if it is one. */
extern AmountFault ReadDecimal(Datum value, Decimal *result);

/* The same, but an error if it is not; `what` names the value in the message. */
extern Decimal DecimalFromNumeric(Datum value, const char *what);

/* Any numeric as the nearest double; NaN and infinity as they are. */
extern double DoubleFromNumeric(Datum value);

/*
 * The usual amount (up to 12 digits before the point and 4 after it) directly in units of
 * 10^-scale, with a scale of at most USUAL_SCALE.  Returns false for any other; use
 * DecimalFromNumeric then.
 */
static inline bool
UsualAmount(Datum value, int scale, int64 *amount)
{
	static const struct
	{
		uint32 divisor;
		uint64 inverse; /* 2^32 / divisor, rounded up: exact for four digits */
	} fraction[BASE_DIGITS + 1] = {{10000, 429497},
								   {1000, 4294968},
								   {100, 42949673},
								   {10, 429496730},
								   {1, UINT64CONST(4294967296)}};
	const char *p = DatumGetPointer(value);
	NumericBytes bytes;
	int groups; /* of the fraction, if positive */
	int64 mantissa = 0;

	if (!VARATT_IS_SHORT(p) || VARATT_IS_EXTERNAL(p))
		return false;
	bytes = ReadNumericBytes(VARDATA_SHORT(p), VARSIZE_SHORT(p) - VARHDRSZ_SHORT);
	if (bytes.special)
		return false;
	if (bytes.ndigits == 0)
	{
		*amount = 0;
		return true;
	}
	groups = bytes.ndigits - 1 - bytes.weight;
	if (groups < 0 || groups > 1 || bytes.ndigits > 3 + groups || bytes.weight < -1)
		return false;
	p = bytes.digits;
	for (int i = groups; i < bytes.ndigits; i++, p += sizeof(uint16))
		mantissa = mantissa * PowerOfTen[BASE_DIGITS] + LoadWord(p);
	mantissa *= PowerOfTen[scale];
	if (groups == 1)
	{
		uint32 digit = LoadWord(p);
		uint32 part = (uint32) ((digit * fraction[scale].inverse) >> 32);

		if (part * fraction[scale].divisor != digit)
			return false;
		mantissa += part;
	}
	*amount = bytes.negative ? -mantissa : mantissa;
	return true;
}

#endif /* CRM_NUMERIC_BYTES_H */
