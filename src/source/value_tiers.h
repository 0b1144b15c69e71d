/*
 * value_tiers.h: A, B and C by cumulative share of value.
 */
#ifndef CRM_VALUE_TIERS_H
#define CRM_VALUE_TIERS_H

/* Cumulative shares, in percent, at which the tiers A and B end. */
#define TIER_A_SHARE 80
#define TIER_B_SHARE 95

/*
 * The least values of tier A and B: a customer is in A if all customers of higher value together
 * have less than 80 % of the total, and in B if they have less than 95 %.  So equal values share a
 * tier.  The values, at least one and none negative, must be sorted.
 */
extern void TierThresholds(int64 *values, int64 nvalues, int64 *a_from, int64 *b_from);

/*
 * A threshold that parts values as `from`, one of them, does, and is nobody's value in
 * particular: the roundest number above `below`, the next lower one, or 0.
 */
extern int64 RoundThreshold(int64 below, int64 from);

#endif /* CRM_VALUE_TIERS_H */
