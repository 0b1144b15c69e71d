/*
 * history_join.h: joins of stored histories with customers.
 */
#ifndef CRM_HISTORY_JOIN_H
#define CRM_HISTORY_JOIN_H

extern void InitHistoryJoin(void);

#endif /* CRM_HISTORY_JOIN_H */
