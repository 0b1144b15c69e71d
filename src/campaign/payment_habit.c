/*
 * payment_habit.c: how late a customer pays: what is usual, what is recent, and whether they
 * differ.
 *
 * The test is that of Mann and Whitney: days late are whole numbers, mostly equal, with a few very
 * large ones, so ranks are compared, with the normal approximation, corrected for ties and for
 * continuity.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"

#include "base/common.h"
#include "base/two_samples.h"

#define MIN_PAYMENTS 5 /* of each kind: below, the approximation is not good enough */

/* Days late, times two, plus one for a recent payment: sorting brings equal days together. */
typedef struct HabitState
{
	MemoryContext context;
	int64 npayments;
	int64 room;
	int64 *payments;
} HabitState;

#define ST_SORT SortPayments
#define ST_ELEMENT_TYPE int64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* (state, days late, whether it is recent); NULLs are skipped */
PG_FUNCTION_INFO_V1(payment_habit_transfn);
Datum
payment_habit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "payment_habit_transfn");
	HabitState *state = PG_ARGISNULL(0) ? NULL : (HabitState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_STATE(state);
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(HabitState));
		state->context = context;
	}
	if (state->npayments == state->room)
		state->payments = GrownArray(context, state->payments, &state->room, sizeof(int64));
	state->payments[state->npayments++] =
		(int64) PG_GETARG_INT32(1) * 2 + (PG_GETARG_BOOL(2) ? 1 : 0);
	PG_RETURN_POINTER(state);
}

static inline bool
IsRecent(int64 payment)
{
	return (payment & 1) != 0;
}

static inline int64
DaysLate(int64 payment)
{
	return (payment - (payment & 1)) / 2;
}

/* The median of the recent payments, or of the earlier ones, `n` of them, all sorted. */
static double
MedianOf(const HabitState *state, bool recent, int64 n)
{
	int64 seen = 0;
	int64 low = 0;

	for (int64 i = 0; i < state->npayments; i++)
	{
		if (IsRecent(state->payments[i]) != recent)
			continue;
		if (seen == (n - 1) / 2)
			low = DaysLate(state->payments[i]);
		if (seen == n / 2)
			return ((double) low + (double) DaysLate(state->payments[i])) / 2;
		seen++;
	}
	return NAN;
}

/* How far the recent payments rank above the earlier ones, as a standard normal; NaN: all tied. */
static double
RankDifference(const HabitState *state, double recent, double earlier)
{
	double all = recent + earlier;
	double ranks = 0;
	double ties = 0;
	double distance;
	double variance;

	for (int64 i = 0, next; i < state->npayments; i = next)
	{
		double tied;
		int64 of_recent = 0;

		for (next = i; next < state->npayments &&
					   DaysLate(state->payments[next]) == DaysLate(state->payments[i]);
			 next++)
			of_recent += IsRecent(state->payments[next]);
		tied = (double) (next - i);
		ranks += (double) of_recent * ((double) i + (tied + 1) / 2);
		ties += tied * tied * tied - tied;
	}
	distance = ranks - recent * (recent + 1) / 2 - recent * earlier / 2;
	variance = recent * earlier / 12 * (all + 1 - ties / (all * (all - 1)));
	if (variance <= 0)
		return NAN;
	return copysign(Max(fabs(distance) - 0.5, 0.0), distance) / sqrt(variance);
}

/* A row of earlier, recent, usual_days_late, recent_days_late, z, p_value. */
PG_FUNCTION_INFO_V1(payment_habit_finalfn);
Datum
payment_habit_finalfn(PG_FUNCTION_ARGS)
{
	HabitState *state = PG_ARGISNULL(0) ? NULL : (HabitState *) PG_GETARG_POINTER(0);
	bool nulls[6] = {false, false, true, true, true, true};
	Datum values[6] = {0};
	int64 recent = 0;
	int64 earlier;
	double z = NAN;

	(void) AggregateContext(fcinfo, "payment_habit_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	SortPayments(state->payments, state->npayments);
	for (int64 i = 0; i < state->npayments; i++)
		recent += IsRecent(state->payments[i]);
	earlier = state->npayments - recent;
	values[0] = Int64GetDatum(earlier);
	values[1] = Int64GetDatum(recent);
	nulls[2] = earlier == 0;
	if (earlier > 0)
		values[2] = Float8GetDatum(MedianOf(state, false, earlier));
	nulls[3] = recent == 0;
	if (recent > 0)
		values[3] = Float8GetDatum(MedianOf(state, true, recent));
	if (Min(earlier, recent) >= MIN_PAYMENTS)
		z = RankDifference(state, (double) recent, (double) earlier);
	nulls[4] = nulls[5] = isnan(z);
	values[4] = Float8GetDatum(z);
	values[5] = Float8GetDatum(NormalTwoSided(z));
	return RowDatum(fcinfo, values, nulls);
}
