/*
 * integer_list.h: integers in order of arrival, in memory up to a limit and beyond that in a
 * temporary file, for code that reads its input several times.
 */
#ifndef CRM_INTEGER_LIST_H
#define CRM_INTEGER_LIST_H

#include "fmgr.h"
#include "storage/buffile.h"
#include "utils/palloc.h"

typedef struct IntegerList
{
	MemoryContext context;
	int64 *values;
	int64 nvalues;  /* in memory */
	int64 capacity; /* there */
	int64 limit;    /* of the capacity */
	BufFile *file;  /* earlier integers; NULL if there are none */
	int64 in_file;
} IntegerList;

/* Lists with the same limit that grow in step are read in step. */
extern void InitIntegerList(IntegerList *list, MemoryContext context, int64 limit);
extern void FreeIntegerList(IntegerList *list);

/*
 * The list belongs to an aggregate: its file is removed with the group, whether the group is
 * finished or not.
 */
extern void OwnIntegerList(FunctionCallInfo fcinfo, IntegerList *list);

/* The number of integers that fit into a share of work_mem. */
extern int64 IntegerListLimit(int shares);

/* Makes room for one more. */
extern void IntegerListGrow(IntegerList *list);

static inline void
AddInteger(IntegerList *list, int64 value)
{
	if (unlikely(list->nvalues == list->capacity))
		IntegerListGrow(list);
	list->values[list->nvalues++] = value;
}

/* Reads a list from the beginning, some values at a time. */
#define INTEGERS_AT_A_TIME 4096

typedef struct IntegerCursor
{
	IntegerList *list;
	int64 next;
	int64 buffer[INTEGERS_AT_A_TIME];
} IntegerCursor;

extern void RewindIntegers(IntegerCursor *cursor, IntegerList *list);

/* Sets `*values` to the next values; returns their number, 0 at the end. */
extern int NextIntegers(IntegerCursor *cursor, const int64 **values);

/*
 * The values at the given ranks (from 0, among the values from min to max only), in the order of
 * the ranks.
 */
extern void IntegersAtRanks(IntegerList *list, int64 min, int64 max, const int64 *ranks, int nranks,
							int64 *values);

#endif /* CRM_INTEGER_LIST_H */
