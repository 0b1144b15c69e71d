/*
 * profile.h: the attributes of a customer or prospect, encoded.
 *
 * A profile_model says how attributes are encoded, a profile is one person's
 * attributes encoded by a model.  A profile carries all that comparing it takes,
 * so similarity needs no model; names and words are in the model.
 *
 * Slots.  A profile has one slot for each attribute, in three groups:
 *
 *	scaled	numeric, date, ordinal: slots 0 .. nscaled - 1
 *	coded	nominal, boolean: the ncoded slots after them
 *	sets	the nsets slots after those
 *
 * and for each slot a *code*, one byte, which is all that similarity looks at
 * (besides the bitmaps of sets): CODE_MISSING, or
 *
 *	scaled	the value's place in the attribute's range, 0 .. levels
 *	coded	the position in the attribute's dictionary; from nvalues on: a value
 *			that is not in the dictionary ("other"), told apart by a hash
 *	sets	0
 *
 * `levels` is the attribute's weight in whole steps, 0 .. MAX_LEVELS.  The
 * distance of two profiles is num / den with den the sum of levels over the slots
 * that neither misses, and num the sum over them of |a - b| (scaled), of levels
 * where a <> b (coded), of JaccardDistance (sets).  Both are integers below
 * 2^16, so every way to compute them gives the same bits.
 *
 * A scaled slot has its number besides: a float4, days since 2000-01-01 for a
 * date, the 0-based rank for an ordinal attribute, NaN where it is missing.
 *
 * The stored form of a profile (after the varlena header):
 *
 *	version		1 byte
 *	flags		1 byte: PROFILE_WEIGHTED
 *	fingerprint	8 bytes, of the model
 *	nscaled, ncoded, nsets		1 byte each
 *	set_bytes	nsets bytes: the size of each bitmap
 *	levels		one byte a slot; only if PROFILE_WEIGHTED, else all MAX_LEVELS
 *	codes		one byte a slot
 *	bitmaps		of the sets
 *	numbers		nscaled * 4 bytes, most significant first
 */
#ifndef CRM_PROFILE_H
#define CRM_PROFILE_H

#include <math.h>

#include "fmgr.h"
#include "port/pg_bswap.h"

#include "base/common.h"

#define PROFILE_VERSION 1
#define PROFILE_MODEL_VERSION 1

#define PROFILE_WEIGHTED 0x01

#define MAX_ATTRIBUTES 250 /* so that MAX_ATTRIBUTES * MAX_LEVELS < 2^16 */
#define MAX_LEVELS 254
#define CODE_MISSING 255

#define MAX_NOMINAL_VALUES 191 /* of a dictionary: leaves codes to tell others apart */
#define MAX_SET_VALUES 248
#define SET_OTHER_BITS 8 /* bits that elements outside of the dictionary share */
#define MAX_SET_BYTES ((MAX_SET_VALUES + SET_OTHER_BITS) / 8)

/* ---------- models ---------- */

typedef enum AttributeKind
{
	/* stored: never renumber */
	KIND_NUMERIC = 0,
	KIND_DATE = 1,
	KIND_ORDINAL = 2,
	KIND_NOMINAL = 3,
	KIND_BOOLEAN = 4, /* dictionary: false, true */
	KIND_SET = 5
} AttributeKind;

typedef struct ProfileAttribute
{
	const char *name;
	AttributeKind kind;
	int slot;
	double weight; /* as given, >= 0 */
	uint8 levels;  /* the same in steps of 1/MAX_LEVELS of the largest */
	double low;    /* scaled: the range; ordinal: 0 and nvalues - 1 */
	double high;
	int nvalues; /* dictionary: in the order of codes, ranks or bits */
	const char **values;
	int64 *counts; /* rows that the fit found with each of them */
	int64 other;   /* rows (sets: elements) with a value outside of it */
	int64 missing; /* rows without a value */
	int set_bytes; /* sets: (nvalues + SET_OTHER_BITS) / 8, rounded up */
} ProfileAttribute;

/* A profile_model decoded; attributes are in the order of the record fitted. */
typedef struct ProfileModel
{
	uint64 fingerprint;
	int64 nrows; /* rows that were fitted */
	int natts;
	ProfileAttribute *atts;
	int nscaled; /* attributes of each group */
	int ncoded;
	int nsets;
	int *slot_att; /* slot -> index in atts */
	int nignored;  /* columns that profile() passes over */
	const char **ignored;
	int nmissing; /* words that mean "missing", in lower case */
	const char **missing;
	int nmissing_numbers;
	double *missing_numbers;
	struct ValueTable *value_table; /* word -> code, for encoding (profile_encode.c) */

	/* what every profile of this model begins with */
	uint8 *head;
	int head_size;
	int profile_size; /* all bytes of a profile but the varlena header */
} ProfileModel;

/* Decodes a profile_model in the current memory context. */
extern ProfileModel *ProfileModelFromDatum(Datum value);

/*
 * The profile_model argument, decoded once for as long as it stays the same; for
 * functions that keep nothing else in fn_extra.
 */
extern const ProfileModel *ProfileModelArgument(FunctionCallInfo fcinfo, int n);

/* The same for those that keep more: embed the cache, zeroed at first. */
typedef struct ProfileModelCache
{
	struct varlena *raw;   /* the datum as it came, perhaps compressed */
	MemoryContext context; /* holds raw and model; a child of the one given */
	ProfileModel *model;
} ProfileModelCache;

extern const ProfileModel *
CachedProfileModel(ProfileModelCache *cache, Datum value, MemoryContext parent);

/* The model's stored form: what profile_fit returns. */
extern Datum ProfileModelGetDatum(ProfileModel *model);

/* The attribute of that name, or NULL. */
extern const ProfileAttribute *FindAttribute(const ProfileModel *model, const char *name);

extern const char *AttributeKindName(AttributeKind kind);

/* ---------- profiles ---------- */

/* A profile taken apart; points into the value. */
typedef struct ProfileView
{
	const uint8 *head; /* version .. levels: equal for all profiles of a model */
	int head_size;
	int nscaled;
	int ncoded;
	int nsets;
	const uint8 *set_bytes;
	const uint8 *levels; /* one a slot, weighted or not */
	const uint8 *codes;
	const uint8 *bitmaps;
	const uint8 *numbers;
} ProfileView;

/* Takes bytes apart; false if their number is not what they say themselves. */
extern bool ViewProfileBytes(ProfileView *view, const uint8 *bytes, int size);

/* The same for the head alone: counts, set_bytes, levels and head_size are set. */
extern bool ViewProfileHead(ProfileView *view, const uint8 *bytes, int size);

/* Takes a profile apart; detoasts it if need be. */
extern void OpenProfile(ProfileView *view, Datum value);

extern uint64 ProfileFingerprint(const ProfileView *view);

/* An error unless the profile was made by this model (fingerprint and layout). */
extern void CheckProfileOfModel(const ProfileView *view, const ProfileModel *model);

/* An error unless both profiles were made by the same model. */
extern void CheckSameModel(const ProfileView *a, const ProfileView *b);

static inline bool
SlotIsMissing(const ProfileView *view, int slot)
{
	return view->codes[slot] == CODE_MISSING;
}

/* The number of a scaled slot; NaN: missing. */
static inline float
SlotNumber(const ProfileView *view, int slot)
{
	uint32 bits;
	float number;

	memcpy(&bits, view->numbers + slot * sizeof(bits), sizeof(bits));
	bits = pg_ntoh32(bits);
	memcpy(&number, &bits, sizeof(number));
	return number;
}

/*
 * The bitmap of set number i (slot nscaled + ncoded + i): bit b is the b-th value
 * of the dictionary, the SET_OTHER_BITS from nvalues on are others, by hash.
 */
extern const uint8 *SetBitmap(const ProfileView *view, int i);

static inline bool
BitmapHas(const uint8 *bitmap, int bit)
{
	return (bitmap[bit >> 3] >> (bit & 7)) & 1;
}

/*
 * The value of an attribute in words, palloc'd; NULL: missing.  Others of nominal
 * attributes and of sets are "(other)".
 */
extern char *AttributeValueText(const ProfileView *view, const ProfileAttribute *att);

/* ---------- similarity ---------- */

/* num and den of the distance, see above; den = 0: nothing to compare. */
extern void ProfileDistance(const ProfileView *a, const ProfileView *b, uint32 *num, uint32 *den);

/* The distance of two bitmaps in steps: 0 .. levels; two empty sets are equal. */
extern uint32 JaccardDistance(const uint8 *a, const uint8 *b, int bytes, uint32 levels);

#endif /* CRM_PROFILE_H */
