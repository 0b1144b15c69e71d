/*
 * newton.h: the minimum of a smooth function, by Newton's method, and the
 * Cholesky factors that it and the covariances of the fits need.
 *
 * Matrices are square, row by row; of a symmetric one only the lower triangle
 * is read and written.
 */
#ifndef CRM_NEWTON_H
#define CRM_NEWTON_H

/*
 * The value at a place; where they are not NULL its gradient, and its Hessian.
 * A value that is not finite counts as infinitely high.
 */
typedef double (*SmoothFunction)(void *data, const double *at, double *gradient, double *hessian);

typedef struct NewtonProblem
{
	int n;
	SmoothFunction function;
	void *data;
	bool has_hessian;    /* false: curvature is learnt from the gradients */
	const double *lower; /* bounds, or NULL; a coordinate whose bounds are equal is held */
	const double *upper;
	double longest;   /* step of one coordinate; 0: any */
	double tolerance; /* done where a step promises to lower the function by no more */
	int max_steps;
} NewtonProblem;

/*
 * Descends from `at`, which is left at the lowest place found, with its value and
 * gradient.  `curvature` is the Hessian, or one much like it, to begin with where
 * the function does not tell its own; NULL: nothing is known.  True where the
 * tolerance was reached.
 *
 * A function that tells its Hessian is trusted with the last step: `value` and
 * `gradient` are then of the place before.
 */
extern bool Minimize(const NewtonProblem *problem, double *at, const double *curvature,
					 double *value, double *gradient);

/* Lower Cholesky factor, which may replace the matrix; false: it is not positive definite. */
extern bool CholeskyFactor(const double *matrix, double *factor, int n);

/*
 * The same, after what it takes has been added to the diagonal of the matrix.  False: it
 * was not positive definite before.
 */
extern bool DampedCholeskyFactor(double *matrix, double *factor, int n);

/* Solves matrix x = b, in place. */
extern void CholeskySolve(const double *factor, double *b, int n);

/*
 * Solves factor x = b, in place: where the matrix is an information, the square of
 * the result is the variance of b' estimates, and products are covariances.
 */
extern void SolveLower(const double *factor, double *b, int n);

#endif /* CRM_NEWTON_H */
