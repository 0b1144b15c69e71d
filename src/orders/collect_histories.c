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
#include "orders/order_partitions.h"
#include "orders/order_rows.h"

struct HistoryCollection
{
	RecordPool *pool;
	OrderPartitions *orders;
	Progress progress;
};

static void
StartCollecting(void *sink, const CustomerKey *key, bool costs, int scale)
{
	HistoryCollection *collection = sink;

	collection->orders =
		CreateOrderPartitions(collection->pool, key, PER_DAY, costs, scale, HashMemoryLimit());
}

static void
AddOrder(void *sink, Datum customer, uint64 bits, PurchaseDay *purchase, int scale)
{
	AddPurchase(((HistoryCollection *) sink)->orders, customer, bits, purchase, scale);
}

HistoryCollection *
CollectHistories(const char *function, Oid key_type, const char *query, const char *progress,
				 bool lenient)
{
	HistoryCollection *collection = palloc0(sizeof(HistoryCollection));

	collection->pool = CreateRecordPool(CurrentMemoryContext);
	collection->progress.label = progress;
	ReceivePurchases(function, key_type, query, StartCollecting, AddOrder, collection,
					 progress != NULL ? &collection->progress : NULL, lenient);
	StartProgress(&collection->progress, "histories made", "customers");
	return collection;
}

bool
NextHistory(HistoryCollection *collection, Datum *customer, PurchaseHistory **history)
{
	CustomerPurchases next;

	if (!NextCustomerPurchases(collection->orders, &next))
	{
		FinishProgress(&collection->progress);
		return false;
	}
	*customer = next.customer;
	*history = EncodeSortedHistory(next.days, next.ndays, next.scale);
	CountProgress(&collection->progress);
	return true;
}

void
EndHistories(HistoryCollection *collection)
{
	EndOrderPartitions(collection->orders);
	DeleteRecordPool(collection->pool);
	pfree(collection);
}

/* ---------- collect_purchase_histories ---------- */

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

/* (key anyelement, query text [, progress text]) */
static void
StartCollectPurchaseHistories(FunctionCallInfo fcinfo, RowStream *rows)
{
	static const char *const function = "collect_purchase_histories";

	rows->state =
		CollectHistories(function, KeyArgumentType(fcinfo, 0, function),
						 QueryArgument(fcinfo, 1, function), ProgressArgument(fcinfo, 2), false);
	rows->next = NextRow;
	rows->end = End;
}

PG_FUNCTION_INFO_V1(collect_purchase_histories);
Datum
collect_purchase_histories(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartCollectPurchaseHistories);
}

/* ---------- collect_valid_histories ---------- */

/*
 * (key anyelement, query text): the same, but skips rows that are not purchases instead of raising
 * an error
 */
static void
StartCollectValidHistories(FunctionCallInfo fcinfo, RowStream *rows)
{
	static const char *const function = "collect_valid_histories";

	rows->state = CollectHistories(function, KeyArgumentType(fcinfo, 0, function),
								   QueryArgument(fcinfo, 1, function), NULL, true);
	rows->next = NextRow;
	rows->end = End;
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
	RegisterRowStream(collect_purchase_histories, StartCollectPurchaseHistories);
	RegisterRowStream(collect_valid_histories, StartCollectValidHistories);
}
