/*
 * profile_encode.c: profile(record, profile_model), a record encoded by a model.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "profile/profile.h"

/* Where an attribute of the model is found in the incoming records. */
typedef struct EncodedColumn
{
	int column; /* index in the record */
	AttributeColumn input;
	double scale; /* steps per unit of a scaled attribute */
} EncodedColumn;

struct RecordEncoder
{
	RecordShape shape;
	uint64 fingerprint;     /* of the model that `columns` is for */
	EncodedColumn *columns; /* one per attribute; NULL if not set up */
	MemoryContext context;
};

/* What profile() keeps between calls. */
typedef struct ProfileCall
{
	ModelCache cache;
	RecordEncoder *encoder;
} ProfileCall;

/* The column of that name, -1 if there is none. */
static int
FindColumn(TupleDesc columns, const char *name)
{
	for (int c = 0; c < columns->natts; c++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, c);

		if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
			return c;
	}
	return -1;
}

static void
CheckColumnIsKnown(const ProfileModel *model, const char *name)
{
	if (FindAttribute(model, name) != NULL)
		return;
	for (int i = 0; i < model->nignored; i++)
		if (strcmp(model->ignored[i], name) == 0)
			return;
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_COLUMN),
		 errmsg("the profile model has no attribute \"%s\"", ShortString(name)),
		 errdetail(
			 "The record has a column of that name; the model was fitted on records without it."),
		 errhint("Pass a record of the model's attributes only: profile(r, model) FROM (SELECT … "
				 "FROM …) AS r; or fit the model with it under \"ignore\".")));
}

/* Finds the model's attributes among the columns of the record. */
static void
SetUpColumns(RecordEncoder *encoder, const ProfileModel *model)
{
	TupleDesc columns = encoder->shape.columns;
	EncodedColumn *found;

	for (int c = 0; c < columns->natts; c++)
	{
		const char *name = NameStr(TupleDescAttr(columns, c)->attname);

		if (TupleDescAttr(columns, c)->attisdropped)
			continue;
		CheckColumnIsKnown(model, name);
		if (FindColumn(columns, name) != c)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
							errmsg("the record has two columns named \"%s\"", name)));
	}

	found = MemoryContextAlloc(encoder->context, (model->natts + 1) * sizeof(EncodedColumn));
	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];
		EncodedColumn *column = &found[i];
		Oid type;

		column->column = FindColumn(columns, att->name);
		if (column->column < 0)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("the record has no column \"%s\"", att->name),
							errdetail("It is an attribute of the profile model."),
							errhint("Columns are found by name; give a missing one as NULL AS %s.",
									quote_identifier(att->name))));
		type = TupleDescAttr(columns, column->column)->atttypid;
		InitAttributeColumn(&column->input, type, encoder->context);
		if (!KindTakesColumn(att->kind, column->input.class))
			ereport(
				ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg(
					 "attribute \"%s\" is %s in the profile model, but has type %s in the record",
					 att->name, AttributeKindName(att->kind), format_type_be(type))));
		column->scale = att->high > att->low ? att->levels / (att->high - att->low) : 0;
	}
	encoder->columns = found;
	encoder->fingerprint = model->fingerprint;
}

static double
NumberOfColumn(const ProfileModel *model, const ProfileAttribute *att, EncodedColumn *column,
			   Datum value)
{
	double number;

	if (att->kind == KIND_DATE)
		return ColumnDay(&column->input, value);
	if (column->input.class == COLUMN_WORD)
	{
		Word word = ColumnWord(&column->input, value);

		if (WordIsMissing(&model->missing, word))
			return get_float8_nan();
		if (!NumberFromWord(word, &number))
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("attribute \"%s\" is numeric in the profile model, but a value is \"%s\"",
						att->name, ShortWord(word)),
				 errhint("If it stands for a missing value, name it in the option \"missing\".")));
	}
	else
		number = ColumnNumber(&column->input, value);
	return NumberIsMissing(&model->missing, number) ? get_float8_nan() : number;
}

/* The code of a scaled value, and its number. */
static uint8
EncodeScaled(const ProfileModel *model, const ProfileAttribute *att, EncodedColumn *column,
			 Datum value, bool null, float *number)
{
	double x = get_float8_nan();

	if (!null && att->kind == KIND_ORDINAL)
	{
		Word word = ColumnWord(&column->input, value);
		int rank = LookUpWord(&att->codes, word, HashWord(word));

		if (rank >= 0)
			x = rank;
	}
	else if (!null)
		x = NumberOfColumn(model, att, column, value);

	if (!isfinite(x))
	{
		*number = get_float4_nan();
		return CODE_MISSING;
	}
	/* + 0.0: a profile has no negative zero */
	*number = (float) Max(Min(x, FLT_MAX), -FLT_MAX) + 0.0f;
	return (uint8) ((Max(Min(x, att->high), att->low) - att->low) * column->scale + 0.5);
}

static uint8
EncodeCoded(const ProfileModel *model, const ProfileAttribute *att, EncodedColumn *column,
			Datum value)
{
	Word word;
	uint64 hash;
	int code;

	if (att->kind == KIND_BOOLEAN && column->input.class == COLUMN_BOOLEAN)
		return DatumGetBool(value) ? 1 : 0;
	word = ColumnWord(&column->input, value);
	hash = HashWord(word);
	code = LookUpWord(&att->codes, word, hash);
	if (code == VALUE_MISSING)
		return CODE_MISSING;
	if (code == VALUE_OTHER && att->kind == KIND_BOOLEAN)
		code = BooleanFromWord(word);
	if (code >= 0)
		return code;
	return att->nvalues + hash % (CODE_MISSING - att->nvalues);
}

static void
EncodeSet(const ProfileModel *model, const ProfileAttribute *att, EncodedColumn *column,
		  Datum value, uint8 *bitmap)
{
	int nwords;
	Word *words = ColumnWords(&column->input, value, &nwords);

	for (int i = 0; i < nwords; i++)
	{
		uint64 hash = HashWord(words[i]);
		int bit = LookUpWord(&att->codes, words[i], hash);

		if (bit == VALUE_MISSING)
			continue;
		if (bit == VALUE_OTHER)
			bit = att->nvalues + hash % SET_OTHER_BITS;
		bitmap[bit >> 3] |= 1 << (bit & 7);
	}
}

/* The record that encoder->shape holds, as a profile. */
static struct varlena *
EncodeColumns(RecordEncoder *encoder, const ProfileModel *model)
{
	struct varlena *profile = palloc0(VARHDRSZ + model->profile_size);
	uint8 *codes = (uint8 *) VARDATA(profile) + model->head_size;
	uint8 *bitmap = codes + model->natts;
	uint8 *numbers =
		(uint8 *) VARDATA(profile) + model->profile_size - model->nscaled * sizeof(float4);

	SET_VARSIZE(profile, VARHDRSZ + model->profile_size);
	memcpy(VARDATA(profile), model->head, model->head_size);
	for (int slot = 0; slot < model->natts; slot++)
	{
		const ProfileAttribute *att = &model->atts[model->slot_att[slot]];
		EncodedColumn *column = &encoder->columns[model->slot_att[slot]];
		Datum value = encoder->shape.values[column->column];
		bool null = encoder->shape.nulls[column->column];

		if (slot < model->nscaled)
		{
			float number;
			uint32 bits;

			codes[slot] = EncodeScaled(model, att, column, value, null, &number);
			memcpy(&bits, &number, sizeof(bits));
			bits = pg_hton32(bits);
			memcpy(numbers + slot * sizeof(bits), &bits, sizeof(bits));
			continue;
		}
		if (null)
			codes[slot] = CODE_MISSING;
		else if (att->kind == KIND_SET)
			EncodeSet(model, att, column, value, bitmap);
		else
			codes[slot] = EncodeCoded(model, att, column, value);
		bitmap += att->set_bytes;
	}
	return profile;
}

RecordEncoder *
NewRecordEncoder(MemoryContext parent)
{
	RecordEncoder *encoder = MemoryContextAllocZero(parent, sizeof(RecordEncoder));

	encoder->context = AllocSetContextCreate(parent, "profile encoder", ALLOCSET_SMALL_SIZES);
	return encoder;
}

struct varlena *
EncodeRecord(RecordEncoder *encoder, const ProfileModel *model, HeapTupleHeader record)
{
	if (encoder->columns != NULL && encoder->fingerprint != model->fingerprint)
		encoder->columns = NULL;
	if (DeformRecord(&encoder->shape, record, encoder->context))
		encoder->columns = NULL;
	if (encoder->columns == NULL)
		SetUpColumns(encoder, model);
	return EncodeColumns(encoder, model);
}

PG_FUNCTION_INFO_V1(profile_from_record);
Datum
profile_from_record(PG_FUNCTION_ARGS)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	ProfileCall *call = (ProfileCall *) fcinfo->flinfo->fn_extra;

	if (call == NULL)
	{
		call = MemoryContextAllocZero(context, sizeof(ProfileCall));
		call->encoder = NewRecordEncoder(context);
		fcinfo->flinfo->fn_extra = call;
	}
	PG_RETURN_POINTER(EncodeRecord(
		call->encoder, CachedModel(&ProfileModelFormat, &call->cache, PG_GETARG_DATUM(1), context),
		PG_GETARG_HEAPTUPLEHEADER(0)));
}
