/*
 * profile_fit.c: the aggregate that learns how to encode the attributes of a record.
 *
 * One pass; for each column it keeps the counts of value_counts.h, which are bounded and do not
 * depend on the order of the rows, nor on how they are split between processes.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/json_read.h"
#include "base/local_day.h"
#include "profile/profile_fit.h"
#include "profile/value_counts.h"

#define DEFAULT_MAX_VALUES 100

/* A value shared by fewer people could identify one of them, so no dictionary names it. */
#define DEFAULT_MIN_COUNT 5

/* From this many rows on, text whose values are all different is an identifier. */
#define MIN_IDENTIFIER_ROWS 100

static const char *const DefaultMissing[] = {
	"",
	"?",
	"-",
	"--",
	".",
	"unknown",
	"na",
	"n/a",
	"n.a.",
	"#n/a",
	"nan",
	"null",
	"(null)",
	"missing",
	"undefined",
	"unspecified",
	"not specified",
	"not available",
};

typedef struct FitColumn
{
	char *name;
	Oid type;
	int index; /* in the record */
	AttributeColumn input;
	bool kind_given;
	AttributeKind kind; /* if given */
	bool weight_given;
	double weight;
	bool range_given;
	double low;
	double high;
	const char **order; /* values from lowest to highest; NULL if not given */
	int norder;

	int64 missing;         /* NULL, NaN and the like; words are counted by `words` */
	bool all_numbers;      /* so far; COLUMN_WORD only */
	NumberCounts *numbers; /* NULL if not needed */
	WordCounts *words;
} FitColumn;

struct ProfileFitState
{
	MemoryContext context;
	RecordShape shape;
	Jsonb *options; /* NULL: none */
	int ncolumns;
	FitColumn *columns;
	int nignored;
	const char **ignored;
	int max_values;
	int64 min_count;
	int64 range_count; /* rows that reach each end of a range, or lie beyond it */
	bool robust;
	MissingValues missing;
	int64 nrows;
};

/* ---------- options ---------- */

static FitColumn *
ColumnOfOption(ProfileFitState *state, const char *name, const char *option)
{
	for (int i = 0; i < state->ncolumns; i++)
		if (strcmp(state->columns[i].name, name) == 0)
			return &state->columns[i];
	for (int i = 0; i < state->nignored; i++)
		if (strcmp(state->ignored[i], name) == 0)
			return NULL;
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_COLUMN),
		 errmsg("the option \"%s\" of profile_fit names \"%s\", which is no column of the record",
				option, name)));
}

static void
TakeKind(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "kinds");
	char *kind = JsonString(value, "a kind");

	if (column == NULL)
		return;
	if (!AttributeKindFromName(kind, &column->kind))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no attribute kind \"%s\"", kind),
			 errdetail("It is given for the attribute \"%s\".", key),
			 errhint("The kinds are numeric, date, ordinal, nominal, boolean, set and ignore.")));
	column->kind_given = true;
}

static void
TakeOrder(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "order");
	JsonbContainer *array = JsonArray(value, "an order");

	if (column == NULL)
		return;
	if (column->kind_given && column->kind != KIND_ORDINAL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" has an order, but its kind is %s", key,
							   AttributeKindName(column->kind))));
	column->kind = KIND_ORDINAL;
	column->kind_given = true;
	column->norder = JsonContainerSize(array);
	if (column->norder > MAX_NOMINAL_VALUES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the order of attribute \"%s\" has %d values", key, column->norder),
						errdetail("At most %d are possible.", MAX_NOMINAL_VALUES)));
	column->order = palloc((column->norder + 1) * sizeof(char *));
	for (int i = 0; i < column->norder; i++)
	{
		char *text = JsonString(getIthJsonbValueFromContainer(array, i), "a value of an order");
		Word word = TrimmedWord(text, strlen(text));

		column->order[i] = pnstrdup(word.text, word.length);
		for (int j = 0; j < i; j++)
			if (strcmp(column->order[i], column->order[j]) == 0)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("the order of attribute \"%s\" has the value \"%s\" twice",
									   key, column->order[i])));
	}
	if (column->norder > MAX_NOMINAL_VALUES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the order of attribute \"%s\" has %d values", key, column->norder),
						errdetail("At most %d are possible.", MAX_NOMINAL_VALUES)));
}

static void
TakeRange(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "ranges");
	JsonbContainer *array = JsonArray(value, "a range");
	double bounds[2];

	if (column == NULL)
		return;
	if (JsonContainerSize(array) != 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range of attribute \"%s\" must be [low, high]", key)));
	for (int i = 0; i < 2; i++)
	{
		JsonbValue *bound = getIthJsonbValueFromContainer(array, i);

		bounds[i] = bound->type == jbvString ? DayFromText(JsonString(bound, "a range"))
											 : JsonNumber(bound, "a bound of a range");
		if ((bound->type == jbvString) != (column->input.class == COLUMN_DATE))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the range of attribute \"%s\" must be of %s", key,
								   column->input.class == COLUMN_DATE ? "days" : "numbers")));
	}
	if (!(bounds[0] < bounds[1]) || !isfinite(bounds[1] - bounds[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range of attribute \"%s\" must be finite, low before high", key)));
	column->range_given = true;
	column->low = bounds[0];
	column->high = bounds[1];
}

static void
TakeWeight(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "weights");
	double weight = value->type == jbvNull ? 0 : JsonNumber(value, "a weight");

	if (weight < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the weight of attribute \"%s\" is negative", key)));
	if (column == NULL)
		return;
	column->weight = weight;
	column->weight_given = true;
}

static void
CheckOptionName(const char *key, const JsonbValue *value, void *arg)
{
	static const char *const names[] = {
		"kinds",   "ignore",     "order",     "ranges",      "weights",
		"missing", "max_values", "min_count", "range_count", "robust",
	};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(key, names[i]) == 0)
			return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("profile_fit has no option \"%s\"", key),
					errhint("The options are kinds, ignore, order, ranges, weights, missing, "
							"max_values, min_count, range_count and robust.")));
}

/* True if the options exclude the column from the attributes. */
static bool
OptionsIgnore(JsonbContainer *options, const char *name)
{
	JsonbValue value;
	JsonbValue kind;

	if (JsonMember(options, "kinds", &value) &&
		JsonMember(JsonObject(&value, "kinds"), name, &kind) && kind.type == jbvString &&
		kind.val.string.len == 6 && memcmp(kind.val.string.val, "ignore", 6) == 0)
		return true;
	if (JsonMember(options, "ignore", &value))
	{
		JsonbContainer *array = JsonArray(&value, "ignore");

		for (int i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(array, i);
			char *ignored = JsonString(element, "ignore");
			bool same = strcmp(ignored, name) == 0;

			CHECK_FOR_INTERRUPTS();
			/* all of them at once, for each column */
			pfree(ignored);
			pfree(element);
			if (same)
				return true;
		}
	}
	return false;
}

/* Options that are not about one column, and the check of all their names. */
static void
TakeGeneralOptions(ProfileFitState *state)
{
	JsonbContainer *options;
	JsonbValue value;

	state->max_values = DEFAULT_MAX_VALUES;
	state->min_count = DEFAULT_MIN_COUNT;
	state->range_count = 1;
	state->robust = true;
	state->missing.words = (const char **) DefaultMissing;
	state->missing.nwords = lengthof(DefaultMissing);
	if (state->options == NULL)
		return;
	options = &state->options->root;
	if (!JsonContainerIsObject(options))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the options of profile_fit must be a JSON object")));
	JsonEachMember(options, CheckOptionName, NULL);
	if (JsonMember(options, "missing", &value))
		SetMissingFromJson(&state->missing, JsonArray(&value, "missing"));
	if (JsonMember(options, "max_values", &value))
	{
		int64 n = JsonCount(&value, "max_values");

		if (n < 1 || n > MAX_SET_VALUES)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("max_values must be 1 to %d", MAX_SET_VALUES)));
		state->max_values = (int) n;
	}
	if (JsonMember(options, "min_count", &value))
		state->min_count = JsonCount(&value, "min_count");
	if (JsonMember(options, "range_count", &value))
		state->range_count = JsonCount(&value, "range_count");
	if (JsonMember(options, "robust", &value))
	{
		if (value.type != jbvBool)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("robust must be true or false")));
		state->robust = value.val.boolean;
	}
}

/* A misspelt name in "ignore" would turn a column into an attribute that should not be one. */
static void
CheckIgnored(ProfileFitState *state)
{
	JsonbValue value;
	JsonbContainer *array;

	if (!JsonMember(&state->options->root, "ignore", &value))
		return;
	array = JsonArray(&value, "ignore");
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) ColumnOfOption(state, JsonString(getIthJsonbValueFromContainer(array, i), "ignore"),
							  "ignore");
	}
}

static void
TakeColumnOptions(ProfileFitState *state)
{
	static const struct
	{
		const char *name;
		void (*take)(const char *key, const JsonbValue *value, void *arg);
	} options[] = {
		{"kinds", TakeKind},
		{"order", TakeOrder},
		{"ranges", TakeRange},
		{"weights", TakeWeight},
	};

	if (state->options == NULL)
		return;
	for (int i = 0; i < lengthof(options); i++)
	{
		JsonbValue value;

		if (JsonMember(&state->options->root, options[i].name, &value))
			JsonEachMember(JsonObject(&value, options[i].name), options[i].take, state);
	}
	CheckIgnored(state);
}

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
							errmsg("records of different columns in one profile_fit"),
							errdetail("The column \"%s\" of type %s is not what stands at its "
									  "place in the first record.",
									  name, format_type_be(att->atttypid))));
		state->columns[n++].index = c;
	}
	if (!first && n < state->ncolumns)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("records of different columns in one profile_fit"),
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
				 errmsg("attribute \"%s\" is to be numeric, but a value is \"%.*s\"", column->name,
						word.length, word.text),
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
						errmsg("records of different columns in one profile_fit")));
	for (int i = 0; i < state->ncolumns; i++)
	{
		FitColumn *column = &state->columns[i];
		FitColumn *from = &other->columns[i];

		if (strcmp(column->name, from->name) != 0 || column->type != from->type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("records of different columns in one profile_fit"),
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

/* ---------- the model ---------- */

static AttributeKind
KindOfColumn(const FitColumn *column)
{
	if (column->kind_given)
		return column->kind;
	switch (column->input.class)
	{
		case COLUMN_NUMBER:
			return KIND_NUMERIC;
		case COLUMN_BOOLEAN:
			return KIND_BOOLEAN;
		case COLUMN_DATE:
			return KIND_DATE;
		case COLUMN_ENUM:
			return KIND_ORDINAL;
		case COLUMN_ARRAY:
			return KIND_SET;
		default:
			if (column->words->total > 0 && column->all_numbers)
				return KIND_NUMERIC;
			return KIND_NOMINAL;
	}
}

/*
 * The range of the numbers.  If robust, it extends beyond the middle 90 % by no more than their
 * width; if these are a single number, nothing is an outlier.
 */
static void
FindRange(const ProfileFitState *state, const FitColumn *column, ProfileAttribute *att)
{
	NumberCounts *numbers = column->numbers;
	double beyond;

	if (column->range_given)
	{
		att->low = column->low;
		att->high = column->high;
		return;
	}
	att->low = att->high = 0;
	if (numbers->total == 0)
		return;
	beyond = (double) Min(state->range_count, (numbers->total + 1) / 2) - 1;
	beyond = beyond > 0 ? beyond / (double) (numbers->total - 1) : 0;
	att->low = beyond > 0 ? NumberQuantile(numbers, beyond) : numbers->min;
	att->high = beyond > 0 ? NumberQuantile(numbers, 1 - beyond) : numbers->max;
	if (state->robust)
	{
		double low = NumberQuantile(numbers, 0.05);
		double high = NumberQuantile(numbers, 0.95);

		if (low < high)
		{
			att->low = Max(att->low, low - (high - low));
			att->high = Min(att->high, high + (high - low));
		}
	}
	if (!isfinite(att->high - att->low))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("the numbers of attribute \"%s\" are too far apart", column->name),
						errhint("Give a range in the options: {\"ranges\": {\"%s\": [low, high]}}.",
								column->name)));
	if (att->kind == KIND_DATE)
	{
		att->low = floor(att->low);
		att->high = ceil(att->high);
	}
}

/* The labels of an enum type in their order. */
static const char **
EnumLabels(Oid type, int *n)
{
	Relation pg_enum = table_open(EnumRelationId, AccessShareLock);
	Relation index = index_open(EnumTypIdSortOrderIndexId, AccessShareLock);
	const char **labels = palloc(MAX_NOMINAL_VALUES * sizeof(char *));
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	*n = 0;
	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan_ordered(pg_enum, index, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		if (*n == MAX_NOMINAL_VALUES)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("type %s has more than %d values", format_type_be(type),
								   MAX_NOMINAL_VALUES),
							errhint("Give the kind of its attributes as nominal.")));
		labels[(*n)++] = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(pg_enum, AccessShareLock);
	return labels;
}

/* A dictionary of the given values, with the counts of the words. */
static void
SetDictionary(ProfileAttribute *att, const char **values, int n, WordCount **words, int nwords)
{
	att->nvalues = att->ncounts = n;
	att->values = values;
	att->counts = palloc0((n + 1) * sizeof(int64));
	for (int w = 0; w < nwords; w++)
		for (int v = 0; v < n; v++)
			if (WordsAreEqual(words[w]->word, (Word){values[v], strlen(values[v])}))
				att->counts[v] += words[w]->count;
}

/* The words that enough rows have, in the order of the numbers that they stand for. */
static const char **
NumbersInOrder(const FitColumn *column, WordCount **words, int nwords, int shared)
{
	const char **values = palloc((shared + 1) * sizeof(char *));
	double *numbers = palloc((shared + 1) * sizeof(double));

	if (shared > MAX_NOMINAL_VALUES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("attribute \"%s\" has more than %d values, too many for ordinal",
							   column->name, MAX_NOMINAL_VALUES)));
	for (int w = 0; w < nwords; w++)
	{
		double number;
		int place = w;

		if (!NumberFromWord(words[w]->word, &number))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("attribute \"%s\" is to be ordinal, but its values have no order",
							column->name),
					 errhint("Give it: {\"order\": {\"%s\": [\"lowest\", …, \"highest\"]}}.",
							 column->name)));
		if (w >= shared)
			continue;
		while (place > 0 && numbers[place - 1] > number)
		{
			numbers[place] = numbers[place - 1];
			values[place] = values[place - 1];
			place--;
		}
		numbers[place] = number;
		values[place] = pnstrdup(words[w]->word.text, words[w]->word.length);
	}
	return values;
}

static void
FindDictionary(const ProfileFitState *state, const FitColumn *column, ProfileAttribute *att)
{
	static const char *const booleans[] = {"false", "true"};
	int nwords;
	WordCount **words = FrequentWords(column->words, &nwords);
	int shared = nwords;

	while (shared > 0 && words[shared - 1]->count < state->min_count)
		shared--;
	if (att->kind == KIND_BOOLEAN)
	{
		att->nvalues = att->ncounts = 2;
		att->values = (const char **) booleans;
		att->counts = palloc0(2 * sizeof(int64));
		for (int w = 0; w < nwords; w++)
		{
			int value = BooleanFromWord(words[w]->word);

			if (value >= 0)
				att->counts[value] += words[w]->count;
		}
	}
	else if (att->kind == KIND_ORDINAL)
	{
		const char **order = column->order;
		int n = column->norder;

		if (order == NULL && column->input.class == COLUMN_ENUM)
			order = EnumLabels(column->input.type, &n);
		else if (order == NULL)
		{
			order = NumbersInOrder(column, words, nwords, shared);
			n = shared;
		}
		SetDictionary(att, order, n, words, nwords);
	}
	else
	{
		int n = Min(shared, state->max_values);
		const char **values = palloc((n + 1) * sizeof(char *));

		if (state->max_values > MaxValues(att->kind))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_values must be 1 to %d, since attribute \"%s\" is %s",
							MaxValues(att->kind), att->name, AttributeKindName(att->kind)),
					 errdetail("It is %d.", state->max_values),
					 errhint("Only sets have dictionaries of up to %d values.", MAX_SET_VALUES)));
		for (int v = 0; v < n; v++)
			values[v] = pnstrdup(words[v]->word.text, words[v]->word.length);
		SetDictionary(att, values, n, words, n);
	}
	att->other = column->words->total;
	for (int v = 0; v < att->nvalues; v++)
		att->other -= att->counts[v];
}

/* Whether the attribute has only one value, or a different one for everybody. */
static bool
IsUninformative(const FitColumn *column, const ProfileAttribute *att)
{
	int nvalues = 0;
	int nwords;
	WordCount **words;

	if (HasRange(att->kind))
		return att->low == att->high;
	for (int v = 0; v < att->nvalues; v++)
		nvalues += att->counts[v] > 0;
	if (att->kind == KIND_SET)
		return nvalues == 0 && att->other == 0;
	if (nvalues <= 1 && att->other == 0)
		return true;
	if (att->kind != KIND_NOMINAL || column->kind_given ||
		column->words->total < MIN_IDENTIFIER_ROWS)
		return false;
	words = FrequentWords(column->words, &nwords);
	return nwords == 0 || words[0]->count == 1;
}

struct varlena *
FittedProfileModel(const ProfileFitState *state)
{
	ProfileModel model;

	memset(&model, 0, sizeof(model));
	model.nrows = state->nrows;
	model.missing = state->missing;
	model.ignored = state->ignored;
	model.nignored = state->nignored;
	model.natts = state->ncolumns;
	model.atts = palloc0(model.natts * sizeof(ProfileAttribute));
	for (int i = 0; i < model.natts; i++)
	{
		FitColumn *column = &state->columns[i];
		ProfileAttribute *att = &model.atts[i];

		att->name = column->name;
		att->kind = KindOfColumn(column);
		if (column->range_given && !HasRange(att->kind))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("attribute \"%s\" has a range, but is %s", att->name,
								   AttributeKindName(att->kind))));
		att->missing = column->missing + (column->words ? column->words->missing : 0);
		if (HasRange(att->kind))
			FindRange(state, column, att);
		else
			FindDictionary(state, column, att);
		if (att->kind == KIND_SET)
			att->missing = column->missing;
		SetRange(att, att->low, att->high);
		att->weight = column->weight_given ? column->weight : IsUninformative(column, att) ? 0 : 1;
	}
	return ModelValue(&ProfileModelFormat, &model);
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
