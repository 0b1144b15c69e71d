/*
 * segment_on_day.c: the segment of a customer on a day, from the history and the models alone, and
 * how many customers went from which segment to which between two days.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "history/history_memo.h"
#include "rfm/rfm_model.h"
#include "rfm/segment_scheme.h"
#include "source/lifecycle.h"
#include "source/segment_on_day.h"

/* Models that stay the same from row to row. */
typedef struct SegmentModels
{
	ModelCache earlier;
	ModelCache later;
	ModelCache segments;
	ModelCache clv;
	bool *wanted;           /* by position in the scheme, from 0 for none */
	struct varlena *labels; /* as they came when that was set; NULL: it was not */
	int64 decodings;        /* of `segments` when that was set */
} SegmentModels;

/* ---------- the segment on a day ---------- */

/* Whether a segment that is wanted is that of such a score in some lifecycle. */
static bool
MayBeWanted(const SegmentScheme *scheme, int r, int f, int m, int32 met, const bool *wanted)
{
	for (int i = LIFECYCLE_NEW; i < LIFECYCLES; i++)
		if (wanted[PositionForCustomer(scheme, r, f, m, (Lifecycle) i, met)])
			return true;
	return false;
}

/*
 * The position of the segment of such a score; 0 for none, or for one that is not wanted.  The
 * lifecycle takes longer than all the rest, and many scores have the same segment in all of them,
 * or none that is wanted, so it is found only where it decides.
 */
static int
SegmentOfScore(const SegmentScheme *scheme, RfmScore score, const PurchaseHistory *history,
			   DateADT day, const LapseRule *rule, int32 met, const bool *wanted)
{
	int r = RFM_R(score);
	int f = RFM_F(score);
	int m = RFM_M(score);
	int position;

	if (rule == NULL)
		return PositionForAnybody(scheme, r, f, m, met);
	position = met == 0 ? PositionWhateverLifecycle(scheme, r, f, m) : -1;
	if (position >= 0)
		return position;
	if (wanted != NULL && !MayBeWanted(scheme, r, f, m, met, wanted))
		return 0;
	return PositionForCustomer(scheme, r, f, m, RecallLifecycle(history, day, rule), met);
}

/* SegmentOnDay(), where only some segments may be wanted: by position, from 0 for none. */
static int
WantedSegmentOnDay(const PurchaseHistory *history, const RfmModel *rfm, DateADT day,
				   const SegmentScheme *scheme, const LapseRule *rule, int32 met,
				   const bool *wanted)
{
	RfmScore score;

	if (rfm == NULL || scheme == NULL)
		return 0;
	CheckBins(rfm->bins, scheme);
	score = RecallRfmScore(history, day, rfm);
	return score == 0 ? 0 : SegmentOfScore(scheme, score, history, day, rule, met, wanted);
}

int
SegmentOnDay(const PurchaseHistory *history, const RfmModel *rfm, DateADT day,
			 const SegmentScheme *scheme, const LapseRule *rule, int32 met)
{
	return WantedSegmentOnDay(history, rfm, day, scheme, rule, met, NULL);
}

static SegmentModels *
SegmentModelsOf(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SegmentModels));
	return fcinfo->flinfo->fn_extra;
}

/* A model argument; NULL if that is NULL. */
static const void *
OptionalModel(FunctionCallInfo fcinfo, const ModelFormat *format, ModelCache *cache, int argument)
{
	return PG_ARGISNULL(argument)
			   ? NULL
			   : CachedModel(format, cache, PG_GETARG_DATUM(argument), fcinfo->flinfo->fn_mcxt);
}

/* The rule of the arguments active_days and clv_model in that place; NULL: no lifecycle. */
static const LapseRule *
LapseArguments(FunctionCallInfo fcinfo, int argument, ModelCache *cache, LapseRule *rule)
{
	if (PG_ARGISNULL(argument) || PG_ARGISNULL(argument + 1))
		return NULL;
	*rule = LapseRuleFor(PG_GETARG_INT32(argument),
						 OptionalModel(fcinfo, &ClvModelFormat, cache, argument + 1));
	return rule;
}

static inline int32
MetArgument(FunctionCallInfo fcinfo, int argument)
{
	return argument >= PG_NARGS() || PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);
}

/* A copy of the label in that place: the cached one is freed as soon as another scheme comes. */
static Datum
CopyOfLabel(const SegmentScheme *scheme, int position)
{
	const text *label = scheme->labels[position - 1];

	return PointerGetDatum(memcpy(palloc(VARSIZE(label)), label, VARSIZE(label)));
}

/* Where the segment of (history, rfm_model, day, scheme, active_days, clv_model [, met]) stands. */
static int
SegmentOfArguments(FunctionCallInfo fcinfo, const SegmentScheme **scheme)
{
	SegmentModels *models = SegmentModelsOf(fcinfo);
	LapseRule rule;

	*scheme = OptionalModel(fcinfo, &SegmentSchemeFormat, &models->segments, 3);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		return 0;
	return SegmentOnDay(PG_GETARG_HISTORY(0),
						OptionalModel(fcinfo, &RfmModelFormat, &models->earlier, 1),
						CheckedDay(PG_GETARG_DATEADT(2), "as_of"), *scheme,
						LapseArguments(fcinfo, 4, &models->clv, &rule), MetArgument(fcinfo, 6));
}

/* As segment(rfm_score(), lifecycle()). */
PG_FUNCTION_INFO_V1(segment_on_day);
Datum
segment_on_day(PG_FUNCTION_ARGS)
{
	const SegmentScheme *scheme;
	int position = SegmentOfArguments(fcinfo, &scheme);

	if (position == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CopyOfLabel(scheme, position));
}

/* The same without `met`: a function of its own, since it is strict. */
PG_FUNCTION_INFO_V1(segment_on_day_strict);
Datum
segment_on_day_strict(PG_FUNCTION_ARGS)
{
	return segment_on_day(fcinfo);
}

/* Notes which segments of a scheme are among those labels. */
static void
SetWanted(SegmentModels *models, const SegmentScheme *scheme, Datum labels, MemoryContext context)
{
	MemoryContext caller;
	Datum *values;
	bool *nulls;
	int n;

	/* an error on the way must not leave behind what looks valid */
	if (models->labels != NULL)
		pfree(models->labels);
	models->labels = NULL;
	if (models->wanted != NULL)
		pfree(models->wanted);
	models->wanted = NULL;
	models->wanted = MemoryContextAllocZero(context, scheme->nsegments + 1);
	deconstruct_array(DatumGetArrayTypeP(labels), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < scheme->nsegments && !nulls[i]; j++)
			models->wanted[j + 1] |= DatumGetBool(DirectFunctionCall2Coll(
				texteq, C_COLLATION_OID, values[i], PointerGetDatum(scheme->labels[j])));
	models->decodings = models->segments.decodings;
	caller = MemoryContextSwitchTo(context);
	models->labels = CopyToRecognize((const struct varlena *) DatumGetPointer(labels));
	MemoryContextSwitchTo(caller);
}

/* (history, rfm_model, day, scheme, active_days, clv_model, labels) */
PG_FUNCTION_INFO_V1(segment_among);
Datum
segment_among(PG_FUNCTION_ARGS)
{
	SegmentModels *models = SegmentModelsOf(fcinfo);
	const SegmentScheme *scheme = OptionalModel(fcinfo, &SegmentSchemeFormat, &models->segments, 3);
	Datum labels = PG_GETARG_DATUM(6);
	LapseRule rule;
	int position;

	if (models->decodings != models->segments.decodings ||
		!IsRecognized(models->labels, (const struct varlena *) DatumGetPointer(labels)))
		SetWanted(models, scheme, labels, fcinfo->flinfo->fn_mcxt);
	position = WantedSegmentOnDay(
		PG_GETARG_HISTORY(0), OptionalModel(fcinfo, &RfmModelFormat, &models->earlier, 1),
		CheckedDay(PG_GETARG_DATEADT(2), "as_of"), scheme,
		LapseArguments(fcinfo, 4, &models->clv, &rule), 0, models->wanted);
	if (position == 0 || !models->wanted[position])
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CopyOfLabel(scheme, position));
}

/* As segment_position(rfm_score(), lifecycle()). */
PG_FUNCTION_INFO_V1(segment_position_on_day);
Datum
segment_position_on_day(PG_FUNCTION_ARGS)
{
	const SegmentScheme *scheme;
	int position = SegmentOfArguments(fcinfo, &scheme);

	if (position == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(position);
}

/* ---------- moves between segments ---------- */

typedef struct Moves
{
	int64 customers;
	int64 amounts;   /* of them, those who have bought */
	int128 monetary; /* in units of 10^-MAX_SCALE */
} Moves;

/* From each segment, 0 for none, to each. */
typedef struct MoveState
{
	int scale;     /* the largest of the amounts */
	int nsegments; /* with that for none */
	text **labels; /* without it */
	Moves *moves;
} MoveState;

static MoveState *
NewMoveState(MemoryContext context, int nsegments)
{
	MoveState *state = MemoryContextAllocZero(context, sizeof(MoveState));

	state->nsegments = nsegments;
	state->labels = MemoryContextAllocZero(context, nsegments * sizeof(text *));
	state->moves = MemoryContextAllocZero(context, nsegments * nsegments * sizeof(Moves));
	return state;
}

/* Moves are counted in a table of the first row's segments. */
static void
CheckSegments(const MoveState *state, int nsegments)
{
	if (nsegments != state->nsegments)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("segments must be the same in all rows: %d segments after %d",
							   nsegments - 1, state->nsegments - 1)));
}

static void
CopyLabel(MoveState *state, MemoryContext context, int i, const char *label, int length)
{
	MemoryContext caller = MemoryContextSwitchTo(context);

	state->labels[i] = cstring_to_text_with_len(label, length);
	MemoryContextSwitchTo(caller);
}

/*
 * (state, history, earlier, from_date, later, to_date, segments, active_days, clv, period,
 * from_met, to_met)
 */
PG_FUNCTION_INFO_V1(segment_moves_transfn);
Datum
segment_moves_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "segment_moves_transfn");
	MoveState *state = PG_ARGISNULL(0) ? NULL : (MoveState *) PG_GETARG_POINTER(0);
	SegmentModels *models = SegmentModelsOf(fcinfo);
	const SegmentScheme *scheme = OptionalModel(fcinfo, &SegmentSchemeFormat, &models->segments, 6);
	const PurchaseHistory *history;
	const HistorySummary *summary;
	const LapseRule *lapse;
	HistoryWindow window = {PG_INT32_MIN, 0};
	LapseRule rule;
	DateADT from;
	int nsegments;
	int earlier;
	int later;
	Moves *moves;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(3) || PG_ARGISNULL(5))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	nsegments = 1 + (scheme == NULL ? 0 : scheme->nsegments);
	if (state == NULL)
	{
		state = NewMoveState(context, nsegments);
		for (int i = 0; i < state->nsegments - 1; i++)
			CopyLabel(state, context, i, VARDATA_ANY(scheme->labels[i]),
					  VARSIZE_ANY_EXHDR(scheme->labels[i]));
	}
	CheckSegments(state, nsegments);
	history = PG_GETARG_HISTORY(1);
	from = CheckedDay(PG_GETARG_DATEADT(3), "as_of");
	window.as_of = CheckedDay(PG_GETARG_DATEADT(5), "as_of");
	if (!PG_ARGISNULL(9))
		window.after = DayBeforePeriod(window.as_of, PG_GETARG_INTERVAL_P(9));
	lapse = LapseArguments(fcinfo, 7, &models->clv, &rule);
	earlier = SegmentOnDay(history, OptionalModel(fcinfo, &RfmModelFormat, &models->earlier, 2),
						   from, scheme, lapse, MetArgument(fcinfo, 10));
	later = SegmentOnDay(history, OptionalModel(fcinfo, &RfmModelFormat, &models->later, 4),
						 window.as_of, scheme, lapse, MetArgument(fcinfo, 11));
	moves = &state->moves[earlier * state->nsegments + later];
	moves->customers++;
	summary = RecallSummary(history, window);
	if (summary->purchased)
	{
		moves->amounts++;
		moves->monetary += summary->amount * PowerOfTen[MAX_SCALE - summary->scale];
		state->scale = Max(state->scale, summary->scale);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(segment_moves_combine);
Datum
segment_moves_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "segment_moves_combine");
	MoveState *state = PG_ARGISNULL(0) ? NULL : (MoveState *) PG_GETARG_POINTER(0);
	const MoveState *other = PG_ARGISNULL(1) ? NULL : (const MoveState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		PG_RETURN_STATE(state);
	if (state == NULL)
	{
		state = NewMoveState(context, other->nsegments);
		for (int i = 0; i < state->nsegments - 1; i++)
			CopyLabel(state, context, i, VARDATA_ANY(other->labels[i]),
					  VARSIZE_ANY_EXHDR(other->labels[i]));
	}
	CheckSegments(state, other->nsegments);
	state->scale = Max(state->scale, other->scale);
	for (int i = 0; i < state->nsegments * state->nsegments; i++)
	{
		state->moves[i].customers += other->moves[i].customers;
		state->moves[i].amounts += other->moves[i].amounts;
		state->moves[i].monetary += other->moves[i].monetary;
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(segment_moves_serialize);
Datum
segment_moves_serialize(PG_FUNCTION_ARGS)
{
	const MoveState *state = (const MoveState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "segment_moves_serialize");
	pq_begintypsend(&out);
	pq_sendint32(&out, state->scale);
	pq_sendint32(&out, state->nsegments);
	for (int i = 0; i < state->nsegments - 1; i++)
	{
		pq_sendint32(&out, VARSIZE_ANY_EXHDR(state->labels[i]));
		pq_sendbytes(&out, VARDATA_ANY(state->labels[i]), VARSIZE_ANY_EXHDR(state->labels[i]));
	}
	pq_sendbytes(&out, (const char *) state->moves,
				 state->nsegments * state->nsegments * sizeof(Moves));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(segment_moves_deserialize);
Datum
segment_moves_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	MoveState *state;
	StringInfoData in;
	int scale;
	Size size;

	(void) AggregateContext(fcinfo, "segment_moves_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	scale = pq_getmsgint(&in, 4);
	state = NewMoveState(CurrentMemoryContext, pq_getmsgint(&in, 4));
	state->scale = scale;
	for (int i = 0; i < state->nsegments - 1; i++)
	{
		int length = pq_getmsgint(&in, 4);

		CopyLabel(state, CurrentMemoryContext, i, pq_getmsgbytes(&in, length), length);
	}
	size = state->nsegments * state->nsegments * sizeof(Moves);
	memcpy(state->moves, pq_getmsgbytes(&in, size), size);
	PG_RETURN_POINTER(state);
}

/* An array of segment_move. */
PG_FUNCTION_INFO_V1(segment_moves_finalfn);
Datum
segment_moves_finalfn(PG_FUNCTION_ARGS)
{
	const MoveState *state = PG_ARGISNULL(0) ? NULL : (const MoveState *) PG_GETARG_POINTER(0);
	text *none = cstring_to_text("(unscored)");
	RowArray rows;

	(void) AggregateContext(fcinfo, "segment_moves_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	for (int i = 0; i < state->nsegments * state->nsegments; i++)
	{
		const Moves *moves = &state->moves[i];
		int from = i / state->nsegments;
		int to = i % state->nsegments;
		Datum values[4] = {
			PointerGetDatum(from == 0 ? none : state->labels[from - 1]),
			PointerGetDatum(to == 0 ? none : state->labels[to - 1]),
			Int64GetDatum(moves->customers),
			NumericGetDatum(NumericFromInt128(
				moves->monetary / PowerOfTen[MAX_SCALE - state->scale], state->scale))};
		bool nulls[4] = {false, false, false, moves->amounts == 0};

		CHECK_FOR_INTERRUPTS();
		if (moves->customers > 0)
			AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}
