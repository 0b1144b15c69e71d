/*
 * profile.c: the type profile, and the similarity of two profiles.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "base/bytes.h"
#include "base/common.h"
#include "base/json_read.h"
#include "profile/profile.h"

#define HEAD_COUNTS (2 + (int) sizeof(uint64)) /* offset of nscaled, ncoded, nsets */
#define HEAD_SET_BYTES (HEAD_COUNTS + 3)

/* The levels of profiles without weights. */
static const uint8 *
EqualLevels(void)
{
	static uint8 levels[MAX_ATTRIBUTES];

	if (unlikely(levels[0] == 0))
		memset(levels, MAX_LEVELS, sizeof(levels));
	return levels;
}

/* The bits of profiles without asymmetric slots. */
static const uint8 NoneAsymmetric[ASYMMETRIC_BYTES(MAX_ATTRIBUTES)];

bool
ViewProfileHead(ProfileView *view, const uint8 *bytes, int size)
{
	const uint8 *p;
	int natts;

	if (size < HEAD_SET_BYTES || bytes[0] != PROFILE_VERSION)
		return false;
	view->head = bytes;
	view->nscaled = bytes[HEAD_COUNTS];
	view->ncoded = bytes[HEAD_COUNTS + 1];
	view->nsets = bytes[HEAD_COUNTS + 2];
	natts = view->nscaled + view->ncoded + view->nsets;
	view->set_bytes = bytes + HEAD_SET_BYTES;
	p = view->set_bytes + view->nsets;
	view->levels = EqualLevels();
	if (bytes[1] & PROFILE_WEIGHTED)
	{
		view->levels = p;
		p += natts;
	}
	view->asymmetric = NoneAsymmetric;
	if (bytes[1] & PROFILE_ASYMMETRIC)
	{
		view->asymmetric = p;
		p += ASYMMETRIC_BYTES(natts);
	}
	view->head_size = p - bytes;
	return natts >= 1 && natts <= MAX_ATTRIBUTES && view->head_size <= size;
}

bool
ViewProfileBytes(ProfileView *view, const uint8 *bytes, int size)
{
	int natts;
	int bitmap_size = 0;

	if (!ViewProfileHead(view, bytes, size))
		return false;
	natts = view->nscaled + view->ncoded + view->nsets;
	for (int i = 0; i < view->nsets; i++)
		bitmap_size += view->set_bytes[i];
	view->codes = bytes + view->head_size;
	view->bitmaps = view->codes + natts;
	view->numbers = view->bitmaps + bitmap_size;
	return size == view->head_size + natts + bitmap_size + view->nscaled * (int) sizeof(float4);
}

void
OpenProfile(ProfileView *view, Datum value)
{
	struct varlena *profile = PG_DETOAST_DATUM_PACKED(value);

	if (!ViewProfileBytes(view, (const uint8 *) VARDATA_ANY(profile), VARSIZE_ANY_EXHDR(profile)))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid profile"),
						errhint("It may be of a newer version of the extension.")));
}

uint64
ProfileFingerprint(const ProfileView *view)
{
	ByteReader r;

	ByteReaderInit(&r, view->head + 2, sizeof(uint64));
	return (uint64) ReadInt64(&r);
}

void
CheckProfileOfModel(const ProfileView *view, const ProfileModel *model)
{
	if (likely(view->head_size == model->head_size &&
			   memcmp(view->head, model->head, model->head_size) == 0))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("the profile was made by another profile_model"),
					errdetail("The profile is of model %016llx, the model is %016llx.",
							  (unsigned long long) ProfileFingerprint(view),
							  (unsigned long long) model->fingerprint),
					errhint("Encode the record with this model: profile(record, model).")));
}

void
CheckSameModel(const ProfileView *a, const ProfileView *b)
{
	if (likely(a->head_size == b->head_size && memcmp(a->head, b->head, a->head_size) == 0))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("profiles of different models cannot be compared"),
					errdetail("One is of model %016llx, the other of %016llx.",
							  (unsigned long long) ProfileFingerprint(a),
							  (unsigned long long) ProfileFingerprint(b)),
					errhint("Encode both with the same profile_model.")));
}

const uint8 *
SetBitmap(const ProfileView *view, int i)
{
	const uint8 *bitmap = view->bitmaps;

	for (int j = 0; j < i; j++)
		bitmap += view->set_bytes[j];
	return bitmap;
}

/* ---------- the check of all that comes from outside ---------- */

static bool
SetIsValid(const ProfileView *view, int i)
{
	const uint8 *bitmap = SetBitmap(view, i);
	uint8 code = view->codes[view->nscaled + view->ncoded + i];

	if (view->set_bytes[i] < 1 || view->set_bytes[i] > MAX_SET_BYTES)
		return false;
	if (code != CODE_MISSING)
		return code == 0;
	for (int b = 0; b < view->set_bytes[i]; b++)
		if (bitmap[b] != 0)
			return false;
	return true;
}

/* Equal contents have equal bytes: a single form of missing numbers and of zero. */
static bool
ScaledIsValid(const ProfileView *view, int slot)
{
	float number = SlotNumber(view, slot);
	float canonical = SlotIsMissing(view, slot) ? get_float4_nan() : number + 0.0f;

	if (memcmp(&number, &canonical, sizeof(number)) != 0)
		return false;
	return SlotIsMissing(view, slot) ||
		   (isfinite(number) && view->codes[slot] <= view->levels[slot]);
}

/* Only booleans, which have no other codes, and sets can be asymmetric. */
static bool
AsymmetryIsValid(const ProfileView *view)
{
	int natts = view->nscaled + view->ncoded + view->nsets;
	bool any = false;

	for (int slot = 0; slot < ASYMMETRIC_BYTES(natts) * 8; slot++)
	{
		if (!IsAsymmetric(view, slot))
			continue;
		any = true;
		if (slot < view->nscaled || slot >= natts ||
			(slot < view->nscaled + view->ncoded && view->codes[slot] > 1 &&
			 view->codes[slot] != CODE_MISSING))
			return false;
	}
	return any == ((view->head[1] & PROFILE_ASYMMETRIC) != 0);
}

static bool
ProfileIsValid(const uint8 *bytes, int size)
{
	ProfileView view;
	bool weighted = false;

	if (!ViewProfileBytes(&view, bytes, size) ||
		(bytes[1] & ~(PROFILE_WEIGHTED | PROFILE_ASYMMETRIC)) != 0 || !AsymmetryIsValid(&view))
		return false;
	for (int slot = 0; slot < view.nscaled + view.ncoded + view.nsets; slot++)
	{
		if (view.levels[slot] > MAX_LEVELS)
			return false;
		weighted |= view.levels[slot] != MAX_LEVELS;
	}
	if (weighted != ((bytes[1] & PROFILE_WEIGHTED) != 0))
		return false;
	for (int slot = 0; slot < view.nscaled; slot++)
		if (!ScaledIsValid(&view, slot))
			return false;
	for (int i = 0; i < view.nsets; i++)
		if (!SetIsValid(&view, i))
			return false;
	return true;
}

/* ---------- binary form: the stored bytes ---------- */

PG_FUNCTION_INFO_V1(profile_recv);
Datum
profile_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int size = in->len - in->cursor;
	struct varlena *value = palloc(size + VARHDRSZ);

	SET_VARSIZE(value, size + VARHDRSZ);
	pq_copymsgbytes(in, VARDATA(value), size);
	if (!ProfileIsValid((uint8 *) VARDATA(value), size))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary form of type profile"),
				 errhint("Only what profile_send of the same format version wrote can be read.")));
	PG_RETURN_POINTER(value);
}

/*
 * ---------- text form: JSON ----------
 *
 *	{"model": "5f1c…", "levels": [254, 127, …], "asymmetric": [2, 3], "numbers": [[41, 120], null],
 *	 "codes": [3, null], "sets": [{"bytes": 2, "bits": [0, 9]}]}
 *
 * A number comes with its code; null means missing.  Names and words are in the model:
 * profile_values shows them.
 */

PG_FUNCTION_INFO_V1(profile_out);
Datum
profile_out(PG_FUNCTION_ARGS)
{
	ProfileView view;
	StringInfoData out;
	int slot = 0;

	OpenProfile(&view, PG_GETARG_DATUM(0));
	initStringInfo(&out);
	appendStringInfo(&out, "{\"model\": \"%016llx\"",
					 (unsigned long long) ProfileFingerprint(&view));
	if (view.head[1] & PROFILE_WEIGHTED)
	{
		appendStringInfoString(&out, ", \"levels\": [");
		for (int i = 0; i < view.nscaled + view.ncoded + view.nsets; i++)
			appendStringInfo(&out, "%s%d", i > 0 ? ", " : "", view.levels[i]);
		appendStringInfoChar(&out, ']');
	}
	if (view.head[1] & PROFILE_ASYMMETRIC)
	{
		const char *separator = "";

		appendStringInfoString(&out, ", \"asymmetric\": [");
		for (int i = 0; i < view.nscaled + view.ncoded + view.nsets; i++)
			if (IsAsymmetric(&view, i))
			{
				appendStringInfo(&out, "%s%d", separator, i);
				separator = ", ";
			}
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoString(&out, ", \"numbers\": [");
	for (; slot < view.nscaled; slot++)
	{
		char number[FLOAT_SHORTEST_DECIMAL_LEN];

		appendStringInfoString(&out, slot > 0 ? ", " : "");
		if (SlotIsMissing(&view, slot))
		{
			appendStringInfoString(&out, "null");
			continue;
		}
		float_to_shortest_decimal_buf(SlotNumber(&view, slot), number);
		appendStringInfo(&out, "[%s, %d]", number, view.codes[slot]);
	}
	appendStringInfoString(&out, "], \"codes\": [");
	for (; slot < view.nscaled + view.ncoded; slot++)
	{
		appendStringInfoString(&out, slot > view.nscaled ? ", " : "");
		if (SlotIsMissing(&view, slot))
			appendStringInfoString(&out, "null");
		else
			appendStringInfo(&out, "%d", view.codes[slot]);
	}
	appendStringInfoString(&out, "], \"sets\": [");
	for (int i = 0; i < view.nsets; i++, slot++)
	{
		const uint8 *bitmap = SetBitmap(&view, i);
		const char *separator = "";

		appendStringInfo(&out, "%s{\"bytes\": %d, \"bits\": ", i > 0 ? ", " : "",
						 view.set_bytes[i]);
		if (SlotIsMissing(&view, slot))
		{
			appendStringInfoString(&out, "null}");
			continue;
		}
		appendStringInfoChar(&out, '[');
		for (int bit = 0; bit < view.set_bytes[i] * 8; bit++)
			if (BitmapHas(bitmap, bit))
			{
				appendStringInfo(&out, "%s%d", separator, bit);
				separator = ", ";
			}
		appendStringInfoString(&out, "]}");
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_CSTRING(out.data);
}

pg_noreturn static void
InputRefused(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input for type profile"), errdetail_internal("%s", detail)));
}

/* A member that is an array of at most MAX_ATTRIBUTES. */
static JsonbContainer *
ArrayMember(JsonbContainer *object, const char *key, int *n)
{
	JsonbValue value;
	JsonbContainer *array;

	if (!JsonMember(object, key, &value))
		InputRefused(psprintf("The member \"%s\" is missing.", key));
	array = JsonArray(&value, key);
	*n = JsonContainerSize(array);
	if (*n > MAX_ATTRIBUTES)
		InputRefused(psprintf("The member \"%s\" is too long.", key));
	return array;
}

static int
SmallCount(const JsonbValue *value, const char *where, int limit)
{
	int64 count = JsonCount(value, where);

	if (count > limit)
		InputRefused(psprintf("A number in \"%s\" is above %d.", where, limit));
	return (int) count;
}

static int
CodeFromJson(const JsonbValue *value, const char *where)
{
	return value->type == jbvNull ? CODE_MISSING : SmallCount(value, where, CODE_MISSING - 1);
}

static uint64
FingerprintFromJson(JsonbContainer *object)
{
	JsonbValue value;
	char *text;
	char *end;
	uint64 fingerprint;

	if (!JsonMember(object, "model", &value))
		InputRefused("The member \"model\" is missing.");
	text = JsonString(&value, "model");
	fingerprint = strtoull(text, &end, 16);
	if (strlen(text) != 16 || *end != '\0')
		InputRefused("The member \"model\" must be 16 hexadecimal digits.");
	return fingerprint;
}

/* A profile that is being read from JSON. */
typedef struct ProfileText
{
	JsonbContainer *root;
	JsonbContainer *numbers;
	JsonbContainer *codes;
	JsonbContainer *sets;
	int nscaled;
	int ncoded;
	int nsets;
	StringInfoData out;     /* everything before the codes */
	StringInfoData bitmaps; /* everything after them */
	StringInfoData floats;
} ProfileText;

static int
SetBytes(JsonbContainer *set)
{
	JsonbValue value;

	if (!JsonMember(set, "bytes", &value))
		InputRefused("A set has no \"bytes\".");
	return SmallCount(&value, "bytes", MAX_SET_BYTES);
}

/* Version … levels. */
static void
HeadFromJson(ProfileText *text)
{
	int natts = text->nscaled + text->ncoded + text->nsets;
	uint8 fingerprint[sizeof(uint64)];
	JsonbValue value;
	bool weighted = JsonMember(text->root, "levels", &value);
	bool asymmetric = JsonMember(text->root, "asymmetric", &value);

	appendStringInfoSpaces(&text->out, VARHDRSZ);
	appendStringInfoChar(&text->out, PROFILE_VERSION);
	appendStringInfoChar(&text->out,
						 (weighted ? PROFILE_WEIGHTED : 0) | (asymmetric ? PROFILE_ASYMMETRIC : 0));
	WriteInt64(fingerprint, (int64) FingerprintFromJson(text->root));
	appendBinaryStringInfo(&text->out, (char *) fingerprint, sizeof(fingerprint));
	appendStringInfoChar(&text->out, text->nscaled);
	appendStringInfoChar(&text->out, text->ncoded);
	appendStringInfoChar(&text->out, text->nsets);
	for (int i = 0; i < text->nsets; i++)
		appendStringInfoChar(
			&text->out, SetBytes(JsonObject(getIthJsonbValueFromContainer(text->sets, i), "sets")));
	if (weighted)
	{
		int nlevels;
		JsonbContainer *levels = ArrayMember(text->root, "levels", &nlevels);

		if (nlevels != natts)
			InputRefused("There must be one of \"levels\" for each attribute.");
		for (int i = 0; i < nlevels; i++)
			appendStringInfoChar(&text->out, SmallCount(getIthJsonbValueFromContainer(levels, i),
														"levels", MAX_LEVELS));
	}
	if (asymmetric)
	{
		uint8 bits[ASYMMETRIC_BYTES(MAX_ATTRIBUTES)] = {0};
		int n;
		JsonbContainer *slots = ArrayMember(text->root, "asymmetric", &n);

		for (int i = 0; i < n; i++)
		{
			int slot = SmallCount(getIthJsonbValueFromContainer(slots, i), "asymmetric", natts - 1);

			bits[slot >> 3] |= 1 << (slot & 7);
		}
		appendBinaryStringInfo(&text->out, (char *) bits, ASYMMETRIC_BYTES(natts));
	}
}

/* null, or [number, code]. */
static void
NumberFromJson(ProfileText *text, const JsonbValue *pair)
{
	float number = get_float4_nan();
	int code = CODE_MISSING;
	uint8 bytes[sizeof(float)];

	if (pair->type != jbvNull)
	{
		JsonbContainer *array = JsonArray(pair, "numbers");

		if (JsonContainerSize(array) != 2)
			InputRefused("A number must be null or [number, code].");
		number = (float) JsonNumber(getIthJsonbValueFromContainer(array, 0), "numbers") + 0.0f;
		code = CodeFromJson(getIthJsonbValueFromContainer(array, 1), "numbers");
	}
	appendStringInfoChar(&text->out, code);
	WriteFloat4(bytes, number);
	appendBinaryStringInfo(&text->floats, (char *) bytes, sizeof(bytes));
}

/* {"bytes": size, "bits": null or [bit, …]}. */
static void
SetFromJson(ProfileText *text, JsonbContainer *set)
{
	uint8 bitmap[MAX_SET_BYTES] = {0};
	int bytes = SetBytes(set);
	JsonbValue value;
	bool present = JsonMember(set, "bits", &value);
	JsonbContainer *bits = present ? JsonArray(&value, "bits") : NULL;

	for (int b = 0; present && b < JsonContainerSize(bits); b++)
	{
		int bit = SmallCount(getIthJsonbValueFromContainer(bits, b), "bits", bytes * 8 - 1);

		CHECK_FOR_INTERRUPTS();
		bitmap[bit >> 3] |= 1 << (bit & 7);
	}
	appendStringInfoChar(&text->out, present ? 0 : (char) CODE_MISSING);
	appendBinaryStringInfo(&text->bitmaps, (char *) bitmap, bytes);
}

PG_FUNCTION_INFO_V1(profile_in);
Datum
profile_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	ProfileText text = {.root = &json->root};
	StringInfo out = &text.out;

	if (!JsonContainerIsObject(text.root))
		InputRefused("It must be a JSON object.");
	text.numbers = ArrayMember(text.root, "numbers", &text.nscaled);
	text.codes = ArrayMember(text.root, "codes", &text.ncoded);
	text.sets = ArrayMember(text.root, "sets", &text.nsets);
	if (text.nscaled + text.ncoded + text.nsets < 1 ||
		text.nscaled + text.ncoded + text.nsets > MAX_ATTRIBUTES)
		InputRefused(psprintf("It must have 1 to %d attributes.", MAX_ATTRIBUTES));

	initStringInfo(out);
	initStringInfo(&text.bitmaps);
	initStringInfo(&text.floats);
	HeadFromJson(&text);
	for (int i = 0; i < text.nscaled; i++)
		NumberFromJson(&text, getIthJsonbValueFromContainer(text.numbers, i));
	for (int i = 0; i < text.ncoded; i++)
		appendStringInfoChar(out,
							 CodeFromJson(getIthJsonbValueFromContainer(text.codes, i), "codes"));
	for (int i = 0; i < text.nsets; i++)
		SetFromJson(&text, JsonObject(getIthJsonbValueFromContainer(text.sets, i), "sets"));
	appendBinaryStringInfo(out, text.bitmaps.data, text.bitmaps.len);
	appendBinaryStringInfo(out, text.floats.data, text.floats.len);
	if (!ProfileIsValid((uint8 *) out->data + VARHDRSZ, out->len - VARHDRSZ))
		InputRefused("A code is above the attribute's levels, or a number is out of range.");
	SET_VARSIZE(out->data, out->len);
	PG_RETURN_POINTER(out->data);
}

/* ---------- similarity ---------- */

uint32
JaccardDistance(const uint8 *a, const uint8 *b, int bytes, uint32 levels)
{
	uint32 both = 0;
	uint32 either = 0;

	for (int i = 0; i < bytes; i++)
	{
		both += pg_number_of_ones[a[i] & b[i]];
		either += pg_number_of_ones[a[i] | b[i]];
	}
	return either == 0 ? 0 : levels - (levels * both + either / 2) / either;
}

void
ProfileDistance(const ProfileView *a, const ProfileView *b, uint32 *num, uint32 *den)
{
	int slot;
	const uint8 *bitmap_a = a->bitmaps;
	const uint8 *bitmap_b = b->bitmaps;
	bool asymmetric = a->asymmetric != NoneAsymmetric;
	uint32 n = 0;
	uint32 d = 0;

	for (slot = 0; slot < a->nscaled; slot++)
		if (!SlotIsMissing(a, slot) && !SlotIsMissing(b, slot))
		{
			n += abs((int) a->codes[slot] - (int) b->codes[slot]);
			d += a->levels[slot];
		}
	for (; slot < a->nscaled + a->ncoded; slot++)
		if (!SlotIsMissing(a, slot) && !SlotIsMissing(b, slot) &&
			!(asymmetric && (a->codes[slot] | b->codes[slot]) == 0 && IsAsymmetric(a, slot)))
		{
			n += a->codes[slot] != b->codes[slot] ? a->levels[slot] : 0;
			d += a->levels[slot];
		}
	for (int i = 0; i < a->nsets; i++, slot++)
	{
		if (!SlotIsMissing(a, slot) && !SlotIsMissing(b, slot) &&
			!(asymmetric && IsAsymmetric(a, slot) && BitmapIsEmpty(bitmap_a, a->set_bytes[i]) &&
			  BitmapIsEmpty(bitmap_b, a->set_bytes[i])))
		{
			n += JaccardDistance(bitmap_a, bitmap_b, a->set_bytes[i], a->levels[slot]);
			d += a->levels[slot];
		}
		bitmap_a += a->set_bytes[i];
		bitmap_b += a->set_bytes[i];
	}
	*num = n;
	*den = d;
}

/* num and den of the first two arguments; false if there is nothing to compare. */
static bool
DistanceOfArguments(FunctionCallInfo fcinfo, uint32 *num, uint32 *den)
{
	ProfileView a;
	ProfileView b;

	OpenProfile(&a, PG_GETARG_DATUM(0));
	OpenProfile(&b, PG_GETARG_DATUM(1));
	CheckSameModel(&a, &b);
	ProfileDistance(&a, &b, num, den);
	return *den > 0;
}

PG_FUNCTION_INFO_V1(profile_similarity);
Datum
profile_similarity(PG_FUNCTION_ARGS)
{
	uint32 num;
	uint32 den;

	if (!DistanceOfArguments(fcinfo, &num, &den))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) (den - num) / (double) den);
}

PG_FUNCTION_INFO_V1(profile_distance);
Datum
profile_distance(PG_FUNCTION_ARGS)
{
	uint32 num;
	uint32 den;

	if (!DistanceOfArguments(fcinfo, &num, &den))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) num / (double) den);
}

/* ---------- in words ---------- */

static char *
SetText(const ProfileView *view, const ProfileAttribute *att)
{
	const uint8 *bitmap = SetBitmap(view, att->slot - view->nscaled - view->ncoded);
	StringInfoData out;
	bool other = false;

	initStringInfo(&out);
	for (int bit = 0; bit < att->set_bytes * 8; bit++)
	{
		if (!BitmapHas(bitmap, bit))
			continue;
		if (bit < att->nvalues)
			appendStringInfo(&out, "%s%s", out.len > 0 ? ", " : "", att->values[bit]);
		else
			other = true;
	}
	if (other)
		appendStringInfo(&out, "%s(other)", out.len > 0 ? ", " : "");
	return out.len > 0 ? out.data : pstrdup("(none)");
}

char *
AttributeValueText(const ProfileView *view, const ProfileAttribute *att)
{
	int code = view->codes[att->slot];

	if (code == CODE_MISSING)
		return NULL;
	if (att->kind == KIND_NUMERIC)
	{
		char *text = palloc(FLOAT_SHORTEST_DECIMAL_LEN);

		float_to_shortest_decimal_buf(SlotNumber(view, att->slot), text);
		return text;
	}
	if (IsScaled(att->kind))
		return ScaledText(att, SlotNumber(view, att->slot));
	if (att->kind == KIND_SET)
		return SetText(view, att);
	return pstrdup(code < att->nvalues ? att->values[code] : "(other)");
}

static inline Datum
TextOrNull(char *text, bool *null)
{
	*null = text == NULL;
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* (profile, model) -> (attribute, kind, value) */
PG_FUNCTION_INFO_V1(profile_values);
Datum
profile_values(PG_FUNCTION_ARGS)
{
	const ProfileModel *model = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(1));
	ProfileView view;

	OpenProfile(&view, PG_GETARG_DATUM(0));
	CheckProfileOfModel(&view, model);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->natts; i++)
	{
		Datum values[3];
		bool nulls[3] = {0};

		values[0] = CStringGetTextDatum(model->atts[i].name);
		values[1] = CStringGetTextDatum(AttributeKindName(model->atts[i].kind));
		values[2] = TextOrNull(AttributeValueText(&view, &model->atts[i]), &nulls[2]);
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* The distance in one slot, in steps; both must have a value. */
static uint32
SlotDistance(const ProfileView *a, const ProfileView *b, int slot)
{
	int set = slot - a->nscaled - a->ncoded;

	if (slot < a->nscaled)
		return abs((int) a->codes[slot] - (int) b->codes[slot]);
	if (set < 0)
		return a->codes[slot] != b->codes[slot] ? a->levels[slot] : 0;
	return JaccardDistance(SetBitmap(a, set), SetBitmap(b, set), a->set_bytes[set],
						   a->levels[slot]);
}

/* Whether both lack what makes nobody alike; both must have a value. */
static bool
BothAreAbsent(const ProfileView *a, const ProfileView *b, int slot)
{
	int set = slot - a->nscaled - a->ncoded;

	if (!IsAsymmetric(a, slot))
		return false;
	if (set < 0)
		return a->codes[slot] == 0 && b->codes[slot] == 0;
	return BitmapIsEmpty(SetBitmap(a, set), a->set_bytes[set]) &&
		   BitmapIsEmpty(SetBitmap(b, set), a->set_bytes[set]);
}

/* (a, b, model) -> (attribute, kind, value_a, value_b, weight, similarity, contribution) */
PG_FUNCTION_INFO_V1(explain_similarity);
Datum
explain_similarity(PG_FUNCTION_ARGS)
{
	const ProfileModel *model = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(2));
	ProfileView a;
	ProfileView b;
	uint32 num;
	uint32 den;

	OpenProfile(&a, PG_GETARG_DATUM(0));
	OpenProfile(&b, PG_GETARG_DATUM(1));
	CheckProfileOfModel(&a, model);
	CheckProfileOfModel(&b, model);
	ProfileDistance(&a, &b, &num, &den);
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];
		Datum values[7] = {0};
		bool nulls[7] = {0};

		values[0] = CStringGetTextDatum(att->name);
		values[1] = CStringGetTextDatum(AttributeKindName(att->kind));
		values[2] = TextOrNull(AttributeValueText(&a, att), &nulls[2]);
		values[3] = TextOrNull(AttributeValueText(&b, att), &nulls[3]);
		values[4] = Float8GetDatum(att->weight);
		nulls[5] = nulls[6] =
			nulls[2] || nulls[3] || att->levels == 0 || BothAreAbsent(&a, &b, att->slot);
		if (!nulls[5])
		{
			double alike = att->levels - SlotDistance(&a, &b, att->slot);

			values[5] = Float8GetDatum(alike / att->levels);
			values[6] = Float8GetDatum(alike / den);
		}
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
