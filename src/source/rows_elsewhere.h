/*
 * rows_elsewhere.h: the rows of a table that is on other machines.
 */
#ifndef CRM_ROWS_ELSEWHERE_H
#define CRM_ROWS_ELSEWHERE_H

extern void InitRowsElsewhere(void);

#endif /* CRM_ROWS_ELSEWHERE_H */
