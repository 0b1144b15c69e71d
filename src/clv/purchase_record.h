/*
 * purchase_record.h: the state of the aggregates that look back from several past days.
 *
 * The purchase days of the customers, one after the other.  What was known on any past day,
 * and what came after it, follows from them.
 */
#ifndef CRM_PURCHASE_RECORD_H
#define CRM_PURCHASE_RECORD_H

#include "clv/summary_state.h"

/*
 * A customer: how many days, how many days before the record's end the first, then for each
 * day twice the gap to the one before, plus whether something was bought on it; all as
 * variable-length integers.  With values, a day says how much and whether that is known.  The
 * order in which the customers came does not matter to what is made of them.
 */
typedef struct PurchaseRecord
{
	int32 vl_len_;
	uint8 version;
	uint8 with_values;
	uint8 unused[2];
	FitOptions options; /* as_of: until when a fit knows; until: the end of the record */
	int64 used;         /* bytes */
	uint8 bytes[FLEXIBLE_ARRAY_MEMBER];
} PurchaseRecord;

/* The state argument, aligned and checked; NULL: none yet. */
extern PurchaseRecord *PurchaseRecordArgument(FunctionCallInfo fcinfo, int argument);

/* The record with a history; NULL: none yet. */
extern PurchaseRecord *AddToRecord(PurchaseRecord *record, const FitOptions *options,
								   bool with_values, const PurchaseHistory *history);

/* A day of a customer, as one after the other is read. */
typedef struct RecordedDay
{
	DateADT day;
	bool ordered;
	bool valued;
	double value;
} RecordedDay;

/* Where a reader stands. */
typedef struct RecordReader
{
	const PurchaseRecord *record;
	int64 at;
	int64 days; /* of the customer, still to be read */
	DateADT day;
	bool first;
} RecordReader;

/* To the next customer; false: there is none. */
extern bool NextRecorded(RecordReader *reader);
extern bool NextRecordedDay(RecordReader *reader, RecordedDay *day);

/*
 * What was known on a day of the customers, and what they bought from then on to another;
 * `facts`, if not NULL, gets those who had bought by then, one by one.
 */
extern SummaryState *KnownOn(const PurchaseRecord *record, DateADT as_of, DateADT until,
							 PurchaseSummary **facts, int64 *nfacts);

/* The first purchase of all. */
extern DateADT OldestRecorded(const PurchaseRecord *record);

#endif /* CRM_PURCHASE_RECORD_H */
