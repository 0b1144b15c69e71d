/*
 * word_codes.h: words and the codes they have in a dictionary, and what stands
 * for a missing value.
 */
#ifndef CRM_WORD_CODES_H
#define CRM_WORD_CODES_H

#include "utils/jsonb.h"

#include "profile/attribute_value.h"

#define MAX_MISSING 1000 /* words, and numbers, that stand for missing */

typedef struct MissingValues
{
	int nwords;
	const char **words; /* in lower case, without outer blanks */
	int nnumbers;
	double *numbers;
} MissingValues;

/* Takes a JSON array of words and numbers. */
extern void SetMissingFromJson(MissingValues *missing, JsonbContainer *array);

/* Converts the words to lower case without outer blanks. */
extern void TidyMissing(MissingValues *missing);

extern bool WordIsMissing(const MissingValues *missing, Word word);
extern bool NumberIsMissing(const MissingValues *missing, double number);

/* A hash table of the words of a dictionary. */
typedef struct WordCodes
{
	struct WordCode *entries;
	uint32 mask;
	const MissingValues *missing;
} WordCodes;

extern void SetWordCodes(WordCodes *codes, const char *const *values, int nvalues,
						 const MissingValues *missing);

/* The position of a word in the dictionary; -1 if missing, -2 if other. */
#define VALUE_MISSING (-1)
#define VALUE_OTHER (-2)
extern int LookUpWord(const WordCodes *codes, Word word, uint64 hash);

/* true, yes, 1, … are 1; false, no, 0, … are 0; anything else is -1. */
extern int BooleanFromWord(Word word);

#endif /* CRM_WORD_CODES_H */
