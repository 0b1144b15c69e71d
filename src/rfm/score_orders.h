/*
 * score_orders.h: from orders to scores and segments in one call.
 */
#ifndef CRM_SCORE_ORDERS_H
#define CRM_SCORE_ORDERS_H

extern void InitScoreOrders(void);

#endif /* CRM_SCORE_ORDERS_H */
