/*
 * history_accessors.c: functions of a purchase history and an as-of date.
 *
 * Every accessor considers the days up to as_of, with a period only those after as_of - period, and
 * without either the whole history.  All are strict.  The result is NULL if there is no purchase on
 * or before as_of; if there is one, but neither purchase nor refund in the period, counts and
 * amounts are 0.  A refund alone has an amount, and an unknown profit.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "base/local_day.h"
#include "history/history_memo.h"

/* The window given by the arguments (history [, as_of [, period]]). */
static HistoryWindow
WindowArguments(FunctionCallInfo fcinfo)
{
	HistoryWindow window = WHOLE_HISTORY;

	if (PG_NARGS() > 1)
		window.as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	if (PG_NARGS() > 2)
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(2));
	return window;
}

/* The sums over that window. */
static inline const HistorySummary *
SummaryOfArguments(FunctionCallInfo fcinfo)
{
	return RecallSummary(PG_GETARG_HISTORY(0), WindowArguments(fcinfo));
}

PG_FUNCTION_INFO_V1(first_purchase);
Datum
first_purchase(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased || summary->purchase_days == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(summary->first);
}

PG_FUNCTION_INFO_V1(last_purchase);
Datum
last_purchase(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased || summary->purchase_days == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(summary->last);
}

PG_FUNCTION_INFO_V1(recency);
Datum
recency(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	PG_RETURN_INT32(PG_GETARG_DATEADT(1) - summary->last_ever);
}

PG_FUNCTION_INFO_V1(tenure);
Datum
tenure(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	PG_RETURN_INT32(PG_GETARG_DATEADT(1) - summary->first);
}

PG_FUNCTION_INFO_V1(frequency);
Datum
frequency(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	PG_RETURN_INT64(summary->orders);
}

PG_FUNCTION_INFO_V1(purchase_days);
Datum
purchase_days(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) summary->purchase_days);
}

PG_FUNCTION_INFO_V1(monetary);
Datum
monetary(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(NumericFromInt128(summary->amount, summary->scale));
}

/* Whether there is a purchase or a refund in the window. */
static bool
AnythingInView(const PurchaseHistory *history, HistoryWindow window)
{
	HistoryReader reader;
	PurchaseDay day;

	RecallHistory(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= window.as_of)
		if (day.day > window.after)
			return true;
	return false;
}

/* Purchases without a known cost: unknown; no purchases: 0. */
bool
ProfitIsKnown(const PurchaseHistory *history, HistoryWindow window, const HistorySummary *summary)
{
	return summary->costs || !(summary->orders > 0 || AnythingInView(history, window));
}

PG_FUNCTION_INFO_V1(profit);
Datum
profit(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased)
		PG_RETURN_NULL();
	if (!ProfitIsKnown(PG_GETARG_HISTORY(0), WindowArguments(fcinfo), summary))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(NumericFromInt128(summary->covered - summary->cost, summary->scale));
}

PG_FUNCTION_INFO_V1(cost_coverage);
Datum
cost_coverage(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased || summary->amount == 0)
		PG_RETURN_NULL();
	/* not -0 if refunds outweigh the orders */
	PG_RETURN_FLOAT8(summary->covered == 0 ? 0.0
										   : (double) summary->covered / (double) summary->amount);
}

PG_FUNCTION_INFO_V1(average_order_value);
Datum
average_order_value(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased || summary->orders == 0)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(NumericQuotient(summary->amount, summary->scale, summary->orders));
}

PG_FUNCTION_INFO_V1(mean_gap);
Datum
mean_gap(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryOfArguments(fcinfo);

	if (!summary->purchased || summary->purchase_days < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) (summary->last - summary->first) /
					 (double) (summary->purchase_days - 1));
}

/* The sample standard deviation; the sums are exact integers, so nothing cancels. */
PG_FUNCTION_INFO_V1(gap_stddev);
Datum
gap_stddev(PG_FUNCTION_ARGS)
{
	HistoryReader reader;
	HistoryWindow window = WindowArguments(fcinfo);
	PurchaseDay day;
	DateADT previous = 0;
	int64 purchase_days = 0;
	int64 gaps;
	int128 sum = 0;
	int128 squares = 0;

	RecallHistory(&reader, PG_GETARG_HISTORY(0));
	while (ReadPurchaseDay(&reader, &day) && day.day <= window.as_of)
	{
		if (day.day <= window.after || day.orders == 0)
			continue;
		if (purchase_days++ > 0)
		{
			int64 gap = (int64) day.day - previous;

			sum += gap;
			squares += (int128) gap * gap;
		}
		previous = day.day;
	}
	gaps = purchase_days - 1;
	if (gaps < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(
		sqrt((double) (gaps * squares - sum * sum) / ((double) gaps * (double) (gaps - 1))));
}

/* An amount as a float: the exact decimal, rounded once. */
static double
AmountAsFloat8(int128 amount, int scale)
{
	return TotalAsDouble(amount) / (double) PowerOfTen[scale];
}

/*
 * The amounts in a window and in the one before it; false without a purchase by its end.  Days are
 * read from the end, since most windows end late.
 */
static bool
AmountsInTurn(const PurchaseHistory *history, HistoryWindow now, DateADT before, int128 *recent,
			  int128 *earlier, int *scale)
{
	int64 ndays;
	PurchaseDay *decoded = NULL;
	const PurchaseDay *days = RecallDays(history, &ndays, scale);
	bool purchased = false;

	if (days == NULL)
	{
		*scale = HistoryScale(history);
		days = decoded = DecodeHistory(history, *scale, &ndays);
	}
	*recent = *earlier = 0;
	for (int64 i = ndays - 1; i >= 0 && !(purchased && days[i].day <= before); i--)
	{
		if (days[i].day > now.as_of)
			continue;
		purchased |= days[i].orders > 0;
		if (days[i].day > now.after)
			*recent += days[i].amount;
		else if (days[i].day > before)
			*earlier += days[i].amount;
	}
	if (decoded != NULL)
		pfree(decoded);
	return purchased;
}

PG_FUNCTION_INFO_V1(trend);
Datum
trend(PG_FUNCTION_ARGS)
{
	HistoryWindow now = WindowArguments(fcinfo);
	DateADT before = DayBeforePeriod(now.after, PG_GETARG_INTERVAL_P(2));
	int128 recent;
	int128 earlier;
	int scale;
	double sum;

	if (!AmountsInTurn(PG_GETARG_HISTORY(0), now, before, &recent, &earlier, &scale))
		PG_RETURN_NULL();
	sum = AmountAsFloat8(recent + earlier, scale);
	if (sum <= 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(AmountAsFloat8(recent - earlier, scale) / sum);
}

PG_FUNCTION_INFO_V1(monthly_purchases);
Datum
monthly_purchases(PG_FUNCTION_ARGS)
{
	HistoryReader reader;
	HistoryWindow window = WindowArguments(fcinfo);
	PurchaseDay day;
	int64 orders[MONTHS_PER_YEAR] = {0};
	Datum months[MONTHS_PER_YEAR];
	bool purchased = false;

	RecallHistory(&reader, PG_GETARG_HISTORY(0));
	while (ReadPurchaseDay(&reader, &day) && day.day <= window.as_of)
	{
		int y;
		int m;
		int d;

		if (day.orders == 0)
			continue;
		purchased = true;
		if (day.day <= window.after)
			continue;
		j2date(day.day + POSTGRES_EPOCH_JDATE, &y, &m, &d);
		orders[m - 1] += day.orders;
	}
	if (!purchased)
		PG_RETURN_NULL();
	for (int m = 0; m < MONTHS_PER_YEAR; m++)
		months[m] = Int64GetDatum(orders[m]);
	PG_RETURN_ARRAYTYPE_P(construct_array(months, MONTHS_PER_YEAR, INT8OID, sizeof(int64),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
