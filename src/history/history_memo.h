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

#define MEMO_BYTES 4096 /* longer ones are read from the bytes every time */

/* The bytes that the history is recognised by. */
typedef struct RememberedHistory
{
	uint64 serial;
	Size size; /* 0 if none yet */
	uint8 bytes[MEMO_BYTES];
} RememberedHistory;

extern RememberedHistory LastHistory;

/* Gives another history a number. */
extern uint64 RememberHistory(const uint8 *bytes, Size size);

static inline uint64
LoadWord64(const uint8 *p)
{
	uint64 word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* memcmp() == 0 without the call and its branches: most histories are a few words long. */
static inline bool
SameBytes(const uint8 *a, const uint8 *b, Size size)
{
	Size last = size - sizeof(uint64);
	uint64 differences;

	if (size < sizeof(uint64))
		return memcmp(a, b, size) == 0;
	differences = LoadWord64(a + last) ^ LoadWord64(b + last);
	for (Size i = 0; i < last; i += sizeof(uint64))
		differences |= LoadWord64(a + i) ^ LoadWord64(b + i);
	return differences == 0;
}

/*
 * A number that stands for the history until another one is read: anything cached about the history
 * is valid while the number stays the same.  0 if nothing may be cached.
 */
static inline uint64
HistorySerial(const PurchaseHistory *history)
{
	Size size = VARSIZE_ANY_EXHDR(history);
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(history);

	if (likely(size == LastHistory.size && size > 0 && SameBytes(LastHistory.bytes, bytes, size)))
		return LastHistory.serial;
	return RememberHistory(bytes, size);
}

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
