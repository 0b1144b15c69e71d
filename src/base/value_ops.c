/*
 * value_ops.c: comparison of values whose equal contents have equal bytes.
 *
 * One set of functions serves every such type: =, the order of the bytes for
 * btree (DISTINCT, GROUP BY and merge joins), hashing.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"

#include "base/compat.h"

/* Order of the bytes, the shorter first where one begins the other. */
static int
CompareValues(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	Size na = VARSIZE_ANY_EXHDR(a);
	Size nb = VARSIZE_ANY_EXHDR(b);
	int order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(na, nb));

	if (order == 0)
		order = na < nb ? -1 : na > nb;
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

PG_FUNCTION_INFO_V1(value_cmp);
Datum
value_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(CompareValues(fcinfo));
}

PG_FUNCTION_INFO_V1(value_eq);
Datum
value_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(value_ne);
Datum
value_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(value_lt);
Datum
value_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(value_le);
Datum
value_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(value_gt);
Datum
value_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(value_ge);
Datum
value_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareValues(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(value_hash);
Datum
value_hash(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	Datum hash = hash_any((unsigned char *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));

	PG_FREE_IF_COPY(value, 0);
	return hash;
}

PG_FUNCTION_INFO_V1(value_hash_extended);
Datum
value_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	Datum hash = hash_any_extended((unsigned char *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
								   PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(value, 0);
	return hash;
}
