/*
 * segment_scheme.c: the type segment_scheme, a compiled scheme, and what it calls a score.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "rfm/segment_scheme.h"

/* ---------- the type ---------- */

static const ModelField SegmentFields[] = {
	MODEL_FIELD(SchemeSegment, "segment", name, FIELD_TEXT),
	MODEL_LIST(SchemeSegment, "cells", cells, ncells, FIELD_INT, MAX_CELLS),
};
static const ModelGroup SegmentGroup = {
	.size = sizeof(SchemeSegment), .nfields = lengthof(SegmentFields), .fields = SegmentFields};

static const ModelField Fields[] = {
	MODEL_FIELD(SegmentScheme, "bins", bins, FIELD_INT),
	MODEL_LIST(SegmentScheme, "segments", segments, nsegments, FIELD_GROUP, MAX_LABELS,
			   .group = &SegmentGroup),
};

/* The cell of three digits, -1 where they are not from 1 to bins. */
static int
CellFromDigits(int digits, int bins)
{
	char *text = psprintf("%d", digits);

	return CellFromText(text, strlen(text), bins);
}

static int
CompareCells(const void *a, const void *b)
{
	return *(const int32 *) b - *(const int32 *) a;
}

/* Puts the best cells of each segment first. */
static void
TidyScheme(void *data)
{
	SegmentScheme *scheme = data;

	for (int i = 0; i < scheme->nsegments; i++)
		qsort(scheme->segments[i].cells, scheme->segments[i].ncells, sizeof(int32), CompareCells);
}

static const char *
SchemeFault(const void *data)
{
	const SegmentScheme *scheme = data;
	bool taken[MAX_CELLS] = {false};

	if (scheme->bins < MIN_BINS || scheme->bins > MAX_BINS)
		return psprintf("The number of bins must be between %d and %d, not %d.", MIN_BINS, MAX_BINS,
						scheme->bins);
	if (scheme->nsegments < 1)
		return "It has no segments.";
	for (int i = 0; i < scheme->nsegments; i++)
	{
		const SchemeSegment *segment = &scheme->segments[i];

		if (segment->name[0] == '\0')
			return "A segment has no name.";
		for (int j = 0; j < i; j++)
			if (strcmp(segment->name, scheme->segments[j].name) == 0)
				return psprintf("Two segments have the name \"%s\".", segment->name);
		for (int j = 0; j < segment->ncells; j++)
		{
			int cell = CellFromDigits(segment->cells[j], scheme->bins);

			if (cell < 0)
				return psprintf("A cell is three digits from 1 to %d, not %d.", scheme->bins,
								segment->cells[j]);
			if (taken[cell])
				return psprintf("Cell %d is listed twice.", segment->cells[j]);
			taken[cell] = true;
		}
	}
	return NULL;
}

static void
CompleteScheme(void *data, uint64 fingerprint)
{
	SegmentScheme *scheme = data;

	memset(scheme->cells, 0, sizeof(scheme->cells));
	scheme->labels = palloc(scheme->nsegments * sizeof(text *));
	for (int i = 0; i < scheme->nsegments; i++)
	{
		const SchemeSegment *segment = &scheme->segments[i];

		scheme->labels[i] = cstring_to_text(segment->name);
		for (int j = 0; j < segment->ncells; j++)
			scheme->cells[CellFromDigits(segment->cells[j], scheme->bins)] = (uint8) (i + 1);
	}
}

const ModelFormat SegmentSchemeFormat = {
	.type = "segment_scheme",
	.version = 1,
	.most_bytes = 4000, /* fits on a page beside other columns, and is never toasted */
	.group = {.size = sizeof(SegmentScheme), .nfields = lengthof(Fields), .fields = Fields},
	.tidy = TidyScheme,
	.fault = SchemeFault,
	.complete = CompleteScheme,
	.example =
		"{\"bins\": 5, \"segments\": [{\"segment\": \"Champions\", \"cells\": [555, 554]}, …]}",
};

MODEL_IO(segment_scheme, SegmentSchemeFormat)

struct varlena *
SchemeValue(SegmentScheme *scheme)
{
	for (int i = 0; i < scheme->nsegments; i++)
		scheme->segments[i].cells = palloc(CellCount(scheme->bins) * sizeof(int32));
	for (int cell = 0; cell < CellCount(scheme->bins); cell++)
		if (scheme->cells[cell] != 0)
		{
			SchemeSegment *segment = &scheme->segments[scheme->cells[cell] - 1];

			segment->cells[segment->ncells++] = CellDigits(cell, scheme->bins);
		}
	return ModelValue(&SegmentSchemeFormat, scheme);
}

int
CellFromText(const char *digits, int length, int bins)
{
	if (length != 3)
		return -1;
	for (int i = 0; i < 3; i++)
		if (digits[i] < '1' || digits[i] > '0' + bins)
			return -1;
	return CellOf(digits[0] - '0', digits[1] - '0', digits[2] - '0', bins);
}

/* ---------- what people ask ---------- */

static void
BinsDiffer(int score_bins, int scheme_bins)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		 errmsg("score and scheme have different numbers of bins"),
		 errdetail("The score was made with %d, the scheme is for %d.", score_bins, scheme_bins),
		 errhint("Fit the model with %d bins, or take a scheme of %d.", scheme_bins, score_bins)));
}

/* (score, scheme): the name of the segment, NULL for a cell that the scheme leaves uncovered. */
PG_FUNCTION_INFO_V1(segment);
Datum
segment(PG_FUNCTION_ARGS)
{
	RfmScore score = PG_GETARG_RFM_SCORE(0);
	const SegmentScheme *scheme = ModelArgument(&SegmentSchemeFormat, fcinfo, 1);
	text *label;

	if (unlikely(RFM_BINS(score) != scheme->bins))
		BinsDiffer(RFM_BINS(score), scheme->bins);
	label = SegmentOfCell(scheme, RFM_R(score), RFM_F(score), RFM_M(score));
	if (label == NULL)
		PG_RETURN_NULL();
	/* a copy: what is kept goes as soon as another scheme comes by */
	PG_RETURN_DATUM(PointerGetDatum(memcpy(palloc(VARSIZE(label)), label, VARSIZE(label))));
}

static Datum
CellArray(const SchemeSegment *segment)
{
	Datum cells[MAX_CELLS];

	for (int i = 0; i < segment->ncells; i++)
		cells[i] = CStringGetTextDatum(psprintf("%d", segment->cells[i]));
	return PointerGetDatum(
		construct_array(cells, segment->ncells, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The segments of a scheme in order, with their cells. */
PG_FUNCTION_INFO_V1(segments);
Datum
segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const SegmentScheme *scheme = ModelFromDatum(&SegmentSchemeFormat, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < scheme->nsegments; i++)
	{
		Datum values[4];
		bool nulls[4] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(scheme->labels[i]);
		values[2] = Int32GetDatum(scheme->segments[i].ncells);
		values[3] = CellArray(&scheme->segments[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
