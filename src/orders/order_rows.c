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
#include "utils/typcache.h"

#include "base/caller_query.h"
#include "base/local_day.h"
#include "orders/order_rows.h"

#define COLUMNS "customer, day or time stamp, amount; optionally columns named cost and order_key"

/* ---------- columns ---------- */

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

/* The key of the orders that lines belong to. */
static void
InitOrderKey(OrderRows *receiver, TupleDesc columns)
{
	Form_pg_attribute column = TupleDescAttr(columns, receiver->order_column - 1);
	CustomerKey *key = &receiver->format.order;

	if (!OidIsValid(lookup_type_cache(column->atttypid, TYPECACHE_HASH_PROC)->hash_proc))
		ColumnTypeRefused(columns, receiver->order_column, "order key",
						  "a type with a hash operator class", "Cast it to text.");
	InitCustomerKey(key, column->atttypid, column->attcollation);
	key->seed = receiver->task->seed;
}

void
CheckOrderColumns(OrderRows *receiver, TupleDesc columns)
{
	const OrderTask *task = receiver->task;
	CustomerKey *key = &receiver->format.key;
	MemoryContext caller = MemoryContextSwitchTo(receiver->context);
	int scale;
	int cost;

	CheckColumnCount(columns, AMOUNT_COLUMN, COLUMNS);
	receiver->check_domain =
		CheckKeyColumn(columns, CUSTOMER_COLUMN, task->key_type, task->function);
	InitCustomerKey(key, TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->atttypid,
					TupleDescAttr(columns, CUSTOMER_COLUMN - 1)->attcollation);
	key->seed = task->seed;
	CheckDayColumn(columns);
	receiver->day_type = OrderColumnType(columns, DAY_COLUMN);
	receiver->amount = MakeAmountColumn(columns, AMOUNT_COLUMN, task->round_amount, "amount");
	scale = LikelyScale(&receiver->amount, columns);
	cost = ColumnNamed(columns, "cost");
	if (cost > 0)
	{
		receiver->cost = MakeAmountColumn(columns, cost, task->round_cost, "cost");
		scale = Max(scale, LikelyScale(&receiver->cost, columns));
	}
	receiver->format.costs = task->grain == PER_DAY && cost > 0;
	receiver->format.after = task->after;
	receiver->format.as_of = task->as_of;
	receiver->order_column = ColumnNamed(columns, "order_key");
	receiver->format.lines = receiver->order_column > 0;
	if (receiver->format.lines)
		InitOrderKey(receiver, columns);
	receiver->scale = scale;
	MemoryContextSwitchTo(caller);
}

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	OrderRows *receiver = (OrderRows *) self;
	MemoryContext caller = MemoryContextSwitchTo(receiver->context);

	CheckOrderColumns(receiver, columns);
	receiver->orders =
		CreateOrderPartitions(receiver->pool, &receiver->format, receiver->task->grain,
							  receiver->scale, receiver->task->memory);
	if (receiver->may_be_ordered && !receiver->format.lines)
		receiver->ordered = CreateOrderedCustomers(receiver->task, &receiver->format,
												   receiver->pool, receiver->scale);
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
	int c = receiver->cost.attno - 1;
	Decimal ignored;

	return IsOrderDay(receiver->day_type, row->tts_values[DAY_COLUMN - 1]) &&
		   ReadOrderAmount(&receiver->amount, row->tts_values[AMOUNT_COLUMN - 1], &ignored) ==
			   AMOUNT_FINE &&
		   (c < 0 || row->tts_isnull[c] ||
			ReadOrderAmount(&receiver->cost, row->tts_values[c], &ignored) == AMOUNT_FINE);
}

/* Hands on a purchase of a flat customer. */
static inline void
PassOnPurchase(OrderRows *receiver, Datum customer, PurchaseDay *purchase, int scale)
{
	if (receiver->task->grain == PER_CUSTOMER)
		LimitToPeriod(purchase, receiver->task->after, receiver->task->as_of);
	if (receiver->ordered != NULL)
	{
		if (AddInOrder(receiver->ordered, customer, purchase, scale))
			return;
		LeaveOrder(receiver->ordered, receiver->orders);
		receiver->ordered = NULL;
	}
	AddPurchase(receiver->orders, customer, CustomerKeyBits(&receiver->format.key, customer),
				purchase, NULL, scale);
}

/* Hands on a customer without a purchase, as one on NO_DAY. */
static void
PassOnNoPurchase(OrderRows *receiver, Datum value)
{
	PurchaseDay purchase = {.day = NO_DAY, .orders = 1};
	Datum customer = FlatKey(&receiver->format.key, value);

	PassOnPurchase(receiver, customer, &purchase, 0);
	FreeFlatKey(customer, value);
}

/* Makes the purchase of a row whose customer, day and amount are not NULL. */
static pg_attribute_always_inline int
PurchaseOfRow(OrderRows *receiver, TupleTableSlot *row, PurchaseDay *purchase)
{
	Datum value = row->tts_values[AMOUNT_COLUMN - 1];
	DateADT day = DayOf(receiver, row->tts_values[DAY_COLUMN - 1]);
	int c = receiver->cost.attno - 1;
	Decimal amount;
	Decimal cost;

	if (receiver->amount.type == NUMERICOID && receiver->scale <= USUAL_SCALE &&
		UsualAmount(value, receiver->scale, &amount.mantissa) &&
		(receiver->amount.round_to == AS_THEY_ARE || receiver->scale <= receiver->amount.round_to))
		amount.scale = receiver->scale;
	else
	{
		amount = OrderAmount(&receiver->amount, value, "amount");
		receiver->scale = Max(receiver->scale, amount.scale);
	}
	if (c < 0 || row->tts_isnull[c])
		return MakePurchaseDay(purchase, day, amount, NULL);
	cost = OrderAmount(&receiver->cost, row->tts_values[c], "cost");
	return MakePurchaseDay(purchase, day, amount, &cost);
}

/* ---------- order lines ---------- */

/* Puts the lines of an order that have come so far into their partition. */
static void
PassOnLines(OrderRows *receiver)
{
	CustomerKey *order_key = &receiver->format.order;
	Datum customer = receiver->line_customer.key;
	LineOrder order = {CustomerKeyBits(order_key, receiver->line_order.key),
					   receiver->line_order.key};

	receiver->lines.orders = ORDER_LINE;
	AddPurchase(receiver->orders, customer, CustomerKeyBits(&receiver->format.key, customer),
				&receiver->lines, &order, receiver->lines_scale);
	receiver->line_begun = false;
}

/* Adds a line to those of its order. */
static inline void
AddLine(OrderRows *receiver, PurchaseDay *line, int scale)
{
	PurchaseDay *lines = &receiver->lines;

	if (unlikely(scale > receiver->lines_scale))
	{
		RescalePurchase(lines, receiver->lines_scale, scale);
		receiver->lines_scale = scale;
	}
	else if (scale < receiver->lines_scale)
		RescalePurchase(line, scale, receiver->lines_scale);
	AddLines(lines, line);
}

/* Takes a line of a flat customer. */
static inline void
TakeLine(OrderRows *receiver, Datum customer, Datum order, PurchaseDay *line, int scale)
{
	const RecordFormat *format = &receiver->format;

	if (receiver->line_begun && SameKeyBytes(&format->order, order, receiver->line_order.key) &&
		SameKeyBytes(&format->key, customer, receiver->line_customer.key))
	{
		AddLine(receiver, line, scale);
		return;
	}
	if (receiver->line_begun)
		PassOnLines(receiver);
	CopyKey(&receiver->line_customer, &format->key, customer, receiver->context);
	CopyKey(&receiver->line_order, &format->order, order, receiver->context);
	receiver->lines = *line;
	receiver->lines_scale = scale;
	receiver->line_begun = true;
}

/* ---------- all of it ---------- */

static bool
ReceiveRow(TupleTableSlot *row, DestReceiver *self)
{
	OrderRows *receiver = (OrderRows *) self;
	int o = receiver->order_column - 1;
	PurchaseDay purchase;
	Datum value;
	Datum customer;
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
	value = row->tts_values[CUSTOMER_COLUMN - 1];
	if (unlikely(receiver->check_domain))
		CheckKeyDomain(value, receiver->task->key_type, &receiver->domain_extra, receiver->context);
	scale = PurchaseOfRow(receiver, row, &purchase);
	customer = FlatKey(&receiver->format.key, value);
	/* a line without an order key is an order of its own */
	if (o >= 0 && !row->tts_isnull[o])
	{
		Datum order = FlatKey(&receiver->format.order, row->tts_values[o]);

		TakeLine(receiver, customer, order, &purchase, scale);
		FreeFlatKey(order, row->tts_values[o]);
	}
	else
		PassOnPurchase(receiver, customer, &purchase, scale);
	FreeFlatKey(customer, value);
	return true;
}

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
	if (rows->line_begun)
		PassOnLines(rows);
	if (rows->ordered != NULL)
		FinishOrderedCustomers(rows->ordered);
	rows->memory = rows->pool->used;
	rows->spilled = rows->pool->spilled;
}
