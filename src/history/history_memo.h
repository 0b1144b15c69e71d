/*
 * history_memo.h: the history last read.
 *
 * A view calls two dozen functions on the same history, row after row.  What one of them reads is
 * kept, per backend, until the next history comes, so that each history is decoded once.  A history
 * is recognised by all of its bytes.  The memo is for functions of one history; code that reads
 * many histories once each calls SummarizeHistory.
 */
#ifndef CRM_HISTORY_MEMO_H
#define CRM_HISTORY_MEMO_H

#include "history/purchase_history.h"

/*
 * A number that stands for the history until another one is read: anything cached about the history
 * is valid while the number stays the same.  0 if nothing may be cached.
 */
extern uint64 HistorySerial(const PurchaseHistory *history);

/* Like SummarizeHistory(), whose result is in `purchased`.  Valid until the next call. */
extern const HistorySummary *RecallSummary(const PurchaseHistory *history, HistoryWindow window);

/* Like HistoryReaderInit(), for a history that may have been read before. */
extern void RecallHistory(HistoryReader *reader, const PurchaseHistory *history);

/* The days of a history that may have been read before; NULL: it is too long to be kept. */
extern const PurchaseDay *RecallDays(const PurchaseHistory *history, int64 *ndays, int *scale);

/* Whether a history has a profit in a window, where it is summed up as `summary`. */
extern bool
ProfitIsKnown(const PurchaseHistory *history, HistoryWindow window, const HistorySummary *summary);

#endif /* CRM_HISTORY_MEMO_H */
