/*
 * model_json.c: the text form of models, JSON.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "base/model.h"
#include "base/model_fields.h"
#include "base/numeric_bytes.h"

/* ---------- text, out ---------- */

static void PrintFields(StringInfo out, const ModelGroup *group, const void *data);

static void
PrintElement(StringInfo out, const ModelField *field, const void *place)
{
	char text[MAXDATELEN + DOUBLE_SHORTEST_DECIMAL_LEN];

	switch (field->kind)
	{
		case FIELD_WORD:
			escape_json(out, field->words[*(const int32 *) place]);
			break;
		case FIELD_BYTE:
			appendStringInfo(out, "%d", *(const uint8 *) place);
			break;
		case FIELD_INT:
			appendStringInfo(out, "%d", *(const int32 *) place);
			break;
		case FIELD_COUNT:
			appendStringInfo(out, INT64_FORMAT, *(const int64 *) place);
			break;
		case FIELD_DATE:
			FormatDay(*(const DateADT *) place, text);
			appendStringInfo(out, "\"%s\"", text);
			break;
		case FIELD_NUMBER:
			double_to_shortest_decimal_buf(*(const double *) place, text);
			appendStringInfoString(out, text);
			break;
		case FIELD_FLOAT:
			float_to_shortest_decimal_buf(*(const float *) place, text);
			appendStringInfo(out, isinf(*(const float *) place) ? "\"%s\"" : "%s", text);
			break;
		case FIELD_DECIMAL:
		{
			Decimal decimal = MinimalDecimal((const Decimal *) place);
			Numeric number = NumericFromInt128(decimal.mantissa, decimal.scale);

			appendStringInfoString(
				out, DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))));
			break;
		}
		case FIELD_INTERVAL:
		{
			struct pg_itm itm;

			interval2itm(*(const Interval *) place, &itm);
			EncodeInterval(&itm, INTSTYLE_ISO_8601, text);
			appendStringInfo(out, "\"%s\"", text);
			break;
		}
		case FIELD_HASH:
			appendStringInfo(out, "\"%016llx\"", (unsigned long long) *(const uint64 *) place);
			break;
		case FIELD_TEXT:
			escape_json(out, *(const char *const *) place);
			break;
		case FIELD_GROUP:
			PrintFields(out, field->group, place);
			break;
		case FIELD_MODEL:
			PrintFields(out, &field->format->group, *(void *const *) place);
			break;
	}
}

static void
PrintFields(StringInfo out, const ModelGroup *group, const void *data)
{
	const char *separator = "";

	appendStringInfoChar(out, '{');
	for (int i = 0; i < group->nfields; i++)
	{
		const ModelField *field = &group->fields[i];
		bool array = IsList(field) || field->count > 0;
		const char *place = PlaceOf(field, data);
		int count = CountOf(field, data);

		if (IsDefault(group, field, data))
			continue;
		appendStringInfo(out, "%s\"%s\": %s", separator, field->name, array ? "[" : "");
		separator = ", ";
		for (int j = 0; j < count; j++, place += ElementSize(field))
		{
			if (j > 0)
				appendStringInfoString(out, ", ");
			PrintElement(out, field, place);
		}
		if (array)
			appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

Datum
ModelOut(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	StringInfoData out;

	initStringInfo(&out);
	PrintFields(&out, &format->group, ModelFromDatum(format, PG_GETARG_DATUM(0)));
	PG_RETURN_CSTRING(out.data);
}

/* ---------- text, in ---------- */

pg_noreturn static void
TextRefused(const ModelFormat *format, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input for type %s", format->type),
					errdetail_internal("%s", detail), errhint("Write %s.", format->example)));
}

/* Raises an error unless the value has the JSON type of the field. */
static void
CheckType(const ModelFormat *format, const ModelField *field, const JsonbValue *value)
{
	static const struct
	{
		enum jbvType type;
		const char *name;
	} types[] = {
		[FIELD_WORD] = {jbvString, "a string"},
		[FIELD_BYTE] = {jbvNumeric, "a whole number"},
		[FIELD_INT] = {jbvNumeric, "a whole number"},
		[FIELD_COUNT] = {jbvNumeric, "a whole number"},
		[FIELD_DATE] = {jbvString, "a date such as \"2025-01-31\""},
		[FIELD_NUMBER] = {jbvNumeric, "a number"},
		[FIELD_FLOAT] = {jbvNumeric, "a number"},
		[FIELD_DECIMAL] = {jbvNumeric, "a number"},
		[FIELD_INTERVAL] = {jbvString, "an interval such as \"P1Y\""},
		[FIELD_HASH] = {jbvString, "a string of 16 hexadecimal digits"},
		[FIELD_TEXT] = {jbvString, "a string"},
		[FIELD_GROUP] = {jbvBinary, "an object"},
		[FIELD_MODEL] = {jbvBinary, "an object"},
	};

	if (value->type != types[field->kind].type ||
		(value->type == jbvBinary && !JsonContainerIsObject(value->val.binary.data)))
		TextRefused(format, psprintf("\"%s\" must be %s.", field->name, types[field->kind].name));
}

static int64
ParseCount(const ModelFormat *format, const ModelField *field, const JsonbValue *value, int64 max)
{
	double number = JsonNumber(value, field->name);

	if (!(number >= 0 && number <= max && number == rint(number)))
		TextRefused(format, psprintf("\"%s\" must be a whole number from 0 to " INT64_FORMAT ".",
									 field->name, max));
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static uint64
ParseHash(const ModelFormat *format, const ModelField *field, const JsonbValue *value)
{
	char *text = JsonString(value, field->name);

	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		TextRefused(format, psprintf("\"%s\" must have 16 hexadecimal digits.", field->name));
	return strtoull(text, NULL, 16);
}

/* A single-precision number; infinities are strings. */
static float
ParseFloat(const ModelFormat *format, const ModelField *field, const JsonbValue *value)
{
	char *text = value->type == jbvString ? JsonString(value, field->name) : "";
	double number;

	if (strcmp(text, "Infinity") == 0)
		return HUGE_VALF;
	if (strcmp(text, "-Infinity") == 0)
		return -HUGE_VALF;
	CheckType(format, field, value);
	/* rounding twice is harmless: the shortest digits of a float4 still round to it */
	number = JsonNumber(value, field->name);
	if (fabs(number) > FLT_MAX)
		TextRefused(format, psprintf("A number of \"%s\" is out of range.", field->name));
	return (float) number;
}

static void
ParseFields(const ModelFormat *format, const ModelGroup *group, JsonbContainer *object, void *data);

static void
ParseElement(const ModelFormat *format, const ModelField *field, const JsonbValue *value,
			 void *place)
{
	if (field->kind != FIELD_FLOAT)
		CheckType(format, field, value);
	switch (field->kind)
	{
		case FIELD_WORD:
			*(int32 *) place =
				WordNumber(field->words, value->val.string.val, value->val.string.len);
			if (*(int32 *) place < 0)
				TextRefused(format, psprintf("\"%s\" cannot be \"%s\".", field->name,
											 ShortString(JsonString(value, field->name))));
			break;
		case FIELD_BYTE:
			*(uint8 *) place = (uint8) ParseCount(format, field, value, PG_UINT8_MAX);
			break;
		case FIELD_INT:
			*(int32 *) place = (int32) ParseCount(format, field, value, PG_INT32_MAX);
			break;
		case FIELD_COUNT:
			*(int64 *) place = ParseCount(format, field, value, PG_INT64_MAX);
			break;
		case FIELD_DATE:
			*(DateADT *) place = DayFromText(JsonString(value, field->name));
			break;
		case FIELD_NUMBER:
			*(double *) place = JsonNumber(value, field->name);
			break;
		case FIELD_FLOAT:
			*(float *) place = ParseFloat(format, field, value);
			break;
		case FIELD_DECIMAL:
			*(Decimal *) place =
				DecimalFromNumeric(NumericGetDatum(value->val.numeric), field->name);
			break;
		case FIELD_INTERVAL:
			*(Interval *) place = *DatumGetIntervalP(
				DirectFunctionCall3(interval_in, CStringGetDatum(JsonString(value, field->name)),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			break;
		case FIELD_HASH:
			*(uint64 *) place = ParseHash(format, field, value);
			break;
		case FIELD_TEXT:
			*(const char **) place = JsonString(value, field->name);
			break;
		case FIELD_GROUP:
			ParseFields(format, field->group, value->val.binary.data, place);
			break;
		case FIELD_MODEL:
		{
			/* through its value, so that the inner model is checked and completed like any other */
			void *model = palloc(field->format->group.size);

			ParseFields(field->format, &field->format->group, value->val.binary.data, model);
			*(void **) place =
				ModelFromDatum(field->format, PointerGetDatum(ModelValue(field->format, model)));
			break;
		}
	}
}

static void
ParseField(const ModelFormat *format, const ModelField *field, const JsonbValue *value, void *data)
{
	char *place = PlaceOf(field, data);
	int length;

	if (!IsList(field) && field->count == 0)
	{
		ParseElement(format, field, value, place);
		return;
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		TextRefused(format, psprintf("\"%s\" must be an array.", field->name));
	length = JsonContainerSize(value->val.binary.data);
	if (IsList(field) ? length > field->max_length : length != field->count)
		TextRefused(format, psprintf("\"%s\" has %d values, %s %d.", field->name, length,
									 IsList(field) ? "the limit is" : "it must have",
									 IsList(field) ? field->max_length : field->count));
	if (IsList(field))
		place = MakeList(field, data, length);
	for (int i = 0; i < length; i++, place += ElementSize(field))
	{
		CHECK_FOR_INTERRUPTS();
		ParseElement(format, field, getIthJsonbValueFromContainer(value->val.binary.data, i),
					 place);
	}
}

static void
ParseFields(const ModelFormat *format, const ModelGroup *group, JsonbContainer *object, void *data)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue member;
	JsonbIteratorToken token;
	const ModelField *field = NULL;

	InitGroup(group, data);
	while ((token = JsonbIteratorNext(&iterator, &member, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE && member.type != jbvNull)
			ParseField(format, field, &member, data);
		if (token != WJB_KEY)
			continue;
		field = NULL;
		for (int i = 0; i < group->nfields && field == NULL; i++)
			if (strlen(group->fields[i].name) == member.val.string.len &&
				memcmp(group->fields[i].name, member.val.string.val, member.val.string.len) == 0)
				field = &group->fields[i];
		if (field == NULL)
			TextRefused(format, psprintf("There is no member \"%s\".",
										 Excerpt(member.val.string.val, member.val.string.len,
												 EXCERPT_BYTES)));
	}
}

Datum
ModelIn(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	void *model = palloc(format->group.size);
	const char *fault;

	if (!JB_ROOT_IS_OBJECT(json))
		TextRefused(format, "It must be a JSON object.");
	ParseFields(format, &format->group, &json->root, model);
	fault = ModelFault(format, model);
	if (fault != NULL)
		TextRefused(format, fault);
	PG_RETURN_POINTER(ModelValue(format, model));
}
