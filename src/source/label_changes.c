/*
 * label_changes.c: how many customers would get another segment or value tier with corrected
 * histories.  Thresholds are fitted anew for each correction, so this includes customers whose own
 * history stays the same.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "rfm/rfm_fit.h"
#include "rfm/segment_scheme.h"
#include "source/value_tiers.h"

/* The part of a customer that labels depend on. */
typedef struct Labelled
{
	RfmValues rfm;  /* amounts in units of 10^-MAX_SCALE; no score if frequency is 0 */
	int64 value;    /* the value for tiers, in the same units */
	int8 lifecycle; /* -1: none */
	bool has_tier;
} Labelled;

/* A customer after a correction. */
typedef struct Change
{
	int correction;
	int64 customer;
	Labelled labelled;
} Change;

typedef struct LabelState
{
	RfmPopulation population;
	HistoryWindow window;
	int bins;
	bool by_profit;
	SegmentScheme *scheme;
	Labelled *customers;
	int64 ncustomers;
	int64 customers_room;
	Change *changes;
	int64 nchanges;
	int64 changes_room;
	int corrections; /* the largest number of a customer */
	int64 next;      /* position while the population is read */
} LabelState;

/* The labels under a fit: pointers into the scheme, and 'A', 'B', 'C' or 0. */
typedef struct Labels
{
	RfmModel model;
	bool fitted;
	int64 a_from;
	int64 b_from;
	bool has_tiers;
} Labels;

/* ---------- customers ---------- */

/* An amount that fits 64 bits; beyond any sum of money it need not be exact. */
static int64
Saturated(int128 amount, int scale)
{
	const int128 most = PG_INT64_MAX / 2;

	amount *= PowerOfTen[MAX_SCALE - scale];
	return (int64) (amount > most ? most : amount < -most ? -most : amount);
}

static Labelled
LabelledFrom(const LabelState *state, Datum history, int lifecycle)
{
	Labelled labelled = {.lifecycle = (int8) lifecycle};
	HistorySummary summary;

	if (!SummarizeHistory(HistoryFromDatum(history), state->window, &summary))
		return labelled;
	labelled.has_tier = true;
	labelled.value = Saturated(state->by_profit ? summary.covered - summary.cost : summary.amount,
							   summary.scale);
	labelled.rfm.monetary = Saturated(summary.amount, summary.scale);
	labelled.rfm.recency = state->window.as_of - summary.last_ever;
	labelled.rfm.frequency = (int32) Min(summary.orders, PG_INT32_MAX);
	return labelled;
}

static int
LifecycleArgument(bool isnull, Datum word)
{
	return isnull ? -1 : LifecycleFromText(DatumGetTextPP(word));
}

/* The corrected histories of a customer, by correction, with their lifecycles. */
static void
AddChanges(LabelState *state, MemoryContext context, Datum histories, Datum lifecycles)
{
	ArrayType *array = DatumGetArrayTypeP(histories);
	Datum *values;
	Datum *words;
	bool *nulls;
	bool *no_word;
	int n;
	int nwords;

	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &values, &nulls, &n);
	deconstruct_array(DatumGetArrayTypeP(lifecycles), TEXTOID, -1, false, TYPALIGN_INT, &words,
					  &no_word, &nwords);
	if (nwords != n)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%d corrected histories, but %d lifecycles", n, nwords)));
	for (int i = 0; i < n; i++)
	{
		Change *change;

		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			continue;
		if (state->nchanges == state->changes_room)
			state->changes =
				GrownArray(context, state->changes, &state->changes_room, sizeof(Change));
		change = &state->changes[state->nchanges++];
		change->correction = i;
		change->customer = state->ncustomers;
		change->labelled = LabelledFrom(state, values[i], LifecycleArgument(no_word[i], words[i]));
		state->corrections = Max(state->corrections, i + 1);
	}
}

static void
RewindCustomers(RfmPopulation *population)
{
	((LabelState *) population)->next = 0;
}

static int
NextCustomers(RfmPopulation *population, RfmValues *rfm)
{
	LabelState *state = (LabelState *) population;
	int n = 0;

	CHECK_FOR_INTERRUPTS();
	for (; state->next < state->ncustomers && n < RFM_BATCH; state->next++)
		if (state->customers[state->next].rfm.frequency > 0)
			rfm[n++] = state->customers[state->next].rfm;
	return n;
}

static LabelState *
NewLabelState(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	LabelState *state = palloc0(sizeof(LabelState));

	for (int i = 5; i <= 9; i++)
		if (PG_ARGISNULL(i) && i != 7)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument %d of label_changes is NULL", i)));
	state->population.rewind = RewindCustomers;
	state->population.next = NextCustomers;
	state->population.scale = MAX_SCALE;
	state->window.as_of = CheckedDay(PG_GETARG_DATEADT(5), "as_of");
	state->bins = CheckedBins(PG_GETARG_INT32(6));
	state->window.after = PG_ARGISNULL(7)
							  ? PG_INT32_MIN
							  : DayBeforePeriod(state->window.as_of, PG_GETARG_INTERVAL_P(7));
	state->by_profit = PG_GETARG_BOOL(8);
	state->scheme = ModelFromDatum(&SegmentSchemeFormat, PG_GETARG_DATUM(9));
	CheckBins(state->bins, state->scheme);
	MemoryContextSwitchTo(caller);
	return state;
}

/*
 * (state, history, lifecycle, corrected histories by correction, NULL where a
 * correction changes nothing, their lifecycles, as_of, bins, period, by_profit,
 * segments); the last five are the same for all rows.
 */
PG_FUNCTION_INFO_V1(label_changes_transfn);
Datum
label_changes_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "label_changes_transfn");
	LabelState *state =
		PG_ARGISNULL(0) ? NewLabelState(fcinfo, context) : (LabelState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	if (state->ncustomers == state->customers_room)
		state->customers =
			GrownArray(context, state->customers, &state->customers_room, sizeof(Labelled));
	if (!PG_ARGISNULL(3) && !PG_ARGISNULL(4))
		AddChanges(state, context, PG_GETARG_DATUM(3), PG_GETARG_DATUM(4));
	state->customers[state->ncustomers++] = LabelledFrom(
		state, PG_GETARG_DATUM(1), LifecycleArgument(PG_ARGISNULL(2), PG_GETARG_DATUM(2)));
	PG_RETURN_POINTER(state);
}

/* ---------- labels ---------- */

static Labels
FitLabels(LabelState *state)
{
	Labels labels = {0};
	int64 *values = palloc_extended(mul_size(state->ncustomers, sizeof(int64)), MCXT_ALLOC_HUGE);
	int64 n = 0;

	labels.fitted = FitRfm(&labels.model, &state->population, state->bins, false);
	for (int64 i = 0; i < state->ncustomers; i++)
		if (state->customers[i].has_tier && state->customers[i].value > 0)
			values[n++] = state->customers[i].value;
	labels.has_tiers = n > 0;
	if (n > 0)
		TierThresholds(values, n, &labels.a_from, &labels.b_from);
	pfree(values);
	return labels;
}

static char
TierOf(const Labels *labels, const Labelled *customer)
{
	if (!customer->has_tier)
		return 0;
	if (labels->has_tiers && customer->value >= labels->a_from)
		return 'A';
	return labels->has_tiers && customer->value >= labels->b_from ? 'B' : 'C';
}

/* NULL for none; equal names are the same pointer. */
static const text *
SegmentOf(const LabelState *state, const Labels *labels, const Labelled *customer)
{
	RfmScore score;

	if (!labels->fitted || customer->rfm.frequency == 0)
		return NULL;
	score = ScoreRfm(&labels->model, customer->rfm.recency, customer->rfm.frequency,
					 customer->rfm.monetary, MAX_SCALE);
	if (customer->lifecycle < 0)
		return SegmentOfCell(state->scheme, RFM_R(score), RFM_F(score), RFM_M(score));
	return SegmentOfCustomer(state->scheme, RFM_R(score), RFM_F(score), RFM_M(score),
							 (Lifecycle) customer->lifecycle, 0);
}

/* Swaps the changes of a correction in; a second call swaps them out again. */
static int64
SwapChanges(LabelState *state, int correction)
{
	int64 swapped = 0;

	for (int64 i = 0; i < state->nchanges; i++)
		if (state->changes[i].correction == correction)
		{
			Labelled was = state->customers[state->changes[i].customer];

			state->customers[state->changes[i].customer] = state->changes[i].labelled;
			state->changes[i].labelled = was;
			swapped++;
		}
	return swapped;
}

static void
AppendThresholds(StringInfo json, const Labels *labels)
{
	static const char *const names[RFM_DIMENSIONS] = {"recency", "frequency", "monetary"};

	for (int what = 0; what < RFM_DIMENSIONS && labels->fitted; what++)
	{
		appendStringInfo(json, ", \"%s\": [", names[what]);
		for (int i = 0; i < labels->model.nthresholds[what]; i++)
		{
			const Decimal *threshold = &labels->model.threshold[what][i];
			Numeric number = NumericFromInt128(threshold->mantissa, threshold->scale);

			appendStringInfo(json, "%s%s", i > 0 ? ", " : "",
							 DatumGetCString(DirectFunctionCall1(
								 numeric_out, DirectFunctionCall1(numeric_trim_scale,
																  NumericGetDatum(number)))));
		}
		appendStringInfoChar(json, ']');
	}
}

/* jsonb: [{"changed": n, "recency": […], …}, …] by correction, 0 for the present state */
PG_FUNCTION_INFO_V1(label_changes_finalfn);
Datum
label_changes_finalfn(PG_FUNCTION_ARGS)
{
	LabelState *state = PG_ARGISNULL(0) ? NULL : (LabelState *) PG_GETARG_POINTER(0);
	StringInfoData json;
	Labels now;
	const text **segments;
	char *tiers;

	(void) AggregateContext(fcinfo, "label_changes_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	now = FitLabels(state);
	segments = palloc_extended(mul_size(state->ncustomers + 1, sizeof(text *)), MCXT_ALLOC_HUGE);
	tiers = palloc_extended(state->ncustomers + 1, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < state->ncustomers; i++)
	{
		segments[i] = SegmentOf(state, &now, &state->customers[i]);
		tiers[i] = TierOf(&now, &state->customers[i]);
	}
	initStringInfo(&json);
	appendStringInfoString(&json, "[{\"changed\": 0");
	AppendThresholds(&json, &now);
	appendStringInfoChar(&json, '}');
	for (int correction = 0; correction < state->corrections; correction++)
	{
		int64 changed = 0;
		Labels then = now;

		CHECK_FOR_INTERRUPTS();

		if (SwapChanges(state, correction) > 0)
		{
			then = FitLabels(state);
			for (int64 i = 0; i < state->ncustomers; i++)
				changed += SegmentOf(state, &then, &state->customers[i]) != segments[i] ||
						   TierOf(&then, &state->customers[i]) != tiers[i];
			(void) SwapChanges(state, correction);
		}
		appendStringInfo(&json, ", {\"changed\": " INT64_FORMAT, changed);
		AppendThresholds(&json, &then);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
