/*
 * clv_math.c: the repeat-purchase models of the papers.
 *
 * BG/NBD: Fader, Hardie and Lee (2005), Marketing Science 24; MBG/NBD: Batislam, Denizel and
 * Filiztekin (2007), Int. J. of Research in Marketing 24; Pareto/NBD: Schmittlein, Morrison and
 * Colombo (1987), Management Science 33; Gamma-Gamma: Fader and Hardie (2013),
 * brucehardie.com/notes/025.
 *
 * BG/CNBD-k and MBG/CNBD-k: Platzer and Reutterer (2016), Marketing Science 35; Reutterer, Platzer
 * and Schröder (2021), Int. J. of Research in Marketing 38.
 *
 * BG/NBD and MBG/NBD share their formulas: MBG/NBD lets a customer drop out at the first purchase,
 * too, so it has y = x + 1 chances instead of y = x.  The Pareto/NBD integral A0/(r+s+x) is
 * computed as the integral over the time of dropping out: it has no special cases, and its
 * derivatives are integrals of the same kind.
 *
 * Logs of times are taken relative to α and β, as ln(1 + t/α), so that nothing cancels if r and α,
 * or s and β, are huge and customers hardly differ.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "base/special_functions.h"
#include "clv/clv_math.h"

/* The number of chances to drop out that a customer has survived. */
static inline double
Chances(ClvFamily family, double x)
{
	return family == CLV_MBG_NBD ? x + 1 : x;
}

/* One past the last point with the same x as the point at `first`. */
static int64
GroupEnd(const ClvSample *sample, int64 first)
{
	int64 end = first;

	while (end < sample->npoints && sample->points[end].x == sample->points[first].x)
		end++;
	return end;
}

/* Sums over the points of one x that the two BG models need. */
typedef struct BgSums
{
	double weight;
	double value;    /* of the log of the last factor of the likelihood */
	double lost;     /* P(lost) */
	double log_time; /* mean of ln(1 + t/alpha), at t_x with P(lost) and otherwise at T */
	double inverse_time;
	double
		by_shape; /* contribution of the phases of the open gap to the derivatives by r and alpha */
	double by_alpha;
} BgSums;

/*
 * With e the log-odds of being lost, the last factor of the likelihood is
 * (1 + T/α)^-k (1 + e^e): one exponential gives it, P(lost) and the gradient.
 */
static void
SumBgGroup(const ClvPoint *point, const ClvPoint *end, const double *log_at,
		   const double *inverse_at, double k, double log_drop, bool immortal, BgSums *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (; point < end; point++)
	{
		double log_T = log_at[point->T_at];
		double log_t = log_at[point->t_x_at];
		double inverse_T = inverse_at[point->T_at];
		double e = k * (log_T - log_t) + log_drop;
		double u = exp(-fabs(e));
		double lost = e >= 0 ? 1 / (1 + u) : u / (1 + u);
		double value = (e > 0 ? e : 0) + log1p(u) - k * log_T;

		if (immortal)
		{
			lost = 0;
			value = -k * log_T;
		}
		sums->weight += point->weight;
		sums->value += point->weight * value;
		sums->lost += point->weight * lost;
		sums->log_time += point->weight * (log_T + lost * (log_t - log_T));
		sums->inverse_time +=
			point->weight * (inverse_T + lost * (inverse_at[point->t_x_at] - inverse_T));
	}
}

/*
 * The same for regular buyers: P(alive) has the factor Σ over j < k of (A)_j / j! q^j, for the
 * phases that the open gap may be in.
 */
static void
SumRegularGroup(const ClvPoint *point, const ClvPoint *end, const double *log_at,
				const double *inverse_at, const PhaseTable *phases, double log_drop, bool immortal,
				BgSums *sums)
{
	double shape = phases->shape;

	memset(sums, 0, sizeof(*sums));
	for (; point < end; point++)
	{
		double log_T = log_at[point->T_at];
		double log_t = log_at[point->t_x_at];
		double inverse_T = inverse_at[point->T_at];
		PhaseSum open = SumPhases(phases, (point->T - point->t_x) * inverse_T);
		double log_open = log(open.sum);
		double e = shape * (log_T - log_t) + log_drop - log_open;
		double u = exp(-fabs(e));
		double lost = e >= 0 ? 1 / (1 + u) : u / (1 + u);
		double value = (e > 0 ? e : 0) + log1p(u) + log_open - shape * log_T;
		double alive;

		if (immortal)
		{
			lost = 0;
			value = log_open - shape * log_T;
		}
		alive = point->weight * (1 - lost) / open.sum;
		sums->weight += point->weight;
		sums->value += point->weight * value;
		sums->lost += point->weight * lost;
		sums->log_time += point->weight * (log_T + lost * (log_t - log_T));
		sums->inverse_time +=
			point->weight * (inverse_T + lost * (inverse_at[point->t_x_at] - inverse_T));
		/* dq/dα = -q/(α + T) */
		sums->by_shape += alive * open.by_shape;
		sums->by_alpha -= alive * open.by_log_q * inverse_T;
	}
}

/* ln Γ(base + n) / Γ(base) and its derivative, for an n that rises from group to group. */
typedef struct RisingGamma
{
	double base;
	double n;
	double log;
	double slope;
} RisingGamma;

static void
RaiseGamma(RisingGamma *gamma, double n)
{
	if (n < gamma->n)
		*gamma = (RisingGamma){.base = gamma->base};
	gamma->log += LogGammaRatio(gamma->base + gamma->n, n - gamma->n);
	gamma->slope += DigammaDifference(gamma->base + gamma->n, n - gamma->n);
	gamma->n = n;
}

static double
BgLogLikelihood(const ClvSample *sample, ClvFamily family, const double *parameters,
				double *gradient)
{
	double r = parameters[CLV_R];
	double alpha = parameters[CLV_ALPHA];
	double a = parameters[CLV_A];
	double b = parameters[CLV_B];
	double *log_at = sample->scratch;
	double *inverse_at = sample->scratch + sample->ntimes;
	double log_alpha = log(alpha);
	RisingGamma of_r = {.base = r};
	RisingGamma of_b = {.base = b};
	RisingGamma of_ab = {.base = a + b};
	double total = 0;

	memset(gradient, 0, CLV_PARAMETERS * sizeof(double));
	for (int64 i = 0; i < sample->ntimes; i++)
	{
		log_at[i] = log1p(sample->times[i] / alpha);
		inverse_at[i] = 1 / (alpha + sample->times[i]);
	}
	for (int64 first = 0, end; first < sample->npoints; first = end)
	{
		double x = (double) sample->points[first].x;
		double events = sample->regularity * x;
		double y = Chances(family, x);
		double k = r + events;
		double survivors; /* b + y - 1 */
		double log_drop;
		BgSums sums;

		CHECK_FOR_INTERRUPTS();
		end = GroupEnd(sample, first);
		survivors = b + (y - 1);
		log_drop = y > 0 ? log(a / survivors) : 0;
		if (sample->regularity == 1)
			SumBgGroup(sample->points + first, sample->points + end, log_at, inverse_at, k,
					   log_drop, y == 0, &sums);
		else
		{
			PhaseTable phases;

			SetPhases(&phases, sample->regularity, k);
			SumRegularGroup(sample->points + first, sample->points + end, log_at, inverse_at,
							&phases, log_drop, y == 0, &sums);
		}
		RaiseGamma(&of_r, events);
		RaiseGamma(&of_b, y);
		RaiseGamma(&of_ab, y);
		total += sums.value + sums.weight * (of_r.log - events * log_alpha + of_b.log - of_ab.log);
		gradient[CLV_R] += sums.weight * of_r.slope - sums.log_time + sums.by_shape;
		gradient[CLV_ALPHA] += sums.weight * r / alpha - k * sums.inverse_time + sums.by_alpha;
		gradient[CLV_A] += sums.lost / a - sums.weight * of_ab.slope;
		gradient[CLV_B] += sums.weight * (of_b.slope - of_ab.slope);
		if (y > 0)
			gradient[CLV_B] -= sums.lost / survivors;
	}
	return total;
}

double
BgNbdLogLikelihood(void *sample, const double *parameters, double *gradient)
{
	return BgLogLikelihood((ClvSample *) sample, CLV_BG_NBD, parameters, gradient);
}

double
MbgNbdLogLikelihood(void *sample, const double *parameters, double *gradient)
{
	return BgLogLikelihood((ClvSample *) sample, CLV_MBG_NBD, parameters, gradient);
}

/*
 * For one x and every time y: the integrals from y to the last time of f(τ)/f(y), f(τ) = (α+τ)^-k
 * (β+τ)^-(s+1), and the same with the weights of PowerIntegral.  Computed backwards from the last
 * time, each from the next; relative to f(y) nothing under- or overflows.
 */
typedef struct ParetoTails
{
	double *log_a; /* ln(1 + y/α), ln(1 + y/β): these two do not depend on x */
	double *log_b;
	PowerIntegral *tail;
} ParetoTails;

static ParetoTails
TailsOf(const ClvSample *sample)
{
	ParetoTails tails;

	StaticAssertStmt(sizeof(PowerIntegral) == 5 * sizeof(double), "scratch holds PowerIntegrals");
	tails.log_a = sample->scratch;
	tails.log_b = sample->scratch + sample->ntimes;
	tails.tail = (PowerIntegral *) (sample->scratch + 2 * sample->ntimes);
	return tails;
}

static void
BuildTails(const ClvSample *sample, const ParetoTails *tails, const double *parameters, double k,
		   int64 from, int64 to)
{
	double alpha = parameters[CLV_ALPHA];
	double beta = parameters[CLV_BETA];
	double e2 = parameters[CLV_S] + 1;

	memset(&tails->tail[to], 0, sizeof(PowerIntegral));
	for (int64 i = to - 1; i >= from; i--)
	{
		double y = sample->times[i];
		double step_a = tails->log_a[i + 1] - tails->log_a[i];
		double step_b = tails->log_b[i + 1] - tails->log_b[i];
		double carry = exp(-k * step_a - e2 * step_b);
		const PowerIntegral *next = &tails->tail[i + 1];
		PowerIntegral *tail = &tails->tail[i];

		CHECK_FOR_INTERRUPTS();
		IntegratePowers(k, alpha + y, e2, beta + y, sample->times[i + 1] - y, tail);
		tail->value += carry * next->value;
		tail->log_a += carry * (next->log_a + step_a * next->value);
		tail->log_b += carry * (next->log_b + step_b * next->value);
		tail->inverse_a += carry * next->inverse_a;
		tail->inverse_b += carry * next->inverse_b;
	}
}

/* The points of one x. */
static double
SumParetoGroup(const ClvSample *sample, const ParetoTails *tails, int64 first, int64 end,
			   const double *parameters, double *gradient)
{
	double alpha = parameters[CLV_ALPHA];
	double s = parameters[CLV_S];
	double beta = parameters[CLV_BETA];
	double rate = s / beta;
	double k = parameters[CLV_R] + (double) sample->points[first].x;
	double total = 0;

	for (int64 i = first; i < end; i++)
	{
		const ClvPoint *point = &sample->points[i];
		const PowerIntegral *t = &tails->tail[point->t_x_at];
		const PowerIntegral *T = &tails->tail[point->T_at];
		double log_a = tails->log_a[point->t_x_at];
		double log_b = tails->log_b[point->t_x_at];
		double step_a = tails->log_a[point->T_at] - log_a;
		double step_b = tails->log_b[point->T_at] - log_b;
		double carry = exp(-k * step_a - (s + 1) * step_b);
		/* alive at T, or dropped out between t_x and T: both relative to β f(t_x) */
		double alive = (1 + point->T / beta) * carry;
		double lost = Max(t->value - carry * T->value, 0);
		double scale = point->weight / (alive + rate * lost);

		CHECK_FOR_INTERRUPTS();
		total += point->weight * (log(alive + rate * lost) - k * log_a - (s + 1) * log_b);
		gradient[CLV_R] -=
			point->weight * log_a +
			scale * (alive * step_a + rate * (t->log_a - carry * (T->log_a + step_a * T->value)));
		gradient[CLV_ALPHA] -=
			scale * k * (alive / (alpha + point->T) + rate * (t->inverse_a - carry * T->inverse_a));
		gradient[CLV_S] += scale * (lost / beta - alive * step_b -
									rate * (t->log_b - carry * (T->log_b + step_b * T->value))) -
						   point->weight * log_b;
		gradient[CLV_BETA] -=
			scale * rate * (carry + (s + 1) * (t->inverse_b - carry * T->inverse_b));
	}
	return total;
}

double
ParetoNbdLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const ClvSample *sample = (const ClvSample *) data;
	ParetoTails tails = TailsOf(sample);
	double r = parameters[CLV_R];
	double alpha = parameters[CLV_ALPHA];
	double s = parameters[CLV_S];
	double beta = parameters[CLV_BETA];
	double total = 0;

	memset(gradient, 0, CLV_PARAMETERS * sizeof(double));
	for (int64 i = 0; i < sample->ntimes; i++)
	{
		tails.log_a[i] = log1p(sample->times[i] / alpha);
		tails.log_b[i] = log1p(sample->times[i] / beta);
	}
	for (int64 first = 0, end; first < sample->npoints; first = end)
	{
		double x = (double) sample->points[first].x;
		double weight = 0;
		int64 from = sample->points[first].t_x_at;
		int64 to = 0;

		end = GroupEnd(sample, first);
		for (int64 i = first; i < end; i++)
		{
			weight += sample->points[i].weight;
			from = Min(from, sample->points[i].t_x_at);
			to = Max(to, sample->points[i].T_at);
		}
		BuildTails(sample, &tails, parameters, r + x, from, to);
		total += SumParetoGroup(sample, &tails, first, end, parameters, gradient);
		total += weight * (LogGammaRatio(r, x) - x * log(alpha));
		gradient[CLV_R] += weight * DigammaDifference(r, x);
		gradient[CLV_ALPHA] += weight * r / alpha;
		gradient[CLV_BETA] += weight * s / beta;
	}
	return total;
}

double
GammaGammaLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const SpendSample *sample = (const SpendSample *) data;
	double p = parameters[SPEND_P];
	double q = parameters[SPEND_Q];
	double v = parameters[SPEND_V];
	double total = 0;

	memset(gradient, 0, SPEND_PARAMETERS * sizeof(double));
	for (int64 i = 0; i < sample->npoints;)
	{
		int64 group = sample->points[i].x;
		double x = (double) group;
		double weight = 0;
		double logs = 0; /* of 1 + z/v */
		double own = 0;  /* of z */
		double inverse = 0;
		double by_q;

		/* a density of m = z/x: the Jacobian turns ln z into ln m */
		for (; i < sample->npoints && sample->points[i].x == group; i++)
		{
			const SpendPoint *point = &sample->points[i];

			CHECK_FOR_INTERRUPTS();
			weight += point->weight;
			logs += point->weight * log1p(point->z / v);
			own += point->weight * log(point->z);
			inverse += point->weight / (v + point->z);
		}
		by_q = DigammaDifference(q, p * x);
		total += weight * (LogGammaRatio(q, p * x) - lgamma(p * x) - p * x * log(v) + log(x)) +
				 (p * x - 1) * own - (p * x + q) * logs;
		/* ψ(px+q) - ψ(px) */
		gradient[SPEND_P] += x * (weight * (DigammaDifference(p * x, q) - log(v)) + own - logs);
		gradient[SPEND_Q] += weight * by_q - logs;
		gradient[SPEND_V] += weight * q / v - (p * x + q) * inverse;
	}
	return total;
}

/*
 * ln(r, α, a, b) by ln(r, r/α, b, a/b): edges where all customers buy, or leave, alike, and where
 * nobody leaves.
 */
static const double BgBasis[] = {1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0};
/* ln(r, α, s, β) by ln(r, r/α, s, s/β): the same */
static const double ParetoBasis[] = {1, 0, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0, 0, 0, 1, -1};

LogLikelihood
ClvLikelihood(ClvFamily family)
{
	static const LogLikelihood likelihood[] = {BgNbdLogLikelihood, MbgNbdLogLikelihood,
											   ParetoNbdLogLikelihood};

	return likelihood[family];
}

const double *
ClvBasis(ClvFamily family)
{
	return family == CLV_PARETO_NBD ? ParetoBasis : BgBasis;
}

void
ClvCoordinates(ClvFamily family, const double *parameters, double *start)
{
	start[0] = parameters[CLV_R];
	start[1] = parameters[CLV_R] / parameters[CLV_ALPHA];
	start[2] = family == CLV_PARETO_NBD ? parameters[CLV_S] : parameters[CLV_B];
	start[3] = family == CLV_PARETO_NBD ? parameters[CLV_S] / parameters[CLV_BETA]
										: parameters[CLV_A] / parameters[CLV_B];
}

/* r + kx, the shape of the purchase rate after x purchases. */
static inline double
Shape(ClvProcess process, const double *parameters, double x)
{
	return parameters[CLV_R] + process.regularity * x;
}

/*
 * The weights of the phases of the open gap, given the silence of a customer who is still active.
 */
static inline double
PhaseRatio(const double *parameters, const ClvCustomer *customer)
{
	return (customer->T - customer->t_x) / (parameters[CLV_ALPHA] + customer->T);
}

/*
 * ln a/(b + y - 1), the log-odds of having dropped out at the last of y chances; results are kept.
 */
static double
LogLastChance(double a, double b, double y)
{
	static struct
	{
		double a;
		double b;
		double y; /* 0: nothing is kept */
		double value;
	} kept[64];
	int at = (int) ((int64) y % lengthof(kept));

	if (kept[at].y != y || kept[at].a != a || kept[at].b != b)
	{
		kept[at].value = log(a) - log(b + (y - 1));
		kept[at].a = a;
		kept[at].b = b;
		kept[at].y = y;
	}
	return kept[at].value;
}

/* The log of the phases of the open gap, added up. */
static inline double
LogOpenGap(ClvProcess process, const double *parameters, const ClvCustomer *customer)
{
	if (process.regularity == 1)
		return 0;
	return LogPhaseSum(process.regularity, Shape(process, parameters, customer->x),
					   PhaseRatio(parameters, customer));
}

/* The log-odds of having dropped out, from the log of the phases. */
static double
LogOddsOfLeaving(ClvProcess process, const double *parameters, const ClvCustomer *customer,
				 double log_open)
{
	double k = Shape(process, parameters, customer->x);
	double silence = customer->T - customer->t_x;
	double at_last = parameters[CLV_ALPHA] + customer->t_x;
	double by_rate = k * log1p(silence / at_last);

	if (process.family == CLV_PARETO_NBD)
	{
		double s = parameters[CLV_S];
		double beta_last = parameters[CLV_BETA] + customer->t_x;
		double lost;

		if (silence <= 0)
			return -INFINITY;
		lost = PowerIntegralValue(k, at_last, s + 1, beta_last, silence);
		return log(s * lost / beta_last) + by_rate + s * log1p(silence / beta_last);
	}
	else
	{
		double y = Chances(process.family, customer->x);

		if (y == 0)
			return -INFINITY;
		return LogLastChance(parameters[CLV_A], parameters[CLV_B], y) + (by_rate - log_open);
	}
}

double
LogDropoutOdds(ClvProcess process, const double *parameters, const ClvCustomer *customer)
{
	return LogOddsOfLeaving(process, parameters, customer,
							LogOpenGap(process, parameters, customer));
}

double
CountLogLikelihood(ClvProcess process, const double *parameters, double x)
{
	double value = LogGammaRatio(parameters[CLV_R], process.regularity * x);

	if (process.family != CLV_PARETO_NBD)
	{
		double y = Chances(process.family, x);

		value += LogGammaRatio(parameters[CLV_B], y) -
				 LogGammaRatio(parameters[CLV_A] + parameters[CLV_B], y);
	}
	return value;
}

double
ActiveLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer,
					double *log_odds)
{
	double r = parameters[CLV_R];
	double alpha = parameters[CLV_ALPHA];
	double events = process.regularity * customer->x;
	double log_open = LogOpenGap(process, parameters, customer);
	double value = -r * log1p(customer->T / alpha) - events * log(alpha + customer->T) + log_open;

	if (process.family == CLV_PARETO_NBD)
		value -= parameters[CLV_S] * log1p(customer->T / parameters[CLV_BETA]);
	*log_odds = LogOddsOfLeaving(process, parameters, customer, log_open);
	return value;
}

double
TimesLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer)
{
	double log_odds;
	double active = ActiveLogLikelihood(process, parameters, customer, &log_odds);

	return active + SoftPlus(log_odds);
}

double
ClvLogLikelihood(ClvProcess process, const double *parameters, const ClvCustomer *customer)
{
	return CountLogLikelihood(process, parameters, customer->x) +
		   TimesLogLikelihood(process, parameters, customer);
}

/* ln n! */
static const double LogFactorial[MAX_REGULARITY] = {0,
													0,
													0.6931471805599453,
													1.791759469228055,
													3.1780538303479458,
													4.787491742782046,
													6.579251212010101,
													8.525161361065415,
													10.60460290274525,
													12.801827480081469,
													15.104412573075516,
													17.502307845873887};

/* The sum of ln gap is that of equal gaps, and what is said about their regularity. */
double
GapsLogLikelihood(ClvProcess process, const ClvCustomer *customer)
{
	double x = customer->x;
	int k = process.regularity;

	if (k == 1 || x <= 0)
		return 0;
	return (k - 1) * (x * log(customer->t_x / x) + customer->regularity) - x * LogFactorial[k - 1];
}

void
PurchasesByPhase(ClvProcess process, const double *parameters, const ClvCustomer *customer,
				 double horizon, double *purchases)
{
	double k = Shape(process, parameters, customer->x);
	double at_end = parameters[CLV_ALPHA] + customer->T;
	double b = parameters[CLV_B] + Chances(process.family, customer->x);

	if (process.family == CLV_PARETO_NBD)
	{
		double beta_end = parameters[CLV_BETA] + customer->T;

		purchases[0] =
			k * beta_end / at_end * DecayIntegral(parameters[CLV_S] - 1, log1p(horizon / beta_end));
	}
	else if (process.regularity == 1)
		purchases[0] = ExpectedUntilDropout(k, horizon / at_end, parameters[CLV_A], b);
	else
		for (int phase = 0; phase < process.regularity; phase++)
			purchases[phase] = RegularPurchasesUntilDropout(process.regularity, phase, k + phase,
															horizon / at_end, parameters[CLV_A], b);
}

double
MeanOverPhases(ClvProcess process, const double *parameters, const ClvCustomer *customer,
			   const double *purchases)
{
	if (process.regularity == 1)
		return purchases[0];
	return PhaseMean(process.regularity, Shape(process, parameters, customer->x),
					 PhaseRatio(parameters, customer), purchases);
}

double
PurchasesIfAlive(ClvProcess process, const double *parameters, const ClvCustomer *customer,
				 double horizon)
{
	double purchases[MAX_REGULARITY];

	PurchasesByPhase(process, parameters, customer, horizon, purchases);
	return MeanOverPhases(process, parameters, customer, purchases);
}

double
AnyPurchaseIfAlive(ClvProcess process, const double *parameters, const ClvCustomer *customer,
				   double horizon)
{
	double k = Shape(process, parameters, customer->x);
	double at_end = parameters[CLV_ALPHA] + customer->T;

	/* BG/NBD and MBG/NBD customers drop out at a purchase, so the next one is certain */
	if (process.family != CLV_PARETO_NBD)
	{
		double log_none = -k * log1p(horizon / at_end);

		/* the gap continues: its phases at the end of the horizon over those today */
		if (process.regularity > 1)
		{
			ClvCustomer later = *customer;

			later.T += horizon;
			log_none += LogPhaseSum(process.regularity, k, PhaseRatio(parameters, &later)) -
						LogPhaseSum(process.regularity, k, PhaseRatio(parameters, customer));
		}
		return Max(0, -expm1(log_none));
	}
	if (horizon <= 0)
		return 0;
	/* the first purchase comes at some time, and before the end */
	return Min(1, k / at_end *
					  PowerIntegralValue(k + 1, at_end, parameters[CLV_S],
										 parameters[CLV_BETA] + customer->T, horizon));
}

#define NODE_STEP 0.2
#define NODE_PEAK 0.7 /* a step over the standard deviation of a peak that it still resolves */
#define NODE_END 37.0 /* exp(-NODE_END) does not count */

/*
 * At least n of a pareto/nbd customer: the n-th purchase comes within the horizon, before the
 * customer leaves.  Integrates over its time, in the logit of the share of the horizon, by equal
 * steps over the whole line: there the integrand is analytic, and its peaks are at least 1/sqrt(n)
 * wide.
 */
static void
ManyParetoPurchases(const double *parameters, const ClvCustomer *customer, double horizon,
					int max_purchases, double *at_least)
{
	double k = parameters[CLV_R] + customer->x;
	double s = parameters[CLV_S];
	double at_end = parameters[CLV_ALPHA] + customer->T;
	double beta_end = parameters[CLV_BETA] + customer->T;
	double step = Min(NODE_STEP, NODE_PEAK / sqrt(max_purchases));
	double from = -NODE_END - log1p(horizon * (k / at_end + s / beta_end));

	memset(at_least, 0, max_purchases * sizeof(double));
	if (horizon <= 0)
		return;
	for (double w = from; w < NODE_END; w += step)
	{
		double time = horizon * Logistic(w);
		double log_term = log(k / at_end * time * Logistic(-w) * step) -
						  (k + 1) * log1p(time / at_end) - s * log1p(time / beta_end);

		CHECK_FOR_INTERRUPTS();
		for (int n = 1; n <= max_purchases; n++)
		{
			at_least[n - 1] += exp(log_term);
			log_term += log(time / (at_end + time) * (k + n) / n);
		}
	}
	for (int n = 0; n < max_purchases; n++)
		at_least[n] = Min(at_least[n], 1);
}

/*
 * At least n: n purchases fall into the horizon, and the customer leaves at none of the first n -
 * 1.  Events are counted from the phase of the open gap on.
 */
void
ManyPurchasesIfAlive(ClvProcess process, const double *parameters, const ClvCustomer *customer,
					 double horizon, int max_purchases, double *at_least)
{
	int k = process.regularity;
	double shape = Shape(process, parameters, customer->x);
	double ratio = horizon / (parameters[CLV_ALPHA] + customer->T);
	double q = PhaseRatio(parameters, customer);
	double a = parameters[CLV_A];
	double b = parameters[CLV_B] + Chances(process.family, customer->x);
	double weight = 1;
	double weights = 0;
	double survival = 1;

	if (process.family == CLV_PARETO_NBD)
	{
		ManyParetoPurchases(parameters, customer, horizon, max_purchases, at_least);
		return;
	}
	memset(at_least, 0, max_purchases * sizeof(double));
	for (int phase = 0; phase < k; phase++)
	{
		double probability = exp(-(shape + phase) * log1p(ratio));
		double fewer = 0; /* P(fewer events) */
		int64 events = 0;

		for (int n = 1; n <= max_purchases; n++)
		{
			for (; events < (int64) k * n - phase; events++)
			{
				fewer += probability;
				probability *= ratio / (1 + ratio) * (shape + phase + events) / (events + 1);
			}
			at_least[n - 1] += weight * Max(0, 1 - fewer);
		}
		weights += weight;
		weight *= q * (shape + phase) / (phase + 1);
	}
	for (int n = 1; n <= max_purchases; n++)
	{
		at_least[n - 1] *= survival / weights;
		survival *= (b + n - 1) / (a + b + n - 1);
	}
}

#define WAIT_STEPS 200
#define WAIT_PRECISION 1e-9
#define LONGEST_WAIT 1e9 /* times the time seen and α: later than any calendar */

double
WaitForPurchase(ClvProcess process, const double *parameters, const ClvCustomer *customer,
				double alive, double probability)
{
	double at_end = parameters[CLV_ALPHA] + customer->T;
	double low = 0;
	double high = at_end;
	double low_off;
	double high_off;
	int side = 0; /* which end the last step replaced */

	if (!(probability < alive))
		return INFINITY;
	if (process.family != CLV_PARETO_NBD && process.regularity == 1)
		return at_end *
			   expm1(-log1p(-probability / alive) / Shape(process, parameters, customer->x));
	low_off = -probability;
	while ((high_off =
				AnyPurchaseIfAlive(process, parameters, customer, high) * alive - probability) < 0)
	{
		low = high;
		low_off = high_off;
		high *= 2;
		if (high > LONGEST_WAIT * at_end)
			return INFINITY;
	}
	/* regula falsi, with the Illinois modification if one end stays */
	for (int i = 0; i < WAIT_STEPS && high - low > WAIT_PRECISION * high; i++)
	{
		double middle = (low * high_off - high * low_off) / (high_off - low_off);
		double off =
			AnyPurchaseIfAlive(process, parameters, customer, middle) * alive - probability;

		if (fabs(off) < WAIT_PRECISION)
			return middle;
		if (off < 0)
		{
			low = middle;
			low_off = off;
			high_off = side < 0 ? high_off / 2 : high_off;
			side = -1;
		}
		else
		{
			high = middle;
			high_off = off;
			low_off = side > 0 ? low_off / 2 : low_off;
			side = 1;
		}
	}
	return high;
}
