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
	return format->key.integer || SameKey(&format->key, RecordCustomer(group->record, format),
										  RecordCustomer(record, format));
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

/* Whether purchases are added up as they are met. */
static inline bool
SumsAtOnce(const CustomerGrouping *groups)
{
	return groups->grain == PER_CUSTOMER && !groups->format->lines;
}

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
	if (!SumsAtOnce(groups) && groups->records_room < records)
	{
		groups->records_room = records + records / 8;
		groups->group_of =
			Room(groups, groups->group_of, groups->records_room * sizeof(uint32), false);
		groups->sorted =
			Room(groups, groups->sorted, groups->records_room * sizeof(PackedPurchase *), false);
	}
}

/* Gives each group its place among the sorted records; `end` is where its next record goes. */
static void
PlaceGroups(CustomerGrouping *groups)
{
	uint32 end = 0;

	for (uint32 i = 0; i < groups->ngroups; i++)
	{
		groups->groups[i].end = end;
		end += groups->groups[i].count;
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

/* ---------- records of several sources ---------- */

/*
 * Processes that read orders in order of time have records in order of day each.  Taken in turns,
 * by day, those of a customer need not be sorted.  In whatever order the records are, the result is
 * the same.
 */
#define MAX_STREAMS 64

typedef struct RecordStream
{
	const RecordBlock *block;
	const RecordBlock *end;     /* the first block that belongs to the next stream */
	const PackedPurchase *next; /* its next record, */
	uint32 day;                 /* and the day of that */
} RecordStream;

/* The day of a record, as the marks count them. */
static inline uint32
MarkedDay(const PackedPurchase *record)
{
	return record->mark & (RecordIsNarrow(record) ? NARROW_DAY : WIDE_DAY);
}

static inline void
BeginBlock(RecordStream *stream)
{
	stream->next = (const PackedPurchase *) stream->block->data;
	stream->day = MarkedDay(stream->next);
}

/* Goes to the next record of the stream; false: that was the last one. */
static inline bool
NextInStream(RecordStream *stream, const RecordFormat *format)
{
	stream->next =
		(const PackedPurchase *) ((const char *) stream->next + RecordSize(stream->next, format));
	if ((const char *) stream->next < stream->block->data + stream->block->used)
	{
		stream->day = MarkedDay(stream->next);
		return true;
	}
	CHECK_FOR_INTERRUPTS();
	stream->block = stream->block->next;
	if (stream->block == stream->end)
		return false;
	BeginBlock(stream);
	return true;
}

/*
 * Divides the blocks into streams whose blocks are in order of day; returns how many these are, or
 * 1 if there are more than sources.
 */
static int
FindStreams(const RecordStore *store, int sources, RecordStream *streams)
{
	int n = 0;

	sources = Min(sources, MAX_STREAMS);
	for (const RecordBlock *block = store->first; block != NULL; block = block->next)
	{
		uint32 day;

		if (block->used == 0)
			return 1;
		day = MarkedDay((const PackedPurchase *) block->data);
		if (n == 0 || day < streams[n - 1].day)
		{
			if (n == sources)
				return 1;
			if (n > 0)
				streams[n - 1].end = block;
			streams[n++] = (RecordStream){.block = block};
		}
		streams[n - 1].day = day;
	}
	for (int i = 0; i < n; i++)
		BeginBlock(&streams[i]);
	return n;
}

/* Finds the groups of all records, which it takes from the streams by day. */
static void
GroupStreams(CustomerGrouping *groups, RecordStream *streams, int nstreams)
{
	uint32 n = 0;

	while (nstreams > 0)
	{
		RecordStream *stream = streams;
		uint32 others = PG_UINT32_MAX; /* the first day of the other streams */
		bool more = true;

		for (RecordStream *other = streams + 1; other < streams + nstreams; other++)
		{
			others = Min(others, Max(stream->day, other->day));
			if (other->day < stream->day)
				stream = other;
		}
		for (; more && stream->day <= others; more = NextInStream(stream, groups->format))
		{
			uint32 i = GroupOf(groups, stream->next);

			groups->merged[n] = stream->next;
			groups->group_of[n++] = i;
			groups->groups[i].count++;
		}
		if (!more)
			*stream = streams[--nstreams];
	}
}

/* Puts the records of each customer together, by day; false: there is but one stream of them. */
static bool
SortStreamsByCustomer(CustomerGrouping *groups, const RecordStore *store, int sources)
{
	RecordStream streams[MAX_STREAMS];
	int nstreams = 1;

	/* lines are sorted by their orders first */
	if (sources > 1 && groups->grain == PER_DAY && !groups->format->lines)
		nstreams = FindStreams(store, sources, streams);
	if (nstreams <= 1)
		return false;
	if (groups->merged_room < groups->records_room)
	{
		groups->merged_room = groups->records_room;
		groups->merged =
			Room(groups, groups->merged, groups->merged_room * sizeof(PackedPurchase *), false);
	}
	GroupStreams(groups, streams, nstreams);
	PlaceGroups(groups);
	for (int64 n = 0; n < store->records; n++)
		groups->sorted[groups->groups[groups->group_of[n]].end++] = groups->merged[n];
	return true;
}

/* Puts the records of each customer together, in the order of arrival. */
static void
SortByCustomer(CustomerGrouping *groups, const RecordStore *store)
{
	uint32 n = 0;

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
	PlaceGroups(groups);
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
GroupPurchases(CustomerGrouping *groups, const RecordStore *store, int sources)
{
	CHECK_FOR_INTERRUPTS();
	PrepareGroups(groups, store->records);
	if (SumsAtOnce(groups))
		SumByCustomer(groups, store);
	else if (!SortStreamsByCustomer(groups, store, sources))
		SortByCustomer(groups, store);
}

/* ---------- order lines ---------- */

/* Purchases that are no lines come first, lines by the bits of their order. */
static inline int
CompareOrders(const OrderSum *a, const OrderSum *b)
{
	if (a->sum.orders < 0 && b->sum.orders < 0)
		return a->order.bits < b->order.bits ? -1 : a->order.bits > b->order.bits;
	return (a->sum.orders < 0) - (b->sum.orders < 0);
}

#define ST_SORT SortOrders
#define ST_ELEMENT_TYPE OrderSum
#define ST_COMPARE(a, b) CompareOrders(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Puts lines of the same order together; returns how many entries are left. */
static int64
SumOrders(const RecordFormat *format, OrderSum *sums, int64 n)
{
	int64 kept = 0;

	for (int64 i = 0; i < n; i++)
	{
		int64 same = kept;

		/* orders whose keys have the same bits are neighbours */
		while (sums[i].sum.orders < 0 && same > 0 && sums[same - 1].sum.orders < 0 &&
			   sums[same - 1].order.bits == sums[i].order.bits &&
			   !SameKey(&format->order, sums[same - 1].order.key, sums[i].order.key))
			same--;
		if (sums[i].sum.orders < 0 && same > 0 && sums[same - 1].sum.orders < 0 &&
			sums[same - 1].order.bits == sums[i].order.bits)
			AddLines(&sums[same - 1].sum, &sums[i].sum);
		else
			sums[kept++] = sums[i];
	}
	return kept;
}

OrderSum *
GroupOrders(CustomerGrouping *groups, uint32 i, int64 *norders)
{
	const CustomerGroup *group = &groups->groups[i];
	uint32 count = group->count;

	if (groups->sums_room < count)
	{
		groups->sums_room = pg_nextpower2_32(Max(64, count));
		groups->sums = Room(groups, groups->sums, groups->sums_room * sizeof(OrderSum), false);
	}
	for (uint32 j = 0; j < count; j++)
	{
		const PackedPurchase *record = groups->sorted[group->end - count + j];
		OrderSum *to = &groups->sums[j];

		ReadRecord(record, groups->format, &to->sum);
		if (to->sum.orders < 0)
			to->order = ReadLineOrder(record, groups->format);
	}
	SortOrders(groups->sums, count);
	*norders = SumOrders(groups->format, groups->sums, count);
	return groups->sums;
}

/* The orders of a customer, now that all lines are there; returns how many. */
static int64
FinishOrders(CustomerGrouping *groups, uint32 i)
{
	int64 norders;
	const OrderSum *sums = GroupOrders(groups, i, &norders);

	for (int64 j = 0; j < norders; j++)
	{
		PurchaseDay *day = &groups->days[j];

		*day = sums[j].sum;
		if (day->orders >= 0)
			continue;
		day->orders = day->amount >= 0 ? 1 : 0;
		if (groups->grain == PER_CUSTOMER)
			LimitToPeriod(day, groups->format->after, groups->format->as_of);
	}
	return norders;
}

/* ---------- a customer ---------- */

/* Adds up all entries in the first. */
static void
SumDays(PurchaseDay *days, int64 ndays)
{
	for (int64 j = 1; j < ndays; j++)
	{
		DateADT last = Max(days->day, days[j].day);

		AddPurchaseDay(days, &days[j]);
		days->day = last;
	}
}

PurchaseDay *
GroupDays(CustomerGrouping *groups, uint32 i, int64 *ndays)
{
	const CustomerGroup *group = &groups->groups[i];
	uint32 count = SumsAtOnce(groups) ? 1 : group->count;

	if (groups->days_room < count)
	{
		groups->days_room = pg_nextpower2_32(Max(64, count));
		groups->days = Room(groups, groups->days, groups->days_room * sizeof(PurchaseDay), false);
	}
	*ndays = 1;
	if (SumsAtOnce(groups))
	{
		groups->days[0] = (PurchaseDay){
			.amount = group->total.amount, .day = group->total.day, .orders = group->total.orders};
		return groups->days;
	}
	if (groups->format->lines)
		count = (uint32) FinishOrders(groups, i);
	else
		for (uint32 j = 0; j < count; j++)
			ReadRecord(groups->sorted[group->end - count + j], groups->format, &groups->days[j]);
	if (groups->grain == PER_CUSTOMER)
		SumDays(groups->days, count);
	else
		*ndays = SortPurchaseDays(groups->days, count);
	return groups->days;
}
