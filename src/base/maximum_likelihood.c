/*
 * maximum_likelihood.c: maximum likelihood with NLopt.
 *
 * The parameters are positive and scaled by the caller to be of the order of 1;
 * the fit works on combinations of their logs.  It climbs from every start on a
 * coarse sample, then goes on from the best on the whole sample, along axes on
 * which the curvature found on the coarse one is the unit matrix: there a few
 * evaluations are enough.  Whether the place reached is a maximum is judged by
 * its gradient and curvature, never by what the optimiser says of itself.
 *
 * A coordinate that the data leave open is followed to its edge.  Where no place
 * is higher than the edge, the coordinate is fixed there and the others go on.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>
#include <nlopt.h>

#include "miscadmin.h"

#include "base/maximum_likelihood.h"

#define EDGE 16.0           /* |coordinate| at most: a ten-millionth is as good as nothing */
#define PENALTY_SD 1.5      /* of the ln of a parameter, when penalised */
#define MAX_LOG_SE 20.0     /* a coordinate known no better may have its maximum at an edge */
#define GAIN_TOLERANCE 1e-7 /* log-likelihood still to be gained at the maximum */
#define EDGE_TOLERANCE 1e-4 /* log-likelihood that counts as level, by the edges */
#define EDGE_SLOPE 1e-4     /* what may still be gained beyond an edge, a customer */
#define CLIMB_EVALUATIONS 300
#define POLISH_EVALUATIONS 25
#define POLISH_ROUNDS 12
#define SETTLE_ROUNDS 10
#define DIFFERENCE 1e-4

const char *const FitStatusNames[] = {"given",      "converged",     "few repeaters",
									  "no maximum", "not converged", "no mean",
									  "no data",    "edge",          NULL};

/* A place to be, and what is known there. */
typedef struct Place
{
	double at[MAX_FIT_PARAMETERS];
	bool fixed[MAX_FIT_PARAMETERS];
	/* columns, one a free coordinate: along them the information is the unit matrix */
	double axes[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double value; /* log-likelihood, less the penalty */
} Place;

/* The function being climbed: u -> log-likelihood at origin + axes u, over the weight. */
typedef struct Climb
{
	const FitProblem *problem;
	void *sample;
	int naxes;
	double origin[MAX_FIT_PARAMETERS];
	double axes[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	nlopt_opt opt;
	/* the best so far, should the optimiser be stopped */
	double best_value;
	double best[MAX_FIT_PARAMETERS];
} Climb;

/* The numbers of the free coordinates; returns how many there are. */
static int
FreeCoordinates(const FitProblem *problem, const Place *place, int *coordinates)
{
	int n = 0;

	for (int i = 0; i < problem->nparameters; i++)
		if (!place->fixed[i])
			coordinates[n++] = i;
	return n;
}

/* The logs of the parameters at some coordinates. */
static void
LogsAt(const FitProblem *problem, const double *at, double *logs)
{
	for (int i = 0; i < problem->nparameters; i++)
	{
		logs[i] = 0;
		for (int j = 0; j < problem->nparameters; j++)
			logs[i] += problem->basis[i][j] * at[j];
	}
}

/* The log-likelihood, less the penalty where there is one, and its gradient by the coordinates. */
static double
ValueAt(const FitProblem *problem, void *sample, const double *at, double *gradient)
{
	int n = problem->nparameters;
	double logs[MAX_FIT_PARAMETERS];
	double parameters[MAX_FIT_PARAMETERS] = {0};
	double by_parameter[MAX_FIT_PARAMETERS];
	double from_start[MAX_FIT_PARAMETERS] = {0};
	double off[MAX_FIT_PARAMETERS]; /* logs of the parameters, from those of the first start */
	double value;

	LogsAt(problem, at, logs);
	for (int i = 0; i < n; i++)
	{
		parameters[i] = exp(logs[i]);
		from_start[i] = at[i] - log(problem->start[0][i]);
	}
	LogsAt(problem, from_start, off);
	value = problem->likelihood(sample, parameters, by_parameter);
	memset(gradient, 0, n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double by_log = by_parameter[i] * parameters[i];

		if (problem->penalized)
		{
			off[i] /= PENALTY_SD;
			value -= off[i] * off[i] / 2;
			by_log -= off[i] / PENALTY_SD;
		}
		for (int j = 0; j < n; j++)
			gradient[j] += problem->basis[i][j] * by_log;
	}
	return value;
}

static inline double
BetweenEdges(double coordinate)
{
	return Max(-EDGE, Min(EDGE, coordinate));
}

/* The coordinates at u, kept between the edges. */
static void
CoordinatesAt(const Climb *climb, const double *u, double *at)
{
	for (int i = 0; i < climb->problem->nparameters; i++)
	{
		double value = climb->origin[i];

		for (int j = 0; j < climb->naxes; j++)
			value += climb->axes[i][j] * u[j];
		at[i] = BetweenEdges(value);
	}
}

/* What NLopt calls.  No error may leave it: the optimiser's memory is its own. */
static double
Objective(unsigned n, const double *u, double *gradient, void *data)
{
	Climb *climb = (Climb *) data;
	double at[MAX_FIT_PARAMETERS];
	double by_coordinate[MAX_FIT_PARAMETERS];
	double value;

	if ((QueryCancelPending || ProcDiePending) && INTERRUPTS_CAN_BE_PROCESSED())
		nlopt_force_stop(climb->opt);
	CoordinatesAt(climb, u, at);
	value = ValueAt(climb->problem, climb->sample, at, by_coordinate) / climb->problem->weight;
	if (!isfinite(value))
		value = -1e10;
	if (gradient)
		for (unsigned j = 0; j < n; j++)
		{
			gradient[j] = 0;
			for (int i = 0; i < climb->problem->nparameters; i++)
				gradient[j] += by_coordinate[i] * climb->axes[i][j] / climb->problem->weight;
			if (!isfinite(gradient[j]))
				gradient[j] = 0;
		}
	if (value > climb->best_value)
	{
		climb->best_value = value;
		memcpy(climb->best, u, n * sizeof(double));
	}
	return value;
}

/*
 * Climbs from u = 0 and leaves the best place in climb->best.  A cancel stops
 * the optimiser and is served outside of it; should it turn out not to end the
 * query, the climb begins anew, since the result must not depend on its moment.
 */
static void
ClimbWithNlopt(Climb *climb, const double *lower, const double *upper, int evaluations)
{
	nlopt_result outcome;

	do
	{
		double u[MAX_FIT_PARAMETERS];
		double value;

		CHECK_FOR_INTERRUPTS();
		climb->best_value = -DBL_MAX;
		memset(climb->best, 0, sizeof(climb->best));
		memset(u, 0, sizeof(u));
		climb->opt = nlopt_create(NLOPT_LD_SLSQP, climb->naxes);
		if (climb->opt == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		nlopt_set_max_objective(climb->opt, Objective, climb);
		if (lower)
		{
			nlopt_set_lower_bounds(climb->opt, lower);
			nlopt_set_upper_bounds(climb->opt, upper);
		}
		nlopt_set_maxeval(climb->opt, evaluations);
		nlopt_set_ftol_rel(climb->opt, lower ? 1e-11 : 1e-15);
		outcome = nlopt_optimize(climb->opt, u, &value);
		nlopt_destroy(climb->opt);
	} while (outcome == NLOPT_FORCED_STOP);
}

/* Climbs on the coarse sample from a place, along its free coordinates, between the edges. */
static void
ClimbCoarsely(const FitProblem *problem, Place *place)
{
	Climb climb = {.problem = problem, .sample = problem->coarse};
	int unfixed[MAX_FIT_PARAMETERS];
	double lower[MAX_FIT_PARAMETERS];
	double upper[MAX_FIT_PARAMETERS];
	double gradient[MAX_FIT_PARAMETERS];

	climb.naxes = FreeCoordinates(problem, place, unfixed);
	memcpy(climb.origin, place->at, sizeof(climb.origin));
	for (int j = 0; j < climb.naxes; j++)
	{
		climb.axes[unfixed[j]][j] = 1;
		lower[j] = -EDGE - place->at[unfixed[j]];
		upper[j] = EDGE - place->at[unfixed[j]];
	}
	if (climb.naxes > 0)
	{
		ClimbWithNlopt(&climb, lower, upper, CLIMB_EVALUATIONS);
		CoordinatesAt(&climb, climb.best, place->at);
	}
	place->value = ValueAt(problem, problem->coarse, place->at, gradient);
	if (!isfinite(place->value))
		place->value = -DBL_MAX;
}

/* Lower Cholesky factor; false where the matrix is not positive definite. */
static bool
Cholesky(double matrix[][MAX_FIT_PARAMETERS], double factor[][MAX_FIT_PARAMETERS], int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
		{
			double sum = matrix[i][j];

			for (int k = 0; k < j; k++)
				sum -= factor[i][k] * factor[j][k];
			if (i != j)
				factor[i][j] = sum / factor[j][j];
			else if (sum > 1e-12 * fabs(matrix[i][i]) && isfinite(sum))
				factor[i][i] = sqrt(sum);
			else
				return false;
		}
	return true;
}

/* The inverse of a lower triangular matrix, transposed: its columns span the whitened space. */
static void
InverseTransposed(double factor[][MAX_FIT_PARAMETERS], double inverse[][MAX_FIT_PARAMETERS], int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			double sum = i == j;

			/* inverse[i][j] is (L^-1)[j][i] */
			if (j < i)
			{
				inverse[i][j] = 0;
				continue;
			}
			for (int k = i; k < j; k++)
				sum -= factor[j][k] * inverse[i][k];
			inverse[i][j] = sum / factor[j][j];
		}
}

/*
 * The observed information by the free coordinates: minus the Hessian, by central
 * differences of the gradient.
 */
static void
Information(const FitProblem *problem, void *sample, const Place *place,
			double information[][MAX_FIT_PARAMETERS])
{
	int unfixed[MAX_FIT_PARAMETERS];
	int n = FreeCoordinates(problem, place, unfixed);
	double up[MAX_FIT_PARAMETERS];
	double down[MAX_FIT_PARAMETERS];
	double at[MAX_FIT_PARAMETERS];

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy(at, place->at, sizeof(at));
		at[unfixed[i]] = place->at[unfixed[i]] + DIFFERENCE;
		(void) ValueAt(problem, sample, at, up);
		at[unfixed[i]] = place->at[unfixed[i]] - DIFFERENCE;
		(void) ValueAt(problem, sample, at, down);
		for (int j = 0; j < n; j++)
			information[i][j] = (down[unfixed[j]] - up[unfixed[j]]) / (2 * DIFFERENCE);
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			information[i][j] = information[j][i] = (information[i][j] + information[j][i]) / 2;
}

/*
 * Sets the axes along which the information is the unit matrix.  False: it is not
 * positive definite; then the axes are those of the nearest damped one, good for
 * going on, but there is no maximum here.
 */
static bool
Whiten(const FitProblem *problem, void *sample, Place *place)
{
	int unfixed[MAX_FIT_PARAMETERS];
	int n = FreeCoordinates(problem, place, unfixed);
	double information[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double factor[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double inverse[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double damping = 1e-6;
	bool definite;

	Information(problem, sample, place, information);
	definite = Cholesky(information, factor, n);
	for (bool sound = definite; !sound && damping < 1e6; damping *= 10)
	{
		for (int i = 0; i < n; i++)
			information[i][i] = fabs(information[i][i]) + damping * problem->weight;
		sound = Cholesky(information, factor, n);
	}
	if (damping < 1e6)
	{
		InverseTransposed(factor, inverse, n);
		memset(place->axes, 0, sizeof(place->axes));
		for (int i = 0; i < n; i++)
			memcpy(place->axes[unfixed[i]], inverse[i], n * sizeof(double));
	}
	return definite;
}

/* The best of what can be climbed to from the starts, on the coarse sample. */
static void
ClimbFromStarts(const FitProblem *problem, Place *best)
{
	for (int s = 0; s < problem->nstarts; s++)
	{
		Place place = {.value = -DBL_MAX};

		for (int i = 0; i < problem->nparameters; i++)
			place.at[i] = log(problem->start[s][i]);
		ClimbCoarsely(problem, &place);
		if (s == 0 || place.value > best->value)
			*best = place;
	}
}

/*
 * Half the square of the gradient along the axes: what Newton's step would gain.
 * The step itself is added to `at`, if asked for.
 */
static double
NewtonGain(const FitProblem *problem, const Place *place, const double *gradient, double *at)
{
	int n = problem->nparameters;
	double gain = 0;

	for (int j = 0; j < n; j++)
	{
		double g = 0;

		for (int i = 0; i < n; i++)
			g += place->axes[i][j] * gradient[i];
		gain += g * g / 2;
		for (int i = 0; at && i < n; i++)
			at[i] += place->axes[i][j] * g;
	}
	return gain;
}

/* Whether all free coordinates are between the edges. */
static bool
IsInside(const FitProblem *problem, const Place *place)
{
	for (int i = 0; i < problem->nparameters; i++)
		if (!place->fixed[i] && fabs(place->at[i]) > EDGE - 0.1)
			return false;
	return isfinite(place->value);
}

/*
 * Goes on from a place, by its axes, until the gradient, measured by the
 * curvature, promises nothing more.  False: no such place was found.
 */
static bool
Polish(const FitProblem *problem, void *sample, Place *place)
{
	int n = problem->nparameters;
	int unfixed[MAX_FIT_PARAMETERS];
	double root_weight = sqrt(problem->weight);
	double gradient[MAX_FIT_PARAMETERS];
	double before = -DBL_MAX;

	for (int round = 0; round < POLISH_ROUNDS; round++)
	{
		Climb climb = {.problem = problem, .sample = sample};
		double gain;
		bool definite;

		/* the units of u: the objective is over the weight, so is its curvature */
		climb.naxes = FreeCoordinates(problem, place, unfixed);
		memcpy(climb.origin, place->at, sizeof(climb.origin));
		for (int i = 0; i < n; i++)
			for (int j = 0; j < climb.naxes; j++)
				climb.axes[i][j] = place->axes[i][j] * root_weight;
		if (climb.naxes > 0)
		{
			ClimbWithNlopt(&climb, NULL, NULL, POLISH_EVALUATIONS);
			CoordinatesAt(&climb, climb.best, place->at);
		}

		definite = Whiten(problem, sample, place);
		place->value = ValueAt(problem, sample, place->at, gradient);
		gain = NewtonGain(problem, place, gradient, NULL);
		if (definite && gain < 1e-2)
		{
			/* close by: where the quadratic is exact enough, it leads all the way */
			Place there = *place;
			double left;

			(void) NewtonGain(problem, place, gradient, there.at);
			for (int i = 0; i < n; i++)
				there.at[i] = BetweenEdges(there.at[i]);
			there.value = ValueAt(problem, sample, there.at, gradient);
			left = NewtonGain(problem, &there, gradient, NULL);
			if (left < gain)
			{
				*place = there;
				gain = left;
			}
		}
		if (definite && gain < GAIN_TOLERANCE)
			return IsInside(problem, place);
		if (!(place->value > before + GAIN_TOLERANCE))
			return false;
		before = place->value;
	}
	return false;
}

/* Whether the data say where each free coordinate is. */
static bool
AllAreKnown(const FitProblem *problem, const Place *place)
{
	for (int i = 0; i < problem->nparameters; i++)
	{
		double variance = 0;

		for (int j = 0; j < problem->nparameters; j++)
			variance += place->axes[i][j] * place->axes[i][j];
		if (sqrt(variance) > MAX_LOG_SE)
			return false;
	}
	return true;
}

/* Whether the coarse sample is as likely wherever a fixed coordinate is. */
static bool
IsWithoutEffect(const FitProblem *problem, const Place *place, int coordinate)
{
	for (double at = -EDGE; at <= EDGE; at += EDGE)
	{
		Place there = *place;
		double gradient[MAX_FIT_PARAMETERS];

		there.at[coordinate] = at;
		there.value = ValueAt(problem, problem->coarse, there.at, gradient);
		if (!(fabs(there.value - place->value) < EDGE_TOLERANCE))
			return false;
	}
	return true;
}

/*
 * Fixes one more coordinate at the edge where the coarse sample is most likely, or
 * in the middle when it makes no difference.  False: inside it is more likely than
 * at any edge.
 */
static bool
GoToEdge(const FitProblem *problem, Place *place)
{
	Place inside = *place;
	Place best = {.value = -DBL_MAX};
	int coordinate = -1;

	ClimbCoarsely(problem, &inside);
	for (int i = 0; i < problem->nparameters; i++)
		for (double end = -EDGE; end <= EDGE && !place->fixed[i]; end += 2 * EDGE)
		{
			Place there = inside;

			there.at[i] = end;
			there.fixed[i] = true;
			ClimbCoarsely(problem, &there);
			if (there.value > best.value)
			{
				best = there;
				coordinate = i;
			}
		}
	if (coordinate < 0 || best.value < inside.value - EDGE_TOLERANCE)
		return false;
	if (IsWithoutEffect(problem, &best, coordinate))
		best.at[coordinate] = 0;
	*place = best;
	return true;
}

/*
 * Whether there is a more likely place inwards from the edges; then it is gone
 * to.  The coarse sample is climbed on from several places inside, the whole one
 * only looked at there: that costs too much, and the coarse one has been seen.
 */
static bool
LeaveEdges(const FitProblem *problem, void *sample, Place *place)
{
	double gradient[MAX_FIT_PARAMETERS];
	int unfixed[MAX_FIT_PARAMETERS];

	if (FreeCoordinates(problem, place, unfixed) == problem->nparameters)
		return false;
	for (double off = EDGE - 4; off >= 0; off -= 4)
		for (double middle = -2; middle <= 2; middle += 4)
		{
			Place there = *place;

			for (int i = 0; i < problem->nparameters; i++)
			{
				if (place->fixed[i])
					there.at[i] = place->at[i] == 0 ? middle : copysign(off, place->at[i]);
				there.fixed[i] = false;
			}
			if (sample == problem->coarse)
				ClimbCoarsely(problem, &there);
			else
				there.value = ValueAt(problem, sample, there.at, gradient);
			if (there.value > place->value + EDGE_TOLERANCE)
			{
				*place = there;
				return true;
			}
		}
	return false;
}

/* Finds the maximum near a place with axes, inside or at edges.  False: there is none. */
static bool
Settle(const FitProblem *problem, void *sample, Place *place)
{
	Place inside = {.value = -DBL_MAX};

	for (int round = 0; round < SETTLE_ROUNDS; round++)
	{
		bool reached = Polish(problem, sample, place);

		if (problem->penalized)
			return reached;
		/* on the coarse sample the edge looked more likely */
		if (inside.value > place->value + EDGE_TOLERANCE)
		{
			*place = inside;
			return true;
		}
		if (reached && AllAreKnown(problem, place))
		{
			if (!LeaveEdges(problem, sample, place))
				return true;
			inside.value = -DBL_MAX;
		}
		else
		{
			if (reached)
				inside = *place;
			if (!GoToEdge(problem, place))
				return reached;
		}
		(void) Whiten(problem, problem->coarse, place);
	}
	return false;
}

/* Whether the likelihood has levelled off at every edge that the place is at. */
static bool
EdgesAreLevel(const FitProblem *problem, const Place *place)
{
	double gradient[MAX_FIT_PARAMETERS];

	(void) ValueAt(problem, problem->sample, place->at, gradient);
	for (int i = 0; i < problem->nparameters; i++)
		if (place->fixed[i] && fabs(gradient[i]) > EDGE_SLOPE * problem->weight)
			return false;
	return true;
}

void
MaximizeLikelihood(const FitProblem *problem, FitResult *result)
{
	int n = problem->nparameters;
	Place place;
	int unfixed[MAX_FIT_PARAMETERS];
	double logs[MAX_FIT_PARAMETERS];
	double gradient[MAX_FIT_PARAMETERS];
	double by_log[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS] = {{0}};
	double *out = result->covariance;
	bool found;

	memset(result, 0, sizeof(*result));
	ClimbFromStarts(problem, &place);
	(void) Whiten(problem, problem->coarse, &place);
	found = Settle(problem, problem->coarse, &place);
	if (problem->coarse != problem->sample)
		found = Settle(problem, problem->sample, &place);
	found = found && EdgesAreLevel(problem, &place);
	result->status = !found                                           ? FIT_NO_MAXIMUM
					 : FreeCoordinates(problem, &place, unfixed) == n ? FIT_CONVERGED
																	  : FIT_EDGE;
	if (!found)
		return;

	LogsAt(problem, place.at, logs);
	for (int i = 0; i < n; i++)
	{
		result->parameters[i] = exp(logs[i]);
		for (int j = 0; j < n; j++)
			for (int k = 0; k < n; k++)
				by_log[i][k] += problem->basis[i][j] * place.axes[j][k];
	}
	result->log_likelihood =
		problem->penalized ? problem->likelihood(problem->sample, result->parameters, gradient)
						   : place.value;
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++, out++)
			for (int k = 0; k < n; k++)
				*out += by_log[i][k] * by_log[j][k];
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
