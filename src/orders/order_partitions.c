/*
 * order_partitions.c: rows of purchases in, purchases by customer out.
 */
#include "postgres.h"

#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "orders/order_partitions.h"

#define PARTITION_BITS 8
#define PARTITIONS (1 << PARTITION_BITS)
#define MAX_LEVEL (64 / PARTITION_BITS - 1)

/* A partition is parted again rather than grouped in more memory than this. */
#define MIN_PARTITION_LIMIT ((Size) 4 * 1024 * 1024)

/* With less, files would be written in crumbs. */
#define MIN_MEMORY ((Size) 8 * 1024 * 1024)

/*
 * Grouping takes up to so many times the memory of a partition's records.  This
 * much of it comes on top of what the rows may take, the rest is taken off that.
 */
#define GROUPING_FACTOR 5
#define GROUPING_ALLOWANCE ((Size) 20 * 1024 * 1024)

/* Aligned, so that adding a record touches one cache line of it. */
typedef struct Partition
{
	RecordStore store;
	int64 compacted; /* records left when it was made compact last */
} pg_attribute_aligned(128) Partition;

struct OrderPartitions
{
	MemoryContext context; /* of all that follows */
	RecordPool *pool;
	RecordFormat format;
	CollectorGrain grain;
	int scale;            /* of new records: the largest seen */
	int level;            /* how often the rows were parted before */
	Size memory_limit;    /* of all records */
	Size partition_limit; /* of the records of one partition */
	bool compacting;      /* doing so has paid so far */
	Partition partitions[PARTITIONS];
	CustomerGrouping groups;

	/* handing out: first what is all in memory, which makes room for the rest */
	bool resident_done;
	int handing_out;               /* the partition whose turn it is */
	bool grouped;                  /* it is in `groups`, */
	uint32 next_group;             /* whose next is this */
	struct OrderPartitions *parts; /* or it has been parted again */
};

Size
HashMemoryLimit(void)
{
	return get_hash_memory_limit();
}

/* ---------- collecting ---------- */

static OrderPartitions *
NewCollector(MemoryContext parent, RecordPool *pool, const RecordFormat *format,
			 CollectorGrain grain, int scale, int level)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "purchase collector", ALLOCSET_DEFAULT_SIZES);
	OrderPartitions *collector = (OrderPartitions *) TYPEALIGN(
		128, MemoryContextAllocZero(context, sizeof(OrderPartitions) + 128));

	collector->context = context;
	collector->pool = pool;
	collector->format = *format;
	collector->grain = grain;
	collector->scale = scale;
	collector->level = level;
	for (int i = 0; i < PARTITIONS; i++)
		collector->partitions[i].store.pool = pool;
	InitCustomerGrouping(&collector->groups, context, &collector->format, grain);
	return collector;
}

OrderPartitions *
CreateOrderPartitions(RecordPool *pool, const CustomerKey *key, CollectorGrain grain, bool costs,
					  int scale, Size memory)
{
	RecordFormat format = {.key = *key, .costs = costs};
	OrderPartitions *collector = NewCollector(CurrentMemoryContext, pool, &format, grain, scale, 0);

	memory = Max(memory, MIN_MEMORY);
	collector->partition_limit = Max(MIN_PARTITION_LIMIT, memory / 128);
	collector->memory_limit =
		memory + GROUPING_ALLOWANCE - GROUPING_FACTOR * collector->partition_limit;
	collector->compacting = true;
	return collector;
}

void
EndOrderPartitions(OrderPartitions *collector)
{
	if (collector->parts != NULL)
		EndOrderPartitions(collector->parts);
	for (int i = 0; i < PARTITIONS; i++)
		RecordStoreReset(&collector->partitions[i].store);
	MemoryContextDelete(collector->context);
}

static void CheckMemory(OrderPartitions *collector, Partition *grown);

/*
 * The partition of a key: another byte of its hash at every level.  One multiplication
 * by the golden ratio parts keys well enough, and every row waits for it.
 */
static inline Partition *
PartitionOf(OrderPartitions *collector, uint64 bits)
{
	int shift = 64 - PARTITION_BITS * (collector->level + 1);
	uint64 hash = (bits ^ bits >> 32) * UINT64CONST(0x9E3779B97F4A7C15);

	return &collector->partitions[(hash >> shift) & (PARTITIONS - 1)];
}

/* Puts a purchase into its partition. */
static inline void
StorePurchase(OrderPartitions *collector, Datum customer, uint64 bits, const PurchaseDay *purchase)
{
	Partition *partition = PartitionOf(collector, bits);
	Size before = partition->store.memory;

	AppendPurchase(&partition->store, &collector->format, customer, bits, purchase,
				   collector->scale);
	if (unlikely(partition->store.memory != before))
		CheckMemory(collector, partition);
}

void
CollectPurchase(OrderPartitions *collector, Datum customer, uint64 bits, PurchaseDay *purchase,
				int scale)
{
	if (unlikely(scale > collector->scale))
	{
		for (int i = 0; i < PARTITIONS; i++)
			RecordStoreSeal(&collector->partitions[i].store);
		collector->scale = scale;
	}
	else if (scale < collector->scale)
		RescalePurchase(purchase, scale, collector->scale);
	StorePurchase(collector, customer, bits, purchase);
}

/* ---------- grouping a partition ---------- */

/* Adds the purchases of a block to a collector or, without one, to a store. */
static void
CopyBlock(const OrderPartitions *from, const RecordBlock *block, OrderPartitions *collector,
		  RecordStore *store)
{
	FOR_EACH_RECORD(record, block, &from->format)
	{
		Datum customer = RecordCustomer(record, &from->format);
		PurchaseDay purchase;

		ReadRecord(record, &from->format, &purchase);
		if (block->scale != from->scale)
			RescalePurchase(&purchase, block->scale, from->scale);
		if (collector != NULL)
			StorePurchase(collector, customer, record->bits, &purchase);
		else
			AppendPurchase(store, &from->format, customer, record->bits, &purchase, from->scale);
	}
}

/* Replaces the resident records of a partition by others. */
static void
ReplaceResident(RecordStore *store, RecordStore *by)
{
	by->file = store->file;
	by->file_bytes = store->file_bytes;
	by->file_records = store->file_records;
	store->file = NULL;
	RecordStoreReset(store);
	*store = *by;
}

/* Brings the resident records of a partition to the scale that all have by now. */
static void
UnifyScale(OrderPartitions *collector, RecordStore *store)
{
	RecordStore unified = {.pool = collector->pool};
	const RecordBlock *block = store->first;

	while (block != NULL && block->scale == collector->scale)
		block = block->next;
	if (block == NULL)
		return;
	for (block = store->first; block != NULL; block = block->next)
	{
		CHECK_FOR_INTERRUPTS();
		CopyBlock(collector, block, NULL, &unified);
	}
	RecordStoreSeal(&unified);
	ReplaceResident(store, &unified);
}

static void
GroupPartition(OrderPartitions *collector, RecordStore *store)
{
	RecordStoreSeal(store);
	UnifyScale(collector, store);
	GroupPurchases(&collector->groups, store);
}

/* ---------- when memory runs out ---------- */

/* Replaces the resident records of a partition by their sums. */
static void
CompactPartition(OrderPartitions *collector, Partition *partition)
{
	CustomerGrouping *groups = &collector->groups;
	RecordStore compact = {.pool = collector->pool};

	/* what was made compact last time has to be doubled by new records to be worth it */
	if (partition->store.records < 2 * partition->compacted)
		return;
	GroupPartition(collector, &partition->store);
	for (uint32 i = 0; i < groups->ngroups; i++)
	{
		int64 ndays;
		const PurchaseDay *days = GroupDays(groups, i, &ndays);

		for (int64 j = 0; j < ndays; j++)
			AppendPurchase(&compact, &collector->format, GroupCustomer(groups, i),
						   groups->groups[i].bits, &days[j], collector->scale);
	}
	partition->compacted = compact.records;
	ReplaceResident(&partition->store, &compact);
}

/* Makes all partitions compact, and decides whether ever to do so again. */
static void
CompactAll(OrderPartitions *collector)
{
	Size before = collector->pool->used;

	for (int i = 0; i < PARTITIONS; i++)
	{
		Partition *partition = &collector->partitions[i];
		int64 records = partition->store.records;
		bool first_time = partition->compacted == 0 && records > 0;

		CompactPartition(collector, partition);
		/* purchases that do not add up here do not do so elsewhere */
		if (first_time && partition->store.records > records - records / 4)
		{
			collector->compacting = false;
			return;
		}
	}
	collector->compacting = collector->pool->used < before - before / 4;
}

static void
SpillPartition(Partition *partition)
{
	RecordStoreSpill(&partition->store);
	partition->compacted = 0;
}

static Partition *
LargestPartition(OrderPartitions *collector)
{
	Partition *largest = &collector->partitions[0];

	for (int i = 1; i < PARTITIONS; i++)
		if (collector->partitions[i].store.memory > largest->store.memory)
			largest = &collector->partitions[i];
	return largest;
}

/* Called when a partition has grown: makes room where there is too much of it, or of all. */
static void
CheckMemory(OrderPartitions *collector, Partition *grown)
{
	if (collector->compacting && collector->pool->used > collector->memory_limit)
		CompactAll(collector);
	while (collector->pool->used > collector->memory_limit)
		SpillPartition(LargestPartition(collector));
	if (grown->store.memory > collector->partition_limit)
	{
		/* one customer with very many orders? */
		CompactPartition(collector, grown);
		if (grown->store.memory > collector->partition_limit / 2)
			SpillPartition(grown);
	}
}

/* ---------- handing out ---------- */

/* Parts a partition that is too large by the next bits of the hash. */
static OrderPartitions *
PartAgain(OrderPartitions *collector, RecordStore *store)
{
	OrderPartitions *parts = NewCollector(collector->context, collector->pool, &collector->format,
										  collector->grain, collector->scale, collector->level + 1);
	RecordCursor cursor;
	const RecordBlock *block;

	parts->memory_limit = collector->memory_limit;
	parts->partition_limit = collector->partition_limit;
	RecordCursorBegin(&cursor, store);
	while ((block = RecordCursorNext(&cursor)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		CopyBlock(collector, block, parts, NULL);
	}
	RecordCursorEnd(&cursor);
	RecordStoreReset(store);
	return parts;
}

/* Makes the customers of a partition that is partly or all in a file available. */
static void
BringBack(OrderPartitions *collector, int partition)
{
	RecordStore *store = &collector->partitions[partition].store;

	if (store->file_bytes + store->memory > collector->partition_limit &&
		collector->level < MAX_LEVEL)
	{
		/* the other partitions wait in their files */
		for (int i = partition; i < PARTITIONS; i++)
			if (collector->partitions[i].store.first != NULL)
				RecordStoreSpill(&collector->partitions[i].store);
		collector->parts = PartAgain(collector, store);
		return;
	}
	RecordStoreLoad(store);
	GroupPartition(collector, store);
	collector->grouped = true;
}

/* Makes the customers of the next partition available; false if there is none. */
static bool
NextPartition(OrderPartitions *collector)
{
	collector->next_group = 0;
	for (;; collector->handing_out++)
	{
		RecordStore *store;

		if (collector->handing_out == PARTITIONS)
		{
			if (collector->resident_done)
				return false;
			collector->resident_done = true;
			collector->handing_out = 0;
		}
		store = &collector->partitions[collector->handing_out].store;
		if (collector->resident_done && store->file != NULL)
		{
			BringBack(collector, collector->handing_out);
			return true;
		}
		if (!collector->resident_done && store->file == NULL && store->first != NULL)
		{
			GroupPartition(collector, store);
			collector->grouped = true;
			return true;
		}
	}
}

bool
NextCollected(OrderPartitions *collector, CollectedCustomer *next)
{
	CustomerGrouping *groups = &collector->groups;

	CHECK_FOR_INTERRUPTS();
	for (;;)
	{
		if (collector->grouped && collector->next_group < groups->ngroups)
		{
			next->customer = GroupCustomer(groups, collector->next_group);
			next->days = GroupDays(groups, collector->next_group++, &next->ndays);
			next->scale = collector->scale;
			return true;
		}
		if (collector->parts != NULL)
		{
			if (NextCollected(collector->parts, next))
				return true;
			EndOrderPartitions(collector->parts);
			collector->parts = NULL;
		}
		if (collector->grouped)
			RecordStoreReset(&collector->partitions[collector->handing_out].store);
		collector->grouped = false;
		if (!NextPartition(collector))
			return false;
	}
}
