/*
 * order_rows.c: the rows of a query of orders, as purchases.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "base/caller_query.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "orders/order_rows.h"

#define CUSTOMER_COLUMN 1
#define DAY_COLUMN 2
#define AMOUNT_COLUMN 3
#define COLUMNS "customer, day or time stamp, amount; optionally columns named cost and order_key"

/* ---------- columns ---------- */

Oid
OrderColumnType(TupleDesc columns, int attno)
{
	return getBaseType(TupleDescAttr(columns, attno - 1)->atttypid);
}

/* The type of a column of money, checked. */
static Oid
AmountType(TupleDesc columns, int attno, const char *what)
{
	Oid type = OrderColumnType(columns, attno);

	switch (type)
	{
		case NUMERICOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return type;
		case FLOAT4OID:
		case FLOAT8OID:
			ColumnTypeRefused(
				columns, attno, what, "numeric or an integer type: floats are not exact",
				psprintf("Round it: round(%s::numeric, 2).",
						 quote_identifier(NameStr(TupleDescAttr(columns, attno - 1)->attname))));
		default:
			ColumnTypeRefused(columns, attno, what, "numeric or an integer type", NULL);
	}
}

static void
CheckDayColumn(TupleDesc columns)
{
	switch (OrderColumnType(columns, DAY_COLUMN))
	{
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return;
		default:
			ColumnTypeRefused(columns, DAY_COLUMN, "day of purchase",
							  "date, timestamp or timestamptz", NULL);
	}
}

/* The scale of a numeric(p, s) column; 0 if it declares none. */
static int
DeclaredScale(TupleDesc columns, int attno)
{
	int32 typmod = TupleDescAttr(columns, attno - 1)->atttypmod;
	int scale;

	if (OrderColumnType(columns, attno) != NUMERICOID || typmod < (int32) VARHDRSZ)
		return 0;
	scale = (typmod - VARHDRSZ) & 0x7ff;
	return scale <= MAX_SCALE ? scale : 0;
}

/* Order lines are sorted by customer and order key, so that lines of one order are adjacent. */
static void
StartLines(OrderRows *receiver, TupleDesc columns)
{
	AttrNumber attnos[2] = {CUSTOMER_COLUMN, (AttrNumber) receiver->order_column};
	Oid operators[2];
	Oid collations[2];
	bool nulls_first[2] = {false, false};
	TypeCacheEntry *entry = NULL;

	for (int i = 0; i < 2; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, attnos[i] - 1);

		entry = lookup_type_cache(column->atttypid, TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR_FINFO);
		if (!OidIsValid(entry->lt_opr))
			ColumnTypeRefused(columns, attnos[i], i == 0 ? "customer" : "order key",
							  "a type that can be sorted", "Cast it to text.");
		operators[i] = entry->lt_opr;
		collations[i] = column->attcollation;
	}
	fmgr_info_copy(&receiver->same_order, &entry->eq_opr_finfo, receiver->context);
	receiver->order_collation = collations[1];
	receiver->columns = CreateTupleDescCopy(columns);
	receiver->lines = tuplesort_begin_heap(receiver->columns, 2, attnos, operators, collations,
										   nulls_first, work_mem, NULL, TUPLESORT_NONE);
}

void
CheckOrderColumns(OrderRows *receiver, TupleDesc columns)
{
	const OrderTask *task = receiver->task;
	CustomerKey *key = &receiver->format.key;
	MemoryContext caller = MemoryContextSwitchTo(receiver->context);
	int scale;

	CheckColumnCount(columns, AMOUNT_COLUMN, COLUMNS);
	receiver->check_domain =
		CheckKeyColumn(columns, CUSTOMER_COLUMN, task->key_type, task->function);
	InitCustomerKey(key, TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->atttypid,
					TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->attcollation);
	key->seed = task->seed;
	CheckDayColumn(columns);
	receiver->day_type = OrderColumnType(columns, DAY_COLUMN);
	receiver->amount_type = AmountType(columns, AMOUNT_COLUMN, "amount");
	scale = DeclaredScale(columns, AMOUNT_COLUMN);
	receiver->cost_column = ColumnNamed(columns, "cost");
	if (receiver->cost_column > 0)
	{
		receiver->cost_type = AmountType(columns, receiver->cost_column, "cost");
		scale = Max(scale, DeclaredScale(columns, receiver->cost_column));
	}
	receiver->format.costs = task->grain == PER_DAY && receiver->cost_column > 0;
	receiver->order_column = ColumnNamed(columns, "order_key");
	receiver->scale = scale;
	MemoryContextSwitchTo(caller);
}

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	OrderRows *receiver = (OrderRows *) self;
	MemoryContext caller = MemoryContextSwitchTo(receiver->context);

	CheckOrderColumns(receiver, columns);
	if (receiver->order_column > 0)
		StartLines(receiver, columns);
	receiver->orders =
		CreateOrderPartitions(receiver->pool, &receiver->format, receiver->task->grain,
							  receiver->scale, receiver->task->memory);
	MemoryContextSwitchTo(caller);
}

/* ---------- rows ---------- */

static inline DateADT
DayOf(OrderRows *receiver, Datum value)
{
	switch (receiver->day_type)
	{
		case DATEOID:
			return CheckedDay(DatumGetDateADT(value), "purchase day");
		case TIMESTAMPOID:
			return DayOfTimestamp(DatumGetTimestamp(value));
		default:
			return LocalDayOfTimestampTz(DatumGetTimestampTz(value), &receiver->days);
	}
}

AmountFault
ReadOrderAmount(Oid type, Datum value, Decimal *amount)
{
	amount->scale = 0;
	switch (type)
	{
		case NUMERICOID:
			return ReadDecimal(value, amount);
		case INT2OID:
			amount->mantissa = DatumGetInt16(value);
			break;
		case INT4OID:
			amount->mantissa = DatumGetInt32(value);
			break;
		default:
			amount->mantissa = DatumGetInt64(value);
	}
	return amount->mantissa == PG_INT64_MIN ? AMOUNT_TOO_LARGE : AMOUNT_FINE;
}

static inline Decimal
AmountOf(Oid type, Datum value, const char *what)
{
	Decimal amount;

	if (type == NUMERICOID)
		return DecimalFromNumeric(value, what);
	if (ReadOrderAmount(type, value, &amount) != AMOUNT_FINE)
		AmountOutOfRange();
	return amount;
}

bool
IsOrderDay(Oid type, Datum value)
{
	return type == DATEOID ? !DATE_NOT_FINITE(DatumGetDateADT(value))
						   : !TIMESTAMP_NOT_FINITE(DatumGetTimestamp(value));
}

/* Whether day, amount and cost of a row are valid for a purchase. */
static bool
IsPurchase(OrderRows *receiver, TupleTableSlot *row)
{
	int c = receiver->cost_column - 1;
	Decimal ignored;

	return IsOrderDay(receiver->day_type, row->tts_values[DAY_COLUMN - 1]) &&
		   ReadOrderAmount(receiver->amount_type, row->tts_values[AMOUNT_COLUMN - 1], &ignored) ==
			   AMOUNT_FINE &&
		   (c < 0 || row->tts_isnull[c] ||
			ReadOrderAmount(receiver->cost_type, row->tts_values[c], &ignored) == AMOUNT_FINE);
}

/*
 * Leaves of a purchase what it contributes to its customer: the last day of an
 * order, in the period or before it; orders and amounts of the period only.
 */
static inline void
LimitToPeriod(PurchaseDay *purchase, const OrderTask *task)
{
	if (unlikely(purchase->day <= task->after || purchase->day > task->as_of))
	{
		bool earlier = purchase->day <= task->as_of && purchase->orders > 0;

		purchase->day = earlier ? purchase->day : NO_DAY;
		purchase->orders = 0;
		purchase->amount = 0;
	}
	else if (purchase->orders == 0)
		purchase->day = NO_DAY;
}

/* Hands on a purchase of a customer. */
static inline void
PassOnPurchase(OrderRows *receiver, Datum customer, PurchaseDay *purchase, int scale)
{
	CustomerKey *key = &receiver->format.key;
	Datum flat = customer;

	if (!key->integer && key->len == -1)
		flat = PointerGetDatum(PG_DETOAST_DATUM_PACKED(customer));
	if (receiver->task->grain == PER_CUSTOMER)
		LimitToPeriod(purchase, receiver->task);
	AddPurchase(receiver->orders, flat, CustomerKeyBits(key, flat), purchase, scale);
	if (flat != customer)
		pfree(DatumGetPointer(flat));
}

/* Hands on a customer without a purchase, as one on NO_DAY. */
static void
PassOnNoPurchase(OrderRows *receiver, Datum customer)
{
	PurchaseDay purchase = {.day = NO_DAY, .orders = 1};

	PassOnPurchase(receiver, customer, &purchase, 0);
}

/* Makes the purchase of a row whose customer, day and amount are not NULL. */
static pg_attribute_always_inline int
PurchaseOfRow(OrderRows *receiver, TupleTableSlot *row, PurchaseDay *purchase)
{
	Datum value = row->tts_values[AMOUNT_COLUMN - 1];
	DateADT day = DayOf(receiver, row->tts_values[DAY_COLUMN - 1]);
	int c = receiver->cost_column - 1;
	Decimal amount;
	Decimal cost;

	if (c < 0 && receiver->amount_type == NUMERICOID && receiver->scale <= USUAL_SCALE &&
		UsualAmount(value, receiver->scale, &amount.mantissa))
	{
		amount.scale = receiver->scale;
		return MakePurchaseDay(purchase, day, amount, NULL);
	}
	amount = AmountOf(receiver->amount_type, value, "amount");
	receiver->scale = Max(receiver->scale, amount.scale);
	if (c < 0 || row->tts_isnull[c])
		return MakePurchaseDay(purchase, day, amount, NULL);
	cost = AmountOf(receiver->cost_type, row->tts_values[c], "cost");
	return MakePurchaseDay(purchase, day, amount, &cost);
}

static bool
ReceiveRow(TupleTableSlot *row, DestReceiver *self)
{
	OrderRows *receiver = (OrderRows *) self;
	PurchaseDay purchase;
	int scale;

	if (receiver->progress != NULL)
		CountProgress(receiver->progress);
	slot_getallattrs(row);
	if (row->tts_isnull[CUSTOMER_COLUMN - 1] || row->tts_isnull[DAY_COLUMN - 1] ||
		row->tts_isnull[AMOUNT_COLUMN - 1])
	{
		receiver->without_customer += row->tts_isnull[CUSTOMER_COLUMN - 1];
		if (receiver->task->every_customer && !row->tts_isnull[CUSTOMER_COLUMN - 1])
			PassOnNoPurchase(receiver, row->tts_values[CUSTOMER_COLUMN - 1]);
		return true;
	}
	if (unlikely(receiver->task->lenient) && !IsPurchase(receiver, row))
		return true;
	if (unlikely(receiver->check_domain))
		CheckKeyDomain(row->tts_values[CUSTOMER_COLUMN - 1], receiver->task->key_type,
					   &receiver->domain_extra, receiver->context);
	if (receiver->lines != NULL)
	{
		tuplesort_puttupleslot(receiver->lines, row);
		return true;
	}
	scale = PurchaseOfRow(receiver, row, &purchase);
	PassOnPurchase(receiver, row->tts_values[CUSTOMER_COLUMN - 1], &purchase, scale);
	return true;
}

/* ---------- order lines ---------- */

/* Whether two adjacent lines belong to one order. */
static bool
SameOrder(OrderRows *receiver, TupleTableSlot *a, TupleTableSlot *b)
{
	int o = receiver->order_column - 1;

	/* a line without an order key is an order of its own */
	return !a->tts_isnull[o] && !b->tts_isnull[o] &&
		   DatumGetBool(FunctionCall2Coll(
			   &receiver->format.key.equal, receiver->format.key.collation,
			   a->tts_values[CUSTOMER_COLUMN - 1], b->tts_values[CUSTOMER_COLUMN - 1])) &&
		   DatumGetBool(FunctionCall2Coll(&receiver->same_order, receiver->order_collation,
										  a->tts_values[o], b->tts_values[o]));
}

/* Adds a line to its order; the day of an order is that of its earliest line. */
static void
AddLine(PurchaseDay *order, int *scale, PurchaseDay *line, int line_scale)
{
	int to = Max(*scale, line_scale);
	DateADT day = Min(order->day, line->day);

	order->amount =
		AddAmounts(Rescale(order->amount, *scale, to), Rescale(line->amount, line_scale, to));
	order->cost = AddAmounts(Rescale(order->cost, *scale, to), Rescale(line->cost, line_scale, to));
	order->covered =
		AddAmounts(Rescale(order->covered, *scale, to), Rescale(line->covered, line_scale, to));
	order->day = day;
	*scale = to;
}

/* An order whose lines have all been added. */
static void
TakeOrder(OrderRows *receiver, Datum customer, PurchaseDay *order, int scale)
{
	order->orders = order->amount >= 0 ? 1 : 0;
	PassOnPurchase(receiver, customer, order, scale);
}

static void
TakeLines(OrderRows *receiver)
{
	TupleTableSlot *line = MakeSingleTupleTableSlot(receiver->columns, &TTSOpsMinimalTuple);
	TupleTableSlot *first = MakeSingleTupleTableSlot(receiver->columns, &TTSOpsMinimalTuple);
	PurchaseDay order = {0};
	int scale = 0;

	tuplesort_performsort(receiver->lines);
	while (tuplesort_gettupleslot(receiver->lines, true, true, line, NULL))
	{
		PurchaseDay purchase;
		int line_scale;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(line);
		line_scale = PurchaseOfRow(receiver, line, &purchase);
		if (!TTS_EMPTY(first) && SameOrder(receiver, first, line))
		{
			AddLine(&order, &scale, &purchase, line_scale);
			continue;
		}
		if (!TTS_EMPTY(first))
			TakeOrder(receiver, first->tts_values[CUSTOMER_COLUMN - 1], &order, scale);
		ExecCopySlot(first, line);
		slot_getallattrs(first);
		order = purchase;
		scale = line_scale;
	}
	if (!TTS_EMPTY(first))
		TakeOrder(receiver, first->tts_values[CUSTOMER_COLUMN - 1], &order, scale);
	tuplesort_end(receiver->lines);
	ExecDropSingleTupleTableSlot(line);
	ExecDropSingleTupleTableSlot(first);
}

/* ---------- all of it ---------- */

static void
NothingToDo(DestReceiver *self)
{
}

void
InitOrderRows(OrderRows *rows, const OrderTask *task, RecordPool *pool, Progress *progress)
{
	memset(rows, 0, sizeof(*rows));
	rows->pub.receiveSlot = ReceiveRow;
	rows->pub.rStartup = Startup;
	rows->pub.rShutdown = NothingToDo;
	rows->pub.rDestroy = NothingToDo;
	rows->pub.mydest = DestNone;
	rows->task = task;
	rows->context = CurrentMemoryContext;
	rows->pool = pool;
	rows->progress = progress;
}

void
FinishOrderRows(OrderRows *rows)
{
	if (rows->lines != NULL)
		TakeLines(rows);
	rows->lines = NULL;
}
