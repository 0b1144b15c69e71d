/*
 * clv_model.c: the type clv_model.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "clv/clv_model.h"
#include "clv/summary_state.h"
#include "profile/profile_columns.h"

#define MIN_PARAMETER 1e-20
#define MAX_PARAMETER 1e20
#define MAX_SPEND 1e40
#define MAX_VALUE 1e30
#define MIN_SEASON 0.001
#define MAX_SEASON 100
#define MIN_PACE 0.01
#define MAX_PACE 100
#define MAX_EFFECT 1000

const char *const ClvFamilyNames[] = {"bg/nbd", "mbg/nbd", "pareto/nbd", NULL};

static const char *const RegularNames[] = {"bg/cnbd", "mbg/cnbd", NULL};

static const char *const ParameterNames[][CLV_PARAMETERS] = {
	{"r", "alpha", "a", "b"}, {"r", "alpha", "a", "b"}, {"r", "alpha", "s", "beta"}};
static const char *const SpendParameterNames[][SPEND_PARAMETERS] = {{"p", "q", "v"},
																	{"tau", "sigma", "mu"}};
const char *const SpendModelNames[] = {"gamma-gamma", "normal-normal", NULL};

static const ClvModel Defaults = {
	.family = -1, /* must be said */
	.spend_status = FIT_NO_DATA,
	.as_of = DATEVAL_NOBEGIN,
	.unit = WEEK_DAYS,
	.regularity = 1,
	.season = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	.observed_from = DATEVAL_NOBEGIN,
	.pace = 1,
};

static const ModelField Fields[] = {
	MODEL_FIELD(ClvModel, "model", family, FIELD_WORD, .words = ClvFamilyNames),
	MODEL_FIELD(ClvModel, "parameters", parameters, FIELD_NUMBER, .count = CLV_PARAMETERS),
	MODEL_FIELD(ClvModel, "unit_days", unit, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "status", status, FIELD_WORD, .words = FitStatusNames),
	MODEL_FIELD(ClvModel, "as_of", as_of, FIELD_DATE),
	MODEL_FIELD(ClvModel, "customers", customers, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "repeaters", repeaters, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "purchases", purchases, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "log_likelihood", log_likelihood, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "covariance", covariance, FIELD_NUMBER,
				.count = COVARIANCES(CLV_PARAMETERS)),
	MODEL_FIELD(ClvModel, "value", basis, FIELD_WORD, .words = ValueBasisNames),
	MODEL_FIELD(ClvModel, "spend_parameters", spend_parameters, FIELD_NUMBER,
				.count = SPEND_PARAMETERS),
	MODEL_FIELD(ClvModel, "spend_status", spend_status, FIELD_WORD, .words = FitStatusNames),
	MODEL_FIELD(ClvModel, "spend_customers", spend_customers, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "spend_excluded", spend_excluded, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "spend_log_likelihood", spend_log_likelihood, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "spend_covariance", spend_covariance, FIELD_NUMBER,
				.count = COVARIANCES(SPEND_PARAMETERS)),
	MODEL_FIELD(ClvModel, "mean_value", mean_value, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "first_ratio", first_ratio, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "regularity", regularity, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "season_status", season_status, FIELD_WORD, .words = SeasonStatusNames),
	MODEL_FIELD(ClvModel, "season", season, FIELD_NUMBER, .count = YEAR_MONTHS),
	MODEL_FIELD(ClvModel, "observed_from", observed_from, FIELD_DATE),
	MODEL_FIELD(ClvModel, "early_customers", early_customers, FIELD_COUNT),
	MODEL_FIELD(ClvModel, "pace", pace, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "spend_model", spend_model, FIELD_WORD, .words = SpendModelNames),
	MODEL_FIELD(ClvModel, "bounds", bounds, FIELD_NUMBER, .count = CLV_BOUNDS * CLV_PARAMETERS),
	MODEL_FIELD(ClvModel, "first_difference", first_difference, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "attributes", attributes, FIELD_MODEL, .format = &ProfileModelFormat),
	MODEL_LIST(ClvModel, "purchase_effects", purchase_effects, neffects, FIELD_NUMBER, MAX_EFFECTS),
	MODEL_LIST(ClvModel, "leaving_effects", leaving_effects, nleaving, FIELD_NUMBER, MAX_EFFECTS),
	MODEL_LIST(ClvModel, "means", means, nmeans, FIELD_NUMBER, MAX_EFFECTS),
	MODEL_LIST(ClvModel, "effect_covariance", effect_covariance, ncovariance, FIELD_NUMBER,
			   COVARIANCES(MAX_FIT_PARAMETERS)),
	MODEL_LIST(ClvModel, "months", own_months, nown_months, FIELD_FLOAT, MAX_OWN_MONTHS,
			   .in_place = true),
	MODEL_LIST(ClvModel, "day_weights", day_runs, nday_runs, FIELD_GROUP, MAX_DAY_RUNS,
			   .group = &DayRunGroup),
	MODEL_FIELD(ClvModel, "random_parameters", random_parameters, FIELD_NUMBER,
				.count = CLV_PARAMETERS),
	MODEL_FIELD(ClvModel, "random_share", random_share, FIELD_NUMBER),
	MODEL_FIELD(ClvModel, "mixed_covariance", mixed_covariance, FIELD_NUMBER,
				.count = COVARIANCES(MIXED_PARAMETERS)),
};

static bool
AllBetween(const double *numbers, int count, double least, double most)
{
	for (int i = 0; i < count; i++)
		if (!(numbers[i] >= least && numbers[i] <= most))
			return false;
	return true;
}

/* A variance is not negative. */
static bool
VariancesAreSound(const double *covariance, int n)
{
	for (int i = 0; i < n; i++)
		if (covariance[COVARIANCES(i + 1) - 1] < 0)
			return false;
	return true;
}

/* Effects: one on buying and one on leaving for each column of the attributes. */
static const char *
EffectsFault(const ClvModel *model)
{
	int n = model->attributes == NULL ? 0 : ProfileColumns(model->attributes);
	int fitted = CLV_PARAMETERS + 2 * n;

	if (model->neffects != n || model->nleaving != n || model->nmeans != n)
		return "\"purchase_effects\", \"leaving_effects\" and \"means\" are not one for each "
			   "column of "
			   "\"attributes\".";
	if (!AllBetween(model->purchase_effects, n, -MAX_EFFECT, MAX_EFFECT) ||
		!AllBetween(model->leaving_effects, n, -MAX_EFFECT, MAX_EFFECT))
		return "The effects are not all between -1000 and 1000.";
	if (!AllBetween(model->means, n, 0, 1))
		return "The means are not all between 0 and 1.";
	if (model->ncovariance != 0 && (n == 0 || model->ncovariance != COVARIANCES(fitted)))
		return "\"effect_covariance\" is not that of the parameters and the effects.";
	if (model->ncovariance != 0 && !VariancesAreSound(model->effect_covariance, fitted))
		return "A variance is negative.";
	return NULL;
}

/* What is wrong with the spend part. */
static const char *
SpendFault(const ClvModel *model)
{
	bool normal = model->spend_model == SPEND_NORMAL_NORMAL;

	if (SpendIsFitted(model) && !normal &&
		!AllBetween(model->spend_parameters, SPEND_PARAMETERS, MIN_PARAMETER, MAX_SPEND))
		return "The spend parameters are not all between 1e-20 and 1e40.";
	if (SpendIsFitted(model) && !normal && !(model->spend_parameters[SPEND_Q] > 1))
		return "The spend parameters give no mean: q is not above 1.";
	if (SpendIsFitted(model) && normal &&
		(!AllBetween(model->spend_parameters, SPEND_MU, 0, MAX_VALUE) ||
		 !(fabs(model->spend_parameters[SPEND_MU]) <= MAX_VALUE)))
		return "tau and sigma are not between 0 and 1e30, or mu is not between -1e30 and 1e30.";
	if (!(model->mean_value >= (normal ? -MAX_VALUE : 0) && model->mean_value <= MAX_SPEND))
		return "\"mean_value\" is not between 0 and 1e40, or, normal-normal, -1e30 and 1e40.";
	if (!(fabs(model->first_difference) <= MAX_VALUE))
		return "\"first_difference\" is not between -1e30 and 1e30.";
	if (!(model->first_ratio >= 0 && model->first_ratio <= MAX_SPEND))
		return "\"first_ratio\" is not between 0 and 1e40.";
	return NULL;
}

static const char *
ClvModelFault(const void *data)
{
	const ClvModel *model = (const ClvModel *) data;

	if (model->status == FIT_NO_MEAN || model->status == FIT_NO_DATA)
		return "\"status\" is one that only spend can have.";
	if (ClvModelIsUsable(model) &&
		!AllBetween(model->parameters, CLV_PARAMETERS, MIN_PARAMETER, MAX_PARAMETER))
		return "The parameters are not all between 1e-20 and 1e20.";
	if (!(model->unit >= MIN_UNIT_DAYS && model->unit <= MAX_UNIT_DAYS))
		return "\"unit_days\" is not between an hour and a hundred years.";
	for (int b = 0; b < CLV_BOUNDS; b++)
		if (ClvBound(model, b) &&
			!AllBetween(ClvBound(model, b), CLV_PARAMETERS, MIN_PARAMETER, MAX_PARAMETER))
			return "The bounds are not all between 1e-20 and 1e20.";
	if (model->repeaters > model->customers)
		return "There are more repeaters than customers.";
	if (!VariancesAreSound(model->covariance, CLV_PARAMETERS) ||
		!VariancesAreSound(model->mixed_covariance, MIXED_PARAMETERS) ||
		!VariancesAreSound(model->spend_covariance, SPEND_PARAMETERS))
		return "A variance is negative.";
	if (model->regularity < 1 || model->regularity > MAX_REGULARITY)
		return "\"regularity\" is not between 1 and 12.";
	if (model->regularity > 1 && model->family == CLV_PARETO_NBD)
		return "pareto/nbd has no \"regularity\" but 1.";
	if (!AllBetween(model->random_parameters, CLV_PARAMETERS, 0, 0) &&
		(model->regularity == 1 ||
		 !AllBetween(model->random_parameters, CLV_PARAMETERS, MIN_PARAMETER, MAX_PARAMETER)))
		return "The random parameters are not all between 1e-20 and 1e20, or \"regularity\" is 1.";
	if (!(model->random_share >= 0 && model->random_share < 1) ||
		(model->random_share > 0 && model->random_parameters[CLV_R] == 0))
		return "\"random_share\" is not between 0 and 1, or there are no random parameters.";
	if (!AllBetween(model->season, YEAR_MONTHS, MIN_SEASON, MAX_SEASON))
		return "The factors of \"season\" are not all between 0.001 and 100.";
	for (int i = 0; i < model->nown_months; i++)
		if (!(model->own_months[i] >= MIN_SEASON && model->own_months[i] <= MAX_SEASON))
			return "The factors of \"months\" are not all between 0.001 and 100.";
	if (model->nown_months > 0 && model->as_of == DATEVAL_NOBEGIN)
		return "\"months\" are those before \"as_of\", which is not there.";
	if (!(model->pace >= MIN_PACE && model->pace <= MAX_PACE))
		return "\"pace\" is not between 0.01 and 100.";
	if (DayRunsFault(model->day_runs, model->nday_runs) != NULL)
		return DayRunsFault(model->day_runs, model->nday_runs);
	if (EffectsFault(model) != NULL)
		return EffectsFault(model);
	return SpendFault(model);
}

static void
CompleteClvModel(void *data, uint64 fingerprint)
{
	ClvModel *model = (ClvModel *) data;

	SetSeason(&model->calendar, model->season);
	SetOwnMonths(&model->calendar, model->as_of, model->nown_months, model->own_months);
	SetDayWeights(&model->calendar, model->nday_runs, model->day_runs);
	model->fingerprint = fingerprint;
}

const ModelFormat ClvModelFormat = {
	.type = "clv_model",
	.is_shared = true,
	.version = 1,
	.max_bytes = 1024 * 1024, /* 2000 or less without attributes */
	.group = {.size = sizeof(ClvModel),
			  .defaults = &Defaults,
			  .nfields = lengthof(Fields),
			  .fields = Fields},
	.fault = ClvModelFault,
	.complete = CompleteClvModel,
	.example = "{\"model\": \"bg/nbd\", \"parameters\": [0.243, 4.414, 0.793, 2.426]}",
};

MODEL_IO(clv_model, ClvModelFormat)

const char *
ClvModelName(const ClvModel *model)
{
	if (model->regularity == 1)
		return ClvFamilyNames[model->family];
	return psprintf("%s-%d%s", RegularNames[model->family], (int) model->regularity,
					model->random_share > 0 ? ", mixed" : "");
}

/* The next part of a name, without surrounding blanks; moves past the comma. */
static void
NextPart(const char **at, const char *end, const char **part, Size *length)
{
	const char *from = *at;
	const char *to;

	while (from < end && *from == ' ')
		from++;
	for (to = from; to < end && *to != ',';)
		to++;
	*at = to < end ? to + 1 : NULL;
	while (to > from && to[-1] == ' ')
		to--;
	*part = from;
	*length = to - from;
}

static bool
PartIs(const char *part, Size length, const char *word)
{
	return strlen(word) == length && memcmp(part, word, length) == 0;
}

/* A number with that many digits; -1 if there is none. */
static int
Digits(const char *text, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + text[i] - '0';
	}
	return number;
}

/* Reads the family, with its regularity. */
static bool
ReadFamily(const char *part, Size length, FitOptions *options)
{
	int family = WordNumber(ClvFamilyNames, part, length);

	options->features = 1;
	if (family >= 0)
	{
		options->purpose = family;
		return true;
	}
	for (family = 0; RegularNames[family]; family++)
	{
		Size name = strlen(RegularNames[family]);
		const char *k = part + name + 1;
		int regularity;

		if (length < name + 2 || length > name + 3 || memcmp(part, RegularNames[family], name) ||
			part[name] != '-')
			continue;
		options->purpose = family;
		regularity = length == name + 2 && *k == 'k' ? 0 : Digits(k, length - name - 1);
		if (regularity < 0 || regularity > MAX_REGULARITY || (regularity == 0 && *k != 'k') ||
			(length == name + 3 && *k == '0'))
			return false;
		options->features = regularity;
		return true;
	}
	return false;
}

/* Reads from YYYY-MM-DD. */
static bool
ReadFrom(const char *part, Size length, FitOptions *options)
{
	int year;
	int month;
	int day;

	if (length != 15 || memcmp(part, "from ", 5) || part[9] != '-' || part[12] != '-')
		return false;
	year = Digits(part + 5, 4);
	month = Digits(part + 10, 2);
	day = Digits(part + 13, 2);
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	options->observed_from = date2j(year, month, day) - POSTGRES_EPOCH_JDATE;
	return true;
}

/* Returns false if there is no such model. */
static bool
ModelNameIsKnown(text *name, FitOptions *options)
{
	const char *at = VARDATA_ANY(name);
	const char *end = at + VARSIZE_ANY_EXHDR(name);
	const char *part;
	Size length;
	bool edge = false;

	options->observed_from = DATEVAL_NOBEGIN;
	NextPart(&at, end, &part, &length);
	if (!ReadFamily(part, length, options))
		return false;
	while (at)
	{
		NextPart(&at, end, &part, &length);
		if (PartIs(part, length, "season") && (options->features & FIT_SEASON) == 0)
			options->features |= FIT_SEASON;
		else if (PartIs(part, length, "mixed") && (options->features & FIT_MIXED) == 0 &&
				 (options->features & FIT_REGULARITY) != 1)
			options->features |= FIT_MIXED;
		else if (PartIs(part, length, "months") && (options->features & FIT_MONTHS) == 0)
			options->features |= FIT_MONTHS;
		else if (PartIs(part, length, "inflow") && !edge)
		{
			options->features |= FIT_INFLOW;
			edge = true;
		}
		else if (!edge && ReadFrom(part, length, options))
			edge = true;
		else
			return false;
	}
	return true;
}

void
ReadModelName(text *name, FitOptions *options)
{
	if (!ModelNameIsKnown(name, options))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown model \"%s\"", ShortText(name)),
						errhint("Known models are bg/nbd, mbg/nbd, pareto/nbd, bg/cnbd-k and "
								"mbg/cnbd-k; see the documentation of clv_fit for what may "
								"follow.")));
}

PG_FUNCTION_INFO_V1(clv_model_is_known);
Datum
clv_model_is_known(PG_FUNCTION_ARGS)
{
	FitOptions options;

	PG_RETURN_BOOL(ModelNameIsKnown(PG_GETARG_TEXT_PP(0), &options));
}

double
UnitFromInterval(const Interval *unit)
{
	double days = unit->month * (DAYS_PER_YEAR / MONTHS_PER_YEAR) + unit->day +
				  (double) unit->time / USECS_PER_DAY;

	if (!(days >= MIN_UNIT_DAYS && days <= MAX_UNIT_DAYS))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unit must be between an hour and a hundred years, not %s",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(unit)))),
			 errhint("Give an interval such as '1 week'.")));
	return days;
}

/* Reads an array of exactly `count` numbers. */
static void
NumbersFromArray(ArrayType *array, const char *what, double *numbers, int count)
{
	Datum *values;
	bool *nulls;
	int n;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values,
					  &nulls, &n);
	if (n != count || ARR_NDIM(array) != 1 || array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be %d numbers", what, count)));
	for (int i = 0; i < n; i++)
		numbers[i] = DatumGetFloat8(values[i]);
}

/* clv_model(model, parameters, spend_parameters, unit): parameters from elsewhere. */
PG_FUNCTION_INFO_V1(clv_model);
Datum
clv_model(PG_FUNCTION_ARGS)
{
	ClvModel model = Defaults;
	FitOptions asked;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	ReadModelName(PG_GETARG_TEXT_PP(0), &asked);
	if ((asked.features & ~FIT_REGULARITY) != 0 || asked.features == 0 ||
		asked.observed_from != DATEVAL_NOBEGIN)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" needs a fit", text_to_cstring(PG_GETARG_TEXT_PP(0))),
			 errhint("With parameters of your own give a model such as bg/nbd or mbg/cnbd-2.")));
	model.family = asked.purpose;
	model.regularity = asked.features & FIT_REGULARITY;
	NumbersFromArray(PG_GETARG_ARRAYTYPE_P(1), "parameters", model.parameters, CLV_PARAMETERS);
	if (!PG_ARGISNULL(2))
	{
		NumbersFromArray(PG_GETARG_ARRAYTYPE_P(2), "spend_parameters", model.spend_parameters,
						 SPEND_PARAMETERS);
		model.spend_status = FIT_GIVEN;
		/* without data a first purchase is taken to be like later ones */
		model.first_ratio = 1;
	}
	if (!PG_ARGISNULL(3))
		model.unit = UnitFromInterval(PG_GETARG_INTERVAL_P(3));
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &model));
}

PG_FUNCTION_INFO_V1(with_pace);
Datum
with_pace(PG_FUNCTION_ARGS)
{
	ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));

	model->pace = PG_GETARG_FLOAT8(1);
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, model));
}

PG_FUNCTION_INFO_V1(with_day_weights);
Datum
with_day_weights(PG_FUNCTION_ARGS)
{
	ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));
	const DayWeights *weights = DayWeightsArgument(fcinfo, 1);

	model->nday_runs = weights->n;
	model->day_runs = weights->runs;
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, model));
}

/*
 * Rows (part, parameter, estimate, standard_error, status) of one part; the covariance is that of
 * the logs of its first `npositive` parameters and of the others.
 */
static void
PutParameters(FunctionCallInfo fcinfo, const char *part, const char *const *names, int count,
			  int npositive, FitStatus status, bool usable, const double *parameters,
			  const double *covariance)
{
	for (int i = 0; i < count; i++)
	{
		double variance = covariance[COVARIANCES(i + 1) - 1];
		Datum values[5];
		bool nulls[5] = {false};

		values[0] = CStringGetTextDatum(part);
		values[1] = CStringGetTextDatum(names[i]);
		values[2] = Float8GetDatum(parameters[i]);
		values[3] = Float8GetDatum((i < npositive ? parameters[i] : 1) * sqrt(variance));
		values[4] = CStringGetTextDatum(FitStatusNames[status]);
		nulls[2] = !usable;
		nulls[3] = !usable || variance == 0;
		PutRow(fcinfo, values, nulls);
	}
}

/* The same for the effects of attributes; in the covariance, `first` others come before them. */
static void
PutEffects(FunctionCallInfo fcinfo, const ClvModel *model, const char *part, int first,
		   const double *effects)
{
	for (int i = 0; i < model->neffects; i++)
	{
		int place = CLV_PARAMETERS + first + i;
		double variance =
			model->ncovariance > 0 ? model->effect_covariance[COVARIANCES(place + 1) - 1] : 0;
		Datum values[5];
		bool nulls[5] = {false};

		values[0] = CStringGetTextDatum(part);
		values[1] = CStringGetTextDatum(ProfileColumnName(model->attributes, i));
		values[2] = Float8GetDatum(effects[i]);
		values[3] = Float8GetDatum(sqrt(variance));
		values[4] = CStringGetTextDatum(FitStatusNames[model->status]);
		nulls[2] = !ClvModelIsUsable(model);
		nulls[3] = variance == 0;
		PutRow(fcinfo, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(clv_parameters);
Datum
clv_parameters(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	PutParameters(fcinfo, "purchases", ParameterNames[model->family], CLV_PARAMETERS,
				  CLV_PARAMETERS, model->status, ClvModelIsUsable(model), model->parameters,
				  model->covariance);
	PutParameters(fcinfo, "spend", SpendParameterNames[model->spend_model], SPEND_PARAMETERS,
				  model->spend_model == SPEND_NORMAL_NORMAL ? SPEND_MU : SPEND_PARAMETERS,
				  model->spend_status, SpendIsFitted(model), model->spend_parameters,
				  model->spend_covariance);
	if (model->random_share > 0)
	{
		static const char *const share[] = {"share"};
		const double *all = model->mixed_covariance;
		double covariance[COVARIANCES(CLV_PARAMETERS)];
		double stays = 1 - model->random_share; /* the log of the share by its log-odds */
		double of_share = all[COVARIANCES(MIXED_PARAMETERS) - 1] * stays * stays;

		for (int i = 0; i < CLV_PARAMETERS; i++)
			for (int j = 0; j <= i; j++)
				covariance[COVARIANCES(i) + j] =
					all[COVARIANCES(CLV_PARAMETERS + i) + CLV_PARAMETERS + j];
		PutParameters(fcinfo, "purchases at random", ParameterNames[model->family], CLV_PARAMETERS,
					  CLV_PARAMETERS, model->status, true, model->random_parameters, covariance);
		PutParameters(fcinfo, "purchases at random", share, 1, 1, model->status, true,
					  &model->random_share, &of_share);
	}
	PutEffects(fcinfo, model, "effect on buying", 0, model->purchase_effects);
	PutEffects(fcinfo, model, "effect on leaving", model->neffects, model->leaving_effects);
	return (Datum) 0;
}

/* Rows (month, factor). */
PG_FUNCTION_INFO_V1(clv_season);
Datum
clv_season(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int m = 0; m < YEAR_MONTHS; m++)
	{
		Datum values[2] = {Int32GetDatum(m + 1), Float8GetDatum(model->calendar.factor[m])};
		bool nulls[2] = {false};

		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/* One row: what the model is and what it was fitted to. */
PG_FUNCTION_INFO_V1(clv_model_card);
Datum
clv_model_card(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));
	Datum values[21];
	bool nulls[21] = {false};
	Interval unit = {0};
	int64 weighted = 0;
	int n = 0;

	unit.day = (int32) model->unit;
	unit.time = (TimeOffset) rint((model->unit - unit.day) * USECS_PER_DAY);

	values[n++] = CStringGetTextDatum(ClvModelName(model));
	values[n++] = CStringGetTextDatum(ValueBasisNames[model->basis]);
	values[n++] = IntervalPGetDatum(&unit);
	nulls[n] = model->as_of == DATEVAL_NOBEGIN;
	values[n++] = DateADTGetDatum(model->as_of);
	values[n++] = CStringGetTextDatum(FitStatusNames[model->status]);
	values[n++] = Int64GetDatum(model->customers);
	values[n++] = Int64GetDatum(model->repeaters);
	values[n++] = Int64GetDatum(model->purchases);
	nulls[n] = model->status == FIT_GIVEN || model->status == FIT_FAILED;
	values[n++] = Float8GetDatum(model->log_likelihood);
	values[n++] = CStringGetTextDatum(FitStatusNames[model->spend_status]);
	values[n++] = Int64GetDatum(model->spend_customers);
	values[n++] = Int64GetDatum(model->spend_excluded);
	nulls[n] = !FitIsMaximum(model->spend_status) || model->spend_model == SPEND_NORMAL_NORMAL;
	values[n++] = Float8GetDatum(model->spend_log_likelihood);
	nulls[n] = !KnowsValue(model) || model->spend_status == FIT_GIVEN;
	values[n++] = Float8GetDatum(model->mean_value);
	values[n++] = CStringGetTextDatum(SeasonStatusNames[model->season_status]);
	nulls[n] = model->observed_from == DATEVAL_NOBEGIN;
	values[n++] = DateADTGetDatum(model->observed_from);
	values[n++] = Int64GetDatum(model->early_customers);
	values[n++] = Float8GetDatum(model->pace);
	nulls[n] = !KnowsValue(model);
	values[n++] = CStringGetTextDatum(SpendModelNames[model->spend_model]);
	for (int i = 0; i < model->nday_runs; i++)
		weighted += model->day_runs[i].days;
	values[n++] = Int64GetDatum(weighted);
	nulls[n] = model->random_share == 0;
	values[n++] = Float8GetDatum(model->random_share);
	Assert(n == lengthof(values));
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}
