/*
 * common.h: what every part of the extension shares: module-wide helpers that
 * belong to no type of their own.
 */
#ifndef CRM_COMMON_H
#define CRM_COMMON_H

#include "fmgr.h"

#include "base/compat.h"

/* The memory context of the aggregate that is calling; an error outside of one. */
extern MemoryContext AggregateContext(FunctionCallInfo fcinfo, const char *function);

/* A value as a struct that begins with a varlena header: a copy where it is short or not aligned.
 */
extern void *AlignedVarlena(Datum value);

/* The row that a function returns. */
extern Datum RowDatum(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* One more row of the set that a function returns, after InitMaterializedSRF(). */
extern void PutRow(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* A 64-bit hash that is the same on every machine and in every version. */
extern uint64 StableHash64(const void *bytes, Size size);

/* The same, cheaper by far, for bytes that nobody picks to deceive it. */
extern uint64 FastStableHash64(const void *bytes, Size size);

/* Mixes the bits of an integer: neighbouring keys land far apart. */
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

/* The word as a text that stays, made when it is first asked for: a function may return it in every
 * row. */
extern Datum ConstantText(text **kept, const char *word);

#endif /* CRM_COMMON_H */
