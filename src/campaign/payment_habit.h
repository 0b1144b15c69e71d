/*
 * payment_habit.h: how late a customer pays: what is usual, what is recent, and whether they
 * differ.
 *
 * The payments of a customer come as a history, which is how rows are grouped fastest: its days,
 * counted from 2000-01-01, are eight times the days late, plus their kind; its orders are payments,
 * and amounts are those of open ones.
 */
#ifndef CRM_PAYMENT_HABIT_H
#define CRM_PAYMENT_HABIT_H

#include "history/purchase_history.h"

#define PAYMENT_KINDS 8
#define RECENT_PAYMENT 1
#define OPEN_PAYMENT 2
#define UNKNOWN_PAYMENT 4 /* the amount is not known */

#define NO_MEDIAN PG_INT64_MAX

typedef struct PaymentHabit
{
	int64 recent; /* number of payments */
	int64 earlier;
	int64 late;
	int64 overdue;
	int64 overdue_days; /* of the oldest of these */
	int64 usual;        /* twice the median days late of the earlier ones */
	int64 now;          /* the same of the recent ones */
	double z; /* how far the recent ones rank above the earlier ones; NaN: too few, or all tied */
	int128 amount; /* of those overdue, in units of 10^-scale */
	bool amount_known;
	int scale;
} PaymentHabit;

/* False if there are no payments. */
extern bool ReadPaymentHabit(const PurchaseHistory *history, PaymentHabit *habit);

#endif /* CRM_PAYMENT_HABIT_H */
