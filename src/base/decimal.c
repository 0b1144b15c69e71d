/*
 * decimal.c: exact amounts of money as scaled integers.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/decimal.h"

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

/* A total as a numeric, in the display scale given. */
Numeric
NumericFromInt128(int128 value, int scale)
{
	char digits[64];
	char *p = digits + sizeof(digits);
	bool negative = value < 0;
	int places = 0;

	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
		return int64_div_fast_to_numeric((int64) value, scale);

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
