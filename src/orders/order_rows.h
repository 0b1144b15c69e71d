/*
 * order_rows.h: the rows of a query of orders, as purchases.
 *
 * The query's first three columns are customer, day or time stamp, and amount; columns named cost
 * and order_key are optional.  Lines with the same order key are one order: they are sorted
 * together and summed first.
 */
#ifndef CRM_ORDER_ROWS_H
#define CRM_ORDER_ROWS_H

#include "fmgr.h"
#include "tcop/dest.h"
#include "utils/tuplesort.h"

#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "base/progress.h"
#include "history/history_codec.h"
#include "orders/order_partitions.h"

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
	DateADT after;       /* PER_CUSTOMER: the last day before the period, */
	DateADT as_of;       /* and the last one of it */
	Size memory;         /* for the purchases of a process */
	uint64 seed;         /* of hashes of the key */
	Oid order_operator;  /* PER_DAY: "less than" of the order of customers; invalid: in no order */
	Oid order_collation;
} OrderTask;

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

	RecordFormat format;
	bool check_domain;  /* of the customers */
	void *domain_extra; /* of CheckKeyDomain */
	Oid day_type;
	Oid amount_type;
	Oid cost_type;
	int scale;        /* that amounts are likely to have */
	int cost_column;  /* 0: none */
	int order_column; /* 0: none */
	LocalDayCache days;

	/* order lines, where there is an order key */
	Tuplesortstate *lines;
	TupleDesc columns;
	FmgrInfo same_order;
	Oid order_collation;
} OrderRows;

/* `rows` lives in the current memory context, and so does what it needs. */
extern void
InitOrderRows(OrderRows *rows, const OrderTask *task, RecordPool *pool, Progress *progress);

/* Checks the columns of the query; needed before the start by those who look at them only. */
extern void CheckOrderColumns(OrderRows *rows, TupleDesc columns);

/* When all rows have come: adds up order lines. */
extern void FinishOrderRows(OrderRows *rows);

/* Reads an amount of a type that orders may have. */
extern AmountFault ReadOrderAmount(Oid type, Datum value, Decimal *amount);

/* Whether a value of a type that purchase days may have is finite. */
extern bool IsOrderDay(Oid type, Datum value);

/* The type of a column, or its base type if that is a domain. */
extern Oid OrderColumnType(TupleDesc columns, int attno);

#endif /* CRM_ORDER_ROWS_H */
