/*
 * ordered_customers.h: customers whose rows come in order.
 *
 * Where the rows of a query are sorted by customer, because the plan or the table is, each customer
 * is finished when the next one comes, and nothing is hashed.  Whether they are shows itself: until
 * a customer comes who should have come earlier, they are taken to be sorted; then all that has
 * come so far moves to the partitions.
 */
#ifndef CRM_ORDERED_CUSTOMERS_H
#define CRM_ORDERED_CUSTOMERS_H

#include "utils/sortsupport.h"

#include "orders/order_partitions.h"
#include "orders/order_task.h"

typedef struct OrderedCustomers
{
	const OrderTask *task;
	RecordFormat *format;
	MemoryContext context;
	RecordStore finished; /* customers, as AppendCustomer leaves them */
	SortSupportData order;
	int direction; /* 1: ascending; -1: descending; 0: not known yet */
	int scale;

	/* the customer whose rows are coming */
	bool begun;
	KeyCopy customer;
	PurchaseDay *days; /* PER_CUSTOMER: the total */
	int64 ndays;
	int64 room;
} OrderedCustomers;

/* NULL if customers of that type have no order. */
extern OrderedCustomers *
CreateOrderedCustomers(const OrderTask *task, RecordFormat *format, RecordPool *pool, int scale);

/* Adds a purchase of a flat customer; false, and nothing is done, if that is against the order. */
extern bool
AddInOrder(OrderedCustomers *ordered, Datum customer, const PurchaseDay *purchase, int scale);

/* Moves all purchases to the partitions and frees the rest. */
extern void LeaveOrder(OrderedCustomers *ordered, OrderPartitions *orders);

/* Finishes the last customer. */
extern void FinishOrderedCustomers(OrderedCustomers *ordered);

#endif /* CRM_ORDERED_CUSTOMERS_H */
