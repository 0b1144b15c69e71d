/*
 * clv_question.c: what a prediction asks about one customer, and the answers, which are kept for
 * the next row and for other columns of the same row.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/special_functions.h"
#include "clv/clv_question.h"
#include "clv/covariates.h"
#include "clv/spend.h"

#define FIRST_SLOTS 256 /* of a table of memos; powers of two */
#define MAX_SLOTS 65536
#define SLOTS_APART 1531 /* days between the slots of successive numbers of purchases */

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
	void *room;         /* in which the slots lie */
	IfAliveMemo *slots; /* none of them in two lines of the cache */
	int64 nslots;       /* a power of two */
	int64 misses;       /* since the table has its size */
	uint32 generation;
	IfAliveTerms terms[IF_ALIVE_KINDS];
} IfAliveTable;

static LastAnswers Last;

/* The ends of the calendar months after as_of, the last one truncated at the horizon. */
static void
SetMonths(Predictor *predictor)
{
	predictor->nmonths = 0;
	while (predictor->nmonths < MAX_MONTHS)
	{
		Interval months = {.month = predictor->nmonths + 1};
		double end = UnitsAhead(predictor->model, predictor->as_of, &months);

		predictor->month_end[predictor->nmonths++] = Min(end, predictor->horizon);
		if (end >= predictor->horizon)
			break;
	}
}

static inline Memo *
MemoAt(const MemoTable *table, int64 number)
{
	return (Memo *) (table->slots + number * table->size);
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
			MemoAt(table, i)->generation = 0;
		table->generation = 1;
	}
}

/* Sets the numbers per answer; answers of another size are dropped. */
static void
SetWidth(MemoTable *table, int width)
{
	Size size = TYPEALIGN(PG_CACHE_LINE_SIZE / 2, offsetof(Memo, value) + width * sizeof(double));

	if (table->size != size && table->room != NULL)
	{
		pfree(table->room);
		table->room = NULL;
		table->nslots = table->misses = 0;
	}
	table->size = size;
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
PredictorOf(FunctionCallInfo fcinfo, int argument)
{
	FmgrInfo *function = fcinfo->flinfo;
	Predictor *predictor = (Predictor *) function->fn_extra;

	if (unlikely(predictor == NULL))
	{
		function->fn_extra = predictor =
			MemoryContextAllocZero(function->fn_mcxt, sizeof(Predictor));
		predictor->attributes_argument = AttributesArgument(function);
	}
	predictor->model = CachedModel(&ClvModelFormat, &predictor->cache, PG_GETARG_DATUM(argument),
								   function->fn_mcxt);
	if (unlikely(predictor->decodings != predictor->cache.decodings))
	{
		predictor->decodings = predictor->cache.decodings;
		predictor->has_horizon = false;
		SetWidth(&predictor->alive, 1);
		/* one more for purchases at random */
		SetWidth(&predictor->by_phase, (int) predictor->model->regularity + 1);
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

/* The answers about the customer with that history; void if the last one was another. */
static bool
IsLastCustomer(uint64 history, const ClvModel *model, DateADT as_of)
{
	if (Last.history == history && Last.model == model->fingerprint && Last.as_of == as_of &&
		history != 0)
		return true;
	Last.history = history;
	Last.model = model->fingerprint;
	Last.as_of = as_of;
	Last.customer_known = Last.alive_known = Last.clv_known = Last.any_known = false;
	return false;
}

/* ProbabilityOfPurchase(); where there is one class of customers, it knows P(alive) as well. */
static double
AnyPurchaseOfLast(const ClvModel *model, const ClvCustomer *customer, double horizon)
{
	CustomerClass class;

	if (model->random_share > 0 || model->regularity > 1)
		return ProbabilityOfPurchase(model, customer, horizon);
	RegularClass(model, model->parameters, &class);
	if (!Last.alive_known)
		Last.alive = ActiveOf(&class, customer);
	Last.alive_known = true;
	return Last.alive * AnyPurchaseIfAlive(class.process, class.parameters, customer, horizon);
}

double
RecallAnyPurchase(uint64 history, const ClvModel *model, DateADT as_of, const ClvCustomer *customer,
				  double horizon)
{
	if (history == 0)
		return ProbabilityOfPurchase(model, customer, horizon);
	if (!IsLastCustomer(history, model, as_of) || !Last.any_known || Last.any_horizon != horizon)
	{
		Last.any_purchase = AnyPurchaseOfLast(model, customer, horizon);
		Last.any_horizon = horizon;
		Last.any_known = true;
	}
	return Last.any_purchase;
}

LastAnswers *
AnswersFor(const Question *question)
{
	(void) IsLastCustomer(question->serial, question->predictor->model, question->as_of);
	return &Last;
}

bool
ReadQuestion(FunctionCallInfo fcinfo, int horizon_argument, double discount, Question *question)
{
	return AskQuestion(fcinfo, 0,
					   horizon_argument > 0 ? PG_GETARG_INTERVAL_P(horizon_argument) : NULL,
					   discount, question);
}

bool
AskQuestion(FunctionCallInfo fcinfo, int first_argument, const Interval *horizon, double discount,
			Question *question)
{
	Predictor *predictor = PredictorOf(fcinfo, first_argument + 1);
	DateADT as_of = CheckedDay(PG_GETARG_DATEADT(first_argument + 2), "as_of");
	const PurchaseHistory *history;

	question->context = fcinfo->flinfo->fn_mcxt;
	if (predictor->alive_as_of != as_of && !predictor->model->calendar.is_level)
		ForgetMemos(&predictor->alive);
	predictor->alive_as_of = as_of;

	if (horizon != NULL)
		SetHorizon(predictor, as_of, horizon, discount);
	question->predictor = predictor;
	question->as_of = as_of;
	question->first_counts = false;
	question->chance = 0.5;
	if (!ClvModelIsUsable(predictor->model))
		return false;
	history = PG_GETARG_HISTORY(first_argument);
	question->serial = HistorySerial(history);
	question->facts = &Last.facts;
	if (!IsLastCustomer(question->serial, predictor->model, as_of) || !Last.customer_known)
	{
		uint64 serial;

		Last.facts =
			*RecallPurchases(history, as_of, (ValueBasis) predictor->model->basis, &serial);
		if (Last.facts.purchase_days == 0)
			return false;
		/* prefetched, since it is not needed at once */
		if (IfAliveTable.slots != NULL)
			__builtin_prefetch(IfAliveSlot(question));
		Last.customer = CustomerInUnits(predictor->model, &Last.facts, as_of);
		Last.customer_known = true;
	}
	question->customer = Last.customer;
	return true;
}

/* ---------- the answers ---------- */

double
AnswerAlive(const Question *question, const double *parameters, const double *spend)
{
	CustomerClass classes[MAX_CLASSES];
	int n = CustomerClasses(question->predictor->model, parameters, &question->customer, classes);
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum += classes[c].active;
	return sum;
}

static double DiscountedPurchasesIfAlive(const Question *question, const CustomerClass *class);
static double
FirstPurchaseIfAlive(const Question *question, IfAlive kind, const CustomerClass *class);

/* Of the classes that the customer may be of: purchases, or those that are discounted. */
static double
SumOverClasses(const Question *question, const double *parameters, IfAlive kind)
{
	CustomerClass classes[MAX_CLASSES];
	const ClvCustomer *customer = &question->customer;
	int n = CustomerClasses(question->predictor->model, parameters, customer, classes);
	CustomerClass random;
	double sum = 0;

	for (int c = 0; c < n; c++)
		sum +=
			classes[c].active * (kind == DISCOUNTED_IF_ALIVE
									 ? DiscountedPurchasesIfAlive(question, &classes[c])
									 : PurchasesIfAlive(classes[c].process, classes[c].parameters,
														customer, question->predictor->horizon));
	if (ClassAtRandom(question->predictor->model, parameters, &random))
		sum += ChanceBeyond(&random, customer, FirstPurchaseIfAlive(question, kind, &random), sum);
	return sum;
}

double
AnswerPurchases(const Question *question, const double *parameters, const double *spend)
{
	return SumOverClasses(question, parameters, PURCHASES_IF_ALIVE);
}

double
AnswerAnyPurchase(const Question *question, const double *parameters, const double *spend)
{
	return AnyPurchase(question->predictor->model, parameters, &question->customer,
					   question->predictor->horizon);
}

double
AnswerValue(const Question *question, const double *parameters, const double *spend)
{
	return ForecastSpend(question->predictor->model, spend, question->facts, question->first_counts)
		.value;
}

/* By phase of the open gap: purchases of a customer who is alive, each discounted by its month. */
static void
DiscountedPurchases(const Question *question, const CustomerClass *class, double *sum)
{
	const Predictor *predictor = question->predictor;
	ClvProcess process = class->process;
	double before[MAX_REGULARITY] = {0};
	double purchases[MAX_REGULARITY];
	double factor = 1;

	memset(sum, 0, process.regularity * sizeof(double));
	for (int i = 0; i < predictor->nmonths; i++)
	{
		PurchasesByPhase(process, class->parameters, &question->customer, predictor->month_end[i],
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
DiscountedPurchasesIfAlive(const Question *question, const CustomerClass *class)
{
	double purchases[MAX_REGULARITY];

	DiscountedPurchases(question, class, purchases);
	return MeanOverPhases(class->process, class->parameters, &question->customer, purchases);
}

/* The chance of a purchase in the horizon, or that purchase discounted by its month. */
static double
FirstPurchaseIfAlive(const Question *question, IfAlive kind, const CustomerClass *class)
{
	const Predictor *predictor = question->predictor;
	double before = 0;
	double factor = 1;
	double sum = 0;

	if (kind == PURCHASES_IF_ALIVE)
		return AnyPurchaseIfAlive(class->process, class->parameters, &question->customer,
								  predictor->horizon);
	for (int i = 0; i < predictor->nmonths; i++)
	{
		double chance = AnyPurchaseIfAlive(class->process, class->parameters, &question->customer,
										   predictor->month_end[i]);

		factor /= 1 + predictor->discount;
		sum += (chance - before) * factor;
		before = chance;
	}
	return sum;
}

double
AnswerClv(const Question *question, const double *parameters, const double *spend)
{
	return AnswerValue(question, parameters, spend) *
		   SumOverClasses(question, parameters, DISCOUNTED_IF_ALIVE);
}

/* Makes a larger table, which pays once there are more answers than slots. */
static void
GrowMemos(MemoTable *table, MemoryContext context)
{
	int64 nslots = table->nslots == 0 ? FIRST_SLOTS : table->nslots * 4;

	if (table->room != NULL)
		pfree(table->room);
	table->room = MemoryContextAllocZero(context, nslots * table->size + PG_CACHE_LINE_SIZE);
	table->slots = (char *) TYPEALIGN(PG_CACHE_LINE_SIZE, table->room);
	table->nslots = nslots;
	table->misses = 0;
}

/* The number of the slot of the answer for this customer. */
static inline int64
MemoNumber(const MemoTable *table, const Question *question, int32 silence)
{
	int32 purchase_days = (int32) question->facts->purchase_days;
	int32 age = question->as_of - question->facts->first;

	return MixHash64((uint64) purchase_days << 48 ^ (uint64) silence << 24 ^ (uint64) age) &
		   (table->nslots - 1);
}

/* Fetches that slot, which is needed soon. */
static inline void
PrefetchMemo(const MemoTable *table, const Question *question, int32 silence)
{
	if (table->nslots > 0)
		__builtin_prefetch(MemoAt(table, MemoNumber(table, question, silence)));
}

/* The slot of the answer for this customer, and whether it is filled. */
static Memo *
FindMemo(MemoTable *table, const Question *question, int32 silence, bool *found)
{
	int32 purchase_days = (int32) question->facts->purchase_days;
	int32 age = question->as_of - question->facts->first;
	Memo *memo;

	if (table->misses >= table->nslots && table->nslots < MAX_SLOTS)
		GrowMemos(table, question->context);
	memo = MemoAt(table, MemoNumber(table, question, silence));
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
	void *room =
		MemoryContextAllocZero(TopMemoryContext, nslots * sizeof(IfAliveMemo) + PG_CACHE_LINE_SIZE);

	if (IfAliveTable.room != NULL)
		pfree(IfAliveTable.room);
	IfAliveTable.room = room;
	IfAliveTable.slots = (IfAliveMemo *) TYPEALIGN(PG_CACHE_LINE_SIZE, room);
	IfAliveTable.nslots = nslots;
	IfAliveTable.misses = 0;
}

/*
 * The same for regular buyers: the answers by phase, which depend on x and T, are kept, and the
 * silence weights the phases.  After them is the answer for purchases at random, if there are any:
 * where customers are not split, the first of them.
 */
static double *
AnswersByPhase(const Question *question, IfAlive kind, const CustomerClass *classes, int n,
			   const CustomerClass *random)
{
	bool found;
	Memo *memo = FindMemo(&question->predictor->by_phase, question, 0, &found);
	double *value = memo->value;

	for (int c = 0; c < n && !found; c++, value += classes[0].process.regularity)
	{
		if (kind == DISCOUNTED_IF_ALIVE)
			DiscountedPurchases(question, &classes[c], value);
		else
			PurchasesByPhase(classes[c].process, classes[c].parameters, &question->customer,
							 question->predictor->horizon, value);
	}
	if (random && !found)
		*value = FirstPurchaseIfAlive(question, kind, random);
	return memo->value;
}

/*
 * The answer for one who is regular and may be lost, or who may be of either class; and what is
 * added to it for those who may buy at random all the same.
 */
static double
RegularAnswer(const Question *question, IfAlive kind, double *beyond)
{
	const ClvModel *model = question->predictor->model;
	const ClvCustomer *customer = &question->customer;
	CustomerClass classes[MAX_CLASSES];
	const double *value;
	double regular;
	double at_random;
	double alive;
	bool random;

	*beyond = 0;
	PrefetchMemo(&question->predictor->by_phase, question, 0);
	if (model->random_share > 0)
	{
		(void) CustomerClasses(model, model->parameters, customer, classes);
		value = AnswersByPhase(question, kind, classes, 2, NULL);
		at_random = value[model->regularity];
		regular = MeanOverPhases(classes[0].process, classes[0].parameters, customer, value);
		return classes[0].active * regular + classes[1].active * at_random;
	}
	RegularClass(model, model->parameters, &classes[0]);
	random = ClassAtRandom(model, model->parameters, &classes[1]);
	alive = Alive(question);
	value = AnswersByPhase(question, kind, classes, 1, random ? &classes[1] : NULL);
	at_random = value[model->regularity];
	regular = MeanOverPhases(classes[0].process, classes[0].parameters, customer, value) * alive;
	if (random)
		*beyond = ChanceBeyond(&classes[1], customer, at_random, regular);
	return regular;
}

double
Expected(const Question *question, IfAlive kind)
{
	const ClvModel *model = question->predictor->model;
	int32 purchase_days = (int32) question->facts->purchase_days;
	int32 age = question->as_of - question->facts->first;
	IfAliveMemo *memo;

	if (model->regularity > 1)
	{
		double beyond;
		double regular = RegularAnswer(question, kind, &beyond);

		return regular + beyond;
	}
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
		CustomerClass class;

		RegularClass(model, model->parameters, &class);
		IfAliveTable.misses++;
		memo->value[kind] =
			kind == DISCOUNTED_IF_ALIVE
				? DiscountedPurchasesIfAlive(question, &class)
				: PurchasesIfAlive(ProcessOf(model), model->parameters, &question->customer,
								   question->predictor->horizon);
		memo->generation[kind] = IfAliveTable.terms[kind].generation;
	}
	return memo->value[kind] * Alive(question);
}

double
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

PurchaseForecast
ForecastOfQuestion(const Question *question)
{
	const ClvModel *model = question->predictor->model;
	double horizon = question->predictor->horizon;
	double alive = Alive(question);
	double beyond = 0;
	double expected;

	if (model->random_share > 0 || !(alive > 0))
		return ForecastPurchases(model, &question->customer, horizon);
	expected = model->regularity > 1 ? RegularAnswer(question, PURCHASES_IF_ALIVE, &beyond)
									 : Expected(question, PURCHASES_IF_ALIVE);
	return ForecastIfAlive(model, &question->customer, horizon, alive, expected / alive, beyond);
}

#define WAIT_HALVINGS 60
#define LONGEST_WAIT (100 * 36525.0) /* days; infinity beyond */

/* The time by which the probability of a purchase is reached, which lies between two times. */
static double
WaitBetween(const Question *question, const double *parameters, double a, double b)
{
	const ClvModel *model = question->predictor->model;
	double low = Min(a, b);
	double high = Min(Max(a, b), LONGEST_WAIT / model->unit);

	if (low >= high)
		return low;
	if (AnyPurchase(model, parameters, &question->customer, high) < question->chance)
		return isinf(Max(a, b)) ? INFINITY : high;
	for (int i = 0; i < WAIT_HALVINGS; i++)
	{
		double middle = (low + high) / 2;

		if (AnyPurchase(model, parameters, &question->customer, middle) < question->chance)
			low = middle;
		else
			high = middle;
	}
	return high;
}

double
AnswerWait(const Question *question, const double *parameters, const double *spend)
{
	const ClvModel *model = question->predictor->model;
	CustomerClass classes[MAX_CLASSES];
	double wait[MAX_CLASSES];
	int n = ClassesOfProbability(model, parameters, &question->customer, classes);

	for (int c = 0; c < n; c++)
		wait[c] = WaitForPurchase(classes[c].process, classes[c].parameters, &question->customer,
								  classes[c].active / classes[c].probability, question->chance);
	return n == 1 ? wait[0] : WaitBetween(question, parameters, wait[0], wait[1]);
}

bool
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
