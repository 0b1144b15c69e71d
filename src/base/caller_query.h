/*
 * caller_query.h: running the caller's query once and taking its rows straight
 * out of the executor.
 *
 * The bulk functions (collect_purchase_histories, rfm_scores, …) embed a
 * DestReceiver in a struct of their own, check the columns in rStartup with the
 * helpers here, and hand it to RunQuery.
 */
#ifndef CRM_CALLER_QUERY_H
#define CRM_CALLER_QUERY_H

#include "base/compat.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/plannodes.h"
#include "tcop/dest.h"

/*
 * Runs one SELECT under the caller's rights and snapshot; anything else is an
 * error that names the function.  SPI is connected only inside, so the receiver
 * allocates what it must keep in a context of its own.
 */
extern void RunQuery(const char *function, const char *query, DestReceiver *receiver);

/*
 * Whether a rewritten query, or anything in it, locks rows: FOR UPDATE and the like.  A walker of
 * trees.
 */
extern bool LocksRows(Node *node, void *context);

/* A receiver that is told of the columns, if `startup` is not NULL, and of each row. */
extern void
InitReceiver(DestReceiver *receiver, bool (*receive)(TupleTableSlot *row, DestReceiver *self),
			 void (*startup)(DestReceiver *self, int operation, TupleDesc columns));

/*
 * A query as that of RunQuery, whose rows are taken by and by: NextQueryRows sends at most so many
 * to the receiver, and returns how many there were.  The query lies in the memory context in which
 * it begins.  It has no portal, which may end before its reader: with COMMIT, CLOSE ALL, or the
 * savepoint in which a cursor was first fetched from.
 */
struct QueryDesc;
extern struct QueryDesc *
BeginQuery(const char *function, const char *query, DestReceiver *receiver);
extern uint64 NextQueryRows(struct QueryDesc *query, uint64 most);
extern void EndQuery(struct QueryDesc *query);

/*
 * What EXPLAIN wants to know of a bulk function.  Whoever sets query_explanation resets it, also
 * after an error; the first query that is run takes it as meant for itself.
 */
typedef struct QueryExplanation
{
	bool only;             /* the query is planned, and yields no rows */
	int instrument;        /* what is measured while it runs */
	MemoryContext context; /* of the texts */
	char *plan;            /* of the query, as EXPLAIN writes it; NULL: none has run */
	char *plan_costs;      /* the same with costs */
	Size memory;           /* what the rows took when all had come, in all processes */
	Size spilled;          /* what was written to files */
} QueryExplanation;

extern QueryExplanation *query_explanation;

/*
 * What the planner expects of a query that is grouped by its first column: the groups, and the
 * cost.  False if it cannot tell.
 */
extern bool EstimateGroups(const char *query, double *groups, Cost *cost);

/*
 * How each process of a parallel query can take its rows by itself and hand on
 * something smaller.
 */
typedef struct RowPacking
{
	bool dear_rows; /* each row takes so much work that workers pay at any number of rows */
	/* Sees each plan before it runs, and may change it; NULL: nothing is to be changed. */
	void (*adjust)(struct RowPacking *packing, PlannedStmt *plan);
	/* Puts a scan of its own between Gather and the rows; false: the rows are wanted. */
	bool (*plan)(struct RowPacking *packing, Gather *gather);
	/* Called before it runs. */
	void (*start)(struct RowPacking *packing, PlanState *scan);
	DestReceiver *receiver; /* of what the scan yields */
} RowPacking;

/*
 * Puts a scan there, as the planner would leave it, with plain data for the workers.  Its columns
 * are given as expressions over nothing, over the scan itself and, for Gather, over that.
 */
extern void PutBelowGather(Gather *gather, const CustomScanMethods *methods, const void *task,
						   Size task_size, List *columns, List *of_scan, List *of_gather);

/* Begins such a scan: the plan of the rows is its only one. */
extern void BeginPackingScan(CustomScanState *node, EState *estate, int eflags);

/* The data that it was given. */
extern void ReadPackingTask(const CustomScanState *node, void *task, Size task_size);

/* The same, and packs the rows where the query is parallel; true if it did. */
extern bool RunQueryPacked(const char *function, const char *query, DestReceiver *receiver,
						   RowPacking *packing);

/* The type of a polymorphic key argument, with the advice to cast a bare NULL. */
extern Oid KeyArgumentType(FunctionCallInfo fcinfo, int argument, const char *function);

/* The query argument as a C string; it must not be NULL. */
extern char *QueryArgument(FunctionCallInfo fcinfo, int argument, const char *function);

/* The optional argument that starts each progress message; NULL for no messages. */
extern char *ProgressArgument(FunctionCallInfo fcinfo, int argument);

/*
 * Column `attno` (from 1) must be of the key's type; `function` is for the hint. Returns true if
 * the key's type is a domain and the column's is not: then each value must pass CheckKeyDomain.
 */
extern bool CheckKeyColumn(TupleDesc columns, int attno, Oid key_type, const char *function);

/*
 * Raises an error for a value that the domain does not allow; `extra` must be NULL at the first
 * call.
 */
extern void CheckKeyDomain(Datum key, Oid key_type, void **extra, MemoryContext context);

/*
 * "OPERATOR(schema.=)", the type's own equality operator: a bare = may find another type's if this
 * one's schema is not in the search_path.
 */
extern char *EqualityOperator(Oid type);

/* Raises an error if there are fewer columns; `expected` lists them for the message. */
extern void CheckColumnCount(TupleDesc columns, int min, const char *expected);

/* The attno of the column of that name, 0 if there is none; an error if there are two. */
extern int ColumnNamed(TupleDesc columns, const char *name);

/* Raises an error that names the column, its type and the types expected. */
pg_noreturn extern void ColumnTypeRefused(TupleDesc columns, int attno, const char *what,
										  const char *expected, const char *hint);

#endif /* CRM_CALLER_QUERY_H */
