/*
 * customer_grouping.c: the purchases of a record store, by customer.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "orders/customer_grouping.h"

#define MIN_SLOTS 1024

void
InitCustomerGrouping(CustomerGrouping *groups, MemoryContext context, const RecordFormat *format,
					 PurchaseGrain grain)
{
	memset(groups, 0, sizeof(*groups));
	groups->context = context;
	groups->format = format;
	groups->grain = grain;
}

/* Makes an array at least that large; its contents survive only with `keep`. */
static void *
Room(CustomerGrouping *groups, void *array, Size size, bool keep)
{
	if (array != NULL && keep)
		return repalloc_huge(array, size);
	if (array != NULL)
		pfree(array);
	return MemoryContextAllocHuge(groups->context, size);
}

/* ---------- the hash table ---------- */

/* Empties the table and gives it that many slots, a power of two. */
static void
ClearSlots(CustomerGrouping *groups, uint32 nslots)
{
	if (nslots > groups->slots_room)
	{
		groups->slots = Room(groups, groups->slots, nslots * sizeof(GroupSlot), false);
		groups->slots_room = nslots;
	}
	groups->nslots = nslots;
	memset(groups->slots, 0, nslots * sizeof(GroupSlot));
}

/*
 * The bits of a hash that partitioning has not used up.  Seeded, since integer keys are their own
 * hash; the order of the groups follows the records and does not depend on the seed.
 */
static inline uint32
SlotHash(const CustomerGrouping *groups, uint64 bits)
{
	return (uint32) MixHash64(bits ^ groups->format->key.seed);
}

static void
DoubleSlots(CustomerGrouping *groups)
{
	uint32 mask;

	ClearSlots(groups, groups->nslots * 2);
	mask = groups->nslots - 1;
	for (uint32 i = 0; i < groups->ngroups; i++)
	{
		uint32 tag = SlotHash(groups, groups->groups[i].bits);
		uint32 at = tag & mask;

		while (groups->slots[at].group != 0)
			at = (at + 1) & mask;
		groups->slots[at] = (GroupSlot){tag, i + 1};
	}
}

static inline bool
SameCustomer(CustomerGrouping *groups, const CustomerGroup *group, const PackedPurchase *record)
{
	const RecordFormat *format = groups->format;

	if (group->bits != record->bits)
		return false;
	if (format->key.integer)
		return true;
	return DatumGetBool(FunctionCall2Coll((FmgrInfo *) &format->key.equal, format->key.collation,
										  RecordCustomer(group->record, format),
										  RecordCustomer(record, format)));
}

static uint32
NewGroup(CustomerGrouping *groups, const PackedPurchase *record)
{
	CustomerGroup *group;

	if (groups->ngroups == groups->groups_room)
	{
		groups->groups_room = Max(MIN_SLOTS / 2, groups->groups_room * 2);
		groups->groups =
			Room(groups, groups->groups, groups->groups_room * sizeof(CustomerGroup), true);
	}
	group = &groups->groups[groups->ngroups];
	memset(group, 0, sizeof(*group));
	group->bits = record->bits;
	group->record = record;
	group->total.day = NO_DAY;
	return groups->ngroups++;
}

/* The group of a record's customer, created if necessary. */
static inline uint32
GroupOf(CustomerGrouping *groups, const PackedPurchase *record)
{
	uint32 tag = SlotHash(groups, record->bits);
	uint32 mask = groups->nslots - 1;
	uint32 at = tag & mask;
	GroupSlot slot;

	while ((slot = groups->slots[at]).group != 0)
	{
		if (slot.tag == tag && SameCustomer(groups, &groups->groups[slot.group - 1], record))
			return slot.group - 1;
		at = (at + 1) & mask;
	}
	groups->slots[at] = (GroupSlot){tag, NewGroup(groups, record) + 1};
	if (groups->ngroups > groups->nslots / 2)
		DoubleSlots(groups);
	return groups->ngroups - 1;
}

/* ---------- grouping ---------- */

static void
PrepareGroups(CustomerGrouping *groups, int64 records)
{
	uint32 nslots = pg_nextpower2_32(Max(MIN_SLOTS, 3 * groups->ngroups));

	if (records > PG_UINT32_MAX / 4)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many purchases of too few customers")));
	/* the stores of one query are alike: expect as many customers as in the one before */
	ClearSlots(groups, nslots);
	groups->ngroups = 0;
	if (groups->grain == PER_DAY && groups->records_room < records)
	{
		groups->records_room = records + records / 8;
		groups->group_of =
			Room(groups, groups->group_of, groups->records_room * sizeof(uint32), false);
		groups->sorted =
			Room(groups, groups->sorted, groups->records_room * sizeof(PackedPurchase *), false);
	}
}

/* Adds up all purchases of each customer. */
static void
SumByCustomer(CustomerGrouping *groups, const RecordStore *store)
{
	for (const RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		CHECK_FOR_INTERRUPTS();
		FOR_EACH_RECORD(record, block, groups->format)
		{
			uint32 i = GroupOf(groups, record);
			CustomerGroup *group = &groups->groups[i];
			PurchaseDay purchase;

			ReadRecord(record, groups->format, &purchase);
			group->total.amount = AddAmounts(group->total.amount, purchase.amount);
			group->total.day = Max(group->total.day, purchase.day);
			if (unlikely(pg_add_s32_overflow(group->total.orders, purchase.orders,
											 &group->total.orders)))
				TooManyOrders();
		}
	}
}

/* Puts the records of each customer together, in the order of arrival. */
static void
SortByCustomer(CustomerGrouping *groups, const RecordStore *store)
{
	uint32 n = 0;
	uint32 end = 0;

	for (const RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		CHECK_FOR_INTERRUPTS();
		FOR_EACH_RECORD(record, block, groups->format)
		{
			uint32 i = GroupOf(groups, record);

			groups->group_of[n++] = i;
			groups->groups[i].count++;
		}
	}
	/* until all are placed, `end` is where the next record goes */
	for (uint32 i = 0; i < groups->ngroups; i++)
	{
		groups->groups[i].end = end;
		end += groups->groups[i].count;
	}
	n = 0;
	for (const RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		CHECK_FOR_INTERRUPTS();
		FOR_EACH_RECORD(record, block, groups->format)
		{
			groups->sorted[groups->groups[groups->group_of[n++]].end++] = record;
		}
	}
}

void
GroupPurchases(CustomerGrouping *groups, const RecordStore *store)
{
	CHECK_FOR_INTERRUPTS();
	PrepareGroups(groups, store->records);
	if (groups->grain == PER_CUSTOMER)
		SumByCustomer(groups, store);
	else
		SortByCustomer(groups, store);
}

PurchaseDay *
GroupDays(CustomerGrouping *groups, uint32 i, int64 *ndays)
{
	const CustomerGroup *group = &groups->groups[i];
	uint32 count = groups->grain == PER_CUSTOMER ? 1 : group->count;

	if (groups->days_room < count)
	{
		groups->days_room = pg_nextpower2_32(Max(64, count));
		groups->days = Room(groups, groups->days, groups->days_room * sizeof(PurchaseDay), false);
	}
	if (groups->grain == PER_CUSTOMER)
	{
		groups->days[0] = (PurchaseDay){
			.amount = group->total.amount, .day = group->total.day, .orders = group->total.orders};
		*ndays = 1;
		return groups->days;
	}
	for (uint32 j = 0; j < count; j++)
		ReadRecord(groups->sorted[group->end - count + j], groups->format, &groups->days[j]);
	*ndays = SortPurchaseDays(groups->days, count);
	return groups->days;
}
