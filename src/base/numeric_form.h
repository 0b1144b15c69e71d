/*
 * numeric_form.h: the stored form of a numeric.
 *
 * See PostgreSQL's numeric.c; it is unchanged on disk since 9.1: a 16-bit header word, in the long
 * form a 16-bit weight, then digits in base 10 000, none of them a leading or trailing zero.
 */
#ifndef CRM_NUMERIC_FORM_H
#define CRM_NUMERIC_FORM_H

#define HEADER_SIGN_MASK 0xC000
#define HEADER_NEGATIVE 0x4000
#define HEADER_SHORT 0x8000
#define HEADER_SPECIAL 0xC000
#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE_SHIFT 7 /* of the display scale */
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F
#define BASE_DIGITS 4

#endif /* CRM_NUMERIC_FORM_H */
