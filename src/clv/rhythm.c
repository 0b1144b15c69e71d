/*
 * rhythm.c: the rhythm of a customer's purchases: its numerics, and the type
 * rhythm_model.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "base/common.h"
#include "base/special_functions.h"
#include "clv/rhythm.h"

/* ---------- numerics ---------- */

/*
 * With shape A = a + kn and p = (b + total)/(b + total + silence), the gap outlasts the silence
 * with the probability that a negative binomial count (A, p) is below k.
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

/* What customers with the same number of gaps share. */
typedef struct RhythmGroup
{
	int64 n;
	double shape; /* A = a + kn */
	double log_ratio;
	double digammas;
	double term[MAX_REGULARITY];  /* (A)_j / j! */
	double slope[MAX_REGULARITY]; /* its derivative by A */
} RhythmGroup;

static void
SetRhythmGroup(RhythmGroup *group, int64 n, int k, double a, double b)
{
	double events = (double) k * n;
	double slope = 0; /* of ln(A)_j by A */

	group->n = n;
	group->shape = a + events;
	group->log_ratio = LogGammaRatio(a, events) - events * log(b);
	group->digammas = DigammaDifference(a, events);
	group->term[0] = 1;
	group->slope[0] = 0;
	for (int j = 1; j < k; j++)
	{
		slope += 1 / (group->shape + j - 1);
		group->term[j] = group->term[j - 1] * (group->shape + j - 1) / j;
		group->slope[j] = group->term[j] * slope;
	}
}

/*
 * For each customer, up to the constant: ln Γ(A)/Γ(a) - kn ln b - A ln(1 + T/b),
 * and the log of Σ over j < k of (A)_j / j! q^j, q = s/(b + T).
 */
double
RhythmLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const RhythmSample *sample = (const RhythmSample *) data;
	const ClvSample *customers = sample->customers;
	double a = parameters[0];
	double b = parameters[1];
	double *log_at = customers->scratch;
	double *inverse_at = customers->scratch + customers->ntimes;
	double total = sample->constant;
	RhythmGroup group = {.n = -1};

	memset(gradient, 0, RHYTHM_PARAMETERS * sizeof(double));
	for (int64 i = 0; i < customers->ntimes; i++)
	{
		log_at[i] = log1p(customers->times[i] / b);
		inverse_at[i] = 1 / (b + customers->times[i]);
	}
	for (int64 i = 0; i < customers->npoints; i++)
	{
		const ClvPoint *point = &customers->points[i];
		double log_T = log_at[point->T_at];
		double inverse = inverse_at[point->T_at];
		double q = (point->T - point->t_x) * inverse;
		double sum = 0;
		double sum_a = 0; /* its derivatives by A, and by ln q */
		double sum_q = 0;

		CHECK_FOR_INTERRUPTS();
		if (point->x != group.n)
			SetRhythmGroup(&group, point->x, sample->k, a, b);
		for (int j = sample->k - 1; j >= 0; j--)
		{
			sum_q = sum_q * q + j * group.term[j];
			sum_a = sum_a * q + group.slope[j];
			sum = sum * q + group.term[j];
		}
		/* dq/db = -q/(b + T) */
		total += point->weight * (group.log_ratio - group.shape * log_T + log(sum));
		gradient[0] += point->weight * (group.digammas - log_T + sum_a / sum);
		gradient[1] += point->weight * (a / b - (group.shape + sum_q / sum) * inverse);
	}
	return total;
}

/* ---------- the type ---------- */

static const RhythmModel Defaults = {.regularity = 1, .as_of = DATEVAL_NOBEGIN};

static const ModelField Fields[] = {
	MODEL_FIELD(RhythmModel, "regularity", regularity, FIELD_COUNT),
	MODEL_FIELD(RhythmModel, "parameters", parameters, FIELD_NUMBER, .count = RHYTHM_PARAMETERS),
	MODEL_FIELD(RhythmModel, "status", status, FIELD_WORD, .words = FitStatusNames),
	MODEL_FIELD(RhythmModel, "as_of", as_of, FIELD_DATE),
	MODEL_FIELD(RhythmModel, "customers", customers, FIELD_COUNT),
	MODEL_FIELD(RhythmModel, "gaps", gaps, FIELD_COUNT),
	MODEL_FIELD(RhythmModel, "log_likelihood", log_likelihood, FIELD_NUMBER),
	MODEL_FIELD(RhythmModel, "covariance", covariance, FIELD_NUMBER,
				.count = COVARIANCES(RHYTHM_PARAMETERS)),
};

static const char *
RhythmModelFault(const void *data)
{
	const RhythmModel *model = (const RhythmModel *) data;

	if (model->regularity < 1 || model->regularity > MAX_REGULARITY)
		return "\"regularity\" is not between 1 and 12.";
	if (model->status == FIT_NO_MEAN || model->status == FIT_NO_DATA)
		return "\"status\" is one that only spend can have.";
	for (int i = 0; i < RHYTHM_PARAMETERS && model->status != FIT_FAILED; i++)
		if (!(model->parameters[i] >= 1e-20 && model->parameters[i] <= 1e20))
			return "The parameters are not all between 1e-20 and 1e20.";
	if (model->covariance[0] < 0 || model->covariance[2] < 0)
		return "A variance is negative.";
	return NULL;
}

const ModelFormat RhythmModelFormat = {
	.type = "rhythm_model",
	.version = 1,
	.max_bytes = 2000,
	.group = {.size = sizeof(RhythmModel),
			  .defaults = &Defaults,
			  .nfields = lengthof(Fields),
			  .fields = Fields},
	.fault = RhythmModelFault,
	.example = "{\"regularity\": 2, \"parameters\": [1.5, 20]}",
};

MODEL_IO(rhythm_model, RhythmModelFormat)

PG_FUNCTION_INFO_V1(rhythm_model);
Datum
rhythm_model(PG_FUNCTION_ARGS)
{
	RhythmModel model = Defaults;

	model.regularity = PG_GETARG_INT32(0);
	model.parameters[0] = PG_GETARG_FLOAT8(1);
	model.parameters[1] = PG_GETARG_FLOAT8(2);
	PG_RETURN_POINTER(ModelValue(&RhythmModelFormat, &model));
}

/* Rows (parameter, estimate, standard_error, status); the regularity is chosen, not estimated. */
PG_FUNCTION_INFO_V1(rhythm_parameters);
Datum
rhythm_parameters(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"regularity", "a", "b"};
	const RhythmModel *model = ModelFromDatum(&RhythmModelFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(names); i++)
	{
		double variance = i == 0 ? 0 : model->covariance[COVARIANCES(i) - 1];
		double estimate = i == 0 ? (double) model->regularity : model->parameters[i - 1];
		Datum values[4];
		bool nulls[4] = {false};

		values[0] = CStringGetTextDatum(names[i]);
		values[1] = Float8GetDatum(estimate);
		values[2] = Float8GetDatum(estimate * sqrt(variance));
		values[3] = CStringGetTextDatum(FitStatusNames[model->status]);
		nulls[1] = model->status == FIT_FAILED;
		nulls[2] = nulls[1] || variance == 0;
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* One row: what the model was fitted to. */
PG_FUNCTION_INFO_V1(rhythm_model_card);
Datum
rhythm_model_card(PG_FUNCTION_ARGS)
{
	const RhythmModel *model = ModelFromDatum(&RhythmModelFormat, PG_GETARG_DATUM(0));
	Datum values[5];
	bool nulls[5] = {false};

	nulls[0] = model->as_of == DATEVAL_NOBEGIN;
	values[0] = DateADTGetDatum(model->as_of);
	values[1] = CStringGetTextDatum(FitStatusNames[model->status]);
	values[2] = Int64GetDatum(model->customers);
	values[3] = Int64GetDatum(model->gaps);
	nulls[4] = model->status == FIT_GIVEN || model->status == FIT_FAILED;
	values[4] = Float8GetDatum(model->log_likelihood);
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
