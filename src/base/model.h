/*
 * model.h: fitted models as values.
 *
 * A model is a C struct and a table of its fields.  From the table follow its
 * text form (JSON), its stored form, the check of either, and the cache that
 * keeps it decoded from row to row.
 *
 * Text form.  {"name": value, "list": [1, 2.5], "group": [{…}, {…}]}, in the order
 * of the table.  A field that equals its default is left out.  Any order is read.
 *
 * Stored form (after the varlena header):
 *
 *	version		1 byte
 *	fingerprint	8 bytes: StableHash64 of the fields (their texts in UTF-8)
 *	fields		varint: one bit a field of the table, the first one lowest, set where
 *				it differs from its default; then the values of those fields.
 *				Lists begin with their length.  The fields of a group follow the
 *				same rule.
 *
 * So equal contents have equal bytes, and the first nine tell one model from
 * another.  The binary form is the same, with texts in the client's encoding.
 * Whatever reads a value writes it again and compares: any byte that the writer
 * would not have put there is refused.
 *
 * How a field is added.  Put it at the *end* of the table and give it a default
 * that says what older models meant without it (a row of `defaults`, else zero):
 *
 *	double season[12];                                      in the struct
 *	.season = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},         in the defaults
 *	MODEL_FIELD(M, "season", season, FIELD_NUMBER, .count = 12)    last in the table
 *
 * What was stored before lacks its bit and reads as the default, and a model
 * that has the default is the same value, to the byte, as before.  A field that
 * a newer release added is refused by an older one.  `version` changes only
 * where a field changes its meaning.
 */
#ifndef CRM_MODEL_H
#define CRM_MODEL_H

#include "fmgr.h"

#include "base/common.h"

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
	Size length;    /* lists: where the struct has the int with its length */
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
	/* brings what may be said in several ways into one form; NULL: there is nothing such */
	void (*tidy)(void *model);
	/* what is wrong with a model whose fields are well-formed, in a sentence; NULL: nothing */
	const char *(*fault)(const void *model);
	/* sets what follows from the fields, in a model that was read; NULL: nothing does */
	void (*complete)(void *model, uint64 fingerprint);
	const char *example; /* for hints */
} ModelFormat;

/* Sets all fields to their defaults. */
extern void InitModel(const ModelFormat *format, void *model);

/*
 * The value of a model.  Every model that is made, read or received goes through
 * the one check of its type here; a fault is an error.  Tidies the struct.
 */
extern struct varlena *ModelValue(const ModelFormat *format, void *model);

/* The model of a value, in the current memory context; a damaged value is an error. */
extern void *ModelFromDatum(const ModelFormat *format, Datum value);

/*
 * A model kept decoded for as long as the same value comes; zeroed at first.
 * `decodings` tells whoever keeps what follows from the model when it changes.
 */
typedef struct ModelCache
{
	MemoryContext context;
	struct varlena *raw; /* the datum as it came, perhaps compressed */
	void *model;
	int64 decodings;
} ModelCache;

extern const void *
CachedModel(const ModelFormat *format, ModelCache *cache, Datum value, MemoryContext parent);

/* The same for an argument, kept in fn_extra, where nothing else is. */
extern const void *ModelArgument(const ModelFormat *format, FunctionCallInfo fcinfo, int argument);

/* The functions TYPE_in, _out, _recv and _send. */
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

/* The number of a word, -1: not among them. */
extern int WordNumber(const char *const *words, const char *text, Size length);

#endif /* CRM_MODEL_H */
