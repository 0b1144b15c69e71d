/*
 * segment_scheme.c: the type segment_scheme, a compiled scheme, and what it calls a score.
 *
 * The stored form (after the varlena header):
 *
 *	version, bins, number of labels		1 byte each
 *	cells		1 byte a cell, 111 first: 0 without a segment, else the label's number
 *	labels		each its length (varint) and its bytes, in the order of the rules
 *
 * Equal contents have equal bytes.  The value is kept small, and storage is
 * plain, so that a scheme from a scalar subquery is never detoasted row by row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/common.h"
#include "rfm/segment_scheme.h"

#define SCHEME_VERSION 1
#define MAX_SCHEME_SIZE 4000 /* bytes: fits on a page beside other columns */

/* What every refusal of a value from outside looks like. */
static void
SchemeRefused(int sqlstate, const char *why)
{
	ereport(ERROR, (errcode(sqlstate), errmsg("invalid segment_scheme"), errdetail("%s", why)));
}

/* ---------- bytes ---------- */

/* The one check of every scheme, whatever it comes from. */
static void
CheckScheme(const SchemeLookup *lookup)
{
	if (lookup->nlabels < 1)
		SchemeRefused(ERRCODE_INVALID_PARAMETER_VALUE, "It has no segments.");
	for (int i = 0; i < lookup->nlabels; i++)
	{
		const text *label = lookup->labels[i];

		if (VARSIZE(label) == VARHDRSZ)
			SchemeRefused(ERRCODE_INVALID_PARAMETER_VALUE, "A segment has no name.");
		for (int j = 0; j < i; j++)
			if (VARSIZE(label) == VARSIZE(lookup->labels[j]) &&
				memcmp(label, lookup->labels[j], VARSIZE(label)) == 0)
				SchemeRefused(
					ERRCODE_INVALID_PARAMETER_VALUE,
					psprintf("Two segments have the name \"%s\".", text_to_cstring(label)));
	}
	for (int cell = 0; cell < CellCount(lookup->bins); cell++)
		if (lookup->cells[cell] > lookup->nlabels)
			SchemeRefused(ERRCODE_INVALID_PARAMETER_VALUE,
						  psprintf("Cell %d has segment %d of %d.", CellDigits(cell, lookup->bins),
								   lookup->cells[cell], lookup->nlabels));
}

SegmentScheme *
EncodeScheme(const SchemeLookup *lookup)
{
	Size size = VARHDRSZ + 3 + CellCount(lookup->bins);
	SegmentScheme *scheme;
	uint8 *p;

	CheckScheme(lookup);
	for (int i = 0; i < lookup->nlabels; i++)
		size += MAX_VARINT + VARSIZE(lookup->labels[i]);
	scheme = palloc(size);
	p = (uint8 *) VARDATA(scheme);
	*p++ = SCHEME_VERSION;
	*p++ = (uint8) lookup->bins;
	*p++ = (uint8) lookup->nlabels;
	memcpy(p, lookup->cells, CellCount(lookup->bins));
	p += CellCount(lookup->bins);
	for (int i = 0; i < lookup->nlabels; i++)
	{
		Size length = VARSIZE(lookup->labels[i]) - VARHDRSZ;

		p = WriteVarint(p, length);
		memcpy(p, VARDATA(lookup->labels[i]), length);
		p += length;
	}
	if (p - (uint8 *) VARDATA(scheme) > MAX_SCHEME_SIZE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("scheme is too large"),
						errdetail("It takes %zu bytes, the limit is %d.",
								  (Size) (p - (uint8 *) VARDATA(scheme)), MAX_SCHEME_SIZE),
						errhint("Use fewer segments or shorter names.")));
	SET_VARSIZE(scheme, p - (uint8 *) scheme);
	return scheme;
}

void *
DecodeScheme(const SegmentScheme *scheme)
{
	SchemeLookup *lookup = palloc0(sizeof(SchemeLookup));
	ByteReader bytes;

	ByteReaderInit(&bytes, VARDATA_ANY(scheme), VARSIZE_ANY_EXHDR(scheme));
	bytes.failed = ReadByte(&bytes) != SCHEME_VERSION;
	lookup->bins = ReadByte(&bytes);
	lookup->nlabels = ReadByte(&bytes);
	if (bytes.failed || lookup->bins < MIN_BINS || lookup->bins > MAX_BINS)
		goto damaged;
	for (int cell = 0; cell < CellCount(lookup->bins); cell++)
		lookup->cells[cell] = ReadByte(&bytes);
	lookup->labels = palloc(lookup->nlabels * sizeof(text *));
	for (int i = 0; i < lookup->nlabels; i++)
	{
		uint64 length = ReadVarint(&bytes);

		if (bytes.failed || length > bytes.end - bytes.next)
			goto damaged;
		lookup->labels[i] = cstring_to_text_with_len((const char *) bytes.next, length);
		bytes.next += length;
	}
	if (bytes.failed || bytes.next != bytes.end)
		goto damaged;
	CheckScheme(lookup);
	return lookup;

damaged:
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("segment_scheme is damaged")));
}

/*
 * The binary form: version, bins, number of labels, cells as they are stored,
 * each label its length (4 bytes) and its bytes in the client's encoding.
 */
PG_FUNCTION_INFO_V1(segment_scheme_send);
Datum
segment_scheme_send(PG_FUNCTION_ARGS)
{
	SchemeLookup *lookup = DecodeScheme(PG_GETARG_VARLENA_PP(0));
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, SCHEME_VERSION);
	pq_sendbyte(&out, lookup->bins);
	pq_sendbyte(&out, lookup->nlabels);
	pq_sendbytes(&out, (char *) lookup->cells, CellCount(lookup->bins));
	for (int i = 0; i < lookup->nlabels; i++)
	{
		char *label = text_to_cstring(lookup->labels[i]);
		char *sent = pg_server_to_client(label, strlen(label));

		pq_sendint32(&out, strlen(sent));
		pq_sendbytes(&out, sent, strlen(sent));
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(segment_scheme_recv);
Datum
segment_scheme_recv(PG_FUNCTION_ARGS)
{
	StringInfo in = (StringInfo) PG_GETARG_POINTER(0);
	SchemeLookup lookup = {0};
	int version = pq_getmsgbyte(in);

	if (version != SCHEME_VERSION)
		SchemeRefused(ERRCODE_INVALID_BINARY_REPRESENTATION,
					  psprintf("Its version is %d, not %d.", version, SCHEME_VERSION));
	lookup.bins = CheckedBins(pq_getmsgbyte(in));
	lookup.nlabels = pq_getmsgbyte(in);
	lookup.labels = palloc(lookup.nlabels * sizeof(text *));
	pq_copymsgbytes(in, (char *) lookup.cells, CellCount(lookup.bins));
	for (int i = 0; i < lookup.nlabels; i++)
	{
		int sent = pq_getmsgint(in, 4);
		int length;
		char *label = pq_getmsgtext(in, sent, &length);

		lookup.labels[i] = cstring_to_text_with_len(label, length);
	}
	PG_RETURN_POINTER(EncodeScheme(&lookup));
}

/* ---------- text: JSON ----------
 *
 *	{"bins": 5, "segments": [{"Champions": "555 554 545"}, {"Loyal": "543 444"}]}
 */

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

PG_FUNCTION_INFO_V1(segment_scheme_out);
Datum
segment_scheme_out(PG_FUNCTION_ARGS)
{
	SchemeLookup *lookup = DecodeScheme(PG_GETARG_VARLENA_PP(0));
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"bins\": %d, \"segments\": [", lookup->bins);
	for (int i = 0; i < lookup->nlabels; i++)
	{
		const char *space = "";

		appendStringInfoString(&out, i > 0 ? ", {" : "{");
		escape_json(&out, text_to_cstring(lookup->labels[i]));
		appendStringInfoString(&out, ": \"");
		for (int cell = CellCount(lookup->bins) - 1; cell >= 0; cell--)
			if (lookup->cells[cell] == i + 1)
			{
				appendStringInfo(&out, "%s%d", space, CellDigits(cell, lookup->bins));
				space = " ";
			}
		appendStringInfoString(&out, "\"}");
	}
	appendStringInfoString(&out, "]}");
	PG_RETURN_CSTRING(out.data);
}

/* Gives the cells that the text lists, separated by spaces, to a label. */
static void
ReadCells(SchemeLookup *lookup, int label, const char *cells)
{
	for (;;)
	{
		int length;
		int cell;

		cells += strspn(cells, " ");
		length = strcspn(cells, " ");
		if (length == 0)
			return;
		cell = CellFromText(cells, length, lookup->bins);
		if (cell < 0)
			SchemeRefused(ERRCODE_INVALID_TEXT_REPRESENTATION,
						  psprintf("A cell is three digits from 1 to %d, not \"%s\".", lookup->bins,
								   pnstrdup(cells, length)));
		if (lookup->cells[cell] != 0)
			SchemeRefused(ERRCODE_INVALID_TEXT_REPRESENTATION,
						  psprintf("Cell %d is listed twice.", CellDigits(cell, lookup->bins)));
		lookup->cells[cell] = (uint8) (label + 1);
		cells += length;
	}
}

static char *
JsonString(const JsonbValue *value)
{
	if (value->type != jbvString)
		SchemeRefused(ERRCODE_INVALID_TEXT_REPRESENTATION,
					  "The cells of a segment are not a string such as \"555 554\".");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* An element of the array: an object with one member, the segment's name and its cells. */
static void
ReadSegment(SchemeLookup *lookup, int label, const JsonbValue *element)
{
	JsonbIterator *iterator;
	JsonbValue value;
	char *name;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data) ||
		JsonContainerSize(element->val.binary.data) != 1)
		SchemeRefused(ERRCODE_INVALID_TEXT_REPRESENTATION,
					  "A segment is not an object of its name and its cells.");
	iterator = JsonbIteratorInit(element->val.binary.data);
	JsonbIteratorNext(&iterator, &value, false);
	JsonbIteratorNext(&iterator, &value, false);
	name = JsonString(&value);
	lookup->labels[label] = cstring_to_text(name);
	JsonbIteratorNext(&iterator, &value, true);
	ReadCells(lookup, label, JsonString(&value));
}

PG_FUNCTION_INFO_V1(segment_scheme_in);
Datum
segment_scheme_in(PG_FUNCTION_ARGS)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0)));
	SchemeLookup lookup = {0};
	JsonbValue bins;
	JsonbValue segments;
	JsonbContainer *array;

	if (!JB_ROOT_IS_OBJECT(json) || JB_ROOT_COUNT(json) != 2 ||
		getKeyJsonValueFromContainer(&json->root, "bins", strlen("bins"), &bins) == NULL ||
		getKeyJsonValueFromContainer(&json->root, "segments", strlen("segments"), &segments) ==
			NULL ||
		bins.type != jbvNumeric || segments.type != jbvBinary ||
		!JsonContainerIsArray(segments.val.binary.data))
		SchemeRefused(ERRCODE_INVALID_TEXT_REPRESENTATION,
					  "It is not a JSON object of the number \"bins\" and the array \"segments\".");
	array = segments.val.binary.data;
	lookup.bins = CheckedBins(
		DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(bins.val.numeric))));
	if (JsonContainerSize(array) > MAX_LABELS)
		SchemeRefused(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					  psprintf("It has %d segments, the limit is %d.",
							   (int) JsonContainerSize(array), MAX_LABELS));
	lookup.nlabels = JsonContainerSize(array);
	lookup.labels = palloc(lookup.nlabels * sizeof(text *));
	for (int i = 0; i < lookup.nlabels; i++)
		ReadSegment(&lookup, i, getIthJsonbValueFromContainer(array, i));
	PG_RETURN_POINTER(EncodeScheme(&lookup));
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
	const SchemeLookup *lookup = DecodeOnce(fcinfo, PG_GETARG_VARLENA_PP(1), DecodeScheme);
	text *label;

	if (unlikely(RFM_BINS(score) != lookup->bins))
		BinsDiffer(RFM_BINS(score), lookup->bins);
	label = SegmentOfCell(lookup, RFM_R(score), RFM_F(score), RFM_M(score));
	if (label == NULL)
		PG_RETURN_NULL();
	/* a copy: what is kept goes as soon as another scheme comes by */
	PG_RETURN_DATUM(PointerGetDatum(memcpy(palloc(VARSIZE(label)), label, VARSIZE(label))));
}

/* (score, scheme): the place of that segment among the labels, from 1. */
PG_FUNCTION_INFO_V1(segment_position);
Datum
segment_position(PG_FUNCTION_ARGS)
{
	RfmScore score = PG_GETARG_RFM_SCORE(0);
	const SchemeLookup *lookup = DecodeOnce(fcinfo, PG_GETARG_VARLENA_PP(1), DecodeScheme);
	int position;

	if (unlikely(RFM_BINS(score) != lookup->bins))
		BinsDiffer(RFM_BINS(score), lookup->bins);
	position = lookup->cells[CellOf(RFM_R(score), RFM_F(score), RFM_M(score), lookup->bins)];
	if (position == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(position);
}

/* The cells of a label as an array of texts, the best first. */
static Datum
CellArray(const SchemeLookup *lookup, int label, int *count)
{
	Datum cells[MAX_CELLS];
	int n = 0;

	for (int cell = CellCount(lookup->bins) - 1; cell >= 0; cell--)
		if (lookup->cells[cell] == label + 1)
			cells[n++] = CStringGetTextDatum(psprintf("%d", CellDigits(cell, lookup->bins)));
	*count = n;
	return PointerGetDatum(construct_array(cells, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The segments of a scheme in order, with their cells. */
PG_FUNCTION_INFO_V1(segments);
Datum
segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SchemeLookup *lookup = DecodeScheme(PG_GETARG_VARLENA_PP(0));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lookup->nlabels; i++)
	{
		Datum values[4];
		bool nulls[4] = {false};
		int count;

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(lookup->labels[i]);
		values[3] = CellArray(lookup, i, &count);
		values[2] = Int32GetDatum(count);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
