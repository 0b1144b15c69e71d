/*
 * uplift_fit.c: the aggregate uplift_fit, an uplift_model from profiles, who of them was treated,
 * and what came of it.
 *
 * Bins follow from the attributes alone, never from outcomes, so held-out rows cannot influence
 * their own scores.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/shmem.h"

#include "base/common.h"
#include "match/fit_rows.h"
#include "match/uplift_model.h"

#define FEW_ROWS 50  /* of an arm: with fewer nothing is fitted */
#define MOST_BINS 10 /* of a feature */
#define ALL_BINS 400 /* with more features than that many bins allow, they get fewer */
#define LEAST_BINS 3
#define MOST_PARAMETERS 4000
#define LEAST_SHARING 10 /* rows with a member of a set, and without, that make it a feature */
#define UNBALANCED 0.001 /* chance of such a difference of the arms below which it is told */

/* The rows so far, whose targets are the treated, and whose values the outcomes. */
typedef struct UpliftState
{
	FitRows rows;
	bool is_value;
} UpliftState;

/* ---------- collecting ---------- */

static Datum
AddUpliftRow(FunctionCallInfo fcinfo, bool is_value)
{
	MemoryContext context = AggregateContext(fcinfo, "uplift_fit");
	UpliftState *state = PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(UpliftState))
										 : (UpliftState *) PG_GETARG_POINTER(0);
	FitTarget target;

	state->is_value = is_value;
	state->rows.with_value = true;
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
	{
		state->rows.skipped++;
		PG_RETURN_POINTER(state);
	}
	target.is_target = PG_GETARG_BOOL(2);
	target.value = is_value ? PG_GETARG_FLOAT8(3) : PG_GETARG_BOOL(3);
	if (!isfinite(target.value))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("an outcome must be finite, not %g", target.value)));
	AddFitRow(&state->rows, fcinfo, target, 4, context);
	PG_RETURN_POINTER(state);
}

/* (state, profile, treated, outcome boolean [, profile_model]) */
PG_FUNCTION_INFO_V1(uplift_fit_transfn);
Datum
uplift_fit_transfn(PG_FUNCTION_ARGS)
{
	return AddUpliftRow(fcinfo, false);
}

/* (state, profile, treated, outcome double precision [, profile_model]) */
PG_FUNCTION_INFO_V1(uplift_fit_transfn_value);
Datum
uplift_fit_transfn_value(PG_FUNCTION_ARGS)
{
	return AddUpliftRow(fcinfo, true);
}

/* The rows in an order that follows from their contents alone. */
static RowPlace *
OrderUpliftRows(const UpliftState *state)
{
	const FitRows *rows = &state->rows;
	RowPlace *places = palloc_extended(mul_size(rows->nrows, sizeof(RowPlace)), MCXT_ALLOC_HUGE);

	for (int64 i = 0; i < rows->nrows; i++)
	{
		uint64 outcome;

		CHECK_FOR_INTERRUPTS();
		memcpy(&outcome, &state->rows.value[i], sizeof(outcome));
		places[i].value = 0;
		places[i].hash = FastStableHash64(rows->rows + i * rows->row_size, rows->row_size) ^
						 MixHash64(MixHash64(outcome) + rows->target[i]);
		places[i].row = i;
	}
	SortRowPlaces(places, rows->nrows);
	return places;
}

/* ---------- bins ---------- */

/* Levels in order: ranges of about equal size. */
static int
BinRanges(const ScorecardFeature *feature, const int64 *size, int most)
{
	int64 left = 0;
	int64 in_bin = 0;
	int bin = 1;

	for (int level = 1; level < feature->nlevels; level++)
		left += size[level];
	for (int level = 1; level < feature->nlevels; level++)
	{
		/* a level begins a new bin if the old one is then nearer to its share */
		if (in_bin > 0 && bin < most &&
			(in_bin + size[level] / 2) * (most - bin + 1) > left + in_bin)
		{
			bin++;
			in_bin = 0;
		}
		feature->bin[level] = (uint8) bin;
		in_bin += size[level];
		left -= size[level];
	}
	return bin + 1;
}

/* Words: the most frequent ones, and one bin for the rest and for unknown ones. */
static int
BinWords(ScorecardFeature *feature, const int64 *size, int most)
{
	int bin = 1;

	for (int level = 1; level < feature->nlevels; level++)
	{
		int more = 0;

		for (int other = 1; other < feature->nlevels; other++)
			more += size[other] > size[level] || (size[other] == size[level] && other < level);
		feature->bin[level] = more + 1 < most && size[level] >= 2 * FEW_SHARING ? (uint8) ++bin : 1;
	}
	feature->rare = 1;
	return bin + 1;
}

/* Bins of a feature; none if all rows have the same value. */
static void
BinUpliftFeature(ScorecardFeature *feature, const UpliftRows *rows, int most)
{
	int64 *size = palloc0(feature->nlevels * sizeof(int64));
	int used = 0;

	for (int64 row = 0; row < rows->nrows; row++)
		size[feature->level[row]]++;
	for (int level = 0; level < feature->nlevels; level++)
		used += size[level] > 0;
	feature->bin = palloc0(feature->nlevels);
	if (used > 1)
		feature->nbins =
			feature->ordered ? BinRanges(feature, size, most) : BinWords(feature, size, most);
	/* all in one bin, as a range with a single value */
	if (feature->nbins == 2 && size[MISSING_LEVEL] == 0)
		feature->nbins = 0;
	pfree(size);
	if (feature->nbins == 0)
		return;
	feature->count = palloc0(feature->nbins * sizeof(ClassCount));
	feature->points = palloc0(feature->nbins * sizeof(double));
	for (int64 row = 0; row < rows->nrows; row++)
	{
		ClassCount *count = &feature->count[feature->bin[feature->level[row]]];

		if (rows->treated[row])
			count->targets++;
		else
			count->others++;
	}
}

/* Bins all features, and says which parameters each row takes. */
static void
BinUpliftFeatures(FitFeatures *f, UpliftRows *rows)
{
	int most = Max(LEAST_BINS, Min(MOST_BINS, ALL_BINS / Max(1, f->nfeatures)));
	int *offset = palloc((f->nfeatures + 1) * sizeof(int));
	int *nbins = palloc((f->nfeatures + 1) * sizeof(int));
	bool *ordered = palloc(f->nfeatures + 1);
	int *used = palloc((f->nfeatures + 1) * sizeof(int));
	uint16 *parameter;
	int n = 0;

	rows->nparameters = 1;
	for (int i = 0; i < f->nfeatures; i++)
	{
		CHECK_FOR_INTERRUPTS();
		BinUpliftFeature(&f->features[i], rows, most);
		if (f->features[i].nbins == 0)
			continue;
		used[n] = i;
		offset[n] = rows->nparameters;
		nbins[n] = f->features[i].nbins;
		ordered[n++] = f->features[i].ordered;
		rows->nparameters += f->features[i].nbins;
	}
	if (rows->nparameters > MOST_PARAMETERS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("uplift_fit has %d bins to learn from, at most %d are possible",
							   rows->nparameters, MOST_PARAMETERS),
						errhint("Leave out attributes: the option \"ignore\" of profile_fit.")));
	parameter = palloc_extended(mul_size(mul_size(rows->nrows, Max(1, n)), sizeof(uint16)),
								MCXT_ALLOC_HUGE);
	for (int u = 0; u < n; u++)
	{
		const ScorecardFeature *feature = &f->features[used[u]];

		CHECK_FOR_INTERRUPTS();
		for (int64 row = 0; row < rows->nrows; row++)
			parameter[row * n + u] = offset[u] + feature->bin[feature->level[row]];
	}
	rows->nfeatures = n;
	rows->offset = offset;
	rows->nbins = nbins;
	rows->ordered = ordered;
	rows->parameter = parameter;
}

/* The chance that the arms differ so much in the attribute in which they differ most. */
static double
MeasureBalance(const FitFeatures *f)
{
	double *p = palloc((f->nfeatures + 1) * sizeof(double));
	double least = 1;
	int n = 0;

	for (int i = 0; i < f->nfeatures; i++)
		if (f->features[i].nbins > 0)
			p[n++] = MeasureAssociation(f->features[i].count, f->features[i].nbins).p_value;
	AdjustPValues(p, n);
	for (int i = 0; i < n; i++)
		least = Min(least, p[i]);
	return least;
}

/* ---------- the model ---------- */

/* Treated, outcomes and ties in the order of the rows; the figures of all rows. */
static void
TakeOutcomes(const UpliftState *state, const RowPlace *places, UpliftRows *rows, double *outcome,
			 UpliftModel *model)
{
	int64 n = state->rows.nrows;
	uint8 *treated = palloc_extended(n, MCXT_ALLOC_HUGE);
	uint64 *tie = palloc_extended(mul_size(n, sizeof(uint64)), MCXT_ALLOC_HUGE);
	double count[2] = {0};
	double sum[2] = {0};
	double squares[2] = {0};
	double around = 0;
	double mean;

	for (int64 i = 0; i < n; i++)
	{
		treated[i] = state->rows.target[places[i].row];
		outcome[i] = state->rows.value[places[i].row];
		tie[i] = places[i].hash;
		count[treated[i]]++;
		sum[treated[i]] += outcome[i];
	}
	mean = (sum[0] + sum[1]) / n;
	model->treated_mean = count[1] > 0 ? sum[1] / count[1] : 0;
	model->control_mean = count[0] > 0 ? sum[0] / count[0] : 0;
	for (int64 i = 0; i < n; i++)
	{
		double from_own = outcome[i] - (treated[i] ? model->treated_mean : model->control_mean);

		squares[treated[i]] += from_own * from_own;
		around += (outcome[i] - mean) * (outcome[i] - mean);
	}
	model->deviation = sqrt(around / n);
	if (count[0] > 1 && count[1] > 1)
	{
		model->effect.value = model->treated_mean - model->control_mean;
		model->effect.error =
			sqrt(squares[0] / count[0] / (count[0] - 1) + squares[1] / count[1] / (count[1] - 1));
	}
	rows->nrows = n;
	rows->treated = treated;
	rows->outcome = outcome;
	rows->tie = tie;
	rows->share = count[1] / n;
}

/* Says what is wrong with the rows as a whole; returns whether there is something to fit. */
static bool
CheckArms(const UpliftRows *rows, const UpliftModel *model)
{
	int64 treated = (int64) rint(rows->share * rows->nrows);
	int64 fewer = Min(treated, rows->nrows - treated);

	if (fewer == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("uplift_fit needs treated customers and a control group"),
				 errdetail("All " INT64_FORMAT " rows are %s.", rows->nrows,
						   treated > 0 ? "treated" : "control"),
				 errhint("Without a control group there is response, but no effect to learn.")));
	if (fewer < FEW_ROWS)
		ereport(WARNING, (errmsg("uplift_fit has few %s customers: " INT64_FORMAT,
								 treated == fewer ? "treated" : "control", fewer),
						  errdetail("It needs %d of each; this model is empty.", FEW_ROWS)));
	else if (model->deviation == 0)
		ereport(WARNING, (errmsg("all outcomes are equal"), errdetail("This model is empty.")));
	return fewer >= FEW_ROWS && model->deviation > 0;
}

/* The points of the fit in units of the outcome, by feature; the intercepts. */
static void
KeepUplift(FitFeatures *f, const UpliftRows *rows, const UpliftFit *fit, UpliftModel *model)
{
	double unit = model->deviation;
	double(*sum)[2] = palloc0(rows->nparameters * sizeof(*sum));

	for (int64 row = 0; row < rows->nrows; row++)
		for (int u = 0; u < rows->nfeatures; u++)
			sum[rows->parameter[row * rows->nfeatures + u]][rows->treated[row]] +=
				rows->outcome[row] * unit;
	model->bins = palloc0(rows->nparameters * sizeof(UpliftBin));
	for (int i = 0, u = 0; i < f->nfeatures; i++)
	{
		ScorecardFeature *feature = &f->features[i];

		if (feature->nbins == 0)
			continue;
		for (int b = 0; b < feature->nbins; b++)
		{
			int at = rows->offset[u] + b;
			UpliftBin *bin = &model->bins[model->nbins++];

			feature->points[b] = fit->uplift[at] * unit;
			bin->response = fit->response[at] * unit;
			if (feature->count[b].targets >= FEW_SHARING)
				bin->treated_mean = sum[at][1] / feature->count[b].targets;
			if (feature->count[b].others >= FEW_SHARING)
				bin->control_mean = sum[at][0] / feature->count[b].others;
		}
		u++;
	}
	model->card->card.intercept = fit->uplift[0] * unit;
	model->response = fit->response[0] * unit;
	pfree(sum);
}

static void
ScaleEstimate(Estimate *estimate, double unit)
{
	estimate->value *= unit;
	estimate->error *= unit;
}

static void
ScaleQuality(UpliftQuality *quality, double unit)
{
	ScaleEstimate(&quality->qini, unit);
	ScaleEstimate(&quality->auuc, unit);
	ScaleEstimate(&quality->top10, unit);
	ScaleEstimate(&quality->top30, unit);
	ScaleEstimate(&quality->response30, unit);
	for (int d = 0; d < UPLIFT_DECILES; d++)
	{
		ScaleEstimate(&quality->decile[d].uplift, unit);
		quality->decile[d].expected *= unit;
	}
}

/* Fits the points; an empty card where they tell nothing. */
static void
FitUpliftCard(FitFeatures *f, UpliftRows *rows, double *outcome, UpliftModel *model)
{
	UpliftFit fit;

	AddFitFeatures(f);
	BinUpliftFeatures(f, rows);
	model->balance = MeasureBalance(f);
	if (model->balance < UNBALANCED)
		ereport(
			WARNING,
			(errmsg("treated and control customers differ before the treatment"),
			 errdetail("The chance of such a difference of an attribute is %.2g.", model->balance),
			 errhint("Draw the control group at random, and use attributes as they were "
					 "before the treatment; otherwise the uplift is not its effect.")));
	for (int64 i = 0; i < rows->nrows; i++)
		outcome[i] /= model->deviation;
	FitUplift(rows, &fit);
	model->card->card.prior_variance = fit.prior_deviation * fit.prior_deviation;
	model->card->card.shrinkage = fit.shrinkage;
	model->quality = fit.quality;
	ScaleQuality(&model->quality, model->deviation);
	if (fit.shrinkage > 0)
		KeepUplift(f, rows, &fit, model);
	else
	{
		f->nfeatures = 0;
		ereport(WARNING, (errmsg("uplift_fit found nobody for whom the treatment does more"),
						  errdetail("No card beats the same effect for all on rows held out: this "
									"one is empty, and everybody's uplift is the mean.")));
	}
}

PG_FUNCTION_INFO_V1(uplift_fit_finalfn);
Datum
uplift_fit_finalfn(PG_FUNCTION_ARGS)
{
	UpliftState *state;
	FitFeatures f = {0};
	UpliftRows rows = {0};
	MatchModel card = {0};
	UpliftModel model = {.card = &card, .balance = 1};
	double *outcome;

	AggregateContext(fcinfo, "uplift_fit");
	if (PG_ARGISNULL(0) || ((UpliftState *) PG_GETARG_POINTER(0))->rows.nrows == 0)
		PG_RETURN_NULL();
	state = (UpliftState *) PG_GETARG_POINTER(0);
	if (state->rows.nrows > PG_UINT32_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("uplift_fit takes at most %u rows", PG_UINT32_MAX),
						errhint("Fit on a sample: it tells as much.")));

	f.rows = &state->rows;
	f.min_size = LEAST_SHARING;
	f.places = OrderUpliftRows(state);
	OpenProfile(&f.view, PointerGetDatum(state->rows.first));
	outcome = palloc_extended(mul_size(state->rows.nrows, sizeof(double)), MCXT_ALLOC_HUGE);
	TakeOutcomes(state, f.places, &rows, outcome, &model);
	model.is_value = state->is_value;
	card.card.nrows = rows.nrows;
	card.card.ntargets = (int64) rint(rows.share * rows.nrows);
	card.card.prior_variance = 1;
	card.card.quality.auc = 0.5;
	card.card.intercept = model.effect.value;
	model.response = model.control_mean;
	if (CheckArms(&rows, &model))
		FitUpliftCard(&f, &rows, outcome, &model);
	KeepModel(&card, &f);
	/* a model within a model is one that was checked as a value */
	model.card =
		ModelFromDatum(&MatchModelFormat, PointerGetDatum(ModelValue(&MatchModelFormat, &card)));
	PG_RETURN_POINTER(ModelValue(&UpliftModelFormat, &model));
}
