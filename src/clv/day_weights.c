/*
 * day_weights.c: the weights of single days as a user gives them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "base/json_read.h"
#include "base/local_day.h"
#include "clv/day_weights.h"

static const DayRun DefaultRun = {.days = 1};

static const ModelField RunFields[] = {
	MODEL_FIELD(DayRun, "from", from, FIELD_DATE),
	MODEL_FIELD(DayRun, "days", days, FIELD_INT),
	MODEL_FIELD(DayRun, "weight", weight, FIELD_NUMBER),
};

const ModelGroup DayRunGroup = {.size = sizeof(DayRun),
								.defaults = &DefaultRun,
								.nfields = lengthof(RunFields),
								.fields = RunFields};

const char *
DayRunsFault(const DayRun *runs, int n)
{
	int64 days = 0;

	for (int i = 0; i < n; i++)
	{
		int64 last = (int64) runs[i].from + runs[i].days - 1;

		if (runs[i].days < 1 || !IS_VALID_DATE(runs[i].from) || !IS_VALID_DATE(last))
			return "A day with a weight is not in the calendar.";
		if (i > 0 && runs[i].from < runs[i - 1].from + runs[i - 1].days)
			return "Days with weights overlap, or are not in order.";
		if (!(runs[i].weight >= 0 && runs[i].weight <= MAX_DAY_WEIGHT) || runs[i].weight == 1)
			return "The weights of days are not all between 0 and 100, or one of them is 1.";
		days += runs[i].days;
	}
	if (days > MAX_WEIGHTED_DAYS)
		return "More than a million days have a weight.";
	return NULL;
}

/* The days of an object while it is read. */
typedef struct GivenDays
{
	DayRun *days;
	int n;
} GivenDays;

static void
TakeDay(const char *key, const JsonbValue *value, void *arg)
{
	GivenDays *given = (GivenDays *) arg;
	DayRun *day = &given->days[given->n++];

	*day = DefaultRun;
	day->from = CheckedDay(DayFromText(key), "day_weights");
	day->weight = JsonNumber(value, key);
	if (!(day->weight >= 0 && day->weight <= MAX_DAY_WEIGHT))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the weight of a day must be between 0 and %g, not %g",
							   MAX_DAY_WEIGHT, day->weight),
						errdetail("It is that of %s.", key),
						errhint("1 is an ordinary day, 0 a day on which nobody can buy.")));
}

static int
CompareDays(const void *a, const void *b)
{
	DateADT x = ((const DayRun *) a)->from;
	DateADT y = ((const DayRun *) b)->from;

	return x < y ? -1 : x > y;
}

/* Joins days in a row that weigh the same, and leaves out those that weigh 1. */
static void
JoinDays(const GivenDays *given, DayWeights *weights)
{
	for (int i = 0; i < given->n; i++)
	{
		const DayRun *day = &given->days[i];
		DayRun *last = &weights->runs[weights->n - 1];

		if (i > 0 && day->from == day[-1].from)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a day has two weights")));
		if (day->weight == 1)
			continue;
		if (weights->n > 0 && last->weight == day->weight && last->from + last->days == day->from)
			last->days++;
		else
			weights->runs[weights->n++] = *day;
	}
	if (weights->n > MAX_DAY_RUNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many days have weights"),
				 errdetail("There are %d stretches of days that weigh the same, the limit is %d.",
						   weights->n, MAX_DAY_RUNS)));
}

static void
ReadDayWeights(Jsonb *json, DayWeights *weights)
{
	GivenDays given = {0};

	if (!JsonContainerIsObject(&json->root))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("day_weights must be a JSON object of days and weights"),
						errhint("Give jsonb_object_agg(day, weight).")));
	given.days = palloc0(Max(JsonContainerSize(&json->root), 1) * sizeof(DayRun));
	JsonEachMember(&json->root, TakeDay, &given);
	qsort(given.days, given.n, sizeof(DayRun), CompareDays);
	weights->runs = palloc0(Max(given.n, 1) * sizeof(DayRun));
	JoinDays(&given, weights);
	if (weights->n > 0)
		weights->hash =
			(uint32) StableHash64(weights->runs, weights->n * sizeof(DayRun)) | UINT32_C(1);
}

/* What DayWeightsArgument() keeps. */
typedef struct KeptWeights
{
	DayWeights weights;
	MemoryContext context;
	struct varlena *given; /* NULL: not read yet */
} KeptWeights;

const DayWeights *
DayWeightsArgument(FunctionCallInfo fcinfo, int argument)
{
	static const DayWeights none = {0};
	FmgrInfo *function = fcinfo->flinfo;
	KeptWeights *kept = function->fn_extra;
	struct varlena *given;
	MemoryContext caller;

	if (argument >= PG_NARGS() || PG_ARGISNULL(argument))
		return &none;
	given = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(argument));
	if (kept != NULL && kept->given != NULL && VARSIZE_ANY(kept->given) == VARSIZE_ANY(given) &&
		memcmp(kept->given, given, VARSIZE_ANY(given)) == 0)
		return &kept->weights;
	if (kept == NULL)
	{
		function->fn_extra = kept = MemoryContextAllocZero(function->fn_mcxt, sizeof(KeptWeights));
		kept->context =
			AllocSetContextCreate(function->fn_mcxt, "day_weights", ALLOCSET_SMALL_SIZES);
	}
	kept->given = NULL;
	MemoryContextReset(kept->context);
	caller = MemoryContextSwitchTo(kept->context);
	memset(&kept->weights, 0, sizeof(kept->weights));
	ReadDayWeights(PG_GETARG_JSONB_P_COPY(argument), &kept->weights);
	kept->given = memcpy(palloc(VARSIZE_ANY(given)), given, VARSIZE_ANY(given));
	MemoryContextSwitchTo(caller);
	return &kept->weights;
}
