/*
 * rfm_score.h: three scores and the number of bins they were made with, in four
 * bytes that sort by recency, then frequency, then monetary score.
 */
#ifndef CRM_RFM_SCORE_H
#define CRM_RFM_SCORE_H

#include "fmgr.h"

#define MIN_BINS 2
#define MAX_BINS 9
#define DEFAULT_BINS 5

typedef int32 RfmScore;

static inline RfmScore
MakeRfmScore(int r, int f, int m, int bins)
{
	return (r << 24) | (f << 16) | (m << 8) | bins;
}

#define RFM_R(score) (((score) >> 24) & 0xff)
#define RFM_F(score) (((score) >> 16) & 0xff)
#define RFM_M(score) (((score) >> 8) & 0xff)
#define RFM_BINS(score) ((score) &0xff)

#define DatumGetRfmScore(d) DatumGetInt32(d)
#define RfmScoreGetDatum(s) Int32GetDatum(s)
#define PG_GETARG_RFM_SCORE(n) DatumGetRfmScore(PG_GETARG_DATUM(n))
#define PG_RETURN_RFM_SCORE(s) return RfmScoreGetDatum(s)

/* The number of bins, checked. */
extern int CheckedBins(int32 bins);

#endif /* CRM_RFM_SCORE_H */
