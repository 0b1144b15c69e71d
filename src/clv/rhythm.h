/*
 * rhythm.h: the rhythm of a customer's purchases, and when a silence breaks it.
 *
 * The days between purchases are Gamma(k, rate), k whole, and the rates of the
 * customers Gamma(a, b).  All times are in days.
 */
#ifndef CRM_RHYTHM_H
#define CRM_RHYTHM_H

#include "base/maximum_likelihood.h"
#include "base/model.h"
#include "clv/clv_math.h"

#define RHYTHM_PARAMETERS 2 /* a, b */

typedef struct RhythmModel
{
	int64 regularity; /* k */
	double parameters[RHYTHM_PARAMETERS];
	double covariance[COVARIANCES(RHYTHM_PARAMETERS)]; /* of their logs */
	int32 status;                                      /* FitStatus */
	DateADT as_of;                                     /* of the fit; -infinity for none */
	int64 customers;
	int64 gaps;
	double log_likelihood;
} RhythmModel;

extern const ModelFormat RhythmModelFormat;

/* P(a gap ends within the silence) for a customer with n gaps of `total` days together. */
extern double LapseProbability(int k, double a, double b, double n, double total, double silence);

/* Customers with x gaps in t_x, then a silence up to T. */
typedef struct RhythmSample
{
	ClvSample *customers;
	int k;
	double constant; /* the part of the log-likelihood that does not depend on a and b */
} RhythmSample;

extern double RhythmLogLikelihood(void *sample, const double *parameters, double *gradient);

#endif /* CRM_RHYTHM_H */
