/*
 * affinity_rules.c: sets of products that occur together in baskets, counted.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "campaign/affinity_rules.h"

/*
 * Counters of the pairs among some products, the members, in all baskets or in those that
 * have the product `first`: rows from..to-1 of the triangle of members before members.
 */
typedef struct Triangle
{
	int32 first;           /* NO_PRODUCT: all baskets */
	const uint32 *members; /* products, ascending; NULL: all that are frequent */
	int32 nmembers;
	int32 from;
	int32 to;
	uint32 *counts;
	int32 next; /* the next triangle of the same first product; -1: none */
} Triangle;

/* One pass over the baskets, and what stays the same in all of them. */
typedef struct Counting
{
	Baskets *baskets;
	ProductSets *found;
	uint32 min_baskets;
	int32 *place;     /* of each product among the frequent ones; -1: it is not frequent */
	uint32 *frequent; /* products */
	int32 nfrequent;
	Triangle *triangles; /* of this pass */
	int32 ntriangles;
	int32 triangles_room;
	Size used;          /* by their counters */
	int32 *triangle_of; /* by first product's place: the first triangle; -1: none */
	uint32 *basket;     /* of the basket being counted: places of its frequent products */
	int32 *rows;        /* and places of these among members */
	uint32 basket_room;
	MemoryContext pass;
} Counting;

/* How many counters stand before row `row` of a triangle that begins with row `from`. */
static inline Size
CountersBefore(int32 nmembers, int32 from, int32 row)
{
	Size rows = (Size) (row - from);

	/* a row has a counter for each later member */
	return rows * (nmembers - 1 - from) - rows * (rows - 1) / 2;
}

static void
AddSet(Counting *c, int32 first, uint32 a, uint32 b, uint32 baskets)
{
	ProductSets *found = c->found;
	ProductSet *set;

	if (found->nsets == found->room)
	{
		Size size = mul_size(2 * found->room, sizeof(ProductSet));

		if (size > found->memory)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("more than " INT64_FORMAT
								   " sets of products occur in at least %u baskets",
								   found->nsets, c->min_baskets),
							errhint("Raise min_support, or work_mem.")));
		found->room *= 2;
		found->sets = repalloc_huge(found->sets, size);
	}
	set = &found->sets[found->nsets++];
	if (first == NO_PRODUCT)
		*set = (ProductSet){{(int32) a, (int32) b, NO_PRODUCT}, baskets};
	else
		*set = (ProductSet){{first, (int32) a, (int32) b}, baskets};
}

/* ---------- a pass over the baskets ---------- */

/* The frequent products of a basket, as their places; how many. */
static int32
ReadFrequent(Counting *c, const Basket *basket)
{
	int32 n = 0;

	if (basket->nproducts > c->basket_room)
	{
		c->basket_room = 2 * basket->nproducts;
		c->basket = repalloc_huge(c->basket, mul_size(c->basket_room, sizeof(uint32)));
		c->rows = repalloc_huge(c->rows, mul_size(c->basket_room, sizeof(int32)));
	}
	for (uint32 i = 0; i < basket->nproducts; i++)
	{
		int32 place = c->place[basket->products[i]];

		if (place >= 0)
			c->basket[n++] = (uint32) place;
	}
	return n;
}

/* Which members the basket has: their places among members, ascending; how many. */
static int32
MembersIn(Counting *c, const Triangle *triangle, int32 n)
{
	int32 found = 0;
	int32 member = 0;

	for (int32 i = 0; i < n; i++)
	{
		while (member < triangle->nmembers && triangle->members[member] < c->basket[i])
			member++;
		if (member == triangle->nmembers)
			break;
		if (triangle->members[member] == c->basket[i])
			c->rows[found++] = member++;
	}
	return found;
}

/* Counts the pairs of members in a basket, of which it has so many. */
static void
CountPairs(const Triangle *triangle, const int32 *members, int32 n)
{
	for (int32 i = 0; i < n - 1; i++)
	{
		int32 row = members[i];
		uint32 *counts;

		if (row < triangle->from)
			continue;
		if (row >= triangle->to)
			break;
		counts = triangle->counts + CountersBefore(triangle->nmembers, triangle->from, row);
		for (int32 j = i + 1; j < n; j++)
			counts[members[j] - row - 1]++;
	}
}

/* Adds the pairs, or triples, of a triangle that are frequent. */
static void
TakeSets(Counting *c, const Triangle *triangle)
{
	const uint32 *count = triangle->counts;

	for (int32 row = triangle->from; row < triangle->to; row++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int32 other = row + 1; other < triangle->nmembers; other++, count++)
			if (*count >= c->min_baskets)
			{
				uint32 a = triangle->members == NULL ? row : triangle->members[row];
				uint32 b = triangle->members == NULL ? other : triangle->members[other];

				AddSet(c, triangle->first, a, b, *count);
			}
	}
}

/* Counts all triangles of this pass, and begins the next. */
static void
RunPass(Counting *c)
{
	BasketReader reader;
	const Basket *basket;

	if (c->ntriangles == 0)
		return;
	BeginBaskets(&reader, c->baskets);
	while ((basket = NextBasket(&reader)) != NULL)
	{
		int32 n = ReadFrequent(c, basket);

		if (c->triangles[0].first == NO_PRODUCT)
		{
			CountPairs(&c->triangles[0], (int32 *) c->basket, n);
			continue;
		}
		for (int32 i = 0; i < n; i++)
			for (int32 t = c->triangle_of[c->basket[i]]; t >= 0; t = c->triangles[t].next)
			{
				CHECK_FOR_INTERRUPTS();
				CountPairs(&c->triangles[t], c->rows, MembersIn(c, &c->triangles[t], n));
			}
	}
	for (int32 t = 0; t < c->ntriangles; t++)
	{
		TakeSets(c, &c->triangles[t]);
		if (c->triangles[t].first != NO_PRODUCT)
			c->triangle_of[c->triangles[t].first] = -1;
	}
	c->ntriangles = 0;
	c->used = 0;
	MemoryContextReset(c->pass);
}

/* Has the rows of a triangle counted, in this pass and others if need be. */
static void
CountTriangle(Counting *c, int32 first, const uint32 *members, int32 nmembers)
{
	int32 from = 0;

	while (from < nmembers - 1)
	{
		Triangle *triangle;
		Size room = c->baskets->memory - Min(c->used, c->baskets->memory);
		int32 to = from;

		/* as many rows as fit, at least one */
		while (to < nmembers - 1 && CountersBefore(nmembers, from, to + 1) * sizeof(uint32) <= room)
			to++;
		if (to == from && c->ntriangles > 0)
		{
			RunPass(c);
			continue;
		}
		to = Max(to, from + 1);
		if (c->ntriangles == c->triangles_room)
		{
			c->triangles_room *= 2;
			c->triangles =
				repalloc_huge(c->triangles, mul_size(c->triangles_room, sizeof(Triangle)));
		}
		triangle = &c->triangles[c->ntriangles];
		*triangle = (Triangle){first, members, nmembers, from, to, NULL, -1};
		triangle->counts =
			MemoryContextAllocExtended(c->pass, CountersBefore(nmembers, from, to) * sizeof(uint32),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		c->used += CountersBefore(nmembers, from, to) * sizeof(uint32) + sizeof(Triangle);
		if (first != NO_PRODUCT)
		{
			triangle->next = c->triangle_of[first];
			c->triangle_of[first] = c->ntriangles;
		}
		c->ntriangles++;
		from = to;
		/* where all baskets count there is one triangle at a time */
		if (first == NO_PRODUCT)
			RunPass(c);
	}
}

/* ---------- pairs and triples ---------- */

static void
InitCounting(Counting *c, Baskets *baskets, ProductSets *found, uint32 min_baskets)
{
	uint32 n = Max(baskets->products.n, 1);

	*c = (Counting){.baskets = baskets, .found = found, .min_baskets = min_baskets};
	c->place = palloc_extended(mul_size(n, sizeof(int32)), MCXT_ALLOC_HUGE);
	c->frequent = palloc_extended(mul_size(n, sizeof(uint32)), MCXT_ALLOC_HUGE);
	for (uint32 p = 0; p < baskets->products.n; p++)
	{
		c->place[p] = -1;
		if (baskets->products.list[p].baskets >= min_baskets)
		{
			c->place[p] = c->nfrequent;
			c->frequent[c->nfrequent++] = p;
		}
	}
	c->triangles_room = 16;
	c->triangles = palloc(c->triangles_room * sizeof(Triangle));
	c->triangle_of = palloc_extended(mul_size(n, sizeof(int32)), MCXT_ALLOC_HUGE);
	memset(c->triangle_of, -1, n * sizeof(int32));
	c->basket_room = 256;
	c->basket = palloc(c->basket_room * sizeof(uint32));
	c->rows = palloc(c->basket_room * sizeof(int32));
	c->pass = AllocSetContextCreate(CurrentMemoryContext, "triangles", ALLOCSET_DEFAULT_SIZES);
}

/* The pairs of one product with all others. */
static void
CountBeside(Counting *c, int32 first)
{
	uint32 *counts = MemoryContextAllocExtended(c->pass, c->nfrequent * sizeof(uint32),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	BasketReader reader;
	const Basket *basket;

	BeginBaskets(&reader, c->baskets);
	while ((basket = NextBasket(&reader)) != NULL)
	{
		int32 n = ReadFrequent(c, basket);
		bool has = false;

		for (int32 i = 0; i < n && !has; i++)
			has = c->basket[i] == first;
		for (int32 i = 0; has && i < n; i++)
			counts[c->basket[i]]++;
	}
	for (int32 i = 0; i < c->nfrequent; i++)
		if (i != first && counts[i] >= c->min_baskets)
			AddSet(c, NO_PRODUCT, first, i, counts[i]);
	MemoryContextReset(c->pass);
}

/* Triples: for each first product of a pair, of the products that it is paired with. */
static void
CountTriples(Counting *c)
{
	int64 npairs = c->found->npairs;
	/* the second products of all pairs; the sets themselves move when they grow */
	uint32 *second = palloc_extended(mul_size(Max(npairs, 1), sizeof(uint32)), MCXT_ALLOC_HUGE);
	int64 end;

	for (int64 i = 0; i < npairs; i++)
		second[i] = (uint32) c->found->sets[i].products[1];
	for (int64 i = 0; i < npairs; i = end)
	{
		int32 first = c->found->sets[i].products[0];

		for (end = i; end < npairs && c->found->sets[end].products[0] == first;)
			end++;
		CountTriangle(c, first, &second[i], (int32) (end - i));
	}
	RunPass(c);
	pfree(second);
}

ProductSets *
FindProductSets(Baskets *baskets, uint32 min_baskets, bool triples, int64 product)
{
	ProductSets *found = palloc0(sizeof(ProductSets));
	Counting counting;

	found->room = 1024;
	found->sets = palloc(found->room * sizeof(ProductSet));
	/* beside them their p-values and the order of these will stand: three times as much */
	found->memory = baskets->memory;
	InitCounting(&counting, baskets, found, Max(min_baskets, 1));
	if (product < 0)
		CountTriangle(&counting, NO_PRODUCT, NULL, counting.nfrequent);
	else if (counting.place[product] >= 0)
		CountBeside(&counting, counting.place[product]);
	found->npairs = found->nsets;
	if (triples)
		CountTriples(&counting);
	/* from places to products */
	for (int64 i = 0; i < found->nsets; i++)
		for (int j = 0; j < 3; j++)
			if (found->sets[i].products[j] != NO_PRODUCT)
				found->sets[i].products[j] = (int32) counting.frequent[found->sets[i].products[j]];
	return found;
}

uint32
PairBaskets(const ProductSets *found, int32 a, int32 b)
{
	int64 low = 0;
	int64 high = found->npairs - 1;

	/* pairs are in order of their products, since places are */
	while (low < high)
	{
		int64 middle = low + (high - low) / 2;
		const int32 *pair = found->sets[middle].products;

		if (pair[0] < a || (pair[0] == a && pair[1] < b))
			low = middle + 1;
		else
			high = middle;
	}
	return found->sets[low].baskets;
}
