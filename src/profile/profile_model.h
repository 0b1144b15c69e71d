/*
 * profile_model.h: how attributes are encoded in profiles (profile.h).
 */
#ifndef CRM_PROFILE_MODEL_H
#define CRM_PROFILE_MODEL_H

#include "utils/date.h"

#include "base/model.h"
#include "profile/attribute_value.h"
#include "profile/word_codes.h"

#define PROFILE_VERSION 1 /* of the profiles that a model makes */
#define PROFILE_WEIGHTED 0x01
#define PROFILE_ASYMMETRIC 0x02

#define ASYMMETRIC_BYTES(natts) (((natts) + 7) / 8)
#define MAX_ATTRIBUTES 250 /* so that MAX_ATTRIBUTES * MAX_LEVELS < 2^16 */
#define MAX_LEVELS 254
#define CODE_MISSING 255

#define MAX_NOMINAL_VALUES 191 /* of a dictionary: leaves codes that distinguish other values */
#define MAX_SET_VALUES 248
#define SET_OTHER_BITS 8 /* bits that elements outside the dictionary share */
#define MAX_SET_BYTES ((MAX_SET_VALUES + SET_OTHER_BITS) / 8)

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

/* Whether two people are alike in that neither has it: booleans and sets. */
typedef enum JointAbsence
{
	/* stored: never renumber */
	ABSENCE_COUNTS = 0,
	ABSENCE_IGNORED = 1
} JointAbsence;

/* What numbers a numeric attribute has. */
typedef enum NumbersOf
{
	/* stored: never renumber */
	NUMBERS_ANY = 0,
	NUMBERS_WHOLE = 1
} NumbersOf;

typedef struct ProfileAttribute
{
	const char *name;
	AttributeKind kind;
	double weight; /* >= 0 */
	double min;    /* the range of a numeric attribute */
	double max;
	DateADT first; /* and of a date */
	DateADT last;
	int nvalues; /* dictionary: in the order of codes, ranks or bits */
	const char **values;
	int ncounts;
	int64 *counts; /* rows that the fit found with each of them */
	int64 other;   /* rows (for sets, elements) with a value outside the dictionary */
	int64 missing; /* rows without a value */
	int32 joint;   /* a JointAbsence */
	int32 numbers; /* a NumbersOf */

	/* derived when a model is read */
	int slot;
	uint8 levels; /* the weight in steps of 1/MAX_LEVELS of the largest */
	double low;   /* scaled: the range; ordinal: 0 and nvalues - 1 */
	double high;
	int set_bytes;   /* sets: (nvalues + SET_OTHER_BITS) / 8, rounded up */
	WordCodes codes; /* of the dictionary */
} ProfileAttribute;

/* Attributes are in the order of the record fitted. */
typedef struct ProfileModel
{
	int64 nrows; /* rows that were fitted */
	MissingValues missing;
	int nignored; /* columns that profile() skips */
	const char **ignored;
	int natts;
	ProfileAttribute *atts;

	/* derived when a model is read */
	uint64 fingerprint;
	int nscaled; /* attributes of each group */
	int ncoded;
	int nsets;
	int *slot_att; /* slot -> index in atts */
	uint8 *head;   /* the bytes that every profile of this model starts with */
	int head_size;
	int profile_size; /* all bytes of a profile except the varlena header */
} ProfileModel;

extern const ModelFormat ProfileModelFormat;

/* The attribute of that name, or NULL. */
extern const ProfileAttribute *FindAttribute(const ProfileModel *model, const char *name);

extern const char *AttributeKindName(AttributeKind kind);
extern bool AttributeKindFromName(const char *name, AttributeKind *kind);

/* Whether the values of a column of that class can be taken as that kind. */
extern bool KindTakesColumn(AttributeKind kind, ColumnClass class);

static inline bool
HasRange(AttributeKind kind)
{
	return kind == KIND_NUMERIC || kind == KIND_DATE;
}

static inline bool
IsScaled(AttributeKind kind)
{
	return kind <= KIND_ORDINAL;
}

/* Sets the range of a new attribute; no effect on kinds without a range. */
extern void SetRange(ProfileAttribute *att, double low, double high);

/* The largest number of values in a dictionary of that kind. */
extern int MaxValues(AttributeKind kind);

/* A number of a scaled attribute as text: a day, the name of a rank, or a number. */
extern char *ScaledText(const ProfileAttribute *att, double number);

#endif /* CRM_PROFILE_MODEL_H */
