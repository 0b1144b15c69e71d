/*
 * match_model.h: who is likely to be a target, learnt from profiles: a
 * scorecard on the slots of profiles.
 */
#ifndef CRM_MATCH_MODEL_H
#define CRM_MATCH_MODEL_H

#include "match/binning.h"
#include "match/scorecard.h"
#include "profile/profile.h"

#define MATCH_MODEL_VERSION 1
#define MAX_FEATURE_BINS (MAX_ATTRIBUTE_BINS + 1) /* with that of missing values */
#define MISSING_BIN 0

/* One slot of a profile, or one member of a set, with the points of its bins. */
typedef struct MatchFeature
{
	int slot;
	int member; /* bit of a set; -1: not a set */
	int nbins;  /* bin 0 holds the missing values */
	ClassCount count[MAX_FEATURE_BINS];
	double points[MAX_FEATURE_BINS];

	/* scaled slots: bins 1 .. nranges are ranges that begin with `low` */
	int nranges;
	float low[MAX_FEATURE_BINS];
	bool has_spike; /* the last bin is this one value */
	float spike;

	/* coded slots: the bin of each code; of sets bins 1: without, 2: with the member */
	uint8 code_bin[CODE_MISSING + 1];
} MatchFeature;

/* A match_model decoded. */
typedef struct MatchModel
{
	uint64 fingerprint; /* of the profile model, and with it the layout of profiles */
	int nscaled;
	int ncoded;
	int nsets;
	uint8 set_bytes[MAX_ATTRIBUTES];
	Scorecard card; /* without features of its own */
	int64 skipped;  /* rows without a profile or without a target */
	int nfeatures;
	MatchFeature *features;
	struct varlena *profile_model; /* for names and words; NULL: not known */
	ProfileModel *words;           /* the same decoded */
} MatchModel;

extern MatchModel *MatchModelFromDatum(Datum value);

/* The stored form; checks the model first. */
extern Datum MatchModelGetDatum(const MatchModel *model);

/* The match_model argument, decoded once for as long as it stays the same. */
extern const MatchModel *MatchModelArgument(FunctionCallInfo fcinfo, int n);

/* Takes the profile apart; an error if it is of another profile model. */
extern void OpenProfileOfMatch(ProfileView *view, Datum profile, const MatchModel *model);

/* The bin that the profile falls into. */
extern int FeatureBin(const MatchFeature *feature, const ProfileView *view);

/* Log-odds of being a target. */
extern double MatchLogOdds(const MatchModel *model, const ProfileView *view);

/* The name of the feature's attribute. */
extern const char *FeatureName(const MatchModel *model, const MatchFeature *feature);

/* A bin in words. */
extern char *BinLabel(const MatchModel *model, const MatchFeature *feature, int bin);

/* What the profile has there, in words. */
extern char *
FeatureValue(const MatchModel *model, const MatchFeature *feature, const ProfileView *view);

#endif /* CRM_MATCH_MODEL_H */
