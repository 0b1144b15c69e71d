/*
 * fit_rows.c: profiles and which of them are targets, or their values, as aggregates over (profile,
 * is_target or value [, profile_model [, options]]) collect them, and the features that fits see.
 *
 * The state keeps the rows in order of arrival.  At the end they are sorted by contents only, so
 * the folds of a cross-validation and every sum are the same, to the bit, in whatever order the
 * rows came.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/bytes.h"
#include "base/common.h"
#include "match/fit_rows.h"
#include "match/own_bins.h"

#define MAX_MEMBERS 32 /* members of a set that get points of their own: the most frequent */
#define MAX_FIT_LEVELS PG_UINT16_MAX

/* ---------- collecting ---------- */

/* The layout of the first profile, and what came with it. */
static void
StartState(FitRows *state, Datum profile, Datum model, Datum options)
{
	ProfileView view;

	state->first = PG_DETOAST_DATUM_COPY(profile);
	OpenProfile(&view, PointerGetDatum(state->first));
	state->row_size = (const uint8 *) state->first + VARSIZE(state->first) - view.codes;
	if (model != (Datum) 0)
	{
		state->model = PG_DETOAST_DATUM_COPY(model);
		state->words = ModelFromDatum(&ProfileModelFormat, PointerGetDatum(state->model));
		CheckProfileOfModel(&view, state->words);
	}
	if (options != (Datum) 0)
		state->options = PG_DETOAST_DATUM_COPY(options);
}

static void *
GrownTo(void *array, Size bytes)
{
	return array == NULL ? palloc_extended(bytes, MCXT_ALLOC_HUGE) : repalloc_huge(array, bytes);
}

/* Room for `more` rows, in the current memory context. */
static void
Reserve(FitRows *state, int64 more)
{
	int64 room = Max(state->room, 1024);

	while (room < state->nrows + more)
		room *= 2;
	if (room == state->room)
		return;
	state->rows = GrownTo(state->rows, mul_size(room, state->row_size));
	state->target = GrownTo(state->target, room);
	if (state->with_value)
		state->value = GrownTo(state->value, mul_size(room, sizeof(double)));
	state->room = room;
}

static Datum
OptionalArgument(FunctionCallInfo fcinfo, int argument)
{
	return PG_NARGS() > argument && !PG_ARGISNULL(argument) ? PG_GETARG_DATUM(argument) : (Datum) 0;
}

void
AddFitRow(FitRows *state, FunctionCallInfo fcinfo, FitTarget target, int words,
		  MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ProfileView first;
	ProfileView view;

	if (state->first == NULL)
		StartState(state, PG_GETARG_DATUM(1), OptionalArgument(fcinfo, words),
				   OptionalArgument(fcinfo, words + 1));
	Reserve(state, 1);
	MemoryContextSwitchTo(caller);
	OpenProfile(&view, PG_GETARG_DATUM(1));
	OpenProfile(&first, PointerGetDatum(state->first));
	CheckSameModel(&first, &view);
	memcpy(state->rows + state->nrows * state->row_size, view.codes, state->row_size);
	if (state->with_value)
		state->value[state->nrows] = target.value;
	state->target[state->nrows++] = target.is_target;
}

static Datum
AddMatchRow(FunctionCallInfo fcinfo, bool with_value)
{
	MemoryContext context = AggregateContext(fcinfo, "match_fit");
	FitRows *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(FitRows))
									 : (FitRows *) PG_GETARG_POINTER(0);
	FitTarget target = {0};

	state->with_value = with_value;
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		state->skipped++;
		PG_RETURN_POINTER(state);
	}
	if (!with_value)
		target.is_target = PG_GETARG_BOOL(2);
	else if (!isfinite(target.value = PG_GETARG_FLOAT8(2)))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("a value must be finite, not %g", target.value)));
	AddFitRow(state, fcinfo, target, 3, context);
	PG_RETURN_POINTER(state);
}

/* (state, profile, is_target [, profile_model [, options]]) */
PG_FUNCTION_INFO_V1(match_fit_transfn);
Datum
match_fit_transfn(PG_FUNCTION_ARGS)
{
	return AddMatchRow(fcinfo, false);
}

/* (state, profile, value [, profile_model [, options]]) */
PG_FUNCTION_INFO_V1(match_fit_transfn_value);
Datum
match_fit_transfn_value(PG_FUNCTION_ARGS)
{
	return AddMatchRow(fcinfo, true);
}

/* ---------- states of several processes ---------- */

/* Adds the rows of another state; what they stand in may go away. */
static void
AppendRows(FitRows *state, const FitRows *other)
{
	state->with_value = other->with_value;
	state->skipped += other->skipped;
	if (other->first == NULL)
		return;
	if (state->first == NULL)
		StartState(state, PointerGetDatum(other->first), PointerGetDatum(other->model),
				   PointerGetDatum(other->options));
	else
	{
		ProfileView first;
		ProfileView view;

		OpenProfile(&first, PointerGetDatum(state->first));
		OpenProfile(&view, PointerGetDatum(other->first));
		CheckSameModel(&first, &view);
	}
	Reserve(state, other->nrows);
	memcpy(state->rows + state->nrows * state->row_size, other->rows,
		   other->nrows * state->row_size);
	memcpy(state->target + state->nrows, other->target, other->nrows);
	if (state->with_value)
		memcpy(state->value + state->nrows, other->value, other->nrows * sizeof(double));
	state->nrows += other->nrows;
}

PG_FUNCTION_INFO_V1(match_fit_combine);
Datum
match_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext caller = MemoryContextSwitchTo(AggregateContext(fcinfo, "match_fit_combine"));
	FitRows *state = PG_ARGISNULL(0) ? palloc0(sizeof(FitRows)) : (FitRows *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(1))
		AppendRows(state, (const FitRows *) PG_GETARG_POINTER(1));
	MemoryContextSwitchTo(caller);
	PG_RETURN_POINTER(state);
}

/* A value with its header, or a length of 0 for none. */
static void
SendValue(StringInfo out, const struct varlena *value)
{
	int length = value == NULL ? 0 : (int) VARSIZE(value);

	pq_sendint32(out, length);
	SendBytes(out, value, length);
}

static struct varlena *
ReceiveValue(StringInfo in)
{
	int length = (int) pq_getmsgint(in, 4);
	struct varlena *value;

	if (length == 0)
		return NULL;
	value = palloc(length);
	memcpy(value, pq_getmsgbytes(in, length), length);
	return value;
}

void
CheckHandedOver(Size bytes, int64 nrows)
{
	if (bytes > MaxAllocSize / 10 * 9)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a parallel worker has too many rows to hand over: " INT64_FORMAT, nrows),
				 errhint("Fit on a sample: it tells as much.  Or set "
						 "max_parallel_workers_per_gather to 0.")));
}

PG_FUNCTION_INFO_V1(match_fit_serialize);
Datum
match_fit_serialize(PG_FUNCTION_ARGS)
{
	const FitRows *state = (const FitRows *) PG_GETARG_POINTER(0);
	Size bytes = add_size(mul_size(state->nrows, state->row_size),
						  mul_size(state->nrows, 1 + state->with_value * sizeof(double)));
	StringInfoData out;

	(void) AggregateContext(fcinfo, "match_fit_serialize");
	CheckHandedOver(bytes, state->nrows);
	pq_begintypsend(&out);
	enlargeStringInfo(&out, bytes);
	pq_sendbyte(&out, state->with_value);
	pq_sendint64(&out, state->skipped);
	pq_sendint64(&out, state->nrows);
	SendValue(&out, state->first);
	SendValue(&out, state->model);
	SendValue(&out, state->options);
	SendBytes(&out, state->rows, state->nrows * state->row_size);
	SendBytes(&out, state->target, state->nrows);
	/* the same machine reads them */
	if (state->with_value)
		SendBytes(&out, state->value, state->nrows * sizeof(double));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(match_fit_deserialize);
Datum
match_fit_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	FitRows *state = palloc0(sizeof(FitRows));
	StringInfoData in = {.data = VARDATA_ANY(bytes), .len = VARSIZE_ANY_EXHDR(bytes)};

	(void) AggregateContext(fcinfo, "match_fit_deserialize");
	state->with_value = pq_getmsgbyte(&in);
	state->skipped = pq_getmsgint64(&in);
	state->nrows = pq_getmsgint64(&in);
	state->first = ReceiveValue(&in);
	state->model = ReceiveValue(&in);
	state->options = ReceiveValue(&in);
	if (state->first != NULL)
	{
		ProfileView view;

		OpenProfile(&view, PointerGetDatum(state->first));
		state->row_size = (const uint8 *) state->first + VARSIZE(state->first) - view.codes;
	}
	state->rows = (uint8 *) pq_getmsgbytes(&in, state->nrows * state->row_size);
	state->target = (uint8 *) pq_getmsgbytes(&in, state->nrows);
	if (state->with_value && state->nrows > 0)
	{
		state->value = palloc(state->nrows * sizeof(double));
		memcpy(state->value, pq_getmsgbytes(&in, state->nrows * sizeof(double)),
			   state->nrows * sizeof(double));
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---------- rows in an order of their own ---------- */

#define ST_SORT SortRowPlaces
#define ST_ELEMENT_TYPE RowPlace
#define ST_COMPARE(a, b)                                                                           \
	((a)->value != (b)->value ? ((a)->value < (b)->value ? -1 : 1)                                 \
							  : ((a)->hash < (b)->hash ? -1 : (a)->hash > (b)->hash))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Orders the rows by target or value, and hash; rows that tie are equal.  Dealing them out in that
 * order gives folds with similar shares of targets, or values.
 */
static RowPlace *
OrderRows(const FitRows *state)
{
	RowPlace *places = palloc_extended(mul_size(state->nrows, sizeof(RowPlace)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < state->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		places[i].value = state->with_value ? state->value[i] : state->target[i];
		places[i].hash = FastStableHash64(state->rows + i * state->row_size, state->row_size);
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

/* ---------- bins that the options give ---------- */

static bool
CanHaveOwnBins(const char *name, const void *model)
{
	const ProfileAttribute *att = FindAttribute((const ProfileModel *) model, name);

	return att != NULL && att->kind != KIND_SET;
}

/* The rank of a word of an ordinal attribute; nobody can have another word. */
static int
RankOfWord(const ProfileAttribute *att, Word word)
{
	int rank = LookUpWord(&att->codes, word, HashWord(word));
	StringInfoData known;

	if (rank >= 0)
		return rank;
	initStringInfo(&known);
	for (int i = 0; i < att->nvalues; i++)
		appendStringInfo(&known, "%s\"%s\"", i > 0 ? ", " : "", att->values[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the ordinal attribute \"%s\" has no word \"%s\"", att->name, ShortWord(word)),
			 errdetail("Its words are %s.", known.data)));
}

/* A number as profiles keep it; of an ordinal attribute the rank of the word. */
static void
TakeAsStored(const ProfileAttribute *att, OwnValue *values, int n)
{
	for (int i = 0; i < n; i++)
		values[i].number = att->kind == KIND_ORDINAL
							   ? RankOfWord(att, values[i].word)
							   : Max(Min((float) values[i].number, FLT_MAX), -FLT_MAX) + 0.0f;
}

/* The bins given for the attribute of a slot; NULL if there are none. */
static OwnBins *
OwnBinsOf(const FitFeatures *f, int slot)
{
	const ProfileModel *words = f->rows->words;
	const ProfileAttribute *att;
	OwnBins *own;
	OwnKind kind;

	if (f->rows->options == NULL)
		return NULL;
	att = &words->atts[words->slot_att[slot]];
	kind = att->kind == KIND_NUMERIC ? OWN_NUMBERS : att->kind == KIND_DATE ? OWN_DAYS : OWN_WORDS;
	own = ReadOwnBins((Jsonb *) f->rows->options, att->name, kind, IsScaled(att->kind));
	if (own == NULL || !IsScaled(att->kind))
		return own;
	TakeAsStored(att, own->special, own->nspecial);
	TakeAsStored(att, own->breaks, own->nbreaks);
	for (int i = 1; i < own->nbreaks; i++)
		if (own->breaks[i].number <= own->breaks[i - 1].number)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("breaks of \"%s\" must rise", att->name),
							errdetail("Profiles keep numbers with seven digits, and ordinal values "
									  "by their rank.")));
	return own;
}

static OwnLevels *
NewOwnLevels(const OwnBins *own, int nlevels, int nfixed)
{
	OwnLevels *levels = palloc0(sizeof(OwnLevels));

	levels->nalone = own->nspecial;
	levels->nfixed = nfixed;
	levels->alone = palloc0(nlevels);
	levels->fixed = palloc0(nlevels);
	return levels;
}

/* Levels in order, and the smallest number of each. */
static OwnLevels *
OwnRanges(const OwnBins *own, const float *low, int nlevels)
{
	OwnLevels *levels = NewOwnLevels(own, nlevels, own->nbreaks > 0 ? own->nbreaks + 1 : 0);

	levels->value = palloc(own->nspecial * sizeof(float) + 1);
	levels->low = palloc((own->nbreaks + 1) * sizeof(float));
	for (int level = 1; level < nlevels; level++)
	{
		levels->alone[level] = SpecialNumber(own, low[level]);
		levels->fixed[level] = RangeOfNumber(own, low[level]);
	}
	for (int i = 0; i < own->nspecial; i++)
		levels->value[i] = own->special[i].number;
	for (int i = 0; i < own->nbreaks; i++)
		levels->low[i + 1] = own->breaks[i].number;
	/* nobody need be below the first border */
	if (own->nbreaks > 0)
		levels->low[0] = nextafterf(levels->low[1], -INFINITY);
	return levels;
}

/* Levels of words. */
static OwnLevels *
OwnGroups(const OwnBins *own, const ProfileAttribute *att, int nlevels)
{
	OwnLevels *levels = NewOwnLevels(own, nlevels, own->nbreaks > 0 ? own->ngroups + 1 : 0);

	for (int code = 0; code + 1 < nlevels; code++)
	{
		Word word = {"", 0};

		if (code < att->nvalues)
			word = (Word){att->values[code], strlen(att->values[code])};
		levels->alone[code + 1] = code < att->nvalues ? SpecialWord(own, word) : 0;
		levels->fixed[code + 1] = code < att->nvalues ? GroupOfWord(own, word) : own->ngroups;
	}
	return levels;
}

/* ---------- numbers ---------- */

/* Whether two neighbours must not share a level. */
static bool
AreApart(const OwnBins *own, double a, double b)
{
	return own != NULL && (SpecialNumber(own, a) > 0 || SpecialNumber(own, b) > 0 ||
						   RangeOfNumber(own, a) != RangeOfNumber(own, b));
}

/* The distinct numbers of a slot; if there are more than codes, neighbours share one. */
static void
AddScaledFeature(FitFeatures *f, int slot)
{
	int64 nrows = f->rows->nrows;
	NumberPlace *numbers = palloc_extended(mul_size(nrows, sizeof(NumberPlace)), MCXT_ALLOC_HUGE);
	uint16 *level = AddFeature(f, slot, 0);
	ScorecardFeature *feature = &f->features[f->nfeatures - 1];
	OwnBins *own = OwnBinsOf(f, slot);
	float *low;
	int64 n = 0;
	int64 distinct = 0;
	int64 shares;
	int64 rank = -1;
	int64 last_share = -1;
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
	shares = Min(distinct, MAX_FIT_LEVELS - 1 - (own == NULL ? 0 : MAX_BREAKS + 2 * MAX_ALONE));
	low = palloc((Min(distinct, MAX_FIT_LEVELS) + 1) * sizeof(float));
	for (int64 i = 0; i < n; i++)
	{
		if (i == 0 || numbers[i].number != numbers[i - 1].number)
		{
			int64 share = ++rank * shares / distinct;

			if (share != last_share || AreApart(own, numbers[i - 1].number, numbers[i].number))
				low[++last] = numbers[i].number;
			last_share = share;
		}
		level[numbers[i].row] = (uint16) last;
	}
	feature->ordered = true;
	feature->nlevels = last + 1;
	if (own != NULL)
		feature->own = OwnRanges(own, low, last + 1);
	f->level_low[f->nfeatures - 1] = low;
	pfree(numbers);
}

static void
AddCodedFeature(FitFeatures *f, int slot)
{
	uint16 *level = AddFeature(f, slot, 0);
	ScorecardFeature *feature = &f->features[f->nfeatures - 1];
	OwnBins *own = OwnBinsOf(f, slot);

	for (int64 i = 0; i < f->rows->nrows; i++)
	{
		uint8 code = RowBytes(f, i)[slot];

		level[i] = code == CODE_MISSING ? MISSING_LEVEL : code + 1;
	}
	feature->nlevels = CODE_MISSING + 1;
	if (own != NULL)
		feature->own =
			OwnGroups(own, &f->rows->words->atts[f->rows->words->slot_att[slot]], feature->nlevels);
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
	if (f->rows->options != NULL)
	{
		if (f->rows->words == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("match_fit needs the profile_model to know the attributes of its "
							"options")));
		CheckBinOptions((Jsonb *) f->rows->options, "match_fit", NULL, CanHaveOwnBins,
						f->rows->words);
	}
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
		AddSetFeatures(f, set, f->min_size);
	f->features =
		repalloc(f->features, (f->nfeatures + SCORECARD_PAIRS) * sizeof(ScorecardFeature));
}

/* Targets or values, and folds, in the order of the places. */
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
	f->min_size = MinBinSize(TallyOf(f->total), &f->outcome);
}

/* Values less their mean, in standard deviations. */
static void
TakeValues(FitFeatures *f)
{
	int64 n = f->rows->nrows;
	ValueScale scale;

	f->value = palloc_extended(mul_size(n, sizeof(double)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < n; i++)
		f->value[i] = f->places[i].value;
	scale = ScaleValues(f->value, n);
	f->equal = scale.equal;
	f->mean = scale.mean;
	f->deviation = scale.deviation;
	f->outcome = (Outcome){.is_value = true, .kurtosis = scale.kurtosis};
	f->min_size = MinBinSize((Tally){.rows = n}, &f->outcome);
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
	if (rows->with_value)
		TakeValues(f);
	AddFitFeatures(f);
}
