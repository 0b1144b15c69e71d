/*
 * progress.h: INFO messages, every few seconds of long work, that say how much is done, and how
 * fast.
 */
#ifndef CRM_PROGRESS_H
#define CRM_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct Progress
{
	const char *label; /* starts each message; NULL for no messages */
	const char *what;  /* what is counted, as in "orders read" */
	const char *unit;  /* of the rate, as in "orders" */
	int64 done;
	TimestampTz began;
	TimestampTz next; /* line due */
} Progress;

/* Begins a phase of the work. */
extern void StartProgress(Progress *progress, const char *what, const char *unit);

/* Ends the phase, with a message. */
extern void FinishProgress(Progress *progress);

extern void ReportProgressIfDue(Progress *progress);

/* Counts one; reads the clock only now and then. */
static inline void
CountProgress(Progress *progress)
{
	if (unlikely((++progress->done & 1023) == 0) && progress->label != NULL)
		ReportProgressIfDue(progress);
}

#endif /* CRM_PROGRESS_H */
