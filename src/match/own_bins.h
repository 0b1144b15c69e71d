/*
 * own_bins.h: bins that somebody gives: values with bins of their own, borders of ranges, groups of
 * words.
 *
 *	{"special": {"income": [-999, 666666]},
 *	 "breaks": {"age": [30, 45, 60], "job": [["student", "retired"], "services"]}}
 */
#ifndef CRM_OWN_BINS_H
#define CRM_OWN_BINS_H

#include "utils/jsonb.h"

#include "match/binning.h"
#include "profile/attribute_value.h"

#define MAX_BREAKS (MAX_ATTRIBUTE_BINS - 1)

/* What the values of an attribute are compared as. */
typedef enum OwnKind
{
	OWN_NUMBERS,
	OWN_DAYS,
	OWN_WORDS
} OwnKind;

typedef struct OwnValue
{
	double number; /* or day */
	Word word;
	int group; /* of words */
} OwnValue;

typedef struct OwnBins
{
	int nspecial;
	OwnValue *special;
	int nbreaks; /* borders of ranges in rising order, or words of groups */
	OwnValue *breaks;
	int ngroups; /* of words */
} OwnBins;

/*
 * Checks the options as a whole; `known` tells whether there is an attribute of that name.  `more`
 * is another option that the function has, and checks; NULL for none.
 */
extern void CheckBinOptions(Jsonb *options, const char *function, const char *more,
							bool (*known)(const char *name, const void *arg), const void *arg);

/* The bins given for an attribute; NULL if there are none.  Of `ordered` words breaks are borders.
 */
extern OwnBins *ReadOwnBins(Jsonb *options, const char *attribute, OwnKind kind, bool ordered);

/* The number of the special value, from 1 on; 0 if it is none. */
extern int SpecialNumber(const OwnBins *own, double number);
extern int SpecialWord(const OwnBins *own, Word word);

/* The range, from 0 on, that a number falls into; the group of a word, the last for all others. */
extern int RangeOfNumber(const OwnBins *own, double number);
extern int GroupOfWord(const OwnBins *own, Word word);

#endif /* CRM_OWN_BINS_H */
