/*
 * history_aggregate.h: GROUP BY customer with purchase_history_agg, by the bulk road.
 */
#ifndef CRM_HISTORY_AGGREGATE_H
#define CRM_HISTORY_AGGREGATE_H

extern void InitHistoryAggregate(void);

#endif /* CRM_HISTORY_AGGREGATE_H */
