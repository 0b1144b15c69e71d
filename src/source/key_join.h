/*
 * key_join.h: the join of a source's histories with its customers, in the order of their keys.
 */
#ifndef CRM_KEY_JOIN_H
#define CRM_KEY_JOIN_H

/* Whether such joins are offered to the planner for the query whose joins it looks for. */
extern bool key_joins_offered;

extern void InitKeyJoin(void);

#endif /* CRM_KEY_JOIN_H */
