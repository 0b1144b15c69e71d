/*
 * likeness.c: profiles in which people are alike who get the same points for the same reasons.
 *
 * Such a profile has one scaled slot for each feature of a match_model: the points of the bin that
 * a profile falls into.  The weight of a slot is how far apart its points can be, so the distance
 * of two of them is the sum of the differences in points, as a share of the largest possible sum.
 * They are compared by the same code as all profiles.
 */
#include "postgres.h"

#include "fmgr.h"
#include "port/pg_bswap.h"

#include "base/common.h"
#include "match/match_model.h"

/* The lowest points of a feature's bins, and how far it is from there to the highest. */
static double
PointsRange(const MatchFeature *feature, double *low)
{
	double high = feature->bins[0].points;

	*low = high;
	for (int b = 1; b < feature->nbins; b++)
	{
		*low = Min(*low, feature->bins[b].points);
		high = Max(high, feature->bins[b].points);
	}
	return high - *low;
}

/* How far apart points must be for one step of a slot. */
static double
StepOfPoints(const MatchModel *model)
{
	double widest = 0;

	for (int i = 0; i < model->nfeatures; i++)
	{
		double low;

		widest = Max(widest, PointsRange(&model->features[i], &low));
	}
	return widest / MAX_LEVELS;
}

static void
AppendBytes(uint8 **at, const void *bytes, Size size)
{
	memcpy(*at, bytes, size);
	*at += size;
}

/* (profile, match_model): the profile's points as a profile; NULL if the card has none */
PG_FUNCTION_INFO_V1(likeness);
Datum
likeness(PG_FUNCTION_ARGS)
{
	const MatchModel *model = ModelArgument(&MatchModelFormat, fcinfo, 1);
	double step = StepOfPoints(model);
	uint8 levels[MAX_ATTRIBUTES];
	uint8 codes[MAX_ATTRIBUTES];
	uint32 numbers[MAX_ATTRIBUTES];
	uint8 nslots = 0;
	uint8 none = 0;
	bool weighted = false;
	ProfileView view;
	uint64 fingerprint;
	uint8 *bytes;
	uint8 *at;

	OpenProfileOfMatch(&view, PG_GETARG_DATUM(0), model);
	for (int i = 0; step > 0 && i < model->nfeatures && nslots < MAX_ATTRIBUTES; i++)
	{
		const MatchFeature *feature = &model->features[i];
		double points = feature->bins[FeatureBin(feature, &view)].points;
		float number = (float) points + 0.0f;
		double low;

		levels[nslots] = (uint8) (PointsRange(feature, &low) / step + 0.5);
		if (levels[nslots] == 0)
			continue;
		weighted |= levels[nslots] < MAX_LEVELS;
		codes[nslots] = Min(levels[nslots], (uint8) ((points - low) / step + 0.5));
		memcpy(&numbers[nslots], &number, sizeof(number));
		numbers[nslots] = pg_hton32(numbers[nslots]);
		nslots++;
	}
	if (nslots == 0)
		PG_RETURN_NULL();

	/* of the same card, the same weights */
	fingerprint = pg_hton64(FastStableHash64(levels, nslots) ^ model->fingerprint);
	bytes = palloc(VARHDRSZ + 2 + sizeof(fingerprint) + 3 + nslots * (2 + sizeof(uint32)));
	at = bytes + VARHDRSZ;
	*at++ = PROFILE_VERSION;
	*at++ = weighted ? PROFILE_WEIGHTED : 0;
	AppendBytes(&at, &fingerprint, sizeof(fingerprint));
	AppendBytes(&at, &nslots, 1);
	AppendBytes(&at, &none, 1);
	AppendBytes(&at, &none, 1);
	AppendBytes(&at, levels, weighted ? nslots : 0);
	AppendBytes(&at, codes, nslots);
	AppendBytes(&at, numbers, nslots * sizeof(uint32));
	SET_VARSIZE(bytes, at - bytes);
	PG_RETURN_POINTER(bytes);
}
