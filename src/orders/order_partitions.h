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
 * Partitions that several processes fill, each from its rows.  Most have a home: a participant that
 * groups them.  It keeps its own purchases in memory of its own.  The others send theirs in blocks
 * of shared memory, which it copies and gives back as the rows come, so that little of it is
 * needed.  What cannot be sent while rows come waits in shared memory or files until all have come:
 * for a home that has not joined yet, or is slow.  So nobody ever waits for another.
 *
 * The first partitions have no home: all that is in them is shared, and they are grouped by
 * whoever has nothing else to do.  So are those whose home has not joined.
 */
typedef struct Mailbox
{
	BlockStack sent;     /* to this participant */
	BlockStack returned; /* blocks of this participant that were read */
	char padding[PG_CACHE_LINE_SIZE - 2 * sizeof(BlockStack)];
} Mailbox;

typedef struct SharedPartitions
{
	int participants;         /* at most */
	pg_atomic_uint32 joined;  /* those who take rows */
	pg_atomic_uint32 claimed; /* turns, of two for each partition: in memory, then in files */
	pg_atomic_uint32 scale;   /* the largest of all */
	/* by partition and participant, then the mailboxes by participant */
	SharedRecords records[FLEXIBLE_ARRAY_MEMBER];
} SharedPartitions;

extern Size SharedPartitionsSize(int participants);
extern void InitSharedPartitions(SharedPartitions *shared, int participants);

/* The number of a participant, before it takes rows. */
extern int JoinPartitions(SharedPartitions *shared);

/*
 * Before the first purchase, of a participant with a shared pool.  The leader keeps some of its own
 * partitions for last, since it has to wait until the others have ended.
 */
extern void SharePartitions(OrderPartitions *orders, SharedPartitions *shared, bool leader);

/* After the last: hands over the purchases of this participant that belong to others. */
extern void PublishPartitions(OrderPartitions *orders, SharedPartitions *shared);

/* When all have done so: NextCustomerPurchases goes on with partitions of everybody. */
extern void ClaimPartitions(OrderPartitions *orders, SharedPartitions *shared);

/* Gives a shared block back to the participant whose it is. */
extern void ReturnBlock(SharedPartitions *shared, RecordBlock *block);

/* Takes back the blocks of this participant that others have read. */
extern void TakeReturned(OrderPartitions *orders);

/* Frees all memory but the pool, and temporary files. */
extern void EndOrderPartitions(OrderPartitions *orders);

/* With less, files would be written in crumbs. */
#define MIN_ORDER_MEMORY ((Size) 8 * 1024 * 1024)

/* What the partitions may use: work_mem * hash_mem_multiplier. */
extern Size HashMemoryLimit(void);

#endif /* CRM_ORDER_PARTITIONS_H */
