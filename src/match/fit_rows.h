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
	struct varlena *first;   /* the first profile, which all others must match */
	struct varlena *model;   /* the profile model given with the first row; or NULL */
	ProfileModel *words;     /* decoded */
	struct varlena *options; /* jsonb, given with the first row; or NULL */
	Size row_size;           /* number of bytes of a profile from its codes on */
	int64 nrows;
	int64 room;
	uint8 *rows;
	uint8 *target;
	bool with_value; /* set before the first row */
	double *value;   /* finite; NULL without */
	int64 skipped;
} FitRows;

/* An error for more than a worker can hand over to the leader. */
extern void CheckHandedOver(Size bytes, int64 nrows);

/* What a row says besides its profile. */
typedef struct FitTarget
{
	bool is_target;
	double value;
} FitTarget;

/*
 * Adds the row with the profile of argument 1; `words` is the number of the argument with the
 * profile model, if there is one, and `words` + 1 that of the options.
 */
extern void AddFitRow(FitRows *rows, FunctionCallInfo fcinfo, FitTarget target, int words,
					  MemoryContext context);

/* The place of a row in an order that depends on contents only. */
typedef struct RowPlace
{
	double value; /* 1 of targets and 0 of others, or the value; 0 if it does not order the rows */
	uint64 hash;  /* of all bytes */
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
	double min_size; /* rows with a member of a set, or without, that make it a feature */
	uint8 *target;   /* of each row, in the order of the places, as all that follows */
	uint8 *fold;
	Outcome outcome;
	double *value; /* as differences from the mean in standard deviations; NULL for targets */
	double mean;
	double deviation;
	bool equal; /* all values */
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
