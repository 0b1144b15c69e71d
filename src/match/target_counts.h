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
	int32 code; /* how many were there before it */
	uint32 hash;
	char status; /* simplehash's own */
} Level;

typedef struct TargetCounts TargetCounts;

/* A table allocated, including its values, in the context. */
extern TargetCounts *CreateTargetCounts(MemoryContext context);

/* Adds rows with the value; returns its code. */
extern int32 CountTargets(TargetCounts *table, Word value, ClassCount rows);

/* Adds all rows of another table; `code`, of each of its codes the code here, may be NULL. */
extern void AddTargetCounts(TargetCounts *table, const TargetCounts *other, int32 *code);

extern int CountLevels(const TargetCounts *table);

/* A copy of the levels by their codes. */
extern Level *LevelsByCode(const TargetCounts *table);

/* A copy of the levels in the order of their bytes, which does not depend on the locale. */
extern Level *SortedLevels(TargetCounts *table, int *nlevels);

#endif /* CRM_TARGET_COUNTS_H */
