/*
 * fit_rows.h: profiles and which of them are targets, collected by an aggregate, and turned into
 * features for a fit.
 */
#ifndef CRM_FIT_ROWS_H
#define CRM_FIT_ROWS_H

#include "fmgr.h"

#include "match/match_model.h"

/* The rows so far. */
typedef struct FitRows
{
	struct varlena *first; /* the first profile, which all others must match */
	ProfileModel *words;   /* given with the first row; or NULL */
	Size row_size;         /* number of bytes of a profile from its codes on */
	int64 nrows;
	int64 room;
	uint8 *rows;
	uint8 *target;
	int64 skipped;
} FitRows;

/*
 * Adds the row of the arguments 1, a profile, and 2, a boolean; `words` is the number of the
 * argument with the profile model, if there is one.
 */
extern void AddFitRow(FitRows *rows, FunctionCallInfo fcinfo, int words, MemoryContext context);

/* The place of a row in an order that depends on contents only. */
typedef struct RowPlace
{
	uint64 hash; /* of all bytes; match_fit has in its highest bit whether it is a target */
	int64 row;
} RowPlace;

extern void SortRowPlaces(RowPlace *places, size_t nplaces);

/* The rows by feature. */
typedef struct FitFeatures
{
	const FitRows *rows;
	RowPlace *places;
	ProfileView view; /* layout only */
	ClassCount total;
	uint8 *target; /* of each row, in the order of the places, as all that follows */
	uint8 *fold;
	int nfeatures;
	int room;
	ScorecardFeature *features;
	MatchFeature *match;
	float **level_low; /* scaled: the smallest number of each level from 1 on */
} FitFeatures;

/* Adds the features, by the rows, their places and the view. */
extern void AddFitFeatures(FitFeatures *f);

/* The features of all rows, of which there must be one. */
extern void MakeFitFeatures(FitFeatures *f, const FitRows *rows);

/* Puts the features that have bins, and the layout of profiles, into the model. */
extern void KeepModel(MatchModel *model, const FitFeatures *f);

#endif /* CRM_FIT_ROWS_H */
