/*
 * profile_gist.h: the keys of an index of profiles, for whoever reads its pages.
 */
#ifndef CRM_PROFILE_GIST_H
#define CRM_PROFILE_GIST_H

#include "profile/profile.h"

/* An inner key taken apart; points into its bytes, which profile_gist.c describes. */
typedef struct Box
{
	ProfileView layout; /* only head, counts and levels */
	int natts;
	int bitmap_size;
	uint8 *flags;
	uint8 *low;
	uint8 *high;
	uint8 *codes;
	uint8 *any;
	uint8 *all;
} Box;

/* Reads a key: a leaf's profile into *view (true), or an inner key's box into *box (false). */
extern bool OpenProfileKey(Datum value, ProfileView *view, Box *box);

/* An empty inner key of the layout of `view`, and the box in it. */
extern bytea *NewProfileBox(Box *box, const ProfileView *view);
extern void AddProfileToBox(Box *box, const ProfileView *view);

/* The least distance of the query to any profile in the box. */
extern double ProfileBoxBound(const ProfileView *query, const Box *box);

/* The distance function of the operator class. */
extern Datum profile_gist_distance(PG_FUNCTION_ARGS);

/* Lets the planner know what a search for the nearest costs: how the data lie decides it. */
extern void InitProfileGistCost(void);

#endif /* CRM_PROFILE_GIST_H */
