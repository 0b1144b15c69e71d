/*
 * order_plan.h: what a plan does to the columns of orders that is done faster here.
 */
#ifndef CRM_ORDER_PLAN_H
#define CRM_ORDER_PLAN_H

#include "nodes/plannodes.h"

/* The column of that name in the rows of a plan; 0 if there is none. */
extern AttrNumber PlanColumnNamed(const Plan *plan, const char *name);

/*
 * If a column is round(x::numeric, n) or round(x, n), makes it x and returns n, the decimals that
 * are left to round to; `round_to` otherwise, and if that is not AS_THEY_ARE.
 */
extern int TakeOverRounding(Plan *plan, AttrNumber attno, int round_to);

#endif /* CRM_ORDER_PLAN_H */
