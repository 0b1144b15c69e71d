/*
 * model_fields.h: tables of fields that say how a struct is read, written and checked.
 */
#ifndef CRM_MODEL_FIELDS_H
#define CRM_MODEL_FIELDS_H

#include "base/decimal.h"

typedef enum FieldKind
{
	FIELD_WORD,     /* int32 or enum: one of `words` */
	FIELD_BYTE,     /* uint8 */
	FIELD_INT,      /* int32, not negative */
	FIELD_COUNT,    /* int64, not negative */
	FIELD_DATE,     /* DateADT; -infinity: none */
	FIELD_NUMBER,   /* double, finite */
	FIELD_FLOAT,    /* float4, may be infinite */
	FIELD_DECIMAL,  /* Decimal */
	FIELD_INTERVAL, /* Interval; zero: none */
	FIELD_HASH,     /* uint64, in text 16 hexadecimal digits */
	FIELD_TEXT,     /* const char *, default "" */
	FIELD_GROUP,    /* the struct of `group` */
	FIELD_MODEL,    /* pointer to the struct of `format`; NULL: none */
} FieldKind;

struct ModelGroup;
struct ModelFormat;

/* One value, `count` of them, or a list of 0 … `max_length` whose length is kept in the struct. */
typedef struct ModelField
{
	const char *name;
	FieldKind kind;
	Size offset;    /* in the struct */
	int count;      /* 0: one value */
	int max_length; /* above 0: a list */
	Size length;    /* lists: offset of the int that holds the length */
	bool in_place;  /* lists: the struct holds `max_length` elements, not a pointer to them */
	const char *const *words; /* ends with NULL */
	const struct ModelGroup *group;
	const struct ModelFormat *format;
} ModelField;

#define MODEL_FIELD(type, name, member, kind, ...)                                                 \
	{                                                                                              \
		name, kind, offsetof(type, member), __VA_ARGS__                                            \
	}
#define MODEL_LIST(type, name, member, length_member, kind, limit, ...)                            \
	{                                                                                              \
		name, kind, offsetof(type, member), .max_length = limit,                                   \
											.length = offsetof(type, length_member), __VA_ARGS__   \
	}

/* A struct and its fields. */
typedef struct ModelGroup
{
	Size size;            /* of the struct */
	const void *defaults; /* a struct; NULL: all zero */
	int nfields;          /* up to 64 */
	const ModelField *fields;
} ModelGroup;

typedef struct ModelFormat
{
	const char *type; /* name of the SQL type */
	uint8 version;
	Size max_bytes;
	ModelGroup group;
	/* normalises a model that can be written in several ways; NULL if none can */
	void (*tidy)(void *model);
	/* what is wrong with a model whose fields are well-formed, as a sentence; NULL if nothing */
	const char *(*fault)(const void *model);
	/* computes derived members of a model that was read; NULL if it has none */
	void (*complete)(void *model, uint64 fingerprint);
	const char *example; /* for hints */
} ModelFormat;

/* ---------- for model.c and model_json.c ---------- */

extern Size ElementSize(const ModelField *field);

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

/* Sets the length of a list and allocates its elements. */
extern char *MakeList(const ModelField *field, void *data, int length);

/* Sets the fields of a struct to their defaults. */
extern void InitGroup(const ModelGroup *group, void *data);

/* Whether a field equals its default. */
extern bool IsDefault(const ModelGroup *group, const ModelField *field, const void *data);

/* The same number without trailing zeros in its fraction. */
extern Decimal MinimalDecimal(const Decimal *given);

/* What is wrong with a value of its kind, or NULL.  Equal values get the same bytes. */
extern const char *ElementFault(const ModelField *field, void *place);

/* The single check of a model, wherever it comes from: what is wrong with it, or NULL. */
extern const char *ModelFault(const ModelFormat *format, void *model);

/* The index of a word, -1 if it is not in the list. */
extern int WordNumber(const char *const *words, const char *text, Size length);

#endif /* CRM_MODEL_FIELDS_H */
