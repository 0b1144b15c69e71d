/*
 * collect_histories.h: histories from a query of orders, in bulk.
 */
#ifndef CRM_COLLECT_HISTORIES_H
#define CRM_COLLECT_HISTORIES_H

#include "fmgr.h"

#include "history/history_codec.h"

typedef struct HistoryCollection HistoryCollection;

/*
 * Runs the query of orders; customers are of the given type.  `progress` starts each progress
 * message (NULL for none); for `lenient` see ReceivePurchases.
 */
extern HistoryCollection *CollectHistories(const char *function, Oid key_type, const char *query,
										   const char *progress, bool lenient);

/*
 * The next customer, valid until the next call, and the history, allocated in the current memory
 * context; false at the end.
 */
extern bool NextHistory(HistoryCollection *collection, Datum *customer, PurchaseHistory **history);

extern void EndHistories(HistoryCollection *collection);

extern void InitCollectHistories(void);

#endif /* CRM_COLLECT_HISTORIES_H */
