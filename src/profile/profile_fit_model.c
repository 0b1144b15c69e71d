/*
 * profile_fit_model.c: from the counts of profile_fit() to a profile_model: kinds, ranges and
 * dictionaries.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_enum.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "profile/profile_fit_state.h"

/* From this many rows on, text whose values are all different is an identifier. */
#define MIN_IDENTIFIER_ROWS 100

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
		if (column->asymmetric && att->kind != KIND_BOOLEAN && att->kind != KIND_SET)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("attribute \"%s\" cannot be asymmetric, since it is %s", att->name,
							AttributeKindName(att->kind)),
					 errdetail("Booleans and sets can, where to have something says more than "
							   "to lack it."),
					 errhint("Give its kind as boolean: {\"kinds\": {\"%s\": "
							 "\"boolean\"}}.",
							 att->name)));
		att->joint = column->asymmetric ? ABSENCE_IGNORED : ABSENCE_COUNTS;
		att->numbers =
			att->kind == KIND_NUMERIC && IsWholeNumber(column->type) ? NUMBERS_WHOLE : NUMBERS_ANY;
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
