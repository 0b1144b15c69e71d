/*
 * compat.h: the only place that depends on PostgreSQL's version.
 */
#ifndef CRM_COMPAT_H
#define CRM_COMPAT_H

#ifndef HAVE_INT128
#error                                                                                             \
	"crm_profile adds amounts up in 128-bit integers: it needs a 64-bit platform with gcc or clang"
#endif

#if PG_VERSION_NUM < 150000
#error "crm_profile needs PostgreSQL 15 or newer"
#endif

#include "datatype/timestamp.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Intervals may be infinite since PostgreSQL 17. */
#ifndef INTERVAL_NOT_FINITE
#define INTERVAL_NOT_FINITE(interval) false
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

#if PG_VERSION_NUM >= 160000
#define FunctionAclCheck(function, role)                                                           \
	object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE)
#else
#define FunctionAclCheck(function, role) pg_proc_aclcheck(function, role, ACL_EXECUTE)
#endif

#if PG_VERSION_NUM >= 160000
#define RelationIsOwnedBy(relation, role) object_ownercheck(RelationRelationId, relation, role)
#define EnableTriggerAlways(relation, name)                                                        \
	EnableDisableTrigger(relation, name, InvalidOid, TRIGGER_FIRES_ALWAYS, false, true,            \
						 ShareRowExclusiveLock)
#else
#define RelationIsOwnedBy(relation, role) pg_class_ownercheck(relation, role)
#define EnableTriggerAlways(relation, name)                                                        \
	EnableDisableTrigger(relation, name, TRIGGER_FIRES_ALWAYS, false, ShareRowExclusiveLock)
#endif

/* Runs a query that has been started: to its end, or for the next rows. */
#if PG_VERSION_NUM >= 180000
#define RunExecutor(query) ExecutorRun(query, ForwardScanDirection, 0)
#define RunExecutorFor(query, rows) ExecutorRun(query, ForwardScanDirection, rows)
#else
#define RunExecutor(query) ExecutorRun(query, ForwardScanDirection, 0, true)
#define RunExecutorFor(query, rows) ExecutorRun(query, ForwardScanDirection, rows, false)
#endif

/* Which indexes an updated row needs new entries in. */
#if PG_VERSION_NUM >= 160000
#define UpdatedIndexes TU_UpdateIndexes
#define NeedsIndexEntry(indexes) ((indexes) == TU_All)
#else
#define UpdatedIndexes bool
#define NeedsIndexEntry(indexes) (indexes)
#endif

/* A scan of an index without ORDER BY. */
#if PG_VERSION_NUM >= 180000
#define BeginIndexScan(table, index, snapshot, nkeys)                                              \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define BeginIndexScan(table, index, snapshot, nkeys)                                              \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* Whether a sort key is ascending. */
#if PG_VERSION_NUM >= 180000
#define IsAscending(pathkey) ((pathkey)->pk_cmptype == COMPARE_LT)
#else
#define IsAscending(pathkey) ((pathkey)->pk_strategy == BTLessStrategyNumber)
#endif

/* How many nodes that are switched off a path has; earlier, its cost tells. */
#if PG_VERSION_NUM >= 180000
#define TakeDisabledNodes(path, from) ((path)->disabled_nodes = (from)->disabled_nodes)
#else
#define TakeDisabledNodes(path, from) ((void) 0)
#endif

/* The tuple of a change that logical decoding gives; may be NULL. */
#if PG_VERSION_NUM >= 170000
#define ChangedTuple(buffer) (buffer)
#else
#define ChangedTuple(buffer) ((buffer) == NULL ? NULL : &(buffer)->tuple)
#endif

/* The number of the file of a relation. */
#if PG_VERSION_NUM >= 160000
#define FileNumber RelFileNumber
#define FileNumberOf(relation) ((relation)->rd_locator.relNumber)
#else
#define FileNumber Oid
#define FileNumberOf(relation) ((relation)->rd_node.relNode)
#endif

#if PG_VERSION_NUM >= 180000
#define EXPLAIN_FORMAT_HEADER "commands/explain_format.h"
#define EXPLAIN_STATE_HEADER "commands/explain_state.h"
#else
#define EXPLAIN_FORMAT_HEADER "commands/explain.h"
#define EXPLAIN_STATE_HEADER "commands/explain.h"
#endif

/*
 * A table of a query becomes a subquery over itself: what is checked of rights goes along with the
 * table, and the entry forgets it.
 */
#if PG_VERSION_NUM >= 160000
#define MovePermissions(query, table, inside, entry)                                               \
	do                                                                                             \
	{                                                                                              \
		if ((table)->perminfoindex > 0)                                                            \
		{                                                                                          \
			(inside)->rteperminfos =                                                               \
				list_make1(copyObject(getRTEPermissionInfo((query)->rteperminfos, (table))));      \
			(entry)->perminfoindex = 1;                                                            \
		}                                                                                          \
	} while (0)
#define ForgetRelation(table)                                                                      \
	((table)->relid = InvalidOid, (table)->relkind = 0, (table)->rellockmode = 0,                  \
	 (table)->perminfoindex = 0)
#else
#define MovePermissions(query, table, inside, entry) ((void) (query))
#define ForgetRelation(table)                                                                      \
	((table)->relid = InvalidOid, (table)->relkind = 0, (table)->rellockmode = 0,                  \
	 (table)->requiredPerms = 0, (table)->checkAsUser = InvalidOid, (table)->selectedCols = NULL)
#endif

#endif /* CRM_COMPAT_H */
