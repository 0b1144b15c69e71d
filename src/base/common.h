/*
 * common.h: what every part of the extension shares: module-wide helpers that
 * belong to no type of their own.
 */
#ifndef CRM_COMMON_H
#define CRM_COMMON_H

#include "fmgr.h"
#include "port/pg_bitutils.h"

#include "base/compat.h"

/* The memory context of the aggregate that is calling; an error outside of one. */
extern MemoryContext AggregateContext(FunctionCallInfo fcinfo, const char *function);

/*
 * What `decode` makes of a model or scheme argument, kept from call to call for
 * as long as the value's bytes stay the same.  `decode` allocates in the
 * current memory context and may raise errors.
 */
extern void *DecodeOnce(FunctionCallInfo fcinfo, const struct varlena *value,
						void *(*decode)(const struct varlena *value));

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

/*
 * Bytes of a value on their way in.  Reading past the end never touches
 * memory outside: it sets `failed`, and the caller refuses the value.
 */
typedef struct ByteReader
{
	const uint8 *next;
	const uint8 *end;
	bool failed;
} ByteReader;

static inline void
ByteReaderInit(ByteReader *r, const void *bytes, Size size)
{
	r->next = (const uint8 *) bytes;
	r->end = r->next + size;
	r->failed = false;
}

static inline uint8
ReadByte(ByteReader *r)
{
	if (r->next >= r->end)
	{
		r->failed = true;
		return 0;
	}
	return *r->next++;
}

extern uint64 ReadVarintSlow(ByteReader *r);

/*
 * An unsigned integer, seven bits a byte, low bits first, shortest form only.
 * Those of up to four bytes are read without a branch on their length, which
 * no processor could foretell.
 */
static inline uint64
ReadVarint(ByteReader *r)
{
	const uint8 *p = r->next;

	if (likely(r->end - p >= 4))
	{
		uint32 word = p[0] | (uint32) p[1] << 8 | (uint32) p[2] << 16 | (uint32) p[3] << 24;
		uint32 ends = ~word & 0x80808080;
		uint32 lowest = ends & -ends;
		uint32 last = (lowest >> 7) * 0xff; /* the byte that ends the integer */

		if (likely(ends != 0 && ((word & last) != 0 || last == 0xff)))
		{
			word &= lowest - 1;
			r->next = p + pg_rightmost_one_pos32(lowest) / 8 + 1;
			return (word & 0x7f) | (word >> 1 & 0x3f80) | (word >> 2 & 0x1fc000) |
				   (word >> 3 & 0xfe00000);
		}
	}
	return ReadVarintSlow(r);
}

/* Writes an unsigned integer as ReadVarint reads it; at most MAX_VARINT bytes. */
#define MAX_VARINT 10

static inline uint8 *
WriteVarint(uint8 *p, uint64 v)
{
	while (v >= 0x80)
	{
		*p++ = (uint8) (v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8) v;
	return p;
}

/* Signed integers as unsigned ones, small magnitudes first: 0, -1, 1, -2, … */
static inline uint64
ZigZag(int64 v)
{
	return ((uint64) v << 1) ^ (uint64) (v >> 63);
}

static inline int64
UnZigZag(uint64 v)
{
	return (int64) (v >> 1) ^ -(int64) (v & 1);
}

/* The 64-bit integers of models: fixed width, most significant byte first. */
extern uint8 *WriteInt64(uint8 *p, int64 v);
extern int64 ReadInt64(ByteReader *r);
extern uint8 *WriteFloat8(uint8 *p, double v);
extern double ReadFloat8(ByteReader *r);

#endif /* CRM_COMMON_H */
