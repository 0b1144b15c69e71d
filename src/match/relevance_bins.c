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
	Level *levels;
	int n;
	ClassCount *counts;
	uint8 *alone;  /* of each: the number of the special value that it is, from 1 on, or 0 */
	Tally *common; /* counts of those that are none */
} Values;

/* A bin; without rows there is none. */
static void
AppendBin(Relevance *relevance, char *label, ClassCount count)
{
	if (count.targets + count.others == 0)
		return;
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
OpenValues(const CountedAttribute *attribute)
{
	Values v = {.attribute = attribute};
	Size room;

	v.levels = SortedLevels(attribute->table, &v.n);
	room = (Size) v.n + 1;
	v.counts = palloc_extended(mul_size(room, sizeof(ClassCount)), MCXT_ALLOC_HUGE);
	v.common = palloc_extended(mul_size(room, sizeof(Tally)), MCXT_ALLOC_HUGE);
	v.alone = palloc_extended(room, MCXT_ALLOC_HUGE);
	for (int i = 0; i < v.n; i++)
	{
		v.counts[i] = v.levels[i].count;
		v.alone[i] = SpecialOf(attribute, v.levels[i].value);
		v.common[i] = v.alone[i] > 0 ? (Tally){0} : TallyOf(v.counts[i]);
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
		return ordered ? BinOrderedLevels(v->common, v->n, &Targets, bin)
					   : BinNominalLevels(v->common, v->n, &Targets, bin);
	given = palloc_extended((Size) v->n + 1, MCXT_ALLOC_HUGE);
	for (int i = 0; i < v->n; i++)
		given[i] = ordered ? RangeOfNumber(own, NumberFromBytes(v->levels[i].value))
						   : GroupOfWord(own, v->levels[i].value);
	bins = TakeGivenBins(v->common, v->n, &Targets, given,
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
			count.targets += v->counts[i].targets;
			count.others += v->counts[i].others;
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
	char *from = range > 0 ? NumberText(attribute, own->breaks[range - 1].number) : NULL;
	char *to = range < own->nbreaks ? NumberText(attribute, own->breaks[range].number) : NULL;

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

	for (int b = 0; b < bins.nbins; b++)
	{
		CHECK_FOR_INTERRUPTS();
		AppendBin(relevance,
				  own != NULL && own->nbreaks > 0 ? GivenRangeLabel(v->attribute, b)
												  : FoundRangeLabel(v, bin, bins.nbins, b),
				  CountBin(v, bin, b));
	}
	TakeEvidence(relevance, &bins);
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
			if (named < MAX_LABEL_WORDS && v->counts[i].targets + v->counts[i].others >= MIN_NAMED)
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

	for (int i = 0; i < bins.nbins; i++)
	{
		int b = given ? i : bins.nbins - 1 - i;

		CHECK_FOR_INTERRUPTS();
		AppendBin(relevance, WordsLabel(v, bin, b), CountBin(v, bin, b));
	}
	TakeEvidence(relevance, &bins);
	pfree(bin);
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
	GroupTest test;

	for (int i = 0; i < v->n; i++)
	{
		split[v->alone[i]].rows += v->counts[i].targets + v->counts[i].others;
		split[v->alone[i]].sum += v->counts[i].targets;
		split[v->alone[i]].squares += v->counts[i].targets;
		if (v->alone[i] > 0)
			AppendBin(relevance, LevelText(v->attribute, v->levels[i].value), v->counts[i]);
	}
	split[nalone + 1] = TallyOf(v->attribute->missing);
	AppendBin(relevance, pstrdup("(missing)"), v->attribute->missing);
	test = TestGroups(split, nalone + 2, &Targets);
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

/* The informative members of sets, the most informative first. */
static InformativeMember *
FindInformativeMembers(const Level *levels, int nlevels, const ClassCount *counts,
					   int *ninformative, int *tried, double *chance)
{
	TargetCounts *table = CreateTargetCounts(CurrentMemoryContext);
	ClassCount total = SumClassCounts(counts, nlevels);
	double min_size = MinBinSize(TallyOf(total), &Targets);
	const Level *members;
	int nmembers;
	InformativeMember *informative;
	int n = 0;
	int tested = 0;

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
	for (int i = 0; i < nmembers; i++)
	{
		ClassCount split[2] = {members[i].count};

		CHECK_FOR_INTERRUPTS();
		split[1].targets = total.targets - split[0].targets;
		split[1].others = total.others - split[0].others;
		if (split[0].targets + split[0].others >= min_size &&
			split[1].targets + split[1].others >= min_size)
			informative[tested++] = (InformativeMember){&members[i], GroupsChance(split, 2)};
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

void
MeasureRelevance(const CountedAttribute *attribute, Relevance *relevance)
{
	Values v = OpenValues(attribute);
	ClassCount groups[MOST_RELEVANCE_BINS];

	CHECK_FOR_INTERRUPTS();
	memset(relevance, 0, sizeof(*relevance));
	relevance->chance = 1.0;
	if (v.n == 0)
		/* all values are missing */;
	else if (HasOrder(attribute))
		BinRanges(&v, relevance);
	else if (attribute->column.class == COLUMN_ARRAY)
		BinSets(v.levels, v.n, v.counts, relevance);
	else
		BinWords(&v, relevance);
	BinApart(&v, relevance);
	for (int b = 0; b < relevance->nbins; b++)
		groups[b] = relevance->bins[b].count;
	relevance->association = MeasureAssociation(groups, relevance->nbins);
	relevance->association.information_value *= SignalShare(relevance->ratio, relevance->luck);
	relevance->leak = FindLeak(attribute->missing, groups, relevance->nbins);
	pfree(v.counts);
	pfree(v.common);
	pfree(v.alone);
	pfree(v.levels);
}
