/*
 * packed_purchase.c: the keys of purchases in a record store.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "orders/packed_purchase.h"

void
InitCustomerKey(CustomerKey *key, Oid type, Oid collation)
{
	TypeCacheEntry *entry =
		lookup_type_cache(type, TYPECACHE_EQ_OPR_FINFO | TYPECACHE_HASH_PROC_FINFO |
									TYPECACHE_HASH_EXTENDED_PROC_FINFO);

	if (!OidIsValid(entry->eq_opr_finfo.fn_oid) || !OidIsValid(entry->hash_proc_finfo.fn_oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("customers cannot be told apart by values of type %s",
							   format_type_be(type)),
						errdetail("The type has no hash operator class."),
						errhint("Cast the customer to text.")));
	key->integer = key->bytes = false;
	key->type = type;
	key->collation = collation;
	key->len = entry->typlen;
	key->byval = entry->typbyval;
	switch (getBaseType(type))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case DATEOID:
			key->integer = true;
			break;
		case UUIDOID:
		case BYTEAOID:
			key->bytes = true;
			break;
		case TEXTOID:
		case VARCHAROID:
			key->bytes = OidIsValid(collation) && get_collation_isdeterministic(collation);
			break;
		default:
			break;
	}
	key->hash_extended = OidIsValid(entry->hash_extended_proc_finfo.fn_oid);
	fmgr_info_copy(&key->hash,
				   key->hash_extended ? &entry->hash_extended_proc_finfo : &entry->hash_proc_finfo,
				   CurrentMemoryContext);
	fmgr_info_copy(&key->equal, &entry->eq_opr_finfo, CurrentMemoryContext);
	key->seed = pg_prng_uint64(&pg_global_prng_state);
}

void
CopyKey(KeyCopy *copy, const CustomerKey *key, Datum flat, MemoryContext context)
{
	Size size;

	if (key->byval)
	{
		copy->key = flat;
		return;
	}
	size = FlatKeySize(key, flat);
	if (copy->room < size)
	{
		FreeKeyCopy(copy);
		copy->room = pg_nextpower2_64(Max(64, size));
		copy->bytes = MemoryContextAllocHuge(context, copy->room);
	}
	memcpy(copy->bytes, DatumGetPointer(flat), size);
	copy->key = PointerGetDatum(copy->bytes);
}

void
FreeKeyCopy(KeyCopy *copy)
{
	if (copy->bytes != NULL)
		pfree(copy->bytes);
	*copy = (KeyCopy){0};
}
