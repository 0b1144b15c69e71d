/*
 * history_codec.c: purchase histories as bytes, and what they hold.
 *
 * Nothing here depends on SQL; history_codec.h describes the format.
 */
#include "postgres.h"

#include "common/int.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "history/history_codec.h"

#define MAX_DAY_BYTES (3 * MAX_VARINT)  /* gap, extra, amount */
#define MAX_COST_BYTES (2 * MAX_VARINT) /* cost, covered */

/*
 * With costs, more days might not fit into a text, and a value without a text form cannot be
 * dumped.
 */
#define MAX_DAY_TEXT                                                                               \
	((int) sizeof(", 5874897-12-31: -9223372036854.775807 (2147483647 orders, "                    \
				  "cost -9223372036854.775807 of -9223372036854.775807)"))
#define MAX_HISTORY_DAYS ((int64) ((MaxAllocSize - 16) / MAX_DAY_TEXT))
StaticAssertDecl(MAX_DAY_TEXT > MAX_DAY_BYTES + MAX_COST_BYTES, "bytes are fewer than characters");

/* Days between two checks for interrupts, a power of two. */
#define DAYS_BETWEEN_LOOKS 65536

#define EXTRA_FOLLOWS 0x01
#define COVERED_FOLLOWS 0x02

void
HistoryCorrupted(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("purchase history is damaged")));
}

static inline const uint8 *
HistoryBytes(const PurchaseHistory *history)
{
	return (const uint8 *) VARDATA_ANY(history);
}

int
HistoryScale(const PurchaseHistory *history)
{
	return (HistoryBytes(history)[1] >> HISTORY_SCALE_SHIFT) & HISTORY_SCALE_MASK;
}

bool
HistoryHasCosts(const PurchaseHistory *history)
{
	return (HistoryBytes(history)[1] & HISTORY_COSTS) != 0;
}

void
HistoryReaderInit(HistoryReader *reader, const PurchaseHistory *history)
{
	uint8 flags;

	ByteReaderInit(&reader->bytes, HistoryBytes(history), VARSIZE_ANY_EXHDR(history));
	if (ReadByte(&reader->bytes) != HISTORY_VERSION)
		HistoryCorrupted();
	flags = ReadByte(&reader->bytes);
	if (flags & HISTORY_UNSORTED)
		HistoryCorrupted();
	reader->costs = (flags & HISTORY_COSTS) != 0;
	reader->scale = (flags >> HISTORY_SCALE_SHIFT) & HISTORY_SCALE_MASK;
	reader->first = true;
	reader->day = 0;
	reader->next_day = NULL;
}

/* Applies a sign to the magnitude of an amount. */
static inline int64
SignedAmount(HistoryReader *reader, uint64 magnitude, bool negative)
{
	if (unlikely(magnitude > PG_INT64_MAX))
		reader->bytes.failed = true;
	return negative ? -(int64) magnitude : (int64) magnitude;
}

/*
 * Reads the next day; false at the end.  Bytes that no encoder wrote raise an error; for input from
 * outside HistoryIsValid has rejected them before.
 */
static inline bool
NextDay(HistoryReader *reader, PurchaseDay *day)
{
	ByteReader *bytes = &reader->bytes;
	int shift = reader->costs ? 2 : 1;
	uint64 token;
	uint64 gap;
	bool negative = false;

	if (bytes->next >= bytes->end)
		return false;

	token = ReadVarint(bytes);
	gap = token >> shift;
	if (reader->first)
	{
		reader->day = (DateADT) (FIRST_DAY_BASE + UnZigZag(gap));
		reader->first = false;
	}
	else
		reader->day += (DateADT) (gap + 1);
	day->day = reader->day;

	if (token & EXTRA_FOLLOWS)
	{
		uint64 extra = ReadVarint(bytes);

		negative = (extra & 1) != 0;
		day->orders = (int32) (extra >> 1);
	}
	else
		day->orders = 1;

	day->amount = SignedAmount(reader, ReadVarint(bytes), negative);
	if (reader->costs)
	{
		day->cost = UnZigZag(ReadVarint(bytes));
		day->covered = (token & COVERED_FOLLOWS) ? UnZigZag(ReadVarint(bytes)) : day->amount;
	}
	else
	{
		day->cost = 0;
		day->covered = 0;
	}
	return true;
}

bool
ReadEncodedDay(HistoryReader *reader, PurchaseDay *day)
{
	bool more = NextDay(reader, day);

	if (unlikely(reader->bytes.failed))
		HistoryCorrupted();
	return more;
}

int64
ReadDays(HistoryReader *reader, PurchaseDay *days, int64 max_days)
{
	/* its own copy stays in registers: the days that are written might lie over the reader */
	HistoryReader own = *reader;
	int64 ndays = 0;

	while (ndays < max_days && NextDay(&own, &days[ndays]))
		ndays++;
	if (unlikely(own.bytes.failed))
		HistoryCorrupted();
	*reader = own;
	return ndays;
}

/* Adds a day of the window to a summary; days come in order. */
static inline void
AddInWindow(HistorySummary *summary, const PurchaseDay *day, bool costs)
{
	if (day->orders > 0)
	{
		if (summary->purchase_days++ == 0)
			summary->first = day->day;
		summary->last = day->day;
		summary->orders += day->orders;
	}
	summary->amount += day->amount;
	if (costs)
	{
		summary->cost += day->cost;
		summary->covered += day->covered;
		summary->costs |= (day->cost | day->covered) != 0;
	}
}

/* Adds a day up to as_of. */
static inline void
AddToSummary(HistorySummary *summary, const PurchaseDay *day, DateADT after, bool costs)
{
	if (day->orders > 0)
	{
		summary->purchased = true;
		summary->last_ever = day->day;
	}
	if (day->day > after)
		AddInWindow(summary, day, costs);
}

bool
SummarizeHistory(const PurchaseHistory *history, HistoryWindow window, HistorySummary *summary)
{
	HistoryReader reader;
	PurchaseDay day;

	HistoryReaderInit(&reader, history);
	memset(summary, 0, sizeof(*summary));
	summary->scale = reader.scale;
	while (NextDay(&reader, &day) && day.day <= window.as_of)
		AddToSummary(summary, &day, window.after, reader.costs);
	if (unlikely(reader.bytes.failed))
		HistoryCorrupted();
	return summary->purchased;
}

void
SummarizeDays(const PurchaseDay *days, int64 ndays, int scale, bool costs, HistoryWindow window,
			  HistorySummary *summary)
{
	int64 first;

	memset(summary, 0, sizeof(*summary));
	summary->scale = scale;
	/* from the end: most windows end late, and some begin there as well */
	while (ndays > 0 && days[ndays - 1].day > window.as_of)
		ndays--;
	for (int64 i = ndays; i > 0 && !summary->purchased; i--)
		if (days[i - 1].orders > 0)
		{
			summary->purchased = true;
			summary->last_ever = days[i - 1].day;
		}
	first = window.after == PG_INT32_MIN ? 0 : ndays;
	while (first > 0 && days[first - 1].day > window.after)
		first--;
	for (int64 i = first; i < ndays; i++)
		AddInWindow(summary, &days[i], costs);
}

/* An empty entry: no order, no amount, no cost. */
static inline bool
DayIsEmpty(const PurchaseDay *day)
{
	return (day->orders | day->amount | day->cost | day->covered) == 0;
}

/* How many powers of ten (at most `max`) divide the value. */
static inline int
TrailingZeros(int64 value, int max)
{
	int zeros = 0;

	while (zeros < max && value % 10 == 0)
	{
		if (value == 0)
			return max;
		value /= 10;
		zeros++;
	}
	return zeros;
}

/* The number of decimals that no day uses. */
static int
UnusedDecimals(const PurchaseDay *days, int64 ndays, int scale)
{
	int spare = scale;

	for (int64 i = 0; i < ndays && spare > 0; i++)
	{
		spare = TrailingZeros(days[i].amount, spare);
		if ((days[i].cost | days[i].covered) != 0)
		{
			spare = TrailingZeros(days[i].cost, spare);
			spare = TrailingZeros(days[i].covered, spare);
		}
	}
	return spare;
}

/* Writes one entry; `gap` is that of the format. */
static inline uint8 *
WriteDay(uint8 *p, const PurchaseDay *day, uint64 gap, bool costs, int64 divisor)
{
	int64 amount = day->amount / divisor;
	int64 covered = day->covered / divisor;
	bool extra = day->orders != 1 || amount < 0;
	uint64 token = gap << 1;

	if (costs)
		token = (token << 1) | (covered != amount ? COVERED_FOLLOWS : 0);
	p = WriteVarint(p, token | (extra ? EXTRA_FOLLOWS : 0));
	if (extra)
		p = WriteVarint(p, ((uint64) day->orders << 1) | (amount < 0));
	p = WriteVarint(p, amount < 0 ? (uint64) -amount : (uint64) amount);
	if (costs)
	{
		p = WriteVarint(p, ZigZag(day->cost / divisor));
		if (covered != amount)
			p = WriteVarint(p, ZigZag(covered));
	}
	return p;
}

pg_noreturn static void
HistoryTooLong(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("purchase history is too long"),
					errdetail("It can have at most %lld days.", (long long) MAX_HISTORY_DAYS)));
}

/* Whether a cost is known. */
static bool
HaveCosts(const PurchaseDay *days, int64 ndays)
{
	bool costs = false;

	for (int64 i = 0; i < ndays && !costs; i++)
		costs = (days[i].cost | days[i].covered) != 0;
	return costs;
}

static Size
HistorySizeLimit(int64 ndays, bool costs)
{
	if (ndays > MAX_HISTORY_DAYS)
		HistoryTooLong();
	return VARHDRSZ + HISTORY_HEADER + ndays * (MAX_DAY_BYTES + (costs ? MAX_COST_BYTES : 0));
}

static pg_attribute_always_inline uint8 *
WriteDays(uint8 *p, const PurchaseDay *days, int64 ndays, bool costs, int64 divisor)
{
	for (int64 i = 0; i < ndays; i++)
	{
		uint64 gap = i == 0 ? ZigZag((int64) days[i].day - FIRST_DAY_BASE)
							: (uint64) ((int64) days[i].day - days[i - 1].day - 1);

		p = WriteDay(p, &days[i], gap, costs, divisor);
	}
	return p;
}

static void
WriteHistory(PurchaseHistory *history, const PurchaseDay *days, int64 ndays, int scale, bool costs)
{
	int spare = UnusedDecimals(days, ndays, scale);
	uint8 *p = (uint8 *) VARDATA(history);

	*p++ = HISTORY_VERSION;
	*p++ = (uint8) ((costs ? HISTORY_COSTS : 0) | ((scale - spare) << HISTORY_SCALE_SHIFT));
	/* mostly all decimals are used, and divisions take long */
	p = spare == 0 ? WriteDays(p, days, ndays, costs, 1)
				   : WriteDays(p, days, ndays, costs, PowerOfTen[spare]);
	SET_VARSIZE(history, p - (uint8 *) history);
}

Size
MaxHistorySize(int64 ndays)
{
	return HistorySizeLimit(ndays, true);
}

void
WriteSortedHistory(PurchaseHistory *history, const PurchaseDay *days, int64 ndays, int scale)
{
	WriteHistory(history, days, ndays, scale, HaveCosts(days, ndays));
}

PurchaseHistory *
EncodeSortedHistory(const PurchaseDay *days, int64 ndays, int scale)
{
	bool costs = HaveCosts(days, ndays);
	PurchaseHistory *history = palloc(HistorySizeLimit(ndays, costs));

	WriteHistory(history, days, ndays, scale, costs);
	return history;
}

void
TooManyOrders(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("too many orders on one day"),
			 errdetail("A day holds at most %d.", PG_INT32_MAX)));
}

#define ST_SORT SortDays
#define ST_ELEMENT_TYPE PurchaseDay
#define ST_COMPARE(a, b) ((a)->day < (b)->day ? -1 : (a)->day > (b)->day)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define MAX_MERGES 8
#define MAX_MERGED 64

/*
 * Sorts days that come in a few ascending runs, as those of a customer do whose orders several
 * processes have read in order of time.  False: they do not, and are still to be sorted.
 */
static bool
MergeRuns(PurchaseDay *days, int64 ndays)
{
	PurchaseDay run[MAX_MERGED];
	int64 sorted = 1;

	for (int merges = 0; merges < MAX_MERGES; merges++)
	{
		int64 end;
		int64 from;
		int64 left;

		while (sorted < ndays && days[sorted - 1].day <= days[sorted].day)
			sorted++;
		if (sorted == ndays)
			return true;
		end = sorted + 1;
		while (end < ndays && days[end - 1].day <= days[end].day)
			end++;
		left = end - sorted;
		if (left > MAX_MERGED)
			return false;
		memcpy(run, &days[sorted], left * sizeof(PurchaseDay));
		from = sorted - 1;
		for (int64 to = end - 1; left > 0; to--)
			days[to] = from >= 0 && days[from].day > run[left - 1].day ? days[from--] : run[--left];
		sorted = end;
	}
	return sorted >= ndays;
}

/* From so many days on it pays to count them. */
#define MIN_DAYS_TO_COUNT 256

/* Sorts by counting, where the days are many and lie close together; false: they do not. */
static bool
SortByCounting(PurchaseDay *days, int64 ndays)
{
	DateADT first = days[0].day;
	DateADT last = days[0].day;
	PurchaseDay *copy;
	int64 *places;
	int64 span;

	if (ndays < MIN_DAYS_TO_COUNT)
		return false;
	for (int64 i = 1; i < ndays; i++)
	{
		first = Min(first, days[i].day);
		last = Max(last, days[i].day);
	}
	span = (int64) last - first + 1;
	if (span > 4 * ndays)
		return false;
	CHECK_FOR_INTERRUPTS();
	places = palloc_extended((span + 1) * sizeof(int64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	copy = palloc_extended(ndays * sizeof(PurchaseDay), MCXT_ALLOC_HUGE);
	memcpy(copy, days, ndays * sizeof(PurchaseDay));
	for (int64 i = 0; i < ndays; i++)
		places[copy[i].day - first + 1]++;
	for (int64 d = 1; d < span; d++)
		places[d] += places[d - 1];
	for (int64 i = 0; i < ndays; i++)
		days[places[copy[i].day - first]++] = copy[i];
	pfree(copy);
	pfree(places);
	return true;
}

int64
SortPurchaseDays(PurchaseDay *days, int64 ndays)
{
	int64 kept = 0;
	bool sorted = true;

	/* orders mostly arrive in order of day */
	for (int64 i = 1; i < ndays && sorted; i++)
		sorted = days[i - 1].day <= days[i].day;
	if (!sorted && !SortByCounting(days, ndays) && !MergeRuns(days, ndays))
		SortDays(days, ndays);

	for (int64 i = 0; i < ndays;)
	{
		PurchaseDay sum = days[i++];

		while (i < ndays && days[i].day == sum.day)
			AddPurchaseDay(&sum, &days[i++]);
		if (!DayIsEmpty(&sum))
			days[kept++] = sum;
	}
	return kept;
}

PurchaseHistory *
EncodeHistory(PurchaseDay *days, int64 ndays, int scale)
{
	return EncodeSortedHistory(days, SortPurchaseDays(days, ndays), scale);
}

PurchaseDay *
DecodeHistory(const PurchaseHistory *history, int scale, int64 *ndays)
{
	HistoryReader reader;
	Size max_days = VARSIZE_ANY_EXHDR(history) / 2; /* an entry has two bytes at least */
	PurchaseDay *days =
		palloc_extended(mul_size(Max(max_days, 1), sizeof(PurchaseDay)), MCXT_ALLOC_HUGE);
	int64 n = 0;

	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &days[n]))
	{
		PurchaseDay *day = &days[n++];

		day->amount = Rescale(day->amount, reader.scale, scale);
		day->cost = Rescale(day->cost, reader.scale, scale);
		day->covered = Rescale(day->covered, reader.scale, scale);
		if (unlikely(n % DAYS_BETWEEN_LOOKS == 0))
			CHECK_FOR_INTERRUPTS();
	}
	*ndays = n;
	return days;
}

/*
 * Whether the bytes are exactly those that an encoder would write.  Reading and writing them again
 * proves it: anything overlong, out of range, out of order or not minimal gives other bytes.
 */
bool
HistoryIsValid(const PurchaseHistory *history)
{
	const uint8 *bytes = HistoryBytes(history);
	Size size = VARSIZE_ANY_EXHDR(history);
	HistoryReader reader;
	PurchaseDay *days;
	PurchaseHistory *again;
	int64 ndays = 0;
	int64 previous = PG_INT64_MIN;

	if (size < HISTORY_HEADER || bytes[0] != HISTORY_VERSION ||
		(bytes[1] & ~(HISTORY_COSTS | (HISTORY_SCALE_MASK << HISTORY_SCALE_SHIFT))) != 0)
		return false;
	HistoryReaderInit(&reader, history);
	if (reader.scale > MAX_SCALE)
		return false;

	/* an entry has two bytes at least */
	days = palloc_extended(Min(size / 2, MAX_HISTORY_DAYS) * sizeof(PurchaseDay), MCXT_ALLOC_HUGE);
	while (reader.bytes.next < reader.bytes.end)
	{
		PurchaseDay *day = &days[ndays];

		if (ndays == MAX_HISTORY_DAYS)
			HistoryTooLong();
		NextDay(&reader, day);
		if (reader.bytes.failed || !IS_VALID_DATE(day->day) || day->day <= previous ||
			day->orders < 0 || day->cost == PG_INT64_MIN || day->covered == PG_INT64_MIN ||
			DayIsEmpty(day))
			return false;
		previous = day->day;
		if (unlikely(++ndays % DAYS_BETWEEN_LOOKS == 0))
			CHECK_FOR_INTERRUPTS();
	}
	again = EncodeSortedHistory(days, ndays, reader.scale);
	return VARSIZE_ANY_EXHDR(again) == size && memcmp(VARDATA_ANY(again), bytes, size) == 0;
}
