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

/* So many partitions have no home: they even out what the participants have to do. */
#define COMMON_PARTITIONS (PARTITIONS / 16)
#define NO_HOME (-1)

/* So many are left to the leader while workers end, at most half of its own. */
#define KEPT_PARTITIONS 8

/* So much of its memory may be on its way to others. */
#define TRAVELLING_SHARE 16
#define MIN_TRAVELLING 16

/* A partition is partitioned again rather than grouped in more memory than this. */
#define MIN_PARTITION_LIMIT ((Size) 4 * 1024 * 1024)

/*
 * Grouping takes up to this many times the memory of a partition's records.  GROUPING_ALLOWANCE of
 * it is allowed on top of the memory for rows, the rest is deducted from that.
 */
#define GROUPING_FACTOR 5
#define GROUPING_ALLOWANCE ((Size) 20 * 1024 * 1024)

/* Aligned, so that adding a record touches one cache line of it. */
typedef struct Partition
{
	RecordStore store;
	RecordStore *received; /* of a partition that is at home here: by participant, or NULL */
	int64 compacted;       /* records left when it was last compacted */
	int home;              /* NO_HOME where there are no others */
} pg_attribute_aligned(128) Partition;

struct OrderPartitions
{
	MemoryContext context; /* of all that follows */
	RecordPool *pool;
	RecordFormat format;
	PurchaseGrain grain;
	int scale;            /* of new records: the largest seen */
	int level;            /* how often the rows were partitioned before */
	Size memory_limit;    /* of all records */
	Size partition_limit; /* of the records of one partition */
	bool compacting;      /* compacting has paid off so far */
	Partition partitions[PARTITIONS];
	CustomerGrouping groups;

	/* returning customers: first those entirely in memory, which makes room for the rest */
	bool resident_done;
	int handing_out;               /* the partition being returned */
	bool grouped;                  /* it is in `groups`, */
	uint32 next_group;             /* whose next is this */
	struct OrderPartitions *parts; /* or it has been parted again */

	/* with other participants */
	SharedPartitions *shared;
	bool taking;       /* rows are still coming */
	int travelling;    /* blocks of this process that others have not given back */
	int own_turn;      /* of the partitions that are at home here, */
	int kept_for_last; /* from this one on */
};

Size
HashMemoryLimit(void)
{
	return get_hash_memory_limit();
}

/* ---------- collecting ---------- */

static OrderPartitions *
NewPartitions(MemoryContext parent, RecordPool *pool, const RecordFormat *format,
			  PurchaseGrain grain, int scale, int level)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "order partitions", ALLOCSET_DEFAULT_SIZES);
	OrderPartitions *orders = (OrderPartitions *) TYPEALIGN(
		128, MemoryContextAllocZero(context, sizeof(OrderPartitions) + 128));

	orders->context = context;
	orders->pool = pool;
	orders->format = *format;
	orders->grain = grain;
	orders->scale = scale;
	orders->level = level;
	for (int i = 0; i < PARTITIONS; i++)
	{
		orders->partitions[i].store.pool = pool;
		orders->partitions[i].home = NO_HOME;
	}
	InitCustomerGrouping(&orders->groups, context, &orders->format, grain);
	return orders;
}

OrderPartitions *
CreateOrderPartitions(RecordPool *pool, const RecordFormat *format, PurchaseGrain grain, int scale,
					  Size memory)
{
	OrderPartitions *orders = NewPartitions(CurrentMemoryContext, pool, format, grain, scale, 0);

	memory = Max(memory, MIN_ORDER_MEMORY);
	orders->partition_limit = Max(MIN_PARTITION_LIMIT, memory / 128);
	orders->memory_limit = memory + GROUPING_ALLOWANCE - GROUPING_FACTOR * orders->partition_limit;
	orders->compacting = true;
	return orders;
}

/* Puts what was received for a partition to its other records. */
static void
UniteWithReceived(OrderPartitions *orders, Partition *partition)
{
	if (partition->received != NULL)
		for (int i = 0; i < orders->shared->participants; i++)
			if (partition->received[i].first != NULL)
				RecordStoreTake(&partition->store, &partition->received[i]);
}

void
EndOrderPartitions(OrderPartitions *orders)
{
	if (orders->parts != NULL)
		EndOrderPartitions(orders->parts);
	for (int i = 0; i < PARTITIONS; i++)
	{
		UniteWithReceived(orders, &orders->partitions[i]);
		RecordStoreReset(&orders->partitions[i].store);
	}
	MemoryContextDelete(orders->context);
}

static void PartitionHasGrown(OrderPartitions *orders, Partition *partition);

/*
 * The partition of a key: another byte of its hash at every level.  One
 * multiplication by the golden ratio spreads keys well enough, and every row
 * waits for it.
 */
static inline Partition *
PartitionOf(OrderPartitions *orders, uint64 bits)
{
	int shift = 64 - PARTITION_BITS * (orders->level + 1);
	uint64 hash = (bits ^ bits >> 32) * UINT64CONST(0x9E3779B97F4A7C15);

	return &orders->partitions[(hash >> shift) & (PARTITIONS - 1)];
}

/* Puts a purchase into its partition. */
static pg_attribute_always_inline void
StorePurchase(OrderPartitions *orders, Datum customer, uint64 bits, const PurchaseDay *purchase,
			  const LineOrder *order)
{
	Partition *partition = PartitionOf(orders, bits);
	Size before = partition->store.memory;

	AppendPurchase(&partition->store, &orders->format, customer, bits, purchase, order,
				   orders->scale);
	if (unlikely(partition->store.memory != before))
		PartitionHasGrown(orders, partition);
}

/* From now on amounts have more decimals. */
static void
RaiseScale(OrderPartitions *orders, int scale)
{
	for (int i = 0; i < PARTITIONS; i++)
		RecordStoreSeal(&orders->partitions[i].store);
	orders->scale = scale;
}

void
AddPurchase(OrderPartitions *orders, Datum customer, uint64 bits, PurchaseDay *purchase,
			const LineOrder *order, int scale)
{
	if (unlikely(scale > orders->scale))
		RaiseScale(orders, scale);
	else if (scale < orders->scale)
		RescalePurchase(purchase, scale, orders->scale);
	if (order == NULL)
		StorePurchase(orders, customer, bits, purchase, NULL);
	else
		StorePurchase(orders, customer, bits, purchase, order);
}

/* ---------- grouping a partition ---------- */

/* Adds the purchases of a block to other partitions or, if `parts` is NULL, to a store. */
static void
CopyBlock(const OrderPartitions *from, const RecordBlock *block, OrderPartitions *orders,
		  RecordStore *store)
{
	FOR_EACH_RECORD(record, block, &from->format)
	{
		Datum customer = RecordCustomer(record, &from->format);
		PurchaseDay purchase;
		LineOrder order;
		const LineOrder *line = NULL;

		ReadRecord(record, &from->format, &purchase);
		if (purchase.orders < 0)
		{
			order = ReadLineOrder(record, &from->format);
			line = &order;
		}
		if (block->scale != from->scale)
			RescalePurchase(&purchase, block->scale, from->scale);
		if (orders != NULL)
			StorePurchase(orders, customer, record->bits, &purchase, line);
		else
			AppendPurchase(store, &from->format, customer, record->bits, &purchase, line,
						   from->scale);
	}
}

/* Replaces the resident records of a partition by others. */
static void
ReplaceResident(RecordStore *store, RecordStore *by)
{
	by->file = store->file;
	by->file_number = store->file_number;
	by->file_bytes = store->file_bytes;
	by->file_records = store->file_records;
	store->file = NULL;
	RecordStoreReset(store);
	*store = *by;
}

/* Rescales the resident records of a partition to the scale that all have by now. */
static void
UnifyScale(OrderPartitions *orders, RecordStore *store)
{
	RecordStore unified = {.pool = orders->pool, .place = store->place};
	const RecordBlock *block = store->first;

	while (block != NULL && block->scale == orders->scale)
		block = block->next;
	if (block == NULL)
		return;
	for (block = store->first; block != NULL; block = block->next)
	{
		CHECK_FOR_INTERRUPTS();
		CopyBlock(orders, block, NULL, &unified);
	}
	RecordStoreSeal(&unified);
	ReplaceResident(store, &unified);
}

static void
GroupPartition(OrderPartitions *orders, RecordStore *store, int sources)
{
	RecordStoreSeal(store);
	UnifyScale(orders, store);
	GroupPurchases(&orders->groups, store, sources);
}

/* ---------- when memory runs out ---------- */

/* Appends the sums of a customer to a store. */
static void
AppendSums(OrderPartitions *orders, uint32 group, RecordStore *store)
{
	CustomerGrouping *groups = &orders->groups;
	Datum customer = GroupCustomer(groups, group);
	uint64 bits = groups->groups[group].bits;
	int64 n;

	if (orders->format.lines)
	{
		const OrderSum *sums = GroupOrders(groups, group, &n);

		for (int64 i = 0; i < n; i++)
			AppendPurchase(store, &orders->format, customer, bits, &sums[i].sum,
						   sums[i].sum.orders < 0 ? &sums[i].order : NULL, orders->scale);
	}
	else
	{
		const PurchaseDay *days = GroupDays(groups, group, &n);

		for (int64 i = 0; i < n; i++)
			AppendPurchase(store, &orders->format, customer, bits, &days[i], NULL, orders->scale);
	}
}

/* The memory of a partition, and how many records are in it. */
static Size
PartitionMemory(const OrderPartitions *orders, const Partition *partition, int64 *records)
{
	Size memory = partition->store.memory;

	*records = partition->store.records;
	if (partition->received != NULL)
		for (int i = 0; i < orders->shared->participants; i++)
		{
			memory += partition->received[i].memory;
			*records += partition->received[i].records;
		}
	return memory;
}

/* Replaces the resident records of a partition by their sums. */
static void
CompactPartition(OrderPartitions *orders, Partition *partition)
{
	RecordStore compact = {.pool = orders->pool, .place = partition->store.place};
	int64 records;

	/* only worth it once new records have doubled what was compacted last time */
	(void) PartitionMemory(orders, partition, &records);
	if (records < 2 * partition->compacted)
		return;
	UniteWithReceived(orders, partition);
	GroupPartition(orders, &partition->store, 1);
	for (uint32 i = 0; i < orders->groups.ngroups; i++)
		AppendSums(orders, i, &compact);
	partition->compacted = compact.records;
	ReplaceResident(&partition->store, &compact);
}

/* Compacts all partitions, and decides whether to try again later. */
static void
CompactAll(OrderPartitions *orders)
{
	Size before = orders->pool->used;

	for (int i = 0; i < PARTITIONS; i++)
	{
		Partition *partition = &orders->partitions[i];
		int64 records;
		bool first_time;

		/* what is to be sent is little */
		if (partition->store.place == RECORDS_SHARED && partition->home != NO_HOME &&
			partition->store.first == partition->store.last)
			continue;
		(void) PartitionMemory(orders, partition, &records);
		first_time = partition->compacted == 0 && records > 0;
		CompactPartition(orders, partition);
		/* if this partition shrinks too little, so will the others */
		if (first_time && partition->store.records > records - records / 4)
		{
			orders->compacting = false;
			return;
		}
	}
	orders->compacting = orders->pool->used < before - before / 4;
}

static void
SpillPartition(OrderPartitions *orders, Partition *partition)
{
	UniteWithReceived(orders, partition);
	RecordStoreSpill(&partition->store);
	partition->compacted = 0;
}

static Partition *
LargestPartition(OrderPartitions *orders)
{
	Partition *largest = NULL;
	Size most = 0;
	int64 ignored;

	for (int i = 0; i < PARTITIONS; i++)
	{
		Size memory = PartitionMemory(orders, &orders->partitions[i], &ignored);

		if (memory < most && largest != NULL)
			continue;
		largest = &orders->partitions[i];
		most = memory;
	}
	return largest;
}

/* Called when a partition has grown: makes room if it or all together take too much. */
static void
CheckMemory(OrderPartitions *orders, Partition *grown)
{
	int64 ignored;

	if (orders->compacting && orders->pool->used > orders->memory_limit)
		CompactAll(orders);
	while (orders->pool->used > orders->memory_limit)
		SpillPartition(orders, LargestPartition(orders));
	if (PartitionMemory(orders, grown, &ignored) > orders->partition_limit)
	{
		/* perhaps one customer with very many orders */
		CompactPartition(orders, grown);
		if (PartitionMemory(orders, grown, &ignored) > orders->partition_limit / 2)
			SpillPartition(orders, grown);
	}
}

/* ---------- purchases that travel ---------- */

static Mailbox *
MailboxOf(SharedPartitions *shared, int participant)
{
	return (Mailbox *) &shared->records[PARTITIONS * shared->participants] + participant;
}

/* Whether somebody is there who groups a partition with that home. */
static bool
HomeIsOpen(SharedPartitions *shared, int home)
{
	return home != NO_HOME && home < (int) pg_atomic_read_u32(&shared->joined);
}

void
ReturnBlock(SharedPartitions *shared, RecordBlock *block)
{
	PushBlock(&MailboxOf(shared, block->participant)->returned, block);
}

void
TakeReturned(OrderPartitions *orders)
{
	RecordPool *pool = orders->pool;
	RecordBlock *block;

	if (orders->shared == NULL || pool->participant < 0)
		return;
	block = TakeBlocks(&MailboxOf(orders->shared, pool->participant)->returned, pool->area);
	while (block != NULL)
	{
		RecordBlock *next = block->next;

		FreeGivenBlock(pool, block);
		orders->travelling--;
		block = next;
	}
}

/* Sends the full blocks of a partition to its home, unless too many are on their way. */
static void
SendBlocks(OrderPartitions *orders, Partition *partition)
{
	RecordStore *store = &partition->store;
	Size limit = orders->memory_limit / TRAVELLING_SHARE / BLOCK_CAPACITY;

	if (!HomeIsOpen(orders->shared, partition->home))
		return;
	TakeReturned(orders);
	for (; store->first != store->last && orders->travelling < Max(limit, MIN_TRAVELLING);
		 orders->travelling++)
	{
		RecordBlock *block = RecordStoreGiveFirst(store);

		block->partition = partition - orders->partitions;
		block->participant = orders->pool->participant;
		PushBlock(&MailboxOf(orders->shared, partition->home)->sent, block);
	}
	partition->compacted = 0;
}

/* Copies a block that was sent here. */
static Partition *
ReceiveBlock(OrderPartitions *orders, const RecordBlock *block)
{
	Partition *partition = &orders->partitions[block->partition];

	if (block->scale > orders->scale)
		RaiseScale(orders, block->scale);
	if (partition->received == NULL)
	{
		int n = orders->shared->participants;

		partition->received = MemoryContextAllocZero(orders->context, n * sizeof(RecordStore));
		for (int i = 0; i < n; i++)
			partition->received[i].pool = orders->pool;
	}
	RecordStoreCopyBlock(&partition->received[block->participant], block);
	return partition;
}

/* Takes in what others have sent. */
static void
ReceiveBlocks(OrderPartitions *orders)
{
	SharedPartitions *shared = orders->shared;
	RecordPool *pool = orders->pool;
	RecordBlock *block = TakeBlocks(&MailboxOf(shared, pool->participant)->sent, pool->area);

	while (block != NULL)
	{
		RecordBlock *next = block->next;
		Partition *partition = ReceiveBlock(orders, block);

		ReturnBlock(shared, block);
		CheckMemory(orders, partition);
		block = next;
	}
}

static void
PartitionHasGrown(OrderPartitions *orders, Partition *partition)
{
	if (orders->taking)
	{
		if (partition->store.place == RECORDS_SHARED)
			SendBlocks(orders, partition);
		ReceiveBlocks(orders);
	}
	CheckMemory(orders, partition);
}

/* ---------- handing out ---------- */

/* Partitions the records of a partition that is too large by the next bits of the hash. */
static void
Repartition(OrderPartitions *orders, RecordStore *store, OrderPartitions *parts)
{
	RecordCursor cursor;
	const RecordBlock *block;

	RecordCursorBegin(&cursor, store);
	while ((block = RecordCursorNext(&cursor)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		CopyBlock(orders, block, parts, NULL);
	}
	RecordCursorEnd(&cursor);
	RecordStoreReset(store);
}

/*
 * Makes the customers of the partition whose turn it is available.  Its records are in so many
 * stores, of so many participants: in its own, or in those of all.
 */
static void
LoadPartition(OrderPartitions *orders, RecordStore *stores, int nstores, int sources)
{
	RecordStore *store = &orders->partitions[orders->handing_out].store;
	Size size = 0;

	for (int i = 0; i < nstores; i++)
		size += stores[i].file_bytes + stores[i].memory;
	if (size > orders->partition_limit && orders->level < MAX_LEVEL)
	{
		/* the other partitions wait in their files */
		for (int i = orders->handing_out; i < PARTITIONS; i++)
		{
			UniteWithReceived(orders, &orders->partitions[i]);
			if (orders->partitions[i].store.first != NULL)
				SpillPartition(orders, &orders->partitions[i]);
		}
		orders->parts = NewPartitions(orders->context, orders->pool, &orders->format, orders->grain,
									  orders->scale, orders->level + 1);
		orders->parts->memory_limit =
			orders->memory_limit + (orders->shared != NULL ? orders->pool->used : 0);
		orders->parts->partition_limit = orders->partition_limit;
		for (int i = 0; i < nstores; i++)
			Repartition(orders, &stores[i], orders->parts);
		return;
	}
	for (int i = 0; i < nstores; i++)
	{
		RecordStoreLoad(&stores[i]);
		if (&stores[i] != store)
			RecordStoreTake(store, &stores[i]);
	}
	GroupPartition(orders, store, sources);
	orders->grouped = true;
}

/* Whether a partition of all participants has purchases, and whether some are in files. */
static bool
HasPurchases(const OrderPartitions *orders, int number, bool *in_files)
{
	const SharedPartitions *shared = orders->shared;
	const Partition *partition = &orders->partitions[number];
	const SharedRecords *published = &shared->records[number * shared->participants];
	bool in_memory = partition->store.first != NULL || partition->received != NULL;

	*in_files = partition->store.file != NULL;
	for (int i = 0; i < shared->participants; i++)
	{
		in_memory |= published[i].records > 0;
		*in_files |= published[i].file_number > 0;
	}
	return in_memory || *in_files;
}

/* Makes the customers of a partition of all participants available. */
static void
LoadSharedPartition(OrderPartitions *orders, int number)
{
	SharedPartitions *shared = orders->shared;
	SharedRecords *published = &shared->records[number * shared->participants];
	Partition *partition = &orders->partitions[number];
	RecordStore *stores =
		MemoryContextAllocZero(orders->context, (2 * shared->participants + 1) * sizeof(*stores));
	int n = 0;

	stores[n++] = partition->store;
	partition->store = (RecordStore){.pool = orders->pool};
	/* those of each participant as they came */
	for (int i = 0; i < shared->participants; i++)
	{
		if (partition->received != NULL)
			stores[n++] = partition->received[i];
		stores[n].pool = orders->pool;
		RecordStoreAdopt(&stores[n++], &published[i]);
		published[i] = (SharedRecords){0};
	}
	partition->received = NULL;
	orders->handing_out = number;
	LoadPartition(orders, stores, n, shared->participants);
	pfree(stores);
}

/*
 * Makes the customers of the next partition available that is at home here.  First come those that
 * are all in memory, which makes room for the rest; in a third round those that are kept for last.
 */
static bool
NextOwnPartition(OrderPartitions *orders, int rounds)
{
	while (orders->own_turn < rounds * PARTITIONS)
	{
		int number = orders->own_turn % PARTITIONS;
		int round = orders->own_turn++ / PARTITIONS;
		bool in_files;

		if (orders->partitions[number].home != orders->pool->participant ||
			!HasPurchases(orders, number, &in_files) || (round == 0 && in_files) ||
			(round == 1 && !in_files) || (round == 0 && number >= orders->kept_for_last))
			continue;
		LoadSharedPartition(orders, number);
		return true;
	}
	return false;
}

/* Makes the customers of a partition available that has no home, and that nobody has taken. */
static bool
NextCommonPartition(OrderPartitions *orders)
{
	SharedPartitions *shared = orders->shared;
	int turn;

	while ((turn = (int) pg_atomic_fetch_add_u32(&shared->claimed, 1)) < 2 * PARTITIONS)
	{
		int number = turn % PARTITIONS;
		bool in_files;

		if (HomeIsOpen(shared, orders->partitions[number].home) ||
			!HasPurchases(orders, number, &in_files) || in_files != (turn >= PARTITIONS))
			continue;
		LoadSharedPartition(orders, number);
		return true;
	}
	return false;
}

/* Makes the customers of the next partition available; false if there is none. */
static bool
NextPartition(OrderPartitions *orders)
{
	orders->next_group = 0;
	if (orders->shared != NULL)
		return NextOwnPartition(orders, 2) || NextCommonPartition(orders) ||
			   NextOwnPartition(orders, 3);
	for (;; orders->handing_out++)
	{
		RecordStore *store;

		if (orders->handing_out == PARTITIONS)
		{
			if (orders->resident_done)
				return false;
			orders->resident_done = true;
			orders->handing_out = 0;
		}
		store = &orders->partitions[orders->handing_out].store;
		if (orders->resident_done ? store->file != NULL
								  : store->file == NULL && store->first != NULL)
		{
			LoadPartition(orders, store, 1, 1);
			return true;
		}
	}
}

bool
NextCustomerPurchases(OrderPartitions *orders, CustomerPurchases *next)
{
	CustomerGrouping *groups = &orders->groups;

	CHECK_FOR_INTERRUPTS();
	for (;;)
	{
		if (orders->grouped && orders->next_group < groups->ngroups)
		{
			next->customer = GroupCustomer(groups, orders->next_group);
			next->days = GroupDays(groups, orders->next_group++, &next->ndays);
			next->scale = orders->scale;
			return true;
		}
		if (orders->parts != NULL)
		{
			if (NextCustomerPurchases(orders->parts, next))
				return true;
			EndOrderPartitions(orders->parts);
			orders->parts = NULL;
		}
		if (orders->grouped)
			RecordStoreReset(&orders->partitions[orders->handing_out].store);
		orders->grouped = false;
		if (!NextPartition(orders))
			return false;
	}
}

/* ---------- from process to process ---------- */

Size
SharedPartitionsSize(int participants)
{
	Size records = mul_size(mul_size(participants, PARTITIONS), sizeof(SharedRecords));

	return add_size(add_size(offsetof(SharedPartitions, records), records),
					mul_size(participants, sizeof(Mailbox)));
}

void
InitSharedPartitions(SharedPartitions *shared, int participants)
{
	memset(shared, 0, SharedPartitionsSize(participants));
	shared->participants = participants;
	pg_atomic_init_u32(&shared->joined, 0);
	pg_atomic_init_u32(&shared->claimed, 0);
	pg_atomic_init_u32(&shared->scale, 0);
	for (int i = 0; i < participants; i++)
	{
		pg_atomic_init_u64(&MailboxOf(shared, i)->sent, InvalidDsaPointer);
		pg_atomic_init_u64(&MailboxOf(shared, i)->returned, InvalidDsaPointer);
	}
}

int
JoinPartitions(SharedPartitions *shared)
{
	return (int) pg_atomic_fetch_add_u32(&shared->joined, 1);
}

void
SharePartitions(OrderPartitions *orders, SharedPartitions *shared, bool leader)
{
	int participant = orders->pool->participant;

	orders->shared = shared;
	orders->taking = orders->pool->travelling = participant >= 0;
	orders->kept_for_last =
		leader ? Max(PARTITIONS / 2, PARTITIONS - KEPT_PARTITIONS * shared->participants)
			   : PARTITIONS;
	/* who comes too late is nobody's home */
	if (!orders->taking)
		orders->own_turn = 3 * PARTITIONS;
	for (int i = 0; i < PARTITIONS; i++)
	{
		Partition *partition = &orders->partitions[i];

		partition->home = i < COMMON_PARTITIONS ? NO_HOME : i % shared->participants;
		if (orders->taking && partition->home != participant)
			partition->store.place = RECORDS_SHARED;
	}
}

void
PublishPartitions(OrderPartitions *orders, SharedPartitions *shared)
{
	int participant = orders->pool->participant;
	uint32 scale = pg_atomic_read_u32(&shared->scale);

	for (int i = 0; i < PARTITIONS; i++)
		if (orders->partitions[i].home != participant)
			RecordStorePublish(&orders->partitions[i].store,
							   &shared->records[i * shared->participants + participant]);
	while (scale < orders->scale &&
		   !pg_atomic_compare_exchange_u32(&shared->scale, &scale, orders->scale))
		;
}

void
ClaimPartitions(OrderPartitions *orders, SharedPartitions *shared)
{
	RaiseScale(orders, pg_atomic_read_u32(&shared->scale));
	if (orders->taking)
	{
		ReceiveBlocks(orders);
		TakeReturned(orders);
	}
	orders->taking = orders->pool->travelling = false;
	/* most of it is taken by partitions that wait for their turn */
	orders->memory_limit /= 4;
}
