/*
 * history_state.c: the state of the aggregates over purchases.
 *
 * The state is itself a purchase_history, in its unsorted form: an encoded body, then a tail of
 * days in the order of their arrival, then room for more.  A concrete state type lets parallel,
 * partition-wise and distributed plans split the aggregates; the tail makes adding a row as cheap
 * as appending it.
 *
 * A day of the tail is about as small as one of the body, so most states never have to grow, and
 * more groups fit into memory:
 *
 *	day		varint: zigzag of the days since the entry before (the first: since
 *			FIRST_DAY_BASE), shifted left by one bit; bit 0: `extra` follows
 *	extra	varint: orders * 2 + (amount < 0); without it: one order, amount >= 0
 *	amount	varint: magnitude in units of 10^-scale
 *	cost	zigzag varint, then covered the same way, if the state has costs
 */
#include "postgres.h"

#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "storage/shmem.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/common.h"
#include "base/local_day.h"
#include "base/numeric_bytes.h"
#include "history/history_state.h"

typedef struct HistoryState
{
	int32 vl_len_;
	uint8 version;
	uint8 flags; /* HISTORY_UNSORTED, HISTORY_COSTS, the tail's scale */
	uint16 unused;
	uint32 body_size; /* 0: no body */
	uint32 tail_size;
	DateADT last_day;                  /* of the tail */
	uint8 data[FLEXIBLE_ARRAY_MEMBER]; /* body, tail, room */
} HistoryState;

#define FIRST_STATE_SIZE 128 /* some twenty days */
#define RAW_STATE_SIZE 256   /* a state without a body grows up to this size */
#define MIN_TAIL_ROOM 64
#define MAX_TAIL_DAY (5 * MAX_VARINT)
#define MIN_TAIL_DAY 2

static inline bool
StateHasCosts(const HistoryState *state)
{
	return (state->flags & HISTORY_COSTS) != 0;
}

static inline int
StateScale(const HistoryState *state)
{
	return (state->flags >> HISTORY_SCALE_SHIFT) & HISTORY_SCALE_MASK;
}

static inline Size
StateUsed(const HistoryState *state)
{
	return offsetof(HistoryState, data) + state->body_size + state->tail_size;
}

static inline uint8 *
WriteTailDay(uint8 *p, const PurchaseDay *day, DateADT last_day, bool costs)
{
	bool extra = day->orders != 1 || day->amount < 0;

	p = WriteVarint(p, (ZigZag((int64) day->day - last_day) << 1) | extra);
	if (extra)
		p = WriteVarint(p, ((uint64) day->orders << 1) | (day->amount < 0));
	p = WriteVarint(p, day->amount < 0 ? (uint64) -day->amount : (uint64) day->amount);
	if (costs)
	{
		p = WriteVarint(p, ZigZag(day->cost));
		p = WriteVarint(p, ZigZag(day->covered));
	}
	return p;
}

static inline void
ReadTailDay(ByteReader *bytes, PurchaseDay *day, DateADT last_day, bool costs)
{
	uint64 token = ReadVarint(bytes);
	uint64 extra = (token & 1) ? ReadVarint(bytes) : 2;
	uint64 magnitude = ReadVarint(bytes);

	bytes->failed |= magnitude > PG_INT64_MAX;
	day->day = (DateADT) (last_day + UnZigZag(token >> 1));
	day->orders = (int32) (extra >> 1);
	day->amount = (extra & 1) ? -(int64) magnitude : (int64) magnitude;
	day->cost = costs ? UnZigZag(ReadVarint(bytes)) : 0;
	day->covered = costs ? UnZigZag(ReadVarint(bytes)) : 0;
}

/* A state of the given size with a copy of a body (or none) and an empty tail. */
static HistoryState *
NewState(Size size, const PurchaseHistory *body, int scale, bool costs)
{
	HistoryState *state = palloc(size);

	SET_VARSIZE(state, size);
	state->version = HISTORY_VERSION;
	state->flags = HISTORY_UNSORTED | (costs ? HISTORY_COSTS : 0) | (scale << HISTORY_SCALE_SHIFT);
	state->unused = 0;
	state->body_size = body ? VARSIZE_ANY(body) : 0;
	state->tail_size = 0;
	state->last_day = FIRST_DAY_BASE;
	if (body)
		memcpy(state->data, body, state->body_size);
	return state;
}

/* Whether the body is a compact history that fills its place in the state. */
static bool
BodyIsWhole(const HistoryState *state)
{
	const PurchaseHistory *body = (const PurchaseHistory *) state->data;

	return !VARATT_IS_EXTERNAL(body) && !VARATT_IS_COMPRESSED(body) &&
		   VARSIZE_ANY(body) == state->body_size && !HistoryIsUnsorted(body);
}

/* A state from a tuple or another process: aligned, and with sizes checked against its own. */
static HistoryState *
CheckedState(const PurchaseHistory *value)
{
	HistoryState *state = (HistoryState *) value;

	if (VARATT_IS_SHORT(value) || (uintptr_t) value != MAXALIGN((uintptr_t) value))
	{
		Size size = VARSIZE_ANY_EXHDR(value);

		state = palloc(size + VARHDRSZ);
		SET_VARSIZE(state, size + VARHDRSZ);
		memcpy(VARDATA(state), VARDATA_ANY(value), size);
	}
	if (VARSIZE(state) < offsetof(HistoryState, data) ||
		state->body_size > VARSIZE(state) - offsetof(HistoryState, data) ||
		state->tail_size > VARSIZE(state) - offsetof(HistoryState, data) - state->body_size ||
		StateScale(state) > MAX_SCALE)
		HistoryCorrupted();
	return state;
}

/* All days of a state, body and tail, not sorted. */
static PurchaseDay *
StateDays(const HistoryState *state, int scale, int64 *ndays)
{
	Size max_days = state->tail_size / MIN_TAIL_DAY + 1;
	DateADT last_day = FIRST_DAY_BASE;
	ByteReader tail;
	PurchaseDay *days;
	int64 n = 0;

	if (state->body_size > 0)
	{
		PurchaseDay *body;

		if (!BodyIsWhole(state))
			HistoryCorrupted();
		body = DecodeHistory((const PurchaseHistory *) state->data, scale, &n);
		days = repalloc_huge(body, (n + max_days) * sizeof(PurchaseDay));
	}
	else
		days = palloc_extended(max_days * sizeof(PurchaseDay), MCXT_ALLOC_HUGE);

	ByteReaderInit(&tail, state->data + state->body_size, state->tail_size);
	while (tail.next < tail.end)
	{
		PurchaseDay *day = &days[n++];

		ReadTailDay(&tail, day, last_day, StateHasCosts(state));
		if (tail.failed)
			HistoryCorrupted();
		last_day = day->day;
		day->amount = Rescale(day->amount, StateScale(state), scale);
		day->cost = Rescale(day->cost, StateScale(state), scale);
		day->covered = Rescale(day->covered, StateScale(state), scale);
	}
	*ndays = n;
	return days;
}

PurchaseHistory *
CompactState(const PurchaseHistory *value)
{
	HistoryState *state = CheckedState(value);
	int64 ndays;
	PurchaseDay *days = StateDays(state, StateScale(state), &ndays);
	PurchaseHistory *history = EncodeHistory(days, ndays, StateScale(state));

	pfree(days);
	return history;
}

/* The state with everything moved to its body, and an empty tail. */
static HistoryState *
RepackState(const HistoryState *state, int scale, bool costs)
{
	int64 ndays;
	PurchaseDay *days = StateDays(state, scale, &ndays);
	PurchaseHistory *body = EncodeHistory(days, ndays, scale);
	Size size = offsetof(HistoryState, data) + VARSIZE(body);
	HistoryState *packed;

	size = add_size(size, Max(MIN_TAIL_ROOM, VARSIZE(body) / 2));
	if (size > MaxAllocSize / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("purchase history is too long")));
	packed = NewState(pg_nextpower2_size_t(size), body, scale, costs);
	pfree(days);
	pfree(body);
	return packed;
}

/* A larger state with the same days. */
static HistoryState *
GrowState(const HistoryState *state)
{
	HistoryState *grown;
	Size size = VARSIZE(state);

	if (state->body_size > 0 || size >= RAW_STATE_SIZE)
		return RepackState(state, StateScale(state), StateHasCosts(state));

	grown = palloc(size * 2);
	memcpy(grown, state, size);
	SET_VARSIZE(grown, size * 2);
	return grown;
}

/*
 * Adds one day, in units of 10^-scale, to the state of an aggregate (NULL for none yet), in place
 * if there is room.  A state that has to grow is made in the current memory context; the executor
 * copies it to the aggregate's.
 */
static HistoryState *
AddToState(HistoryState *state, PurchaseDay *day, int scale, bool costs)
{
	uint8 entry[MAX_TAIL_DAY];
	Size size;

	if (state == NULL)
		state = NewState(FIRST_STATE_SIZE, NULL, scale, costs);
	else if (unlikely(scale > StateScale(state) || (costs && !StateHasCosts(state))))
		state = RepackState(state, Max(scale, StateScale(state)), costs || StateHasCosts(state));

	if (scale < StateScale(state))
	{
		day->amount = Rescale(day->amount, scale, StateScale(state));
		day->cost = Rescale(day->cost, scale, StateScale(state));
		day->covered = Rescale(day->covered, scale, StateScale(state));
	}
	for (;;)
	{
		size = WriteTailDay(entry, day, state->last_day, StateHasCosts(state)) - entry;
		if (likely(size <= VARSIZE(state) - StateUsed(state)))
			break;
		state = GrowState(state);
	}
	memcpy((uint8 *) state + StateUsed(state), entry, size);
	state->tail_size += size;
	state->last_day = day->day;
	return state;
}

/* The state argument of a transition function, in the unsorted form. */
static HistoryState *
StateArgument(FunctionCallInfo fcinfo)
{
	PurchaseHistory *value;

	if (PG_ARGISNULL(0))
		return NULL;
	value = (PurchaseHistory *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	if (HistoryIsUnsorted(value))
		return CheckedState(value);

	/* a compact one: a distributed plan sent it as text */
	return NewState(
		pg_nextpower2_size_t(offsetof(HistoryState, data) + VARSIZE_ANY(value) + MIN_TAIL_ROOM),
		value, HistoryScale(value), HistoryHasCosts(value));
}

/* One row of an aggregate, (state, day, amount [, cost]), with the day determined. */
static Datum
AddRow(FunctionCallInfo fcinfo, DateADT date)
{
	HistoryState *state = StateArgument(fcinfo);
	bool has_cost = PG_NARGS() > 3 && !PG_ARGISNULL(3);
	PurchaseDay day;
	Decimal cost = {0, 0};
	int scale;

	if (has_cost)
		cost = DecimalFromNumeric(PG_GETARG_DATUM(3), "cost");
	scale = MakePurchaseDay(&day, date, DecimalFromNumeric(PG_GETARG_DATUM(2), "amount"),
							has_cost ? &cost : NULL);
	PG_RETURN_POINTER(AddToState(state, &day, scale, has_cost));
}

/* Whether to skip the row: no day or no amount. */
static inline bool
RowIsSkipped(FunctionCallInfo fcinfo)
{
	(void) AggregateContext(fcinfo, "purchase_history_agg_transfn");
	return PG_ARGISNULL(1) || PG_ARGISNULL(2);
}

/* The state unchanged, for a row that is skipped. */
static inline Datum
KeepState(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

PG_FUNCTION_INFO_V1(purchase_history_agg_transfn_date);
Datum
purchase_history_agg_transfn_date(PG_FUNCTION_ARGS)
{
	if (RowIsSkipped(fcinfo))
		return KeepState(fcinfo);
	return AddRow(fcinfo, CheckedDay(PG_GETARG_DATEADT(1), "purchase day"));
}

PG_FUNCTION_INFO_V1(purchase_history_agg_transfn_timestamp);
Datum
purchase_history_agg_transfn_timestamp(PG_FUNCTION_ARGS)
{
	if (RowIsSkipped(fcinfo))
		return KeepState(fcinfo);
	return AddRow(fcinfo, DayOfTimestamp(PG_GETARG_TIMESTAMP(1)));
}

/*
 * The day of a time depends on the session's time zone, and a session that another server has
 * opened to have an aggregate computed does not have that of the user: an error, not other days.
 */
void
RefuseForeignSession(void)
{
	static const struct
	{
		const char *setting;
		const char *value;
	} of_postgres_fdw[] = {
		{"search_path", "pg_catalog"}, {"TimeZone", "GMT"}, {"extra_float_digits", "3"}};
	bool foreign = strcmp(application_name, "postgres_fdw") == 0;

	for (int i = 0; i < lengthof(of_postgres_fdw) && !foreign; i++)
	{
		if (strcmp(GetConfigOption(of_postgres_fdw[i].setting, false, false),
				   of_postgres_fdw[i].value) != 0)
			break;
		foreign = i == lengthof(of_postgres_fdw) - 1;
	}
	if (foreign || IsCitusSession())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the days of purchase_history_agg(timestamptz, …) would depend on "
							   "the time zone of another server"),
						errdetail("It has TimeZone %s.", GetConfigOption("TimeZone", false, false)),
						errhint("Say which time zone the days are in: purchase_history_agg("
								"(sold_at AT TIME ZONE 'Europe/Vienna')::date, …).")));
}

PG_FUNCTION_INFO_V1(purchase_history_agg_transfn_timestamptz);
Datum
purchase_history_agg_transfn_timestamptz(PG_FUNCTION_ARGS)
{
	if (RowIsSkipped(fcinfo))
		return KeepState(fcinfo);
	if (fcinfo->flinfo->fn_extra == NULL)
		RefuseForeignSession();
	return AddRow(fcinfo, LocalDayOfTimestampTz(PG_GETARG_TIMESTAMPTZ(1), LocalDayCacheOf(fcinfo)));
}

/*
 * Adds the second state, or a whole history, to the first: the combine function
 * of the aggregates and the transition function of purchase_history_merge_agg.
 */
PG_FUNCTION_INFO_V1(purchase_history_agg_combine);
Datum
purchase_history_agg_combine(PG_FUNCTION_ARGS)
{
	HistoryState *state;
	PurchaseHistory *other;
	PurchaseDay *days;
	int64 ndays;
	int scale;
	bool costs;

	(void) AggregateContext(fcinfo, "purchase_history_agg_combine");
	if (PG_ARGISNULL(1))
		return KeepState(fcinfo);
	state = StateArgument(fcinfo);
	other = (PurchaseHistory *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (HistoryIsUnsorted(other))
	{
		HistoryState *from = CheckedState(other);

		scale = StateScale(from);
		costs = StateHasCosts(from);
		days = StateDays(from, scale, &ndays);
	}
	else
	{
		scale = HistoryScale(other);
		costs = HistoryHasCosts(other);
		days = DecodeHistory(other, scale, &ndays);
	}
	if (state == NULL)
		state = NewState(FIRST_STATE_SIZE, NULL, scale, costs);
	for (int64 i = 0; i < ndays; i++)
	{
		HistoryState *next = AddToState(state, &days[i], scale, costs);

		state = next;
	}
	pfree(days);
	PG_RETURN_POINTER(state);
}

PG_FUNCTION_INFO_V1(purchase_history_agg_finalfn);
Datum
purchase_history_agg_finalfn(PG_FUNCTION_ARGS)
{
	PurchaseHistory *state = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(HistoryIsUnsorted(state) ? CompactState(state) : state);
}
