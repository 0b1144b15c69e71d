/*
 * match_fit.c: the aggregate match_fit, a match_model from profiles and which of them are targets.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"

#include "base/common.h"
#include "match/fit_rows.h"
#include "match/interactions.h"
#include "match/match_model.h"
#include "match/scorecard.h"

#define FEW_TARGETS 50 /* fewer give a warning */

/* ---------- the model ---------- */

/*
 * The level that stands out between ranges: the only one whose bin comes after that of the next
 * level.
 */
static int
SpikeLevel(const ScorecardFeature *feature)
{
	for (int level = 1; level + 1 < feature->nlevels; level++)
		if (feature->bin[level] > feature->bin[level + 1])
			return level;
	return -1;
}

/* The ranges of a scaled slot, and the value that stands out. */
static void
KeepRanges(MatchFeature *match, const ScorecardFeature *feature, const float *low)
{
	int spike = SpikeLevel(feature);
	int current = 0;

	match->low = palloc(feature->nbins * sizeof(float));
	for (int level = 1; level < feature->nlevels; level++)
		if (level != spike && feature->bin[level] > current)
		{
			current = feature->bin[level];
			match->low[current - 1] = low[level];
		}
	match->nranges = current;
	if (spike >= 0)
		match->spike = low[spike];
}

static MatchFeature
KeepFeature(const FitFeatures *f, int i)
{
	const ScorecardFeature *feature = &f->features[i];
	MatchFeature match = f->match[i];

	match.nbins = feature->nbins;
	match.p_value = feature->p_value;
	match.bins = palloc(feature->nbins * sizeof(MatchBin));
	for (int b = 0; b < feature->nbins; b++)
		match.bins[b] = (MatchBin){feature->count[b], feature->points[b]};
	if (match.slot < f->view.nscaled)
		KeepRanges(&match, feature, f->level_low[i]);
	else if (match.slot < f->view.nscaled + f->view.ncoded)
	{
		match.ncodes = CODE_MISSING;
		match.codes = palloc(CODE_MISSING);
		for (int code = 0; code < CODE_MISSING; code++)
			match.codes[code] = feature->bin[code + 1];
	}
	return match;
}

/* A part of an interaction: the classes of a feature as bins. */
static MatchFeature
KeepPart(const FitFeatures *f, const PairClasses *classes, int i)
{
	MatchFeature part = f->match[i];

	part.nbins = classes->n;
	if (part.slot < f->view.nscaled)
	{
		part.low = palloc(part.nbins * sizeof(float));
		for (int level = 1; level < f->features[i].nlevels; level++)
			if (classes->class[level] > part.nranges)
				part.low[part.nranges++] = f->level_low[i][level];
	}
	else if (part.slot < f->view.nscaled + f->view.ncoded)
	{
		part.ncodes = CODE_MISSING;
		part.codes = palloc(CODE_MISSING);
		for (int code = 0; code < CODE_MISSING; code++)
			part.codes[code] = classes->class[code + 1];
	}
	return part;
}

static MatchFeature
KeepPair(const FitFeatures *f, const Scorecard *card, const ScorecardFeature *pair)
{
	MatchFeature match = {.nbins = pair->nbins, .p_value = pair->p_value, .nparts = 2};

	match.parts = palloc(2 * sizeof(MatchFeature));
	match.parts[0] = KeepPart(f, &card->classes[pair->first], pair->first);
	match.parts[1] = KeepPart(f, &card->classes[pair->second], pair->second);
	match.bins = palloc(pair->nbins * sizeof(MatchBin));
	for (int b = 0; b < pair->nbins; b++)
		match.bins[b] = (MatchBin){pair->count[b], pair->points[b]};
	return match;
}

/* An error for a single class; with warn, warns of few targets or others. */
static void
CheckTargets(const FitRows *rows, bool warn)
{
	int64 ntargets = 0;
	int64 rarer;

	for (int64 i = 0; i < rows->nrows; i++)
		ntargets += rows->target[i];
	rarer = Min(ntargets, rows->nrows - ntargets);
	if (rarer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("match_fit needs targets and others"),
				 errdetail("All " INT64_FORMAT " rows are %s.", rows->nrows,
						   ntargets > 0 ? "targets" : "others"),
				 errhint("Give it all customers, with is_target true for the best of them.")));
	if (warn && rarer < FEW_TARGETS)
		ereport(WARNING, (errmsg("match_fit has few %s to learn from: " INT64_FORMAT,
								 ntargets == rarer ? "targets" : "others", rarer),
						  errdetail("With fewer than %d its figures are uncertain.", FEW_TARGETS)));
}

void
KeepModel(MatchModel *model, const FitFeatures *f)
{
	model->features = palloc_extended(
		mul_size(f->nfeatures + SCORECARD_PAIRS, sizeof(MatchFeature)), MCXT_ALLOC_HUGE);
	for (int i = 0; i < f->nfeatures; i++)
		if (f->features[i].nbins > 0)
			model->features[model->nfeatures++] = KeepFeature(f, i);
	for (int p = 0; p < model->card.npairs; p++)
		model->features[model->nfeatures++] =
			KeepPair(f, &model->card, &f->features[f->nfeatures + p]);
	model->fingerprint = ProfileFingerprint(&f->view);
	model->nscaled = f->view.nscaled;
	model->ncoded = f->view.ncoded;
	model->nsets = f->view.nsets;
	memcpy(model->set_bytes, f->view.set_bytes, f->view.nsets);
	model->skipped = f->rows->skipped;
	model->words = f->rows->words;
}

/* The model of an aggregate's rows; with warn, WARNINGs say what makes it worth little. */
static Datum
FitMatchModel(FunctionCallInfo fcinfo, bool warn)
{
	FitRows *rows;
	FitFeatures f;
	MatchModel model = {0};

	AggregateContext(fcinfo, "match_fit");
	if (PG_ARGISNULL(0) || ((FitRows *) PG_GETARG_POINTER(0))->nrows == 0)
		PG_RETURN_NULL();
	rows = (FitRows *) PG_GETARG_POINTER(0);
	CheckTargets(rows, warn);
	MakeFitFeatures(&f, rows);

	model.card.nrows = rows->nrows;
	model.card.ntargets = f.total.targets;
	model.card.nfeatures = f.nfeatures;
	model.card.features = f.features;
	FitScorecard(&model.card, f.target, f.fold);
	if (warn && model.card.shrinkage == 0)
		ereport(WARNING,
				(errmsg("match_fit found nothing that tells targets from others"),
				 errdetail("No card beats the base rate on rows held out: this one is empty, and "
						   "everybody's score is the share of targets.")));
	KeepModel(&model, &f);
	PG_RETURN_POINTER(ModelValue(&MatchModelFormat, &model));
}

PG_FUNCTION_INFO_V1(match_fit_finalfn);
Datum
match_fit_finalfn(PG_FUNCTION_ARGS)
{
	return FitMatchModel(fcinfo, true);
}

PG_FUNCTION_INFO_V1(match_fit_quiet_finalfn);
Datum
match_fit_quiet_finalfn(PG_FUNCTION_ARGS)
{
	return FitMatchModel(fcinfo, false);
}
