/*
 * collect.h: the bulk road from a query of orders to histories.
 */
#ifndef CRM_COLLECT_H
#define CRM_COLLECT_H

#include "postgres.h"

#include "progress.h"
#include "purchase_history.h"

/* Takes one customer's history, which it may keep or pfree. */
typedef void (*HistoryConsumer)(void *consumer, Datum customer, PurchaseHistory *history);

/*
 * Runs the query of orders and hands the history of each customer to `take`;
 * `progress`: begins each of the lines that tell how far it is, NULL: none.
 */
extern void CollectHistories(const char *function, Oid key_type, const char *query,
							 const char *progress, HistoryConsumer take, void *consumer);

#endif /* CRM_COLLECT_H */
