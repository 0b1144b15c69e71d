/*
 * order_rows.h: the rows of a query of orders, as purchases.
 *
 * The query's first three columns are customer, day or time stamp, and amount;
 * columns named cost and order_key are optional.  Lines that share an order key
 * are one order: they are sorted together and summed first.
 */
#ifndef CRM_ORDER_ROWS_H
#define CRM_ORDER_ROWS_H

#include "fmgr.h"

#include "base/progress.h"
#include "history/history_codec.h"
#include "orders/order_partitions.h"

/* What becomes of a purchase; amounts in units of 10^-scale. */
typedef void (*PurchaseSink)(void *sink, Datum customer, uint64 bits, PurchaseDay *purchase,
							 int scale);

/* Called once the columns are known, before the first purchase. */
typedef void (*PurchaseSinkStart)(void *sink, const CustomerKey *key, bool costs, int scale);

/*
 * Runs the query and hands on every purchase in it; rows without customer, day
 * or amount are skipped.  `function` is the SQL function that does so; rows are
 * counted in `progress`, unless it is NULL.
 */
extern void
ReceivePurchases(const char *function, Oid key_type, const char *query, PurchaseSinkStart start,
				 PurchaseSink take, void *sink, Progress *progress);

#endif /* CRM_ORDER_ROWS_H */
