/*
 * policies_elsewhere.c: policies of local tables in queries that Citus takes apart.
 *
 * Where a query joins a local table with a distributed one, Citus plans a query of its own over the
 * local table.  The conditions of the table's policies come along as they stood in the whole query:
 * their columns refer to the table's place in there, and nothing tells that they have subqueries.
 * The planner relies on both, so the server process ends (Citus 13.2 to 15.0devel).  The tables of a
 * source are under such policies, and any reader may write such a join; so what Citus left is put
 * right before it is planned.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "rewrite/rewriteManip.h"
#include "utils/guc.h"

#include "source/policies_elsewhere.h"

static planner_hook_type next_planner = NULL;

/* The conditions on the only table of a query refer to it, whatever its place was elsewhere. */
static void
MendPolicies(Query *query)
{
	RangeTblEntry *table =
		list_length(query->rtable) == 1 ? linitial_node(RangeTblEntry, query->rtable) : NULL;
	Relids places;
	int place = -1;

	if (table == NULL || table->rtekind != RTE_RELATION || table->securityQuals == NIL)
		return;
	places = pull_varnos(NULL, (Node *) table->securityQuals);
	while ((place = bms_next_member(places, place)) >= 0)
		if (place != 1)
			ChangeVarNodes((Node *) table->securityQuals, place, 1, 0);
	if (checkExprHasSubLink((Node *) table->securityQuals))
		query->hasSubLinks = true;
	query->hasRowSecurity = true;
}

static PlannedStmt *
PlanMended(Query *query, const char *text, int cursor_options, ParamListInfo params)
{
	MendPolicies(query);
	return next_planner(query, text, cursor_options, params);
}

void
InitPoliciesElsewhere(void)
{
	/* Citus is preloaded, or not there, and has a planner hook */
	if (planner_hook == NULL || GetConfigOption("citus.shard_count", true, false) == NULL)
		return;
	next_planner = planner_hook;
	planner_hook = PlanMended;
}
