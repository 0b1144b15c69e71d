/*
 * bytes.c: numbers as the bytes of stored values, and back.
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "base/bytes.h"

/* The general case of ReadVarint; rejects overlong forms and more than 64 bits. */
uint64
ReadVarintSlow(ByteReader *r)
{
	uint64 v = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8 byte = ReadByte(r);

		if (shift == 63 && byte > 1)
			break;
		v |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			if (byte == 0 && shift > 0)
				break;
			return v;
		}
	}
	r->failed = true;
	return 0;
}

uint8 *
WriteInt64(uint8 *p, int64 v)
{
	uint64 wire = pg_hton64((uint64) v);

	memcpy(p, &wire, sizeof(wire));
	return p + sizeof(wire);
}

int64
ReadInt64(ByteReader *r)
{
	uint64 wire;

	if (r->end - r->next < (ptrdiff_t) sizeof(wire))
	{
		r->failed = true;
		return 0;
	}
	memcpy(&wire, r->next, sizeof(wire));
	r->next += sizeof(wire);
	return (int64) pg_ntoh64(wire);
}

uint8 *
WriteFloat4(uint8 *p, float v)
{
	uint32 bits;

	memcpy(&bits, &v, sizeof(bits));
	bits = pg_hton32(bits);
	memcpy(p, &bits, sizeof(bits));
	return p + sizeof(bits);
}

float
ReadFloat4(ByteReader *r)
{
	const uint8 *bytes = ReadBytes(r, sizeof(uint32));
	uint32 bits;
	float v;

	if (bytes == NULL)
		return 0;
	memcpy(&bits, bytes, sizeof(bits));
	bits = pg_ntoh32(bits);
	memcpy(&v, &bits, sizeof(v));
	return v;
}
