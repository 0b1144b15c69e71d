/*
 * purchase_collector.c: rows of purchases in, purchases by customer out.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "purchase_collector.h"

#define PARTITION_BITS 8
#define PARTITIONS (1 << PARTITION_BITS)
#define MAX_LEVEL (64 / PARTITION_BITS - 1)

/* A partition is parted again rather than grouped in more memory than this. */
#define MIN_PARTITION_LIMIT ((Size) 4 * 1024 * 1024)

/*
 * Records are made compact long before memory runs out: fresh memory has to be
 * cleared by the kernel, which takes longer than adding up does.
 */
#define FIRST_COMPACTION ((Size) 96 * 1024 * 1024)

/* With less, files would be written in crumbs. */
#define MIN_MEMORY ((Size) 8 * 1024 * 1024)

/* Aligned, so that adding a record touches one cache line of it. */
typedef struct Partition
{
	RecordStore store;
	int64 compacted; /* records left when it was made compact last */
} pg_attribute_aligned(128) Partition;

/* A customer while a partition is being grouped. */
typedef struct CustomerGroup
{
	uint64 key;
	const PurchaseRecord *record; /* any of its records, for the key */
	uint32 count;                 /* of its records */
	uint32 start;                 /* of its days in Grouping.days, then their end */
} CustomerGroup;

/* Working arrays, kept from partition to partition. */
typedef struct Grouping
{
	uint32 *slots; /* hash table: group + 1, 0 for none */
	uint32 nslots;
	CustomerGroup *groups;
	uint32 ngroups;
	uint32 groups_room;
	uint32 *group_of; /* of each record */
	PurchaseDay *days;
	uint32 records_room;
} Grouping;

struct PurchaseCollector
{
	MemoryContext context; /* of all that follows */
	RecordPool *pool;
	CustomerKey key;
	CollectorGrain grain;
	bool costs;
	int scale;            /* of new records: the largest seen */
	int level;            /* how often the rows were parted before */
	Size memory_limit;    /* of all records */
	Size partition_limit; /* of the records of one partition */
	Size compact_at;      /* the size of all records at which to make them compact */
	bool compacting;      /* doing so has paid so far */
	Size key_offset;      /* of the key's bytes in a record, where it has any */
	Partition partitions[PARTITIONS];
	Grouping grouping;
};

/* ---------- keys and records ---------- */

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
}

/* Records of other keys than integers end in their size and bytes. */
#define KEY_SIZE_BYTES MAXALIGN(sizeof(uint32))

static inline Size
FixedRecordSize(bool costs)
{
	return sizeof(PurchaseRecord) + (costs ? 2 * sizeof(int64) : 0);
}

/* The bytes of a key as they stand in a record. */
static inline Size
KeyBytes(const CustomerKey *key, Datum customer)
{
	return key->byval ? sizeof(Datum) : datumGetSize(customer, false, key->len);
}

static inline uint32 *
KeySizeOf(const PurchaseRecord *record, Size key_offset)
{
	return (uint32 *) ((char *) record + key_offset);
}

static inline Size
RecordSize(const PurchaseRecord *record, const CustomerKey *key, Size key_offset)
{
	if (key->integer)
		return key_offset;
	return key_offset + KEY_SIZE_BYTES + MAXALIGN(*KeySizeOf(record, key_offset));
}

static inline Datum
RecordCustomer(const PurchaseRecord *record, const CustomerKey *key, Size key_offset)
{
	char *bytes = (char *) record + key_offset + KEY_SIZE_BYTES;

	if (key->integer)
		return (Datum) record->key;
	return key->byval ? *(Datum *) bytes : PointerGetDatum(bytes);
}

/* A new record with its key; the rest is the caller's to fill in. */
static inline PurchaseRecord *
NewRecord(RecordStore *store, const CustomerKey *key, Size key_offset, Datum customer, uint64 bits,
		  int scale)
{
	PurchaseRecord *record;
	Size size;

	if (likely(key->integer))
	{
		record = (PurchaseRecord *) RecordStoreAppend(store, key_offset, scale);
		record->key = bits;
		return record;
	}
	size = KeyBytes(key, customer);
	record = (PurchaseRecord *) RecordStoreAppend(
		store, key_offset + KEY_SIZE_BYTES + MAXALIGN(size), scale);
	record->key = bits;
	*KeySizeOf(record, key_offset) = (uint32) size;
	if (key->byval)
		*(Datum *) ((char *) record + key_offset + KEY_SIZE_BYTES) = customer;
	else
		memcpy((char *) record + key_offset + KEY_SIZE_BYTES, DatumGetPointer(customer), size);
	return record;
}

PurchaseRecord *
AppendCustomer(RecordStore *store, const CustomerKey *key, Datum customer, uint64 bits, int scale)
{
	return NewRecord(store, key, FixedRecordSize(false), customer, bits, scale);
}

Datum
CustomerOfRecord(const CustomerKey *key, const PurchaseRecord *record)
{
	return RecordCustomer(record, key, FixedRecordSize(false));
}

Size
SizeOfRecord(const CustomerKey *key, const PurchaseRecord *record)
{
	return RecordSize(record, key, FixedRecordSize(false));
}

static inline int64 *
RecordCosts(const PurchaseRecord *record)
{
	return (int64 *) (record + 1);
}

static inline void
FillRecord(PurchaseRecord *record, const PurchaseDay *day, bool costs)
{
	record->amount = day->amount;
	record->day = day->day;
	record->orders = day->orders;
	if (costs)
	{
		RecordCosts(record)[0] = day->cost;
		RecordCosts(record)[1] = day->covered;
	}
}

static inline void
DayOfRecord(PurchaseDay *day, const PurchaseRecord *record, bool costs)
{
	day->amount = record->amount;
	day->day = record->day;
	day->orders = record->orders;
	day->cost = costs ? RecordCosts(record)[0] : 0;
	day->covered = costs ? RecordCosts(record)[1] : 0;
}

/* ---------- collecting ---------- */

Size
HashMemoryLimit(void)
{
	return get_hash_memory_limit();
}

static PurchaseCollector *
NewCollector(MemoryContext context, RecordPool *pool, const CustomerKey *key, CollectorGrain grain,
			 bool costs, int scale, Size memory, int level)
{
	PurchaseCollector *collector = (PurchaseCollector *) TYPEALIGN(
		128, MemoryContextAllocZero(context, sizeof(PurchaseCollector) + 128));

	collector->context = context;
	collector->pool = pool;
	collector->key = *key;
	collector->grain = grain;
	collector->costs = costs;
	collector->scale = scale;
	collector->level = level;
	/* grouping a partition takes up to twice its records */
	memory = Max(memory, MIN_MEMORY);
	collector->partition_limit = Max(MIN_PARTITION_LIMIT, memory / 64);
	collector->memory_limit = memory > 4 * collector->partition_limit
								  ? memory - 2 * collector->partition_limit
								  : memory / 2;
	collector->compact_at = Min(FIRST_COMPACTION, collector->memory_limit);
	collector->compacting = true;
	collector->key_offset = FixedRecordSize(costs);
	for (int i = 0; i < PARTITIONS; i++)
		collector->partitions[i].store.pool = collector->pool;
	return collector;
}

PurchaseCollector *
CreatePurchaseCollector(RecordPool *pool, const CustomerKey *key, CollectorGrain grain, bool costs,
						int scale, Size memory)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "purchase collector", ALLOCSET_DEFAULT_SIZES);

	return NewCollector(context, pool, key, grain, costs, scale, memory, 0);
}

static void CheckMemory(PurchaseCollector *collector, Partition *grown);

/* The partition of a key: another byte of its hash at every level. */
static inline Partition *
PartitionOf(PurchaseCollector *collector, uint64 bits)
{
	int shift = 64 - PARTITION_BITS * (collector->level + 1);

	return &collector->partitions[(MixHash64(bits) >> shift) & (PARTITIONS - 1)];
}

/* The record of a purchase in its partition. */
static inline void
StorePurchase(PurchaseCollector *collector, Datum customer, uint64 bits,
			  const PurchaseDay *purchase)
{
	Partition *partition = PartitionOf(collector, bits);
	Size before = partition->store.memory;

	FillRecord(NewRecord(&partition->store, &collector->key, collector->key_offset, customer, bits,
						 collector->scale),
			   purchase, collector->costs);
	if (unlikely(partition->store.memory != before))
		CheckMemory(collector, partition);
}

void
CollectPurchase(PurchaseCollector *collector, Datum customer, uint64 bits, PurchaseDay *purchase,
				int scale)
{
	if (unlikely(scale > collector->scale))
	{
		for (int i = 0; i < PARTITIONS; i++)
			RecordStoreSeal(&collector->partitions[i].store);
		collector->scale = scale;
	}
	else if (scale < collector->scale)
	{
		purchase->amount = Rescale(purchase->amount, scale, collector->scale);
		if (collector->costs)
		{
			purchase->cost = Rescale(purchase->cost, scale, collector->scale);
			purchase->covered = Rescale(purchase->covered, scale, collector->scale);
		}
	}
	StorePurchase(collector, customer, bits, purchase);
}

/* ---------- grouping a partition ---------- */

static void *
ScratchRoom(PurchaseCollector *collector, void *array, Size size)
{
	if (array == NULL)
		return MemoryContextAllocHuge(collector->context, size);
	return repalloc_huge(array, size);
}

/* Working arrays for so many records. */
static void
PrepareGrouping(PurchaseCollector *collector, int64 records)
{
	Grouping *g = &collector->grouping;

	if (records > PG_UINT32_MAX / 4)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many purchases of too few customers")));
	if (g->records_room < records || g->slots == NULL)
	{
		g->records_room = Max(1024, records + records / 8);
		g->nslots = pg_nextpower2_32(g->records_room);
		g->slots = ScratchRoom(collector, g->slots, g->nslots * sizeof(uint32));
		g->days = ScratchRoom(collector, g->days, g->records_room * sizeof(PurchaseDay));
		if (collector->grain == PER_DAY)
			g->group_of = ScratchRoom(collector, g->group_of, g->records_room * sizeof(uint32));
	}
	/* no more slots than this partition needs: they have to be cleared */
	g->nslots = pg_nextpower2_32(Max(1024, records));
	memset(g->slots, 0, g->nslots * sizeof(uint32));
	g->ngroups = 0;
}

static bool
SameCustomer(PurchaseCollector *collector, const CustomerGroup *group, const PurchaseRecord *record)
{
	if (group->key != record->key)
		return false;
	if (collector->key.integer)
		return true;
	return DatumGetBool(
		FunctionCall2Coll(&collector->key.equal, collector->key.collation,
						  RecordCustomer(group->record, &collector->key, collector->key_offset),
						  RecordCustomer(record, &collector->key, collector->key_offset)));
}

/* The group of a record's customer, a new one if need be. */
static inline uint32
GroupOf(PurchaseCollector *collector, const PurchaseRecord *record)
{
	Grouping *g = &collector->grouping;
	uint32 mask = g->nslots - 1;
	uint32 slot = (uint32) MixHash64(record->key) & mask;
	CustomerGroup *group;

	while (g->slots[slot] != 0)
	{
		if (SameCustomer(collector, &g->groups[g->slots[slot] - 1], record))
			return g->slots[slot] - 1;
		slot = (slot + 1) & mask;
	}
	if (g->ngroups == g->groups_room)
	{
		g->groups_room = Max(1024, g->groups_room * 2);
		g->groups = ScratchRoom(collector, g->groups, g->groups_room * sizeof(CustomerGroup));
	}
	group = &g->groups[g->ngroups++];
	group->key = record->key;
	group->record = record;
	group->count = 0;
	g->slots[slot] = g->ngroups;
	return g->ngroups - 1;
}

/* Adds a purchase to all that is known of its customer. */
static inline void
AddToCustomer(PurchaseDay *total, const PurchaseDay *purchase)
{
	DateADT last = Max(total->day, purchase->day);

	AddPurchaseDay(total, purchase);
	total->day = last;
}

/* The amounts of a block at the scale that all have by now. */
static void
RescaleBlock(PurchaseCollector *collector, RecordBlock *block)
{
	for (char *p = block->data; p < block->data + block->used;)
	{
		PurchaseRecord *record = (PurchaseRecord *) p;

		record->amount = Rescale(record->amount, block->scale, collector->scale);
		if (collector->costs)
			for (int i = 0; i < 2; i++)
				RecordCosts(record)[i] =
					Rescale(RecordCosts(record)[i], block->scale, collector->scale);
		p += RecordSize(record, &collector->key, collector->key_offset);
	}
	block->scale = collector->scale;
}

/* Runs over the records of a resident store. */
#define FOR_EACH_RECORD(collector, store, record)                                                  \
	for (RecordBlock *block_ = (store)->first; block_ != NULL; block_ = block_->next)              \
		for (PurchaseRecord *record = (PurchaseRecord *) block_->data;                             \
			 (char *) record < block_->data + block_->used;                                        \
			 record = (PurchaseRecord *) ((char *) record + RecordSize(record, &(collector)->key,  \
																	   (collector)->key_offset)))

/*
 * Groups the resident records of a partition by customer.  Afterwards the days
 * of group i are days[start - count] to days[start - 1], in order and added up.
 */
static void
GroupPartition(PurchaseCollector *collector, RecordStore *store)
{
	Grouping *g = &collector->grouping;
	uint32 n = 0;
	uint32 start = 0;

	CHECK_FOR_INTERRUPTS();
	RecordStoreSeal(store);
	for (RecordBlock *block = store->first; block != NULL; block = block->next)
		if (block->scale != collector->scale)
			RescaleBlock(collector, block);
	PrepareGrouping(collector, store->records);

	if (collector->grain == PER_CUSTOMER)
	{
		FOR_EACH_RECORD(collector, store, record)
		{
			uint32 i = GroupOf(collector, record);
			PurchaseDay purchase;

			DayOfRecord(&purchase, record, false);
			if (g->groups[i].count++ == 0)
				g->days[i] = purchase;
			else
				AddToCustomer(&g->days[i], &purchase);
		}
		for (uint32 i = 0; i < g->ngroups; i++)
		{
			g->groups[i].count = 1;
			g->groups[i].start = i + 1;
		}
		return;
	}

	FOR_EACH_RECORD(collector, store, record)
	{
		uint32 i = GroupOf(collector, record);

		g->group_of[n++] = i;
		g->groups[i].count++;
	}
	for (uint32 i = 0; i < g->ngroups; i++)
	{
		g->groups[i].start = start;
		start += g->groups[i].count;
	}
	n = 0;
	FOR_EACH_RECORD(collector, store, record)
	DayOfRecord(&g->days[g->groups[g->group_of[n++]].start++], record, collector->costs);
	for (uint32 i = 0; i < g->ngroups; i++)
	{
		CustomerGroup *group = &g->groups[i];
		PurchaseDay *days = &g->days[group->start - group->count];
		uint32 kept = SortPurchaseDays(days, group->count);

		group->start -= group->count - kept;
		group->count = kept;
	}
}

/* ---------- when memory runs out ---------- */

/* Replaces the resident records of a partition by their sums. */
static void
CompactPartition(PurchaseCollector *collector, Partition *partition)
{
	Grouping *g = &collector->grouping;
	RecordStore compact = {.pool = collector->pool,
						   .file = partition->store.file,
						   .file_bytes = partition->store.file_bytes,
						   .file_records = partition->store.file_records};

	/* what was made compact last time has to be doubled by new records to be worth it */
	if (partition->store.records < 2 * partition->compacted)
		return;
	GroupPartition(collector, &partition->store);
	for (uint32 i = 0; i < g->ngroups; i++)
	{
		CustomerGroup *group = &g->groups[i];
		Datum customer = RecordCustomer(group->record, &collector->key, collector->key_offset);

		for (uint32 j = group->start - group->count; j < group->start; j++)
			FillRecord(NewRecord(&compact, &collector->key, collector->key_offset, customer,
								 group->key, collector->scale),
					   &g->days[j], collector->costs);
	}
	partition->store.file = NULL;
	RecordStoreReset(&partition->store);
	partition->store = compact;
	partition->compacted = compact.records;
}

/* Makes all partitions compact, and decides when to do so again, if ever. */
static void
CompactAll(PurchaseCollector *collector)
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
	collector->compact_at =
		Min(Max(collector->compact_at, 2 * collector->pool->used), collector->memory_limit);
}

static void
SpillPartition(Partition *partition)
{
	RecordStoreSpill(&partition->store);
	partition->compacted = 0;
}

static Partition *
LargestPartition(PurchaseCollector *collector)
{
	Partition *largest = &collector->partitions[0];

	for (int i = 1; i < PARTITIONS; i++)
		if (collector->partitions[i].store.memory > largest->store.memory)
			largest = &collector->partitions[i];
	return largest;
}

/* Called when a partition has grown: makes room where there is too much of it, or of all. */
static void
CheckMemory(PurchaseCollector *collector, Partition *grown)
{
	if (collector->compacting && collector->pool->used > collector->compact_at)
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

static void
EmitPartition(PurchaseCollector *collector, RecordStore *store, CustomerSink emit, void *sink)
{
	Grouping *g = &collector->grouping;

	GroupPartition(collector, store);
	for (uint32 i = 0; i < g->ngroups; i++)
	{
		CustomerGroup *group = &g->groups[i];

		emit(sink, RecordCustomer(group->record, &collector->key, collector->key_offset),
			 &g->days[group->start - group->count], group->count, collector->scale);
	}
	RecordStoreReset(store);
}

/* Parts a partition that is too large by the next bits of the hash. */
static PurchaseCollector *
PartAgain(PurchaseCollector *collector, RecordStore *store)
{
	MemoryContext context = AllocSetContextCreate(
		collector->context, "purchase collector, parted again", ALLOCSET_DEFAULT_SIZES);
	PurchaseCollector *parts =
		NewCollector(context, collector->pool, &collector->key, collector->grain, collector->costs,
					 collector->scale, 0, collector->level + 1);
	RecordCursor cursor;
	RecordBlock *block;

	parts->memory_limit = collector->memory_limit;
	parts->partition_limit = collector->partition_limit;
	RecordCursorBegin(&cursor, store);
	while ((block = RecordCursorNext(&cursor)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (block->scale != collector->scale)
			RescaleBlock(collector, block);
		for (char *p = block->data; p < block->data + block->used;)
		{
			PurchaseRecord *record = (PurchaseRecord *) p;
			PurchaseDay purchase;

			DayOfRecord(&purchase, record, collector->costs);
			StorePurchase(parts, RecordCustomer(record, &collector->key, collector->key_offset),
						  record->key, &purchase);
			p += RecordSize(record, &collector->key, collector->key_offset);
		}
	}
	RecordCursorEnd(&cursor);
	RecordStoreReset(store);
	return parts;
}

void
DrainPurchaseCollector(PurchaseCollector *collector, CustomerSink emit, void *sink)
{
	/* first what is all in memory: that makes room for the rest */
	for (int i = 0; i < PARTITIONS; i++)
		if (collector->partitions[i].store.file == NULL)
			EmitPartition(collector, &collector->partitions[i].store, emit, sink);

	for (int i = 0; i < PARTITIONS; i++)
	{
		RecordStore *store = &collector->partitions[i].store;

		if (store->file == NULL)
			continue;
		if (store->file_bytes + store->memory > collector->partition_limit &&
			collector->level < MAX_LEVEL)
		{
			/* the other partitions wait in their files */
			for (int j = i; j < PARTITIONS; j++)
				if (collector->partitions[j].store.first != NULL)
					RecordStoreSpill(&collector->partitions[j].store);
			DrainPurchaseCollector(PartAgain(collector, store), emit, sink);
			continue;
		}
		RecordStoreLoad(store);
		EmitPartition(collector, store, emit, sink);
	}
	MemoryContextDelete(collector->context);
}
