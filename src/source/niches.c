/*
 * niches.c: what customers with the same two attribute values bring, for all pairs in one pass.
 *
 * Values of attributes are numbered from 1; 0 is what everybody has, so that a value alone, and all
 * customers, are pairs, too.  Amounts are whole hundredths: sums of them, and of their squares, are
 * exact in any order of the rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/numeric_bytes.h"

#define MAX_CODES 255
#define HUNDREDTHS 2         /* decimals of amounts */
#define MAX_AMOUNT 1e13      /* the squares of 10^8 of them, in hundredths, fit */
#define MIN_NICHE 5          /* fewer customers are nobody's business */
#define MAX_VALUES_OF_ONE 64 /* of a customer */

/* The customers with a pair of values. */
typedef struct NicheSum
{
	int64 customers;
	int128 total;
	int128 squares;
} NicheSum;

typedef struct NicheState
{
	int ncodes;        /* 0 included */
	NicheSum *sums[2]; /* to be learnt from, held out; by PairOf */
} NicheState;

/* Pairs in a triangle, low <= high. */
static inline int
PairOf(int low, int high)
{
	return high * (high + 1) / 2 + low;
}

static NicheState *
NewNicheState(MemoryContext context, int largest)
{
	NicheState *state;

	if (largest < 0 || largest > MAX_CODES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("codes must go up to %d at most, not %d", MAX_CODES, largest)));
	state = MemoryContextAlloc(context, sizeof(NicheState));
	state->ncodes = largest + 1;
	for (int part = 0; part < 2; part++)
		state->sums[part] =
			MemoryContextAllocZero(context, PairOf(0, state->ncodes) * sizeof(NicheSum));
	return state;
}

/* The codes of a customer, without NULLs and what is beyond the largest one; 0 comes first. */
static int
CodesOf(ArrayType *array, int ncodes, int *codes)
{
	Datum *elements;
	bool *nulls;
	int nelements;
	int n = 1;

	codes[0] = 0;
	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls,
					  &nelements);
	for (int i = 0; i < nelements && n < MAX_VALUES_OF_ONE; i++)
		if (!nulls[i] && DatumGetInt32(elements[i]) > 0 && DatumGetInt32(elements[i]) < ncodes)
			codes[n++] = DatumGetInt32(elements[i]);
	pfree(elements);
	pfree(nulls);
	return n;
}

/* (state, codes, value, held_out, largest code) */
PG_FUNCTION_INFO_V1(niche_sums_transfn);
Datum
niche_sums_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "niche_sums_transfn");
	NicheState *state = PG_ARGISNULL(0) ? NULL : (NicheState *) PG_GETARG_POINTER(0);
	int codes[MAX_VALUES_OF_ONE];
	NicheSum *sums;
	double value;
	int64 amount;
	int ncodes;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = NewNicheState(context, PG_GETARG_INT32(4));
	value = DoubleFromNumeric(PG_GETARG_DATUM(2));
	if (!(fabs(value) <= MAX_AMOUNT))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("the value of a customer is beyond %g: %g", MAX_AMOUNT, value)));
	amount = (int64) rint(value * (double) PowerOfTen[HUNDREDTHS]);
	ncodes = CodesOf(PG_GETARG_ARRAYTYPE_P(1), state->ncodes, codes);
	sums = state->sums[PG_GETARG_BOOL(3) ? 1 : 0];
	for (int i = 0; i < ncodes; i++)
		for (int j = i == 0 ? 0 : i + 1; j < ncodes; j++)
		{
			NicheSum *sum = &sums[PairOf(Min(codes[i], codes[j]), Max(codes[i], codes[j]))];

			sum->customers++;
			sum->total += amount;
			sum->squares += (int128) amount * amount;
		}
	PG_RETURN_POINTER(state);
}

/* A row of first, second, held_out, customers, total, squares. */
static Datum
NicheRow(TupleDesc desc, int low, int high, int part, const NicheSum *sum)
{
	bool nulls[6] = {false};
	Datum values[6];

	values[0] = Int32GetDatum(low);
	values[1] = Int32GetDatum(high);
	values[2] = BoolGetDatum(part == 1);
	values[3] = Int64GetDatum(sum->customers);
	values[4] = NumericGetDatum(NumericFromInt128(sum->total, HUNDREDTHS));
	values[5] = NumericGetDatum(NumericFromInt128(sum->squares, 2 * HUNDREDTHS));
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

PG_FUNCTION_INFO_V1(niche_sums_finalfn);
Datum
niche_sums_finalfn(PG_FUNCTION_ARGS)
{
	const NicheState *state = PG_ARGISNULL(0) ? NULL : (NicheState *) PG_GETARG_POINTER(0);
	Oid row = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	TupleDesc desc;
	ArrayBuildState *rows;

	(void) AggregateContext(fcinfo, "niche_sums_finalfn");
	if (state == NULL)
		PG_RETURN_NULL();
	desc = lookup_rowtype_tupdesc_copy(row, -1);
	rows = initArrayResult(row, CurrentMemoryContext, true);
	for (int part = 0; part < 2; part++)
		for (int high = 0; high < state->ncodes; high++)
			for (int low = 0; low <= high; low++)
			{
				const NicheSum *sum = &state->sums[part][PairOf(low, high)];

				CHECK_FOR_INTERRUPTS();
				if (sum->customers >= MIN_NICHE)
					rows = accumArrayResult(rows, NicheRow(desc, low, high, part, sum), false, row,
											CurrentMemoryContext);
			}
	PG_RETURN_DATUM(makeArrayResult(rows, CurrentMemoryContext));
}
