/*
 * profile.h: the attributes of a customer or prospect, encoded.
 *
 * A profile_model says how attributes are encoded; a profile is one person's attributes encoded by
 * a model.  A profile carries everything that a comparison needs, so similarity takes no model;
 * names and words are in the model.
 *
 * Slots.  A profile has one slot for each attribute, in three groups:
 *
 *	scaled	numeric, date, ordinal: slots 0 .. nscaled - 1
 *	coded	nominal, boolean: the ncoded slots after them
 *	sets	the nsets slots after those
 *
 * and for each slot a *code*, one byte, which is all that similarity uses (besides the bitmaps of
 * sets): CODE_MISSING, or
 *
 *	scaled	the value's place in the attribute's range, 0 .. levels
 *	coded	the position in the attribute's dictionary; from nvalues on: a value
 *			that is not in the dictionary ("other"), told apart by a hash
 *	sets	0
 *
 * `levels` is the attribute's weight in whole steps, 0 .. MAX_LEVELS.  The distance of two profiles
 * is num / den with den the sum of levels over the slots that are missing in neither, and num the
 * sum over them of |a - b| (scaled), of levels where a <> b (coded), of JaccardDistance (sets).
 * Asymmetric booleans and sets are not compared either where both are false, or empty: to lack the
 * same thing makes nobody alike.
 * Both are integers below 2^16, so every way to compute them gives the same bits.
 *
 * A scaled slot also has its number: a float4, days since 2000-01-01 for a date, the 0-based rank
 * for an ordinal attribute, NaN if it is missing.
 *
 * The stored form of a profile (after the varlena header):
 *
 *	version		1 byte
 *	flags		1 byte: PROFILE_WEIGHTED, PROFILE_ASYMMETRIC
 *	fingerprint	8 bytes, of the model
 *	nscaled, ncoded, nsets		1 byte each
 *	set_bytes	nsets bytes: the size of each bitmap
 *	levels		one byte per slot; only if PROFILE_WEIGHTED, else all MAX_LEVELS
 *	asymmetric	one bit per slot; only if PROFILE_ASYMMETRIC, else none
 *	codes		one byte per slot
 *	bitmaps		of the sets
 *	numbers		nscaled * 4 bytes, most significant first
 */
#ifndef CRM_PROFILE_H
#define CRM_PROFILE_H

#include "port/pg_bswap.h"

#include "profile/profile_model.h"

/* ---------- profiles ---------- */

/* A profile taken apart; points into the value. */
typedef struct ProfileView
{
	const uint8 *head; /* version .. asymmetric: equal for all profiles of a model */
	int head_size;
	int nscaled;
	int ncoded;
	int nsets;
	const uint8 *set_bytes;
	const uint8 *levels;     /* one per slot, weighted or not */
	const uint8 *asymmetric; /* one bit per slot */
	const uint8 *codes;
	const uint8 *bitmaps;
	const uint8 *numbers;
} ProfileView;

/* Takes bytes apart; false if their number is not the one that they imply. */
extern bool ViewProfileBytes(ProfileView *view, const uint8 *bytes, int size);

/* The same for the head only: sets counts, set_bytes, levels, asymmetric and head_size. */
extern bool ViewProfileHead(ProfileView *view, const uint8 *bytes, int size);

/* Takes a profile apart; detoasts it if necessary. */
extern void OpenProfile(ProfileView *view, Datum value);

extern uint64 ProfileFingerprint(const ProfileView *view);

/* Raises an error unless the profile was made by this model (fingerprint and layout). */
extern void CheckProfileOfModel(const ProfileView *view, const ProfileModel *model);

/* Raises an error unless both profiles were made by the same model. */
extern void CheckSameModel(const ProfileView *a, const ProfileView *b);

static inline bool
SlotIsMissing(const ProfileView *view, int slot)
{
	return view->codes[slot] == CODE_MISSING;
}

/* The number of a scaled slot; NaN if missing. */
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
 * The bitmap of set number i (slot nscaled + ncoded + i): bit b is the b-th value of the
 * dictionary; the SET_OTHER_BITS from nvalues on stand for other values, by hash.
 */
extern const uint8 *SetBitmap(const ProfileView *view, int i);

static inline bool
BitmapHas(const uint8 *bitmap, int bit)
{
	return (bitmap[bit >> 3] >> (bit & 7)) & 1;
}

static inline bool
IsAsymmetric(const ProfileView *view, int slot)
{
	return (view->asymmetric[slot >> 3] >> (slot & 7)) & 1;
}

static inline bool
BitmapIsEmpty(const uint8 *bitmap, int bytes)
{
	for (int i = 0; i < bytes; i++)
		if (bitmap[i] != 0)
			return false;
	return true;
}

/*
 * The value of an attribute as text, palloc'd; NULL if missing.  Other values of nominal attributes
 * and sets are "(other)".
 */
extern char *AttributeValueText(const ProfileView *view, const ProfileAttribute *att);

/* What is known about the columns of successive records. */
typedef struct RecordEncoder RecordEncoder;

extern RecordEncoder *NewRecordEncoder(MemoryContext parent);

/* Encodes a record by a decoded model; an error if its columns are not the model's. */
extern struct varlena *
EncodeRecord(RecordEncoder *encoder, const ProfileModel *model, HeapTupleHeader record);

/* ---------- similarity ---------- */

/* num and den of the distance, see above; den is 0 if there is nothing to compare. */
extern void ProfileDistance(const ProfileView *a, const ProfileView *b, uint32 *num, uint32 *den);

/* The distance of two bitmaps in steps, 0 .. levels; two empty sets are equal. */
extern uint32 JaccardDistance(const uint8 *a, const uint8 *b, int bytes, uint32 levels);

#endif /* CRM_PROFILE_H */
