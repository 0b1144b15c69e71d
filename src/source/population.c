/*
 * population.c: the customers of a source as a whole: the thresholds of their scores, value tiers
 * and deciles, how soon they come back, and their number.
 *
 * All of these are counts, extremes and values at ranks, so they can follow changes of histories
 * exactly, without reading the unchanged ones (quantity.h).  When a rank needed leaves what is kept
 * around it, the population is lost, and is made anew from all histories.
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
#include "source/quantity.h"
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
		p->rows = GrownArray(GetMemoryChunkContext(p), p->rows, &p->room, sizeof(CustomerRow));
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

/* The value at a rank, from 0; if it is not known, the population is lost. */
static int64
ValueAtRank(Population *p, int what, int64 rank)
{
	int64 value = 0;

	p->lost |= !ValueOfRank(&p->quantity[what], rank, &value);
	return value;
}

static int64
ScoredValue(RankedValues *values, int what, int64 rank)
{
	Population *p = (Population *) values;
	int64 value = ValueAtRank(p, what, rank);

	return what == RECENCY ? value + p->as_of : value;
}

/* ---------- from customers to values ---------- */

/* The values of all customers. */
static void
BuildPopulation(Population *p, int first)
{
	int64 *values = palloc_extended(mul_size(Max(p->nrows, 1), sizeof(int64)), MCXT_ALLOC_HUGE);

	p->scored.scale = LargestScale(p->scored_of_scale);
	p->worth_scale = LargestScale(p->worth_of_scale);
	for (int what = first; what < QUANTITIES; what++)
	{
		int64 n = 0;

		for (int64 i = 0; i < p->nrows; i++)
			if (ValueOfRow(p, &p->rows[i], what, &values[n]))
				n++;
		BuildQuantity(&p->quantity[what], values, n);
	}
	pfree(values);
}

/* Whether the amounts of a customer have no more decimals than those of the population. */
static bool
ScaleFits(const Population *p, const CustomerRow *row)
{
	return (row->frequency == 0 || row->scale <= p->scored.scale) &&
		   (row->worth == 0 || row->scale <= p->worth_scale);
}

/* Adds and removes the customers; false if a removed one was not there. */
static bool
ChangePopulation(Population *p)
{
	Change *changes = palloc_extended(mul_size(Max(p->nrows, 1), sizeof(Change)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < p->nrows; i++)
		if (!ScaleFits(p, &p->rows[i]))
			return false;
	for (int what = 0; what < QUANTITIES; what++)
	{
		int64 n = 0;

		for (int64 i = 0; i < p->nrows; i++)
			if (ValueOfRow(p, &p->rows[i], what, &changes[n].value))
				changes[n++].count = p->rows[i].sign;
		if (!ChangeQuantity(&p->quantity[what], changes, n))
			return false;
	}
	pfree(changes);
	return true;
}

/* ---------- the stored form ---------- */

static Datum
HeadOfPopulation(const Population *p)
{
	uint8 *bytes =
		palloc(VARHDRSZ + 200 + 2 * (MAX_SCALE + 1) * MAX_VARINT + QUANTITIES * MAX_QUANTITY_BYTES);
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
		at = WriteWindows(at, &p->quantity[what]);
	SET_VARSIZE(bytes, at - bytes);
	return PointerGetDatum(bytes);
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
	parts[0] = HeadOfPopulation(p);
	for (int what = 0; what < QUANTITIES; what++)
		for (int i = 0; i < p->quantity[what].nwindows; i++)
			parts[nparts++] = RunsOfWindow(&p->quantity[what].windows[i]);
	return PointerGetDatum(construct_array(parts, nparts, BYTEAOID, -1, false, TYPALIGN_INT));
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
	int64 lower = RankOfValue(&p->quantity[WORTH], from);
	int64 below;

	/* where the population is lost, there is no threshold either */
	below = lower > 0 ? ValueAtRank(p, WORTH, lower - 1) : 0;
	if (from > below && below >= 0)
		from = RoundThreshold(below, from);
	return NumericGetDatum(NumericFromInt128(from, p->worth_scale));
}

/* The same of the tier that has this share (percent) of the total, with those above it. */
static Datum
TierFrom(Population *p, int share, int128 total)
{
	int64 from = 0;

	p->lost |= !ValueOfShare(&p->quantity[WORTH], share, total, &from);
	return Threshold(p, from);
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
		int128 total = TotalOfQuantity(&p->quantity[WORTH]);

		values[5] = TierFrom(p, TIER_A_SHARE, total);
		values[6] = TierFrom(p, TIER_B_SHARE, total);
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
		int128 total = TotalOfQuantity(&p->quantity[WORTH]);

		(void) TierFrom(p, TIER_A_SHARE, total);
		(void) TierFrom(p, TIER_B_SHARE, total);
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
		PG_RETURN_STATE(p);
	if (p == NULL)
		p = NewPopulation(fcinfo, context, 2);
	AddHistory(p, PG_GETARG_HISTORY(1), 1);
	PG_RETURN_POINTER(p);
}

PG_FUNCTION_INFO_V1(population_fit_combine);
Datum
population_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "population_fit_combine");
	Population *p = PG_ARGISNULL(0) ? NULL : (Population *) PG_GETARG_POINTER(0);
	const Population *other;

	if (PG_ARGISNULL(1))
		PG_RETURN_STATE(p);
	other = (Population *) PG_GETARG_POINTER(1);
	if (p == NULL)
	{
		p = MemoryContextAlloc(context, sizeof(Population));
		*p = *other;
		p->rows = NULL;
		p->nrows = p->room = 0;
	}
	else
	{
		p->customers += other->customers;
		p->orders += other->orders;
		p->buyers += other->buyers;
		p->ahead += other->ahead;
		for (int i = 0; i <= MAX_SCALE; i++)
		{
			p->scored_of_scale[i] += other->scored_of_scale[i];
			p->worth_of_scale[i] += other->worth_of_scale[i];
		}
	}
	p->rows = AppendedArray(context, p->rows, &p->nrows, &p->room, other->rows, other->nrows,
							sizeof(CustomerRow));
	PG_RETURN_POINTER(p);
}

PG_FUNCTION_INFO_V1(population_fit_serialize);
Datum
population_fit_serialize(PG_FUNCTION_ARGS)
{
	const Population *p;

	(void) AggregateContext(fcinfo, "population_fit_serialize");
	p = (Population *) PG_GETARG_POINTER(0);
	return SerializedArray(p, sizeof(*p), p->rows, p->nrows, sizeof(CustomerRow), "population_fit");
}

PG_FUNCTION_INFO_V1(population_fit_deserialize);
Datum
population_fit_deserialize(PG_FUNCTION_ARGS)
{
	Population *p = palloc(sizeof(Population));

	(void) AggregateContext(fcinfo, "population_fit_deserialize");
	p->rows = DeserializedArray(fcinfo, p, sizeof(*p), &p->nrows, sizeof(CustomerRow));
	/* where it lies is another place in each process */
	p->scored.at = ScoredValue;
	PG_RETURN_POINTER(p);
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
	if (!ChangePopulation(p))
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
