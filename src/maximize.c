/*
 * maximize.c: maximum likelihood with NLopt.
 *
 * The parameters are positive, so the fit works on their logs, scaled by the
 * caller to be of the order of 1.  It climbs from every start on a coarse
 * sample, then goes on from the best on the whole sample, in coordinates in
 * which the curvature found on the coarse one is the unit matrix: there a few
 * evaluations are enough.  Whether the place reached is a maximum is judged by
 * its gradient and curvature, never by what the optimiser says of itself.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>
#include <nlopt.h>

#include "miscadmin.h"

#include "maximize.h"

#define LOG_BOUND 14.0      /* |ln parameter| at most, in scaled units */
#define PENALTY_SD 1.5      /* of the ln of a parameter, when penalised */
#define MAX_LOG_SE 20.0     /* a parameter known no better lies on a ridge without end */
#define GAIN_TOLERANCE 1e-7 /* log-likelihood still to be gained at the maximum */
#define CLIMB_EVALUATIONS 300
#define POLISH_EVALUATIONS 25
#define POLISH_ROUNDS 12
#define DIFFERENCE 1e-4

const char *const FitStatusNames[] = {"given",         "converged", "few repeaters", "no maximum",
									  "not converged", "no mean",   "no data",       NULL};

/* The function being climbed: u -> log-likelihood at exp(origin + axes u), over the weight. */
typedef struct Climb
{
	const FitProblem *problem;
	void *sample;
	double origin[MAX_FIT_PARAMETERS];
	double axes[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	nlopt_opt opt;
	/* the best so far, should the optimiser be stopped */
	double best_value;
	double best[MAX_FIT_PARAMETERS];
} Climb;

/*
 * The log-likelihood, less the penalty where there is one, at the logs of the
 * parameters, and its gradient.
 */
static double
ValueAt(const FitProblem *problem, void *sample, const double *logs, double *gradient)
{
	double parameters[MAX_FIT_PARAMETERS];
	double value;

	for (int i = 0; i < problem->nparameters; i++)
		parameters[i] = exp(logs[i]);
	value = problem->likelihood(sample, parameters, gradient);
	for (int i = 0; i < problem->nparameters; i++)
	{
		gradient[i] *= parameters[i];
		if (problem->penalized)
		{
			double off = (logs[i] - log(problem->start[0][i])) / PENALTY_SD;

			value -= off * off / 2;
			gradient[i] -= off / PENALTY_SD;
		}
	}
	return value;
}

/* The logs of the parameters at u, kept within the bounds. */
static void
LogsAt(const Climb *climb, const double *u, double *logs)
{
	int n = climb->problem->nparameters;

	for (int i = 0; i < n; i++)
	{
		double value = climb->origin[i];

		for (int j = 0; j < n; j++)
			value += climb->axes[i][j] * u[j];
		logs[i] = Max(-LOG_BOUND, Min(LOG_BOUND, value));
	}
}

/* What NLopt calls.  No error may leave it: the optimiser's memory is its own. */
static double
Objective(unsigned n, const double *u, double *gradient, void *data)
{
	Climb *climb = (Climb *) data;
	double logs[MAX_FIT_PARAMETERS];
	double by_log[MAX_FIT_PARAMETERS];
	double value;

	if ((QueryCancelPending || ProcDiePending) && INTERRUPTS_CAN_BE_PROCESSED())
		nlopt_force_stop(climb->opt);
	LogsAt(climb, u, logs);
	value = ValueAt(climb->problem, climb->sample, logs, by_log) / climb->problem->weight;
	if (!isfinite(value))
		value = -1e10;
	if (gradient)
		for (unsigned j = 0; j < n; j++)
		{
			gradient[j] = 0;
			for (unsigned i = 0; i < n; i++)
				gradient[j] += by_log[i] * climb->axes[i][j] / climb->problem->weight;
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
ClimbWithNlopt(Climb *climb, bool bounded, int evaluations)
{
	int n = climb->problem->nparameters;
	nlopt_result outcome;

	do
	{
		double u[MAX_FIT_PARAMETERS];
		double value;

		CHECK_FOR_INTERRUPTS();
		climb->best_value = -DBL_MAX;
		memset(climb->best, 0, sizeof(climb->best));
		memset(u, 0, sizeof(u));
		climb->opt = nlopt_create(NLOPT_LD_SLSQP, n);
		if (climb->opt == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		nlopt_set_max_objective(climb->opt, Objective, climb);
		if (bounded)
		{
			double lower[MAX_FIT_PARAMETERS];
			double upper[MAX_FIT_PARAMETERS];

			for (int i = 0; i < n; i++)
			{
				lower[i] = -LOG_BOUND - climb->origin[i];
				upper[i] = LOG_BOUND - climb->origin[i];
			}
			nlopt_set_lower_bounds(climb->opt, lower);
			nlopt_set_upper_bounds(climb->opt, upper);
		}
		nlopt_set_maxeval(climb->opt, evaluations);
		nlopt_set_ftol_rel(climb->opt, bounded ? 1e-11 : 1e-15);
		outcome = nlopt_optimize(climb->opt, u, &value);
		nlopt_destroy(climb->opt);
	} while (outcome == NLOPT_FORCED_STOP);
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
 * The observed information by the logs of the parameters: minus the Hessian, by
 * central differences of the gradient.
 */
static void
Information(const FitProblem *problem, void *sample, const double *logs,
			double information[][MAX_FIT_PARAMETERS])
{
	int n = problem->nparameters;
	double up[MAX_FIT_PARAMETERS];
	double down[MAX_FIT_PARAMETERS];
	double at[MAX_FIT_PARAMETERS];

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy(at, logs, sizeof(at));
		at[i] = logs[i] + DIFFERENCE;
		(void) ValueAt(problem, sample, at, up);
		at[i] = logs[i] - DIFFERENCE;
		(void) ValueAt(problem, sample, at, down);
		for (int j = 0; j < n; j++)
			information[i][j] = (down[j] - up[j]) / (2 * DIFFERENCE);
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			information[i][j] = information[j][i] = (information[i][j] + information[j][i]) / 2;
}

/*
 * The axes along which the information is the unit matrix.  False: it is not
 * positive definite; then the axes are those of the nearest damped one, good for
 * going on, but there is no maximum here.
 */
static bool
Whiten(const FitProblem *problem, void *sample, const double *logs,
	   double axes[][MAX_FIT_PARAMETERS])
{
	int n = problem->nparameters;
	double information[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double factor[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS];
	double damping = 1e-6;
	bool definite;

	Information(problem, sample, logs, information);
	definite = Cholesky(information, factor, n);
	for (bool sound = definite; !sound && damping < 1e6; damping *= 10)
	{
		for (int i = 0; i < n; i++)
			information[i][i] = fabs(information[i][i]) + damping * problem->weight;
		sound = Cholesky(information, factor, n);
	}
	if (damping < 1e6)
		InverseTransposed(factor, axes, n);
	return definite;
}

/* Climbs from all starts on the coarse sample: the best logs. */
static void
ClimbFromStarts(const FitProblem *problem, double *logs)
{
	int n = problem->nparameters;
	double best = -DBL_MAX;

	for (int s = 0; s < problem->nstarts; s++)
	{
		Climb climb = {.problem = problem, .sample = problem->coarse};

		for (int i = 0; i < n; i++)
		{
			climb.origin[i] = log(problem->start[s][i]);
			climb.axes[i][i] = 1;
		}
		ClimbWithNlopt(&climb, true, CLIMB_EVALUATIONS);
		if (climb.best_value > best || s == 0)
		{
			best = climb.best_value;
			LogsAt(&climb, climb.best, logs);
		}
	}
}

/*
 * Goes on from `logs` on the whole sample until the gradient, measured by the
 * curvature, promises nothing more.  False: no such place was found.
 */
static bool
Polish(const FitProblem *problem, double *logs, double axes[][MAX_FIT_PARAMETERS], double *value)
{
	int n = problem->nparameters;

	for (int round = 0; round < POLISH_ROUNDS; round++)
	{
		Climb climb = {.problem = problem, .sample = problem->sample};
		double gradient[MAX_FIT_PARAMETERS];
		double newton[MAX_FIT_PARAMETERS];
		double gain = 0;
		bool definite;
		double root_weight = sqrt(problem->weight);

		/* the units of u: the objective is over the weight, so is its curvature */
		memcpy(climb.origin, logs, n * sizeof(double));
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				climb.axes[i][j] = axes[i][j] * root_weight;
		ClimbWithNlopt(&climb, false, POLISH_EVALUATIONS);
		LogsAt(&climb, climb.best, logs);

		definite = Whiten(problem, problem->sample, logs, axes);
		*value = ValueAt(problem, problem->sample, logs, gradient);

		/* Newton's step in the whitened space is the gradient itself */
		memset(newton, 0, sizeof(newton));
		for (int j = 0; j < n; j++)
		{
			double g = 0;

			for (int i = 0; i < n; i++)
				g += axes[i][j] * gradient[i];
			gain += g * g / 2;
			for (int i = 0; i < n; i++)
				newton[i] += axes[i][j] * g;
		}
		if (definite && gain < 1e-2)
		{
			/* close by: the quadratic is exact enough to go all the way */
			for (int i = 0; i < n; i++)
				logs[i] += newton[i];
			*value = ValueAt(problem, problem->sample, logs, gradient);
			gain = 0;
			for (int j = 0; j < n; j++)
			{
				double g = 0;

				for (int i = 0; i < n; i++)
					g += axes[i][j] * gradient[i];
				gain += g * g / 2;
			}
		}
		if (definite && gain < GAIN_TOLERANCE)
			return isfinite(*value);
	}
	return false;
}

void
MaximizeLikelihood(const FitProblem *problem, FitResult *result)
{
	int n = problem->nparameters;
	double logs[MAX_FIT_PARAMETERS];
	double axes[MAX_FIT_PARAMETERS][MAX_FIT_PARAMETERS] = {{0}};
	double gradient[MAX_FIT_PARAMETERS];
	double *out = result->covariance;

	memset(result, 0, sizeof(*result));
	ClimbFromStarts(problem, logs);
	(void) Whiten(problem, problem->coarse, logs, axes);
	result->converged = Polish(problem, logs, axes, &result->log_likelihood);

	for (int i = 0; i < n; i++)
	{
		result->parameters[i] = exp(logs[i]);
		if (fabs(logs[i]) > LOG_BOUND - 0.1)
			result->converged = false;
	}
	if (!result->converged)
		return;
	if (problem->penalized)
		result->log_likelihood = problem->likelihood(problem->sample, result->parameters, gradient);
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
		{
			double sum = 0;

			for (int k = 0; k < n; k++)
				sum += axes[i][k] * axes[j][k];
			*out++ = sum;
			if (i == j && sqrt(sum) > MAX_LOG_SE)
				result->converged = false;
		}
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
