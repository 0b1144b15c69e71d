/*
 * segment_scheme.c: the type segment_scheme, a compiled scheme, and the
 * segments of scores.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "rfm/segment_scheme.h"

/* ---------- the type ---------- */

static const char *const LifecycleWords[] = {
	[LIFECYCLE_NEW] = "new",           [LIFECYCLE_ACTIVE] = "active",
	[LIFECYCLE_WON_BACK] = "won back", [LIFECYCLE_LAPSING] = "lapsing",
	[LIFECYCLE_INACTIVE] = "inactive", NULL};

static const ModelField SegmentFields[] = {
	MODEL_FIELD(SchemeSegment, "segment", name, FIELD_TEXT),
	MODEL_LIST(SchemeSegment, "cells", cells, ncells, FIELD_INT, MAX_CELLS),
	MODEL_LIST(SchemeSegment, "lifecycle", lifecycles, nlifecycles, FIELD_WORD, LIFECYCLES,
			   .in_place = true, .words = LifecycleWords),
};
static const ModelGroup SegmentGroup = {
	.size = sizeof(SchemeSegment), .nfields = lengthof(SegmentFields), .fields = SegmentFields};

static const ModelField ConditionFields[] = {
	MODEL_FIELD(SchemeCondition, "condition", condition, FIELD_TEXT),
	MODEL_FIELD(SchemeCondition, "position", segment, FIELD_INT),
	MODEL_LIST(SchemeCondition, "cells", cells, ncells, FIELD_INT, MAX_CELLS),
};
static const ModelGroup ConditionGroup = {.size = sizeof(SchemeCondition),
										  .nfields = lengthof(ConditionFields),
										  .fields = ConditionFields};

static const ModelField Fields[] = {
	MODEL_FIELD(SegmentScheme, "bins", bins, FIELD_INT),
	MODEL_LIST(SegmentScheme, "segments", segments, nsegments, FIELD_GROUP, MAX_LABELS,
			   .group = &SegmentGroup),
	MODEL_LIST(SegmentScheme, "conditions", conditions, nconditions, FIELD_GROUP, MAX_CONDITIONS,
			   .group = &ConditionGroup),
};

/* The cell of three digits, -1 if they are not from 1 to bins. */
static int
CellFromDigits(int digits, int bins)
{
	char *text = psprintf("%d", digits);

	return CellFromText(text, strlen(text), bins);
}

static int
CompareCells(const void *a, const void *b)
{
	return *(const int32 *) b - *(const int32 *) a;
}

/* The lifecycles that a segment applies to. */
static uint8
LifecycleBits(const SchemeSegment *segment)
{
	uint8 bits = segment->nlifecycles == 0 ? ALL_LIFECYCLES : 0;

	for (int i = 0; i < segment->nlifecycles; i++)
		bits |= 1 << segment->lifecycles[i];
	return bits;
}

Datum
LifecycleText(Lifecycle lifecycle)
{
	static text *kept[LIFECYCLES];

	return ConstantText(&kept[lifecycle], LifecycleWords[lifecycle]);
}

int
LifecycleFromText(const text *word)
{
	return WordNumber(LifecycleWords, VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word));
}

static int
CompareLifecycles(const void *a, const void *b)
{
	return *(const int32 *) a - *(const int32 *) b;
}

/* Puts the best cells of each segment first; drops lifecycles if a segment applies to all. */
static void
TidyScheme(void *data)
{
	SegmentScheme *scheme = data;

	for (int i = 0; i < scheme->nsegments; i++)
	{
		SchemeSegment *segment = &scheme->segments[i];

		qsort(segment->cells, segment->ncells, sizeof(int32), CompareCells);
		qsort(segment->lifecycles, segment->nlifecycles, sizeof(int32), CompareLifecycles);
		if (LifecycleBits(segment) == ALL_LIFECYCLES && segment->nlifecycles == LIFECYCLES)
			segment->nlifecycles = 0;
	}
	for (int i = 0; i < scheme->nconditions; i++)
		qsort(scheme->conditions[i].cells, scheme->conditions[i].ncells, sizeof(int32),
			  CompareCells);
}

/* What is wrong with a condition of a scheme, as a sentence; NULL if nothing. */
static const char *
ConditionFault(const SegmentScheme *scheme, const SchemeCondition *condition)
{
	if (condition->condition[0] == '\0')
		return "A condition is empty.";
	if (condition->segment < 1 || condition->segment > scheme->nsegments)
		return psprintf("The position of a condition must be from 1 to %d, not %d.",
						scheme->nsegments, condition->segment);
	for (int j = 0; j < condition->ncells; j++)
	{
		if (CellFromDigits(condition->cells[j], scheme->bins) < 0)
			return psprintf("A cell is three digits from 1 to %d, not %d.", scheme->bins,
							condition->cells[j]);
		if (j > 0 && condition->cells[j - 1] == condition->cells[j])
			return psprintf("Cell %d is listed twice.", condition->cells[j]);
	}
	return NULL;
}

static const char *
SchemeFault(const void *data)
{
	const SegmentScheme *scheme = data;
	bool taken[MAX_CELLS] = {false};

	if (scheme->bins < MIN_BINS || scheme->bins > MAX_BINS)
		return psprintf("The number of bins must be between %d and %d, not %d.", MIN_BINS, MAX_BINS,
						scheme->bins);
	if (scheme->nsegments < 1)
		return "It has no segments.";
	for (int i = 0; i < scheme->nsegments; i++)
	{
		const SchemeSegment *segment = &scheme->segments[i];

		if (segment->name[0] == '\0')
			return "A segment has no name.";
		for (int j = 0; j < i; j++)
			if (strcmp(segment->name, scheme->segments[j].name) == 0)
				return psprintf("Two segments have the name \"%s\".", segment->name);
		for (int j = 1; j < segment->nlifecycles; j++)
			if (segment->lifecycles[j - 1] == segment->lifecycles[j])
				return psprintf("Segment \"%s\" names the lifecycle \"%s\" twice.", segment->name,
								LifecycleWords[segment->lifecycles[j]]);
		for (int j = 0; j < segment->ncells; j++)
		{
			int cell = CellFromDigits(segment->cells[j], scheme->bins);

			if (cell < 0)
				return psprintf("A cell is three digits from 1 to %d, not %d.", scheme->bins,
								segment->cells[j]);
			if (taken[cell])
				return psprintf("Cell %d is listed twice.", segment->cells[j]);
			taken[cell] = true;
		}
	}
	for (int i = 0; i < scheme->nconditions; i++)
	{
		const char *fault = ConditionFault(scheme, &scheme->conditions[i]);

		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* Notes the cells of each condition. */
static void
CompleteConditions(SegmentScheme *scheme)
{
	int ncells = CellCount(scheme->bins);

	scheme->covers = palloc0(scheme->nconditions * ncells * sizeof(bool));
	for (int i = 0; i < scheme->nconditions; i++)
	{
		const SchemeCondition *condition = &scheme->conditions[i];
		bool *covers = &scheme->covers[i * ncells];

		if (condition->ncells == 0)
			memset(covers, true, ncells);
		for (int j = 0; j < condition->ncells; j++)
			covers[CellFromDigits(condition->cells[j], scheme->bins)] = true;
	}
}

static void
CompleteScheme(void *data, uint64 fingerprint)
{
	SegmentScheme *scheme = data;

	memset(scheme->cells, 0, sizeof(scheme->cells));
	scheme->labels = palloc(scheme->nsegments * sizeof(text *));
	scheme->lifecycles = palloc(scheme->nsegments);
	scheme->corrected = NULL;
	for (int i = 0; i < scheme->nsegments; i++)
	{
		const SchemeSegment *segment = &scheme->segments[i];

		scheme->labels[i] = cstring_to_text(segment->name);
		scheme->lifecycles[i] = LifecycleBits(segment);
		if (segment->nlifecycles > 0 && scheme->corrected == NULL)
		{
			scheme->corrected = palloc0(LIFECYCLES * CellCount(scheme->bins));
			scheme->settled = palloc0(CellCount(scheme->bins) * sizeof(int16));
		}
		for (int j = 0; j < segment->ncells; j++)
			scheme->cells[CellFromDigits(segment->cells[j], scheme->bins)] = (uint8) (i + 1);
	}
	CompleteConditions(scheme);
}

const ModelFormat SegmentSchemeFormat = {
	.type = "segment_scheme",
	.version = 1,
	.max_bytes = 4000, /* fits on a page beside other columns, and is never toasted */
	.group = {.size = sizeof(SegmentScheme), .nfields = lengthof(Fields), .fields = Fields},
	.tidy = TidyScheme,
	.fault = SchemeFault,
	.complete = CompleteScheme,
	.example =
		"{\"bins\": 5, \"segments\": [{\"segment\": \"Champions\", \"cells\": [555, 554]}, …]}",
};

MODEL_IO(segment_scheme, SegmentSchemeFormat)

struct varlena *
SchemeValue(SegmentScheme *scheme)
{
	for (int i = 0; i < scheme->nsegments; i++)
		scheme->segments[i].cells = palloc(CellCount(scheme->bins) * sizeof(int32));
	for (int cell = 0; cell < CellCount(scheme->bins); cell++)
		if (scheme->cells[cell] != 0)
		{
			SchemeSegment *segment = &scheme->segments[scheme->cells[cell] - 1];

			segment->cells[segment->ncells++] = CellDigits(cell, scheme->bins);
		}
	return ModelValue(&SegmentSchemeFormat, scheme);
}

int
CellFromText(const char *digits, int length, int bins)
{
	if (length != 3)
		return -1;
	for (int i = 0; i < 3; i++)
		if (digits[i] < '1' || digits[i] > '0' + bins)
			return -1;
	return CellOf(digits[0] - '0', digits[1] - '0', digits[2] - '0', bins);
}

/* ---------- labels that are true of the customer ---------- */

/*
 * The distance of two cells.  A step of the frequency or monetary score counts as two of recency:
 * where a customer stands, which recency is about, the lifecycle knows better.  Ties go to the cell
 * of the same monetary score, then of the same frequency score, then to the higher scores for
 * current customers and the lower ones for others.
 */
static int
CellDistance(int a, int b, int bins, bool here)
{
	int r = b / (bins * bins) - a / (bins * bins);
	int f = b / bins % bins - a / bins % bins;
	int m = b % bins - a % bins;
	int distance = abs(r) + 2 * abs(f) + 2 * abs(m);

	distance = distance * MAX_BINS + abs(m);
	distance = distance * MAX_BINS + abs(f);
	/* the signs, each -1, 0 or 1, break the last ties; the size of r follows from the rest */
	r = (r > 0) - (r < 0);
	f = (f > 0) - (f < 0);
	m = (m > 0) - (m < 0);
	return distance * 27 + 13 - (here ? 1 : -1) * (9 * r + 3 * f + m);
}

/*
 * The segment + 1 of the nearest cell whose segment applies to the lifecycle, or else the cell's
 * own.
 */
static uint8
NearestTrueSegment(const SegmentScheme *scheme, int cell, Lifecycle lifecycle)
{
	bool here = lifecycle < LIFECYCLE_LAPSING;
	int nearest = INT_MAX;
	uint8 segment = scheme->cells[cell];

	for (int other = 0; other < CellCount(scheme->bins); other++)
		if (scheme->cells[other] != 0 &&
			(scheme->lifecycles[scheme->cells[other] - 1] & (1 << lifecycle)))
		{
			int distance = CellDistance(cell, other, scheme->bins, here);

			if (distance < nearest)
			{
				nearest = distance;
				segment = scheme->cells[other];
			}
		}
	return segment;
}

/*
 * The position of the segment of the first rule with a condition that is met, covers the cell and
 * applies to the lifecycles; 0 if there is none.
 */
static int
PositionByCondition(const SegmentScheme *scheme, int cell, uint8 lifecycles, int32 met)
{
	for (int i = 0; i < scheme->nconditions && met >> i != 0; i++)
	{
		int position = scheme->conditions[i].segment;

		if ((met >> i & 1) != 0 && scheme->covers[i * CellCount(scheme->bins) + cell] &&
			(scheme->lifecycles[position - 1] & lifecycles) != 0)
			return position;
	}
	return 0;
}

int
PositionForCustomer(const SegmentScheme *scheme, int r, int f, int m, Lifecycle lifecycle,
					int32 met)
{
	int cell = CellOf(r, f, m, scheme->bins);
	int position = PositionByCondition(scheme, cell, (uint8) (1 << lifecycle), met);
	uint8 *corrected;

	if (position != 0)
		return position;
	if (scheme->corrected == NULL || scheme->cells[cell] == 0)
		return scheme->cells[cell];
	corrected = &scheme->corrected[lifecycle * CellCount(scheme->bins) + cell];
	if (*corrected == 0)
		*corrected = NearestTrueSegment(scheme, cell, lifecycle);
	return *corrected;
}

int
PositionWhateverLifecycle(const SegmentScheme *scheme, int r, int f, int m)
{
	int cell = CellOf(r, f, m, scheme->bins);

	if (scheme->corrected == NULL || scheme->cells[cell] == 0)
		return scheme->cells[cell];
	if (scheme->settled[cell] == 0)
	{
		int position = PositionForCustomer(scheme, r, f, m, LIFECYCLE_NEW, 0);

		for (int lifecycle = LIFECYCLE_NEW + 1; lifecycle < LIFECYCLES; lifecycle++)
			if (PositionForCustomer(scheme, r, f, m, (Lifecycle) lifecycle, 0) != position)
				position = -1;
		scheme->settled[cell] = (int16) position;
	}
	return scheme->settled[cell];
}

int
PositionForAnybody(const SegmentScheme *scheme, int r, int f, int m, int32 met)
{
	int cell = CellOf(r, f, m, scheme->bins);
	int position = PositionByCondition(scheme, cell, ALL_LIFECYCLES, met);

	return position != 0 ? position : scheme->cells[cell];
}

text *
SegmentOfCustomer(const SegmentScheme *scheme, int r, int f, int m, Lifecycle lifecycle, int32 met)
{
	int position = PositionForCustomer(scheme, r, f, m, lifecycle, met);

	return position == 0 ? NULL : scheme->labels[position - 1];
}

/* ---------- what people ask ---------- */

void
CheckBins(int score_bins, const SegmentScheme *scheme)
{
	if (unlikely(score_bins != scheme->bins))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("score and scheme have different numbers of bins"),
						errdetail("The score was made with %d, the scheme is for %d.", score_bins,
								  scheme->bins),
						errhint("Fit the model with %d bins, or take a scheme of %d.", scheme->bins,
								score_bins)));
}

/* (score, scheme): the name of the segment, NULL for a cell that the scheme leaves uncovered. */
PG_FUNCTION_INFO_V1(segment);
Datum
segment(PG_FUNCTION_ARGS)
{
	RfmScore score = PG_GETARG_RFM_SCORE(0);
	const SegmentScheme *scheme = ModelArgument(&SegmentSchemeFormat, fcinfo, 1);
	text *label;

	CheckBins(RFM_BINS(score), scheme);
	label = SegmentOfCell(scheme, RFM_R(score), RFM_F(score), RFM_M(score));
	if (label == NULL)
		PG_RETURN_NULL();
	/* a copy: the cached one is freed as soon as another scheme comes */
	PG_RETURN_DATUM(PointerGetDatum(memcpy(palloc(VARSIZE(label)), label, VARSIZE(label))));
}

/* A lifecycle argument, checked. */
static Lifecycle
CheckedLifecycle(const text *word)
{
	int lifecycle = LifecycleFromText(word);

	if (lifecycle < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no lifecycle of a customer", ShortText(word)),
				 errhint("There are new, active, won back, lapsing and inactive, as lifecycle() "
						 "gives them.")));
	return (Lifecycle) lifecycle;
}

/*
 * (score, scheme, lifecycle [, met]): the position in the scheme, from 1, of the segment of the
 * score or, with a lifecycle, of the nearest score whose segment applies to it; 0 for none.  met:
 * a bit for each condition of the scheme that holds.
 */
static int
PositionArgument(FunctionCallInfo fcinfo, const SegmentScheme **scheme)
{
	int32 met = PG_NARGS() > 3 && !PG_ARGISNULL(3) ? PG_GETARG_INT32(3) : 0;
	RfmScore score;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return 0;
	score = PG_GETARG_RFM_SCORE(0);
	*scheme = ModelArgument(&SegmentSchemeFormat, fcinfo, 1);
	CheckBins(RFM_BINS(score), *scheme);
	if (!PG_ARGISNULL(2))
		return PositionForCustomer(*scheme, RFM_R(score), RFM_F(score), RFM_M(score),
								   CheckedLifecycle(PG_GETARG_TEXT_PP(2)), met);
	return PositionForAnybody(*scheme, RFM_R(score), RFM_F(score), RFM_M(score), met);
}

/* (score, scheme, lifecycle): the name of that segment. */
PG_FUNCTION_INFO_V1(segment_lifecycle);
Datum
segment_lifecycle(PG_FUNCTION_ARGS)
{
	const SegmentScheme *scheme;
	int position = PositionArgument(fcinfo, &scheme);
	const text *label;

	if (position == 0)
		PG_RETURN_NULL();
	label = scheme->labels[position - 1];
	PG_RETURN_DATUM(PointerGetDatum(memcpy(palloc(VARSIZE(label)), label, VARSIZE(label))));
}

/* (score, scheme, lifecycle): its position. */
PG_FUNCTION_INFO_V1(segment_position);
Datum
segment_position(PG_FUNCTION_ARGS)
{
	const SegmentScheme *scheme;
	int position = PositionArgument(fcinfo, &scheme);

	if (position == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(position);
}

static Datum
CellArray(const SchemeSegment *segment)
{
	Datum cells[MAX_CELLS];

	for (int i = 0; i < segment->ncells; i++)
		cells[i] = CStringGetTextDatum(psprintf("%d", segment->cells[i]));
	return PointerGetDatum(
		construct_array(cells, segment->ncells, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
LifecycleArray(const SchemeSegment *segment)
{
	Datum words[LIFECYCLES];

	for (int i = 0; i < segment->nlifecycles; i++)
		words[i] = CStringGetTextDatum(LifecycleWords[segment->lifecycles[i]]);
	return PointerGetDatum(
		construct_array(words, segment->nlifecycles, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The segments of a scheme in order, with their cells and lifecycles. */
PG_FUNCTION_INFO_V1(segments);
Datum
segments(PG_FUNCTION_ARGS)
{
	const SegmentScheme *scheme = ModelFromDatum(&SegmentSchemeFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < scheme->nsegments; i++)
	{
		Datum values[5];
		bool nulls[5] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(scheme->labels[i]);
		values[2] = Int32GetDatum(scheme->segments[i].ncells);
		values[3] = CellArray(&scheme->segments[i]);
		nulls[4] = scheme->segments[i].nlifecycles == 0;
		values[4] = LifecycleArray(&scheme->segments[i]);
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* ---------- contradictions ---------- */

#define HERE ((1 << LIFECYCLE_NEW) | (1 << LIFECYCLE_ACTIVE) | (1 << LIFECYCLE_WON_BACK))

/* Forecasts above, or below, these probabilities claim that somebody is, or is not, a customer. */
#define LIKELY_ALIVE 0.9
#define LIKELY_GONE 0.1
#define LIKELY_TO_BUY 0.5

/*
 * What a label or a forecast claims: 1 a current customer, -1 a former one, 0
 * neither.
 */
static int
ClaimOf(uint8 lifecycles)
{
	if ((lifecycles & HERE) == 0)
		return -1;
	return (lifecycles & ~HERE) == 0 ? 1 : 0;
}

/* The lifecycles that a segment of the scheme applies to; all of them for an unknown segment. */
static uint8
LifecyclesOfSegment(const SegmentScheme *scheme, const text *name)
{
	for (int i = 0; i < scheme->nsegments; i++)
		if (VARSIZE_ANY_EXHDR(name) == VARSIZE_ANY_EXHDR(scheme->labels[i]) &&
			memcmp(VARDATA_ANY(name), VARDATA_ANY(scheme->labels[i]), VARSIZE_ANY_EXHDR(name)) == 0)
			return scheme->lifecycles[i];
	return ALL_LIFECYCLES;
}

/*
 * Words that views show for people who have not bought yet: not lifecycles, but no errors either.
 */
static bool
IsNoCustomerYet(const text *word)
{
	static const char *const words[] = {"potential", "probable", NULL};

	return WordNumber(words, VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word)) >= 0;
}

/*
 * (segment, scheme, lifecycle, p_alive, p_purchase): contradictions in words.
 */
PG_FUNCTION_INFO_V1(label_conflicts);
Datum
label_conflicts(PG_FUNCTION_ARGS)
{
	bool segment_known = !PG_ARGISNULL(0) && !PG_ARGISNULL(1);
	bool lifecycle_known = !PG_ARGISNULL(2) && !IsNoCustomerYet(PG_GETARG_TEXT_PP(2));
	char *segment = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Lifecycle lifecycle = lifecycle_known ? CheckedLifecycle(PG_GETARG_TEXT_PP(2)) : LIFECYCLES;
	uint8 claim = ALL_LIFECYCLES;
	int forecast = 0;
	const char *forecast_words;
	Datum conflicts[3];
	int n = 0;

	if (segment_known)
		claim = LifecyclesOfSegment(ModelArgument(&SegmentSchemeFormat, fcinfo, 1),
									PG_GETARG_TEXT_PP(0));
	if (!PG_ARGISNULL(3) && PG_GETARG_FLOAT8(3) <= LIKELY_GONE)
		forecast = -1;
	if ((!PG_ARGISNULL(3) && PG_GETARG_FLOAT8(3) >= LIKELY_ALIVE) ||
		(!PG_ARGISNULL(4) && PG_GETARG_FLOAT8(4) >= LIKELY_TO_BUY))
		forecast = 1;
	forecast_words = forecast > 0 ? "forecast: still a customer" : "forecast: no longer a customer";

	if (lifecycle_known && (claim & (1 << lifecycle)) == 0)
		conflicts[n++] = CStringGetTextDatum(
			psprintf("segment %s, lifecycle %s", segment, LifecycleWords[lifecycle]));
	if (ClaimOf(claim) * forecast < 0)
		conflicts[n++] = CStringGetTextDatum(psprintf("segment %s, %s", segment, forecast_words));
	/* lapsing is less likely to buy, not gone */
	if (lifecycle_known && lifecycle != LIFECYCLE_LAPSING && ClaimOf(1 << lifecycle) * forecast < 0)
		conflicts[n++] = CStringGetTextDatum(
			psprintf("lifecycle %s, %s", LifecycleWords[lifecycle], forecast_words));
	PG_RETURN_ARRAYTYPE_P(construct_array(conflicts, n, TEXTOID, -1, false, TYPALIGN_INT));
}
