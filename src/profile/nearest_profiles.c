/*
 * nearest_profiles.c: for each of many profiles the k nearest of many others.
 *
 * The targets are sorted by key (on disk if they are many) and packed, chunk by chunk, into the
 * blocks of the kernels.  Candidates are processed in batches; each keeps a heap of its k nearest
 * so far.  A kernel skips targets that cannot enter the heap; those it finds are checked exactly,
 * so that the result equals ORDER BY candidate <-> target, target key.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/nodeHash.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_oper.h"
#include "port/pg_bitutils.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"

#include "base/common.h"
#include "profile/nearest.h"

#define MAX_K 10000
#define MAX_BATCH 1024           /* candidates */
#define STRIP_BYTES (256 * 1024) /* of targets at a time: fits a cache */

/* ---------- columns ---------- */

static Oid
ProfileType(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("profile"),
						   ObjectIdGetDatum(get_namespace_oid("crm_profile", false)));
}

void
CheckNearestColumns(NearestState *state, TupleDesc columns)
{
	CheckColumnCount(columns, 2, "a key and a profile");
	if (columns->natts > 2)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("the query returns %d columns, 2 are expected", columns->natts),
						errdetail("Expected a key and a profile.")));
	state->check_domain = CheckKeyColumn(columns, 1, state->task.key_type, NEAREST_PROFILES);
	if (TupleDescAttr(columns, 1)->atttypid != state->task.profile_type)
		ColumnTypeRefused(columns, 2, "profile", "crm_profile.profile",
						  "Encode the record: profile(r, model).");
}

static void
ReceiverStartup(DestReceiver *self, int operation, TupleDesc columns)
{
	CheckNearestColumns((NearestState *) self, columns);
}

/* Returns false, and counts the row, if it has no key or no profile. */
static bool
RowIsComplete(NearestState *state, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	if (!slot->tts_isnull[0] && !slot->tts_isnull[1])
	{
		if (state->check_domain)
			CheckKeyDomain(slot->tts_values[0], state->task.key_type, &state->domain_extra,
						   state->context);
		return true;
	}
	state->skipped++;
	return false;
}

static void
ReportSkipped(NearestState *state, const char *what)
{
	if (state->skipped > 0)
		ereport(NOTICE, (errmsg("%lld rows of the %s query were left out: key or profile is NULL",
								(long long) state->skipped, what)));
	state->skipped = 0;
}

/* ---------- targets ---------- */

void
CheckLayout(NearestState *state, const ProfileView *view, Datum profile)
{
	MemoryContext caller;

	if (likely(state->first != NULL))
	{
		CheckSameModel(view, &state->layout);
		return;
	}
	caller = MemoryContextSwitchTo(state->context);
	state->first = PG_DETOAST_DATUM_COPY(profile);
	OpenProfile(&state->layout, PointerGetDatum(state->first));
	state->bitmap_size = view->numbers - view->bitmaps;
	state->pairs = KernelPairs(view->nscaled, view->ncoded + view->nsets);
	MemoryContextSwitchTo(caller);
}

static bool
ReceiveTarget(TupleTableSlot *slot, DestReceiver *self)
{
	NearestState *state = (NearestState *) self;
	ProfileView view;
	TupleTableSlot *to = state->target_slot;

	if (!RowIsComplete(state, slot))
		return true;
	OpenProfile(&view, slot->tts_values[1]);
	CheckLayout(state, &view, slot->tts_values[1]);
	ExecClearTuple(to);
	to->tts_values[0] = slot->tts_values[0];
	to->tts_values[1] = slot->tts_values[1];
	to->tts_isnull[0] = to->tts_isnull[1] = false;
	ExecStoreVirtualTuple(to);
	tuplesort_puttupleslot(state->targets, to);
	state->task.ntargets++;
	return true;
}

static void
CollectTargets(NearestState *state, const char *query)
{
	TupleDesc columns = CreateTemplateTupleDesc(2);
	AttrNumber sort_column = 1;
	bool nulls_first = false;
	Oid less_than;
	Oid collation =
		OidIsValid(get_typcollation(state->task.key_type)) ? C_COLLATION_OID : InvalidOid;

	get_sort_group_operators(state->task.key_type, true, false, false, &less_than, NULL, NULL,
							 NULL);
	TupleDescInitEntry(columns, 1, "key", state->task.key_type, -1, 0);
	TupleDescInitEntry(columns, 2, "profile", state->task.profile_type, -1, 0);
	state->target_slot = MakeSingleTupleTableSlot(columns, &TTSOpsVirtual);
	state->targets = tuplesort_begin_heap(columns, 1, &sort_column, &less_than, &collation,
										  &nulls_first, work_mem, NULL, TUPLESORT_RANDOMACCESS);
	state->receiver.receiveSlot = ReceiveTarget;
	RunQuery(NEAREST_PROFILES, query, &state->receiver);
	ReportSkipped(state, "targets");
	tuplesort_performsort(state->targets);
	ExecDropSingleTupleTableSlot(state->target_slot);
	state->target_slot = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);
}

/* Allocates room for all targets, or for as many as memory allows. */
static void
MakeChunk(NearestState *state)
{
	Size target_size =
		2 * state->pairs + state->bitmap_size + sizeof(Datum) + (state->task.key_by_value ? 0 : 32);
	int64 room = get_hash_memory_limit() / 2 / target_size;
	Chunk *chunk = &state->chunk;

	room = Max(room, 8192);
	room = Min(Min(room, state->task.ntargets), PG_INT32_MAX / 2);
	room = TYPEALIGN(KERNEL_LANES, room);
	chunk->room = (int) room;
	chunk->blocks = (uint8 *) TYPEALIGN(
		64, palloc_extended(mul_size(room, 2 * state->pairs) + 64, MCXT_ALLOC_HUGE));
	chunk->bitmaps = palloc_extended(mul_size(room, state->bitmap_size) + 1, MCXT_ALLOC_HUGE);
	chunk->keys = palloc_extended(mul_size(room, sizeof(Datum)), MCXT_ALLOC_HUGE);
	chunk->context =
		AllocSetContextCreate(state->context, "keys of targets", ALLOCSET_DEFAULT_SIZES);
}

/* Puts a profile's codes into its lane. */
static void
PackTarget(NearestState *state, int index, const ProfileView *view)
{
	uint8 *block = state->chunk.blocks + (Size) (index / KERNEL_LANES) * state->pairs * KERNEL_ROW;
	int lane = index % KERNEL_LANES;
	int natts = view->nscaled + view->ncoded + view->nsets;

	for (int slot = 0; slot < natts; slot++)
	{
		int place = KernelPlace(view->nscaled, slot);

		block[(place / 2) * KERNEL_ROW + 2 * lane + place % 2] = KernelCode(view, slot);
	}
	memcpy(state->chunk.bitmaps + (Size) index * state->bitmap_size, view->bitmaps,
		   state->bitmap_size);
}

/* Packs the next targets; false if there are none. */
static bool
NextChunk(NearestState *state)
{
	Chunk *chunk = &state->chunk;
	MemoryContext caller;

	chunk->first += chunk->ntargets;
	chunk->ntargets = 0;
	MemoryContextReset(chunk->context);
	/* an unused lane or attribute is missing */
	memset(chunk->blocks, CODE_MISSING, (Size) chunk->room * 2 * state->pairs);
	caller = MemoryContextSwitchTo(chunk->context);
	while (chunk->ntargets < chunk->room &&
		   tuplesort_gettupleslot(state->targets, true, false, state->target_slot, NULL))
	{
		ProfileView view;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(state->target_slot);
		OpenProfile(&view, state->target_slot->tts_values[1]);
		PackTarget(state, chunk->ntargets, &view);
		chunk->keys[chunk->ntargets++] = datumCopy(
			state->target_slot->tts_values[0], state->task.key_by_value, state->task.key_length);
	}
	MemoryContextSwitchTo(caller);
	return chunk->ntargets > 0;
}

static inline bool
OneChunkIsAll(const NearestState *state)
{
	return state->task.ntargets <= state->chunk.room;
}

/* ---------- the heap of a candidate ---------- */

/* True if a is farther than b: by distance, then by order of key. */
static inline bool
IsFarther(const Neighbour *a, const Neighbour *b)
{
	uint32 left = (uint32) a->num * b->den;
	uint32 right = (uint32) b->num * a->den;

	return left != right ? left > right : a->ordinal > b->ordinal;
}

static void
SiftDown(Neighbour *heap, int n, int i)
{
	Neighbour moved = heap[i];

	for (;;)
	{
		int child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && IsFarther(&heap[child + 1], &heap[child]))
			child++;
		if (!IsFarther(&heap[child], &moved))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moved;
}

static void
AddNeighbour(Candidate *candidate, int k, const Neighbour *neighbour)
{
	Neighbour *heap = candidate->heap;
	int i;

	if (candidate->found == k)
	{
		heap[0] = *neighbour;
		SiftDown(heap, k, 0);
		return;
	}
	i = candidate->found++;
	while (i > 0 && IsFarther(neighbour, &heap[(i - 1) / 2]))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = *neighbour;
}

/* ---------- candidates ---------- */

static void
PrepareQuery(NearestState *state, const Candidate *candidate)
{
	KernelQuery *query = state->query;
	const ProfileView *layout = &state->layout;
	int natts = layout->nscaled + layout->ncoded + layout->nsets;
	uint8 codes[2 * MAX_PAIRS];
	uint8 levels[2 * MAX_PAIRS];
	uint8 absent[2 * MAX_PAIRS];

	memset(codes, 0, sizeof(codes));
	memset(levels, 0, sizeof(levels));
	memset(absent, 0, sizeof(absent));
	for (int slot = 0; slot < natts; slot++)
	{
		int place = KernelPlace(layout->nscaled, slot);

		codes[place] = candidate->codes[slot];
		if (candidate->codes[slot] != CODE_MISSING)
			levels[place] = layout->levels[slot];
		/* where the candidate lacks it, a target that lacks it is not compared */
		if (codes[place] == ABSENT && slot < layout->nscaled + layout->ncoded &&
			IsAsymmetric(layout, slot))
			absent[place] = CODE_MISSING ^ ABSENT;
	}
	query->scaled_pairs = ScaledPairs(layout->nscaled);
	query->pairs = state->pairs;
	for (int p = 0; p < state->pairs; p++)
		for (int i = 0; i < 32; i += 2)
		{
			memcpy(&query->codes[p][i], &codes[2 * p], 2);
			memcpy(&query->levels[p][i], &levels[2 * p], 2);
			memcpy(&query->absent[p][i], &absent[2 * p], 2);
		}
}

/* Adds the contribution of sets to num, which kernels leave out; takes those off den that are empty
 * on both sides and asymmetric. */
static void
AddSets(const NearestState *state, const Candidate *candidate, int target, uint32 *num, uint32 *den)
{
	const ProfileView *layout = &state->layout;
	const uint8 *a = candidate->bitmaps;
	const uint8 *b = state->chunk.bitmaps + (Size) target * state->bitmap_size;
	const uint8 *block =
		state->chunk.blocks + (Size) (target / KERNEL_LANES) * state->pairs * KERNEL_ROW;

	for (int i = 0; i < layout->nsets; i++)
	{
		int slot = layout->nscaled + layout->ncoded + i;
		int place = KernelPlace(layout->nscaled, slot);

		if (candidate->codes[slot] != CODE_MISSING &&
			block[(place / 2) * KERNEL_ROW + 2 * (target % KERNEL_LANES) + place % 2] !=
				CODE_MISSING)
		{
			*num += JaccardDistance(a, b, layout->set_bytes[i], layout->levels[slot]);
			if (IsAsymmetric(layout, slot) && BitmapIsEmpty(a, layout->set_bytes[i]) &&
				BitmapIsEmpty(b, layout->set_bytes[i]))
				*den -= layout->levels[slot];
		}
		a += layout->set_bytes[i];
		b += layout->set_bytes[i];
	}
}

/* Runs a candidate over blocks of the chunk. */
static void
ScanBlocks(NearestState *state, Candidate *candidate, int from, int to)
{
	KernelHit hit;
	bool full = candidate->found == state->task.k;
	const Chunk *chunk = &state->chunk;

	for (int block = from;; block++)
	{
		uint32 threshold = 0;

		if (full)
		{
			const Neighbour *farthest = &candidate->heap[0];

			/* a later target enters only if it is nearer than this, and nothing is nearer than 0 */
			if (farthest->num == 0)
				return;
			threshold =
				Min(((uint32) farthest->num * 65536 + farthest->den - 1) / farthest->den, 65535);
		}
		block = state->kernel(state->query, chunk->blocks, block, to, (uint16) threshold,
							  full ? 0 : 65535, &hit);
		if (block >= to)
			return;
		for (uint32 lanes = hit.lanes; lanes != 0; lanes &= lanes - 1)
		{
			int lane = pg_rightmost_one_pos32(lanes);
			int target = block * KERNEL_LANES + lane;
			Neighbour neighbour;
			uint32 num = hit.num[lane];
			uint32 den = hit.den[lane];

			if (state->layout.nsets > 0)
				AddSets(state, candidate, target, &num, &den);
			if (den == 0)
				continue;
			neighbour.num = (uint16) num;
			neighbour.den = (uint16) den;
			neighbour.ordinal = chunk->first + target;
			if (full && !IsFarther(&candidate->heap[0], &neighbour))
				continue;
			neighbour.key = chunk->keys[target];
			AddNeighbour(candidate, state->task.k, &neighbour);
			full = candidate->found == state->task.k;
		}
	}
}

/* Copies the keys in heaps before their chunk is released. */
static void
KeepKeys(NearestState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->batch_context);

	for (int c = 0; c < state->ncandidates && !state->task.key_by_value; c++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < state->candidates[c].found; i++)
		{
			Neighbour *neighbour = &state->candidates[c].heap[i];

			if (neighbour->ordinal >= state->chunk.first)
				neighbour->key = datumCopy(neighbour->key, false, state->task.key_length);
		}
	}
	MemoryContextSwitchTo(caller);
}

/* Runs all candidates of the batch over the chunk, one cacheful at a time. */
static void
ScanChunk(NearestState *state)
{
	int blocks = (state->chunk.ntargets + KERNEL_LANES - 1) / KERNEL_LANES;
	int strip = Max(1, STRIP_BYTES / (state->pairs * KERNEL_ROW));

	for (int from = 0; from < blocks; from += strip)
		for (int c = 0; c < state->ncandidates; c++)
		{
			CHECK_FOR_INTERRUPTS();
			PrepareQuery(state, &state->candidates[c]);
			ScanBlocks(state, &state->candidates[c], from, Min(from + strip, blocks));
		}
}

/* The heap of a candidate as rows, the nearest first. */
static void
ReturnNeighbours(NearestState *state, Candidate *candidate)
{
	for (int n = candidate->found - 1; n > 0; n--)
	{
		Neighbour farthest = candidate->heap[0];

		candidate->heap[0] = candidate->heap[n];
		candidate->heap[n] = farthest;
		SiftDown(candidate->heap, n, 0);
	}
	for (int i = 0; i < candidate->found; i++)
	{
		const Neighbour *neighbour = &candidate->heap[i];
		Datum values[4];
		bool nulls[4] = {0};

		values[0] = candidate->key;
		values[1] = neighbour->key;
		values[2] = Int32GetDatum(i + 1);
		values[3] =
			Float8GetDatum((double) (neighbour->den - neighbour->num) / (double) neighbour->den);
		tuplestore_putvalues(state->result, state->result_columns, values, nulls);
	}
}

void
FinishBatch(NearestState *state)
{
	if (state->ncandidates == 0)
		return;
	if (OneChunkIsAll(state))
		ScanChunk(state);
	else
	{
		tuplesort_rescan(state->targets);
		state->chunk.first = state->chunk.ntargets = 0;
		while (NextChunk(state))
		{
			ScanChunk(state);
			KeepKeys(state);
		}
	}
	for (int c = 0; c < state->ncandidates; c++)
	{
		CHECK_FOR_INTERRUPTS();
		ReturnNeighbours(state, &state->candidates[c]);
	}
	state->ncandidates = 0;
	MemoryContextReset(state->batch_context);
}

bool
AddCandidate(NearestState *state, TupleTableSlot *slot)
{
	ProfileView view;
	Candidate *candidate;
	MemoryContext caller;
	int natts;

	if (!RowIsComplete(state, slot) || state->task.ntargets == 0)
		return false;
	OpenProfile(&view, slot->tts_values[1]);
	CheckLayout(state, &view, slot->tts_values[1]);

	caller = MemoryContextSwitchTo(state->batch_context);
	candidate = &state->candidates[state->ncandidates++];
	natts = view.nscaled + view.ncoded + view.nsets;
	candidate->key =
		datumCopy(slot->tts_values[0], state->task.key_by_value, state->task.key_length);
	candidate->codes = palloc(natts + state->bitmap_size);
	memcpy(candidate->codes, view.codes, natts + state->bitmap_size);
	for (int i = 0; i < natts; i++)
		candidate->codes[i] = KernelCode(&view, i);
	candidate->bitmaps = candidate->codes + natts;
	candidate->found = 0;
	candidate->heap = palloc(state->task.k * sizeof(Neighbour));
	MemoryContextSwitchTo(caller);
	return state->ncandidates == state->batch;
}

static bool
ReceiveCandidate(TupleTableSlot *slot, DestReceiver *self)
{
	NearestState *state = (NearestState *) self;

	if (AddCandidate(state, slot))
		FinishBatch(state);
	return true;
}

void
PrepareCandidates(NearestState *state)
{
	Size candidate_size = state->task.k * sizeof(Neighbour) + MAX_ATTRIBUTES;

	state->query = (KernelQuery *) TYPEALIGN(32, palloc0(sizeof(KernelQuery) + 32));
	state->batch = (int) Min(MAX_BATCH, get_hash_memory_limit() / 4 / candidate_size);
	state->batch = Max(state->batch, 16);
	state->candidates = palloc(state->batch * sizeof(Candidate));
	state->batch_context =
		AllocSetContextCreate(state->context, "candidates", ALLOCSET_DEFAULT_SIZES);
}

static void
RunCandidates(NearestState *state, const char *query)
{
	NearestPacking packing;
	bool in_memory = false;

	if (state->task.ntargets > 0)
	{
		MakeChunk(state);
		in_memory = OneChunkIsAll(state);
		if (in_memory)
			NextChunk(state);
	}
	PrepareCandidates(state);
	state->receiver.receiveSlot = ReceiveCandidate;
	InitNearestPacking(&packing, state);
	(void) RunQueryPacked(NEAREST_PROFILES, query, &state->receiver,
						  in_memory ? &packing.pub : NULL);
	ReportSkipped(state, "candidates");
	FinishBatch(state);
}

/* (key, candidates, targets, k, kernel) */
PG_FUNCTION_INFO_V1(nearest_profiles);
Datum
nearest_profiles(PG_FUNCTION_ARGS)
{
	NearestState *state;
	char *kernel = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the queries and k of nearest_profiles cannot be NULL")));
	InitMaterializedSRF(fcinfo, 0);
	state = palloc0(sizeof(NearestState));
	state->context = CurrentMemoryContext;
	state->result = ((ReturnSetInfo *) fcinfo->resultinfo)->setResult;
	state->result_columns = ((ReturnSetInfo *) fcinfo->resultinfo)->setDesc;
	InitReceiver(&state->receiver, NULL, ReceiverStartup);
	state->task.key_type = KeyArgumentType(fcinfo, 0, NEAREST_PROFILES);
	state->task.profile_type = ProfileType();
	get_typlenbyval(state->task.key_type, &state->task.key_length, &state->task.key_by_value);
	state->task.k = PG_GETARG_INT32(3);
	if (state->task.k < 1 || state->task.k > MAX_K)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("k must be 1 to %d, not %d", MAX_K, state->task.k)));
	state->kernel = ChooseDistanceKernel(kernel);
	if (state->kernel == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("there is no kernel \"%s\" on this machine", ShortString(kernel)),
						errhint("The kernels are avx512, avx2, sse2 (on x86) and portable; NULL "
								"takes the fastest.")));

	if (kernel != NULL)
		strlcpy(state->task.kernel, kernel, sizeof(state->task.kernel));
	CollectTargets(state, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	RunCandidates(state, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	tuplesort_end(state->targets);
	ExecDropSingleTupleTableSlot(state->target_slot);
	return (Datum) 0;
}
