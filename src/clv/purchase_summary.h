/*
 * purchase_summary.h: what the models of repeat purchase use of a history.
 */
#ifndef CRM_PURCHASE_SUMMARY_H
#define CRM_PURCHASE_SUMMARY_H

#include <math.h>

#include "history/history_memo.h"

/* What value means; the numbers are stored. */
typedef enum ValueBasis
{
	VALUE_REVENUE = 0,
	VALUE_PROFIT = 1, /* amount less cost, of the purchases with known costs */
} ValueBasis;

extern const char *const ValueBasisNames[];

typedef struct PurchaseSummary
{
	DateADT first; /* purchase days up to as_of */
	DateADT last;
	int64 purchase_days;
	int64 valued_days;     /* repeat purchase days with a known value */
	double first_value;    /* of the first purchase day */
	bool first_valued;     /* whether its value is known */
	double repeat_value;   /* of all later days, net of refunds */
	double repeat_squares; /* sum of squares over purchase days, each net of the refunds that follow
							  it */
	double log_gaps;       /* sum of ln(days of the gap) between purchase days, but for the factor
							  that follows */
	double gaps;           /* product of the days of other gaps */
	int64 later_days;      /* purchase days after as_of, up to `until` */
	double later_value;    /* and the value of these days, net of refunds */
} PurchaseSummary;

/* Adds the gap before a repeat purchase; the log of many at once, since it takes the most time. */
static inline void
CountGap(PurchaseSummary *facts, DateADT day)
{
	facts->gaps = (facts->gaps > 0 ? facts->gaps : 1) * ((double) day - facts->last);
	if (facts->gaps > 1e280)
	{
		facts->log_gaps += log(facts->gaps);
		facts->gaps = 1;
	}
}

/*
 * How regular the gaps are: the sum of ln(gap / mean gap), 0 if all are alike or there is only one.
 */
static inline double
RegularityOf(const PurchaseSummary *facts)
{
	double x = (double) (facts->purchase_days - 1);

	if (x < 2)
		return 0;
	return Min(0, facts->log_gaps + log(facts->gaps) -
					  x * log(((double) facts->last - facts->first) / x));
}

/* The value of a day in a history with amounts of this scale. */
extern double ValueOfDay(const PurchaseDay *day, ValueBasis basis, int scale);

/* Returns false if there is no purchase on or before as_of.  Without a holdout `until` is as_of. */
extern bool SummarizePurchases(const PurchaseHistory *history, DateADT as_of, DateADT until,
							   ValueBasis basis, PurchaseSummary *facts);

/*
 * The same without a holdout and without repeat_squares, which is 0, kept as RecallSummary() keeps
 * its own; `serial` is the history's.
 */
extern const PurchaseSummary *
RecallPurchases(const PurchaseHistory *history, DateADT as_of, ValueBasis basis, uint64 *serial);

#endif /* CRM_PURCHASE_SUMMARY_H */
