/*
 * label_selectivity.c: how many customers have a label, and how their histories are joined, for the
 * planner.
 *
 * A view computes segment, lifecycle and tiers from the history, the models and the day, so the
 * planner has no statistics of them: it would expect one customer in two hundred whatever the
 * label.  A refresh keeps the labels of a sample of the customers in the table label_sample of the
 * source, which is analyzed.  The columns have the names of the functions that make the labels.
 * Such conditions have their place above the join of the history with the day, so their selectivity
 * is set when the order of joins is looked for.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/geqo.h"
#include "optimizer/paths.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "base/plan_choice.h"
#include "source/key_join.h"
#include "source/label_selectivity.h"

#define SAMPLE "label_sample"

/* The place of the labels wanted among the arguments of segment_among(), from 0. */
#define WANTED_ARGUMENT 6

static join_search_hook_type previous_join_search;

/*
 * Marks the functions whose results are labels.  As a planner support function it is called before
 * paths are made, so the library is loaded and its hook is set by then.
 */
PG_FUNCTION_INFO_V1(label_support);
Datum
label_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}

/* The column of the sample that has the labels of an expression; NULL if it makes none. */
static const char *
LabelColumn(Node *expression)
{
	const FuncExpr *call;
	Oid support;
	const char *name;

	expression = strip_implicit_coercions(expression);
	/* who has not bought has the lifecycle of a contact */
	if (IsA(expression, CoalesceExpr))
		expression = linitial(((CoalesceExpr *) expression)->args);
	if (!IsA(expression, FuncExpr))
		return NULL;
	call = (const FuncExpr *) expression;
	support = get_func_support(call->funcid);
	if (!OidIsValid(support) || strcmp(get_func_name(support), "label_support") != 0)
		return NULL;
	name = get_func_name(call->funcid);
	if (strcmp(name, "segment_on_day") == 0)
		name = "segment";
	/* of a predicted value, which is a float */
	if (strcmp(name, "value_tier") == 0 && exprType(linitial(call->args)) == FLOAT8OID)
		name = "predicted_tier";
	return name;
}

/* The statistics of a column of a sample, if it has labels: anybody may name a table like that. */
static HeapTuple
SampleStatistics(Oid sample, const char *column)
{
	AttrNumber attno = get_attnum(sample, column);
	Oid type = attno == InvalidAttrNumber ? InvalidOid : get_atttype(sample, attno);

	if (type != VARCHAROID && type != TEXTOID)
		return NULL;
	return SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(sample), Int16GetDatum(attno),
						   BoolGetDatum(false));
}

/*
 * The statistics of the labels of an expression that reads the histories of a source.  They are
 * not shown to operators that might tell them to somebody.
 */
static bool
LabelStatistics(PlannerInfo *root, Relids relids, Node *expression, VariableStatData *labels)
{
	const char *column = LabelColumn(expression);
	int relid = -1;

	memset(labels, 0, sizeof(*labels));
	while (column != NULL && (relid = bms_next_member(relids, relid)) >= 0)
	{
		const RangeTblEntry *table =
			relid < root->simple_rel_array_size ? root->simple_rte_array[relid] : NULL;
		Oid sample;

		if (table == NULL || table->rtekind != RTE_RELATION)
			continue;
		sample = get_relname_relid(SAMPLE, get_rel_namespace(table->relid));
		if (!OidIsValid(sample))
			continue;
		labels->statsTuple = SampleStatistics(sample, column);
		labels->freefunc = ReleaseSysCache;
		labels->var = expression;
		labels->vartype = labels->atttype = TEXTOID;
		labels->atttypmod = -1;
		return HeapTupleIsValid(labels->statsTuple);
	}
	return false;
}

/* Whether an operator compares texts: others would read the labels as what they are not. */
static bool
ComparesTexts(Oid operator)
{
	Oid left;
	Oid right;

	if (!OidIsValid(operator))
		return false;
	op_input_types(operator, & left, &right);
	return left == TEXTOID && right == TEXTOID;
}

/* The share of customers with one of the labels in an array. */
static double
ShareOfArray(VariableStatData *labels, const ScalarArrayOpExpr *any, const Const *array)
{
	ArrayType *elements;
	Datum *values;
	bool *nulls;
	int n;
	double share = 0;

	if (array->constisnull)
		return 0;
	elements = DatumGetArrayTypeP(array->constvalue);
	deconstruct_array(elements, ARR_ELEMTYPE(elements), -1, false, TYPALIGN_INT, &values, &nulls,
					  &n);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		share +=
			var_eq_const(labels, any->opno, any->inputcollid, values[i], nulls[i], true, false);
	}
	return Min(share, 1);
}

/* Whether a clause is about all customers, those without a history, who have no label, included. */
static bool
IsAboutAll(PlannerInfo *root, const RestrictInfo *clause)
{
	int relid = -1;

	/* PostgreSQL 15: it waits for the join with the customers */
	if (!bms_is_subset(clause->required_relids, clause->clause_relids))
		return true;
	/* since 16: it reads what an outer join may have made NULL */
	while ((relid = bms_next_member(clause->clause_relids, relid)) >= 0)
		if (relid < root->simple_rel_array_size && root->simple_rte_array[relid] != NULL &&
			root->simple_rte_array[relid]->rtekind == RTE_JOIN)
			return true;
	return false;
}

/* The share of rows for which a condition about a label is true; false if it is no such. */
static bool
ShareOfLabel(PlannerInfo *root, const RestrictInfo *clause, double *share)
{
	Node *condition = (Node *) clause->clause;
	Relids relids = clause->clause_relids;
	VariableStatData labels = {0};
	bool found = false;

	if (IsA(condition, OpExpr) && list_length(((OpExpr *) condition)->args) == 2)
	{
		const OpExpr *compared = (const OpExpr *) condition;
		const Const *constant = lsecond(compared->args);
		RegProcedure estimator = get_oprrest(compared->opno);
		Oid equality = estimator == F_NEQSEL ? get_negator(compared->opno) : compared->opno;

		found = IsA(constant, Const) && (estimator == F_EQSEL || estimator == F_NEQSEL) &&
				ComparesTexts(equality) &&
				LabelStatistics(root, relids, linitial(compared->args), &labels);
		if (found)
			*share = var_eq_const(&labels, equality, compared->inputcollid, constant->constvalue,
								  constant->constisnull, true, estimator == F_NEQSEL);
	}
	else if (IsA(condition, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) condition)->useOr)
	{
		const ScalarArrayOpExpr *any = (const ScalarArrayOpExpr *) condition;
		const Node *array = lsecond(any->args);

		found = IsA(array, Const) && get_oprrest(any->opno) == F_EQSEL &&
				ComparesTexts(any->opno) &&
				LabelStatistics(root, relids, linitial(any->args), &labels);
		if (found)
			*share = ShareOfArray(&labels, any, (const Const *) array);
	}
	else if (IsA(condition, NullTest))
	{
		const NullTest *test = (const NullTest *) condition;

		found = LabelStatistics(root, relids, (Node *) test->arg, &labels);
		if (found)
			*share = ((Form_pg_statistic) GETSTRUCT(labels.statsTuple))->stanullfrac;
		if (found && test->nulltesttype == IS_NOT_NULL)
			*share = 1 - *share;
	}
	if (found && !IsAboutAll(root, clause))
	{
		double labelled = 1 - ((Form_pg_statistic) GETSTRUCT(labels.statsTuple))->stanullfrac;

		*share = labelled > 0 ? Min(1, *share / labelled) : 0;
	}
	ReleaseVariableStats(labels);
	return found;
}

/* The labels that an expression is compared with, as an array; NULL: they are not known. */
static Const *
LabelsWanted(const Node *condition)
{
	Const *labels;

	if (IsA(condition, OpExpr) && get_opcode(((const OpExpr *) condition)->opno) == F_TEXTEQ)
	{
		const Const *label = lsecond(((const OpExpr *) condition)->args);
		ArrayType *array;

		if (!IsA(label, Const) || label->consttype != TEXTOID || label->constisnull)
			return NULL;
		array = construct_array((Datum *) &label->constvalue, 1, TEXTOID, -1, false, TYPALIGN_INT);
		return makeConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1, PointerGetDatum(array), false,
						 false);
	}
	if (!IsA(condition, ScalarArrayOpExpr) || !((const ScalarArrayOpExpr *) condition)->useOr ||
		get_opcode(((const ScalarArrayOpExpr *) condition)->opno) != F_TEXTEQ)
		return NULL;
	labels = lsecond(((const ScalarArrayOpExpr *) condition)->args);
	return !IsA(labels, Const) || labels->consttype != TEXTARRAYOID || labels->constisnull
			   ? NULL
			   : copyObject(labels);
}

/* The function that tells segments from those wanted, beside the one that tells all; or invalid. */
static Oid
SegmentAmong(const FuncExpr *call)
{
	Oid types[WANTED_ARGUMENT + 1];
	Oid *all;
	int n;

	(void) get_func_signature(call->funcid, &all, &n);
	if (n != WANTED_ARGUMENT || strcmp(LabelColumn((Node *) call), "segment") != 0)
		return InvalidOid;
	memcpy(types, all, sizeof(Oid) * WANTED_ARGUMENT);
	types[WANTED_ARGUMENT] = TEXTARRAYOID;
	/* whoever may run the one may run the other, whether or not they may use the schema */
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("segment_among"),
						   PointerGetDatum(buildoidvector(types, WANTED_ARGUMENT + 1)),
						   ObjectIdGetDatum(get_func_namespace(call->funcid)));
}

/*
 * Where only some segments are wanted, most customers need no lifecycle to tell that theirs is none
 * of them: others are NULL then, and fail the condition as well.
 */
static void
AskForSegments(RestrictInfo *clause)
{
	Node *condition = (Node *) clause->clause;
	const List *arguments = IsA(condition, OpExpr) ? ((OpExpr *) condition)->args
							: IsA(condition, ScalarArrayOpExpr)
								? ((ScalarArrayOpExpr *) condition)->args
								: NIL;
	FuncExpr *call;
	Const *wanted;
	Oid among;

	if (list_length(arguments) != 2 || !IsA(linitial(arguments), FuncExpr) ||
		LabelColumn(linitial(arguments)) == NULL)
		return;
	wanted = LabelsWanted(condition);
	if (wanted == NULL || !get_collation_isdeterministic(exprInputCollation(condition)))
		return;
	among = SegmentAmong(linitial(arguments));
	if (!OidIsValid(among))
		return;
	/* it may be shared with what the query shows */
	condition = copyObject(condition);
	arguments = IsA(condition, OpExpr) ? ((OpExpr *) condition)->args
									   : ((ScalarArrayOpExpr *) condition)->args;
	call = linitial(arguments);
	call->funcid = among;
	call->args = lappend(call->args, wanted);
	clause->clause = (Expr *) condition;
}

/* Sets the selectivity of conditions about labels; asks for no more of these than are wanted. */
static void
PrepareLabels(PlannerInfo *root, List *initial_rels)
{
	ListCell *rel;
	ListCell *clause;

	foreach (rel, initial_rels)
		foreach (clause, ((RelOptInfo *) lfirst(rel))->joininfo)
		{
			RestrictInfo *condition = (RestrictInfo *) lfirst(clause);
			double share;

			if (ShareOfLabel(root, condition, &share))
			{
				condition->norm_selec = condition->outer_selec = share;
				AskForSegments(condition);
			}
		}
}

/* Whether an index of a key gives the rows in an order that a join can use. */
static bool
ComesInOrder(const RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->pathlist)
	{
		const Path *path = lfirst(cell);

		if (path->pathkeys != NIL && IsA(path, IndexPath) &&
			((const IndexPath *) path)->indexinfo->unique &&
			((const IndexPath *) path)->indexinfo->nkeycolumns == 1)
			return true;
	}
	return false;
}

/*
 * Whether all that is joined are tables of a source and its customers, by indexes in the order of
 * their keys, and too many for a hash table in the processor's cache (see plan_choice.h): then
 * merging takes less than half the time of hashing, though the planner has it at twice the cost.
 */
static bool
MergingPays(PlannerInfo *root, List *initial_rels)
{
	int of_source = 0;
	int others = 0;
	ListCell *cell;

	foreach (cell, initial_rels)
	{
		const RelOptInfo *rel = lfirst(cell);
		const RangeTblEntry *table;

		if (rel->reloptkind != RELOPT_BASEREL)
			return false;
		table = root->simple_rte_array[rel->relid];
		/* the day, and what is computed for each row */
		if (table->rtekind == RTE_FUNCTION || table->rtekind == RTE_RESULT ||
			(table->rtekind == RTE_SUBQUERY && !bms_is_empty(rel->lateral_relids)))
			continue;
		if (table->rtekind != RTE_RELATION || !ComesInOrder(rel) ||
			IsCached(rel->rows, rel->reltarget->width))
			return false;
		if (OidIsValid(get_relname_relid(SAMPLE, get_rel_namespace(table->relid))))
			of_source++;
		else
			others++;
	}
	return of_source > 0 && others == 1;
}

static RelOptInfo *
SearchAsUsual(PlannerInfo *root, int levels_needed, List *initial_rels)
{
	if (previous_join_search != NULL)
		return previous_join_search(root, levels_needed, initial_rels);
	if (enable_geqo && levels_needed >= geqo_threshold)
		return geqo(root, levels_needed, initial_rels);
	return standard_join_search(root, levels_needed, initial_rels);
}

static RelOptInfo *
SearchJoins(PlannerInfo *root, int levels_needed, List *initial_rels)
{
	bool hash_joins = enable_hashjoin;
	bool key_joins = key_joins_offered;
	RelOptInfo *joined;

	PrepareLabels(root, initial_rels);
	key_joins_offered = MergingPays(root, initial_rels);
	enable_hashjoin = hash_joins && !key_joins_offered;
	PG_TRY();
	{
		joined = SearchAsUsual(root, levels_needed, initial_rels);
	}
	PG_FINALLY();
	{
		enable_hashjoin = hash_joins;
		key_joins_offered = key_joins;
	}
	PG_END_TRY();
	return joined;
}

void
InitLabelSelectivity(void)
{
	previous_join_search = join_search_hook;
	join_search_hook = SearchJoins;
}
