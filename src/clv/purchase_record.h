/*
 * purchase_record.h: the state of the aggregates that test forecasts on past days.
 *
 * The purchase days of the customers, one after another.  What was known on any past day, and what
 * came after it, follows from them.
 */
#ifndef CRM_PURCHASE_RECORD_H
#define CRM_PURCHASE_RECORD_H

#include "clv/summary_state.h"

/*
 * A customer: the number of days, the distance of the first from the record's end, then for each
 * day twice the gap to the one before, plus 1 if something was bought on it; all as varints.  With
 * values, each day has its value and whether that is known.  Results do not depend on the order of
 * the customers.  Before the customers are the runs of days with weights.
 */
typedef struct PurchaseRecord
{
	int32 vl_len_;
	uint8 version;
	uint8 with_values;
	uint8 unused[2];
	FitOptions options; /* as_of: the last day known to a fit; until: the end of the record */
	int64 used;         /* bytes */
	uint8 bytes[FLEXIBLE_ARRAY_MEMBER];
} PurchaseRecord;

/* The state argument, aligned and checked; NULL if there is none yet. */
extern PurchaseRecord *PurchaseRecordArgument(FunctionCallInfo fcinfo, int argument);

/* Adds a history to the record, which may be NULL. */
extern PurchaseRecord *AddToRecord(PurchaseRecord *record, const FitOptions *options,
								   bool with_values, const PurchaseHistory *history);

/* A day of a customer while reading. */
typedef struct RecordedDay
{
	DateADT day;
	bool ordered;
	bool valued;
	double value;
} RecordedDay;

/* The state of a reader. */
typedef struct RecordReader
{
	const PurchaseRecord *record;
	int64 at;
	int64 days; /* of the customer, still to be read */
	DateADT day;
	bool first;
} RecordReader;

/* Moves to the next customer; false if there is none. */
extern bool NextRecorded(RecordReader *reader);
extern bool NextRecordedDay(RecordReader *reader, RecordedDay *day);

/*
 * The summary of what was known about the customers on a day, and of what they bought from then
 * until another; `facts`, if not NULL, gets each customer who had bought by then.
 */
extern SummaryState *KnownOn(const PurchaseRecord *record, DateADT as_of, DateADT until,
							 PurchaseSummary **facts, int64 *nfacts);

/* The day of the earliest purchase. */
extern DateADT OldestRecorded(const PurchaseRecord *record);

#endif /* CRM_PURCHASE_RECORD_H */
