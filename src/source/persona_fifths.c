/*
 * persona_fifths.c: where the fifths of the numbers and days of customers begin.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "profile/attribute_value.h"
#include "source/persona.h"

typedef struct FifthsColumn
{
	AttributeColumn input;
	int64 nvalues;
	int64 room;
	double *values; /* NULL for columns by word */
} FifthsColumn;

typedef struct FifthsState
{
	RecordShape shape;
	int ncolumns;
	FifthsColumn *columns;
} FifthsState;

static void
BeginFifths(FifthsState *state, MemoryContext context)
{
	if (state->columns != NULL)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one persona_fifths")));
	state->ncolumns = state->shape.columns->natts;
	state->columns = MemoryContextAllocZero(context, state->ncolumns * sizeof(FifthsColumn));
	for (int i = 0; i < state->ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];

		InitAttributeColumn(&column->input, TupleDescAttr(state->shape.columns, i)->atttypid,
							context);
		if (!IsOrdered(&column->input))
			continue;
		column->room = 1024;
		column->values = MemoryContextAlloc(context, column->room * sizeof(double));
	}
}

/* (state, attributes) */
PG_FUNCTION_INFO_V1(persona_fifths_transfn);
Datum
persona_fifths_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_fifths_transfn");
	FifthsState *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(FifthsState))
										 : (FifthsState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	if (DeformRecord(&state->shape, PG_GETARG_HEAPTUPLEHEADER(1), context))
		BeginFifths(state, context);
	for (int i = 0; i < state->ncolumns; i++)
	{
		FifthsColumn *column = &state->columns[i];
		double value;

		if (column->values == NULL || state->shape.nulls[i])
			continue;
		value = ColumnPosition(&column->input, state->shape.values[i]);
		if (isnan(value))
			continue;
		if (column->nvalues == column->room)
		{
			column->room *= 2;
			column->values = repalloc_huge(column->values, column->room * sizeof(double));
		}
		column->values[column->nvalues++] = value;
	}
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
