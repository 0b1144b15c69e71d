/*
 * mixture.h: a shop in which some customers buy regularly and others at random.
 *
 * The two classes have parameters of their own.  Which class a customer is of is not known, but the
 * gaps between the purchases, together with their number and the silence, tell how likely each is.
 */
#ifndef CRM_MIXTURE_H
#define CRM_MIXTURE_H

#include "clv/clv_math.h"

typedef struct Mixture
{
	int regularity; /* of the regular class */
	double regular[CLV_PARAMETERS];
	double random[CLV_PARAMETERS];
	double share; /* of those who buy at random */
	double log_likelihood;
} Mixture;

/*
 * Fits a mixture to a sample with the regularities of customers, starting from one with the same
 * parameters; false if there is no maximum.  `covariance`, unless it is NULL, gets that of the logs
 * of the parameters and of the log-odds, if the maximum is inside.
 */
extern bool FitMixture(ClvSample *sample, ClvFamily family, Mixture *mixture, double *covariance);

/* Its log-likelihood of a sample. */
extern double MixtureLogLikelihood(ClvSample *sample, ClvFamily family, const Mixture *mixture);

#endif /* CRM_MIXTURE_H */
