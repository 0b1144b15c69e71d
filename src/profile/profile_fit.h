/*
 * profile_fit.h: fitting the encoding of the attributes of records.
 */
#ifndef CRM_PROFILE_FIT_H
#define CRM_PROFILE_FIT_H

#include "profile/profile_fit_state.h"

/* A new state; the options are those of profile_fit, or NULL. */
extern ProfileFitState *NewProfileFit(MemoryContext parent, Jsonb *options);

extern void CountRecord(ProfileFitState *state, HeapTupleHeader record);

#endif /* CRM_PROFILE_FIT_H */
