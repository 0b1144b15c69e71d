/*
 * history_join.c: joins of stored histories with customers.
 *
 * Histories are stored in the order of their keys, and most customers lie in that order, too.  But
 * the planner takes a large hash table for cheaper than it is (base/plan_choice.h), and would
 * hardly ever merge the two.  So here a hash join of histories costs what it does cost.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/syscache.h"

#include "base/plan_choice.h"
#include "history/history_join.h"

static set_join_pathlist_hook_type previous_join_hook;

/* Whether the rows of a relation have a history. */
static bool
HasHistory(const RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->reltarget->exprs)
	{
		Oid type = exprType(lfirst(cell));

		/* types of PostgreSQL's own need no look at the catalogue */
		if (type >= FirstNormalObjectId &&
			type == GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									CStringGetDatum("purchase_history"),
									ObjectIdGetDatum(get_namespace_oid("crm_profile", true))))
			return true;
	}
	return false;
}

/* Takes the hash joins of two relations out of a list of paths, and charges them. */
static List *
TakeHashJoins(List **paths, const RelOptInfo *outer, const RelOptInfo *inner)
{
	List *taken = NIL;
	ListCell *cell;

	foreach (cell, *paths)
	{
		HashPath *hash = lfirst(cell);
		const Path *rows;
		const Path *table;
		double misses;

		if (!IsA(hash, HashPath))
			continue;
		rows = hash->jpath.outerjoinpath;
		table = hash->jpath.innerjoinpath;
		if (rows->parent != outer || table->parent != inner)
			continue;
		misses = HashTableMisses(Max(hash->inner_rows_total, table->rows), table->pathtarget->width,
								 table->rows + rows->rows);
		if (misses == 0)
			continue;
		hash->jpath.path.total_cost += misses;
		*paths = foreach_delete_current(*paths, cell);
		taken = lappend(taken, hash);
	}
	return taken;
}

/* Offers the joins of histories anew, with hash joins at what they cost. */
static void
ChargeHashJoins(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner,
				JoinType type, JoinPathExtraData *extra)
{
	bool hash_joins = enable_hashjoin;
	List *taken;
	List *taken_partial;
	ListCell *cell;

	if (previous_join_hook)
		previous_join_hook(root, join, outer, inner, type, extra);
	/* a full join may have no other plan */
	if (!hash_joins || type == JOIN_FULL || !(HasHistory(outer) || HasHistory(inner)))
		return;
	taken = TakeHashJoins(&join->pathlist, outer, inner);
	taken_partial = TakeHashJoins(&join->partial_pathlist, outer, inner);
	if (taken == NIL && taken_partial == NIL)
		return;
	/* those that had been too dear beside them are gone */
	enable_hashjoin = false;
	PG_TRY();
	{
		add_paths_to_joinrel(root, join, outer, inner, type, extra->sjinfo, extra->restrictlist);
	}
	PG_FINALLY();
	{
		enable_hashjoin = hash_joins;
	}
	PG_END_TRY();
	foreach (cell, taken)
		add_path(join, lfirst(cell));
	foreach (cell, taken_partial)
		add_partial_path(join, lfirst(cell));
}

void
InitHistoryJoin(void)
{
	previous_join_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = ChargeHashJoins;
}
