/*
 * value_tiers.c: A, B and C by cumulative share of value: the rule, the aggregate that fits the
 * thresholds to estimated values, and the tier of a value.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "history/history_memo.h"
#include "source/value_tiers.h"

/* Bits of the largest estimate as an integer; exact sums of them fit 128 bits. */
#define ESTIMATE_BITS 62

typedef struct TierState
{
	double *values; /* positive ones only */
	int64 nvalues;
	int64 capacity;
} TierState;

#define ST_SORT SortDescending
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? 1 : *(a) > *(b) ? -1 : 0)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
TierThresholds(int64 *values, int64 nvalues, int64 *a_from, int64 *b_from)
{
	int128 total = 0;
	int128 richer = 0;
	int64 next;

	SortDescending(values, nvalues);
	for (int64 i = 0; i < nvalues; i++)
		total += values[i];
	for (int64 i = 0; i < nvalues; i = next)
	{
		if (richer * 100 < total * TIER_A_SHARE)
			*a_from = values[i];
		if (richer * 100 < total * TIER_B_SHARE)
			*b_from = values[i];
		else
			break;
		for (next = i; next < nvalues && values[next] == values[i]; next++)
			richer += values[next];
	}
}

/* The highest of the values, which are sorted, that is below `from`; 0: there is none. */
static int64
NextLower(const int64 *values, int64 nvalues, int64 from)
{
	int64 first = 0;
	int64 last = nvalues;

	while (first < last)
	{
		int64 middle = first + (last - first) / 2;

		if (values[middle] >= from)
			first = middle + 1;
		else
			last = middle;
	}
	return first < nvalues ? values[first] : 0;
}

int64
RoundThreshold(int64 below, int64 from)
{
	int64 unit = 1;

	while (unit <= from / 10)
		unit *= 10;
	/* at the latest by ones it is between them */
	while ((below / unit + 1) * (int128) unit > from)
		unit /= 10;
	return (below / unit + 1) * unit;
}

/* The same for estimates; where no power of ten has its digits, the estimate itself. */
static double
RoundEstimate(double below, double from)
{
	int exponent = (int) floor(log10(from));

	for (int digits = 0; digits < DBL_DIG; digits++)
	{
		double unit = pow(10, exponent - digits);
		double round = (floor(below / unit) + 1) * unit;

		if (unit > 0 && round > below && round <= from)
			return round;
	}
	return from;
}

/* (state, value) */
PG_FUNCTION_INFO_V1(value_tiers_fit_transfn);
Datum
value_tiers_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "value_tiers_fit_transfn");
	TierState *state = PG_ARGISNULL(0) ? NULL : (TierState *) PG_GETARG_POINTER(0);
	double value;

	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(TierState));
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	value = PG_GETARG_FLOAT8(1);
	if (!isfinite(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value of a customer is not finite"), errdetail("It is %g.", value)));
	if (value <= 0)
		PG_RETURN_POINTER(state);
	if (state->nvalues == state->capacity)
		state->values = GrownArray(context, state->values, &state->capacity, sizeof(double));
	state->values[state->nvalues++] = value;
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(value_tiers_fit_combine);
Datum
value_tiers_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "value_tiers_fit_combine");
	TierState *state = PG_ARGISNULL(0) ? NULL : (TierState *) PG_GETARG_POINTER(0);
	const TierState *other = PG_ARGISNULL(1) ? NULL : (TierState *) PG_GETARG_POINTER(1);

	if (other != NULL && state == NULL)
		state = MemoryContextAllocZero(context, sizeof(TierState));
	if (other != NULL)
		state->values = AppendedArray(context, state->values, &state->nvalues, &state->capacity,
									  other->values, other->nvalues, sizeof(double));
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(value_tiers_fit_serialize);
Datum
value_tiers_fit_serialize(PG_FUNCTION_ARGS)
{
	const TierState *state;

	(void) AggregateContext(fcinfo, "value_tiers_fit_serialize");
	state = (TierState *) PG_GETARG_POINTER(0);
	return SerializedArray(NULL, 0, state->values, state->nvalues, sizeof(double),
						   "value_tiers_fit");
}

PG_FUNCTION_INFO_V1(value_tiers_fit_deserialize);
Datum
value_tiers_fit_deserialize(PG_FUNCTION_ARGS)
{
	TierState *state = palloc0(sizeof(TierState));

	(void) AggregateContext(fcinfo, "value_tiers_fit_deserialize");
	state->values = DeserializedArray(fcinfo, NULL, 0, &state->nvalues, sizeof(double));
	PG_RETURN_POINTER(state);
}

/*
 * The composite type value_tiers; NULL if no customer has a positive value.  Estimates are
 * truncated to multiples of a power of two, far below their precision, so that sums are exact and
 * do not depend on the order of the rows.
 */
PG_FUNCTION_INFO_V1(value_tiers_fit_finalfn);
Datum
value_tiers_fit_finalfn(PG_FUNCTION_ARGS)
{
	TierState *state = PG_ARGISNULL(0) ? NULL : (TierState *) PG_GETARG_POINTER(0);
	Datum thresholds[2];
	bool nulls[2] = {false};
	double largest = 0;
	int64 *values;
	int64 a_from = 0;
	int64 b_from = 0;
	int exponent;
	int shift;

	(void) AggregateContext(fcinfo, "value_tiers_fit_finalfn");
	if (state == NULL || state->nvalues == 0)
		PG_RETURN_NULL();
	for (int64 i = 0; i < state->nvalues; i++)
		largest = Max(largest, state->values[i]);
	(void) frexp(largest, &exponent);
	shift = ESTIMATE_BITS - exponent;
	values = palloc_extended(mul_size(state->nvalues, sizeof(int64)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < state->nvalues; i++)
		values[i] = (int64) ldexp(state->values[i], shift);
	TierThresholds(values, state->nvalues, &a_from, &b_from);
	thresholds[0] = Float8GetDatum(
		RoundEstimate(ldexp((double) NextLower(values, state->nvalues, a_from), -shift),
					  ldexp((double) a_from, -shift)));
	thresholds[1] = Float8GetDatum(
		RoundEstimate(ldexp((double) NextLower(values, state->nvalues, b_from), -shift),
					  ldexp((double) b_from, -shift)));
	pfree(values);
	PG_RETURN_DATUM(RowDatum(fcinfo, thresholds, nulls));
}

/* 'A', 'B' or 'C'; without thresholds all are 'C'. */
static Datum
TierWord(bool is_a, bool is_b)
{
	static const char *const tiers[] = {"A", "B", "C"};
	static text *kept[lengthof(tiers)];
	int tier = is_a ? 0 : is_b ? 1 : 2;

	return ConstantText(&kept[tier], tiers[tier]);
}

/* (value, a_from, b_from), double precision */
PG_FUNCTION_INFO_V1(value_tier);
Datum
value_tier(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return TierWord(!PG_ARGISNULL(1) && PG_GETARG_FLOAT8(0) >= PG_GETARG_FLOAT8(1),
					!PG_ARGISNULL(2) && PG_GETARG_FLOAT8(0) >= PG_GETARG_FLOAT8(2));
}

/* The same, numeric. */
PG_FUNCTION_INFO_V1(value_tier_numeric);
Datum
value_tier_numeric(PG_FUNCTION_ARGS)
{
	bool at_least[2];

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	for (int i = 0; i < 2; i++)
		at_least[i] =
			!PG_ARGISNULL(i + 1) && DatumGetBool(DirectFunctionCall2(numeric_ge, PG_GETARG_DATUM(0),
																	 PG_GETARG_DATUM(i + 1)));
	return TierWord(at_least[0], at_least[1]);
}

/* The same where no threshold is NULL: a function of its own, since it is strict. */
PG_FUNCTION_INFO_V1(value_tier_strict);
Datum
value_tier_strict(PG_FUNCTION_ARGS)
{
	return value_tier(fcinfo);
}

/* ---------- the tier and the decile of a history ---------- */

/* Values are in units of 10^-MAX_SCALE. */
#define VALUE_UNITS(mantissa, scale) ((int128) (mantissa) *PowerOfTen[MAX_SCALE - (scale)])

/*
 * The value of the arguments (history, as_of, by_profit, …, period): profit() or monetary().  The
 * period is the argument of that number, if there are so many.  False if the value is NULL.
 */
static bool
ValueOfArguments(FunctionCallInfo fcinfo, int period, int128 *value)
{
	const PurchaseHistory *history = PG_GETARG_HISTORY(0);
	HistoryWindow window = WHOLE_HISTORY;
	const HistorySummary *summary;

	window.as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	if (PG_NARGS() > period)
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(period));
	summary = RecallSummary(history, window);
	if (!summary->purchased)
		return false;
	if (PG_GETARG_BOOL(2) && !ProfitIsKnown(history, window, summary))
		return false;
	*value = VALUE_UNITS(PG_GETARG_BOOL(2) ? summary->covered - summary->cost : summary->amount,
						 summary->scale);
	return true;
}

/* A least value: most are amounts, some are infinite or have more digits. */
typedef struct LeastValue
{
	int128 value;
	Datum number; /* the numeric, if it is no amount; else 0 */
} LeastValue;

static inline LeastValue
LeastValueOf(Datum number)
{
	LeastValue least = {.number = number};
	Decimal amount;

	if (likely(ReadDecimal(number, &amount) == AMOUNT_FINE))
	{
		least.number = (Datum) 0;
		least.value = VALUE_UNITS(amount.mantissa, amount.scale);
	}
	return least;
}

static bool
ReachesNumber(int128 value, Datum least)
{
	return DatumGetBool(DirectFunctionCall2(
		numeric_ge, NumericGetDatum(NumericFromInt128(value, MAX_SCALE)), least));
}

static inline bool
Reaches(int128 value, const LeastValue *least)
{
	return likely(least->number == (Datum) 0) ? value >= least->value
											  : ReachesNumber(value, least->number);
}

/* (history, as_of, by_profit, a_from, b_from [, period]) */
PG_FUNCTION_INFO_V1(value_tier_of_history);
Datum
value_tier_of_history(PG_FUNCTION_ARGS)
{
	LeastValue a = LeastValueOf(PG_GETARG_DATUM(3));
	LeastValue b = LeastValueOf(PG_GETARG_DATUM(4));
	int128 value;

	if (!ValueOfArguments(fcinfo, 5, &value))
		PG_RETURN_NULL();
	return TierWord(Reaches(value, &a), Reaches(value, &b));
}

/* The lowest values of the deciles from the second on, kept from row to row. */
typedef struct Deciles
{
	MemoryContext context;
	struct varlena *array; /* as it came */
	int n;
	LeastValue *from;
} Deciles;

static void
ReadDeciles(Deciles *deciles, struct varlena *came)
{
	MemoryContext caller = MemoryContextSwitchTo(deciles->context);
	Datum *elements;
	bool *nulls;

	/* an error on the way must not leave behind what looks valid */
	deciles->array = NULL;
	MemoryContextReset(deciles->context);
	/* a copy: numbers that are no amounts stay where they are */
	deconstruct_array(DatumGetArrayTypePCopy(PointerGetDatum(came)), NUMERICOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &deciles->n);
	deciles->from = palloc(deciles->n * sizeof(LeastValue));
	for (int i = 0; i < deciles->n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("thresholds of deciles must not be NULL")));
		deciles->from[i] = LeastValueOf(elements[i]);
	}
	deciles->array = CopyToRecognize(came);
	MemoryContextSwitchTo(caller);
}

static const Deciles *
DecilesArgument(FunctionCallInfo fcinfo, int argument)
{
	FmgrInfo *function = fcinfo->flinfo;
	struct varlena *came = (struct varlena *) DatumGetPointer(PG_GETARG_DATUM(argument));
	Deciles *deciles = function->fn_extra;

	if (unlikely(deciles == NULL))
	{
		deciles = MemoryContextAllocZero(function->fn_mcxt, sizeof(Deciles));
		deciles->context =
			AllocSetContextCreate(function->fn_mcxt, "deciles", ALLOCSET_SMALL_SIZES);
		function->fn_extra = deciles;
	}
	if (!IsRecognized(deciles->array, came))
		ReadDeciles(deciles, came);
	return deciles;
}

/* (history, as_of, by_profit, deciles [, period]): 1 + how many deciles begin above the value. */
PG_FUNCTION_INFO_V1(value_decile);
Datum
value_decile(PG_FUNCTION_ARGS)
{
	const Deciles *deciles = DecilesArgument(fcinfo, 3);
	int128 value;
	int reached = 0;

	if (!ValueOfArguments(fcinfo, 4, &value))
		PG_RETURN_NULL();
	while (reached < deciles->n && Reaches(value, &deciles->from[reached]))
		reached++;
	PG_RETURN_INT32(1 + deciles->n - reached);
}
