/*
 * relevance_bins.c: the bins of an attribute, their labels, and how well they tell targets from
 * others.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/float.h"

#include "base/sortable_float.h"
#include "base/statistics.h"
#include "match/relevance_bins.h"

#define SURE_RATE 0.98    /* of one class: almost always */
#define SURE_SHARE 0.25   /* share of a class that suffices for a leak */
#define SURE_ROWS 20      /* fewer rows may be pure by chance */
#define MAX_SET_GROUPS 10 /* members of sets that get a bin */
#define MAX_LABEL_WORDS 6 /* values named in the label of a bin */
/* A word that fewer rows have might identify a person, so no bin names it. */
#define MIN_NAMED 5

static double
NumberFromBytes(Word word)
{
	uint64 bits;

	memcpy(&bits, word.text, sizeof(bits));
	return Float8FromUnsignedSortable(pg_ntoh64(bits));
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

static const Outcome Targets = {.is_value = false};

/* The distinct values of an attribute. */
typedef struct Values
{
	const CountedAttribute *attribute;
	Outcome outcome;
	Level *levels;
	int n;
	Tally *tallies;
	Tally missing;
	uint8 *alone;  /* of each: the number of the special value that it is, from 1 on, or 0 */
	Tally *common; /* tallies of those that are none */
} Values;

/* A bin, and its number; without rows there is none, and its number is -1. */
static int
AppendBin(Relevance *relevance, char *label, ClassCount count)
{
	if (count.targets + count.others == 0)
		return -1;
	relevance->bins[relevance->nbins].label = label;
	relevance->bins[relevance->nbins].count = count;
	return relevance->nbins++;
}

/* Tells in which bin of the answer a level is; of targets nobody asks. */
static inline void
PutLevel(Relevance *relevance, const Level *level, int bin)
{
	if (relevance->bin_of_level != NULL)
		relevance->bin_of_level[level->code] = bin;
}

/* The same of all levels that are not special, by the number that each bin got. */
static void
PutLevels(const Values *v, Relevance *relevance, const uint16 *bin, const int *number)
{
	for (int i = 0; i < v->n; i++)
		if (v->alone[i] == 0)
			PutLevel(relevance, &v->levels[i], number[bin[i]]);
}

static void
TakeEvidence(Relevance *relevance, const Bins *bins)
{
	relevance->chance = bins->p_value;
	relevance->ratio = bins->ratio;
	relevance->luck = bins->luck;
}

static bool
HasOrder(const CountedAttribute *attribute)
{
	return attribute->column.class == COLUMN_NUMBER || attribute->column.class == COLUMN_DATE;
}

static int
SpecialOf(const CountedAttribute *attribute, Word value)
{
	if (attribute->own == NULL)
		return 0;
	return HasOrder(attribute) ? SpecialNumber(attribute->own, NumberFromBytes(value))
							   : SpecialWord(attribute->own, value);
}

static Values
OpenValues(const CountedAttribute *attribute, const LevelValues *values)
{
	Values v = {.attribute = attribute, .outcome = values == NULL ? Targets : values->outcome};
	Size room;

	v.levels = SortedLevels(attribute->table, &v.n);
	v.missing = values == NULL ? TallyOf(attribute->missing) : values->missing;
	room = (Size) v.n + 1;
	v.tallies = palloc_extended(mul_size(room, sizeof(Tally)), MCXT_ALLOC_HUGE);
	v.common = palloc_extended(mul_size(room, sizeof(Tally)), MCXT_ALLOC_HUGE);
	v.alone = palloc_extended(room, MCXT_ALLOC_HUGE);
	for (int i = 0; i < v.n; i++)
	{
		v.tallies[i] =
			values == NULL ? TallyOf(v.levels[i].count) : values->of_level[v.levels[i].code];
		v.alone[i] = SpecialOf(attribute, v.levels[i].value);
		v.common[i] = v.alone[i] > 0 ? (Tally){0} : v.tallies[i];
	}
	return v;
}

/* Bins that are given, or found. */
static Bins
FindBins(const Values *v, uint16 *bin)
{
	const CountedAttribute *attribute = v->attribute;
	const OwnBins *own = attribute->own;
	bool ordered = HasOrder(attribute);
	uint8 *given;
	Bins bins;

	if (own == NULL || own->nbreaks == 0)
		return ordered ? BinOrderedLevels(v->common, v->n, &v->outcome, bin)
					   : BinNominalLevels(v->common, v->n, &v->outcome, bin);
	given = palloc_extended((Size) v->n + 1, MCXT_ALLOC_HUGE);
	for (int i = 0; i < v->n; i++)
		given[i] = ordered ? RangeOfNumber(own, NumberFromBytes(v->levels[i].value))
						   : GroupOfWord(own, v->levels[i].value);
	bins = TakeGivenBins(v->common, v->n, &v->outcome, given,
						 1 + (ordered ? own->nbreaks : own->ngroups), bin);
	pfree(given);
	return bins;
}

static ClassCount
CountBin(const Values *v, const uint16 *bin, int b)
{
	ClassCount count = {0, 0};

	for (int i = 0; i < v->n; i++)
		if (bin[i] == b && v->alone[i] == 0)
		{
			count.targets += v->levels[i].count.targets;
			count.others += v->levels[i].count.others;
		}
	return count;
}

static char *
NumberText(const CountedAttribute *attribute, double number)
{
	return attribute->column.class == COLUMN_DATE ? DayText(number) : float8out_internal(number);
}

/* "30 to below 45", between borders that somebody gave. */
static char *
GivenRangeLabel(const CountedAttribute *attribute, int range)
{
	const OwnBins *own = attribute->own;
	double low = range > 0 ? own->breaks[range - 1].number : -HUGE_VAL;
	double high = range < own->nbreaks ? own->breaks[range].number : HUGE_VAL;
	char *whole = IsWholeNumber(attribute->column.type) ? WholeRangeText(low, high) : NULL;
	char *from = range > 0 ? NumberText(attribute, low) : NULL;
	char *to = range < own->nbreaks ? NumberText(attribute, high) : NULL;

	if (whole != NULL)
		return whole;
	if (from == NULL)
		return psprintf("below %s", to);
	return to == NULL ? psprintf("%s and more", from) : psprintf("%s to below %s", from, to);
}

/* A range named after the values found at its borders. */
static char *
FoundRangeLabel(const Values *v, const uint16 *bin, int nbins, int b)
{
	const CountedAttribute *attribute = v->attribute;
	int lowest = v->n;
	int highest = -1;
	int first = v->n;
	int last = -1;
	char *label;

	for (int i = 0; i < v->n; i++)
		if (v->alone[i] == 0)
		{
			lowest = Min(lowest, i);
			highest = i;
			if (bin[i] == b)
			{
				first = Min(first, i);
				last = i;
			}
		}
	/* nobody: all values have bins of their own */
	if (last < 0)
		return pstrdup("any");
	label = LevelText(attribute, v->levels[first].value);
	if (first == last)
		return label; /* a single value is its own label */
	if (nbins == 1)
		return pstrdup("any");
	if (first == lowest && last == highest)
		return pstrdup("any other");
	if (first == lowest)
		return psprintf("up to %s", LevelText(attribute, v->levels[last].value));
	if (last == highest)
		return psprintf("%s and more", label);
	return psprintf("%s to %s", label, LevelText(attribute, v->levels[last].value));
}

/* Ranges of numbers or days. */
static void
BinRanges(const Values *v, Relevance *relevance)
{
	const OwnBins *own = v->attribute->own;
	uint16 *bin = palloc_extended(mul_size((Size) v->n + 1, sizeof(uint16)), MCXT_ALLOC_HUGE);
	Bins bins = FindBins(v, bin);
	int number[MAX_ATTRIBUTE_BINS];

	for (int b = 0; b < bins.nbins; b++)
	{
		CHECK_FOR_INTERRUPTS();
		number[b] =
			AppendBin(relevance,
					  own != NULL && own->nbreaks > 0 ? GivenRangeLabel(v->attribute, b)
													  : FoundRangeLabel(v, bin, bins.nbins, b),
					  CountBin(v, bin, b));
	}
	PutLevels(v, relevance, bin, number);
	TakeEvidence(relevance, &bins);
	relevance->trend = RankCorrelation(v->common, v->n, &v->outcome);
	pfree(bin);
}

/* The words of a bin. */
static char *
WordsLabel(const Values *v, const uint16 *bin, int b)
{
	StringInfoData label;
	int named = 0;
	int unnamed = 0;

	initStringInfo(&label);
	for (int i = 0; i < v->n; i++)
		if (bin[i] == b && v->alone[i] == 0)
		{
			if (named < MAX_LABEL_WORDS && v->tallies[i].rows >= MIN_NAMED)
				appendStringInfo(&label, "%s%s", named++ > 0 ? ", " : "",
								 LevelText(v->attribute, v->levels[i].value));
			else
				unnamed++;
		}
	if (named == 0)
		appendStringInfo(&label, "%d rare value%s", unnamed, unnamed == 1 ? "" : "s");
	else if (unnamed > 0)
		appendStringInfo(&label, " and %d more", unnamed);
	return label.data;
}

/* Groups of words, the highest rate first; given ones in their order. */
static void
BinWords(const Values *v, Relevance *relevance)
{
	bool given = v->attribute->own != NULL && v->attribute->own->nbreaks > 0;
	uint16 *bin = palloc_extended(mul_size((Size) v->n + 1, sizeof(uint16)), MCXT_ALLOC_HUGE);
	Bins bins = FindBins(v, bin);
	int number[MAX_ATTRIBUTE_BINS];

	for (int i = 0; i < bins.nbins; i++)
	{
		int b = given ? i : bins.nbins - 1 - i;

		CHECK_FOR_INTERRUPTS();
		number[b] = AppendBin(relevance, WordsLabel(v, bin, b), CountBin(v, bin, b));
	}
	PutLevels(v, relevance, bin, number);
	TakeEvidence(relevance, &bins);
	pfree(bin);
}

/*
 * Whether so few rows can be tested: of targets any number, by Fisher's exact test; of values as
 * many as a bin needs, since ranks with many ties are far from normal.
 */
static bool
CanTest(const Values *v, Tally group, Tally total)
{
	return !v->outcome.is_value || group.rows >= MinBinSize(total, &v->outcome);
}

/*
 * Special values, each with a bin of its own, and missing ones; what they tell by being what they
 * are.
 */
static void
BinApart(const Values *v, Relevance *relevance)
{
	const OwnBins *own = v->attribute->own;
	int nalone = own != NULL ? own->nspecial : 0;
	Tally split[MAX_ALONE + 2] = {{0}};
	Tally total;
	GroupTest test;

	for (int i = 0; i < v->n; i++)
	{
		split[v->alone[i]] = AddTallies(split[v->alone[i]], v->tallies[i]);
		if (v->alone[i] > 0)
			PutLevel(relevance, &v->levels[i],
					 AppendBin(relevance, LevelText(v->attribute, v->levels[i].value),
							   v->levels[i].count));
	}
	split[nalone + 1] = v->missing;
	relevance->bin_of_missing = AppendBin(relevance, pstrdup("(missing)"), v->attribute->missing);
	total = SumTallies(split, nalone + 2);
	for (int i = 1; i < nalone + 2; i++)
		if (!CanTest(v, split[i], total))
			split[i] = (Tally){0};
	if (!CanTest(v, split[0], total))
		return;
	test = TestGroups(split, nalone + 2, &v->outcome);
	if (test.df == 0)
		return;
	relevance->chance = Min(1.0, 2 * Min(relevance->chance, test.p_value));
	relevance->ratio += test.ratio;
	relevance->luck += test.df;
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

/* What the rows of each member of sets add up to, by code. */
static Tally *
TallyMembers(const Values *v, TargetCounts *table)
{
	Tally *tallies;

	for (int i = 0; i < v->n; i++)
	{
		int at = 0;
		Word member;

		CHECK_FOR_INTERRUPTS();
		while (NextMember(v->levels[i].value, &at, &member))
			CountTargets(table, member, v->levels[i].count);
	}
	tallies = palloc_extended(mul_size((Size) CountLevels(table) + 1, sizeof(Tally)),
							  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < v->n; i++)
	{
		int at = 0;
		Word member;

		CHECK_FOR_INTERRUPTS();
		while (NextMember(v->levels[i].value, &at, &member))
		{
			int32 code = CountTargets(table, member, (ClassCount){0, 0});

			tallies[code] = AddTallies(tallies[code], v->tallies[i]);
		}
	}
	return tallies;
}

/* The informative members of sets, the most informative first. */
static InformativeMember *
FindInformativeMembers(const Values *v, int *ninformative, int *tried, double *chance)
{
	TargetCounts *table = CreateTargetCounts(CurrentMemoryContext);
	Tally *tallies = TallyMembers(v, table);
	Tally total = SumTallies(v->tallies, v->n);
	double min_size = MinBinSize(total, &v->outcome);
	int nmembers;
	const Level *members = SortedLevels(table, &nmembers);
	InformativeMember *informative =
		palloc_extended(mul_size((Size) nmembers + 1, sizeof(InformativeMember)), MCXT_ALLOC_HUGE);
	int n = 0;
	int tested = 0;

	for (int i = 0; i < nmembers; i++)
	{
		Tally split[2] = {tallies[members[i].code]};

		CHECK_FOR_INTERRUPTS();
		split[1].rows = total.rows - split[0].rows;
		split[1].sum = total.sum - split[0].sum;
		split[1].squares = total.squares - split[0].squares;
		if (split[0].rows >= min_size && split[1].rows >= min_size)
			informative[tested++] =
				(InformativeMember){&members[i], TestGroups(split, 2, &v->outcome).p_value};
	}
	*chance = 1.0;
	for (int i = 0; i < tested; i++)
	{
		InformativeMember member = informative[i];

		/* as many questions as there are members that could answer */
		member.chance = Min(1.0, tested * member.chance);
		*chance = Min(*chance, member.chance);
		if (member.chance < CHANCE_LIMIT)
			informative[n++] = member;
	}
	SortInformative(informative, n);
	*tried = tested;
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
BinSets(const Values *v, Relevance *relevance)
{
	int ninformative;
	int tried;
	InformativeMember *informative =
		FindInformativeMembers(v, &ninformative, &tried, &relevance->chance);
	uint16 *bin = palloc_extended(mul_size((Size) v->n + 1, sizeof(uint16)), MCXT_ALLOC_HUGE);
	ClassCount counts[MAX_SET_GROUPS + 1] = {{0}};
	Tally groups[MAX_SET_GROUPS + 1] = {{0}};
	int number[MAX_SET_GROUPS + 1];

	for (int i = 0; i < v->n; i++)
	{
		int g = 0;

		CHECK_FOR_INTERRUPTS();
		while (g < ninformative && !SetHas(v->levels[i].value, informative[g].member->value))
			g++;
		bin[i] = g;
		counts[g].targets += v->levels[i].count.targets;
		counts[g].others += v->levels[i].count.others;
		groups[g] = AddTallies(groups[g], v->tallies[i]);
	}
	for (int g = 0; g <= ninformative; g++)
	{
		Word value = g < ninformative ? informative[g].member->value : (Word){"", 0};

		number[g] =
			AppendBin(relevance,
					  g < ninformative ? psprintf("%s%s", g > 0 ? "else " : "",
												  pnstrdup(value.text, value.length))
									   : pstrdup(ninformative > 0 ? "none of these" : "any"),
					  counts[g]);
	}
	PutLevels(v, relevance, bin, number);
	/* each member is the best of the remaining ones */
	relevance->ratio = TestGroups(groups, ninformative + 1, &v->outcome).ratio;
	for (int g = 0; g < ninformative; g++)
		relevance->luck += 1 + log((double) (tried - g));
	pfree(bin);
}

const char *
FindLeak(ClassCount missing, const ClassCount *groups, int ngroups, const char *const *reasons)
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
		return reasons[0];
	if (of_targets < 1 - SURE_RATE && of_others >= SURE_SHARE)
		return reasons[1];
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
	return reasons[targets_rarer ? 2 : 3];
}

static const char *const TargetLeaks[] = {"known for targets only", "known for others only",
										  "some values mean a target almost always",
										  "some values mean no target almost always"};

/* The statistics of the bins by target. */
static void
MeasureTargets(const CountedAttribute *attribute, Relevance *relevance)
{
	ClassCount groups[MOST_RELEVANCE_BINS];

	for (int b = 0; b < relevance->nbins; b++)
		groups[b] = relevance->bins[b].count;
	relevance->association = MeasureAssociation(groups, relevance->nbins);
	relevance->association.information_value *= SignalShare(relevance->ratio, relevance->luck);
	relevance->information = relevance->association.information_value;
	relevance->leak = FindLeak(attribute->missing, groups, relevance->nbins, TargetLeaks);
}

void
MeasureRelevance(const CountedAttribute *attribute, const LevelValues *values, Relevance *relevance)
{
	Values v = OpenValues(attribute, values);

	CHECK_FOR_INTERRUPTS();
	memset(relevance, 0, sizeof(*relevance));
	relevance->chance = 1.0;
	relevance->trend = get_float8_nan();
	if (values != NULL)
		relevance->bin_of_level =
			palloc_extended(mul_size((Size) v.n + 1, sizeof(int16)), MCXT_ALLOC_HUGE);
	if (v.n == 0)
		/* all values are missing */;
	else if (HasOrder(attribute))
		BinRanges(&v, relevance);
	else if (attribute->column.class == COLUMN_ARRAY)
		BinSets(&v, relevance);
	else
		BinWords(&v, relevance);
	BinApart(&v, relevance);
	if (values == NULL)
		MeasureTargets(attribute, relevance);
	pfree(v.tallies);
	pfree(v.common);
	pfree(v.alone);
	pfree(v.levels);
}
