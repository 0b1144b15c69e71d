/*
 * uplift_model.c: the type uplift_model.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#include "match/uplift_model.h"

#define MAX_CARD_BINS 100000

static const char *const OutcomeWords[] = {"event", "value", NULL};

static const ModelField EstimateFields[] = {
	MODEL_FIELD(Estimate, "value", value, FIELD_NUMBER),
	MODEL_FIELD(Estimate, "error", error, FIELD_NUMBER),
};
static const ModelGroup EstimateGroup = {
	.size = sizeof(Estimate), .nfields = lengthof(EstimateFields), .fields = EstimateFields};

static const ModelField DecileFields[] = {
	MODEL_FIELD(UpliftDecile, "uplift", uplift, FIELD_GROUP, .group = &EstimateGroup),
	MODEL_FIELD(UpliftDecile, "expected", expected, FIELD_NUMBER),
};
static const ModelGroup DecileGroup = {
	.size = sizeof(UpliftDecile), .nfields = lengthof(DecileFields), .fields = DecileFields};

static const ModelField BinFields[] = {
	MODEL_FIELD(UpliftBin, "response", response, FIELD_NUMBER),
	MODEL_FIELD(UpliftBin, "treated_mean", treated_mean, FIELD_NUMBER),
	MODEL_FIELD(UpliftBin, "control_mean", control_mean, FIELD_NUMBER),
};
static const ModelGroup BinGroup = {
	.size = sizeof(UpliftBin), .nfields = lengthof(BinFields), .fields = BinFields};

#define ESTIMATE(name, member)                                                                     \
	MODEL_FIELD(UpliftModel, name, member, FIELD_GROUP, .group = &EstimateGroup)

static const ModelField Fields[] = {
	MODEL_FIELD(UpliftModel, "outcome", is_value, FIELD_WORD, .words = OutcomeWords),
	MODEL_FIELD(UpliftModel, "response", response, FIELD_NUMBER),
	MODEL_FIELD(UpliftModel, "treated_mean", treated_mean, FIELD_NUMBER),
	MODEL_FIELD(UpliftModel, "control_mean", control_mean, FIELD_NUMBER),
	ESTIMATE("effect", effect),
	MODEL_FIELD(UpliftModel, "deviation", deviation, FIELD_NUMBER),
	MODEL_FIELD(UpliftModel, "balance", balance, FIELD_NUMBER),
	ESTIMATE("qini", quality.qini),
	ESTIMATE("auuc", quality.auuc),
	ESTIMATE("top10", quality.top10),
	ESTIMATE("top30", quality.top30),
	ESTIMATE("response30", quality.response30),
	MODEL_FIELD(UpliftModel, "deciles", quality.decile, FIELD_GROUP, .count = UPLIFT_DECILES,
				.group = &DecileGroup),
	MODEL_LIST(UpliftModel, "bins", bins, nbins, FIELD_GROUP, MAX_CARD_BINS, .group = &BinGroup),
	MODEL_FIELD(UpliftModel, "card", card, FIELD_MODEL, .format = &MatchModelFormat),
};

static const char *
UpliftModelFault(const void *data)
{
	const UpliftModel *model = data;
	const UpliftQuality *q = &model->quality;
	int64 nbins = 0;

	if (model->card == NULL)
		return "There is no card.";
	for (int i = 0; i < model->card->nfeatures; i++)
		nbins += model->card->features[i].nbins;
	if (nbins != model->nbins)
		return "The number of bins is not that of the card.";
	if (!(model->balance >= 0 && model->balance <= 1) || model->deviation < 0)
		return "A figure of the fit is out of range.";
	if (model->effect.error < 0 || q->qini.error < 0 || q->auuc.error < 0 || q->top10.error < 0 ||
		q->top30.error < 0 || q->response30.error < 0)
		return "A standard error is negative.";
	for (int d = 0; d < UPLIFT_DECILES; d++)
		if (q->decile[d].uplift.error < 0)
			return "A standard error is negative.";
	return NULL;
}

const ModelFormat UpliftModelFormat = {
	.type = "uplift_model",
	.version = 1,
	.max_bytes = 64 * 1024 * 1024,
	.group = {.size = sizeof(UpliftModel), .nfields = lengthof(Fields), .fields = Fields},
	.fault = UpliftModelFault,
	.example = "it as uplift_fit() does",
};

MODEL_IO(uplift_model, UpliftModelFormat)
