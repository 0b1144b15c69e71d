/*
 * profile_fit_options.c: the options of profile_fit(), as JSON.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "base/common.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "profile/profile_fit_state.h"

#define DEFAULT_MAX_VALUES 100

/* A value shared by fewer people could identify one of them, so no dictionary names it. */
#define DEFAULT_MIN_COUNT 5

static const char *const DefaultMissing[] = {
	"",
	"?",
	"-",
	"--",
	".",
	"unknown",
	"na",
	"n/a",
	"n.a.",
	"#n/a",
	"nan",
	"null",
	"(null)",
	"missing",
	"undefined",
	"unspecified",
	"not specified",
	"not available",
};

static FitColumn *
ColumnOfOption(ProfileFitState *state, const char *name, const char *option)
{
	for (int i = 0; i < state->ncolumns; i++)
		if (strcmp(state->columns[i].name, name) == 0)
			return &state->columns[i];
	for (int i = 0; i < state->nignored; i++)
		if (strcmp(state->ignored[i], name) == 0)
			return NULL;
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("the option \"%s\" names \"%s\", which is no column of the record",
						   option, ShortString(name))));
}

static void
TakeKind(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "kinds");
	char *kind = JsonString(value, "a kind");

	if (column == NULL)
		return;
	if (!AttributeKindFromName(kind, &column->kind))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no attribute kind \"%s\"", ShortString(kind)),
			 errdetail("It is given for the attribute \"%s\".", key),
			 errhint("The kinds are numeric, date, ordinal, nominal, boolean, set and ignore.")));
	column->kind_given = true;
}

static void
TakeOrder(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "order");
	JsonbContainer *array = JsonArray(value, "an order");

	if (column == NULL)
		return;
	if (column->kind_given && column->kind != KIND_ORDINAL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" has an order, but its kind is %s", key,
							   AttributeKindName(column->kind))));
	column->kind = KIND_ORDINAL;
	column->kind_given = true;
	column->norder = JsonContainerSize(array);
	if (column->norder > MAX_NOMINAL_VALUES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the order of attribute \"%s\" has %d values", key, column->norder),
						errdetail("At most %d are possible.", MAX_NOMINAL_VALUES)));
	column->order = palloc((column->norder + 1) * sizeof(char *));
	for (int i = 0; i < column->norder; i++)
	{
		char *text = JsonString(getIthJsonbValueFromContainer(array, i), "a value of an order");
		Word word = TrimmedWord(text, strlen(text));

		column->order[i] = pnstrdup(word.text, word.length);
		for (int j = 0; j < i; j++)
			if (strcmp(column->order[i], column->order[j]) == 0)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("the order of attribute \"%s\" has the value \"%s\" twice",
									   key, ShortString(column->order[i]))));
	}
}

static void
TakeRange(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "ranges");
	JsonbContainer *array = JsonArray(value, "a range");
	double bounds[2];

	if (column == NULL)
		return;
	if (JsonContainerSize(array) != 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the range of attribute \"%s\" must be [low, high]", key)));
	for (int i = 0; i < 2; i++)
	{
		JsonbValue *bound = getIthJsonbValueFromContainer(array, i);

		bounds[i] = bound->type == jbvString ? DayFromText(JsonString(bound, "a range"))
											 : JsonNumber(bound, "a bound of a range");
		if ((bound->type == jbvString) != (column->input.class == COLUMN_DATE))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the range of attribute \"%s\" must be of %s", key,
								   column->input.class == COLUMN_DATE ? "days" : "numbers")));
	}
	if (!(bounds[0] < bounds[1]) || !isfinite(bounds[1] - bounds[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range of attribute \"%s\" must be finite, low before high", key)));
	column->range_given = true;
	column->low = bounds[0];
	column->high = bounds[1];
}

static void
TakeWeight(const char *key, const JsonbValue *value, void *arg)
{
	FitColumn *column = ColumnOfOption((ProfileFitState *) arg, key, "weights");
	double weight = value->type == jbvNull ? 0 : JsonNumber(value, "a weight");

	if (weight < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the weight of attribute \"%s\" is negative", key)));
	if (column == NULL)
		return;
	column->weight = weight;
	column->weight_given = true;
}

/* Calls `take` for each name of an option that is an array of columns. */
static void
EachColumn(ProfileFitState *state, const char *option, void (*take)(FitColumn *column))
{
	JsonbValue value;
	JsonbContainer *array;

	if (!JsonMember(&state->options->root, option, &value))
		return;
	array = JsonArray(&value, option);
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		FitColumn *column = ColumnOfOption(
			state, JsonString(getIthJsonbValueFromContainer(array, i), option), option);

		CHECK_FOR_INTERRUPTS();
		if (column != NULL && take != NULL)
			take(column);
	}
}

static void
TakeAsymmetric(FitColumn *column)
{
	column->asymmetric = true;
}

/* Who takes the options, and those that it has besides, separated by commas, or NULL. */
typedef struct OptionTaker
{
	const char *function;
	const char *own;
} OptionTaker;

static bool
IsInList(const char *list, const char *name)
{
	Size length = strlen(name);

	while (list != NULL)
	{
		if (strncmp(list, name, length) == 0 && (list[length] == ',' || list[length] == '\0'))
			return true;
		list = strstr(list, ", ");
		list = list == NULL ? NULL : list + 2;
	}
	return false;
}

static void
CheckOptionName(const char *key, const JsonbValue *value, void *arg)
{
	static const char *const names[] = {
		"kinds",      "ignore",    "order",       "ranges", "weights",    "missing",
		"max_values", "min_count", "range_count", "robust", "asymmetric",
	};

	const OptionTaker *taker = (const OptionTaker *) arg;

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(key, names[i]) == 0)
			return;
	if (IsInList(taker->own, key))
		return;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("%s has no option \"%s\"", taker->function, ShortString(key)),
					errhint("The options are %s%skinds, ignore, order, ranges, weights, missing, "
							"max_values, min_count, range_count, robust and asymmetric.",
							taker->own == NULL ? "" : taker->own, taker->own == NULL ? "" : ", ")));
}

void
CheckFitOptions(JsonbContainer *options, const char *function, const char *own)
{
	OptionTaker taker = {function, own};

	if (!JsonContainerIsObject(options))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the options of %s must be a JSON object", function)));
	JsonEachMember(options, CheckOptionName, &taker);
}

bool
OptionsIgnore(JsonbContainer *options, const char *name)
{
	JsonbValue value;
	JsonbValue kind;

	if (JsonMember(options, "kinds", &value) &&
		JsonMember(JsonObject(&value, "kinds"), name, &kind) && kind.type == jbvString &&
		kind.val.string.len == 6 && memcmp(kind.val.string.val, "ignore", 6) == 0)
		return true;
	if (JsonMember(options, "ignore", &value))
	{
		JsonbContainer *array = JsonArray(&value, "ignore");

		for (int i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(array, i);
			char *ignored = JsonString(element, "ignore");
			bool same = strcmp(ignored, name) == 0;

			CHECK_FOR_INTERRUPTS();
			/* all of them at once, for each column */
			pfree(ignored);
			pfree(element);
			if (same)
				return true;
		}
	}
	return false;
}

void
TakeGeneralOptions(ProfileFitState *state)
{
	JsonbContainer *options;
	JsonbValue value;

	state->max_values = DEFAULT_MAX_VALUES;
	state->min_count = DEFAULT_MIN_COUNT;
	state->range_count = 1;
	state->robust = true;
	state->missing.words = (const char **) DefaultMissing;
	state->missing.nwords = lengthof(DefaultMissing);
	if (state->options == NULL)
		return;
	options = &state->options->root;
	CheckFitOptions(options, "profile_fit", NULL);
	if (JsonMember(options, "missing", &value))
		SetMissingFromJson(&state->missing, JsonArray(&value, "missing"));
	if (JsonMember(options, "max_values", &value))
	{
		double n = JsonNumber(&value, "max_values");

		if (!(n >= 1 && n <= MAX_SET_VALUES && n == floor(n)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("max_values must be a whole number from 1 to %d", MAX_SET_VALUES)));
		state->max_values = (int) n;
	}
	if (JsonMember(options, "min_count", &value))
		state->min_count = JsonCount(&value, "min_count");
	if (JsonMember(options, "range_count", &value))
		state->range_count = JsonCount(&value, "range_count");
	if (JsonMember(options, "robust", &value))
	{
		if (value.type != jbvBool)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("robust must be true or false")));
		state->robust = value.val.boolean;
	}
}

void
TakeColumnOptions(ProfileFitState *state)
{
	static const struct
	{
		const char *name;
		void (*take)(const char *key, const JsonbValue *value, void *arg);
	} options[] = {
		{"kinds", TakeKind},
		{"order", TakeOrder},
		{"ranges", TakeRange},
		{"weights", TakeWeight},
	};

	if (state->options == NULL)
		return;
	for (int i = 0; i < lengthof(options); i++)
	{
		JsonbValue value;

		if (JsonMember(&state->options->root, options[i].name, &value))
			JsonEachMember(JsonObject(&value, options[i].name), options[i].take, state);
	}
	/* a misspelt name in "ignore" would turn a column into an attribute that should not be one */
	EachColumn(state, "ignore", NULL);
	EachColumn(state, "asymmetric", TakeAsymmetric);
}
