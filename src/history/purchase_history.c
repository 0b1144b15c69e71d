/*
 * purchase_history.c: the type purchase_history, and histories as a group.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "history/history_state.h"
#include "history/purchase_history.h"

/*
 * ---------- text form ----------
 *
 *	{2010-12-01: 25.5, 2011-02-03: 77.1 (2 orders), 2011-03-01: -10 (0 orders, cost -6 of -10)}
 *
 * Days are in ISO format whatever DateStyle says.  "(1 order)" is left out, and so is "of" if the
 * cost covers the whole amount.
 */

static void
AppendDay(StringInfo out, DateADT day)
{
	char text[MAXDATELEN + 1];

	FormatDay(day, text);
	appendStringInfoString(out, text);
}

/* A scaled integer in decimals, without trailing zeros. */
static void
AppendAmount(StringInfo out, int64 amount, int scale)
{
	uint64 magnitude = amount < 0 ? -(uint64) amount : (uint64) amount;

	while (scale > 0 && magnitude % 10 == 0)
	{
		magnitude /= 10;
		scale--;
	}
	if (amount < 0)
		appendStringInfoChar(out, '-');
	appendStringInfo(out, UINT64_FORMAT, magnitude / PowerOfTen[scale]);
	if (scale > 0)
		appendStringInfo(out, ".%0*llu", scale,
						 (unsigned long long) (magnitude % PowerOfTen[scale]));
}

PG_FUNCTION_INFO_V1(purchase_history_out);
Datum
purchase_history_out(PG_FUNCTION_ARGS)
{
	HistoryReader reader;
	PurchaseDay day;
	StringInfoData out;
	bool first = true;

	HistoryReaderInit(&reader, PG_GETARG_HISTORY(0));
	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	while (ReadPurchaseDay(&reader, &day))
	{
		bool cost = (day.cost | day.covered) != 0;

		CHECK_FOR_INTERRUPTS();
		if (!first)
			appendStringInfoString(&out, ", ");
		first = false;
		AppendDay(&out, day.day);
		appendStringInfoString(&out, ": ");
		AppendAmount(&out, day.amount, reader.scale);
		if (day.orders == 1 && !cost)
			continue;
		appendStringInfoString(&out, " (");
		if (day.orders != 1)
			appendStringInfo(&out, "%d orders%s", day.orders, cost ? ", " : "");
		if (cost)
		{
			appendStringInfoString(&out, "cost ");
			AppendAmount(&out, day.cost, reader.scale);
			if (day.covered != day.amount)
			{
				appendStringInfoString(&out, " of ");
				AppendAmount(&out, day.covered, reader.scale);
			}
		}
		appendStringInfoChar(&out, ')');
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

#define SPACES " \t\n\r\f\v"

/* The rest of a text that is being read. */
typedef struct Parser
{
	const char *text; /* the whole text, for errors */
	const char *next;
} Parser;

pg_noreturn static void
ParseFailed(Parser *parser, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input syntax for type purchase_history: \"%s\"",
						   Excerpt(parser->text, strlen(parser->text), 200)),
					*parser->next ? errdetail("Expected %s at \"%s\".", expected,
											  Excerpt(parser->next, strlen(parser->next), 20))
								  : errdetail("Expected %s at the end.", expected),
					errhint("Write {2025-01-31: 25.50, 2025-02-03: 77 (2 orders, cost 31.20)}.")));
}

static void
SkipSpace(Parser *parser)
{
	while (scanner_isspace(*parser->next))
		parser->next++;
}

/* Consumes the word or sign if it comes next. */
static bool
Take(Parser *parser, const char *word)
{
	size_t length = strlen(word);

	SkipSpace(parser);
	if (strncmp(parser->next, word, length) != 0)
		return false;
	parser->next += length;
	return true;
}

/* Everything up to one of the characters, as a string of its own. */
static char *
TakeUntil(Parser *parser, const char *stops, const char *expected)
{
	size_t length;

	SkipSpace(parser);
	length = strcspn(parser->next, stops);
	while (length > 0 && scanner_isspace(parser->next[length - 1]))
		length--;
	if (length == 0)
		ParseFailed(parser, expected);
	parser->next += length;
	return pnstrdup(parser->next - length, length);
}

static DateADT
TakeDay(Parser *parser)
{
	Parser before;
	char *text;
	DateADT day;

	SkipSpace(parser);
	before = *parser;
	text = TakeUntil(parser, ":,(){}", "a day");

	/* only ISO format, with the year first, reads the same under every DateStyle */
	if (strspn(text, "0123456789-") < strcspn(text, " ") || strcspn(text, "-") < 4)
		ParseFailed(&before, "a day such as 2025-01-31");
	day = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(text)));
	return CheckedDay(day, "purchase day");
}

static Decimal
TakeAmount(Parser *parser, const char *what)
{
	char *text = TakeUntil(parser, ",(){}" SPACES, "an amount");

	return DecimalFromNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
												  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
							  what);
}

static int32
TakeCount(Parser *parser)
{
	char *text = TakeUntil(parser, ",(){}" SPACES, "a number of orders");
	int32 orders = pg_strtoint32(text);

	if (orders < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("number of orders cannot be negative: %d", orders)));
	return orders;
}

/* One entry of the text; its amounts in units of 10^-scale. */
static void
TakeEntry(Parser *parser, PurchaseDay *day, int *scale)
{
	Decimal amount;
	Decimal cost = {0, 0};
	Decimal covered = {0, 0};

	day->day = TakeDay(parser);
	if (!Take(parser, ":"))
		ParseFailed(parser, "\":\"");
	amount = TakeAmount(parser, "amount");
	day->orders = 1;
	if (Take(parser, "("))
	{
		bool has_cost = Take(parser, "cost");

		if (!has_cost)
		{
			day->orders = TakeCount(parser);
			if (!Take(parser, "orders") && !Take(parser, "order"))
				ParseFailed(parser, "\"orders\"");
			has_cost = Take(parser, ",");
			if (has_cost && !Take(parser, "cost"))
				ParseFailed(parser, "\"cost\"");
		}
		if (has_cost)
		{
			cost = TakeAmount(parser, "cost");
			covered = Take(parser, "of") ? TakeAmount(parser, "covered amount") : amount;
		}
		if (!Take(parser, ")"))
			ParseFailed(parser, "\")\"");
	}
	*scale = Max(amount.scale, Max(cost.scale, covered.scale));
	day->amount = Rescale(amount.mantissa, amount.scale, *scale);
	day->cost = Rescale(cost.mantissa, cost.scale, *scale);
	day->covered = Rescale(covered.mantissa, covered.scale, *scale);
}

/* A growing array of days that share one scale. */
typedef struct DayList
{
	PurchaseDay *days;
	int64 ndays;
	int64 room;
	int scale;
} DayList;

static void
AppendToDayList(DayList *list, PurchaseDay *day, int scale)
{
	if (list->ndays == list->room)
	{
		list->room = Max(16, list->room * 2);
		list->days = list->days == NULL
						 ? palloc(list->room * sizeof(PurchaseDay))
						 : repalloc_huge(list->days, list->room * sizeof(PurchaseDay));
	}
	if (scale > list->scale)
	{
		for (int64 i = 0; i < list->ndays; i++)
		{
			list->days[i].amount = Rescale(list->days[i].amount, list->scale, scale);
			list->days[i].cost = Rescale(list->days[i].cost, list->scale, scale);
			list->days[i].covered = Rescale(list->days[i].covered, list->scale, scale);
		}
		list->scale = scale;
	}
	day->amount = Rescale(day->amount, scale, list->scale);
	day->cost = Rescale(day->cost, scale, list->scale);
	day->covered = Rescale(day->covered, scale, list->scale);
	list->days[list->ndays++] = *day;
}

PG_FUNCTION_INFO_V1(purchase_history_in);
Datum
purchase_history_in(PG_FUNCTION_ARGS)
{
	Parser parser;
	DayList list = {0};

	parser.text = parser.next = PG_GETARG_CSTRING(0);
	if (!Take(&parser, "{"))
		ParseFailed(&parser, "\"{\"");
	if (!Take(&parser, "}"))
	{
		do
		{
			PurchaseDay day;
			int scale;

			CHECK_FOR_INTERRUPTS();
			TakeEntry(&parser, &day, &scale);
			AppendToDayList(&list, &day, scale);
		} while (Take(&parser, ","));
		if (!Take(&parser, "}"))
			ParseFailed(&parser, "\",\" or \"}\"");
	}
	SkipSpace(&parser);
	if (*parser.next)
		ParseFailed(&parser, "the end");
	PG_RETURN_POINTER(EncodeHistory(list.days, list.ndays, list.scale));
}

/* ---------- binary form: the stored bytes, which carry their version ---------- */

PG_FUNCTION_INFO_V1(purchase_history_send);
Datum
purchase_history_send(PG_FUNCTION_ARGS)
{
	PurchaseHistory *history = PG_GETARG_HISTORY(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbytes(&out, VARDATA_ANY(history), VARSIZE_ANY_EXHDR(history));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(purchase_history_recv);
Datum
purchase_history_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	int size = in->len - in->cursor;
	PurchaseHistory *history = palloc(size + VARHDRSZ);

	SET_VARSIZE(history, size + VARHDRSZ);
	pq_copymsgbytes(in, VARDATA(history), size);
	if (!HistoryIsValid(history))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid binary form of type purchase_history"),
			 errhint(
				 "Only what purchase_history_send of the same format version wrote can be read.")));
	PG_RETURN_POINTER(history);
}

/* ---------- what ANALYZE keeps ---------- */

/* How wide histories are.  A sample of them would be whole customers, and outlive these. */
static void
ComputeWidth(VacAttrStatsP stats, AnalyzeAttrFetchFunc fetch, int nrows, double total)
{
	double width = 0;
	int known = 0;

	for (int i = 0; i < nrows; i++)
	{
		bool isnull;
		Datum history = fetch(stats, i, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (isnull)
			continue;
		width += VARSIZE_ANY(DatumGetPointer(history));
		known++;
	}
	if (nrows == 0)
		return;
	stats->stats_valid = true;
	stats->stanullfrac = (float4) (nrows - known) / nrows;
	stats->stawidth = known == 0 ? 0 : (int32) rint(width / known);
	stats->stadistinct = 0; /* unknown */
}

PG_FUNCTION_INFO_V1(purchase_history_typanalyze);
Datum
purchase_history_typanalyze(PG_FUNCTION_ARGS)
{
	VacAttrStats *stats = (VacAttrStats *) PG_GETARG_POINTER(0);

	stats->compute_stats = ComputeWidth;
	/* the size of the sample of other columns */
	stats->minrows = 300 * default_statistics_target;
	PG_RETURN_BOOL(true);
}

/* ---------- the group: merge, take away, add ---------- */

/* Sums run over sorted days, so equal contents give equal bytes in whatever order they are merged.
 */
PurchaseHistory *
CombineHistories(const PurchaseHistory *a, const PurchaseHistory *b, bool subtract)
{
	int scale = Max(HistoryScale(a), HistoryScale(b));
	int64 na;
	int64 nb;
	PurchaseDay *days = DecodeHistory(a, scale, &na);
	PurchaseDay *more = DecodeHistory(b, scale, &nb);
	int64 kept;

	days = repalloc_huge(days, (na + nb + 1) * sizeof(PurchaseDay));
	for (int64 i = 0; i < nb; i++)
	{
		if (subtract)
		{
			more[i].amount = -more[i].amount;
			more[i].orders = -more[i].orders;
			more[i].cost = -more[i].cost;
			more[i].covered = -more[i].covered;
		}
		days[na + i] = more[i];
	}
	kept = SortPurchaseDays(days, na + nb);
	if (subtract)
		for (int64 i = 0; i < kept; i++)
			if (days[i].orders < 0)
			{
				StringInfoData day;

				initStringInfo(&day);
				AppendDay(&day, days[i].day);
				ereport(
					ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("cannot take away orders that the history does not have"),
					 errdetail("On %s it would be left with %d orders.", day.data, days[i].orders),
					 errhint("Only what was merged into a history can be taken away from it.")));
			}
	return EncodeSortedHistory(days, kept, scale);
}

PG_FUNCTION_INFO_V1(purchase_history_merge);
Datum
purchase_history_merge(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(CombineHistories(PG_GETARG_HISTORY(0), PG_GETARG_HISTORY(1), false));
}

PG_FUNCTION_INFO_V1(purchase_history_subtract);
Datum
purchase_history_subtract(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(CombineHistories(PG_GETARG_HISTORY(0), PG_GETARG_HISTORY(1), true));
}

/* (history, day, amount [, cost]): adds one order or refund; a NULL cost is unknown. */
PG_FUNCTION_INFO_V1(purchase_history_add);
Datum
purchase_history_add(PG_FUNCTION_ARGS)
{
	bool has_cost = PG_NARGS() > 3 && !PG_ARGISNULL(3);
	PurchaseDay day;
	PurchaseHistory *one;
	Decimal cost = {0, 0};
	int scale;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_POINTER(PG_GETARG_HISTORY(0));
	}
	if (has_cost)
		cost = DecimalFromNumeric(PG_GETARG_DATUM(3), "cost");
	scale =
		MakePurchaseDay(&day, CheckedDay(PG_GETARG_DATEADT(1), "purchase day"),
						DecimalFromNumeric(PG_GETARG_DATUM(2), "amount"), has_cost ? &cost : NULL);
	one = EncodeHistory(&day, 1, scale);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(one);
	PG_RETURN_POINTER(CombineHistories(PG_GETARG_HISTORY(0), one, false));
}

PurchaseHistory *
HistoryAsOf(const PurchaseHistory *history, DateADT as_of)
{
	int64 ndays;
	PurchaseDay *days = DecodeHistory(history, HistoryScale(history), &ndays);

	while (ndays > 0 && days[ndays - 1].day > as_of)
		ndays--;
	return EncodeSortedHistory(days, ndays, HistoryScale(history));
}

PG_FUNCTION_INFO_V1(purchase_history_as_of);
Datum
purchase_history_as_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(HistoryAsOf(PG_GETARG_HISTORY(0), CheckedDay(PG_GETARG_DATEADT(1), "as_of")));
}

/* ---------- the days of a history as rows ---------- */

PG_FUNCTION_INFO_V1(purchases);
Datum
purchases(PG_FUNCTION_ARGS)
{
	HistoryReader reader;
	PurchaseDay day;

	InitMaterializedSRF(fcinfo, 0);
	HistoryReaderInit(&reader, PG_GETARG_HISTORY(0));
	while (ReadPurchaseDay(&reader, &day))
	{
		bool cost = (day.cost | day.covered) != 0;
		Datum values[5];
		bool nulls[5] = {false, false, false, !cost, !cost};

		CHECK_FOR_INTERRUPTS();
		values[0] = DateADTGetDatum(day.day);
		values[1] = Int32GetDatum(day.orders);
		values[2] = NumericGetDatum(NumericFromInt128(day.amount, reader.scale));
		values[3] = NumericGetDatum(NumericFromInt128(day.cost, reader.scale));
		values[4] = NumericGetDatum(NumericFromInt128(day.covered, reader.scale));
		PutRow(fcinfo, values, nulls);
	}
	return (Datum) 0;
}
