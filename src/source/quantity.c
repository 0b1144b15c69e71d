/*
 * quantity.c: the sorted values of all customers around some ranks.
 */
#include "postgres.h"

#include "fmgr.h"

#include "miscadmin.h"

#include "base/compat.h"
#include "source/quantity.h"

/* Up to this many distinct values are kept completely. */
#define MAX_WHOLE 4096
/* A window extends at least this many ranks to either side, and at least this share of all. */
#define MIN_REACH 1024
#define REACH_SHARE 64

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

bool
ValueOfRank(Quantity *q, int64 rank, int64 *value)
{
	Want(q, rank);
	for (int i = 0; i < q->nwindows && rank >= q->gaps[i].count; i++)
	{
		const Window *window = &q->windows[i];

		rank -= q->gaps[i].count;
		for (int64 run = 0; run < window->nruns; run++)
		{
			*value = window->runs[run].value;
			if (rank < window->runs[run].count)
				return true;
			rank -= window->runs[run].count;
		}
	}
	return false;
}

int64
RankOfValue(const Quantity *q, int64 value)
{
	int64 lower = 0;

	for (int i = 0; i < q->nwindows; i++)
	{
		lower += q->gaps[i].count;
		for (int64 run = 0; run < q->windows[i].nruns; run++)
		{
			if (q->windows[i].runs[run].value >= value)
				return lower;
			lower += q->windows[i].runs[run].count;
		}
	}
	return lower;
}

bool
ValueOfShare(Quantity *q, int share, int128 total, int64 *value)
{
	int128 richer = 0;
	int64 above = 0;
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
			*value = r->value;
			known = true;
			richer += (int128) r->value * r->count;
			above += r->count;
		}
		if (richer * 100 >= total * share)
			break;
	}
	if (known)
		Want(q, q->count - above);
	return known;
}

int128
TotalOfQuantity(const Quantity *q)
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

/* ---------- from values to windows ---------- */

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

void
BuildQuantity(Quantity *q, int64 *values, int64 n)
{
	int64 different = 0;
	Window *window = palloc0(sizeof(Window));

	SortValues(values, n);
	for (int64 i = 0; i < n; i++)
		different += i == 0 || values[i] != values[i - 1];
	*window = (Window){.low = PG_INT64_MIN, .high = PG_INT64_MAX};
	window->runs = palloc_extended(mul_size(Max(different, 1), sizeof(Run)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
	{
		if (i == 0 || values[i] != values[i - 1])
			window->runs[window->nruns++] = (Run){values[i], 0};
		window->runs[window->nruns - 1].count++;
	}
	q->count = n;
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

void
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

bool
ChangeQuantity(Quantity *q, Change *changes, int64 nchanges)
{
	int64 at = 0;

	for (int64 i = 0; i < nchanges; i++)
		q->count += changes[i].count;
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

uint8 *
WriteWindows(uint8 *at, const Quantity *q)
{
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
	return at;
}

Datum
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
	SET_VARSIZE(bytes, at - bytes);
	return PointerGetDatum(bytes);
}

bool
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

bool
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
