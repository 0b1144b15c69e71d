/*
 * rank_selection.c: the values at given ranks, in a few passes.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "rank_selection.h"

#define MAX_DIGIT_BITS 14

void
RankSelectionBegin(RankSelection *s, int64 least, int64 most, const int64 *ranks, int nranks)
{
	uint64 span = (uint64) most - (uint64) least;

	Assert(nranks <= MAX_RANKS);
	memset(s, 0, sizeof(*s));
	s->nranks = nranks;
	s->base = least;
	s->bits_left = span == 0 ? 0 : pg_leftmost_one_pos64(span) + 1;
	s->ngroups = 1;
	for (int i = 0; i < nranks; i++)
	{
		for (int j = 0; j < nranks; j++)
			s->place[i] += ranks[j] < ranks[i] || (ranks[j] == ranks[i] && j < i);
		s->rank[s->place[i]] = ranks[i];
	}
}

/* Finds the digit of each rank among the counts of the pass that just ended. */
static void
EndPass(RankSelection *s)
{
	uint64 found[MAX_RANKS];
	uint64 mask = (UINT64CONST(1) << s->digit_bits) - 1;

	for (int i = 0; i < s->nranks; i++)
	{
		const int64 *counts = s->counts + ((int64) s->group_of[i] << s->digit_bits);
		uint64 digit = 0;

		while (digit < mask && s->rank[i] >= counts[digit])
			s->rank[i] -= counts[digit++];
		found[i] = (s->group[s->group_of[i]] << s->digit_bits) | digit;
	}
	s->bits_left -= s->digit_bits;

	s->ngroups = 0;
	for (int i = 0; i < s->nranks; i++)
	{
		if (s->ngroups == 0 || s->group[s->ngroups - 1] != found[i])
			s->group[s->ngroups++] = found[i];
		s->group_of[i] = s->ngroups - 1;
	}
}

bool
RankSelectionPass(RankSelection *s)
{
	int passes;

	if (s->counts != NULL)
	{
		EndPass(s);
		pfree(s->counts);
		s->counts = NULL;
	}
	if (s->bits_left == 0)
		return false;
	passes = (s->bits_left + MAX_DIGIT_BITS - 1) / MAX_DIGIT_BITS;
	s->digit_bits = (s->bits_left + passes - 1) / passes;
	s->counts = palloc0(sizeof(int64) * ((Size) s->ngroups << s->digit_bits));
	return true;
}

int64
RankSelectionValue(const RankSelection *s, int i)
{
	return (int64) (s->group[s->group_of[s->place[i]]] + (uint64) s->base);
}

void
RankSelectionEnd(RankSelection *s)
{
	if (s->counts != NULL)
		pfree(s->counts);
	s->counts = NULL;
}
