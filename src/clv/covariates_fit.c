/*
 * covariates_fit.c: the aggregate that fits repeat-purchase models with attributes of customers.
 *
 * Schmittlein and Morrison's model with covariates: Fader and Hardie (2007), "Incorporating
 * time-invariant covariates into the Pareto/NBD and BG/NBD models", brucehardie.com/notes/019.
 *
 * Regularity, season, observed_from and spend are found without the attributes, as in clv_fit; then
 * the parameters and the effects are fitted together.  Customers with equal attributes have a
 * common alpha and beta, so the likelihood of each such group, and its gradient, are those of the
 * models without attributes.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/bytes.h"
#include "base/json_read.h"
#include "clv/clv_fit.h"
#include "clv/covariates.h"
#include "profile/profile_columns.h"
#include "profile/profile_fit.h"

/* ---------- the state of the fit ---------- */

/* A customer. */
typedef struct AttributeRow
{
	int32 record;
	int32 purchases;
	int32 last; /* days from the first purchase to the last, and to as_of */
	int32 age;
} AttributeRow;

/* A record that some customers have. */
typedef struct KnownRecord
{
	HeapTupleHeader record;
	int32 number;
	uint32 hash;
	char status;
} KnownRecord;

/*
 * The bytes of a record that distinguish it from others of its type, without header fields that
 * readers may set.
 */
#define RECORD_HEAD offsetof(HeapTupleHeaderData, t_hoff)
#define RECORD_BYTES(record) ((const unsigned char *) (record) + RECORD_HEAD)
#define RECORD_SIZE(record) (HeapTupleHeaderGetDatumLength(record) - RECORD_HEAD)

static bool
RecordsAreEqual(HeapTupleHeader a, HeapTupleHeader b)
{
	return HeapTupleHeaderGetTypeId(a) == HeapTupleHeaderGetTypeId(b) &&
		   HeapTupleHeaderGetTypMod(a) == HeapTupleHeaderGetTypMod(b) &&
		   HeapTupleHeaderGetNatts(a) == HeapTupleHeaderGetNatts(b) &&
		   HeapTupleHeaderGetDatumLength(a) == HeapTupleHeaderGetDatumLength(b) &&
		   memcmp(RECORD_BYTES(a), RECORD_BYTES(b), RECORD_SIZE(a)) == 0;
}

#define SH_PREFIX recordtable
#define SH_ELEMENT_TYPE KnownRecord
#define SH_KEY_TYPE HeapTupleHeader
#define SH_KEY record
#define SH_HASH_KEY(table, key)                                                                    \
	((uint32) hash_bytes_extended(RECORD_BYTES(key), RECORD_SIZE(key),                             \
								  *(uint64 *) (table)->private_data))
#define SH_EQUAL(table, a, b) RecordsAreEqual(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct AttributeFit
{
	MemoryContext context;
	SummaryState *summary; /* of the fit without attributes; NULL if there are no customers yet */
	Jsonb *options;        /* NULL: none */
	double ridge;
	Jsonb *encoding; /* options of profile_fit; NULL: none */
	uint64 seed;
	recordtable_hash *table;
	RecordShape *shape; /* of all records, which are read at the end */
	HeapTupleHeader *records;
	int32 nrecords;
	int64 record_room;
	AttributeRow *rows;
	int64 nrows;
	int64 row_room;
} AttributeFit;

#define FIRST_ROOM 64
#define MAX_COARSE 4000 /* customers for the first steps of a fit */

/* Reads the option that is not profile_fit's and removes it. */
static void
ReadAttributeOptions(AttributeFit *fit)
{
	JsonbValue value;

	if (fit->options == NULL)
		return;
	CheckFitOptions(&fit->options->root, "clv_fit", "ridge");
	if (JsonMember(&fit->options->root, "ridge", &value))
		fit->ridge = JsonNumber(&value, "ridge");
	if (!(fit->ridge >= 0 && fit->ridge <= 1e9))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ridge must be between 0 and 1e9, not %g", fit->ridge)));
	fit->encoding = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(fit->options),
													   CStringGetTextDatum("ridge")));
}

static AttributeFit *
NewAttributeFit(MemoryContext parent, const Jsonb *options)
{
	MemoryContext context = AllocSetContextCreate(parent, "clv_fit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	AttributeFit *fit = palloc0(sizeof(AttributeFit));

	fit->context = context;
	if (options != NULL)
		fit->options = DatumGetJsonbPCopy(JsonbPGetDatum(options));
	ReadAttributeOptions(fit);
	if (!pg_strong_random(&fit->seed, sizeof(fit->seed)))
		fit->seed = (uint64) (uintptr_t) fit;
	fit->shape = palloc0(sizeof(RecordShape));
	fit->table = recordtable_create(context, FIRST_ROOM, &fit->seed);
	MemoryContextSwitchTo(caller);
	return fit;
}

/* An error if a record has other columns than the first, or its type has been altered since. */
static void
CheckShape(const AttributeFit *fit, HeapTupleHeader record)
{
	bool first = fit->shape->columns == NULL;

	if (ChangesShape(fit->shape, record, fit->context) && !first)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("clv_fit needs records that have the same columns")));
}

/* The number of a record, which is added if it is new. */
static int32
NumberOfRecord(AttributeFit *fit, HeapTupleHeader record)
{
	KnownRecord *known = recordtable_lookup(fit->table, record);
	Size size = HeapTupleHeaderGetDatumLength(record);
	HeapTupleHeader kept;
	bool found;

	CheckShape(fit, record);
	if (known != NULL)
		return known->number;
	kept = MemoryContextAlloc(fit->context, size);
	memcpy(kept, record, size);
	if (fit->nrecords == fit->record_room)
		fit->records =
			GrownArray(fit->context, fit->records, &fit->record_room, sizeof(HeapTupleHeader));
	fit->records[fit->nrecords] = kept;
	known = recordtable_insert(fit->table, kept, &found);
	known->number = fit->nrecords;
	return fit->nrecords++;
}

static void
AddAttributeRow(AttributeFit *fit, const AttributeRow *row)
{
	if (fit->nrows == fit->row_room)
		fit->rows = GrownArray(fit->context, fit->rows, &fit->row_room, sizeof(AttributeRow));
	fit->rows[fit->nrows++] = *row;
}

/* Replaces the state and frees the old one. */
static void
KeepSummary(AttributeFit *fit, SummaryState *summary)
{
	if (fit->summary != NULL && fit->summary != summary)
		pfree(fit->summary);
	fit->summary = summary;
}

/* (state, history, as_of, model, unit, value, attributes [, options [, day_weights]]) */
PG_FUNCTION_INFO_V1(clv_fit_attributes_transfn);
Datum
clv_fit_attributes_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "clv_fit_attributes_transfn");
	AttributeFit *fit = PG_ARGISNULL(0) ? NULL : (AttributeFit *) PG_GETARG_POINTER(0);
	FitOptions options;
	PurchaseSummary facts;
	MemoryContext caller;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(6))
		PG_RETURN_STATE(fit);
	ClvFitOptions(fcinfo, 2, 8, &options);
	if (fit == NULL)
		fit = NewAttributeFit(aggregate,
							  PG_NARGS() > 7 && !PG_ARGISNULL(7) ? PG_GETARG_JSONB_P(7) : NULL);
	caller = MemoryContextSwitchTo(fit->context);
	KeepSummary(fit, SummaryStateFor(fit->summary, &options));
	if (SummarizePurchases(PG_GETARG_HISTORY(1), options.as_of, options.until,
						   (ValueBasis) options.basis, &facts))
	{
		AttributeRow row = {.purchases = (int32) facts.purchase_days - 1,
							.last = facts.last - facts.first,
							.age = options.as_of - facts.first};

		row.record = NumberOfRecord(fit, PG_GETARG_HEAPTUPLEHEADER(6));
		AddAttributeRow(fit, &row);
		KeepSummary(fit, AddCustomer(fit->summary, &facts));
		KeepSummary(fit, AddSpend(fit->summary, &facts));
		KeepSummary(fit, AddGaps(fit->summary, PG_GETARG_HISTORY(1)));
	}
	MemoryContextSwitchTo(caller);
	PG_RETURN_POINTER(fit);
}

PG_FUNCTION_INFO_V1(clv_fit_attributes_combine);
Datum
clv_fit_attributes_combine(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "clv_fit_attributes_combine");
	AttributeFit *fit = PG_ARGISNULL(0) ? NULL : (AttributeFit *) PG_GETARG_POINTER(0);
	const AttributeFit *other = PG_ARGISNULL(1) ? NULL : (AttributeFit *) PG_GETARG_POINTER(1);
	MemoryContext caller;
	int32 *number;

	if (other == NULL)
		PG_RETURN_STATE(fit);
	if (fit == NULL)
		fit = NewAttributeFit(aggregate, other->options);
	number = palloc((other->nrecords + 1) * sizeof(int32));
	for (int32 i = 0; i < other->nrecords; i++)
	{
		CheckShape(other, other->records[i]);
		number[i] = NumberOfRecord(fit, other->records[i]);
	}
	for (int64 i = 0; i < other->nrows; i++)
	{
		AttributeRow row = other->rows[i];

		row.record = number[row.record];
		AddAttributeRow(fit, &row);
	}
	caller = MemoryContextSwitchTo(fit->context);
	KeepSummary(fit, CombineSummaryStates(fit->summary, other->summary));
	MemoryContextSwitchTo(caller);
	PG_RETURN_POINTER(fit);
}

static void
SendChunk(StringInfo out, const void *bytes, Size size)
{
	pq_sendint64(out, size);
	SendBytes(out, bytes, size);
}

/* A copy of the bytes that SendChunk() sent; NULL if there were none. */
static void *
ReceiveChunk(StringInfo in, MemoryContext context)
{
	Size size = pq_getmsgint64(in);
	void *bytes = size > 0 ? MemoryContextAllocHuge(context, size) : NULL;

	if (size > 0)
		memcpy(bytes, pq_getmsgbytes(in, size), size);
	return bytes;
}

PG_FUNCTION_INFO_V1(clv_fit_attributes_serialize);
Datum
clv_fit_attributes_serialize(PG_FUNCTION_ARGS)
{
	const AttributeFit *fit = (AttributeFit *) PG_GETARG_POINTER(0);
	StringInfoData out;

	(void) AggregateContext(fcinfo, "clv_fit_attributes_serialize");
	pq_begintypsend(&out);
	SendChunk(&out, fit->options, fit->options == NULL ? 0 : VARSIZE(fit->options));
	SendChunk(&out, fit->summary, VARSIZE(fit->summary));
	pq_sendint32(&out, fit->nrecords);
	for (int32 i = 0; i < fit->nrecords; i++)
	{
		CheckShape(fit, fit->records[i]);
		SendChunk(&out, fit->records[i], HeapTupleHeaderGetDatumLength(fit->records[i]));
	}
	pq_sendint64(&out, fit->nrows);
	SendChunk(&out, fit->rows, fit->nrows * sizeof(AttributeRow));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

PG_FUNCTION_INFO_V1(clv_fit_attributes_deserialize);
Datum
clv_fit_attributes_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext aggregate = AggregateContext(fcinfo, "clv_fit_attributes_deserialize");
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData in = {.data = VARDATA_ANY(bytes), .len = VARSIZE_ANY_EXHDR(bytes)};
	AttributeFit *fit = NewAttributeFit(aggregate, ReceiveChunk(&in, CurrentMemoryContext));
	int32 n;

	fit->summary = ReceiveChunk(&in, fit->context);
	n = pq_getmsgint(&in, 4);
	for (int32 i = 0; i < n; i++)
		(void) NumberOfRecord(fit, ReceiveChunk(&in, CurrentMemoryContext));
	fit->nrows = pq_getmsgint64(&in);
	fit->row_room = Max(fit->nrows, 1);
	fit->rows = ReceiveChunk(&in, fit->context);
	pq_getmsgend(&in);
	PG_RETURN_POINTER(fit);
}

/* ---------- the fit ---------- */

/* Customers with equal attributes. */
typedef struct EffectGroup
{
	ClvSample sample;
	double *columns; /* centered */
} EffectGroup;

typedef struct EffectSample
{
	ClvFamily family;
	LogLikelihood likelihood; /* of one group */
	int ncolumns;
	double ridge;
	EffectGroup *groups;
	int64 ngroups;
	double weight;
	double scale; /* the mean T, the unit of time of the sample, in units of the model */
} EffectSample;

/* The log-likelihood of all groups, less the penalty of the effects. */
static double
EffectLogLikelihood(void *data, const double *parameters, double *gradient)
{
	const EffectSample *sample = (const EffectSample *) data;
	int n = sample->ncolumns;
	const double *buying = parameters + CLV_PARAMETERS;
	const double *leaving = buying + n;
	double sign;
	int at = LeavingParameter(sample->family, &sign);
	double total = 0;

	for (int i = 0; i < 2 * n; i++)
	{
		double effect = buying[i]; /* and those on leaving, after them */

		total -= sample->ridge / 2 * effect * effect;
		gradient[CLV_PARAMETERS + i] = -sample->ridge * effect;
	}
	memset(gradient, 0, CLV_PARAMETERS * sizeof(double));
	for (int64 g = 0; g < sample->ngroups; g++)
	{
		EffectGroup *group = &sample->groups[g];
		double own[CLV_PARAMETERS];
		double by_own[CLV_PARAMETERS];

		memcpy(own, parameters, sizeof(own));
		ParametersWith(sample->family, EffectOf(buying, group->columns, n),
					   EffectOf(leaving, group->columns, n), own);
		total += sample->likelihood(&group->sample, own, by_own);
		for (int i = 0; i < CLV_PARAMETERS; i++)
			gradient[i] += by_own[i] * own[i] / parameters[i];
		for (int i = 0; i < n; i++)
		{
			gradient[CLV_PARAMETERS + i] -= by_own[CLV_ALPHA] * own[CLV_ALPHA] * group->columns[i];
			gradient[CLV_PARAMETERS + n + i] += sign * by_own[at] * own[at] * group->columns[i];
		}
	}
	return total;
}

/* The columns of every record. */
static double *
ColumnsOfRecords(const AttributeFit *fit, const ClvModel *model)
{
	RecordEncoder *encoder = NewRecordEncoder(CurrentMemoryContext);
	int n = ProfileColumns(model->attributes);
	double *columns = palloc_extended(mul_size(fit->nrecords, n * sizeof(double)), MCXT_ALLOC_HUGE);

	for (int32 r = 0; r < fit->nrecords; r++)
	{
		struct varlena *profile;
		ProfileView view;

		CHECK_FOR_INTERRUPTS();
		CheckShape(fit, fit->records[r]);
		profile = EncodeRecord(encoder, model->attributes, fit->records[r]);
		OpenProfile(&view, PointerGetDatum(profile));
		ProfileColumnValues(model->attributes, &view, columns + (int64) r * n);
		pfree(profile);
	}
	return columns;
}

/* Rows in the order of the columns of their records. */
typedef struct OrderedRow
{
	const double *columns;
	AttributeRow row;
} OrderedRow;

/*
 * Orders by everything that counts, so that the choice of customers does not depend on the order of
 * the rows.
 */
static int
CompareRows(const OrderedRow *a, const OrderedRow *b, Size size)
{
	int order = memcmp(a->columns, b->columns, size);

	if (order != 0)
		return order;
	if (a->row.purchases != b->row.purchases)
		return a->row.purchases < b->row.purchases ? -1 : 1;
	if (a->row.last != b->row.last)
		return a->row.last < b->row.last ? -1 : 1;
	return a->row.age < b->row.age ? -1 : a->row.age > b->row.age;
}

#define ST_SORT SortOrderedRows
#define ST_ELEMENT_TYPE OrderedRow
#define ST_COMPARE_ARG_TYPE Size
#define ST_COMPARE(a, b, size) CompareRows(a, b, *(size))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* The sample of the customers in a range of rows. */
static void
SetGroup(const AttributeFit *fit, const ClvModel *model, const OrderedRow *from,
		 const OrderedRow *to, ClvSample *sample)
{
	FitOptions options = {.purpose = fit->summary->purpose,
						  .features = 1,
						  .as_of = fit->summary->as_of,
						  .until = fit->summary->as_of,
						  .unit = model->unit,
						  .observed_from = DATEVAL_NOBEGIN};
	SummaryState *state = SummaryStateFor(NULL, &options);

	for (; from < to; from++)
	{
		SummaryState *more = AddFitEntry(
			state,
			FIT_KEY(FIT_CUSTOMER, (uint64) from->row.purchases << 32 | (uint64) from->row.last),
			(uint64) from->row.age << 32, 1);

		if (more != state)
			pfree(state);
		state = more;
	}
	SortSummaryState(state);
	ClvSampleFromState(state, model->unit, &model->calendar, model->observed_from, false, sample);
	sample->regularity = (int) model->regularity;
	pfree(state);
}

/*
 * The means of the columns, summed in sorted order so that they do not depend on the order of
 * input.
 */
static double *
MeansOfColumns(const OrderedRow *rows, int64 nrows, int n)
{
	double *means = palloc0(n * sizeof(double));

	for (int c = 0; c < n; c++)
	{
		double known = 0;

		for (int64 i = 0; i < nrows; i++)
			if (!isnan(rows[i].columns[c]))
			{
				known += 1;
				means[c] += rows[i].columns[c];
			}
		means[c] /= Max(known, 1);
	}
	return means;
}

/* Makes groups of customers with equal columns; each customer counts `weight` times. */
static void
SetGroups(const AttributeFit *fit, const ClvModel *model, const OrderedRow *rows, int64 nrows,
		  double weight, EffectSample *sample)
{
	int n = sample->ncolumns;

	sample->groups = palloc_extended(mul_size(nrows + 1, sizeof(EffectGroup)), MCXT_ALLOC_HUGE);
	for (int64 from = 0, to; from < nrows; from = to)
	{
		EffectGroup *group = &sample->groups[sample->ngroups++];

		for (to = from;
			 to < nrows && memcmp(rows[to].columns, rows[from].columns, n * sizeof(double)) == 0;)
			to++;
		group->columns = palloc(n * sizeof(double));
		CenterColumns(model, rows[from].columns, n, group->columns);
		SetGroup(fit, model, rows + from, rows + to, &group->sample);
		group->sample.weight *= weight;
		sample->weight += group->sample.weight;
		for (int64 i = 0; i < group->sample.npoints; i++)
			group->sample.points[i].weight *= weight;
	}
}

/* The mean T of all customers. */
static double
MeanAge(const EffectSample *sample)
{
	double sum = 0;

	for (int64 g = 0; g < sample->ngroups; g++)
		for (int64 i = 0; i < sample->groups[g].sample.npoints; i++)
			sum += sample->groups[g].sample.points[i].weight * sample->groups[g].sample.points[i].T;
	return sum > 0 ? sum / sample->weight : 1;
}

/* Converts times to units of the sample and sets up what its likelihood needs. */
static void
IndexGroups(EffectSample *sample)
{
	int64 ntimes = 0;
	double *scratch;

	for (int64 g = 0; g < sample->ngroups; g++)
	{
		ClvSample *group = &sample->groups[g].sample;

		for (int64 i = 0; i < group->npoints; i++)
		{
			group->points[i].t_x /= sample->scale;
			group->points[i].T /= sample->scale;
		}
		IndexTimes(group);
		pfree(group->scratch);
		ntimes = Max(ntimes, group->ntimes);
	}
	/* shared, since they are used one after the other */
	scratch = palloc_extended(mul_size(ntimes, CLV_SCRATCH * sizeof(double)), MCXT_ALLOC_HUGE);
	for (int64 g = 0; g < sample->ngroups; g++)
		sample->groups[g].sample.scratch = scratch;
}

/*
 * Makes the groups of customers by their columns, whose means go to the model, and a coarse sample
 * for the first steps: at most MAX_COARSE customers at equal distances in the order of their
 * columns, each counting for several.
 */
static void
SetEffectSamples(const AttributeFit *fit, ClvModel *model, int64 longest, EffectSample *sample,
				 EffectSample *coarse)
{
	int n = sample->ncolumns;
	Size size = n * sizeof(double);
	const double *columns = ColumnsOfRecords(fit, model);
	OrderedRow *rows =
		palloc_extended(mul_size(fit->nrows + 1, sizeof(OrderedRow)), MCXT_ALLOC_HUGE);
	int64 nrows = 0;
	int64 step;

	for (int64 i = 0; i < fit->nrows; i++)
		if (fit->rows[i].age <= longest)
		{
			rows[nrows].row = fit->rows[i];
			rows[nrows++].columns = columns + (int64) fit->rows[i].record * n;
		}
	SortOrderedRows(rows, nrows, &size);
	model->means = MeansOfColumns(rows, nrows, n);
	*coarse = *sample;
	SetGroups(fit, model, rows, nrows, 1, sample);
	sample->scale = coarse->scale = MeanAge(sample);
	IndexGroups(sample);
	step = (nrows + MAX_COARSE - 1) / MAX_COARSE;
	if (step > 1)
	{
		int64 ncoarse = 0;

		for (int64 i = step / 2; i < nrows; i += step)
			rows[ncoarse++] = rows[i];
		SetGroups(fit, model, rows, ncoarse, (double) nrows / ncoarse, coarse);
		IndexGroups(coarse);
	}
	else
		*coarse = *sample;
	pfree(rows);
}

/* Fits the parameters with attributes, starting from those without, in units of the sample. */
static bool
MaximizeEffects(EffectSample *sample, EffectSample *coarse, const double *parameters,
				FitResult *result)
{
	int n = sample->ncolumns;
	int nparameters = CLV_PARAMETERS + 2 * n;
	FitProblem problem = {.nparameters = nparameters,
						  .npositive = CLV_PARAMETERS,
						  .basis = ClvBasis(sample->family),
						  .likelihood = EffectLogLikelihood,
						  .sample = sample,
						  .coarse = coarse->groups == sample->groups ? sample : coarse,
						  .weight = sample->weight,
						  .nstarts = 1};

	ClvCoordinates(sample->family, parameters, problem.start[0]);
	for (int i = CLV_PARAMETERS; i < nparameters; i++)
		problem.start[0][i] = 0;
	MaximizeLikelihood(&problem, result);
	if (FitIsMaximum(result->status))
		return true;
	problem.penalized = true;
	MaximizeLikelihood(&problem, result);
	if (!FitIsMaximum(result->status))
		return false;
	result->status = FIT_NO_MAXIMUM;
	return true;
}

/* Fits the encoding of the customers' attributes; false if they carry no information. */
static bool
LearnAttributes(const AttributeFit *fit, int64 longest, ClvModel *model)
{
	ProfileFitState *counts = NewProfileFit(CurrentMemoryContext, fit->encoding);
	int n;

	for (int64 i = 0; i < fit->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (fit->rows[i].age <= longest)
		{
			CheckShape(fit, fit->records[fit->rows[i].record]);
			CountRecord(counts, fit->records[fit->rows[i].record]);
		}
	}
	model->attributes =
		ModelFromDatum(&ProfileModelFormat, PointerGetDatum(FittedProfileModel(counts)));
	n = ProfileColumns(model->attributes);
	if (n > MAX_EFFECTS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the attributes make %d columns, the limit is %d", n, MAX_EFFECTS),
						errdetail("A nominal attribute makes one for each value but the first."),
						errhint("Give fewer attributes, or the options \"ignore\" or "
								"\"max_values\".")));
	if (n == 0)
		model->attributes = NULL;
	return n > 0;
}

/* Adds the effects of attributes to a model fitted without them; false if that did not converge. */
static bool
FitEffects(const AttributeFit *fit, ClvModel *model)
{
	EffectSample sample = {.family = (ClvFamily) model->family, .ridge = fit->ridge};
	EffectSample coarse;
	int64 longest = model->observed_from == DATEVAL_NOBEGIN
						? PG_INT64_MAX
						: (int64) model->as_of - model->observed_from;
	double start[MAX_FIT_PARAMETERS] = {0};
	double gradient[MAX_FIT_PARAMETERS];
	FitResult result;
	double before;
	int n;

	if (!FitIsMaximum(model->status) || !LearnAttributes(fit, longest, model))
		return true;
	n = sample.ncolumns = ProfileColumns(model->attributes);
	sample.likelihood = ClvLikelihood(sample.family);
	SetEffectSamples(fit, model, longest, &sample, &coarse);
	memcpy(start, model->parameters, sizeof(model->parameters));
	start[CLV_ALPHA] /= sample.scale;
	if (sample.family == CLV_PARETO_NBD)
		start[CLV_BETA] /= sample.scale;
	before = EffectLogLikelihood(&sample, start, gradient);
	if (!MaximizeEffects(&sample, &coarse, start, &result))
	{
		model->status = FIT_FAILED;
		model->attributes = NULL;
		return false;
	}
	model->status = result.status;
	memcpy(model->parameters, result.parameters, sizeof(model->parameters));
	model->parameters[CLV_ALPHA] *= sample.scale;
	if (sample.family == CLV_PARETO_NBD)
		model->parameters[CLV_BETA] *= sample.scale;
	model->neffects = model->nleaving = model->nmeans = n;
	model->purchase_effects = palloc(2 * n * sizeof(double));
	memcpy(model->purchase_effects, result.parameters + CLV_PARAMETERS, 2 * n * sizeof(double));
	model->leaving_effects = model->purchase_effects + n;
	/* the first rows of the triangle are those of the parameters alone */
	memcpy(model->covariance, result.covariance, sizeof(model->covariance));
	memset(model->bounds, 0,
		   sizeof(model->bounds)); /* those belonged to the fit without attributes */
	model->ncovariance = COVARIANCES(CLV_PARAMETERS + 2 * n);
	model->effect_covariance = result.covariance;
	model->log_likelihood += result.log_likelihood - before;
	for (int i = 0; i < 2 * n; i++)
		model->log_likelihood +=
			sample.ridge / 2 * model->purchase_effects[i] * model->purchase_effects[i];
	return true;
}

PG_FUNCTION_INFO_V1(clv_fit_attributes_finalfn);
Datum
clv_fit_attributes_finalfn(PG_FUNCTION_ARGS)
{
	const AttributeFit *fit;
	ClvModel model;

	(void) AggregateContext(fcinfo, "clv_fit_attributes_finalfn");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	fit = (const AttributeFit *) PG_GETARG_POINTER(0);
	if (fit->nrows == 0)
		PG_RETURN_NULL();
	/* whom attributes tell apart are not split besides */
	fit->summary->features &= (uint8) ~FIT_MIXED;
	FitClvModel(fit->summary, &model);
	if (FitEffects(fit, &model))
		WarnOfClvFit(&model);
	else
		ereport(WARNING,
				(errmsg("the %s model did not converge with its attributes", ClvModelName(&model)),
				 errdetail("Effects of attributes that say the same, or nearly, cannot be told "
						   "apart."),
				 errhint("Its predictions are NULL. Leave one of such attributes out, or give the "
						 "option \"ridge\": {\"ridge\": 1}.")));
	PG_RETURN_POINTER(ModelValue(&ClvModelFormat, &model));
}
