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
#include "base/model_fields.h"

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
	int64 shared; /* serial number of the shared model that was answered last */
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

#endif /* CRM_MODEL_H */
