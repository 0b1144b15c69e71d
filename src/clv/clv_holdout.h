/*
 * clv_holdout.h: what a model forecast of customers, and what they did.
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
	double error; /* absolute, customer by customer */
} HoldoutTotal;

/* Of a sorted state, which knows what happened from its as_of until its end. */
extern void HoldoutTotals(const SummaryState *state, const ClvModel *model, HoldoutTotal *total);

#endif /* CRM_CLV_HOLDOUT_H */
