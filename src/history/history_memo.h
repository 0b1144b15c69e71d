/*
 * history_memo.h: the history that was read last.
 *
 * A view asks two dozen functions about the same history, one after the other,
 * row by row.  What one of them has found out is kept, per backend, until
 * another history comes by, so that each is decoded once.  A history is
 * recognised by its bytes, all of them.  For functions of one history; who goes
 * through many, each once, reads them without (SummarizeHistory).
 */
#ifndef CRM_HISTORY_MEMO_H
#define CRM_HISTORY_MEMO_H

#include "history/purchase_history.h"

/*
 * A number that stands for the history until another one is asked about: what
 * others keep of it is good for as long as it is the same.  0: nothing may be
 * kept of this one.
 */
extern uint64 HistorySerial(const PurchaseHistory *history);

/* SummarizeHistory(); what it returned is in `purchased`.  Good until the next call of it. */
extern const HistorySummary *RecallSummary(const PurchaseHistory *history, HistoryWindow window);

/* HistoryReaderInit(), for somebody who is perhaps not the first to read it. */
extern void RecallHistory(HistoryReader *reader, const PurchaseHistory *history);

#endif /* CRM_HISTORY_MEMO_H */
