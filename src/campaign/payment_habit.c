/*
 * payment_habit.c: how late a customer pays: what is usual, what is recent, whether they differ,
 * and which payments become later than usual on a day.
 *
 * The test is that of Mann and Whitney: days late are whole numbers, mostly equal, with a few very
 * large ones, so ranks are compared, with the normal approximation, corrected for ties and for
 * continuity.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/common.h"
#include "base/two_samples.h"

#define MIN_PAYMENTS 5    /* of each kind: below, the approximation is not good enough */
#define FIRST_PAYMENTS 16 /* most customers have few: room to begin with */

/* Days late, with two bits below: sorting brings equal days together. */
#define RECENT 1
#define OPEN 2

typedef struct HabitState
{
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

/* The array, with room for one more. */
static void *
RoomForOne(MemoryContext context, void *array, int64 n, int64 *room, Size size)
{
	if (n < *room)
		return array;
	*room = Max(FIRST_PAYMENTS, *room * 2);
	return array == NULL ? MemoryContextAlloc(context, *room * size)
						 : repalloc_huge(array, mul_size(*room, size));
}

/* (state, days late, whether it is recent, whether it is open); NULLs are skipped */
PG_FUNCTION_INFO_V1(payment_habit_transfn);
Datum
payment_habit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "payment_habit_transfn");
	HabitState *state = PG_ARGISNULL(0) ? NULL : (HabitState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(HabitState));
	state->payments =
		RoomForOne(context, state->payments, state->npayments, &state->room, sizeof(int64));
	state->payments[state->npayments++] = (int64) PG_GETARG_INT32(1) * 4 +
										  (PG_GETARG_BOOL(2) ? RECENT : 0) +
										  (PG_GETARG_BOOL(3) ? OPEN : 0);
	PG_RETURN_POINTER(state);
}

static inline bool
IsRecent(int64 payment)
{
	return (payment & RECENT) != 0;
}

static inline int64
DaysLate(int64 payment)
{
	return (payment - (payment & (RECENT | OPEN))) / 4;
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

/* A row of payments, late, overdue, overdue_days, usual_days_late, recent_days_late, z, p_value. */
PG_FUNCTION_INFO_V1(payment_habit_finalfn);
Datum
payment_habit_finalfn(PG_FUNCTION_ARGS)
{
	HabitState *state = PG_ARGISNULL(0) ? NULL : (HabitState *) PG_GETARG_POINTER(0);
	bool nulls[8] = {false};
	Datum values[8] = {0};
	int64 recent = 0;
	int64 late = 0;
	int64 open = 0;
	int64 earlier;
	double z = NAN;

	(void) AggregateContext(fcinfo, "payment_habit_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	SortPayments(state->payments, state->npayments);
	for (int64 i = 0; i < state->npayments; i++)
	{
		int64 payment = state->payments[i];

		recent += IsRecent(payment);
		late += DaysLate(payment) > 0;
		if ((payment & OPEN) == 0)
			continue;
		open++;
		values[3] = Int32GetDatum((int32) DaysLate(payment));
	}
	earlier = state->npayments - recent;
	values[0] = Int64GetDatum(state->npayments);
	values[1] = Int64GetDatum(late);
	values[2] = Int64GetDatum(open);
	nulls[3] = open == 0;
	nulls[4] = earlier == 0;
	if (earlier > 0)
		values[4] = Float8GetDatum(MedianOf(state, false, earlier));
	nulls[5] = recent == 0;
	if (recent > 0)
		values[5] = Float8GetDatum(MedianOf(state, true, recent));
	if (Min(earlier, recent) >= MIN_PAYMENTS)
		z = RankDifference(state, (double) recent, (double) earlier);
	nulls[6] = nulls[7] = isnan(z);
	values[6] = Float8GetDatum(z);
	if (!isnan(z))
		values[7] = Float8GetDatum(NormalTwoSided(z));
	return RowDatum(fcinfo, values, nulls);
}

/* ---------- payments that become later than usual on a day ---------- */

#define NOT_PAID DATEVAL_NOEND

typedef struct Payment
{
	DateADT due;
	DateADT paid;
	Datum amount; /* of one that is open on the day, and 0: not known, or not needed */
} Payment;

/* A customer's payments that were due by a day, and within how many days no other alarm is given.
 */
typedef struct AlarmState
{
	DateADT day;
	int32 pause;
	int64 npayments;
	int64 room;
	Payment *payments;
} AlarmState;

/* (state, due_on, paid_on, amount, day, pause); payments without a due day are skipped */
PG_FUNCTION_INFO_V1(payment_alarm_transfn);
Datum
payment_alarm_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "payment_alarm_transfn");
	AlarmState *state = PG_ARGISNULL(0) ? NULL : (AlarmState *) PG_GETARG_POINTER(0);
	Payment payment;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(4) || PG_ARGISNULL(5))
		PG_RETURN_STATE(state);
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(AlarmState));
		state->day = PG_GETARG_DATEADT(4);
		state->pause = Max(PG_GETARG_INT32(5), 1);
	}
	payment = (Payment){PG_GETARG_DATEADT(1), PG_ARGISNULL(2) ? NOT_PAID : PG_GETARG_DATEADT(2), 0};
	if (payment.paid > state->day && !PG_ARGISNULL(3))
	{
		MemoryContext before = MemoryContextSwitchTo(context);

		payment.amount = datumCopy(PG_GETARG_DATUM(3), false, -1);
		MemoryContextSwitchTo(before);
	}
	state->payments =
		RoomForOne(context, state->payments, state->npayments, &state->room, sizeof(Payment));
	state->payments[state->npayments++] = payment;
	PG_RETURN_POINTER(state);
}

#define ST_SORT SortByPaid
#define ST_ELEMENT_TYPE Payment
#define ST_COMPARE(a, b) ((a)->paid < (b)->paid ? -1 : (a)->paid > (b)->paid)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT SortByDue
#define ST_ELEMENT_TYPE Payment
#define ST_COMPARE(a, b) ((a)->due < (b)->due ? -1 : (a)->due > (b)->due)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static inline int64
DaysTaken(const Payment *payment)
{
	return (int64) payment->paid - payment->due;
}

/* Whether one may become later than usual on the day: no median is above the largest. */
static bool
MayAlarm(const AlarmState *state)
{
	int64 newest = PG_INT64_MAX; /* days of the newest of those that are open */
	int64 largest = 0;

	for (int64 i = 0; i < state->npayments; i++)
	{
		const Payment *payment = &state->payments[i];

		if (payment->paid <= state->day)
			largest = Max(largest, DaysTaken(payment));
		else if (payment->due < state->day)
			newest = Min(newest, (int64) state->day - 1 - payment->due);
	}
	return newest <= largest;
}

/*
 * Some of `all` sorted numbers, and how many of each: a tree of sums (Fenwick), so that a customer
 * with very many payments costs no more for each of them.
 */
typedef struct Chosen
{
	int64 n;
	int64 all;
	int64 *sorted;
	int64 *sums; /* from 1 on */
} Chosen;

static Chosen
ChooseAmong(const Payment *payments, int64 n)
{
	Chosen chosen = {0, n, palloc_extended(n * sizeof(int64), MCXT_ALLOC_HUGE),
					 palloc_extended((n + 1) * sizeof(int64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO)};

	for (int64 i = 0; i < n; i++)
		chosen.sorted[i] = DaysTaken(&payments[i]);
	SortPayments(chosen.sorted, n);
	return chosen;
}

static void
Choose(Chosen *chosen, int64 number)
{
	int64 low = 0;
	int64 high = chosen->all;

	while (low < high)
	{
		int64 middle = low + (high - low) / 2;

		if (chosen->sorted[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	for (int64 i = low + 1; i <= chosen->all; i += i & -i)
		chosen->sums[i]++;
	chosen->n++;
}

/* The chosen number with `rank` others before it. */
static int64
ChosenOfRank(const Chosen *chosen, int64 rank)
{
	int64 at = 0;

	for (int64 step = INT64CONST(1) << pg_leftmost_one_pos64(chosen->all); step > 0; step /= 2)
		if (at + step <= chosen->all && chosen->sums[at + step] <= rank)
			rank -= chosen->sums[at += step];
	return chosen->sorted[at];
}

/* Twice the median of the chosen ones; 0: none, or it is below 0. */
static int64
TwiceUsual(const Chosen *chosen)
{
	if (chosen->n == 0)
		return 0;
	return Max(ChosenOfRank(chosen, (chosen->n - 1) / 2) + ChosenOfRank(chosen, chosen->n / 2), 0);
}

/*
 * The day on which each payment became later than usual, for payments sorted by the due day; the
 * day after state->day: not by then.  What was usual is the median of what was paid by the due
 * day, so that the past does not change.
 */
static void
FindAlarms(const AlarmState *state, const Payment *paid, int64 *alarms)
{
	Chosen taken = ChooseAmong(paid, state->npayments);

	for (int64 i = 0; i < state->npayments; i++)
	{
		const Payment *payment = &state->payments[i];

		CHECK_FOR_INTERRUPTS();
		while (taken.n < state->npayments && paid[taken.n].paid <= payment->due)
		{
			CHECK_FOR_INTERRUPTS();
			Choose(&taken, DaysTaken(&paid[taken.n]));
		}
		/* the first day of more days than the median, which may be half a day */
		alarms[i] = (int64) payment->due + 1 + TwiceUsual(&taken) / 2;
		if (payment->paid <= alarms[i] || alarms[i] > state->day)
			alarms[i] = (int64) state->day + 1;
	}
	pfree(taken.sorted);
	pfree(taken.sums);
}

/* Whether an alarm is given on the day, and not left out for one within the pause before. */
static bool
IsGiven(const AlarmState *state, const int64 *alarms)
{
	Size size = state->npayments * sizeof(int64);
	int64 *sorted = memcpy(palloc_extended(size, MCXT_ALLOC_HUGE), alarms, size);
	int64 given = PG_INT64_MIN;

	SortPayments(sorted, state->npayments);
	for (int64 i = 0; i < state->npayments && sorted[i] <= state->day; i++)
		if (given == PG_INT64_MIN || sorted[i] >= given + state->pause)
			given = sorted[i];
	pfree(sorted);
	return given == state->day;
}

/* A row of due_on, payments, amount of those of the day. */
static Datum
AlarmOfDay(FunctionCallInfo fcinfo, const AlarmState *state, const int64 *alarms)
{
	bool nulls[3] = {false, false, true};
	Datum values[3] = {0};
	int64 npayments = 0;

	for (int64 i = 0; i < state->npayments; i++)
	{
		const Payment *payment = &state->payments[i];

		if (alarms[i] != state->day)
			continue;
		if (npayments++ == 0)
			values[0] = DateADTGetDatum(payment->due);
		if (payment->amount == 0)
			continue;
		values[2] = nulls[2] ? payment->amount
							 : DirectFunctionCall2(numeric_add, values[2], payment->amount);
		nulls[2] = false;
	}
	values[1] = Int64GetDatum(npayments);
	return RowDatum(fcinfo, values, nulls);
}

/* A row of due_on, payments, amount; NULL: none becomes later than usual on the day */
PG_FUNCTION_INFO_V1(payment_alarm_finalfn);
Datum
payment_alarm_finalfn(PG_FUNCTION_ARGS)
{
	AlarmState *state = PG_ARGISNULL(0) ? NULL : (AlarmState *) PG_GETARG_POINTER(0);
	Payment *paid;
	int64 *alarms;
	Size size;

	(void) AggregateContext(fcinfo, "payment_alarm_finalfn");
	if (state == NULL || !MayAlarm(state))
		PG_RETURN_NULL();
	size = state->npayments * sizeof(Payment);
	paid = memcpy(palloc_extended(size, MCXT_ALLOC_HUGE), state->payments, size);
	alarms = palloc_extended(state->npayments * sizeof(int64), MCXT_ALLOC_HUGE);
	SortByPaid(paid, state->npayments);
	SortByDue(state->payments, state->npayments);
	FindAlarms(state, paid, alarms);
	if (!IsGiven(state, alarms))
		PG_RETURN_NULL();
	return AlarmOfDay(fcinfo, state, alarms);
}
