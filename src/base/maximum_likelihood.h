/*
 * maximum_likelihood.h: maximum likelihood for the models: Newton's method from
 * several starts, then the observed information.
 *
 * A fit works on coordinates that are linear in the logs of the positive
 * parameters, chosen so that the edges of the model lie along them: where
 * customers differ without limit or not at all, or where something never
 * happens.  There the likelihood levels off, and a maximum may lie at an edge as
 * well as inside.  Parameters of either sign, the coefficients of covariates, come
 * after the positive ones and are coordinates themselves.
 */
#ifndef CRM_MAXIMUM_LIKELIHOOD_H
#define CRM_MAXIMUM_LIKELIHOOD_H

#define MAX_FIT_PARAMETERS 64
#define MAX_FIT_STARTS 6
#define MAX_FIT_BOUNDS 2
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
	FIT_EDGE = 7,          /* the maximum of the likelihood, at an edge of the model */
} FitStatus;

extern const char *const FitStatusNames[];

/* Whether the parameters are those of the greatest likelihood. */
static inline bool
FitIsMaximum(FitStatus status)
{
	return status == FIT_CONVERGED || status == FIT_EDGE;
}

/* The log-likelihood of a sample and its gradient by the parameters (not their logs). */
typedef double (*LogLikelihood)(void *sample, const double *parameters, double *gradient);

typedef struct FitProblem
{
	int nparameters;
	int npositive; /* so many of them are positive, the first ones */
	/* ln of a positive parameter (row) = sum of these times the coordinates, npositive a row;
	 * a pair of rows for (shape, scale) has the shape and the mean as coordinates */
	const double *basis;
	LogLikelihood likelihood;
	void *sample;
	void *coarse;  /* a smaller sample much like it, for the first steps */
	double weight; /* of the sample, to scale by */
	int nstarts;
	/* exp of the coordinates of positive parameters, then the others as they are */
	double start[MAX_FIT_STARTS][MAX_FIT_PARAMETERS];
	bool penalized; /* draw the parameters towards start[0] */
} FitProblem;

typedef struct FitResult
{
	FitStatus status; /* converged, edge or no maximum */
	double parameters[MAX_FIT_PARAMETERS];
	double log_likelihood; /* without the penalty */
	/* of the logs of positive parameters and of the others: the lower triangle, row by row;
	 * NULL where there is no maximum */
	double *covariance;
	/*
	 * Where the maximum is at edges: how far inwards, edge by edge, a 95 % interval by the
	 * profile of the likelihood reaches.
	 */
	int nbounds;
	double bounds[MAX_FIT_BOUNDS][MAX_FIT_PARAMETERS];
} FitResult;

extern void MaximizeLikelihood(const FitProblem *problem, FitResult *result);

/* gradient' covariance gradient, for the delta method. */
extern double QuadraticForm(const double *covariance, const double *gradient, int n);

#endif /* CRM_MAXIMUM_LIKELIHOOD_H */
