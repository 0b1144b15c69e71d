/*
 * clv_holdout.h: forecasts of customers, and what they did.
 */
#ifndef CRM_CLV_HOLDOUT_H
#define CRM_CLV_HOLDOUT_H

#include "clv/clv_model.h"
#include "clv/summary_state.h"

/* Sums over customers, purchase days. */
typedef struct HoldoutTotal
{
	double customers;
	double predicted;
	double actual;
	double error; /* sum of absolute errors of the customers */
} HoldoutTotal;

/* From a sorted state that also knows what happened from its as_of until its end. */
extern void HoldoutTotals(const SummaryState *state, const ClvModel *model, HoldoutTotal *total);

/* Lets parallel workers test forecasts. */
extern void InitClvHoldout(void);

#endif /* CRM_CLV_HOLDOUT_H */
