/*
 * profile_fit.c: the aggregate that learns how to encode the attributes of a record.
 *
 * One pass; for each column it keeps the counts of value_counts.h, which are bounded and do not
 * depend on the order of the rows, nor on how they are split between processes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "profile/profile_fit.h"

/* ---------- the state ---------- */

ProfileFitState *
NewProfileFit(MemoryContext parent, Jsonb *options)
{
	MemoryContext context = AllocSetContextCreate(parent, "profile_fit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ProfileFitState *state = palloc0(sizeof(ProfileFitState));

	state->context = context;
	if (options != NULL)
		state->options = DatumGetJsonbPCopy(JsonbPGetDatum(options));
	TakeGeneralOptions(state);
	state->columns = palloc0((MAX_ATTRIBUTES + 1) * sizeof(FitColumn));
	/* a record that is not a table's row can have more columns than a table */
	state->ignored = palloc(MaxTupleAttributeNumber * sizeof(char *));
	MemoryContextSwitchTo(caller);
	return state;
}

/* One column of the record, an attribute or ignored; options come later. */
static void
AddFitColumn(ProfileFitState *state, const char *name, Oid type, int index)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	FitColumn *column = &state->columns[state->ncolumns];

	if (state->options != NULL && OptionsIgnore(&state->options->root, name))
		state->ignored[state->nignored++] = pstrdup(name);
	else
	{
		for (int i = 0; i < state->ncolumns; i++)
			if (strcmp(state->columns[i].name, name) == 0)
				ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
								errmsg("the record has two columns named \"%s\"", name)));
		if (state->ncolumns == MAX_ATTRIBUTES)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("the record has more than %d attributes", MAX_ATTRIBUTES),
							errhint("Select fewer columns, or name some under \"ignore\".")));
		column->name = pstrdup(name);
		column->type = type;
		column->index = index;
		column->all_numbers = true;
		column->weight = 1;
		InitAttributeColumn(&column->input, type, state->context);
		state->ncolumns++;
	}
	MemoryContextSwitchTo(caller);
}

/* What is counted for a column depends on its class and the kind given. */
static void
StartCounting(ProfileFitState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	TakeColumnOptions(state);
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];
		ColumnClass class = column->input.class;

		if (column->kind_given && !KindTakesColumn(column->kind, class))
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("attribute \"%s\" of type %s cannot be %s", column->name,
								   format_type_be(column->type), AttributeKindName(column->kind))));
		if (column->kind_given
				? HasRange(column->kind)
				: class == COLUMN_NUMBER || class == COLUMN_DATE || class == COLUMN_WORD)
			column->numbers = NewNumberCounts(state->context);
		if (column->kind_given ? !HasRange(column->kind)
							   : class != COLUMN_NUMBER && class != COLUMN_DATE)
			column->words = NewWordCounts(state->context);
	}
	MemoryContextSwitchTo(caller);
}

/* Sets up the columns of the first record, or checks that those of another are the same. */
static void
TakeShape(ProfileFitState *state)
{
	TupleDesc columns = state->shape.columns;
	bool first = state->ncolumns == 0 && state->nignored == 0;
	int n = 0;

	for (int c = 0; c < columns->natts; c++)
	{
		Form_pg_attribute att = TupleDescAttr(columns, c);
		const char *name = NameStr(att->attname);

		if (att->attisdropped)
			continue;
		if (first)
		{
			AddFitColumn(state, name, att->atttypid, c);
			continue;
		}
		if (state->options != NULL && OptionsIgnore(&state->options->root, name))
			continue;
		if (n == state->ncolumns || strcmp(state->columns[n].name, name) != 0 ||
			state->columns[n].type != att->atttypid)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("records of different columns in one fit"),
							errdetail("The column \"%s\" of type %s is not what stands at its "
									  "place in the first record.",
									  name, format_type_be(att->atttypid))));
		state->columns[n++].index = c;
	}
	if (!first && n < state->ncolumns)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one fit"),
						errdetail("A record has no column \"%s\".", state->columns[n].name)));
	if (first)
	{
		if (state->ncolumns == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the record has no attributes")));
		StartCounting(state);
	}
}

static bool
FitWordIsMissing(Word word, const void *arg)
{
	return WordIsMissing((const MissingValues *) arg, word);
}

static void
CountColumnNumber(ProfileFitState *state, FitColumn *column, double number)
{
	if (!isfinite(number) || NumberIsMissing(&state->missing, number))
		column->missing++;
	else
		CountNumber(column->numbers, number);
}

static void
CountColumnWord(ProfileFitState *state, FitColumn *column, Word word)
{
	double number;

	if (column->words != NULL)
	{
		if (!CountWord(column->words, word, 1, FitWordIsMissing, &state->missing))
			return;
	}
	else if (WordIsMissing(&state->missing, word))
	{
		column->missing++;
		return;
	}
	if (column->numbers == NULL || !column->all_numbers)
		return;
	if (NumberFromWord(word, &number))
		CountColumnNumber(state, column, number);
	else if (column->kind_given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("attribute \"%s\" is to be numeric, but a value is \"%s\"", column->name,
						ShortWord(word)),
				 errhint("If it stands for a missing value, name it in the option \"missing\".")));
	else
		column->all_numbers = false;
}

static void
CountColumn(ProfileFitState *state, FitColumn *column, Datum value)
{
	if (column->input.class == COLUMN_ARRAY)
	{
		int nwords;
		Word *words = ColumnWords(&column->input, value, &nwords);

		/* a set contains a value once, however often it occurs in the array */
		nwords = DistinctWords(words, nwords);
		for (int i = 0; i < nwords; i++)
		{
			CHECK_FOR_INTERRUPTS();
			CountWord(column->words, words[i], 1, FitWordIsMissing, &state->missing);
		}
	}
	else if (column->words != NULL || column->input.class == COLUMN_WORD)
		CountColumnWord(state, column, ColumnWord(&column->input, value));
	else if (column->input.class == COLUMN_DATE)
		CountColumnNumber(state, column, ColumnDay(&column->input, value));
	else
		CountColumnNumber(state, column, ColumnNumber(&column->input, value));
}

void
CountRecord(ProfileFitState *state, HeapTupleHeader record)
{
	if (DeformRecord(&state->shape, record, state->context))
		TakeShape(state);
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];

		if (state->shape.nulls[column->index])
			column->missing++;
		else
			CountColumn(state, column, state->shape.values[column->index]);
	}
	state->nrows++;
}

/* (state, record [, options]) */
PG_FUNCTION_INFO_V1(profile_fit_transfn);
Datum
profile_fit_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "profile_fit_transfn");
	ProfileFitState *state = PG_ARGISNULL(0) ? NULL : (ProfileFitState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = NewProfileFit(aggregate,
							  PG_NARGS() > 2 && !PG_ARGISNULL(2) ? PG_GETARG_JSONB_P(2) : NULL);
	CountRecord(state, PG_GETARG_HEAPTUPLEHEADER(1));
	PG_RETURN_POINTER(state);
}

/* ---------- states of several processes ---------- */

PG_FUNCTION_INFO_V1(profile_fit_combine);
Datum
profile_fit_combine(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "profile_fit_combine");
	ProfileFitState *state = PG_ARGISNULL(0) ? NULL : (ProfileFitState *) PG_GETARG_POINTER(0);
	ProfileFitState *other = PG_ARGISNULL(1) ? NULL : (ProfileFitState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		PG_RETURN_STATE(state);
	if (state == NULL)
	{
		state = NewProfileFit(aggregate, other->options);
		for (int i = 0; i < other->nignored; i++)
			AddFitColumn(state, other->ignored[i], TEXTOID, -1);
		for (int i = 0; i < other->ncolumns; i++)
			AddFitColumn(state, other->columns[i].name, other->columns[i].type,
						 other->columns[i].index);
		StartCounting(state);
	}
	if (state->ncolumns != other->ncolumns)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one fit")));
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];
		FitColumn *from = &other->columns[i];

		if (strcmp(column->name, from->name) != 0 || column->type != from->type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("records of different columns in one fit"),
							errdetail("The columns \"%s\" and \"%s\" stand at the same place.",
									  column->name, from->name)));
		column->missing += from->missing;
		column->all_numbers &= from->all_numbers;
		if (column->numbers != NULL)
			MergeNumberCounts(column->numbers, from->numbers);
		if (column->words != NULL)
			MergeWordCounts(column->words, from->words, FitWordIsMissing, &state->missing);
	}
	state->nrows += other->nrows;
	PG_RETURN_POINTER(state);
}

static void
SendString(StringInfo out, const char *text, int length)
{
	pq_sendint32(out, length);
	pq_sendbytes(out, text, length);
}

/* Whatever derives from options and columns is not sent: deserializing derives it anew. */
PG_FUNCTION_INFO_V1(profile_fit_serialize);
Datum
profile_fit_serialize(PG_FUNCTION_ARGS)
{
	ProfileFitState *state = (ProfileFitState *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "profile_fit_serialize");
	pq_begintypsend(&out);
	if (state->options == NULL)
		pq_sendint32(&out, 0);
	else
		SendString(&out, (char *) state->options, VARSIZE(state->options));
	pq_sendint64(&out, state->nrows);
	pq_sendint32(&out, state->nignored);
	for (int i = 0; i < state->nignored; i++)
		SendString(&out, state->ignored[i], strlen(state->ignored[i]));
	pq_sendint32(&out, state->ncolumns);
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];

		SendString(&out, column->name, strlen(column->name));
		pq_sendint32(&out, column->type);
		pq_sendint32(&out, column->index);
	}
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];

		pq_sendint64(&out, column->missing);
		pq_sendbyte(&out, column->all_numbers);
		if (column->numbers != NULL)
			SendNumberCounts(&out, column->numbers);
		if (column->words != NULL)
			SendWordCounts(&out, column->words);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

static char *
ReceiveString(StringInfo in)
{
	int length = pq_getmsgint(in, 4);

	return pnstrdup(pq_getmsgbytes(in, length), length);
}

PG_FUNCTION_INFO_V1(profile_fit_deserialize);
Datum
profile_fit_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "profile_fit_deserialize");
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in;
	Jsonb *options = NULL;
	int length;
	int n;
	ProfileFitState *state;

	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	length = pq_getmsgint(&in, 4);
	if (length > 0)
	{
		options = palloc(length);
		memcpy(options, pq_getmsgbytes(&in, length), length);
	}
	state = NewProfileFit(aggregate, options);
	state->nrows = pq_getmsgint64(&in);
	n = pq_getmsgint(&in, 4);
	for (int i = 0; i < n; i++)
		AddFitColumn(state, ReceiveString(&in), TEXTOID, -1);
	n = pq_getmsgint(&in, 4);
	for (int i = 0; i < n; i++)
	{
		char *name = ReceiveString(&in);
		Oid type = pq_getmsgint(&in, 4);

		AddFitColumn(state, name, type, pq_getmsgint(&in, 4));
	}
	StartCounting(state);
	for (int i = 0; i < n; i++)
	{
		FitColumn *column = &state->columns[i];

		column->missing = pq_getmsgint64(&in);
		column->all_numbers = pq_getmsgbyte(&in);
		if (column->numbers != NULL)
			ReceiveNumberCounts(&in, column->numbers);
		if (column->words != NULL)
			ReceiveWordCounts(&in, column->words, FitWordIsMissing, &state->missing);
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(profile_fit_finalfn);
Datum
profile_fit_finalfn(PG_FUNCTION_ARGS)
{
	(void) AggregateContext(fcinfo, "profile_fit_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(FittedProfileModel((ProfileFitState *) PG_GETARG_POINTER(0)));
}
