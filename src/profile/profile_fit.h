/*
 * profile_fit.h: fitting the encoding of the attributes of records.
 */
#ifndef CRM_PROFILE_FIT_H
#define CRM_PROFILE_FIT_H

#include "utils/jsonb.h"

#include "profile/profile_model.h"

typedef struct ProfileFitState ProfileFitState;

/* A new state; the options are those of profile_fit, or NULL. */
extern ProfileFitState *NewProfileFit(MemoryContext parent, Jsonb *options);

extern void CountRecord(ProfileFitState *state, HeapTupleHeader record);

/* The profile_model of the records counted. */
extern struct varlena *FittedProfileModel(const ProfileFitState *state);

#endif /* CRM_PROFILE_FIT_H */
