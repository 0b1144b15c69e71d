/*
 * rhythm.c: the rhythm of a customer's purchases: its numerics, and the type
 * rhythm_model.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/tuplestore.h"

#include "rhythm.h"
#include "special_functions.h"

/* ---------- numerics ---------- */

/*
 * With shape A = a + kn and p = (b + total)/(b + total + silence), the silence
 * outlasts a gap with the probability that a negative binomial count (A, p) is
 * below k.
 */
double
LapseProbability(int k, double a, double b, double n, double total, double silence)
{
	double shape = a + k * n;
	double known = b + total;
	double q = silence / (known + silence);
	double term = exp(-shape * log1p(silence / known));
	double sum = 0;

	for (int j = 0; j < k; j++)
	{
		sum += term;
		term *= q * (shape + j) / (j + 1);
	}
	return Max(0, 1 - sum);
}

/*
 * For each customer, up to the constant: a ln b - a ln(b + G + s) and so on,
 * and the log of Σ over j < k of (A)_j / j! q^j, q = s/(b + G + s).
 */
double
RhythmLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const RhythmSample *sample = (const RhythmSample *) data;
	double a = parameters[0];
	double b = parameters[1];
	double total = sample->constant;
	double by_a = 0;
	double by_b = 0;

	for (int64 i = 0; i < sample->npoints; i++)
	{
		const RhythmPoint *point = &sample->points[i];
		double shape = a + sample->k * point->n;
		double all = b + point->total + point->silence;
		double q = point->silence / all;
		double term = 1;
		double sum = 1;
		double slope = 0; /* of ln(A)_j by A */
		double sum_a = 0;
		double sum_q = 0;

		for (int j = 1; j < sample->k; j++)
		{
			slope += 1 / (shape + j - 1);
			term *= q * (shape + j - 1) / j;
			sum += term;
			sum_a += term * slope;
			sum_q += term * j;
		}
		/* dq/db = -q/all, so that of q^j by b is -j q^j/all */
		total += point->weight * (LogGammaRatio(a, shape - a) - a * log1p((all - b) / b) -
								  (shape - a) * log(all) + log(sum));
		by_a +=
			point->weight * (DigammaDifference(a, shape - a) - log1p((all - b) / b) + sum_a / sum);
		by_b += point->weight * (a / b - (shape + sum_q / sum) / all);
	}
	gradient[0] = by_a;
	gradient[1] = by_b;
	return total;
}

/* ---------- the type ---------- */

static const RhythmModel Defaults = {.regularity = 1, .as_of = DATEVAL_NOBEGIN};

#define FIELD(name, kind, count, words)                                                            \
	{                                                                                              \
#name, kind, offsetof(RhythmModel, name), count, words                                     \
	}

static const ModelField Fields[] = {
	FIELD(regularity, FIELD_COUNT, 1, NULL),
	FIELD(parameters, FIELD_NUMBERS, RHYTHM_PARAMETERS, NULL),
	FIELD(status, FIELD_WORD, 1, FitStatusNames),
	FIELD(as_of, FIELD_DATE, 1, NULL),
	FIELD(customers, FIELD_COUNT, 1, NULL),
	FIELD(gaps, FIELD_COUNT, 1, NULL),
	FIELD(log_likelihood, FIELD_NUMBERS, 1, NULL),
	FIELD(covariance, FIELD_NUMBERS, COVARIANCES(RHYTHM_PARAMETERS), NULL),
};

static const char *
RhythmModelFault(const void *data)
{
	const RhythmModel *model = (const RhythmModel *) data;

	if (model->regularity < 1 || model->regularity > MAX_REGULARITY)
		return "regularity is not between 1 and 12";
	if (model->status == FIT_NO_MEAN || model->status == FIT_NO_DATA)
		return "status is one that only spend can have";
	for (int i = 0; i < RHYTHM_PARAMETERS && model->status != FIT_FAILED; i++)
		if (!(model->parameters[i] >= 1e-12 && model->parameters[i] <= 1e12))
			return "parameters are not all between 1e-12 and 1e12";
	if (model->covariance[0] < 0 || model->covariance[2] < 0)
		return "a variance is negative";
	return NULL;
}

const ModelFormat RhythmModelFormat = {
	.type = "rhythm_model",
	.version = 1,
	.size = sizeof(RhythmModel),
	.defaults = &Defaults,
	.fields = Fields,
	.nfields = lengthof(Fields),
	.fault = RhythmModelFault,
	.example = "{regularity: 2, parameters: [1.5, 20]}",
};

PG_FUNCTION_INFO_V1(rhythm_model_in);
Datum
rhythm_model_in(PG_FUNCTION_ARGS)
{
	return ModelIn(&RhythmModelFormat, fcinfo);
}

PG_FUNCTION_INFO_V1(rhythm_model_out);
Datum
rhythm_model_out(PG_FUNCTION_ARGS)
{
	return ModelOut(&RhythmModelFormat, fcinfo);
}

PG_FUNCTION_INFO_V1(rhythm_model_recv);
Datum
rhythm_model_recv(PG_FUNCTION_ARGS)
{
	return ModelRecv(&RhythmModelFormat, fcinfo);
}

PG_FUNCTION_INFO_V1(rhythm_model_send);
Datum
rhythm_model_send(PG_FUNCTION_ARGS)
{
	return ModelSend(&RhythmModelFormat, fcinfo);
}

PG_FUNCTION_INFO_V1(rhythm_model);
Datum
rhythm_model(PG_FUNCTION_ARGS)
{
	RhythmModel model = Defaults;

	model.regularity = PG_GETARG_INT32(0);
	model.parameters[0] = PG_GETARG_FLOAT8(1);
	model.parameters[1] = PG_GETARG_FLOAT8(2);
	PG_RETURN_POINTER(CheckedModel(&RhythmModelFormat, &model));
}

/* Rows (parameter, estimate, standard_error, status); the regularity is chosen, not estimated. */
PG_FUNCTION_INFO_V1(rhythm_parameters);
Datum
rhythm_parameters(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"regularity", "a", "b"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RhythmModel model;

	InitMaterializedSRF(fcinfo, 0);
	DecodeModel(&RhythmModelFormat, PG_GETARG_VARLENA_PP(0), &model);
	for (int i = 0; i < lengthof(names); i++)
	{
		double variance = i == 0 ? 0 : model.covariance[COVARIANCES(i) - 1];
		double estimate = i == 0 ? (double) model.regularity : model.parameters[i - 1];
		Datum values[4];
		bool nulls[4] = {false};

		values[0] = CStringGetTextDatum(names[i]);
		values[1] = Float8GetDatum(estimate);
		values[2] = Float8GetDatum(estimate * sqrt(variance));
		values[3] = CStringGetTextDatum(FitStatusNames[model.status]);
		nulls[1] = model.status == FIT_FAILED;
		nulls[2] = nulls[1] || variance == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* One row that says what the model rests on. */
PG_FUNCTION_INFO_V1(rhythm_model_card);
Datum
rhythm_model_card(PG_FUNCTION_ARGS)
{
	RhythmModel model;
	TupleDesc desc;
	Datum values[5];
	bool nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	DecodeModel(&RhythmModelFormat, PG_GETARG_VARLENA_PP(0), &model);
	nulls[0] = model.as_of == DATEVAL_NOBEGIN;
	values[0] = DateADTGetDatum(model.as_of);
	values[1] = CStringGetTextDatum(FitStatusNames[model.status]);
	values[2] = Int64GetDatum(model.customers);
	values[3] = Int64GetDatum(model.gaps);
	nulls[4] = model.status == FIT_GIVEN || model.status == FIT_FAILED;
	values[4] = Float8GetDatum(model.log_likelihood);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
