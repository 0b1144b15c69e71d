/*
 * model_fields.c: fitted models as values, by way of tables of their fields.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "base/model_fields.h"

#define FIELD_PLACE(model, field) ((void *) ((char *) (model) + (field)->offset))

int
WordNumber(const char *const *words, const char *text, Size length)
{
	for (int i = 0; words[i]; i++)
		if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0)
			return i;
	return -1;
}

static int
WordCount(const ModelField *field)
{
	int n = 0;

	while (field->words[n])
		n++;
	return n;
}

static Size
FieldSize(const ModelField *field)
{
	switch (field->kind)
	{
		case FIELD_WORD:
			return sizeof(int32);
		case FIELD_COUNT:
			return sizeof(int64);
		case FIELD_DATE:
			return sizeof(DateADT);
		case FIELD_NUMBERS:
			break;
	}
	return field->count * sizeof(double);
}

/* What is wrong with a model; NULL: nothing. */
static const char *
ModelFault(const ModelFormat *format, const void *model)
{
	for (int i = 0; i < format->nfields; i++)
	{
		const ModelField *field = &format->fields[i];
		const void *place = FIELD_PLACE(model, field);

		if (field->kind == FIELD_WORD &&
			(*(const int32 *) place < 0 || *(const int32 *) place >= WordCount(field)))
			return psprintf("%s is not one of its words", field->name);
		if (field->kind == FIELD_COUNT && *(const int64 *) place < 0)
			return psprintf("%s is negative", field->name);
		if (field->kind == FIELD_DATE && *(const DateADT *) place != DATEVAL_NOBEGIN &&
			!IS_VALID_DATE(*(const DateADT *) place))
			return psprintf("%s is no date", field->name);
		for (int j = 0; field->kind == FIELD_NUMBERS && j < field->count; j++)
			if (!isfinite(((const double *) place)[j]))
				return psprintf("a number of %s is not finite", field->name);
	}
	return format->fault(model);
}

struct varlena *
EncodeModel(const ModelFormat *format, const void *model)
{
	Size most = VARHDRSZ + 1;
	struct varlena *value;
	uint8 *p;

	for (int i = 0; i < format->nfields; i++)
		most += Max(FieldSize(&format->fields[i]), sizeof(int64));
	value = palloc(most);
	p = (uint8 *) VARDATA(value);
	*p++ = format->version;
	for (int i = 0; i < format->nfields; i++)
	{
		const ModelField *field = &format->fields[i];
		const void *place = FIELD_PLACE(model, field);

		if (field->kind == FIELD_WORD)
			*p++ = (uint8) * (const int32 *) place;
		else if (field->kind == FIELD_COUNT)
			p = WriteInt64(p, *(const int64 *) place);
		else if (field->kind == FIELD_DATE)
			p = WriteInt64(p, *(const DateADT *) place);
		else
			/* adding 0 leaves no negative zero: equal models have equal bytes */
			for (int j = 0; j < field->count; j++)
				p = WriteFloat8(p, ((const double *) place)[j] + 0.0);
	}
	SET_VARSIZE(value, p - (uint8 *) value);
	return value;
}

/* Sets a struct from bytes and returns what is wrong with them; NULL: nothing. */
static const char *
ReadModel(const ModelFormat *format, const void *bytes, Size size, void *model)
{
	ByteReader reader;
	struct varlena *again;
	const char *fault;

	ByteReaderInit(&reader, bytes, size);
	memcpy(model, format->defaults, format->size);
	if (ReadByte(&reader) != format->version)
		return "unknown version";
	for (int i = 0; i < format->nfields; i++)
	{
		const ModelField *field = &format->fields[i];
		void *place = FIELD_PLACE(model, field);

		if (field->kind == FIELD_WORD)
			*(int32 *) place = ReadByte(&reader);
		else if (field->kind == FIELD_COUNT)
			*(int64 *) place = ReadInt64(&reader);
		else if (field->kind == FIELD_DATE)
			*(DateADT *) place = (DateADT) ReadInt64(&reader);
		else
			for (int j = 0; j < field->count; j++)
				((double *) place)[j] = ReadFloat8(&reader);
	}
	if (reader.failed || reader.next != reader.end)
		return "wrong length";
	fault = ModelFault(format, model);
	if (fault)
		return fault;

	/* whatever has another form than the one written is refused */
	again = EncodeModel(format, model);
	if (VARSIZE(again) - VARHDRSZ != size || memcmp(VARDATA(again), bytes, size) != 0)
		return "not in canonical form";
	pfree(again);
	return NULL;
}

void
DecodeModel(const ModelFormat *format, const struct varlena *value, void *model)
{
	const char *fault = ReadModel(format, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), model);

	if (fault)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("%s is damaged", format->type),
						errdetail("The fault: %s.", fault)));
}

struct varlena *
CheckedModel(const ModelFormat *format, const void *model)
{
	const char *fault = ModelFault(format, model);

	if (fault)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid %s", format->type), errdetail("The fault: %s.", fault)));
	return EncodeModel(format, model);
}

/* ---------- text ---------- */

static void
PrintDate(StringInfo out, DateADT day)
{
	struct pg_tm tm;
	char text[MAXDATELEN + 1];

	j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	EncodeDateOnly(&tm, USE_ISO_DATES, text);
	appendStringInfoString(out, text);
}

static void
PrintNumbers(StringInfo out, const double *numbers, int count)
{
	char text[DOUBLE_SHORTEST_DECIMAL_LEN];

	for (int i = 0; i < count; i++)
	{
		double_to_shortest_decimal_buf(numbers[i], text);
		appendStringInfo(out, "%s%s", i > 0 ? ", " : "", text);
	}
}

Datum
ModelOut(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	void *model = palloc(format->size);
	StringInfoData out;
	bool first = true;

	DecodeModel(format, PG_GETARG_VARLENA_PP(0), model);
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < format->nfields; i++)
	{
		const ModelField *field = &format->fields[i];
		const void *place = FIELD_PLACE(model, field);

		if (memcmp(place, FIELD_PLACE(format->defaults, field), FieldSize(field)) == 0)
			continue;
		appendStringInfo(&out, "%s%s: ", first ? "" : ", ", field->name);
		first = false;
		if (field->kind == FIELD_WORD)
			appendStringInfoString(&out, field->words[*(const int32 *) place]);
		else if (field->kind == FIELD_COUNT)
			appendStringInfo(&out, INT64_FORMAT, *(const int64 *) place);
		else if (field->kind == FIELD_DATE)
			PrintDate(&out, *(const DateADT *) place);
		else
		{
			appendStringInfoString(&out, field->count > 1 ? "[" : "");
			PrintNumbers(&out, (const double *) place, field->count);
			appendStringInfoString(&out, field->count > 1 ? "]" : "");
		}
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

/* What is left of a text that is being read. */
typedef struct ModelText
{
	const ModelFormat *format;
	const char *text;
	const char *next;
} ModelText;

pg_noreturn static void
ModelTextFailed(const ModelText *text, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%.200s\"", text->format->type, text->text),
			 *text->next ? errdetail("Expected %s at \"%.20s\".", expected, text->next)
						 : errdetail("Expected %s at the end.", expected),
			 errhint("Write %s.", text->format->example)));
}

static void
SkipSpace(ModelText *text)
{
	while (isspace((unsigned char) *text->next))
		text->next++;
}

/* Takes the sign if it stands next. */
static bool
TakeSign(ModelText *text, char sign)
{
	SkipSpace(text);
	if (*text->next != sign)
		return false;
	text->next++;
	return true;
}

/* Everything up to one of the signs that divide, as a string of its own. */
static char *
TakeWord(ModelText *text, const char *expected)
{
	Size length;
	const char *start;

	SkipSpace(text);
	start = text->next;
	length = strcspn(start, ":,[]{}");
	text->next += length;
	while (length > 0 && isspace((unsigned char) start[length - 1]))
		length--;
	if (length == 0)
		ModelTextFailed(text, expected);
	return pnstrdup(start, length);
}

static void
TakeValue(ModelText *text, const ModelField *field, void *place)
{
	const char *before = text->next;

	if (field->kind == FIELD_WORD)
	{
		char *word = TakeWord(text, "a word");

		*(int32 *) place = WordNumber(field->words, word, strlen(word));
		if (*(int32 *) place < 0)
		{
			text->next = before;
			ModelTextFailed(text, psprintf("a value of %s", field->name));
		}
	}
	else if (field->kind == FIELD_COUNT)
		*(int64 *) place = pg_strtoint64(TakeWord(text, "a count"));
	else if (field->kind == FIELD_DATE)
	{
		char *word = TakeWord(text, "a date");
		Size year = strspn(word, "0123456789");

		/* only ISO, the year first, is the same under every DateStyle */
		if (year < 4 || word[year] != '-')
		{
			text->next = before;
			ModelTextFailed(text, "a date such as 2025-01-31");
		}
		*(DateADT *) place = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(word)));
	}
	else
	{
		bool list = field->count > 1;

		if (list && !TakeSign(text, '['))
			ModelTextFailed(text, "\"[\"");
		for (int i = 0; i < field->count; i++)
		{
			char *word;

			if (i > 0 && !TakeSign(text, ','))
				ModelTextFailed(text, psprintf("%d numbers of %s", field->count, field->name));
			word = TakeWord(text, "a number");
			((double *) place)[i] =
				DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(word)));
		}
		if (list && !TakeSign(text, ']'))
			ModelTextFailed(text, "\"]\"");
	}
}

Datum
ModelIn(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	ModelText text = {format, PG_GETARG_CSTRING(0), PG_GETARG_CSTRING(0)};
	void *model = palloc(format->size);
	bool *seen = palloc0(format->nfields * sizeof(bool));
	const char *fault;

	memcpy(model, format->defaults, format->size);
	if (!TakeSign(&text, '{'))
		ModelTextFailed(&text, "\"{\"");
	do
	{
		const char *before = text.next;
		char *name = TakeWord(&text, "the name of a field");
		int i = 0;

		while (i < format->nfields && strcmp(format->fields[i].name, name) != 0)
			i++;
		if (i == format->nfields || seen[i])
		{
			text.next = before;
			ModelTextFailed(&text, i == format->nfields ? "the name of a field" : "another field");
		}
		seen[i] = true;
		if (!TakeSign(&text, ':'))
			ModelTextFailed(&text, "\":\"");
		TakeValue(&text, &format->fields[i], FIELD_PLACE(model, &format->fields[i]));
	} while (TakeSign(&text, ','));
	if (!TakeSign(&text, '}'))
		ModelTextFailed(&text, "\",\" or \"}\"");
	SkipSpace(&text);
	if (*text.next)
		ModelTextFailed(&text, "nothing more");

	fault = ModelFault(format, model);
	if (fault)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid %s: \"%.200s\"", format->type, text.text),
						errdetail("The fault: %s.", fault)));
	PG_RETURN_POINTER(EncodeModel(format, model));
}

/* ---------- binary ---------- */

Datum
ModelRecv(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size size = message->len - message->cursor;
	const char *bytes = pq_getmsgbytes(message, size);
	void *model = palloc(format->size);
	const char *fault = ReadModel(format, bytes, size, model);

	if (fault)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of %s", format->type),
						errdetail("The fault: %s.", fault)));
	PG_RETURN_POINTER(EncodeModel(format, model));
}

Datum
ModelSend(const ModelFormat *format, FunctionCallInfo fcinfo)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ---------- cache ---------- */

/* What CachedModel keeps: the decoded model, then the bytes that it came from. */
typedef struct ModelCache
{
	Size nbytes;
	char *bytes;
	double decoded[FLEXIBLE_ARRAY_MEMBER]; /* aligned for any struct */
} ModelCache;

void *
CachedModel(const ModelFormat *format, FunctionCallInfo fcinfo, int argument, Size size,
			Size lasting)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(argument);
	Size nbytes = VARSIZE_ANY_EXHDR(value);
	ModelCache *cache = (ModelCache *) fcinfo->flinfo->fn_extra;

	if (cache && cache->nbytes == nbytes && memcmp(cache->bytes, VARDATA_ANY(value), nbytes) == 0)
		return cache->decoded;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									   offsetof(ModelCache, decoded) + size + lasting);
		fcinfo->flinfo->fn_extra = cache;
	}
	/* an error on the way must not leave a half-made cache that looks valid */
	cache->nbytes = 0;
	if (cache->bytes)
		pfree(cache->bytes);
	cache->bytes = NULL;
	memset(cache->decoded, 0, size);
	DecodeModel(format, value, cache->decoded);
	cache->bytes = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, Max(nbytes, 1));
	memcpy(cache->bytes, VARDATA_ANY(value), nbytes);
	cache->nbytes = nbytes;
	return cache->decoded;
}
