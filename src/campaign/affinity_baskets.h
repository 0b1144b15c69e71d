/*
 * affinity_baskets.h: the baskets of a query of order lines (basket, product), each a
 * set of products.
 *
 * A product is a number here.  That lets baskets be collected as purchases of customers
 * are: the basket is the customer, the number of the product the day.  So lines spill and
 * are grouped by what does that for orders, and a product comes once, and in order.
 */
#ifndef CRM_AFFINITY_BASKETS_H
#define CRM_AFFINITY_BASKETS_H

#include "campaign/affinity_products.h"
#include "orders/order_partitions.h"

/* The products of a basket, ascending; a record of the store. */
typedef struct Basket
{
	uint32 nproducts;
	uint32 products[FLEXIBLE_ARRAY_MEMBER];
} Basket;

typedef struct Baskets
{
	MemoryContext context;
	Size memory; /* that each of lines, products, baskets and counters may take */
	Products products;
	RecordPool *pool;
	RecordStore store;
	int64 nbaskets;
	int64 without_basket;  /* lines */
	int64 without_product; /* lines */
} Baskets;

/* Runs a query whose first two columns are basket and product; the rest is ignored. */
extern Baskets *CollectBaskets(const char *function, const char *query);

extern void EndBaskets(Baskets *baskets);

/* Reads all baskets, from the first one on. */
typedef struct BasketReader
{
	RecordCursor cursor;
	RecordBlock *block;
	char *next;
} BasketReader;

extern void BeginBaskets(BasketReader *reader, Baskets *baskets);

/* NULL at the end, where the reader ends, too. */
extern const Basket *NextBasket(BasketReader *reader);

#endif /* CRM_AFFINITY_BASKETS_H */
