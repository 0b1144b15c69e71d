/*
 * affinity_rules.h: sets of two and three products that occur together in baskets.
 *
 * Every count is exact.  Pairs are counted in a triangle of counters, triples in one
 * triangle for each first product, of the products that are frequent beside it.  As many
 * triangles, or rows of one, as memory allows are counted in one pass over the baskets.
 */
#ifndef CRM_AFFINITY_RULES_H
#define CRM_AFFINITY_RULES_H

#include "campaign/affinity_baskets.h"

#define NO_PRODUCT (-1)

/* Products that occur together: two, or three. */
typedef struct ProductSet
{
	int32 products[3]; /* the third NO_PRODUCT in a pair */
	uint32 baskets;    /* that have them all */
} ProductSet;

typedef struct ProductSets
{
	ProductSet *sets; /* the pairs first */
	int64 nsets;
	int64 npairs;
	int64 room;
	Size memory; /* that they may take */
} ProductSets;

/*
 * Finds all pairs, and with `triples` all sets of three, that at least so many baskets
 * have; with a product only those that contain it, which then is the first of each.
 */
extern ProductSets *
FindProductSets(Baskets *baskets, uint32 min_baskets, bool triples, int64 product);

/* The number of baskets with both; they are a pair that was found. */
extern uint32 PairBaskets(const ProductSets *found, int32 a, int32 b);

#endif /* CRM_AFFINITY_RULES_H */
