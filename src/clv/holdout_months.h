/*
 * holdout_months.h: purchases and their value by month, actual and according to a model, before and
 * after the day that it was fitted on.
 */
#ifndef CRM_HOLDOUT_MONTHS_H
#define CRM_HOLDOUT_MONTHS_H

#include "clv/clv_model.h"
#include "clv/purchase_record.h"

/* The quantities: purchase days, then their value. */
#define MONTH_MEASURES 2

typedef struct HoldoutMonth
{
	int32 month;   /* its number */
	bool forecast; /* days after as_of, or those before */
	int64 customers;
	double predicted[MONTH_MEASURES];
	double actual[MONTH_MEASURES];
} HoldoutMonth;

/*
 * At most ten years on either side.  Months up to as_of cover the customers that the model was
 * fitted to: repeat purchases, and what is expected given the day of the first purchase.  Months up
 * to `until` cover all customers by as_of: outcomes and forecasts.  `facts` and the values of a
 * purchase belong to the customers, with equal ones adjacent.
 */
extern HoldoutMonth *
TrackMonths(const PurchaseRecord *record, const ClvModel *model, DateADT as_of, DateADT until,
			const PurchaseSummary *facts, const double *values, int64 ncustomers, int *nmonths);

#endif /* CRM_HOLDOUT_MONTHS_H */
