/*
 * quantity.h: one quantity of all customers, such as their revenue, sorted: what is needed to tell
 * the values at some ranks, and to follow changes.
 *
 * The values are kept as runs of equal ones: all of them if few differ, and otherwise windows
 * around the ranks needed, with number and sum of the values between two windows.  A changed value
 * is taken out at its old place and put in at its new one.  When a rank leaves its window, its
 * value is no longer known.
 */
#ifndef CRM_QUANTITY_H
#define CRM_QUANTITY_H

#include "base/bytes.h"

/* The ranks needed: two for each of up to eight thresholds and for the median, and the ends. */
#define MAX_WANTED 24

typedef struct Run
{
	int64 value;
	int64 count;
} Run;

/* All values in ascending order. */
typedef struct Window
{
	int64 low;
	int64 high;
	int64 nruns;
	Run *runs;
} Window;

/* The values between two windows. */
typedef struct Gap
{
	int64 count;
	int128 sum;
} Gap;

typedef struct Quantity
{
	int64 count;
	int nwindows;
	Window *windows;
	Gap *gaps; /* one below each window, and one above the last */
	int nwanted;
	int64 wanted[MAX_WANTED]; /* the ranks needed */
} Quantity;

/* One customer more, or less, with this value. */
typedef struct Change
{
	int64 value;
	int64 count;
} Change;

/* Keeps all values; sorts them. */
extern void BuildQuantity(Quantity *q, int64 *values, int64 n);

/* Reduces a quantity just built to the windows around the ranks that were asked for. */
extern void TrimQuantity(Quantity *q);

/* Sorts the changes and makes them; false if more of a value would be removed than there are. */
extern bool ChangeQuantity(Quantity *q, Change *changes, int64 nchanges);

/* The value at a rank, from 0; false if it is not known. */
extern bool ValueOfRank(Quantity *q, int64 rank, int64 *value);

/* How many known values are lower. */
extern int64 RankOfValue(const Quantity *q, int64 value);

/* The sum of the values. */
extern int128 TotalOfQuantity(const Quantity *q);

/*
 * The least value with less than that share (percent) of the total above it, as in
 * TierThresholds(); false if it is not known.
 */
extern bool ValueOfShare(Quantity *q, int share, int128 total, int64 *value);

/* The stored form: the windows, at most MAX_QUANTITY_BYTES, and apart from them their runs. */
#define MAX_QUANTITY_BYTES ((MAX_WANTED + 1) * 64)
extern uint8 *WriteWindows(uint8 *at, const Quantity *q);
extern Datum RunsOfWindow(const Window *window);

/* False if the bytes are not valid. */
extern bool ReadWindows(ByteReader *r, Quantity *q);
extern bool ReadRuns(Datum part, Quantity *q, Window *window);

#endif /* CRM_QUANTITY_H */
