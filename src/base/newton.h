/*
 * newton.h: the minimum of a smooth function, by Newton's method, and the Cholesky factors that it
 * and the covariances of the fits need.
 *
 * Matrices are square, row by row; only the lower triangle of a symmetric one is read and written.
 */
#ifndef CRM_NEWTON_H
#define CRM_NEWTON_H

/*
 * The value at a point and, unless the pointers are NULL, its gradient and Hessian. A value that is
 * not finite counts as infinitely high.
 */
typedef double (*SmoothFunction)(void *data, const double *at, double *gradient, double *hessian);

typedef struct NewtonProblem
{
	int n;
	SmoothFunction function;
	void *data;
	bool has_hessian;    /* if not, curvature is estimated from the gradients */
	const double *lower; /* bounds, or NULL; a coordinate whose bounds are equal is held */
	const double *upper;
	double longest;   /* step longest step of one coordinate; 0 for no limit */
	double tolerance; /* stop when a step promises to lower the function by no more than this */
	int max_steps;
} NewtonProblem;

/*
 * Descends from `at`, which is left at the lowest point found, with its value and gradient.  If the
 * function has no Hessian, `curvature` is the Hessian, or something close to it, to start with, and
 * is left as the descent has learnt it; all 0 if unknown, NULL if it is not wanted either.  Returns
 * whether the tolerance was reached.
 *
 * With a Hessian the last step is taken on trust: `value` and `gradient` are then those of the
 * point before it.
 */
extern bool Minimize(const NewtonProblem *problem, double *at, double *curvature, double *value,
					 double *gradient);

/*
 * The lower Cholesky factor, which may overwrite the matrix; false if it is not positive definite.
 */
extern bool CholeskyFactor(const double *matrix, double *factor, int n);

/*
 * The same, after adding to the diagonal whatever it takes.  False if the matrix was not positive
 * definite before.
 */
extern bool DampedCholeskyFactor(double *matrix, double *factor, int n);

/* Solves matrix x = b, in place. */
extern void CholeskySolve(const double *factor, double *b, int n);

/*
 * Solves factor x = b, in place: if the matrix is an information, the squared length of the result
 * is the variance of b' × estimates, and inner products are covariances.
 */
extern void SolveLower(const double *factor, double *b, int n);

#endif /* CRM_NEWTON_H */
