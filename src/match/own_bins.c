/*
 * own_bins.c: bins that somebody gives: values with bins of their own, borders of ranges, groups of
 * words.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "base/common.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "match/own_bins.h"

typedef struct OptionCheck
{
	const char *function;
	const char *more;
	const char *option;
	bool (*known)(const char *name, const void *arg);
	const void *arg;
} OptionCheck;

static void
CheckAttribute(const char *key, const JsonbValue *value, void *arg)
{
	const OptionCheck *check = (const OptionCheck *) arg;

	if (!check->known(key, check->arg))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the option \"%s\" of %s names \"%s\", which is no attribute that can have "
						"it",
						check->option, check->function, ShortString(key)),
				 errhint("Numbers, dates and words can, arrays cannot.")));
	(void) JsonArray(value, psprintf("\"%s\" of \"%s\"", check->option, key));
}

static void
CheckOption(const char *key, const JsonbValue *value, void *arg)
{
	OptionCheck *check = (OptionCheck *) arg;

	check->option = key;
	if (check->more != NULL && strcmp(key, check->more) == 0)
		return;
	if (strcmp(key, "special") != 0 && strcmp(key, "breaks") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s has no option \"%s\"", check->function, ShortString(key)),
						check->more == NULL
							? errhint("The options are special and breaks.")
							: errhint("The options are special, breaks and %s.", check->more)));
	if (value->type != jbvNull)
		JsonEachMember(JsonObject(value, key), CheckAttribute, check);
}

void
CheckBinOptions(Jsonb *options, const char *function, const char *more,
				bool (*known)(const char *name, const void *arg), const void *arg)
{
	OptionCheck check = {.function = function, .more = more, .known = known, .arg = arg};

	if (!JsonContainerIsObject(&options->root))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the options of %s must be a JSON object", function)));
	JsonEachMember(&options->root, CheckOption, &check);
}

static OwnValue
ReadValue(const JsonbValue *value, OwnKind kind, const char *where)
{
	OwnValue own = {0};
	char *text;

	switch (kind)
	{
		case OWN_NUMBERS:
			own.number = JsonNumber(value, where);
			break;
		case OWN_DAYS:
			own.number = DayFromText(JsonString(value, where));
			break;
		case OWN_WORDS:
			text = JsonString(value, where);
			own.word = TrimmedWord(text, strlen(text));
	}
	return own;
}

static void
CheckRoom(int n, int limit, const char *where)
{
	if (n > limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("%s has more than %d values", where, limit)));
}

/* The array of an option for an attribute; NULL if there is none. */
static JsonbContainer *
OptionArray(Jsonb *options, const char *option, const char *attribute, char **where)
{
	JsonbValue of_option;
	JsonbValue value;

	*where = psprintf("\"%s\" of \"%s\"", option, attribute);
	if (!JsonMember(&options->root, option, &of_option) ||
		!JsonMember(JsonObject(&of_option, option), attribute, &value))
		return NULL;
	return JsonArray(&value, *where);
}

static void
ReadSpecial(Jsonb *options, const char *attribute, OwnKind kind, OwnBins *own)
{
	char *where;
	JsonbContainer *array = OptionArray(options, "special", attribute, &where);
	int n = array == NULL ? 0 : JsonContainerSize(array);

	CheckRoom(n, MAX_ALONE, where);
	own->special = palloc((n + 1) * sizeof(OwnValue));
	for (int i = 0; i < n; i++)
	{
		OwnValue value = ReadValue(getIthJsonbValueFromContainer(array, i), kind, where);

		for (int k = 0; k < i; k++)
			if (kind == OWN_WORDS ? WordsAreEqual(own->special[k].word, value.word)
								  : own->special[k].number == value.number)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("%s has a value twice", where)));
		own->special[own->nspecial++] = value;
	}
}

/* A word, or an array of words that make a group. */
static void
ReadGroup(const JsonbValue *value, const char *where, OwnBins *own)
{
	JsonbContainer *array = value->type == jbvString ? NULL : JsonArray(value, where);
	int n = array == NULL ? 1 : JsonContainerSize(array);

	for (int i = 0; i < n; i++)
	{
		OwnValue word = ReadValue(array == NULL ? value : getIthJsonbValueFromContainer(array, i),
								  OWN_WORDS, where);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < own->nbreaks; k++)
			if (WordsAreEqual(own->breaks[k].word, word.word))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("%s has the word \"%s\" twice", where, ShortWord(word.word))));
		word.group = own->ngroups;
		own->breaks = repalloc(own->breaks, (own->nbreaks + 1) * sizeof(OwnValue));
		own->breaks[own->nbreaks++] = word;
	}
	own->ngroups++;
}

static void
ReadBreaks(Jsonb *options, const char *attribute, OwnKind kind, bool ordered, OwnBins *own)
{
	char *where;
	JsonbContainer *array = OptionArray(options, "breaks", attribute, &where);
	int n = array == NULL ? 0 : JsonContainerSize(array);

	CheckRoom(n, MAX_BREAKS, where);
	own->breaks = palloc((n + 1) * sizeof(OwnValue));
	for (int i = 0; i < n; i++)
	{
		const JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (kind == OWN_WORDS && !ordered)
		{
			ReadGroup(value, where, own);
			continue;
		}
		own->breaks[own->nbreaks++] = ReadValue(value, kind, where);
		if (i > 0 && kind != OWN_WORDS && own->breaks[i].number <= own->breaks[i - 1].number)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must rise", where)));
	}
}

OwnBins *
ReadOwnBins(Jsonb *options, const char *attribute, OwnKind kind, bool ordered)
{
	OwnBins *own = palloc0(sizeof(OwnBins));

	ReadSpecial(options, attribute, kind, own);
	ReadBreaks(options, attribute, kind, ordered, own);
	return own->nspecial > 0 || own->nbreaks > 0 ? own : NULL;
}

int
SpecialNumber(const OwnBins *own, double number)
{
	for (int i = 0; i < own->nspecial; i++)
		if (own->special[i].number == number)
			return i + 1;
	return 0;
}

int
SpecialWord(const OwnBins *own, Word word)
{
	for (int i = 0; i < own->nspecial; i++)
		if (WordsAreEqual(own->special[i].word, word))
			return i + 1;
	return 0;
}

int
RangeOfNumber(const OwnBins *own, double number)
{
	int range = 0;

	while (range < own->nbreaks && own->breaks[range].number <= number)
		range++;
	return range;
}

int
GroupOfWord(const OwnBins *own, Word word)
{
	for (int i = 0; i < own->nbreaks; i++)
		if (WordsAreEqual(own->breaks[i].word, word))
			return own->breaks[i].group;
	return own->ngroups;
}
