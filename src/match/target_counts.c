/*
 * target_counts.c: the distinct values of one attribute, each with the number of
 * targets and of others that have it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/shmem.h"

#include "match/target_counts.h"

struct TargetCounts
{
	MemoryContext context;
	struct levels_hash *hash;
	uint64 seed; /* of hashes: random, so that nobody can choose words with equal hashes */
};

static inline uint32
HashLevel(const TargetCounts *table, Word value)
{
	return (uint32) hash_bytes_extended((const unsigned char *) value.text, value.length,
										table->seed);
}

#define SH_PREFIX levels
#define SH_ELEMENT_TYPE Level
#define SH_KEY_TYPE Word
#define SH_KEY value
#define SH_HASH_KEY(table, key) HashLevel((const TargetCounts *) (table)->private_data, key)
#define SH_EQUAL(table, a, b) WordsAreEqual(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, level) ((level)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

TargetCounts *
CreateTargetCounts(MemoryContext context)
{
	TargetCounts *table = MemoryContextAlloc(context, sizeof(TargetCounts));

	table->context = context;
	table->seed = pg_prng_uint64(&pg_global_prng_state);
	table->hash = levels_create(context, 64, table);
	return table;
}

int32
CountTargets(TargetCounts *table, Word value, ClassCount rows)
{
	bool found;
	Level *level = levels_insert(table->hash, value, &found);

	if (!found)
	{
		char *copy = MemoryContextAlloc(table->context, value.length + 1);

		memcpy(copy, value.text, value.length);
		level->value.text = copy;
		level->count = (ClassCount){0, 0};
		level->code = table->hash->members - 1;
	}
	level->count.targets += rows.targets;
	level->count.others += rows.others;
	return level->code;
}

void
AddTargetCounts(TargetCounts *table, const TargetCounts *other, int32 *code)
{
	levels_iterator iterator;
	Level *level;

	levels_start_iterate(other->hash, &iterator);
	while ((level = levels_iterate(other->hash, &iterator)) != NULL)
	{
		int32 here = CountTargets(table, level->value, level->count);

		CHECK_FOR_INTERRUPTS();
		if (code != NULL)
			code[level->code] = here;
	}
}

int
CountLevels(const TargetCounts *table)
{
	return table->hash->members;
}

Level *
LevelsByCode(const TargetCounts *table)
{
	Level *levels =
		palloc_extended(mul_size(table->hash->members + 1, sizeof(Level)), MCXT_ALLOC_HUGE);
	levels_iterator iterator;
	Level *level;

	levels_start_iterate(table->hash, &iterator);
	while ((level = levels_iterate(table->hash, &iterator)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		levels[level->code] = *level;
	}
	return levels;
}

#define ST_SORT SortLevels
#define ST_ELEMENT_TYPE Level
#define ST_COMPARE(a, b) CompareWords(&(a)->value, &(b)->value)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

Level *
SortedLevels(TargetCounts *table, int *nlevels)
{
	Level *levels = LevelsByCode(table);

	*nlevels = CountLevels(table);
	SortLevels(levels, *nlevels);
	return levels;
}
