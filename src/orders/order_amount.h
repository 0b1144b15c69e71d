/*
 * order_amount.h: amounts of the types that orders may have.
 */
#ifndef CRM_ORDER_AMOUNT_H
#define CRM_ORDER_AMOUNT_H

#include "access/tupdesc.h"
#include "fmgr.h"

#include "base/numeric_bytes.h"

/* Amounts stay as they are, and floats are refused. */
#define AS_THEY_ARE (-1)

/* A column of amounts. */
typedef struct AmountColumn
{
	int attno; /* 0: there is none */
	Oid type;
	int round_to;       /* decimals, or AS_THEY_ARE */
	int money_decimals; /* of the type money */
	MemoryContext scratch;
} AmountColumn;

/* The column, checked; `what` names it in messages.  In the current memory context. */
extern AmountColumn MakeAmountColumn(TupleDesc columns, int attno, int round_to, const char *what);

/* The decimals that its amounts are likely to have. */
extern int LikelyScale(const AmountColumn *column, TupleDesc columns);

/* Reads an amount; a fault is left to the caller, or an error. */
extern AmountFault ReadOrderAmount(const AmountColumn *column, Datum value, Decimal *amount);
extern Decimal OrderAmount(const AmountColumn *column, Datum value, const char *what);

/* The optional argument for decimals; AS_THEY_ARE if it is NULL or left out. */
extern int AmountScaleArgument(FunctionCallInfo fcinfo, int argument);

/* The type of a column, or its base type if that is a domain. */
extern Oid OrderColumnType(TupleDesc columns, int attno);

#endif /* CRM_ORDER_AMOUNT_H */
