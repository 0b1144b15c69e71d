/*
 * profile_model.c: the type profile_model, how attributes are encoded.
 *
 * The stored form (after the varlena header):
 *
 *	version		1 byte
 *	fingerprint	8 bytes: StableHash64 of all that follows
 *	nrows		varint
 *	missing		varint number of words, then the words
 *				varint number of numbers, then float8s
 *	ignored		varint number of names, then the names
 *	natts		varint, then for each attribute:
 *		name	a word
 *		kind	1 byte
 *		weight	float8
 *		low, high	float8 each; numeric and date only
 *		missing, other	varints
 *		nvalues	varint, then for each value of the dictionary a word and a varint count;
 *				ordinal, nominal, boolean and set only
 *
 * A word is a varint length and its bytes.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "profile/profile_model.h"

static const char *const KindNames[] = {"numeric", "date", "ordinal", "nominal", "boolean", "set"};

const char *
AttributeKindName(AttributeKind kind)
{
	return KindNames[kind];
}

bool
AttributeKindFromName(const char *name, AttributeKind *kind)
{
	for (int i = 0; i < lengthof(KindNames); i++)
		if (strcmp(name, KindNames[i]) == 0)
		{
			*kind = (AttributeKind) i;
			return true;
		}
	return false;
}

int
MaxValues(AttributeKind kind)
{
	switch (kind)
	{
		case KIND_NUMERIC:
		case KIND_DATE:
			return 0;
		case KIND_BOOLEAN:
			return 2;
		case KIND_SET:
			return MAX_SET_VALUES;
		default:
			return MAX_NOMINAL_VALUES;
	}
}

bool
KindTakesColumn(AttributeKind kind, ColumnClass class)
{
	switch (kind)
	{
		case KIND_NUMERIC:
			return class == COLUMN_NUMBER || class == COLUMN_BOOLEAN || class == COLUMN_WORD;
		case KIND_DATE:
			return class == COLUMN_DATE;
		case KIND_SET:
			return class == COLUMN_ARRAY;
		default:
			return class != COLUMN_ARRAY;
	}
}

const ProfileAttribute *
FindAttribute(const ProfileModel *model, const char *name)
{
	for (int i = 0; i < model->natts; i++)
		if (strcmp(model->atts[i].name, name) == 0)
			return &model->atts[i];
	return NULL;
}

/* ---------- what follows from the rest ---------- */

/* Weights in whole steps: the largest gets MAX_LEVELS, none above 0 less than one. */
static void
SetLevels(ProfileModel *model)
{
	double largest = 0;

	for (int i = 0; i < model->natts; i++)
		largest = Max(largest, model->atts[i].weight);
	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];

		if (att->weight > 0)
			att->levels = (uint8) Max(1, (int) rint(att->weight / largest * MAX_LEVELS));
		else
			att->levels = 0;
	}
}

/* Gives slots in the order scaled, coded, sets. */
static void
SetSlots(ProfileModel *model)
{
	int slot = 0;

	model->nscaled = model->ncoded = model->nsets = 0;
	model->slot_att = palloc((model->natts + 1) * sizeof(int));
	for (int group = 0; group < 3; group++)
		for (int i = 0; i < model->natts; i++)
		{
			ProfileAttribute *att = &model->atts[i];

			if (group != (IsScaled(att->kind) ? 0 : att->kind == KIND_SET ? 2 : 1))
				continue;
			model->slot_att[slot] = i;
			att->slot = slot++;
			if (group == 0)
				model->nscaled++;
			else if (group == 1)
				model->ncoded++;
			else
				model->nsets++;
		}
}

/* What every profile of the model begins with. */
static void
SetHead(ProfileModel *model)
{
	bool weighted = false;
	int bitmap_size = 0;
	uint8 *p;

	for (int i = 0; i < model->natts; i++)
		weighted |= model->atts[i].levels != MAX_LEVELS;

	p = model->head = palloc(2 + sizeof(uint64) + 3 + 2 * MAX_ATTRIBUTES);
	*p++ = PROFILE_VERSION;
	*p++ = weighted ? PROFILE_WEIGHTED : 0;
	p = WriteInt64(p, (int64) model->fingerprint);
	*p++ = model->nscaled;
	*p++ = model->ncoded;
	*p++ = model->nsets;
	for (int i = 0; i < model->nsets; i++)
	{
		int slot = model->nscaled + model->ncoded + i;
		int bytes = model->atts[model->slot_att[slot]].set_bytes;

		*p++ = bytes;
		bitmap_size += bytes;
	}
	if (weighted)
		for (int slot = 0; slot < model->natts; slot++)
			*p++ = model->atts[model->slot_att[slot]].levels;
	model->head_size = p - model->head;
	model->profile_size =
		model->head_size + model->natts + bitmap_size + model->nscaled * sizeof(float4);
}

static void
Complete(ProfileModel *model)
{
	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];

		if (att->kind == KIND_ORDINAL)
		{
			att->low = 0;
			att->high = Max(att->nvalues - 1, 0);
		}
		att->set_bytes = att->kind == KIND_SET ? (att->nvalues + SET_OTHER_BITS + 7) / 8 : 0;
	}
	SetLevels(model);
	SetSlots(model);
	SetHead(model);
	model->value_table = MakeValueTables(model);
}

/* ---------- stored form ---------- */

static void
AppendVarint(StringInfo out, uint64 v)
{
	uint8 bytes[MAX_VARINT];

	appendBinaryStringInfo(out, (char *) bytes, WriteVarint(bytes, v) - bytes);
}

static void
AppendWord(StringInfo out, const char *word)
{
	AppendVarint(out, strlen(word));
	appendStringInfoString(out, word);
}

static void
AppendFloat8(StringInfo out, double v)
{
	uint8 bytes[sizeof(double)];

	WriteFloat8(bytes, v);
	appendBinaryStringInfo(out, (char *) bytes, sizeof(bytes));
}

#define MODEL_HEAD_SIZE (1 + sizeof(uint64))

Datum
ProfileModelGetDatum(ProfileModel *model)
{
	StringInfoData out;
	uint8 *bytes;
	struct varlena *value;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ + MODEL_HEAD_SIZE);
	AppendVarint(&out, model->nrows);
	AppendVarint(&out, model->nmissing);
	for (int i = 0; i < model->nmissing; i++)
		AppendWord(&out, model->missing[i]);
	AppendVarint(&out, model->nmissing_numbers);
	for (int i = 0; i < model->nmissing_numbers; i++)
		AppendFloat8(&out, model->missing_numbers[i]);
	AppendVarint(&out, model->nignored);
	for (int i = 0; i < model->nignored; i++)
		AppendWord(&out, model->ignored[i]);
	AppendVarint(&out, model->natts);
	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];

		AppendWord(&out, att->name);
		appendStringInfoChar(&out, (char) att->kind);
		AppendFloat8(&out, att->weight);
		if (HasRange(att->kind))
		{
			AppendFloat8(&out, att->low);
			AppendFloat8(&out, att->high);
		}
		AppendVarint(&out, att->missing);
		AppendVarint(&out, att->other);
		if (HasRange(att->kind))
			continue;
		AppendVarint(&out, att->nvalues);
		for (int v = 0; v < att->nvalues; v++)
		{
			AppendWord(&out, att->values[v]);
			AppendVarint(&out, att->counts[v]);
		}
	}

	value = (struct varlena *) out.data;
	SET_VARSIZE(value, out.len);
	bytes = (uint8 *) VARDATA(value);
	*bytes = PROFILE_MODEL_VERSION;
	model->fingerprint =
		StableHash64(bytes + MODEL_HEAD_SIZE, VARSIZE(value) - VARHDRSZ - MODEL_HEAD_SIZE);
	WriteInt64(bytes + 1, (int64) model->fingerprint);
	return PointerGetDatum(value);
}

/* A count of things that take at least `least` bytes each, or the reader fails. */
static int
ReadNumberOf(ByteReader *r, int least, int limit)
{
	uint64 n = ReadVarint(r);

	if (n > limit || n > (r->end - r->next) / least)
	{
		r->failed = true;
		return 0;
	}
	return (int) n;
}

static const char *
ReadWord(ByteReader *r)
{
	uint64 length = ReadVarint(r);
	char *word;

	if (r->failed || length > r->end - r->next)
	{
		r->failed = true;
		return "";
	}
	word = pnstrdup((const char *) r->next, length);
	if (strlen(word) != length)
		r->failed = true;
	r->next += length;
	return word;
}

static const char **
ReadWords(ByteReader *r, int *n)
{
	const char **words;

	*n = ReadNumberOf(r, 1, 10000);
	words = palloc((*n + 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
		words[i] = ReadWord(r);
	return words;
}

static void
ReadAttribute(ByteReader *r, ProfileAttribute *att)
{
	att->name = ReadWord(r);
	att->kind = (AttributeKind) ReadByte(r);
	if (att->kind > KIND_SET)
	{
		r->failed = true;
		return;
	}
	att->weight = ReadFloat8(r);
	if (HasRange(att->kind))
	{
		att->low = ReadFloat8(r);
		att->high = ReadFloat8(r);
	}
	att->missing = (int64) ReadVarint(r);
	att->other = (int64) ReadVarint(r);
	if (HasRange(att->kind))
		return;
	att->nvalues = ReadNumberOf(r, 2, MaxValues(att->kind));
	att->values = palloc((att->nvalues + 1) * sizeof(char *));
	att->counts = palloc((att->nvalues + 1) * sizeof(int64));
	for (int v = 0; v < att->nvalues; v++)
	{
		att->values[v] = ReadWord(r);
		att->counts[v] = (int64) ReadVarint(r);
	}
}

/* Decodes the stored form; NULL: it is none. */
static ProfileModel *
ReadModel(const struct varlena *value)
{
	ByteReader reader;
	ByteReader *r = &reader;
	ProfileModel *model = palloc0(sizeof(ProfileModel));

	ByteReaderInit(r, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (ReadByte(r) != PROFILE_MODEL_VERSION)
		return NULL;
	model->fingerprint = (uint64) ReadInt64(r);
	model->nrows = (int64) ReadVarint(r);
	model->missing = ReadWords(r, &model->nmissing);
	model->nmissing_numbers = ReadNumberOf(r, sizeof(double), 10000);
	model->missing_numbers = palloc((model->nmissing_numbers + 1) * sizeof(double));
	for (int i = 0; i < model->nmissing_numbers; i++)
		model->missing_numbers[i] = ReadFloat8(r);
	model->ignored = ReadWords(r, &model->nignored);
	model->natts = ReadNumberOf(r, 2, MAX_ATTRIBUTES);
	model->atts = palloc0((model->natts + 1) * sizeof(ProfileAttribute));
	for (int i = 0; i < model->natts && !r->failed; i++)
		ReadAttribute(r, &model->atts[i]);
	if (r->failed || r->next != r->end)
		return NULL;
	return model;
}

/* The one check of a model that comes from outside: NULL, or what is wrong with it. */
static const char *
ModelFault(const ProfileModel *model)
{
	if (model->natts < 1 || model->natts > MAX_ATTRIBUTES)
		return psprintf("It must have 1 to %d attributes.", MAX_ATTRIBUTES);
	if (model->nrows < 0)
		return "The number of rows is out of range.";
	for (int i = 0; i < model->nmissing_numbers; i++)
		if (!isfinite(model->missing_numbers[i]))
			return "A number that stands for a missing value must be finite.";
	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];

		if (att->name[0] == '\0')
			return "An attribute has no name.";
		if (FindAttribute(model, att->name) != att)
			return psprintf("The attribute \"%s\" is there twice.", att->name);
		if (!isfinite(att->weight) || att->weight < 0)
			return psprintf("The weight of attribute \"%s\" must be finite and not negative.",
							att->name);
		if (HasRange(att->kind) &&
			(!isfinite(att->low) || !isfinite(att->high) || att->low > att->high))
			return psprintf("The range of attribute \"%s\" must be finite, low before high.",
							att->name);
		if (att->kind == KIND_DATE && (att->low != rint(att->low) || att->high != rint(att->high) ||
									   !IS_VALID_DATE(att->low) || !IS_VALID_DATE(att->high)))
			return psprintf("The range of attribute \"%s\" must be of whole days.", att->name);
		if (att->nvalues > MaxValues(att->kind) || (att->kind == KIND_BOOLEAN && att->nvalues != 2))
			return psprintf("The dictionary of attribute \"%s\" has a wrong size.", att->name);
		if (att->missing < 0 || att->other < 0)
			return psprintf("A count of attribute \"%s\" is out of range.", att->name);
		for (int v = 0; v < att->nvalues; v++)
		{
			if (att->counts[v] < 0)
				return psprintf("A count of attribute \"%s\" is out of range.", att->name);
			for (int w = 0; w < v; w++)
				if (strcmp(att->values[v], att->values[w]) == 0)
					return psprintf(
						"The dictionary of attribute \"%s\" has the value \"%s\" twice.", att->name,
						att->values[v]);
		}
	}
	return NULL;
}

ProfileModel *
ProfileModelFromDatum(Datum value)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);
	ProfileModel *model = ReadModel(bytes);

	if (model == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid profile_model"),
						errhint("It may be of a newer version of the extension.")));
	Complete(model);
	return model;
}

/* ---------- decoded once ---------- */

/*
 * True if a model as it comes is the one kept.  Where its bytes are in the open
 * the fingerprint tells; compressed ones, and pointers into a toast table, are
 * equal if all their bytes are.
 */
static inline bool
SameRawModel(const struct varlena *kept, const struct varlena *raw)
{
	Size size = VARSIZE_ANY(raw);

	if (kept == NULL || VARSIZE_ANY(kept) != size)
		return false;
	if (!VARATT_IS_EXTENDED(raw) && !VARATT_IS_EXTENDED(kept) && size >= VARHDRSZ + MODEL_HEAD_SIZE)
		size = VARHDRSZ + MODEL_HEAD_SIZE;
	return memcmp(kept, raw, size) == 0;
}

const ProfileModel *
CachedProfileModel(ProfileModelCache *cache, Datum value, MemoryContext parent)
{
	struct varlena *raw = (struct varlena *) DatumGetPointer(value);
	Size size = VARSIZE_ANY(raw);
	MemoryContext caller;

	if (likely(SameRawModel(cache->raw, raw)))
		return cache->model;

	cache->raw = NULL;
	if (cache->context != NULL)
		MemoryContextReset(cache->context);
	else
		cache->context = AllocSetContextCreate(parent, "profile model", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(cache->context);
	cache->model = ProfileModelFromDatum(value);
	if (!VARATT_IS_EXTERNAL(raw) || VARATT_IS_EXTERNAL_ONDISK(raw))
	{
		struct varlena *copy = palloc(size);

		memcpy(copy, raw, size);
		cache->raw = copy;
	}
	MemoryContextSwitchTo(caller);
	return cache->model;
}

const ProfileModel *
ProfileModelArgument(FunctionCallInfo fcinfo, int n)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ProfileModelCache));
	return CachedProfileModel((ProfileModelCache *) fcinfo->flinfo->fn_extra, PG_GETARG_DATUM(n),
							  fcinfo->flinfo->fn_mcxt);
}

/* ---------- binary form: the stored bytes ---------- */

PG_FUNCTION_INFO_V1(profile_model_send);
Datum
profile_model_send(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbytes(&out, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* Every string of a model is text in the encoding of the database. */
static void
VerifyWords(const ProfileModel *model)
{
	for (int i = 0; i < model->nmissing; i++)
		pg_verifymbstr(model->missing[i], strlen(model->missing[i]), false);
	for (int i = 0; i < model->nignored; i++)
		pg_verifymbstr(model->ignored[i], strlen(model->ignored[i]), false);
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];

		pg_verifymbstr(att->name, strlen(att->name), false);
		for (int v = 0; v < att->nvalues; v++)
			pg_verifymbstr(att->values[v], strlen(att->values[v]), false);
	}
}

PG_FUNCTION_INFO_V1(profile_model_recv);
Datum
profile_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int size = in->len - in->cursor;
	struct varlena *value = palloc(size + VARHDRSZ);
	ProfileModel *model;

	SET_VARSIZE(value, size + VARHDRSZ);
	pq_copymsgbytes(in, VARDATA(value), size);
	model = ReadModel(value);
	if (model != NULL && ModelFault(model) == NULL)
	{
		struct varlena *again;

		VerifyWords(model);
		again = (struct varlena *) DatumGetPointer(ProfileModelGetDatum(model));
		if (VARSIZE(again) == VARSIZE(value) && memcmp(again, value, VARSIZE(value)) == 0)
			PG_RETURN_POINTER(value);
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
		 errmsg("invalid binary form of type profile_model"),
		 errhint("Only what profile_model_send of the same format version wrote can be read.")));
}

/* ---------- text form: JSON ---------- */

static void
AppendNumberText(StringInfo out, double v)
{
	char buffer[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(v, buffer);
	appendStringInfoString(out, buffer);
}

static void
AppendStrings(StringInfo out, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(out, ", ");
		escape_json(out, words[i]);
	}
}

static void
AppendBound(StringInfo out, const ProfileAttribute *att, const char *key, double bound)
{
	appendStringInfo(out, ", \"%s\": ", key);
	if (att->kind == KIND_DATE)
		escape_json(out, DayText(bound));
	else
		AppendNumberText(out, bound);
}

static void
AppendAttribute(StringInfo out, const ProfileAttribute *att)
{
	appendStringInfoString(out, "{\"name\": ");
	escape_json(out, att->name);
	appendStringInfo(out, ", \"kind\": \"%s\", \"weight\": ", AttributeKindName(att->kind));
	AppendNumberText(out, att->weight);
	if (HasRange(att->kind))
	{
		AppendBound(out, att, "low", att->low);
		AppendBound(out, att, "high", att->high);
	}
	appendStringInfo(out, ", \"missing\": " INT64_FORMAT ", \"other\": " INT64_FORMAT, att->missing,
					 att->other);
	if (!HasRange(att->kind))
	{
		appendStringInfoString(out, ", \"values\": [");
		AppendStrings(out, att->values, att->nvalues);
		appendStringInfoString(out, "], \"counts\": [");
		for (int v = 0; v < att->nvalues; v++)
			appendStringInfo(out, "%s" INT64_FORMAT, v > 0 ? ", " : "", att->counts[v]);
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

PG_FUNCTION_INFO_V1(profile_model_out);
Datum
profile_model_out(PG_FUNCTION_ARGS)
{
	ProfileModel *model = ProfileModelFromDatum(PG_GETARG_DATUM(0));
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"rows\": " INT64_FORMAT ", \"missing\": [", model->nrows);
	AppendStrings(&out, model->missing, model->nmissing);
	for (int i = 0; i < model->nmissing_numbers; i++)
	{
		if (i > 0 || model->nmissing > 0)
			appendStringInfoString(&out, ", ");
		AppendNumberText(&out, model->missing_numbers[i]);
	}
	appendStringInfoString(&out, "], \"ignored\": [");
	AppendStrings(&out, model->ignored, model->nignored);
	appendStringInfoString(&out, "], \"attributes\": [");
	for (int i = 0; i < model->natts; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		AppendAttribute(&out, &model->atts[i]);
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_CSTRING(out.data);
}

static double
BoundFromJson(const ProfileAttribute *att, JsonbContainer *object, const char *key)
{
	JsonbValue value = JsonNeededMember(object, key, "profile_model");

	if (att->kind == KIND_DATE)
		return DayFromText(JsonString(&value, key));
	return JsonNumber(&value, key);
}

static const char **
StringsFromJson(JsonbContainer *array, const char *where, int *n)
{
	const char **words;

	*n = JsonContainerSize(array);
	words = palloc((*n + 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
		words[i] = JsonString(getIthJsonbValueFromContainer(array, i), where);
	return words;
}

static void
AttributeFromJson(ProfileAttribute *att, JsonbContainer *object)
{
	JsonbValue value = JsonNeededMember(object, "name", "profile_model");
	char *kind;

	att->name = JsonString(&value, "name");
	value = JsonNeededMember(object, "kind", "profile_model");
	kind = JsonString(&value, "kind");
	if (!AttributeKindFromName(kind, &att->kind))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type profile_model"),
						errdetail("There is no attribute kind \"%s\".", kind)));
	value = JsonNeededMember(object, "weight", "profile_model");
	att->weight = JsonNumber(&value, "weight");
	value = JsonNeededMember(object, "missing", "profile_model");
	att->missing = JsonCount(&value, "missing");
	value = JsonNeededMember(object, "other", "profile_model");
	att->other = JsonCount(&value, "other");
	if (HasRange(att->kind))
	{
		att->low = BoundFromJson(att, object, "low");
		att->high = BoundFromJson(att, object, "high");
	}
	else
	{
		JsonbContainer *counts;

		value = JsonNeededMember(object, "values", "profile_model");
		att->values = StringsFromJson(JsonArray(&value, "values"), "values", &att->nvalues);
		value = JsonNeededMember(object, "counts", "profile_model");
		counts = JsonArray(&value, "counts");
		if (JsonContainerSize(counts) != att->nvalues)
			ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
							errmsg("invalid input for type profile_model"),
							errdetail("Attribute \"%s\" has %d values, but %d counts.", att->name,
									  att->nvalues, (int) JsonContainerSize(counts))));
		att->counts = palloc((att->nvalues + 1) * sizeof(int64));
		for (int v = 0; v < att->nvalues; v++)
			att->counts[v] = JsonCount(getIthJsonbValueFromContainer(counts, v), "counts");
	}
}

void
SetMissingFromJson(ProfileModel *model, JsonbContainer *array)
{
	int n = JsonContainerSize(array);

	model->nmissing = model->nmissing_numbers = 0;
	model->missing = palloc((n + 1) * sizeof(char *));
	model->missing_numbers = palloc((n + 1) * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type == jbvNumeric)
			model->missing_numbers[model->nmissing_numbers++] = JsonNumber(value, "missing");
		else
		{
			char *word = JsonString(value, "missing");
			Word trimmed = TrimmedWord(word, strlen(word));
			char *lower = pnstrdup(trimmed.text, trimmed.length);

			for (char *c = lower; *c; c++)
				*c = pg_ascii_tolower((unsigned char) *c);
			model->missing[model->nmissing++] = lower;
		}
	}
}

PG_FUNCTION_INFO_V1(profile_model_in);
Datum
profile_model_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	ProfileModel *model = palloc0(sizeof(ProfileModel));
	JsonbContainer *array;
	JsonbValue value;
	const char *fault;

	if (!JsonContainerIsObject(&json->root))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type profile_model"),
						errdetail("It must be a JSON object.")));
	value = JsonNeededMember(&json->root, "rows", "profile_model");
	model->nrows = JsonCount(&value, "rows");
	value = JsonNeededMember(&json->root, "missing", "profile_model");
	SetMissingFromJson(model, JsonArray(&value, "missing"));
	value = JsonNeededMember(&json->root, "ignored", "profile_model");
	model->ignored = StringsFromJson(JsonArray(&value, "ignored"), "ignored", &model->nignored);
	value = JsonNeededMember(&json->root, "attributes", "profile_model");
	array = JsonArray(&value, "attributes");
	model->natts = JsonContainerSize(array);
	model->atts = palloc0((model->natts + 1) * sizeof(ProfileAttribute));
	for (int i = 0; i < model->natts; i++)
	{
		CHECK_FOR_INTERRUPTS();
		AttributeFromJson(&model->atts[i],
						  JsonObject(getIthJsonbValueFromContainer(array, i), "attributes"));
	}
	fault = ModelFault(model);
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input for type profile_model"), errdetail_internal("%s", fault)));
	PG_RETURN_DATUM(ProfileModelGetDatum(model));
}

/* ---------- the attributes as rows ---------- */

static Datum
TextArray(const char *const *words, int n)
{
	Datum *texts = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		texts[i] = CStringGetTextDatum(words[i]);
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* A number of a scaled attribute in words. */
char *
ScaledText(const ProfileAttribute *att, double number)
{
	char *text;

	if (att->kind == KIND_DATE)
		return DayText(number);
	if (att->kind == KIND_ORDINAL)
		return pstrdup(number >= 0 && number < att->nvalues ? att->values[(int) number]
															: "(other)");
	text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);
	double_to_shortest_decimal_buf(number, text);
	return text;
}

/* (attribute, kind, weight, low, high, values, counts, other, missing, missing_rate) */
PG_FUNCTION_INFO_V1(profile_attributes);
Datum
profile_attributes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ProfileModel *model = ProfileModelFromDatum(PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];
		Datum values[10];
		bool nulls[10] = {0};

		values[0] = CStringGetTextDatum(att->name);
		values[1] = CStringGetTextDatum(AttributeKindName(att->kind));
		values[2] = Float8GetDatum(att->weight);
		nulls[3] = nulls[4] = !HasRange(att->kind);
		nulls[5] = nulls[6] = HasRange(att->kind);
		if (HasRange(att->kind))
		{
			values[3] = CStringGetTextDatum(ScaledText(att, att->low));
			values[4] = CStringGetTextDatum(ScaledText(att, att->high));
		}
		else
		{
			Datum *counts = palloc((att->nvalues + 1) * sizeof(Datum));

			for (int v = 0; v < att->nvalues; v++)
				counts[v] = Int64GetDatum(att->counts[v]);
			values[5] = TextArray(att->values, att->nvalues);
			values[6] = PointerGetDatum(construct_array(counts, att->nvalues, INT8OID,
														sizeof(int64), true, TYPALIGN_DOUBLE));
		}
		values[7] = Int64GetDatum(att->other);
		values[8] = Int64GetDatum(att->missing);
		nulls[9] = model->nrows == 0;
		values[9] = Float8GetDatum(nulls[9] ? 0 : (double) att->missing / (double) model->nrows);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Eight bytes in hexadecimal: which models and profiles belong together. */
PG_FUNCTION_INFO_V1(profile_model_fingerprint);
Datum
profile_model_fingerprint(PG_FUNCTION_ARGS)
{
	const ProfileModel *model = ProfileModelArgument(fcinfo, 0);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%016llx", (unsigned long long) model->fingerprint)));
}
