/*
 * local_day.c: which day it was, and which days a period covers.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/compat.h"
#include "base/local_day.h"

void
DayRefused(DateADT day, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("%s cannot be %s", what, DATE_IS_NOBEGIN(day) ? "-infinity" : "infinity"),
			 errhint("Give a date, or leave such rows out.")));
}

void
CheckFinite(Timestamp t)
{
	if (TIMESTAMP_NOT_FINITE(t))
		(void) CheckedDay(TIMESTAMP_IS_NOBEGIN(t) ? DATEVAL_NOBEGIN : DATEVAL_NOEND,
						  "purchase day");
}

void
FormatDay(DateADT day, char *text)
{
	struct pg_tm tm;

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	EncodeDateOnly(&tm, USE_ISO_DATES, text);
}

DateADT
DayFromText(const char *text)
{
	Size year = strspn(text, "0123456789");

	/* with the year first every DateStyle reads the same, and words such as today are rejected */
	if (year < 4 || text[year] != '-' || strlen(text) > MAXDATELEN)
		ereport(ERROR, (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
						errmsg("\"%s\" is not a day", ShortString(text)),
						errhint("Write it as 2025-01-31.")));
	return DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(text)));
}

/* Whole seconds since 1970, rounded down. */
static inline pg_time_t
UnixSeconds(TimestampTz t)
{
	pg_time_t seconds = t / USECS_PER_SEC;

	if (t % USECS_PER_SEC < 0)
		seconds--;
	return seconds + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (pg_time_t) SECS_PER_DAY;
}

pg_noreturn static void
TimestampOutOfRange(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
}

/*
 * Seconds east of UTC at the time given.  The library returns the next moment at which the offset
 * changes; times with the same next moment have the same offset.
 */
static long
ZoneOffset(LocalDayCache *cache, pg_time_t t)
{
	long before;
	long after;
	int is_dst;
	pg_time_t boundary;
	int slot;

	if (cache->hit < cache->used && cache->stretch[cache->hit].from <= t &&
		t < cache->stretch[cache->hit].to)
		return cache->stretch[cache->hit].offset;
	for (int i = 0; i < cache->used; i++)
		if (cache->stretch[i].from <= t && t < cache->stretch[i].to)
		{
			cache->hit = i;
			return cache->stretch[i].offset;
		}

	switch (pg_next_dst_boundary(&t, &before, &is_dst, &boundary, &after, &is_dst, cache->zone))
	{
		case 0: /* the offset never changes again */
			boundary = PG_INT64_MAX;
			break;
		case 1:
			break;
		default:
			TimestampOutOfRange();
	}

	/* does it extend a known stretch to an earlier time? */
	for (slot = 0; slot < cache->used; slot++)
		if (cache->stretch[slot].to == boundary)
			break;
	if (slot == cache->used)
	{
		if (cache->used < LOCAL_DAY_STRETCHES)
			cache->used++;
		else
			slot = (cache->hit + 1) % LOCAL_DAY_STRETCHES;
		cache->stretch[slot].to = boundary;
	}
	cache->stretch[slot].from = t;
	cache->stretch[slot].offset = before;
	cache->hit = slot;
	return before;
}

DateADT
LocalDayOfTimestampTz(TimestampTz t, LocalDayCache *cache)
{
	CheckFinite(t);
	if (cache->zone != session_timezone)
	{
		cache->used = 0;
		cache->hit = 0;
		cache->zone = session_timezone;
	}
	t += ZoneOffset(cache, UnixSeconds(t)) * USECS_PER_SEC;
	/* as AT TIME ZONE does: at the ends of the range the local day may lie outside */
	if (!IS_VALID_TIMESTAMP(t))
		TimestampOutOfRange();
	return DayOfMicroseconds(t);
}

LocalDayCache *
LocalDayCacheOf(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(LocalDayCache));
	return (LocalDayCache *) fcinfo->flinfo->fn_extra;
}

pg_noreturn static void
PeriodRefused(const Interval *period)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("period must be positive and finite, not %s",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(period)))),
			 errhint("Give an interval such as '1 year' or '90 days'.")));
}

bool
PeriodIsValid(const Interval *period)
{
	static const Interval zero;

	return !INTERVAL_NOT_FINITE(period) &&
		   DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(period),
											IntervalPGetDatum(&zero)));
}

void
CheckPeriod(const Interval *period)
{
	if (!PeriodIsValid(period))
		PeriodRefused(period);
}

/*
 * The day of as_of - period, as PostgreSQL computes it, but over the whole calendar of dates, which
 * is longer than that of timestamps; its first day, if the period begins before.
 */
static DateADT
PeriodStart(DateADT as_of, const Interval *period)
{
	int64 day = as_of;
	int64 days_of_time = -period->time / USECS_PER_DAY;

	if (period->month != 0)
	{
		int year;
		int month;
		int monthday;
		int64 months;

		j2date(as_of + POSTGRES_EPOCH_JDATE, &year, &month, &monthday);
		months = (int64) year * MONTHS_PER_YEAR + month - 1 - period->month;
		if (months < (int64) JULIAN_MINYEAR * MONTHS_PER_YEAR)
			return DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE;
		/* a period such as -1 month 90 days */
		if (months >= (int64) JULIAN_MAXYEAR * MONTHS_PER_YEAR)
			return as_of;
		year = months / MONTHS_PER_YEAR;
		month = months % MONTHS_PER_YEAR;
		if (month < 0)
		{
			month += MONTHS_PER_YEAR;
			year--;
		}
		monthday = Min(monthday, day_tab[isleap(year)][month]);
		day = date2j(year, month + 1, monthday) - POSTGRES_EPOCH_JDATE;
	}
	if (-period->time % USECS_PER_DAY < 0)
		days_of_time--;
	day += days_of_time - period->day;
	return Max(day, DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE);
}

DateADT
DayBeforePeriod(DateADT as_of, const Interval *period)
{
	/* a query asks for the same few periods row after row */
	static struct
	{
		bool known;
		DateADT as_of;
		Interval period;
		DateADT day;
	} answers[4];
	static int oldest = 0;
	DateADT day;

	for (int i = 0; i < lengthof(answers); i++)
		if (answers[i].as_of == as_of && answers[i].known &&
			memcmp(&answers[i].period, period, sizeof(Interval)) == 0)
			return answers[i].day;
	CheckPeriod(period);
	day = PeriodStart(as_of, period);
	/* such as 1 month less 30 days, in February */
	if (day >= as_of)
		PeriodRefused(period);
	answers[oldest].known = true;
	answers[oldest].as_of = as_of;
	answers[oldest].period = *period;
	answers[oldest].day = day;
	oldest = (oldest + 1) % lengthof(answers);
	return day;
}
