/*
 * due_actions.c: which actions become due for a customer on a day.
 *
 * An action becomes due when something happens, or becomes true, on that day that was not so
 * the day before: all of it follows from the history, whatever the day.  Nothing is noted
 * down, so that any past day gives what it gave then.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "history/history_memo.h"
#include "rfm/rfm_model.h"
#include "source/lifecycle.h"

/* Kinds of actions, as bits; sql/83 has the same. */
typedef enum DueKind
{
	DUE_THANKS = 1,
	DUE_SECOND_PURCHASE = 2,
	DUE_ANNIVERSARY = 4,
	DUE_LAPSE = 8,
	DUE_ENTERED_TOP = 16,
	DUE_LEFT_TOP = 32,
	DUE_STATUS = 64
} DueKind;

/* These may come again within less than a year. */
#define DUE_REPEATING (DUE_THANKS | DUE_LAPSE | DUE_ENTERED_TOP | DUE_LEFT_TOP | DUE_STATUS)

/* Models that stay the same from row to row. */
typedef struct DueModels
{
	ModelCache rfm;
	ModelCache segments;
	ModelCache clv;
} DueModels;

/* A customer, and what is asked of every customer. */
typedef struct DueCustomer
{
	const PurchaseHistory *history; /* NULL: none */
	const RfmModel *rfm;            /* NULL, as the scheme may be: no segments */
	const SegmentScheme *segments;
	LapseRule lapse;
	const Interval *period; /* of values; NULL: all time */
	bool by_profit;
	bool has_tiers;
	int128 tiers[2];     /* where A and B begin, in units of 10^-MAX_SCALE */
	int second_purchase; /* days; 0: not known */
	DateADT day;         /* that is asked for */
	int32 met;           /* conditions of the scheme that hold on that day */
	int32 met_before;    /* and on the day before, which stands for all earlier ones */
} DueCustomer;

/* ---------- where the customer stands on a day ---------- */

/* What a customer had bought by a day. */
typedef struct Bought
{
	Past past;
	bool changed;  /* the day has an order or a refund itself */
	int64 on_day;  /* what the day brought, net of refunds */
	int128 in_all; /* and all days up to it */
} Bought;

/* False: nothing by then. */
static bool
BoughtBy(const DueCustomer *customer, DateADT day, Bought *bought)
{
	HistoryReader reader;
	PurchaseDay purchase;

	*bought = (Bought){0};
	RecallHistory(&reader, customer->history);
	while (ReadPurchaseDay(&reader, &purchase) && purchase.day <= day)
	{
		bought->changed = purchase.day == day;
		bought->on_day = bought->changed ? purchase.amount : 0;
		bought->in_all += purchase.amount;
		if (purchase.orders > 0)
			CountPurchase(&bought->past, purchase.day);
	}
	return bought->past.purchase_days > 0;
}

static inline bool
IsTop(const SegmentScheme *scheme, RfmScore score, Lifecycle lifecycle, int32 met)
{
	return SegmentOfCustomer(scheme, RFM_R(score), RFM_F(score), RFM_M(score), lifecycle, met) ==
		   scheme->labels[0];
}

/* known: a day whose purchases in the period are those of `day`. */
static bool
IsInTopSegment(const DueCustomer *customer, DateADT day, DateADT known)
{
	const HistorySummary *summary = SummaryForRfm(customer->history, known, customer->rfm);
	int32 met = day < customer->day ? customer->met_before : customer->met;
	RfmScore score;
	bool possible = false;

	if (summary == NULL)
		return false;
	score = ScoreRfm(customer->rfm, day - summary->last_ever, summary->orders, summary->amount,
					 summary->scale);
	/* the lifecycle takes longest: most scores are not those of the top in any */
	for (int lifecycle = 0; lifecycle < LIFECYCLES && !possible; lifecycle++)
		possible = IsTop(customer->segments, score, (Lifecycle) lifecycle, met);
	return possible && IsTop(customer->segments, score,
							 LifecycleOf(customer->history, day, &customer->lapse), met);
}

/* 2 for tier A, 1 for B, 0 for C or none. */
static int
TierRank(const DueCustomer *customer, DateADT day)
{
	HistoryWindow window = {PG_INT32_MIN, day};
	const HistorySummary *summary;
	int128 value;

	if (customer->period != NULL)
		window.after = DayBeforePeriod(day, customer->period);
	summary = RecallSummary(customer->history, window);
	if (!customer->has_tiers || !summary->purchased ||
		(customer->by_profit && !summary->costs && summary->orders > 0))
		return 0;
	value = customer->by_profit ? summary->covered - summary->cost : summary->amount;
	value *= PowerOfTen[MAX_SCALE - summary->scale];
	return value >= customer->tiers[0] ? 2 : value >= customer->tiers[1] ? 1 : 0;
}

/* ---------- what happens on a day ---------- */

/* Whether a day is the so-manieth return of another: 29 February returns on the 28th, too. */
static bool
IsAnniversary(DateADT of, DateADT day)
{
	int year;
	int month;
	int mday;
	int first_year;
	int first_month;
	int first_mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	j2date(of + POSTGRES_EPOCH_JDATE, &first_year, &first_month, &first_mday);
	if (year <= first_year || month != first_month)
		return false;
	if (month == 2 && first_mday == 29 && !isleap(year))
		first_mday = 28;
	return mday == first_mday;
}

/* Whether the customer, who did not buy on that day, has lapsed, and had not the day before. */
static bool
Lapses(const DueCustomer *customer, const Past *past, DateADT day)
{
	int64 silence = (int64) day - past->last;

	return HasLapsed(&customer->lapse, past, silence) &&
		   !HasLapsed(&customer->lapse, past, silence - 1);
}

/* Those of the kinds that become due on a day, whatever was due before. */
static int
HappensOn(const DueCustomer *customer, DateADT day, int kinds)
{
	int happens = 0;
	Bought bought;
	const Past *past = &bought.past;
	bool changed;

	if (!BoughtBy(customer, day, &bought))
		return 0;
	changed = bought.changed;
	/* who gave back as much as they bought, that day or in all, has nothing to be thanked for */
	if (past->last == day && bought.on_day > 0)
		happens |= DUE_THANKS;
	if (past->purchase_days == 1 && bought.in_all > 0 && customer->second_purchase > 0 &&
		day - past->first == customer->second_purchase)
		happens |= DUE_SECOND_PURCHASE;
	if (bought.in_all > 0 && IsAnniversary(past->first, day))
		happens |= DUE_ANNIVERSARY;
	if ((kinds & DUE_LAPSE) != 0 && past->last != day && Lapses(customer, past, day))
		happens |= DUE_LAPSE;
	if ((kinds & (DUE_ENTERED_TOP | DUE_LEFT_TOP)) != 0 && customer->rfm != NULL)
	{
		/* the day before had other purchases only if this day has some, or if the period moves */
		DateADT before = changed || RfmPeriod(customer->rfm) != NULL ? day - 1 : day;
		bool now = IsInTopSegment(customer, day, day);

		if (now != IsInTopSegment(customer, day - 1, before))
			happens |= now ? DUE_ENTERED_TOP : DUE_LEFT_TOP;
	}
	if ((kinds & DUE_STATUS) != 0 && (changed || customer->period != NULL))
	{
		int rank = TierRank(customer, day);

		if (rank > 0 && rank > TierRank(customer, day - 1))
			happens |= DUE_STATUS;
	}
	return happens & kinds;
}

/* Whether thanks of that day are due, by all days before: as DueOn() finds out, in one pass. */
static bool
ThanksAreDue(const DueCustomer *customer, DateADT day, int pause)
{
	HistoryReader reader;
	PurchaseDay purchase;
	int64 given = PG_INT64_MIN;

	RecallHistory(&reader, customer->history);
	while (ReadPurchaseDay(&reader, &purchase) && purchase.day <= day)
		if (purchase.orders > 0 && purchase.amount > 0 && given + pause <= purchase.day)
			given = purchase.day;
	return given == day;
}

/* The same for another kind, which may happen on any day from the first on. */
static bool
KindIsDue(const DueCustomer *customer, DateADT day, DateADT first, int pause, int kind)
{
	DateADT start = day; /* of the chain in which each follows within the pause */
	DateADT given;

	for (DateADT earlier = day - 1; earlier >= first && start - earlier < pause; earlier--)
	{
		CHECK_FOR_INTERRUPTS();
		if (HappensOn(customer, earlier, kind) != 0)
			start = earlier;
	}
	given = start;
	for (int64 next = (int64) start + pause; next <= day; next++)
	{
		CHECK_FOR_INTERRUPTS();
		if (next - given >= pause && HappensOn(customer, (DateADT) next, kind) != 0)
			given = (DateADT) next;
	}
	return given == day;
}

/*
 * Those of the kinds that happen on a day and are due: not within the pause of a day on which
 * the same was due.  Where nothing happened for a whole pause, what comes next is due; from
 * there on each that happens is due if the pause is over.
 */
static int
DueOn(const DueCustomer *customer, DateADT day, int pause)
{
	int due = HappensOn(customer, day, ~0);
	Bought bought;

	if ((due & DUE_REPEATING) == 0 || pause == 0 || !BoughtBy(customer, day, &bought))
		return due;
	for (int kind = 1; kind <= DUE_STATUS; kind <<= 1)
		if ((due & DUE_REPEATING & kind) != 0 &&
			!(kind == DUE_THANKS ? ThanksAreDue(customer, day, pause)
								 : KindIsDue(customer, day, bought.past.first, pause, kind)))
			due &= ~kind;
	return due;
}

/* ---------- SQL ---------- */

static const void *
ModelOf(FunctionCallInfo fcinfo, const ModelFormat *format, ModelCache *cache, int argument)
{
	return PG_ARGISNULL(argument)
			   ? NULL
			   : CachedModel(format, cache, PG_GETARG_DATUM(argument), fcinfo->flinfo->fn_mcxt);
}

static int128
TierArgument(FunctionCallInfo fcinfo, int argument)
{
	Decimal from = DecimalFromNumeric(PG_GETARG_DATUM(argument), "threshold of a tier");

	return (int128) from.mantissa * PowerOfTen[MAX_SCALE - from.scale];
}

static int
DaysArgument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int days = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);

	if (days < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be negative, as %d is", name, days)));
	return days;
}

/* What is asked of every customer: arguments 1 to 9 of due_kinds. */
static void
ReadDueArguments(FunctionCallInfo fcinfo, DueCustomer *customer)
{
	DueModels *models = fcinfo->flinfo->fn_extra;

	if (models == NULL)
		models = fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(DueModels));
	customer->rfm = ModelOf(fcinfo, &RfmModelFormat, &models->rfm, 1);
	customer->segments = ModelOf(fcinfo, &SegmentSchemeFormat, &models->segments, 2);
	if (customer->segments == NULL || customer->segments->nsegments == 0 ||
		(customer->rfm != NULL && customer->rfm->bins != customer->segments->bins))
		customer->rfm = NULL;
	customer->lapse = LapseRuleFor(DaysArgument(fcinfo, 4, "active_days"),
								   ModelOf(fcinfo, &ClvModelFormat, &models->clv, 3));
	customer->has_tiers = !PG_ARGISNULL(5) && !PG_ARGISNULL(6);
	if (customer->has_tiers)
	{
		customer->tiers[0] = TierArgument(fcinfo, 5);
		customer->tiers[1] = TierArgument(fcinfo, 6);
	}
	customer->by_profit = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);
	customer->period = PG_ARGISNULL(8) ? NULL : PG_GETARG_INTERVAL_P(8);
	customer->second_purchase = DaysArgument(fcinfo, 9, "second_purchase_days");
}

/*
 * (history, rfm, segments, clv, active_days, a_from, b_from, by_profit, period,
 * second_purchase_days, pause, day date, met, met_before): bits of DueKind
 */
PG_FUNCTION_INFO_V1(due_kinds);
Datum
due_kinds(PG_FUNCTION_ARGS)
{
	DueCustomer customer = {0};
	DateADT day;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(11))
		PG_RETURN_INT32(0);
	day = CheckedDay(PG_GETARG_DATEADT(11), "as_of");
	ReadDueArguments(fcinfo, &customer);
	customer.history = PG_GETARG_HISTORY(0);
	customer.day = day;
	customer.met = PG_ARGISNULL(12) ? 0 : PG_GETARG_INT32(12);
	customer.met_before = PG_ARGISNULL(13) ? 0 : PG_GETARG_INT32(13);
	PG_RETURN_INT32(DueOn(&customer, day, DaysArgument(fcinfo, 10, "pause")));
}

/* (of date, day date): whether day is an anniversary of the other */
PG_FUNCTION_INFO_V1(is_anniversary);
Datum
is_anniversary(PG_FUNCTION_ARGS)
{
	DateADT of = PG_GETARG_DATEADT(0);

	PG_RETURN_BOOL(!DATE_NOT_FINITE(of) &&
				   IsAnniversary(of, CheckedDay(PG_GETARG_DATEADT(1), "as_of")));
}

/* The day on which the customer bought again for the first time; NULL: not by as_of. */
PG_FUNCTION_INFO_V1(second_purchase);
Datum
second_purchase(PG_FUNCTION_ARGS)
{
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	HistoryReader reader;
	PurchaseDay day;
	int purchases = 0;

	RecallHistory(&reader, PG_GETARG_HISTORY(0));
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
		if (day.orders > 0 && ++purchases == 2)
			PG_RETURN_DATEADT(day.day);
	PG_RETURN_NULL();
}
