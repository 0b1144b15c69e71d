/*
 * match_fit.h: the rows of a fit to profiles, and their attributes as features: what match_fit and
 * uplift_fit share.
 */
#ifndef CRM_MATCH_FIT_H
#define CRM_MATCH_FIT_H

#include "fmgr.h"

#include "match/match_model.h"

/* The rows so far. */
typedef struct MatchFitState
{
	struct varlena *first; /* the first profile, which all others must match */
	ProfileModel *words;   /* given with the first row; or NULL */
	Size row_size;         /* number of bytes of a profile from its codes on */
	int64 nrows;
	int64 room;
	uint8 *rows;
	uint8 *target;
	int64 skipped;
} MatchFitState;

/*
 * Adds the row of the arguments 1, a profile, and 2, a boolean; `words` is the number of the
 * argument with the profile model, if there is one.
 */
extern void
AddFitRow(MatchFitState *state, FunctionCallInfo fcinfo, int words, MemoryContext context);

/* A row, and where it is among the rows of the state. */
typedef struct RowPlace
{
	uint64 hash; /* of all bytes; match_fit has in its highest bit whether it is a target */
	int64 row;
} RowPlace;

extern void SortRowPlaces(RowPlace *places, size_t nplaces);

/* What the fit needs besides the features of the scorecard. */
typedef struct FitFeatures
{
	const MatchFitState *state;
	const RowPlace *places;
	ProfileView view; /* layout only */
	int nfeatures;
	int room;
	ScorecardFeature *features;
	MatchFeature *match;
	float **level_low; /* scaled: the smallest number of each level from 1 on */
} FitFeatures;

/* The features, with the level of each row; `total` says how many rows a member of a set needs. */
extern void AddFeatures(FitFeatures *f, ClassCount total);

/* Puts the features that have bins, and the layout of profiles, into the model. */
extern void KeepModel(MatchModel *model, const FitFeatures *f);

#endif /* CRM_MATCH_FIT_H */
