/*
 * profile_columns.h: a profile as numbers, for models that are linear in attributes.
 *
 * The columns of an attribute that has a weight:
 *
 *	numeric, date, ordinal	one: its position in the range, from 0 to 1
 *	boolean			one: 1 if it is true
 *	nominal			one for each value of the dictionary but the first, the most frequent one,
 *					and one for all others if the fit met any: 1 if it is that value
 *	set				one for each value: 1 if the set contains it
 */
#ifndef CRM_PROFILE_COLUMNS_H
#define CRM_PROFILE_COLUMNS_H

#include "profile/profile.h"

extern int ProfileColumns(const ProfileModel *model);

/* The attribute's name, or name: value. */
extern char *ProfileColumnName(const ProfileModel *model, int column);

/* All columns of a profile; NaN if the attribute is missing. */
extern void ProfileColumnValues(const ProfileModel *model, const ProfileView *view, double *values);

#endif /* CRM_PROFILE_COLUMNS_H */
