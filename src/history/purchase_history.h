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

/* Adds the days of b, or subtracts them. */
extern PurchaseHistory *
CombineHistories(const PurchaseHistory *a, const PurchaseHistory *b, bool subtract);

/* The history as it was at the end of a day. */
extern PurchaseHistory *HistoryAsOf(const PurchaseHistory *history, DateADT as_of);

#endif /* CRM_PURCHASE_HISTORY_H */
