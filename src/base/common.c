/*
 * common.c: module-wide helpers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/common.h"

/*
 * Support functions that change their state in place may do so only in the aggregate's memory
 * context.
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

void *
AlignedVarlena(Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	Size size;
	struct varlena *copy;

	if (!VARATT_IS_SHORT(packed) && (uintptr_t) packed == MAXALIGN((uintptr_t) packed))
		return packed;
	size = VARSIZE_ANY_EXHDR(packed);
	copy = palloc(size + VARHDRSZ);
	SET_VARSIZE(copy, size + VARHDRSZ);
	memcpy(VARDATA(copy), VARDATA_ANY(packed), size);
	return copy;
}

struct varlena *
CopyToRecognize(const struct varlena *came)
{
	if (VARATT_IS_EXTERNAL(came) && !VARATT_IS_EXTERNAL_ONDISK(came))
		return NULL;
	return memcpy(palloc(VARSIZE_ANY(came)), came, VARSIZE_ANY(came));
}

bool
IsRecognized(const struct varlena *kept, const struct varlena *came)
{
	return kept != NULL && VARSIZE_ANY(kept) == VARSIZE_ANY(came) &&
		   memcmp(kept, came, VARSIZE_ANY(came)) == 0;
}

Datum
RowDatum(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	Oid type = get_func_rettype(fcinfo->flinfo->fn_oid);
	TupleDesc columns;

	if (type != RECORDOID)
	{
		/* a row for each of a million customers: no copy of the columns */
		Datum row;

		columns = lookup_rowtype_tupdesc(type, -1);
		row = HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
		ReleaseTupleDesc(columns);
		return row;
	}
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls));
}

void
PutRow(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
SerializedState(const void *state, Size size)
{
	bytea *bytes = palloc(VARHDRSZ + size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), state, size);
	return PointerGetDatum(bytes);
}

void *
DeserializedState(FunctionCallInfo fcinfo, Size size)
{
	const bytea *bytes = PG_GETARG_BYTEA_PP(0);

	(void) AggregateContext(fcinfo, get_func_name(fcinfo->flinfo->fn_oid));
	if (VARSIZE_ANY_EXHDR(bytes) != size)
		elog(ERROR, "state of an aggregate has %zu bytes, not %zu", VARSIZE_ANY_EXHDR(bytes), size);
	return memcpy(palloc(size), VARDATA_ANY(bytes), size);
}

Datum
SerializedArray(const void *head, Size head_size, const void *elements, int64 n, Size size,
				const char *function)
{
	Size whole = add_size(VARHDRSZ + head_size, mul_size(n, size));
	bytea *bytes;

	if (!AllocSizeIsValid(whole))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many customers for a parallel %s", function),
						errhint("Set max_parallel_workers_per_gather to 0.")));
	bytes = palloc(whole);
	SET_VARSIZE(bytes, whole);
	if (head_size > 0)
		memcpy(VARDATA(bytes), head, head_size);
	if (n > 0)
		memcpy(VARDATA(bytes) + head_size, elements, n * size);
	PG_RETURN_BYTEA_P(bytes);
}

void *
DeserializedArray(FunctionCallInfo fcinfo, void *head, Size head_size, int64 *n, Size size)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	Size whole = VARSIZE_ANY_EXHDR(bytes);
	void *elements;

	if (whole < head_size || (whole - head_size) % size != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid state of an aggregate")));
	if (head_size > 0)
		memcpy(head, VARDATA_ANY(bytes), head_size);
	*n = (int64) ((whole - head_size) / size);
	elements = palloc_extended(Max(whole - head_size, 1), MCXT_ALLOC_HUGE);
	memcpy(elements, VARDATA_ANY(bytes) + head_size, whole - head_size);
	return elements;
}

void *
AppendedArray(MemoryContext context, void *array, int64 *count, int64 *room, const void *more,
			  int64 n, Size size)
{
	while (*room - *count < n)
		array = GrownArray(context, array, room, size);
	if (n > 0)
		memcpy((char *) array + *count * size, more, n * size);
	*count += n;
	return array;
}

void
BeginRowArray(FunctionCallInfo fcinfo, RowArray *array)
{
	array->type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	array->row = lookup_rowtype_tupdesc_copy(array->type, -1);
	array->rows = initArrayResult(array->type, CurrentMemoryContext, true);
}

void
AddToRowArray(RowArray *array, Datum *values, bool *nulls)
{
	CHECK_FOR_INTERRUPTS();
	array->rows =
		accumArrayResult(array->rows, HeapTupleGetDatum(heap_form_tuple(array->row, values, nulls)),
						 false, array->type, CurrentMemoryContext);
}

Datum
RowArrayDatum(RowArray *array)
{
	return makeArrayResult(array->rows, CurrentMemoryContext);
}

void *
GrownArray(MemoryContext context, void *array, int64 *room, Size size)
{
	*room = Max(1024, *room * 2);
	return array == NULL ? MemoryContextAllocHuge(context, mul_size(*room, size))
						 : repalloc_huge(array, mul_size(*room, size));
}

/*
 * The first eight bytes of SHA-256: PostgreSQL's own hash functions may change
 * between versions, and what is stored must outlive them.
 */
uint64
NextStableHash64(struct pg_cryptohash_ctx *hashing, const void *bytes, Size size)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	uint64 hash;

	if (pg_cryptohash_init(hashing) < 0 ||
		pg_cryptohash_update(hashing, (const uint8 *) bytes, size) < 0 ||
		pg_cryptohash_final(hashing, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256 hash: %s", pg_cryptohash_error(hashing));
	memcpy(&hash, digest, sizeof(hash));
	return pg_ntoh64(hash);
}

struct pg_cryptohash_ctx *
BeginStableHash64(void)
{
	pg_cryptohash_ctx *hashing = pg_cryptohash_create(PG_SHA256);

	if (hashing == NULL)
		elog(ERROR, "could not compute a SHA-256 hash: %s", pg_cryptohash_error(hashing));
	return hashing;
}

uint64
StableHash64(const void *bytes, Size size)
{
	pg_cryptohash_ctx *hashing = BeginStableHash64();
	uint64 hash = NextStableHash64(hashing, bytes, size);

	pg_cryptohash_free(hashing);
	return hash;
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

bool
IsCitusSession(void)
{
	static const char *const prefix = "citus_internal";

	return strncmp(application_name, prefix, strlen(prefix)) == 0;
}

Datum
ConstantText(text **kept, const char *word)
{
	if (unlikely(*kept == NULL))
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		*kept = cstring_to_text(word);
		MemoryContextSwitchTo(caller);
	}
	return PointerGetDatum(*kept);
}

char *
Excerpt(const char *text, Size length, int max_bytes)
{
	int kept = pg_mbcliplen(text, (int) length, max_bytes);

	return psprintf("%.*s%s", kept, text, kept < length ? "..." : "");
}
