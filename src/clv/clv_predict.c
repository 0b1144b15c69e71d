/*
 * clv_predict.c: predictions about one customer, at the parameters of a model.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

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

/* Days from as_of to as_of + interval. */
static double
DaysAhead(DateADT as_of, const Interval *interval)
{
	Timestamp end = DatumGetTimestamp(
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

/* How likely the parameters of a class make the purchases. */
static double
ClassLogLikelihood(const CustomerClass *class, const ClvCustomer *customer)
{
	return ClvLogLikelihood(class->process, class->parameters, customer) +
		   GapsLogLikelihood(class->process, customer);
}

int
CustomerClasses(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
				CustomerClass *classes)
{
	double odds;

	classes[0].process = ProcessOf(model);
	memcpy(classes[0].parameters, parameters, sizeof(classes[0].parameters));
	classes[0].probability = 1;
	if (!(model->random_share > 0) || !RandomClass(model, parameters, &classes[1]))
		return 1;
	odds = log(model->random_share / (1 - model->random_share));
	if (customer->x > 0 || customer->T > 0)
		odds +=
			ClassLogLikelihood(&classes[1], customer) - ClassLogLikelihood(&classes[0], customer);
	classes[0].probability = Logistic(-odds);
	classes[1].probability = Logistic(odds);
	return 2;
}

int
ClassesOfProbability(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
					 CustomerClass *classes)
{
	int n = CustomerClasses(model, parameters, customer, classes);

	if (n > 1 || model->regularity == 1 || !RandomClass(model, parameters, &classes[1]))
		return n;
	classes[0].probability = classes[1].probability = 0.5;
	return 2;
}

double
ExpectedPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	CustomerClass classes[MAX_CLASSES];
	int n = CustomerClasses(model, model->parameters, customer, classes);
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum += classes[c].probability * ClassAlive(&classes[c], customer) *
			   PurchasesIfAlive(classes[c].process, classes[c].parameters, customer, horizon);
	return sum;
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

static PurchaseForecast
ForecastOf(Moments moments)
{
	PurchaseForecast forecast = {moments.mean,
								 Max(0, moments.square - moments.mean * moments.mean)};

	return forecast;
}

PurchaseForecast
ForecastIfAlive(const ClvModel *model, const ClvCustomer *customer, double horizon, double alive,
				double mean)
{
	Moments moments = {0};

	AddPurchases(&moments, ProcessOf(model), model->parameters, customer, horizon, alive, mean);
	return ForecastOf(moments);
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
			classes[c].probability * ClassAlive(&classes[c], customer),
			PurchasesIfAlive(classes[c].process, classes[c].parameters, customer, horizon));
	return ForecastOf(moments);
}

double
AnyPurchase(const ClvModel *model, const double *parameters, const ClvCustomer *customer,
			double horizon)
{
	CustomerClass classes[MAX_CLASSES];
	int n = ClassesOfProbability(model, parameters, customer, classes);
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum += classes[c].probability * ClassAlive(&classes[c], customer) *
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
	int n;

	then.T = then.t_x;
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
