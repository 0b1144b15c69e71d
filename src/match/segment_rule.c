/*
 * segment_rule.c: the aggregate segment_rule, a short rule over attributes that tells targets from
 * others: up to three conditions, all of which must hold.
 *
 * The rule is the one whose fourfold table (rule by target) has the highest likelihood ratio; it is
 * searched from the best single conditions on, a few partial rules at a time.  A further condition
 * has to gain more than the number of conditions to choose from explains.  Whether the rule found
 * is more than chance is for others to say, on rows that were not searched.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "base/common.h"
#include "match/fit_rows.h"

#define MAX_CONDITIONS 3
#define BEAM 4           /* partial rules that are kept */
#define MAX_BLOCKS 64    /* between which ranges of numbers begin and end */
#define MAX_LISTED 5     /* words in a list */
#define MAX_EXCLUDED 2   /* words in a list of those that are not meant */
#define SMALLEST_RULE 20 /* rows */
#define WORTH_SAYING 1.1 /* a further condition must improve the likelihood ratio so much */

/* Levels of a feature that a row may have. */
typedef struct Condition
{
	int feature;
	bool negated; /* words: all but those listed */
	int from;     /* in order: levels from .. to */
	int to;
	int nlisted;
	uint16 listed[MAX_LISTED];
} Condition;

typedef struct Rule
{
	int nconditions;
	Condition condition[MAX_CONDITIONS];
	double ratio; /* of the fourfold table; 0 for no rule */
} Rule;

/* Neighbouring levels of a feature in order, so that there are not too many ranges. */
typedef struct Blocks
{
	int n;
	int first[MAX_BLOCKS + 1]; /* level */
} Blocks;

typedef struct RuleSearch
{
	const FitFeatures *f;
	Blocks *blocks; /* of each feature in order */
	int64 smallest; /* the fewest rows of a rule */
	uint8 *inside;  /* rows of the partial rule at hand */
	ClassCount *counts;
	Rule best[BEAM]; /* of the length at hand, the highest ratio first */
	int nbest;
} RuleSearch;

static bool
IsListed(const Condition *condition, int level)
{
	for (int i = 0; i < condition->nlisted; i++)
		if (condition->listed[i] == level)
			return true;
	return false;
}

static bool
Holds(const RuleSearch *search, const Condition *condition, int64 row)
{
	int level = search->f->features[condition->feature].level[row];

	if (level == MISSING_LEVEL)
		return false;
	if (condition->nlisted > 0)
		return IsListed(condition, level) != condition->negated;
	return level >= condition->from && level <= condition->to;
}

/* The likelihood ratio of a rule with these rows; 0 if they have no more targets than the others.
 */
static double
RuleRatio(const RuleSearch *search, ClassCount inside)
{
	ClassCount total = search->f->total;
	ClassCount table[2] = {inside, {total.others - inside.others, total.targets - inside.targets}};

	if (inside.targets + inside.others < search->smallest ||
		(double) inside.targets * total.others <= (double) inside.others * total.targets)
		return 0;
	return LikelihoodRatio(table, 2);
}

static ClassCount
AddCounts(ClassCount a, ClassCount b)
{
	return (ClassCount){a.others + b.others, a.targets + b.targets};
}

/* Notes a rule that is among the best of its length; of equals, the first stays ahead. */
static void
NoteRule(RuleSearch *search, const Rule *base, Condition condition, double ratio, double choices)
{
	int at = search->nbest;
	Rule rule = *base;

	/* choosing among so many conditions gains this by itself */
	if (ratio <= base->ratio * (base->nconditions > 0 ? WORTH_SAYING : 1) + 2 * log(choices))
		return;
	rule.condition[rule.nconditions++] = condition;
	rule.ratio = ratio;
	while (at > 0 && search->best[at - 1].ratio < ratio)
		at--;
	if (at == BEAM)
		return;
	if (search->nbest < BEAM)
		search->nbest++;
	memmove(&search->best[at + 1], &search->best[at], (search->nbest - 1 - at) * sizeof(Rule));
	search->best[at] = rule;
}

/* ---------- conditions ---------- */

static Blocks
MakeBlocks(const ScorecardFeature *feature, int64 nrows)
{
	Blocks blocks = {0};
	int64 *rows = palloc0(feature->nlevels * sizeof(int64));
	int64 known = 0;
	int64 seen = 0;

	for (int64 i = 0; i < nrows; i++)
		rows[feature->level[i]]++;
	for (int level = 1; level < feature->nlevels; level++)
		known += rows[level];
	for (int level = 1; level < feature->nlevels; level++)
	{
		if (blocks.n == 0 ||
			(blocks.n < MAX_BLOCKS && seen * MAX_BLOCKS >= known * (int64) blocks.n))
			blocks.first[blocks.n++] = level;
		seen += rows[level];
	}
	blocks.first[blocks.n] = feature->nlevels;
	pfree(rows);
	return blocks;
}

/* Moves one end of a range (its first level, or its last) to where the ratio is highest. */
static double
MoveEnd(const RuleSearch *search, Condition *range, bool first, int low, int high)
{
	Condition tried = *range;
	ClassCount inside;
	double best = 0;

	*(first ? &tried.from : &tried.to) = first ? high : low;
	inside = SumClassCounts(search->counts + tried.from, tried.to - tried.from + 1);
	for (;;)
	{
		double ratio = RuleRatio(search, inside);

		if (ratio > best)
		{
			best = ratio;
			*range = tried;
		}
		if (first ? tried.from == low : tried.to == high)
			return best;
		inside = AddCounts(inside, search->counts[first ? --tried.from : ++tried.to]);
	}
}

/* Moves the ends of a range within the blocks beside them. */
static double
RefineRange(const RuleSearch *search, Condition *range, const Blocks *blocks, int from, int to)
{
	double ratio = MoveEnd(search, range, true, blocks->first[Max(from - 1, 0)],
						   Min(blocks->first[from + 1] - 1, range->to));

	ratio = Max(ratio, MoveEnd(search, range, false, Max(blocks->first[to - 1], range->from),
							   blocks->first[Min(to + 1, blocks->n)] - 1));
	return ratio;
}

/* The best range of a feature. */
static void
TryRanges(RuleSearch *search, const Rule *base, int f, double choices)
{
	const Blocks *blocks = &search->blocks[f];
	ClassCount sum[MAX_BLOCKS + 1] = {{0, 0}};
	Condition best = {.feature = f};
	double ratio = 0;
	int best_from = 0;
	int best_to = 0;

	for (int b = 0; b < blocks->n; b++)
		sum[b + 1] = AddCounts(sum[b], SumClassCounts(search->counts + blocks->first[b],
													  blocks->first[b + 1] - blocks->first[b]));
	for (int from = 0; from < blocks->n; from++)
		for (int to = from + 1; to <= blocks->n; to++)
		{
			ClassCount inside = {sum[to].others - sum[from].others,
								 sum[to].targets - sum[from].targets};
			double r = RuleRatio(search, inside);

			if (r > ratio)
			{
				ratio = r;
				best_from = from;
				best_to = to;
			}
		}
	if (ratio == 0)
		return;
	best.from = blocks->first[best_from];
	best.to = blocks->first[best_to] - 1;
	ratio = Max(ratio, RefineRange(search, &best, blocks, best_from, best_to));
	NoteRule(search, base, best, ratio, choices * blocks->n * (blocks->n + 1) / 2);
}

static double
LevelRate(ClassCount count)
{
	return (count.targets + 0.5) / (count.targets + count.others + 1.0);
}

/* The best list of words: those with the highest rates, or all but those with the lowest. */
static void
TryWords(RuleSearch *search, const Rule *base, int f, int nvalues, double choices)
{
	ClassCount known = SumClassCounts(search->counts + 1, search->f->features[f].nlevels - 1);
	uint16 *order = palloc((nvalues + 1) * sizeof(uint16));
	int n = 0;

	for (int level = 1; level <= nvalues; level++)
	{
		ClassCount count = search->counts[level];
		int at = n++;

		for (; at > 0 && LevelRate(search->counts[order[at - 1]]) < LevelRate(count); at--)
			order[at] = order[at - 1];
		order[at] = (uint16) level;
	}
	for (int negated = 0; negated <= (n > 2 ? 1 : 0); negated++)
	{
		Condition condition = {.feature = f, .negated = negated};
		Condition best = condition;
		ClassCount listed = {0, 0};
		double ratio = 0;

		while (condition.nlisted < Min(n - 1, negated ? MAX_EXCLUDED : MAX_LISTED))
		{
			uint16 level = order[negated ? n - 1 - condition.nlisted : condition.nlisted];
			ClassCount inside;
			double r;

			condition.listed[condition.nlisted++] = level;
			listed = AddCounts(listed, search->counts[level]);
			inside =
				negated ? (ClassCount){known.others - listed.others, known.targets - listed.targets}
						: listed;
			r = RuleRatio(search, inside);
			/* a longer list is worth it if it says clearly more */
			if (r > ratio * 1.02)
			{
				ratio = r;
				best = condition;
			}
		}
		/* the order of words is chosen from the rates, too */
		if (best.nlisted > 0)
			NoteRule(search, base, best, ratio, choices * pow(n, best.nlisted));
	}
	pfree(order);
}

/* Tries to add one condition to a partial rule. */
static void
ExtendRule(RuleSearch *search, const Rule *base)
{
	const FitFeatures *f = search->f;
	int64 nrows = f->rows->nrows;

	for (int64 row = 0; row < nrows; row++)
	{
		search->inside[row] = 1;
		for (int c = 0; c < base->nconditions; c++)
			search->inside[row] &= Holds(search, &base->condition[c], row);
	}
	for (int i = 0; i < f->nfeatures; i++)
	{
		const ScorecardFeature *feature = &f->features[i];
		const ProfileAttribute *att =
			&f->rows->words->atts[f->rows->words->slot_att[f->match[i].slot]];

		CHECK_FOR_INTERRUPTS();
		memset(search->counts, 0, feature->nlevels * sizeof(ClassCount));
		for (int64 row = 0; row < nrows; row++)
			if (search->inside[row] && f->target[row])
				search->counts[feature->level[row]].targets++;
			else if (search->inside[row])
				search->counts[feature->level[row]].others++;
		if (feature->ordered)
			TryRanges(search, base, i, f->nfeatures);
		else
			TryWords(search, base, i, att->nvalues, f->nfeatures);
	}
}

/* Two conditions on one feature become one; a condition must not be there twice. */
static bool
NamesFeatureTwice(const Rule *rule)
{
	for (int a = 0; a < rule->nconditions; a++)
		for (int b = 0; b < a; b++)
			if (rule->condition[a].feature == rule->condition[b].feature)
				return true;
	return false;
}

static Rule
SearchRule(RuleSearch *search)
{
	Rule found = {0};
	Rule beam[BEAM] = {{0}};
	int nbeam = 1;

	for (int length = 1; length <= MAX_CONDITIONS && nbeam > 0; length++)
	{
		search->nbest = 0;
		for (int i = 0; i < nbeam; i++)
			ExtendRule(search, &beam[i]);
		nbeam = 0;
		for (int i = 0; i < search->nbest; i++)
			if (!NamesFeatureTwice(&search->best[i]))
				beam[nbeam++] = search->best[i];
		if (nbeam > 0 && beam[0].ratio > found.ratio * WORTH_SAYING)
			found = beam[0];
	}
	return found;
}

/* ---------- the answer ---------- */

/* The roundest number above `a` and not above `b`. */
static double
RoundNumber(double a, double b)
{
	for (int digits = -9; digits <= 9; digits++)
	{
		double scale = pow(10, digits);
		double number = floor(b * scale) / scale;

		if (number > a && number <= b)
			return number;
	}
	return b;
}

/* Where a range begins: a number between the level and the one before. */
static double
LevelBegin(const FitFeatures *f, int feature, int level, bool whole_days)
{
	const float *low = f->level_low[feature];

	return whole_days ? low[level] : RoundNumber(low[level - 1], low[level]);
}

static void
AppendNumber(StringInfo json, const char *key, const ProfileAttribute *att, double number)
{
	char text[DOUBLE_SHORTEST_DECIMAL_LEN];

	appendStringInfo(json, ", \"%s\": ", key);
	if (att->kind == KIND_NUMERIC)
	{
		double_to_shortest_decimal_buf(number, text);
		appendStringInfo(json, "\"%s\"", text);
	}
	else
		escape_json(json, ScaledText(att, number));
}

static void
AppendRange(StringInfo json, const FitFeatures *f, const Condition *condition,
			const ProfileAttribute *att)
{
	int i = condition->feature;
	const float *low = f->level_low[i];

	if (condition->from == condition->to &&
		(att->kind != KIND_NUMERIC || low[condition->from] == rint(low[condition->from])))
	{
		AppendNumber(json, "equals", att, low[condition->from]);
		return;
	}
	if (condition->from > 1)
		AppendNumber(json, "from", att,
					 LevelBegin(f, i, condition->from, att->kind != KIND_NUMERIC));
	if (condition->to < f->features[i].nlevels - 1)
		AppendNumber(json, "below", att,
					 LevelBegin(f, i, condition->to + 1, att->kind != KIND_NUMERIC));
}

static void
AppendCondition(StringInfo json, const FitFeatures *f, const Condition *condition)
{
	const MatchFeature *match = &f->match[condition->feature];
	const ProfileAttribute *att = &f->rows->words->atts[f->rows->words->slot_att[match->slot]];

	appendStringInfo(json, "%s{\"attribute\": ", json->len > 1 ? ", " : "");
	escape_json(json, att->name);
	if (IsScaled(att->kind))
		AppendRange(json, f, condition, att);
	else if (att->kind == KIND_SET)
	{
		appendStringInfoString(json, ", \"member\": ");
		escape_json(json, att->values[match->member]);
		if (condition->to == 1)
			appendStringInfoString(json, ", \"not\": true");
	}
	else
	{
		appendStringInfo(json, "%s, \"values\": [", condition->negated ? ", \"not\": true" : "");
		for (int i = 0; i < condition->nlisted; i++)
		{
			appendStringInfoString(json, i > 0 ? ", " : "");
			escape_json(json, att->values[condition->listed[i] - 1]);
		}
		appendStringInfoChar(json, ']');
	}
	appendStringInfoChar(json, '}');
}

/* The conditions as jsonb; NULL without rows of both classes, or a rule. */
PG_FUNCTION_INFO_V1(segment_rule_finalfn);
Datum
segment_rule_finalfn(PG_FUNCTION_ARGS)
{
	RuleSearch search = {0};
	FitFeatures f;
	FitRows *rows;
	Rule rule;
	StringInfoData json;

	AggregateContext(fcinfo, "segment_rule");
	if (PG_ARGISNULL(0) || ((FitRows *) PG_GETARG_POINTER(0))->words == NULL)
		PG_RETURN_NULL();
	rows = (FitRows *) PG_GETARG_POINTER(0);
	MakeFitFeatures(&f, rows);
	if (f.total.targets == 0 || f.total.others == 0)
		PG_RETURN_NULL();
	search.f = &f;
	search.smallest = SMALLEST_RULE;
	search.inside = palloc_extended(rows->nrows, MCXT_ALLOC_HUGE);
	search.counts =
		palloc_extended((Size) (PG_UINT16_MAX + 1) * sizeof(ClassCount), MCXT_ALLOC_HUGE);
	search.blocks = palloc_extended(mul_size(f.nfeatures + 1, sizeof(Blocks)), MCXT_ALLOC_HUGE);
	for (int i = 0; i < f.nfeatures; i++)
		if (f.features[i].ordered)
			search.blocks[i] = MakeBlocks(&f.features[i], rows->nrows);
	rule = SearchRule(&search);
	if (rule.nconditions == 0)
		PG_RETURN_NULL();
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int c = 0; c < rule.nconditions; c++)
		AppendCondition(&json, &f, &rule.condition[c]);
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
