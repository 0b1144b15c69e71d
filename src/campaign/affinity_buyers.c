/*
 * affinity_buyers.c: which groups of customers buy which categories: the aggregates behind the
 * views product_affinity and category_buyers.
 *
 * Rows tell what a customer bought, or in which groups the customer is, in any order.  Either is a
 * mark of the customer, a number that stands where the day of a purchase would.  So rows spill and
 * are grouped by what does that for orders, no join and no sort is needed, and a mark comes once.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "common/int.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/statistics.h"
#include "campaign/affinity_products.h"
#include "orders/order_partitions.h"

/* What a mark says; also the order of the arguments. */
enum
{
	CATEGORY,
	SEGMENT,
	VALUE_TIER,
	KINDS
};

#define IS_GROUP(kind) ((kind) != CATEGORY)

static const char *const dimension_name[KINDS] = {"", "segment", "value_tier"};

typedef struct BuyerState
{
	MemoryContext context;
	Products words[KINDS];
	RecordFormat format;
	RecordPool *pool;
	OrderPartitions *marks; /* NULL: handed out */
	Datum as_of;
} BuyerState;

/* ---------- rows ---------- */

/* Closes temporary files. */
static void
EndMarks(Datum argument)
{
	BuyerState *state = (BuyerState *) DatumGetPointer(argument);

	if (state->marks != NULL)
		EndOrderPartitions(state->marks);
	state->marks = NULL;
}

static BuyerState *
NewBuyerState(FunctionCallInfo fcinfo, MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "buyers of categories", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	BuyerState *state = palloc0(sizeof(BuyerState));
	const TargetEntry *customer = linitial(AggGetAggref(fcinfo)->args);
	Oid collation;

	state->context = context;
	state->as_of = PG_GETARG_DATUM(2 + KINDS);
	/* categories are as many as the answer has */
	for (int kind = 0; kind < KINDS; kind++)
		InitProducts(&state->words[kind], context, SIZE_MAX);
	/* not the collation of the call, which depends on all arguments; none: deterministic ones that
	 * differ in lines and customers */
	collation = exprCollation((Node *) customer->expr);
	InitCustomerKey(&state->format.key, exprType((Node *) customer->expr),
					OidIsValid(collation) ? collation : C_COLLATION_OID);
	state->pool = CreateRecordPool(context);
	state->marks =
		CreateOrderPartitions(state->pool, &state->format, PER_DAY, 0, HashMemoryLimit());
	AggRegisterCallback(fcinfo, EndMarks, PointerGetDatum(state));
	MemoryContextSwitchTo(caller);
	return state;
}

/* (state, customer "any", category, segment, value_tier text, as_of date); NULL: not told here */
PG_FUNCTION_INFO_V1(category_buyers_transfn);
Datum
category_buyers_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "category_buyers_transfn");
	BuyerState *state = PG_ARGISNULL(0) ? NULL : (BuyerState *) PG_GETARG_POINTER(0);
	CustomerKey *key;
	Datum customer;
	uint64 bits;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2 + KINDS))
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = NewBuyerState(fcinfo, context);
	key = &state->format.key;
	customer = FlatKey(key, PG_GETARG_DATUM(1));
	bits = CustomerKeyBits(key, customer);
	for (int kind = 0; kind < KINDS; kind++)
	{
		PurchaseDay mark = {.orders = 1};
		uint32 number;

		if (PG_ARGISNULL(2 + kind))
			continue;
		number = EnterProduct(&state->words[kind], WordOfText(PG_GETARG_TEXT_PP(2 + kind)));
		if (pg_mul_s32_overflow((int32) number, KINDS, &mark.day) ||
			pg_add_s32_overflow(mark.day, kind + NO_DAY + 1, &mark.day))
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("there are more than %u categories", number)));
		AddPurchase(state->marks, customer, bits, &mark, NULL, 0);
	}
	PG_RETURN_POINTER(state);
}

/* ---------- counting ---------- */

/* Categories, or the groups of a dimension. */
typedef struct Names
{
	uint32 n;
	uint32 *in_order; /* numbers, by name */
	Datum *texts;     /* by number */
} Names;

/* A group and a category, by number. */
typedef struct Pair
{
	uint32 group;
	uint32 category;
	int64 customers;
	double share; /* of the group */
	double share_of_all;
	double lift;
	double p;
	double q; /* p adjusted */
} Pair;

/* How many customers of each group bought what; all customers are the one group of CATEGORY. */
typedef struct BuyerCounts
{
	const BuyerState *state;
	Names categories;
	Names groups[KINDS];
	int64 *bought[KINDS]; /* groups by categories */
	int64 *buyers[KINDS]; /* of anything, by group */
} BuyerCounts;

static int
CompareNames(const Products *words, uint32 a, uint32 b)
{
	Word first = ProductName(words, a);
	Word second = ProductName(words, b);

	return CompareWords(&first, &second);
}

#define ST_SORT SortByName
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE_ARG_TYPE const Products
#define ST_COMPARE(a, b, words) CompareNames(words, *(a), *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static Names
NamesOf(const Products *words)
{
	Names names = {words->n};

	names.in_order = palloc_extended(mul_size(words->n, sizeof(uint32)), MCXT_ALLOC_HUGE);
	names.texts = palloc_extended(mul_size(words->n, sizeof(Datum)), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < words->n; i++)
	{
		Word name = ProductName(words, i);

		names.in_order[i] = i;
		names.texts[i] = PointerGetDatum(cstring_to_text_with_len(name.text, name.length));
	}
	SortByName(names.in_order, words->n, words);
	return names;
}

/* What a mark of a customer says, and of which category or group. */
static inline int
ReadMark(const PurchaseDay *mark, uint32 *number)
{
	uint32 code = (uint32) (mark->day - NO_DAY - 1);

	*number = code / KINDS;
	return code % KINDS;
}

static inline int64 *
BoughtBy(const BuyerCounts *counts, int kind, uint32 group)
{
	return counts->bought[kind] + (Size) group * counts->categories.n;
}

/* Adds a customer, or several of the same key, to a group; false if they bought nothing. */
static bool
CountInGroup(BuyerCounts *counts, int kind, uint32 group, int64 customers,
			 const CustomerPurchases *marks)
{
	int64 *bought = BoughtBy(counts, kind, group);
	bool anything = false;

	for (int64 i = 0; i < marks->ndays; i++)
	{
		uint32 category;

		if (ReadMark(&marks->days[i], &category) != CATEGORY)
			continue;
		anything = true;
		bought[category] += customers;
	}
	if (anything)
		counts->buyers[kind][group] += customers;
	return anything;
}

/* Counts what a customer bought in each group of the customer; unknown ones are in none. */
static void
CountCustomer(BuyerCounts *counts, const CustomerPurchases *marks)
{
	for (int64 i = 0; i < marks->ndays; i++)
	{
		/* a key that the customer table has twice is two customers, as in all views */
		int64 customers = marks->days[i].orders;
		uint32 group;
		int kind = ReadMark(&marks->days[i], &group);

		CHECK_FOR_INTERRUPTS();
		if (!IS_GROUP(kind))
			continue;
		if (!CountInGroup(counts, kind, group, customers, marks))
			return;
		if (kind == SEGMENT)
			(void) CountInGroup(counts, CATEGORY, 0, customers, marks);
	}
}

/* Which groups may buy which categories: a table that is kept in memory whole. */
static int
NumberOfPairs(const Names *groups, const Names *categories)
{
	uint64 pairs = (uint64) groups->n * categories->n;

	if (pairs > MaxAllocSize / sizeof(Pair))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%u categories are too many for %u groups of customers",
							   categories->n, groups->n)));
	return (int) pairs;
}

static BuyerCounts *
CountBuyers(BuyerState *state)
{
	BuyerCounts *counts = palloc0(sizeof(BuyerCounts));
	CustomerPurchases customer;

	counts->state = state;
	counts->categories = NamesOf(&state->words[CATEGORY]);
	counts->groups[CATEGORY] = (Names){.n = 1, .in_order = palloc0(sizeof(uint32))};
	for (int kind = 0; kind < KINDS; kind++)
	{
		if (IS_GROUP(kind))
			counts->groups[kind] = NamesOf(&state->words[kind]);
		counts->bought[kind] =
			palloc0(NumberOfPairs(&counts->groups[kind], &counts->categories) * sizeof(int64));
		counts->buyers[kind] = palloc_extended(mul_size(counts->groups[kind].n, sizeof(int64)),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
	while (NextCustomerPurchases(state->marks, &customer))
		CountCustomer(counts, &customer);
	EndMarks(PointerGetDatum(state));
	DeleteRecordPool(state->pool);
	return counts;
}

/* ---------- tests ---------- */

/* (the template takes the name of a type) */
typedef const Pair *PairPointer;

/* All pairs of a dimension: by group and, in each, by category, both in the order of their names.
 */
typedef struct Pairs
{
	Pair *list;
	int n;
	int categories; /* of each group */
} Pairs;

/* The chance of a number at least as far from what is expected: twice the smaller tail. */
static double
TwoTails(int64 found, int64 drawn, int64 marked, int64 total)
{
	bool above = (double) found * total > (double) drawn * marked;
	double tail = above ? HypergeometricTail(found, drawn, marked, total)
						: HypergeometricTail(drawn - found, drawn, total - marked, total);

	/* both have the chance of the very number, so they sum up to more than 1 */
	if (tail > 0.49)
		tail = Min(tail, above ? HypergeometricTail(drawn - found, drawn, total - marked, total)
							   : HypergeometricTail(found, drawn, marked, total));
	return Min(1.0, 2 * tail);
}

static void
AdjustPairs(Pairs *pairs)
{
	double *p = palloc_extended(mul_size(pairs->n, sizeof(double)), MCXT_ALLOC_HUGE);

	for (int i = 0; i < pairs->n; i++)
		p[i] = pairs->list[i].p;
	AdjustPValues(p, pairs->n);
	for (int i = 0; i < pairs->n; i++)
		pairs->list[i].q = p[i];
	pfree(p);
}

static Pair
MakePair(const BuyerCounts *counts, int kind, uint32 group, uint32 category)
{
	int64 everybody = counts->buyers[CATEGORY][0];
	int64 all = counts->bought[CATEGORY][category];
	int64 buyers = counts->buyers[kind][group];
	Pair pair = {group, category, BoughtBy(counts, kind, group)[category]};

	pair.share = pair.customers / (double) buyers;
	pair.share_of_all = all / (double) everybody;
	pair.lift = pair.share / pair.share_of_all;
	pair.p = TwoTails(pair.customers, buyers, all, everybody);
	return pair;
}

/* Tests each group that bought anything with each category that anybody known bought. */
static Pairs
TestPairs(const BuyerCounts *counts, int kind)
{
	const Names *groups = &counts->groups[kind];
	const Names *categories = &counts->categories;
	Pairs pairs = {NULL};

	pairs.list = palloc(NumberOfPairs(groups, categories) * sizeof(Pair));
	for (uint32 g = 0; g < groups->n; g++)
	{
		int before = pairs.n;

		if (counts->buyers[kind][groups->in_order[g]] == 0)
			continue;
		for (uint32 c = 0; c < categories->n; c++)
		{
			CHECK_FOR_INTERRUPTS();
			if (counts->bought[CATEGORY][categories->in_order[c]] > 0)
				pairs.list[pairs.n++] =
					MakePair(counts, kind, groups->in_order[g], categories->in_order[c]);
		}
		pairs.categories = pairs.n - before;
	}
	AdjustPairs(&pairs);
	return pairs;
}

/* More than others, less than others, or neither for sure. */
static int
Verdict(const Pair *pair)
{
	if (pair->q >= 0.05)
		return 0;
	return pair->lift > 1 ? 1 : -1;
}

/* ---------- rows of product_affinity ---------- */

/* The most customers first; else as they come. */
#define ST_SORT SortByCustomers
#define ST_ELEMENT_TYPE PairPointer
#define ST_COMPARE(a, b)                                                                           \
	((*(a))->customers != (*(b))->customers ? ((*(a))->customers < (*(b))->customers ? 1 : -1)     \
											: (*(a) < *(b) ? -1 : *(a) > *(b)))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static PairPointer *
PairsByCustomers(const Pair *pairs, int n)
{
	PairPointer *sorted = palloc_extended(mul_size(n, sizeof(PairPointer)), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		sorted[i] = &pairs[i];
	SortByCustomers(sorted, n);
	return sorted;
}

static void
PutDimension(RowArray *rows, const BuyerCounts *counts, int kind)
{
	static text *kept[KINDS];
	static text *verdicts[3];
	static const char *const words[3] = {"less than others", "cannot tell", "more than others"};
	Pairs pairs = TestPairs(counts, kind);

	for (int first = 0; first < pairs.n; first += pairs.categories)
	{
		PairPointer *sorted = PairsByCustomers(&pairs.list[first], pairs.categories);

		for (int i = 0; i < pairs.categories; i++)
		{
			const Pair *pair = sorted[i];
			int verdict = Verdict(pair) + 1;
			bool nulls[13] = {false};
			Datum values[13] = {ConstantText(&kept[kind], dimension_name[kind]),
								counts->groups[kind].texts[pair->group],
								counts->categories.texts[pair->category],
								Int64GetDatum(pair->customers),
								Int64GetDatum(counts->buyers[kind][pair->group]),
								Float8GetDatum(pair->share),
								Float8GetDatum(pair->share_of_all),
								Float8GetDatum(100 * pair->lift),
								Float8GetDatum(pair->lift),
								Float8GetDatum(pair->p),
								Float8GetDatum(pair->q),
								ConstantText(&verdicts[verdict], words[verdict]),
								counts->state->as_of};

			AddToRowArray(rows, values, nulls);
		}
		pfree(sorted);
	}
	pfree(pairs.list);
}

/* An array of crm_profile_internal.product_affinity_row */
PG_FUNCTION_INFO_V1(product_affinity_finalfn);
Datum
product_affinity_finalfn(PG_FUNCTION_ARGS)
{
	const BuyerCounts *counts;
	RowArray rows;

	(void) AggregateContext(fcinfo, "product_affinity_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	counts = CountBuyers((BuyerState *) PG_GETARG_POINTER(0));
	BeginRowArray(fcinfo, &rows);
	for (int kind = 0; kind < KINDS; kind++)
		if (IS_GROUP(kind))
			PutDimension(&rows, counts, kind);
	return RowArrayDatum(&rows);
}

/* ---------- rows of category_buyers ---------- */

/*
 * Of each of the categories the group that buys it most above all customers, and surely so, or
 * NULL.  There may be no group at all.
 */
static PairPointer *
BestGroups(const Pairs *pairs, int categories)
{
	PairPointer *best = palloc0(categories * sizeof(PairPointer));

	for (int i = 0; i < pairs->n; i++)
	{
		const Pair *pair = &pairs->list[i];
		PairPointer *found = &best[i % pairs->categories];

		if (Verdict(pair) > 0 && (*found == NULL || pair->lift > (*found)->lift))
			*found = pair;
	}
	return best;
}

/* A group, and how much more it buys; no group: NULL. */
static void
PutBestGroup(const Pair *best, const Names *groups, Datum *values, bool *nulls)
{
	nulls[0] = nulls[1] = best == NULL;
	if (best != NULL)
	{
		values[0] = groups->texts[best->group];
		values[1] = Float8GetDatum(best->lift);
	}
}

/* An array of crm_profile_internal.category_buyers_row */
PG_FUNCTION_INFO_V1(category_buyers_finalfn);
Datum
category_buyers_finalfn(PG_FUNCTION_ARGS)
{
	const BuyerCounts *counts;
	Pairs pairs[KINDS];
	PairPointer *best[KINDS];
	PairPointer *sorted;
	RowArray rows;

	(void) AggregateContext(fcinfo, "category_buyers_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	counts = CountBuyers((BuyerState *) PG_GETARG_POINTER(0));
	for (int kind = 0; kind < KINDS; kind++)
	{
		pairs[kind] = TestPairs(counts, kind);
		best[kind] = BestGroups(&pairs[kind], pairs[CATEGORY].n);
	}
	BeginRowArray(fcinfo, &rows);
	sorted = PairsByCustomers(pairs[CATEGORY].list, pairs[CATEGORY].n);
	for (int i = 0; i < pairs[CATEGORY].n; i++)
	{
		int category = (int) (sorted[i] - pairs[CATEGORY].list);
		bool nulls[9] = {false};
		Datum values[9] = {Int64GetDatum(i + 1), counts->categories.texts[sorted[i]->category],
						   Int64GetDatum(sorted[i]->customers), Float8GetDatum(sorted[i]->share)};

		for (int kind = SEGMENT, column = 4; kind < KINDS; kind++, column += 2)
			PutBestGroup(best[kind][category], &counts->groups[kind], &values[column],
						 &nulls[column]);
		values[8] = counts->state->as_of;
		AddToRowArray(&rows, values, nulls);
	}
	return RowArrayDatum(&rows);
}

/* ---------- what lines of an order agree on ---------- */

/* The first of the values. */
PG_FUNCTION_INFO_V1(any_of_transfn);
Datum
any_of_transfn(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
