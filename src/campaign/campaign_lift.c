/*
 * campaign_lift.c: what a campaign changed, from who was treated, who responded, and what they
 * spent.
 *
 * The aggregate keeps counts and sums alone.  Amounts are integers in units of 10^-6, so sums of
 * them, and of their squares, are exact in any order of the rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "base/numeric_bytes.h"
#include "base/special_functions.h"
#include "base/statistics.h"
#include "base/two_samples.h"

#define LIFT_STATE_VERSION 1
#define MAX_CUSTOMERS (INT64CONST(1) << 53)

/* high * 2^64 + low: a sum of products of 64-bit integers, of as many as there can be rows */
typedef struct WideSum
{
	int128 high;
	int128 low;
} WideSum;

/* One of the two groups. */
typedef struct LiftGroup
{
	int64 customers;
	int64 responses;
	int128 value;
	int128 past_value;
	WideSum value_squares;
	WideSum past_value_squares;
	WideSum value_products; /* of value and past value */
} LiftGroup;

typedef struct LiftState
{
	bool has_value; /* the aggregate was called with values */
	bool has_past_value;
	LiftGroup groups[2]; /* control, treated */
} LiftState;

/* ---------- rows ---------- */

static inline void
AddProduct(WideSum *sum, int64 a, int64 b)
{
	int128 product = (int128) a * b;

	sum->high += product >> 64;
	sum->low += (uint64) product;
}

/* An amount in units of 10^-6; NULL counts as none. */
static inline int64
Units(FunctionCallInfo fcinfo, int argument, const char *what)
{
	int64 units;
	Decimal amount;

	if (PG_NARGS() <= argument || PG_ARGISNULL(argument))
		return 0;
	if (UsualAmount(PG_GETARG_DATUM(argument), USUAL_SCALE, &units))
		return units * PowerOfTen[MAX_SCALE - USUAL_SCALE];
	amount = DecimalFromNumeric(PG_GETARG_DATUM(argument), what);
	return Rescale(amount.mantissa, amount.scale, MAX_SCALE);
}

/* (state, treated, responded [, value [, past_value]]) */
PG_FUNCTION_INFO_V1(campaign_lift_transfn);
Datum
campaign_lift_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "campaign_lift_transfn");
	LiftState *state = PG_ARGISNULL(0) ? NULL : (LiftState *) PG_GETARG_POINTER(0);
	LiftGroup *group;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(LiftState));
		state->has_value = PG_NARGS() > 3;
		state->has_past_value = PG_NARGS() > 4;
	}
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	group = &state->groups[PG_GETARG_BOOL(1)];
	group->customers++;
	group->responses += !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	if (state->has_value)
	{
		int64 value = Units(fcinfo, 3, "value");
		int64 past = Units(fcinfo, 4, "past_value");

		group->value += value;
		group->past_value += past;
		AddProduct(&group->value_squares, value, value);
		AddProduct(&group->past_value_squares, past, past);
		AddProduct(&group->value_products, value, past);
	}
	PG_RETURN_POINTER(state);
}

/* ---------- parallel workers ---------- */

static void
AddWideSum(WideSum *sum, const WideSum *other)
{
	sum->high += other->high;
	sum->low += other->low;
}

PG_FUNCTION_INFO_V1(campaign_lift_combine);
Datum
campaign_lift_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "campaign_lift_combine");
	LiftState *state = PG_ARGISNULL(0) ? NULL : (LiftState *) PG_GETARG_POINTER(0);
	const LiftState *other = PG_ARGISNULL(1) ? NULL : (LiftState *) PG_GETARG_POINTER(1);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(LiftState));
	state->has_value |= other->has_value;
	state->has_past_value |= other->has_past_value;
	for (int g = 0; g < lengthof(state->groups); g++)
	{
		LiftGroup *group = &state->groups[g];
		const LiftGroup *more = &other->groups[g];

		group->customers += more->customers;
		group->responses += more->responses;
		group->value += more->value;
		group->past_value += more->past_value;
		AddWideSum(&group->value_squares, &more->value_squares);
		AddWideSum(&group->past_value_squares, &more->past_value_squares);
		AddWideSum(&group->value_products, &more->value_products);
	}
	PG_RETURN_POINTER(state);
}

static void
SendInt128(StringInfo out, int128 value)
{
	pq_sendint64(out, (int64) (value >> 64));
	pq_sendint64(out, (int64) (uint64) value);
}

static int128
ReceiveInt128(StringInfo in)
{
	int128 high = pq_getmsgint64(in);

	return (int128) ((uint128) high << 64 | (uint64) pq_getmsgint64(in));
}

static void
SendWideSum(StringInfo out, const WideSum *sum)
{
	SendInt128(out, sum->high);
	SendInt128(out, sum->low);
}

static WideSum
ReceiveWideSum(StringInfo in)
{
	WideSum sum;

	sum.high = ReceiveInt128(in);
	sum.low = ReceiveInt128(in);
	return sum;
}

PG_FUNCTION_INFO_V1(campaign_lift_serialize);
Datum
campaign_lift_serialize(PG_FUNCTION_ARGS)
{
	const LiftState *state;
	StringInfoData out;

	(void) AggregateContext(fcinfo, "campaign_lift_serialize");
	state = (LiftState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&out);
	pq_sendbyte(&out, LIFT_STATE_VERSION);
	pq_sendbyte(&out, state->has_value);
	pq_sendbyte(&out, state->has_past_value);
	for (int g = 0; g < lengthof(state->groups); g++)
	{
		const LiftGroup *group = &state->groups[g];

		pq_sendint64(&out, group->customers);
		pq_sendint64(&out, group->responses);
		SendInt128(&out, group->value);
		SendInt128(&out, group->past_value);
		SendWideSum(&out, &group->value_squares);
		SendWideSum(&out, &group->past_value_squares);
		SendWideSum(&out, &group->value_products);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(campaign_lift_deserialize);
Datum
campaign_lift_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "campaign_lift_deserialize");
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	LiftState *state = MemoryContextAllocZero(context, sizeof(LiftState));
	StringInfoData in;

	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	if (pq_getmsgbyte(&in) != LIFT_STATE_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid state of campaign_lift")));
	state->has_value = pq_getmsgbyte(&in) != 0;
	state->has_past_value = pq_getmsgbyte(&in) != 0;
	for (int g = 0; g < lengthof(state->groups); g++)
	{
		LiftGroup *group = &state->groups[g];

		group->customers = pq_getmsgint64(&in);
		group->responses = pq_getmsgint64(&in);
		group->value = ReceiveInt128(&in);
		group->past_value = ReceiveInt128(&in);
		group->value_squares = ReceiveWideSum(&in);
		group->past_value_squares = ReceiveWideSum(&in);
		group->value_products = ReceiveWideSum(&in);
	}
	pq_getmsgend(&in);
	PG_RETURN_POINTER(state);
}

/* ---------- the result ---------- */

/* The integer in units of 10^-scale as a numeric without zeros at its end. */
static Datum
MinimalNumeric(Datum units, int scale)
{
	Numeric unit = int64_div_fast_to_numeric(1, scale);

	return DirectFunctionCall1(numeric_trim_scale,
							   DirectFunctionCall2(numeric_mul, units, NumericGetDatum(unit)));
}

static Datum
AmountDatum(int128 sum)
{
	return MinimalNumeric(NumericGetDatum(NumericFromInt128(sum, 0)), MAX_SCALE);
}

/* A sum of products of amounts. */
static Datum
ProductDatum(const WideSum *sum)
{
	Datum half = NumericGetDatum(NumericFromInt128((int128) 1 << 64, 0));
	Datum high =
		DirectFunctionCall2(numeric_mul, NumericGetDatum(NumericFromInt128(sum->high, 0)), half);

	return MinimalNumeric(
		DirectFunctionCall2(numeric_add, high, NumericGetDatum(NumericFromInt128(sum->low, 0))),
		2 * MAX_SCALE);
}

/* (customers, responses, five sums) of the treated, then of the control group */
#define GROUP_COLUMNS 7
#define FIRST_VALUE_COLUMN 2

PG_FUNCTION_INFO_V1(campaign_lift_finalfn);
Datum
campaign_lift_finalfn(PG_FUNCTION_ARGS)
{
	const LiftState *state = PG_ARGISNULL(0) ? NULL : (LiftState *) PG_GETARG_POINTER(0);
	Datum values[2 * GROUP_COLUMNS] = {0};
	bool nulls[2 * GROUP_COLUMNS];

	(void) AggregateContext(fcinfo, "campaign_lift_finalfn");
	if (state == NULL || (state->groups[0].customers == 0 && state->groups[1].customers == 0))
		PG_RETURN_NULL();
	memset(nulls, true, sizeof(nulls));
	for (int g = 0; g < lengthof(state->groups); g++)
	{
		const LiftGroup *group = &state->groups[1 - g];
		Datum *column = &values[g * GROUP_COLUMNS];
		bool *null = &nulls[g * GROUP_COLUMNS];

		column[0] = Int64GetDatum(group->customers);
		column[1] = Int64GetDatum(group->responses);
		null[0] = null[1] = false;
		if (state->has_value)
		{
			column[2] = AmountDatum(group->value);
			column[3] = ProductDatum(&group->value_squares);
			null[2] = null[3] = false;
		}
		if (state->has_past_value)
		{
			column[4] = AmountDatum(group->past_value);
			column[5] = ProductDatum(&group->past_value_squares);
			column[6] = ProductDatum(&group->value_products);
			null[4] = null[5] = null[6] = false;
		}
	}
	return RowDatum(fcinfo, values, nulls);
}

/* ---------- statistics, for the accessors in SQL ---------- */

/* Arguments argument, argument + 1 as a share. */
static Share
ShareArgument(FunctionCallInfo fcinfo, int argument)
{
	Share share = {(double) PG_GETARG_INT64(argument), (double) PG_GETARG_INT64(argument + 1)};

	if (!(share.successes >= 0 && share.successes <= share.members &&
		  share.members <= MAX_CUSTOMERS))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid campaign_lift: %.0f responses of %.0f customers",
							   share.successes, share.members)));
	return share;
}

static double
LevelArgument(FunctionCallInfo fcinfo, int argument)
{
	double level = PG_GETARG_FLOAT8(argument);

	if (!(level > 0 && level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must be between 0 and 1, not %g", level)));
	return level;
}

/* (responses, customers of one group, and of the other): test, statistic, p_value */
PG_FUNCTION_INFO_V1(share_test);
Datum
share_test(PG_FUNCTION_ARGS)
{
	Share a = ShareArgument(fcinfo, 0);
	Share b = ShareArgument(fcinfo, 2);
	Datum values[3] = {0};
	bool nulls[3] = {true, true, true};
	double z;

	if (a.members == 0 || b.members == 0 || isnan(z = TwoProportionZ(a, b)))
		return RowDatum(fcinfo, values, nulls);
	nulls[0] = nulls[2] = false;
	if (SmallestExpected(a, b) < 5)
	{
		values[0] = CStringGetTextDatum("Fisher");
		values[2] = Float8GetDatum(FisherExact(a, b));
	}
	else
	{
		values[0] = CStringGetTextDatum("z");
		values[1] = Float8GetDatum(z);
		values[2] = Float8GetDatum(NormalTwoSided(z));
		nulls[1] = false;
	}
	return RowDatum(fcinfo, values, nulls);
}

/* (responses, customers of one group, and of the other, level): lower, upper */
PG_FUNCTION_INFO_V1(newcombe_interval);
Datum
newcombe_interval(PG_FUNCTION_ARGS)
{
	Share a = ShareArgument(fcinfo, 0);
	Share b = ShareArgument(fcinfo, 2);
	double level = LevelArgument(fcinfo, 4);
	bool nulls[2] = {false, false};
	Datum values[2] = {0};

	if (a.members == 0 || b.members == 0)
		nulls[0] = nulls[1] = true;
	else
	{
		Bounds bounds = NewcombeInterval(a, b, level);

		values[0] = Float8GetDatum(bounds.lower);
		values[1] = Float8GetDatum(bounds.upper);
	}
	return RowDatum(fcinfo, values, nulls);
}

/* (difference, standard error, df, level): lower, upper, t, p_value; NULLs without a spread */
PG_FUNCTION_INFO_V1(student_test);
Datum
student_test(PG_FUNCTION_ARGS)
{
	double difference = PG_GETARG_FLOAT8(0);
	double error = PG_GETARG_FLOAT8(1);
	double df = PG_GETARG_FLOAT8(2);
	double level = LevelArgument(fcinfo, 3);
	bool nulls[4] = {false, false, false, false};
	Datum values[4] = {0};

	if (!(error > 0 && df > 0) || !isfinite(difference) || !isfinite(error))
		memset(nulls, true, sizeof(nulls));
	else
	{
		double reach = StudentQuantileOfLevel(level, df) * error;

		values[0] = Float8GetDatum(difference - reach);
		values[1] = Float8GetDatum(difference + reach);
		values[2] = Float8GetDatum(difference / error);
		values[3] = Float8GetDatum(StudentTwoSided(difference / error, df));
	}
	return RowDatum(fcinfo, values, nulls);
}

/* (z): its two-sided p-value */
PG_FUNCTION_INFO_V1(normal_p_value);
Datum
normal_p_value(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(NormalTwoSided(PG_GETARG_FLOAT8(0)));
}

/* (chi_square, df) */
PG_FUNCTION_INFO_V1(chi_square_p_value);
Datum
chi_square_p_value(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(ChiSquareTail(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1)));
}

/* ---------- power ---------- */

typedef struct Design
{
	double base_rate;
	double treated;
	double control;
	double level;
} Design;

static void
CheckRange(double value, double lowest, double highest, const char *what)
{
	if (!(value >= lowest && value <= highest))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be from %g to %g, not %g", what, lowest, highest, value)));
}

/* (value, what): the value; an error if it is no share */
PG_FUNCTION_INFO_V1(checked_share);
Datum
checked_share(PG_FUNCTION_ARGS)
{
	CheckRange(PG_GETARG_FLOAT8(0), 0, 1, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	return PG_GETARG_DATUM(0);
}

static double
DesignPower(const Design *design, double lift)
{
	return TwoProportionPower(design->base_rate + lift, design->treated, design->base_rate,
							  design->control, design->level);
}

/* (base_rate, lift, treated, control, level) */
PG_FUNCTION_INFO_V1(lift_power);
Datum
lift_power(PG_FUNCTION_ARGS)
{
	double lift = PG_GETARG_FLOAT8(1);
	Design design = {PG_GETARG_FLOAT8(0), (double) PG_GETARG_INT64(2), (double) PG_GETARG_INT64(3),
					 LevelArgument(fcinfo, 4)};

	CheckRange(design.base_rate, 0, 1, "base_rate");
	CheckRange(design.base_rate + lift, 0, 1, "base_rate + lift");
	if (design.treated < 1 || design.control < 1)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(DesignPower(&design, lift));
}

/* (base_rate, treated, control, power, level): the smallest lift found with that power */
PG_FUNCTION_INFO_V1(detectable_lift);
Datum
detectable_lift(PG_FUNCTION_ARGS)
{
	Design design = {PG_GETARG_FLOAT8(0), (double) PG_GETARG_INT64(1), (double) PG_GETARG_INT64(2),
					 LevelArgument(fcinfo, 4)};
	double power = PG_GETARG_FLOAT8(3);
	double low = 0;
	double high = 1 - design.base_rate;

	CheckRange(design.base_rate, 0, 1, "base_rate");
	CheckRange(power, 0.01, 0.9999, "power");
	if (design.treated < 1 || design.control < 1 || DesignPower(&design, high) < power)
		PG_RETURN_NULL();
	for (int i = 0; i < 60; i++)
	{
		double middle = (low + high) / 2;

		if (DesignPower(&design, middle) < power)
			low = middle;
		else
			high = middle;
	}
	PG_RETURN_FLOAT8(high);
}

/* (base_rate, lift, control_share, power, level): customers in both groups together */
PG_FUNCTION_INFO_V1(customers_needed);
Datum
customers_needed(PG_FUNCTION_ARGS)
{
	double base_rate = PG_GETARG_FLOAT8(0);
	double lift = PG_GETARG_FLOAT8(1);
	double control = PG_GETARG_FLOAT8(2);
	double power = PG_GETARG_FLOAT8(3);
	double level = LevelArgument(fcinfo, 4);
	double rate = base_rate + lift;
	double pooled = control * base_rate + (1 - control) * rate;
	double reach;
	double needed;

	CheckRange(base_rate, 0, 1, "base_rate");
	CheckRange(rate, 0, 1, "base_rate + lift");
	CheckRange(power, 0.5, 0.9999, "power");
	if (!(control > 0 && control < 1) || lift == 0)
		PG_RETURN_NULL();
	/* the quantile of the power: P(|Z| <= z) = 2 power - 1 */
	reach = NormalQuantileOfLevel(level) * sqrt(pooled * (1 - pooled) / control / (1 - control)) +
			(power > 0.5 ? NormalQuantileOfLevel(2 * power - 1) : 0) *
				sqrt(base_rate * (1 - base_rate) / control + rate * (1 - rate) / (1 - control));
	needed = ceil(reach * reach / (lift * lift));
	if (needed > MAX_CUSTOMERS)
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) needed);
}
