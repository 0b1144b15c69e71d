/*
 * nearest.h: what the search for the nearest profiles has in common with its workers.
 */
#ifndef CRM_NEAREST_H
#define CRM_NEAREST_H

#include "funcapi.h"
#include "tcop/dest.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "base/caller_query.h"
#include "profile/distance_kernels.h"
#include "profile/profile.h"

#define NEAREST_PROFILES "nearest_profiles"

/* A target in a candidate's heap; the farthest is at the root. */
typedef struct Neighbour
{
	uint16 num;
	uint16 den;
	int64 ordinal; /* position among the targets in order of key */
	Datum key;     /* lives in the chunk until the chunk is released */
} Neighbour;

typedef struct Candidate
{
	Datum key;
	uint8 *codes;
	uint8 *bitmaps;
	int found; /* neighbours in the heap */
	Neighbour *heap;
} Candidate;

/* Targets in memory. */
typedef struct Chunk
{
	int64 first; /* ordinal of target 0 */
	int ntargets;
	int room;
	uint8 *blocks;
	uint8 *bitmaps; /* bitmap_size bytes per target */
	Datum *keys;
	MemoryContext context; /* of the keys */
} Chunk;

/* What is asked; plain bytes, so that workers can be told. */
typedef struct NearestTask
{
	Oid key_type;
	Oid profile_type;
	int16 key_length;
	bool key_by_value;
	int k;
	char kernel[16]; /* empty: the fastest */
	int64 ntargets;
} NearestTask;

typedef struct NearestState
{
	DestReceiver receiver; /* must be first */
	MemoryContext context;
	NearestTask task;
	bool check_domain;  /* of the keys of the running query */
	void *domain_extra; /* of CheckKeyDomain */
	DistanceKernel kernel;
	Tuplestorestate *result; /* candidate, target, rank, similarity */
	TupleDesc result_columns;
	int64 skipped; /* rows of the running query without key or profile */

	/* the layout of all profiles, from the first target */
	struct varlena *first; /* that target; NULL: there is none */
	ProfileView layout;    /* of it */
	int bitmap_size;
	int pairs;

	Tuplesortstate *targets;
	TupleTableSlot *target_slot;
	Chunk chunk;
	KernelQuery *query;

	Candidate *candidates;
	int ncandidates;
	int batch;
	MemoryContext batch_context;
} NearestState;

/* Makes room for a batch of candidates, in the current memory context. */
extern void PrepareCandidates(NearestState *state);

/* Takes the layout from a profile, or checks that it has the same. */
extern void CheckLayout(NearestState *state, const ProfileView *view, Datum profile);

/* Checks the columns of a query of keys and profiles. */
extern void CheckNearestColumns(NearestState *state, TupleDesc columns);

/* Adds a row of the query to the batch; true if that is full now. */
extern bool AddCandidate(NearestState *state, TupleTableSlot *slot);

/* Finds the neighbours of all candidates of the batch, and puts them into the result. */
extern void FinishBatch(NearestState *state);

/* How workers take a share of the candidates; to be used while all targets are in memory. */
typedef struct NearestPacking
{
	RowPacking pub; /* must be first */
	DestReceiver receiver;
	NearestState *state;
} NearestPacking;

extern void InitNearestPacking(NearestPacking *packing, NearestState *state);
extern void InitNearestWorkers(void);

#endif /* CRM_NEAREST_H */
