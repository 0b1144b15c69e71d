/*
 * match_model.c: the type match_model.
 *
 * The stored form (after the varlena header):
 *
 *	version		1 byte
 *	fingerprint	8 bytes, of the profile model
 *	nscaled, ncoded, nsets		1 byte each
 *	set_bytes	nsets bytes
 *	rows, targets, skipped		varints
 *	intercept, freedom, auc, log_loss	float8 each
 *	deciles		ten of them: varints rows and targets, float8 expected
 *	nfeatures	varint, then for each feature, in order of slot and member:
 *		slot	1 byte
 *		member	1 byte; sets only
 *		nbins	1 byte, then for each bin varints others and targets, float8 points
 *		ranges	scaled only: 1 byte with their number, float4 each
 *		spike	scaled only, if there are bins left: float4
 *		codes	coded only: the bin of each of 255 codes, 1 byte each
 *	profile model	the rest: its stored form, or nothing
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "base/json_read.h"
#include "match/match_model.h"
#include "profile/profile_model.h"

extern Datum profile_model_in(PG_FUNCTION_ARGS);
extern Datum profile_model_out(PG_FUNCTION_ARGS);
extern Datum profile_model_recv(PG_FUNCTION_ARGS);

static inline bool
FeatureIsScaled(const MatchModel *model, const MatchFeature *feature)
{
	return feature->slot < model->nscaled;
}

static inline bool
FeatureIsSet(const MatchModel *model, const MatchFeature *feature)
{
	return feature->slot >= model->nscaled + model->ncoded;
}

/* ---------- the one check ---------- */

/* What is wrong with the bins of a feature; NULL: nothing. */
static const char *
FeatureFault(const MatchModel *model, const MatchFeature *feature)
{
	if (feature->nbins < 2 || feature->nbins > MAX_FEATURE_BINS)
		return "The number of bins is out of range.";
	for (int b = 0; b < feature->nbins; b++)
		if (feature->count[b].others < 0 || feature->count[b].targets < 0 ||
			!isfinite(feature->points[b]))
			return "A bin is out of range.";
	if (FeatureIsScaled(model, feature))
	{
		if (feature->nranges < 1 || feature->nranges + feature->has_spike != feature->nbins - 1)
			return "The number of ranges does not fit the bins.";
		if (feature->has_spike && isnan(feature->spike))
			return "A value of its own is not a number.";
		for (int i = 0; i < feature->nranges; i++)
			if (isnan(feature->low[i]) || (i > 0 && feature->low[i] <= feature->low[i - 1]))
				return "Ranges are not in order.";
	}
	else if (FeatureIsSet(model, feature))
	{
		int set = feature->slot - model->nscaled - model->ncoded;

		if (feature->nbins > 3 || feature->member < 0 ||
			feature->member >= model->set_bytes[set] * 8)
			return "A member of a set is out of range.";
	}
	else
		for (int code = 0; code < CODE_MISSING; code++)
			if (feature->code_bin[code] < 1 || feature->code_bin[code] >= feature->nbins)
				return "A value's bin is out of range.";
	return NULL;
}

/* What is wrong with a model that comes from outside; NULL: nothing. */
static const char *
ModelFault(const MatchModel *model)
{
	const Scorecard *card = &model->card;
	int nslots = model->nscaled + model->ncoded + model->nsets;

	if (nslots < 1 || nslots > MAX_ATTRIBUTES)
		return "The number of attributes is out of range.";
	if (card->ntargets < 0 || card->nrows < card->ntargets || model->skipped < 0)
		return "A number of rows is out of range.";
	if (!isfinite(card->intercept) || !isfinite(card->freedom) || card->freedom <= 0 ||
		!(card->quality.auc >= 0 && card->quality.auc <= 1) || !isfinite(card->quality.log_loss) ||
		card->quality.log_loss < 0)
		return "A figure of the fit is out of range.";
	for (int d = 0; d < SCORECARD_DECILES; d++)
		if (card->quality.decile[d].rows < 0 || card->quality.decile[d].targets < 0 ||
			!isfinite(card->quality.decile[d].expected))
			return "A decile is out of range.";
	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];
		const char *fault;

		if (feature->slot < 0 || feature->slot >= nslots)
			return "A slot is out of range.";
		if (i > 0 && (feature->slot < feature[-1].slot ||
					  (feature->slot == feature[-1].slot && feature->member <= feature[-1].member)))
			return "Attributes are not in order.";
		fault = FeatureFault(model, feature);
		if (fault != NULL)
			return fault;
	}
	if (model->words != NULL)
	{
		const ProfileModel *words = model->words;

		if (words->fingerprint != model->fingerprint || words->nscaled != model->nscaled ||
			words->ncoded != model->ncoded || words->nsets != model->nsets)
			return "It carries another profile model than the one it was fitted with.";
		for (int i = 0; i < model->nsets; i++)
			if (words->atts[words->slot_att[model->nscaled + model->ncoded + i]].set_bytes !=
				model->set_bytes[i])
				return "It carries another profile model than the one it was fitted with.";
	}
	return NULL;
}

/* ---------- stored form ---------- */

static void
AppendVarint(StringInfo out, uint64 v)
{
	uint8 bytes[MAX_VARINT];

	appendBinaryStringInfo(out, (char *) bytes, WriteVarint(bytes, v) - bytes);
}

static void
AppendFloat8(StringInfo out, double v)
{
	uint8 bytes[sizeof(double)];

	WriteFloat8(bytes, v);
	appendBinaryStringInfo(out, (char *) bytes, sizeof(bytes));
}

static void
AppendFloat4(StringInfo out, float v)
{
	uint32 bits;

	memcpy(&bits, &v, sizeof(bits));
	bits = pg_hton32(bits);
	appendBinaryStringInfo(out, (char *) &bits, sizeof(bits));
}

static float
ReadFloat4(ByteReader *r)
{
	uint32 bits = 0;
	float v;

	for (int i = 0; i < sizeof(bits); i++)
		bits = bits << 8 | ReadByte(r);
	memcpy(&v, &bits, sizeof(v));
	return v;
}

static void
AppendFeature(StringInfo out, const MatchModel *model, const MatchFeature *feature)
{
	appendStringInfoChar(out, (char) feature->slot);
	if (FeatureIsSet(model, feature))
		appendStringInfoChar(out, (char) feature->member);
	appendStringInfoChar(out, (char) feature->nbins);
	for (int b = 0; b < feature->nbins; b++)
	{
		AppendVarint(out, feature->count[b].others);
		AppendVarint(out, feature->count[b].targets);
		AppendFloat8(out, feature->points[b]);
	}
	if (FeatureIsScaled(model, feature))
	{
		appendStringInfoChar(out, (char) feature->nranges);
		for (int i = 0; i < feature->nranges; i++)
			AppendFloat4(out, feature->low[i]);
		if (feature->has_spike)
			AppendFloat4(out, feature->spike);
	}
	else if (!FeatureIsSet(model, feature))
		appendBinaryStringInfo(out, (const char *) feature->code_bin, CODE_MISSING);
}

Datum
MatchModelGetDatum(const MatchModel *model)
{
	const Scorecard *card = &model->card;
	const char *fault = ModelFault(model);
	StringInfoData out;

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input for type match_model"), errdetail_internal("%s", fault)));
	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, MATCH_MODEL_VERSION);
	enlargeStringInfo(&out, sizeof(uint64));
	WriteInt64((uint8 *) out.data + out.len, (int64) model->fingerprint);
	out.len += sizeof(uint64);
	appendStringInfoChar(&out, (char) model->nscaled);
	appendStringInfoChar(&out, (char) model->ncoded);
	appendStringInfoChar(&out, (char) model->nsets);
	appendBinaryStringInfo(&out, (const char *) model->set_bytes, model->nsets);
	AppendVarint(&out, card->nrows);
	AppendVarint(&out, card->ntargets);
	AppendVarint(&out, model->skipped);
	AppendFloat8(&out, card->intercept);
	AppendFloat8(&out, card->freedom);
	AppendFloat8(&out, card->quality.auc);
	AppendFloat8(&out, card->quality.log_loss);
	for (int d = 0; d < SCORECARD_DECILES; d++)
	{
		AppendVarint(&out, card->quality.decile[d].rows);
		AppendVarint(&out, card->quality.decile[d].targets);
		AppendFloat8(&out, card->quality.decile[d].expected);
	}
	AppendVarint(&out, model->nfeatures);
	for (int i = 0; i < model->nfeatures; i++)
		AppendFeature(&out, model, &model->features[i]);
	if (model->profile_model != NULL)
		appendBinaryStringInfo(&out, VARDATA_ANY(model->profile_model),
							   VARSIZE_ANY_EXHDR(model->profile_model));
	SET_VARSIZE(out.data, out.len);
	return PointerGetDatum(out.data);
}

static void
ReadFeature(ByteReader *r, const MatchModel *model, MatchFeature *feature)
{
	feature->slot = ReadByte(r);
	feature->member = FeatureIsSet(model, feature) ? ReadByte(r) : -1;
	feature->nbins = ReadByte(r);
	if (feature->nbins > MAX_FEATURE_BINS)
	{
		r->failed = true;
		return;
	}
	for (int b = 0; b < feature->nbins; b++)
	{
		feature->count[b].others = (int64) ReadVarint(r);
		feature->count[b].targets = (int64) ReadVarint(r);
		feature->points[b] = ReadFloat8(r);
	}
	if (FeatureIsScaled(model, feature))
	{
		feature->nranges = ReadByte(r);
		if (feature->nranges >= feature->nbins)
		{
			r->failed = true;
			return;
		}
		for (int i = 0; i < feature->nranges; i++)
			feature->low[i] = ReadFloat4(r);
		feature->has_spike = feature->nranges < feature->nbins - 1;
		if (feature->has_spike)
			feature->spike = ReadFloat4(r);
	}
	else if (!FeatureIsSet(model, feature))
		for (int code = 0; code < CODE_MISSING; code++)
			feature->code_bin[code] = ReadByte(r);
}

/* Decodes the stored form; NULL: it is none. */
static MatchModel *
ReadModel(const struct varlena *value)
{
	ByteReader reader;
	ByteReader *r = &reader;
	MatchModel *model = palloc0(sizeof(MatchModel));
	uint64 nfeatures;

	ByteReaderInit(r, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (ReadByte(r) != MATCH_MODEL_VERSION)
		return NULL;
	model->fingerprint = (uint64) ReadInt64(r);
	model->nscaled = ReadByte(r);
	model->ncoded = ReadByte(r);
	model->nsets = ReadByte(r);
	if (model->nsets > MAX_ATTRIBUTES)
		return NULL;
	for (int i = 0; i < model->nsets; i++)
		model->set_bytes[i] = ReadByte(r);
	model->card.nrows = (int64) ReadVarint(r);
	model->card.ntargets = (int64) ReadVarint(r);
	model->skipped = (int64) ReadVarint(r);
	model->card.intercept = ReadFloat8(r);
	model->card.freedom = ReadFloat8(r);
	model->card.quality.auc = ReadFloat8(r);
	model->card.quality.log_loss = ReadFloat8(r);
	for (int d = 0; d < SCORECARD_DECILES; d++)
	{
		model->card.quality.decile[d].rows = (int64) ReadVarint(r);
		model->card.quality.decile[d].targets = (int64) ReadVarint(r);
		model->card.quality.decile[d].expected = ReadFloat8(r);
	}
	nfeatures = ReadVarint(r);
	/* a feature takes 22 bytes at least: no more memory than the value warrants */
	if (r->failed || nfeatures > (r->end - r->next) / 22)
		return NULL;
	model->nfeatures = (int) nfeatures;
	model->features = palloc0(sizeof(MatchFeature) * (nfeatures + 1));
	for (int i = 0; i < model->nfeatures && !r->failed; i++)
		ReadFeature(r, model, &model->features[i]);
	if (r->failed)
		return NULL;
	if (r->next < r->end)
	{
		Size size = r->end - r->next;

		model->profile_model = palloc(size + VARHDRSZ);
		SET_VARSIZE(model->profile_model, size + VARHDRSZ);
		memcpy(VARDATA(model->profile_model), r->next, size);
	}
	return model;
}

MatchModel *
MatchModelFromDatum(Datum value)
{
	MatchModel *model = ReadModel(PG_DETOAST_DATUM_PACKED(value));

	if (model == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid match_model"),
						errhint("It may be of a newer version of the extension.")));
	if (model->profile_model != NULL)
		model->words = ProfileModelFromDatum(PointerGetDatum(model->profile_model));
	return model;
}

static void *
DecodeMatchModel(const struct varlena *value)
{
	return MatchModelFromDatum(PointerGetDatum(value));
}

const MatchModel *
MatchModelArgument(FunctionCallInfo fcinfo, int n)
{
	struct varlena *raw = (struct varlena *) DatumGetPointer(PG_GETARG_DATUM(n));

	/* the bytes as they came tell: equal pointers into a toast table are equal values */
	if (VARATT_IS_EXTERNAL(raw) && !VARATT_IS_EXTERNAL_ONDISK(raw))
		raw = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(n));
	return DecodeOnce(fcinfo, raw, DecodeMatchModel);
}

/* ---------- binary form: the stored bytes ---------- */

PG_FUNCTION_INFO_V1(match_model_send);
Datum
match_model_send(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbytes(&out, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* The profile model inside goes through the check of its own type. */
static void
CheckEmbedded(struct varlena *profile_model)
{
	StringInfoData message;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, VARDATA(profile_model), VARSIZE(profile_model) - VARHDRSZ);
	DirectFunctionCall1(profile_model_recv, PointerGetDatum(&message));
}

PG_FUNCTION_INFO_V1(match_model_recv);
Datum
match_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int size = in->len - in->cursor;
	struct varlena *value = palloc(size + VARHDRSZ);
	MatchModel *model;

	SET_VARSIZE(value, size + VARHDRSZ);
	pq_copymsgbytes(in, VARDATA(value), size);
	model = ReadModel(value);
	if (model != NULL && model->profile_model != NULL)
	{
		CheckEmbedded(model->profile_model);
		model->words = ProfileModelFromDatum(PointerGetDatum(model->profile_model));
	}
	if (model != NULL && ModelFault(model) == NULL)
	{
		struct varlena *again = (struct varlena *) DatumGetPointer(MatchModelGetDatum(model));

		if (VARSIZE(again) == VARSIZE(value) && memcmp(again, value, VARSIZE(value)) == 0)
			PG_RETURN_POINTER(value);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid binary form of type match_model"),
			 errhint("Only what match_model_send of the same format version wrote can be read.")));
}

/* ---------- text form: JSON ---------- */

static void
AppendNumberText(StringInfo out, double v)
{
	char buffer[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(v, buffer);
	appendStringInfoString(out, buffer);
}

/* A float4 in as few digits as it takes; JSON knows no infinity. */
static void
AppendFloatText(StringInfo out, float v)
{
	char buffer[FLOAT_SHORTEST_DECIMAL_LEN];

	if (isinf(v))
	{
		appendStringInfoString(out, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
		return;
	}
	float_to_shortest_decimal_buf(v, buffer);
	appendStringInfoString(out, buffer);
}

static void
AppendFeatureText(StringInfo out, const MatchModel *model, const MatchFeature *feature)
{
	appendStringInfo(out, "{\"slot\": %d", feature->slot);
	if (FeatureIsSet(model, feature))
		appendStringInfo(out, ", \"member\": %d", feature->member);
	appendStringInfoString(out, ", \"bins\": [");
	for (int b = 0; b < feature->nbins; b++)
	{
		appendStringInfo(out, "%s[" INT64_FORMAT ", " INT64_FORMAT ", ", b > 0 ? ", " : "",
						 feature->count[b].others, feature->count[b].targets);
		AppendNumberText(out, feature->points[b]);
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, ']');
	if (FeatureIsScaled(model, feature))
	{
		appendStringInfoString(out, ", \"low\": [");
		for (int i = 0; i < feature->nranges; i++)
		{
			if (i > 0)
				appendStringInfoString(out, ", ");
			AppendFloatText(out, feature->low[i]);
		}
		appendStringInfoChar(out, ']');
		if (feature->has_spike)
		{
			appendStringInfoString(out, ", \"spike\": ");
			AppendFloatText(out, feature->spike);
		}
	}
	else if (!FeatureIsSet(model, feature))
	{
		int shown = CODE_MISSING;

		/* the codes from some point on mostly share a bin: once is enough */
		while (shown > 1 && feature->code_bin[shown - 1] == feature->code_bin[shown - 2])
			shown--;
		appendStringInfoString(out, ", \"codes\": [");
		for (int code = 0; code < shown; code++)
			appendStringInfo(out, "%s%d", code > 0 ? ", " : "", feature->code_bin[code]);
		appendStringInfoChar(out, ']');
	}
	appendStringInfoChar(out, '}');
}

PG_FUNCTION_INFO_V1(match_model_out);
Datum
match_model_out(PG_FUNCTION_ARGS)
{
	const MatchModel *model = MatchModelFromDatum(PG_GETARG_DATUM(0));
	const Scorecard *card = &model->card;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out,
					 "{\"rows\": " INT64_FORMAT ", \"targets\": " INT64_FORMAT
					 ", \"skipped\": " INT64_FORMAT ", \"auc\": ",
					 card->nrows, card->ntargets, model->skipped);
	AppendNumberText(&out, card->quality.auc);
	appendStringInfoString(&out, ", \"log_loss\": ");
	AppendNumberText(&out, card->quality.log_loss);
	appendStringInfoString(&out, ", \"freedom\": ");
	AppendNumberText(&out, card->freedom);
	appendStringInfoString(&out, ", \"intercept\": ");
	AppendNumberText(&out, card->intercept);
	appendStringInfoString(&out, ", \"deciles\": [");
	for (int d = 0; d < SCORECARD_DECILES; d++)
	{
		appendStringInfo(&out, "%s[" INT64_FORMAT ", " INT64_FORMAT ", ", d > 0 ? ", " : "",
						 card->quality.decile[d].rows, card->quality.decile[d].targets);
		AppendNumberText(&out, card->quality.decile[d].expected);
		appendStringInfoChar(&out, ']');
	}
	appendStringInfo(
		&out, "], \"fingerprint\": \"%016llx\", \"slots\": [%d, %d, %d], \"set_bytes\": [",
		(unsigned long long) model->fingerprint, model->nscaled, model->ncoded, model->nsets);
	for (int i = 0; i < model->nsets; i++)
		appendStringInfo(&out, "%s%d", i > 0 ? ", " : "", model->set_bytes[i]);
	appendStringInfoString(&out, "], \"features\": [");
	for (int i = 0; i < model->nfeatures; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		AppendFeatureText(&out, model, &model->features[i]);
	}
	appendStringInfoChar(&out, ']');
	if (model->profile_model != NULL)
		appendStringInfo(&out, ", \"profile_model\": %s",
						 DatumGetCString(DirectFunctionCall1(
							 profile_model_out, PointerGetDatum(model->profile_model))));
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

static int64
NeededCount(JsonbContainer *object, const char *key)
{
	JsonbValue value = JsonNeededMember(object, key, "match_model");

	return JsonCount(&value, key);
}

static double
NeededNumber(JsonbContainer *object, const char *key)
{
	JsonbValue value = JsonNeededMember(object, key, "match_model");

	return JsonNumber(&value, key);
}

/* An array of least .. most elements. */
static JsonbContainer *
NeededArray(JsonbContainer *object, const char *key, int least, int most, int *n)
{
	JsonbValue value = JsonNeededMember(object, key, "match_model");
	JsonbContainer *array = JsonArray(&value, key);

	*n = JsonContainerSize(array);
	if (*n < least || *n > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type match_model"),
						errdetail("The array \"%s\" has %d elements, %d to %d are expected.", key,
								  *n, least, most)));
	return array;
}

/* A whole number 0 .. 255; what does not fit becomes 255 and is refused by the check. */
static int
SmallNumber(const JsonbValue *value, const char *where)
{
	return (int) Min(JsonCount(value, where), PG_UINT8_MAX);
}

static float
FloatFromJson(const JsonbValue *value, const char *where)
{
	if (value->type == jbvString)
	{
		char *text = JsonString(value, where);

		if (strcmp(text, "Infinity") == 0)
			return HUGE_VALF;
		if (strcmp(text, "-Infinity") == 0)
			return -HUGE_VALF;
	}
	/* rounding twice is harmless: a float4's shortest digits lie nearest to it */
	return (float) JsonNumber(value, where);
}

/* One of the triples [count, count, number]. */
static void
TripleFromJson(JsonbContainer *array, int i, const char *where, int64 *first, int64 *second,
			   double *third)
{
	JsonbContainer *triple = JsonArray(getIthJsonbValueFromContainer(array, i), where);

	if (JsonContainerSize(triple) != 3)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type match_model"),
						errdetail("The elements of \"%s\" are arrays of three numbers.", where)));
	*first = JsonCount(getIthJsonbValueFromContainer(triple, 0), where);
	*second = JsonCount(getIthJsonbValueFromContainer(triple, 1), where);
	*third = JsonNumber(getIthJsonbValueFromContainer(triple, 2), where);
}

static void
FeatureFromJson(const MatchModel *model, MatchFeature *feature, JsonbContainer *object)
{
	JsonbValue value = JsonNeededMember(object, "slot", "match_model");
	JsonbContainer *array;
	int n;

	feature->slot = SmallNumber(&value, "slot");
	feature->member = -1;
	if (FeatureIsSet(model, feature))
	{
		value = JsonNeededMember(object, "member", "match_model");
		feature->member = SmallNumber(&value, "member");
	}
	array = NeededArray(object, "bins", 2, MAX_FEATURE_BINS, &feature->nbins);
	for (int b = 0; b < feature->nbins; b++)
		TripleFromJson(array, b, "bins", &feature->count[b].others, &feature->count[b].targets,
					   &feature->points[b]);
	if (FeatureIsScaled(model, feature))
	{
		array = NeededArray(object, "low", 1, feature->nbins - 1, &feature->nranges);
		for (int i = 0; i < feature->nranges; i++)
			feature->low[i] = FloatFromJson(getIthJsonbValueFromContainer(array, i), "low");
		feature->has_spike = JsonMember(object, "spike", &value);
		if (feature->has_spike)
			feature->spike = FloatFromJson(&value, "spike");
	}
	else if (!FeatureIsSet(model, feature))
	{
		array = NeededArray(object, "codes", 1, CODE_MISSING, &n);
		for (int code = 0; code < CODE_MISSING; code++)
			feature->code_bin[code] =
				code < n ? SmallNumber(getIthJsonbValueFromContainer(array, code), "codes")
						 : feature->code_bin[code - 1];
	}
}

/* The three groups of slots, and the sizes of sets. */
static void
LayoutFromJson(MatchModel *model, JsonbContainer *object)
{
	JsonbValue value = JsonNeededMember(object, "fingerprint", "match_model");
	char *text = JsonString(&value, "fingerprint");
	JsonbContainer *array;
	int n;

	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type match_model"),
						errdetail("The fingerprint must have 16 hexadecimal digits.")));
	model->fingerprint = strtoull(text, NULL, 16);
	array = NeededArray(object, "slots", 3, 3, &n);
	model->nscaled = SmallNumber(getIthJsonbValueFromContainer(array, 0), "slots");
	model->ncoded = SmallNumber(getIthJsonbValueFromContainer(array, 1), "slots");
	model->nsets = SmallNumber(getIthJsonbValueFromContainer(array, 2), "slots");
	model->nsets = Min(model->nsets, MAX_ATTRIBUTES);
	array = NeededArray(object, "set_bytes", model->nsets, model->nsets, &n);
	for (int i = 0; i < n; i++)
		model->set_bytes[i] = SmallNumber(getIthJsonbValueFromContainer(array, i), "set_bytes");
}

PG_FUNCTION_INFO_V1(match_model_in);
Datum
match_model_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	JsonbContainer *object = &json->root;
	MatchModel *model = palloc0(sizeof(MatchModel));
	Scorecard *card = &model->card;
	JsonbContainer *array;
	JsonbValue value;
	int n;

	if (!JsonContainerIsObject(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input for type match_model"),
						errdetail("It must be a JSON object.")));
	card->nrows = NeededCount(object, "rows");
	card->ntargets = NeededCount(object, "targets");
	model->skipped = NeededCount(object, "skipped");
	card->quality.auc = NeededNumber(object, "auc");
	card->quality.log_loss = NeededNumber(object, "log_loss");
	card->freedom = NeededNumber(object, "freedom");
	card->intercept = NeededNumber(object, "intercept");
	array = NeededArray(object, "deciles", SCORECARD_DECILES, SCORECARD_DECILES, &n);
	for (int d = 0; d < n; d++)
		TripleFromJson(array, d, "deciles", &card->quality.decile[d].rows,
					   &card->quality.decile[d].targets, &card->quality.decile[d].expected);
	LayoutFromJson(model, object);
	array =
		NeededArray(object, "features", 0, MAX_ATTRIBUTES * (MAX_SET_BYTES * 8), &model->nfeatures);
	model->features = palloc_extended(sizeof(MatchFeature) * (model->nfeatures + 1),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < model->nfeatures; i++)
	{
		CHECK_FOR_INTERRUPTS();
		FeatureFromJson(model, &model->features[i],
						JsonObject(getIthJsonbValueFromContainer(array, i), "features"));
	}
	if (JsonMember(object, "profile_model", &value))
	{
		Jsonb *inner = JsonbValueToJsonb(&value);
		char *text = JsonbToCString(NULL, &inner->root, VARSIZE(inner));

		model->profile_model = (struct varlena *) DatumGetPointer(
			DirectFunctionCall1(profile_model_in, CStringGetDatum(text)));
		model->words = ProfileModelFromDatum(PointerGetDatum(model->profile_model));
	}
	PG_RETURN_DATUM(MatchModelGetDatum(model));
}

/* ---------- profiles and their bins ---------- */

void
OpenProfileOfMatch(ProfileView *view, Datum profile, const MatchModel *model)
{
	OpenProfile(view, profile);
	if (unlikely(ProfileFingerprint(view) != model->fingerprint ||
				 view->nscaled != model->nscaled || view->ncoded != model->ncoded ||
				 view->nsets != model->nsets ||
				 memcmp(view->set_bytes, model->set_bytes, model->nsets) != 0))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the profile was made with another profile_model than the match_model"),
			 errdetail("The profile's model is %016llx, the match_model was fitted with %016llx.",
					   (unsigned long long) ProfileFingerprint(view),
					   (unsigned long long) model->fingerprint),
			 errhint("Encode customers and prospects with one and the same profile_model.")));
}

int
FeatureBin(const MatchFeature *feature, const ProfileView *view)
{
	if (SlotIsMissing(view, feature->slot))
		return MISSING_BIN;
	if (feature->slot < view->nscaled)
	{
		float number = SlotNumber(view, feature->slot);
		int first = 0;
		int last = feature->nranges - 1;

		if (feature->has_spike && number == feature->spike)
			return feature->nbins - 1;
		/* the last range that begins at or below the number */
		while (first < last)
		{
			int middle = (first + last + 1) / 2;

			if (feature->low[middle] <= number)
				first = middle;
			else
				last = middle - 1;
		}
		return first + 1;
	}
	if (feature->member < 0)
		return feature->code_bin[view->codes[feature->slot]];
	return Min(feature->nbins - 1,
			   1 + BitmapHas(SetBitmap(view, feature->slot - view->nscaled - view->ncoded),
							 feature->member));
}

double
MatchLogOdds(const MatchModel *model, const ProfileView *view)
{
	double sum = model->card.intercept;

	for (int i = 0; i < model->nfeatures; i++)
		sum += model->features[i].points[FeatureBin(&model->features[i], view)];
	return sum;
}

/* ---------- words ---------- */

/* The attribute of a feature; NULL: the model does not carry names. */
static const ProfileAttribute *
FeatureAttribute(const MatchModel *model, const MatchFeature *feature)
{
	return model->words == NULL ? NULL : &model->words->atts[model->words->slot_att[feature->slot]];
}

const char *
FeatureName(const MatchModel *model, const MatchFeature *feature)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	return att != NULL ? att->name : psprintf("slot %d", feature->slot);
}

/* A number of a scaled slot: a number, a day or the word of a rank. */
static char *
NumberText(const ProfileAttribute *att, float number)
{
	char *text;

	if (att != NULL && att->kind != KIND_NUMERIC)
		return ScaledText(att, number);
	text = palloc(FLOAT_SHORTEST_DECIMAL_LEN);
	float_to_shortest_decimal_buf(number, text);
	return text;
}

/* The word of a code or of a member. */
static const char *
DictionaryText(const ProfileAttribute *att, int code)
{
	if (att == NULL)
		return psprintf("value %d", code);
	return code < att->nvalues ? att->values[code] : "(other)";
}

static char *
RangeLabel(const ProfileAttribute *att, const MatchFeature *feature, int bin)
{
	int range = bin - 1;

	if (feature->has_spike && bin == feature->nbins - 1)
		return NumberText(att, feature->spike);
	if (feature->nranges == 1)
		return pstrdup(feature->has_spike ? "any other" : "any");
	if (range == 0)
		return psprintf("below %s", NumberText(att, feature->low[1]));
	if (range == feature->nranges - 1)
		return psprintf("%s and more", NumberText(att, feature->low[range]));
	return psprintf("%s to below %s", NumberText(att, feature->low[range]),
					NumberText(att, feature->low[range + 1]));
}

/* The words of a group of codes; those outside of the dictionary once. */
static char *
CodesLabel(const ProfileAttribute *att, const MatchFeature *feature, int bin)
{
	StringInfoData label;
	int nvalues = att != NULL ? att->nvalues : CODE_MISSING;
	bool other = false;

	initStringInfo(&label);
	for (int code = 0; code < CODE_MISSING; code++)
	{
		if (feature->code_bin[code] != bin)
			continue;
		if (code >= nvalues)
			other = true;
		else
			appendStringInfo(&label, "%s%s", label.len > 0 ? ", " : "", DictionaryText(att, code));
	}
	if (other && att != NULL && (att->other > 0 || label.len == 0))
		appendStringInfo(&label, "%s(other)", label.len > 0 ? ", " : "");
	return label.data;
}

char *
BinLabel(const MatchModel *model, const MatchFeature *feature, int bin)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	if (bin == MISSING_BIN)
		return pstrdup("(missing)");
	if (FeatureIsScaled(model, feature))
		return RangeLabel(att, feature, bin);
	if (!FeatureIsSet(model, feature))
		return CodesLabel(att, feature, bin);
	if (feature->nbins == 2)
		return pstrdup("any");
	return psprintf("%s%s", bin == 1 ? "without " : "", DictionaryText(att, feature->member));
}

char *
FeatureValue(const MatchModel *model, const MatchFeature *feature, const ProfileView *view)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	if (SlotIsMissing(view, feature->slot))
		return pstrdup("(missing)");
	if (FeatureIsScaled(model, feature))
		return NumberText(att, SlotNumber(view, feature->slot));
	if (!FeatureIsSet(model, feature))
		return pstrdup(DictionaryText(att, view->codes[feature->slot]));
	return BinLabel(model, feature, FeatureBin(feature, view));
}
