/*
 * attribute_value.c: the values of a record's columns as numbers, days, words
 * and sets of words, whatever their types.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "profile/attribute_value.h"

bool
IsWholeNumber(Oid type)
{
	type = getBaseType(type);
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static ColumnClass
ClassOfType(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return COLUMN_NUMBER;
		case BOOLOID:
			return COLUMN_BOOLEAN;
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return COLUMN_DATE;
		default:
			if (type_is_enum(type))
				return COLUMN_ENUM;
			if (OidIsValid(get_base_element_type(type)) && get_typlen(type) == -1)
				return COLUMN_ARRAY;
			return COLUMN_WORD;
	}
}

void
InitAttributeColumn(AttributeColumn *column, Oid type, MemoryContext context)
{
	Oid output;
	bool is_varlena;
	Oid worded;

	memset(column, 0, sizeof(*column));
	column->type = getBaseType(type);
	column->class = ClassOfType(column->type);
	worded = column->type;
	if (column->class == COLUMN_ARRAY)
	{
		column->element_type = get_base_element_type(column->type);
		get_typlenbyvalalign(column->element_type, &column->element_length,
							 &column->element_by_value, &column->element_align);
		worded = getBaseType(column->element_type);
	}
	column->is_text = worded == TEXTOID || worded == VARCHAROID || worded == BPCHAROID;
	getTypeOutputInfo(worded, &output, &is_varlena);
	fmgr_info_cxt(output, &column->output, context);
}

void
InitKeyColumn(AttributeColumn *column, Oid type, MemoryContext context)
{
	Oid output;
	bool is_varlena;

	InitAttributeColumn(column, type, context);
	if (column->class != COLUMN_ARRAY)
		return;
	column->class = COLUMN_WORD;
	column->is_text = false;
	getTypeOutputInfo(column->type, &output, &is_varlena);
	fmgr_info_cxt(output, &column->output, context);
}

double
ColumnNumber(const AttributeColumn *column, Datum value)
{
	switch (column->type)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		default:
			return DoubleFromNumeric(value);
	}
}

double
ColumnDay(const AttributeColumn *column, Datum value)
{
	Timestamp t;

	if (column->type == DATEOID)
	{
		DateADT day = DatumGetDateADT(value);

		return DATE_NOT_FINITE(day) ? get_float8_nan() : day;
	}
	t = DatumGetTimestamp(value);
	return TIMESTAMP_NOT_FINITE(t) ? get_float8_nan() : floor((double) t / USECS_PER_DAY);
}

char *
WholeRangeText(double low, double high)
{
	/* as far as a profile holds each of them */
	const double largest = 1 << FLT_MANT_DIG;
	double first = ceil(low) + 0.0; /* no negative zero */
	double last = ceil(high) - 1;

	if ((isfinite(low) && fabs(low) > largest) || (isfinite(high) && fabs(high) > largest) ||
		first > last)
		return NULL;
	if (isinf(low))
		return psprintf("up to %.0f", last);
	if (isinf(high))
		return psprintf("%.0f and more", first);
	return first == last ? psprintf("%.0f", first) : psprintf("%.0f to %.0f", first, last);
}

char *
DayText(double day)
{
	char *text;

	if (!(day >= DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE &&
		  day < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE))
		return pstrdup("infinity");
	text = palloc(MAXDATELEN + 1);
	FormatDay((DateADT) day, text);
	return text;
}

static inline bool
IsBlank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

Word
TrimmedWord(const char *text, int length)
{
	while (length > 0 && IsBlank(text[length - 1]))
		length--;
	while (length > 0 && IsBlank(*text))
	{
		text++;
		length--;
	}
	return (Word){text, length};
}

Word
ColumnWord(AttributeColumn *column, Datum value)
{
	char *text;

	/* of an array the output function is that of elements */
	Assert(column->class != COLUMN_ARRAY);
	if (column->is_text)
	{
		struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);

		return TrimmedWord(VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	}
	if (column->class == COLUMN_BOOLEAN)
		return DatumGetBool(value) ? (Word){"true", 4} : (Word){"false", 5};
	if (column->class == COLUMN_DATE)
		/* not the output function, which depends on DateStyle */
		text = DayText(ColumnDay(column, value));
	else
		text = OutputFunctionCall(&column->output, value);
	return TrimmedWord(text, strlen(text));
}

Word *
ColumnWords(AttributeColumn *column, Datum value, int *nwords)
{
	Datum *elements;
	bool *nulls;
	int n;
	Word *words;
	AttributeColumn element = *column;

	deconstruct_array(DatumGetArrayTypeP(value), column->element_type, column->element_length,
					  column->element_by_value, column->element_align, &elements, &nulls, &n);
	words = palloc_extended(mul_size((Size) n + 1, sizeof(Word)), MCXT_ALLOC_HUGE);
	*nwords = 0;
	element.class = getBaseType(column->element_type) == BOOLOID ? COLUMN_BOOLEAN : COLUMN_WORD;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			words[(*nwords)++] = ColumnWord(&element, elements[i]);
	}
	return words;
}

#define ST_SORT SortWords
#define ST_ELEMENT_TYPE Word
#define ST_COMPARE(a, b) CompareWords(a, b)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

int
DistinctWords(Word *words, int nwords)
{
	int kept = 0;

	if (nwords > 1)
		SortWords(words, nwords);
	for (int i = 0; i < nwords; i++)
		if (kept == 0 || !WordsAreEqual(words[i], words[kept - 1]))
			words[kept++] = words[i];
	return kept;
}

bool
NumberFromWord(Word word, double *number)
{
	char buffer[64];
	const char *p = word.text;
	const char *end = p + word.length;
	bool digits = false;
	char *stop;

	if (word.length == 0 || word.length >= sizeof(buffer))
		return false;
	if (*p == '-' || *p == '+')
		p++;
	if (end - p > 1 && p[0] == '0' && p[1] >= '0' && p[1] <= '9')
		return false;
	for (; p < end; p++)
	{
		if (*p >= '0' && *p <= '9')
			digits = true;
		else if (*p != '.' && *p != 'e' && *p != 'E' && *p != '-' && *p != '+')
			return false;
	}
	if (!digits)
		return false;
	memcpy(buffer, word.text, word.length);
	buffer[word.length] = '\0';
	/* LC_NUMERIC is C in every backend */
	*number = strtod(buffer, &stop);
	return *stop == '\0' && isfinite(*number);
}

static inline uint64
LoadBytes8(const char *p)
{
	uint64 bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return pg_ntoh64(bytes);
}

static inline uint64
LoadBytes4(const char *p)
{
	uint32 bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return pg_ntoh32(bytes);
}

/* Eight bytes at a time; the last ones may overlap those before. */
uint64
HashWord(Word word)
{
	uint64 h = UINT64CONST(0x9e3779b97f4a7c15) * (word.length + 1);
	const char *p = word.text;
	int length = word.length;

	if (length >= 8)
	{
		for (; length > 8; length -= 8, p += 8)
			h = MixHash64(h ^ LoadBytes8(p));
		return MixHash64(h ^ LoadBytes8(word.text + word.length - 8));
	}
	if (length >= 4)
		return MixHash64(h ^ (LoadBytes4(p) << 32 | LoadBytes4(p + length - 4)));
	if (length > 0)
		h ^= (uint64) (uint8) p[0] << 16 | (uint64) (uint8) p[length / 2] << 8 |
			 (uint8) p[length - 1];
	return MixHash64(h);
}

/* Whether rows of both are read alike. */
static bool
AreSameColumns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		if (x->atttypid != y->atttypid || x->attisdropped != y->attisdropped ||
			x->attlen != y->attlen || x->attalign != y->attalign ||
			strcmp(NameStr(x->attname), NameStr(y->attname)) != 0)
			return false;
	}
	return true;
}

/* Copies the current columns of a row type; true if they are not those that the shape has. */
static bool
TakeShape(RecordShape *shape, Oid type, int32 typmod, MemoryContext context)
{
	TupleDesc columns = lookup_rowtype_tupdesc(type, typmod);
	bool same = shape->columns != NULL && shape->type == type && shape->typmod == typmod &&
				AreSameColumns(shape->columns, columns);
	MemoryContext caller = MemoryContextSwitchTo(context);

	if (shape->columns != NULL && !same)
	{
		FreeTupleDesc(shape->columns);
		pfree(shape->values);
		pfree(shape->nulls);
	}
	shape->type = type;
	shape->typmod = typmod;
	/* entries of the cache stay for good; a change of the type voids the identifier */
	shape->named = type == RECORDOID ? NULL : lookup_type_cache(type, TYPECACHE_TUPDESC);
	shape->identifier = shape->named == NULL ? 0 : shape->named->tupDesc_identifier;
	if (!same)
	{
		shape->columns = CreateTupleDescCopy(columns);
		shape->values = palloc((columns->natts + 1) * sizeof(Datum));
		shape->nulls = palloc((columns->natts + 1) * sizeof(bool));
	}
	MemoryContextSwitchTo(caller);
	ReleaseTupleDesc(columns);
	return !same;
}

bool
ChangesShape(RecordShape *shape, HeapTupleHeader record, MemoryContext context)
{
	Oid type = HeapTupleHeaderGetTypeId(record);
	int32 typmod = HeapTupleHeaderGetTypMod(record);

	if (likely(shape->columns != NULL && shape->type == type && shape->typmod == typmod &&
			   (shape->named == NULL || shape->identifier == shape->named->tupDesc_identifier)))
		return false;
	/* an ANALYZE of its table voids the identifier of a row type, too */
	return TakeShape(shape, type, typmod, context);
}

bool
DeformRecord(RecordShape *shape, HeapTupleHeader record, MemoryContext context)
{
	bool changed = ChangesShape(shape, record, context);
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(record);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = record;
	heap_deform_tuple(&tuple, shape->columns, shape->values, shape->nulls);
	return changed;
}

/* The columns of a function that takes them one by one; none if it takes a record. */
static void
TakeArguments(RecordShape *shape, FunctionCallInfo fcinfo, int first, MemoryContext context)
{
	int n = PG_NARGS() - first;
	MemoryContext caller;

	if (n == 1 && type_is_rowtype(get_fn_expr_argtype(fcinfo->flinfo, first)))
		return;
	caller = MemoryContextSwitchTo(context);
	shape->columns = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
		TupleDescInitEntry(shape->columns, i + 1, NULL,
						   get_fn_expr_argtype(fcinfo->flinfo, first + i), -1, 0);
	shape->values = palloc(n * sizeof(Datum));
	shape->nulls = palloc(n * sizeof(bool));
	MemoryContextSwitchTo(caller);
}

bool
DeformArguments(RecordShape *shape, FunctionCallInfo fcinfo, int first, MemoryContext context,
				bool *changed)
{
	*changed = shape->columns == NULL;
	if (*changed)
		TakeArguments(shape, fcinfo, first, context);
	if (shape->columns == NULL || OidIsValid(shape->type))
	{
		if (PG_ARGISNULL(first))
			return false;
		*changed = DeformRecord(shape, PG_GETARG_HEAPTUPLEHEADER(first), context);
		return true;
	}
	for (int i = 0; i < shape->columns->natts; i++)
	{
		shape->values[i] = fcinfo->args[first + i].value;
		shape->nulls[i] = fcinfo->args[first + i].isnull;
	}
	return true;
}
