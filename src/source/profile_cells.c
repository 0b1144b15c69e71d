/*
 * profile_cells.c: customers counted by lifecycle, value and scores at once, and a sample of their
 * keys, both in one pass over a million rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/numeric_bytes.h"

/* ---------- cells ---------- */

#define MAX_LIFECYCLES 16 /* there are seven, and none */

typedef struct ProfileCell
{
	uint32 key; /* lifecycle, decile and scores, a byte each */
	char status;
	int64 customers;
	int64 buyers;
	int64 repeaters;
	int64 counted;
	int64 m_scores;  /* their sum */
	int128 monetary; /* in units of 10^-MAX_SCALE */
	int scale;       /* largest display scale of the amounts, as sum() has it */
} ProfileCell;

#define SH_PREFIX profiles
#define SH_ELEMENT_TYPE ProfileCell
#define SH_KEY_TYPE uint32
#define SH_KEY key
#define SH_HASH_KEY(table, key) ((uint32) MixHash64(key))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct ProfileState
{
	MemoryContext context;
	profiles_hash *cells;
	int nlifecycles;
	text *lifecycles[MAX_LIFECYCLES];
} ProfileState;

static ProfileState *
ProfileStateOf(FunctionCallInfo fcinfo, MemoryContext context)
{
	ProfileState *state;

	if (!PG_ARGISNULL(0))
		return (ProfileState *) PG_GETARG_POINTER(0);
	state = MemoryContextAllocZero(context, sizeof(ProfileState));
	state->context = context;
	state->cells = profiles_create(context, 256, NULL);
	return state;
}

/* The number of a lifecycle, from 1. */
static uint32
LifecycleNumber(ProfileState *state, const char *word, int length)
{
	MemoryContext caller;

	for (int i = 0; i < state->nlifecycles; i++)
		if (VARSIZE_ANY_EXHDR(state->lifecycles[i]) == length &&
			memcmp(VARDATA_ANY(state->lifecycles[i]), word, length) == 0)
			return i + 1;
	if (state->nlifecycles == MAX_LIFECYCLES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("more than %d lifecycles", MAX_LIFECYCLES)));
	caller = MemoryContextSwitchTo(state->context);
	state->lifecycles[state->nlifecycles++] = cstring_to_text_with_len(word, length);
	MemoryContextSwitchTo(caller);
	return state->nlifecycles;
}

static ProfileCell *
FindProfileCell(ProfileState *state, uint32 key)
{
	bool found;
	ProfileCell *cell = profiles_insert(state->cells, key, &found);

	if (!found)
	{
		cell->customers = cell->buyers = cell->repeaters = cell->counted = cell->m_scores = 0;
		cell->monetary = 0;
		cell->scale = 0;
	}
	return cell;
}

/* An amount in units of 10^-MAX_SCALE; one that is too large for a Decimal in two parts. */
static int128
AmountOf(Datum amount)
{
	Decimal decimal;
	int64 usual;
	Datum unit;
	Datum high;
	Datum low;

	if (UsualAmount(amount, USUAL_SCALE, &usual))
		return (int128) usual * PowerOfTen[MAX_SCALE - USUAL_SCALE];
	if (ReadDecimal(amount, &decimal) == AMOUNT_FINE)
		return (int128) decimal.mantissa * PowerOfTen[MAX_SCALE - decimal.scale];
	unit = DirectFunctionCall1(int8_numeric, Int64GetDatum(PowerOfTen[12]));
	high = DirectFunctionCall2(numeric_div_trunc, amount, unit);
	low = DirectFunctionCall2(numeric_sub, amount, DirectFunctionCall2(numeric_mul, high, unit));
	decimal = DecimalFromNumeric(low, "amount");
	return (int128) DatumGetInt64(DirectFunctionCall1(numeric_int8, high)) * PowerOfTen[12] *
			   PowerOfTen[MAX_SCALE] +
		   (int128) decimal.mantissa * PowerOfTen[MAX_SCALE - decimal.scale];
}

static void
AddToMonetary(ProfileCell *cell, int128 amount)
{
	if (__builtin_add_overflow(cell->monetary, amount, &cell->monetary))
		AmountOutOfRange();
}

static inline uint32
SmallNumber(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? 0 : (uint8) PG_GETARG_INT32(argument);
}

/*
 * (state, lifecycle, value_decile, r_score, f_score, m_score, first_purchase, frequency,
 * monetary)
 */
PG_FUNCTION_INFO_V1(profile_cells_transfn);
Datum
profile_cells_transfn(PG_FUNCTION_ARGS)
{
	ProfileState *state = ProfileStateOf(fcinfo, AggregateContext(fcinfo, "profile_cells_transfn"));
	uint32 lifecycle = 0;
	ProfileCell *cell;

	if (!PG_ARGISNULL(1))
	{
		text *word = PG_GETARG_TEXT_PP(1);

		lifecycle = LifecycleNumber(state, VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word));
	}
	cell = FindProfileCell(state, lifecycle << 24 | SmallNumber(fcinfo, 2) << 16 |
									  SmallNumber(fcinfo, 3) << 8 | SmallNumber(fcinfo, 4));
	cell->customers++;
	cell->m_scores += SmallNumber(fcinfo, 5);
	cell->buyers += !PG_ARGISNULL(6);
	if (!PG_ARGISNULL(7))
	{
		cell->repeaters += PG_GETARG_INT64(7) > 1;
		cell->counted += PG_GETARG_INT64(7) > 0;
	}
	if (!PG_ARGISNULL(8))
	{
		AddToMonetary(cell, AmountOf(PG_GETARG_DATUM(8)));
		cell->scale =
			Max(cell->scale, DatumGetInt32(DirectFunctionCall1(numeric_scale, PG_GETARG_DATUM(8))));
	}
	PG_RETURN_POINTER(state);
}

/* Adds a cell of another state, which numbers lifecycles otherwise. */
static void
AddProfileCell(ProfileState *state, const ProfileCell *other, const uint32 *lifecycles)
{
	ProfileCell *cell =
		FindProfileCell(state, lifecycles[other->key >> 24] << 24 | (other->key & 0xffffff));

	cell->customers += other->customers;
	cell->buyers += other->buyers;
	cell->repeaters += other->repeaters;
	cell->counted += other->counted;
	cell->m_scores += other->m_scores;
	AddToMonetary(cell, other->monetary);
	cell->scale = Max(cell->scale, other->scale);
}

PG_FUNCTION_INFO_V1(profile_cells_combine);
Datum
profile_cells_combine(PG_FUNCTION_ARGS)
{
	ProfileState *state = ProfileStateOf(fcinfo, AggregateContext(fcinfo, "profile_cells_combine"));
	ProfileState *other = PG_ARGISNULL(1) ? NULL : (ProfileState *) PG_GETARG_POINTER(1);
	uint32 lifecycles[MAX_LIFECYCLES + 1] = {0};
	profiles_iterator iterator;
	ProfileCell *cell;

	if (other == NULL)
		PG_RETURN_POINTER(state);
	for (int i = 0; i < other->nlifecycles; i++)
		lifecycles[i + 1] = LifecycleNumber(state, VARDATA_ANY(other->lifecycles[i]),
											VARSIZE_ANY_EXHDR(other->lifecycles[i]));
	profiles_start_iterate(other->cells, &iterator);
	while ((cell = profiles_iterate(other->cells, &iterator)) != NULL)
		AddProfileCell(state, cell, lifecycles);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(profile_cells_serialize);
Datum
profile_cells_serialize(PG_FUNCTION_ARGS)
{
	ProfileState *state = (ProfileState *) PG_GETARG_POINTER(0);
	profiles_iterator iterator;
	ProfileCell *cell;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "profile_cells_serialize");
	pq_begintypsend(&out);
	pq_sendint32(&out, state->nlifecycles);
	for (int i = 0; i < state->nlifecycles; i++)
	{
		pq_sendint32(&out, VARSIZE_ANY_EXHDR(state->lifecycles[i]));
		pq_sendbytes(&out, VARDATA_ANY(state->lifecycles[i]),
					 VARSIZE_ANY_EXHDR(state->lifecycles[i]));
	}
	profiles_start_iterate(state->cells, &iterator);
	while ((cell = profiles_iterate(state->cells, &iterator)) != NULL)
		pq_sendbytes(&out, (const char *) cell, sizeof(ProfileCell));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(profile_cells_deserialize);
Datum
profile_cells_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	uint32 lifecycles[MAX_LIFECYCLES + 1];
	ProfileState *state = palloc0(sizeof(ProfileState));
	StringInfoData in;
	int n;

	(void) AggregateContext(fcinfo, "profile_cells_deserialize");
	state->context = CurrentMemoryContext;
	state->cells = profiles_create(CurrentMemoryContext, 256, NULL);
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	n = pq_getmsgint(&in, 4);
	for (int i = 0; i < n; i++)
	{
		int length = pq_getmsgint(&in, 4);

		(void) LifecycleNumber(state, pq_getmsgbytes(&in, length), length);
	}
	for (int i = 0; i <= MAX_LIFECYCLES; i++)
		lifecycles[i] = i;
	while (in.cursor < in.len)
	{
		ProfileCell cell;

		memcpy(&cell, pq_getmsgbytes(&in, sizeof(cell)), sizeof(cell));
		AddProfileCell(state, &cell, lifecycles);
	}
	PG_RETURN_POINTER(state);
}

/* An array of report_cell. */
PG_FUNCTION_INFO_V1(profile_cells_finalfn);
Datum
profile_cells_finalfn(PG_FUNCTION_ARGS)
{
	ProfileState *state = PG_ARGISNULL(0) ? NULL : (ProfileState *) PG_GETARG_POINTER(0);
	profiles_iterator iterator;
	ProfileCell *cell;
	RowArray rows;

	(void) AggregateContext(fcinfo, "profile_cells_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	BeginRowArray(fcinfo, &rows);
	profiles_start_iterate(state->cells, &iterator);
	while ((cell = profiles_iterate(state->cells, &iterator)) != NULL)
	{
		int lifecycle = cell->key >> 24;
		int decile = cell->key >> 16 & 255;
		int r = cell->key >> 8 & 255;
		int f = cell->key & 255;
		int scale = Min(cell->scale, MAX_SCALE);
		Datum values[10] = {
			lifecycle == 0 ? (Datum) 0 : PointerGetDatum(state->lifecycles[lifecycle - 1]),
			Int32GetDatum(decile),
			Int32GetDatum(r),
			Int32GetDatum(f),
			Int64GetDatum(cell->customers),
			Int64GetDatum(cell->buyers),
			Int64GetDatum(cell->repeaters),
			Int64GetDatum(cell->counted),
			NumericGetDatum(
				NumericFromInt128(cell->monetary / PowerOfTen[MAX_SCALE - scale], scale)),
			Int64GetDatum(cell->m_scores)};
		bool nulls[10] = {lifecycle == 0, decile == 0, r == 0, f == 0};

		AddToRowArray(&rows, values, nulls);
	}
	PG_RETURN_DATUM(RowArrayDatum(&rows));
}

/* ---------- a sample of keys ---------- */

#define MAX_SAMPLE 10000

typedef struct SampledKey
{
	uint64 hash;
	text *key;
} SampledKey;

/* Those of the smallest hashes, a heap with the largest of them on top. */
typedef struct KeySample
{
	MemoryContext context;
	int size;
	int n;
	SampledKey *keys;
} KeySample;

static KeySample *
NewKeySample(MemoryContext context, int size)
{
	KeySample *sample = MemoryContextAlloc(context, sizeof(KeySample));

	if (size < 1 || size > MAX_SAMPLE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a sample has 1 to %d keys, not %d", MAX_SAMPLE, size)));
	sample->context = context;
	sample->size = size;
	sample->n = 0;
	sample->keys = MemoryContextAlloc(context, size * sizeof(SampledKey));
	return sample;
}

/* Equal hashes are in the order of their keys, so that the sample is the same in any order. */
static int
CompareSampled(const void *a, const void *b)
{
	const SampledKey *x = a;
	const SampledKey *y = b;
	int length = Min(VARSIZE_ANY_EXHDR(x->key), VARSIZE_ANY_EXHDR(y->key));
	int order;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	order = memcmp(VARDATA_ANY(x->key), VARDATA_ANY(y->key), length);
	return order != 0 ? order : (int) VARSIZE_ANY_EXHDR(x->key) - (int) VARSIZE_ANY_EXHDR(y->key);
}

/* Puts a key at the place of the one on top, which goes down or is dropped. */
static void
SiftDown(KeySample *sample, SampledKey new)
{
	int at = 0;

	for (int child = 1; child < sample->n; child = 2 * at + 1)
	{
		if (child + 1 < sample->n &&
			CompareSampled(&sample->keys[child + 1], &sample->keys[child]) > 0)
			child++;
		if (CompareSampled(&new, &sample->keys[child]) >= 0)
			break;
		sample->keys[at] = sample->keys[child];
		at = child;
	}
	sample->keys[at] = new;
}

static void
OfferKey(KeySample *sample, uint64 hash, text *key)
{
	SampledKey offered = {hash, key};
	MemoryContext caller;
	int at;

	if (sample->n == sample->size &&
		(hash > sample->keys[0].hash || CompareSampled(&offered, &sample->keys[0]) >= 0))
		return;
	caller = MemoryContextSwitchTo(sample->context);
	offered.key = cstring_to_text_with_len(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	MemoryContextSwitchTo(caller);
	if (sample->n == sample->size)
	{
		pfree(sample->keys[0].key);
		SiftDown(sample, offered);
		return;
	}
	for (at = sample->n++; at > 0 && CompareSampled(&offered, &sample->keys[(at - 1) / 2]) > 0;
		 at = (at - 1) / 2)
		sample->keys[at] = sample->keys[(at - 1) / 2];
	sample->keys[at] = offered;
}

/* (state, key, size) */
PG_FUNCTION_INFO_V1(key_sample_transfn);
Datum
key_sample_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "key_sample_transfn");
	KeySample *sample = PG_ARGISNULL(0) ? NULL : (KeySample *) PG_GETARG_POINTER(0);
	text *key;

	if (sample == NULL)
		sample = NewKeySample(context, PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2));
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(sample);
	key = PG_GETARG_TEXT_PP(1);
	OfferKey(sample, FastStableHash64(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)), key);
	PG_RETURN_POINTER(sample);
}

PG_FUNCTION_INFO_V1(key_sample_combine);
Datum
key_sample_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "key_sample_combine");
	KeySample *sample = PG_ARGISNULL(0) ? NULL : (KeySample *) PG_GETARG_POINTER(0);
	KeySample *other = PG_ARGISNULL(1) ? NULL : (KeySample *) PG_GETARG_POINTER(1);

	if (sample == NULL && other != NULL)
		sample = NewKeySample(context, other->size);
	for (int i = 0; other != NULL && i < other->n; i++)
		OfferKey(sample, other->keys[i].hash, other->keys[i].key);
	PG_RETURN_STATE(sample);
}

PG_FUNCTION_INFO_V1(key_sample_serialize);
Datum
key_sample_serialize(PG_FUNCTION_ARGS)
{
	KeySample *sample = (KeySample *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "key_sample_serialize");
	pq_begintypsend(&out);
	pq_sendint32(&out, sample->size);
	for (int i = 0; i < sample->n; i++)
	{
		pq_sendint64(&out, sample->keys[i].hash);
		pq_sendint32(&out, VARSIZE_ANY_EXHDR(sample->keys[i].key));
		pq_sendbytes(&out, VARDATA_ANY(sample->keys[i].key),
					 VARSIZE_ANY_EXHDR(sample->keys[i].key));
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(key_sample_deserialize);
Datum
key_sample_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	KeySample *sample;
	StringInfoData in;

	(void) AggregateContext(fcinfo, "key_sample_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	sample = NewKeySample(CurrentMemoryContext, pq_getmsgint(&in, 4));
	while (in.cursor < in.len)
	{
		uint64 hash = pq_getmsgint64(&in);
		int length = pq_getmsgint(&in, 4);

		OfferKey(sample, hash, cstring_to_text_with_len(pq_getmsgbytes(&in, length), length));
	}
	PG_RETURN_POINTER(sample);
}

/* text[], by hash */
PG_FUNCTION_INFO_V1(key_sample_finalfn);
Datum
key_sample_finalfn(PG_FUNCTION_ARGS)
{
	KeySample *sample = PG_ARGISNULL(0) ? NULL : (KeySample *) PG_GETARG_POINTER(0);
	SampledKey *sorted;
	Datum *keys;

	(void) AggregateContext(fcinfo, "key_sample_finalfn");
	if (sample == NULL || sample->n == 0)
		PG_RETURN_NULL();
	sorted = palloc(sample->n * sizeof(SampledKey));
	memcpy(sorted, sample->keys, sample->n * sizeof(SampledKey));
	qsort(sorted, sample->n, sizeof(SampledKey), CompareSampled);
	keys = palloc(sample->n * sizeof(Datum));
	for (int i = 0; i < sample->n; i++)
		keys[i] = PointerGetDatum(sorted[i].key);
	PG_RETURN_ARRAYTYPE_P(construct_array(keys, sample->n, TEXTOID, -1, false, TYPALIGN_INT));
}
