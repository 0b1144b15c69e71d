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

#define MEMO_DAYS (MEMO_BYTES / 2) /* a day takes two bytes at least */
#define MEMO_SUMMARIES 4

typedef struct KeptSummary
{
	HistoryWindow window;
	HistorySummary summary;
} KeptSummary;

typedef struct HistoryMemo
{
	int readings;
	bool more_to_come;
	bool set_out; /* the days */
	bool costs;
	int scale;
	int64 ndays;
	int nsummaries; /* made so far; the last MEMO_SUMMARIES are kept */
	KeptSummary summaries[MEMO_SUMMARIES];
	PurchaseDay days[MEMO_DAYS];
} HistoryMemo;

RememberedHistory LastHistory;
static HistoryMemo Memo;

uint64
RememberHistory(const uint8 *bytes, Size size)
{
	if (size > MEMO_BYTES || size == 0)
		return 0;
	memcpy(LastHistory.bytes, bytes, size);
	LastHistory.size = size;
	Memo.more_to_come = Memo.readings > 1;
	Memo.readings = 0;
	Memo.set_out = false;
	Memo.nsummaries = 0;
	return ++LastHistory.serial;
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
