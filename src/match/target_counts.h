/*
 * target_counts.h: the distinct values of one attribute, each with the number of
 * targets and of others that have it.
 */
#ifndef CRM_TARGET_COUNTS_H
#define CRM_TARGET_COUNTS_H

#include "base/statistics.h"
#include "profile/attribute_value.h"

typedef struct Level
{
	Word value;
	ClassCount count;
	uint32 hash;
	char status; /* simplehash's own */
} Level;

typedef struct TargetCounts TargetCounts;

/* A table allocated, including its values, in the context. */
extern TargetCounts *CreateTargetCounts(MemoryContext context);

/* Adds rows with the value. */
extern void CountTargets(TargetCounts *table, Word value, ClassCount rows);

/* Adds all rows of another table. */
extern void AddTargetCounts(TargetCounts *table, const TargetCounts *other);

/* A copy of the levels in the order of their bytes, which does not depend on the locale. */
extern Level *SortedLevels(TargetCounts *table, int *nlevels);

#endif /* CRM_TARGET_COUNTS_H */
