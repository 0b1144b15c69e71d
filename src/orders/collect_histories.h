/*
 * collect_histories.h: histories from a query of orders, in bulk.
 */
#ifndef CRM_COLLECT_HISTORIES_H
#define CRM_COLLECT_HISTORIES_H

#include "fmgr.h"

#include "history/history_codec.h"

typedef struct HistoryCollection HistoryCollection;

/*
 * Runs the query of orders, whose customers are of the type given.  `progress`
 * begins each line of progress; NULL: no lines.  `round_to`: the decimals that
 * amounts and costs are rounded to, or AS_THEY_ARE.  `lenient` and the order of
 * the customers: see OrderTask.
 */
extern HistoryCollection *
CollectHistories(const char *function, Oid key_type, const char *query, const char *progress,
				 int round_to, bool lenient, Oid order_operator, Oid order_collation);

/* The next customer and the history, valid until the next call; false at the end. */
extern bool NextHistory(HistoryCollection *collection, Datum *customer, PurchaseHistory **history);

extern void EndHistories(HistoryCollection *collection);

extern void InitCollectHistories(void);

#endif /* CRM_COLLECT_HISTORIES_H */
