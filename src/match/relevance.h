/*
 * relevance.h: the state of attribute_relevance, and its answers.
 */
#ifndef CRM_RELEVANCE_H
#define CRM_RELEVANCE_H

#include "utils/jsonb.h"

#include "match/relevance_bins.h"

#define FEW_TARGETS 50 /* fewer are said to be few */

/* The state of the aggregates. */
typedef struct RelevanceState
{
	MemoryContext context;
	MemoryContext row; /* reset after each row */
	RecordShape shape; /* of records only */
	Jsonb *options;    /* bins that are given; NULL for none */
	int nattributes;
	CountedAttribute *attributes;
	int known_by;     /* the column with the day by which all is known; -1 for none */
	double known_day; /* that day, of the row; infinite if there is none */
	ClassCount rows;  /* of values all are others */
	int64 without_target;

	/* of values */
	bool of_values;
	double *value; /* of each row */
	int64 room;
	int32 *level; /* of each row and attribute: the code; NO_LEVEL if it is missing */
	int64 level_room;
} RelevanceState;

#define NO_LEVEL (-1)

/* The rows in order of their values. */
struct ValueRanks;
extern struct ValueRanks *RankValues(const RelevanceState *state);

/* Bins an attribute and computes its statistics; and a row of type crm_profile.value_relevance. */
extern void MeasureValueRelevance(const RelevanceState *state, const struct ValueRanks *ranks,
								  int attribute, Relevance *relevance);
extern Datum ValueRelevanceDatum(const RelevanceState *state, const struct ValueRanks *ranks,
								 int attribute, const Relevance *relevance, TupleDesc columns);

/* The verdict in words, where there is one. */
extern const char *VerdictInWords(const Relevance *relevance, bool few);

/* An array of bins: each row has `ncolumns` values. */
extern Datum BinsArray(const Relevance *relevance, Oid bin_type,
					   void (*fill)(const Relevance *relevance, int bin, Datum *values));

#endif /* CRM_RELEVANCE_H */
