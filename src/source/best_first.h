/*
 * best_first.h: the join of customers and histories where only the first rows of a sorted result
 * are wanted.
 */
#ifndef CRM_BEST_FIRST_H
#define CRM_BEST_FIRST_H

#include "nodes/pathnodes.h"

#include "source/key_lookup.h"

/*
 * Offers it for the left join of customers with histories, which are found as `histories` says by
 * that clause, if the query wants so few rows.
 */
extern void AddBestFirst(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *customers,
						 const RestrictInfo *clause, const KeyTarget *histories);

extern void InitBestFirst(void);

#endif /* CRM_BEST_FIRST_H */
