/*
 * maximum_likelihood.c: maximum likelihood with Newton's method.
 *
 * The caller scales the parameters to the order of 1; the fit works on linear combinations of the
 * logs of the positive ones.  It climbs from every start on a coarse sample and continues from the
 * best point on the whole sample with the curvature found on the coarse one, so that few
 * evaluations are needed there; a caller that fits much the same again hands the curvature on.  The
 * gradient and the curvature tell whether the point reached is a maximum.
 *
 * A coordinate that the data do not determine is followed to its edge.  If no point is higher than
 * the edge, the coordinate is fixed there and the fit continues with the others.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#include "base/maximum_likelihood.h"
#include "base/newton.h"

#define EDGE 16.0           /* largest |coordinate|: a ten-millionth is as good as zero */
#define PENALTY_SD 1.5      /* of the ln of a parameter, when penalised */
#define MAX_LOG_SE 8.0      /* a coordinate known no better may have its maximum at an edge */
#define GAIN_TOLERANCE 1e-7 /* log-likelihood still to be gained at the maximum */
#define EDGE_TOLERANCE 1e-4 /* log-likelihood that counts as level, by the edges */
#define EDGE_SLOPE 1e-4     /* what may still be gained beyond an edge, a customer */
#define NEAR 1e-2           /* log-likelihood within which Newton's step leads all the way */
#define LONGEST_STEP 3.0    /* of a coordinate */
#define ON_THE_WAY 0.2      /* to an edge, of a coefficient: so much of the distance from 0 */
#define CLIMB_TOLERANCE 1e-6
#define CLIMB_STEPS 300
#define POLISH_STEPS 25
#define POLISH_ROUNDS 12
#define SETTLE_ROUNDS 10
#define DIFFERENCE 1e-4
#define PROFILE_DROP 1.9207 /* half of 1.96 squared */
#define PROFILE_STEP 2.0    /* of a coordinate, inwards from its edge */
#define PROFILE_HALVINGS 8
#define MAX_PROFILED 20000.0 /* customers; of more, edges are as good as known */

const char *const FitStatusNames[] = {"given",      "converged",     "few repeaters",
									  "no maximum", "not converged", "no mean",
									  "no data",    "edge",          NULL};

/* A point and what was computed there. */
typedef struct Place
{
	double at[MAX_FIT_PARAMETERS];
	bool fixed[MAX_FIT_PARAMETERS];
	double value; /* log-likelihood, less the penalty */
	double gradient[MAX_FIT_PARAMETERS];
} Place;

typedef struct Fit
{
	const FitProblem *problem;
	int n;
	void *sample; /* the one to climb on */
	/*
	 * at the last point given to LookClosely: minus the Hessian, damped if not positive definite,
	 * with unit rows for fixed coordinates; and its Cholesky factor
	 */
	double *information;
	double *factor;
	double *curvature; /* of a climb */
} Fit;

/* Whether all coordinates are free. */
static bool
IsFree(const Fit *fit, const Place *place)
{
	for (int i = 0; i < fit->n; i++)
		if (place->fixed[i])
			return false;
	return true;
}

/* Element (i, j) of the matrix that maps coordinates to logs and coefficients. */
static inline double
Basis(const FitProblem *problem, int i, int j)
{
	if (i < problem->npositive && j < problem->npositive)
		return problem->basis[i * problem->npositive + j];
	return i == j;
}

/* The logs of the positive parameters, and the other parameters, at the given coordinates. */
static void
LogsAt(const FitProblem *problem, const double *at, double *logs)
{
	for (int i = 0; i < problem->nparameters; i++)
	{
		logs[i] = 0;
		for (int j = 0; j < problem->nparameters; j++)
			logs[i] += Basis(problem, i, j) * at[j];
	}
}

/* The coordinates of a starting point. */
static void
CoordinatesOfStart(const FitProblem *problem, int s, double *at)
{
	for (int i = 0; i < problem->nparameters; i++)
		at[i] = i < problem->npositive ? log(problem->start[s][i]) : problem->start[s][i];
}

static void
ParametersAt(const FitProblem *problem, const double *at, double *parameters)
{
	LogsAt(problem, at, parameters);
	for (int i = 0; i < problem->npositive; i++)
		parameters[i] = exp(parameters[i]);
}

/* The log-likelihood less the penalty, if any, and its gradient with respect to the coordinates. */
static double
ValueAt(const FitProblem *problem, void *sample, const double *at, double *gradient)
{
	int n = problem->nparameters;
	double parameters[MAX_FIT_PARAMETERS] = {0};
	double by_parameter[MAX_FIT_PARAMETERS];
	double off[MAX_FIT_PARAMETERS]; /* from the first start, as logs */
	double value;

	ParametersAt(problem, at, parameters);
	value = problem->likelihood(sample, parameters, by_parameter);
	for (int i = 0; i < problem->npositive; i++)
		by_parameter[i] *= parameters[i];
	if (problem->penalized)
	{
		double from_start[MAX_FIT_PARAMETERS];

		CoordinatesOfStart(problem, 0, from_start);
		for (int i = 0; i < n; i++)
			from_start[i] = at[i] - from_start[i];
		LogsAt(problem, from_start, off);
		for (int i = 0; i < n; i++)
		{
			off[i] /= PENALTY_SD;
			value -= off[i] * off[i] / 2;
			by_parameter[i] -= off[i] / PENALTY_SD;
		}
	}
	for (int j = 0; j < n; j++)
	{
		gradient[j] = 0;
		for (int i = 0; i < n; i++)
			gradient[j] += Basis(problem, i, j) * by_parameter[i];
	}
	return value;
}

/* The function to minimise: minus the value per customer. */
static double
Loss(void *data, const double *at, double *gradient, double *hessian)
{
	const Fit *fit = (const Fit *) data;
	double value = ValueAt(fit->problem, fit->sample, at, gradient);

	Assert(hessian == NULL);
	for (int i = 0; i < fit->n; i++)
		gradient[i] /= -fit->problem->weight;
	return -value / fit->problem->weight;
}

static inline double
BetweenEdges(double coordinate)
{
	return Max(-EDGE, Min(EDGE, coordinate));
}

/*
 * Climbs from a point along its free coordinates, within the edges, until no more than `tolerance`
 * can be gained.  For `curvature` see Minimize().
 */
static void
Climb(Fit *fit, void *sample, Place *place, double *curvature, double tolerance, int max_steps)
{
	const FitProblem *problem = fit->problem;
	int n = fit->n;
	double lower[MAX_FIT_PARAMETERS];
	double upper[MAX_FIT_PARAMETERS];
	NewtonProblem newton = {.n = n,
							.function = Loss,
							.data = fit,
							.lower = lower,
							.upper = upper,
							.longest = LONGEST_STEP,
							.tolerance = tolerance / problem->weight,
							.max_steps = max_steps};

	for (int i = 0; i < n; i++)
	{
		lower[i] = place->fixed[i] ? place->at[i] : -EDGE;
		upper[i] = place->fixed[i] ? place->at[i] : EDGE;
	}
	fit->sample = sample;
	(void) Minimize(&newton, place->at, curvature, &place->value, place->gradient);
	place->value *= -problem->weight;
	for (int i = 0; i < n; i++)
		place->gradient[i] *= -problem->weight;
	if (!isfinite(place->value))
		place->value = -DBL_MAX;
}

static void
ClimbCoarsely(Fit *fit, Place *place, double *curvature)
{
	Climb(fit, fit->problem->coarse, place, curvature, CLIMB_TOLERANCE, CLIMB_STEPS);
}

/* The curvature of the loss by the information, to start climbing with. */
static double *
CurvatureByInformation(Fit *fit)
{
	for (int i = 0; i < fit->n * fit->n; i++)
		fit->curvature[i] = fit->information[i] / fit->problem->weight;
	return fit->curvature;
}

/*
 * Computes the observed information of the free coordinates at a point by central differences of
 * the gradient.  Returns false if it is not positive definite: it is damped then and good enough to
 * climb on, but the point is no maximum.
 */
static bool
ComputeInformation(Fit *fit, void *sample, const Place *place)
{
	int n = fit->n;
	double up[MAX_FIT_PARAMETERS];
	double down[MAX_FIT_PARAMETERS];
	double at[MAX_FIT_PARAMETERS];
	double *information = fit->information;

	memset(information, 0, n * n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (place->fixed[i])
			continue;
		memcpy(at, place->at, sizeof(at));
		at[i] = place->at[i] + DIFFERENCE;
		(void) ValueAt(fit->problem, sample, at, up);
		at[i] = place->at[i] - DIFFERENCE;
		(void) ValueAt(fit->problem, sample, at, down);
		for (int j = 0; j < n; j++)
			if (!place->fixed[j])
				information[Max(i, j) * n + Min(i, j)] +=
					(down[j] - up[j]) / ((i == j ? 2 : 4) * DIFFERENCE);
	}
	for (int i = 0; i < n; i++)
		if (place->fixed[i])
			information[i * n + i] = 1;
	return DampedCholeskyFactor(information, fit->factor, n);
}

/* The best point reached from the starts on the coarse sample. */
static void
ClimbFromStarts(Fit *fit, Place *best)
{
	const FitProblem *problem = fit->problem;
	Size square = sizeof(double) * fit->n * fit->n;

	for (int s = 0; s < problem->nstarts; s++)
	{
		Place place = {.value = -DBL_MAX};

		CoordinatesOfStart(problem, s, place.at);
		if (s == 0 && problem->curvature)
			memcpy(fit->curvature, problem->curvature, square);
		else
			memset(fit->curvature, 0, square);
		ClimbCoarsely(fit, &place, fit->curvature);
		if (s > 0 && place.value <= best->value)
			continue;
		*best = place;
		if (problem->curvature)
			memcpy(problem->curvature, fit->curvature, square);
	}
}

/*
 * The gain that a Newton step promises: half the squared length of the gradient in the metric of
 * the information.  Adds the step itself to `at` unless that is NULL.
 */
static double
NewtonGain(const Fit *fit, const Place *place, double *at)
{
	double step[MAX_FIT_PARAMETERS];
	double gain = 0;

	for (int i = 0; i < fit->n; i++)
		step[i] = place->fixed[i] ? 0 : place->gradient[i];
	CholeskySolve(fit->factor, step, fit->n);
	for (int i = 0; i < fit->n; i++)
	{
		if (place->fixed[i])
			continue;
		gain += step[i] * place->gradient[i] / 2;
		if (at)
			at[i] = BetweenEdges(at[i] + step[i]);
	}
	return gain;
}

/* Whether all free coordinates lie within the edges. */
static bool
IsInside(const Fit *fit, const Place *place)
{
	for (int i = 0; i < fit->n; i++)
		if (!place->fixed[i] && fabs(place->at[i]) > EDGE - 0.1)
			return false;
	return isfinite(place->value);
}

/*
 * Continues from a point with known information until the gradient, in the metric of the
 * information found there, promises no further gain.  Returns false if no such point was found.
 */
static bool
Polish(Fit *fit, void *sample, Place *place)
{
	double before = -DBL_MAX;

	for (int round = 0; round < POLISH_ROUNDS; round++)
	{
		double gain;
		bool definite;

		Climb(fit, sample, place, CurvatureByInformation(fit), GAIN_TOLERANCE / 1000, POLISH_STEPS);
		definite = ComputeInformation(fit, sample, place);
		gain = NewtonGain(fit, place, NULL);
		if (definite && gain < NEAR)
		{
			Place there = *place;
			double left;

			(void) NewtonGain(fit, place, there.at);
			there.value = ValueAt(fit->problem, sample, there.at, there.gradient);
			left = NewtonGain(fit, &there, NULL);
			if (left < gain)
			{
				*place = there;
				gain = left;
			}
		}
		if (definite && gain < GAIN_TOLERANCE)
			return IsInside(fit, place);
		if (!(place->value > before + GAIN_TOLERANCE))
			return false;
		before = place->value;
	}
	return false;
}

/* A free coordinate that the data do not determine; -1 if there is none. */
static int
UnknownCoordinate(const Fit *fit, const Place *place)
{
	for (int i = 0; i < fit->n; i++)
	{
		double whitened[MAX_FIT_PARAMETERS] = {0};
		double variance = 0;

		whitened[i] = 1;
		SolveLower(fit->factor, whitened, fit->n);
		for (int j = 0; j < fit->n; j++)
			variance += whitened[j] * whitened[j];
		if (!place->fixed[i] && sqrt(variance) > MAX_LOG_SE)
			return i;
	}
	return -1;
}

/*
 * Computes the information at a point that was climbed roughly.  Coordinates at edges, and others
 * that the data do not determine, count as known.  Returns false if nothing is left.
 */
static bool
ComputeInformationOfKnown(Fit *fit, void *sample, Place *place)
{
	for (int i = 0; i < fit->n; i++)
		place->fixed[i] = fabs(place->at[i]) > EDGE - 0.1;
	for (int round = 0; round < fit->n; round++)
	{
		bool definite = ComputeInformation(fit, sample, place);
		int unknown = definite ? UnknownCoordinate(fit, place) : -1;

		if (definite && unknown < 0)
			return true;
		/* the flattest one keeps the others from being known */
		for (int i = 0; !definite && i < fit->n; i++)
			if (!place->fixed[i] &&
				(unknown < 0 ||
				 fit->information[i * fit->n + i] < fit->information[unknown * fit->n + unknown]))
				unknown = i;
		if (unknown < 0)
			return false;
		place->fixed[unknown] = true;
	}
	return false;
}

/* Whether the likelihood of the coarse sample does not depend on a fixed coordinate. */
static bool
IsWithoutEffect(const Fit *fit, const Place *place, int coordinate)
{
	for (double at = -EDGE; at <= EDGE; at += EDGE)
	{
		Place there = *place;

		there.at[coordinate] = at;
		there.value = ValueAt(fit->problem, fit->problem->coarse, there.at, there.gradient);
		if (!(fabs(there.value - place->value) < EDGE_TOLERANCE))
			return false;
	}
	return true;
}

/*
 * Fixes one more coordinate at the edge where the coarse sample is most likely, or in the middle if
 * it makes no difference.  Returns false if the sample is more likely inside than at any edge.
 */
static bool
GoToEdge(Fit *fit, Place *place)
{
	Place inside = *place;
	Place best = {.value = -DBL_MAX};
	int coordinate = -1;

	ClimbCoarsely(fit, &inside, CurvatureByInformation(fit));
	for (int i = 0; i < fit->n; i++)
		for (double end = -EDGE; end <= EDGE && !place->fixed[i]; end += 2 * EDGE)
		{
			Place there = inside;

			/* a coefficient is on its way there, or is not */
			if (i >= fit->problem->npositive && inside.at[i] / end < ON_THE_WAY)
				continue;
			there.at[i] = end;
			there.fixed[i] = true;
			ClimbCoarsely(fit, &there, CurvatureByInformation(fit));
			if (there.value > best.value)
			{
				best = there;
				coordinate = i;
			}
		}
	if (coordinate < 0 || best.value < inside.value - EDGE_TOLERANCE)
		return false;
	if (IsWithoutEffect(fit, &best, coordinate))
		best.at[coordinate] = 0;
	*place = best;
	return true;
}

/*
 * Whether there is a more likely point inside the edges; if so, moves there.  The fit climbs from
 * several inner points on the coarse sample and only evaluates the whole sample at the end, since
 * climbing on it would cost too much.
 */
static bool
LeaveEdges(Fit *fit, void *sample, Place *place)
{
	bool any_middle = false;

	if (IsFree(fit, place))
		return false;
	for (int i = 0; i < fit->n; i++)
		any_middle = any_middle || (place->fixed[i] && place->at[i] == 0);
	for (double off = EDGE - 4; off >= 0; off -= 4)
		for (double middle = -2; middle <= (any_middle ? 2 : -2); middle += 4)
		{
			Place there = *place;

			for (int i = 0; i < fit->n; i++)
			{
				if (place->fixed[i])
					there.at[i] = place->at[i] == 0 ? middle : copysign(off, place->at[i]);
				there.fixed[i] = false;
			}
			if (sample == fit->problem->coarse)
				ClimbCoarsely(fit, &there, NULL);
			else
				there.value = ValueAt(fit->problem, sample, there.at, there.gradient);
			if (there.value > place->value + EDGE_TOLERANCE)
			{
				*place = there;
				return true;
			}
		}
	return false;
}

/*
 * Finds the maximum, inside or at edges, near a point whose information is known.  Returns false if
 * there is none.
 */
static bool
Settle(Fit *fit, void *sample, Place *place)
{
	Place inside = {.value = -DBL_MAX};

	for (int round = 0; round < SETTLE_ROUNDS; round++)
	{
		bool reached = Polish(fit, sample, place);

		if (fit->problem->penalized)
			return reached;
		/* the edge was more likely only on the coarse sample */
		if (inside.value > place->value + EDGE_TOLERANCE)
		{
			*place = inside;
			return ComputeInformation(fit, sample, place);
		}
		if (reached && UnknownCoordinate(fit, place) < 0)
		{
			if (!LeaveEdges(fit, sample, place))
				return true;
			inside.value = -DBL_MAX;
		}
		else
		{
			if (reached)
				inside = *place;
			if (!GoToEdge(fit, place))
				return reached;
		}
		(void) ComputeInformation(fit, fit->problem->coarse, place);
	}
	return false;
}

/* Whether the likelihood has levelled off at every edge that the point lies on. */
static bool
EdgesAreLevel(const Fit *fit, const Place *place)
{
	for (int i = 0; i < fit->n; i++)
		if (place->fixed[i] && fabs(place->gradient[i]) > EDGE_SLOPE * fit->problem->weight)
			return false;
	return true;
}

/* The covariance of the logs and coefficients, from the information about the coordinates. */
static double *
CovarianceAt(const Fit *fit, const Place *place)
{
	int n = fit->n;
	double *covariance = palloc0(COVARIANCES(n) * sizeof(double));
	double *whitened = palloc(n * n * sizeof(double));
	double *out = covariance;

	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < n; j++)
			whitened[i * n + j] = place->fixed[j] ? 0 : Basis(fit->problem, i, j);
		SolveLower(fit->factor, &whitened[i * n], n);
		for (int j = 0; j <= i; j++, out++)
			for (int k = 0; k < n; k++)
				*out += whitened[i * n + k] * whitened[j * n + k];
	}
	pfree(whitened);
	return covariance;
}

/*
 * How much less likely the coarse sample is at another value of one coordinate, with the free
 * coordinates refitted.
 */
static double
DropAt(Fit *fit, const Place *edge, int coordinate, double at, Place *there)
{
	there->at[coordinate] = at;
	there->value = -DBL_MAX;
	ClimbCoarsely(fit, there, fit->curvature);
	return edge->value - there->value;
}

/*
 * How far from its edge a coordinate may lie: a 95 % interval by the profile likelihood.  Returns
 * false if it may lie anywhere.
 */
static bool
ProfileBound(Fit *fit, const Place *place, int coordinate, double *parameters)
{
	double inwards = place->at[coordinate] > 0 ? -1 : 1;
	Place edge = *place;
	Place there;
	double near = place->at[coordinate];
	double far = near;

	ClimbCoarsely(fit, &edge, CurvatureByInformation(fit));
	there = edge;
	do
	{
		near = far;
		far += inwards * PROFILE_STEP;
		if (fabs(far) > EDGE)
			return false;
	} while (DropAt(fit, &edge, coordinate, far, &there) < PROFILE_DROP);
	for (int i = 0; i < PROFILE_HALVINGS; i++)
	{
		double middle = (near + far) / 2;

		if (DropAt(fit, &edge, coordinate, middle, &there) < PROFILE_DROP)
			near = middle;
		else
			far = middle;
	}
	(void) DropAt(fit, &edge, coordinate, far, &there);
	ParametersAt(fit->problem, there.at, parameters);
	return true;
}

static void
FindBounds(Fit *fit, const Place *place, FitResult *result)
{
	for (int i = 0; i < fit->n && result->nbounds < MAX_FIT_BOUNDS; i++)
		if (place->fixed[i] && fabs(place->at[i]) > EDGE - 0.1)
			result->nbounds += ProfileBound(fit, place, i, result->bounds[result->nbounds]);
}

void
MaximizeLikelihood(const FitProblem *problem, FitResult *result)
{
	int n = problem->nparameters;
	Fit fit = {.problem = problem, .n = n};
	Place place;
	double gradient[MAX_FIT_PARAMETERS];
	bool found;

	memset(result, 0, sizeof(*result));
	fit.information = palloc(n * n * sizeof(double));
	fit.factor = palloc(n * n * sizeof(double));
	fit.curvature = palloc(n * n * sizeof(double));
	ClimbFromStarts(&fit, &place);
	if (problem->roughly)
	{
		for (int i = 0; i < n; i++)
			place.fixed[i] = fabs(place.at[i]) > EDGE - 0.1;
		result->status = !(place.value > -DBL_MAX) || !EdgesAreLevel(&fit, &place) ? FIT_NO_MAXIMUM
						 : IsFree(&fit, &place)                                    ? FIT_CONVERGED
																				   : FIT_EDGE;
		ParametersAt(problem, place.at, result->parameters);
		result->log_likelihood = place.value;
		if (problem->with_covariance && result->status != FIT_NO_MAXIMUM &&
			ComputeInformationOfKnown(&fit, problem->coarse, &place))
			result->covariance = CovarianceAt(&fit, &place);
		pfree(fit.information);
		pfree(fit.factor);
		pfree(fit.curvature);
		return;
	}
	(void) ComputeInformation(&fit, problem->coarse, &place);
	found = Settle(&fit, problem->coarse, &place);
	if (problem->coarse != problem->sample)
		found = Settle(&fit, problem->sample, &place);
	found = found && EdgesAreLevel(&fit, &place);
	result->status = !found ? FIT_NO_MAXIMUM : IsFree(&fit, &place) ? FIT_CONVERGED : FIT_EDGE;
	if (found)
	{
		ParametersAt(problem, place.at, result->parameters);
		result->log_likelihood =
			problem->penalized ? problem->likelihood(problem->sample, result->parameters, gradient)
							   : place.value;
		result->covariance = CovarianceAt(&fit, &place);
		if (problem->with_bounds && !problem->penalized && problem->weight <= MAX_PROFILED)
			FindBounds(&fit, &place, result);
	}
	pfree(fit.information);
	pfree(fit.factor);
	pfree(fit.curvature);
}

double
QuadraticForm(const double *covariance, const double *gradient, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++, covariance++)
			sum += (i == j ? 1 : 2) * gradient[i] * gradient[j] * *covariance;
	return sum;
}
