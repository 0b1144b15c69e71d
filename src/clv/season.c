/*
 * season.c: days that are not alike.
 */
#include "postgres.h"

#include <math.h>

#include "storage/shmem.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "base/newton.h"
#include "clv/season.h"

#define MEAN_YEAR 365.2425
#define MAX_YEARS_AHEAD 10000
#define MIN_EXPECTED 5.0     /* purchases expected in an informative month */
#define MIN_SEEN_TWICE 6     /* months of the year, to tell a season from a trend */
#define LEVEL_DEVIATION 0.01 /* in ln factor: months that differ less are equal */
#define VARIANCE_ROUNDS 100
#define MIN_VARIANCE 1e-6
#define MIN_OWN_MONTHS 4 /* informative months needed for factors of single months */
#define MAX_OWN 2.0      /* of ln factor */

const char *const SeasonStatusNames[] = {"none", "fitted", "too short", "level", "given", NULL};

static const int MonthDays[2][YEAR_MONTHS] = {{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31},
											  {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}};

static inline int32
FloorDivide(int32 a, int32 b)
{
	return a / b - (a % b < 0);
}

static inline bool
IsLeapYear(int32 year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Leap years before the year, counted from the year 0. */
static inline int32
LeapYearsBefore(int32 year)
{
	int32 last = year - 1;

	return FloorDivide(last, 4) - FloorDivide(last, 100) + FloorDivide(last, 400) + 1;
}

/* The factor of the month of the year alone. */
static inline double
SeasonOfMonth(const Season *season, int32 number)
{
	return season->factor[number - YEAR_MONTHS * FloorDivide(number, YEAR_MONTHS)];
}

void
SetSeason(Season *season, const double *factors)
{
	double year = 0;

	season->nown = season->ngiven = 0;
	season->own_until = DATEVAL_NOBEGIN;
	season->is_level = true;
	for (int m = 0; m < YEAR_MONTHS; m++)
	{
		season->factor[m] = factors ? factors[m] : 1;
		if (season->factor[m] != 1)
			season->is_level = false;
		year += season->factor[m] * (m == 1 ? 28.2425 : MonthDays[0][m]);
	}
	for (int leap = 0; leap < 2; leap++)
	{
		season->before[leap][0] = 0;
		for (int m = 0; m < YEAR_MONTHS; m++)
		{
			if (!season->is_level && leap == 0)
				season->factor[m] *= MEAN_YEAR / year;
			season->before[leap][m + 1] =
				season->before[leap][m] + season->factor[m] * MonthDays[leap][m];
		}
	}
}

void
SetOwnMonths(Season *season, DateADT until, int n, const float *factors)
{
	season->nown = n;
	season->own_until = until;
	if (n == 0)
		return;
	season->is_level = false;
	season->own_first = MonthNumber(until) - n + 1;
	season->own_before[0] = 0;
	for (int i = 0; i < n; i++)
	{
		DateADT end = Min(until + 1, FirstOfMonth(season->own_first + i + 1));
		double days = end - FirstOfMonth(season->own_first + i);

		season->own[i] = factors[i];
		season->own_before[i + 1] =
			season->own_before[i] +
			days * (season->own[i] - 1) * SeasonOfMonth(season, season->own_first + i);
	}
}

/* The weighted days that factors of single months add up to the end of a day. */
static double
OwnTime(const Season *season, DateADT day, int32 number, int day_of_month)
{
	int32 i = number - season->own_first;

	if (i < 0)
		return 0;
	if (day >= season->own_until)
		return season->own_before[season->nown];
	return season->own_before[i] +
		   day_of_month * (season->own[i] - 1) * SeasonOfMonth(season, number);
}

/* The number of stretches that begin by a day. */
static int
StretchesBy(const Season *season, DateADT day)
{
	int low = 0;
	int high = season->ngiven;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (season->given[middle].from <= day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The weighted days that given weights add up to the end of a day. */
static double
GivenTime(const Season *season, DateADT day)
{
	int n = StretchesBy(season, day);
	const GivenStretch *last = &season->given[n - 1];

	return n == 0 ? 0 : last->before + (Min(day, last->until) - last->from + 1) * last->more;
}

double
WeightedTime(const Season *season, DateADT day)
{
	int year;
	int month;
	int day_of_month;
	int32 leap_years;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &day_of_month);
	leap_years = LeapYearsBefore(year) - LeapYearsBefore(2000);
	return (year - 2000 - leap_years) * season->before[0][YEAR_MONTHS] +
		   leap_years * season->before[1][YEAR_MONTHS] +
		   season->before[IsLeapYear(year)][month - 1] + day_of_month * season->factor[month - 1] +
		   (season->nown > 0 ? OwnTime(season, day, year * YEAR_MONTHS + month - 1, day_of_month)
							 : 0) +
		   (season->ngiven > 0 ? GivenTime(season, day) : 0);
}

double
WeightedDays(const Season *season, DateADT after, DateADT until)
{
	if (season->is_level)
		return (double) ((int64) until - after);
	return WeightedTime(season, until) - WeightedTime(season, after);
}

int32
MonthNumber(DateADT day)
{
	int year;
	int month;
	int day_of_month;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &day_of_month);
	return year * YEAR_MONTHS + month - 1;
}

DateADT
FirstOfMonth(int32 number)
{
	int32 year = FloorDivide(number, YEAR_MONTHS);

	return date2j(year, number - year * YEAR_MONTHS + 1, 1) - POSTGRES_EPOCH_JDATE;
}

static inline double
FactorOfMonth(const Season *season, int32 number)
{
	int32 i = number - season->own_first;
	double factor = SeasonOfMonth(season, number);

	return season->nown > 0 && i >= 0 && i < season->nown ? factor * season->own[i] : factor;
}

/* The last day from `from` on, at most `until`, up to which the factors of months are the same. */
static DateADT
SameFactorsUntil(const Season *season, DateADT from, DateADT until)
{
	until = Min(until, FirstOfMonth(MonthNumber(from) + 1) - 1);
	return season->nown > 0 && from <= season->own_until ? Min(until, season->own_until) : until;
}

void
SetDayWeights(Season *season, int n, const DayRun *runs)
{
	double before = 0;
	int64 room = 0;

	season->ngiven = 0;
	for (int i = 0; i < n; i++)
		room += runs[i].days / 28 + 3; /* months, and one more if factors of their own end in one */
	season->given =
		n > 0 ? palloc_extended(mul_size(room, sizeof(GivenStretch)), MCXT_ALLOC_HUGE) : NULL;
	for (int i = 0; i < n; i++)
	{
		DateADT end = runs[i].from + runs[i].days - 1;

		for (DateADT from = runs[i].from; from <= end;)
		{
			GivenStretch *stretch = &season->given[season->ngiven++];
			int32 month = MonthNumber(from);

			stretch->from = from;
			stretch->until = SameFactorsUntil(season, from, end);
			stretch->weight = runs[i].weight;
			stretch->more =
				(runs[i].weight - 1) * (from <= season->own_until ? FactorOfMonth(season, month)
																  : SeasonOfMonth(season, month));
			stretch->before = before;
			before += (stretch->until - from + 1) * stretch->more;
			from = stretch->until + 1;
		}
	}
	if (n > 0)
		season->is_level = false;
}

double
GivenWeight(const Season *season, DateADT day)
{
	int n = StretchesBy(season, day);

	return n > 0 && day <= season->given[n - 1].until ? season->given[n - 1].weight : 1;
}

/* The same where single days have weights: by bisection. */
static double
DaysOfGiven(const Season *season, DateADT after, double weighted)
{
	int64 low = 0; /* these days are too few */
	int64 high = 1;
	double missing;
	double of_day;

	while (WeightedDays(season, after, after + (DateADT) high) < weighted)
	{
		low = high;
		high *= 2;
		if (high > MAX_YEARS_AHEAD * MEAN_YEAR)
			return weighted;
	}
	while (high - low > 1)
	{
		int64 middle = (low + high) / 2;

		if (WeightedDays(season, after, after + (DateADT) middle) < weighted)
			low = middle;
		else
			high = middle;
	}
	missing = weighted - WeightedDays(season, after, after + (DateADT) low);
	of_day = WeightedDays(season, after + (DateADT) low, after + (DateADT) high);
	return (double) low + (of_day > 0 ? Max(0, Min(1, missing / of_day)) : 0);
}

double
DaysOfWeighted(const Season *season, DateADT after, double weighted)
{
	double days = 0;

	if (season->is_level)
		return weighted;
	if (season->ngiven > 0)
		return DaysOfGiven(season, after, weighted);
	/* whole years first, then the remaining months */
	if (weighted > 2 * MEAN_YEAR && after >= season->own_until)
	{
		double years = floor(weighted / MEAN_YEAR) - 1;

		if (years > MAX_YEARS_AHEAD)
			return weighted;
		days = floor(years * MEAN_YEAR);
		weighted -= WeightedDays(season, after, after + (DateADT) days);
		after += (DateADT) days;
	}
	for (;;)
	{
		int32 month = MonthNumber(after + 1);
		double left = FirstOfMonth(month + 1) - (after + 1);
		double factor = SeasonOfMonth(season, month);

		if (after < season->own_until)
		{
			factor = FactorOfMonth(season, month);
			left = Min(left, (double) season->own_until - after);
		}
		if (weighted <= left * factor)
			return days + (factor > 0 ? Max(weighted, 0) / factor : 0);
		weighted -= left * factor;
		days += left;
		after += (DateADT) left;
	}
}

/*
 * Of the days that do not fill the months in between, the first month gets the middle of what it
 * can have at least and at most.
 */
double
WeightedGap(const Season *season, int32 first_month, int32 last_month, double days)
{
	double first_days;
	double last_days;
	double between = 0;
	double weighted = 0;
	double in_first;

	if (season->is_level)
		return days;
	if (first_month == last_month)
		return days * FactorOfMonth(season, first_month);
	if (last_month - first_month > 1)
	{
		DateADT from = FirstOfMonth(first_month + 1) - 1;
		DateADT to = FirstOfMonth(last_month) - 1;

		between = (double) to - from;
		weighted = WeightedDays(season, from, to);
	}
	first_days = FirstOfMonth(first_month + 1) - FirstOfMonth(first_month) - 1;
	last_days = FirstOfMonth(last_month + 1) - FirstOfMonth(last_month);
	days = Max(days - between, 0);
	in_first = (Max(0, days - last_days) + Min(first_days, days - 1)) / 2;
	in_first = Max(0, in_first);
	return weighted + in_first * FactorOfMonth(season, first_month) +
		   (days - in_first) * FactorOfMonth(season, last_month);
}

#define SEASON_UNKNOWNS (2 + YEAR_MONTHS) /* a level, a trend, the months of the year */

/* ln(actual/expected) of the informative months. */
typedef struct MonthData
{
	int n;
	int unknowns; /* number of the above */
	int at[MAX_SEASON_MONTHS];
	double design[MAX_SEASON_MONTHS][SEASON_UNKNOWNS];
	double y[MAX_SEASON_MONTHS];
	double chance[MAX_SEASON_MONTHS]; /* variance of y */
	double month_variance;
	double own_variance;
	double effect[SEASON_UNKNOWNS];
	double off[MAX_SEASON_MONTHS]; /* residuals of y */
} MonthData;

/* Collects the months; returns how many months of the year were seen twice. */
static int
TakeMonths(const MonthlyPurchases *months, MonthData *data)
{
	int seen[YEAR_MONTHS] = {0};
	int seen_twice = 0;

	data->n = 0;
	for (int i = 0; i < months->n; i++)
	{
		int32 number = months->first + i;
		int of_year = number - YEAR_MONTHS * FloorDivide(number, YEAR_MONTHS);
		int n = data->n;

		if (!(months->expected[i] > MIN_EXPECTED) || months->actual[i] <= 0)
			continue;
		seen[of_year]++;
		data->at[n] = i;
		data->y[n] = log(months->actual[i] / months->expected[i]);
		data->chance[n] = 1 / months->actual[i];
		memset(data->design[n], 0, sizeof(data->design[n]));
		data->design[n][0] = 1;
		data->design[n][1] = (i - months->n / 2.0) / YEAR_MONTHS;
		data->design[n][2 + of_year] = 1;
		data->n++;
	}
	for (int m = 0; m < YEAR_MONTHS; m++)
		seen_twice += seen[m] > 1;
	return seen_twice;
}

/* One round of the EM algorithm for the variances; false if the effects cannot be determined. */
static bool
EffectsRound(MonthData *data)
{
	const int size = data->unknowns;
	double matrix[SEASON_UNKNOWNS * SEASON_UNKNOWNS] = {0};
	double factor[SEASON_UNKNOWNS * SEASON_UNKNOWNS];
	double inverse[SEASON_UNKNOWNS][SEASON_UNKNOWNS];
	double months_sum = 0;
	double own_sum = 0;
	double weights = 0;

	memset(data->effect, 0, sizeof(data->effect));
	for (int i = 0; i < data->n; i++)
	{
		double weight = 1 / (data->chance[i] + data->own_variance);

		for (int a = 0; a < size; a++)
		{
			data->effect[a] += weight * data->design[i][a] * data->y[i];
			for (int b = 0; b <= a; b++)
				matrix[a * size + b] += weight * data->design[i][a] * data->design[i][b];
		}
	}
	for (int a = 2; a < size; a++)
		matrix[a * size + a] += 1 / data->month_variance;
	if (!CholeskyFactor(matrix, factor, size))
		return false;
	CholeskySolve(factor, data->effect, size);
	for (int a = 0; a < size; a++)
	{
		memset(inverse[a], 0, sizeof(inverse[a]));
		inverse[a][a] = 1;
		CholeskySolve(factor, inverse[a], size);
	}
	for (int a = 2; a < size; a++)
		months_sum += data->effect[a] * data->effect[a] + inverse[a][a];
	for (int i = 0; i < data->n; i++)
	{
		double weight = 1 / (data->chance[i] + data->own_variance);
		double known = 0; /* posterior variance of the fit to y */

		data->off[i] = data->y[i];
		for (int a = 0; a < size; a++)
		{
			data->off[i] -= data->design[i][a] * data->effect[a];
			for (int b = 0; b < size; b++)
				known += data->design[i][a] * inverse[a][b] * data->design[i][b];
		}
		own_sum += weight * weight * (data->off[i] * data->off[i] + known - data->chance[i]);
		weights += weight * weight;
	}
	data->month_variance = Max(MIN_VARIANCE, months_sum / YEAR_MONTHS);
	data->own_variance = Max(0, own_sum / weights);
	return true;
}

/*
 * The factor of each single month, shrunk towards 1 the more the less was bought in it; 1 on
 * average over the months.
 */
static void
OwnMonths(const MonthlyPurchases *months, const MonthData *data, MonthEffects *effects)
{
	double factors[MAX_OWN_MONTHS];
	int skipped = Max(0, months->n - MAX_OWN_MONTHS);
	double sum = 0;
	double days = 0;

	effects->nown = 0;
	if (data->n < MIN_OWN_MONTHS || sqrt(data->own_variance) < LEVEL_DEVIATION)
		return;
	effects->nown = months->n - skipped;
	for (int i = 0; i < effects->nown; i++)
		factors[i] = 0;
	for (int i = 0; i < data->n; i++)
	{
		int at = data->at[i] - skipped;
		int32 number = months->first + data->at[i];
		double share = data->own_variance / (data->own_variance + data->chance[i]);

		if (at < 0)
			continue;
		factors[at] = exp(Max(-MAX_OWN, Min(MAX_OWN, share * data->off[i])));
		sum += factors[at] * (FirstOfMonth(number + 1) - FirstOfMonth(number));
		days += FirstOfMonth(number + 1) - FirstOfMonth(number);
	}
	for (int i = 0; i < effects->nown; i++)
		effects->own[i] = factors[i] > 0 ? (float) (factors[i] * days / sum) : 1;
}

/*
 * ln(actual/expected) = level + trend + effect of the month of the year + the own part of the
 * single month.  Effects and own parts are normal, with variances estimated by the EM algorithm: so
 * a month's effect is shrunk towards none the more, the more months of the same name differ between
 * years and the less was bought in them.  Level and trend describe the shop as a whole and are not
 * part of the season.  If no month was seen twice, all are single months, and a trend cannot be
 * told from them: the models have none.
 */
SeasonStatus
FitMonths(const MonthlyPurchases *months, bool seasonal, MonthEffects *effects)
{
	MonthData data = {.month_variance = 1};
	bool twice = TakeMonths(months, &data) >= MIN_SEEN_TWICE;

	effects->nown = 0;
	data.unknowns = seasonal && twice ? SEASON_UNKNOWNS : twice ? 2 : 1;
	if (!(seasonal && twice))
		data.own_variance = 1;
	if (data.n <= data.unknowns - (seasonal && twice ? YEAR_MONTHS : 0))
		return seasonal ? SEASON_SHORT : SEASON_NONE;
	for (int round = 0; round < VARIANCE_ROUNDS; round++)
		if (!EffectsRound(&data))
			return seasonal ? SEASON_LEVEL : SEASON_NONE;
	OwnMonths(months, &data, effects);
	if (!seasonal)
		return SEASON_NONE;
	if (!twice)
		return SEASON_SHORT;
	if (sqrt(data.month_variance) < LEVEL_DEVIATION)
		return SEASON_LEVEL;
	for (int m = 0; m < YEAR_MONTHS; m++)
		effects->of_year[m] = exp(data.effect[2 + m]);
	return SEASON_FITTED;
}
