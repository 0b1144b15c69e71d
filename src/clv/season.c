/*
 * season.c: days that are not alike.
 */
#include "postgres.h"

#include <math.h>

#include "utils/datetime.h"

#include "base/newton.h"
#include "clv/season.h"

#define MEAN_YEAR 365.2425
#define MIN_EXPECTED 5.0     /* purchases expected in a month that says something */
#define MIN_SEEN_TWICE 6     /* months of the year, to tell a season from a trend */
#define LEVEL_DEVIATION 0.01 /* of ln factor: months that differ less are alike */
#define VARIANCE_ROUNDS 100
#define MIN_VARIANCE 1e-6

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

void
SetSeason(Season *season, const double *factors)
{
	double year = 0;

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

/* Weighted days from the year 2000 on up to the end of a day. */
static double
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
		   season->before[IsLeapYear(year)][month - 1] + day_of_month * season->factor[month - 1];
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
	return season->factor[number - YEAR_MONTHS * FloorDivide(number, YEAR_MONTHS)];
}

double
DaysOfWeighted(const Season *season, DateADT after, double weighted)
{
	double days = 0;

	if (season->is_level)
		return weighted;
	/* by whole years, then by what is left of months */
	if (weighted > 2 * MEAN_YEAR)
	{
		double years = floor(weighted / MEAN_YEAR) - 1;

		if (years > 10000)
			return weighted;
		days = floor(years * MEAN_YEAR);
		weighted -= WeightedDays(season, after, after + (DateADT) days);
		after += (DateADT) days;
	}
	for (;;)
	{
		int32 month = MonthNumber(after + 1);
		double left = FirstOfMonth(month + 1) - (after + 1);
		double factor = FactorOfMonth(season, month);

		if (weighted <= left * factor)
			return days + (factor > 0 ? Max(weighted, 0) / factor : 0);
		weighted -= left * factor;
		days += left;
		after += (DateADT) left;
	}
}

/*
 * Of the days that do not fill the months between, the first month has what it can
 * have: the middle between the most and the least.
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

/* ln(actual/expected) of the months where enough was expected. */
typedef struct SeasonSample
{
	int n;
	double design[MAX_SEASON_MONTHS][SEASON_UNKNOWNS];
	double y[MAX_SEASON_MONTHS];
	double chance[MAX_SEASON_MONTHS]; /* variance of y by chance alone */
} SeasonSample;

/* Effects and how far they are known, given both variances. */
typedef struct SeasonEffects
{
	double effect[SEASON_UNKNOWNS];
	double covariance[SEASON_UNKNOWNS][SEASON_UNKNOWNS];
} SeasonEffects;

/* Returns how many months of the year were seen more than once. */
static int
SetSeasonSample(SeasonSample *sample, const MonthlyPurchases *months)
{
	int seen[YEAR_MONTHS] = {0};
	int seen_twice = 0;

	sample->n = 0;
	for (int i = 0; i < months->n; i++)
	{
		int32 number = months->first + i;
		int of_year = number - YEAR_MONTHS * FloorDivide(number, YEAR_MONTHS);
		double *design = sample->design[sample->n];

		if (!(months->expected[i] > MIN_EXPECTED) || months->actual[i] <= 0)
			continue;
		memset(design, 0, sizeof(sample->design[0]));
		design[0] = 1;
		design[1] = (i - months->n / 2.0) / YEAR_MONTHS;
		design[2 + of_year] = 1;
		sample->y[sample->n] = log(months->actual[i] / months->expected[i]);
		sample->chance[sample->n++] = 1 / months->actual[i];
		seen_twice += ++seen[of_year] == 2;
	}
	return seen_twice;
}

/* Weighted ridge regression; false: the equations have no solution. */
static bool
EstimateEffects(const SeasonSample *sample, double month_variance, double own_variance,
				SeasonEffects *effects)
{
	double matrix[SEASON_UNKNOWNS * SEASON_UNKNOWNS] = {0};
	double factor[SEASON_UNKNOWNS * SEASON_UNKNOWNS];

	memset(effects, 0, sizeof(*effects));
	for (int i = 0; i < sample->n; i++)
	{
		const double *design = sample->design[i];
		double weight = 1 / (sample->chance[i] + own_variance);

		for (int a = 0; a < SEASON_UNKNOWNS; a++)
		{
			effects->effect[a] += weight * design[a] * sample->y[i];
			for (int b = 0; b <= a; b++)
				matrix[a * SEASON_UNKNOWNS + b] += weight * design[a] * design[b];
		}
	}
	for (int a = 2; a < SEASON_UNKNOWNS; a++)
		matrix[a * SEASON_UNKNOWNS + a] += 1 / month_variance;
	if (!CholeskyFactor(matrix, factor, SEASON_UNKNOWNS))
		return false;
	CholeskySolve(factor, effects->effect, SEASON_UNKNOWNS);
	for (int a = 0; a < SEASON_UNKNOWNS; a++)
	{
		effects->covariance[a][a] = 1;
		CholeskySolve(factor, effects->covariance[a], SEASON_UNKNOWNS);
	}
	return true;
}

/* A step of the EM algorithm: both variances, given the effects. */
static void
EstimateVariances(const SeasonSample *sample, const SeasonEffects *effects, double *month_variance,
				  double *own_variance)
{
	double months_sum = 0;
	double own_sum = 0;
	double weights = 0;

	for (int a = 2; a < SEASON_UNKNOWNS; a++)
		months_sum += effects->effect[a] * effects->effect[a] + effects->covariance[a][a];
	for (int i = 0; i < sample->n; i++)
	{
		const double *design = sample->design[i];
		double weight = 1 / (sample->chance[i] + *own_variance);
		double off = sample->y[i];
		double known = 0; /* variance of what is fitted to y */

		for (int a = 0; a < SEASON_UNKNOWNS; a++)
		{
			off -= design[a] * effects->effect[a];
			for (int b = 0; b < SEASON_UNKNOWNS; b++)
				known += design[a] * effects->covariance[a][b] * design[b];
		}
		own_sum += weight * weight * (off * off + known - sample->chance[i]);
		weights += weight * weight;
	}
	*month_variance = Max(MIN_VARIANCE, months_sum / YEAR_MONTHS);
	*own_variance = Max(0, own_sum / weights);
}

/*
 * ln(actual/expected) = level + trend + effect of the month of the year + what one month
 * of one year has in addition.  Effects and additions are normal, and their variances are
 * estimated as well (by the EM algorithm): an effect shrinks towards none the more the
 * same month differs between years, and the less was bought in it.  Level and trend are
 * the business as a whole: they are no season.
 */
SeasonStatus
FitSeason(const MonthlyPurchases *months, double *factors)
{
	SeasonSample sample;
	SeasonEffects effects;
	double month_variance = 1;
	double own_variance = 0;

	if (SetSeasonSample(&sample, months) < MIN_SEEN_TWICE)
		return SEASON_SHORT;
	for (int round = 0; round < VARIANCE_ROUNDS; round++)
	{
		if (!EstimateEffects(&sample, month_variance, own_variance, &effects))
			return SEASON_LEVEL;
		EstimateVariances(&sample, &effects, &month_variance, &own_variance);
	}
	if (sqrt(month_variance) < LEVEL_DEVIATION)
		return SEASON_LEVEL;
	for (int m = 0; m < YEAR_MONTHS; m++)
		factors[m] = exp(effects.effect[2 + m]);
	return SEASON_FITTED;
}
