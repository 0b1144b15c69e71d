/*
 * clv_intervals.c: confidence intervals of predictions.
 *
 * By the delta method, on a scale on which the answer is unbounded: the logit of probabilities, the
 * log of positive numbers.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/date.h"

#include "base/common.h"
#include "base/special_functions.h"
#include "clv/clv_question.h"

#define DIFFERENCE 1e-4 /* of the log of a parameter */
#define BOUND_QUANTILE 1.96

typedef enum Scale
{
	SCALE_LOGIT,
	SCALE_LOG,
	SCALE_PLAIN /* of either sign */
} Scale;

static double
OnScale(double value, Scale scale)
{
	return scale == SCALE_PLAIN ? value : log(value) - (scale == SCALE_LOGIT ? log1p(-value) : 0);
}

static double
FromScale(double value, Scale scale)
{
	return scale == SCALE_PLAIN ? value : scale == SCALE_LOGIT ? Logistic(value) : exp(value);
}

/*
 * The derivatives of the answer, on its scale, with respect to the logs of the positive parameters
 * of one part, which come first, and to the others.
 */
static void
Slopes(const Question *question, Answer answer, Scale scale, double *parameters, double *spend,
	   double *vary, int n, int npositive, double *slopes)
{
	for (int i = 0; i < n; i++)
	{
		double middle = vary[i];
		double step = i < npositive ? DIFFERENCE : DIFFERENCE * (fabs(middle) + DIFFERENCE);
		double up;
		double down;

		vary[i] = i < npositive ? middle * exp(step) : middle + step;
		up = OnScale(answer(question, parameters, spend), scale);
		vary[i] = i < npositive ? middle * exp(-step) : middle - step;
		down = OnScale(answer(question, parameters, spend), scale);
		vary[i] = middle;
		slopes[i] = (up - down) / (2 * step);
	}
}

/* Whether a fit has a covariance of its parameters; at edges some are fixed. */
static bool
HasCovariance(const ClvModel *model)
{
	for (int i = 0; i < lengthof(model->covariance); i++)
		if (model->covariance[i] != 0)
			return true;
	return false;
}

/*
 * The squared distances, on its scale, of an answer from its values at the bounds of the model,
 * below and above.
 */
static void
BoundReach(const Question *question, Answer answer, Scale scale, const double *spend, double value,
		   double *below, double *above)
{
	const ClvModel *model = question->predictor->model;

	*below = *above = 0;
	for (int b = 0; b < CLV_BOUNDS && ClvBound(model, b); b++)
	{
		double off = OnScale(answer(question, ClvBound(model, b), spend), scale) - value;

		if (off < 0)
			*below += off * off;
		else
			*above += off * off;
	}
}

/* The variance of an answer, on its scale, that comes from the parameters of purchases. */
static double
PurchaseVariance(const Question *question, Answer answer, Scale scale, double *spend)
{
	Predictor *predictor = question->predictor;
	const ClvModel *model = predictor->model;
	double *parameters;
	double slopes[MIXED_PARAMETERS];
	ClvModel varied = *model;

	parameters = varied.parameters;
	if (model->random_share == 0)
	{
		Slopes(question, answer, scale, parameters, spend, parameters, CLV_PARAMETERS,
			   CLV_PARAMETERS, slopes);
		return QuadraticForm(model->covariance, slopes, CLV_PARAMETERS);
	}
	/* the other class has parameters of its own, which the model of the question says */
	predictor->model = &varied;
	Slopes(question, answer, scale, parameters, spend, parameters, CLV_PARAMETERS, CLV_PARAMETERS,
		   slopes);
	Slopes(question, answer, scale, parameters, spend, varied.random_parameters, CLV_PARAMETERS,
		   CLV_PARAMETERS, slopes + CLV_PARAMETERS);
	Slopes(question, answer, scale, parameters, spend, &varied.random_share, 1, 1,
		   &slopes[MIXED_ODDS]);
	slopes[MIXED_ODDS] *= 1 - model->random_share; /* the log of the share by its log-odds */
	predictor->model = model;
	return QuadraticForm(model->mixed_covariance, slopes, MIXED_PARAMETERS);
}

/*
 * The interval of an answer: by the delta method and, for parameters at edges, by the answers at
 * the ends of the profile likelihood.  Returns false if the parameters have neither, or if the
 * bounds are not finite.
 */
static bool
DeltaInterval(const Question *question, Answer answer, Scale scale, bool with_spend, double level,
			  double *lower, double *upper)
{
	const ClvModel *model = question->predictor->model;
	bool normal = model->spend_model == SPEND_NORMAL_NORMAL;
	double parameters[CLV_PARAMETERS];
	double spend[SPEND_PARAMETERS];
	double slopes[CLV_PARAMETERS];
	double z = NormalQuantileOfLevel(level);
	double value;
	double variance;
	double below;
	double above;

	if (!HasCovariance(model) && !ClvBound(model, 0))
		return false;
	memcpy(parameters, model->parameters, sizeof(parameters));
	memcpy(spend, model->spend_parameters, sizeof(spend));
	if (with_spend && normal)
		scale = SCALE_PLAIN;
	value = answer(question, parameters, spend);
	*lower = *upper = value;
	/* a certainty, such as P(alive) of one-time buyers under BG/NBD, whatever the parameters */
	if (scale != SCALE_PLAIN && (value <= 0 || (scale == SCALE_LOGIT && value >= 1)))
	{
		for (int b = 0; b < CLV_BOUNDS && ClvBound(model, b); b++)
		{
			double there = answer(question, ClvBound(model, b), spend);

			*lower = Min(*lower, there);
			*upper = Max(*upper, there);
		}
		return true;
	}
	variance = PurchaseVariance(question, answer, scale, spend);
	value = OnScale(value, scale);
	BoundReach(question, answer, scale, spend, value, &below, &above);
	if (with_spend && SpendIsFitted(model))
	{
		Slopes(question, answer, scale, parameters, spend, spend, SPEND_PARAMETERS,
			   normal ? SPEND_MU : SPEND_PARAMETERS, slopes);
		variance += QuadraticForm(model->spend_covariance, slopes, SPEND_PARAMETERS);
	}
	variance = Max(variance, 0);
	/* the bounds are those of 95 % */
	below = z * sqrt(variance + below / (BOUND_QUANTILE * BOUND_QUANTILE));
	above = z * sqrt(variance + above / (BOUND_QUANTILE * BOUND_QUANTILE));
	*lower = FromScale(value - below, scale);
	*upper = FromScale(value + above, scale);
	return isfinite(*lower) && isfinite(*upper);
}

/* The level: the last argument of every interval function. */
static double
LevelArgument(FunctionCallInfo fcinfo)
{
	double level = PG_GETARG_FLOAT8(PG_NARGS() - 1);

	if (!(level > 0 && level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must be between 0 and 1, not %g", level),
						errhint("Give 0.95 for a 95 %% interval.")));
	return level;
}

/* The body of the interval functions; all arguments except the level are the prediction's. */
static Datum
AnswerInterval(FunctionCallInfo fcinfo, Answer answer, int horizon_argument, double discount,
			   Scale scale, bool with_spend, bool first_counts)
{
	double level = LevelArgument(fcinfo);
	Question question;
	Datum bounds[2];
	bool nulls[2] = {true, true};
	double lower;
	double upper;

	if (ReadQuestion(fcinfo, horizon_argument, discount, &question) &&
		(!with_spend || KnowsValue(question.predictor->model)))
	{
		question.first_counts = first_counts;
		if (DeltaInterval(&question, answer, scale, with_spend, level, &lower, &upper))
		{
			bounds[0] = Float8GetDatum(lower);
			bounds[1] = Float8GetDatum(upper);
			nulls[0] = nulls[1] = false;
		}
	}
	return RowDatum(fcinfo, bounds, nulls);
}

PG_FUNCTION_INFO_V1(p_alive_interval);
Datum
p_alive_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerAlive, 0, 0, SCALE_LOGIT, false, false);
}

PG_FUNCTION_INFO_V1(expected_purchases_interval);
Datum
expected_purchases_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerPurchases, 3, 0, SCALE_LOG, false, false);
}

PG_FUNCTION_INFO_V1(probability_of_purchase_interval);
Datum
probability_of_purchase_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerAnyPurchase, 3, 0, SCALE_LOGIT, false, false);
}

PG_FUNCTION_INFO_V1(clv_interval);
Datum
clv_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerClv, 3, PG_GETARG_FLOAT8(4), SCALE_LOG, true, true);
}

/* Depends on the spend part only. */
PG_FUNCTION_INFO_V1(expected_value_interval);
Datum
expected_value_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerValue, 0, 0, SCALE_LOG, true, false);
}

PG_FUNCTION_INFO_V1(next_purchase_interval);
Datum
next_purchase_interval(PG_FUNCTION_ARGS)
{
	double level = LevelArgument(fcinfo);
	Question question;
	Datum bounds[2];
	bool nulls[2] = {true, true};
	double wait[2];

	if (ReadQuestion(fcinfo, 0, 0, &question) &&
		DeltaInterval(&question, AnswerWait, SCALE_LOG, false, level, &wait[0], &wait[1]))
		for (int i = 0; i < 2; i++)
		{
			DateADT day;

			nulls[i] = !DayAfter(&question, PG_GETARG_DATEADT(2), wait[i], &day);
			bounds[i] = nulls[i] ? (Datum) 0 : DateADTGetDatum(day);
		}
	return RowDatum(fcinfo, bounds, nulls);
}
