/*
 * match_model.h: who is likely to be a target, or what value to expect, learnt from profiles: a
 * scorecard over the slots of profiles.
 */
#ifndef CRM_MATCH_MODEL_H
#define CRM_MATCH_MODEL_H

#include "match/binning.h"
#include "match/scorecard.h"
#include "profile/profile.h"

#define MAX_FEATURE_BINS (1 + MAX_ATTRIBUTE_BINS + MAX_ALONE) /* with that of missing values */
#define MISSING_BIN 0

typedef struct MatchBin
{
	ClassCount count; /* of a card of values all rows are others */
	double points;
	double mean; /* of values */
} MatchBin;

/* One slot of a profile, or one member of a set, with the points of its bins. */
typedef struct MatchFeature
{
	int32 slot;
	int32 member; /* bit of a set */
	int nbins;
	MatchBin *bins; /* the first one holds the missing values */

	/* scaled slots: bins 1 .. nranges are ranges that begin with `low`, the rest single values */
	int nranges;
	float *low;
	int nalone;
	float *alone;

	/*
	 * coded slots: the bin of each code, the last entry for all further codes; sets have bin 1
	 * without and 2 with the member
	 */
	int ncodes;
	uint8 *codes;

	double
		p_value; /* that chance gives such bins, corrected for the search and over all features */

	/* an interaction: the two features whose bins together are its bins; they have no counts */
	int nparts;
	struct MatchFeature *parts;
} MatchFeature;

typedef enum MatchOutcome
{
	/* stored: never renumber */
	OUTCOME_TARGET = 0,
	OUTCOME_VALUE = 1
} MatchOutcome;

typedef struct MatchModel
{
	uint64 fingerprint; /* of the profile model, and with it the layout of profiles */
	int32 nscaled;
	int32 ncoded;
	int nsets;
	uint8 set_bytes[MAX_ATTRIBUTES];
	Scorecard card; /* without features of its own */
	int32 outcome;  /* a MatchOutcome */
	double mean;    /* of values */
	int64 skipped;  /* rows without a profile or without a target */
	int nfeatures;
	MatchFeature *features;
	ProfileModel *words; /* for names and words; NULL if unknown */
} MatchModel;

extern const ModelFormat MatchModelFormat;

/* Takes the profile apart; an error, naming the type, if it is of another profile model. */
extern void
OpenProfileOfModel(ProfileView *view, Datum profile, const MatchModel *model, const char *type);

static inline void
OpenProfileOfMatch(ProfileView *view, Datum profile, const MatchModel *model)
{
	OpenProfileOfModel(view, profile, model, "match_model");
}

/* The bin that the profile falls into. */
extern int FeatureBin(const MatchFeature *feature, const ProfileView *view);

/* Log-odds of being a target; of a card of values the value expected. */
extern double MatchSum(const MatchModel *model, const ProfileView *view);

/* What moves the score of a profile. */
typedef struct Reason
{
	const MatchFeature *feature;
	int bin;
	double points;
} Reason;

/* Everything that moves it by at least `min_points`, the strongest first. */
extern Reason *
FindReasons(const MatchModel *model, const ProfileView *view, double min_points, int *nreasons);

/* The number given; an error if it is not positive. */
extern int CheckedMaxReasons(int max_reasons);

/* The name of the feature's attribute. */
extern const char *FeatureName(const MatchModel *model, const MatchFeature *feature);

/*
 * The bins that there were rows in, in the order of a card: missing values last, and then -1.  `at`
 * begins with 0.
 */
extern int NextBin(const MatchFeature *feature, int *at);

/* How many attributes the card has, interactions apart. */
extern int CountAttributes(const MatchModel *model);

/* The label of a bin. */
extern char *BinLabel(const MatchModel *model, const MatchFeature *feature, int bin);

/* The value of the profile, as text. */
extern char *
FeatureValue(const MatchModel *model, const MatchFeature *feature, const ProfileView *view);

#endif /* CRM_MATCH_MODEL_H */
