/*
 * ordered_customers.c: customers whose rows come in order.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "orders/customer_blocks.h"
#include "orders/ordered_customers.h"

#define FIRST_ROOM 1024

OrderedCustomers *
CreateOrderedCustomers(const OrderTask *task, RecordFormat *format, RecordPool *pool, int scale)
{
	const CustomerKey *key = &format->key;
	OrderedCustomers *ordered = palloc0(sizeof(OrderedCustomers));

	ordered->task = task;
	ordered->format = format;
	ordered->context = CurrentMemoryContext;
	ordered->finished.pool = pool;
	ordered->scale = scale;
	if (OidIsValid(task->order_operator))
	{
		/* those who want an order want this one */
		PrepareCustomerOrder(task, &ordered->order, CurrentMemoryContext);
		ordered->direction = 1;
	}
	else if (!key->integer)
	{
		Oid less_than = lookup_type_cache(key->type, TYPECACHE_LT_OPR)->lt_opr;

		if (!OidIsValid(less_than))
		{
			pfree(ordered);
			return NULL;
		}
		ordered->order.ssup_cxt = CurrentMemoryContext;
		ordered->order.ssup_collation = key->collation;
		ordered->order.ssup_attno = 1;
		PrepareSortSupportFromOrderingOp(less_than, &ordered->order);
	}
	ordered->room = task->grain == PER_DAY ? FIRST_ROOM : 1;
	ordered->days = palloc(ordered->room * sizeof(PurchaseDay));
	return ordered;
}

/* ---------- finished customers ---------- */

static void
FinishCustomer(OrderedCustomers *ordered)
{
	CustomerPurchases purchases = {.customer = ordered->customer.key,
								   .days = ordered->days,
								   .ndays = ordered->ndays,
								   .scale = ordered->scale};
	RecordStore *finished = &ordered->finished;

	if (ordered->task->grain == PER_DAY)
		purchases.ndays = SortPurchaseDays(ordered->days, ordered->ndays);
	AppendCustomer(finished, ordered->format, ordered->task->grain, &purchases);
	if (finished->pool->used > ordered->task->memory)
		RecordStoreSpill(finished);
	ordered->ndays = 0;
	ordered->begun = false;
}

void
FinishOrderedCustomers(OrderedCustomers *ordered)
{
	if (ordered->begun)
		FinishCustomer(ordered);
	RecordStoreSeal(&ordered->finished);
}

/* Moves what a finished customer bought to the partitions. */
static void
MoveCustomer(OrderedCustomers *ordered, const PackedPurchase *record, OrderPartitions *orders)
{
	Datum customer = RecordCustomer(record, ordered->format);
	uint64 bits = CustomerKeyBits(&ordered->format->key, customer);
	PurchaseDay total;
	PurchaseDay *days = &total;
	int64 ndays = 1;
	int scale = ordered->scale;

	if (ordered->task->grain == PER_CUSTOMER)
		ReadRecord(record, ordered->format, &total);
	else
	{
		const PurchaseHistory *history = FinishedHistory(record, ordered->format);

		scale = HistoryScale(history);
		days = DecodeHistory(history, scale, &ndays);
	}
	for (int64 i = 0; i < ndays; i++)
		AddPurchase(orders, customer, bits, &days[i], NULL, scale);
	if (days != &total)
		pfree(days);
}

/* Appends the total of a customer at another scale. */
static void
RescaleCustomer(OrderedCustomers *ordered, const PackedPurchase *record, int scale)
{
	PurchaseDay total;

	ReadRecord(record, ordered->format, &total);
	RescalePurchase(&total, ordered->scale, scale);
	AppendPurchase(&ordered->finished, ordered->format, RecordCustomer(record, ordered->format),
				   record->bits, &total, NULL, scale);
}

/* Moves all finished customers to the partitions or, if these are NULL, to another scale. */
static void
MoveFinished(OrderedCustomers *ordered, OrderPartitions *orders, int scale)
{
	RecordStore from = ordered->finished;
	RecordCursor cursor;
	RecordBlock *block;

	ordered->finished = (RecordStore){.pool = from.pool};
	RecordCursorBegin(&cursor, &from);
	while ((block = RecordCursorNext(&cursor)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		for (const char *at = block->data; at < block->data + block->used;)
		{
			const PackedPurchase *record = (const PackedPurchase *) at;

			at += FinishedSize(record, ordered->format, ordered->task->grain);
			if (orders != NULL)
				MoveCustomer(ordered, record, orders);
			else
				RescaleCustomer(ordered, record, scale);
		}
		if (!cursor.in_file)
		{
			RecordStoreDropFirst(&from);
			cursor.block = NULL;
		}
	}
	RecordCursorEnd(&cursor);
	RecordStoreReset(&from);
	RecordStoreSeal(&ordered->finished);
}

void
LeaveOrder(OrderedCustomers *ordered, OrderPartitions *orders)
{
	MoveFinished(ordered, orders, 0);
	if (ordered->begun)
	{
		uint64 bits = CustomerKeyBits(&ordered->format->key, ordered->customer.key);

		for (int64 i = 0; i < ordered->ndays; i++)
			AddPurchase(orders, ordered->customer.key, bits, &ordered->days[i], NULL,
						ordered->scale);
	}
	FreeKeyCopy(&ordered->customer);
	pfree(ordered->days);
	pfree(ordered);
}

/* Raises the scale of what has come so far. */
static void
RaiseScale(OrderedCustomers *ordered, int scale)
{
	/* a history has a scale of its own */
	if (ordered->task->grain == PER_CUSTOMER)
		MoveFinished(ordered, NULL, scale);
	for (int64 i = 0; i < ordered->ndays; i++)
		RescalePurchase(&ordered->days[i], ordered->scale, scale);
	ordered->scale = scale;
}

/* ---------- the customer whose rows are coming ---------- */

/* How a customer comes after the one before: > 0 in ascending order, 0 if it is the same. */
static int
CompareCustomers(OrderedCustomers *ordered, Datum customer)
{
	Datum before = ordered->customer.key;

	if (ordered->format->key.integer)
		return (int64) customer < (int64) before ? -1 : (int64) customer > (int64) before;
	return ApplySortComparator(customer, false, before, false, &ordered->order);
}

/* Makes room for another day; false if a single customer would take too much memory. */
static bool
MakeRoom(OrderedCustomers *ordered)
{
	ordered->ndays = SortPurchaseDays(ordered->days, ordered->ndays);
	if (ordered->ndays < ordered->room / 2)
		return true;
	if (ordered->room * sizeof(PurchaseDay) > ordered->task->memory / 8)
		return false;
	ordered->room *= 2;
	ordered->days = repalloc_huge(ordered->days, ordered->room * sizeof(PurchaseDay));
	return true;
}

/* Adds a purchase to the customer. */
static inline void
AddToCustomer(OrderedCustomers *ordered, const PurchaseDay *purchase)
{
	PurchaseDay *total = ordered->days;
	DateADT last = Max(total->day, purchase->day);

	if (ordered->task->grain == PER_DAY || ordered->ndays == 0)
	{
		ordered->days[ordered->ndays++] = *purchase;
		return;
	}
	AddPurchaseDay(total, purchase);
	total->day = last;
}

bool
AddInOrder(OrderedCustomers *ordered, Datum customer, const PurchaseDay *purchase, int scale)
{
	PurchaseDay rescaled;

	if (ordered->begun && !SameKeyBytes(&ordered->format->key, customer, ordered->customer.key))
	{
		int comes = CompareCustomers(ordered, customer);

		if (comes * ordered->direction < 0)
			return false;
		if (comes != 0)
		{
			FinishCustomer(ordered);
			ordered->direction = comes > 0 ? 1 : -1;
		}
	}
	if (ordered->ndays == ordered->room && ordered->task->grain == PER_DAY && !MakeRoom(ordered))
		return false;
	if (scale > ordered->scale)
		RaiseScale(ordered, scale);
	else if (scale < ordered->scale)
	{
		rescaled = *purchase;
		RescalePurchase(&rescaled, scale, ordered->scale);
		purchase = &rescaled;
	}
	if (!ordered->begun)
		CopyKey(&ordered->customer, &ordered->format->key, customer, ordered->context);
	ordered->begun = true;
	AddToCustomer(ordered, purchase);
	return true;
}
