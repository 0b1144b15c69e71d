/*
 * affinity.c: which products are bought together: basket_rules, basket_complements and
 * next_products, from a query of order lines.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/caller_query.h"
#include "base/common.h"
#include "base/statistics.h"
#include "campaign/affinity_rules.h"

/* A share argument, from 0 to 1. */
static double
ShareArgument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	double share = PG_ARGISNULL(argument) ? 0 : PG_GETARG_FLOAT8(argument);

	if (!(share >= 0 && share <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s is out of range: %g", name, share),
						errhint("It is a share of the baskets, from 0 to 1.")));
	return share;
}

static Datum
ProductText(const Baskets *baskets, int32 product)
{
	Word name = ProductName(&baskets->products, product);

	return PointerGetDatum(cstring_to_text_with_len(name.text, name.length));
}

/* The smallest number of baskets whose share of all is at least `support`. */
static uint32
MinBaskets(const Baskets *baskets, double support)
{
	uint32 least = (uint32) Max(0, floor(support * baskets->nbaskets) - 1);

	while ((double) least / baskets->nbaskets < support)
		least++;
	return Max(least, 1);
}

/* ---------- rules ---------- */

/* A rule: those who have the left side have the right one. */
typedef struct Rule
{
	int32 left[2]; /* the second NO_PRODUCT: one product */
	int32 right;
	uint32 both; /* baskets that have both sides */
	uint32 left_baskets;
	uint32 right_baskets;
} Rule;

typedef struct RuleReader
{
	const Baskets *baskets;
	const ProductSets *found;
	bool first_left; /* the first product of a set stays on the left */
	int64 set;
	int turn; /* which product of the set comes to the right */
} RuleReader;

/* The next rule of the sets; false at the end. */
static bool
NextRule(RuleReader *reader, Rule *rule)
{
	const Product *products = reader->baskets->products.list;
	const ProductSet *set;
	int size;
	int right;
	int left = 0;

	if (reader->set == reader->found->nsets)
		return false;
	set = &reader->found->sets[reader->set];
	size = reader->set < reader->found->npairs ? 2 : 3;
	right = size - 1 - reader->turn;
	rule->left[1] = NO_PRODUCT;
	for (int i = 0; i < size; i++)
		if (i != right)
			rule->left[left++] = set->products[i];
	rule->right = set->products[right];
	rule->both = set->baskets;
	rule->left_baskets = size == 2 ? products[rule->left[0]].baskets
								   : PairBaskets(reader->found, rule->left[0], rule->left[1]);
	rule->right_baskets = products[rule->right].baskets;
	if (++reader->turn == (reader->first_left ? size - 1 : size))
	{
		reader->set++;
		reader->turn = 0;
	}
	return true;
}

/* The chance of at least so many baskets with both sides if these had nothing to do with each
 * other, of all rules, adjusted for their number where asked. */
static double *
RulePValues(RuleReader reader, bool adjusted)
{
	double *p =
		palloc_extended(mul_size(3 * reader.found->nsets + 1, sizeof(double)), MCXT_ALLOC_HUGE);
	int64 n = 0;
	Rule rule;

	while (NextRule(&reader, &rule))
	{
		CHECK_FOR_INTERRUPTS();
		p[n++] = HypergeometricTail(rule.both, rule.left_baskets, rule.right_baskets,
									reader.baskets->nbaskets);
	}
	if (adjusted)
		AdjustPValues(p, (int) n);
	return p;
}

/* Hands the rules of sufficient confidence to the caller. */
static void
PutRules(FunctionCallInfo fcinfo, RuleReader reader, double min_confidence)
{
	double *chance = RulePValues(reader, false);
	double *adjusted = RulePValues(reader, true);
	double all = (double) reader.baskets->nbaskets;
	Rule rule;

	for (int64 i = 0; NextRule(&reader, &rule); i++)
	{
		double confidence = (double) rule.both / rule.left_baskets;
		Datum left[2] = {ProductText(reader.baskets, rule.left[0])};
		bool pair = rule.left[1] != NO_PRODUCT;
		Datum values[10];
		bool nulls[10] = {false};

		CHECK_FOR_INTERRUPTS();
		if (confidence < min_confidence)
			continue;
		if (pair)
			left[1] = ProductText(reader.baskets, rule.left[1]);
		values[0] = PointerGetDatum(construct_array(left, pair ? 2 : 1, TEXTOID, -1, false, 'i'));
		values[1] = ProductText(reader.baskets, rule.right);
		values[2] = Int64GetDatum(rule.both);
		values[3] = Int64GetDatum(rule.left_baskets);
		values[4] = Int64GetDatum(rule.right_baskets);
		values[5] = Float8GetDatum(rule.both / all);
		values[6] = Float8GetDatum(confidence);
		values[7] = Float8GetDatum(confidence * all / rule.right_baskets);
		values[8] = Float8GetDatum(chance[i]);
		values[9] = Float8GetDatum(adjusted[i]);
		PutRow(fcinfo, values, nulls);
	}
}

/* Lines that belong to no basket or name no product. */
static void
WarnOfLines(const char *function, const Baskets *baskets)
{
	if (baskets->without_basket > 0 || baskets->without_product > 0)
		ereport(NOTICE, (errmsg("%s left out lines: " INT64_FORMAT
								" without a basket, " INT64_FORMAT " without a product",
								function, baskets->without_basket, baskets->without_product)));
}

/* (query text, min_support, max_left integer, product text, min_confidence) */
PG_FUNCTION_INFO_V1(basket_rules);
Datum
basket_rules(PG_FUNCTION_ARGS)
{
	static const char *const function = "basket_rules";
	double min_support = ShareArgument(fcinfo, 1, "min_support");
	int max_left = PG_ARGISNULL(2) ? 1 : PG_GETARG_INT32(2);
	double min_confidence = ShareArgument(fcinfo, 4, "min_confidence");
	RuleReader reader = {.first_left = !PG_ARGISNULL(3)};
	int64 product = -1;
	Baskets *baskets;

	if (max_left != 1 && max_left != 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_left is out of range: %d", max_left),
						errhint("The left side of a rule has 1 or 2 products.")));
	InitMaterializedSRF(fcinfo, 0);
	baskets = CollectBaskets(function, QueryArgument(fcinfo, 0, function));
	WarnOfLines(function, baskets);
	if (reader.first_left)
		product = ProductNumber(&baskets->products, WordOfText(PG_GETARG_TEXT_PP(3)));
	if (baskets->nbaskets > 0 && (product >= 0 || !reader.first_left))
	{
		reader.baskets = baskets;
		reader.found =
			FindProductSets(baskets, MinBaskets(baskets, min_support), max_left == 2, product);
		PutRules(fcinfo, reader, min_confidence);
	}
	EndBaskets(baskets);
	return (Datum) 0;
}

/* ---------- what similar baskets have ---------- */

/* Similarities are added as integers, so that sums do not depend on the order of the baskets. */
#define SIMILARITY_UNIT ((double) (1 << 30))

/* Sums over the baskets that share a product with those given. */
typedef struct SimilarBaskets
{
	bool *given;     /* by product */
	uint32 ngiven;   /* products */
	uint32 *baskets; /* similar ones, by product */
	int64 *weights;  /* sums of their similarities, by product */
	int64 nsimilar;
	int64 weight;
} SimilarBaskets;

static void
AddSimilar(SimilarBaskets *sums, const Basket *basket)
{
	uint32 common = 0;
	int64 similarity;

	for (uint32 i = 0; i < basket->nproducts; i++)
		common += sums->given[basket->products[i]];
	if (common == 0)
		return;
	similarity =
		(int64) rint(SIMILARITY_UNIT * common / sqrt((double) basket->nproducts * sums->ngiven));
	sums->nsimilar++;
	sums->weight += similarity;
	for (uint32 i = 0; i < basket->nproducts; i++)
	{
		sums->baskets[basket->products[i]]++;
		sums->weights[basket->products[i]] += similarity;
	}
}

/* Marks the products given, as far as any basket has them. */
static void
MarkGiven(SimilarBaskets *sums, Baskets *baskets, ArrayType *products)
{
	Datum *names;
	bool *nulls;
	int n;

	deconstruct_array(products, TEXTOID, -1, false, 'i', &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		int64 product =
			nulls[i] ? -1 : ProductNumber(&baskets->products, WordOfText(DatumGetTextPP(names[i])));

		if (product >= 0 && !sums->given[product])
		{
			sums->given[product] = true;
			sums->ngiven++;
		}
	}
}

/* (query text, products text[]) */
PG_FUNCTION_INFO_V1(next_products);
Datum
next_products(PG_FUNCTION_ARGS)
{
	static const char *const function = "next_products";
	SimilarBaskets sums = {0};
	BasketReader reader;
	Baskets *baskets;
	const Basket *basket;
	Size n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(1))
		return (Datum) 0;
	baskets = CollectBaskets(function, QueryArgument(fcinfo, 0, function));
	WarnOfLines(function, baskets);
	n = baskets->products.n + 1;
	sums.given = palloc_extended(n, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	sums.baskets = palloc_extended(mul_size(n, sizeof(uint32)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	sums.weights = palloc_extended(mul_size(n, sizeof(int64)), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MarkGiven(&sums, baskets, PG_GETARG_ARRAYTYPE_P(1));
	BeginBaskets(&reader, baskets);
	while (sums.ngiven > 0 && (basket = NextBasket(&reader)) != NULL)
		AddSimilar(&sums, basket);
	for (uint32 i = 0; i < baskets->products.n; i++)
	{
		uint32 all = baskets->products.list[i].baskets;
		Datum values[5];
		bool nulls[5] = {false};

		CHECK_FOR_INTERRUPTS();
		if (sums.given[i] || sums.baskets[i] == 0)
			continue;
		values[0] = ProductText(baskets, i);
		values[1] = Int64GetDatum(sums.baskets[i]);
		values[2] = Float8GetDatum((double) sums.weights[i] / sums.weight);
		values[3] =
			Float8GetDatum((double) sums.baskets[i] / sums.nsimilar * baskets->nbaskets / all);
		values[4] = Float8GetDatum(
			HypergeometricTail(sums.baskets[i], sums.nsimilar, all, baskets->nbaskets));
		PutRow(fcinfo, values, nulls);
	}
	EndBaskets(baskets);
	return (Datum) 0;
}
