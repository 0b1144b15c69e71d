/*
 * bulk_scan.h: set-returning functions whose rows can be had one at a time.
 *
 * A function in FROM has all its rows written to a tuplestore before the first
 * is read; for millions of them that takes as long as everything else.  So such
 * a function offers its rows one by one: ReturnBulkRows writes them to a
 * tuplestore where PostgreSQL asks for that, and in most queries the planner is
 * given a scan that takes the rows straight from it.
 */
#ifndef CRM_BULK_SCAN_H
#define CRM_BULK_SCAN_H

#include "fmgr.h"

typedef struct BulkRows
{
	void *state;
	/* The next row, in the current memory context or the state's; false at the end. */
	bool (*next)(void *state, Datum *values, bool *nulls);
	void (*end)(void *state);
} BulkRows;

/* Does what the function is called for, up to its first row. */
typedef void (*BulkStart)(FunctionCallInfo fcinfo, BulkRows *rows);

extern Datum ReturnBulkRows(FunctionCallInfo fcinfo, BulkStart start);

/* The functions that work so. */
extern Datum collect_purchase_histories(PG_FUNCTION_ARGS);
extern Datum rfm_scores(PG_FUNCTION_ARGS);
extern void StartCollectPurchaseHistories(FunctionCallInfo fcinfo, BulkRows *rows);
extern void StartRfmScores(FunctionCallInfo fcinfo, BulkRows *rows);

#endif /* CRM_BULK_SCAN_H */
