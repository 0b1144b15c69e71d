/*
 * match_score.c: scores of profiles under a match_model, and the model itself
 * as rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "base/common.h"
#include "base/special_functions.h"
#include "match/match_model.h"

#define CHANCE_LIMIT 0.05 /* of adjusted p-values */
#define MIN_POINTS 0.01   /* moving the odds by less than a hundredth is no reason */

static inline bool
IsOfValues(const MatchModel *model)
{
	return model->outcome == OUTCOME_VALUE;
}

/* Share of targets among the rows of the fit, or their mean. */
static double
BaseRate(const MatchModel *model)
{
	return IsOfValues(model) ? model->mean : (double) model->card.ntargets / model->card.nrows;
}

/* The chance of a profile to be a target, or the value expected. */
static double
ScoreOf(const MatchModel *model, const ProfileView *view)
{
	double sum = MatchSum(model, view);

	return IsOfValues(model) ? sum : Logistic(sum);
}

/* For what only odds have. */
static void
NeedTargets(const MatchModel *model, const char *function)
{
	if (IsOfValues(model))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s needs a card of targets, not of values", function),
						errdetail("A card of values has no odds: its points are values.")));
}

static int64
BinRows(ClassCount count)
{
	return count.targets + count.others;
}

/* Share of targets, or mean value. */
static double
BinRate(const MatchModel *model, const MatchBin *bin)
{
	return IsOfValues(model) ? bin->mean : (double) bin->count.targets / BinRows(bin->count);
}

/* The model and the profile of (profile, match_model, …). */
static const MatchModel *
OpenArguments(FunctionCallInfo fcinfo, ProfileView *view)
{
	const MatchModel *model = ModelArgument(&MatchModelFormat, fcinfo, 1);

	OpenProfileOfMatch(view, PG_GETARG_DATUM(0), model);
	return model;
}

/* (profile, match_model) */
PG_FUNCTION_INFO_V1(match_score);
Datum
match_score(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const MatchModel *model = OpenArguments(fcinfo, &view);

	PG_RETURN_FLOAT8(ScoreOf(model, &view));
}

/* (profile, match_model) */
PG_FUNCTION_INFO_V1(match_lift);
Datum
match_lift(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const MatchModel *model = OpenArguments(fcinfo, &view);

	if (!(BaseRate(model) > 0))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ScoreOf(model, &view) / BaseRate(model));
}

/* Log-odds on the trade's scale: points at odds of 1:1, and points that double the odds. */
PG_FUNCTION_INFO_V1(match_points);
Datum
match_points(PG_FUNCTION_ARGS)
{
	double at_even = PG_GETARG_FLOAT8(2);
	double to_double = PG_GETARG_FLOAT8(3);
	ProfileView view;
	const MatchModel *model = OpenArguments(fcinfo, &view);

	NeedTargets(model, "match_points");
	if (!isfinite(at_even) || !isfinite(to_double) || to_double == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("points must be finite, and those that double the odds not 0")));
	PG_RETURN_FLOAT8(at_even + to_double * MatchSum(model, &view) / M_LN2);
}

/* ---------- reasons ---------- */

/* Orders the strongest first, equal ones as in the model. */
static int
CompareReasons(const void *a, const void *b)
{
	const Reason *x = a;
	const Reason *y = b;

	if (fabs(x->points) != fabs(y->points))
		return fabs(x->points) > fabs(y->points) ? -1 : 1;
	return x->feature < y->feature ? -1 : x->feature > y->feature;
}

Reason *
FindReasons(const MatchModel *model, const ProfileView *view, double min_points, int *nreasons)
{
	Reason *reasons = palloc((model->nfeatures + 1) * sizeof(Reason));
	int n = 0;

	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];
		int bin = FeatureBin(feature, view);

		if (fabs(feature->bins[bin].points) >= min_points)
			reasons[n++] = (Reason){feature, bin, feature->bins[bin].points};
	}
	qsort(reasons, n, sizeof(Reason), CompareReasons);
	*nreasons = n;
	return reasons;
}

int
CheckedMaxReasons(int max_reasons)
{
	if (max_reasons < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the number of reasons must be positive, not %d", max_reasons)));
	return max_reasons;
}

/*
 * "up: job = retired (22.8 %), …": the share of targets among customers with the same value, or
 * their mean.
 */
static void
AppendReasons(StringInfo out, const MatchModel *model, const ProfileView *view,
			  const Reason *reasons, int nreasons, bool up)
{
	bool first = true;

	for (int i = 0; i < nreasons; i++)
	{
		const MatchFeature *feature = reasons[i].feature;
		const MatchBin *bin = &feature->bins[reasons[i].bin];

		if ((reasons[i].points > 0) != up)
			continue;
		if (first)
			appendStringInfo(out, "%s%s: ", out->len > 0 ? "; " : "", up ? "up" : "down");
		appendStringInfo(out, "%s%s = %s", first ? "" : ", ", FeatureName(model, feature),
						 FeatureValue(model, feature, view));
		if (BinRows(bin->count) > 0 && IsOfValues(model))
			appendStringInfo(out, " (mean %.4g)", bin->mean);
		else if (BinRows(bin->count) > 0)
			appendStringInfo(out, " (%.1f %%)", 100 * BinRate(model, bin));
		first = false;
	}
}

/* Fewer points are no reason. */
static double
LeastPoints(const MatchModel *model)
{
	/* of values, a hundredth of their error */
	return IsOfValues(model) ? MIN_POINTS * model->card.quality.rmse : MIN_POINTS;
}

/* The strongest reasons that (profile, match_model, max_reasons) asks for; returns their number. */
static int
ReasonsOfArguments(FunctionCallInfo fcinfo, const MatchModel **model, ProfileView *view,
				   Reason **reasons)
{
	int max_reasons = CheckedMaxReasons(PG_GETARG_INT32(2));
	int n;

	*model = OpenArguments(fcinfo, view);
	*reasons = FindReasons(*model, view, LeastPoints(*model), &n);
	return Min(n, max_reasons);
}

PG_FUNCTION_INFO_V1(match_reasons);
Datum
match_reasons(PG_FUNCTION_ARGS)
{
	const MatchModel *model;
	ProfileView view;
	Reason *reasons;
	int n = ReasonsOfArguments(fcinfo, &model, &view, &reasons);
	StringInfoData out;

	initStringInfo(&out);
	AppendReasons(&out, model, &view, reasons, n, true);
	AppendReasons(&out, model, &view, reasons, n, false);
	PG_RETURN_TEXT_P(cstring_to_text(out.data));
}

static void
AppendJsonNumber(StringInfo out, const char *key, double v)
{
	char buffer[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(v, buffer);
	appendStringInfo(out, ", \"%s\": %s", key, buffer);
}

PG_FUNCTION_INFO_V1(match_reasons_json);
Datum
match_reasons_json(PG_FUNCTION_ARGS)
{
	const MatchModel *model;
	ProfileView view;
	Reason *reasons;
	int n = ReasonsOfArguments(fcinfo, &model, &view, &reasons);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	for (int i = 0; i < n; i++)
	{
		const MatchFeature *feature = reasons[i].feature;
		const MatchBin *bin = &feature->bins[reasons[i].bin];

		appendStringInfoString(&out, i > 0 ? ", {\"attribute\": " : "{\"attribute\": ");
		escape_json(&out, FeatureName(model, feature));
		appendStringInfoString(&out, ", \"value\": ");
		escape_json(&out, FeatureValue(model, feature, &view));
		appendStringInfoString(&out, ", \"bin\": ");
		escape_json(&out, BinLabel(model, feature, reasons[i].bin));
		AppendJsonNumber(&out, "points", reasons[i].points);
		appendStringInfo(&out, ", \"rows\": " INT64_FORMAT, BinRows(bin->count));
		if (BinRows(bin->count) > 0)
			AppendJsonNumber(&out, IsOfValues(model) ? "mean" : "rate", BinRate(model, bin));
		appendStringInfoChar(&out, '}');
	}
	appendStringInfoChar(&out, ']');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
}

/* ---------- the attributes of a profile, as a card has them ---------- */

/* One row of an attribute and the bin that the profile is in; false for none. */
typedef bool (*CardRow)(const MatchModel *model, const ProfileView *view,
						const MatchFeature *feature, int bin, Datum *values, bool *nulls);

/* All rows for (profile, match_model), in the order of the card. */
static Datum
PutCardRows(FunctionCallInfo fcinfo, CardRow row)
{
	ProfileView view;
	const MatchModel *model = OpenArguments(fcinfo, &view);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];
		Datum values[6];
		bool nulls[6] = {false};

		if (row(model, &view, feature, FeatureBin(feature, &view), values, nulls))
			PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* (attribute, value, bin, points, rows, rate) */
static bool
Explanation(const MatchModel *model, const ProfileView *view, const MatchFeature *feature, int bin,
			Datum *values, bool *nulls)
{
	int64 rows = BinRows(feature->bins[bin].count);

	values[0] = CStringGetTextDatum(FeatureName(model, feature));
	values[1] = CStringGetTextDatum(FeatureValue(model, feature, view));
	values[2] = CStringGetTextDatum(BinLabel(model, feature, bin));
	values[3] = Float8GetDatum(feature->bins[bin].points);
	values[4] = Int64GetDatum(rows);
	nulls[5] = rows == 0;
	values[5] = Float8GetDatum(nulls[5] ? 0 : BinRate(model, &feature->bins[bin]));
	return true;
}

PG_FUNCTION_INFO_V1(explain_match);
Datum
explain_match(PG_FUNCTION_ARGS)
{
	return PutCardRows(fcinfo, Explanation);
}

/* (attribute, place): the values of the profile, in terms of the card */
static bool
Place(const MatchModel *model, const ProfileView *view, const MatchFeature *feature, int bin,
	  Datum *values, bool *nulls)
{
	/* no place, or on the card, but perhaps by chance */
	if (feature->nparts > 0 || feature->p_value > CHANCE_LIMIT)
		return false;
	/* of sets the members that somebody has, not those that they lack */
	if (bin == MISSING_BIN ||
		(feature->slot >= model->nscaled + model->ncoded && bin != feature->nbins - 1))
		return false;
	values[0] = CStringGetTextDatum(FeatureName(model, feature));
	values[1] =
		CStringGetTextDatum(feature->slot < model->nscaled ? BinLabel(model, feature, bin)
														   : FeatureValue(model, feature, view));
	return true;
}

PG_FUNCTION_INFO_V1(match_places);
Datum
match_places(PG_FUNCTION_ARGS)
{
	return PutCardRows(fcinfo, Place);
}

/* The weight of evidence of a bin; 0 if the fit saw nobody there: nothing is known. */
static double
Evidence(const MatchFeature *feature, int bin)
{
	ClassCount total = {0, 0};
	int filled = 0;

	for (int b = 0; b < feature->nbins; b++)
	{
		ClassCount count = feature->bins[b].count;

		total.targets += count.targets;
		total.others += count.others;
		filled += BinRows(count) > 0;
	}
	return BinRows(feature->bins[bin].count) == 0
			   ? 0
			   : WeightOfEvidence(feature->bins[bin].count, total, filled);
}

/* (attribute, bin, woe) */
static bool
WeightRow(const MatchModel *model, const ProfileView *view, const MatchFeature *feature, int bin,
		  Datum *values, bool *nulls)
{
	NeedTargets(model, "woe");
	values[0] = CStringGetTextDatum(FeatureName(model, feature));
	values[1] = CStringGetTextDatum(BinLabel(model, feature, bin));
	values[2] = Float8GetDatum(Evidence(feature, bin));
	return true;
}

PG_FUNCTION_INFO_V1(woe);
Datum
woe(PG_FUNCTION_ARGS)
{
	return PutCardRows(fcinfo, WeightRow);
}

/* ---------- the model itself ---------- */

/* (match_model) → (attribute, bin, rows, targets, rate, woe, points) */
PG_FUNCTION_INFO_V1(match_card);
Datum
match_card(PG_FUNCTION_ARGS)
{
	const MatchModel *model = ModelFromDatum(&MatchModelFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];

		int at = 0;
		int b;

		while ((b = NextBin(feature, &at)) >= 0)
		{
			ClassCount count = feature->bins[b].count;
			Datum values[7];
			bool nulls[7] = {false};

			values[0] = CStringGetTextDatum(FeatureName(model, feature));
			values[1] = CStringGetTextDatum(BinLabel(model, feature, b));
			values[2] = Int64GetDatum(BinRows(count));
			values[3] = Int64GetDatum(count.targets);
			values[4] = Float8GetDatum(BinRate(model, &feature->bins[b]));
			nulls[3] = nulls[5] = IsOfValues(model);
			values[5] = Float8GetDatum(Evidence(feature, b));
			values[6] = Float8GetDatum(feature->bins[b].points);
			PutRow(fcinfo, values, nulls);
		}
	}
	return (Datum) 0;
}

/* (match_model) → (decile, rows, targets, rate, expected_rate, lift, cumulative_targets) */
PG_FUNCTION_INFO_V1(match_deciles);
Datum
match_deciles(PG_FUNCTION_ARGS)
{
	const MatchModel *model = ModelFromDatum(&MatchModelFormat, PG_GETARG_DATUM(0));
	bool of_values = IsOfValues(model);
	double all = of_values ? model->mean * model->card.nrows : model->card.ntargets;
	double so_far = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int d = 0; d < SCORECARD_DECILES; d++)
	{
		const ScoreDecile *decile = &model->card.quality.decile[d];
		double sum = of_values ? decile->value : decile->targets;
		bool none = decile->rows == 0;
		bool no_lift = !(all > 0);
		Datum values[7];
		bool nulls[7] = {false, false, of_values, none, none, none || no_lift, no_lift};

		so_far += sum;
		values[0] = Int32GetDatum(d + 1);
		values[1] = Int64GetDatum(decile->rows);
		values[2] = Int64GetDatum(decile->targets);
		values[3] = Float8GetDatum(none ? 0 : sum / decile->rows);
		values[4] = Float8GetDatum(none ? 0 : decile->expected / decile->rows);
		values[5] = Float8GetDatum(nulls[5] ? 0 : sum / decile->rows / BaseRate(model));
		values[6] = Float8GetDatum(no_lift ? 0 : so_far / all);
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* (match_model) → (rows, targets, base_rate, attributes, auc, log_loss, base_log_loss, intercept,
 * prior_variance, skipped, shrinkage, r_squared, rmse) */
PG_FUNCTION_INFO_V1(match_quality);
Datum
match_quality(PG_FUNCTION_ARGS)
{
	const MatchModel *model = ModelFromDatum(&MatchModelFormat, PG_GETARG_DATUM(0));
	const Scorecard *card = &model->card;
	bool of_values = IsOfValues(model);
	bool no_rate = card->nrows == 0;
	double rate = no_rate ? 0 : BaseRate(model);
	Datum values[13];
	bool nulls[13] = {false};

	values[0] = Int64GetDatum(card->nrows);
	values[1] = Int64GetDatum(card->ntargets);
	values[2] = Float8GetDatum(rate);
	nulls[2] = no_rate;
	values[3] = Int32GetDatum(CountAttributes(model));
	values[4] = Float8GetDatum(card->quality.auc);
	values[5] = Float8GetDatum(card->quality.log_loss);
	/* the log loss if everybody gets the base rate */
	values[6] =
		Float8GetDatum(rate <= 0 || rate >= 1 ? 0 : -rate * log(rate) - (1 - rate) * log(1 - rate));
	nulls[6] = no_rate;
	values[7] = Float8GetDatum(card->intercept);
	values[8] = Float8GetDatum(card->prior_variance);
	values[9] = Int64GetDatum(model->skipped);
	values[10] = Float8GetDatum(card->shrinkage);
	values[11] = Float8GetDatum(card->quality.r_squared);
	values[12] = Float8GetDatum(card->quality.rmse);
	nulls[1] = nulls[4] = nulls[5] = of_values;
	nulls[6] |= of_values;
	nulls[11] = nulls[12] = !of_values;
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* ---------- what would have to change ---------- */

/* The bin of a feature with the most points that people of the fit were in, missing values aside.
 */
static int
BestBin(const MatchFeature *feature)
{
	int best = -1;

	for (int b = MISSING_BIN + 1; b < feature->nbins; b++)
		if (BinRows(feature->bins[b].count) > 0 &&
			(best < 0 || feature->bins[b].points > feature->bins[best].points))
			best = b;
	return best;
}

/* Everything that may change for the better, the largest gain first. */
static Reason *
FindGains(const MatchModel *model, const ProfileView *view, ArrayType *changeable, int *ngains)
{
	Reason *gains = palloc((model->nfeatures + 1) * sizeof(Reason));
	Datum *names;
	bool *nulls;
	int nnames;
	int n = 0;

	deconstruct_array(changeable, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &nnames);
	for (int i = 0; i < model->nfeatures; i++)
	{
		const MatchFeature *feature = &model->features[i];
		int best = BestBin(feature);

		for (int k = 0; best >= 0 && k < nnames; k++)
			if (!nulls[k] &&
				strcmp(TextDatumGetCString(names[k]), FeatureName(model, feature)) == 0)
			{
				double gain =
					feature->bins[best].points - feature->bins[FeatureBin(feature, view)].points;

				if (gain > 0)
					gains[n++] = (Reason){feature, best, gain};
				break;
			}
	}
	qsort(gains, n, sizeof(Reason), CompareReasons);
	*ngains = n;
	return gains;
}

/* The bin with the fewest points that still gains as much; `best` does. */
static int
EnoughBin(const MatchFeature *feature, int best, double points)
{
	int enough = best;

	for (int b = MISSING_BIN + 1; b < feature->nbins; b++)
		if (BinRows(feature->bins[b].count) > 0 && feature->bins[b].points >= points &&
			feature->bins[b].points < feature->bins[enough].points)
			enough = b;
	return enough;
}

/*
 * (profile, match_model, score, changeable) → (attribute, value, bin, score): as few attributes as
 * can be, since each adds its points whatever the others are
 */
PG_FUNCTION_INFO_V1(match_changes);
Datum
match_changes(PG_FUNCTION_ARGS)
{
	ProfileView view;
	const MatchModel *model = OpenArguments(fcinfo, &view);
	bool of_values = IsOfValues(model);
	double wanted = PG_GETARG_FLOAT8(2);
	Reason *gains;
	double have;
	int n;
	int needed = 0;

	if (of_values && !isfinite(wanted))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the score to reach must be finite, not %g", wanted)));
	if (!of_values && !(wanted > 0 && wanted < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the score to reach must lie between 0 and 1, not %g", wanted)));
	InitMaterializedSRF(fcinfo, 0);
	gains = FindGains(model, &view, PG_GETARG_ARRAYTYPE_P(3), &n);
	if (!of_values)
		wanted = log(wanted / (1 - wanted));
	have = MatchSum(model, &view);
	for (double sum = have; sum < wanted && needed < n; needed++)
		sum += gains[needed].points;
	for (int i = 0; i < needed; i++)
	{
		const MatchFeature *feature = gains[i].feature;
		double points = feature->bins[FeatureBin(feature, &view)].points;
		int bin = gains[i].bin;
		Datum values[4];
		bool nulls[4] = {false};

		/* the last one need not be the best */
		if (i == needed - 1)
			bin = EnoughBin(feature, bin, points + wanted - have);
		have += feature->bins[bin].points - points;
		values[0] = CStringGetTextDatum(FeatureName(model, feature));
		values[1] = CStringGetTextDatum(FeatureValue(model, feature, &view));
		values[2] = CStringGetTextDatum(BinLabel(model, feature, bin));
		values[3] = Float8GetDatum(of_values ? have : Logistic(have));
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
