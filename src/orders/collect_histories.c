/*
 * collect_histories.c: collect_purchase_histories, the bulk function from
 * orders to histories.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/caller_query.h"
#include "base/progress.h"
#include "base/row_stream.h"
#include "history/purchase_history.h"
#include "orders/collect_histories.h"
#include "orders/order_query.h"
#include "orders/order_workers.h"

struct HistoryCollection
{
	OrderQuery *query;
	Progress progress;
};

HistoryCollection *
CollectHistories(const char *function, Oid key_type, const char *query, const char *progress,
				 int round_to, bool lenient, Oid order_operator, Oid order_collation)
{
	HistoryCollection *collection = palloc0(sizeof(HistoryCollection));

	collection->query = CreateOrderQuery(function, key_type, PER_DAY);
	collection->query->task.lenient = lenient;
	collection->query->task.round_amount = collection->query->task.round_cost = round_to;
	collection->progress.label = progress;
	if (progress != NULL)
		collection->query->progress = &collection->progress;
	collection->query->task.order_operator = order_operator;
	collection->query->task.order_collation = order_collation;
	RunOrderQuery(collection->query, query);
	StartProgress(&collection->progress, "histories made", "customers");
	if (OidIsValid(order_operator))
		FinishCustomers(collection->query);
	return collection;
}

bool
NextHistory(HistoryCollection *collection, Datum *customer, PurchaseHistory **history)
{
	if (!NextCustomerHistory(collection->query, customer, history))
	{
		FinishProgress(&collection->progress);
		return false;
	}
	CountProgress(&collection->progress);
	return true;
}

void
EndHistories(HistoryCollection *collection)
{
	EndOrderQuery(collection->query);
	pfree(collection);
}

/* ---------- the functions ---------- */

static bool
NextRow(void *state, Datum *values, bool *nulls)
{
	PurchaseHistory *history;

	if (!NextHistory(state, &values[0], &history))
		return false;
	values[1] = PointerGetDatum(history);
	nulls[0] = nulls[1] = false;
	return true;
}

static void
End(void *state)
{
	EndHistories(state);
}

/* (key anyelement, query text [, progress text, amount_scale integer]) */
static void
StartCollection(FunctionCallInfo fcinfo, RowStream *rows, const char *function, bool lenient)
{
	rows->state = CollectHistories(function, KeyArgumentType(fcinfo, 0, function),
								   QueryArgument(fcinfo, 1, function), ProgressArgument(fcinfo, 2),
								   AmountScaleArgument(fcinfo, 3), lenient, InvalidOid, InvalidOid);
	rows->next = NextRow;
	rows->end = End;
}

static void
StartCollectPurchaseHistories(FunctionCallInfo fcinfo, RowStream *rows)
{
	StartCollection(fcinfo, rows, "collect_purchase_histories", false);
}

PG_FUNCTION_INFO_V1(collect_purchase_histories);
Datum
collect_purchase_histories(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartCollectPurchaseHistories);
}

/* Skips rows that are not purchases instead of raising an error. */
static void
StartCollectValidHistories(FunctionCallInfo fcinfo, RowStream *rows)
{
	StartCollection(fcinfo, rows, "collect_valid_histories", true);
}

PG_FUNCTION_INFO_V1(collect_valid_histories);
Datum
collect_valid_histories(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartCollectValidHistories);
}

void
InitCollectHistories(void)
{
	RegisterRowStream(collect_purchase_histories, StartCollectPurchaseHistories, NULL, NULL,
					  EXPLAINS_QUERY);
	RegisterRowStream(collect_valid_histories, StartCollectValidHistories, NULL, NULL,
					  EXPLAINS_QUERY);
}
