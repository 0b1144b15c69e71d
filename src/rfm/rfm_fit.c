/*
 * rfm_fit.c: fitting thresholds to a population.
 *
 * A threshold is a type-7 quantile (percentile_cont) at i/bins.  It lies between two neighbours of
 * the sorted population and is computed from them in integers, so that no rounding can move a
 * customer over it.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "base/sortable_float.h"
#include "rfm/rank_selection.h"
#include "rfm/rfm_fit.h"

/* A quantile lies at x[low] + (x[low + 1] - x[low]) * part / parts. */
typedef struct Quantile
{
	int64 low;
	int part;
	int parts;
} Quantile;

static Quantile
QuantileAt(int64 customers, int i, int bins)
{
	int128 position = (int128) (customers - 1) * i;
	Quantile q = {(int64) (position / bins), (int) (position % bins), bins};

	return q;
}

/* Division that rounds down. */
static int128
FloorDivide(int128 a, int128 b)
{
	int128 quotient = a / b;

	return quotient * b > a ? quotient - 1 : quotient;
}

/* The quantity that a selection is about: one of the dimensions or the value of an order. */
static void
DimensionValues(const RfmValues *rfm, int n, int what, int scale, int64 *values)
{
	switch (what)
	{
		case RECENCY:
			for (int i = 0; i < n; i++)
				values[i] = rfm[i].recency;
			return;
		case FREQUENCY:
			for (int i = 0; i < n; i++)
				values[i] = rfm[i].frequency;
			return;
		case MONETARY:
			for (int i = 0; i < n; i++)
				values[i] = rfm[i].monetary;
			return;
		default:
			for (int i = 0; i < n; i++)
				values[i] = SortableFloat8(OrderValue(rfm[i].monetary, scale, rfm[i].frequency));
	}
}

/*
 * The threshold at a quantile as an integer with as many decimals as fit, at least those of the
 * values themselves.
 */
static int64
CutQuantile(Quantile q, int64 low, int64 high, int from, int to)
{
	int128 exact = (int128) low * q.parts + ((int128) high - low) * q.part;

	return (int64) FloorDivide(exact * PowerOfTen[to - from], q.parts);
}

/* The most decimals, up to MAX_SCALE, at which values up to `largest` fit 64 bits. */
static int
LargestFittingScale(int64 min, int64 max, int scale)
{
	int64 ignored;

	for (int to = MAX_SCALE; to > scale; to--)
		if (RescaleFits(min, scale, to, &ignored) && RescaleFits(max, scale, to, &ignored))
			return to;
	return scale;
}

/* A fit in progress: one selection of ranks for each quantity. */
typedef struct RfmSelections
{
	RankedValues found;
	RfmPopulation *population;
	int count; /* of quantities: ORDER_VALUE, the last one, only for medians */
	int64 min[ORDER_VALUE + 1];
	int64 max[ORDER_VALUE + 1];
	int nranks[ORDER_VALUE + 1];
	int64 ranks[ORDER_VALUE + 1][MAX_RANKS];
	RankSelection selection[ORDER_VALUE + 1];
} RfmSelections;

/* Counts the population and finds its smallest and largest values. */
static void
FindEnds(RfmSelections *s)
{
	RfmValues rfm[RFM_BATCH];
	int64 values[RFM_BATCH];
	int n;

	s->population->rewind(s->population);
	while ((n = s->population->next(s->population, rfm)) > 0)
	{
		for (int what = 0; what < s->count; what++)
		{
			DimensionValues(rfm, n, what, s->population->scale, values);
			if (s->found.customers == 0)
				s->min[what] = s->max[what] = values[0];
			for (int i = 0; i < n; i++)
			{
				s->min[what] = Min(s->min[what], values[i]);
				s->max[what] = Max(s->max[what], values[i]);
			}
		}
		s->found.customers += n;
	}
}

static void
AddRanks(RfmSelections *s, int what, int i, int bins)
{
	Quantile quantile = QuantileAt(s->found.customers, i, bins);

	s->ranks[what][s->nranks[what]++] = quantile.low;
	s->ranks[what][s->nranks[what]++] = Min(quantile.low + 1, s->found.customers - 1);
}

/* The two ranks of each quantile wanted. */
static void
BeginSelections(RfmSelections *s)
{
	for (int what = 0; what < s->count; what++)
	{
		for (int i = 1; i < s->found.bins && what != ORDER_VALUE; i++)
			AddRanks(s, what, i, s->found.bins);
		if (what == ORDER_VALUE || (what == FREQUENCY && s->found.medians))
			AddRanks(s, what, 1, 2);
		RankSelectionBegin(&s->selection[what], s->min[what], s->max[what], s->ranks[what],
						   s->nranks[what]);
	}
}

/* Makes one more pass over the population; false if all ranks are found. */
static bool
NextPass(RfmSelections *s)
{
	bool active[ORDER_VALUE + 1];
	bool any = false;
	RfmValues rfm[RFM_BATCH];
	int64 values[RFM_BATCH];
	int n;

	for (int what = 0; what < s->count; what++)
		any |= active[what] = RankSelectionPass(&s->selection[what]);
	if (!any)
		return false;
	s->population->rewind(s->population);
	while ((n = s->population->next(s->population, rfm)) > 0)
		for (int what = 0; what < s->count; what++)
			if (active[what])
			{
				DimensionValues(rfm, n, what, s->population->scale, values);
				RankSelectionLook(&s->selection[what], values, n);
			}
	return true;
}

/* The value at a rank that was selected, or at one of the ends. */
static int64
SelectedValue(RankedValues *values, int what, int64 rank)
{
	RfmSelections *s = (RfmSelections *) values;
	int i = 0;

	if (rank == 0)
		return s->min[what];
	if (rank == values->customers - 1)
		return s->max[what];
	while (i < s->nranks[what] - 1 && s->ranks[what][i] != rank)
		i++;
	return RankSelectionValue(&s->selection[what], i);
}

/* The values that the i-th of so many quantiles lies between. */
static Quantile
Neighbours(RankedValues *values, int what, int i, int bins, int64 *low, int64 *high)
{
	Quantile quantile = QuantileAt(values->customers, i, bins);

	*low = values->at(values, what, quantile.low);
	*high = values->at(values, what, Min(quantile.low + 1, values->customers - 1));
	return quantile;
}

static Decimal
DecimalQuantile(RankedValues *values, int what, int i, int bins, int from, int to)
{
	int64 low;
	int64 high;
	Quantile quantile = Neighbours(values, what, i, bins, &low, &high);
	Decimal result = {0};

	result.mantissa = CutQuantile(quantile, low, high, from, to);
	result.scale = to;
	return result;
}

static void
KeepMedians(RankedValues *values, RfmModel *model)
{
	int64 low;
	int64 high;
	Quantile median = Neighbours(values, ORDER_VALUE, 1, 2, &low, &high);
	double from = Float8FromSortable(low);

	model->median_order_value =
		median.part == 0 ? from : from + (Float8FromSortable(high) - from) / 2;
	model->median_frequency = DecimalQuantile(values, FREQUENCY, 1, 2, 0, MAX_SCALE);
}

void
RfmModelOfRanks(RfmModel *model, RankedValues *values)
{
	model->bins = values->bins;
	model->customers = values->customers;
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		int from = what == MONETARY ? values->scale : 0;
		int to = LargestFittingScale(values->at(values, what, 0),
									 values->at(values, what, values->customers - 1), from);

		model->nthresholds[what] = values->bins - 1;
		for (int i = 1; i < values->bins; i++)
			model->threshold[what][i - 1] =
				DecimalQuantile(values, what, i, values->bins, from, to);
	}
	if (values->medians)
		KeepMedians(values, model);
}

bool
FitRfm(RfmModel *model, RfmPopulation *population, int bins, bool medians)
{
	RfmSelections s = {.found = {.at = SelectedValue, .bins = bins, .medians = medians},
					   .population = population,
					   .count = medians ? ORDER_VALUE + 1 : ORDER_VALUE};

	FindEnds(&s);
	if (s.found.customers == 0)
		return false;
	s.found.scale = population->scale;
	BeginSelections(&s);
	while (NextPass(&s))
		;
	RfmModelOfRanks(model, &s.found);
	return true;
}

/* ---------- the aggregate rfm_fit ---------- */

#define FIT_STATE_VERSION 1

/* The population so far; lives in the aggregate's memory context. */
typedef struct RfmFitState
{
	RfmPopulation population;
	DateADT as_of;
	int bins;
	bool has_period;
	Interval period;
	DateADT after; /* last day before the period */
	RfmValues *rfm;
	int64 count;
	int64 room;
	int64 next; /* position while the population is read */
} RfmFitState;

static void
RewindFitState(RfmPopulation *population)
{
	((RfmFitState *) population)->next = 0;
}

static int
NextOfFitState(RfmPopulation *population, RfmValues *rfm)
{
	RfmFitState *state = (RfmFitState *) population;
	int n = (int) Min(RFM_BATCH, state->count - state->next);

	CHECK_FOR_INTERRUPTS();
	if (n > 0)
		memcpy(rfm, state->rfm + state->next, n * sizeof(RfmValues));
	state->next += n;
	return n;
}

static RfmFitState *
NewFitState(MemoryContext context, DateADT as_of, int bins, const Interval *period)
{
	RfmFitState *state = MemoryContextAllocZero(context, sizeof(RfmFitState));

	state->population.rewind = RewindFitState;
	state->population.next = NextOfFitState;
	state->as_of = as_of;
	state->bins = bins;
	state->after = PG_INT32_MIN;
	if (period != NULL)
	{
		state->has_period = true;
		state->period = *period;
		state->after = DayBeforePeriod(as_of, period);
	}
	return state;
}

/* Rescales the amounts of a population to a larger scale. */
static void
RescaleFitState(RfmFitState *state, int scale)
{
	for (int64 i = 0; i < state->count; i++)
		state->rfm[i].monetary = Rescale(state->rfm[i].monetary, state->population.scale, scale);
	state->population.scale = scale;
}

static void
AddRfmValues(RfmFitState *state, MemoryContext context, RfmValues rfm, int scale)
{
	if (state->count == state->room)
		state->rfm = GrownArray(context, state->rfm, &state->room, sizeof(RfmValues));
	if (scale > state->population.scale)
		RescaleFitState(state, scale);
	rfm.monetary = Rescale(rfm.monetary, scale, state->population.scale);
	state->rfm[state->count++] = rfm;
}

static void
CheckSameFit(bool same)
{
	if (!same)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("as_of, bins and period of rfm_fit must be the same for all rows"),
						errhint("Fit a model for each by GROUP BY.")));
}

/* The arguments that must be the same for every row. */
static RfmFitState *
FitStateForRow(FunctionCallInfo fcinfo, MemoryContext context)
{
	bool has_period = PG_NARGS() > 4 && !PG_ARGISNULL(4);
	Interval *period = has_period ? PG_GETARG_INTERVAL_P(4) : NULL;
	DateADT as_of;
	int bins;
	RfmFitState *state;

	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("as_of must not be NULL")));
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	if (PG_NARGS() > 3 && PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("bins must not be NULL")));
	bins = PG_NARGS() > 3 ? CheckedBins(PG_GETARG_INT32(3)) : DEFAULT_BINS;

	if (PG_ARGISNULL(0))
		return NewFitState(context, as_of, bins, period);
	state = (RfmFitState *) PG_GETARG_POINTER(0);
	CheckSameFit(state->as_of == as_of && state->bins == bins && state->has_period == has_period &&
				 (!has_period || memcmp(&state->period, period, sizeof(Interval)) == 0));
	return state;
}

PG_FUNCTION_INFO_V1(rfm_fit_transfn);
Datum
rfm_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "rfm_fit_transfn");
	RfmFitState *state = FitStateForRow(fcinfo, context);
	HistorySummary summary;

	if (!PG_ARGISNULL(1) &&
		SummarizeHistory(PG_GETARG_HISTORY(1), (HistoryWindow){state->after, state->as_of},
						 &summary) &&
		summary.orders > 0)
	{
		RfmValues rfm;

		if (summary.orders > PG_INT32_MAX || summary.amount > PG_INT64_MAX ||
			summary.amount < -PG_INT64_MAX)
			AmountOutOfRange();
		rfm.monetary = (int64) summary.amount;
		rfm.recency = state->as_of - summary.last_ever;
		rfm.frequency = (int32) summary.orders;
		AddRfmValues(state, context, rfm, summary.scale);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(rfm_fit_combine);
Datum
rfm_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "rfm_fit_combine");
	RfmFitState *state = PG_ARGISNULL(0) ? NULL : (RfmFitState *) PG_GETARG_POINTER(0);
	RfmFitState *other = PG_ARGISNULL(1) ? NULL : (RfmFitState *) PG_GETARG_POINTER(1);

	if (other != NULL && state == NULL)
		state = NewFitState(context, other->as_of, other->bins,
							other->has_period ? &other->period : NULL);
	if (other != NULL)
		CheckSameFit(state->as_of == other->as_of && state->bins == other->bins &&
					 state->has_period == other->has_period &&
					 memcmp(&state->period, &other->period, sizeof(Interval)) == 0);
	if (other != NULL)
		for (int64 i = 0; i < other->count; i++)
			AddRfmValues(state, context, other->rfm[i], other->population.scale);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(rfm_fit_serialize);
Datum
rfm_fit_serialize(PG_FUNCTION_ARGS)
{
	RfmFitState *state;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "rfm_fit_serialize");
	state = (RfmFitState *) PG_GETARG_POINTER(0);
	if (state->count > (int64) (MaxAllocSize / 32))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many customers for a parallel rfm_fit"),
						errhint("Set max_parallel_workers_per_gather to 0.")));
	pq_begintypsend(&out);
	pq_sendbyte(&out, FIT_STATE_VERSION);
	pq_sendint32(&out, state->as_of);
	pq_sendbyte(&out, state->bins);
	pq_sendbyte(&out, state->population.scale);
	pq_sendbyte(&out, state->has_period);
	pq_sendint64(&out, state->period.time);
	pq_sendint32(&out, state->period.day);
	pq_sendint32(&out, state->period.month);
	pq_sendint64(&out, state->count);
	for (int64 i = 0; i < state->count; i++)
	{
		pq_sendint64(&out, state->rfm[i].monetary);
		pq_sendint32(&out, state->rfm[i].recency);
		pq_sendint32(&out, state->rfm[i].frequency);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(rfm_fit_deserialize);
Datum
rfm_fit_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "rfm_fit_deserialize");
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	RfmFitState *state;
	DateADT as_of;
	Interval period;
	int bins;
	int scale;
	int has_period;
	int64 count;

	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	if (pq_getmsgbyte(&in) != FIT_STATE_VERSION)
		goto damaged;
	as_of = (DateADT) pq_getmsgint(&in, 4);
	bins = pq_getmsgbyte(&in);
	scale = pq_getmsgbyte(&in);
	has_period = pq_getmsgbyte(&in);
	period.time = pq_getmsgint64(&in);
	period.day = (int32) pq_getmsgint(&in, 4);
	period.month = (int32) pq_getmsgint(&in, 4);
	count = pq_getmsgint64(&in);
	if (!IS_VALID_DATE(as_of) || bins < MIN_BINS || bins > MAX_BINS || scale > MAX_SCALE ||
		has_period > 1 || count < 0 || count != (in.len - in.cursor) / 16 ||
		(in.len - in.cursor) % 16 != 0)
		goto damaged;

	state = NewFitState(context, as_of, bins, has_period ? &period : NULL);
	for (int64 i = 0; i < count; i++)
	{
		RfmValues rfm;

		rfm.monetary = pq_getmsgint64(&in);
		rfm.recency = (int32) pq_getmsgint(&in, 4);
		rfm.frequency = (int32) pq_getmsgint(&in, 4);
		if (rfm.recency < 0 || rfm.frequency <= 0 || rfm.monetary == PG_INT64_MIN)
			goto damaged;
		AddRfmValues(state, context, rfm, scale);
	}
	pfree(in.data);
	PG_RETURN_POINTER(state);

damaged:
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid state of rfm_fit")));
}

PG_FUNCTION_INFO_V1(rfm_fit_finalfn);
Datum
rfm_fit_finalfn(PG_FUNCTION_ARGS)
{
	RfmFitState *state;
	RfmModel model;

	(void) AggregateContext(fcinfo, "rfm_fit_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RfmFitState *) PG_GETARG_POINTER(0);
	InitModel(&RfmModelFormat, &model);
	if (!FitRfm(&model, &state->population, state->bins, true))
		PG_RETURN_NULL();
	model.as_of = state->as_of;
	model.period = state->period;
	PG_RETURN_POINTER(ModelValue(&RfmModelFormat, &model));
}
