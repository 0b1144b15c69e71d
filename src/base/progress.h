/*
 * progress.h: INFO lines of what is done so far, and how fast, every few seconds
 * of long work.
 */
#ifndef CRM_PROGRESS_H
#define CRM_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct Progress
{
	const char *label; /* begins each line; NULL: none is written */
	const char *what;  /* is counted, as in "orders read" */
	const char *unit;  /* of the rate, as in "orders" */
	int64 done;
	TimestampTz began;
	TimestampTz next; /* line due */
} Progress;

/* Begins a part of the work. */
extern void StartProgress(Progress *progress, const char *what, const char *unit);

/* Ends it, with a line. */
extern void FinishProgress(Progress *progress);

extern void ReportProgressIfDue(Progress *progress);

/* Counts one; the clock is looked at once in a while. */
static inline void
CountProgress(Progress *progress)
{
	if (unlikely((++progress->done & 1023) == 0) && progress->label != NULL)
		ReportProgressIfDue(progress);
}

#endif /* CRM_PROGRESS_H */
