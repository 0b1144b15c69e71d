/*
 * persona_counts.c: counts the customers of each segment by value of each attribute, in one pass
 * over the customers, in any number of processes.
 *
 * Words are counted as they are, numbers and days by the fifth that they belong to.  Where the
 * fifths begin is an argument, which persona_fifths finds in all customers, or in a sample of very
 * many.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/decimal_sum.h"
#include "profile/attribute_value.h"
#include "source/persona.h"

/* A value of so few customers exceeds chance in no segment. */
#define MIN_CUSTOMERS 5

/* An attribute with more different words identifies customers, and says nothing of their kind. */
#define MAX_WORDS (1 << 18)

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
	char *name;
	AttributeColumn input;
	bool by_range;         /* by fifth; else by word */
	bool too_many;         /* different words: none is kept */
	double breaks[BREAKS]; /* where the second to the fifth fifth begin; NaN: no value is known */
	int64 *counts;         /* by segment and fifth; false and true; else with any value */
	double lowest;         /* of numbers; infinite: none is known */
	DecimalSum *totals;    /* by segment, of numbers if they are wanted; else NULL */
	PersonaWord *words;    /* NULL where values are counted in `counts` */
	uint32 mask;
	uint32 nwords;
} PersonaColumn;

typedef struct PersonaState
{
	MemoryContext context;
	RecordShape shape;
	bool totals; /* wanted of numbers */
	int ncolumns;
	PersonaColumn *columns;
	int nsegments;
	int room; /* allocated for this many segments */
	text **segments;
	ArrayBuildState *rows; /* the answer */
	TupleDesc row;
} PersonaState;

/* ---------- columns and segments ---------- */

static inline bool
IsBoolean(const PersonaColumn *column)
{
	return column->input.class == COLUMN_BOOLEAN;
}

static void
BeginColumn(PersonaState *state, int i, const char *name, Oid type, const double *breaks)
{
	PersonaColumn *column = &state->columns[i];

	column->name = MemoryContextStrdup(state->context, name);
	InitAttributeColumn(&column->input, type, state->context);
	column->by_range = IsOrdered(&column->input);
	memcpy(column->breaks, breaks, sizeof(column->breaks));
	column->lowest = HUGE_VAL;
	column->mask = 63;
	if (!column->by_range && !IsBoolean(column))
		column->words =
			MemoryContextAllocZero(state->context, (column->mask + 1) * sizeof(PersonaWord));
}

static void
CheckColumns(bool same)
{
	if (!same)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one persona_counts")));
}

static void
BeginColumns(PersonaState *state, ArrayType *names, ArrayType *fifths)
{
	double unknown[BREAKS] = {NAN, NAN, NAN, NAN};
	Datum *elements;
	bool *nulls;
	int n;
	int nbreaks = fifths == NULL ? 0 : ArrayGetNItems(ARR_NDIM(fifths), ARR_DIMS(fifths));

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	CheckColumns(state->columns == NULL && n == state->shape.columns->natts &&
				 (nbreaks == 0 || (nbreaks == n * BREAKS && !ARR_HASNULL(fifths))));
	state->ncolumns = n;
	state->columns = MemoryContextAllocZero(state->context, n * sizeof(PersonaColumn));
	for (int i = 0; i < n; i++)
		BeginColumn(state, i, nulls[i] ? "" : TextDatumGetCString(elements[i]),
					TupleDescAttr(state->shape.columns, i)->atttypid,
					nbreaks > 0 ? (double *) ARR_DATA_PTR(fifths) + i * BREAKS : unknown);
}

/* Counters of a column for each segment. */
static int
CountersOf(const PersonaColumn *column)
{
	return column->by_range ? FIFTHS : IsBoolean(column) ? 2 : 1;
}

static inline bool
HasTotals(const PersonaState *state, const PersonaColumn *column)
{
	return state->totals && column->input.class == COLUMN_NUMBER;
}

/* The number of a segment, added if it is new. */
static int
SegmentNumber(PersonaState *state, text *segment)
{
	MemoryContext caller;
	int n = state->nsegments;

	CHECK_FOR_INTERRUPTS();
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
			int64 *counts = palloc0(state->room * CountersOf(column) * sizeof(int64));

			if (n > 0)
				memcpy(counts, column->counts, n * CountersOf(column) * sizeof(int64));
			column->counts = counts;
			if (HasTotals(state, column))
			{
				DecimalSum *totals = palloc0(state->room * sizeof(DecimalSum));

				if (n > 0)
					memcpy(totals, column->totals, n * sizeof(DecimalSum));
				column->totals = totals;
			}
		}
	}
	state->segments[n] = cstring_to_text_with_len(VARDATA_ANY(segment), VARSIZE_ANY_EXHDR(segment));
	MemoryContextSwitchTo(caller);
	return state->nsegments++;
}

/* ---------- counting ---------- */

/* The slot of a word, or the free one where it belongs. */
static PersonaWord *
FindWord(const PersonaColumn *column, Word word, uint64 hash)
{
	uint32 i = hash >> 32 & column->mask;

	for (PersonaWord *entry = &column->words[i];; entry = &column->words[i])
	{
		if (entry->word.text == NULL || (entry->hash == hash && entry->word.length == word.length &&
										 (word.length <= 8 || WordsAreEqual(entry->word, word))))
			return entry;
		i = (i + 1) & column->mask;
	}
}

static void
DoubleWords(PersonaColumn *column)
{
	PersonaWord *old = column->words;
	uint32 old_mask = column->mask;

	column->mask = 2 * old_mask + 1;
	column->words = palloc_extended(mul_size((Size) column->mask + 1, sizeof(PersonaWord)),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i <= old_mask; i++)
	{
		/* words may have been chosen to collide */
		CHECK_FOR_INTERRUPTS();
		if (old[i].word.text != NULL)
			*FindWord(column, old[i].word, old[i].hash) = old[i];
	}
	pfree(old);
}

/* Makes room for a word, or for more segments of one; false if there are too many words. */
static bool
GrowWord(PersonaState *state, PersonaColumn *column, PersonaWord **entry, Word word, uint64 hash)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	uint32 *customers = palloc0(state->room * sizeof(uint32));

	if ((*entry)->word.text == NULL)
	{
		if (column->nwords == MAX_WORDS)
		{
			column->too_many = true;
			column->nwords = 0;
			MemoryContextSwitchTo(caller);
			return false;
		}
		if (column->nwords++ > column->mask / 2)
		{
			DoubleWords(column);
			*entry = FindWord(column, word, hash);
		}
		(*entry)->hash = hash;
		(*entry)->word = (Word){pnstrdup(word.text, word.length), word.length};
	}
	else
	{
		memcpy(customers, (*entry)->customers, (*entry)->nsegments * sizeof(uint32));
		pfree((*entry)->customers);
	}
	(*entry)->customers = customers;
	(*entry)->nsegments = state->room;
	MemoryContextSwitchTo(caller);
	return true;
}

static void
CountPersonaWord(PersonaState *state, PersonaColumn *column, Word word, int segment, uint32 n)
{
	uint64 hash = HashWord(word);
	PersonaWord *entry;

	if (column->too_many)
		return;
	entry = FindWord(column, word, hash);
	if (unlikely(segment >= entry->nsegments) && !GrowWord(state, column, &entry, word, hash))
		return;
	entry->customers[segment] += n;
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
	column->counts[segment]++;
	for (int i = 0; i < nwords; i++)
	{
		CHECK_FOR_INTERRUPTS();
		CountPersonaWord(state, column, words[i], segment, 1);
	}
}

static inline void
CountRanged(const PersonaState *state, PersonaColumn *column, Datum value, int segment)
{
	double number = ColumnPosition(&column->input, value);
	int fifth = 0;

	if (isnan(number) || isnan(column->breaks[0]))
		return;
	for (int b = 0; b < BREAKS; b++)
		fifth += number >= column->breaks[b];
	column->counts[segment * FIFTHS + fifth]++;
	if (number < column->lowest && number > -HUGE_VAL)
		column->lowest = number;
	if (column->totals != NULL && isfinite(number))
		AddToDecimalSum(&column->totals[segment], number, state->context);
}

static PersonaState *
NewPersonaState(MemoryContext context)
{
	PersonaState *state = MemoryContextAllocZero(context, sizeof(PersonaState));

	state->context = context;
	return state;
}

/* (state, segment, names, fifths, totals, attribute, …) */
PG_FUNCTION_INFO_V1(persona_counts_transfn);
Datum
persona_counts_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_counts_transfn");
	PersonaState *state =
		PG_ARGISNULL(0) ? NewPersonaState(context) : (PersonaState *) PG_GETARG_POINTER(0);
	bool changed;
	int segment;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		!DeformArguments(&state->shape, fcinfo, 5, context, &changed))
		PG_RETURN_POINTER(state);
	if (changed)
	{
		BeginColumns(state, PG_GETARG_ARRAYTYPE_P(2),
					 PG_ARGISNULL(3) ? NULL : PG_GETARG_ARRAYTYPE_P(3));
		/* as in the first row, whatever others say: there is room for them, or none */
		state->totals = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	}
	segment = SegmentNumber(state, PG_GETARG_TEXT_PP(1));
	for (int i = 0; i < state->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];

		if (state->shape.nulls[i])
			continue;
		if (column->by_range)
			CountRanged(state, column, state->shape.values[i], segment);
		else if (IsBoolean(column))
			column->counts[2 * segment + DatumGetBool(state->shape.values[i])]++;
		else
			CountColumnWords(state, column, state->shape.values[i], segment);
	}
	PG_RETURN_POINTER(state);
}

/* ---------- states of several processes ---------- */

/* Adds the columns of another state if there are none yet; else they must be the same. */
static void
TakeColumns(PersonaState *state, const PersonaState *other)
{
	if (state->columns == NULL)
	{
		state->totals = other->totals;
		state->ncolumns = other->ncolumns;
		state->columns =
			MemoryContextAllocZero(state->context, other->ncolumns * sizeof(PersonaColumn));
		for (int i = 0; i < other->ncolumns; i++)
			BeginColumn(state, i, other->columns[i].name, other->columns[i].input.type,
						other->columns[i].breaks);
	}
	CheckColumns(state->ncolumns == other->ncolumns && state->totals == other->totals);
	for (int i = 0; i < state->ncolumns; i++)
		CheckColumns(state->columns[i].input.type == other->columns[i].input.type);
}

static void
MergeWords(PersonaState *state, PersonaColumn *column, const PersonaColumn *other,
		   const int *segments)
{
	if (other->too_many)
	{
		column->too_many = true;
		column->nwords = 0;
	}
	for (uint32 i = 0; i <= other->mask && !column->too_many; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (other->words[i].word.text != NULL)
			for (int s = 0; s < other->words[i].nsegments; s++)
				if (other->words[i].customers[s] > 0)
					CountPersonaWord(state, column, other->words[i].word, segments[s],
									 other->words[i].customers[s]);
	}
}

PG_FUNCTION_INFO_V1(persona_counts_combine);
Datum
persona_counts_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "persona_counts_combine");
	PersonaState *state = PG_ARGISNULL(0) ? NULL : (PersonaState *) PG_GETARG_POINTER(0);
	PersonaState *other = PG_ARGISNULL(1) ? NULL : (PersonaState *) PG_GETARG_POINTER(1);
	int *segments;

	if (state == NULL && other != NULL)
		state = NewPersonaState(context);
	if (other == NULL || other->columns == NULL)
		PG_RETURN_STATE(state);
	TakeColumns(state, other);
	segments = palloc((other->nsegments + 1) * sizeof(int));
	for (int s = 0; s < other->nsegments; s++)
		segments[s] = SegmentNumber(state, other->segments[s]);
	for (int i = 0; i < other->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];
		int counters = CountersOf(column);

		for (int s = 0; s < other->nsegments; s++)
			for (int c = 0; c < counters; c++)
				column->counts[segments[s] * counters + c] +=
					other->columns[i].counts[s * counters + c];
		column->lowest = Min(column->lowest, other->columns[i].lowest);
		for (int s = 0; s < other->nsegments && column->totals != NULL; s++)
			CombineDecimalSums(&column->totals[segments[s]], &other->columns[i].totals[s],
							   state->context);
		if (column->words != NULL)
			MergeWords(state, column, &other->columns[i], segments);
	}
	PG_RETURN_POINTER(state);
}

static void
SendWords(StringInfo out, const PersonaColumn *column, int nsegments)
{
	pq_sendint32(out, column->nwords);
	for (uint32 i = 0; i <= column->mask && column->nwords > 0; i++)
	{
		const PersonaWord *entry = &column->words[i];

		if (entry->word.text == NULL)
			continue;
		CHECK_FOR_INTERRUPTS();
		pq_sendint32(out, entry->word.length);
		pq_sendbytes(out, entry->word.text, entry->word.length);
		for (int s = 0; s < nsegments; s++)
			pq_sendint32(out, s < entry->nsegments ? entry->customers[s] : 0);
	}
}

PG_FUNCTION_INFO_V1(persona_counts_serialize);
Datum
persona_counts_serialize(PG_FUNCTION_ARGS)
{
	PersonaState *state = (PersonaState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "persona_counts_serialize");
	pq_begintypsend(&out);
	pq_sendbyte(&out, state->totals);
	pq_sendint32(&out, state->ncolumns);
	for (int i = 0; i < state->ncolumns; i++)
	{
		/* not pq_sendstring(), which writes it in the client's encoding */
		pq_sendbytes(&out, state->columns[i].name, (int) strlen(state->columns[i].name) + 1);
		pq_sendint32(&out, state->columns[i].input.type);
		for (int b = 0; b < BREAKS; b++)
			pq_sendfloat8(&out, state->columns[i].breaks[b]);
	}
	pq_sendint32(&out, state->nsegments);
	for (int s = 0; s < state->nsegments; s++)
	{
		pq_sendint32(&out, VARSIZE_ANY_EXHDR(state->segments[s]));
		pq_sendbytes(&out, VARDATA_ANY(state->segments[s]), VARSIZE_ANY_EXHDR(state->segments[s]));
	}
	for (int i = 0; i < state->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];

		for (int c = 0; c < state->nsegments * CountersOf(column); c++)
			pq_sendint64(&out, column->counts[c]);
		pq_sendfloat8(&out, column->lowest);
		for (int t = 0; t < state->nsegments && column->totals != NULL; t++)
			SendDecimalSum(&out, &column->totals[t]);
		pq_sendbyte(&out, column->too_many);
		if (column->words != NULL)
			SendWords(&out, column, state->nsegments);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

static void
ReceiveWords(StringInfo in, PersonaState *state, PersonaColumn *column)
{
	uint32 nwords = pq_getmsgint(in, 4);

	for (uint32 i = 0; i < nwords; i++)
	{
		int length = pq_getmsgint(in, 4);
		Word word = {pq_getmsgbytes(in, length), length};

		CHECK_FOR_INTERRUPTS();
		for (int s = 0; s < state->nsegments; s++)
		{
			uint32 customers = pq_getmsgint(in, 4);

			if (customers > 0)
				CountPersonaWord(state, column, word, s, customers);
		}
	}
}

PG_FUNCTION_INFO_V1(persona_counts_deserialize);
Datum
persona_counts_deserialize(PG_FUNCTION_ARGS)
{
	bytea *sent = PG_GETARG_BYTEA_PP(0);
	PersonaState *state = NewPersonaState(CurrentMemoryContext);
	StringInfoData in;
	int nsegments;

	(void) AggregateContext(fcinfo, "persona_counts_deserialize");
	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
	state->totals = pq_getmsgbyte(&in) != 0;
	state->ncolumns = pq_getmsgint(&in, 4);
	if (state->ncolumns > 0)
		state->columns = palloc0(state->ncolumns * sizeof(PersonaColumn));
	for (int i = 0; i < state->ncolumns; i++)
	{
		const char *name = pq_getmsgrawstring(&in);
		Oid type = pq_getmsgint(&in, 4);
		double breaks[BREAKS];

		for (int b = 0; b < BREAKS; b++)
			breaks[b] = pq_getmsgfloat8(&in);
		BeginColumn(state, i, name, type, breaks);
	}
	nsegments = pq_getmsgint(&in, 4);
	for (int s = 0; s < nsegments; s++)
	{
		int length = pq_getmsgint(&in, 4);

		(void) SegmentNumber(state, cstring_to_text_with_len(pq_getmsgbytes(&in, length), length));
	}
	for (int i = 0; i < state->ncolumns; i++)
	{
		PersonaColumn *column = &state->columns[i];

		for (int c = 0; c < nsegments * CountersOf(column); c++)
			column->counts[c] = pq_getmsgint64(&in);
		column->lowest = pq_getmsgfloat8(&in);
		for (int t = 0; t < nsegments && column->totals != NULL; t++)
			ReceiveDecimalSum(&in, &column->totals[t]);
		column->too_many = pq_getmsgbyte(&in) != 0;
		if (column->words != NULL)
			ReceiveWords(&in, state, column);
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---------- the answer ---------- */

/* value 0 for any value */
static void
AddRow(PersonaState *state, const PersonaColumn *column, int segment, Datum value, int64 customers)
{
	Datum values[6] = {CStringGetTextDatum(column->name), PointerGetDatum(state->segments[segment]),
					   value, Int64GetDatum(customers)};
	bool nulls[6] = {false, false, value == 0, false, true, true};
	HeapTuple tuple;

	if (customers == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	if (value == 0 && column->totals != NULL && column->totals[segment].any)
	{
		values[4] = NumericGetDatum(TotalOfDecimalSum(&column->totals[segment]));
		nulls[4] = false;
	}
	if (value == 0 && column->input.class == COLUMN_NUMBER && column->lowest < HUGE_VAL)
	{
		values[5] = DirectFunctionCall1(float8_numeric, Float8GetDatum(column->lowest));
		nulls[5] = false;
	}
	tuple = heap_form_tuple(state->row, values, nulls);
	state->rows = accumArrayResult(state->rows, HeapTupleGetDatum(tuple), false,
								   state->row->tdtypeid, CurrentMemoryContext);
	heap_freetuple(tuple);
}

static void
AddWords(PersonaState *state, const PersonaColumn *column)
{
	for (int s = 0; s < state->nsegments; s++)
		AddRow(state, column, s, 0, column->counts[s]);
	for (uint32 i = 0; i <= column->mask && !column->too_many; i++)
	{
		const PersonaWord *entry = &column->words[i];
		int64 total = 0;
		Datum word;

		CHECK_FOR_INTERRUPTS();
		for (int s = 0; s < Min(entry->nsegments, state->nsegments); s++)
			total += entry->customers[s];
		if (total < MIN_CUSTOMERS)
			continue;
		word = PointerGetDatum(cstring_to_text_with_len(entry->word.text, entry->word.length));
		for (int s = 0; s < Min(entry->nsegments, state->nsegments); s++)
			AddRow(state, column, s, word, entry->customers[s]);
	}
}

static void
AddBooleans(PersonaState *state, const PersonaColumn *column)
{
	int64 all[2] = {0, 0};

	for (int s = 0; s < state->nsegments; s++)
	{
		AddRow(state, column, s, 0, column->counts[2 * s] + column->counts[2 * s + 1]);
		all[false] += column->counts[2 * s];
		all[true] += column->counts[2 * s + 1];
	}
	for (int value = false; value <= true; value++)
		for (int s = 0; s < state->nsegments && all[value] >= MIN_CUSTOMERS; s++)
			AddRow(state, column, s, CStringGetTextDatum(value ? "true" : "false"),
				   column->counts[2 * s + value]);
}

static char *
RangedText(const AttributeColumn *input, double value)
{
	return input->class == COLUMN_DATE ? DayText(value) : float8out_internal(value);
}

static Datum
FifthText(const PersonaColumn *column, int fifth)
{
	const double *breaks = column->breaks;
	char *text;

	if (fifth == 0)
		text = psprintf("below %s", RangedText(&column->input, breaks[0]));
	else if (fifth == FIFTHS - 1)
		text = psprintf("%s and more", RangedText(&column->input, breaks[fifth - 1]));
	else
		text = psprintf("%s to below %s", RangedText(&column->input, breaks[fifth - 1]),
						RangedText(&column->input, breaks[fifth]));
	return CStringGetTextDatum(text);
}

static void
AddFifths(PersonaState *state, PersonaColumn *column)
{
	for (int s = 0; s < state->nsegments; s++)
	{
		int64 total = 0;

		for (int fifth = 0; fifth < FIFTHS; fifth++)
		{
			int64 n = column->counts[s * FIFTHS + fifth];

			total += n;
			if (n > 0)
				AddRow(state, column, s, FifthText(column, fifth), n);
		}
		AddRow(state, column, s, 0, total);
	}
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
		if (state->columns[i].by_range)
			AddFifths(state, &state->columns[i]);
		else if (IsBoolean(&state->columns[i]))
			AddBooleans(state, &state->columns[i]);
		else
			AddWords(state, &state->columns[i]);
	PG_RETURN_DATUM(makeArrayResult(state->rows, CurrentMemoryContext));
}
