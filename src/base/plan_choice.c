/*
 * plan_choice.c: choosing between plans of a query that is run here.
 */
#include "postgres.h"

#include "base/plan_choice.h"

/* A larger hash table does not stay in a processor's cache. */
#define CACHED_BYTES (8.0 * 1024 * 1024)

/* What a row of a hash table takes besides its columns: its headers, and a bucket. */
#define ROW_OVERHEAD 40

/*
 * A row that is put into such a table, or looked up in it, waits for memory twice: for the bucket
 * and for the row.  Measured as eight times cpu_tuple_cost: 3 M lines and 1 M orders joined by
 * hashing took 1.7 s, by merging 0.9 s, while the planner had them at 89 and 247 thousand.
 */
#define MISS_COST 0.08

bool
IsCached(double rows, int width)
{
	return rows * (MAXALIGN(width) + ROW_OVERHEAD) <= CACHED_BYTES;
}

static double
MissesOfList(const List *plans)
{
	double misses = NO_HASH_JOIN;
	ListCell *cell;

	foreach (cell, plans)
	{
		double more = HashJoinMisses(lfirst(cell));

		if (more >= 0)
			misses = Max(misses, 0) + more;
	}
	return misses;
}

/* Of one join alone. */
static double
MissesOfJoin(const Plan *join)
{
	const Plan *table = innerPlan(join);

	if (IsCached(table->plan_rows, table->plan_width))
		return 0;
	return MISS_COST * (table->plan_rows + outerPlan(join)->plan_rows);
}

double
HashJoinMisses(const Plan *plan)
{
	List *below = NIL;
	double misses;

	if (IsA(plan, Append))
		below = list_copy(((const Append *) plan)->appendplans);
	else if (IsA(plan, MergeAppend))
		below = list_copy(((const MergeAppend *) plan)->mergeplans);
	else if (IsA(plan, SubqueryScan))
		below = list_make1(((const SubqueryScan *) plan)->subplan);
	if (outerPlan(plan) != NULL)
		below = lappend(below, outerPlan(plan));
	if (innerPlan(plan) != NULL)
		below = lappend(below, innerPlan(plan));
	misses = MissesOfList(below);
	list_free(below);
	return IsA(plan, HashJoin) ? Max(misses, 0) + MissesOfJoin(plan) : misses;
}
