/*
 * audience.h: drawing the control group of an audience.
 */
#ifndef CRM_AUDIENCE_H
#define CRM_AUDIENCE_H

/* Registers the function whose rows are a stream. */
extern void InitAudience(void);

#endif /* CRM_AUDIENCE_H */
