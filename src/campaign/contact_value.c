/*
 * contact_value.c: what a customer ordered between two days, for millions of contacts.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/date.h"

#include "base/decimal.h"
#include "history/history_memo.h"

/* (history, after, until): the days after one day, up to another */
static const HistorySummary *
SummaryBetween(FunctionCallInfo fcinfo)
{
	HistoryWindow window = {.after = PG_GETARG_DATEADT(1), .as_of = PG_GETARG_DATEADT(2)};

	return RecallSummary(PG_GETARG_HISTORY(0), window);
}

PG_FUNCTION_INFO_V1(orders_between);
Datum
orders_between(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(SummaryBetween(fcinfo)->orders);
}

/* (history, after, until, by_profit); refunds alone count, too */
PG_FUNCTION_INFO_V1(value_between);
Datum
value_between(PG_FUNCTION_ARGS)
{
	const HistorySummary *summary = SummaryBetween(fcinfo);
	int128 value = PG_GETARG_BOOL(3) ? summary->covered - summary->cost : summary->amount;

	PG_RETURN_NUMERIC(NumericFromInt128(value, summary->scale));
}
