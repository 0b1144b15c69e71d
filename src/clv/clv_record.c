/*
 * clv_record.c: how good the forecasts of several models would have been, time and again.
 *
 * On several past days every candidate is fitted to what was known then and forecasts the
 * days that followed.  What came is known, so the candidates have a record to go by.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/local_day.h"
#include "clv/clv_fit.h"
#include "clv/clv_holdout.h"

#define RECORD_STATE_VERSION 1
#define FIRST_RECORD_BYTES 1024
#define MAX_CUT_OFFS 4
#define MIN_HORIZON 7
#define MAX_HORIZON 3660
#define RECORD_COLUMNS 8

/*
 * The purchase days of the customers, one after the other: how many, how many days before
 * as_of the first, then the gaps, all as variable-length integers.  The order in which the
 * customers came does not matter to what is made of them.
 */
typedef struct RecordState
{
	int32 vl_len_;
	uint8 version;
	uint8 basis;
	uint8 unused[2];
	DateADT as_of;
	int32 horizon; /* days */
	int64 used;    /* bytes */
	uint8 bytes[FLEXIBLE_ARRAY_MEMBER];
} RecordState;

/*
 * What is tried, the first one unless another is better.  Regularity and season are not: the
 * likelihood and the years speak of them with far more observations.  pareto/nbd neither: its
 * integrals would take longer than all the others together, and it knows no regularity.
 */
typedef struct Candidate
{
	const char *name;
	ClvFamily family;
	uint8 features;
} Candidate;

static const Candidate Candidates[] = {
	{"mbg/cnbd-k, season, inflow", CLV_MBG_NBD, FIT_SEASON | FIT_INFLOW},
	{"bg/cnbd-k, season, inflow", CLV_BG_NBD, FIT_SEASON | FIT_INFLOW},
	{"mbg/cnbd-k, season", CLV_MBG_NBD, FIT_SEASON},
	{"bg/cnbd-k, season", CLV_BG_NBD, FIT_SEASON},
	{"mbg/nbd", CLV_MBG_NBD, 1},
};
#define CANDIDATES lengthof(Candidates)

pg_noreturn static void
RecordStateDamaged(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of clv_record is damaged")));
}

static RecordState *
NewRecordState(int64 capacity)
{
	Size size = add_size(offsetof(RecordState, bytes), capacity);
	RecordState *state;

	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many purchases for one record"),
						errhint("Give a sample of the customers.")));
	state = palloc0(size);
	SET_VARSIZE(state, size);
	state->version = RECORD_STATE_VERSION;
	return state;
}

static inline int64
RecordCapacity(const RecordState *state)
{
	return (int64) VARSIZE(state) - (int64) offsetof(RecordState, bytes);
}

/* The state argument, aligned and checked; NULL: none yet. */
static RecordState *
RecordStateArgument(FunctionCallInfo fcinfo, int argument)
{
	struct varlena *value;
	RecordState *state;

	if (PG_ARGISNULL(argument))
		return NULL;
	value = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(argument));
	state = (RecordState *) value;
	if (VARATT_IS_SHORT(value) || (uintptr_t) value != MAXALIGN((uintptr_t) value))
	{
		Size size = VARSIZE_ANY_EXHDR(value);

		state = palloc(size + VARHDRSZ);
		SET_VARSIZE(state, size + VARHDRSZ);
		memcpy(VARDATA(state), VARDATA_ANY(value), size);
	}
	if (VARSIZE(state) < offsetof(RecordState, bytes) || state->version != RECORD_STATE_VERSION ||
		!IS_VALID_DATE(state->as_of) || state->horizon < MIN_HORIZON ||
		state->horizon > MAX_HORIZON || state->used < 0 || state->used > RecordCapacity(state))
		RecordStateDamaged();
	return state;
}

/* The state with room for so many bytes more. */
static RecordState *
EnlargeRecord(RecordState *state, int64 more)
{
	RecordState *grown;

	if (RecordCapacity(state) - state->used >= more)
		return state;
	grown = NewRecordState(2 * Max(RecordCapacity(state), FIRST_RECORD_BYTES) + more);
	grown->as_of = state->as_of;
	grown->horizon = state->horizon;
	grown->used = state->used;
	memcpy(grown->bytes, state->bytes, state->used);
	return grown;
}

static inline void
PutVarint(RecordState *state, uint64 number)
{
	for (; number >= 0x80; number >>= 7)
		state->bytes[state->used++] = (uint8) (number | 0x80);
	state->bytes[state->used++] = (uint8) number;
}

static inline uint64
TakeVarint(const RecordState *state, int64 *at)
{
	uint64 number = 0;

	for (int shift = 0; shift < 35; shift += 7)
	{
		uint8 byte;

		if (*at >= state->used)
			RecordStateDamaged();
		byte = state->bytes[(*at)++];
		number |= (uint64) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return number;
	}
	RecordStateDamaged();
}

static void
SameRecord(DateADT as_of, int32 horizon, const RecordState *state)
{
	if (state->as_of != as_of || state->horizon != horizon)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("as_of and horizon must be the same for all customers of a record"),
						errhint("Give constants, or GROUP BY what differs.")));
}

/* (state, history, as_of, horizon_days) */
PG_FUNCTION_INFO_V1(clv_record_transfn);
Datum
clv_record_transfn(PG_FUNCTION_ARGS)
{
	RecordState *state;
	DateADT as_of;
	DateADT previous = 0;
	int32 horizon;
	const PurchaseHistory *history;
	HistoryReader reader;
	PurchaseDay day;
	int64 n = 0;

	(void) AggregateContext(fcinfo, "clv_record_transfn");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	as_of = CheckedDay(PG_GETARG_DATEADT(2), "as_of");
	horizon = PG_GETARG_INT32(3);
	if (horizon < MIN_HORIZON || horizon > MAX_HORIZON)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("horizon_days must be between %d and %d, not %d", MIN_HORIZON,
							   MAX_HORIZON, horizon)));
	history = PG_GETARG_HISTORY(1);
	state = RecordStateArgument(fcinfo, 0);
	if (state == NULL)
	{
		state = NewRecordState(FIRST_RECORD_BYTES);
		state->as_of = as_of;
		state->horizon = horizon;
	}
	SameRecord(as_of, horizon, state);
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
		n += day.orders > 0;
	if (n == 0)
		PG_RETURN_POINTER(state);
	state = EnlargeRecord(state, 5 * (n + 1));
	PutVarint(state, n);
	n = 0;
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= as_of)
	{
		if (day.orders == 0)
			continue;
		PutVarint(state, n++ == 0 ? (int64) as_of - day.day : (int64) day.day - previous);
		previous = day.day;
	}
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(clv_record_combine);
Datum
clv_record_combine(PG_FUNCTION_ARGS)
{
	RecordState *state;
	const RecordState *other;

	(void) AggregateContext(fcinfo, "clv_record_combine");
	other = RecordStateArgument(fcinfo, 1);
	if (other == NULL)
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	state = RecordStateArgument(fcinfo, 0);
	if (state == NULL)
	{
		state = NewRecordState(other->used);
		state->as_of = other->as_of;
		state->horizon = other->horizon;
	}
	SameRecord(other->as_of, other->horizon, state);
	state = EnlargeRecord(state, other->used);
	memcpy(state->bytes + state->used, other->bytes, other->used);
	state->used += other->used;
	PG_RETURN_POINTER(state);
}

/* What was known on a day of the customers, and what they bought from then on to another. */
static SummaryState *
KnownOn(const RecordState *record, DateADT as_of, DateADT until)
{
	FitOptions options = {.purpose = CLV_MBG_NBD,
						  .features = FIT_SEASON | FIT_INFLOW,
						  .as_of = as_of,
						  .until = until,
						  .unit = WEEK_DAYS,
						  .observed_from = DATEVAL_NOBEGIN};
	SummaryState *state = SummaryStateFor(NULL, &options);

	for (int64 at = 0; at < record->used;)
	{
		int64 n = (int64) TakeVarint(record, &at);
		int64 day = (int64) record->as_of - (int64) TakeVarint(record, &at);
		PurchaseSummary facts = {.first = (DateADT) day};
		GapWalk walk;

		CHECK_FOR_INTERRUPTS();
		if (n < 1 || !IS_VALID_DATE(day))
			RecordStateDamaged();
		(void) BeginGaps(state, (DateADT) day, &walk);
		for (int64 i = 0; i < n; i++)
		{
			int64 gap = i == 0 ? 0 : (int64) TakeVarint(record, &at);

			day += gap;
			if ((i > 0 && gap == 0) || day > record->as_of)
				RecordStateDamaged();
			if (day > until)
				continue;
			if (day > as_of)
			{
				facts.later_days++;
				continue;
			}
			if (i > 0)
				state = AddGap(state, &walk, (DateADT) day);
			facts.purchase_days++;
			facts.last = (DateADT) day;
		}
		if (facts.purchase_days > 0)
			state = AddCustomer(state, &facts);
	}
	return state;
}

/* The first purchase of all. */
static DateADT
OldestDay(const RecordState *record)
{
	int64 oldest = record->as_of;

	for (int64 at = 0; at < record->used;)
	{
		int64 n = (int64) TakeVarint(record, &at);
		int64 first = (int64) record->as_of - (int64) TakeVarint(record, &at);

		oldest = Min(oldest, first);
		for (int64 i = 1; i < n; i++)
			(void) TakeVarint(record, &at);
	}
	if (!IS_VALID_DATE(oldest))
		RecordStateDamaged();
	return (DateADT) oldest;
}

/* Whether two fits are one: what the second asks for and the first does not was not found. */
static bool
SameFit(const ClvModel *a, const ClvModel *b)
{
	return a->family == b->family && a->regularity == b->regularity &&
		   a->observed_from == b->observed_from &&
		   memcmp(a->season, b->season, sizeof(a->season)) == 0;
}

/* A line of the record. */
static Datum
RecordLine(TupleDesc desc, const char *candidate, const ClvModel *model, const SummaryState *state,
		   const HoldoutTotal *total)
{
	Datum values[RECORD_COLUMNS];
	bool nulls[RECORD_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(candidate);
	values[1] = CStringGetTextDatum(ClvModelName(model));
	values[2] = DateADTGetDatum(state->as_of);
	values[3] = DateADTGetDatum(state->until);
	values[4] = Int64GetDatum((int64) total->customers);
	values[5] = Float8GetDatum(total->predicted);
	values[6] = Float8GetDatum(total->actual);
	values[7] = Float8GetDatum(total->error / total->customers);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* The lines of all candidates on one day; returns how many. */
static int
TryCandidates(TupleDesc desc, SummaryState *state, Datum *lines)
{
	ClvModel *models = palloc(CANDIDATES * sizeof(ClvModel));
	HoldoutTotal totals[CANDIDATES];
	int nlines = 0;

	for (int c = 0; c < CANDIDATES; c++)
	{
		int twin = c;

		state->purpose = Candidates[c].family;
		state->features = Candidates[c].features;
		/* where there is no edge and no regularity, several candidates are one */
		FitClvModel(state, &models[c]);
		for (int before = 0; before < c; before++)
			if (SameFit(&models[c], &models[before]))
			{
				twin = before;
				break;
			}
		if (!ClvModelIsUsable(&models[c]))
			continue;
		if (twin == c)
			HoldoutTotals(state, &models[c], &totals[c]);
		else
			totals[c] = totals[twin];
		if (totals[c].customers > 0)
			lines[nlines++] = RecordLine(desc, Candidates[c].name, &models[c], state, &totals[c]);
	}
	pfree(models);
	return nlines;
}

PG_FUNCTION_INFO_V1(clv_record_finalfn);
Datum
clv_record_finalfn(PG_FUNCTION_ARGS)
{
	RecordState *record;
	Datum lines[MAX_CUT_OFFS * CANDIDATES];
	int nlines = 0;
	Oid line_type;
	TupleDesc desc;
	DateADT oldest;

	(void) AggregateContext(fcinfo, "clv_record_finalfn");
	record = RecordStateArgument(fcinfo, 0);
	oldest = OldestDay(record);
	line_type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	desc = lookup_rowtype_tupdesc_copy(line_type, -1);
	for (int i = 1; i <= MAX_CUT_OFFS; i++)
	{
		int64 until = (int64) record->as_of - (int64) (i - 1) * record->horizon;
		int64 as_of = until - record->horizon;
		SummaryState *state;

		/* as long a time to learn from, at least, as is forecast */
		if (as_of - oldest < record->horizon)
			break;
		state = KnownOn(record, (DateADT) as_of, (DateADT) until);
		nlines += TryCandidates(desc, state, lines + nlines);
		pfree(state);
	}
	if (nlines == 0)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(construct_array(lines, nlines, line_type, -1, false, TYPALIGN_DOUBLE));
}
