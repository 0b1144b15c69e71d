/*
 * target_counts.c: the distinct values of one attribute, each with the number of
 * targets and of others that have it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "storage/shmem.h"

#include "match/target_counts.h"

#define SH_PREFIX levels
#define SH_ELEMENT_TYPE Level
#define SH_KEY_TYPE Word
#define SH_KEY value
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).text, (key).length)
#define SH_EQUAL(table, a, b) WordsAreEqual(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, level) ((level)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct LevelTable
{
	MemoryContext context;
	levels_hash *hash;
};

LevelTable *
CreateLevelTable(MemoryContext context)
{
	LevelTable *table = MemoryContextAlloc(context, sizeof(LevelTable));

	table->context = context;
	table->hash = levels_create(context, 64, NULL);
	return table;
}

void
CountLevel(LevelTable *table, Word value, ClassCount rows)
{
	bool found;
	Level *level = levels_insert(table->hash, value, &found);

	if (!found)
	{
		char *copy = MemoryContextAlloc(table->context, value.length + 1);

		memcpy(copy, value.text, value.length);
		level->value.text = copy;
		level->count = (ClassCount){0, 0};
	}
	level->count.targets += rows.targets;
	level->count.others += rows.others;
}

static int
CompareLevels(const void *a, const void *b)
{
	return CompareWords(&((const Level *) a)->value, &((const Level *) b)->value);
}

Level *
SortedLevels(LevelTable *table, int *nlevels)
{
	Level *levels =
		palloc_extended(mul_size(table->hash->members + 1, sizeof(Level)), MCXT_ALLOC_HUGE);
	levels_iterator iterator;
	Level *level;
	int n = 0;

	levels_start_iterate(table->hash, &iterator);
	while ((level = levels_iterate(table->hash, &iterator)) != NULL)
		levels[n++] = *level;
	qsort(levels, n, sizeof(Level), CompareLevels);
	*nlevels = n;
	return levels;
}
