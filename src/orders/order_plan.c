/*
 * order_plan.c: what a plan does to the columns of orders that is done faster here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planmain.h"
#include "utils/fmgroids.h"

#include "orders/order_amount.h"
#include "orders/order_plan.h"

AttrNumber
PlanColumnNamed(const Plan *plan, const char *name)
{
	ListCell *cell;

	foreach (cell, plan->targetlist)
	{
		TargetEntry *column = lfirst_node(TargetEntry, cell);

		if (!column->resjunk && column->resname != NULL && strcmp(column->resname, name) == 0)
			return column->resno;
	}
	return 0;
}

/* A column whose values are rounded. */
typedef struct RoundedColumn
{
	Oid type; /* of what is rounded; invalid: not known yet */
	int round_to;
} RoundedColumn;

/* What round(x::numeric, n) or round(x, n) rounds; NULL for other expressions. */
static Expr *
RoundedArgument(Expr *expr, int *round_to)
{
	FuncExpr *call = (FuncExpr *) expr;
	FuncExpr *argument;
	Const *scale;

	if (!IsA(expr, FuncExpr) || call->funcid != F_ROUND_NUMERIC_INT4)
		return NULL;
	scale = lsecond(call->args);
	if (!IsA(scale, Const) || scale->constisnull || DatumGetInt32(scale->constvalue) < 0 ||
		DatumGetInt32(scale->constvalue) > MAX_SCALE)
		return NULL;
	*round_to = DatumGetInt32(scale->constvalue);
	argument = linitial(call->args);
	if (IsA(argument, FuncExpr) &&
		(argument->funcid == F_NUMERIC_FLOAT8 || argument->funcid == F_NUMERIC_FLOAT4 ||
		 argument->funcid == F_NUMERIC_MONEY))
		return linitial(argument->args);
	return (Expr *) argument;
}

/* The plans that a plan hands rows on from as they are; NIL if it makes rows of its own. */
static List *
HandsOn(Plan *plan)
{
	if (IsA(plan, Append))
		return ((Append *) plan)->appendplans;
	return IsA(plan, Gather) ? list_make1(outerPlan(plan)) : NIL;
}

/*
 * Whether all plans that make the values of a column round the same type to the same decimals;
 * `replace`: makes them yield what they round.
 */
static bool
VisitRounding(Plan *plan, AttrNumber attno, RoundedColumn *rounded, bool replace)
{
	TargetEntry *column = list_nth_node(TargetEntry, plan->targetlist, attno - 1);
	List *below = HandsOn(plan);
	Expr *argument;
	int round_to;
	ListCell *cell;

	if (below != NIL)
	{
		Var *var = (Var *) column->expr;

		if (!IsA(var, Var) || var->varno != OUTER_VAR || plan->qual != NIL)
			return false;
		foreach (cell, below)
			if (!VisitRounding(lfirst(cell), var->varattno, rounded, replace))
				return false;
		if (replace)
			*var = *makeVar(var->varno, var->varattno, rounded->type, -1, InvalidOid, 0);
		return true;
	}
	/* another extension's nodes are its own affair */
	if (IsA(plan, CustomScan) || !is_projection_capable_plan(plan))
		return false;
	argument = RoundedArgument(column->expr, &round_to);
	if (argument == NULL ||
		(OidIsValid(rounded->type) &&
		 (rounded->type != exprType((Node *) argument) || rounded->round_to != round_to)))
		return false;
	*rounded = (RoundedColumn){exprType((Node *) argument), round_to};
	if (replace)
		column->expr = argument;
	return true;
}

int
TakeOverRounding(Plan *plan, AttrNumber attno, int round_to)
{
	RoundedColumn rounded = {InvalidOid, AS_THEY_ARE};

	/* rounding twice is not rounding once */
	if (round_to != AS_THEY_ARE || attno == 0 || list_length(plan->targetlist) < attno ||
		!VisitRounding(plan, attno, &rounded, false))
		return round_to;
	(void) VisitRounding(plan, attno, &rounded, true);
	return rounded.round_to;
}
