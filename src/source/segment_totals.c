/*
 * segment_totals.c: aggregates for views over a million customers: the median, and the sum of
 * floats as their decimal texts.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/decimal_sum.h"
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

static DecimalSum *
DecimalSumOf(FunctionCallInfo fcinfo, MemoryContext context)
{
	return PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(DecimalSum))
						   : (DecimalSum *) PG_GETARG_POINTER(0);
}

/* (state, number) */
PG_FUNCTION_INFO_V1(decimal_sum_transfn);
Datum
decimal_sum_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "decimal_sum_transfn");
	DecimalSum *sum = DecimalSumOf(fcinfo, context);

	if (!PG_ARGISNULL(1))
		AddToDecimalSum(sum, PG_GETARG_FLOAT8(1), context);
	PG_RETURN_POINTER(sum);
}

/* (state, state) */
PG_FUNCTION_INFO_V1(decimal_sum_combine);
Datum
decimal_sum_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "decimal_sum_combine");
	DecimalSum *sum = DecimalSumOf(fcinfo, context);

	if (!PG_ARGISNULL(1))
		CombineDecimalSums(sum, (const DecimalSum *) PG_GETARG_POINTER(1), context);
	PG_RETURN_POINTER(sum);
}

PG_FUNCTION_INFO_V1(decimal_sum_serialize);
Datum
decimal_sum_serialize(PG_FUNCTION_ARGS)
{
	StringInfoData out;

	(void) AggregateContext(fcinfo, "decimal_sum_serialize");
	pq_begintypsend(&out);
	SendDecimalSum(&out, (const DecimalSum *) PG_GETARG_POINTER(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(decimal_sum_deserialize);
Datum
decimal_sum_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	DecimalSum *sum = palloc(sizeof(DecimalSum));
	StringInfoData in;

	(void) AggregateContext(fcinfo, "decimal_sum_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	ReceiveDecimalSum(&in, sum);
	PG_RETURN_POINTER(sum);
}

PG_FUNCTION_INFO_V1(decimal_sum_finalfn);
Datum
decimal_sum_finalfn(PG_FUNCTION_ARGS)
{
	Numeric total = PG_ARGISNULL(0) ? NULL : TotalOfDecimalSum((DecimalSum *) PG_GETARG_POINTER(0));

	(void) AggregateContext(fcinfo, "decimal_sum_finalfn");
	if (total == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(total);
}
