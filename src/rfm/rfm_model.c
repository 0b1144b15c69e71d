/*
 * rfm_model.c: the type rfm_model, and the scores of histories under a model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "history/history_memo.h"
#include "rfm/rfm_model.h"

static const char *const dimension_name[RFM_DIMENSIONS] = {"recency", "frequency", "monetary"};

/* ---------- the type ---------- */

static const ModelField Fields[] = {
	MODEL_FIELD(RfmModel, "bins", bins, FIELD_INT),
	MODEL_LIST(RfmModel, "recency", threshold[RECENCY], nthresholds[RECENCY], FIELD_DECIMAL,
			   MAX_BINS - 1, .in_place = true),
	MODEL_LIST(RfmModel, "frequency", threshold[FREQUENCY], nthresholds[FREQUENCY], FIELD_DECIMAL,
			   MAX_BINS - 1, .in_place = true),
	MODEL_LIST(RfmModel, "monetary", threshold[MONETARY], nthresholds[MONETARY], FIELD_DECIMAL,
			   MAX_BINS - 1, .in_place = true),
	MODEL_FIELD(RfmModel, "period", period, FIELD_INTERVAL),
	MODEL_FIELD(RfmModel, "as_of", as_of, FIELD_DATE),
	MODEL_FIELD(RfmModel, "customers", customers, FIELD_COUNT),
	MODEL_FIELD(RfmModel, "median_frequency", median_frequency, FIELD_DECIMAL),
	MODEL_FIELD(RfmModel, "median_order_value", median_order_value, FIELD_NUMBER),
};

/* The largest scale of a dimension's thresholds. */
static int
CommonScale(const RfmModel *model, RfmDimension what)
{
	int scale = 0;

	for (int i = 0; i < model->nthresholds[what]; i++)
		scale = Max(scale, model->threshold[what][i].scale);
	return scale;
}

/* What is wrong with the thresholds of one dimension. */
static const char *
ThresholdsFault(const RfmModel *model, RfmDimension what)
{
	int scale = CommonScale(model, what);
	int64 last = PG_INT64_MIN;

	if (model->nthresholds[what] != model->bins - 1)
		return psprintf("%d bins need %d %s thresholds, not %d.", model->bins, model->bins - 1,
						dimension_name[what], model->nthresholds[what]);
	for (int i = 0; i < model->nthresholds[what]; i++)
	{
		const Decimal *threshold = &model->threshold[what][i];
		int64 value;

		if (!RescaleFits(threshold->mantissa, threshold->scale, scale, &value))
			return psprintf("The %s thresholds are out of range.", dimension_name[what]);
		if (value < last)
			return psprintf("The %s thresholds do not grow.", dimension_name[what]);
		last = value;
	}
	return NULL;
}

static const char *
RfmModelFault(const void *data)
{
	const RfmModel *model = data;
	bool fitted = model->customers > 0;

	if (model->bins < MIN_BINS || model->bins > MAX_BINS)
		return psprintf("The number of bins must be between %d and %d, not %d.", MIN_BINS, MAX_BINS,
						model->bins);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		const char *fault = ThresholdsFault(model, what);

		if (fault != NULL)
			return fault;
	}
	if (RfmPeriod(model) != NULL && !PeriodIsValid(&model->period))
		return "The period must be positive and finite.";
	if (fitted != !DATE_IS_NOBEGIN(model->as_of) ||
		fitted != (model->median_frequency.mantissa > 0) ||
		(!fitted && model->median_order_value != 0))
		return "\"as_of\", \"customers\", \"median_frequency\" and \"median_order_value\" go "
			   "together.";
	return NULL;
}

/* Rescales the thresholds of each dimension to one scale. */
static void
CompleteRfmModel(void *data, uint64 fingerprint)
{
	RfmModel *model = data;

	model->fingerprint = fingerprint;
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		int scale = CommonScale(model, what);

		for (int i = 0; i < model->nthresholds[what]; i++)
		{
			Decimal *threshold = &model->threshold[what][i];

			threshold->mantissa = Rescale(threshold->mantissa, threshold->scale, scale);
			threshold->scale = scale;
		}
	}
}

const ModelFormat RfmModelFormat = {
	.type = "rfm_model",
	.version = 1,
	.max_bytes = 1000,
	.group = {.size = sizeof(RfmModel),
			  .defaults = &(const RfmModel){.as_of = DATEVAL_NOBEGIN},
			  .nfields = lengthof(Fields),
			  .fields = Fields},
	.fault = RfmModelFault,
	.complete = CompleteRfmModel,
	.example =
		"{\"bins\": 3, \"recency\": [30, 90], \"frequency\": [1, 4], \"monetary\": [50, 200]}",
};

MODEL_IO(rfm_model, RfmModelFormat)

/* ---------- made by hand, and taken apart ---------- */

pg_noreturn static void
ModelRefused(const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid rfm_model"),
					errdetail("%s", why)));
}

/*
 * The thresholds of a numeric[] argument; the first argument determines the
 * number of bins.
 */
static void
ThresholdArgument(FunctionCallInfo fcinfo, int argument, RfmModel *model, RfmDimension what)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (ARR_NDIM(array) > 1)
		ModelRefused(
			psprintf("The %s thresholds must be an array of one dimension.", dimension_name[what]));
	if (what == RECENCY)
	{
		if (n < MIN_BINS - 1 || n > MAX_BINS - 1)
			ModelRefused(psprintf("There must be %d to %d thresholds (one less than bins), not %d.",
								  MIN_BINS - 1, MAX_BINS - 1, n));
		model->bins = n + 1;
	}
	else if (n != model->bins - 1)
		ModelRefused(psprintf("There are %d recency thresholds, but %d for %s.", model->bins - 1, n,
							  dimension_name[what]));
	model->nthresholds[what] = n;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ModelRefused(psprintf("A %s threshold is NULL.", dimension_name[what]));
		model->threshold[what][i] = DecimalFromNumeric(elements[i], "threshold");
	}
}

/* rfm_model(recency numeric[], frequency numeric[], monetary numeric[] [, period]) */
PG_FUNCTION_INFO_V1(rfm_model_make);
Datum
rfm_model_make(PG_FUNCTION_ARGS)
{
	RfmModel model;

	InitModel(&RfmModelFormat, &model);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		ThresholdArgument(fcinfo, what, &model, what);
	if (PG_NARGS() > 3)
	{
		model.period = *PG_GETARG_INTERVAL_P(3);
		CheckPeriod(&model.period);
	}
	PG_RETURN_POINTER(ModelValue(&RfmModelFormat, &model));
}

PG_FUNCTION_INFO_V1(thresholds);
Datum
thresholds(PG_FUNCTION_ARGS)
{
	const RfmModel *model = ModelFromDatum(&RfmModelFormat, PG_GETARG_DATUM(0));
	Datum values[RFM_DIMENSIONS];
	bool nulls[RFM_DIMENSIONS] = {false};

	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		Datum numerics[MAX_BINS - 1];

		for (int i = 0; i < model->bins - 1; i++)
			numerics[i] = DirectFunctionCall1(
				numeric_trim_scale,
				NumericGetDatum(NumericFromInt128(model->threshold[what][i].mantissa,
												  model->threshold[what][i].scale)));
		values[what] = PointerGetDatum(
			construct_array(numerics, model->bins - 1, NUMERICOID, -1, false, TYPALIGN_INT));
	}
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* ---------- scoring ---------- */

double
OrderValue(int128 monetary, int scale, int64 frequency)
{
	return TotalAsDouble(monetary) / ((double) PowerOfTen[scale] * (double) frequency);
}

/* How many of the thresholds lie below the value. */
static inline int
ThresholdsBelow(const RfmModel *model, RfmDimension what, int128 value, int scale)
{
	const Decimal *threshold = model->threshold[what];
	int own = threshold[0].scale;
	int below = 0;

	if (scale > own)
	{
		int64 unit = PowerOfTen[scale - own];

		while (below < model->bins - 1 && (int128) threshold[below].mantissa * unit < value)
			below++;
	}
	else
	{
		value *= PowerOfTen[own - scale];
		while (below < model->bins - 1 && threshold[below].mantissa < value)
			below++;
	}
	return below;
}

RfmScore
ScoreRfm(const RfmModel *model, int32 recency, int64 frequency, int128 monetary, int monetary_scale)
{
	return MakeRfmScore(model->bins - ThresholdsBelow(model, RECENCY, recency, 0),
						1 + ThresholdsBelow(model, FREQUENCY, frequency, 0),
						1 + ThresholdsBelow(model, MONETARY, monetary, monetary_scale),
						model->bins);
}

/* The part of a history that the model scores; NULL if it gets no score. */
const HistorySummary *
SummaryForRfm(const PurchaseHistory *history, DateADT as_of, const RfmModel *model)
{
	HistoryWindow window = {PG_INT32_MIN, as_of};
	const HistorySummary *summary;

	if (RfmPeriod(model) != NULL)
		window.after = DayBeforePeriod(as_of, RfmPeriod(model));
	summary = RecallSummary(history, window);
	return summary->purchased && summary->orders > 0 ? summary : NULL;
}

RfmScore
RecallRfmScore(const PurchaseHistory *history, DateADT as_of, const RfmModel *model)
{
	uint64 serial = HistorySerial(history);
	static struct
	{
		uint64 history; /* serial number; 0 if nothing is kept */
		uint64 model;
		DateADT as_of;
		RfmScore score;
	} last;

	if (serial == 0 || last.history != serial || last.model != model->fingerprint ||
		last.as_of != as_of)
	{
		const HistorySummary *summary = SummaryForRfm(history, as_of, model);

		last.history = 0;
		last.score = summary == NULL ? 0
									 : ScoreRfm(model, as_of - summary->last_ever, summary->orders,
												summary->amount, summary->scale);
		last.history = serial;
		last.model = model->fingerprint;
		last.as_of = as_of;
	}
	return last.score;
}

/* (history, model, as_of): NULL without a purchase by then, or in the model's period. */
PG_FUNCTION_INFO_V1(rfm_score);
Datum
rfm_score(PG_FUNCTION_ARGS)
{
	const RfmModel *model = ModelArgument(&RfmModelFormat, fcinfo, 1);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	RfmScore score = RecallRfmScore(PG_GETARG_HISTORY(0), as_of, model);

	if (score == 0)
		PG_RETURN_NULL();
	PG_RETURN_RFM_SCORE(score);
}

/* Frequency and order value against the medians of the fitted population. */
PG_FUNCTION_INFO_V1(purchase_pattern);
Datum
purchase_pattern(PG_FUNCTION_ARGS)
{
	static const char *const patterns[2][2] = {
		{"few small", "few large"},
		{"many small", "many large"},
	};
	static text *kept[2][2];
	const RfmModel *model = ModelArgument(&RfmModelFormat, fcinfo, 1);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	const HistorySummary *summary;
	bool many;
	bool large;

	if (model->customers == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("this rfm_model holds no medians"),
						errdetail("It was made from thresholds, not fitted to customers."),
						errhint("Use a model from rfm_fit().")));
	summary = SummaryForRfm(PG_GETARG_HISTORY(0), as_of, model);
	if (summary == NULL)
		PG_RETURN_NULL();
	many = (int128) summary->orders * PowerOfTen[model->median_frequency.scale] >
		   model->median_frequency.mantissa;
	large =
		OrderValue(summary->amount, summary->scale, summary->orders) > model->median_order_value;
	return ConstantText(&kept[many][large], patterns[many][large]);
}
