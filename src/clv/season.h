/*
 * season.h: days with different weights.
 *
 * A customer who buys at the rate λ in an ordinary month buys at λ s in a month of the year with
 * the factor s.  Time is then measured in season-weighted days, the integral of s, and the models
 * apply to it unchanged.  The factors have the mean 1 over a year, so weighted days are as long as
 * others on average.
 *
 * A single month of the past may have a factor of its own besides that: what all customers did
 * alike in it is no news about any of them.  These factors have the mean 1, too, and do not affect
 * future days.
 *
 * And single days may have weights that somebody gave: 0 for a day on which the shop is closed, 1.5
 * for one of a promotion.
 */
#ifndef CRM_SEASON_H
#define CRM_SEASON_H

#include "utils/date.h"

#define YEAR_MONTHS 12

/* The result of looking for a season; the numbers are stored. */
typedef enum SeasonStatus
{
	SEASON_NONE = 0,   /* not asked for */
	SEASON_FITTED = 1, /* factors that differ */
	SEASON_SHORT = 2,  /* asked for, but too few months of the year were seen twice */
	SEASON_LEVEL = 3,  /* asked for, but the months do not differ beyond chance */
	SEASON_GIVEN = 4,  /* the factors came with the model */
} SeasonStatus;

extern const char *const SeasonStatusNames[];

/* The number of past months, the latest ones, that may have factors of their own. */
#define MAX_OWN_MONTHS 72

/* Days in a row that weigh the same, as they are given. */
typedef struct DayRun
{
	DateADT from;
	int32 days;
	double weight;
} DayRun;

/* A part of such a run in which the other factors do not change either. */
typedef struct GivenStretch
{
	DateADT from;
	DateADT until;
	double weight;
	double more;   /* weighted days that each of its days has more than without its weight */
	double before; /* what all earlier stretches have more */
} GivenStretch;

typedef struct Season
{
	bool is_level; /* all days count the same: weighted days are days, to the bit */
	double factor[YEAR_MONTHS];
	double before[2][YEAR_MONTHS + 1]; /* weighted days of a year (1: leap) before a month */
	int nown;
	int32 own_first;   /* number of the first month with a factor of its own */
	DateADT own_until; /* a day of the last such month: later days have none */
	double own[MAX_OWN_MONTHS];
	double own_before[MAX_OWN_MONTHS + 1]; /* weighted days that they add before a month */
	int ngiven;
	GivenStretch *given; /* ascending */
} Season;

/*
 * Makes a calendar from factors, which are scaled to the mean 1 unless they are equal; NULL for
 * none.
 */
extern void SetSeason(Season *season, const double *factors);

/* Adds factors of the last months up to a day, on top of those of the months of the year. */
extern void SetOwnMonths(Season *season, DateADT until, int n, const float *factors);

/* Adds weights of single days, on top of all other factors, which must not change any more. */
extern void SetDayWeights(Season *season, int n, const DayRun *runs);

/* The weight that was given to a day; 1 if none was. */
extern double GivenWeight(const Season *season, DateADT day);

/* The weighted days from some day on up to the end of a day. */
extern double WeightedTime(const Season *season, DateADT day);

/* The weighted days after one day up to another. */
extern double WeightedDays(const Season *season, DateADT after, DateADT until);

/* The days, with a fraction, that make that many weighted days after a day. */
extern double DaysOfWeighted(const Season *season, DateADT after, double weighted);

/* Calendar months are numbered 12 * year + month - 1. */
extern int32 MonthNumber(DateADT day);
extern DateADT FirstOfMonth(int32 number);

/* The weighted days of a gap of which only the months of its ends and its length are known. */
extern double WeightedGap(const Season *season, int32 first_month, int32 last_month, double days);

/* A month of the year is judged by at most ten years. */
#define MAX_SEASON_MONTHS 120

/* Purchases by calendar month, actual and expected without a season. */
typedef struct MonthlyPurchases
{
	int n;
	int32 first; /* number of the first month */
	double actual[MAX_SEASON_MONTHS];
	double expected[MAX_SEASON_MONTHS];
} MonthlyPurchases;

/* The effects of months, apart from those of customers. */
typedef struct MonthEffects
{
	double of_year[YEAR_MONTHS]; /* factors, if there is a season */
	int nown;                    /* 0 if months differ no more than by season and chance */
	float own[MAX_OWN_MONTHS];   /* factors of the last months */
} MonthEffects;

/* Finds the factors, and whether there is a season; `seasonal` if one is wanted. */
extern SeasonStatus FitMonths(const MonthlyPurchases *months, bool seasonal, MonthEffects *effects);

#endif /* CRM_SEASON_H */
