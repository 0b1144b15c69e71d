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
			relevance->chance = Min(1.0, 2 * Min(relevance->chance, GroupsChance(split, 2)));
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
