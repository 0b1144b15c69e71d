/*
 * payment_rows.h: how late each customer pays, against the others.
 */
#ifndef CRM_PAYMENT_ROWS_H
#define CRM_PAYMENT_ROWS_H

/* Registers the function whose rows are a stream. */
extern void InitPaymentRows(void);

#endif /* CRM_PAYMENT_ROWS_H */
