/*
 * customer_blocks.h: finished customers in blocks of bytes, from the process
 * that grouped their purchases to the one that wants them.
 *
 * Where customers are wanted in order, a process sorts as many as it keeps in
 * memory: a run, of which a few blocks come one after the other.  Whoever takes
 * the blocks merges the runs.
 */
#ifndef CRM_CUSTOMER_BLOCKS_H
#define CRM_CUSTOMER_BLOCKS_H

#include "postgres.h"

#include "port/atomics.h"
#include "utils/sortsupport.h"

#include "history/history_codec.h"
#include "orders/order_partitions.h"
#include "orders/order_task.h"

/* A customer of a run. */
typedef struct RunEntry
{
	Datum key;
	const PackedPurchase *record;
} RunEntry;

typedef struct CustomerBlocks
{
	OrderPartitions *orders;
	const OrderTask *task;
	const RecordFormat *format;
	RecordStore finished; /* customers on their way */
	bool ended;
	bool here; /* they go to this process, and its pool */

	/* where they are sorted */
	MemoryContext context;
	SortSupportData order;
	RunEntry *run;
	int64 nrun;
	int64 next;
	int32 run_number;
	pg_atomic_uint32 *runs; /* of all processes; NULL: of this one */
} CustomerBlocks;

/* What stands before the records of a block. */
typedef struct BlockHeader
{
	int32 scale;
	int32 run;           /* 0: the customers are in no order */
	dsa_pointer records; /* the shared block that they are in; invalid: they follow, */
	RecordBlock *block;  /* or are in this one of the pool; NULL: they are not */
} BlockHeader;

/* `here` and `runs`: see CustomerBlocks. */
extern void
InitCustomerBlocks(CustomerBlocks *blocks, const OrderTask *task, const RecordFormat *format,
				   OrderPartitions *orders, RecordPool *pool, bool here, pg_atomic_uint32 *runs);

/*
 * The next block: a header, and the records if it does not say where they are, in the current
 * memory context; NULL at the end.
 */
extern bytea *NextCustomerBlock(CustomerBlocks *blocks);

/* How customers are ordered by the task. */
extern void PrepareCustomerOrder(const OrderTask *task, SortSupport order, MemoryContext context);

/* Puts a customer behind the finished ones. */
extern void AppendCustomer(RecordStore *finished, const RecordFormat *format, PurchaseGrain grain,
						   const CustomerPurchases *customer);

/* The history in a finished record, behind the customer. */
static inline PurchaseHistory *
FinishedHistory(const PackedPurchase *record, const RecordFormat *format)
{
	return (PurchaseHistory *) ((char *) record + RecordSize(record, format));
}

/* The size of a finished record. */
static inline Size
FinishedSize(const PackedPurchase *record, const RecordFormat *format, PurchaseGrain grain)
{
	Size size = RecordSize(record, format);

	if (grain == PER_DAY)
		size += MAXALIGN(VARSIZE((char *) record + size));
	return size;
}

#endif /* CRM_CUSTOMER_BLOCKS_H */
