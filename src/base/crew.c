/*
 * crew.c: pieces of a long computation, shared among this process and parallel workers.
 *
 * The workers are those of PostgreSQL's parallel queries: they have the leader's user, settings and
 * snapshot, their errors become the leader's, and they end with its transaction.
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm_impl.h"
#include "utils/builtins.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/crew.h"

#define MAX_CREW_PIECES 8 /* functions */
#define AREA_SIZE ((Size) 64 * 1024)

enum
{
	KEY_CREW = 1,
	KEY_AREA,
	KEY_INPUT /* and the following ones */
};

static struct
{
	const char *name;
	CrewPiece make;
} crew_pieces[MAX_CREW_PIECES];
static int ncrew_pieces = 0;

/* What the processes have in common. */
typedef struct SharedCrew
{
	char name[NAMEDATALEN];
	int groups;
	int npieces;
	pg_atomic_uint32 next; /* turn that nobody has taken */
	Size input_size[MAX_CREW_INPUTS];
	ConditionVariable made;
	pg_atomic_uint64 results[FLEXIBLE_ARRAY_MEMBER]; /* dsa_pointer; 0: not there yet */
} SharedCrew;

struct Crew
{
	MemoryContext context;
	CrewPiece make;
	CrewInput inputs[MAX_CREW_INPUTS];
	int groups;
	int npieces;
	void *own;
	bytea **results;    /* of a process alone */
	SharedCrew *shared; /* NULL: this process is alone */
	dsa_area *area;
	ParallelContext *workers; /* of the leader */
};

extern PGDLLEXPORT void crew_main(dsm_segment *segment, shm_toc *toc);

void
RegisterCrewPiece(const char *name, CrewPiece make)
{
	if (ncrew_pieces == MAX_CREW_PIECES)
		elog(ERROR, "too many functions for crews");
	crew_pieces[ncrew_pieces].name = name;
	crew_pieces[ncrew_pieces++].make = make;
}

static CrewPiece
CrewPieceNamed(const char *name)
{
	for (int i = 0; i < ncrew_pieces; i++)
		if (strcmp(crew_pieces[i].name, name) == 0)
			return crew_pieces[i].make;
	elog(ERROR, "no crew makes \"%s\"", name);
}

Size
SharedMemoryRoom(void)
{
	struct statvfs shared;

	/* elsewhere it is no file system with a size of its own */
	if (dynamic_shared_memory_type != DSM_IMPL_POSIX || statvfs("/dev/shm", &shared) != 0)
		return MaxAllocHugeSize;
	return (Size) shared.f_bavail * shared.f_frsize;
}

/* ---------- results ---------- */

static void
PutResult(Crew *crew, int number, const bytea *result)
{
	Size size = VARSIZE(result);
	dsa_pointer place;

	if (crew->shared == NULL)
	{
		crew->results[number] = MemoryContextAllocHuge(crew->context, size);
		memcpy(crew->results[number], result, size);
		return;
	}
	place = dsa_allocate_extended(crew->area, size, DSA_ALLOC_HUGE);
	memcpy(dsa_get_address(crew->area, place), result, size);
	pg_write_barrier();
	pg_atomic_write_u64(&crew->shared->results[number], place);
	ConditionVariableBroadcast(&crew->shared->made);
}

void
GiveToCrew(Crew *crew, int n, const bytea *result)
{
	PutResult(crew, crew->npieces + n, result);
}

const bytea *
CrewResult(Crew *crew, int number)
{
	dsa_pointer place;

	if (crew->shared == NULL)
		return crew->results[number];
	while ((place = pg_atomic_read_u64(&crew->shared->results[number])) == InvalidDsaPointer)
		ConditionVariableSleep(&crew->shared->made, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	return dsa_get_address(crew->area, place);
}

bytea *
CrewBytes(const void *data, Size size)
{
	bytea *bytes = palloc(VARHDRSZ + size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	if (size > 0)
		memcpy(VARDATA(bytes), data, size);
	return bytes;
}

void **
CrewOwn(Crew *crew)
{
	return &crew->own;
}

MemoryContext
CrewContext(const Crew *crew)
{
	return crew->context;
}

bool
CrewIsAlone(const Crew *crew)
{
	return crew->shared == NULL;
}

/* The piece whose turn it is; -1: none is left. */
static int
NextPiece(Crew *crew, int turn)
{
	if (crew->shared != NULL)
		turn = (int) pg_atomic_fetch_add_u32(&crew->shared->next, 1);
	if (turn >= crew->npieces)
		return -1;
	if (crew->shared == NULL)
		return turn;
	/* the first of each group, then the second of each */
	return turn % crew->groups * (crew->npieces / crew->groups) + turn / crew->groups;
}

/* Makes pieces until none are left. */
static void
MakePieces(Crew *crew)
{
	MemoryContext piece_context =
		AllocSetContextCreate(crew->context, "piece of a crew", ALLOCSET_DEFAULT_SIZES);
	int turn = 0;
	int piece;

	while ((piece = NextPiece(crew, turn++)) >= 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(piece_context);

		CHECK_FOR_INTERRUPTS();
		PutResult(crew, piece, crew->make(crew, crew->inputs, piece));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(piece_context);
	}
	MemoryContextDelete(piece_context);
}

/* ---------- the leader ---------- */

/* The library that has the calling function, as the catalogue names it. */
static char *
CallersLibrary(FunctionCallInfo fcinfo)
{
	Oid function = fcinfo->flinfo->fn_oid;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool isnull;
	char *library;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	library = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull));
	ReleaseSysCache(tuple);
	return library;
}

/* How many workers to ask for. */
static int
WorkersWanted(int pieces, Size size, double cost)
{
	if (IsParallelWorker() || !ActiveSnapshotSet() || cost < parallel_setup_cost ||
		/* the results need some, too */
		SharedMemoryRoom() / 2 < size)
		return 0;
	return Min(max_parallel_workers_per_gather, pieces);
}

/* Puts what is shared into shared memory. */
static void
ShareCrew(Crew *crew, shm_toc *toc, dsm_segment *segment, const char *name, Size shared_size,
		  int nresults)
{
	SharedCrew *shared = shm_toc_allocate(toc, shared_size);
	void *area = shm_toc_allocate(toc, AREA_SIZE);

	strlcpy(shared->name, name, NAMEDATALEN);
	shared->groups = crew->groups;
	shared->npieces = crew->npieces;
	pg_atomic_init_u32(&shared->next, 0);
	ConditionVariableInit(&shared->made);
	for (int i = 0; i < nresults; i++)
		pg_atomic_init_u64(&shared->results[i], InvalidDsaPointer);
	shm_toc_insert(toc, KEY_CREW, shared);
	for (int i = 0; i < MAX_CREW_INPUTS; i++)
	{
		void *input;

		shared->input_size[i] = crew->inputs[i].size;
		if (crew->inputs[i].size == 0)
			continue;
		input = shm_toc_allocate(toc, crew->inputs[i].size);
		memcpy(input, crew->inputs[i].bytes, crew->inputs[i].size);
		shm_toc_insert(toc, KEY_INPUT + i, input);
	}
	crew->area = dsa_create_in_place(area, AREA_SIZE, LWTRANCHE_PARALLEL_QUERY_DSA, segment);
	shm_toc_insert(toc, KEY_AREA, area);
	crew->shared = shared;
}

/* Launches workers, if there is shared memory for them; without any the leader remains alone. */
static void
LaunchWorkers(Crew *crew, FunctionCallInfo fcinfo, const char *name, int nresults, int nworkers)
{
	Size shared_size =
		add_size(offsetof(SharedCrew, results), mul_size(nresults, sizeof(pg_atomic_uint64)));
	ParallelContext *workers;

	EnterParallelMode();
	crew->workers = workers = CreateParallelContext(CallersLibrary(fcinfo), "crew_main", nworkers);
	shm_toc_estimate_chunk(&workers->estimator, shared_size);
	shm_toc_estimate_chunk(&workers->estimator, AREA_SIZE);
	for (int i = 0; i < MAX_CREW_INPUTS; i++)
		shm_toc_estimate_chunk(&workers->estimator, crew->inputs[i].size);
	shm_toc_estimate_keys(&workers->estimator, 2 + MAX_CREW_INPUTS);
	InitializeParallelDSM(workers);
	if (workers->seg == NULL)
		return;
	ShareCrew(crew, workers->toc, workers->seg, name, shared_size, nresults);
	LaunchParallelWorkers(workers);
}

Crew *
StartCrew(FunctionCallInfo fcinfo, const char *name, const CrewInput *inputs, int groups,
		  int group_pieces, int ngiven, double cost)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "crew", ALLOCSET_DEFAULT_SIZES);
	Crew *crew = MemoryContextAllocZero(context, sizeof(Crew));
	int npieces = groups * group_pieces;
	Size size = 0;
	int nworkers;

	crew->context = context;
	crew->make = CrewPieceNamed(name);
	crew->groups = groups;
	crew->npieces = npieces;
	crew->results = MemoryContextAllocZero(context, (npieces + ngiven) * sizeof(bytea *));
	memcpy(crew->inputs, inputs, sizeof(crew->inputs));
	for (int i = 0; i < MAX_CREW_INPUTS; i++)
		size = add_size(size, inputs[i].size);
	/* a leader that has nothing else to do takes a share */
	nworkers = WorkersWanted(npieces - (ngiven == 0), size, cost);
	if (nworkers > 0)
		LaunchWorkers(crew, fcinfo, name, npieces + ngiven, nworkers);
	return crew;
}

void
JoinCrew(Crew *crew)
{
	MakePieces(crew);
}

void
EndCrew(Crew *crew)
{
	if (crew->workers != NULL)
	{
		WaitForParallelWorkersToFinish(crew->workers);
		if (crew->area != NULL)
			dsa_detach(crew->area);
		DestroyParallelContext(crew->workers);
		ExitParallelMode();
	}
	MemoryContextDelete(crew->context);
}

/* ---------- a worker ---------- */

void
crew_main(dsm_segment *segment, shm_toc *toc)
{
	Crew crew = {.context = CurrentMemoryContext};

	crew.shared = shm_toc_lookup(toc, KEY_CREW, false);
	crew.make = CrewPieceNamed(crew.shared->name);
	crew.groups = crew.shared->groups;
	crew.npieces = crew.shared->npieces;
	for (int i = 0; i < MAX_CREW_INPUTS; i++)
		crew.inputs[i] = (CrewInput){.bytes = shm_toc_lookup(toc, KEY_INPUT + i, true),
									 .size = crew.shared->input_size[i]};
	crew.area = dsa_attach_in_place(shm_toc_lookup(toc, KEY_AREA, false), segment);
	MakePieces(&crew);
	dsa_detach(crew.area);
}
