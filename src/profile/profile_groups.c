/*
 * profile_groups.c: groups of people who are alike: k-medoids on profiles, as CLARA does it.
 *
 * The aggregate keeps a sample, the rows whose keys have the smallest hashes, so it is the same for
 * rows in any order and however many there are.  The sample is dealt into parts.  In each part, for
 * each number of groups, medoids are found by PAM: greedy building, then the best swaps while there
 * are any.  The medoids of the part that suit the whole sample best are the result; how well those
 * of different parts agree about the sample says how stable the groups are.
 *
 * How many groups there are is found by the gap statistic (Tibshirani, Walther and Hastie 2001): by
 * how much groups bring down the distances more than in a sample with the same values in which
 * attributes have nothing to do with each other.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/common.h"
#include "base/statistics.h"
#include "profile/profile.h"

#define PARTS 5
#define PART_ROWS 600
#define SAMPLE_ROWS (PARTS * PART_ROWS)
#define MIN_ROWS 50 /* fewer are no groups */
#define MAX_GROUPS 30
#define MAX_CHOICE 10 /* the most groups that are tried by themselves */
#define CLASSES 5     /* of an attribute, when associations are measured */
#define MIN_GAP 0.03  /* gap against one group from which there are groups */

typedef struct SampleRow
{
	uint64 hash; /* of the key */
	struct varlena *profile;
} SampleRow;

typedef struct GroupSampleState
{
	MemoryContext context;
	int k;               /* 0: to be chosen */
	ProfileModel *model; /* for names; or NULL */
	int n;
	SampleRow *heap; /* the largest hash at the root */
} GroupSampleState;

/* ---------- the sample ---------- */

static int
CompareSampleRows(const void *a, const void *b)
{
	const SampleRow *x = a;
	const SampleRow *y = b;
	Size size_x = VARSIZE(x->profile);
	Size size_y = VARSIZE(y->profile);

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (size_x != size_y)
		return size_x < size_y ? -1 : 1;
	return memcmp(x->profile, y->profile, size_x);
}

/* Puts a row in the place of the root, or behind the last one, and restores the heap. */
static void
PlaceRow(GroupSampleState *state, SampleRow row, int at)
{
	SampleRow *heap = state->heap;

	while (at > 0 && CompareSampleRows(&heap[(at - 1) / 2], &row) < 0)
	{
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	for (int child; (child = 2 * at + 1) < state->n; at = child)
	{
		if (child + 1 < state->n && CompareSampleRows(&heap[child + 1], &heap[child]) > 0)
			child++;
		if (CompareSampleRows(&heap[child], &row) <= 0)
			break;
		heap[at] = heap[child];
	}
	heap[at] = row;
}

static void
AddSampleRow(GroupSampleState *state, uint64 hash, Datum profile)
{
	MemoryContext caller;
	SampleRow row = {.hash = hash};
	ProfileView first;
	ProfileView view;

	if (state->n == SAMPLE_ROWS && hash > state->heap[0].hash)
		return;
	caller = MemoryContextSwitchTo(state->context);
	row.profile = PG_DETOAST_DATUM_COPY(profile);
	MemoryContextSwitchTo(caller);
	if (state->n > 0)
	{
		OpenProfile(&first, PointerGetDatum(state->heap[0].profile));
		OpenProfile(&view, PointerGetDatum(row.profile));
		CheckSameModel(&first, &view);
	}
	if (state->n < SAMPLE_ROWS)
	{
		int at = state->n++;

		state->heap[at] = row;
		PlaceRow(state, row, at);
	}
	else if (CompareSampleRows(&row, &state->heap[0]) < 0)
	{
		pfree(state->heap[0].profile);
		PlaceRow(state, row, 0);
	}
	else
		pfree(row.profile);
}

static GroupSampleState *
StartSample(MemoryContext context)
{
	GroupSampleState *state = MemoryContextAllocZero(context, sizeof(GroupSampleState));

	state->context = context;
	state->heap = MemoryContextAlloc(context, SAMPLE_ROWS * sizeof(SampleRow));
	return state;
}

static void
AddKey(GroupSampleState *state, text *key, Datum profile)
{
	AddSampleRow(state, FastStableHash64(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)), profile);
}

/* (state, key, profile [, k]) */
PG_FUNCTION_INFO_V1(profile_groups_transfn);
Datum
profile_groups_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "profile_groups");
	GroupSampleState *state = PG_ARGISNULL(0) ? NULL : (GroupSampleState *) PG_GETARG_POINTER(0);

	if (state == NULL)
	{
		state = StartSample(context);
		state->k = PG_NARGS() > 3 && !PG_ARGISNULL(3) ? PG_GETARG_INT32(3) : 0;
		if (PG_NARGS() > 3 && !PG_ARGISNULL(3) && (state->k < 1 || state->k > MAX_GROUPS))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k is %d", state->k),
							errdetail("It is the number of groups, from 1 to %d.", MAX_GROUPS),
							errhint("Leave it out, or NULL, to have it chosen.")));
	}
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		AddKey(state, PG_GETARG_TEXT_PP(1), PG_GETARG_DATUM(2));
	PG_RETURN_POINTER(state);
}

/* ---------- which attributes go together ---------- */

/* (state, key, profile, profile_model) */
PG_FUNCTION_INFO_V1(group_weights_transfn);
Datum
group_weights_transfn(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo, "group_weights");
	GroupSampleState *state =
		PG_ARGISNULL(0) ? StartSample(context) : (GroupSampleState *) PG_GETARG_POINTER(0);
	MemoryContext caller;
	ProfileView view;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_POINTER(state);
	if (state->model == NULL)
	{
		caller = MemoryContextSwitchTo(context);
		state->model = ModelFromDatum(&ProfileModelFormat, PG_GETARG_DATUM(3));
		MemoryContextSwitchTo(caller);
		/* those that follow must be of the model of the first */
		OpenProfile(&view, PG_GETARG_DATUM(2));
		CheckProfileOfModel(&view, state->model);
	}
	AddKey(state, PG_GETARG_TEXT_PP(1), PG_GETARG_DATUM(2));
	PG_RETURN_POINTER(state);
}

static int
CompareClassSizes(const void *a, const void *b)
{
	const int *x = a;
	const int *y = b;

	return x[1] != y[1] ? y[1] - x[1] : x[0] - y[0];
}

/* The code of a row in a slot; for a set, whether it has a member. */
static int
SlotCode(const ProfileView *view, int slot, int member)
{
	int set = slot - view->nscaled - view->ncoded;

	if (view->codes[slot] == CODE_MISSING || set < 0)
		return view->codes[slot];
	return BitmapHas(SetBitmap(view, set), member);
}

/* The member of a set that divides the rows most evenly; 0 for other slots. */
static int
DividingMember(const ProfileView *rows, int n, int slot)
{
	int set = slot - rows[0].nscaled - rows[0].ncoded;
	int best = 0;
	int best_apart = n;

	for (int bit = 0; set >= 0 && bit < rows[0].set_bytes[set] * 8; bit++)
	{
		int has = 0;

		for (int i = 0; i < n; i++)
			has += !SlotIsMissing(&rows[i], slot) && SlotCode(&rows[i], slot, bit);
		if (abs(2 * has - n) < best_apart)
		{
			best_apart = abs(2 * has - n);
			best = bit;
		}
	}
	return best;
}

/* A class, 1 to CLASSES, for each row by a slot: fifths of numbers, frequent codes; 0: missing. */
static uint8 *
ClassifySlot(const ProfileView *rows, int n, int slot)
{
	int member = DividingMember(rows, n, slot);
	int size[CODE_MISSING + 1][2];
	uint8 class_of[CODE_MISSING + 1];
	uint8 *class = palloc(n);
	int known = 0;
	int below = 0;

	for (int c = 0; c <= CODE_MISSING; c++)
	{
		size[c][0] = c;
		size[c][1] = 0;
	}
	for (int i = 0; i < n; i++)
		size[SlotCode(&rows[i], slot, member)][1]++;
	size[CODE_MISSING][1] = 0;
	known = n;
	if (slot >= rows[0].nscaled)
		qsort(size, CODE_MISSING, sizeof(size[0]), CompareClassSizes);
	else
		for (int c = known = 0; c < CODE_MISSING; c++)
			known += size[c][1];
	for (int c = 0; c < CODE_MISSING; c++)
	{
		class_of[size[c][0]] = slot < rows[0].nscaled
								   ? 1 + Min(CLASSES - 1, below * CLASSES / Max(1, known))
								   : 1 + Min(CLASSES - 1, c);
		below += size[c][1];
	}
	class_of[CODE_MISSING] = 0;
	for (int i = 0; i < n; i++)
		class[i] = class_of[SlotCode(&rows[i], slot, member)];
	return class;
}

/* Cramer's V, corrected for bias (Bergsma 2013); 0 where chance explains it. */
static double
SlotAssociation(const uint8 *a, const uint8 *b, int n, int tests)
{
	double table[CLASSES + 1][CLASSES + 1] = {{0}};
	double in_a[CLASSES + 1] = {0};
	double in_b[CLASSES + 1] = {0};
	double total = 0;
	double chi_square = 0;
	double phi;
	int rows = 0;
	int columns = 0;
	int df;

	for (int i = 0; i < n; i++)
		if (a[i] > 0 && b[i] > 0)
		{
			table[a[i]][b[i]]++;
			in_a[a[i]]++;
			in_b[b[i]]++;
			total++;
		}
	for (int x = 1; x <= CLASSES; x++)
	{
		rows += in_a[x] > 0;
		columns += in_b[x] > 0;
		for (int y = 1; y <= CLASSES; y++)
			if (in_a[x] > 0 && in_b[y] > 0)
			{
				double expected = in_a[x] * in_b[y] / total;

				chi_square += (table[x][y] - expected) * (table[x][y] - expected) / expected;
			}
	}
	df = (rows - 1) * (columns - 1);
	if (df < 1 || total < MIN_ROWS || ChiSquareTail(chi_square, df) * tests > 0.01)
		return 0;
	phi = Max(0, chi_square / total - df / (total - 1));
	return sqrt(phi / (Min(rows - (rows - 1.0) * (rows - 1) / (total - 1),
						   columns - (columns - 1.0) * (columns - 1) / (total - 1)) -
					   1));
}

/* {"attribute": weight, …}: the closest association with another one; NULL if there is none at all
 */
PG_FUNCTION_INFO_V1(group_weights_finalfn);
Datum
group_weights_finalfn(PG_FUNCTION_ARGS)
{
	GroupSampleState *state = PG_ARGISNULL(0) ? NULL : (GroupSampleState *) PG_GETARG_POINTER(0);
	StringInfoData json;
	ProfileView *rows;
	uint8 **class;
	double *weight;
	double highest = 0;
	int slots;

	(void) AggregateContext(fcinfo, "group_weights");
	if (state == NULL || state->n == 0)
		PG_RETURN_NULL();
	qsort(state->heap, state->n, sizeof(SampleRow), CompareSampleRows);
	rows = palloc(state->n * sizeof(ProfileView));
	for (int i = 0; i < state->n; i++)
		OpenProfile(&rows[i], PointerGetDatum(state->heap[i].profile));
	slots = state->model->natts;
	class = palloc(slots * sizeof(uint8 *));
	weight = palloc0(slots * sizeof(double));
	for (int s = 0; s < slots; s++)
	{
		CHECK_FOR_INTERRUPTS();
		class[s] = ClassifySlot(rows, state->n, s);
		for (int t = 0; t < s; t++)
		{
			double v = SlotAssociation(class[s], class[t], state -> n, slots *(slots - 1) / 2);

			weight[s] = Max(weight[s], v);
			weight[t] = Max(weight[t], v);
			highest = Max(highest, v);
		}
	}
	if (highest == 0)
		PG_RETURN_NULL();
	initStringInfo(&json);
	for (int a = 0; a < state->model->natts; a++)
	{
		appendStringInfoString(&json, a > 0 ? ", " : "{");
		escape_json(&json, state->model->atts[a].name);
		appendStringInfo(&json, ": %.4f", weight[state->model->atts[a].slot]);
	}
	appendStringInfoChar(&json, '}');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* ---------- k-medoids ---------- */

/* A part of the sample, and what PAM knows about it. */
typedef struct Pam
{
	int n;
	const float *distance; /* n * n */
	int k;
	int medoid[MAX_GROUPS];
	uint8 *nearest; /* of each row: which medoid */
	float *near;    /* its distance */
	float *second;  /* that of the second nearest */
} Pam;

static double
Distance(const ProfileView *a, const ProfileView *b)
{
	uint32 num;
	uint32 den;

	ProfileDistance(a, b, &num, &den);
	/* nothing to compare */
	return den == 0 ? 1 : (double) num / den;
}

static void
AssignRows(Pam *pam)
{
	for (int i = 0; i < pam->n; i++)
	{
		pam->near[i] = pam->second[i] = HUGE_VALF;
		for (int m = 0; m < pam->k; m++)
		{
			float d = pam->distance[(Size) pam->medoid[m] * pam->n + i];

			if (d < pam->near[i])
			{
				pam->second[i] = pam->near[i];
				pam->near[i] = d;
				pam->nearest[i] = (uint8) m;
			}
			else if (d < pam->second[i])
				pam->second[i] = d;
		}
	}
}

/* Adds the medoid that takes most off the sum of distances. */
static void
AddMedoid(Pam *pam)
{
	double best = -1;
	int chosen = 0;

	for (int c = 0; c < pam->n; c++)
	{
		const float *d = &pam->distance[(Size) c * pam->n];
		double gain = 0;

		for (int i = 0; i < pam->n; i++)
			/* before the first one all are equally far */
			gain += pam->k == 0 ? 1 - d[i] : Max(0, pam->near[i] - d[i]);
		if (gain > best)
		{
			best = gain;
			chosen = c;
		}
	}
	CHECK_FOR_INTERRUPTS();
	pam->medoid[pam->k++] = chosen;
	AssignRows(pam);
}

/*
 * The best swap of a medoid for another row (Schubert and Rousseeuw 2019: the losses of all medoids
 * in one pass over the rows for each candidate); false if none is an improvement.
 */
static bool
SwapMedoid(Pam *pam)
{
	double removal[MAX_GROUPS] = {0}; /* loss if a medoid went without replacement */
	double best = -1e-6;
	int best_row = -1;
	int best_medoid = 0;

	for (int i = 0; i < pam->n; i++)
		removal[pam->nearest[i]] += pam->k > 1 ? pam->second[i] - pam->near[i] : 1 - pam->near[i];
	for (int c = 0; c < pam->n; c++)
	{
		const float *d = &pam->distance[(Size) c * pam->n];
		double loss[MAX_GROUPS];
		double shared = 0;

		memcpy(loss, removal, sizeof(loss));
		for (int i = 0; i < pam->n; i++)
		{
			float second = pam->k > 1 ? pam->second[i] : 1;

			if (d[i] < pam->near[i])
			{
				shared += d[i] - pam->near[i];
				loss[pam->nearest[i]] += pam->near[i] - second;
			}
			else if (d[i] < second)
				loss[pam->nearest[i]] += d[i] - second;
		}
		for (int m = 0; m < pam->k; m++)
			if (loss[m] + shared < best)
			{
				best = loss[m] + shared;
				best_row = c;
				best_medoid = m;
			}
	}
	CHECK_FOR_INTERRUPTS();
	if (best_row < 0)
		return false;
	pam->medoid[best_medoid] = best_row;
	AssignRows(pam);
	return true;
}

/* ---------- choosing ---------- */

/* A way to group the sample. */
typedef struct Grouping
{
	int k;
	const SampleRow *medoid[MAX_GROUPS];
	double total;      /* of distances to the nearest medoid */
	double silhouette; /* mean of 1 - nearest / second nearest */
	double stability;  /* mean adjusted Rand index with those of the other parts */
	int size[MAX_GROUPS];
	uint8 *group; /* of each row of the sample */
} Grouping;

/* Assigns the whole sample to the medoids. */
static void
GroupSample(Grouping *g, const SampleRow *rows, int n)
{
	ProfileView medoid[MAX_GROUPS];

	for (int m = 0; m < g->k; m++)
		OpenProfile(&medoid[m], PointerGetDatum(g->medoid[m]->profile));
	g->group = palloc(n);
	g->total = g->silhouette = 0;
	memset(g->size, 0, sizeof(g->size));
	for (int i = 0; i < n; i++)
	{
		double near = HUGE_VAL;
		double second = HUGE_VAL;
		ProfileView view;

		OpenProfile(&view, PointerGetDatum(rows[i].profile));
		for (int m = 0; m < g->k; m++)
		{
			double d = Distance(&view, &medoid[m]);

			if (d < near)
			{
				second = near;
				near = d;
				g->group[i] = (uint8) m;
			}
			else if (d < second)
				second = d;
		}
		g->total += near;
		g->silhouette += g->k > 1 && second > 0 ? 1 - near / second : 0;
		g->size[g->group[i]]++;
	}
	g->silhouette /= n;
}

static double
Pairs(double n)
{
	return n * (n - 1) / 2;
}

/* Hubert and Arabie 1985: 1 for the same groups, 0 as chance would have it. */
static double
AdjustedRandIndex(const Grouping *a, const Grouping *b, int n)
{
	int(*both)[MAX_GROUPS] = palloc0(sizeof(int[MAX_GROUPS][MAX_GROUPS]));
	double together = 0;
	double in_a = 0;
	double in_b = 0;
	double expected;

	for (int i = 0; i < n; i++)
		both[a->group[i]][b->group[i]]++;
	for (int x = 0; x < a->k; x++)
	{
		in_a += Pairs(a->size[x]);
		for (int y = 0; y < b->k; y++)
			together += Pairs(both[x][y]);
	}
	for (int y = 0; y < b->k; y++)
		in_b += Pairs(b->size[y]);
	pfree(both);
	expected = in_a * in_b / Pairs(n);
	if ((in_a + in_b) / 2 == expected)
		return 1;
	return (together - expected) / ((in_a + in_b) / 2 - expected);
}

/* The distances between the rows of a part: every PARTS-th of the sample. */
static float *
PartDistances(const SampleRow *rows, int n, int part, int *size)
{
	int m = (n - part + PARTS - 1) / PARTS;
	ProfileView *view = palloc(m * sizeof(ProfileView));
	float *distance = palloc_extended((Size) m * m * sizeof(float), MCXT_ALLOC_HUGE);

	for (int i = 0; i < m; i++)
		OpenProfile(&view[i], PointerGetDatum(rows[part + i * PARTS].profile));
	for (int i = 0; i < m; i++)
	{
		CHECK_FOR_INTERRUPTS();
		distance[(Size) i * m + i] = 0;
		for (int j = 0; j < i; j++)
			distance[(Size) i * m + j] = distance[(Size) j * m + i] =
				(float) Distance(&view[i], &view[j]);
	}
	pfree(view);
	*size = m;
	return distance;
}

/* Groupings with from .. to groups, by the medoids of one part each: at[(k - from) * PARTS + part].
 */
static Grouping *
MakeGroupings(const SampleRow *rows, int n, int from, int to)
{
	Grouping *groupings = palloc0((to - from + 1) * PARTS * sizeof(Grouping));

	for (int part = 0; part < PARTS; part++)
	{
		Pam pam = {0};

		pam.distance = PartDistances(rows, n, part, &pam.n);
		pam.nearest = palloc(pam.n);
		pam.near = palloc(pam.n * sizeof(float));
		pam.second = palloc(pam.n * sizeof(float));
		for (int k = from; k <= to; k++)
		{
			Grouping *g = &groupings[(k - from) * PARTS + part];

			/* those of k - 1 groups are where it begins */
			while (pam.k < Min(k, pam.n))
				AddMedoid(&pam);
			for (int swaps = 0; swaps < 100 && SwapMedoid(&pam); swaps++)
				;
			g->k = pam.k;
			for (int m = 0; m < pam.k; m++)
				g->medoid[m] = &rows[part + pam.medoid[m] * PARTS];
			GroupSample(g, rows, n);
		}
		pfree((void *) pam.distance);
	}
	return groupings;
}

/* Of the groupings of the parts, the best; with the mean agreement of all pairs of them. */
static Grouping *
BestOfParts(Grouping *groupings, int n)
{
	Grouping *best = groupings;
	double agreement = 0;

	for (int a = 0; a < PARTS; a++)
	{
		if (groupings[a].total < best->total)
			best = &groupings[a];
		for (int b = 0; b < a; b++)
			agreement += AdjustedRandIndex(&groupings[a], &groupings[b], n);
	}
	best->stability = agreement / Pairs(PARTS);
	return best;
}

/*
 * The sample with each attribute taken from another row: rows are in the order of a hash, so a
 * shift that differs by attribute mixes them.
 */
static SampleRow *
MixedSample(const SampleRow *rows, int n)
{
	SampleRow *mixed = palloc(n * sizeof(SampleRow));

	for (int i = 0; i < n; i++)
	{
		ProfileView view;
		int slots;

		mixed[i].hash = rows[i].hash;
		mixed[i].profile = (struct varlena *) DatumGetPointer(
			PointerGetDatum(PG_DETOAST_DATUM_COPY(PointerGetDatum(rows[i].profile))));
		OpenProfile(&view, PointerGetDatum(mixed[i].profile));
		slots = view.nscaled + view.ncoded + view.nsets;
		for (int slot = 0; slot < slots; slot++)
		{
			int set = slot - view.nscaled - view.ncoded;
			ProfileView other;

			OpenProfile(&other, PointerGetDatum(rows[(i + (int64) slot * 97) % n].profile));
			((uint8 *) view.codes)[slot] = other.codes[slot];
			if (set >= 0)
				memcpy((uint8 *) SetBitmap(&view, set), SetBitmap(&other, set),
					   view.set_bytes[set]);
		}
	}
	return mixed;
}

/* The gap of a number of groups, from the groupings of the parts, and its standard error. */
static double
Gap(const Grouping *real, const Grouping *mixed, int n, double *error)
{
	double sum = 0;
	double squares = 0;

	for (int part = 0; part < PARTS; part++)
	{
		double gap = (mixed[part].total - real[part].total) / n;

		sum += gap;
		squares += gap * gap;
	}
	*error = sqrt(Max(0, squares / PARTS - sum * sum / PARTS / PARTS) / (PARTS - 1));
	return sum / PARTS;
}

/*
 * The number of groups: the smallest whose gap is within a standard error of the largest, if that
 * is clearly larger than the gap of a single group.
 */
static int
ChooseNumber(const double *gap, const double *error, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		if (gap[i] > gap[best])
			best = i;
	if (gap[best] - gap[0] < Max(MIN_GAP, 2 * error[best]))
		return 1;
	for (int i = 1; i < best; i++)
		if (gap[i] >= gap[best] - error[best])
			return i + 1;
	return best + 1;
}

/* The medoids in the order of the sizes of their groups. */
static Datum
MedoidArray(Grouping *g, Oid type)
{
	Datum medoids[MAX_GROUPS];
	int order[MAX_GROUPS];

	for (int m = 0; m < g->k; m++)
	{
		int at = m;

		for (; at > 0 && (g->size[order[at - 1]] < g->size[m] ||
						  (g->size[order[at - 1]] == g->size[m] &&
						   CompareSampleRows(g->medoid[order[at - 1]], g->medoid[m]) > 0));
			 at--)
			order[at] = order[at - 1];
		order[at] = m;
	}
	for (int m = 0; m < g->k; m++)
		medoids[m] = PointerGetDatum(g->medoid[order[m]]->profile);
	return PointerGetDatum(construct_array(medoids, g->k, type, -1, false, TYPALIGN_INT));
}

static Datum
NumberArray(const double *numbers, int n)
{
	Datum datums[MAX_CHOICE];

	for (int i = 0; i < n; i++)
		datums[i] = Float8GetDatum(numbers[i]);
	return PointerGetDatum(
		construct_array(datums, n, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The groups of a sample; k 0: as many as there are, with the gaps and stabilities of 1, 2, … */
static Grouping *
FindGroups(const SampleRow *rows, int n, int k, double *gap, double *stability, int *tried)
{
	Grouping *groupings;
	Grouping *mixed;
	double error[MAX_CHOICE];

	/* each part needs a row for each group */
	*tried = k > 0 || n < MIN_ROWS ? 0 : MAX_CHOICE;
	if (*tried == 0)
	{
		k = Max(1, Min(k, n / PARTS));
		return BestOfParts(MakeGroupings(rows, n, k, k), n);
	}
	groupings = MakeGroupings(rows, n, 1, *tried);
	mixed = MakeGroupings(MixedSample(rows, n), n, 1, *tried);
	for (int i = 0; i < *tried; i++)
	{
		gap[i] = Gap(&groupings[i * PARTS], &mixed[i * PARTS], n, &error[i]);
		stability[i] = BestOfParts(&groupings[i * PARTS], n)->stability;
	}
	k = ChooseNumber(gap, error, *tried);
	return BestOfParts(&groupings[(k - 1) * PARTS], n);
}

/* (medoids, silhouette, stability, gaps, stabilities) */
PG_FUNCTION_INFO_V1(profile_groups_finalfn);
Datum
profile_groups_finalfn(PG_FUNCTION_ARGS)
{
	GroupSampleState *state = PG_ARGISNULL(0) ? NULL : (GroupSampleState *) PG_GETARG_POINTER(0);
	double gaps[MAX_CHOICE];
	double stabilities[MAX_CHOICE];
	Datum values[5];
	bool nulls[5] = {0};
	SampleRow *rows;
	Grouping *found;
	int tried;
	TupleDesc row;

	(void) AggregateContext(fcinfo, "profile_groups");
	if (state == NULL || state->n == 0)
		PG_RETURN_NULL();
	if (state->n < PARTS)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg_plural("%d person makes no groups", "%d people make no groups",
									  state->n, state->n),
						errdetail("There must be at least %d.", PARTS)));
	rows = palloc(state->n * sizeof(SampleRow));
	memcpy(rows, state->heap, state->n * sizeof(SampleRow));
	qsort(rows, state->n, sizeof(SampleRow), CompareSampleRows);
	found = FindGroups(rows, state->n, state->k, gaps, stabilities, &tried);
	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type is not a row");
	values[0] = MedoidArray(found, get_element_type(TupleDescAttr(row, 0)->atttypid));
	values[1] = Float8GetDatum(found->silhouette);
	values[2] = Float8GetDatum(found->stability);
	nulls[1] = nulls[2] = found->k == 1;
	nulls[3] = nulls[4] = tried == 0;
	if (tried > 0)
	{
		values[3] = NumberArray(gaps, tried);
		values[4] = NumberArray(stabilities, tried);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}

/* ---------- using it ---------- */

/* Medoids taken apart once for a query. */
typedef struct MedoidCache
{
	struct varlena *array; /* the value that they are from */
	int n;
	ProfileView *medoid;
} MedoidCache;

static MedoidCache *
CachedMedoids(FunctionCallInfo fcinfo, int argument)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(argument);
	MedoidCache *cache = fcinfo->flinfo->fn_extra;
	MemoryContext caller;
	Datum *medoids;
	bool *nulls;

	if (cache != NULL && VARSIZE(cache->array) == VARSIZE(array) &&
		memcmp(cache->array, array, VARSIZE(array)) == 0)
		return cache;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	cache = palloc0(sizeof(MedoidCache));
	cache->array = palloc(VARSIZE(array));
	memcpy(cache->array, array, VARSIZE(array));
	deconstruct_array((ArrayType *) cache->array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT,
					  &medoids, &nulls, &cache->n);
	cache->medoid = palloc(cache->n * sizeof(ProfileView));
	for (int m = 0; m < cache->n; m++)
	{
		if (nulls[m])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a medoid must not be NULL")));
		OpenProfile(&cache->medoid[m], PointerGetDatum(PG_DETOAST_DATUM_COPY(medoids[m])));
	}
	MemoryContextSwitchTo(caller);
	fcinfo->flinfo->fn_extra = cache;
	return cache;
}

/* (profile, medoids): the number, from 1, of the medoid that the profile is nearest to */
PG_FUNCTION_INFO_V1(nearest_group);
Datum
nearest_group(PG_FUNCTION_ARGS)
{
	MedoidCache *cache = CachedMedoids(fcinfo, 1);
	ProfileView view;
	double near = HUGE_VAL;
	int nearest = 0;

	OpenProfile(&view, PG_GETARG_DATUM(0));
	for (int m = 0; m < cache->n; m++)
	{
		double d;

		CheckSameModel(&cache->medoid[m], &view);
		d = Distance(&view, &cache->medoid[m]);
		if (d < near)
		{
			near = d;
			nearest = m + 1;
		}
	}
	if (nearest == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(nearest);
}
