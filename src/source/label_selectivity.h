/*
 * label_selectivity.h: how many customers have a label, for the planner.
 */
#ifndef CRM_LABEL_SELECTIVITY_H
#define CRM_LABEL_SELECTIVITY_H

extern void InitLabelSelectivity(void);

#endif /* CRM_LABEL_SELECTIVITY_H */
