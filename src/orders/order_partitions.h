/*
 * order_partitions.h: rows of purchases in, purchases by customer out.
 *
 * Rows are divided by a hash of the customer into partitions small enough for the processor's
 * cache, which are grouped when all rows have arrived.  So no row costs a cache miss of its own.
 * When memory runs out, partitions are compacted (purchases of the same customer and day are
 * summed) if that saves enough, and otherwise moved to temporary files; a partition that is too
 * large to group at once is partitioned again.
 */
#ifndef CRM_ORDER_PARTITIONS_H
#define CRM_ORDER_PARTITIONS_H

#include "port/atomics.h"

#include "orders/customer_grouping.h"
#include "orders/packed_purchase.h"
#include "orders/spilling_store.h"

typedef struct OrderPartitions OrderPartitions;

/* A customer with all purchases: one entry per day, in order, or a single one. */
typedef struct CustomerPurchases
{
	Datum customer;
	PurchaseDay *days;
	int64 ndays;
	int scale;
} CustomerPurchases;

/* `memory`: how much the pool may take, in bytes; the pool belongs to the caller. */
extern OrderPartitions *CreateOrderPartitions(RecordPool *pool, const RecordFormat *format,
											  PurchaseGrain grain, int scale, Size memory);

/*
 * Adds a purchase, or lines of an order (else `order` is NULL) of which more may come; amounts in
 * units of 10^-scale.
 */
extern void AddPurchase(OrderPartitions *orders, Datum customer, uint64 bits, PurchaseDay *purchase,
						const LineOrder *order, int scale);

/*
 * After the last purchase: the next customer, in no particular order, valid until the next call;
 * false at the end.
 */
extern bool NextCustomerPurchases(OrderPartitions *orders, CustomerPurchases *next);

/*
 * Partitions that several processes have filled, each from its rows, and of which
 * each takes the next that nobody has taken yet.
 */
typedef struct SharedPartitions
{
	int participants;         /* at most */
	pg_atomic_uint32 claimed; /* turns, of two for each partition: in memory, then in files */
	pg_atomic_uint32 scale;   /* the largest of all */
	SharedRecords records[FLEXIBLE_ARRAY_MEMBER]; /* by partition and participant */
} SharedPartitions;

extern Size SharedPartitionsSize(int participants);
extern void InitSharedPartitions(SharedPartitions *shared, int participants);

/* Hands over all purchases of this participant, which has a shared pool. */
extern void PublishPartitions(OrderPartitions *orders, SharedPartitions *shared);

/* When all have done so: NextCustomerPurchases goes on with partitions of everybody. */
extern void ClaimPartitions(OrderPartitions *orders, SharedPartitions *shared);

/* Frees all memory but the pool, and temporary files. */
extern void EndOrderPartitions(OrderPartitions *orders);

/* With less, files would be written in crumbs. */
#define MIN_ORDER_MEMORY ((Size) 8 * 1024 * 1024)

/* What the partitions may use: work_mem * hash_mem_multiplier. */
extern Size HashMemoryLimit(void);

#endif /* CRM_ORDER_PARTITIONS_H */
