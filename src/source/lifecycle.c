/*
 * lifecycle.c: where a customer stands.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/decimal.h"
#include "base/local_day.h"
#include "clv/clv_question.h"
#include "history/history_memo.h"
#include "rfm/segment_scheme.h"
#include "source/lifecycle.h"
#include "source/value_tiers.h"

/* ---------- lifecycle ---------- */

/* Three of four such silences would have ended with a purchase by now. */
#define OUT_OF_RHYTHM 0.75
/* After a quarter of a year a customer is no longer new, however wide the active window is. */
#define MAX_NEW_DAYS 90

static int32
CheckedDays(int32 days, const char *what)
{
	if (days < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be at least 1, not %d", what, days)));
	return days;
}

/*
 * With a model: how likely customers are to buy within a quarter of a year, compared with somebody
 * who has just bought for the first time.  Lapsing are those who fall short of three quarters of
 * that, inactive of one quarter.  Nobody lapses within two weeks, nor while three of four gaps of
 * theirs would go on; who is silent for longer than 99 of 100 would has lapsed in any case: a fit
 * that has seen nobody leave expects those to come back whose silence it cannot explain.
 */
#define OUTLOOK_DAYS 90
#define LAPSING_SHARE 0.75
#define INACTIVE_SHARE 0.25
#define NO_SILENCE_DAYS 14
#define WITHIN_RHYTHM 0.25
#define HARDLY_A_GAP 0.99

#define OUTLOOKS 4096 /* remembered; a power of two */

/* The probability of a purchase in a horizon of somebody who has just bought for the first time. */
static double
OfNewcomer(const ClvModel *model, double horizon)
{
	static struct
	{
		uint64 model; /* its fingerprint */
		double horizon;
		double probability;
	} last;
	ClvCustomer newcomer = {0};

	if (last.model != model->fingerprint || last.horizon != horizon)
	{
		last.probability = ProbabilityOfPurchase(model, &newcomer, horizon);
		last.model = model->fingerprint;
		last.horizon = horizon;
	}
	return last.probability;
}

/*
 * How likely somebody silent for so long is to buy within a quarter of a year, with the rules for
 * short and long silences: infinite if they fall below no share of a newcomer, negative if below
 * any.  `history` is the serial number if the silence goes on until the as-of date, else 0.
 */
static double
AskOutlook(const ClvModel *model, const Past *past, int64 silence, uint64 history, double *newcomer)
{
	DateADT today = (DateADT) (past->last + silence);
	ClvCustomer customer = CustomerInUnits(model, past, today);
	double horizon =
		WeightedDays(&model->calendar, today, today + OUTLOOK_DAYS) * model->pace / model->unit;

	*newcomer = OfNewcomer(model, horizon);
	/* who bought once has shown no rhythm */
	if (past->purchase_days > 1)
	{
		double gap = GapProbability(model, &customer);

		if (gap < WITHIN_RHYTHM || gap >= HARDLY_A_GAP)
			return gap < WITHIN_RHYTHM ? INFINITY : -1;
	}
	return RecallAnyPurchase(history, model, today, &customer, horizon);
}

/* The same; one-time buyers share what it depends on, and due_actions() asks again the next day. */
static double
OutlookAfter(const ClvModel *model, const Past *past, int64 silence, uint64 history,
			 double *newcomer)
{
	static struct
	{
		uint64 model; /* its fingerprint; 0: nobody's */
		DateADT first;
		DateADT last;
		int64 silence;
		int64 purchase_days;
		double outlook;
		double newcomer;
	} memo[OUTLOOKS], *found;
	uint64 place = (uint64) (uint32) past->first << 32 | (uint32) past->last;

	/* some models ask for all gaps; no others are alike */
	if (model->fingerprint == 0 || model->random_share > 0 ||
		(history != 0 && past->purchase_days > 1))
		return AskOutlook(model, past, silence, history, newcomer);
	found = &memo[MixHash64(place ^ (uint64) silence << 16 ^ (uint64) past->purchase_days << 48) %
				  OUTLOOKS];
	if (found->model != model->fingerprint || found->first != past->first ||
		found->last != past->last || found->silence != silence ||
		found->purchase_days != past->purchase_days)
	{
		found->model = 0;
		found->outlook = AskOutlook(model, past, silence, history, &found->newcomer);
		found->model = model->fingerprint;
		found->first = past->first;
		found->last = past->last;
		found->silence = silence;
		found->purchase_days = past->purchase_days;
	}
	*newcomer = found->newcomer;
	return found->outlook;
}

/* Whether somebody silent for so long is less likely to buy than that share of a newcomer. */
static bool
HasFallenBelow(const ClvModel *model, const Past *past, int64 silence, double share)
{
	double newcomer;
	double outlook = OutlookAfter(model, past, silence, 0, &newcomer);

	return outlook < share * newcomer;
}

/* Whether somebody with this rhythm would most likely have bought once more. */
static bool
OutOfRhythm(const RhythmModel *rhythm, const Past *past, double silence)
{
	return LapseProbability((int) rhythm->regularity, rhythm->parameters[0], rhythm->parameters[1],
							(double) past->purchase_days - 1, (double) past->last - past->first,
							silence) >= OUT_OF_RHYTHM;
}

/* Who bought once has shown no rhythm, and without a model the days decide. */
static inline bool
ByDaysAlone(const LapseRule *rule, const Past *past)
{
	return rule->model == NULL && (rule->rhythm == NULL || past->purchase_days == 1);
}

/* Without a model of repeat purchase. */
static bool
IsLapsing(const LapseRule *rule, const Past *past, int64 silence)
{
	if (ByDaysAlone(rule, past))
		return silence >= rule->active;
	return OutOfRhythm(rule->rhythm, past, (double) silence);
}

/* By a rhythm: silent for as many times the lapsing silence as inactive_days are active_days. */
static bool
IsInactive(const LapseRule *rule, const Past *past, int64 silence)
{
	if (silence < rule->inactive)
		return false;
	if (rule->model != NULL)
		return HasFallenBelow(rule->model, past, silence, INACTIVE_SHARE);
	return ByDaysAlone(rule, past) ||
		   OutOfRhythm(rule->rhythm, past,
					   (double) silence * (double) rule->active / (double) rule->inactive);
}

/* Of somebody whose last purchase was so long ago: inactive, lapsing, or neither (LIFECYCLES). */
static Lifecycle
AfterSilence(const LapseRule *rule, const Past *past, int64 silence, uint64 history)
{
	double outlook;
	double newcomer;

	if (rule->model == NULL)
		return IsInactive(rule, past, silence)  ? LIFECYCLE_INACTIVE
			   : IsLapsing(rule, past, silence) ? LIFECYCLE_LAPSING
												: LIFECYCLES;
	if (silence < Min(rule->active, NO_SILENCE_DAYS))
		return LIFECYCLES;
	/* one outlook answers both */
	outlook = OutlookAfter(rule->model, past, silence, history, &newcomer);
	if (silence >= rule->inactive && outlook < INACTIVE_SHARE * newcomer)
		return LIFECYCLE_INACTIVE;
	return outlook < LAPSING_SHARE * newcomer ? LIFECYCLE_LAPSING : LIFECYCLES;
}

bool
HasLapsed(const LapseRule *rule, const Past *past, int64 silence)
{
	return AfterSilence(rule, past, silence, 0) != LIFECYCLES;
}

Lifecycle
LifecycleOf(const PurchaseHistory *history, DateADT as_of, const LapseRule *rule)
{
	int64 ndays;
	int scale;
	const PurchaseDay *day = RecallDays(history, &ndays, &scale);
	PurchaseDay *decoded = NULL;
	const PurchaseDay *end;
	Past counted = {0};
	Past past;
	bool won_back = false;
	Lifecycle silent;

	if (day == NULL)
		day = decoded = DecodeHistory(history, HistoryScale(history), &ndays);
	end = day + ndays;
	/* of what is not recent only the purchases count; nobody else knows their sums, so they stay in
	 * registers */
	for (; day < end && day->day <= as_of && day->day <= as_of - rule->active; day++)
		if (day->orders > 0)
			CountPurchase(&counted, day->day);
	past = counted;
	for (; day < end && day->day <= as_of; day++)
	{
		if (day->orders == 0)
			continue;
		if (past.purchase_days > 0 && IsInactive(rule, &past, (int64) day->day - 1 - past.last))
			won_back = true;
		CountPurchase(&past, day->day);
	}
	if (decoded != NULL)
		pfree(decoded);
	if (past.purchase_days == 0)
		return LIFECYCLES;
	silent = AfterSilence(rule, &past, (int64) as_of - past.last, HistorySerial(history));
	if (silent != LIFECYCLES)
		return silent;
	if (past.first > as_of - Min(rule->active, MAX_NEW_DAYS))
		return LIFECYCLE_NEW;
	return won_back ? LIFECYCLE_WON_BACK : LIFECYCLE_ACTIVE;
}

Lifecycle
RecallLifecycle(const PurchaseHistory *history, DateADT as_of, const LapseRule *rule)
{
	uint64 serial = rule->rhythm == NULL ? HistorySerial(history) : 0;
	uint64 fingerprint = rule->model != NULL ? rule->model->fingerprint : 0;
	static struct
	{
		uint64 history; /* serial number; 0 if nothing is kept */
		uint64 model;
		DateADT as_of;
		int64 active;
		int64 inactive;
		Lifecycle lifecycle;
	} last;

	if (serial == 0 || last.history != serial || last.model != fingerprint || last.as_of != as_of ||
		last.active != rule->active || last.inactive != rule->inactive)
	{
		last.history = 0;
		last.lifecycle = LifecycleOf(history, as_of, rule);
		last.history = serial;
		last.model = fingerprint;
		last.as_of = as_of;
		last.active = rule->active;
		last.inactive = rule->inactive;
	}
	return last.lifecycle;
}

/* The body of lifecycle(history, as_of, active_days [, inactive_days] …). */
static Datum
AnswerLifecycle(FunctionCallInfo fcinfo, bool inactive_given, const RhythmModel *rhythm,
				const ClvModel *model)
{
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	LapseRule rule;
	Lifecycle lifecycle;

	rule.active = CheckedDays(PG_GETARG_INT32(2), "active_days");
	rule.inactive =
		inactive_given ? CheckedDays(PG_GETARG_INT32(3), "inactive_days") : 2 * rule.active;
	rule.rhythm = rhythm;
	rule.model = model;
	if (rule.inactive < rule.active)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("inactive_days must not be below active_days"),
						errdetail("They are " INT64_FORMAT " and " INT64_FORMAT ".", rule.inactive,
								  rule.active)));
	lifecycle = RecallLifecycle(PG_GETARG_HISTORY(0), as_of, &rule);
	if (lifecycle == LIFECYCLES)
		PG_RETURN_NULL();
	return LifecycleText(lifecycle);
}

/* (history, as_of, active_days [, inactive_days]) */
PG_FUNCTION_INFO_V1(lifecycle);
Datum
lifecycle(PG_FUNCTION_ARGS)
{
	return AnswerLifecycle(fcinfo, PG_NARGS() > 3, NULL, NULL);
}

/* (history, as_of, active_days [, inactive_days], rhythm) */
PG_FUNCTION_INFO_V1(lifecycle_rhythm);
Datum
lifecycle_rhythm(PG_FUNCTION_ARGS)
{
	const RhythmModel *rhythm = ModelArgument(&RhythmModelFormat, fcinfo, PG_NARGS() - 1);
	bool known = rhythm->status != FIT_FAILED && rhythm->status != FIT_FEW_REPEATERS;

	return AnswerLifecycle(fcinfo, PG_NARGS() > 4, known ? rhythm : NULL, NULL);
}

/* (history, as_of, active_days [, inactive_days], clv_model) */
PG_FUNCTION_INFO_V1(lifecycle_clv);
Datum
lifecycle_clv(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelArgument(&ClvModelFormat, fcinfo, PG_NARGS() - 1);
	bool known = model->status != FIT_FAILED && model->status != FIT_FEW_REPEATERS;

	return AnswerLifecycle(fcinfo, PG_NARGS() > 4, NULL, known ? model : NULL);
}
