/*
 * sortable_float.h: floats as integers in the same order, for code that sorts, selects or counts
 * integers or bytes.
 */
#ifndef CRM_SORTABLE_FLOAT_H
#define CRM_SORTABLE_FLOAT_H

/* Both zeros are equal; NaN comes after infinity. */
static inline int64
SortableFloat8(double v)
{
	int64 bits;

	v += 0.0; /* -0 is 0 */
	memcpy(&bits, &v, sizeof(bits));
	return bits < 0 ? bits ^ PG_INT64_MAX : bits;
}

static inline double
Float8FromSortable(int64 bits)
{
	double v;

	if (bits < 0)
		bits ^= PG_INT64_MAX;
	memcpy(&v, &bits, sizeof(v));
	return v;
}

/* The same for unsigned integers, and for bytes in network order. */
static inline uint64
UnsignedSortableFloat8(double v)
{
	return (uint64) SortableFloat8(v) ^ (uint64) PG_INT64_MIN;
}

static inline double
Float8FromUnsignedSortable(uint64 bits)
{
	return Float8FromSortable((int64) (bits ^ (uint64) PG_INT64_MIN));
}

#endif /* CRM_SORTABLE_FLOAT_H */
