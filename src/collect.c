/*
 * collect.c: collect_purchase_histories, the bulk road from orders to histories.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "collect.h"
#include "purchase_collector.h"
#include "purchase_history.h"
#include "purchase_receiver.h"
#include "query_receiver.h"

typedef struct HistorySink
{
	RecordPool *pool;
	PurchaseCollector *collector;
	HistoryConsumer take;
	void *consumer;
	Progress progress;
} HistorySink;

static void
StartCollecting(void *sink, const CustomerKey *key, bool costs, int scale)
{
	((HistorySink *) sink)->collector = CreatePurchaseCollector(
		((HistorySink *) sink)->pool, key, PER_DAY, costs, scale, HashMemoryLimit());
}

static void
Collect(void *sink, Datum customer, uint64 bits, PurchaseDay *purchase, int scale)
{
	CollectPurchase(((HistorySink *) sink)->collector, customer, bits, purchase, scale);
}

static void
EmitHistory(void *arg, Datum customer, PurchaseDay *days, int64 ndays, int scale)
{
	HistorySink *sink = arg;

	sink->take(sink->consumer, customer, EncodeSortedHistory(days, ndays, scale));
	CountProgress(&sink->progress);
}

void
CollectHistories(const char *function, Oid key_type, const char *query, const char *progress,
				 HistoryConsumer take, void *consumer)
{
	HistorySink sink = {0};

	sink.take = take;
	sink.consumer = consumer;
	sink.progress.label = progress;
	sink.pool = CreateRecordPool(CurrentMemoryContext);
	ReceivePurchases(function, key_type, query, StartCollecting, Collect, &sink,
					 progress != NULL ? &sink.progress : NULL);
	StartProgress(&sink.progress, "histories made", "customers");
	DrainPurchaseCollector(sink.collector, EmitHistory, &sink);
	FinishProgress(&sink.progress);
	DeleteRecordPool(sink.pool);
}

/* One row of the result. */
static void
ReturnHistory(void *consumer, Datum customer, PurchaseHistory *history)
{
	ReturnSetInfo *result = consumer;
	Datum values[2] = {customer, PointerGetDatum(history)};
	bool nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(history);
}

/* (key anyelement, query text [, progress text]) */
PG_FUNCTION_INFO_V1(collect_purchase_histories);
Datum
collect_purchase_histories(PG_FUNCTION_ARGS)
{
	static const char *const function = "collect_purchase_histories";
	Oid key_type = KeyArgumentType(fcinfo, 0, function);

	StartBulkResult(fcinfo);
	CollectHistories(function, key_type, QueryArgument(fcinfo, 1, function),
					 ProgressArgument(fcinfo, 2), ReturnHistory, fcinfo->resultinfo);
	return (Datum) 0;
}
