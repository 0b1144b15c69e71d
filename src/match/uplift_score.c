/*
 * uplift_score.c: profiles under an uplift_model, and the model itself as rows.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "base/special_functions.h"
#include "match/uplift_model.h"

#define LEVEL 0.95
#define LEAST_POINTS 0.01 /* of the outcome's standard deviation: less is no reason */

/* The model that is argument 1, and the profile that is argument 0. */
static const UpliftModel *
OpenArguments(FunctionCallInfo fcinfo, ProfileView *view)
{
	const UpliftModel *model = ModelArgument(&UpliftModelFormat, fcinfo, 1);

	/* an empty model that saw no attributes tells the same of every profile */
	OpenProfileOfModel(view, PG_GETARG_DATUM(0), model->card, "uplift_model");
	return model;
}

/* Uplift, and the outcome expected without treatment. */
static double
UpliftOf(const UpliftModel *model, const ProfileView *view, double *response)
{
	double uplift = model->card->card.intercept;
	int first = 0;

	*response = model->response;
	for (int i = 0; i < model->card->nfeatures; i++)
	{
		const MatchFeature *feature = &model->card->features[i];
		int bin = FeatureBin(feature, view);

		uplift += feature->bins[bin].points;
		*response += model->bins[first + bin].response;
		first += feature->nbins;
	}
	return uplift;
}

/* (profile, uplift_model) */
PG_FUNCTION_INFO_V1(uplift_score);
Datum
uplift_score(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const UpliftModel *model = OpenArguments(fcinfo, &view);
	double response;

	PG_RETURN_FLOAT8(UpliftOf(model, &view, &response));
}

/* (profile, uplift_model, pays_from) */
PG_FUNCTION_INFO_V1(uplift_group);
Datum
uplift_group(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const UpliftModel *model;
	double pays_from;
	double response;
	double uplift;
	const char *group;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	model = OpenArguments(fcinfo, &view);
	pays_from = PG_ARGISNULL(2) ? Max(0, model->card->card.intercept) : PG_GETARG_FLOAT8(2);
	if (!(pays_from >= 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pays_from must not be negative, not %g", pays_from)));
	uplift = UpliftOf(model, &view, &response);
	if (UpliftIsEmpty(model))
		group = "cannot tell";
	else if (uplift <= 0)
		group = "do not disturb";
	else if (uplift >= pays_from)
		group = "persuadable";
	else
		group = response >= model->response ? "sure" : "lost";
	PG_RETURN_TEXT_P(cstring_to_text(group));
}

/* ---------- reasons ---------- */

/* "; up: attribute = value (+1.2 points), …" */
static void
AppendReasons(StringInfo out, const UpliftModel *model, const ProfileView *view,
			  const Reason *reasons, int nreasons, bool up)
{
	bool first = true;

	for (int i = 0; i < nreasons; i++)
	{
		const MatchFeature *feature = reasons[i].feature;

		if ((reasons[i].points > 0) != up)
			continue;
		if (first)
			appendStringInfo(out, "%s%s: ", out->len > 0 ? "; " : "", up ? "up" : "down");
		appendStringInfo(out, "%s%s = %s", first ? "" : ", ", FeatureName(model->card, feature),
						 FeatureValue(model->card, feature, view));
		if (model->is_value)
			appendStringInfo(out, " (%+.3g)", reasons[i].points);
		else
			appendStringInfo(out, " (%+.1f points)", 100 * reasons[i].points);
		first = false;
	}
}

/* (profile, uplift_model, max_reasons) */
PG_FUNCTION_INFO_V1(uplift_reasons);
Datum
uplift_reasons(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const UpliftModel *model = OpenArguments(fcinfo, &view);
	int max_reasons = CheckedMaxReasons(PG_GETARG_INT32(2));
	StringInfoData out;
	Reason *reasons;
	int n;

	reasons = FindReasons(model->card, &view, LEAST_POINTS * model->deviation, &n);
	initStringInfo(&out);
	AppendReasons(&out, model, &view, reasons, Min(n, max_reasons), true);
	AppendReasons(&out, model, &view, reasons, Min(n, max_reasons), false);
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}

/* ---------- bins ---------- */

/* The columns bin, treated, control, treated_mean, control_mean, points, response_points of a bin.
 */
static void
SetBinColumns(const UpliftModel *model, const MatchFeature *feature, int first, int bin,
			  Datum *values, bool *nulls)
{
	ClassCount count = feature->bins[bin].count;
	const UpliftBin *of_bin = &model->bins[first + bin];

	values[0] = CStringGetTextDatum(BinLabel(model->card, feature, bin));
	values[1] = Int64GetDatum(count.targets);
	values[2] = Int64GetDatum(count.others);
	values[3] = Float8GetDatum(of_bin->treated_mean);
	nulls[3] = count.targets < FEW_SHARING;
	values[4] = Float8GetDatum(of_bin->control_mean);
	nulls[4] = count.others < FEW_SHARING;
	values[5] = Float8GetDatum(feature->bins[bin].points);
	values[6] = Float8GetDatum(of_bin->response);
}

/* (profile, uplift_model) → (attribute, value, bin, …), every attribute of the card */
PG_FUNCTION_INFO_V1(explain_uplift);
Datum
explain_uplift(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const UpliftModel *model = OpenArguments(fcinfo, &view);
	int first = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->card->nfeatures; i++)
	{
		const MatchFeature *feature = &model->card->features[i];
		Datum values[9];
		bool nulls[9] = {false};

		values[0] = CStringGetTextDatum(FeatureName(model->card, feature));
		values[1] = CStringGetTextDatum(FeatureValue(model->card, feature, &view));
		SetBinColumns(model, feature, first, FeatureBin(feature, &view), values + 2, nulls + 2);
		PutRow(fcinfo, values, nulls);
		first += feature->nbins;
	}
	return (Datum) 0;
}

/* (uplift_model) → (attribute, bin, …) */
PG_FUNCTION_INFO_V1(uplift_card);
Datum
uplift_card(PG_FUNCTION_ARGS)
{
	const UpliftModel *model = ModelFromDatum(&UpliftModelFormat, PG_GETARG_DATUM(0));
	int first = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->card->nfeatures; i++)
	{
		const MatchFeature *feature = &model->card->features[i];

		int at = 0;
		int bin;

		while ((bin = NextBin(feature, &at)) >= 0)
		{
			Datum values[8];
			bool nulls[8] = {false};

			values[0] = CStringGetTextDatum(FeatureName(model->card, feature));
			SetBinColumns(model, feature, first, bin, values + 1, nulls + 1);
			PutRow(fcinfo, values, nulls);
		}
		first += feature->nbins;
	}
	return (Datum) 0;
}

/* ---------- quality ---------- */

/* Value and ends of the interval, as three columns; NULL where nothing was measured. */
static void
SetEstimate(const UpliftModel *model, Estimate estimate, Datum *values, bool *nulls)
{
	double reach = NormalQuantileOfLevel(LEVEL) * estimate.error;

	values[0] = Float8GetDatum(estimate.value);
	values[1] = Float8GetDatum(estimate.value - reach);
	values[2] = Float8GetDatum(estimate.value + reach);
	for (int i = 0; i < 3; i++)
		nulls[i] = estimate.error == 0;
}

static const char *
Verdict(const UpliftModel *model)
{
	if (model->deviation == 0)
		return "cannot tell: all outcomes are equal";
	if (model->quality.qini.error == 0)
		return "cannot tell: too few rows";
	return UpliftIsEmpty(model) ? "no difference found" : "differs";
}

/* (uplift_model) → one row */
PG_FUNCTION_INFO_V1(uplift_quality);
Datum
uplift_quality(PG_FUNCTION_ARGS)
{
	const UpliftModel *model = ModelFromDatum(&UpliftModelFormat, PG_GETARG_DATUM(0));
	const Scorecard *card = &model->card->card;
	const UpliftQuality *q = &model->quality;
	Datum values[28];
	bool nulls[28] = {false};

	values[0] = Int64GetDatum(card->nrows);
	values[1] = Int64GetDatum(card->ntargets);
	values[2] = Int64GetDatum(card->nrows - card->ntargets);
	values[3] = Float8GetDatum(model->treated_mean);
	values[4] = Float8GetDatum(model->control_mean);
	SetEstimate(model, model->effect, values + 5, nulls + 5);
	values[8] = CStringGetTextDatum(Verdict(model));
	values[9] = Int32GetDatum(CountAttributes(model->card));
	SetEstimate(model, q->qini, values + 10, nulls + 10);
	SetEstimate(model, q->auuc, values + 13, nulls + 13);
	SetEstimate(model, q->top10, values + 16, nulls + 16);
	SetEstimate(model, q->top30, values + 19, nulls + 19);
	values[22] = Float8GetDatum(q->response30.value);
	nulls[22] = q->response30.error == 0;
	values[23] = Float8GetDatum(sqrt(card->prior_variance) * model->deviation);
	values[24] = Float8GetDatum(card->shrinkage);
	values[25] = Float8GetDatum(model->balance);
	values[26] = Int64GetDatum(model->card->skipped);
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* (uplift_model) → (decile, uplift, uplift_low, uplift_high, expected_uplift, gain) */
PG_FUNCTION_INFO_V1(uplift_deciles);
Datum
uplift_deciles(PG_FUNCTION_ARGS)
{
	const UpliftModel *model = ModelFromDatum(&UpliftModelFormat, PG_GETARG_DATUM(0));
	double gain = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int d = 0; d < UPLIFT_DECILES; d++)
	{
		const UpliftDecile *decile = &model->quality.decile[d];
		Datum values[6];
		bool nulls[6] = {false};

		gain += decile->uplift.value * model->card->card.nrows / UPLIFT_DECILES;
		values[0] = Int32GetDatum(d + 1);
		SetEstimate(model, decile->uplift, values + 1, nulls + 1);
		values[4] = Float8GetDatum(decile->expected);
		values[5] = Float8GetDatum(gain);
		nulls[4] = nulls[5] = model->quality.qini.error == 0;
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
