/*
 * decimal_sum.c: the sum of doubles as their decimal texts, which is the same in any order.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "base/decimal.h"
#include "base/decimal_sum.h"

/* The number in units of 10^-decimals, with 15 digits, rounded as printf() does. */
static bool
RoundToDigits(double number, int *decimals, int64 *rounded)
{
	static const double powers[MAX_SUM_DECIMALS + 1] = {
		1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	double high; /* high + low is the exact product */
	double low;
	double whole;
	int exponent;

	(void) frexp(number, &exponent);
	*decimals = SUM_DIGITS - (int) ceil(exponent * 0.30102999566398120);
	for (;; (*decimals)++)
	{
		if (*decimals < 0 || *decimals > MAX_SUM_DECIMALS)
			return false;
		high = number * powers[*decimals];
		low = fma(number, powers[*decimals], -high);
		if (high > powers[SUM_DIGITS - 1] || (high == powers[SUM_DIGITS - 1] && low >= 0))
			break;
	}
	whole = rint(high);
	/* only at a half does the rest of the product decide */
	if (high - whole == 0.5 && low > 0)
		whole += 1;
	else if (high - whole == -0.5 && low < 0)
		whole -= 1;
	*rounded = (int64) whole;
	return true;
}

/* Adds to the sum of other numbers. */
static void
AddOther(DecimalSum *sum, Datum total, MemoryContext context)
{
	MemoryContext caller;

	if (sum->others != NULL)
		total = DirectFunctionCall2(numeric_add, NumericGetDatum(sum->others), total);
	caller = MemoryContextSwitchTo(context);
	sum->others = DatumGetNumericCopy(total);
	MemoryContextSwitchTo(caller);
}

void
AddToDecimalSum(DecimalSum *sum, double number, MemoryContext context)
{
	int64 rounded;
	int decimals;

	sum->any = true;
	if (number == 0)
		return;
	/* most are whole, and have no more digits than count */
	if (fabs(number) < 1e15 && number == (double) (int64) number)
	{
		sum->sums[0] += (int64) number;
		return;
	}
	if (!isfinite(number) || !RoundToDigits(fabs(number), &decimals, &rounded))
	{
		/* converted to numeric as PostgreSQL does, through text */
		AddOther(sum, DirectFunctionCall1(float8_numeric, Float8GetDatum(number)), context);
		return;
	}
	sum->sums[decimals] += number < 0 ? -rounded : rounded;
	for (; decimals > sum->decimals && rounded % 10 == 0; decimals--)
		rounded /= 10;
	sum->decimals = Max(sum->decimals, decimals);
}

void
CombineDecimalSums(DecimalSum *sum, const DecimalSum *other, MemoryContext context)
{
	sum->any |= other->any;
	sum->decimals = Max(sum->decimals, other->decimals);
	for (int i = 0; i <= MAX_SUM_DECIMALS; i++)
		sum->sums[i] += other->sums[i];
	if (other->others != NULL)
		AddOther(sum, NumericGetDatum(other->others), context);
}

Numeric
TotalOfDecimalSum(const DecimalSum *sum)
{
	Datum total;

	if (!sum->any)
		return NULL;
	total = NumericGetDatum(NumericFromInt128(sum->sums[0], 0));
	for (int i = 1; i <= MAX_SUM_DECIMALS; i++)
		if (sum->sums[i] != 0)
			total = DirectFunctionCall2(numeric_add, total,
										NumericGetDatum(NumericFromInt128(sum->sums[i], i)));
	total = DirectFunctionCall2(numeric_round, total, Int32GetDatum(sum->decimals));
	if (sum->others != NULL)
		total = DirectFunctionCall2(numeric_add, total, NumericGetDatum(sum->others));
	return DatumGetNumeric(total);
}

void
SendDecimalSum(StringInfo out, const DecimalSum *sum)
{
	Size more = sum->others == NULL ? 0 : VARSIZE(sum->others);

	pq_sendint32(out, (int32) more);
	pq_sendbytes(out, (const char *) sum, sizeof(DecimalSum));
	if (more > 0)
		pq_sendbytes(out, (const char *) sum->others, more);
}

void
ReceiveDecimalSum(StringInfo in, DecimalSum *sum)
{
	int more = pq_getmsgint(in, 4);

	memcpy(sum, pq_getmsgbytes(in, sizeof(DecimalSum)), sizeof(DecimalSum));
	/* copied, since a message has no alignment */
	sum->others = more == 0 ? NULL : memcpy(palloc(more), pq_getmsgbytes(in, more), more);
}
