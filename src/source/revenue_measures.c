/*
 * revenue_measures.c: what revenue_forecast sums over all customers: the expected amounts of the
 * next 90 days with their variances, by age of the customer, and the past amounts beside them.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "clv/clv_question.h"
#include "clv/spend.h"
#include "history/purchase_history.h"

#define PERIOD_DAYS 90
#define YEAR_DAYS 365
#define AGES 4            /* in full periods since the first purchase; the last group: or more */
#define GROUPS (AGES + 2) /* and customers without an order */
#define DECIMALS 1e6      /* expected amounts are summed in millionths, so in any order */
#define MOST 1e30         /* of an expected amount that counts */

/* Customers who first bought in the same period. */
typedef struct RevenueGroup
{
	int64 customers;
	int64 predicted; /* customers with a prediction */
	int128 expected; /* in units of 10^-MAX_SCALE, as all sums */
	int128 variance;
	int128 arrived;
	int128 last_year_so_far;
	int128 last_year_new;
} RevenueGroup;

typedef struct RevenueState
{
	int scale; /* the largest of the amounts */
	RevenueGroup groups[GROUPS];
} RevenueState;

/*
 * The amount, or profit, of the days after the first up to the second, in units of 10^-MAX_SCALE.
 * Refunds of somebody who had not bought by then are amounts, but no profit.
 */
static int128
AmountBetween(const PurchaseHistory *history, DateADT before, DateADT until, bool by_profit)
{
	HistoryReader reader;
	PurchaseDay day;
	int128 sum = 0;
	bool bought = false;

	RecallHistory(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= until)
	{
		bought |= day.orders > 0;
		if (day.day > before)
			sum += by_profit ? (int128) day.covered - day.cost : (int128) day.amount;
	}
	return by_profit && !bought ? 0 : sum * PowerOfTen[MAX_SCALE - reader.scale];
}

static int128
Millionths(double amount)
{
	double units = rint(Max(-MOST, Min(MOST, amount)) * DECIMALS);

	return fabs(units) < 9e18 ? (int128) (int64) units : (int128) units;
}

/* Adds the expected amount of the question's customer, and its variance. */
static void
AddOutlook(RevenueGroup *group, const Question *question)
{
	const ClvModel *model = question->predictor->model;
	PurchaseForecast purchases = ForecastOfQuestion(question);
	SpendForecast spend = ForecastSpend(model, model->spend_parameters, question->facts, true);
	double expected = purchases.mean * spend.value;
	double variance = VarianceOfTotal(purchases.mean, purchases.variance, &spend);

	if (isnan(expected) || isnan(variance))
		return;
	group->predicted++;
	group->expected += Millionths(expected);
	group->variance += Millionths(variance);
}

/* (state, history, model, as_of, by_profit) */
PG_FUNCTION_INFO_V1(revenue_measures_transfn);
Datum
revenue_measures_transfn(PG_FUNCTION_ARGS)
{
	static const Interval period = {.day = PERIOD_DAYS};
	MemoryContext context = AggregateContext(fcinfo, "revenue_measures_transfn");
	RevenueState *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(RevenueState))
										  : (RevenueState *) PG_GETARG_POINTER(0);
	const PurchaseHistory *history;
	const PurchaseSummary *facts;
	DateADT as_of;
	bool by_profit;
	uint64 serial;
	int age;
	RevenueGroup *group;
	int128 last_year;
	Question question;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		PG_RETURN_POINTER(state);
	history = PG_GETARG_HISTORY(1);
	as_of = CheckedDay(PG_GETARG_DATEADT(3), "as_of");
	by_profit = PG_GETARG_BOOL(4);
	facts = RecallPurchases(history, as_of, by_profit ? VALUE_PROFIT : VALUE_REVENUE, &serial);
	age = facts->purchase_days == 0 ? GROUPS - 1 : Min((as_of - facts->first) / PERIOD_DAYS, AGES);
	state->scale = Max(state->scale, HistoryScale(history));
	group = &state->groups[age];
	group->customers++;
	if (age < AGES)
		group->arrived += AmountBetween(history, as_of - PERIOD_DAYS * (age + 1),
										as_of - PERIOD_DAYS * age, by_profit);
	last_year =
		AmountBetween(history, as_of - YEAR_DAYS, as_of - YEAR_DAYS + PERIOD_DAYS, by_profit);
	if (facts->purchase_days > 0 && facts->first > as_of - YEAR_DAYS)
		group->last_year_new += last_year;
	else
		group->last_year_so_far += last_year;
	if (!PG_ARGISNULL(2) && AskQuestion(fcinfo, 1, &period, 0, &question) &&
		KnowsValue(question.predictor->model))
		AddOutlook(group, &question);
	PG_RETURN_POINTER(state);
}

/* (state, state) */
PG_FUNCTION_INFO_V1(revenue_measures_combine);
Datum
revenue_measures_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "revenue_measures_combine");
	RevenueState *state = PG_ARGISNULL(0) ? NULL : (RevenueState *) PG_GETARG_POINTER(0);
	const RevenueState *other =
		PG_ARGISNULL(1) ? NULL : (const RevenueState *) PG_GETARG_POINTER(1);

	if (other != NULL && state == NULL)
		state = MemoryContextAllocZero(context, sizeof(RevenueState));
	for (int i = 0; other != NULL && i < GROUPS; i++)
	{
		RevenueGroup *group = &state->groups[i];
		const RevenueGroup *more = &other->groups[i];

		group->customers += more->customers;
		group->predicted += more->predicted;
		group->expected += more->expected;
		group->variance += more->variance;
		group->arrived += more->arrived;
		group->last_year_so_far += more->last_year_so_far;
		group->last_year_new += more->last_year_new;
	}
	if (other != NULL)
		state->scale = Max(state->scale, other->scale);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(revenue_measures_serialize);
Datum
revenue_measures_serialize(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "revenue_measures_serialize");
	return SerializedState(PG_GETARG_POINTER(0), sizeof(RevenueState));
}

PG_FUNCTION_INFO_V1(revenue_measures_deserialize);
Datum
revenue_measures_deserialize(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(DeserializedState(fcinfo, sizeof(RevenueState)));
}

/* A sum in its display scale. */
static Datum
SumDatum(int128 sum, int scale)
{
	return NumericGetDatum(NumericFromInt128(sum / PowerOfTen[MAX_SCALE - scale], scale));
}

/* An array of revenue_measures. */
PG_FUNCTION_INFO_V1(revenue_measures_finalfn);
Datum
revenue_measures_finalfn(PG_FUNCTION_ARGS)
{
	const RevenueState *state =
		PG_ARGISNULL(0) ? NULL : (const RevenueState *) PG_GETARG_POINTER(0);
	RowArray rows;

	(void) AggregateContext(fcinfo, "revenue_measures_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	for (int age = 0; age < GROUPS; age++)
	{
		const RevenueGroup *group = &state->groups[age];
		bool nulls[7] = {age == GROUPS - 1, false, group->predicted == 0, group->predicted == 0};
		Datum values[7] = {Int32GetDatum(age),
						   Int64GetDatum(group->customers),
						   SumDatum(group->expected, MAX_SCALE),
						   SumDatum(group->variance, MAX_SCALE),
						   SumDatum(group->arrived, state->scale),
						   SumDatum(group->last_year_so_far, state->scale),
						   SumDatum(group->last_year_new, state->scale)};

		if (group->customers > 0)
			AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}
