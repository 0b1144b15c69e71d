/*
 * rfm_model.c: the type rfm_model.
 *
 * The stored form (after the varlena header), integers of 8 bytes, most
 * significant byte first:
 *
 *	version, bins, flags	1 byte each; bit 0: period, bit 1: fitted
 *	scales					1 byte a dimension
 *	thresholds				bins - 1 integers a dimension, not falling
 *	period					months, days, microseconds
 *	fitted					as_of, customers, median frequency, median order value
 *
 * Equal contents have equal bytes: the scales are the smallest possible.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "rfm/rfm_model.h"

#define MODEL_VERSION 1
#define MODEL_PERIOD 0x01
#define MODEL_FITTED 0x02

static const char *const dimension_name[RFM_DIMENSIONS] = {"recency", "frequency", "monetary"};

/* ---------- bytes ---------- */

/* The smallest scale that holds all thresholds of a dimension. */
static void
MinimizeScale(RfmModel *model, RfmDimension what)
{
	while (model->scale[what] > 0)
	{
		for (int i = 0; i < model->bins - 1; i++)
			if (model->threshold[what][i] % 10 != 0)
				return;
		for (int i = 0; i < model->bins - 1; i++)
			model->threshold[what][i] /= 10;
		model->scale[what]--;
	}
}

/*
 * The one check of every model, whatever it comes from: what is wrong with it,
 * NULL if nothing.
 */
static const char *
RfmModelFault(const RfmModel *model)
{
	if (model->bins < MIN_BINS || model->bins > MAX_BINS)
		return psprintf("The number of bins must be between %d and %d, not %d.", MIN_BINS, MAX_BINS,
						model->bins);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		if (model->scale[what] > MAX_SCALE)
			return psprintf("The %s thresholds have more than %d decimals.", dimension_name[what],
							MAX_SCALE);
		for (int i = 1; i < model->bins - 1; i++)
			if (model->threshold[what][i - 1] > model->threshold[what][i])
				return psprintf("The %s thresholds do not grow.", dimension_name[what]);
	}
	if (model->has_period && !PeriodIsValid(&model->period))
		return "The period must be positive and finite.";
	if (model->fitted && (!IS_VALID_DATE(model->as_of) || DATE_NOT_FINITE(model->as_of)))
		return "The as-of date is out of range.";
	if (model->fitted && (model->customers <= 0 || model->median_frequency <= 0))
		return "Customers and median frequency must be positive.";
	if (model->fitted && !isfinite(model->median_order_value))
		return "The median order value must be finite.";
	return NULL;
}

struct varlena *
EncodeRfmModel(const RfmModel *given)
{
	RfmModel model = *given;
	struct varlena *value = palloc(sizeof(RfmModel) + VARHDRSZ);
	uint8 *p = (uint8 *) VARDATA(value);

	for (int what = 0; what < RFM_DIMENSIONS; what++)
		MinimizeScale(&model, what);
	*p++ = MODEL_VERSION;
	*p++ = (uint8) model.bins;
	*p++ = (model.has_period ? MODEL_PERIOD : 0) | (model.fitted ? MODEL_FITTED : 0);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		*p++ = (uint8) model.scale[what];
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		for (int i = 0; i < model.bins - 1; i++)
			p = WriteInt64(p, model.threshold[what][i]);
	if (model.has_period)
	{
		p = WriteInt64(p, model.period.month);
		p = WriteInt64(p, model.period.day);
		p = WriteInt64(p, model.period.time);
	}
	if (model.fitted)
	{
		p = WriteInt64(p, model.as_of);
		p = WriteInt64(p, model.customers);
		p = WriteInt64(p, model.median_frequency);
		p = WriteFloat8(p, model.median_order_value);
	}
	SET_VARSIZE(value, p - (uint8 *) value);
	return value;
}

/* Takes bytes apart; false if they are not a model's. */
static bool
ReadRfmModel(const struct varlena *value, RfmModel *model)
{
	ByteReader bytes;
	uint8 flags;
	int64 month = 0;
	int64 day = 0;
	int64 as_of = 0;

	memset(model, 0, sizeof(*model));
	ByteReaderInit(&bytes, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (ReadByte(&bytes) != MODEL_VERSION)
		return false;
	model->bins = ReadByte(&bytes);
	flags = ReadByte(&bytes);
	if (model->bins < MIN_BINS || model->bins > MAX_BINS ||
		(flags & ~(MODEL_PERIOD | MODEL_FITTED)) != 0)
		return false;
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		model->scale[what] = ReadByte(&bytes);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		for (int i = 0; i < model->bins - 1; i++)
			model->threshold[what][i] = ReadInt64(&bytes);
	model->has_period = (flags & MODEL_PERIOD) != 0;
	if (model->has_period)
	{
		month = ReadInt64(&bytes);
		day = ReadInt64(&bytes);
		model->period.month = (int32) month;
		model->period.day = (int32) day;
		model->period.time = ReadInt64(&bytes);
	}
	model->fitted = (flags & MODEL_FITTED) != 0;
	if (model->fitted)
	{
		as_of = ReadInt64(&bytes);
		model->as_of = (DateADT) as_of;
		model->customers = ReadInt64(&bytes);
		model->median_frequency = ReadInt64(&bytes);
		model->median_order_value = ReadFloat8(&bytes);
	}
	return !bytes.failed && bytes.next == bytes.end && month == model->period.month &&
		   day == model->period.day && as_of == model->as_of;
}

void *
DecodeRfmModel(const struct varlena *value)
{
	RfmModel *model = palloc(sizeof(RfmModel));

	if (!ReadRfmModel(value, model) || RfmModelFault(model) != NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("rfm_model is damaged")));
	model->serial = SerialOfBytes(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	return model;
}

PG_FUNCTION_INFO_V1(rfm_model_send);
Datum
rfm_model_send(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbytes(&out, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(rfm_model_recv);
Datum
rfm_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int size = in->len - in->cursor;
	struct varlena *value = palloc(size + VARHDRSZ);
	struct varlena *again;
	RfmModel model;
	bool valid;

	SET_VARSIZE(value, size + VARHDRSZ);
	pq_copymsgbytes(in, VARDATA(value), size);
	valid = ReadRfmModel(value, &model) && RfmModelFault(&model) == NULL;
	if (valid)
	{
		again = EncodeRfmModel(&model);
		valid = VARSIZE(again) == VARSIZE(value) && memcmp(again, value, VARSIZE(value)) == 0;
	}
	if (!valid)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of type rfm_model")));
	PG_RETURN_POINTER(value);
}

/* ---------- text: JSON ---------- */

/* A threshold as people write it: without zeros at its end. */
static Datum
ThresholdNumeric(int64 mantissa, int scale)
{
	return DirectFunctionCall1(numeric_trim_scale,
							   NumericGetDatum(NumericFromInt128(mantissa, scale)));
}

static void
AppendDecimal(StringInfo out, int64 mantissa, int scale)
{
	Datum text = DirectFunctionCall1(numeric_out, ThresholdNumeric(mantissa, scale));

	appendStringInfoString(out, DatumGetCString(text));
}

PG_FUNCTION_INFO_V1(rfm_model_out);
Datum
rfm_model_out(PG_FUNCTION_ARGS)
{
	RfmModel *model = DecodeRfmModel(PG_GETARG_VARLENA_PP(0));
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"bins\": %d", model->bins);
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		appendStringInfo(&out, ", \"%s\": [", dimension_name[what]);
		for (int i = 0; i < model->bins - 1; i++)
		{
			if (i > 0)
				appendStringInfoString(&out, ", ");
			AppendDecimal(&out, model->threshold[what][i], model->scale[what]);
		}
		appendStringInfoChar(&out, ']');
	}
	if (model->has_period)
	{
		struct pg_itm itm;
		char text[MAXDATELEN + 1];

		interval2itm(model->period, &itm);
		EncodeInterval(&itm, INTSTYLE_ISO_8601, text);
		appendStringInfo(&out, ", \"period\": \"%s\"", text);
	}
	if (model->fitted)
	{
		struct pg_tm tm;
		char text[MAXDATELEN + 1];

		j2date(model->as_of + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, text);
		appendStringInfo(&out,
						 ", \"as_of\": \"%s\", \"customers\": %lld, \"median_frequency\": ", text,
						 (long long) model->customers);
		AppendDecimal(&out, model->median_frequency, MAX_SCALE);
		double_to_shortest_decimal_buf(model->median_order_value, text);
		appendStringInfo(&out, ", \"median_order_value\": %s", text);
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

pg_noreturn static void
ModelRefused(const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid rfm_model"),
					errdetail("%s", why)));
}

/* A member of the object, of the type wanted; NULL if it is not there. */
static JsonbValue *
Member(Jsonb *json, const char *name, enum jbvType type, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(&json->root, name, strlen(name), value) == NULL)
		return NULL;
	if (value->type != type)
		ModelRefused(psprintf("\"%s\" is of the wrong kind.", name));
	return value;
}

/* Thresholds from decimals of different scales. */
static void
SetThresholds(RfmModel *model, RfmDimension what, const Decimal *decimals)
{
	int scale = 0;

	for (int i = 0; i < model->bins - 1; i++)
		scale = Max(scale, decimals[i].scale);
	model->scale[what] = scale;
	for (int i = 0; i < model->bins - 1; i++)
		model->threshold[what][i] = Rescale(decimals[i].mantissa, decimals[i].scale, scale);
}

/* The array of a dimension's thresholds. */
static void
ReadThresholds(Jsonb *json, RfmModel *model, RfmDimension what)
{
	JsonbValue member;
	JsonbValue *array = Member(json, dimension_name[what], jbvBinary, &member);
	Decimal decimals[MAX_BINS - 1];
	int n;

	if (array == NULL || !JsonContainerIsArray(array->val.binary.data))
		ModelRefused(psprintf("The array \"%s\" is missing.", dimension_name[what]));
	n = JsonContainerSize(array->val.binary.data);
	if (n != model->bins - 1)
		ModelRefused(psprintf("%d bins need %d %s thresholds, not %d.", model->bins,
							  model->bins - 1, dimension_name[what], n));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array->val.binary.data, i);

		if (element->type != jbvNumeric)
			ModelRefused(psprintf("A %s threshold is not a number.", dimension_name[what]));
		decimals[i] = DecimalFromNumeric(NumericGetDatum(element->val.numeric), "threshold");
	}
	SetThresholds(model, what, decimals);
}

static char *
JsonText(JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* What a fitted model holds besides: all of it or nothing. */
static void
ReadFit(Jsonb *json, RfmModel *model)
{
	JsonbValue as_of;
	JsonbValue customers;
	JsonbValue frequency;
	JsonbValue order_value;
	Decimal median;

	model->fitted = Member(json, "as_of", jbvString, &as_of) != NULL;
	if (!model->fitted)
		return;
	if (!Member(json, "customers", jbvNumeric, &customers) ||
		!Member(json, "median_frequency", jbvNumeric, &frequency) ||
		!Member(json, "median_order_value", jbvNumeric, &order_value))
		ModelRefused(
			"With \"as_of\" go \"customers\", \"median_frequency\" and \"median_order_value\".");
	model->as_of = CheckedDay(
		DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(JsonText(&as_of)))), "as_of");
	model->customers =
		DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(customers.val.numeric)));
	median = DecimalFromNumeric(NumericGetDatum(frequency.val.numeric), "median_frequency");
	model->median_frequency = Rescale(median.mantissa, median.scale, MAX_SCALE);
	model->median_order_value = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8, NumericGetDatum(order_value.val.numeric)));
}

PG_FUNCTION_INFO_V1(rfm_model_in);
Datum
rfm_model_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	RfmModel model;
	JsonbValue value;
	const char *fault;

	memset(&model, 0, sizeof(model));
	if (!JB_ROOT_IS_OBJECT(json))
		ModelRefused("It is not a JSON object.");
	if (Member(json, "bins", jbvNumeric, &value) == NULL)
		ModelRefused("The number \"bins\" is missing.");
	model.bins = CheckedBins(
		DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value.val.numeric))));
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		ReadThresholds(json, &model, what);
	if (Member(json, "period", jbvString, &value) != NULL)
	{
		model.has_period = true;
		model.period = *DatumGetIntervalP(
			DirectFunctionCall3(interval_in, CStringGetDatum(JsonText(&value)),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	ReadFit(json, &model);
	fault = RfmModelFault(&model);
	if (fault != NULL)
		ModelRefused(fault);
	PG_RETURN_POINTER(EncodeRfmModel(&model));
}

/* ---------- made by hand, and taken apart ---------- */

/* The thresholds of a numeric[] argument; the first one says how many bins there are. */
static void
ThresholdArgument(FunctionCallInfo fcinfo, int argument, RfmModel *model, RfmDimension what)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	Datum *elements;
	bool *nulls;
	int n;
	Decimal decimals[MAX_BINS - 1];

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
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ModelRefused(psprintf("A %s threshold is NULL.", dimension_name[what]));
		decimals[i] = DecimalFromNumeric(elements[i], "threshold");
	}
	SetThresholds(model, what, decimals);
}

/* rfm_model(recency numeric[], frequency numeric[], monetary numeric[] [, period]) */
PG_FUNCTION_INFO_V1(rfm_model_make);
Datum
rfm_model_make(PG_FUNCTION_ARGS)
{
	RfmModel model;
	const char *fault;

	memset(&model, 0, sizeof(model));
	for (int what = 0; what < RFM_DIMENSIONS; what++)
		ThresholdArgument(fcinfo, what, &model, what);
	if (PG_NARGS() > 3)
	{
		model.has_period = true;
		model.period = *PG_GETARG_INTERVAL_P(3);
		CheckPeriod(&model.period);
	}
	fault = RfmModelFault(&model);
	if (fault != NULL)
		ModelRefused(fault);
	PG_RETURN_POINTER(EncodeRfmModel(&model));
}

PG_FUNCTION_INFO_V1(thresholds);
Datum
thresholds(PG_FUNCTION_ARGS)
{
	RfmModel *model = DecodeRfmModel(PG_GETARG_VARLENA_PP(0));
	TupleDesc row;
	Datum values[RFM_DIMENSIONS];
	bool nulls[RFM_DIMENSIONS] = {false};

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	for (int what = 0; what < RFM_DIMENSIONS; what++)
	{
		Datum numerics[MAX_BINS - 1];

		for (int i = 0; i < model->bins - 1; i++)
			numerics[i] = ThresholdNumeric(model->threshold[what][i], model->scale[what]);
		values[what] = PointerGetDatum(
			construct_array(numerics, model->bins - 1, NUMERICOID, -1, false, TYPALIGN_INT));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
