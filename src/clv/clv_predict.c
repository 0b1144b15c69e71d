/*
 * clv_predict.c: predictions about one customer, in SQL.
 *
 * Every prediction is a pure function of (history, model, as_of, …).  It is NULL if the history has
 * no purchase on or before as_of, if the model did not converge and, for values, if the model knows
 * nothing about spend.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_predict.h"
#include "clv/covariates.h"
#include "clv/spend.h"

#define MAX_HORIZON_DAYS 36525 /* a hundred years */
#define MAX_MONTHS 1201
#define FIRST_SLOTS 256 /* of a table of memos; powers of two */
#define MAX_SLOTS 65536
#define SLOTS_APART 1531 /* days between the slots of successive numbers of purchases */
#define DIFFERENCE 1e-4  /* of the log of a parameter */
#define BOUND_QUANTILE 1.96

/* A remembered answer. */
typedef struct Memo
{
	uint32 generation;
	int32 purchase_days;
	int32 age;     /* days from the first purchase to as_of */
	int32 silence; /* and from the last one, if it matters */
	double *value; /* `width` of them */
} Memo;

/*
 * Remembered answers: many customers share what an answer depends on, above all one-time buyers.
 * Answers of another generation are void.
 */
typedef struct MemoTable
{
	Memo *slots;
	double *values;
	int width;    /* numbers per answer */
	int64 nslots; /* a power of two */
	int64 misses; /* since the table has its size */
	uint32 generation;
} MemoTable;

/* State kept from row to row, in fn_extra. */
typedef struct Predictor
{
	ModelCache cache;
	const ClvModel *model;
	int64 decodings;         /* `decodings` of the cache when the rest was set up */
	int attributes_argument; /* 0: none */
	CustomerModel customer;
	bool has_horizon;
	DateADT as_of;
	Interval interval;
	double discount; /* monthly */
	double horizon;  /* in units */
	int nmonths;
	double month_end[MAX_MONTHS]; /* in units, the last one is the horizon */
	DateADT alive_as_of;          /* of the memo `alive`, if days have weights */
	MemoTable alive;              /* P(alive), if it takes an integral */
	MemoTable by_phase;           /* of regular buyers, of x and T, within the horizon */
} Predictor;

/* Purchases of customers who are alive within a horizon. */
typedef enum IfAlive
{
	PURCHASES_IF_ALIVE,
	DISCOUNTED_IF_ALIVE, /* the same, each purchase discounted by its month */
	IF_ALIVE_KINDS
} IfAlive;

/* Remembered answers about customers who are alive: they depend only on x and T. */
typedef struct IfAliveMemo
{
	int32 purchase_days; /* 0: nobody's */
	int32 age;           /* days from the first purchase to as_of */
	uint32 generation[IF_ALIVE_KINDS];
	double value[IF_ALIVE_KINDS];
} IfAliveMemo;

/* What the answers of one kind depend on; answers of another generation are void. */
typedef struct IfAliveTerms
{
	uint64 model;
	DateADT as_of;
	Interval horizon;
	double discount;
	uint32 generation;
} IfAliveTerms;

/* One table for both, per backend: a view asks for both, and then misses the cache only once. */
static struct
{
	IfAliveMemo *slots;
	int64 nslots; /* a power of two */
	int64 misses; /* since the table has its size */
	uint32 generation;
	IfAliveTerms terms[IF_ALIVE_KINDS];
} IfAliveTable;

/* A question about one customer. */
typedef struct Question
{
	Predictor *predictor;
	MemoryContext context; /* lives as long as the predictor */
	uint64 serial;         /* of the history */
	const PurchaseSummary *facts;
	DateADT as_of;
	ClvCustomer customer;
	bool first_counts; /* the first purchase counts as information about value */
	double chance;     /* the probability of a repeat purchase that is searched for */
} Question;

/*
 * What the functions found about the customer last asked about: several columns of a view use the
 * same answers.
 */
typedef struct LastAnswers
{
	uint64 history; /* serial numbers; 0: none */
	uint64 model;
	DateADT as_of;
	bool customer_known;
	bool alive_known;
	bool clv_known;
	ClvCustomer customer; /* in units of the model */
	double alive;
	double clv; /* in this horizon, at this discount */
	Interval horizon;
	double discount;
} LastAnswers;

static LastAnswers Last;

/* An answer at given parameters, which need not be the model's own. */
typedef double (*Answer)(const Question *question, const double *parameters, const double *spend);

ClvCustomer
CustomerInUnits(const ClvModel *model, const PurchaseSummary *facts, DateADT as_of)
{
	const Season *season = &model->calendar;
	ClvCustomer customer;

	customer.x = (double) (facts->purchase_days - 1);
	customer.t_x = WeightedDays(season, facts->first, facts->last) / model->unit;
	customer.T = WeightedDays(season, facts->first, as_of) / model->unit;
	return customer;
}

/* Days from as_of to as_of + interval. */
static double
DaysAhead(DateADT as_of, const Interval *interval)
{
	Timestamp end = DatumGetTimestamp(
		DirectFunctionCall2(date_pl_interval, DateADTGetDatum(as_of), IntervalPGetDatum(interval)));

	if (TIMESTAMP_NOT_FINITE(end))
		return INFINITY;
	return ((double) end - (double) as_of * USECS_PER_DAY) / USECS_PER_DAY;
}

/*
 * Days after as_of in units of the model, weighted by season and pace: as many ordinary days would
 * see the same purchases.
 */
static double
FutureInUnits(const ClvModel *model, DateADT as_of, double days)
{
	const Season *season = &model->calendar;

	if (!season->is_level)
	{
		DateADT whole = (DateADT) floor(days);
		double part = days - floor(days);

		days = WeightedDays(season, as_of, as_of + whole);
		if (part > 0)
			days += part * WeightedDays(season, as_of + whole, as_of + whole + 1);
	}
	return days * model->pace / model->unit;
}

double
HorizonInUnits(const ClvModel *model, DateADT as_of, const Interval *horizon)
{
	double days = DaysAhead(as_of, horizon);

	if (!(days >= 0 && days <= MAX_HORIZON_DAYS))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("horizon must be between 0 and 100 years, not %s",
					DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(horizon)))),
			 errhint("Give an interval such as '90 days'.")));
	return FutureInUnits(model, as_of, days);
}

/* The ends of the calendar months after as_of, the last one truncated at the horizon. */
static void
SetMonths(Predictor *predictor)
{
	predictor->nmonths = 0;
	while (predictor->nmonths < MAX_MONTHS)
	{
		Interval months = {.month = predictor->nmonths + 1};
		double end =
			FutureInUnits(predictor->model, predictor->as_of, DaysAhead(predictor->as_of, &months));

		predictor->month_end[predictor->nmonths++] = Min(end, predictor->horizon);
		if (end >= predictor->horizon)
			break;
	}
}

/* Forgets all answers at once. */
static void
ForgetMemos(MemoTable *table)
{
	table->generation++;
	if (table->generation == 0)
	{
		/* the counter wrapped around: the oldest answers would look valid */
		for (int64 i = 0; i < table->nslots; i++)
			table->slots[i].generation = 0;
		table->generation = 1;
	}
}

/* Sets the numbers per answer; answers of another width are dropped. */
static void
SetWidth(MemoTable *table, int width)
{
	if (table->width != width && table->slots != NULL)
	{
		pfree(table->slots);
		pfree(table->values);
		table->slots = NULL;
		table->nslots = table->misses = 0;
	}
	table->width = width;
}

/* Notes the horizon and the discount of this call. */
static void
SetHorizon(Predictor *predictor, DateADT as_of, const Interval *interval, double discount)
{
	if (predictor->has_horizon && predictor->as_of == as_of && predictor->discount == discount &&
		memcmp(&predictor->interval, interval, sizeof(Interval)) == 0)
		return;
	predictor->has_horizon = false;
	if (!(discount >= 0 && discount <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("monthly_discount must be between 0 and 1, not %g", discount),
						errhint("One percent a month is 0.01.")));
	predictor->horizon = HorizonInUnits(predictor->model, as_of, interval);
	predictor->as_of = as_of;
	predictor->interval = *interval;
	predictor->discount = discount;
	SetMonths(predictor);
	ForgetMemos(&predictor->by_phase);
	predictor->has_horizon = true;
}

/* The slot of the answers for such customers. */
static inline IfAliveMemo *
IfAliveSlot(const Question *question)
{
	/* similar customers are adjacent, those with other numbers of purchases years away */
	uint64 place = (uint64) question->facts->purchase_days * SLOTS_APART +
				   (uint64) (question->as_of - question->facts->first);

	return &IfAliveTable.slots[place & (IfAliveTable.nslots - 1)];
}

/* The last argument if it is the record of a customer's attributes, else 0. */
static int
AttributesArgument(const FmgrInfo *function)
{
	Oid *types;
	int n;

	(void) get_func_signature(function->fn_oid, &types, &n);
	return types[n - 1] == RECORDOID ? n - 1 : 0;
}

/* The predictor of the model argument. */
static Predictor *
PredictorOf(FunctionCallInfo fcinfo)
{
	FmgrInfo *function = fcinfo->flinfo;
	Predictor *predictor = (Predictor *) function->fn_extra;

	if (unlikely(predictor == NULL))
	{
		function->fn_extra = predictor =
			MemoryContextAllocZero(function->fn_mcxt, sizeof(Predictor));
		predictor->attributes_argument = AttributesArgument(function);
	}
	predictor->model =
		CachedModel(&ClvModelFormat, &predictor->cache, PG_GETARG_DATUM(1), function->fn_mcxt);
	if (unlikely(predictor->decodings != predictor->cache.decodings))
	{
		predictor->decodings = predictor->cache.decodings;
		predictor->has_horizon = false;
		SetWidth(&predictor->alive, 1);
		SetWidth(&predictor->by_phase, (int) predictor->model->regularity);
		ForgetMemos(&predictor->alive);
	}
	if (predictor->attributes_argument > 0)
	{
		bool changed;

		predictor->model = ModelOfRecord(
			&predictor->customer, predictor->model, predictor->decodings,
			PG_GETARG_HEAPTUPLEHEADER(predictor->attributes_argument), function->fn_mcxt, &changed);
		if (changed)
		{
			ForgetMemos(&predictor->alive);
			ForgetMemos(&predictor->by_phase);
		}
	}
	return predictor;
}

/* The answers about this customer; void if the last customer was another. */
static LastAnswers *
AnswersFor(const Question *question)
{
	if (Last.history != question->serial || Last.model != question->predictor->model->fingerprint ||
		Last.as_of != question->as_of || question->serial == 0)
	{
		Last.history = question->serial;
		Last.model = question->predictor->model->fingerprint;
		Last.as_of = question->as_of;
		Last.customer_known = Last.alive_known = Last.clv_known = false;
		/* prefetched, since it is not needed at once */
		if (IfAliveTable.slots != NULL)
			__builtin_prefetch(IfAliveSlot(question));
	}
	return &Last;
}

/*
 * The question of the arguments (history, model, as_of [, horizon …]); false if the answer is NULL.
 * The level of an interval function follows them.
 */
static bool
ReadQuestion(FunctionCallInfo fcinfo, int horizon_argument, double discount, Question *question)
{
	Predictor *predictor = PredictorOf(fcinfo);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	const PurchaseSummary *facts;
	LastAnswers *last;

	question->context = fcinfo->flinfo->fn_mcxt;
	if (predictor->alive_as_of != as_of && !predictor->model->calendar.is_level)
		ForgetMemos(&predictor->alive);
	predictor->alive_as_of = as_of;

	if (horizon_argument > 0)
		SetHorizon(predictor, as_of, PG_GETARG_INTERVAL_P(horizon_argument), discount);
	question->predictor = predictor;
	question->as_of = as_of;
	question->first_counts = false;
	question->chance = 0.5;
	if (!ClvModelIsUsable(predictor->model))
		return false;
	facts = RecallPurchases(PG_GETARG_HISTORY(0), as_of, (ValueBasis) predictor->model->basis,
							&question->serial);
	if (facts->purchase_days == 0)
		return false;
	question->facts = facts;
	last = AnswersFor(question);
	if (!last->customer_known)
		last->customer = CustomerInUnits(predictor->model, facts, as_of);
	last->customer_known = true;
	question->customer = last->customer;
	return true;
}

/* ---------- the answers ---------- */

static double
AnswerAlive(const Question *question, const double *parameters, const double *spend)
{
	return Logistic(
		-LogDropoutOdds(ProcessOf(question->predictor->model), parameters, &question->customer));
}

static double
AnswerPurchases(const Question *question, const double *parameters, const double *spend)
{
	return AnswerAlive(question, parameters, spend) *
		   PurchasesIfAlive(ProcessOf(question->predictor->model), parameters, &question->customer,
							question->predictor->horizon);
}

static double
AnswerAnyPurchase(const Question *question, const double *parameters, const double *spend)
{
	return AnswerAlive(question, parameters, spend) *
		   AnyPurchaseIfAlive(ProcessOf(question->predictor->model), parameters,
							  &question->customer, question->predictor->horizon);
}

/* The expected value of a purchase. */
static double
AnswerValue(const Question *question, const double *parameters, const double *spend)
{
	return ForecastSpend(question->predictor->model, spend, question->facts, question->first_counts)
		.value;
}

/* By phase of the open gap: purchases of a customer who is alive, each discounted by its month. */
static void
DiscountedPurchases(const Question *question, const double *parameters, double *sum)
{
	const Predictor *predictor = question->predictor;
	ClvProcess process = ProcessOf(predictor->model);
	double before[MAX_REGULARITY] = {0};
	double purchases[MAX_REGULARITY];
	double factor = 1;

	memset(sum, 0, process.regularity * sizeof(double));
	for (int i = 0; i < predictor->nmonths; i++)
	{
		PurchasesByPhase(process, parameters, &question->customer, predictor->month_end[i],
						 purchases);
		factor /= 1 + predictor->discount;
		for (int j = 0; j < process.regularity; j++)
		{
			sum[j] += (purchases[j] - before[j]) * factor;
			before[j] = purchases[j];
		}
	}
}

static double
DiscountedPurchasesIfAlive(const Question *question, const double *parameters)
{
	double purchases[MAX_REGULARITY];

	DiscountedPurchases(question, parameters, purchases);
	return MeanOverPhases(ProcessOf(question->predictor->model), parameters, &question->customer,
						  purchases);
}

static double
AnswerClv(const Question *question, const double *parameters, const double *spend)
{
	return AnswerValue(question, parameters, spend) * AnswerAlive(question, parameters, spend) *
		   DiscountedPurchasesIfAlive(question, parameters);
}

double
ExpectedPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	return Logistic(-LogDropoutOdds(ProcessOf(model), model->parameters, customer)) *
		   PurchasesIfAlive(ProcessOf(model), model->parameters, customer, horizon);
}

/*
 * Customers who stay buy at a Gamma rate of known shape: m_s purchases, with variance m_s + m_s^2 /
 * shape.  Customers who may leave buy m and stay for a part u = m / m_s of the time; if few leave,
 * at any time, E[u^2] is 1 - 4/3 (1 - u), hence about u^(4/3).
 */
PurchaseForecast
ForecastPurchases(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	ClvProcess process = ProcessOf(model);
	const double *p = model->parameters;
	double alive = Logistic(-LogDropoutOdds(process, p, customer));
	double mean = PurchasesIfAlive(process, p, customer, horizon);
	double shape = p[CLV_R] + process.regularity * customer->x;
	double staying = shape * horizon / (p[CLV_ALPHA] + customer->T) / process.regularity;
	double part = staying > 0 ? Min(1, mean / staying) : 1;
	double square = mean + mean * mean * (1 + 1 / shape) * pow(Max(part, 1e-9), 4.0 / 3 - 2);
	PurchaseForecast forecast;

	forecast.mean = alive * mean;
	forecast.variance = Max(0, alive * square - forecast.mean * forecast.mean);
	return forecast;
}

/* The probability of a purchase in the horizon of a customer who may be lost. */
static double
AnyPurchase(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	return Logistic(-LogDropoutOdds(ProcessOf(model), model->parameters, customer)) *
		   AnyPurchaseIfAlive(ProcessOf(model), model->parameters, customer, horizon);
}

double
PurchaseOutlook(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	ClvCustomer then = *customer;
	double before;

	then.T = then.t_x;
	before = AnyPurchase(model, &then, horizon);
	return before > 0 ? AnyPurchase(model, customer, horizon) / before : NAN;
}

/* It is .75 when three quarters of the gaps that will end have ended. */
double
GapProbability(const ClvModel *model, const ClvCustomer *customer)
{
	ClvProcess staying = {CLV_BG_NBD, (int) model->regularity}; /* at least until the purchase */
	ClvCustomer then = *customer;

	then.T = then.t_x;
	return AnyPurchaseIfAlive(staying, model->parameters, &then, customer->T - customer->t_x);
}

/* Makes a larger table, which pays once there are more answers than slots. */
static void
GrowMemos(MemoTable *table, MemoryContext context)
{
	int64 nslots = table->nslots == 0 ? FIRST_SLOTS : table->nslots * 4;
	Memo *slots = MemoryContextAllocZero(context, nslots * sizeof(Memo));

	if (table->slots != NULL)
	{
		pfree(table->slots);
		pfree(table->values);
	}
	table->values = MemoryContextAlloc(context, nslots * table->width * sizeof(double));
	for (int64 i = 0; i < nslots; i++)
		slots[i].value = table->values + i * table->width;
	table->slots = slots;
	table->nslots = nslots;
	table->misses = 0;
}

/* The slot of the answer for this customer, and whether it is filled. */
static Memo *
FindMemo(MemoTable *table, const Question *question, int32 silence, bool *found)
{
	int32 purchase_days = (int32) question->facts->purchase_days;
	int32 age = question->as_of - question->facts->first;
	uint64 hash = MixHash64((uint64) purchase_days << 48 ^ (uint64) silence << 24 ^ (uint64) age);
	Memo *memo;

	if (table->misses >= table->nslots && table->nslots < MAX_SLOTS)
		GrowMemos(table, question->context);
	memo = &table->slots[hash & (table->nslots - 1)];
	*found = memo->generation == table->generation && memo->purchase_days == purchase_days &&
			 memo->age == age && memo->silence == silence;
	table->misses += !*found;
	memo->generation = table->generation;
	memo->purchase_days = purchase_days;
	memo->age = age;
	memo->silence = silence;
	return memo;
}

/* Notes what answers of this kind depend on, and voids those that depended on something else. */
static void
SetTerms(IfAlive kind, const Question *question)
{
	IfAliveTerms *terms = &IfAliveTable.terms[kind];
	const Predictor *predictor = question->predictor;

	if (terms->generation != 0 && terms->model == predictor->model->fingerprint &&
		terms->as_of == question->as_of && terms->discount == predictor->discount &&
		memcmp(&terms->horizon, &predictor->interval, sizeof(Interval)) == 0)
		return;
	if (++IfAliveTable.generation == 0)
	{
		/* the counter wrapped around: the oldest answers would look valid */
		if (IfAliveTable.slots != NULL)
			memset(IfAliveTable.slots, 0, IfAliveTable.nslots * sizeof(IfAliveMemo));
		memset(IfAliveTable.terms, 0, sizeof(IfAliveTable.terms));
		IfAliveTable.generation = 1;
	}
	terms->model = predictor->model->fingerprint;
	terms->as_of = question->as_of;
	terms->horizon = predictor->interval;
	terms->discount = predictor->discount;
	terms->generation = IfAliveTable.generation;
}

/* Makes a larger table, which pays once there are more answers than slots. */
static void
GrowIfAlive(void)
{
	int64 nslots = IfAliveTable.nslots == 0 ? FIRST_SLOTS : IfAliveTable.nslots * 4;
	IfAliveMemo *slots = MemoryContextAllocZero(TopMemoryContext, nslots * sizeof(IfAliveMemo));

	if (IfAliveTable.slots != NULL)
		pfree(IfAliveTable.slots);
	IfAliveTable.slots = slots;
	IfAliveTable.nslots = nslots;
	IfAliveTable.misses = 0;
}

/*
 * The same for regular buyers: the answers by phase, which depend on x and T, are kept, and the
 * silence weights the phases.
 */
static double
AnswerByPhase(const Question *question, IfAlive kind)
{
	const ClvModel *model = question->predictor->model;
	bool found;
	Memo *memo = FindMemo(&question->predictor->by_phase, question, 0, &found);

	if (!found && kind == DISCOUNTED_IF_ALIVE)
		DiscountedPurchases(question, model->parameters, memo->value);
	else if (!found)
		PurchasesByPhase(ProcessOf(model), model->parameters, &question->customer,
						 question->predictor->horizon, memo->value);
	return MeanOverPhases(ProcessOf(model), model->parameters, &question->customer, memo->value);
}

/* The answer of this kind for a customer who is alive. */
static double
AnswerIfAlive(const Question *question, IfAlive kind)
{
	const ClvModel *model = question->predictor->model;
	int32 purchase_days = (int32) question->facts->purchase_days;
	int32 age = question->as_of - question->facts->first;
	IfAliveMemo *memo;

	if (model->regularity > 1)
		return AnswerByPhase(question, kind);
	SetTerms(kind, question);
	if (IfAliveTable.misses >= IfAliveTable.nslots && IfAliveTable.nslots < MAX_SLOTS)
		GrowIfAlive();
	memo = IfAliveSlot(question);
	if (memo->purchase_days != purchase_days || memo->age != age)
	{
		memset(memo, 0, sizeof(*memo));
		memo->purchase_days = purchase_days;
		memo->age = age;
	}
	if (memo->generation[kind] != IfAliveTable.terms[kind].generation)
	{
		IfAliveTable.misses++;
		memo->value[kind] =
			kind == DISCOUNTED_IF_ALIVE
				? DiscountedPurchasesIfAlive(question, model->parameters)
				: PurchasesIfAlive(ProcessOf(model), model->parameters, &question->customer,
								   question->predictor->horizon);
		memo->generation[kind] = IfAliveTable.terms[kind].generation;
	}
	return memo->value[kind];
}

/* P(alive) at the parameters of the model. */
static double
Alive(const Question *question)
{
	Predictor *predictor = question->predictor;
	LastAnswers *last = AnswersFor(question);
	Memo *memo;
	bool found = false;

	if (last->alive_known)
		return last->alive;
	/* an integral is worth looking up among the answers for other customers */
	if (predictor->model->family == CLV_PARETO_NBD)
	{
		memo =
			FindMemo(&predictor->alive, question, question->as_of - question->facts->last, &found);
		if (!found)
			*memo->value = AnswerAlive(question, predictor->model->parameters, NULL);
		last->alive = *memo->value;
	}
	else
		last->alive = AnswerAlive(question, predictor->model->parameters, NULL);
	last->alive_known = true;
	return last->alive;
}

static double
AnswerWait(const Question *question, const double *parameters, const double *spend)
{
	const ClvModel *model = question->predictor->model;
	double alive = parameters == model->parameters ? Alive(question)
												   : AnswerAlive(question, parameters, spend);

	return WaitForPurchase(ProcessOf(model), parameters, &question->customer, alive,
						   question->chance);
}

/* ---------- in SQL ---------- */

PG_FUNCTION_INFO_V1(p_alive);
Datum
p_alive(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(Alive(&question));
}

PG_FUNCTION_INFO_V1(expected_purchases);
Datum
expected_purchases(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(AnswerIfAlive(&question, PURCHASES_IF_ALIVE) * Alive(&question));
}

PG_FUNCTION_INFO_V1(probability_of_purchase);
Datum
probability_of_purchase(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(AnswerAnyPurchase(&question, question.predictor->model->parameters, NULL));
}

/* (history, model, as_of [, first_purchase]) */
PG_FUNCTION_INFO_V1(expected_value);
Datum
expected_value(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question) || !KnowsValue(question.predictor->model))
		PG_RETURN_NULL();
	question.first_counts =
		PG_NARGS() > 3 && question.predictor->attributes_argument == 0 && PG_GETARG_BOOL(3);
	PG_RETURN_FLOAT8(AnswerValue(&question, NULL, question.predictor->model->spend_parameters));
}

PG_FUNCTION_INFO_V1(clv);
Datum
clv(PG_FUNCTION_ARGS)
{
	Question question;
	LastAnswers *last;

	if (!ReadQuestion(fcinfo, 3, PG_GETARG_FLOAT8(4), &question) ||
		!KnowsValue(question.predictor->model))
		PG_RETURN_NULL();
	last = AnswersFor(&question);
	if (last->clv_known && last->discount == question.predictor->discount &&
		memcmp(&last->horizon, &question.predictor->interval, sizeof(Interval)) == 0)
		PG_RETURN_FLOAT8(last->clv);
	question.first_counts = true;
	last->clv = AnswerIfAlive(&question, DISCOUNTED_IF_ALIVE) * Alive(&question) *
				AnswerValue(&question, NULL, question.predictor->model->spend_parameters);
	last->horizon = question.predictor->interval;
	last->discount = question.predictor->discount;
	last->clv_known = true;
	PG_RETURN_FLOAT8(last->clv);
}

/* The day that many units after as_of; false if it lies beyond the calendar. */
static bool
DayAfter(const Question *question, DateADT as_of, double wait, DateADT *day)
{
	const Predictor *predictor = question->predictor;
	double weighted = wait * predictor->model->unit / predictor->model->pace;
	double days;

	if (!(weighted <= MAX_HORIZON_DAYS))
		return false;
	days = as_of + ceil(DaysOfWeighted(&predictor->model->calendar, as_of, weighted));
	if (!(days < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE))
		return false;
	*day = (DateADT) days;
	return true;
}

PG_FUNCTION_INFO_V1(next_purchase);
Datum
next_purchase(PG_FUNCTION_ARGS)
{
	Question question;
	DateADT day;

	if (!ReadQuestion(fcinfo, 0, 0, &question) ||
		!DayAfter(&question, PG_GETARG_DATEADT(2),
				  AnswerWait(&question, question.predictor->model->parameters, NULL), &day))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(day);
}

PG_FUNCTION_INFO_V1(lapse_probability_clv);
Datum
lapse_probability_clv(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(GapProbability(question.predictor->model, &question.customer));
}

#define MAX_PURCHASES 1000

/* (history, model, as_of, horizon, max_purchases): P(0), P(1), … P(max_purchases or more) */
PG_FUNCTION_INFO_V1(purchase_probabilities);
Datum
purchase_probabilities(PG_FUNCTION_ARGS)
{
	Question question;
	int32 max_purchases = PG_GETARG_INT32(4);
	double *at_least;
	Datum *values;
	double alive;

	if (max_purchases < 1 || max_purchases > MAX_PURCHASES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_purchases must be between 1 and %d, not %d", MAX_PURCHASES,
							   max_purchases)));
	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	alive = Alive(&question);
	at_least = palloc(max_purchases * sizeof(double));
	values = palloc((max_purchases + 1) * sizeof(Datum));
	ManyPurchasesIfAlive(ProcessOf(question.predictor->model),
						 question.predictor->model->parameters, &question.customer,
						 question.predictor->horizon, max_purchases, at_least);
	for (int n = 0; n <= max_purchases; n++)
	{
		double from = n == 0 ? 1 : alive * at_least[n - 1];
		double beyond = n == max_purchases ? 0 : alive * at_least[n];

		values[n] = Float8GetDatum(Max(0, from - beyond));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, max_purchases + 1, FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* (model, as_of, horizon [, attributes]): for somebody whose first purchase is on that day */
PG_FUNCTION_INFO_V1(expected_purchases_new);
Datum
expected_purchases_new(PG_FUNCTION_ARGS)
{
	const ClvModel *model = ModelFromDatum(&ClvModelFormat, PG_GETARG_DATUM(0));
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(1), "as_of");
	ClvCustomer customer = {0};
	CustomerModel kept = {0};
	bool changed;

	if (PG_NARGS() > 3)
		model = ModelOfRecord(&kept, model, 0, PG_GETARG_HEAPTUPLEHEADER(3), CurrentMemoryContext,
							  &changed);
	if (!ClvModelIsUsable(model))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(
		ExpectedPurchases(model, &customer, HorizonInUnits(model, as_of, PG_GETARG_INTERVAL_P(2))));
}

/* Today's probability of a purchase over that of the day of the last one, in the same season. */
PG_FUNCTION_INFO_V1(purchase_outlook);
Datum
purchase_outlook(PG_FUNCTION_ARGS)
{
	Question question;
	double outlook;

	if (!ReadQuestion(fcinfo, 3, 0, &question))
		PG_RETURN_NULL();
	outlook =
		PurchaseOutlook(question.predictor->model, &question.customer, question.predictor->horizon);
	if (isnan(outlook))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(outlook);
}

/* (history, model, as_of, horizon): expected value of the purchases, and its variance by chance */
PG_FUNCTION_INFO_V1(revenue_outlook);
Datum
revenue_outlook(PG_FUNCTION_ARGS)
{
	Question question;
	PurchaseForecast purchases;
	SpendForecast spend;
	Datum values[2];
	bool nulls[2] = {false};

	if (!ReadQuestion(fcinfo, 3, 0, &question) || !KnowsValue(question.predictor->model))
		PG_RETURN_NULL();
	purchases = ForecastPurchases(question.predictor->model, &question.customer,
								  question.predictor->horizon);
	spend = ForecastSpend(question.predictor->model, question.predictor->model->spend_parameters,
						  question.facts, true);
	values[0] = Float8GetDatum(purchases.mean * spend.value);
	values[1] = Float8GetDatum(VarianceOfTotal(purchases.mean, purchases.variance, &spend));
	PG_RETURN_DATUM(RowDatum(fcinfo, values, nulls));
}

/* The model's log-likelihood of one customer, time in its unit. */
PG_FUNCTION_INFO_V1(clv_log_likelihood);
Datum
clv_log_likelihood(PG_FUNCTION_ARGS)
{
	Question question;

	if (!ReadQuestion(fcinfo, 0, 0, &question))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ClvLogLikelihood(ProcessOf(question.predictor->model),
									  question.predictor->model->parameters, &question.customer));
}

/*
 * ---------- confidence intervals ----------
 *
 * By the delta method, on a scale on which the answer is unbounded: the logit of probabilities, the
 * log of positive numbers.
 */

typedef enum Scale
{
	SCALE_LOGIT,
	SCALE_LOG,
	SCALE_PLAIN /* of either sign */
} Scale;

static double
OnScale(double value, Scale scale)
{
	return scale == SCALE_PLAIN ? value : log(value) - (scale == SCALE_LOGIT ? log1p(-value) : 0);
}

static double
FromScale(double value, Scale scale)
{
	return scale == SCALE_PLAIN ? value : scale == SCALE_LOGIT ? Logistic(value) : exp(value);
}

/*
 * The derivatives of the answer, on its scale, with respect to the logs of the positive parameters
 * of one part, which come first, and to the others.
 */
static void
Slopes(const Question *question, Answer answer, Scale scale, double *parameters, double *spend,
	   double *vary, int n, int npositive, double *slopes)
{
	for (int i = 0; i < n; i++)
	{
		double middle = vary[i];
		double step = i < npositive ? DIFFERENCE : DIFFERENCE * (fabs(middle) + DIFFERENCE);
		double up;
		double down;

		vary[i] = i < npositive ? middle * exp(step) : middle + step;
		up = OnScale(answer(question, parameters, spend), scale);
		vary[i] = i < npositive ? middle * exp(-step) : middle - step;
		down = OnScale(answer(question, parameters, spend), scale);
		vary[i] = middle;
		slopes[i] = (up - down) / (2 * step);
	}
}

/* Whether a fit has a covariance of its parameters; at edges some are fixed. */
static bool
HasCovariance(const ClvModel *model)
{
	for (int i = 0; i < lengthof(model->covariance); i++)
		if (model->covariance[i] != 0)
			return true;
	return false;
}

/*
 * The squared distances, on its scale, of an answer from its values at the bounds of the model,
 * below and above.
 */
static void
BoundReach(const Question *question, Answer answer, Scale scale, const double *spend, double value,
		   double *below, double *above)
{
	const ClvModel *model = question->predictor->model;

	*below = *above = 0;
	for (int b = 0; b < CLV_BOUNDS && ClvBound(model, b); b++)
	{
		double off = OnScale(answer(question, ClvBound(model, b), spend), scale) - value;

		if (off < 0)
			*below += off * off;
		else
			*above += off * off;
	}
}

/*
 * The interval of an answer: by the delta method and, for parameters at edges, by the answers at
 * the ends of the profile likelihood.  Returns false if the parameters have neither, or if the
 * bounds are not finite.
 */
static bool
DeltaInterval(const Question *question, Answer answer, Scale scale, bool with_spend, double level,
			  double *lower, double *upper)
{
	const ClvModel *model = question->predictor->model;
	bool normal = model->spend_model == SPEND_NORMAL_NORMAL;
	double parameters[CLV_PARAMETERS];
	double spend[SPEND_PARAMETERS];
	double slopes[CLV_PARAMETERS];
	double z = NormalQuantileOfLevel(level);
	double value;
	double variance;
	double below;
	double above;

	if (!HasCovariance(model) && !ClvBound(model, 0))
		return false;
	memcpy(parameters, model->parameters, sizeof(parameters));
	memcpy(spend, model->spend_parameters, sizeof(spend));
	if (with_spend && normal)
		scale = SCALE_PLAIN;
	value = answer(question, parameters, spend);
	*lower = *upper = value;
	/* a certainty, such as P(alive) of one-time buyers under BG/NBD, whatever the parameters */
	if (scale != SCALE_PLAIN && (value <= 0 || (scale == SCALE_LOGIT && value >= 1)))
	{
		for (int b = 0; b < CLV_BOUNDS && ClvBound(model, b); b++)
		{
			double there = answer(question, ClvBound(model, b), spend);

			*lower = Min(*lower, there);
			*upper = Max(*upper, there);
		}
		return true;
	}
	Slopes(question, answer, scale, parameters, spend, parameters, CLV_PARAMETERS, CLV_PARAMETERS,
		   slopes);
	variance = QuadraticForm(model->covariance, slopes, CLV_PARAMETERS);
	value = OnScale(value, scale);
	BoundReach(question, answer, scale, spend, value, &below, &above);
	if (with_spend && SpendIsFitted(model))
	{
		Slopes(question, answer, scale, parameters, spend, spend, SPEND_PARAMETERS,
			   normal ? SPEND_MU : SPEND_PARAMETERS, slopes);
		variance += QuadraticForm(model->spend_covariance, slopes, SPEND_PARAMETERS);
	}
	variance = Max(variance, 0);
	/* the bounds are those of 95 % */
	below = z * sqrt(variance + below / (BOUND_QUANTILE * BOUND_QUANTILE));
	above = z * sqrt(variance + above / (BOUND_QUANTILE * BOUND_QUANTILE));
	*lower = FromScale(value - below, scale);
	*upper = FromScale(value + above, scale);
	return isfinite(*lower) && isfinite(*upper);
}

/* The level: the last argument of every interval function. */
static double
LevelArgument(FunctionCallInfo fcinfo)
{
	double level = PG_GETARG_FLOAT8(PG_NARGS() - 1);

	if (!(level > 0 && level < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("level must be between 0 and 1, not %g", level),
						errhint("Give 0.95 for a 95 %% interval.")));
	return level;
}

/* The body of the interval functions; all arguments except the level are the prediction's. */
static Datum
AnswerInterval(FunctionCallInfo fcinfo, Answer answer, int horizon_argument, double discount,
			   Scale scale, bool with_spend, bool first_counts)
{
	double level = LevelArgument(fcinfo);
	Question question;
	Datum bounds[2];
	bool nulls[2] = {true, true};
	double lower;
	double upper;

	if (ReadQuestion(fcinfo, horizon_argument, discount, &question) &&
		(!with_spend || KnowsValue(question.predictor->model)))
	{
		question.first_counts = first_counts;
		if (DeltaInterval(&question, answer, scale, with_spend, level, &lower, &upper))
		{
			bounds[0] = Float8GetDatum(lower);
			bounds[1] = Float8GetDatum(upper);
			nulls[0] = nulls[1] = false;
		}
	}
	return RowDatum(fcinfo, bounds, nulls);
}

PG_FUNCTION_INFO_V1(p_alive_interval);
Datum
p_alive_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerAlive, 0, 0, SCALE_LOGIT, false, false);
}

PG_FUNCTION_INFO_V1(expected_purchases_interval);
Datum
expected_purchases_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerPurchases, 3, 0, SCALE_LOG, false, false);
}

PG_FUNCTION_INFO_V1(probability_of_purchase_interval);
Datum
probability_of_purchase_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerAnyPurchase, 3, 0, SCALE_LOGIT, false, false);
}

PG_FUNCTION_INFO_V1(clv_interval);
Datum
clv_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerClv, 3, PG_GETARG_FLOAT8(4), SCALE_LOG, true, true);
}

/* Depends on the spend part only. */
PG_FUNCTION_INFO_V1(expected_value_interval);
Datum
expected_value_interval(PG_FUNCTION_ARGS)
{
	return AnswerInterval(fcinfo, AnswerValue, 0, 0, SCALE_LOG, true, false);
}

PG_FUNCTION_INFO_V1(next_purchase_interval);
Datum
next_purchase_interval(PG_FUNCTION_ARGS)
{
	double level = LevelArgument(fcinfo);
	Question question;
	Datum bounds[2];
	bool nulls[2] = {true, true};
	double wait[2];

	if (ReadQuestion(fcinfo, 0, 0, &question) &&
		DeltaInterval(&question, AnswerWait, SCALE_LOG, false, level, &wait[0], &wait[1]))
		for (int i = 0; i < 2; i++)
		{
			DateADT day;

			nulls[i] = !DayAfter(&question, PG_GETARG_DATEADT(2), wait[i], &day);
			bounds[i] = nulls[i] ? (Datum) 0 : DateADTGetDatum(day);
		}
	return RowDatum(fcinfo, bounds, nulls);
}
