/*
 * value_tenths.c: how much of the value is with which tenth of the customers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/local_day.h"
#include "history/history_memo.h"

#define TENTHS 10

typedef struct ValueState
{
	int scale; /* the largest of the amounts */
	int64 nvalues;
	int64 capacity;
	int128 *values; /* of customers, in units of 10^-MAX_SCALE */
} ValueState;

#define ST_SORT SortValuesDescending
#define ST_ELEMENT_TYPE int128
#define ST_COMPARE(a, b) (*(a) < *(b) ? 1 : *(a) > *(b) ? -1 : 0)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* (state, history, as_of, period, by_profit): customers who have bought by then */
PG_FUNCTION_INFO_V1(value_tenths_transfn);
Datum
value_tenths_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "value_tenths_transfn");
	ValueState *state = PG_ARGISNULL(0) ? NULL : (ValueState *) PG_GETARG_POINTER(0);
	HistoryWindow window = WHOLE_HISTORY;
	const HistorySummary *summary;

	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(ValueState));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4))
		PG_RETURN_POINTER(state);
	window.as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	if (!PG_ARGISNULL(3))
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(3));
	summary = RecallSummary(PG_GETARG_HISTORY(1), window);
	if (!summary->purchased)
		PG_RETURN_POINTER(state);
	state->scale = Max(state->scale, summary->scale);
	if (state->nvalues == state->capacity)
		state->values = GrownArray(context, state->values, &state->capacity, sizeof(int128));
	state->values[state->nvalues++] =
		(PG_GETARG_BOOL(4) ? summary->covered - summary->cost : summary->amount) *
		PowerOfTen[MAX_SCALE - summary->scale];
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(value_tenths_combine);
Datum
value_tenths_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "value_tenths_combine");
	ValueState *state = PG_ARGISNULL(0) ? NULL : (ValueState *) PG_GETARG_POINTER(0);
	const ValueState *other = PG_ARGISNULL(1) ? NULL : (ValueState *) PG_GETARG_POINTER(1);

	if (other != NULL && state == NULL)
		state = MemoryContextAllocZero(context, sizeof(ValueState));
	if (other != NULL)
	{
		state->scale = Max(state->scale, other->scale);
		state->values = AppendedArray(context, state->values, &state->nvalues, &state->capacity,
									  other->values, other->nvalues, sizeof(int128));
	}
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(value_tenths_serialize);
Datum
value_tenths_serialize(PG_FUNCTION_ARGS)
{
	const ValueState *state;

	(void) AggregateContext(fcinfo, "value_tenths_serialize");
	state = (ValueState *) PG_GETARG_POINTER(0);
	return SerializedArray(&state->scale, sizeof(state->scale), state->values, state->nvalues,
						   sizeof(int128), "value_tenths");
}

PG_FUNCTION_INFO_V1(value_tenths_deserialize);
Datum
value_tenths_deserialize(PG_FUNCTION_ARGS)
{
	ValueState *state = palloc0(sizeof(ValueState));

	(void) AggregateContext(fcinfo, "value_tenths_deserialize");
	state->values = DeserializedArray(fcinfo, &state->scale, sizeof(state->scale), &state->nvalues,
									  sizeof(int128));
	PG_RETURN_POINTER(state);
}

/* What a tenth adds up to. */
typedef struct Tenth
{
	int64 customers;
	int128 value;
	int128 above;    /* of the values above 0 */
	int128 weighted; /* the same, by rank: from n - 1 for the highest down to 1 - n */
} Tenth;

static void
AddToTenth(Tenth *tenth, int128 value, int64 weight)
{
	int128 above = Max(value, 0);
	int128 weighted;

	tenth->customers++;
	tenth->value += value;
	tenth->above += above;
	if (__builtin_mul_overflow(above, (int128) weight, &weighted) ||
		__builtin_add_overflow(tenth->weighted, weighted, &tenth->weighted))
		ereport(
			ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the values of the customers are out of range"),
			 errdetail("Their number times their sum has more than 32 digits before the point.")));
}

static Numeric
NumericOfUnits(int128 amount, int scale)
{
	return NumericFromInt128(amount / PowerOfTen[MAX_SCALE - scale], scale);
}

/* An array of value_tenth, the best tenth first; those without customers are left out. */
PG_FUNCTION_INFO_V1(value_tenths_finalfn);
Datum
value_tenths_finalfn(PG_FUNCTION_ARGS)
{
	ValueState *state = PG_ARGISNULL(0) ? NULL : (ValueState *) PG_GETARG_POINTER(0);
	Tenth tenths[TENTHS] = {{0}};
	bool nulls[5] = {false};
	RowArray rows;
	int64 n;

	(void) AggregateContext(fcinfo, "value_tenths_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	n = state->nvalues;
	SortValuesDescending(state->values, n);
	for (int64 i = 0; i < n; i++)
		AddToTenth(&tenths[i * TENTHS / n], state->values[i], n - 1 - 2 * i);
	BeginRowArray(fcinfo, &rows);
	for (int t = 0; t < TENTHS; t++)
	{
		Datum values[5] = {Int32GetDatum(t + 1), Int64GetDatum(tenths[t].customers),
						   NumericGetDatum(NumericOfUnits(tenths[t].value, state->scale)),
						   NumericGetDatum(NumericOfUnits(tenths[t].above, state->scale)),
						   NumericGetDatum(NumericOfUnits(tenths[t].weighted, state->scale))};

		if (tenths[t].customers > 0)
			AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}
