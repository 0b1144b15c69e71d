/*
 * predictions.c: predictions about one customer, in SQL.
 *
 * Every prediction is a pure function of (history, model, as_of, …).  It is NULL if the history has
 * no purchase on or before as_of, if the model did not converge and, for values, if the model knows
 * nothing about spend.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_question.h"
#include "clv/spend.h"

PG_FUNCTION_INFO_V1(p_alive);
Datum
p_alive(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(Alive(&question));
}

PG_FUNCTION_INFO_V1(expected_purchases);
Datum
expected_purchases(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(Expected(&question, PURCHASES_IF_ALIVE));
}

PG_FUNCTION_INFO_V1(probability_of_purchase);
Datum
probability_of_purchase(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(RecallAnyPurchase(question.serial, question.predictor->model, question.as_of,
									   &question.customer, question.predictor->horizon));
}

/* The question of (history, model, as_of, days): within so many days. */
static bool
ReadQuestionOfDays(FunctionCallInfo fcinfo, Question *question)
{
	Interval horizon = {.day = PG_GETARG_INT32(3)};

	return AskQuestion(fcinfo, 0, &horizon, 0, question);
}

PG_FUNCTION_INFO_V1(expected_purchases_days);
Datum
expected_purchases_days(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestionOfDays(fcinfo, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(Expected(&question, PURCHASES_IF_ALIVE));
}

PG_FUNCTION_INFO_V1(probability_of_purchase_days);
Datum
probability_of_purchase_days(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestionOfDays(fcinfo, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(RecallAnyPurchase(question.serial, question.predictor->model, question.as_of,
									   &question.customer, question.predictor->horizon));
}

/* (history, model, as_of [, first_purchase]) */
PG_FUNCTION_INFO_V1(expected_value);
Datum
expected_value(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question) || !KnowsValue(question.predictor->model))
		PG_RETURN_NULL();
	question.first_counts =
		PG_NARGS() > 3 && question.predictor->attributes_argument == 0 && PG_GETARG_BOOL(3);
	PG_RETURN_FLOAT8(AnswerValue(&question, NULL, question.predictor->model->spend_parameters));
}

PG_FUNCTION_INFO_V1(clv);
Datum
clv(PG_FUNCTION_ARGS)
{
	Question question;
	LastAnswers *last;

	if (!ReadQuestion(fcinfo, 3, PG_GETARG_FLOAT8(4), &question) ||
		!KnowsValue(question.predictor->model))
		PG_RETURN_NULL();
	last = AnswersFor(&question);
	if (last->clv_known && last->discount == question.predictor->discount &&
		memcmp(&last->horizon, &question.predictor->interval, sizeof(Interval)) == 0)
		PG_RETURN_FLOAT8(last->clv);
	question.first_counts = true;
	last->clv = Expected(&question, DISCOUNTED_IF_ALIVE) *
				AnswerValue(&question, NULL, question.predictor->model->spend_parameters);
	last->horizon = question.predictor->interval;
	last->discount = question.predictor->discount;
	last->clv_known = true;
	PG_RETURN_FLOAT8(last->clv);
}

PG_FUNCTION_INFO_V1(next_purchase);
Datum
next_purchase(PG_FUNCTION_ARGS)
{
	Question question;
	DateADT day;

	if (!ReadQuestion(fcinfo, 0, 0, &question) ||
		!DayAfter(&question, PG_GETARG_DATEADT(2),
				  AnswerWait(&question, question.predictor->model->parameters, NULL), &day))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(day);
}

PG_FUNCTION_INFO_V1(lapse_probability_clv);
Datum
lapse_probability_clv(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(GapProbability(question.predictor->model, &question.customer));
}

#define MAX_PURCHASES 1000

/* P(at least n purchases), n = 1 … max_purchases, of a customer who may be lost. */
static void
AtLeast(const Question *question, int32 max_purchases, double *at_least)
{
	const ClvModel *model = question->predictor->model;
	CustomerClass classes[MAX_CLASSES];
	int nclasses = ClassesOfProbability(model, model->parameters, &question->customer, classes);
	double *of_class = palloc(max_purchases * sizeof(double));

	memset(at_least, 0, max_purchases * sizeof(double));
	for (int c = 0; c < nclasses; c++)
	{
		ManyPurchasesIfAlive(classes[c].process, classes[c].parameters, &question->customer,
							 question->predictor->horizon, max_purchases, of_class);
		for (int n = 0; n < max_purchases; n++)
			at_least[n] += classes[c].active * of_class[n];
	}
	pfree(of_class);
}

/* (history, model, as_of, horizon, max_purchases): P(0), P(1), … P(max_purchases or more) */
PG_FUNCTION_INFO_V1(purchase_probabilities);
Datum
purchase_probabilities(PG_FUNCTION_ARGS)
{
	Question question;
	int32 max_purchases = PG_GETARG_INT32(4);
	double *at_least;
	Datum *values;

	if (max_purchases < 1 || max_purchases > MAX_PURCHASES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_purchases must be between 1 and %d, not %d", MAX_PURCHASES,
							   max_purchases)));
	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	at_least = palloc(max_purchases * sizeof(double));
	values = palloc((max_purchases + 1) * sizeof(Datum));
	AtLeast(&question, max_purchases, at_least);
	for (int n = 0; n <= max_purchases; n++)
	{
		double from = n == 0 ? 1 : at_least[n - 1];
		double beyond = n == max_purchases ? 0 : at_least[n];

		values[n] = Float8GetDatum(Max(0, from - beyond));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, max_purchases + 1, FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* (model, as_of, horizon [, attributes]): for somebody whose first purchase is on that day */
PG_FUNCTION_INFO_V1(expected_purchases_new);
Datum
expected_purchases_new(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	ClvCustomer customer = {0};
	CustomerModel kept = {0};
	bool changed;

	if (PG_NARGS() > 3)
		model = ModelOfRecord(&kept, model, 0, PG_GETARG_HEAPTUPLEHEADER(3), CurrentMemoryContext,
							  &changed);
	if (!ClvModelIsUsable(model))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(
		ExpectedPurchases(model, &customer, HorizonInUnits(model, as_of, PG_GETARG_INTERVAL_P(2))));
}

/* Today's probability of a purchase over that of the day of the last one; NaN: there was none. */
static double
PurchaseOutlook(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	ClvCustomer then = *customer;
	double before;

	then.T = then.t_x;
	before = ProbabilityOfPurchase(model, &then, horizon);
	return before > 0 ? ProbabilityOfPurchase(model, customer, horizon) / before : NAN;
}

PG_FUNCTION_INFO_V1(purchase_outlook);
Datum
purchase_outlook(PG_FUNCTION_ARGS)
{
	Question question;
	double outlook;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	outlook =
		PurchaseOutlook(question.predictor->model, &question.customer, question.predictor->horizon);
	if (isnan(outlook))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(outlook);
}

/* The model's log-likelihood of one customer, time in its unit. */
PG_FUNCTION_INFO_V1(clv_log_likelihood);
Datum
clv_log_likelihood(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(CustomerLogLikelihood(question.predictor->model, &question.customer));
}
