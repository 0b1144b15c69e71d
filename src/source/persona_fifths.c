/*
 * persona_fifths.c: where the fifths of the numbers and days of customers begin: of all of them,
 * or, of very many, of those with the smallest hashes of their keys, found in the same pass.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "profile/attribute_value.h"
#include "source/persona.h"

#define SAMPLE 20000

typedef struct FifthsColumn
{
	Oid type;
	AttributeColumn input;
	int place; /* in a row of values; -1: it has no order */
} FifthsColumn;

/* The rows sampled: their hashes, and after one another the values of each. */
typedef struct FifthsState
{
	MemoryContext context;
	RecordShape shape;
	AttributeColumn key;
	int ncolumns;
	FifthsColumn *columns;
	int width;    /* columns with an order */
	uint64 limit; /* rows of larger hashes are not in the sample */
	int64 nrows;
	int64 room;
	uint64 *hashes;
	double *values;
} FifthsState;

#define ST_SORT SortHashes
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static FifthsState *
NewFifths(MemoryContext context)
{
	FifthsState *state = MemoryContextAllocZero(context, sizeof(FifthsState));

	state->context = context;
	state->limit = PG_UINT64_MAX;
	return state;
}

static void
CheckColumns(bool same)
{
	if (!same)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one persona_fifths")));
}

static void
BeginColumns(FifthsState *state, int ncolumns)
{
	CheckColumns(state->columns == NULL);
	state->ncolumns = ncolumns;
	state->columns = MemoryContextAllocZero(state->context, ncolumns * sizeof(FifthsColumn));
}

static void
BeginColumn(FifthsState *state, FifthsColumn *column, Oid type)
{
	column->type = type;
	InitAttributeColumn(&column->input, type, state->context);
	column->place = IsOrdered(&column->input) ? state->width++ : -1;
}

/* Leaves no more rows than the sample has; those of equal hashes stay, or go, together. */
static void
CutSample(FifthsState *state)
{
	int64 kept = 0;
	uint64 *sorted;

	if (state->nrows <= SAMPLE)
		return;
	sorted = palloc_extended(mul_size(state->nrows, sizeof(uint64)), MCXT_ALLOC_HUGE);
	memcpy(sorted, state->hashes, state->nrows * sizeof(uint64));
	SortHashes(sorted, state->nrows);
	state->limit = sorted[SAMPLE - 1];
	pfree(sorted);
	for (int64 row = 0; row < state->nrows; row++)
	{
		if (state->hashes[row] > state->limit)
			continue;
		state->hashes[kept] = state->hashes[row];
		memmove(&state->values[kept * state->width], &state->values[row * state->width],
				state->width * sizeof(double));
		kept++;
	}
	state->nrows = kept;
}

/* The values of one more row, to be filled in; NULL if it is not in the sample. */
static double *
AddRow(FifthsState *state, uint64 hash)
{
	if (hash > state->limit)
		return NULL;
	if (state->nrows == state->room && state->room >= 2 * SAMPLE)
	{
		CutSample(state);
		if (hash > state->limit)
			return NULL;
	}
	if (state->nrows == state->room)
	{
		Size room = Max(2 * state->room, 1024);

		state->hashes = state->room == 0
							? MemoryContextAlloc(state->context, room * sizeof(uint64))
							: repalloc_huge(state->hashes, mul_size(room, sizeof(uint64)));
		state->values =
			state->room == 0
				? MemoryContextAlloc(state->context, room * state->width * sizeof(double))
				: repalloc_huge(state->values, mul_size(room, state->width * sizeof(double)));
		state->room = room;
	}
	state->hashes[state->nrows] = hash;
	return &state->values[state->nrows++ * state->width];
}

/* A hash of the text of a key. */
static uint64
KeyHash(AttributeColumn *key, Datum value)
{
	char digits[32];
	Word word;

	switch (key->type)
	{
		case INT2OID:
			return FastStableHash64(digits, pg_itoa(DatumGetInt16(value), digits));
		case INT4OID:
			return FastStableHash64(digits, pg_ltoa(DatumGetInt32(value), digits));
		case INT8OID:
			return FastStableHash64(digits, pg_lltoa(DatumGetInt64(value), digits));
		default:
			word = ColumnWord(key, value);
			return FastStableHash64(word.text, word.length);
	}
}

/* (state, key, attribute, …) */
PG_FUNCTION_INFO_V1(persona_fifths_transfn);
Datum
persona_fifths_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_fifths_transfn");
	FifthsState *state =
		PG_ARGISNULL(0) ? NewFifths(context) : (FifthsState *) PG_GETARG_POINTER(0);
	bool changed;
	double *values;

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	if (!OidIsValid(state->key.type))
		InitKeyColumn(&state->key, get_fn_expr_argtype(fcinfo->flinfo, 1), context);
	if (!DeformArguments(&state->shape, fcinfo, 2, context, &changed))
		PG_RETURN_POINTER(state);
	if (changed)
	{
		BeginColumns(state, state->shape.columns->natts);
		for (int i = 0; i < state->ncolumns; i++)
			BeginColumn(state, &state->columns[i],
						TupleDescAttr(state->shape.columns, i)->atttypid);
	}
	if (state->width == 0 ||
		(values = AddRow(state, KeyHash(&state->key, PG_GETARG_DATUM(1)))) == NULL)
		PG_RETURN_POINTER(state);
	for (int i = 0; i < state->ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];

		if (column->place >= 0)
			values[column->place] = state->shape.nulls[i]
										? NAN
										: ColumnPosition(&column->input, state->shape.values[i]);
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(persona_fifths_combine);
Datum
persona_fifths_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_fifths_combine");
	FifthsState *state = PG_ARGISNULL(0) ? NULL : (FifthsState *) PG_GETARG_POINTER(0);
	FifthsState *other = PG_ARGISNULL(1) ? NULL : (FifthsState *) PG_GETARG_POINTER(1);

	if (state == NULL && other != NULL)
		state = NewFifths(context);
	if (other == NULL || other->columns == NULL)
		PG_RETURN_STATE(state);
	if (state->columns == NULL)
	{
		BeginColumns(state, other->ncolumns);
		for (int i = 0; i < other->ncolumns; i++)
			BeginColumn(state, &state->columns[i], other->columns[i].type);
	}
	CheckColumns(state->ncolumns == other->ncolumns);
	for (int i = 0; i < other->ncolumns; i++)
		CheckColumns(state->columns[i].type == other->columns[i].type);
	state->limit = Min(state->limit, other->limit);
	for (int64 row = 0; row < other->nrows; row++)
	{
		double *values = AddRow(state, other->hashes[row]);

		if (values != NULL)
			memcpy(values, &other->values[row * other->width], other->width * sizeof(double));
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(persona_fifths_serialize);
Datum
persona_fifths_serialize(PG_FUNCTION_ARGS)
{
	FifthsState *state = (FifthsState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "persona_fifths_serialize");
	CutSample(state);
	pq_begintypsend(&out);
	pq_sendint32(&out, state->ncolumns);
	for (int i = 0; i < state->ncolumns; i++)
		pq_sendint32(&out, state->columns[i].type);
	pq_sendint64(&out, state->limit);
	pq_sendint64(&out, state->nrows);
	for (int64 row = 0; row < state->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendint64(&out, state->hashes[row]);
		pq_sendbytes(&out, (const char *) &state->values[row * state->width],
					 state->width * sizeof(double));
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(persona_fifths_deserialize);
Datum
persona_fifths_deserialize(PG_FUNCTION_ARGS)
{
	bytea *sent = PG_GETARG_BYTEA_PP(0);
	FifthsState *state = NewFifths(CurrentMemoryContext);
	StringInfoData in;
	uint64 limit;
	int64 nrows;
	int ncolumns;

	(void) AggregateContext(fcinfo, "persona_fifths_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
	ncolumns = pq_getmsgint(&in, 4);
	if (ncolumns > 0)
		BeginColumns(state, ncolumns);
	for (int i = 0; i < ncolumns; i++)
		BeginColumn(state, &state->columns[i], pq_getmsgint(&in, 4));
	limit = pq_getmsgint64(&in);
	nrows = pq_getmsgint64(&in);
	for (int64 row = 0; row < nrows; row++)
	{
		double *values = AddRow(state, pq_getmsgint64(&in));

		CHECK_FOR_INTERRUPTS();
		pq_copymsgbytes(&in, (char *) values, state->width * sizeof(double));
	}
	state->limit = limit;
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

#define ST_SORT SortDoubles
#define ST_ELEMENT_TYPE double
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The values of a column, in order; returns how many are known. */
static int64
SortColumn(const FifthsState *state, int place, double *sorted)
{
	int64 n = 0;

	for (int64 row = 0; row < state->nrows && place >= 0; row++)
	{
		double value = state->values[row * state->width + place];

		if (!isnan(value))
			sorted[n++] = value;
	}
	SortDoubles(sorted, n);
	return n;
}

/* Four numbers for each column, in order: the quantiles of percentile_disc(); NaN where none are.
 */
PG_FUNCTION_INFO_V1(persona_fifths_finalfn);
Datum
persona_fifths_finalfn(PG_FUNCTION_ARGS)
{
	FifthsState *state = PG_ARGISNULL(0) ? NULL : (FifthsState *) PG_GETARG_POINTER(0);
	Datum *breaks;
	double *sorted;

	(void) AggregateContext(fcinfo, "persona_fifths_finalfn");
	if (state == NULL || state->ncolumns == 0)
		PG_RETURN_NULL();
	CutSample(state);
	breaks = palloc(state->ncolumns * BREAKS * sizeof(Datum));
	sorted = palloc_extended(mul_size(state->nrows + 1, sizeof(double)), MCXT_ALLOC_HUGE);
	for (int i = 0; i < state->ncolumns; i++)
	{
		int64 n = SortColumn(state, state->columns[i].place, sorted);

		for (int b = 0; b < BREAKS; b++)
		{
			int64 rank = (int64) ceil((b + 1) / (double) FIFTHS * (double) n);

			breaks[i * BREAKS + b] = Float8GetDatum(n > 0 ? sorted[Max(rank, 1) - 1] : NAN);
		}
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(breaks, state->ncolumns * BREAKS, FLOAT8OID,
										  sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
