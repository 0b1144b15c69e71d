/*
 * clv_fit.c: the aggregate that fits repeat-purchase models.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_fit.h"
#include "clv/mixture.h"
#include "clv/phases.h"
#include "clv/spend.h"

#define COARSE_FROM 4096 /* points; a smaller sample is its own coarse one */
#define COARSER_TIMES 16 /* where models are only compared */
#define REGULARITY_LEVELS 6
#define INSIDE 100.0  /* largest coordinate, itself and not its log, that is far from edges */
#define MIN_RATE 1e-4 /* starting value for purchases per customer */

static void *
AllocArray(int64 count, Size size)
{
	return palloc_extended(mul_size(Max(count, 1), size), MCXT_ALLOC_HUGE);
}

#define ST_SORT SortTimes
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The index of a time among the distinct ones. */
static int32
TimeAt(const ClvSample *sample, double time)
{
	int64 low = 0;
	int64 high = sample->ntimes - 1;

	while (low < high)
	{
		int64 middle = (low + high) / 2;

		if (sample->times[middle] < time)
			low = middle + 1;
		else
			high = middle;
	}
	return (int32) low;
}

void
IndexTimes(ClvSample *sample)
{
	double *times = AllocArray(2 * sample->npoints, sizeof(double));
	int64 n = 0;

	for (int64 i = 0; i < sample->npoints; i++)
	{
		times[n++] = sample->points[i].T;
		/* the points are sorted, so the same t_x repeats */
		if (i == 0 || sample->points[i].t_x != sample->points[i - 1].t_x)
			times[n++] = sample->points[i].t_x;
	}
	SortTimes(times, n);
	sample->times = times;
	sample->ntimes = 0;
	for (int64 i = 0; i < n; i++)
		if (i == 0 || times[i] != times[i - 1])
			times[sample->ntimes++] = times[i];
	for (int64 i = 0; i < sample->npoints; i++)
	{
		CHECK_FOR_INTERRUPTS();
		sample->points[i].t_x_at = TimeAt(sample, sample->points[i].t_x);
		sample->points[i].T_at = TimeAt(sample, sample->points[i].T);
	}
	sample->scratch = AllocArray(mul_size(sample->ntimes, CLV_SCRATCH), sizeof(double));
}

/*
 * Weighted times are rounded to this part of a day: more distinct times would only cost more, above
 * all if the likelihood has an integral for each.
 */
#define DAY_PARTS 8.0
#define PARETO_DAY_PARTS 1.0

/* The weighted time of each day up to as_of: many customers share it. */
typedef struct DayTimes
{
	DateADT first;
	double *time; /* NULL: all days weigh the same */
} DayTimes;

static DayTimes
TimesOfDays(const SummaryState *state, const Season *season, int64 longest)
{
	DayTimes days = {.first = state->as_of};
	int64 oldest = 0;

	if (season == NULL || season->is_level)
		return days;
	for (int64 i = 0; i < state->nentries && FIT_KIND(state->entries[i].key) == FIT_CUSTOMER; i++)
		if (FitAge(&state->entries[i]) <= longest)
			oldest = Max(oldest, FitAge(&state->entries[i]));
	days.first = (DateADT) (state->as_of - oldest);
	days.time = AllocArray(oldest + 1, sizeof(double));
	for (int64 day = 0; day <= oldest; day++)
	{
		CHECK_FOR_INTERRUPTS();
		days.time[day] = WeightedTime(season, (DateADT) (days.first + day));
	}
	return days;
}

/* Days from one to another, weighted by the season. */
static inline double
DaysBetween(const DayTimes *days, double parts, DateADT after, DateADT until)
{
	if (days->time == NULL)
		return (double) until - after;
	return rint((days->time[until - days->first] - days->time[after - days->first]) * parts) /
		   parts;
}

void
ClvSampleFromState(const SummaryState *state, double unit_days, const Season *season,
				   DateADT observed_from, bool mixed, ClvSample *sample)
{
	double parts = state->purpose == CLV_PARETO_NBD ? PARETO_DAY_PARTS : DAY_PARTS;
	int64 longest =
		observed_from == DATEVAL_NOBEGIN ? PG_INT64_MAX : (int64) state->as_of - observed_from;
	DayTimes days = TimesOfDays(state, season, longest);

	memset(sample, 0, sizeof(*sample));
	sample->regularity = 1;
	sample->points = AllocArray(state->nentries, sizeof(ClvPoint));
	sample->regularities = mixed ? AllocArray(state->nentries, sizeof(float)) : NULL;
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		ClvPoint *point = &sample->points[sample->npoints];
		DateADT first;

		if (FIT_KIND(entry->key) != FIT_CUSTOMER)
			break;
		if (FitAge(entry) > longest)
			continue;
		sample->weight += (double) entry->weight;
		/* customers who differ only in later purchases are alike here */
		if (sample->npoints > 0 && i > 0 && state->entries[i - 1].key == entry->key &&
			FitAge(&state->entries[i - 1]) == FitAge(entry) &&
			(!mixed || FitRegularity(&state->entries[i - 1]) == FitRegularity(entry)))
		{
			point[-1].weight += (double) entry->weight;
			continue;
		}
		first = (DateADT) (state->as_of - FitAge(entry));
		point->x = FitPurchases(entry);
		point->t_x_days = (int32) FitLastDay(entry);
		point->T_days = (int32) FitAge(entry);
		point->t_x = DaysBetween(&days, parts, first, first + point->t_x_days) / unit_days;
		point->T = DaysBetween(&days, parts, first, state->as_of) / unit_days;
		point->weight = (double) entry->weight;
		if (mixed)
			sample->regularities[sample->npoints] = (float) FitRegularity(entry);
		sample->npoints++;
	}
	if (days.time != NULL)
		pfree(days.time);
}

/* The stretch that a time falls into; the first one is for time 0 only. */
static inline int
StretchOf(double time, double length, int stretches)
{
	return time <= 0 ? 0 : 1 + Min(stretches - 1, (int) (time / length));
}

/* Adds a time to the mean of its stretch. */
static void
AddToMean(double *mean, double *weight, double time, double more)
{
	*weight += more;
	*mean += (time - *mean) * more / *weight;
}

/* The class of regularity that customers fall into, the same for any x. */
static inline int
RegularityLevel(const ClvSample *sample, int64 i)
{
	double x = (double) sample->points[i].x;

	if (sample->regularities == NULL || x < 2)
		return 0;
	return Min(REGULARITY_LEVELS - 1,
			   (int) (REGULARITY_LEVELS * sqrt(-sample->regularities[i] / x)));
}

/*
 * Merges customers of the same x whose t_x and T fall into the same stretches of time, and replaces
 * t_x and T by the means of those stretches, so that there are few points and few times.  The
 * points are in order of x, so one table of stretches is open at a time.
 */
ClvSample *
CoarseClvSample(ClvSample *sample, int stretches)
{
	ClvSample *coarse;
	const int row = COARSE_TIMES + 1;
	const int levels = sample->regularities != NULL ? REGULARITY_LEVELS : 1;
	ClvPoint **table; /* by level of regularity, t_x and T */
	double mean_t[COARSE_TIMES + 1] = {0};
	double mean_T[COARSE_TIMES + 1] = {0};
	double weight_t[COARSE_TIMES + 1] = {0};
	double weight_T[COARSE_TIMES + 1] = {0};
	double length = 0;
	int64 table_x = -1;

	if (sample->npoints < COARSE_FROM)
		return sample;
	for (int64 i = 0; i < sample->npoints; i++)
		length = Max(length, sample->points[i].T);
	length /= stretches;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const ClvPoint *point = &sample->points[i];
		int t = StretchOf(point->t_x, length, stretches);
		int T = StretchOf(point->T, length, stretches);

		AddToMean(&mean_t[t], &weight_t[t], point->t_x, point->weight);
		AddToMean(&mean_T[T], &weight_T[T], point->T, point->weight);
	}
	table = palloc(levels * row * row * sizeof(*table));
	coarse = palloc0(sizeof(ClvSample));
	coarse->weight = sample->weight;
	coarse->regularity = sample->regularity;
	coarse->points = AllocArray(sample->npoints, sizeof(ClvPoint));
	if (levels > 1)
		coarse->regularities = AllocArray(sample->npoints, sizeof(float));
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const ClvPoint *point = &sample->points[i];
		int t = StretchOf(point->t_x, length, stretches);
		int T = StretchOf(point->T, length, stretches);
		ClvPoint **merged = &table[(RegularityLevel(sample, i) * row + t) * row + T];

		if (point->x != table_x)
		{
			memset(table, 0, levels * row * row * sizeof(*table));
			table_x = point->x;
		}
		if (*merged == NULL)
		{
			*merged = &coarse->points[coarse->npoints++];
			(*merged)->x = point->x;
			(*merged)->t_x = mean_t[t];
			(*merged)->T = Max(mean_T[T], mean_t[t]);
			(*merged)->weight = 0;
			if (levels > 1)
				coarse->regularities[*merged - coarse->points] = 0;
		}
		(*merged)->weight += point->weight;
		if (levels > 1)
		{
			float *mean = &coarse->regularities[*merged - coarse->points];

			*mean += (sample->regularities[i] - *mean) * point->weight / (*merged)->weight;
		}
	}
	pfree(table);
	IndexTimes(coarse);
	return coarse;
}

/* Starting values with the mean T as the unit of time; `rate` is purchases per unit. */
static void
SetStarts(FitProblem *problem, ClvFamily family, double rate)
{
	/*
	 * the second number: purchases while alive over all purchases; in the last two of each,
	 * customers are lost at once or hardly ever
	 */
	static const double bg[][CLV_PARAMETERS] = {{0.7, 2, 2, 0.45}, {0.25, 2, 2.5, 0.32},
												{2, 1.4, 3, 0.17}, {1, 2, 10, 0.3},
												{1, 1.5, 0.05, 1}, {20, 5, 0.5, 5}};
	static const double pareto[][CLV_PARAMETERS] = {{0.7, 1.7, 0.7, 1},  {0.3, 2.5, 1.5, 0.5},
													{2, 1.25, 0.4, 0.8}, {1, 1.4, 4, 0.4},
													{1, 1.5, 0.05, 20},  {20, 3, 0.05, 20}};
	const double(*starts)[CLV_PARAMETERS] = family == CLV_PARETO_NBD ? pareto : bg;

	problem->basis = ClvBasis(family);
	problem->nstarts = lengthof(bg);
	for (int s = 0; s < problem->nstarts; s++)
	{
		memcpy(problem->start[s], starts[s], sizeof(starts[s]));
		problem->start[s][1] *= rate;
	}
}

/* ---------- the purchase part ---------- */

#define REGULARITY_GAIN 2.0 /* gain in log-likelihood that one more phase requires */
#define SPLIT_GAIN 10.0     /* the same for two classes of customers: five parameters more */
#define MIXED_TIMES 16      /* stretches of time of a sample with regularities */
#define SMALLEST_CLASS 0.01 /* share below which a class is none */
#define CLOSE_ENOUGH 4.0    /* coarse log-likelihoods this close are compared on the whole sample */
#define SEASON_ROUNDS 6
#define SEASON_SETTLED 0.002 /* of a factor */
#define INFLOW_MONTHS 12     /* months needed before the inflow can be judged */
#define INFLOW_EDGE 2.0      /* first purchases in the first month over those in later months */
#define INFLOW_SOUND 1.5     /* from there on at most a third of those who look new are not */
#define INFLOW_LEFT 18 /* months to be left where a year is left out; for a season two years */
#define INFLOW_LEFT_SEASON 24
#define INFLOW_LEAST                                                                               \
	0.05 /* below, there are no new customers later, so those of the first month were new */

/* The purchase part of a fit in progress. */
typedef struct PurchaseFit
{
	const SummaryState *state;
	ClvModel *model;
	ClvSample sample; /* in units of the mean T */
	ClvSample *coarse;
	bool coarsely;      /* the only sample of the fit */
	double scale;       /* the mean T, in units of the model */
	double log_gaps;    /* sum over gaps of ln(length in units of the model) */
	double log_factors; /* sum over purchases of ln(factor of the month) */
	double curvature[CLV_PARAMETERS * CLV_PARAMETERS]; /* see FitProblem */
} PurchaseFit;

/* The customers whose first purchase can be trusted, with time weighted by the season. */
static void
SetSample(PurchaseFit *fit)
{
	ClvModel *model = fit->model;
	ClvSample *sample = &fit->sample;
	double scale = 0;

	ClvSampleFromState(fit->state, model->unit, &fit->model->calendar, model->observed_from, false,
					   sample);
	model->customers = (int64) sample->weight;
	model->repeaters = model->purchases = 0;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		model->purchases += (int64) sample->points[i].weight * sample->points[i].x;
		if (sample->points[i].x > 0)
			model->repeaters += (int64) sample->points[i].weight;
		scale += sample->points[i].weight * sample->points[i].T / sample->weight;
	}
	/* everybody's first purchase was today */
	if (scale <= 0)
		scale = 1;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		sample->points[i].t_x /= scale;
		sample->points[i].T /= scale;
	}
	fit->scale = scale;
	fit->coarse = CoarseClvSample(sample, fit->coarsely ? COARSER_TIMES : COARSE_TIMES);
	if (fit->coarse == sample)
		IndexTimes(sample);
}

/* Whether the purchase at the end of a gap is in the fit. */
static inline bool
GapCounts(const PurchaseFit *fit, int32 as_of_month, GapMonths months)
{
	return (fit->state->features & FIT_INFLOW) == 0 ||
		   fit->model->observed_from == DATEVAL_NOBEGIN ||
		   as_of_month - months.first >= MonthNumber(fit->model->observed_from);
}

/* The weighted days of a gap, and the factor of the day that ends it. */
static double
GapLength(const PurchaseFit *fit, int32 as_of_month, GapMonths months, const FitEntry *entry,
		  double *factor)
{
	const Season *calendar = &fit->model->calendar;
	int32 start = as_of_month - months.start;
	int32 end = as_of_month - months.end;

	if (calendar->ngiven > 0)
	{
		DateADT day = (DateADT) (fit->state->as_of - FitGapEnd(entry));

		/* somebody may have bought on a day of weight 0 all the same */
		*factor = Max(WeightedDays(calendar, day - 1, day), 1 / DAY_PARTS);
		return Max(WeightedDays(calendar, (DateADT) (day - FitGap(entry)), day), 1 / DAY_PARTS);
	}
	*factor = WeightedGap(calendar, end, end, 1);
	return WeightedGap(calendar, start, end, (double) FitGap(entry));
}

/* The part of the log-likelihood that depends on single gaps and purchases. */
static void
SumGaps(PurchaseFit *fit)
{
	const SummaryState *state = fit->state;
	int32 as_of_month = MonthNumber(state->as_of);

	fit->log_gaps = fit->log_factors = 0;
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		GapMonths months;
		double gap;
		double factor;

		if (FIT_KIND(entry->key) != FIT_GAP)
			continue;
		months = FitGapMonths(entry);
		if (!GapCounts(fit, as_of_month, months))
			continue;
		gap = GapLength(fit, as_of_month, months, entry, &factor);
		fit->log_gaps += (double) entry->weight * log(gap / fit->model->unit);
		if (!fit->model->calendar.is_level)
			fit->log_factors += (double) entry->weight * log(factor);
	}
}

/* Converts a log-likelihood from units of the mean T to units of the model. */
static double
WholeLogLikelihood(const PurchaseFit *fit, int k, double log_likelihood)
{
	double purchases = (double) fit->model->purchases;

	log_likelihood -= k * purchases * log(fit->scale);
	if (k > 1)
		log_likelihood += (k - 1) * fit->log_gaps - purchases * lgamma(k);
	return log_likelihood + fit->log_factors;
}

#define CLV_RATE 1 /* the coordinate that is the rate of purchases */

/*
 * Moves coordinates near edges, where the likelihood is level, to where it may rise inwards;
 * returns whether there were any.
 */
static bool
PullInside(double *start)
{
	bool pulled = false;

	for (int i = 0; i < CLV_PARAMETERS; i++)
	{
		double inside = Max(1 / INSIDE, Min(INSIDE, start[i]));

		if (i == CLV_RATE || start[i] == inside)
			continue;
		start[i] = inside;
		pulled = true;
	}
	return pulled;
}

/* How a likelihood is maximised. */
typedef enum Effort
{
	ROUGHLY, /* only climbing, on the coarse sample */
	FULLY,
	WITH_BOUNDS,
	PENALIZED /* as a fallback, from scratch */
} Effort;

/* Maximises the likelihood at one regularity, starting where a fit at another ended, or from
 * scratch. */
static void
FitAt(PurchaseFit *fit, int k, ClvSample *sample, const FitResult *known, int known_k,
	  Effort effort, FitResult *result)
{
	const ClvModel *model = fit->model;
	FitProblem problem = {
		.nparameters = CLV_PARAMETERS, .npositive = CLV_PARAMETERS, .sample = sample};

	sample->regularity = fit->coarse->regularity = k;
	problem.likelihood = ClvLikelihood((ClvFamily) model->family);
	problem.coarse = fit->coarse;
	problem.weight = sample->weight;
	problem.penalized = effort == PENALIZED;
	problem.roughly = effort == ROUGHLY;
	problem.with_bounds = effort == WITH_BOUNDS;
	problem.curvature = fit->curvature;
	/* half a purchase is added, so that the starting rate is positive */
	SetStarts(&problem, model->family,
			  k * Max(((double) model->purchases + 0.5) / sample->weight, MIN_RATE));
	if (known && effort != PENALIZED && model->family != CLV_PARETO_NBD)
	{
		double scratch[CLV_PARAMETERS];

		memcpy(scratch, problem.start[0], sizeof(scratch));
		ClvCoordinates((ClvFamily) model->family, known->parameters, problem.start[0]);
		problem.start[0][CLV_RATE] *= (double) k / known_k;
		problem.nstarts = 1;
		/* two ways to an inner maximum */
		if (effort == ROUGHLY && PullInside(problem.start[0]))
			memcpy(problem.start[problem.nstarts++], scratch, sizeof(scratch));
	}
	if (problem.nstarts > 1)
		memset(fit->curvature, 0, sizeof(fit->curvature));
	MaximizeLikelihood(&problem, result);
}

/*
 * The regularity of the greatest likelihood on the coarse sample; a larger one must be clearly
 * better.  The likelihood has a single peak over k.  `close` is another regularity that the coarse
 * sample cannot distinguish from it, or 0.  `best` is where to start from if `known_k` is above 0.
 */
static int
LikelyRegularity(PurchaseFit *fit, FitResult *best, int known_k, int *close)
{
	double value[MAX_REGULARITY + 1];
	FitResult result = *best;
	int chosen = 1;

	*close = 0;
	for (int k = 1; k <= MAX_REGULARITY; k++)
	{
		FitAt(fit, k, fit->coarse, known_k > 0 ? &result : NULL, known_k, ROUGHLY, &result);
		value[k] = FitIsMaximum(result.status) ? WholeLogLikelihood(fit, k, result.log_likelihood)
											   : -INFINITY;
		known_k = FitIsMaximum(result.status) ? k : 0;
		if (k == 1 || value[k] > value[chosen] + REGULARITY_GAIN)
		{
			chosen = k;
			*best = result;
		}
		else if (k > chosen + 1)
			break;
	}
	for (int k = Max(1, chosen - 1); k <= Min(MAX_REGULARITY, chosen + 1); k++)
		if (k != chosen &&
			fabs(value[k] - value[chosen] + (k > chosen ? -1 : 1) * REGULARITY_GAIN) < CLOSE_ENOUGH)
			*close = k;
	return chosen;
}

/* Adds a rate of purchases to the days after one day up to another. */
static inline void
AddStretch(double *rate, DateADT from, DateADT after, DateADT until, double more)
{
	rate[Max((int64) after + 1 - from, 0)] += more;
	rate[Max((int64) until + 1 - from, 0)] -= more;
}

/*
 * Purchases by calendar month, actual and expected by the fit without a season: each customer's
 * estimated rate on the days on which they were, or probably were, active.
 */
static void
PurchasesByMonth(const PurchaseFit *fit, int k, const double *parameters, MonthlyPurchases *months)
{
	const SummaryState *state = fit->state;
	ClvProcess process = {(ClvFamily) fit->model->family, k};
	double phases[MAX_REGULARITY];
	int32 as_of_month = MonthNumber(state->as_of);
	int64 longest = 0;
	double sum = 0;
	DateADT from;
	double *rate;
	int64 ndays;

	for (int64 i = 0; i < fit->sample.npoints; i++)
		longest = Max(longest, fit->sample.points[i].T_days);
	for (int j = 0; j < k; j++)
		phases[j] = j;
	months->first =
		Max(MonthNumber((DateADT) (state->as_of - longest)), as_of_month - MAX_SEASON_MONTHS + 1);
	months->n = as_of_month - months->first + 1;
	memset(months->actual, 0, sizeof(months->actual));
	memset(months->expected, 0, sizeof(months->expected));
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		GapMonths gap;

		if (FIT_KIND(entry->key) != FIT_GAP)
			continue;
		gap = FitGapMonths(entry);
		if (gap.end < months->n && GapCounts(fit, as_of_month, gap))
			months->actual[months->n - 1 - gap.end] += (double) entry->weight;
	}

	from = FirstOfMonth(months->first);
	ndays = (int64) state->as_of - from + 1;
	rate = AllocArray(ndays + 1, sizeof(double));
	memset(rate, 0, (ndays + 1) * sizeof(double));
	for (int64 i = 0; i < fit->sample.npoints; i++)
	{
		const ClvPoint *point = &fit->sample.points[i];
		ClvCustomer customer = {(double) point->x, point->t_x, point->T};
		DateADT first = (DateADT) (state->as_of - point->T_days);
		double shape = parameters[CLV_R] + k * customer.x;
		double q = (customer.T - customer.t_x) / (parameters[CLV_ALPHA] + customer.T);
		double alive = Logistic(-LogDropoutOdds(process, parameters, &customer));
		double staying = (shape + (k > 1 ? PhaseMean(k, shape, q, phases) : 0)) /
						 (parameters[CLV_ALPHA] + customer.T);
		double left = shape / (parameters[CLV_ALPHA] + customer.t_x);

		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		AddStretch(rate, from, first, state->as_of, point->weight * alive * staying);
		AddStretch(rate, from, first, first + point->t_x_days, point->weight * (1 - alive) * left);
	}
	for (int64 day = 0, month = 0; day < ndays; day++)
	{
		while (month + 1 < months->n &&
			   from + day >= FirstOfMonth((int32) (months->first + month + 1)))
			month++;
		sum += rate[day];
		/* without a season, but not without the weights that were given */
		months->expected[month] += sum *
								   GivenWeight(&fit->model->calendar, (DateADT) (from + day)) /
								   (k * fit->scale * fit->model->unit);
	}
	pfree(rate);
}

/* Makes the calendar from the monthly factors found; returns the largest change of a factor. */
static double
SetCalendar(PurchaseFit *fit, const MonthEffects *effects)
{
	ClvModel *model = fit->model;
	Season *calendar = &model->calendar;
	double moved = 0;

	SetSeason(calendar, model->season_status == SEASON_FITTED ? effects->of_year : NULL);
	for (int m = 0; m < YEAR_MONTHS; m++)
	{
		moved = Max(moved, fabs(calendar->factor[m] - model->season[m]));
		model->season[m] = calendar->factor[m];
	}
	for (int i = 0; i < Max(effects->nown, model->nown_months); i++)
		moved = Max(moved, fabs((i < effects->nown ? effects->own[i] : 1) -
								(i < model->nown_months ? model->own_months[i] : 1)));
	model->nown_months = effects->nown;
	memcpy(model->own_months, effects->own, sizeof(model->own_months));
	SetOwnMonths(calendar, model->as_of, model->nown_months, model->own_months);
	SetDayWeights(calendar, model->nday_runs, model->day_runs);
	if (moved > 0)
		SetSample(fit);
	return moved;
}

/*
 * Finds the season and the factors of single months in rounds: each compares what customers bought
 * in each month with what the fit of the previous round expected.  `result` is the last fit and, if
 * `known`, the one to start from.  Returns false if there is none.
 */
static bool
FindSeason(PurchaseFit *fit, int k, bool known, FitResult *result)
{
	ClvModel *model = fit->model;
	bool seasonal = (fit->state->features & FIT_SEASON) != 0;
	MonthEffects effects = {{0}};

	for (int round = 0; round < SEASON_ROUNDS; round++)
	{
		MonthlyPurchases months;

		FitAt(fit, k, fit->coarse, known ? result : NULL, k, ROUGHLY, result);
		known = FitIsMaximum(result->status);
		if (!known)
			break;
		PurchasesByMonth(fit, k, result->parameters, &months);
		model->season_status = FitMonths(&months, seasonal, &effects);
		if ((fit->state->features & FIT_MONTHS) == 0)
			effects.nown = 0;
		if (SetCalendar(fit, &effects) < SEASON_SETTLED)
			break;
	}
	return known;
}

static int
CompareNumbers(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/*
 * The month from which a first purchase in the data is a first purchase: at the left edge of the
 * data everybody looks new, and the inflow falls to its later level.  Without such a fall, or
 * without new customers later, all first purchases can be trusted.  Who was there before and buys
 * seldom shows up late: where the data are long, the whole first year is left out.
 */
static DateADT
ObservedFrom(const SummaryState *state)
{
	double inflow[INFLOW_MONTHS] = {0};
	double later[INFLOW_MONTHS / 2];
	int64 longest = 0;
	DateADT first;
	int32 month;
	double level;

	for (int64 i = 0; i < state->nentries; i++)
		if (FIT_KIND(state->entries[i].key) == FIT_CUSTOMER)
			longest = Max(longest, FitAge(&state->entries[i]));
	first = (DateADT) (state->as_of - longest);
	month = MonthNumber(first);
	if (MonthNumber(state->as_of) - month < INFLOW_MONTHS)
		return DATEVAL_NOBEGIN;
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		int32 of_entry;

		if (FIT_KIND(entry->key) != FIT_CUSTOMER)
			continue;
		of_entry = MonthNumber((DateADT) (state->as_of - FitAge(entry))) - month;
		if (of_entry < INFLOW_MONTHS)
			inflow[of_entry] += (double) entry->weight;
	}
	/* per day, since the first month may be incomplete */
	for (int i = 0; i < INFLOW_MONTHS; i++)
		inflow[i] /= FirstOfMonth(month + i + 1) - Max(FirstOfMonth(month + i), first);
	memcpy(later, inflow + INFLOW_MONTHS / 2, sizeof(later));
	qsort(later, INFLOW_MONTHS / 2, sizeof(double), CompareNumbers);
	level = (later[INFLOW_MONTHS / 4 - 1] + later[INFLOW_MONTHS / 4]) / 2;
	if (inflow[0] < INFLOW_EDGE * level || level < INFLOW_LEAST * inflow[0])
		return DATEVAL_NOBEGIN;
	if (MonthNumber(state->as_of + 1) - (month + INFLOW_MONTHS) >=
		((state->features & FIT_SEASON) ? INFLOW_LEFT_SEASON : INFLOW_LEFT))
		return FirstOfMonth(month + INFLOW_MONTHS);
	for (int i = 1; i < INFLOW_MONTHS; i++)
		if (inflow[i] <= INFLOW_SOUND * level)
			return FirstOfMonth(month + i);
	return DATEVAL_NOBEGIN;
}

/* Puts a fit to the whole sample, in units of the mean T, into the model. */
static void
KeepFit(PurchaseFit *fit, int k, const FitResult *result)
{
	ClvModel *model = fit->model;

	model->regularity = k;
	memcpy(model->parameters, result->parameters, sizeof(model->parameters));
	model->parameters[CLV_ALPHA] *= fit->scale;
	if (model->family == CLV_PARETO_NBD)
		model->parameters[CLV_BETA] *= fit->scale;
	memset(model->bounds, 0, sizeof(model->bounds));
	for (int b = 0; b < result->nbounds; b++)
	{
		double *bound = model->bounds + b * CLV_PARAMETERS;

		memcpy(bound, result->bounds[b], CLV_PARAMETERS * sizeof(double));
		bound[CLV_ALPHA] *= fit->scale;
		if (model->family == CLV_PARETO_NBD)
			bound[CLV_BETA] *= fit->scale;
	}
	if (result->covariance != NULL)
		memcpy(model->covariance, result->covariance, sizeof(model->covariance));
	model->log_likelihood = WholeLogLikelihood(fit, k, result->log_likelihood);
}

/* A fit at k, and at another k if the coarse sample could not distinguish them. */
static void
FitWhole(PurchaseFit *fit, int k, int close, const FitResult *known, int known_k)
{
	ClvModel *model = fit->model;
	FitResult result;
	FitResult other;
	double gain;

	FitAt(fit, k, &fit->sample, k > 1 && known_k > 0 ? known : NULL, known_k, WITH_BOUNDS, &result);
	model->status = result.status;
	if (!FitIsMaximum(result.status))
		return;
	KeepFit(fit, k, &result);
	if (close == 0)
		return;
	FitAt(fit, close, &fit->sample, &result, k, WITH_BOUNDS, &other);
	gain = WholeLogLikelihood(fit, close, other.log_likelihood) - model->log_likelihood;
	if (FitIsMaximum(other.status) && gain > (close > k ? REGULARITY_GAIN : -REGULARITY_GAIN))
	{
		model->status = other.status;
		KeepFit(fit, close, &other);
	}
}

/* The same on the coarse sample only, from a fit whose days may have been weighted differently. */
static void
FitCoarsely(PurchaseFit *fit, int k, const FitResult *known, int known_k)
{
	FitResult result;

	FitAt(fit, k, fit->coarse, known_k > 0 ? known : NULL, known_k, ROUGHLY, &result);
	fit->model->status = result.status;
	if (FitIsMaximum(result.status))
		KeepFit(fit, k, &result);
}

/*
 * The same customers at random: how regular they are differs, and the probability of a purchase is
 * better known by both.  The coarse sample is good enough for that.
 */
static void
FitAtRandom(PurchaseFit *fit)
{
	ClvModel *model = fit->model;
	FitResult known = {.status = FIT_CONVERGED};
	FitResult result;

	memcpy(known.parameters, model->parameters, sizeof(model->parameters));
	known.parameters[CLV_ALPHA] /= fit->scale;
	FitAt(fit, 1, fit->coarse, &known, (int) model->regularity, FULLY, &result);
	if (!FitIsMaximum(result.status))
		return;
	memcpy(model->random_parameters, result.parameters, sizeof(model->random_parameters));
	model->random_parameters[CLV_ALPHA] *= fit->scale;
}

/* Customers with their regularity, in units of the fit. */
static ClvSample *
SampleWithRegularity(const PurchaseFit *fit, ClvSample *sample)
{
	const ClvModel *model = fit->model;
	ClvSample *coarse;

	ClvSampleFromState(fit->state, model->unit, &model->calendar, model->observed_from, true,
					   sample);
	for (int64 i = 0; i < sample->npoints; i++)
	{
		sample->points[i].t_x /= fit->scale;
		sample->points[i].T /= fit->scale;
	}
	coarse = CoarseClvSample(sample, fit->coarsely ? COARSER_TIMES : MIXED_TIMES);
	if (coarse == sample)
		IndexTimes(sample);
	return coarse;
}

/*
 * Splits the customers, who are on the whole regular, into regular ones and others who buy at
 * random, with parameters of their own; those who are regular are more so than all together.  The
 * coarse sample is good enough for the parameters.  Nothing is split without a clear gain.
 */
static void
SplitByRegularity(PurchaseFit *fit)
{
	ClvModel *model = fit->model;
	ClvFamily family = (ClvFamily) model->family;
	Mixture best = {.regularity = (int) model->regularity, .share = 0.5};
	ClvSample sample;
	ClvSample *coarse = SampleWithRegularity(fit, &sample);
	double value;

	memcpy(best.regular, model->parameters, sizeof(best.regular));
	memcpy(best.random, model->random_parameters, sizeof(best.random));
	best.regular[CLV_ALPHA] /= fit->scale;
	best.random[CLV_ALPHA] /= fit->scale;
	best.share = 0;
	value = MixtureLogLikelihood(coarse, family, &best) + SPLIT_GAIN;
	best.share = 0.5;
	for (int k = best.regularity; k <= MAX_REGULARITY; k++)
	{
		Mixture mixture = best;

		mixture.regular[CLV_ALPHA] *= (double) best.regularity / k;
		mixture.regularity = k;
		if (!FitMixture(coarse, family, &mixture, NULL) || !(mixture.log_likelihood > value))
			break;
		best = mixture;
		value = mixture.log_likelihood + REGULARITY_GAIN;
	}
	if (best.share == 0.5 || Min(best.share, 1 - best.share) < SMALLEST_CLASS)
		return;
	(void) FitMixture(coarse, family, &best, model->mixed_covariance);
	model->regularity = best.regularity;
	memcpy(model->parameters, best.regular, sizeof(best.regular));
	memcpy(model->random_parameters, best.random, sizeof(best.random));
	model->parameters[CLV_ALPHA] *= fit->scale;
	model->random_parameters[CLV_ALPHA] *= fit->scale;
	model->random_share = best.share;
	/* its first rows are those of the regular class */
	memcpy(model->covariance, model->mixed_covariance, sizeof(model->covariance));
	memset(model->bounds, 0, sizeof(model->bounds));
	model->log_likelihood = MixtureLogLikelihood(&sample, family, &best) -
							(double) model->purchases * log(fit->scale) + fit->log_factors;
}

/* Determines who is in the fit, and from when on. */
static void
BeginPurchaseFit(PurchaseFit *fit)
{
	const SummaryState *state = fit->state;
	ClvModel *model = fit->model;

	model->observed_from =
		(state->features & FIT_INFLOW) ? ObservedFrom(state) : state->observed_from;
	SetSample(fit);
	for (int64 i = 0; i < state->nentries; i++)
		if (FIT_KIND(state->entries[i].key) == FIT_CUSTOMER)
			model->early_customers += state->entries[i].weight;
	model->early_customers -= model->customers;
	model->status = model->customers == 0 ? FIT_FAILED : FIT_FEW_REPEATERS;
}

/* A fit to start from, made for much the same customers. */
static int
StartFrom(const PurchaseFit *fit, const ClvModel *like, FitResult *known)
{
	known->status = like->status;
	memcpy(known->parameters, like->parameters, sizeof(like->parameters));
	known->parameters[CLV_ALPHA] /= fit->scale;
	return (int) like->regularity;
}

/*
 * The purchase part: which customers, from when, how regular, then the parameters.  With
 * `coarsely`, on a coarsened sample, starting from a model `like` this one (NULL for from scratch),
 * which says how regular customers are unless that was asked for.
 */
static void
FitPurchasePart(ClvModel *model, const SummaryState *state, bool coarsely, const ClvModel *like)
{
	PurchaseFit fit = {.state = state, .model = model, .coarsely = coarsely};
	bool any = (state->features & FIT_REGULARITY) == 0; /* regularity may be asked for */
	int asked = any && like ? (int) like->regularity : state->features & FIT_REGULARITY;
	bool by_month = (state->features & (FIT_SEASON | FIT_MONTHS)) != 0;
	int k = Max(asked, 1);
	int close = 0;
	FitResult known = {0};
	FitResult result;
	int known_k = 0;
	bool enough;

	BeginPurchaseFit(&fit);
	if (model->status == FIT_FAILED)
		return;
	enough = model->repeaters >= FEW_REPEATERS;
	SumGaps(&fit);
	if (like && FitIsMaximum(like->status))
		known_k = StartFrom(&fit, like, &known);
	if (asked == 0 && enough)
		known_k = k = LikelyRegularity(&fit, &known, 0, &close);
	if (by_month)
		model->season_status = (state->features & FIT_SEASON) ? SEASON_SHORT : SEASON_NONE;
	if (by_month && enough)
	{
		bool start = known_k == k && FitIsMaximum(known.status);

		if (start)
			result = known;
		if (FindSeason(&fit, k, start, &result) && asked > 0)
		{
			known = result;
			known_k = k;
		}
		if (!model->calendar.is_level)
		{
			SumGaps(&fit);
			if (asked == 0)
				known_k = k = LikelyRegularity(&fit, &known, known_k, &close);
		}
	}
	if (fit.coarse != &fit.sample && !coarsely)
		IndexTimes(&fit.sample);

	if (enough && coarsely)
		FitCoarsely(&fit, k, &known, known_k);
	else if (enough)
		FitWhole(&fit, k, close, &known, known_k);
	if (FitIsMaximum(model->status) && model->regularity > 1 &&
		(any || (state->features & FIT_MIXED) != 0))
	{
		FitAtRandom(&fit);
		if ((state->features & FIT_MIXED) != 0 && model->random_parameters[CLV_R] > 0)
			SplitByRegularity(&fit);
		if (!any && model->random_share == 0)
			memset(model->random_parameters, 0, sizeof(model->random_parameters));
	}
	if (!FitIsMaximum(model->status))
	{
		FitAt(&fit, k, coarsely ? fit.coarse : &fit.sample, NULL, 0, PENALIZED, &result);
		if (FitIsMaximum(result.status))
			KeepFit(&fit, k, &result);
		else
			model->status = FIT_FAILED;
	}
}

/* Initialises a model before its parts are fitted to a state. */
static void
BeginClvModel(SummaryState *state, ClvModel *model)
{
	InitModel(&ClvModelFormat, model);
	model->family = state->purpose;
	model->basis = state->basis;
	model->as_of = state->as_of;
	model->unit = state->unit;
	SortSummaryState(state);
	model->day_runs = DayRunsOfState(state, &model->nday_runs);
	SetSeason(&model->calendar, NULL);
	SetDayWeights(&model->calendar, model->nday_runs, model->day_runs);
}

void
FitClvModel(SummaryState *state, ClvModel *model)
{
	BeginClvModel(state, model);
	FitPurchasePart(model, state, false, NULL);
	FitSpendPart(model, state);
}

void
FitClvModelCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model)
{
	FitPurchasesCoarsely(state, like, model);
	FitSpendPart(model, state);
}

void
FitPurchasesCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model)
{
	BeginClvModel(state, model);
	FitPurchasePart(model, state, true, like);
}

void
WarnOfFit(const char *model, FitStatus status, const char *detail)
{
	switch (status)
	{
		case FIT_FAILED:
			ereport(WARNING,
					(errmsg("the %s model did not converge", model),
					 errdetail_internal("%s", detail),
					 errhint("Its predictions are NULL. Fit more customers, a longer history "
							 "or another model.")));
			break;
		case FIT_FEW_REPEATERS:
		case FIT_NO_MAXIMUM:
			ereport(
				WARNING,
				(errmsg("the %s model falls back on a penalised likelihood: %s", model,
						status == FIT_FEW_REPEATERS ? "too few customers bought again"
													: "the likelihood has no maximum"),
				 errdetail_internal("%s", detail),
				 errhint(
					 "Its predictions lean on assumptions; see the documentation of the fit.")));
			break;
		case FIT_EDGE:
			ereport(
				NOTICE,
				(errmsg("the %s model has its maximum at an edge", model),
				 errdetail_internal("%s", detail),
				 errhint("Parameters without a standard error have gone to their limit; see the "
						 "documentation of the fit.")));
			break;
		default:
			break;
	}
}

void
WarnOfClvFit(const ClvModel *model)
{
	WarnOfFit(ClvModelName(model), model->status,
			  psprintf("It has %lld customers, %lld of them with a repeat purchase.",
					   (long long) model->customers, (long long) model->repeaters));
	if (model->spend_customers < FEW_REPEATERS)
		return;
	if (model->spend_status == FIT_EDGE)
		ereport(NOTICE, (errmsg("the spend part of the model has its maximum at an edge")));
	else if (model->spend_status != FIT_CONVERGED)
		ereport(WARNING,
				(errmsg("the spend part of the model falls back on the mean value: %s",
						model->spend_status == FIT_NO_MEAN ? "q is not above 1"
														   : "the likelihood has no maximum")));
}

/* ---------- the aggregate ---------- */

void
ClvFitOptions(FunctionCallInfo fcinfo, int argument, int days_argument, FitOptions *options)
{
	int last = Min(PG_NARGS(), argument + 4); /* others may follow */

	options->days = *DayWeightsArgument(fcinfo, days_argument);
	options->as_of = options->until = CheckedDay(PG_GETARG_DATEADT(argument), "as_of");
	options->purpose = CLV_MBG_NBD;
	options->features = 1;
	options->observed_from = DATEVAL_NOBEGIN;
	options->unit = WEEK_DAYS;
	options->basis = VALUE_REVENUE;
	if (argument + 1 < last && !PG_ARGISNULL(argument + 1))
		ReadModelName(PG_GETARG_TEXT_PP(argument + 1), options);
	if (argument + 2 < last && !PG_ARGISNULL(argument + 2))
		options->unit = UnitFromInterval(PG_GETARG_INTERVAL_P(argument + 2));
	if (argument + 3 < last && !PG_ARGISNULL(argument + 3))
	{
		text *name = PG_GETARG_TEXT_PP(argument + 3);
		int basis = WordNumber(ValueBasisNames, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

		if (basis < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown value \"%s\"", ShortText(name)),
							errhint("A model's value is revenue or profit.")));
		options->basis = (uint8) basis;
	}
}

/* (state, history, as_of [, model [, unit [, value [, day_weights]]]]) */
PG_FUNCTION_INFO_V1(clv_fit_transfn);
Datum
clv_fit_transfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	FitOptions options;
	PurchaseSummary facts;

	(void) AggregateContext(fcinfo, "clv_fit_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return KeepSummaryState(fcinfo);
	ClvFitOptions(fcinfo, 2, 6, &options);
	state = SummaryStateFor(SummaryStateArgument(fcinfo, 0), &options);
	if (SummarizePurchases(PG_GETARG_HISTORY(1), options.as_of, options.until,
						   (ValueBasis) options.basis, &facts))
	{
		state = AddSpend(AddCustomer(state, &facts), &facts);
		state = AddGaps(state, PG_GETARG_HISTORY(1));
	}
	PG_RETURN_POINTER(state);
}

/* Shared by all aggregates with this state. */
PG_FUNCTION_INFO_V1(summary_state_combine);
Datum
summary_state_combine(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "summary_state_combine");
	if (PG_ARGISNULL(1))
		return KeepSummaryState(fcinfo);
	PG_RETURN_POINTER(
		CombineSummaryStates(SummaryStateArgument(fcinfo, 0), SummaryStateArgument(fcinfo, 1)));
}

PG_FUNCTION_INFO_V1(clv_fit_finalfn);
Datum
clv_fit_finalfn(PG_FUNCTION_ARGS)
{
	SummaryState *state;
	ClvModel model;

	(void) AggregateContext(fcinfo, "clv_fit_finalfn");
	state = SummaryStateArgument(fcinfo, 0);
	if (state->purpose > CLV_PARETO_NBD || state->nentries == 0)
		PG_RETURN_NULL();
	FitClvModel(state, &model);
	WarnOfClvFit(&model);
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &model));
}
