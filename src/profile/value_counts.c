/*
 * value_counts.c: how often each value of an attribute occurs, in bounded memory.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/sortable_float.h"
#include "profile/value_counts.h"

/* ---------- numbers ---------- */

#define NUMBER_SLOTS (2 * MAX_NUMBERS)
#define NUMBER_SLOT_BITS 12
StaticAssertDecl(NUMBER_SLOTS == 1 << NUMBER_SLOT_BITS, "the slots are a power of two");

/* The middle of the numbers that share a key. */
static double
NumberOfKey(uint64 key, int dropped)
{
	uint64 bits = key << dropped;

	if (dropped > 0)
		bits |= UINT64CONST(1) << (dropped - 1);
	return Float8FromUnsignedSortable(bits);
}

NumberCounts *
NewNumberCounts(MemoryContext context)
{
	NumberCounts *counts = MemoryContextAllocZero(context, sizeof(NumberCounts));

	counts->table = MemoryContextAllocZero(context, NUMBER_SLOTS * sizeof(NumberCount));
	return counts;
}

/* Returns false if there is no room for another number. */
static inline bool
AddToKey(NumberCounts *counts, uint64 key, int64 count)
{
	/* Fibonacci hashing: the high bits of the product depend on all of the key */
	uint32 i = (key * UINT64CONST(0x9e3779b97f4a7c15)) >> (64 - NUMBER_SLOT_BITS);

	while (counts->table[i].count > 0)
	{
		if (counts->table[i].key == key)
		{
			counts->table[i].count += count;
			return true;
		}
		i = (i + 1) & (NUMBER_SLOTS - 1);
	}
	if (counts->used == MAX_NUMBERS)
		return false;
	counts->table[i].key = key;
	counts->table[i].count = count;
	counts->used++;
	return true;
}

/* Drops one more bit of all numbers. */
static void
DropBit(NumberCounts *counts)
{
	NumberCount old[MAX_NUMBERS];
	int n = 0;

	for (int i = 0; i < NUMBER_SLOTS; i++)
		if (counts->table[i].count > 0)
			old[n++] = counts->table[i];
	memset(counts->table, 0, NUMBER_SLOTS * sizeof(NumberCount));
	counts->used = 0;
	counts->dropped++;
	for (int i = 0; i < n; i++)
		AddToKey(counts, old[i].key >> 1, old[i].count);
}

static inline void
AddToNumber(NumberCounts *counts, uint64 bits, int64 count)
{
	while (unlikely(!AddToKey(counts, bits >> counts->dropped, count)))
		DropBit(counts);
	counts->total += count;
}

void
CountNumber(NumberCounts *counts, double number)
{
	if (counts->total == 0 || number < counts->min)
		counts->min = number;
	if (counts->total == 0 || number > counts->max)
		counts->max = number;
	AddToNumber(counts, UnsignedSortableFloat8(number), 1);
}

void
MergeNumberCounts(NumberCounts *counts, const NumberCounts *other)
{
	if (other->total == 0)
		return;
	if (counts->total == 0 || other->min < counts->min)
		counts->min = other->min;
	if (counts->total == 0 || other->max > counts->max)
		counts->max = other->max;
	while (counts->dropped < other->dropped)
		DropBit(counts);
	for (int i = 0; i < NUMBER_SLOTS; i++)
		if (other->table[i].count > 0)
			AddToNumber(counts, other->table[i].key << other->dropped, other->table[i].count);
}

void
SendNumberCounts(StringInfo out, const NumberCounts *counts)
{
	pq_sendfloat8(out, counts->min);
	pq_sendfloat8(out, counts->max);
	pq_sendint32(out, counts->dropped);
	pq_sendint32(out, counts->used);
	for (int i = 0; i < NUMBER_SLOTS; i++)
		if (counts->table[i].count > 0)
		{
			pq_sendint64(out, counts->table[i].key);
			pq_sendint64(out, counts->table[i].count);
		}
}

void
ReceiveNumberCounts(StringInfo in, NumberCounts *counts)
{
	double min = pq_getmsgfloat8(in);
	double max = pq_getmsgfloat8(in);
	int dropped = pq_getmsgint(in, 4);
	int used = pq_getmsgint(in, 4);

	if (used == 0)
		return;
	counts->min = counts->total == 0 ? min : Min(min, counts->min);
	counts->max = counts->total == 0 ? max : Max(max, counts->max);
	while (counts->dropped < dropped)
		DropBit(counts);
	for (int i = 0; i < used; i++)
	{
		uint64 key = pq_getmsgint64(in);

		AddToNumber(counts, key << dropped, pq_getmsgint64(in));
	}
}

static int
CompareNumberCounts(const void *a, const void *b)
{
	uint64 x = ((const NumberCount *) a)->key;
	uint64 y = ((const NumberCount *) b)->key;

	return x < y ? -1 : x > y;
}

/* The number with `rank` others before it. */
static double
NumberOfRank(const NumberCount *sorted, const NumberCounts *counts, int64 rank)
{
	int i = 0;

	while (rank >= sorted[i].count)
		rank -= sorted[i++].count;
	return Max(Min(NumberOfKey(sorted[i].key, counts->dropped), counts->max), counts->min);
}

double
NumberQuantile(NumberCounts *counts, double p)
{
	NumberCount sorted[MAX_NUMBERS];
	int n = 0;
	double position = p * (double) (counts->total - 1);
	int64 rank = (int64) floor(position);
	double low;
	double high;

	for (int i = 0; i < NUMBER_SLOTS; i++)
		if (counts->table[i].count > 0)
			sorted[n++] = counts->table[i];
	qsort(sorted, n, sizeof(NumberCount), CompareNumberCounts);
	low = NumberOfRank(sorted, counts, rank);
	high = NumberOfRank(sorted, counts, Min(rank + 1, counts->total - 1));
	return low + (high - low) * (position - (double) rank);
}

/* ---------- words ---------- */

#define FIRST_WORD_SLOTS 64

WordCounts *
NewWordCounts(MemoryContext context)
{
	WordCounts *counts = MemoryContextAllocZero(context, sizeof(WordCounts));

	counts->context = AllocSetContextCreate(context, "words of an attribute", ALLOCSET_SMALL_SIZES);
	counts->mask = FIRST_WORD_SLOTS - 1;
	counts->table = MemoryContextAllocZero(counts->context, FIRST_WORD_SLOTS * sizeof(WordCount));
	return counts;
}

static inline WordCount *
FindWord(const WordCounts *counts, Word word, uint64 hash)
{
	uint32 i = hash >> 32 & counts->mask;

	while (counts->table[i].word.text != NULL &&
		   !(counts->table[i].hash == hash && WordsAreEqual(counts->table[i].word, word)))
		i = (i + 1) & counts->mask;
	return &counts->table[i];
}

static inline bool
HashIsKept(const WordCounts *counts, uint64 hash)
{
	return (hash & ((UINT64CONST(1) << counts->zero_bits) - 1)) == 0;
}

/* Makes a table of `slots`, in a context of its own, with the words to keep. */
static void
RebuildWords(WordCounts *counts, uint32 slots)
{
	MemoryContext old_context = counts->context;
	WordCount *old = counts->table;
	uint32 old_slots = counts->mask + 1;

	counts->context = AllocSetContextCreate(MemoryContextGetParent(old_context),
											"words of an attribute", ALLOCSET_SMALL_SIZES);
	counts->table = MemoryContextAllocZero(counts->context, slots * sizeof(WordCount));
	counts->mask = slots - 1;
	counts->used = 0;
	for (uint32 i = 0; i < old_slots; i++)
	{
		WordCount *entry;
		char *text;

		if (old[i].word.text == NULL || !(old[i].is_missing || HashIsKept(counts, old[i].hash)))
			continue;
		entry = FindWord(counts, old[i].word, old[i].hash);
		*entry = old[i];
		text = MemoryContextAlloc(counts->context, old[i].word.length + 1);
		memcpy(text, old[i].word.text, old[i].word.length);
		entry->word.text = text;
		counts->used++;
	}
	MemoryContextDelete(old_context);
}

/* Adds a new word if it is to be kept. */
static void
AddWord(WordCounts *counts, Word word, uint64 hash, int64 count, bool is_missing)
{
	WordCount *entry;
	char *text;

	if (word.length > MAX_WORD_LENGTH)
		return;
	while (counts->used >= MAX_WORDS && (is_missing || HashIsKept(counts, hash)))
	{
		counts->zero_bits++;
		RebuildWords(counts, counts->mask + 1);
	}
	if (!is_missing && !HashIsKept(counts, hash))
		return;
	if (counts->used * 2 > counts->mask)
		RebuildWords(counts, 2 * (counts->mask + 1));

	entry = FindWord(counts, word, hash);
	text = MemoryContextAlloc(counts->context, word.length + 1);
	memcpy(text, word.text, word.length);
	entry->word = (Word){text, word.length};
	entry->hash = hash;
	entry->count = count;
	entry->is_missing = is_missing;
	counts->used++;
}

bool
CountWord(WordCounts *counts, Word word, int64 count, WordIsMissingFn is_missing, const void *arg)
{
	uint64 hash = HashWord(word);
	WordCount *entry = FindWord(counts, word, hash);
	bool missing;

	if (entry->word.text != NULL)
	{
		entry->count += count;
		missing = entry->is_missing;
	}
	else
	{
		missing = is_missing(word, arg);
		AddWord(counts, word, hash, count, missing);
	}
	if (missing)
		counts->missing += count;
	else
		counts->total += count;
	return !missing;
}

void
MergeWordCounts(WordCounts *counts, const WordCounts *other, WordIsMissingFn is_missing,
				const void *arg)
{
	int64 total = counts->total + other->total;
	int64 missing = counts->missing + other->missing;

	if (counts->zero_bits < other->zero_bits)
	{
		counts->zero_bits = other->zero_bits;
		RebuildWords(counts, counts->mask + 1);
	}
	for (uint32 i = 0; i <= other->mask; i++)
		if (other->table[i].word.text != NULL)
			CountWord(counts, other->table[i].word, other->table[i].count, is_missing, arg);
	counts->total = total;
	counts->missing = missing;
}

void
SendWordCounts(StringInfo out, const WordCounts *counts)
{
	pq_sendint32(out, counts->zero_bits);
	pq_sendint64(out, counts->total);
	pq_sendint64(out, counts->missing);
	pq_sendint32(out, counts->used);
	for (uint32 i = 0; i <= counts->mask; i++)
		if (counts->table[i].word.text != NULL)
		{
			pq_sendint32(out, counts->table[i].word.length);
			pq_sendbytes(out, counts->table[i].word.text, counts->table[i].word.length);
			pq_sendint64(out, counts->table[i].count);
		}
}

void
ReceiveWordCounts(StringInfo in, WordCounts *counts, WordIsMissingFn is_missing, const void *arg)
{
	int zero_bits = pq_getmsgint(in, 4);
	int64 total = counts->total + pq_getmsgint64(in);
	int64 missing = counts->missing + pq_getmsgint64(in);
	int used = pq_getmsgint(in, 4);

	if (counts->zero_bits < zero_bits)
	{
		counts->zero_bits = zero_bits;
		RebuildWords(counts, counts->mask + 1);
	}
	for (int i = 0; i < used; i++)
	{
		int length = pq_getmsgint(in, 4);
		const char *text = pq_getmsgbytes(in, length);

		CountWord(counts, (Word){text, length}, pq_getmsgint64(in), is_missing, arg);
	}
	counts->total = total;
	counts->missing = missing;
}

/* Orders the most frequent first, and equal counts by bytes. */
static int
CompareWordCounts(const void *a, const void *b)
{
	const WordCount *x = *(WordCount *const *) a;
	const WordCount *y = *(WordCount *const *) b;
	int order;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	order = memcmp(x->word.text, y->word.text, Min(x->word.length, y->word.length));
	return order != 0 ? order : x->word.length - y->word.length;
}

WordCount **
FrequentWords(const WordCounts *counts, int *n)
{
	WordCount **words = palloc((counts->used + 1) * sizeof(WordCount *));

	*n = 0;
	for (uint32 i = 0; i <= counts->mask; i++)
		if (counts->table[i].word.text != NULL && !counts->table[i].is_missing)
			words[(*n)++] = &counts->table[i];
	qsort(words, *n, sizeof(WordCount *), CompareWordCounts);
	return words;
}
