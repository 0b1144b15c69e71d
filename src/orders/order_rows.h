/*
 * order_rows.h: the rows of a query of orders, as purchases.
 *
 * The query's first three columns are customer, day or time stamp, and amount; columns named cost
 * and order_key are optional.  Lines with the same order key are one order: those that come one
 * after the other are summed at once.
 */
#ifndef CRM_ORDER_ROWS_H
#define CRM_ORDER_ROWS_H

#include "fmgr.h"
#include "tcop/dest.h"

#include "base/local_day.h"
#include "base/progress.h"
#include "history/history_codec.h"
#include "orders/order_amount.h"
#include "orders/order_partitions.h"
#include "orders/ordered_customers.h"

/* The first columns of the query. */
#define CUSTOMER_COLUMN 1
#define DAY_COLUMN 2
#define AMOUNT_COLUMN 3

/* Takes the rows of a query and puts every purchase in them into its partition. */
typedef struct OrderRows
{
	DestReceiver pub; /* must be first */
	const OrderTask *task;
	MemoryContext context; /* of what outlives a row */
	RecordPool *pool;
	OrderPartitions *orders; /* from the start on */
	Progress *progress;      /* counts the rows; NULL: nobody wants to know */
	int64 without_customer;  /* rows; those without day or amount are skipped as well */
	Size memory;             /* that the purchases took when all had come, in all processes */
	Size spilled;

	RecordFormat format;
	bool check_domain;  /* of the customers */
	void *domain_extra; /* of CheckKeyDomain */
	Oid day_type;
	AmountColumn amount;
	AmountColumn cost;
	int scale;        /* that amounts are likely to have */
	int order_column; /* 0: none */
	LocalDayCache days;

	/* customers that are finished when the next one comes; NULL: they come in no order */
	bool may_be_ordered;
	OrderedCustomers *ordered;

	/* the order whose lines are coming: mostly all of them one after the other */
	bool line_begun;
	KeyCopy line_customer;
	KeyCopy line_order;
	PurchaseDay lines;
	int lines_scale;
} OrderRows;

/* `rows` lives in the current memory context, and so does what it needs. */
extern void
InitOrderRows(OrderRows *rows, const OrderTask *task, RecordPool *pool, Progress *progress);

/* Checks the columns of the query; needed before the start by those who look at them only. */
extern void CheckOrderColumns(OrderRows *rows, TupleDesc columns);

/* When all rows have come: puts what is left into its partition. */
extern void FinishOrderRows(OrderRows *rows);

/* Whether a value of a type that purchase days may have is finite. */
extern bool IsOrderDay(Oid type, Datum value);

#endif /* CRM_ORDER_ROWS_H */
