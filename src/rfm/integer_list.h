/*
 * integer_list.h: integers in the order they came, in memory up to a limit and
 * then in a temporary file, for what reads its input several times.
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
	BufFile *file;  /* what came before them; NULL: nothing */
	int64 in_file;
} IntegerList;

/* Lists of one limit that are added to in step are read in step. */
extern void InitIntegerList(IntegerList *list, MemoryContext context, int64 limit);
extern void FreeIntegerList(IntegerList *list);

/* The list is one of an aggregate: its file goes with the group, whether the group is finished or
 * not. */
extern void OwnIntegerList(FunctionCallInfo fcinfo, IntegerList *list);

/* How many integers fit into a share of work_mem. */
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

/* Reads a list from its beginning, some values at a time. */
#define INTEGERS_AT_A_TIME 4096

typedef struct IntegerCursor
{
	IntegerList *list;
	int64 next;
	int64 buffer[INTEGERS_AT_A_TIME];
} IntegerCursor;

extern void RewindIntegers(IntegerCursor *cursor, IntegerList *list);

/* The next values, in `*values`; returns how many, 0 at the end. */
extern int NextIntegers(IntegerCursor *cursor, const int64 **values);

/*
 * The values at some ranks (from 0, of the values from min to max; others do not
 * count), in the order of the ranks given.
 */
extern void IntegersAtRanks(IntegerList *list, int64 min, int64 max, const int64 *ranks, int nranks,
							int64 *values);

#endif /* CRM_INTEGER_LIST_H */
