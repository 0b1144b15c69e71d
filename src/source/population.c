/*
 * population.c: the customers of a source as a whole: the thresholds of their scores, value tiers
 * and deciles, how soon they come back, and their number.
 *
 * All of these are counts, extremes and values at ranks, so they can follow changes of histories
 * exactly, without reading the unchanged ones.  A population keeps the sorted values of each
 * quantity as runs of equal values: all of them if few differ, and otherwise windows around the
 * ranks needed, with number and sum of the values between two windows.  A changed value is taken
 * out at its old place and put in at its new one.  When a rank leaves its window it is lost, and
 * the population is made anew from all histories.
 *
 * The stored form is an array of bytes: first settings, counts and windows, then the runs of each
 * window, so that a small change rewrites little.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/bytes.h"
#include "base/common.h"
#include "base/decimal.h"
#include "base/local_day.h"
#include "base/sortable_float.h"
#include "history/purchase_history.h"
#include "rfm/rfm_fit.h"
#include "source/value_tiers.h"

/* Mean gaps are counted in whole days up to ten years. */
#define MAX_GAP_DAYS 3660
/* With fewer repeat buyers than this there is no active window to find. */
#define MIN_REPEAT_BUYERS 20
/*
 * Limits of an active window.  If few customers come back, after years, everybody would be active;
 * if they come daily, a week's holiday would make them inactive.
 */
#define MIN_ACTIVE_DAYS 28
#define MAX_ACTIVE_DAYS 365

#define POPULATION_VERSION 1
/* Up to this many distinct values are kept completely. */
#define MAX_WHOLE 4096
/* A window extends at least this many ranks to either side, and at least this share of all. */
#define MIN_REACH 1024
#define REACH_SHARE 64
/* The ranks needed: two for each of up to eight thresholds and for the median, and the ends. */
#define MAX_WANTED 24

/* Customers are counted with a sign: 1 adds one, -1 removes one. */
typedef struct CustomerRow
{
	int64 monetary; /* in the period, in units of 10^-scale */
	int64 worth;    /* the same, or the profit */
	DateADT last;   /* purchase by the as-of date */
	DateADT oldest; /* of all orders; later than the newest if there are none */
	DateADT newest;
	int32 frequency; /* 0: no score */
	int16 mean_gap;  /* rounded up; -1 if not a repeat buyer */
	int8 scale;
	int8 sign;
} CustomerRow;

/* The quantities; the first four as in FitRfm(). */
enum Quantities
{
	LAST_DAY = RECENCY, /* negated: the order of recency on any day */
	WORTH = ORDER_VALUE + 1,
	MEAN_GAP,
	OLDEST,
	NEWEST,
	QUANTITIES
};

typedef struct Run
{
	int64 value;
	int64 count;
} Run;

/* All values in ascending order. */
typedef struct Window
{
	int64 low;
	int64 high;
	int64 nruns;
	Run *runs;
} Window;

/* The values between two windows. */
typedef struct Gap
{
	int64 count;
	int128 sum;
} Gap;

typedef struct Quantity
{
	int64 count;
	int nwindows;
	Window *windows;
	Gap *gaps; /* one below each window, and one above the last */
	int nwanted;
	int64 wanted[MAX_WANTED]; /* the ranks needed */
} Quantity;

typedef struct Population
{
	RankedValues scored; /* those with a score, as rfm_fit.h asks for them */
	DateADT as_of;
	DateADT after; /* last day before the period */
	bool has_period;
	bool by_profit;
	Interval period;
	int64 customers;
	int64 orders;
	int64 buyers;
	int64 ahead; /* customers with a day after as_of */
	int64 scored_of_scale[MAX_SCALE + 1];
	int64 worth_of_scale[MAX_SCALE + 1];
	int worth_scale;
	bool lost; /* something needed is not known */
	Quantity quantity[QUANTITIES];
	CustomerRow *rows;
	int64 nrows;
	int64 room;
} Population;

/* ---------- customers ---------- */

/* Adds a history to the counts; its values go into the row. */
static void
CountHistory(Population *p, const PurchaseHistory *history, CustomerRow *row, int sign)
{
	HistoryReader reader;
	PurchaseDay day;
	DateADT first = 0;
	int64 purchase_days = 0;
	int64 orders = 0;
	int64 frequency = 0;
	int128 monetary = 0;
	int128 worth = 0;

	*row = (CustomerRow){.sign = sign, .mean_gap = -1, .oldest = 1};
	HistoryReaderInit(&reader, history);
	row->scale = reader.scale;
	day.day = PG_INT32_MIN;
	while (ReadPurchaseDay(&reader, &day))
	{
		if (day.orders > 0)
		{
			row->oldest = orders == 0 ? day.day : row->oldest;
			row->newest = day.day;
			orders += day.orders;
		}
		if (day.day > p->as_of)
			continue;
		if (day.orders > 0)
		{
			if (purchase_days++ == 0)
				first = day.day;
			row->last = day.day;
		}
		if (day.day <= p->after)
			continue;
		frequency += day.orders;
		monetary += day.amount;
		worth += p->by_profit ? (int128) day.covered - day.cost : day.amount;
	}
	if (frequency > PG_INT32_MAX || monetary > PG_INT64_MAX || monetary < -PG_INT64_MAX ||
		worth > PG_INT64_MAX)
		AmountOutOfRange();
	row->frequency = (int32) frequency;
	row->monetary = (int64) monetary;
	row->worth = purchase_days > 0 && worth > 0 ? (int64) worth : 0;
	if (purchase_days > 1)
		row->mean_gap = (int16) Min(MAX_GAP_DAYS, ((int64) row->last - first + purchase_days - 2) /
													  (purchase_days - 1));

	p->customers += sign;
	p->orders += sign * orders;
	p->buyers += purchase_days > 0 ? sign : 0;
	p->ahead += day.day > p->as_of ? sign : 0;
	p->scored_of_scale[row->scale] += row->frequency > 0 ? sign : 0;
	p->worth_of_scale[row->scale] += row->worth > 0 ? sign : 0;
}

static void
AddHistory(Population *p, const PurchaseHistory *history, int sign)
{
	if (p->nrows == p->room)
	{
		Size size;

		p->room = Max(64, p->room * 2);
		size = mul_size(p->room, sizeof(CustomerRow));
		p->rows = p->rows == NULL ? MemoryContextAllocHuge(GetMemoryChunkContext(p), size)
								  : repalloc_huge(p->rows, size);
	}
	CountHistory(p, history, &p->rows[p->nrows++], sign);
}

/* Returns false if this customer has no such value. */
static bool
ValueOfRow(const Population *p, const CustomerRow *row, int what, int64 *value)
{
	switch (what)
	{
		case LAST_DAY:
			*value = -(int64) row->last;
			return row->frequency > 0;
		case FREQUENCY:
			*value = row->frequency;
			return row->frequency > 0;
		case MONETARY:
		case ORDER_VALUE:
			if (row->frequency == 0)
				return false;
			*value = Rescale(row->monetary, row->scale, p->scored.scale);
			if (what == ORDER_VALUE)
				*value = SortableFloat8(OrderValue(*value, p->scored.scale, row->frequency));
			return true;
		case WORTH:
			if (row->worth == 0)
				return false;
			*value = Rescale(row->worth, row->scale, p->worth_scale);
			return true;
		case MEAN_GAP:
			*value = row->mean_gap;
			return row->mean_gap >= 0;
		case OLDEST:
			*value = row->oldest;
			return row->oldest <= row->newest;
		default:
			*value = row->newest;
			return row->oldest <= row->newest;
	}
}

static int
LargestScale(const int64 *customers)
{
	int scale = MAX_SCALE;

	while (scale > 0 && customers[scale] == 0)
		scale--;
	return scale;
}

/* ---------- values at ranks ---------- */

static void
Want(Quantity *q, int64 rank)
{
	for (int i = 0; i < q->nwanted; i++)
		if (q->wanted[i] == rank)
			return;
	Assert(q->nwanted < MAX_WANTED);
	if (q->nwanted < MAX_WANTED)
		q->wanted[q->nwanted++] = rank;
}

/* The value at a rank, from 0; if it is not known, the population is lost. */
static int64
ValueAtRank(Population *p, int what, int64 rank)
{
	Quantity *q = &p->quantity[what];

	Want(q, rank);
	for (int i = 0; i < q->nwindows && rank >= q->gaps[i].count; i++)
	{
		const Window *window = &q->windows[i];

		rank -= q->gaps[i].count;
		for (int64 run = 0; run < window->nruns; run++)
		{
			if (rank < window->runs[run].count)
				return window->runs[run].value;
			rank -= window->runs[run].count;
		}
	}
	p->lost = true;
	return 0;
}

static int64
ScoredValue(RankedValues *values, int what, int64 rank)
{
	Population *p = (Population *) values;
	int64 value = ValueAtRank(p, what, rank);

	return what == RECENCY ? value + p->as_of : value;
}

/*
 * The least value with less than that share (percent) of the total above it, as in
 * TierThresholds().
 */
static int64
TierFrom(Population *p, int share, int128 total)
{
	Quantity *q = &p->quantity[WORTH];
	int128 richer = 0;
	int64 above = 0;
	int64 from = 0;
	bool known = false;

	for (int i = q->nwindows; i >= 0; i--)
	{
		if (q->gaps[i].count > 0)
		{
			known = false;
			richer += q->gaps[i].sum;
			above += q->gaps[i].count;
		}
		if (i == 0 || richer * 100 >= total * share)
			break;
		for (int64 run = q->windows[i - 1].nruns - 1; run >= 0; run--)
		{
			const Run *r = &q->windows[i - 1].runs[run];

			if (richer * 100 >= total * share)
				break;
			from = r->value;
			known = true;
			richer += (int128) r->value * r->count;
			above += r->count;
		}
		if (richer * 100 >= total * share)
			break;
	}
	if (known)
		Want(q, q->count - above);
	p->lost |= !known;
	return from;
}

static int128
TotalOf(const Quantity *q)
{
	int128 total = q->gaps[q->nwindows].sum;

	for (int i = 0; i < q->nwindows; i++)
	{
		total += q->gaps[i].sum;
		for (int64 run = 0; run < q->windows[i].nruns; run++)
			total += (int128) q->windows[i].runs[run].value * q->windows[i].runs[run].count;
	}
	return total;
}

/* ---------- from customers to values ---------- */

/* Radix sort by eleven bits at a time, the lowest first. */
static void
SortValues(int64 *values, int64 n)
{
	int64 min = PG_INT64_MAX;
	int64 max = PG_INT64_MIN;
	int64 *from = values;
	int64 *to;
	int64 *spare;

	for (int64 i = 0; i < n; i++)
	{
		min = Min(min, values[i]);
		max = Max(max, values[i]);
	}
	if (n < 2 || min == max)
		return;
	to = spare = palloc_extended(mul_size(n, sizeof(int64)), MCXT_ALLOC_HUGE);
	for (int shift = 0; shift < 64 && ((uint64) max - (uint64) min) >> shift != 0; shift += 11)
	{
		int64 place[2048] = {0};
		int64 before = 0;
		int64 *other = from;

		CHECK_FOR_INTERRUPTS();
		for (int64 i = 0; i < n; i++)
			place[(((uint64) from[i] - (uint64) min) >> shift) & 2047]++;
		for (int digit = 0; digit < 2048; digit++)
		{
			int64 count = place[digit];

			place[digit] = before;
			before += count;
		}
		for (int64 i = 0; i < n; i++)
			to[place[(((uint64) from[i] - (uint64) min) >> shift) & 2047]++] = from[i];
		from = to;
		to = other;
	}
	if (from != values)
		memcpy(values, from, n * sizeof(int64));
	pfree(spare);
}

/* The values of all customers, in one window. */
static void
BuildQuantity(Population *p, int what)
{
	Quantity *q = &p->quantity[what];
	int64 *values = palloc_extended(mul_size(Max(p->nrows, 1), sizeof(int64)), MCXT_ALLOC_HUGE);
	int64 different = 0;
	Window *window = palloc0(sizeof(Window));

	q->count = 0;
	for (int64 i = 0; i < p->nrows; i++)
		if (ValueOfRow(p, &p->rows[i], what, &values[q->count]))
			q->count++;
	SortValues(values, q->count);
	for (int64 i = 0; i < q->count; i++)
		different += i == 0 || values[i] != values[i - 1];
	*window = (Window){.low = PG_INT64_MIN, .high = PG_INT64_MAX};
	window->runs = palloc_extended(mul_size(Max(different, 1), sizeof(Run)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < q->count; i++)
	{
		if (i == 0 || values[i] != values[i - 1])
			window->runs[window->nruns++] = (Run){values[i], 0};
		window->runs[window->nruns - 1].count++;
	}
	pfree(values);
	q->nwindows = 1;
	q->windows = window;
	q->gaps = palloc0(2 * sizeof(Gap));
}

static int
CompareRanks(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Reduces a complete quantity to the windows around the ranks needed. */
static void
TrimQuantity(Quantity *q)
{
	Window whole = q->windows[0];
	int64 reach = Max(MIN_REACH, q->count / REACH_SHARE);
	int64 rank = 0;
	int next = 0;
	bool inside = false;

	if (whole.nruns <= MAX_WHOLE)
		return;
	qsort(q->wanted, q->nwanted, sizeof(int64), CompareRanks);
	q->nwindows = 0;
	q->windows = palloc0((q->nwanted + 1) * sizeof(Window));
	q->gaps = palloc0((q->nwanted + 2) * sizeof(Gap));
	for (int64 i = 0; i < whole.nruns; i++)
	{
		Run *run = &whole.runs[i];
		Gap *gap = &q->gaps[q->nwindows];

		while (next < q->nwanted && q->wanted[next] + reach < rank)
			next++;
		if (next == q->nwanted || q->wanted[next] - reach >= rank + run->count)
		{
			gap->count += run->count;
			gap->sum += (int128) run->value * run->count;
			inside = false;
		}
		else
		{
			if (!inside)
				q->windows[q->nwindows++] =
					(Window){.low = i == 0 ? whole.low : run->value, .runs = run};
			inside = true;
			q->windows[q->nwindows - 1].nruns++;
			q->windows[q->nwindows - 1].high = i == whole.nruns - 1 ? whole.high : run->value;
		}
		rank += run->count;
	}
}

/* ---------- changes ---------- */

typedef struct Change
{
	int64 value;
	int64 count;
} Change;

#define ST_SORT SortChanges
#define ST_ELEMENT_TYPE Change
#define ST_COMPARE(a, b) ((a)->value < (b)->value ? -1 : (a)->value > (b)->value)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Returns false if more of a value would be removed than there are. */
static bool
ChangeWindow(Window *window, const Change *changes, int64 nchanges)
{
	Run *runs;
	int64 nruns = 0;
	int64 old = 0;
	int64 new = 0;

	if (nchanges == 0)
		return true;
	runs = palloc_extended(mul_size(window->nruns + nchanges, sizeof(Run)), MCXT_ALLOC_HUGE);
	while (old < window->nruns || new < nchanges)
	{
		Run run = {0};

		run.value = old == window->nruns ? changes[new].value
					: new == nchanges    ? window->runs[old].value
										 : Min(window->runs[old].value, changes[new].value);
		if (old < window->nruns && window->runs[old].value == run.value)
			run.count = window->runs[old++].count;
		for (; new < nchanges &&changes[new].value == run.value; new ++)
			run.count += changes[new].count;
		if (run.count < 0)
			return false;
		if (run.count > 0)
			runs[nruns++] = run;
	}
	window->runs = runs;
	window->nruns = nruns;
	return true;
}

static bool
ChangeQuantity(Population *p, int what)
{
	Quantity *q = &p->quantity[what];
	Change *changes = palloc_extended(mul_size(Max(p->nrows, 1), sizeof(Change)), MCXT_ALLOC_HUGE);
	int64 nchanges = 0;
	int64 at = 0;

	for (int64 i = 0; i < p->nrows; i++)
		if (ValueOfRow(p, &p->rows[i], what, &changes[nchanges].value))
		{
			changes[nchanges].count = p->rows[i].sign;
			q->count += changes[nchanges++].count;
		}
	SortChanges(changes, nchanges);
	for (int i = 0; i <= q->nwindows; i++)
	{
		Gap *gap = &q->gaps[i];
		int64 end;

		for (; at < nchanges && (i == q->nwindows || changes[at].value < q->windows[i].low); at++)
		{
			gap->count += changes[at].count;
			gap->sum += (int128) changes[at].value * changes[at].count;
		}
		if (gap->count < 0)
			return false;
		for (end = at;
			 i < q->nwindows && end < nchanges && changes[end].value <= q->windows[i].high; end++)
			;
		if (i < q->nwindows && !ChangeWindow(&q->windows[i], changes + at, end - at))
			return false;
		at = end;
	}
	pfree(changes);
	return true;
}

/* ---------- the stored form ---------- */

static uint8 *
WriteInt128(uint8 *at, int128 value)
{
	at = WriteInt64(at, (int64) (value >> 64));
	return WriteInt64(at, (int64) value);
}

static int128
ReadInt128(ByteReader *r)
{
	int128 high = ReadInt64(r);

	return (int128) ((uint128) high << 64 | (uint64) ReadInt64(r));
}

static Datum
Bytes(uint8 *bytes, const uint8 *end)
{
	SET_VARSIZE(bytes, end - bytes);
	return PointerGetDatum(bytes);
}

static Datum
HeadOfPopulation(const Population *p, int nwindows)
{
	uint8 *bytes = palloc(VARHDRSZ + 200 + (2 * (MAX_SCALE + 1) + QUANTITIES) * MAX_VARINT +
						  (nwindows + QUANTITIES) * 64);
	uint8 *at = bytes + VARHDRSZ;
	const int64 counts[] = {p->customers, p->orders, p->buyers, p->ahead};

	*at++ = POPULATION_VERSION;
	*at++ = p->scored.bins;
	*at++ = p->has_period | p->by_profit << 1;
	at = WriteInt64(at, p->as_of);
	at = WriteInt64(at, p->period.month);
	at = WriteInt64(at, p->period.day);
	at = WriteInt64(at, p->period.time);
	for (int i = 0; i < lengthof(counts); i++)
		at = WriteVarint(at, counts[i]);
	for (int i = 0; i <= MAX_SCALE; i++)
	{
		at = WriteVarint(at, p->scored_of_scale[i]);
		at = WriteVarint(at, p->worth_of_scale[i]);
	}
	for (int what = 0; what < QUANTITIES; what++)
	{
		const Quantity *q = &p->quantity[what];

		at = WriteVarint(at, q->nwindows);
		for (int i = 0; i <= q->nwindows; i++)
		{
			at = WriteVarint(at, q->gaps[i].count);
			at = WriteInt128(at, q->gaps[i].sum);
			if (i == q->nwindows)
				break;
			at = WriteInt64(at, q->windows[i].low);
			at = WriteInt64(at, q->windows[i].high);
			at = WriteVarint(at, q->windows[i].nruns);
		}
	}
	return Bytes(bytes, at);
}

static Datum
RunsOfWindow(const Window *window)
{
	uint8 *bytes = palloc_extended(add_size(VARHDRSZ, mul_size(window->nruns, 2 * MAX_VARINT)),
								   MCXT_ALLOC_HUGE);
	uint8 *at = bytes + VARHDRSZ;
	int64 last = window->low;

	for (int64 i = 0; i < window->nruns; i++)
	{
		at = WriteVarint(at, (uint64) window->runs[i].value - (uint64) last);
		at = WriteVarint(at, window->runs[i].count);
		last = window->runs[i].value;
	}
	return Bytes(bytes, at);
}

static Datum
StoredPopulation(const Population *p)
{
	Datum *parts;
	int nwindows = 0;
	int nparts = 1;

	for (int what = 0; what < QUANTITIES; what++)
		nwindows += p->quantity[what].nwindows;
	parts = palloc((nwindows + 1) * sizeof(Datum));
	parts[0] = HeadOfPopulation(p, nwindows);
	for (int what = 0; what < QUANTITIES; what++)
		for (int i = 0; i < p->quantity[what].nwindows; i++)
			parts[nparts++] = RunsOfWindow(&p->quantity[what].windows[i]);
	return PointerGetDatum(construct_array(parts, nparts, BYTEAOID, -1, false, TYPALIGN_INT));
}

/* The windows and gaps of a quantity, without runs yet. */
static bool
ReadWindows(ByteReader *r, Quantity *q)
{
	uint64 nwindows = ReadVarint(r);

	if (nwindows > MAX_WANTED)
		return false;
	q->nwindows = (int) nwindows;
	q->windows = palloc0((q->nwindows + 1) * sizeof(Window));
	q->gaps = palloc0((q->nwindows + 1) * sizeof(Gap));
	for (int i = 0; i <= q->nwindows; i++)
	{
		Window *window = &q->windows[i];

		q->gaps[i].count = ReadVarint(r);
		q->gaps[i].sum = ReadInt128(r);
		if (q->gaps[i].count < 0 || q->gaps[i].count > PG_INT64_MAX / 256)
			return false;
		q->count += q->gaps[i].count;
		if (i == q->nwindows)
			break;
		window->low = ReadInt64(r);
		window->high = ReadInt64(r);
		window->nruns = ReadVarint(r);
		if (window->low > window->high || (i > 0 && window->low <= q->windows[i - 1].high) ||
			window->nruns < 0 || window->nruns > PG_INT64_MAX / 256)
			return false;
	}
	return !r->failed;
}

static bool
ReadRuns(Datum part, Quantity *q, Window *window)
{
	bytea *bytes = DatumGetByteaPP(part);
	ByteReader r;
	int64 last = window->low;

	ByteReaderInit(&r, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	if (window->nruns > (r.end - r.next) / 2)
		return false;
	window->runs = palloc_extended(mul_size(Max(window->nruns, 1), sizeof(Run)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < window->nruns; i++)
	{
		uint64 step = ReadVarint(&r);
		uint64 count = ReadVarint(&r);

		if (step > (uint64) window->high - (uint64) last || (i > 0 && step == 0) || count == 0 ||
			count > PG_INT64_MAX / 256 || q->count > PG_INT64_MAX / 2)
			return false;
		last = (int64) ((uint64) last + step);
		window->runs[i] = (Run){last, count};
		q->count += count;
	}
	return !r.failed && r.next == r.end;
}

/* Settings and counts. */
static bool
ReadHead(ByteReader *r, Population *p)
{
	int64 *counts[] = {&p->customers, &p->orders, &p->buyers, &p->ahead};
	uint8 flags;

	if (ReadByte(r) != POPULATION_VERSION)
		return false;
	p->scored.bins = ReadByte(r);
	flags = ReadByte(r);
	p->has_period = (flags & 1) != 0;
	p->by_profit = (flags & 2) != 0;
	p->as_of = (DateADT) ReadInt64(r);
	p->period.month = (int32) ReadInt64(r);
	p->period.day = (int32) ReadInt64(r);
	p->period.time = ReadInt64(r);
	for (int i = 0; i < lengthof(counts); i++)
		*counts[i] = ReadVarint(r);
	for (int i = 0; i <= MAX_SCALE; i++)
	{
		p->scored_of_scale[i] = ReadVarint(r);
		p->worth_of_scale[i] = ReadVarint(r);
	}
	return !r->failed && IS_VALID_DATE(p->as_of) && p->scored.bins >= MIN_BINS &&
		   p->scored.bins <= MAX_BINS;
}

static bool
ReadPopulation(Population *p, ArrayType *array)
{
	Datum *parts;
	bool *nulls;
	int nparts;
	int part = 1;
	bytea *head;
	ByteReader r;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &parts, &nulls, &nparts);
	for (int i = 0; i < nparts; i++)
		if (nulls[i])
			return false;
	if (nparts == 0)
		return false;
	head = DatumGetByteaPP(parts[0]);
	ByteReaderInit(&r, VARDATA_ANY(head), VARSIZE_ANY_EXHDR(head));
	if (!ReadHead(&r, p))
		return false;
	for (int what = 0; what < QUANTITIES; what++)
	{
		Quantity *q = &p->quantity[what];

		if (!ReadWindows(&r, q))
			return false;
		for (int i = 0; i < q->nwindows; i++)
			if (part == nparts || !ReadRuns(parts[part++], q, &q->windows[i]))
				return false;
	}
	p->scored.scale = LargestScale(p->scored_of_scale);
	p->worth_scale = LargestScale(p->worth_of_scale);
	return part == nparts && r.next == r.end;
}

/* ---------- the results ---------- */

/* NULL (0) if nobody has a score. */
static Datum
RfmOfPopulation(Population *p)
{
	RfmModel model;

	InitModel(&RfmModelFormat, &model);
	p->scored.customers = p->quantity[FREQUENCY].count;
	if (p->scored.customers == 0)
		return (Datum) 0;
	RfmModelOfRanks(&model, &p->scored);
	model.as_of = p->as_of;
	model.period = p->period;
	return p->lost ? (Datum) 0 : PointerGetDatum(ModelValue(&RfmModelFormat, &model));
}

/*
 * The days within which nine of ten repeat buyers come back by their mean gaps, between four weeks
 * and a year.
 */
static int
ActiveDays(Population *p)
{
	int64 repeat_buyers = p->quantity[MEAN_GAP].count;
	int64 days = ValueAtRank(p, MEAN_GAP, (repeat_buyers * 9 + 9) / 10 - 1);

	return (int) Max(MIN_ACTIVE_DAYS, Min(days, MAX_ACTIVE_DAYS));
}

/* From which value on a tier or a tenth is that has `from` as its lowest value. */
static Datum
Threshold(Population *p, int64 from)
{
	const Quantity *q = &p->quantity[WORTH];
	int64 lower = 0;
	int64 below;
	bool found = false;

	for (int i = 0; i < q->nwindows && !found; i++)
	{
		lower += q->gaps[i].count;
		for (int64 run = 0; run < q->windows[i].nruns && !found; run++)
		{
			found = q->windows[i].runs[run].value >= from;
			if (!found)
				lower += q->windows[i].runs[run].count;
		}
	}
	/* where the population is lost, there is no threshold either */
	below = lower > 0 ? ValueAtRank(p, WORTH, lower - 1) : 0;
	if (from > below && below >= 0)
		from = RoundThreshold(below, from);
	return NumericGetDatum(NumericFromInt128(from, p->worth_scale));
}

/* The lower limits of deciles 2 to 10 of the buyers by value, as far as they are positive. */
static Datum
Deciles(Population *p)
{
	int64 positive = p->quantity[WORTH].count;
	Datum cuts[9];
	int ncuts = 0;

	for (int k = 9; k >= 1; k--)
	{
		int64 rank = (k * p->buyers + 9) / 10;

		if (rank <= positive)
			cuts[ncuts++] = Threshold(p, ValueAtRank(p, WORTH, positive - rank));
	}
	return PointerGetDatum(construct_array(cuts, ncuts, NUMERICOID, -1, false, TYPALIGN_INT));
}

/* A row of the type customer_base; NULL (0) if there are no customers. */
static Datum
BaseOfPopulation(Population *p, TupleDesc columns)
{
	Datum values[8] = {0};
	bool nulls[8] = {false};

	if (p->customers == 0)
		return (Datum) 0;
	values[0] = Int64GetDatum(p->customers);
	values[1] = Int64GetDatum(p->orders);
	nulls[2] = nulls[3] = p->quantity[OLDEST].count == 0;
	if (!nulls[2])
	{
		values[2] = DateADTGetDatum((DateADT) ValueAtRank(p, OLDEST, 0));
		values[3] =
			DateADTGetDatum((DateADT) ValueAtRank(p, NEWEST, p->quantity[NEWEST].count - 1));
	}
	nulls[4] = p->quantity[MEAN_GAP].count < MIN_REPEAT_BUYERS;
	if (!nulls[4])
		values[4] = Int32GetDatum(ActiveDays(p));
	nulls[5] = nulls[6] = nulls[7] = p->quantity[WORTH].count == 0;
	if (!nulls[5])
	{
		int128 total = TotalOf(&p->quantity[WORTH]);

		values[5] = Threshold(p, TierFrom(p, TIER_A_SHARE, total));
		values[6] = Threshold(p, TierFrom(p, TIER_B_SHARE, total));
		values[7] = Deciles(p);
	}
	return HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
}

static TupleDesc
CustomerBaseColumns(Oid type)
{
	return BlessTupleDesc(lookup_rowtype_tupdesc_copy(type, -1));
}

/* Requests all ranks that are ever needed. */
static void
TryResults(Population *p)
{
	(void) RfmOfPopulation(p);
	p->scored.customers = p->quantity[FREQUENCY].count;
	if (p->quantity[OLDEST].count > 0)
	{
		(void) ValueAtRank(p, OLDEST, 0);
		(void) ValueAtRank(p, NEWEST, p->quantity[NEWEST].count - 1);
	}
	if (p->quantity[MEAN_GAP].count >= MIN_REPEAT_BUYERS)
		(void) ActiveDays(p);
	if (p->quantity[WORTH].count > 0)
	{
		int128 total = TotalOf(&p->quantity[WORTH]);

		(void) Threshold(p, TierFrom(p, TIER_A_SHARE, total));
		(void) Threshold(p, TierFrom(p, TIER_B_SHARE, total));
		(void) Deciles(p);
	}
}

/* ---------- the aggregates ---------- */

/* Settings: as-of date, period, by_profit [, bins] from that argument on. */
static Population *
NewPopulation(FunctionCallInfo fcinfo, MemoryContext context, int argument)
{
	Population *p = MemoryContextAllocZero(context, sizeof(Population));

	p->scored.at = ScoredValue;
	p->scored.medians = true;
	p->scored.bins =
		PG_NARGS() > argument + 3 ? CheckedBins(PG_GETARG_INT32(argument + 3)) : DEFAULT_BINS;
	p->as_of = CheckedDay(PG_GETARG_DATEADT(argument), "as_of");
	p->after = PG_INT32_MIN;
	p->has_period = !PG_ARGISNULL(argument + 1);
	if (p->has_period)
	{
		p->period = *PG_GETARG_INTERVAL_P(argument + 1);
		p->after = DayBeforePeriod(p->as_of, &p->period);
	}
	p->by_profit = !PG_ARGISNULL(argument + 2) && PG_GETARG_BOOL(argument + 2);
	return p;
}

/* (state, history, as_of, period, by_profit [, bins]) */
PG_FUNCTION_INFO_V1(population_fit_transfn);
Datum
population_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "population_fit_transfn");
	Population *p = PG_ARGISNULL(0) ? NULL : (Population *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (p == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(p);
	}
	if (p == NULL)
		p = NewPopulation(fcinfo, context, 2);
	AddHistory(p, PG_GETARG_HISTORY(1), 1);
	PG_RETURN_POINTER(p);
}

static void
BuildPopulation(Population *p, int first)
{
	p->scored.scale = LargestScale(p->scored_of_scale);
	p->worth_scale = LargestScale(p->worth_of_scale);
	for (int what = first; what < QUANTITIES; what++)
		BuildQuantity(p, what);
}

PG_FUNCTION_INFO_V1(population_fit_finalfn);
Datum
population_fit_finalfn(PG_FUNCTION_ARGS)
{
	Population *p;

	(void) AggregateContext(fcinfo, "population_fit_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p = (Population *) PG_GETARG_POINTER(0);
	BuildPopulation(p, 0);
	TryResults(p);
	for (int what = 0; what < QUANTITIES; what++)
		TrimQuantity(&p->quantity[what]);
	PG_RETURN_DATUM(StoredPopulation(p));
}

/* The composite type customer_base; NULL if there are no histories. */
PG_FUNCTION_INFO_V1(customer_base_fit_finalfn);
Datum
customer_base_fit_finalfn(PG_FUNCTION_ARGS)
{
	Population *p;
	TupleDesc columns;

	(void) AggregateContext(fcinfo, "customer_base_fit_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p = (Population *) PG_GETARG_POINTER(0);
	BuildPopulation(p, WORTH);
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(BaseOfPopulation(p, BlessTupleDesc(columns)));
}

/*
 * The stored population as of another day; lost if unchanged customers count differently on that
 * day, or if it was made with other settings.
 */
static void
TakeStored(Population *p, ArrayType *array)
{
	Population asked = *p;

	if (!ReadPopulation(p, array) || p->has_period != asked.has_period ||
		memcmp(&p->period, &asked.period, sizeof(Interval)) != 0 ||
		p->by_profit != asked.by_profit || p->scored.bins != asked.scored.bins ||
		(p->as_of != asked.as_of && (p->has_period || p->as_of > asked.as_of || p->ahead > 0)))
	{
		*p = asked;
		p->lost = true;
	}
	p->as_of = asked.as_of;
}

/* (state, population, before, after, as_of, period, by_profit, bins) */
PG_FUNCTION_INFO_V1(population_change_transfn);
Datum
population_change_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "population_change_transfn");
	Population *p = PG_ARGISNULL(0) ? NULL : (Population *) PG_GETARG_POINTER(0);

	if (p == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		p = NewPopulation(fcinfo, context, 4);
		if (PG_ARGISNULL(1))
			p->lost = true;
		else
			TakeStored(p, PG_GETARG_ARRAYTYPE_P(1));
		MemoryContextSwitchTo(caller);
	}
	if (!p->lost && !PG_ARGISNULL(2))
		AddHistory(p, PG_GETARG_HISTORY(2), -1);
	if (!p->lost && !PG_ARGISNULL(3))
		AddHistory(p, PG_GETARG_HISTORY(3), 1);
	PG_RETURN_POINTER(p);
}

/* NULL if the population has to be made anew. */
PG_FUNCTION_INFO_V1(population_change_finalfn);
Datum
population_change_finalfn(PG_FUNCTION_ARGS)
{
	Population *p;

	(void) AggregateContext(fcinfo, "population_change_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p = (Population *) PG_GETARG_POINTER(0);
	/* with more decimals all amounts would be other integers */
	if (p->lost || p->scored.scale != LargestScale(p->scored_of_scale) ||
		p->worth_scale != LargestScale(p->worth_of_scale))
		PG_RETURN_NULL();
	for (int what = 0; what < QUANTITIES; what++)
		if (!ChangeQuantity(p, what))
			PG_RETURN_NULL();
	TryResults(p);
	if (p->lost)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(StoredPopulation(p));
}

/* (population): rfm_model and customer_base */
PG_FUNCTION_INFO_V1(population_models);
Datum
population_models(PG_FUNCTION_ARGS)
{
	Population p = {.scored = {.at = ScoredValue, .medians = true}};
	TupleDesc columns;
	Datum values[2];
	bool nulls[2];

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (ReadPopulation(&p, PG_GETARG_ARRAYTYPE_P(0)))
	{
		values[0] = RfmOfPopulation(&p);
		values[1] = BaseOfPopulation(&p, CustomerBaseColumns(TupleDescAttr(columns, 1)->atttypid));
	}
	else
		p.lost = true;
	if (p.lost)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid population")));
	nulls[0] = values[0] == (Datum) 0;
	nulls[1] = values[1] == (Datum) 0;
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
