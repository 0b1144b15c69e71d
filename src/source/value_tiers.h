/*
 * value_tiers.h: A, B and C by cumulative share of value.
 */
#ifndef CRM_VALUE_TIERS_H
#define CRM_VALUE_TIERS_H

/*
 * The least values of tier A and B: a customer is in A if all who are worth more
 * have less than 80 % of the total together, in B with less than 95 %.  Equal
 * values so share a tier.  The values, at least one and none negative, are sorted.
 */
extern void TierThresholds(int64 *values, int64 nvalues, int64 *a_from, int64 *b_from);

/*
 * A threshold that parts the sorted values as `from`, one of them, does, and is
 * nobody's value in particular: the roundest number above the next lower value.
 */
extern int64 RoundThreshold(const int64 *values, int64 nvalues, int64 from);

#endif /* CRM_VALUE_TIERS_H */
