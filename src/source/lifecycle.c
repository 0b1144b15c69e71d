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
#include "clv/clv_predict.h"
#include "clv/rhythm.h"
#include "history/history_memo.h"
#include "rfm/segment_scheme.h"
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
 * Half of what it was: such a silence is unusual for the customer.  So is one longer than 19 of 20
 * gaps: a fit that has seen nobody leave expects customers back whose silence it cannot explain.
 */
#define OUT_OF_CHARACTER 0.5
#define HARDLY_A_GAP 0.95
#define OUTLOOK_DAYS 90

/*
 * What a customer's silence is measured against; if both models are NULL, only the number of days.
 */
typedef struct LapseRule
{
	int64 active;   /* days */
	int64 inactive; /* days */
	const RhythmModel *rhythm;
	const ClvModel *model;
} LapseRule;

/* Purchases up to a silence. */
typedef struct Past
{
	DateADT first;
	DateADT last;
	int64 purchase_days;
} Past;

/* Whether that many days of silence are unusual for the customer according to the model. */
static bool
ModelIsSurprised(const ClvModel *model, const Past *past, int64 silence)
{
	PurchaseSummary facts = {
		.first = past->first, .last = past->last, .purchase_days = past->purchase_days};
	DateADT today = (DateADT) (past->last + silence);
	ClvCustomer customer = CustomerInUnits(model, &facts, today);
	double horizon =
		WeightedDays(&model->calendar, today, today + OUTLOOK_DAYS) * model->pace / model->unit;

	/* the cheaper test first */
	return GapProbability(model, &customer) >= HARDLY_A_GAP ||
		   PurchaseOutlook(model, &customer, horizon) < OUT_OF_CHARACTER;
}

/*
 * Known limits of the silence of customers with the same number of purchase days over the same
 * time.
 */
typedef struct KnownSilences
{
	uint64 model; /* its fingerprint */
	int64 purchase_days;
	int64 days;            /* from the first to the last */
	int64 longest_kept;    /* longest silence known to be usual */
	int64 shortest_broken; /* shortest silence known to be unusual */
} KnownSilences;

#define KNOWN_SILENCES 32768
#define SILENCES_APART 1021 /* days between the slots of successive numbers of purchase days */

/*
 * Without a season, and with purchases at random, customers with the same purchases are alike, and
 * a longer silence is always more unusual: earlier answers settle most questions.
 */
static bool
IsSurprising(const ClvModel *model, const Past *past, int64 silence)
{
	static KnownSilences table[KNOWN_SILENCES];
	int64 days = (int64) past->last - past->first;
	KnownSilences *known =
		&table[(uint64) (past->purchase_days * SILENCES_APART + days) % KNOWN_SILENCES];
	bool surprised;

	if (!model->calendar.is_level || model->regularity > 1 || model->family == CLV_PARETO_NBD)
		return ModelIsSurprised(model, past, silence);
	if (known->model != model->fingerprint || known->purchase_days != past->purchase_days ||
		known->days != days)
		*known = (KnownSilences){model->fingerprint, past->purchase_days, days, -1, PG_INT64_MAX};
	if (silence <= known->longest_kept || silence >= known->shortest_broken)
		return silence >= known->shortest_broken;
	surprised = ModelIsSurprised(model, past, silence);
	if (surprised)
		known->shortest_broken = silence;
	else
		known->longest_kept = silence;
	return surprised;
}

/*
 * Whether the silence up to a day is unusual for the customer: with this rhythm they would most
 * likely have bought again, or the probability that they will has fallen far below its value right
 * after the last purchase.
 */
static bool
OutOfCharacter(const LapseRule *rule, const Past *past, double silence)
{
	const RhythmModel *rhythm = rule->rhythm;

	if (rule->model != NULL)
		return IsSurprising(rule->model, past, (int64) silence);
	return LapseProbability((int) rhythm->regularity, rhythm->parameters[0], rhythm->parameters[1],
							(double) past->purchase_days - 1, (double) past->last - past->first,
							silence) >= OUT_OF_RHYTHM;
}

/* After a single purchase, or without a model, nothing is usual: the number of days decides. */
static inline bool
ByDaysAlone(const LapseRule *rule, const Past *past)
{
	return (rule->rhythm == NULL && rule->model == NULL) || past->purchase_days == 1;
}

static bool
IsLapsing(const LapseRule *rule, const Past *past, int64 silence)
{
	if (ByDaysAlone(rule, past))
		return silence >= rule->active;
	return OutOfCharacter(rule, past, (double) silence);
}

/* Whether a customer is inactive: the silence, scaled to active_days, is unusual. */
static bool
IsInactive(const LapseRule *rule, const Past *past, int64 silence)
{
	if (silence < rule->inactive)
		return false;
	return ByDaysAlone(rule, past) ||
		   OutOfCharacter(rule, past,
						  (double) silence * (double) rule->active / (double) rule->inactive);
}

/* The customer's lifecycle on that day; LIFECYCLES for none, without a purchase by then. */
static Lifecycle
LifecycleOf(const PurchaseHistory *history, DateADT as_of, const LapseRule *rule)
{
	HistoryReader reader;
	PurchaseDay day;
	Past past = {0};
	bool won_back = false;

	RecallHistory(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		if (day.orders == 0)
			continue;
		if (past.purchase_days == 0)
			past.first = day.day;
		else if (day.day > as_of - rule->active &&
				 IsInactive(rule, &past, (int64) day.day - 1 - past.last))
			won_back = true;
		past.purchase_days++;
		past.last = day.day;
	}
	if (past.purchase_days == 0)
		return LIFECYCLES;
	if (IsInactive(rule, &past, (int64) as_of - past.last))
		return LIFECYCLE_INACTIVE;
	if (IsLapsing(rule, &past, (int64) as_of - past.last))
		return LIFECYCLE_LAPSING;
	if (past.first > as_of - Min(rule->active, MAX_NEW_DAYS))
		return LIFECYCLE_NEW;
	return won_back ? LIFECYCLE_WON_BACK : LIFECYCLE_ACTIVE;
}

/* The body of lifecycle(history, as_of, active_days [, inactive_days] …). */
static Datum
AnswerLifecycle(FunctionCallInfo fcinfo, bool inactive_given, const RhythmModel *rhythm,
				const ClvModel *model)
{
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	const PurchaseHistory *history = PG_GETARG_HISTORY(0);
	uint64 serial = rhythm == NULL ? HistorySerial(history) : 0;
	uint64 fingerprint = model != NULL ? model->fingerprint : 0;
	LapseRule rule;
	/*
	 * the last answer, since a view asks for the lifecycle and for the segment that depends on it
	 */
	static struct
	{
		uint64 history; /* serial number; 0 if nothing is kept */
		uint64 model;
		DateADT as_of;
		int64 active;
		int64 inactive;
		Lifecycle lifecycle;
	} last;

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
	if (serial == 0 || last.history != serial || last.model != fingerprint || last.as_of != as_of ||
		last.active != rule.active || last.inactive != rule.inactive)
	{
		last.history = 0;
		last.lifecycle = LifecycleOf(history, as_of, &rule);
		last.history = serial;
		last.model = fingerprint;
		last.as_of = as_of;
		last.active = rule.active;
		last.inactive = rule.inactive;
	}
	if (last.lifecycle == LIFECYCLES)
		PG_RETURN_NULL();
	return LifecycleText(last.lifecycle);
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
