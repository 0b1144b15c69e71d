/*
 * maximize.h: maximum likelihood for the models: NLopt from several starts on
 * the logs of the parameters, then the observed information.
 */
#ifndef CRM_MAXIMIZE_H
#define CRM_MAXIMIZE_H

#define MAX_FIT_PARAMETERS 4
#define MAX_FIT_STARTS 4
#define COVARIANCES(n) ((n) * ((n) + 1) / 2)

/* How a fit ended; the numbers are stored. */
typedef enum FitStatus
{
	FIT_GIVEN = 0,         /* no fit: the parameters were given */
	FIT_CONVERGED = 1,     /* the maximum of the likelihood */
	FIT_FEW_REPEATERS = 2, /* fallback: too little data */
	FIT_NO_MAXIMUM = 3,    /* fallback: the likelihood rises without end */
	FIT_FAILED = 4,        /* no usable parameters */
	FIT_NO_MEAN = 5,       /* spend only: q is not above 1 */
	FIT_NO_DATA = 6,       /* spend only: nobody says anything */
} FitStatus;

extern const char *const FitStatusNames[];

/* The log-likelihood of a sample and its gradient by the parameters (not their logs). */
typedef double (*LogLikelihood)(void *sample, const double *parameters, double *gradient);

typedef struct FitProblem
{
	int nparameters;
	LogLikelihood likelihood;
	void *sample;
	void *coarse;  /* a smaller sample much like it, for the first steps */
	double weight; /* of the sample, to scale by */
	int nstarts;
	double start[MAX_FIT_STARTS][MAX_FIT_PARAMETERS];
	bool penalized; /* draw the parameters towards start[0] */
} FitProblem;

typedef struct FitResult
{
	bool converged;
	double parameters[MAX_FIT_PARAMETERS];
	double log_likelihood; /* without the penalty */
	/* of the logs of the parameters: the lower triangle, row by row */
	double covariance[COVARIANCES(MAX_FIT_PARAMETERS)];
} FitResult;

extern void MaximizeLikelihood(const FitProblem *problem, FitResult *result);

/* gradient' covariance gradient, for the delta method. */
extern double QuadraticForm(const double *covariance, const double *gradient, int n);

#endif /* CRM_MAXIMIZE_H */
