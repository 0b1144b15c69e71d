/*
 * policies_elsewhere.h: policies of local tables in queries that Citus takes apart.
 */
#ifndef CRM_POLICIES_ELSEWHERE_H
#define CRM_POLICIES_ELSEWHERE_H

extern void InitPoliciesElsewhere(void);

#endif /* CRM_POLICIES_ELSEWHERE_H */
