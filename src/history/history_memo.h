/*
 * history_memo.h: the history that was read last.
 *
 * A view asks two dozen functions about the same history, one after the other,
 * row by row.  What one of them has read is kept, per backend, until the next
 * history comes, so that each is decoded once.  A history is recognised by all
 * of its bytes.  This is for functions of one history; code that reads many
 * histories once each does without it (SummarizeHistory).
 */
#ifndef CRM_HISTORY_MEMO_H
#define CRM_HISTORY_MEMO_H

#include "history/purchase_history.h"

/*
 * A number that stands for the history until another one is asked about:
 * whatever is cached about the history is valid while the number stays the
 * same. 0: nothing may be cached.
 */
extern uint64 HistorySerial(const PurchaseHistory *history);

/* SummarizeHistory(); what it returned is in `purchased`.  Good until the next call of it. */
extern const HistorySummary *RecallSummary(const PurchaseHistory *history, HistoryWindow window);

/* HistoryReaderInit(), for a history that may have been read before. */
extern void RecallHistory(HistoryReader *reader, const PurchaseHistory *history);

#endif /* CRM_HISTORY_MEMO_H */
