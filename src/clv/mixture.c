/*
 * mixture.c: the fit of two classes of customers, those who buy regularly and those who buy at
 * random.
 *
 * With the probability that a customer is of a class as the weight, the gradient of the likelihood
 * by the parameters of that class is the one of the class alone.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/special_functions.h"
#include "clv/mixture.h"

typedef struct MixedSample
{
	ClvSample *sample;
	ClvFamily family;
	int regularity;
	double *weights; /* those of the points */
	double *random;  /* probabilities that they are of the random class */
} MixedSample;

static void
InitMixedSample(MixedSample *mixed, ClvSample *sample, ClvFamily family, int regularity)
{
	Size size = mul_size(Max(sample->npoints, 1), sizeof(double));

	mixed->sample = sample;
	mixed->family = family;
	mixed->regularity = regularity;
	mixed->weights = palloc_extended(size, MCXT_ALLOC_HUGE);
	mixed->random = palloc_extended(size, MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < sample->npoints; i++)
		mixed->weights[i] = sample->points[i].weight;
}

/* The gradient by the parameters of one class, its customers weighted by how likely they are. */
static void
ClassGradient(const MixedSample *mixed, bool random, const double *parameters, double *gradient)
{
	ClvSample *sample = mixed->sample;

	for (int64 i = 0; i < sample->npoints; i++)
		sample->points[i].weight =
			mixed->weights[i] * (random ? mixed->random[i] : 1 - mixed->random[i]);
	sample->regularity = random ? 1 : mixed->regularity;
	(void) ClvLikelihood(mixed->family)(sample, parameters, gradient);
	for (int64 i = 0; i < sample->npoints; i++)
		sample->points[i].weight = mixed->weights[i];
}

/* Finds for each point how likely the random class is; returns the log-likelihood. */
static double
Classify(const MixedSample *mixed, const double *parameters, double *by_odds)
{
	const ClvSample *sample = mixed->sample;
	ClvProcess regular = {mixed->family, mixed->regularity};
	ClvProcess random = {mixed->family, 1};
	double odds = parameters[MIXED_ODDS];
	double of_regular = 0;
	double of_random = 0;
	double total = 0;

	*by_odds = 0;
	for (int64 i = 0; i < sample->npoints; i++)
	{
		const ClvPoint *point = &sample->points[i];
		ClvCustomer customer = {(double) point->x, point->t_x, point->T, sample->regularities[i]};
		double log_regular;
		double off;

		if (i % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		/* the points are in order of x */
		if (i == 0 || point->x != point[-1].x)
		{
			of_regular = CountLogLikelihood(regular, parameters, customer.x);
			of_random = CountLogLikelihood(random, parameters + CLV_PARAMETERS, customer.x);
		}
		log_regular = of_regular + TimesLogLikelihood(regular, parameters, &customer) +
					  GapsLogLikelihood(regular, &customer);
		off = odds + of_random +
			  TimesLogLikelihood(random, parameters + CLV_PARAMETERS, &customer) - log_regular;
		mixed->random[i] = Logistic(off);
		total += point->weight * (log_regular + SoftPlus(off));
		*by_odds += point->weight * (mixed->random[i] - Logistic(odds));
	}
	return total - sample->weight * SoftPlus(odds);
}

static double
MixedLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const MixedSample *mixed = (const MixedSample *) data;
	double total = Classify(mixed, parameters, &gradient[MIXED_ODDS]);

	ClassGradient(mixed, false, parameters, gradient);
	ClassGradient(mixed, true, parameters + CLV_PARAMETERS, gradient + CLV_PARAMETERS);
	return total;
}

double
MixtureLogLikelihood(ClvSample *sample, ClvFamily family, const Mixture *mixture)
{
	MixedSample mixed;
	double parameters[MIXED_PARAMETERS];
	double by_odds;

	InitMixedSample(&mixed, sample, family, mixture->regularity);
	memcpy(parameters, mixture->regular, sizeof(mixture->regular));
	memcpy(parameters + CLV_PARAMETERS, mixture->random, sizeof(mixture->random));
	parameters[MIXED_ODDS] = log(mixture->share / (1 - mixture->share));
	return Classify(&mixed, parameters, &by_odds);
}

/* Both classes have the coordinates of their family. */
static void
SetBasis(ClvFamily family, double *basis)
{
	const double *own = ClvBasis(family);

	memset(basis, 0, MIXED_ODDS * MIXED_ODDS * sizeof(double));
	for (int i = 0; i < MIXED_ODDS; i++)
		for (int j = 0; j < MIXED_ODDS; j++)
			if (i / CLV_PARAMETERS == j / CLV_PARAMETERS)
				basis[i * MIXED_ODDS + j] =
					own[i % CLV_PARAMETERS * CLV_PARAMETERS + j % CLV_PARAMETERS];
}

bool
FitMixture(ClvSample *sample, ClvFamily family, Mixture *mixture, double *covariance)
{
	MixedSample mixed;
	double basis[MIXED_ODDS * MIXED_ODDS];
	FitResult result;
	FitProblem problem = {.nparameters = MIXED_PARAMETERS,
						  .npositive = MIXED_ODDS,
						  .basis = basis,
						  .likelihood = MixedLogLikelihood,
						  .sample = &mixed,
						  .coarse = &mixed,
						  .weight = sample->weight,
						  .nstarts = 1,
						  .roughly = true,
						  .with_covariance = covariance != NULL};

	InitMixedSample(&mixed, sample, family, mixture->regularity);
	SetBasis(family, basis);
	ClvCoordinates(family, mixture->regular, problem.start[0]);
	ClvCoordinates(family, mixture->random, problem.start[0] + CLV_PARAMETERS);
	problem.start[0][MIXED_ODDS] = log(mixture->share / (1 - mixture->share));
	MaximizeLikelihood(&problem, &result);
	pfree(mixed.weights);
	pfree(mixed.random);
	if (!FitIsMaximum(result.status))
		return false;
	memcpy(mixture->regular, result.parameters, sizeof(mixture->regular));
	memcpy(mixture->random, result.parameters + CLV_PARAMETERS, sizeof(mixture->random));
	mixture->share = Logistic(result.parameters[MIXED_ODDS]);
	mixture->log_likelihood = result.log_likelihood;
	if (result.covariance != NULL)
		memcpy(covariance, result.covariance, COVARIANCES(MIXED_PARAMETERS) * sizeof(double));
	return true;
}
