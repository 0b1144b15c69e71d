/*
 * segment_totals.c: aggregates for views over a million customers: the median, and the sum of
 * floats as their decimal texts.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/numeric_bytes.h"
#include "base/sortable_float.h"
#include "rfm/integer_list.h"

/* ---------- median ---------- */

#define MEDIANS_AT_A_TIME 16 /* groups that share work_mem: a dozen, not all of them large */

typedef struct MedianState
{
	IntegerList numbers; /* sortable */
	int64 min;
	int64 max;
} MedianState;

static MedianState *
MedianStateOf(FunctionCallInfo fcinfo, const char *function)
{
	MemoryContext context = AggregateContext(fcinfo, function);
	MedianState *state;

	if (!PG_ARGISNULL(0))
		return (MedianState *) PG_GETARG_POINTER(0);
	state = MemoryContextAlloc(context, sizeof(MedianState));
	InitIntegerList(&state->numbers, context, IntegerListLimit(MEDIANS_AT_A_TIME));
	OwnIntegerList(fcinfo, &state->numbers);
	state->min = PG_INT64_MAX;
	state->max = PG_INT64_MIN;
	return state;
}

static void
AddNumber(MedianState *state, int64 number)
{
	state->min = Min(state->min, number);
	state->max = Max(state->max, number);
	AddInteger(&state->numbers, number);
}

/* (state, double precision) */
PG_FUNCTION_INFO_V1(median_transfn);
Datum
median_transfn(PG_FUNCTION_ARGS)
{
	MedianState *state = MedianStateOf(fcinfo, "median_transfn");

	if (!PG_ARGISNULL(1))
		AddNumber(state, SortableFloat8(PG_GETARG_FLOAT8(1)));
	PG_RETURN_POINTER(state);
}

/* (state, numeric) */
PG_FUNCTION_INFO_V1(median_transfn_numeric);
Datum
median_transfn_numeric(PG_FUNCTION_ARGS)
{
	MedianState *state = MedianStateOf(fcinfo, "median_transfn");

	if (!PG_ARGISNULL(1))
		AddNumber(state, SortableFloat8(DoubleFromNumeric(PG_GETARG_DATUM(1))));
	PG_RETURN_POINTER(state);
}

/* How many numbers there are. */
static int64
MedianCount(const MedianState *state)
{
	return state == NULL ? 0 : state->numbers.in_file + state->numbers.nvalues;
}

/* (state, numbers of another one) */
PG_FUNCTION_INFO_V1(median_combine);
Datum
median_combine(PG_FUNCTION_ARGS)
{
	MedianState *state = MedianStateOf(fcinfo, "median_combine");
	MedianState *other = PG_ARGISNULL(1) ? NULL : (MedianState *) PG_GETARG_POINTER(1);
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *numbers;
	int n;

	if (other != NULL)
	{
		RewindIntegers(cursor, &other->numbers);
		while ((n = NextIntegers(cursor, &numbers)) > 0)
			for (int i = 0; i < n; i++)
				AddNumber(state, numbers[i]);
	}
	pfree(cursor);
	PG_RETURN_POINTER(state);
}

/* The numbers. */
PG_FUNCTION_INFO_V1(median_serialize);
Datum
median_serialize(PG_FUNCTION_ARGS)
{
	MedianState *state = (MedianState *) PG_GETARG_POINTER(0);
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *numbers;
	bytea *bytes;
	char *p;
	int n;

	(void) AggregateContext(fcinfo, "median_serialize");
	if (MedianCount(state) > (int64) ((MaxAllocSize - VARHDRSZ) / sizeof(int64)))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many customers for a parallel median"),
						errhint("Set max_parallel_workers_per_gather to 0.")));
	bytes = palloc(VARHDRSZ + MedianCount(state) * sizeof(int64));
	p = VARDATA(bytes);
	RewindIntegers(cursor, &state->numbers);
	while ((n = NextIntegers(cursor, &numbers)) > 0)
	{
		memcpy(p, numbers, n * sizeof(int64));
		p += n * sizeof(int64);
	}
	pfree(cursor);
	SET_VARSIZE(bytes, p - (char *) bytes);
	PG_RETURN_BYTEA_P(bytes);
}

/* A state that lives as long as it takes to combine it. */
PG_FUNCTION_INFO_V1(median_deserialize);
Datum
median_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	MedianState *state = palloc0(sizeof(MedianState));

	(void) AggregateContext(fcinfo, "median_deserialize");
	InitIntegerList(&state->numbers, CurrentMemoryContext, 0);
	state->numbers.nvalues = VARSIZE_ANY_EXHDR(bytes) / sizeof(int64);
	state->numbers.values = palloc(Max(VARSIZE_ANY_EXHDR(bytes), sizeof(int64)));
	memcpy(state->numbers.values, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	PG_RETURN_POINTER(state);
}

/* As percentile_cont(0.5): the mean of the two middle values. */
PG_FUNCTION_INFO_V1(median_finalfn);
Datum
median_finalfn(PG_FUNCTION_ARGS)
{
	MedianState *state = PG_ARGISNULL(0) ? NULL : (MedianState *) PG_GETARG_POINTER(0);
	int64 n = MedianCount(state);
	int64 ranks[2] = {(n - 1) / 2, n / 2};
	int64 middle[2];
	double low;
	double high;

	(void) AggregateContext(fcinfo, "median_finalfn");
	if (n == 0)
		PG_RETURN_NULL();
	IntegersAtRanks(&state->numbers, state->min, state->max, ranks, lengthof(ranks), middle);
	low = Float8FromSortable(middle[0]);
	high = Float8FromSortable(middle[1]);
	PG_RETURN_FLOAT8(low == high || ranks[0] == ranks[1] ? low : low + 0.5 * (high - low));
}

/* ---------- decimal_sum ---------- */

#define SUM_DIGITS 15       /* of a number as text, and as numeric */
#define MAX_SUM_DECIMALS 22 /* 10^22 is the last power of ten that a double holds */

typedef struct DecimalSum
{
	bool any;
	int decimals; /* the largest number of decimals */
	int128
		sums[MAX_SUM_DECIMALS + 1]; /* of the numbers that need that many decimals for 15 digits */
	Numeric others;                 /* the sum of all other numbers; NULL if there are none */
} DecimalSum; /* on its way from a worker: with the bytes of `others` after it, if there are any */

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
	if (sum->others != NULL)
		pfree(sum->others);
	sum->others = DatumGetNumericCopy(total);
	MemoryContextSwitchTo(caller);
}

/* (state, number) */
PG_FUNCTION_INFO_V1(decimal_sum_transfn);
Datum
decimal_sum_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "decimal_sum_transfn");
	DecimalSum *sum = PG_ARGISNULL(0) ? NULL : (DecimalSum *) PG_GETARG_POINTER(0);
	double number;
	int64 rounded;
	int decimals;

	if (sum == NULL)
		sum = MemoryContextAllocZero(context, sizeof(DecimalSum));
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(sum);
	number = PG_GETARG_FLOAT8(1);
	sum->any = true;
	if (number == 0)
		PG_RETURN_POINTER(sum);
	if (!isfinite(number) || !RoundToDigits(fabs(number), &decimals, &rounded))
	{
		/* converted to numeric as PostgreSQL does, through text */
		AddOther(sum, DirectFunctionCall1(float8_numeric, Float8GetDatum(number)), context);
		PG_RETURN_POINTER(sum);
	}
	sum->sums[decimals] += number < 0 ? -rounded : rounded;
	for (; decimals > sum->decimals && rounded % 10 == 0; decimals--)
		rounded /= 10;
	sum->decimals = Max(sum->decimals, decimals);
	PG_RETURN_POINTER(sum);
}

/* (state, state) */
PG_FUNCTION_INFO_V1(decimal_sum_combine);
Datum
decimal_sum_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "decimal_sum_combine");
	DecimalSum *sum = PG_ARGISNULL(0) ? NULL : (DecimalSum *) PG_GETARG_POINTER(0);
	const DecimalSum *other = PG_ARGISNULL(1) ? NULL : (const DecimalSum *) PG_GETARG_POINTER(1);

	if (other != NULL)
	{
		if (sum == NULL)
			sum = MemoryContextAllocZero(context, sizeof(DecimalSum));
		sum->any |= other->any;
		sum->decimals = Max(sum->decimals, other->decimals);
		for (int i = 0; i <= MAX_SUM_DECIMALS; i++)
			sum->sums[i] += other->sums[i];
		if (other->others != NULL)
			AddOther(sum, NumericGetDatum(other->others), context);
	}
	PG_RETURN_STATE(sum);
}

PG_FUNCTION_INFO_V1(decimal_sum_serialize);
Datum
decimal_sum_serialize(PG_FUNCTION_ARGS)
{
	const DecimalSum *sum = (const DecimalSum *) PG_GETARG_POINTER(0);
	Size more = sum->others == NULL ? 0 : VARSIZE(sum->others);
	bytea *bytes = palloc(VARHDRSZ + sizeof(DecimalSum) + more);

	(void) AggregateContext(fcinfo, "decimal_sum_serialize");
	SET_VARSIZE(bytes, VARHDRSZ + sizeof(DecimalSum) + more);
	memcpy(VARDATA(bytes), sum, sizeof(DecimalSum));
	if (more > 0)
		memcpy(VARDATA(bytes) + sizeof(DecimalSum), sum->others, more);
	PG_RETURN_BYTEA_P(bytes);
}

PG_FUNCTION_INFO_V1(decimal_sum_deserialize);
Datum
decimal_sum_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	Size size = VARSIZE_ANY_EXHDR(bytes);
	char *copy = palloc(size);
	DecimalSum *sum = (DecimalSum *) memcpy(copy, VARDATA_ANY(bytes), size);

	(void) AggregateContext(fcinfo, "decimal_sum_deserialize");
	sum->others = size == sizeof(DecimalSum) ? NULL : (Numeric) (copy + sizeof(DecimalSum));
	PG_RETURN_POINTER(sum);
}

PG_FUNCTION_INFO_V1(decimal_sum_finalfn);
Datum
decimal_sum_finalfn(PG_FUNCTION_ARGS)
{
	DecimalSum *sum = PG_ARGISNULL(0) ? NULL : (DecimalSum *) PG_GETARG_POINTER(0);
	Datum total;

	(void) AggregateContext(fcinfo, "decimal_sum_finalfn");
	if (sum == NULL || !sum->any)
		PG_RETURN_NULL();
	total = NumericGetDatum(NumericFromInt128(sum->sums[0], 0));
	for (int i = 1; i <= MAX_SUM_DECIMALS; i++)
		if (sum->sums[i] != 0)
			total = DirectFunctionCall2(numeric_add, total,
										NumericGetDatum(NumericFromInt128(sum->sums[i], i)));
	total = DirectFunctionCall2(numeric_round, total, Int32GetDatum(sum->decimals));
	if (sum->others != NULL)
		total = DirectFunctionCall2(numeric_add, total, NumericGetDatum(sum->others));
	PG_RETURN_DATUM(total);
}
