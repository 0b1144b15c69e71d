/*
 * purchase_history.h: histories as arguments of functions.
 */
#ifndef CRM_PURCHASE_HISTORY_H
#define CRM_PURCHASE_HISTORY_H

#include "fmgr.h"

#include "history/history_codec.h"

/* A history argument, detoasted (often in place, with a short header) and compact. */
extern PurchaseHistory *HistoryFromDatum(Datum value);
#define PG_GETARG_HISTORY(n) HistoryFromDatum(PG_GETARG_DATUM(n))

#endif /* CRM_PURCHASE_HISTORY_H */
