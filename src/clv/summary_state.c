/*
 * summary_state.c: the state of the aggregates that fit models to histories.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "clv/clv_math.h"
#include "clv/season.h"
#include "clv/summary_state.h"

#define FIT_STATE_VERSION 5
#define FIRST_CAPACITY 32
#define SHORTEST_MONTH 28
#define MAX_SQUARES 1e24   /* of a customer, so that the sum over all fits */
#define MAX_AMOUNT 1e30    /* far beyond what histories can hold */
#define MAX_PURCHASES 9e18 /* of all customers together: they are counted in int64 */

static inline int64
Capacity(const SummaryState *state)
{
	return (int64) ((VARSIZE(state) - offsetof(SummaryState, entries)) / sizeof(FitEntry));
}

static SummaryState *
NewFitState(int64 capacity)
{
	Size size = add_size(offsetof(SummaryState, entries), mul_size(capacity, sizeof(FitEntry)));
	SummaryState *state;

	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many different customers for one fit"),
						errdetail("The fit would have to keep %lld different facts.",
								  (long long) capacity),
						errhint("Fit the model to a sample of the customers.")));
	state = palloc(size);
	SET_VARSIZE(state, size);
	return state;
}

pg_noreturn static void
FitStateDamaged(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of a fit is damaged")));
}

SummaryState *
SummaryStateArgument(FunctionCallInfo fcinfo, int argument)
{
	SummaryState *state;

	if (PG_ARGISNULL(argument))
		return NULL;
	state = AlignedVarlena(PG_GETARG_DATUM(argument));
	if (VARSIZE(state) < offsetof(SummaryState, entries) || state->version != FIT_STATE_VERSION ||
		state->nsorted < 0 || state->nentries < state->nsorted ||
		state->nentries > Capacity(state) || state->spend[0].customers < 0 ||
		state->spend[0].repeats < 0 || state->spend[1].customers < 0 ||
		state->spend[1].repeats < 0 || state->basis > VALUE_PROFIT ||
		!IS_VALID_DATE(state->as_of) || !IS_VALID_DATE(state->until) ||
		state->until < state->as_of || (state->features & ~FIT_FEATURES) != 0 ||
		(state->features & FIT_REGULARITY) > MAX_REGULARITY ||
		!(IS_VALID_DATE(state->observed_from) || state->observed_from == DATEVAL_NOBEGIN) ||
		!(state->unit >= MIN_UNIT_DAYS && state->unit <= MAX_UNIT_DAYS))
		FitStateDamaged();
	return state;
}

Datum
KeepSummaryState(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* Days are counted from the beginning of the calendar, so that they are not negative. */
#define CALENDAR_DAY(day) ((uint64) ((int64) (day) + POSTGRES_EPOCH_JDATE))

static SummaryState *
AddDayRuns(SummaryState *state, const DayWeights *days)
{
	for (int i = 0; i < days->n; i++)
	{
		SummaryState *more = state;
		uint64 bits;

		memcpy(&bits, &days->runs[i].weight, sizeof(bits));
		more = AddFitEntry(
			state,
			FIT_KEY(FIT_DAYS, CALENDAR_DAY(days->runs[i].from) << 31 | (uint64) days->runs[i].days),
			bits, 1);
		if (more != state)
			pfree(state);
		state = more;
	}
	return state;
}

DayRun *
DayRunsOfState(const SummaryState *state, int *n)
{
	DayRun *runs;

	*n = 0;
	if (state->days_hash == 0)
		return NULL;
	for (int64 i = 0; i < state->nentries; i++)
		*n += FIT_KIND(state->entries[i].key) == FIT_DAYS;
	runs = palloc0(Max(*n, 1) * sizeof(DayRun));
	*n = 0;
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];
		DayRun *run = &runs[*n];

		if (FIT_KIND(entry->key) != FIT_DAYS)
			continue;
		run->from = (DateADT) ((int64) (entry->key >> 31 & PG_INT32_MAX) - POSTGRES_EPOCH_JDATE);
		run->days = (int32) (entry->key & PG_INT32_MAX);
		memcpy(&run->weight, &entry->detail, sizeof(run->weight));
		(*n)++;
	}
	if (DayRunsFault(runs, *n) != NULL)
		FitStateDamaged();
	return runs;
}

SummaryState *
SummaryStateFor(SummaryState *state, const FitOptions *options)
{
	if (state == NULL)
	{
		state = NewFitState(FIRST_CAPACITY);
		memset((char *) state + VARHDRSZ, 0, offsetof(SummaryState, entries) - VARHDRSZ);
		state->version = FIT_STATE_VERSION;
		state->purpose = options->purpose;
		state->basis = options->basis;
		state->features = options->features;
		state->observed_from = options->observed_from;
		state->as_of = options->as_of;
		state->until = options->until;
		state->unit = options->unit;
		state->days_hash = options->days.hash;
		state = AddDayRuns(state, &options->days);
	}
	else if (state->purpose != options->purpose || state->basis != options->basis ||
			 state->as_of != options->as_of || state->until != options->until ||
			 state->unit != options->unit || state->features != options->features ||
			 state->observed_from != options->observed_from ||
			 state->days_hash != options->days.hash)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("as_of and the options must be the same for all customers of a fit"),
						errhint("Give constants, or GROUP BY what differs.")));
	return state;
}

#define ST_SORT SortEntries
#define ST_ELEMENT_TYPE FitEntry
#define ST_COMPARE(a, b)                                                                           \
	((a)->key != (b)->key        ? ((a)->key < (b)->key ? -1 : 1)                                  \
	 : (a)->detail < (b)->detail ? -1                                                              \
								 : (a)->detail > (b)->detail)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static inline bool
EntryBefore(const FitEntry *a, const FitEntry *b)
{
	return a->key != b->key ? a->key < b->key : a->detail < b->detail;
}

static inline bool
SameEntry(const FitEntry *a, const FitEntry *b)
{
	return a->key == b->key && a->detail == b->detail;
}

/* Appends to sorted entries, or adds to the last of them; returns the new count. */
static inline int64
PutEntry(FitEntry *out, int64 n, const FitEntry *entry)
{
	if (n > 0 && SameEntry(&out[n - 1], entry))
	{
		if (pg_add_s64_overflow(out[n - 1].weight, entry->weight, &out[n - 1].weight))
			FitStateDamaged();
		return n;
	}
	out[n] = *entry;
	return n + 1;
}

/* Sorts the unsorted tail and merges it with the rest. */
static void
CompactFitState(SummaryState *state)
{
	int64 ntail = state->nentries - state->nsorted;
	FitEntry *tail = state->entries + state->nsorted;
	FitEntry *head;
	int64 kept = 0;
	int64 i = 0;
	int64 j = 0;

	if (ntail == 0)
		return;
	SortEntries(tail, ntail);
	for (j = 0; j < ntail; j++)
		kept = PutEntry(tail, kept, &tail[j]);
	ntail = kept;

	/* the head moves out of the way and is merged back with the tail */
	head = palloc_extended(mul_size(Max(state->nsorted, 1), sizeof(FitEntry)), MCXT_ALLOC_HUGE);
	memcpy(head, state->entries, state->nsorted * sizeof(FitEntry));
	kept = 0;
	for (j = 0; i < state->nsorted || j < ntail;)
		if (j == ntail || (i < state->nsorted && !EntryBefore(&tail[j], &head[i])))
			kept = PutEntry(state->entries, kept, &head[i++]);
		else
			kept = PutEntry(state->entries, kept, &tail[j++]);
	pfree(head);
	state->nentries = kept;
	state->nsorted = kept;
}

/* The state with room for another entry. */
static SummaryState *
GrowSummaryState(SummaryState *state)
{
	SummaryState *grown;
	Size used;

	CompactFitState(state);
	/* a state made by hand may have no capacity, and doubling 0 gives 0 */
	if (state->nentries <= Capacity(state) / 2 && state->nentries < Capacity(state))
		return state;
	grown = NewFitState(Max(FIRST_CAPACITY, 2 * Capacity(state)));
	used = offsetof(SummaryState, entries) + state->nentries * sizeof(FitEntry);
	memcpy((char *) grown + VARHDRSZ, (char *) state + VARHDRSZ, used - VARHDRSZ);
	/* unused room is sent to other processes: it must not leak old memory */
	memset((char *) grown + used, 0, VARSIZE(grown) - used);
	return grown;
}

SummaryState *
AddFitEntry(SummaryState *state, uint64 key, uint64 detail, int64 weight)
{
	FitEntry *entry;

	if (state->nentries == Capacity(state))
		state = GrowSummaryState(state);
	entry = &state->entries[state->nentries++];
	entry->key = key;
	entry->detail = detail;
	entry->weight = weight;
	return state;
}

SummaryState *
AddCustomer(SummaryState *state, const PurchaseSummary *facts)
{
	uint64 x = (uint64) (facts->purchase_days - 1);
	uint64 t_x = (uint64) ((int64) facts->last - facts->first);
	uint64 T = (uint64) ((int64) state->as_of - facts->first);
	uint64 later = Min((uint64) facts->later_days, MAX_LATER);

	if ((state->features & FIT_MIXED) != 0 && x > 1)
		later |= (uint64) Min(rint(-RegularityOf(facts) * REGULARITY_STEPS), (double) MAX_IRREGULAR)
				 << LATER_BITS;
	return AddFitEntry(state, FIT_KEY(FIT_CUSTOMER, x << 32 | t_x), T << 32 | later, 1);
}

/*
 * Adds to the int128 of two halves; wraps around on overflow, since damaged states may hold
 * anything.
 */
static void
AddHalves(uint64 *halves, int128 more)
{
	uint128 sum;

	memcpy(&sum, halves, sizeof(sum));
	sum += (uint128) more;
	memcpy(halves, &sum, sizeof(sum));
}

static double
HalvesAsDouble(const uint64 *halves)
{
	int128 sum;

	memcpy(&sum, halves, sizeof(sum));
	return (double) sum / 1e6;
}

double
FirstValueSum(const SpendTotals *totals)
{
	return HalvesAsDouble(totals->first);
}

double
SquaresWithin(const SpendTotals *totals)
{
	return Max(0, HalvesAsDouble(totals->squares));
}

/* Adds the customer's repeat purchases to spend, if there are any. */
SummaryState *
AddSpend(SummaryState *state, const PurchaseSummary *facts)
{
	SpendTotals *totals = &state->spend[facts->repeat_value > 0 ? 0 : 1];
	double amount = facts->repeat_value + 0.0; /* no -0 */
	double squares;
	uint64 bits;

	if (facts->valued_days == 0)
		return state;
	squares = facts->repeat_squares - amount * amount / (double) facts->valued_days;
	totals->customers++;
	totals->repeats += facts->valued_days - 1;
	AddHalves(totals->first, (int128) rint(facts->first_value * 1e6));
	AddHalves(totals->squares, (int128) rint(Max(0, Min(squares, MAX_SQUARES)) * 1e6));
	memcpy(&bits, &amount, sizeof(bits));
	return AddFitEntry(state, FIT_KEY(FIT_SPEND, facts->valued_days), bits, 1);
}

/* Months from that of a day to that of as_of. */
static inline uint64
MonthsBack(int32 as_of_month, DateADT day)
{
	return (uint64) Min(MAX_MONTHS_BACK, (int64) as_of_month - MonthNumber(day));
}

/* For purchases at random on days that are all alike parameters do not depend on single gaps. */
static inline bool
NeedsGaps(const SummaryState *state)
{
	return (state->features & ~FIT_INFLOW) != 1 || state->days_hash != 0;
}

/*
 * Returns false if gaps do not count for a customer who first bought on that day.  Months are set
 * only if they are needed: without them few gaps differ.
 */
bool
BeginGaps(const SummaryState *state, DateADT first, GapWalk *walk)
{
	if (!NeedsGaps(state) || first < state->observed_from)
		return false;
	memset(walk, 0, sizeof(*walk));
	walk->by_month = (state->features & (FIT_SEASON | FIT_MONTHS)) != 0;
	walk->by_first = (state->features & FIT_INFLOW) != 0;
	walk->by_day = state->days_hash != 0;
	if (walk->by_month || walk->by_first)
		walk->as_of_month = MonthNumber(state->as_of);
	if (walk->by_month)
		walk->last_month = MonthsBack(walk->as_of_month, first);
	if (walk->by_first)
		walk->first_month = MonthsBack(walk->as_of_month, first);
	walk->last = first;
	return true;
}

/* Adds the gap that ends on a day, which must be later than the one before. */
SummaryState *
AddGap(SummaryState *state, GapWalk *walk, DateADT day)
{
	uint64 month = walk->by_month ? MonthsBack(walk->as_of_month, day) : 0;
	uint64 months = walk->first_month << (2 * MONTH_BITS) | walk->last_month << MONTH_BITS | month;
	uint64 days = (uint64) ((int64) day - walk->last);

	if (walk->by_day)
		days |= (uint64) ((int64) state->as_of - day + 1) << 32;

	walk->last = day;
	walk->last_month = month;
	return AddFitEntry(state, FIT_KEY(FIT_GAP, months), days, 1);
}

SummaryState *
AddGaps(SummaryState *state, const PurchaseHistory *history)
{
	HistoryReader reader;
	PurchaseDay day;
	GapWalk walk;
	bool first = true;

	if (!NeedsGaps(state))
		return state;
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= state->as_of)
	{
		if (day.orders == 0)
			continue;
		if (!first)
			state = AddGap(state, &walk, day.day);
		else if (!BeginGaps(state, day.day, &walk))
			return state;
		first = false;
	}
	return state;
}

SummaryState *
CombineSummaryStates(SummaryState *state, const SummaryState *other)
{
	FitOptions options = {.purpose = other->purpose,
						  .basis = other->basis,
						  .features = other->features,
						  .as_of = other->as_of,
						  .until = other->until,
						  .unit = other->unit,
						  .observed_from = other->observed_from,
						  .days = {.hash = other->days_hash}}; /* they come with the entries */
	SummaryState *given = state;

	state = SummaryStateFor(state, &options);
	for (int i = 0; i < lengthof(state->spend); i++)
	{
		SpendTotals *to = &state->spend[i];
		const SpendTotals *from = &other->spend[i];
		int128 more;

		if (pg_add_s64_overflow(to->customers, from->customers, &to->customers) ||
			pg_add_s64_overflow(to->repeats, from->repeats, &to->repeats))
			FitStateDamaged();
		memcpy(&more, from->first, sizeof(more));
		AddHalves(to->first, more);
		memcpy(&more, from->squares, sizeof(more));
		AddHalves(to->squares, more);
	}
	for (int64 i = 0; i < other->nentries; i++)
	{
		SummaryState *next = AddFitEntry(state, other->entries[i].key, other->entries[i].detail,
										 other->entries[i].weight);

		/* the executor frees the state that it passed */
		if (next != state && state != given)
			pfree(state);
		state = next;
	}
	return state;
}

/*
 * Whether an entry is possible; a state may come from anywhere.  `longest` is the greatest age of
 * the customers so far.
 */
static bool
EntryIsPossible(const SummaryState *state, const FitEntry *entry, int64 *longest)
{
	if (entry->weight <= 0)
		return false;
	switch (FIT_KIND(entry->key))
	{
		case FIT_CUSTOMER:
			*longest = Max(*longest, FitAge(entry));
			return IS_VALID_DATE((int64) state->as_of - FitAge(entry)) &&
				   FitPurchases(entry) <= FitLastDay(entry) && FitLastDay(entry) <= FitAge(entry) &&
				   (FitPurchases(entry) > 0) == (FitLastDay(entry) > 0);
		case FIT_OPPORTUNITIES:
			if (state->days_hash != 0)
				return true; /* checked where they are read */
			return entry->detail <= MAX_OPPORTUNITIES && FitTaken(entry) <= FitLastTaken(entry) &&
				   FitLastTaken(entry) <= FitOffered(entry) &&
				   (FitTaken(entry) == 0) == (FitLastTaken(entry) == 0);
		case FIT_SPEND:
			return (entry->key & PG_UINT32_MAX) > 0 && fabs(FitAmount(entry)) <= MAX_AMOUNT;
		case FIT_GAP:
			return entry->key >> (3 * MONTH_BITS) == FIT_GAP << (62 - 3 * MONTH_BITS) &&
				   FitGapMonths(entry).end <= FitGapMonths(entry).start &&
				   FitGapMonths(entry).start <= *longest / SHORTEST_MONTH + 1 &&
				   FitGapMonths(entry).first <= *longest / SHORTEST_MONTH + 1 &&
				   FitGap(entry) > 0 && FitGap(entry) <= *longest && FitGapEnd(entry) <= *longest &&
				   (FitGapEnd(entry) >= 0) == (state->days_hash != 0);
	}
	return false;
}

void
SortSummaryState(SummaryState *state)
{
	double purchases = 0;
	int64 longest = 0;

	for (int64 i = 1; i < state->nsorted; i++)
		if (!EntryBefore(&state->entries[i - 1], &state->entries[i]))
			FitStateDamaged();
	CompactFitState(state);
	for (int64 i = 0; i < state->nentries; i++)
	{
		const FitEntry *entry = &state->entries[i];

		if (!EntryIsPossible(state, entry, &longest))
			FitStateDamaged();
		purchases += (double) entry->weight;
		if (FIT_KIND(entry->key) == FIT_CUSTOMER)
			purchases += (double) entry->weight * (double) FitPurchases(entry);
		if (FIT_KIND(entry->key) == FIT_OPPORTUNITIES)
			purchases += (double) entry->weight * (double) FitTaken(entry);
	}
	if (purchases > MAX_PURCHASES)
		FitStateDamaged();
}
