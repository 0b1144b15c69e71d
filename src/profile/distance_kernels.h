/*
 * distance_kernels.h: distances of one profile from many, 32 at a time.
 *
 * Profiles are laid out in blocks of KERNEL_LANES.  Attributes come in pairs, first the scaled
 * ones, then all others; for each pair a block holds one row of 2 * KERNEL_LANES bytes, the codes
 * of both attributes for one profile after another.  An attribute that only fills up a pair is
 * missing everywhere.
 *
 * An asymmetric boolean that is false has the code ABSENT, so that one bit more makes it missing:
 * for a query in which it is false, too.
 *
 * Every kernel computes the num and den of profile.h in 16-bit integers (sets count as equal if
 * neither is missing), so all of them give the same results.
 */
#ifndef CRM_DISTANCE_KERNELS_H
#define CRM_DISTANCE_KERNELS_H

#include "profile/profile.h"

#define KERNEL_LANES 32
#define ABSENT 254
#define KERNEL_ROW (2 * KERNEL_LANES)
#define MAX_PAIRS (MAX_ATTRIBUTES / 2 + 2)

/* The profile that all others are compared with. */
typedef struct KernelQuery
{
	int scaled_pairs;
	int pairs;
	/* for each pair its two codes and levels, repeated to the width of any register */
	uint8 codes[MAX_PAIRS][32] pg_attribute_aligned(32);
	uint8 levels[MAX_PAIRS][32] pg_attribute_aligned(32); /* 0 if the query misses it */
	uint8
		absent[MAX_PAIRS][32] pg_attribute_aligned(32); /* bits to add before a target is missing */
} KernelQuery;

/* The result of a kernel for a block. */
typedef struct KernelHit
{
	uint32 lanes; /* bit i: lane i passed */
	uint16 num[KERNEL_LANES] pg_attribute_aligned(32);
	uint16 den[KERNEL_LANES] pg_attribute_aligned(32);
} KernelHit;

/*
 * The first block from `from` on, before `to`, with a lane that passes
 * num <= den * threshold / 65536 + slack; `to` if there is none.
 */
typedef int (*DistanceKernel)(const KernelQuery *query, const uint8 *blocks, int from, int to,
							  uint16 threshold, uint16 slack, KernelHit *hit);

/* The fastest kernel available, or the one of that name; NULL if it is not available. */
extern DistanceKernel ChooseDistanceKernel(const char *name);

/* Slots in pairs: the number of pairs, and the position of a slot among 2 * pairs. */
static inline int
ScaledPairs(int nscaled)
{
	return (nscaled + 1) / 2;
}

static inline int
KernelPairs(int nscaled, int nothers)
{
	return ScaledPairs(nscaled) + (nothers + 1) / 2;
}

/* The code of a slot as kernels see it. */
static inline uint8
KernelCode(const ProfileView *view, int slot)
{
	uint8 code = view->codes[slot];

	return code == 0 && slot >= view->nscaled && slot < view->nscaled + view->ncoded &&
				   IsAsymmetric(view, slot)
			   ? ABSENT
			   : code;
}

static inline int
KernelPlace(int nscaled, int slot)
{
	return slot < nscaled ? slot : slot - nscaled + 2 * ScaledPairs(nscaled);
}

#endif /* CRM_DISTANCE_KERNELS_H */
