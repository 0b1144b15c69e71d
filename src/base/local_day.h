/*
 * local_day.h: which day it was, and which days a period covers.
 */
#ifndef CRM_LOCAL_DAY_H
#define CRM_LOCAL_DAY_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/date.h"

#include "base/compat.h"

/*
 * Stretches of time in which the session's time zone keeps one offset.  Calling the time zone
 * library for every row would cost more than everything else done for the row.
 */
#define LOCAL_DAY_STRETCHES 16

typedef struct LocalDayCache
{
	struct
	{
		pg_time_t from;
		pg_time_t to; /* exclusive */
		long offset;  /* seconds east of UTC */
	} stretch[LOCAL_DAY_STRETCHES];
	int used;
	int hit; /* index of the last hit */
	pg_tz *zone;
} LocalDayCache;

/* Raises an error for infinite dates; `what` names the value. */
pg_noreturn extern void DayRefused(DateADT day, const char *what);

static inline DateADT
CheckedDay(DateADT day, const char *what)
{
	if (unlikely(DATE_NOT_FINITE(day)))
		DayRefused(day, what);
	return day;
}

/* The same for infinite time stamps. */
extern void CheckFinite(Timestamp t);

/* A day in ISO format whatever DateStyle says; needs room for MAXDATELEN + 1 bytes. */
extern void FormatDay(DateADT day, char *text);

/* The reverse; an error if the text is not an ISO date. */
extern DateADT DayFromText(const char *text);

/* Rounds down. */
static inline DateADT
DayOfMicroseconds(int64 t)
{
	int64 day = t / USECS_PER_DAY;

	return (DateADT) (t % USECS_PER_DAY < 0 ? day - 1 : day);
}

static inline DateADT
DayOfTimestamp(Timestamp t)
{
	if (unlikely(TIMESTAMP_NOT_FINITE(t)))
		CheckFinite(t);
	return DayOfMicroseconds(t);
}

/* The day in the session's time zone. */
extern DateADT LocalDayOfTimestampTz(TimestampTz t, LocalDayCache *cache);

/* A cache that lives as long as the FmgrInfo of the call. */
extern LocalDayCache *LocalDayCacheOf(FunctionCallInfo fcinfo);

/* Raises an error unless the period is positive and finite. */
extern bool PeriodIsValid(const Interval *period);
extern void CheckPeriod(const Interval *period);

/* as_of - period, truncated to the day: the last day before the period. */
extern DateADT DayBeforePeriod(DateADT as_of, const Interval *period);

#endif /* CRM_LOCAL_DAY_H */
