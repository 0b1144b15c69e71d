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
#include "orders/order_query.h"
#include "orders/order_workers.h"
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
	bool wants_amount;
	bool wants_score; /* or what follows from it */
	Datum cells[MAX_BINS * MAX_BINS * MAX_BINS];
} ScoreWriter;

typedef struct ScoreScan
{
	RfmPopulation population; /* must be first: a cursor over the customers */
	DateADT as_of;
	OrderQuery *orders; /* per customer: last day, orders, amount */
	bool fit_is_done;
	bool fitted; /* there are customers to fit to */
	ScoreWriter writer;
} ScoreScan;

/* ---------- the customers as a population ---------- */

static void
RewindPopulation(RfmPopulation *population)
{
	RewindRun(&((ScoreScan *) population)->orders->finished);
}

/* The next customer, with the sum of all purchases; NULL at the end. */
static inline const PackedPurchase *
NextTotal(ScoreScan *scan, PurchaseDay *total)
{
	const PackedPurchase *record = NextInRun(&scan->orders->finished, scan->orders);

	if (record != NULL)
		ReadRecord(record, &scan->orders->format, total);
	return record;
}

static int
NextRfmValues(RfmPopulation *population, RfmValues *rfm)
{
	ScoreScan *scan = (ScoreScan *) population;
	PurchaseDay total;
	int n = 0;

	while (n < RFM_BATCH && NextTotal(scan, &total) != NULL)
		if (total.orders > 0)
			rfm[n++] = (RfmValues){.recency = scan->as_of - total.day,
								   .frequency = total.orders,
								   .monetary = total.amount};
	return n;
}

/* Fits the model to all customers, once they are finished. */
static void
FitOnce(void *state)
{
	ScoreScan *scan = state;
	RfmModel *model = &scan->writer.model;

	if (scan->fit_is_done)
		return;
	scan->population.scale = scan->orders->scale;
	scan->fitted = FitRfm(model, &scan->population, model->bins, false);
	scan->fit_is_done = true;
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
	const PackedPurchase *record = NextTotal(scan, &total);
	text *segment = NULL;
	RfmScore score;

	if (record == NULL)
		return false;
	memset(nulls, true, RESULT_COLUMNS * sizeof(bool));
	nulls[CUSTOMER] = false;
	values[CUSTOMER] = RecordCustomer(record, &scan->orders->format);
	if (total.day == NO_DAY)
		return true;

	nulls[RECENCY_DAYS] = nulls[ORDERS] = false;
	values[RECENCY_DAYS] = Int32GetDatum(scan->as_of - total.day);
	values[ORDERS] = Int64GetDatum(total.orders);
	if (writer->wants_amount)
	{
		nulls[AMOUNT] = false;
		values[AMOUNT] = AmountNumeric(total.amount, scan->population.scale);
	}
	if (total.orders == 0 || !writer->wants_score)
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

	EndOrderQuery(scan->orders);
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

/*
 * (key anyelement, query text, as_of date, bins int, period interval, scheme text, amount_scale
 * integer)
 */
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
	scan->population.rewind = RewindPopulation;
	scan->population.next = NextRfmValues;
	scan->as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	model->bins = PG_ARGISNULL(3) ? DEFAULT_BINS : CheckedBins(PG_GETARG_INT32(3));
	scan->orders = CreateOrderQuery(function, key_type, PER_CUSTOMER);
	scan->orders->task.as_of = scan->as_of;
	scan->orders->task.after =
		PG_ARGISNULL(4) ? NO_DAY : DayBeforePeriod(scan->as_of, PG_GETARG_INTERVAL_P(4));
	scan->orders->task.round_amount = AmountScaleArgument(fcinfo, 6);
	scan->orders->task.round_cost = scan->orders->task.round_amount;
	scan->writer.scheme = SchemeArgument(fcinfo, 5, model->bins);
	PrepareCells(&scan->writer);
	scan->writer.wants_amount = rows->wanted[AMOUNT];
	for (int column = R_SCORE; column <= SEGMENT; column++)
		scan->writer.wants_score |= rows->wanted[column];

	scan->orders->when_finished = FitOnce;
	scan->orders->caller = scan;
	RunOrderQuery(scan->orders, query);
	FinishCustomers(scan->orders);
	FitOnce(scan);
	if (scan->fitted)
		ReportTies(model, scan->writer.scheme);
	RewindRun(&scan->orders->finished);

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
	RegisterRowStream(rfm_scores, StartRfmScores, NULL, NULL, EXPLAINS_QUERY);
}
