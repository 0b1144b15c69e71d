/*
 * scheme_tables.c: the tables scheme and scheme_rule: compiling, checking, guarding.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/common.h"
#include "rfm/segment_scheme.h"

/* One rule; if several cover a cell, the first one gets it. */
typedef struct SchemeRule
{
	int position;
	int label;         /* rules of one segment share it */
	char *beyond_bins; /* a score or cell beyond the bins, else NULL */
	uint8 lifecycles;  /* bits of the lifecycles that it applies to */
	char *condition;   /* what else must hold; NULL: nothing */
	bool covers[MAX_CELLS];
} SchemeRule;

typedef struct SchemeRules
{
	int bins;
	int nrules;
	SchemeRule *rules; /* by position */
	int nlabels;
	text **labels; /* in the order of first appearance */
} SchemeRules;

/* ---------- reading the tables ---------- */

/* Runs a query with one text parameter under the caller's rights and snapshot. */
static void
QueryByName(const char *query, const char *name)
{
	Oid type = TEXTOID;
	Datum value = CStringGetTextDatum(name);

	if (SPI_execute_with_args(query, 1, &type, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the schemes");
}

/* The names of all schemes, for a hint. */
static char *
SchemeNames(void)
{
	StringInfoData names;

	initStringInfo(&names);
	if (SPI_execute("SELECT name FROM crm_profile.scheme ORDER BY built_in DESC, name LIMIT 20",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the schemes");
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "",
						 SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	return names.data;
}

/* The number of a segment's label, added if it is new. */
static int
LabelNumber(SchemeRules *rules, Datum segment)
{
	text *name = DatumGetTextPP(segment);

	for (int i = 0; i < rules->nlabels; i++)
		if (VARSIZE_ANY_EXHDR(rules->labels[i]) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(VARDATA_ANY(rules->labels[i]), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return i;
	rules->labels[rules->nlabels] =
		cstring_to_text_with_len(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	return rules->nlabels++;
}

/* The cells of a rule that lists them. */
static void
CoverCells(SchemeRule *rule, Datum array, int bins)
{
	Datum *cells;
	int ncells;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &cells, NULL,
					  &ncells);
	for (int i = 0; i < ncells; i++)
	{
		char *digits = TextDatumGetCString(cells[i]);
		int cell = CellFromText(digits, strlen(digits), bins);

		if (cell < 0)
			rule->beyond_bins = psprintf("cell %s", digits);
		else
			rule->covers[cell] = true;
	}
}

/* The cells of a rule of ranges, given as from and to for R, F and M; 0 is unbounded. */
static void
CoverRanges(SchemeRule *rule, const int *bounds, int bins)
{
	for (int i = 0; i < 6; i++)
		if (bounds[i] > bins)
			rule->beyond_bins = psprintf("score %d", bounds[i]);
#define WITHIN(score, what)                                                                        \
	((score) >= bounds[2 * (what)] &&                                                              \
	 (bounds[2 * (what) + 1] == 0 || (score) <= bounds[2 * (what) + 1]))
	for (int r = 1; r <= bins; r++)
		for (int f = 1; f <= bins; f++)
			for (int m = 1; m <= bins; m++)
				rule->covers[CellOf(r, f, m, bins)] = WITHIN(r, 0) && WITHIN(f, 1) && WITHIN(m, 2);
#undef WITHIN
}

/* The lifecycles that a rule applies to, from an array of words; NULL for all. */
static uint8
RuleLifecycles(Datum array, bool isnull)
{
	Datum *words;
	int nwords;
	uint8 lifecycles = 0;

	if (isnull)
		return ALL_LIFECYCLES;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &words, NULL,
					  &nwords);
	for (int i = 0; i < nwords; i++)
	{
		text *word = DatumGetTextPP(words[i]);
		int lifecycle = LifecycleFromText(word);

		/* the table's constraint allows the same words */
		if (lifecycle < 0)
			elog(ERROR, "unknown lifecycle in a table of schemes");
		lifecycles |= 1 << lifecycle;
	}
	return lifecycles;
}

/* A row of scheme_rule: position, segment, cells, the six bounds, lifecycles, condition. */
static void
ReadRule(SchemeRules *rules, HeapTuple row, TupleDesc columns)
{
	SchemeRule *rule = &rules->rules[rules->nrules++];
	Datum cells;
	bool isnull;

	rule->position = DatumGetInt32(SPI_getbinval(row, columns, 1, &isnull));
	rule->label = LabelNumber(rules, SPI_getbinval(row, columns, 2, &isnull));
	cells = SPI_getbinval(row, columns, 10, &isnull);
	rule->lifecycles = RuleLifecycles(cells, isnull);
	cells = SPI_getbinval(row, columns, 11, &isnull);
	rule->condition = isnull ? NULL : TextDatumGetCString(cells);
	cells = SPI_getbinval(row, columns, 3, &isnull);
	if (!isnull)
		CoverCells(rule, cells, rules->bins);
	else
	{
		int bounds[6];

		for (int i = 0; i < 6; i++)
		{
			Datum bound = SPI_getbinval(row, columns, 4 + i, &isnull);

			bounds[i] = isnull ? 0 : DatumGetInt32(bound);
		}
		CoverRanges(rule, bounds, rules->bins);
	}
}

/*
 * The rules of a scheme, allocated in the current context and SPI's; an error if there is no such
 * scheme.  SPI must be connected.
 */
static SchemeRules *
LoadRules(const char *name)
{
	SchemeRules *rules = palloc0(sizeof(SchemeRules));
	bool isnull;

	QueryByName("SELECT bins::pg_catalog.int4 FROM crm_profile.scheme"
				" WHERE name OPERATOR(pg_catalog.=) $1",
				name);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("scheme \"%s\" does not exist", ShortString(name)),
				 IsCitusSession()
					 ? errdetail("Citus runs this on a worker, which does not have the tables of "
								 "schemes.")
					 : 0,
				 IsCitusSession()
					 ? errhint("Compile it before, and give the value: WITH s AS MATERIALIZED "
							   "(SELECT crm_profile.compile_scheme('%s') AS scheme) …",
							   name)
					 : errhint("There are: %s.", SchemeNames())));
	rules->bins = CheckedBins(
		DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)));
	QueryByName("SELECT position::pg_catalog.int4, segment::pg_catalog.text,"
				" cells::pg_catalog.text[], r_from::pg_catalog.int4, r_to::pg_catalog.int4,"
				" f_from::pg_catalog.int4, f_to::pg_catalog.int4, m_from::pg_catalog.int4,"
				" m_to::pg_catalog.int4, lifecycle::pg_catalog.text[],"
				" condition::pg_catalog.text"
				" FROM crm_profile.scheme_rule WHERE scheme OPERATOR(pg_catalog.=) $1"
				" ORDER BY position",
				name);
	rules->rules = palloc_extended(mul_size(SPI_processed, sizeof(SchemeRule)),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rules->labels = palloc(mul_size(SPI_processed, sizeof(text *)));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ReadRule(rules, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	}
	return rules;
}

/* The first rule that covers a cell whatever holds besides, -1 if none does. */
static int
FirstRule(const SchemeRules *rules, int cell)
{
	for (int i = 0; i < rules->nrules; i++)
		if (rules->rules[i].covers[cell] && rules->rules[i].condition == NULL)
			return i;
	return -1;
}

/* ---------- compiling ---------- */

/* Errors for rules that do not make a scheme. */
static void
CheckRules(const SchemeRules *rules, const char *name)
{
	if (rules->nrules == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("scheme \"%s\" has no rules", name),
						errhint("Insert them into crm_profile.scheme_rule.")));
	for (int i = 0; i < rules->nrules; i++)
		if (rules->rules[i].beyond_bins != NULL)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("rule %d of scheme \"%s\" asks for %s, which does not exist",
								   rules->rules[i].position, name, rules->rules[i].beyond_bins),
							errdetail("The scheme has %d bins: scores go from 1 to %d.",
									  rules->bins, rules->bins),
							errhint("Correct the rule, or the scheme's bins.")));
	if (rules->nlabels > MAX_LABELS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("scheme \"%s\" has too many segments", name),
						errdetail("It has %d, the limit is %d.", rules->nlabels, MAX_LABELS)));
}

/* A segment with several rules applies to a customer if any of its rules does. */
static void
KeepLifecycles(SegmentScheme *scheme, const SchemeRules *rules)
{
	uint8 lifecycles[MAX_LABELS] = {0};

	for (int i = 0; i < rules->nrules; i++)
		lifecycles[rules->rules[i].label] |= rules->rules[i].lifecycles;
	for (int i = 0; i < scheme->nsegments; i++)
		for (int word = 0; word < LIFECYCLES; word++)
			if (lifecycles[i] & (1 << word))
			{
				SchemeSegment *segment = &scheme->segments[i];

				segment->lifecycles[segment->nlifecycles++] = word;
			}
}

/* The rules with a condition, each with the cells that no rule before it has. */
static void
KeepConditions(SegmentScheme *scheme, const SchemeRules *rules, const char *name)
{
	scheme->conditions = palloc0(MAX_CONDITIONS * sizeof(SchemeCondition));
	for (int i = 0; i < rules->nrules; i++)
	{
		const SchemeRule *rule = &rules->rules[i];
		SchemeCondition *condition = &scheme->conditions[scheme->nconditions];

		if (rule->condition == NULL)
			continue;
		if (scheme->nconditions == MAX_CONDITIONS)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("scheme \"%s\" has too many rules with a condition", name),
							errdetail("The limit is %d.", MAX_CONDITIONS)));
		condition->cells = palloc(CellCount(rules->bins) * sizeof(int32));
		for (int cell = 0; cell < CellCount(rules->bins); cell++)
		{
			int first = FirstRule(rules, cell);

			if (rule->covers[cell] && (first < 0 || first > i))
				condition->cells[condition->ncells++] = CellDigits(cell, rules->bins);
		}
		/* one that never applies is left out: no cell means all of them */
		if (condition->ncells == 0)
			continue;
		if (condition->ncells == CellCount(rules->bins))
			condition->ncells = 0;
		condition->condition = rule->condition;
		condition->segment = rule->label + 1;
		scheme->nconditions++;
	}
}

struct varlena *
CompileScheme(const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	SegmentScheme scheme = {0};
	SchemeRules *rules;
	struct varlena *value;
	int uncovered = 0;

	SPI_connect();
	rules = LoadRules(name);
	CheckRules(rules, name);
	scheme.bins = rules->bins;
	scheme.nsegments = rules->nlabels;
	scheme.segments = palloc0(rules->nlabels * sizeof(SchemeSegment));
	for (int i = 0; i < rules->nlabels; i++)
		scheme.segments[i].name = text_to_cstring(rules->labels[i]);
	KeepLifecycles(&scheme, rules);
	KeepConditions(&scheme, rules, name);
	for (int cell = 0; cell < CellCount(rules->bins); cell++)
	{
		int rule = FirstRule(rules, cell);

		CHECK_FOR_INTERRUPTS();
		if (rule < 0)
			uncovered++;
		else
			scheme.cells[cell] = (uint8) (rules->rules[rule].label + 1);
	}
	MemoryContextSwitchTo(caller);
	value = SchemeValue(&scheme);
	SPI_finish();
	if (uncovered > 0)
		ereport(NOTICE, (errmsg("scheme \"%s\" leaves %d of %d cells without a segment", name,
								uncovered, CellCount(scheme.bins)),
						 errhint("Customers in them get NULL; SELECT * FROM "
								 "crm_profile.check_scheme(%s) lists them.",
								 quote_literal_cstr(name))));
	return value;
}

PG_FUNCTION_INFO_V1(compile_scheme);
Datum
compile_scheme(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(CompileScheme(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

/* ---------- checking ---------- */

/* A row of check_scheme: problem, cell (-1 for none), segments, detail. */
static void
ReportProblem(FunctionCallInfo fcinfo, const SchemeRules *rules, const char *problem, int cell,
			  const int *labels, int nlabels, const char *detail)
{
	Datum values[4];
	bool nulls[4] = {false, cell < 0, false, false};
	Datum *names = palloc((nlabels + 1) * sizeof(Datum));

	for (int i = 0; i < nlabels; i++)
		names[i] = PointerGetDatum(rules->labels[labels[i]]);
	values[0] = CStringGetTextDatum(problem);
	values[1] =
		cell < 0 ? (Datum) 0 : CStringGetTextDatum(psprintf("%d", CellDigits(cell, rules->bins)));
	values[2] = PointerGetDatum(construct_array(names, nlabels, TEXTOID, -1, false, TYPALIGN_INT));
	values[3] = CStringGetTextDatum(detail);
	PutRow(fcinfo, values, nulls);
}

/* Adds a label to a list without repeats. */
static int
AddLabel(int *labels, int nlabels, int label)
{
	for (int i = 0; i < nlabels; i++)
		if (labels[i] == label)
			return nlabels;
	labels[nlabels] = label;
	return nlabels + 1;
}

/* Reports a rule with scores beyond the bins, or one that no customer ever reaches. */
static void
CheckRule(FunctionCallInfo fcinfo, const SchemeRules *rules, int number, const int *first_rule,
		  int *labels)
{
	const SchemeRule *rule = &rules->rules[number];
	char *name = text_to_cstring(rules->labels[rule->label]);
	int nlabels = 1;
	bool reached = false;

	labels[0] = rule->label;
	if (rule->beyond_bins != NULL)
		ReportProblem(fcinfo, rules, "beyond bins", -1, labels, 1,
					  psprintf("Rule %d (%s) asks for %s, but the scheme has %d bins.",
							   rule->position, name, rule->beyond_bins, rules->bins));
	for (int cell = 0; cell < CellCount(rules->bins); cell++)
		if (rule->covers[cell])
		{
			int first = first_rule[cell];

			reached |=
				first == number || (rule->condition != NULL && (first < 0 || first > number));
			if (first >= 0)
				nlabels = AddLabel(labels, nlabels, rules->rules[first].label);
		}
	if (!reached)
		ReportProblem(fcinfo, rules, "unreachable", -1, labels, nlabels,
					  psprintf("Rule %d (%s) never applies: rules before it have all of its cells.",
							   rule->position, name));
}

/* Reports a cell that no rule covers, or that rules of several segments cover. */
static void
CheckCell(FunctionCallInfo fcinfo, const SchemeRules *rules, int cell, int *labels)
{
	int nlabels = 0;
	int digits = CellDigits(cell, rules->bins);

	for (int i = 0; i < rules->nrules; i++)
		if (rules->rules[i].covers[cell] && rules->rules[i].condition == NULL)
			nlabels = AddLabel(labels, nlabels, rules->rules[i].label);
	if (nlabels == 0)
		ReportProblem(fcinfo, rules, "uncovered", cell, labels, 0,
					  psprintf("No rule covers cell %d: its customers get no segment.", digits));
	else if (nlabels > 1)
		ReportProblem(fcinfo, rules, "overlapping", cell, labels, nlabels,
					  psprintf("Cell %d is in %d segments; its customers get the first, %s.",
							   digits, nlabels, text_to_cstring(rules->labels[labels[0]])));
}

/* (name): problems of a scheme's rules; no rows if there are none. */
PG_FUNCTION_INFO_V1(check_scheme);
Datum
check_scheme(PG_FUNCTION_ARGS)
{
	SchemeRules *rules;
	int first_rule[MAX_CELLS];
	int *labels;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	rules = LoadRules(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	labels = palloc((rules->nlabels + 1) * sizeof(int));
	for (int cell = 0; cell < CellCount(rules->bins); cell++)
	{
		CHECK_FOR_INTERRUPTS();
		first_rule[cell] = FirstRule(rules, cell);
	}
	for (int i = 0; i < rules->nrules; i++)
	{
		CHECK_FOR_INTERRUPTS();
		CheckRule(fcinfo, rules, i, first_rule, labels);
	}
	for (int cell = CellCount(rules->bins) - 1; cell >= 0; cell--)
	{
		CHECK_FOR_INTERRUPTS();
		CheckCell(fcinfo, rules, cell, labels);
	}
	SPI_finish();
	return (Datum) 0;
}

/* ---------- conditions ---------- */

/* Number of expressions that a query selects, if it has no other clause; else -1. */
static int
SelectedExpressions(const List *statements)
{
	const SelectStmt *select = NULL;

	if (list_length(statements) == 1 && IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		select = (const SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (select == NULL || select->op != SETOP_NONE || select->distinctClause != NIL ||
		select->intoClause != NULL || select->fromClause != NIL || select->whereClause != NULL ||
		select->groupClause != NIL || select->havingClause != NULL || select->windowClause != NIL ||
		select->sortClause != NIL || select->limitOffset != NULL || select->limitCount != NULL ||
		select->lockingClause != NIL || select->withClause != NULL)
		return -1;
	if (list_length(select->targetList) == 1 &&
		linitial_node(ResTarget, select->targetList)->name != NULL)
		return -1;
	return list_length(select->targetList);
}

/* The same of SQL; -1, too, if it has a syntax error. */
static int
ParsedExpressions(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	int number;

	PG_TRY();
	{
		number = SelectedExpressions(raw_parser(query, RAW_PARSE_DEFAULT));
	}
	PG_CATCH();
	{
		/* parsing holds nothing that would have to be given back */
		if (geterrcode() != ERRCODE_SYNTAX_ERROR)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		number = -1;
	}
	PG_END_TRY();
	return number;
}

/*
 * Raises an error unless the text is one expression of SQL: one by itself, and put in parentheses
 * it must not become anything else.  Nothing is looked up and nothing is run.
 */
static void
CheckExpression(const char *expression)
{
	int by_itself = ParsedExpressions(psprintf("SELECT %s\n", expression));

	if (by_itself == 0)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the condition is empty"),
						errhint("Write one condition, such as value_tier = 'A'.")));
	if (SelectedExpressions(raw_parser(psprintf("SELECT (%s\n)", expression), RAW_PARSE_DEFAULT)) !=
			1 ||
		by_itself != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("\"%s\" is more than one expression", ShortString(expression)),
						errhint("Write one condition, such as value_tier = 'A'.")));
}

/* (expression): itself, if it is one */
PG_FUNCTION_INFO_V1(checked_expression);
Datum
checked_expression(PG_FUNCTION_ARGS)
{
	CheckExpression(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	return PG_GETARG_DATUM(0);
}

/* How many words of a text are, as a date or time, the present. */
static int
PresentWords(const char *text)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
	int found = 0;

	while (*text != '\0')
	{
		size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

		for (int i = 0; i < lengthof(words); i++)
			if (length == strlen(words[i]) && pg_strncasecmp(text, words[i], length) == 0)
				found++;
		text += Max(length, 1);
	}
	return found;
}

static bool
CountPresentWords(Node *node, void *count)
{
	if (node == NULL)
		return false;
	if (IsA(node, A_Const))
	{
		A_Const *constant = (A_Const *) node;

		if (!constant->isnull && IsA(&constant->val, String))
			*(int *) count += PresentWords(strVal(&constant->val));
		return false;
	}
	return raw_expression_tree_walker(node, CountPresentWords, count);
}

/* (query): how many words of its string constants are, as a date or time, the present */
PG_FUNCTION_INFO_V1(present_words);
Datum
present_words(PG_FUNCTION_ARGS)
{
	ListCell *cell;
	int count = 0;

	foreach (cell, raw_parser(text_to_cstring(PG_GETARG_TEXT_PP(0)), RAW_PARSE_DEFAULT))
		CountPresentWords(lfirst_node(RawStmt, cell)->stmt, &count);
	PG_RETURN_INT32(count);
}

/* ---------- guarding the built-in schemes ---------- */

/*
 * Anybody may create a trigger with this function on a table of their own, with columns of the same
 * names and any types; it accepts only its own tables.
 */
static bool
IsTableOfSchemes(Oid table)
{
	Oid schema = get_namespace_oid("crm_profile", true);

	return OidIsValid(schema) && (table == get_relname_relid("scheme", schema) ||
								  table == get_relname_relid("scheme_rule", schema));
}

/* The column of that name and type; 0 if there is none of that name. */
static int
ColumnOfType(TupleDesc columns, const char *name, Oid type)
{
	int column = SPI_fnumber(columns, name);

	if (column <= 0)
		return 0;
	if (SPI_gettypeid(columns, column) != type)
		elog(ERROR, "column \"%s\" of a table of schemes is not of type %s", name,
			 format_type_be(type));
	return column;
}

/* Raises an error if the row belongs to a built-in scheme; `column` holds the scheme's name. */
static void
RefuseBuiltIn(TriggerData *trigger, HeapTuple row, const char *column)
{
	TupleDesc columns = RelationGetDescr(trigger->tg_relation);
	char *name = SPI_getvalue(row, columns, ColumnOfType(columns, column, TEXTOID));
	int flag = ColumnOfType(columns, "built_in", BOOLOID);
	bool isnull;
	bool built_in = flag > 0 && DatumGetBool(SPI_getbinval(row, columns, flag, &isnull));

	if (name == NULL)
		return;
	if (!built_in)
	{
		QueryByName(
			"SELECT FROM crm_profile.scheme WHERE name OPERATOR(pg_catalog.=) $1 AND built_in",
			name);
		built_in = SPI_processed > 0;
	}
	if (built_in)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("scheme \"%s\" is built in and cannot be changed", name),
						errhint("Make a scheme of another name, and copy its rules if you like.")));
}

/*
 * The position after the last rule of the row's scheme; 0 if the row has a position, or no scheme.
 */
static int32
PositionToGive(TupleDesc columns, HeapTuple row, int column)
{
	char *scheme = SPI_getvalue(row, columns, ColumnOfType(columns, "scheme", TEXTOID));
	Oid type = TEXTOID;
	Datum name;
	bool isnull;

	SPI_getbinval(row, columns, column, &isnull);
	if (!isnull || scheme == NULL)
		return 0;
	name = CStringGetTextDatum(scheme);
	/* not read-only: the rows before this one of the same INSERT count */
	if (SPI_execute_with_args(
			"SELECT coalesce(pg_catalog.max(position), 0) OPERATOR(pg_catalog.+) 1"
			" FROM crm_profile.scheme_rule WHERE scheme OPERATOR(pg_catalog.=) $1",
			1, &type, &name, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the schemes");
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Checks the condition of a rule, if the row is one and has one. */
static void
CheckCondition(TupleDesc columns, HeapTuple row)
{
	int column = ColumnOfType(columns, "condition", TEXTOID);
	char *condition = column > 0 ? SPI_getvalue(row, columns, column) : NULL;

	if (condition != NULL)
		CheckExpression(condition);
}

/*
 * BEFORE trigger of both tables; its argument is the column that names the scheme.  Scripts of the
 * extension itself may change built-in schemes.
 */
PG_FUNCTION_INFO_V1(guard_schemes);
Datum
guard_schemes(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc columns;
	HeapTuple result;
	const char *column;
	int position_column;
	int32 position = 0;

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 1 ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!IsTableOfSchemes(RelationGetRelid(trigger->tg_relation)))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("guard_schemes is the trigger function of the tables of schemes")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot truncate table \"%s\": it holds the built-in schemes",
					RelationGetRelationName(trigger->tg_relation)),
			 errhint("DELETE FROM crm_profile.scheme WHERE NOT built_in takes away your own.")));
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		elog(ERROR, "guard_schemes must be a row trigger");

	columns = RelationGetDescr(trigger->tg_relation);
	column = trigger->tg_trigger->tgargs[0];
	position_column = ColumnOfType(columns, "position", INT4OID);
	result =
		TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		CheckCondition(columns, result);
	SPI_connect();
	if (!creating_extension)
	{
		RefuseBuiltIn(trigger, trigger->tg_trigtuple, column);
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			RefuseBuiltIn(trigger, trigger->tg_newtuple, column);
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && position_column > 0)
		position = PositionToGive(columns, result, position_column);
	SPI_finish();
	/* after SPI, whose memory is gone now, so that the row outlives this call */
	if (position > 0)
	{
		Datum value = Int32GetDatum(position);
		bool isnull = false;

		result = heap_modify_tuple_by_cols(result, columns, 1, &position_column, &value, &isnull);
	}
	return PointerGetDatum(result);
}
