/*
 * maximum_likelihood.h: maximum likelihood fits by Newton's method from several starts, with the
 * observed information.
 *
 * A fit works on coordinates that are linear in the logs of the positive parameters, chosen so that
 * the edges of the model lie along them: customers who differ without limit or not at all, or
 * something that never happens.  The likelihood levels off there, and its maximum may lie at an
 * edge as well as inside.  Parameters of either sign, such as the coefficients of covariates,
 * follow the positive ones and are coordinates themselves.
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
	FIT_NO_DATA = 6,       /* spend only: no customer carries information */
	FIT_EDGE = 7,          /* the maximum of the likelihood, at an edge of the model */
} FitStatus;

extern const char *const FitStatusNames[];

/* Whether the parameters maximise the likelihood. */
static inline bool
FitIsMaximum(FitStatus status)
{
	return status == FIT_CONVERGED || status == FIT_EDGE;
}

/*
 * The log-likelihood of a sample and its gradient with respect to the parameters (not their logs).
 */
typedef double (*LogLikelihood)(void *sample, const double *parameters, double *gradient);

typedef struct FitProblem
{
	int nparameters;
	int npositive; /* the first ones, which are positive */
	/*
	 * one row of npositive factors per positive parameter: its log is the sum of factors times
	 * coordinates; the two rows of (shape, scale) can make shape and mean the coordinates
	 */
	const double *basis;
	LogLikelihood likelihood;
	void *sample;
	void *coarse;  /* a smaller, similar sample for the first steps */
	double weight; /* of the sample, for scaling */
	int nstarts;
	/* exponentials of the coordinates of positive parameters, then the others as they are */
	double start[MAX_FIT_STARTS][MAX_FIT_PARAMETERS];
	bool penalized; /* shrink the parameters towards start[0] */
	/*
	 * Only climb, on the coarse sample, from starts that are near a maximum: edges are not looked
	 * for, and a covariance only if it is asked for
	 */
	bool roughly;
	bool with_covariance;
	bool with_bounds; /* else those of the result are not looked for */
	/*
	 * of minus the log-likelihood of a customer by the coordinates: near the first start, and then
	 * where the climb ended; all 0 if unknown, NULL if it is not wanted
	 */
	double *curvature;
} FitProblem;

typedef struct FitResult
{
	FitStatus status; /* converged, edge or no maximum */
	double parameters[MAX_FIT_PARAMETERS];
	double log_likelihood; /* without the penalty */
	/*
	 * of the logs of the positive parameters and of the others: the lower triangle, row by row;
	 * NULL if there is no maximum, or, climbed roughly, unless it was asked for
	 */
	double *covariance;
	/*
	 * If the maximum lies at edges, and bounds are asked for: how far inwards from each a 95 %
	 * interval by the profile likelihood reaches.
	 */
	int nbounds;
	double bounds[MAX_FIT_BOUNDS][MAX_FIT_PARAMETERS];
} FitResult;

extern void MaximizeLikelihood(const FitProblem *problem, FitResult *result);

/* gradient' × covariance × gradient, for the delta method. */
extern double QuadraticForm(const double *covariance, const double *gradient, int n);

#endif /* CRM_MAXIMUM_LIKELIHOOD_H */
