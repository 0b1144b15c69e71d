/*
 * model_fields.h: fitted models as values.
 *
 * A model is a C struct and a table of its fields.  The table gives it its text
 * form, {name: value, name: [1, 2.5], …}, and its stored form: a version byte,
 * then the fields in order, words one byte, everything else 64 bits, most
 * significant first.  A field equal to its default is left out of the text.
 */
#ifndef CRM_MODEL_FIELDS_H
#define CRM_MODEL_FIELDS_H

#include "fmgr.h"

#include "base/common.h"

typedef enum FieldKind
{
	FIELD_WORD,    /* int32: one of `words` */
	FIELD_COUNT,   /* int64, not negative */
	FIELD_DATE,    /* DateADT, -infinity: none */
	FIELD_NUMBERS, /* `count` doubles */
} FieldKind;

typedef struct ModelField
{
	const char *name;
	FieldKind kind;
	Size offset; /* in the struct */
	int count;
	const char *const *words; /* ends with NULL */
} ModelField;

typedef struct ModelFormat
{
	const char *type; /* name of the SQL type */
	uint8 version;
	Size size;            /* of the struct */
	const void *defaults; /* a struct */
	const ModelField *fields;
	int nfields;
	/* what is wrong with a model whose fields are well-formed; NULL: nothing */
	const char *(*fault)(const void *model);
	const char *example; /* for hints */
} ModelFormat;

extern struct varlena *EncodeModel(const ModelFormat *format, const void *model);

/* Decodes and checks; damaged bytes are an error. */
extern void DecodeModel(const ModelFormat *format, const struct varlena *value, void *model);

/* The bodies of the four I/O functions of a type, and the functions TYPE_in, _out, _recv and _send.
 */
extern Datum ModelIn(const ModelFormat *format, FunctionCallInfo fcinfo);
extern Datum ModelOut(const ModelFormat *format, FunctionCallInfo fcinfo);
extern Datum ModelRecv(const ModelFormat *format, FunctionCallInfo fcinfo);
extern Datum ModelSend(const ModelFormat *format, FunctionCallInfo fcinfo);

#define MODEL_IO_FUNCTION(name, body, format)                                                      \
	PG_FUNCTION_INFO_V1(name);                                                                     \
	Datum name(PG_FUNCTION_ARGS)                                                                   \
	{                                                                                              \
		return body(&(format), fcinfo);                                                            \
	}
#define MODEL_IO(type, format)                                                                     \
	MODEL_IO_FUNCTION(type##_in, ModelIn, format)                                                  \
	MODEL_IO_FUNCTION(type##_out, ModelOut, format)                                                \
	MODEL_IO_FUNCTION(type##_recv, ModelRecv, format)                                              \
	MODEL_IO_FUNCTION(type##_send, ModelSend, format)

/* The model as given by a constructor: checked like any other. */
extern struct varlena *CheckedModel(const ModelFormat *format, const void *model);

/*
 * A model argument, decoded; kept in fn_extra for as long as its bytes stay the
 * same.  `size` (at least the struct's) is what the caller wants kept there: the
 * rest is zeroed whenever the model changes.  Behind it are `lasting` bytes that
 * are zeroed once and stay when it does.
 */
extern void *CachedModel(const ModelFormat *format, FunctionCallInfo fcinfo, int argument,
						 Size size, Size lasting);

/* The number of a word, -1: not among them. */
extern int WordNumber(const char *const *words, const char *text, Size length);

#endif /* CRM_MODEL_FIELDS_H */
