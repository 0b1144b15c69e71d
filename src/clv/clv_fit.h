/*
 * clv_fit.h: from the state of an aggregate to a fitted repeat-purchase model.
 */
#ifndef CRM_CLV_FIT_H
#define CRM_CLV_FIT_H

#include "clv/clv_model.h"
#include "clv/summary_state.h"

/* Fits the model; what did not go well is in its statuses. */
extern void FitClvModel(SummaryState *state, ClvModel *model);

/*
 * Its purchase part alone, on a coarsened sample: good enough to compare models by.  The fit
 * begins at a model `like` it, of a sort of bg/nbd, or from scratch (NULL).
 */
extern void FitPurchasesCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model);

/* Both parts, the purchase part so. */
extern void FitClvModelCoarsely(SummaryState *state, const ClvModel *like, ClvModel *model);

/*
 * What is told to whoever asked for a fit: a WARNING where it is not the maximum of
 * its likelihood, a NOTICE where that lies at an edge.
 */
extern void WarnOfFit(const char *model, FitStatus status, const char *detail);
extern void WarnOfClvFit(const ClvModel *model);

/*
 * The customers of a sorted state as points in the given unit, weighted by a season
 * (NULL: none), but for those who first bought before a day.
 */
extern void ClvSampleFromState(const SummaryState *state, double unit_days, const Season *season,
							   DateADT observed_from, ClvSample *sample);

/* Fills in the distinct times of a sample and gives it its scratch: a likelihood needs them. */
extern void IndexTimes(ClvSample *sample);

/* A smaller sample much like it; the sample itself where it is small. */
#define COARSE_TIMES 48 /* stretches that the time is cut into, as a rule */
extern ClvSample *CoarseClvSample(ClvSample *sample, int stretches);

/* Reads (as_of, model, unit, value) from `argument` on; NULL model, unit and value: the default. */
extern void ClvFitOptions(FunctionCallInfo fcinfo, int argument, FitOptions *options);

/* The likelihood of a family; its coordinates, as maximum_likelihood.h has them, at some
 * parameters. */
extern LogLikelihood ClvLikelihood(ClvFamily family);
extern const double *ClvBasis(ClvFamily family);
extern void ClvCoordinates(ClvFamily family, const double *parameters, double *start);

#endif /* CRM_CLV_FIT_H */
