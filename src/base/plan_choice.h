/*
 * plan_choice.h: choosing between plans of a query that is run here.
 */
#ifndef CRM_PLAN_CHOICE_H
#define CRM_PLAN_CHOICE_H

#include "nodes/plannodes.h"

/*
 * What PostgreSQL's planner leaves out for the hash joins of a plan, in its units: it takes a look
 * into a hash table for as cheap as a comparison, however large the table is.  0: nothing; less:
 * there is no hash join.
 */
extern double HashJoinMisses(const Plan *plan);

#define NO_HASH_JOIN (-1.0)

/* Whether a hash table of such rows stays in a processor's cache. */
extern bool IsCached(double rows, int width);

#endif /* CRM_PLAN_CHOICE_H */
