/*
 * clv_fit.h: from the state of an aggregate to a fitted repeat-purchase model.
 */
#ifndef CRM_CLV_FIT_H
#define CRM_CLV_FIT_H

#include "clv/clv_model.h"
#include "clv/summary_state.h"

/* Fits the model; its statuses say what did not go well. */
extern void FitClvModel(SummaryState *state, ClvModel *model);

/*
 * Fits only the purchase part, on a coarsened sample: good enough to compare models.  The fit
 * starts from a model `like` it, of the bg/nbd kind, or from scratch (NULL).
 */
extern void FitPurchasesCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model);

/* Both parts, the purchase part so. */
extern void FitClvModelCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model);

/*
 * Reports how a fit ended: a WARNING if it is not the maximum of its likelihood, a NOTICE if the
 * maximum lies at an edge.
 */
extern void WarnOfFit(const char *model, FitStatus status, const char *detail);
extern void WarnOfClvFit(const ClvModel *model);

/*
 * The customers of a sorted state as points in the given unit, weighted by a season (NULL for
 * none), except those who first bought before a day.  With `mixed`, customers of different
 * regularity are different points.
 */
extern void ClvSampleFromState(const SummaryState *state, double unit_days, const Season *season,
							   DateADT observed_from, bool mixed, ClvSample *sample);

/* Fills in the distinct times of a sample and allocates its scratch: the likelihood needs both. */
extern void IndexTimes(ClvSample *sample);

/* A smaller, similar sample; the sample itself if it is small. */
#define COARSE_TIMES 48 /* stretches into which time is usually cut */
extern ClvSample *CoarseClvSample(ClvSample *sample, int stretches);

/*
 * Reads (as_of, model, unit, value) from `argument` on, and the weights of days from another
 * argument; NULL, or no such argument, means the default.
 */
extern void
ClvFitOptions(FunctionCallInfo fcinfo, int argument, int days_argument, FitOptions *options);

#endif /* CRM_CLV_FIT_H */
