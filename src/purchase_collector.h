/*
 * purchase_collector.h: rows of purchases in, purchases by customer out.
 *
 * The rows are parted by a hash of the customer into partitions small enough
 * for the processor's cache; each is grouped when all rows are there.  So no
 * row costs a trip to main memory of its own.  When memory runs out, partitions
 * are first made compact (equal customers and days added up) where that pays,
 * else moved to temporary files; a partition that is too large to group at once
 * is parted again.
 */
#ifndef CRM_PURCHASE_COLLECTOR_H
#define CRM_PURCHASE_COLLECTOR_H

#include "fmgr.h"

#include "common.h"
#include "purchase_history.h"
#include "record_store.h"

/* A type that customers are told apart by. */
typedef struct CustomerKey
{
	Oid type;
	Oid collation;
	int16 len;
	bool byval;
	bool integer; /* int2, int4, int8, …: equal bits, equal keys */
	FmgrInfo hash;
	bool hash_extended; /* 64 bits wide */
	FmgrInfo equal;
} CustomerKey;

extern void InitCustomerKey(CustomerKey *key, Oid type, Oid collation);

/* The bits that stand for an integer key, or the hash of another one. */
static inline uint64
CustomerKeyBits(CustomerKey *key, Datum customer)
{
	if (likely(key->integer))
		return (uint64) customer;
	if (key->hash_extended)
		return DatumGetUInt64(
			FunctionCall2Coll(&key->hash, key->collation, customer, Int64GetDatum(0)));
	return DatumGetUInt32(FunctionCall1Coll(&key->hash, key->collation, customer));
}

/* What is added up. */
typedef enum CollectorGrain
{
	PER_DAY,     /* customer and day: for histories */
	PER_CUSTOMER /* the customer: last day, sum of orders, sum of amounts */
} CollectorGrain;

typedef struct PurchaseCollector PurchaseCollector;

/*
 * A record: a purchase, or several of the same customer (and day) added up.
 * Then follow cost and covered amount, where the collector has costs, and for
 * other keys than integers their size and bytes.
 */
typedef struct PurchaseRecord
{
	uint64 key; /* CustomerKeyBits */
	int64 amount;
	DateADT day;
	int32 orders;
} PurchaseRecord;

/* Receives a customer: days in order and added up, or one entry in all. */
typedef void (*CustomerSink)(void *sink, Datum customer, PurchaseDay *days, int64 ndays, int scale);

/* `memory`: what the pool may take, in bytes; the pool is the caller's. */
extern PurchaseCollector *
CreatePurchaseCollector(RecordPool *pool, const CustomerKey *key, CollectorGrain grain, bool costs,
						int scale, Size memory);

/* Adds a purchase; amounts in units of 10^-scale. */
extern void CollectPurchase(PurchaseCollector *collector, Datum customer, uint64 bits,
							PurchaseDay *purchase, int scale);

/* Hands every customer out, in no particular order, and frees all memory. */
extern void DrainPurchaseCollector(PurchaseCollector *collector, CustomerSink emit, void *sink);

/* What a collector may use: work_mem * hash_mem_multiplier. */
extern Size HashMemoryLimit(void);

/* Records outside of a collector: their size, their customer. */
extern PurchaseRecord *
AppendCustomer(RecordStore *store, const CustomerKey *key, Datum customer, uint64 bits, int scale);
extern Datum CustomerOfRecord(const CustomerKey *key, const PurchaseRecord *record);
extern Size SizeOfRecord(const CustomerKey *key, const PurchaseRecord *record);

#endif /* CRM_PURCHASE_COLLECTOR_H */
