/*
 * order_workers.h: a query of orders run by parallel workers.
 *
 * A scan of ours stands between Gather and the plan of the rows.  In every
 * process of the query it takes all rows of that plan, divides them into the
 * partitions that it always has, in shared memory or shared temporary files, and
 * waits until the others have done so, too.  Then each takes partition after
 * partition, whoever filled it, groups it, and hands on blocks of finished
 * customers.  These lie in shared memory that grouped purchases no longer need,
 * while there is some, and the leader reads them there until its query ends.  So
 * what reaches the leader are no rows, and what it still does is little.
 *
 * Nothing is handed on before all have come together, and nobody waits afterwards:
 * so no process waits for one that cannot go on.
 */
#ifndef CRM_ORDER_WORKERS_H
#define CRM_ORDER_WORKERS_H

#include "postgres.h"

#include "orders/order_query.h"

/* Runs the query, with workers where it has a parallel plan. */
extern void RunOrderQuery(OrderQuery *query, const char *text);

extern void InitOrderWorkers(void);

#endif /* CRM_ORDER_WORKERS_H */
