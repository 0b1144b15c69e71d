/*
 * common.h: helpers that every part of the extension uses.
 */
#ifndef CRM_COMMON_H
#define CRM_COMMON_H

#include "fmgr.h"

#include "base/compat.h"

/* The memory context of the calling aggregate; an error if there is none. */
extern MemoryContext AggregateContext(FunctionCallInfo fcinfo, const char *function);

/*
 * A datum as a struct that starts with a four-byte varlena header; copied if its header is short or
 * it is not aligned.
 */
extern void *AlignedVarlena(Datum value);

/*
 * A copy of a datum, as it came, by which it is recognized when it comes again; NULL if it cannot
 * be: a pointer to another place in memory does not identify what is there later.
 */
extern struct varlena *CopyToRecognize(const struct varlena *came);
extern bool IsRecognized(const struct varlena *kept, const struct varlena *came);

/* Makes the row that a function returns. */
extern Datum RowDatum(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* Adds a row to the set that a function returns; call InitMaterializedSRF() first. */
extern void PutRow(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* Returns the state of an aggregate, which may be none. */
#define PG_RETURN_STATE(state)                                                                     \
	do                                                                                             \
	{                                                                                              \
		if ((state) == NULL)                                                                       \
			PG_RETURN_NULL();                                                                      \
		PG_RETURN_POINTER(state);                                                                  \
	} while (0)

/*
 * The state of an aggregate, a struct without pointers, as bytes on its way from a worker, and
 * back, in the current memory context.
 */
extern Datum SerializedState(const void *state, Size size);
extern void *DeserializedState(FunctionCallInfo fcinfo, Size size);

/*
 * The same for a state whose elements are in an array of its own: the head is copied to and fro,
 * and the elements come back in the current memory context.
 */
extern Datum SerializedArray(const void *head, Size head_size, const void *elements, int64 n,
							 Size size, const char *function);
extern void *
DeserializedArray(FunctionCallInfo fcinfo, void *head, Size head_size, int64 *n, Size size);

/* An array, or none yet, with n elements more; `count` and `room` follow. */
extern void *AppendedArray(MemoryContext context, void *array, int64 *count, int64 *room,
						   const void *more, int64 n, Size size);

/* An array of rows, the result of a function, under construction. */
typedef struct RowArray
{
	Oid type;
	struct TupleDescData *row;
	struct ArrayBuildState *rows;
} RowArray;

extern void BeginRowArray(FunctionCallInfo fcinfo, RowArray *array);
extern void AddToRowArray(RowArray *array, Datum *values, bool *nulls);
extern Datum RowArrayDatum(RowArray *array);

/* An array, or none yet, with twice the room, for elements of that size. */
extern void *GrownArray(MemoryContext context, void *array, int64 *room, Size size);

/* A 64-bit hash that is the same on every machine and in every version. */
extern uint64 StableHash64(const void *bytes, Size size);

/* The same for many in turn; end with pg_cryptohash_free(). */
struct pg_cryptohash_ctx;
extern struct pg_cryptohash_ctx *BeginStableHash64(void);
extern uint64 NextStableHash64(struct pg_cryptohash_ctx *hashing, const void *bytes, Size size);

/* The same, far cheaper, for bytes that no attacker can choose. */
extern uint64 FastStableHash64(const void *bytes, Size size);

/* Mixes the bits of an integer: neighbouring keys end up far apart. */
static inline uint64
MixHash64(uint64 h)
{
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h;
}

/* Whether Citus opened this session from another server, to have part of a query run. */
extern bool IsCitusSession(void);

/* The word as a text that is made once and kept, so that a function can return it in every row. */
extern Datum ConstantText(text **kept, const char *word);

/*
 * A text of the caller's as messages repeat it: no more than so many bytes of it, without cutting a
 * character in two; with "..." for the rest, if there is one.
 */
extern char *Excerpt(const char *text, Size length, int max_bytes);

#define EXCERPT_BYTES 64
#define ShortString(string) Excerpt(string, strlen(string), EXCERPT_BYTES)
#define ShortText(value) Excerpt(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), EXCERPT_BYTES)
#define ShortWord(word) Excerpt((word).text, (word).length, EXCERPT_BYTES)

#endif /* CRM_COMMON_H */
