/*
 * history_state.h: the loose form of a purchase history, the aggregates' state.
 */
#ifndef CRM_HISTORY_STATE_H
#define CRM_HISTORY_STATE_H

#include "purchase_history.h"

/* Everything of a row but its day; returns the scale of the amounts. */
extern int	DayFromPurchase(PurchaseDay *day, Datum amount, bool has_cost, Datum cost);

#endif							/* CRM_HISTORY_STATE_H */
