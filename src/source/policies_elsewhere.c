/*
 * policies_elsewhere.c: tables under policies in queries that Citus takes apart.
 *
 * Where a query joins a local table with a distributed one, Citus plans a query of its own over the
 * local table, and takes the conditions of its policies along as they stood in the whole query:
 * their columns refer to the table's place in there, and nothing tells that they have subqueries.
 * The planner relies on both, so that the server process may end (Citus 13.2).  The tables of a
 * source are under policies, and any reader may write such a join.  So, before Citus sees the
 * query, such a table becomes a subquery that has its policies inside, as if it were a view.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "rewrite/rewriteManip.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/managed_tables.h"
#include "source/policies_elsewhere.h"

static planner_hook_type next_planner = NULL;

/* A query whose tables have been secured is being planned: what Citus makes of it comes next. */
static bool secured = false;

/* Whether a table of a query, at any level, is under a policy. */
static bool
LookForSecured(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *table = (RangeTblEntry *) node;

		return table->rtekind == RTE_RELATION && table->securityQuals != NIL;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, LookForSecured, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, LookForSecured, context);
}

/* SELECT all columns FROM the table: its policies stay inside. */
static Query *
SecuredSubquery(Query *query, RangeTblEntry *table, int place)
{
	Query *inside = makeNode(Query);
	RangeTblEntry *entry = copyObject(table);
	RangeTblRef *reference = makeNode(RangeTblRef);
	Relation relation = table_open(table->relid, AccessShareLock);

	inside->commandType = CMD_SELECT;
	inside->canSetTag = true;
	inside->rtable = list_make1(entry);
	reference->rtindex = 1;
	inside->jointree = makeFromExpr(list_make1(reference), NULL);
	for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), i);
		Expr *value = column->attisdropped
						  ? (Expr *) makeNullConst(INT4OID, -1, InvalidOid)
						  : (Expr *) makeVar(1, i + 1, column->atttypid, column->atttypmod,
											 column->attcollation, 0);

		inside->targetList =
			lappend(inside->targetList,
					makeTargetEntry(value, i + 1, pstrdup(NameStr(column->attname)), false));
	}
	table_close(relation, AccessShareLock);
	ChangeVarNodes((Node *) entry->securityQuals, place, 1, 0);
	inside->hasSubLinks = checkExprHasSubLink((Node *) entry->securityQuals);
	inside->hasRowSecurity = true;
	MovePermissions(query, table, inside, entry);
	return inside;
}

static bool
SecureTables(Node *node, void *context)
{
	Query *query = (Query *) node;
	ListCell *cell;
	int place = 0;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, SecureTables, context);
	/* those of the subqueries first: what is made here needs nothing more */
	(void) query_tree_walker(query, SecureTables, context, 0);
	foreach (cell, query->rtable)
	{
		RangeTblEntry *table = lfirst(cell);

		place++;
		if (table->rtekind != RTE_RELATION || table->securityQuals == NIL ||
			place == query->resultRelation || IsManaged(table->relid))
			continue;
		if (get_parse_rowmark(query, place) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a query that reads a table that Citus manages cannot lock rows of "
							"table \"%s\", which is under a policy",
							get_rel_name(table->relid))));
		table->subquery = SecuredSubquery(query, table, place);
		table->rtekind = RTE_SUBQUERY;
		table->tablesample = NULL;
		table->security_barrier = true;
		table->securityQuals = NIL;
		table->inh = false;
		ForgetRelation(table);
	}
	return false;
}

/* What Citus made of a table that was not secured before, or cannot be: no crash, but an error. */
static void
CheckTakenApart(Query *query)
{
	RangeTblEntry *table =
		list_length(query->rtable) == 1 ? linitial_node(RangeTblEntry, query->rtable) : NULL;
	Relids places;

	if (table == NULL || table->rtekind != RTE_RELATION || table->securityQuals == NIL)
		return;
	places = pull_varnos(NULL, (Node *) table->securityQuals);
	if ((!query->hasSubLinks && checkExprHasSubLink((Node *) table->securityQuals)) ||
		bms_nonempty_difference(places, bms_make_singleton(1)))
	{
		if (secured)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("Citus cannot plan this query over table \"%s\", which is under "
								   "a policy",
								   get_rel_name(table->relid)),
							errhint("Ask the table in a subquery: WHERE … IN (SELECT …).")));
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("Citus cannot join table \"%s\", which is under a policy, with a table that "
					"it manages, before the library crm_profile is loaded",
					get_rel_name(table->relid)),
			 errhint("It is loaded now: repeat the query.  To have it in each session: ALTER "
					 "DATABASE … SET session_preload_libraries = crm_profile")));
	}
}

static PlannedStmt *
PlanSecured(Query *query, const char *text, int cursor_options, ParamListInfo params)
{
	PlannedStmt *plan;
	bool outer = secured;

	if (LookForSecured((Node *) query, NULL))
	{
		CheckTakenApart(query);
		if (ReadsManaged((Node *) query))
		{
			(void) SecureTables((Node *) query, NULL);
			secured = true;
		}
	}
	PG_TRY();
	{
		plan = next_planner(query, text, cursor_options, params);
	}
	PG_FINALLY();
	{
		secured = outer;
	}
	PG_END_TRY();
	return plan;
}

void
InitPoliciesElsewhere(void)
{
	/* Citus is preloaded, or not there, and has a planner hook */
	if (planner_hook == NULL || GetConfigOption("citus.shard_count", true, false) == NULL)
		return;
	next_planner = planner_hook;
	planner_hook = PlanSecured;
}
