/*
 * progress.c: INFO messages that say how much is done, and how fast.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/progress.h"

#define SECONDS_BETWEEN_LINES 5

void
StartProgress(Progress *progress, const char *what, const char *unit)
{
	progress->what = what;
	progress->unit = unit;
	progress->done = 0;
	progress->began = GetCurrentTimestamp();
	progress->next = progress->began + SECONDS_BETWEEN_LINES * USECS_PER_SEC;
}

static void
ReportProgress(Progress *progress, TimestampTz now)
{
	double seconds = (double) Max(now - progress->began, 1) / USECS_PER_SEC;

	ereport(INFO,
			(errmsg("%s: " INT64_FORMAT " %s in %.1f s, %.0f %s/s", progress->label, progress->done,
					progress->what, seconds, progress->done / seconds, progress->unit)));
}

void
ReportProgressIfDue(Progress *progress)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < progress->next)
		return;
	ReportProgress(progress, now);
	progress->next = now + SECONDS_BETWEEN_LINES * USECS_PER_SEC;
}

void
FinishProgress(Progress *progress)
{
	if (progress->label != NULL)
		ReportProgress(progress, GetCurrentTimestamp());
}
