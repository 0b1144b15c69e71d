/*
 * audience.c: drawing the control group of an audience.
 *
 * Customers are in the order of a hash of seed and key, which anybody can compute; the first ones
 * of each stratum are its control group.  The customers wait in a tuplestore, the hashes of each
 * stratum in a list of integers, until all are known; both go to files beyond work_mem.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/caller_query.h"
#include "base/common.h"
#include "base/row_stream.h"
#include "rfm/integer_list.h"
#include "source/audience.h"

#define STRATA_AT_A_TIME 16 /* lists that share work_mem: a dozen, not all of them large */
#define WAITING_COLUMNS 3   /* customer, stratum, hash */

typedef struct Stratum
{
	text *name;
	IntegerList hashes;
	int64 min;
	int64 max;
	int64 customers;
	int64 control;
	int64 limit; /* the largest hash of the control group; only if there is one */
} Stratum;

typedef struct Audience
{
	DestReceiver pub;
	MemoryContext context;
	text *seed;
	struct pg_cryptohash_ctx *hashing; /* while the rows of the query come */
	Stratum *strata;
	int nstrata;
	int room;
	int last; /* stratum of the row before */
	TupleDesc desc;
	Tuplestorestate *waiting;
	TupleTableSlot *slot;
	text *treated;
	text *control;
} Audience;

/* ---------- the recipe ---------- */

/* The first eight bytes of the SHA-256 of seed:key. */
static int64
AudienceHash(struct pg_cryptohash_ctx *hashing, const text *seed, const char *key, Size key_size)
{
	Size seed_size = VARSIZE_ANY_EXHDR(seed);
	char shorter[256];
	char *bytes = shorter;
	uint64 hash;

	if (seed_size + key_size + 1 > sizeof(shorter))
		bytes = palloc(seed_size + key_size + 1);
	memcpy(bytes, VARDATA_ANY(seed), seed_size);
	bytes[seed_size] = ':';
	memcpy(bytes + seed_size + 1, key, key_size);
	hash = NextStableHash64(hashing, bytes, seed_size + key_size + 1);
	if (bytes != shorter)
		pfree(bytes);
	return (int64) hash;
}

/* The hash of the stratum decides on the part of a customer: a group has its share on average. */
static int64
ControlCount(const text *seed, const text *stratum, int64 customers, double share)
{
	struct pg_cryptohash_ctx *hashing = BeginStableHash64();
	char *key = psprintf(":%s", text_to_cstring(stratum));
	double part = ldexp((double) (uint64) AudienceHash(hashing, seed, key, strlen(key)), -64);

	pg_cryptohash_free(hashing);
	return Min((int64) floor(customers * share + part), customers);
}

/* (seed, stratum, customers, share): for tests of the recipe */
PG_FUNCTION_INFO_V1(control_count);
Datum
control_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ControlCount(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1), PG_GETARG_INT64(2),
								 PG_GETARG_FLOAT8(3)));
}

/* ---------- the rows of the query ---------- */

static bool
SameText(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* The number of the stratum, which is a new one if it has not been seen. */
static int
StratumNumber(Audience *audience, const text *name)
{
	MemoryContext caller;
	Stratum *stratum;

	if (audience->nstrata > 0 && SameText(audience->strata[audience->last].name, name))
		return audience->last;
	for (int i = 0; i < audience->nstrata; i++)
		if (SameText(audience->strata[i].name, name))
			return audience->last = i;
	caller = MemoryContextSwitchTo(audience->context);
	if (audience->nstrata == audience->room)
	{
		audience->room *= 2;
		audience->strata = repalloc(audience->strata, audience->room * sizeof(Stratum));
	}
	stratum = &audience->strata[audience->nstrata];
	*stratum = (Stratum){.min = PG_INT64_MAX, .max = PG_INT64_MIN};
	stratum->name = cstring_to_text_with_len(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	InitIntegerList(&stratum->hashes, audience->context, IntegerListLimit(STRATA_AT_A_TIME));
	MemoryContextSwitchTo(caller);
	return audience->last = audience->nstrata++;
}

static void
Startup(DestReceiver *self, int operation, TupleDesc columns)
{
	CheckColumnCount(columns, 2, "customer, stratum");
	for (int attno = 1; attno <= 2; attno++)
		if (TupleDescAttr(columns, attno - 1)->atttypid != TEXTOID)
			ColumnTypeRefused(columns, attno, "customer or stratum", "text", NULL);
}

static bool
ReceiveRow(TupleTableSlot *slot, DestReceiver *self)
{
	Audience *audience = (Audience *) self;
	Datum values[WAITING_COLUMNS];
	bool nulls[WAITING_COLUMNS] = {false};
	text *customer;
	Stratum *stratum;
	int64 hash;
	int number;

	slot_getsomeattrs(slot, 2);
	if (slot->tts_isnull[0] || slot->tts_isnull[1])
		return true;
	customer = DatumGetTextPP(slot->tts_values[0]);
	number = StratumNumber(audience, DatumGetTextPP(slot->tts_values[1]));
	stratum = &audience->strata[number];
	hash = AudienceHash(audience->hashing, audience->seed, VARDATA_ANY(customer),
						VARSIZE_ANY_EXHDR(customer));
	stratum->customers++;
	stratum->min = Min(stratum->min, hash);
	stratum->max = Max(stratum->max, hash);
	AddInteger(&stratum->hashes, hash);
	values[0] = PointerGetDatum(customer);
	values[1] = Int32GetDatum(number);
	values[2] = Int64GetDatum(hash);
	tuplestore_putvalues(audience->waiting, audience->desc, values, nulls);
	return true;
}

/* ---------- the draw ---------- */

/* Finds where the control group of each stratum ends. */
static void
DrawControl(Audience *audience, double share)
{
	for (int i = 0; i < audience->nstrata; i++)
	{
		Stratum *stratum = &audience->strata[i];
		int64 rank;

		stratum->control = ControlCount(audience->seed, stratum->name, stratum->customers, share);
		rank = stratum->control - 1;
		if (rank >= 0)
			IntegersAtRanks(&stratum->hashes, stratum->min, stratum->max, &rank, 1,
							&stratum->limit);
		FreeIntegerList(&stratum->hashes);
	}
}

/* Tells what the audience can show. */
static void
TellAudience(const Audience *audience, double base_rate)
{
	Oid types[4] = {INT8OID, INT8OID, INT8OID, FLOAT8OID};
	Datum values[4];
	int64 customers = 0;
	int64 control = 0;

	for (int i = 0; i < audience->nstrata; i++)
	{
		customers += audience->strata[i].customers;
		control += audience->strata[i].control;
	}
	values[0] = Int64GetDatum(customers - control);
	values[1] = Int64GetDatum(control);
	values[2] = Int64GetDatum(audience->nstrata);
	values[3] = Float8GetDatum(base_rate);
	SPI_connect();
	if (SPI_execute_with_args("SELECT crm_profile_internal.tell_audience($1, $2, $3, $4)", 4, types,
							  values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not tell about the audience");
	SPI_finish();
}

static bool
NextCustomer(void *state, Datum *values, bool *nulls)
{
	Audience *audience = (Audience *) state;
	/* the slot frees a tuple that was read from a file when the next one comes */
	MemoryContext caller = MemoryContextSwitchTo(audience->context);
	bool found = tuplestore_gettupleslot(audience->waiting, true, false, audience->slot);
	const Stratum *stratum;

	MemoryContextSwitchTo(caller);
	if (!found)
		return false;
	slot_getallattrs(audience->slot);
	stratum = &audience->strata[DatumGetInt32(audience->slot->tts_values[1])];
	values[0] = audience->slot->tts_values[0];
	values[1] = PointerGetDatum(
		stratum->control > 0 && DatumGetInt64(audience->slot->tts_values[2]) <= stratum->limit
			? audience->control
			: audience->treated);
	values[2] = PointerGetDatum(stratum->name);
	nulls[0] = nulls[1] = nulls[2] = false;
	return true;
}

static void
EndAudience(void *state)
{
	Audience *audience = (Audience *) state;

	ExecDropSingleTupleTableSlot(audience->slot);
	tuplestore_end(audience->waiting);
}

/* (query of customer and stratum, control_share, seed, base_rate) */
static void
StartDraw(FunctionCallInfo fcinfo, RowStream *rows)
{
	Audience *audience = palloc0(sizeof(Audience));

	InitReceiver(&audience->pub, ReceiveRow, Startup);
	audience->context = CurrentMemoryContext;
	audience->seed = PG_GETARG_TEXT_P_COPY(2);
	audience->room = STRATA_AT_A_TIME;
	audience->strata = palloc(audience->room * sizeof(Stratum));
	audience->treated = cstring_to_text("treated");
	audience->control = cstring_to_text("control");
	audience->desc = CreateTemplateTupleDesc(WAITING_COLUMNS);
	TupleDescInitEntry(audience->desc, 1, "customer", TEXTOID, -1, 0);
	TupleDescInitEntry(audience->desc, 2, "stratum", INT4OID, -1, 0);
	TupleDescInitEntry(audience->desc, 3, "hash", INT8OID, -1, 0);
	audience->waiting = tuplestore_begin_heap(false, false, work_mem);
	audience->slot = MakeSingleTupleTableSlot(audience->desc, &TTSOpsMinimalTuple);
	audience->hashing = BeginStableHash64();
	RunQuery("select_audience", QueryArgument(fcinfo, 0, "select_audience"), &audience->pub);
	pg_cryptohash_free(audience->hashing);
	DrawControl(audience, PG_GETARG_FLOAT8(1));
	TellAudience(audience, PG_GETARG_FLOAT8(3));
	rows->state = audience;
	rows->next = NextCustomer;
	rows->end = EndAudience;
}

PG_FUNCTION_INFO_V1(draw_audience);
Datum
draw_audience(PG_FUNCTION_ARGS)
{
	return ReturnRowStream(fcinfo, StartDraw);
}

void
InitAudience(void)
{
	RegisterRowStream(draw_audience, StartDraw, NULL, NULL, EXPLAINS_NOTHING);
}
