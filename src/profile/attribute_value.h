/*
 * attribute_value.h: the values of a record's columns as numbers, days, words
 * and sets of words, whatever their types.
 */
#ifndef CRM_ATTRIBUTE_VALUE_H
#define CRM_ATTRIBUTE_VALUE_H

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "fmgr.h"

/* What a column's type offers. */
typedef enum ColumnClass
{
	COLUMN_NUMBER,
	COLUMN_BOOLEAN,
	COLUMN_DATE, /* date, timestamp; timestamptz by UTC */
	COLUMN_ENUM,
	COLUMN_WORD, /* text and similar types, and all types that have only a text form */
	COLUMN_ARRAY
} ColumnClass;

/* A word without outer blanks; not terminated by a zero. */
typedef struct Word
{
	const char *text;
	int length;
} Word;

/* How to read one column of a record. */
typedef struct AttributeColumn
{
	ColumnClass class;
	Oid type;     /* base type */
	bool is_text; /* reads the words without the output function */
	FmgrInfo output;
	/* arrays */
	Oid element_type;
	int16 element_length;
	bool element_by_value;
	char element_align;
} AttributeColumn;

extern void InitAttributeColumn(AttributeColumn *column, Oid type, MemoryContext context);

/* The same for a key: an array is one word. */
extern void InitKeyColumn(AttributeColumn *column, Oid type, MemoryContext context);

/* The number of a COLUMN_NUMBER or COLUMN_BOOLEAN value; NaN and infinity as they are. */
extern double ColumnNumber(const AttributeColumn *column, Datum value);

/* Days since 2000-01-01 of a COLUMN_DATE value; NaN for the infinite ones. */
extern double ColumnDay(const AttributeColumn *column, Datum value);

/* Numbers and days are in an order, and a position is a number; NaN where it is unknown. */
static inline bool
IsOrdered(const AttributeColumn *column)
{
	return column->class == COLUMN_NUMBER || column->class == COLUMN_DATE;
}

static inline double
ColumnPosition(const AttributeColumn *column, Datum value)
{
	return column->class == COLUMN_DATE ? ColumnDay(column, value) : ColumnNumber(column, value);
}

/* Whether the values of a type are whole numbers. */
extern bool IsWholeNumber(Oid type);

/*
 * A range of whole numbers, from `low` to below `high`, by its first and last: "2 to 3"; "2" if
 * these are one; "up to 3" or "4 and more" where an end is infinite.  NULL if they are too large
 * for that, or if no whole number is in between.
 */
extern char *WholeRangeText(double low, double high);

/* A day in ISO form. */
extern char *DayText(double day);

/* The word of any value but an array's; may be allocated in the current context. */
extern Word ColumnWord(AttributeColumn *column, Datum value);

/* The words of an array's elements that are not NULL. */
extern Word *ColumnWords(AttributeColumn *column, Datum value, int *nwords);

/*
 * Sorts words by their bytes and removes duplicates; returns how many are left.
 */
extern int DistinctWords(Word *words, int nwords);

/* The order of their bytes, in any locale. */
static inline int
CompareWords(const Word *a, const Word *b)
{
	int order = memcmp(a->text, b->text, Min(a->length, b->length));

	return order != 0 ? order : a->length - b->length;
}

/* The number that a word stands for; false if there is none, or one with leading zeros (a code). */
extern bool NumberFromWord(Word word, double *number);

extern Word TrimmedWord(const char *text, int length);

/* Compares words; they are short, so without a call of memcmp. */
static inline bool
WordsAreEqual(Word a, Word b)
{
	uint64 x;
	uint64 y;

	if (a.length != b.length)
		return false;
	if (a.length < 8)
	{
		for (int i = 0; i < a.length; i++)
			if (a.text[i] != b.text[i])
				return false;
		return true;
	}
	memcpy(&x, a.text + a.length - 8, 8);
	memcpy(&y, b.text + b.length - 8, 8);
	return x == y && (a.length == 8 || memcmp(a.text, b.text, a.length - 8) == 0);
}

/*
 * The same on every machine and in every version, since results that depend on it are stored.
 * Different words of the same length, up to 8 bytes, have different hashes.
 */
extern uint64 HashWord(Word word);

/* ---------- records ---------- */

/*
 * The row type of the incoming records, looked up again when it changes.  A named type may be
 * altered meanwhile, by a function that the query calls.
 */
typedef struct RecordShape
{
	Oid type; /* invalid if the columns are arguments of a function */
	int32 typmod;
	const struct TypeCacheEntry *named; /* NULL for an anonymous type, which never changes */
	uint64 identifier;                  /* of the columns of a named one */
	TupleDesc columns;                  /* its own copy; NULL for none yet */
	Datum *values;                      /* of the record last taken apart */
	bool *nulls;
} RecordShape;

/* Takes the columns of a record; true if they differ from the last one's. */
extern bool ChangesShape(RecordShape *shape, HeapTupleHeader record, MemoryContext context);

/*
 * Takes a record apart into shape->values and shape->nulls; true if its columns
 * differ from the last one's.  What is kept lives in `context`.
 */
extern bool DeformRecord(RecordShape *shape, HeapTupleHeader record, MemoryContext context);

/*
 * The same for a function that takes columns as its arguments from `first` on, or all in one
 * record: a record costs more time than many a function, but a function has at most 100 arguments.
 * False if the record is NULL.
 */
extern bool DeformArguments(RecordShape *shape, FunctionCallInfo fcinfo, int first,
							MemoryContext context, bool *changed);

#endif /* CRM_ATTRIBUTE_VALUE_H */
