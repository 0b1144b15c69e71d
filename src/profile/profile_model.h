/*
 * profile_model.h: what making models shares with reading them.
 */
#ifndef CRM_PROFILE_MODEL_H
#define CRM_PROFILE_MODEL_H

#include "base/json_read.h"
#include "profile/attribute_value.h"
#include "profile/profile.h"

extern bool AttributeKindFromName(const char *name, AttributeKind *kind);

/* Sets what stands for missing from a JSON array of words and numbers. */
extern void SetMissingFromJson(ProfileModel *model, JsonbContainer *array);

/* True when the values of a column of that class can be taken as that kind. */
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

/* The most values that a dictionary of that kind can have. */
extern int MaxValues(AttributeKind kind);

/* A number of a scaled attribute in words: a day, a rank's name, a number. */
extern char *ScaledText(const ProfileAttribute *att, double number);

/* ---------- words and the codes they have (word_codes.c) ---------- */

/* A hash table of words, one for each attribute with a dictionary. */
typedef struct ValueTable
{
	struct ValueEntry *entries;
	uint32 mask;
} ValueTable;

extern ValueTable *MakeValueTables(const ProfileModel *model);

/* The position of a word in the attribute's dictionary; -1: missing, -2: other. */
#define VALUE_MISSING (-1)
#define VALUE_OTHER (-2)
extern int LookUpValue(const ProfileModel *model, int att, Word word, uint64 hash);

extern bool WordIsMissing(const ProfileModel *model, Word word);
extern bool NumberIsMissing(const ProfileModel *model, double number);

/* true, yes, 1, … are 1; false, no, 0, … are 0; anything else is -1. */
extern int BooleanFromWord(Word word);

#endif /* CRM_PROFILE_MODEL_H */
