/*
 * packed_purchase.h: a purchase of a customer, packed for a record store.
 *
 * Most purchases are a single order of a small amount: they take a narrow record of 16 bytes.
 * Anything that does not fit (large amounts, several orders, costs) takes a wide one.  Keys other
 * than integers follow.
 *
 * An order line is a purchase of which more may come: the order that it belongs to stands behind
 * the customer.
 */
#ifndef CRM_PACKED_PURCHASE_H
#define CRM_PACKED_PURCHASE_H

#include "fmgr.h"
#include "utils/date.h"

#include "base/common.h"
#include "history/history_codec.h"
#include "orders/spilling_store.h"

/* The type of keys: of customers, or of orders that have lines. */
typedef struct CustomerKey
{
	Oid type;
	Oid collation;
	int16 len;
	bool byval;
	bool integer; /* int2, int4, int8, …: equal bits, equal keys */
	bool bytes;   /* uuid, text, …: equal bytes, equal keys */
	FmgrInfo hash;
	bool hash_extended; /* 64 bits wide, and seeded */
	FmgrInfo equal;
	uint64 seed; /* of hashes: random, so that nobody can choose keys with equal hashes */
} CustomerKey;

extern void InitCustomerKey(CustomerKey *key, Oid type, Oid collation);

/* A key as it is stored: never compressed or elsewhere.  Free it if it is another one. */
static inline Datum
FlatKey(const CustomerKey *key, Datum value)
{
	if (key->integer || key->len != -1)
		return value;
	return PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
}

static inline void
FreeFlatKey(Datum flat, Datum value)
{
	if (unlikely(flat != value))
		pfree(DatumGetPointer(flat));
}

/* The size of a flat key that is no integer. */
static inline Size
FlatKeySize(const CustomerKey *key, Datum flat)
{
	if (key->byval)
		return sizeof(Datum);
	if (key->len > 0)
		return key->len;
	return key->len == -1 ? VARSIZE_ANY(DatumGetPointer(flat)) : strlen(DatumGetCString(flat)) + 1;
}

/* Whether two flat keys have the same bytes, and so are equal. */
static inline bool
SameKeyBytes(const CustomerKey *key, Datum a, Datum b)
{
	Size size;

	if (key->byval)
		return a == b;
	size = FlatKeySize(key, a);
	return size == FlatKeySize(key, b) && memcmp(DatumGetPointer(a), DatumGetPointer(b), size) == 0;
}

/* Of bytes that somebody may have chosen, who does not know the seed. */
static inline uint64
SeededHash64(const char *p, Size size, uint64 seed)
{
	uint64 hash = seed ^ size;
	uint64 word = 0;
	Size left = size;

	for (; left > sizeof(word); left -= sizeof(word), p += sizeof(word))
	{
		memcpy(&word, p, sizeof(word));
		hash = MixHash64(hash ^ word);
	}
	if (size >= sizeof(word))
		memcpy(&word, p + left - sizeof(word), sizeof(word));
	else
		for (; left > 0; left--)
			word = word << 8 | (uint8) *p++;
	return MixHash64(hash ^ word);
}

/* The bits of an integer key, or the hash of another flat key. */
static inline uint64
CustomerKeyBits(CustomerKey *key, Datum flat)
{
	if (likely(key->integer))
		return (uint64) flat;
	if (key->bytes && key->len > 0)
		return SeededHash64(DatumGetPointer(flat), key->len, key->seed);
	if (key->bytes)
		return SeededHash64(VARDATA_ANY(DatumGetPointer(flat)),
							VARSIZE_ANY_EXHDR(DatumGetPointer(flat)), key->seed);
	if (key->hash_extended)
		return DatumGetUInt64(
			FunctionCall2Coll(&key->hash, key->collation, flat, UInt64GetDatum(key->seed)));
	return DatumGetUInt32(FunctionCall1Coll(&key->hash, key->collation, flat));
}

/* Whether two flat keys with the same bits are equal. */
static inline bool
SameKey(const CustomerKey *key, Datum a, Datum b)
{
	if (key->integer)
		return true;
	/* headers of text may differ */
	if (key->bytes && key->len == -1)
		return VARSIZE_ANY_EXHDR(DatumGetPointer(a)) == VARSIZE_ANY_EXHDR(DatumGetPointer(b)) &&
			   memcmp(VARDATA_ANY(DatumGetPointer(a)), VARDATA_ANY(DatumGetPointer(b)),
					  VARSIZE_ANY_EXHDR(DatumGetPointer(a))) == 0;
	if (key->bytes)
		return memcmp(DatumGetPointer(a), DatumGetPointer(b), key->len) == 0;
	return DatumGetBool(FunctionCall2Coll((FmgrInfo *) &key->equal, key->collation, a, b));
}

/* A flat key that outlives its row, in memory that is used again for the next one. */
typedef struct KeyCopy
{
	Datum key;
	char *bytes;
	Size room;
} KeyCopy;

extern void CopyKey(KeyCopy *copy, const CustomerKey *key, Datum flat, MemoryContext context);
extern void FreeKeyCopy(KeyCopy *copy);

/* What all records of a store have in common. */
typedef struct RecordFormat
{
	CustomerKey key;
	bool costs; /* all records are wide and hold cost and covered amount */
	bool lines; /* records may be order lines, of orders with these keys: */
	CustomerKey order;
	DateADT after; /* of orders that are summed up per customer: the last day before the period, */
	DateADT as_of; /* and the last one of it */
} RecordFormat;

/* The order that a line belongs to. */
typedef struct LineOrder
{
	uint64 bits; /* CustomerKeyBits */
	Datum key;
} LineOrder;

/* PurchaseDay.orders of an order line. */
#define ORDER_LINE (-1)

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
#define NARROW_LINE ((uint32) 1 << 29)
#define WIDE_DAY (WIDE_RECORD - 1)
#define NARROW_DAY (NARROW_LINE - 1)

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

static inline bool
RecordIsLine(const PackedPurchase *record)
{
	return RecordIsNarrow(record) ? (record->mark & NARROW_LINE) != 0
								  : record->number == ORDER_LINE;
}

/* Where a key that is no integer begins. */
static inline char *
RecordKey(const PackedPurchase *record, const RecordFormat *format)
{
	return (char *) record + (RecordIsNarrow(record) ? NARROW_RECORD_SIZE : WideRecordSize(format));
}

/* The key that begins there, and the room that it takes. */
static inline Datum
StoredKey(const CustomerKey *key, const char *bytes)
{
	return key->byval ? *(const Datum *) bytes : PointerGetDatum(bytes);
}

static inline Size
StoredKeySize(const CustomerKey *key, const char *bytes)
{
	return MAXALIGN(FlatKeySize(key, StoredKey(key, bytes)));
}

/* Where the order of a line begins: its bits, then its key if that is no integer. */
static inline char *
RecordOrder(const PackedPurchase *record, const RecordFormat *format)
{
	char *key = RecordKey(record, format);

	return format->key.integer ? key : key + StoredKeySize(&format->key, key);
}

static inline Size
RecordSize(const PackedPurchase *record, const RecordFormat *format)
{
	char *end = RecordOrder(record, format);

	if (unlikely(format->lines) && RecordIsLine(record))
	{
		end += sizeof(uint64);
		if (!format->order.integer)
			end += StoredKeySize(&format->order, end);
	}
	return end - (const char *) record;
}

static inline Datum
RecordCustomer(const PackedPurchase *record, const RecordFormat *format)
{
	if (format->key.integer)
		return (Datum) record->bits;
	return StoredKey(&format->key, RecordKey(record, format));
}

/* The order of a line. */
static inline LineOrder
ReadLineOrder(const PackedPurchase *record, const RecordFormat *format)
{
	const char *bytes = RecordOrder(record, format);
	uint64 bits = *(const uint64 *) bytes;

	return (LineOrder){bits, format->order.integer
								 ? (Datum) bits
								 : StoredKey(&format->order, bytes + sizeof(uint64))};
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
		purchase->orders =
			(int32) (record->mark >> 30 & 1) + ORDER_LINE * (int32) (record->mark >> 29 & 1);
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

/* Puts a flat key there, and returns the room that it takes. */
static inline Size
StoreKey(char *bytes, const CustomerKey *key, Datum flat)
{
	Size size = FlatKeySize(key, flat);

	if (key->byval)
		*(Datum *) bytes = flat;
	else
		memcpy(bytes, DatumGetPointer(flat), size);
	return MAXALIGN(size);
}

/* Appends a purchase to the records of a store; `order`: of a line, else NULL. */
static pg_attribute_always_inline void
AppendPurchase(RecordStore *store, const RecordFormat *format, Datum customer, uint64 bits,
			   const PurchaseDay *purchase, const LineOrder *order, int scale)
{
	uint32 day = (uint32) (purchase->day - NO_DAY);
	bool narrow = !format->costs && purchase->amount == (int32) purchase->amount &&
				  (uint32) (purchase->orders - ORDER_LINE) <= 2 && day <= NARROW_DAY;
	Size size = narrow ? NARROW_RECORD_SIZE : WideRecordSize(format);
	PackedPurchase *record;
	char *behind;

	if (!format->key.integer)
		size += MAXALIGN(FlatKeySize(&format->key, customer));
	if (order != NULL)
		size += sizeof(uint64) +
				(format->order.integer ? 0 : MAXALIGN(FlatKeySize(&format->order, order->key)));
	record = (PackedPurchase *) RecordStoreAppend(store, size, scale);
	record->bits = bits;
	if (likely(narrow))
	{
		record->number = (int32) purchase->amount;
		record->mark = day | (purchase->orders > 0 ? NARROW_ORDER : 0) |
					   (purchase->orders < 0 ? NARROW_LINE : 0);
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
	behind = RecordKey(record, format);
	if (!format->key.integer)
		behind += StoreKey(behind, &format->key, customer);
	if (order != NULL)
	{
		*(uint64 *) behind = order->bits;
		if (!format->order.integer)
			(void) StoreKey(behind + sizeof(uint64), &format->order, order->key);
	}
}

/* Adds lines of an order to others of the same scale; its day is that of its earliest line. */
static inline void
AddLines(PurchaseDay *order, const PurchaseDay *lines)
{
	order->amount = AddAmounts(order->amount, lines->amount);
	order->cost = AddAmounts(order->cost, lines->cost);
	order->covered = AddAmounts(order->covered, lines->covered);
	order->day = Min(order->day, lines->day);
}

/*
 * Leaves of a purchase what it contributes to its customer: the last day of an
 * order, in the period or before it; orders and amounts of the period only.
 */
static inline void
LimitToPeriod(PurchaseDay *purchase, DateADT after, DateADT as_of)
{
	if (unlikely(purchase->day <= after || purchase->day > as_of))
	{
		bool earlier = purchase->day <= as_of && purchase->orders > 0;

		purchase->day = earlier ? purchase->day : NO_DAY;
		purchase->orders = 0;
		purchase->amount = 0;
	}
	else if (purchase->orders == 0)
		purchase->day = NO_DAY;
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
