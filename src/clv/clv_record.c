/*
 * clv_record.c: how good the forecasts of several models would have been on past days.
 *
 * On several past days every candidate is fitted to what was known then and forecasts the days that
 * followed.  The outcomes are known, so the candidates can be chosen by their record.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/crew.h"
#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/clv_holdout.h"
#include "clv/clv_record.h"
#include "clv/purchase_record.h"

#define MAX_CUT_OFFS 4
#define MIN_HORIZON 7
#define MAX_HORIZON 3660
#define RECORD_COLUMNS 8

/*
 * The candidates; the first one is chosen unless another is better.  Regularity and season are not
 * tried: the likelihood and the years judge them by far more observations.  Nor is pareto/nbd: its
 * integrals would take longer than all the others together, and it knows no regularity.
 */
typedef struct Candidate
{
	const char *name;
	ClvFamily family;
	uint8 features;
} Candidate;

static const Candidate Candidates[] = {
	{"mbg/cnbd-k, season, months, inflow", CLV_MBG_NBD, FIT_SEASON | FIT_MONTHS | FIT_INFLOW},
	{"bg/cnbd-k, season, months, inflow", CLV_BG_NBD, FIT_SEASON | FIT_MONTHS | FIT_INFLOW},
	{"mbg/cnbd-k, season, months", CLV_MBG_NBD, FIT_SEASON | FIT_MONTHS},
	{"mbg/cnbd-k, season, inflow", CLV_MBG_NBD, FIT_SEASON | FIT_INFLOW},
	{"mbg/nbd", CLV_MBG_NBD, 1},
};
#define CANDIDATES lengthof(Candidates)

/* (state, history, as_of, horizon_days [, day_weights]) */
PG_FUNCTION_INFO_V1(clv_record_transfn);
Datum
clv_record_transfn(PG_FUNCTION_ARGS)
{
	FitOptions options = {.purpose = CLV_MBG_NBD,
						  .features = FIT_SEASON | FIT_MONTHS | FIT_INFLOW,
						  .unit = WEEK_DAYS,
						  .observed_from = DATEVAL_NOBEGIN};
	int32 horizon;

	(void) AggregateContext(fcinfo, "clv_record_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return KeepSummaryState(fcinfo);
	options.until = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	horizon = PG_GETARG_INT32(3);
	if (horizon < MIN_HORIZON || horizon > MAX_HORIZON)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("horizon_days must be between %d and %d, not %d", MIN_HORIZON,
							   MAX_HORIZON, horizon)));
	options.as_of = CheckedDay(options.until - horizon, "as_of");
	options.days = *DayWeightsArgument(fcinfo, 4);
	PG_RETURN_POINTER(
		AddToRecord(PurchaseRecordArgument(fcinfo, 0), &options, false, PG_GETARG_HISTORY(1)));
}

/* ---------- the candidates on one day ---------- */

#define MODEL_NAME 128

/* What is kept of a candidate: plain data, which may come from another process. */
typedef struct Tried
{
	bool usable;
	FitStatus status;
	int64 regularity;
	double parameters[CLV_PARAMETERS];
	DateADT observed_from;
	int nown_months;
	char model[MODEL_NAME];
	HoldoutTotal total;
} Tried;

/*
 * The earlier candidate whose fit would be the same, because a feature that only one of the two
 * asks for was sought and not found; the candidate itself if there is none.
 */
static int
TwinOf(int candidate, const Tried *tried)
{
	const Candidate *this = &Candidates[candidate];

	for (int c = 0; c < candidate; c++)
	{
		const Candidate *other = &Candidates[c];
		uint8 differs = this->features ^ other->features;

		if (this->family != other->family || (differs & FIT_REGULARITY) != 0 || !tried[c].usable)
			continue;
		if (((differs & FIT_INFLOW) == 0 || tried[c].observed_from == DATEVAL_NOBEGIN) &&
			((differs & FIT_MONTHS) == 0 || tried[c].nown_months == 0))
			return c;
	}
	return candidate;
}

/*
 * The regularity of customers does not depend on other features, so the first candidate finds it
 * for all, and they start where it ended.
 */
static void
TryCandidate(SummaryState *state, int candidate, const Tried *first, Tried *tried)
{
	bool known = candidate > 0 && FitIsMaximum(first->status);
	ClvModel like = {0};
	ClvModel *model = palloc(sizeof(ClvModel));

	if (known)
	{
		like.status = first->status;
		like.regularity = first->regularity;
		memcpy(like.parameters, first->parameters, sizeof(like.parameters));
	}
	state->purpose = Candidates[candidate].family;
	state->features = Candidates[candidate].features;
	FitPurchasesCoarsely(state, known ? &like : NULL, model);
	*tried = (Tried){.usable = ClvModelIsUsable(model),
					 .status = (FitStatus) model->status,
					 .regularity = model->regularity,
					 .observed_from = model->observed_from,
					 .nown_months = model->nown_months};
	memcpy(tried->parameters, model->parameters, sizeof(tried->parameters));
	strlcpy(tried->model, ClvModelName(model), MODEL_NAME);
	if (tried->usable)
		HoldoutTotals(state, model, &tried->total);
	pfree(model);
}

/* ---------- shared among processes ---------- */

/* Candidates that are tried one after the other: the second may be a twin of the first. */
static const struct
{
	int first;
	int last;
} Parts[] = {{0, 0}, {1, 1}, {2, 3}, {4, 4}};
#define PARTS lengthof(Parts)

/* The last day known to the fits at a cut-off, from 0, the latest one. */
static inline int64
CutOffDay(const PurchaseRecord *record, int cut_off)
{
	int64 horizon = (int64) record->options.until - record->options.as_of;

	return record->options.until - (cut_off + 1) * horizon;
}

/* How many there are: for each there is at least as long a time to learn from as is forecast. */
static int
CutOffs(const PurchaseRecord *record)
{
	int64 horizon = (int64) record->options.until - record->options.as_of;
	DateADT oldest = OldestRecorded(record);
	int n = 0;

	while (n < MAX_CUT_OFFS && CutOffDay(record, n) - oldest >= horizon)
		n++;
	return n;
}

/* A process keeps the states of all cut-offs, if none is larger. */
#define MAX_KEPT ((Size) 16 * 1024 * 1024)

/* What was known at a cut-off; one process alone comes to the cut-offs one after the other. */
static SummaryState *
StateAt(Crew *crew, const PurchaseRecord *record, int cut_off)
{
	SummaryState **kept = *CrewOwn(crew);
	int64 as_of = CutOffDay(record, cut_off);
	int64 until = as_of + record->options.until - record->options.as_of;
	MemoryContext caller = MemoryContextSwitchTo(CrewContext(crew));

	if (kept == NULL)
		*CrewOwn(crew) = kept = palloc0(MAX_CUT_OFFS * sizeof(SummaryState *));
	if (kept[cut_off] == NULL)
	{
		for (int i = 0; i < MAX_CUT_OFFS; i++)
		{
			if (kept[i] == NULL || (!CrewIsAlone(crew) && VARSIZE(kept[i]) <= MAX_KEPT))
				continue;
			pfree(kept[i]);
			kept[i] = NULL;
		}
		kept[cut_off] = KnownOn(record, (DateADT) as_of, (DateADT) until, NULL, NULL);
	}
	MemoryContextSwitchTo(caller);
	return kept[cut_off];
}

/* Tries the candidates of a part; `tried` has those of the parts before that matter. */
static void
TryPart(Crew *crew, const PurchaseRecord *record, int cut_off, int part, Tried *tried)
{
	for (int c = Parts[part].first; c <= Parts[part].last; c++)
	{
		int twin = TwinOf(c, tried);

		if (twin == c)
			TryCandidate(StateAt(crew, record, cut_off), c, &tried[0], &tried[c]);
		else
			tried[c] = tried[twin];
	}
}

/* The pieces are the parts of one cut-off after the other. */
static bytea *
TryPiece(Crew *crew, const CrewInput *inputs, int piece)
{
	int cut_off = piece / (int) PARTS;
	int part = piece % (int) PARTS;
	int first = Parts[part].first;
	Tried tried[CANDIDATES];

	memset(tried, 0, sizeof(tried));
	if (part > 0)
		memcpy(&tried[0], VARDATA(CrewResult(crew, piece - part)), sizeof(Tried));
	TryPart(crew, inputs[0].bytes, cut_off, part, tried);
	return CrewBytes(&tried[first], (Parts[part].last - first + 1) * sizeof(Tried));
}

void
InitClvRecord(void)
{
	RegisterCrewPiece("clv_record", TryPiece);
}

/* All candidates at all cut-offs. */
static void
TryAll(FunctionCallInfo fcinfo, const PurchaseRecord *record, int cut_offs, Tried *tried)
{
	CrewInput inputs[MAX_CREW_INPUTS] = {{record, VARSIZE(record)}};
	/* a byte of a record is read in some hundred passes */
	Crew *crew = StartCrew(fcinfo, "clv_record", inputs, cut_offs, (int) PARTS, 0,
						   (double) record->used * 100 * cpu_operator_cost);

	JoinCrew(crew);
	for (int piece = 0; piece < cut_offs * (int) PARTS; piece++)
	{
		const bytea *result = CrewResult(crew, piece);

		memcpy(&tried[piece / PARTS * CANDIDATES + Parts[piece % PARTS].first], VARDATA(result),
			   VARSIZE(result) - VARHDRSZ);
	}
	EndCrew(crew);
}

/* A line of the record. */
static Datum
RecordLine(TupleDesc desc, const char *candidate, const PurchaseRecord *record, int cut_off,
		   const Tried *tried)
{
	Datum values[RECORD_COLUMNS];
	bool nulls[RECORD_COLUMNS] = {false};
	const HoldoutTotal *total = &tried->total;
	DateADT as_of = (DateADT) CutOffDay(record, cut_off);

	values[0] = CStringGetTextDatum(candidate);
	values[1] = CStringGetTextDatum(tried->model);
	values[2] = DateADTGetDatum(as_of);
	values[3] = DateADTGetDatum(as_of + record->options.until - record->options.as_of);
	values[4] = Int64GetDatum((int64) total->customers);
	values[5] = Float8GetDatum(total->predicted);
	values[6] = Float8GetDatum(total->actual);
	values[7] = Float8GetDatum(total->error / total->customers);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

PG_FUNCTION_INFO_V1(clv_record_finalfn);
Datum
clv_record_finalfn(PG_FUNCTION_ARGS)
{
	PurchaseRecord *record;
	Tried tried[MAX_CUT_OFFS * CANDIDATES];
	Datum lines[MAX_CUT_OFFS * CANDIDATES];
	int nlines = 0;
	int cut_offs;
	Oid line_type;
	TupleDesc desc;

	(void) AggregateContext(fcinfo, "clv_record_finalfn");
	record = PurchaseRecordArgument(fcinfo, 0);
	cut_offs = CutOffs(record);
	if (cut_offs == 0)
		PG_RETURN_NULL();
	line_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	desc = lookup_rowtype_tupdesc_copy(line_type, -1);
	TryAll(fcinfo, record, cut_offs, tried);
	for (int i = 0; i < cut_offs * (int) CANDIDATES; i++)
		if (tried[i].usable && tried[i].total.customers > 0)
			lines[nlines++] = RecordLine(desc, Candidates[i % CANDIDATES].name, record,
										 i / (int) CANDIDATES, &tried[i]);
	if (nlines == 0)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(construct_array(lines, nlines, line_type, -1, false, TYPALIGN_DOUBLE));
}
