/*
 * audience.c: the control group of an audience.
 *
 * Customers are in the order of a hash of seed and key, which anybody can compute; the first ones
 * of each stratum are its control group.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "rfm/integer_list.h"

#define STRATA_AT_A_TIME 16 /* groups that share work_mem: a dozen, not all of them large */

typedef struct ControlState
{
	IntegerList hashes;
	int64 min;
	int64 max;
	double share;
	int64 stratum_hash;
} ControlState;

/* The hash of the stratum decides on the part of a customer: a group has its share on average. */
static int64
ControlCount(int64 customers, double share, int64 stratum_hash)
{
	double part = ldexp((double) (uint64) stratum_hash, -64);

	return Min((int64) floor(customers * share + part), customers);
}

/* (customers, share, hash of the stratum) */
PG_FUNCTION_INFO_V1(control_count);
Datum
control_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ControlCount(PG_GETARG_INT64(0), PG_GETARG_FLOAT8(1), PG_GETARG_INT64(2)));
}

/* (seed, key): the first eight bytes of the SHA-256 of "seed:key", as a bigint */
PG_FUNCTION_INFO_V1(audience_hash);
Datum
audience_hash(PG_FUNCTION_ARGS)
{
	text *seed = PG_GETARG_TEXT_PP(0);
	text *key = PG_GETARG_TEXT_PP(1);
	Size seed_size = VARSIZE_ANY_EXHDR(seed);
	Size key_size = VARSIZE_ANY_EXHDR(key);
	char shorter[256];
	char *bytes = shorter;
	uint64 hash;

	if (seed_size + key_size + 1 > sizeof(shorter))
		bytes = palloc(seed_size + key_size + 1);
	memcpy(bytes, VARDATA_ANY(seed), seed_size);
	bytes[seed_size] = ':';
	memcpy(bytes + seed_size + 1, VARDATA_ANY(key), key_size);
	hash = StableHash64(bytes, seed_size + key_size + 1);
	if (bytes != shorter)
		pfree(bytes);
	PG_RETURN_INT64((int64) hash);
}

/* (state, hash, share, hash of the stratum) */
PG_FUNCTION_INFO_V1(control_limit_transfn);
Datum
control_limit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "control_limit_transfn");
	ControlState *state = PG_ARGISNULL(0) ? NULL : (ControlState *) PG_GETARG_POINTER(0);
	int64 hash;

	if (state == NULL)
	{
		state = MemoryContextAlloc(context, sizeof(ControlState));
		InitIntegerList(&state->hashes, context, IntegerListLimit(STRATA_AT_A_TIME));
		OwnIntegerList(fcinfo, &state->hashes);
		state->min = PG_INT64_MAX;
		state->max = PG_INT64_MIN;
		state->share = PG_GETARG_FLOAT8(2);
		state->stratum_hash = PG_GETARG_INT64(3);
	}
	hash = PG_GETARG_INT64(1);
	state->min = Min(state->min, hash);
	state->max = Max(state->max, hash);
	AddInteger(&state->hashes, hash);
	PG_RETURN_POINTER(state);
}

/* The largest hash of the control group; NULL if nobody is in it. */
PG_FUNCTION_INFO_V1(control_limit_finalfn);
Datum
control_limit_finalfn(PG_FUNCTION_ARGS)
{
	ControlState *state = PG_ARGISNULL(0) ? NULL : (ControlState *) PG_GETARG_POINTER(0);
	int64 customers = state == NULL ? 0 : state->hashes.in_file + state->hashes.nvalues;
	int64 rank;
	int64 limit;

	(void) AggregateContext(fcinfo, "control_limit_finalfn");
	if (customers == 0)
		PG_RETURN_NULL();
	rank = ControlCount(customers, state->share, state->stratum_hash) - 1;
	if (rank < 0)
		PG_RETURN_NULL();
	IntegersAtRanks(&state->hashes, state->min, state->max, &rank, 1, &limit);
	PG_RETURN_INT64(limit);
}
