/*
 * segment_scheme.h: schemes of segments, compiled to one lookup per cell.
 */
#ifndef CRM_SEGMENT_SCHEME_H
#define CRM_SEGMENT_SCHEME_H

#include "fmgr.h"

#include "rfm/rfm_score.h"

#define MAX_CELLS (MAX_BINS * MAX_BINS * MAX_BINS)
#define MAX_LABELS 255

/* The stored form: a varlena, never toasted (see segment_scheme.c). */
typedef struct varlena SegmentScheme;

/* A scheme taken apart for lookups. */
typedef struct SchemeLookup
{
	int bins;
	int nlabels;
	text **labels;          /* in the order of the rules */
	uint8 cells[MAX_CELLS]; /* by CellOf: 0: none, else label + 1 */
} SchemeLookup;

/* A scheme's value taken apart, in the current context; fit for DecodeOnce. */
extern void *DecodeScheme(const SegmentScheme *scheme);

/* The value of a scheme; errors for what no scheme may be. */
extern SegmentScheme *EncodeScheme(const SchemeLookup *lookup);

/* The scheme of that name as the tables have it now; an error if there is none. */
extern SegmentScheme *CompileScheme(const char *name);

/* Cells are numbered from 111 on, the monetary score fastest. */
static inline int
CellCount(int bins)
{
	return bins * bins * bins;
}

static inline int
CellOf(int r, int f, int m, int bins)
{
	return ((r - 1) * bins + f - 1) * bins + m - 1;
}

/* The three digits of a cell as a number: 545. */
static inline int
CellDigits(int cell, int bins)
{
	return (cell / (bins * bins) + 1) * 100 + (cell / bins % bins + 1) * 10 + cell % bins + 1;
}

/* The cell that the text names, -1 if it is not three digits from 1 to bins. */
extern int CellFromText(const char *digits, int length, int bins);

/* The label of a cell, NULL where no rule covers it; bins must be the scheme's. */
static inline text *
SegmentOfCell(const SchemeLookup *lookup, int r, int f, int m)
{
	uint8 label = lookup->cells[CellOf(r, f, m, lookup->bins)];

	return label == 0 ? NULL : lookup->labels[label - 1];
}

#endif /* CRM_SEGMENT_SCHEME_H */
