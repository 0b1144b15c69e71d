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

#include "base/numeric_bytes.h"
#include "base/progress.h"
#include "history/history_codec.h"
#include "orders/order_partitions.h"

/* Receives a purchase; amounts in units of 10^-scale. */
typedef void (*PurchaseSink)(void *sink, Datum customer, uint64 bits, PurchaseDay *purchase,
							 int scale);

/* Called once the columns are known, before the first purchase. */
typedef void (*PurchaseSinkStart)(void *sink, const CustomerKey *key, bool costs, int scale);

/*
 * Runs the query and passes on every purchase; rows without customer, day or amount are skipped.
 * `function` is the SQL function, for error messages; rows are counted in `progress` unless it is
 * NULL.
 */
/*
 * With `lenient`, rows with invalid values are skipped instead of raising an error: amounts that
 * are not finite or have too many digits or decimals, and infinite days.
 */
extern void
ReceivePurchases(const char *function, Oid key_type, const char *query, PurchaseSinkStart start,
				 PurchaseSink take, void *sink, Progress *progress, bool lenient);

/* Reads an amount of a type that orders may have. */
extern AmountFault ReadOrderAmount(Oid type, Datum value, Decimal *amount);

/* Whether a value of a type that purchase days may have is finite. */
extern bool IsOrderDay(Oid type, Datum value);

/* The type of a column, or its base type if that is a domain. */
extern Oid OrderColumnType(TupleDesc columns, int attno);

#endif /* CRM_ORDER_ROWS_H */
