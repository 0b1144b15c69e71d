/*
 * word_codes.c: words and the codes they have in a profile_model.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "profile/profile_model.h"

typedef struct ValueEntry
{
	uint64 hash;
	Word word; /* text NULL: free */
	int value;
} ValueEntry;

static void
AddValue(ValueTable *table, Word word, int value)
{
	uint64 hash = HashWord(word);
	uint32 i = hash & table->mask;

	while (table->entries[i].word.text != NULL)
	{
		if (table->entries[i].hash == hash && WordsAreEqual(table->entries[i].word, word))
			return;
		i = (i + 1) & table->mask;
	}
	table->entries[i] = (ValueEntry){hash, word, value};
}

ValueTable *
MakeValueTables(const ProfileModel *model)
{
	ValueTable *tables = palloc0((model->natts + 1) * sizeof(ValueTable));

	for (int i = 0; i < model->natts; i++)
	{
		const ProfileAttribute *att = &model->atts[i];
		uint32 size = pg_nextpower2_32(2 * (att->nvalues + model->nmissing) + 2);

		if (HasRange(att->kind))
			continue;
		tables[i].entries = palloc0(size * sizeof(ValueEntry));
		tables[i].mask = size - 1;
		/* what a dictionary names is a value, even if it is a word for missing */
		for (int v = 0; v < att->nvalues; v++)
			AddValue(&tables[i], (Word){att->values[v], strlen(att->values[v])}, v);
		for (int m = 0; m < model->nmissing; m++)
			AddValue(&tables[i], (Word){model->missing[m], strlen(model->missing[m])},
					 VALUE_MISSING);
	}
	return tables;
}

int
LookUpValue(const ProfileModel *model, int att, Word word, uint64 hash)
{
	const ValueTable *table = &model->value_table[att];

	for (uint32 i = hash & table->mask; table->entries[i].word.text != NULL;
		 i = (i + 1) & table->mask)
		if (table->entries[i].hash == hash && WordsAreEqual(table->entries[i].word, word))
			return table->entries[i].value;
	return WordIsMissing(model, word) ? VALUE_MISSING : VALUE_OTHER;
}

bool
WordIsMissing(const ProfileModel *model, Word word)
{
	for (int m = 0; m < model->nmissing; m++)
	{
		const char *missing = model->missing[m];
		int i = 0;

		if (word.length > 0 && missing[0] != pg_ascii_tolower((unsigned char) word.text[0]))
			continue;
		while (i < word.length &&
			   pg_ascii_tolower((unsigned char) word.text[i]) == (unsigned char) missing[i])
			i++;
		if (i == word.length && missing[i] == '\0')
			return true;
	}
	return false;
}

bool
NumberIsMissing(const ProfileModel *model, double number)
{
	for (int m = 0; m < model->nmissing_numbers; m++)
		if (model->missing_numbers[m] == number)
			return true;
	return false;
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
