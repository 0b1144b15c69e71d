/*
 * clv_record.h: how good the forecasts of several models would have been on past days.
 */
#ifndef CRM_CLV_RECORD_H
#define CRM_CLV_RECORD_H

/* Lets parallel workers try candidates. */
extern void InitClvRecord(void);

#endif /* CRM_CLV_RECORD_H */
