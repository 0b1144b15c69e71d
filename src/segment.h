/*
 * segment.h: schemes of segments, compiled to one lookup per cell.
 */
#ifndef CRM_SEGMENT_H
#define CRM_SEGMENT_H

#include "fmgr.h"

#include "rfm_score.h"

/* The stored form: a varlena, never toasted (see segment.c). */
typedef struct varlena SegmentScheme;

/* A scheme taken apart for lookups; one palloc'd piece in the current context. */
typedef struct SchemeLookup
{
	int			bins;
	int			nlabels;
	text	  **labels;			/* in the order of the rules */
	uint8		cells[MAX_BINS * MAX_BINS * MAX_BINS];	/* 0: none, else label + 1 */
} SchemeLookup;

extern SchemeLookup *DecodeScheme(const SegmentScheme *scheme);

/* The scheme of that name as the tables have it now; an error if there is none. */
extern SegmentScheme *CompileScheme(const char *name);

/* The label of a cell, NULL where no rule covers it; bins must be the scheme's. */
static inline text *
SegmentOfCell(const SchemeLookup *lookup, int r, int f, int m)
{
	uint8		label = lookup->cells[((r - 1) * lookup->bins + f - 1) * lookup->bins + m - 1];

	return label == 0 ? NULL : lookup->labels[label - 1];
}

#endif							/* CRM_SEGMENT_H */
