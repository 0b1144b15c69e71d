/*
 * history_memo.c: the history last read.
 *
 * The first summary of a history goes through its bytes as usual, so that a query with one function
 * call per history pays only for a copy of the bytes.  The second reading decodes the days, and
 * later ones find them decoded, as does the first that reads them one by one.  If the previous
 * history was read more than once, this one will be, too: then its first reading decodes the days.
 */
#include "postgres.h"

#include "history/history_memo.h"

#define MEMO_BYTES 4096            /* longer ones are read from the bytes every time */
#define MEMO_DAYS (MEMO_BYTES / 2) /* a day takes two bytes at least */
#define MEMO_SUMMARIES 4

typedef struct KeptSummary
{
	HistoryWindow window;
	HistorySummary summary;
} KeptSummary;

typedef struct HistoryMemo
{
	uint64 serial;
	Size size; /* of the bytes; 0 if none yet */
	int readings;
	bool more_to_come;
	bool set_out; /* the days */
	bool costs;
	int scale;
	int64 ndays;
	int nsummaries; /* made so far; the last MEMO_SUMMARIES are kept */
	KeptSummary summaries[MEMO_SUMMARIES];
	uint8 bytes[MEMO_BYTES];
	PurchaseDay days[MEMO_DAYS];
} HistoryMemo;

static HistoryMemo Memo;

/* memcmp() == 0 without the call: most histories are a few words long. */
static inline bool
SameBytes(const uint8 *a, const uint8 *b, Size size)
{
	uint64 word[2];

	if (size < sizeof(uint64))
		return memcmp(a, b, size) == 0;
	for (Size i = 0;; i = Min(i + sizeof(uint64), size - sizeof(uint64)))
	{
		memcpy(&word[0], a + i, sizeof(uint64));
		memcpy(&word[1], b + i, sizeof(uint64));
		if (word[0] != word[1])
			return false;
		if (i == size - sizeof(uint64))
			return true;
	}
}

uint64
HistorySerial(const PurchaseHistory *history)
{
	Size size = VARSIZE_ANY_EXHDR(history);

	if (size > MEMO_BYTES || size == 0)
		return 0;
	if (Memo.size == size && SameBytes(Memo.bytes, (const uint8 *) VARDATA_ANY(history), size))
		return Memo.serial;
	memcpy(Memo.bytes, VARDATA_ANY(history), size);
	Memo.size = size;
	Memo.more_to_come = Memo.readings > 1;
	Memo.readings = 0;
	Memo.set_out = false;
	Memo.nsummaries = 0;
	return ++Memo.serial;
}

/*
 * Whether the days of the history in the memo are decoded, which they are in any case if they are
 * wanted; called once for each reading.
 */
static bool
DaysAreThere(const PurchaseHistory *history, bool wanted)
{
	HistoryReader reader;

	Memo.readings++;
	if (Memo.set_out)
		return true;
	if (!wanted && Memo.readings == 1 && !Memo.more_to_come)
		return false;
	HistoryReaderInit(&reader, history);
	Memo.ndays = ReadDays(&reader, Memo.days, MEMO_DAYS);
	Memo.scale = reader.scale;
	Memo.costs = reader.costs;
	Memo.set_out = true;
	return true;
}

const HistorySummary *
RecallSummary(const PurchaseHistory *history, HistoryWindow window)
{
	static HistorySummary unkept;
	KeptSummary *kept;

	if (unlikely(HistorySerial(history) == 0))
	{
		(void) SummarizeHistory(history, window, &unkept);
		return &unkept;
	}
	for (int i = 0; i < Min(Memo.nsummaries, MEMO_SUMMARIES); i++)
	{
		kept = &Memo.summaries[i];
		if (kept->window.as_of == window.as_of && kept->window.after == window.after)
			return &kept->summary;
	}
	/* an error must not leave behind a half-made summary that looks valid */
	kept = &Memo.summaries[Memo.nsummaries % MEMO_SUMMARIES];
	kept->window = (HistoryWindow){PG_INT32_MAX, PG_INT32_MIN};
	if (DaysAreThere(history, false))
		SummarizeDays(Memo.days, Memo.ndays, Memo.scale, Memo.costs, window, &kept->summary);
	else
		(void) SummarizeHistory(history, window, &kept->summary);
	kept->window = window;
	Memo.nsummaries++;
	return &kept->summary;
}

void
RecallHistory(HistoryReader *reader, const PurchaseHistory *history)
{
	if (HistorySerial(history) == 0 || !DaysAreThere(history, true))
	{
		HistoryReaderInit(reader, history);
		return;
	}
	memset(reader, 0, sizeof(*reader));
	reader->scale = Memo.scale;
	reader->costs = Memo.costs;
	reader->next_day = Memo.days;
	reader->end_day = Memo.days + Memo.ndays;
}

const PurchaseDay *
RecallDays(const PurchaseHistory *history, int64 *ndays, int *scale)
{
	if (HistorySerial(history) == 0)
		return NULL;
	(void) DaysAreThere(history, true);
	*ndays = Memo.ndays;
	*scale = Memo.scale;
	return Memo.days;
}
