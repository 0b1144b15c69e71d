/*
 * progress.h: INFO messages, every few seconds of long work, that say how much is done, and how
 * fast.
 */
#ifndef CRM_PROGRESS_H
#define CRM_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"

typedef struct Progress
{
	const char *label; /* starts each message; NULL for no messages */
	const char *what;  /* what is counted, as in "orders read" */
	const char *unit;  /* of the rate, as in "orders" */
	int64 done;
	pg_atomic_uint64 *all; /* done by all processes that share the work; NULL: by this one */
	TimestampTz began;
	TimestampTz next; /* line due */
} Progress;

/* Begins a phase of the work. */
extern void StartProgress(Progress *progress, const char *what, const char *unit);

/* Ends the phase, with a message. */
extern void FinishProgress(Progress *progress);

#define PROGRESS_STEP 1024

/* Another step is done. */
extern void StepProgress(Progress *progress);

/* Adds what this process has done since its last step to what all have. */
extern void ShareProgress(Progress *progress);

/* Counts one; reads the clock only now and then. */
static inline void
CountProgress(Progress *progress)
{
	if (unlikely((++progress->done & (PROGRESS_STEP - 1)) == 0))
		StepProgress(progress);
}

#endif /* CRM_PROGRESS_H */
