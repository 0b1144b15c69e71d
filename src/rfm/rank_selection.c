/*
 * rank_selection.c: the values at given ranks, in a few passes.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "rfm/rank_selection.h"

#define MAX_DIGIT_BITS 14
#define MAX_GATHERED 8192

void
RankSelectionBegin(RankSelection *s, int64 min, int64 max, const int64 *ranks, int nranks)
{
	uint64 span = (uint64) max - (uint64) min;

	Assert(nranks <= MAX_RANKS);
	memset(s, 0, sizeof(*s));
	s->nranks = nranks;
	s->base = min;
	s->bits_left = span == 0 ? 0 : pg_leftmost_one_pos64(span) + 1;
	s->ngroups = 1;
	for (int i = 0; i < nranks; i++)
	{
		for (int j = 0; j < nranks; j++)
			s->place[i] += ranks[j] < ranks[i] || (ranks[j] == ranks[i] && j < i);
		s->rank[s->place[i]] = ranks[i];
	}
}

/* After the first pass: a table that tells the group of a value by its first digit. */
static void
MakeTable(RankSelection *s)
{
	s->first_digit_mask = (UINT64CONST(1) << s->digit_bits) - 1;
	s->table = palloc0(s->first_digit_mask + 1);
	for (int g = 0; g < s->ngroups; g++)
		s->table[s->group[g]] = g + 1;
}

static void
DropTable(RankSelection *s)
{
	if (s->table != NULL)
		pfree(s->table);
	s->table = NULL;
}

/* Finds the digit of each rank among the counts of the pass that just ended. */
static void
EndCounting(RankSelection *s)
{
	uint64 found[MAX_RANKS];
	int64 size[MAX_RANKS];
	uint64 mask = (UINT64CONST(1) << s->digit_bits) - 1;
	bool first_pass = s->size[0] == 0;

	for (int i = 0; i < s->nranks; i++)
	{
		const int64 *counts = s->counts + ((int64) s->group_of[i] << s->digit_bits);
		uint64 digit = 0;

		while (digit < mask && s->rank[i] >= counts[digit])
			s->rank[i] -= counts[digit++];
		found[i] = (s->group[s->group_of[i]] << s->digit_bits) | digit;
		size[i] = counts[digit];
	}
	s->bits_left -= s->digit_bits;

	s->ngroups = 0;
	for (int i = 0; i < s->nranks; i++)
	{
		if (s->ngroups == 0 || s->group[s->ngroups - 1] != found[i])
		{
			s->size[s->ngroups] = size[i];
			s->group[s->ngroups++] = found[i];
		}
		s->group_of[i] = s->ngroups - 1;
	}
	pfree(s->counts);
	s->counts = NULL;
	if (first_pass && s->bits_left > 0)
		MakeTable(s);
	else
		DropTable(s);
}

static int
CompareValues(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* Takes the value of each rank from the gathered values: each rank is a group by now. */
static void
EndGathering(RankSelection *s)
{
	uint64 value[MAX_RANKS];
	int64 first = 0;

	qsort(s->gathered, s->ngathered, sizeof(uint64), CompareValues);
	for (int g = 0, i = 0; g < s->ngroups; first += s->size[g++])
		for (; i < s->nranks && s->group_of[i] == g; i++)
			value[i] = s->gathered[first + s->rank[i]];
	for (int i = 0; i < s->nranks; i++)
	{
		s->group[i] = value[i];
		s->group_of[i] = i;
	}
	s->ngroups = s->nranks;
	s->bits_left = 0;
	pfree(s->gathered);
	s->gathered = NULL;
	DropTable(s);
}

bool
RankSelectionPass(RankSelection *s)
{
	int64 left = 0;
	int passes;

	if (s->counts != NULL)
		EndCounting(s);
	if (s->gathered != NULL)
		EndGathering(s);
	if (s->bits_left == 0)
		return false;
	for (int g = 0; g < s->ngroups; g++)
		left += s->size[g];
	if (left > 0 && left <= MAX_GATHERED)
	{
		s->gathered = palloc(left * sizeof(uint64));
		s->ngathered = 0;
		return true;
	}
	passes = (s->bits_left + MAX_DIGIT_BITS - 1) / MAX_DIGIT_BITS;
	s->digit_bits = (s->bits_left + passes - 1) / passes;
	s->counts = palloc0(sizeof(int64) * ((Size) s->ngroups << s->digit_bits));
	return true;
}

/* The group that a value, less base, belongs to; -1 for none. */
static pg_attribute_always_inline int
GroupOfValue(const RankSelection *s, uint64 value, int bits_left, const uint8 *table)
{
	uint64 lead = (value >> (bits_left - 1)) >> 1; /* bits_left may be 64 */

	if (table != NULL)
		return table[lead & s->first_digit_mask] - 1;
	for (int g = 0; g < s->ngroups && s->group[g] <= lead; g++)
		if (s->group[g] == lead)
			return g;
	return -1;
}

/* The first pass: all values are in one group. */
static void
CountAll(RankSelection *s, const int64 *values, int nvalues)
{
	int64 *counts = s->counts;
	uint64 base = s->base;
	int shift = s->bits_left - s->digit_bits;
	uint64 mask = (UINT64CONST(1) << s->digit_bits) - 1;

	for (int i = 0; i < nvalues; i++)
		counts[((uint64) values[i] - base) >> shift & mask]++;
}

/* A later one. */
static pg_attribute_always_inline void
LookAtGroups(RankSelection *s, const int64 *values, int nvalues, const uint8 *table)
{
	int64 *counts = s->counts;
	uint64 base = s->base;
	int bits_left = s->bits_left;
	int digit_bits = s->digit_bits;
	int shift = bits_left - digit_bits;
	uint64 mask = (UINT64CONST(1) << digit_bits) - 1;

	for (int i = 0; i < nvalues; i++)
	{
		uint64 value = (uint64) values[i] - base;
		int g = GroupOfValue(s, value, bits_left, table);

		if (g < 0)
			continue;
		if (counts != NULL)
			counts[((int64) g << digit_bits) + (value >> shift & mask)]++;
		else
			s->gathered[s->ngathered++] = value;
	}
}

void
RankSelectionLook(RankSelection *s, const int64 *values, int nvalues)
{
	if (s->size[0] == 0)
		CountAll(s, values, nvalues);
	else if (s->table != NULL)
		LookAtGroups(s, values, nvalues, s->table);
	else
		LookAtGroups(s, values, nvalues, NULL);
}

int64
RankSelectionValue(const RankSelection *s, int i)
{
	return (int64) (s->group[s->group_of[s->place[i]]] + (uint64) s->base);
}
