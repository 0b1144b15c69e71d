/*
 * order_query.h: the customers of a query of orders, each with what the task
 * asks for.
 *
 * Without parallel workers this process groups the purchases itself, and returns
 * customer after customer.  With them all processes do (order_workers.h), and
 * what arrives here are finished records: totals, or histories.
 */
#ifndef CRM_ORDER_QUERY_H
#define CRM_ORDER_QUERY_H

#include "postgres.h"

#include "miscadmin.h"

#include "history/history_codec.h"
#include "orders/order_partitions.h"
#include "orders/order_rows.h"

typedef struct OrderQuery
{
	OrderTask task;
	Progress *progress; /* of the rows; NULL: nobody wants to know */
	RecordPool *pool;
	OrderPartitions *orders; /* NULL: all customers are in `finished` */
	RecordStore finished;
	int scale; /* of all that is in it */
	RecordFormat format;

	RecordCursor cursor; /* over `finished` */
	bool reading;
	RecordBlock *block;
	char *next;
} OrderQuery;

/* `function` is the SQL function that asks. */
extern OrderQuery *CreateOrderQuery(const char *function, Oid key_type, PurchaseGrain grain);

extern void EndOrderQuery(OrderQuery *query);

/*
 * The next customer of a PER_DAY query and the history, in no particular order,
 * valid until the next call; false at the end.
 */
extern bool NextCustomerHistory(OrderQuery *query, Datum *customer, PurchaseHistory **history);

/* Finishes all customers, for those who read them more than once. */
extern void FinishCustomers(OrderQuery *query);

/* Puts a customer behind the finished ones. */
extern void AppendCustomer(RecordStore *finished, const RecordFormat *format, PurchaseGrain grain,
						   const CustomerPurchases *customer);

/* From the first finished customer on. */
extern void RewindCustomers(OrderQuery *query);

/* The history in a finished record, behind the customer. */
static inline PurchaseHistory *
FinishedHistory(const PackedPurchase *record, const RecordFormat *format)
{
	return (PurchaseHistory *) ((char *) record + RecordSize(record, format));
}

/* The next finished customer; NULL at the end. */
static inline const PackedPurchase *
NextCustomer(OrderQuery *query)
{
	const PackedPurchase *record;

	while (query->block == NULL || query->next >= query->block->data + query->block->used)
	{
		CHECK_FOR_INTERRUPTS();
		query->block = RecordCursorNext(&query->cursor);
		if (query->block == NULL)
			return NULL;
		query->next = query->block->data;
	}
	record = (const PackedPurchase *) query->next;
	query->next += RecordSize(record, &query->format);
	if (query->task.grain == PER_DAY)
		query->next += MAXALIGN(VARSIZE(query->next));
	return record;
}

#endif /* CRM_ORDER_QUERY_H */
