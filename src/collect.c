/*
 * collect.c: collect_purchase_histories, the bulk road from orders to histories.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "purchase_collector.h"
#include "purchase_history.h"
#include "purchase_receiver.h"
#include "query_receiver.h"

typedef struct HistorySink
{
	RecordPool *pool;
	PurchaseCollector *collector;
	ReturnSetInfo *result;
} HistorySink;

static void
StartCollecting(void *sink, const CustomerKey *key, bool costs, int scale)
{
	((HistorySink *) sink)->collector = CreatePurchaseCollector(((HistorySink *) sink)->pool, key,
																PER_DAY, costs, scale,
																HashMemoryLimit());
}

static void
Collect(void *sink, Datum customer, uint64 bits, PurchaseDay *purchase, int scale)
{
	CollectPurchase(((HistorySink *) sink)->collector, customer, bits, purchase, scale);
}

/* One row of the result. */
static void
EmitHistory(void *sink, Datum customer, PurchaseDay *days, int64 ndays, int scale)
{
	ReturnSetInfo *result = ((HistorySink *) sink)->result;
	PurchaseHistory *history = EncodeSortedHistory(days, ndays, scale);
	Datum		values[2] = {customer, PointerGetDatum(history)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(history);
}

/* (key anyelement, query text) */
PG_FUNCTION_INFO_V1(collect_purchase_histories);
Datum
collect_purchase_histories(PG_FUNCTION_ARGS)
{
	static const char *const function = "collect_purchase_histories";
	HistorySink sink = {0};
	Oid			key_type = KeyArgumentType(fcinfo, 0, function);

	InitMaterializedSRF(fcinfo, 0);
	sink.result = (ReturnSetInfo *) fcinfo->resultinfo;
	sink.pool = CreateRecordPool(CurrentMemoryContext);
	ReceivePurchases(function, key_type, QueryArgument(fcinfo, 1, function), StartCollecting,
					 Collect, &sink);
	DrainPurchaseCollector(sink.collector, EmitHistory, &sink);
	DeleteRecordPool(sink.pool);
	return (Datum) 0;
}
