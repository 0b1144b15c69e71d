/*
 * clv_holdout.c: how good a forecast would have been on these customers.
 *
 * The histories know every past day, so a holdout needs no snapshots: the model
 * is fitted to what was known on one day, and its predictions are set against
 * what came after it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/clv_holdout.h"
#include "clv/clv_predict.h"

#define LINE_COLUMNS 8
#define DECILES 10
#define LAST_CLASS 7 /* x of the frequency class that has no end */
#define MAX_LINES (1 + (LAST_CLASS + 1) + DECILES)

/* Customers alike in what was known of them and in what they did. */
typedef struct Outcome
{
	double predicted;
	double actual;
	double weight;
	int64 x;
} Outcome;

/* Sums over outcomes. */
typedef struct Tally
{
	double weight;
	double predicted;
	double actual;
	double error;             /* absolute */
	double squares_predicted; /* around the means, added up one by one */
	double squares_actual;
	double products;
	double
		min_predicted; /* predicted: sums of squares alone do not tell a constant from rounding */
	double max_predicted;
} Tally;

#define ST_SORT SortOutcomes
#define ST_ELEMENT_TYPE Outcome
#define ST_COMPARE(a, b)                                                                           \
	((a)->predicted != (b)->predicted ? ((a)->predicted < (b)->predicted ? -1 : 1)                 \
	 : (a)->x != (b)->x               ? ((a)->x < (b)->x ? -1 : 1)                                 \
	 : (a)->actual < (b)->actual      ? -1                                                         \
									  : (a)->actual > (b)->actual)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Adds outcomes to a tally without cancellation (Welford). */
static void
AddToTally(Tally *tally, const Outcome *outcome)
{
	double before = tally->weight;
	double off_predicted = 0;
	double off_actual = 0;
	double share;

	if (before > 0)
	{
		off_predicted = outcome->predicted - tally->predicted / before;
		off_actual = outcome->actual - tally->actual / before;
	}
	if (before == 0)
		tally->min_predicted = tally->max_predicted = outcome->predicted;
	tally->min_predicted = Min(tally->min_predicted, outcome->predicted);
	tally->max_predicted = Max(tally->max_predicted, outcome->predicted);
	tally->weight += outcome->weight;
	share = before * outcome->weight / tally->weight;
	tally->squares_predicted += share * off_predicted * off_predicted;
	tally->squares_actual += share * off_actual * off_actual;
	tally->products += share * off_predicted * off_actual;
	tally->predicted += outcome->weight * outcome->predicted;
	tally->actual += outcome->weight * outcome->actual;
	tally->error += outcome->weight * fabs(outcome->predicted - outcome->actual);
}

/* What was predicted for the customers of a sorted state, and what happened. */
static Outcome *
Outcomes(const SummaryState *state, const ClvModel *model, int64 *noutcomes)
{
	Outcome *outcomes =
		palloc_extended(mul_size(Max(state->nentries, 1), sizeof(Outcome)), MCXT_ALLOC_HUGE);
	double horizon =
		WeightedDays(&model->calendar, state->as_of, state->until) * model->pace / model->unit;
	int64 n = 0;

	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		ClvCustomer customer;
		PurchaseSummary facts;

		if (FIT_KIND(entry->key) != FIT_CUSTOMER)
			break;
		CHECK_FOR_INTERRUPTS();
		facts.purchase_days = FitPurchases(entry) + 1;
		facts.first = (DateADT) (state->as_of - FitAge(entry));
		facts.last = (DateADT) (facts.first + FitLastDay(entry));
		customer = CustomerInUnits(model, &facts, state->as_of);
		outcomes[n].x = FitPurchases(entry);
		outcomes[n].actual = (double) FitLaterPurchases(entry);
		outcomes[n].weight = (double) entry->weight;
		outcomes[n].predicted = ExpectedPurchases(model, &customer, horizon);
		n++;
	}
	*noutcomes = n;
	return outcomes;
}

void
HoldoutTotals(const SummaryState *state, const ClvModel *model, HoldoutTotal *total)
{
	int64 n;
	Outcome *outcomes = Outcomes(state, model, &n);

	memset(total, 0, sizeof(*total));
	for (int64 i = 0; i < n; i++)
	{
		total->customers += outcomes[i].weight;
		total->predicted += outcomes[i].weight * outcomes[i].predicted;
		total->actual += outcomes[i].weight * outcomes[i].actual;
		total->error += outcomes[i].weight * fabs(outcomes[i].predicted - outcomes[i].actual);
	}
	pfree(outcomes);
}

/* One line of the report as a datum of the row type. */
static Datum
LineDatum(TupleDesc desc, const char *part, const char *class, const Tally *tally)
{
	Datum values[LINE_COLUMNS];
	bool nulls[LINE_COLUMNS] = {false};
	double spread = tally->squares_predicted * tally->squares_actual;

	values[0] = CStringGetTextDatum(part);
	values[1] = CStringGetTextDatum(class);
	values[2] = Int64GetDatum((int64) tally->weight);
	values[3] = Float8GetDatum(tally->predicted);
	values[4] = Float8GetDatum(tally->actual);
	nulls[5] = !(tally->predicted > 0);
	values[5] = Float8GetDatum(nulls[5] ? 0 : tally->actual / tally->predicted);
	values[6] = Float8GetDatum(tally->error / tally->weight);
	nulls[7] = !(spread > 0 && tally->max_predicted > tally->min_predicted);
	values[7] = Float8GetDatum(nulls[7] ? 0 : Min(1, Max(-1, tally->products / sqrt(spread))));
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/*
 * Total, frequency classes, deciles.  Customers with the same prediction share
 * a decile, that of the middle one of them.
 */
static int
Report(TupleDesc desc, Outcome *outcomes, int64 n, Datum *lines)
{
	Tally total = {0};
	Tally classes[LAST_CLASS + 1] = {{0}};
	Tally deciles[DECILES] = {{0}};
	double below = 0;
	int nlines = 0;

	for (int64 i = 0; i < n; i++)
	{
		AddToTally(&total, &outcomes[i]);
		AddToTally(&classes[Min(outcomes[i].x, LAST_CLASS)], &outcomes[i]);
	}
	SortOutcomes(outcomes, n);
	for (int64 i = 0, end; i < n; i = end)
	{
		double alike = 0;
		int decile;

		for (end = i; end < n && outcomes[end].predicted == outcomes[i].predicted; end++)
			alike += outcomes[end].weight;
		decile = Min(DECILES - 1, (int) ((below + alike / 2) / total.weight * DECILES));
		for (; i < end; i++)
			AddToTally(&deciles[decile], &outcomes[i]);
		below += alike;
	}

	lines[nlines++] = LineDatum(desc, "total", "all", &total);
	for (int x = 0; x <= LAST_CLASS; x++)
		if (classes[x].weight > 0)
			lines[nlines++] = LineDatum(desc, "frequency",
										psprintf(x == LAST_CLASS ? "%d+" : "%d", x), &classes[x]);
	for (int d = 0; d < DECILES; d++)
		if (deciles[d].weight > 0)
			lines[nlines++] = LineDatum(desc, "decile", psprintf("%d", d + 1), &deciles[d]);
	return nlines;
}

/* (state, history, fit_until, as_of [, model [, unit]]) */
PG_FUNCTION_INFO_V1(clv_holdout_transfn);
Datum
clv_holdout_transfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	FitOptions options;
	PurchaseSummary facts;
	DateADT fit_until;

	(void) AggregateContext(fcinfo, "clv_holdout_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return KeepSummaryState(fcinfo);
	fit_until = CheckedDay(PG_GETARG_DATEADT(2), "fit_until");
	ClvFitOptions(fcinfo, 3, &options);
	if (fit_until >= options.until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("fit_until must be before as_of"),
				 errhint("The days between them are predicted.")));
	options.as_of = fit_until;
	state = SummaryStateFor(SummaryStateArgument(fcinfo, 0), &options);
	if (SummarizePurchases(PG_GETARG_HISTORY(1), options.as_of, options.until,
						   (ValueBasis) options.basis, &facts))
		state = AddGaps(AddCustomer(state, &facts), PG_GETARG_HISTORY(1));
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(clv_holdout_finalfn);
Datum
clv_holdout_finalfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	ClvModel model;
	Outcome *outcomes;
	int64 noutcomes;
	Oid line_type;
	TupleDesc desc;
	Datum lines[MAX_LINES];
	int nlines;

	(void) AggregateContext(fcinfo, "clv_holdout_finalfn");
	state = SummaryStateArgument(fcinfo, 0);
	if (state->purpose > CLV_PARETO_NBD || state->nentries == 0)
		PG_RETURN_NULL();
	FitClvModel(state, &model);
	WarnOfClvFit(&model);
	if (!ClvModelIsUsable(&model))
		PG_RETURN_NULL();

	line_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	desc = lookup_rowtype_tupdesc_copy(line_type, -1);
	outcomes = Outcomes(state, &model, &noutcomes);
	nlines = Report(desc, outcomes, noutcomes, lines);
	PG_RETURN_ARRAYTYPE_P(construct_array(lines, nlines, line_type, -1, false, TYPALIGN_DOUBLE));
}
