/*
 * key_lookup.h: the row of a table that has a key, in an index that is read in the order of the
 * keys that are looked for.
 */
#ifndef CRM_KEY_LOOKUP_H
#define CRM_KEY_LOOKUP_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

/* ---------- planning ---------- */

/* The rows of a table as they are found by the keys of another relation. */
typedef struct KeyTarget
{
	const Var *key;    /* of the other relation */
	Oid key_type;      /* as the comparison takes it */
	RelOptInfo *found; /* the table */
	Oid table;
	const IndexOptInfo *index;
} KeyTarget;

/*
 * How `found` is looked up by the clause of a join; false if it cannot be: it has to be a table all
 * of whose rows are wanted, with a unique index of the key.
 */
extern bool FindKeyTarget(PlannerInfo *root, const RestrictInfo *clause, const RelOptInfo *other,
						  RelOptInfo *found, KeyTarget *target);

/* The cost of reading a table in the order of an index; negative if the planner has none. */
extern Cost CostInOrder(const KeyTarget *target);

/* Whether a path gives rows in the order of the index. */
extern bool IsInOrder(const Path *path, const EquivalenceClass *key, const IndexOptInfo *index);

/* The columns of a table among what is wanted of a join. */
extern List *ColumnsOfTable(List *wanted, Index table);

/* The place of a column among targets, from 0; -1: it is not among them. */
extern int PlaceOfColumn(List *targets, const Var *column);

/* What a plan tells BeginKeyLookup(), where these columns of the table are wanted. */
extern List *PlanKeyLookup(const KeyTarget *target, List *columns);

/* ---------- execution ---------- */

typedef struct KeyLookup
{
	int ncolumns;        /* that are wanted */
	AttrNumber *columns; /* their attributes */
	AttrNumber last_column;
	bool index_suffices; /* for these columns */
	bool integers;       /* the keys are of some types of integers */
	bool in_order;       /* no key is less than the one looked for before */
	int64 last;          /* the integer looked for before, if they may be */
	Oid outer_type;      /* of the keys that are looked for */
	Oid inner_type;
	bool by_value;
	int16 length;
	FmgrInfo comparison;
	Oid collation;
	Relation table;
	Relation index;
	MemoryContext context; /* lives as long as the query */
	IndexScanDesc scan;
	ScanKeyData at_least;
	Buffer visibility;   /* page of the visibility map, or invalid */
	TupleTableSlot *row; /* of the entry, once it is fetched */
	bool begun;          /* the index is read from some key on */
	bool ended;          /* no entry is left */
	bool fetched;        /* the row of the entry is visible, and fetched if it is needed */
	Datum key;           /* of the entry */
} KeyLookup;

extern void
BeginKeyLookup(KeyLookup *lookup, const List *plan, bool in_order, EState *estate, int eflags);

/* Whether the table has a visible row of that key. */
extern bool FindKey(KeyLookup *lookup, Datum wanted);

/* The columns of the row that was found, or NULLs. */
extern void PutColumns(KeyLookup *lookup, bool found, Datum *values, bool *nulls);

/* The next key may be any. */
extern void RestartKeyLookup(KeyLookup *lookup);

extern void EndKeyLookup(KeyLookup *lookup);

#endif /* CRM_KEY_LOOKUP_H */
