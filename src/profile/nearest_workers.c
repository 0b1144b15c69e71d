/*
 * nearest_workers.c: the nearest profiles of many candidates, found by parallel workers.
 *
 * A scan of ours stands between Gather and the plan of the candidates.  In every process it takes
 * candidates from that plan, a batch at a time, and hands on their neighbours.  The leader has
 * packed all targets; the workers find a copy in shared memory.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "base/row_stream.h"
#include "profile/nearest.h"

#define NEIGHBOUR_COLUMNS 4

/* Pairs of attributes that are compared at the cost of one unit of the planner. */
#define PAIRS_PER_COST 5e5

static Node *CreateNearestScanState(CustomScan *scan);
static const CustomScanMethods NearestScanMethods = {"NearestProfiles", CreateNearestScanState};

/* ---------- planning ---------- */

/* A column of the result. */
static TargetEntry *
NeighbourColumn(const NearestTask *task, int attno, Index from)
{
	static const char *const names[NEIGHBOUR_COLUMNS] = {"candidate", "target", "rank",
														 "similarity"};
	Oid type = attno == 3 ? INT4OID : attno == 4 ? FLOAT8OID : task->key_type;
	Oid collation = get_typcollation(type);
	Expr *value = from == 0 ? (Expr *) makeConst(type, -1, collation, get_typlen(type), (Datum) 0,
												 true, get_typbyval(type))
							: (Expr *) makeVar(from, attno, type, -1, collation, 0);

	return makeTargetEntry(value, attno, pstrdup(names[attno - 1]), false);
}

static List *
NeighbourColumns(const NearestTask *task, Index from)
{
	List *columns = NIL;

	for (int attno = 1; attno <= NEIGHBOUR_COLUMNS; attno++)
		columns = lappend(columns, NeighbourColumn(task, attno, from));
	return columns;
}

/* Whether Gather hands on the rows of the plan below as they are. */
static bool
HandsOnRows(const Gather *gather)
{
	ListCell *cell;

	if (gather->plan.qual != NIL ||
		list_length(gather->plan.targetlist) != list_length(outerPlan(gather)->targetlist))
		return false;
	foreach (cell, gather->plan.targetlist)
	{
		const TargetEntry *column = lfirst_node(TargetEntry, cell);
		const Var *var = (const Var *) column->expr;

		if (!IsA(var, Var) || var->varno != OUTER_VAR || var->varattno != column->resno)
			return false;
	}
	return true;
}

static bool
PlanNearest(RowPacking *self, Gather *gather)
{
	NearestState *state = ((NearestPacking *) self)->state;

	if (gather->single_copy || !HandsOnRows(gather) ||
		gather->plan.plan_rows * state->task.ntargets * state->pairs <
			parallel_setup_cost * PAIRS_PER_COST)
		return false;
	CheckNearestColumns(state, ExecCleanTypeFromTL(gather->plan.targetlist));
	if (state->check_domain)
		return false;
	PutBelowGather(gather, &NearestScanMethods, &state->task, sizeof(state->task),
				   NeighbourColumns(&state->task, 0), NeighbourColumns(&state->task, INDEX_VAR),
				   NeighbourColumns(&state->task, OUTER_VAR));
	return true;
}

/* ---------- targets in shared memory ---------- */

typedef struct SharedTargets
{
	int ntargets;
	pg_atomic_uint64 skipped;
	/* where the parts begin; each at a cache line */
	Size first;
	Size blocks;
	Size bitmaps;
	Size keys; /* Datums, or where each key begins behind them */
	Size key_bytes;
	Size end;
} SharedTargets;

/* Shared memory comes aligned to 32 bytes; the kernel for AVX-512 reads 64 at once. */
#define SHARED_ALIGNMENT PG_CACHE_LINE_SIZE
#define ALIGNED_TARGETS(memory) ((SharedTargets *) TYPEALIGN(SHARED_ALIGNMENT, memory))

#define PART(shared, part) ((char *) (shared) + (shared)->part)

static Size
KeyBytes(const NearestState *state, int target)
{
	return MAXALIGN(datumGetSize(state->chunk.keys[target], false, state->task.key_length));
}

/* Where the parts go. */
static void
LayOut(const NearestState *state, SharedTargets *shared)
{
	Size n = state->chunk.ntargets;
	Size lanes = TYPEALIGN(KERNEL_LANES, n);

	shared->ntargets = (int) n;
	shared->first = CACHELINEALIGN(sizeof(SharedTargets));
	shared->blocks = CACHELINEALIGN(add_size(shared->first, VARSIZE(state->first)));
	shared->bitmaps = CACHELINEALIGN(add_size(shared->blocks, mul_size(lanes, 2 * state->pairs)));
	shared->keys = CACHELINEALIGN(add_size(shared->bitmaps, mul_size(n, state->bitmap_size)));
	shared->key_bytes = add_size(shared->keys, mul_size(n, sizeof(Datum)));
	shared->end = shared->key_bytes;
	for (int i = 0; i < n && !state->task.key_by_value; i++)
		shared->end = add_size(shared->end, KeyBytes(state, i));
}

static void
ShareTargets(const NearestState *state, SharedTargets *shared)
{
	const Chunk *chunk = &state->chunk;
	Datum *keys;
	char *end;

	LayOut(state, shared);
	keys = (Datum *) PART(shared, keys);
	end = PART(shared, key_bytes);
	memcpy(PART(shared, first), state->first, VARSIZE(state->first));
	memcpy(PART(shared, blocks), chunk->blocks,
		   TYPEALIGN(KERNEL_LANES, (Size) chunk->ntargets) * 2 * state->pairs);
	memcpy(PART(shared, bitmaps), chunk->bitmaps, (Size) chunk->ntargets * state->bitmap_size);
	for (int i = 0; i < chunk->ntargets; i++)
	{
		keys[i] = chunk->keys[i];
		if (state->task.key_by_value)
			continue;
		keys[i] = (Datum) (end - (char *) shared);
		memcpy(end, DatumGetPointer(chunk->keys[i]),
			   datumGetSize(chunk->keys[i], false, state->task.key_length));
		end += KeyBytes(state, i);
	}
}

/* The targets as a worker sees them, in the current memory context. */
static void
AdoptTargets(NearestState *state, SharedTargets *shared)
{
	Chunk *chunk = &state->chunk;
	Datum profile = PointerGetDatum(PART(shared, first));
	ProfileView view;

	OpenProfile(&view, profile);
	CheckLayout(state, &view, profile);
	chunk->ntargets = chunk->room = shared->ntargets;
	chunk->blocks = (uint8 *) PART(shared, blocks);
	chunk->bitmaps = (uint8 *) PART(shared, bitmaps);
	chunk->keys = (Datum *) PART(shared, keys);
	if (state->task.key_by_value)
		return;
	chunk->keys = palloc_extended(mul_size(shared->ntargets, sizeof(Datum)), MCXT_ALLOC_HUGE);
	for (int i = 0; i < shared->ntargets; i++)
		chunk->keys[i] = PointerGetDatum((char *) shared + ((Datum *) PART(shared, keys))[i]);
}

/* ---------- the scan ---------- */

typedef struct NearestScanState
{
	CustomScanState css;  /* must be first */
	NearestState *leader; /* in the leader */
	SharedTargets *shared;
	NearestState state; /* of this process */
	TupleTableSlot *neighbour;
	bool begun;
	bool ended;
} NearestScanState;

static void
BeginCandidates(NearestScanState *scan)
{
	NearestState *state = &scan->state;
	MemoryContext caller = MemoryContextSwitchTo(scan->css.ss.ps.state->es_query_cxt);

	if (scan->leader != NULL)
	{
		*state = *scan->leader;
		state->skipped = 0;
		state->ncandidates = 0;
	}
	else
	{
		ReadPackingTask(&scan->css, &state->task, sizeof(state->task));
		state->kernel =
			ChooseDistanceKernel(state->task.kernel[0] != '\0' ? state->task.kernel : NULL);
		state->context = CurrentMemoryContext;
		AdoptTargets(state, scan->shared);
	}
	state->context = CurrentMemoryContext;
	PrepareCandidates(state);
	state->result = tuplestore_begin_heap(false, false, work_mem);
	state->result_columns = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	scan->neighbour = MakeSingleTupleTableSlot(state->result_columns, &TTSOpsMinimalTuple);
	scan->begun = true;
	MemoryContextSwitchTo(caller);
}

/* Finds the neighbours of the next candidates; false if there are none. */
static bool
NextCandidates(NearestScanState *scan)
{
	PlanState *plan = linitial(scan->css.custom_ps);
	TupleTableSlot *row = NULL;

	if (scan->ended)
		return false;
	tuplestore_clear(scan->state.result);
	while (row = ExecProcNode(plan), !TupIsNull(row))
	{
		CHECK_FOR_INTERRUPTS();
		if (AddCandidate(&scan->state, row))
			break;
	}
	scan->ended = TupIsNull(row);
	FinishBatch(&scan->state);
	/* before the leader hears that there is no more */
	if (scan->ended && scan->leader == NULL)
		pg_atomic_fetch_add_u64(&scan->shared->skipped, scan->state.skipped);
	return true;
}

static TupleTableSlot *
ExecNearestScan(CustomScanState *node)
{
	NearestScanState *scan = (NearestScanState *) node;

	if (!scan->begun)
		BeginCandidates(scan);
	while (!tuplestore_gettupleslot(scan->state.result, true, false, scan->neighbour))
		if (!NextCandidates(scan))
			return NULL;
	return scan->neighbour;
}

/* Called while shared memory is still there. */
static void
ShutdownNearestScan(CustomScanState *node)
{
	NearestScanState *scan = (NearestScanState *) node;

	if (scan->leader != NULL)
		scan->leader->skipped +=
			scan->state.skipped +
			(scan->shared != NULL ? pg_atomic_read_u64(&scan->shared->skipped) : 0);
	scan->shared = NULL;
	scan->leader = NULL;
}

static void
EndNearestScan(CustomScanState *node)
{
	NearestScanState *scan = (NearestScanState *) node;

	if (scan->begun)
	{
		ExecDropSingleTupleTableSlot(scan->neighbour);
		tuplestore_end(scan->state.result);
	}
	ExecEndNode(linitial(node->custom_ps));
}

static void
ReScanNearestScan(CustomScanState *node)
{
	elog(ERROR, "the query of candidates runs only once");
}

static Size
EstimateNearestScan(CustomScanState *node, ParallelContext *pcxt)
{
	SharedTargets layout;

	LayOut(((NearestScanState *) node)->leader, &layout);
	return add_size(layout.end, SHARED_ALIGNMENT);
}

static void
InitializeNearestScan(CustomScanState *node, ParallelContext *pcxt, void *coordinate)
{
	NearestScanState *scan = (NearestScanState *) node;

	/* without a segment there are no workers */
	if (pcxt->seg == NULL)
		return;
	scan->shared = ALIGNED_TARGETS(coordinate);
	pg_atomic_init_u64(&scan->shared->skipped, 0);
	ShareTargets(scan->leader, scan->shared);
}

static void
AttachNearestScan(CustomScanState *node, shm_toc *toc, void *coordinate)
{
	((NearestScanState *) node)->shared = ALIGNED_TARGETS(coordinate);
}

static const CustomExecMethods NearestScanExecMethods = {
	.CustomName = "NearestProfiles",
	.BeginCustomScan = BeginPackingScan,
	.ExecCustomScan = ExecNearestScan,
	.EndCustomScan = EndNearestScan,
	.ReScanCustomScan = ReScanNearestScan,
	.EstimateDSMCustomScan = EstimateNearestScan,
	.InitializeDSMCustomScan = InitializeNearestScan,
	.InitializeWorkerCustomScan = AttachNearestScan,
	.ShutdownCustomScan = ShutdownNearestScan,
};

static Node *
CreateNearestScanState(CustomScan *scan)
{
	return NewCustomScanState(sizeof(NearestScanState), &NearestScanExecMethods);
}

/* ---------- the leader ---------- */

static void
StartNearest(RowPacking *self, PlanState *scan)
{
	((NearestScanState *) scan)->leader = ((NearestPacking *) self)->state;
}

static bool
ReceiveNeighbour(TupleTableSlot *slot, DestReceiver *self)
{
	NearestPacking *packing =
		(NearestPacking *) ((char *) self - offsetof(NearestPacking, receiver));

	tuplestore_puttupleslot(packing->state->result, slot);
	return true;
}

void
InitNearestPacking(NearestPacking *packing, NearestState *state)
{
	*packing = (NearestPacking){
		.pub = {.dear_rows = true, .plan = PlanNearest, .start = StartNearest}, .state = state};
	InitReceiver(&packing->receiver, ReceiveNeighbour, NULL);
	packing->pub.receiver = &packing->receiver;
}

void
InitNearestWorkers(void)
{
	RegisterCustomScanMethods(&NearestScanMethods);
}
