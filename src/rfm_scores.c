/*
 * rfm_scores.c: from orders to scores and segments in one call.
 *
 * Collect, fit, score and label, without a history in between: of a customer
 * only the facts that scoring needs are ever kept.
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
#include "utils/tuplestore.h"

#include "local_day.h"
#include "purchase_collector.h"
#include "purchase_receiver.h"
#include "query_receiver.h"
#include "rfm_model.h"
#include "segment.h"

#define NO_PURCHASE PG_INT32_MIN /* the day of what is no purchase */

/* The columns of the result. */
enum
{
	CUSTOMER,
	RECENCY_DAYS,
	ORDERS,
	AMOUNT,
	R_SCORE,
	F_SCORE,
	M_SCORE,
	CELL,
	SEGMENT,
	RESULT_COLUMNS
};

typedef struct ScoreSink
{
	RfmPopulation population; /* must be first: a cursor over `customers` */
	DateADT as_of;
	DateADT after; /* last day before the period */
	CustomerKey key;
	PurchaseCollector *collector;
	RecordPool *pool;
	Size memory_limit;
	RecordStore customers; /* one record each: last day, orders, amount */
	RecordCursor cursor;
	bool reading;
	RecordBlock *block;
	char *next;
	RfmFacts facts;
} ScoreSink;

static void
StartScoring(void *arg, const CustomerKey *key, bool costs, int scale)
{
	ScoreSink *sink = arg;

	sink->key = *key;
	sink->memory_limit = HashMemoryLimit();
	sink->collector =
		CreatePurchaseCollector(sink->pool, key, PER_CUSTOMER, false, scale, sink->memory_limit);
}

/*
 * What a purchase says of its customer: the last day of an order, whether in
 * the period or before it; orders and amounts of the period only.
 */
static void
TakePurchase(void *arg, Datum customer, uint64 bits, PurchaseDay *purchase, int scale)
{
	ScoreSink *sink = arg;

	if (unlikely(purchase->day <= sink->after || purchase->day > sink->as_of))
	{
		bool earlier = purchase->day <= sink->as_of && purchase->orders > 0;

		purchase->day = earlier ? purchase->day : NO_PURCHASE;
		purchase->orders = 0;
		purchase->amount = 0;
	}
	else if (purchase->orders == 0)
		purchase->day = NO_PURCHASE;
	CollectPurchase(sink->collector, customer, bits, purchase, scale);
}

/* Keeps the facts of a customer. */
static void
KeepCustomer(void *arg, Datum customer, PurchaseDay *total, int64 ndays, int scale)
{
	ScoreSink *sink = arg;
	PurchaseRecord *record = AppendCustomer(&sink->customers, &sink->key, customer,
											sink->key.integer ? (uint64) customer : 0, scale);

	record->amount = total->amount;
	record->day = total->day;
	record->orders = total->orders;
	sink->population.scale = scale;
	if (sink->pool->used > sink->memory_limit)
		RecordStoreSpill(&sink->customers);
}

/* ---------- the customers as a population ---------- */

static void
RewindCustomers(RfmPopulation *population)
{
	ScoreSink *sink = (ScoreSink *) population;

	if (sink->reading)
		RecordCursorEnd(&sink->cursor);
	RecordCursorBegin(&sink->cursor, &sink->customers);
	sink->reading = true;
	sink->block = NULL;
}

static const PurchaseRecord *
NextCustomer(ScoreSink *sink)
{
	const PurchaseRecord *record;

	while (sink->block == NULL || sink->next >= sink->block->data + sink->block->used)
	{
		CHECK_FOR_INTERRUPTS();
		sink->block = RecordCursorNext(&sink->cursor);
		if (sink->block == NULL)
			return NULL;
		sink->next = sink->block->data;
	}
	record = (const PurchaseRecord *) sink->next;
	sink->next += SizeOfRecord(&sink->key, record);
	return record;
}

static const RfmFacts *
NextFacts(RfmPopulation *population)
{
	ScoreSink *sink = (ScoreSink *) population;
	const PurchaseRecord *record;

	while ((record = NextCustomer(sink)) != NULL)
	{
		if (record->orders == 0)
			continue;
		sink->facts.recency = sink->as_of - record->day;
		sink->facts.frequency = record->orders;
		sink->facts.monetary = record->amount;
		return &sink->facts;
	}
	return NULL;
}

/* ---------- the result ---------- */

/* Everything that a row of the result is made of, besides the customer. */
typedef struct ScoreWriter
{
	const RfmModel *model;
	const SchemeLookup *scheme; /* NULL: no segments */
	Datum cells[MAX_BINS * MAX_BINS * MAX_BINS];
} ScoreWriter;

static inline Datum *
CellText(ScoreWriter *writer, RfmScore score)
{
	int bins = writer->model->bins;

	return &writer->cells[((RFM_R(score) - 1) * bins + RFM_F(score) - 1) * bins + RFM_M(score) - 1];
}

static void
PrepareWriter(ScoreWriter *writer, const RfmModel *model, const SchemeLookup *scheme)
{
	writer->model = model;
	writer->scheme = scheme;
	for (int r = 1; r <= model->bins; r++)
		for (int f = 1; f <= model->bins; f++)
			for (int m = 1; m <= model->bins; m++)
				*CellText(writer, MakeRfmScore(r, f, m, model->bins)) =
					CStringGetTextDatum(psprintf("%d%d%d", r, f, m));
}

/* The amount with two decimals, or as many more as it has. */
static Datum
AmountNumeric(int64 amount, int scale)
{
	while (scale > 2 && amount % 10 == 0)
	{
		amount /= 10;
		scale--;
	}
	return NumericGetDatum(NumericFromInt128(amount, scale));
}

static void
WriteScores(ScoreWriter *writer, ScoreSink *sink, const PurchaseRecord *record, Datum *values,
			bool *nulls)
{
	text *segment = NULL;
	RfmScore score;

	memset(nulls, true, RESULT_COLUMNS * sizeof(bool));
	nulls[CUSTOMER] = false;
	values[CUSTOMER] = CustomerOfRecord(&sink->key, record);
	if (record->day == NO_PURCHASE)
		return;

	nulls[RECENCY_DAYS] = nulls[ORDERS] = nulls[AMOUNT] = false;
	values[RECENCY_DAYS] = Int32GetDatum(sink->as_of - record->day);
	values[ORDERS] = Int64GetDatum(record->orders);
	values[AMOUNT] = AmountNumeric(record->amount, sink->population.scale);
	if (record->orders == 0)
		return;

	nulls[R_SCORE] = nulls[F_SCORE] = nulls[M_SCORE] = nulls[CELL] = false;
	score = ScoreRfm(writer->model, sink->as_of - record->day, record->orders, record->amount,
					 sink->population.scale);
	values[R_SCORE] = Int32GetDatum(RFM_R(score));
	values[F_SCORE] = Int32GetDatum(RFM_F(score));
	values[M_SCORE] = Int32GetDatum(RFM_M(score));
	values[CELL] = *CellText(writer, score);
	if (writer->scheme != NULL)
		segment = SegmentOfCell(writer->scheme, RFM_R(score), RFM_F(score), RFM_M(score));
	nulls[SEGMENT] = segment == NULL;
	values[SEGMENT] = PointerGetDatum(segment);
}

/* The segments of the result; NULL for none. */
static const SchemeLookup *
SchemeArgument(FunctionCallInfo fcinfo, int argument, int bins)
{
	char *name;
	SchemeLookup *scheme;

	if (PG_ARGISNULL(argument))
		return NULL;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	scheme = DecodeScheme(CompileScheme(name));
	if (scheme->bins != bins)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("scheme \"%s\" is for %d bins, the scores have %d", name, scheme->bins, bins),
			 errhint("Name a scheme of %d bins, or scheme => NULL for scores without segments.",
					 bins)));
	return scheme;
}

/* (key anyelement, query text, as_of date, bins int, period interval, scheme text) */
PG_FUNCTION_INFO_V1(rfm_scores);
Datum
rfm_scores(PG_FUNCTION_ARGS)
{
	static const char *const function = "rfm_scores";
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	const char *query = QueryArgument(fcinfo, 1, function);
	ScoreSink sink = {.population = {.rewind = RewindCustomers, .next = NextFacts}};
	ScoreWriter writer;
	RfmModel model;
	const SchemeLookup *scheme;
	const PurchaseRecord *record;
	MemoryContext row_context;
	MemoryContext caller;
	int bins;

	if (PG_ARGISNULL(2))
		ereport(
			ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("as_of of %s must not be NULL", function),
			 errhint("Name the day to score at: as_of => current_date, or a day in the past.")));
	sink.as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	bins = PG_ARGISNULL(3) ? DEFAULT_BINS : CheckedBins(PG_GETARG_INT32(3));
	sink.after =
		PG_ARGISNULL(4) ? NO_PURCHASE : DayBeforePeriod(sink.as_of, PG_GETARG_INTERVAL_P(4));
	scheme = SchemeArgument(fcinfo, 5, bins);
	sink.pool = CreateRecordPool(CurrentMemoryContext);
	sink.customers.pool = sink.pool;

	StartBulkResult(fcinfo);
	ReceivePurchases(function, key_type, query, StartScoring, TakePurchase, &sink, NULL);
	DrainPurchaseCollector(sink.collector, KeepCustomer, &sink);

	memset(&model, 0, sizeof(model));
	model.bins = bins;
	(void) FitRfm(&model, &sink.population, bins, false);
	PrepareWriter(&writer, &model, scheme);

	row_context =
		AllocSetContextCreate(CurrentMemoryContext, "rfm_scores row", ALLOCSET_DEFAULT_SIZES);
	RewindCustomers(&sink.population);
	while ((record = NextCustomer(&sink)) != NULL)
	{
		Datum values[RESULT_COLUMNS];
		bool nulls[RESULT_COLUMNS];

		caller = MemoryContextSwitchTo(row_context);
		WriteScores(&writer, &sink, record, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	RecordCursorEnd(&sink.cursor);
	RecordStoreReset(&sink.customers);
	DeleteRecordPool(sink.pool);
	return (Datum) 0;
}
