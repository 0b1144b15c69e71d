/*
 * persona_fifths.c: where the fifths of the numbers and days of customers begin.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "profile/attribute_value.h"
#include "source/persona.h"

typedef struct FifthsColumn
{
	Oid type;
	AttributeColumn input;
	int64 nvalues;
	int64 room;
	double *values; /* NULL for columns by word */
} FifthsColumn;

typedef struct FifthsState
{
	MemoryContext context;
	RecordShape shape;
	int ncolumns;
	FifthsColumn *columns;
} FifthsState;

static FifthsState *
NewFifths(MemoryContext context)
{
	FifthsState *state = MemoryContextAllocZero(context, sizeof(FifthsState));

	state->context = context;
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
	if (!IsOrdered(&column->input))
		return;
	column->room = 1024;
	column->values = MemoryContextAlloc(state->context, column->room * sizeof(double));
}

static void
AddValue(FifthsColumn *column, double value)
{
	if (column->nvalues == column->room)
	{
		column->room *= 2;
		column->values = repalloc_huge(column->values, column->room * sizeof(double));
	}
	column->values[column->nvalues++] = value;
}

/* (state, attributes) */
PG_FUNCTION_INFO_V1(persona_fifths_transfn);
Datum
persona_fifths_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_fifths_transfn");
	FifthsState *state =
		PG_ARGISNULL(0) ? NewFifths(context) : (FifthsState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	if (DeformRecord(&state->shape, PG_GETARG_HEAPTUPLEHEADER(1), context))
	{
		BeginColumns(state, state->shape.columns->natts);
		for (int i = 0; i < state->ncolumns; i++)
			BeginColumn(state, &state->columns[i],
						TupleDescAttr(state->shape.columns, i)->atttypid);
	}
	for (int i = 0; i < state->ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];
		double value;

		if (column->values == NULL || state->shape.nulls[i])
			continue;
		value = ColumnPosition(&column->input, state->shape.values[i]);
		if (!isnan(value))
			AddValue(column, value);
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
	{
		CheckColumns(state->columns[i].type == other->columns[i].type);
		for (int64 v = 0; v < other->columns[i].nvalues; v++)
			AddValue(&state->columns[i], other->columns[i].values[v]);
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
	pq_begintypsend(&out);
	pq_sendint32(&out, state->ncolumns);
	for (int i = 0; i < state->ncolumns; i++)
	{
		pq_sendint32(&out, state->columns[i].type);
		pq_sendint64(&out, state->columns[i].nvalues);
		for (int64 v = 0; v < state->columns[i].nvalues; v++)
			pq_sendfloat8(&out, state->columns[i].values[v]);
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
	int ncolumns;

	(void) AggregateContext(fcinfo, "persona_fifths_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
	ncolumns = pq_getmsgint(&in, 4);
	if (ncolumns > 0)
		BeginColumns(state, ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];
		int64 nvalues;

		BeginColumn(state, column, pq_getmsgint(&in, 4));
		nvalues = pq_getmsgint64(&in);
		for (int64 v = 0; v < nvalues; v++)
			AddValue(column, pq_getmsgfloat8(&in));
	}
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

/* Four numbers for each column, in order: the quantiles of percentile_disc(); NaN where none are.
 */
PG_FUNCTION_INFO_V1(persona_fifths_finalfn);
Datum
persona_fifths_finalfn(PG_FUNCTION_ARGS)
{
	FifthsState *state = PG_ARGISNULL(0) ? NULL : (FifthsState *) PG_GETARG_POINTER(0);
	Datum *breaks;

	(void) AggregateContext(fcinfo, "persona_fifths_finalfn");
	if (state == NULL || state->ncolumns == 0)
		PG_RETURN_NULL();
	breaks = palloc(state->ncolumns * BREAKS * sizeof(Datum));
	for (int i = 0; i < state->ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];

		if (column->nvalues > 0)
			SortDoubles(column->values, column->nvalues);
		for (int b = 0; b < BREAKS; b++)
		{
			int64 rank = (int64) ceil((b + 1) / (double) FIFTHS * (double) column->nvalues);

			breaks[i * BREAKS + b] =
				Float8GetDatum(column->nvalues > 0 ? column->values[Max(rank, 1) - 1] : NAN);
		}
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(breaks, state->ncolumns * BREAKS, FLOAT8OID,
										  sizeof(double), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
