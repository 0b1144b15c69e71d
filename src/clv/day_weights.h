/*
 * day_weights.h: the weights of single days as a user gives them, a jsonb {"2024-12-24": 0, …}.
 */
#ifndef CRM_DAY_WEIGHTS_H
#define CRM_DAY_WEIGHTS_H

#include "fmgr.h"

#include "base/model_fields.h"
#include "clv/season.h"

#define MAX_DAY_RUNS 10000
#define MAX_DAY_WEIGHT 100.0
#define MAX_WEIGHTED_DAYS 1000000

/* Runs in the order of their days; none overlap, none weighs 1. */
typedef struct DayWeights
{
	int n;
	DayRun *runs;
	uint32 hash; /* of the runs; 0: there are none */
} DayWeights;

/*
 * The weights in an argument of a function that is called for many rows, kept in fn_extra, which
 * must not be used for anything else; without the argument, or if it is NULL, there are none.
 */
extern const DayWeights *DayWeightsArgument(FunctionCallInfo fcinfo, int argument);

/* What is wrong with runs from elsewhere, as a sentence; NULL if nothing. */
extern const char *DayRunsFault(const DayRun *runs, int n);

extern const ModelGroup DayRunGroup;

#endif /* CRM_DAY_WEIGHTS_H */
