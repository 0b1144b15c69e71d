/*
 * decimal_sum.h: the sum of doubles as their decimal texts, which is the same in any order.
 */
#ifndef CRM_DECIMAL_SUM_H
#define CRM_DECIMAL_SUM_H

#include "lib/stringinfo.h"
#include "utils/numeric.h"
#include "utils/palloc.h"

#define SUM_DIGITS 15       /* of a number as text, and as numeric */
#define MAX_SUM_DECIMALS 22 /* 10^22 is the last power of ten that a double holds */

typedef struct DecimalSum
{
	bool any;
	int decimals; /* the largest number of decimals */
	int128
		sums[MAX_SUM_DECIMALS + 1]; /* of the numbers that need that many decimals for 15 digits */
	Numeric others;                 /* the sum of all other numbers; NULL if there are none */
} DecimalSum;

/* What is allocated lives in `context`. */
extern void AddToDecimalSum(DecimalSum *sum, double number, MemoryContext context);
extern void CombineDecimalSums(DecimalSum *sum, const DecimalSum *other, MemoryContext context);

/* A numeric; NULL if nothing was added. */
extern Numeric TotalOfDecimalSum(const DecimalSum *sum);

/* On its way from a worker; what is received points into the message. */
extern void SendDecimalSum(StringInfo out, const DecimalSum *sum);
extern void ReceiveDecimalSum(StringInfo in, DecimalSum *sum);

#endif /* CRM_DECIMAL_SUM_H */
