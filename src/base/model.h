/*
 * model.h: fitted models as values.
 *
 * A model is a C struct and a table of its fields.  From the table follow its text form (JSON), its
 * stored form, the check of either, and the cache that keeps it decoded from row to row.
 *
 * Text form.  {"name": value, "list": [1, 2.5], "group": [{…}, {…}]}, in the order of the table.  A
 * field that equals its default is left out.  Any order is read.
 *
 * Stored form (after the varlena header):
 *
 *	version		1 byte
 *	fingerprint	8 bytes: StableHash64 of the fields (their texts in UTF-8)
 *	fields		varint: one bit per field of the table, the first one lowest, set if
 *				it differs from its default; then the values of those fields.
 *				Lists begin with their length.  The fields of a group follow the
 *				same rule.
 *
 * So equal contents have equal bytes, and the first nine tell one model from another.  The binary
 * form is the same, with texts in the client's encoding. Whatever reads a value writes it again and
 * compares: any byte that the writer would not have written is rejected.
 *
 * How a field is added.  Put it at the *end* of the table and give it a default that says what
 * older models meant without it (a row of `defaults`, else zero):
 *
 *	double season[12];                                      in the struct
 *	.season = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},         in the defaults
 *	MODEL_FIELD(M, "season", season, FIELD_NUMBER, .count = 12)    last in the table
 *
 * Values stored before lack its bit and are read with the default, and a model with the default is
 * byte for byte the same value as before.  An older release rejects a field that a newer one added.
 * `version` changes only if a field changes its meaning.
 */
#ifndef CRM_MODEL_H
#define CRM_MODEL_H

#include "fmgr.h"

#include "base/common.h"
#include "base/model_fields.h"

/* Sets all fields to their defaults. */
extern void InitModel(const ModelFormat *format, void *model);

/*
 * The value of a model.  Every model that is made, read or received passes the single check of its
 * type here; a fault raises an error.  Normalises the struct.
 */
extern struct varlena *ModelValue(const ModelFormat *format, void *model);

/* The model of a value, in the current memory context; a damaged value is an error. */
extern void *ModelFromDatum(const ModelFormat *format, Datum value);

#define MODEL_HEAD (1 + sizeof(uint64)) /* version and fingerprint */

/*
 * A model kept decoded for as long as the same value is passed; must start zeroed.  `decodings`
 * tells callers that keep derived data when the model changes.
 */
typedef struct ModelCache
{
	const void *model;
	char head[VARHDRSZ + MODEL_HEAD]; /* how the datum begins, if it is plain: neither compressed,
										 with a short header nor elsewhere; else zero */
	struct varlena *raw;              /* the datum as passed */
	MemoryContext context;
	int64 decodings;
	int64 shared; /* serial number of the shared model that was answered last */
} ModelCache;

/* Whether the version and the fingerprint of a datum lie behind a header of four bytes. */
static inline bool
IsPlainModel(const struct varlena *raw)
{
	return VARATT_IS_4B_U(raw) && VARSIZE_4B(raw) >= VARHDRSZ + MODEL_HEAD;
}

/* The model of a value that is not plain, or not that of the cache. */
extern const void *
DecodedModel(const ModelFormat *format, ModelCache *cache, Datum value, MemoryContext parent);

static inline const void *
CachedModel(const ModelFormat *format, ModelCache *cache, Datum value, MemoryContext parent)
{
	const struct varlena *raw = (const struct varlena *) DatumGetPointer(value);

	if (likely(IsPlainModel(raw) && memcmp(cache->head, raw, sizeof(cache->head)) == 0))
		return cache->model;
	return DecodedModel(format, cache, value, parent);
}

/* The same for an argument, kept in fn_extra, which must not be used for anything else. */
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
