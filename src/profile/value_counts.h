/*
 * value_counts.h: how often each value of an attribute occurs, in bounded memory,
 * with a result that does not depend on the order of the rows.
 */
#ifndef CRM_VALUE_COUNTS_H
#define CRM_VALUE_COUNTS_H

#include "lib/stringinfo.h"

#include "profile/attribute_value.h"

/* ---------- numbers ---------- */

/*
 * Counts by number.  Up to MAX_NUMBERS distinct ones are exact; beyond that, low bits of the
 * numbers are dropped one by one until MAX_NUMBERS suffice.  The number of bits dropped in the end
 * depends only on the set of numbers, and so does everything else.
 */
#define MAX_NUMBERS 2048

typedef struct NumberCount
{
	uint64 key;  /* the number's bits in sort order, without the low ones dropped */
	int64 count; /* 0: free */
} NumberCount;

typedef struct NumberCounts
{
	int dropped; /* bits */
	int used;
	int64 total;
	double min;
	double max;
	NumberCount *table; /* 2 * MAX_NUMBERS, open addressing */
} NumberCounts;

extern NumberCounts *NewNumberCounts(MemoryContext context);
extern void CountNumber(NumberCounts *counts, double number);
extern void MergeNumberCounts(NumberCounts *counts, const NumberCounts *other);

/* Sends counts to another process; receiving adds them. */
extern void SendNumberCounts(StringInfo out, const NumberCounts *counts);
extern void ReceiveNumberCounts(StringInfo in, NumberCounts *counts);

/* The p-quantile (type 7) of the numbers as they were counted; total must not be 0. */
extern double NumberQuantile(NumberCounts *counts, double p);

/* ---------- words ---------- */

/*
 * Counts by word.  Up to MAX_WORDS distinct ones are exact and complete; beyond that, only words
 * whose hash ends in enough zero bits are kept, with exact counts, and the others are counted
 * together.
 */
#define MAX_WORDS 16384
#define MAX_WORD_LENGTH 100 /* longer ones are never kept */

typedef struct WordCount
{
	uint64 hash;
	Word word; /* text is NULL if free */
	int64 count;
	bool is_missing; /* one of the words for missing: never dropped */
} WordCount;

typedef struct WordCounts
{
	MemoryContext context;
	int zero_bits; /* of the hashes of words that are kept */
	int used;
	uint32 mask;
	int64 total; /* words that are not missing, kept or not */
	int64 missing;
	WordCount *table;
} WordCounts;

/* Classifies a word seen for the first time. */
typedef bool (*WordIsMissingFn)(Word word, const void *arg);

extern WordCounts *NewWordCounts(MemoryContext context);

/* Returns false if the word stands for missing. */
extern bool
CountWord(WordCounts *counts, Word word, int64 count, WordIsMissingFn is_missing, const void *arg);
extern void MergeWordCounts(WordCounts *counts, const WordCounts *other, WordIsMissingFn is_missing,
							const void *arg);

extern void SendWordCounts(StringInfo out, const WordCounts *counts);
extern void
ReceiveWordCounts(StringInfo in, WordCounts *counts, WordIsMissingFn is_missing, const void *arg);

/* The words that were kept and do not stand for missing, the most frequent first. */
extern WordCount **FrequentWords(const WordCounts *counts, int *n);

#endif /* CRM_VALUE_COUNTS_H */
