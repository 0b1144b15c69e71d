/*
 * noted_changes.h: the changes of orders that a transaction has noted for the queue of a source,
 * until it writes them.
 */
#ifndef CRM_NOTED_CHANGES_H
#define CRM_NOTED_CHANGES_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

/* Columns that a change can be noted with. */
#define MOST_RECORDED 16
/* The columns of a queue: customers, queued_at, marker; with rows also added, then a column each.
 */
#define QUEUE_COLUMNS 3
#define QUEUE_ROW_COLUMNS (QUEUE_COLUMNS + 1)

typedef struct KeyKind
{
	Oid type;
	int16 len;
	bool byval;
	char align;
} KeyKind;

/* What is noted of a row: its key or, if it has recorded columns, these as well. */
typedef struct NotedForm
{
	KeyKind key;
	int nrecorded; /* 0: keys alone */
	KeyKind recorded[MOST_RECORDED];
} NotedForm;

typedef struct NotedChanges NotedChanges;

/* Whether a table is a queue as create_source() made it, for such changes. */
extern bool IsQueue(Relation table, const NotedForm *form);

/* Those of this transaction for a queue. */
extern NotedChanges *FindNotedChanges(Oid queue, const NotedForm *form);

/* A row with an unknown customer, a customer whose orders have to be read again, a row itself. */
extern void NoteWithoutCustomer(NotedChanges *noted);
extern void NoteKey(NotedChanges *noted, Datum key);
extern bool NoteRow(NotedChanges *noted, HeapTuple row, TupleDesc columns,
					const AttrNumber *recorded, bool added);

/* Called after each change: writes what is there, if it is much. */
extern void LimitNotedChanges(NotedChanges *noted);

/* Counts the transactions of this session: what was found belongs to one. */
extern uint64 NotedTransaction(void);

#endif /* CRM_NOTED_CHANGES_H */
