/*
 * order_workers.c: a query of orders run by parallel workers.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/sharedfileset.h"
#include "utils/lsyscache.h"
#include "utils/wait_event.h"

#include "base/caller_query.h"
#include "base/crew.h"
#include "base/row_stream.h"
#include "orders/order_plan.h"
#include "orders/order_workers.h"

/* How a query of orders is handed to its workers. */
typedef struct OrderPacking
{
	RowPacking pub; /* must be first */
	DestReceiver receiver;
	OrderQuery *query;
	OrderRows *rows; /* of the leader: is told columns and counts */
	int round_to;    /* what the caller wants amounts and costs to be rounded to */
} OrderPacking;

/* ---------- planning ---------- */

static Node *CreateOrderPackingState(CustomScan *scan);
static const CustomScanMethods OrderPackingMethods = {"OrderPacking", CreateOrderPackingState};

/*
 * Gives the columns below Gather the names that the query has for them; false
 * if Gather makes others of them.
 */
static bool
NameColumns(const Gather *gather)
{
	List *columns = outerPlan(gather)->targetlist;
	ListCell *cell;
	ListCell *cell_above;

	if (list_length(columns) != list_length(gather->plan.targetlist))
		return false;
	forboth(cell, columns, cell_above, gather->plan.targetlist)
	{
		TargetEntry *column = lfirst_node(TargetEntry, cell);
		TargetEntry *above = lfirst_node(TargetEntry, cell_above);
		Var *var = (Var *) above->expr;

		if (!IsA(var, Var) || var->varno != OUTER_VAR || above->resjunk ||
			!equal(list_nth_node(TargetEntry, columns, var->varattno - 1)->expr, column->expr))
			return false;
		column->resname = above->resname;
	}
	return true;
}

/*
 * What each process may take: as much as one alone, unless shared memory is a
 * file system with less room; 0: too little to begin.
 */
static Size
ParticipantMemory(int participants)
{
	/* it is taken in pieces that may be larger than what is needed by a half */
	Size room = SharedMemoryRoom() / 2 / participants;

	return room < MIN_ORDER_MEMORY ? 0 : Min(HashMemoryLimit(), room);
}

/* Keys can be told apart in workers, too. */
static bool
KeyIsParallelSafe(const CustomerKey *key)
{
	return func_parallel(key->hash.fn_oid) == PROPARALLEL_SAFE &&
		   func_parallel(key->equal.fn_oid) == PROPARALLEL_SAFE;
}

/* The single column of the scan: blocks of finished customers. */
static List *
BlockColumn(Expr *block)
{
	return list_make1(makeTargetEntry(block, 1, "customers", false));
}

/* Amounts that the query rounds are read as they are stored, and rounded here. */
static void
AdjustPlan(RowPacking *self, PlannedStmt *plan)
{
	OrderPacking *packing = (OrderPacking *) self;
	OrderTask *task = &packing->query->task;
	Plan *top = plan->planTree;

	task->round_amount = TakeOverRounding(top, AMOUNT_COLUMN, packing->round_to);
	task->round_cost = TakeOverRounding(top, PlanColumnNamed(top, "cost"), packing->round_to);
}

static bool
PlanPacking(RowPacking *self, Gather *gather)
{
	OrderPacking *packing = (OrderPacking *) self;
	OrderRows *rows = packing->rows;
	OrderTask task = *rows->task;

	if (gather->single_copy || gather->plan.qual != NIL || !NameColumns(gather))
		return false;
	CheckOrderColumns(rows, ExecCleanTypeFromTL(outerPlan(gather)->targetlist));
	if (rows->check_domain || !KeyIsParallelSafe(&rows->format.key) ||
		(rows->format.lines && !KeyIsParallelSafe(&rows->format.order)))
		return false;
	task.memory = ParticipantMemory(gather->num_workers + 1);
	if (task.memory == 0)
		return false;
	PutBelowGather(gather, &OrderPackingMethods, &task, sizeof(task),
				   BlockColumn((Expr *) makeNullConst(BYTEAOID, -1, InvalidOid)),
				   BlockColumn((Expr *) makeVar(INDEX_VAR, 1, BYTEAOID, -1, InvalidOid, 0)),
				   BlockColumn((Expr *) makeVar(OUTER_VAR, 1, BYTEAOID, -1, InvalidOid, 0)));
	return true;
}

/* ---------- the scan ---------- */

/* What the processes have in common. */
typedef struct SharedOrders
{
	dsm_handle segment; /* that this lies in */
	dsa_handle area;    /* of purchases, and of finished customers, which outlive the query */
	Barrier packed;
	SharedFileSet files;
	pg_atomic_uint64 rows;
	pg_atomic_uint64 without_customer;
	pg_atomic_uint64 memory; /* of the purchases */
	pg_atomic_uint64 spilled;
	pg_atomic_uint32 runs;       /* of sorted customers */
	SharedPartitions partitions; /* must be last */
} SharedOrders;

typedef struct OrderPackingState
{
	CustomScanState css; /* must be first */
	OrderTask task;
	SharedOrders *shared; /* NULL: the leader is alone */
	dsa_area *area;
	OrderRows *leader; /* in the leader: is told the counts */
	OrderQuery *query; /* in the leader: keeps the area */
	RecordPool *pool;
	OrderRows rows; /* of this process; without `orders` before it begins */
	Progress progress;
	CustomerBlocks blocks;
} OrderPackingState;

static void
BeginOrderPacking(CustomScanState *node, EState *estate, int eflags)
{
	OrderPackingState *state = (OrderPackingState *) node;

	ReadPackingTask(node, &state->task, sizeof(state->task));
	BeginPackingScan(node, estate, eflags);
}

/* Takes all rows of the plan below. */
static void
TakeRows(OrderPackingState *state)
{
	PlanState *plan = linitial(state->css.custom_ps);
	TupleTableSlot *row;

	while (row = ExecProcNode(plan), !TupIsNull(row))
	{
		CHECK_FOR_INTERRUPTS();
		state->rows.pub.receiveSlot(row, &state->rows.pub);
	}
	FinishOrderRows(&state->rows);
}

/*
 * Comes together with the others, takes its share of the rows and waits until
 * all are in their partitions.  Who comes too late finds no rows left.
 */
static void
PackTogether(OrderPackingState *state, TupleDesc columns)
{
	SharedOrders *shared = state->shared;
	OrderRows *rows = &state->rows;
	bool late = BarrierAttach(&shared->packed) > 0;

	ShareRecordPool(state->pool, state->area, &shared->files.fs,
					late ? -1 : JoinPartitions(&shared->partitions), state->task.memory);
	rows->progress->all = &shared->rows;
	rows->pub.rStartup(&rows->pub, CMD_SELECT, columns);
	SharePartitions(rows->orders, &shared->partitions, state->query != NULL);
	if (!late)
	{
		TakeRows(state);
		ShareProgress(rows->progress);
		pg_atomic_fetch_add_u64(&shared->without_customer, rows->without_customer);
		pg_atomic_fetch_add_u64(&shared->memory, state->pool->used);
		pg_atomic_fetch_add_u64(&shared->spilled, state->pool->spilled);
		PublishPartitions(rows->orders, &shared->partitions);
		BarrierArriveAndWait(&shared->packed, PG_WAIT_EXTENSION);
	}
	BarrierDetach(&shared->packed);
	ClaimPartitions(rows->orders, &shared->partitions);
}

static void
PackOrders(OrderPackingState *state)
{
	OrderRows *rows = &state->rows;
	Progress *progress = &state->progress;
	TupleDesc columns = ExecGetResultType(linitial(state->css.custom_ps));

	if (state->leader != NULL && state->leader->progress != NULL)
		progress = state->leader->progress;
	/* the leader keeps what it finishes */
	state->pool =
		state->query != NULL ? state->query->pool : CreateRecordPool(CurrentMemoryContext);
	InitOrderRows(rows, &state->task, state->pool, progress);
	if (state->shared != NULL)
		PackTogether(state, columns);
	else
	{
		rows->pub.rStartup(&rows->pub, CMD_SELECT, columns);
		TakeRows(state);
	}
	InitCustomerBlocks(&state->blocks, &state->task, &rows->format, rows->orders, state->pool,
					   state->query != NULL, state->shared != NULL ? &state->shared->runs : NULL);
}

static TupleTableSlot *
ExecOrderPacking(CustomScanState *node)
{
	OrderPackingState *state = (OrderPackingState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;
	MemoryContext caller;
	bytea *block;

	if (state->rows.orders == NULL)
		PackOrders(state);
	ExecClearTuple(slot);
	ResetExprContext(econtext);
	caller = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	block = NextCustomerBlock(&state->blocks);
	MemoryContextSwitchTo(caller);
	if (block == NULL)
		return slot;
	slot->tts_values[0] = PointerGetDatum(block);
	slot->tts_isnull[0] = false;
	return ExecStoreVirtualTuple(slot);
}

/* Called while shared memory is still there. */
static void
ShutdownOrderPacking(CustomScanState *node)
{
	OrderPackingState *state = (OrderPackingState *) node;
	SharedOrders *shared = state->shared;
	OrderRows *leader = state->leader;
	OrderQuery *query = state->query;

	if (leader != NULL)
	{
		if (shared != NULL)
		{
			leader->without_customer = pg_atomic_read_u64(&shared->without_customer);
			leader->memory = pg_atomic_read_u64(&shared->memory);
			leader->spilled = pg_atomic_read_u64(&shared->spilled);
		}
		else
		{
			leader->without_customer = state->rows.without_customer;
			leader->memory = state->rows.memory;
			leader->spilled = state->rows.spilled;
		}
		if (leader->progress != NULL && shared != NULL)
		{
			leader->progress->done = pg_atomic_read_u64(&shared->rows);
			leader->progress->all = NULL;
		}
	}
	if (state->rows.orders != NULL)
		EndOrderPartitions(state->rows.orders);
	state->rows.orders = NULL;
	if (state->area != NULL && state->query == NULL)
		dsa_detach(state->area);
	state->area = NULL;
	state->leader = NULL;
	state->shared = NULL;
	/* Gather has returned all blocks, and waits for the workers to exit when this is done */
	if (leader != NULL && query->when_finished != NULL)
	{
		query->format = leader->format;
		query->when_finished(query->caller);
	}
}

static void
EndOrderPacking(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
ReScanOrderPacking(CustomScanState *node)
{
	elog(ERROR, "the query of orders runs only once");
}

/* ---------- shared memory ---------- */

static Size
EstimateOrderPacking(CustomScanState *node, ParallelContext *pcxt)
{
	return add_size(offsetof(SharedOrders, partitions), SharedPartitionsSize(pcxt->nworkers + 1));
}

static void
ShareOrderPacking(CustomScanState *node, ParallelContext *pcxt, void *coordinate)
{
	OrderPackingState *state = (OrderPackingState *) node;
	SharedOrders *shared = coordinate;
	MemoryContext caller;

	/* without a segment there are no workers */
	if (pcxt->seg == NULL)
		return;
	caller = MemoryContextSwitchTo(state->query->pool->context);
	state->area = dsa_create(LWTRANCHE_PARALLEL_QUERY_DSA);
	MemoryContextSwitchTo(caller);
	state->query->area = state->query->pool->area = state->area;
	shared->area = dsa_get_handle(state->area);
	shared->segment = dsm_segment_handle(pcxt->seg);
	BarrierInit(&shared->packed, 0);
	SharedFileSetInit(&shared->files, pcxt->seg);
	pg_atomic_init_u64(&shared->rows, 0);
	pg_atomic_init_u64(&shared->without_customer, 0);
	pg_atomic_init_u64(&shared->memory, 0);
	pg_atomic_init_u64(&shared->spilled, 0);
	pg_atomic_init_u32(&shared->runs, 0);
	InitSharedPartitions(&shared->partitions, pcxt->nworkers + 1);
	state->shared = shared;
	state->query->shared = &shared->partitions;
}

static void
AttachOrderPacking(CustomScanState *node, shm_toc *toc, void *coordinate)
{
	OrderPackingState *state = (OrderPackingState *) node;
	SharedOrders *shared = coordinate;

	SharedFileSetAttach(&shared->files, dsm_find_mapping(shared->segment));
	state->area = dsa_attach(shared->area);
	state->shared = shared;
}

static const CustomExecMethods OrderPackingExecMethods = {
	.CustomName = "OrderPacking",
	.BeginCustomScan = BeginOrderPacking,
	.ExecCustomScan = ExecOrderPacking,
	.EndCustomScan = EndOrderPacking,
	.ReScanCustomScan = ReScanOrderPacking,
	.EstimateDSMCustomScan = EstimateOrderPacking,
	.InitializeDSMCustomScan = ShareOrderPacking,
	.InitializeWorkerCustomScan = AttachOrderPacking,
	.ShutdownCustomScan = ShutdownOrderPacking,
};

static Node *
CreateOrderPackingState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(OrderPackingState), &OrderPackingExecMethods);
}

/* ---------- the leader ---------- */

static void
StartPacking(RowPacking *self, PlanState *scan)
{
	OrderPackingState *state = (OrderPackingState *) scan;

	state->leader = ((OrderPacking *) self)->rows;
	state->query = ((OrderPacking *) self)->query;
}

/* Keeps a block of finished customers. */
static bool
ReceiveBlock(TupleTableSlot *slot, DestReceiver *self)
{
	OrderPacking *packing = (OrderPacking *) ((char *) self - offsetof(OrderPacking, receiver));
	bool isnull;

	/* besides this process's share of the partitions */
	KeepCustomerBlock(packing->query, DatumGetByteaPP(slot_getattr(slot, 1, &isnull)),
					  packing->query->task.memory + packing->query->task.memory / 2);
	return true;
}

static void
InitOrderPacking(OrderPacking *packing, OrderQuery *query, OrderRows *rows)
{
	packing->pub = (RowPacking){.adjust = AdjustPlan,
								.plan = PlanPacking,
								.start = StartPacking,
								.receiver = &packing->receiver};
	InitReceiver(&packing->receiver, ReceiveBlock, NULL);
	packing->query = query;
	packing->rows = rows;
	packing->round_to = query->task.round_amount;
}

/* Rows without a customer in the query that was run last. */
static int64 rows_without_customer = 0;

/* How many: whether those who keep histories need look for their amounts. */
PG_FUNCTION_INFO_V1(orders_without_customer);
Datum
orders_without_customer(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(rows_without_customer);
}

/* Customers that came in order are finished. */
static void
TakeOrderedCustomers(OrderQuery *query, OrderRows *rows)
{
	RecordStore *finished = &rows->ordered->finished;

	query->scale = rows->ordered->scale;
	*(OidIsValid(query->task.order_operator) ? &RunOfBlock(query, 1)->store
											 : &query->finished.store) = *finished;
	EndOrderPartitions(rows->orders);
}

void
RunOrderQuery(OrderQuery *query, const char *text)
{
	OrderRows *rows = palloc(sizeof(OrderRows));
	QueryExplanation *explanation = query_explanation;
	OrderPacking packing;
	bool packed;

	InitOrderRows(rows, &query->task, query->pool, query->progress);
	rows->may_be_ordered = true;
	InitOrderPacking(&packing, query, rows);
	if (query->progress != NULL)
		StartProgress(query->progress, "rows read", "rows");
	packed = RunQueryPacked(query->task.function, text, &rows->pub, &packing.pub);
	if (query->progress != NULL)
		FinishProgress(query->progress);
	if (!packed)
		FinishOrderRows(rows);
	query->format = rows->format;
	if (rows->ordered != NULL)
		TakeOrderedCustomers(query, rows);
	else
		query->orders = rows->orders;
	rows_without_customer = rows->without_customer;
	if (explanation != NULL)
	{
		explanation->memory = rows->memory;
		explanation->spilled = rows->spilled;
	}
	pfree(rows);
}

void
InitOrderWorkers(void)
{
	RegisterCustomScanMethods(&OrderPackingMethods);
}
