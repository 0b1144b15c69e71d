/*
 * affinity_products.c: products by name, numbered as they come.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"

#include "campaign/affinity_products.h"
#include "orders/order_partitions.h"

typedef struct ProductEntry
{
	uint32 number;
	uint32 hash;
	char status;
} ProductEntry;

static inline uint32
HashName(const Products *products, uint32 number)
{
	Word name = ProductName(products, number);

	return (uint32) hash_bytes_extended((const unsigned char *) name.text, name.length,
										products->seed);
}

#define PRODUCTS_OF(table) ((const Products *) (table)->private_data)
#define SH_PREFIX products
#define SH_ELEMENT_TYPE ProductEntry
#define SH_KEY_TYPE uint32
#define SH_KEY number
#define SH_HASH_KEY(table, key) HashName(PRODUCTS_OF(table), key)
#define SH_EQUAL(table, a, b)                                                                      \
	WordsAreEqual(ProductName(PRODUCTS_OF(table), a), ProductName(PRODUCTS_OF(table), b))
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define NAMES_CHUNK ((Size) 64 * 1024)

/* Keeps the name of the newest product. */
static void
KeepName(Products *products)
{
	Product *product = &products->list[products->n];

	if (products->names == NULL || products->names_left < product->length)
	{
		products->names_left = Max(NAMES_CHUNK, product->length);
		products->names = MemoryContextAlloc(products->context, products->names_left);
		products->names_size += products->names_left;
	}
	memcpy(products->names, product->name, product->length);
	product->name = products->names;
	products->names += product->length;
	products->names_left -= product->length;
}

/* Makes room for another product, and for one that is looked for. */
static void
MakeRoomForProduct(Products *products)
{
	if (products->n + 1 < products->room)
		return;
	/* the hash table has doubled at the same time, or soon will */
	if (2 * products->room * (sizeof(Product) + sizeof(ProductEntry)) + products->names_size >
		products->memory)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %u products do not fit into memory", products->n),
				 errdetail("They may take a quarter of work_mem * hash_mem_multiplier, and at "
						   "least %zu kB.",
						   MIN_ORDER_MEMORY / 4 / 1024),
				 errhint("Raise work_mem, or take groups of products, such as categories.")));
	products->room *= 2;
	products->list = repalloc_huge(products->list, mul_size(products->room, sizeof(Product)));
}

void
InitProducts(Products *products, MemoryContext context, Size memory)
{
	*products = (Products){.context = context, .memory = memory, .room = 512};
	products->seed = pg_prng_uint64(&pg_global_prng_state);
	products->numbers = products_create(context, 256, products);
	products->list = MemoryContextAlloc(context, products->room * sizeof(Product));
}

uint32
EnterProduct(Products *products, Word name)
{
	bool found;
	ProductEntry *entry;

	products->list[products->n] = (Product){name.text, name.length, 0};
	entry = products_insert(products->numbers, products->n, &found);
	if (!found)
	{
		KeepName(products);
		products->n++;
		MakeRoomForProduct(products);
	}
	return entry->number;
}

int64
ProductNumber(Products *products, Word name)
{
	const ProductEntry *entry;

	products->list[products->n] = (Product){name.text, name.length, 0};
	entry = products_lookup(products->numbers, products->n);
	return entry == NULL ? -1 : (int64) entry->number;
}
