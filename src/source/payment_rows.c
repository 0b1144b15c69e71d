/*
 * payment_rows.c: how late each customer pays, against the customer's own habit and that of the
 * segment.
 *
 * Customers come from a query with their payments as a history, and wait until all are known: those
 * who owe something in a sort, the others in a tuplestore.  Medians of segments are selected, and
 * p-values adjusted, in between.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_collation_d.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "base/caller_query.h"
#include "base/common.h"
#include "base/decimal.h"
#include "base/row_stream.h"
#include "base/two_samples.h"
#include "campaign/payment_habit.h"
#include "rfm/integer_list.h"
#include "source/payment_rows.h"

#define SEGMENTS_AT_A_TIME 16 /* lists that share work_mem */

/* Columns of a customer who waits, from 1. */
enum
{
	CUSTOMER = 1,
	SEGMENT, /* its number */
	PAYMENTS,
	LATE,
	USUAL, /* twice the median */
	NOW,
	OVERDUE,
	AMOUNT,
	DAYS,
	Z,
	P_VALUE,
	WAITING_COLUMNS = P_VALUE
};

typedef struct PayingSegment
{
	text *name; /* NULL: no segment */
	IntegerList medians;
	int64 min;
	int64 max;
	double median;
} PayingSegment;

typedef struct PaymentRows
{
	DestReceiver pub;
	MemoryContext context;
	MemoryContext row_context;
	Oid history_type;
	int scale; /* of amounts, at least */
	double false_discovery_rate;
	PayingSegment *segments;
	int nsegments;
	int room;
	int last; /* segment of the row before */
	double *p_values;
	double *adjusted; /* when sorted */
	int64 ntested;
	int64 tested_room;
	TupleDesc desc;
	Tuplesortstate *owing;
	Tuplestorestate *others;
	TupleTableSlot *given; /* of one who owes something */
	TupleTableSlot *slot;  /* of the row that goes out */
	bool owing_ended;
	text *change[4]; /* the words */
} PaymentRows;

/* ---------- the rows of the query ---------- */

static bool
IsSegment(const PayingSegment *segment, const text *name)
{
	if (segment->name == NULL || name == NULL)
		return segment->name == NULL && name == NULL;
	return VARSIZE_ANY_EXHDR(segment->name) == VARSIZE_ANY_EXHDR(name) &&
		   memcmp(VARDATA_ANY(segment->name), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0;
}

/* The number of the segment, which is a new one if it has not been seen. */
static int
SegmentNumber(PaymentRows *rows, const text *name)
{
	MemoryContext caller;
	PayingSegment *segment;

	if (rows->nsegments > 0 && IsSegment(&rows->segments[rows->last], name))
		return rows->last;
	for (int i = 0; i < rows->nsegments; i++)
		if (IsSegment(&rows->segments[i], name))
			return rows->last = i;
	caller = MemoryContextSwitchTo(rows->context);
	if (rows->nsegments == rows->room)
	{
		rows->room *= 2;
		rows->segments = repalloc(rows->segments, rows->room * sizeof(PayingSegment));
	}
	segment = &rows->segments[rows->nsegments];
	*segment = (PayingSegment){.min = PG_INT64_MAX, .max = PG_INT64_MIN};
	if (name != NULL)
		segment->name = cstring_to_text_with_len(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	InitIntegerList(&segment->medians, rows->context, IntegerListLimit(SEGMENTS_AT_A_TIME));
	MemoryContextSwitchTo(caller);
	return rows->last = rows->nsegments++;
}

static void
KeepPValue(PaymentRows *rows, double p_value)
{
	if (rows->ntested == rows->tested_room)
	{
		rows->tested_room *= 2;
		rows->p_values = repalloc_huge(rows->p_values, rows->tested_room * sizeof(double));
	}
	rows->p_values[rows->ntested++] = p_value;
}

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	PaymentRows *rows = (PaymentRows *) self;

	CheckColumnCount(columns, 3, "customer, segment, history of payments");
	for (int attno = 1; attno <= 3; attno++)
		if (TupleDescAttr(columns, attno - 1)->atttypid !=
			(attno < 3 ? TEXTOID : rows->history_type))
			ColumnTypeRefused(columns, attno, "customer, segment or history",
							  "text, or purchase_history", NULL);
}

/* Puts a customer aside. */
static void
KeepCustomer(PaymentRows *rows, Datum customer, int segment, const PaymentHabit *habit)
{
	Datum values[WAITING_COLUMNS] = {0};
	bool nulls[WAITING_COLUMNS] = {false};
	double p_value = isnan(habit->z) ? 0 : NormalTwoSided(habit->z);

	values[CUSTOMER - 1] = customer;
	values[SEGMENT - 1] = Int32GetDatum(segment);
	values[PAYMENTS - 1] = Int64GetDatum(habit->recent + habit->earlier);
	values[LATE - 1] = Int64GetDatum(habit->late);
	nulls[USUAL - 1] = habit->usual == NO_MEDIAN;
	values[USUAL - 1] = Int64GetDatum(habit->usual);
	nulls[NOW - 1] = habit->now == NO_MEDIAN;
	values[NOW - 1] = Int64GetDatum(habit->now);
	values[OVERDUE - 1] = Int64GetDatum(habit->overdue);
	nulls[AMOUNT - 1] = !habit->amount_known;
	if (habit->amount_known)
		values[AMOUNT - 1] = NumericGetDatum(NumericFromInt128(
			habit->amount * PowerOfTen[Max(rows->scale, habit->scale) - habit->scale],
			Max(rows->scale, habit->scale)));
	nulls[DAYS - 1] = habit->overdue == 0;
	values[DAYS - 1] = Int32GetDatum((int32) habit->overdue_days);
	nulls[Z - 1] = nulls[P_VALUE - 1] = isnan(habit->z);
	values[Z - 1] = Float8GetDatum(habit->z);
	values[P_VALUE - 1] = Float8GetDatum(p_value);
	if (!isnan(habit->z))
		KeepPValue(rows, p_value);
	if (habit->overdue == 0)
		tuplestore_putvalues(rows->others, rows->desc, values, nulls);
	else
	{
		ExecClearTuple(rows->given);
		memcpy(rows->given->tts_values, values, sizeof(values));
		memcpy(rows->given->tts_isnull, nulls, sizeof(nulls));
		ExecStoreVirtualTuple(rows->given);
		tuplesort_puttupleslot(rows->owing, rows->given);
	}
}

static bool
ReceiveRow(TupleTableSlot *slot, DestReceiver *self)
{
	PaymentRows *rows = (PaymentRows *) self;
	MemoryContext caller;
	PaymentHabit habit;
	PayingSegment *segment;
	int64 median;
	int number;

	slot_getsomeattrs(slot, 3);
	if (slot->tts_isnull[0] || slot->tts_isnull[2])
		return true;
	caller = MemoryContextSwitchTo(rows->row_context);
	if (ReadPaymentHabit(HistoryFromDatum(slot->tts_values[2]), &habit))
	{
		number =
			SegmentNumber(rows, slot->tts_isnull[1] ? NULL : DatumGetTextPP(slot->tts_values[1]));
		segment = &rows->segments[number];
		median = habit.now == NO_MEDIAN ? habit.usual : habit.now;
		segment->min = Min(segment->min, median);
		segment->max = Max(segment->max, median);
		AddInteger(&segment->medians, median);
		KeepCustomer(rows, slot->tts_values[0], number, &habit);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->row_context);
	return true;
}

/* ---------- when all are known ---------- */

/* The median of each segment over its customers. */
static void
FindMedians(PaymentRows *rows)
{
	for (int i = 0; i < rows->nsegments; i++)
	{
		PayingSegment *segment = &rows->segments[i];
		int64 n = segment->medians.nvalues + segment->medians.in_file;
		int64 ranks[2] = {(n - 1) / 2, n / 2};
		int64 middle[2];

		IntegersAtRanks(&segment->medians, segment->min, segment->max, ranks, 2, middle);
		segment->median = (double) (middle[0] + middle[1]) / 4;
		FreeIntegerList(&segment->medians);
	}
}

#define ST_SORT SortPValues
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Adjusts the p-values as Benjamini and Hochberg do; equal ones share the rank of the last. */
static void
AdjustPValues(PaymentRows *rows)
{
	int64 n = rows->ntested;
	int64 rank = n;
	double least = 1;

	SortPValues(rows->p_values, n);
	rows->adjusted = palloc_extended(Max(n, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	for (int64 i = n - 1; i >= 0; i--)
	{
		if (i < n - 1 && rows->p_values[i] < rows->p_values[i + 1])
			rank = i + 1;
		least = Min(least, rows->p_values[i] * (double) n / (double) rank);
		rows->adjusted[i] = least;
	}
}

static double
AdjustedPValue(const PaymentRows *rows, double p_value)
{
	int64 low = 0;
	int64 high = rows->ntested - 1;

	while (low < high)
	{
		int64 middle = low + (high - low) / 2;

		if (rows->p_values[middle] < p_value)
			low = middle + 1;
		else
			high = middle;
	}
	return rows->adjusted[low];
}

/* Half of a number of half days. */
static inline Datum
Halved(Datum twice)
{
	return Float8GetDatum((double) DatumGetInt64(twice) / 2);
}

/* Makes the row of payment_behaviour of a customer who waited. */
static void
FinishRow(const PaymentRows *rows, Datum *values, bool *nulls)
{
	const Datum *from = rows->slot->tts_values;
	const bool *none = rows->slot->tts_isnull;
	const PayingSegment *segment = &rows->segments[DatumGetInt32(from[SEGMENT - 1])];
	double adjusted = 1;
	int change = 0;

	memset(nulls, false, 14 * sizeof(bool));
	values[0] = from[CUSTOMER - 1];
	nulls[1] = segment->name == NULL;
	values[1] = PointerGetDatum(segment->name);
	values[2] = from[PAYMENTS - 1];
	values[3] = from[LATE - 1];
	nulls[4] = none[USUAL - 1];
	values[4] = nulls[4] ? (Datum) 0 : Halved(from[USUAL - 1]);
	nulls[5] = none[NOW - 1];
	values[5] = nulls[5] ? (Datum) 0 : Halved(from[NOW - 1]);
	values[6] = Float8GetDatum(segment->median);
	values[7] = from[OVERDUE - 1];
	nulls[8] = none[AMOUNT - 1];
	values[8] = from[AMOUNT - 1];
	nulls[9] = nulls[10] = none[DAYS - 1];
	values[9] = from[DAYS - 1];
	values[10] =
		Float8GetDatum(DatumGetInt32(from[DAYS - 1]) -
					   (none[USUAL - 1] ? 0 : (double) Max(DatumGetInt64(from[USUAL - 1]), 0) / 2));
	nulls[11] = nulls[12] = none[P_VALUE - 1];
	values[11] = from[P_VALUE - 1];
	if (!nulls[11])
	{
		adjusted = AdjustedPValue(rows, DatumGetFloat8(from[P_VALUE - 1]));
		change = adjusted > rows->false_discovery_rate ? 1
				 : DatumGetFloat8(from[Z - 1]) > 0     ? 2
													   : 3;
	}
	values[12] = Float8GetDatum(adjusted);
	values[13] = PointerGetDatum(rows->change[change]);
}

static bool
NextRow(void *state, Datum *values, bool *nulls)
{
	PaymentRows *rows = (PaymentRows *) state;
	/* the slot frees a tuple that was read from a file when the next one comes */
	MemoryContext caller = MemoryContextSwitchTo(rows->context);
	bool found =
		!rows->owing_ended && tuplesort_gettupleslot(rows->owing, true, false, rows->slot, NULL);

	if (!found)
	{
		rows->owing_ended = true;
		found = tuplestore_gettupleslot(rows->others, true, false, rows->slot);
	}
	MemoryContextSwitchTo(caller);
	if (!found)
		return false;
	slot_getallattrs(rows->slot);
	FinishRow(rows, values, nulls);
	return true;
}

static void
EndRows(void *state)
{
	PaymentRows *rows = (PaymentRows *) state;

	ExecDropSingleTupleTableSlot(rows->given);
	ExecDropSingleTupleTableSlot(rows->slot);
	tuplesort_end(rows->owing);
	tuplestore_end(rows->others);
}

/* ---------- all of it ---------- */

/* What is owed most comes first. */
static void
BeginWaiting(PaymentRows *rows)
{
	static const Oid types[WAITING_COLUMNS] = {TEXTOID, INT4OID,   INT8OID,  INT8OID,
											   INT8OID, INT8OID,   INT8OID,  NUMERICOID,
											   INT4OID, FLOAT8OID, FLOAT8OID};
	AttrNumber keys[4] = {AMOUNT, DAYS, P_VALUE, CUSTOMER};
	Oid operators[4];
	Oid collations[4] = {InvalidOid, InvalidOid, InvalidOid, C_COLLATION_OID};
	bool nulls_first[4] = {false, false, false, false};

	rows->desc = CreateTemplateTupleDesc(WAITING_COLUMNS);
	for (int i = 1; i <= WAITING_COLUMNS; i++)
		TupleDescInitEntry(rows->desc, (AttrNumber) i, NULL, types[i - 1], -1, 0);
	for (int i = 0; i < 4; i++)
	{
		TypeCacheEntry *type =
			lookup_type_cache(types[keys[i] - 1], TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);

		operators[i] = i < 2 ? type->gt_opr : type->lt_opr;
	}
	rows->owing = tuplesort_begin_heap(rows->desc, 4, keys, operators, collations, nulls_first,
									   Max(work_mem / 2, 64), NULL, TUPLESORT_NONE);
	rows->others = tuplestore_begin_heap(false, false, Max(work_mem / 2, 64));
	rows->given = MakeSingleTupleTableSlot(rows->desc, &TTSOpsVirtual);
	rows->slot = MakeSingleTupleTableSlot(rows->desc, &TTSOpsMinimalTuple);
}

/*
 * (query of customer, segment and history of payments, decimals of amounts, false_discovery_rate,
 * a NULL of the type of histories)
 */
static void
StartPaymentRows(FunctionCallInfo fcinfo, RowStream *stream)
{
	static const char *const words[4] = {"too few", "cannot tell", "later", "earlier"};
	PaymentRows *rows = palloc0(sizeof(PaymentRows));

	InitReceiver(&rows->pub, ReceiveRow, Startup);
	rows->context = CurrentMemoryContext;
	rows->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "payments of a customer", ALLOCSET_SMALL_SIZES);
	rows->history_type = get_fn_expr_argtype(fcinfo->flinfo, 3);
	rows->scale = Min(Max(PG_GETARG_INT32(1), 0), MAX_SCALE);
	rows->false_discovery_rate = PG_GETARG_FLOAT8(2);
	rows->room = SEGMENTS_AT_A_TIME;
	rows->segments = palloc(rows->room * sizeof(PayingSegment));
	rows->tested_room = 1024;
	rows->p_values = palloc(rows->tested_room * sizeof(double));
	for (int i = 0; i < 4; i++)
		rows->change[i] = cstring_to_text(words[i]);
	BeginWaiting(rows);
	RunQuery("payment_behaviour", QueryArgument(fcinfo, 0, "payment_behaviour"), &rows->pub);
	FindMedians(rows);
	AdjustPValues(rows);
	tuplesort_performsort(rows->owing);
	stream->state = rows;
	stream->next = NextRow;
	stream->end = EndRows;
}

PG_FUNCTION_INFO_V1(payment_rows);
Datum
payment_rows(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartPaymentRows);
}

void
InitPaymentRows(void)
{
	RegisterRowStream(payment_rows, StartPaymentRows, NULL, NULL, EXPLAINS_NOTHING);
}
