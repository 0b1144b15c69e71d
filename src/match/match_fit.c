/*
 * match_fit.c: the aggregate match_fit, a match_model from profiles and which of them are targets,
 * or their values.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

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

/* Whether the level has a bin that somebody gave it. */
static bool
IsAlone(const ScorecardFeature *feature, int level)
{
	return feature->own != NULL && feature->own->alone[level] > 0;
}

/*
 * The level that stands out between ranges: the only one whose bin comes after that of the next
 * level.
 */
static int
SpikeLevel(const ScorecardFeature *feature)
{
	int last = -1;

	for (int level = 1; level < feature->nlevels; level++)
	{
		if (IsAlone(feature, level))
			continue;
		if (last > 0 && feature->bin[last] > feature->bin[level])
			return last;
		last = level;
	}
	return -1;
}

/* The ranges that were found, and the value that stands out. */
static void
KeepRangesFound(MatchFeature *match, const ScorecardFeature *feature, const float *low)
{
	int spike = SpikeLevel(feature);
	int current = 0;

	for (int level = 1; level < feature->nlevels; level++)
		if (level != spike && !IsAlone(feature, level) && feature->bin[level] > current)
		{
			current = feature->bin[level];
			match->low[current - 1] = low[level];
		}
	match->nranges = current;
	/* everybody has a value with a bin of its own */
	if (match->nranges == 0)
		match->low[match->nranges++] = 0;
	if (spike >= 0)
		match->alone[match->nalone++] = low[spike];
}

/* The ranges of a scaled slot, and the values with bins of their own. */
static void
KeepRanges(MatchFeature *match, const ScorecardFeature *feature, const float *low)
{
	const OwnLevels *own = feature->own;

	match->low = palloc(feature->nbins * sizeof(float));
	match->alone = palloc(feature->nbins * sizeof(float));
	if (own != NULL && own->nfixed > 0)
	{
		match->nranges = own->nfixed;
		memcpy(match->low, own->low, own->nfixed * sizeof(float));
	}
	else
		KeepRangesFound(match, feature, low);
	for (int i = 0; own != NULL && i < own->nalone; i++)
		match->alone[match->nalone++] = own->value[i];
}

static MatchBin *
KeepBins(const ScorecardFeature *feature)
{
	MatchBin *bins = palloc(feature->nbins * sizeof(MatchBin));

	for (int b = 0; b < feature->nbins; b++)
		bins[b] = (MatchBin){feature->count[b], feature->points[b],
							 feature->mean == NULL ? 0 : feature->mean[b]};
	return bins;
}

static MatchFeature
KeepFeature(const FitFeatures *f, int i)
{
	const ScorecardFeature *feature = &f->features[i];
	MatchFeature match = f->match[i];

	match.nbins = feature->nbins;
	match.p_value = feature->p_value;
	match.bins = KeepBins(feature);
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
	match.bins = KeepBins(pair);
	return match;
}

/* An error for a single class; with warn, warns of few targets or others. */
static void
CheckTargets(ClassCount total, bool warn)
{
	int64 rarer = Min(total.targets, total.others);

	if (rarer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("match_fit needs targets and others"),
				 errdetail("All " INT64_FORMAT " rows are %s.", total.targets + total.others,
						   total.targets > 0 ? "targets" : "others"),
				 errhint("Give it all customers, with is_target true for the best of them.")));
	if (warn && rarer < FEW_TARGETS)
		ereport(WARNING, (errmsg("match_fit has few %s to learn from: " INT64_FORMAT,
								 total.targets == rarer ? "targets" : "others", rarer),
						  errdetail("With fewer than %d its figures are uncertain.", FEW_TARGETS)));
}

/* The same for values. */
static void
CheckValues(const FitFeatures *f, bool warn)
{
	if (!f->equal &&
		(f->deviation < DBL_MIN || !isfinite(f->rows->nrows * (fabs(f->mean) + f->deviation))))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("the values of match_fit are too %s for sums of them",
							   f->deviation < DBL_MIN ? "small" : "large"),
						errdetail("They go from %g to %g.", f->places[0].value,
								  f->places[f->rows->nrows - 1].value),
						errhint("Give them in another unit.")));
	if (f->equal)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION), errmsg("match_fit needs values that differ"),
			 errdetail("All " INT64_FORMAT " rows have the value %g.", f->rows->nrows, f->mean)));
	if (warn && f->rows->nrows < FEW_TARGETS)
		ereport(WARNING,
				(errmsg("match_fit has few values to learn from: " INT64_FORMAT, f->rows->nrows),
				 errdetail("With fewer than %d its figures are uncertain.", FEW_TARGETS)));
}

/* From standard deviations to the unit of the values. */
static void
ScaleToValues(MatchModel *model, const FitFeatures *f)
{
	ScoreQuality *quality = &model->card.quality;

	model->outcome = OUTCOME_VALUE;
	model->mean = f->mean;
	model->card.intercept = f->mean + f->deviation * model->card.intercept;
	for (int i = 0; i < model->nfeatures; i++)
		for (int b = 0; b < model->features[i].nbins; b++)
		{
			MatchBin *bin = &model->features[i].bins[b];

			bin->points *= f->deviation;
			if (bin->count.others > 0)
				bin->mean = f->mean + f->deviation * bin->mean;
		}
	quality->log_loss = 0;
	/* everybody gets the mean, whatever rounding says */
	if (model->card.shrinkage == 0)
		quality->r_squared = 0;
	quality->rmse *= f->deviation;
	for (int d = 0; d < SCORECARD_DECILES; d++)
	{
		ScoreDecile *decile = &quality->decile[d];

		decile->value = decile->rows * f->mean + f->deviation * decile->value;
		decile->expected = decile->rows * f->mean + f->deviation * decile->expected;
	}
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
	Outcomes outcomes;

	AggregateContext(fcinfo, "match_fit");
	if (PG_ARGISNULL(0) || ((FitRows *) PG_GETARG_POINTER(0))->nrows == 0)
		PG_RETURN_NULL();
	rows = (FitRows *) PG_GETARG_POINTER(0);
	MakeFitFeatures(&f, rows);
	if (rows->with_value)
		CheckValues(&f, warn);
	else
		CheckTargets(f.total, warn);

	outcomes = (Outcomes){f.target, f.value};
	model.card.nrows = rows->nrows;
	model.card.ntargets = f.total.targets;
	model.card.outcome = f.outcome;
	model.card.nfeatures = f.nfeatures;
	model.card.features = f.features;
	FitScorecard(&model.card, &outcomes, f.fold);
	if (warn && model.card.shrinkage == 0)
		ereport(
			WARNING,
			(errmsg(rows->with_value ? "match_fit found nothing that goes with the values"
									 : "match_fit found nothing that tells targets from others"),
			 errdetail(rows->with_value
						   ? "No card beats the mean on rows held out: this one is empty, and "
							 "everybody's score is the mean."
						   : "No card beats the base rate on rows held out: this one is empty, "
							 "and everybody's score is the share of targets.")));
	KeepModel(&model, &f);
	if (rows->with_value)
		ScaleToValues(&model, &f);
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
