/*
 * affinity_products.h: products by name, numbered as they come.
 */
#ifndef CRM_AFFINITY_PRODUCTS_H
#define CRM_AFFINITY_PRODUCTS_H

#include "profile/attribute_value.h"

/* A product that occurs. */
typedef struct Product
{
	const char *name;
	int32 length;   /* of the name */
	uint32 baskets; /* that have it */
} Product;

typedef struct Products
{
	MemoryContext context;
	Size memory;   /* that they may take */
	Product *list; /* and room for one whose number is looked for */
	uint32 n;
	uint32 room;
	struct products_hash *numbers; /* by name */
	uint64 seed;
	char *names; /* where the next name goes */
	Size names_left;
	Size names_size; /* of all, in bytes */
} Products;

/* They stay where they are, and live in that context. */
extern void InitProducts(Products *products, MemoryContext context, Size memory);

/* The number of the product of that name, entered if it is new. */
extern uint32 EnterProduct(Products *products, Word name);

/* The same; -1 if it was never entered. */
extern int64 ProductNumber(Products *products, Word name);

static inline Word
ProductName(const Products *products, uint32 product)
{
	return (Word){products->list[product].name, products->list[product].length};
}

static inline Word
WordOfText(const text *value)
{
	return (Word){VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

#endif /* CRM_AFFINITY_PRODUCTS_H */
