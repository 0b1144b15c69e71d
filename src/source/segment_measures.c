/*
 * segment_measures.c: what segment_summary sums by segment over all customers, in one pass that
 * reads each history once.
 *
 * The results are those of the figures of customer_profile, summed by SQL: amounts and decimal
 * texts add up to the same in any order.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/decimal_sum.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "base/sortable_float.h"
#include "clv/clv_question.h"
#include "clv/spend.h"
#include "history/history_memo.h"
#include "history/purchase_history.h"
#include "rfm/integer_list.h"
#include "source/segment_on_day.h"

#define VALUE_DAYS 365
#define VALUE_DISCOUNT 0.01
#define LIKELY_DAYS 90

/* Lists that share work_mem: of a dozen segments, not all of them large. */
#define LISTS_AT_A_TIME 48

typedef enum Median
{
	MEDIAN_RECENCY,
	MEDIAN_FREQUENCY,
	MEDIAN_MONETARY,
	MEDIANS
} Median;

typedef enum Prediction
{
	PREDICTED_VALUE,
	PREDICTED_90D,
	PREDICTED_HORIZON,
	PREDICTIONS
} Prediction;

/* An exact sum with its display scale. */
typedef struct AmountSum
{
	int64 amounts;
	int128 sum; /* in units of 10^-MAX_SCALE */
	int scale;  /* the largest of the amounts */
} AmountSum;

/* The customers of one segment: what travels as it is. */
typedef struct SegmentSums
{
	int64 customers;
	AmountSum monetary;
	AmountSum profit;
	int64 predictions[PREDICTIONS];
} SegmentSums;

typedef struct SegmentMeasures
{
	SegmentSums sums;
	DecimalSum predicted[PREDICTIONS];
	IntegerList numbers[MEDIANS]; /* sortable */
} SegmentMeasures;

/* A horizon in units of a model. */
typedef struct Horizon
{
	uint64 model; /* its fingerprint; 0: none yet */
	DateADT as_of;
	int32 days;
	double units;
} Horizon;

typedef struct MeasureState
{
	int nsegments; /* with that for none, which is the first */
	text **labels; /* without it */
	SegmentMeasures *segments;
	int32 horizon_days; /* the longest; 0: none */
	/* from row to row */
	ModelCache rfm;
	ModelCache scheme;
	ModelCache clv;
	Horizon horizons[2];
} MeasureState;

static MeasureState *
NewMeasureState(MemoryContext context, int nsegments, int64 limit)
{
	MeasureState *state = MemoryContextAllocZero(context, sizeof(MeasureState));

	state->nsegments = nsegments;
	state->labels = MemoryContextAllocZero(context, nsegments * sizeof(text *));
	state->segments = MemoryContextAllocZero(context, nsegments * sizeof(SegmentMeasures));
	for (int s = 0; s < nsegments; s++)
		for (int m = 0; m < MEDIANS; m++)
			InitIntegerList(&state->segments[s].numbers[m], context, limit);
	return state;
}

/* The files of lists go with the aggregate. */
static void
OwnLists(FunctionCallInfo fcinfo, MeasureState *state)
{
	for (int s = 0; s < state->nsegments; s++)
		for (int m = 0; m < MEDIANS; m++)
			OwnIntegerList(fcinfo, &state->segments[s].numbers[m]);
}

static text *
CopiedLabel(MemoryContext context, const char *label, int length)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	text *copy = cstring_to_text_with_len(label, length);

	MemoryContextSwitchTo(caller);
	return copy;
}

/* Totals are kept in a table of the first row's segments. */
static void
CheckSegments(const MeasureState *state, int nsegments)
{
	if (nsegments != state->nsegments)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("segments must be the same in all rows: %d segments after %d",
							   nsegments - 1, state->nsegments - 1)));
}

/* A model argument; NULL if that is NULL. */
static const void *
ModelOfRow(FunctionCallInfo fcinfo, const ModelFormat *format, ModelCache *cache, int argument,
		   MemoryContext context)
{
	return PG_ARGISNULL(argument) ? NULL
								  : CachedModel(format, cache, PG_GETARG_DATUM(argument), context);
}

static void
AddAmount(AmountSum *sum, int128 amount, int scale)
{
	int128 units;

	if (__builtin_mul_overflow(amount, (int128) PowerOfTen[MAX_SCALE - scale], &units) ||
		__builtin_add_overflow(sum->sum, units, &sum->sum))
		AmountOutOfRange();
	sum->amounts++;
	sum->scale = Max(sum->scale, scale);
}

/* The float that the amount has as a numeric: a quotient of exact floats is rounded once. */
static double
FloatOfAmount(int128 amount, int scale)
{
	if (amount < INT64CONST(1) << DBL_MANT_DIG && amount > -(INT64CONST(1) << DBL_MANT_DIG))
		return (double) (int64) amount / (double) PowerOfTen[scale];
	return DoubleFromNumeric(NumericGetDatum(NumericFromInt128(amount, scale)));
}

static void
AddPrediction(SegmentMeasures *segment, Prediction kind, double prediction, MemoryContext context)
{
	segment->sums.predictions[kind]++;
	AddToDecimalSum(&segment->predicted[kind], prediction, context);
}

/* So many days after as_of, in units of the model. */
static double
UnitsOf(Horizon *kept, const ClvModel *model, DateADT as_of, int32 days)
{
	Interval interval = {.day = days};

	if (kept->model == 0 || kept->model != model->fingerprint || kept->as_of != as_of ||
		kept->days != days)
	{
		kept->model = 0;
		kept->units = HorizonInUnits(model, as_of, &interval);
		kept->model = model->fingerprint;
		kept->as_of = as_of;
		kept->days = days;
	}
	return kept->units;
}

/* What the model expects of the customer. */
static void
AddPredictions(FunctionCallInfo fcinfo, MeasureState *state, SegmentMeasures *segment,
			   MemoryContext context)
{
	static const Interval year = {.day = VALUE_DAYS};
	Question question;
	const ClvModel *model;

	if (PG_ARGISNULL(2) || !AskQuestion(fcinfo, 1, &year, VALUE_DISCOUNT, &question))
		return;
	model = question.predictor->model;
	AddPrediction(
		segment, PREDICTED_90D,
		RecallAnyPurchase(question.serial, model, question.as_of, &question.customer,
						  UnitsOf(&state->horizons[0], model, question.as_of, LIKELY_DAYS)),
		context);
	if (!PG_ARGISNULL(7))
		AddPrediction(segment, PREDICTED_HORIZON,
					  RecallAnyPurchase(
						  question.serial, model, question.as_of, &question.customer,
						  UnitsOf(&state->horizons[1], model, question.as_of, PG_GETARG_INT32(7))),
					  context);
	if (!KnowsValue(model))
		return;
	question.first_counts = true;
	AddPrediction(segment, PREDICTED_VALUE,
				  Expected(&question, DISCOUNTED_IF_ALIVE) *
					  AnswerValue(&question, NULL, model->spend_parameters),
				  context);
}

/* The place of the customer's segment; 0: none. */
static int
SegmentOfRow(FunctionCallInfo fcinfo, MeasureState *state, const PurchaseHistory *history,
			 DateADT as_of, const SegmentScheme *scheme, MemoryContext context)
{
	const ClvModel *clv = ModelOfRow(fcinfo, &ClvModelFormat, &state->clv, 2, context);
	LapseRule rule;

	if (clv == NULL || PG_ARGISNULL(6))
		return 0;
	rule = LapseRuleFor(PG_GETARG_INT32(6), clv);
	return SegmentOnDay(history, ModelOfRow(fcinfo, &RfmModelFormat, &state->rfm, 4, context),
						as_of, scheme, &rule, 0);
}

/* (state, history, clv, as_of, rfm, segments, active_days, horizon_days, period) */
PG_FUNCTION_INFO_V1(segment_measures_transfn);
Datum
segment_measures_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "segment_measures_transfn");
	MeasureState *state = PG_ARGISNULL(0) ? NULL : (MeasureState *) PG_GETARG_POINTER(0);
	ModelCache none = {0};
	const SegmentScheme *scheme = ModelOfRow(fcinfo, &SegmentSchemeFormat,
											 state == NULL ? &none : &state->scheme, 5, context);
	const PurchaseHistory *history;
	HistoryWindow window = {PG_INT32_MIN, 0};
	SegmentMeasures *segment;
	HistorySummary summary;

	if (state == NULL)
	{
		state = NewMeasureState(context, 1 + (scheme == NULL ? 0 : scheme->nsegments),
								IntegerListLimit(LISTS_AT_A_TIME));
		state->scheme = none;
		OwnLists(fcinfo, state);
		for (int s = 0; s < state->nsegments - 1; s++)
			state->labels[s] = CopiedLabel(context, VARDATA_ANY(scheme->labels[s]),
										   VARSIZE_ANY_EXHDR(scheme->labels[s]));
	}
	CheckSegments(state, 1 + (scheme == NULL ? 0 : scheme->nsegments));
	if (!PG_ARGISNULL(7))
		state->horizon_days = Max(state->horizon_days, PG_GETARG_INT32(7));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(3))
	{
		state->segments[0].sums.customers++;
		PG_RETURN_POINTER(state);
	}
	history = PG_GETARG_HISTORY(1);
	window.as_of = CheckedDay(PG_GETARG_DATEADT(3), "as_of");
	if (!PG_ARGISNULL(8))
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(8));
	segment = &state->segments[SegmentOfRow(fcinfo, state, history, window.as_of, scheme, context)];
	segment->sums.customers++;
	summary = *RecallSummary(history, window);
	if (!summary.purchased)
		PG_RETURN_POINTER(state);
	AddInteger(&segment->numbers[MEDIAN_RECENCY],
			   SortableFloat8((double) (window.as_of - summary.last_ever)));
	AddInteger(&segment->numbers[MEDIAN_FREQUENCY], SortableFloat8((double) summary.orders));
	AddInteger(&segment->numbers[MEDIAN_MONETARY],
			   SortableFloat8(FloatOfAmount(summary.amount, summary.scale)));
	AddAmount(&segment->sums.monetary, summary.amount, summary.scale);
	if (ProfitIsKnown(history, window, &summary))
		AddAmount(&segment->sums.profit, summary.covered - summary.cost, summary.scale);
	AddPredictions(fcinfo, state, segment, context);
	PG_RETURN_POINTER(state);
}

static void
CombineAmounts(AmountSum *sum, const AmountSum *other)
{
	if (__builtin_add_overflow(sum->sum, other->sum, &sum->sum))
		AmountOutOfRange();
	sum->amounts += other->amounts;
	sum->scale = Max(sum->scale, other->scale);
}

static void
AddList(IntegerList *list, IntegerList *other)
{
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *numbers;
	int n;

	RewindIntegers(cursor, other);
	while ((n = NextIntegers(cursor, &numbers)) > 0)
		for (int i = 0; i < n; i++)
			AddInteger(list, numbers[i]);
	pfree(cursor);
}

/* (state, state) */
PG_FUNCTION_INFO_V1(segment_measures_combine);
Datum
segment_measures_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "segment_measures_combine");
	MeasureState *state = PG_ARGISNULL(0) ? NULL : (MeasureState *) PG_GETARG_POINTER(0);
	MeasureState *other = PG_ARGISNULL(1) ? NULL : (MeasureState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		PG_RETURN_STATE(state);
	if (state == NULL)
	{
		state = NewMeasureState(context, other->nsegments, IntegerListLimit(LISTS_AT_A_TIME));
		OwnLists(fcinfo, state);
		for (int s = 0; s < state->nsegments - 1; s++)
			state->labels[s] = CopiedLabel(context, VARDATA_ANY(other->labels[s]),
										   VARSIZE_ANY_EXHDR(other->labels[s]));
	}
	CheckSegments(state, other->nsegments);
	state->horizon_days = Max(state->horizon_days, other->horizon_days);
	for (int s = 0; s < state->nsegments; s++)
	{
		SegmentMeasures *segment = &state->segments[s];
		SegmentMeasures *more = &other->segments[s];

		segment->sums.customers += more->sums.customers;
		CombineAmounts(&segment->sums.monetary, &more->sums.monetary);
		CombineAmounts(&segment->sums.profit, &more->sums.profit);
		for (int p = 0; p < PREDICTIONS; p++)
		{
			segment->sums.predictions[p] += more->sums.predictions[p];
			CombineDecimalSums(&segment->predicted[p], &more->predicted[p], context);
		}
		for (int m = 0; m < MEDIANS; m++)
			AddList(&segment->numbers[m], &more->numbers[m]);
	}
	PG_RETURN_POINTER(state);
}

static void
SendList(StringInfo out, IntegerList *list)
{
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *numbers;
	int n;

	pq_sendint64(out, list->in_file + list->nvalues);
	RewindIntegers(cursor, list);
	while ((n = NextIntegers(cursor, &numbers)) > 0)
		appendBinaryStringInfo(out, (const char *) numbers, n * (int) sizeof(int64));
	pfree(cursor);
}

/* The numbers of a list, which lives as long as it takes to combine it. */
static void
ReceiveList(StringInfo in, IntegerList *list)
{
	int64 n = pq_getmsgint64(in);
	const char *bytes = pq_getmsgbytes(in, (int) (n * sizeof(int64)));

	list->values = palloc(Max(n, 1) * sizeof(int64));
	memcpy(list->values, bytes, n * sizeof(int64));
	list->nvalues = list->capacity = n;
}

PG_FUNCTION_INFO_V1(segment_measures_serialize);
Datum
segment_measures_serialize(PG_FUNCTION_ARGS)
{
	MeasureState *state = (MeasureState *) PG_GETARG_POINTER(0);
	int64 numbers = 0;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "segment_measures_serialize");
	for (int s = 0; s < state->nsegments; s++)
		for (int m = 0; m < MEDIANS; m++)
			numbers +=
				state->segments[s].numbers[m].in_file + state->segments[s].numbers[m].nvalues;
	if (numbers > (int64) (MaxAllocSize / 2 / sizeof(int64)))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many customers for a parallel %s", "segment_measures"),
						errhint("Set max_parallel_workers_per_gather to 0.")));
	pq_begintypsend(&out);
	enlargeStringInfo(&out, (int) (numbers * sizeof(int64)));
	pq_sendint32(&out, state->nsegments);
	pq_sendint32(&out, state->horizon_days);
	for (int s = 0; s < state->nsegments; s++)
	{
		SegmentMeasures *segment = &state->segments[s];

		if (s > 0)
		{
			const text *label = state->labels[s - 1];

			pq_sendint32(&out, VARSIZE_ANY_EXHDR(label));
			pq_sendbytes(&out, VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label));
		}
		pq_sendbytes(&out, (const char *) &segment->sums, sizeof(SegmentSums));
		for (int p = 0; p < PREDICTIONS; p++)
			SendDecimalSum(&out, &segment->predicted[p]);
		for (int m = 0; m < MEDIANS; m++)
			SendList(&out, &segment->numbers[m]);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(segment_measures_deserialize);
Datum
segment_measures_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	MeasureState *state;
	StringInfoData in;

	(void) AggregateContext(fcinfo, "segment_measures_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	state = NewMeasureState(CurrentMemoryContext, (int) pq_getmsgint(&in, 4), 0);
	state->horizon_days = (int32) pq_getmsgint(&in, 4);
	for (int s = 0; s < state->nsegments; s++)
	{
		SegmentMeasures *segment = &state->segments[s];

		if (s > 0)
		{
			int length = (int) pq_getmsgint(&in, 4);

			state->labels[s - 1] =
				CopiedLabel(CurrentMemoryContext, pq_getmsgbytes(&in, length), length);
		}
		memcpy(&segment->sums, pq_getmsgbytes(&in, sizeof(SegmentSums)), sizeof(SegmentSums));
		for (int p = 0; p < PREDICTIONS; p++)
			ReceiveDecimalSum(&in, &segment->predicted[p]);
		for (int m = 0; m < MEDIANS; m++)
			ReceiveList(&in, &segment->numbers[m]);
	}
	PG_RETURN_POINTER(state);
}

/* The sum of amounts; NULL if there are none. */
static Datum
TotalOfAmounts(const AmountSum *sum, bool *null)
{
	*null = sum->amounts == 0;
	return *null ? (Datum) 0
				 : NumericGetDatum(NumericFromInt128(sum->sum / PowerOfTen[MAX_SCALE - sum->scale],
													 sum->scale));
}

/* The least and the largest of a list. */
static void
FindRange(IntegerList *list, int64 *min, int64 *max)
{
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *numbers;
	int n;

	*min = PG_INT64_MAX;
	*max = PG_INT64_MIN;
	RewindIntegers(cursor, list);
	while ((n = NextIntegers(cursor, &numbers)) > 0)
		for (int i = 0; i < n; i++)
		{
			*min = Min(*min, numbers[i]);
			*max = Max(*max, numbers[i]);
		}
	pfree(cursor);
}

/* As percentile_cont(0.5): the mean of the two middle values; NULL if there are none. */
static Datum
MedianOfList(IntegerList *list, bool *null)
{
	int64 n = list->in_file + list->nvalues;
	int64 ranks[2] = {(n - 1) / 2, n / 2};
	int64 middle[2];
	int64 min;
	int64 max;
	double low;
	double high;

	*null = n == 0;
	if (*null)
		return (Datum) 0;
	FindRange(list, &min, &max);
	IntegersAtRanks(list, min, max, ranks, lengthof(ranks), middle);
	low = Float8FromSortable(middle[0]);
	high = Float8FromSortable(middle[1]);
	return Float8GetDatum(low == high || ranks[0] == ranks[1] ? low : low + 0.5 * (high - low));
}

/* The sum of predictions, or their mean; NULL if there are none. */
static Datum
TotalOfPredictions(const SegmentMeasures *segment, Prediction kind, bool mean, bool *null)
{
	Numeric total = TotalOfDecimalSum(&segment->predicted[kind]);

	*null = total == NULL;
	if (*null || !mean)
		return NumericGetDatum(total);
	return DirectFunctionCall2(numeric_div, NumericGetDatum(total),
							   NumericGetDatum(int64_to_numeric(segment->sums.predictions[kind])));
}

/* An array of segment_measures. */
PG_FUNCTION_INFO_V1(segment_measures_finalfn);
Datum
segment_measures_finalfn(PG_FUNCTION_ARGS)
{
	MeasureState *state = PG_ARGISNULL(0) ? NULL : (MeasureState *) PG_GETARG_POINTER(0);
	RowArray rows;

	(void) AggregateContext(fcinfo, "segment_measures_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	for (int s = 0; s < state->nsegments; s++)
	{
		SegmentMeasures *segment = &state->segments[s];
		Datum values[11];
		bool nulls[11] = {s == 0};

		CHECK_FOR_INTERRUPTS();
		if (segment->sums.customers == 0)
			continue;
		values[0] = s == 0 ? (Datum) 0 : PointerGetDatum(state->labels[s - 1]);
		values[1] = Int64GetDatum(segment->sums.customers);
		values[2] = TotalOfAmounts(&segment->sums.monetary, &nulls[2]);
		values[3] = TotalOfAmounts(&segment->sums.profit, &nulls[3]);
		for (int m = 0; m < MEDIANS; m++)
			values[4 + m] = MedianOfList(&segment->numbers[m], &nulls[4 + m]);
		values[7] = TotalOfPredictions(segment, PREDICTED_VALUE, false, &nulls[7]);
		values[8] = TotalOfPredictions(segment, PREDICTED_90D, true, &nulls[8]);
		values[9] = TotalOfPredictions(segment, PREDICTED_HORIZON, true, &nulls[9]);
		values[10] = Int32GetDatum(state->horizon_days);
		nulls[10] = state->horizon_days == 0;
		AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}
