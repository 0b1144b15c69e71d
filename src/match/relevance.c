/*
 * relevance.c: attribute_relevance, how well each attribute tells targets from others, or high
 * values from low ones.
 *
 * The state counts targets and others by distinct value; of values, it keeps those of each row and
 * which attributes went with it.  Bins, statistics and labels are made at the end.  A single
 * attribute and a whole record share all of it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/bytes.h"
#include "base/common.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "base/sortable_float.h"
#include "base/statistics.h"
#include "match/fit_rows.h"
#include "match/relevance.h"

#define VERY_STRONG 0.5 /* information value */
#define LATE_ROWS 5     /* so many days, and such a share, after the one by which all is known */
#define LATE_SHARE 0.01
#define JUMP 3 /* times the information of the next attribute: too much to be true */

/* ---------- counting ---------- */

static ClassCount
OneRow(bool is_target)
{
	return (ClassCount){.targets = is_target, .others = !is_target};
}

/* The bytes of a number such that their order is that of numbers. */
static Word
NumberAsWord(double number, uint64 *buffer)
{
	*buffer = pg_hton64(UnsignedSortableFloat8(number));
	return (Word){(const char *) buffer, sizeof(*buffer)};
}

/* A set as bytes: each member once, in order, preceded by its length. */
static Word
SetAsWord(Word *members, int nmembers)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	nmembers = DistinctWords(members, nmembers);
	for (int i = 0; i < nmembers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (members[i].length == 0)
			continue;
		appendBinaryStringInfo(&bytes, (const char *) &members[i].length, sizeof(int));
		appendBinaryStringInfo(&bytes, members[i].text, members[i].length);
	}
	return (Word){bytes.data, bytes.len};
}

/* Counts the value of an attribute in the row that StartRow began. */
static void
CountValue(RelevanceState *state, int i, bool isnull, Datum value, bool is_target)
{
	CountedAttribute *attribute = &state->attributes[i];
	AttributeColumn *column = &attribute->column;
	int32 code = NO_LEVEL;
	bool missing = isnull;
	uint64 buffer;
	Word word;

	if (!isnull)
		switch (column->class)
		{
			case COLUMN_NUMBER:
			case COLUMN_DATE:
			{
				double number = column->class == COLUMN_NUMBER ? ColumnNumber(column, value)
															   : ColumnDay(column, value);

				missing = isnan(number);
				word = NumberAsWord(number, &buffer);
				if (column->class == COLUMN_DATE && number > state->known_day)
					attribute->late++;
				break;
			}
			case COLUMN_ARRAY:
			{
				int nmembers;
				Word *members = ColumnWords(column, value, &nmembers);

				word = SetAsWord(members, nmembers);
				break;
			}
			default:
				word = ColumnWord(column, value);
				missing = word.length == 0;
		}
	if (!missing)
		code = CountTargets(attribute->table, word, OneRow(is_target));
	else if (is_target)
		attribute->missing.targets++;
	else
		attribute->missing.others++;
	if (state->of_values)
		state->level[(state->rows.others - 1) * state->nattributes + i] = code;
}

/* A state in the aggregate's own context. */
static RelevanceState *
NewState(MemoryContext parent, int nattributes, bool of_values)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "attribute_relevance", ALLOCSET_DEFAULT_SIZES);
	RelevanceState *state = MemoryContextAllocZero(context, sizeof(RelevanceState));

	state->context = context;
	state->row = AllocSetContextCreate(context, "attribute_relevance row", ALLOCSET_SMALL_SIZES);
	state->nattributes = nattributes;
	state->of_values = of_values;
	state->known_by = -1;
	state->known_day = get_float8_infinity();
	state->attributes =
		MemoryContextAllocZero(context, sizeof(CountedAttribute) * Max(1, nattributes));
	return state;
}

static void
StartAttribute(RelevanceState *state, int i, Oid type)
{
	CountedAttribute *attribute = &state->attributes[i];

	InitAttributeColumn(&attribute->column, type, state->context);
	attribute->table = CreateTargetCounts(state->context);
}

/* Room for `more` rows with values. */
static void
ReserveRows(RelevanceState *state, int64 more)
{
	while (state->room < state->rows.others + more)
		state->value = GrownArray(state->context, state->value, &state->room, sizeof(double));
	while (state->level_room < state->rows.others + more)
		state->level = GrownArray(state->context, state->level, &state->level_room,
								  sizeof(int32) * Max(1, state->nattributes));
}

/* A row with a value, and no attribute yet. */
static void
KeepValue(RelevanceState *state, double value)
{
	if (!isfinite(value))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("a value must be finite, not %g", value)));
	ReserveRows(state, 1);
	state->value[state->rows.others] = value;
	for (int i = 0; i < state->nattributes; i++)
		state->level[state->rows.others * state->nattributes + i] = NO_LEVEL;
	state->rows.others++;
}

/* Counts the row; false if it has no target and is not used further. */
static bool
StartRow(RelevanceState *state, FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(2))
	{
		state->without_target++;
		return false;
	}
	if (state->of_values)
		KeepValue(state, PG_GETARG_FLOAT8(2));
	else if (PG_GETARG_BOOL(2))
		state->rows.targets++;
	else
		state->rows.others++;
	return true;
}

static inline bool
IsTarget(const RelevanceState *state, FunctionCallInfo fcinfo)
{
	return !state->of_values && PG_GETARG_BOOL(2);
}

static Datum
CountAttributeRow(FunctionCallInfo fcinfo, bool of_values)
{
	RelevanceState *state;

	if (PG_ARGISNULL(0))
	{
		state = NewState(AggregateContext(fcinfo, "attribute_relevance"), 1, of_values);
		StartAttribute(state, 0, get_fn_expr_argtype(fcinfo->flinfo, 1));
	}
	else
	{
		AggregateContext(fcinfo, "attribute_relevance");
		state = (RelevanceState *) PG_GETARG_POINTER(0);
	}
	if (StartRow(state, fcinfo))
	{
		MemoryContext caller = MemoryContextSwitchTo(state->row);

		CountValue(state, 0, PG_ARGISNULL(1), PG_GETARG_DATUM(1), IsTarget(state, fcinfo));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(state->row);
	}
	PG_RETURN_POINTER(state);
}

/* (state, attribute of any type, is_target) */
PG_FUNCTION_INFO_V1(attribute_relevance_transfn);
Datum
attribute_relevance_transfn(PG_FUNCTION_ARGS)
{
	return CountAttributeRow(fcinfo, false);
}

/* (state, attribute of any type, value) */
PG_FUNCTION_INFO_V1(value_relevance_transfn);
Datum
value_relevance_transfn(PG_FUNCTION_ARGS)
{
	return CountAttributeRow(fcinfo, true);
}

/* Is the name among the elements of a text array? */
static bool
IsListed(const char *name, ArrayType *list)
{
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(list, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i] && strcmp(TextDatumGetCString(elements[i]), name) == 0)
			return true;
	return false;
}

/* A misspelt name would let in a column that should be ignored. */
static void
CheckIgnored(RelevanceState *state, ArrayType *ignored)
{
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(ignored, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char *name = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
		bool found = name == NULL;

		CHECK_FOR_INTERRUPTS();
		for (int c = 0; c < state->nattributes && !found; c++)
			found = !TupleDescAttr(state->shape.columns, c)->attisdropped &&
					strcmp(NameStr(TupleDescAttr(state->shape.columns, c)->attname), name) == 0;
		if (!found)
			ereport(
				ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("attribute_relevance is to ignore \"%s\", which is no column of the record",
						ShortString(name))));
	}
}

/* The attributes of a record: its columns except dropped and ignored ones. */
static void
StartAttributes(RelevanceState *state, ArrayType *ignored)
{
	if (ignored != NULL)
		CheckIgnored(state, ignored);
	for (int i = 0; i < state->nattributes; i++)
	{
		Form_pg_attribute column = TupleDescAttr(state->shape.columns, i);

		state->attributes[i].name = MemoryContextStrdup(state->context, NameStr(column->attname));
		state->attributes[i].ignored =
			column->attisdropped ||
			(ignored != NULL && IsListed(NameStr(column->attname), ignored));
		if (!column->attisdropped)
			StartAttribute(state, i, column->atttypid);
	}
}

/* Whether it is an attribute that options can give bins to. */
static bool
CanHaveOwnBins(const char *name, const void *arg)
{
	const RelevanceState *state = arg;

	for (int i = 0; i < state->nattributes; i++)
		if (state->attributes[i].table != NULL && strcmp(state->attributes[i].name, name) == 0)
			return state->attributes[i].column.class != COLUMN_ARRAY;
	return false;
}

/* The option "known_by": a day, or the column that has the day of each row. */
static void
TakeKnownBy(RelevanceState *state, Jsonb *options)
{
	JsonbValue value;
	char *text;

	if (!JsonMember(&options->root, "known_by", &value) || value.type == jbvNull)
		return;
	text = JsonString(&value, "\"known_by\"");
	for (int i = 0; i < state->nattributes; i++)
		if (state->attributes[i].table != NULL &&
			state->attributes[i].column.class == COLUMN_DATE &&
			strcmp(state->attributes[i].name, text) == 0)
		{
			state->known_by = i;
			state->attributes[i].ignored = true;
			return;
		}
	state->known_day = DayFromText(text);
}

/* Takes options, which must outlive the state. */
static void
TakeOptions(RelevanceState *state, Jsonb *options)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	CheckBinOptions(options, "attribute_relevance", "known_by", CanHaveOwnBins, state);
	TakeKnownBy(state, options);
	state->options = options;
	for (int i = 0; i < state->nattributes; i++)
	{
		CountedAttribute *attribute = &state->attributes[i];

		if (attribute->table == NULL || attribute->column.class == COLUMN_ARRAY)
			continue;
		attribute->own = ReadOwnBins(options, attribute->name,
									 attribute->column.class == COLUMN_NUMBER ? OWN_NUMBERS
									 : attribute->column.class == COLUMN_DATE ? OWN_DAYS
																			  : OWN_WORDS,
									 false);
	}
	MemoryContextSwitchTo(caller);
}

static Datum
CountRecordRow(FunctionCallInfo fcinfo, bool of_values)
{
	RelevanceState *state = PG_ARGISNULL(0) ? NULL : (RelevanceState *) PG_GETARG_POINTER(0);
	HeapTupleHeader record;
	MemoryContext caller;

	AggregateContext(fcinfo, "attribute_relevance");
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("attribute_relevance needs a record, not NULL"),
						errhint("Write attribute_relevance(c, …) FROM customers AS c.")));
	record = PG_GETARG_HEAPTUPLEHEADER(1);
	if (state == NULL)
	{
		RecordShape shape = {0};
		MemoryContext context = AggregateContext(fcinfo, "attribute_relevance");

		DeformRecord(&shape, record, context);
		state = NewState(context, shape.columns->natts, of_values);
		state->shape = shape;
		StartAttributes(state,
						PG_NARGS() > 3 && !PG_ARGISNULL(3) ? PG_GETARG_ARRAYTYPE_P(3) : NULL);
		if (PG_NARGS() > 4 && !PG_ARGISNULL(4))
		{
			caller = MemoryContextSwitchTo(state->context);
			TakeOptions(state, PG_GETARG_JSONB_P_COPY(4));
			MemoryContextSwitchTo(caller);
		}
	}
	else if (DeformRecord(&state->shape, record, state->context))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("attribute_relevance needs records that have the same columns")));
	if (!StartRow(state, fcinfo))
		PG_RETURN_POINTER(state);

	if (state->known_by >= 0)
		state->known_day = state->shape.nulls[state->known_by]
							   ? get_float8_infinity()
							   : ColumnDay(&state->attributes[state->known_by].column,
										   state->shape.values[state->known_by]);
	caller = MemoryContextSwitchTo(state->row);
	for (int i = 0; i < state->nattributes; i++)
		if (!state->attributes[i].ignored)
			CountValue(state, i, state->shape.nulls[i], state->shape.values[i],
					   IsTarget(state, fcinfo));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row);
	PG_RETURN_POINTER(state);
}

/* (state, record, is_target [, ignored [, options]]) */
PG_FUNCTION_INFO_V1(attribute_relevance_record_transfn);
Datum
attribute_relevance_record_transfn(PG_FUNCTION_ARGS)
{
	return CountRecordRow(fcinfo, false);
}

/* (state, record, value [, ignored [, options]]) */
PG_FUNCTION_INFO_V1(value_relevance_record_transfn);
Datum
value_relevance_record_transfn(PG_FUNCTION_ARGS)
{
	return CountRecordRow(fcinfo, true);
}

/* ---------- states of several processes ---------- */

/* A state for the same attributes, without rows. */
static RelevanceState *
LikeState(MemoryContext parent, const RelevanceState *other)
{
	RelevanceState *state = NewState(parent, other->nattributes, other->of_values);

	for (int i = 0; i < state->nattributes; i++)
	{
		const CountedAttribute *from = &other->attributes[i];

		if (from->name != NULL)
			state->attributes[i].name = MemoryContextStrdup(state->context, from->name);
		state->attributes[i].ignored = from->ignored;
		if (from->table != NULL)
			StartAttribute(state, i, from->column.type);
	}
	if (other->options != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		TakeOptions(state, DatumGetJsonbPCopy(JsonbPGetDatum(other->options)));
		MemoryContextSwitchTo(caller);
	}
	return state;
}

/* Whether attributes of two states are the same. */
static bool
AreSameAttributes(const CountedAttribute *a, const CountedAttribute *b)
{
	return (a->table == NULL) == (b->table == NULL) &&
		   (a->table == NULL || a->column.type == b->column.type) &&
		   (a->name == NULL) == (b->name == NULL) &&
		   (a->name == NULL || strcmp(a->name, b->name) == 0);
}

/* Adds what is known of an attribute; of values the rows must have been added before. */
static void
AddAttribute(RelevanceState *state, const RelevanceState *other, int i)
{
	CountedAttribute *attribute = &state->attributes[i];
	const CountedAttribute *from = &other->attributes[i];
	int n = state->nattributes;
	int32 *to = state->level + (state->rows.others - other->rows.others) * n;
	int32 *code = NULL;

	attribute->missing.targets += from->missing.targets;
	attribute->missing.others += from->missing.others;
	attribute->late += from->late;
	if (from->table == NULL)
		return;
	if (state->of_values)
		code = palloc_extended(mul_size((Size) CountLevels(from->table) + 1, sizeof(int32)),
							   MCXT_ALLOC_HUGE);
	AddTargetCounts(attribute->table, from->table, code);
	if (!state->of_values)
		return;
	for (int64 row = 0; row < other->rows.others; row++)
	{
		int32 level = other->level[row * n + i];

		to[row * n + i] = level == NO_LEVEL ? NO_LEVEL : code[level];
	}
	pfree(code);
}

PG_FUNCTION_INFO_V1(attribute_relevance_combine);
Datum
attribute_relevance_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "attribute_relevance_combine");
	RelevanceState *state = PG_ARGISNULL(0) ? NULL : (RelevanceState *) PG_GETARG_POINTER(0);
	const RelevanceState *other =
		PG_ARGISNULL(1) ? NULL : (const RelevanceState *) PG_GETARG_POINTER(1);
	bool same;

	if (other == NULL)
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = LikeState(context, other);
	same = state->nattributes == other->nattributes;
	for (int i = 0; same && i < state->nattributes; i++)
		same = AreSameAttributes(&state->attributes[i], &other->attributes[i]);
	if (!same)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("attribute_relevance needs records that have the same columns")));
	if (state->of_values && other->rows.others > 0)
	{
		ReserveRows(state, other->rows.others);
		memcpy(state->value + state->rows.others, other->value,
			   other->rows.others * sizeof(double));
		for (int64 i = 0; i < other->rows.others * state->nattributes; i++)
			state->level[state->rows.others * state->nattributes + i] = NO_LEVEL;
	}
	state->without_target += other->without_target;
	state->rows.targets += other->rows.targets;
	state->rows.others += other->rows.others;
	for (int i = 0; i < state->nattributes; i++)
		AddAttribute(state, other, i);
	PG_RETURN_POINTER(state);
}

static void
SendCount(StringInfo out, ClassCount count)
{
	pq_sendint64(out, count.others);
	pq_sendint64(out, count.targets);
}

static ClassCount
ReceiveCount(StringInfo in)
{
	ClassCount count;

	count.others = pq_getmsgint64(in);
	count.targets = pq_getmsgint64(in);
	return count;
}

static void
SendAttribute(StringInfo out, const CountedAttribute *attribute)
{
	int name = attribute->name == NULL ? 0 : strlen(attribute->name);
	int nlevels = attribute->table == NULL ? 0 : CountLevels(attribute->table);
	Level *levels;

	pq_sendbyte(out, attribute->ignored);
	pq_sendint32(out, name);
	SendBytes(out, attribute->name, name);
	pq_sendint32(out, attribute->table == NULL ? InvalidOid : attribute->column.type);
	SendCount(out, attribute->missing);
	pq_sendint64(out, attribute->late);
	if (attribute->table == NULL)
		return;
	levels = LevelsByCode(attribute->table);
	pq_sendint32(out, nlevels);
	for (int i = 0; i < nlevels; i++)
	{
		pq_sendint32(out, levels[i].value.length);
		SendBytes(out, levels[i].value.text, levels[i].value.length);
		SendCount(out, levels[i].count);
	}
	pfree(levels);
}

static void
ReceiveAttribute(StringInfo in, RelevanceState *state, int i)
{
	CountedAttribute *attribute = &state->attributes[i];
	int name;
	Oid type;
	int nlevels;

	attribute->ignored = pq_getmsgbyte(in);
	name = pq_getmsgint(in, 4);
	if (name > 0)
	{
		attribute->name = MemoryContextAllocZero(state->context, name + 1);
		memcpy(attribute->name, pq_getmsgbytes(in, name), name);
	}
	type = pq_getmsgint(in, 4);
	attribute->missing = ReceiveCount(in);
	attribute->late = pq_getmsgint64(in);
	if (!OidIsValid(type))
		return;
	StartAttribute(state, i, type);
	nlevels = pq_getmsgint(in, 4);
	for (int level = 0; level < nlevels; level++)
	{
		Word value;

		CHECK_FOR_INTERRUPTS();
		value.length = pq_getmsgint(in, 4);
		value.text = pq_getmsgbytes(in, value.length);
		CountTargets(attribute->table, value, ReceiveCount(in));
	}
}

PG_FUNCTION_INFO_V1(attribute_relevance_serialize);
Datum
attribute_relevance_serialize(PG_FUNCTION_ARGS)
{
	const RelevanceState *state = (const RelevanceState *) PG_GETARG_POINTER(0);
	int length = state->options == NULL ? 0 : VARSIZE(state->options);
	Size values = state->of_values ? mul_size(state->rows.others, sizeof(double)) : 0;
	Size levels =
		state->of_values ? mul_size(state->rows.others, state->nattributes * sizeof(int32)) : 0;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "attribute_relevance_serialize");
	CheckHandedOver(add_size(values, levels), state->rows.others);
	pq_begintypsend(&out);
	pq_sendbyte(&out, state->of_values);
	pq_sendint32(&out, state->nattributes);
	pq_sendint64(&out, state->without_target);
	SendCount(&out, state->rows);
	for (int i = 0; i < state->nattributes; i++)
		SendAttribute(&out, &state->attributes[i]);
	pq_sendint32(&out, length);
	SendBytes(&out, state->options, length);
	/* the same machine reads them */
	SendBytes(&out, state->value, values);
	SendBytes(&out, state->level, levels);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(attribute_relevance_deserialize);
Datum
attribute_relevance_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in = {.data = VARDATA_ANY(bytes), .len = VARSIZE_ANY_EXHDR(bytes)};
	MemoryContext context = AggregateContext(fcinfo, "attribute_relevance_deserialize");
	bool of_values = pq_getmsgbyte(&in);
	RelevanceState *state = NewState(context, pq_getmsgint(&in, 4), of_values);
	ClassCount rows;
	int length;

	state->without_target = pq_getmsgint64(&in);
	rows = ReceiveCount(&in);
	for (int i = 0; i < state->nattributes; i++)
		ReceiveAttribute(&in, state, i);
	length = pq_getmsgint(&in, 4);
	if (length > 0)
	{
		Jsonb *options = MemoryContextAlloc(state->context, length);

		memcpy(options, pq_getmsgbytes(&in, length), length);
		TakeOptions(state, options);
	}
	if (of_values && rows.others > 0)
	{
		Size values = rows.others * sizeof(double);
		Size levels = rows.others * state->nattributes * sizeof(int32);

		ReserveRows(state, rows.others);
		memcpy(state->value, pq_getmsgbytes(&in, values), values);
		memcpy(state->level, pq_getmsgbytes(&in, levels), levels);
	}
	state->rows = rows;
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---------- the answer ---------- */

const char *
VerdictInWords(const Relevance *relevance, bool few)
{
	double adjusted = relevance->adjusted;
	double value = relevance->information;
	const char *word;

	if (value < 0.02 || relevance->chance > CHANCE_LIMIT ||
		(adjusted > CHANCE_LIMIT && value < 0.1))
		word = "useless";
	else if (adjusted > CHANCE_LIMIT)
		/* it would be proven if nobody had asked about the other attributes */
		word = "not proven";
	else if (relevance->leak != NULL)
		word = psprintf("suspicious: %s", relevance->leak);
	else if (value < 0.1)
		word = "weak";
	else if (value < 0.3)
		word = "medium";
	else if (value <= VERY_STRONG)
		word = "strong";
	else
		word = "very strong";
	return few ? psprintf("%s (fewer than %d to learn from)", word, FEW_TARGETS) : word;
}

static const char *
Verdict(const RelevanceState *state, const Relevance *relevance)
{
	if (state->rows.targets == 0)
		return "unknown: there are no targets";
	if (state->rows.others == 0)
		return "unknown: there are only targets";
	return VerdictInWords(relevance, Min(state->rows.targets, state->rows.others) < FEW_TARGETS);
}

Datum
BinsArray(const Relevance *relevance, Oid bin_type,
		  void (*fill)(const Relevance *relevance, int bin, Datum *values))
{
	TupleDesc columns = lookup_rowtype_tupdesc(bin_type, -1);
	Datum rows[MOST_RELEVANCE_BINS];

	for (int b = 0; b < relevance->nbins; b++)
	{
		Datum values[6];
		bool nulls[6] = {false};

		fill(relevance, b, values);
		rows[b] = HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
	}
	ReleaseTupleDesc(columns);
	return PointerGetDatum(
		construct_array(rows, relevance->nbins, bin_type, -1, false, TYPALIGN_DOUBLE));
}

/* A row of type crm_profile.relevance_bin. */
static void
FillTargetBin(const Relevance *relevance, int b, Datum *values)
{
	ClassCount count = relevance->bins[b].count;
	ClassCount total = {0, 0};

	for (int i = 0; i < relevance->nbins; i++)
	{
		total.targets += relevance->bins[i].count.targets;
		total.others += relevance->bins[i].count.others;
	}
	values[0] = CStringGetTextDatum(relevance->bins[b].label);
	values[1] = Int64GetDatum(count.targets + count.others);
	values[2] = Int64GetDatum(count.targets);
	values[3] = Float8GetDatum((double) count.targets / (count.targets + count.others));
	values[4] = Float8GetDatum(WeightOfEvidence(count, total, relevance->nbins));
	values[5] = Float8GetDatum(GroupInformationValue(count, total, relevance->nbins));
}

/* One row of type crm_profile.relevance. */
static Datum
RelevanceDatum(const RelevanceState *state, int i, const Relevance *relevance, TupleDesc columns)
{
	const CountedAttribute *attribute = &state->attributes[i];
	const Association *a = &relevance->association;
	int64 rows = state->rows.targets + state->rows.others;
	Datum values[15];
	bool nulls[15] = {false};

	nulls[0] = attribute->name == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(attribute->name);
	values[1] = CStringGetTextDatum(Verdict(state, relevance));
	values[2] = Float8GetDatum(a->information_value);
	values[3] = Float8GetDatum(a->cramers_v);
	values[4] = Float8GetDatum(a->mutual_information);
	values[5] = Float8GetDatum(a->chi_square);
	values[6] = Int32GetDatum(a->df);
	values[7] = Float8GetDatum(a->p_value);
	values[8] = Float8GetDatum(relevance->adjusted);
	nulls[9] = a->df == 0;
	values[9] = Float8GetDatum(a->min_expected);
	nulls[10] = rows == 0;
	values[10] = Float8GetDatum(
		rows == 0 ? 0 : (double) (attribute->missing.targets + attribute->missing.others) / rows);
	values[11] = Int64GetDatum(rows);
	values[12] = Int64GetDatum(state->rows.targets);
	values[13] = Int64GetDatum(state->without_target);
	values[14] =
		BinsArray(relevance, get_element_type(TupleDescAttr(columns, 14)->atttypid), FillTargetBin);
	return HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
}

/* The order of the result: the most informative first. */
static int
CompareByInformation(const void *a, const void *b, void *arg)
{
	const Relevance *const *all = arg;
	double x = all[*(const int *) a]->information;
	double y = all[*(const int *) b]->information;

	if (x != y)
		return x > y ? -1 : 1;
	return *(const int *) a - *(const int *) b;
}

/*
 * Marks the first attribute as a leak if it is far more informative than all others that are not
 * leaks.
 */
static void
FindJump(Relevance *const *all, const int *order, int n)
{
	int first = 0;

	while (first < n && all[order[first]]->leak != NULL)
		first++;
	if (first + 2 < n && all[order[first]]->information >
							 Max(VERY_STRONG, JUMP * all[order[first + 1]]->information))
		all[order[first]]->leak = "it tells far more than any other";
}

/* Whether days of the attribute were not known in time. */
static bool
IsLate(const RelevanceState *state, int i)
{
	const CountedAttribute *attribute = &state->attributes[i];
	int64 rows = state->rows.targets + state->rows.others - attribute->missing.targets -
				 attribute->missing.others;

	return attribute->late >= LATE_ROWS && attribute->late >= LATE_SHARE * rows;
}

/* What is told of each attribute that is not ignored, and their order; returns their number. */
static int
MeasureAttributes(const RelevanceState *state, const struct ValueRanks *ranks, Relevance **all,
				  int *order)
{
	double *adjusted = palloc((state->nattributes + 1) * sizeof(double));
	int n = 0;

	for (int i = 0; i < state->nattributes; i++)
	{
		if (state->attributes[i].ignored)
			continue;
		all[i] = palloc(sizeof(Relevance));
		if (state->of_values)
			MeasureValueRelevance(state, ranks, i, all[i]);
		else
			MeasureRelevance(&state->attributes[i], NULL, all[i]);
		if (IsLate(state, i))
			all[i]->leak = "some days lie after known_by";
		adjusted[n] = all[i]->chance;
		order[n++] = i;
	}
	AdjustPValues(adjusted, n);
	for (int k = 0; k < n; k++)
		all[order[k]]->adjusted = adjusted[k];
	pfree(adjusted);
	return n;
}

/* The answer for a record as an array, for a single attribute as a row. */
static Datum
RelevanceOf(FunctionCallInfo fcinfo, bool record)
{
	Oid type = get_func_rettype(fcinfo->flinfo->fn_oid);
	const RelevanceState *state;
	struct ValueRanks *ranks = NULL;
	Relevance **all;
	int *order;
	Datum *rows;
	int n;
	TupleDesc columns;

	AggregateContext(fcinfo, "attribute_relevance");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RelevanceState *) PG_GETARG_POINTER(0);
	all = palloc0((state->nattributes + 1) * sizeof(Relevance *));
	order = palloc((state->nattributes + 1) * sizeof(int));
	rows = palloc((state->nattributes + 1) * sizeof(Datum));
	if (state->of_values && state->rows.others > 0)
		ranks = RankValues(state);
	n = MeasureAttributes(state, ranks, all, order);
	if (record)
	{
		qsort_arg(order, n, sizeof(int), CompareByInformation, all);
		FindJump(all, order, n);
		type = get_element_type(type);
	}
	columns = lookup_rowtype_tupdesc(type, -1);
	for (int k = 0; k < n; k++)
		rows[k] = state->of_values
					  ? ValueRelevanceDatum(state, ranks, order[k], all[order[k]], columns)
					  : RelevanceDatum(state, order[k], all[order[k]], columns);
	ReleaseTupleDesc(columns);
	if (!record)
		PG_RETURN_DATUM(rows[0]);
	PG_RETURN_POINTER(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(attribute_relevance_finalfn);
Datum
attribute_relevance_finalfn(PG_FUNCTION_ARGS)
{
	return RelevanceOf(fcinfo, false);
}

PG_FUNCTION_INFO_V1(attribute_relevance_record_finalfn);
Datum
attribute_relevance_record_finalfn(PG_FUNCTION_ARGS)
{
	return RelevanceOf(fcinfo, true);
}

/* ---------- more than chance ---------- */

/* (found, drawn, marked, total) */
PG_FUNCTION_INFO_V1(excess_p_value);
Datum
excess_p_value(PG_FUNCTION_ARGS)
{
	int64 found = PG_GETARG_INT64(0);
	int64 drawn = PG_GETARG_INT64(1);
	int64 marked = PG_GETARG_INT64(2);
	int64 total = PG_GETARG_INT64(3);

	if (found < 0 || found > drawn || found > marked || Max(drawn, marked) > total)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("counts of a table of four must not exceed their totals")));
	PG_RETURN_FLOAT8(HypergeometricTail(found, drawn, marked, total));
}
