/*
 * segment_scheme.h: schemes of segments, compiled to one lookup per cell.
 */
#ifndef CRM_SEGMENT_SCHEME_H
#define CRM_SEGMENT_SCHEME_H

#include "base/model.h"
#include "rfm/rfm_score.h"

#define MAX_CELLS (MAX_BINS * MAX_BINS * MAX_BINS)
#define MAX_LABELS 255
#define MAX_CONDITIONS 30 /* bits of an integer */

/* The results of lifecycle(); the numbers are stored. */
typedef enum Lifecycle
{
	LIFECYCLE_NEW,
	LIFECYCLE_ACTIVE,
	LIFECYCLE_WON_BACK,
	LIFECYCLE_LAPSING,
	LIFECYCLE_INACTIVE,
	LIFECYCLES
} Lifecycle;

#define ALL_LIFECYCLES ((1 << LIFECYCLES) - 1)

/* Its name, as a text that is kept. */
extern Datum LifecycleText(Lifecycle lifecycle);

/* The lifecycle of that name, -1 if there is none. */
extern int LifecycleFromText(const text *word);

typedef struct SchemeSegment
{
	const char *name;
	int ncells;
	int32 *cells;    /* as three digits, such as 555; the best first */
	int nlifecycles; /* 0: applies to all */
	int32 lifecycles[LIFECYCLES];
} SchemeSegment;

/* A rule for customers of whom something holds besides their scores. */
typedef struct SchemeCondition
{
	const char *condition; /* SQL, which somebody else evaluates */
	int32 segment;         /* its position among the segments, from 1 */
	int ncells;            /* 0: all of them */
	int32 *cells;          /* as three digits, without those that rules before have */
} SchemeCondition;

/* A scheme and, for lookups, the segment of each cell. */
typedef struct SegmentScheme
{
	int32 bins;
	int nsegments;
	SchemeSegment *segments; /* in the order of the rules */
	int nconditions;
	SchemeCondition *conditions; /* in the order of the rules: they go before the cells */
	/* derived from them when a scheme is read */
	text **labels;
	uint8 *lifecycles; /* by segment, as bits */
	/*
	 * by lifecycle and cell, the label for such a customer, 0 if not looked up yet; NULL if no
	 * segment has lifecycles
	 */
	uint8 *corrected;
	int16 *settled;         /* by cell, see PositionWhateverLifecycle(), 0 if not looked up yet */
	uint8 cells[MAX_CELLS]; /* by CellOf: 0: none, else segment + 1 */
	bool *covers;           /* by condition and CellOf */
} SegmentScheme;

extern const ModelFormat SegmentSchemeFormat;

/* Makes the value of a scheme whose `cells` and names of segments are set. */
extern struct varlena *SchemeValue(SegmentScheme *scheme);

/* The scheme of that name from the tables; an error if there is none. */
extern struct varlena *CompileScheme(const char *name);

/* Cells are numbered from 111 on, with the monetary score running fastest. */
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

/* The cell that a text names, -1 if it is not three digits from 1 to bins. */
extern int CellFromText(const char *digits, int length, int bins);

/* The label of a cell, NULL if no rule covers it; bins must be the scheme's. */
static inline text *
SegmentOfCell(const SegmentScheme *scheme, int r, int f, int m)
{
	uint8 label = scheme->cells[CellOf(r, f, m, scheme->bins)];

	return label == 0 ? NULL : scheme->labels[label - 1];
}

/*
 * The same for a customer whose lifecycle is known: a segment that applies to it.  `met` has a bit
 * for each condition of the scheme that holds.
 */
extern text *
SegmentOfCustomer(const SegmentScheme *scheme, int r, int f, int m, Lifecycle lifecycle, int32 met);

/* The position of that segment among the labels, from 1; 0 if the cell is not covered. */
extern int PositionForCustomer(const SegmentScheme *scheme, int r, int f, int m,
							   Lifecycle lifecycle, int32 met);

/* The same without conditions; -1 if the lifecycle decides. */
extern int PositionWhateverLifecycle(const SegmentScheme *scheme, int r, int f, int m);

/* The same for a customer whose lifecycle is not known. */
extern int PositionForAnybody(const SegmentScheme *scheme, int r, int f, int m, int32 met);

/* An error unless scores of that many bins are those of the scheme. */
extern void CheckBins(int score_bins, const SegmentScheme *scheme);

#endif /* CRM_SEGMENT_SCHEME_H */
