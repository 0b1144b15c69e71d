/*
 * persona.h: numbers and days of customers in fifths.
 */
#ifndef CRM_PERSONA_H
#define CRM_PERSONA_H

#define FIFTHS 5
#define BREAKS (FIFTHS - 1) /* where the second to the last fifth begin */

#endif /* CRM_PERSONA_H */
