/*
 * packed_purchase.h: a purchase of a customer, packed for a record store.
 *
 * Most purchases are a single order of a small amount: they take a narrow record of 16 bytes.
 * Anything that does not fit (large amounts, several orders, costs) takes a wide one.  Keys other
 * than integers follow with their size and bytes.
 */
#ifndef CRM_PACKED_PURCHASE_H
#define CRM_PACKED_PURCHASE_H

#include "fmgr.h"
#include "utils/date.h"

#include "base/common.h"
#include "history/history_codec.h"
#include "orders/spilling_store.h"

/* The type of customers' keys. */
typedef struct CustomerKey
{
	Oid type;
	Oid collation;
	int16 len;
	bool byval;
	bool integer; /* int2, int4, int8, …: equal bits, equal keys */
	FmgrInfo hash;
	bool hash_extended; /* 64 bits wide, and seeded */
	FmgrInfo equal;
	uint64 seed; /* of hashes: random, so that nobody can choose keys with equal hashes */
} CustomerKey;

extern void InitCustomerKey(CustomerKey *key, Oid type, Oid collation);

/* The bits of an integer key, or the hash of another key. */
static inline uint64
CustomerKeyBits(CustomerKey *key, Datum customer)
{
	if (likely(key->integer))
		return (uint64) customer;
	if (key->hash_extended)
		return DatumGetUInt64(
			FunctionCall2Coll(&key->hash, key->collation, customer, UInt64GetDatum(key->seed)));
	return DatumGetUInt32(FunctionCall1Coll(&key->hash, key->collation, customer));
}

/* What all records of a store have in common. */
typedef struct RecordFormat
{
	CustomerKey key;
	bool costs; /* all records are wide and hold cost and covered amount */
} RecordFormat;

typedef struct PackedPurchase
{
	uint64 bits;                          /* CustomerKeyBits */
	int32 number;                         /* narrow: the amount; wide: the orders */
	uint32 mark;                          /* narrow: whether it is an order; the day */
	int64 amounts[FLEXIBLE_ARRAY_MEMBER]; /* wide: amount, then cost and covered amount */
} PackedPurchase;

#define NARROW_RECORD_SIZE offsetof(PackedPurchase, amounts)

/* Bits of a mark. */
#define WIDE_RECORD ((uint32) 1 << 31)
#define NARROW_ORDER ((uint32) 1 << 30)
#define WIDE_DAY (WIDE_RECORD - 1)
#define NARROW_DAY (NARROW_ORDER - 1)

/* The day before all days, used for "no purchase"; marks count days from it. */
#define NO_DAY (-POSTGRES_EPOCH_JDATE - 1)

static inline bool
RecordIsNarrow(const PackedPurchase *record)
{
	return (record->mark & WIDE_RECORD) == 0;
}

static inline Size
WideRecordSize(const RecordFormat *format)
{
	return NARROW_RECORD_SIZE + (format->costs ? 3 : 1) * sizeof(int64);
}

/* Where a key that is no integer begins: its size, then its bytes. */
static inline char *
RecordKey(const PackedPurchase *record, const RecordFormat *format)
{
	return (char *) record + (RecordIsNarrow(record) ? NARROW_RECORD_SIZE : WideRecordSize(format));
}

#define KEY_SIZE_BYTES MAXALIGN(sizeof(uint32))

static inline Size
RecordSize(const PackedPurchase *record, const RecordFormat *format)
{
	char *key = RecordKey(record, format);

	if (format->key.integer)
		return key - (const char *) record;
	return key - (const char *) record + KEY_SIZE_BYTES + MAXALIGN(*(uint32 *) key);
}

static inline Datum
RecordCustomer(const PackedPurchase *record, const RecordFormat *format)
{
	char *bytes = RecordKey(record, format) + KEY_SIZE_BYTES;

	if (format->key.integer)
		return (Datum) record->bits;
	return format->key.byval ? *(Datum *) bytes : PointerGetDatum(bytes);
}

/* The purchase in a record, at the scale of its block. */
static inline void
ReadRecord(const PackedPurchase *record, const RecordFormat *format, PurchaseDay *purchase)
{
	purchase->cost = 0;
	purchase->covered = 0;
	if (likely(RecordIsNarrow(record)))
	{
		purchase->amount = record->number;
		purchase->day = (DateADT) (record->mark & NARROW_DAY) + NO_DAY;
		purchase->orders = (record->mark & NARROW_ORDER) != 0;
		return;
	}
	purchase->amount = record->amounts[0];
	purchase->day = (DateADT) (record->mark & WIDE_DAY) + NO_DAY;
	purchase->orders = record->number;
	if (format->costs)
	{
		purchase->cost = record->amounts[1];
		purchase->covered = record->amounts[2];
	}
}

extern void AppendKey(char *bytes, const CustomerKey *key, Datum customer, Size size);

/* The bytes of a key as they stand in a record. */
extern Size CustomerKeySize(const CustomerKey *key, Datum customer);

/* Appends a purchase to the records of a store. */
static inline void
AppendPurchase(RecordStore *store, const RecordFormat *format, Datum customer, uint64 bits,
			   const PurchaseDay *purchase, int scale)
{
	uint32 day = (uint32) (purchase->day - NO_DAY);
	bool narrow = !format->costs && purchase->amount == (int32) purchase->amount &&
				  (uint32) purchase->orders <= 1 && day <= NARROW_DAY;
	Size size = narrow ? NARROW_RECORD_SIZE : WideRecordSize(format);
	Size key_size = 0;
	PackedPurchase *record;

	if (!format->key.integer)
	{
		key_size = CustomerKeySize(&format->key, customer);
		size += KEY_SIZE_BYTES + MAXALIGN(key_size);
	}
	record = (PackedPurchase *) RecordStoreAppend(store, size, scale);
	record->bits = bits;
	if (likely(narrow))
	{
		record->number = (int32) purchase->amount;
		record->mark = day | (purchase->orders ? NARROW_ORDER : 0);
	}
	else
	{
		record->number = purchase->orders;
		record->mark = day | WIDE_RECORD;
		record->amounts[0] = purchase->amount;
		if (format->costs)
		{
			record->amounts[1] = purchase->cost;
			record->amounts[2] = purchase->covered;
		}
	}
	if (!format->key.integer)
		AppendKey(RecordKey(record, format), &format->key, customer, key_size);
}

/* Rescales the amounts of a purchase to a larger scale. */
static inline void
RescalePurchase(PurchaseDay *purchase, int from, int to)
{
	purchase->amount = Rescale(purchase->amount, from, to);
	purchase->cost = Rescale(purchase->cost, from, to);
	purchase->covered = Rescale(purchase->covered, from, to);
}

/* Iterates over the records of a block. */
#define FOR_EACH_RECORD(record, block, format)                                                     \
	for (PackedPurchase *record = (PackedPurchase *) (block)->data;                                \
		 (char *) record < (block)->data + (block)->used;                                          \
		 record = (PackedPurchase *) ((char *) record + RecordSize(record, format)))

#endif /* CRM_PACKED_PURCHASE_H */
