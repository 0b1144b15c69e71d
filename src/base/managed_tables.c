/*
 * managed_tables.c: tables whose rows are on other machines, since Citus manages them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/managed_tables.h"

/* By the catalogue of Citus. */
bool
IsManaged(Oid relation)
{
	Oid catalogue = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation partitions;
	SysScanDesc scan;
	ScanKeyData key;
	bool found;

	if (!OidIsValid(catalogue))
		return false;
	partitions = table_open(catalogue, AccessShareLock);
	/* its first column */
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
	scan = systable_beginscan(partitions, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(partitions, AccessShareLock);
	return found;
}

static bool
LookForManaged(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *table = (RangeTblEntry *) node;

		return table->rtekind == RTE_RELATION && IsManaged(table->relid);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, LookForManaged, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, LookForManaged, context);
}

bool
ReadsManaged(Node *query)
{
	return LookForManaged(query, NULL);
}
