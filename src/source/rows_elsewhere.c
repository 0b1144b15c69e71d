/*
 * rows_elsewhere.c: the rows of a table that is on other machines, as a function.
 *
 * Citus plans a query as a whole once it reads one distributed table, and refuses or slows down
 * much of what is possible with local tables.  A function it does not look into.  So the views of a
 * source read such tables through this one: it runs a query of its own, with the rights of whoever
 * reads, for the columns and the rows that are wanted.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/caller_query.h"
#include "base/compat.h"
#include "base/row_stream.h"
#include "source/rows_elsewhere.h"

/* Rows are fetched by so many. */
#define BATCH 1000

/* ---------- the query ---------- */

/* The relation that a row type belongs to; an error if it is none. */
static Oid
RelationOfRow(Oid type)
{
	Oid relation = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;

	if (!OidIsValid(relation) || get_rel_relkind(relation) == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("the first argument must be a NULL of the row type of a table")));
	return relation;
}

static char *
QualifiedName(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

/* Functions that a user may have defined, and may not have defined elsewhere. */
static bool
IsOwnFunction(Oid function, void *context)
{
	return function >= FirstUnpinnedObjectId;
}

/* What has no meaning outside the plan. */
static bool
IsBound(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) || IsA(node, SubLink) || IsA(node, SubPlan) ||
		IsA(node, AlternativeSubPlan) || check_functions_in_node(node, IsOwnFunction, context) ||
		(IsA(node, Var) && ((Var *) node)->varattno <= 0))
		return true;
	return expression_tree_walker(node, IsBound, context);
}

/* What is computed below an outer join is marked; within the table it is nothing else. */
static Node *
WithoutMarks(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, PlaceHolderVar))
		return WithoutMarks((Node *) ((PlaceHolderVar *) node)->phexpr, context);
	return expression_tree_mutator(node, WithoutMarks, context);
}

/* Appends the clauses that can be checked elsewhere, too. */
static void
AppendClauses(StringInfo query, Oid relation, Index relid, List *clauses)
{
	List *context = deparse_context_for(get_rel_name(relation), relation);
	const char *glue = " WHERE ";
	int guc_level = NewGUCNestLevel();
	ListCell *cell;

	/* constants that mean the same under whatever settings the query will be parsed */
	(void) set_config_option("datestyle", "ISO", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	foreach (cell, clauses)
	{
		Node *clause = lfirst(cell);

		if (contain_mutable_functions(clause) || IsBound(clause, NULL))
			continue;
		clause = WithoutMarks(clause, NULL);
		ChangeVarNodes(clause, relid, 1, 0);
		appendStringInfo(query, "%s(%s)", glue, deparse_expression(clause, context, false, false));
		glue = " AND ";
	}
	AtEOXact_GUC(true, guc_level);
}

/* Writes the query for these columns and clauses into the call's second argument. */
static void
NarrowRowsElsewhere(FuncExpr *call, Index relid, Bitmapset *columns, List *clauses)
{
	Const *given = list_length(call->args) == 2 ? lsecond(call->args) : NULL;
	Oid relation = get_typ_typrelid(call->funcresulttype);
	Relation table;
	StringInfoData query;
	const char *glue = "";

	if (given == NULL || !IsA(given, Const) || !given->constisnull || !OidIsValid(relation))
		return;
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	table = relation_open(relation, AccessShareLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(table); i++)
	{
		Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), i);

		if (column->attisdropped ||
			!bms_is_member(column->attnum - FirstLowInvalidHeapAttributeNumber, columns))
			continue;
		appendStringInfo(&query, "%s%s", glue, quote_identifier(NameStr(column->attname)));
		glue = ", ";
	}
	relation_close(table, AccessShareLock);
	appendStringInfo(&query, "%s FROM %s", *glue == '\0' ? "1" : "", QualifiedName(relation));
	AppendClauses(&query, relation, relid, clauses);
	given->constvalue = CStringGetTextDatum(query.data);
	given->constisnull = false;
}

/* Whether a column of the table is its key, by an index: Citus keeps their definitions here. */
static bool
IsKeyOfTable(const FuncExpr *call, AttrNumber column)
{
	Oid relation = get_typ_typrelid(call->funcresulttype);
	Relation table;
	List *indexes;
	ListCell *cell;
	bool found = false;

	if (!OidIsValid(relation))
		return false;
	table = relation_open(relation, AccessShareLock);
	indexes = RelationGetIndexList(table);
	foreach (cell, indexes)
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		found |= index->indisunique && index->indimmediate && index->indisvalid &&
				 index->indnkeyatts == 1 && index->indkey.values[0] == column &&
				 heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	relation_close(table, AccessShareLock);
	return found;
}

/* ---------- its rows ---------- */

typedef struct Elsewhere
{
	MemoryContext context;
	QueryDesc *query;
	DestReceiver *receiver; /* into the batch */
	Tuplestorestate *batch;
	TupleTableSlot *slot;
	int natts;
	int *column; /* of the query, from 0, for each of the row type; -1: none */
	bool done;
} Elsewhere;

/* Finds the column of the query for each column of the row type. */
static void
MapColumns(Elsewhere *rows, TupleDesc wanted)
{
	TupleDesc found = rows->query->tupDesc;

	rows->natts = wanted->natts;
	rows->column = palloc(wanted->natts * sizeof(int));
	for (int i = 0; i < wanted->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(wanted, i);

		rows->column[i] = -1;
		for (int j = 0; j < found->natts && !column->attisdropped; j++)
			if (strcmp(NameStr(TupleDescAttr(found, j)->attname), NameStr(column->attname)) == 0)
			{
				if (TupleDescAttr(found, j)->atttypid != column->atttypid)
					ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
									errmsg("column \"%s\" of the query has type %s, not %s",
										   NameStr(column->attname),
										   format_type_be(TupleDescAttr(found, j)->atttypid),
										   format_type_be(column->atttypid))));
				rows->column[i] = j;
			}
	}
}

static bool
NextRow(void *state, Datum *values, bool *nulls)
{
	Elsewhere *rows = state;
	/* the slot frees a tuple that was read from a file when the next one comes */
	MemoryContext caller = MemoryContextSwitchTo(rows->context);
	bool found = tuplestore_gettupleslot(rows->batch, true, false, rows->slot);

	if (!found && !rows->done)
	{
		tuplestore_clear(rows->batch);
		rows->done = NextQueryRows(rows->query, BATCH) < BATCH;
		found = tuplestore_gettupleslot(rows->batch, true, false, rows->slot);
	}
	MemoryContextSwitchTo(caller);
	if (!found)
		return false;
	slot_getallattrs(rows->slot);
	for (int i = 0; i < rows->natts; i++)
	{
		nulls[i] = rows->column[i] < 0 || rows->slot->tts_isnull[rows->column[i]];
		values[i] = nulls[i] ? (Datum) 0 : rows->slot->tts_values[rows->column[i]];
	}
	return true;
}

static void
End(void *state)
{
	Elsewhere *rows = state;

	EndQuery(rows->query);
	ExecDropSingleTupleTableSlot(rows->slot);
	rows->receiver->rDestroy(rows->receiver);
	tuplestore_end(rows->batch);
}

/* (NULL of a table's row type, query): NULL: all rows of the table. */
static void
StartRowsElsewhere(FunctionCallInfo fcinfo, RowStream *stream)
{
	Elsewhere *rows = palloc0(sizeof(Elsewhere));
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid relation = RelationOfRow(type);
	char *query = PG_ARGISNULL(1) ? psprintf("SELECT * FROM %s", QualifiedName(relation))
								  : text_to_cstring(PG_GETARG_TEXT_PP(1));

	rows->context = CurrentMemoryContext;
	rows->receiver = CreateDestReceiver(DestTuplestore);
	rows->query = BeginQuery("rows_elsewhere", query, rows->receiver);
	/* not what the row type has by now: the table may have got columns since the plan was made */
	MapColumns(rows, stream->columns);
	rows->batch = tuplestore_begin_heap(false, false, work_mem);
	SetTuplestoreDestReceiverParams(rows->receiver, rows->batch, CurrentMemoryContext, false, NULL,
									NULL);
	rows->slot =
		MakeSingleTupleTableSlot(CreateTupleDescCopy(rows->query->tupDesc), &TTSOpsMinimalTuple);
	stream->state = rows;
	stream->next = NextRow;
	stream->end = End;
}

PG_FUNCTION_INFO_V1(rows_elsewhere);
Datum
rows_elsewhere(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartRowsElsewhere);
}

void
InitRowsElsewhere(void)
{
	RegisterRowStream(rows_elsewhere, StartRowsElsewhere, NarrowRowsElsewhere, IsKeyOfTable,
					  EXPLAINS_NOTHING);
}
