/*
 * profile_fit_state.h: what profile_fit() keeps while it counts, column by column.
 */
#ifndef CRM_PROFILE_FIT_STATE_H
#define CRM_PROFILE_FIT_STATE_H

#include "utils/jsonb.h"

#include "profile/profile_model.h"
#include "profile/value_counts.h"

typedef struct FitColumn
{
	char *name;
	Oid type;
	int index; /* in the record */
	AttributeColumn input;
	bool kind_given;
	AttributeKind kind; /* if given */
	bool weight_given;
	double weight;
	bool range_given;
	double low;
	double high;
	bool asymmetric;    /* joint absence does not count */
	const char **order; /* values from lowest to highest; NULL if not given */
	int norder;

	int64 missing;         /* NULL, NaN and the like; words are counted by `words` */
	bool all_numbers;      /* so far; COLUMN_WORD only */
	NumberCounts *numbers; /* NULL if not needed */
	WordCounts *words;
} FitColumn;

typedef struct ProfileFitState
{
	MemoryContext context;
	RecordShape shape;
	Jsonb *options; /* NULL: none */
	int ncolumns;
	FitColumn *columns;
	int nignored;
	const char **ignored;
	int max_values;
	int64 min_count;
	int64 range_count; /* rows that reach each end of a range, or lie beyond it */
	bool robust;
	MissingValues missing;
	int64 nrows;
} ProfileFitState;

/* True if the options exclude the column from the attributes. */
extern bool OptionsIgnore(JsonbContainer *options, const char *name);

/* Checks the names of the options of a function that has those of profile_fit, and some of its own
 * ("a, b") or NULL. */
extern void CheckFitOptions(JsonbContainer *options, const char *function, const char *own);

/* Options that are not about one column, and the check of all their names. */
extern void TakeGeneralOptions(ProfileFitState *state);

/* Options about columns, once these are known. */
extern void TakeColumnOptions(ProfileFitState *state);

/* The profile_model of the records counted. */
extern struct varlena *FittedProfileModel(const ProfileFitState *state);

#endif /* CRM_PROFILE_FIT_STATE_H */
