/*
 * customer_grouping.h: the purchases of a record store, by customer.
 *
 * The store should fit into the processor's cache.  The hash table of customers is reused from
 * store to store.
 */
#ifndef CRM_CUSTOMER_GROUPING_H
#define CRM_CUSTOMER_GROUPING_H

#include "orders/packed_purchase.h"

/* The granularity of the sums. */
typedef enum PurchaseGrain
{
	PER_DAY,     /* customer and day: for histories */
	PER_CUSTOMER /* the customer: last day, sum of orders, sum of amounts; costs are lost */
} PurchaseGrain;

/* A customer of the store. */
typedef struct CustomerGroup
{
	uint64 bits;
	const PackedPurchase *record; /* any of its records, for the key */
	union
	{
		struct
		{
			uint32 count; /* of its records */
			uint32 end;   /* in CustomerGrouping.sorted: past its records */
		};
		struct
		{
			int64 amount;
			DateADT day;
			int32 orders;
		} total;
	};
} CustomerGroup;

/* A slot of the hash table. */
typedef struct GroupSlot
{
	uint32 tag;   /* of the hash */
	uint32 group; /* + 1; 0 for none */
} GroupSlot;

/* Lines of an order, summed up; or a purchase that is no line. */
typedef struct OrderSum
{
	PurchaseDay sum;
	LineOrder order; /* of lines */
} OrderSum;

typedef struct CustomerGrouping
{
	MemoryContext context;
	const RecordFormat *format;
	PurchaseGrain grain;
	CustomerGroup *groups;
	uint32 ngroups;
	uint32 groups_room;
	GroupSlot *slots;
	uint32 nslots; /* in use: as many as the customers of such a store call for */
	uint32 slots_room;
	uint32 *group_of;              /* of each record */
	const PackedPurchase **sorted; /* records by customer */
	uint32 records_room;
	const PackedPurchase **merged; /* records of several sources, in order of day */
	uint32 merged_room;
	PurchaseDay *days; /* of one customer */
	uint32 days_room;
	OrderSum *sums; /* of one customer */
	uint32 sums_room;
} CustomerGrouping;

extern void InitCustomerGrouping(CustomerGrouping *groups, MemoryContext context,
								 const RecordFormat *format, PurchaseGrain grain);

/*
 * Groups the resident records of a sealed store, which come from so many sources one after the
 * other; all its blocks must have the same scale.
 */
extern void GroupPurchases(CustomerGrouping *groups, const RecordStore *store, int sources);

static inline Datum
GroupCustomer(const CustomerGrouping *groups, uint32 i)
{
	return RecordCustomer(groups->groups[i].record, groups->format);
}

/* The purchases of a customer, and the lines of each order as one; valid until the next call. */
extern OrderSum *GroupOrders(CustomerGrouping *groups, uint32 i, int64 *norders);

/* The days of a customer, sorted and summed; valid until the next call. */
extern PurchaseDay *GroupDays(CustomerGrouping *groups, uint32 i, int64 *ndays);

#endif /* CRM_CUSTOMER_GROUPING_H */
