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
	int64 done = progress->all != NULL ? pg_atomic_read_u64(progress->all) : progress->done;

	ereport(INFO, (errmsg("%s: " INT64_FORMAT " %s in %.1f s, %.0f %s/s", progress->label, done,
						  progress->what, seconds, done / seconds, progress->unit)));
}

void
StepProgress(Progress *progress)
{
	TimestampTz now;

	if (progress->all != NULL)
		pg_atomic_fetch_add_u64(progress->all, PROGRESS_STEP);
	if (progress->label == NULL || (now = GetCurrentTimestamp()) < progress->next)
		return;
	ReportProgress(progress, now);
	progress->next = now + SECONDS_BETWEEN_LINES * USECS_PER_SEC;
}

void
ShareProgress(Progress *progress)
{
	pg_atomic_fetch_add_u64(progress->all, progress->done & (PROGRESS_STEP - 1));
}

void
FinishProgress(Progress *progress)
{
	if (progress->label != NULL)
		ReportProgress(progress, GetCurrentTimestamp());
}
