/*
 * lifecycle.c: where a customer stands, and what the customers of a source are
 * like as a whole: how soon they come back, and where the value tiers begin.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "common.h"
#include "decimal.h"
#include "local_day.h"
#include "purchase_history.h"

/* ---------- lifecycle ---------- */

static int32
CheckedDays(int32 days, const char *what)
{
	if (days < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be at least 1, not %d", what, days)));
	return days;
}

/* (history, as_of, active_days [, inactive_days]): NULL without a purchase by then. */
PG_FUNCTION_INFO_V1(lifecycle);
Datum
lifecycle(PG_FUNCTION_ARGS)
{
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	int64 active = CheckedDays(PG_GETARG_INT32(2), "active_days");
	int64 inactive = PG_NARGS() > 3 ? CheckedDays(PG_GETARG_INT32(3), "inactive_days") : 2 * active;
	HistoryReader reader;
	PurchaseDay day;
	int64 first = 0;
	int64 last = 0;
	bool purchased = false;
	bool won_back = false;
	const char *word;

	if (inactive < active)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("inactive_days must not be below active_days"),
				 errdetail("They are " INT64_FORMAT " and " INT64_FORMAT ".", inactive, active)));
	HistoryReaderInit(&reader, PG_GETARG_HISTORY(0));
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		if (day.orders == 0)
			continue;
		if (!purchased)
			first = day.day;
		else if (day.day > as_of - active && day.day - last > inactive)
			won_back = true;
		purchased = true;
		last = day.day;
	}
	if (!purchased)
		PG_RETURN_NULL();
	if (last <= as_of - inactive)
		word = "inactive";
	else if (last <= as_of - active)
		word = "lapsing";
	else if (first > as_of - active)
		word = "new";
	else
		word = won_back ? "won back" : "active";
	PG_RETURN_TEXT_P(cstring_to_text(word));
}

/* ---------- customer_norms_fit ---------- */

/* Mean gaps are counted by whole days up to ten years. */
#define MOST_GAP_DAYS 3660
/* With fewer repeat buyers than this there is nothing to learn from. */
#define LEAST_REPEAT_BUYERS 20
/* Cumulative shares, in percent, at which the tiers A and B end. */
#define TIER_A_SHARE 80
#define TIER_B_SHARE 95

typedef struct NormsState
{
	int64 customers;
	int64 orders;
	DateADT newest;
	int64 gaps[MOST_GAP_DAYS + 1]; /* repeat buyers by mean gap, rounded up */
	int64 repeat_buyers;
	int64 *values; /* in units of 10^-scale, positive ones only */
	int64 nvalues;
	int64 capacity;
	int scale;
} NormsState;

/* Keeps what one customer is worth. */
static void
KeepValue(NormsState *state, int128 value, int scale)
{
	int64 narrow;

	if (value <= 0)
		return;
	if (scale > state->scale)
	{
		for (int64 i = 0; i < state->nvalues; i++)
			state->values[i] = Rescale(state->values[i], state->scale, scale);
		state->scale = scale;
	}
	if (value > PG_INT64_MAX)
		AmountOutOfRange();
	narrow = Rescale((int64) value, scale, state->scale);
	if (state->nvalues == state->capacity)
	{
		state->capacity *= 2;
		state->values = repalloc_huge(state->values, mul_size(state->capacity, sizeof(int64)));
	}
	state->values[state->nvalues++] = narrow;
}

/* (state, history, as_of, period, by_profit) */
PG_FUNCTION_INFO_V1(customer_norms_fit_transfn);
Datum
customer_norms_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "customer_norms_fit_transfn");
	NormsState *state = PG_ARGISNULL(0) ? NULL : (NormsState *) PG_GETARG_POINTER(0);
	HistoryWindow window = WHOLE_HISTORY;
	HistoryReader reader;
	PurchaseDay day;
	DateADT first = 0;
	DateADT last = 0;
	int64 purchase_days = 0;
	int128 value = 0;
	bool by_profit = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	MemoryContext caller = MemoryContextSwitchTo(context);

	if (state == NULL)
	{
		state = palloc0(sizeof(NormsState));
		state->newest = DATEVAL_NOBEGIN;
		state->capacity = 1024;
		state->values = palloc(state->capacity * sizeof(int64));
	}
	MemoryContextSwitchTo(caller);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);

	window.as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	if (!PG_ARGISNULL(3))
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(3));
	state->customers++;
	HistoryReaderInit(&reader, PG_GETARG_HISTORY(1));
	while (ReadPurchaseDay(&reader, &day))
	{
		state->orders += day.orders;
		if (day.orders > 0)
			state->newest = Max(state->newest, day.day);
		if (day.day > window.as_of)
			continue;
		if (day.orders > 0)
		{
			if (purchase_days++ == 0)
				first = day.day;
			last = day.day;
		}
		if (day.day > window.after)
			value += by_profit ? (int128) day.covered - day.cost : day.amount;
	}
	if (purchase_days > 1)
	{
		int64 days = ((int64) last - first + purchase_days - 2) / (purchase_days - 1);

		state->gaps[Min(days, MOST_GAP_DAYS)]++;
		state->repeat_buyers++;
	}
	if (purchase_days > 0)
		KeepValue(state, value, reader.scale);
	PG_RETURN_POINTER(state);
}

/* The days within which nine of ten repeat buyers come back, going by their mean gaps. */
static int
ActiveDays(const NormsState *state)
{
	int64 seen = 0;
	int days = 0;

	while (days < MOST_GAP_DAYS && (seen += state->gaps[days]) * 10 < state->repeat_buyers * 9)
		days++;
	return days;
}

static int
CompareDescending(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/*
 * The least values of tier A and B: a customer is in A if all who are worth more
 * have less than 80 % of the total together, in B with less than 95 %.  Equal
 * values so share a tier.
 */
static void
TierThresholds(const NormsState *state, int64 *a_from, int64 *b_from)
{
	int64 *sorted = state->values;
	int128 total = 0;
	int128 richer = 0;
	int64 next;

	qsort(sorted, state->nvalues, sizeof(int64), CompareDescending);
	for (int64 i = 0; i < state->nvalues; i++)
		total += sorted[i];
	for (int64 i = 0; i < state->nvalues; i = next)
	{
		if (richer * 100 < total * TIER_A_SHARE)
			*a_from = sorted[i];
		if (richer * 100 < total * TIER_B_SHARE)
			*b_from = sorted[i];
		else
			break;
		for (next = i; next < state->nvalues && sorted[next] == sorted[i]; next++)
			richer += sorted[next];
	}
}

/* The composite type customer_norms; NULL for no history at all. */
PG_FUNCTION_INFO_V1(customer_norms_fit_finalfn);
Datum
customer_norms_fit_finalfn(PG_FUNCTION_ARGS)
{
	NormsState *state = PG_ARGISNULL(0) ? NULL : (NormsState *) PG_GETARG_POINTER(0);
	TupleDesc columns;
	Datum values[6] = {0};
	bool nulls[6] = {false};
	int64 a_from = 0;
	int64 b_from = 0;

	(void) AggregateContext(fcinfo, "customer_norms_fit_finalfn");
	if (state == NULL || state->customers == 0)
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(state->customers);
	values[1] = Int64GetDatum(state->orders);
	nulls[2] = state->newest == DATEVAL_NOBEGIN;
	values[2] = DateADTGetDatum(state->newest);
	nulls[3] = state->repeat_buyers < LEAST_REPEAT_BUYERS;
	values[3] = Int32GetDatum(ActiveDays(state));
	nulls[4] = nulls[5] = state->nvalues == 0;
	if (state->nvalues > 0)
	{
		TierThresholds(state, &a_from, &b_from);
		values[4] = NumericGetDatum(NumericFromInt128(a_from, state->scale));
		values[5] = NumericGetDatum(NumericFromInt128(b_from, state->scale));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
