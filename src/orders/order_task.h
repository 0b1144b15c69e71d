/*
 * order_task.h: what is asked of a query of orders.
 */
#ifndef CRM_ORDER_TASK_H
#define CRM_ORDER_TASK_H

#include "orders/customer_grouping.h"

/* What is asked of a query of orders; plain bytes, so that workers can be told. */
typedef struct OrderTask
{
	char function[NAMEDATALEN]; /* the SQL function that asks */
	Oid key_type;
	PurchaseGrain grain;
	/*
	 * Rows that are no purchase are skipped, where they are an error otherwise:
	 * amounts that are no number, have too many digits or decimals, and days
	 * without end.
	 */
	bool lenient;
	bool every_customer; /* PER_DAY: those without a purchase, too, if they have rows */
	int round_amount;    /* to so many decimals, or AS_THEY_ARE */
	int round_cost;
	DateADT after;      /* PER_CUSTOMER: the last day before the period, */
	DateADT as_of;      /* and the last one of it */
	Size memory;        /* for the purchases of a process */
	uint64 seed;        /* of hashes of the key */
	Oid order_operator; /* PER_DAY: "less than" of the order of customers; invalid: in no order */
	Oid order_collation;
} OrderTask;

#endif /* CRM_ORDER_TASK_H */
