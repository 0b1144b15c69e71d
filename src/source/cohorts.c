/*
 * cohorts.c: what customers did after their first purchase, counted in one pass over their
 * histories: by month of the first purchase and months since, the days until a second purchase, and
 * the month of the year in which a customer buys year after year.
 *
 * A customer's first purchase is the first day with an order; refunds before it count as of that
 * month.  All of it is up to an as-of date.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/local_day.h"
#include "history/purchase_history.h"

#define MONTHS 12
#define FIRST_YEAR -5000 /* before any day of PostgreSQL */
#define MANY_DAYS 36525  /* until a second purchase: a century, and what is above it */

/* ---------- months ---------- */

/* Months since FIRST_YEAR, and whether the month of the day is known already. */
typedef struct MonthOfDay
{
	DateADT first;
	DateADT end; /* first day of the next month */
	int32 month;
} MonthOfDay;

static inline int32
MonthNumber(MonthOfDay *known, DateADT day)
{
	if (unlikely(day < known->first || day >= known->end))
	{
		int year;
		int month;
		int mday;

		j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
		known->month = (year - FIRST_YEAR) * MONTHS + month - 1;
		known->first = day - mday + 1;
		known->end =
			date2j(month == MONTHS ? year + 1 : year, month % MONTHS + 1, 1) - POSTGRES_EPOCH_JDATE;
	}
	return known->month;
}

static DateADT
FirstOfMonth(int32 month)
{
	return date2j(month / MONTHS + FIRST_YEAR, month % MONTHS + 1, 1) - POSTGRES_EPOCH_JDATE;
}

/* ---------- cohort_cells ---------- */

/* The customers of a cohort in one month. */
typedef struct CohortCell
{
	uint64 key; /* cohort and month */
	char status;
	bool costs;
	int64 buyers;
	int64 repeaters;
	int64 orders;
	int128 revenue; /* in units of 10^-MAX_SCALE */
	int128 profit;
} CohortCell;

#define SH_PREFIX cohorts
#define SH_ELEMENT_TYPE CohortCell
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(table, key) ((uint32) MixHash64(key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct CohortState
{
	cohorts_hash *cells;
	int scale;
	MonthOfDay month;
} CohortState;

static CohortCell *
FindCell(CohortState *state, int32 cohort, int32 month)
{
	bool found;
	CohortCell *cell = cohorts_insert(state->cells, (uint64) cohort << 32 | (uint32) month, &found);

	if (!found)
	{
		uint64 key = cell->key;
		char status = cell->status;

		memset(cell, 0, sizeof(CohortCell));
		cell->key = key;
		cell->status = status;
	}
	return cell;
}

static void
AddToCell(CohortCell *cell, const PurchaseDay *day, int64 unit)
{
	cell->orders += day->orders;
	cell->revenue += (int128) day->amount * unit;
	if (day->cost != 0 || day->covered != 0)
	{
		cell->costs = true;
		cell->profit += ((int128) day->covered - day->cost) * unit;
	}
}

/* Counts a history whose first purchase is in the month given. */
static void
CountCohort(CohortState *state, const PurchaseHistory *history, DateADT first, DateADT as_of)
{
	int32 cohort = MonthNumber(&state->month, first);
	CohortCell *cell = NULL;
	HistoryReader reader;
	PurchaseDay day;
	int32 bought_in = -1;
	int64 unit;
	int purchases = 0;

	HistoryReaderInit(&reader, history);
	unit = PowerOfTen[MAX_SCALE - reader.scale];
	state->scale = Max(state->scale, reader.scale);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		int32 month = Max(cohort, MonthNumber(&state->month, day.day));

		if (cell == NULL || (uint32) cell->key != (uint32) (month - cohort))
			cell = FindCell(state, cohort, month - cohort);
		AddToCell(cell, &day, unit);
		if (day.orders == 0)
			continue;
		if (month != bought_in)
			cell->buyers++;
		bought_in = month;
		if (++purchases == 2)
		{
			FindCell(state, cohort, 0)->repeaters++;
			cell = NULL; /* another cell may have moved it */
		}
	}
}

/* The first and second day with an order up to as_of; returns how many there are, up to 2. */
static int
FirstPurchases(const PurchaseHistory *history, DateADT as_of, DateADT *first, DateADT *second)
{
	HistoryReader reader;
	PurchaseDay day;
	int found = 0;

	HistoryReaderInit(&reader, history);
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
	CohortState *state = PG_ARGISNULL(0) ? NULL : (CohortState *) PG_GETARG_POINTER(0);
	const PurchaseHistory *history;
	DateADT as_of;
	DateADT first;
	DateADT second;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(CohortState));
		state->cells = cohorts_create(context, 1024, NULL);
	}
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	history = PG_GETARG_HISTORY(1);
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	if (FirstPurchases(history, as_of, &first, &second) > 0)
		CountCohort(state, history, first, as_of);
	PG_RETURN_POINTER(state);
}

/* A total in the largest scale seen. */
static Datum
TotalDatum(int128 total, int scale)
{
	return NumericGetDatum(NumericFromInt128(total / PowerOfTen[MAX_SCALE - scale], scale));
}

/* An array of cohort_cell. */
PG_FUNCTION_INFO_V1(cohort_cells_finalfn);
Datum
cohort_cells_finalfn(PG_FUNCTION_ARGS)
{
	CohortState *state = PG_ARGISNULL(0) ? NULL : (CohortState *) PG_GETARG_POINTER(0);
	Oid type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	ArrayBuildState *rows;
	TupleDesc row;
	cohorts_iterator iterator;
	CohortCell *cell;

	(void) AggregateContext(fcinfo, "cohort_cells_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	row = lookup_rowtype_tupdesc_copy(type, -1);
	rows = initArrayResult(type, CurrentMemoryContext, true);
	cohorts_start_iterate(state->cells, &iterator);
	while ((cell = cohorts_iterate(state->cells, &iterator)) != NULL)
	{
		Datum values[7] = {DateADTGetDatum(FirstOfMonth((int32) (cell->key >> 32))),
						   Int32GetDatum((int32) cell->key),
						   Int64GetDatum(cell->buyers),
						   Int64GetDatum(cell->repeaters),
						   Int64GetDatum(cell->orders),
						   TotalDatum(cell->revenue, state->scale),
						   TotalDatum(cell->profit, state->scale)};
		bool nulls[7] = {false, false, false, false, false, false, !cell->costs};

		CHECK_FOR_INTERRUPTS();
		rows = accumArrayResult(rows, HeapTupleGetDatum(heap_form_tuple(row, values, nulls)), false,
								type, CurrentMemoryContext);
	}
	PG_RETURN_DATUM(makeArrayResult(rows, CurrentMemoryContext));
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

/* An array of second_purchase_count. */
PG_FUNCTION_INFO_V1(second_purchases_finalfn);
Datum
second_purchases_finalfn(PG_FUNCTION_ARGS)
{
	SecondPurchases *state = PG_ARGISNULL(0) ? NULL : (SecondPurchases *) PG_GETARG_POINTER(0);
	Oid type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	ArrayBuildState *rows;
	TupleDesc row;

	(void) AggregateContext(fcinfo, "second_purchases_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	row = lookup_rowtype_tupdesc_copy(type, -1);
	rows = initArrayResult(type, CurrentMemoryContext, true);
	for (int days = 0; days <= state->longest; days++)
	{
		Datum values[3] = {Int32GetDatum(days), Int64GetDatum(state->bought[days]),
						   Int64GetDatum(state->waiting[days])};
		bool nulls[3] = {false};

		CHECK_FOR_INTERRUPTS();
		if (state->bought[days] + state->waiting[days] == 0)
			continue;
		rows = accumArrayResult(rows, HeapTupleGetDatum(heap_form_tuple(row, values, nulls)), false,
								type, CurrentMemoryContext);
	}
	PG_RETURN_DATUM(makeArrayResult(rows, CurrentMemoryContext));
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
	MonthOfDay known = {0};
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
		int32 month = MonthNumber(&known, day.day);

		if (day.orders == 0 || month == last)
			continue;
		if (bought++ == 0)
			first = month;
		last = month;
		years[month % MONTHS]++;
	}
	if (bought < FEWEST_YEARS)
		PG_RETURN_NULL();
	CountMonths(first, MonthNumber(&known, as_of), seen);
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
