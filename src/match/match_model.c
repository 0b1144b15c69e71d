/*
 * match_model.c: the type match_model.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "lib/stringinfo.h"

#include "match/match_model.h"

static inline bool
FeatureIsScaled(const MatchModel *model, const MatchFeature *feature)
{
	return feature->slot < model->nscaled;
}

static inline bool
FeatureIsSet(const MatchModel *model, const MatchFeature *feature)
{
	return feature->slot >= model->nscaled + model->ncoded;
}

/* ---------- the type ---------- */

static const ModelField BinFields[] = {
	MODEL_FIELD(MatchBin, "others", count.others, FIELD_COUNT),
	MODEL_FIELD(MatchBin, "targets", count.targets, FIELD_COUNT),
	MODEL_FIELD(MatchBin, "points", points, FIELD_NUMBER),
	MODEL_FIELD(MatchBin, "mean", mean, FIELD_NUMBER),
};
static const ModelGroup BinGroup = {
	.size = sizeof(MatchBin), .nfields = lengthof(BinFields), .fields = BinFields};

/* A part of an interaction. */
static const ModelField PartFields[] = {
	MODEL_FIELD(MatchFeature, "slot", slot, FIELD_INT),
	MODEL_FIELD(MatchFeature, "member", member, FIELD_INT),
	MODEL_FIELD(MatchFeature, "bins", nbins, FIELD_INT),
	MODEL_LIST(MatchFeature, "low", low, nranges, FIELD_FLOAT, MAX_FEATURE_BINS),
	MODEL_LIST(MatchFeature, "codes", codes, ncodes, FIELD_BYTE, CODE_MISSING),
};
static const ModelGroup PartGroup = {
	.size = sizeof(MatchFeature), .nfields = lengthof(PartFields), .fields = PartFields};

static const ModelField FeatureFields[] = {
	MODEL_FIELD(MatchFeature, "slot", slot, FIELD_INT),
	MODEL_FIELD(MatchFeature, "member", member, FIELD_INT),
	MODEL_LIST(MatchFeature, "bins", bins, nbins, FIELD_GROUP, MAX_FEATURE_BINS,
			   .group = &BinGroup),
	MODEL_LIST(MatchFeature, "low", low, nranges, FIELD_FLOAT, MAX_FEATURE_BINS),
	MODEL_LIST(MatchFeature, "alone", alone, nalone, FIELD_FLOAT, 1 + MAX_ALONE),
	MODEL_LIST(MatchFeature, "codes", codes, ncodes, FIELD_BYTE, CODE_MISSING),
	MODEL_FIELD(MatchFeature, "p_value", p_value, FIELD_NUMBER),
	MODEL_LIST(MatchFeature, "parts", parts, nparts, FIELD_GROUP, 2, .group = &PartGroup),
};
static const ModelGroup FeatureGroup = {
	.size = sizeof(MatchFeature), .nfields = lengthof(FeatureFields), .fields = FeatureFields};

static const ModelField DecileFields[] = {
	MODEL_FIELD(ScoreDecile, "rows", rows, FIELD_COUNT),
	MODEL_FIELD(ScoreDecile, "targets", targets, FIELD_COUNT),
	MODEL_FIELD(ScoreDecile, "expected", expected, FIELD_NUMBER),
	MODEL_FIELD(ScoreDecile, "value", value, FIELD_NUMBER),
};
static const ModelGroup DecileGroup = {
	.size = sizeof(ScoreDecile), .nfields = lengthof(DecileFields), .fields = DecileFields};

static const char *const OutcomeNames[] = {"target", "value", NULL};

static const ModelField Fields[] = {
	MODEL_FIELD(MatchModel, "rows", card.nrows, FIELD_COUNT),
	MODEL_FIELD(MatchModel, "targets", card.ntargets, FIELD_COUNT),
	MODEL_FIELD(MatchModel, "skipped", skipped, FIELD_COUNT),
	MODEL_FIELD(MatchModel, "auc", card.quality.auc, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "log_loss", card.quality.log_loss, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "prior_variance", card.prior_variance, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "intercept", card.intercept, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "deciles", card.quality.decile, FIELD_GROUP, .count = SCORECARD_DECILES,
				.group = &DecileGroup),
	MODEL_FIELD(MatchModel, "fingerprint", fingerprint, FIELD_HASH),
	MODEL_FIELD(MatchModel, "scaled", nscaled, FIELD_INT),
	MODEL_FIELD(MatchModel, "coded", ncoded, FIELD_INT),
	MODEL_LIST(MatchModel, "set_bytes", set_bytes, nsets, FIELD_BYTE, MAX_ATTRIBUTES,
			   .in_place = true),
	MODEL_LIST(MatchModel, "features", features, nfeatures, FIELD_GROUP,
			   MAX_ATTRIBUTES *(MAX_SET_BYTES * 8), .group = &FeatureGroup),
	MODEL_FIELD(MatchModel, "profile_model", words, FIELD_MODEL, .format = &ProfileModelFormat),
	MODEL_FIELD(MatchModel, "shrinkage", card.shrinkage, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "outcome", outcome, FIELD_WORD, .words = OutcomeNames),
	MODEL_FIELD(MatchModel, "mean", mean, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "r_squared", card.quality.r_squared, FIELD_NUMBER),
	MODEL_FIELD(MatchModel, "rmse", card.quality.rmse, FIELD_NUMBER),
};
static const MatchModel Defaults = {.card = {.shrinkage = 1}};

/* The last codes mostly share a bin, which is stored once. */
static void
TidyFeature(MatchFeature *feature)
{
	while (feature->ncodes > 1 &&
		   feature->codes[feature->ncodes - 1] == feature->codes[feature->ncodes - 2])
		feature->ncodes--;
	for (int part = 0; part < feature->nparts; part++)
		TidyFeature(&feature->parts[part]);
}

static void
TidyMatchModel(void *data)
{
	MatchModel *model = data;

	for (int i = 0; i < model->nfeatures; i++)
		TidyFeature(&model->features[i]);
}

/* What is wrong with the ranges of a scaled slot, or with ranges of another slot. */
static const char *
RangesFault(const MatchFeature *feature, bool scaled)
{
	if (scaled ? feature->nranges < 1 || feature->nranges + feature->nalone != feature->nbins - 1
			   : feature->nranges > 0 || feature->nalone > 0)
		return "The number of ranges does not fit the bins.";
	for (int i = 0; i < feature->nalone; i++)
		if (isnan(feature->alone[i]))
			return "A value of its own is no number.";
	for (int i = 1; i < feature->nranges; i++)
		if (feature->low[i] <= feature->low[i - 1])
			return "Ranges are not in order.";
	return NULL;
}

static const char *
FeatureFault(const MatchModel *model, const MatchFeature *feature)
{
	bool scaled = FeatureIsScaled(model, feature);
	bool set = FeatureIsSet(model, feature);

	if (feature->slot >= model->nscaled + model->ncoded + model->nsets)
		return "A slot is out of range.";
	if (!(feature->p_value >= 0 && feature->p_value <= 1))
		return "A p-value is out of range.";
	if (feature->nbins < 2)
		return "The number of bins is out of range.";
	if (set ? feature->nbins > 3 ||
				  feature->member >=
					  model->set_bytes[feature->slot - model->nscaled - model->ncoded] * 8
			: feature->member > 0)
		return "A member of a set is out of range.";
	if ((scaled || set) != (feature->ncodes == 0))
		return "Codes belong to coded slots.";
	for (int i = 0; i < feature->ncodes; i++)
		if (feature->codes[i] < 1 || feature->codes[i] >= feature->nbins)
			return "A value's bin is out of range.";
	return RangesFault(feature, scaled);
}

/* What is wrong with an interaction, or with its parts. */
static const char *
PairFault(const MatchModel *model, const MatchFeature *pair)
{
	if (pair->nparts != 2 || pair->slot != 0 || pair->member != 0 || pair->nranges > 0 ||
		pair->ncodes > 0 || pair->nalone > 0)
		return "An interaction is of two attributes.";
	if (!(pair->p_value >= 0 && pair->p_value <= 1))
		return "A p-value is out of range.";
	for (int i = 0; i < 2; i++)
	{
		const char *fault = FeatureFault(model, &pair->parts[i]);

		if (fault != NULL)
			return fault;
		if (pair->parts[i].nbins > MAX_FEATURE_BINS)
			return "The number of bins is out of range.";
	}
	if (pair->nbins != pair->parts[0].nbins * pair->parts[1].nbins)
		return "The number of bins is out of range.";
	return NULL;
}

/* Whether the profile model is the one that the fit saw. */
static bool
WordsFit(const MatchModel *model, const ProfileModel *words)
{
	if (words->fingerprint != model->fingerprint || words->nscaled != model->nscaled ||
		words->ncoded != model->ncoded || words->nsets != model->nsets)
		return false;
	for (int i = 0; i < model->nsets; i++)
		if (words->atts[words->slot_att[model->nscaled + model->ncoded + i]].set_bytes !=
			model->set_bytes[i])
			return false;
	return true;
}

static const char *
MatchModelFault(const void *data)
{
	const MatchModel *model = data;
	const Scorecard *card = &model->card;

	if (model->nscaled > MAX_ATTRIBUTES || model->ncoded > MAX_ATTRIBUTES ||
		model->nscaled + model->ncoded + model->nsets < 1 ||
		model->nscaled + model->ncoded + model->nsets > MAX_ATTRIBUTES)
		return "The number of attributes is out of range.";
	for (int i = 0; i < model->nsets; i++)
		if (model->set_bytes[i] < 1 || model->set_bytes[i] > MAX_SET_BYTES)
			return "The size of a set is out of range.";
	if (card->nrows < card->ntargets)
		return "There are more targets than rows.";
	if (model->outcome == OUTCOME_VALUE && card->ntargets > 0)
		return "Values have no targets.";
	if (card->prior_variance <= 0 || !(card->quality.auc >= 0 && card->quality.auc <= 1) ||
		card->quality.log_loss < 0 || card->quality.rmse < 0 ||
		!(card->shrinkage >= 0 && card->shrinkage <= 1))
		return "A figure of the fit is out of range.";
	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];
		const char *fault =
			feature->nparts > 0 ? PairFault(model, feature) : FeatureFault(model, feature);

		if (fault != NULL)
			return fault;
		if (i > 0 && feature[-1].nparts > 0 && feature->nparts == 0)
			return "Interactions come last.";
		if (i > 0 && feature->nparts == 0 &&
			(feature->slot < feature[-1].slot ||
			 (feature->slot == feature[-1].slot && feature->member <= feature[-1].member)))
			return "Attributes are not in order.";
	}
	if (model->words != NULL && !WordsFit(model, model->words))
		return "It carries another profile model than the one it was fitted with.";
	return NULL;
}

const ModelFormat MatchModelFormat = {
	.type = "match_model",
	.version = 1,
	.max_bytes = 64 * 1024 * 1024,
	.group = {.size = sizeof(MatchModel),
			  .nfields = lengthof(Fields),
			  .fields = Fields,
			  .defaults = &Defaults},
	.tidy = TidyMatchModel,
	.fault = MatchModelFault,
	.example = "it as match_fit() does",
};

MODEL_IO(match_model, MatchModelFormat)

/* ---------- profiles and their bins ---------- */

void
OpenProfileOfModel(ProfileView *view, Datum profile, const MatchModel *model, const char *type)
{
	OpenProfile(view, profile);
	if (unlikely(ProfileFingerprint(view) != model->fingerprint ||
				 view->nscaled != model->nscaled || view->ncoded != model->ncoded ||
				 view->nsets != model->nsets ||
				 memcmp(view->set_bytes, model->set_bytes, model->nsets) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the profile was made with another profile_model than the %s", type),
				 errdetail("The profile's model is %016llx, the %s was fitted with %016llx.",
						   (unsigned long long) ProfileFingerprint(view), type,
						   (unsigned long long) model->fingerprint),
				 errhint("Encode customers and prospects with one and the same profile_model.")));
}

static inline int
CodeBin(const MatchFeature *feature, int code)
{
	return feature->codes[Min(code, feature->ncodes - 1)];
}

int
FeatureBin(const MatchFeature *feature, const ProfileView *view)
{
	if (feature->nparts > 0)
		return FeatureBin(&feature->parts[0], view) * feature->parts[1].nbins +
			   FeatureBin(&feature->parts[1], view);
	if (SlotIsMissing(view, feature->slot))
		return MISSING_BIN;
	if (feature->slot < view->nscaled)
	{
		float number = SlotNumber(view, feature->slot);
		int first = 0;
		int last = feature->nranges - 1;

		for (int i = 0; i < feature->nalone; i++)
			if (number == feature->alone[i])
				return 1 + feature->nranges + i;
		/* the last range that starts at or below the number */
		while (first < last)
		{
			int middle = (first + last + 1) / 2;

			if (feature->low[middle] <= number)
				first = middle;
			else
				last = middle - 1;
		}
		return first + 1;
	}
	if (feature->slot < view->nscaled + view->ncoded)
		return CodeBin(feature, view->codes[feature->slot]);
	return Min(feature->nbins - 1,
			   1 + BitmapHas(SetBitmap(view, feature->slot - view->nscaled - view->ncoded),
							 feature->member));
}

double
MatchSum(const MatchModel *model, const ProfileView *view)
{
	double sum = model->card.intercept;

	for (int i = 0; i < model->nfeatures; i++)
		sum += model->features[i].bins[FeatureBin(&model->features[i], view)].points;
	return sum;
}

/* ---------- words ---------- */

/* The attribute of a feature; NULL if the model does not carry names. */
static const ProfileAttribute *
FeatureAttribute(const MatchModel *model, const MatchFeature *feature)
{
	return model->words == NULL ? NULL : &model->words->atts[model->words->slot_att[feature->slot]];
}

const char *
FeatureName(const MatchModel *model, const MatchFeature *feature)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	if (feature->nparts > 0)
		return psprintf("%s × %s", FeatureName(model, &feature->parts[0]),
						FeatureName(model, &feature->parts[1]));
	return att != NULL ? att->name : psprintf("slot %d", feature->slot);
}

/* A number of a scaled slot as text: a number, a day or the word of a rank. */
static char *
NumberText(const ProfileAttribute *att, float number)
{
	char *text;

	if (att != NULL && att->kind != KIND_NUMERIC)
		return ScaledText(att, number);
	text = palloc(FLOAT_SHORTEST_DECIMAL_LEN);
	float_to_shortest_decimal_buf(number, text);
	return text;
}

/* The word of a code or of a member. */
static const char *
DictionaryText(const ProfileAttribute *att, int code)
{
	if (att == NULL)
		return psprintf("value %d", code);
	return code < att->nvalues ? att->values[code] : "(other)";
}

/* The first range begins with the smallest number of the fit, which is told if it is the only one.
 */
static char *
WholeRange(const float *low, int range, int nranges)
{
	double from = low[range];
	double to = range < nranges - 1 ? low[range + 1] : HUGE_VAL;

	return WholeRangeText(range > 0 || from == ceil(to) - 1 ? from : -HUGE_VAL, to);
}

static char *
RangeLabel(const ProfileAttribute *att, const MatchFeature *feature, int bin)
{
	int range = bin - 1;
	const float *low = feature->low;

	if (range >= feature->nranges)
		return NumberText(att, feature->alone[range - feature->nranges]);
	if (feature->nranges == 1)
		return pstrdup(feature->nalone > 0 ? "any other" : "any");
	if (att != NULL && att->numbers == NUMBERS_WHOLE)
	{
		char *label = WholeRange(low, range, feature->nranges);

		if (label != NULL)
			return label;
	}
	if (range == 0)
		return psprintf("below %s", NumberText(att, low[1]));
	if (range == feature->nranges - 1)
		return psprintf("%s and more", NumberText(att, low[range]));
	return psprintf("%s to below %s", NumberText(att, low[range]), NumberText(att, low[range + 1]));
}

/* The words of a group of codes; those outside the dictionary only once. */
static char *
CodesLabel(const ProfileAttribute *att, const MatchFeature *feature, int bin)
{
	StringInfoData label;
	int nvalues = att != NULL ? att->nvalues : CODE_MISSING;
	bool other = false;

	initStringInfo(&label);
	for (int code = 0; code < CODE_MISSING; code++)
	{
		if (CodeBin(feature, code) != bin)
			continue;
		if (code >= nvalues)
			other = true;
		else
			appendStringInfo(&label, "%s%s", label.len > 0 ? ", " : "", DictionaryText(att, code));
	}
	if (other && att != NULL && (att->other > 0 || label.len == 0))
		appendStringInfo(&label, "%s(other)", label.len > 0 ? ", " : "");
	return label.data;
}

char *
BinLabel(const MatchModel *model, const MatchFeature *feature, int bin)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	if (feature->nparts > 0)
		return psprintf("%s × %s",
						BinLabel(model, &feature->parts[0], bin / feature->parts[1].nbins),
						BinLabel(model, &feature->parts[1], bin % feature->parts[1].nbins));
	if (bin == MISSING_BIN)
		return pstrdup("(missing)");
	if (FeatureIsScaled(model, feature))
		return RangeLabel(att, feature, bin);
	if (!FeatureIsSet(model, feature))
		return CodesLabel(att, feature, bin);
	if (feature->nbins == 2)
		return pstrdup("any");
	return psprintf("%s%s", bin == 1 ? "without " : "", DictionaryText(att, feature->member));
}

char *
FeatureValue(const MatchModel *model, const MatchFeature *feature, const ProfileView *view)
{
	const ProfileAttribute *att = FeatureAttribute(model, feature);

	if (feature->nparts > 0)
		return psprintf("%s × %s", FeatureValue(model, &feature->parts[0], view),
						FeatureValue(model, &feature->parts[1], view));
	if (SlotIsMissing(view, feature->slot))
		return pstrdup("(missing)");
	if (FeatureIsScaled(model, feature))
		return NumberText(att, SlotNumber(view, feature->slot));
	if (!FeatureIsSet(model, feature))
		return pstrdup(DictionaryText(att, view->codes[feature->slot]));
	return BinLabel(model, feature, FeatureBin(feature, view));
}

int
NextBin(const MatchFeature *feature, int *at)
{
	while (*at < feature->nbins)
	{
		const MatchBin *bin;
		int b;

		CHECK_FOR_INTERRUPTS();
		b = ++*at % feature->nbins;
		bin = &feature->bins[b];
		if (bin->count.targets + bin->count.others > 0)
			return b;
	}
	return -1;
}

int
CountAttributes(const MatchModel *model)
{
	int n = 0;

	/* the members of a set share a slot */
	for (int i = 0; i < model->nfeatures; i++)
		n += model->features[i].nparts == 0 &&
			 (i == 0 || model->features[i].slot != model->features[i - 1].slot);
	return n;
}
