/*
 * relevance.c: attribute_relevance, how well each attribute tells targets from others.
 *
 * The state counts targets and others by distinct value; bins, statistics and labels are made at
 * the end.  A single attribute and a whole record share all of it.
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
#include "base/sortable_float.h"
#include "base/statistics.h"
#include "match/relevance_bins.h"

#define FEW_TARGETS 50
#define VERY_STRONG 0.5 /* information value */
#define JUMP 3          /* times the information of the next attribute: too much to be true */

/* The state of the aggregates. */
typedef struct RelevanceState
{
	MemoryContext context;
	MemoryContext row; /* reset after each row */
	RecordShape shape; /* of records only */
	Jsonb *options;    /* bins that are given; NULL for none */
	int nattributes;
	CountedAttribute *attributes;
	ClassCount rows;
	int64 without_target;
} RelevanceState;

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

static void
CountValue(CountedAttribute *attribute, bool isnull, Datum value, bool is_target)
{
	AttributeColumn *column = &attribute->column;
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
		CountTargets(attribute->table, word, OneRow(is_target));
	else if (is_target)
		attribute->missing.targets++;
	else
		attribute->missing.others++;
}

/* A state in the aggregate's own context. */
static RelevanceState *
NewState(MemoryContext parent, int nattributes)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "attribute_relevance", ALLOCSET_DEFAULT_SIZES);
	RelevanceState *state = MemoryContextAllocZero(context, sizeof(RelevanceState));

	state->context = context;
	state->row = AllocSetContextCreate(context, "attribute_relevance row", ALLOCSET_SMALL_SIZES);
	state->nattributes = nattributes;
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

/* Counts the row; false if it has no target and is not used further. */
static bool
StartRow(RelevanceState *state, FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(2))
	{
		state->without_target++;
		return false;
	}
	if (PG_GETARG_BOOL(2))
		state->rows.targets++;
	else
		state->rows.others++;
	return true;
}

/* (state, attribute of any type, is_target) */
PG_FUNCTION_INFO_V1(attribute_relevance_transfn);
Datum
attribute_relevance_transfn(PG_FUNCTION_ARGS)
{
	RelevanceState *state;

	if (PG_ARGISNULL(0))
	{
		state = NewState(AggregateContext(fcinfo, "attribute_relevance"), 1);
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

		CountValue(&state->attributes[0], PG_ARGISNULL(1), PG_GETARG_DATUM(1), PG_GETARG_BOOL(2));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(state->row);
	}
	PG_RETURN_POINTER(state);
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
						name)));
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

/* Takes options, which must outlive the state. */
static void
TakeOptions(RelevanceState *state, Jsonb *options)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	CheckBinOptions(options, "attribute_relevance", CanHaveOwnBins, state);
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

/* (state, record, is_target [, ignored [, options]]) */
PG_FUNCTION_INFO_V1(attribute_relevance_record_transfn);
Datum
attribute_relevance_record_transfn(PG_FUNCTION_ARGS)
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
		state = NewState(context, shape.columns->natts);
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

	caller = MemoryContextSwitchTo(state->row);
	for (int i = 0; i < state->nattributes; i++)
		if (!state->attributes[i].ignored)
			CountValue(&state->attributes[i], state->shape.nulls[i], state->shape.values[i],
					   PG_GETARG_BOOL(2));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->row);
	PG_RETURN_POINTER(state);
}

/* ---------- states of several processes ---------- */

/* A state for the same attributes, without rows. */
static RelevanceState *
LikeState(MemoryContext parent, const RelevanceState *other)
{
	RelevanceState *state = NewState(parent, other->nattributes);

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

PG_FUNCTION_INFO_V1(attribute_relevance_combine);
Datum
attribute_relevance_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "attribute_relevance_combine");
	RelevanceState *state = PG_ARGISNULL(0) ? NULL : (RelevanceState *) PG_GETARG_POINTER(0);
	const RelevanceState *other =
		PG_ARGISNULL(1) ? NULL : (const RelevanceState *) PG_GETARG_POINTER(1);

	if (other == NULL)
		PG_RETURN_STATE(state);
	if (state == NULL)
		state = LikeState(context, other);
	if (state->nattributes != other->nattributes)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("attribute_relevance needs records that have the same columns")));
	state->without_target += other->without_target;
	state->rows.targets += other->rows.targets;
	state->rows.others += other->rows.others;
	for (int i = 0; i < state->nattributes; i++)
	{
		CountedAttribute *attribute = &state->attributes[i];
		const CountedAttribute *from = &other->attributes[i];

		if ((attribute->table == NULL) != (from->table == NULL) ||
			(from->table != NULL && attribute->column.type != from->column.type) ||
			(from->name != NULL && strcmp(attribute->name, from->name) != 0))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("attribute_relevance needs records that have the same columns")));
		attribute->missing.targets += from->missing.targets;
		attribute->missing.others += from->missing.others;
		if (from->table != NULL)
			AddTargetCounts(attribute->table, from->table);
	}
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
	int nlevels;
	Level *levels;

	pq_sendbyte(out, attribute->ignored);
	pq_sendint32(out, name);
	pq_sendbytes(out, attribute->name, name);
	pq_sendint32(out, attribute->table == NULL ? InvalidOid : attribute->column.type);
	SendCount(out, attribute->missing);
	if (attribute->table == NULL)
		return;
	levels = SortedLevels(attribute->table, &nlevels);
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
	StringInfoData out;

	(void) AggregateContext(fcinfo, "attribute_relevance_serialize");
	pq_begintypsend(&out);
	pq_sendint32(&out, state->nattributes);
	pq_sendint64(&out, state->without_target);
	SendCount(&out, state->rows);
	for (int i = 0; i < state->nattributes; i++)
		SendAttribute(&out, &state->attributes[i]);
	pq_sendint32(&out, length);
	SendBytes(&out, state->options, length);
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(attribute_relevance_deserialize);
Datum
attribute_relevance_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in = {.data = VARDATA_ANY(bytes), .len = VARSIZE_ANY_EXHDR(bytes)};
	MemoryContext context = AggregateContext(fcinfo, "attribute_relevance_deserialize");
	RelevanceState *state = NewState(context, pq_getmsgint(&in, 4));
	int length;

	state->without_target = pq_getmsgint64(&in);
	state->rows = ReceiveCount(&in);
	for (int i = 0; i < state->nattributes; i++)
		ReceiveAttribute(&in, state, i);
	length = pq_getmsgint(&in, 4);
	if (length > 0)
	{
		Jsonb *options = MemoryContextAlloc(state->context, length);

		memcpy(options, pq_getmsgbytes(&in, length), length);
		TakeOptions(state, options);
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---------- the answer ---------- */

static const char *
Verdict(const RelevanceState *state, const Relevance *relevance)
{
	double adjusted = relevance->adjusted;
	double value = relevance->association.information_value;
	bool few = Min(state->rows.targets, state->rows.others) < FEW_TARGETS;
	const char *word;

	if (state->rows.targets == 0)
		return "unknown: there are no targets";
	if (state->rows.others == 0)
		return "unknown: there are only targets";
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

static Datum
BinsDatum(const Relevance *relevance, Oid bin_type)
{
	TupleDesc columns = lookup_rowtype_tupdesc(bin_type, -1);
	Datum rows[MOST_RELEVANCE_BINS];
	ClassCount total = {0, 0};

	for (int b = 0; b < relevance->nbins; b++)
	{
		total.targets += relevance->bins[b].count.targets;
		total.others += relevance->bins[b].count.others;
	}
	for (int b = 0; b < relevance->nbins; b++)
	{
		ClassCount count = relevance->bins[b].count;
		Datum values[6];
		bool nulls[6] = {false};

		values[0] = CStringGetTextDatum(relevance->bins[b].label);
		values[1] = Int64GetDatum(count.targets + count.others);
		values[2] = Int64GetDatum(count.targets);
		values[3] = Float8GetDatum((double) count.targets / (count.targets + count.others));
		values[4] = Float8GetDatum(WeightOfEvidence(count, total, relevance->nbins));
		values[5] = Float8GetDatum(GroupInformationValue(count, total, relevance->nbins));
		rows[b] = HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
	}
	ReleaseTupleDesc(columns);
	return PointerGetDatum(
		construct_array(rows, relevance->nbins, bin_type, -1, false, TYPALIGN_DOUBLE));
}

/* One row of type crm_profile.relevance. */
static Datum
RelevanceDatum(const RelevanceState *state, const CountedAttribute *attribute,
			   const Relevance *relevance, TupleDesc columns)
{
	const Association *a = &relevance->association;
	int64 rows = state->rows.targets + state->rows.others;
	Oid bin_type = get_element_type(TupleDescAttr(columns, 14)->atttypid);
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
	values[14] = BinsDatum(relevance, bin_type);
	return HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
}

PG_FUNCTION_INFO_V1(attribute_relevance_finalfn);
Datum
attribute_relevance_finalfn(PG_FUNCTION_ARGS)
{
	RelevanceState *state;
	Relevance *relevance = palloc(sizeof(Relevance));
	TupleDesc columns;
	Datum result;

	AggregateContext(fcinfo, "attribute_relevance");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RelevanceState *) PG_GETARG_POINTER(0);
	columns = lookup_rowtype_tupdesc(get_func_rettype(fcinfo->flinfo->fn_oid), -1);
	MeasureRelevance(&state->attributes[0], relevance);
	relevance->adjusted = relevance->chance;
	result = RelevanceDatum(state, &state->attributes[0], relevance, columns);
	ReleaseTupleDesc(columns);
	PG_RETURN_DATUM(result);
}

/* The order of the result: the most informative first. */
static int
CompareByInformation(const void *a, const void *b, void *arg)
{
	const Relevance *const *all = arg;
	double x = all[*(const int *) a]->association.information_value;
	double y = all[*(const int *) b]->association.information_value;

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
	if (first + 2 < n &&
		all[order[first]]->association.information_value >
			Max(VERY_STRONG, JUMP * all[order[first + 1]]->association.information_value))
		all[order[first]]->leak = "it tells far more than any other";
}

PG_FUNCTION_INFO_V1(attribute_relevance_record_finalfn);
Datum
attribute_relevance_record_finalfn(PG_FUNCTION_ARGS)
{
	RelevanceState *state;
	Oid type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	Relevance **all;
	double *adjusted;
	int *order;
	Datum *rows;
	int n = 0;
	TupleDesc columns;

	AggregateContext(fcinfo, "attribute_relevance");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RelevanceState *) PG_GETARG_POINTER(0);
	all = palloc0((state->nattributes + 1) * sizeof(Relevance *));
	order = palloc((state->nattributes + 1) * sizeof(int));
	adjusted = palloc((state->nattributes + 1) * sizeof(double));
	rows = palloc((state->nattributes + 1) * sizeof(Datum));
	for (int i = 0; i < state->nattributes; i++)
	{
		if (state->attributes[i].ignored)
			continue;
		all[i] = palloc(sizeof(Relevance));
		MeasureRelevance(&state->attributes[i], all[i]);
		adjusted[n] = all[i]->chance;
		order[n++] = i;
	}
	AdjustPValues(adjusted, n);
	for (int k = 0; k < n; k++)
		all[order[k]]->adjusted = adjusted[k];
	qsort_arg(order, n, sizeof(int), CompareByInformation, all);
	FindJump(all, order, n);

	columns = lookup_rowtype_tupdesc(type, -1);
	for (int k = 0; k < n; k++)
		rows[k] = RelevanceDatum(state, &state->attributes[order[k]], all[order[k]], columns);
	ReleaseTupleDesc(columns);
	PG_RETURN_POINTER(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
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
