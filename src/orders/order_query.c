/*
 * order_query.c: the customers of a query of orders, each with what the task
 * asks for.
 */
#include "postgres.h"

#include "common/pg_prng.h"

#include "orders/order_query.h"

OrderQuery *
CreateOrderQuery(const char *function, Oid key_type, PurchaseGrain grain)
{
	OrderQuery *query = palloc0(sizeof(OrderQuery));

	strlcpy(query->task.function, function, NAMEDATALEN);
	query->task.key_type = key_type;
	query->task.grain = grain;
	query->task.memory = HashMemoryLimit();
	query->task.seed = pg_prng_uint64(&pg_global_prng_state);
	query->pool = CreateRecordPool(CurrentMemoryContext);
	query->finished.pool = query->pool;
	return query;
}

void
EndOrderQuery(OrderQuery *query)
{
	if (query->orders != NULL)
		EndOrderPartitions(query->orders);
	RecordCursorEnd(&query->cursor);
	RecordStoreReset(&query->finished);
	DeleteRecordPool(query->pool);
	pfree(query);
}

bool
NextCustomerHistory(OrderQuery *query, Datum *customer, PurchaseHistory **history)
{
	const PackedPurchase *record;
	CustomerPurchases next;

	if (query->orders != NULL)
	{
		if (!NextCustomerPurchases(query->orders, &next))
			return false;
		*customer = next.customer;
		*history = EncodeSortedHistory(next.days, next.ndays, next.scale);
		return true;
	}
	record = NextCustomer(query);
	if (record == NULL)
		return false;
	*customer = RecordCustomer(record, &query->format);
	*history = FinishedHistory(record, &query->format);
	return true;
}

/* ---------- finished customers ---------- */

/* A record of the customer alone, with a history behind it. */
static void
AppendHistory(RecordStore *finished, const RecordFormat *format, Datum customer,
			  PurchaseHistory *history, int scale)
{
	const CustomerKey *key = &format->key;
	Size key_size = key->integer ? 0 : CustomerKeySize(key, customer);
	Size size = NARROW_RECORD_SIZE + (key->integer ? 0 : KEY_SIZE_BYTES + MAXALIGN(key_size));
	PackedPurchase *record =
		(PackedPurchase *) RecordStoreAppend(finished, size + MAXALIGN(VARSIZE(history)), scale);

	record->bits = key->integer ? (uint64) customer : 0;
	record->number = 0;
	record->mark = 0;
	if (!key->integer)
		AppendKey(RecordKey(record, format), key, customer, key_size);
	memcpy((char *) record + size, history, VARSIZE(history));
}

void
AppendCustomer(RecordStore *finished, const RecordFormat *format, PurchaseGrain grain,
			   const CustomerPurchases *customer)
{
	PurchaseHistory *history;

	if (grain == PER_CUSTOMER)
	{
		AppendPurchase(finished, format, customer->customer,
					   format->key.integer ? (uint64) customer->customer : 0, customer->days,
					   customer->scale);
		return;
	}
	history = EncodeSortedHistory(customer->days, customer->ndays, customer->scale);
	AppendHistory(finished, format, customer->customer, history, customer->scale);
	pfree(history);
}

void
FinishCustomers(OrderQuery *query)
{
	CustomerPurchases next;

	if (query->orders == NULL)
		return;
	while (NextCustomerPurchases(query->orders, &next))
	{
		AppendCustomer(&query->finished, &query->format, query->task.grain, &next);
		query->scale = next.scale;
		if (query->pool->used > query->task.memory)
			RecordStoreSpill(&query->finished);
	}
	EndOrderPartitions(query->orders);
	query->orders = NULL;
	RewindCustomers(query);
}

void
RewindCustomers(OrderQuery *query)
{
	if (query->reading)
		RecordCursorEnd(&query->cursor);
	RecordCursorBegin(&query->cursor, &query->finished);
	query->reading = true;
	query->block = NULL;
}
