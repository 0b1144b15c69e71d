/*
 * history_state.h: the unsorted form of a purchase history, the state of the
 * aggregates.
 */
#ifndef CRM_HISTORY_STATE_H
#define CRM_HISTORY_STATE_H

#include "fmgr.h"

#include "history/history_codec.h"

/* The transition functions of purchase_history_agg, by the type of the day. */
extern Datum purchase_history_agg_transfn_date(PG_FUNCTION_ARGS);
extern Datum purchase_history_agg_transfn_timestamp(PG_FUNCTION_ARGS);
extern Datum purchase_history_agg_transfn_timestamptz(PG_FUNCTION_ARGS);
extern Datum purchase_history_agg_finalfn(PG_FUNCTION_ARGS);

/* An error in a session whose time zone is not that of the user. */
extern void RefuseForeignSession(void);

/* The compact history of a value in the unsorted form. */
extern PurchaseHistory *CompactState(const PurchaseHistory *state);

#endif /* CRM_HISTORY_STATE_H */
