/*
 * phases.h: regular buyers, whose gaps between purchases are Erlang-k.
 *
 * Purchases are every k-th of the events of a Poisson process, so an open gap is in one of k
 * phases: j = 0 … k-1 events since the last purchase.  If the rate is Gamma(A, ·) after the
 * purchases seen, and q is the silence over (α + T), the phases of an active customer have
 * probabilities proportional to (A)_j / j! q^j, and future events are negative binomial with shape
 * A + j.  Pure numerics, no SQL.
 */
#ifndef CRM_PHASES_H
#define CRM_PHASES_H

#define MAX_REGULARITY 12

/* (A)_j / j! and its derivative by A. */
typedef struct PhaseTable
{
	int regularity;
	double shape; /* A */
	double term[MAX_REGULARITY];
	double slope[MAX_REGULARITY];
} PhaseTable;

/* Σ over j < k of (A)_j / j! q^j, and its derivatives. */
typedef struct PhaseSum
{
	double sum;
	double by_shape;
	double by_log_q;
} PhaseSum;

extern void SetPhases(PhaseTable *table, int regularity, double shape);

static inline PhaseSum
SumPhases(const PhaseTable *table, double q)
{
	PhaseSum s = {0};

	for (int j = table->regularity - 1; j >= 0; j--)
	{
		s.by_log_q = s.by_log_q * q + j * table->term[j];
		s.by_shape = s.by_shape * q + table->slope[j];
		s.sum = s.sum * q + table->term[j];
	}
	return s;
}

/* Only the log of the sum. */
extern double LogPhaseSum(int regularity, double shape, double q);

/* The mean of `values`, one per phase, over the phases. */
extern double PhaseMean(int regularity, double shape, double q, const double *values);

/*
 * The expected number of purchases up to the one at which the customer leaves: events come
 * as a negative binomial count, mean `shape` * `ratio`, every k-th of them, counting on
 * from `phase`, is a purchase, and each purchase is the last one with a probability
 * p ~ Beta(a, b).  For k = 1 this is ExpectedUntilDropout.
 */
extern double RegularPurchasesUntilDropout(int regularity, int phase, double shape, double ratio,
										   double a, double b);

#endif /* CRM_PHASES_H */
