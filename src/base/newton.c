/*
 * newton.c: the minimum of a smooth function, by Newton's method.
 *
 * A step solves curvature * step = -gradient by Cholesky's method.  The curvature is the function's
 * Hessian, damped where that is not positive definite, or an estimate from the gradients at the
 * points visited (Broyden, Fletcher, Goldfarb and Shanno).  Then a line search makes sure that the
 * function falls enough and, if curvature is estimated, that the step reveals some.
 *
 * Coordinates at a bound beyond which the function keeps falling are held there; the others move
 * on, at most to the first bound in their way.
 *
 * Nocedal and Wright, Numerical Optimization (2006), chapters 3, 6 and 16; if values differ only by
 * rounding, the slopes decide, as in Hager and Zhang, SIAM Journal on Optimization 16 (2005).
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"

#include "base/newton.h"

#define SUFFICIENT_FALL 1e-4 /* of what the slope promises */
#define FLATTER 0.9          /* slope at the end of a step, of that at its beginning */
#define MAX_TRIALS 20        /* in one line search */
#define ROUNDING 1e-12       /* of a value: below it only slopes tell whether it falls */
#define LEVEL_STEPS 2        /* that fall by no more than that: there is nothing to be gained */
#define MIN_PIVOT 1e-12      /* of the diagonal */

typedef struct Descent
{
	const NewtonProblem *problem;
	int n;
	double *at;
	double value;
	double *gradient;
	double *curvature;
	double *part;   /* of the curvature, for the free coordinates; only with bounds */
	double *factor; /* of that */
	double *step;
	double *next_at;
	double *next_gradient;
	double next_value;
	double *work;
	int nfree;
	int *unheld; /* indexes of the coordinates that are free to move */
} Descent;

/* ---------- Cholesky ---------- */

bool
CholeskyFactor(const double *matrix, double *factor, int n)
{
	for (int i = 0; i < n; i++)
	{
		double *row = &factor[(Size) i * n];
		double diagonal = matrix[(Size) i * n + i];

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j <= i; j++)
		{
			const double *above = &factor[(Size) j * n];
			double sum = matrix[(Size) i * n + j];

			for (int k = 0; k < j; k++)
				sum -= row[k] * above[k];
			if (j < i)
				row[j] = sum / above[j];
			else if (sum > MIN_PIVOT * fabs(diagonal) && isfinite(sum))
				row[i] = sqrt(sum);
			else
				return false;
		}
	}
	return true;
}

bool
DampedCholeskyFactor(double *matrix, double *factor, int n)
{
	double largest = 0;

	if (CholeskyFactor(matrix, factor, n))
		return true;
	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(matrix[(Size) i * n + i]));
	/* eventually the diagonal outweighs all the rest */
	for (double damping = 1e-6 * largest; damping > 0 && damping < DBL_MAX; damping *= 10)
	{
		for (int i = 0; i < n; i++)
			matrix[(Size) i * n + i] = fabs(matrix[(Size) i * n + i]) + damping;
		if (CholeskyFactor(matrix, factor, n))
			return false;
	}
	/* not finite */
	memset(matrix, 0, sizeof(double) * n * n);
	for (int i = 0; i < n; i++)
		matrix[(Size) i * n + i] = 1;
	(void) CholeskyFactor(matrix, factor, n);
	return false;
}

void
SolveLower(const double *factor, double *b, int n)
{
	for (int i = 0; i < n; i++)
	{
		for (int k = 0; k < i; k++)
			b[i] -= factor[(Size) i * n + k] * b[k];
		b[i] /= factor[(Size) i * n + i];
	}
}

void
CholeskySolve(const double *factor, double *b, int n)
{
	SolveLower(factor, b, n);
	/* the transposed factor: its columns are rows here */
	for (int i = n - 1; i >= 0; i--)
	{
		b[i] /= factor[(Size) i * n + i];
		for (int k = 0; k < i; k++)
			b[k] -= factor[(Size) i * n + k] * b[i];
	}
}

/* ---------- steps ---------- */

static double
Dot(const double *a, const double *b, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Evaluates the function; anything not finite counts as infinite. */
static double
Evaluate(const Descent *descent, const double *at, double *gradient, double *hessian)
{
	double value = descent->problem->function(descent->problem->data, at, gradient, hessian);

	for (int i = 0; gradient && i < descent->n; i++)
		if (!isfinite(gradient[i]))
			gradient[i] = 0;
	return isfinite(value) ? value : DBL_MAX;
}

/* Which coordinates may move: all but those that would leave their bounds. */
static void
FindFree(Descent *descent)
{
	const double *lower = descent->problem->lower;
	const double *upper = descent->problem->upper;

	descent->nfree = 0;
	for (int i = 0; i < descent->n; i++)
		if (lower == NULL || !((descent->at[i] <= lower[i] && descent->gradient[i] >= 0) ||
							   (descent->at[i] >= upper[i] && descent->gradient[i] <= 0)))
			descent->unheld[descent->nfree++] = i;
}

/* The Newton step of the free coordinates; returns the gain that it promises. */
static double
FindStep(Descent *descent)
{
	int n = descent->n;
	int nfree = descent->nfree;
	const int *unheld = descent->unheld;
	double *part = nfree < n ? descent->part : descent->curvature;
	double longest = 0;
	double gain = 0;

	for (int i = 0; nfree < n && i < nfree; i++)
		for (int j = 0; j <= i; j++)
			part[i * nfree + j] = descent->curvature[unheld[i] * n + unheld[j]];
	(void) DampedCholeskyFactor(part, descent->factor, nfree);
	for (int i = 0; i < nfree; i++)
		descent->work[i] = descent->gradient[unheld[i]];
	CholeskySolve(descent->factor, descent->work, nfree);
	memset(descent->step, 0, n * sizeof(double));
	for (int i = 0; i < nfree; i++)
	{
		descent->step[unheld[i]] = -descent->work[i];
		gain += descent->work[i] * descent->gradient[unheld[i]] / 2;
		longest = Max(longest, fabs(descent->work[i]));
	}
	if (descent->problem->longest > 0 && longest > descent->problem->longest)
		for (int i = 0; i < n; i++)
			descent->step[i] *= descent->problem->longest / longest;
	return gain;
}

/* The multiple of the step that reaches the first bound. */
static double
StepsToBound(const Descent *descent)
{
	double max_steps = DBL_MAX;

	for (int i = 0; descent->problem->lower && i < descent->n; i++)
	{
		double step = descent->step[i];
		double bound = step > 0 ? descent->problem->upper[i] : descent->problem->lower[i];

		if (step != 0)
			max_steps = Min(max_steps, (bound - descent->at[i]) / step);
	}
	return max_steps;
}

/* The point that many steps on, exactly on a bound that it reaches. */
static void
MoveAlong(Descent *descent, double steps)
{
	const double *lower = descent->problem->lower;
	const double *upper = descent->problem->upper;

	for (int i = 0; i < descent->n; i++)
	{
		double to = descent->at[i] + steps * descent->step[i];

		if (lower)
			to = Max(lower[i], Min(upper[i], to));
		descent->next_at[i] = to;
	}
}

/*
 * Searches along the step for a point that is low enough and, if curvature is estimated, flatter;
 * doubles the step or goes back until there is one.  Returns false if the function does not fall.
 */
static bool
SearchLine(Descent *descent)
{
	bool learns = !descent->problem->has_hessian;
	double slope = Dot(descent->gradient, descent->step, descent->n);
	double max_steps = StepsToBound(descent);
	double steps = Min(1, max_steps);
	double near = 0;
	double far = DBL_MAX;

	for (int trial = 0; trial < MAX_TRIALS; trial++)
	{
		double rise;
		double end_slope = 0;

		CHECK_FOR_INTERRUPTS();
		MoveAlong(descent, steps);
		descent->next_value =
			Evaluate(descent, descent->next_at, learns ? descent->next_gradient : NULL, NULL);
		rise = descent->next_value - descent->value;
		if (learns)
			end_slope = Dot(descent->next_gradient, descent->step, descent->n);
		if (rise > SUFFICIENT_FALL * steps * slope &&
			!(learns && rise <= ROUNDING * fabs(descent->value) &&
			  end_slope <= (2 * SUFFICIENT_FALL - 1) * slope))
		{
			/* the minimum of a parabola through the known values */
			double lowest = -slope * steps * steps / (2 * (rise - slope * steps));

			far = steps;
			steps = near == 0 ? Max(0.1 * far, Min(0.5 * far, lowest)) : (near + far) / 2;
		}
		else if (learns && steps < max_steps && end_slope < FLATTER * slope)
		{
			near = steps;
			steps = far < DBL_MAX ? (near + far) / 2 : Min(2 * near, max_steps);
		}
		else
			return true;
	}
	if (near == 0)
		return false;
	MoveAlong(descent, near);
	descent->next_value = Evaluate(descent, descent->next_at, descent->next_gradient, NULL);
	return true;
}

/* Updates the curvature from the gradients at both ends of the step. */
static void
LearnCurvature(Descent *descent, bool is_first)
{
	int n = descent->n;
	double *curvature = descent->curvature;
	double *moved = descent->work;
	double *bent = descent->work + n; /* change of the gradient */
	double *expected = descent->work + 2 * n;
	double learnt;
	double known;

	for (int i = 0; i < n; i++)
	{
		moved[i] = descent->next_at[i] - descent->at[i];
		bent[i] = descent->next_gradient[i] - descent->gradient[i];
	}
	learnt = Dot(bent, moved, n);
	/* a step cut short by a bound may have met no curvature */
	if (!(learnt > 1e-10 * sqrt(Dot(bent, bent, n) * Dot(moved, moved, n))))
		return;
	/* nothing known yet: scale all coordinates like the direction taken */
	for (int i = 0; is_first && i < n; i++)
		curvature[i * n + i] = Dot(bent, bent, n) / learnt;
	for (int i = 0; i < n; i++)
	{
		expected[i] = 0;
		for (int j = 0; j < n; j++)
			expected[i] += curvature[i >= j ? i * n + j : j * n + i] * moved[j];
	}
	known = Dot(expected, moved, n);
	if (!(known > 0))
		return;
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
			curvature[i * n + j] += bent[i] * bent[j] / learnt - expected[i] * expected[j] / known;
}

/* Whether all numbers are 0. */
static bool
IsZero(const double *numbers, int n)
{
	for (int i = 0; i < n; i++)
		if (numbers[i] != 0)
			return false;
	return true;
}

bool
Minimize(const NewtonProblem *problem, double *at, double *curvature, double *value,
		 double *gradient)
{
	int n = problem->n;
	Size square = mul_size(mul_size(n, n), sizeof(double));
	Descent descent = {.problem = problem, .n = n, .at = at, .gradient = gradient};
	bool known = curvature && !IsZero(curvature, n * n);
	bool reached = false;
	int level = 0; /* steps in a row with hardly any descent */

	descent.curvature = palloc_extended(Max(square, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	descent.factor = palloc_extended(Max(square, 1), MCXT_ALLOC_HUGE);
	if (problem->lower)
		descent.part = palloc_extended(Max(square, 1), MCXT_ALLOC_HUGE);
	descent.step = palloc(n * sizeof(double));
	descent.next_at = palloc(n * sizeof(double));
	descent.next_gradient = palloc(n * sizeof(double));
	descent.work = palloc(3 * n * sizeof(double));
	descent.unheld = palloc(n * sizeof(int));
	if (known)
		memcpy(descent.curvature, curvature, square);
	for (int i = 0; !known && i < n; i++)
		descent.curvature[(Size) i * n + i] = 1;

	descent.value =
		Evaluate(&descent, at, gradient, problem->has_hessian ? descent.curvature : NULL);
	for (int steps = 0; steps < problem->max_steps && level < LEVEL_STEPS; steps++)
	{
		double before = descent.value;

		CHECK_FOR_INTERRUPTS();
		FindFree(&descent);
		reached = FindStep(&descent) <= problem->tolerance && descent.value < DBL_MAX;
		if (reached && problem->has_hessian)
		{
			MoveAlong(&descent, Min(1, StepsToBound(&descent)));
			memcpy(at, descent.next_at, n * sizeof(double));
		}
		if (reached || !SearchLine(&descent))
			break;
		if (!problem->has_hessian)
			LearnCurvature(&descent, !known && steps == 0);
		memcpy(at, descent.next_at, n * sizeof(double));
		if (problem->has_hessian)
			descent.value = Evaluate(&descent, at, gradient, descent.curvature);
		else
		{
			descent.value = descent.next_value;
			memcpy(gradient, descent.next_gradient, n * sizeof(double));
		}
		level = before - descent.value > ROUNDING * fabs(before) ? 0 : level + 1;
	}
	*value = descent.value;
	if (curvature)
		memcpy(curvature, descent.curvature, square);
	pfree(descent.curvature);
	pfree(descent.factor);
	if (descent.part)
		pfree(descent.part);
	pfree(descent.step);
	pfree(descent.next_at);
	pfree(descent.next_gradient);
	pfree(descent.work);
	pfree(descent.unheld);
	return reached;
}
