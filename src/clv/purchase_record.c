/*
 * purchase_record.c: the state of the aggregates that test forecasts on past days.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/common.h"
#include "clv/clv_math.h"
#include "clv/purchase_record.h"

#define RECORD_VERSION 4
#define FIRST_RECORD_BYTES 1024
#define VARINT_BYTES 5
#define MAX_VALUE 1e30 /* far beyond what histories can hold */

pg_noreturn static void
RecordDamaged(void)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("state of clv_record is damaged")));
}

static PurchaseRecord *
NewRecord(int64 capacity)
{
	Size size = add_size(offsetof(PurchaseRecord, bytes), capacity);
	PurchaseRecord *record;

	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many purchases for one record"),
						errhint("Give a sample of the customers.")));
	record = palloc0(size);
	SET_VARSIZE(record, size);
	record->version = RECORD_VERSION;
	return record;
}

static inline int64
RecordCapacity(const PurchaseRecord *record)
{
	return (int64) VARSIZE(record) - (int64) offsetof(PurchaseRecord, bytes);
}

/* Where the customers begin: behind the runs of days. */
static inline int64
StartOfCustomers(const PurchaseRecord *record)
{
	return record->options.days.n * (int64) sizeof(DayRun);
}

static bool
OptionsAreSound(const FitOptions *options)
{
	return options->purpose <= CLV_PARETO_NBD && options->basis <= VALUE_PROFIT &&
		   (options->features & ~FIT_FEATURES) == 0 &&
		   (options->features & FIT_REGULARITY) <= MAX_REGULARITY &&
		   IS_VALID_DATE(options->as_of) && IS_VALID_DATE(options->until) &&
		   options->as_of < options->until &&
		   (IS_VALID_DATE(options->observed_from) || options->observed_from == DATEVAL_NOBEGIN) &&
		   options->days.n >= 0 && options->days.n <= MAX_DAY_RUNS &&
		   (options->days.n > 0) == (options->days.hash != 0) && options->days.runs == NULL &&
		   options->unit >= MIN_UNIT_DAYS && options->unit <= MAX_UNIT_DAYS;
}

PurchaseRecord *
PurchaseRecordArgument(FunctionCallInfo fcinfo, int argument)
{
	PurchaseRecord *record;

	if (PG_ARGISNULL(argument))
		return NULL;
	record = AlignedVarlena(PG_GETARG_DATUM(argument));
	if (VARSIZE(record) < offsetof(PurchaseRecord, bytes) || record->version != RECORD_VERSION ||
		record->with_values > 1 || !OptionsAreSound(&record->options) || record->used < 0 ||
		record->used > RecordCapacity(record) || record->used < StartOfCustomers(record) ||
		DayRunsFault((const DayRun *) record->bytes, record->options.days.n) != NULL)
		RecordDamaged();
	return record;
}

/* The record with room for that many more bytes. */
static PurchaseRecord *
EnlargeRecord(PurchaseRecord *record, int64 more)
{
	PurchaseRecord *grown;

	if (RecordCapacity(record) - record->used >= more)
		return record;
	grown = NewRecord(2 * Max(RecordCapacity(record), FIRST_RECORD_BYTES) + more);
	memcpy(&grown->version, &record->version,
		   offsetof(PurchaseRecord, bytes) - offsetof(PurchaseRecord, version) + record->used);
	return grown;
}

/* The record for a row of these options: a new one for the first, else an error if they differ. */
static PurchaseRecord *
RecordFor(PurchaseRecord *record, const FitOptions *options, bool with_values)
{
	const FitOptions *own = record == NULL ? NULL : &record->options;

	if (record == NULL)
	{
		Size size = options->days.n * sizeof(DayRun);

		record = NewRecord(FIRST_RECORD_BYTES + (int64) size);
		record->with_values = with_values;
		record->options.purpose = options->purpose;
		record->options.basis = options->basis;
		record->options.features = options->features;
		record->options.as_of = options->as_of;
		record->options.until = options->until;
		record->options.unit = options->unit;
		record->options.observed_from = options->observed_from;
		record->options.days.n = options->days.n;
		record->options.days.hash = options->days.hash;
		if (size > 0)
			memcpy(record->bytes, options->days.runs, size);
		record->used = (int64) size;
	}
	else if (own->purpose != options->purpose || own->basis != options->basis ||
			 own->features != options->features || own->as_of != options->as_of ||
			 own->until != options->until || own->unit != options->unit ||
			 own->observed_from != options->observed_from || own->days.hash != options->days.hash ||
			 record->with_values != with_values)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("days and options must be the same for all customers of a record"),
						errhint("Give constants, or GROUP BY what differs.")));
	return record;
}

static inline void
PutVarint(PurchaseRecord *record, uint64 number)
{
	for (; number >= 0x80; number >>= 7)
		record->bytes[record->used++] = (uint8) (number | 0x80);
	record->bytes[record->used++] = (uint8) number;
}

static inline uint64
TakeVarint(RecordReader *reader)
{
	uint64 number = 0;

	for (int shift = 0; shift < 7 * VARINT_BYTES; shift += 7)
	{
		uint8 byte;

		if (reader->at >= reader->record->used)
			RecordDamaged();
		byte = reader->record->bytes[reader->at++];
		number |= (uint64) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return number;
	}
	RecordDamaged();
}

/* Whether a day is recorded; nothing before the first purchase is. */
static inline bool
IsRecorded(const PurchaseDay *day, bool with_values, bool first)
{
	return day->orders > 0 || (with_values && !first);
}

PurchaseRecord *
AddToRecord(PurchaseRecord *record, const FitOptions *options, bool with_values,
			const PurchaseHistory *history)
{
	HistoryReader reader;
	PurchaseDay day;
	DateADT previous = 0;
	int64 n = 0;

	record = RecordFor(record, options, with_values);
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= options->until)
		n += IsRecorded(&day, with_values, n == 0);
	if (n == 0)
		return record;
	record = EnlargeRecord(record, 2 * VARINT_BYTES + n * (VARINT_BYTES + 1 + sizeof(double)));
	PutVarint(record, n);
	n = 0;
	HistoryReaderInit(&reader, history);
	while (ReadPurchaseDay(&reader, &day) && day.day <= options->until)
	{
		if (!IsRecorded(&day, with_values, n == 0))
			continue;
		if (n++ == 0)
		{
			PutVarint(record, (int64) options->until - day.day);
			previous = day.day;
		}
		PutVarint(record, ((int64) day.day - previous) << 1 | (day.orders > 0));
		previous = day.day;
		if (with_values)
		{
			bool valued = options->basis == VALUE_REVENUE || (day.cost | day.covered) != 0;
			double value = ValueOfDay(&day, (ValueBasis) options->basis, reader.scale);

			record->bytes[record->used++] = valued;
			memcpy(record->bytes + record->used, &value, sizeof(value));
			record->used += sizeof(value);
		}
	}
	return record;
}

PG_FUNCTION_INFO_V1(clv_record_combine);
Datum
clv_record_combine(PG_FUNCTION_ARGS)
{
	PurchaseRecord *record;
	const PurchaseRecord *other;
	FitOptions options;
	int64 start;

	(void) AggregateContext(fcinfo, "clv_record_combine");
	other = PurchaseRecordArgument(fcinfo, 1);
	if (other == NULL)
		return KeepSummaryState(fcinfo);
	options = other->options;
	options.days.runs = (DayRun *) other->bytes;
	record = RecordFor(PurchaseRecordArgument(fcinfo, 0), &options, other->with_values);
	start = StartOfCustomers(other);
	record = EnlargeRecord(record, other->used - start);
	memcpy(record->bytes + record->used, other->bytes + start, other->used - start);
	record->used += other->used - start;
	PG_RETURN_POINTER(record);
}

bool
NextRecorded(RecordReader *reader)
{
	RecordedDay day;
	int64 first;

	while (reader->days > 0)
		(void) NextRecordedDay(reader, &day);
	reader->at = Max(reader->at, StartOfCustomers(reader->record));
	if (reader->at >= reader->record->used)
		return false;
	CHECK_FOR_INTERRUPTS();
	reader->days = (int64) TakeVarint(reader);
	first = (int64) reader->record->options.until - (int64) TakeVarint(reader);
	if (reader->days < 1 || !IS_VALID_DATE(first))
		RecordDamaged();
	reader->day = (DateADT) first;
	reader->first = true;
	return true;
}

bool
NextRecordedDay(RecordReader *reader, RecordedDay *day)
{
	const PurchaseRecord *record = reader->record;
	uint64 gap;
	int64 next;

	if (reader->days == 0)
		return false;
	gap = TakeVarint(reader);
	next = reader->day + (int64) (gap >> 1);
	day->ordered = gap & 1;
	if ((gap >> 1 == 0) != reader->first || (reader->first && !day->ordered) ||
		next > record->options.until)
		RecordDamaged();
	day->valued = false;
	day->value = 0;
	if (record->with_values)
	{
		if (record->used - reader->at < 1 + (int64) sizeof(double) || record->bytes[reader->at] > 1)
			RecordDamaged();
		day->valued = record->bytes[reader->at++];
		memcpy(&day->value, record->bytes + reader->at, sizeof(double));
		reader->at += sizeof(double);
		if (!(fabs(day->value) <= MAX_VALUE))
			RecordDamaged();
	}
	day->day = reader->day = (DateADT) next;
	reader->days--;
	reader->first = false;
	return true;
}

SummaryState *
KnownOn(const PurchaseRecord *record, DateADT as_of, DateADT until, PurchaseSummary **facts,
		int64 *nfacts)
{
	FitOptions options = record->options;
	SummaryState *state;
	RecordReader reader = {.record = record};
	int64 room = 0;

	options.as_of = as_of;
	options.until = until;
	options.days.runs = (DayRun *) record->bytes;
	state = SummaryStateFor(NULL, &options);
	if (facts)
	{
		*nfacts = 0;
		while (NextRecorded(&reader))
			room++;
		*facts = palloc_extended(mul_size(Max(room, 1), sizeof(PurchaseSummary)), MCXT_ALLOC_HUGE);
		reader.at = 0;
	}
	while (NextRecorded(&reader))
	{
		PurchaseSummary customer = {0};
		double of_purchase = 0;
		RecordedDay day;
		GapWalk walk = {0};
		bool with_gaps = false;

		while (NextRecordedDay(&reader, &day))
		{
			if (day.day > until)
				continue;
			if (day.day > as_of)
			{
				customer.later_days += day.ordered;
				customer.later_value += day.value;
				continue;
			}
			if (day.ordered && customer.purchase_days++ > 0)
			{
				CountGap(&customer, day.day);
				if (with_gaps)
					state = AddGap(state, &walk, day.day);
				customer.valued_days += day.valued;
				customer.repeat_squares += of_purchase * of_purchase;
				of_purchase = 0;
			}
			else if (customer.purchase_days == 1 && day.ordered)
			{
				customer.first = day.day;
				customer.first_value = day.value;
				customer.first_valued = day.valued;
				with_gaps = BeginGaps(state, day.day, &walk);
			}
			if (day.day > customer.first)
			{
				customer.repeat_value += day.value;
				of_purchase += day.value;
			}
			if (day.ordered)
				customer.last = day.day;
		}
		customer.repeat_squares += of_purchase * of_purchase;
		if (customer.purchase_days == 0)
			continue;
		state = AddCustomer(state, &customer);
		if (record->with_values)
			state = AddSpend(state, &customer);
		if (facts)
			(*facts)[(*nfacts)++] = customer;
	}
	return state;
}

DateADT
OldestRecorded(const PurchaseRecord *record)
{
	RecordReader reader = {.record = record};
	DateADT oldest = record->options.until;

	while (NextRecorded(&reader))
		oldest = Min(oldest, reader.day);
	return oldest;
}
