/*
 * value_relevance.c: attribute_relevance of values, how well an attribute tells high values from
 * low ones.
 *
 * Everything is decided by the ranks of the values, so that a few very large ones neither hide nor
 * feign a difference: bins are found for ranks, and their proof is the test of Kruskal and Wallis.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/common.h"
#include "match/fit_rows.h"
#include "match/relevance.h"

#define ALL_BUT_GIVEN 0.9 /* share of the variance of ranks: the attribute gives the value */

/*
 * The information value of a share of the variance explained: two groups of equal size, d standard
 * deviations apart, have d² and d²/4.
 */
#define INFORMATION_OF_SHARE 4

typedef struct ValueRanks
{
	int64 n;
	RowPlace *places; /* rows in the order of their values */
	double *rank;     /* of each place: the rank, ties share one; standardised, as the values are */
	double *value;
	ValueScale ranks;
	ValueScale values;
} ValueRanks;

/* What is told of an attribute. */
typedef struct ValueFigures
{
	double explained;       /* share of the variance of the values, less what luck gives */
	double ranks_explained; /* of their ranks */
	double h;               /* Kruskal and Wallis */
	int df;
	double p_value;
	double mean[MOST_RELEVANCE_BINS];
	double median[MOST_RELEVANCE_BINS];
} ValueFigures;

ValueRanks *
RankValues(const RelevanceState *state)
{
	ValueRanks *r = palloc0(sizeof(ValueRanks));
	int64 n = state->rows.others;

	r->n = n;
	r->places = palloc_extended(mul_size(n, sizeof(RowPlace)), MCXT_ALLOC_HUGE);
	r->rank = palloc_extended(mul_size(n, sizeof(double)), MCXT_ALLOC_HUGE);
	r->value = palloc_extended(mul_size(n, sizeof(double)), MCXT_ALLOC_HUGE);
	/* rows with equal values are alike here, so nothing need order them */
	for (int64 i = 0; i < n; i++)
		r->places[i] = (RowPlace){.value = state->value[i], .row = i};
	SortRowPlaces(r->places, n);
	for (int64 first = 0, next; first < n; first = next)
	{
		CHECK_FOR_INTERRUPTS();
		for (next = first; next < n && r->places[next].value == r->places[first].value; next++)
			;
		for (int64 i = first; i < next; i++)
			r->rank[i] = (first + next - 1) / 2.0;
	}
	for (int64 i = 0; i < n; i++)
		r->value[i] = r->places[i].value;
	r->values = ScaleValues(r->value, n);
	r->ranks = ScaleValues(r->rank, n);
	return r;
}

/* The code of the level that a place has; NO_LEVEL for a missing one. */
static inline int32
LevelAt(const RelevanceState *state, const ValueRanks *r, int64 place, int attribute)
{
	return state->level[r->places[place].row * state->nattributes + attribute];
}

/* The ranks by level. */
static LevelValues
TallyRanks(const RelevanceState *state, const ValueRanks *r, int attribute)
{
	LevelValues levels = {.outcome = {.is_value = true, .kurtosis = r->ranks.kurtosis}};

	levels.of_level = palloc_extended(
		mul_size((Size) CountLevels(state->attributes[attribute].table) + 1, sizeof(Tally)),
		MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int64 i = 0; i < r->n; i++)
	{
		int32 code = LevelAt(state, r, i, attribute);
		Tally *tally = code == NO_LEVEL ? &levels.missing : &levels.of_level[code];

		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		*tally = AddTallies(*tally, (Tally){1, r->rank[i], r->rank[i] * r->rank[i]});
	}
	return levels;
}

/* Means and medians of the bins, and how much they explain. */
static void
MeasureBins(const RelevanceState *state, const ValueRanks *r, int attribute, Relevance *relevance,
			ClassCount *by_least)
{
	ValueFigures *f = relevance->figures;
	double ranks[MOST_RELEVANCE_BINS] = {0};
	double values[MOST_RELEVANCE_BINS] = {0};
	int64 seen[MOST_RELEVANCE_BINS] = {0};
	double of_ranks = 0;
	double of_values = 0;
	double share = SignalShare(relevance->ratio, relevance->luck);

	for (int64 i = 0; i < r->n; i++)
	{
		int32 code = LevelAt(state, r, i, attribute);
		int b = code == NO_LEVEL ? relevance->bin_of_missing : relevance->bin_of_level[code];
		int64 rows = relevance->bins[b].count.others;
		double value = r->places[i].value;

		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		ranks[b] += r->rank[i];
		values[b] += r->value[i];
		f->mean[b] += value / rows;
		/* the middle one, or the mean of the two in the middle */
		if (seen[b] == (rows - 1) / 2 || seen[b] == rows / 2)
			f->median[b] += rows % 2 == 1 ? value : value / 2;
		seen[b]++;
		if (value > r->places[0].value)
			by_least[b].targets++;
		else
			by_least[b].others++;
	}
	for (int b = 0; b < relevance->nbins; b++)
	{
		of_ranks += ranks[b] * ranks[b] / seen[b] / r->n;
		of_values += values[b] * values[b] / seen[b] / r->n;
	}
	f->df = relevance->nbins - 1;
	f->h = (r->n - 1) * of_ranks;
	f->p_value = ChiSquareTail(f->h, f->df);
	f->ranks_explained = of_ranks * share;
	/* bins were not chosen by the values themselves, so of these luck gives less */
	f->explained = of_values * Min(share, SignalShare(r->n * of_values, f->df));
}

static const char *const ValueLeaks[] = {"known only where there is more than the least value",
										 "known only where there is the least value",
										 "some values mean more than the least value almost always",
										 "some values mean the least value almost always"};

void
MeasureValueRelevance(const RelevanceState *state, const ValueRanks *r, int attribute,
					  Relevance *relevance)
{
	LevelValues levels;
	ClassCount by_least[MOST_RELEVANCE_BINS] = {{0}};
	ValueFigures *f = palloc0(sizeof(ValueFigures));

	f->p_value = 1;
	if (r == NULL)
	{
		memset(relevance, 0, sizeof(*relevance));
		relevance->chance = 1;
		relevance->figures = f;
		return;
	}
	levels = TallyRanks(state, r, attribute);
	MeasureRelevance(&state->attributes[attribute], &levels, relevance);
	relevance->figures = f;
	MeasureBins(state, r, attribute, relevance, by_least);
	relevance->information = INFORMATION_OF_SHARE * f->ranks_explained;
	relevance->leak =
		f->ranks_explained > ALL_BUT_GIVEN
			? "it all but gives the value"
			: FindLeak(relevance->bin_of_missing >= 0 ? by_least[relevance->bin_of_missing]
													  : (ClassCount){0, 0},
					   by_least, relevance->nbins, ValueLeaks);
	pfree(relevance->bin_of_level);
	pfree(levels.of_level);
}

/* A row of type crm_profile.value_relevance_bin. */
static void
FillValueBin(const Relevance *relevance, int b, Datum *values)
{
	values[0] = CStringGetTextDatum(relevance->bins[b].label);
	values[1] = Int64GetDatum(relevance->bins[b].count.others);
	values[2] = Float8GetDatum(relevance->figures->mean[b]);
	values[3] = Float8GetDatum(relevance->figures->median[b]);
}

static const char *
Verdict(const ValueRanks *r, const Relevance *relevance)
{
	if (r == NULL)
		return "unknown: there are no values";
	if (r->values.equal)
		return "unknown: all values are equal";
	return VerdictInWords(relevance, r->n < FEW_TARGETS);
}

Datum
ValueRelevanceDatum(const RelevanceState *state, const ValueRanks *r, int i,
					const Relevance *relevance, TupleDesc columns)
{
	const CountedAttribute *attribute = &state->attributes[i];
	const ValueFigures *f = relevance->figures;
	int64 rows = state->rows.others;
	Datum values[14];
	bool nulls[14] = {false};

	nulls[0] = attribute->name == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(attribute->name);
	values[1] = CStringGetTextDatum(Verdict(r, relevance));
	values[2] = Float8GetDatum(f->explained);
	values[3] = Float8GetDatum(f->ranks_explained);
	nulls[4] = r == NULL || isnan(relevance->trend);
	values[4] = Float8GetDatum(relevance->trend);
	values[5] = Float8GetDatum(f->h);
	values[6] = Int32GetDatum(f->df);
	values[7] = Float8GetDatum(f->p_value);
	values[8] = Float8GetDatum(relevance->adjusted);
	nulls[9] = r == NULL;
	values[9] = Float8GetDatum(rows == 0 ? 0 : (double) attribute->missing.others / rows);
	values[10] = Int64GetDatum(rows);
	nulls[11] = r == NULL;
	values[11] = Float8GetDatum(r == NULL ? 0 : r->values.mean);
	values[12] = Int64GetDatum(state->without_target);
	values[13] =
		BinsArray(relevance, get_element_type(TupleDescAttr(columns, 13)->atttypid), FillValueBin);
	return HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
}
