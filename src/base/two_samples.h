/*
 * two_samples.h: comparing the customers of two groups, by shares and by means.
 *
 * Pure numerics: no SQL, no rows. Groups are not empty; callers say what is known of an empty one.
 */
#ifndef CRM_TWO_SAMPLES_H
#define CRM_TWO_SAMPLES_H

#include "postgres.h"

/* Successes among the members of a group. */
typedef struct Share
{
	double successes;
	double members;
} Share;

typedef struct Bounds
{
	double lower;
	double upper;
} Bounds;

/* The two-sided p-value of a standard normal. */
extern double NormalTwoSided(double z);

/*
 * z of the difference of two shares with the standard error of both together; NaN if nobody or
 * everybody succeeded.
 */
extern double TwoProportionZ(Share a, Share b);

/* The smallest expected count of the table of two groups. */
extern double SmallestExpected(Share a, Share b);

/*
 * Fisher's exact test, two-sided: the chance of all tables with the same margins that are no
 * likelier than this one, up to a factor of 1 + 1e-7 against rounding.
 */
extern double FisherExact(Share a, Share b);

/*
 * The same with half the chance of this table itself, so that it holds its level on average instead
 * of in the worst case (Lancaster 1961; recommended by Lydersen, Fagerland and Laake 2009).
 */
extern double FisherMidP(Share a, Share b);

/*
 * Interval of the difference a - b from the score intervals of both: method 10 of Newcombe (1998),
 * "Interval estimation for the difference between independent proportions", Statistics in
 * Medicine 17.
 */
extern Bounds NewcombeInterval(Share a, Share b, double level);

/* The two-sided p-value of Student's t, df > 0. */
extern double StudentTwoSided(double t, double df);

/* The t with P(|T| <= t) = level, 0 < level < 1. */
extern double StudentQuantileOfLevel(double level, double df);

/* The chance that the z test of two groups finds a difference of these true shares. */
extern double
TwoProportionPower(double rate_a, double members_a, double rate_b, double members_b, double level);

#endif /* CRM_TWO_SAMPLES_H */
