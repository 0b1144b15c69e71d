/*
 * profile_model.c: the type profile_model, how attributes are encoded.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "base/bytes.h"
#include "base/common.h"
#include "profile/profile_model.h"

static const char *const JointNames[] = {"counts", "ignored", NULL};

static const char *const NumbersNames[] = {"any", "whole", NULL};

static const char *const KindNames[] = {"numeric", "date", "ordinal", "nominal",
										"boolean", "set",  NULL};

const char *
AttributeKindName(AttributeKind kind)
{
	return KindNames[kind];
}

bool
AttributeKindFromName(const char *name, AttributeKind *kind)
{
	int number = WordNumber(KindNames, name, strlen(name));

	*kind = (AttributeKind) number;
	return number >= 0;
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

/* Weights in whole steps: the largest gets MAX_LEVELS, and any above 0 at least one. */
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

/* Assigns slots in the order scaled, coded, sets. */
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

/* The bytes that every profile of the model starts with. */
static void
SetHead(ProfileModel *model)
{
	bool weighted = false;
	bool asymmetric = false;
	int bitmap_size = 0;
	uint8 *p;

	for (int i = 0; i < model->natts; i++)
	{
		weighted |= model->atts[i].levels != MAX_LEVELS;
		asymmetric |= model->atts[i].joint == ABSENCE_IGNORED;
	}

	p = model->head = palloc0(2 + sizeof(uint64) + 3 + 3 * MAX_ATTRIBUTES);
	*p++ = PROFILE_VERSION;
	*p++ = (weighted ? PROFILE_WEIGHTED : 0) | (asymmetric ? PROFILE_ASYMMETRIC : 0);
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
	if (asymmetric)
	{
		for (int slot = 0; slot < model->natts; slot++)
			if (model->atts[model->slot_att[slot]].joint == ABSENCE_IGNORED)
				p[slot >> 3] |= 1 << (slot & 7);
		p += ASYMMETRIC_BYTES(model->natts);
	}
	model->head_size = p - model->head;
	model->profile_size =
		model->head_size + model->natts + bitmap_size + model->nscaled * sizeof(float4);
}

static void
CompleteProfileModel(void *data, uint64 fingerprint)
{
	ProfileModel *model = data;

	for (int i = 0; i < model->natts; i++)
	{
		ProfileAttribute *att = &model->atts[i];

		att->low = att->kind == KIND_DATE ? att->first : att->min;
		att->high = att->kind == KIND_DATE ? att->last : att->max;
		if (att->kind == KIND_ORDINAL)
			att->high = Max(att->nvalues - 1, 0);
		att->set_bytes = att->kind == KIND_SET ? (att->nvalues + SET_OTHER_BITS + 7) / 8 : 0;
		if (!HasRange(att->kind))
			SetWordCodes(&att->codes, att->values, att->nvalues, &model->missing);
	}
	model->fingerprint = fingerprint;
	SetLevels(model);
	SetSlots(model);
	SetHead(model);
}

void
SetRange(ProfileAttribute *att, double low, double high)
{
	bool is_date = att->kind == KIND_DATE;

	att->min = att->kind == KIND_NUMERIC ? low : 0;
	att->max = att->kind == KIND_NUMERIC ? high : 0;
	att->first = is_date ? (DateADT) low : DATEVAL_NOBEGIN;
	att->last = is_date ? (DateADT) high : DATEVAL_NOBEGIN;
}

/* ---------- the type ---------- */

static const ProfileAttribute NoAttribute = {
	.kind = (AttributeKind) -1, .weight = 1, .first = DATEVAL_NOBEGIN, .last = DATEVAL_NOBEGIN};

static const ModelField AttributeFields[] = {
	MODEL_FIELD(ProfileAttribute, "name", name, FIELD_TEXT),
	MODEL_FIELD(ProfileAttribute, "kind", kind, FIELD_WORD, .words = KindNames),
	MODEL_FIELD(ProfileAttribute, "weight", weight, FIELD_NUMBER),
	MODEL_FIELD(ProfileAttribute, "low", min, FIELD_NUMBER),
	MODEL_FIELD(ProfileAttribute, "high", max, FIELD_NUMBER),
	MODEL_FIELD(ProfileAttribute, "first", first, FIELD_DATE),
	MODEL_FIELD(ProfileAttribute, "last", last, FIELD_DATE),
	MODEL_LIST(ProfileAttribute, "values", values, nvalues, FIELD_TEXT, MAX_SET_VALUES),
	MODEL_LIST(ProfileAttribute, "counts", counts, ncounts, FIELD_COUNT, MAX_SET_VALUES),
	MODEL_FIELD(ProfileAttribute, "other", other, FIELD_COUNT),
	MODEL_FIELD(ProfileAttribute, "missing", missing, FIELD_COUNT),
	MODEL_FIELD(ProfileAttribute, "joint_absence", joint, FIELD_WORD, .words = JointNames),
	MODEL_FIELD(ProfileAttribute, "numbers", numbers, FIELD_WORD, .words = NumbersNames),
};
static const ModelGroup AttributeGroup = {.size = sizeof(ProfileAttribute),
										  .defaults = &NoAttribute,
										  .nfields = lengthof(AttributeFields),
										  .fields = AttributeFields};

static const ModelField Fields[] = {
	MODEL_FIELD(ProfileModel, "rows", nrows, FIELD_COUNT),
	MODEL_LIST(ProfileModel, "missing", missing.words, missing.nwords, FIELD_TEXT, MAX_MISSING),
	MODEL_LIST(ProfileModel, "missing_numbers", missing.numbers, missing.nnumbers, FIELD_NUMBER,
			   MAX_MISSING),
	MODEL_LIST(ProfileModel, "ignored", ignored, nignored, FIELD_TEXT, MaxTupleAttributeNumber),
	MODEL_LIST(ProfileModel, "attributes", atts, natts, FIELD_GROUP, MAX_ATTRIBUTES,
			   .group = &AttributeGroup),
};

static void
TidyProfileModel(void *model)
{
	TidyMissing(&((ProfileModel *) model)->missing);
}

/* What is wrong with the range of an attribute. */
static const char *
RangeFault(const ProfileAttribute *att)
{
	bool is_date = att->kind == KIND_DATE;

	if (is_date == DATE_IS_NOBEGIN(att->first) || is_date == DATE_IS_NOBEGIN(att->last) ||
		(att->kind != KIND_NUMERIC && (att->min != 0 || att->max != 0)))
		return psprintf("The range of attribute \"%s\" does not fit its kind.", att->name);
	if (att->first > att->last || att->min > att->max || !isfinite(att->max - att->min))
		return psprintf("The range of attribute \"%s\" must be finite, low before high.",
						att->name);
	return NULL;
}

static const char *
AttributeFault(const ProfileModel *model, const ProfileAttribute *att)
{
	if (att->name[0] == '\0')
		return "An attribute has no name.";
	if (FindAttribute(model, att->name) != att)
		return psprintf("The attribute \"%s\" is there twice.", att->name);
	if (att->weight < 0)
		return psprintf("The weight of attribute \"%s\" is negative.", att->name);
	if (att->nvalues > MaxValues(att->kind) || (att->kind == KIND_BOOLEAN && att->nvalues != 2))
		return psprintf("The dictionary of attribute \"%s\" has a wrong size.", att->name);
	if (att->joint == ABSENCE_IGNORED && att->kind != KIND_BOOLEAN && att->kind != KIND_SET)
		return psprintf("Attribute \"%s\" is no boolean and no set, so nobody lacks it.",
						att->name);
	if (att->numbers == NUMBERS_WHOLE && att->kind != KIND_NUMERIC)
		return psprintf("Attribute \"%s\" is not numeric, so it has no whole numbers.", att->name);
	if (att->ncounts != att->nvalues)
		return psprintf("Attribute \"%s\" has %d values, but %d counts.", att->name, att->nvalues,
						att->ncounts);
	for (int v = 0; v < att->nvalues; v++)
		for (int w = 0; w < v; w++)
			if (strcmp(att->values[v], att->values[w]) == 0)
				return psprintf("The dictionary of attribute \"%s\" has the value \"%s\" twice.",
								att->name, att->values[v]);
	return RangeFault(att);
}

static const char *
ProfileModelFault(const void *data)
{
	const ProfileModel *model = data;
	const char *fault = NULL;

	if (model->natts < 1)
		return "It has no attributes.";
	for (int i = 0; i < model->natts && fault == NULL; i++)
		fault = AttributeFault(model, &model->atts[i]);
	return fault;
}

const ModelFormat ProfileModelFormat = {
	.type = "profile_model",
	.version = 1,
	.max_bytes = 16 * 1024 * 1024,
	.group = {.size = sizeof(ProfileModel), .nfields = lengthof(Fields), .fields = Fields},
	.tidy = TidyProfileModel,
	.fault = ProfileModelFault,
	.complete = CompleteProfileModel,
	.example = "{\"attributes\": [{\"name\": \"age\", \"kind\": \"numeric\", \"low\": 18, "
			   "\"high\": 90}, …]}",
};

MODEL_IO(profile_model, ProfileModelFormat)

/* ---------- the attributes as rows ---------- */

static Datum
TextArray(const char *const *words, int n)
{
	Datum *texts = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		texts[i] = CStringGetTextDatum(words[i]);
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* A number of a scaled attribute as text. */
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
	const ProfileModel *model = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];
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
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* Eight bytes in hexadecimal that tell which models and profiles belong together. */
PG_FUNCTION_INFO_V1(profile_model_fingerprint);
Datum
profile_model_fingerprint(PG_FUNCTION_ARGS)
{
	const ProfileModel *model = ModelArgument(&ProfileModelFormat, fcinfo, 0);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%016llx", (unsigned long long) model->fingerprint)));
}
