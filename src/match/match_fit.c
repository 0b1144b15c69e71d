/*
 * match_fit.c: the aggregate match_fit, a match_model from profiles and which of them are targets.
 *
 * The state keeps the rows in order of arrival.  At the end they are sorted by contents only, so
 * the folds of the cross-validation and every sum are the same, to the bit, in whatever order the
 * rows came.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "match/match_model.h"
#include "match/scorecard.h"

#define FEW_TARGETS 50 /* fewer give a warning */
#define MAX_MEMBERS 32 /* members of a set that get points of their own: the most frequent */
#define MAX_FIT_LEVELS PG_UINT16_MAX

/* The rows so far. */
typedef struct MatchFitState
{
	struct varlena *first; /* the first profile, which all others must match */
	ProfileModel *words;   /* given with the first row; or NULL */
	Size row_size;         /* number of bytes of a profile from its codes on */
	int64 nrows;
	int64 room;
	uint8 *rows;
	uint8 *target;
	int64 skipped;
} MatchFitState;

/* ---------- collecting ---------- */

/* Starts the state with the layout of the first profile. */
static void
StartState(MatchFitState *state, Datum profile, FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ProfileView view;

	state->first = PG_DETOAST_DATUM_COPY(profile);
	OpenProfile(&view, PointerGetDatum(state->first));
	state->row_size = (const uint8 *) state->first + VARSIZE(state->first) - view.codes;
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		state->words = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(3));
		CheckProfileOfModel(&view, state->words);
	}
	state->room = 1024;
	state->rows = palloc_extended(mul_size(state->room, state->row_size), MCXT_ALLOC_HUGE);
	state->target = palloc(state->room);
	MemoryContextSwitchTo(caller);
}

/* (state, profile, is_target [, profile_model]) */
PG_FUNCTION_INFO_V1(match_fit_transfn);
Datum
match_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "match_fit");
	MatchFitState *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(MatchFitState))
										   : (MatchFitState *) PG_GETARG_POINTER(0);
	ProfileView first;
	ProfileView view;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		state->skipped++;
		PG_RETURN_POINTER(state);
	}
	if (state->first == NULL)
		StartState(state, PG_GETARG_DATUM(1), fcinfo, context);
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
	PG_RETURN_POINTER(state);
}

/* ---------- rows in an order of their own ---------- */

typedef struct RowPlace
{
	uint64 hash; /* of all bytes; the highest bit says whether it is a target */
	int64 row;
} RowPlace;

#define ST_SORT SortPlaces
#define ST_ELEMENT_TYPE RowPlace
#define ST_COMPARE(a, b) ((a)->hash < (b)->hash ? -1 : (a)->hash > (b)->hash)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Orders the rows by target and hash; rows that tie are equal.  Dealing them out in that order
 * gives folds with similar shares of targets.
 */
static RowPlace *
OrderRows(const MatchFitState *state)
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
	SortPlaces(places, state->nrows);
	return places;
}

/* ---------- features ---------- */

/* What the fit needs besides the features of the scorecard. */
typedef struct FitFeatures
{
	const MatchFitState *state;
	const RowPlace *places;
	ProfileView view; /* layout only */
	int nfeatures;
	int room;
	ScorecardFeature *features;
	MatchFeature *match;
	float **level_low; /* scaled: the smallest number of each level from 1 on */
} FitFeatures;

/* Adds a feature; returns its levels, all missing, to be filled in. */
static uint16 *
AddFeature(FitFeatures *f, int slot, int member)
{
	uint16 *level = palloc_extended(mul_size(f->state->nrows, sizeof(uint16)),
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
	return f->state->rows + f->places[i].row * f->state->row_size;
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
	int64 nrows = f->state->nrows;
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

	for (int64 i = 0; i < f->state->nrows; i++)
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
	int64 nrows = f->state->nrows;
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

/* ---------- the model ---------- */

/*
 * The level that stands out between ranges: the only one whose bin comes after that of the next
 * level.
 */
static int
SpikeLevel(const ScorecardFeature *feature)
{
	for (int level = 1; level + 1 < feature->nlevels; level++)
		if (feature->bin[level] > feature->bin[level + 1])
			return level;
	return -1;
}

/* The ranges of a scaled slot, and the value that stands out. */
static void
KeepRanges(MatchFeature *match, const ScorecardFeature *feature, const float *low)
{
	int spike = SpikeLevel(feature);
	int current = 0;

	match->low = palloc(feature->nbins * sizeof(float));
	for (int level = 1; level < feature->nlevels; level++)
		if (level != spike && feature->bin[level] > current)
		{
			current = feature->bin[level];
			match->low[current - 1] = low[level];
		}
	match->nranges = current;
	if (spike >= 0)
		match->spike = low[spike];
}

static MatchFeature
KeepFeature(const FitFeatures *f, int i)
{
	const ScorecardFeature *feature = &f->features[i];
	MatchFeature match = f->match[i];

	match.nbins = feature->nbins;
	match.p_value = feature->p_value;
	match.bins = palloc(feature->nbins * sizeof(MatchBin));
	for (int b = 0; b < feature->nbins; b++)
		match.bins[b] = (MatchBin){feature->count[b], feature->points[b]};
	if (match.slot < f->view.nscaled)
		KeepRanges(&match, feature, f->level_low[i]);
	else if (match.slot < f->view.nscaled + f->view.ncoded)
	{
		match.ncodes = CODE_MISSING;
		match.codes = palloc(CODE_MISSING);
		for (int code = 0; code < CODE_MISSING; code++)
			match.codes[code] = feature->bin[code + 1];
	}
	return match;
}

/* An error for a single class; with warn, warns of few targets or others. */
static void
CheckTargets(const MatchFitState *state, int64 ntargets, bool warn)
{
	int64 rarer = Min(ntargets, state->nrows - ntargets);

	if (rarer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("match_fit needs targets and others"),
				 errdetail("All " INT64_FORMAT " rows are %s.", state->nrows,
						   ntargets > 0 ? "targets" : "others"),
				 errhint("Give it all customers, with is_target true for the best of them.")));
	if (warn && rarer < FEW_TARGETS)
		ereport(WARNING, (errmsg("match_fit has few %s to learn from: " INT64_FORMAT,
								 ntargets == rarer ? "targets" : "others", rarer),
						  errdetail("With fewer than %d its figures are uncertain.", FEW_TARGETS)));
}

/* Sets targets and folds in the order of the rows; returns the number of targets and others. */
static ClassCount
TakeTargets(const MatchFitState *state, const RowPlace *places, uint8 **target, uint8 **fold)
{
	ClassCount total = {0, 0};

	*target = palloc_extended(state->nrows, MCXT_ALLOC_HUGE);
	*fold = palloc_extended(state->nrows, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < state->nrows; i++)
	{
		(*target)[i] = state->target[places[i].row];
		(*fold)[i] = i % SCORECARD_FOLDS;
		total.targets += (*target)[i];
	}
	total.others = state->nrows - total.targets;
	return total;
}

static void
AddFeatures(FitFeatures *f, ClassCount total)
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
		AddSetFeatures(f, set, MinBinSize(total));
}

/* The informative features, and the layout of profiles. */
static void
KeepModel(MatchModel *model, const FitFeatures *f)
{
	model->features =
		palloc_extended(mul_size(f->nfeatures + 1, sizeof(MatchFeature)), MCXT_ALLOC_HUGE);
	for (int i = 0; i < f->nfeatures; i++)
		if (f->features[i].nbins > 0)
			model->features[model->nfeatures++] = KeepFeature(f, i);
	model->fingerprint = ProfileFingerprint(&f->view);
	model->nscaled = f->view.nscaled;
	model->ncoded = f->view.ncoded;
	model->nsets = f->view.nsets;
	memcpy(model->set_bytes, f->view.set_bytes, f->view.nsets);
	model->skipped = f->state->skipped;
	model->words = f->state->words;
}

/* The model of an aggregate's rows; with warn, WARNINGs say what makes it worth little. */
static Datum
FitMatchModel(FunctionCallInfo fcinfo, bool warn)
{
	MatchFitState *state;
	FitFeatures f = {0};
	MatchModel model = {0};
	ClassCount total;
	uint8 *target;
	uint8 *fold;

	AggregateContext(fcinfo, "match_fit");
	if (PG_ARGISNULL(0) || ((MatchFitState *) PG_GETARG_POINTER(0))->nrows == 0)
		PG_RETURN_NULL();
	state = (MatchFitState *) PG_GETARG_POINTER(0);
	if (state->nrows > PG_UINT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("match_fit takes at most %u rows", PG_UINT32_MAX),
						errhint("Fit on a sample: it tells as much.")));

	f.state = state;
	f.places = OrderRows(state);
	OpenProfile(&f.view, PointerGetDatum(state->first));
	total = TakeTargets(state, f.places, &target, &fold);
	CheckTargets(state, total.targets, warn);
	AddFeatures(&f, total);

	model.card.nrows = state->nrows;
	model.card.ntargets = total.targets;
	model.card.nfeatures = f.nfeatures;
	model.card.features = f.features;
	FitScorecard(&model.card, target, fold);
	if (warn && model.card.shrinkage == 0)
		ereport(WARNING,
				(errmsg("match_fit found nothing that tells targets from others"),
				 errdetail("No card beats the base rate on rows held out: this one is empty, and "
						   "everybody's score is the share of targets.")));
	KeepModel(&model, &f);
	PG_RETURN_POINTER(ModelValue(&MatchModelFormat, &model));
}

PG_FUNCTION_INFO_V1(match_fit_finalfn);
Datum
match_fit_finalfn(PG_FUNCTION_ARGS)
{
	return FitMatchModel(fcinfo, true);
}

PG_FUNCTION_INFO_V1(match_fit_quiet_finalfn);
Datum
match_fit_quiet_finalfn(PG_FUNCTION_ARGS)
{
	return FitMatchModel(fcinfo, false);
}
