/*
 * holdout_months.h: purchases and their value month by month, as they came and as a model has
 * them, before and after the day that it was fitted on.
 */
#ifndef CRM_HOLDOUT_MONTHS_H
#define CRM_HOLDOUT_MONTHS_H

#include "clv/clv_model.h"
#include "clv/purchase_record.h"

/* What is counted: purchase days, then their value. */
#define MONTH_MEASURES 2

typedef struct HoldoutMonth
{
	int32 month;   /* its number */
	bool forecast; /* the days after as_of; else those before */
	int64 customers;
	double predicted[MONTH_MEASURES];
	double actual[MONTH_MEASURES];
} HoldoutMonth;

/*
 * Ten years at most on either side.  Months up to as_of, of the customers that the model was fitted
 * to: repeat purchases, and what is expected of anybody who first bought when they did.  Then those
 * up to `until`, of all customers by as_of: what came, and what was forecast of each.  `facts` and
 * the value of a purchase are those of the customers, alike ones next to each other.
 */
extern HoldoutMonth *
TrackMonths(const PurchaseRecord *record, const ClvModel *model, DateADT as_of, DateADT until,
			const PurchaseSummary *facts, const double *values, int64 ncustomers, int *nmonths);

#endif /* CRM_HOLDOUT_MONTHS_H */
