/*
 * model.c: fitted models as values, by way of tables of their fields.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/bytes.h"
#include "base/decimal.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "base/model.h"
#include "base/numeric_bytes.h"

#define HEAD_SIZE (1 + sizeof(uint64)) /* version and fingerprint */

int
WordNumber(const char *const *words, const char *text, Size length)
{
	for (int i = 0; words[i]; i++)
		if (length > 0 && words[i][0] == text[0] && strlen(words[i]) == length &&
			memcmp(words[i], text, length) == 0)
			return i;
	return -1;
}

/* ---------- fields in structs ---------- */

static Size
ElementSize(const ModelField *field)
{
	static const Size sizes[] = {
		[FIELD_WORD] = sizeof(int32),        [FIELD_BYTE] = sizeof(uint8),
		[FIELD_INT] = sizeof(int32),         [FIELD_COUNT] = sizeof(int64),
		[FIELD_DATE] = sizeof(DateADT),      [FIELD_NUMBER] = sizeof(double),
		[FIELD_FLOAT] = sizeof(float4),      [FIELD_DECIMAL] = sizeof(Decimal),
		[FIELD_INTERVAL] = sizeof(Interval), [FIELD_HASH] = sizeof(uint64),
		[FIELD_TEXT] = sizeof(char *),       [FIELD_MODEL] = sizeof(void *),
	};

	return field->kind == FIELD_GROUP ? field->group->size : sizes[field->kind];
}

static inline bool
IsList(const ModelField *field)
{
	return field->max_length > 0;
}

static inline int *
LengthOf(const ModelField *field, const void *data)
{
	return (int *) ((char *) data + field->length);
}

/* How many values a field has. */
static inline int
CountOf(const ModelField *field, const void *data)
{
	return IsList(field) ? *LengthOf(field, data) : Max(field->count, 1);
}

/* The first value of a field. */
static inline char *
PlaceOf(const ModelField *field, const void *data)
{
	char *place = (char *) data + field->offset;

	return IsList(field) && !field->in_place ? *(char **) place : place;
}

/* Gives a list its length, and room for its elements. */
static char *
MakeList(const ModelField *field, void *data, int length)
{
	*LengthOf(field, data) = length;
	if (!field->in_place)
		*(char **) ((char *) data + field->offset) = palloc_extended(
			mul_size(Max(length, 1), ElementSize(field)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	return PlaceOf(field, data);
}

static void
InitGroup(const ModelGroup *group, void *data)
{
	if (group->defaults != NULL)
		memcpy(data, group->defaults, group->size);
	else
		memset(data, 0, group->size);
	for (int i = 0; i < group->nfields; i++)
		if (group->fields[i].kind == FIELD_TEXT && !IsList(&group->fields[i]))
			*(const char **) PlaceOf(&group->fields[i], data) = "";
}

void
InitModel(const ModelFormat *format, void *model)
{
	InitGroup(&format->group, model);
}

/* Whether a field equals its default. */
static bool
IsDefault(const ModelGroup *group, const ModelField *field, const void *data)
{
	const char *place = PlaceOf(field, data);
	Size size = ElementSize(field);

	if (IsList(field))
		return CountOf(field, data) == 0;
	if (field->kind == FIELD_TEXT)
		return **(const char *const *) place == '\0';
	if (field->kind == FIELD_DECIMAL && field->count == 0)
		return ((const Decimal *) place)->mantissa == 0; /* the struct has a gap */
	size *= CountOf(field, data);
	if (group->defaults != NULL)
		return memcmp(place, (const char *) group->defaults + field->offset, size) == 0;
	for (Size i = 0; i < size; i++)
		if (place[i] != 0)
			return false;
	return true;
}

/* The same number without zeros behind its last decimal. */
static Decimal
MinimalDecimal(const Decimal *given)
{
	Decimal decimal = *given;

	for (; decimal.scale > 0 && decimal.mantissa % 10 == 0; decimal.scale--)
		decimal.mantissa /= 10;
	return decimal;
}

/* ---------- the check ---------- */

static const char *FieldsFault(const ModelGroup *group, void *data);

/* What is wrong with a value by its kind; NULL: nothing. Of two forms of the same value one is
 * kept. */
static const char *
ElementFault(const ModelField *field, void *place)
{
	switch (field->kind)
	{
		case FIELD_WORD:
			for (int i = 0; field->words[i] != NULL; i++)
				if (*(int32 *) place == i)
					return NULL;
			return psprintf("\"%s\" is missing, or none of its words.", field->name);
		case FIELD_INT:
			return *(int32 *) place < 0 ? psprintf("\"%s\" is negative.", field->name) : NULL;
		case FIELD_COUNT:
			return *(int64 *) place < 0 ? psprintf("\"%s\" is negative.", field->name) : NULL;
		case FIELD_DATE:
			return DATE_IS_NOBEGIN(*(DateADT *) place) || IS_VALID_DATE(*(DateADT *) place)
					   ? NULL
					   : psprintf("\"%s\" is out of range.", field->name);
		case FIELD_NUMBER:
			*(double *) place += 0.0; /* there is no negative zero */
			return isfinite(*(double *) place)
					   ? NULL
					   : psprintf("A number of \"%s\" is not finite.", field->name);
		case FIELD_FLOAT:
			*(float *) place += 0.0f;
			return isnan(*(float *) place)
					   ? psprintf("A value of \"%s\" is no number.", field->name)
					   : NULL;
		case FIELD_DECIMAL:
			return ((Decimal *) place)->scale <= MAX_SCALE
					   ? NULL
					   : psprintf("A number of \"%s\" has more than %d decimals.", field->name,
								  MAX_SCALE);
		case FIELD_GROUP:
			return FieldsFault(field->group, place);
		case FIELD_BYTE:
		case FIELD_INTERVAL:
		case FIELD_HASH:
		case FIELD_TEXT:
		case FIELD_MODEL: /* checked when it was read */
			break;
	}
	return NULL;
}

static const char *
FieldsFault(const ModelGroup *group, void *data)
{
	for (int i = 0; i < group->nfields; i++)
	{
		const ModelField *field = &group->fields[i];
		char *place = PlaceOf(field, data);
		int count = CountOf(field, data);

		if (IsList(field) && (count < 0 || count > field->max_length))
			return psprintf("\"%s\" has %d values, the limit is %d.", field->name, count,
							field->max_length);
		for (int j = 0; j < count; j++, place += ElementSize(field))
		{
			const char *fault = ElementFault(field, place);

			if (fault != NULL)
				return fault;
		}
	}
	return NULL;
}

/* The one check of a model, wherever it comes from. */
static const char *
ModelFault(const ModelFormat *format, void *model)
{
	const char *fault;

	if (format->tidy != NULL)
		format->tidy(model);
	fault = FieldsFault(&format->group, model);
	return fault != NULL ? fault : format->fault(model);
}

/* ---------- bytes, out ---------- */

static struct varlena *WriteModel(const ModelFormat *format, const void *model, int encoding);

static void
AppendVarint(StringInfo out, uint64 v)
{
	enlargeStringInfo(out, MAX_VARINT);
	out->len += WriteVarint((uint8 *) out->data + out->len, v) - ((uint8 *) out->data + out->len);
}

static void
AppendBits(StringInfo out, uint64 bits)
{
	enlargeStringInfo(out, sizeof(bits));
	WriteInt64((uint8 *) out->data + out->len, (int64) bits);
	out->len += sizeof(bits);
}

static void
AppendBytes(StringInfo out, const char *bytes, Size size)
{
	AppendVarint(out, size);
	appendBinaryStringInfo(out, bytes, size);
}

static void WriteFields(StringInfo out, const ModelGroup *group, const void *data, int encoding);

static void
WriteElement(StringInfo out, const ModelField *field, const void *place, int encoding)
{
	switch (field->kind)
	{
		case FIELD_BYTE:
			appendStringInfoChar(out, *(const char *) place);
			break;
		case FIELD_WORD:
		case FIELD_INT:
			AppendVarint(out, *(const int32 *) place);
			break;
		case FIELD_COUNT:
			AppendVarint(out, *(const int64 *) place);
			break;
		case FIELD_DATE:
			AppendVarint(out, ZigZag(*(const DateADT *) place));
			break;
		case FIELD_NUMBER:
		case FIELD_HASH:
			AppendBits(out, *(const uint64 *) place);
			break;
		case FIELD_FLOAT:
			enlargeStringInfo(out, sizeof(float));
			WriteFloat4((uint8 *) out->data + out->len, *(const float *) place);
			out->len += sizeof(float);
			break;
		case FIELD_DECIMAL:
		{
			Decimal decimal = MinimalDecimal((const Decimal *) place);

			AppendVarint(out, ZigZag(decimal.mantissa));
			appendStringInfoChar(out, (char) decimal.scale);
			break;
		}
		case FIELD_INTERVAL:
			AppendVarint(out, ZigZag(((const Interval *) place)->month));
			AppendVarint(out, ZigZag(((const Interval *) place)->day));
			AppendVarint(out, ZigZag(((const Interval *) place)->time));
			break;
		case FIELD_TEXT:
		{
			const char *text = *(const char *const *) place;
			const char *sent = pg_server_to_any(text, strlen(text), encoding);

			AppendBytes(out, sent, strlen(sent));
			break;
		}
		case FIELD_GROUP:
			WriteFields(out, field->group, place, encoding);
			break;
		case FIELD_MODEL:
		{
			struct varlena *value = WriteModel(field->format, *(void *const *) place, encoding);

			AppendBytes(out, VARDATA(value), VARSIZE(value) - VARHDRSZ);
			pfree(value);
			break;
		}
	}
}

static void
WriteFields(StringInfo out, const ModelGroup *group, const void *data, int encoding)
{
	uint64 present = 0;

	for (int i = 0; i < group->nfields; i++)
		if (!IsDefault(group, &group->fields[i], data))
			present |= UINT64CONST(1) << i;
	AppendVarint(out, present);
	for (int i = 0; i < group->nfields; i++)
	{
		const ModelField *field = &group->fields[i];
		const char *place = PlaceOf(field, data);
		int count = CountOf(field, data);

		if ((present >> i & 1) == 0)
			continue;
		if (IsList(field))
			AppendVarint(out, count);
		for (int j = 0; j < count; j++, place += ElementSize(field))
			WriteElement(out, field, place, encoding);
	}
}

/* The same in databases of all encodings except SQL_ASCII. */
static uint64
Fingerprint(const ModelFormat *format, const void *model)
{
	StringInfoData fields;
	uint64 hash;

	initStringInfo(&fields);
	WriteFields(&fields, &format->group, model,
				GetDatabaseEncoding() == PG_SQL_ASCII ? PG_SQL_ASCII : PG_UTF8);
	hash = StableHash64(fields.data, fields.len);
	pfree(fields.data);
	return hash;
}

/* A model that has been checked, its texts in the encoding given. */
static struct varlena *
WriteModel(const ModelFormat *format, const void *model, int encoding)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, (char) format->version);
	AppendBits(&out, Fingerprint(format, model));
	WriteFields(&out, &format->group, model, encoding);
	if (out.len - VARHDRSZ > format->max_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("%s is too large", format->type),
				 errdetail("It takes %d bytes, the limit is %zu.", (int) (out.len - VARHDRSZ),
						   format->max_bytes),
				 errhint("Fewer or shorter texts in it make it smaller.")));
	SET_VARSIZE(out.data, out.len);
	return (struct varlena *) out.data;
}

struct varlena *
ModelValue(const ModelFormat *format, void *model)
{
	const char *fault = ModelFault(format, model);

	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid %s", format->type), errdetail_internal("%s", fault)));
	return WriteModel(format, model, GetDatabaseEncoding());
}

/* ---------- bytes, in ---------- */

/* Bytes that are read, and what is wrong with them. */
typedef struct ModelReader
{
	ByteReader bytes;
	int encoding; /* of the texts */
	const char *fault;
} ModelReader;

static const char *
ReadModel(const ModelFormat *format, const void *bytes, Size size, int encoding, void **model);

static void ReadFields(ModelReader *reader, const ModelGroup *group, void *data);

static const char *
ReadText(ModelReader *reader)
{
	uint64 size = ReadVarint(&reader->bytes);
	const char *bytes = (const char *) ReadBytes(&reader->bytes, size);
	char *text = bytes != NULL ? pnstrdup(bytes, size) : "";

	reader->bytes.failed |= strlen(text) != size;
	return pg_any_to_server(text, strlen(text), reader->encoding);
}

/* An integer of 32 bits. */
static int32
ReadInt32(ByteReader *bytes, bool zigzag)
{
	uint64 bits = ReadVarint(bytes);
	int64 v = zigzag ? UnZigZag(bits) : (int64) bits;

	bytes->failed |= v != (int32) v;
	return (int32) v;
}

static void
ReadElement(ModelReader *reader, const ModelField *field, void *place)
{
	ByteReader *bytes = &reader->bytes;

	switch (field->kind)
	{
		case FIELD_BYTE:
			*(uint8 *) place = ReadByte(bytes);
			break;
		case FIELD_WORD:
			*(int32 *) place = ReadInt32(bytes, false);
			/* at once: whoever tidies up takes words for words */
			if (reader->fault == NULL)
				reader->fault = ElementFault(field, place);
			break;
		case FIELD_INT:
			*(int32 *) place = ReadInt32(bytes, false);
			break;
		case FIELD_COUNT:
			*(int64 *) place = (int64) ReadVarint(bytes);
			break;
		case FIELD_DATE:
			*(DateADT *) place = ReadInt32(bytes, true);
			break;
		case FIELD_NUMBER:
		case FIELD_HASH:
			*(uint64 *) place = (uint64) ReadInt64(bytes);
			break;
		case FIELD_FLOAT:
			*(float *) place = ReadFloat4(bytes);
			break;
		case FIELD_DECIMAL:
			((Decimal *) place)->mantissa = UnZigZag(ReadVarint(bytes));
			((Decimal *) place)->scale = ReadByte(bytes);
			break;
		case FIELD_INTERVAL:
			((Interval *) place)->month = ReadInt32(bytes, true);
			((Interval *) place)->day = ReadInt32(bytes, true);
			((Interval *) place)->time = UnZigZag(ReadVarint(bytes));
			break;
		case FIELD_TEXT:
			*(const char **) place = ReadText(reader);
			break;
		case FIELD_GROUP:
			ReadFields(reader, field->group, place);
			break;
		case FIELD_MODEL:
		{
			uint64 size = ReadVarint(bytes);
			const uint8 *value = ReadBytes(bytes, size);

			if (value != NULL && reader->fault == NULL)
				reader->fault =
					ReadModel(field->format, value, size, reader->encoding, (void **) place);
			break;
		}
	}
}

static void
ReadFields(ModelReader *reader, const ModelGroup *group, void *data)
{
	ByteReader *bytes = &reader->bytes;
	uint64 present = ReadVarint(bytes);

	InitGroup(group, data);
	if (group->nfields < 64 && present >> group->nfields != 0)
		reader->fault = "It has fields that this release does not know.";
	for (int i = 0; i < group->nfields && !bytes->failed && reader->fault == NULL; i++)
	{
		const ModelField *field = &group->fields[i];
		char *place;
		int count;

		if ((present >> i & 1) == 0)
			continue;
		if (IsList(field))
		{
			uint64 length = ReadVarint(bytes);

			/* an element takes a byte at least: no more memory than the value warrants */
			if (length > field->max_length || length > bytes->end - bytes->next)
			{
				bytes->failed = true;
				return;
			}
			MakeList(field, data, (int) length);
		}
		place = PlaceOf(field, data);
		count = CountOf(field, data);
		for (int j = 0; j < count && !bytes->failed; j++, place += ElementSize(field))
			ReadElement(reader, field, place);
	}
}

/* Takes bytes apart, all of them; returns what is wrong with them, NULL: nothing. */
static const char *
ReadModel(const ModelFormat *format, const void *bytes, Size size, int encoding, void **model)
{
	ModelReader reader = {.encoding = encoding};
	uint64 fingerprint;
	struct varlena *again;
	const char *fault;
	bool same;

	ByteReaderInit(&reader.bytes, bytes, size);
	*model = palloc(format->group.size);
	if (ReadByte(&reader.bytes) != format->version)
		return "Its version is unknown.";
	fingerprint = (uint64) ReadInt64(&reader.bytes);
	ReadFields(&reader, &format->group, *model);
	if (reader.fault != NULL)
		return reader.fault;
	if (reader.bytes.failed || reader.bytes.next != reader.bytes.end || size > format->max_bytes)
		return "It is cut off, too long, or not in its shortest form.";
	fault = ModelFault(format, *model);
	if (fault != NULL)
		return fault;
	again = WriteModel(format, *model, encoding);
	same = VARSIZE(again) - VARHDRSZ == size && memcmp(VARDATA(again), bytes, size) == 0;
	pfree(again);
	if (!same)
		return "Its fingerprint or its form is not the one that its contents have.";
	if (format->complete != NULL)
		format->complete(*model, fingerprint);
	return NULL;
}

void *
ModelFromDatum(const ModelFormat *format, Datum datum)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(datum);
	void *model;
	const char *fault = ReadModel(format, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
								  GetDatabaseEncoding(), &model);

	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is damaged", format->type),
						errdetail_internal("%s", fault),
						errhint("It may be of a newer version of the extension.")));
	return model;
}

Datum
ModelRecv(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	void *model;
	const char *fault = ReadModel(format, bytes, size, pg_get_client_encoding(), &model);

	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of type %s", format->type),
						errdetail_internal("%s", fault)));
	PG_RETURN_POINTER(WriteModel(format, model, GetDatabaseEncoding()));
}

Datum
ModelSend(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	void *model = ModelFromDatum(format, PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(WriteModel(format, model, pg_get_client_encoding()));
}

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

/* Refuses what is not of the type of JSON that the field takes. */
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

/* A number of single precision, the infinite ones as strings. */
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
	/* rounding twice is harmless: a float4's shortest digits lie nearest to it */
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
											 JsonString(value, field->name)));
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
			/* by way of its value: the inner model is checked and completed like any other */
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
			TextRefused(format, psprintf("There is no member \"%.*s\".", member.val.string.len,
										 member.val.string.val));
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
	PG_RETURN_POINTER(WriteModel(format, model, GetDatabaseEncoding()));
}

/* ---------- decoded once ---------- */

/*
 * True if a datum, as it comes, is the one kept.  Uncompressed bytes are
 * compared by version and fingerprint; compressed ones, and pointers into a
 * toast table, byte by byte.
 */
static inline bool
IsSameModel(const struct varlena *kept, const struct varlena *raw)
{
	Size size = VARSIZE_ANY(raw);

	if (unlikely(kept == NULL))
		return false;
	if (VARATT_IS_4B_U(raw) && size >= VARHDRSZ + HEAD_SIZE)
		return memcmp(kept, raw, VARHDRSZ + HEAD_SIZE) == 0;
	if (VARATT_IS_SHORT(raw) && !VARATT_IS_EXTERNAL(raw) && size >= VARHDRSZ_SHORT + HEAD_SIZE)
		return memcmp(kept, raw, VARHDRSZ_SHORT + HEAD_SIZE) == 0;
	return VARSIZE_ANY(kept) == size && memcmp(kept, raw, size) == 0;
}

const void *
CachedModel(const ModelFormat *format, ModelCache *cache, Datum value, MemoryContext parent)
{
	struct varlena *raw = (struct varlena *) DatumGetPointer(value);
	MemoryContext caller;

	if (likely(IsSameModel(cache->raw, raw)))
		return cache->model;

	/* an error on the way must not leave a half-made cache that looks valid */
	cache->raw = NULL;
	cache->decodings++;
	if (cache->context != NULL)
		MemoryContextReset(cache->context);
	else
		cache->context = AllocSetContextCreate(parent, "decoded model", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(cache->context);
	cache->model = ModelFromDatum(format, value);
	/* a pointer to another place in memory does not identify what is there later */
	if (!VARATT_IS_EXTERNAL(raw) || VARATT_IS_EXTERNAL_ONDISK(raw))
		cache->raw = memcpy(palloc(VARSIZE_ANY(raw) + VARHDRSZ + HEAD_SIZE), raw, VARSIZE_ANY(raw));
	MemoryContextSwitchTo(caller);
	return cache->model;
}

const void *
ModelArgument(const ModelFormat *format, FunctionCallInfo fcinfo, int argument)
{
	FmgrInfo *function = fcinfo->flinfo;

	if (unlikely(function->fn_extra == NULL))
		function->fn_extra = MemoryContextAllocZero(function->fn_mcxt, sizeof(ModelCache));
	return CachedModel(format, (ModelCache *) function->fn_extra, PG_GETARG_DATUM(argument),
					   function->fn_mcxt);
}
