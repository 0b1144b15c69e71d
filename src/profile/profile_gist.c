/*
 * profile_gist.c: the GiST operator class of profiles, for ORDER BY column <-> profile.
 *
 * A leaf key is KEY_LEAF and the bytes of a profile: its distance is exact.  An inner key is
 * KEY_INNER and a box around the profiles below it:
 *
 *	head	the bytes that all profiles of the model start with
 *	flags	one byte per slot: BOX_VALUE if some have one; BOX_MISSING if some miss it
 *	low, high	one byte each per scaled slot
 *	codes	8 bytes per coded slot: bit code % 64 of each code that occurs
 *	any, all	bitmaps of sets: the elements that some, and that all, contain
 */
#include "postgres.h"

#include "access/gist.h"
#include "access/stratnum.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"

#include "profile/profile_gist.h"

#define KEY_LEAF 0
#define KEY_INNER 1

#define BOX_VALUE 0x01
#define BOX_MISSING 0x02

/* A split may leave as little as this share of the entries on one side. */
#define MIN_SHARE 0.3

static int
BitmapSize(const ProfileView *layout)
{
	int size = 0;

	for (int i = 0; i < layout->nsets; i++)
		size += layout->set_bytes[i];
	return size;
}

/* The size of a box after the head. */
static int
BoxSize(const ProfileView *layout)
{
	return layout->nscaled + layout->ncoded + layout->nsets + 2 * layout->nscaled +
		   layout->ncoded * (int) sizeof(uint64) + 2 * BitmapSize(layout);
}

/* Points the parts of a box into its bytes after the head. */
static void
LayOutBox(Box *box, uint8 *bytes)
{
	const ProfileView *layout = &box->layout;

	box->natts = layout->nscaled + layout->ncoded + layout->nsets;
	box->bitmap_size = BitmapSize(layout);
	box->flags = bytes;
	box->low = box->flags + box->natts;
	box->high = box->low + layout->nscaled;
	box->codes = box->high + layout->nscaled;
	box->any = box->codes + layout->ncoded * sizeof(uint64);
	box->all = box->any + box->bitmap_size;
}

static inline uint64
LoadCodes(const Box *box, int i)
{
	uint64 codes;

	memcpy(&codes, box->codes + i * sizeof(codes), sizeof(codes));
	return codes;
}

static inline void
AddCodes(Box *box, int i, uint64 codes)
{
	codes |= LoadCodes(box, i);
	memcpy(box->codes + i * sizeof(codes), &codes, sizeof(codes));
}

static inline uint64
CodeBit(uint8 code)
{
	return UINT64CONST(1) << (code & 63);
}

bytea *
NewProfileBox(Box *box, const ProfileView *view)
{
	int size = BoxSize(view);
	bytea *key = palloc0(VARHDRSZ + 1 + view->head_size + size);
	uint8 *bytes = (uint8 *) VARDATA(key);

	SET_VARSIZE(key, VARHDRSZ + 1 + view->head_size + size);
	*bytes++ = KEY_INNER;
	memcpy(bytes, view->head, view->head_size);
	ViewProfileHead(&box->layout, bytes, view->head_size);
	LayOutBox(box, bytes + view->head_size);
	memset(box->low, 0xff, view->nscaled);
	memset(box->all, 0xff, box->bitmap_size);
	return key;
}

void
AddProfileToBox(Box *box, const ProfileView *view)
{
	int ncoded = view->nscaled + view->ncoded;

	CheckSameModel(&box->layout, view);
	for (int slot = 0; slot < box->natts; slot++)
	{
		uint8 code = view->codes[slot];

		if (code == CODE_MISSING)
		{
			box->flags[slot] |= BOX_MISSING;
			continue;
		}
		box->flags[slot] |= BOX_VALUE;
		if (slot < view->nscaled)
		{
			box->low[slot] = Min(box->low[slot], code);
			box->high[slot] = Max(box->high[slot], code);
		}
		else if (slot < ncoded)
			AddCodes(box, slot - view->nscaled, CodeBit(code));
	}
	for (int i = 0, start = 0; i < view->nsets; start += view->set_bytes[i++])
		if (view->codes[ncoded + i] != CODE_MISSING)
			for (int b = start; b < start + view->set_bytes[i]; b++)
			{
				box->any[b] |= view->bitmaps[b];
				box->all[b] &= view->bitmaps[b];
			}
}

static void
AddBox(Box *box, const Box *other)
{
	CheckSameModel(&box->layout, &other->layout);
	for (int slot = 0; slot < box->natts; slot++)
		box->flags[slot] |= other->flags[slot];
	for (int slot = 0; slot < box->layout.nscaled; slot++)
	{
		box->low[slot] = Min(box->low[slot], other->low[slot]);
		box->high[slot] = Max(box->high[slot], other->high[slot]);
	}
	for (int i = 0; i < box->layout.ncoded; i++)
		AddCodes(box, i, LoadCodes(other, i));
	for (int b = 0; b < box->bitmap_size; b++)
	{
		box->any[b] |= other->any[b];
		box->all[b] &= other->all[b];
	}
}

bool
OpenProfileKey(Datum value, ProfileView *view, Box *box)
{
	bytea *key = PG_DETOAST_DATUM_PACKED(value);
	uint8 *bytes = (uint8 *) VARDATA_ANY(key);
	int size = VARSIZE_ANY_EXHDR(key);

	if (size > 1 && bytes[0] == KEY_LEAF && ViewProfileBytes(view, bytes + 1, size - 1))
		return true;
	if (size > 1 && bytes[0] == KEY_INNER && ViewProfileHead(&box->layout, bytes + 1, size - 1) &&
		size == 1 + box->layout.head_size + BoxSize(&box->layout))
	{
		LayOutBox(box, bytes + 1 + box->layout.head_size);
		return false;
	}
	ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED), errmsg("invalid key in an index of profiles"),
					errhint("REINDEX the index.")));
}

/* The box of any key; a leaf's is made for it. */
static void
OpenBox(Datum value, Box *box)
{
	ProfileView view;

	if (OpenProfileKey(value, &view, box))
	{
		NewProfileBox(box, &view);
		AddProfileToBox(box, &view);
	}
}

/* ---------- distance ---------- */

/* The least distance in one slot to anything in the box, in steps; both must have a value. */
static uint32
SlotBound(const ProfileView *query, const Box *box, int slot)
{
	uint8 code = query->codes[slot];
	int set = slot - query->nscaled - query->ncoded;
	uint32 levels = query->levels[slot];
	uint32 both = 0;
	uint32 either = 0;
	int start = 0;

	if (slot < query->nscaled)
		return code < box->low[slot]    ? box->low[slot] - code
			   : code > box->high[slot] ? code - box->high[slot]
										: 0;
	if (set < 0)
		return LoadCodes(box, slot - query->nscaled) & CodeBit(code) ? 0 : levels;

	/* no set below shares more with the query than `any`, nor contains less than `all` */
	for (int i = 0; i < set; i++)
		start += query->set_bytes[i];
	for (int b = start; b < start + query->set_bytes[set]; b++)
	{
		both += pg_number_of_ones[query->bitmaps[b] & box->any[b]];
		either += pg_number_of_ones[query->bitmaps[b] | box->all[b]];
	}
	return either == 0 ? 0 : levels - (levels * both + either / 2) / either;
}

/*
 * For a query that lacks something asymmetric: whether some below the box have it, and whether some
 * lack it, too, so that it is not compared.  False if it is to be compared as always.
 */
static bool
QueryLacks(const ProfileView *query, const Box *box, int slot, bool *some_have, bool *some_lack)
{
	int set = slot - query->nscaled - query->ncoded;
	int start = 0;

	if (!IsAsymmetric(query, slot))
		return false;
	if (set < 0)
	{
		uint64 codes = LoadCodes(box, slot - query->nscaled);

		*some_have = (codes & ~CodeBit(0)) != 0;
		*some_lack = (codes & CodeBit(0)) != 0;
		return query->codes[slot] == 0;
	}
	for (int i = 0; i < set; i++)
		start += query->set_bytes[i];
	*some_have = !BitmapIsEmpty(box->any + start, query->set_bytes[set]);
	*some_lack = BitmapIsEmpty(box->all + start, query->set_bytes[set]);
	return BitmapIsEmpty(query->bitmaps + start, query->set_bytes[set]);
}

/* One attribute that profiles below a box may miss. */
typedef struct OptionalSlot
{
	uint32 bound;
	uint32 levels;
} OptionalSlot;

static int
CompareOptionalSlots(const void *a, const void *b)
{
	const OptionalSlot *x = a;
	const OptionalSlot *y = b;
	uint32 left = x->bound * y->levels;
	uint32 right = y->bound * x->levels;

	return left < right ? -1 : left > right;
}

/*
 * An attribute that some profiles miss is compared only if that lowers the mean: in order of
 * bound / levels, as long as that is below the mean so far.
 */
double
ProfileBoxBound(const ProfileView *query, const Box *box)
{
	OptionalSlot optional[MAX_ATTRIBUTES];
	int noptional = 0;
	uint32 num = 0;
	uint32 den = 0;

	for (int slot = 0; slot < box->natts; slot++)
	{
		uint32 bound;
		bool optional_slot = (box->flags[slot] & BOX_MISSING) != 0;
		bool some_have;
		bool some_lack;

		if (query->codes[slot] == CODE_MISSING || !(box->flags[slot] & BOX_VALUE) ||
			query->levels[slot] == 0)
			continue;
		bound = SlotBound(query, box, slot);
		if (QueryLacks(query, box, slot, &some_have, &some_lack))
		{
			if (!some_have)
				continue;
			bound = query->levels[slot];
			optional_slot |= some_lack;
		}
		if (optional_slot)
			optional[noptional++] = (OptionalSlot){bound, query->levels[slot]};
		else
		{
			num += bound;
			den += query->levels[slot];
		}
	}
	if (noptional > 1)
		qsort(optional, noptional, sizeof(OptionalSlot), CompareOptionalSlots);
	for (int i = 0; i < noptional; i++)
	{
		if (den > 0 && optional[i].bound * den >= num * optional[i].levels)
			break;
		num += optional[i].bound;
		den += optional[i].levels;
	}
	/* nothing to compare: <-> is NULL, which sorts last */
	return den > 0 ? (double) num / (double) den : get_float8_infinity();
}

/* (entry, query, strategy, subtype, recheck) */
PG_FUNCTION_INFO_V1(profile_gist_distance);
Datum
profile_gist_distance(PG_FUNCTION_ARGS)
{
	GISTENTRY *entry = (GISTENTRY *) PG_GETARG_POINTER(0);
	bool *recheck = (bool *) PG_GETARG_POINTER(4);
	ProfileView query;
	ProfileView view;
	Box box;
	uint32 num;
	uint32 den;

	*recheck = false;
	OpenProfile(&query, PG_GETARG_DATUM(1));
	if (!OpenProfileKey(entry->key, &view, &box))
	{
		CheckSameModel(&query, &box.layout);
		PG_RETURN_FLOAT8(ProfileBoxBound(&query, &box));
	}
	CheckSameModel(&query, &view);
	ProfileDistance(&query, &view, &num, &den);
	PG_RETURN_FLOAT8(den > 0 ? (double) num / (double) den : get_float8_infinity());
}

/* ---------- the tree ---------- */

/* The operator class has no search operators. */
PG_FUNCTION_INFO_V1(profile_gist_consistent);
Datum
profile_gist_consistent(PG_FUNCTION_ARGS)
{
	elog(ERROR, "unrecognized strategy number: %d", PG_GETARG_UINT16(2));
}

PG_FUNCTION_INFO_V1(profile_gist_compress);
Datum
profile_gist_compress(PG_FUNCTION_ARGS)
{
	GISTENTRY *entry = (GISTENTRY *) PG_GETARG_POINTER(0);
	GISTENTRY *compressed;
	struct varlena *profile;
	bytea *key;
	int size;

	if (!entry->leafkey)
		PG_RETURN_POINTER(entry);
	profile = PG_DETOAST_DATUM_PACKED(entry->key);
	size = VARSIZE_ANY_EXHDR(profile);
	key = palloc(VARHDRSZ + 1 + size);
	SET_VARSIZE(key, VARHDRSZ + 1 + size);
	*VARDATA(key) = KEY_LEAF;
	memcpy(VARDATA(key) + 1, VARDATA_ANY(profile), size);
	compressed = palloc(sizeof(GISTENTRY));
	gistentryinit(*compressed, PointerGetDatum(key), entry->rel, entry->page, entry->offset, false);
	PG_RETURN_POINTER(compressed);
}

/* The key of the listed entries (NULL for all). */
static bytea *
UnionOf(const GistEntryVector *entries, const OffsetNumber *offsets, int n)
{
	Box all;
	bytea *key = NULL;

	for (int i = 0; i < n; i++)
	{
		Datum value = entries->vector[offsets ? offsets[i] : i].key;
		ProfileView view;
		Box box;
		bool leaf = OpenProfileKey(value, &view, &box);

		if (key == NULL)
			key = NewProfileBox(&all, leaf ? &view : &box.layout);
		if (leaf)
			AddProfileToBox(&all, &view);
		else
			AddBox(&all, &box);
	}
	return key;
}

PG_FUNCTION_INFO_V1(profile_gist_union);
Datum
profile_gist_union(PG_FUNCTION_ARGS)
{
	GistEntryVector *entries = (GistEntryVector *) PG_GETARG_POINTER(0);
	int *size = (int *) PG_GETARG_POINTER(1);
	bytea *key = UnionOf(entries, NULL, entries->n);

	*size = VARSIZE(key);
	PG_RETURN_POINTER(key);
}

PG_FUNCTION_INFO_V1(profile_gist_same);
Datum
profile_gist_same(PG_FUNCTION_ARGS)
{
	bytea *a = PG_GETARG_BYTEA_PP(0);
	bytea *b = PG_GETARG_BYTEA_PP(1);
	bool *same = (bool *) PG_GETARG_POINTER(2);

	*same = VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
			memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
	PG_RETURN_POINTER(same);
}

/* How much a box grows in steps when another is added. */
PG_FUNCTION_INFO_V1(profile_gist_penalty);
Datum
profile_gist_penalty(PG_FUNCTION_ARGS)
{
	float *penalty = (float *) PG_GETARG_POINTER(2);
	const ProfileView *layout;
	Box box;
	Box added;
	float growth = 0;
	int start = 0;

	OpenBox(((GISTENTRY *) PG_GETARG_POINTER(0))->key, &box);
	OpenBox(((GISTENTRY *) PG_GETARG_POINTER(1))->key, &added);
	CheckSameModel(&box.layout, &added.layout);
	layout = &box.layout;
	for (int slot = 0; slot < layout->nscaled; slot++)
		if (added.flags[slot] & BOX_VALUE)
		{
			if (!(box.flags[slot] & BOX_VALUE))
				continue;
			growth += Max(0, (int) box.low[slot] - (int) added.low[slot]);
			growth += Max(0, (int) added.high[slot] - (int) box.high[slot]);
		}
	for (int i = 0; i < layout->ncoded; i++)
	{
		uint64 codes = LoadCodes(&box, i);
		int more = pg_popcount64(LoadCodes(&added, i) & ~codes);

		/* the first values of a box count most */
		growth += (float) layout->levels[layout->nscaled + i] * more / (1 + pg_popcount64(codes));
	}
	for (int i = 0; i < layout->nsets; start += layout->set_bytes[i++])
	{
		int more = 0;
		int have = 0;

		for (int b = start; b < start + layout->set_bytes[i]; b++)
		{
			more += pg_number_of_ones[(uint8) (added.any[b] & ~box.any[b])];
			have += pg_number_of_ones[box.any[b]];
		}
		growth += (float) layout->levels[layout->nscaled + layout->ncoded + i] * more / (1 + have);
	}
	*penalty = growth;
	PG_RETURN_POINTER(penalty);
}

/* The distance of two boxes, by their centres and what they share. */
static double
BoxDistance(const Box *a, const Box *b)
{
	const ProfileView *layout = &a->layout;
	double distance = 0;
	int start = 0;

	for (int slot = 0; slot < layout->nscaled; slot++)
		if (a->flags[slot] & b->flags[slot] & BOX_VALUE)
			distance += abs((int) a->low[slot] + (int) a->high[slot] - (int) b->low[slot] -
							(int) b->high[slot]) /
						2.0;
	for (int i = 0; i < layout->ncoded; i++)
	{
		uint64 x = LoadCodes(a, i);
		uint64 y = LoadCodes(b, i);

		if (x != 0 && y != 0)
			distance += layout->levels[layout->nscaled + i] *
						(1.0 - (double) pg_popcount64(x & y) / pg_popcount64(x | y));
	}
	for (int i = 0; i < layout->nsets; start += layout->set_bytes[i++])
		distance += JaccardDistance(a->any + start, b->any + start, layout->set_bytes[i],
									layout->levels[layout->nscaled + layout->ncoded + i]);
	return distance;
}

typedef struct SplitEntry
{
	OffsetNumber offset;
	double side; /* below 0 if nearer to the first seed */
} SplitEntry;

static int
CompareSplitEntries(const void *a, const void *b)
{
	const SplitEntry *x = a;
	const SplitEntry *y = b;

	if (x->side != y->side)
		return x->side < y->side ? -1 : 1;
	return (int) x->offset - (int) y->offset;
}

static int
FarthestBox(const Box *boxes, int n, int from)
{
	int farthest = from;
	double max_distance = -1;

	for (int i = 0; i < n; i++)
	{
		double distance = BoxDistance(&boxes[from], &boxes[i]);

		if (i != from && distance > max_distance)
		{
			max_distance = distance;
			farthest = i;
		}
	}
	return farthest;
}

/* Two entries far apart are the seeds; every other entry goes to the nearer one. */
PG_FUNCTION_INFO_V1(profile_gist_picksplit);
Datum
profile_gist_picksplit(PG_FUNCTION_ARGS)
{
	GistEntryVector *entries = (GistEntryVector *) PG_GETARG_POINTER(0);
	GIST_SPLITVEC *split = (GIST_SPLITVEC *) PG_GETARG_POINTER(1);
	int n = entries->n - FirstOffsetNumber;
	Box *boxes = palloc(n * sizeof(Box));
	SplitEntry *order = palloc(n * sizeof(SplitEntry));
	int a;
	int b;
	int left = 0;

	for (int i = 0; i < n; i++)
		OpenBox(entries->vector[FirstOffsetNumber + i].key, &boxes[i]);
	a = FarthestBox(boxes, n, 0);
	b = FarthestBox(boxes, n, a);
	for (int i = 0; i < n; i++)
	{
		order[i].offset = FirstOffsetNumber + i;
		order[i].side = BoxDistance(&boxes[a], &boxes[i]) - BoxDistance(&boxes[b], &boxes[i]);
	}
	qsort(order, n, sizeof(SplitEntry), CompareSplitEntries);
	while (left < n && order[left].side < 0)
		left++;
	left = Max(left, Max(1, (int) (n * MIN_SHARE)));
	left = Min(left, n - Max(1, (int) (n * MIN_SHARE)));

	split->spl_left = palloc(n * sizeof(OffsetNumber));
	split->spl_right = palloc(n * sizeof(OffsetNumber));
	split->spl_nleft = left;
	split->spl_nright = n - left;
	for (int i = 0; i < left; i++)
		split->spl_left[i] = order[i].offset;
	for (int i = left; i < n; i++)
		split->spl_right[i - left] = order[i].offset;
	split->spl_ldatum = PointerGetDatum(UnionOf(entries, split->spl_left, split->spl_nleft));
	split->spl_rdatum = PointerGetDatum(UnionOf(entries, split->spl_right, split->spl_nright));
	PG_RETURN_POINTER(split);
}
