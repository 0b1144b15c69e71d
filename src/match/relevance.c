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
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/sortable_float.h"
#include "base/statistics.h"
#include "match/binning.h"
#include "match/target_counts.h"
#include "profile/attribute_value.h"

#define FEW_TARGETS 50
#define CHANCE_LIMIT 0.05 /* of adjusted p-values: above it an attribute is useless */
#define SURE_RATE 0.98    /* of one class: almost always */
#define SURE_SHARE 0.25   /* share of a class that suffices for a leak */
#define SURE_ROWS 20      /* fewer rows may be pure by chance */
#define VERY_STRONG 0.5   /* information value */
#define JUMP 3            /* times the information of the next attribute: too much to be true */
#define MAX_SET_GROUPS 10 /* members of sets that get a bin */
#define MAX_LABEL_WORDS 6 /* values named in the label of a bin */
/* A word that fewer rows have might identify a person, so no bin names it. */
#define MIN_NAMED 5

/* One attribute in progress. */
typedef struct CountedAttribute
{
	char *name; /* NULL for a single attribute */
	AttributeColumn column;
	TargetCounts *table;
	ClassCount missing;
	bool ignored;
} CountedAttribute;

/* The state of the aggregates. */
typedef struct RelevanceState
{
	MemoryContext context;
	MemoryContext row; /* reset after each row */
	RecordShape shape; /* of records only */
	int nattributes;
	CountedAttribute *attributes;
	ClassCount rows;
	int64 without_target;
} RelevanceState;

/* One bin of the answer. */
typedef struct LabeledBin
{
	char *label;
	ClassCount count;
} LabeledBin;

/* The answer for one attribute. */
typedef struct Relevance
{
	int nbins;
	LabeledBin bins[MAX_ATTRIBUTE_BINS + 1];
	Association association;
	double chance; /* p-value corrected for the search for bins */
	double ratio;  /* likelihood ratio behind the bins, and the part expected by chance */
	double luck;
	const char *leak; /* why it may leak the answer, or NULL */
} Relevance;

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

static double
NumberFromBytes(Word word)
{
	uint64 bits;

	memcpy(&bits, word.text, sizeof(bits));
	return Float8FromUnsignedSortable(pg_ntoh64(bits));
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

/* The next member of a set that SetAsWord made. */
static bool
NextMember(Word set, int *at, Word *member)
{
	if (*at >= set.length)
		return false;
	memcpy(&member->length, set.text + *at, sizeof(int));
	member->text = set.text + *at + sizeof(int);
	*at += sizeof(int) + member->length;
	return true;
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
NewState(FunctionCallInfo fcinfo, int nattributes)
{
	MemoryContext context = AllocSetContextCreate(AggregateContext(fcinfo, "attribute_relevance"),
												  "attribute_relevance", ALLOCSET_DEFAULT_SIZES);
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
		state = NewState(fcinfo, 1);
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

/* (state, record, is_target [, ignored]) */
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
		state = NewState(fcinfo, shape.columns->natts);
		state->shape = shape;
		StartAttributes(state,
						PG_NARGS() > 3 && !PG_ARGISNULL(3) ? PG_GETARG_ARRAYTYPE_P(3) : NULL);
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

/* ---------- bins and their labels ---------- */

static char *
LevelText(const CountedAttribute *attribute, Word value)
{
	switch (attribute->column.class)
	{
		case COLUMN_NUMBER:
			return float8out_internal(NumberFromBytes(value));
		case COLUMN_DATE:
			return DayText(NumberFromBytes(value));
		default:
			return pnstrdup(value.text, value.length);
	}
}

static void
AppendBin(Relevance *relevance, char *label, ClassCount count)
{
	relevance->bins[relevance->nbins].label = label;
	relevance->bins[relevance->nbins++].count = count;
}

static void
TakeEvidence(Relevance *relevance, const Bins *bins)
{
	relevance->chance = bins->p_value;
	relevance->ratio = bins->ratio;
	relevance->luck = bins->luck;
}

/* Ranges of numbers or days, named after the values found at their borders. */
static void
BinRanges(const CountedAttribute *attribute, const Level *levels, int nlevels,
		  const ClassCount *counts, Relevance *relevance)
{
	uint16 *bin = palloc_extended(mul_size((Size) nlevels + 1, sizeof(uint16)), MCXT_ALLOC_HUGE);
	Bins bins = BinOrderedLevels(counts, nlevels, bin);

	for (int b = 0; b < bins.nbins; b++)
	{
		ClassCount count = {0, 0};
		int first = -1;
		int last = -1;
		char *label;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nlevels; i++)
			if (bin[i] == b)
			{
				if (first < 0)
					first = i;
				last = i;
				count.targets += counts[i].targets;
				count.others += counts[i].others;
			}
		label = LevelText(attribute, levels[first].value);
		if (first == last)
			/* a single value is its own label */;
		else if (bins.nbins == 1)
			label = pstrdup("any");
		else if (first == 0 && last == nlevels - 1)
			label = pstrdup("any other");
		else if (first == 0)
			label = psprintf("up to %s", LevelText(attribute, levels[last].value));
		else if (last == nlevels - 1)
			label = psprintf("%s and more", label);
		else
			label = psprintf("%s to %s", label, LevelText(attribute, levels[last].value));
		AppendBin(relevance, label, count);
	}
	TakeEvidence(relevance, &bins);
	pfree(bin);
}

/* Groups of words, the highest rate first. */
static void
BinWords(const CountedAttribute *attribute, const Level *levels, int nlevels,
		 const ClassCount *counts, Relevance *relevance)
{
	uint16 *bin = palloc_extended(mul_size((Size) nlevels + 1, sizeof(uint16)), MCXT_ALLOC_HUGE);
	Bins bins = BinNominalLevels(counts, nlevels, bin);

	for (int b = bins.nbins - 1; b >= 0; b--)
	{
		StringInfoData label;
		ClassCount count = {0, 0};
		int named = 0;
		int unnamed = 0;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&label);
		for (int i = 0; i < nlevels; i++)
			if (bin[i] == b)
			{
				if (named < MAX_LABEL_WORDS && counts[i].targets + counts[i].others >= MIN_NAMED)
					appendStringInfo(&label, "%s%s", named++ > 0 ? ", " : "",
									 LevelText(attribute, levels[i].value));
				else
					unnamed++;
				count.targets += counts[i].targets;
				count.others += counts[i].others;
			}
		if (named == 0)
			appendStringInfo(&label, "%d rare value%s", unnamed, unnamed == 1 ? "" : "s");
		else if (unnamed > 0)
			appendStringInfo(&label, " and %d more", unnamed);
		AppendBin(relevance, label.data, count);
	}
	TakeEvidence(relevance, &bins);
	pfree(bin);
}

/* A member of sets, with the rows whose sets have it. */
typedef struct InformativeMember
{
	const Level *member;
	double chance; /* probability that having it makes no difference */
} InformativeMember;

static int
CompareInformative(const InformativeMember *x, const InformativeMember *y)
{
	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return CompareWords(&x->member->value, &y->member->value);
}

#define ST_SORT SortInformative
#define ST_ELEMENT_TYPE InformativeMember
#define ST_COMPARE(a, b) CompareInformative(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The informative members of sets, the most informative first. */
static InformativeMember *
FindInformativeMembers(const Level *levels, int nlevels, const ClassCount *counts,
					   int *ninformative, int *tried, double *chance)
{
	TargetCounts *table = CreateTargetCounts(CurrentMemoryContext);
	ClassCount total = SumClassCounts(counts, nlevels);
	double min_size = MinBinSize(total);
	const Level *members;
	int nmembers;
	InformativeMember *informative;
	int n = 0;

	for (int i = 0; i < nlevels; i++)
	{
		int at = 0;
		Word member;

		CHECK_FOR_INTERRUPTS();
		while (NextMember(levels[i].value, &at, &member))
			CountTargets(table, member, counts[i]);
	}
	members = SortedLevels(table, &nmembers);
	informative =
		palloc_extended(mul_size((Size) nmembers + 1, sizeof(InformativeMember)), MCXT_ALLOC_HUGE);
	*chance = 1.0;
	for (int i = 0; i < nmembers; i++)
	{
		ClassCount split[2] = {members[i].count};
		double p;

		CHECK_FOR_INTERRUPTS();
		split[1].targets = total.targets - split[0].targets;
		split[1].others = total.others - split[0].others;
		if (split[0].targets + split[0].others < min_size ||
			split[1].targets + split[1].others < min_size)
			continue;
		/* as many questions as there are members */
		p = Min(1.0, nmembers * MeasureAssociation(split, 2).p_value);
		*chance = Min(*chance, p);
		if (p < CHANCE_LIMIT)
			informative[n++] = (InformativeMember){&members[i], p};
	}
	SortInformative(informative, n);
	*tried = nmembers;
	*ninformative = Min(n, MAX_SET_GROUPS);
	return informative;
}

static bool
SetHas(Word set, Word wanted)
{
	int at = 0;
	Word member;

	while (NextMember(set, &at, &member))
		if (WordsAreEqual(member, wanted))
			return true;
	return false;
}

/* Bins sets by the first informative member that they have. */
static void
BinSets(const Level *levels, int nlevels, const ClassCount *counts, Relevance *relevance)
{
	int ninformative;
	int tried;
	InformativeMember *informative =
		FindInformativeMembers(levels, nlevels, counts, &ninformative, &tried, &relevance->chance);
	ClassCount groups[MAX_SET_GROUPS + 1] = {{0}};

	for (int i = 0; i < nlevels; i++)
	{
		int g = 0;

		CHECK_FOR_INTERRUPTS();
		while (g < ninformative && !SetHas(levels[i].value, informative[g].member->value))
			g++;
		groups[g].targets += counts[i].targets;
		groups[g].others += counts[i].others;
	}
	for (int g = 0; g <= ninformative; g++)
	{
		Word value = g < ninformative ? informative[g].member->value : (Word){"", 0};

		if (groups[g].targets + groups[g].others == 0)
			continue;
		AppendBin(relevance,
				  g < ninformative
					  ? psprintf("%s%s", g > 0 ? "else " : "", pnstrdup(value.text, value.length))
					  : pstrdup(ninformative > 0 ? "none of these" : "any"),
				  groups[g]);
	}
	/* each member is the best of the remaining ones */
	relevance->ratio = LikelihoodRatio(groups, ninformative + 1);
	for (int g = 0; g < ninformative; g++)
		relevance->luck += 1 + log((double) (tried - g));
}

/*
 * Why an attribute may leak the answer: it has almost no value for one class, or names the other.
 */
static const char *
FindLeak(ClassCount missing, const ClassCount *groups, int ngroups)
{
	ClassCount total = SumClassCounts(groups, ngroups);
	bool targets_rarer = total.targets <= total.others;
	double rarer = Min(total.targets, total.others);
	ClassCount sure = {0, 0};
	double of_targets;
	double of_others;

	if (rarer < SURE_ROWS)
		return NULL;
	of_targets = 1 - (double) missing.targets / total.targets;
	of_others = 1 - (double) missing.others / total.others;
	if (of_others < 1 - SURE_RATE && of_targets >= SURE_SHARE)
		return "known for targets only";
	if (of_targets < 1 - SURE_RATE && of_others >= SURE_SHARE)
		return "known for others only";
	for (int g = 0; g < ngroups; g++)
	{
		double of_rarer = targets_rarer ? groups[g].targets : groups[g].others;

		if (of_rarer >= SURE_RATE * (groups[g].targets + groups[g].others))
		{
			sure.targets += groups[g].targets;
			sure.others += groups[g].others;
		}
	}
	if ((targets_rarer ? sure.targets : sure.others) < Max(SURE_ROWS, SURE_SHARE * rarer))
		return NULL;
	return targets_rarer ? "some values mean a target almost always"
						 : "some values mean no target almost always";
}

/* Bins one attribute and computes its statistics. */
static void
Measure(const CountedAttribute *attribute, Relevance *relevance)
{
	int nlevels;
	Level *levels = SortedLevels(attribute->table, &nlevels);
	ClassCount *counts =
		palloc_extended(mul_size((Size) nlevels + 1, sizeof(ClassCount)), MCXT_ALLOC_HUGE);
	ClassCount groups[MAX_ATTRIBUTE_BINS + 1];

	CHECK_FOR_INTERRUPTS();
	memset(relevance, 0, sizeof(*relevance));
	for (int i = 0; i < nlevels; i++)
		counts[i] = levels[i].count;
	relevance->chance = 1.0;
	if (nlevels == 0)
		/* all values are missing */;
	else if (attribute->column.class == COLUMN_NUMBER || attribute->column.class == COLUMN_DATE)
		BinRanges(attribute, levels, nlevels, counts, relevance);
	else if (attribute->column.class == COLUMN_ARRAY)
		BinSets(levels, nlevels, counts, relevance);
	else
		BinWords(attribute, levels, nlevels, counts, relevance);

	if (attribute->missing.targets + attribute->missing.others > 0)
	{
		ClassCount split[2] = {attribute->missing, SumClassCounts(counts, nlevels)};

		AppendBin(relevance, pstrdup("(missing)"), attribute->missing);
		if (nlevels > 0)
			relevance->chance =
				Min(1.0, 2 * Min(relevance->chance, MeasureAssociation(split, 2).p_value));
		relevance->ratio += LikelihoodRatio(split, 2);
		relevance->luck += 1;
	}
	for (int b = 0; b < relevance->nbins; b++)
		groups[b] = relevance->bins[b].count;
	relevance->association = MeasureAssociation(groups, relevance->nbins);
	relevance->association.information_value *= SignalShare(relevance->ratio, relevance->luck);
	relevance->leak = FindLeak(attribute->missing, groups, relevance->nbins);
	pfree(counts);
	pfree(levels);
}

/* ---------- the answer ---------- */

static const char *
Verdict(const RelevanceState *state, const Relevance *relevance, double adjusted)
{
	double value = relevance->association.information_value;
	bool few = Min(state->rows.targets, state->rows.others) < FEW_TARGETS;
	const char *word;

	if (state->rows.targets == 0)
		return "unknown: there are no targets";
	if (state->rows.others == 0)
		return "unknown: there are only targets";
	if (value < 0.02 || (adjusted > CHANCE_LIMIT && value < 0.1))
		word = "useless";
	else if (adjusted > CHANCE_LIMIT)
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
	Datum rows[MAX_ATTRIBUTE_BINS + 1];
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
			   const Relevance *relevance, double adjusted, TupleDesc columns)
{
	const Association *a = &relevance->association;
	int64 rows = state->rows.targets + state->rows.others;
	Oid bin_type = get_element_type(TupleDescAttr(columns, 14)->atttypid);
	Datum values[15];
	bool nulls[15] = {false};

	nulls[0] = attribute->name == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(attribute->name);
	values[1] = CStringGetTextDatum(Verdict(state, relevance, adjusted));
	values[2] = Float8GetDatum(a->information_value);
	values[3] = Float8GetDatum(a->cramers_v);
	values[4] = Float8GetDatum(a->mutual_information);
	values[5] = Float8GetDatum(a->chi_square);
	values[6] = Int32GetDatum(a->df);
	values[7] = Float8GetDatum(a->p_value);
	values[8] = Float8GetDatum(adjusted);
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
	Measure(&state->attributes[0], relevance);
	result = RelevanceDatum(state, &state->attributes[0], relevance, relevance->chance, columns);
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
	double *chance;
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
	chance = palloc((state->nattributes + 1) * sizeof(double));
	rows = palloc((state->nattributes + 1) * sizeof(Datum));
	for (int i = 0; i < state->nattributes; i++)
	{
		if (state->attributes[i].ignored)
			continue;
		all[i] = palloc(sizeof(Relevance));
		Measure(&state->attributes[i], all[i]);
		chance[n] = all[i]->chance;
		order[n++] = i;
	}
	AdjustPValues(chance, n);
	for (int k = 0; k < n; k++)
		all[order[k]]->chance = chance[k];
	qsort_arg(order, n, sizeof(int), CompareByInformation, all);
	FindJump(all, order, n);

	columns = lookup_rowtype_tupdesc(type, -1);
	for (int k = 0; k < n; k++)
		rows[k] = RelevanceDatum(state, &state->attributes[order[k]], all[order[k]],
								 all[order[k]]->chance, columns);
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
