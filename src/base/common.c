/*
 * common.c: module-wide helpers.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "base/common.h"

/*
 * The memory context of the aggregate that is calling.  Support functions that
 * change their state in place may only do so there.
 */
MemoryContext
AggregateContext(FunctionCallInfo fcinfo, const char *function)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s is the support function of an aggregate and cannot be called directly",
						function)));
	return context;
}

/* What DecodeOnce keeps in fn_extra. */
typedef struct DecodedValue
{
	MemoryContext context; /* of this struct and all that hangs on it */
	void *decoded;
	Size size;
	char bytes[FLEXIBLE_ARRAY_MEMBER];
} DecodedValue;

void *
DecodeOnce(FunctionCallInfo fcinfo, const struct varlena *value,
		   void *(*decode)(const struct varlena *value))
{
	DecodedValue *kept = (DecodedValue *) fcinfo->flinfo->fn_extra;
	Size size = VARSIZE_ANY_EXHDR(value);
	MemoryContext context;
	MemoryContext caller;

	if (likely(kept != NULL && kept->size == size &&
			   memcmp(kept->bytes, VARDATA_ANY(value), size) == 0))
		return kept->decoded;

	fcinfo->flinfo->fn_extra = NULL;
	if (kept != NULL)
		MemoryContextDelete(kept->context);
	context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "decoded value", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	kept = palloc(offsetof(DecodedValue, bytes) + size);
	kept->context = context;
	kept->size = size;
	memcpy(kept->bytes, VARDATA_ANY(value), size);
	kept->decoded = decode(value);
	MemoryContextSwitchTo(caller);
	fcinfo->flinfo->fn_extra = kept;
	return kept->decoded;
}

/*
 * The first eight bytes of SHA-256: PostgreSQL's own hash functions may change
 * between versions, and what is stored must outlive them.
 */
uint64
StableHash64(const void *bytes, Size size)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint64 hash;

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		pg_cryptohash_update(ctx, (const uint8 *) bytes, size) < 0 ||
		pg_cryptohash_final(ctx, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256 hash: %s", pg_cryptohash_error(ctx));
	pg_cryptohash_free(ctx);
	memcpy(&hash, digest, sizeof(hash));
	return pg_ntoh64(hash);
}

/* Reads words in network byte order. */
uint64
FastStableHash64(const void *bytes, Size size)
{
	const uint8 *p = (const uint8 *) bytes;
	uint64 h = MixHash64(size);
	uint64 word;

	for (; size >= sizeof(word); size -= sizeof(word), p += sizeof(word))
	{
		memcpy(&word, p, sizeof(word));
		h = MixHash64(h ^ pg_ntoh64(word)) + 1;
	}
	word = 0;
	while (size-- > 0)
		word = word << 8 | *p++;
	return MixHash64(h ^ word);
}

/* The general case of ReadVarint; refuses overlong forms and more than 64 bits. */
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
WriteFloat8(uint8 *p, double v)
{
	int64 bits;

	memcpy(&bits, &v, sizeof(bits));
	return WriteInt64(p, bits);
}

double
ReadFloat8(ByteReader *r)
{
	int64 bits = ReadInt64(r);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}
