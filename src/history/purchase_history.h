/*
 * purchase_history.h: histories as arguments of functions.
 */
#ifndef CRM_PURCHASE_HISTORY_H
#define CRM_PURCHASE_HISTORY_H

#include "fmgr.h"

#include "history/history_state.h"

/* A history argument, detoasted (often in place, with a short header) and compact. */
static inline PurchaseHistory *
HistoryFromDatum(Datum value)
{
	PurchaseHistory *history = (PurchaseHistory *) DatumGetPointer(value);

	if (unlikely(VARATT_IS_COMPRESSED(history) || VARATT_IS_EXTERNAL(history)))
		history = PG_DETOAST_DATUM_PACKED(value);
	if (unlikely(HistoryIsUnsorted(history)))
		return CompactState(history);
	return history;
}

#define PG_GETARG_HISTORY(n) HistoryFromDatum(PG_GETARG_DATUM(n))

#endif /* CRM_PURCHASE_HISTORY_H */
