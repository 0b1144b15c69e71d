/*
 * clv_holdout.c: how good a forecast of these customers would have been.
 *
 * The histories know every past day, so a holdout needs no snapshots: the model is fitted to what
 * was known on a day, and its predictions are compared with what came after it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "portability/instr_time.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/crew.h"
#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/clv_holdout.h"
#include "clv/clv_predict.h"
#include "clv/holdout_months.h"
#include "clv/purchase_record.h"
#include "clv/spend.h"

#define DECILES 10
#define LAST_CLASS 7 /* x of the open-ended frequency class */
#define MAX_EARLIER 3
#define MIN_STRETCH 7        /* least number of days in an earlier test */
#define SLOPE_CUSTOMERS 4096 /* customers used to find how totals depend on the parameters */
#define DIFFERENCE 1e-3      /* of the log of a parameter */

/* Prior knowledge of relative errors: as if this many forecasts had been off by about this much. */
#define PRIOR_ERRORS 4
#define PRIOR_ERROR 0.15
#define PRIOR_ERROR_NO_YEAR 0.3 /* if no season can be known */
#define YEAR_SEEN 548           /* days from which a season can be known */

/* What is forecast. */
typedef enum Measured
{
	PURCHASES,
	VALUE,
	MEASURED
} Measured;

/* A customer: forecast and outcome. */
typedef struct Outcome
{
	PurchaseSummary facts;
	double predicted[MEASURED];
	double variance[MEASURED];
	double actual[MEASURED];
} Outcome;

/* Sums over outcomes. */
typedef struct Tally
{
	int64 customers;
	double predicted;
	double actual;
	double error;             /* absolute */
	double squares_predicted; /* around the means, updated one by one */
	double squares_actual;
	double products;
	double
		min_predicted; /* predicted: sums of squares alone cannot tell a constant from rounding */
	double max_predicted;
} Tally;

/* A line of the report, of either measure. */
typedef struct Line
{
	const char *part;
	const char *class;
	Tally tally[MEASURED];
	bool with_bounds;
	double lower[MEASURED];
	double upper[MEASURED];
	double gini[MEASURED]; /* NaN for none, here and below */
	double decile_error[MEASURED];
} Line;

typedef struct Report
{
	Line *lines;
	int nlines;
	int room;
	bool knows_value;
} Report;

/* A test: the model fitted, and the customers as they were known then, with their outcomes. */
typedef struct Test
{
	ClvModel model;
	DateADT as_of;
	DateADT until;
	int32 seen; /* days before as_of */
	Outcome *outcomes;
	int64 noutcomes;
	Tally total[MEASURED];
} Test;

static inline int
Sign(double a, double b)
{
	return a < b ? -1 : a > b;
}

/*
 * Orders by a forecast, or by what was known; ties are broken by everything that can make a
 * difference.
 */
static int
CompareOutcomes(const Outcome *a, const Outcome *b, int by)
{
	int order = by < MEASURED ? Sign(a->predicted[by], b->predicted[by]) : 0;

	if (order == 0)
		order = Sign((double) a->facts.purchase_days, (double) b->facts.purchase_days);
	if (order == 0)
		order = Sign(a->facts.first, b->facts.first);
	if (order == 0)
		order = Sign(a->facts.last, b->facts.last);
	if (order == 0)
		order = Sign(a->facts.first_value, b->facts.first_value);
	if (order == 0)
		order = Sign(a->facts.repeat_value, b->facts.repeat_value);
	if (order == 0)
		order = Sign((double) a->facts.valued_days, (double) b->facts.valued_days);
	if (order == 0)
		order = Sign((double) a->facts.later_days, (double) b->facts.later_days);
	if (order == 0 && a->facts.purchase_days > 2)
		order = Sign(RegularityOf(&a->facts), RegularityOf(&b->facts));
	return order == 0 ? Sign(a->facts.later_value, b->facts.later_value) : order;
}

#define ST_SORT SortOutcomes
#define ST_ELEMENT_TYPE Outcome
#define ST_COMPARE_ARG_TYPE int
#define ST_COMPARE(a, b, by) CompareOutcomes(a, b, *(by))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT SortNumbers
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) Sign(*(a), *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void
OrderBy(Outcome *outcomes, int64 n, int by)
{
	SortOutcomes(outcomes, n, &by);
}

/* Adds an outcome to a tally without cancellation (Welford). */
static void
AddToTally(Tally *tally, double predicted, double actual)
{
	double before = (double) tally->customers;
	double off_predicted = before > 0 ? predicted - tally->predicted / before : 0;
	double off_actual = before > 0 ? actual - tally->actual / before : 0;
	double share = before / (before + 1);

	if (before == 0)
		tally->min_predicted = tally->max_predicted = predicted;
	tally->min_predicted = Min(tally->min_predicted, predicted);
	tally->max_predicted = Max(tally->max_predicted, predicted);
	tally->customers++;
	tally->squares_predicted += share * off_predicted * off_predicted;
	tally->squares_actual += share * off_actual * off_actual;
	tally->products += share * off_predicted * off_actual;
	tally->predicted += predicted;
	tally->actual += actual;
	tally->error += fabs(predicted - actual);
}

static void
AddOutcome(Tally *tallies, const Outcome *outcome)
{
	for (int k = 0; k < MEASURED; k++)
		AddToTally(&tallies[k], outcome->predicted[k], outcome->actual[k]);
}

/* ---------- the forecasts ---------- */

static double
HorizonOf(const Test *test)
{
	const ClvModel *model = &test->model;

	return WeightedDays(&model->calendar, test->as_of, test->until) * model->pace / model->unit;
}

/*
 * Fits a model to what was known on a day, and compares its forecasts with the outcomes.  With
 * a model `like` it the fit is a coarse one: good enough to tell how far off its totals were.
 */
static void
MakeTest(const PurchaseRecord *record, DateADT as_of, DateADT until, const ClvModel *like,
		 Test *test)
{
	PurchaseSummary *facts;
	SummaryState *state = KnownOn(record, as_of, until, &facts, &test->noutcomes);
	const ClvModel *model = &test->model;
	double horizon;
	PurchaseForecast purchases = {0};

	test->as_of = as_of;
	test->until = until;
	test->seen = as_of - OldestRecorded(record);
	memset(test->total, 0, sizeof(test->total));
	if (like == NULL)
		FitClvModel(state, &test->model);
	else
		FitClvModelCoarsely(state, like, &test->model);
	pfree(state);
	test->outcomes =
		palloc_extended(mul_size(Max(test->noutcomes, 1), sizeof(Outcome)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < test->noutcomes; i++)
	{
		memset(&test->outcomes[i], 0, sizeof(Outcome));
		test->outcomes[i].facts = facts[i];
	}
	pfree(facts);
	if (!ClvModelIsUsable(model))
		return;
	horizon = HorizonOf(test);
	OrderBy(test->outcomes, test->noutcomes, MEASURED);
	for (int64 i = 0; i < test->noutcomes; i++)
	{
		Outcome *outcome = &test->outcomes[i];
		const PurchaseSummary *before = i > 0 ? &outcome[-1].facts : NULL;
		const PurchaseSummary *own = &outcome->facts;

		CHECK_FOR_INTERRUPTS();
		if (before == NULL || before->purchase_days != own->purchase_days ||
			before->first != own->first || before->last != own->last || model->random_share > 0)
		{
			ClvCustomer customer = CustomerInUnits(model, own, as_of);

			purchases = ForecastPurchases(model, &customer, horizon);
		}
		outcome->predicted[PURCHASES] = purchases.mean;
		outcome->variance[PURCHASES] = purchases.variance;
		outcome->actual[PURCHASES] = (double) own->later_days;
		outcome->actual[VALUE] = own->later_value;
		if (KnowsValue(model))
		{
			SpendForecast spend = ForecastSpend(model, model->spend_parameters, own, true);

			outcome->predicted[VALUE] = purchases.mean * spend.value;
			outcome->variance[VALUE] = VarianceOfTotal(purchases.mean, purchases.variance, &spend);
		}
		AddOutcome(test->total, outcome);
	}
}

void
HoldoutTotals(const SummaryState *state, const ClvModel *model, HoldoutTotal *total)
{
	double horizon =
		WeightedDays(&model->calendar, state->as_of, state->until) * model->pace / model->unit;

	memset(total, 0, sizeof(*total));
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		double weight = (double) entry->weight;
		double actual = (double) FitLaterPurchases(entry);
		ClvCustomer customer;
		PurchaseSummary facts = {.gaps = 1};
		double predicted;

		if (FIT_KIND(entry->key) != FIT_CUSTOMER)
			break;
		CHECK_FOR_INTERRUPTS();
		facts.purchase_days = FitPurchases(entry) + 1;
		facts.first = (DateADT) (state->as_of - FitAge(entry));
		facts.last = (DateADT) (facts.first + FitLastDay(entry));
		customer = CustomerInUnits(model, &facts, state->as_of);
		customer.regularity = FitRegularity(entry);
		predicted = ExpectedPurchases(model, &customer, horizon);
		total->customers += weight;
		total->predicted += weight * predicted;
		total->actual += weight * actual;
		total->error += weight * fabs(predicted - actual);
	}
}

/* ---------- bounds of the totals ---------- */

/* Both totals over some of the customers at the parameters of a model. */
static void
TotalsAt(const Test *test, const ClvModel *model, double *totals)
{
	int64 step = Max(1, test->noutcomes / SLOPE_CUSTOMERS);

	totals[PURCHASES] = totals[VALUE] = 0;
	for (int64 i = step / 2; i < test->noutcomes; i += step)
	{
		const PurchaseSummary *facts = &test->outcomes[i].facts;
		ClvCustomer customer = CustomerInUnits(model, facts, test->as_of);
		double purchases = ExpectedPurchases(model, &customer, HorizonOf(test));

		CHECK_FOR_INTERRUPTS();
		totals[PURCHASES] += purchases;
		if (KnowsValue(model))
			totals[VALUE] +=
				purchases * ForecastSpend(model, model->spend_parameters, facts, true).value;
	}
}

/* The derivatives of both totals with respect to `n` parameters of a copy of the model. */
static void
TotalSlopes(const Test *test, ClvModel *copy, double *vary, int n, int npositive,
			double slopes[][MAX_FIT_PARAMETERS])
{
	for (int i = 0; i < n; i++)
	{
		double middle = vary[i];
		double step = i < npositive ? DIFFERENCE : DIFFERENCE * (fabs(middle) + DIFFERENCE);
		double up[MEASURED];
		double down[MEASURED];

		vary[i] = i < npositive ? middle * exp(step) : middle + step;
		TotalsAt(test, copy, up);
		vary[i] = i < npositive ? middle * exp(-step) : middle - step;
		TotalsAt(test, copy, down);
		vary[i] = middle;
		for (int k = 0; k < MEASURED; k++)
			slopes[k][i] = (up[k] - down[k]) / (2 * step);
	}
}

/* The variances of the totals by the parameters of two classes, the slopes by the first known. */
static void
MixedVariance(const Test *test, ClvModel *copy, double slopes[][MAX_FIT_PARAMETERS],
			  double *variance)
{
	double random[MEASURED][MAX_FIT_PARAMETERS];
	double share[MEASURED][MAX_FIT_PARAMETERS];

	TotalSlopes(test, copy, copy->random_parameters, CLV_PARAMETERS, CLV_PARAMETERS, random);
	TotalSlopes(test, copy, &copy->random_share, 1, 1, share);
	for (int k = 0; k < MEASURED; k++)
	{
		memcpy(slopes[k] + CLV_PARAMETERS, random[k], CLV_PARAMETERS * sizeof(double));
		slopes[k][MIXED_ODDS] = share[k][0] * (1 - copy->random_share);
		variance[k] = QuadraticForm(copy->mixed_covariance, slopes[k], MIXED_PARAMETERS);
	}
}

/* The relative variances of the totals that come from the uncertainty of the parameters. */
static void
ParameterVariance(const Test *test, double *variance)
{
	const ClvModel *model = &test->model;
	ClvModel copy = *model;
	double totals[MEASURED];
	double slopes[MEASURED][MAX_FIT_PARAMETERS];

	TotalsAt(test, model, totals);
	TotalSlopes(test, &copy, copy.parameters, CLV_PARAMETERS, CLV_PARAMETERS, slopes);
	for (int k = 0; k < MEASURED; k++)
		variance[k] = QuadraticForm(model->covariance, slopes[k], CLV_PARAMETERS);
	if (model->random_share > 0)
		MixedVariance(test, &copy, slopes, variance);
	if (SpendIsFitted(model))
	{
		TotalSlopes(test, &copy, copy.spend_parameters, SPEND_PARAMETERS,
					model->spend_model == SPEND_NORMAL_NORMAL ? SPEND_MU : SPEND_PARAMETERS,
					slopes);
		variance[VALUE] += QuadraticForm(model->spend_covariance, slopes[VALUE], SPEND_PARAMETERS);
	}
	for (int k = 0; k < MEASURED; k++)
		variance[k] = totals[k] != 0 ? Max(0, variance[k]) / (totals[k] * totals[k]) : 0;
}

/* The relative variance by chance. */
static double
ChanceVariance(const Test *test, Measured k)
{
	double sum = 0;

	for (int64 i = 0; i < test->noutcomes; i++)
		sum += test->outcomes[i].variance[k];
	return sum / (test->total[k].predicted * test->total[k].predicted);
}

/* What is kept of an earlier test: plain data, which may come from another process. */
typedef struct EarlierTest
{
	DateADT as_of;
	Tally total[MEASURED];
	double chance[MEASURED];
} EarlierTest;

/* Whether a forecast and its outcome can be compared by their ratio. */
static inline bool
HasRatio(const Tally *tally)
{
	return tally->predicted > 0 && tally->actual > 0;
}

/*
 * The interval within which 19 of 20 totals lie, from chance, the uncertainty of the parameters,
 * and the model's earlier errors beyond chance.  The last is a variance estimated from few values,
 * hence Student's distribution.
 */
static void
SetBounds(Line *line, const Test *test, const EarlierTest *earlier, int nearlier)
{
	static const double student[] = {2.776, 2.571, 2.447, 2.365}; /* at 4, 5, 6 and 7 */
	double parameters[MEASURED];
	double prior = test->seen < YEAR_SEEN ? PRIOR_ERROR_NO_YEAR : PRIOR_ERROR;

	ParameterVariance(test, parameters);
	line->with_bounds = true;
	for (int k = 0; k < MEASURED; k++)
	{
		double predicted = test->total[k].predicted;
		double squares = PRIOR_ERRORS * prior * prior;
		double reach;
		int n = 0;

		for (int i = 0; i < nearlier; i++)
		{
			double off;

			if (!HasRatio(&earlier[i].total[k]))
				continue;
			off = log(earlier[i].total[k].actual / earlier[i].total[k].predicted);
			squares += Max(0, off * off - earlier[i].chance[k]);
			n++;
		}
		reach = student[n] * sqrt(ChanceVariance(test, (Measured) k) + parameters[k] +
								  squares / (PRIOR_ERRORS + n));
		line->lower[k] = predicted > 0 ? predicted * exp(-reach) : predicted * (1 + reach);
		line->upper[k] = predicted > 0 ? predicted * exp(reach) : predicted * (1 - reach);
	}
}

/* ---------- how well customers are told apart ---------- */

/* The Gini coefficient, from the area under the curve of cumulated outcomes. */
static double
Gini(double area, double n, double total)
{
	return 1 - 2 * area / (n * total);
}

/*
 * Gini in the order of the forecast over that in the order of the outcomes; NaN if there is none.
 */
static double
NormalisedGini(const Outcome *outcomes, int64 n, Measured k, double total)
{
	double *actual = palloc_extended(mul_size(Max(n, 1), sizeof(double)), MCXT_ALLOC_HUGE);
	double area = 0;
	double best = 0;
	double sum = 0;
	double gini;

	for (int64 i = 0, end; i < n; i = end)
	{
		double alike = 0;

		for (end = i; end < n && outcomes[end].predicted[k] == outcomes[i].predicted[k]; end++)
		{
			actual[end] = outcomes[end].actual[k];
			alike += actual[end];
		}
		area += (sum + alike / 2) * (double) (end - i);
		sum += alike;
	}
	SortNumbers(actual, n);
	sum = 0;
	for (int64 i = 0; i < n; i++)
	{
		best += sum + actual[i] / 2;
		sum += actual[i];
	}
	pfree(actual);
	gini = Gini(best, (double) n, total);
	return total > 0 && gini > 1e-9 ? Gini(area, (double) n, total) / gini : NAN;
}

/* ---------- the report ---------- */

static Line *
NewLine(Report *report, const char *part, const char *class)
{
	Line *line;

	if (report->nlines == report->room)
	{
		report->room *= 2;
		report->lines = repalloc(report->lines, report->room * sizeof(Line));
	}
	line = &report->lines[report->nlines++];
	memset(line, 0, sizeof(*line));
	line->part = part;
	line->class = class;
	for (int k = 0; k < MEASURED; k++)
		line->gini[k] = line->decile_error[k] = NAN;
	return line;
}

static char *
DayText(DateADT day, bool whole)
{
	int year;
	int month;
	int number;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &number);
	return whole ? psprintf("%04d-%02d-%02d", year, month, number)
				 : psprintf("%04d-%02d", year, month);
}

/*
 * Deciles by forecast, for outcomes in its order.  Customers with equal forecasts share one decile,
 * that of the middle one of them.  Returns the error: the sum of the deciles' absolute errors over
 * the total.
 */
static double
PutDeciles(Report *report, const Outcome *outcomes, int64 n, Measured by, const char *part)
{
	Line deciles[DECILES];
	double off = 0;
	double total = 0;

	memset(deciles, 0, sizeof(deciles));
	for (int64 i = 0, end; i < n; i = end)
	{
		int decile;

		for (end = i; end < n && outcomes[end].predicted[by] == outcomes[i].predicted[by];)
			end++;
		decile = Min(DECILES - 1, (int) (((double) (i + end) / 2) / (double) n * DECILES));
		for (; i < end; i++)
			AddOutcome(deciles[decile].tally, &outcomes[i]);
	}
	for (int d = 0; d < DECILES; d++)
	{
		if (deciles[d].tally[by].customers > 0)
			memcpy(NewLine(report, part, psprintf("%d", d + 1))->tally, deciles[d].tally,
				   sizeof(deciles[d].tally));
		off += fabs(deciles[d].tally[by].actual - deciles[d].tally[by].predicted);
		total += deciles[d].tally[by].actual;
	}
	return total > 0 ? off / total : NAN;
}

static void
PutClasses(Report *report, const Test *test)
{
	Tally classes[LAST_CLASS + 1][MEASURED];

	memset(classes, 0, sizeof(classes));
	for (int64 i = 0; i < test->noutcomes; i++)
		AddOutcome(classes[Min(test->outcomes[i].facts.purchase_days - 1, LAST_CLASS)],
				   &test->outcomes[i]);
	for (int x = 0; x <= LAST_CLASS; x++)
		if (classes[x][PURCHASES].customers > 0)
			memcpy(NewLine(report, "frequency", psprintf(x == LAST_CLASS ? "%d+" : "%d", x))->tally,
				   classes[x], sizeof(classes[x]));
}

/* The months before the cut-off, then those after it; its own month is in both. */
static void
PutMonths(Report *report, const PurchaseRecord *record, const Test *test)
{
	PurchaseSummary *facts = palloc_extended(
		mul_size(Max(test->noutcomes, 1), sizeof(PurchaseSummary)), MCXT_ALLOC_HUGE);
	double *values =
		palloc_extended(mul_size(Max(test->noutcomes, 1), sizeof(double)), MCXT_ALLOC_HUGE);
	HoldoutMonth *months;
	int n;

	for (int64 i = 0; i < test->noutcomes; i++)
	{
		facts[i] = test->outcomes[i].facts;
		values[i] =
			ForecastSpend(&test->model, test->model.spend_parameters, &facts[i], true).value;
	}
	months = TrackMonths(record, &test->model, test->as_of, test->until, facts, values,
						 test->noutcomes, &n);
	for (int i = 0; i < n; i++)
	{
		Line *line = NewLine(report, months[i].forecast ? "forecast month" : "fitted month",
							 DayText(FirstOfMonth(months[i].month), false));

		for (int k = 0; k < MEASURED; k++)
		{
			line->tally[k].customers = months[i].customers;
			line->tally[k].predicted = months[i].predicted[k];
			line->tally[k].actual = months[i].actual[k];
			line->tally[k].error = NAN;
		}
	}
	pfree(facts);
	pfree(values);
}

/* Fills the report of a test, which already holds those of earlier ones. */
static void
FillReport(Report *report, const PurchaseRecord *record, Test *test, const EarlierTest *earlier,
		   int nearlier)
{
	Line *total = NewLine(report, "total", "all");
	double gini[MEASURED];
	double decile_error[MEASURED];

	memcpy(total->tally, test->total, sizeof(test->total));
	SetBounds(total, test, earlier, nearlier);
	for (int i = 0; i < nearlier; i++)
		memcpy(NewLine(report, "earlier total", DayText(earlier[i].as_of, true))->tally,
			   earlier[i].total, sizeof(earlier[i].total));
	PutClasses(report, test);
	for (int k = 0; k < (report->knows_value ? MEASURED : VALUE); k++)
	{
		OrderBy(test->outcomes, test->noutcomes, k);
		gini[k] =
			NormalisedGini(test->outcomes, test->noutcomes, (Measured) k, test->total[k].actual);
		decile_error[k] = PutDeciles(report, test->outcomes, test->noutcomes, (Measured) k,
									 k == VALUE ? "value decile" : "decile");
		/* the lines may have moved */
		report->lines[0].gini[k] = gini[k];
		report->lines[0].decile_error[k] = decile_error[k];
	}
	OrderBy(test->outcomes, test->noutcomes, MEASURED);
	PutMonths(report, record, test);
}

#define LINE_COLUMNS (3 + 2 * MEASURE_COLUMNS)
#define MEASURE_COLUMNS 9

static void
PutNumber(Datum *values, bool *nulls, int *at, double number)
{
	nulls[*at] = !isfinite(number);
	values[(*at)++] = Float8GetDatum(isfinite(number) ? number : 0);
}

/* The columns of one measure. */
static void
PutMeasure(Datum *values, bool *nulls, int *at, const Line *line, Measured k)
{
	const Tally *tally = &line->tally[k];
	double spread = tally->squares_predicted * tally->squares_actual;

	PutNumber(values, nulls, at, tally->predicted);
	PutNumber(values, nulls, at, tally->actual);
	PutNumber(values, nulls, at, tally->predicted > 0 ? tally->actual / tally->predicted : NAN);
	PutNumber(values, nulls, at, tally->error / (double) tally->customers);
	PutNumber(values, nulls, at,
			  spread > 0 && tally->max_predicted > tally->min_predicted
				  ? Min(1, Max(-1, tally->products / sqrt(spread)))
				  : NAN);
	PutNumber(values, nulls, at, line->with_bounds ? line->lower[k] : NAN);
	PutNumber(values, nulls, at, line->with_bounds ? line->upper[k] : NAN);
	PutNumber(values, nulls, at, line->gini[k]);
	PutNumber(values, nulls, at, line->decile_error[k]);
}

/* The report as an array of the row type. */
static Datum
ReportDatum(const Report *report, Oid line_type)
{
	TupleDesc desc = lookup_rowtype_tupdesc_copy(line_type, -1);
	Datum *lines = palloc(report->nlines * sizeof(Datum));

	for (int i = 0; i < report->nlines; i++)
	{
		const Line *line = &report->lines[i];
		Datum values[LINE_COLUMNS];
		bool nulls[LINE_COLUMNS] = {false};
		int at = 3;

		values[0] = CStringGetTextDatum(line->part);
		values[1] = CStringGetTextDatum(line->class);
		values[2] = Int64GetDatum(line->tally[PURCHASES].customers);
		PutMeasure(values, nulls, &at, line, PURCHASES);
		PutMeasure(values, nulls, &at, line, VALUE);
		for (int c = 3 + MEASURE_COLUMNS; c < LINE_COLUMNS && !report->knows_value; c++)
			nulls[c] = true;
		lines[i] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	return PointerGetDatum(
		construct_array(lines, report->nlines, line_type, -1, false, TYPALIGN_DOUBLE));
}

/* ---------- shared among processes ---------- */

/*
 * Up to three earlier stretches are tested, each as long as the one tested or half of the data
 * before it, and each forecast from at least as much time, by coarse fits like the one tested.
 */
typedef struct Stretches
{
	int32 days;
	int n;
} Stretches;

static Stretches
EarlierStretches(const PurchaseRecord *record)
{
	const FitOptions *options = &record->options;
	DateADT oldest = OldestRecorded(record);
	Stretches earlier = {Min(options->until - options->as_of, (options->as_of - oldest) / 2), 0};

	while (earlier.n < MAX_EARLIER && earlier.days >= MIN_STRETCH &&
		   options->as_of - (earlier.n + 2) * earlier.days >= oldest)
		earlier.n++;
	return earlier;
}

/* The fit that earlier ones start from. */
typedef struct FitTested
{
	bool usable; /* else nothing more is tested */
	int32 status;
	int64 regularity;
	double parameters[CLV_PARAMETERS];
	int32 stretch;
} FitTested;

/* Tests a stretch, 1 for the last one before that tested; no bytes if nothing can be said. */
static bytea *
TestEarlier(const PurchaseRecord *record, const FitTested *tested, int stretch)
{
	DateADT until = record->options.as_of - (stretch - 1) * tested->stretch;
	EarlierTest earlier = {.as_of = until - tested->stretch};
	ClvModel like = {.status = tested->status, .regularity = tested->regularity};
	Test test;

	if (!tested->usable)
		return CrewBytes(NULL, 0);
	memcpy(like.parameters, tested->parameters, sizeof(like.parameters));
	MakeTest(record, earlier.as_of, until, FitIsMaximum(tested->status) ? &like : NULL, &test);
	if (!ClvModelIsUsable(&test.model) || test.noutcomes == 0)
		return CrewBytes(NULL, 0);
	memcpy(earlier.total, test.total, sizeof(earlier.total));
	for (int k = 0; k < MEASURED; k++)
		earlier.chance[k] = ChanceVariance(&test, (Measured) k);
	return CrewBytes(&earlier, sizeof(earlier));
}

/*
 * The pieces of a test: earlier ones; before them a fit to all that is known now, if there is such
 * an input.
 */
static bytea *
TestPiece(Crew *crew, const CrewInput *inputs, int piece)
{
	const PurchaseRecord *record = inputs[0].bytes;
	bool with_fit = inputs[1].size > 0;
	int stretches = record != NULL ? EarlierStretches(record).n : 0;
	FitTested tested;

	if (with_fit && piece == 0)
	{
		SummaryState *state = memcpy(MemoryContextAllocHuge(CurrentMemoryContext, inputs[1].size),
									 inputs[1].bytes, inputs[1].size);
		ClvModel model;

		FitClvModel(state, &model);
		return ModelValue(&ClvModelFormat, &model);
	}
	memcpy(&tested, VARDATA(CrewResult(crew, stretches + with_fit)),
		   sizeof(tested)); /* unaligned */
	return TestEarlier(record, &tested, piece - with_fit + 1);
}

void
InitClvHoldout(void)
{
	RegisterCrewPiece("clv_holdout", TestPiece);
}

/* The test of the record itself, while workers are at the pieces; false: it says nothing. */
static bool
TestRecord(Crew *crew, const PurchaseRecord *record, Stretches stretches, Test *test)
{
	FitTested tested = {.stretch = stretches.days};
	const ClvModel *model = &test->model;

	MakeTest(record, record->options.as_of, record->options.until, NULL, test);
	tested.usable = test->noutcomes > 0 && ClvModelIsUsable(model);
	if (test->noutcomes > 0)
	{
		WarnOfClvFit(model);
		tested.status = model->status;
		tested.regularity = model->regularity;
		memcpy(tested.parameters, model->parameters, sizeof(tested.parameters));
	}
	GiveToCrew(crew, 0, CrewBytes(&tested, sizeof(tested)));
	return tested.usable;
}

/* What comes of fits and tests; 0 for none. */
typedef struct Findings
{
	Datum model;
	Datum lines;
	instr_time test; /* of the record itself */
} Findings;

/* Tests a record, or fits a model to a state, or both at once; either may be NULL. */
static Findings
FitAndTest(FunctionCallInfo fcinfo, const PurchaseRecord *record, const SummaryState *state,
		   Oid line_type)
{
	Findings found = {0};
	CrewInput inputs[MAX_CREW_INPUTS] = {{record, record != NULL ? VARSIZE(record) : 0},
										 {state, state != NULL ? VARSIZE(state) : 0}};
	Stretches stretches = {0};
	Report report = {.room = 64};
	EarlierTest earlier[MAX_EARLIER];
	int nearlier = 0;
	bool with_fit = state != NULL;
	bool says = false;
	instr_time began;
	Crew *crew;
	Test test;

	INSTR_TIME_SET_CURRENT(began);
	if (record != NULL)
		stretches = EarlierStretches(record);
	crew = StartCrew(fcinfo, "clv_holdout", inputs, 1, stretches.n + with_fit, record != NULL,
					 (double) (inputs[0].size + inputs[1].size) * 10 * cpu_operator_cost);
	if (record != NULL)
		says = TestRecord(crew, record, stretches, &test);
	INSTR_TIME_SET_CURRENT(found.test);
	INSTR_TIME_SUBTRACT(found.test, began);
	JoinCrew(crew);
	for (int i = 0; i < stretches.n; i++)
	{
		const bytea *result = CrewResult(crew, i + with_fit);

		if (VARSIZE(result) > VARHDRSZ)
			memcpy(&earlier[nearlier++], VARDATA(result), sizeof(EarlierTest));
	}
	if (says)
	{
		report.lines = palloc(report.room * sizeof(Line));
		report.knows_value = KnowsValue(&test.model);
		FillReport(&report, record, &test, earlier, nearlier);
		found.lines = ReportDatum(&report, line_type);
	}
	if (with_fit)
	{
		const bytea *result = CrewResult(crew, 0);

		found.model = PointerGetDatum(memcpy(palloc(VARSIZE(result)), result, VARSIZE(result)));
		WarnOfClvFit(ModelFromDatum(&ClvModelFormat, found.model));
	}
	EndCrew(crew);
	return found;
}

/* (state, history, fit_until, as_of [, model [, unit [, value [, day_weights]]]]) */
PG_FUNCTION_INFO_V1(clv_holdout_transfn);
Datum
clv_holdout_transfn(PG_FUNCTION_ARGS)
{
	FitOptions options;
	DateADT fit_until;

	(void) AggregateContext(fcinfo, "clv_holdout_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		return KeepSummaryState(fcinfo);
	fit_until = CheckedDay(PG_GETARG_DATEADT(2), "fit_until");
	ClvFitOptions(fcinfo, 3, 7, &options);
	if (fit_until >= options.until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("fit_until must be before as_of"),
				 errhint("The days between them are predicted.")));
	options.as_of = fit_until;
	PG_RETURN_POINTER(
		AddToRecord(PurchaseRecordArgument(fcinfo, 0), &options, true, PG_GETARG_HISTORY(1)));
}

PG_FUNCTION_INFO_V1(clv_holdout_finalfn);
Datum
clv_holdout_finalfn(PG_FUNCTION_ARGS)
{
	Findings found;

	(void) AggregateContext(fcinfo, "clv_holdout_finalfn");
	found = FitAndTest(fcinfo, PurchaseRecordArgument(fcinfo, 0), NULL,
					   get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid)));
	if (found.lines == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(found.lines);
}

/* (state of clv_fit, state of clv_holdout), either may be NULL: model, lines and seconds */
PG_FUNCTION_INFO_V1(clv_fit_and_test);
Datum
clv_fit_and_test(PG_FUNCTION_ARGS)
{
	SummaryState *state = SummaryStateArgument(fcinfo, 0);
	PurchaseRecord *record = PurchaseRecordArgument(fcinfo, 1);
	Findings found;
	Datum values[3];
	bool nulls[3];
	TupleDesc columns;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (state != NULL && (state->purpose > CLV_PARETO_NBD || state->nentries == 0))
		state = NULL;
	found =
		FitAndTest(fcinfo, record, state, get_element_type(TupleDescAttr(columns, 1)->atttypid));
	values[0] = found.model;
	values[1] = found.lines;
	values[2] = Float8GetDatum(INSTR_TIME_GET_DOUBLE(found.test));
	nulls[0] = found.model == (Datum) 0;
	nulls[1] = found.lines == (Datum) 0;
	nulls[2] = record == NULL;
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
