/*
 * tracking_triggers.h: the triggers that fill the queue of a source.
 */
#ifndef CRM_TRACKING_TRIGGERS_H
#define CRM_TRACKING_TRIGGERS_H

/* The queue that a trigger fills; that of a partition has the link of the one it was cloned from.
 */
extern Oid QueueOfTrigger(Oid trigger);

#endif /* CRM_TRACKING_TRIGGERS_H */
