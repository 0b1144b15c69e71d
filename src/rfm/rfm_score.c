/*
 * rfm_score.c: the type rfm_score.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "base/common.h"
#include "rfm/rfm_score.h"

int
CheckedBins(int32 bins)
{
	if (bins < MIN_BINS || bins > MAX_BINS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of bins must be between %d and %d, not %d", MIN_BINS,
							   MAX_BINS, bins)));
	return bins;
}

/* The single check of a score that comes from outside. */
static bool
ScoreIsValid(int r, int f, int m, int bins)
{
	return bins >= MIN_BINS && bins <= MAX_BINS && r >= 1 && r <= bins && f >= 1 && f <= bins &&
		   m >= 1 && m <= bins;
}

/* ---------- text form: 545, or 434/4 where the bins are not 5 ---------- */

PG_FUNCTION_INFO_V1(rfm_score_in);
Datum
rfm_score_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	int digit[4] = {0, 0, 0, DEFAULT_BINS};
	bool shape = strspn(text, "0123456789") == 3 &&
				 (text[3] == '\0' ||
				  (text[3] == '/' && strspn(text + 4, "0123456789") == 1 && text[5] == '\0'));

	if (shape)
	{
		for (int i = 0; i < 3; i++)
			digit[i] = text[i] - '0';
		if (text[3] == '/')
			digit[3] = text[4] - '0';
	}
	if (!shape || !ScoreIsValid(digit[0], digit[1], digit[2], digit[3]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type rfm_score: \"%s\"", ShortString(text)),
				 errhint("Write the three scores as digits from 1 to 5, such as 545; with "
						 "another number of bins add it: 434/4.")));
	PG_RETURN_RFM_SCORE(MakeRfmScore(digit[0], digit[1], digit[2], digit[3]));
}

PG_FUNCTION_INFO_V1(rfm_score_out);
Datum
rfm_score_out(PG_FUNCTION_ARGS)
{
	RfmScore score = PG_GETARG_RFM_SCORE(0);

	if (RFM_BINS(score) == DEFAULT_BINS)
		PG_RETURN_CSTRING(psprintf("%d%d%d", RFM_R(score), RFM_F(score), RFM_M(score)));
	PG_RETURN_CSTRING(
		psprintf("%d%d%d/%d", RFM_R(score), RFM_F(score), RFM_M(score), RFM_BINS(score)));
}

PG_FUNCTION_INFO_V1(rfm_score_recv);
Datum
rfm_score_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	RfmScore score = (RfmScore) pq_getmsgint(in, 4);

	if (!ScoreIsValid(RFM_R(score), RFM_F(score), RFM_M(score), RFM_BINS(score)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of type rfm_score")));
	PG_RETURN_RFM_SCORE(score);
}

/* ---------- parts and casts ---------- */

PG_FUNCTION_INFO_V1(r_score);
Datum
r_score(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(RFM_R(PG_GETARG_RFM_SCORE(0)));
}

PG_FUNCTION_INFO_V1(f_score);
Datum
f_score(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(RFM_F(PG_GETARG_RFM_SCORE(0)));
}

PG_FUNCTION_INFO_V1(m_score);
Datum
m_score(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(RFM_M(PG_GETARG_RFM_SCORE(0)));
}

PG_FUNCTION_INFO_V1(rfm_score_bins);
Datum
rfm_score_bins(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(RFM_BINS(PG_GETARG_RFM_SCORE(0)));
}

/* The three digits as a number: 545. */
PG_FUNCTION_INFO_V1(rfm_score_to_integer);
Datum
rfm_score_to_integer(PG_FUNCTION_ARGS)
{
	RfmScore score = PG_GETARG_RFM_SCORE(0);

	PG_RETURN_INT32(RFM_R(score) * 100 + RFM_F(score) * 10 + RFM_M(score));
}

/* The same as text. */
PG_FUNCTION_INFO_V1(rfm_cell);
Datum
rfm_cell(PG_FUNCTION_ARGS)
{
	static text *kept[1000];
	RfmScore score = PG_GETARG_RFM_SCORE(0);
	char digits[] = {'0' + RFM_R(score), '0' + RFM_F(score), '0' + RFM_M(score), '\0'};

	return ConstantText(&kept[RFM_R(score) * 100 + RFM_F(score) * 10 + RFM_M(score)], digits);
}

/* rfm_score(r, f, m [, bins]) */
PG_FUNCTION_INFO_V1(rfm_score_make);
Datum
rfm_score_make(PG_FUNCTION_ARGS)
{
	int bins = CheckedBins(PG_GETARG_INT32(3));

	if (!ScoreIsValid(PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2), bins))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scores must be between 1 and %d, the number of bins: %d, %d, %d",
							   bins, PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2))));
	PG_RETURN_RFM_SCORE(
		MakeRfmScore(PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2), bins));
}
