/*
 * word_codes.c: words and the codes they have in a dictionary.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "base/json_read.h"
#include "profile/word_codes.h"

/* ---------- missing values ---------- */

void
SetMissingFromJson(MissingValues *missing, JsonbContainer *array)
{
	int n = JsonContainerSize(array);

	*missing = (MissingValues){.words = palloc((n + 1) * sizeof(char *)),
							   .numbers = palloc((n + 1) * sizeof(double))};
	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type == jbvNumeric)
			missing->numbers[missing->nnumbers++] = JsonNumber(value, "missing");
		else
			missing->words[missing->nwords++] = JsonString(value, "missing");
	}
	TidyMissing(missing);
}

void
TidyMissing(MissingValues *missing)
{
	const char **tidy = palloc((missing->nwords + 1) * sizeof(char *));

	for (int i = 0; i < missing->nwords; i++)
	{
		Word word = TrimmedWord(missing->words[i], strlen(missing->words[i]));
		char *lower = pnstrdup(word.text, word.length);

		for (char *c = lower; *c; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		tidy[i] = lower;
	}
	missing->words = tidy;
}

bool
WordIsMissing(const MissingValues *missing, Word word)
{
	for (int m = 0; m < missing->nwords; m++)
	{
		const char *other = missing->words[m];
		int i = 0;

		if (word.length > 0 && other[0] != pg_ascii_tolower((unsigned char) word.text[0]))
			continue;
		while (i < word.length &&
			   pg_ascii_tolower((unsigned char) word.text[i]) == (unsigned char) other[i])
			i++;
		if (i == word.length && other[i] == '\0')
			return true;
	}
	return false;
}

bool
NumberIsMissing(const MissingValues *missing, double number)
{
	for (int m = 0; m < missing->nnumbers; m++)
		if (missing->numbers[m] == number)
			return true;
	return false;
}

/* ---------- codes ---------- */

typedef struct WordCode
{
	uint64 hash;
	Word word; /* text is NULL if free */
	int value;
} WordCode;

static void
AddWord(WordCodes *codes, const char *text, int value)
{
	Word word = {text, strlen(text)};
	uint64 hash = HashWord(word);
	uint32 i = hash & codes->mask;

	while (codes->entries[i].word.text != NULL)
	{
		if (codes->entries[i].hash == hash && WordsAreEqual(codes->entries[i].word, word))
			return;
		i = (i + 1) & codes->mask;
	}
	codes->entries[i] = (WordCode){hash, word, value};
}

void
SetWordCodes(WordCodes *codes, const char *const *values, int nvalues, const MissingValues *missing)
{
	uint32 size = pg_nextpower2_32(2 * (nvalues + missing->nwords) + 2);

	codes->entries = palloc0(size * sizeof(WordCode));
	codes->mask = size - 1;
	codes->missing = missing;
	/* a word in the dictionary is a value, even if it is a word for missing */
	for (int v = 0; v < nvalues; v++)
		AddWord(codes, values[v], v);
	for (int m = 0; m < missing->nwords; m++)
		AddWord(codes, missing->words[m], VALUE_MISSING);
}

int
LookUpWord(const WordCodes *codes, Word word, uint64 hash)
{
	for (uint32 i = hash & codes->mask; codes->entries[i].word.text != NULL;
		 i = (i + 1) & codes->mask)
		if (codes->entries[i].hash == hash && WordsAreEqual(codes->entries[i].word, word))
			return codes->entries[i].value;
	return WordIsMissing(codes->missing, word) ? VALUE_MISSING : VALUE_OTHER;
}

int
BooleanFromWord(Word word)
{
	static const char *const words[2][6] = {
		{"false", "f", "no", "n", "off", "0"},
		{"true", "t", "yes", "y", "on", "1"},
	};

	for (int value = 0; value < 2; value++)
		for (int i = 0; i < lengthof(words[value]); i++)
			if (strlen(words[value][i]) == word.length &&
				pg_strncasecmp(words[value][i], word.text, word.length) == 0)
				return value;
	return -1;
}
