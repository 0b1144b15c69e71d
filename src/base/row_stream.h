/*
 * row_stream.h: set-returning functions that return their rows one at a time.
 *
 * All rows of a function in FROM are written to a tuplestore before the first is read; for millions
 * of rows that takes as long as everything else.  A row stream offers its rows one by one:
 * ReturnRowStream writes them to a tuplestore if PostgreSQL asks for that, but in most queries the
 * planner gets a scan that takes the rows straight from the function.
 */
#ifndef CRM_ROW_STREAM_H
#define CRM_ROW_STREAM_H

#include "access/attnum.h"
#include "fmgr.h"
#include "nodes/extensible.h"
#include "nodes/primnodes.h"

typedef struct RowStream
{
	struct TupleDescData *columns; /* of the rows, as they are expected; known to the start */
	const bool *wanted;            /* by column: whether anybody reads it; known, too */
	void *state;
	/*
	 * The next row, in the current memory context or the state's; false at the end.  Columns that
	 * are not wanted may be NULL.
	 */
	bool (*next)(void *state, Datum *values, bool *nulls);
	void (*end)(void *state);
} RowStream;

/* Starts the function: does its work up to the first row. */
typedef void (*RowStreamStart)(FunctionCallInfo fcinfo, RowStream *rows);

/*
 * Changes a call so that it returns no more than the query takes: these columns of the relation,
 * offset as pull_varattnos() has them, of rows that satisfy these clauses.  They are checked
 * anyway.
 */
typedef void (*RowStreamNarrow)(FuncExpr *call, Index relid, Bitmapset *columns, List *clauses);

/* Whether no two rows have the same value in a column. */
typedef bool (*RowStreamUnique)(const FuncExpr *call, AttrNumber column);

/*
 * EXPLAIN shows what the function takes its rows from: it starts the function with
 * query_explanation set, and without rows where nothing is to be run.
 */
typedef enum RowStreamQuery
{
	EXPLAINS_NOTHING,
	EXPLAINS_QUERY /* the second argument, of which it groups the rows by the first column */
} RowStreamQuery;

extern Datum ReturnRowStream(FunctionCallInfo fcinfo, RowStreamStart start);

/*
 * Registers a function that returns rows this way; at most a handful.  `narrow` may be NULL, and
 * `unique` if it has no such column, or is the first one of the groups of EXPLAINS_QUERY.
 */
extern void RegisterRowStream(PGFunction function, RowStreamStart start, RowStreamNarrow narrow,
							  RowStreamUnique unique, RowStreamQuery query);
extern void InitRowStreams(void);

/* Shows in EXPLAIN ANALYZE what rows took in memory and in files, in bytes. */
extern void ExplainMemory(Size memory, Size spilled, struct ExplainState *es);

/* The state of a custom scan, as a struct of that size that begins with a CustomScanState. */
extern Node *NewCustomScanState(Size size, const CustomExecMethods *methods);

#endif /* CRM_ROW_STREAM_H */
