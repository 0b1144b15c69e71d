/*
 * clv_predict.c: predictions about one customer, at the parameters of a model.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_predict.h"

ClvCustomer
CustomerInUnits(const ClvModel *model, const PurchaseSummary *facts, DateADT as_of)
{
	const Season *season = &model->calendar;
	ClvCustomer customer;

	customer.x = (double) (facts->purchase_days - 1);
	customer.t_x = WeightedDays(season, facts->first, facts->last) / model->unit;
	customer.T = WeightedDays(season, facts->first, as_of) / model->unit;
	customer.regularity = model->random_share > 0 ? RegularityOf(facts) : 0;
	return customer;
}

/* Days from as_of to as_of + interval; both must be in the calendar of timestamps. */
static double
DaysAhead(DateADT as_of, const Interval *interval)
{
	int64 longest = (int64) interval->month * 31 + interval->day + interval->time / USECS_PER_DAY;
	Timestamp end;

	if (!INTERVAL_NOT_FINITE(interval) &&
		as_of + Max(longest, 0) >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE - 1)
	{
		char day[MAXDATELEN + 1];

		FormatDay(as_of, day);
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("a forecast from %s for %s goes beyond the calendar", day,
							   DatumGetCString(
								   DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)))),
						errhint("Give an earlier day, or a shorter time.")));
	}
	end = DatumGetTimestamp(
		DirectFunctionCall2(date_pl_interval, DateADTGetDatum(as_of), IntervalPGetDatum(interval)));
	if (TIMESTAMP_NOT_FINITE(end))
		return INFINITY;
	return ((double) end - (double) as_of * USECS_PER_DAY) / USECS_PER_DAY;
}

/*
 * Days after as_of in units of the model, weighted by season and pace: as many ordinary days would
 * see the same purchases.
 */
static double
FutureInUnits(const ClvModel *model, DateADT as_of, double days)
{
	const Season *season = &model->calendar;

	if (!season->is_level)
	{
		DateADT whole = (DateADT) floor(days);
		double part = days - floor(days);

		days = WeightedDays(season, as_of, as_of + whole);
		if (part > 0)
			days += part * WeightedDays(season, as_of + whole, as_of + whole + 1);
	}
	return days * model->pace / model->unit;
}

double
UnitsAhead(const ClvModel *model, DateADT as_of, const Interval *interval)
{
	return FutureInUnits(model, as_of, DaysAhead(as_of, interval));
}

double
HorizonInUnits(const ClvModel *model, DateADT as_of, const Interval *horizon)
{
	double days = DaysAhead(as_of, horizon);

	if (!(days >= 0 && days <= MAX_HORIZON_DAYS))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("horizon must be between 0 and 100 years, not %s",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(horizon)))),
			 errhint("Give an interval such as '90 days'.")));
	return FutureInUnits(model, as_of, days);
}

void
RegularClass(const ClvModel *model, const double *parameters, CustomerClass *class)
{
	class->process = ProcessOf(model);
	memcpy(class->parameters, parameters, sizeof(class->parameters));
}

/* The class of customers who buy at random; false if the model has none. */
static bool
RandomClass(const ClvModel *model, const double *parameters, CustomerClass *class)
{
	class->process.family = (ClvFamily) model->family;
	class->process.regularity = 1;
	for (int i = 0; i < CLV_PARAMETERS; i++)
		class->parameters[i] = model->random_parameters[i] * (parameters[i] / model->parameters[i]);
	return model->random_parameters[CLV_R] > 0;
}

/*
 * What the share of the second class and the number of purchases say for it against the first;
 * results are kept.
 */
static double
OddsByCount(const CustomerClass *classes, double share, double x)
{
	static struct
	{
		double x;
		double share;       /* 0: nothing is kept */
		ClvProcess process; /* of the first class */
		double parameters[MAX_CLASSES][CLV_PARAMETERS];
		double odds;
	} kept[64];
	int at = (int) ((int64) x % lengthof(kept));
	Size size = sizeof(classes->parameters);

	if (kept[at].x != x || kept[at].share != share ||
		kept[at].process.regularity != classes[0].process.regularity ||
		kept[at].process.family != classes[0].process.family ||
		memcmp(kept[at].parameters[0], classes[0].parameters, size) != 0 ||
		memcmp(kept[at].parameters[1], classes[1].parameters, size) != 0)
	{
		kept[at].odds = log(share / (1 - share)) +
						CountLogLikelihood(classes[1].process, classes[1].parameters, x) -
						CountLogLikelihood(classes[0].process, classes[0].parameters, x);
		kept[at].x = x;
		kept[at].share = share;
		kept[at].process = classes[0].process;
		memcpy(kept[at].parameters[0], classes[0].parameters, size);
		memcpy(kept[at].parameters[1], classes[1].parameters, size);
	}
	return kept[at].odds;
}

#define LARGEST_LOG_ODDS 200.0 /* beyond, nothing is left of the other side */

static inline double
OddsOf(double log_odds)
{
	return exp(Max(-LARGEST_LOG_ODDS, Min(LARGEST_LOG_ODDS, log_odds)));
}

/*
 * The likelihood of each class is that of an active customer times 1 + the odds of being lost, so
 * three exponentials give all probabilities.
 */
static void
SetProbabilities(double share, const ClvCustomer *customer, CustomerClass *classes)
{
	double lost[MAX_CLASSES];
	double active[MAX_CLASSES];
	double odds;
	double all;

	for (int c = 0; c < MAX_CLASSES; c++)
		active[c] =
			ActiveLogLikelihood(classes[c].process, classes[c].parameters, customer, &lost[c]);
	odds = OddsOf(OddsByCount(classes, share, customer->x) + active[1] - active[0] -
				  GapsLogLikelihood(classes[0].process, customer));
	lost[0] = OddsOf(lost[0]);
	lost[1] = OddsOf(lost[1]);
	all = 1 + lost[0] + odds * (1 + lost[1]);
	classes[0].active = 1 / all;
	classes[0].probability = (1 + lost[0]) / all;
	classes[1].active = odds / all;
	classes[1].probability = odds * (1 + lost[1]) / all;
}

int
CustomerClasses(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
				CustomerClass *classes)
{
	RegularClass(model, parameters, &classes[0]);
	if (model->random_share > 0 && RandomClass(model, parameters, &classes[1]))
	{
		SetProbabilities(model->random_share, customer, classes);
		return 2;
	}
	classes[0].probability = 1;
	classes[0].active = ActiveOf(&classes[0], customer);
	return 1;
}

int
ClassesOfProbability(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
					 CustomerClass *classes)
{
	int n = CustomerClasses(model, parameters, customer, classes);

	if (n > 1 || model->regularity == 1 || !RandomClass(model, parameters, &classes[1]))
		return n;
	classes[0].probability = classes[1].probability = 0.5;
	classes[0].active /= 2;
	classes[1].active = ActiveOf(&classes[1], customer) / 2;
	return 2;
}

double
CustomerLogLikelihood(const ClvModel *model, const ClvCustomer *customer)
{
	ClvProcess process = ProcessOf(model);
	double regular = ClvLogLikelihood(process, model->parameters, customer);
	CustomerClass random;
	double off;

	if (!(model->random_share > 0) || !RandomClass(model, model->parameters, &random))
		return regular;
	regular += log1p(-model->random_share) + GapsLogLikelihood(process, customer);
	off = log(model->random_share) + ClvLogLikelihood(random.process, random.parameters, customer) -
		  regular;
	return regular + SoftPlus(off);
}

bool
ClassAtRandom(const ClvModel *model, const double *parameters, CustomerClass *class)
{
	return model->random_share == 0 && model->regularity > 1 &&
		   RandomClass(model, parameters, class);
}

/* What is added for customers who are not split, see ClassAtRandom(). */
static double
FirstPurchaseBeyond(const ClvModel *model, const ClvCustomer *customer, double horizon,
					double expected)
{
	CustomerClass class;

	if (!ClassAtRandom(model, model->parameters, &class))
		return 0;
	return ChanceBeyond(&class, customer,
						AnyPurchaseIfAlive(class.process, class.parameters, customer, horizon),
						expected);
}

double
ExpectedPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	CustomerClass classes[MAX_CLASSES];
	int n = CustomerClasses(model, model->parameters, customer, classes);
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum += classes[c].active *
			   PurchasesIfAlive(classes[c].process, classes[c].parameters, customer, horizon);
	return sum + FirstPurchaseBeyond(model, customer, horizon, sum);
}

/* Mean and mean square of purchases, to which the classes of customers add. */
typedef struct Moments
{
	double mean;
	double square;
} Moments;

/*
 * Customers who stay buy at a Gamma rate of known shape: m_s purchases, with variance m_s + m_s^2 /
 * shape.  Customers who may leave buy m and stay for a part u = m / m_s of the time; if few leave,
 * at any time, E[u^2] is 1 - 4/3 (1 - u), hence about u^(4/3).
 */
static void
AddPurchases(Moments *moments, ClvProcess process, const double *p, const ClvCustomer *customer,
			 double horizon, double alive, double mean)
{
	double shape = p[CLV_R] + process.regularity * customer->x;
	double staying = shape * horizon / (p[CLV_ALPHA] + customer->T) / process.regularity;
	double part = staying > 0 ? Min(1, mean / staying) : 1;

	moments->mean += alive * mean;
	moments->square +=
		alive * (mean + mean * mean * (1 + 1 / shape) * pow(Max(part, 1e-9), 4.0 / 3 - 2));
}

/* What is added is a single purchase, or none. */
static PurchaseForecast
ForecastOf(Moments moments, double beyond)
{
	double mean = moments.mean + beyond;
	PurchaseForecast forecast = {mean, Max(0, moments.square + beyond - mean * mean)};

	return forecast;
}

PurchaseForecast
ForecastIfAlive(const ClvModel *model, const ClvCustomer *customer, double horizon, double alive,
				double mean, double beyond)
{
	Moments moments = {0};

	AddPurchases(&moments, ProcessOf(model), model->parameters, customer, horizon, alive, mean);
	return ForecastOf(moments, beyond);
}

PurchaseForecast
ForecastPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	CustomerClass classes[MAX_CLASSES];
	int n = CustomerClasses(model, model->parameters, customer, classes);
	Moments moments = {0};

	for (int c = 0; c < n; c++)
		AddPurchases(
			&moments, classes[c].process, classes[c].parameters, customer, horizon,
			classes[c].active,
			PurchasesIfAlive(classes[c].process, classes[c].parameters, customer, horizon));
	return ForecastOf(moments, FirstPurchaseBeyond(model, customer, horizon, moments.mean));
}

double
AnyPurchase(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
			double horizon)
{
	CustomerClass classes[MAX_CLASSES];
	int n = ClassesOfProbability(model, parameters, customer, classes);
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum += classes[c].active *
			   AnyPurchaseIfAlive(classes[c].process, classes[c].parameters, customer, horizon);
	return sum;
}

double
ProbabilityOfPurchase(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	return AnyPurchase(model, model->parameters, customer, horizon);
}

/* It is .75 when three quarters of the gaps that will end have ended. */
double
GapProbability(const ClvModel *model, const ClvCustomer *customer)
{
	CustomerClass classes[MAX_CLASSES];
	ClvCustomer then = *customer;
	double sum = 0;
	int n = 1;

	then.T = then.t_x;
	/* of one class, whether they are active or not */
	RegularClass(model, model->parameters, &classes[0]);
	classes[0].probability = 1;
	if (model->random_share > 0)
		n = CustomerClasses(model, model->parameters, &then, classes);
	for (int c = 0; c < n; c++)
	{
		/* at least until the purchase */
		ClvProcess staying = {CLV_BG_NBD, classes[c].process.regularity};

		sum += classes[c].probability * AnyPurchaseIfAlive(staying, classes[c].parameters, &then,
														   customer->T - customer->t_x);
	}
	return sum;
}
