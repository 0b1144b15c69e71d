/*
 * rank_selection.h: the values at given ranks of a population that is read several times, without
 * sorting it.
 *
 * A pass counts the values by their next bits; a few passes (a single one if the values span less
 * than 2^14, as recency and frequency do) determine every rank.  When only few candidates are left,
 * the last pass gathers and sorts them.  The population may lie in memory or in a file; the
 * counters take at most 2 MB.
 */
#ifndef CRM_RANK_SELECTION_H
#define CRM_RANK_SELECTION_H

#define MAX_RANKS 18

typedef struct RankSelection
{
	int nranks;
	int place[MAX_RANKS];    /* of the caller's i-th rank among the sorted ones */
	int64 rank[MAX_RANKS];   /* sorted, from 0; counted within its group */
	int group_of[MAX_RANKS]; /* the group that it lies in */
	int ngroups;
	uint64 group[MAX_RANKS]; /* leading bits, growing */
	int64 size[MAX_RANKS];   /* how many values have them; 0 in the first pass */
	uint8 *table;            /* in the second pass: by first digit, the group + 1; 0 for none */
	uint64 first_digit_mask;
	int64 base;       /* the least value */
	int bits_left;    /* of the values, less base, not yet known */
	int digit_bits;   /* counted in one pass */
	int64 *counts;    /* by group and digit, */
	uint64 *gathered; /* or the values of all groups, less base, in the last pass */
	int64 ngathered;
} RankSelection;

/* Starts a search among values of min..max; the ranks may come in any order. */
extern void
RankSelectionBegin(RankSelection *s, int64 min, int64 max, const int64 *ranks, int nranks);

/* Whether another pass over the population is needed; if so, starts it. */
extern bool RankSelectionPass(RankSelection *s);

/* The value at the i-th of the ranks, once no further pass is needed. */
extern int64 RankSelectionValue(const RankSelection *s, int i);

/* Counts some values of the population in this pass. */
extern void RankSelectionLook(RankSelection *s, const int64 *values, int nvalues);

#endif /* CRM_RANK_SELECTION_H */
