/*
 * order_faults.c: faults in the orders of a source, order by order.
 *
 * The query is run twice.  The first run counts and measures: invalid rows, amounts, hours and
 * days, and a fingerprint of each order, so that the second knows which orders can be copies, which
 * amounts are outliers, and which orders a refund may cancel.  The second run returns these; it is
 * skipped if nothing is suspicious.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/caller_query.h"
#include "base/local_day.h"
#include "orders/order_partitions.h"
#include "orders/order_rows.h"

/* Days that stand for "unknown" end here. */
#define UNIX_EPOCH_DAY (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE)

/* Days that are counted one by one: some ten years up to today. */
#define COUNTED_DAYS 3653

/*
 * Amounts are counted by their leading bits, a resolution of 1.6 %.  An outlier lies beyond the
 * upper quartile times the ratio of the quartiles to this power: one in 10^9 lognormal amounts
 * does.
 */
#define AMOUNT_CLASS_SHIFT 46
#define AMOUNT_CLASSES (1 << (63 - AMOUNT_CLASS_SHIFT))
#define FENCE_POWER 4
#define LEAST_QUARTILE_RATIO 2.0
#define LEAST_ORDERS_FOR_FENCE 100
/* a larger share of the orders is another kind of orders rather than a slip */
#define MOST_BEYOND_FENCE 0.001

/* A count of rows and the sum of their amounts. */
typedef enum Tally
{
	ALL_ORDERS, /* those with customer, day and amount */
	WITHOUT_CUSTOMER,
	WITHOUT_DAY,
	WITHOUT_AMOUNT,
	NOT_A_NUMBER,
	TOO_FINE,
	TOO_LARGE,
	ENDLESS_DAY,
	UNUSABLE_COST,   /* not finite, or with too many digits or decimals */
	SPLIT_ORDERS,    /* of several lines, */
	REPEATED_TOTALS, /* all of one amount */
	TALLIES
} Tally;

static const char *const tally_names[TALLIES] = {
	"orders",    "no customer", "no day",        "no amount",    "not a number",   "too fine",
	"too large", "endless day", "unusable cost", "split orders", "repeated totals"};

/* Sets of fingerprints. */
typedef struct Fingerprint
{
	uint64 print;
	char status;
} Fingerprint;

#define SH_PREFIX prints
#define SH_ELEMENT_TYPE Fingerprint
#define SH_KEY_TYPE uint64
#define SH_KEY print
#define SH_HASH_KEY(tb, key) ((uint32) ((key) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define PRINT_STORES 256

typedef struct FaultFinder
{
	DestReceiver pub;
	Oid key_type;
	MemoryContext context; /* for what outlives a row */
	MemoryContext row;
	bool second_look;
	DateADT today;

	/* columns; 0 for none */
	TupleDesc columns; /* of the first run */
	CustomerKey key;
	Oid day_type;
	AmountColumn amount;
	AmountColumn cost;
	bool look_for_copies;
	int identity_column; /* what else distinguishes rows: in the second run, and only for copies */
	int lines_column;
	int equal_column; /* whether the lines of the order have one amount */
	LocalDayCache days;

	/* of the first run */
	int64 count[TALLIES];
	int128 sum[TALLIES];
	int64 positive;
	int64 whole;           /* positive amounts without a fraction */
	int64 price_like;      /* of these, those that look like prices in cents */
	int64 *amounts;        /* positive ones by class */
	int64 timed;           /* time stamps that are not midnight */
	int64 hours[24];       /* time stamps by hour, without midnight, */
	int64 on_the_hour[24]; /* and those on a full hour */
	int64 *day_counts;
	RecordPool *pool;
	RecordStore prints[PRINT_STORES];
	prints_hash *refunds;
	int64 odd; /* orders that the second run may return for their amount or day alone */

	/* known to the second */
	double fence;       /* infinite if there are no outliers */
	prints_hash *alike; /* fingerprints of several orders */
	prints_hash *met;   /* the orders met so far with such fingerprints */
	ReturnSetInfo *result;
} FaultFinder;

/* An order that a refresh can read. */
typedef struct Order
{
	Datum customer;
	uint64 bits; /* of the customer's key */
	bool has_customer;
	DateADT day;
	int64 time;      /* as stored; of a date, the day */
	int time_of_day; /* seconds; -1 for a date, or midnight */
	Decimal amount;
	double value;
	uint64 identity;
} Order;

/* ---------- columns ---------- */

/* The columns of the second run, which may be of another query, must be those of the first. */
static void
CheckSecondColumns(const FaultFinder *f, TupleDesc columns)
{
	for (int i = 0; i < f->columns->natts; i++)
		if ((i < AMOUNT_COLUMN || i == f->cost.attno - 1) &&
			(i >= columns->natts ||
			 TupleDescAttr(columns, i)->atttypid != TupleDescAttr(f->columns, i)->atttypid))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d of the second query of order_faults must be of type %s",
							i + 1, format_type_be(TupleDescAttr(f->columns, i)->atttypid))));
}

/* The number of the optional column of that name, which must be of that type; 0: there is none. */
static int
OptionalColumn(TupleDesc columns, const char *name, Oid type)
{
	int column = ColumnNamed(columns, name);

	if (column > 0 && TupleDescAttr(columns, column - 1)->atttypid != type)
		ColumnTypeRefused(columns, column, name, format_type_be(type), NULL);
	return column;
}

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	FaultFinder *f = (FaultFinder *) self;
	MemoryContext caller = MemoryContextSwitchTo(f->context);
	int cost;

	CheckColumnCount(columns, AMOUNT_COLUMN, "customer, day, amount");
	if (!f->second_look)
	{
		(void) CheckKeyColumn(columns, CUSTOMER_COLUMN, f->key_type, "order_faults");
		InitCustomerKey(&f->key, TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->atttypid,
						TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->attcollation);
		f->day_type = OrderColumnType(columns, DAY_COLUMN);
		f->amount = MakeAmountColumn(columns, AMOUNT_COLUMN, AS_THEY_ARE, "amount");
		cost = ColumnNamed(columns, "cost");
		if (cost > 0)
			f->cost = MakeAmountColumn(columns, cost, AS_THEY_ARE, "cost");
		f->lines_column = OptionalColumn(columns, "lines", INT8OID);
		f->equal_column = OptionalColumn(columns, "equal_lines", BOOLOID);
		f->columns = CreateTupleDescCopy(columns);
	}
	else
		CheckSecondColumns(f, columns);
	f->identity_column = OptionalColumn(columns, "row_identity", INT8OID);
	MemoryContextSwitchTo(caller);
}

/* ---------- rows ---------- */

/* The local day and time of day of a row. */
static void
ReadTime(FaultFinder *f, Datum value, Order *order)
{
	int64 within;

	order->time_of_day = -1;
	if (f->day_type == DATEOID)
	{
		order->time = order->day = DatumGetDateADT(value);
		return;
	}
	order->time = DatumGetTimestamp(value);
	within = order->time;
	if (f->day_type == TIMESTAMPOID)
		order->day = DayOfTimestamp(order->time);
	else
	{
		order->day = LocalDayOfTimestampTz(order->time, &f->days);
		within += f->days.stretch[f->days.hit].offset * USECS_PER_SEC;
	}
	within -= order->day * USECS_PER_DAY;
	if (within > 0 && within < USECS_PER_DAY)
		order->time_of_day = (int) (within / USECS_PER_SEC);
}

static inline void
CountRow(FaultFinder *f, Tally tally, const Decimal *amount)
{
	f->count[tally]++;
	if (amount != NULL)
		f->sum[tally] += (int128) amount->mantissa * PowerOfTen[MAX_SCALE - amount->scale];
}

/* An amount at USUAL_SCALE, if it fits. */
static inline AmountFault
ReadAmount(FaultFinder *f, Datum value, Decimal *amount)
{
	AmountFault fault;

	amount->scale = USUAL_SCALE;
	if (f->amount.type == NUMERICOID && UsualAmount(value, USUAL_SCALE, &amount->mantissa))
		return AMOUNT_FINE;
	fault = ReadOrderAmount(&f->amount, value, amount);
	if (fault == AMOUNT_FINE && amount->scale < USUAL_SCALE &&
		RescaleFits(amount->mantissa, amount->scale, USUAL_SCALE, &amount->mantissa))
		amount->scale = USUAL_SCALE;
	return fault;
}

/* Whether a row is a purchase; the first run counts why others are not. */
static bool
ReadOrder(FaultFinder *f, TupleTableSlot *row, Order *order)
{
	const bool *nulls = row->tts_isnull;
	bool no_amount = nulls[AMOUNT_COLUMN - 1];
	bool no_day = nulls[DAY_COLUMN - 1];
	bool endless = !no_day && !IsOrderDay(f->day_type, row->tts_values[DAY_COLUMN - 1]);
	AmountFault fault = AMOUNT_FINE;
	const Decimal *amount = NULL;
	Decimal cost;

	if (!no_amount)
		fault = ReadAmount(f, row->tts_values[AMOUNT_COLUMN - 1], &order->amount);
	if (!no_amount && fault == AMOUNT_FINE)
		amount = &order->amount;
	order->has_customer = !nulls[CUSTOMER_COLUMN - 1];
	if (!f->second_look)
	{
		if (!order->has_customer)
			CountRow(f, WITHOUT_CUSTOMER, amount);
		if (no_day)
			CountRow(f, WITHOUT_DAY, amount);
		if (no_amount)
			CountRow(f, WITHOUT_AMOUNT, NULL);
		if (endless)
			CountRow(f, ENDLESS_DAY, amount);
		if (fault != AMOUNT_FINE)
			CountRow(f,
					 fault == AMOUNT_SPECIAL    ? NOT_A_NUMBER
					 : fault == AMOUNT_TOO_FINE ? TOO_FINE
												: TOO_LARGE,
					 NULL);
	}
	if (f->cost.attno > 0 && !nulls[f->cost.attno - 1] &&
		ReadOrderAmount(&f->cost, row->tts_values[f->cost.attno - 1], &cost) != AMOUNT_FINE)
	{
		if (!f->second_look)
			CountRow(f, UNUSABLE_COST, amount);
		return false;
	}
	if (no_day || endless || amount == NULL)
		return false;
	ReadTime(f, row->tts_values[DAY_COLUMN - 1], order);
	order->value = (double) order->amount.mantissa / (double) PowerOfTen[order->amount.scale];
	order->bits = 0;
	order->customer = row->tts_values[CUSTOMER_COLUMN - 1];
	if (order->has_customer)
	{
		order->customer = FlatKey(&f->key, order->customer);
		order->bits = CustomerKeyBits(&f->key, order->customer);
	}
	order->identity = f->identity_column > 0 && !nulls[f->identity_column - 1]
						  ? (uint64) DatumGetInt64(row->tts_values[f->identity_column - 1])
						  : 0;
	return true;
}

/* ---------- fingerprints ---------- */

/* Of customer and amount without its sign: equal for a refund and its order. */
static inline uint64
RefundPrint(const Order *order)
{
	uint64 print = MixHash64(order->bits + 1);

	print = MixHash64(print ^ (uint64) (order->amount.mantissa < 0 ? -order->amount.mantissa
																   : order->amount.mantissa));
	return MixHash64(print + order->amount.scale);
}

/* Of customer, amount and time. */
static inline uint64
OrderPrint(const Order *order)
{
	uint64 print = RefundPrint(order) ^ (order->amount.mantissa < 0 ? 1 : 0);

	return MixHash64(print ^ (uint64) order->time ^ (order->has_customer ? 0 : 2));
}

/* Whether an order is a copy of one met before. */
static bool
IsCopy(FaultFinder *f, const Order *order)
{
	uint64 print = OrderPrint(order);
	bool found;

	if (prints_lookup(f->alike, print) == NULL)
		return false;
	(void) prints_insert(f->met, MixHash64(print ^ order->identity), &found);
	return found;
}

/*
 * Keeps a fingerprint; those with equal leading bits go to one store, and the largest stores to
 * files if necessary.
 */
static void
KeepPrint(FaultFinder *f, uint64 print)
{
	RecordStore *store = &f->prints[print >> 56];

	*(uint64 *) RecordStoreAppend(store, sizeof(uint64), 0) = print;
	if (unlikely(f->pool->used > HashMemoryLimit()) && store->records > 0)
	{
		RecordStore *largest = store;
		MemoryContext caller;

		for (int i = 0; i < PRINT_STORES; i++)
			if (f->prints[i].memory > largest->memory)
				largest = &f->prints[i];
		RecordStoreSeal(largest);
		caller = MemoryContextSwitchTo(f->context);
		RecordStoreSpill(largest);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Adds the fingerprints of a store that occur more than once to the set.  They are spread over a
 * table that fits a cache, which costs a fifth of sorting them.
 */
static void
FindAlike(FaultFinder *f, RecordStore *store)
{
	uint64 records = store->records + store->file_records;
	uint64 mask = pg_nextpower2_64(records + records / 2 + 1) - 1;
	RecordCursor cursor;
	RecordBlock *block;
	uint64 *table;
	bool found;

	if (records == 0)
		return;
	table = palloc_extended(mul_size(mask + 1, sizeof(uint64)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	RecordStoreSeal(store);
	RecordCursorBegin(&cursor, store);
	while ((block = RecordCursorNext(&cursor)) != NULL)
	{
		const uint64 *prints = (const uint64 *) block->data;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < block->used / sizeof(uint64); i++)
		{
			/* 0 is an empty place; that it is taken for another does no harm */
			uint64 print = prints[i] == 0 ? 1 : prints[i];
			uint64 at = print & mask;

			while (table[at] != 0 && table[at] != print)
				at = (at + 1) & mask;
			if (table[at] == print)
				(void) prints_insert(f->alike, prints[i], &found);
			table[at] = print;
		}
	}
	RecordCursorEnd(&cursor);
	RecordStoreReset(store);
	pfree(table);
}

/* ---------- the first look ---------- */

static inline int
AmountClass(double value)
{
	uint64 bits;

	memcpy(&bits, &value, sizeof(bits));
	return (int) (bits >> AMOUNT_CLASS_SHIFT);
}

/* The middle of a class. */
static double
ClassAmount(int class)
{
	uint64 bits = ((uint64) class << AMOUNT_CLASS_SHIFT) + ((uint64) 1 << (AMOUNT_CLASS_SHIFT - 1));
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void
MeasureAmount(FaultFinder *f, const Order *order)
{
	int64 ending;

	if (order->amount.mantissa <= 0)
		return;
	f->positive++;
	f->amounts[AmountClass(order->value)]++;
	if (order->amount.mantissa % PowerOfTen[order->amount.scale] != 0)
		return;
	f->whole++;
	ending = order->amount.mantissa / PowerOfTen[order->amount.scale] % 100;
	f->price_like += ending == 99 || ending == 95 || ending == 90 || ending == 49 || ending == 50;
}

static void
MeasureTime(FaultFinder *f, const Order *order)
{
	if (order->time_of_day >= 0)
	{
		int hour = order->time_of_day / SECS_PER_HOUR;

		f->timed++;
		f->hours[hour]++;
		f->on_the_hour[hour] += order->time_of_day % SECS_PER_HOUR == 0;
	}
	if (order->day <= f->today && order->day > f->today - COUNTED_DAYS)
		f->day_counts[f->today - order->day]++;
}

static void
LookFirst(FaultFinder *f, TupleTableSlot *row, const Order *order)
{
	CountRow(f, ALL_ORDERS, &order->amount);
	MeasureAmount(f, order);
	MeasureTime(f, order);
	if (f->look_for_copies)
		KeepPrint(f, OrderPrint(order));
	f->odd += order->amount.mantissa <= 0 || order->day > f->today || order->day <= UNIX_EPOCH_DAY;
	if (order->amount.mantissa < 0 && order->has_customer)
	{
		bool found;

		(void) prints_insert(f->refunds, RefundPrint(order), &found);
	}
	if (f->lines_column > 0 && DatumGetInt64(row->tts_values[f->lines_column - 1]) > 1)
	{
		CountRow(f, SPLIT_ORDERS, &order->amount);
		if (f->equal_column > 0 && !row->tts_isnull[f->equal_column - 1] &&
			DatumGetBool(row->tts_values[f->equal_column - 1]))
			CountRow(f, REPEATED_TOTALS, &order->amount);
	}
}

/* The amount of the class that holds the q-quantile of the positive ones. */
static double
AmountQuantile(const FaultFinder *f, double q)
{
	int64 rank = (int64) ceil((double) f->positive * q);
	int64 seen = 0;

	for (int class = 0; class < AMOUNT_CLASSES; class ++)
		if ((seen += f->amounts[class]) >= rank && seen > 0)
			return ClassAmount(class);
	return 0;
}

/* Rounds up to two significant digits, so that people can write it. */
static double
RoundUp(double value)
{
	double unit = pow(10, floor(log10(value)) - 1);

	return ceil(value / unit) * unit;
}

static void
FindFence(FaultFinder *f)
{
	double lower;
	double upper;
	int64 beyond = 0;

	f->fence = get_float8_infinity();
	if (f->positive < LEAST_ORDERS_FOR_FENCE)
		return;
	lower = AmountQuantile(f, 0.25);
	upper = AmountQuantile(f, 0.75);
	f->fence = RoundUp(upper * pow(Max(upper / lower, LEAST_QUARTILE_RATIO), FENCE_POWER));
	for (int class = AmountClass(f->fence) + 1; class < AMOUNT_CLASSES; class ++)
		beyond += f->amounts[class];
	if (beyond > Max(3.0, (double) f->positive * MOST_BEYOND_FENCE))
		f->fence = get_float8_infinity();
	else
		/* includes the class of the fence itself, not all of which may be beyond it */
		f->odd += beyond + f->amounts[AmountClass(f->fence)];
}

/* ---------- the second look ---------- */

static void
HandOn(FaultFinder *f, TupleTableSlot *row, const Order *order, const char *fault)
{
	Datum values[7] = {0};
	bool nulls[7] = {false};
	int c = f->cost.attno - 1;

	values[0] = CStringGetTextDatum(fault);
	values[1] = order->customer;
	nulls[1] = !order->has_customer;
	values[2] = DateADTGetDatum(order->day);
	values[3] = Int64GetDatum(order->time);
	values[4] = NumericGetDatum(NumericFromInt128(order->amount.mantissa, order->amount.scale));
	nulls[5] = c < 0 || row->tts_isnull[c];
	if (!nulls[5])
		values[5] = f->cost.type == NUMERICOID
						? row->tts_values[c]
						: NumericGetDatum(int64_to_numeric(
							  f->cost.type == INT8OID   ? DatumGetInt64(row->tts_values[c])
							  : f->cost.type == INT4OID ? DatumGetInt32(row->tts_values[c])
														: DatumGetInt16(row->tts_values[c])));
	nulls[6] = true;
	tuplestore_putvalues(f->result->setResult, f->result->setDesc, values, nulls);
}

static void
LookAgain(FaultFinder *f, TupleTableSlot *row, const Order *order)
{
	if (order->day > f->today)
		HandOn(f, row, order, "future day");
	else if (order->day <= UNIX_EPOCH_DAY)
		HandOn(f, row, order, "placeholder day");
	if (fabs(order->value) > f->fence)
		HandOn(f, row, order, "outlier");
	if (f->alike->members > 0 && IsCopy(f, order))
		HandOn(f, row, order, "duplicate");
	/* the rest is about customers */
	if (!order->has_customer)
		return;
	if (order->amount.mantissa == 0)
		HandOn(f, row, order, "zero");
	else if (order->amount.mantissa < 0)
		HandOn(f, row, order, "refund");
	else if (f->refunds->members > 0 && prints_lookup(f->refunds, RefundPrint(order)) != NULL)
		HandOn(f, row, order, "refunded");
}

/* ---------- both ---------- */

static bool
ReceiveRow(TupleTableSlot *row, DestReceiver *self)
{
	FaultFinder *f = (FaultFinder *) self;
	MemoryContext caller = MemoryContextSwitchTo(f->row);
	Order order;

	slot_getallattrs(row);
	if (ReadOrder(f, row, &order))
	{
		if (f->second_look)
			LookAgain(f, row, &order);
		else
			LookFirst(f, row, &order);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(f->row);
	return true;
}

static void
AppendCounts(StringInfo json, const char *name, const int64 *counts, int n)
{
	appendStringInfo(json, ", \"%s\": [", name);
	for (int i = 0; i < n; i++)
		appendStringInfo(json, "%s" INT64_FORMAT, i > 0 ? "," : "", counts[i]);
	appendStringInfoChar(json, ']');
}

/* One row with what was counted and measured. */
static void
HandOnFacts(FaultFinder *f)
{
	Datum values[7] = {0};
	bool nulls[7] = {false, true, true, true, true, true, false};
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json,
					 "{\"positive\": " INT64_FORMAT ", \"whole\": " INT64_FORMAT
					 ", \"price like\": " INT64_FORMAT ", \"timed\": " INT64_FORMAT,
					 f->positive, f->whole, f->price_like, f->timed);
	for (int tally = 0; tally < TALLIES; tally++)
		appendStringInfo(
			&json, ", \"%s\": [" INT64_FORMAT ", %s]", tally_names[tally], f->count[tally],
			DatumGetCString(DirectFunctionCall1(
				numeric_out, NumericGetDatum(NumericFromInt128(f->sum[tally], MAX_SCALE)))));
	if (f->positive > 0)
		appendStringInfo(&json, ", \"median\": %.10g", AmountQuantile(f, 0.5));
	if (!isinf(f->fence))
		appendStringInfo(&json, ", \"fence\": %.10g", f->fence);
	AppendCounts(&json, "hours", f->hours, lengthof(f->hours));
	AppendCounts(&json, "on the hour", f->on_the_hour, lengthof(f->on_the_hour));
	AppendCounts(&json, "days", f->day_counts, COUNTED_DAYS);
	appendStringInfoChar(&json, '}');
	values[0] = CStringGetTextDatum("facts");
	values[6] = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
	tuplestore_putvalues(f->result->setResult, f->result->setDesc, values, nulls);
}

/*
 * (key anyelement, query text, identified text, today date): identified is the same query with a
 * column row_identity, which is evaluated only for similar orders; NULL to skip the search for
 * copies.
 */
PG_FUNCTION_INFO_V1(order_faults);
Datum
order_faults(PG_FUNCTION_ARGS)
{
	static const char *const function = "order_faults";
	FaultFinder *f = palloc0(sizeof(FaultFinder));
	char *query = QueryArgument(fcinfo, 1, function);

	if (PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("today must not be NULL")));
	InitMaterializedSRF(fcinfo, 0);
	f->result = (ReturnSetInfo *) fcinfo->resultinfo;
	InitReceiver(&f->pub, ReceiveRow, Startup);
	f->key_type = KeyArgumentType(fcinfo, 0, function);
	f->context = CurrentMemoryContext;
	f->look_for_copies = !PG_ARGISNULL(2);
	f->row = AllocSetContextCreate(CurrentMemoryContext, "order of a source", ALLOCSET_SMALL_SIZES);
	f->today = CheckedDay(PG_GETARG_DATEADT(3), "today");
	f->amounts = palloc_extended(AMOUNT_CLASSES * sizeof(int64), MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	f->day_counts = palloc0(COUNTED_DAYS * sizeof(int64));
	f->pool = CreateRecordPool(CurrentMemoryContext);
	for (int i = 0; i < PRINT_STORES; i++)
		f->prints[i].pool = f->pool;
	f->refunds = prints_create(CurrentMemoryContext, 128, NULL);
	f->alike = prints_create(CurrentMemoryContext, 128, NULL);
	f->met = prints_create(CurrentMemoryContext, 128, NULL);

	RunQuery(function, query, &f->pub);
	FindFence(f);
	for (int i = 0; i < PRINT_STORES; i++)
		FindAlike(f, &f->prints[i]);
	DeleteRecordPool(f->pool);
	HandOnFacts(f);

	f->second_look = true;
	if (f->alike->members > 0)
		RunQuery(function, QueryArgument(fcinfo, 2, function), &f->pub);
	else if (f->odd > 0)
		RunQuery(function, query, &f->pub);
	return (Datum) 0;
}
