/*
 * cohorts.c: purchases by month, counted in one pass over the histories: by month of the first
 * purchase and months since, by month and weekday; the days until a second purchase; and the month
 * of the year in which a customer buys year after year.
 *
 * A customer's first purchase is the first day with an order; refunds before it count as of that
 * month.  All of it is up to an as-of date.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "base/common.h"
#include "base/local_day.h"
#include "history/history_memo.h"

#define MONTHS 12
#define FIRST_YEAR -5000 /* before any day of PostgreSQL */
#define MANY_DAYS 36525  /* until a second purchase: a century, and what is above it */

/* ---------- months ---------- */

#define TABLE_FROM (-3652) /* 1990-01-01 */
#define TABLE_DAYS 32768   /* 90 years */

/* Months since FIRST_YEAR; the days before the first month that begins in the calendar count to it.
 */
static int32
MonthOfDay(DateADT day)
{
	int year;
	int month;
	int mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return Max((year - FIRST_YEAR) * MONTHS + month - 1,
			   (JULIAN_MINYEAR - FIRST_YEAR) * MONTHS + JULIAN_MINMONTH);
}

/* The same, looked up: it is asked for every purchase day of all customers. */
static inline int32
MonthNumber(DateADT day)
{
	static int32 *months = NULL;

	if (unlikely(months == NULL))
	{
		int32 *table = MemoryContextAlloc(TopMemoryContext, TABLE_DAYS * sizeof(int32));

		for (int i = 0; i < TABLE_DAYS; i++)
			table[i] = MonthOfDay(TABLE_FROM + i);
		months = table;
	}
	if (unlikely(day < TABLE_FROM || day >= TABLE_FROM + TABLE_DAYS))
		return MonthOfDay(day);
	return months[day - TABLE_FROM];
}

static DateADT
FirstOfMonth(int32 month)
{
	return date2j(month / MONTHS + FIRST_YEAR, month % MONTHS + 1, 1) - POSTGRES_EPOCH_JDATE;
}

/* ---------- cells ---------- */

/* What customers did in a cell: a cohort and a month since, or a month and a weekday. */
typedef struct PurchaseCell
{
	uint64 key;
	bool costs;
	int64 buyers;
	int64 repeaters;
	int64 orders;
	int128 revenue; /* in units of 10^-MAX_SCALE */
	int128 profit;
} PurchaseCell;

typedef struct CellEntry
{
	uint64 key;
	PurchaseCell *cell;
	char status;
} CellEntry;

#define SH_PREFIX cells
#define SH_ELEMENT_TYPE CellEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(table, key) ((uint32) MixHash64(key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define NEAR_CELLS 4096 /* a power of two */
#define CELLS_APART 64  /* between the cells of successive cohorts */

typedef struct CellState
{
	MemoryContext context;
	cells_hash *cells;
	int scale;
	PurchaseCell *near[NEAR_CELLS]; /* those last used, by place */
} CellState;

static CellState *
NewCellState(MemoryContext context)
{
	CellState *state = MemoryContextAllocZero(context, sizeof(CellState));

	state->context = context;
	state->cells = cells_create(context, 1024, NULL);
	return state;
}

/* The cell with that key, which is made if it is new. */
static PurchaseCell *
CellOfKey(CellState *state, uint64 key)
{
	bool found;
	CellEntry *entry = cells_insert(state->cells, key, &found);

	if (!found)
	{
		entry->cell = MemoryContextAllocZero(state->context, sizeof(PurchaseCell));
		entry->cell->key = key;
	}
	return entry->cell;
}

static inline PurchaseCell *
FindCell(CellState *state, int32 month, int32 part)
{
	uint64 key = (uint64) month << 32 | (uint32) part;
	PurchaseCell **near =
		&state->near[((uint32) month * CELLS_APART + (uint32) part) & (NEAR_CELLS - 1)];

	if (unlikely(*near == NULL || (*near)->key != key))
		*near = CellOfKey(state, key);
	return *near;
}

static inline void
AddToCell(PurchaseCell *cell, const PurchaseDay *day, int64 unit)
{
	cell->orders += day->orders;
	cell->revenue += (int128) day->amount * unit;
	if (day->cost != 0 || day->covered != 0)
	{
		cell->costs = true;
		cell->profit += ((int128) day->covered - day->cost) * unit;
	}
}

/* Adds cells to those of a state, which may be none yet. */
static CellState *
AddCells(CellState *state, MemoryContext context, const CellState *other)
{
	cells_iterator iterator;
	CellEntry *entry;

	if (other == NULL)
		return state;
	if (state == NULL)
		state = NewCellState(context);
	state->scale = Max(state->scale, other->scale);
	cells_start_iterate(other->cells, &iterator);
	while ((entry = cells_iterate(other->cells, &iterator)) != NULL)
	{
		PurchaseCell *cell = CellOfKey(state, entry->key);

		cell->costs |= entry->cell->costs;
		cell->buyers += entry->cell->buyers;
		cell->repeaters += entry->cell->repeaters;
		cell->orders += entry->cell->orders;
		cell->revenue += entry->cell->revenue;
		cell->profit += entry->cell->profit;
	}
	return state;
}

/* (state, state) */
PG_FUNCTION_INFO_V1(purchase_cells_combine);
Datum
purchase_cells_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "purchase_cells_combine");
	CellState *state = PG_ARGISNULL(0) ? NULL : (CellState *) PG_GETARG_POINTER(0);

	state = AddCells(state, context, PG_ARGISNULL(1) ? NULL : (CellState *) PG_GETARG_POINTER(1));
	PG_RETURN_STATE(state);
}

/* The scale, then the cells. */
PG_FUNCTION_INFO_V1(purchase_cells_serialize);
Datum
purchase_cells_serialize(PG_FUNCTION_ARGS)
{
	const CellState *state = (const CellState *) PG_GETARG_POINTER(0);
	cells_iterator iterator;
	CellEntry *entry;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "purchase_cells_serialize");
	pq_begintypsend(&out);
	pq_sendint32(&out, state->scale);
	cells_start_iterate(state->cells, &iterator);
	while ((entry = cells_iterate(state->cells, &iterator)) != NULL)
		pq_sendbytes(&out, (const char *) entry->cell, sizeof(PurchaseCell));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(purchase_cells_deserialize);
Datum
purchase_cells_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	CellState *state;
	StringInfoData in;

	(void) AggregateContext(fcinfo, "purchase_cells_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	state = NewCellState(CurrentMemoryContext);
	state->scale = (int) pq_getmsgint(&in, 4);
	while (in.cursor < in.len)
	{
		PurchaseCell cell;

		memcpy(&cell, pq_getmsgbytes(&in, sizeof(cell)), sizeof(cell));
		*CellOfKey(state, cell.key) = cell;
	}
	PG_RETURN_POINTER(state);
}

/* A total in the largest scale seen. */
static Datum
TotalDatum(int128 total, int scale)
{
	return NumericGetDatum(NumericFromInt128(total / PowerOfTen[MAX_SCALE - scale], scale));
}

/* ---------- cohort_cells ---------- */

/* Counts a history whose first purchase is on that day. */
static void
CountCohort(CellState *state, const PurchaseHistory *history, DateADT first, DateADT as_of)
{
	int32 cohort = MonthNumber(first);
	PurchaseCell *cell;
	HistoryReader reader;
	PurchaseDay day;
	int32 bought_in = -1;
	int64 unit;
	int purchases = 0;

	RecallHistory(&reader, history);
	unit = PowerOfTen[MAX_SCALE - reader.scale];
	state->scale = Max(state->scale, reader.scale);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		int32 month = Max(cohort, MonthNumber(day.day));

		cell = FindCell(state, cohort, month - cohort);
		AddToCell(cell, &day, unit);
		if (day.orders == 0)
			continue;
		cell->buyers += month != bought_in;
		bought_in = month;
		if (++purchases == 2)
			FindCell(state, cohort, 0)->repeaters++;
	}
}

/* The first and second day with an order up to as_of; returns how many there are, up to 2. */
static int
FirstPurchases(const PurchaseHistory *history, DateADT as_of, DateADT *first, DateADT *second)
{
	HistoryReader reader;
	PurchaseDay day;
	int found = 0;

	RecallHistory(&reader, history);
	while (found < 2 && ReadPurchaseDay(&reader, &day) && day.day <= as_of)
		if (day.orders > 0)
			*(found++ == 0 ? first : second) = day.day;
	return found;
}

/* (state, history, as_of) */
PG_FUNCTION_INFO_V1(cohort_cells_transfn);
Datum
cohort_cells_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "cohort_cells_transfn");
	CellState *state = PG_ARGISNULL(0) ? NewCellState(context) : (CellState *) PG_GETARG_POINTER(0);
	DateADT as_of;
	DateADT first;
	DateADT second;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	if (FirstPurchases(PG_GETARG_HISTORY(1), as_of, &first, &second) > 0)
		CountCohort(state, PG_GETARG_HISTORY(1), first, as_of);
	PG_RETURN_POINTER(state);
}

/* An array of cohort_cell. */
PG_FUNCTION_INFO_V1(cohort_cells_finalfn);
Datum
cohort_cells_finalfn(PG_FUNCTION_ARGS)
{
	CellState *state = PG_ARGISNULL(0) ? NULL : (CellState *) PG_GETARG_POINTER(0);
	RowArray rows;
	cells_iterator iterator;
	CellEntry *entry;

	(void) AggregateContext(fcinfo, "cohort_cells_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	cells_start_iterate(state->cells, &iterator);
	while ((entry = cells_iterate(state->cells, &iterator)) != NULL)
	{
		const PurchaseCell *cell = entry->cell;
		Datum values[7] = {DateADTGetDatum(FirstOfMonth((int32) (cell->key >> 32))),
						   Int32GetDatum((int32) cell->key),
						   Int64GetDatum(cell->buyers),
						   Int64GetDatum(cell->repeaters),
						   Int64GetDatum(cell->orders),
						   TotalDatum(cell->revenue, state->scale),
						   TotalDatum(cell->profit, state->scale)};
		bool nulls[7] = {false, false, false, false, false, false, !cell->costs};

		AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}

/* ---------- calendar_cells ---------- */

#define DAYS_OF_WEEK 7

/* 1: Monday, to 7: Sunday. */
static inline int32
WeekdayOf(DateADT day)
{
	return 1 + (day + POSTGRES_EPOCH_JDATE) % DAYS_OF_WEEK;
}

/* (state, history, as_of) */
PG_FUNCTION_INFO_V1(calendar_cells_transfn);
Datum
calendar_cells_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "calendar_cells_transfn");
	CellState *state = PG_ARGISNULL(0) ? NewCellState(context) : (CellState *) PG_GETARG_POINTER(0);
	HistoryReader reader;
	PurchaseDay day;
	DateADT as_of;
	int64 unit;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	RecallHistory(&reader, PG_GETARG_HISTORY(1));
	unit = PowerOfTen[MAX_SCALE - reader.scale];
	state->scale = Max(state->scale, reader.scale);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
		AddToCell(FindCell(state, MonthNumber(day.day), WeekdayOf(day.day)), &day, unit);
	PG_RETURN_POINTER(state);
}

/* An array of purchase_calendar_row. */
PG_FUNCTION_INFO_V1(calendar_cells_finalfn);
Datum
calendar_cells_finalfn(PG_FUNCTION_ARGS)
{
	CellState *state = PG_ARGISNULL(0) ? NULL : (CellState *) PG_GETARG_POINTER(0);
	RowArray rows;
	cells_iterator iterator;
	CellEntry *entry;

	(void) AggregateContext(fcinfo, "calendar_cells_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	cells_start_iterate(state->cells, &iterator);
	while ((entry = cells_iterate(state->cells, &iterator)) != NULL)
	{
		Datum values[4] = {DateADTGetDatum(FirstOfMonth((int32) (entry->key >> 32))),
						   Int32GetDatum((int32) entry->key),
						   NumericGetDatum(int64_to_numeric(entry->cell->orders)),
						   TotalDatum(entry->cell->revenue, state->scale)};
		bool nulls[4] = {false};

		AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}

/* ---------- second_purchases ---------- */

/* Customers by days from the first purchase to the second one, or, without one, to as_of. */
typedef struct SecondPurchases
{
	int64 bought[MANY_DAYS + 1];
	int64 waiting[MANY_DAYS + 1];
	int longest;
} SecondPurchases;

/* (state, history, as_of) */
PG_FUNCTION_INFO_V1(second_purchases_transfn);
Datum
second_purchases_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "second_purchases_transfn");
	SecondPurchases *state =
		PG_ARGISNULL(0)
			? MemoryContextAllocExtended(context, sizeof(SecondPurchases), MCXT_ALLOC_ZERO)
			: (SecondPurchases *) PG_GETARG_POINTER(0);
	DateADT as_of;
	DateADT first;
	DateADT second;
	int found;
	int days;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	found = FirstPurchases(PG_GETARG_HISTORY(1), as_of, &first, &second);
	if (found == 0)
		PG_RETURN_POINTER(state);
	days = (int) Min((int64) (found == 2 ? second : as_of) - first, MANY_DAYS);
	state->longest = Max(state->longest, days);
	if (found == 2)
		state->bought[days]++;
	else
		state->waiting[days]++;
	PG_RETURN_POINTER(state);
}

/* (state, state) */
PG_FUNCTION_INFO_V1(second_purchases_combine);
Datum
second_purchases_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "second_purchases_combine");
	SecondPurchases *state = PG_ARGISNULL(0) ? NULL : (SecondPurchases *) PG_GETARG_POINTER(0);
	const SecondPurchases *other =
		PG_ARGISNULL(1) ? NULL : (const SecondPurchases *) PG_GETARG_POINTER(1);

	if (other != NULL && state == NULL)
		state = MemoryContextAllocZero(context, sizeof(SecondPurchases));
	for (int days = 0; other != NULL && days <= other->longest; days++)
	{
		state->bought[days] += other->bought[days];
		state->waiting[days] += other->waiting[days];
	}
	if (other != NULL)
		state->longest = Max(state->longest, other->longest);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(second_purchases_serialize);
Datum
second_purchases_serialize(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "second_purchases_serialize");
	return SerializedState(PG_GETARG_POINTER(0), sizeof(SecondPurchases));
}

PG_FUNCTION_INFO_V1(second_purchases_deserialize);
Datum
second_purchases_deserialize(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(DeserializedState(fcinfo, sizeof(SecondPurchases)));
}

/* An array of second_purchase_count. */
PG_FUNCTION_INFO_V1(second_purchases_finalfn);
Datum
second_purchases_finalfn(PG_FUNCTION_ARGS)
{
	SecondPurchases *state = PG_ARGISNULL(0) ? NULL : (SecondPurchases *) PG_GETARG_POINTER(0);
	RowArray rows;

	(void) AggregateContext(fcinfo, "second_purchases_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	for (int days = 0; days <= state->longest; days++)
	{
		Datum values[3] = {Int32GetDatum(days), Int64GetDatum(state->bought[days]),
						   Int64GetDatum(state->waiting[days])};
		bool nulls[3] = {false};

		if (state->bought[days] + state->waiting[days] > 0)
			AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}

/* ---------- season_of ---------- */

#define FEWEST_YEARS 3 /* in which a customer must have bought in the month */

/* P(X >= found) of a binomial distribution. */
static double
BinomialTail(int found, int tries, double chance)
{
	double sum = 0;

	if (chance >= 1)
		return 1;
	for (int k = found; k <= tries; k++)
		sum += exp(lgamma(tries + 1.0) - lgamma(k + 1.0) - lgamma(tries - k + 1.0) +
				   k * log(chance) + (tries - k) * log1p(-chance));
	return Min(1, sum);
}

/* How many months of each kind there are from one to another. */
static void
CountMonths(int32 from, int32 to, int *count)
{
	memset(count, 0, MONTHS * sizeof(int));
	for (int m = 0; m < MONTHS; m++)
	{
		int32 start = from + ((m - from % MONTHS) + MONTHS) % MONTHS;

		if (start <= to)
			count[m] = (to - start) / MONTHS + 1;
	}
}

/*
 * (history, as_of, shares of the shop's purchases by month of the year, by months seen) → (month,
 * years, months_bought, p_value): the month of the year in which the customer bought in the most
 * years, if chance is measured.  Chance: each month in which the customer bought is any of those
 * since their first purchase, in proportion to the shop's.  NULL if they bought in no month in
 * three years.
 */
PG_FUNCTION_INFO_V1(season_of);
Datum
season_of(PG_FUNCTION_ARGS)
{
	const PurchaseHistory *history = PG_GETARG_HISTORY(0);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(2);
	const float8 *share;
	HistoryReader reader;
	PurchaseDay day;
	int years[MONTHS] = {0};
	int seen[MONTHS];
	int32 first = 0;
	int32 last = -1;
	int bought = 0;
	double total = 0;
	double least = 2;
	int best = -1;
	Datum values[4];
	bool nulls[4] = {false};

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != MONTHS || ARR_HASNULL(array) ||
		ARR_ELEMTYPE(array) != FLOAT8OID)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("season_of needs the shares of twelve months")));
	share = (const float8 *) ARR_DATA_PTR(array);
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		int32 month = MonthNumber(day.day);

		if (day.orders == 0 || month == last)
			continue;
		if (bought++ == 0)
			first = month;
		last = month;
		years[month % MONTHS]++;
	}
	if (bought < FEWEST_YEARS)
		PG_RETURN_NULL();
	CountMonths(first, MonthNumber(as_of), seen);
	for (int m = 0; m < MONTHS; m++)
		total += share[m] * seen[m];
	for (int m = 0; m < MONTHS; m++)
		if (years[m] >= FEWEST_YEARS && share[m] > 0)
		{
			double p = BinomialTail(years[m], bought, share[m] * seen[m] / total);

			if (p < least)
			{
				least = p;
				best = m;
			}
		}
	nulls[0] = nulls[1] = best < 0;
	values[0] = Int32GetDatum(best + 1);
	values[1] = Int32GetDatum(best < 0 ? 0 : years[best]);
	values[2] = Int32GetDatum(bought);
	values[3] = Float8GetDatum(best < 0 ? 1 : Min(1, MONTHS * least));
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
