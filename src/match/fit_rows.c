/*
 * fit_rows.c: profiles and which of them are targets, as aggregates over (profile, is_target
 * [, profile_model]) collect them, and the features that fits see.
 *
 * The state keeps the rows in order of arrival.  At the end they are sorted by contents only, so
 * the folds of a cross-validation and every sum are the same, to the bit, in whatever order the
 * rows came.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "match/fit_rows.h"

#define MAX_MEMBERS 32 /* members of a set that get points of their own: the most frequent */
#define MAX_FIT_LEVELS PG_UINT16_MAX

/* ---------- collecting ---------- */

/* Starts the state with the layout of the first profile. */
static void
StartState(FitRows *state, Datum profile, FunctionCallInfo fcinfo, int words, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ProfileView view;

	state->first = PG_DETOAST_DATUM_COPY(profile);
	OpenProfile(&view, PointerGetDatum(state->first));
	state->row_size = (const uint8 *) state->first + VARSIZE(state->first) - view.codes;
	if (PG_NARGS() > words && !PG_ARGISNULL(words))
	{
		state->words = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(words));
		CheckProfileOfModel(&view, state->words);
	}
	state->room = 1024;
	state->rows = palloc_extended(mul_size(state->room, state->row_size), MCXT_ALLOC_HUGE);
	state->target = palloc(state->room);
	MemoryContextSwitchTo(caller);
}

void
AddFitRow(FitRows *state, FunctionCallInfo fcinfo, int words, MemoryContext context)
{
	ProfileView first;
	ProfileView view;

	if (state->first == NULL)
		StartState(state, PG_GETARG_DATUM(1), fcinfo, words, context);
	OpenProfile(&view, PG_GETARG_DATUM(1));
	OpenProfile(&first, PointerGetDatum(state->first));
	CheckSameModel(&first, &view);
	if (state->nrows == state->room)
	{
		state->room *= 2;
		state->rows = repalloc_huge(state->rows, mul_size(state->room, state->row_size));
		state->target = repalloc_huge(state->target, state->room);
	}
	memcpy(state->rows + state->nrows * state->row_size, view.codes, state->row_size);
	state->target[state->nrows++] = PG_GETARG_BOOL(2);
}

/* (state, profile, is_target [, profile_model]) */
PG_FUNCTION_INFO_V1(match_fit_transfn);
Datum
match_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "match_fit");
	FitRows *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(FitRows))
									 : (FitRows *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		state->skipped++;
	else
		AddFitRow(state, fcinfo, 3, context);
	PG_RETURN_POINTER(state);
}

/* ---------- rows in an order of their own ---------- */

#define ST_SORT SortRowPlaces
#define ST_ELEMENT_TYPE RowPlace
#define ST_COMPARE(a, b) ((a)->hash < (b)->hash ? -1 : (a)->hash > (b)->hash)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Orders the rows by target and hash; rows that tie are equal.  Dealing them out in that order
 * gives folds with similar shares of targets.
 */
static RowPlace *
OrderRows(const FitRows *state)
{
	RowPlace *places = palloc_extended(mul_size(state->nrows, sizeof(RowPlace)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < state->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		places[i].hash = FastStableHash64(state->rows + i * state->row_size, state->row_size) >> 1;
		if (state->target[i])
			places[i].hash |= (uint64) PG_INT64_MIN;
		places[i].row = i;
	}
	SortRowPlaces(places, state->nrows);
	return places;
}

/* ---------- features ---------- */

/* Adds a feature; returns its levels, all missing, to be filled in. */
static uint16 *
AddFeature(FitFeatures *f, int slot, int member)
{
	uint16 *level = palloc_extended(mul_size(f->rows->nrows, sizeof(uint16)),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	if (f->nfeatures == f->room)
	{
		f->room *= 2;
		f->features = repalloc(f->features, f->room * sizeof(ScorecardFeature));
		f->match = repalloc_huge(f->match, f->room * sizeof(MatchFeature));
		f->level_low = repalloc(f->level_low, f->room * sizeof(float *));
	}
	memset(&f->features[f->nfeatures], 0, sizeof(ScorecardFeature));
	memset(&f->match[f->nfeatures], 0, sizeof(MatchFeature));
	f->features[f->nfeatures].level = level;
	f->match[f->nfeatures].slot = slot;
	f->match[f->nfeatures].member = member;
	f->level_low[f->nfeatures++] = NULL;
	return level;
}

static inline const uint8 *
RowBytes(const FitFeatures *f, int64 i)
{
	return f->rows->rows + f->places[i].row * f->rows->row_size;
}

/* A number and the row it is from. */
typedef struct NumberPlace
{
	float number;
	uint32 row;
} NumberPlace;

#define ST_SORT SortNumbers
#define ST_ELEMENT_TYPE NumberPlace
#define ST_COMPARE(a, b) ((a)->number < (b)->number ? -1 : (a)->number > (b)->number)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The distinct numbers of a slot; if there are more than codes, neighbours share one. */
static void
AddScaledFeature(FitFeatures *f, int slot)
{
	int64 nrows = f->rows->nrows;
	NumberPlace *numbers = palloc_extended(mul_size(nrows, sizeof(NumberPlace)), MCXT_ALLOC_HUGE);
	uint16 *level = AddFeature(f, slot, 0);
	ScorecardFeature *feature = &f->features[f->nfeatures - 1];
	float *low;
	int64 n = 0;
	int64 distinct = 0;
	int64 rank = -1;
	int last = 0;

	for (int64 i = 0; i < nrows; i++)
	{
		ProfileView view = f->view;

		CHECK_FOR_INTERRUPTS();
		view.codes = RowBytes(f, i);
		view.numbers = view.codes + (f->view.numbers - f->view.codes);
		if (!SlotIsMissing(&view, slot))
			numbers[n++] = (NumberPlace){SlotNumber(&view, slot), (uint32) i};
	}
	SortNumbers(numbers, n);
	for (int64 i = 0; i < n; i++)
		distinct += i == 0 || numbers[i].number != numbers[i - 1].number;
	low = palloc((Min(distinct, MAX_FIT_LEVELS) + 1) * sizeof(float));
	for (int64 i = 0; i < n; i++)
	{
		if (i == 0 || numbers[i].number != numbers[i - 1].number)
		{
			int code;

			rank++;
			code = distinct < MAX_FIT_LEVELS ? (int) rank + 1
											 : (int) (rank * (MAX_FIT_LEVELS - 1) / distinct) + 1;
			if (code != last)
				low[code] = numbers[i].number;
			last = code;
		}
		level[numbers[i].row] = (uint16) last;
	}
	feature->ordered = true;
	feature->nlevels = last + 1;
	f->level_low[f->nfeatures - 1] = low;
	pfree(numbers);
}

static void
AddCodedFeature(FitFeatures *f, int slot)
{
	uint16 *level = AddFeature(f, slot, 0);

	for (int64 i = 0; i < f->rows->nrows; i++)
	{
		uint8 code = RowBytes(f, i)[slot];

		level[i] = code == CODE_MISSING ? MISSING_LEVEL : code + 1;
	}
	f->features[f->nfeatures - 1].nlevels = CODE_MISSING + 1;
}

typedef struct MemberCount
{
	int64 rows;
	int member;
} MemberCount;

static int
CompareMembers(const void *a, const void *b)
{
	const MemberCount *x = a;
	const MemberCount *y = b;

	if (x->rows != y->rows)
		return x->rows > y->rows ? -1 : 1;
	return x->member - y->member;
}

static int
CompareMemberNumbers(const void *a, const void *b)
{
	return ((const MemberCount *) a)->member - ((const MemberCount *) b)->member;
}

/* A feature for each member of a set that enough rows have and enough rows lack. */
static void
AddSetFeatures(FitFeatures *f, int set, double min_size)
{
	int slot = f->view.nscaled + f->view.ncoded + set;
	int bits = f->view.set_bytes[set] * 8;
	Size offset = SetBitmap(&f->view, set) - f->view.codes;
	int64 nrows = f->rows->nrows;
	MemberCount counts[MAX_SET_BYTES * 8];
	int64 present = 0;
	int n = 0;

	for (int bit = 0; bit < bits; bit++)
		counts[bit] = (MemberCount){0, bit};
	for (int64 i = 0; i < nrows; i++)
	{
		const uint8 *row = RowBytes(f, i);

		CHECK_FOR_INTERRUPTS();
		if (row[slot] == CODE_MISSING)
			continue;
		present++;
		for (int bit = 0; bit < bits; bit++)
			counts[bit].rows += BitmapHas(row + offset, bit);
	}
	for (int bit = 0; bit < bits; bit++)
		if (counts[bit].rows >= min_size && present - counts[bit].rows >= min_size)
			counts[n++] = counts[bit];
	qsort(counts, n, sizeof(MemberCount), CompareMembers);
	n = Min(n, MAX_MEMBERS);
	qsort(counts, n, sizeof(MemberCount), CompareMemberNumbers);
	for (int k = 0; k < n; k++)
	{
		uint16 *level = AddFeature(f, slot, counts[k].member);

		CHECK_FOR_INTERRUPTS();
		for (int64 i = 0; i < nrows; i++)
		{
			const uint8 *row = RowBytes(f, i);

			level[i] = row[slot] == CODE_MISSING ? MISSING_LEVEL
												 : 1 + BitmapHas(row + offset, counts[k].member);
		}
		f->features[f->nfeatures - 1].ordered = true;
		f->features[f->nfeatures - 1].nlevels = 3;
	}
}

void
AddFitFeatures(FitFeatures *f)
{
	f->room = 64;
	f->features = palloc(f->room * sizeof(ScorecardFeature));
	f->match = palloc(f->room * sizeof(MatchFeature));
	f->level_low = palloc(f->room * sizeof(float *));
	for (int slot = 0; slot < f->view.nscaled + f->view.ncoded; slot++)
	{
		CHECK_FOR_INTERRUPTS();
		if (slot < f->view.nscaled)
			AddScaledFeature(f, slot);
		else
			AddCodedFeature(f, slot);
	}
	for (int set = 0; set < f->view.nsets; set++)
		AddSetFeatures(f, set, MinBinSize(f->total));
	f->features =
		repalloc(f->features, (f->nfeatures + SCORECARD_PAIRS) * sizeof(ScorecardFeature));
}

/* Targets and folds in the order of the places. */
static void
TakeTargets(FitFeatures *f)
{
	const FitRows *rows = f->rows;

	f->target = palloc_extended(rows->nrows, MCXT_ALLOC_HUGE);
	f->fold = palloc_extended(rows->nrows, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < rows->nrows; i++)
	{
		f->target[i] = rows->target[f->places[i].row];
		f->fold[i] = i % SCORECARD_FOLDS;
		f->total.targets += f->target[i];
	}
	f->total.others = rows->nrows - f->total.targets;
}

void
MakeFitFeatures(FitFeatures *f, const FitRows *rows)
{
	memset(f, 0, sizeof(FitFeatures));
	if (rows->nrows > PG_UINT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("match_fit takes at most %u rows", PG_UINT32_MAX),
						errhint("Fit on a sample: it tells as much.")));
	f->rows = rows;
	f->places = OrderRows(rows);
	OpenProfile(&f->view, PointerGetDatum(rows->first));
	TakeTargets(f);
	AddFitFeatures(f);
}
