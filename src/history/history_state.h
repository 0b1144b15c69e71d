/*
 * history_state.h: the unsorted form of a purchase history, the state of the
 * aggregates.
 */
#ifndef CRM_HISTORY_STATE_H
#define CRM_HISTORY_STATE_H

#include "history/history_codec.h"

/* The compact history of a value in the unsorted form. */
extern PurchaseHistory *CompactState(const PurchaseHistory *state);

#endif /* CRM_HISTORY_STATE_H */
