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
#include "nodes/plannodes.h"
#include "tcop/dest.h"

/*
 * Runs one SELECT under the caller's rights and snapshot; anything else is an
 * error that names the function.  SPI is connected only inside, so the receiver
 * allocates what it must keep in a context of its own.
 */
extern void RunQuery(const char *function, const char *query, DestReceiver *receiver);

/*
 * How each process of a parallel query can take its rows by itself and hand on
 * something smaller.
 */
typedef struct RowPacking
{
	/* Puts a scan of its own between Gather and the rows; false: the rows are wanted. */
	bool (*plan)(struct RowPacking *packing, Gather *gather);
	/* Called before it runs. */
	void (*start)(struct RowPacking *packing, PlanState *scan);
	DestReceiver *receiver; /* of what the scan yields */
} RowPacking;

/* The same, and packs the rows where the query is parallel; true if it did. */
extern bool RunQueryPacked(const char *function, const char *query, DestReceiver *receiver,
						   RowPacking *packing);

/* The type of a polymorphic key argument, with the advice to cast a bare NULL. */
extern Oid KeyArgumentType(FunctionCallInfo fcinfo, int argument, const char *function);

/* The text of the query argument, which must not be NULL. */
extern char *QueryArgument(FunctionCallInfo fcinfo, int argument, const char *function);

/* The optional argument that begins each line of progress; NULL: no lines. */
extern char *ProgressArgument(FunctionCallInfo fcinfo, int argument);

/*
 * Column `attno` (from 1) must be of the key's type; `function` is for the hint.
 * True: the key's type is a domain, the column's is not, and each value has to
 * pass CheckKeyDomain.
 */
extern bool CheckKeyColumn(TupleDesc columns, int attno, Oid key_type, const char *function);

/* An error for a value that the domain does not allow; `extra` begins as NULL. */
extern void CheckKeyDomain(Datum key, Oid key_type, void **extra, MemoryContext context);

/*
 * "OPERATOR(schema.=)", the equality of the type itself: a bare = may find that
 * of another type if the schema of this one is not in the search_path.
 */
extern char *EqualityOperator(Oid type);

/* At least so many columns; `expected` lists them for the error. */
extern void CheckColumnCount(TupleDesc columns, int min, const char *expected);

/* The attno of the column of that name, 0 if there is none; twice is an error. */
extern int ColumnNamed(TupleDesc columns, const char *name);

/* An error that names the column, its type, and what it should be. */
pg_noreturn extern void ColumnTypeRefused(TupleDesc columns, int attno, const char *what,
										  const char *expected, const char *hint);

#endif /* CRM_CALLER_QUERY_H */
