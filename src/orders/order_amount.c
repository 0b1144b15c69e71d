/*
 * order_amount.c: amounts of the types that orders may have.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/cash.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/caller_query.h"
#include "base/rounded_float.h"
#include "orders/order_amount.h"

Oid
OrderColumnType(TupleDesc columns, int attno)
{
	return getBaseType(TupleDescAttr(columns, attno - 1)->atttypid);
}

int
AmountScaleArgument(FunctionCallInfo fcinfo, int argument)
{
	int scale;

	if (PG_NARGS() <= argument || PG_ARGISNULL(argument))
		return AS_THEY_ARE;
	scale = PG_GETARG_INT32(argument);
	if (scale < 0 || scale > MAX_SCALE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("amount_scale must be 0 to %d, not %d", MAX_SCALE, scale),
						errhint("It is the number of decimals that amounts are rounded to.")));
	return scale;
}

/* Decimals of the type money, which depend on lc_monetary: those of its smallest amount. */
static int
MoneyDecimals(const char *what)
{
	return DecimalFromNumeric(DirectFunctionCall1(cash_numeric, CashGetDatum(1)), what).scale;
}

AmountColumn
MakeAmountColumn(TupleDesc columns, int attno, int round_to, const char *what)
{
	AmountColumn column = {
		.attno = attno, .type = OrderColumnType(columns, attno), .round_to = round_to};

	switch (column.type)
	{
		case NUMERICOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
			break;
		case MONEYOID:
			column.money_decimals = MoneyDecimals(what);
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			if (round_to == AS_THEY_ARE)
				ColumnTypeRefused(
					columns, attno, what, "numeric, money or an integer type: floats are not exact",
					psprintf(
						"Say to how many decimals they are rounded: amount_scale => 2, or "
						"round(%s::numeric, 2).",
						quote_identifier(NameStr(TupleDescAttr(columns, attno - 1)->attname))));
			break;
		default:
			ColumnTypeRefused(columns, attno, what, "numeric, a float, money or an integer type",
							  NULL);
	}
	if (round_to != AS_THEY_ARE)
		column.scratch =
			AllocSetContextCreate(CurrentMemoryContext, "rounding", ALLOCSET_SMALL_SIZES);
	return column;
}

int
LikelyScale(const AmountColumn *column, TupleDesc columns)
{
	int32 typmod = TupleDescAttr(columns, column->attno - 1)->atttypmod;
	int scale = column->money_decimals;

	if (column->type == NUMERICOID && typmod >= (int32) VARHDRSZ)
		scale = (typmod - VARHDRSZ) & 0x7ff;
	else if (column->type != MONEYOID && column->round_to != AS_THEY_ARE)
		scale = column->round_to;
	if (column->round_to != AS_THEY_ARE)
		scale = Min(scale, column->round_to);
	return scale <= MAX_SCALE ? scale : 0;
}

/* An amount of an exact type, with all its decimals. */
static AmountFault
ReadExactAmount(const AmountColumn *column, Datum value, Decimal *amount)
{
	amount->scale = 0;
	switch (column->type)
	{
		case NUMERICOID:
			return ReadDecimal(value, amount);
		case INT2OID:
			amount->mantissa = DatumGetInt16(value);
			break;
		case INT4OID:
			amount->mantissa = DatumGetInt32(value);
			break;
		case MONEYOID:
			amount->scale = column->money_decimals;
			amount->mantissa = DatumGetCash(value);
			break;
		default:
			amount->mantissa = DatumGetInt64(value);
	}
	return amount->mantissa == PG_INT64_MIN ? AMOUNT_TOO_LARGE : AMOUNT_FINE;
}

/* Rounds half a unit away from zero, as round(numeric) does. */
static inline void
RoundDecimal(Decimal *amount, int scale)
{
	int64 unit;
	int64 rest;

	if (amount->scale <= scale)
		return;
	unit = PowerOfTen[amount->scale - scale];
	rest = amount->mantissa % unit;
	amount->mantissa /= unit;
	if (2 * rest >= unit)
		amount->mantissa++;
	else if (2 * rest <= -unit)
		amount->mantissa--;
	amount->scale = scale;
}

/* A float, if rounding it is a usual case. */
static inline bool
ReadFloat(const AmountColumn *column, Datum value, Decimal *amount)
{
	bool negative;
	bool read;

	if (column->type == FLOAT8OID)
	{
		negative = DatumGetFloat8(value) < 0;
		read = RoundedFloat8(DatumGetFloat8(value), column->round_to, &amount->mantissa);
	}
	else
	{
		negative = DatumGetFloat4(value) < 0;
		read = RoundedFloat4(DatumGetFloat4(value), column->round_to, &amount->mantissa);
	}
	if (negative)
		amount->mantissa = -amount->mantissa;
	amount->scale = column->round_to;
	return read;
}

/* Any amount that is to be rounded, in PostgreSQL's own way. */
static Datum
RoundedNumeric(const AmountColumn *column, Datum value)
{
	if (column->type == FLOAT8OID)
		value = DirectFunctionCall1(float8_numeric, value);
	else if (column->type == FLOAT4OID)
		value = DirectFunctionCall1(float4_numeric, value);
	return DirectFunctionCall2(numeric_round, value, Int32GetDatum(column->round_to));
}

static AmountFault
ReadRoundedNumeric(const AmountColumn *column, Datum value, Decimal *amount)
{
	MemoryContext caller = MemoryContextSwitchTo(column->scratch);
	AmountFault fault = ReadDecimal(RoundedNumeric(column, value), amount);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(column->scratch);
	return fault;
}

static inline bool
IsFloat(const AmountColumn *column)
{
	return column->type == FLOAT8OID || column->type == FLOAT4OID;
}

AmountFault
ReadOrderAmount(const AmountColumn *column, Datum value, Decimal *amount)
{
	AmountFault fault;

	if (IsFloat(column))
		return ReadFloat(column, value, amount) ? AMOUNT_FINE
												: ReadRoundedNumeric(column, value, amount);
	fault = ReadExactAmount(column, value, amount);
	if (column->round_to == AS_THEY_ARE)
		return fault;
	if (fault == AMOUNT_TOO_FINE)
		fault = ReadRoundedNumeric(column, value, amount);
	if (fault == AMOUNT_FINE)
		RoundDecimal(amount, column->round_to);
	return fault;
}

Decimal
OrderAmount(const AmountColumn *column, Datum value, const char *what)
{
	Decimal amount;
	AmountFault fault = ReadOrderAmount(column, value, &amount);

	if (likely(fault == AMOUNT_FINE))
		return amount;
	if (column->type != NUMERICOID && !IsFloat(column))
		AmountOutOfRange();
	/* raises the error that tells the value */
	return DecimalFromNumeric(
		column->round_to == AS_THEY_ARE ? value : RoundedNumeric(column, value), what);
}
