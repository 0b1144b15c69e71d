/*
 * order_workers.h: a query of orders run by parallel workers.
 *
 * A scan of ours stands between Gather and the plan of the rows.  In every process of the query it
 * takes all rows of that plan, divides them into the partitions that it always has, sends those
 * that another process will group there (order_partitions.h), and waits until the others have done
 * so, too.  Then each groups partition after partition, and hands on blocks of finished customers.
 * These lie in shared memory, too, which the leader copies and gives back.  So what reaches the
 * leader are no rows, what it still does is little, and little memory is shared: the kernel clears,
 * maps and frees it page by page, which takes longer than copying.
 *
 * Nothing is handed on to the leader before all have come together, and nobody waits afterwards: so
 * no process waits for one that cannot go on.
 */
#ifndef CRM_ORDER_WORKERS_H
#define CRM_ORDER_WORKERS_H

#include "postgres.h"

#include "orders/order_query.h"

/* Runs the query, with workers where it has a parallel plan. */
extern void RunOrderQuery(OrderQuery *query, const char *text);

extern void InitOrderWorkers(void);

#endif /* CRM_ORDER_WORKERS_H */
