/*
 * summary_state.h: the state of the aggregates that fit models to histories.
 *
 * Weighted distinct facts: a bytea of fixed-size entries, first those already sorted and distinct,
 * then the others in order of arrival, then room for more.  A concrete type lets parallel,
 * partition-wise and distributed plans split the aggregates; weights are integers, so results do
 * not depend on the order.
 */
#ifndef CRM_SUMMARY_STATE_H
#define CRM_SUMMARY_STATE_H

#include "fmgr.h"
#include "utils/date.h"

#include "clv/day_weights.h"
#include "clv/purchase_summary.h"

/* An entry: how often the same thing was seen. */
typedef struct FitEntry
{
	uint64 key; /* kind, and the first half of what was seen */
	uint64 detail;
	int64 weight;
} FitEntry;

/* The units of time that a model may have, in days. */
#define MIN_UNIT_DAYS (1.0 / 24)
#define MAX_UNIT_DAYS 36525.0

/* Kinds, in the highest bits of the key. */
#define FIT_CUSTOMER                                                                               \
	UINT64CONST(0) /* (x, t_x), (T, regularity if it is wanted, later purchase days); days */
#define FIT_OPPORTUNITIES UINT64CONST(1) /* (taken, last one taken), (offered) */
#define FIT_SPEND UINT64CONST(2)         /* (x), (bits of the amount of x purchases) */
#define FIT_GAP UINT64CONST(3)           /* (months: see GapMonths), (end, days): see FitGap() */
#define FIT_DAYS                                                                                   \
	FIT_OPPORTUNITIES /* where there are customers: (first day, days), (bits of their weight) */
#define FIT_KIND(key) ((key) >> 62)
#define FIT_KEY(kind, rest) (((kind) << 62) | (uint64) (rest))

/* What a fit may look for besides the parameters. */
#define FIT_REGULARITY 0x0F /* k of the gaps; 0 for the most likely one */
#define FIT_SEASON 0x10
#define FIT_MONTHS 0x40 /* factors of single months */
#define FIT_INFLOW 0x20 /* observed_from is found from the inflow of first purchases */
#define FIT_MIXED 0x80  /* some customers are regular, others buy at random */
#define FIT_FEATURES (FIT_REGULARITY | FIT_SEASON | FIT_MONTHS | FIT_INFLOW | FIT_MIXED)

/* What is fitted; all rows of an aggregate must agree on it. */
typedef struct FitOptions
{
	uint8 purpose;  /* number of the model's family */
	uint8 basis;    /* ValueBasis */
	uint8 features; /* of the above */
	DateADT as_of;
	DateADT until;         /* end of the holdout period; as_of without one */
	double unit;           /* days */
	DateADT observed_from; /* first purchases before it are not trusted; -infinity to trust all */
	DayWeights days;       /* given to single days */
} FitOptions;

/* Exact integer sums, which do not depend on the order of the rows; int128s, low half first. */
typedef struct SpendTotals
{
	int64 customers;
	int64 repeats;     /* purchases beyond the first of each customer */
	uint64 first[2];   /* value of first purchases, in 10^-6 */
	uint64 squares[2]; /* of the distances of repeat purchases from their customer's mean, too */
} SpendTotals;

typedef struct SummaryState
{
	int32 vl_len_;
	uint8 version;
	uint8 purpose;
	uint8 basis;
	uint8 features;
	DateADT as_of;
	DateADT until;
	double unit;
	DateADT observed_from;
	uint32 days_hash; /* of the weights of days, which are among the entries; 0: none */
	int64 nentries;
	int64 nsorted;
	/* of customers whose repeat purchases have a value: [0] if it is positive, [1] otherwise */
	SpendTotals spend[2];
	FitEntry entries[FLEXIBLE_ARRAY_MEMBER];
} SummaryState;

/* The state argument, aligned and checked; NULL if there is none yet. */
extern SummaryState *SummaryStateArgument(FunctionCallInfo fcinfo, int argument);

/* The state unchanged, for a row that is skipped. */
extern Datum KeepSummaryState(FunctionCallInfo fcinfo);

/* The state for a row of these options: a new one for the first, else an error if they differ. */
extern SummaryState *SummaryStateFor(SummaryState *state, const FitOptions *options);

/* These return the state, or a larger one in its place, in the current memory context. */
extern SummaryState *AddFitEntry(SummaryState *state, uint64 key, uint64 detail, int64 weight);
extern SummaryState *AddCustomer(SummaryState *state, const PurchaseSummary *facts);
extern SummaryState *AddSpend(SummaryState *state, const PurchaseSummary *facts);

/*
 * Adds the gaps between purchase days up to as_of, if the fit needs more than their number: of a
 * history, or one by one in order.
 */
typedef struct GapWalk
{
	bool by_month; /* what the fit needs */
	bool by_first;
	bool by_day;
	int32 as_of_month;
	DateADT last;
	uint64 first_month; /* months back from as_of, of the first and the last purchase */
	uint64 last_month;
} GapWalk;

extern SummaryState *AddGaps(SummaryState *state, const PurchaseHistory *history);
extern bool BeginGaps(const SummaryState *state, DateADT first, GapWalk *walk);
extern SummaryState *AddGap(SummaryState *state, GapWalk *walk, DateADT day);
extern SummaryState *CombineSummaryStates(SummaryState *state, const SummaryState *other);

/* Sorts and merges all entries and checks that each is possible: a fit starts with that. */
extern void SortSummaryState(SummaryState *state);

/* The sums of one of the totals as doubles. */
extern double FirstValueSum(const SpendTotals *totals);
extern double SquaresWithin(const SpendTotals *totals);

static inline int64
FitPurchases(const FitEntry *entry)
{
	return (int64) (entry->key >> 32);
}

static inline int64
FitLastDay(const FitEntry *entry)
{
	return (int64) (entry->key & PG_UINT32_MAX);
}

static inline int64
FitAge(const FitEntry *entry)
{
	return (int64) (entry->detail >> 32);
}

/* The lower half of the detail: the customer's regularity, in steps, above later purchase days. */
#define LATER_BITS 20
#define MAX_LATER ((UINT64CONST(1) << LATER_BITS) - 1)
#define MAX_IRREGULAR ((UINT64CONST(1) << (32 - LATER_BITS)) - 1)
#define REGULARITY_STEPS 16.0 /* of 1 in RegularityOf() */

static inline int64
FitLaterPurchases(const FitEntry *entry)
{
	return (int64) (entry->detail & MAX_LATER);
}

/* RegularityOf() the customer; 0 if the fit does not need it. */
static inline double
FitRegularity(const FitEntry *entry)
{
	return -(double) (entry->detail >> LATER_BITS & MAX_IRREGULAR) / REGULARITY_STEPS;
}

/*
 * The months of a gap, all 0 if the fit does not need them: from the customer's first purchase,
 * from the gap's start and from its end to as_of.
 */
#define MONTH_BITS 20
#define MAX_MONTHS_BACK ((INT64CONST(1) << MONTH_BITS) - 1)

typedef struct GapMonths
{
	int32 first;
	int32 start;
	int32 end;
} GapMonths;

static inline GapMonths
FitGapMonths(const FitEntry *entry)
{
	GapMonths months;

	months.first = (int32) (entry->key >> (2 * MONTH_BITS) & MAX_MONTHS_BACK);
	months.start = (int32) (entry->key >> MONTH_BITS & MAX_MONTHS_BACK);
	months.end = (int32) (entry->key & MAX_MONTHS_BACK);
	return months;
}

/*
 * The days of a gap and, where single days have weights, from its end to as_of: the upper half of
 * the detail, plus 1; 0 where they have none.
 */
static inline int64
FitGap(const FitEntry *entry)
{
	return (int64) (entry->detail & PG_UINT32_MAX);
}

static inline int64
FitGapEnd(const FitEntry *entry)
{
	return (int64) (entry->detail >> 32) - 1;
}

/* The runs of days with weights of a sorted state, in the current memory context. */
extern DayRun *DayRunsOfState(const SummaryState *state, int *n);

/* The most opportunities of one customer. */
#define MAX_OPPORTUNITIES 10000

static inline int32
FitTaken(const FitEntry *entry)
{
	return (int32) (entry->key >> 31 & PG_INT32_MAX);
}

static inline int32
FitLastTaken(const FitEntry *entry)
{
	return (int32) (entry->key & PG_INT32_MAX);
}

static inline int32
FitOffered(const FitEntry *entry)
{
	return (int32) entry->detail;
}

static inline double
FitAmount(const FitEntry *entry)
{
	double amount;

	memcpy(&amount, &entry->detail, sizeof(amount));
	return amount;
}

#endif /* CRM_SUMMARY_STATE_H */
