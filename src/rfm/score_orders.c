/*
 * score_orders.c: from orders to scores and segments in one call.
 *
 * Collects, fits, scores and labels without making histories: only recency, frequency and monetary
 * value of each customer are kept.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/caller_query.h"
#include "base/local_day.h"
#include "base/row_stream.h"
#include "orders/order_partitions.h"
#include "orders/order_rows.h"
#include "rfm/rfm_fit.h"
#include "rfm/score_orders.h"
#include "rfm/segment_scheme.h"

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

/* What a row of the result is made from, besides the customer. */
typedef struct ScoreWriter
{
	RfmModel model;
	const SegmentScheme *scheme; /* NULL for no segments */
	Datum cells[MAX_BINS * MAX_BINS * MAX_BINS];
} ScoreWriter;

typedef struct ScoreScan
{
	RfmPopulation population; /* must be first: a cursor over `customers` */
	DateADT as_of;
	DateADT after; /* last day before the period */
	OrderPartitions *orders;
	RecordPool *pool;
	Size memory_limit;
	RecordFormat format;
	RecordStore customers; /* one record each: last day, orders, amount */
	RecordCursor cursor;
	bool reading;
	RecordBlock *block;
	char *next;
	ScoreWriter writer;
} ScoreScan;

/* ---------- the facts of every customer ---------- */

static void
StartScoring(void *arg, const CustomerKey *key, bool costs, int scale)
{
	ScoreScan *scan = arg;

	scan->format.key = *key;
	scan->memory_limit = HashMemoryLimit();
	scan->orders =
		CreateOrderPartitions(scan->pool, key, PER_CUSTOMER, false, scale, scan->memory_limit);
}

/*
 * Adds a purchase to its customer: the day of an order even before the period, orders and amounts
 * within the period only.
 */
static void
AddPurchaseOfPeriod(void *arg, Datum customer, uint64 bits, PurchaseDay *purchase, int scale)
{
	ScoreScan *scan = arg;

	if (unlikely(purchase->day <= scan->after || purchase->day > scan->as_of))
	{
		bool earlier = purchase->day <= scan->as_of && purchase->orders > 0;

		purchase->day = earlier ? purchase->day : NO_DAY;
		purchase->orders = 0;
		purchase->amount = 0;
	}
	else if (purchase->orders == 0)
		purchase->day = NO_DAY;
	AddPurchase(scan->orders, customer, bits, purchase, scale);
}

/* Keeps the values of all customers, which scoring reads more than once. */
static void
KeepCustomers(ScoreScan *scan)
{
	CustomerPurchases next;

	while (NextCustomerPurchases(scan->orders, &next))
	{
		AppendPurchase(&scan->customers, &scan->format, next.customer,
					   scan->format.key.integer ? (uint64) next.customer : 0, next.days,
					   next.scale);
		scan->population.scale = next.scale;
		if (scan->pool->used > scan->memory_limit)
			RecordStoreSpill(&scan->customers);
	}
	EndOrderPartitions(scan->orders);
}

/* ---------- the customers as a population ---------- */

static void
RewindCustomers(RfmPopulation *population)
{
	ScoreScan *scan = (ScoreScan *) population;

	if (scan->reading)
		RecordCursorEnd(&scan->cursor);
	RecordCursorBegin(&scan->cursor, &scan->customers);
	scan->reading = true;
	scan->block = NULL;
}

/* The next customer, with the sum of all purchases; NULL at the end. */
static const PackedPurchase *
NextCustomer(ScoreScan *scan, PurchaseDay *total)
{
	const PackedPurchase *record;

	while (scan->block == NULL || scan->next >= scan->block->data + scan->block->used)
	{
		CHECK_FOR_INTERRUPTS();
		scan->block = RecordCursorNext(&scan->cursor);
		if (scan->block == NULL)
			return NULL;
		scan->next = scan->block->data;
	}
	record = (const PackedPurchase *) scan->next;
	scan->next += RecordSize(record, &scan->format);
	ReadRecord(record, &scan->format, total);
	return record;
}

static int
NextRfmValues(RfmPopulation *population, RfmValues *rfm)
{
	ScoreScan *scan = (ScoreScan *) population;
	PurchaseDay total;
	int n = 0;

	while (n < RFM_BATCH && NextCustomer(scan, &total) != NULL)
		if (total.orders > 0)
			rfm[n++] = (RfmValues){.recency = scan->as_of - total.day,
								   .frequency = total.orders,
								   .monetary = total.amount};
	return n;
}

/* ---------- the result ---------- */

static inline Datum *
CellText(ScoreWriter *writer, RfmScore score)
{
	int bins = writer->model.bins;

	return &writer->cells[((RFM_R(score) - 1) * bins + RFM_F(score) - 1) * bins + RFM_M(score) - 1];
}

static void
PrepareCells(ScoreWriter *writer)
{
	int bins = writer->model.bins;

	for (int r = 1; r <= bins; r++)
		for (int f = 1; f <= bins; f++)
			for (int m = 1; m <= bins; m++)
				*CellText(writer, MakeRfmScore(r, f, m, bins)) =
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

static bool
NextScores(void *state, Datum *values, bool *nulls)
{
	ScoreScan *scan = state;
	ScoreWriter *writer = &scan->writer;
	PurchaseDay total;
	const PackedPurchase *record = NextCustomer(scan, &total);
	text *segment = NULL;
	RfmScore score;

	if (record == NULL)
		return false;
	memset(nulls, true, RESULT_COLUMNS * sizeof(bool));
	nulls[CUSTOMER] = false;
	values[CUSTOMER] = RecordCustomer(record, &scan->format);
	if (total.day == NO_DAY)
		return true;

	nulls[RECENCY_DAYS] = nulls[ORDERS] = nulls[AMOUNT] = false;
	values[RECENCY_DAYS] = Int32GetDatum(scan->as_of - total.day);
	values[ORDERS] = Int64GetDatum(total.orders);
	values[AMOUNT] = AmountNumeric(total.amount, scan->population.scale);
	if (total.orders == 0)
		return true;

	nulls[R_SCORE] = nulls[F_SCORE] = nulls[M_SCORE] = nulls[CELL] = false;
	score = ScoreRfm(&writer->model, scan->as_of - total.day, total.orders, total.amount,
					 scan->population.scale);
	values[R_SCORE] = Int32GetDatum(RFM_R(score));
	values[F_SCORE] = Int32GetDatum(RFM_F(score));
	values[M_SCORE] = Int32GetDatum(RFM_M(score));
	values[CELL] = *CellText(writer, score);
	if (writer->scheme != NULL)
		segment = SegmentOfCell(writer->scheme, RFM_R(score), RFM_F(score), RFM_M(score));
	nulls[SEGMENT] = segment == NULL;
	values[SEGMENT] = PointerGetDatum(segment);
	return true;
}

static void
EndScores(void *state)
{
	ScoreScan *scan = state;

	RecordCursorEnd(&scan->cursor);
	RecordStoreReset(&scan->customers);
	DeleteRecordPool(scan->pool);
	pfree(scan);
}

/* The segments of the result; NULL for none. */
static const SegmentScheme *
SchemeArgument(FunctionCallInfo fcinfo, int argument, int bins)
{
	char *name;
	SegmentScheme *scheme;

	if (PG_ARGISNULL(argument))
		return NULL;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	scheme = ModelFromDatum(&SegmentSchemeFormat, PointerGetDatum(CompileScheme(name)));
	if (scheme->bins != bins)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("scheme \"%s\" is for %d bins, the scores have %d", name, scheme->bins, bins),
			 errhint("Name a scheme of %d bins, or scheme => NULL for scores without segments.",
					 bins)));
	return scheme;
}

/* Whether a customer with that score in a dimension can be in the segment. */
static bool
SegmentHasScore(const SchemeSegment *segment, RfmDimension dimension, int score)
{
	static const int divisor[RFM_DIMENSIONS] = {100, 10, 1};

	for (int i = 0; i < segment->ncells; i++)
		if (segment->cells[i] / divisor[dimension] % 10 == score)
			return true;
	return false;
}

/*
 * If all thresholds of a dimension are equal, most customers tie in it, and whole segments are out
 * of reach: a NOTICE says so.
 */
static void
ReportTies(const RfmModel *model, const SegmentScheme *scheme)
{
	static const char *const dimensions[RFM_DIMENSIONS] = {"recency", "frequency",
														   "monetary value"};

	/* nobody expects more from a handful of customers */
	if (scheme == NULL || model->bins < 3 || model->customers < 2 * model->bins)
		return;
	for (int dimension = 0; dimension < RFM_DIMENSIONS; dimension++)
	{
		const Decimal *threshold = model->threshold[dimension];
		int score = dimension == RECENCY ? model->bins : 1;
		StringInfoData missed;

		if (threshold[0].mantissa != threshold[model->bins - 2].mantissa)
			continue;
		initStringInfo(&missed);
		for (int i = 0; i < scheme->nsegments; i++)
			if (!SegmentHasScore(&scheme->segments[i], dimension, score))
				appendStringInfo(&missed, "%s%s", missed.len > 0 ? ", " : "",
								 scheme->segments[i].name);
		if (missed.len > 0)
			ereport(
				NOTICE,
				(errmsg("at least %d %% of the customers have the same %s, and with it the "
						"score %d",
						(model->bins - 2) * 100 / model->bins, dimensions[dimension], score),
				 errdetail("None of them can be: %s.", missed.data),
				 errhint("Take another period, fewer bins, or a scheme that does without it.")));
	}
}

/* (key anyelement, query text, as_of date, bins int, period interval, scheme text) */
static void
StartRfmScores(FunctionCallInfo fcinfo, RowStream *rows)
{
	static const char *const function = "rfm_scores";
	Oid key_type = KeyArgumentType(fcinfo, 0, function);
	const char *query = QueryArgument(fcinfo, 1, function);
	ScoreScan *scan = palloc0(sizeof(ScoreScan));
	RfmModel *model = &scan->writer.model;

	if (PG_ARGISNULL(2))
		ereport(
			ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("as_of of %s must not be NULL", function),
			 errhint("Name the day to score at: as_of => current_date, or a day in the past.")));
	scan->population.rewind = RewindCustomers;
	scan->population.next = NextRfmValues;
	scan->as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	model->bins = PG_ARGISNULL(3) ? DEFAULT_BINS : CheckedBins(PG_GETARG_INT32(3));
	scan->after = PG_ARGISNULL(4) ? NO_DAY : DayBeforePeriod(scan->as_of, PG_GETARG_INTERVAL_P(4));
	scan->writer.scheme = SchemeArgument(fcinfo, 5, model->bins);
	PrepareCells(&scan->writer);
	scan->pool = CreateRecordPool(CurrentMemoryContext);
	scan->customers.pool = scan->pool;

	ReceivePurchases(function, key_type, query, StartScoring, AddPurchaseOfPeriod, scan, NULL,
					 false);
	KeepCustomers(scan);
	if (FitRfm(model, &scan->population, model->bins, false))
		ReportTies(model, scan->writer.scheme);
	RewindCustomers(&scan->population);

	rows->state = scan;
	rows->next = NextScores;
	rows->end = EndScores;
}

PG_FUNCTION_INFO_V1(rfm_scores);
Datum
rfm_scores(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartRfmScores);
}

void
InitScoreOrders(void)
{
	RegisterRowStream(rfm_scores, StartRfmScores);
}
