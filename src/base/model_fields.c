/*
 * model_fields.c: the values of fields in a struct, and the check of a model.
 */
#include "postgres.h"

#include <math.h>

#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/model_fields.h"

int
WordNumber(const char *const *words, const char *text, Size length)
{
	for (int i = 0; words[i]; i++)
		if (length > 0 && words[i][0] == text[0] && strlen(words[i]) == length &&
			memcmp(words[i], text, length) == 0)
			return i;
	return -1;
}

Size
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

char *
MakeList(const ModelField *field, void *data, int length)
{
	*LengthOf(field, data) = length;
	if (!field->in_place)
		*(char **) ((char *) data + field->offset) = palloc_extended(
			mul_size(Max(length, 1), ElementSize(field)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	return PlaceOf(field, data);
}

void
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

bool
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

Decimal
MinimalDecimal(const Decimal *given)
{
	Decimal decimal = *given;

	for (; decimal.scale > 0 && decimal.mantissa % 10 == 0; decimal.scale--)
		decimal.mantissa /= 10;
	return decimal;
}

/* ---------- the check ---------- */

static const char *FieldsFault(const ModelGroup *group, void *data);

const char *
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

const char *
ModelFault(const ModelFormat *format, void *model)
{
	const char *fault;

	if (format->tidy != NULL)
		format->tidy(model);
	fault = FieldsFault(&format->group, model);
	return fault != NULL ? fault : format->fault(model);
}
