/*
 * history_codec.h: every purchase day of one customer in a few bytes.
 *
 * The stored form (after the varlena header):
 *
 *	version		1 byte
 *	flags		1 byte: bit 0 costs, bits 1-3 scale of the amounts, bit 7 unsorted
 *	days		one entry a day, in order of day, none of them empty:
 *		gap		varint: days since the previous entry, minus one (the first:
 *				zigzag of the days since FIRST_DAY_BASE), shifted left by one
 *				bit, or two if the history has costs:
 *				bit 0: `extra` follows; bit 1 (with costs): `covered` follows
 *		extra	varint: orders * 2 + (amount < 0); without it: one order, amount >= 0
 *		amount	varint: magnitude in units of 10^-scale
 *		cost	zigzag varint, if the history has costs
 *		covered	zigzag varint: the amount that the cost covers; without it: all of it
 *
 * Equal contents have equal bytes: the scale is the smallest that holds every amount, the costs
 * flag is set only if a cost is known, and every entry has its shortest form.  The *unsorted* form
 * is the state of the aggregates, which never return it (see history_state.c); still, every
 * function can read it.
 */
#ifndef CRM_HISTORY_CODEC_H
#define CRM_HISTORY_CODEC_H

#include "fmgr.h"
#include "utils/date.h"

#include "base/bytes.h"
#include "base/common.h"
#include "base/decimal.h"

#define HISTORY_VERSION 1
#define HISTORY_HEADER 2 /* bytes: version and flags */
#define HISTORY_COSTS 0x01
#define HISTORY_SCALE_SHIFT 1
#define HISTORY_SCALE_MASK 0x07
#define HISTORY_UNSORTED 0x80

#define FIRST_DAY_BASE 5479 /* 2015-01-01: days near it take two bytes */

typedef struct varlena PurchaseHistory;

/* One day of a history. */
typedef struct PurchaseDay
{
	int64 amount;
	DateADT day;
	int32 orders;
	/* meaningful only with known costs: both 0 if none is known */
	int64 cost;
	int64 covered; /* the part of the amount that the cost covers */
} PurchaseDay;

/* Reads the days of a history one after the other. */
typedef struct HistoryReader
{
	ByteReader bytes;
	DateADT day; /* of the entry last read */
	int scale;
	bool costs;
	bool first;
	/* days already decoded (history_memo.c), or NULL */
	const PurchaseDay *next_day;
	const PurchaseDay *end_day;
} HistoryReader;

/* The days considered: after < day <= as_of. */
typedef struct HistoryWindow
{
	DateADT after;
	DateADT as_of;
} HistoryWindow;

#define WHOLE_HISTORY ((HistoryWindow){PG_INT32_MIN, PG_INT32_MAX})

/* Sums over a window. */
typedef struct HistorySummary
{
	DateADT last_ever; /* last purchase day up to as_of, window or not */
	DateADT first;     /* purchase days in the window; only if purchase_days > 0 */
	DateADT last;
	int64 orders;
	int64 purchase_days;
	int128 amount; /* in units of 10^-scale */
	int128 cost;
	int128 covered;
	bool costs;     /* a cost is known */
	bool purchased; /* on or before as_of */
	int scale;
} HistorySummary;

extern void HistoryReaderInit(HistoryReader *reader, const PurchaseHistory *history);
extern bool ReadEncodedDay(HistoryReader *reader, PurchaseDay *day);

/* Reads all days, at most `max`; returns how many. */
extern int64 ReadDays(HistoryReader *reader, PurchaseDay *days, int64 max_days);

/* Reads the next day; false at the end. */
static inline bool
ReadPurchaseDay(HistoryReader *reader, PurchaseDay *day)
{
	if (reader->next_day == NULL)
		return ReadEncodedDay(reader, day);
	if (reader->next_day == reader->end_day)
		return false;
	*day = *reader->next_day++;
	return true;
}

pg_noreturn extern void HistoryCorrupted(void);

/* Returns false if there is no purchase on or before window.as_of. */
extern bool
SummarizeHistory(const PurchaseHistory *history, HistoryWindow window, HistorySummary *summary);

/* The same for decoded days. */
extern void SummarizeDays(const PurchaseDay *days, int64 ndays, int scale, bool costs,
						  HistoryWindow window, HistorySummary *summary);

/* Sorts, sums and encodes days in any order; overwrites the array. */
extern PurchaseHistory *EncodeHistory(PurchaseDay *days, int64 ndays, int scale);

/* The same for days that are already sorted and summed, none of them empty. */
extern PurchaseHistory *EncodeSortedHistory(const PurchaseDay *days, int64 ndays, int scale);

/* The same into memory of the caller, which has MaxHistorySize bytes. */
extern void
WriteSortedHistory(PurchaseHistory *history, const PurchaseDay *days, int64 ndays, int scale);
extern Size MaxHistorySize(int64 ndays);

/* Sorts days and sums entries of the same day; returns how many are left. */
extern int64 SortPurchaseDays(PurchaseDay *days, int64 ndays);

/*
 * Makes the entry of one order (a refund if the amount is negative) and its cost (NULL if unknown);
 * returns the scale of its amounts.
 */
static inline int
MakePurchaseDay(PurchaseDay *purchase, DateADT day, Decimal amount, const Decimal *cost)
{
	int scale;

	purchase->day = day;
	purchase->orders = amount.mantissa >= 0 ? 1 : 0;
	purchase->amount = amount.mantissa;
	purchase->cost = 0;
	purchase->covered = 0;
	if (cost == NULL)
		return amount.scale;

	scale = Max(amount.scale, cost->scale);
	purchase->amount = Rescale(amount.mantissa, amount.scale, scale);
	purchase->cost = Rescale(cost->mantissa, cost->scale, scale);
	purchase->covered = purchase->amount;
	return scale;
}

pg_noreturn extern void TooManyOrders(void);

/* Adds b to a, both of the same day and scale. */
static inline void
AddPurchaseDay(PurchaseDay *a, const PurchaseDay *b)
{
	a->amount = AddAmounts(a->amount, b->amount);
	if (unlikely(pg_add_s32_overflow(a->orders, b->orders, &a->orders)))
		TooManyOrders();
	a->cost = AddAmounts(a->cost, b->cost);
	a->covered = AddAmounts(a->covered, b->covered);
}

/* Decodes the days of a history at a given scale (not below its own). */
extern PurchaseDay *DecodeHistory(const PurchaseHistory *history, int scale, int64 *ndays);
extern int HistoryScale(const PurchaseHistory *history);
extern bool HistoryHasCosts(const PurchaseHistory *history);

/* The single check of everything that comes from outside. */
extern bool HistoryIsValid(const PurchaseHistory *history);

/* Whether it is in the unsorted form (history_state.h). */
static inline bool
HistoryIsUnsorted(const PurchaseHistory *history)
{
	return VARSIZE_ANY_EXHDR(history) >= HISTORY_HEADER &&
		   (((const uint8 *) VARDATA_ANY(history))[1] & HISTORY_UNSORTED) != 0;
}

#endif /* CRM_HISTORY_CODEC_H */
