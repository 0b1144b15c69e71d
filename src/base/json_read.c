/*
 * json_read.c: reading jsonb of a known shape.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/json_read.h"

pg_noreturn static void
WrongType(const char *where, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be %s", where, expected)));
}

bool
JsonMember(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL &&
		   value->type != jbvNull;
}

char *
JsonString(const JsonbValue *value, const char *where)
{
	if (value->type != jbvString)
		WrongType(where, "a string");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

double
JsonNumber(const JsonbValue *value, const char *where)
{
	double number;

	if (value->type != jbvNumeric)
		WrongType(where, "a number");
	/* the digits of 1e400 would fill the message */
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (isinf(number))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("%s has a number out of range: %s", where,
							   numeric_out_sci(value->val.numeric, 3)),
						errhint("Numbers of type double precision reach to 1.797e+308.")));
	return number;
}

int64
JsonCount(const JsonbValue *value, const char *where)
{
	double number;

	if (value->type != jbvNumeric)
		WrongType(where, "a whole number");
	number = JsonNumber(value, where);
	if (number < 0 || number != floor(number))
		WrongType(where, "a whole number, 0 or more");
	/* the last double below 2^63 */
	if (number > 9223372036854774784.0)
		WrongType(where, "a whole number below 9.2e18");
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

JsonbContainer *
JsonObject(const JsonbValue *value, const char *where)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		WrongType(where, "an object");
	return value->val.binary.data;
}

JsonbContainer *
JsonArray(const JsonbValue *value, const char *where)
{
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		WrongType(where, "an array");
	return value->val.binary.data;
}

void
JsonEachMember(JsonbContainer *object,
			   void (*take)(const char *key, const JsonbValue *value, void *arg), void *arg)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue v;
	JsonbIteratorToken token;
	char *key = NULL;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			take(key, &v, arg);
	}
}
