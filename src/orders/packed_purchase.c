/*
 * packed_purchase.c: the customers of purchases in a record store.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
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
		default:
			key->integer = false;
	}
	key->hash_extended = OidIsValid(entry->hash_extended_proc_finfo.fn_oid);
	fmgr_info_copy(&key->hash,
				   key->hash_extended ? &entry->hash_extended_proc_finfo : &entry->hash_proc_finfo,
				   CurrentMemoryContext);
	fmgr_info_copy(&key->equal, &entry->eq_opr_finfo, CurrentMemoryContext);
	key->seed = pg_prng_uint64(&pg_global_prng_state);
}

Size
CustomerKeySize(const CustomerKey *key, Datum customer)
{
	return key->byval ? sizeof(Datum) : datumGetSize(customer, false, key->len);
}

void
AppendKey(char *bytes, const CustomerKey *key, Datum customer, Size size)
{
	*(uint32 *) bytes = (uint32) size;
	bytes += KEY_SIZE_BYTES;
	if (key->byval)
		*(Datum *) bytes = customer;
	else
		memcpy(bytes, DatumGetPointer(customer), size);
}
