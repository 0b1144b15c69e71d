/*
 * bytes.h: numbers as the bytes of stored values, and back.
 */
#ifndef CRM_BYTES_H
#define CRM_BYTES_H

#include "libpq/pqformat.h"
#include "port/pg_bitutils.h"

/*
 * The bytes of a value being read.  Reading past the end touches no memory outside: it sets
 * `failed`, and the caller rejects the value.
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

/* Skips that many bytes and returns where they begin, or NULL if fewer are left. */
static inline const uint8 *
ReadBytes(ByteReader *r, uint64 size)
{
	const uint8 *bytes = r->next;

	if (size > (uint64) (r->end - r->next))
	{
		r->failed = true;
		return NULL;
	}
	r->next += size;
	return bytes;
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
 * An unsigned integer, seven bits a byte, low bits first, shortest form only. Up to four bytes are
 * read without branching on the length, which no processor could predict.
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

/* 64-bit integers and floats of fixed width, most significant byte first. */
extern uint8 *WriteInt64(uint8 *p, int64 v);
extern int64 ReadInt64(ByteReader *r);

extern uint8 *WriteFloat4(uint8 *p, float v);
extern float ReadFloat4(ByteReader *r);

/* pq_sendbytes() that also takes no bytes at NULL. */
static inline void
SendBytes(StringInfo out, const void *bytes, Size size)
{
	if (size > 0)
		pq_sendbytes(out, bytes, size);
}

#endif /* CRM_BYTES_H */
