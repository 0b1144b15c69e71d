/*
 * integer_list.c: integers that are read several times.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "rfm/integer_list.h"
#include "rfm/rank_selection.h"

#define FIRST_CAPACITY 64
#define LEAST_LIMIT 1024

void
InitIntegerList(IntegerList *list, MemoryContext context, int64 limit)
{
	*list = (IntegerList){.context = context, .limit = limit};
}

void
FreeIntegerList(IntegerList *list)
{
	if (list->file != NULL)
		BufFileClose(list->file);
	if (list->values != NULL)
		pfree(list->values);
	InitIntegerList(list, list->context, list->limit);
}

static void
GroupEnds(Datum list)
{
	FreeIntegerList((IntegerList *) DatumGetPointer(list));
}

void
OwnIntegerList(FunctionCallInfo fcinfo, IntegerList *list)
{
	AggRegisterCallback(fcinfo, GroupEnds, PointerGetDatum(list));
}

int64
IntegerListLimit(int shares)
{
	return Max((int64) work_mem * 1024 / ((int64) sizeof(int64) * shares), LEAST_LIMIT);
}

void
IntegerListGrow(IntegerList *list)
{
	MemoryContext caller = MemoryContextSwitchTo(list->context);

	CHECK_FOR_INTERRUPTS();
	if (list->capacity < list->limit)
	{
		list->capacity = Min(Max(2 * list->capacity, FIRST_CAPACITY), list->limit);
		list->values = list->values == NULL
						   ? palloc(list->capacity * sizeof(int64))
						   : repalloc_huge(list->values, list->capacity * sizeof(int64));
	}
	else
	{
		if (list->file == NULL)
			list->file = BufFileCreateTemp(false);
		BufFileWrite(list->file, list->values, list->nvalues * sizeof(int64));
		list->in_file += list->nvalues;
		list->nvalues = 0;
	}
	MemoryContextSwitchTo(caller);
}

void
RewindIntegers(IntegerCursor *cursor, IntegerList *list)
{
	cursor->list = list;
	cursor->next = 0;
	if (list->file != NULL && BufFileSeek(list->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not rewind a temporary file")));
}

int
NextIntegers(IntegerCursor *cursor, const int64 **values)
{
	IntegerList *list = cursor->list;
	int64 n = list->in_file - cursor->next;
	size_t size;

	CHECK_FOR_INTERRUPTS();
	if (n <= 0)
	{
		*values = list->values + (cursor->next - list->in_file);
		n = Min(list->nvalues + n, INTEGERS_AT_A_TIME);
		cursor->next += n;
		return (int) n;
	}
	n = Min(n, INTEGERS_AT_A_TIME);
	size = n * sizeof(int64);
	if (BufFileRead(list->file, cursor->buffer, size) != size)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read a temporary file")));
	cursor->next += n;
	*values = cursor->buffer;
	return (int) n;
}

/* Shows a selection the values from min to max. */
static void
LookAtIntegers(RankSelection *selection, IntegerCursor *cursor, int64 min, int64 max)
{
	int64 within[INTEGERS_AT_A_TIME];
	const int64 *values;
	int n;

	while ((n = NextIntegers(cursor, &values)) > 0)
	{
		int nwithin = 0;

		for (int i = 0; i < n; i++)
		{
			within[nwithin] = values[i];
			nwithin += values[i] >= min && values[i] <= max;
		}
		RankSelectionLook(selection, within, nwithin);
	}
}

void
IntegersAtRanks(IntegerList *list, int64 min, int64 max, const int64 *ranks, int nranks,
				int64 *values)
{
	RankSelection selection;
	IntegerCursor *cursor = palloc(sizeof(IntegerCursor));

	RankSelectionBegin(&selection, min, max, ranks, nranks);
	while (RankSelectionPass(&selection))
	{
		RewindIntegers(cursor, list);
		LookAtIntegers(&selection, cursor, min, max);
	}
	for (int i = 0; i < nranks; i++)
		values[i] = RankSelectionValue(&selection, i);
	pfree(cursor);
}
