/*
 * persona_counts.c: counts the customers of each segment by value of each attribute, in one pass
 * over the customers.
 *
 * Words are counted directly.  Numbers and days are counted by quintiles of all customers, which
 * are known only at the end: they are kept in lists, which spill to temporary files beyond
 * work_mem, alongside a list of the customers' segments.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/sortable_float.h"
#include "profile/attribute_value.h"
#include "rfm/integer_list.h"

#define FIFTHS 5
#define UNKNOWN_VALUE PG_INT64_MAX /* above any number and day */

/* A value of so few customers exceeds chance in no segment. */
#define MIN_CUSTOMERS 5

/* How often a word occurs in each segment. */
typedef struct PersonaWord
{
	uint64 hash;
	Word word; /* text is NULL if free */
	int nsegments;
	uint32 *customers;
} PersonaWord;

typedef struct PersonaColumn
{
	Datum name; /* text */
	AttributeColumn input;
	bool by_range; /* else by word */
	int64 *known;  /* customers with a value, by segment; for sets and words */
	IntegerList values;
	int64 min;
	int64 max;
	PersonaWord *words;
	uint32 mask;
	uint32 nwords;
} PersonaColumn;

typedef struct PersonaState
{
	MemoryContext context;
	RecordShape shape;
	int ncolumns;
	PersonaColumn *columns;
	IntegerList segment; /* of each customer, for the columns by range */
	int nsegments;
	int room; /* allocated for this many segments */
	text **segments;
	ArrayBuildState *rows; /* the answer */
	TupleDesc row;
} PersonaState;

/* ---------- counting ---------- */

/* Whole numbers and days are as they are, other numbers in a sortable form. */
static inline bool
IsWhole(const AttributeColumn *input)
{
	return input->class == COLUMN_DATE || input->type == INT2OID || input->type == INT4OID;
}

static void
BeginColumns(FunctionCallInfo fcinfo, PersonaState *state, ArrayType *names)
{
	Datum *elements;
	bool *nulls;
	int n;
	int lists = 1;
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (state->columns != NULL || n != state->shape.columns->natts)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one persona_counts")));
	state->ncolumns = n;
	state->columns = palloc0(n * sizeof(PersonaColumn));
	for (int i = 0; i < n; i++)
	{
		PersonaColumn *column = &state->columns[i];

		column->name = datumCopy(elements[i], false, -1);
		InitAttributeColumn(&column->input, TupleDescAttr(state->shape.columns, i)->atttypid,
							state->context);
		column->by_range =
			column->input.class == COLUMN_NUMBER || column->input.class == COLUMN_DATE;
		lists += column->by_range;
	}
	InitIntegerList(&state->segment, state->context, IntegerListLimit(lists));
	OwnIntegerList(fcinfo, &state->segment);
	for (int i = 0; i < n; i++)
	{
		PersonaColumn *column = &state->columns[i];

		column->min = PG_INT64_MAX;
		column->max = PG_INT64_MIN;
		InitIntegerList(&column->values, state->context, state->segment.limit);
		OwnIntegerList(fcinfo, &column->values);
		column->mask = 63;
		if (!column->by_range)
			column->words = palloc0((column->mask + 1) * sizeof(PersonaWord));
	}
	MemoryContextSwitchTo(caller);
}

/* The number of a segment, added if it is new. */
static int
SegmentNumber(PersonaState *state, text *segment)
{
	MemoryContext caller;
	int n = state->nsegments;

	for (int i = 0; i < n; i++)
		if (VARSIZE_ANY_EXHDR(segment) == VARSIZE_ANY_EXHDR(state->segments[i]) &&
			memcmp(VARDATA_ANY(segment), VARDATA_ANY(state->segments[i]),
				   VARSIZE_ANY_EXHDR(segment)) == 0)
			return i;
	caller = MemoryContextSwitchTo(state->context);
	if (n == state->room)
	{
		state->room = Max(2 * n, 16);
		state->segments = n == 0 ? palloc(state->room * sizeof(text *))
								 : repalloc(state->segments, state->room * sizeof(text *));
		for (int i = 0; i < state->ncolumns; i++)
		{
			PersonaColumn *column = &state->columns[i];
			int64 *known = palloc0(state->room * sizeof(int64));

			if (n > 0)
				memcpy(known, column->known, n * sizeof(int64));
			column->known = known;
		}
	}
	state->segments[n] = (text *) DatumGetPointer(datumCopy(PointerGetDatum(segment), false, -1));
	MemoryContextSwitchTo(caller);
	return state->nsegments++;
}

/* The slot of a word, or the free one where it belongs. */
static PersonaWord *
FindWord(const PersonaColumn *column, Word word, uint64 hash)
{
	uint32 i = hash >> 32 & column->mask;

	while (column->words[i].word.text != NULL &&
		   !(column->words[i].hash == hash && WordsAreEqual(column->words[i].word, word)))
		i = (i + 1) & column->mask;
	return &column->words[i];
}

static void
DoubleWords(PersonaColumn *column)
{
	PersonaWord *old = column->words;
	uint32 old_mask = column->mask;

	CHECK_FOR_INTERRUPTS();
	column->mask = 2 * old_mask + 1;
	column->words = palloc_extended(mul_size((Size) column->mask + 1, sizeof(PersonaWord)),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i <= old_mask; i++)
		if (old[i].word.text != NULL)
			*FindWord(column, old[i].word, old[i].hash) = old[i];
	pfree(old);
}

static void
CountPersonaWord(PersonaState *state, PersonaColumn *column, Word word, int segment)
{
	uint64 hash = HashWord(word);
	PersonaWord *entry = FindWord(column, word, hash);

	if (unlikely(segment >= entry->nsegments))
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);
		uint32 *customers = palloc0(state->nsegments * sizeof(uint32));

		if (entry->word.text == NULL)
		{
			if (column->nwords++ > column->mask / 2)
			{
				DoubleWords(column);
				entry = FindWord(column, word, hash);
			}
			entry->hash = hash;
			entry->word = (Word){pnstrdup(word.text, word.length), word.length};
		}
		else
		{
			memcpy(customers, entry->customers, entry->nsegments * sizeof(uint32));
			pfree(entry->customers);
		}
		entry->customers = customers;
		entry->nsegments = state->nsegments;
		MemoryContextSwitchTo(caller);
	}
	entry->customers[segment]++;
}

/* The value of a column by range as an integer. */
static int64
RangedValue(const AttributeColumn *input, Datum value)
{
	double number =
		input->class == COLUMN_DATE ? ColumnDay(input, value) : ColumnNumber(input, value);

	if (isnan(number))
		return UNKNOWN_VALUE;
	return IsWhole(input) ? (int64) number : SortableFloat8(number);
}

static void
KeepValue(PersonaColumn *column, int64 value)
{
	if (value != UNKNOWN_VALUE)
	{
		column->min = Min(column->min, value);
		column->max = Max(column->max, value);
	}
	AddInteger(&column->values, value);
}

static void
CountColumnWords(PersonaState *state, PersonaColumn *column, Datum value, int segment)
{
	Word word;
	Word *words = &word;
	int nwords = 1;

	if (column->input.class == COLUMN_ARRAY)
	{
		words = ColumnWords(&column->input, value, &nwords);
		nwords = DistinctWords(words, nwords);
	}
	else
	{
		word = ColumnWord(&column->input, value);
		if (word.length == 0)
			return;
	}
	column->known[segment]++;
	for (int i = 0; i < nwords; i++)
		CountPersonaWord(state, column, words[i], segment);
}

/* (state, segment, attributes, names) */
PG_FUNCTION_INFO_V1(persona_counts_transfn);
Datum
persona_counts_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_counts_transfn");
	PersonaState *state = PG_ARGISNULL(0) ? NULL : (PersonaState *) PG_GETARG_POINTER(0);
	int segment;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(PersonaState));
		state->context = context;
	}
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_POINTER(state);
	if (DeformRecord(&state->shape, PG_GETARG_HEAPTUPLEHEADER(2), context))
		BeginColumns(fcinfo, state, PG_GETARG_ARRAYTYPE_P(3));
	segment = SegmentNumber(state, PG_GETARG_TEXT_PP(1));
	AddInteger(&state->segment, segment);
	for (int i = 0; i < state->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];
		bool unknown = state->shape.nulls[i];
		Datum value = state->shape.values[i];

		if (column->by_range)
			KeepValue(column, unknown ? UNKNOWN_VALUE : RangedValue(&column->input, value));
		else if (!unknown)
			CountColumnWords(state, column, value, segment);
	}
	PG_RETURN_POINTER(state);
}

/* ---------- the answer ---------- */

/* value 0 for any value */
static void
AddRow(PersonaState *state, const PersonaColumn *column, int segment, Datum value, int64 customers)
{
	Datum values[4] = {column->name, PointerGetDatum(state->segments[segment]), value,
					   Int64GetDatum(customers)};
	bool nulls[4] = {false, false, value == 0, false};
	HeapTuple tuple;

	if (customers == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	tuple = heap_form_tuple(state->row, values, nulls);
	state->rows = accumArrayResult(state->rows, HeapTupleGetDatum(tuple), false,
								   state->row->tdtypeid, CurrentMemoryContext);
	heap_freetuple(tuple);
}

static void
AddWords(PersonaState *state, const PersonaColumn *column)
{
	for (int s = 0; s < state->nsegments; s++)
		AddRow(state, column, s, 0, column->known[s]);
	for (uint32 i = 0; i <= column->mask; i++)
	{
		const PersonaWord *entry = &column->words[i];
		int64 total = 0;
		Datum word;

		for (int s = 0; s < entry->nsegments; s++)
			total += entry->customers[s];
		if (total < MIN_CUSTOMERS)
			continue;
		word = PointerGetDatum(cstring_to_text_with_len(entry->word.text, entry->word.length));
		for (int s = 0; s < entry->nsegments; s++)
			AddRow(state, column, s, word, entry->customers[s]);
	}
}

/* Counts the values by segment and fifth: customers[segment * FIFTHS + fifth]. */
static int64 *
CountFifths(PersonaState *state, PersonaColumn *column, const int64 *breaks)
{
	int64 *customers = palloc0(state->nsegments * FIFTHS * sizeof(int64));
	IntegerCursor *cursors = palloc(2 * sizeof(IntegerCursor));
	const int64 *segments;
	const int64 *values;
	int n;

	RewindIntegers(&cursors[0], &state->segment);
	RewindIntegers(&cursors[1], &column->values);
	while ((n = NextIntegers(&cursors[0], &segments)) > 0)
	{
		(void) NextIntegers(&cursors[1], &values);
		for (int i = 0; i < n; i++)
		{
			int fifth = 0;

			if (values[i] == UNKNOWN_VALUE)
				continue;
			for (int b = 0; b < FIFTHS - 1; b++)
				fifth += values[i] >= breaks[b];
			customers[segments[i] * FIFTHS + fifth]++;
		}
	}
	pfree(cursors);
	return customers;
}

static char *
RangedText(const AttributeColumn *input, int64 value)
{
	if (input->class == COLUMN_DATE)
		return DayText((double) value);
	return float8out_internal(IsWhole(input) ? (double) value : Float8FromSortable(value));
}

static Datum
FifthText(const AttributeColumn *input, const int64 *breaks, int fifth)
{
	char *text;

	if (fifth == 0)
		text = psprintf("below %s", RangedText(input, breaks[0]));
	else if (fifth == FIFTHS - 1)
		text = psprintf("%s and more", RangedText(input, breaks[fifth - 1]));
	else
		text = psprintf("%s to below %s", RangedText(input, breaks[fifth - 1]),
						RangedText(input, breaks[fifth]));
	return CStringGetTextDatum(text);
}

static int64
CountKnown(PersonaColumn *column)
{
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));
	const int64 *values;
	int64 known = 0;
	int n;

	RewindIntegers(cursor, &column->values);
	while ((n = NextIntegers(cursor, &values)) > 0)
		for (int i = 0; i < n; i++)
			known += values[i] != UNKNOWN_VALUE;
	pfree(cursor);
	return known;
}

static void
AddFifths(PersonaState *state, PersonaColumn *column)
{
	static const double shares[FIFTHS - 1] = {0.2, 0.4, 0.6, 0.8};
	int64 known = CountKnown(column);
	int64 ranks[FIFTHS - 1];
	int64 breaks[FIFTHS - 1];
	int64 *customers;

	if (known == 0)
		return;
	/* as in percentile_disc() */
	for (int b = 0; b < FIFTHS - 1; b++)
		ranks[b] = Max((int64) ceil(shares[b] * (double) known), 1) - 1;
	IntegersAtRanks(&column->values, column->min, column->max, ranks, lengthof(ranks), breaks);
	customers = CountFifths(state, column, breaks);
	for (int s = 0; s < state->nsegments; s++)
	{
		int64 total = 0;

		for (int fifth = 0; fifth < FIFTHS; fifth++)
		{
			int64 n = customers[s * FIFTHS + fifth];

			total += n;
			AddRow(state, column, s, FifthText(&column->input, breaks, fifth), n);
		}
		AddRow(state, column, s, 0, total);
	}
	pfree(customers);
}

/* An array of persona_count; value is NULL for customers with any value. */
PG_FUNCTION_INFO_V1(persona_counts_finalfn);
Datum
persona_counts_finalfn(PG_FUNCTION_ARGS)
{
	PersonaState *state = PG_ARGISNULL(0) ? NULL : (PersonaState *) PG_GETARG_POINTER(0);
	Oid row = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));

	(void) AggregateContext(fcinfo, "persona_counts_finalfn");
	if (state == NULL || state->ncolumns == 0)
		PG_RETURN_NULL();
	state->row = lookup_rowtype_tupdesc_copy(row, -1);
	state->rows = initArrayResult(row, CurrentMemoryContext, true);
	for (int i = 0; i < state->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];

		if (column->by_range)
			AddFifths(state, column);
		else
			AddWords(state, column);
		FreeIntegerList(&column->values);
	}
	FreeIntegerList(&state->segment);
	PG_RETURN_DATUM(makeArrayResult(state->rows, CurrentMemoryContext));
}
