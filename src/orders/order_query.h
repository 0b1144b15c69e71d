/*
 * order_query.h: the customers of a query of orders, each with what the task
 * asks for.
 *
 * Without parallel workers this process groups the purchases itself, and returns
 * customer after customer.  With them all processes do (order_workers.h), and
 * what arrives here are blocks of finished customers: totals, or histories.
 */
#ifndef CRM_ORDER_QUERY_H
#define CRM_ORDER_QUERY_H

#include "postgres.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"

#include "orders/customer_blocks.h"
#include "orders/order_rows.h"

/* Finished customers in the order in which they came, and a reader of them. */
typedef struct CustomerRun
{
	RecordStore store;
	RecordCursor cursor;
	bool reading;
	RecordBlock *block;
	char *next;
	const PackedPurchase *record; /* the next to be merged */
} CustomerRun;

typedef struct OrderQuery
{
	OrderTask task;
	Progress *progress; /* of the rows; NULL: nobody wants to know */
	RecordPool *pool;
	dsa_area *area;           /* shared with the workers; NULL: there are none */
	SharedPartitions *shared; /* of them, while the query runs */
	Size given; /* memory of the area with finished customers, which the participants answer for */
	OrderPartitions *orders; /* NULL: all customers are finished */
	RecordFormat format;
	int scale; /* of what is finished */
	CustomerRun finished;
	/* Called when parallel workers have finished all customers, while they exit; NULL for none. */
	void (*when_finished)(void *caller);
	void *caller;

	/* or in sorted runs */
	CustomerRun **runs;
	int nruns;
	SortSupportData order;
	binaryheap *merge; /* the runs that are not at their end; NULL before the first customer */
} OrderQuery;

/* `function` is the SQL function that asks. */
extern OrderQuery *CreateOrderQuery(const char *function, Oid key_type, PurchaseGrain grain);

extern void EndOrderQuery(OrderQuery *query);

/*
 * The next customer of a PER_DAY query and the history, valid until the next
 * call, in the order of the task; false at the end.  NULL if the task is for
 * every customer, and this one has no purchase.
 */
extern bool NextCustomerHistory(OrderQuery *query, Datum *customer, PurchaseHistory **history);

/* Finishes all customers, for those who want them in order or read them more than once. */
extern void FinishCustomers(OrderQuery *query);

/* Keeps a block of finished customers, while the pool may take so much memory. */
extern void KeepCustomerBlock(OrderQuery *query, const bytea *block, Size memory);

/* The run of that number, from 1; 0: all that are in no order. */
extern CustomerRun *RunOfBlock(OrderQuery *query, int number);

/* Begins to read a run from its first customer on. */
extern void RewindRun(CustomerRun *run);

/* The next customer of a run; NULL at the end. */
static inline const PackedPurchase *
NextInRun(CustomerRun *run, const OrderQuery *query)
{
	const PackedPurchase *record;

	while (run->block == NULL || run->next >= run->block->data + run->block->used)
	{
		CHECK_FOR_INTERRUPTS();
		run->block = RecordCursorNext(&run->cursor);
		if (run->block == NULL)
			return NULL;
		run->next = run->block->data;
	}
	record = (const PackedPurchase *) run->next;
	run->next += FinishedSize(record, &query->format, query->task.grain);
	return record;
}

#endif /* CRM_ORDER_QUERY_H */
