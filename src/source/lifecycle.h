/*
 * lifecycle.h: where a customer stands.
 */
#ifndef CRM_LIFECYCLE_H
#define CRM_LIFECYCLE_H

#include "clv/clv_model.h"
#include "clv/rhythm.h"
#include "history/history_codec.h"
#include "rfm/segment_scheme.h"

/*
 * What a customer's silence is measured against; if both models are NULL, only the number of days.
 */
typedef struct LapseRule
{
	int64 active;   /* days */
	int64 inactive; /* days */
	const RhythmModel *rhythm;
	const ClvModel *model;
} LapseRule;

/* Purchases up to a silence: what counts of them, see CountPurchase(). */
typedef PurchaseSummary Past;

static inline void
CountPurchase(Past *past, DateADT day)
{
	if (past->purchase_days++ == 0)
		past->first = day;
	else
		CountGap(past, day);
	past->last = day;
}

/* By a model that knows repeat buyers, else (one that failed, or NULL) by the days alone. */
static inline LapseRule
LapseRuleFor(int64 active, const ClvModel *model)
{
	bool known = model != NULL && model->status != FIT_FAILED && model->status != FIT_FEW_REPEATERS;

	return (LapseRule){Max(1, active), 2 * Max(1, active), NULL, known ? model : NULL};
}

/* The customer's lifecycle on that day; LIFECYCLES for none, without a purchase by then. */
extern Lifecycle LifecycleOf(const PurchaseHistory *history, DateADT as_of, const LapseRule *rule);

/* The same, kept for the next column of the row that asks for it. */
extern Lifecycle
RecallLifecycle(const PurchaseHistory *history, DateADT as_of, const LapseRule *rule);

/* Whether such a silence makes the customer lapsing or inactive. */
extern bool HasLapsed(const LapseRule *rule, const Past *past, int64 silence);

#endif /* CRM_LIFECYCLE_H */
