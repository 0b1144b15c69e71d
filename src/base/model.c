/*
 * model.c: fitted models as values, driven by tables of their fields.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/bytes.h"
#include "base/decimal.h"
#include "base/model.h"
#include "base/model_fields.h"

void
InitModel(const ModelFormat *format, void *model)
{
	InitGroup(&format->group, model);
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
	if (size > 0)
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

/* Writes a model that has been checked, with its texts in the given encoding. */
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

/* The bytes being read, and what is wrong with them. */
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
			/* checked at once: `tidy` relies on valid words */
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

			/* each element takes at least a byte: bounds the memory by the size of the value */
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

/* Reads all the bytes; returns what is wrong with them, or NULL. */
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

/* ---------- decoded once ---------- */

/*
 * Whether a datum is the one that was kept.  Plain and short ones are compared by version and
 * fingerprint; compressed ones and toast pointers byte by byte.
 */
static bool
IsSameModel(const struct varlena *kept, const struct varlena *raw)
{
	Size size;

	if (kept == NULL)
		return false;
	size = VARSIZE_ANY(raw);
	if (IsPlainModel(raw))
		return memcmp(kept, raw, VARHDRSZ + MODEL_HEAD) == 0;
	if (VARATT_IS_SHORT(raw) && !VARATT_IS_EXTERNAL(raw) && size >= VARHDRSZ_SHORT + MODEL_HEAD)
		return memcmp(kept, raw, VARHDRSZ_SHORT + MODEL_HEAD) == 0;
	return VARSIZE_ANY(kept) == size && memcmp(kept, raw, size) == 0;
}

/*
 * Decoded models that several functions ask for on the same row, where each row has another:
 * formats that say so have them in common.
 */
#define SHARED_MODELS 64
#define FEW_DECODINGS 4 /* of a cache; a model that is the same for all rows needs one */

typedef struct SharedModel
{
	const ModelFormat *format;
	MemoryContext context;
	struct varlena *raw;
	void *model;
	int64 serial;
} SharedModel;

/* The model in a context of its own, which may be one of before; `raw` gets the datum as it came.
 */
static void *
DecodeInto(const ModelFormat *format, Datum value, MemoryContext *context, MemoryContext parent,
		   struct varlena **raw)
{
	struct varlena *came = (struct varlena *) DatumGetPointer(value);
	MemoryContext caller;
	void *model;

	/* an error on the way must not leave a half-made cache that looks valid */
	*raw = NULL;
	if (*context != NULL)
		MemoryContextReset(*context);
	else
		*context = AllocSetContextCreate(parent, "decoded model", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(*context);
	model = ModelFromDatum(format, value);
	/* a pointer to another place in memory does not identify what is there later */
	if (!VARATT_IS_EXTERNAL(came) || VARATT_IS_EXTERNAL_ONDISK(came))
		*raw = memcpy(palloc(VARSIZE_ANY(came) + VARHDRSZ + MODEL_HEAD), came, VARSIZE_ANY(came));
	MemoryContextSwitchTo(caller);
	return model;
}

static const void *
SharedModelOf(const ModelFormat *format, ModelCache *cache, Datum value)
{
	static SharedModel shared[SHARED_MODELS];
	static int64 serials = 0;
	struct varlena *raw = (struct varlena *) DatumGetPointer(value);
	Size size = Min(VARSIZE_ANY_EXHDR(raw), MODEL_HEAD);
	SharedModel *slot = &shared[FastStableHash64(VARDATA_ANY(raw), size) % SHARED_MODELS];

	cache->raw = NULL;
	if (slot->format != format || !IsSameModel(slot->raw, raw))
	{
		slot->format = format;
		slot->serial = ++serials;
		slot->model = DecodeInto(format, value, &slot->context, TopMemoryContext, &slot->raw);
	}
	if (cache->shared != slot->serial)
		cache->decodings++;
	cache->shared = slot->serial;
	return slot->model;
}

const void *
DecodedModel(const ModelFormat *format, ModelCache *cache, Datum value, MemoryContext parent)
{
	const struct varlena *raw = (const struct varlena *) DatumGetPointer(value);

	if (IsSameModel(cache->raw, raw))
		return cache->model;
	memset(cache->head, 0, sizeof(cache->head));
	if (format->is_shared && cache->decodings >= FEW_DECODINGS && !VARATT_IS_EXTERNAL(raw))
		return SharedModelOf(format, cache, value);
	cache->decodings++;
	cache->model = DecodeInto(format, value, &cache->context, parent, &cache->raw);
	if (IsPlainModel(raw))
		memcpy(cache->head, raw, sizeof(cache->head));
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
